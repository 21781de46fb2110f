/* SPDX-License-Identifier: MIT */
#include "daemon/engine/bodies.h"

#include <string.h>

#include "daemon/engine/bodies_owed.h"
#include "daemon/engine/clock.h"
#include "daemon/engine/users.h"

#define NAME_OF(name, number, wire) [number] = (wire),
#define NAME_OF_CANCEL(name, number, tier, wire) [number] = (wire),

static const char *const region_states[] = {ASUP_REGION_STATE_LIST(NAME_OF)};
static const char *const task_states[] = {ASUP_TASK_STATE_LIST(NAME_OF)};
static const char *const policies[] = {ASUP_POLICY_LIST(NAME_OF)};
static const char *const cancel_kinds[] = {ASUP_CANCEL_LIST(NAME_OF_CANCEL)};
static const char *const severities[] = {"ok", "err", "cancelled", "panicked"};

const char *
region_state_name(uint8_t state)
{
    return state < ASUP_REGION_STATE_COUNT ? region_states[state] : "unknown";
}

const char *
task_state_name(uint8_t state)
{
    return state < ASUP_TASK_STATE_COUNT ? task_states[state] : "unknown";
}

const char *
policy_name(uint8_t policy)
{
    return policy < ASUP_POLICY_COUNT ? policies[policy] : "unknown";
}

const char *
cancel_kind_name(uint8_t kind)
{
    return kind < ASUP_CANCEL_KIND_COUNT ? cancel_kinds[kind] : "unknown";
}

const char *
severity_name(uint8_t severity)
{
    return severity < sizeof severities / sizeof severities[0] ? severities[severity] : "unknown";
}

uint64_t
time_left(asup_time at, asup_time now)
{
    if (at == ASUP_NEVER)
        return ASUP_NEVER;
    return at > now ? at - now : 0;
}

size_t
region_path(const struct kernel *k, uint64_t id, char *out, size_t size)
{
    uint64_t chain[ASUP_DEPTH_MAX + 1];
    size_t depth = 0;
    size_t used = 0;
    struct region_view r;

    while (id && id != ASUP_ROOT_ID && depth <= ASUP_DEPTH_MAX && kernel_region(k, id, &r)) {
        chain[depth++] = id;
        id = r.parent;
    }
    while (depth > 0 && kernel_region(k, chain[--depth], &r)) {
        if (used + r.name.size + 2 > size)
            break;
        out[used++] = '/';
        memcpy(out + used, r.name.data, r.name.size);
        used += r.name.size;
    }
    if (used == 0)
        out[used++] = '/';
    out[used] = '\0';
    return used;
}

/* ---- R and O -------------------------------------------------------------------- */

void
body_reason(struct proto_writer *w, const struct kernel *k, uint32_t reason)
{
    enum { LINKS_MAX = ASUP_DEPTH_MAX + 8 };
    struct reason_view links[LINKS_MAX];
    size_t count = reason ? kernel_reason(k, reason, links, LINKS_MAX) : 0;

    if (count > LINKS_MAX)
        count = LINKS_MAX;
    for (size_t i = 0; i < count; i++) {
        pw_map(w);
        pw_key(w, "kind");
        pw_str(w, cancel_kind_name(links[i].key.kind));
        pw_key(w, "message");
        pw_text(w, links[i].message.size ? links[i].message.data : "", links[i].message.size);
        pw_key(w, "origin");
        pw_id(w, links[i].origin_sort, links[i].key.origin);
        pw_key(w, "at_ns");
        pw_uint(w, links[i].key.at);
        pw_key(w, "cause");
    }
    pw_nil(w);
    for (size_t i = 0; i < count; i++)
        pw_end(w);
}

