/* SPDX-License-Identifier: MIT */
/* Leases (§4): a name, a holder, a time, and a token that only grows. */
#include "scenario.h"

#include <string.h>

static struct lease_view
lease_of(const char *region, const char *name)
{
    struct lease_view view;

    memset(&view, 0, sizeof view);
    if (!kernel_lease(the_kernel(), id_of(region), (struct bytes){name, strlen(name)}, &view))
        view.region = 0;
    return view;
}

/* A lease lives on [grant, expiry): renewing at the instant of expiry is late. */
START_TEST(R_OBL_1_lease_expires_at_its_instant)
{
    given("session s; region r; s acquires l on name in r ttl 10s");
    when("s renews l at 9.999s");
    expect("-- 9.999s\n"
           "l renewed to 19.999s");
    when("s renews l ttl 5s");
    expect("l renewed to 14.999s");
    when("s renews l at 14.999s");
    expect("-- 14.999s\n"
           "l aborted expired\n"
           "name free\n"
           "refused expired");
}
END_TEST

/* Release is Committed, expiry Aborted, the holder's end Leaked. */
START_TEST(R_OBL_1_lease_ends_are_committed_aborted_leaked)
{
    given("session s; session u; region r; s acquires a on x in r; s acquires b on y in r;"
          "u acquires c on z in r");
    when("s releases a; u bye; at 10s");
    expect("a committed\n"
           "x free\n"
           "c leaked by u\n"
           "z free\n"
           "u ended\n"
           "-- 10s\n"
           "b aborted expired\n"
           "y free");
    when("s releases a");
    expect("refused resolved");
}
END_TEST

/* One at a time; first come, first served; tokens grow. Invariants lease-exclusive,
 * fencing-monotone. */
START_TEST(lease_exclusive_first_come_first_served)
{
    uint64_t first;
    uint64_t second;

    given("session s; session u; session v; region r; s acquires l on name in r");
    first = lease_of("r", "name").token;
    when("u acquires m on name in r");
    expect("refused timeout");
    when("u acquires m on name in r timeout 1m as U; v acquires n on name in r timeout 1m as V");
    expect("");
    ck_assert_uint_eq(lease_of("r", "name").waiters, 2);
    when("s releases l at 1s");
    expect("-- 1s\n"
           "l committed\n"
           "m reserved by u\n"
           "U told");
    second = lease_of("r", "name").token;
    ck_assert_uint_gt(second, first);
    when("at 11s"); /* held by a session: granted again at once */
    expect("-- 11s\n"
           "m aborted expired\n"
           "n reserved by v\n"
           "V told");
    ck_assert_uint_gt(lease_of("r", "name").token, second);
    when("v releases n");
    expect("n committed\n"
           "name free");
    ck_assert_uint_eq(lease_of("r", "name").region, 0);
    when("s acquires o on name in r");
    expect("o reserved by s");
    ck_assert_uint_gt(lease_of("r", "name").token, second);
}
END_TEST

/* A name belongs to its region: the same one elsewhere is another. */
START_TEST(lease_names_are_of_their_region)
{
    given("session s; session u; region r; region q");
    when("s acquires a on name in r; u acquires b on name in q");
    expect("a reserved by s\n"
           "b reserved by u");
}
END_TEST

/* Who holds it does not wait for itself. */
START_TEST(lease_holder_is_told_to_renew)
{
    given("session s; region r; s acquires l on name in r");
    when("s acquires m on name in r timeout 1m as S");
    expect("S refused name-taken");
}
END_TEST

/* R-SES-1: a parked request without a connection takes nothing; a wait ends by its time. */
START_TEST(R_SES_1_who_left_is_passed_over)
{
    given("session s; session u; session v; session w; region r; s acquires l on name in r;"
          "u acquires m on name in r timeout 1m as U; v acquires n on name in r timeout 1s as V;"
          "w acquires o on name in r timeout 1m as W; U leaves");
    when("s releases l at 5s");
    expect("-- 1s\n"
           "V refused timeout\n"
           "-- 5s\n"
           "l committed\n"
           "o reserved by w\n"
           "W told");
}
END_TEST

/* Nor does one whose session ended meanwhile. */
START_TEST(R_SES_1_who_ended_is_passed_over)
{
    given("session s; session u; session w; region r; s acquires l on name in r;"
          "u acquires m on name in r timeout 1m as U; w acquires o on name in r timeout 1m as W;"
          "u bye");
    when("s releases l");
    expect("l committed\n"
           "o reserved by w\n"
           "U refused expired\n"
           "W told");
}
END_TEST

/* A lease that a task lets expire cancels it, and the name cools until nothing
 * of that task is left: the two never run at once. */
START_TEST(lease_expired_under_a_task_cools_until_the_task_is_gone)
{
    given(
        "session s; region q; region r in q; shell starts; task t in q; t acquires l on name in r;"
        "s acquires m on name in r timeout 5m as S");
    when("at 10s");
    expect("-- 10s\n"
           "l aborted expired\n"
           "name cools\n"
           "t cancel resource-unavailable T 20s\n"
           "signal t 15");
    ck_assert(lease_of("r", "name").cooling);
    ck_assert_uint_eq(lease_of("r", "name").obligation, 0);
    when("t renews l");
    expect("refused expired");
    when("t main-exits 0 at 11s"); /* its cgroup is not empty yet */
    expect_none("m reserved");
    trace_forget();
    when("t empty at 12s");
    expect("-- 12s\n"
           "t completed cancelled resource-unavailable exit 0\n"
           "m reserved by s\n"
           "S told");
}
END_TEST

