/* SPDX-License-Identifier: MIT */
/*
 * Events as bytes. Every kind has a row: its number, which no other kind ever
 * had or gets, the table of its payload, and what follows the payload. A family
 * adds the tables of its payloads and the rows of its kinds in its block.
 */
#include "core/codec.h"
#include "core/call.h"

/* ---- Shared structs ----------------------------------------------------------------- */

static const struct field ref_fields[] = {
    NUMBER(struct asup_ref, id),
    UP_TO(struct asup_ref, sort, 255),
};
const struct table ref_table = TABLE(struct asup_ref, ref_fields);

static const struct field budget_fields[] = {
    NUMBER(struct asup_budget, limit_at),
    UP_TO(struct asup_budget, limit_kind, ASUP_CANCEL_KIND_COUNT - 1),
    NUMBER(struct asup_budget, priority),
    NUMBER(struct asup_budget, poll_quota),
    NUMBER(struct asup_budget, cost_quota),
};
const struct table budget_table = TABLE(struct asup_budget, budget_fields);

static const struct field outcome_key_fields[] = {
    UP_TO(struct asup_outcome_key, severity, ASUP_PANICKED),
    NUMBER(struct asup_outcome_key, at),
    NUMBER(struct asup_outcome_key, origin),
};
static const struct table outcome_key_table = TABLE(struct asup_outcome_key, outcome_key_fields);

static const struct field outcome_fields[] = {
    STRUCT(struct kernel_outcome, key, outcome_key_table),
    NUMBER(struct kernel_outcome, origin_sort),
    BOOL(struct kernel_outcome, forced),
    BOOL(struct kernel_outcome, lost),
    NUMBER(struct kernel_outcome, exit_code),
    NUMBER(struct kernel_outcome, signal),
    NUMBER(struct kernel_outcome, error),
    RAW(struct kernel_outcome, stage),
    NUMBER(struct kernel_outcome, reason),
    NUMBER(struct kernel_outcome, wall_ns),
    NUMBER(struct kernel_outcome, cpu_ns),
    NUMBER(struct kernel_outcome, memory_peak),
};
const struct table outcome_table = TABLE(struct kernel_outcome, outcome_fields);

static const struct field reason_key_fields[] = {
    UP_TO(struct asup_reason_key, kind, ASUP_CANCEL_KIND_COUNT - 1),
    NUMBER(struct asup_reason_key, at),
    NUMBER(struct asup_reason_key, origin),
};
static const struct table reason_key_table = TABLE(struct asup_reason_key, reason_key_fields);

/* ---- The configuration ---------------------------------------------------------------- */

static const struct field limits_fields[] = {
#define LIMIT_ROW(field, type, preset, name) NUMBER(struct kernel_limits, field),
    KERNEL_LIMIT_LIST(LIMIT_ROW)
#undef LIMIT_ROW
};
static const struct table limits_table = TABLE(struct kernel_limits, limits_fields);

static const struct field allowance_fields[] = {
    NUMBER(struct kernel_allowance, drain_ns),
    NUMBER(struct kernel_allowance, polls),
};
static const struct table allowance_table = TABLE(struct kernel_allowance, allowance_fields);

static const struct field config_fields[] = {
    STRUCT(struct kernel_config, limits, limits_table),
    STRUCTS(struct kernel_config, allowance, allowance_table),
    NUMBER(struct kernel_config, leftover_ns),
    NUMBER(struct kernel_config, finalizer_ns),
    NUMBER(struct kernel_config, finalizer_hurry_ns),
    NUMBER(struct kernel_config, retention_ns),
    NUMBER(struct kernel_config, session_ttl_ns),
    NUMBER(struct kernel_config, session_ttl_ns_max),
    NUMBER(struct kernel_config, kill_grace_ns),
    NUMBER(struct kernel_config, sample_ns),
    NUMBER(struct kernel_config, ageing_ns),
    NUMBER(struct kernel_config, start_patience_ns),
    NUMBER(struct kernel_config, futurelock_ns),
    NUMBER(struct kernel_config, lease_ttl_ns_max),
    NUMBER(struct kernel_config, ack_timeout_ns),
    NUMBER(struct kernel_config, permit_timeout_ns),
    NUMBER(struct kernel_config, dead_retention_ns),
    NUMBER(struct kernel_config, key_retention_ns),
    NUMBER(struct kernel_config, nacks_max),
    NUMBER(struct kernel_config, timeouts_max),
    BOOL(struct kernel_config, strict),
    NUMBER(struct kernel_config, fairness),
    NUMBER(struct kernel_config, start_window),
    NUMBER(struct kernel_config, picks_per_step),
    NUMBER(struct kernel_config, root_uid),
    NUMBER(struct kernel_config, id_first),
};
const struct table config_table = TABLE(struct kernel_config, config_fields);