static void
body_error(struct proto_writer *w, const struct kernel_outcome *o)
{
    if (o->stage[0] == '\0') {
        pw_nil(w);
        return;
    }
    pw_map(w);
    pw_key(w, "stage");
    pw_text(w, o->stage, strnlen(o->stage, sizeof o->stage));
    pw_key(w, "errno");
    pw_int(w, o->error);
    pw_key(w, "message");
    if (o->error)
        pw_str(w, strerrordesc_np(o->error));
    else
        pw_str(w, strcmp(o->stage, "unconsumed") == 0
                      ? "its channels held messages when it closed; they are dead letters now"
                      : "");
    pw_end(w);
}

void
body_outcome(struct proto_writer *w, const struct kernel *k, const struct kernel_outcome *o)
{
    if (!o) {
        pw_nil(w);
        return;
    }
    pw_map(w);
    pw_key(w, "outcome");
    pw_str(w, o->key.severity <= ASUP_PANICKED ? severities[o->key.severity] : "unknown");
    pw_key(w, "exit_code");
    if (o->exit_code >= 0)
        pw_int(w, o->exit_code);
    else
        pw_nil(w);
    pw_key(w, "signal");
    if (o->signal > 0)
        pw_int(w, o->signal);
    else
        pw_nil(w);
    pw_key(w, "forced");
    pw_bool(w, o->forced);
    pw_key(w, "reason");
    body_reason(w, k, o->reason);
    pw_key(w, "error");
    body_error(w, o);
    pw_key(w, "origin");
    pw_id(w, o->origin_sort, o->key.origin);
    pw_key(w, "at_ns");
    pw_uint(w, o->key.at);
    pw_key(w, "wall_ns");
    pw_uint(w, o->wall_ns);
    pw_key(w, "cpu_ns");
    pw_uint(w, o->cpu_ns);
    pw_key(w, "memory_peak_bytes");
    if (o->memory_peak)
        pw_uint(w, o->memory_peak);
    else
        pw_nil(w);
    pw_end(w);
}

/* ---- E ----------------------------------------------------------------------------- */

static void
write_ref(struct proto_writer *w, const char *key, enum asup_sort sort, uint64_t id)
{
    pw_key(w, key);
    pw_id(w, sort, id);
}

/* What it happened to besides a region, a task and a session. */
static void
body_event_subject(struct proto_writer *w, const struct kernel *k, const struct event *ev)
{
    switch (ev->kind) {
    case EV_SAGA_BEGUN ... EV_SAGA_FORGOTTEN:
        write_ref(w, "saga", ASUP_SORT_SAGA, ev->subject);
        break;
    case EV_CHANNEL_OPENED ... EV_MESSAGE_DISCARDED:
        body_event_channel(w, k, ev);
        break;
    case EV_CAPABILITY_GRANTED ... EV_CAPABILITY_DEAD:
        write_ref(w, "cx", ASUP_SORT_CAPABILITY, ev->subject);
        break;
    default:
        body_event_owed(w, ev);
        return;
    }
    if (ev->holder.id != 0)
        write_ref(w, "holder", ev->holder.sort, ev->holder.id);
}

/* A number that another key tells by its name is no value. */
static bool
event_has_value(const struct event *ev)
{
    return ev->value != 0 && ev->kind != EV_CAPABILITY_GRANTED &&
           (ev->kind < EV_MESSAGE_SENT || ev->kind >= EV_MESSAGE_DISCARDED) &&
           (ev->kind < EV_OBLIGATION_RESERVED || ev->kind > EV_OBLIGATION_TRANSFERRED);
}

bool
body_event_is_whole(const struct event *ev)
{
    return ev->reason == 0 && (!ev->outcome || ev->outcome->reason == 0) &&
           ev->kind != EV_REGION_OPENED && ev->kind != EV_REGION_CLOSED &&
           (ev->kind < EV_CHANNEL_OPENED || ev->kind > EV_MESSAGE_DISCARDED);
}

