/* SPDX-License-Identifier: MIT */
/* Tasks and scopes in virtual time: how they end, and that nothing is left. */
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

static int
returns(struct asup_cx *cx, void *arg)
{
    (void)cx;
    return arg == NULL ? 0 : *(int *)arg;
}

/* ---- Outcomes ---------------------------------------------------------------------------- */

static int
outcomes(struct asup_cx *cx, void *arg)
{
    static int results[] = {0, 1, 255, 256, -ASUP_EBUSY, -ASUP_ECANCELLED};
    static const int wanted[] = {0, 1, 255, 255, -ASUP_EBUSY, -ASUP_ECANCELLED};

    (void)arg;
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        struct asup_outcome out = joined(cx, spawned(cx, returns, &results[i]));

        ck_assert_int_eq(asup_outcome_result(&out), wanted[i]);
        ck_assert_int_eq(out.key.severity, i == 0 ? ASUP_OK : ASUP_ERR);
        ck_assert_int_eq(out.exit_code, wanted[i] < 0 ? 1 : wanted[i]);
        ck_assert_int_eq(asup_outcome_exit_code(&out), wanted[i] < 0 ? 1 : wanted[i]);
        if (wanted[i] < 0)
            ck_assert_str_eq(out.error, asup_error_text(wanted[i]));
    }
    return 0;
}

START_TEST(R_TSK_4_a_result_maps_to_an_outcome)
{
    struct kernel_outcome out;

    /* The first of them decides for the region (R-OUT-1). */
    ck_assert_int_eq(virtual_run(&v, outcomes, NULL, &out), 1);
    ck_assert_int_eq(out.exit_code, 1);
}
END_TEST

static int
joins_many_times(struct asup_cx *cx, void *arg)
{
    static int three = 3;
    static uint64_t long_time = 500;
    struct asup_task task = spawned(cx, returns, &three);
    struct asup_task slow = spawned(cx, sleeps, &long_time);
    struct asup_outcome first, second;

    (void)arg;
    first = joined(cx, task);
    second = joined(cx, task);
    ck_assert_int_eq(first.exit_code, 3);
    ck_assert_int_eq(second.exit_code, 3);
    ck_assert_int_eq(asup_cx_join(cx, slow, NULL), 0);
    ck_assert_int_eq(asup_cx_join(cx, (struct asup_task){4711}, NULL), -ASUP_ENOTFOUND);
    ck_assert_int_eq(asup_cx_join(cx, asup_cx_task(cx), NULL), -ASUP_EINVALID);
    return 0;
}

START_TEST(R_TSK_7_joining_consumes_nothing)
{
    ck_assert_int_eq(virtual_run(&v, joins_many_times, NULL, NULL), 3);
}
END_TEST

static int
panics(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    ck_assert_ptr_nonnull(scope);
    spawned(scope, sleeps, NULL);
    asup_cx_panic(cx, "no %s for %d", (const char *)arg, 42);
}

static int
sees_panic(struct asup_cx *cx, void *arg)
{
    static char what[] = "answer";
    struct asup_outcome out = joined(cx, spawned(cx, panics, what));

    (void)arg;
    ck_assert_int_eq(out.key.severity, ASUP_PANICKED);
    ck_assert_int_eq(out.signal, 6);
    ck_assert_str_eq(out.error, "no answer for 42");
    ck_assert_int_eq(asup_outcome_result(&out), -ASUP_EPANICKED);
    return 0;
}

START_TEST(a_panic_ends_its_task_with_its_scopes)
{
    ck_assert_int_eq(virtual_run(&v, sees_panic, NULL, NULL), -ASUP_EPANICKED);
    ck_assert_ptr_nonnull(strstr(v.trace, "no answer for 42"));
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
survives(struct asup_cx *cx, void *arg)
{
    struct asup_spawn_options options;
    struct asup_task task;
    struct asup_outcome out;

    (void)arg;
    asup_spawn_options_init(&options);
    options.label = "deep one";
    options.stack_size = 32768;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(asup_cx_spawn_with(cx, &options, overflows, NULL, &task), 0);
        out = joined(cx, task);
        ck_assert_int_eq(out.key.severity, ASUP_PANICKED);
        ck_assert_int_eq(out.signal, 11);
        ck_assert_ptr_nonnull(strstr(out.error, "deep one overflowed its stack of 32768 bytes"));
    }
    return 0;
}

