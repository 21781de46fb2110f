/* SPDX-License-Identifier: MIT */
/* Coming back after a crash (R-DUR-1, R-TSK-5, R-SAG-3, §1 Time): a kernel that
 * folds the durable events of a scenario, is told the keeper's rows, and resumes.
 * Crashes at any moment are in random_walk.c. */
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "durably.h"
#include "scenario.h"

static void *
plain_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size_new);
}

static const struct kernel_allocator plain = {.resize = plain_resize};

/* ---- The journal of a scenario ---------------------------------------------------- */

static struct memory_file snapshot;
static struct durable_buffer journal[1024];
static size_t journal_count;
static struct kernel *back; /* the kernel that came back */
static struct step step;    /* its last one */

static void
write_event(const struct event *ev)
{
    if (!ev->durable)
        return;
    ck_assert_uint_lt(journal_count, 1024);
    journal[journal_count].allocator = plain;
    ck_assert_int_eq(kernel_event_encode(ev, &journal[journal_count++]), 0);
}

static void
journal_forget(void)
{
    for (size_t i = 0; i < journal_count; i++)
        durable_buffer_fini(&journal[i]);
    journal_count = 0;
}

static void
begin(void)
{
    struct durable_sink sink = memory_sink(&snapshot);

    scenario_begin();
    ck_assert_int_eq(kernel_save(the_kernel(), &sink), 0);
    scenario_event_hook = write_event;
}

static void
end(void)
{
    scenario_event_hook = NULL;
    kernel_free(back);
    back = NULL;
    journal_forget();
    memory_file_fini(&snapshot);
    scenario_end();
}

/* The engine dies; another one reads what it wrote. */
static void
crash(void)
{
    struct durable_buffer scratch = {.allocator = plain};
    struct durable_source source = memory_source(&snapshot);

    ck_assert_int_eq(kernel_load(&source, &plain, 0, LOAD_RECOVER, &back), 0);
    for (size_t i = 0; i < journal_count; i++) {
        struct event ev;

        ck_assert_int_eq(
            kernel_event_decode((struct bytes){journal[i].data, journal[i].size}, &scratch, &ev),
            0);
        kernel_apply(back, &ev);
    }
    durable_buffer_fini(&scratch);
}

static int
tell(struct input in, const char *at)
{
    in.now = instant(at);
    return kernel_step(back, &in, &step);
}

static void
resume(bool same_keeper, bool same_boot, const char *at)
{
    struct input in = {.kind = IN_RESUMED};

    in.u.resumed.same_keeper = same_keeper;
    in.u.resumed.same_boot = same_boot;
    in.u.resumed.id_first = 1000;
    ck_assert_int_eq(tell(in, at), 0);
    ck_assert(!kernel_recovering(back));
    ck_assert_ptr_null(kernel_check(back));
}

/* How many orders of that kind about a task or region the last step gave. */
static int
orders(enum effect_kind kind, const char *name)
{
    int count = 0;

    for (size_t i = 0; i < step.effect_count; i++) {
        const struct effect *fx = &step.effects[i];

        if (fx->kind == kind && (fx->task == id_of(name) ||
                                 (fx->task == 0 && fx->region != 0 && fx->region == id_of(name))))
            count++;
    }
    return count;
}

static struct task_view
task_back(const char *name)
{
    struct task_view t;

    ck_assert(kernel_task(back, id_of(name), &t));
    return t;
}

static struct region_view
region_back(const char *name)
{
    struct region_view r;

    ck_assert(kernel_region(back, id_of(name), &r));
    return r;
}

/* ---- Volatile regions (R-DUR-1) ------------------------------------------------------- */

static int
written(enum event_kind kind, const char *name)
{
    struct durable_buffer scratch = {.allocator = plain};
    int count = 0;

    for (size_t i = 0; i < journal_count; i++) {
        struct event ev;

        ck_assert_int_eq(
            kernel_event_decode((struct bytes){journal[i].data, journal[i].size}, &scratch, &ev),
            0);
        count += ev.kind == kind && (ev.task != 0 ? ev.task : ev.region) == id_of(name);
    }
    durable_buffer_fini(&scratch);
    return count;
}

