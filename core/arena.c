/* SPDX-License-Identifier: MIT */
#include "core/arena.h"

/* ---- Growing arrays ---------------------------------------------------------- */

bool
memory_grow(const struct kernel_allocator *a, void **items, size_t *capacity, size_t need,
            size_t item_size)
{
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    void *fresh;

    while (wanted < need)
        wanted *= 2;
    fresh = a->resize(a->ctx, *items, *capacity * item_size, wanted * item_size);
    if (fresh == NULL)
        return false;
    *items = fresh;
    *capacity = wanted;
    return true;
}

void
memory_release(const struct kernel_allocator *a, void *items, size_t capacity, size_t item_size)
{
    if (items != NULL)
        (void)a->resize(a->ctx, items, capacity * item_size, 0);
}

/* ---- Arenas ------------------------------------------------------------------ */

struct free_record {
    uint64_t key; /* 0 */
    uint64_t next;
};

enum { CHUNK_SIZE = 32768 };

void
arena_init(struct arena *s, uint32_t item_size)
{
    must(item_size >= sizeof(struct free_record) && item_size % 8 == 0);
    memset(s, 0, sizeof *s);
    s->item_size = item_size;
    s->free_top = NIL;
    while (((size_t)item_size << (s->shift + 1)) <= CHUNK_SIZE)
        s->shift++;
}

void
arena_fini(struct arena *s, const struct kernel_allocator *a)
{
    for (uint32_t i = 0; i < s->chunk_count; i++)
        memory_release(a, s->chunks[i], (size_t)1 << s->shift, s->item_size);
    memory_release(a, (void *)s->chunks, s->chunk_capacity, sizeof s->chunks[0]);
    memset(s, 0, sizeof *s);
}

bool
arena_grow(struct arena *s, const struct kernel_allocator *a, uint32_t more)
{
    uint64_t need = (uint64_t)s->used + (more > s->free_count ? more - s->free_count : 0);

    if (need >= NIL)
        return false;
    while (((uint64_t)s->chunk_count << s->shift) < need) {
        void *table = (void *)s->chunks;
        size_t size = (size_t)s->item_size << s->shift;
        void *chunk;

        if (!memory_reserve(a, &table, &s->chunk_capacity, (size_t)s->chunk_count + 1,
                            sizeof s->chunks[0]))
            return false;
        s->chunks = table;
        chunk = a->resize(a->ctx, NULL, 0, size);
        if (chunk == NULL)
            return false;
        s->chunks[s->chunk_count++] = chunk;
    }
    return true;
}

uint32_t
arena_next(const struct arena *s)
{
    return s->free_top != NIL ? s->free_top : s->used;
}

uint32_t
arena_take(struct arena *s, const struct kernel_allocator *a)
{
    uint32_t i = arena_next(s);

    if (s->free_top != NIL) {
        const struct free_record *r = arena_at(s, i);

        must(r->key == 0);
        s->free_top = (uint32_t)r->next;
        s->free_count--;
    } else {
        must(arena_reserve(s, a, 1));
        s->used++;
    }
    memset(arena_at(s, i), 0, s->item_size);
    return i;
}

void
arena_give(struct arena *s, uint32_t i)
{
    struct free_record *r = arena_at(s, i);

    must(r->key != 0);
    r->key = 0;
    r->next = s->free_top;
    s->free_top = i;
    s->free_count++;
}

bool
arena_append(struct arena *s, const struct kernel_allocator *a)
{
    if (s->used == (uint64_t)s->chunk_count << s->shift && !arena_grow(s, a, s->free_count + 1))
        return false;
    memset(arena_at(s, s->used), 0, s->item_size);
    s->used++;
    return true;
}

void
arena_free_mark(struct arena *s, uint32_t i, uint64_t mark)
{
    struct free_record *r = arena_at(s, i);

    must(r->key == 0);
    r->next = mark;
}

uint64_t
arena_free_mark_of(const struct arena *s, uint32_t i)
{
    const struct free_record *r = arena_at(s, i);

    must(r->key == 0);
    return r->next;
}

uint32_t
arena_free_next(const struct arena *s, uint32_t i)
{
    return (uint32_t)arena_free_mark_of(s, i);
}

bool
arena_used(const struct arena *s, uint32_t i)
{
    return ((const struct free_record *)arena_at(s, i))->key != 0;
}

/* ---- Indices: open addressing, linear probes, no tombstones -------------------- */

void
index_init(struct index *x, const struct arena *records, size_t key_offset)
{
    memset(x, 0, sizeof *x);
    x->records = records;
    x->key_offset = (uint32_t)key_offset;
}

