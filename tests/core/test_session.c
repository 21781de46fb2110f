/* SPDX-License-Identifier: MIT */
/* Sessions, repeated requests, and who may do what (R-SES-1, R-IDM-1, R-CAP). */
#include "asupersync/values.h"
#include "scenario.h"

#include <string.h>

/* ---- R-SES-1: sessions ---------------------------------------------------------------- */

/* R-SES-1: the regions attached to a session that ends are cancelled with
 * LinkedExit; others are not. */
START_TEST(R_SES_1_attached_regions_end_with_their_session)
{
    given("session s1 ttl 30s; s1 attached; region r1 attach from s1; region r2 from s1;"
          "task t1 in r1 running; task t2 in r2 running");
    when("s1 lost at 10s");
    expect("-- 10s\n"
           "s1 lost");
    when("at 39s");
    expect("");
    when("at 40s");
    expect("-- 40s\n"
           "s1 ended\n"
           "r1 cancel linked-exit T 50s\n"
           "t1 cancel linked-exit T 50s\n"
           "signal t1 15");
}
END_TEST

/* R-SES-1: an open connection is a sign of life that never ends. */
START_TEST(R_SES_1_an_open_connection_keeps_it)
{
    struct session_view view;

    given("session s1 ttl 30s; s1 attached; region r1 attach from s1; task t1 in r1 running");
    when("at 3h");
    expect("");
    ck_assert(kernel_session(the_kernel(), id_of("s1"), &view));
    ck_assert(view.connected);
    ck_assert_uint_eq(view.expires_at, ASUP_NEVER);
    ck_assert_uint_eq(view.regions, 1);
}
END_TEST

/* R-SES-1: it survives a reconnect within its time to live. */
START_TEST(R_SES_1_a_reconnect_in_time)
{
    given("session s1 ttl 30s; s1 attached; region r1 attach from s1; task t1 in r1 running;"
          "s1 lost at 10s");
    when("s1 resumes at 39s; s1 attached");
    expect_none("s1 ended");
    expect_none("refused");
    when("at 2h");
    expect_none("r1");
}
END_TEST

/* R-SES-1: a session that ended is Expired. */
START_TEST(R_SES_1_a_reconnect_too_late)
{
    given("session s1 ttl 30s; s1 attached; s1 lost; at 31s");
    when("s1 resumes");
    expect("refused expired");
}
END_TEST

/* R-SES-1: only the secret resumes a session, and only for its owner. */
START_TEST(R_SES_1_the_secret_resumes)
{
    struct input in;

    given("session s1 ttl 30s; s1 attached; s1 lost");
    in = scenario_input(IN_SESSION_RESUME);
    in.session = id_of("s1");
    memset(in.u.session_open.secret_digest, 'x', 16);
    ck_assert_int_ne(scenario_step(&in), 0);
    in = scenario_input(IN_SESSION_RESUME);
    in.session = id_of("s1");
    in.caller.uid = 2000;
    memset(in.u.session_open.secret_digest, '1', 16);
    ck_assert_int_ne(scenario_step(&in), 0);
    trace_forget();
    when("s1 resumes");
    expect_none("refused");
}
END_TEST

/* R-SES-1: keepalives are signs of life too. */
START_TEST(R_SES_1_keepalives_are_signs_of_life)
{
    given("session s1 ttl 30s; s1 attached; s1 lost; region r1 attach from s1");
    when("s1 keepalive at 20s; s1 keepalive at 40s; at 60s");
    expect_none("s1 ended");
    when("at 70s");
    expect_line("s1 ended");
}
END_TEST

/* R-SES-1: bye ends it at once. */
START_TEST(R_SES_1_bye)
{
    given("session s1; s1 attached; region r1 attach from s1; task t1 in r1 running");
    when("s1 bye");
    expect_line("s1 ended");
    expect_line("r1 cancel linked-exit T 10s");
    when("region r2 from s1");
    expect_line("refused expired");
}
END_TEST

