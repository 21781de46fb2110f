/* SPDX-License-Identifier: MIT */
/* Masks defer what a task observes, for a bounded number of checkpoints, and
 * nothing else (R-TSK-3, mask-bounded). */
#include "asupersync/values.h"
#include "core/state.h"
#include "scenario.h"

static uint8_t
state_of(const char *task)
{
    return task_of(task).state;
}

/* R-TSK-3: each masked checkpoint spends one; at zero the mask no longer holds. */
START_TEST(R_TSK_3_masked_checkpoints_defer_the_cancel)
{
    given("region r1; task t1 in r1 running mask 2; cancel t1");
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCEL_REQUESTED);
    when("t1 checkpoints masked");
    expect("masked");
    ck_assert_uint_eq(task_of("t1").mask_left, 1);
    when("t1 checkpoints masked");
    expect("masked");
    ck_assert_uint_eq(task_of("t1").mask_left, 0);
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCEL_REQUESTED);
    when("t1 checkpoints masked");
    expect("");
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCELLING);
    ck_assert_uint_eq(task_of("t1").mask_depth, 2);
}
END_TEST

/* R-TSK-3: a mask that is taken off observes at once, whatever is left. */
START_TEST(R_TSK_3_an_unmasked_checkpoint_observes)
{
    given("region r1; task t1 in r1 running mask 9; cancel t1; t1 checkpoints masked");
    when("t1 checkpoints");
    expect("");
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCELLING);
    ck_assert_uint_eq(task_of("t1").mask_left, 8);
}
END_TEST

/* R-TSK-3: the allowance is given once: a masked checkpoint before any cancel
 * spends too, and none without a mask brings it back. */
START_TEST(R_TSK_3_the_allowance_is_given_once)
{
    given("region r1; task t1 in r1 running mask 2");
    when("t1 checkpoints masked; t1 checkpoints; t1 checkpoints masked; t1 checkpoints");
    expect("masked\n"
           "masked");
    ck_assert_uint_eq(task_of("t1").mask_left, 0);
    given("cancel t1");
    when("t1 checkpoints masked");
    expect("");
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCELLING);
}
END_TEST

/* R-TSK-3: who declared none masks nothing. */
START_TEST(R_TSK_3_no_depth_no_mask)
{
    given("region r1; task t1 in r1 running notify; cancel t1");
    when("t1 checkpoints masked");
    expect("");
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCELLING);
}
END_TEST

/* R-TSK-3: progress is a report like a checkpoint: it observes, or its mask
 * is spent. */
START_TEST(R_TSK_3_progress_is_masked_likewise)
{
    given("region r1; task t1 in r1 running mask 1; cancel t1");
    when("t1 progresses 4 masked");
    expect("masked");
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCEL_REQUESTED);
    ck_assert_uint_eq(task_of("t1").cost_spent, 4);
    when("t1 progresses 0 masked");
    expect("");
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCELLING);
}
END_TEST

/* R-TSK-3, R-BUD-3: a masked checkpoint spends its poll all the same, and the
 * cancel that this brings about is deferred like any other. */
START_TEST(R_TSK_3_a_masked_checkpoint_spends_its_poll)
{
    given("region r1; task t1 in r1 running mask 1 polls 1; shell delivers no");
    when("t1 checkpoints masked");
    expect("t1 cancel poll-quota T 10s\n"
           "masked\n"
           "signal t1 15");
    ck_assert_uint_eq(task_of("t1").polls_spent, 1);
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCEL_REQUESTED);
}
END_TEST

/* R-TSK-3: T holds under a mask, and so do the polls of cleanup. */
START_TEST(R_TSK_3_a_mask_never_defers_the_kill)
{
    given_config()->allowance[0].polls = 3;
    given("region r1; task t1 in r1 running mask 1000; cancel t1 drain 2s;"
          "t1 checkpoints masked");
    when("at 2s");
    expect("-- 2s\n"
           "kill t1");
    given("task t2 in r1 running mask 1000; cancel t2");
    when("t2 checkpoints masked; t2 checkpoints masked");
    expect("masked\n"
           "masked");
    when("t2 checkpoints masked");
    expect("kill t2\n"
           "masked");
}
END_TEST

/* R-TSK-2, R-TSK-3: the signal goes out under a mask. For a process that was
 * submitted without speaking its delivery acknowledges, and no mask undoes it;
 * one that declared how it checks points says itself when it observes. */
START_TEST(R_TSK_3_a_mask_never_defers_the_signal)
{
    given("region r1; task t1 in r1 running; task t2 in r1 running mask 1;"
          "task t3 in r1 running response 1s");
    when("cancel t1");
    expect_line("signal t1 15");
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCELLING);
    when("t1 checkpoints masked");
    expect_none("masked");
    when("cancel t2; cancel t3");
    expect_line("signal t2 15");
    ck_assert_int_eq(state_of("t2"), ASUP_TASK_CANCEL_REQUESTED);
    ck_assert_int_eq(state_of("t3"), ASUP_TASK_CANCEL_REQUESTED);
}
END_TEST

/* R-TSK-3, R-IDM-1: a repeat of a masked report spends nothing more. */
START_TEST(R_TSK_3_a_repeat_spends_nothing)
{
    given("session s1; s1 attached; region r1; task t1 in r1 running mask 2; cancel t1;"
          "t1 progresses 4 masked from s1 request 7 digest 7");
    when("t1 progresses 4 masked from s1 request 7 digest 7");
    expect_line("masked");
    ck_assert_uint_eq(task_of("t1").mask_left, 1);
    ck_assert_uint_eq(task_of("t1").cost_spent, 4);
    ck_assert_int_eq(state_of("t1"), ASUP_TASK_CANCEL_REQUESTED);
}
END_TEST

/* §9 mask-bounded: more left than was declared is found. */
START_TEST(mask_bounded_is_checked)
{
    struct kernel *k;
    struct task *t;

    given("region r1; task t1 in r1 running mask 2; t1 checkpoints masked");
    k = the_kernel();
    t = task_at(k, index_find(&k->task_ids, id_of("t1")));
    ck_assert_ptr_null(kernel_check(k));
    t->run.mask_left += 2;
    ck_assert_str_eq(kernel_check(k), "mask-bounded");
    t->run.mask_left -= 2;
}
END_TEST

static const struct rule rules[] = {
    RULE(R_TSK_3_masked_checkpoints_defer_the_cancel),
    RULE(R_TSK_3_an_unmasked_checkpoint_observes),
    RULE(R_TSK_3_the_allowance_is_given_once),
    RULE(R_TSK_3_no_depth_no_mask),
    RULE(R_TSK_3_progress_is_masked_likewise),
    RULE(R_TSK_3_a_masked_checkpoint_spends_its_poll),
    RULE(R_TSK_3_a_mask_never_defers_the_kill),
    RULE(R_TSK_3_a_mask_never_defers_the_signal),
    RULE(R_TSK_3_a_repeat_spends_nothing),
    RULE(mask_bounded_is_checked),
};

RULES_MAIN("mask", rules, scenario_begin, scenario_end)
