/* SPDX-License-Identifier: MIT */
/* What the daemon's policy leaves a user (R-CAP-2): it comes with each request,
 * bounds whatever that user asks for, and nothing is a way around it. */
#include "scenario.h"

/* R-CAP-2: without a policy everything in one's own regions; with one, less. */
START_TEST(R_CAP_2_a_right_that_the_policy_withholds_is_refused)
{
    given("session s; shell starts; region r; task t in r; saga g in r from s");
    when("task u in r withheld spawn");
    expect("refused denied");
    when("region in in r withheld spawn");
    expect("refused denied");
    when("region top withheld spawn"); /* "/" is everybody's, but for that */
    expect("refused denied");
    when("defer f to r withheld spawn");
    expect("refused denied");
    when("cancel t withheld cancel");
    expect("refused denied");
    when("cancel r withheld cancel");
    expect("refused denied");
    when("close r withheld close");
    expect("refused denied");
    when("W waits for t withheld observe timeout 1s");
    expect("W refused denied");
    when("s derives x in r withheld delegate");
    expect("refused denied");
    when("s derives x in r rights cancel withheld cancel");
    expect("refused denied");
    when("s reserves o in r withheld io");
    expect("refused denied");
    when("s acquires l on name in r withheld lease");
    expect("refused denied");
    /* The others are untouched by it. */
    when("task u in r withheld cancel,close,io,lease,delegate,observe");
    expect_line("u started");
    when("cancel t withheld close");
    expect_line("t cancel user T 30s");
}
END_TEST

/* R-CAP-2: root and the daemon's owner cannot be locked out. */
START_TEST(R_CAP_2_root_is_not_bounded)
{
    given("shell starts; region r by 1000");
    when("task t in r by 0 withheld spawn,observe nowhere");
    expect_line("t started");
    when("shutdown by 0 withheld admin nowhere");
    expect_line("/ cancel shutdown T 5s");
}
END_TEST

/* R-CAP-2: who has a region by policy works there, whoever's it is, and nowhere else. */
START_TEST(R_CAP_2_a_policy_may_give_a_region_and_nothing_else)
{
    given("shell starts; region ci by 0; region in in ci by 2000 under ci; region own by 1000; "
          "region other "
          "by 2000;"
          "task mine in own by 1000; task theirs in in by 2000");
    when("region build in ci by 1000 under ci");
    expect("build opened");
    when("task t in ci by 1000 under ci");
    expect_line("t started");
    when("task u in in by 1000 under ci");
    expect_line("u started");
    when("cancel theirs by 1000 under ci");
    expect_line("theirs cancel user T 30s");
    trace_forget();
    when("W waits for theirs by 1000 under ci timeout 0s");
    expect("W refused timeout");
    when("task w in other by 1000 under ci");
    expect("refused denied");
    when("region top by 1000 under ci");
    expect("refused denied");
    when("task w in own by 1000 under ci"); /* from before the policy */
    expect("refused denied");
    when("cancel mine by 1000 under ci");
    expect("refused denied");
    when("W waits for mine by 1000 under ci timeout 0s");
    expect("W refused denied");
    when("task w in ci by 2000"); /* whom it was not given */
    expect("refused denied");
    when("task w in ci by 1000 under ci withheld spawn");
    expect("refused denied");
}
END_TEST

/* R-CAP-2: those who share a region do not end it for each other. */
START_TEST(R_CAP_2_a_region_that_is_shared_is_ended_by_its_user)
{
    given("region ci by 0; region build in ci by 2000 under ci");
    when("close ci by 1000 under ci");
    expect("refused denied");
    when("cancel ci by 1000 under ci");
    expect("refused denied");
    when("finish ci by 1000 under ci");
    expect("refused denied");
    when("close build by 1000 under ci");
    expect_line("build cancel user T 30s");
    when("close ci by 0");
    expect_line("ci closed ok");
}
END_TEST

/* R-CAP-2: a region that is not there gives nothing, own things included. */
START_TEST(R_CAP_2_a_region_that_is_gone_gives_nothing)
{
    given("shell starts; region ci by 0; region own by 1000");
    when("task t in own by 1000 nowhere");
    expect("refused denied");
    when("region r by 1000 nowhere");
    expect("refused denied");
    when("close ci by 0");
    trace_forget();
    when("region r in ci by 1000 under ci");
    expect("refused region-closed");
    when("region r by 1000 under ci");
    expect("refused denied");
}
END_TEST

/* R-CAP-1, R-CAP-2: neither the own capability of a task nor a derived one is a way around the
 * policy, whenever it was made. */
START_TEST(R_CAP_2_no_capability_of_ones_own_is_a_way_around_it)
{
    given("session s; shell starts; region r; region ci by 0; task t in r;"
          "s derives x in r; task u in r with x");
    /* They were made before the policy was. */
    when("task v in r with t withheld spawn");
    expect("refused denied");
    when("task v in r with x withheld spawn");
    expect("refused denied");
    when("task v in r with u withheld spawn");
    expect("refused denied");
    when("close r with t withheld close");
    expect("refused denied");
    when("t derives y in r withheld delegate");
    expect("refused denied");
    when("t derives y in r rights cancel withheld cancel");
    expect("refused denied");
    when("x derives y in r rights cancel withheld cancel");
    expect("refused denied");
    when("W waits for u with t withheld observe timeout 1s");
    expect("W refused denied");
    when("task v in r with t under ci");
    expect("refused denied");
    when("task v in r with x under ci");
    expect("refused denied");
    /* The same without one. */
    when("task v in r with t");
    expect_line("v started");
}
END_TEST

