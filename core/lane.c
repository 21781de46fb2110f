/* SPDX-License-Identifier: MIT */
/*
 * Lanes (§7): where runnable entries wait to be picked.
 *
 *     cancel   signals to deliver, then finalizers to start: two queues, first
 *              in first out, that take turns
 *     timed    tasks with a limit, earliest first, ties by id
 *     ready    the others: by time of arrival, a step of priority being worth
 *              `ageing_ns` of waiting. The key never changes, so waiting raises
 *              an entry past any number of later ones and none starves.
 *
 * An entry is in exactly one lane (R-SCH-1): the record says in which.
 */
#include "core/event.h"

/* Above this is the cancel lane's band. */
enum { PRIORITY_MAX = 199 };

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

static uint64_t
ready_key(const struct kernel *k, const struct task *t)
{
    uint8_t priority = task_effective_priority(k, t);

    if (priority == 0)
        priority = ASUP_PRIORITY_DEFAULT;
    if (priority > PRIORITY_MAX)
        priority = PRIORITY_MAX;
    return time_add(k->event_at, (uint64_t)(PRIORITY_MAX - priority) * k->config.ageing_ns);
}

static void
queue_push(struct kernel *k, uint32_t i, uint32_t *first, uint32_t *last)
{
    struct task *t = task_at(k, i);

    t->lane_next = NIL;
    t->lane_place = *last;
    if (*last != NIL)
        task_at(k, *last)->lane_next = i;
    else
        *first = i;
    *last = i;
}

static void
queue_remove(struct kernel *k, uint32_t i, uint32_t *first, uint32_t *last)
{
    struct task *t = task_at(k, i);

    if (t->lane_place != NIL)
        task_at(k, t->lane_place)->lane_next = t->lane_next;
    else
        *first = t->lane_next;
    if (t->lane_next != NIL)
        task_at(k, t->lane_next)->lane_place = t->lane_place;
    else
        *last = t->lane_place;
    t->lane_place = 0;
}

void
lane_enter(struct kernel *k, uint32_t task, enum lane lane)
{
    struct task *t = task_at(k, task);

    must(t->lane == LANE_NONE && lane != LANE_NONE);
    t->lane = (uint8_t)lane;
    t->lane_step = (uint32_t)k->steps;
    k->lane_count[lane]++;
    switch (lane) {
    case LANE_SIGNAL:
        queue_push(k, task, &k->signal_first, &k->signal_last);
        break;
    case LANE_FINALIZER:
        queue_push(k, task, &k->finalizer_first, &k->finalizer_last);
        break;
    case LANE_TIMED:
        timer_set(&k->timed, &k->allocator, TIMER_TASK, task, task_effective_limit(k, t));
        break;
    default:
        timer_set(&k->ready, &k->allocator, TIMER_TASK, task, ready_key(k, t));
        break;
    }
}

void
lane_leave(struct kernel *k, uint32_t task)
{
    struct task *t = task_at(k, task);

    switch ((enum lane)t->lane) {
    case LANE_NONE:
        return;
    case LANE_SIGNAL:
        queue_remove(k, task, &k->signal_first, &k->signal_last);
        break;
    case LANE_FINALIZER:
        queue_remove(k, task, &k->finalizer_first, &k->finalizer_last);
        break;
    case LANE_TIMED:
        timer_set(&k->timed, &k->allocator, TIMER_TASK, task, ASUP_NEVER);
        break;
    case LANE_READY:
        timer_set(&k->ready, &k->allocator, TIMER_TASK, task, ASUP_NEVER);
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
        if (start && k->timed.count + k->ready.count > 0)
            k->cancel_run++;
        else
            k->cancel_run = 0;
        break;
    case LANE_TIMED:
        k->cancel_run = 0;
        k->timed_run = k->ready.count > 0 ? k->timed_run + 1 : 0;
        break;
    case LANE_READY:
        k->cancel_run = 0;
        k->timed_run = 0;
        break;
    case LANE_NONE:
        must(false);
    }
    lane_leave(k, task);
}