/* R-SES-1: the default time to live, and the longest. */
START_TEST(R_SES_1_the_time_to_live)
{
    struct session_view view;

    given("session s1; session s2 ttl 99d");
    ck_assert(kernel_session(the_kernel(), id_of("s1"), &view));
    ck_assert_uint_eq(view.ttl_ns, 30 * ASUP_NS_PER_S);
    ck_assert(kernel_session(the_kernel(), id_of("s2"), &view));
    ck_assert_uint_le(view.ttl_ns, 3600 * ASUP_NS_PER_S);
}
END_TEST

/* ---- R-IDM-1: repeated requests ---------------------------------------------------------- */

/* R-IDM-1: same request id and same request: the original answer. */
START_TEST(R_IDM_1_a_repeat_gets_the_original_answer)
{
    struct kernel_counts before, after;

    given("session s1; s1 attached; region r1 from s1 request 1 digest 10");
    given("task t1 in r1 from s1 request 2 digest 20");
    kernel_counts(the_kernel(), &before);
    when("region again from s1 request 1 digest 10");
    expect("answered r1");
    when("task again in r1 from s1 request 2 digest 20");
    expect("answered t1");
    kernel_counts(the_kernel(), &after);
    ck_assert_uint_eq(before.regions, after.regions);
    ck_assert_uint_eq(before.tasks, after.tasks);
}
END_TEST

/* R-IDM-1: also after the region closed: looked up before admission. */
START_TEST(R_IDM_1_also_after_the_region_closed)
{
    given("session s1; s1 attached; region r1; task t1 in r1 from s1 request 2 digest 20;"
          "t1 starts; t1 exits 0; close r1");
    when("task again in r1 from s1 request 2 digest 20");
    expect("answered t1");
}
END_TEST

/* R-IDM-1: same id, another request: Conflict. */
START_TEST(R_IDM_1_another_request_is_a_conflict)
{
    given("session s1; s1 attached; region r1 from s1 request 1 digest 10");
    when("region r2 from s1 request 1 digest 11");
    expect("refused conflict");
}
END_TEST

/* R-IDM-1: older ids than those kept are refused Expired. */
START_TEST(R_IDM_1_too_old_to_be_known)
{
    given_config()->limits.requests_per_session = 3;
    given("session s1; s1 attached;"
          "region r1 from s1 request 1 digest 1; region r2 from s1 request 2 digest 2;"
          "region r3 from s1 request 3 digest 3; region r4 from s1 request 4 digest 4;"
          "region r5 from s1 request 5 digest 5");
    when("region x from s1 request 1 digest 1");
    expect("refused expired");
    when("region x from s1 request 5 digest 5");
    expect("answered r5");
}
END_TEST

/* R-IDM-1: refusals bind nothing. */
START_TEST(R_IDM_1_refusals_bind_nothing)
{
    given("session s1; s1 attached; region r1 tasks 1; task t1 in r1 running");
    when("task t2 in r1 from s1 request 7 digest 70");
    expect("refused busy tasks-per-region");
    given("t1 exits 0");
    when("task t2 in r1 from s1 request 7 digest 71");
    expect_line("t2 created");
}
END_TEST

/* R-IDM-1: ids are of one session: another's same number is another request. */
START_TEST(R_IDM_1_ids_belong_to_one_session)
{
    given("session s1; session s2; region r1 from s1 request 1 digest 10");
    when("region r2 from s2 request 1 digest 11");
    expect_line("r2 opened");
}
END_TEST

/* R-IDM-1: closing again by the same request says the same and does nothing. */
START_TEST(R_IDM_1_a_repeated_cancel)
{
    given("session s1; s1 attached; region r1; task t1 in r1 running;"
          "cancel t1 from s1 request 3 digest 30 drain 20s");
    when("cancel t1 from s1 request 3 digest 30 drain 20s at 5s");
    expect("-- 5s\n"
           "answered t1");
    ck_assert_uint_eq(since_start(task_of("t1").kill_at), 20 * ASUP_NS_PER_S);
}
END_TEST

/* ---- R-CAP-2, R-CAP-3: who may --------------------------------------------------------------- */

