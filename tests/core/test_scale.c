/* SPDX-License-Identifier: MIT */
/* Many things at once, straight at the kernel: one step may close them all,
 * without recursion, and gives back the memory it took. */
#include <stdlib.h>
#include <string.h>

#include "core/state.h"
#include "rules.h"

enum { TASKS = 40000 };

/* Debug builds check the whole kernel now and then. */
#if ASUP_DEBUG
enum { MANY = 10000, MORE = 100000 };
#else
enum { MANY = 100000, MORE = 1000000 };
#endif

static size_t memory_used;
static size_t memory_most;
static size_t memory_moved; /* by growing: what may have had to be copied */

static void *
counted_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    memory_used += size_new - size_old;
    if (memory_used > memory_most)
        memory_most = memory_used;
    if (size_new > 0)
        memory_moved += size_old;
    if (size_new > 0)
        return realloc(ptr, size_new);
    free(ptr);
    return NULL;
}

static struct kernel *
new_kernel_of(struct kernel_config *config)
{
    struct kernel_allocator allocator = {.resize = counted_resize};
    struct kernel *k = kernel_new(config, &allocator, 1);

    ck_assert_ptr_nonnull(k);
    memory_most = memory_used;
    memory_moved = 0;
    return k;
}

static struct kernel *
new_kernel(uint32_t retained)
{
    struct kernel_config config;

    kernel_config_init(&config);
    config.limits.retained = retained;
    return new_kernel_of(&config);
}

/* Many more things than one user may have by default. */
static struct kernel *
new_large_kernel(void)
{
    struct kernel_config config;

    kernel_config_init(&config);
    config.limits.channels_per_daemon = config.limits.channels_per_user = 2 * MORE;
    config.limits.obligations_per_daemon = config.limits.obligations_per_user = 2 * MORE;
    config.limits.waits_per_daemon = config.limits.waits_per_user = 2 * MORE;
    config.limits.dead_letters_per_user = 2 * MORE;
    config.limits.retained = 10;
    return new_kernel_of(&config);
}

static const struct budget_request no_budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};

static uint64_t
open_region(struct kernel *k, uint64_t parent)
{
    struct step out;
    struct input in = {.kind = IN_REGION_OPEN, .now = 1, .token = 1, .region = parent};

    in.u.region_open.budget = no_budget;
    in.u.region_open.drain_ns = ASUP_NEVER;
    ck_assert_int_eq(kernel_step(k, &in, &out), 0);
    ck_assert_uint_eq(out.effects[0].code, 0);
    return out.effects[0].made.id;
}

/* All in one atomic batch. */
static void
submit_many(struct kernel *k, uint64_t region, uint32_t count)
{
    struct input *items = calloc(count, sizeof items[0]);
    struct input in = {.kind = IN_BATCH, .now = 1, .token = 2};
    struct step out;

    ck_assert_ptr_nonnull(items);
    for (uint32_t i = 0; i < count; i++) {
        items[i].kind = IN_TASK_SUBMIT;
        items[i].region = region;
        items[i].u.submit = (struct task_params){.spec = {.data = "spec", .size = 4},
                                                 .budget = no_budget,
                                                 .drain_ns = ASUP_NEVER,
                                                 .leftover_ns = ASUP_NEVER,
                                                 .cancel_signal = 15};
    }
    in.u.batch.items = items;
    in.u.batch.count = count;
    ck_assert_int_eq(kernel_step(k, &in, &out), 0);
    free(items);
}

static void
step_of(struct kernel *k, struct input in, struct step *out)
{
    in.now = in.now == 0 ? 1 : in.now;
    ck_assert_int_eq(kernel_step(k, &in, out), 0);
}

