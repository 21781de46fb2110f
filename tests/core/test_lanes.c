/* SPDX-License-Identifier: MIT */
/* Scheduling: three lanes, fairness, admission limits (R-SCH). A start window
 * of one makes the order of the lanes visible: each start waits for the answer
 * to the one before. */
#include "asupersync/values.h"
#include "scenario.h"

#include <stdio.h>
#include <string.h>

/* ---- R-SCH-1, §7: the lanes ----------------------------------------------------------- */

static void
start_window_of_one(void)
{
    given_config()->start_window = 1;
    given_config()->start_patience_ns = ASUP_NEVER;
    given("region r1; task first in r1");
}

/* R-SCH-1: whatever is runnable is in one lane: it starts exactly once.
 * Invariant lane-unique. */
START_TEST(R_SCH_1_every_entry_once)
{
    char statement[64];

    start_window_of_one();
    for (int i = 0; i < 50; i++) {
        (void)snprintf(statement, sizeof statement, "task t%d in r1 priority %d %s", i,
                       1 + i * 7 % 250, i % 3 == 0 ? "timeout 1h" : "");
        given(statement);
    }
    when("shell starts; first starts");
    /* the harness fails on a second start of the same task */
    for (int i = 0; i < 50; i++) {
        (void)snprintf(statement, sizeof statement, "t%d", i);
        ck_assert(task_of(statement).start_ordered);
    }
}
END_TEST

/* §7 ready: by priority, then first in, first out. An unset priority runs as 128. */
START_TEST(R_SCH_1_ready_by_priority_then_fifo)
{
    start_window_of_one();
    given("task low in r1 priority 10; task unset in r1; task high in r1 priority 200;"
          "task same in r1 priority 128; task high2 in r1 priority 200; shell starts");
    when("first starts");
    expect("first started\n"
           "start high\n"
           "high started\n"
           "start high2\n"
           "high2 started\n"
           "start unset\n"
           "unset started\n"
           "start same\n"
           "same started\n"
           "start low\n"
           "low started");
}
END_TEST

/* §7 timed: earliest deadline first, ties by id; timed before ready. */
START_TEST(R_SCH_1_timed_by_deadline_before_ready)
{
    start_window_of_one();
    given("task ready in r1 priority 250; task late in r1 deadline 3h; task soon in r1 deadline 1h;"
          "task tie in r1 deadline 1h; shell starts");
    when("first starts");
    expect("first started\n"
           "start soon\n"
           "soon started\n"
           "start tie\n"
           "tie started\n"
           "start late\n"
           "late started\n"
           "start ready\n"
           "ready started");
}
END_TEST

/* §7 cancel: deliveries and finalizers before work. */
START_TEST(R_SCH_1_cleanup_before_work)
{
    start_window_of_one();
    given("region r2 finalizer f1; task urgent in r1 deadline 1m; finish r2; shell starts");
    when("first starts");
    expect("first started\n"
           "start f1\n"
           "f1 started\n"
           "start urgent\n"
           "urgent started");
}
END_TEST

/* §7: waiting slowly raises priority. */
START_TEST(R_SCH_1_waiting_raises_priority)
{
    start_window_of_one();
    given("task old in r1 priority 10; task young in r1 priority 100 at 20s; shell starts");
    when("first starts");
    expect("first started\n"
           "start old\n"
           "old started\n"
           "start young\n"
           "young started");
}
END_TEST

/* The start window: so many starts ordered and not yet answered, at most. */
START_TEST(R_SCH_1_the_start_window)
{
    given_config()->start_window = 2;
    given("region r1");
    when("task t1 in r1; task t2 in r1; task t3 in r1");
    expect_none("start t3");
    when("t2 start-fails exec 2");
    expect_line("start t3");
}
END_TEST

/* ---- R-SCH-2: fairness ----------------------------------------------------------------- */

/* R-SCH-2: after L picks from the cancel lane a waiting ready entry is picked.
 * Invariant fairness-bound. */