void
index_fini(struct index *x, const struct kernel_allocator *a)
{
    memory_release(a, x->slots, x->capacity, sizeof x->slots[0]);
    memset(x, 0, sizeof *x);
}

static uint64_t
key_of(const struct index *x, uint32_t record)
{
    uint64_t key;

    memcpy(&key, (const uint8_t *)arena_at(x->records, record) + x->key_offset, sizeof key);
    return key;
}

/* Keys are mostly ids, given out one after the other. Neighbours share a group of
 * slots, half a cache line, so a walk by id, as a close is, reads each line once.
 * A group stands where the upper bits of a product with 2^64 / phi put it, which
 * spreads consecutive ones evenly: they hardly ever meet. */
enum { GROUP_BITS = 3 };

static size_t
home_of(const struct index *x, uint64_t key)
{
    uint64_t spread = (key >> GROUP_BITS) * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(spread >> (x->home_shift + GROUP_BITS)) << GROUP_BITS |
           (size_t)(key & ((1U << GROUP_BITS) - 1));
}

static void
place(struct index *x, uint32_t record)
{
    size_t i = home_of(x, key_of(x, record));

    while (x->slots[i] != 0)
        i = (i + 1) & (x->capacity - 1);
    x->slots[i] = record + 1;
}

bool
index_grow(struct index *x, const struct kernel_allocator *a, uint64_t need)
{
    size_t capacity = x->capacity < 16 ? 16 : x->capacity;
    uint32_t *slots_old = x->slots;
    size_t capacity_old = x->capacity;
    uint32_t *slots;

    while (need > capacity - capacity / 4)
        capacity *= 2;
    slots = a->resize(a->ctx, NULL, 0, capacity * sizeof slots[0]);
    if (slots == NULL)
        return false;
    memset(slots, 0, capacity * sizeof slots[0]);
    x->slots = slots;
    x->capacity = capacity;
    x->home_shift = 64 - (unsigned)__builtin_ctzll(capacity);
    for (size_t i = 0; i < capacity_old; i++) {
        if (slots_old[i] != 0)
            place(x, slots_old[i] - 1);
    }
    memory_release(a, slots_old, capacity_old, sizeof slots[0]);
    return true;
}

void
index_add(struct index *x, const struct kernel_allocator *a, uint32_t record)
{
    must(index_reserve(x, a, 1));
    place(x, record);
    x->count++;
}

void
index_drop(struct index *x, uint32_t record)
{
    size_t mask = x->capacity - 1;
    size_t hole;
    size_t i;

    must(x->capacity > 0);
    hole = home_of(x, key_of(x, record));
    while (x->slots[hole] != record + 1) {
        must(x->slots[hole] != 0);
        hole = (hole + 1) & mask;
    }
    /* Move up whoever would no longer be found past the hole. */
    for (i = (hole + 1) & mask; x->slots[i] != 0; i = (i + 1) & mask) {
        size_t home = home_of(x, key_of(x, x->slots[i] - 1));

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            x->slots[hole] = x->slots[i];
            hole = i;
        }
    }
    x->slots[hole] = 0;
    x->count--;
}

static uint32_t
probe(const struct index *x, uint64_t key, uint32_t *cursor)
{
    size_t mask = x->capacity - 1;
    size_t i = *cursor;

    while (x->slots[i] != 0) {
        uint32_t record = x->slots[i] - 1;

        i = (i + 1) & mask;
        if (key_of(x, record) == key) {
            *cursor = (uint32_t)i;
            return record;
        }
    }
    return NIL;
}

uint32_t
index_first(const struct index *x, uint64_t key, uint32_t *cursor)
{
    if (x->capacity == 0)
        return NIL;
    *cursor = (uint32_t)home_of(x, key);
    return probe(x, key, cursor);
}

uint32_t
index_next(const struct index *x, uint64_t key, uint32_t *cursor)
{
    return probe(x, key, cursor);
}

/* ---- Hashing ----------------------------------------------------------------- */

uint64_t
hash_bytes(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;

    h = hash_mix(h, size);
    while (size >= 8) {
        uint64_t v = 0;

        for (unsigned i = 0; i < 8; i++)
            v |= (uint64_t)p[i] << (8 * i);
        h = hash_mix(h, v);
        p += 8;
        size -= 8;
    }
    if (size > 0) {
        uint64_t v = 0;

        for (unsigned i = 0; i < size; i++)
            v |= (uint64_t)p[i] << (8 * i);
        h = hash_mix(h, v);
    }
    return h;
}
