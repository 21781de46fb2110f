/* SPDX-License-Identifier: MIT */
/*
 * What tasks say about themselves, in the words of sd_notify(3): one datagram
 * socket per task that asks for it, RUNTIME/notify/t12. Who writes there must
 * be the user that the task runs as (or root); READY=1, STOPPING=1,
 * EXTEND_TIMEOUT_USEC= and WATCHDOG=1 become facts, STATUS= is kept for show,
 * the rest is ignored.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_NOTIFY_H
#define ASUPERSYNC_DAEMON_ENGINE_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct task_view;

enum { NOTIFY_STATUS_SIZE = 128, NOTIFY_MESSAGE_MAX = 4096 };

/* What one message says. */
struct notify_message {
    bool ready, stopping, watchdog;
    bool extend;
    uint64_t extend_usec;
    const char *status; /* NULL: not said; points into the message */
    size_t status_size;
};

/* Lines of NAME=value; what is not understood is skipped. */
void notify_parse(const char *data, size_t size, struct notify_message *out);

/* The first call makes the directory reachable and removes leftovers. */
void notify_prepare(struct engine *e);
/* Make the task's socket (or find it made) and tell its path. 0 or -errno. */
int notify_open(struct engine *e, const struct task_view *task, char *path, size_t path_size);
/* The task runs: from now on what it says is read. A program may be quicker
 * than the keeper's word that it was executed; until then it waits here. */
void notify_started(struct engine *e, uint64_t task);
void notify_close(struct engine *e, uint64_t task);
/* The last STATUS= of a task, or NULL. */
const char *notify_status(struct engine *e, uint64_t task);

#endif
