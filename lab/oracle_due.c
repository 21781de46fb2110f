/* SPDX-License-Identifier: MIT */
#include "lab/oracle_due.h"

#include <stdlib.h>

#include "lab/idmap.h"

static bool
sooner(const struct due *a, const struct due *b)
{
    return a->at != b->at ? a->at < b->at : a->id < b->id;
}

void
due_add(struct due_queue *q, uint64_t at, uint64_t id)
{
    struct due item = {.at = at, .id = id};
    size_t i = q->count;

    if (q->count == q->capacity) {
        q->capacity = 2 * q->capacity + 16;
        q->items = oracle_memory(q->items, q->capacity * sizeof q->items[0]);
    }
    q->count++;
    for (; i > 0 && sooner(&item, &q->items[(i - 1) / 2]); i = (i - 1) / 2)
        q->items[i] = q->items[(i - 1) / 2];
    q->items[i] = item;
}

bool
due_take(struct due_queue *q, uint64_t now, struct due *out)
{
    struct due last;
    size_t i = 0;

    if (q->count == 0 || q->items[0].at > now)
        return false;
    *out = q->items[0];
    last = q->items[--q->count];
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= q->count)
            break;
        if (child + 1 < q->count && sooner(&q->items[child + 1], &q->items[child]))
            child++;
        if (!sooner(&q->items[child], &last))
            break;
        q->items[i] = q->items[child];
        i = child;
    }
    q->items[i] = last;
    return true;
}

const struct due *
due_first(const struct due_queue *q)
{
    return q->count == 0 ? NULL : &q->items[0];
}

void
due_clear(struct due_queue *q)
{
    q->count = 0;
}

void
due_fini(struct due_queue *q)
{
    free(q->items);
    *q = (struct due_queue){0};
}
