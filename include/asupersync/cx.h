/* SPDX-License-Identifier: MIT */
/**
 * @file cx.h
 * Structured concurrency inside one C program: tasks that are fibers, owned by
 * regions, and everything that they do done through a *Cx*, the capability they
 * were given. There is no other way to have an effect, so a task can be run by
 * the in-process runtime (runtime.h) or by the lab (lab.h) unchanged.
 *
 * @par Tasks
 * A task is a function, asup_body. It runs as a fiber with a stack of its own on
 * the thread of its runtime, and gives way only in calls of this header that say
 * *waits*; no two fibers of a runtime ever run at once, so they need no locks
 * among themselves. The function's result is the task's outcome:
 *
 *     0                   Ok
 *     1 to 255            Err with that exit code
 *     -ASUP_ECANCELLED    Cancelled, if it was asked to stop; else Err
 *     other -ASUP_E...    Err
 *     asup_cx_panic()     Panicked
 *
 * A task that was told that it is cancelled (a call answered -ASUP_ECANCELLED)
 * ends Cancelled whatever it returns, but for a worse outcome (R-TSK-4).
 *
 * @par Regions
 * A scope is a region opened by a task, with a Cx for it. asup_cx_scope_join()
 * returns when nothing of it is left: every task Completed, losers drained,
 * finalizers run, the ledger empty (R-REG-4). A task's scopes end with it: when
 * it is cancelled they are cancelled, and it is Completed only when they are
 * Closed.
 *
 * @par Capabilities (R-CAP-1, R-CAP-2)
 * A task's own Cx is for its region and what is below it, and nothing else. What
 * lies further out it reaches through a Cx that it was handed, as a part of its
 * argument: a parent that shares a channel with tasks in deeper scopes gives them
 * the Cx of the channel's region, or one derived from that with fewer rights. The
 * Cx says what may be done; who does it, waits, holds what comes of it and must
 * resolve it (R-OBL-2) is always the task that runs.
 *
 * @par Cancellation (R-CAN-1, R-TSK-2)
 * Every call that waits is a checkpoint and so is asup_cx_checkpoint(): it
 * spends one poll of the budget and answers -ASUP_ECANCELLED once the task is
 * cancelled, having done nothing else. From then on the task cleans up: what it
 * holds it sends, aborts, commits or releases; calls that resolve never refuse
 * because of a cancel and never wait. What needs to wait while cleaning up does
 * so between asup_cx_mask() and asup_cx_unmask(). At the end of its drain a
 * task that still waits is given up: it never runs again, its stack is freed,
 * what it held is leaked and recovered (R-OBL-3), its outcome is `forced`.
 *
 * @par Results
 * Functions return 0 or a negative -ASUP_E...; those that return a pointer
 * return NULL and store the code. Any that waits can answer -ASUP_ECANCELLED;
 * any that needs a right the Cx lacks answers -ASUP_EDENIED; one whose Cx's
 * region is closed or that was revoked answers -ASUP_ECLOSED, -ASUP_EEXPIRED or
 * -ASUP_EREVOKED. -ASUP_ENOMEM and -ASUP_EBUSY (a limit) change nothing.
 *
 * @par What is held
 * A permit, a delivery, a lease, an operation, a saga belongs to the task that
 * got it, through whichever Cx: another that resolves it gets -ASUP_EDENIED and
 * changes nothing (R-OBL-2). What was resolved once answers -ASUP_ERESOLVED
 * (R-OBL-1).
 *
 * @par Threads
 * A Cx and everything got through it belongs to the thread of its runtime.
 */
#ifndef ASUPERSYNC_CX_H
#define ASUPERSYNC_CX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asupersync/api.h"
#include "asupersync/error.h"
#include "asupersync/types.h"
#include "asupersync/values.h"

ASUP_DECLS_BEGIN

/** What a task may do and where: a capability of one region. */
struct asup_cx;

