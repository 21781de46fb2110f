/* SPDX-License-Identifier: MIT */
/*
 * The invariants of §9 that apply to what is built, each by its name, checked
 * from two sides where there are two. Time in proportion to the state.
 */
#include "core/decide.h"

#define HOLDS(condition, name)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return (name);                                                                         \
    } while (0)

/* What is counted on the way through. */
struct tally {
    uint32_t tasks[ASUP_TASK_STATE_COUNT];
    uint32_t regions[ASUP_REGION_STATE_COUNT];
    uint32_t lanes[6];
    uint32_t starting;
    uint32_t stack_entries;
    uint32_t in_lists; /* tasks found from their regions */
    uint32_t undos;    /* live attempts to compensate: on no list of a region's */
    uint32_t retained;
    uint32_t volatile_tops;
};

static const char *
check_region_tree(const struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);
    uint32_t count = 0;
    uint64_t last = 0;
    uint64_t regions = 1;

    for (uint32_t c = r->child_first; c != NIL; c = region_at(k, c)->next) {
        const struct region *child = region_at(k, c);

        HOLDS(child->parent == i && child->id > last, "tree-ownership");
        HOLDS(child->depth == r->depth + 1, "tree-ownership");
        HOLDS(region_live(child), "tree-ownership");
        HOLDS(child->effective_limit <= r->effective_limit, "deadline-monotone");
        last = child->id;
        regions += child->sub_regions;
        count++;
        if ((r->flags & REGION_SEALED) != 0)
            HOLDS((child->flags & REGION_SEALED) != 0, "cancel-propagates");
        if ((r->flags & REGION_CANCELLED) == 0)
            continue;
        /* One that had no more to cancel was left alone. */
        if (child->state < ASUP_REGION_FINALIZING) {
            HOLDS((child->flags & REGION_CANCELLED) != 0, "cancel-propagates");
            HOLDS(child->drain_pass <= r->drain_pass, "cancel-monotone");
        }
    }
    HOLDS(count == r->children_live, "tree-ownership");
    HOLDS(regions == r->sub_regions, "tree-ownership");
    return NULL;
}

static const char *
check_region_tasks(const struct kernel *k, uint32_t i, struct tally *tally)
{
    const struct region *r = region_at(k, i);
    uint32_t count = 0;
    uint32_t delegated = 0;
    uint64_t last = 0;
    uint64_t tasks = 0;

    for (uint32_t at = r->task_first; at != NIL; at = task_at(k, at)->next) {
        const struct task *t = task_at(k, at);

        HOLDS(t->region == i && t->id > last && task_live(t), "single-owner");
        last = t->id;
        count++;
        delegated += (t->flags & TASK_DELEGATED) != 0;
        if ((r->flags & REGION_CANCELLED) != 0) {
            HOLDS(t->reason != 0, "cancel-propagates");
            HOLDS(t->drain_end <= r->drain_end, "cancel-monotone");
        }
        if ((t->flags & TASK_ESCALATED) == 0 && (t->flags & TASK_ENDED) == 0)
            HOLDS(t->kill_at <= t->drain_end || (t->flags & TASK_ORDERED) == 0, "cancel-monotone");
    }
    HOLDS(count == r->tasks_live && delegated == r->delegated, "single-owner");
    tally->in_lists += count;
    count = 0;
    for (uint32_t link = r->stack_top; link != NIL; link = stack_below(k, link)) {
        const struct task *t;

        tally->stack_entries++;
        if (stack_is_saga(link))
            continue;
        t = task_at(k, link >> 1);
        HOLDS(t->region == i && (t->flags & TASK_FINALIZER) != 0, "single-owner");
        HOLDS(t->reason == 0, "stack-LIFO-once"); /* masked */
        HOLDS((t->flags & TASK_BEGUN) == 0 ||
                  (link == r->stack_top && r->state == ASUP_REGION_FINALIZING),
              "stack-LIFO-once");
        HOLDS((t->flags & TASK_ORDERED) == 0 || (t->flags & TASK_BEGUN) != 0, "stack-LIFO-once");
        count++;
    }
    HOLDS(count == r->finalizers, "stack-LIFO-once");
    tally->in_lists += count;
    tasks = (uint64_t)r->tasks_live + r->finalizers;
    for (uint32_t c = r->child_first; c != NIL; c = region_at(k, c)->next)
        tasks += region_at(k, c)->sub_tasks;
    HOLDS(tasks <= r->sub_tasks && r->sub_tasks - tasks <= r->sub_sagas, "single-owner");
    return saga_stack_check(k, i);
}

