/* SPDX-License-Identifier: MIT */
/* Budgets: inherited, spent by everyone below, and what running out does
 * (R-BUD-2 to R-BUD-4). */
#include "asupersync/values.h"
#include "scenario.h"

#include <string.h>

/* R-BUD-2: a child's effective budget is its own met with its parent's. */
START_TEST(R_BUD_2_effective_is_own_met_with_the_parents)
{
    struct asup_budget e;

    given("region r1 timeout 1h polls 10 priority 50; region r2 in r1 deadline 30m cost 7;"
          "task t1 in r2 running polls 99 priority 40; task t2 in r2 running timeout 1m");
    e = task_of("t1").effective;
    ck_assert_uint_eq(since_start(e.limit_at), 1800 * ASUP_NS_PER_S);
    ck_assert_uint_eq(e.limit_kind, ASUP_CANCEL_DEADLINE);
    ck_assert_uint_eq(e.poll_quota, 10);
    ck_assert_uint_eq(e.cost_quota, 7);
    ck_assert_uint_eq(e.priority, 50);
    e = task_of("t2").effective;
    ck_assert_uint_eq(since_start(e.limit_at), 60 * ASUP_NS_PER_S);
    ck_assert_uint_eq(e.limit_kind, ASUP_CANCEL_TIMEOUT);
}
END_TEST

/* R-BUD-2: what is spent is charged to every ancestor. */
START_TEST(R_BUD_2_spending_is_charged_to_every_ancestor)
{
    given("region r1; region r2 in r1; task t1 in r2 running; task t2 in r1 running");
    given("t1 checkpoints; t1 checkpoints; t2 checkpoints; t1 progresses 5; t2 progresses 2");
    ck_assert_uint_eq(task_of("t1").polls_spent, 2);
    ck_assert_uint_eq(region_of("r2").polls_spent, 2);
    ck_assert_uint_eq(region_of("r1").polls_spent, 3);
    ck_assert_uint_eq(task_of("t1").cost_spent, 5);
    ck_assert_uint_eq(region_of("r2").cost_spent, 5);
    ck_assert_uint_eq(region_of("r1").cost_spent, 7);
}
END_TEST

/* R-BUD-3: running out of polls cancels with PollQuota, the node that set it. */
START_TEST(R_BUD_3_running_out_of_polls)
{
    given("region r1; task t1 in r1 running polls 3");
    when("t1 checkpoints; t1 checkpoints");
    expect_none("t1 cancel");
    when("t1 checkpoints; t1 checkpoints");
    expect_line("t1 cancel poll-quota T 10s");
    expect_none("r1");
}
END_TEST

/* R-BUD-3: a region's quota is spent by all its tasks together. */
START_TEST(R_BUD_3_a_regions_polls_are_spent_together)
{
    given("region r1 polls 3; region r2 in r1; task t1 in r1 running; task t2 in r2 running");
    when("t1 checkpoints; t2 checkpoints");
    expect_none("r1");
    when("t1 checkpoints; t2 checkpoints");
    expect_line("r1 cancel poll-quota T 10s");
    expect_line("t1 cancel poll-quota T 10s");
    expect_line("t2 cancel parent-cancelled<poll-quota T 10s");
}
END_TEST

/* R-BUD-3: progress reports spend cost. */
START_TEST(R_BUD_3_running_out_of_cost)
{
    given("region r1 cost 10; task t1 in r1 running; task t2 in r1 running");
    when("t1 progresses 6; t2 progresses 3");
    expect_none("r1");
    when("t2 progresses 6");
    expect_line("r1 cancel cost-budget T 10s");
}
END_TEST

/* R-BUD-3: CPU milliseconds spend it for a process that was given a cost
 * quota, sampled every 100 ms; without a quota nobody samples. */
START_TEST(R_BUD_3_cpu_time_is_sampled_and_spent)
{
    given("region r1; task t1 in r1 running cost 500; task t2 in r1 running");
    when("at 100ms");
    expect("-- 100ms\n"
           "sample t1");
    when("t1 used 90; at 200ms");
    expect("-- 200ms\n"
           "sample t1");
    ck_assert_uint_eq(task_of("t1").cost_spent, 90);
    when("t1 used 600");
    expect_line("t1 cancel cost-budget T 10.2s");
    expect_line("signal t1 15");
}
END_TEST

/* R-BUD-3: a passed limit cancels with Timeout or Deadline, at the node that
 * set it. */
START_TEST(R_BUD_3_a_limit_fires_at_the_node_that_set_it)
{
    given("region r1 timeout 10s; region r2 in r1 deadline 5s; task t1 in r2 running;"
          "task t2 in r1 running timeout 3s");
    when("at 3s");
    expect("-- 3s\n"
           "t2 cancel timeout T 18s\n"
           "signal t2 15");
    when("at 5s");
    expect("-- 5s\n"
           "r2 cancel deadline T 20s\n"
           "t1 cancel deadline T 20s\n"
           "signal t1 15");
    when("at 10s");
    expect_line("r1 cancel timeout T 25s");
}
END_TEST

