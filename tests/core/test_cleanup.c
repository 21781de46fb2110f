/* SPDX-License-Identifier: MIT */
/* Cleanup: the fresh allowance (R-CAN-2), how requests tighten it (R-CAN-1),
 * how nested cleanup composes (R-REG-6), finalizers (R-FIN-1), shutdown. */
#include "asupersync/values.h"
#include "scenario.h"

#include <string.h>

/* ---- R-CAN-2: cleanup is a fresh allowance ---------------------------------------- */

/* R-CAN-2: each root cause's own allowance, counted from the request. */
START_TEST(R_CAN_2_the_allowance_is_that_of_the_root_cause)
{
    given("session s1; s1 attached;"
          "region user; task a in user running;"
          "region timeout timeout 10s; task b in timeout running;"
          "region deadline deadline 10s; task c in deadline running;"
          "region polls polls 1; task d in polls running;"
          "region costs cost 5; task e in costs running;"
          "region fail policy fail-fast; task f in fail running; task g in fail running;"
          "region race policy race; task h in race running; task i in race running;"
          "region linked attach from s1; task j in linked running");
    when("at 10s");
    expect_line("timeout cancel timeout T 25s");
    expect_line("deadline cancel deadline T 25s");
    when("close user; d checkpoints; d checkpoints; e progresses 6; f exits 1; h exits 0; s1 bye");
    expect_line("user cancel user T 40s");
    expect_line("polls cancel poll-quota T 20s");
    expect_line("costs cancel cost-budget T 20s");
    expect_line("fail cancel fail-fast T 20s");
    expect_line("race cancel race-lost T 20s");
    expect_line("linked cancel linked-exit T 20s");
}
END_TEST

/* R-CAN-2: never what is left of the work budget: a region cancelled at its
 * limit still gets the whole allowance. */
START_TEST(R_CAN_2_cleanup_survives_a_spent_work_budget)
{
    given("region r1 timeout 1s; task t1 in r1 running");
    when("at 1s");
    expect("-- 1s\n"
           "r1 cancel timeout T 16s\n"
           "t1 cancel timeout T 16s\n"
           "signal t1 15");
    when("at 15s");
    expect("");
    when("t1 exits 0");
    expect_line("t1 completed cancelled timeout exit 0");
}
END_TEST

/* R-CAN-2: the cancelled region's drain option, else the root cause's default. */
START_TEST(R_CAN_2_the_regions_drain_option)
{
    given("region r1 drain 1m; task t1 in r1 running; region r2 drain 2s; task t2 in r2 running");
    when("close r1; close r2");
    expect_line("r1 cancel user T 1m");
    expect_line("r2 cancel user T 2s");
}
END_TEST

/* R-CAN-2: under Shutdown the smaller of both. */
START_TEST(R_CAN_2_under_shutdown_the_smaller)
{
    given("region r1 drain 1m; task t1 in r1 running; region r2 drain 2s; task t2 in r2 running");
    when("shutdown");
    expect_line("r1 cancel parent-cancelled<shutdown T 5s");
    expect_line("r2 cancel parent-cancelled<shutdown T 2s");
}
END_TEST

/* R-CAN-2: ParentCancelled has the allowance of its root cause. */
START_TEST(R_CAN_2_a_child_has_the_root_causes_allowance)
{
    given("region r1 timeout 1s; region r2 in r1; task t1 in r2 running");
    when("at 1s");
    expect_line("r2 cancel parent-cancelled<timeout T 16s");
    expect_line("t1 cancel parent-cancelled<timeout T 16s");
}
END_TEST

/* R-CAN-2: a descendant's smaller option brings its own end forward; a larger
 * one gains nothing. */
