/* SPDX-License-Identifier: MIT */
/* Tasks of kind process: their states, their outcomes whatever the order of
 * facts, what is left over, waits, retention, responsiveness (R-TSK). */
#include "asupersync/values.h"
#include "scenario.h"

#include <string.h>

/* ---- R-TSK-1, R-TSK-2: owned, and state by state ------------------------------------- */

/* R-TSK-1: a task is owned by one region from creation to completion; the
 * region can not close before it. Invariant single-owner. */
START_TEST(R_TSK_1_owned_from_creation_to_completion)
{
    given("region r1; task t1 in r1");
    ck_assert_uint_eq(task_of("t1").region, id_of("r1"));
    given("t1 starts; finish r1");
    ck_assert_uint_eq(task_of("t1").region, id_of("r1"));
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    given("t1 exits 0");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_CLOSED);
}
END_TEST

/* R-TSK-2: Created, Running, CancelRequested, Cancelling (the signal was
 * delivered), Finalizing (main work ended), Completed (its cgroup is empty).
 * Invariant protocol-order. */
START_TEST(R_TSK_2_the_states_of_a_cancelled_process)
{
    given("shell delivers no; region r1; task t1 in r1");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CREATED);
    given("t1 starts");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_RUNNING);
    given("cancel t1");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CANCEL_REQUESTED);
    given("t1 signalled");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CANCELLING);
    given("t1 main-dies 15");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_FINALIZING);
    given("t1 empty");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_COMPLETED);
}
END_TEST

/* R-TSK-2: one that speaks the notify protocol acknowledges by itself. */
START_TEST(R_TSK_2_a_notifying_task_acknowledges_itself)
{
    given("region r1; task t1 in r1 running notify; cancel t1");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CANCEL_REQUESTED);
    given("t1 stopping");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CANCELLING);
}
END_TEST

/* R-TSK-2: a checkpoint observes the cancel. */
START_TEST(R_TSK_2_a_checkpoint_observes_the_cancel)
{
    given("region r1; task t1 in r1 running notify; cancel t1");
    given("t1 checkpoints");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_CANCELLING);
}
END_TEST

/* R-TSK-2: Completed only when its cgroup is empty, in either order of facts. */
START_TEST(R_TSK_2_empty_may_be_said_before_exited)
{
    given("region r1; task t1 in r1 running");
    when("t1 empty");
    expect_none("t1 completed");
    when("t1 main-exits 3");
    expect_line("t1 completed err 3");
}
END_TEST

/* R-TSK-2, ask: readiness is told. */
START_TEST(R_TSK_2_ready)
{
    given("region r1; task t1 in r1 running notify");
    ck_assert(!task_of("t1").ready);
    when("t1 ready; t1 ready");
    expect("t1 ready");
    ck_assert(task_of("t1").ready);
}
END_TEST

/* ---- R-TSK-4: outcomes ------------------------------------------------------------------ */

/* R-TSK-4: exit 0 is Ok, other exits Err, signals, core dumps and the OOM
 * killer Panicked, an unknown status Panicked(lost). */
START_TEST(R_TSK_4_natural_outcomes)
{
    given("region r1; task t1 in r1 running; task t2 in r1 running; task t3 in r1 running;"
          "task t4 in r1 running; task t5 in r1 running; task t6 in r1 running");
    when("t1 exits 0; t2 exits 255; t3 dies 15; t4 core-dumps; t5 oom-killed; t6 lost");
    expect("t1 completed ok\n"
           "t2 completed err 255\n"
           "t3 completed panicked signal 15\n"
           "t4 completed panicked signal 11\n"
           "t5 completed panicked signal 9\n"
           "t6 completed panicked lost");
    ck_assert(!task_of("t5").outcome.forced);
    ck_assert(task_of("t6").outcome.lost);
    ck_assert_int_eq(task_of("t1").outcome.exit_code, 0);
    ck_assert_int_eq(task_of("t2").outcome.exit_code, 255);
    ck_assert_uint_eq(task_of("t1").outcome.cpu_ns, ASUP_NS_PER_MS);
    ck_assert_uint_eq(task_of("t1").outcome.memory_peak, 4096);
}
END_TEST

