/* SPDX-License-Identifier: MIT */
/**
 * @file types.h
 * The values that everything in asupersync speaks about: identifiers, time,
 * outcomes, cancel reasons and budgets. Plain data; the operations on it are
 * in values.h.
 */
#ifndef ASUPERSYNC_TYPES_H
#define ASUPERSYNC_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Identifiers ------------------------------------------------------
 * 64 bits, handed out in increasing order, never reused, 0 means none. Each
 * sort has its own type, so the compiler tells a region from a task, and its
 * own text form: r12, t7, s3, o9, c4, m21, g2, x5. */

struct asup_region {
    uint64_t id;
};
struct asup_task {
    uint64_t id;
};
struct asup_session {
    uint64_t id;
};
struct asup_obligation {
    uint64_t id;
};
struct asup_channel {
    uint64_t id;
};
struct asup_message {
    uint64_t id;
};
struct asup_saga {
    uint64_t id;
};
struct asup_capability {
    uint64_t id;
};

/** The sorts of identifiers; the value is the letter of the text form. */
enum asup_sort {
    ASUP_SORT_NONE = 0,
    ASUP_SORT_REGION = 'r',
    ASUP_SORT_TASK = 't',
    ASUP_SORT_SESSION = 's',
    ASUP_SORT_OBLIGATION = 'o',
    ASUP_SORT_CHANNEL = 'c',
    ASUP_SORT_MESSAGE = 'm',
    ASUP_SORT_SAGA = 'g',
    ASUP_SORT_CAPABILITY = 'x',
};

/** Any identifier together with its sort. */
struct asup_ref {
    uint64_t id;
    enum asup_sort sort;
};

/** The root region "/", which the daemon owns, always has this id. */
#define ASUP_ROOT_ID ((uint64_t)1)

/* ---- Time --------------------------------------------------------------
 * Nanoseconds. An instant is kernel time: it never decreases and has no
 * relation to the wall clock. A duration is a difference of instants. */

typedef uint64_t asup_time;

/** An instant that never comes; a duration without end; "not given". */
#define ASUP_NEVER UINT64_MAX

#define ASUP_NS_PER_MS ((uint64_t)1000000)
#define ASUP_NS_PER_S ((uint64_t)1000000000)

/* ---- Sizes and depths -------------------------------------------------- */

/** Longest name of a region, in bytes. */
#define ASUP_NAME_MAX 128
/** Longest idempotency key, in bytes. */
#define ASUP_KEY_MAX 128
/** Longest label of a task, in bytes. */
#define ASUP_LABEL_MAX 128
/** Longest message in a cancel reason, in bytes. */
#define ASUP_MESSAGE_MAX 256
/** Deepest nesting of regions below "/". */
#define ASUP_DEPTH_MAX 32

/* ---- Outcomes (R-OUT-1 to R-OUT-3) ------------------------------------- */

/** How something ended, in order of severity. */
enum asup_severity {
    ASUP_OK = 0,
    ASUP_ERR = 1,
    ASUP_CANCELLED = 2,
    ASUP_PANICKED = 3,
};

/** What decides between two outcomes (R-OUT-1): the worse severity, then the
 *  earlier instant, then the smaller origin. */
struct asup_outcome_key {
    uint8_t severity; /**< enum asup_severity */
    asup_time at;     /**< kernel time at which it was decided */
    uint64_t origin;  /**< id of the task or region it first came from */
};

/* ---- Cancel reasons (R-CAN-1) ------------------------------------------ */

/* X(NAME, number, tier, "wire-name") in order of severity tier. */
#define ASUP_CANCEL_LIST(X)                                                                        \
    X(USER, 0, 0, "user")                                                                          \
    X(TIMEOUT, 1, 1, "timeout")                                                                    \
    X(DEADLINE, 2, 1, "deadline")                                                                  \
    X(POLL_QUOTA, 3, 2, "poll-quota")                                                              \
    X(COST_BUDGET, 4, 2, "cost-budget")                                                            \
    X(FAIL_FAST, 5, 3, "fail-fast")                                                                \
    X(RACE_LOST, 6, 3, "race-lost")                                                                \
    X(LINKED_EXIT, 7, 3, "linked-exit")                                                            \
    X(PARENT_CANCELLED, 8, 4, "parent-cancelled")                                                  \
    X(RESOURCE_UNAVAILABLE, 9, 4, "resource-unavailable")                                          \
    X(SHUTDOWN, 10, 5, "shutdown")