START_TEST(R_SCH_2_cancel_deliveries_do_not_starve_work)
{
    char statement[64];
    struct input close = scenario_input(IN_REGION_END);
    struct input submit = scenario_input(IN_TASK_SUBMIT);
    const char *start;
    int signals = 0;

    given_config()->fairness = 4;
    given_config()->picks_per_step = 1;
    given("region r1; region r2");
    for (int i = 0; i < 40; i++) {
        (void)snprintf(statement, sizeof statement, "task t%d in r1 running", i);
        given(statement);
    }
    close.region = id_of("r1");
    close.u.end.drain_ns = ASUP_NEVER;
    submit.region = id_of("r2");
    submit.u.submit = (struct task_params){
        .label = {.data = "x", .size = 1},
        .spec = {.data = "x", .size = 1},
        .budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0},
        .run_uid = 1000,
        .drain_ns = ASUP_NEVER,
        .leftover_ns = ASUP_NEVER,
        .cancel_signal = 15,
    };
    ck_assert_int_eq(scenario_step_only(&close), 0);
    ck_assert_int_eq(scenario_step_only(&submit), 0);
    when("at 1ms");
    start = strstr(trace_text(), "start ?t");
    ck_assert_ptr_nonnull(start);
    for (const char *at = strstr(trace_text(), "signal t"); at != NULL && at < start;
         at = strstr(at + 1, "signal t"))
        signals++;
    /* up to L before it was submitted, and L after */
    ck_assert_int_le(signals, 8);
    for (const char *at = start; (at = strstr(at + 1, "signal t")) != NULL;)
        signals++;
    ck_assert_int_eq(signals, 40);
}
END_TEST

/* R-SCH-2: after L timed picks, one ready. */
START_TEST(R_SCH_2_deadlines_do_not_starve_ready_work)
{
    char statement[64];
    const char *ready;
    int before = 0;

    given_config()->fairness = 4;
    start_window_of_one();
    given("task ready in r1");
    for (int i = 0; i < 20; i++) {
        (void)snprintf(statement, sizeof statement, "task t%d in r1 deadline %dh", i, i + 1);
        given(statement);
    }
    given("shell starts");
    when("first starts");
    ready = strstr(trace_text(), "start ready");
    ck_assert_ptr_nonnull(ready);
    for (const char *at = strstr(trace_text(), "start t"); at != NULL && at < ready;
         at = strstr(at + 1, "start t"))
        before++;
    ck_assert_int_le(before, 4);
    ck_assert_int_ge(before, 1);
}
END_TEST

/* ---- R-SCH-3: the potential --------------------------------------------------------------- */

/* R-SCH-3: V is 0 exactly when only "/" remains; every cleanup step lowers it.
 * (The harness checks in every scenario that nothing but admission raises it.)
 * Invariant potential-falls. */
START_TEST(R_SCH_3_the_potential_falls_to_zero)
{
    uint64_t v[8];

    v[0] = kernel_potential(the_kernel());
    ck_assert_uint_eq(v[0], 0);
    given("region r1 finalizer f1; task t1 in r1 running");
    v[0] = kernel_potential(the_kernel());
    ck_assert_uint_gt(v[0], 0);
    given("close r1");
    v[1] = kernel_potential(the_kernel());
    given("t1 main-dies 15");
    v[2] = kernel_potential(the_kernel());
    given("t1 empty");
    v[3] = kernel_potential(the_kernel());
    given("f1 starts");
    v[4] = kernel_potential(the_kernel());
    given("f1 exits 0");
    v[5] = kernel_potential(the_kernel());
    for (int i = 0; i < 5; i++)
        ck_assert_uint_gt(v[i], v[i + 1]);
    ck_assert_uint_eq(v[5], 0);
}
END_TEST

/* R-SCH-3: what the governor makes of it. */
START_TEST(R_SCH_3_the_governors_advice)
{
    struct kernel *k = the_kernel();

    given("session s; region r1; task t1 in r1 running; region r2; task t2 in r2 running");
    ck_assert_int_eq(kernel_advice(k), ADVICE_NONE);
    when("close r1; close r2");
    ck_assert_int_eq(kernel_advice(k), ADVICE_DRAIN_REGIONS);
    when("t2 dies 15");
    ck_assert_int_eq(kernel_advice(k), ADVICE_NONE);
}
END_TEST