/* Answer every START with a failure until nothing is left to answer. */
static void
fail_starts(struct kernel *k, uint64_t first, uint64_t last)
{
    struct step out;

    for (uint64_t id = first; id <= last; id++) {
        struct task_view view;
        struct input in = {.kind = IN_TASK_START_FAILED, .task = id};

        if (!kernel_task(k, id, &view) || view.has_outcome)
            continue;
        in.u.start_failed.stage = "exec";
        in.u.start_failed.error = 2;
        step_of(k, in, &out);
    }
}

/* R-REG-5: one close reaches everything below in one step. */
START_TEST(R_REG_5_a_close_of_many_tasks)
{
    struct kernel *k = new_kernel(10);
    uint64_t region = open_region(k, ASUP_ROOT_ID);
    struct input close = {.kind = IN_REGION_END, .token = 3, .region = region};
    struct input swept = {.kind = IN_REGION_SWEPT, .region = region};
    struct kernel_counts counts;
    struct step out;
    size_t peak;

    submit_many(k, region, TASKS);
    kernel_counts(k, &counts);
    ck_assert_uint_eq(counts.tasks, TASKS);
    close.u.end.drain_ns = ASUP_NEVER;
    step_of(k, close, &out);
    peak = memory_used;
    ck_assert_uint_ge(out.event_count, TASKS);
    /* what was not started yet is over; what is being started is not */
    kernel_counts(k, &counts);
    ck_assert_uint_le(counts.tasks, 64);
    fail_starts(k, 1, TASKS + 10);
    kernel_step(k, &swept, &out);
    kernel_counts(k, &counts);
    ck_assert_uint_eq(counts.tasks, 0);
    ck_assert_uint_eq(counts.regions, 1);
    ck_assert_uint_eq(kernel_potential(k), 0);
    ck_assert_ptr_null(kernel_check(k));

    /* An unusual step takes memory; usual ones give it back in time. */
    for (int i = 0; i < 5000; i++) {
        struct input tick = {.kind = IN_TICK, .now = 2};

        step_of(k, tick, &out);
    }
    ck_assert_uint_lt(memory_used, peak);
    kernel_free(k);
    ck_assert_uint_eq(memory_used, 0);
}
END_TEST

/* A thousand regions side by side, cancelled from above in one step. */
START_TEST(R_REG_5_a_close_of_many_regions)
{
    struct kernel *k = new_kernel(10);
    uint64_t top = open_region(k, ASUP_ROOT_ID);
    struct input close = {.kind = IN_REGION_END, .token = 3, .region = top};
    struct kernel_counts counts;
    struct step out;

    for (int i = 0; i < 1000; i++)
        (void)open_region(k, open_region(k, top));
    kernel_counts(k, &counts);
    ck_assert_uint_eq(counts.regions, 2002);
    close.u.end.drain_ns = ASUP_NEVER;
    step_of(k, close, &out);
    kernel_counts(k, &counts);
    ck_assert_uint_eq(counts.regions, 1);
    kernel_free(k);
    ck_assert_uint_eq(memory_used, 0);
}
END_TEST

