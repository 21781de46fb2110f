/* SPDX-License-Identifier: MIT */
/*
 * Bytes of any length (names, labels, specs, messages), by handle.
 *
 * Small ones live in arenas of size classes, large ones by themselves. A
 * handle holds the class and the index within it. 0 stands for the empty text,
 * which takes no room.
 */
#ifndef ASUPERSYNC_CORE_HEAP_H
#define ASUPERSYNC_CORE_HEAP_H

#include "core/arena.h"

#define HEAP_CLASS_COUNT 12 /* the last one: by themselves */

struct heap {
    struct arena classes[HEAP_CLASS_COUNT];
    struct heap_spare *spares; /* for large puts to come */
    uint64_t size;             /* bytes kept */
};

/* How many puts of each class are to come. */
struct heap_need {
    uint32_t count[HEAP_CLASS_COUNT];
};

void heap_init(struct heap *h);
void heap_fini(struct heap *h, const struct kernel_allocator *a);
/* Note that text of this size will be put. A large one takes its memory now;
 * false: there is none. */
bool
heap_want(struct heap *h, const struct kernel_allocator *a, struct heap_need *need, size_t size);
bool heap_reserve(struct heap *h, const struct kernel_allocator *a, const struct heap_need *need);
/* Room for `count` texts of any size up to that. */
bool heap_reserve_short(struct heap *h, const struct kernel_allocator *a, size_t size_max,
                        uint32_t count);
/* Give back what was taken for large puts that never came. */
void heap_calm(struct heap *h, const struct kernel_allocator *a);
/* Copy in. Traps without memory. */
uint32_t heap_put(struct heap *h, const struct kernel_allocator *a, struct bytes text);
void heap_drop(struct heap *h, const struct kernel_allocator *a, uint32_t handle);
/* The same bytes, to be changed. */
void *heap_edit(struct heap *h, uint32_t handle);
struct bytes heap_get(const struct heap *h, uint32_t handle);

#endif
