/* SPDX-License-Identifier: MIT */
/* Reading the window of events for one watcher (op_events.c). */
#ifndef ASUPERSYNC_DAEMON_ENGINE_WATCH_H
#define ASUPERSYNC_DAEMON_ENGINE_WATCH_H

#include "daemon/engine/state.h"

struct watch {
    uint64_t since;  /* moves on past what was looked at */
    uint64_t region; /* 0: everywhere */
    uint64_t limit;
    uint32_t uid;
    bool privileged;
};

/* Write {events, next, oldest}; false, and nothing written, when there is
 * nothing for this watcher. */
bool watch_write(struct engine *e, struct watch *watch, struct proto_writer *w);
/* The same, written even when it is empty. */
void watch_write_all(struct engine *e, struct watch *watch, struct proto_writer *w);

#endif