/* Memory does not creep: a long life of short stories ends where it began. */
START_TEST(memory_does_not_creep)
{
    struct kernel *k = new_kernel(10);
    size_t early = 0;

    for (uint64_t round = 1; round <= 3000; round++) {
        uint64_t top = open_region(k, ASUP_ROOT_ID);
        uint64_t region = open_region(k, top);
        struct input started = {.kind = IN_TASK_STARTED};
        struct input close = {.kind = IN_REGION_END, .token = 3, .region = top};
        struct input again = {.kind = IN_REGION_END, .token = 4, .region = top};
        struct input exited = {.kind = IN_TASK_EXITED};
        struct input empty = {.kind = IN_TASK_EMPTY};
        struct input swept = {.kind = IN_REGION_SWEPT, .region = region};
        struct region_view view;
        struct step out;

        submit_many(k, region, 3);
        ck_assert(kernel_region(k, region, &view));
        started.task = view.task_first;
        step_of(k, started, &out);
        close.u.end.drain_ns = ASUP_NEVER;
        close.u.end.message = (struct bytes){"enough of this", 14};
        step_of(k, close, &out);
        again.u.end = (struct region_end_params){.mode = ASUP_END_CANCEL, .drain_ns = 5};
        again.u.end.message = (struct bytes){"and of this as well", 19};
        step_of(k, again, &out);
        fail_starts(k, started.task + 1, started.task + 2);
        /* the last outcome is the worst, and takes the place of one with a reason */
        exited.task = started.task;
        exited.u.exited =
            (struct process_exit){.exit_code = -1, .signal = 11, .cancel_delivered = true};
        step_of(k, exited, &out);
        empty.task = started.task;
        step_of(k, empty, &out);
        step_of(k, swept, &out);
        swept.region = top; /* the cgroup of what is below was in its own */
        step_of(k, swept, &out);
        ck_assert(kernel_region(k, top, &view));
        ck_assert_int_eq(view.state, ASUP_REGION_CLOSED);
        if (round == 200)
            early = memory_used;
    }
    ck_assert_uint_le(memory_used, early);
    kernel_free(k);
    ck_assert_uint_eq(memory_used, 0);
}
END_TEST

/* Four thousand million reasons later their handles begin anew, and pass over
 * those that are still held. */
START_TEST(handles_of_reasons_come_round)
{
    struct kernel *k = new_kernel(100);
    struct region_view region;
    uint32_t handles[4];

    for (int i = 0; i < 4; i++) {
        struct step out;
        uint64_t id = open_region(k, ASUP_ROOT_ID);
        struct input in = {.kind = IN_REGION_END, .now = 1, .token = 1, .region = id};

        if (i == 2)
            k->reason_next = UINT32_MAX; /* as if so many had been made */
        in.u.end.mode = ASUP_END_CANCEL;
        in.u.end.drain_ns = ASUP_NEVER;
        ck_assert_int_eq(kernel_step(k, &in, &out), 0);
        ck_assert(kernel_region(k, id, &region));
        handles[i] = region.reason;
        ck_assert_uint_ne(handles[i], 0);
        for (int before = 0; before < i; before++)
            ck_assert_uint_ne(handles[before], handles[i]);
    }
    ck_assert_ptr_null(kernel_check(k));
    kernel_free(k);
}
END_TEST

/* ---- What the registry holds ------------------------------------------------------------ */

/* What it cost to have and to end so many of a thing. */
struct cost {
    size_t memory, moved; /* bytes */
    size_t events;
    size_t steps;
};

static uint64_t
open_session(struct kernel *k, uint8_t number)
{
    struct input in = {.kind = IN_SESSION_OPEN, .token = 1};
    struct step out;

    in.u.session_open.secret_digest[0] = number;
    step_of(k, in, &out);
    ck_assert_int_eq(out.effects[0].code, 0);
    return out.effects[0].made.id;
}

static struct input
request_of(enum input_kind kind, uint64_t session)
{
    return (struct input){.kind = kind, .token = 7, .caller.session = session};
}

static uint64_t
granted(struct kernel *k, struct input in, struct cost *cost)
{
    struct step out;

    step_of(k, in, &out);
    cost->events += out.event_count;
    ck_assert_uint_eq(out.effect_count, 1);
    ck_assert_int_eq(out.effects[0].code, 0);
    return out.effects[0].made.id;
}

static uint64_t
open_channel(struct kernel *k, uint64_t region, uint64_t session, uint32_t capacity,
             struct cost *cost)
{
    struct input in = request_of(IN_CHANNEL_OPEN, session);

    in.region = region;
    in.u.channel_open = (struct channel_params){.capacity = capacity,
                                                .ack_timeout_ns = ASUP_NEVER,
                                                .permit_timeout_ns = ASUP_NEVER,
                                                .dead_retention_ns = ASUP_NEVER};
    return granted(k, in, cost);
}