/* R-OUT-3: the outcome carries its evidence: when it ran and for how long. */
START_TEST(R_OUT_3_an_outcome_carries_its_evidence)
{
    given("region r1; task t1 in r1; t1 starts at 1s; t1 exits 0 at 4s");
    ck_assert_uint_eq(task_of("t1").outcome.wall_ns, 3 * ASUP_NS_PER_S);
    ck_assert_uint_eq(since_start(task_of("t1").outcome.key.at), 4 * ASUP_NS_PER_S);
    ck_assert_uint_eq(task_of("t1").outcome.key.origin, id_of("t1"));
}
END_TEST

/* R-TSK-4: a start that fails is Err(stage, errno). */
START_TEST(R_TSK_4_a_start_that_fails)
{
    given("region r1; task t1 in r1");
    when("t1 start-fails chdir 2");
    expect("t1 completed err chdir 2");
    ck_assert_int_eq(task_of("t1").outcome.exit_code, -1);
}
END_TEST

/* R-TSK-4: cancelled before it started: Cancelled without a status, at once. */
START_TEST(R_TSK_4_cancelled_before_it_started)
{
    given("region r1; task t1 in r1 delay 1m");
    when("cancel t1");
    expect_line("t1 completed cancelled user");
    expect_none("start");
    ck_assert_int_eq(task_of("t1").outcome.exit_code, -1);
    ck_assert_int_eq(task_of("t1").outcome.signal, 0);
    when("at 2m");
    expect_none("start");
}
END_TEST

/* R-TSK-4: cancelled while starting: cancelled as soon as started. */
START_TEST(R_TSK_4_cancelled_while_starting)
{
    given("region r1; task t1 in r1");
    when("cancel t1");
    expect_none("signal");
    expect_none("t1 completed");
    when("t1 starts");
    expect_line("t1 started");
    expect_line("signal t1 15");
    when("t1 dies 15");
    expect("t1 cancel user T 30s\n"
           "t1 started\n"
           "signal t1 15\n"
           "t1 completed cancelled user signal 15");
}
END_TEST

/* R-TSK-4: a start that fails while its cancel waits completes the task; the
 * cancel is at least in its outcome. */
START_TEST(R_TSK_4_start_fails_while_cancelled)
{
    given("region r1; task t1 in r1; close r1");
    when("t1 start-fails exec 13");
    expect_line("r1 finalizing");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_COMPLETED);
    ck_assert_int_ge(task_of("t1").outcome.key.severity, ASUP_ERR);
}
END_TEST

/* R-TSK-4: the main process had ended when the signal was to be delivered: the
 * natural outcome stands. */
START_TEST(R_TSK_4_main_ended_before_the_signal)
{
    given("shell delivers no; region r1; task t1 in r1 running; task t2 in r1 running; close r1");
    when("t1 signalled-late; t1 exits 0");
    expect_line("t1 completed ok");
    /* the same when the end is heard before the answer to the order */
    when("t2 exits 3; t2 signalled-late");
    expect_line("t2 completed err 3");
    expect_line("r1 closed err 3");
}
END_TEST

/* R-TSK-4: otherwise Cancelled combined with the natural outcome, where ending
 * by a signal we sent counts Ok; the status is kept beside it. */
START_TEST(R_TSK_4_cancelled_combined_with_the_natural_outcome)
{
    given("region r1; task t1 in r1 running; task t2 in r1 running; task t3 in r1 running;"
          "task t4 in r1 running; close r1");
    when("t1 exits 0; t2 exits 3; t3 dies 15; t4 dies 11");
    expect("t1 completed cancelled user exit 0\n"
           "t2 completed cancelled user exit 3\n"
           "t3 completed cancelled user signal 15\n"
           "t4 completed panicked signal 11\n"
           "r1 finalizing\n"
           "r1 closed panicked signal 11");
}
END_TEST

/* R-TSK-4: the OOM killer is never taken for a signal of ours. */
START_TEST(R_TSK_4_the_oom_killer_is_not_ours)
{
    given("region r1; task t1 in r1 running signal 9; cancel t1");
    when("t1 oom-killed");
    expect_line("t1 completed panicked signal 9");
}
END_TEST

/* R-TSK-4: the cancel signal is the task's own choice. */
START_TEST(R_TSK_4_the_chosen_cancel_signal)
{
    given("region r1; task t1 in r1 running signal 2");
    when("cancel t1");
    expect_line("signal t1 2");
    when("t1 dies 2");
    expect_line("t1 completed cancelled user signal 2");
}
END_TEST

/* R-TSK-4: the main process ended, something is left in its cgroup: it gets
 * the cancel signal, then the kill after `leftover`. */