/** A task's function. @p cx is good until it returns. */
typedef int (*asup_body)(struct asup_cx *cx, void *arg);

/* Two-phase calls return a thing that must be resolved by one of the functions
 * that take it: gcc -fanalyzer follows that and reports what is lost
 * (-Wanalyzer-malloc-leak) or resolved twice (-Wanalyzer-double-free). */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#define ASUP_RESOLVED_BY(function) __attribute__((__malloc__(function, 1)))
#else
#define ASUP_RESOLVED_BY(function)
#endif
#if defined(__GNUC__)
#define ASUP_MUST_USE __attribute__((warn_unused_result))
#define ASUP_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#define ASUP_NORETURN __attribute__((noreturn))
#else
#define ASUP_MUST_USE
#define ASUP_PRINTF(text, first)
#define ASUP_NORETURN
#endif

/* ---- Who and where ----------------------------------------------------------- */

/** The task that runs, and the region that @p cx is for. No right is needed. */
ASUP_API struct asup_task asup_cx_task(const struct asup_cx *cx);
ASUP_API struct asup_region asup_cx_region(const struct asup_cx *cx);

/**
 * The budget that is left to this task: its own met with every ancestor's
 * (R-BUD-2), less what was spent. limit_at is an instant of asup_cx_now().
 */
ASUP_API struct asup_budget asup_cx_budget(const struct asup_cx *cx);

/** Whether the task was asked to stop; observes nothing, spends nothing. */
ASUP_API bool asup_cx_is_cancel_requested(const struct asup_cx *cx);

/** Why it was: the chain down to its root cause, good until the task ends; NULL: it was not. */
ASUP_API const struct asup_reason *asup_cx_cancel_reason(const struct asup_cx *cx);

/* ---- Checkpoints, time, chance ------------------------------------------------- */

/** A place where the task may be stopped. Spends one poll (R-BUD-3), gives way to others. */
ASUP_API int asup_cx_checkpoint(struct asup_cx *cx) ASUP_MUST_USE;

/** Report work done: spends @p cost units (R-BUD-3), and is a checkpoint that spends no poll. */
ASUP_API int asup_cx_progress(struct asup_cx *cx, uint64_t cost) ASUP_MUST_USE;

/**
 * Defer cancellation until the matching asup_cx_unmask() (R-TSK-3): calls that
 * wait do so although the task is cancelled. Masks nest. Each checkpoint under a
 * mask spends one of the task's allowance (asup_spawn_options.mask_depth); with
 * none left it answers -ASUP_ECANCELLED as any other does.
 */
ASUP_API void asup_cx_mask(struct asup_cx *cx);
ASUP_API void asup_cx_unmask(struct asup_cx *cx);

/** Now, in nanoseconds; never decreases. In the lab it is virtual. Needs `time`. */
ASUP_API asup_time asup_cx_now(struct asup_cx *cx);

/** Waits. @return 0 or -ASUP_ECANCELLED. Needs `time`. */
ASUP_API int asup_cx_sleep(struct asup_cx *cx, uint64_t ns) ASUP_MUST_USE;
ASUP_API int asup_cx_sleep_until(struct asup_cx *cx, asup_time at) ASUP_MUST_USE;

/** 64 random bits; in the lab, those of its entropy seed. Needs `random`: without it 0, and
 *  the refusal is traced. */
ASUP_API uint64_t asup_cx_random_u64(struct asup_cx *cx);

/** A line of text for the trace, at most ASUP_MESSAGE_MAX bytes. Needs `trace`. */
ASUP_API void asup_cx_trace(struct asup_cx *cx, const char *format, ...) ASUP_PRINTF(2, 3);

/** End this task Panicked with a message. Its scopes are closed as at its end. */
ASUP_API void
asup_cx_panic(struct asup_cx *cx, const char *format, ...) ASUP_NORETURN ASUP_PRINTF(2, 3);

/* ---- Tasks ---------------------------------------------------------------------- */

