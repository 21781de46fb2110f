/* SPDX-License-Identifier: MIT */
/*
 * The oracles of the lab, two ways. This program is built twice:
 *
 *   with the kernel as it is     random walks and crowds of tasks, from many
 *                                seeds: no oracle complains, and each has judged
 *   with planted bugs            (core/planted.h) each mistake in turn: the oracle
 *                                of that name finds it, and fast
 *
 *     ORACLE_SEEDS=1000 CK_FORK=no ./test_lab_oracles
 *     CK_RUN_CASE=planted ORACLE_BUG=fairness ./test_lab_oracles_planted
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/planted.h"
#include "core/walk.h"
#include "lab/oracle.h"

#ifdef ASUP_PLANTED
enum planted planted_bug;
#endif

struct kernel *kernel;
uint64_t now, token;

static uint64_t seed_now;
static uint64_t state;
static uint64_t digest;
static struct oracles *oracles;

uint32_t
dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 20) % sides);
}

/* The shell of the walk is told nonsense: with a planted bug that may be. */
void
walk_fail(const char *what, const char *which)
{
#ifndef ASUP_PLANTED
    ck_abort_msg("%s %s: seed %llu", what, which, (unsigned long long)seed_now);
#else
    (void)what;
    (void)which;
#endif
}

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new > 0)
        return realloc(ptr, size_new);
    free(ptr);
    return NULL;
}

static const struct kernel_allocator allocator = {.resize = resize};

/* All that the events say, as bytes that do not depend on the machine (R-EVT-4). */
static void
digest_add(const struct event *ev)
{
    static struct durable_buffer bytes = {.allocator = {.resize = resize}};

    bytes.size = 0;
    ck_assert_int_eq(kernel_event_encode(ev, &bytes), 0);
    for (size_t i = 0; i < bytes.size; i++)
        digest = (digest ^ bytes.data[i]) * UINT64_C(0x100000001b3);
}

#ifdef ASUP_PLANTED

static const enum asup_oracle finds[] = {
#define PLANTED_FINDS(name, mistake) [PLANTED_##name] = ASUP_ORACLE_##name,
    PLANTED_LIST(PLANTED_FINDS)
#undef PLANTED_FINDS
};
_Static_assert(sizeof finds / sizeof finds[0] == ASUP_ORACLE_COUNT + 1,
               "a mistake for each oracle");

/* The process that a bug is tried in has shown what it was for: it ends before the bug breaks the
 * kernel. */
static void
found_then_end(void)
{
    const char *said = oracles_complaint(oracles, finds[planted_bug]);

    if (said == NULL)
        return;
    printf("%s: seed %llu: %s\n", asup_oracle_name(finds[planted_bug]),
           (unsigned long long)seed_now, said);
    fflush(stdout);
    _exit(1);
}

#else
static void
found_then_end(void)
{
}
#endif

int
take_step(struct input *in)
{
    struct step out;
    int rc;

    in->now = now;
    rc = kernel_step(kernel, in, &out);
    oracles_step(oracles, kernel, in, &out);
    found_then_end();
    for (size_t i = 0; i < out.event_count; i++)
        digest_add(&out.events[i]);
    for (size_t i = 0; i < out.effect_count; i++)
        effect_take(&out.effects[i]);
    return rc;
}

/* ---- A walk ---------------------------------------------------------------------------- */

static void
begin(uint64_t seed)
{
    struct kernel_config config;

    seed_now = seed;
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    now = 1000;
    token = 0;
    walk_ask_begin(seed);
    digest = UINT64_C(0xcbf29ce484222325);
    memset(processes, 0, sizeof processes);
    memset(sweeping, 0, sizeof sweeping);
    walk_config(&config);
    if (seed % 2 == 0)
        config.picks_per_step = 1;
    kernel = kernel_new(&config, &allocator, now);
    oracles = oracles_new(&config);
    ck_assert(kernel != NULL && oracles != NULL);
}

