/* SPDX-License-Identifier: MIT */
/* Sagas (R-SAG-1 to R-SAG-3) and the stack they share with finalizers (R-FIN-1). */
#include "scenario.h"

static struct call_view
call_named(const char *name)
{
    struct call_view c;

    ck_assert(kernel_call(the_kernel(), id_of(name), &c));
    return c;
}

/* ---- R-SAG-1: an ordered list of steps, each an action and its compensation ---------------- */

/* R-SAG-1: the compensation is recorded before the action exists, let alone starts. */
START_TEST(R_SAG_1_the_compensation_is_recorded_first)
{
    given("shell starts; session s; region r; saga g in r from s");
    when("step reserve of g action a from s");
    expect("g step 1 reserve\n"
           "a created\n"
           "start a\n"
           "a started");
    when("a exits 0");
    expect_line("g did reserve");
}
END_TEST

/* R-SAG-1: steps come one after the other. */
START_TEST(R_SAG_1_the_next_step_waits_for_the_last_action)
{
    given("shell starts; session s; region r; saga g in r from s;"
          "step one of g action a from s");
    when("step two of g action b from s");
    expect("refused invalid");
    when("complete g");
    expect("refused invalid");
    when("a exits 0; step two of g action b from s; b exits 0; complete g");
    expect_line("g completed");
}
END_TEST

/* R-SAG-1: what the driver does by itself is done when it goes on. */
START_TEST(R_SAG_1_a_step_without_an_action)
{
    given("session s; region r; saga g in r from s; step one of g from s");
    when("step two of g from s");
    expect("g did one\n"
           "g step 2 two");
    when("complete g");
    expect("g did two\n"
           "g completed");
}
END_TEST

/* R-SAG-1: an action may be a call: its worker's word decides. */
START_TEST(R_SAG_1_an_action_that_is_a_call)
{
    given("shell starts; session s; session w; region r; saga g in r from s; w offers charge;"
          "step one of g action a does charge from s; w asks; w begins a; w completes a ok");
    when("step two of g action b does charge from s; w asks; w begins b");
    expect_none("g failed");
    when("w completes b err");
    expect_line("g failed at two");
    expect_line("g undoes two");
    when("~two exits 0; ~one exits 0");
    expect_line("g compensated");
}
END_TEST

/* R-SAG-1: a compensation may be a call: a worker does it, at the deepest that offers it. */
START_TEST(R_SAG_1_a_compensation_that_is_a_call)
{
    given("shell starts; session s; session w; session v; region r; saga g in r from s;"
          "step one of g action a undo does refund from s; w offers refund; w asks;"
          "v offers refund in r; v asks");
    when("a exits 1");
    expect("a completed err 1\n"
           "g failed at one\n"
           "g compensating: a step failed\n"
           "g undoes one\n"
           "~one begun by v\n"
           "v gets ~one");
    ck_assert_mem_eq(call_named("~one").input.data, "undo spec", 9);
    ck_assert_mem_eq(call_named("~one").name.data, "refund", 6);
    when("cancel ~one");
    expect("refused denied"); /* masked */
    when("v completes ~one ok result done");
    expect("~one completed ok\n"
           "g undid one\n"
           "g compensated");
    ck_assert_mem_eq(call_named("~one").result.data, "done", 4);
}
END_TEST

/* R-SAG-1: a watchdog is for programs. A call's worker does not feed one, and there is no process
 * to kill. */
START_TEST(R_SAG_1_a_compensation_that_is_a_call_has_no_watchdog)
{
    given("shell starts; session s; session w; region r; saga g in r from s;"
          "step one of g undo does refund watchdog 1s from s; w offers refund; w asks; abort g");
    when("s keepalive at 5s");
    expect("");
    when("w completes ~one ok");
    expect("~one completed ok\n"
           "g undid one\n"
           "g compensated");
}
END_TEST

/* R-SAG-2: one that no worker takes ends with its budget, and has spent an attempt. */
START_TEST(R_SAG_2_a_compensation_waits_for_a_worker_within_its_budget)
{
    given("session s; session w; region r; saga g in r from s;"
          "step one of g undo does refund timeout 3s attempts 3 backoff 1s from s; abort g");
    when("s keepalive at 2s; w offers refund at 3s");
    expect("-- 3s\n"
           "~one completed panicked finalizer-timeout\n"
           "w offers");
    when("w asks at 4s");
    expect("-- 4s\n"
           "g undoes one\n"
           "~one2 begun by w\n"
           "w gets ~one2");
    when("w completes ~one2 err");
    expect("~one2 completed err");
    when("w asks at 6s; w completes ~one3 err");
    expect_line("g needs attention at one");
    when("resolve g retry; w asks; w completes ~one4 ok");
    expect_line("g compensated");
}
END_TEST

