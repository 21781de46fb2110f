/* SPDX-License-Identifier: MIT */
/* Obligations: made, resolved once, leaked, lost at T, and in the way of a
 * region's close (R-OBL-1 to R-OBL-7). */
#include "scenario.h"

#include <string.h>

/* R-OBL-1: resolved exactly once; a second resolve changes nothing.
 * Invariant obligation-linear. */
START_TEST(R_OBL_1_a_second_resolve_is_an_error_that_changes_nothing)
{
    given("session s; region r; s reserves o in r; s reserves p in r");
    when("s commits o");
    expect("o committed");
    when("s commits o");
    expect("refused resolved");
    when("s aborts o");
    expect("refused resolved");
    when("s aborts p note why");
    expect("p aborted why");
    when("s commits p");
    expect("refused resolved");
}
END_TEST

/* R-OBL-1: what never was is told from what is resolved. */
START_TEST(R_OBL_1_what_never_was_is_not_found)
{
    struct input in;

    given("session s; region r; s reserves o in r");
    in = scenario_input(IN_OBLIGATION_COMMIT);
    in.caller.session = id_of("s");
    in.subject = id_of("o") + 1;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ENOTFOUND);
    in.subject = 0;
    in.token++;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ENOTFOUND);
}
END_TEST

/* R-OBL-1: an obligation past its time is Aborted; to resolve it then is late. */
START_TEST(R_OBL_1_a_deadline_aborts_and_a_late_commit_is_expired)
{
    given("session s; region r; s reserves o in r timeout 5s");
    when("at 4.999s");
    expect("");
    when("s commits o at 5s");
    expect("-- 5s\n"
           "o aborted expired\n"
           "refused expired");
}
END_TEST

/* R-OBL-2: only the holder resolves. */
START_TEST(R_OBL_2_only_the_holder_resolves)
{
    given("session s; session u; region r; task t in r; s reserves o in r");
    when("u commits o");
    expect("refused denied");
    when("u aborts o");
    expect("refused denied");
    when("t commits o");
    expect("refused denied");
    when("s commits o");
    expect("o committed");
}
END_TEST

/* R-OBL-2: transfer is explicit; then the new holder resolves and the old does not. */
START_TEST(R_OBL_2_transfer_makes_another_the_holder)
{
    given("session s; region r; shell starts; task t in r; s reserves o in r");
    when("s passes o to t");
    expect("o passed to t");
    when("s commits o");
    expect("refused denied");
    when("t commits o");
    expect("o committed");
}
END_TEST

/* R-OBL-2: to a living holder that may, and to nobody else; also while cancelling.
 * Invariant holder-alive. */
START_TEST(R_OBL_2_transfer_needs_a_living_holder_with_rights)
{
    struct input in;

    given("session s; session e; session u by 2000; region r; shell starts; task t in r;"
          "task done in r; done exits 0; s reserves o in r; e bye");
    when("s passes o to e");
    expect("refused not-found");
    when("s passes o to done");
    expect("refused not-found");
    in = scenario_input(IN_OBLIGATION_TRANSFER);
    in.caller.session = id_of("s");
    in.subject = id_of("o");
    in.u.transfer.sort = ASUP_SORT_TASK;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ENOTFOUND);
    expect("refused not-found");
    when("s passes o to u");
    expect("refused denied");
    when("s passes o to r");
    expect("refused invalid");
    given("close r");
    when("s passes o to t");
    expect("o passed to t");
}
END_TEST

/* R-OBL-3: a task that completes while holding leaks, and the region says so. */
START_TEST(R_OBL_3_a_task_that_completes_leaks_what_it_holds)
{
    given("region r; shell starts; task t in r; t reserves o in r; t reserves p in r");
    when("t exits 0 at 1s");
    expect("-- 1s\n"
           "t completed ok\n"
           "o leaked by t\n"
           "p leaked by t");
    ck_assert_uint_eq(region_of("r").leaks, 2);
    when("finish r");
    expect("r finalizing\n"
           "r closed err obligation-leak");
}
END_TEST

/* R-OBL-3: so does a session, when it ends and not before. */
START_TEST(R_OBL_3_a_broken_connection_is_no_leak_but_starts_the_time_to_live)
{
    given("session s ttl 10s; region r; s reserves o in r");
    when("s lost at 1s");
    expect("-- 1s\n"
           "s lost");
    when("s attached at 5s; s lost at 6s; at 15s");
    expect("-- 5s\n"
           "s attached\n"
           "-- 6s\n"
           "s lost");
    when("at 16s");
    expect("-- 16s\n"
           "o leaked by s\n"
           "s ended");
}
END_TEST

