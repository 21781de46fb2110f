/* SPDX-License-Identifier: MIT */
/* The tables of all records: what a snapshot holds. */
#include "core/snapshot.h"

#define LAST(count) ((count)-1)

/* ---- Tasks ---------------------------------------------------------------------- */

static const struct field task_fields[] = {
    NUMBER(struct task, id),
    NUMBER(struct task, created_at),
    NUMBER(struct task, started_at),
    NUMBER(struct task, limit_at),
    NUMBER(struct task, cost_quota),
    NUMBER(struct task, cost_spent),
    NUMBER(struct task, drain_ns),
    NUMBER(struct task, leftover_ns),
    NUMBER(struct task, drain_end),
    NUMBER(struct task, kill_at),
    NUMBER(struct task, log_lost),
    INDEX(struct task, region, ARENA_REGIONS),
    NUMBER(struct task, next),
    NUMBER(struct task, prev),
    NUMBER(struct task, uid),
    NUMBER(struct task, run_uid),
    NUMBER(struct task, pid),
    NUMBER(struct task, poll_quota),
    NUMBER(struct task, polls_spent),
    NUMBER(struct task, reason),
    NUMBER(struct task, flags),
    NUMBER(struct task, cpu_ms),
    UP_TO(struct task, state, LAST(ASUP_TASK_STATE_COUNT)),
    NUMBER(struct task, priority),
    NUMBER(struct task, cancel_signal),
    UP_TO(struct task, limit_kind, LAST(ASUP_CANCEL_KIND_COUNT)),
    UP_TO(struct task, lane, LANE_TAKEN),
    NUMBER(struct task, lane_step),
    TEXT(struct task, label),
    TEXT(struct task, spec),
    NUMBER(struct task, lane_place),
    NUMBER(struct task, lane_next),
    SKIP(struct task, run), /* or end: see below */
    SKIP(struct task, work_queued),
    SKIP(struct task, silent),
    SKIP(struct task, timer_place),
    SKIP(struct task, wait_first),
    SKIP(struct task, work_next),
    NUMBER(struct task, cx),
};
static const struct table task_table = TABLE(struct task, task_fields);

static const struct field task_run_fields[] = {
    NUMBER(struct task, run.due_at),      NUMBER(struct task, run.watchdog_ns),
    NUMBER(struct task, run.watchdog_at), NUMBER(struct task, run.response_ns),
    NUMBER(struct task, run.response_at), NUMBER(struct task, run.sample_at),
    NUMBER(struct task, run.mask_depth),  NUMBER(struct task, run.cleanup_polls),
    NUMBER(struct task, run.mask_left),
};
static const struct table task_run_table = TABLE(struct task, task_run_fields);

static const struct field task_end_fields[] = {
    NUMBER(struct task, end.at),
    NUMBER(struct task, end.cpu_ns),
    NUMBER(struct task, end.memory_peak),
    NUMBER(struct task, end.exit_code),
    NUMBER(struct task, end.error),
    NUMBER(struct task, end.reason),
    UP_TO(struct task, end.severity, ASUP_PANICKED),
    NUMBER(struct task, end.signal),
    RAW(struct task, end.stage),
};
static const struct table task_end_table = TABLE(struct task, task_end_fields);

static const struct table *
task_variant(const void *record)
{
    const struct task *t = record;

    return (t->flags & TASK_ENDED) != 0 ? &task_end_table : &task_run_table;
}

/* ---- Regions ---------------------------------------------------------------------- */

