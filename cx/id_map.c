/* SPDX-License-Identifier: MIT */
/* Ids to pointers. At most half full, so a chain is short; an entry that goes
 * draws those behind it nearer. */
#include "cx/shell_state.h"

#include <stdlib.h>

enum { LEAST = 64 };

static uint32_t
place(const struct id_map *m, uint64_t id)
{
    return (uint32_t)((id * 0x9e3779b97f4a7c15U) >> 32) & (m->capacity - 1);
}

static void
put(struct id_map *m, struct id_entry entry)
{
    uint32_t at = place(m, entry.id);

    while (m->entries[at].id != 0)
        at = (at + 1) & (m->capacity - 1);
    m->entries[at] = entry;
}

bool
id_map_reserve(struct id_map *m, uint32_t more)
{
    struct id_map larger = {.capacity = m->capacity == 0 ? LEAST : m->capacity};

    if (more > UINT32_MAX / 4 - m->count)
        return false;
    while (larger.capacity < 2 * (m->count + more))
        larger.capacity *= 2;
    if (larger.capacity == m->capacity)
        return true;
    larger.entries = calloc(larger.capacity, sizeof larger.entries[0]);
    if (larger.entries == NULL)
        return false;
    for (uint32_t i = 0; i < m->capacity; i++) {
        if (m->entries[i].id != 0)
            put(&larger, m->entries[i]);
    }
    larger.count = m->count;
    free(m->entries);
    *m = larger;
    return true;
}

void
id_map_add(struct id_map *m, uint64_t id, void *value)
{
    shell_must(id != 0 && 2 * (m->count + 1) <= m->capacity);
    put(m, (struct id_entry){id, value});
    m->count++;
}

static uint32_t
find(const struct id_map *m, uint64_t id)
{
    if (m->capacity == 0 || id == 0)
        return NOWHERE;
    for (uint32_t at = place(m, id); m->entries[at].id != 0; at = (at + 1) & (m->capacity - 1)) {
        if (m->entries[at].id == id)
            return at;
    }
    return NOWHERE;
}

void *
id_map_find(const struct id_map *m, uint64_t id)
{
    uint32_t at = find(m, id);

    return at == NOWHERE ? NULL : m->entries[at].value;
}

void *
id_map_drop(struct id_map *m, uint64_t id)
{
    uint32_t hole = find(m, id);
    void *value;

    if (hole == NOWHERE)
        return NULL;
    value = m->entries[hole].value;
    for (uint32_t at = (hole + 1) & (m->capacity - 1); m->entries[at].id != 0;
         at = (at + 1) & (m->capacity - 1)) {
        uint32_t home = place(m, m->entries[at].id);

        /* It may go into the hole unless its home lies behind that. */
        if (((at - home) & (m->capacity - 1)) >= ((at - hole) & (m->capacity - 1))) {
            m->entries[hole] = m->entries[at];
            hole = at;
        }
    }
    m->entries[hole] = (struct id_entry){0};
    m->count--;
    return value;
}