enum asup_cancel_kind {
#define ASUP_CANCEL_ENUM(name, number, tier, wire) ASUP_CANCEL_##name = (number),
    ASUP_CANCEL_LIST(ASUP_CANCEL_ENUM)
#undef ASUP_CANCEL_ENUM
};
#define ASUP_CANCEL_KIND_COUNT 11

/** What decides between two cancel reasons (R-CAN-1): the more severe tier,
 *  then the earlier instant, then the smaller origin. */
struct asup_reason_key {
    uint8_t kind;    /**< enum asup_cancel_kind */
    asup_time at;    /**< kernel time of the request */
    uint64_t origin; /**< id of the region or task the request named */
};

/** Why something was cancelled: a chain that ends at the root cause. */
struct asup_reason {
    struct asup_reason_key key;
    enum asup_sort origin_sort;      /**< region or task */
    const char *message;             /**< UTF-8, NUL-terminated, never NULL */
    const struct asup_reason *cause; /**< what caused it; NULL at the root */
};

/** How something ended, with its evidence. */
struct asup_outcome {
    struct asup_outcome_key key;
    enum asup_sort origin_sort; /**< task or region the outcome came from */
    bool forced;                /**< killed while its main process lived */
    int32_t exit_code;          /**< 0 to 255, or -1 when there is none */
    int32_t signal;             /**< number of the signal it died of, or 0 */
    const char *stage;          /**< where a start failed ("exec"), "no-winner", ... or NULL */
    int32_t error_number;       /**< errno of a start that failed, or 0 */
    const char *error;          /**< error text, or NULL */
    const struct asup_reason *reason; /**< cancel reason, or NULL */
    uint64_t wall_ns;                 /**< from start to end */
    uint64_t cpu_ns;                  /**< user and system time */
    uint64_t memory_peak;             /**< bytes; 0 when unknown */
};

/* ---- Budgets (R-BUD-1) -------------------------------------------------- */

/** What work may take. The empty budget {ASUP_NEVER, …, UINT32_MAX,
 *  UINT64_MAX, 0} limits nothing and is the identity of meet. */
struct asup_budget {
    asup_time limit_at;  /**< kernel time at which it ends; ASUP_NEVER: none */
    uint8_t limit_kind;  /**< ASUP_CANCEL_TIMEOUT or ASUP_CANCEL_DEADLINE */
    uint8_t priority;    /**< 1 to 255; 0: unset, runs as 128 */
    uint32_t poll_quota; /**< checkpoints; UINT32_MAX: no limit */
    uint64_t cost_quota; /**< cost units, CPU ms for processes; UINT64_MAX: none */
};

/* ---- States -------------------------------------------------------------- */

/* X(NAME, number, "wire-name") */
#define ASUP_REGION_STATE_LIST(X)                                                                  \
    X(OPEN, 0, "open")                                                                             \
    X(CLOSING, 1, "closing")                                                                       \
    X(DRAINING, 2, "draining")                                                                     \
    X(FINALIZING, 3, "finalizing")                                                                 \
    X(CLOSED, 4, "closed")
#define ASUP_TASK_STATE_LIST(X)                                                                    \
    X(CREATED, 0, "created")                                                                       \
    X(RUNNING, 1, "running")                                                                       \
    X(CANCEL_REQUESTED, 2, "cancel-requested")                                                     \
    X(CANCELLING, 3, "cancelling")                                                                 \
    X(FINALIZING, 4, "finalizing")                                                                 \
    X(COMPLETED, 5, "completed")
