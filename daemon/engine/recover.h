/* SPDX-License-Identifier: MIT */
/*
 * How an engine begins: from the journal.
 *
 *   recover_open      open the journal; the clock; snapshot and events -> kernel,
 *                     window of events, sessions
 *   ... the keeper tells its table (adopt.h) ...
 *   recover_tasks     its rows are facts; IN_RESUMED; from here on the journal's
 *                     thread writes
 *
 * Only then may the sockets listen. Each returns 0 or an exit status of
 * sysexits.h after reporting why it cannot go on; a journal that cannot be read
 * is left as it is.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_RECOVER_H
#define ASUPERSYNC_DAEMON_ENGINE_RECOVER_H

#include "daemon/engine/state.h"

int recover_open(struct engine *e, const struct kernel_allocator *allocator);
int recover_tasks(struct engine *e);

#endif
