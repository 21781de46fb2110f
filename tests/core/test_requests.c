/* SPDX-License-Identifier: MIT */
/* Requests that are wrong, each refused by its own code before anything
 * changed (R-EVT-2); batches and their repeats; texts of every size. */
#include "asupersync/values.h"
#include "scenario.h"

#include <stdio.h>
#include <string.h>

static const struct budget_request no_budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};

static struct input
a_region(void)
{
    struct input in = scenario_input(IN_REGION_OPEN);

    in.region = id_of("r1");
    in.u.region_open.budget = no_budget;
    in.u.region_open.drain_ns = ASUP_NEVER;
    return in;
}

static struct input
a_task(enum input_kind kind)
{
    struct input in = scenario_input(kind);

    in.region = id_of("r1");
    in.u.submit = (struct task_params){.spec = {.data = "spec", .size = 4},
                                       .budget = no_budget,
                                       .run_uid = 1000,
                                       .drain_ns = ASUP_NEVER,
                                       .leftover_ns = ASUP_NEVER,
                                       .cancel_signal = 15};
    return in;
}

/* Refused with that code, saying why, and nothing has changed. */
static void
refused(struct input *in, int code)
{
    uint64_t digest = kernel_digest(the_kernel());

    ck_assert_int_eq(scenario_step(in), code);
    ck_assert_str_ne(scenario_detail(), "");
    ck_assert_uint_eq(kernel_digest(the_kernel()), digest);
}

/* ---- R-EVT-2: wrong values --------------------------------------------------------------- */

START_TEST(R_EVT_2_wrong_regions)
{
    struct input in;

    given("region r1");
    in = a_region();
    in.u.region_open.policy = ASUP_POLICY_COUNT;
    refused(&in, -ASUP_EINVALID);
    in = a_region();
    in.u.region_open.attach = true;
    refused(&in, -ASUP_EINVALID);
    in = a_region();
    in.u.region_open.finalizer_count = 1;
    refused(&in, -ASUP_EINVALID);
    in = scenario_input(IN_REGION_END);
    in.region = id_of("r1");
    in.u.end.drain_ns = ASUP_NEVER;
    in.u.end.mode = 3;
    refused(&in, -ASUP_EINVALID);
}
END_TEST

START_TEST(R_EVT_2_wrong_tasks)
{
    static char long_text[ASUP_MESSAGE_MAX + 1];
    struct input in;

    memset(long_text, 'x', sizeof long_text);
    given("region r1; task t1 in r1 running");
    in = a_task(IN_TASK_SUBMIT);
    in.u.submit.label = (struct bytes){.data = long_text, .size = ASUP_LABEL_MAX + 1};
    refused(&in, -ASUP_ETOOLARGE);
    in = a_task(IN_TASK_SUBMIT);
    in.u.submit.cancel_signal = 0;
    refused(&in, -ASUP_EINVALID);
    in = a_task(IN_TASK_SUBMIT);
    in.u.submit.cancel_signal = 65;
    refused(&in, -ASUP_EINVALID);
    in = a_task(IN_TASK_SUBMIT);
    in.u.submit.cancel_signal = 64;
    ck_assert_int_eq(scenario_step(&in), 0);
    in = a_task(IN_FINALIZER_DEFER);
    in.u.submit.budget.timeout_ns = 0;
    refused(&in, -ASUP_EINVALID);
    /* of a budget a finalizer has only its time */
    in = a_task(IN_FINALIZER_DEFER);
    in.u.submit.budget.deadline_at = instant("1h");
    refused(&in, -ASUP_EINVALID);
    in = a_task(IN_FINALIZER_DEFER);
    in.u.submit.budget.poll_quota = 5;
    refused(&in, -ASUP_EINVALID);
    in = a_task(IN_FINALIZER_DEFER);
    in.u.submit.budget.cost_quota = 5;
    refused(&in, -ASUP_EINVALID);
    in = a_task(IN_FINALIZER_DEFER);
    in.u.submit.delay_ns = 1;
    refused(&in, -ASUP_EINVALID);
    in = scenario_input(IN_TASK_CANCEL);
    in.task = id_of("t1");
    in.u.cancel.drain_ns = ASUP_NEVER;
    in.u.cancel.message = (struct bytes){.data = long_text, .size = ASUP_MESSAGE_MAX + 1};
    refused(&in, -ASUP_ETOOLARGE);
    in = scenario_input(IN_REGION_END);
    in.region = id_of("r1");
    in.u.end.drain_ns = ASUP_NEVER;
    in.u.end.message = (struct bytes){.data = long_text, .size = ASUP_MESSAGE_MAX + 1};
    refused(&in, -ASUP_ETOOLARGE);
}
END_TEST

