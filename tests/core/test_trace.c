/* SPDX-License-Identifier: MIT */
/* Which events are independent, and when two traces are the same (R-EVT-3).
 * That independent neighbours commute is also tried on every walk of
 * random_walk.c; here are the rules by themselves. */
#include "core/event.h"
#include "scenario.h"
#include "trace_log.h"

#include <stdio.h>

static struct trace_log *recording;

static void
record(const struct event *ev)
{
    trace_log_add(recording, ev);
}

/* What happens, as a trace of its own, from kernels whose ids begin there. */
static struct trace_log
trace_of(uint64_t id_first, const char *story)
{
    struct trace_log log = {0};

    scenario_end();
    scenario_begin();
    given_config()->id_first = id_first;
    recording = &log;
    scenario_event_hook = record;
    given(story);
    scenario_event_hook = NULL;
    return log;
}

static int
compare(const struct trace_log *a, const struct trace_log *b, struct trace_difference *where)
{
    struct trace left = trace_log_trace(a);
    struct trace right = trace_log_trace(b);

    return trace_compare(&left, &right, &trace_log_allocator, where);
}

/* Where the how-manieth event of that kind stands. */
static size_t
find(const struct trace_log *log, enum event_kind kind, int which)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->events[i].kind == kind && --which == 0)
            return i;
    }
    ck_abort_msg("there is no such %s", event_kind_name(kind));
    return 0;
}

static bool
independent(const struct trace_log *log, enum event_kind a, int which_a, enum event_kind b,
            int which_b)
{
    const struct event *first = &log->events[find(log, a, which_a)];
    const struct event *second = &log->events[find(log, b, which_b)];

    ck_assert_int_eq(kernel_events_independent(first, second),
                     kernel_events_independent(second, first));
    return kernel_events_independent(first, second);
}

static const char *const everything =
    "shell starts; session s1; s1 attached; region r1 attach from s1 policy race;"
    "region r2 in r1 soft drain 3s; region r3; task t1 in r1 notify watchdog 10s cost 100 mask 2;"
    "task t2 in r2 delay 2s; task t3 in r2 response 1s polls 3; task t4 in r3; task t5 in r3;"
    "defer f1 to r3; batch 2; task t6 in r3; task t7 in r3 from s1 request 4;"
    "t1 ready; t1 feeds; t1 used 10; t1 checkpoints masked; t3 checkpoints; t3 progresses 4;"
    "t4 checkpoints; t1 log-lost 5; s1 lost at 3s; s1 attached; t3 dies 15 at 4s;"
    "t4 exits 1; close r3; cancel r1 message stop; shell kills; at 2m; shutdown; at 3m; at 2h";

static const char *const owed =
    "shell starts; session s1; session s2; region r1; region r2; region r3;"
    "task t1 in r3 running; channel c1 in r1; channel c2 in r2; p1 reserves c1 from s1;"
    "m1 sent into p1 from s1; m2 sent to c1 from s1; a1 receives c1 from s2; a1 acked from s2;"
    "a2 receives c1 from s2; a2 nacked from s2; s1 acquires l on name in r2 ttl 10s; s1 renews l;"
    "s1 reserves o in r1; s2 reserves q in r2; s1 commits o; s1 releases l; t1 checkpoints;"
    "saga g in r3 from s1; complete g; close r1; close r2";

/* ---- Independence --------------------------------------------------------------------- */