/* End the region and take steps until it is closed. */
static void
close_region(struct kernel *k, uint64_t region, struct cost *cost)
{
    struct input close = {.kind = IN_REGION_END, .token = 3, .region = region};
    struct region_view view;
    struct step out;

    close.u.end.drain_ns = 0;
    step_of(k, close, &out);
    cost->events += out.event_count;
    while (kernel_region(k, region, &view) && view.state != ASUP_REGION_CLOSED) {
        struct input tick = {.kind = IN_TICK, .now = 2};

        ck_assert_uint_ne(kernel_next_deadline(k), ASUP_NEVER);
        step_of(k, tick, &out);
        cost->events += out.event_count;
        cost->steps++;
    }
}

static void
cost_end(struct kernel *k, struct cost *cost)
{
    struct kernel_counts counts;

    kernel_counts(k, &counts);
    ck_assert_uint_eq(counts.regions, 1);
    ck_assert_uint_eq(counts.channels, 0);
    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
        ck_assert_uint_eq(counts.obligations[kind], 0);
    ck_assert_ptr_null(kernel_check(k));
    cost->memory = memory_most;
    cost->moved = memory_moved;
    kernel_free(k);
    ck_assert_uint_eq(memory_used, 0);
}

/* Ten times as many cost ten times as much; tables that double may be caught just before and
 * just after. */
static void
cost_compare(const struct cost *few, const struct cost *many)
{
    ck_assert_uint_le(many->memory, 25 * few->memory);
    ck_assert_uint_le(many->moved, 40 * few->moved);
    ck_assert_uint_le(many->events, 10 * few->events + 100);
    ck_assert_uint_le(many->steps, 10 * few->steps + 10);
}

static struct cost
channels_of(uint32_t count)
{
    struct kernel *k = new_large_kernel();
    uint64_t session = open_session(k, 1);
    uint64_t region = open_region(k, ASUP_ROOT_ID);
    struct cost cost = {0};
    struct channel_view view;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t id = open_channel(k, region, session, 4, &cost);
        struct input in = request_of(IN_CHANNEL_SEND, session);

        in.u.send.channel = id;
        in.u.send.data = (struct bytes){"letter", 6};
        (void)granted(k, in, &cost);
        ck_assert(kernel_channel(k, id, &view));
        ck_assert_uint_eq(view.queued, 1);
    }
    close_region(k, region, &cost);
    cost_end(k, &cost);
    return cost;
}

/* What a region owns costs the same each, however many there are: a hundred thousand channels,
 * and what closing them leaves of their messages. */
START_TEST(R_REG_1_a_region_with_many_channels)
{
    struct cost few = channels_of(MANY / 10);
    struct cost many = channels_of(MANY);

    cost_compare(&few, &many);
}
END_TEST

static struct cost
obligations_of(uint32_t count, bool leak)
{
    struct kernel *k = new_large_kernel();
    uint64_t session = open_session(k, 1);
    uint64_t region = open_region(k, ASUP_ROOT_ID);
    struct input in = request_of(IN_OBLIGATION_RESERVE, session);
    struct input bye = request_of(IN_SESSION_BYE, session);
    struct cost cost = {0};
    struct obligation_view view;
    struct region_view closed;
    struct step out;

    in.region = region;
    in.u.io.timeout_ns = ASUP_NEVER;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t id = granted(k, in, &cost);

        ck_assert(kernel_obligation(k, id, &view));
    }
    if (leak) {
        step_of(k, bye, &out);
        cost.events += out.event_count;
    }
    close_region(k, region, &cost);
    ck_assert(kernel_region(k, region, &closed));
    ck_assert_int_eq(closed.outcome.key.severity, leak ? ASUP_ERR : ASUP_OK);
    cost_end(k, &cost);
    return cost;
}

