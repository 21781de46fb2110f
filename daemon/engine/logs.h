/* SPDX-License-Identifier: MIT */
/*
 * The output of tasks, on a thread of its own, because disks can hang and the
 * loop must not. The thread drains each task's pipe into STATE/logs/t12.log
 * (made with the first byte), up to a size per task and a size for all; what
 * is beyond, or what the disk refuses, is read all the same, dropped, counted
 * and told, so that a task never stops because its log does.
 *
 * Bytes go from the pipe into the file in one system call, splice(2), so an
 * engine that is killed has either not taken them or kept them. Only on file
 * systems that do not do this what is between its read and its write, 64 KiB
 * at most, dies with it.
 *
 * Orders go to the thread through a locked list and an eventfd; what it has to
 * say comes back through another one and ev_async, and is delivered on the
 * loop. Nothing else is shared.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_LOGS_H
#define ASUPERSYNC_DAEMON_ENGINE_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

struct logs;

/* The answer to logs_read. */
struct logs_chunk {
    uint64_t request;
    uint64_t task;
    uint64_t offset; /* where the data stand; beyond the end: the end */
    uint64_t lost;   /* bytes of this task's output that were not kept */
    bool open;       /* more may come */
    bool known;      /* there is or was a pipe for this task */
    int error;       /* errno of a failed read, or 0 */
    const void *data;
    size_t size;
};

struct logs_callbacks {
    /* The output of a task that could not be kept has grown to that size. */
    void (*lost)(void *ctx, uint64_t task, uint64_t bytes);
    void (*chunk)(void *ctx, const struct logs_chunk *chunk);
    /* There is more, or the end, for a reader that had asked to wait. */
    void (*changed)(void *ctx, uint64_t task);
    void *ctx;
};

/* Starts the thread. NULL: no memory or no thread. */
struct logs *logs_new(struct ev_loop *loop, const char *directory, uint64_t task_max,
                      uint64_t total_max, const struct logs_callbacks *callbacks);
/* Drains what the pipes still hold, then ends the thread. */
void logs_free(struct logs *l);
void logs_configure(struct logs *l, uint64_t task_max, uint64_t total_max);

/* What is kept of a task before this engine. */
struct logs_known {
    uint64_t task;
    uint64_t lost; /* bytes, as far as is known */
};
/* Once, before anything else: files of these tasks go on where they end, all
 * others are removed. In increasing order of tasks; from malloc, taken over. */
void logs_resume(struct logs *l, struct logs_known *known_take, size_t count);

/* Drain that pipe; the descriptor is taken over. */
void logs_add(struct logs *l, uint64_t task, int fd_take);
/* The task's retention is over: remove its file. */
void logs_forget(struct logs *l, uint64_t task);
/* Once a second: what is to be removed is told in heaps, since few have a file. */
void logs_turn(struct logs *l);
/* Read some; `chunk` is called with that request number, not 0. With `wait`
 * and nothing new, `changed` follows once there is. */
void logs_read(struct logs *l, uint64_t request, uint64_t task, uint64_t offset, size_t size_max,
               bool wait);
/* Close a descriptor that came from elsewhere: closing may block. */
void logs_close(struct logs *l, int fd_take);
/* All losses since the start. */
uint64_t logs_lost_total(struct logs *l);

#endif
