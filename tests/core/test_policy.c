/* SPDX-License-Identifier: MIT */
/* Policies are the combinators: which outcomes count, who decides, and what
 * becomes of the others (R-POL, R-COM-1). */
#include "scenario.h"

/* ---- collect ------------------------------------------------------------------------- */

/* R-POL-1 collect: all count; nothing is cancelled. */
START_TEST(R_POL_1_collect_counts_all)
{
    given("region r1; task t1 in r1 running; task t2 in r1 running; task t3 in r1 running");
    when("t1 exits 2");
    expect("t1 completed err 2");
    given("finish r1; t2 exits 0");
    when("t3 exits 3");
    expect_line("r1 closed err 2");
}
END_TEST

/* R-POL-2: participants are the region's own tasks and child regions; a
 * grandchild is none. */
START_TEST(R_POL_2_participants_are_own_tasks_and_children)
{
    given("region r1 policy race; region r2 in r1; region r3 in r2; task t1 in r3 running;"
          "task t2 in r2 running; task t3 in r1 running");
    when("t1 exits 0; finish r3");
    expect_none("r1");
    when("t2 exits 0; finish r2");
    expect_line("r2 closed ok");
    expect_line("r1 decided");
    expect_line("r1 cancel race-lost T 10s");
    expect_line("signal t3 15");
    when("t3 dies 15");
    expect_line("r1 closed ok");
}
END_TEST

/* ---- fail-fast ---------------------------------------------------------------------------- */

/* R-POL-1 fail-fast: the first Err cancels the rest with FailFast; theirs do
 * not count. */
START_TEST(R_POL_1_fail_fast_cancels_the_rest)
{
    given("region r1 policy fail-fast; task t1 in r1 running; task t2 in r1 running;"
          "region r2 in r1; task t3 in r2 running");
    when("t2 exits 5");
    expect("t2 completed err 5\n"
           "r1 decided\n"
           "r1 cancel fail-fast T 10s\n"
           "t1 cancel fail-fast T 10s\n"
           "r2 cancel parent-cancelled<fail-fast T 10s\n"
           "t3 cancel parent-cancelled<fail-fast T 10s\n"
           "signal t1 15\n"
           "signal t3 15");
    given("t1 dies 15");
    when("t3 dies 15");
    expect_line("r1 closed err 5");
}
END_TEST

/* R-POL-1 fail-fast: an Ok decides nothing. */
START_TEST(R_POL_1_fail_fast_waits_for_a_failure)
{
    given("region r1 policy fail-fast; task t1 in r1 running; task t2 in r1 running");
    when("t1 exits 0");
    expect("t1 completed ok");
    given("finish r1");
    when("t2 exits 0");
    expect_line("r1 closed ok");
}
END_TEST

/* R-POL-1 fail-fast: Panicked, and Cancelled rooted in a limit, decide too;
 * Cancelled rooted in User does not. */
START_TEST(R_POL_1_fail_fast_by_panic_and_by_limit_but_not_by_user)
{
    given("region r1 policy fail-fast; task t1 in r1 running; task t2 in r1 running;"
          "region r2 policy fail-fast; task t3 in r2 running timeout 1s; task t4 in r2 running;"
          "region r3 policy fail-fast; task t5 in r3 running; task t6 in r3 running");
    when("t1 dies 11");
    expect_line("r1 cancel fail-fast T 10s");
    given("at 1s");
    when("t3 dies 15");
    expect_line("t3 completed cancelled timeout signal 15");
    expect_line("r2 cancel fail-fast T 11s");
    given("cancel t5");
    when("t5 dies 15");
    expect_line("t5 completed cancelled user signal 15");
    expect_none("r3");
}
END_TEST

/* R-POL-1: a Cancelled rooted in the region's own policy does not count,
 * unless it was strengthened from outside. */
START_TEST(R_POL_1_strengthened_from_outside_counts)
{
    given("region r0; region r1 in r0 policy fail-fast; task t1 in r1 running;"
          "task t2 in r1 running; t1 exits 5");
    when("close r0");
    expect_line("t2 cancel parent-cancelled<user T 10s");
    when("t2 dies 15");
    expect_line("r1 closed cancelled parent-cancelled<user signal 15");
}
END_TEST