/* R-DUR-1: of a volatile region its opening and its end are durable, of what is
 * in it nothing; and below it nothing can be. */
START_TEST(R_DUR_1_below_volatile_all_is_volatile)
{
    given("region v volatile; region w in v; task t in v running; task u in w running");
    when("region x in v durable");
    expect_line("refused invalid");
    ck_assert_int_eq(written(EV_REGION_OPENED, "v"), 1);
    ck_assert_int_eq(written(EV_REGION_OPENED, "w"), 0);
    ck_assert_int_eq(written(EV_TASK_CREATED, "t"), 0);
    ck_assert_int_eq(written(EV_TASK_STARTED, "u"), 0);
    when("shell kills; cancel v drain 0; at 1s");
    ck_assert_int_eq(region_of("v").state, ASUP_REGION_CLOSED);
    ck_assert_int_eq(written(EV_REGION_CANCEL_REQUESTED, "v"), 0);
    ck_assert_int_eq(written(EV_REGION_CLOSED, "w"), 0);
    ck_assert_int_eq(written(EV_REGION_CLOSED, "v"), 1);
    crash();
    ck_assert_int_eq(region_back("v").state, ASUP_REGION_CLOSED);
    ck_assert_int_eq(region_back("v").outcome.key.severity, region_of("v").outcome.key.severity);
}
END_TEST

/* R-DUR-1: durable where it can be. */
START_TEST(R_DUR_1_durable_can_be_asked_for)
{
    given("region r durable; region s in r durable");
    ck_assert(!region_of("s").is_volatile);
}
END_TEST

/* R-DUR-1: its tasks are killed as rows that nobody knows, and it is Closed with
 * Panicked(lost) when nothing of it is left. */
START_TEST(R_DUR_1_a_volatile_region_is_lost_with_the_engine)
{
    struct task_view t;
    struct input swept = {.kind = IN_REGION_SWEPT};

    given("region v volatile; task t in v running; region w in v");
    crash();
    ck_assert(!kernel_task(back, id_of("t"), &t));
    ck_assert_int_eq(region_back("v").state, ASUP_REGION_OPEN);
    resume(true, true, "1s");
    ck_assert_int_eq(orders(FX_SWEEP, "v"), 1);
    ck_assert_int_ne(region_back("v").state, ASUP_REGION_CLOSED);
    swept.region = id_of("v");
    (void)tell(swept, "2s");
    ck_assert_int_eq(region_back("v").state, ASUP_REGION_CLOSED);
    ck_assert_int_eq(region_back("v").outcome.key.severity, ASUP_PANICKED);
    ck_assert(region_back("v").outcome.lost);
}
END_TEST

/* R-DUR-1: a snapshot holds volatile regions, a fold leaves out what was in them. */
START_TEST(R_DUR_1_a_fold_leaves_out_what_was_volatile)
{
    struct durable_sink sink = memory_sink(&snapshot);
    struct task_view t;

    given("region r; task d in r running; region v in r volatile; region w in v;"
          "task t in v running; task u in w running; task x in w; cancel w; defer f to v");
    snapshot.size = 0;
    ck_assert_int_eq(kernel_save(the_kernel(), &sink), 0);
    journal_forget();
    when("shell kills; cancel v drain 0; at 1s; f starts; f exits 0; d exits 0");
    crash();
    ck_assert(kernel_task(back, id_of("d"), &t));
    ck_assert(!kernel_task(back, id_of("t"), &t));
    ck_assert(!kernel_task(back, id_of("x"), &t));
    ck_assert_int_eq(region_back("v").state, ASUP_REGION_CLOSED);
    resume(true, true, "2s");
    ck_assert_int_eq(task_back("d").outcome.key.severity, ASUP_OK);
}
END_TEST

/* R-DUR-1: an ended saga of a volatile region came with the snapshot, and that it was forgotten
 * is not written: those behind it are forgotten all the same. */
START_TEST(R_DUR_1_an_ended_saga_of_a_volatile_region_is_in_nobodys_way)
{
    struct durable_sink sink = memory_sink(&snapshot);
    struct saga_view saga;

    given("session s; region v volatile; saga g in v from s; region r; saga h in r from s;"
          "complete g; complete h");
    snapshot.size = 0;
    ck_assert_int_eq(kernel_save(the_kernel(), &sink), 0);
    journal_forget();
    when("at 3700s; region q");
    ck_assert(!kernel_saga(the_kernel(), id_of("h"), &saga));
    crash();
    ck_assert(!kernel_saga(back, id_of("h"), &saga));
}
END_TEST

