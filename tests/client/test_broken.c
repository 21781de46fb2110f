/* SPDX-License-Identifier: MIT */
/* Connections that break and daemons that restart: what is asked again, what
 * is not, and what the caller is told. */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

#include "rules.h"

static const char wait_args[] = "\x81\xa4task\xa2t5";
#define WAIT_ARGS wait_args, sizeof wait_args - 1

/* What the handlers saw, for the test to look at. */
struct seen {
    uint64_t ids[8];
    int sessions[8];
    uint64_t digests[8];
    uint32_t count;
};

static void
remember(struct fake *f, const struct fake_request *r)
{
    struct seen *seen = fake_arg(f);

    if (seen->count == 8)
        return;
    seen->ids[seen->count] = r->decoded.id;
    seen->sessions[seen->count] = r->session;
    seen->digests[seen->count] = r->decoded.call.digest;
    seen->count++;
}

static void
hang_up_first(struct fake *f, struct fake_request *r)
{
    remember(f, r);
    if (r->nth == 1)
        fake_hang_up(r);
    else
        fake_answer(r, NULL);
}

/* R-IDM-1: the same request is asked again under the same session and id. */
START_TEST(R_IDM_1_a_change_is_asked_again_as_the_same_request)
{
    struct seen seen = {0};
    struct fake *f = fake_start(hang_up_first, &seen);
    struct asup_client *c = fake_client(f, NULL);

    ck_assert_int_eq(fake_ask(c, "daemon.drain", -1, NULL), 0);
    ck_assert_uint_eq(seen.count, 2);
    ck_assert_uint_eq(seen.ids[0], seen.ids[1]);
    ck_assert_uint_eq(seen.digests[0], seen.digests[1]);
    ck_assert_int_eq(seen.sessions[0], seen.sessions[1]);
    ck_assert_int_gt(seen.sessions[0], 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(a_question_is_asked_again_as_a_new_one)
{
    struct seen seen = {0};
    struct fake *f = fake_start(hang_up_first, &seen);
    struct asup_client *c = fake_client(f, NULL);

    ck_assert_int_eq(fake_ask(c, "daemon.status", -1, NULL), 0);
    ck_assert_uint_eq(seen.count, 2);
    ck_assert_uint_lt(seen.ids[0], seen.ids[1]);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(without_session_a_change_is_not_asked_again)
{
    struct seen seen = {0};
    struct fake *f = fake_start(hang_up_first, &seen);
    struct asup_client_options options;
    struct asup_error_info err;
    struct asup_client *c;

    asup_client_options_init(&options);
    options.without_session = true;
    c = fake_client(f, &options);
    ck_assert_int_eq(fake_ask(c, "daemon.drain", -1, &err), -ASUP_EUNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "unknown"));
    ck_assert_uint_eq(fake_count(f, PROTO_DAEMON_DRAIN), 1);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* ---- Restarts ------------------------------------------------------------------------- */

/* A thread that makes one call. */
struct caller {
    struct asup_client *client;
    const char *op, *args;
    size_t args_size;
    int64_t timeout_ms;
    int code;
    struct asup_error_info err;
    pthread_t thread;
};

static void *
caller_run(void *arg)
{
    struct caller *caller = arg;

    caller->code = asup_client_call(caller->client, caller->op, caller->args, caller->args_size,
                                    caller->timeout_ms, NULL, NULL, &caller->err);
    return NULL;
}

static void
caller_begin(struct caller *caller, struct asup_client *c, const char *op, const char *args,
             size_t size)
{
    *caller = (struct caller){.client = c, .op = op, .args = args, .args_size = size};
    caller->timeout_ms = -1;
    ck_assert_int_eq(pthread_create(&caller->thread, NULL, caller_run, caller), 0);
}

static int
caller_end(struct caller *caller)
{
    pthread_join(caller->thread, NULL);
    return caller->code;
}

/* Silent until the restart, then answers. */
static void
answer_after_restart(struct fake *f, struct fake_request *r)
{
    remember(f, r);
    if (r->restarts > 0)
        fake_answer(r, NULL);
}

START_TEST(a_wait_survives_a_restart_that_kept_the_session)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_after_restart, &seen);
    struct asup_client *c = fake_client(f, NULL);
    struct caller caller;

    caller_begin(&caller, c, "task.wait", WAIT_ARGS);
    fake_wait(f, PROTO_TASK_WAIT, 1);
    fake_die(f);
    fake_revive(f);
    ck_assert_int_eq(caller_end(&caller), 0);
    ck_assert_int_eq(seen.sessions[0], seen.sessions[1]);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(a_wait_survives_a_restart_that_lost_the_session)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_after_restart, &seen);
    struct asup_client *c = fake_client(f, NULL);
    uint64_t before = asup_client_session(c).id;
    struct caller caller;

    caller_begin(&caller, c, "task.wait", WAIT_ARGS);
    fake_wait(f, PROTO_TASK_WAIT, 1);
    fake_die(f);
    fake_forget_sessions(f);
    fake_revive(f);
    ck_assert_int_eq(caller_end(&caller), 0);
    ck_assert_int_ne(seen.sessions[0], seen.sessions[1]);
    ck_assert_uint_ne(asup_client_session(c).id, before);
    ck_assert_uint_eq(seen.ids[1], 1); /* ids count anew in a new session */
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(a_change_survives_a_restart_that_kept_the_session)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_after_restart, &seen);
    struct asup_client *c = fake_client(f, NULL);
    struct caller caller;

    caller_begin(&caller, c, "daemon.drain", NULL, 0);
    fake_wait(f, PROTO_DAEMON_DRAIN, 1);
    fake_die(f);
    fake_revive(f);
    ck_assert_int_eq(caller_end(&caller), 0);
    ck_assert_uint_eq(seen.ids[0], seen.ids[1]);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(a_change_whose_session_is_lost_is_unknown)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_after_restart, &seen);
    struct asup_client *c = fake_client(f, NULL);
    struct caller caller;

    caller_begin(&caller, c, "daemon.drain", NULL, 0);
    fake_wait(f, PROTO_DAEMON_DRAIN, 1);
    fake_die(f);
    fake_forget_sessions(f);
    fake_revive(f);
    ck_assert_int_eq(caller_end(&caller), -ASUP_EUNAVAILABLE);
    ck_assert_str_eq(caller.err.message,
                     "the daemon restarted; whether daemon.drain happened is unknown");
    ck_assert_uint_eq(fake_count(f, PROTO_DAEMON_DRAIN), 1); /* never a second time */
    /* The next one is made in the new session. */
    ck_assert_int_eq(fake_ask(c, "daemon.drain", -1, NULL), 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(a_change_asked_while_nobody_is_there_waits_for_the_new_session)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_after_restart, &seen);
    struct asup_client *c = fake_client(f, NULL);
    struct caller caller;

    fake_die(f);
    fake_forget_sessions(f);
    caller_begin(&caller, c, "daemon.drain", NULL, 0);
    fake_revive(f);
    ck_assert_int_eq(caller_end(&caller), 0); /* it cannot have arrived before */
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* An idle client comes back to its session by itself, or it would end after its
 * time to live (R-SES-1). */