void
body_event(struct proto_writer *w, const struct kernel *k, const struct event *ev, uint64_t wall)
{
    char path[REGION_PATH_SIZE];

    pw_map(w);
    pw_key(w, "seq");
    pw_uint(w, ev->seq);
    pw_key(w, "at_ns");
    pw_uint(w, ev->at);
    pw_key(w, "at_wall_ns");
    pw_uint(w, wall);
    pw_key(w, "event");
    pw_str(w, event_kind_name(ev->kind));
    pw_key(w, "region");
    pw_id(w, ASUP_SORT_REGION, ev->region);
    if (ev->kind == EV_REGION_OPENED || ev->kind == EV_REGION_CLOSED) {
        pw_key(w, "path");
        pw_text(w, path, region_path(k, ev->region, path, sizeof path));
    }
    pw_key(w, "task");
    pw_id(w, ASUP_SORT_TASK, ev->task);
    pw_key(w, "session");
    pw_id(w, ASUP_SORT_SESSION, ev->session);
    body_event_subject(w, k, ev);
    if (event_has_value(ev)) {
        pw_key(w, "value");
        pw_uint(w, ev->value);
    }
    if (ev->text.size) {
        pw_key(w, "text");
        pw_text(w, ev->text.data, ev->text.size);
    }
    if (ev->reason) {
        pw_key(w, "reason");
        body_reason(w, k, ev->reason);
    }
    if (ev->outcome) {
        pw_key(w, "outcome");
        body_outcome(w, k, ev->outcome);
    }
    pw_end(w);
}

/* ---- N and T ------------------------------------------------------------------------ */

void
body_budget(struct proto_writer *w, const struct asup_budget *b, uint32_t polls_spent,
            uint64_t cost_spent, asup_time now)
{
    pw_map(w);
    pw_key(w, "limit_left_ns");
    pw_time(w, time_left(b->limit_at, now));
    pw_key(w, "limit_kind");
    pw_str(w, b->limit_at == ASUP_NEVER ? NULL : cancel_kind_name(b->limit_kind));
    pw_key(w, "polls_left");
    if (b->poll_quota == UINT32_MAX)
        pw_nil(w);
    else
        pw_uint(w, b->poll_quota > polls_spent ? b->poll_quota - polls_spent : 0);
    pw_key(w, "cost_left");
    if (b->cost_quota == UINT64_MAX)
        pw_nil(w);
    else
        pw_uint(w, b->cost_quota > cost_spent ? b->cost_quota - cost_spent : 0);
    pw_key(w, "priority");
    pw_uint(w, b->priority);
    pw_end(w);
}

void
body_region_open(struct proto_writer *w, struct engine *e, const struct region_view *r)
{
    asup_time now = engine_now(e);
    char path[REGION_PATH_SIZE];

    pw_map(w);
    pw_key(w, "id");
    pw_id(w, ASUP_SORT_REGION, r->id);
    pw_key(w, "name");
    pw_text(w, r->id == ASUP_ROOT_ID ? "/" : r->name.data,
            r->id == ASUP_ROOT_ID ? 1 : r->name.size);
    pw_key(w, "path");
    pw_text(w, path, region_path(e->kernel, r->id, path, sizeof path));
    pw_key(w, "state");
    pw_str(w, region_state_name(r->state));
    pw_key(w, "policy");
    pw_str(w, policy_name(r->policy));
    if (r->policy == ASUP_POLICY_QUORUM) {
        pw_key(w, "quorum");
        pw_uint(w, r->quorum);
    }
    pw_key(w, "owner");
    pw_uint(w, r->uid);
    pw_key(w, "soft");
    pw_bool(w, r->soft);
    pw_key(w, "strict");
    pw_bool(w, r->strict);
    pw_key(w, "volatile");
    pw_bool(w, r->is_volatile);
    pw_key(w, "attached");
    pw_id(w, ASUP_SORT_SESSION, r->session);
    pw_key(w, "age_ns");
    pw_uint(w, now - r->opened_at);
    pw_key(w, "drain_left_ns");
    pw_time(w, r->state == ASUP_REGION_CLOSED ? ASUP_NEVER : time_left(r->drain_end, now));
    pw_key(w, "close_by_left_ns");
    pw_time(w, r->state == ASUP_REGION_CLOSED ? ASUP_NEVER : time_left(r->close_by, now));
    pw_key(w, "budget");
    body_budget(w, &r->budget, r->polls_spent, r->cost_spent, now);
    pw_key(w, "reason");
    body_reason(w, e->kernel, r->reason);
    pw_key(w, "outcome");
    body_outcome(w, e->kernel, r->has_outcome ? &r->outcome : NULL);
    pw_key(w, "tasks_live");
    pw_uint(w, r->tasks_live);
    pw_key(w, "tasks_total");
    pw_uint(w, r->tasks_total);
    pw_key(w, "finalizers");
    pw_uint(w, r->finalizers);
    pw_key(w, "sagas");
    pw_uint(w, r->sagas);
    pw_key(w, "sagas_attention");
    pw_uint(w, r->sagas_attention);
    pw_key(w, "obligations");
    pw_uint(w, owed(r->obligations));
    pw_key(w, "unconsumed");
    pw_uint(w, r->unconsumed);
    pw_key(w, "leaks");
    pw_uint(w, r->leaks);
}

