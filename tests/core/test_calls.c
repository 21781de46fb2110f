/* SPDX-License-Identifier: MIT */
/* Calls: named computations that workers do (§3), their ends and their retries. */
#include "scenario.h"

#include <string.h>

static struct call_view
call_named(const char *name)
{
    struct call_view view;

    memset(&view, 0, sizeof view);
    ck_assert(kernel_call(the_kernel(), id_of(name), &view));
    return view;
}

/* R-TSK-1: a call waits for a worker that offers its name, is begun and completed. */
START_TEST(R_TSK_1_a_call_is_done_by_a_worker)
{
    given("session w1; region r1; task t1 in r1 does resize");
    when("w1 offers resize; w1 asks");
    expect("w1 offers\n"
           "t1 begun by w1\n"
           "w1 gets t1");
    ck_assert_uint_eq(call_named("t1").attempt, 1);
    ck_assert_uint_eq(call_named("t1").worker, id_of("w1"));
    ck_assert_uint_eq(call_named("t1").input.size, 4);
    when("w1 completes t1 ok code 0 result done");
    expect("t1 completed ok");
    ck_assert_uint_eq(call_named("t1").result.size, 4);
    ck_assert_int_eq(memcmp(call_named("t1").result.data, "done", 4), 0);
    when("close r1");
    expect_line("r1 closed ok");
}
END_TEST

/* R-TSK-1: a worker that waits gets what is submitted later. */
START_TEST(R_TSK_1_a_waiting_worker_is_served)
{
    given("session w1; session w2; region r1; w1 offers resize; w1 asks; w2 offers resize; "
          "w2 asks");
    when("task t1 in r1 does resize; task t2 in r1 does other; task t3 in r1 does resize");
    expect("t1 created\n"
           "t1 begun by w1\n"
           "w1 gets t1\n"
           "t2 created\n"
           "t3 created\n"
           "t3 begun by w2\n"
           "w2 gets t3");
}
END_TEST

/* R-TSK-7: who waits for its start is told when it begins. */
START_TEST(R_TSK_7_the_start_of_a_call_is_waited_for)
{
    given(
        "session w1; region r1; w1 offers f prefetch 1; task t1 in r1 does f; task t2 in r1 does f;"
        "a waits for t1 started; b waits for t2 started; c waits for t2");
    when("w1 asks 2; w1 completes t1 ok; w1 begins t2; w1 completes t2 ok");
    expect("t1 begun by w1\n"
           "t2 taken by w1\n"
           "a told\n"
           "w1 gets t1 t2\n"
           "t1 completed ok\n"
           "t2 begun by w1\n"
           "b told\n"
           "t2 completed ok\n"
           "c told");
}
END_TEST

/* R-TSK-4: how a call ends is what its worker says. */
START_TEST(R_TSK_4_outcomes_of_calls)
{
    given("session w1; region r1; w1 offers f concurrency 9; task a in r1 does f; "
          "task b in r1 does f; task c in r1 does f; w1 asks 9");
    when(
        "w1 completes a err code 3 message bad; w1 completes b panicked; w1 completes c cancelled");
    expect("a completed err 3\n"
           "b completed panicked\n"
           "refused invalid");
    ck_assert_int_eq(memcmp(call_named("a").message.data, "bad", 3), 0);
    when("w1 completes a ok");
    ck_assert_str_eq(scenario_detail(), "the call has ended already: this changes nothing");
    when("w1 completes c nonsense; w1 completes c ok code 0");
    expect("advised\n"
           "refused invalid\n"
           "c completed ok");
}
END_TEST

/* R-TSK-5: an attempt that fails is followed by another, after a pause that doubles. */
START_TEST(R_TSK_5_retry_with_backoff)
{
    given("session w1; region r1; w1 offers f; task t1 in r1 does f retry 4 backoff 1s most 3s;"
          "w1 asks");
    when("w1 completes t1 err code 7");
    expect("t1 again at 1s after err 7");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CREATED);
    when("w1 asks; at 1s");
    expect("-- 1s\n"
           "t1 begun by w1\n"
           "w1 gets t1");
    when("w1 completes t1 panicked; w1 asks; at 3s; w1 completes t1 err");
    expect("t1 again at 3s after panicked\n"
           "-- 3s\n"
           "t1 begun by w1\n"
           "w1 gets t1\n"
           "t1 again at 6s after err");
    when("w1 asks; at 6s; w1 completes t1 err code 9");
    expect("-- 6s\n"
           "t1 begun by w1\n"
           "w1 gets t1\n"
           "t1 completed err 9");
    ck_assert_uint_eq(call_named("t1").attempt, 4);
}
END_TEST