static const struct field region_fields[] = {
    NUMBER(struct region, id),
    NUMBER(struct region, parent_id),
    NUMBER(struct region, name_key),
    NUMBER(struct region, opened_at),
    NUMBER(struct region, closed_at),
    NUMBER(struct region, limit_at),
    NUMBER(struct region, effective_limit),
    NUMBER(struct region, cost_quota),
    NUMBER(struct region, cost_spent),
    NUMBER(struct region, drain_ns),
    NUMBER(struct region, drain_end),
    NUMBER(struct region, drain_pass),
    NUMBER(struct region, cleanup_ns),
    NUMBER(struct region, finalizers_ns),
    NUMBER(struct region, close_by),
    NUMBER(struct region, sweep_at),
    NUMBER(struct region, tasks_total),
    NUMBER(struct region, sub_tasks),
    NUMBER(struct region, sub_regions),
    NUMBER(struct region, last_id),
    STRUCT(struct region, acc, outcome_table),
    STRUCT(struct region, fin, outcome_table),
    STRUCT(struct region, ok, outcome_table),
    NUMBER(struct region, parent),
    INDEX(struct region, child_first, ARENA_REGIONS),
    INDEX(struct region, child_last, ARENA_REGIONS),
    NUMBER(struct region, next),
    NUMBER(struct region, prev),
    INDEX(struct region, task_first, ARENA_TASKS),
    INDEX(struct region, task_last, ARENA_TASKS),
    NUMBER(struct region, stack_top),
    INDEX(struct region, session, ARENA_SESSIONS),
    NUMBER(struct region, attach_next),
    NUMBER(struct region, attach_prev),
    NUMBER(struct region, uid),
    UP_TO(struct region, depth, ASUP_DEPTH_MAX),
    NUMBER(struct region, quorum),
    NUMBER(struct region, oks),
    NUMBER(struct region, poll_quota),
    NUMBER(struct region, polls_spent),
    NUMBER(struct region, tasks_max),
    NUMBER(struct region, children_max),
    NUMBER(struct region, tasks_live),
    NUMBER(struct region, children_live),
    NUMBER(struct region, finalizers),
    NUMBER(struct region, participants),
    NUMBER(struct region, counted),
    NUMBER(struct region, delegated),
    NUMBER(struct region, reason),
    NUMBER(struct region, flags),
    NUMBER(struct region, sweep_error),
    NUMBER(struct region, sweep_attempts),
    UP_TO(struct region, state, LAST(ASUP_REGION_STATE_COUNT)),
    UP_TO(struct region, policy, LAST(ASUP_POLICY_COUNT)),
    NUMBER(struct region, priority),
    NUMBER(struct region, effective_priority),
    UP_TO(struct region, limit_kind, LAST(ASUP_CANCEL_KIND_COUNT)),
    NUMBER(struct region, last_sort),
    BOOL(struct region, has_acc),
    BOOL(struct region, has_fin),
    BOOL(struct region, has_ok),
    TEXT(struct region, name),
    NUMBER(struct region, sub_sagas),
    NUMBER(struct region, sagas),
    NUMBER(struct region, sagas_running),
    NUMBER(struct region, sagas_undoing),
    NUMBER(struct region, sagas_attention),
    INDEX(struct region, ledger_first, ARENA_OBLIGATIONS),
    INDEX(struct region, ledger_last, ARENA_OBLIGATIONS),
    NUMBERS(struct region, ledger),
    INDEX(struct region, lease_first, ARENA_LEASES),
    INDEX(struct region, lease_last, ARENA_LEASES),
    NUMBER(struct region, leaks),
    INDEX(struct region, channel_first, ARENA_CHANNELS),
    INDEX(struct region, channel_last, ARENA_CHANNELS),
    NUMBER(struct region, channels),
    NUMBER(struct region, unconsumed),
    SKIP(struct region, work_queued),
    SKIP(struct region, timer_place),
    SKIP(struct region, wait_first),
    SKIP(struct region, work_next),
    SKIP(struct region, batch_tasks),
    SKIP(struct region, batch_children),
    SKIP(struct region, batch_finalizers),
    SKIP(struct region, batch_ended),
    SKIP(struct region, cascade_ns),
    SKIP(struct region, cascade_soft),
    SKIP(struct region, cascade_stuck),
    INDEX(struct region, capability_first, ARENA_CAPABILITIES),
    INDEX(struct region, capability_last, ARENA_CAPABILITIES),
    NUMBER(struct region, kept),
};
static const struct table region_table = TABLE(struct region, region_fields);

/* ---- Sessions, requests, users, reasons ---------------------------------------------- */

static const struct field session_fields[] = {
    NUMBER(struct session, id),
    NUMBER(struct session, ttl_ns),
    NUMBER(struct session, expires_at),
    NUMBER(struct session, floor),
    RAW(struct session, secret_digest),
    NUMBER(struct session, uid),
    NUMBER(struct session, pid),
    INDEX(struct session, attach_first, ARENA_REGIONS),
    INDEX(struct session, attach_last, ARENA_REGIONS),
    NUMBER(struct session, attached),
    INDEX(struct session, request_first, ARENA_REQUESTS),
    INDEX(struct session, request_last, ARENA_REQUESTS),
    NUMBER(struct session, requests),
    BOOL(struct session, connected),
    SKIP(struct session, timer_place),
    SKIP(struct session, silent),
};
static const struct table session_table = TABLE(struct session, session_fields);