void
body_region(struct proto_writer *w, struct engine *e, const struct region_view *r)
{
    body_region_open(w, e, r);
    pw_key(w, "children_live");
    pw_uint(w, r->children_live);
    pw_key(w, "sealed");
    pw_bool(w, r->sealed);
    pw_key(w, "close_timeout");
    pw_bool(w, r->close_timeout);
    pw_key(w, "sweep_errno");
    pw_int(w, r->sweep_error);
    pw_end(w);
}

void
body_region_closed(struct proto_writer *w, struct engine *e, const struct region_view *r)
{
    char path[REGION_PATH_SIZE];

    pw_map(w);
    pw_key(w, "region");
    pw_id(w, ASUP_SORT_REGION, r->id);
    pw_key(w, "path");
    pw_text(w, path, region_path(e->kernel, r->id, path, sizeof path));
    pw_key(w, "state");
    pw_str(w, region_state_name(r->state));
    pw_key(w, "outcome");
    body_outcome(w, e->kernel, r->has_outcome ? &r->outcome : NULL);
    pw_end(w);
}

/* Of a call also the wait for a worker: its budget runs. */
static bool
cleanup_begun(const struct task_view *t)
{
    return t->state != ASUP_TASK_COMPLETED &&
           (t->start_ordered || (t->call && t->kill_at != ASUP_NEVER));
}

bool
running_cleanup(const struct kernel *k, const struct region_view *region, struct asup_ref *at,
                struct task_view *out)
{
    struct saga_step_view step;
    struct saga_view saga;

    if (region->finalizers == 0 && region->sagas_undoing == 0)
        return false;
    while ((*at = kernel_stack_next(k, region->id, *at)).sort != ASUP_SORT_NONE) {
        uint64_t task = at->sort == ASUP_SORT_TASK ? at->id : 0;

        if (at->sort == ASUP_SORT_SAGA && kernel_saga(k, at->id, &saga) &&
            saga.state == SAGA_COMPENSATING && kernel_saga_step(k, at->id, saga.step_at, &step))
            task = step.undo;
        if (kernel_task(k, task, out) && cleanup_begun(out))
            return true;
        if (at->sort == ASUP_SORT_TASK && region->sagas_undoing == 0)
            return false; /* the top one runs, or none does */
    }
    return false;
}

const char *
worker_state_name(const struct worker_view *v)
{
    if (v->fenced)
        return "fenced";
    if (v->quiet)
        return "quiet";
    return v->draining ? "draining" : "working";
}