/** What a task may take. Fill with asup_limits_init(), then change. */
struct asup_limits {
    uint64_t timeout_ns;   /**< from admission; ASUP_NEVER: none */
    asup_time deadline_at; /**< an instant of asup_cx_now(); ASUP_NEVER: none */
    uint32_t poll_quota;   /**< checkpoints; UINT32_MAX: none */
    uint64_t cost_quota;   /**< of asup_cx_progress(); UINT64_MAX: none */
    uint8_t priority;      /**< 1 to 255; 0: unset */
};
ASUP_API void asup_limits_init(struct asup_limits *limits);

/** How a task is made. Fill with asup_spawn_options_init(), then change. */
struct asup_spawn_options {
    const char *label; /**< for people, at most ASUP_LABEL_MAX bytes; NULL: none */
    struct asup_limits limits;
    uint64_t delay_ns;    /**< begins that much later; until then it is Created */
    uint64_t drain_ns;    /**< its allowance for cleanup; ASUP_NEVER: its region's */
    uint64_t response_ns; /**< declared longest time between checkpoints; 0: none (R-TSK-8) */
    uint32_t mask_depth;  /**< masked checkpoints allowed (R-TSK-3); default 64 */
    size_t stack_size;    /**< bytes, at least 16 KiB; 0: the runtime's */
};
ASUP_API void asup_spawn_options_init(struct asup_spawn_options *options);

/**
 * Make a task in the region of @p cx; it runs when this one gives way. Needs `spawn`.
 *
 * @param options   Borrowed; NULL for the defaults.
 * @param arg       Handed to @p body; must be good until the region is Closed.
 * @param[out] out  The task; NULL when nobody asks.
 * @return 0, -ASUP_ECLOSED (the region admits nothing any more), -ASUP_EBUSY.
 */
ASUP_API int asup_cx_spawn(struct asup_cx *cx, asup_body body, void *arg, struct asup_task *out);
ASUP_API int asup_cx_spawn_with(struct asup_cx *cx, const struct asup_spawn_options *options,
                                asup_body body, void *arg, struct asup_task *out);

/**
 * Wait for a task's end. Waiting consumes nothing (R-TSK-7). Waits.
 *
 * @param[out] out  Its outcome; what it points to is good until the calling task ends. NULL: not
 *                  wanted.
 * @return 0: it has ended, however it did; -ASUP_ENOTFOUND; -ASUP_EDENIED without `observe`.
 */
ASUP_API int
asup_cx_join(struct asup_cx *cx, struct asup_task task, struct asup_outcome *out) ASUP_MUST_USE;

/** Ask a task to stop (User). Needs `cancel`. Does not wait. */
ASUP_API int asup_cx_cancel(struct asup_cx *cx, struct asup_task task, const char *message);

/** An outcome as a result: Ok 0, Cancelled -ASUP_ECANCELLED, Panicked -ASUP_EPANICKED, an Err
 *  its exit code, or the negative code that the task returned. */
ASUP_API int asup_outcome_result(const struct asup_outcome *outcome);

/* ---- Scopes ----------------------------------------------------------------------- */

/** How a region is opened. Fill with asup_scope_options_init(), then change. */
struct asup_scope_options {
    const char *name; /**< unique among its live siblings; NULL: its id */
    struct asup_limits limits;
    uint64_t drain_ns;       /**< cleanup allowance; ASUP_NEVER: by the root cause (R-CAN-2) */
    enum asup_policy policy; /**< which outcomes count, and when the rest is cancelled (R-POL-1) */
    uint32_t quorum;         /**< k of ASUP_POLICY_QUORUM; else 0 */
    bool strict;             /**< a leaked obligation makes its outcome Panicked */
    bool soft;               /**< never forced (R-REG-8) */
};
ASUP_API void asup_scope_options_init(struct asup_scope_options *options);

/**
 * Scopes nest as calls do: the one opened last is joined first, by the task
 * that opened it. One that is not is closed when the task ends.
 */
