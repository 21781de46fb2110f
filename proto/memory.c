/* SPDX-License-Identifier: MIT */
/*
 * Memory that is taken piece by piece and given back all at once. Chunks are
 * filled from their beginning; a piece that does not fit begins a new one.
 * Under AddressSanitizer every piece is a chunk of its own, so that a step
 * beyond a piece is seen.
 */
#include "message.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define CHUNK_SIZE ((size_t)0)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHUNK_SIZE ((size_t)0)
#endif
#endif
#ifndef CHUNK_SIZE
/* Enough for a usual request, its objects and its structs. */
#define CHUNK_SIZE ((size_t)8192)
#endif
/* Chunks grow up to that; one of them is kept. */
#define CHUNK_SIZE_MAX ((size_t)64 << 10)

struct chunk {
    struct chunk *next;
    size_t size;
    alignas(max_align_t) char data[];
};

struct proto_memory {
    struct chunk *newest;
    size_t used; /* of the newest */
};

struct proto_memory *
proto_memory_new(void)
{
    return calloc(1, sizeof(struct proto_memory));
}

/* Frees all chunks but the newest that is not too large: the next message will
 * want as much. */
void
proto_memory_clear(struct proto_memory *m)
{
    struct chunk *kept = NULL;

    for (struct chunk *c = m->newest, *next; c; c = next) {
        next = c->next;
        if (!kept && CHUNK_SIZE > 0 && c->size <= CHUNK_SIZE_MAX) {
            kept = c;
            kept->next = NULL;
        } else {
            free(c);
        }
    }
    m->newest = kept;
    m->used = 0;
}

void
proto_memory_free(struct proto_memory *m)
{
    if (!m)
        return;
    for (struct chunk *c = m->newest; c;) {
        struct chunk *next = c->next;
        free(c);
        c = next;
    }
    free(m);
}

void *
proto_memory_take(struct proto_memory *m, size_t size)
{
    struct chunk *c = m->newest;

    if (size > SIZE_MAX / 2)
        return NULL;
    /* A piece of no bytes still has an address of its own: NULL means none
     * left. */
    if (CHUNK_SIZE > 0 || size == 0)
        size = (size + !size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (!c || c->size - m->used < size) {
        size_t chunk_size = c && c->size < CHUNK_SIZE_MAX ? 2 * c->size : CHUNK_SIZE;
        if (chunk_size > CHUNK_SIZE_MAX)
            chunk_size = CHUNK_SIZE_MAX;
        if (chunk_size < size || CHUNK_SIZE == 0)
            chunk_size = size;
        c = malloc(sizeof *c + chunk_size);
        if (!c)
            return NULL;
        *c = (struct chunk){.next = m->newest, .size = chunk_size};
        m->newest = c;
        m->used = 0;
    }
    void *piece = c->data + m->used;
    m->used += size;
    return piece;
}