static const struct field request_fields[] = {
    NUMBER(struct request, key),
    NUMBER(struct request, id),
    NUMBER(struct request, digest),
    NUMBER(struct request, made_id),
    NUMBER(struct request, made_sort),
    INDEX(struct request, session, ARENA_SESSIONS),
    INDEX(struct request, next, ARENA_REQUESTS),
    TEXT(struct request, batch),
};
static const struct table request_table = TABLE(struct request, request_fields);

static const struct field user_fields[] = {
    NUMBER(struct user, key),         NUMBER(struct user, bytes),
    NUMBER(struct user, tasks),       NUMBER(struct user, regions),
    NUMBER(struct user, sessions),    SKIP(struct user, waits),
    NUMBER(struct user, obligations), NUMBER(struct user, leases),
    NUMBER(struct user, channels),    NUMBER(struct user, dead),
    NUMBER(struct user, offers),      NUMBER(struct user, capabilities),
    NUMBER(struct user, keys),
};
static const struct table user_table = TABLE(struct user, user_fields);

static const struct field reason_fields[] = {
    NUMBER(struct reason, handle),
    NUMBER(struct reason, at),
    NUMBER(struct reason, origin),
    TEXT(struct reason, message),
    NUMBER(struct reason, cause),
    NUMBER(struct reason, refs),
    UP_TO(struct reason, kind, LAST(ASUP_CANCEL_KIND_COUNT)),
    NUMBER(struct reason, origin_sort),
    BOOL(struct reason, durable),
    SKIP(struct reason, dying), /* those without a holder are left out by the reader */
    SKIP(struct reason, fresh),
    SKIP(struct reason, dying_next),
};
static const struct table reason_table = TABLE(struct reason, reason_fields);

/* ---- Obligations and leases -------------------------------------------------------------- */

static const struct field obligation_fields[] = {
    NUMBER(struct obligation, id),
    NUMBER(struct obligation, at),
    NUMBER(struct obligation, deadline),
    NUMBER(struct obligation, span_ns),
    NUMBER(struct obligation, number),
    INDEX(struct obligation, region, ARENA_REGIONS),
    INDEX(struct obligation, ledger_next, ARENA_OBLIGATIONS),
    INDEX(struct obligation, ledger_prev, ARENA_OBLIGATIONS),
    INDEX(struct obligation, holder, ARENA_HOLDERS),
    INDEX(struct obligation, held_next, ARENA_OBLIGATIONS),
    INDEX(struct obligation, held_prev, ARENA_OBLIGATIONS),
    UP_TO(struct obligation, kind, LAST(ASUP_OBLIGATION_KIND_COUNT)),
    SKIP(struct obligation, thing), /* see below */
    SKIP(struct obligation, timer_place),
};
static const struct table obligation_table = TABLE(struct obligation, obligation_fields);

static const struct field obligation_lease_fields[] = {
    INDEX(struct obligation, thing, ARENA_LEASES),
};
static const struct table obligation_lease_table =
    TABLE(struct obligation, obligation_lease_fields);

static const struct field obligation_io_fields[] = {
    TEXT(struct obligation, thing),
};
static const struct table obligation_io_table = TABLE(struct obligation, obligation_io_fields);

static const struct field obligation_channel_fields[] = {
    INDEX(struct obligation, thing, ARENA_CHANNELS),
};
static const struct table obligation_channel_table =
    TABLE(struct obligation, obligation_channel_fields);

static const struct table *
obligation_variant(const void *record)
{
    switch (((const struct obligation *)record)->kind) {
    case ASUP_OBLIGATION_LEASE:
        return &obligation_lease_table;
    case ASUP_OBLIGATION_IO_OP:
        return &obligation_io_table;
    default:
        return &obligation_channel_table;
    }
}

static const struct field holder_fields[] = {
    NUMBER(struct holder, key),
    NUMBER(struct holder, progress_at),
    NUMBER(struct holder, sample_at),
    NUMBER(struct holder, record),
    INDEX(struct holder, held_first, ARENA_OBLIGATIONS),
    INDEX(struct holder, held_last, ARENA_OBLIGATIONS),
    NUMBER(struct holder, held),
    INDEX(struct holder, cooling_first, ARENA_LEASES),
    BOOL(struct holder, is_task),
    BOOL(struct holder, stuck),
    SKIP(struct holder, timer_place),
};
static const struct table holder_table = TABLE(struct holder, holder_fields);

