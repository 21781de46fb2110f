/* SPDX-License-Identifier: MIT */
/* Regions: one tree, who is admitted, three ways to end, quiescence, the way a
 * cancel flows, and what happens to those who do not go (R-REG). */
#include "asupersync/values.h"
#include "scenario.h"

#include <stdio.h>
#include <string.h>

/* ---- R-REG-1: one tree ------------------------------------------------------------ */

/* R-REG-1: regions form one tree under "/"; every task is in exactly one region.
 * Invariant tree-ownership. */
START_TEST(R_REG_1_regions_form_one_tree)
{
    given("region r1; region r2 in r1; region r3 in r1; task t1 in r2 running;"
          "task t2 in r2 running");
    ck_assert_uint_eq(region_of("/").id, ASUP_ROOT_ID);
    ck_assert_uint_eq(region_of("/").parent, 0);
    ck_assert_uint_eq(region_of("r1").parent, ASUP_ROOT_ID);
    ck_assert_uint_eq(region_of("r1").child_first, id_of("r2"));
    ck_assert_uint_eq(region_of("r2").sibling_next, id_of("r3"));
    ck_assert_uint_eq(region_of("r3").sibling_next, 0);
    ck_assert_uint_eq(region_of("r2").depth, 2);
    ck_assert_uint_eq(region_of("r2").task_first, id_of("t1"));
    ck_assert_uint_eq(task_of("t1").next, id_of("t2"));
    ck_assert_uint_eq(task_of("t2").next, 0);
    ck_assert_uint_eq(region_of("r1").tasks_live, 0);
    ck_assert_uint_eq(region_of("r1").children_live, 2);
    when("region r4 in r3 by 2000");
    expect("refused denied");
}
END_TEST

/* R-REG-1: "/" belongs to the daemon: nobody closes it but a shutdown. */
START_TEST(R_REG_1_the_root_is_the_daemons)
{
    given("region r1");
    when("close /");
    expect("refused denied");
    when("cancel /");
    expect("refused denied");
    ck_assert_int_eq(region_of("/").state, ASUP_REGION_OPEN);
}
END_TEST

/* §1 Identifiers: handed out in increasing order, never reused. */
START_TEST(ids_never_reused)
{
    uint64_t last;

    given("region r1; region r2; task t1 in r1 running; task t2 in r1 running");
    ck_assert_uint_lt(id_of("r1"), id_of("r2"));
    ck_assert_uint_lt(id_of("t1"), id_of("t2"));
    last = kernel_id_last(the_kernel());
    ck_assert_uint_ge(last, id_of("t2"));
    given("t1 exits 0; t2 exits 0; close r1; close r2; at 3h");
    given("region r3; task t3 in r3 running");
    ck_assert_uint_gt(id_of("r3"), id_of("r2"));
    ck_assert_uint_gt(id_of("t3"), id_of("t2"));
    ck_assert_uint_ge(kernel_id_last(the_kernel()), last);
}
END_TEST

/* §1 Identifiers: the first id is the shell's to say, so that a new kernel
 * never repeats those of an old one. */
START_TEST(ids_start_where_the_shell_says)
{
    given_config()->id_first = 70000;
    given("region r1; task t1 in r1");
    ck_assert_uint_ge(id_of("r1"), 70000);
    ck_assert_uint_ge(id_of("t1"), 70000);
}
END_TEST

/* ---- R-REG-2: admission -------------------------------------------------------------- */

/* R-REG-2: only an Open region admits; refusal changes nothing. */
START_TEST(R_REG_2_a_closing_region_admits_nothing)
{
    given("region r1; task t1 in r1 running; close r1");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    when("task t2 in r1");
    expect("refused region-closed");
    when("region r2 in r1");
    expect("refused region-closed");
    when("defer f1 to r1");
    expect("refused region-closed");
}
END_TEST

/* R-REG-2: nor does one that finishes. */
START_TEST(R_REG_2_a_finishing_region_admits_nothing)
{
    given("region r1; task t1 in r1 running; finish r1");
    when("task t2 in r1; region r2 in r1; defer f1 to r1");
    expect("refused region-closed\nrefused region-closed\nrefused region-closed");
}
END_TEST

/* R-REG-2: nor one below a region that closes, started before the close
 * reached it or not (a child cannot slip in during the cancel). */
START_TEST(R_REG_2_nothing_is_admitted_below_a_closing_region)
{
    given("region r1; region r2 in r1; task t1 in r2 running; close r1");
    when("task t2 in r2; region r3 in r2");
    expect("refused region-closed\nrefused region-closed");
}
END_TEST

