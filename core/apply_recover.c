/* SPDX-License-Identifier: MIT */
/* Applying that the engine came back, and leaving out of a snapshot what was
 * inside volatile regions (durable.h). */
#include "core/decide.h"

/* ---- RESUMED ------------------------------------------------------------------------- */

static void
ids_floor(struct kernel *k, uint64_t id_first)
{
    uint64_t *const next[] = {&k->task_id_next,     &k->region_id_next,
                              &k->session_id_next,  &k->obligations.id_next,
                              &k->channels.id_next, &k->channels.message_id_next,
                              &k->saga.id_next,     &k->capabilities.id_next};

    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        if (*next[i] < id_first)
            *next[i] = id_first;
    }
}

/* What was measured by an engine's own clock starts anew. Limits, drain ends and
 * delays are instants and stay. */
static void
task_anew(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct task *t = task_at(k, i);

    if (task_starting(t)) {
        t->run.sample_at = time_add(ev->at, k->config.start_patience_ns);
    } else if ((t->flags & TASK_STARTED) != 0 && (t->flags & TASK_ENDED) == 0) {
        t->run.watchdog_at = time_add(ev->at, t->run.watchdog_ns);
        t->run.response_at = time_add(ev->at, t->run.response_ns);
        t->run.sample_at = time_add(ev->at, k->config.sample_ns);
    }
    if ((t->flags & (TASK_ESCALATED | TASK_UNKILLABLE)) == TASK_ESCALATED)
        t->kill_at = time_add(ev->at, k->config.kill_grace_ns);
    task_rearm(k, i);
}

void
apply_resumed(struct kernel *k, const struct event *ev)
{
    const struct resumed_payload *p = ev->payload;

    ids_floor(k, p->id_first);
    obligations_restart(k, ev->at);
    k->journal_failed = false;
    k->cancel_run = k->timed_run = 0;
    for (uint32_t i = 0; i < k->sessions.used; i++) {
        struct session *s = session_at(k, i);

        if (s->id == 0)
            continue;
        s->connected = false;
        s->expires_at = p->same_boot ? time_add(ev->at, s->ttl_ns) : ev->at;
        timer_set(&k->timers, &k->allocator, TIMER_SESSION, i, s->expires_at);
    }
    for (uint32_t i = 0; i < k->tasks.used; i++) {
        if (task_at(k, i)->id != 0 && task_live(task_at(k, i)))
            task_anew(k, ev, i);
    }
    workers_anew(k, ev->at);
}

/* ---- Volatile regions in a snapshot ------------------------------------------------------ */

static bool
in_volatile(const struct kernel *k, uint32_t region)
{
    return (region_at(k, region)->flags & REGION_VOLATILE) != 0;
}

static void
task_drop(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);
    struct user *u = user_get(k, t->uid);

    if (task_live(t)) {
        if (task_starting(t) && (t->flags & TASK_SLOW) == 0)
            k->starting--;
        lane_leave(k, i);
        k->tasks_in[t->state]--;
        k->stack_entries -= (t->flags & (TASK_FINALIZER | TASK_UNDO)) == TASK_FINALIZER;
        u->tasks--;
        for (uint32_t at = t->region; at != NIL; at = region_at(k, at)->parent)
            region_at(k, at)->sub_tasks--;
        timer_set(&k->timers, &k->allocator, TIMER_TASK, i, ASUP_NEVER);
    } else {
        retained_remove(k, i, false);
    }
    task_holds_dropped(k, i);
    if (task_is_call(t)) {
        lane_leave(k, i);
        call_forgotten(k, t);
    }
    u->bytes -= heap_get(&k->heap, t->label).size + heap_get(&k->heap, t->spec).size;
    heap_drop(&k->heap, &k->allocator, t->label);
    heap_drop(&k->heap, &k->allocator, t->spec);
    if ((t->flags & TASK_ENDED) != 0)
        reason_release(k, t->end.reason);
    reason_release(k, t->reason);
    index_drop(&k->task_ids, i);
    arena_give(&k->tasks, i);
}

