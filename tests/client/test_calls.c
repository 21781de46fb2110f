/* SPDX-License-Identifier: MIT */
/* Calls and their answers, good and bad, on a connection that holds. */
#include "fake.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules.h"

static struct fake *fake;
static struct asup_client *client;

static void
begin(fake_manners manners, const struct asup_client_options *options)
{
    fake = fake_start(manners, NULL);
    client = fake_client(fake, options);
}

static void
end(void)
{
    asup_client_free(client);
    fake_stop(fake);
}

static void
answer_nothing(struct fake *f, struct fake_request *r)
{
    (void)f;
    (void)r;
}

static void
answer_all(struct fake *f, struct fake_request *r)
{
    (void)f;
    fake_answer(r, NULL);
}

/* ---- Good ones -------------------------------------------------------------------- */

static void
answer_advice(struct fake *f, struct fake_request *r)
{
    struct proto_writer w;

    (void)f;
    fake_text_body(&w, "advice", "overcommitted");
    fake_answer(r, &w);
}

START_TEST(the_body_is_handed_over)
{
    struct asup_error_info err;
    void *body;
    size_t size;

    begin(answer_advice, NULL);
    ck_assert_int_eq(asup_client_call(client, "daemon.status", NULL, 0, -1, &body, &size, &err), 0);
    ck_assert_uint_gt(size, 0);
    ck_assert_ptr_nonnull(memmem(body, size, "overcommitted", 13));
    ck_assert_str_eq(err.message, "overcommitted"); /* advice is told with success */
    ck_assert_int_eq(err.code, 0);
    free(body);
    end();
}
END_TEST

static void
answer_the_argument(struct fake *f, struct fake_request *r)
{
    struct proto_writer w;

    (void)f;
    ck_assert(fake_asks(r, PROTO_TASK_CANCEL));
    proto_writer_init(&w);
    pw_map(&w);
    pw_key(&w, "task");
    pw_id(&w, ASUP_SORT_TASK, r->decoded.call.args->task_cancel.task);
    pw_end(&w);
    fake_answer(r, &w);
}

START_TEST(arguments_arrive_as_they_are)
{
    static const char args[] = "\x81\xa4task\xa3t77";
    void *body;
    size_t size;

    begin(answer_the_argument, NULL);
    ck_assert_int_eq(
        asup_client_call(client, "task.cancel", args, sizeof args - 1, -1, &body, &size, NULL), 0);
    ck_assert_ptr_nonnull(memmem(body, size, "t77", 3));
    free(body);
    end();
}
END_TEST

START_TEST(R_IDM_1_request_ids_count_from_one)
{
    begin(answer_all, NULL);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fake_ask(client, "daemon.reload", -1, NULL), 0);
    ck_assert_uint_eq(fake_count(fake, PROTO_DAEMON_RELOAD), 3);
    end();
}
END_TEST

static void
answer_own_time(struct fake *f, struct fake_request *r)
{
    (void)f;
    ck_assert(fake_asks(r, PROTO_TASK_WAIT));
    ck_assert_uint_eq(r->decoded.call.args->task_wait.task, 5);
    ck_assert_uint_eq(r->decoded.call.args->task_wait.timeout_ns, 0);
    fake_answer_error(r, -ASUP_ETIMEDOUT, "still running");
}

/* What the caller put into args does not count; the call's own time does. */
START_TEST(a_wait_takes_its_time_from_the_call)
{
    static const char args[] = "\x82\xaatimeout_ns\xcd\x03\xe8\xa4task\xa2t5";
    struct asup_error_info err;

    begin(answer_own_time, NULL);
    ck_assert_int_eq(
        asup_client_call(client, "task.wait", args, sizeof args - 1, 0, NULL, NULL, &err),
        -ASUP_ETIMEDOUT);
    ck_assert_str_eq(err.message, "still running");
    ck_assert_uint_eq(fake_count(fake, PROTO_TASK_WAIT), 1); /* a poll asks once */
    end();
}
END_TEST