#define ASUP_POLICY_LIST(X)                                                                        \
    X(COLLECT, 0, "collect")                                                                       \
    X(FAIL_FAST, 1, "fail-fast")                                                                   \
    X(RACE, 2, "race")                                                                             \
    X(FIRST_OK, 3, "first-ok")                                                                     \
    X(QUORUM, 4, "quorum")                                                                         \
    X(LAST, 5, "last")

enum asup_region_state {
#define ASUP_STATE_ENUM(name, number, wire) ASUP_REGION_##name = (number),
    ASUP_REGION_STATE_LIST(ASUP_STATE_ENUM)
#undef ASUP_STATE_ENUM
};
#define ASUP_REGION_STATE_COUNT 5

enum asup_task_state {
#define ASUP_STATE_ENUM(name, number, wire) ASUP_TASK_##name = (number),
    ASUP_TASK_STATE_LIST(ASUP_STATE_ENUM)
#undef ASUP_STATE_ENUM
};
#define ASUP_TASK_STATE_COUNT 6

enum asup_policy {
#define ASUP_POLICY_ENUM(name, number, wire) ASUP_POLICY_##name = (number),
    ASUP_POLICY_LIST(ASUP_POLICY_ENUM)
#undef ASUP_POLICY_ENUM
};
#define ASUP_POLICY_COUNT 6

/* ---- Obligations (R-OBL-1) ------------------------------------------------ */

/* X(NAME, number, "wire-name") */
#define ASUP_OBLIGATION_KIND_LIST(X)                                                               \
    X(SEND_PERMIT, 0, "send-permit")                                                               \
    X(ACK, 1, "ack")                                                                               \
    X(LEASE, 2, "lease")                                                                           \
    X(IO_OP, 3, "io-op")

enum asup_obligation_kind {
#define ASUP_STATE_ENUM(name, number, wire) ASUP_OBLIGATION_##name = (number),
    ASUP_OBLIGATION_KIND_LIST(ASUP_STATE_ENUM)
#undef ASUP_STATE_ENUM
};
#define ASUP_OBLIGATION_KIND_COUNT 4

/* ---- Rights of a capability (R-CAP-1) ---------------------------------------- */

/* X(NAME, bit, "wire-name") */
#define ASUP_RIGHT_LIST(X)                                                                         \
    X(SPAWN, 0, "spawn")                                                                           \
    X(CANCEL, 1, "cancel")                                                                         \
    X(CLOSE, 2, "close")                                                                           \
    X(OBSERVE, 3, "observe")                                                                       \
    X(TIME, 4, "time")                                                                             \
    X(RANDOM, 5, "random")                                                                         \
    X(TRACE, 6, "trace")                                                                           \
    X(CHANNEL, 7, "channel")                                                                       \
    X(LEASE, 8, "lease")                                                                           \
    X(IO, 9, "io")                                                                                 \
    X(SAGA, 10, "saga")                                                                            \
    X(SERVE, 11, "serve")                                                                          \
    X(DELEGATE, 12, "delegate")                                                                    \
    X(ADMIN, 13, "admin")

enum asup_right {
#define ASUP_RIGHT_ENUM(name, bit, wire) ASUP_RIGHT_##name = 1 << (bit),
    ASUP_RIGHT_LIST(ASUP_RIGHT_ENUM)
#undef ASUP_RIGHT_ENUM
};
#define ASUP_RIGHT_COUNT 14
/** Every right but `admin`: what a task's own capability carries. */
#define ASUP_RIGHTS_TASK ((1 << 13) - 1)
#define ASUP_RIGHTS_ALL ((1 << ASUP_RIGHT_COUNT) - 1)

/** How a region is ended (R-REG-3). */
enum asup_end_mode {
    ASUP_END_CLOSE = 0,  /**< cancel what runs (User, "close") */
    ASUP_END_FINISH = 1, /**< let admitted work end */
    ASUP_END_CANCEL = 2, /**< cancel with the caller's own message */
};

#ifdef __cplusplus
}
#endif

#endif