ASUP_API void asup_cx_scope_close(struct asup_cx *scope, const char *message);
ASUP_API int asup_cx_scope_join(struct asup_cx *scope, struct asup_outcome *out);

/**
 * Open a region below that of @p cx. Needs `spawn`. Does not wait.
 *
 * @param options    Borrowed; NULL: `collect`, no limits.
 * @param[out] code  Why not, where NULL is returned; NULL: not wanted.
 * @return A Cx for it, owed to asup_cx_scope_join().
 */
ASUP_API struct asup_cx *
asup_cx_scope_open(struct asup_cx *cx, const struct asup_scope_options *options,
                   int *code) ASUP_MUST_USE ASUP_RESOLVED_BY(asup_cx_scope_join);

/* asup_cx_scope_close(): cancel what runs in the scope (R-REG-3) and admit
 * nothing more; join it then. asup_cx_scope_join(): let what runs in it end, and
 * what that still spawns and opens there, then admit nothing more, run the
 * finalizers, wait until the region is Closed, release @p scope. Who joins holds
 * nothing of the scope any more: it could not give it back. It waits even though the task is
 * cancelled: its scopes are cancelled with it, so it returns within their drain. Returns the
 * region's outcome as asup_outcome_result() does, the outcome itself in @p out (as asup_cx_join());
 * NULL joins nothing and returns 0. */

/* ---- Combinators --------------------------------------------------------------------
 * Regions with a policy, one line each. All of them are checkpoints first, wait
 * until every branch has ended and been drained (R-COM-1), whatever decided, and
 * return what asup_cx_scope_join() returns. All need `spawn` and no other right. */

/** One of several pieces of work. */
struct asup_branch {
    asup_body body;
    void *arg;
    const char *label; /**< NULL: none */
};

/** All must end; the worst outcome counts (`collect`). With @p fail_fast the first failure
 *  cancels the rest. */
ASUP_API int asup_cx_all(struct asup_cx *cx, const struct asup_branch *branches, size_t count,
                         bool fail_fast, struct asup_outcome *out);
/** The first end of any kind decides, the rest is cancelled. @param[out] winner Its index, or
 *  SIZE_MAX: none; NULL: not wanted. */
ASUP_API int asup_cx_race(struct asup_cx *cx, const struct asup_branch *branches, size_t count,
                          size_t *winner, struct asup_outcome *out);
/** The first Ok decides; without one all count. */
ASUP_API int asup_cx_first_ok(struct asup_cx *cx, const struct asup_branch *branches, size_t count,
                              size_t *winner, struct asup_outcome *out);
/** The k-th Ok decides; Err when that has become impossible. */
ASUP_API int asup_cx_quorum(struct asup_cx *cx, uint32_t k, const struct asup_branch *branches,
                            size_t count, struct asup_outcome *out);
/** @p body within @p ns; then it is cancelled with Timeout and drained. */
ASUP_API int asup_cx_timeout(struct asup_cx *cx, uint64_t ns, asup_body body, void *arg,
                             struct asup_outcome *out);
/** @p body, and once more if it has not ended after @p delay_ns: the first Ok counts, without one
 *  both do. Both run with the same @p arg. */
ASUP_API int asup_cx_hedge(struct asup_cx *cx, uint64_t delay_ns, asup_body body, void *arg,
                           struct asup_outcome *out);

struct asup_retry {
    uint32_t attempts;        /**< in all, at least 1 */
    uint64_t backoff_ns;      /**< before the second; doubles with each attempt */
    uint64_t backoff_most_ns; /**< 0: no bound */
    uint64_t timeout_ns;      /**< of each attempt; 0 and ASUP_NEVER: none */
};
/** @p body until it is Ok, as often as the rule says; the last attempt counts. What is tried again
 *  is an Err, and an attempt whose own time was over; no other cancel, and no panic. */
