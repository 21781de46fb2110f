/* SPDX-License-Identifier: MIT */
#include "daemon/engine/idmap.h"

#include <stdlib.h>

#define CAPACITY_MIN 16

static size_t
home(const struct idmap *map, uint64_t key)
{
    return (size_t)((key * 0x9E3779B97F4A7C15u) >> 20) & (map->capacity - 1);
}

/* The slot that holds the key, or the free one where it would go. */
static size_t
find(const struct idmap *map, uint64_t key)
{
    size_t i = home(map, key);

    while (map->slots[i].key != 0 && map->slots[i].key != key)
        i = (i + 1) & (map->capacity - 1);
    return i;
}

static bool
resize(struct idmap *map, size_t capacity)
{
    struct idmap fresh = {.slots = calloc(capacity, sizeof *fresh.slots), .capacity = capacity};

    if (!fresh.slots)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].key)
            fresh.slots[find(&fresh, map->slots[i].key)] = map->slots[i];
    }
    fresh.count = map->count;
    free(map->slots);
    *map = fresh;
    return true;
}

void *
idmap_get(const struct idmap *map, uint64_t key)
{
    if (!map->count || !key)
        return NULL;
    return map->slots[find(map, key)].value;
}

/* The slot of a key, made when it is not there; NULL: no memory. */
static struct idmap_slot *
slot_for(struct idmap *map, uint64_t key)
{
    if (map->count) {
        struct idmap_slot *slot = &map->slots[find(map, key)];
        if (slot->key)
            return slot;
    }
    if ((map->count + 1) * 3 > map->capacity * 2 &&
        !resize(map, map->capacity ? map->capacity * 2 : CAPACITY_MIN))
        return NULL;
    struct idmap_slot *slot = &map->slots[find(map, key)];
    slot->key = key;
    map->count++;
    return slot;
}

bool
idmap_put(struct idmap *map, uint64_t key, void *value)
{
    struct idmap_slot *slot = slot_for(map, key);

    if (slot)
        slot->value = value;
    return slot != NULL;
}

void *
idmap_take(struct idmap *map, uint64_t key)
{
    if (!map->count || !key)
        return NULL;
    size_t mask = map->capacity - 1;
    size_t gap = find(map, key);
    void *value = map->slots[gap].value;
    if (map->slots[gap].key == 0)
        return NULL;

    /* Move back whatever probed past the gap. */
    for (size_t i = (gap + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
        size_t wanted = home(map, map->slots[i].key);
        if (((i - wanted) & mask) >= ((i - gap) & mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap] = (struct idmap_slot){0};
    map->count--;
    /* Failing to shrink loses nothing but memory. */
    if (map->capacity > CAPACITY_MIN && map->count * 8 < map->capacity)
        (void)resize(map, map->capacity / 4 < CAPACITY_MIN ? CAPACITY_MIN : map->capacity / 4);
    return value;
}

bool
idmap_next(const struct idmap *map, size_t *cursor, uint64_t *key_out, void **value_out)
{
    for (; *cursor < map->capacity; (*cursor)++) {
        if (!map->slots[*cursor].key)
            continue;
        *key_out = map->slots[*cursor].key;
        *value_out = map->slots[*cursor].value;
        (*cursor)++;
        return true;
    }
    return false;
}

uintptr_t
idmap_number(const struct idmap *map, uint64_t key)
{
    return map->count && key ? map->slots[find(map, key)].number : 0;
}

bool
idmap_put_number(struct idmap *map, uint64_t key, uintptr_t number)
{
    struct idmap_slot *slot = slot_for(map, key);

    if (slot)
        slot->number = number;
    return slot != NULL;
}

bool
idmap_count_up(struct idmap *map, uint64_t key)
{
    return idmap_put_number(map, key, idmap_number(map, key) + 1);
}

void
idmap_count_down(struct idmap *map, uint64_t key)
{
    uintptr_t number = idmap_number(map, key);

    if (number > 1)
        (void)idmap_put_number(map, key, number - 1); /* replaces */
    else
        (void)idmap_take(map, key);
}

void
idmap_fini(struct idmap *map)
{
    free(map->slots);
    *map = (struct idmap){0};
}