/* Budgets that leave nothing, and deadlines in the past. */
START_TEST(R_EVT_2_wrong_budgets)
{
    struct input in;

    given("region r1; at 10s");
    in = a_task(IN_TASK_SUBMIT);
    in.u.submit.budget.deadline_at = instant("9s");
    refused(&in, -ASUP_EINVALID);
    in = a_task(IN_TASK_SUBMIT);
    in.u.submit.budget.timeout_ns = 0;
    refused(&in, -ASUP_EINVALID);
    in = a_region();
    in.u.region_open.budget.poll_quota = 0;
    refused(&in, -ASUP_EINVALID);
    in = a_region();
    in.u.region_open.budget.cost_quota = 0;
    refused(&in, -ASUP_EINVALID);
}
END_TEST

/* Waits that can not be. */
START_TEST(R_EVT_2_wrong_waits)
{
    struct input in;

    given("region r1");
    in = scenario_input(IN_WAIT);
    in.region = id_of("r1");
    in.u.wait.on_region = true;
    in.u.wait.until = WAIT_READY;
    in.u.wait.timeout_ns = ASUP_NEVER;
    ck_assert_int_ne(scenario_step(&in), 0);
}
END_TEST

/* Times at the edge of what 64 bits hold are just far away. */
START_TEST(endless_times_are_far_away)
{
    struct input in;

    given("region r1");
    in = a_task(IN_TASK_SUBMIT);
    in.u.submit.budget.timeout_ns = UINT64_MAX - 1;
    in.u.submit.drain_ns = UINT64_MAX - 1;
    in.u.submit.leftover_ns = UINT64_MAX - 1;
    in.u.submit.response_ns = UINT64_MAX - 1;
    in.u.submit.watchdog_ns = UINT64_MAX - 1;
    in.u.submit.mask_depth = UINT32_MAX;
    ck_assert_int_eq(scenario_step(&in), 0);
    in = a_region();
    in.u.region_open.budget.timeout_ns = UINT64_MAX - 1;
    in.u.region_open.drain_ns = UINT64_MAX - 1;
    ck_assert_int_eq(scenario_step(&in), 0);
    given("at 1d");
    ck_assert_int_eq(region_of("r1").state, ASUP_REGION_OPEN);
    given("close r1; at 2d");
    ck_assert_int_ne(region_of("r1").state, ASUP_REGION_OPEN);
}
END_TEST

/* A configuration that makes no sense makes no kernel, and never comes in force. */
START_TEST(a_configuration_without_sense)
{
    struct kernel_config config;
    struct kernel_config broken[8];
    struct input in = scenario_input(IN_CONFIG);

    given("region r1");
    kernel_config_init(&config);
    for (int i = 0; i < 8; i++)
        broken[i] = config;
    broken[0].fairness = 0;
    broken[1].start_window = 0;
    broken[2].picks_per_step = 0;
    broken[3].id_first = 1;
    broken[4].sample_ns = 0;
    broken[5].finalizer_ns = 0;
    broken[6].session_ttl_ns = 0;
    broken[7].limits.requests_per_session = 0;
    for (int i = 0; i < 8; i++) {
        ck_assert_msg(!scenario_kernel_starts(&broken[i]), "configuration %d", i);
        in.token = 0;
        in.u.config = &broken[i];
        (void)scenario_step(&in);
        ck_assert_uint_eq(kernel_configuration(the_kernel())->fairness, config.fairness);
        ck_assert_uint_eq(kernel_configuration(the_kernel())->start_window, config.start_window);
        ck_assert_uint_eq(kernel_configuration(the_kernel())->id_first, config.id_first);
        ck_assert_uint_eq(kernel_configuration(the_kernel())->sample_ns, config.sample_ns);
        ck_assert_uint_eq(kernel_configuration(the_kernel())->finalizer_ns, config.finalizer_ns);
    }
}
END_TEST