/* R-CAP-2: a caller touches what has its own uid. */
START_TEST(R_CAP_2_others_may_not)
{
    given("region r1; task t1 in r1 running");
    when("task x in r1 by 2000; region x in r1 by 2000; close r1 by 2000; cancel t1 by 2000;"
         "defer x to r1 by 2000; t1 checkpoints by 2000; t1 progresses 1 by 2000");
    expect("refused denied\n"
           "refused denied\n"
           "refused denied\n"
           "refused denied\n"
           "refused denied\n"
           "refused denied\n"
           "refused denied");
    when("a waits for t1 by 2000; b waits for r1 by 2000");
    expect("a refused denied\n"
           "b refused denied");
}
END_TEST

/* R-CAP-2: root and the daemon's owner may. */
START_TEST(R_CAP_2_root_may)
{
    given_config()->root_uid = 500;
    given("region r1; task t1 in r1 running; region r2; task t2 in r2 running");
    when("close r1 by 0; close r2 by 500");
    expect_none("refused");
    expect_line("signal t1 15");
    expect_line("signal t2 15");
}
END_TEST

/* R-CAP-2: any user may open a region under "/", no one else's business. */
START_TEST(R_CAP_2_anyone_may_open_below_the_root)
{
    given("region r1 by 1000; region r2 by 2000");
    ck_assert_uint_eq(region_of("r1").uid, 1000);
    ck_assert_uint_eq(region_of("r2").uid, 2000);
}
END_TEST

/* R-CAP-3: a process runs as the submitting user; only root may name another. */
START_TEST(R_CAP_3_only_root_names_another_user)
{
    given("region r1");
    when("task t1 in r1 as 2000");
    expect("refused denied");
    given("region r2 by 0");
    when("task t2 in r2 by 0 as 2000");
    expect("t2 created\n"
           "start t2");
    ck_assert_uint_eq(task_of("t2").run_uid, 2000);
    when("defer f1 to r1 as 0");
    expect("refused denied");
}
END_TEST

/* ---- Names -------------------------------------------------------------------------------------
 */

static int
open_named(const char *name, size_t size, uint64_t parent, uint32_t uid)
{
    struct input in = scenario_input(IN_REGION_OPEN);

    in.caller.uid = uid;
    in.region = parent;
    in.u.region_open.budget = (struct budget_request){.timeout_ns = ASUP_NEVER,
                                                      .deadline_at = ASUP_NEVER,
                                                      .poll_quota = UINT32_MAX,
                                                      .cost_quota = UINT64_MAX};
    in.u.region_open.drain_ns = ASUP_NEVER;
    in.u.region_open.name = (struct bytes){.data = name, .size = size};
    return scenario_step(&in);
}

/* §2: a name is unique among live siblings; below "/" per owner. */
START_TEST(names_are_unique_among_live_siblings)
{
    given("region r1 named web; task t1 in r1 running");
    when("region r2 named web");
    expect("refused name-taken");
    when("region r2 named web in r1; region r3 named web by 2000");
    expect_none("refused");
    given("close r1; t1 dies 15");
    when("region r4 named web");
    expect_line("r4 opened");
    ck_assert_uint_eq(
        kernel_find(the_kernel(), ASUP_ROOT_ID, 1000, (struct bytes){.data = "web", .size = 3}),
        id_of("r4"));
    ck_assert_uint_eq(
        kernel_find(the_kernel(), ASUP_ROOT_ID, 2000, (struct bytes){.data = "web", .size = 3}),
        id_of("r3"));
    ck_assert_uint_eq(
        kernel_find(the_kernel(), ASUP_ROOT_ID, 3000, (struct bytes){.data = "web", .size = 3}), 0);
}
END_TEST

/* §2: names that no path could hold are refused. */
START_TEST(names_that_are_refused)
{
    char text[ASUP_NAME_MAX + 1];

    memset(text, 'n', sizeof text);
    ck_assert_int_eq(open_named(text, ASUP_NAME_MAX, ASUP_ROOT_ID, 1000), 0);
    ck_assert_int_eq(open_named("a b", 3, ASUP_ROOT_ID, 1000), 0);
    ck_assert_int_ne(open_named(text, ASUP_NAME_MAX + 1, ASUP_ROOT_ID, 1000), 0);
    ck_assert_int_eq(open_named("a/b", 3, ASUP_ROOT_ID, 1000), -ASUP_EINVALID);
    ck_assert_int_eq(open_named("a\nb", 3, ASUP_ROOT_ID, 1000), -ASUP_EINVALID);
    ck_assert_int_eq(open_named("a\0b", 3, ASUP_ROOT_ID, 1000), -ASUP_EINVALID);
    ck_assert_int_eq(open_named("\x7f", 1, ASUP_ROOT_ID, 1000), -ASUP_EINVALID);
}
END_TEST