/* R-REG-2: while finalizers run only they do; a closed region admits nothing. */
START_TEST(R_REG_2_finalizing_and_closed_regions_admit_nothing)
{
    given("region r1 finalizer f1; close r1");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_FINALIZING);
    when("task t1 in r1; defer f2 to r1");
    expect("refused region-closed\nrefused region-closed");
    given("f1 starts; f1 exits 0");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_CLOSED);
    when("task t1 in r1");
    expect("refused region-closed");
    when("region r2 in r1");
    expect("refused region-closed");
}
END_TEST

/* ---- R-REG-3: three ways to end --------------------------------------------------------- */

/* R-REG-3: close cancels what runs, with User and "close". */
START_TEST(R_REG_3_close_cancels_what_runs)
{
    struct reason_view reason[4];

    given("region r1; task t1 in r1 running");
    when("close r1");
    expect("r1 cancel user T 30s\n"
           "t1 cancel user T 30s\n"
           "signal t1 15");
    ck_assert_uint_eq(kernel_reason(the_kernel(), region_of("r1").reason, reason, 4), 1);
    ck_assert_uint_eq(reason[0].message.size, 5);
    ck_assert_mem_eq(reason[0].message.data, "close", 5);
    when("t1 dies 15 at 2s");
    expect("-- 2s\n"
           "t1 completed cancelled user signal 15\n"
           "r1 finalizing\n"
           "r1 closed cancelled user signal 15");
}
END_TEST

/* R-REG-3: cancel closes with its own reason. */
START_TEST(R_REG_3_cancel_closes_with_its_own_message)
{
    struct reason_view reason[4];

    given("region r1; task t1 in r1 running");
    when("cancel r1 message enough");
    expect("r1 cancel user T 30s\n"
           "t1 cancel user T 30s\n"
           "signal t1 15");
    ck_assert(region_of("r1").sealed);
    ck_assert_uint_eq(kernel_reason(the_kernel(), task_of("t1").reason, reason, 4), 1);
    ck_assert_mem_eq(reason[0].message.data, "enough", 6);
}
END_TEST

/* R-REG-3: finish seals admission and lets admitted work end: state Draining,
 * no T; nobody is signalled. */
START_TEST(R_REG_3_finish_lets_admitted_work_end)
{
    given("region r1; task t1 in r1 running; task t2 in r1 running");
    when("finish r1");
    expect("");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    ck_assert(region_of("r1").sealed);
    ck_assert(!region_of("r1").cancelled);
    ck_assert_uint_eq(region_of("r1").drain_end, ASUP_NEVER);
    when("t1 exits 0 at 7d");
    expect("-- 7d\n"
           "t1 completed ok");
    when("t2 exits 0 at 169h");
    expect("-- 7d1h\n"
           "t1 forgotten\n"
           "t2 completed ok\n"
           "r1 finalizing\n"
           "r1 closed ok");
}
END_TEST

/* R-REG-3: under finish, tasks that were only Created still run. */
START_TEST(R_REG_3_finish_runs_created_tasks_too)
{
    given("region r1; task t1 in r1 delay 5s; finish r1");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_DRAINING);
    when("at 5s");
    expect("-- 5s\n"
           "start t1");
    when("t1 starts; t1 exits 3");
    expect("t1 started\n"
           "t1 completed err 3\n"
           "r1 finalizing\n"
           "r1 closed err 3");
}
END_TEST

/* R-REG-3: finish flows down to child regions. */
START_TEST(R_REG_3_finish_flows_down)
{
    given("region r1; region r2 in r1; region r3 in r2; task t1 in r3 running");
    when("finish r1");
    expect("");
    ck_assert(region_of("r2").sealed);
    ck_assert(region_of("r3").sealed);
    when("task t2 in r3");
    expect("refused region-closed");
    when("t1 exits 0");
    expect("t1 completed ok\n"
           "r3 finalizing\n"
           "r3 closed ok\n"
           "r2 finalizing\n"
           "r2 closed ok\n"
           "r1 finalizing\n"
           "r1 closed ok");
}
END_TEST

/* R-REG-3: an empty region closes at once, whichever way. */
START_TEST(R_REG_3_an_empty_region_closes_at_once)
{
    given("region r1; region r2; region r3");
    when("close r1; finish r2; cancel r3");
    expect("r1 cancel user T 30s\n"
           "r1 finalizing\n"
           "r1 closed ok\n"
           "r2 finalizing\n"
           "r2 closed ok\n"
           "r3 cancel user T 30s\n"
           "r3 finalizing\n"
           "r3 closed ok");
}
END_TEST

