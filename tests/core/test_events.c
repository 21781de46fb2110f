/* SPDX-License-Identifier: MIT */
/* Events, steps, batches, time and memory (R-EVT). That the events of every
 * step add up to the state, and that a refusal leaves no mark, is checked by
 * the harness behind every step of every scenario; here is the rest. */
#include "asupersync/values.h"
#include "core/state.h"
#include "scenario.h"

#include <string.h>

/* ---- R-EVT-1: state = fold(apply, events) -------------------------------------------- */

/* R-EVT-1: a kernel that only heard the events answers every query as the one
 * that took the steps (the harness compares digests; this one compares views
 * through a story that uses most kinds of event). */
START_TEST(R_EVT_1_the_events_are_the_state)
{
    when("session s1; s1 attached; region r1 attach from s1 policy fail-fast finalizer f1;"
         "region r2 in r1 soft drain 3s; task t1 in r1 running notify watchdog 10s cost 100;"
         "task t2 in r2 delay 2s; task t3 in r2 running response 1s polls 3;"
         "t1 ready; t1 feeds; t1 used 10; t3 checkpoints; t3 progresses 4; t1 log-lost 5;"
         "t2 starts at 2s; t2 exits 1; t1 extends 1s; s1 lost at 3s; s1 attached;"
         "t3 dies 15 at 4s; finish r2; t1 stopping; t1 main-exits 0; shutdown; at 5s; t1 empty;"
         "shell starts; at 6s; at 2h");
    expect_line("t3 completed panicked signal 15");
}
END_TEST

/* ---- R-EVT-2: refused requests ------------------------------------------------------------ */

/* R-EVT-2: every sort of refusal leaves state and ids as they were. */
START_TEST(R_EVT_2_refusals_leave_no_mark)
{
    uint64_t digest;
    uint64_t id_last;

    given_config()->limits.tasks_per_region = 1;
    given("session s1; region r1; task t1 in r1 running; region r2; close r2");
    digest = kernel_digest(the_kernel());
    id_last = kernel_id_last(the_kernel());
    when("task x in r1; task x in r2; region x in r2; region x named r1; task y in r1 by 7;"
         "close / ; region z policy quorum; region z in r1 by 7; defer f to r2");
    ck_assert_uint_eq(kernel_digest(the_kernel()), digest);
    ck_assert_uint_eq(kernel_id_last(the_kernel()), id_last);
    expect_none("x");
}
END_TEST

/* ---- R-EVT-4: determinism ---------------------------------------------------------------------
 */

static uint64_t
story_hash(void)
{
    uint64_t hash;

    scenario_end();
    scenario_begin();
    given("shell starts; shell kills;"
          "session s1; s1 attached; region r1 attach from s1; region r2 in r1 policy race;"
          "task a in r2; task b in r2; task c in r1 timeout 3s; task d in r1 priority 9;"
          "defer f to r1; a exits 2 at 1s; at 20s; s1 lost; at 2m; shutdown; at 3m");
    hash = events_hash();
    ck_assert_int_eq(region_of("/").state, ASUP_REGION_CLOSED);
    return hash;
}

/* R-EVT-4: same inputs, same events, byte for byte. */
START_TEST(R_EVT_4_same_inputs_same_events)
{
    uint64_t once = story_hash();

    ck_assert_uint_eq(story_hash(), once);
}
END_TEST

/* ---- Time
 * ----------------------------------------------------------------------------------------- */

/* §1 Time: timers due at or before an input's time fire first, in order, even
 * when the shell comes late; then the input is decided. */
START_TEST(timers_fire_before_the_input)
{
    given("region r1 timeout 5s; task t1 in r1 running; task t2 in r1 running timeout 3s");
    when("jump to 7s; task t3 in r1");
    expect_line("refused region-closed");
    expect_none("t3");
    ck_assert_ptr_nonnull(strstr(trace_text(), "t2 cancel timeout"));
    ck_assert_ptr_nonnull(strstr(trace_text(), "r1 cancel timeout"));
    ck_assert(strstr(trace_text(), "t2 cancel timeout") <
              strstr(trace_text(), "r1 cancel timeout"));
}
END_TEST

/* The kernel asks to be woken exactly when something is due. */
START_TEST(the_next_deadline_is_the_earliest)
{
    ck_assert_uint_eq(kernel_next_deadline(the_kernel()), ASUP_NEVER);
    given("region r1 timeout 1h; task t1 in r1 running");
    ck_assert_uint_eq(kernel_next_deadline(the_kernel()), instant("1h"));
    given("task t2 in r1 running timeout 5m");
    ck_assert_uint_eq(kernel_next_deadline(the_kernel()), instant("5m"));
    given("t2 exits 0");
    ck_assert_uint_eq(kernel_next_deadline(the_kernel()), instant("1h"));
}
END_TEST

