/* SPDX-License-Identifier: MIT */
/* What happens to those who do not go: the kill at T, soft regions, and what
 * cannot be killed (R-REG-8). */
#include "scenario.h"

/* R-REG-8: at T what still runs is killed, and the outcome says forced. */
START_TEST(R_REG_8_what_runs_at_T_is_killed)
{
    given("region r1; task t1 in r1 running; task t2 in r1 running; close r1; t2 dies 15 at 1s");
    when("at 29s");
    expect("");
    when("at 30s");
    expect("-- 30s\n"
           "kill t1");
    when("t1 killed");
    expect("t1 completed cancelled user signal 9 forced\n"
           "r1 finalizing\n"
           "r1 closed cancelled user signal 15");
    ck_assert(task_of("t1").outcome.forced);
    ck_assert(!task_of("t2").outcome.forced);
}
END_TEST

/* R-REG-8: a soft region waits for ever instead. */
START_TEST(R_REG_8_a_soft_region_waits)
{
    given("region r1 soft; task t1 in r1 running; close r1");
    when("at 7d");
    expect_none("kill");
    when("t1 exits 0");
    expect_line("r1 closed cancelled user exit 0");
}
END_TEST

/* R-REG-8: except under Shutdown. */
START_TEST(R_REG_8_a_soft_region_is_killed_under_shutdown)
{
    given("region r1 soft; task t1 in r1 running; close r1; at 1h");
    when("shutdown");
    expect_line("t1 cancel parent-cancelled<shutdown T 1h5s");
    when("at 1h5s");
    expect_line("kill t1");
}
END_TEST

/* R-CAN-2, R-REG-8: a request's shorter drain holds in soft regions too:
 * run's second Ctrl-C is User with drain 0. */
START_TEST(R_REG_8_a_shorter_drain_reaches_soft_regions)
{
    given("region r1 soft; task t1 in r1 running; cancel r1; at 3s");
    when("cancel r1 drain 0");
    expect_line("kill t1");
    when("t1 killed");
    expect_line("r1 closed cancelled user signal 9 forced");
}
END_TEST

/* R-CAN-2, R-CAN-1: each request has the allowance of its own cause, also where a stronger
 * reason stands already that has no T. Random walk 616 asked. */
START_TEST(R_CAN_2_a_weaker_request_has_its_own_allowance)
{
    given("region r1 policy race soft; task t1 in r1 running; task t2 in r1 running;"
          "t2 exits 0; at 3s");
    ck_assert_uint_eq(region_of("r1").drain_end, ASUP_NEVER);
    when("cancel r1 drain 1h");
    expect_line("r1 cancel race-lost T 33s");
    when("cancel r1 drain 8s");
    expect_line("r1 cancel race-lost T 11s");
}
END_TEST

/* R-REG-8: what cannot be killed keeps the region Draining, is reported as
 * RegionCloseTimeout, and progress goes on when it is gone. */
START_TEST(R_REG_8_the_unkillable_is_named_not_abandoned)
{
    given("region r1; task t1 in r1 running; close r1; at 30s");
    when("at 34s");
    expect_none("r1 close timeout");
    when("at 35s");
    expect_line("r1 close timeout for t1");
    ck_assert(region_of("r1").close_timeout);
    ck_assert(task_of("t1").unkillable);
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    given("at 10m");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    when("t1 killed");
    expect_line("t1 completed cancelled user signal 9 forced");
    expect_line("r1 closed cancelled user signal 9 forced");
}
END_TEST

/* R-REG-8: a soft child keeps its parent, which promises nothing then. */
START_TEST(R_REG_8_a_soft_child_keeps_its_parent)
{
    given("region r1; region r2 in r1 soft; task t1 in r2 running; task t2 in r1 running;"
          "close r1");
    ck_assert_uint_eq(region_of("r1").close_by, ASUP_NEVER);
    when("at 30s");
    expect("-- 30s\n"
           "kill t2");
    when("t2 killed; at 1h");
    expect_none("kill");
    expect_none("r1");
    when("t1 exits 0");
    expect_line("r2 closed cancelled parent-cancelled<user exit 0");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_CLOSED);
}
END_TEST

/* R-CAN-2: a shorter drain asked of the parent reaches its soft children. */
START_TEST(R_REG_8_a_shorter_drain_reaches_soft_children)
{
    given("region r1; region r2 in r1 soft; region r3 in r2; task t1 in r3 running; close r1");
    when("cancel r1 drain 2s at 10s; at 1m");
    expect_line("-- 12s");
    expect_line("kill t1");
}
END_TEST