static const struct field lease_fields[] = {
    NUMBER(struct lease, key),
    NUMBER(struct lease, token),
    NUMBER(struct lease, holder_id),
    NUMBER(struct lease, granted_at),
    NUMBER(struct lease, expires_at),
    NUMBER(struct lease, holder_sort),
    INDEX(struct lease, region, ARENA_REGIONS),
    INDEX(struct lease, next, ARENA_LEASES),
    INDEX(struct lease, prev, ARENA_LEASES),
    INDEX(struct lease, obligation, ARENA_OBLIGATIONS),
    INDEX(struct lease, cooler, ARENA_HOLDERS),
    INDEX(struct lease, cooling_next, ARENA_LEASES),
    INDEX(struct lease, cooling_prev, ARENA_LEASES),
    TEXT(struct lease, name),
    SKIP(struct lease, wait_first),
    SKIP(struct lease, waiters),
};
static const struct table lease_table = TABLE(struct lease, lease_fields);

static const struct field ended_fields[] = {
    NUMBER(struct ended, id),
    NUMBER(struct ended, holder_id),
    NUMBER(struct ended, region),
    NUMBER(struct ended, at),
    INDEX(struct ended, next, ARENA_ENDED),
    NUMBER(struct ended, holder_sort),
    UP_TO(struct ended, kind, LAST(ASUP_OBLIGATION_KIND_COUNT)),
    UP_TO(struct ended, end, END_LEAKED),
    UP_TO(struct ended, why, OBLIGATION_DEATH),
};
static const struct table ended_table = TABLE(struct ended, ended_fields);

static const struct field obligations_fields[] = {
    NUMBER(struct obligations, id_next),
    NUMBER(struct obligations, leaked),
    INDEX(struct obligations, ended_first, ARENA_ENDED),
    INDEX(struct obligations, ended_last, ARENA_ENDED),
    NUMBERS(struct obligations, in_kind),
    NUMBER(struct obligations, held_unstarted),
    NUMBER(struct obligations, stuck),
};
static const struct table obligations_table = TABLE(struct obligations, obligations_fields);

/* ---- Channels ------------------------------------------------------------------------------- */

static const struct field channel_fields[] = {
    NUMBER(struct channel, id),
    NUMBER(struct channel, name_key),
    NUMBER(struct channel, region_id),
    NUMBER(struct channel, ack_timeout_ns),
    NUMBER(struct channel, permit_timeout_ns),
    NUMBER(struct channel, dead_retention_ns),
    NUMBER(struct channel, sent),
    NUMBER(struct channel, consumed),
    NUMBER(struct channel, died),
    NUMBER(struct channel, taken_back),
    NUMBER(struct channel, bytes),
    INDEX(struct channel, region, ARENA_REGIONS),
    INDEX(struct channel, next, ARENA_CHANNELS),
    INDEX(struct channel, prev, ARENA_CHANNELS),
    NUMBER(struct channel, uid),
    NUMBER(struct channel, capacity),
    NUMBER(struct channel, nacks_max),
    NUMBER(struct channel, timeouts_max),
    NUMBER(struct channel, queued),
    NUMBER(struct channel, permits),
    NUMBER(struct channel, unacked),
    NUMBER(struct channel, dead),
    INDEX(struct channel, message_first, ARENA_MESSAGES),
    INDEX(struct channel, message_last, ARENA_MESSAGES),
    NUMBER(struct channel, flags),
    NUMBER(struct channel, opened_at),
    TEXT(struct channel, name),
    SKIP(struct channel, fresh), /* these follow from the list: load_channel.c */
    SKIP(struct channel, returned),
    SKIP(struct channel, work_queued),
    SKIP(struct channel, recheck),
    SKIP(struct channel, send_first),
    SKIP(struct channel, senders),
    SKIP(struct channel, receivers),
    SKIP(struct channel, receive_first),
    SKIP(struct channel, work_next),
};
static const struct table channel_table = TABLE(struct channel, channel_fields);

static const struct field message_fields[] = {
    NUMBER(struct message, id),
    NUMBER(struct message, order),
    NUMBER(struct message, sender),
    NUMBER(struct message, sent_at),
    NUMBER(struct message, dead_at),
    INDEX(struct message, channel, ARENA_CHANNELS),
    INDEX(struct message, next, ARENA_MESSAGES),
    INDEX(struct message, prev, ARENA_MESSAGES),
    INDEX(struct message, history, ARENA_HISTORIES),
    NUMBER(struct message, deliveries),
    NUMBER(struct message, nacks),
    NUMBER(struct message, deaths),
    NUMBER(struct message, timeouts),
    UP_TO(struct message, state, MESSAGE_DEAD),
    NUMBER(struct message, sender_sort),
    UP_TO(struct message, dead_why, MESSAGE_CLOSED),
    BOOL(struct message, came_back),
    TEXT(struct message, data),
    TEXT(struct message, note),
    SKIP(struct message, heap_child),
    SKIP(struct message, heap_next),
    SKIP(struct message, timer_place),
};
static const struct table message_table = TABLE(struct message, message_fields);