ASUP_API int asup_cx_retry(struct asup_cx *cx, const struct asup_retry *rule, asup_body body,
                           void *arg, struct asup_outcome *out);

/** A stage of a pipeline: takes from @p in (id 0 for the first) and gives to @p out (id 0 for
 *  the last) until the channel it reads has Ended. When it returns both are sealed for it: the next
 *  comes to the end, and the one before it, if there is more, gets -ASUP_EENDED where it reserves.
 */
typedef int (*asup_stage_body)(struct asup_cx *cx, struct asup_channel in, struct asup_channel out,
                               void *arg);
struct asup_stage {
    asup_stage_body body;
    void *arg;
    const char *label;
};
/** Stages joined by channels of @p capacity; the first failure cancels the rest, and is returned.
 */
ASUP_API int asup_cx_pipeline(struct asup_cx *cx, const struct asup_stage *stages, size_t count,
                              uint32_t capacity, struct asup_outcome *out);

/** Makes the result of item @p index; then results are folded in the order of their index. */
typedef int (*asup_map_body)(struct asup_cx *cx, size_t index, void *item, void *arg);
typedef int (*asup_reduce_body)(struct asup_cx *cx, size_t index, void *item, void *arg);
/**
 * Run @p map for each of @p count items (item i is items + i * item_size), at most
 * @p at_once at a time (0: all), the first failure cancels the rest; then
 * @p reduce for each in order, in the calling task.
 */
ASUP_API int asup_cx_map_reduce(struct asup_cx *cx, void *items, size_t count, size_t item_size,
                                uint32_t at_once, asup_map_body map, asup_reduce_body reduce,
                                void *arg, struct asup_outcome *out);

/* ---- Cleanup ------------------------------------------------------------------------- */

/** Register a finalizer of the region of @p cx: a task that runs when it closes, last in first
 *  out, masked, within @p budget_ns (ASUP_NEVER: the default) (R-FIN-1). */
ASUP_API int asup_cx_defer(struct asup_cx *cx, asup_body body, void *arg, uint64_t budget_ns);

/* ---- Channels (two-phase) --------------------------------------------------------------- */

struct asup_channel_limits {
    uint32_t capacity;          /**< queued + permits + unacknowledged; at least 1 */
    uint64_t ack_timeout_ns;    /**< an unsettled ack is Aborted then; 0 and ASUP_NEVER: none */
    uint64_t permit_timeout_ns; /**< likewise a permit */
    uint32_t nacks_max;         /**< so many nacks and deaths: dead letter; 0: no cap */
};
/** Open a channel in the region of @p cx, for all who have a Cx of that region or one above. @param
 * name NULL: its id. @param limits NULL: capacity 16, no timeouts, no cap. Needs `channel`. */
ASUP_API int
asup_cx_channel_open(struct asup_cx *cx, const char *name, const struct asup_channel_limits *limits,
                     struct asup_channel *out);
/** No more intake: receivers get -ASUP_EENDED once it is empty. */
ASUP_API int asup_cx_channel_seal(struct asup_cx *cx, struct asup_channel channel);

/** Largest message, in bytes. */
#define ASUP_SEND_SIZE_MAX ((size_t)1 << 20)

/** A slot in a channel, reserved: nothing has been said yet. */
struct asup_permit;
/** Send into the slot; copied, at most ASUP_SEND_SIZE_MAX bytes. Never waits. The permit is gone
 * then, also after an error: -ASUP_EEXPIRED, -ASUP_ECLOSED: it was lost before, nothing was sent;
 * but for -ASUP_EDENIED: it is another task's. */
ASUP_API int asup_permit_send(struct asup_permit *permit, const void *data, size_t size);
/** Give the slot back. NULL is allowed. */
ASUP_API void asup_permit_abort(struct asup_permit *permit);
/** Wait for room and reserve it. Waits. @param timeout_ns 0 polls, ASUP_NEVER waits for ever;
 *  *code is then -ASUP_ETIMEDOUT. */
