/* SPDX-License-Identifier: MIT */
/* Finding and greeting a daemon, and everything that can be there instead. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "rules.h"

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

static int
connect_to(const char *url, int32_t timeout_ms, struct asup_client **out,
           struct asup_error_info *err)
{
    struct asup_client_options options;

    asup_client_options_init(&options);
    options.url = url;
    options.connect_timeout_ms = timeout_ms;
    return asup_client_connect(&options, out, err);
}

static uint64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A plain socket that listens and never accepts, or accepts and talks rubbish. */
static int
plain_listener(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    return fd;
}

/* ---- Nobody there, or somebody else --------------------------------------------- */

START_TEST(no_socket_is_said_with_its_path)
{
    struct asup_client *c = NULL;
    struct asup_error_info err;
    uint64_t before = now_ms();

    ck_assert_int_eq(connect_to("/nonexistent/asupersyncd.sock", 300, &c, &err), -ASUP_ENOTCONN);
    ck_assert_ptr_null(c);
    ck_assert_int_eq(err.code, -ASUP_ENOTCONN);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/asupersyncd.sock"));
    ck_assert_str_ne(err.hint, "");
    ck_assert_uint_ge(now_ms() - before, 250); /* it may be about to start */
    ck_assert_uint_lt(now_ms() - before, 3000);
}
END_TEST

START_TEST(a_silent_listener_is_given_up_at_the_deadline)
{
    char directory[] = "/tmp/asup-conn-XXXXXX", path[64];
    struct asup_client *c = NULL;
    struct asup_error_info err;
    uint64_t before = now_ms();
    int fd;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
    fd = plain_listener(path);
    ck_assert_int_eq(connect_to(path, 300, &c, &err), -ASUP_ENOTCONN);
    ck_assert_uint_lt(now_ms() - before, 3000);
    ck_assert_ptr_nonnull(strstr(err.message, "does not answer"));
    close(fd);
    unlink(path);
    rmdir(directory);
}
END_TEST

START_TEST(a_dead_socket_says_nobody_listens)
{
    char directory[] = "/tmp/asup-conn-XXXXXX", path[64];
    struct asup_client *c = NULL;
    struct asup_error_info err;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
    close(plain_listener(path));
    ck_assert_int_eq(connect_to(path, 200, &c, &err), -ASUP_ENOTCONN);
    ck_assert_ptr_nonnull(strstr(err.message, "nobody listens"));
    unlink(path);
    rmdir(directory);
}
END_TEST

struct rubbish {
    int fd;
    char path[64];
};

static void *
talk_rubbish(void *arg)
{
    static const char text[] = "HTTP/1.0 400 Bad Request\r\n\r\n";
    struct rubbish *rubbish = arg;
    int peer;

    while ((peer = accept(rubbish->fd, NULL, NULL)) >= 0) {
        (void)!send(peer, text, sizeof text, MSG_NOSIGNAL);
        close(peer);
    }
    return NULL;
}