static const struct field history_row_fields[] = {
    NUMBER(struct history_row, receiver),
    NUMBER(struct history_row, at),
    NUMBER(struct history_row, sort),
    UP_TO(struct history_row, why, MESSAGE_CLOSED),
};
static const struct table history_row_table = TABLE(struct history_row, history_row_fields);

static const struct field history_fields[] = {
    NUMBER(struct history, message),
    NUMBER(struct history, count),
    STRUCTS(struct history, rows, history_row_table),
};
static const struct table history_table = TABLE(struct history, history_fields);

static const struct field channel_store_fields[] = {
    NUMBER(struct channel_store, id_next),
    NUMBER(struct channel_store, message_id_next),
    NUMBER(struct channel_store, order_next),
    INDEX(struct channel_store, dead_first, ARENA_MESSAGES),
    INDEX(struct channel_store, dead_last, ARENA_MESSAGES),
    NUMBER(struct channel_store, dead_count),
};
static const struct table channel_store_table = TABLE(struct channel_store, channel_store_fields);
/* ---- Calls and workers ----------------------------------------------------------------------- */

static const struct field call_fields[] = {
    NUMBER(struct call, task_key),
    INDEX(struct call, service, ARENA_SERVICES),
    NUMBER(struct call, worker), /* who had it last may be gone */
    INDEX(struct call, next, ARENA_CALLS),
    INDEX(struct call, prev, ARENA_CALLS),
    TEXT(struct call, key),
    TEXT(struct call, message),
    NUMBER(struct call, backoff_ms),
    NUMBER(struct call, backoff_most_ms),
    NUMBER(struct call, attempt),
    NUMBER(struct call, attempts),
    NUMBER(struct call, given),
    NUMBER(struct call, flags),
    NUMBER(struct call, taken_at),
    SKIP(struct call, child),
};
static const struct table call_table = TABLE(struct call, call_fields);

static const struct field worker_fields[] = {
    NUMBER(struct worker, session),
    NUMBER(struct worker, holder_id),
    NUMBER(struct worker, holder_sort),
    NUMBER(struct worker, uid),
    NUMBER(struct worker, response_ns),
    NUMBER(struct worker, quiet_ns),
    NUMBER(struct worker, seen_at),
    NUMBER(struct worker, done),
    NUMBER(struct worker, lost),
    NUMBER(struct worker, request),
    INDEX(struct worker, region, ARENA_REGIONS),
    NUMBER(struct worker, concurrency),
    NUMBER(struct worker, prefetch),
    NUMBER(struct worker, mask_depth),
    NUMBER(struct worker, running),
    NUMBER(struct worker, taken),
    INDEX(struct worker, offer_first, ARENA_OFFERS),
    NUMBER(struct worker, offer_count),
    INDEX(struct worker, call_first, ARENA_CALLS),
    INDEX(struct worker, call_last, ARENA_CALLS),
    NUMBER(struct worker, timed_run),
    NUMBER(struct worker, given),
    NUMBER(struct worker, flags),
    INDEX(struct worker, cancel_first, ARENA_TASKS),
    INDEX(struct worker, cancel_last, ARENA_TASKS),
    NUMBER(struct worker, cancels),
    SKIP(struct worker, timer_place),
    SKIP(struct worker, wait_first),
    SKIP(struct worker, work_next),
    SKIP(struct worker, work_queued),
    SKIP(struct worker, idle),
};
static const struct table worker_table = TABLE(struct worker, worker_fields);

static const struct field offer_fields[] = {
    NUMBER(struct offer, key),
    INDEX(struct offer, worker, ARENA_WORKERS),
    INDEX(struct offer, service, ARENA_SERVICES),
    INDEX(struct offer, next, ARENA_OFFERS),
    INDEX(struct offer, service_next, ARENA_OFFERS),
    INDEX(struct offer, service_prev, ARENA_OFFERS),
    SKIP(struct offer, idle_next),
    SKIP(struct offer, idle_prev),
};
static const struct table offer_table = TABLE(struct offer, offer_fields);

