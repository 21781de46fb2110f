/* SPDX-License-Identifier: MIT */
/*
 * Fibers: stacks that give way to each other on one thread.
 *
 * Each has a guard page below its stack. Who runs into it is told so: the
 * process ends with a report that names the fiber, or, where `fiber_overflow`
 * is set, that function is called on a stack of its own and may leave the fiber
 * for good (fiber_leave_for_good). Stacks of ended fibers are kept for the next.
 *
 * AddressSanitizer and ThreadSanitizer are told of every switch.
 */
#ifndef ASUPERSYNC_CX_FIBER_H
#define ASUPERSYNC_CX_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;
struct fiber_pool; /* stacks of one size, of one thread */

struct fiber_pool *fiber_pool_new(size_t stack_size);
/* Every fiber of it is gone. */
void fiber_pool_free(struct fiber_pool *pool);

/* NULL: no memory. stack_size 0: the pool's. entry runs at the first fiber_resume() and ends the
 * fiber by returning. */
struct fiber *
fiber_new(struct fiber_pool *pool, size_t stack_size, void (*entry)(void *arg), void *arg);
/* Not the one that runs. One that has not ended is given up where it stands. */
void fiber_free(struct fiber *f);

/* From the thread's own stack: run f until it gives way or ends; true: it has ended. */
bool fiber_resume(struct fiber *f);
/* From within f. */
void fiber_yield(void);
/* From within f: never comes back; fiber_resume() says that it has ended. */
void fiber_exit(void) __attribute__((noreturn));
/* The one that runs; NULL: the thread's own stack. */
struct fiber *fiber_current(void);
/* Bytes of its stack that were ever used (counted to a page); what it was made with. */
size_t fiber_stack_used(const struct fiber *f);
size_t fiber_stack_size(const struct fiber *f);

/* Called when the running fiber of this thread has run into its guard page, on the signal's stack;
 * if it returns true, the fiber ends there (as by fiber_exit), else the process does. */
extern bool (*fiber_overflow)(struct fiber *f);

#endif