START_TEST(R_CAN_2_a_descendants_smaller_option)
{
    given("region r1; region r2 in r1 drain 5s; region r3 in r1 drain 1h;"
          "task t1 in r2 running; task t2 in r2 running drain 3s; task t3 in r3 running;"
          "task t4 in r1 running drain 1s; task t5 in r1 running drain 1h");
    when("close r1");
    expect_line("r1 cancel user T 30s");
    expect_line("r2 cancel parent-cancelled<user T 5s");
    expect_line("r3 cancel parent-cancelled<user T 30s");
    trace_forget();
    when("at 5s");
    expect("-- 1s\n"
           "kill t4\n"
           "-- 3s\n"
           "kill t2\n"
           "-- 5s\n"
           "kill t1");
    given("t4 killed; t2 killed; t1 killed; at 29s");
    when("at 30s");
    expect_line("kill t3");
    expect_line("kill t5");
}
END_TEST

/* R-CAN-2: a request may give a shorter drain, never a longer one. */
START_TEST(R_CAN_2_a_request_may_give_a_shorter_drain)
{
    given("region r1; task t1 in r1 running; region r2; task t2 in r2 running;"
          "region r3; task t3 in r3 running");
    when("close r1 drain 2s; close r2 drain 1h; cancel r3 drain 0");
    expect_line("r1 cancel user T 2s");
    expect_line("r2 cancel user T 30s");
    expect_line("kill t3");
}
END_TEST

/* R-CAN-2: the allowances come from the configuration. */
START_TEST(R_CAN_2_allowances_are_configurable)
{
    given_config()->allowance[0].drain_ns = 90 * ASUP_NS_PER_S;
    given("region r1; task t1 in r1 running");
    when("close r1");
    expect_line("r1 cancel user T 1m30s");
}
END_TEST

/* R-CAN-2: cleanup has a count of checkpoints too; who spends them all is
 * killed, however much time is left. */
START_TEST(R_CAN_2_cleanup_checkpoints_are_counted)
{
    given_config()->allowance[0].polls = 3;
    given("region r1; task t1 in r1 running notify; region r2 soft; task t2 in r2 running notify;"
          "close r1; close r2");
    when("t1 checkpoints; t1 checkpoints");
    expect_none("kill");
    when("t1 checkpoints; t1 checkpoints");
    expect_line("kill t1");
    when("t2 checkpoints; t2 checkpoints; t2 checkpoints; t2 checkpoints");
    expect_none("kill t2");
}
END_TEST

/* R-CAN-2: and a more severe cause leaves fewer of them. */
START_TEST(R_CAN_2_a_more_severe_cause_leaves_fewer_checkpoints)
{
    given_config()->allowance[5].polls = 1;
    given("region r1; task t1 in r1 running notify; close r1; t1 checkpoints; shutdown");
    when("t1 checkpoints; t1 checkpoints");
    expect_line("kill t1");
}
END_TEST

/* ---- R-CAN-1: repeated requests only tighten ---------------------------------------- */

/* R-CAN-1: T only comes forward (cancel-monotone). */
START_TEST(R_CAN_1_T_only_comes_forward)
{
    given("region r1; task t1 in r1 running; close r1");
    given("close r1 drain 10s at 5s");
    ck_assert_uint_eq(since_start(region_of("r1").drain_end), 15 * ASUP_NS_PER_S);
    ck_assert_uint_eq(since_start(task_of("t1").kill_at), 15 * ASUP_NS_PER_S);
    given("close r1 drain 25s at 6s; cancel r1 at 7s");
    ck_assert_uint_eq(since_start(region_of("r1").drain_end), 15 * ASUP_NS_PER_S);
    when("at 15s");
    expect("-- 15s\n"
           "kill t1");
}
END_TEST

/* R-CAN-1: the more severe reason stays; the earlier T stays. */
START_TEST(R_CAN_1_the_more_severe_reason_stays)
{
    given("region r1; task t1 in r1 running; close r1");
    when("shutdown at 1s");
    expect_line("r1 cancel parent-cancelled<shutdown T 6s");
    expect_line("t1 cancel parent-cancelled<shutdown T 6s");
    given("close r1 drain 20s at 2s");
    ck_assert_uint_eq(since_start(region_of("r1").drain_end), 6 * ASUP_NS_PER_S);
    when("t1 dies 15");
    expect_line("t1 completed cancelled parent-cancelled<shutdown signal 15");
}
END_TEST