/* ---- Batches
 * ------------------------------------------------------------------------------------------ */

/* An atomic batch is admitted as a whole, in order. */
START_TEST(batch_all)
{
    given("region r1; task t0 in r1 running");
    when("batch 4; region r2 in r1; task t1 in r1; defer f1 to r1; cancel t0");
    expect_line("r2 opened");
    expect_line("t1 created");
    expect_line("f1 registered");
    expect_line("t0 cancel user T 30s");
    ck_assert_uint_eq(region_of("r1").tasks_live, 2);
}
END_TEST

/* ... or not at all: one refusal, whichever, refuses everything. */
START_TEST(batch_none)
{
    uint64_t digest;

    given_config()->limits.tasks_per_region = 2;
    given("region r1; region r2; close r2");
    digest = kernel_digest(the_kernel());
    when("batch 3; task t1 in r1; task t2 in r1; task t3 in r1");
    expect("refused busy tasks-per-region");
    when("batch 3; task t1 in r1; task t2 in r2; task t3 in r1");
    expect("refused region-closed");
    when("batch 2; region a named same; region b named same");
    expect("refused name-taken");
    when("batch 2; close r1; task t1 in r1");
    expect_line("refused region-closed");
    ck_assert_uint_eq(kernel_digest(the_kernel()), digest);
    trace_forget();
    when("batch 2; task t1 in r1; task t2 in r1");
    expect_none("refused");
}
END_TEST

/* ---- Memory
 * ---------------------------------------------------------------------------------------------- */

/* A request that finds no memory is refused before anything changed, and works
 * when it is asked again. */
START_TEST(no_memory_is_a_refusal)
{
    int refused = 0;

    for (long allowed = 0; allowed < 12; allowed++) {
        struct input in;
        int rc;

        scenario_end();
        scenario_begin();
        given("region r1");
        for (int i = 0; i < 400; i++) {
            in = scenario_input(i % 4 == 0 ? IN_REGION_OPEN : IN_TASK_SUBMIT);
            in.region = id_of("r1");
            if (in.kind == IN_REGION_OPEN) {
                in.u.region_open.drain_ns = ASUP_NEVER;
                in.u.region_open.budget =
                    (struct budget_request){ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};
            } else {
                in.u.submit = (struct task_params){
                    .spec = {.data = "spec", .size = 4},
                    .budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0},
                    .run_uid = 1000,
                    .drain_ns = ASUP_NEVER,
                    .leftover_ns = ASUP_NEVER,
                    .cancel_signal = 15};
            }
            scenario_memory(allowed);
            rc = scenario_step_only(&in);
            scenario_memory(-1);
            if (rc == -ASUP_ENOMEM) {
                refused++;
                in.token += 100000;
                rc = scenario_step_only(&in);
            }
            ck_assert_int_eq(rc, 0);
            trace_forget();
        }
    }
    ck_assert_int_gt(refused, 0);
}
END_TEST

/* §9 time-monotone: an earlier instant changes nothing, and an event from the future is found. */
START_TEST(time_monotone_is_checked)
{
    struct input tick = scenario_input(IN_TICK);
    struct kernel *k;
    asup_time before;

    given("region r1; task t1 in r1 running; at 10s");
    k = the_kernel();
    before = k->now;
    tick.now = before - ASUP_NS_PER_S;
    ck_assert_int_eq(kernel_step(k, &tick, &(struct step){0}), 0);
    ck_assert_uint_eq(k->now, before);
    ck_assert_ptr_null(kernel_check(k));
    k->now = k->event_at - 1;
    ck_assert_str_eq(kernel_check(k), "time-monotone");
    k->now = before;
}
END_TEST

static const struct rule rules[] = {
    RULE(R_EVT_1_the_events_are_the_state),
    RULE(R_EVT_2_refusals_leave_no_mark),
    RULE(R_EVT_4_same_inputs_same_events),
    RULE(timers_fire_before_the_input),
    RULE(the_next_deadline_is_the_earliest),
    RULE(batch_all),
    RULE(batch_none),
    RULE(no_memory_is_a_refusal),
    RULE(time_monotone_is_checked),
};

RULES_MAIN("events", rules, scenario_begin, scenario_end)
