/* SPDX-License-Identifier: MIT */
/* One client, many threads, also while connections break under them. */
#include "fake.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

#define THREADS 8
#define CALLS 200

/* Answers with the task that was asked for, so that a mix-up shows; every
 * 97th request breaks the connection. Counts how often each change was seen
 * under the same id, as a daemon does. */
struct echo {
    bool breaks;
    uint32_t seen;
    uint8_t ids[4 * THREADS * CALLS]; /* by request id */
    uint32_t repeats;
};

static void
echo_task(struct fake *f, struct fake_request *r)
{
    struct echo *echo = fake_arg(f);
    struct proto_writer w;
    uint64_t id = r->decoded.id;

    ck_assert_uint_lt(id, sizeof echo->ids);
    if (echo->ids[id]++ > 0)
        echo->repeats++;
    if (echo->breaks && ++echo->seen % 97 == 0) {
        fake_hang_up(r);
        return;
    }
    proto_writer_init(&w);
    pw_map(&w);
    pw_key(&w, "task");
    pw_id(&w, ASUP_SORT_TASK, r->decoded.call.args->task_cancel.task);
    pw_end(&w);
    fake_answer(r, &w);
}

struct worker {
    struct asup_client *client;
    uint64_t number;
    pthread_t thread;
};

static void
call_once(struct asup_client *c, uint64_t task)
{
    char args[32], id[ASUP_REF_TEXT_SIZE];
    int size = asup_ref_format((struct asup_ref){task, ASUP_SORT_TASK}, id, sizeof id);
    struct asup_error_info err;
    void *body;
    size_t body_size;
    int rc;

    snprintf(args, sizeof args, "\x81\xa4task%c%s", 0xa0 + size, id);
    rc = asup_client_call(c, "task.cancel", args, 7 + (size_t)size, -1, &body, &body_size, &err);
    ck_assert_msg(rc == 0, "task.cancel: %d %s", rc, err.message);
    ck_assert_ptr_nonnull(memmem(body, body_size, args + 6, 1 + (size_t)size));
    free(body);
}

static void *
work(void *arg)
{
    struct worker *worker = arg;

    for (uint64_t i = 0; i < CALLS; i++)
        call_once(worker->client, 1000 * worker->number + i + 1);
    return NULL;
}

static void
run_workers(struct asup_client *c)
{
    struct worker workers[THREADS];

    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.client = c, .number = i + 1};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

START_TEST(each_thread_gets_its_own_answers)
{
    struct echo *echo = calloc(1, sizeof *echo);
    struct fake *f = fake_start(echo_task, echo);
    struct asup_client *c = fake_client(f, NULL);

    run_workers(c);
    ck_assert_uint_eq(fake_count(f, PROTO_TASK_CANCEL), THREADS * CALLS);
    ck_assert_uint_eq(echo->repeats, 0);
    asup_client_free(c);
    fake_stop(f);
    free(echo);
}
END_TEST

START_TEST(R_IDM_1_threads_ride_out_broken_connections)
{
    struct echo *echo = calloc(1, sizeof *echo);
    struct fake *f = fake_start(echo_task, echo);
    struct asup_client *c = fake_client(f, NULL);

    echo->breaks = true;
    run_workers(c);
    ck_assert_uint_gt(echo->repeats, 0); /* asked again under the same id */
    asup_client_free(c);
    fake_stop(f);
    free(echo);
}
END_TEST

/* ---- Dispatching while others block and start -------------------------------------- */

static atomic_uint answered;

static void
on_reply(void *arg, int code, const void *body, size_t size)
{
    (void)arg;
    (void)body;
    (void)size;
    ck_assert_int_eq(code, 0);
    atomic_fetch_add(&answered, 1);
}

static void *
start_many(void *arg)
{
    struct worker *worker = arg;

    for (int i = 0; i < CALLS; i++)
        ck_assert_int_eq(asup_client_call_start(worker->client, "task.cancel", "\x81\xa4task\xa2t5",
                                                9, -1, on_reply, NULL, NULL),
                         0);
    return NULL;
}

START_TEST(calls_may_be_started_while_another_thread_dispatches)
{
    struct echo *echo = calloc(1, sizeof *echo);
    struct fake *f = fake_start(echo_task, echo);
    struct asup_client *c = fake_client(f, NULL);
    struct worker workers[4];
    struct pollfd p = {.fd = asup_client_fd(c), .events = POLLIN};

    for (int i = 0; i < 4; i++) {
        workers[i].client = c;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, start_many, &workers[i]), 0);
    }
    while (atomic_load(&answered) < 4 * CALLS) {
        ck_assert_int_eq(poll(&p, 1, 20000), 1);
        asup_client_dispatch(c);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(workers[i].thread, NULL);
    ck_assert_uint_eq(atomic_load(&answered), 4 * CALLS);
    asup_client_free(c);
    fake_stop(f);
    free(echo);
}
END_TEST

static void
answer_nothing(struct fake *f, struct fake_request *r)
{
    (void)f;
    (void)r;
}

static void *
be_interrupted(void *arg)
{
    struct worker *worker = arg;

    ck_assert_int_eq(fake_ask(worker->client, "daemon.status", -1, NULL), -ASUP_EINTERRUPTED);
    return NULL;
}

START_TEST(an_interrupt_ends_all_blocking_calls)
{
    struct fake *f = fake_start(answer_nothing, NULL);
    struct asup_client *c = fake_client(f, NULL);
    struct worker workers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        workers[i].client = c;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, be_interrupted, &workers[i]), 0);
    }
    fake_wait(f, PROTO_DAEMON_STATUS, THREADS);
    asup_client_interrupt(c);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static const struct rule rules[] = {
    RULE(each_thread_gets_its_own_answers),
    RULE(R_IDM_1_threads_ride_out_broken_connections),
    RULE(calls_may_be_started_while_another_thread_dispatches),
    RULE(an_interrupt_ends_all_blocking_calls),
};

RULES_MAIN("client threads", rules, NULL, NULL)
