/* SPDX-License-Identifier: MIT */
/* Workers: who gets which call (§7), and what becomes of calls whose worker is gone (R-TSK-5). */
#include "asupersync/values.h"
#include "scenario.h"

#include <stdio.h>
#include <string.h>

static struct worker_view
worker_named(const char *name)
{
    struct worker_view view;

    memset(&view, 0, sizeof view);
    ck_assert(kernel_worker(the_kernel(), id_of(name), &view));
    return view;
}

/* ---- §7: lanes ------------------------------------------------------------------------ */

/* R-SCH-1: timed calls by limit, then ready ones by priority and age. */
START_TEST(R_SCH_1_calls_in_order_of_their_lanes)
{
    given("session w1; region r1; task low in r1 does f priority 10; task usual in r1 does f;"
          "task high in r1 does f priority 200; task late in r1 does f timeout 9s;"
          "task soon in r1 does f timeout 5s; w1 offers f concurrency 9");
    when("w1 asks 9");
    expect_line("w1 gets soon late high usual low");
}
END_TEST

/* §7: waiting slowly raises priority. */
START_TEST(R_SCH_1_waiting_calls_rise)
{
    given("session w1; region r1; w1 offers f; task old in r1 does f priority 10;"
          "task young in r1 does f priority 100 at 20s");
    when("w1 asks");
    expect_line("w1 gets old");
}
END_TEST

/* R-SCH-2: after L timed ones in a row a ready one. */
START_TEST(R_SCH_2_ready_calls_do_not_starve)
{
    char statement[64];

    given_config()->fairness = 3;
    given("session w1; region r1; w1 offers f concurrency 9; task r in r1 does f");
    for (int i = 0; i < 5; i++) {
        (void)snprintf(statement, sizeof statement, "task t%d in r1 does f timeout 9s", i);
        given(statement);
    }
    when("w1 asks 9");
    expect_line("w1 gets t0 t1 t2 r t3 t4");
}
END_TEST

/* §7: a worker gets cancels before calls, and calls of all its names by their order. */
START_TEST(R_SCH_1_cancels_before_calls)
{
    given("session w1; region r1; w1 offers f g concurrency 3; task t1 in r1 does f; w1 asks;"
          "cancel t1; task t2 in r1 does g; task t3 in r1 does f priority 200");
    when("w1 asks 5");
    expect("t3 begun by w1\n"
           "t2 begun by w1\n"
           "w1 gets t3 t2 cancel t1");
}
END_TEST

/* ---- Taking and beginning ----------------------------------------------------------------- */

/* R-SCH-3: what is taken beyond the concurrency weighs as Created until it begins. */
START_TEST(R_SCH_3_taken_calls_weigh_as_created)
{
    uint64_t before;

    given(
        "session w1; region r1; w1 offers f prefetch 2; task t1 in r1 does f; task t2 in r1 does f;"
        "task t3 in r1 does f; task t4 in r1 does f");
    before = kernel_potential(the_kernel());
    when("w1 asks 9");
    expect("t1 begun by w1\n"
           "t2 taken by w1\n"
           "t3 taken by w1\n"
           "w1 gets t1 t2 t3");
    ck_assert_uint_eq(kernel_potential(the_kernel()), before - 1);
    when("w1 begins t2; w1 completes t2 ok; w1 completes t1 ok; w1 begins t2 t3; w1 completes t2 "
         "ok");
    expect("t2 may not begin busy\n"
           "refused invalid\n"
           "t1 completed ok\n"
           "t2 begun by w1\n"
           "t3 may not begin busy\n"
           "t2 completed ok");
    ck_assert_uint_eq(worker_named("w1").taken, 1);
}
END_TEST

