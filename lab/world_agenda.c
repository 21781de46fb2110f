/* SPDX-License-Identifier: MIT */
/* What happens next in a world: a heap by time, and by who came first. */
#include <stdlib.h>

#include "lab/world_state.h"

static bool
before(const struct agenda_item *a, const struct agenda_item *b)
{
    return a->at != b->at ? a->at < b->at : a->tie < b->tie;
}

void
agenda_add(struct world *w, struct agenda_item item)
{
    struct agenda *a = &w->agenda;
    size_t i = a->count;

    if (a->count == a->capacity) {
        a->capacity = 2 * a->capacity + 256;
        a->items = realloc(a->items, a->capacity * sizeof a->items[0]);
        if (a->items == NULL)
            abort();
    }
    item.tie = ++a->tie;
    a->count++;
    while (i > 0 && before(&item, &a->items[(i - 1) / 2])) {
        a->items[i] = a->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    a->items[i] = item;
}

asup_time
agenda_at(const struct world *w)
{
    return w->agenda.count == 0 ? ASUP_NEVER : w->agenda.items[0].at;
}

bool
agenda_next(struct world *w, struct agenda_item *out)
{
    struct agenda *a = &w->agenda;
    struct agenda_item last;
    size_t i = 0;

    if (a->count == 0)
        return false;
    *out = a->items[0];
    last = a->items[--a->count];
    while (2 * i + 1 < a->count) {
        size_t child = 2 * i + 1;

        if (child + 1 < a->count && before(&a->items[child + 1], &a->items[child]))
            child++;
        if (!before(&a->items[child], &last))
            break;
        a->items[i] = a->items[child];
        i = child;
    }
    a->items[i] = last;
    return true;
}