/* R-TSK-5: the attempt that a worker speaks of is the one that runs, or it is refused. */
START_TEST(R_TSK_5_completions_of_earlier_attempts_are_refused)
{
    given("session w1; session w2; region r1; w1 offers f; w2 offers f;"
          "task t1 in r1 does f retry 3; w1 asks; w1 completes t1 err; w2 asks");
    when(
        "w1 completes t1 ok attempt 1; w2 completes t1 ok attempt 1; w2 completes t1 ok attempt 2");
    expect("refused expired\n"
           "refused expired\n"
           "t1 completed ok");
}
END_TEST

/* R-TSK-5 (a poison cap that counts deaths): workers that die on a call use its attempts up. */
START_TEST(R_TSK_5_lost_attempts_count)
{
    given("session w1; session w2; session w3; region r1; w1 offers f; w2 offers f; w3 offers f;"
          "task t1 in r1 does f retry 2; w1 asks");
    when("w2 asks; w1 bye");
    expect("worker w1 lost\n"
           "t1 again at 0 after panicked lost\n"
           "w1 ended\n"
           "t1 begun by w2\n"
           "w2 gets t1");
    when("w2 bye");
    expect("worker w2 lost\n"
           "t1 completed panicked lost\n"
           "w2 ended");
    ck_assert_uint_eq(call_named("t1").attempt, 2);
}
END_TEST

/* R-TSK-5: without a retry rule a lost call is Panicked(lost). */
START_TEST(R_TSK_5_a_lost_call_is_panicked)
{
    given("session w1 ttl 10s; region r1; w1 offers f; task t1 in r1 does f; w1 asks");
    when("w1 lost; at 10s");
    expect("w1 lost\n"
           "-- 10s\n"
           "worker w1 lost\n"
           "t1 completed panicked lost\n"
           "w1 ended");
}
END_TEST

/* R-TSK-2: what has not begun is cancelled at once. */
START_TEST(R_TSK_2_queued_and_taken_calls_are_cancelled_at_once)
{
    given(
        "session w1; region r1; w1 offers f prefetch 1; task t1 in r1 does f; task t2 in r1 does f;"
        "task t3 in r1 does f; w1 asks 9");
    when("cancel t2; cancel t3");
    expect("t2 cancel user T 30s\n"
           "t2 completed cancelled user\n"
           "t3 cancel user T 30s\n"
           "t3 completed cancelled user");
    when("w1 begins t2");
    expect("t2 may not begin expired");
}
END_TEST

/* R-TSK-2: a running call hears of its cancel in its worker's next answer, and observes it by a
 * checkpoint. */
START_TEST(R_TSK_2_running_calls_are_told)
{
    given("session w1; region r1; w1 offers f; task t1 in r1 does f; w1 asks; w1 asks");
    when("cancel t1 message enough");
    expect("t1 cancel user T 30s\n"
           "w1 gets cancel t1");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CANCEL_REQUESTED);
    when("t1 checkpoints from w1");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CANCELLING);
    when("w1 completes t1 cancelled");
    expect("t1 completed cancelled user");
}
END_TEST

/* R-TSK-4: a call that ended before its worker was told keeps its natural outcome. */
START_TEST(R_TSK_4_a_cancel_that_was_not_told_changes_nothing)
{
    given("session w1; region r1; w1 offers f concurrency 2; task t1 in r1 does f;"
          "task t2 in r1 does f; w1 asks 2; cancel t1; cancel t2");
    when("w1 completes t1 ok");
    expect("t1 completed ok");
    when("w1 asks; w1 completes t2 ok code 0");
    expect("w1 gets cancel t2\n"
           "t2 completed cancelled user exit 0");
}
END_TEST

/* R-REG-8: at T a call is ended by force; its late completion changes nothing, but frees its
 * place. */
