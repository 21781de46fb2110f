/* SPDX-License-Identifier: MIT */
/*
 * Giving way. A switch saves what a call must preserve on the stack that is
 * left, and its stack pointer; nothing else, no signal mask, no system call.
 */
#include "cx/fiber_internal.h"

#include <stdlib.h>

#if FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

_Thread_local struct fiber_thread fiber_thread;

/* ---- The switch -------------------------------------------------------------------- */

/* Runs on the fiber's stack, the first time. */
__attribute__((noreturn, used)) void fiber_begin(void);

#if FIBER_UCONTEXT

static void
context_switch(struct fiber_context *from, struct fiber_context *to)
{
    (void)swapcontext(&from->context, &to->context);
}

static void
context_make(struct fiber *f)
{
    (void)getcontext(&f->context.context);
    f->context.context.uc_stack.ss_sp = f->low;
    f->context.context.uc_stack.ss_size = f->size;
    f->context.context.uc_link = NULL;
    makecontext(&f->context.context, fiber_begin, 0);
}

#else

/* from: where the stack pointer is saved; to: the one to go on with. */
void fiber_switch(void **from, void *to);
void fiber_enter(void);

#if defined(__x86_64__)

/* rbx, rbp, r12 to r15, and the modes of both arithmetic units. */
__asm__(".text\n"
        ".globl fiber_switch\n"
        ".hidden fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    fldcw 4(%rsp)\n"
        "    ldmxcsr (%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_switch, .-fiber_switch\n"
        ".globl fiber_enter\n"
        ".hidden fiber_enter\n"
        ".type fiber_enter, @function\n"
        "fiber_enter:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined rip\n"
        "    xorl %ebp, %ebp\n"
        "    call fiber_begin\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size fiber_enter, .-fiber_enter\n");

enum { SAVED_WORDS = 8, ENTRY_WORD = 7, MODES_WORD = 0 };

static void
modes_save(uint64_t *frame)
{
    uint32_t mxcsr;
    uint16_t x87;

    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    frame[MODES_WORD] = mxcsr | (uint64_t)x87 << 32;
}

#else /* aarch64 */

/* x19 to x30, d8 to d15. */
__asm__(".text\n"
        ".globl fiber_switch\n"
        ".hidden fiber_switch\n"
        ".type fiber_switch, %function\n"
        "fiber_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size fiber_switch, .-fiber_switch\n"
        ".globl fiber_enter\n"
        ".hidden fiber_enter\n"
        ".type fiber_enter, %function\n"
        "fiber_enter:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    bl fiber_begin\n"
        "    brk #1\n"
        ".size fiber_enter, .-fiber_enter\n");

enum { SAVED_WORDS = 20, ENTRY_WORD = 11 };

static void
modes_save(uint64_t *frame)
{
    (void)frame;
}

#endif

static void
context_switch(struct fiber_context *from, struct fiber_context *to)
{
    fiber_switch(&from->sp, to->sp);
}

/* A frame that the switch restores and returns from, into fiber_enter. */
static void
context_make(struct fiber *f)
{
    uint64_t *frame = (uint64_t *)(void *)(f->low + f->size - 64);

    frame -= SAVED_WORDS;
    for (unsigned i = 0; i < SAVED_WORDS; i++)
        frame[i] = 0;
    frame[ENTRY_WORD] = (uintptr_t)fiber_enter;
    modes_save(frame);
    f->context.sp = frame;
}

#endif

/* ---- What the sanitizers are told ------------------------------------------------------ */

#if FIBER_ASAN
static void
leave_thread(struct fiber *to)
{
    __sanitizer_start_switch_fiber(&fiber_thread.sanitizer, to->low, to->size);
}

static void
enter_thread(void)
{
    __sanitizer_finish_switch_fiber(fiber_thread.sanitizer, NULL, NULL);
}

static void
leave_fiber(struct fiber *f)
{
    __sanitizer_start_switch_fiber(f->ended ? NULL : &f->sanitizer, fiber_thread.low,
                                   fiber_thread.size);
}

static void
enter_fiber(struct fiber *f)
{
    __sanitizer_finish_switch_fiber(f->sanitizer, &fiber_thread.low, &fiber_thread.size);
}

static void
sanitizer_begin(struct fiber *f)
{
    f->sanitizer = NULL;
    ASAN_UNPOISON_MEMORY_REGION(f->low, f->size);
}

static void
sanitizer_end(struct fiber *f)
{
    ASAN_UNPOISON_MEMORY_REGION(f->low, f->size);
}
#elif FIBER_TSAN
static void
leave_thread(struct fiber *to)
{
    fiber_thread.sanitizer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->sanitizer, 0);
}

static void
enter_thread(void)
{
}

static void
leave_fiber(struct fiber *f)
{
    (void)f;
    __tsan_switch_to_fiber(fiber_thread.sanitizer, 0);
}

static void
enter_fiber(struct fiber *f)
{
    (void)f;
}

static void
sanitizer_begin(struct fiber *f)
{
    f->sanitizer = __tsan_create_fiber(0);
}

static void
sanitizer_end(struct fiber *f)
{
    __tsan_destroy_fiber(f->sanitizer);
}
#else
static void
leave_thread(struct fiber *to)
{
    (void)to;
}

static void
enter_thread(void)
{
}

static void
leave_fiber(struct fiber *f)
{
    (void)f;
}

static void
enter_fiber(struct fiber *f)
{
    (void)f;
}

static void
sanitizer_begin(struct fiber *f)
{
    (void)f;
}

static void
sanitizer_end(struct fiber *f)
{
    (void)f;
}
#endif

/* ---- Fibers ------------------------------------------------------------------------------- */

struct fiber *
fiber_new(struct fiber_pool *pool, size_t stack_size, void (*entry)(void *arg), void *arg)
{
    struct fiber *f = stack_take(pool, stack_size);

    if (f == NULL)
        return NULL;
    f->entry = entry;
    f->arg = arg;
    f->ended = false;
    f->abandoned = false;
    sanitizer_begin(f);
    context_make(f);
    return f;
}

void
fiber_free(struct fiber *f)
{
    if (FIBER_ASAN && !f->ended && f->sanitizer != NULL) {
        /* What the sanitizer keeps for its frames goes when it ends by itself. */
        f->abandoned = true;
        (void)fiber_resume(f);
    }
    sanitizer_end(f);
    stack_give(f);
}

bool
fiber_resume(struct fiber *f)
{
    fiber_thread.current = f;
    leave_thread(f);
    context_switch(&fiber_thread.context, &f->context);
    enter_thread();
    fiber_thread.current = NULL;
    return f->ended;
}

__attribute__((noreturn)) static void
leave_for_good(struct fiber *f)
{
    f->ended = true;
    leave_fiber(f);
    context_switch(&f->context, &fiber_thread.context);
    abort(); /* nobody resumes it */
}

void
fiber_yield(void)
{
    struct fiber *f = fiber_thread.current;

    leave_fiber(f);
    context_switch(&f->context, &fiber_thread.context);
    enter_fiber(f);
    if (f->abandoned)
        leave_for_good(f);
}

void
fiber_exit(void)
{
    leave_for_good(fiber_thread.current);
}

void
fiber_begin(void)
{
    struct fiber *f = fiber_thread.current;

    enter_fiber(f);
    f->entry(f->arg);
    leave_for_good(f);
}

struct fiber *
fiber_current(void)
{
    return fiber_thread.current;
}

size_t
fiber_stack_size(const struct fiber *f)
{
    return f->asked;
}