/* R-OBL-3: what was handed to a task that never starts leaks with it. */
START_TEST(R_OBL_3_a_task_cancelled_before_its_start_leaks_what_it_was_handed)
{
    given("session s; region r; task t in r delay 1m; s reserves o in r; s passes o to t");
    when("cancel t");
    expect("t cancel user T 30s\n"
           "t completed cancelled user\n"
           "o leaked by t");
}
END_TEST

/* R-OBL-3, R-POL-1: strict, a leak counts Panicked. */
START_TEST(R_OBL_3_a_leak_is_panicked_where_the_region_is_strict)
{
    given("region r strict; shell starts; task t in r; t reserves o in r; t exits 0");
    when("finish r");
    expect("r finalizing\n"
           "r closed panicked obligation-leak");
}
END_TEST

START_TEST(R_OBL_3_a_leak_is_panicked_where_the_configuration_is_strict)
{
    given_config()->strict = true;
    given("region r; shell starts; task t in r; t reserves o in r; t exits 0");
    when("finish r");
    expect("r finalizing\n"
           "r closed panicked obligation-leak");
}
END_TEST

/* R-OBL-3: a leak counts where the obligation was owed, not where its holder lived. */
START_TEST(R_OBL_3_a_leak_counts_in_the_region_of_the_ledger)
{
    given("region top; region a in top; region b in top; shell starts; task t in top;"
          "t reserves o in b; t exits 0");
    when("finish a; finish b");
    expect("a finalizing\n"
           "a closed ok\n"
           "b finalizing\n"
           "b closed err obligation-leak");
}
END_TEST

/* R-OBL-4: a cancel resolves nothing; draining is where holders do. */
START_TEST(R_OBL_4_cancellation_resolves_nothing)
{
    given("region r; shell starts; task t in r; t reserves o in r");
    when("close r");
    expect("r cancel user T 30s\n"
           "t cancel user T 30s\n"
           "signal t 15");
    when("t commits o; t exits 0 at 1s");
    expect("o committed\n"
           "-- 1s\n"
           "t completed cancelled user exit 0\n"
           "r finalizing\n"
           "r closed cancelled user exit 0");
}
END_TEST

/* R-OBL-4: at T, who is outside the closing subtree loses what he holds in it. */
START_TEST(R_OBL_4_at_T_holders_outside_lose_what_they_hold)
{
    given("session s; region b; region a in b; region r in a; shell starts;"
          "task out in b; task in in a; s reserves o in r; out reserves p in r;"
          "in reserves q in r");
    when("close a");
    expect_line("r cancel parent-cancelled<user T 30s");
    when("at 29.999s");
    expect_none("o aborted");
    trace_forget();
    when("at 30s");
    expect("-- 30s\n"
           "r drain ended owing 3\n"
           "o aborted region-closed\n"
           "p aborted region-closed\n"
           "kill in\n"
           "sample in");
    when("s commits o");
    expect("refused region-closed");
    when("in killed");
    expect("in completed cancelled user signal 9 forced\n"
           "q leaked by in\n"
           "r closed err obligation-leak\n"
           "a finalizing\n"
           "a closed cancelled user signal 9 forced");
}
END_TEST

/* R-OBL-4: after that, nothing goes to a holder outside. */
START_TEST(R_OBL_4_after_T_nothing_is_passed_out)
{
    given("session s; region r; shell starts; task t in r; t reserves o in r; close r; at 30s");
    when("t passes o to s");
    expect("refused region-closed");
}
END_TEST

/* R-OBL-5: a region does not close before its ledger is empty.
 * Invariant ledger-empty-on-close. */
START_TEST(R_OBL_5_a_region_waits_for_its_ledger)
{
    given("session s; region r; s reserves o in r");
    when("finish r");
    expect("r finalizing");
    when("at 2h");
    expect("");
    when("s commits o");
    expect("o committed\n"
           "r closed ok");
}
END_TEST

/* R-OBL-5, R-OBL-4: one that finishes, and is cancelled while it waits, has a T after all. */
START_TEST(R_OBL_5_a_cancel_gives_a_waiting_ledger_its_T)
{
    given("session s; region r; s reserves o in r; finish r");
    when("close r at 1m");
    expect("-- 1m\n"
           "r cancel user T 1m30s");
    when("at 1m30s");
    expect("-- 1m30s\n"
           "r drain ended owing 1\n"
           "o aborted region-closed\n"
           "r closed ok");
}
END_TEST