/* R-REG-3: a close may follow a finish. */
START_TEST(R_REG_3_close_after_finish_cancels)
{
    given("region r1; task t1 in r1 running; task t2 in r1 delay 1h; finish r1");
    when("close r1 at 10s");
    expect_line("r1 cancel user T 40s");
    expect_line("t1 cancel user T 40s");
    expect_line("t2 completed cancelled user");
    expect_line("signal t1 15");
    when("t1 dies 15");
    expect_line("r1 closed cancelled user signal 15");
}
END_TEST

/* R-REG-3: closing what is closed already is an answer, not a fault, and
 * changes nothing. */
START_TEST(R_REG_3_closing_twice_changes_nothing)
{
    given("region r1; task t1 in r1 running; close r1");
    when("close r1; finish r1 at 1s");
    expect_none("signal");
    expect_none("t1");
    ck_assert_uint_eq(since_start(region_of("r1").drain_end), 30 * ASUP_NS_PER_S);
    given("t1 dies 15");
    when("close r1");
    expect_none("r1");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_CLOSED);
}
END_TEST

/* R-REG-3: the last exit from a draining region starts its finalizers. */
START_TEST(R_REG_3_last_exit_starts_finalizers)
{
    given("region r1 finalizer f1; task t1 in r1 running; task t2 in r1 running; finish r1");
    when("t1 exits 0 at 10ms");
    expect("-- 10ms\n"
           "t1 completed ok");
    when("t2 exits 0 at 20ms");
    expect("-- 20ms\n"
           "t2 completed ok\n"
           "r1 finalizing\n"
           "start f1");
    when("f1 starts; f1 exits 0");
    expect("f1 started\n"
           "f1 completed ok\n"
           "r1 closed ok");
}
END_TEST

/* ---- R-REG-4: quiescence ------------------------------------------------------------------ */

/* R-REG-4: Closed only when cgroup and work directory are gone. */
START_TEST(R_REG_4_closed_only_when_swept)
{
    given("shell sweeps no; region r1; task t1 in r1 running; finish r1");
    when("t1 exits 0");
    expect("t1 completed ok\n"
           "r1 finalizing\n"
           "sweep r1");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_FINALIZING);
    when("r1 swept 0");
    expect("r1 closed ok");
}
END_TEST

/* R-REG-4: a sweep that fails is tried again and named. */
START_TEST(R_REG_4_a_failed_sweep_is_tried_again)
{
    given("shell sweeps no; region r1; task t1 in r1 running; t1 exits 0; close r1");
    when("r1 swept 16");
    expect_line("r1 sweep failed 16");
    expect_none("r1 closed");
    ck_assert_int_eq(region_of("r1").sweep_error, 16);
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_FINALIZING);
    given("at 1m");
    when("r1 swept 0");
    expect_line("r1 closed ok");
}
END_TEST

/* R-REG-4: not while a process is left, whatever its main process said.
 * Invariant quiescence-on-close. */
START_TEST(R_REG_4_not_while_a_process_is_left)
{
    given("region r1; task t1 in r1 running leftover-wait; finish r1");
    when("t1 main-exits 0");
    expect_none("t1 completed");
    expect_none("r1");
    when("t1 empty at 5m");
    expect_line("t1 completed ok");
    expect_line("r1 closed ok");
}
END_TEST

/* R-REG-4: not while a child region is open. */
START_TEST(R_REG_4_not_while_a_child_is_open)
{
    given("region r1; region r2 in r1; task t1 in r2 running; task t2 in r1 running; close r1");
    when("t2 dies 15 at 1s");
    expect("-- 1s\n"
           "t2 completed cancelled user signal 15");
    when("t1 dies 15 at 2s");
    expect("-- 2s\n"
           "t1 completed cancelled parent-cancelled<user signal 15\n"
           "r2 finalizing\n"
           "r2 closed cancelled parent-cancelled<user signal 15\n"
           "r1 finalizing\n"
           "r1 closed cancelled user signal 15");
}
END_TEST

/* ---- R-REG-5: cancel flows down ----------------------------------------------------------------
 */

/* R-REG-5: the region, its tasks by id, its children by id, depth first; own
 * tasks get its reason, child regions ParentCancelled caused by it.
 * Invariant cancel-propagates. */