/* ---- Batches --------------------------------------------------------------------------------- */

/* A batch may end regions too, and its items are told one by one. */
START_TEST(batch_ends_and_admits)
{
    given("region r1; task t1 in r1 running; region r2");
    when("batch 3; close r1; task t2 in r2; finish r2");
    expect_line("r1 cancel user T 30s");
    expect_line("signal t1 15");
    expect_line("t2 created");
    ck_assert(region_of("r2").sealed);
}
END_TEST

START_TEST(batch_wrong)
{
    struct input in = scenario_input(IN_BATCH);
    struct input item;

    given("region r1");
    ck_assert_int_eq(scenario_step(&in), -ASUP_EINVALID);
    item = scenario_input(IN_WAIT);
    item.region = id_of("r1");
    in = scenario_input(IN_BATCH);
    in.u.batch.items = &item;
    in.u.batch.count = 1;
    ck_assert_int_eq(scenario_step(&in), -ASUP_EUNSUPPORTED);
    in = scenario_input(IN_BATCH);
    in.u.batch.items = &item;
    in.u.batch.count = UINT32_MAX;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ETOOLARGE);
}
END_TEST

/* A refused batch tells each item what it would have been answered. */
START_TEST(batch_tells_each_item)
{
    int codes[3] = {1, 1, 1};
    struct input items[3];
    struct input in = scenario_input(IN_BATCH);

    given("region r1; region r2; close r2");
    items[0] = a_task(IN_TASK_SUBMIT);
    items[1] = a_task(IN_TASK_SUBMIT);
    items[1].region = id_of("r2");
    items[2] = a_task(IN_TASK_SUBMIT);
    items[2].region = 4711;
    in.u.batch.items = items;
    in.u.batch.count = 3;
    in.u.batch.codes = codes;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ECLOSED);
    ck_assert_int_eq(codes[0], 0);
    ck_assert_int_eq(codes[1], -ASUP_ECLOSED);
    ck_assert_int_eq(codes[2], -ASUP_ENOTFOUND);
}
END_TEST

/* R-IDM-1: a repeated batch gets the original answers, all of them. */
START_TEST(R_IDM_1_a_repeated_batch)
{
    struct asup_ref made[3] = {{0}};
    struct asup_ref again[3] = {{0}};
    struct input items[3];
    struct input in = scenario_input(IN_BATCH);

    given("session s1; s1 attached; region r1");
    items[0] = a_task(IN_TASK_SUBMIT);
    items[1] = a_region();
    items[2] = a_task(IN_FINALIZER_DEFER);
    in.u.batch.items = items;
    in.u.batch.count = 3;
    in.u.batch.made = made;
    in.caller.session = id_of("s1");
    in.request = 9;
    in.digest = 99;
    ck_assert_int_eq(scenario_step(&in), 0);
    ck_assert_uint_ne(made[0].id, 0);
    ck_assert_int_eq((int)made[1].sort, ASUP_SORT_REGION);
    in.token += 1000;
    in.u.batch.made = again;
    ck_assert_int_eq(scenario_step(&in), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(again[i].id, made[i].id);
        ck_assert_int_eq((int)again[i].sort, (int)made[i].sort);
    }
    ck_assert_uint_eq(region_of("r1").children_live, 1);
}
END_TEST

/* R-IDM-1: a batch that is not atomic is repeated part by part. Each that was done is answered
 * as it was; what was refused is done now; and the record counts as one request, with its bytes. */