START_TEST(R_SES_1_an_idle_client_says_hello_on_every_connection)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_after_restart, &seen);
    struct asup_client *c = fake_client(f, NULL);
    uint64_t before = asup_client_session(c).id;

    fake_die(f);
    fake_revive(f);
    fake_wait(f, PROTO_SESSION_HELLO, 2);
    ck_assert_int_eq(fake_ask(c, "daemon.status", -1, NULL), 0);
    ck_assert_uint_eq(asup_client_session(c).id, before);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(patience_ends)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_after_restart, &seen);
    struct asup_client_options options;
    struct asup_error_info err;
    struct asup_client *c;

    asup_client_options_init(&options);
    options.patience_ms = 200;
    c = fake_client(f, &options);
    fake_die(f);
    ck_assert_int_eq(fake_ask(c, "daemon.status", -1, &err), -ASUP_ENOTCONN);
    ck_assert_int_eq(fake_ask(c, "daemon.drain", -1, &err), -ASUP_ENOTCONN);
    ck_assert_int_eq(asup_client_call(c, "task.wait", WAIT_ARGS, -1, NULL, NULL, &err),
                     -ASUP_ENOTCONN);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(a_change_in_flight_when_patience_ends_is_unknown)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_after_restart, &seen);
    struct asup_client_options options;
    struct asup_client *c;
    struct caller caller;

    asup_client_options_init(&options);
    options.patience_ms = 200;
    c = fake_client(f, &options);
    caller_begin(&caller, c, "daemon.drain", NULL, 0);
    fake_wait(f, PROTO_DAEMON_DRAIN, 1);
    fake_die(f);
    ck_assert_int_eq(caller_end(&caller), -ASUP_EUNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(caller.err.message, "unknown"));
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static void
always_hang_up(struct fake *f, struct fake_request *r)
{
    (void)f;
    fake_hang_up(r);
}

