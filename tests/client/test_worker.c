/* SPDX-License-Identifier: MIT */
/*
 * The worker loop of the library, with a real daemon: one client submits calls,
 * another one, on threads of its own, does them.
 */
#include <check.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "real.h"
#include "rules.h"

static struct asup_region region;

/* ---- A worker on threads of its own ------------------------------------------------- */

struct bench {
    struct asup_client *client;
    struct asup_worker_options options;
    int stop[2];
    pthread_t thread;
    int result;
};

static atomic_int running, most_running, ended, opened; /* what the functions count */
static atomic_bool gate;

static enum asup_severity
twice(struct asup_worker_call *call, void *arg)
{
    size_t size;
    const char *input = asup_worker_call_input(call, &size);
    char out[64];
    int now = atomic_fetch_add(&running, 1) + 1;
    int most = atomic_load(&most_running);

    ck_assert_ptr_eq(arg, &running);
    while (most < now && !atomic_compare_exchange_weak(&most_running, &most, now)) {
    }
    ck_assert_uint_lt(2 * size, sizeof out);
    if (size > 0) {
        memcpy(out, input, size);
        memcpy(out + size, input, size);
    }
    (void)asup_worker_call_result(call, out, 2 * size);
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&ended, 1);
    return ASUP_OK;
}

static enum asup_severity
fails(struct asup_worker_call *call, void *arg)
{
    (void)arg;
    return asup_worker_call_fail(call, 7, asup_worker_call_attempt(call) == 3 ? "third" : "no");
}

/* Runs until it is asked to end. */
static enum asup_severity
patient(struct asup_worker_call *call, void *arg)
{
    (void)arg;
    atomic_fetch_add(&opened, 1);
    while (!asup_worker_call_cancelled(call))
        usleep(1000); /* what it works on */
    ck_assert_int_eq(asup_worker_call_checkpoint(call), 1);
    return ASUP_CANCELLED;
}

/* Runs until the test opens the gate. */
static enum asup_severity
gated(struct asup_worker_call *call, void *arg)
{
    size_t size;
    const char *input = asup_worker_call_input(call, &size);

    (void)arg;
    atomic_fetch_add(&opened, 1);
    while (!atomic_load(&gate))
        usleep(1000); /* what it works on */
    (void)asup_worker_call_result(call, input, size);
    atomic_fetch_add(&ended, 1);
    return ASUP_OK;
}

static enum asup_severity
spends(struct asup_worker_call *call, void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        if (asup_worker_call_progress(call, 1) != 0)
            return ASUP_CANCELLED;
    }
    return ASUP_OK;
}

/* What a function can know of its call; the result is its key. */
static enum asup_severity
looks(struct asup_worker_call *call, void *arg)
{
    struct asup_budget_left left = asup_worker_call_budget(call);

    (void)arg;
    ck_assert_str_eq(asup_worker_call_name(call), "looks");
    ck_assert_uint_eq(asup_worker_call_region(call).id, region.id);
    ck_assert_uint_ne(asup_worker_call_task(call).id, 0);
    ck_assert_uint_eq(left.cost, 7);
    ck_assert_uint_eq(left.polls, UINT32_MAX);
    ck_assert_uint_eq(left.limit_ns, ASUP_NEVER);
    (void)asup_worker_call_result(call, asup_worker_call_key(call),
                                  strlen(asup_worker_call_key(call)));
    return ASUP_OK;
}

static const struct asup_worker_function functions[] = {
    {"twice", twice, &running}, {"fails", fails, NULL}, {"patient", patient, NULL},
    {"spends", spends, NULL},   {"gated", gated, NULL}, {"looks", looks, NULL},
};

enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

static void *
bench_main(void *arg)
{
    struct bench *b = arg;

    b->result = asup_worker_run(b->client, functions, FUNCTIONS, &b->options, NULL);
    return NULL;
}

static void
bench_begin(struct bench *b, uint32_t threads, uint32_t prefetch)
{
    b->client = connect_client();
    ck_assert_int_eq(pipe2(b->stop, O_CLOEXEC), 0);
    asup_worker_options_init(&b->options);
    b->options.threads = threads;
    b->options.prefetch = prefetch;
    b->options.stop_fd = b->stop[0];
    ck_assert_int_eq(pthread_create(&b->thread, NULL, bench_main, b), 0);
}

static void
bench_end(struct bench *b, int result)
{
    ck_assert_int_eq(write(b->stop[1], "x", 1), 1);
    ck_assert_int_eq(pthread_join(b->thread, NULL), 0);
    ck_assert_int_eq(b->result, result);
    asup_client_free(b->client);
    close(b->stop[0]);
    close(b->stop[1]);
}