START_TEST(a_peer_that_talks_something_else_is_given_up)
{
    char directory[] = "/tmp/asup-conn-XXXXXX";
    struct rubbish rubbish;
    struct asup_client *c = NULL;
    struct asup_error_info err;
    pthread_t thread;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(rubbish.path, sizeof rubbish.path, "%s/s", directory);
    rubbish.fd = plain_listener(rubbish.path);
    ck_assert_int_eq(pthread_create(&thread, NULL, talk_rubbish, &rubbish), 0);
    ck_assert_int_eq(connect_to(rubbish.path, 300, &c, &err), -ASUP_ENOTCONN);
    shutdown(rubbish.fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(rubbish.fd);
    unlink(rubbish.path);
    rmdir(directory);
}
END_TEST

START_TEST(an_nng_peer_that_never_answers_is_given_up)
{
    struct fake *f = fake_start(answer_nothing, NULL);
    struct asup_client *c = NULL;
    struct asup_error_info err;

    fake_stay_raw(f);
    ck_assert_int_eq(connect_to(fake_url(f), 300, &c, &err), -ASUP_ENOTCONN);
    fake_stop(f);
}
END_TEST

static void
answer_rubbish(struct fake *f, struct fake_request *r)
{
    (void)f;
    fake_answer_bytes(r, "\xc1rubbish", 8);
}

START_TEST(an_nng_peer_that_answers_rubbish_is_known_at_once)
{
    struct fake *f = fake_start(answer_rubbish, NULL);
    struct asup_client *c = NULL;
    struct asup_error_info err;
    uint64_t before = now_ms();

    fake_stay_raw(f);
    ck_assert_int_eq(connect_to(fake_url(f), 60000, &c, &err), -ASUP_ENOTCONN);
    ck_assert_uint_lt(now_ms() - before, 10000);
    ck_assert_ptr_nonnull(strstr(err.message, "not asupersyncd"));
    fake_stop(f);
}
END_TEST

static void
answer_in_version_2(struct fake *f, struct fake_request *r)
{
    (void)f;
    fake_answer_bytes(r, "\x94\x02\x01\x00\x80", 5);
}

START_TEST(another_version_of_the_protocol_is_unsupported)
{
    struct fake *f = fake_start(answer_in_version_2, NULL);
    struct asup_client *c = NULL;
    struct asup_error_info err;

    fake_stay_raw(f);
    ck_assert_int_eq(connect_to(fake_url(f), 60000, &c, &err), -ASUP_EUNSUPPORTED);
    fake_stop(f);
}
END_TEST

START_TEST(a_refused_hello_is_the_answer)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = NULL;
    struct asup_error_info err;

    fake_hello_code(f, -ASUP_EDENIED, -1);
    ck_assert_int_eq(connect_to(fake_url(f), 60000, &c, &err), -ASUP_EDENIED);
    ck_assert_str_eq(err.message, "the fake will not say hello");
    fake_stop(f);
}
END_TEST

START_TEST(a_busy_daemon_is_asked_again_until_the_deadline)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = NULL;
    struct asup_error_info err;

    fake_hello_code(f, -ASUP_EBUSY, 2);
    ck_assert_int_eq(connect_to(fake_url(f), 60000, &c, &err), 0);
    ck_assert_uint_eq(fake_count(f, PROTO_SESSION_HELLO), 3);
    asup_client_free(c);
    c = NULL;
    fake_hello_code(f, -ASUP_EBUSY, -1);
    ck_assert_int_eq(connect_to(fake_url(f), 500, &c, &err), -ASUP_EBUSY);
    fake_stop(f);
}
END_TEST

/* ---- Where it is ----------------------------------------------------------------- */

START_TEST(the_address_is_found_in_the_environment)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = NULL;

    setenv("ASUPERSYNC_SOCKET", fake_url(f) + strlen("ipc://"), 1);
    ck_assert_int_eq(asup_client_connect(NULL, &c, NULL), 0);
    ck_assert_str_eq(asup_client_url(c), fake_url(f));
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(without_anything_the_system_socket_is_meant)
{
    struct asup_client_options options;
    struct asup_client *c = NULL;

    unsetenv("ASUPERSYNC_SOCKET");
    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    asup_client_options_init(&options);
    options.connect_timeout_ms = 0;
    ck_assert_int_eq(asup_client_connect(&options, &c, NULL), 0);
    ck_assert_str_eq(asup_client_url(c), "ipc:///run/asupersync/asupersyncd.sock");
    asup_client_free(c);
}
END_TEST

START_TEST(an_address_that_is_none_is_invalid)
{
    struct asup_client *c = NULL;
    struct asup_error_info err;
    char path[200] = "/";

    ck_assert_int_eq(connect_to("somewhere", 100, &c, &err), -ASUP_EINVALID);
    ck_assert_int_eq(connect_to("", 100, &c, &err), -ASUP_EINVALID);
    ck_assert_int_eq(connect_to("carrier-pigeon://x", 100, &c, &err), -ASUP_EINVALID);
    memset(path + 1, 'x', sizeof path - 2);
    ck_assert_int_eq(connect_to(path, 100, &c, &err), -ASUP_EINVALID);
}
END_TEST