START_TEST(an_overflow_ends_the_task_alone)
{
    ck_assert_int_eq(virtual_run(&v, survives, NULL, NULL), -ASUP_EPANICKED);
}
END_TEST

/* ---- Scopes ---------------------------------------------------------------------------------- */

static int live;

static int
lives(struct asup_cx *cx, void *arg)
{
    int rc;

    (void)arg;
    live++;
    rc = asup_cx_sleep(cx, ASUP_NEVER);
    asup_cx_mask(cx);
    ck_assert_int_eq(asup_cx_sleep(cx, 1000), 0); /* cleaning up takes its time */
    asup_cx_unmask(cx);
    live--;
    return rc;
}

static int
closes_scope(struct asup_cx *cx, void *arg)
{
    int code;
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, &code);
    struct asup_outcome out;

    (void)arg;
    ck_assert_int_eq(code, 0);
    ck_assert_uint_ne(asup_cx_region(scope).id, asup_cx_region(cx).id);
    for (int i = 0; i < 10; i++)
        spawned(scope, lives, NULL);
    ck_assert_int_eq(asup_cx_sleep(cx, 1000), 0);
    ck_assert_int_eq(live, 10);
    asup_cx_scope_close(scope, "enough");
    ck_assert_int_eq(ASUP_SPAWN(scope, lives, NULL), -ASUP_ECLOSED);
    ck_assert_int_eq(live, 10);
    ck_assert_int_eq(asup_cx_scope_join(scope, &out), -ASUP_ECANCELLED);
    ck_assert_int_eq(live, 0);
    ck_assert_int_eq(out.reason->key.kind, ASUP_CANCEL_USER);
    ck_assert_str_eq(out.reason->message, "enough");
    ck_assert_int_eq(asup_cx_scope_join(NULL, NULL), 0);
    return 0;
}

