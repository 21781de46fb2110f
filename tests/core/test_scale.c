/* SPDX-License-Identifier: MIT */
/* Many things at once, straight at the kernel: one step may close them all,
 * without recursion, and gives back the memory it took. */
#include <stdlib.h>
#include <string.h>

#include "core/state.h"
#include "rules.h"

enum { TASKS = 40000 };

static size_t memory_used;

static void *
counted_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    memory_used += size_new - size_old;
    if (size_new > 0)
        return realloc(ptr, size_new);
    free(ptr);
    return NULL;
}

static struct kernel *
new_kernel(uint32_t retained)
{
    struct kernel_config config;
    struct kernel_allocator allocator = {.resize = counted_resize};
    struct kernel *k;

    kernel_config_init(&config);
    config.limits.retained = retained;
    k = kernel_new(&config, &allocator, 1);
    ck_assert_ptr_nonnull(k);
    return k;
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

static const struct rule rules[] = {
    RULE(handles_of_reasons_come_round),
    RULE(R_REG_5_a_close_of_many_tasks),
    RULE(R_REG_5_a_close_of_many_regions),
    RULE(memory_does_not_creep),
};

RULES_MAIN("scale", rules, NULL, NULL)
