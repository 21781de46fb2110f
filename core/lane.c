/* SPDX-License-Identifier: MIT */
/*
 * Lanes (§7): where runnable entries wait to be picked.
 *
 *     cancel   signals to deliver, then finalizers to start: two queues, first
 *              in first out, that take turns
 *     timed    tasks with a limit, earliest first, ties by id
 *     ready    the others: a queue for each priority, first in first out. Of
 *              their heads the one with the earliest time of arrival goes, a
 *              step of priority being worth `ageing_ns` of waiting: so waiting
 *              raises an entry past any number of later ones, and none starves.
 *
 * An entry is in exactly one lane (R-SCH-1): the record says in which.
 */
#include "core/event.h"

asup_time
task_effective_limit(const struct kernel *k, const struct task *t)
{
    asup_time inherited = region_at(k, t->region)->effective_limit;

    return (t->flags & TASK_FINALIZER) != 0 ? ASUP_NEVER : min_u64(t->limit_at, inherited);
}

uint8_t
task_effective_priority(const struct kernel *k, const struct task *t)
{
    uint8_t inherited = region_at(k, t->region)->effective_priority;

    return inherited > t->priority ? inherited : t->priority;
}

static uint8_t
ready_priority(const struct kernel *k, const struct task *t)
{
    uint8_t priority = task_effective_priority(k, t);

    if (priority == 0)
        priority = ASUP_PRIORITY_DEFAULT;
    return priority > READY_PRIORITY_MAX ? READY_PRIORITY_MAX : priority;
}

unsigned
lane_ready_priority(const struct kernel *k, uint32_t task)
{
    return ready_priority(k, task_at(k, task));
}

/* Since when a ready task is runnable. */
static asup_time
ready_since(const struct task *t)
{
    return t->run.due_at != 0 ? t->run.due_at : t->created_at;
}

uint32_t
lane_ready_next(const struct kernel *k)
{
    uint32_t best = NIL;
    uint64_t best_key = 0;

    for (unsigned word = 0; word < sizeof k->ready_used / sizeof k->ready_used[0]; word++) {
        for (uint64_t bits = k->ready_used[word]; bits != 0; bits &= bits - 1) {
            unsigned priority = word * 64 + (unsigned)__builtin_ctzll(bits);
            uint32_t i = k->ready[priority].first;
            uint64_t key = time_add(ready_since(task_at(k, i)),
                                    (READY_PRIORITY_MAX - priority) * k->config.ageing_ns);

            /* Of equals the higher priority, which comes later here. */
            if (best == NIL || key <= best_key) {
                best = i;
                best_key = key;
            }
        }
    }
    return best;
}

static void
queue_push(struct kernel *k, uint32_t i, struct queue *q)
{
    struct task *t = task_at(k, i);

    t->lane_next = NIL;
    t->lane_place = q->last;
    if (q->last != NIL)
        task_at(k, q->last)->lane_next = i;
    else
        q->first = i;
    q->last = i;
}

static void
queue_remove(struct kernel *k, uint32_t i, struct queue *q)
{
    struct task *t = task_at(k, i);

    if (t->lane_place != NIL)
        task_at(k, t->lane_place)->lane_next = t->lane_next;
    else
        q->first = t->lane_next;
    if (t->lane_next != NIL)
        task_at(k, t->lane_next)->lane_place = t->lane_place;
    else
        q->last = t->lane_place;
    t->lane_place = 0;
}

void
lane_enter(struct kernel *k, uint32_t task, enum lane lane)
{
    struct task *t = task_at(k, task);
    uint8_t priority;

    must(t->lane == LANE_NONE && lane != LANE_NONE);
    if (task_is_call(t)) {
        call_lane_enter(k, task, lane);
        return;
    }
    t->lane = (uint8_t)lane;
    t->lane_step = (uint8_t)k->steps;
    k->lane_count[lane]++;
    switch (lane) {
    case LANE_SIGNAL:
        queue_push(k, task, &k->signals);
        break;
    case LANE_FINALIZER:
        queue_push(k, task, &k->finalizers);
        break;
    case LANE_TIMED:
        timer_set(&k->timed, &k->allocator, TIMER_TASK, task, task_effective_limit(k, t));
        break;
    default:
        priority = ready_priority(k, t);
        queue_push(k, task, &k->ready[priority]);
        k->ready_used[priority / 64] |= (uint64_t)1 << (priority % 64);
        break;
    }
}

void
lane_leave(struct kernel *k, uint32_t task)
{
    struct task *t = task_at(k, task);
    uint8_t priority;

    if (t->lane != LANE_NONE && task_is_call(t)) {
        call_lane_leave(k, task);
        return;
    }
    switch ((enum lane)t->lane) {
    case LANE_NONE:
    case LANE_TAKEN:
        return;
    case LANE_SIGNAL:
        queue_remove(k, task, &k->signals);
        break;
    case LANE_FINALIZER:
        queue_remove(k, task, &k->finalizers);
        break;
    case LANE_TIMED:
        timer_set(&k->timed, &k->allocator, TIMER_TASK, task, ASUP_NEVER);
        break;
    case LANE_READY:
        priority = ready_priority(k, t);
        queue_remove(k, task, &k->ready[priority]);
        if (k->ready[priority].first == NIL)
            k->ready_used[priority / 64] &= ~((uint64_t)1 << (priority % 64));
        break;
    }
    k->lane_count[t->lane]--;
    t->lane = LANE_NONE;
}

void
lane_picked(struct kernel *k, uint32_t task)
{
    enum lane lane = task_at(k, task)->lane;
    bool start = k->starting < k->config.start_window;

    switch (lane) {
    case LANE_SIGNAL:
    case LANE_FINALIZER:
        k->finalizer_turn = lane == LANE_SIGNAL;
        if (start && k->lane_count[LANE_TIMED] + k->lane_count[LANE_READY] > 0)
            k->cancel_run++;
        else
            k->cancel_run = 0;
        break;
    case LANE_TIMED:
        k->cancel_run = 0;
        k->timed_run = k->lane_count[LANE_READY] > 0 ? k->timed_run + 1 : 0;
        break;
    case LANE_READY:
        k->cancel_run = 0;
        k->timed_run = 0;
        break;
    case LANE_NONE:
    case LANE_TAKEN:
        must(false);
    }
    lane_leave(k, task);
}
