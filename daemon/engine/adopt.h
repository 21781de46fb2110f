/* SPDX-License-Identifier: MIT */
/*
 * Taking over from an engine before this one: what the keeper has (daemon/link.h,
 * "the table") meets what the kernel knows, before anybody is served.
 *
 *     keeper_open          HELLO: is it still the keeper, and the boot, of the
 *                          journal? (hello.keeper_instance, hello.boot)
 *     ... the journal is folded ...
 *     adopt_read           the table, whole
 *     adopt_rows           files of output that belong to no task are removed; then row
 *                          by row, in the order in which they changed last: of a live
 *                          task: it is expected, its output is read on, its notify
 *                          socket is bound again at its path, and its facts are fed;
 *                          of a completed task: forgotten; of one that nobody knows:
 *                          killed, forgotten once empty
 *     ... IN_RESUMED ...   (core/durable.h)
 *     adopt_regions        regions nobody knows, or that are closed, are swept; a
 *                          shutdown or drain that had begun goes on
 *
 * A START that goes out again for a task whose row is known is not said again
 * (effects.c). What the tasks said to their notify sockets while no engine was
 * there was refused to them: sd_notify(3) does not try again by itself.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_ADOPT_H
#define ASUPERSYNC_DAEMON_ENGINE_ADOPT_H

#include "daemon/engine/state.h"

/* Waits for TABLE_END. False after reporting why not. */
bool adopt_read(struct engine *e);
/* With the same keeper, a task that was seen to start and has no row is lost:
 * IN_TASK_LOST. With a new one IN_RESUMED says that of all. */
void adopt_rows(struct engine *e, bool same_keeper);
void adopt_regions(struct engine *e);

#endif