/* ---- Payloads: sessions, regions, tasks ------------------------------------------------- */

static const struct field session_fields[] = {
    NUMBER(struct session_payload, ttl_ns),  NUMBER(struct session_payload, expires_at),
    NUMBER(struct session_payload, pid),     RAW(struct session_payload, secret_digest),
    BOOL(struct session_payload, connected),
};
static const struct table session_table = TABLE(struct session_payload, session_fields);

static const struct field request_fields[] = {
    NUMBER(struct request_payload, id),
    NUMBER(struct request_payload, digest),
    STRUCT(struct request_payload, made, ref_table),
    NUMBER(struct request_payload, count),
};
static const struct table request_table = TABLE(struct request_payload, request_fields);

static const struct field request_part_fields[] = {
    NUMBER(struct request_part_payload, id),
    NUMBER(struct request_part_payload, digest),
    STRUCT(struct request_part_payload, made, ref_table),
    NUMBER(struct request_part_payload, place),
    NUMBER(struct request_part_payload, count),
};
static const struct table request_part_table =
    TABLE(struct request_part_payload, request_part_fields);

static const struct field region_fields[] = {
    STRUCT(struct region_payload, budget, budget_table),
    NUMBER(struct region_payload, drain_ns),
    NUMBER(struct region_payload, quorum),
    NUMBER(struct region_payload, tasks_max),
    NUMBER(struct region_payload, children_max),
    UP_TO(struct region_payload, policy, ASUP_POLICY_COUNT - 1),
    BOOL(struct region_payload, soft),
    BOOL(struct region_payload, is_volatile),
    BOOL(struct region_payload, strict),
};
static const struct table region_table = TABLE(struct region_payload, region_fields);

static const struct field task_fields[] = {
    STRUCT(struct task_payload, budget, budget_table),
    NUMBER(struct task_payload, due_at),
    NUMBER(struct task_payload, drain_ns),
    NUMBER(struct task_payload, leftover_ns),
    NUMBER(struct task_payload, watchdog_ns),
    NUMBER(struct task_payload, response_ns),
    NUMBER(struct task_payload, run_uid),
    NUMBER(struct task_payload, mask_depth),
    NUMBER(struct task_payload, cancel_signal),
    BOOL(struct task_payload, leftover_wait),
    BOOL(struct task_payload, notify),
    NUMBER(struct task_payload, spec_size),
    BOOL(struct task_payload, action),
    NUMBER(struct task_payload, backoff_ms),
    NUMBER(struct task_payload, backoff_most_ms),
    NUMBER(struct task_payload, attempts),
    NUMBER(struct task_payload, call_size),
    NUMBER(struct task_payload, key_size),
    NUMBER(struct task_payload, cx),
};
static const struct table task_table = TABLE(struct task_payload, task_fields);

static const struct field reason_fields[] = {
    STRUCT(struct reason_payload, key, reason_key_table),
    NUMBER(struct reason_payload, cause),
    NUMBER(struct reason_payload, origin_sort),
    BOOL(struct reason_payload, is_new),
    BOOL(struct reason_payload, limit_passed),
};
static const struct table reason_table = TABLE(struct reason_payload, reason_fields);

static const struct field cancel_fields[] = {
    STRUCT(struct cancel_payload, reason, reason_table),
    NUMBER(struct cancel_payload, drain_pass),
    NUMBER(struct cancel_payload, cleanup_ns),
    BOOL(struct cancel_payload, hard),
    BOOL(struct cancel_payload, hurry),
    BOOL(struct cancel_payload, promised),
};
static const struct table cancel_table = TABLE(struct cancel_payload, cancel_fields);