/* R-EVT-3: events are independent when they touch disjoint resources. */
START_TEST(R_EVT_3_disjoint_resources_are_independent)
{
    struct trace_log log =
        trace_of(2, "session s1; session s2; region r1; region r2; task t1 in r1 running;"
                    "task t2 in r1 running; task t3 in r2 running; t1 checkpoints;"
                    "t1 checkpoints; t2 checkpoints; t3 checkpoints; t1 ready; s1 lost;"
                    "s2 lost; finish r1; finish r2; t1 exits 0; t3 exits 0");

    /* of one task, or of two */
    ck_assert(!independent(&log, EV_TASK_CHECKPOINTED, 1, EV_TASK_CHECKPOINTED, 2));
    ck_assert(!independent(&log, EV_TASK_CHECKPOINTED, 1, EV_TASK_READY, 1));
    ck_assert(independent(&log, EV_TASK_CHECKPOINTED, 1, EV_TASK_CHECKPOINTED, 3));
    ck_assert(independent(&log, EV_TASK_CHECKPOINTED, 1, EV_TASK_CHECKPOINTED, 4));
    /* a task's region, or another */
    ck_assert(!independent(&log, EV_TASK_CHECKPOINTED, 1, EV_REGION_SEALED, 1));
    ck_assert(independent(&log, EV_TASK_CHECKPOINTED, 1, EV_REGION_SEALED, 2));
    ck_assert(independent(&log, EV_REGION_SEALED, 1, EV_REGION_SEALED, 2));
    /* sessions */
    ck_assert(independent(&log, EV_SESSION_LOST, 1, EV_SESSION_LOST, 2));
    ck_assert(independent(&log, EV_SESSION_LOST, 1, EV_TASK_COMPLETED, 1));
    /* ids are made in order */
    ck_assert(!independent(&log, EV_REGION_OPENED, 1, EV_REGION_OPENED, 2));
    ck_assert(!independent(&log, EV_TASK_CREATED, 1, EV_TASK_CREATED, 3));
    /* who is picked hangs on who waits; what is retained has an order */
    ck_assert(!independent(&log, EV_TASK_START_ORDERED, 3, EV_TASK_EMPTIED, 1));
    ck_assert(!independent(&log, EV_TASK_COMPLETED, 1, EV_TASK_COMPLETED, 2));
    trace_log_free(&log);
}
END_TEST

/* A child's end is its parent's business, and a session's that it is attached to. */
START_TEST(R_EVT_3_what_stands_around_a_region_is_touched)
{
    struct trace_log log = trace_of(2, "session s1; region r1; region r2 in r1;"
                                       "region r3 attach from s1; finish r2; finish r1; finish r3;"
                                       "s1 lost");

    ck_assert(!independent(&log, EV_REGION_CLOSED, 1, EV_REGION_FINALIZING, 2));
    ck_assert(independent(&log, EV_REGION_CLOSED, 1, EV_REGION_FINALIZING, 3));
    ck_assert(independent(&log, EV_SESSION_LOST, 1, EV_REGION_CLOSED, 1));
    ck_assert(!independent(&log, EV_SESSION_LOST, 1, EV_REGION_CLOSED, 3));
    trace_log_free(&log);
}
END_TEST

/* What is owed in one region and held by one is nobody else's business; but of one
 * channel, and of the places where obligations stand, there is an order. */
START_TEST(R_EVT_3_what_is_owed_is_touched_where_it_stands)
{
    struct trace_log log = trace_of(2, owed);

    ck_assert(independent(&log, EV_OBLIGATION_RESERVED, 1, EV_TASK_CHECKPOINTED, 1));
    ck_assert(independent(&log, EV_MESSAGE_SENT, 1, EV_TASK_CHECKPOINTED, 1));
    ck_assert(independent(&log, EV_LEASE_GRANTED, 1, EV_MESSAGE_RECEIVED, 1));
    ck_assert(!independent(&log, EV_MESSAGE_SENT, 1, EV_MESSAGE_RECEIVED, 1));
    ck_assert(!independent(&log, EV_OBLIGATION_RESERVED, 1, EV_OBLIGATION_RESERVED, 2));
    ck_assert(!independent(&log, EV_LEASE_GRANTED, 1, EV_OBLIGATION_RENEWED, 1));
    ck_assert(!independent(&log, EV_CHANNEL_OPENED, 1, EV_REGION_SEALED, 1));
    ck_assert(independent(&log, EV_CHANNEL_OPENED, 1, EV_REGION_SEALED, 2));
    trace_log_free(&log);
}
END_TEST

/* Every kind owns something of its subject: that is how events of a step are
 * told apart, and none is independent of itself. */
START_TEST(R_EVT_3_every_kind_touches_something)
{
    struct resource resources[EVENT_RESOURCES_MAX];

    for (unsigned kind = 0; kind < EV_KIND_COUNT; kind++) {
        static const struct cancel_payload cancel;
        static const struct closed_payload closed;
        struct event ev = {.kind = (enum event_kind)kind, .region = 7, .task = 8, .session = 9};
        size_t count;
        size_t owned = 0;

        ev.payload = kind == EV_REGION_CLOSED ? (const void *)&closed : (const void *)&cancel;
        ev.payload_size = kind == EV_REGION_CANCEL_REQUESTED ? sizeof cancel : 0;
        count = event_resources(&ev, resources);
        for (size_t i = 0; i < count; i++)
            owned += resources[i].owned;
        ck_assert_msg(owned > 0, "%s owns nothing", event_kind_name(ev.kind));
        ck_assert(!kernel_events_independent(&ev, &ev));
    }
}
END_TEST