/* R-DUR-1: who serves a region no more does not keep it in snapshots when it is forgotten. */
START_TEST(R_DUR_1_a_worker_without_offers_has_no_region)
{
    given("shell starts; shell sweeps; session w; w attached; region r; w offers f in r; w "
          "withdraws f; close r; at 1s");
    when("at 3700s");
    kernel_free(load_of(the_kernel(), &plain, instant("0"), LOAD_EXACT));
}
END_TEST

/* R-DUR-1: what a durable outcome names is told with all that caused it, also with what nobody
 * durable holds any more. */
START_TEST(R_DUR_1_causes_are_told_that_nothing_durable_holds)
{
    struct reason_view chain[4];

    given("shell starts; shell sweeps; region r; region v in r volatile; task t in v running; "
          "cancel r; shutdown;"
          "t exits 1");
    ck_assert_int_eq(region_of("v").state, ASUP_REGION_CLOSED);
    ck_assert_uint_eq(kernel_reason(the_kernel(), region_of("v").outcome.reason, chain, 4), 2);
    crash();
    ck_assert_int_eq(region_back("v").state, ASUP_REGION_CLOSED);
    ck_assert_uint_eq(kernel_reason(back, region_back("v").outcome.reason, chain, 4), 2);
    ck_assert_int_eq(chain[1].key.kind, ASUP_CANCEL_USER);
}
END_TEST

/* R-DUR-1, R-BUD-2: what it spends is charged to those above it, durably. */
START_TEST(R_DUR_1_charges_of_a_volatile_region_are_durable)
{
    given("region r cost 100; region v in r volatile; region w in v; task t in w running;"
          "t progresses 40; t progresses 2");
    ck_assert_uint_eq(region_of("r").cost_spent, 42);
    crash();
    ck_assert_uint_eq(region_back("r").cost_spent, 42);
    when("t progresses 60");
    expect_line("r cancel cost-budget T 10s");
}
END_TEST

/* R-DUR-1, R-OUT-3: the cancel reasons that its outcome names are known, though
 * no durable event made them. */
START_TEST(R_DUR_1_the_reasons_of_its_outcome_are_durable)
{
    struct reason_view chain[4];

    given("region v volatile; region w in v; task t in w running; shell obeys;"
          "cancel v message why");
    crash();
    ck_assert_int_eq(region_back("v").outcome.key.severity, ASUP_CANCELLED);
    ck_assert_uint_eq(kernel_reason(back, region_back("v").outcome.reason, chain, 4), 2);
    ck_assert_int_eq(chain[0].key.kind, ASUP_CANCEL_PARENT_CANCELLED);
    ck_assert_int_eq(chain[1].key.kind, ASUP_CANCEL_USER);
    ck_assert_uint_eq(chain[1].message.size, 3);
}
END_TEST

/* ---- What is owed (R-TSK-5) ---------------------------------------------------------------- */

/* R-TSK-5: with the same keeper every order without a known answer goes out
 * again: starts, signals, kills, sweeps; and nothing else. */
START_TEST(R_TSK_5_the_same_keeper_gets_what_is_owed)
{
    given("shell delivers no; shell sweeps no; region r; region q;"
          "task t1 in r; task t2 in r running; task t3 in r running; task t4 in r running;"
          "task t5 in r running; task t6 in q running; cancel t3; cancel t4 drain 0;"
          "cancel t5; t5 signalled; t6 exits 0; close q; at 1s");
    crash();
    resume(true, true, "1s");
    ck_assert_int_eq(orders(FX_START, "t1"), 1);
    ck_assert_int_eq(orders(FX_START, "t2"), 0);
    ck_assert_int_eq(orders(FX_SIGNAL, "t3"), 1);
    ck_assert_int_eq(orders(FX_KILL, "t4"), 1);
    ck_assert_int_eq(orders(FX_SIGNAL, "t5"), 0);
    ck_assert_int_eq(orders(FX_SWEEP, "q"), 1);
    ck_assert_int_eq(task_back("t2").state, ASUP_TASK_RUNNING);
}
END_TEST