static const char *
check_region(const struct kernel *k, uint32_t i, struct tally *tally)
{
    const struct region *r = region_at(k, i);
    const char *broken;

    tally->regions[r->state]++;
    tally->volatile_tops += region_live(r) && (r->flags & REGION_VOLATILE_TOP) != 0;
    HOLDS(r->id < k->region_id_next, "ids-never-reused");
    HOLDS(region_of_id(k, r->id) == i, "ids-never-reused");
    HOLDS((r->state == ASUP_REGION_OPEN) == ((r->flags & REGION_SEALED) == 0), "protocol-order");
    HOLDS(r->state != ASUP_REGION_CLOSING, "protocol-order"); /* never between steps */
    HOLDS((r->flags & REGION_CANCELLED) == 0 || r->reason != 0, "protocol-order");
    if (r->state >= ASUP_REGION_FINALIZING)
        HOLDS(r->tasks_live == 0 && r->children_live == 0, "quiescence-on-close");
    if (!region_live(r)) {
        HOLDS(r->stack_top == NIL && r->task_first == NIL && r->child_first == NIL,
              "quiescence-on-close");
        HOLDS(r->sub_tasks == 0 && r->has_acc, "losers-drained");
        HOLDS(r->session == NIL && r->timer_place == 0, "quiescence-on-close");
        tally->retained += i != k->root;
        return NULL;
    }
    HOLDS((r->flags & (REGION_DECIDED | REGION_CANCELLED)) != REGION_DECIDED, "losers-drained");
    broken = check_region_tree(k, i);
    return broken != NULL ? broken : check_region_tasks(k, i, tally);
}

static const char *
check_task_order(const struct task *t)
{
    bool ordered = (t->flags & TASK_ORDERED) != 0;
    bool started = (t->flags & TASK_STARTED) != 0;
    bool ended = (t->flags & TASK_ENDED) != 0;

    HOLDS(ordered || !started, "protocol-order");
    switch ((enum asup_task_state)t->state) {
    case ASUP_TASK_CREATED:
        HOLDS(!started && !ended, "protocol-order");
        break;
    case ASUP_TASK_RUNNING:
        HOLDS(started && !ended && t->reason == 0, "protocol-order");
        break;
    case ASUP_TASK_CANCEL_REQUESTED:
    case ASUP_TASK_CANCELLING:
        HOLDS(started && !ended && t->reason != 0, "protocol-order");
        break;
    case ASUP_TASK_FINALIZING:
        HOLDS(started && ended && (t->flags & TASK_EMPTIED) == 0, "protocol-order");
        break;
    case ASUP_TASK_COMPLETED:
        HOLDS(ended && (!started || (t->flags & TASK_EMPTIED) != 0), "protocol-order");
        break;
    }
    return NULL;
}

static const char *
check_task(const struct kernel *k, uint32_t i, struct tally *tally)
{
    const struct task *t = task_at(k, i);
    const struct region *r = region_at(k, t->region);

    tally->tasks[t->state]++;
    tally->lanes[t->lane] += !task_is_call(t); /* a call waits in its service */
    HOLDS(t->id < k->task_id_next && task_of_id(k, t->id) == i, "ids-never-reused");
    if (!task_live(t)) {
        HOLDS((t->lane == LANE_NONE || task_is_call(t)) && t->timer_place == 0, "lane-unique");
        tally->retained++;
        return task_is_call(t) ? call_check(k, t) : check_task_order(t);
    }
    HOLDS(r->id != 0 && region_live(r), "single-owner");
    tally->undos += (t->flags & TASK_UNDO) != 0;
    if (task_is_call(t)) {
        if ((t->flags & TASK_FINALIZER) != 0)
            HOLDS(t->reason == 0, "mask-bounded");
        HOLDS((t->timer_place == 0) == (task_deadline(t) == ASUP_NEVER), "time-monotone");
        return call_check(k, t);
    }
    if (task_starting(t))
        tally->starting += (t->flags & TASK_SLOW) == 0;
    if (t->lane == LANE_TIMED || t->lane == LANE_READY)
        HOLDS(t->state == ASUP_TASK_CREATED && (t->flags & (TASK_ORDERED | TASK_DELAYED)) == 0,
              "lane-unique");
    if (t->state == ASUP_TASK_CREATED && (t->flags & (TASK_ORDERED | TASK_DELAYED)) == 0 &&
        (t->flags & (TASK_FINALIZER | TASK_BEGUN)) != TASK_FINALIZER)
        HOLDS(t->lane != LANE_NONE, "lane-unique");
    if (t->lane == LANE_SIGNAL)
        HOLDS((t->flags & (TASK_STARTED | TASK_SIGNALLED)) == TASK_STARTED, "lane-unique");
    if (t->lane == LANE_FINALIZER)
        HOLDS((t->flags & (TASK_BEGUN | TASK_ORDERED)) == TASK_BEGUN, "lane-unique");
    if ((t->flags & TASK_FINALIZER) != 0)
        HOLDS(t->reason == 0, "mask-bounded");
    if ((t->flags & TASK_ENDED) == 0)
        HOLDS(t->run.mask_left <= t->run.mask_depth, "mask-bounded");
    HOLDS((t->timer_place == 0) == (task_deadline(t) == ASUP_NEVER), "time-monotone");
    return check_task_order(t);
}

