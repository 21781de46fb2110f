/* SPDX-License-Identifier: MIT */
/* The event-loop form: a descriptor to poll and a function to dispatch. */
#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

static void
answer_all(struct fake *f, struct fake_request *r)
{
    (void)f;
    fake_answer(r, NULL);
}

static void
answer_nothing(struct fake *f, struct fake_request *r)
{
    (void)f;
    (void)r;
}

/* What callbacks leave behind. */
struct trace {
    int codes[16];
    void *order[16];
    int count;
    pthread_t thread;
};

static struct trace trace;

static void
on_reply(void *arg, int code, const void *body, size_t size)
{
    ck_assert_ptr_nonnull(body);
    ck_assert_uint_gt(size, 0);
    trace.codes[trace.count] = code;
    trace.order[trace.count++] = arg;
    trace.thread = pthread_self();
}

/* Poll and dispatch until so many callbacks have run. */
static void
dispatch_until(struct asup_client *c, int count)
{
    struct pollfd p = {.fd = asup_client_fd(c), .events = POLLIN};

    while (trace.count < count) {
        int rc = poll(&p, 1, 20000);

        ck_assert_msg(rc == 1 || (rc < 0 && errno == EINTR), "only %d of %d answers", trace.count,
                      count);
        asup_client_dispatch(c);
    }
}

static asup_call
start(struct asup_client *c, const char *op, int64_t timeout_ms, void *arg)
{
    asup_call call = 0;

    ck_assert_int_eq(asup_client_call_start(c, op, NULL, 0, timeout_ms, on_reply, arg, &call), 0);
    ck_assert_uint_ne(call, 0);
    return call;
}