ASUP_API struct asup_permit *asup_cx_reserve(struct asup_cx *cx, struct asup_channel channel,
                                             uint64_t timeout_ns, int *code) ASUP_MUST_USE
    ASUP_RESOLVED_BY(asup_permit_send) ASUP_RESOLVED_BY(asup_permit_abort);

/** A message with its Ack. */
struct asup_delivery;
/** Its bytes, good until it is resolved. */
ASUP_API const void *asup_delivery_data(const struct asup_delivery *delivery, size_t *size);
/** Which delivery this is, from 1. */
ASUP_API uint32_t asup_delivery_count(const struct asup_delivery *delivery);
/** It is done with: never delivered again. Never waits. -ASUP_EEXPIRED: the ack's time was over
 *  and it was, or will be, delivered again. */
ASUP_API int asup_ack_commit(struct asup_delivery *delivery);
/** It was not: it returns to its place. @param note For its history; NULL: none. */
ASUP_API void asup_ack_nack(struct asup_delivery *delivery, const char *note);
/** Wait for a message. Waits. *code: -ASUP_ETIMEDOUT; -ASUP_EENDED: the channel is sealed and
 *  has nothing more. */
ASUP_API struct asup_delivery *asup_cx_receive(struct asup_cx *cx, struct asup_channel channel,
                                               uint64_t timeout_ns, int *code) ASUP_MUST_USE
    ASUP_RESOLVED_BY(asup_ack_commit) ASUP_RESOLVED_BY(asup_ack_nack);

/* ---- Leases and I/O operations ---------------------------------------------------------- */

/** A lease held by this task, with its fencing token. */
struct asup_lease_held;
ASUP_API uint64_t asup_lease_token(const struct asup_lease_held *lease);
/** From now on for its time to live again. -ASUP_EEXPIRED: too late (R: [grant, expiry)). */
ASUP_API int asup_lease_renew(const struct asup_lease_held *lease);
/** Release it, or what is left of it. NULL is allowed. */
ASUP_API void asup_lease_release(struct asup_lease_held *lease);
/** Wait for the lease of that name in the region of @p cx. Waits. Needs `lease`. A task whose
 *  lease expires is cancelled with ResourceUnavailable. */
ASUP_API struct asup_lease_held *
asup_cx_lease_acquire(struct asup_cx *cx, const char *name, uint64_t ttl_ns, uint64_t timeout_ns,
                      int *code) ASUP_MUST_USE ASUP_RESOLVED_BY(asup_lease_release);

/** An effect in flight outside the program: the region waits for it. */
struct asup_io;
ASUP_API int asup_io_complete(struct asup_io *io);
ASUP_API void asup_io_cancel(struct asup_io *io);
ASUP_API struct asup_io *asup_cx_io_begin(struct asup_cx *cx, const char *label,
                                          uint64_t timeout_ns, int *code) ASUP_MUST_USE
    ASUP_RESOLVED_BY(asup_io_complete) ASUP_RESOLVED_BY(asup_io_cancel);

/* ---- Sagas (R-SAG-1, R-SAG-2) --------------------------------------------------------------- */

/** Steps, each with its compensation. */
struct asup_saga_open;
struct asup_saga_step {
    const char *name;
    asup_body action; /**< NULL: the caller does it itself, after this call returned */
    void *action_arg;
    asup_body compensation; /**< must tolerate an action that did nothing */
    void *compensation_arg;
    uint64_t budget_ns;      /**< of the compensation; 0 and ASUP_NEVER: the default */
    struct asup_retry retry; /**< of the compensation; attempts 0: once */
};
/** All steps stay done. Waits for the last action. */
ASUP_API int asup_saga_complete(struct asup_saga_open *saga);
/** Undo what was begun, in reverse order; waits until it is undone, even when cancelled.
 *  -ASUP_EUNAVAILABLE: a compensation failed for good; a program has no operator who could help
 *  (R-SAG-4), so it is given up, the rest is undone, and it counts in the outcome of its region.
 *  NULL is allowed. */