/* R-POL-1 fail-fast: nor does a child region that its user closed. */
START_TEST(R_POL_1_a_closed_child_fails_nobody)
{
    given("region r1 policy fail-fast; region r2 in r1; task t1 in r2 running;"
          "task t2 in r1 running; close r2");
    when("t1 dies 15");
    expect_line("r2 closed cancelled user signal 15");
    expect_none("r1");
    given("finish r1");
    when("t2 exits 0");
    expect_line("r1 closed cancelled user signal 15");
}
END_TEST

/* ---- race ---------------------------------------------------------------------------------- */

/* R-POL-1 race: the first end, of any kind, counts. R-COM-1: the race returns
 * only when no loser runs. Invariant losers-drained. */
START_TEST(R_COM_1_a_race_returns_when_no_loser_runs)
{
    given("region r1 policy race; task t1 in r1 running; task t2 in r1 running;"
          "task t3 in r1 running");
    when("t2 exits 0");
    expect("t2 completed ok\n"
           "r1 decided\n"
           "r1 cancel race-lost T 10s\n"
           "t1 cancel race-lost T 10s\n"
           "t3 cancel race-lost T 10s\n"
           "signal t1 15\n"
           "signal t3 15");
    when("t1 dies 15");
    expect("t1 completed cancelled race-lost signal 15");
    when("at 10s");
    expect("-- 10s\n"
           "kill t3");
    when("t3 killed");
    expect("t3 completed cancelled race-lost signal 9 forced\n"
           "r1 finalizing\n"
           "r1 closed ok");
}
END_TEST

/* R-POL-1 race: a failure wins too. */
START_TEST(R_POL_1_the_first_end_of_any_kind_wins_a_race)
{
    given("region r1 policy race; task t1 in r1 running; task t2 in r1 running");
    given("t1 exits 4");
    when("t2 exits 0");
    expect_line("r1 closed err 4");
}
END_TEST

/* R-POL-2: the reason is a root cause: the decider is named in it, not chained. */
START_TEST(R_POL_2_the_decider_is_named_not_chained)
{
    struct reason_view reason[4];

    given("region r1 policy race; task t1 in r1 running; task t2 in r1 running; t1 exits 0");
    ck_assert_uint_eq(kernel_reason(the_kernel(), task_of("t2").reason, reason, 4), 1);
    ck_assert_uint_eq(reason[0].key.kind, ASUP_CANCEL_RACE_LOST);
    ck_assert(reason[0].key.origin == id_of("t1") || reason[0].key.origin == id_of("r1"));
    ck_assert(region_of("r1").decided);
}
END_TEST

/* R-POL-1: after the decision only Panicked still counts. */
START_TEST(R_POL_1_after_the_decision_only_panicked_counts)
{
    given("region r1 policy race; task t1 in r1 running; task t2 in r1 running;"
          "task t3 in r1 running; t1 exits 0; t2 exits 9");
    when("t3 dies 11");
    expect_line("r1 closed panicked signal 11");
    given("region r2 policy race; task t4 in r2 running; task t5 in r2 running; t4 exits 0");
    when("t5 exits 9");
    expect_line("r2 closed ok");
}
END_TEST

/* Hedge: a race with a delayed task. Created until its time, it ends
 * uncounted once the race is decided. */
START_TEST(hedge_is_a_race_with_a_delayed_task)
{
    given("region r1 policy race; task t1 in r1 running; task t2 in r1 delay 5s");
    ck_assert_int_eq(task_of("t2").state, ASUP_TASK_CREATED);
    when("t1 exits 0 at 1s");
    expect("-- 1s\n"
           "t1 completed ok\n"
           "r1 decided\n"
           "r1 cancel race-lost T 11s\n"
           "t2 cancel race-lost T 11s\n"
           "t2 completed cancelled race-lost\n"
           "r1 finalizing\n"
           "r1 closed ok");
}
END_TEST

/* Hedge: when the first is slow the second starts and may win. */
START_TEST(hedge_starts_the_second_when_the_first_is_slow)
{
    given("region r1 policy race; task t1 in r1 running; task t2 in r1 delay 5s");
    when("at 5s");
    expect("-- 5s\n"
           "start t2");
    given("t2 starts; t2 exits 0");
    when("t1 dies 15");
    expect_line("r1 closed ok");
}
END_TEST

/* Hedge: a delayed task that is cancelled before its time never took part: it
 * decides nothing and counts for nothing. */