/* ---- The daemon ---------------------------------------------------------------------- */

static void
begin(void)
{
    real_begin();
    OK(asup_client_region_open(client, NULL, &region, &err));
    atomic_store(&running, 0);
    atomic_store(&most_running, 0);
    atomic_store(&ended, 0);
    atomic_store(&opened, 0);
    atomic_store(&gate, false);
}

static struct asup_task
submit(const char *name, const char *input, uint32_t attempts)
{
    struct asup_call_options options;
    struct asup_task task;

    asup_call_options_init(&options, name);
    options.input = input;
    options.input_size = strlen(input);
    options.attempts = attempts;
    OK(asup_client_call_submit(client, region, &options, &task, &err));
    return task;
}

static struct asup_call_result
wait_for(struct asup_task task)
{
    struct asup_call_result result;

    OK(asup_client_call_wait(client, task, 20000, &result, &err));
    return result;
}

/* ---- Tests ----------------------------------------------------------------------------- */

START_TEST(a_call_is_done_and_its_result_comes_back)
{
    struct asup_call_options options;
    struct asup_call_result result;
    struct bench b;

    bench_begin(&b, 1, 0);
    asup_call_options_init(&options, "twice");
    options.input = "ab";
    options.input_size = 2;
    OK(asup_client_call_run(client, region, &options, 20000, &result, &err));
    ck_assert_int_eq(result.outcome.key.severity, ASUP_OK);
    ck_assert_uint_eq(result.size, 4);
    ck_assert_int_eq(memcmp(result.data, "abab", 4), 0);
    ck_assert_uint_eq(result.attempt, 1);
    asup_call_result_fini(&result);
    bench_end(&b, 0);
}
END_TEST

/* R-IDM-1: the key that it was submitted under is its function's to use. */
START_TEST(R_IDM_1_a_function_knows_its_call)
{
    struct asup_call_options options;
    struct asup_call_result result;
    struct asup_task task, again;
    struct bench b;

    bench_begin(&b, 1, 0);
    asup_call_options_init(&options, "looks");
    options.budget.cost_quota = 7;
    OK(asup_client_next_key("order-17", 0));
    OK(asup_client_call_submit(client, region, &options, &task, &err));
    OK(asup_client_next_key("order-17", 0));
    OK(asup_client_call_submit(client, region, &options, &again, &err));
    ck_assert_uint_eq(task.id, again.id);
    options.budget.cost_quota = 8;
    OK(asup_client_next_key("order-17", 0));
    ck_assert_int_eq(asup_client_call_submit(client, region, &options, &again, &err),
                     -ASUP_ECONFLICT);
    result = wait_for(task);
    ck_assert_int_eq(result.outcome.key.severity, ASUP_OK);
    ck_assert_uint_eq(result.size, 8);
    ck_assert_mem_eq(result.data, "order-17", 8);
    asup_call_result_fini(&result);
    bench_end(&b, 0);
}
END_TEST

START_TEST(keys_without_sense_are_refused)
{
    char key[ASUP_KEY_MAX + 2];

    memset(key, 'k', sizeof key);
    key[ASUP_KEY_MAX + 1] = '\0';
    ck_assert_int_eq(asup_client_next_key(key, 0), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_next_key("", 0), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_next_key(NULL, 0), 0);
}
END_TEST

/* Hundreds of calls over some threads with a prefetch: each is done once. */
START_TEST(many_calls_on_many_threads)
{
    enum { COUNT = 400 };
    struct asup_task tasks[COUNT];
    struct asup_call_result result;
    char text[16], doubled[40];
    struct bench b;

    for (int i = 0; i < COUNT / 2; i++) { /* half are there when it begins */
        (void)snprintf(text, sizeof text, "%d.", i);
        tasks[i] = submit("twice", text, 0);
    }
    bench_begin(&b, 8, 5);
    for (int i = COUNT / 2; i < COUNT; i++) {
        (void)snprintf(text, sizeof text, "%d.", i);
        tasks[i] = submit("twice", text, 0);
    }
    for (int i = 0; i < COUNT; i++) {
        int size = snprintf(doubled, sizeof doubled, "%d.%d.", i, i);

        result = wait_for(tasks[i]);
        ck_assert_int_eq(result.outcome.key.severity, ASUP_OK);
        ck_assert_uint_eq(result.size, (size_t)size);
        ck_assert_int_eq(memcmp(result.data, doubled, (size_t)size), 0);
        asup_call_result_fini(&result);
    }
    bench_end(&b, 0);
    ck_assert_int_eq(atomic_load(&ended), COUNT);
    ck_assert_int_le(atomic_load(&most_running), 8);
}
END_TEST