/* R-REG-8: a hard region below a soft one is hard: its own T holds. */
START_TEST(R_REG_8_soft_is_not_inherited)
{
    given("region r1 soft; region r2 in r1; task t1 in r2 running; task t2 in r1 running;"
          "close r1; at 1h");
    ck_assert(task_of("t1").escalated);
    ck_assert(!task_of("t2").escalated);
}
END_TEST

/* R-REG-8: one task of a soft region may still be cancelled hard. */
START_TEST(R_REG_8_one_task_with_drain_0)
{
    given("region r1 soft; task t1 in r1 running; task t2 in r1 running; cancel t1; cancel t2;"
          "at 10m");
    when("cancel t1 drain 0");
    expect_line("kill t1");
    expect_none("kill t2");
}
END_TEST

/* R-TSK-4: ended by itself just before the kill reached it: not forced. */
START_TEST(R_REG_8_an_end_just_before_the_kill)
{
    given("region r1; task t1 in r1 running; close r1; at 30s");
    when("t1 exits 0");
    expect_line("t1 completed cancelled user exit 0");
    ck_assert(!task_of("t1").outcome.forced);
}
END_TEST

/* R-REG-8: a finalizer that cannot be killed is reported too, and the rest of
 * the stack runs when it is gone. */
START_TEST(R_REG_8_an_unkillable_finalizer)
{
    given("shell starts; region r1 finalizer f1 finalizer f2; close r1");
    when("at 10m");
    expect_line("-- 10s");
    expect_line("kill f2");
    expect_line("-- 15s");
    expect_line("r1 close timeout for f2");
    expect_none("start f1");
    ck_assert(region_of("r1").close_timeout);
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_FINALIZING);
    trace_forget();
    when("f2 killed");
    expect("f2 completed panicked finalizer-timeout signal 9 forced\n"
           "start f1\n"
           "f1 started");
    given("f1 exits 0");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_CLOSED);
}
END_TEST

/* R-REG-8: a start that is never answered is nothing that could be killed: it
 * keeps the region and is reported. */
START_TEST(R_REG_8_a_start_that_hangs)
{
    given("region r1; task t1 in r1; close r1");
    when("at 10m");
    expect_line("r1 close timeout");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    when("t1 starts");
    expect_line("kill t1");
    given("t1 killed");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_CLOSED);
    ck_assert_int_eq(task_of("t1").outcome.key.severity, ASUP_CANCELLED);
}
END_TEST

/* R-REG-8: what is left of a task after its main process ended may be
 * unkillable as well. */
START_TEST(R_REG_8_unkillable_leftovers)
{
    given("region r1; task t1 in r1 running; finish r1; t1 main-exits 0; at 10m");
    ck_assert(task_of("t1").escalated);
    ck_assert(task_of("t1").unkillable);
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    when("t1 empty");
    expect("t1 completed ok\n"
           "r1 finalizing\n"
           "r1 closed ok");
}
END_TEST

/* R-REG-8: a finalizer whose start hangs past its budget is killed and counts
 * Panicked as well. */
START_TEST(R_REG_8_a_finalizer_that_hangs_while_starting_panics)
{
    given("region r1 finalizer f1; finish r1");
    when("at 10s");
    expect("-- 10s\n"
           "kill f1");
    when("f1 start-fails killed 125");
    expect_line("f1 completed panicked finalizer-timeout");
    expect_line("r1 closed panicked finalizer-timeout");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_REG_8_what_runs_at_T_is_killed),
    RULE(R_REG_8_a_soft_region_waits),
    RULE(R_REG_8_a_soft_region_is_killed_under_shutdown),
    RULE(R_REG_8_a_shorter_drain_reaches_soft_regions),
    RULE(R_CAN_2_a_weaker_request_has_its_own_allowance),
    RULE(R_REG_8_the_unkillable_is_named_not_abandoned),
    RULE(R_REG_8_a_soft_child_keeps_its_parent),
    RULE(R_REG_8_a_shorter_drain_reaches_soft_children),
    RULE(R_REG_8_soft_is_not_inherited),
    RULE(R_REG_8_one_task_with_drain_0),
    RULE(R_REG_8_an_end_just_before_the_kill),
    RULE(R_REG_8_an_unkillable_finalizer),
    RULE(R_REG_8_a_start_that_hangs),
    RULE(R_REG_8_unkillable_leftovers),
    RULE(R_REG_8_a_finalizer_that_hangs_while_starting_panics),
};

RULES_MAIN("escalation", rules, scenario_begin, scenario_end)