START_TEST(hedge_a_cancelled_delayed_task_never_took_part)
{
    given("region a policy race; task t1 in a running; task t2 in a delay 5s;"
          "region b policy first-ok; task t3 in b running; task t4 in b delay 5s;"
          "region c policy quorum quorum 1; task t5 in c running; task t6 in c delay 5s;"
          "region d; task t7 in d running; task t8 in d delay 5s");
    when("cancel t2; cancel t4; cancel t6; cancel t8");
    expect_none("a");
    expect_none("b");
    expect_none("c");
    when("finish a; finish b; finish c; finish d; t1 exits 3; t3 exits 3; t5 exits 0; t7 exits 0");
    expect_line("a closed err 3");
    expect_line("b closed err 3");
    expect_line("c closed ok");
    /* under collect it was a member like any other */
    expect_line("d closed cancelled user");
}
END_TEST

/* ---- first-ok ----------------------------------------------------------------------------------
 */

/* R-POL-1 first-ok: the first Ok counts; failures before it do not. */
START_TEST(R_POL_1_the_first_ok_counts)
{
    given("region r1 policy first-ok; task t1 in r1 running; task t2 in r1 running;"
          "task t3 in r1 running");
    when("t1 exits 1");
    expect("t1 completed err 1");
    when("t3 exits 0");
    expect_line("r1 decided");
    expect_line("r1 cancel race-lost T 10s");
    expect_line("t2 cancel race-lost T 10s");
    when("t2 dies 15");
    expect_line("r1 closed ok");
}
END_TEST

/* R-POL-1 first-ok: with none, all count. */
START_TEST(R_POL_1_with_no_ok_all_count)
{
    given("region r1 policy first-ok; task t1 in r1 running; task t2 in r1 running; finish r1;"
          "t1 exits 1");
    when("t2 exits 2");
    expect_line("r1 closed err 1");
}
END_TEST

/* ---- quorum
 * -------------------------------------------------------------------------------------- */

/* R-POL-1 quorum: the k-th Ok decides, and its k Oks count. */
START_TEST(R_POL_1_the_kth_ok_decides)
{
    given("region r1 policy quorum quorum 2; task t1 in r1 running; task t2 in r1 running;"
          "task t3 in r1 running; task t4 in r1 running");
    when("t1 exits 1; t2 exits 0");
    expect("t1 completed err 1\n"
           "t2 completed ok");
    when("t4 exits 0");
    expect_line("r1 decided");
    expect_line("t3 cancel race-lost T 10s");
    when("t3 exits 1");
    expect_line("r1 closed ok");
}
END_TEST

/* R-POL-2: impossibility is judged once admission is sealed, and cancels the
 * rest with FailFast. */
START_TEST(R_POL_2_an_impossible_quorum_is_judged_when_sealed)
{
    given("region r1 policy quorum quorum 2; task t1 in r1 running; task t2 in r1 running;"
          "task t3 in r1 running");
    when("t1 exits 1; t2 exits 2");
    expect("t1 completed err 1\n"
           "t2 completed err 2");
    when("finish r1");
    expect_line("r1 cancel fail-fast T 10s");
    expect_line("t3 cancel fail-fast T 10s");
    when("t3 dies 15");
    expect_line("r1 closed err 1");
}
END_TEST

/* R-POL-2: and after the seal when it becomes impossible. */
START_TEST(R_POL_2_a_quorum_becomes_impossible_after_the_seal)
{
    given("region r1 policy quorum quorum 2; task t1 in r1 running; task t2 in r1 running;"
          "task t3 in r1 running; finish r1");
    when("t1 exits 1");
    expect("t1 completed err 1");
    when("t2 exits 2");
    expect_line("r1 cancel fail-fast T 10s");
    expect_line("signal t3 15");
}
END_TEST

/* R-POL-1 quorum: when impossible, Err(no-quorum). */
START_TEST(R_POL_1_a_missed_quorum_is_an_err)
{
    given("region r1 policy quorum quorum 2; task t1 in r1 running; t1 exits 0");
    when("finish r1");
    expect_line("r1 closed err no-quorum");
}
END_TEST

/* R-POL-1: quorum k is at least 1 and belongs to the policy quorum alone. */
START_TEST(R_POL_1_quorum_needs_its_k)
{
    when("region r1 policy quorum");
    expect("refused invalid");
    when("region r1 policy collect quorum 2");
    expect("refused invalid");
}
END_TEST

