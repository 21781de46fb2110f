/* SPDX-License-Identifier: MIT */
/* Fibers by themselves: giving way, stacks, guards. */
#include <check.h>
#include <fenv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cx/fiber_internal.h"
#include "rules.h"

enum { STACK = 65536 };

static struct fiber_pool *pool;

static void
begin(void)
{
    pool = fiber_pool_new(STACK);
    ck_assert_ptr_nonnull(pool);
}

static void
end(void)
{
    fiber_overflow = NULL;
    fiber_pool_free(pool);
}

/* ---- Giving way ------------------------------------------------------------------------ */

static char order[64];

static void
letters(void *arg)
{
    const char *text = arg;

    for (; *text != '\0'; text++) {
        strncat(order, text, 1);
        fiber_yield();
    }
}

START_TEST(fibers_give_way_to_each_other)
{
    static char first[] = "ace", second[] = "bdf";
    struct fiber *a = fiber_new(pool, 0, letters, first);
    struct fiber *b = fiber_new(pool, 0, letters, second);
    int ended = 0;

    ck_assert_ptr_null(fiber_current());
    while (ended < 2) {
        ended += fiber_resume(a);
        ended += fiber_resume(b);
    }
    ck_assert_str_eq(order, "abcdef");
    fiber_free(a);
    fiber_free(b);
}
END_TEST

static double sum;

static void
counts(void *arg)
{
    double own = *(double *)arg;
    int mode = fegetround();

    /* What it has in registers, and how it rounds, is its own. */
    (void)fesetround(FE_UPWARD);
    for (int i = 0; i < 1000; i++) {
        own += 1.0;
        if (i % 100 == 0)
            fiber_yield();
        ck_assert_int_eq(fegetround(), FE_UPWARD);
    }
    sum += own;
    (void)fesetround(mode);
}

START_TEST(registers_and_modes_are_a_fibers_own)
{
    struct fiber *f[8];
    double start[8];
    int ended = 0;

    for (int i = 0; i < 8; i++) {
        start[i] = i * 1e6;
        f[i] = fiber_new(pool, 0, counts, &start[i]);
    }
    while (ended < 8) {
        for (int i = 0; i < 8; i++) {
            if (f[i] != NULL && fiber_resume(f[i])) {
                fiber_free(f[i]);
                f[i] = NULL;
                ended++;
            }
        }
        ck_assert_int_eq(fegetround(), FE_TONEAREST);
    }
    ck_assert(sum == 28e6 + 8000);
}
END_TEST

static void
exits(void *arg)
{
    *(struct fiber **)arg = fiber_current();
    fiber_exit();
}

START_TEST(exit_ends_a_fiber_from_within)
{
    struct fiber *seen = NULL;
    struct fiber *f = fiber_new(pool, 0, exits, &seen);

    ck_assert(fiber_resume(f));
    ck_assert_ptr_eq(seen, f);
    ck_assert_ptr_null(fiber_current());
    fiber_free(f);
}
END_TEST

static int reached;

static void
halfway(void *arg)
{
    (void)arg;
    reached++;
    fiber_yield();
    reached += 1000;
}

START_TEST(one_that_has_not_ended_is_given_up_where_it_stands)
{
    for (int i = 0; i < 1000; i++) {
        struct fiber *f = fiber_new(pool, 0, halfway, NULL);

        ck_assert(!fiber_resume(f));
        fiber_free(f);
        fiber_free(fiber_new(pool, 0, halfway, NULL)); /* nor one that never began */
    }
    ck_assert_int_eq(reached, 1000);
}
END_TEST

/* ---- Stacks ---------------------------------------------------------------------------------- */

static void
fills(void *arg)
{
    size_t size = *(size_t *)arg;
    volatile char *there = __builtin_alloca(size);

    for (size_t i = 0; i < size; i += 512)
        there[i] = 1;
    fiber_yield();
}

START_TEST(a_stack_has_the_size_that_was_asked_for)
{
    size_t sizes[] = {16384, 65536, 1 << 20};

    for (size_t i = 0; i < 3; i++) {
        size_t use = sizes[i] - 6144;
        struct fiber *f = fiber_new(pool, sizes[i], fills, &use);

        ck_assert_uint_eq(fiber_stack_size(f), sizes[i]);
        ck_assert_uint_eq(fiber_stack_used(f) > 8192, 0);
        ck_assert(!fiber_resume(f));
        ck_assert_uint_ge(fiber_stack_used(f), use);
        ck_assert(fiber_resume(f));
        fiber_free(f);
    }
}
END_TEST