/* R-BUD-3: at equal instants the ancestor first. */
START_TEST(R_BUD_3_at_equal_instants_the_ancestor_first)
{
    struct reason_view reason[4];

    given("region r1; region r2 in r1 timeout 5s; region r3 in r2 timeout 5s;"
          "task t1 in r3 running timeout 5s");
    when("at 5s");
    ck_assert_int_eq(strncmp(trace_text(),
                             "-- 5s\n"
                             "r2 cancel timeout T 20s\n",
                             29),
                     0);
    ck_assert_uint_eq(kernel_reason(the_kernel(), task_of("t1").reason, reason, 4), 2);
    ck_assert_uint_eq(reason[1].key.origin, id_of("r2"));
    ck_assert_uint_eq(reason[1].key.kind, ASUP_CANCEL_TIMEOUT);
}
END_TEST

/* R-BUD-3: a relative limit counts from admission, for a delayed task from its
 * time. */
START_TEST(R_BUD_3_a_relative_limit_of_a_delayed_task)
{
    given("region r1; task t1 in r1 delay 10s timeout 5s");
    when("t1 starts at 11s");
    expect("-- 10s\n"
           "start t1\n"
           "-- 11s\n"
           "t1 started");
    when("at 20s");
    expect("-- 15s\n"
           "t1 cancel timeout T 30s\n"
           "signal t1 15");
}
END_TEST

/* R-BUD-3: a limit passed before the start ends the task without one. */
START_TEST(R_BUD_3_a_limit_passed_before_the_start)
{
    given_config()->start_window = 1;
    given_config()->start_patience_ns = ASUP_NEVER;
    given("region r1; task t1 in r1; task t2 in r1 timeout 2s");
    when("at 5s");
    expect_line("t2 completed cancelled timeout");
    when("t1 starts");
    expect_none("start t2");
}
END_TEST

/* R-BUD-3: limits hold while a region finishes. */
START_TEST(R_BUD_3_limits_hold_while_finishing)
{
    given("region r1 timeout 5s; task t1 in r1 running; finish r1");
    when("at 5s");
    expect_line("r1 cancel timeout T 20s");
    expect_line("signal t1 15");
}
END_TEST

/* R-BUD-4: the kernel reports every task's slack: effective limit less now. */
START_TEST(R_BUD_4_slack)
{
    given("region r1 timeout 10s; task t1 in r1 running; task t2 in r1 running timeout 4s;"
          "region r2; task t3 in r2 running; at 3s; t3 checkpoints");
    ck_assert_uint_eq(task_of("t1").slack_ns, 7 * ASUP_NS_PER_S);
    ck_assert_uint_eq(task_of("t2").slack_ns, ASUP_NS_PER_S);
    ck_assert_uint_eq(task_of("t3").slack_ns, ASUP_NEVER);
}
END_TEST

/* deadline-monotone: going down the tree, work budgets only get tighter. */
START_TEST(deadlines_only_get_tighter_going_down)
{
    given("region r1 timeout 10s polls 5 cost 5; region r2 in r1 timeout 1h polls 50 cost 50;"
          "task t1 in r2 running timeout 2h polls 500 cost 500");
    ck_assert_uint_eq(since_start(task_of("t1").effective.limit_at), 10 * ASUP_NS_PER_S);
    ck_assert_uint_eq(task_of("t1").effective.poll_quota, 5);
    ck_assert_uint_eq(task_of("t1").effective.cost_quota, 5);
}
END_TEST

/* R-BUD-3: a sample whose answer got lost is asked for again. */
START_TEST(R_BUD_3_a_lost_sample_is_asked_for_again)
{
    given("region r1 cost 1000; task t1 in r1 running");
    when("at 100ms");
    expect("-- 100ms\n"
           "sample t1");
    when("at 2s");
    expect("");
    when("at 2100ms");
    expect("-- 2.1s\n"
           "sample t1");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_BUD_2_effective_is_own_met_with_the_parents),
    RULE(R_BUD_2_spending_is_charged_to_every_ancestor),
    RULE(R_BUD_3_running_out_of_polls),
    RULE(R_BUD_3_a_regions_polls_are_spent_together),
    RULE(R_BUD_3_running_out_of_cost),
    RULE(R_BUD_3_cpu_time_is_sampled_and_spent),
    RULE(R_BUD_3_a_limit_fires_at_the_node_that_set_it),
    RULE(R_BUD_3_at_equal_instants_the_ancestor_first),
    RULE(R_BUD_3_a_relative_limit_of_a_delayed_task),
    RULE(R_BUD_3_a_limit_passed_before_the_start),
    RULE(R_BUD_3_limits_hold_while_finishing),
    RULE(R_BUD_3_a_lost_sample_is_asked_for_again),
    RULE(R_BUD_4_slack),
    RULE(deadlines_only_get_tighter_going_down),
};

RULES_MAIN("budget", rules, scenario_begin, scenario_end)
