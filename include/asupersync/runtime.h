/* SPDX-License-Identifier: MIT */
/**
 * @file runtime.h
 * The in-process runtime: runs tasks (cx.h) in production. One thread, one event
 * loop, the same kernel that the daemon runs; no daemon is needed for what stays
 * inside the program.
 */
#ifndef ASUPERSYNC_RUNTIME_H
#define ASUPERSYNC_RUNTIME_H

#include "asupersync/cx.h"

ASUP_DECLS_BEGIN

/** Fill with asup_runtime_options_init(), then change. */
struct asup_runtime_options {
    size_t stack_size;    /**< bytes of a fiber's stack without its guard page; default 64 KiB */
    uint32_t tasks_max;   /**< live tasks; default 100,000 */
    bool stop_on_signals; /**< SIGINT and SIGTERM cancel "/" with Shutdown, the second one at once;
                               default true */
};
ASUP_API void asup_runtime_options_init(struct asup_runtime_options *options);

/**
 * Run a task and all that it makes, on this thread, until nothing is left. One
 * at a time in a thread; several threads may each run one.
 *
 * @param options   Borrowed; NULL for the defaults.
 * @param[out] out  The outcome of its region; what it points to is good until the next run on this
 *                  thread, or asup_runtime_outcome_fini(). NULL: not wanted.
 *
 * @return the outcome as asup_outcome_result() gives it; -ASUP_ENOMEM when it could not begin.
 */
ASUP_API int asup_runtime_run(const struct asup_runtime_options *options, asup_body body, void *arg,
                              struct asup_outcome *out);

/** Free what the outcome of this thread's last run points to. */
ASUP_API void asup_runtime_outcome_fini(void);

/**
 * Wait until a descriptor is readable or writable (POLLIN, POLLOUT of poll(2)).
 * Waits: a checkpoint. Not in the lab, where it answers -ASUP_EUNSUPPORTED.
 * Needs `io`.
 */
ASUP_API int asup_cx_poll(struct asup_cx *cx, int fd, short events, uint64_t timeout_ns,
                          short *revents) ASUP_MUST_USE;

ASUP_DECLS_END

#endif