static const char *
check_sessions(const struct kernel *k)
{
    uint32_t requests = 0;

    for (uint32_t i = 0; i < k->sessions.used; i++) {
        const struct session *s = session_at(k, i);
        uint32_t attached = 0;

        if (s->id == 0)
            continue;
        HOLDS(s->id < k->session_id_next && session_of_id(k, s->id) == i, "ids-never-reused");
        HOLDS(s->connected == (s->expires_at == ASUP_NEVER), "holder-alive");
        HOLDS(s->requests <= k->config.limits.requests_per_session, "idempotency-unique");
        requests += s->requests;
        for (uint32_t at = s->attach_first; at != NIL; at = region_at(k, at)->attach_next) {
            HOLDS(region_at(k, at)->session == i && region_live(region_at(k, at)), "holder-alive");
            attached++;
        }
        HOLDS(attached == s->attached, "holder-alive");
    }
    HOLDS(requests == arena_live(&k->requests), "idempotency-unique");
    HOLDS(requests == k->request_keys.count, "idempotency-unique");
    return NULL;
}

static const char *
check_users(const struct kernel *k)
{
    uint64_t tasks = 0;
    uint64_t regions = 0;
    uint64_t sessions = 0;
    uint64_t live = 0;

    for (uint32_t i = 0; i < k->users.used; i++) {
        const struct user *u = arena_at(&k->users, i);

        if (u->key == 0)
            continue;
        tasks += u->tasks;
        regions += u->regions;
        sessions += u->sessions;
    }
    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++)
        live += k->tasks_in[s];
    HOLDS(tasks == live, "single-owner");
    live = 0;
    for (unsigned s = 0; s < ASUP_REGION_CLOSED; s++)
        live += k->regions_in[s];
    live -= region_live(region_at(k, k->root)); /* "/" is nobody's */
    HOLDS(regions == live, "single-owner");
    HOLDS(sessions == arena_live(&k->sessions), "single-owner");
    return NULL;
}

/* What is in the queues of the ready lane, each marked as used exactly when it is. */
static uint32_t
ready_length(const struct kernel *k)
{
    uint32_t length = 0;

    for (unsigned p = 0; p <= READY_PRIORITY_MAX; p++) {
        bool used = (k->ready_used[p / 64] >> (p % 64) & 1) != 0;

        if (used != (k->ready[p].first != NIL))
            return NIL;
        for (uint32_t i = k->ready[p].first; i != NIL; i = task_at(k, i)->lane_next)
            length++;
    }
    return length;
}

static const char *
check_totals(const struct kernel *k, const struct tally *tally)
{
    uint32_t live = 0;

    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++) {
        HOLDS(tally->tasks[s] == k->tasks_in[s], "protocol-order");
        live += k->tasks_in[s];
    }
    for (unsigned s = 0; s < ASUP_REGION_CLOSED; s++)
        HOLDS(tally->regions[s] == k->regions_in[s], "protocol-order");
    HOLDS(live == tally->in_lists + tally->undos, "single-owner");
    HOLDS(tally->starting == k->starting, "protocol-order");
    HOLDS(tally->stack_entries == k->stack_entries, "stack-LIFO-once");
    HOLDS(tally->retained == k->retained_count + k->kept_count, "single-owner");
    HOLDS(tally->volatile_tops == k->volatile_tops, "single-owner");
    for (unsigned lane = LANE_SIGNAL; lane <= LANE_READY; lane++)
        HOLDS(tally->lanes[lane] == k->lane_count[lane], "lane-unique");
    HOLDS(k->lane_count[LANE_TIMED] == k->timed.count, "lane-unique");
    HOLDS(ready_length(k) == k->lane_count[LANE_READY], "lane-unique");
    HOLDS(k->cancel_run <= 2 * k->config.fairness, "fairness-bound");
    HOLDS(k->timed_run <= k->config.fairness, "fairness-bound");
    HOLDS(k->work_tasks.first == NIL && k->work_regions.first == NIL, "potential-falls");
    /* V is 0 exactly when only "/" remains (R-SCH-3). */
    HOLDS((kernel_potential(k) == 0) == (live == 0 && region_at(k, k->root)->sub_regions == 1 &&
                                         arena_live(&k->obligations.records) == 0),
          "potential-falls");
    HOLDS(k->event_at <= k->now, "time-monotone");
    return NULL;
}

const char *
kernel_check(const struct kernel *k)
{
    struct tally tally = {0};
    const char *broken = NULL;

    for (uint32_t i = 0; broken == NULL && i < k->regions.used; i++) {
        if (region_at(k, i)->id != 0)
            broken = check_region(k, i, &tally);
    }
    for (uint32_t i = 0; broken == NULL && i < k->tasks.used; i++) {
        if (task_at(k, i)->id != 0)
            broken = check_task(k, i, &tally);
    }
    if (broken == NULL)
        broken = check_sessions(k);
    if (broken == NULL)
        broken = check_users(k);
    if (broken == NULL)
        broken = saga_invariants(k);
    if (broken == NULL)
        broken = check_obligations(k);
    if (broken == NULL)
        broken = check_channels(k);
    if (broken == NULL)
        broken = calls_check(k);
    if (broken == NULL)
        broken = check_capabilities(k);
    if (broken == NULL)
        broken = check_keys(k);
    return broken != NULL ? broken : check_totals(k, &tally);
}