static const struct field decided_fields[] = {
    BOOL(struct decided_payload, won),
};
static const struct table decided_table = TABLE(struct decided_payload, decided_fields);

static const struct field charge_fields[] = {
    NUMBER(struct charge_payload, cpu_ms),
    BOOL(struct charge_payload, sampled),
    BOOL(struct charge_payload, to_ancestors),
};
static const struct table charge_table = TABLE(struct charge_payload, charge_fields);

static const struct field closed_fields[] = {
    NUMBER(struct closed_payload, parent),
    NUMBER(struct closed_payload, session),
};
static const struct table closed_table = TABLE(struct closed_payload, closed_fields);

static const struct field resumed_fields[] = {
    NUMBER(struct resumed_payload, id_first),
    BOOL(struct resumed_payload, same_keeper),
    BOOL(struct resumed_payload, same_boot),
};
static const struct table resumed_table = TABLE(struct resumed_payload, resumed_fields);

/* ---- Payloads: obligations --------------------------------------------------------------- */

static const struct field obligation_fields[] = {
    NUMBER(struct obligation_payload, deadline),
    NUMBER(struct obligation_payload, span_ns),
    NUMBER(struct obligation_payload, number),
    NUMBER(struct obligation_payload, channel),
    UP_TO(struct obligation_payload, kind, ASUP_OBLIGATION_KIND_COUNT - 1),
};
static const struct table obligation_table = TABLE(struct obligation_payload, obligation_fields);

static const struct field obligation_end_fields[] = {
    UP_TO(struct obligation_end_payload, end, END_LEAKED),
    UP_TO(struct obligation_end_payload, why, OBLIGATION_DEATH),
};
static const struct table obligation_end_table =
    TABLE(struct obligation_end_payload, obligation_end_fields);

/* ---- Payloads: capabilities ---------------------------------------------------------------- */

static const struct field capability_fields[] = {
    NUMBER(struct capability_payload, parent),
    NUMBER(struct capability_payload, limit_at),
    NUMBER(struct capability_payload, cost_ceiling),
    NUMBER(struct capability_payload, poll_ceiling),
    NUMBER(struct capability_payload, rights),
    NUMBER(struct capability_payload, priority_ceiling),
};
static const struct table capability_table = TABLE(struct capability_payload, capability_fields);

/* ---- Payloads: idempotency keys ------------------------------------------------------------- */

static const struct field key_fields[] = {
    NUMBER(struct key_payload, digest),          STRUCT(struct key_payload, scope, ref_table),
    STRUCT(struct key_payload, made, ref_table), NUMBER(struct key_payload, retention_ns),
    NUMBER(struct key_payload, forget_at),       BOOL(struct key_payload, holds),
};
static const struct table key_table = TABLE(struct key_payload, key_fields);

/* ---- Payloads: channels ------------------------------------------------------------------- */

static const struct field channel_fields[] = {
    NUMBER(struct channel_payload, ack_timeout_ns),
    NUMBER(struct channel_payload, permit_timeout_ns),
    NUMBER(struct channel_payload, dead_retention_ns),
    NUMBER(struct channel_payload, capacity),
    NUMBER(struct channel_payload, nacks_max),
    NUMBER(struct channel_payload, timeouts_max),
};
static const struct table channel_table = TABLE(struct channel_payload, channel_fields);

static const struct field sent_fields[] = {
    NUMBER(struct sent_payload, size),
};
static const struct table sent_table = TABLE(struct sent_payload, sent_fields);

static const struct field returned_fields[] = {
    UP_TO(struct returned_payload, why, MESSAGE_CLOSED),
};
static const struct table returned_table = TABLE(struct returned_payload, returned_fields);
/* ---- Payloads: workers and calls ----------------------------------------------------------- */

static const struct field offer_fields[] = {
    NUMBER(struct offer_payload, response_ns),       NUMBER(struct offer_payload, quiet_ns),
    STRUCT(struct offer_payload, holder, ref_table), NUMBER(struct offer_payload, concurrency),
    NUMBER(struct offer_payload, prefetch),          NUMBER(struct offer_payload, mask_depth),
    NUMBER(struct offer_payload, name_count),
};
static const struct table offer_table = TABLE(struct offer_payload, offer_fields);

