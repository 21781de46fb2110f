/* SPDX-License-Identifier: MIT */
/* Applying what happens to regions. Legal moves are a table, and every move
 * goes through one function. */
#include "core/event.h"

#define BIT(state) (1U << (state))

static const uint8_t region_moves[] = {
    [ASUP_REGION_OPEN] = BIT(ASUP_REGION_CLOSING),
    [ASUP_REGION_CLOSING] = BIT(ASUP_REGION_DRAINING),
    [ASUP_REGION_DRAINING] = BIT(ASUP_REGION_FINALIZING),
    [ASUP_REGION_FINALIZING] = BIT(ASUP_REGION_CLOSED),
    [ASUP_REGION_CLOSED] = 0,
};
_Static_assert(sizeof region_moves == ASUP_REGION_STATE_COUNT, "one row per state");

static void
region_move(struct kernel *k, struct region *r, uint8_t to)
{
    /* What a journal says of a volatile region is that it opened and closed. */
    must((region_moves[r->state] & BIT(to)) != 0 || (r->flags & REGION_VOLATILE_TOP) != 0);
    k->regions_in[r->state]--;
    r->state = to;
    if (to != ASUP_REGION_CLOSED)
        k->regions_in[to]++;
}

/* ---- Timers ------------------------------------------------------------------------ */

asup_time
region_deadline(const struct kernel *k, const struct region *r)
{
    asup_time at = ASUP_NEVER;

    if (!region_live(r))
        return at;
    if (r->state < ASUP_REGION_FINALIZING && (r->flags & REGION_LIMIT_FIRED) == 0 &&
        !(PLANTED(DEADLINE_MONOTONE) && r->children_live > 0))
        at = r->limit_at;
    if (r->delegated > 0)
        at = min_u64(at, r->drain_end);
    if (region_owes(r) && (r->flags & REGION_DRAIN_ENDED) == 0)
        at = min_u64(at, r->drain_end);
    if ((r->flags & REGION_CLOSE_TIMEOUT) == 0)
        at = min_u64(at, time_add(r->close_by, k->config.kill_grace_ns));
    if ((r->flags & REGION_SWEEP_PENDING) == 0)
        at = min_u64(at, r->sweep_at);
    return at;
}

void
region_rearm(struct kernel *k, uint32_t region)
{
    timer_set(&k->timers, &k->allocator, TIMER_REGION, region,
              region_deadline(k, region_at(k, region)));
}

/* How long a sweep that failed waits for its next try: 1 s, doubling to 30 s. */
static uint64_t
sweep_backoff_ns(uint32_t attempts)
{
    return attempts >= 5 ? 30 * ASUP_NS_PER_S : ASUP_NS_PER_S << attempts;
}

/* A start was ordered here or below: this and all above is swept at its end. */
void
region_used(struct kernel *k, uint32_t i)
{
    for (; i != NIL && (region_at(k, i)->flags & REGION_USED) == 0; i = region_at(k, i)->parent)
        region_at(k, i)->flags |= REGION_USED;
}

/* ---- Opening -------------------------------------------------------------------------- */