/* R-TSK-5: what the keeper's rows say counts, wherever the journal ends. */
START_TEST(R_TSK_5_rows_tell_what_happened_meanwhile)
{
    struct input in = {.kind = IN_TASK_EXITED};

    given("region r; task t in r running; task u in r running");
    crash();
    in.task = id_of("t");
    in.u.exited = (struct process_exit){.exit_code = 3};
    (void)tell(in, "1s");
    in = (struct input){.kind = IN_TASK_EMPTY, .task = id_of("t")};
    (void)tell(in, "1s");
    resume(true, true, "1s");
    ck_assert_int_eq(task_back("t").outcome.exit_code, 3);
    ck_assert_int_eq(task_back("u").state, ASUP_TASK_RUNNING);
}
END_TEST

/* R-TSK-5: with a new keeper, what was ordered and has no end is lost; what was
 * not ordered is started as if nothing had been. */
START_TEST(R_TSK_5_with_a_new_keeper_what_ran_is_lost)
{
    given("region r; task t1 in r running; task t2 in r running; task t3 in r delay 1m;"
          "task t4 in r running; t4 exits 7");
    crash();
    resume(false, false, "0");
    ck_assert_int_eq(task_back("t1").outcome.key.severity, ASUP_PANICKED);
    ck_assert(task_back("t1").outcome.lost);
    ck_assert(task_back("t2").outcome.lost);
    ck_assert_int_eq(task_back("t3").state, ASUP_TASK_CREATED);
    ck_assert_int_eq(task_back("t4").outcome.exit_code, 7); /* R-TSK-6 */
    (void)tell((struct input){.kind = IN_TICK}, "1m");
    ck_assert_int_eq(orders(FX_START, "t3"), 1);
}
END_TEST

/* R-REG-1: a daemon that is started anew has an open "/", also when the one before
 * was shut down; what is left below goes on ending. The same keeper's goes on
 * being shut down. */
START_TEST(R_REG_1_the_root_opens_again)
{
    struct region_view root;

    given("region r; task t in r running");
    when("shutdown");
    crash();
    resume(false, false, "0");
    ck_assert(kernel_region(back, ASUP_ROOT_ID, &root));
    ck_assert_int_eq(root.state, ASUP_REGION_OPEN);
    ck_assert(!root.cancelled);
    ck_assert_int_ne(region_back("r").state, ASUP_REGION_OPEN);
    ck_assert(task_back("t").outcome.lost);
}
END_TEST

START_TEST(R_REG_1_a_closed_root_opens_again)
{
    struct region_view root;
    struct input in = {.kind = IN_REGION_OPEN,
                       .token = 1,
                       .region = ASUP_ROOT_ID,
                       .u.region_open = {.policy = ASUP_POLICY_COLLECT,
                                         .budget = {.timeout_ns = ASUP_NEVER,
                                                    .deadline_at = ASUP_NEVER,
                                                    .poll_quota = UINT32_MAX,
                                                    .cost_quota = UINT64_MAX},
                                         .drain_ns = ASUP_NEVER}};

    when("shutdown");
    crash();
    ck_assert(kernel_region(back, ASUP_ROOT_ID, &root));
    ck_assert_int_eq(root.state, ASUP_REGION_CLOSED);
    resume(false, false, "0");
    ck_assert(kernel_region(back, ASUP_ROOT_ID, &root));
    ck_assert_int_eq(root.state, ASUP_REGION_OPEN);
    ck_assert_int_eq(tell(in, "1s"), 0);
    ck_assert_ptr_null(kernel_check(back));
}
END_TEST

START_TEST(R_REG_1_the_same_keeper_goes_on_shutting_down)
{
    struct region_view root;

    given("region r; task t in r running");
    when("shutdown");
    crash();
    resume(true, true, "0");
    ck_assert(kernel_region(back, ASUP_ROOT_ID, &root));
    ck_assert_int_ne(root.state, ASUP_REGION_OPEN);
    ck_assert(root.cancelled);
}
END_TEST

