/* SPDX-License-Identifier: MIT */
/* Applying the admission of tasks and finalizers, and where their timers stand. */
#include "core/event.h"

/* ---- Timers --------------------------------------------------------------------- */

asup_time
task_deadline(const struct task *t)
{
    asup_time at = ASUP_NEVER;

    if (!task_live(t))
        return at;
    if ((t->flags & (TASK_FINALIZER | TASK_LIMIT_FIRED)) == 0)
        at = t->limit_at;
    if ((t->flags & TASK_DELAYED) != 0)
        at = min_u64(at, t->run.due_at);
    if (task_starting(t) && (t->flags & TASK_SLOW) == 0)
        at = min_u64(at, t->run.sample_at);
    if ((t->flags & TASK_STARTED) != 0 && (t->flags & TASK_ENDED) == 0) {
        if (t->run.response_ns != 0 && (t->flags & TASK_BROKE_WORD) == 0)
            at = min_u64(at, t->run.response_at);
        /* Once it is cancelled, T bounds it, and cleanup is not charged. */
        if (t->reason == 0 && t->run.watchdog_ns != 0 && (t->flags & TASK_WATCHDOG_LATE) == 0)
            at = min_u64(at, t->run.watchdog_at);
        if (t->reason == 0 && (t->flags & TASK_SAMPLED) != 0)
            at = min_u64(at, t->run.sample_at);
    }
    if ((t->flags & (TASK_DELEGATED | TASK_UNKILLABLE)) == 0)
        at = min_u64(at, t->kill_at);
    return at;
}

/* A task whose end is its region's T leaves the watch to the region's timer:
 * closing a region of 10^5 tasks arms one. */
static void
task_delegate(struct kernel *k, struct task *t)
{
    struct region *r = region_at(k, t->region);
    bool was = (t->flags & TASK_DELEGATED) != 0;
    bool is = task_live(t) && (t->flags & (TASK_FINALIZER | TASK_ESCALATED)) == 0 &&
              t->kill_at != ASUP_NEVER && t->kill_at == r->drain_end;

    if (was == is)
        return;
    if (is) {
        t->flags |= TASK_DELEGATED;
        if (r->delegated++ == 0)
            region_rearm(k, t->region);
    } else {
        t->flags &= ~(uint32_t)TASK_DELEGATED;
        must(r->delegated > 0);
        if (--r->delegated == 0)
            region_rearm(k, t->region);
    }
}

void
task_rearm(struct kernel *k, uint32_t task)
{
    struct task *t = task_at(k, task);

    task_delegate(k, t);
    timer_set(&k->timers, &k->allocator, TIMER_TASK, task, task_deadline(t));
}

/* ---- Admission -------------------------------------------------------------------- */

static void
task_link(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);
    struct region *r = region_at(k, t->region);

    t->next = t->prev = NIL;
    if ((t->flags & TASK_FINALIZER) != 0) {
        stack_push(k, r, stack_link(i, false));
        r->finalizers++;
        r->finalizers_ns = time_add(r->finalizers_ns, t->limit_at);
    } else {
        t->prev = r->task_last;
        if (r->task_last != NIL)
            task_at(k, r->task_last)->next = i;
        else
            r->task_first = i;
        r->task_last = i;
        r->tasks_live++;
        r->tasks_total++;
        policy_admit(k, r, ASUP_SORT_TASK, t->id);
    }
    for (uint32_t at = t->region; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->sub_tasks++;
}

void
apply_created(struct kernel *k, const struct event *ev)
{
    const struct task_payload *p = ev->payload;
    uint32_t i = arena_take(&k->tasks, &k->allocator);
    struct task *t = task_at(k, i);
    const struct region *r;

    t->id = ev->task;
    t->region = region_of_id(k, ev->region);
    r = region_at(k, t->region);
    t->created_at = ev->at;
    t->cx = p->cx;
    t->limit_at = p->budget.limit_at;
    t->limit_kind = p->budget.limit_kind;
    t->cost_quota = p->budget.cost_quota;
    t->poll_quota = p->budget.poll_quota;
    t->priority = p->budget.priority;
    t->drain_ns = p->drain_ns;
    t->leftover_ns = p->leftover_ns;
    t->drain_end = t->kill_at = ASUP_NEVER;
    t->run.due_at = p->due_at;
    t->run.watchdog_ns = p->watchdog_ns;
    t->run.response_ns = p->response_ns;
    t->run.watchdog_at = t->run.response_at = t->run.sample_at = ASUP_NEVER;
    t->run.mask_depth = t->run.mask_left = p->mask_depth;
    t->label = heap_put(&k->heap, &k->allocator, ev->text);
    t->spec = heap_put(&k->heap, &k->allocator, (struct bytes){p + 1, p->spec_size});
    t->uid = ev->uid;
    t->run_uid = p->run_uid;
    t->cancel_signal = (uint8_t)p->cancel_signal;
    if (p->call_size > 0)
        t->run.watchdog_ns = t->run.call_order = 0; /* that is for processes */
    t->flags = (p->leftover_wait ? TASK_LEFTOVER_WAIT : 0) | (p->notify ? TASK_NOTIFY : 0) |
               (p->due_at != 0 ? TASK_DELAYED : 0) | (p->action ? TASK_ACTION : 0);
    t->wait_first = t->work_next = NIL;
    if (ev->kind == EV_FINALIZER_REGISTERED)
        t->flags |= TASK_FINALIZER;
    else if (p->call_size == 0 &&
             (t->cost_quota != UINT64_MAX || (r->flags & REGION_COST_LIMITED) != 0))
        t->flags |= TASK_SAMPLED;
    index_add(&k->task_ids, &k->allocator, i);
    k->task_memo = i;
    k->region_memo = t->region;
    k->task_id_next = ev->task + 1;
    k->tasks_in[ASUP_TASK_CREATED]++;
    user_get(k, t->uid)->tasks++;
    user_get(k, t->uid)->bytes += ev->text.size + p->spec_size + p->key_size;
    if (p->call_size > 0) {
        const uint8_t *name = (const uint8_t *)(p + 1) + p->spec_size;

        call_created(k, i, p, (struct bytes){name, p->call_size},
                     (struct bytes){name + p->call_size, p->key_size});
    }
    task_link(k, i);
    if (task_effective_limit(k, t) != ASUP_NEVER)
        k->limits_seen = true;
    if ((t->flags & (TASK_FINALIZER | TASK_DELAYED)) == 0)
        lane_enter(k, i, task_effective_limit(k, t) == ASUP_NEVER ? LANE_READY : LANE_TIMED);
    task_rearm(k, i);
}