static uint64_t random_state = 88172645463325252u;

static uint32_t
dice(uint32_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 16) % sides);
}

/* R-EVT-3: independent neighbours may change places: the same state comes of
 * it, and the same trace. */
START_TEST(R_EVT_3_independent_events_commute)
{
    struct trace_log log = trace_of(2, everything);
    struct kernel_config config;
    size_t swaps = 0;
    const char *wrong;

    kernel_config_init(&config);
    for (int i = 0; i < 20; i++) {
        wrong = trace_log_commute(&log, &config, instant("0"), dice, &swaps);
        ck_assert_msg(wrong == NULL, "%s", wrong);
    }
    ck_assert_uint_gt(swaps, 100);
    trace_log_free(&log);
}
END_TEST

/* ---- Normal forms ------------------------------------------------------------------------ */

/* R-EVT-3, Foata: each event stands right behind what it depends on. */
START_TEST(R_EVT_3_the_normal_form_is_as_early_as_can_be)
{
    struct trace_log log = trace_of(2, "region r1; region r2; task t1 in r1 running;"
                                       "task t2 in r2 running; t1 checkpoints; t1 checkpoints;"
                                       "t1 checkpoints; t2 checkpoints; finish r1");
    struct trace trace = trace_log_trace(&log);
    uint32_t steps[64];
    uint32_t first;

    ck_assert_uint_le(log.count, 64);
    ck_assert_int_eq(trace_steps(&trace, &trace_log_allocator, steps), 0);
    ck_assert_uint_eq(steps[find(&log, EV_REGION_OPENED, 1)], 1);
    ck_assert_uint_eq(steps[find(&log, EV_REGION_OPENED, 2)], 2);
    first = steps[find(&log, EV_TASK_CHECKPOINTED, 1)];
    ck_assert_uint_eq(steps[find(&log, EV_TASK_CHECKPOINTED, 2)], first + 1);
    ck_assert_uint_eq(steps[find(&log, EV_TASK_CHECKPOINTED, 3)], first + 2);
    ck_assert_uint_eq(steps[find(&log, EV_TASK_CHECKPOINTED, 4)],
                      steps[find(&log, EV_TASK_STARTED, 2)] + 1);
    ck_assert_uint_eq(steps[find(&log, EV_REGION_SEALED, 1)], first + 3);
    trace_log_free(&log);
}
END_TEST

/* R-EVT-3: what depends on each other keeps its order. */
START_TEST(R_EVT_3_dependent_events_keep_their_order)
{
    struct trace_log log =
        trace_of(2, "region r1; task t1 in r1 running; t1 ready; t1 checkpoints; finish r1");
    struct trace_log other =
        trace_of(2, "region r1; task t1 in r1 running; t1 checkpoints; t1 ready; finish r1");
    struct trace_difference where;

    ck_assert_int_eq(compare(&log, &other, &where), 1);
    ck_assert_uint_eq(where.left, find(&log, EV_TASK_READY, 1));
    ck_assert_uint_eq(where.right, find(&other, EV_TASK_CHECKPOINTED, 1));
    trace_log_swap(&other, find(&other, EV_TASK_CHECKPOINTED, 1));
    ck_assert_int_eq(compare(&log, &other, NULL), 0);
    trace_log_free(&log);
    trace_log_free(&other);
}
END_TEST

/* R-EVT-3: two stories that differ in the order of what has nothing to do with
 * each other are the same, and one of them told otherwise is not. */
START_TEST(R_EVT_3_traces_compare_modulo_order)
{
    const char *begin = "region r1; region r2; task t1 in r1 running; task t2 in r2 running;";
    char story[256];
    struct trace_log one;
    struct trace_log two;
    struct trace_log three;

    (void)snprintf(story, sizeof story, "%s%s", begin, "t1 ready; t1 checkpoints; t2 checkpoints");
    one = trace_of(2, story);
    (void)snprintf(story, sizeof story, "%s%s", begin, "t2 checkpoints; t1 ready; t1 checkpoints");
    two = trace_of(2, story);
    (void)snprintf(story, sizeof story, "%s%s", begin, "t2 checkpoints; t2 ready; t1 checkpoints");
    three = trace_of(2, story);
    ck_assert_int_eq(compare(&one, &two, NULL), 0);
    ck_assert_int_eq(compare(&one, &three, NULL), 1);
    trace_log_free(&one);
    trace_log_free(&two);
    trace_log_free(&three);
}
END_TEST

