/* SPDX-License-Identifier: MIT */
/**
 * @file saga.h
 * Sagas: steps that are undone in reverse order when one of them fails
 * (asupersync-semantics(7), R-SAG).
 *
 * A saga is begun in a region and driven by the session, or task, that takes
 * its steps. Each step is an action and its compensation; the compensation is
 * recorded before the action starts. The saga ends by asup_client_saga_complete();
 * when a step fails, on asup_client_saga_abort(), and when its region closes,
 * every step that was begun, the failing one included, is compensated, the last
 * one first, one at a time, and nothing can cancel that. So a compensation must
 * tolerate an action that did nothing.
 *
 *     asup_client_saga_begin(c, region, "order", &saga, &err);
 *     asup_saga_step_init(&step);
 *     step.name = "charge";
 *     step.action = &charge;
 *     step.undo = &refund;
 *     asup_client_saga_step(c, saga, &step, &result, &err);
 *     asup_client_task_wait(c, result.task, ASUP_UNTIL_FINISHED, -1, NULL, &err);
 *     asup_client_saga_complete(c, saga, &err);
 */
#ifndef ASUPERSYNC_SAGA_H
#define ASUPERSYNC_SAGA_H

#include "asupersync/client.h"
#include "asupersync/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, number, "wire-name") */
#define ASUP_SAGA_STATE_LIST(X)                                                                    \
    X(RUNNING, 0, "running")                                                                       \
    X(COMPENSATING, 1, "compensating")                                                             \
    X(NEEDS_ATTENTION, 2, "needs-attention")                                                       \
    X(COMPLETED, 3, "completed")                                                                   \
    X(COMPENSATED, 4, "compensated")
#define ASUP_STEP_STATE_LIST(X)                                                                    \
    X(RUNNING, 0, "running")                                                                       \
    X(DONE, 1, "done")                                                                             \
    X(FAILED, 2, "failed")                                                                         \
    X(COMPENSATING, 3, "compensating")                                                             \
    X(COMPENSATED, 4, "compensated")                                                               \
    X(NEEDS_ATTENTION, 5, "needs-attention")                                                       \
    X(RESOLVED, 6, "resolved")

enum asup_saga_state {
#define ASUP_SAGA_ENUM(name, number, wire) ASUP_SAGA_##name = (number),
    ASUP_SAGA_STATE_LIST(ASUP_SAGA_ENUM)
#undef ASUP_SAGA_ENUM
};
enum asup_step_state {
#define ASUP_STEP_ENUM(name, number, wire) ASUP_STEP_##name = (number),
    ASUP_STEP_STATE_LIST(ASUP_STEP_ENUM)
#undef ASUP_STEP_ENUM
};

/** A step to take. Everything in it is borrowed for the call. */
struct asup_saga_step {
    const char *name;                  /**< 1 to ASUP_NAME_MAX bytes */
    const struct asup_process *action; /**< NULL: the caller does it by itself; done when the
                                            next step begins or the saga completes */
    const struct asup_process *undo;   /**< the compensation; its budget.timeout_ns is the
                                            time of one attempt (default 10 s) */
    /** Instead of them, what a worker does; of the compensation's budget only timeout_ns may be
     *  set, which is the time to find a worker and be done, and it has no attempts of its own. */
    const struct asup_call_options *action_call, *undo_call;
    uint32_t attempts;        /**< to undo it; 0: 3 */
    uint64_t backoff_ns;      /**< after the first of them, doubling; ASUP_NEVER: 1 s */
    uint64_t backoff_most_ns; /**< ASUP_NEVER: 30 s */
};
/** Everything at its default; name and undo, or undo_call, are still to be set. */
ASUP_API void asup_saga_step_init(struct asup_saga_step *step);

/** What became of a request for a step. */
struct asup_saga_stepped {
    uint32_t number;       /**< 1, 2, 3, ... */
    struct asup_task task; /**< its action; {0}: the caller's own doing */
};

struct asup_saga_step_info {
    char *name;
    enum asup_step_state state;
    struct asup_task action; /**< {0}: the driver's own doing */
    struct asup_task undo;   /**< the last attempt; {0}: none yet */
    uint32_t attempts, attempts_most;
    uint64_t next_in_ns; /**< until the next attempt; ASUP_NEVER: none is planned */
};

struct asup_saga_info {
    struct asup_saga saga;
    struct asup_region region;
    char *name;
    char *path; /**< of its region */
    enum asup_saga_state state;
    struct asup_ref driver;
    uint32_t step_at; /**< number of the step being undone; 0: none */
    uint64_t age_ns;  /**< of one that has ended: how long it took */
    struct asup_saga_step_info *steps;
    size_t step_count;
};
ASUP_API void asup_saga_info_fini(struct asup_saga_info *info);

/**
 * Begin a saga on top of a region's stack.
 *
 * @param name      For people; NULL: its id.
 * @param[out] out  The saga; nothing to release.
 *
 * @return 0, -ASUP_ECLOSED, -ASUP_EBUSY (limit), -ASUP_ENOTFOUND, -ASUP_EDENIED,
 *         -ASUP_EINVALID (neither a session nor a task asks).
 */
ASUP_API int
asup_client_saga_begin(struct asup_client *c, struct asup_region region, const char *name,
                       struct asup_saga *out, struct asup_error_info *err);

/**
 * Record a compensation, then start the action. The caller drives the saga
 * from then on. The action of the step before must have ended.
 *
 * @param[out] out  NULL: not wanted.
 *
 * @return 0, -ASUP_ERESOLVED (ended, or being undone), -ASUP_ECLOSED,
 *         -ASUP_EINVALID, -ASUP_EBUSY.
 */
ASUP_API int asup_client_saga_step(struct asup_client *c, struct asup_saga saga,
                                   const struct asup_saga_step *step, struct asup_saga_stepped *out,
                                   struct asup_error_info *err);

/** All is done: nothing will be undone. @return as asup_client_saga_step(). */
ASUP_API int asup_client_saga_complete(struct asup_client *c, struct asup_saga saga,
                                       struct asup_error_info *err);

/** Undo every step that was begun. Returns when that is under way; an action
 *  that runs is cancelled first. @return 0, also when it is being undone or was;
 *  -ASUP_ERESOLVED when it is completed. */
ASUP_API int asup_client_saga_abort(struct asup_client *c, struct asup_saga saga,
                                    const char *message, struct asup_error_info *err);

/** An operator's answer to a saga that needs attention (R-SAG-4): try again, with
 *  @p retry, or take it as made up for by other means and go on.
 *  @return 0, -ASUP_EINVALID when it needs none. */
ASUP_API int asup_client_saga_resolve(struct asup_client *c, struct asup_saga saga, bool retry,
                                      struct asup_error_info *err);

/** Wait until a saga has ended, or needs attention.
 *  @param[out] out  Release with asup_saga_info_fini(); NULL: not wanted.
 *  @return 0, -ASUP_ETIMEDOUT, -ASUP_ENOTFOUND. */
ASUP_API int asup_client_saga_wait(struct asup_client *c, struct asup_saga saga, int64_t timeout_ms,
                                   struct asup_saga_info *out, struct asup_error_info *err);

/** How a saga is now; ended ones as well while they are retained. */
ASUP_API int asup_client_saga_stat(struct asup_client *c, struct asup_saga saga,
                                   struct asup_saga_info *out, struct asup_error_info *err);

#ifdef __cplusplus
}
#endif

#endif
