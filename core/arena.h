/* SPDX-License-Identifier: MIT */
/*
 * Index-based storage for the kernel, over the shell's allocator.
 *
 * An arena holds records of one size and hands out indices, never pointers, so
 * that state can be compared and hashed as it is. Records do not move: a
 * pointer from arena_at() stays good until the record is freed. Freed records
 * are used again last in, first out, so the same sequence of calls gives the
 * same indices (R-EVT-4).
 *
 * Memory is asked for in the reserve functions, which can fail; what follows a
 * reserve cannot. That is how a step refuses with ASUP_ENOMEM before anything
 * has changed (R-EVT-2).
 *
 * An index finds records by a 64-bit key that each of them holds. Keys may
 * repeat; the caller tells records of one key apart.
 */
#ifndef ASUPERSYNC_CORE_ARENA_H
#define ASUPERSYNC_CORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/kernel.h"

/* A condition that only a fault of our own can break; checked in every build. */
#define must(condition)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            __builtin_trap();                                                                      \
    } while (0)

/* No record. */
#define NIL UINT32_MAX

/* ---- Growing arrays ---------------------------------------------------------- */

bool memory_grow(const struct kernel_allocator *a, void **items, size_t *capacity, size_t need,
                 size_t item_size);

/* Resize to at least `need` items, doubling. False: no memory, nothing changed. */
static inline bool
memory_reserve(const struct kernel_allocator *a, void **items, size_t *capacity, size_t need,
               size_t item_size)
{
    return need <= *capacity || memory_grow(a, items, capacity, need, item_size);
}

void
memory_release(const struct kernel_allocator *a, void *items, size_t capacity, size_t item_size);

/* ---- Arenas ------------------------------------------------------------------ */

struct arena {
    uint8_t **chunks;
    size_t chunk_capacity; /* of the table of chunks */
    uint32_t chunk_count;
    uint32_t item_size;
    uint32_t shift;    /* items in a chunk: 1 << shift */
    uint32_t used;     /* indices below this were handed out at some time */
    uint32_t free_top; /* last freed record, NIL: none */
    uint32_t free_count;
};

/* A record starts with a 64-bit key that is not 0 while it lives; the second
 * 64 bits of a freed one link to the next. So item_size is at least 16. */
void arena_init(struct arena *s, uint32_t item_size);
void arena_fini(struct arena *s, const struct kernel_allocator *a);
bool arena_grow(struct arena *s, const struct kernel_allocator *a, uint32_t more);
/* The index that arena_take() would return next. */
uint32_t arena_next(const struct arena *s);
/* Zeroed. Memory was reserved, or is there anyway, or it traps. */
uint32_t arena_take(struct arena *s, const struct kernel_allocator *a);
void arena_give(struct arena *s, uint32_t i);

static inline void *
arena_at(const struct arena *s, uint32_t i)
{
    return s->chunks[i >> s->shift] + (size_t)(i & ((1U << s->shift) - 1)) * s->item_size;
}

/* A record of its own after all others, free of nothing yet: zeroed, not in the
 * list of free ones. For reading a snapshot. False: no memory. */
bool arena_append(struct arena *s, const struct kernel_allocator *a);
/* What stands behind a free record in the list, or a mark. */
void arena_free_mark(struct arena *s, uint32_t i, uint64_t mark);
uint64_t arena_free_mark_of(const struct arena *s, uint32_t i);
uint32_t arena_free_next(const struct arena *s, uint32_t i);
/* Whether a record lives; i is below s->used. */
bool arena_used(const struct arena *s, uint32_t i);

/* Make sure that so many more can be taken. */
static inline bool
arena_reserve(struct arena *s, const struct kernel_allocator *a, uint32_t more)
{
    if (((uint64_t)s->chunk_count << s->shift) - s->used + s->free_count >= more)
        return true;
    return arena_grow(s, a, more);
}

static inline uint32_t
arena_live(const struct arena *s)
{
    return s->used - s->free_count;
}

/* ---- Indices ----------------------------------------------------------------- */

struct index {
    uint32_t *slots; /* record + 1; 0: empty */
    size_t capacity; /* a power of two, or 0 */
    uint32_t count;
    uint32_t key_offset; /* of the 64-bit key in a record */
    unsigned home_shift; /* 64 - log2(capacity) */
    const struct arena *records;
};

void index_init(struct index *x, const struct arena *records, size_t key_offset);
void index_fini(struct index *x, const struct kernel_allocator *a);
bool index_grow(struct index *x, const struct kernel_allocator *a, uint64_t need);
void index_add(struct index *x, const struct kernel_allocator *a, uint32_t record);
void index_drop(struct index *x, uint32_t record);
/* The first record of that key, NIL: none; then the next ones. */
uint32_t index_first(const struct index *x, uint64_t key, uint32_t *cursor);
uint32_t index_next(const struct index *x, uint64_t key, uint32_t *cursor);

/* Make sure that so many more can be added: a quarter of the slots stays empty. */
static inline bool
index_reserve(struct index *x, const struct kernel_allocator *a, uint32_t more)
{
    uint64_t need = (uint64_t)x->count + more;

    return need <= x->capacity - x->capacity / 4 || index_grow(x, a, need);
}

static inline uint32_t
index_find(const struct index *x, uint64_t key)
{
    uint32_t cursor;

    return index_first(x, key, &cursor);
}

/* ---- Hashing ----------------------------------------------------------------- */

static inline uint64_t
hash_mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

uint64_t hash_bytes(uint64_t h, const void *data, size_t size);

#endif