/* ---- Ids ----------------------------------------------------------------------------------- */

/* R-EVT-3: fresh ids are renamed: in events, reasons, outcomes, bound requests,
 * and in texts that begin with one ("t7 ended first", names of nameless regions). */
START_TEST(R_EVT_3_fresh_ids_are_renamed)
{
    struct trace_log one = trace_of(2, everything);
    struct trace_log two = trace_of(4711, everything);
    struct trace_difference where;

    ck_assert_uint_ne(one.events[find(&one, EV_TASK_CREATED, 1)].task,
                      two.events[find(&two, EV_TASK_CREATED, 1)].task);
    ck_assert_int_eq(compare(&one, &two, &where), 0);
    ck_assert_uint_eq(where.step, 0);
    trace_log_free(&one);
    trace_log_free(&two);
}
END_TEST

/* Likewise those of obligations, channels, messages, leases and sagas. */
START_TEST(R_EVT_3_fresh_ids_of_what_is_owed_are_renamed)
{
    struct trace_log one = trace_of(2, owed);
    struct trace_log two = trace_of(4711, owed);
    struct trace_difference where;

    ck_assert_uint_ne(one.events[find(&one, EV_MESSAGE_SENT, 1)].subject,
                      two.events[find(&two, EV_MESSAGE_SENT, 1)].subject);
    if (compare(&one, &two, &where) != 0)
        ck_abort_msg("%s, %s", event_kind_name(one.events[where.left].kind),
                     event_kind_name(two.events[where.right].kind));
    two.events[find(&two, EV_MESSAGE_CONSUMED, 1)].subject =
        two.events[find(&two, EV_MESSAGE_SENT, 2)].subject;
    ck_assert_int_eq(compare(&one, &two, &where), 1);
    ck_assert_uint_eq(where.right, find(&two, EV_MESSAGE_CONSUMED, 1));
    trace_log_free(&one);
    trace_log_free(&two);
}
END_TEST

/* What the world around gives is of no account when they are compared loosely. */
START_TEST(R_EVT_3_loosely_times_are_of_no_account)
{
    struct trace_log one = trace_of(2, "region r1; task t1 in r1 running; t1 exits 0");
    struct trace_log two =
        trace_of(2, "region r1; at 3s; task t1 in r1 running; at 5s; t1 exits 0");
    struct trace_log three =
        trace_of(2, "region r1; at 3s; task t1 in r1 running; at 5s; t1 exits 1");
    struct trace a = trace_log_trace(&one);
    struct trace b = trace_log_trace(&two);
    struct trace c = trace_log_trace(&three);

    ck_assert_int_eq(compare(&one, &two, NULL), 1);
    ck_assert_int_eq(trace_compare_loosely(&a, &b, &trace_log_allocator, NULL), 0);
    ck_assert_int_eq(trace_compare_loosely(&a, &c, &trace_log_allocator, NULL), 1);
    trace_log_free(&one);
    trace_log_free(&two);
    trace_log_free(&three);
}
END_TEST

/* ... but one id for another is a difference. */
START_TEST(R_EVT_3_one_id_is_not_another)
{
    const char *begin = "region r1; task t1 in r1 running; task t2 in r1 running;";
    char story[256];
    struct trace_log one;
    struct trace_log two;

    (void)snprintf(story, sizeof story, "%s%s", begin, "t1 ready");
    one = trace_of(2, story);
    (void)snprintf(story, sizeof story, "%s%s", begin, "t2 ready");
    two = trace_of(3, story); /* t2 of the one has the id of t1 of the other */
    ck_assert_int_eq(compare(&one, &two, NULL), 1);
    trace_log_free(&one);
    trace_log_free(&two);
}
END_TEST

/* ---- Differences ------------------------------------------------------------------------------
 */