/* Numbers of events that no journal holds were seen, too. */
START_TEST(R_EVT_1_numbers_of_events_go_on)
{
    struct input in = {.kind = IN_RESUMED, .u.resumed.seq_first = 5000};

    given("region r");
    crash();
    ck_assert_int_eq(tell(in, "0"), 0);
    ck_assert_uint_ge(step.events[0].seq, 5000);
    ck_assert_ptr_null(kernel_check(back));
}
END_TEST

/* R-TSK-5: one task that the keeper does not know any more. */
START_TEST(R_TSK_5_a_task_without_a_row_is_lost)
{
    struct input in = {.kind = IN_TASK_LOST};

    given("region r; task t in r running; task u in r running");
    crash();
    in.task = id_of("t");
    (void)tell(in, "1s");
    resume(true, true, "1s");
    ck_assert(task_back("t").outcome.lost);
    ck_assert_int_eq(task_back("u").state, ASUP_TASK_RUNNING);
}
END_TEST

/* R-SAG-3: a finalizer whose end is not known runs again; one that is recorded
 * done does not. */
START_TEST(R_SAG_3_a_lost_finalizer_runs_again)
{
    given("region r finalizer f1 finalizer f2; task t in r running; t exits 0; close r;"
          "f2 starts; f2 exits 0; f1 starts");
    crash();
    resume(false, false, "1s");
    ck_assert_int_eq(orders(FX_START, "f1"), 1);
    ck_assert_int_eq(orders(FX_START, "f2"), 0);
    ck_assert_uint_gt(step.effect_count, 0);
    for (size_t i = 0; i < step.effect_count; i++) {
        if (step.effects[i].kind == FX_START)
            ck_assert_uint_gt(step.effects[i].spec.size, 0);
    }
}
END_TEST

/* R-IDM-1: its idempotency key keeps its outcome all the same. */
START_TEST(R_IDM_1_a_finalizer_that_runs_again_keeps_its_key)
{
    given("region r; defer f to r key job digest 9; task t in r running; t exits 0; close r;"
          "f starts");
    crash();
    resume(false, false, "1s");
    ck_assert_int_eq(orders(FX_START, "f"), 1);
    ck_assert_ptr_null(kernel_check(back));
}
END_TEST

static void
the_root_opens_again_and_closes(void)
{
    struct input in = {.kind = IN_SHUTDOWN, .token = 1, .u.shutdown.within_ns = ASUP_NEVER};
    struct region_view root;

    crash();
    resume(false, false, "1s");
    ck_assert(kernel_region(back, ASUP_ROOT_ID, &root));
    ck_assert_int_eq(root.state, ASUP_REGION_OPEN);
    ck_assert_uint_eq(root.finalizer_top, id_of("f1"));
    ck_assert_int_eq(orders(FX_START, "f1"), 0);
    ck_assert_int_eq(tell(in, "2s"), 0);
    ck_assert_ptr_null(kernel_check(back));
    ck_assert(kernel_region(back, ASUP_ROOT_ID, &root));
    ck_assert_int_eq(root.state, ASUP_REGION_FINALIZING);
}

/* R-SAG-3: one of "/" that was lost in a shutdown is not done, but "/" is open: its
 * turn comes in the next shutdown. */
START_TEST(R_SAG_3_a_lost_finalizer_of_the_root_waits_for_the_next_shutdown)
{
    given("defer f1 to / by 0; shutdown; f1 starts");
    the_root_opens_again_and_closes();
    ck_assert_int_eq(orders(FX_START, "f1"), 1);
}
END_TEST

START_TEST(R_SAG_3_so_does_one_that_is_a_call)
{
    struct call_view call;

    given("session w by 0; w offers f; w asks; defer f1 to / does f by 0; shutdown");
    ck_assert(kernel_call(the_kernel(), id_of("f1"), &call) && call.started);
    the_root_opens_again_and_closes();
    ck_assert(kernel_call(back, id_of("f1"), &call) && call.worker == 0);
    ck_assert_uint_le(call.attempt, call.attempts);
}
END_TEST