/* R-SCH-3: what is held outnumbers what runs: its holders are waited for. */
START_TEST(R_SCH_3_it_advises_to_drain_obligations)
{
    given("session s; region r1; region r2; s reserves a in r1; s reserves b in r2;"
          "close r1 drain 1h; close r2 drain 1h");
    ck_assert_int_eq(kernel_advice(the_kernel()), ADVICE_DRAIN_OBLIGATIONS);
    ck_assert_str_eq(kernel_advice_name(ADVICE_DRAIN_OBLIGATIONS), "drain-obligations");
}
END_TEST

/* R-SCH-3: what waits to start has hardly time left. */
START_TEST(R_SCH_3_it_advises_to_meet_deadlines)
{
    given_config()->start_window = 1;
    given("region r1; task t0 in r1; task t1 in r1 timeout 1s; close r1");
    ck_assert_int_eq(kernel_advice(the_kernel()), ADVICE_NONE);
    given("region r2; task t2 in r2 timeout 500ms");
    ck_assert_int_eq(kernel_advice(the_kernel()), ADVICE_NONE);
    when("session s at 450ms");
    ck_assert_int_eq(kernel_advice(the_kernel()), ADVICE_MEET_DEADLINES);
}
END_TEST

/* ---- R-SCH-4: limits, each refused with its name before anything changes ----------------------
 */

START_TEST(R_SCH_4_tasks)
{
    given_config()->limits.tasks_per_region = 3;
    given_config()->limits.tasks_per_user = 4;
    given_config()->limits.tasks_per_daemon = 5;
    given("region r1; region r2; region r3 by 2000; task t1 in r1; task t2 in r1; task t3 in r1");
    when("task x in r1");
    expect("refused busy tasks-per-region");
    when("task t4 in r2; task x in r2");
    expect_line("t4 created");
    expect_line("refused busy tasks-per-user");
    given("task t5 in r3 by 2000");
    when("task x in r3 by 2000");
    expect("refused busy tasks-per-daemon");
    given("t1 starts; t1 exits 0");
    when("task t6 in r1");
    expect_line("t6 created");
}
END_TEST

START_TEST(R_SCH_4_a_regions_own_limits)
{
    given("region r1 tasks 1 children 1; task t1 in r1; region r2 in r1");
    when("task x in r1");
    expect("refused busy tasks-per-region");
    when("region x in r1");
    expect("refused busy children-per-region");
}
END_TEST

/* R-SCH-4: "/" belongs to all users, so that its children are not limited as
 * a region's, only as those of each user and of the daemon. */
START_TEST(R_SCH_4_one_user_does_not_fill_the_root)
{
    given_config()->limits.children_per_region = 2;
    given_config()->limits.regions_per_user = 2;
    given("region r1; region r2");
    when("region x");
    expect("refused busy regions-per-user");
    given("region r3 by 2000; region r4 by 2000");
}
END_TEST

START_TEST(R_SCH_4_regions)
{
    given_config()->limits.children_per_region = 3;
    given_config()->limits.regions_per_user = 4;
    given_config()->limits.regions_per_daemon = 6; /* "/" is one of them */
    given("region r1; region r2 in r1; region r3 in r1; region r4 in r1");
    when("region x in r1");
    expect("refused busy children-per-region");
    when("region x in r2");
    expect("refused busy regions-per-user");
    given("region r5 by 2000");
    when("region x by 2000 in r5");
    expect("refused busy regions-per-daemon");
}
END_TEST

START_TEST(R_SCH_4_depth)
{
    given_config()->limits.depth = 3;
    given("region r1; region r2 in r1; region r3 in r2");
    when("region r4 in r3");
    expect("refused busy region-depth");
}
END_TEST

START_TEST(R_SCH_4_sessions)
{
    given_config()->limits.sessions_per_user = 2;
    given_config()->limits.sessions_per_daemon = 3;
    given("session s1; session s2");
    when("session s3");
    expect("refused busy sessions-per-user");
    given("session s3 by 2000");
    when("session s4 by 3000");
    expect("refused busy sessions-per-daemon");
}
END_TEST

START_TEST(R_SCH_4_waits)
{
    given_config()->limits.waits_per_user = 2;
    given_config()->limits.waits_per_daemon = 3;
    given("region r1; task t1 in r1; region r2 by 2000");
    given("a waits for t1; b waits for t1");
    when("c waits for t1");
    expect("c refused busy waits-per-user");
    given("d waits for r2 by 2000");
    when("e waits for r2 by 2000");
    expect("e refused busy waits-per-daemon");
    given("a leaves");
    when("f waits for t1");
    expect("");
}
END_TEST

