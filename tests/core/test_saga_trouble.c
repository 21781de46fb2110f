/* SPDX-License-Identifier: MIT */
/* Sagas in trouble: attempts that are used up (R-SAG-4), Shutdown, the potential. */
#include "scenario.h"

/* R-SAG-4: it stops, visibly, and the region stays Finalizing. */
START_TEST(R_SAG_4_no_attempt_is_left)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g from s;"
          "step two of g attempts 2 from s; task t in r; W waits for g");
    when("abort g; ~two exits 1; ~two2 exits 2");
    expect_line("g needs attention at two");
    expect_line("W told");
    expect_none("g undoes one");
    when("close r; t dies 15");
    trace_forget();
    when("s keepalive; at 10s; s keepalive; at 30s; s keepalive; at 55s");
    expect(""); /* and nobody calls that a timeout */
    ck_assert_int_eq(region_of("r").state, ASUP_REGION_FINALIZING);
    ck_assert_uint_eq(region_of("r").close_by, ASUP_NEVER);
    ck_assert_uint_eq(region_of("r").sagas_attention, 1);
}
END_TEST

/* R-SAG-4: an operator has it tried again, with as many attempts as before. */
START_TEST(R_SAG_4_retried_by_an_operator)
{
    given("shell starts; session s; region r; saga g in r from s;"
          "step one of g attempts 2 from s; abort g; ~one exits 1; ~one2 exits 1; close r");
    when("resolve g retry");
    expect("g resolved retry\n"
           "g undoes one\n"
           "start ~one3\n"
           "~one3 started");
    when("resolve g retry");
    expect("refused invalid");
    when("~one3 exits 1; ~one4 exits 0");
    expect_line("g compensated");
    expect_line("r closed ok");
}
END_TEST

/* R-SAG-4: or says that it is settled; its failure counts (R-FIN-1). */
START_TEST(R_SAG_4_resolved_by_an_operator)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g from s;"
          "step two of g from s; close r; ~two exits 1");
    when("resolve g resolved");
    expect("g resolved resolve\n"
           "g undoes one\n"
           "start ~one\n"
           "~one started");
    when("~one exits 0");
    expect_line("r closed err 1");
}
END_TEST

/* R-SAG-4: never skipped: what lies below waits; what lies above does not. */
START_TEST(R_SAG_4_it_is_never_skipped)
{
    given("shell starts; session s; region r; defer f1 to r; saga g in r from s;"
          "step one of g from s; defer f2 to r; abort g; ~one exits 1");
    when("close r");
    expect("r cancel user T 30s\n"
           "r finalizing\n"
           "start f2\n"
           "f2 started");
}
END_TEST

/* R-SAG-4: a retry while a finalizer above it runs waits for that one. */
START_TEST(R_SAG_4_a_retry_waits_for_the_running_finalizer)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g from s;"
          "defer f to r; abort g; ~one exits 1; close r");
    when("resolve g retry");
    expect("g resolved retry");
    when("f exits 0");
    expect("f completed ok\n"
           "g undoes one\n"
           "start ~one2\n"
           "~one2 started");
    when("~one2 exits 0");
    expect_line("r closed ok");
}
END_TEST

/* R-SAG-4: an ancestor waits as well, and promises nothing. */
START_TEST(R_SAG_4_ancestors_wait)
{
    given("shell starts; session s; region r; region c in r; saga g in c from s;"
          "step one of g from s; close r");
    ck_assert_uint_ne(region_of("r").close_by, ASUP_NEVER);
    when("~one exits 1");
    ck_assert_uint_eq(region_of("r").close_by, ASUP_NEVER);
    trace_forget();
    when("s keepalive; at 25s; s keepalive; at 50s");
    expect("");
}
END_TEST

/* R-SAG-4: under Shutdown the daemon waits for no operator. */
START_TEST(R_SAG_4_a_shutdown_leaves_it)
{
    given("shell starts; shell obeys; session s; region r; saga g in r from s;"
          "step one of g from s; region q; task t in q; shutdown");
    expect_none("quiescent");
    when("~one exits 1");
    expect_line("g needs attention at one");
    expect_line("quiescent");
    ck_assert_int_eq(region_of("r").state, ASUP_REGION_FINALIZING);
}
END_TEST