/* R-TSK-5: attempts, and what the last one said. */
START_TEST(R_TSK_5_failures_are_tried_again)
{
    struct asup_call_result result;
    struct bench b;

    bench_begin(&b, 2, 0);
    result = wait_for(submit("fails", "", 3));
    ck_assert_int_eq(result.outcome.key.severity, ASUP_ERR);
    ck_assert_int_eq(result.outcome.exit_code, 7);
    ck_assert_str_eq(result.message, "third");
    ck_assert_uint_eq(result.attempt, 3);
    asup_call_result_fini(&result);
    bench_end(&b, 0);
}
END_TEST

/* R-TSK-2: a cancel reaches the function while it runs, and it is acknowledged. */
START_TEST(R_TSK_2_a_cancel_reaches_the_function)
{
    struct asup_call_result result;
    struct asup_task task;
    struct bench b;

    bench_begin(&b, 2, 0);
    task = submit("patient", "", 0);
    OK(asup_client_task_wait(client, task, ASUP_UNTIL_STARTED, 20000, NULL, &err));
    OK(asup_client_task_cancel(client, task, ASUP_NEVER, "enough", &err));
    result = wait_for(task);
    ck_assert_int_eq(result.outcome.key.severity, ASUP_CANCELLED);
    ck_assert(!result.outcome.forced);
    asup_call_result_fini(&result);
    bench_end(&b, 0);
}
END_TEST

/* R-BUD-3: progress spends cost; the function hears when it is spent. */
START_TEST(R_BUD_3_progress_spends_the_budget)
{
    struct asup_call_options options;
    struct asup_call_result result;
    struct bench b;

    bench_begin(&b, 1, 0);
    asup_call_options_init(&options, "spends");
    options.budget.cost_quota = 5;
    OK(asup_client_call_run(client, region, &options, 20000, &result, &err));
    ck_assert_int_eq(result.outcome.key.severity, ASUP_CANCELLED);
    ck_assert_int_eq(result.outcome.reason->key.kind, ASUP_CANCEL_COST_BUDGET);
    asup_call_result_fini(&result);
    bench_end(&b, 0);
}
END_TEST

/* R-REG-8: a function that does not look is left behind at T, and the worker goes on. */
START_TEST(R_REG_8_closing_a_region_ends_its_calls)
{
    struct asup_outcome outcome;
    struct asup_task task;
    struct bench b;

    bench_begin(&b, 2, 0);
    task = submit("patient", "", 0);
    OK(asup_client_task_wait(client, task, ASUP_UNTIL_STARTED, 20000, NULL, &err));
    OK(asup_client_region_end(client, region, ASUP_END_CLOSE, 0, NULL, &err));
    OK(asup_client_region_wait(client, region, 20000, &outcome, &err));
    ck_assert(outcome.forced);
    asup_outcome_fini(&outcome);
    OK(asup_client_region_open(client, NULL, &region, &err));
    struct asup_call_result result = wait_for(submit("twice", "x", 0));
    ck_assert_int_eq(result.outcome.key.severity, ASUP_OK);
    asup_call_result_fini(&result);
    bench_end(&b, 0);
}
END_TEST

static void
kill_engine(void)
{
    struct asup_daemon_info before, after;

    OK(asup_client_daemon_status(client, &before, &err));
    ck_assert_int_eq(kill((pid_t)before.engine_pid, SIGKILL), 0);
    OK(asup_client_daemon_status(client, &after, &err)); /* from the next one */
    ck_assert_uint_gt(after.engine_runs, before.engine_runs);
    asup_daemon_info_fini(&before);
    asup_daemon_info_fini(&after);
}

static void
await(const atomic_int *count, int value)
{
    while (atomic_load(count) < value)
        usleep(1000); /* the case has a time limit */
}

/* R-TSK-5: the engine dies while calls are with the worker. Nothing is run twice, and what
 * ended meanwhile is told to the next engine. */
