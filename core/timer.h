/* SPDX-License-Identifier: MIT */
/*
 * Timers: one binary heap of objects, each with the earliest of its own
 * instants, ordered by (time, sort, id): of two that are due together a region
 * comes before a session before a task, and the smaller id first, so an
 * ancestor's limit fires before its descendant's (R-BUD-3).
 *
 * The object keeps its place in the heap (0: not in it), so that it can be
 * moved or taken out. Room is reserved when an object is admitted: arming
 * never fails.
 */
#ifndef ASUPERSYNC_CORE_TIMER_H
#define ASUPERSYNC_CORE_TIMER_H

#include <assert.h>

#include "core/arena.h"

enum timer_sort {
    TIMER_REGION,
    TIMER_SESSION,
    TIMER_TASK,
    TIMER_OBLIGATION,
    TIMER_HOLDER,
    TIMER_SAGA,
    TIMER_KEY,
    TIMER_WAIT,
    TIMER_MESSAGE, /* dead letters; in a heap of their own */
    TIMER_WORKER,
    TIMER_SORT_COUNT
};

/* Room is kept for every task there is, so it is small. */
struct timer {
    asup_time at;
    uint32_t record : 28;
    uint32_t sort : 4;
} __attribute__((packed, aligned(4)));

static_assert(sizeof(struct timer) == 12 && TIMER_SORT_COUNT <= 16, "twelve bytes");

/* Where records of a sort are, and where they keep their place. Each starts
 * with its id. */
struct timer_home {
    const struct arena *records;
    uint32_t place_offset;
};

struct timers {
    struct timer *items; /* places count from 1 */
    size_t capacity;
    uint32_t count;
    struct timer_home homes[TIMER_SORT_COUNT];
};

void timers_fini(struct timers *t, const struct kernel_allocator *a);
bool timers_reserve(struct timers *t, const struct kernel_allocator *a, uint32_t total);
/* Set, move or (ASUP_NEVER) take out. */
void timer_set(struct timers *t, const struct kernel_allocator *a, enum timer_sort sort,
               uint32_t record, asup_time at);

static inline asup_time
timers_next(const struct timers *t)
{
    return t->count == 0 ? ASUP_NEVER : t->items[0].at;
}

#endif