ASUP_API int asup_saga_abort(struct asup_saga_open *saga, const char *note);
/** Begin one in the region of @p cx. Needs `saga`. Never resolved, it is compensated when the
 *  region closes, or when who began it joins that. */
ASUP_API struct asup_saga_open *
asup_cx_saga_begin(struct asup_cx *cx, const char *name, int *code) ASUP_MUST_USE
    ASUP_RESOLVED_BY(asup_saga_complete) ASUP_RESOLVED_BY(asup_saga_abort);
/** Record the compensation, then run the action and wait for its end. Waits. @return as
 *  asup_outcome_result() of the action; after a failure the saga is compensating: abort it. */
ASUP_API int
asup_saga_step_run(struct asup_saga_open *saga, const struct asup_saga_step *step) ASUP_MUST_USE;

/* ---- Capabilities (R-CAP-1) --------------------------------------------------------------------
 */

/** Revoke a derived Cx and all derived from it, and release it. NULL is allowed. */
ASUP_API void asup_cx_revoke(struct asup_cx *derived);
/** A Cx that may less: @p rights (bits of enum asup_right) of those of @p cx, within @p limits
 *  (NULL: those of @p cx). What is spawned with it has no more than it. Needs `delegate`. */
ASUP_API struct asup_cx *
asup_cx_derive(struct asup_cx *cx, uint32_t rights, const struct asup_limits *limits,
               int *code) ASUP_MUST_USE ASUP_RESOLVED_BY(asup_cx_revoke);

/* ---- A structured look --------------------------------------------------------------------------
 * ASUP_SCOPE opens a scope, runs the block that follows once with the Cx of that
 * name, and joins it; `result` (an int of the caller's) is what the join, or the
 * failed opening, returned. Leaving the block early with break joins as well;
 * return or goto out of it leaves the scope to the end of the task. No other
 * control flow is hidden.
 *
 *     int result;
 *     ASUP_SCOPE (scope, cx, &result) {
 *         ASUP_SPAWN(scope, worker_a, &a);
 *         ASUP_SPAWN(scope, worker_b, &b);
 *     }
 *     return result; // nothing of the inside runs any more
 */
#define ASUP_SCOPE(scope, cx, result)                                                              \
    for (struct asup_cx *scope = asup_cx_scope_open((cx), NULL, (result)); scope != NULL;          \
         *(result) = asup_cx_scope_join(scope, NULL), scope = NULL)                                \
        for (bool scope##_once = true; scope##_once; scope##_once = false)
/** Spawn without asking for the task. */
#define ASUP_SPAWN(cx, body, arg) asup_cx_spawn((cx), (body), (arg), NULL)
/** Return from the function when a call failed, as most bodies want it. */
#define ASUP_TRY(expression)                                                                       \
    do {                                                                                           \
        int asup_try_result = (expression);                                                        \
        if (asup_try_result != 0)                                                                  \
            return asup_try_result;                                                                \
    } while (0)
/** All of them, or the first of them: branches without labels, as arguments. */
#define ASUP_BRANCH(body, arg)                                                                     \
    (struct asup_branch)                                                                           \
    {                                                                                              \
        (body), (arg), NULL                                                                        \
    }
#define ASUP_JOIN_ALL(cx, ...)                                                                     \
    asup_cx_all((cx), (const struct asup_branch[]){__VA_ARGS__},                                   \
                sizeof((const struct asup_branch[]){__VA_ARGS__}) / sizeof(struct asup_branch),    \
                false, NULL)
#define ASUP_RACE(cx, winner, ...)                                                                 \
    asup_cx_race((cx), (const struct asup_branch[]){__VA_ARGS__},                                  \
                 sizeof((const struct asup_branch[]){__VA_ARGS__}) / sizeof(struct asup_branch),   \
                 (winner), NULL)

ASUP_DECLS_END

#endif