static void
answer_timeout_at_first(struct fake *f, struct fake_request *r)
{
    uint64_t slice = r->decoded.call.args->task_wait.timeout_ns;

    (void)f;
    ck_assert_uint_gt(slice, 0);
    ck_assert_uint_le(slice, 60 * ASUP_NS_PER_S);
    if (r->nth < 4)
        fake_answer_error(r, -ASUP_ETIMEDOUT, "the slice is over");
    else
        fake_answer(r, NULL);
}

START_TEST(a_long_wait_is_asked_in_slices)
{
    static const char args[] = "\x81\xa4task\xa2t5";

    begin(answer_timeout_at_first, NULL);
    ck_assert_int_eq(
        asup_client_call(client, "task.wait", args, sizeof args - 1, -1, NULL, NULL, NULL), 0);
    ck_assert_uint_eq(fake_count(fake, PROTO_TASK_WAIT), 4);
    end();
}
END_TEST

/* ---- Errors of the daemon ------------------------------------------------------------ */

static void
answer_busy(struct fake *f, struct fake_request *r)
{
    struct proto_error error;
    struct proto_writer w;

    (void)f;
    proto_error_set(&error, -ASUP_EBUSY, "too many tasks");
    strcpy(error.hint, "wait for some to end");
    strcpy(error.limit, "tasks-per-user");
    strcpy(error.field, "region");
    proto_writer_init(&w);
    proto_reply_error(&w, r->decoded.id, &error);
    fake_answer_bytes(r, w.data, w.size);
    proto_writer_fini(&w);
}

START_TEST(an_error_is_spelled_out)
{
    struct asup_error_info err, again;
    void *body;
    size_t size;

    begin(answer_busy, NULL);
    ck_assert_int_eq(asup_client_call(client, "daemon.status", NULL, 0, -1, &body, &size, &err),
                     -ASUP_EBUSY);
    ck_assert_int_eq(err.code, -ASUP_EBUSY);
    ck_assert_str_eq(err.message, "too many tasks");
    ck_assert_str_eq(err.hint, "wait for some to end");
    ck_assert_str_eq(err.limit, "tasks-per-user");
    ck_assert_str_eq(err.field, "region");
    asup_error_info_read(&again, -ASUP_EBUSY, body, size);
    ck_assert_mem_eq(&again, &err, sizeof err);
    free(body);
    end();
}
END_TEST

START_TEST(an_error_body_that_is_none_still_has_a_text)
{
    struct asup_error_info err;

    asup_error_info_read(&err, -ASUP_ECLOSED, NULL, 0);
    ck_assert_str_ne(err.message, "");
    asup_error_info_read(&err, -ASUP_ECLOSED, "\xc1", 1);
    ck_assert_str_ne(err.message, "");
    asup_error_info_read(&err, -ASUP_ECLOSED, "\x91\xc0", 2);
    ck_assert_str_ne(err.message, "");
    asup_error_info_read(&err, -4711, NULL, 0);
    ck_assert_int_eq(err.code, -4711);
    asup_error_info_read(NULL, -ASUP_ECLOSED, NULL, 0);
}
END_TEST

/* ---- Bad answers -------------------------------------------------------------------------- */

struct bad {
    const char *bytes;
    size_t size;
};
#define BAD(text)                                                                                  \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const struct bad bad_answers[] = {
    BAD(""),                                       /* nothing */
    BAD("\xc1"),                                   /* no msgpack */
    BAD("\x94\x01\x01\x00"),                       /* cut short */
    BAD("\x93\x01\x01\x00"),                       /* too few */
    BAD("\x80"),                                   /* a map */
    BAD("\x94\xa1x\x01\x00\x80"),                  /* version is text */
    BAD("\x94\x01\xc0\x00\x80"),                   /* no id */
    BAD("\x94\x01\x01\xa1x\x80"),                  /* code is text */
    BAD("\x94\x01\x01\x05\x80"),                   /* code is positive */
    BAD("\x94\x01\x01\x00\xc0"),                   /* body is nil */
    BAD("\x94\x01\x01\x00\x80\x80"),               /* something follows */
    BAD("\x94\x01\xcd\x27\x0f\x00\x80"),           /* another request's */
    BAD("\x94\x01\x01\xd3\x80\0\0\0\0\0\0\0\x80"), /* code out of all bounds */
};