static void
outcome_drop(struct kernel *k, struct kernel_outcome *o, uint8_t *has)
{
    if (*has)
        reason_release(k, o->reason);
    *has = 0;
}

/* All that it was told, as if it had just opened. */
static void
region_reset(struct kernel *k, struct region *r)
{
    outcome_drop(k, &r->acc, &r->has_acc);
    outcome_drop(k, &r->fin, &r->has_fin);
    outcome_drop(k, &r->ok, &r->has_ok);
    reason_release(k, r->reason);
    k->regions_in[r->state]--;
    k->regions_in[ASUP_REGION_OPEN]++;
    r->state = ASUP_REGION_OPEN;
    r->reason = 0;
    r->flags &= REGION_VOLATILE | REGION_VOLATILE_TOP | REGION_SOFT | REGION_USED | REGION_LOST |
                REGION_KEYED | REGION_COST_LIMITED;
    r->drain_end = r->drain_pass = r->close_by = r->sweep_at = ASUP_NEVER;
    r->cleanup_ns = r->finalizers_ns = 0;
    r->child_first = r->child_last = r->task_first = r->task_last = r->stack_top = NIL;
    r->tasks_live = r->children_live = r->finalizers = r->delegated = 0;
    r->participants = r->counted = r->oks = r->leaks = 0;
}

static void
region_drop(struct kernel *k, uint32_t i)
{
    struct region *r = region_at(k, i);
    struct user *u = user_get(k, r->uid);

    if (region_live(r)) {
        region_reset(k, r);
        region_detach(k, r);
        k->regions_in[ASUP_REGION_OPEN]--;
        u->regions--;
        for (uint32_t at = r->parent; at != NIL; at = region_at(k, at)->parent)
            region_at(k, at)->sub_regions--;
        timer_set(&k->timers, &k->allocator, TIMER_REGION, i, ASUP_NEVER);
        index_drop(&k->names, i);
    } else {
        retained_remove(k, i, true);
        outcome_drop(k, &r->acc, &r->has_acc);
        reason_release(k, r->reason);
    }
    u->bytes -= heap_get(&k->heap, r->name).size;
    heap_drop(&k->heap, &k->allocator, r->name);
    index_drop(&k->region_ids, i);
    arena_give(&k->regions, i);
}

void
volatile_drop(struct kernel *k)
{
    for (uint32_t i = 0; i < k->regions.used; i++) {
        if (region_at(k, i)->id == 0 || !in_volatile(k, i))
            continue;
        sagas_drop(k, i);
        obligations_drop(k, i); /* its channels' permits and acks among them */
    }
    channels_volatile_drop(k);
    workers_volatile_drop(k);
    capabilities_volatile_drop(k);
    keys_volatile_drop(k);
    for (uint32_t i = 0; i < k->tasks.used; i++) {
        if (task_at(k, i)->id != 0 && in_volatile(k, task_at(k, i)->region))
            task_drop(k, i);
    }
    /* Counting goes up through parents, which must be there still: the deepest first. */
    for (uint32_t depth = ASUP_DEPTH_MAX + 1; depth > 0; depth--) {
        for (uint32_t i = 0; i < k->regions.used; i++) {
            const struct region *r = region_at(k, i);

            if (r->id != 0 && r->depth == depth &&
                (r->flags & (REGION_VOLATILE | REGION_VOLATILE_TOP)) == REGION_VOLATILE)
                region_drop(k, i);
        }
    }

    for (uint32_t i = 0; i < k->regions.used; i++) {
        struct region *r = region_at(k, i);

        if (r->id == 0 || !region_live(r) || (r->flags & REGION_VOLATILE_TOP) == 0)
            continue;
        region_reset(k, r);
        region_rearm(k, i);
    }
}