/* R-SAG-3: and it stays the call that it is, among others. */
START_TEST(R_SAG_3_a_call_that_begins_anew_is_the_same_one)
{
    struct call_view call;

    given("session w by 0; w offers f; w asks; defer f0 to / does g by 0;"
          "defer f1 to / does f by 0; shutdown");
    the_root_opens_again_and_closes();
    ck_assert(kernel_call(back, id_of("f1"), &call));
    ck_assert_uint_eq(call.name.size, 1);
    ck_assert_mem_eq(call.name.data, "f", 1);
}
END_TEST

/* R-SAG-3: a compensation that is a call goes on with its worker, in the same boot; else an
 * attempt of it is spent. What it was recorded with is there again: its input and its
 * rights. */
START_TEST(R_SAG_3_a_compensation_that_is_a_call_comes_back)
{
    struct input in = {.kind = IN_CALL_COMPLETE};
    struct call_view call;
    struct saga_view saga;

    given("session s; session w; region r; s derives x in r rights spawn,saga;"
          "saga g in r with x from s; step one of g with x from s undo does f;"
          "w offers f; w asks; abort g");
    crash();
    resume(true, true, "1s");
    ck_assert(kernel_call(back, id_of("~one"), &call) && call.worker == id_of("w"));
    ck_assert_mem_eq(call.input.data, "undo spec", 9);
    ck_assert_int_eq(tell((struct input){.kind = IN_REGION_END,
                                         .region = id_of("r"),
                                         .caller = {.uid = 1000, .task = id_of("~one")}},
                          "1s"),
                     -ASUP_EDENIED);
    in.caller = (struct caller){.uid = 1000, .session = id_of("w")};
    in.u.complete = (struct completion){.task = id_of("~one"), .attempt = 1};
    ck_assert_int_eq(tell(in, "2s"), 0);
    ck_assert(kernel_saga(back, id_of("g"), &saga));
    ck_assert_int_eq(saga.state, SAGA_COMPENSATED);
    ck_assert_ptr_null(kernel_check(back));
}
END_TEST

START_TEST(R_SAG_3_of_a_compensation_that_lost_its_worker_an_attempt_is_spent)
{
    struct saga_step_view undoing;
    struct call_view call;

    given("session s; session w; region r; saga g in r from s;"
          "step one of g from s undo does f attempts 2 backoff 1s; w offers f; w asks; abort g");
    crash();
    resume(false, false, "1s");
    (void)tell((struct input){.kind = IN_TICK}, "2s");
    ck_assert(task_back("~one").outcome.lost);
    ck_assert(kernel_saga_step(back, id_of("g"), 1, &undoing));
    (void)tell((struct input){.kind = IN_TICK}, "3s");
    ck_assert(kernel_saga_step(back, id_of("g"), 1, &undoing));
    ck_assert_uint_eq(undoing.attempts, 2);
    ck_assert(kernel_call(back, undoing.undo, &call) && call.worker == 0);
    ck_assert_mem_eq(call.input.data, "undo spec", 9);
    ck_assert_ptr_null(kernel_check(back));
}
END_TEST

/* ---- Time (§1) --------------------------------------------------------------------------------
 */

/* R-SES-1: sessions count as lost until they attach; their time starts anew. Of
 * another boot none is left. */
START_TEST(R_SES_1_sessions_are_lost_until_they_attach)
{
    struct input attached = {.kind = IN_SESSION_ATTACHED};
    struct session_view s;

    given("session s1 ttl 10s; session s2 ttl 10s; region r attach from s2");
    crash();
    resume(true, true, "1h");
    ck_assert(kernel_session(back, id_of("s1"), &s));
    ck_assert_uint_eq(s.expires_at, instant("1h") + 10 * ASUP_NS_PER_S);
    attached.session = id_of("s1");
    (void)tell(attached, "3605s");
    (void)tell((struct input){.kind = IN_TICK}, "3620s");
    ck_assert(kernel_session(back, id_of("s1"), &s));
    ck_assert(!kernel_session(back, id_of("s2"), &s));
    ck_assert(region_back("r").cancelled);
}
END_TEST

START_TEST(R_SES_1_another_boot_has_no_sessions)
{
    struct session_view s;

    given("session s1 ttl 10s");
    crash();
    resume(false, false, "0");
    (void)tell((struct input){.kind = IN_TICK}, "0");
    ck_assert(!kernel_session(back, id_of("s1"), &s));
}
END_TEST