static void
answer_badly(struct fake *f, struct fake_request *r)
{
    const struct bad *bad = &bad_answers[r->nth - 1];

    (void)f;
    fake_answer_bytes(r, bad->bytes, bad->size);
}

START_TEST(answers_that_make_no_sense_are_malformed)
{
    size_t count = sizeof bad_answers / sizeof bad_answers[0];
    struct asup_error_info err;
    void *body;
    size_t size;

    begin(answer_badly, NULL);
    for (size_t i = 0; i < count; i++) {
        int rc = asup_client_call(client, "daemon.status", NULL, 0, 20000, &body, &size, &err);

        ck_assert_msg(rc == -ASUP_EMALFORMED, "answer %zu gives %d (%s)", i, rc, err.message);
        ck_assert_ptr_nonnull(body); /* the library's own error has a body too */
        free(body);
    }
    end();
}
END_TEST

START_TEST(a_silent_daemon_is_timed_out)
{
    struct asup_error_info err;

    begin(answer_nothing, NULL);
    ck_assert_int_eq(fake_ask(client, "daemon.status", 100, &err), -ASUP_ETIMEDOUT);
    ck_assert_ptr_null(strstr(err.message, "unknown"));
    ck_assert_int_eq(fake_ask(client, "daemon.drain", 100, &err), -ASUP_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(err.message, "whether daemon.drain happened is unknown"));
    end();
}
END_TEST

START_TEST(a_wait_the_daemon_forgot_does_not_hang)
{
    static const char args[] = "\x81\xa4task\xa2t5";
    struct asup_client_options options;

    asup_client_options_init(&options);
    options.answer_timeout_ms = 100;
    begin(answer_nothing, &options);
    ck_assert_int_eq(
        asup_client_call(client, "task.wait", args, sizeof args - 1, 50, NULL, NULL, NULL),
        -ASUP_EUNAVAILABLE);
    end();
}
END_TEST

/* ---- Bad questions ----------------------------------------------------------------------------
 */