/* A million obligations stand in one ledger, and end with their region's drain. */
START_TEST(R_OBL_4_a_ledger_with_many_obligations)
{
    struct cost few = obligations_of(MORE / 10, false);
    struct cost many = obligations_of(MORE, false);

    cost_compare(&few, &many);
}
END_TEST

/* Their holder ends with a hundred thousand of them. */
START_TEST(R_OBL_3_a_holder_of_many_obligations)
{
    struct cost few = obligations_of(MANY / 10, true);
    struct cost many = obligations_of(MANY, true);

    cost_compare(&few, &many);
}
END_TEST

/* In which order do they go? The middle first, then from either end. */
static uint32_t
nth_gone(uint32_t count, uint32_t n)
{
    if (n < count / 2)
        return count / 4 + n;
    n -= count / 2;
    return n < count / 4 ? count / 4 - 1 - n : count / 2 + n;
}

static struct cost
receivers_of(uint32_t count)
{
    struct kernel *k = new_large_kernel();
    uint64_t session = open_session(k, 1);
    uint64_t region = open_region(k, ASUP_ROOT_ID);
    struct cost cost = {0};
    uint64_t channel = open_channel(k, region, session, count, &cost);
    struct input receive = request_of(IN_CHANNEL_RECEIVE, session);
    struct kernel_counts counts;
    struct channel_view view;
    struct step out;

    receive.subject = channel;
    receive.u.receive.timeout_ns = ASUP_NS_PER_S;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < count; i++) {
            receive.token = 100 + i;
            step_of(k, receive, &out);
            cost.events += out.event_count;
            ck_assert_uint_eq(out.effect_count, 0);
        }
        /* Whoever looks at it does not count them. */
        for (uint32_t i = 0; i < 2 * count; i++)
            ck_assert(kernel_channel(k, channel, &view));
        ck_assert_uint_eq(view.receivers, count);
        if (round == 1) { /* as many messages come, and are taken one by one */
            struct input send = request_of(IN_CHANNEL_SEND, session);

            send.u.send.channel = channel;
            for (uint32_t i = 0; i < count; i++) {
                step_of(k, send, &out);
                cost.events += out.event_count;
                ck_assert_uint_eq(out.effect_count, 2);
                /* and none looks for those that were taken before */
                ck_assert(kernel_channel(k, channel, &view));
                ck_assert_uint_eq(view.message_first, 0);
            }
        } else if (round == 2) { /* all at once, by their time */
            struct input tick = {.kind = IN_TICK, .now = 2 * ASUP_NS_PER_S};

            step_of(k, tick, &out);
            ck_assert_uint_eq(out.effect_count, count);
            cost.events += out.event_count;
        } else { /* their connections go, one by one */
            for (uint32_t i = 0; i < count; i++) {
                struct input drop = {.kind = IN_WAIT_DROPPED, .token = 100 + nth_gone(count, i)};

                step_of(k, drop, &out);
                ck_assert_uint_eq(out.event_count + out.effect_count, 0);
            }
        }
        kernel_counts(k, &counts);
        ck_assert_uint_eq(counts.waits, 0);
    }
    close_region(k, region, &cost);
    cost_end(k, &cost);
    return cost;
}

/* A parked request costs the same however many are parked, and leaves no mark when it goes. */
START_TEST(R_SES_1_many_parked_receivers)
{
    struct cost few = receivers_of(MANY / 10);
    struct cost many = receivers_of(MANY);

    cost_compare(&few, &many);
}
END_TEST

static const struct rule rules[] = {
    RULE(handles_of_reasons_come_round),        RULE(R_REG_5_a_close_of_many_tasks),
    RULE(R_REG_5_a_close_of_many_regions),      RULE(memory_does_not_creep),
    RULE(R_REG_1_a_region_with_many_channels),  RULE(R_OBL_4_a_ledger_with_many_obligations),
    RULE(R_OBL_3_a_holder_of_many_obligations), RULE(R_SES_1_many_parked_receivers),
};

RULES_MAIN("scale", rules, NULL, NULL)
