/* SPDX-License-Identifier: MIT */
#include "core/timer.h"

void
timers_fini(struct timers *t, const struct kernel_allocator *a)
{
    memory_release(a, t->items, t->capacity, sizeof t->items[0]);
    memset(t, 0, sizeof *t);
}

bool
timers_reserve(struct timers *t, const struct kernel_allocator *a, uint32_t total)
{
    void *items = t->items;
    bool done = memory_reserve(a, &items, &t->capacity, total, sizeof t->items[0]);

    t->items = items;
    return done;
}

static uint8_t *
record_of(const struct timers *t, const struct timer *item)
{
    return arena_at(t->homes[item->sort].records, item->record);
}

static uint32_t *
place_of(const struct timers *t, const struct timer *item)
{
    return (uint32_t *)(void *)(record_of(t, item) + t->homes[item->sort].place_offset);
}

static uint64_t
id_of(const struct timers *t, const struct timer *item)
{
    uint64_t id;

    memcpy(&id, record_of(t, item), sizeof id);
    return id;
}

static bool
earlier(const struct timers *t, const struct timer *a, const struct timer *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    if (a->sort != b->sort)
        return a->sort < b->sort;
    return id_of(t, a) < id_of(t, b);
}

static void
put(struct timers *t, uint32_t i, struct timer item)
{
    t->items[i] = item;
    *place_of(t, &item) = i + 1;
}

static void
sift_up(struct timers *t, uint32_t i, struct timer item)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;

        if (!earlier(t, &item, &t->items[parent]))
            break;
        put(t, i, t->items[parent]);
        i = parent;
    }
    put(t, i, item);
}

static void
sift_down(struct timers *t, uint32_t i, struct timer item)
{
    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= t->count)
            break;
        if (child + 1 < t->count && earlier(t, &t->items[child + 1], &t->items[child]))
            child++;
        if (!earlier(t, &t->items[child], &item))
            break;
        put(t, i, t->items[child]);
        i = child;
    }
    put(t, i, item);
}

/* Put an item where one was taken out of the middle. */
static void
settle(struct timers *t, uint32_t i, struct timer item)
{
    if (i > 0 && earlier(t, &item, &t->items[(i - 1) / 2]))
        sift_up(t, i, item);
    else
        sift_down(t, i, item);
}

void
timer_set(struct timers *t, const struct kernel_allocator *a, enum timer_sort sort, uint32_t record,
          asup_time at)
{
    struct timer item = {.at = at, .record = record, .sort = sort};
    uint32_t *place;

    must(item.record == record);
    place = place_of(t, &item);
    if (*place != 0) {
        uint32_t i = *place - 1;

        if (t->items[i].at == at)
            return;
        if (at != ASUP_NEVER) {
            settle(t, i, item);
            return;
        }
        *place = 0;
        t->count--;
        if (i < t->count)
            settle(t, i, t->items[t->count]);
    } else if (at != ASUP_NEVER) {
        must(timers_reserve(t, a, t->count + 1));
        t->count++;
        sift_up(t, t->count - 1, item);
    }
}
