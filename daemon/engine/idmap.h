/* SPDX-License-Identifier: MIT */
/*
 * A map from 64-bit ids to pointers: open addressing, linear probing, and
 * deletion that closes the gap, so it never fills with tombstones. Key 0 is
 * not an id. It grows at two thirds and gives memory back when it is nearly
 * empty again. One map belongs to one thread (or one lock).
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_IDMAP_H
#define ASUPERSYNC_DAEMON_ENGINE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idmap_slot {
    uint64_t key; /* 0: free */
    union {
        void *value;
        uintptr_t number;
    };
};

struct idmap {
    struct idmap_slot *slots;
    size_t capacity; /* 0, or a power of two */
    size_t count;
};

void *idmap_get(const struct idmap *map, uint64_t key);
/* Add or replace; the value is not NULL. False: no memory, nothing changed;
 * replacing never fails. */
bool idmap_put(struct idmap *map, uint64_t key, void *value);
/* Take out; returns what was there, or NULL. */
void *idmap_take(struct idmap *map, uint64_t key);
/* Every entry once while the map does not change: start with *cursor = 0. */
bool idmap_next(const struct idmap *map, size_t *cursor, uint64_t *key_out, void **value_out);
void idmap_fini(struct idmap *map);

/* The same map from ids to numbers other than 0, which stands for "not there".
 * False: no memory; replacing never fails. */
uintptr_t idmap_number(const struct idmap *map, uint64_t key);
bool idmap_put_number(struct idmap *map, uint64_t key, uintptr_t number);
/* Numbers as counters: one that falls to 0 is gone. */
bool idmap_count_up(struct idmap *map, uint64_t key);
void idmap_count_down(struct idmap *map, uint64_t key);

#endif
