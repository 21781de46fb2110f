/* SPDX-License-Identifier: MIT */
/* Capabilities: what they let do, that they only ever shrink, how they are
 * revoked and how they die (R-CAP-1, R-CAP-2, R-CAP-4). */
#include "scenario.h"

#include <string.h>

/* ---- R-CAP-2: what one has by who one is ------------------------------------------------- */

/* R-CAP-2: a task's own capability is for its region and below, and nothing else. */
START_TEST(R_CAP_2_a_task_has_its_own_region_and_what_is_below)
{
    given("shell starts; region r; region in in r; region other; task t in r");
    when("task u in r with t");
    expect_line("u started");
    when("task v in in with t");
    expect_line("v started");
    when("region x in in with t");
    expect_line("x opened");
    trace_forget();
    when("task w in other with t");
    expect("refused denied");
    when("region y with t");
    expect("refused denied");
    when("cancel other with t");
    expect("refused denied");
    when("W waits for other with t");
    expect("W refused denied");
    when("close r with t");
    expect_line("r cancel user T 30s");
}
END_TEST

/* R-CAP-2: it carries no admin, whoever owns it. */
START_TEST(R_CAP_2_a_task_may_not_shut_the_daemon_down)
{
    given("shell starts; region r by 0; task t in r by 0");
    when("shutdown by 0 with t");
    expect("refused denied");
    when("shutdown by 2000");
    expect("refused denied");
    when("shutdown by 0");
    expect_line("/ cancel shutdown T 5s");
}
END_TEST

/* R-CAP-2: who shows none may what is its user's; root and the owner may everything. */
START_TEST(R_CAP_2_without_a_capability_the_user_counts)
{
    given("session s by 1000; session u by 2000; region r by 1000");
    when("task t in r by 2000 from u");
    expect("refused denied");
    when("u derives x in r by 2000");
    expect("refused denied");
    when("s derives x in r by 1000");
    expect("x granted");
    when("s derives y in r rights admin by 1000");
    expect("refused denied");
    when("region in in / by 1000");
    expect("in opened");
    when("cancel r by 0");
    expect_line("r cancel user T 30s");
}
END_TEST

/* R-CAP-2: the user does not count beside the capability that is shown. */
START_TEST(R_CAP_2_who_shows_a_capability_has_no_more_than_that)
{
    given("session s by 0; region r by 0; region other by 0; s derives x in r rights observe by 0");
    when("task t in r by 0 with x");
    expect("refused denied");
    when("task t in other by 0 with x");
    expect("refused denied");
    when("shutdown by 0 with x");
    expect("refused denied");
}
END_TEST

/* ---- R-CAP-1: attenuated, never amplified --------------------------------------------------- */

/* R-CAP-1: each right lets do what it is for and nothing else. */
START_TEST(R_CAP_1_rights_are_needed_one_by_one)
{
    given("session s; shell starts; region r; task t in r;"
          "s derives see in r rights observe; s derives make in r rights spawn;"
          "s derives end in r rights close; s derives stop in r rights cancel;"
          "s derives io in r rights io; s derives hold in r rights lease");
    when("task u in r with see");
    expect("refused denied");
    when("defer f to r with see");
    expect("refused denied");
    when("region in in r with see");
    expect("refused denied");
    when("cancel t with make");
    expect("refused denied");
    when("close r with stop");
    expect("refused denied");
    when("cancel r with end");
    expect("refused denied");
    when("W waits for t with make timeout 0s");
    expect("W refused denied");
    when("make derives more in r rights spawn");
    expect("refused denied");
    when("hold reserves o in r from s");
    expect("refused denied");
    when("io acquires l on name in r from s");
    expect("refused denied");
    when("io reserves o in r from s");
    expect("o reserved by s");
    when("hold acquires l on name in r from s");
    expect_line("l reserved by s");
    trace_forget();
    when("W waits for t with see timeout 0s");
    expect("W refused timeout");
    when("task u in r with make");
    expect_line("u started");
    when("cancel u with stop");
    expect_line("u cancel user T 30s");
    when("close r with end");
    expect_line("r cancel user T 30s");
}
END_TEST

/* R-CAP-1: the region only goes down, the rights only shrink.
 * Invariant capability-attenuates. */