START_TEST(no_memory_is_an_answer)
{
    ck_assert_ptr_null(fiber_new(pool, SIZE_MAX, halfway, NULL));
    ck_assert_ptr_null(fiber_new(pool, (size_t)1 << 50, halfway, NULL));
    ck_assert_ptr_null(fiber_pool_new(SIZE_MAX));
}
END_TEST

/* ---- Guards -------------------------------------------------------------------------------------
 */

static int
deeper(volatile char *above, int depth)
{
    volatile char here[512];

    here[0] = above[0];
    return depth == 0 ? here[0] : deeper(here, depth - 1) + here[0];
}

static void
overflows(void *arg)
{
    volatile char top[1] = {1};

    *(int *)arg = deeper(top, 1000000);
}

static struct fiber *overflowed;

static bool
note_overflow(struct fiber *f)
{
    overflowed = f;
    return true;
}

START_TEST(an_overflow_ends_the_fiber_where_that_is_wanted)
{
    fiber_overflow = note_overflow;
    for (int i = 0; i < 100; i++) {
        int never = 0;
        struct fiber *f = fiber_new(pool, i % 2 == 0 ? 0 : 32768, overflows, &never);

        overflowed = NULL;
        ck_assert(fiber_resume(f));
        ck_assert_ptr_eq(overflowed, f);
        ck_assert_int_eq(never, 0);
        fiber_free(f);
    }
}
END_TEST

/* Runs it in a child; what that said on stderr, and the signal it died of. */
static int
child(void (*body)(void), char *said, size_t size)
{
    int out[2];
    int status = 0;
    size_t used = 0;
    ssize_t got;
    pid_t pid;

    ck_assert_int_eq(pipe(out), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)dup2(out[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    (void)close(out[1]);
    while ((got = read(out[0], said + used, size - 1 - used)) > 0)
        used += (size_t)got;
    said[used] = '\0';
    (void)close(out[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void
overflow_unwatched(void)
{
    int never;

    (void)fiber_resume(fiber_new(pool, 0, overflows, &never));
}

START_TEST(else_the_process_ends_with_a_report)
{
    char said[65536];
    int how = child(overflow_unwatched, said, sizeof said);

    ck_assert_ptr_nonnull(strstr(said, "asupersync: a fiber overflowed its stack of 65536 bytes"));
    ck_assert_int_eq(how, -7);
}
END_TEST

static void
fault(void *arg)
{
    volatile int *nowhere = arg;

    *nowhere = 1;
}

static void *
nobodys(void)
{
    return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
fault_in_a_fiber(void)
{
    (void)fiber_resume(fiber_new(pool, 0, fault, nobodys()));
}

static void
fault_outside(void)
{
    fault(nobodys());
}

START_TEST(other_faults_are_others)
{
    char said[65536];

    fiber_overflow = note_overflow;
    ck_assert_int_eq(child(fault_in_a_fiber, said, sizeof said), -7);
    ck_assert_int_eq(child(fault_outside, said, sizeof said), -7);
}
END_TEST

/* ---- Many
 * ------------------------------------------------------------------------------------------- */

START_TEST(a_hundred_thousand_at_once)
{
    enum { MANY = FIBER_ASAN || FIBER_TSAN ? 2000 : 100000 };
    struct fiber **f = calloc(MANY, sizeof(struct fiber *));
    int made = 0;

    ck_assert_ptr_nonnull(f);
    for (; made < MANY; made++) {
        f[made] = fiber_new(pool, 0, halfway, NULL);
        if (f[made] == NULL)
            break;
        ck_assert(!fiber_resume(f[made]));
    }
    /* Where guards are mappings there are 65,530 of those. */
    ck_assert_int_ge(made, MANY < 30000 ? MANY : 30000);
    for (int i = 0; i < made; i++)
        fiber_free(f[i]);
    free(f);
}
END_TEST

static const struct rule rules[] = {
    RULE(fibers_give_way_to_each_other),
    RULE(registers_and_modes_are_a_fibers_own),
    RULE(exit_ends_a_fiber_from_within),
    RULE(one_that_has_not_ended_is_given_up_where_it_stands),
    RULE(a_stack_has_the_size_that_was_asked_for),
    RULE(no_memory_is_an_answer),
    RULE(an_overflow_ends_the_fiber_where_that_is_wanted),
    RULE(else_the_process_ends_with_a_report),
    RULE(other_faults_are_others),
    RULE(a_hundred_thousand_at_once),
};

static void
exit_7(int signal)
{
    (void)signal;
    _exit(7);
}

/* There is a handler before the fibers have theirs: what is not their affair is its. */
int
main(void)
{
    struct sigaction theirs = {.sa_handler = exit_7};

    (void)sigaction(SIGSEGV, &theirs, NULL);
    return rules_run("fibers", rules, sizeof rules / sizeof rules[0], begin, end);
}
