/* SPDX-License-Identifier: MIT */
/* What tasks wait for by time: a heap by (instant, order of arming). Room for
 * every record is made when the record is. */
#include "cx/shell_state.h"

static bool
earlier(const struct task_fiber *a, const struct task_fiber *b)
{
    if (a->wake_at != b->wake_at)
        return a->wake_at < b->wake_at;
    return a->wake_number < b->wake_number;
}

static void
set(struct shell *s, uint32_t at, struct task_fiber *t)
{
    s->timers[at] = t;
    t->wake_place = at;
}

static void
sift_up(struct shell *s, uint32_t at, struct task_fiber *t)
{
    while (at > 0 && earlier(t, s->timers[(at - 1) / 2])) {
        set(s, at, s->timers[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    set(s, at, t);
}

static void
sift_down(struct shell *s, uint32_t at, struct task_fiber *t)
{
    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= s->timer_count)
            break;
        if (child + 1 < s->timer_count && earlier(s->timers[child + 1], s->timers[child]))
            child++;
        if (!earlier(s->timers[child], t))
            break;
        set(s, at, s->timers[child]);
        at = child;
    }
    set(s, at, t);
}

void
timer_arm(struct shell *s, struct task_fiber *t, asup_time at)
{
    if (at == ASUP_NEVER)
        return;
    shell_must(t->wake_place == NOWHERE && s->timer_count < s->timer_capacity);
    t->wake_at = at;
    t->wake_number = ++s->wake_number;
    s->timer_count++;
    sift_up(s, s->timer_count - 1, t);
}

void
timer_disarm(struct shell *s, struct task_fiber *t)
{
    uint32_t at = t->wake_place;
    struct task_fiber *last;

    if (at == NOWHERE)
        return;
    t->wake_place = NOWHERE;
    last = s->timers[--s->timer_count];
    if (last == t)
        return;
    if (at > 0 && earlier(last, s->timers[(at - 1) / 2]))
        sift_up(s, at, last);
    else
        sift_down(s, at, last);
}

asup_time
timer_next(const struct shell *s)
{
    return s->timer_count == 0 ? ASUP_NEVER : s->timers[0]->wake_at;
}

void
timers_due(struct shell *s)
{
    while (s->timer_count > 0 && s->timers[0]->wake_at <= s->now) {
        struct task_fiber *t = s->timers[0];

        wait_wake(s, t, t->waiting == WAITS_TIME ? 0 : -ASUP_ETIMEDOUT);
    }
}