START_TEST(R_IDM_1_the_parts_of_a_batch)
{
    struct input in = scenario_input(IN_REGION_OPEN);
    struct kernel_counts before;
    struct kernel_counts after;
    uint64_t digest = 0;
    uint64_t first;

    given_config()->limits.requests_per_session = 2;
    given_config()->limits.bytes_per_user = 4096;
    given("session s1; s1 attached; region r1");
    in = a_region();
    in.caller.session = id_of("s1");
    in.request = 9;
    in.digest = 1;
    in.part.digest = 99;
    in.part.count = 3;
    kernel_counts(the_kernel(), &before);
    ck_assert_int_eq(scenario_step(&in), 0);
    first = region_of("r1").child_first;
    ck_assert_uint_eq(region_of("r1").children_live, 1);
    ck_assert(kernel_request(the_kernel(), in.caller.session, 9, &digest));
    ck_assert_uint_eq(digest, 99);

    in.token++; /* again, and it is as it was */
    ck_assert_int_eq(scenario_step(&in), 0);
    ck_assert_uint_eq(region_of("r1").children_live, 1);
    ck_assert_uint_eq(region_of("r1").child_first, first);

    in.token++; /* the third, while the second was not done */
    in.part.place = 2;
    ck_assert_int_eq(scenario_step(&in), 0);
    ck_assert_uint_eq(region_of("r1").children_live, 2);
    in.token++;
    in.part.place = 1;
    ck_assert_int_eq(scenario_step(&in), 0);
    ck_assert_uint_eq(region_of("r1").children_live, 3);
    in.token++;
    ck_assert_int_eq(scenario_step(&in), 0);
    ck_assert_uint_eq(region_of("r1").children_live, 3);
    kernel_counts(the_kernel(), &after);
    ck_assert_uint_ge(after.bytes, before.bytes + 3 * sizeof(struct asup_ref));

    in.token++; /* another batch with that id */
    in.part.digest = 98;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ECONFLICT);
    in.token++; /* another request with that id */
    in.part.count = 0;
    ck_assert_int_eq(scenario_step(&in), -ASUP_ECONFLICT);

    in.token++; /* two more requests, and the batch as a whole is too old */
    in.request = 10;
    ck_assert_int_eq(scenario_step(&in), 0);
    in.token++;
    in.request = 11;
    ck_assert_int_eq(scenario_step(&in), 0);
    in.token++;
    in.request = 9;
    in.part.digest = 99;
    in.part.count = 3;
    ck_assert_int_eq(scenario_step(&in), -ASUP_EEXPIRED);
    ck_assert(!kernel_request(the_kernel(), in.caller.session, 9, &digest));

    in.token++; /* R-SCH-4: the record takes room that its user must have */
    in.request = 12;
    in.part.count = 1024;
    ck_assert_int_eq(scenario_step(&in), -ASUP_EBUSY);
}
END_TEST

/* R-SCH-4: what is kept to answer repeats of batches counts as its user's, or
 * one user could fill the memory of all. */
START_TEST(R_SCH_4_kept_batches_are_bounded)
{
    struct asup_ref made[3];
    struct input items[3];
    struct input in = scenario_input(IN_BATCH);
    struct kernel_counts before;
    struct kernel_counts after;
    unsigned granted = 0;

    given_config()->limits.bytes_per_user = 4096;
    given("session s1; s1 attached; region r1; task t1 in r1 running");
    kernel_counts(the_kernel(), &before);
    for (int i = 0; i < 3; i++) {
        items[i] = scenario_input(IN_TASK_CANCEL);
        items[i].task = id_of("t1");
        items[i].u.cancel.drain_ns = ASUP_NEVER;
    }
    in.u.batch.items = items;
    in.u.batch.count = 3;
    in.u.batch.made = made;
    in.caller.session = id_of("s1");
    for (in.request = 1; in.request < 200; in.request++, in.token += 1000) {
        int rc = scenario_step(&in);

        ck_assert(rc == 0 || rc == -ASUP_EBUSY);
        if (rc != 0)
            ck_assert_str_eq(scenario_limit(), "queued-bytes-per-user");
        granted += rc == 0;
    }
    ck_assert_uint_gt(granted, 70);
    ck_assert_uint_le(granted, 4096 / (3 * sizeof(struct asup_ref)));
    when("s1 bye");
    kernel_counts(the_kernel(), &after);
    ck_assert_uint_eq(after.bytes, before.bytes);
    when("task t2 in r1");
    expect_line("t2 created");
}
END_TEST