/* R-CAN-1: of two as severe the earlier stays: a User close after a task's own
 * cancel does not replace its reason, but may bring its end forward. */
START_TEST(R_CAN_1_of_equals_the_earlier_stays)
{
    struct reason_view reason[4];

    given("region r1; task t1 in r1 running; cancel t1 message mine; close r1 drain 4s at 1s");
    ck_assert_uint_ge(kernel_reason(the_kernel(), task_of("t1").reason, reason, 4), 1);
    ck_assert_uint_eq(reason[0].message.size, 4);
    ck_assert_mem_eq(reason[0].message.data, "mine", 4);
    ck_assert_uint_eq(since_start(task_of("t1").kill_at), 5 * ASUP_NS_PER_S);
}
END_TEST

/* ---- R-REG-6: nested cleanup composes ------------------------------------------------- */

/* R-REG-6: every region r is closed by T + P(r), though nobody cooperates. */
START_TEST(R_REG_6_every_region_closes_by_T_plus_P)
{
    given("shell starts; shell kills;"
          "region r1 finalizer f1 timeout 4s finalizer f2 timeout 3s;"
          "region r2 in r1 finalizer f3 timeout 2s;"
          "region r3 in r2 finalizer f4 timeout 1s finalizer f5 timeout 5s;"
          "region r4 in r1 finalizer f6 timeout 10s;"
          "task t1 in r3; task t2 in r1; task t3 in r4");
    given("close r1");
    /* P(r3) = 6 s, P(r2) = 2 + 6, P(r4) = 10, P(r1) = 7 + 10 */
    ck_assert_uint_eq(since_start(region_of("r3").close_by), 36 * ASUP_NS_PER_S);
    ck_assert_uint_eq(since_start(region_of("r2").close_by), 38 * ASUP_NS_PER_S);
    ck_assert_uint_eq(since_start(region_of("r4").close_by), 40 * ASUP_NS_PER_S);
    ck_assert_uint_eq(since_start(region_of("r1").close_by), 47 * ASUP_NS_PER_S);
    given("at 36s");
    ck_assert_int_eq(region_of("r3").state, ASUP_REGION_CLOSED);
    given("at 38s");
    ck_assert_int_eq(region_of("r2").state, ASUP_REGION_CLOSED);
    given("at 40s");
    ck_assert_int_eq(region_of("r4").state, ASUP_REGION_CLOSED);
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_FINALIZING);
    given("at 47s");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_CLOSED);
    ck_assert_uint_eq(since_start(region_of("r1").closed_at), 47 * ASUP_NS_PER_S);
}
END_TEST

/* R-REG-6: a parent never gives up on a child earlier: the child's finalizer
 * runs on after T though the parent has nothing else left. */
START_TEST(R_REG_6_a_parent_waits_for_its_childs_finalizers)
{
    given("shell starts; region r1 drain 1s; region r2 in r1 finalizer f1; task t1 in r2;"
          "close r1; at 1s");
    when("t1 killed");
    expect_line("start f1");
    when("at 10s");
    expect_none("kill");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    when("f1 exits 0");
    expect_line("f1 completed ok");
    expect_line("r1 closed cancelled parent-cancelled<user signal 9 forced");
}
END_TEST

/* R-REG-6: what drains early gives its time back to nobody: finalizers start
 * at once, with their whole budget. */