/* R-SAG-3: of a worker that dies at it an attempt is spent; one that it had only taken is not. */
START_TEST(R_SAG_3_the_worker_of_a_compensation_dies)
{
    given("session s; session w; session v; region r; saga g in r from s;"
          "step one of g undo does refund attempts 2 from s; w offers refund; v offers refund;"
          "w asks; abort g");
    when("w bye");
    expect("worker w lost\n"
           "~one completed panicked lost\n"
           "w ended\n"
           "g undoes one");
    when("v asks; v completes ~one2 ok");
    expect_line("g compensated");
}
END_TEST

/* R-CAP-1: a compensation has the rights of who recorded its step, and no more. They may be
 * taken away; the compensation itself runs all the same. */
START_TEST(R_CAP_1_a_compensation_has_its_makers_rights)
{
    given("shell starts; session s; session w; region r;"
          "s derives x in r rights spawn,saga,observe; saga g in r with x from s;"
          "step one of g with x from s; step two of g undo does refund with x from s;"
          "w offers refund; w asks; abort g with x");
    when("cancel r of ~two");
    expect("refused denied");
    when("task t in r of ~two");
    expect_line("t created");
    when("w completes ~two ok");
    expect_line("g undoes one");
    when("cancel r of ~one");
    expect_line("refused denied");
    when("s revokes x; task u in r of ~one");
    expect_line("refused revoked");
    when("~one exits 0");
    expect_line("g compensated");
}
END_TEST

/* R-SAG-2: what is begun after the capability was revoked is undone as well. */
START_TEST(R_SAG_2_a_revoked_capability_stops_no_compensation)
{
    given("shell starts; session s; region r; s derives x in r rights spawn,saga,observe;"
          "saga g in r with x from s; step one of g with x from s; s revokes x");
    when("close r");
    expect_line("g undoes one");
    expect_line("~one started");
    when("task t in r of ~one");
    expect_line("refused revoked");
    when("~one exits 0");
    expect_line("g compensated");
}
END_TEST

/* R-SAG-1: the limits of sagas and steps, and what a step must say. */
START_TEST(R_SAG_1_limits)
{
    given_config()->limits.sagas_per_region = 1;
    given_config()->limits.steps_per_saga = 1;
    given("session s; region r; saga g in r from s; step one of g from s");
    when("saga h in r from s");
    expect("refused busy sagas-per-region");
    when("step two of g from s");
    expect("refused busy steps-per-saga");
    when("saga h in / from s");
    expect("refused invalid");
    when("saga h in r");
    expect("refused invalid"); /* nobody drives it */
    when("step two of g from s by 7");
    expect("refused denied");
    when("step two of g undo does refund retry 2 from s");
    expect("refused invalid"); /* the step says how often */
}
END_TEST

/* ---- R-SAG-2: undone in reverse order, one at a time
 * --------------------------------------------- */

/* R-SAG-2: when a step fails, every started one, the failing one included. */
START_TEST(R_SAG_2_a_failing_step_undoes_all_in_reverse)
{
    given("shell starts; session s; region r; saga g in r from s;"
          "step reserve of g action a from s; a exits 0;"
          "step charge of g action b from s; b exits 0;"
          "step ship of g action c from s");
    when("c exits 1");
    expect("c completed err 1\n"
           "g failed at ship\n"
           "g compensating: a step failed\n"
           "g undoes ship\n"
           "start ~ship\n"
           "~ship started");
    when("~ship exits 0");
    expect("~ship completed ok\n"
           "g undid ship\n"
           "g undoes charge\n"
           "start ~charge\n"
           "~charge started");
    when("~charge exits 0");
    expect("~charge completed ok\n"
           "g undid charge\n"
           "g undoes reserve\n"
           "start ~reserve\n"
           "~reserve started");
    when("~reserve exits 0; close r");
    expect("~reserve completed ok\n"
           "g undid reserve\n"
           "g compensated\n"
           "r cancel user T 30s\n"
           "r finalizing\n"
           "r closed err 1");
}
END_TEST