START_TEST(R_SCH_4_queued_bytes)
{
    given_config()->limits.bytes_per_user = 40;
    given_config()->limits.bytes_per_daemon = 60;
    given_config()->start_window = 1;
    given("region r1; region r2 by 2000");
    /* each task holds its label and its spec until its start is answered */
    given("task t1 in r1; task t2 in r1; task t3 in r1; task t4 in r1");
    when("task t5 in r1; task t6 in r1; task t7 in r1");
    expect_line("refused busy queued-bytes-per-user");
    given("task u1 in r2 by 2000; task u2 in r2 by 2000");
    when("task u3 in r2 by 2000; task u4 in r2 by 2000; task u5 in r2 by 2000");
    expect_line("refused busy queued-bytes-per-daemon");
}
END_TEST

START_TEST(R_SCH_4_finalizers)
{
    given_config()->limits.finalizers_per_region = 2;
    given("region r1 finalizer f1; defer f2 to r1");
    when("defer f3 to r1");
    expect("refused busy finalizers-per-region");
}
END_TEST

/* A new configuration holds for what comes after it. */
START_TEST(R_SCH_4_a_new_configuration)
{
    struct kernel_config config;
    struct input in;

    given("region r1; task t1 in r1; task t2 in r1");
    config = *kernel_configuration(the_kernel());
    config.limits.tasks_per_region = 2;
    in = scenario_input(IN_CONFIG);
    in.token = 0;
    in.u.config = &config;
    ck_assert_int_eq(scenario_step(&in), 0);
    when("task t3 in r1");
    expect_line("refused busy tasks-per-region");
}
END_TEST

/* R-SCH-2: starts that get no answer, as from a file system that hangs, keep
 * no one else from starting: after a second they leave the window. */
START_TEST(R_SCH_2_starts_that_hang_hold_up_nobody)
{
    given_config()->start_window = 2;
    given("region r1; task hung1 in r1; task hung2 in r1; task hung3 in r1;"
          "region r2 finalizer f2; task t1 in r2; task t2 in r2");
    when("at 900ms");
    expect("");
    when("at 1s");
    expect("-- 1s\n"
           "start hung3\n"
           "start t1");
    when("t1 starts");
    expect("t1 started\n"
           "start t2");
    when("t1 exits 0; t2 start-fails exec 2; finish r2");
    expect_line("start f2");
    /* The late answers are taken, and counted once. */
    when("hung1 starts; hung2 start-fails exec 2; hung3 starts at 3s; f2 starts");
    ck_assert(task_of("hung1").started && task_of("hung2").has_outcome);
    trace_forget();
    when("task t3 in r1; task t4 in r1; task t5 in r1");
    expect("t3 created\n"
           "start t3\n"
           "t4 created\n"
           "start t4\n"
           "t5 created");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_SCH_1_every_entry_once),
    RULE(R_SCH_1_ready_by_priority_then_fifo),
    RULE(R_SCH_1_timed_by_deadline_before_ready),
    RULE(R_SCH_1_cleanup_before_work),
    RULE(R_SCH_1_waiting_raises_priority),
    RULE(R_SCH_1_the_start_window),
    RULE(R_SCH_2_cancel_deliveries_do_not_starve_work),
    RULE(R_SCH_2_deadlines_do_not_starve_ready_work),
    RULE(R_SCH_2_starts_that_hang_hold_up_nobody),
    RULE(R_SCH_3_the_potential_falls_to_zero),
    RULE(R_SCH_3_the_governors_advice),
    RULE(R_SCH_3_it_advises_to_drain_obligations),
    RULE(R_SCH_3_it_advises_to_meet_deadlines),
    RULE(R_SCH_4_tasks),
    RULE(R_SCH_4_a_regions_own_limits),
    RULE(R_SCH_4_one_user_does_not_fill_the_root),
    RULE(R_SCH_4_regions),
    RULE(R_SCH_4_depth),
    RULE(R_SCH_4_sessions),
    RULE(R_SCH_4_waits),
    RULE(R_SCH_4_queued_bytes),
    RULE(R_SCH_4_finalizers),
    RULE(R_SCH_4_a_new_configuration),
};

RULES_MAIN("lanes", rules, scenario_begin, scenario_end)
