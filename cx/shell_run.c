/* SPDX-License-Identifier: MIT */
/*
 * Who runs next. Tasks that are cancelled, and finalizers, go before the
 * others, but after `fairness` of them in a row one of the others goes that
 * waits (R-SCH-2). Where the world chooses, all that can run stand in one row,
 * in the order in which they became runnable.
 */
#include "cx/shell_state.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more: made when a record is. */
bool
run_reserve(struct shell *s, uint32_t count)
{
    struct task_fiber **tasks;
    uint64_t *ids;
    uint32_t capacity = s->choice_capacity;

    if (s->world.choose == NULL || count <= capacity)
        return true;
    while (capacity < count)
        capacity = capacity == 0 ? RECORDS_PER_CHUNK : 2 * capacity;
    tasks = realloc(s->choice, capacity * sizeof(struct task_fiber *));
    if (tasks == NULL)
        return false;
    s->choice = tasks;
    ids = realloc(s->choice_ids, capacity * sizeof *ids);
    if (ids == NULL)
        return false;
    s->choice_ids = ids;
    s->choice_capacity = capacity;
    return true;
}

void
run_free(struct shell *s)
{
    free(s->choice);
    free(s->choice_ids);
}

void
run_add(struct shell *s, struct task_fiber *t)
{
    struct run_queue *q;

    shell_must(t->lane == RUN_NONE && t->waiting == WAITS_NOT);
    t->lane = t->cancelled || t->finalizer ? RUN_CANCEL : RUN_READY;
    t->run_number = ++s->run_number;
    if (s->world.choose != NULL) {
        shell_must(s->runnable < s->choice_capacity);
        s->choice[s->runnable] = t;
        s->choice_ids[s->runnable] = t->id;
    } else {
        q = &s->queue[t->lane];
        t->run_next = NULL;
        t->run_prev = q->last;
        if (q->last != NULL)
            q->last->run_next = t;
        else
            q->first = t;
        q->last = t;
    }
    s->runnable++;
}

/* Its place in the row, which is sorted by number. */
static uint32_t
choice_place(const struct shell *s, const struct task_fiber *t)
{
    uint32_t low = 0;
    uint32_t high = s->runnable;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (s->choice[middle]->run_number < t->run_number)
            low = middle + 1;
        else
            high = middle;
    }
    shell_must(low < s->runnable && s->choice[low] == t);
    return low;
}

static void
choice_remove(struct shell *s, uint32_t at)
{
    uint32_t behind = s->runnable - at - 1;

    memmove(s->choice + at, s->choice + at + 1, behind * sizeof(struct task_fiber *));
    memmove(s->choice_ids + at, s->choice_ids + at + 1, behind * sizeof s->choice_ids[0]);
}

void
run_remove(struct shell *s, struct task_fiber *t)
{
    struct run_queue *q = &s->queue[t->lane];

    if (t->lane == RUN_NONE)
        return;
    if (s->world.choose != NULL) {
        choice_remove(s, choice_place(s, t));
    } else {
        if (t->run_prev != NULL)
            t->run_prev->run_next = t->run_next;
        else
            q->first = t->run_next;
        if (t->run_next != NULL)
            t->run_next->run_prev = t->run_prev;
        else
            q->last = t->run_prev;
    }
    t->lane = RUN_NONE;
    s->runnable--;
}

struct task_fiber *
run_pick(struct shell *s)
{
    struct task_fiber *cancelled = s->queue[RUN_CANCEL].first;
    struct task_fiber *ready = s->queue[RUN_READY].first;
    struct task_fiber *t;
    size_t at = 0;

    if (s->runnable == 0)
        return NULL;
    if (s->world.choose != NULL) {
        if (s->runnable > 1)
            at = s->world.choose(s->world.ctx, s->choice_ids, s->runnable);
        t = s->choice[at < s->runnable ? at : 0];
    } else if (cancelled != NULL && (ready == NULL || s->cancel_run < s->fairness)) {
        s->cancel_run = ready == NULL ? 0 : s->cancel_run + 1;
        t = cancelled;
    } else {
        s->cancel_run = 0;
        t = ready;
    }
    run_remove(s, t);
    return t;
}