/* R-SAG-2: an abort cancels the action that is under way, and undoes when it is gone. */
START_TEST(R_SAG_2_an_abort_waits_for_the_action)
{
    given("shell starts; session s; region r; saga g in r from s;"
          "step one of g action a from s; a exits 0; step two of g action b from s");
    when("abort g message enough");
    expect("g compensating: enough\n"
           "b cancel user T 30s\n"
           "signal b 15");
    when("b dies 15 at 2s");
    expect("-- 2s\n"
           "b completed cancelled user signal 15\n"
           "g failed at two\n"
           "g undoes two\n"
           "start ~two\n"
           "~two started");
    when("abort g");
    expect("");
    when("~two exits 0; ~one exits 0");
    expect_line("g compensated");
    when("abort g; complete g; step three of g from s");
    expect_line("refused resolved");
}
END_TEST

/* R-SAG-2: an action that ends well after the abort is undone as well. */
START_TEST(R_SAG_2_an_action_that_ends_well_after_the_abort)
{
    given("session s; region r; saga g in r from s; step one of g action a from s;"
          "shell starts; a starts; abort g");
    when("a exits 0");
    expect_line("g undoes one");
}
END_TEST

/* R-SAG-2, R-FIN-1: one stack, in order of registration. */
START_TEST(R_SAG_2_the_stack_is_last_in_first_out)
{
    given("shell starts; session s; region r; defer f1 to r; saga g in r from s;"
          "defer f2 to r; saga h in r from s; task t in r;"
          "step one of g action a from s; a exits 0; step two of g from s;"
          "step only of h from s");
    when("close r; t dies 15");
    expect("r cancel user T 30s\n"
           "t cancel user T 30s\n"
           "signal t 15\n"
           "t completed cancelled user signal 15\n"
           "r finalizing\n"
           "h compensating: its region closes\n"
           "h undoes only\n"
           "start ~only\n"
           "~only started");
    when("~only exits 0");
    expect("~only completed ok\n"
           "h undid only\n"
           "h compensated\n"
           "start f2\n"
           "f2 started");
    when("f2 exits 0");
    expect("f2 completed ok\n"
           "g compensating: its region closes\n"
           "g undoes two\n"
           "start ~two\n"
           "~two started");
    when("~two exits 0");
    expect_line("g undoes one");
    when("~one exits 0; f1 exits 0");
    expect_line("g compensated");
    expect_line("start f1");
    expect_line("r closed cancelled user signal 15");
}
END_TEST

/* R-SAG-2: a completed saga leaves the stack. */
START_TEST(R_SAG_2_a_completed_saga_is_not_undone)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g from s;"
          "defer f to r; saga h in r from s; complete g");
    when("close r");
    expect("r cancel user T 30s\n"
           "r finalizing\n"
           "h compensating: its region closes\n"
           "h compensated\n"
           "start f\n"
           "f started");
    when("f exits 0");
    expect_line("r closed ok");
}
END_TEST

/* R-SAG-2: compensations are masked: a second cancel, or one of theirs, does nothing. */
START_TEST(R_SAG_2_compensations_are_masked)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g from s; close r");
    when("close r drain 0; cancel ~one; cancel r message again");
    expect("refused denied");
    when("~one exits 0");
    expect_line("r closed ok");
}
END_TEST

/* R-SAG-2: one that began while its region was open goes on through the close, and
 * what stands on the stack begins after it. */
START_TEST(R_SAG_2_a_close_while_it_is_undone)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g from s;"
          "step two of g from s; defer f to r; abort g");
    when("close r");
    expect("r cancel user T 30s\n"
           "r finalizing");
    when("~two exits 0");
    expect_line("g undoes one");
    expect_none("start f");
    when("~one exits 0");
    expect_line("g compensated");
    expect_line("start f");
}
END_TEST