START_TEST(R_REG_8_calls_are_forced_at_T)
{
    given("session w1; region r1 drain 2s; w1 offers f; task t1 in r1 does f; w1 asks; region r2;"
          "task t2 in r2 does f");
    when("close r1; w1 asks; w1 asks; at 2s");
    expect("r1 cancel user T 2s\n"
           "t1 cancel user T 2s\n"
           "w1 gets cancel t1\n"
           "-- 2s\n"
           "t1 completed cancelled user forced\n"
           "r1 finalizing\n"
           "r1 closed cancelled user forced\n"
           "w1 gets cancel t1");
    when("w1 asks; w1 completes t1 ok");
    expect("t1 given back by w1\n"
           "t2 begun by w1\n"
           "advised\n"
           "w1 gets t2");
    ck_assert_int_eq(task_of("t1").outcome.key.severity, ASUP_CANCELLED);
}
END_TEST

/* R-BUD-3: budgets hold for calls: limits, checkpoints and cost. */
START_TEST(R_BUD_3_budgets_of_calls)
{
    given("session w1; region r1; w1 offers f concurrency 3; task t1 in r1 does f timeout 5s;"
          "task t2 in r1 does f polls 2; task t3 in r1 does f cost 10; w1 asks 3; w1 asks");
    when("t2 checkpoints from w1; t2 checkpoints from w1");
    expect("t2 cancel poll-quota T 10s");
    when("t3 progresses 9 from w1; t3 progresses 1 from w1");
    expect("t3 cancel cost-budget T 10s"); /* it knows by the answer */
    when("at 5s");
    expect("-- 5s\n"
           "t1 cancel timeout T 20s\n"
           "w1 gets cancel t1");
}
END_TEST

/* R-TSK-8: who declares how often it checks in is held to it, and who cannot make it is told. */
START_TEST(R_TSK_8_offers_declare_responsiveness)
{
    given("session w1; region r1; task t1 in r1 does f");
    when("w1 offers f response 40s; w1 offers f response 2s; w1 asks; at 2s");
    expect("w1 offers\n"
           "advised\n"
           "w1 offers\n"
           "t1 begun by w1\n"
           "w1 gets t1\n"
           "-- 2s\n"
           "t1 broke its word");
}
END_TEST

/* R-POL-2: calls are participants like any task. */
START_TEST(R_POL_2_policies_work_for_calls)
{
    given("session w1; region r1 policy race; w1 offers f concurrency 3; task t1 in r1 does f;"
          "task t2 in r1 does f; task t3 in r1 does slow; w1 asks 3");
    when("w1 asks; w1 completes t1 ok");
    expect("t1 completed ok\n"
           "r1 decided\n"
           "r1 cancel race-lost T 10s\n"
           "t2 cancel race-lost T 10s\n"
           "t3 cancel race-lost T 10s\n"
           "t3 completed cancelled race-lost\n"
           "w1 gets cancel t2");
    when("w1 completes t2 cancelled");
    expect_line("r1 closed ok");
}
END_TEST

/* R-POL-2: first-ok goes on past a failure, and an attempt that is run again is no end. */
START_TEST(R_POL_2_a_retry_is_no_end)
{
    given("session w1; region r1 policy fail-fast; w1 offers f; task t1 in r1 does f retry 2; "
          "task t2 in r1 does other; w1 asks");
    when("w1 completes t1 err");
    expect("t1 again at 0 after err");
    when("w1 asks; w1 completes t1 ok");
    expect("t1 begun by w1\n"
           "w1 gets t1\n"
           "t1 completed ok");
}
END_TEST

/* R-REG-3: finish lets calls end, retries that were begun included; close cancels them. */
START_TEST(R_REG_3_finish_lets_calls_end)
{
    given("session w1; region r1; w1 offers f; task t1 in r1 does f retry 2 backoff 1s; "
          "task t2 in r1 does f; w1 asks");
    when("finish r1; w1 completes t1 err; w1 asks; w1 completes t2 ok; w1 asks; at 1s;"
         "w1 completes t1 ok");
    expect("t1 again at 1s after err\n"
           "t2 begun by w1\n"
           "w1 gets t2\n"
           "t2 completed ok\n"
           "-- 1s\n"
           "t1 begun by w1\n"
           "w1 gets t1\n"
           "t1 completed ok\n"
           "r1 finalizing\n"
           "r1 closed ok");
}
END_TEST