static const struct field service_fields[] = {
    NUMBER(struct service, key),
    NUMBER(struct service, uid),
    INDEX(struct service, region, ARENA_REGIONS),
    TEXT(struct service, name),
    NUMBER(struct service, refs),
    INDEX(struct service, offer_first, ARENA_OFFERS),
    NUMBER(struct service, queued),
    NUMBER(struct service, taken),
    INDEX(struct service, taken_first, ARENA_TASKS),
    INDEX(struct service, taken_last, ARENA_TASKS),
    SKIP(struct service, timed),
    SKIP(struct service, ready),
    SKIP(struct service, idle_first),
    SKIP(struct service, idle_last),
    SKIP(struct service, work_next),
    SKIP(struct service, work_queued),
};
static const struct table service_table = TABLE(struct service, service_fields);

static const struct field calls_fields[] = {
    NUMBER(struct calls, queued),       NUMBER(struct calls, taken),   NUMBER(struct calls, narrow),
    NUMBER(struct calls, result_bytes), NUMBER(struct calls, cancels),
};
static const struct table calls_table = TABLE(struct calls, calls_fields);

/* ---- Sagas ---------------------------------------------------------------------------------- */

static const struct field saga_fields[] = {
    NUMBER(struct saga, id),
    NUMBER(struct saga, driver_key),
    NUMBER(struct saga, driver_id),
    NUMBER(struct saga, region_id),
    NUMBER(struct saga, begun_at),
    NUMBER(struct saga, ended_at),
    STRUCT(struct saga, last, outcome_table),
    INDEX(struct saga, region, ARENA_REGIONS),
    NUMBER(struct saga, next),
    NUMBER(struct saga, prev),
    INDEX(struct saga, driver_next, ARENA_SAGAS),
    INDEX(struct saga, driver_prev, ARENA_SAGAS),
    INDEX(struct saga, step_first, ARENA_STEPS),
    INDEX(struct saga, step_last, ARENA_STEPS),
    NUMBER(struct saga, step_count),
    INDEX(struct saga, step_at, ARENA_STEPS),
    NUMBER(struct saga, uid),
    UP_TO(struct saga, state, SAGA_COMPENSATED),
    NUMBER(struct saga, driver_sort),
    BOOL(struct saga, has_last),
    TEXT(struct saga, name),
    SKIP(struct saga, work_queued),
    SKIP(struct saga, timer_place),
    SKIP(struct saga, wait_first),
    SKIP(struct saga, work_next),
};
static const struct table saga_table = TABLE(struct saga, saga_fields);

static const struct field step_fields[] = {
    NUMBER(struct step_record, saga_id),
    NUMBER(struct step_record, action),
    NUMBER(struct step_record, undo),
    NUMBER(struct step_record, next_at),
    NUMBER(struct step_record, budget_ns),
    NUMBER(struct step_record, backoff_ns),
    NUMBER(struct step_record, backoff_most_ns),
    NUMBER(struct step_record, leftover_ns),
    NUMBER(struct step_record, watchdog_ns),
    NUMBER(struct step_record, response_ns),
    INDEX(struct step_record, saga, ARENA_SAGAS),
    INDEX(struct step_record, next, ARENA_STEPS),
    INDEX(struct step_record, prev, ARENA_STEPS),
    NUMBER(struct step_record, number),
    NUMBER(struct step_record, uid),
    NUMBER(struct step_record, run_uid),
    NUMBER(struct step_record, mask_depth),
    NUMBER(struct step_record, attempts),
    NUMBER(struct step_record, attempts_left),
    NUMBER(struct step_record, attempts_most),
    UP_TO(struct step_record, state, STEP_RESOLVED),
    NUMBER(struct step_record, cancel_signal),
    BOOL(struct step_record, leftover_wait),
    BOOL(struct step_record, notify),
    TEXT(struct step_record, name),
    TEXT(struct step_record, label),
    TEXT(struct step_record, spec),
    NUMBER(struct step_record, cx),
    INDEX(struct step_record, service, ARENA_SERVICES),
};
static const struct table step_table = TABLE(struct step_record, step_fields);

static const struct field saga_part_fields[] = {
    NUMBER(struct saga_part, id_next),
    NUMBER(struct saga_part, weight),
    NUMBER(struct saga_part, live),
    NUMBER(struct saga_part, undoing),
    NUMBER(struct saga_part, attention),
    INDEX(struct saga_part, ended_first, ARENA_SAGAS),
    INDEX(struct saga_part, ended_last, ARENA_SAGAS),
    NUMBER(struct saga_part, ended_count),
};
static const struct table saga_part_table = TABLE(struct saga_part, saga_part_fields);

