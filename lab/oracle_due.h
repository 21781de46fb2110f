/* SPDX-License-Identifier: MIT */
/*
 * What is due when, for the oracles: a heap of instants. Entries are never taken
 * back; whoever is told of one looks whether it still holds.
 */
#ifndef ASUPERSYNC_LAB_ORACLE_DUE_H
#define ASUPERSYNC_LAB_ORACLE_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due {
    uint64_t at; /* ordered by this, then by id */
    uint64_t id;
};

struct due_queue {
    struct due *items;
    size_t count, capacity;
};

void due_add(struct due_queue *q, uint64_t at, uint64_t id);
/* The earliest, if it is due at `now`. */
bool due_take(struct due_queue *q, uint64_t now, struct due *out);
/* The earliest; NULL: none. */
const struct due *due_first(const struct due_queue *q);
void due_clear(struct due_queue *q);
void due_fini(struct due_queue *q);

#endif
