/* SPDX-License-Identifier: MIT */
/*
 * Stacks: mapped many at a time, each above a guard, kept when their fiber has
 * ended. Of those that are free some keep their memory, the others give it back
 * and keep only their addresses.
 *
 * A guard is a mark in the page table where the system has that (Linux 6.13),
 * else pages that nobody may touch. Those are mappings of their own, of which a
 * process has 65,530 unless vm.max_map_count says otherwise: enough for about
 * 32,000 fibers. The next one then has no memory.
 */
#include "cx/fiber_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

struct stack_chunk {
    struct stack_chunk *next;
    unsigned char *memory;
    size_t size;
    struct fiber fibers[FIBERS_PER_CHUNK];
};

struct fiber_pool {
    size_t stack_size; /* as asked */
    size_t page;
    struct stack_chunk *chunks;
    struct fiber *warm, *cold;
    size_t warm_count;
    void *fault_stack;
};

/* The sanitizers need room for redzones in every frame. */
enum { STACK_SCALE = FIBER_ASAN || FIBER_TSAN ? 4 : 1 };

static size_t
stack_bytes(const struct fiber_pool *pool, size_t asked)
{
    if (asked < FIBER_STACK_LEAST)
        asked = FIBER_STACK_LEAST;
    if (asked > SIZE_MAX / 16)
        return 0;
    asked *= STACK_SCALE;
    return (asked + pool->page - 1) & ~(pool->page - 1);
}

static unsigned char *
map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    /* A huge page for a stack of which a page is used would be a waste. */
    (void)madvise(memory, size, MADV_NOHUGEPAGE);
    return memory;
}

static bool
guard(unsigned char *low)
{
    return madvise(low, FIBER_GUARD_SIZE, MADV_GUARD_INSTALL) == 0 ||
           mprotect(low, FIBER_GUARD_SIZE, PROT_NONE) == 0;
}

static void
stack_init(struct fiber *f, struct fiber_pool *pool, unsigned char *low, size_t size)
{
    *f = (struct fiber){.low = low, .size = size, .pool = pool};
    f->valgrind = VALGRIND_STACK_REGISTER(low, low + size);
}

struct fiber_pool *
fiber_pool_new(size_t stack_size)
{
    struct fiber_pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return NULL;
    pool->stack_size = stack_size;
    pool->page = (size_t)sysconf(_SC_PAGESIZE);
    pool->fault_stack = malloc(FAULT_STACK_SIZE);
    if (pool->fault_stack == NULL || stack_bytes(pool, stack_size) == 0 ||
        !fault_watch(pool->fault_stack, FAULT_STACK_SIZE)) {
        free(pool->fault_stack);
        free(pool);
        return NULL;
    }
    return pool;
}

void
fiber_pool_free(struct fiber_pool *pool)
{
    struct stack_chunk *next;

    if (pool == NULL)
        return;
    for (struct stack_chunk *chunk = pool->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        for (unsigned i = 0; i < FIBERS_PER_CHUNK; i++)
            VALGRIND_STACK_DEREGISTER(chunk->fibers[i].valgrind);
        (void)munmap(chunk->memory, chunk->size);
        free(chunk);
    }
    fault_unwatch(pool->fault_stack);
    free(pool->fault_stack);
    free(pool);
}

static bool
chunk_add(struct fiber_pool *pool)
{
    size_t size = stack_bytes(pool, pool->stack_size);
    size_t stride = size + FIBER_GUARD_SIZE;
    struct stack_chunk *chunk = malloc(sizeof *chunk);

    if (chunk == NULL)
        return false;
    chunk->size = stride * FIBERS_PER_CHUNK;
    chunk->memory = map(chunk->size);
    if (chunk->memory == NULL) {
        free(chunk);
        return false;
    }
    for (unsigned i = 0; i < FIBERS_PER_CHUNK; i++) {
        if (!guard(chunk->memory + i * stride)) {
            (void)munmap(chunk->memory, chunk->size);
            free(chunk);
            return false;
        }
    }
    for (unsigned i = FIBERS_PER_CHUNK; i-- > 0;) {
        struct fiber *f = &chunk->fibers[i];

        stack_init(f, pool, chunk->memory + i * stride + FIBER_GUARD_SIZE, size);
        f->next = pool->cold;
        pool->cold = f;
    }
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    return true;
}

static struct fiber *
stack_own(struct fiber_pool *pool, size_t asked)
{
    size_t size = stack_bytes(pool, asked);
    struct fiber *f = size == 0 ? NULL : malloc(sizeof *f);
    unsigned char *memory = f == NULL ? NULL : map(size + FIBER_GUARD_SIZE);

    if (memory == NULL || !guard(memory)) {
        if (memory != NULL)
            (void)munmap(memory, size + FIBER_GUARD_SIZE);
        free(f);
        return NULL;
    }
    stack_init(f, pool, memory + FIBER_GUARD_SIZE, size);
    f->own = true;
    return f;
}

struct fiber *
stack_take(struct fiber_pool *pool, size_t asked)
{
    struct fiber *f;

    if (asked != 0 && asked != pool->stack_size) {
        f = stack_own(pool, asked);
    } else {
        asked = pool->stack_size;
        if (pool->warm == NULL && pool->cold == NULL && !chunk_add(pool))
            return NULL;
        f = pool->warm;
        if (f != NULL) {
            pool->warm = f->next;
            pool->warm_count--;
        } else {
            f = pool->cold;
            pool->cold = f->next;
        }
    }
    if (f != NULL)
        f->asked = asked;
    return f;
}

void
stack_give(struct fiber *f)
{
    struct fiber_pool *pool = f->pool;

    if (f->own) {
        VALGRIND_STACK_DEREGISTER(f->valgrind);
        (void)munmap(f->low - FIBER_GUARD_SIZE, f->size + FIBER_GUARD_SIZE);
        free(f);
    } else if (pool->warm_count < FIBERS_WARM) {
        f->next = pool->warm;
        pool->warm = f;
        pool->warm_count++;
    } else {
        (void)madvise(f->low, f->size, MADV_DONTNEED);
        f->next = pool->cold;
        pool->cold = f;
    }
}

size_t
fiber_stack_used(const struct fiber *f)
{
    unsigned char there[256];
    size_t page = f->pool->page;
    size_t at = 0;

    while (at < f->size) {
        size_t size = f->size - at;
        size_t pages;

        if (size > sizeof there * page)
            size = sizeof there * page;
        pages = size / page;
        if (mincore(f->low + at, size, there) != 0)
            return 0;
        for (size_t i = 0; i < pages; i++) {
            if ((there[i] & 1) != 0)
                return f->size - at - i * page;
        }
        at += size;
    }
    return 0;
}