/* Work stealing: what a busy worker took and did not begin goes to an idle one. */
START_TEST(R_TSK_5_taken_calls_are_taken_back_for_idle_workers)
{
    given("session w1; session w2; region r1; w1 offers f prefetch 3; w2 offers f;"
          "task t1 in r1 does f; task t2 in r1 does f; task t3 in r1 does f; w1 asks 9");
    when("w2 asks 9");
    expect("t3 given back by w1\n"
           "t3 begun by w2\n"
           "w2 gets t3");
    when("w1 completes t1 ok; w1 begins t3 t2");
    expect("t1 completed ok\n"
           "t2 begun by w1\n"
           "t3 may not begin expired");
    when("w2 asks; w1 bye");
    expect_none("t2 given back");
    expect_line("t2 completed panicked lost");
}
END_TEST

/* A worker gets no more than it has room for, and the rest when it has. */
START_TEST(R_SCH_4_no_more_than_there_is_room_for)
{
    given("session w1; region r1; w1 offers f concurrency 2; task t1 in r1 does f;"
          "task t2 in r1 does f; task t3 in r1 does f; w1 asks 9; w1 asks 9");
    trace_forget();
    when("w1 completes t1 ok");
    expect("t1 completed ok\n"
           "t3 begun by w1\n"
           "w1 gets t3");
}
END_TEST

/* R-IDM-1: an answer that may have got lost is given again to the same request. */
START_TEST(R_IDM_1_the_same_question_has_the_same_answer)
{
    given("session w1; region r1; w1 offers f concurrency 3; task t0 in r1 does f; "
          "w1 asks request 4; task t1 in r1 does f; task t2 in r1 does f");
    when("w1 asks 5 request 5; cancel t0; w1 asks 5 request 5");
    expect_line("w1 gets t1 t2");
    trace_forget();
    when("w1 asks 5 request 6; w1 asks 5 request 6");
    expect("w1 gets cancel t0\n"
           "w1 gets cancel t0");
}
END_TEST

/* A worker listens with one request: the later one counts. */
START_TEST(R_SES_1_a_worker_that_asks_again_is_asked_no_more)
{
    given("session w1; region r1; w1 offers f; w1 asks");
    when("w1 asks");
    expect("refused interrupted");
    when("task t1 in r1 does f");
    expect_line("w1 gets t1");
}
END_TEST

/* ---- Regions -----------------------------------------------------------------------------------
 */

/* R-REG-1: a worker of a region gets calls of that region and of those below it. */
START_TEST(R_REG_1_a_worker_serves_a_part_of_the_tree)
{
    given("session w1; session w2; region r1; region r2 in r1; region r3; task t1 in r1 does f;"
          "task t2 in r2 does f; task t3 in r3 does f");
    when("w1 offers f in r2 concurrency 9; w1 asks 9");
    expect("w1 offers\n"
           "t2 begun by w1\n"
           "w1 gets t2");
    when("w2 offers f in r1 concurrency 9; w1 asks 9; task t4 in r2 does f; w2 asks 9");
    expect("w2 offers\n"
           "t4 created\n"
           "t4 begun by w1\n"
           "w1 gets t4\n"
           "t1 begun by w2\n"
           "w2 gets t1");
    when("w1 asks 9; task t5 in r2 does f; task t6 in r2 does f; w2 asks 9; w1 offers g in r3; w1 "
         "withdraws;"
         "w1 offers g in r3");
    expect("t5 created\n"
           "t5 begun by w1\n"
           "w1 gets t5\n"
           "t6 created\n"
           "t6 begun by w2\n"
           "w2 gets t6\n"
           "refused conflict\n"
           "w1 withdrawn\n"
           "w1 offers");
}
END_TEST

/* R-REG-4: when the region is closed, nobody serves it any more. */
START_TEST(R_REG_4_a_closed_region_is_not_served)
{
    given("session w1; region r1; w1 offers f in r1; w1 asks; task t1 in r1 does f; w1 asks");
    when("close r1; w1 asks; w1 completes t1 ok");
    expect("r1 cancel user T 30s\n"
           "t1 cancel user T 30s\n"
           "w1 gets cancel t1\n"
           "t1 completed cancelled user\n"
           "r1 finalizing\n"
           "w1 withdrawn\n"
           "r1 closed cancelled user\n"
           "refused region-closed");
    when("w1 asks; w1 offers f in r1");
    expect("refused ended\n"
           "refused region-closed");
}
END_TEST