START_TEST(R_TSK_4_leftover_processes)
{
    given("region r1; task t1 in r1 running");
    when("t1 main-exits 0 at 1s");
    expect_line("signal t1 15");
    ck_assert_int_eq(task_of("t1").state, ASUP_TASK_FINALIZING);
    trace_forget();
    when("at 7s");
    expect("-- 3s\n"
           "kill t1");
    when("t1 empty");
    expect("t1 completed ok");
    ck_assert(!task_of("t1").outcome.forced);
}
END_TEST

/* R-TSK-4: an own leftover time. */
START_TEST(R_TSK_4_leftover_has_its_own_time)
{
    given("region r1; task t1 in r1 running leftover 500ms; t1 main-exits 0");
    when("at 5s");
    expect("-- 500ms\n"
           "kill t1");
}
END_TEST

/* R-TSK-4: never past T. */
START_TEST(R_TSK_4_leftover_never_past_T)
{
    given("region r1 drain 1s; task t1 in r1 running leftover 1m; close r1; t1 main-dies 15");
    when("at 3s");
    expect("-- 1s\n"
           "kill t1");
    when("t1 empty");
    expect_line("t1 completed cancelled user signal 15");
    ck_assert(!task_of("t1").outcome.forced);
}
END_TEST

/* R-TSK-4: leftover: wait waits for it to end by itself ... */
START_TEST(R_TSK_4_leftover_wait)
{
    given("region r1; task t1 in r1 running leftover-wait");
    when("t1 main-exits 0; at 1h");
    expect_none("signal");
    expect_none("kill");
    when("t1 empty");
    expect("-- 1h\n"
           "t1 completed ok");
}
END_TEST

/* R-TSK-4: ... until a cancel. The status of the main process was fixed. */
START_TEST(R_TSK_4_leftover_wait_ends_with_a_cancel)
{
    given("region r1; task t1 in r1 running leftover-wait; t1 main-exits 0 at 1s");
    when("close r1 at 10s");
    expect_line("signal t1 15");
    when("at 1m");
    expect_line("kill t1");
    when("t1 empty");
    expect_line("t1 completed ok");
}
END_TEST

/* R-TSK-4: when the main process ended on its own, a later cancel changes
 * nothing of its status. */
START_TEST(R_TSK_4_the_status_is_fixed_when_main_ends)
{
    given("region r1; task t1 in r1 running; t1 main-exits 7; close r1");
    when("t1 empty");
    expect_line("t1 completed err 7");
    expect_line("r1 closed err 7");
}
END_TEST

/* R-TSK-4: forced means killed while the main process lived. */
START_TEST(R_TSK_4_forced_only_while_main_lived)
{
    given("region r1; task t1 in r1 running; task t2 in r1 running; close r1;"
          "t2 main-exits 0 at 29s; at 30s; t1 killed; t2 empty");
    ck_assert(task_of("t1").outcome.forced);
    ck_assert(!task_of("t2").outcome.forced);
}
END_TEST

/* R-TSK-5: facts about tasks that nobody knows, or that are past, do nothing. */
START_TEST(R_TSK_5_unknown_and_late_facts_do_nothing)
{
    struct input in;

    given("region r1; task t1 in r1 running; t1 exits 0");
    when("t1 exits 5; t1 dies 9; t1 empty; t1 starts; t1 ready; t1 start-fails exec 2");
    expect("");
    ck_assert_int_eq(task_of("t1").outcome.exit_code, 0);
    in = scenario_input(IN_TASK_EXITED);
    in.task = 4711;
    in.token = 0;
    ck_assert_int_eq(scenario_step(&in), 0);
    expect("");
}
END_TEST

/* R-TSK-5: start-ordered is an event, before START goes out, and once only. */
START_TEST(R_TSK_5_started_once)
{
    given("region r1");
    when("task t1 in r1; at 1h");
    expect("t1 created\n"
           "start t1");
    ck_assert(task_of("t1").start_ordered);
    ck_assert(!task_of("t1").started);
}
END_TEST

/* ---- R-TSK-6, R-TSK-7: kept and waited for ------------------------------------------------ */

/* R-TSK-6: a completed task's outcome is kept for its retention. */
START_TEST(R_TSK_6_kept_for_its_retention)
{
    struct task_view view;
    uint64_t id;

    given("region r1; task t1 in r1 running; t1 exits 3 at 1s");
    id = id_of("t1");
    given("at 59m");
    ck_assert_int_eq(task_of("t1").outcome.exit_code, 3);
    when("at 2h");
    expect("-- 1h1s\n"
           "t1 forgotten");
    ck_assert(!kernel_task(the_kernel(), id, &view));
    when("w1 waits for t1");
    expect("w1 refused not-found");
}
END_TEST

