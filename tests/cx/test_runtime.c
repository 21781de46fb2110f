/* SPDX-License-Identifier: MIT */
/* The runtime of production: the real clock, descriptors, signals, threads. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "asupersync/runtime.h"
#include "rules.h"

static uint64_t
clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ASUP_NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct asup_task
spawned(struct asup_cx *cx, asup_body body, void *arg)
{
    struct asup_task task = {0};

    ck_assert_int_eq(asup_cx_spawn(cx, body, arg, &task), 0);
    return task;
}

/* ---- Outcomes ------------------------------------------------------------------------- */

static int
returns(struct asup_cx *cx, void *arg)
{
    (void)cx;
    return *(int *)arg;
}

START_TEST(R_OUT_3_a_run_has_the_outcome_of_its_region)
{
    static int results[] = {0, 1, 7, 255, -ASUP_EBUSY, -ASUP_ECANCELLED};

    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        struct asup_outcome out;

        ck_assert_int_eq(asup_runtime_run(NULL, returns, &results[i], &out), results[i]);
        ck_assert_int_eq(out.key.severity, results[i] == 0 ? ASUP_OK : ASUP_ERR);
    }
    asup_runtime_outcome_fini();
    asup_runtime_outcome_fini();
    ck_assert_int_eq(asup_runtime_run(NULL, NULL, NULL, NULL), -ASUP_EINVALID);
}
END_TEST

static int
runs_within(struct asup_cx *cx, void *arg)
{
    (void)cx;
    ck_assert_int_eq(asup_runtime_run(NULL, returns, arg, NULL), -ASUP_EINVALID);
    return 0;
}

START_TEST(one_runs_at_a_time_in_a_thread)
{
    static int zero = 0;

    ck_assert_int_eq(asup_runtime_run(NULL, runs_within, &zero, NULL), 0);
}
END_TEST

/* ---- Time and descriptors ------------------------------------------------------------------ */

static int
sleeps(struct asup_cx *cx, void *arg)
{
    return asup_cx_sleep(cx, arg == NULL ? ASUP_NEVER : *(uint64_t *)arg);
}

START_TEST(time_is_that_of_the_clock)
{
    static uint64_t some = 5 * ASUP_NS_PER_MS;
    uint64_t began = clock_ns();

    ck_assert_int_eq(asup_runtime_run(NULL, sleeps, &some, NULL), 0);
    ck_assert_uint_ge(clock_ns() - began, some);
}
END_TEST

static int ends[2];

static int
reads(struct asup_cx *cx, void *arg)
{
    short revents = 0;
    char got;

    ck_assert_int_eq(asup_cx_poll(cx, ends[0], POLLIN, 0, &revents), -ASUP_ETIMEDOUT);
    ck_assert_int_eq(asup_cx_poll(cx, ends[0], POLLIN, ASUP_NEVER, &revents), 0);
    ck_assert_int_eq(revents, POLLIN);
    ck_assert_int_eq(read(ends[0], &got, 1), 1);
    ck_assert_int_eq(got, *(char *)arg);
    return 0;
}