/* R-SAG-2: each attempt has a budget of its own; retries wait, twice as long each time. */
START_TEST(R_SAG_2_retries_with_backoff)
{
    given("shell starts; shell kills; session s; region r; saga g in r from s;"
          "step one of g undo timeout 5s attempts 4 backoff 1s most 3s from s; abort g");
    when("~one exits 1 at 1s; at 2s");
    expect("-- 1s\n"
           "~one completed err 1\n"
           "-- 2s\n"
           "g undoes one\n"
           "start ~one2\n"
           "~one2 started");
    when("at 7s");
    expect("-- 7s\n"
           "kill ~one2\n"
           "~one2 completed panicked finalizer-timeout signal 9 forced");
    when("~one3 exits 1 at 10s");
    expect("-- 9s\n"
           "g undoes one\n"
           "start ~one3\n"
           "~one3 started\n"
           "-- 10s\n"
           "~one3 completed err 1");
    when("~one4 exits 0 at 14s");
    expect("-- 13s\n"
           "g undoes one\n"
           "start ~one4\n"
           "~one4 started\n"
           "-- 14s\n"
           "~one4 completed ok\n"
           "g undid one\n"
           "g compensated");
    when("close r");
    expect_line("r closed ok"); /* by the last attempt (R-FIN-1) */
}
END_TEST

/* R-SAG-2: under finish an open saga holds Draining until it is completed. */
START_TEST(R_SAG_2_under_finish_it_holds_draining)
{
    given("shell starts; session s; region r; task t in r; saga g in r from s;"
          "step one of g action a from s; finish r; t exits 0");
    when("a exits 0; step two of g action b from s; b exits 0");
    expect_none("r finalizing");
    expect_line("g step 2 two");
    when("saga h in r from s");
    expect_line("refused region-closed");
    trace_forget();
    when("complete g");
    expect("g completed\n"
           "r finalizing\n"
           "r closed ok");
}
END_TEST

/* R-SAG-2: and the end of its driver aborts it. */
START_TEST(R_SAG_2_under_finish_the_end_of_its_driver_aborts_it)
{
    given("shell starts; session s; session u; region r; task t in r;"
          "saga g in r from s; step one of g from s;"
          "saga h in r driven t; step first of h driven t");
    when("s bye");
    expect("s ended"); /* its region is open: it waits for its close */
    when("finish r");
    expect("g compensating: its driver ended\n"
           "g undoes one\n"
           "start ~one\n"
           "~one started");
    when("t exits 0");
    expect("t completed ok\n"
           "h compensating: its driver ended\n"
           "h undoes first\n"
           "r finalizing\n"
           "start ~first\n"
           "~first started");
    when("~first exits 0; ~one exits 0");
    expect_line("r closed ok");
}
END_TEST

/* R-SAG-2: whoever goes on with a saga drives it from then on. */
START_TEST(R_SAG_2_a_step_makes_its_caller_the_driver)
{
    given("session s; session u; region r; saga g in r from s; step one of g from u; s bye;"
          "finish r");
    expect_none("g compensating");
    when("u bye");
    expect_line("g compensating: its driver ended");
}
END_TEST

/* R-SAG-2, R-REG-6: F(r) counts every attempt and every wait. */
START_TEST(R_SAG_2_cleanup_time_counts_attempts_and_backoff)
{
    given("session s; region r; region c in r; defer f to r timeout 3s; saga g in r from s;"
          "step one of g undo timeout 5s attempts 4 backoff 1s most 3s from s;"
          "saga h in c from s; step two of h undo timeout 2s from s; task t in c");
    when("close r");
    /* 3 + 4 x 5 + (1 + 2 + 3) + 2 */
    ck_assert_uint_eq(region_of("r").close_by - region_of("r").drain_end, 31 * ASUP_NS_PER_S);
    ck_assert_uint_eq(region_of("c").close_by - region_of("c").drain_end, 2 * ASUP_NS_PER_S);
}
END_TEST

/* R-SAG-2: after the close began, only its compensation is left. */
START_TEST(R_SAG_2_no_step_after_the_close)
{
    given("session s; region r; task t in r running; saga g in r from s; step one of g from s;"
          "close r");
    when("step two of g from s; complete g; abort g");
    expect("refused region-closed\n"
           "refused region-closed");
    when("t dies 15");
    expect_line("g undoes one");
}
END_TEST

/* ---- R-SAG-3
 * ------------------------------------------------------------------------------------- */

/* R-SAG-3: what is not known to have happened is undone. */
START_TEST(R_SAG_3_an_unknown_end_is_undone)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g action a from s");
    when("a lost");
    expect_line("g failed at one");
    expect_line("g undoes one");
}
END_TEST

/* R-SAG-3: a compensation is recorded done at most once: nothing follows a second exit.
 * Invariant compensations-at-most-once. */