START_TEST(R_REG_5_cancel_flows_down_in_order)
{
    given("region r1; region r2 in r1; task t1 in r2 running; task t2 in r1 running;"
          "region r3 in r1; region r4 in r2; task t3 in r4 running; task t4 in r3 running;"
          "task t5 in r1 running");
    when("close r1");
    expect("r1 cancel user T 30s\n"
           "t2 cancel user T 30s\n"
           "t5 cancel user T 30s\n"
           "r2 cancel parent-cancelled<user T 30s\n"
           "t1 cancel parent-cancelled<user T 30s\n"
           "r4 cancel parent-cancelled<parent-cancelled<user T 30s\n"
           "t3 cancel parent-cancelled<parent-cancelled<user T 30s\n"
           "r3 cancel parent-cancelled<user T 30s\n"
           "t4 cancel parent-cancelled<user T 30s\n"
           "signal t2 15\n"
           "signal t5 15\n"
           "signal t1 15\n"
           "signal t3 15\n"
           "signal t4 15");
}
END_TEST

/* R-REG-5: without recursion: a chain of regions as deep as is allowed. */
START_TEST(R_REG_5_the_deepest_tree_is_cancelled)
{
    struct reason_view chain[64];
    char statement[64];
    size_t links;

    given("region d1");
    for (int i = 2; i <= ASUP_DEPTH_MAX; i++) {
        (void)snprintf(statement, sizeof statement, "region d%d in d%d", i, i - 1);
        given(statement);
    }
    (void)snprintf(statement, sizeof statement, "task t1 in d%d running", ASUP_DEPTH_MAX);
    given(statement);
    when("close d1");
    expect_line("signal t1 15");
    given("t1 dies 15");
    ck_assert_int_eq(region_of("d1").state, ASUP_REGION_CLOSED);
    /* the chain of the outcome leads from the bottom up to the close */
    links = kernel_reason(the_kernel(), region_of("d1").outcome.reason, chain, 64);
    ck_assert_uint_eq(links, ASUP_DEPTH_MAX);
    ck_assert_int_eq(chain[links - 1].key.kind, ASUP_CANCEL_USER);
}
END_TEST

/* ---- R-REG-7: the outcome ---------------------------------------------------------------------
 */

/* R-REG-7, R-OUT-2: the worst of what counts; nothing is ever improved. */
START_TEST(R_REG_7_the_outcome_is_the_worst_that_counts)
{
    given("region r1; region r2 in r1; task t1 in r1 running; task t2 in r2 running;"
          "task t3 in r1 running; finish r1");
    given("t1 exits 4 at 1s; t3 exits 0 at 2s");
    when("t2 dies 11 at 3s");
    expect_line("r2 closed panicked signal 11");
    expect_line("r1 closed panicked signal 11");
    ck_assert_uint_eq(region_of("r1").outcome.key.origin, id_of("t2"));
}
END_TEST

/* R-OUT-2: of two Errs the earlier is the region's, wherever it came from. */
START_TEST(R_OUT_2_the_earlier_of_equals)
{
    given("region r1; region r2 in r1; task t1 in r1 running; task t2 in r2 running; finish r1");
    given("t2 exits 7 at 1s");
    when("t1 exits 4 at 2s");
    expect_line("r1 closed err 7");
    ck_assert_uint_eq(region_of("r1").outcome.key.origin, id_of("t2"));
}
END_TEST

static const struct rule rules[] = {
    RULE(R_REG_1_regions_form_one_tree),
    RULE(R_REG_1_the_root_is_the_daemons),
    RULE(ids_never_reused),
    RULE(ids_start_where_the_shell_says),
    RULE(R_REG_2_a_closing_region_admits_nothing),
    RULE(R_REG_2_a_finishing_region_admits_nothing),
    RULE(R_REG_2_nothing_is_admitted_below_a_closing_region),
    RULE(R_REG_2_finalizing_and_closed_regions_admit_nothing),
    RULE(R_REG_3_close_cancels_what_runs),
    RULE(R_REG_3_cancel_closes_with_its_own_message),
    RULE(R_REG_3_finish_lets_admitted_work_end),
    RULE(R_REG_3_finish_runs_created_tasks_too),
    RULE(R_REG_3_finish_flows_down),
    RULE(R_REG_3_an_empty_region_closes_at_once),
    RULE(R_REG_3_close_after_finish_cancels),
    RULE(R_REG_3_closing_twice_changes_nothing),
    RULE(R_REG_3_last_exit_starts_finalizers),
    RULE(R_REG_4_closed_only_when_swept),
    RULE(R_REG_4_a_failed_sweep_is_tried_again),
    RULE(R_REG_4_not_while_a_process_is_left),
    RULE(R_REG_4_not_while_a_child_is_open),
    RULE(R_REG_5_cancel_flows_down_in_order),
    RULE(R_REG_5_the_deepest_tree_is_cancelled),
    RULE(R_REG_7_the_outcome_is_the_worst_that_counts),
    RULE(R_OUT_2_the_earlier_of_equals),
};

RULES_MAIN("region", rules, scenario_begin, scenario_end)