START_TEST(R_CAP_1_what_is_derived_is_never_more)
{
    struct capability_view v;

    given("session s; region r; region in in r; region other;"
          "s derives x in in rights observe,spawn,delegate");
    when("x derives y in r rights observe");
    expect("refused denied");
    when("x derives y in other rights observe");
    expect("refused denied");
    when("x derives y in in rights observe,cancel");
    expect("refused denied");
    when("x derives y in in rights observe");
    expect("y granted");
    ck_assert(kernel_capability(the_kernel(), id_of("y"), &v));
    ck_assert_uint_eq(v.parent, id_of("x"));
    ck_assert_uint_eq(v.rights, ASUP_RIGHT_OBSERVE);
    when("y derives z in in rights observe");
    expect("refused denied"); /* it has no delegate */
}
END_TEST

/* R-CAP-1, R-BUD-1: ceilings only get tighter, whatever is asked for. */
START_TEST(R_CAP_1_ceilings_only_get_tighter)
{
    struct capability_view v;

    given("session s; region r; s derives x in r priority 100 until 60s cost 50 polls 5;"
          "x derives y in r priority 200 until 90s cost 70 polls 7;"
          "x derives z in r priority 20 until 30s cost 10 polls 1; x derives same in r");
    ck_assert(kernel_capability(the_kernel(), id_of("y"), &v));
    ck_assert_uint_eq(v.priority_ceiling, 100);
    ck_assert_uint_eq(v.limit_at, instant("60s"));
    ck_assert_uint_eq(v.cost_ceiling, 50);
    ck_assert_uint_eq(v.poll_ceiling, 5);
    ck_assert(kernel_capability(the_kernel(), id_of("z"), &v));
    ck_assert_uint_eq(v.priority_ceiling, 20);
    ck_assert_uint_eq(v.limit_at, instant("30s"));
    ck_assert_uint_eq(v.cost_ceiling, 10);
    ck_assert_uint_eq(v.poll_ceiling, 1);
    ck_assert(kernel_capability(the_kernel(), id_of("same"), &v));
    ck_assert_uint_eq(v.priority_ceiling, 100);
    ck_assert_uint_eq(v.limit_at, instant("60s"));
}
END_TEST

/* R-BUD-1: the ceiling is met into what is made with it, and caps its priority. */
START_TEST(R_BUD_1_the_ceiling_is_met_into_what_is_made)
{
    given("session s; shell starts; region r;"
          "s derives x in r priority 100 until 60s cost 50 polls 5");
    when("task t in r priority 180 timeout 90s cost 70 polls 7 with x");
    ck_assert_uint_eq(task_of("t").budget.priority, 100);
    ck_assert_uint_eq(task_of("t").budget.limit_at, instant("60s"));
    ck_assert_uint_eq(task_of("t").budget.cost_quota, 50);
    ck_assert_uint_eq(task_of("t").budget.poll_quota, 5);
    when("task u in r with x"); /* unset runs as 128 */
    ck_assert_uint_eq(task_of("u").budget.priority, 100);
    when("task v in r priority 20 timeout 9s with x");
    ck_assert_uint_eq(task_of("v").budget.priority, 20);
    ck_assert_uint_eq(task_of("v").budget.limit_at, instant("9s"));
    when("region in in r with x");
    ck_assert_uint_eq(region_of("in").budget.limit_at, instant("60s"));
    trace_forget();
    when("v exits 0; at 60s");
    expect_line("t cancel deadline T 1m15s");
    expect_line("in cancel deadline T 1m15s");
}
END_TEST

/* R-CAP-1: a task made with an attenuated capability is attenuated as well: to spawn is no way
 * around it. */
START_TEST(R_CAP_1_a_task_has_no_more_than_what_it_was_made_with)
{
    given("session s; shell starts; region r; s derives x in r rights spawn,observe priority 50;"
          "task t in r with x");
    when("cancel t with t");
    expect("refused denied");
    when("t reserves o in r");
    expect("refused denied");
    when("t derives y in r rights observe");
    expect("refused denied");
    when("task u in r priority 99 with t");
    ck_assert_uint_eq(task_of("u").budget.priority, 50);
    trace_forget();
    when("close r with u");
    expect("refused denied");
    when("s revokes x");
    expect("x revoked");
    when("task v in r with u");
    expect("refused revoked");
    when("T waits for t with t");
    expect("T refused revoked");
}
END_TEST

