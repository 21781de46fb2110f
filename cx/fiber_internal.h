/* SPDX-License-Identifier: MIT */
/* What fiber*.c share: a fiber, its thread, and who watches over both. */
#ifndef ASUPERSYNC_CX_FIBER_INTERNAL_H
#define ASUPERSYNC_CX_FIBER_INTERNAL_H

#include "cx/fiber.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif
#ifndef FIBER_ASAN
#define FIBER_ASAN 0
#endif
#ifndef FIBER_TSAN
#define FIBER_TSAN 0
#endif

/* FIBER_UCONTEXT may be asked for, to test what other machines use. */
#if !defined(FIBER_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define FIBER_UCONTEXT 1
#endif
#ifndef FIBER_UCONTEXT
#define FIBER_UCONTEXT 0
#endif
#if FIBER_UCONTEXT
#include <ucontext.h>
#endif

enum {
    FIBER_GUARD_SIZE = 16384, /* a frame that large is needed to jump over it */
    FIBER_STACK_LEAST = 16384,
    FIBERS_PER_CHUNK = 64,
    FIBERS_WARM = 1024, /* free stacks that keep their memory */
};

/* Where a fiber, or the thread, left off. */
struct fiber_context {
#if FIBER_UCONTEXT
    ucontext_t context;
#else
    void *sp;
#endif
};

struct fiber {
    struct fiber_context context;
    unsigned char *low; /* of the stack; the guard lies below */
    size_t size;        /* of the stack */
    size_t asked;       /* for: less than that where a sanitizer takes its share */
    struct fiber_pool *pool;
    struct fiber *next; /* free */
    void (*entry)(void *arg);
    void *arg;
    bool ended;
    bool own; /* stack of its own size, not of a chunk */
    bool abandoned;
    void *sanitizer;   /* AddressSanitizer's fake stack, ThreadSanitizer's fiber */
    unsigned valgrind; /* its number for the stack */
};

/* The stack that the fibers of a thread return to. */
struct fiber_thread {
    struct fiber *current;
    struct fiber_context context;
    void *sanitizer;
    const void *low;
    size_t size;
};

extern _Thread_local struct fiber_thread fiber_thread __attribute__((tls_model("initial-exec")));

/* fiber_stack.c: the stack is there, nothing else is filled in. */
struct fiber *stack_take(struct fiber_pool *pool, size_t asked);
void stack_give(struct fiber *f);

/* fiber_fault.c: a signal stack for this thread, and the handler for the process. */
bool fault_watch(void *memory, size_t size);
void fault_unwatch(void *memory);
/* A stack for the handler: bytes. */
enum { FAULT_STACK_SIZE = 65536 };

#endif