static const struct field given_fields[] = {
    NUMBER(struct given_payload, request),
    NUMBER(struct given_payload, given),
};
static const struct table given_table = TABLE(struct given_payload, given_fields);

static const struct field call_end_fields[] = {
    NUMBER(struct call_end_payload, result_size),
    BOOL(struct call_end_payload, lost),
};
static const struct table call_end_table = TABLE(struct call_end_payload, call_end_fields);

/* ---- Payloads: sagas ----------------------------------------------------------------------- */

static const struct field step_fields[] = {
    NUMBER(struct step_payload, budget_ns),
    NUMBER(struct step_payload, backoff_ns),
    NUMBER(struct step_payload, backoff_most_ns),
    NUMBER(struct step_payload, leftover_ns),
    NUMBER(struct step_payload, watchdog_ns),
    NUMBER(struct step_payload, response_ns),
    NUMBER(struct step_payload, attempts),
    NUMBER(struct step_payload, uid),
    NUMBER(struct step_payload, run_uid),
    NUMBER(struct step_payload, mask_depth),
    NUMBER(struct step_payload, cancel_signal),
    BOOL(struct step_payload, leftover_wait),
    BOOL(struct step_payload, notify),
    NUMBER(struct step_payload, label_size),
    NUMBER(struct step_payload, spec_size),
    NUMBER(struct step_payload, call_size),
    NUMBER(struct step_payload, cx),
};
static const struct table step_table = TABLE(struct step_payload, step_fields);

static const struct field resolved_fields[] = {
    UP_TO(struct resolved_payload, how, SAGA_RESOLVE),
};
static const struct table resolved_table = TABLE(struct resolved_payload, resolved_fields);

/* ---- What every event has ---- */

/* NOLINTBEGIN(bugprone-sizeof-expression): some fields are pointers */
static const struct field event_fields[] = {
    NUMBER(struct event, seq),     NUMBER(struct event, at),
    NUMBER(struct event, uid),     NUMBER(struct event, region),
    NUMBER(struct event, task),    NUMBER(struct event, session),
    NUMBER(struct event, subject), STRUCT(struct event, holder, ref_table),
    BOOL(struct event, durable),   NUMBER(struct event, value),
    NUMBER(struct event, reason),  SKIP(struct event, kind),
    SKIP(struct event, outcome),   SKIP(struct event, text),
    SKIP(struct event, payload),   SKIP(struct event, payload_size),
    BOOL(struct event, call),
};
/* NOLINTEND(bugprone-sizeof-expression) */
const struct table event_table = TABLE(struct event, event_fields);

/* ---- Kinds -------------------------------------------------------------------------------- */

