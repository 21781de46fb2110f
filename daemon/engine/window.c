/* SPDX-License-Identifier: MIT */
#include "daemon/engine/window.h"

#include <stdlib.h>
#include <string.h>

/* Events stand one after another in blocks; a whole block falls out when its
 * last event does, so memory is given back in large pieces. */
#define BLOCK_SIZE ((size_t)64 * 1024)

struct window_block {
    struct window_block *next;
    uint64_t first_seq, last_seq;
    size_t live; /* offset of the oldest event that still counts */
    size_t used;
    size_t capacity;
    max_align_t data[];
};

struct record {
    uint64_t seq;
    uint32_t size; /* of the data */
    uint32_t uid;
    uint32_t region_count : 31;
    uint32_t raw : 1;
    uint32_t total; /* of the record, padded */
    /* uint64_t regions[region_count], then data */
};

static char *
base(struct window_block *b)
{
    return (char *)b->data;
}

static struct record *
record_at(struct window_block *b, size_t offset)
{
    return (struct record *)(void *)(base(b) + offset);
}

void
window_init(struct window *w, size_t count_max, size_t bytes_max)
{
    *w = (struct window){.oldest = 1, .next = 1, .count_max = count_max, .bytes_max = bytes_max};
}

void
window_fini(struct window *w)
{
    while (w->first) {
        struct window_block *b = w->first;
        w->first = b->next;
        free(b);
    }
    w->last = NULL;
    w->count = w->bytes = 0;
}

static void
drop_oldest(struct window *w)
{
    struct window_block *b = w->first;
    struct record *r = record_at(b, b->live);

    w->oldest = r->seq + 1;
    w->count--;
    w->bytes -= r->total;
    b->live += r->total;
    if (b->live < b->used)
        return;
    w->first = b->next;
    if (!w->first)
        w->last = NULL;
    free(b);
}

void
window_bound(struct window *w, size_t count_max, size_t bytes_max)
{
    w->count_max = count_max;
    w->bytes_max = bytes_max;
    while (w->first && (w->count > count_max || w->bytes > bytes_max))
        drop_oldest(w);
}

static struct window_block *
room_for(struct window *w, size_t total)
{
    struct window_block *b = w->last;

    if (b && b->capacity - b->used >= total)
        return b;
    size_t capacity = total > BLOCK_SIZE ? total : BLOCK_SIZE;
    b = malloc(sizeof *b + capacity);
    if (!b)
        return NULL;
    *b = (struct window_block){.capacity = capacity};
    if (w->last)
        w->last->next = b;
    else
        w->first = b;
    w->last = b;
    return b;
}

void
window_push(struct window *w, uint64_t seq, const struct window_place *place, const void *data,
            size_t size)
{
    size_t regions_size = place->region_count * sizeof(uint64_t);
    size_t total = (sizeof(struct record) + regions_size + size + 7) & ~(size_t)7;

    w->next = seq + 1;
    if (total > w->bytes_max || total > UINT32_MAX) {
        window_fini(w);
        w->oldest = seq + 1;
        return;
    }
    while (w->first && (w->count + 1 > w->count_max || w->bytes + total > w->bytes_max))
        drop_oldest(w);
    struct window_block *b = room_for(w, total);
    if (!b) {
        window_fini(w);
        w->oldest = seq + 1;
        return;
    }
    struct record *r = record_at(b, b->used);
    *r = (struct record){.seq = seq,
                         .size = (uint32_t)size,
                         .uid = place->uid,
                         .region_count = place->region_count & 0x7fffffff,
                         .raw = place->raw,
                         .total = (uint32_t)total};
    if (regions_size)
        memcpy(r + 1, place->regions, regions_size);
    memcpy((char *)(r + 1) + regions_size, data, size);
    if (b->used == 0)
        b->first_seq = seq;
    b->last_seq = seq;
    b->used += total;
    w->count++;
    w->bytes += total;
}

void
window_skip(struct window *w, uint64_t seq)
{
    w->next = seq + 1;
}

void
window_seek(const struct window *w, uint64_t seq, struct window_cursor *cursor)
{
    struct window_block *b = w->first;

    while (b && b->last_seq < seq)
        b = b->next;
    *cursor = (struct window_cursor){.block = b, .offset = b ? b->live : 0};
    while (b && cursor->offset < b->used && record_at(b, cursor->offset)->seq < seq)
        cursor->offset += record_at(b, cursor->offset)->total;
}

bool
window_read(const struct window *w, struct window_cursor *cursor, struct window_event *out)
{
    (void)w;
    while (cursor->block && cursor->offset >= cursor->block->used) {
        cursor->block = cursor->block->next;
        cursor->offset = cursor->block ? cursor->block->live : 0;
    }
    if (!cursor->block)
        return false;
    struct record *r = record_at(cursor->block, cursor->offset);
    *out = (struct window_event){
        .seq = r->seq,
        .place = {.uid = r->uid,
                  .region_count = r->region_count,
                  .raw = r->raw,
                  .regions = (const uint64_t *)(const void *)(r + 1)},
        .data = (const char *)(r + 1) + r->region_count * sizeof(uint64_t),
        .size = r->size,
    };
    cursor->offset += r->total;
    return true;
}
