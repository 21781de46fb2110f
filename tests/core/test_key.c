/* SPDX-License-Identifier: MIT */
/* Idempotency keys (R-IDM-1): the first wins, the same again is answered as the
 * first was, another request is a conflict; how long they live, and that what
 * they name is kept as long. */
#include "scenario.h"

#include <string.h>

START_TEST(R_IDM_1_the_same_request_again_is_answered_as_the_first)
{
    given("shell starts; region r");
    when("task t in r key job digest 7");
    expect("t created\n"
           "answered t\n"
           "start t\n"
           "t started");
    when("task other in r key job digest 7");
    expect("answered t");
    when("t exits 0; task other in r key job digest 7");
    expect("t completed ok\n"
           "answered t");
    ck_assert(task_of("t").has_outcome);
}
END_TEST

/* Invariant idempotency-unique. */
START_TEST(R_IDM_1_another_request_with_that_key_is_a_conflict)
{
    given("shell starts; region r; task t in r key job digest 7");
    when("task u in r key job digest 8");
    expect("refused conflict");
    when("defer f to r key job digest 9");
    expect("refused conflict");
    when("cancel t"); /* and without one nothing is looked up */
    expect_line("t cancel user T 30s");
}
END_TEST

/* Scoped by user and region. */
START_TEST(R_IDM_1_a_key_counts_for_its_user_and_region)
{
    given("shell starts; region r by 1000; region q by 1000; region o by 2000;"
          "task t in r by 1000 key job digest 7");
    when("task u in q by 1000 key job digest 7");
    expect_line("u created");
    when("task v in o by 2000 key job digest 7");
    expect_line("v created");
    when("task w in r by 0 key job digest 8"); /* root is another user */
    expect_line("w created");
}
END_TEST

START_TEST(R_IDM_1_a_refusal_binds_nothing)
{
    given("shell starts; region r tasks 1; task t in r");
    when("task u in r key job digest 7");
    expect("refused busy tasks-per-region");
    when("t exits 0; task u in r key job digest 8");
    expect_line("u created");
}
END_TEST

/* Looked up before admission: also when the region admits nothing any more. */
START_TEST(R_IDM_1_also_after_the_region_closed)
{
    given(
        "shell starts; region r; region in in r key place digest 3; task t in r key job digest 7");
    when("close r; t exits 0; task t2 in r key job digest 7");
    expect_line("r closed cancelled user exit 0");
    expect_line("answered t");
    trace_forget();
    when("region in2 in r key place digest 3");
    expect("answered in");
    when("task u in r key job2 digest 7");
    expect("refused region-closed");
}
END_TEST

/* It lives while its work is in flight, then for its retention. */
START_TEST(R_IDM_1_a_key_lives_while_its_work_does_and_for_its_retention)
{
    given("shell starts; region r; task t in r key job retain 10s digest 7");
    when("at 100s; task u in r key job digest 7");
    expect_line("answered t");
    when("t exits 0; at 109.9s; task u in r key job digest 7");
    expect_line("answered t");
    trace_forget();
    when("task u in r key job digest 8");
    expect("refused conflict");
    when("at 110s; task u in r key job digest 8");
    expect_line("u created");
}
END_TEST

/* What ends at once: from then on. */
START_TEST(R_IDM_1_a_request_that_is_done_at_once_keeps_its_key_from_then_on)
{
    given("shell starts; region r; task t in r; cancel t key stop retain 5s digest 1");
    when("cancel t key stop digest 1");
    expect("answered t");
    when("cancel t key stop digest 2");
    expect("refused conflict");
    given("at 5s");
    when("cancel t key stop digest 2");
    expect_none("refused");
}
END_TEST

/* The outcome that a key names is kept as long as the key, and so is what it was in. */
START_TEST(R_IDM_1_the_outcome_is_kept_as_long_as_the_key)
{
    given_config()->retention_ns = 5 * ASUP_NS_PER_S;
    given_config()->key_retention_ns = 60 * ASUP_NS_PER_S;
    given("shell starts; region r; region in in r; task t in in key job digest 7; task u in in;"
          "t exits 3; u exits 0; finish r");
    when("at 30s");
    expect_line("u forgotten");
    expect_none("t forgotten");
    expect_none("in forgotten");
    ck_assert(task_of("t").has_outcome);
    trace_forget();
    when("W waits for t");
    expect("W told");
    when("at 60s");
    expect("-- 1m\n"
           "t forgotten\n"
           "in forgotten\n"
           "r forgotten");
}
END_TEST

