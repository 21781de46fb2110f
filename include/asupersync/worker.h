/* SPDX-License-Identifier: MIT */
/**
 * @file worker.h
 * Calls and workers: a *call* is a task that is not a program but a named
 * computation. It waits in its region until a *worker*, a process that offered
 * that name, takes it, runs it and tells how it ended.
 *
 * Whoever submits a call treats it like any task: wait for it, cancel it, close
 * its region. A worker is a table of functions given to asup_worker_run().
 *
 * @par Attempts (R-TSK-5)
 * A call that failed, or whose worker was lost, is run again as often as its
 * retry rule says, otherwise it ends. A second attempt never begins before the
 * first is over, or its worker is gone or fenced off: what a fenced worker says
 * of it is refused.
 *
 * Errors that any call can return are told in client.h.
 */
#ifndef ASUPERSYNC_WORKER_H
#define ASUPERSYNC_WORKER_H

#include "asupersync/api.h"
#include "asupersync/client.h"
#include "asupersync/info.h"
#include "asupersync/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Making calls ------------------------------------------------------------------ */

/** A call to make. Fill with asup_call_options_init(), then change. */
struct asup_call_options {
    const char *name;         /**< the computation, 1 to ASUP_NAME_MAX bytes */
    const void *input;        /**< what it works on; borrowed */
    size_t input_size;        /**< bytes, at most about half a message */
    const char *label;        /**< for people; NULL: the name */
    uint32_t attempts;        /**< in all, 1 to 65535; 0: one */
    uint64_t backoff_ns;      /**< pause before the second attempt; it doubles with each one */
    uint64_t backoff_most_ns; /**< the pause does not grow beyond this; 0: no bound */
    uint64_t delay_ns;        /**< begin that much later */
    uint64_t drain_ns;        /**< its allowance for cleanup; ASUP_NEVER: its region's */
    struct asup_budget_request budget;
};

/** Make @p options those of a call of that name without input or limits. */
ASUP_API void asup_call_options_init(struct asup_call_options *options, const char *name);

/** How a call ended. */
struct asup_call_result {
    struct asup_task task;
    struct asup_outcome outcome; /**< exit_code is the code its worker gave, or -1 */
    char *message;               /**< what its worker said, or "" */
    void *data;                  /**< its result; NULL when it is empty */
    size_t size;                 /**< bytes */
    uint32_t attempt;            /**< the attempt that ended; 0: none had begun */
};

/** Release what a result holds. NULL is allowed. */
ASUP_API void asup_call_result_fini(struct asup_call_result *result);

/**
 * Submit a call to a region. Returns when it is admitted, whether or not there
 * is a worker for it.
 *
 * @return 0, or as asup_client_task_submit().
 */
ASUP_API int asup_client_call_submit(struct asup_client *c, struct asup_region region,
                                     const struct asup_call_options *options, struct asup_task *out,
                                     struct asup_error_info *err);

/**
 * Wait for the end of a call, and get its result. Any number of waiters get the
 * same (R-TSK-7), as long as its outcome is retained.
 *
 * @param[out] out  Release with asup_call_result_fini().
 * @return as asup_client_task_wait(); -ASUP_EINVALID when the task is no call.
 */
ASUP_API int asup_client_call_wait(struct asup_client *c, struct asup_task task, int64_t timeout_ms,
                                   struct asup_call_result *out, struct asup_error_info *err);

/**
 * Submit a call and wait for its end. When the time is over, the call goes on:
 * give it a limit of its own in @p options, or cancel out->task, which is
 * written then, too.
 */
ASUP_API int asup_client_call_run(struct asup_client *c, struct asup_region region,
                                  const struct asup_call_options *options, int64_t timeout_ms,
                                  struct asup_call_result *out, struct asup_error_info *err);

/* ---- Working ------------------------------------------------------------------------- */

/** A call that a worker's function runs; its own for the time of the function. */
struct asup_worker_call;

/**
 * A computation. It may run on several threads at once.
 *
 * @return how it ended: ASUP_OK; ASUP_ERR (say more with asup_worker_call_fail());
 *         ASUP_CANCELLED when it stopped because it was asked to (otherwise that
 *         counts as ASUP_ERR); ASUP_PANICKED: it is broken.
 */
typedef enum asup_severity (*asup_worker_fn)(struct asup_worker_call *call, void *arg);

struct asup_worker_function {
    const char *name;  /**< 1 to ASUP_NAME_MAX bytes */
    asup_worker_fn fn; /**< not NULL */
    void *arg;         /**< handed to every call of it */
};