struct bytes
task_shown_label(const struct kernel *k, const struct task_view *t)
{
    struct call_view call;

    return t->label.size == 0 && t->call && kernel_call(k, t->id, &call) ? call.name : t->label;
}

static void
body_label(struct proto_writer *w, struct engine *e, const struct task_view *t)
{
    struct bytes label = task_shown_label(e->kernel, t);

    pw_text(w, label.size ? label.data : "", label.size);
}

/* What T has besides, of a call. */
static void
body_call(struct proto_writer *w, struct engine *e, const struct task_view *t, bool full)
{
    struct call_view call;

    if (!kernel_call(e->kernel, t->id, &call))
        return;
    pw_key(w, "call");
    pw_text(w, call.name.data, call.name.size);
    pw_key(w, "attempt");
    pw_uint(w, call.attempt);
    pw_key(w, "attempts");
    pw_uint(w, call.attempts);
    pw_key(w, "worker");
    pw_id(w, ASUP_SORT_SESSION, call.worker);
    if (t->state != ASUP_TASK_COMPLETED)
        return;
    pw_key(w, "message");
    pw_text(w, call.message.size ? call.message.data : "", call.message.size);
    if (full) {
        pw_key(w, "result");
        pw_bytes(w, call.result.size ? call.result.data : "", call.result.size);
    }
}

static void
body_task_with(struct proto_writer *w, struct engine *e, const struct task_view *t, bool full)
{
    asup_time now = engine_now(e);
    bool live = t->state != ASUP_TASK_COMPLETED;
    char path[REGION_PATH_SIZE];
    char user[USER_NAME_SIZE];

    pw_map(w);
    pw_key(w, "id");
    pw_id(w, ASUP_SORT_TASK, t->id);
    pw_key(w, "region");
    pw_id(w, ASUP_SORT_REGION, t->region);
    pw_key(w, "path");
    pw_text(w, path, region_path(e->kernel, t->region, path, sizeof path));
    pw_key(w, "label");
    body_label(w, e, t);
    pw_key(w, "state");
    pw_str(w, task_state_name(t->state));
    pw_key(w, "finalizer");
    pw_bool(w, t->finalizer);
    pw_key(w, "owner");
    pw_uint(w, t->uid);
    pw_key(w, "user");
    pw_str(w, users_name(t->run_uid, user));
    pw_key(w, "pid");
    if (t->pid && !t->main_ended)
        pw_uint(w, t->pid);
    else
        pw_nil(w);
    pw_key(w, "ready");
    pw_bool(w, t->ready || (t->started && !t->notify));
    pw_key(w, "age_ns");
    pw_uint(w, (live || !t->ended_at ? now : t->ended_at) - t->created_at);
    pw_key(w, "started_age_ns");
    if (t->started)
        pw_uint(w, (live || !t->ended_at ? now : t->ended_at) - t->started_at);
    else
        pw_nil(w);
    pw_key(w, "kill_left_ns");
    pw_time(w, live ? time_left(t->kill_at, now) : ASUP_NEVER);
    pw_key(w, "slack_ns");
    pw_time(w, live ? t->slack_ns : ASUP_NEVER);
    pw_key(w, "budget");
    body_budget(w, &t->effective, t->polls_spent, t->cost_spent, now);
    pw_key(w, "reason");
    body_reason(w, e->kernel, t->reason);
    pw_key(w, "outcome");
    body_outcome(w, e->kernel, t->has_outcome && !live ? &t->outcome : NULL);
    pw_key(w, "log_lost_bytes");
    pw_uint(w, t->log_lost);
    if (t->call)
        body_call(w, e, t, full);
    pw_end(w);
}

void
body_task(struct proto_writer *w, struct engine *e, const struct task_view *t)
{
    body_task_with(w, e, t, false);
}

void
body_task_full(struct proto_writer *w, struct engine *e, const struct task_view *t)
{
    body_task_with(w, e, t, true);
}