START_TEST(what_breaks_every_connection_is_given_up)
{
    struct fake *f = fake_start(always_hang_up, NULL);
    struct asup_client *c = fake_client(f, NULL);
    struct asup_error_info err;

    ck_assert_int_eq(fake_ask(c, "daemon.status", -1, &err), -ASUP_EUNAVAILABLE);
    ck_assert_uint_eq(fake_count(f, PROTO_DAEMON_STATUS), 8);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* ---- Sessions that end while the connection holds ----------------------------------------- */

static void
answer_all(struct fake *f, struct fake_request *r)
{
    remember(f, r);
    fake_answer(r, NULL);
}

START_TEST(a_session_that_ended_is_replaced_and_the_change_made)
{
    struct seen seen = {0};
    struct fake *f = fake_start(answer_all, &seen);
    struct asup_client *c = fake_client(f, NULL);

    fake_forget_sessions(f);
    ck_assert_int_eq(fake_ask(c, "daemon.drain", -1, NULL), 0);
    ck_assert_uint_eq(seen.count, 1); /* the other was refused by session */
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static void
answer_expired(struct fake *f, struct fake_request *r)
{
    (void)f;
    fake_answer_error(r, -ASUP_EEXPIRED, "that id is too old");
}

START_TEST(R_IDM_1_an_id_that_is_too_old_is_told)
{
    struct fake *f = fake_start(answer_expired, NULL);
    struct asup_client *c = fake_client(f, NULL);
    struct asup_error_info err;

    ck_assert_int_eq(fake_ask(c, "daemon.drain", -1, &err), -ASUP_EEXPIRED);
    ck_assert_str_eq(err.message, "that id is too old");
    ck_assert_uint_eq(fake_count(f, PROTO_DAEMON_DRAIN), 1);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* ---- Events -------------------------------------------------------------------------------- */

static void
one_event_then_none(struct fake *f, struct fake_request *r)
{
    struct proto_writer w;

    remember(f, r);
    if (!fake_asks(r, PROTO_EVENTS_WATCH) || (r->nth > 1 && r->restarts == 0))
        return;
    proto_writer_init(&w);
    pw_map(&w);
    pw_key(&w, "events");
    pw_list(&w);
    pw_map(&w);
    pw_key(&w, "seq");
    pw_uint(&w, r->decoded.call.args->events_watch.since);
    pw_key(&w, "event");
    pw_str(&w, "tick");
    pw_end(&w);
    pw_end(&w);
    pw_key(&w, "next");
    pw_uint(&w, r->decoded.call.args->events_watch.since + 1);
    pw_key(&w, "oldest");
    pw_uint(&w, 3);
    pw_end(&w);
    fake_answer(r, &w);
}

struct watch {
    struct asup_client *client;
    uint64_t last;
    int code;
    struct asup_error_info err;
    pthread_t thread;
};

static int
on_event(void *arg, const struct asup_event *event)
{
    struct watch *watch = arg;

    watch->last = event->seq;
    return event->seq == 12 ? 99 : 0;
}

static void *
watch_run(void *arg)
{
    struct watch *watch = arg;
    struct asup_region all = {0};

    watch->code =
        asup_client_events_watch(watch->client, 11, all, -1, on_event, watch, &watch->err);
    return NULL;
}

START_TEST(a_watch_goes_on_where_it_was_after_a_broken_connection)
{
    struct seen seen = {0};
    struct fake *f = fake_start(one_event_then_none, &seen);
    struct watch watch = {.client = fake_client(f, NULL)};

    ck_assert_int_eq(pthread_create(&watch.thread, NULL, watch_run, &watch), 0);
    fake_wait(f, PROTO_EVENTS_WATCH, 2);
    fake_die(f);
    fake_revive(f);
    pthread_join(watch.thread, NULL);
    ck_assert_int_eq(watch.code, 99); /* what the callback said */
    ck_assert_uint_eq(watch.last, 12);
    asup_client_free(watch.client);
    fake_stop(f);
}
END_TEST

START_TEST(a_watch_says_gap_when_the_engine_was_started_again)
{
    struct seen seen = {0};
    struct fake *f = fake_start(one_event_then_none, &seen);
    struct watch watch = {.client = fake_client(f, NULL)};

    ck_assert_int_eq(pthread_create(&watch.thread, NULL, watch_run, &watch), 0);
    fake_wait(f, PROTO_EVENTS_WATCH, 2);
    fake_die(f);
    fake_forget_sessions(f);
    fake_revive(f);
    pthread_join(watch.thread, NULL);
    ck_assert_int_eq(watch.code, -ASUP_EGAP);
    ck_assert_uint_eq(watch.last, 11);
    asup_client_free(watch.client);
    fake_stop(f);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_IDM_1_a_change_is_asked_again_as_the_same_request),
    RULE(a_question_is_asked_again_as_a_new_one),
    RULE(without_session_a_change_is_not_asked_again),
    RULE(a_wait_survives_a_restart_that_kept_the_session),
    RULE(a_wait_survives_a_restart_that_lost_the_session),
    RULE(a_change_survives_a_restart_that_kept_the_session),
    RULE(a_change_whose_session_is_lost_is_unknown),
    RULE(a_change_asked_while_nobody_is_there_waits_for_the_new_session),
    RULE(R_SES_1_an_idle_client_says_hello_on_every_connection),
    RULE(patience_ends),
    RULE(a_change_in_flight_when_patience_ends_is_unknown),
    RULE(what_breaks_every_connection_is_given_up),
    RULE(a_session_that_ended_is_replaced_and_the_change_made),
    RULE(R_IDM_1_an_id_that_is_too_old_is_told),
    RULE(a_watch_goes_on_where_it_was_after_a_broken_connection),
    RULE(a_watch_says_gap_when_the_engine_was_started_again),
};

RULES_MAIN("client broken", rules, NULL, NULL)
