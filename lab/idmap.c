/* SPDX-License-Identifier: MIT */
#include "lab/idmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
oracle_memory(void *old, size_t size)
{
    void *p = realloc(old, size);

    if (p == NULL) {
        fputs("oracles: no memory\n", stderr);
        abort();
    }
    return p;
}

static uint64_t
id_of(const void *item)
{
    uint64_t id;

    memcpy(&id, item, sizeof id);
    return id;
}

static size_t
home_of(const struct idmap *m, uint64_t id)
{
    uint64_t h = id * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(h ^ (h >> 32)) & (m->capacity - 1);
}

void
idmap_init(struct idmap *m, size_t item_size)
{
    *m = (struct idmap){.item_size = item_size};
}

void
idmap_clear(struct idmap *m)
{
    for (size_t i = 0; i < m->capacity; i++)
        free(m->slots[i]);
    if (m->capacity > 0)
        memset(m->slots, 0, m->capacity * sizeof m->slots[0]);
    m->count = 0;
}

void
idmap_fini(struct idmap *m)
{
    idmap_clear(m);
    free(m->slots);
    idmap_init(m, m->item_size);
}

static size_t
slot_of(const struct idmap *m, uint64_t id)
{
    size_t i = home_of(m, id);

    while (m->slots[i] != NULL && id_of(m->slots[i]) != id)
        i = (i + 1) & (m->capacity - 1);
    return i;
}

void *
idmap_find(const struct idmap *m, uint64_t id)
{
    return m->count == 0 || id == 0 ? NULL : m->slots[slot_of(m, id)];
}

static void
grow(struct idmap *m)
{
    struct idmap wider = {.item_size = m->item_size, .count = m->count};

    wider.capacity = m->capacity == 0 ? 16 : 2 * m->capacity;
    wider.slots = oracle_memory(NULL, wider.capacity * sizeof wider.slots[0]);
    memset(wider.slots, 0, wider.capacity * sizeof wider.slots[0]);
    for (size_t i = 0; i < m->capacity; i++) {
        if (m->slots[i] != NULL)
            wider.slots[slot_of(&wider, id_of(m->slots[i]))] = m->slots[i];
    }
    free(m->slots);
    *m = wider;
}

void *
idmap_add(struct idmap *m, uint64_t id)
{
    void *item = idmap_find(m, id);

    if (item != NULL)
        return item;
    if (4 * (m->count + 1) > 3 * m->capacity)
        grow(m);
    item = oracle_memory(NULL, m->item_size);
    memset(item, 0, m->item_size);
    memcpy(item, &id, sizeof id);
    m->slots[slot_of(m, id)] = item;
    m->count++;
    return item;
}

void
idmap_drop(struct idmap *m, uint64_t id)
{
    size_t hole;
    size_t at;

    if (idmap_find(m, id) == NULL)
        return;
    hole = slot_of(m, id);
    free(m->slots[hole]);
    m->slots[hole] = NULL;
    m->count--;
    /* Those that stood behind it for want of its place move up. */
    for (at = (hole + 1) & (m->capacity - 1); m->slots[at] != NULL;
         at = (at + 1) & (m->capacity - 1)) {
        size_t home = home_of(m, id_of(m->slots[at]));

        if (((at - home) & (m->capacity - 1)) < ((at - hole) & (m->capacity - 1)))
            continue;
        m->slots[hole] = m->slots[at];
        m->slots[at] = NULL;
        hole = at;
    }
}

void *
idmap_next(const struct idmap *m, size_t *cursor)
{
    while (*cursor < m->capacity) {
        void *item = m->slots[(*cursor)++];

        if (item != NULL)
            return item;
    }
    return NULL;
}