/* R-EVT-3: whatever is changed in one event is found, and where. */
START_TEST(R_EVT_3_a_planted_difference_is_found)
{
    struct trace_log one = trace_of(2, everything);
    struct trace_log two = trace_of(2, everything);

    for (size_t i = 0; i < two.count; i++) {
        struct event *ev = &two.events[i];
        struct event right = *ev;
        struct trace_difference where;

        for (int plant = 0; plant < 5; plant++) {
            struct kernel_outcome outcome;

            switch (plant) {
            case 0:
                ev->at++;
                break;
            case 1:
                ev->uid++;
                break;
            case 2:
                if (ev->kind == EV_REGION_OPENED || ev->kind == EV_REGION_DECIDED ||
                    ev->kind == EV_TASK_STARTED)
                    continue;
                ev->value++;
                break;
            case 3:
                if (ev->text.size == 0)
                    continue;
                ev->text.size--;
                break;
            default:
                if (ev->outcome == NULL)
                    continue;
                outcome = *ev->outcome;
                outcome.cpu_ns++;
                ev->outcome = &outcome;
                break;
            }
            ck_assert_msg(compare(&one, &two, &where) == 1, "%s, %d", event_kind_name(ev->kind),
                          plant);
            ck_assert_uint_eq(where.left, i);
            ck_assert_uint_eq(where.right, i);
            *ev = right;
        }
    }
    ck_assert_int_eq(compare(&one, &two, NULL), 0);
    two.count--;
    ck_assert_int_eq(compare(&one, &two, NULL), 1);
    ck_assert_int_eq(compare(&two, &one, NULL), 1);
    two.count++;
    trace_log_free(&one);
    trace_log_free(&two);
}
END_TEST

/* A payload is compared too: what only apply sees. */
START_TEST(R_EVT_3_a_planted_difference_in_a_payload_is_found)
{
    struct trace_log one = trace_of(2, "region r1; task t1 in r1 mask 2; region r2 policy race");
    struct trace_log two = trace_of(2, "region r1; task t1 in r1 mask 3; region r2 policy race");
    struct trace_log three = trace_of(2, "region r1; task t1 in r1 mask 2; region r2 soft");
    struct trace_difference where;

    ck_assert_int_eq(compare(&one, &two, &where), 1);
    ck_assert_uint_eq(where.left, find(&one, EV_TASK_CREATED, 1));
    ck_assert_int_eq(compare(&one, &three, &where), 1);
    ck_assert_uint_eq(where.right, find(&three, EV_REGION_OPENED, 2));
    trace_log_free(&one);
    trace_log_free(&two);
    trace_log_free(&three);
}
END_TEST

/* ---- Memory
 * -------------------------------------------------------------------------------------- */

static size_t held;
static long left;

static void *
scarce(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    if (size_new > size_old && left-- <= 0)
        return NULL;
    held += size_new - size_old;
    return trace_log_allocator.resize(NULL, ptr, size_old, size_new);
}

/* What finds no memory says so, and all of it comes back. */
START_TEST(R_EVT_3_memory_is_asked_for_and_given_back)
{
    const struct kernel_allocator allocator = {.resize = scarce};
    struct trace_log log = trace_of(2, everything);
    struct trace trace = trace_log_trace(&log);
    struct trace none = {0};
    long allowed = 0;
    int rc;

    do {
        left = allowed++;
        rc = trace_compare(&trace, &trace, &allocator, NULL);
        ck_assert(rc == 0 || rc == -ASUP_ENOMEM);
        ck_assert_uint_eq(held, 0);
    } while (rc != 0);
    ck_assert_int_gt(allowed, 4);
    ck_assert_int_eq(trace_compare(&none, &none, &allocator, NULL), 0);
    ck_assert_int_eq(trace_compare(&none, &trace, &trace_log_allocator, NULL), 1);
    trace_log_free(&log);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_EVT_3_disjoint_resources_are_independent),
    RULE(R_EVT_3_what_stands_around_a_region_is_touched),
    RULE(R_EVT_3_what_is_owed_is_touched_where_it_stands),
    RULE(R_EVT_3_every_kind_touches_something),
    RULE(R_EVT_3_independent_events_commute),
    RULE(R_EVT_3_the_normal_form_is_as_early_as_can_be),
    RULE(R_EVT_3_dependent_events_keep_their_order),
    RULE(R_EVT_3_traces_compare_modulo_order),
    RULE(R_EVT_3_fresh_ids_are_renamed),
    RULE(R_EVT_3_fresh_ids_of_what_is_owed_are_renamed),
    RULE(R_EVT_3_loosely_times_are_of_no_account),
    RULE(R_EVT_3_one_id_is_not_another),
    RULE(R_EVT_3_a_planted_difference_is_found),
    RULE(R_EVT_3_a_planted_difference_in_a_payload_is_found),
    RULE(R_EVT_3_memory_is_asked_for_and_given_back),
};

RULES_MAIN("trace", rules, scenario_begin, scenario_end)