/* R-REG-2: a draining region admits nothing new, except what its cleanup needs. */
START_TEST(R_REG_2_only_cleanup_reserves_in_a_region_that_ends)
{
    given("session s; region r finalizer f; shell starts; task t in r");
    when("finish r");
    when("s reserves o in r");
    expect("refused region-closed");
    when("t reserves p in r");
    expect("p reserved by t");
    when("t commits p; close r");
    trace_forget();
    when("t reserves q in r");
    expect("refused region-closed");
    given("t exits 0");
    when("f reserves u in r");
    expect("u reserved by f");
    when("f commits u; f exits 0");
    expect_line("r closed cancelled user exit 0");
    when("s reserves v in r");
    expect_line("refused region-closed");
}
END_TEST

/* R-OBL-6: a task that holds something and makes no progress is reported, once. */
START_TEST(R_OBL_6_a_holder_without_progress_is_reported)
{
    struct holder_view holder;

    given("region r; shell starts; task t in r; t reserves o in r");
    when("at 59s");
    expect_none("t stuck");
    trace_forget();
    when("at 61s");
    expect("-- 1m\n"
           "t stuck\n"
           "sample t");
    ck_assert(kernel_holder(the_kernel(), (struct asup_ref){id_of("t"), ASUP_SORT_TASK}, &holder));
    ck_assert(holder.stuck);
    when("at 10m");
    expect_none("t stuck");
    when("t checkpoints");
    ck_assert(kernel_holder(the_kernel(), (struct asup_ref){id_of("t"), ASUP_SORT_TASK}, &holder));
    ck_assert(!holder.stuck);
    trace_forget();
    when("at 10m59s");
    expect_none("t stuck");
    when("at 11m");
    expect_line("t stuck");
}
END_TEST

/* R-OBL-6: checkpoints, reports and CPU time are progress; what uses none is stuck. */
START_TEST(R_OBL_6_progress_is_checkpoint_report_or_cpu_time)
{
    given("region r; shell starts; task t in r; t reserves o in r");
    when("t checkpoints at 50s; t progresses 3 at 1m40s; t used 50 at 2m30s; at 3m29s");
    expect_none("t stuck");
    when("t used 50 at 3m29.5s"); /* as much as before */
    when("at 3m30s");
    expect_line("t stuck");
}
END_TEST

/* R-OBL-6: who holds nothing is not watched, and the watch can be turned off. */
START_TEST(R_OBL_6_only_holders_are_watched)
{
    given("region r; shell starts; task t in r; t reserves o in r; t commits o");
    when("at 1h");
    expect("");
}
END_TEST

START_TEST(R_OBL_6_can_be_turned_off)
{
    given_config()->futurelock_ns = ASUP_NEVER;
    given("region r; shell starts; task t in r; t reserves o in r");
    when("at 1h");
    expect("");
}
END_TEST

/* R-OBL-7: the ledger counts by region and kind. */
START_TEST(R_OBL_7_the_ledger_is_a_marking)
{
    struct kernel_counts counts;

    given("session s; region r; region q; s reserves o in r; s reserves p in r; s reserves u in q;"
          "s acquires l on name in q");
    ck_assert_uint_eq(region_of("r").obligations[ASUP_OBLIGATION_IO_OP], 2);
    ck_assert_uint_eq(region_of("q").obligations[ASUP_OBLIGATION_IO_OP], 1);
    ck_assert_uint_eq(region_of("q").obligations[ASUP_OBLIGATION_LEASE], 1);
    when("s commits o; s aborts u");
    kernel_counts(the_kernel(), &counts);
    ck_assert_uint_eq(region_of("r").obligations[ASUP_OBLIGATION_IO_OP], 1);
    ck_assert_uint_eq(region_of("q").obligations[ASUP_OBLIGATION_IO_OP], 0);
    ck_assert_uint_eq(counts.obligations[ASUP_OBLIGATION_IO_OP], 1);
    ck_assert_uint_eq(counts.obligations[ASUP_OBLIGATION_LEASE], 1);
}
END_TEST

/* R-SCH-4: limits, before anything changes. */
START_TEST(R_SCH_4_obligations_are_limited_per_user_and_per_daemon)
{
    given_config()->limits.obligations_per_user = 2;
    given_config()->limits.obligations_per_daemon = 3;
    given("session s; session u by 2000; region r; region q by 2000;"
          "s reserves o in r; s reserves p in r");
    when("s reserves x in r");
    expect("refused busy obligations-per-user");
    when("u reserves y in q by 2000");
    expect("y reserved by u");
    when("u reserves z in q by 2000");
    expect("refused busy obligations-per-daemon");
}
END_TEST