/** How to work. Fill with asup_worker_options_init(), then change. */
struct asup_worker_options {
    struct asup_region region; /**< calls of it and of what is below; {0}: the root */
    uint32_t threads;          /**< calls at once, 1 to 1024; default 1 */
    uint32_t prefetch;         /**< calls to take beyond those; default 0 */
    uint64_t response_ns;      /**< declared longest time between checkpoints; 0: none (R-TSK-8) */
    uint64_t quiet_ns;         /**< lease: silent that long, its calls are lost; ASUP_NEVER: when
                                    its session ends. The library speaks three times as often, so
                                    only a process that is stopped or gone is silent */
    int stop_fd; /**< when it is readable, take nothing new, finish, return; -1: none */
    /** Told, on the thread of asup_worker_run(), that the daemon did not take the end of a call:
     *  -ASUP_EEXPIRED, it was taken back or the session had ended, and what was done counts no
     *  more; -ASUP_ENOTFOUND, nobody knows of it any more; -ASUP_ETOOLARGE, the result is larger
     *  than result-bytes, and the call has failed for that. NULL: nobody wants to know. */
    void (*on_refused)(void *arg, struct asup_task task, uint32_t attempt, int code);
    void *on_refused_arg;
};

ASUP_API void asup_worker_options_init(struct asup_worker_options *options);

/**
 * Offer the functions of a table and do calls until the worker is drained (by
 * an operator, or by options->stop_fd). Threads are made for it; this one
 * talks to the daemon. It survives broken connections and restarts of the
 * engine; with a new session it offers anew, and asks what it still runs to
 * stop, since that counts no more.
 *
 * Needs a client with a session, which it does not share with another worker;
 * other calls on the client are fine, also from within the functions.
 *
 * @param functions  @p count of them, 1 to 64; borrowed until it returns.
 * @param options    Borrowed; NULL for the defaults.
 *
 * @return 0 when drained and all is told; -ASUP_EINVALID, -ASUP_EDENIED,
 *         -ASUP_ENOTFOUND, -ASUP_ECLOSED (the region), -ASUP_EBUSY (offers);
 *         -ASUP_EEXPIRED when it was quiet for longer than its lease.
 */
ASUP_API int
asup_worker_run(struct asup_client *c, const struct asup_worker_function *functions, size_t count,
                const struct asup_worker_options *options, struct asup_error_info *err);

/** The call as a task, its region, and which attempt this is, from 1 on. */
ASUP_API struct asup_task asup_worker_call_task(const struct asup_worker_call *call);
ASUP_API struct asup_region asup_worker_call_region(const struct asup_worker_call *call);
ASUP_API uint32_t asup_worker_call_attempt(const struct asup_worker_call *call);
/** The name it was called by, and the idempotency key it was submitted under, or "". */
ASUP_API const char *asup_worker_call_name(const struct asup_worker_call *call);
ASUP_API const char *asup_worker_call_key(const struct asup_worker_call *call);
/** Its input. @param[out] size  Bytes. */
ASUP_API const void *asup_worker_call_input(const struct asup_worker_call *call, size_t *size);
/** What was left of its budget when it was handed out. */
ASUP_API struct asup_budget_left asup_worker_call_budget(const struct asup_worker_call *call);

/** Was the call asked to end? A look at memory: as often as you like. */
ASUP_API bool asup_worker_call_cancelled(const struct asup_worker_call *call);

/**
 * Spend a checkpoint (R-BUD-3), and observe a cancel: from then on the call is
 * Cancelling (R-TSK-2).
 *
 * @return 0: go on; 1: it was asked to end, or counts no more; or an error.
 */
ASUP_API int asup_worker_call_checkpoint(struct asup_worker_call *call);
/** As asup_worker_call_checkpoint(), and report progress that cost @p cost units. */
ASUP_API int asup_worker_call_progress(struct asup_worker_call *call, uint64_t cost);

/** Set the result; copied. @return 0, -ASUP_ENOMEM, -ASUP_ETOOLARGE (for a message, 1 MiB). */
ASUP_API int asup_worker_call_result(struct asup_worker_call *call, const void *data, size_t size);
/** Say more about the end: a code (0 to 255, -1: none) and a message (NULL: none), copied.
 *  @return ASUP_ERR, for the function to return. */
ASUP_API enum asup_severity
asup_worker_call_fail(struct asup_worker_call *call, int32_t code, const char *message);

#ifdef __cplusplus
}
#endif

#endif
