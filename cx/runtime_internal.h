/* SPDX-License-Identifier: MIT */
/* The in-process runtime from the inside: for what waits for descriptors in its loop. */
#ifndef ASUPERSYNC_CX_RUNTIME_INTERNAL_H
#define ASUPERSYNC_CX_RUNTIME_INTERNAL_H

#include "asupersync/runtime.h"
#include "cx/shell_internal.h"

/* A descriptor that is watched; the caller's memory. Called on the thread's own stack; it may
 * wake fibers (shell_wake), bring inputs (shell_input) and begin or end watching. */
struct runtime_watch {
    void (*ready)(struct runtime_watch *w, short revents);
    uint32_t place; /* the runtime's */
};

struct runtime {
    struct shell *shell;
    struct asup_runtime_options options;
    struct pollfd *fds; /* fds[0] is the alarm */
    struct runtime_watch **watches;
    uint32_t count, capacity;
    int alarm; /* an eventfd: a signal came, or another thread has something */
    unsigned signals_seen;
    uint32_t switches; /* since the descriptors were looked at */
    void *daemon;      /* of what speaks with the daemon; NULL */
    void (*alarmed)(struct runtime *r);
};

/* The runtime of a Cx; NULL: another world's. */
struct runtime *runtime_of(const struct asup_cx *cx);
/* 0 or -ASUP_ENOMEM. On the thread's own stack (shell_call). */
int runtime_watch(struct runtime *r, struct runtime_watch *w, int fd, short events);
void runtime_unwatch(struct runtime *r, struct runtime_watch *w);

/* runtime_signals.c: SIGINT and SIGTERM, for every runtime of the process that wants them. */
int signals_attach(int alarm);
void signals_detach(int alarm);
unsigned signals_count(void);

#endif