START_TEST(R_REG_6_draining_never_shortens_finalizers)
{
    given("shell starts; shell kills; region r1 finalizer f1; task t1 in r1; close r1");
    when("at 40s");
    expect("-- 30s\n"
           "kill t1\n"
           "t1 completed cancelled user signal 9 forced\n"
           "r1 finalizing\n"
           "start f1\n"
           "f1 started\n"
           "-- 40s\n"
           "kill f1\n"
           "f1 completed panicked finalizer-timeout signal 9 forced\n"
           "r1 closed panicked finalizer-timeout signal 9 forced");
}
END_TEST

/* R-REG-6: shutdown --within: T = max(now, min(T, limit - P)). */
START_TEST(R_REG_6_within_brings_T_forward_by_P)
{
    given("region r1 finalizer f1 timeout 8s; task t1 in r1 running");
    when("shutdown within 11s");
    expect_none("/ overcommitted");
    expect_line("r1 cancel parent-cancelled<shutdown T 3s");
    ck_assert_uint_le(since_start(region_of("/").close_by), 11 * ASUP_NS_PER_S);
}
END_TEST

/* R-REG-6: an outer limit below P is reported at once, and T is now. */
START_TEST(R_REG_6_a_limit_below_P_is_overcommitted)
{
    given("region r1 finalizer f1 timeout 8s; task t1 in r1 running; at 1s");
    when("shutdown within 7s");
    expect_line("/ overcommitted");
    expect_line("kill t1");
}
END_TEST

/* R-REG-6: a limit that leaves time enough changes nothing. */
START_TEST(R_REG_6_a_generous_limit_changes_nothing)
{
    given("region r1 finalizer f1 timeout 8s; task t1 in r1 running");
    when("shutdown within 1h");
    expect_line("r1 cancel parent-cancelled<shutdown T 5s");
}
END_TEST

/* R-REG-6: a second Shutdown sets T = now and running and later finalizers to
 * at most one second. */
START_TEST(R_REG_6_a_second_shutdown_hurries)
{
    given("shell starts; shell kills;"
          "region r1 finalizer f1 finalizer f2; region r2 in r1; task t1 in r2; task t2 in r1");
    given("shutdown; at 2s");
    when("shutdown");
    expect_line("kill t1");
    expect_line("kill t2");
    expect_line("start f2");
    trace_forget();
    when("at 10s");
    expect_line("-- 3s");
    expect_line("kill f2");
    expect_line("start f1");
    expect_line("-- 4s");
    expect_line("kill f1");
    expect_line("quiescent");
    expect_none("-- 5s");
}
END_TEST

/* R-REG-6: a finalizer that runs already is shortened too. */
START_TEST(R_REG_6_a_second_shutdown_reaches_a_running_finalizer)
{
    given("shell starts; shell kills; region r1 finalizer f1; shutdown; at 4s");
    when("shutdown at 4s; at 10s");
    expect_line("-- 5s");
    expect_line("kill f1");
    expect_line("quiescent");
}
END_TEST

/* R-REG-6: also the finalizers of "/" itself, while they are all that is left. */
START_TEST(R_REG_6_shutdowns_reach_a_root_that_is_finalizing)
{
    given("shell starts; shell kills; defer f1 to / timeout 1h by 0;"
          "defer f2 to / by 0; finish / by 0");
    when("shutdown at 2s");
    expect_none("kill");
    when("shutdown at 4s; at 20s");
    expect_line("-- 5s");
    expect_line("kill f2");
    expect_line("-- 6s");
    expect_line("kill f1");
    expect_line("quiescent");
}
END_TEST

/* R-BUD-4: along nested work time adds: the critical path of a close. */
START_TEST(R_BUD_4_the_critical_path_of_a_close)
{
    uint64_t path[8];

    given("region r1 finalizer f1 timeout 1s;"
          "region r2 in r1 finalizer f2 timeout 20s;"
          "region r3 in r1 finalizer f3 timeout 2s; region r4 in r3 finalizer f4 timeout 30s;"
          "region r5 in r3");
    ck_assert_uint_eq(kernel_critical_path(the_kernel(), id_of("r1"), path, 8), 3);
    ck_assert_uint_eq(path[0], id_of("r1"));
    ck_assert_uint_eq(path[1], id_of("r3"));
    ck_assert_uint_eq(path[2], id_of("r4"));
}
END_TEST