/* With the smallest retention the outcome is there, though much else is retained. */
START_TEST(R_IDM_1_what_a_key_keeps_does_not_count_among_the_retained)
{
    given_config()->limits.retained = 1;
    given("shell starts; region r; task t in r key job digest 7; t exits 0; task u in r; u exits 0;"
          "task v in r");
    when("v exits 0; at 1s");
    expect_line("u forgotten");
    ck_assert(task_of("t").has_outcome);
    when("task w in r key job digest 7");
    expect_line("answered t");
}
END_TEST

/* A late completion from an earlier use changes nothing. */
START_TEST(R_IDM_1_a_late_completion_of_an_earlier_use_changes_nothing)
{
    given("shell starts; region r; task t in r; cancel r key end retain 1s digest 1; at 2s;"
          "task x in r key end digest 2");
    when("close r key end digest 3");
    expect_none("refused conflict");
    when("t exits 0");
    expect_none("refused");
    trace_forget();
    when("close r key end digest 3");
    expect("answered r");
}
END_TEST

/* A capability that died with its region may still ask, one that was revoked may not. */
START_TEST(R_IDM_1_a_lookup_takes_a_dead_capability_but_not_a_revoked_one)
{
    given("session s; shell starts; region r; region in in r; s derives x in in; s derives y in in;"
          "task t in in key job digest 7 with x; s revokes y");
    when("task u in in key job digest 7 with y");
    expect("refused revoked");
    given("t exits 0; close in");
    when("task u in in key job digest 7 with x");
    expect("answered t");
    when("task u in in key job digest 8 with x");
    expect("refused conflict");
    when("task u in in key new digest 8 with x");
    expect("refused expired");
}
END_TEST

START_TEST(R_SCH_4_keys_are_limited)
{
    given_config()->limits.keys_per_user = 1;
    given("shell starts; region r; task t in r key a digest 1");
    when("task u in r key b digest 1");
    expect("refused busy idempotency-keys-per-user");
    when("task u in r key a digest 1");
    expect("answered t");
    when("task v in r");
    expect_line("v created");
}
END_TEST

/* What is good only while it is held cannot be answered again. */
START_TEST(R_IDM_1_what_is_held_takes_no_key)
{
    struct input in;

    given("session s; region r");
    when("s acquires l on name in r key a");
    expect("refused unsupported");
    in = scenario_input(IN_REGION_OPEN);
    in.key = (struct bytes){"0123456789012345678901234567890123456789012345678901234567890123456789"
                            "0123456789012345678901234567890123456789012345678901234567890",
                            131};
    ck_assert_int_eq(scenario_step(&in), -ASUP_ETOOLARGE);
}
END_TEST

/* Two keys that differ by little are two, and what is bound survives a snapshot: the harness folds
 * and saves all of it. */
START_TEST(R_IDM_1_keys_are_compared_whole)
{
    given("region r; region a in r key one digest 1; region b in r key one2 digest 1");
    when("region c in r key one digest 1");
    expect("answered a");
    when("region c in r key one2 digest 1");
    expect("answered b");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_IDM_1_the_same_request_again_is_answered_as_the_first),
    RULE(R_IDM_1_another_request_with_that_key_is_a_conflict),
    RULE(R_IDM_1_a_key_counts_for_its_user_and_region),
    RULE(R_IDM_1_a_refusal_binds_nothing),
    RULE(R_IDM_1_also_after_the_region_closed),
    RULE(R_IDM_1_a_key_lives_while_its_work_does_and_for_its_retention),
    RULE(R_IDM_1_a_request_that_is_done_at_once_keeps_its_key_from_then_on),
    RULE(R_IDM_1_the_outcome_is_kept_as_long_as_the_key),
    RULE(R_IDM_1_what_a_key_keeps_does_not_count_among_the_retained),
    RULE(R_IDM_1_a_late_completion_of_an_earlier_use_changes_nothing),
    RULE(R_IDM_1_a_lookup_takes_a_dead_capability_but_not_a_revoked_one),
    RULE(R_SCH_4_keys_are_limited),
    RULE(R_IDM_1_what_is_held_takes_no_key),
    RULE(R_IDM_1_keys_are_compared_whole),
};

RULES_MAIN("idempotency keys", rules, scenario_begin, scenario_end)