START_TEST(R_TSK_5_an_engine_dies_between_take_and_completion)
{
    enum { RUNNING = 4, COUNT = 12 };
    struct asup_call_result result;
    struct asup_task tasks[COUNT];
    char text[16];
    struct bench b;

    bench_begin(&b, RUNNING, 3); /* some run, some are taken, some wait */
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(text, sizeof text, "%d.", i);
        tasks[i] = submit("gated", text, 3);
    }
    await(&opened, RUNNING);
    kill_engine();
    atomic_store(&gate, true); /* some end while the worker is connecting anew */
    kill_engine();
    for (int i = 0; i < COUNT; i++) {
        int size = snprintf(text, sizeof text, "%d.", i);

        result = wait_for(tasks[i]);
        ck_assert_int_eq(result.outcome.key.severity, ASUP_OK);
        ck_assert_uint_eq(result.attempt, 1);
        ck_assert_uint_eq(result.size, (size_t)size);
        ck_assert_int_eq(memcmp(result.data, text, (size_t)size), 0);
        asup_call_result_fini(&result);
    }
    ck_assert_int_eq(atomic_load(&ended), COUNT); /* and none ran twice */
    bench_end(&b, 0);
}
END_TEST

/* End the session of the worker, as its time does when nothing is heard of it. */
static void
end_session_of(struct asup_client *c)
{
    uint8_t secret[ASUP_SECRET_SIZE];
    struct asup_client_options options;
    struct asup_client *other = NULL;

    OK(asup_client_secret(c, secret));
    asup_client_options_init(&options);
    options.url = url;
    options.session_secret = secret;
    OK(asup_client_connect(&options, &other, &err));
    asup_client_free(other); /* says goodbye */
}

/* R-TSK-5, R-SES-1: the session of the worker ends while it runs calls: they are lost with it
 * and run again. What the first attempts did is refused; each call has one result, and the
 * worker has offered anew. */
START_TEST(R_SES_1_a_worker_outlives_its_session)
{
    enum { COUNT = 6 };
    struct asup_call_result result;
    struct asup_task tasks[COUNT];
    char text[16];
    struct bench b;

    bench_begin(&b, COUNT, 0);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(text, sizeof text, "%d.", i);
        tasks[i] = submit("gated", text, 2);
    }
    await(&opened, COUNT);
    end_session_of(b.client);
    atomic_store(&gate, true);
    for (int i = 0; i < COUNT; i++) {
        int size = snprintf(text, sizeof text, "%d.", i);

        result = wait_for(tasks[i]);
        ck_assert_int_eq(result.outcome.key.severity, ASUP_OK);
        ck_assert_uint_eq(result.attempt, 2);
        ck_assert_uint_eq(result.size, (size_t)size);
        ck_assert_int_eq(memcmp(result.data, text, (size_t)size), 0);
        asup_call_result_fini(&result);
    }
    ck_assert_int_eq(atomic_load(&ended), 2 * COUNT);
    /* A call with one attempt alone is lost, and said to be so. */
    atomic_store(&gate, false);
    tasks[0] = submit("gated", "x", 1);
    await(&opened, 2 * COUNT + 1);
    end_session_of(b.client);
    result = wait_for(tasks[0]);
    ck_assert_int_eq(result.outcome.key.severity, ASUP_PANICKED);
    ck_assert_str_eq(result.outcome.stage, "lost");
    asup_call_result_fini(&result);
    atomic_store(&gate, true);
    bench_end(&b, 0);
}
END_TEST

/* What is senseless is refused before anything begins. */
START_TEST(senseless_arguments_are_refused)
{
    struct asup_worker_options options;
    struct asup_call_result result;
    struct asup_task task;

    asup_worker_options_init(&options);
    ck_assert_int_eq(asup_worker_run(client, NULL, 0, &options, &err), -ASUP_EINVALID);
    options.threads = 0;
    ck_assert_int_eq(asup_worker_run(client, functions, FUNCTIONS, &options, &err), -ASUP_EINVALID);
    options.threads = 1;
    options.region.id = 4711;
    ck_assert_int_eq(asup_worker_run(client, functions, FUNCTIONS, &options, &err),
                     -ASUP_ENOTFOUND);
    ck_assert_int_eq(asup_client_call_submit(client, region, NULL, &task, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_call_wait(client, (struct asup_task){0}, 0, &result, &err),
                     -ASUP_EINVALID);
}
END_TEST

static const struct rule rules[] = {
    RULE(a_call_is_done_and_its_result_comes_back),
    RULE(R_IDM_1_a_function_knows_its_call),
    RULE(keys_without_sense_are_refused),
    RULE(many_calls_on_many_threads),
    RULE(R_TSK_5_failures_are_tried_again),
    RULE(R_TSK_2_a_cancel_reaches_the_function),
    RULE(R_BUD_3_progress_spends_the_budget),
    RULE(R_REG_8_closing_a_region_ends_its_calls),
    RULE(R_TSK_5_an_engine_dies_between_take_and_completion),
    RULE(R_SES_1_a_worker_outlives_its_session),
    RULE(senseless_arguments_are_refused),
};

RULES_MAIN("client.worker", rules, begin, real_end)