/* §2: a name that could be taken for an id is none: ids and paths are told
 * apart by their look. */
START_TEST(names_do_not_look_like_ids)
{
    static const char *const ids[] = {"r1", "r9", "t7", "s3", "o9", "c4", "g2", "x5", "r0"};
    static const char *const names[] = {"r", "web", "r1a", "1", "rr", "r9x", "q9", "r:", "r/"};

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ck_assert_int_eq(open_named(ids[i], strlen(ids[i]), ASUP_ROOT_ID, 1000), -ASUP_EINVALID);
    for (size_t i = 0; i + 1 < sizeof names / sizeof names[0]; i++)
        ck_assert_int_eq(open_named(names[i], strlen(names[i]), ASUP_ROOT_ID, 1000), 0);
}
END_TEST

/* §2: without a name, the id is the name. */
START_TEST(an_unnamed_region_is_called_by_its_id)
{
    char text[ASUP_REF_TEXT_SIZE];
    struct region_view view;
    struct asup_ref made;

    ck_assert_int_eq(open_named("", 0, ASUP_ROOT_ID, 1000), 0);
    made = scenario_made();
    ck_assert_int_eq((int)made.sort, ASUP_SORT_REGION);
    ck_assert(kernel_region(the_kernel(), made.id, &view));
    ck_assert_int_gt(asup_ref_format(made, text, sizeof text), 0);
    ck_assert_uint_eq(view.name.size, strlen(text));
    ck_assert_mem_eq(view.name.data, text, strlen(text));
}
END_TEST

/* Dead ids and ids that never were. */
START_TEST(unknown_ids_are_not_found)
{
    struct input in;

    given("region r1");
    ck_assert_int_eq(open_named("x", 1, 4711, 1000), -ASUP_ENOTFOUND);
    in = scenario_input(IN_REGION_END);
    in.region = 4711;
    in.u.end.drain_ns = ASUP_NEVER;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ENOTFOUND);
    in = scenario_input(IN_TASK_CANCEL);
    in.task = 4711;
    in.u.cancel.drain_ns = ASUP_NEVER;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ENOTFOUND);
    in = scenario_input(IN_WAIT);
    in.task = 4711;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ENOTFOUND);
    in = scenario_input(IN_SESSION_KEEPALIVE);
    in.caller.session = 4711;
    in.session = 4711;
    ck_assert_int_ne(scenario_step(&in), 0);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_SES_1_attached_regions_end_with_their_session),
    RULE(R_SES_1_an_open_connection_keeps_it),
    RULE(R_SES_1_a_reconnect_in_time),
    RULE(R_SES_1_a_reconnect_too_late),
    RULE(R_SES_1_the_secret_resumes),
    RULE(R_SES_1_keepalives_are_signs_of_life),
    RULE(R_SES_1_bye),
    RULE(R_SES_1_the_time_to_live),
    RULE(R_IDM_1_a_repeat_gets_the_original_answer),
    RULE(R_IDM_1_also_after_the_region_closed),
    RULE(R_IDM_1_another_request_is_a_conflict),
    RULE(R_IDM_1_too_old_to_be_known),
    RULE(R_IDM_1_refusals_bind_nothing),
    RULE(R_IDM_1_ids_belong_to_one_session),
    RULE(R_IDM_1_a_repeated_cancel),
    RULE(R_CAP_2_others_may_not),
    RULE(R_CAP_2_root_may),
    RULE(R_CAP_2_anyone_may_open_below_the_root),
    RULE(R_CAP_3_only_root_names_another_user),
    RULE(names_are_unique_among_live_siblings),
    RULE(names_that_are_refused),
    RULE(names_do_not_look_like_ids),
    RULE(an_unnamed_region_is_called_by_its_id),
    RULE(unknown_ids_are_not_found),
};

RULES_MAIN("session", rules, scenario_begin, scenario_end)