/* R-OBL-2: without a session or a task there is nobody to hold it. */
START_TEST(R_OBL_2_somebody_has_to_hold_it)
{
    struct input in;

    given("session s; region r by 1000; session e; e bye");
    in = scenario_input(IN_OBLIGATION_RESERVE);
    in.region = id_of("r");
    in.u.io.timeout_ns = ASUP_NEVER;
    ck_assert_int_eq(scenario_step(&in), -ASUP_EINVALID);
    in.token++;
    in.caller.session = id_of("e");
    ck_assert_int_eq(scenario_step(&in), -ASUP_EEXPIRED);
    in.token++;
    in.caller.session = id_of("s");
    in.u.io.timeout_ns = 0;
    ck_assert_int_eq(scenario_step(&in), -ASUP_EINVALID);
}
END_TEST

/* R-IDM-1: the same request again has the same answer, also after it was resolved. */
START_TEST(R_IDM_1_a_reserve_said_again_makes_no_second)
{
    given("session s; region r");
    when("s reserves o in r request 7 digest 1");
    expect("o reserved by s\n"
           "answered o");
    when("s commits o; s reserves p in r request 7 digest 1");
    expect("o committed\n"
           "answered o");
    when("s reserves q in r request 7 digest 2");
    expect("refused conflict");
}
END_TEST

/* How the last ones ended is remembered, of so many and no more. */
START_TEST(what_ended_is_remembered_for_the_last_4096)
{
    struct obligation_ended_view ended;
    uint64_t first;

    given("session s; region r; s reserves o in r; s commits o");
    first = id_of("o");
    ck_assert(kernel_obligation_ended(the_kernel(), first, &ended));
    ck_assert(ended.committed && !ended.leaked);
    ck_assert_uint_eq(ended.holder.id, id_of("s"));
    for (int i = 0; i < 4096; i++) {
        struct input in = scenario_input(IN_OBLIGATION_RESERVE);

        in.caller.session = id_of("s");
        in.region = id_of("r");
        in.u.io.timeout_ns = ASUP_NEVER;
        ck_assert_int_eq(scenario_step(&in), 0);
        in.kind = IN_OBLIGATION_ABORT;
        in.subject = scenario_made().id;
        in.token = scenario_input(IN_TICK).token;
        memset(&in.u, 0, sizeof in.u);
        ck_assert_int_eq(scenario_step(&in), 0);
        trace_forget();
    }
    ck_assert(!kernel_obligation_ended(the_kernel(), first, &ended));
    ck_assert(kernel_obligation_ended(the_kernel(), first + 1, &ended));
    when("s commits o");
    expect("refused resolved");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_OBL_1_a_second_resolve_is_an_error_that_changes_nothing),
    RULE(R_OBL_1_what_never_was_is_not_found),
    RULE(R_OBL_1_a_deadline_aborts_and_a_late_commit_is_expired),
    RULE(R_OBL_2_only_the_holder_resolves),
    RULE(R_OBL_2_transfer_makes_another_the_holder),
    RULE(R_OBL_2_transfer_needs_a_living_holder_with_rights),
    RULE(R_OBL_2_somebody_has_to_hold_it),
    RULE(R_OBL_3_a_task_that_completes_leaks_what_it_holds),
    RULE(R_OBL_3_a_broken_connection_is_no_leak_but_starts_the_time_to_live),
    RULE(R_OBL_3_a_task_cancelled_before_its_start_leaks_what_it_was_handed),
    RULE(R_OBL_3_a_leak_is_panicked_where_the_region_is_strict),
    RULE(R_OBL_3_a_leak_is_panicked_where_the_configuration_is_strict),
    RULE(R_OBL_3_a_leak_counts_in_the_region_of_the_ledger),
    RULE(R_OBL_4_cancellation_resolves_nothing),
    RULE(R_OBL_4_at_T_holders_outside_lose_what_they_hold),
    RULE(R_OBL_4_after_T_nothing_is_passed_out),
    RULE(R_OBL_5_a_region_waits_for_its_ledger),
    RULE(R_OBL_5_a_cancel_gives_a_waiting_ledger_its_T),
    RULE(R_REG_2_only_cleanup_reserves_in_a_region_that_ends),
    RULE(R_OBL_6_a_holder_without_progress_is_reported),
    RULE(R_OBL_6_progress_is_checkpoint_report_or_cpu_time),
    RULE(R_OBL_6_only_holders_are_watched),
    RULE(R_OBL_6_can_be_turned_off),
    RULE(R_OBL_7_the_ledger_is_a_marking),
    RULE(R_SCH_4_obligations_are_limited_per_user_and_per_daemon),
    RULE(R_IDM_1_a_reserve_said_again_makes_no_second),
    RULE(what_ended_is_remembered_for_the_last_4096),
};

RULES_MAIN("obligation", rules, scenario_begin, scenario_end)
