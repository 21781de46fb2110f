/* SPDX-License-Identifier: MIT */
/**
 * @file runtime.h
 * The in-process runtime: runs tasks (cx.h) in production. One thread, one event
 * loop, the same kernel that the daemon runs; no daemon is needed for what stays
 * inside the program.
 *
 * For what crosses processes it connects to the daemon: a worker's functions
 * become tasks with a Cx, cancelled when the daemon says so, and channels and
 * leases of the daemon are used through the same calls as local ones.
 */
#ifndef ASUPERSYNC_RUNTIME_H
#define ASUPERSYNC_RUNTIME_H

#include "asupersync/client.h"
#include "asupersync/cx.h"

ASUP_DECLS_BEGIN

/** Fill with asup_runtime_options_init(), then change. */
struct asup_runtime_options {
    size_t stack_size;    /**< bytes of a fiber's stack without its guard page; default 64 KiB */
    uint32_t tasks_max;   /**< live tasks; default 100,000 */
    const char *url;      /**< the daemon's socket; NULL: none is needed until one is asked for,
                               then as asup_client_connect() finds it */
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

/* ---- With the daemon -------------------------------------------------------------- */

/** A computation run as a task: @p cx is for a region of its own. Its outcome is the call's. */
struct asup_served {
    const char *name; /**< as offered to the daemon */
    asup_body body;
    void *arg; /**< handed to asup_served_arg() */
};

/** What the call brought: good until the body returns. */
ASUP_API const void *asup_served_input(const struct asup_cx *cx, size_t *size);
ASUP_API uint32_t asup_served_attempt(const struct asup_cx *cx);
/** What it gives back; copied. */
ASUP_API int asup_served_result(struct asup_cx *cx, const void *data, size_t size);

/**
 * Offer computations to the daemon from the region @p path on ("/": all one's
 * own) and run the calls that come, at most @p at_once at a time, each in a
 * region below that of @p cx, until the worker is drained or the task is
 * cancelled. Waits. Cancels from the daemon reach the task as any other;
 * checkpoints are told to the daemon.
 */
ASUP_API int asup_cx_serve(struct asup_cx *cx, const char *path, const struct asup_served *served,
                           size_t count, uint32_t at_once) ASUP_MUST_USE;

/** A channel of the daemon, by path ("/web/orders"); used as a local one. Waits. */
ASUP_API int asup_cx_remote_channel(struct asup_cx *cx, const char *path,
                                    struct asup_channel *out) ASUP_MUST_USE;

/** A lease of the daemon, in the region of that path. Waits. */
ASUP_API struct asup_lease_held *
asup_cx_remote_lease(struct asup_cx *cx, const char *path, const char *name, uint64_t ttl_ns,
                     uint64_t timeout_ns, int *code) ASUP_MUST_USE
    ASUP_RESOLVED_BY(asup_lease_release);

ASUP_DECLS_END

#endif
