/* SPDX-License-Identifier: MIT */
/*
 * How an event lies in the window of those that can be watched. Nearly all are
 * pushed out of it unseen, so most are kept as what they are and written as E of
 * asupersync-protocol(7) when somebody reads them. What needs the kernel as it
 * was then, a path or a chain of reasons, is written at once.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_KEPT_H
#define ASUPERSYNC_DAEMON_ENGINE_KEPT_H

#include "daemon/engine/state.h"

/* Into the window of those that can be watched; `wall` is its Unix time. */
void engine_keep_event(struct engine *e, const struct event *ev, uint64_t wall);
void kept_write(struct proto_writer *w, const struct engine *e, const struct window_event *event);

#endif
