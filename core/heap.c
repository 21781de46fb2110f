/* SPDX-License-Identifier: MIT */
#include "core/heap.h"

#include <assert.h>

/* A block: a live mark that is never 0, the size, the bytes. The arena's free
 * link needs 16 bytes, so that is the smallest class; in it the mark takes only
 * four, since most names and labels fit then. What is larger may hold an array,
 * so it begins at a multiple of eight. */
struct block {
    uint64_t size_and_mark; /* size + 1 */
};

struct small {
    uint32_t size_and_mark; /* likewise */
    char data[12];
};

struct large {
    uint64_t size_and_mark;
    void *data;
};

/* Memory for a large text, before it is there. */
struct heap_spare {
    struct heap_spare *next;
    size_t size;
};

static_assert(sizeof(struct small) == 16, "the smallest class");

static const uint32_t class_size[HEAP_CLASS_COUNT] = {
    16, 24, 32, 48, 64, 96, 144, 272, 528, 1040, 4104, sizeof(struct large),
};

#define SMALL 0
#define LARGE (HEAP_CLASS_COUNT - 1)
#define INDEX_BITS 28

void
heap_init(struct heap *h)
{
    memset(h, 0, sizeof *h);
    for (unsigned c = 0; c < HEAP_CLASS_COUNT; c++)
        arena_init(&h->classes[c], class_size[c]);
}

static unsigned
class_of(size_t size)
{
    unsigned c = SMALL + 1;

    if (size <= sizeof((struct small *)NULL)->data)
        return SMALL;
    while (c < LARGE && class_size[c] < size + sizeof(struct block))
        c++;
    return c;
}

void
heap_fini(struct heap *h, const struct kernel_allocator *a)
{
    const struct arena *s = &h->classes[LARGE];

    for (uint32_t i = 0; i < s->used; i++) {
        const struct large *l = arena_at(s, i);

        if (l->size_and_mark != 0)
            memory_release(a, l->data, l->size_and_mark - 1, 1);
    }
    heap_calm(h, a);
    for (unsigned c = 0; c < HEAP_CLASS_COUNT; c++)
        arena_fini(&h->classes[c], a);
}

bool
heap_want(struct heap *h, const struct kernel_allocator *a, struct heap_need *need, size_t size)
{
    unsigned c = class_of(size);

    if (size == 0)
        return true;
    need->count[c]++;
    if (c == LARGE) {
        struct heap_spare *spare = a->resize(a->ctx, NULL, 0, size);

        if (spare == NULL)
            return false;
        spare->size = size;
        spare->next = h->spares;
        h->spares = spare;
    }
    return true;
}

bool
heap_reserve(struct heap *h, const struct kernel_allocator *a, const struct heap_need *need)
{
    for (unsigned c = 0; c < HEAP_CLASS_COUNT; c++) {
        if (need->count[c] > 0 && !arena_reserve(&h->classes[c], a, need->count[c]))
            return false;
    }
    return true;
}

bool
heap_reserve_short(struct heap *h, const struct kernel_allocator *a, size_t size_max,
                   uint32_t count)
{
    unsigned last = class_of(size_max);

    for (unsigned c = 0; c <= last; c++) {
        if (!arena_reserve(&h->classes[c], a, count))
            return false;
    }
    return true;
}

void
heap_calm(struct heap *h, const struct kernel_allocator *a)
{
    while (h->spares != NULL) {
        struct heap_spare *spare = h->spares;

        h->spares = spare->next;
        memory_release(a, spare, spare->size, 1);
    }
}

/* Memory for a large text, reserved or fresh. */
static void *
large_take(struct heap *h, const struct kernel_allocator *a, size_t size)
{
    void *data;

    for (struct heap_spare **at = &h->spares; *at != NULL; at = &(*at)->next) {
        if ((*at)->size == size) {
            data = *at;
            *at = (*at)->next;
            return data;
        }
    }
    data = a->resize(a->ctx, NULL, 0, size);
    must(data != NULL);
    return data;
}

uint32_t
heap_put(struct heap *h, const struct kernel_allocator *a, struct bytes text)
{
    unsigned c = class_of(text.size);
    uint32_t i;

    if (text.size == 0)
        return 0;
    i = arena_take(&h->classes[c], a);
    must(i < (1U << INDEX_BITS) - 1);
    h->size += text.size;
    if (c == SMALL) {
        struct small *s = arena_at(&h->classes[c], i);

        s->size_and_mark = (uint32_t)text.size + 1;
        memcpy(s->data, text.data, text.size);
    } else if (c == LARGE) {
        struct large *l = arena_at(&h->classes[c], i);

        l->data = large_take(h, a, text.size);
        l->size_and_mark = text.size + 1;
        memcpy(l->data, text.data, text.size);
    } else {
        struct block *b = arena_at(&h->classes[c], i);

        b->size_and_mark = text.size + 1;
        memcpy(b + 1, text.data, text.size);
    }
    return (uint32_t)c << INDEX_BITS | (i + 1);
}

/* Where the bytes are, and how many; the handle is not 0. */
static void *
text_at(const struct heap *h, uint32_t handle, size_t *size)
{
    unsigned c = handle >> INDEX_BITS;
    uint32_t i = (handle & ((1U << INDEX_BITS) - 1)) - 1;
    struct block *b;

    if (c == SMALL) {
        struct small *s = arena_at(&h->classes[c], i);

        must(s->size_and_mark != 0);
        *size = s->size_and_mark - 1;
        return s->data;
    }
    b = arena_at(&h->classes[c], i);
    must(b->size_and_mark != 0);
    *size = b->size_and_mark - 1;
    return c == LARGE ? ((struct large *)b)->data : b + 1;
}

struct bytes
heap_get(const struct heap *h, uint32_t handle)
{
    struct bytes text = {.data = "", .size = 0};

    if (handle != 0)
        text.data = text_at(h, handle, &text.size);
    return text;
}

void *
heap_edit(struct heap *h, uint32_t handle)
{
    size_t size;

    must(handle != 0); /* the empty text has nothing to change */
    return text_at(h, handle, &size);
}

void
heap_drop(struct heap *h, const struct kernel_allocator *a, uint32_t handle)
{
    unsigned c = handle >> INDEX_BITS;
    uint32_t i = (handle & ((1U << INDEX_BITS) - 1)) - 1;
    struct bytes text = heap_get(h, handle);

    if (handle == 0)
        return;
    h->size -= text.size;
    if (c == LARGE)
        memory_release(a, ((struct large *)arena_at(&h->classes[c], i))->data, text.size, 1);
    arena_give(&h->classes[c], i);
}