/* R-CAP-2: what root gave to a program that runs as a user is root's to give. */
START_TEST(R_CAP_2_what_root_gave_to_a_task_stays)
{
    given("shell starts; region r by 0; task t in r as 1000 by 0");
    when("task u in r with t by 1000 withheld spawn");
    expect_line("u started");
    trace_forget();
    /* What that starts in turn is the user's own. */
    when("task v in r with u by 1000 withheld spawn");
    expect("refused denied");
}
END_TEST

/* R-CAP-2, R-BUD-1: the ceilings of the policy are met into each thing that is made. */
START_TEST(R_CAP_2_ceilings_hold_for_everything_that_is_made)
{
    struct capability_view v;

    given("session s; shell starts; region r; task own in r");
    when(
        "task t in r timeout 90s priority 180 polls 9 most-time 60s most-priority 50 most-polls 5");
    ck_assert_uint_eq(task_of("t").budget.limit_at, instant("60s"));
    ck_assert_uint_eq(task_of("t").budget.priority, 50);
    ck_assert_uint_eq(task_of("t").budget.poll_quota, 5);
    when("task u in r most-time 60s most-priority 50"); /* unset runs as 128 */
    ck_assert_uint_eq(task_of("u").budget.limit_at, instant("60s"));
    ck_assert_uint_eq(task_of("u").budget.priority, 50);
    when("task v in r with own timeout 9s priority 20 most-time 60s most-priority 50");
    ck_assert_uint_eq(task_of("v").budget.limit_at, instant("9s"));
    ck_assert_uint_eq(task_of("v").budget.priority, 20);
    when("region in in r most-time 60s most-priority 50");
    ck_assert_uint_eq(region_of("in").budget.limit_at, instant("60s"));
    /* Counted from when it is due, and likewise for what runs at the end. */
    when("task late in r delay 30s most-time 60s");
    ck_assert_uint_eq(task_of("late").budget.limit_at, instant("90s"));
    when("region q; defer f to q timeout 30m most-time 60s; close q");
    ck_assert_uint_eq(task_of("f").kill_at, instant("60s"));
    when("s derives x in r priority 100 most-priority 50 most-polls 5");
    ck_assert(kernel_capability(the_kernel(), id_of("x"), &v));
    ck_assert_uint_eq(v.priority_ceiling, 50);
    ck_assert_uint_eq(v.poll_ceiling, 5);
    trace_forget();
    when("at 60s");
    expect_line("t cancel timeout T 1m15s");
    expect_line("in cancel timeout T 1m15s");
}
END_TEST

/* R-CAP-4: who is shut out gives back what it holds, and does nothing else. */
START_TEST(R_CAP_4_who_is_shut_out_gives_back)
{
    given("session s; shell starts; region r; task t in r; s reserves o in r; s reserves p in r;"
          "task keyed in r key job");
#define SHUT                                                                                       \
    " withheld spawn,cancel,close,observe,time,random,trace,channel,lease,io,saga,serve,delegate"
    when("session again" SHUT);
    expect("refused denied");
    when("s commits o" SHUT);
    expect("refused denied");
    when("cancel t" SHUT);
    expect("refused denied");
    when("task keyed in r key job" SHUT); /* R-IDM-1: as little as one that was revoked */
    expect("refused denied");
    when("s aborts o" SHUT);
    expect("o aborted");
    when("s commits p");
    expect("p committed");
#undef SHUT
}
END_TEST

/* R-CAP-2, R-CAP-4: a worker that offered before gets calls where it may still serve. */
START_TEST(R_CAP_2_a_worker_serves_where_the_policy_lets_it)
{
    given("session s by 1000; region ci by 0; region own by 1000; task t in own does f by 1000");
    when("s offers f in ci by 1000");
    expect("refused denied");
    when("s offers f by 1000 withheld serve"); /* "/" is everybody's, but for that */
    expect("refused denied");
    when("s offers f by 1000 under ci");
    expect("refused denied");
    when("s offers f in own by 1000");
    trace_forget();
    when("s asks poll by 1000 withheld serve");
    expect("refused denied");
    when("s asks poll by 1000 under ci");
    expect("refused denied");
    when("s asks poll by 1000");
    expect_line("t begun by s");
}
END_TEST

/* R-CAP-2: admin can be given; it lets see nothing. */
START_TEST(R_CAP_2_admin_may_be_granted)
{
    given("shell starts; region r by 2000");
    when("cancel r by 1000 granted admin");
    expect("refused denied");
    when("shutdown by 1000");
    expect("refused denied");
    when("shutdown by 1000 granted admin");
    expect_line("/ cancel shutdown T 5s");
}
END_TEST

/* R-CAP-2: what the policy withholds is withheld, whatever it grants beside that. */
START_TEST(R_CAP_2_what_is_withheld_is_not_granted)
{
    given("shell starts");
    when("shutdown by 1000 granted admin withheld admin");
    expect("refused denied");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_CAP_2_a_right_that_the_policy_withholds_is_refused),
    RULE(R_CAP_2_root_is_not_bounded),
    RULE(R_CAP_2_a_policy_may_give_a_region_and_nothing_else),
    RULE(R_CAP_2_a_region_that_is_shared_is_ended_by_its_user),
    RULE(R_CAP_2_a_region_that_is_gone_gives_nothing),
    RULE(R_CAP_2_no_capability_of_ones_own_is_a_way_around_it),
    RULE(R_CAP_2_what_root_gave_to_a_task_stays),
    RULE(R_CAP_2_ceilings_hold_for_everything_that_is_made),
    RULE(R_CAP_4_who_is_shut_out_gives_back),
    RULE(R_CAP_2_a_worker_serves_where_the_policy_lets_it),
    RULE(R_CAP_2_admin_may_be_granted),
    RULE(R_CAP_2_what_is_withheld_is_not_granted),
};

RULES_MAIN("standing", rules, scenario_begin, scenario_end)