static void
region_link_child(struct kernel *k, uint32_t i)
{
    struct region *r = region_at(k, i);
    struct region *parent = region_at(k, r->parent);

    r->prev = parent->child_last;
    if (parent->child_last != NIL)
        region_at(k, parent->child_last)->next = i;
    else
        parent->child_first = i;
    parent->child_last = i;
    parent->children_live++;
    policy_admit(k, parent, ASUP_SORT_REGION, r->id);
    for (uint32_t at = r->parent; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->sub_regions++;
}

static void
region_attach(struct kernel *k, uint32_t i, uint64_t session)
{
    struct region *r = region_at(k, i);
    struct session *s;

    r->session = session == 0 ? NIL : session_of_id(k, session);
    if (r->session == NIL)
        return;
    s = session_at(k, r->session);
    r->attach_prev = s->attach_last;
    if (s->attach_last != NIL)
        region_at(k, s->attach_last)->attach_next = i;
    else
        s->attach_first = i;
    s->attach_last = i;
    s->attached++;
}

void
region_detach(struct kernel *k, struct region *r)
{
    struct session *s;

    if (r->session == NIL)
        return;
    s = session_at(k, r->session);
    if (r->attach_prev != NIL)
        region_at(k, r->attach_prev)->attach_next = r->attach_next;
    else
        s->attach_first = r->attach_next;
    if (r->attach_next != NIL)
        region_at(k, r->attach_next)->attach_prev = r->attach_prev;
    else
        s->attach_last = r->attach_prev;
    s->attached--;
    r->session = r->attach_next = r->attach_prev = NIL;
}

static void
region_opened(struct kernel *k, const struct event *ev)
{
    const struct region_payload *p = ev->payload;
    uint32_t i = arena_take(&k->regions, &k->allocator);
    struct region *r = region_at(k, i);
    const struct region *parent;

    r->id = ev->region;
    r->parent_id = ev->value;
    r->parent = ev->value == 0 ? NIL : region_of_id(k, ev->value);
    parent = r->parent == NIL ? NULL : region_at(k, r->parent);
    r->opened_at = ev->at;
    r->limit_at = p->budget.limit_at;
    r->limit_kind = p->budget.limit_kind;
    r->cost_quota = p->budget.cost_quota;
    r->poll_quota = p->budget.poll_quota;
    r->priority = p->budget.priority;
    r->effective_limit = r->limit_at;
    r->effective_priority = r->priority;
    r->flags = (p->soft ? REGION_SOFT : 0) | (p->strict ? REGION_STRICT : 0);
    if (parent != NULL && (parent->flags & REGION_VOLATILE) != 0)
        r->flags |= REGION_VOLATILE;
    else if (p->is_volatile)
        r->flags |= REGION_VOLATILE | REGION_VOLATILE_TOP;
    if ((r->flags & REGION_VOLATILE) != 0)
        k->volatile_seen = true;
    if (r->cost_quota != UINT64_MAX || (parent != NULL && (parent->flags & REGION_COST_LIMITED)))
        r->flags |= REGION_COST_LIMITED;
    if (parent != NULL) {
        r->effective_limit = min_u64(r->limit_at, parent->effective_limit);
        if (parent->effective_priority > r->effective_priority)
            r->effective_priority = parent->effective_priority;
        r->depth = parent->depth + 1;
    }
    r->drain_ns = p->drain_ns;
    r->drain_end = r->drain_pass = r->close_by = r->sweep_at = ASUP_NEVER;
    r->policy = p->policy;
    r->quorum = p->quorum;
    r->tasks_max = p->tasks_max;
    r->children_max = p->children_max;
    r->uid = ev->uid;
    r->child_first = r->child_last = r->next = r->prev = NIL;
    r->task_first = r->task_last = r->stack_top = NIL;
    r->channel_first = r->channel_last = NIL;
    r->ledger_first = r->ledger_last = r->lease_first = r->lease_last = NIL;
    r->capability_first = r->capability_last = NIL;
    r->session = r->attach_next = r->attach_prev = NIL;
    r->wait_first = r->work_next = NIL;
    r->sub_regions = 1;
    r->name = heap_put(&k->heap, &k->allocator, ev->text);
    r->name_key = region_name_key(ev->value, ev->text);
    index_add(&k->region_ids, &k->allocator, i);
    index_add(&k->names, &k->allocator, i);
    k->regions_in[ASUP_REGION_OPEN]++;
    if (parent == NULL)
        return; /* "/", made by kernel_new() */
    k->region_id_next = ev->region + 1;
    user_get(k, r->uid)->regions++;
    user_get(k, r->uid)->bytes += ev->text.size;
    if ((r->flags & REGION_VOLATILE_TOP) != 0) {
        k->volatile_tops++;
        region_used(k, r->parent); /* whether a start is ordered in it, a journal does not say */
    }
    region_link_child(k, i);
    region_attach(k, i, ev->session);
    region_rearm(k, i);
}

/* ---- Ending ------------------------------------------------------------------------------ */

static void
region_cancel_requested(struct kernel *k, const struct event *ev, struct region *r)
{
    const struct cancel_payload *p = ev->payload;

    reason_make(k, ev, &p->reason);
    if (r->reason != ev->reason) {
        uint32_t old = r->reason;

        r->reason = reason_hold(k, ev->reason);
        reason_release(k, old);
    }
    if ((r->flags & REGION_CANCELLED) == 0)
        r->cleanup_ns = p->cleanup_ns;
    r->flags |= REGION_CANCELLED;
    if (p->reason.limit_passed)
        r->flags |= REGION_LIMIT_FIRED;
    if (p->hard)
        r->flags |= REGION_HARD;
    if (p->hurry)
        k->hurry = true;
    r->drain_end = ev->value;
    r->drain_pass = p->drain_pass;
    r->close_by = p->promised ? time_add(r->drain_end, r->cleanup_ns) : ASUP_NEVER;
}

static void
region_decided(struct kernel *k, const struct event *ev, struct region *r)
{
    const struct decided_payload *p = ev->payload;

    r->flags |= REGION_DECIDED;
    if (p->won) {
        r->flags |= REGION_WON;
        outcome_replace(k, &r->acc, &r->has_acc, ev->outcome);
    } else {
        outcome_combine(k, &r->acc, &r->has_acc, ev->outcome);
    }
}

static void
region_unlink_child(struct kernel *k, uint32_t i)
{
    struct region *r = region_at(k, i);
    struct region *parent;

    for (uint32_t at = r->parent; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->sub_regions--;
    if (r->parent == NIL)
        return;
    parent = region_at(k, r->parent);
    if (r->prev != NIL)
        region_at(k, r->prev)->next = r->next;
    else
        parent->child_first = r->next;
    if (r->next != NIL)
        region_at(k, r->next)->prev = r->prev;
    else
        parent->child_last = r->prev;
    parent->children_live--;
    user_get(k, r->uid)->regions--;
    policy_count(k, parent, &r->acc, ASUP_SORT_REGION, r->id, true);
}

static void
region_closed(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct region *r = region_at(k, i);

    must(r->tasks_live == 0 && r->children_live == 0 && r->stack_top == NIL && !region_owes(r));
    must(r->channels == 0);
    leases_closed(k, i);
    region_move(k, r, ASUP_REGION_CLOSED);
    r->flags |= REGION_SEALED;
    k->volatile_tops -= (r->flags & REGION_VOLATILE_TOP) != 0;
    r->closed_at = ev->at;
    r->sweep_error = 0;
    outcome_replace(k, &r->acc, &r->has_acc, ev->outcome);
    if (r->has_fin) {
        reason_release(k, r->fin.reason);
        r->has_fin = 0;
    }
    region_detach(k, r);
    region_rearm(k, i);
    index_drop(&k->names, i);
    region_unlink_child(k, i);
    if (i != k->root)
        retained_push(k, i, true);
}

static void
region_forgotten(struct kernel *k, uint32_t i)
{
    struct region *r = region_at(k, i);

    must(!region_live(r));
    retained_remove(k, i, true);
    user_get(k, r->uid)->bytes -= heap_get(&k->heap, r->name).size;
    heap_drop(&k->heap, &k->allocator, r->name);
    reason_release(k, r->acc.reason);
    reason_release(k, r->reason);
    index_drop(&k->region_ids, i);
    arena_give(&k->regions, i);
}

/* What a volatile region has spent, for those above it (R-DUR-1). */
static void
region_charged(struct kernel *k, const struct event *ev, const struct region *r)
{
    for (uint32_t at = r->parent; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->cost_spent = time_add(region_at(k, at)->cost_spent, ev->value);
}

static void
region_lost(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct region *r = region_at(k, i);

    r->flags |= REGION_LOST;
    region_used(k, i);
    outcome_combine(k, &r->acc, &r->has_acc, ev->outcome);
}

static void
region_close_timeout(struct kernel *k, const struct event *ev, struct region *r)
{
    if (r->state != ASUP_REGION_OPEN)
        r->flags |= REGION_CLOSE_TIMEOUT;
    if (ev->task != 0) {
        uint32_t i = task_of_id(k, ev->task);

        must(i != NIL);
        task_at(k, i)->flags |= TASK_UNKILLABLE;
        task_rearm(k, i);
    }
}

void
apply_region(struct kernel *k, const struct event *ev)
{
    uint32_t i = NIL;
    struct region *r = NULL;

    if (ev->kind != EV_REGION_OPENED) {
        i = region_of_id(k, ev->region);
        must(i != NIL);
        r = region_at(k, i);
    }
    switch (ev->kind) {
    case EV_REGION_OPENED:
        region_opened(k, ev);
        return;
    case EV_REGION_SEALED:
        region_move(k, r, ASUP_REGION_CLOSING);
        r->flags |= REGION_SEALED;
        break;
    case EV_REGION_CANCEL_REQUESTED:
        region_cancel_requested(k, ev, r);
        break;
    case EV_REGION_DECIDED:
        region_decided(k, ev, r);
        break;
    case EV_REGION_DRAINING:
        region_move(k, r, ASUP_REGION_DRAINING);
        break;
    case EV_REGION_FINALIZING:
        region_move(k, r, ASUP_REGION_FINALIZING);
        break;
    case EV_REGION_SWEEP_ORDERED:
        r->flags |= REGION_SWEEP_PENDING;
        r->sweep_at = ASUP_NEVER;
        break;
    case EV_REGION_SWEEP_FAILED:
        r->flags &= ~(uint32_t)REGION_SWEEP_PENDING;
        r->sweep_error = (int32_t)ev->value;
        r->sweep_at = time_add(ev->at, sweep_backoff_ns(r->sweep_attempts));
        r->sweep_attempts++;
        break;
    case EV_REGION_CLOSED:
        region_closed(k, ev, i);
        return;
    case EV_REGION_CLOSE_TIMEOUT:
        region_close_timeout(k, ev, r);
        break;
    case EV_REGION_OVERCOMMITTED:
        break;
    case EV_REGION_DRAIN_ENDED:
        r->flags |= REGION_DRAIN_ENDED;
        break;
    case EV_REGION_FORGOTTEN:
        region_forgotten(k, i);
        return;
    case EV_REGION_CHARGED:
        region_charged(k, ev, r);
        return;
    case EV_REGION_REOPENED:
        apply_reopened(k, ev);
        break;
    case EV_REGION_LOST:
        region_lost(k, ev, i);
        break;
    default:
        must(false);
    }
    region_rearm(k, i);
}