/* R-REG-4: and who waits for calls from anywhere is told when "/" is closed. */
START_TEST(R_REG_4_nor_is_a_closed_root)
{
    given("session w1; w1 offers f; w1 asks; session w2; w2 offers g; w2 asks; w2 withdraws g");
    when("shutdown");
    expect("/ cancel shutdown T 5s\n"
           "/ finalizing\n"
           "w1 withdrawn\n"
           "/ closed ok\n"
           "refused region-closed\n"
           "refused region-closed\n"
           "quiescent");
}
END_TEST

/* R-CAP-2: a worker gets its own user's calls. */
START_TEST(R_CAP_2_workers_serve_their_own_user)
{
    given("session w1 by 7; region r1; region r7 by 7; task t1 in r1 does f; task t7 in r7 does f "
          "by 7");
    when("w1 offers f in r1; w1 offers f concurrency 5; w1 asks 5");
    expect("refused denied\n"
           "w1 offers\n"
           "t7 begun by w1\n"
           "w1 gets t7");
    when("session s2; s2 drains worker w1; s2 completes t7 ok");
    expect("s2 opened\n"
           "refused denied\n"
           "refused invalid");
}
END_TEST

/* ---- Ending
 * ---------------------------------------------------------------------------------------- */

/* A worker that is drained gets nothing new and finishes what it runs. */
START_TEST(R_REG_3_a_drained_worker_finishes)
{
    given("session w1; session s1; region r1; w1 offers f prefetch 1; task t1 in r1 does f; "
          "task t2 in r1 does f; w1 asks 2; w1 asks 2");
    when("s1 drains worker w1");
    expect("w1 drained\n"
           "t2 given back by w1");
    ck_assert(worker_named("w1").draining);
    when("w1 completes t1 ok; w1 asks");
    expect("t1 completed ok\n"
           "refused ended\n"
           "refused ended");
    when("w1 offers f; w1 asks");
    expect_line("w1 gets t2");
}
END_TEST

START_TEST(R_REG_3_a_withdrawn_name_gets_nothing)
{
    given("session w1; region r1; w1 offers f g concurrency 5; task t1 in r1 does f; "
          "w1 asks; w1 asks");
    when("w1 withdraws g; task t2 in r1 does g; task t3 in r1 does f; w1 withdraws g");
    expect("w1 withdrawn\n"
           "t2 created\n"
           "t3 created\n"
           "t3 begun by w1\n"
           "w1 gets t3\n"
           "refused not-found");
}
END_TEST

/* R-TSK-5: a session that was quiet past its lease is fenced, and only then its call runs again. */
START_TEST(R_TSK_5_a_quiet_session_is_fenced)
{
    given("session w1; session w2; region r1; w1 offers f quiet 10s; w2 offers f;"
          "task t1 in r1 does f retry 2; w1 asks; w2 asks");
    when("t1 checkpoints from w1 at 6s; at 15s");
    expect_none("worker");
    when("at 16s");
    expect("-- 16s\n"
           "worker w1 lost\n"
           "t1 again at 16s after panicked lost\n"
           "t1 begun by w2\n"
           "w2 gets t1");
    when("w1 completes t1 ok; t1 checkpoints from w1; w1 asks");
    expect("refused expired\n"
           "refused expired\n"
           "refused expired");
    ck_assert(worker_named("w1").fenced);
    ck_assert_uint_eq(worker_named("w1").name_count, 0);
    when("w1 offers f; w1 completes t1 ok; w2 completes t1 ok");
    expect("w1 offers\n"
           "refused expired\n"
           "t1 completed ok");
}
END_TEST

/* R-TSK-5: a quiet worker that is a task of ours is cancelled; its call waits until nothing of it
 * is left. */