/* ---- R-FIN-1: the stack --------------------------------------------------------------------- */

/* R-FIN-1: last in, first out, one at a time, each once. Invariant stack-LIFO-once. */
START_TEST(R_FIN_1_last_in_first_out)
{
    given("region r1 finalizer f1 finalizer f2; defer f3 to r1");
    when("close r1");
    expect("r1 cancel user T 30s\n"
           "r1 finalizing\n"
           "start f3");
    when("f3 starts; f3 exits 0");
    expect("f3 started\n"
           "f3 completed ok\n"
           "start f2");
    when("f2 starts; f2 exits 0");
    expect("f2 started\n"
           "f2 completed ok\n"
           "start f1");
    when("f1 starts; f1 exits 0");
    expect("f1 started\n"
           "f1 completed ok\n"
           "r1 closed ok");
}
END_TEST

/* R-FIN-1: one that fails stops nothing and counts. */
START_TEST(R_FIN_1_one_that_fails_stops_nothing_and_counts)
{
    given("shell starts; region r1 finalizer f1 finalizer f2 finalizer f3; close r1");
    when("f3 exits 0; f2 exits 9");
    expect_line("f2 completed err 9");
    expect_line("start f1");
    when("f1 exits 0");
    expect_line("r1 closed err 9");
}
END_TEST

/* R-FIN-1: one that cannot be started counts as Err, and the next runs. */
START_TEST(R_FIN_1_one_that_cannot_start_counts)
{
    given("region r1 finalizer f1 finalizer f2; close r1");
    when("f2 start-fails exec 2");
    expect("f2 completed err exec 2\n"
           "start f1");
    when("f1 starts; f1 exits 0");
    expect_line("r1 closed err exec 2");
}
END_TEST

/* R-FIN-1: whatever the outcome: they run after a crash too, and under
 * Shutdown. */
START_TEST(R_FIN_1_they_run_whatever_the_outcome)
{
    given("region r1 finalizer f1; task t1 in r1 running; region r2 finalizer f2");
    when("t1 dies 11; shutdown");
    expect_line("start f1");
    expect_line("start f2");
}
END_TEST

/* R-REG-8: a finalizer past its budget is killed and counts Panicked. */
START_TEST(R_FIN_1_one_past_its_budget_is_killed)
{
    given("shell starts; region r1 finalizer f1 finalizer f2 timeout 2s; close r1");
    when("at 2s");
    expect("-- 2s\n"
           "kill f2");
    when("f2 killed");
    expect("f2 completed panicked finalizer-timeout signal 9 forced\n"
           "start f1\n"
           "f1 started");
    when("f1 exits 0");
    expect("f1 completed ok\n"
           "r1 closed panicked finalizer-timeout signal 9 forced");
}
END_TEST

/* R-FIN-1: cleanup survives cancellation: a cancel during Finalizing reaches
 * no finalizer. */
START_TEST(R_FIN_1_a_cancel_reaches_no_finalizer)
{
    given("shell starts; region r1 finalizer f1; finish r1");
    when("close r1; cancel r1 drain 0; at 9s");
    expect_none("signal f1");
    expect_none("kill f1");
    expect_none("f1 cancel");
    when("f1 exits 0");
    expect_line("f1 completed ok");
}
END_TEST

/* R-FIN-1: finalizers are registered with the region or not at all. */
START_TEST(R_FIN_1_registered_with_the_region_or_not_at_all)
{
    given_config()->limits.finalizers_per_region = 2;
    given("region r1");
    when("region r2 in r1 finalizer f1 finalizer f2 finalizer f3");
    expect("refused busy finalizers-per-region");
    ck_assert_uint_eq(region_of("r1").children_live, 0);
}
END_TEST