/* R-TSK-6: and bounded by count: the oldest go first. */
START_TEST(R_TSK_6_bounded_by_count)
{
    given_config()->limits.retained = 2;
    given("region r1; task t1 in r1 running; task t2 in r1 running; task t3 in r1 running");
    when("t1 exits 0; t2 exits 0 at 1s; t3 exits 0 at 2s");
    expect_line("t1 forgotten");
    expect_none("t2 forgotten");
    ck_assert_int_eq(task_of("t3").state, ASUP_TASK_COMPLETED);
}
END_TEST

/* R-TSK-7: waiting never consumes: any number of waiters get the same. */
START_TEST(R_TSK_7_waiting_never_consumes)
{
    given("region r1; task t1 in r1 running");
    when("w1 waits for t1; w2 waits for t1; w3 waits for r1");
    expect("");
    when("t1 exits 0");
    expect("t1 completed ok\n"
           "w1 told\n"
           "w2 told");
    when("w4 waits for t1; w5 waits for t1 at 10m");
    expect("w4 told\n"
           "-- 10m\n"
           "w5 told");
    when("close r1");
    expect_line("r1 closed ok");
    expect_line("w3 told");
    trace_forget();
    when("w6 waits for r1");
    expect("w6 told");
}
END_TEST

/* R-TSK-7: waits for a start and for readiness; ending without either answers
 * them too. */
START_TEST(R_TSK_7_waits_for_started_and_ready)
{
    given("region r1; task t1 in r1 notify; task t2 in r1 notify");
    when("a waits for t1 started; b waits for t1 ready; c waits for t2 started;"
         "d waits for t2 ready");
    expect("");
    when("t1 starts");
    expect("t1 started\n"
           "a told");
    when("t1 ready");
    expect("t1 ready\n"
           "b told");
    when("t2 start-fails exec 2");
    expect_line("c told");
    expect_line("d told");
    trace_forget();
    when("e waits for t1 started; f waits for t1 ready");
    expect("e told\n"
           "f told");
}
END_TEST

/* R-TSK-7: a wait may end by its timeout; 0 polls. */
START_TEST(R_TSK_7_a_wait_with_a_timeout)
{
    given("region r1; task t1 in r1 running");
    when("w1 waits for t1 timeout 0");
    expect("w1 refused timeout");
    when("w2 waits for t1 timeout 5s; at 10s");
    expect("-- 5s\n"
           "w2 refused timeout");
    when("w3 waits for t1 timeout 5s; t1 exits 0; at 20s");
    expect("t1 completed ok\n"
           "w3 told");
}
END_TEST

/* R-TSK-7: who waited and went is answered nothing, and waits nowhere. */
START_TEST(R_TSK_7_a_dropped_wait)
{
    struct kernel_counts counts;

    given("region r1; task t1 in r1 running; w1 waits for t1; w2 waits for t1");
    when("w1 leaves; t1 exits 0");
    expect("t1 completed ok\n"
           "w2 told");
    kernel_counts(the_kernel(), &counts);
    ck_assert_uint_eq(counts.waits, 0);
}
END_TEST

/* ---- R-TSK-8: responsiveness -------------------------------------------------------------- */

/* R-TSK-8: what cannot make it within its cleanup allowance is reported when
 * it is submitted, and admitted all the same. */
START_TEST(R_TSK_8_reported_when_submitted)
{
    given("region r1 drain 4s");
    when("task t1 in r1 response 1s mask 5");
    expect_line("t1 created");
    expect_line("advised");
    trace_forget();
    when("task t2 in r1 response 1s mask 3");
    expect("t2 created\n"
           "start t2");
    /* an own, shorter drain counts; a soft region waits anyhow */
    when("task t3 in r1 response 1s mask 3 drain 2s");
    expect_line("advised");
    given("region r2 soft");
    when("task t4 in r2 response 1s mask 1000");
    expect_none("advised");
}
END_TEST

/* R-TSK-8: who broke its word is reported. */
START_TEST(R_TSK_8_who_broke_its_word)
{
    given("region r1; task t1 in r1 running response 2s");
    when("t1 checkpoints at 1.9s; t1 checkpoints at 3s");
    expect_none("t1 broke");
    when("at 6s");
    expect_line("t1 broke its word");
}
END_TEST