static void
walk(int steps)
{
    for (int i = 0; i < steps && kernel_id_last(kernel) < TASKS_MAX - 16; i++) {
        struct input in = {.kind = IN_TICK};

        switch (dice(8)) {
        case 0:
            now += dice(2) == 0 ? dice(50) * ASUP_NS_PER_MS : dice(4) * ASUP_NS_PER_S;
            break;
        case 1:
        case 2:
        case 3:
        case 4:
            in = walk_request(kernel, now, ++token);
            break;
        default:
            if (!any_fact(&in))
                continue;
            break;
        }
        (void)take_step(&in);
    }
}

/* Many tasks that run, many that wait, and then all that run are cancelled while one thing is
 * picked a step: the lanes are full. */
static void
crowd(void)
{
    static const char spec[] = "spec";
    uint64_t regions[2];

    for (unsigned i = 0; i < 2; i++) {
        struct input in = {.kind = IN_REGION_OPEN,
                           .region = ASUP_ROOT_ID,
                           .token = ++token,
                           .u.region_open = {.drain_ns = ASUP_NEVER}};

        in.u.region_open.budget =
            (struct budget_request){ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};
        ck_assert_int_eq(take_step(&in), 0);
        regions[i] = kernel_id_last(kernel);
    }
    for (unsigned n = 0; n < 80; n++) {
        struct input in = {.kind = IN_TASK_SUBMIT,
                           .region = regions[n / 40],
                           .token = ++token,
                           .u.submit = {.spec = {spec, sizeof spec},
                                        .drain_ns = ASUP_NEVER,
                                        .leftover_ns = ASUP_NEVER,
                                        .cancel_signal = 15}};

        in.u.submit.budget = (struct budget_request){ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX,
                                                     (uint8_t)dice(200)};
        if (dice(2) == 0)
            in.u.submit.budget.timeout_ns = (1 + dice(100)) * ASUP_NS_PER_S;
        now += dice(3) * 30 * ASUP_NS_PER_MS;
        (void)take_step(&in);
        if (n != 39)
            continue;
        /* The first half runs, then it is cancelled, and its signals wait. */
        for (uint64_t id = 1; id <= kernel_id_last(kernel); id++) {
            struct input tick = {.kind = IN_TICK};
            struct input started = {.kind = IN_TASK_STARTED, .task = id};

            (void)take_step(&tick);
            if (!processes[id].ordered)
                continue;
            processes[id].started = true;
            (void)take_step(&started);
        }
        in = (struct input){.kind = IN_REGION_END, .region = regions[0], .token = ++token};
        in.u.end.drain_ns = ASUP_NEVER;
        (void)take_step(&in);
    }
    for (unsigned n = 0; n < 100; n++) {
        struct input in = {.kind = IN_TICK};

        (void)take_step(&in);
    }
}

/* An honest shell carries everything to its end. */
static void
finish(void)
{
    walk_settle(120, ASUP_NS_PER_S);
    oracles_end(oracles, kernel, true);
    found_then_end();
}

/* Every eighth seed is a crowd. What it made is left in `oracles` and `digest`. */
static void
run(uint64_t seed)
{
    begin(seed);
    if (seed % 8 == 0)
        crowd();
    else
        walk(500);
    finish();
    kernel_free(kernel);
}

static uint64_t
seeds(uint64_t preset)
{
    const char *said = getenv("ORACLE_SEEDS");

    return said == NULL ? preset : strtoull(said, NULL, 10);
}

#ifndef ASUP_PLANTED

/* §9: with the kernel as it is every oracle is content, and has seen something to judge. R-EVT-4:
 * the same seed gives the same events. */
START_TEST(R_EVT_4_oracles_are_content_with_the_kernel)
{
    uint64_t judged[ASUP_ORACLE_COUNT] = {0};

    for (uint64_t seed = 1; seed <= seeds(120); seed++) {
        uint64_t first;
        enum asup_oracle which = ASUP_ORACLE_COUNT;
        const char *said;

        run(seed);
        first = digest;
        oracles_free(oracles);
        run(seed);
        oracles_compare(oracles, first, digest);
        said = oracles_first(oracles, &which);
        ck_assert_msg(said == NULL, "seed %llu: %s: %s", (unsigned long long)seed,
                      asup_oracle_name(which), said);
        for (unsigned i = 0; i < ASUP_ORACLE_COUNT; i++)
            judged[i] += oracles_judged(oracles, (enum asup_oracle)i);
        oracles_free(oracles);
    }
    for (unsigned i = 0; i < ASUP_ORACLE_COUNT; i++)
        ck_assert_msg(judged[i] > 0, "%s judged nothing", asup_oracle_name((enum asup_oracle)i));
}
END_TEST