START_TEST(R_SAG_3_done_at_most_once)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g from s;"
          "step two of g from s; abort g; ~two exits 0");
    when("~two exits 0; ~two dies 9; ~two empty");
    expect("");
    when("~one exits 0");
    expect_line("g compensated");
    when("~one exits 1");
    expect_none("g undoes");
}
END_TEST

/* R-SAG-3: each attempt is started with the same spec. */
START_TEST(R_SAG_3_every_attempt_runs_the_same_compensation)
{
    given("session s; region r; saga g in r from s;"
          "step one of g action a attempts 2 from s");
    ck_assert_uint_eq(scenario_spec().size, 4);
    when("a starts; a exits 1");
    ck_assert_mem_eq(scenario_spec().data, "undo spec", 9);
    when("~one start-fails exec 2");
    expect_line("start ~one2");
    ck_assert_mem_eq(scenario_spec().data, "undo spec", 9);
    ck_assert_str_eq((const char *)task_of("~one2").label.data, "undo");
}
END_TEST

/* ---- R-FIN-1
 * -------------------------------------------------------------------------------------- */

/* R-FIN-1: one that fails stops nothing, and counts. */
START_TEST(R_FIN_1_a_failing_compensation_counts)
{
    given("shell starts; session s; region r; defer f to r; saga g in r from s;"
          "step one of g from s; close r");
    when("~one exits 3");
    expect_line("g needs attention at one");
    when("resolve g resolved");
    expect_line("g compensated");
    expect_line("start f");
    when("f exits 0");
    expect_line("r closed err 3");
}
END_TEST

/* R-SAG-2: an ended saga stays answerable for its retention, then is forgotten. */
START_TEST(R_SAG_2_ended_sagas_are_retained)
{
    struct saga_view view;

    given("session s; region r; saga g in r from s; step one of g from s; complete g");
    ck_assert(kernel_saga(the_kernel(), id_of("g"), &view));
    ck_assert_int_eq(view.state, SAGA_COMPLETED);
    ck_assert_uint_eq(kernel_saga_ended_next(the_kernel(), 0), id_of("g"));
    when("W waits for g");
    expect_line("W told");
    when("s keepalive at 20s; at 1h");
    expect_line("g forgotten");
    ck_assert(!kernel_saga(the_kernel(), id_of("g"), &view));
}
END_TEST

static const struct rule rules[] = {
    RULE(R_SAG_1_the_compensation_is_recorded_first),
    RULE(R_SAG_1_the_next_step_waits_for_the_last_action),
    RULE(R_SAG_1_a_step_without_an_action),
    RULE(R_SAG_1_an_action_that_is_a_call),
    RULE(R_SAG_1_a_compensation_that_is_a_call),
    RULE(R_SAG_1_a_compensation_that_is_a_call_has_no_watchdog),
    RULE(R_SAG_2_a_compensation_waits_for_a_worker_within_its_budget),
    RULE(R_SAG_3_the_worker_of_a_compensation_dies),
    RULE(R_CAP_1_a_compensation_has_its_makers_rights),
    RULE(R_SAG_2_a_revoked_capability_stops_no_compensation),
    RULE(R_SAG_1_limits),
    RULE(R_SAG_2_a_failing_step_undoes_all_in_reverse),
    RULE(R_SAG_2_an_abort_waits_for_the_action),
    RULE(R_SAG_2_an_action_that_ends_well_after_the_abort),
    RULE(R_SAG_2_the_stack_is_last_in_first_out),
    RULE(R_SAG_2_a_completed_saga_is_not_undone),
    RULE(R_SAG_2_compensations_are_masked),
    RULE(R_SAG_2_a_close_while_it_is_undone),
    RULE(R_SAG_2_retries_with_backoff),
    RULE(R_SAG_2_under_finish_it_holds_draining),
    RULE(R_SAG_2_under_finish_the_end_of_its_driver_aborts_it),
    RULE(R_SAG_2_a_step_makes_its_caller_the_driver),
    RULE(R_SAG_2_cleanup_time_counts_attempts_and_backoff),
    RULE(R_SAG_2_no_step_after_the_close),
    RULE(R_SAG_3_an_unknown_end_is_undone),
    RULE(R_SAG_3_done_at_most_once),
    RULE(R_SAG_3_every_attempt_runs_the_same_compensation),
    RULE(R_FIN_1_a_failing_compensation_counts),
    RULE(R_SAG_2_ended_sagas_are_retained),
};

RULES_MAIN("saga", rules, scenario_begin, scenario_end)