/* ---- Capabilities ------------------------------------------------------------------------- */

static const struct field capability_fields[] = {
    NUMBER(struct capability, id),
    NUMBER(struct capability, parent_id),
    NUMBER(struct capability, owner_id),
    NUMBER(struct capability, granted_at),
    NUMBER(struct capability, limit_at),
    NUMBER(struct capability, cost_ceiling),
    NUMBER(struct capability, owner_sort),
    NUMBER(struct capability, uid),
    NUMBER(struct capability, rights),
    NUMBER(struct capability, poll_ceiling),
    INDEX(struct capability, region, ARENA_REGIONS),
    INDEX(struct capability, next, ARENA_CAPABILITIES),
    INDEX(struct capability, prev, ARENA_CAPABILITIES),
    INDEX(struct capability, parent, ARENA_CAPABILITIES),
    INDEX(struct capability, derived_first, ARENA_CAPABILITIES),
    INDEX(struct capability, derived_last, ARENA_CAPABILITIES),
    INDEX(struct capability, sibling_next, ARENA_CAPABILITIES),
    INDEX(struct capability, sibling_prev, ARENA_CAPABILITIES),
    INDEX(struct capability, revoked_next, ARENA_CAPABILITIES),
    INDEX(struct capability, revoked_prev, ARENA_CAPABILITIES),
    NUMBER(struct capability, priority_ceiling),
    BOOL(struct capability, revoked),
    SKIP(struct capability, wait_first),
};
static const struct table capability_table = TABLE(struct capability, capability_fields);

static const struct field capabilities_fields[] = {
    NUMBER(struct capabilities, id_next),
    INDEX(struct capabilities, revoked_first, ARENA_CAPABILITIES),
    INDEX(struct capabilities, revoked_last, ARENA_CAPABILITIES),
    NUMBER(struct capabilities, revoked),
};
static const struct table capabilities_table = TABLE(struct capabilities, capabilities_fields);

/* ---- Idempotency keys ---------------------------------------------------------------------- */

static const struct field key_fields[] = {
    NUMBER(struct key_record, id),           NUMBER(struct key_record, hash),
    NUMBER(struct key_record, made),         NUMBER(struct key_record, digest),
    NUMBER(struct key_record, scope_id),     NUMBER(struct key_record, made_id),
    NUMBER(struct key_record, retention_ns), NUMBER(struct key_record, forget_at),
    NUMBER(struct key_record, uid),          NUMBER(struct key_record, scope_sort),
    NUMBER(struct key_record, made_sort),    BOOL(struct key_record, holds),
    BOOL(struct key_record, durable),        TEXT(struct key_record, text),
    SKIP(struct key_record, timer_place),
};
static const struct table key_table = TABLE(struct key_record, key_fields);

static const struct field keys_fields[] = {
    NUMBER(struct keys, id_next),
};
static const struct table keys_table = TABLE(struct keys, keys_fields);

/* ---- Sections ---------------------------------------------------------------------------- */

/* In any order: links are checked when all is there. */
const struct section sections[] = {
    {1, offsetof(struct kernel, reasons), &reason_table, NULL},
    {2, offsetof(struct kernel, users), &user_table, NULL},
    {3, offsetof(struct kernel, sessions), &session_table, NULL},
    {4, offsetof(struct kernel, requests), &request_table, NULL},
    {5, offsetof(struct kernel, regions), &region_table, NULL},
    {6, offsetof(struct kernel, tasks), &task_table, task_variant},
    {10, offsetof(struct kernel, obligations.records), &obligation_table, obligation_variant},
    {11, offsetof(struct kernel, obligations.holders), &holder_table, NULL},
    {12, offsetof(struct kernel, obligations.leases), &lease_table, NULL},
    {13, offsetof(struct kernel, obligations.ended), &ended_table, NULL},
    {20, offsetof(struct kernel, channels.records), &channel_table, NULL},
    {21, offsetof(struct kernel, channels.messages), &message_table, NULL},
    {22, offsetof(struct kernel, channels.histories), &history_table, NULL},
    {30, offsetof(struct kernel, calls.calls), &call_table, NULL},
    {31, offsetof(struct kernel, calls.workers), &worker_table, NULL},
    {32, offsetof(struct kernel, calls.offers), &offer_table, NULL},
    {33, offsetof(struct kernel, calls.services), &service_table, NULL},
    {40, offsetof(struct kernel, saga.sagas), &saga_table, NULL},
    {41, offsetof(struct kernel, saga.steps), &step_table, NULL},
    {50, offsetof(struct kernel, capabilities.records), &capability_table, NULL},
    {55, offsetof(struct kernel, keys.records), &key_table, NULL},
};
const size_t section_count = sizeof sections / sizeof sections[0];