/* R-CAP-1: the time of a capability ends. */
START_TEST(R_CAP_1_a_capability_ends_with_its_time)
{
    given("session s; region r; s derives x in r until 10s; at 9.999s");
    when("region a in r with x");
    expect("a opened");
    when("region b in r with x at 10s");
    expect_line("refused expired");
    when("s derives y in r until 10s");
    expect_line("refused invalid");
}
END_TEST

/* R-CAP-1: it dies with its region. */
START_TEST(R_CAP_1_a_capability_dies_with_its_region)
{
    given("session s; region r; region in in r; s derives x in r; x derives y in in;"
          "x derives z in r; s derives old in r; s revokes old");
    when("W waits for r with z; close in");
    expect_line("y dead");
    trace_forget();
    when("region q in r with y");
    expect("refused expired");
    when("close r with x");
    expect("r cancel user T 30s\n"
           "r finalizing\n"
           "r closed ok\n"
           "old dead\n"
           "z dead\n"
           "x dead\n"
           "W told");
    when("s derives n in r");
    expect("refused region-closed");
    when("s revokes x");
    expect("refused expired");
}
END_TEST

/* ---- R-CAP-1, R-CAP-4: revocation --------------------------------------------------------------
 */

/* R-CAP-1: revoked with all its descendants, the last derived first, and nothing else. */
START_TEST(R_CAP_1_revoking_takes_the_whole_subtree)
{
    given("session s; region r; s derives a in r; a derives b in r; b derives c in r;"
          "b derives d in r; a derives e in r; s derives f in r; e derives g in r");
    when("s revokes b");
    expect("d revoked\nc revoked\nb revoked");
    when("region x in r with c");
    expect("refused revoked");
    when("region x in r with e");
    expect("x opened");
    when("s revokes a");
    expect("g revoked\ne revoked\na revoked");
    when("s revokes a"); /* again: it changes nothing */
    expect("");
    when("region y in r with f");
    expect("y opened");
}
END_TEST

/* R-CAP-1: who revokes has one above it, derived it, or owns the region. */
START_TEST(R_CAP_1_who_may_revoke)
{
    given("session s; session o by 2000; shell starts; region r; task t in r; task u in r;"
          "t derives x in r; x derives y in r; s derives z in r");
    when("z revokes x");
    expect("refused denied");
    when("y revokes x");
    expect("refused denied");
    when("u revokes x");
    expect("refused denied");
    when("o revokes x by 2000");
    expect("refused denied");
    when("x revokes y");
    expect("y revoked");
    when("t revokes x");
    expect("x revoked");
    when("z revokes z");
    expect("z revoked");
}
END_TEST

/* R-CAP-4: whatever waits with it is answered at once, and nothing else is. */
START_TEST(R_CAP_4_revoking_answers_parked_requests_at_once)
{
    given("session s; session u; shell starts; region r; task t in r; s derives x in r;"
          "x derives y in r; s derives z in r; task m in r with x;"
          "s acquires l on name in r; A waits for t with y; B waits for t with x;"
          "C waits for t with z; D waits for t; E waits for t with m;"
          "y acquires k on name in r timeout 60s as K from u");
    when("s revokes x at 1s");
    expect("-- 1s\n"
           "y revoked\n"
           "x revoked\n"
           "K refused revoked\n"
           "A refused revoked\n"
           "E refused revoked\n"
           "B refused revoked");
    when("t exits 0 at 2s");
    expect_line("C told");
    expect_line("D told");
}
END_TEST

/* R-CAP-4: a revoked token still tells who holds: the holder may abort and release, no more. */
START_TEST(R_CAP_4_a_revoked_capability_still_aborts_and_releases)
{
    given("session s; shell starts; region r; task t in r; t derives x in r;"
          "x reserves o in r; x reserves p in r; x acquires l on name in r; t revokes x");
    when("x commits o");
    expect("refused revoked");
    when("x renews l");
    expect("refused revoked");
    when("x aborts o");
    expect("o aborted");
    when("x releases l");
    expect_line("l committed");
    trace_forget();
    when("x reserves q in r");
    expect("refused revoked");
    when("t commits p");
    expect("p committed");
}
END_TEST