START_TEST(a_callback_runs_only_within_dispatch)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = fake_client(f, NULL);
    struct pollfd p = {.fd = asup_client_fd(c), .events = POLLIN};

    ck_assert_int_eq(poll(&p, 1, 0), 0);
    start(c, "daemon.status", -1, &trace);
    ck_assert_int_eq(poll(&p, 1, 20000), 1);
    ck_assert_int_eq(trace.count, 0);
    ck_assert_int_eq(asup_client_dispatch(c), 1);
    ck_assert_int_eq(trace.count, 1);
    ck_assert_int_eq(trace.codes[0], 0);
    ck_assert_ptr_eq(trace.order[0], &trace);
    ck_assert(pthread_equal(trace.thread, pthread_self()));
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    ck_assert_int_eq(asup_client_dispatch(c), 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static struct fake_request *kept[3];

static void
answer_in_reverse(struct fake *f, struct fake_request *r)
{
    uint32_t nth = r->nth;

    (void)f;
    kept[nth - 1] = fake_keep(r);
    if (nth < 3)
        return;
    for (int i = 2; i >= 0; i--) {
        fake_answer(kept[i], NULL);
        fake_let_go(kept[i]);
    }
}

START_TEST(many_calls_are_under_way_at_once)
{
    struct fake *f = fake_start(answer_in_reverse, NULL);
    struct asup_client *c = fake_client(f, NULL);
    int a, b, d;

    start(c, "daemon.status", -1, &a);
    start(c, "daemon.status", -1, &b);
    start(c, "daemon.status", -1, &d);
    dispatch_until(c, 3); /* each is answered only after all have come */
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(errors_of_the_library_come_by_callback_too)
{
    struct fake *f = fake_start(answer_nothing, NULL);
    struct asup_client_options options;
    struct asup_client *c;

    asup_client_options_init(&options);
    options.patience_ms = 100;
    c = fake_client(f, &options);
    start(c, "daemon.status", 50, NULL);
    dispatch_until(c, 1);
    ck_assert_int_eq(trace.codes[0], -ASUP_ETIMEDOUT);
    fake_die(f);
    start(c, "daemon.status", -1, NULL);
    dispatch_until(c, 2);
    ck_assert_int_eq(trace.codes[1], -ASUP_ENOTCONN);
    ck_assert_int_eq(asup_client_call_start(c, "why", "\x90", 1, -1, on_reply, NULL, NULL),
                     -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_call_start(c, "why", NULL, 0, -1, NULL, NULL, NULL),
                     -ASUP_EINVALID);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(a_dropped_call_has_no_callback)
{
    struct fake *f = fake_start(answer_nothing, NULL);
    struct asup_client *c = fake_client(f, NULL);
    asup_call call = start(c, "daemon.status", -1, NULL);

    fake_wait(f, PROTO_DAEMON_STATUS, 1);
    ck_assert_int_eq(asup_client_call_drop(c, call), 0);
    ck_assert_int_eq(asup_client_call_drop(c, call), -ASUP_ENOTFOUND);
    ck_assert_int_eq(asup_client_call_drop(c, 0), -ASUP_ENOTFOUND);
    ck_assert_int_eq(asup_client_dispatch(c), 0);
    ck_assert_int_eq(trace.count, 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(an_answered_call_can_still_be_dropped)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = fake_client(f, NULL);
    struct pollfd p = {.fd = asup_client_fd(c), .events = POLLIN};
    asup_call call = start(c, "daemon.status", -1, NULL);

    ck_assert_int_eq(poll(&p, 1, 20000), 1);
    ck_assert_int_eq(asup_client_call_drop(c, call), 0);
    ck_assert_int_eq(asup_client_dispatch(c), 0);
    call = start(c, "daemon.status", -1, NULL);
    dispatch_until(c, 1);
    ck_assert_int_eq(asup_client_call_drop(c, call), -ASUP_ENOTFOUND);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* A callback may start calls, make blocking ones, and drop others. */
static struct asup_client *inner;
static asup_call other;

static void
on_reply_go_on(void *arg, int code, const void *body, size_t size)
{
    (void)arg;
    (void)body;
    (void)size;
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(asup_client_call_drop(inner, other), 0);
    ck_assert_int_eq(fake_ask(inner, "daemon.drain", -1, NULL), 0);
    ck_assert_int_eq(asup_client_dispatch(inner), 0); /* not from inside */
    start(inner, "daemon.status", -1, NULL);
}

static void
answer_not_waits(struct fake *f, struct fake_request *r)
{
    (void)f;
    if (!fake_asks(r, PROTO_TASK_WAIT))
        fake_answer(r, NULL);
}

START_TEST(a_callback_may_use_the_client)
{
    struct fake *f = fake_start(answer_not_waits, NULL);

    inner = fake_client(f, NULL);
    ck_assert_int_eq(asup_client_call_start(inner, "task.wait", "\x81\xa4task\xa2t5", 9, -1,
                                            on_reply, NULL, &other),
                     0);
    ck_assert_int_eq(
        asup_client_call_start(inner, "daemon.status", NULL, 0, -1, on_reply_go_on, NULL, NULL), 0);
    dispatch_until(inner, 1);
    asup_client_free(inner);
    fake_stop(f);
}
END_TEST

START_TEST(freeing_forgets_what_is_under_way)
{
    struct fake *f = fake_start(answer_nothing, NULL);
    struct asup_client *c = fake_client(f, NULL);

    for (int i = 0; i < 100; i++)
        start(c, "daemon.status", -1, NULL);
    fake_wait(f, PROTO_DAEMON_STATUS, 100);
    asup_client_free(c);
    ck_assert_int_eq(trace.count, 0);
    ck_assert_uint_eq(fake_count(f, PROTO_SESSION_BYE), 1);
    fake_stop(f);
}
END_TEST

START_TEST(calls_survive_a_restart)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = fake_client(f, NULL);

    fake_die(f);
    for (int i = 0; i < 10; i++)
        start(c, "daemon.drain", -1, NULL);
    fake_revive(f);
    dispatch_until(c, 10);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(trace.codes[i], 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* An interrupt is for blocking calls only. */
START_TEST(an_interrupt_leaves_started_calls_alone)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = fake_client(f, NULL);

    asup_client_interrupt(c);
    start(c, "daemon.status", -1, NULL);
    dispatch_until(c, 1);
    ck_assert_int_eq(trace.codes[0], 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static const struct rule rules[] = {
    RULE(a_callback_runs_only_within_dispatch),       RULE(many_calls_are_under_way_at_once),
    RULE(errors_of_the_library_come_by_callback_too), RULE(a_dropped_call_has_no_callback),
    RULE(an_answered_call_can_still_be_dropped),      RULE(a_callback_may_use_the_client),
    RULE(freeing_forgets_what_is_under_way),          RULE(calls_survive_a_restart),
    RULE(an_interrupt_leaves_started_calls_alone),
};

RULES_MAIN("client loop", rules, NULL, NULL)