const struct arena *
arena_of(const struct kernel *k, enum arena_name name)
{
    static const uint32_t offsets[ARENA_COUNT] = {
        [ARENA_TASKS] = offsetof(struct kernel, tasks),
        [ARENA_REGIONS] = offsetof(struct kernel, regions),
        [ARENA_SESSIONS] = offsetof(struct kernel, sessions),
        [ARENA_REQUESTS] = offsetof(struct kernel, requests),
        [ARENA_OBLIGATIONS] = offsetof(struct kernel, obligations.records),
        [ARENA_HOLDERS] = offsetof(struct kernel, obligations.holders),
        [ARENA_LEASES] = offsetof(struct kernel, obligations.leases),
        [ARENA_ENDED] = offsetof(struct kernel, obligations.ended),
        [ARENA_CHANNELS] = offsetof(struct kernel, channels.records),
        [ARENA_MESSAGES] = offsetof(struct kernel, channels.messages),
        [ARENA_HISTORIES] = offsetof(struct kernel, channels.histories),
        [ARENA_SAGAS] = offsetof(struct kernel, saga.sagas),
        [ARENA_STEPS] = offsetof(struct kernel, saga.steps),
        [ARENA_CALLS] = offsetof(struct kernel, calls.calls),
        [ARENA_WORKERS] = offsetof(struct kernel, calls.workers),
        [ARENA_OFFERS] = offsetof(struct kernel, calls.offers),
        [ARENA_SERVICES] = offsetof(struct kernel, calls.services),
        [ARENA_CAPABILITIES] = offsetof(struct kernel, capabilities.records),
    };

    must(offsets[name] != 0);
    return (const struct arena *)(const void *)((const uint8_t *)k + offsets[name]);
}

/* ---- The kernel's own fields ---------------------------------------------------------------- */

static const struct field queue_fields[] = {
    INDEX(struct queue, first, ARENA_TASKS),
    INDEX(struct queue, last, ARENA_TASKS),
};
static const struct table queue_table = TABLE(struct queue, queue_fields);

static const struct field kernel_fields[] = {
    STRUCT(struct kernel, config, config_table),
    NUMBER(struct kernel, event_seq),
    NUMBER(struct kernel, event_at),
    NUMBER(struct kernel, durable_seq),
    NUMBER(struct kernel, task_id_next),
    NUMBER(struct kernel, region_id_next),
    NUMBER(struct kernel, session_id_next),
    NUMBER(struct kernel, reason_next),
    NUMBER(struct kernel, root),
    NUMBERS(struct kernel, tasks_in),
    NUMBERS(struct kernel, regions_in),
    NUMBER(struct kernel, stack_entries),
    NUMBER(struct kernel, starting),
    NUMBER(struct kernel, retained_first),
    NUMBER(struct kernel, retained_last),
    NUMBER(struct kernel, retained_count),
    BOOL(struct kernel, hurry),
    BOOL(struct kernel, journal_failed),
    STRUCT(struct kernel, signals, queue_table),
    STRUCT(struct kernel, finalizers, queue_table),
    STRUCTS(struct kernel, ready, queue_table),
    NUMBERS(struct kernel, ready_used),
    NUMBERS(struct kernel, lane_count),
    NUMBER(struct kernel, cancel_run),
    NUMBER(struct kernel, timed_run),
    BOOL(struct kernel, finalizer_turn),
    BOOL(struct kernel, limits_seen),
    NUMBER(struct kernel, steps),
    STRUCT(struct kernel, obligations, obligations_table),
    STRUCT(struct kernel, saga, saga_part_table),
    STRUCT(struct kernel, channels, channel_store_table),
    STRUCT(struct kernel, calls, calls_table),
    STRUCT(struct kernel, capabilities, capabilities_table),
    BOOL(struct kernel, volatile_seen),
    STRUCT(struct kernel, keys, keys_table),
    NUMBER(struct kernel, kept_first),
    NUMBER(struct kernel, kept_last),
    NUMBER(struct kernel, kept_count),
};
const struct table kernel_table = TABLE(struct kernel, kernel_fields);