/* ---- Texts of every size ------------------------------------------------------------------------
 */

static unsigned char text[100000];

static void
text_fill(size_t size, unsigned salt)
{
    for (size_t i = 0; i < size; i++)
        text[i] = (unsigned char)(i * 31 + salt);
}

/* A spec comes back with START as it was given, whatever its size and in
 * whatever order texts come and go; and their memory is given back. */
START_TEST(texts_come_back_as_given)
{
    enum { ROUNDS = 300 };
    struct kernel_counts counts;
    size_t size[ROUNDS];
    uint64_t id[ROUNDS];
    uint64_t bytes_before;

    given_config()->start_window = 1;
    given("region r1; task holds in r1");
    kernel_counts(the_kernel(), &counts);
    bytes_before = counts.bytes;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct input in = a_task(IN_TASK_SUBMIT);

        size[i] = i % 50 == 49 ? 4000 + i * 300 : (i * 37) % 1500;
        text_fill(size[i], i);
        in.u.submit.spec = (struct bytes){.data = text, .size = size[i]};
        ck_assert_int_eq(scenario_step_only(&in), 0);
        id[i] = scenario_made().id;
        trace_forget();
    }
    /* each start that is answered lets the next one out */
    given("holds start-fails exec 2");
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct bytes spec = scenario_spec();
        struct input failed = {.kind = IN_TASK_START_FAILED, .task = id[i]};

        ck_assert_uint_eq(spec.size, size[i]);
        text_fill(size[i], i);
        if (spec.size > 0)
            ck_assert_mem_eq(spec.data, text, spec.size);
        failed.u.start_failed.stage = "exec";
        failed.u.start_failed.error = 2;
        ck_assert_int_eq(scenario_step(&failed), 0);
        trace_forget();
    }
    given("at 2h");
    kernel_counts(the_kernel(), &counts);
    ck_assert_uint_le(counts.bytes, bytes_before);
    ck_assert_uint_eq(counts.tasks, 0);
    /* one large text is still held at the end, another is never started */
    for (int i = 0; i < 3; i++) {
        struct input in = a_task(IN_TASK_SUBMIT);

        in.u.submit.spec = (struct bytes){.data = text, .size = 50000};
        ck_assert_int_eq(scenario_step(&in), 0);
        id[i] = scenario_made().id;
    }
    {
        struct input cancel = scenario_input(IN_TASK_CANCEL);

        cancel.task = id[1];
        cancel.u.cancel.drain_ns = ASUP_NEVER;
        ck_assert_int_eq(scenario_step(&cancel), 0);
    }
    kernel_counts(the_kernel(), &counts);
    ck_assert_uint_ge(counts.bytes, 50000);
    ck_assert_uint_lt(counts.bytes, 150000);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_EVT_2_wrong_regions),        RULE(R_EVT_2_wrong_tasks),
    RULE(R_EVT_2_wrong_budgets),        RULE(R_EVT_2_wrong_waits),
    RULE(endless_times_are_far_away),   RULE(a_configuration_without_sense),
    RULE(batch_ends_and_admits),        RULE(batch_wrong),
    RULE(batch_tells_each_item),        RULE(R_IDM_1_a_repeated_batch),
    RULE(R_IDM_1_the_parts_of_a_batch), RULE(R_SCH_4_kept_batches_are_bounded),
    RULE(texts_come_back_as_given),
};

RULES_MAIN("requests", rules, scenario_begin, scenario_end)