/* ---- last
 * ----------------------------------------------------------------------------------------- */

/* R-POL-1 last: the last admitted participant counts, whenever it ends. */
START_TEST(R_POL_1_the_last_admitted_counts)
{
    given("region r1 policy last; task t1 in r1 running; task t2 in r1 running; finish r1;"
          "t2 exits 0");
    when("t1 exits 6");
    expect_line("r1 closed ok");
    given("region r2 policy last; task t3 in r2 running; t3 exits 0; task t4 in r2 running;"
          "finish r2");
    when("t4 exits 2");
    expect_line("r2 closed err 2");
}
END_TEST

/* ---- Empty regions, and ends from outside
 * ------------------------------------------------------------ */

/* R-POL-1: an empty collect or fail-fast is Ok; others Err(no-winner). */
START_TEST(R_POL_1_empty_regions)
{
    when("region a; finish a");
    expect_line("a closed ok");
    when("region b policy fail-fast; finish b");
    expect_line("b closed ok");
    when("region c policy race; finish c");
    expect_line("c closed err no-winner");
    when("region d policy first-ok; finish d");
    expect_line("d closed err no-winner");
    when("region e policy quorum quorum 1; finish e");
    expect_line("e closed err no-winner");
    when("region f policy last; finish f");
    expect_line("f closed err no-winner");
}
END_TEST

/* R-POL-2: a policy cancels while its region is finishing too. */
START_TEST(R_POL_2_a_policy_decides_while_finishing)
{
    given("region r1 policy race; task t1 in r1 running; task t2 in r1 running; finish r1");
    when("t1 exits 0");
    expect_line("r1 cancel race-lost T 10s");
    expect_line("signal t2 15");
}
END_TEST

/* R-POL-2: after a close it says what counts and cancels nothing. */
START_TEST(R_POL_2_after_a_close_a_policy_cancels_nothing)
{
    given("region r1 policy race; task t1 in r1 running; task t2 in r1 running; close r1");
    when("t1 dies 15");
    expect_none("r1 cancel");
    expect_none("t2 cancel");
    expect_none("signal");
    when("t2 dies 15");
    expect_line("r1 closed cancelled user signal 15");
}
END_TEST

/* R-POL-1: finalizers count whatever the policy decided. */
START_TEST(R_POL_1_finalizers_always_count)
{
    given("shell starts; region r1 policy first-ok finalizer f1; task t1 in r1; t1 exits 0");
    when("f1 exits 8");
    expect_line("r1 closed err 8");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_POL_1_collect_counts_all),
    RULE(R_POL_2_participants_are_own_tasks_and_children),
    RULE(R_POL_1_fail_fast_cancels_the_rest),
    RULE(R_POL_1_fail_fast_waits_for_a_failure),
    RULE(R_POL_1_fail_fast_by_panic_and_by_limit_but_not_by_user),
    RULE(R_POL_1_a_closed_child_fails_nobody),
    RULE(R_POL_1_strengthened_from_outside_counts),
    RULE(R_COM_1_a_race_returns_when_no_loser_runs),
    RULE(R_POL_1_the_first_end_of_any_kind_wins_a_race),
    RULE(R_POL_2_the_decider_is_named_not_chained),
    RULE(R_POL_1_after_the_decision_only_panicked_counts),
    RULE(hedge_is_a_race_with_a_delayed_task),
    RULE(hedge_starts_the_second_when_the_first_is_slow),
    RULE(hedge_a_cancelled_delayed_task_never_took_part),
    RULE(R_POL_1_the_first_ok_counts),
    RULE(R_POL_1_with_no_ok_all_count),
    RULE(R_POL_1_the_kth_ok_decides),
    RULE(R_POL_2_an_impossible_quorum_is_judged_when_sealed),
    RULE(R_POL_2_a_quorum_becomes_impossible_after_the_seal),
    RULE(R_POL_1_a_missed_quorum_is_an_err),
    RULE(R_POL_1_quorum_needs_its_k),
    RULE(R_POL_1_the_last_admitted_counts),
    RULE(R_POL_1_empty_regions),
    RULE(R_POL_2_a_policy_decides_while_finishing),
    RULE(R_POL_2_after_a_close_a_policy_cancels_nothing),
    RULE(R_POL_1_finalizers_always_count),
};

RULES_MAIN("policy", rules, scenario_begin, scenario_end)
