/* SPDX-License-Identifier: MIT */
/* The bytes of a trace (trace_file.h), for who writes them and who reads them. */
#ifndef ASUPERSYNC_LAB_TRACE_LAYOUT_H
#define ASUPERSYNC_LAB_TRACE_LAYOUT_H

#include <stdint.h>
#include <stdlib.h>

#include "core/arena.h"
#include "lab/trace_file.h"

/* The last byte of the first eight is the version. */
#define TRACE_MAGIC "ASUPTRC"
#define TRACE_MAGIC_VERSION ('0' + TRACE_VERSION)

enum {
    TRACE_MAGIC_SIZE = 8,
    TRACE_HEAD_SIZE = 5, /* kind, size */
    TRACE_SUM_SIZE = 8,
    TRACE_CHOICE_SIZE = 9, /* kind, taken, among */
    TRACE_TEXT_SIZE = 16,  /* task, at; then the text */
    TRACE_END_SIZE = 8,    /* how many frames stand before it */
};

/* Of META, which is read into memory before anything is believed. */
enum { TRACE_META_MOST = 1 << 20, TRACE_META_KEYS_MOST = 1024 };

/* Over kind and size, the bytes, and the number among the frames, from 0. */
static inline uint64_t
trace_sum(uint64_t number, const uint8_t head[TRACE_HEAD_SIZE], const void *data, size_t size)
{
    return hash_bytes(hash_bytes(hash_mix(TRACE_VERSION, number), head, TRACE_HEAD_SIZE), data,
                      size);
}

static inline void
trace_put(uint8_t *to, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t
trace_get(const uint8_t *from, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static inline void *
trace_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size_new);
}

#endif
