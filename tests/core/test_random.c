/* SPDX-License-Identifier: MIT */
/*
 * Random stories, each from a seed: whatever users, programs and time do, the
 * invariants hold after every step (the harness checks them), and after a
 * shutdown with a shell that kills what it is told to kill nothing is left.
 *
 *     SEED=17 ./test_core_random
 *     SEEDS=100000 CK_FORK=no ./test_core_random
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"
#include "scenario_internal.h"

static uint64_t random_state;

static uint32_t
dice(uint32_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 16) % sides);
}

/* A name of that sort, of something that may be over; NULL: none yet. */
static const char *
any(enum asup_sort sort)
{
    size_t start = dice((uint32_t)S.thing_count + 1);

    for (size_t i = 0; i < S.thing_count; i++) {
        const struct thing *t = &S.things[(start + i) % S.thing_count];

        if (t->sort == sort && (sort != ASUP_SORT_REGION || t->id != ASUP_ROOT_ID))
            return t->name;
    }
    return NULL;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void
say(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    given(text);
}

static void
open_something(int number)
{
    static const char *const policy[] = {"collect",  "fail-fast", "race",
                                         "first-ok", "last",      "quorum quorum 2"};
    const char *parent = any(ASUP_SORT_REGION);
    const char *session = any(ASUP_SORT_SESSION);
    const char *drain[] = {"", "drain 2s", "drain 1m", "soft"};
    char attach[64] = "";
    const char *limit[] = {"", "", "timeout 9s", "deadline 2m", "polls 5", "cost 9"};

    if (session != NULL && dice(3) == 0)
        (void)snprintf(attach, sizeof attach, "attach from %s", session);
    switch (dice(8)) {
    case 0:
        say("session s%d", number);
        return;
    case 1:
    case 2:
        say("region r%d in %s policy %s %s %s %s", number,
            parent != NULL && dice(3) > 0 ? parent : "/", policy[dice(6)], drain[dice(4)],
            limit[dice(6)], attach);
        return;
    case 3:
        if (parent != NULL)
            say("defer f%d to %s timeout %us", number, parent, 1 + dice(9));
        return;
    default:
        if (parent != NULL)
            say("task t%d in %s %s %s %s", number, parent, drain[dice(3)], limit[dice(6)],
                dice(4) == 0 ? "delay 3s" : (dice(4) == 0 ? "leftover-wait" : "notify mask 2"));
        return;
    }
}

static void
end_something(void)
{
    static const char *const how[] = {"close", "finish", "cancel", "cancel"};
    const char *drain[] = {"", "", "drain 0", "drain 3s"};
    const char *name = any(dice(2) == 0 ? ASUP_SORT_REGION : ASUP_SORT_TASK);
    const struct thing *t = name != NULL ? thing_get(name) : NULL;

    if (t != NULL)
        say("%s %s %s", t->sort == ASUP_SORT_TASK ? "cancel" : how[dice(4)], name, drain[dice(4)]);
}

static void
happen_to_a_task(void)
{
    static const char *const what[] = {"exits 0",
                                       "exits 3",
                                       "dies 15",
                                       "main-exits 0",
                                       "main-exits 1",
                                       "main-dies 11",
                                       "empty",
                                       "ready",
                                       "stopping",
                                       "extends 5s",
                                       "feeds",
                                       "used 40",
                                       "checkpoints",
                                       "progresses 3",
                                       "log-lost 9",
                                       "lost",
                                       "checkpoints masked",
                                       "progresses 3 masked"};
    const char *name = any(ASUP_SORT_TASK);
    struct thing *t = name != NULL ? thing_get(name) : NULL;

    if (t == NULL)
        return;
    if (!t->start_answered) {
        if (t->start_ordered)
            say(dice(5) == 0 ? "%s start-fails exec 2" : "%s starts", name);
        return;
    }
    say("%s %s", name, what[dice(18)]);
}

static void
happen_to_a_session(void)
{
    static const char *const what[] = {"lost", "attached", "keepalive", "bye", "resumes"};
    const char *name = any(ASUP_SORT_SESSION);

    if (name != NULL)
        say("%s %s", name, what[dice(5)]);
}

static void
wait_for_something(int number)
{
    static const char *const until[] = {"", "timeout 2s", "timeout 0", "started", "ready"};
    const char *name = any(dice(2) == 0 ? ASUP_SORT_REGION : ASUP_SORT_TASK);

    if (name != NULL)
        say("w%d waits for %s %s", number, name,
            until[dice(thing_get(name)->sort == ASUP_SORT_TASK ? 5 : 3)]);
}

static void
time_goes_on(void)
{
    time_pass_to(S.now + (uint64_t)dice(3000) * ASUP_NS_PER_MS);
}

static void
everything_starts_at_last(void)
{
    for (size_t i = 0; i < S.thing_count; i++) {
        if (S.things[i].start_ordered && !S.things[i].start_answered)
            say("%s starts", S.things[i].name);
    }
}

static uint64_t
story(uint64_t seed, int length)
{
    struct kernel_counts counts;

    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    given_config()->start_window = 1 + dice(5);
    given_config()->fairness = 1 + dice(4);
    given_config()->limits.retained = 20;
    given_config()->limits.requests_per_session = 8;
    given_config()->picks_per_step = 1 + dice(8);
    S.shell.starts = dice(2) == 0;
    S.shell.obeys = dice(2) == 0;
    S.shell.kills = true;
    for (int i = 0; i < length; i++) {
        switch (dice(10)) {
        case 0:
        case 1:
        case 2:
            open_something(i);
            break;
        case 3:
            end_something();
            break;
        case 4:
            wait_for_something(i);
            break;
        case 5:
            happen_to_a_session();
            break;
        case 6:
            time_goes_on();
            break;
        default:
            happen_to_a_task();
            break;
        }
        trace_forget();
    }
    S.shell.starts = true;
    everything_starts_at_last();
    say("shutdown");
    time_pass_to(S.now + 3600 * ASUP_NS_PER_S);
    say("shutdown");
    time_pass_to(S.now + 60 * ASUP_NS_PER_S);
    kernel_counts(S.kernel, &counts);
    ck_assert_uint_eq(counts.tasks, 0);
    ck_assert_uint_eq(kernel_potential(S.kernel), 0);
    ck_assert_int_eq(region_of("/").state, ASUP_REGION_CLOSED);
    return events_hash();
}

/* R-REG-4, section 9: whatever happens, every region ends quiescent. Which seed
 * failed is the number that Check shows behind the test's name. */
START_TEST(any_story_ends_in_quiescence)
{
    scenario_begin();
    (void)story((uint64_t)_i, 300);
    scenario_end();
}
END_TEST

/* R-EVT-2: whatever has no memory is refused as a whole, facts too, and works
 * when it is asked again: the story ends the same way. */
START_TEST(any_story_survives_scarce_memory)
{
    scenario_begin();
    scenario_memory_scarce((uint64_t)_i);
    (void)story((uint64_t)_i, 300);
    ck_assert_int_gt(scenario_memory_starved(), 0);
    scenario_end();
}
END_TEST

/* R-EVT-4: and the same seed is the same story, event for event. */
START_TEST(R_EVT_4_same_seed_same_events)
{
    uint64_t once;

    scenario_begin();
    once = story((uint64_t)_i, 200);
    scenario_end();
    scenario_begin();
    ck_assert_uint_eq(story((uint64_t)_i, 200), once);
    scenario_end();
}
END_TEST

/* SEED: that one alone. SEEDS: from 1 to so many. */
static int
seeds_from(const char *name, int preset)
{
    const char *text = getenv(name);

    return text != NULL ? (int)strtol(text, NULL, 10) : preset;
}

int
main(void)
{
    int first = seeds_from("SEED", 1);
    int last = getenv("SEED") != NULL ? first : seeds_from("SEEDS", 200);
    Suite *suite = suite_create("random");
    TCase *any = tcase_create("any_story_ends_in_quiescence");
    TCase *scarce = tcase_create("any_story_survives_scarce_memory");
    TCase *same = tcase_create("R_EVT_4_same_seed_same_events");
    SRunner *runner;
    int failed;

    tcase_set_timeout(any, 60);
    tcase_set_timeout(same, 60);
    tcase_add_loop_test(any, any_story_ends_in_quiescence, first, last + 1);
    tcase_add_loop_test(same, R_EVT_4_same_seed_same_events, first, first + 5);
    tcase_set_timeout(scarce, 60);
    tcase_add_loop_test(scarce, any_story_survives_scarce_memory, first, (last + first) / 2 + 1);
    suite_add_tcase(suite, any);
    suite_add_tcase(suite, scarce);
    suite_add_tcase(suite, same);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