/* ---- Notify: watchdog, extend -------------------------------------------------------------- */

/* A watchdog that is fed in time does nothing. */
START_TEST(watchdog_is_fed)
{
    given("region r1; task t1 in r1 running notify watchdog 5s");
    when("t1 feeds at 4s; t1 feeds at 8s; t1 feeds at 12s");
    expect("");
}
END_TEST

/* One that is missed kills the task, which counts Panicked(watchdog). */
START_TEST(watchdog_is_missed)
{
    given("region r1; task t1 in r1 running notify watchdog 5s");
    when("t1 feeds at 4s; at 10s");
    expect("-- 9s\n"
           "t1 missed its watchdog\n"
           "kill t1");
    when("t1 killed");
    expect_line("t1 completed panicked watchdog signal 9 forced");
}
END_TEST

/* EXTEND moves a task's own end, never beyond T (cancel-monotone). */
START_TEST(extend_never_beyond_T)
{
    given("region r1 drain 20s; task t1 in r1 running notify drain 5s; close r1");
    ck_assert_uint_eq(since_start(task_of("t1").kill_at), 5 * ASUP_NS_PER_S);
    when("t1 extends 8s at 4s");
    expect("-- 4s\n"
           "t1 extended to 12s");
    when("t1 extends 1h at 10s");
    expect_line("t1 extended to 20s");
    trace_forget();
    when("at 24s");
    expect("-- 20s\n"
           "kill t1");
}
END_TEST

/* An extension never brings the end forward. */
START_TEST(extend_never_shortens)
{
    given("region r1 drain 20s; task t1 in r1 running notify drain 5s; close r1");
    given("t1 extends 1s at 1s");
    ck_assert_uint_eq(since_start(task_of("t1").kill_at), 5 * ASUP_NS_PER_S);
}
END_TEST

/* Output that could not be kept is told. */
START_TEST(lost_output_is_reported)
{
    given("region r1; task t1 in r1 running");
    when("t1 log-lost 4096");
    expect("t1 log lost 4096");
    ck_assert_uint_eq(task_of("t1").log_lost, 4096);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_TSK_1_owned_from_creation_to_completion),
    RULE(R_TSK_2_the_states_of_a_cancelled_process),
    RULE(R_TSK_2_a_notifying_task_acknowledges_itself),
    RULE(R_TSK_2_a_checkpoint_observes_the_cancel),
    RULE(R_TSK_2_empty_may_be_said_before_exited),
    RULE(R_TSK_2_ready),
    RULE(R_TSK_4_natural_outcomes),
    RULE(R_OUT_3_an_outcome_carries_its_evidence),
    RULE(R_TSK_4_a_start_that_fails),
    RULE(R_TSK_4_cancelled_before_it_started),
    RULE(R_TSK_4_cancelled_while_starting),
    RULE(R_TSK_4_start_fails_while_cancelled),
    RULE(R_TSK_4_main_ended_before_the_signal),
    RULE(R_TSK_4_cancelled_combined_with_the_natural_outcome),
    RULE(R_TSK_4_the_oom_killer_is_not_ours),
    RULE(R_TSK_4_the_chosen_cancel_signal),
    RULE(R_TSK_4_leftover_processes),
    RULE(R_TSK_4_leftover_has_its_own_time),
    RULE(R_TSK_4_leftover_never_past_T),
    RULE(R_TSK_4_leftover_wait),
    RULE(R_TSK_4_leftover_wait_ends_with_a_cancel),
    RULE(R_TSK_4_the_status_is_fixed_when_main_ends),
    RULE(R_TSK_4_forced_only_while_main_lived),
    RULE(R_TSK_5_unknown_and_late_facts_do_nothing),
    RULE(R_TSK_5_started_once),
    RULE(R_TSK_6_kept_for_its_retention),
    RULE(R_TSK_6_bounded_by_count),
    RULE(R_TSK_7_waiting_never_consumes),
    RULE(R_TSK_7_waits_for_started_and_ready),
    RULE(R_TSK_7_a_wait_with_a_timeout),
    RULE(R_TSK_7_a_dropped_wait),
    RULE(R_TSK_8_reported_when_submitted),
    RULE(R_TSK_8_who_broke_its_word),
    RULE(watchdog_is_fed),
    RULE(watchdog_is_missed),
    RULE(extend_never_beyond_T),
    RULE(extend_never_shortens),
    RULE(lost_output_is_reported),
};

RULES_MAIN("task", rules, scenario_begin, scenario_end)
