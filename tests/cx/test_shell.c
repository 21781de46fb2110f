/* SPDX-License-Identifier: MIT */
/* The shell in virtual time. */
#include <check.h>
#include <string.h>

#include "rules.h"
#include "virtual.h"

static struct virtual v;

static void
begin(void)
{
    virtual_init(&v);
}

/* ---- Time ------------------------------------------------------------------------------ */

static int
sleeps(struct asup_cx *cx, void *arg)
{
    return asup_cx_sleep(cx, *(uint64_t *)arg);
}

static int
sleep_both(struct asup_cx *cx, void *arg)
{
    static uint64_t second = ASUP_NS_PER_S, week = 7 * 24 * 3600 * ASUP_NS_PER_S;
    struct asup_task a, b;
    asup_time began = asup_cx_now(cx);

    (void)arg;
    ck_assert_int_eq(asup_cx_spawn(cx, sleeps, &week, &a), 0);
    ck_assert_int_eq(asup_cx_spawn(cx, sleeps, &second, &b), 0);
    ck_assert_int_eq(asup_cx_join(cx, b, NULL), 0);
    ck_assert_uint_eq(asup_cx_now(cx) - began, second);
    ck_assert_int_eq(asup_cx_join(cx, a, NULL), 0);
    ck_assert_uint_eq(asup_cx_now(cx) - began, week);
    return 0;
}

START_TEST(sleeps_cost_no_time)
{
    ck_assert_int_eq(virtual_run(&v, sleep_both, NULL, NULL), 0);
}
END_TEST

/* ---- Scopes -------------------------------------------------------------------------------- */

static int live;

static int
lives(struct asup_cx *cx, void *arg)
{
    int rc;

    (void)arg;
    live++;
    rc = asup_cx_sleep(cx, ASUP_NEVER);
    live--;
    return rc;
}

static int
close_scope(struct asup_cx *cx, void *arg)
{
    int code;
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, &code);
    struct asup_outcome out;

    (void)arg;
    ck_assert_ptr_nonnull(scope);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(ASUP_SPAWN(scope, lives, NULL), 0);
    ck_assert_int_eq(asup_cx_sleep(cx, 1000), 0);
    ck_assert_int_eq(live, 10);
    asup_cx_scope_close(scope, "enough");
    ck_assert_int_eq(asup_cx_scope_join(scope, &out), -ASUP_ECANCELLED);
    ck_assert_int_eq(live, 0);
    ck_assert_str_eq(out.reason->message, "enough");
    return 0;
}

START_TEST(R_REG_4_a_join_returns_when_nothing_runs)
{
    /* What was cancelled counts in the region above, too (R-OUT-2). */
    ck_assert_int_eq(virtual_run(&v, close_scope, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

/* ---- Overflow ------------------------------------------------------------------------------ */

static int
deeper(volatile char *above, int depth)
{
    volatile char here[512];

    here[0] = above[0];
    return depth == 0 ? here[0] : deeper(here, depth - 1) + here[0];
}

static int
overflows(struct asup_cx *cx, void *arg)
{
    volatile char top[1] = {1};

    (void)cx;
    (void)arg;
    return deeper(top, 1000000);
}

static int
survive(struct asup_cx *cx, void *arg)
{
    struct asup_task task;
    struct asup_outcome out;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(asup_cx_spawn(cx, overflows, NULL, &task), 0);
        ck_assert_int_eq(asup_cx_join(cx, task, &out), 0);
        ck_assert_int_eq(out.key.severity, ASUP_PANICKED);
        ck_assert_int_eq(out.signal, 11);
        ck_assert_ptr_nonnull(out.error);
        ck_assert_ptr_nonnull(strstr(out.error, "overflowed its stack of 65536 bytes"));
    }
    return 0;
}

START_TEST(an_overflow_ends_the_task_alone)
{
    ck_assert_int_eq(virtual_run(&v, survive, NULL, NULL), -ASUP_EPANICKED);
}
END_TEST

static const struct rule rules[] = {
    RULE(sleeps_cost_no_time),
    RULE(R_REG_4_a_join_returns_when_nothing_runs),
    RULE(an_overflow_ends_the_task_alone),
};

RULES_MAIN("cx shell", rules, begin, NULL)