/* ---- Sessions ---------------------------------------------------------------------- */

/* R-SES-1: a session is resumed by its secret, and said goodbye to at the end. */
START_TEST(R_SES_1_a_session_is_resumed_by_its_secret)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client_options options;
    uint8_t secret[ASUP_SECRET_SIZE];
    struct asup_client *c;
    uint64_t first;

    asup_client_options_init(&options);
    options.keep_session = true;
    c = fake_client(f, &options);
    first = asup_client_session(c).id;
    ck_assert_uint_ne(first, 0);
    ck_assert_int_eq(asup_client_secret(c, secret), 0);
    asup_client_free(c);
    ck_assert_uint_eq(fake_count(f, PROTO_SESSION_BYE), 0);

    options.keep_session = false;
    options.session_secret = secret;
    c = fake_client(f, &options);
    ck_assert_uint_eq(asup_client_session(c).id, first);
    asup_client_free(c);
    ck_assert_uint_eq(fake_count(f, PROTO_SESSION_BYE), 1);
    fake_stop(f);
}
END_TEST

START_TEST(R_SES_1_a_session_that_is_gone_is_not_replaced_unasked)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client_options options;
    uint8_t secret[ASUP_SECRET_SIZE] = {1, 2, 3};
    struct asup_client *c = NULL;
    struct asup_error_info err;

    asup_client_options_init(&options);
    options.url = fake_url(f);
    options.session_secret = secret;
    ck_assert_int_eq(asup_client_connect(&options, &c, &err), -ASUP_EEXPIRED);
    fake_stop(f);
}
END_TEST

START_TEST(a_client_without_session_shows_none)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client_options options;
    uint8_t secret[ASUP_SECRET_SIZE];
    struct asup_client *c;

    asup_client_options_init(&options);
    options.without_session = true;
    c = fake_client(f, &options);
    ck_assert_uint_eq(asup_client_session(c).id, 0);
    ck_assert_int_eq(asup_client_secret(c, secret), -ASUP_ENOTFOUND);
    ck_assert_int_eq(fake_ask(c, "daemon.status", -1, NULL), 0);
    ck_assert_uint_eq(fake_count(f, PROTO_SESSION_HELLO), 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(connecting_behind_the_back_lets_calls_wait)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = NULL;

    fake_die(f);
    ck_assert_int_eq(connect_to(fake_url(f), 0, &c, NULL), 0);
    ck_assert(!asup_client_connected(c));
    fake_revive(f);
    ck_assert_int_eq(fake_ask(c, "daemon.status", -1, NULL), 0);
    ck_assert(asup_client_connected(c));
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static const struct rule rules[] = {
    RULE(no_socket_is_said_with_its_path),
    RULE(a_silent_listener_is_given_up_at_the_deadline),
    RULE(a_dead_socket_says_nobody_listens),
    RULE(a_peer_that_talks_something_else_is_given_up),
    RULE(an_nng_peer_that_never_answers_is_given_up),
    RULE(an_nng_peer_that_answers_rubbish_is_known_at_once),
    RULE(another_version_of_the_protocol_is_unsupported),
    RULE(a_refused_hello_is_the_answer),
    RULE(a_busy_daemon_is_asked_again_until_the_deadline),
    RULE(the_address_is_found_in_the_environment),
    RULE(without_anything_the_system_socket_is_meant),
    RULE(an_address_that_is_none_is_invalid),
    RULE(R_SES_1_a_session_is_resumed_by_its_secret),
    RULE(R_SES_1_a_session_that_is_gone_is_not_replaced_unasked),
    RULE(a_client_without_session_shows_none),
    RULE(connecting_behind_the_back_lets_calls_wait),
};

RULES_MAIN("client connect", rules, NULL, NULL)