/* What is made with a derived capability is held by its deriver's task, as long as that lives. */
START_TEST(R_CAP_4_the_deriver_holds_what_its_capability_is_given)
{
    given("session s; session u; shell starts; region r; task t in r; t derives x in r;"
          "s derives y in r");
    when("x reserves o in r from u");
    expect("o reserved by t");
    when("y reserves p in r from u");
    expect("p reserved by u");
    when("t exits 0");
    expect_line("o leaked by t");
    trace_forget();
    when("x reserves q in r from u");
    expect("q reserved by u");
}
END_TEST

/* R-CAP-2: what a task had is over with it. */
START_TEST(R_CAP_2_a_tasks_capability_ends_with_the_task)
{
    given("shell starts; region r; task t in r; t exits 0");
    when("task u in r with t");
    expect("refused expired");
    when("W waits for r with t");
    expect("W refused expired");
}
END_TEST

/* ---- Limits, and what is remembered
 * --------------------------------------------------------------- */

/* R-SCH-4: so many a user; revoked ones do not count. */
START_TEST(R_SCH_4_capabilities_are_limited)
{
    given_config()->limits.capabilities_per_user = 2;
    given("session s; session o by 2000; region r; region q by 2000; s derives a in r; s derives b "
          "in r");
    when("s derives c in r");
    expect("refused busy capabilities-per-user");
    when("o derives d in q by 2000");
    expect("d granted");
    when("s revokes a; s derives c in r");
    expect("a revoked\nc granted");
}
END_TEST

/* The last of the revoked are remembered as such, then they are as if they had died. */
START_TEST(a_capability_that_was_revoked_long_ago_is_expired)
{
    given("session s; region r; s derives first in r; s revokes first");
    for (int i = 0; i < 4096; i++) {
        struct input in = scenario_input(IN_CX_DERIVE);

        in.caller.session = id_of("s");
        in.region = id_of("r");
        in.u.derive = (struct derive_params){.rights = ASUP_RIGHT_OBSERVE,
                                             .limit_at = ASUP_NEVER,
                                             .cost_ceiling = UINT64_MAX,
                                             .poll_ceiling = UINT32_MAX};
        ck_assert_int_eq(scenario_step(&in), 0);
        trace_forget();
        in = scenario_input(IN_CX_REVOKE);
        in.caller.session = id_of("s");
        in.subject = scenario_made().id;
        if (i == 4095) {
            trace_forget();
            when("region x in r with first");
            expect("refused revoked");
        }
        ck_assert_int_eq(scenario_step(&in), 0);
    }
    trace_forget();
    when("region x in r with first");
    expect("refused expired");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_CAP_2_a_task_has_its_own_region_and_what_is_below),
    RULE(R_CAP_2_a_task_may_not_shut_the_daemon_down),
    RULE(R_CAP_2_without_a_capability_the_user_counts),
    RULE(R_CAP_2_who_shows_a_capability_has_no_more_than_that),
    RULE(R_CAP_1_rights_are_needed_one_by_one),
    RULE(R_CAP_1_what_is_derived_is_never_more),
    RULE(R_CAP_1_ceilings_only_get_tighter),
    RULE(R_BUD_1_the_ceiling_is_met_into_what_is_made),
    RULE(R_CAP_1_a_task_has_no_more_than_what_it_was_made_with),
    RULE(R_CAP_1_a_capability_ends_with_its_time),
    RULE(R_CAP_1_a_capability_dies_with_its_region),
    RULE(R_CAP_1_revoking_takes_the_whole_subtree),
    RULE(R_CAP_1_who_may_revoke),
    RULE(R_CAP_4_revoking_answers_parked_requests_at_once),
    RULE(R_CAP_4_a_revoked_capability_still_aborts_and_releases),
    RULE(R_CAP_4_the_deriver_holds_what_its_capability_is_given),
    RULE(R_CAP_2_a_tasks_capability_ends_with_the_task),
    RULE(R_SCH_4_capabilities_are_limited),
    RULE(a_capability_that_was_revoked_long_ago_is_expired),
};

RULES_MAIN("capabilities", rules, scenario_begin, scenario_end)