static int
polls(struct asup_cx *cx, void *arg)
{
    static char letter = 'x';
    struct asup_task reader = spawned(cx, reads, &letter);
    struct asup_outcome out;
    short revents = 0;

    (void)arg;
    ck_assert_int_eq(asup_cx_poll(cx, ends[1], POLLOUT, ASUP_NEVER, &revents), 0);
    ck_assert_int_eq(revents, POLLOUT);
    ck_assert_int_eq(asup_cx_sleep(cx, ASUP_NS_PER_MS), 0);
    ck_assert_int_eq(write(ends[1], &letter, 1), 1);
    ck_assert_int_eq(asup_cx_join(cx, reader, &out), 0);
    ck_assert_int_eq(asup_outcome_result(&out), 0);
    ck_assert_int_eq(asup_cx_poll(cx, -1, POLLIN, 0, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_poll(cx, 9999, POLLIN, ASUP_NEVER, &revents), 0);
    ck_assert_int_eq(revents, POLLNVAL);
    return 0;
}

static int
waits_to_read(struct asup_cx *cx, void *arg)
{
    (void)arg;
    return asup_cx_poll(cx, ends[0], POLLIN, ASUP_NEVER, NULL);
}

static int
clings_to_read(struct asup_cx *cx, void *arg)
{
    asup_cx_mask(cx);
    return waits_to_read(cx, arg);
}

/* Cancelled while they wait for the same descriptor, one of them given up. */
static int
cancels_polls(struct asup_cx *cx, void *arg)
{
    struct asup_scope_options options;
    struct asup_cx *scope;

    (void)arg;
    asup_scope_options_init(&options);
    options.drain_ns = ASUP_NS_PER_MS;
    scope = asup_cx_scope_open(cx, &options, NULL);
    spawned(scope, waits_to_read, NULL);
    spawned(scope, clings_to_read, NULL);
    spawned(scope, waits_to_read, NULL);
    ck_assert_int_eq(asup_cx_sleep(cx, ASUP_NS_PER_MS), 0);
    asup_cx_scope_close(scope, NULL);
    return asup_cx_scope_join(scope, NULL);
}

START_TEST(fibers_wait_for_descriptors)
{
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(asup_runtime_run(NULL, polls, NULL, NULL), 0);
    ck_assert_int_eq(asup_runtime_run(NULL, cancels_polls, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

/* Something can always run, and descriptors are seen all the same. */
static int
spins(struct asup_cx *cx, void *arg)
{
    const char letter = 'x';
    uint64_t rounds = 0;
    int rc = 0;

    while (rc == 0) {
        if (++rounds == 100)
            ck_assert_int_eq(write(ends[1], &letter, 1), 1);
        rc = asup_cx_checkpoint(cx);
    }
    *(uint64_t *)arg = rounds;
    return rc;
}

static int
reads_beside(struct asup_cx *cx, void *arg)
{
    struct asup_task spinner = spawned(cx, spins, arg);

    ck_assert_int_eq(asup_cx_poll(cx, ends[0], POLLIN, ASUP_NEVER, NULL), 0);
    return asup_cx_cancel(cx, spinner, NULL);
}

START_TEST(who_never_waits_starves_no_descriptor)
{
    uint64_t rounds = 0;

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(asup_runtime_run(NULL, reads_beside, &rounds, NULL), -ASUP_ECANCELLED);
    ck_assert_uint_lt(rounds, 1000);
}
END_TEST

/* ---- Signals --------------------------------------------------------------------------------- */

static int
stops(struct asup_cx *cx, void *arg)
{
    (void)arg;
    ck_assert_int_eq(raise(SIGTERM), 0);
    return asup_cx_sleep(cx, ASUP_NEVER);
}

static int
stops_twice(struct asup_cx *cx, void *arg)
{
    (void)arg;
    ck_assert_int_eq(raise(SIGINT), 0);
    ck_assert_int_eq(raise(SIGINT), 0);
    asup_cx_mask(cx);
    return asup_cx_sleep(cx, ASUP_NEVER);
}

START_TEST(signals_shut_it_down)
{
    struct asup_outcome out;
    struct sigaction before, after;
    uint64_t began = clock_ns();

    ck_assert_int_eq(sigaction(SIGINT, NULL, &before), 0);
    ck_assert_int_eq(asup_runtime_run(NULL, stops, NULL, &out), -ASUP_ECANCELLED);
    ck_assert(!out.forced);
    ck_assert_int_eq(asup_reason_root(out.reason)->key.kind, ASUP_CANCEL_SHUTDOWN);
    ck_assert_int_eq(asup_runtime_run(NULL, stops_twice, NULL, &out), -ASUP_ECANCELLED);
    ck_assert(out.forced); /* the second one: at once */
    ck_assert_uint_lt(clock_ns() - began, 4 * ASUP_NS_PER_S);
    asup_runtime_outcome_fini();
    ck_assert_int_eq(sigaction(SIGINT, NULL, &after), 0);
    ck_assert(after.sa_handler == before.sa_handler);
}
END_TEST

/* ---- Threads ------------------------------------------------------------------------------------
 */

static int
counts(struct asup_cx *cx, void *arg)
{
    for (int i = 0; i < 10; i++)
        ASUP_TRY(asup_cx_checkpoint(cx));
    (*(int *)arg)++;
    return 0;
}

static int
counts_many(struct asup_cx *cx, void *arg)
{
    int result = 0;

    ASUP_SCOPE(scope, cx, &result)
    {
        for (int i = 0; i < 100; i++)
            spawned(scope, counts, arg);
    }
    return result;
}

static void *
thread(void *arg)
{
    struct asup_outcome out;

    for (int i = 0; i < 5; i++) {
        if (asup_runtime_run(NULL, counts_many, arg, &out) != 0)
            return arg;
    }
    return NULL;
}

START_TEST(each_thread_may_run_one)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int done[THREADS] = {0};

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, thread, &done[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;

        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
        ck_assert_int_eq(done[i], 500);
    }
}
END_TEST

static const struct rule rules[] = {
    RULE(R_OUT_3_a_run_has_the_outcome_of_its_region),
    RULE(one_runs_at_a_time_in_a_thread),
    RULE(time_is_that_of_the_clock),
    RULE(fibers_wait_for_descriptors),
    RULE(who_never_waits_starves_no_descriptor),
    RULE(signals_shut_it_down),
    RULE(each_thread_may_run_one),
};

RULES_MAIN("cx runtime", rules, NULL, NULL)