/* §1 Time: limits and delays are instants: the time that an engine was down
 * counts. Watchdogs start anew. */
START_TEST(limits_go_on_and_watchdogs_start_anew)
{
    given("region r timeout 1m; task t in r running watchdog 10s; task u in r delay 50s;"
          "task v in r running timeout 30s");
    crash();
    ck_assert_uint_eq(kernel_next_deadline(back), ASUP_NEVER);
    resume(true, true, "40s");
    (void)tell((struct input){.kind = IN_TICK}, "45s");
    ck_assert_int_eq(task_back("t").state, ASUP_TASK_RUNNING);
    ck_assert_uint_ne(task_back("v").reason, 0);
    (void)tell((struct input){.kind = IN_TICK}, "51s");
    ck_assert(task_back("t").escalated);
    ck_assert(task_back("u").start_ordered);
    (void)tell((struct input){.kind = IN_TICK}, "61s");
    ck_assert(region_back("r").cancelled);
}
END_TEST

/* Ids are never used again, not even those that no durable event told of. */
START_TEST(R_EVT_1_ids_go_on)
{
    struct input in = {.kind = IN_SESSION_OPEN, .token = 9};

    given("region r");
    crash();
    in.caller.uid = 1000;
    ck_assert_int_eq(tell(in, "1s"), -ASUP_EUNAVAILABLE); /* not yet */
    resume(true, true, "1s");
    ck_assert_int_eq(tell(in, "1s"), 0);
    ck_assert_uint_eq(step.effects[0].made.id, 1000);
}
END_TEST

/* ---- Output commit, and a journal that fails --------------------------------------------------
 */

/* R-DUR-1: an order or answer names the event that it depends on; signals, and
 * what is volatile, wait for nothing. */
START_TEST(R_DUR_1_effects_name_what_they_wait_for)
{
    struct input in = scenario_input(IN_TASK_SUBMIT);

    given("region r; region v volatile; task t in r running");
    back = load_of(the_kernel(), &plain, instant("0"), LOAD_EXACT);
    in.region = id_of("r");
    in.u.submit =
        (struct task_params){.budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0},
                             .run_uid = in.caller.uid,
                             .drain_ns = ASUP_NEVER,
                             .leftover_ns = ASUP_NEVER,
                             .cancel_signal = 15};
    ck_assert_int_eq(tell(in, "0"), 0);
    ck_assert_uint_eq(step.effect_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct effect *fx = &step.effects[i];

        ck_assert_uint_ge(fx->after, step.events[0].seq);
        if (fx->kind == FX_START)
            ck_assert_uint_eq(fx->after, step.events[step.event_count - 1].seq);
    }
    in.region = id_of("v");
    in.token++;
    ck_assert_int_eq(tell(in, "0"), 0);
    ck_assert_uint_eq(step.effect_count, 2);
    ck_assert_uint_eq(step.effects[0].after, 0);
    ck_assert_uint_eq(step.effects[1].after, 0);
    in = (struct input){.kind = IN_TASK_CANCEL, .task = id_of("t"), .token = 77};
    in.u.cancel.drain_ns = ASUP_NEVER;
    ck_assert_int_eq(tell(in, "0"), 0);
    for (size_t i = 0; i < step.effect_count; i++) {
        if (step.effects[i].kind == FX_SIGNAL)
            ck_assert_uint_eq(step.effects[i].after, 0);
        else
            ck_assert_uint_ge(step.effects[i].after, step.events[0].seq);
    }
}
END_TEST

/* R-DUR-1: who asks again is told what is on disk, not what may still be lost: what a worker
 * completed or began is not done again. Of volatile calls nothing is awaited. */