/* X(KIND, number, tail, payload). By family, in the order of the list of kinds. */
#define EVENT_ROWS(X)                                                                              \
    X(CONFIG, 1, NONE, &config_table)                                                              \
    X(TICK, 2, NONE, NULL)                                                                         \
    X(SESSION_OPENED, 3, NONE, &session_table)                                                     \
    X(SESSION_LOST, 4, NONE, &session_table)                                                       \
    X(SESSION_ATTACHED, 5, NONE, &session_table)                                                   \
    X(SESSION_ENDED, 6, NONE, NULL)                                                                \
    X(REQUEST_BOUND, 7, REFS, &request_table)                                                      \
    X(REQUEST_PART_BOUND, 11, NONE, &request_part_table)                                           \
    X(JOURNAL_STATE, 8, NONE, NULL)                                                                \
    X(RESUMED, 9, NONE, &resumed_table)                                                            \
    X(REASON_MADE, 10, NONE, &reason_table)                                                        \
    X(REGION_OPENED, 20, NONE, &region_table)                                                      \
    X(REGION_SEALED, 21, NONE, NULL)                                                               \
    X(REGION_CANCEL_REQUESTED, 22, NONE, &cancel_table)                                            \
    X(REGION_DECIDED, 23, NONE, &decided_table)                                                    \
    X(REGION_DRAINING, 24, NONE, NULL)                                                             \
    X(REGION_FINALIZING, 25, NONE, NULL)                                                           \
    X(REGION_SWEEP_ORDERED, 26, NONE, NULL)                                                        \
    X(REGION_SWEEP_FAILED, 27, NONE, NULL)                                                         \
    X(REGION_CLOSED, 28, NONE, &closed_table)                                                      \
    X(REGION_CLOSE_TIMEOUT, 29, NONE, NULL)                                                        \
    X(REGION_OVERCOMMITTED, 30, NONE, NULL)                                                        \
    X(REGION_FORGOTTEN, 31, NONE, NULL)                                                            \
    X(REGION_CHARGED, 32, NONE, NULL)                                                              \
    X(REGION_LOST, 33, NONE, NULL)                                                                 \
    X(REGION_REOPENED, 35, NONE, NULL)                                                             \
    X(REGION_DRAIN_ENDED, 34, NONE, NULL)                                                          \
    X(TASK_CREATED, 40, BYTES, &task_table)                                                        \
    X(TASK_DUE, 41, NONE, NULL)                                                                    \
    X(TASK_START_ORDERED, 42, NONE, NULL)                                                          \
    X(TASK_START_SLOW, 43, NONE, NULL)                                                             \
    X(TASK_STARTED, 44, NONE, NULL)                                                                \
    X(TASK_START_FAILED, 45, NONE, NULL)                                                           \
    X(TASK_READY, 46, NONE, NULL)                                                                  \
    X(TASK_CANCEL_REQUESTED, 47, NONE, &reason_table)                                              \
    X(TASK_CANCEL_SENT, 48, NONE, &given_table)                                                    \
    X(TASK_CANCEL_ACKED, 49, NONE, NULL)                                                           \
    X(TASK_CHECKPOINTED, 50, NONE, NULL)                                                           \
    X(TASK_CHARGED, 51, NONE, &charge_table)                                                       \
    X(TASK_SAMPLE_ORDERED, 52, NONE, NULL)                                                         \
    X(TASK_EXTENDED, 53, NONE, NULL)                                                               \
    X(TASK_WATCHDOG_FED, 54, NONE, NULL)                                                           \
    X(TASK_WATCHDOG_MISSED, 55, NONE, NULL)                                                        \
    X(TASK_ESCALATED, 56, NONE, NULL)                                                              \
    X(TASK_MAIN_ENDED, 57, NONE, NULL)                                                             \
    X(TASK_EMPTIED, 58, NONE, NULL)                                                                \
    X(TASK_COMPLETED, 59, BYTES, &call_end_table)                                                  \
    X(TASK_BROKE_WORD, 60, NONE, NULL)                                                             \
    X(TASK_LOG_LOST, 61, NONE, NULL)                                                               \
    X(TASK_FORGOTTEN, 62, NONE, NULL)                                                              \
    X(TASK_RERUN, 63, NONE, NULL)                                                                  \
    X(TASK_MASKED, 64, NONE, NULL)                                                                 \
    X(FINALIZER_REGISTERED, 70, BYTES, &task_table)                                                \
    X(FINALIZER_BEGUN, 71, NONE, NULL)                                                             \
    X(FINALIZER_DONE, 72, NONE, NULL)                                                              \
    /* obligations */                                                                              \
    X(OBLIGATION_RESERVED, 100, NONE, &obligation_table)                                           \
    X(OBLIGATION_COMMITTED, 101, NONE, &obligation_end_table)                                      \
    X(OBLIGATION_ABORTED, 102, NONE, &obligation_end_table)                                        \
    X(OBLIGATION_LEAKED, 103, NONE, &obligation_end_table)                                         \
    X(OBLIGATION_TRANSFERRED, 104, NONE, NULL)                                                     \
    X(OBLIGATION_RENEWED, 105, NONE, &obligation_table)                                            \
    X(FUTURELOCK, 106, NONE, NULL)                                                                 \
    /* channels */                                                                                 \
    X(CHANNEL_OPENED, 120, NONE, &channel_table)                                                   \
    X(CHANNEL_SEALED, 121, NONE, NULL)                                                             \
    X(CHANNEL_CLOSED, 122, NONE, NULL)                                                             \
    X(MESSAGE_SENT, 123, BYTES, &sent_table)                                                       \
    X(MESSAGE_RECEIVED, 124, NONE, NULL)                                                           \
    X(MESSAGE_CONSUMED, 125, NONE, NULL)                                                           \
    X(MESSAGE_RETURNED, 126, NONE, &returned_table)                                                \
    X(MESSAGE_DEAD, 127, NONE, &returned_table)                                                    \
    X(MESSAGE_RETRIED, 128, NONE, NULL)                                                            \
    X(MESSAGE_DISCARDED, 129, NONE, NULL)                                                          \
    /* leases */                                                                                   \
    X(LEASE_GRANTED, 140, NONE, NULL)                                                              \
    X(LEASE_ENDED, 141, NONE, NULL)                                                                \
    X(LEASE_FREE, 142, NONE, NULL)                                                                 \
    /* workers and calls */                                                                        \
    X(WORKER_OFFERED, 160, NONE, &offer_table)                                                     \
    X(WORKER_WITHDRAWN, 161, NONE, NULL)                                                           \
    X(WORKER_DRAINED, 162, NONE, NULL)                                                             \
    X(WORKER_LOST, 163, NONE, NULL)                                                                \
    X(CALL_TAKEN, 164, NONE, &given_table)                                                         \
    X(CALL_STARTED, 165, NONE, &given_table)                                                       \
    X(CALL_GIVEN_BACK, 166, NONE, NULL)                                                            \
    X(CALL_RETRIED, 167, NONE, &call_end_table)                                                    \
    X(WORKER_SEEN, 168, NONE, NULL)                                                                \
    /* sagas */                                                                                    \
    X(SAGA_BEGUN, 180, NONE, NULL)                                                                 \
    X(SAGA_STEP_BEGUN, 181, BYTES, &step_table)                                                    \
    X(SAGA_STEP_DONE, 182, NONE, NULL)                                                             \
    X(SAGA_STEP_FAILED, 183, NONE, NULL)                                                           \
    X(SAGA_COMPENSATING, 184, NONE, NULL)                                                          \
    X(SAGA_STEP_UNDOING, 185, NONE, NULL)                                                          \
    X(SAGA_STEP_UNDONE, 186, NONE, NULL)                                                           \
    X(SAGA_NEEDS_ATTENTION, 187, NONE, NULL)                                                       \
    X(SAGA_RESOLVED, 188, NONE, &resolved_table)                                                   \
    X(SAGA_ENDED, 189, NONE, NULL)                                                                 \
    X(SAGA_FORGOTTEN, 190, NONE, NULL)                                                             \
    /* capabilities */                                                                             \
    X(CAPABILITY_GRANTED, 200, NONE, &capability_table)                                            \
    X(CAPABILITY_REVOKED, 201, NONE, NULL)                                                         \
    X(CAPABILITY_DEAD, 202, NONE, NULL)                                                            \
    /* idempotency keys */                                                                         \
    X(KEY_BOUND, 210, NONE, &key_table)                                                            \
    X(KEY_COMPLETED, 211, NONE, NULL)                                                              \
    X(KEY_FORGOTTEN, 212, NONE, NULL)

const struct event_row event_rows[EV_KIND_COUNT] = {
#define EVENT_ROW(kind, number, tail, payload) [EV_##kind] = {number, TAIL_##tail, payload},
    EVENT_ROWS(EVENT_ROW)
#undef EVENT_ROW
};

/* Kind + 1 by number. A number given twice does not compile. */
const uint8_t event_kinds[EVENT_NUMBERS_MAX] = {
#define EVENT_NUMBER(kind, number, tail, payload) [number] = EV_##kind + 1,
    EVENT_ROWS(EVENT_NUMBER)
#undef EVENT_NUMBER
};
_Static_assert(EV_KIND_COUNT < UINT8_MAX, "a kind fits");

uint32_t
event_kind_number(enum event_kind kind)
{
    return (unsigned)kind < EV_KIND_COUNT ? event_rows[kind].number : 0;
}