START_TEST(R_REG_4_a_join_returns_when_nothing_runs)
{
    /* What was cancelled counts in the region above, too (R-OUT-2). */
    ck_assert_int_eq(virtual_run(&v, closes_scope, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

static struct asup_cx *stale[2];

static int
leaves_scopes(struct asup_cx *cx, void *arg)
{
    static int one = 1;
    struct asup_cx *outer = asup_cx_scope_open(cx, NULL, NULL);
    struct asup_cx *inner = asup_cx_scope_open(outer, NULL, NULL);

    (void)arg;
    spawned(outer, lives, NULL);
    spawned(inner, lives, NULL);
    ck_assert_int_eq(asup_cx_sleep(cx, 10), 0);
    ck_assert_int_eq(live, 2);
    stale[0] = cx;
    stale[1] = inner;
    return one;
}

static int
sees_left(struct asup_cx *cx, void *arg)
{
    struct asup_outcome out = joined(cx, spawned(cx, leaves_scopes, NULL));

    (void)arg;
    /* Completed only when its scopes are Closed. */
    ck_assert_int_eq(live, 0);
    ck_assert_int_eq(out.exit_code, 1);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(ASUP_SPAWN(stale[i], lives, NULL), -ASUP_EEXPIRED);
        ck_assert_int_eq(asup_cx_sleep(stale[i], 1), -ASUP_EEXPIRED);
        ck_assert_uint_eq(asup_cx_now(stale[i]), 0);
        ck_assert_uint_eq(asup_cx_region(stale[i]).id, 0);
        asup_cx_scope_close(stale[i], NULL);
        ck_assert_ptr_null(asup_cx_scope_open(stale[i], NULL, NULL));
    }
    ck_assert_int_eq(asup_cx_scope_join(stale[1], NULL), -ASUP_EEXPIRED);
    return 0;
}

START_TEST(scopes_end_with_their_task)
{
    ck_assert_int_eq(virtual_run(&v, sees_left, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

static int
structured(struct asup_cx *cx, void *arg)
{
    static int seven = 7;
    int result = -1;

    (void)arg;
    ASUP_SCOPE(scope, cx, &result)
    {
        spawned(scope, returns, NULL);
        spawned(scope, returns, &seven);
    }
    ck_assert_int_eq(result, 7);
    ASUP_SCOPE(scope, cx, &result)
    {
        if (spawned(scope, returns, NULL).id != 0)
            break;
        ck_abort();
    }
    ck_assert_int_eq(result, 0);
    return 0;
}

START_TEST(a_scope_with_a_structured_look)
{
    ck_assert_int_eq(virtual_run(&v, structured, NULL, NULL), 7);
}
END_TEST

static int
uses_options(struct asup_cx *cx, void *arg)
{
    struct asup_scope_options options;
    struct asup_cx *scope;
    int code;

    (void)arg;
    asup_scope_options_init(&options);
    options.name = "one";
    options.policy = ASUP_POLICY_RACE;
    scope = asup_cx_scope_open(cx, &options, &code);
    ck_assert_ptr_nonnull(scope);
    ck_assert_ptr_null(asup_cx_scope_open(cx, &options, &code));
    ck_assert_int_eq(code, -ASUP_EEXISTS);
    spawned(scope, lives, NULL);
    spawned(scope, returns, NULL);
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), 0);
    ck_assert_int_eq(live, 0); /* losers are drained (R-COM-1) */
    options.name = "a/b";
    ck_assert_ptr_null(asup_cx_scope_open(cx, &options, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    return 0;
}

START_TEST(R_COM_1_a_race_returns_when_losers_are_drained)
{
    ck_assert_int_eq(virtual_run(&v, uses_options, NULL, NULL), 0);
}
END_TEST

static int
scope_of_another(struct asup_cx *cx, void *arg)
{
    (void)cx;
    return asup_cx_scope_join(arg, NULL);
}

static int
guards_scope(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);
    struct asup_outcome out = joined(cx, spawned(cx, scope_of_another, scope));

    (void)arg;
    ck_assert_int_eq(asup_outcome_result(&out), -ASUP_EDENIED);
    return asup_cx_scope_join(scope, NULL);
}

START_TEST(only_its_opener_joins_a_scope)
{
    ck_assert_int_eq(virtual_run(&v, guards_scope, NULL, NULL), -ASUP_EDENIED);
}
END_TEST

static int
uses_closed(struct asup_cx *cx, void *arg)
{
    struct asup_scope_options options;
    struct asup_outcome out;
    struct asup_cx *scope, *inner;
    int code = 0;

    (void)arg;
    asup_scope_options_init(&options);
    options.limits.timeout_ns = 100;
    scope = asup_cx_scope_open(cx, &options, NULL);
    inner = asup_cx_scope_open(scope, NULL, NULL);
    ck_assert_int_eq(asup_cx_sleep(cx, 200), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(ASUP_SPAWN(i == 0 ? scope : inner, returns, NULL), -ASUP_ECLOSED);
        ck_assert_int_eq(asup_cx_checkpoint(i == 0 ? scope : inner), -ASUP_ECLOSED);
        ck_assert_ptr_null(asup_cx_scope_open(i == 0 ? scope : inner, NULL, &code));
        ck_assert_int_eq(code, -ASUP_ECLOSED);
    }
    asup_cx_scope_close(inner, NULL);
    ck_assert_int_eq(asup_cx_scope_join(inner, NULL), 0);
    ck_assert_int_eq(asup_cx_scope_join(scope, &out), 0); /* nothing was cancelled by it */
    ck_assert_int_eq(asup_cx_checkpoint(NULL), -ASUP_EINVALID);
    ck_assert_uint_eq(asup_cx_task(NULL).id, 0);
    ck_assert_int_eq(asup_cx_checkpoint(
                         (struct asup_cx *)(void *)shell_object_new(v.shell, OBJECT_PERMIT, NULL)),
                     -ASUP_EINVALID);
    return 0;
}

START_TEST(R_CAP_1_a_cx_dies_with_its_region)
{
    ck_assert_int_eq(virtual_run(&v, uses_closed, NULL, NULL), 0);
}
END_TEST

/* ---- Chance, words, limits
 * ------------------------------------------------------------------------ */

static int
asks(struct asup_cx *cx, void *arg)
{
    (void)arg;
    ck_assert_uint_eq(asup_cx_random_u64(cx), 1);
    ck_assert_uint_eq(asup_cx_random_u64(cx), 2);
    asup_cx_trace(cx, "%s %d", "seen", 5);
    return 0;
}

START_TEST(effects_are_the_worlds)
{
    ck_assert_int_eq(virtual_run(&v, asks, NULL, NULL), 0);
    ck_assert_str_eq(v.trace, "seen 5\n");
}
END_TEST

static int
spawns_to_the_limit(struct asup_cx *cx, void *arg)
{
    int code = 0;
    int made = 0;

    (void)arg;
    while (code == 0) {
        code = ASUP_SPAWN(cx, sleeps, NULL);
        made += code == 0;
    }
    ck_assert_int_eq(code, -ASUP_EBUSY);
    ck_assert_int_eq(made, 9);
    return -ASUP_EBUSY;
}

START_TEST(R_SCH_4_beyond_the_limit_is_busy)
{
    struct kernel_outcome out;

    shell_kernel_config_init(&v.config, 10);
    /* Those that sleep for ever: the lab says so, and they are shut down. */
    ck_assert_int_eq(virtual_run(&v, spawns_to_the_limit, NULL, &out), -ASUP_ECANCELLED);
    ck_assert(v.stuck);
}
END_TEST

static bool
refuse(void *ctx, enum world_point point, uint64_t task)
{
    (void)task;
    return point == *(enum world_point *)((struct virtual *)ctx)->ctx;
}

static int
is_refused(struct asup_cx *cx, void *arg)
{
    int wanted = *(int *)arg;
    int code = 0;

    ck_assert_int_eq(ASUP_SPAWN(cx, returns, NULL), wanted);
    ck_assert_ptr_null(asup_cx_scope_open(cx, NULL, &code));
    ck_assert_int_eq(code, wanted);
    return 0;
}

START_TEST(the_world_may_refuse)
{
    enum world_point point = POINT_ALLOCATE;
    int wanted = -ASUP_ENOMEM;

    v.intervenes = refuse;
    v.ctx = &point;
    ck_assert_int_eq(virtual_run(&v, is_refused, &wanted, NULL), 0);
    point = POINT_ADMIT;
    wanted = -ASUP_EBUSY;
    ck_assert_int_eq(virtual_run(&v, is_refused, &wanted, NULL), 0);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_TSK_4_a_result_maps_to_an_outcome),
    RULE(R_TSK_7_joining_consumes_nothing),
    RULE(a_panic_ends_its_task_with_its_scopes),
    RULE(an_overflow_ends_the_task_alone),
    RULE(R_REG_4_a_join_returns_when_nothing_runs),
    RULE(scopes_end_with_their_task),
    RULE(a_scope_with_a_structured_look),
    RULE(R_COM_1_a_race_returns_when_losers_are_drained),
    RULE(only_its_opener_joins_a_scope),
    RULE(R_CAP_1_a_cx_dies_with_its_region),
    RULE(effects_are_the_worlds),
    RULE(R_SCH_4_beyond_the_limit_is_busy),
    RULE(the_world_may_refuse),
};

RULES_MAIN("cx shell", rules, begin, NULL)