/* With nobody waiting the name is free then, and not before. */
START_TEST(lease_cooled_is_free)
{
    given("session s; region r; shell starts; task t in r; t acquires l on name in r; at 10s");
    when("s acquires m on name in r");
    expect("refused timeout");
    when("t dies 15");
    expect("t completed cancelled resource-unavailable signal 15\n"
           "name free");
    when("s acquires n on name in r");
    expect("n reserved by s");
}
END_TEST

/* A task that completes leaks its lease: nothing of it is left, so it is granted at once. */
START_TEST(R_OBL_3_lease_of_a_task_that_completes_is_granted_at_once)
{
    given(
        "session s; region q; region r in q; shell starts; task t in q; t acquires l on name in r;"
        "s acquires m on name in r timeout 5m as S");
    when("t main-exits 0");
    expect("signal t 15"); /* leftovers; it still holds */
    when("t empty");
    expect("t completed ok\n"
           "l leaked by t\n"
           "m reserved by s\n"
           "S told");
}
END_TEST

/* R-OBL-4: at T of its region, a task outside loses the lease and is cancelled. */
START_TEST(R_OBL_4_lease_lost_to_the_close_of_its_region_cancels_the_task)
{
    given("region q; region r in q; shell starts; task t in q; t acquires l on name in r ttl 1h;"
          "task u in r");
    given("close r; u exits 0");
    when("at 30s");
    expect_line("l aborted region-closed");
    expect_line("name cools");
    expect_line("t cancel resource-unavailable T 40s");
    expect_line("r closed cancelled user exit 0");
}
END_TEST

/* R-REG-2: who waits for a lease of a region that seals is told at once. */
START_TEST(R_REG_2_waiting_for_a_lease_ends_with_the_region)
{
    given("session s; session u; region r; shell starts; task t in r; s acquires l on name in r;"
          "u acquires m on name in r timeout 5m as U; t acquires n on name in r timeout 5m as T");
    when("finish r");
    expect("U refused region-closed");
    when("s releases l"); /* t is uncancelled, and r finishes: it may */
    expect("l committed\n"
           "n reserved by t\n"
           "T told");
    given("s acquires o on other in r by 0");
    when("t releases n; t exits 0");
    expect("n committed\n"
           "name free\n"
           "t completed ok\n"
           "r finalizing\n"
           "r closed ok");
}
END_TEST

/* R-OBL-2: a lease that is passed on keeps its token; the new holder's end ends it. */
START_TEST(R_OBL_2_lease_passed_on_follows_its_holder)
{
    uint64_t token;

    given("session s; region r; shell starts; task t in r; s acquires l on name in r ttl 1m");
    token = lease_of("r", "name").token;
    when("s passes l to t; s bye");
    expect("l passed to t\n"
           "s ended");
    ck_assert_uint_eq(lease_of("r", "name").token, token);
    ck_assert_uint_eq(lease_of("r", "name").holder.id, id_of("t"));
    when("t exits 0");
    expect("t completed ok\n"
           "l leaked by t\n"
           "name free");
}
END_TEST

/* R-IDM-1: a grant that came late is bound to its request all the same. */
START_TEST(R_IDM_1_a_parked_acquire_is_bound_when_it_is_granted)
{
    given("session s; session u; region r; s acquires l on name in r;"
          "u acquires m on name in r timeout 1m as U request 5 digest 1; s releases l");
    trace_forget();
    when("u acquires x on name in r timeout 1m request 5 digest 1");
    expect("answered m");
}
END_TEST

/* What is asked for has to make sense. */
START_TEST(lease_parameters_are_checked)
{
    given("session s; region r; s reserves o in r");
    when("s acquires l on name in r ttl 0");
    expect("refused invalid");
    when("s acquires l on name in r ttl 25h");
    expect("refused invalid");
    when("s renews o");
    expect("refused invalid");
    when("s releases o");
    expect("refused invalid");
}
END_TEST

/* R-SCH-4 */
START_TEST(R_SCH_4_leases_are_limited_per_user)
{
    given_config()->limits.leases_per_user = 1;
    given("session s; region r; s acquires l on x in r");
    when("s acquires m on y in r");
    expect("refused busy leases-per-user");
    when("s releases l; s acquires m on y in r");
    expect("l committed\n"
           "x free\n"
           "m reserved by s");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_OBL_1_lease_expires_at_its_instant),
    RULE(R_OBL_1_lease_ends_are_committed_aborted_leaked),
    RULE(lease_exclusive_first_come_first_served),
    RULE(lease_names_are_of_their_region),
    RULE(lease_holder_is_told_to_renew),
    RULE(R_SES_1_who_left_is_passed_over),
    RULE(R_SES_1_who_ended_is_passed_over),
    RULE(lease_expired_under_a_task_cools_until_the_task_is_gone),
    RULE(lease_cooled_is_free),
    RULE(R_OBL_3_lease_of_a_task_that_completes_is_granted_at_once),
    RULE(R_OBL_4_lease_lost_to_the_close_of_its_region_cancels_the_task),
    RULE(R_REG_2_waiting_for_a_lease_ends_with_the_region),
    RULE(R_OBL_2_lease_passed_on_follows_its_holder),
    RULE(R_IDM_1_a_parked_acquire_is_bound_when_it_is_granted),
    RULE(lease_parameters_are_checked),
    RULE(R_SCH_4_leases_are_limited_per_user),
};

RULES_MAIN("lease", rules, scenario_begin, scenario_end)
