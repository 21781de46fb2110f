/* SPDX-License-Identifier: MIT */
/*
 * Running into a guard. The handler of SIGSEGV (and SIGBUS) asks whether the
 * address lies in the guard of the fiber that runs on this thread; what does
 * not is the affair of whoever handled the signal before.
 *
 * A fiber that is ended by it is left as the handler returns: the thread goes
 * on at the upper end of the fiber's own stack, which nobody needs any more, in
 * a function that leaves for good. So the signal mask and the signal stack are
 * as they were.
 */
#include "cx/fiber_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#if FIBER_ASAN
#include <sanitizer/asan_interface.h>
#endif

bool (*fiber_overflow)(struct fiber *f);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction former_segv, former_bus;
static bool watching;

/* ---- Leaving the fiber ------------------------------------------------------------------ */

__attribute__((noreturn)) static void
landing(void)
{
    fiber_exit();
}

static bool
land(struct fiber *f, void *context)
{
    unsigned char *top = f->low + f->size - 64; /* a multiple of 16, as a page is */
    ucontext_t *c = context;

#if FIBER_ASAN
    ASAN_UNPOISON_MEMORY_REGION(f->low, f->size);
#endif
#if defined(__x86_64__)
    top -= 8; /* as after a call */
    memset(top, 0, 8);
    c->uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)top;
    c->uc_mcontext.gregs[REG_RBP] = 0;
    c->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)landing;
    return true;
#elif defined(__aarch64__)
    c->uc_mcontext.sp = (uintptr_t)top;
    c->uc_mcontext.regs[29] = 0;
    c->uc_mcontext.regs[30] = 0;
    c->uc_mcontext.pc = (uintptr_t)landing;
    return true;
#else
    (void)top;
    (void)c;
    return false;
#endif
}

/* ---- The handler --------------------------------------------------------------------------- */

static bool
in_guard(const struct fiber *f, const void *address)
{
    uintptr_t at = (uintptr_t)address;
    uintptr_t low = (uintptr_t)f->low;

    return at < low && at >= low - FIBER_GUARD_SIZE;
}

/* No printf(): it may be what ran into the guard. */
static void
report(const struct fiber *f)
{
    static const char before[] = "asupersync: a fiber overflowed its stack of ";
    static const char after[] = " bytes\n";
    char digits[24];
    size_t at = sizeof digits;
    size_t size = f->asked;

    do {
        digits[--at] = (char)('0' + size % 10);
        size /= 10;
    } while (size > 0);
    if (write(STDERR_FILENO, before, sizeof before - 1) < 0 ||
        write(STDERR_FILENO, digits + at, sizeof digits - at) < 0 ||
        write(STDERR_FILENO, after, sizeof after - 1) < 0)
        return;
}

static void
former(int signal, siginfo_t *info, void *context)
{
    const struct sigaction *before = signal == SIGSEGV ? &former_segv : &former_bus;

    if ((before->sa_flags & SA_SIGINFO) != 0) {
        before->sa_sigaction(signal, info, context);
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signal);
    } else {
        /* It happens again as soon as this returns, and has its default effect. */
        struct sigaction preset = {.sa_handler = SIG_DFL};

        (void)sigaction(signal, &preset, NULL);
        if (info->si_code <= 0) /* sent, not by a fault: it would not happen again */
            (void)raise(signal);
    }
}

static void
on_fault(int signal, siginfo_t *info, void *context)
{
    struct fiber *f = fiber_thread.current;

    if (f != NULL && info->si_code > 0 && in_guard(f, info->si_addr)) {
        bool (*told)(struct fiber *) = __atomic_load_n(&fiber_overflow, __ATOMIC_RELAXED);

        if (told != NULL && told(f) && land(f, context))
            return;
        report(f);
    }
    former(signal, info, context);
}

static void
install(void)
{
    struct sigaction own = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    (void)sigemptyset(&own.sa_mask);
    watching = sigaction(SIGSEGV, NULL, &former_segv) == 0 &&
               sigaction(SIGBUS, NULL, &former_bus) == 0 && sigaction(SIGSEGV, &own, NULL) == 0 &&
               sigaction(SIGBUS, &own, NULL) == 0;
}

bool
fault_watch(void *memory, size_t size)
{
    stack_t stack = {.ss_sp = memory, .ss_size = size};
    stack_t now;

    if (pthread_once(&once, install) != 0 || !watching)
        return false;
    if (sigaltstack(NULL, &now) != 0)
        return false;
    if ((now.ss_flags & SS_DISABLE) == 0)
        return true; /* somebody's: it does as well */
    return sigaltstack(&stack, NULL) == 0;
}

void
fault_unwatch(void *memory)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    stack_t now;

    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == memory)
        (void)sigaltstack(&none, NULL);
}
