/* SPDX-License-Identifier: MIT */
/*
 * Records by a 64-bit id, for the oracles: what lives, and no more. A record is
 * of one size, begins with its id (never 0), and does not move while it lives.
 * Walking goes by a hash of the id alone, so it is the same in every run
 * (R-EVT-4). Without memory the program ends, and says so: an oracle that has
 * forgotten something would lie.
 */
#ifndef ASUPERSYNC_LAB_IDMAP_H
#define ASUPERSYNC_LAB_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap {
    void **slots; /* NULL: empty */
    size_t capacity;
    size_t count;
    size_t item_size;
};

/* As malloc and realloc, but for the end without memory. */
void *oracle_memory(void *old, size_t size);

void idmap_init(struct idmap *m, size_t item_size);
void idmap_fini(struct idmap *m);
/* NULL: there is none. */
void *idmap_find(const struct idmap *m, uint64_t id);
/* The record of that id, zeroed but for it when it is new. */
void *idmap_add(struct idmap *m, uint64_t id);
void idmap_drop(struct idmap *m, uint64_t id);
void idmap_clear(struct idmap *m);
/* All of them: *cursor begins with 0; NULL ends. The one that was got last may be dropped only
 * when nothing follows: gather ids first. */
void *idmap_next(const struct idmap *m, size_t *cursor);

#endif