/* R-FIN-1: a finalizer may be a call; one that no worker takes ends with its budget. */
START_TEST(R_FIN_1_a_finalizer_may_be_a_call)
{
    given("session w1; region r1; defer f1 to r1 does undo; defer f2 to r1 does undo timeout 3s;"
          "w1 offers undo; w1 asks");
    when("close r1");
    expect("r1 cancel user T 30s\n"
           "r1 finalizing\n"
           "f2 begun by w1\n"
           "w1 gets f2");
    when("w1 completes f2 ok; at 10s");
    expect("f2 completed ok\n"
           "-- 10s\n"
           "f1 completed panicked finalizer-timeout\n"
           "r1 closed panicked finalizer-timeout");
}
END_TEST

/* R-OBL-6: a call that holds something has no CPU time to be asked for; whoever it is. */
START_TEST(R_OBL_6_calls_that_hold_something_are_not_sampled)
{
    given_config()->futurelock_ns = 4 * ASUP_NS_PER_S;
    given("session w1; region r1; w1 offers f concurrency 2; task t1 in r1 does f;"
          "task t2 in r1 does f; w1 asks 2; t2 reserves o in r1");
    when("at 5s");
    expect("-- 4s\n"
           "t2 stuck");
}
END_TEST

/* R-SCH-4: names, attempts and results have bounds. */
START_TEST(R_SCH_4_calls_have_bounds)
{
    given_config()->limits.result_bytes = 3;
    given_config()->limits.offers_per_user = 2;
    given("session w1; region r1; w1 offers f; task t1 in r1 does f; w1 asks");
    when("w1 completes t1 ok result four; w1 completes t1 ok result yes");
    expect("refused too-large\n"
           "t1 completed ok");
    when("session w2; w2 offers a b; w2 offers a; task t2 in r1 does f retry 65536;"
         "task t3 in r1 retry 2");
    expect("w2 opened\n"
           "refused busy offers-per-user\n"
           "w2 offers\n"
           "refused invalid\n"
           "refused invalid");
}
END_TEST

/* R-TSK-6: results are forgotten with their outcomes, and early when there is too much of them. */
START_TEST(R_TSK_6_results_are_kept_within_bounds)
{
    given_config()->limits.results_per_daemon = 5;
    given("session w1; region r1; w1 offers f concurrency 2; task t1 in r1 does f;"
          "task t2 in r1 does f; w1 asks 2");
    when("w1 completes t1 ok result abcd; w1 completes t2 ok result ef; at 1s");
    expect("t1 completed ok\n"
           "t2 completed ok\n"
           "t1 forgotten");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_TSK_1_a_call_is_done_by_a_worker),
    RULE(R_TSK_1_a_waiting_worker_is_served),
    RULE(R_TSK_7_the_start_of_a_call_is_waited_for),
    RULE(R_TSK_4_outcomes_of_calls),
    RULE(R_TSK_5_retry_with_backoff),
    RULE(R_TSK_5_completions_of_earlier_attempts_are_refused),
    RULE(R_TSK_5_lost_attempts_count),
    RULE(R_TSK_5_a_lost_call_is_panicked),
    RULE(R_TSK_2_queued_and_taken_calls_are_cancelled_at_once),
    RULE(R_TSK_2_running_calls_are_told),
    RULE(R_TSK_4_a_cancel_that_was_not_told_changes_nothing),
    RULE(R_REG_8_calls_are_forced_at_T),
    RULE(R_BUD_3_budgets_of_calls),
    RULE(R_TSK_8_offers_declare_responsiveness),
    RULE(R_POL_2_policies_work_for_calls),
    RULE(R_POL_2_a_retry_is_no_end),
    RULE(R_REG_3_finish_lets_calls_end),
    RULE(R_FIN_1_a_finalizer_may_be_a_call),
    RULE(R_OBL_6_calls_that_hold_something_are_not_sampled),
    RULE(R_SCH_4_calls_have_bounds),
    RULE(R_TSK_6_results_are_kept_within_bounds),
};

RULES_MAIN("core.calls", rules, scenario_begin, scenario_end)