START_TEST(R_DUR_1_a_repeated_completion_waits_as_the_first)
{
    struct input in = scenario_input(IN_CALL_COMPLETE);
    uint64_t done;

    given("session w; region r; region v volatile; task t in r does f; task u in v does f;"
          "w offers f concurrency 2; w asks 2");
    back = load_of(the_kernel(), &plain, instant("0"), LOAD_EXACT);
    in.caller.session = id_of("w");
    in.u.complete = (struct completion){.task = id_of("t"), .severity = ASUP_OK, .code = -1};
    ck_assert_int_eq(tell(in, "0"), 0);
    done = kernel_durable_seq(back);
    ck_assert_uint_eq(step.effects[0].after, done);
    in.token++;
    ck_assert_int_eq(tell(in, "0"), 0);
    ck_assert_uint_eq(kernel_durable_seq(back), done);
    ck_assert_uint_eq(step.effects[0].after, done);
    in.token++;
    in.u.complete.task = id_of("u");
    ck_assert_int_eq(tell(in, "0"), 0);
    ck_assert_uint_eq(step.effects[0].after, 0);
}
END_TEST

/* R-SCH-4: while the journal fails nothing new is admitted; what runs goes on,
 * ends and cancels are taken, volatile regions serve; then all is as before. */
START_TEST(R_DUR_1_a_failed_journal_stops_admission)
{
    struct input in = {.kind = IN_JOURNAL_STATE};

    given("session s1; region r; region v volatile; task t in r running; task u in r running");
    in.u.journal.failed = true;
    ck_assert_int_eq(scenario_step(&in), 0);
    when("task x in r");
    expect_line("refused unavailable");
    when("region y");
    expect_line("refused unavailable");
    trace_forget();
    when("task w in v");
    expect_none("refused");
    when("t exits 0; u checkpoints; cancel u; close r");
    expect_none("refused");
    expect_line("t completed ok");
    expect_line("u cancel user T 30s");
    in = (struct input){.kind = IN_JOURNAL_STATE};
    ck_assert_int_eq(scenario_step(&in), 0);
    when("region z");
    expect_line("z opened");
}
END_TEST

static const struct rule rules[] = {
    RULE(R_DUR_1_below_volatile_all_is_volatile),
    RULE(R_DUR_1_durable_can_be_asked_for),
    RULE(R_DUR_1_a_volatile_region_is_lost_with_the_engine),
    RULE(R_DUR_1_a_fold_leaves_out_what_was_volatile),
    RULE(R_DUR_1_an_ended_saga_of_a_volatile_region_is_in_nobodys_way),
    RULE(R_DUR_1_a_worker_without_offers_has_no_region),
    RULE(R_DUR_1_causes_are_told_that_nothing_durable_holds),
    RULE(R_DUR_1_charges_of_a_volatile_region_are_durable),
    RULE(R_DUR_1_the_reasons_of_its_outcome_are_durable),
    RULE(R_TSK_5_the_same_keeper_gets_what_is_owed),
    RULE(R_TSK_5_rows_tell_what_happened_meanwhile),
    RULE(R_TSK_5_with_a_new_keeper_what_ran_is_lost),
    RULE(R_REG_1_the_root_opens_again),
    RULE(R_REG_1_a_closed_root_opens_again),
    RULE(R_REG_1_the_same_keeper_goes_on_shutting_down),
    RULE(R_EVT_1_numbers_of_events_go_on),
    RULE(R_TSK_5_a_task_without_a_row_is_lost),
    RULE(R_SAG_3_a_lost_finalizer_runs_again),
    RULE(R_IDM_1_a_finalizer_that_runs_again_keeps_its_key),
    RULE(R_SAG_3_a_lost_finalizer_of_the_root_waits_for_the_next_shutdown),
    RULE(R_SAG_3_so_does_one_that_is_a_call),
    RULE(R_SAG_3_a_call_that_begins_anew_is_the_same_one),
    RULE(R_SAG_3_a_compensation_that_is_a_call_comes_back),
    RULE(R_SAG_3_of_a_compensation_that_lost_its_worker_an_attempt_is_spent),
    RULE(R_SES_1_sessions_are_lost_until_they_attach),
    RULE(R_SES_1_another_boot_has_no_sessions),
    RULE(limits_go_on_and_watchdogs_start_anew),
    RULE(R_EVT_1_ids_go_on),
    RULE(R_DUR_1_effects_name_what_they_wait_for),
    RULE(R_DUR_1_a_repeated_completion_waits_as_the_first),
    RULE(R_DUR_1_a_failed_journal_stops_admission),
};

RULES_MAIN("recover", rules, begin, end)