/* What somebody else says is kept beside what they say, the first of each. */
START_TEST(complaints_of_others)
{
    enum asup_oracle which;

    begin(1);
    ck_assert_ptr_null(oracles_first(oracles, &which));
    oracles_complain(oracles, ASUP_ORACLE_FUTURELOCK, "t%d stands still", 7);
    oracles_complain(oracles, ASUP_ORACLE_FUTURELOCK, "t%d, too", 8);
    oracles_compare(oracles, 1, 2);
    ck_assert_str_eq(oracles_first(oracles, &which), "t7 stands still");
    ck_assert_int_eq(which, ASUP_ORACLE_FUTURELOCK);
    ck_assert_str_eq(oracles_complaint(oracles, ASUP_ORACLE_FUTURELOCK), "t7 stands still");
    ck_assert_ptr_nonnull(strstr(oracles_complaint(oracles, ASUP_ORACLE_DETERMINISM), "R-EVT-4"));
    ck_assert_ptr_null(oracles_complaint(oracles, ASUP_ORACLE_FAIRNESS));
    ck_assert_int_eq(oracles_judged(oracles, ASUP_ORACLE_DETERMINISM), 1);
    oracles_free(oracles);
    kernel_free(kernel);
}
END_TEST

/* An oracle that comes to a kernel in the middle learns what is there, and goes on. */
START_TEST(learned_in_the_middle)
{
    for (uint64_t seed = 1; seed <= 24; seed++) {
        const char *said;

        begin(seed);
        walk(250);
        oracles_free(oracles);
        oracles = oracles_new(kernel_configuration(kernel));
        walk(250);
        finish();
        said = oracles_first(oracles, NULL);
        ck_assert_msg(said == NULL, "seed %llu: %s", (unsigned long long)seed, said);
        oracles_free(oracles);
        kernel_free(kernel);
    }
}
END_TEST

#else

static const char *const mistakes[] = {
#define PLANTED_TEXT(name, mistake) [PLANTED_##name] = mistake,
    PLANTED_LIST(PLANTED_TEXT)
#undef PLANTED_TEXT
};

/* In a process of its own: a bug may break the kernel before it breaks a promise. */
static bool
found(uint64_t seed, enum planted bug)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        uint64_t first;

        planted_bug = bug;
        run(seed);
        if (bug == PLANTED_DETERMINISM) {
            first = digest;
            oracles_free(oracles);
            run(seed);
            oracles_compare(oracles, first, digest);
            found_then_end();
        }
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

START_TEST(planted)
{
    enum planted bug = (enum planted)_i;
    const char *only = getenv("ORACLE_BUG");
    uint64_t seed = 1;

    if (only != NULL && strcmp(only, asup_oracle_name(finds[bug])) != 0)
        return;
    while (seed <= seeds(3000) && !found(seed, bug))
        seed++;
    ck_assert_msg(seed <= seeds(3000), "%s did not find that %s", asup_oracle_name(finds[bug]),
                  mistakes[bug]);
}
END_TEST

#endif

int
main(void)
{
    Suite *suite = suite_create("oracles");
    TCase *tcase = tcase_create("oracles");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
#ifndef ASUP_PLANTED
    tcase_add_test(tcase, R_EVT_4_oracles_are_content_with_the_kernel);
    tcase_add_test(tcase, complaints_of_others);
    tcase_add_test(tcase, learned_in_the_middle);
#else
    tcase_add_loop_test(tcase, planted, PLANTED_NONE + 1, ASUP_ORACLE_COUNT + 1);
#endif
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