START_TEST(R_TSK_5_a_quiet_task_is_gone_before_the_rerun)
{
    given(
        "session w1; session w2; region r2 drain 3s; region r1 in r2; task p in r2 running;"
        "w1 offers f in r2 quiet 10s holder p; w2 offers f; task t1 in r1 does f retry 2; w1 asks;"
        "w2 asks");
    when("at 10s");
    expect("-- 10s\n"
           "w1 was quiet\n"
           "p cancel resource-unavailable T 13s\n"
           "signal p 15");
    ck_assert(worker_named("w1").quiet);
    when("at 13s; p main-killed");
    expect("-- 13s\n"
           "kill p");
    when("p empty at 14s");
    expect("-- 14s\n"
           "p completed cancelled resource-unavailable signal 9 forced\n"
           "worker w1 lost\n"
           "t1 again at 14s after panicked lost\n"
           "t1 begun by w2\n"
           "w2 gets t1");
}
END_TEST

/* R-TSK-5: a worker that is a task loses its calls when that task is Completed. */
START_TEST(R_TSK_5_a_completed_task_is_no_worker)
{
    given("session w1; region r1; task p in r1 running; w1 offers f in r1 holder p;"
          "task t1 in r1 does f;"
          "w1 asks");
    when("p main-exits 0");
    expect_none("worker");
    when("p empty");
    expect_line("t1 completed panicked lost");
    expect_line("worker w1 lost");
}
END_TEST

/* A lease runs only while the worker runs something. */
START_TEST(R_TSK_5_an_idle_worker_may_be_quiet)
{
    given("session w1; region r1; w1 offers f quiet 1s; w1 asks");
    when("at 60s");
    expect("");
    when("task t1 in r1 does f; at 61s");
    expect("t1 created\n"
           "t1 begun by w1\n"
           "w1 gets t1\n"
           "-- 1m1s\n"
           "worker w1 lost\n"
           "t1 completed panicked lost");
}
END_TEST

/* R-SES-1: without a session nobody is a worker. */
START_TEST(R_SES_1_a_worker_needs_a_session)
{
    struct input in;

    given("session w1");
    in = scenario_input(IN_WORKER_NEXT);
    in.u.next.most = 1;
    ck_assert_int_eq(scenario_step(&in), -ASUP_EINVALID);
    ck_assert_str_eq(scenario_detail(), "a worker needs a session");
    in = scenario_input(IN_WORKER_NEXT);
    in.caller.session = id_of("w1");
    in.u.next.most = 1;
    ck_assert_int_eq(scenario_step(&in), -ASUP_EINVALID);
    ck_assert_str_eq(scenario_detail(), "this session is no worker: offer something first");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_SCH_1_calls_in_order_of_their_lanes),
    RULE(R_SCH_1_waiting_calls_rise),
    RULE(R_SCH_2_ready_calls_do_not_starve),
    RULE(R_SCH_1_cancels_before_calls),
    RULE(R_SCH_3_taken_calls_weigh_as_created),
    RULE(R_TSK_5_taken_calls_are_taken_back_for_idle_workers),
    RULE(R_SCH_4_no_more_than_there_is_room_for),
    RULE(R_IDM_1_the_same_question_has_the_same_answer),
    RULE(R_SES_1_a_worker_that_asks_again_is_asked_no_more),
    RULE(R_REG_1_a_worker_serves_a_part_of_the_tree),
    RULE(R_REG_4_a_closed_region_is_not_served),
    RULE(R_REG_4_nor_is_a_closed_root),
    RULE(R_CAP_2_workers_serve_their_own_user),
    RULE(R_REG_3_a_drained_worker_finishes),
    RULE(R_REG_3_a_withdrawn_name_gets_nothing),
    RULE(R_TSK_5_a_quiet_session_is_fenced),
    RULE(R_TSK_5_a_quiet_task_is_gone_before_the_rerun),
    RULE(R_TSK_5_a_completed_task_is_no_worker),
    RULE(R_TSK_5_an_idle_worker_may_be_quiet),
    RULE(R_SES_1_a_worker_needs_a_session),
};

RULES_MAIN("core.workers", rules, scenario_begin, scenario_end)