/* R-SAG-4: but it waits for everything else. */
START_TEST(R_SAG_4_a_shutdown_waits_for_the_others)
{
    given("shell starts; session s; region r; saga g in r from s; step one of g from s;"
          "abort g; ~one exits 1; region q; task t in q; defer f to q; shutdown");
    expect_none("quiescent");
    when("t dies 15");
    expect_none("quiescent");
    when("f exits 0");
    expect_line("quiescent");
    trace_forget();
    when("shutdown");
    expect_none("quiescent"); /* once */
}
END_TEST

/* R-REG-6: a second Shutdown gives a running attempt, and later ones, a second. */
START_TEST(R_REG_6_a_second_shutdown_hurries_compensations)
{
    given("shell starts; shell kills; session s; region r; saga g in r from s;"
          "step one of g attempts 2 backoff 20s from s; defer f to r; abort g; shutdown");
    when("shutdown at 2s");
    expect_line("~one extended to 3s");
    when("at 5s");
    expect_line("kill ~one");
    expect_line("start ~one2");
    expect_line("kill ~one2");
    expect_line("g needs attention at one");
}
END_TEST

/* R-SCH-3: what a saga weighs, and that every step of its cleanup weighs less. */
START_TEST(R_SCH_3_the_weight_of_a_saga)
{
    uint64_t region;
    struct kernel *k = the_kernel();

    given("shell starts; session s; region r");
    region = kernel_potential(k);
    when("saga g in r from s");
    ck_assert_uint_eq(kernel_potential(k), region + 1);
    when("step one of g attempts 3 from s; step two of g from s");
    ck_assert_uint_eq(kernel_potential(k), region + 1 + (1 + 6 * 3) + (1 + 6));
    when("abort g"); /* an attempt is spent: 6 for a task that has 4 phases left */
    ck_assert_uint_eq(kernel_potential(k), region + 1 + (1 + 6 * 3) + 1 + 4);
    when("~two exits 0");
    ck_assert_uint_eq(kernel_potential(k), region + 1 + (1 + 6 * 2) + 4);
    when("~one exits 1; ~one2 exits 0");
    ck_assert_uint_eq(kernel_potential(k), region);
    when("close r");
    ck_assert_uint_eq(kernel_potential(k), 0);
}
END_TEST

/* R-EVT-2: a request for which there is no memory leaves no mark; facts are
 * brought again. */
START_TEST(R_EVT_2_sagas_when_memory_is_short)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        scenario_end();
        scenario_begin();
        scenario_memory_scarce(seed);
        given("shell starts; shell obeys; session s; region r; defer f to r; saga g in r from s;"
              "step one of g action a attempts 3 from s; a exits 0; step two of g from s;"
              "step three of g action c from s; c exits 1; ~three exits 0; ~two exits 0;"
              "~one exits 1; ~one2 exits 1; ~one3 exits 1; resolve g retry; ~one4 exits 0;"
              "close r; f exits 0");
        ck_assert_int_eq(region_of("r").state, ASUP_REGION_CLOSED);
        ck_assert_int_eq(region_of("r").outcome.key.severity, ASUP_ERR);
    }
    ck_assert_int_gt(scenario_memory_starved(), 0);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_SAG_4_no_attempt_is_left),
    RULE(R_SAG_4_retried_by_an_operator),
    RULE(R_SAG_4_resolved_by_an_operator),
    RULE(R_SAG_4_it_is_never_skipped),
    RULE(R_SAG_4_a_retry_waits_for_the_running_finalizer),
    RULE(R_SAG_4_ancestors_wait),
    RULE(R_SAG_4_a_shutdown_leaves_it),
    RULE(R_SAG_4_a_shutdown_waits_for_the_others),
    RULE(R_REG_6_a_second_shutdown_hurries_compensations),
    RULE(R_SCH_3_the_weight_of_a_saga),
    RULE(R_EVT_2_sagas_when_memory_is_short),
};

RULES_MAIN("saga_trouble", rules, scenario_begin, scenario_end)