/* ---- Shutdown -------------------------------------------------------------------------------- */

/* Shutdown closes "/" with everything in it, and says when nothing is left. */
START_TEST(shutdown_ends_in_quiescence)
{
    given("region r1; task t1 in r1 running; region r2 in r1; task t2 in r2 running");
    when("shutdown");
    expect("/ cancel shutdown T 5s\n"
           "r1 cancel parent-cancelled<shutdown T 5s\n"
           "t1 cancel parent-cancelled<shutdown T 5s\n"
           "r2 cancel parent-cancelled<parent-cancelled<shutdown T 5s\n"
           "t2 cancel parent-cancelled<parent-cancelled<shutdown T 5s\n"
           "signal t1 15\n"
           "signal t2 15");
    when("region r3");
    expect("refused region-closed");
    given("t1 dies 15");
    when("t2 exits 0");
    expect_line("/ finalizing");
    expect_line("quiescent");
    ck_assert_int_eq(region_of("/").state, ASUP_REGION_CLOSED);
    ck_assert_uint_eq(kernel_potential(the_kernel()), 0);
}
END_TEST

/* Only the daemon's owner may. */
START_TEST(shutdown_is_for_the_owner)
{
    struct input in;

    given("region r1");
    in = scenario_input(IN_SHUTDOWN);
    in.u.shutdown.within_ns = ASUP_NEVER;
    ck_assert_int_eq(scenario_step(&in), -ASUP_EDENIED);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_CAN_2_the_allowance_is_that_of_the_root_cause),
    RULE(R_CAN_2_cleanup_survives_a_spent_work_budget),
    RULE(R_CAN_2_the_regions_drain_option),
    RULE(R_CAN_2_under_shutdown_the_smaller),
    RULE(R_CAN_2_a_child_has_the_root_causes_allowance),
    RULE(R_CAN_2_a_descendants_smaller_option),
    RULE(R_CAN_2_a_request_may_give_a_shorter_drain),
    RULE(R_CAN_2_allowances_are_configurable),
    RULE(R_CAN_2_cleanup_checkpoints_are_counted),
    RULE(R_CAN_2_a_more_severe_cause_leaves_fewer_checkpoints),
    RULE(R_CAN_1_T_only_comes_forward),
    RULE(R_CAN_1_the_more_severe_reason_stays),
    RULE(R_CAN_1_of_equals_the_earlier_stays),
    RULE(R_REG_6_every_region_closes_by_T_plus_P),
    RULE(R_REG_6_a_parent_waits_for_its_childs_finalizers),
    RULE(R_REG_6_draining_never_shortens_finalizers),
    RULE(R_REG_6_within_brings_T_forward_by_P),
    RULE(R_REG_6_a_limit_below_P_is_overcommitted),
    RULE(R_REG_6_a_generous_limit_changes_nothing),
    RULE(R_REG_6_a_second_shutdown_hurries),
    RULE(R_REG_6_a_second_shutdown_reaches_a_running_finalizer),
    RULE(R_REG_6_shutdowns_reach_a_root_that_is_finalizing),
    RULE(R_BUD_4_the_critical_path_of_a_close),
    RULE(R_FIN_1_last_in_first_out),
    RULE(R_FIN_1_one_that_fails_stops_nothing_and_counts),
    RULE(R_FIN_1_one_that_cannot_start_counts),
    RULE(R_FIN_1_they_run_whatever_the_outcome),
    RULE(R_FIN_1_one_past_its_budget_is_killed),
    RULE(R_FIN_1_a_cancel_reaches_no_finalizer),
    RULE(R_FIN_1_registered_with_the_region_or_not_at_all),
    RULE(shutdown_ends_in_quiescence),
    RULE(shutdown_is_for_the_owner),
};

RULES_MAIN("cleanup", rules, scenario_begin, scenario_end)