START_TEST(senseless_arguments_are_refused)
{
    struct asup_error_info err;

    begin(answer_all, NULL);
    ck_assert_int_eq(asup_client_call(NULL, "why", NULL, 0, -1, NULL, NULL, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_call(client, NULL, NULL, 0, -1, NULL, NULL, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_call(client, "why", "\x90", 1, -1, NULL, NULL, &err),
                     -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_call(client, "why", "\x80\x80", 2, -1, NULL, NULL, &err),
                     -ASUP_EINVALID);
    ck_assert_int_eq(
        asup_client_call(client, "why", "\xdf\xff\xff\xff\xff", 5, -1, NULL, NULL, &err),
        -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_call(client, "why", NULL, 3, -1, NULL, NULL, &err),
                     -ASUP_EINVALID);
    ck_assert_uint_eq(fake_count(fake, PROTO_WHY), 0);
    end();
}
END_TEST

START_TEST(the_session_is_the_librarys_own_business)
{
    begin(answer_all, NULL);
    ck_assert_int_eq(fake_ask(client, "session.hello", -1, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(fake_ask(client, "session.bye", -1, NULL), -ASUP_EINVALID);
    end();
}
END_TEST

START_TEST(an_unknown_operation_is_the_daemons_to_refuse)
{
    struct asup_error_info err;

    begin(answer_all, NULL);
    ck_assert_int_eq(fake_ask(client, "moon.land", 20000, &err), -ASUP_EUNSUPPORTED);
    end();
}
END_TEST

/* The fake takes 4096 bytes; what is more than twice that would only break the
 * connection. */
START_TEST(a_request_far_too_large_is_not_sent)
{
    static const uint8_t head[] = {0x81, 0xa1, 'x', 0xda, 0x23, 0x00}; /* {"x": 0x2300 bytes} */
    static char args[9000];
    struct asup_error_info err;

    begin(answer_all, NULL);
    memset(args, 'y', sizeof args);
    memcpy(args, head, sizeof head);
    ck_assert_int_eq(
        asup_client_call(client, "daemon.status", args, sizeof head + 0x22ff, -1, NULL, NULL, &err),
        -ASUP_EINVALID); /* cut short */
    ck_assert_int_eq(
        asup_client_call(client, "daemon.status", args, sizeof head + 0x2300, -1, NULL, NULL, &err),
        -ASUP_ETOOLARGE);
    ck_assert_uint_eq(fake_count(fake, PROTO_DAEMON_STATUS), 0);
    end();
}
END_TEST

/* ---- Interrupting -------------------------------------------------------------------------------
 */

/* The thread sanitizer keeps handlers back until the program enters a function
 * it knows, which a sleeping futex never does: not with it. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HANDLERS_ARE_LATE 1
#endif
#endif

#ifndef HANDLERS_ARE_LATE
static void
on_alarm(int number)
{
    (void)number;
    asup_client_interrupt(client);
}

static void *
interrupt_when_asked(void *arg)
{
    pthread_t *main_thread = arg;

    fake_wait(fake, PROTO_DAEMON_STATUS, 1);
    pthread_kill(*main_thread, SIGUSR1);
    return NULL;
}

START_TEST(a_signal_handler_ends_a_blocking_call)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    pthread_t me = pthread_self(), other;
    struct asup_error_info err;

    begin(answer_nothing, NULL);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(pthread_create(&other, NULL, interrupt_when_asked, &me), 0);
    ck_assert_int_eq(fake_ask(client, "daemon.status", -1, &err), -ASUP_EINTERRUPTED);
    pthread_join(other, NULL);
    /* It stays so until it is cleared, so that none is lost. */
    ck_assert_int_eq(fake_ask(client, "daemon.status", -1, &err), -ASUP_EINTERRUPTED);
    ck_assert(asup_client_interrupt_clear(client));
    ck_assert(!asup_client_interrupt_clear(client));
    ck_assert_int_eq(fake_ask(client, "daemon.status", 50, &err), -ASUP_ETIMEDOUT);
    end();
}
END_TEST

#endif

/* A signal whose handler does not interrupt changes nothing. */
static void
on_nothing(int number)
{
    (void)number;
}

static void
answer_after_signal(struct fake *f, struct fake_request *r)
{
    kill(getpid(), SIGUSR2);
    (void)f;
    fake_answer(r, NULL);
}

START_TEST(other_signals_do_not_end_a_call)
{
    struct sigaction action = {.sa_handler = on_nothing};

    ck_assert_int_eq(sigaction(SIGUSR2, &action, NULL), 0);
    begin(answer_after_signal, NULL);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(fake_ask(client, "daemon.status", -1, NULL), 0);
    end();
}
END_TEST

static const struct rule rules[] = {
    RULE(the_body_is_handed_over),
    RULE(arguments_arrive_as_they_are),
    RULE(R_IDM_1_request_ids_count_from_one),
    RULE(a_wait_takes_its_time_from_the_call),
    RULE(a_long_wait_is_asked_in_slices),
    RULE(an_error_is_spelled_out),
    RULE(an_error_body_that_is_none_still_has_a_text),
    RULE(answers_that_make_no_sense_are_malformed),
    RULE(a_silent_daemon_is_timed_out),
    RULE(a_wait_the_daemon_forgot_does_not_hang),
    RULE(senseless_arguments_are_refused),
    RULE(the_session_is_the_librarys_own_business),
    RULE(an_unknown_operation_is_the_daemons_to_refuse),
    RULE(a_request_far_too_large_is_not_sent),
#ifndef HANDLERS_ARE_LATE
    RULE(a_signal_handler_ends_a_blocking_call),
#endif
    RULE(other_signals_do_not_end_a_call),
};

RULES_MAIN("client calls", rules, NULL, NULL)
