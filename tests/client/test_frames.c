/* SPDX-License-Identifier: MIT */
/* The framing: answers in pieces, pieces of answers, and what is no frame. */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

#include "rules.h"

static uint8_t frame[64];

static void
answer_in_single_bytes(struct fake *f, struct fake_request *r)
{
    size_t size = fake_frame(r, frame);

    (void)f;
    for (size_t i = 0; i < size; i++)
        fake_write(r, frame + i, 1);
}

START_TEST(an_answer_may_come_in_pieces)
{
    struct fake *f = fake_start(answer_in_single_bytes, NULL);
    struct asup_client *c = fake_client(f, NULL);

    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(fake_ask(c, "daemon.status", 20000, NULL), 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* Every place at which an answer can be cut off, one after the other. */
static void
cut_off(struct fake *f, struct fake_request *r)
{
    size_t size = fake_frame(r, frame);
    uint32_t *place = fake_arg(f);

    if (r->nth % 2 == 1) {
        fake_write(r, frame, *place < size ? *place : size - 1);
        fake_hang_up(r);
        ++*place;
    } else {
        fake_write(r, frame, size);
    }
}

START_TEST(half_an_answer_is_none)
{
    uint32_t place = 0;
    struct fake *f = fake_start(cut_off, &place);
    struct asup_client *c = fake_client(f, NULL);

    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(fake_ask(c, "daemon.drain", 20000, NULL), 0);
    ck_assert_uint_eq(fake_count(f, PROTO_DAEMON_DRAIN), 40);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static void
two_answers_at_once(struct fake *f, struct fake_request *r)
{
    static uint8_t both[192];
    size_t size = fake_frame(r, frame);

    (void)f;
    memcpy(both, frame, size);
    both[10] ^= 0x55; /* the tag of nobody */
    memcpy(both + size, frame, size);
    memcpy(both + 2 * size, frame, size); /* the same once more */
    fake_write(r, both, 3 * size);
}

START_TEST(answers_that_nobody_waits_for_are_dropped)
{
    struct fake *f = fake_start(two_answers_at_once, NULL);
    struct asup_client *c = fake_client(f, NULL);

    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(fake_ask(c, "daemon.status", 20000, NULL), 0);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* What is no frame ends the connection; the request is asked again on the next. */
static void
no_frame_at_first(struct fake *f, struct fake_request *r)
{
    size_t size = fake_frame(r, frame);

    switch (r->nth) {
    case 1: /* not a message */
        frame[0] = 2;
        break;
    case 2: /* larger than memory */
        memset(frame + 1, 0xff, 8);
        break;
    case 3: /* no room for a tag */
        frame[8] = 3;
        break;
    default:
        break;
    }
    (void)f;
    fake_write(r, frame, size);
}

START_TEST(what_is_no_frame_ends_the_connection)
{
    struct fake *f = fake_start(no_frame_at_first, NULL);
    struct asup_client *c = fake_client(f, NULL);

    ck_assert_int_eq(fake_ask(c, "daemon.status", 20000, NULL), 0);
    ck_assert_uint_eq(fake_count(f, PROTO_DAEMON_STATUS), 4);
    ck_assert_uint_eq(fake_count(f, PROTO_SESSION_HELLO), 4);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

#define LARGE ((size_t)8 << 20)

static void
answer_much(struct fake *f, struct fake_request *r)
{
    struct proto_writer w;
    char *text = malloc(LARGE);

    (void)f;
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', LARGE);
    proto_writer_init(&w);
    pw_map(&w);
    pw_key(&w, "text");
    pw_text(&w, text, LARGE);
    pw_end(&w);
    fake_answer(r, &w);
    free(text);
}

START_TEST(a_large_answer_arrives_whole)
{
    struct fake *f = fake_start(answer_much, NULL);
    struct asup_client *c = fake_client(f, NULL);
    void *body;
    size_t size;

    ck_assert_int_eq(asup_client_call(c, "daemon.status", NULL, 0, 20000, &body, &size, NULL), 0);
    ck_assert_uint_gt(size, LARGE);
    ck_assert_int_eq(((char *)body)[size - 1], 'x');
    free(body);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

/* A daemon that reads nothing for a while: requests are kept, not lost. */
static struct fake_request *first;

static void
hold_the_first(struct fake *f, struct fake_request *r)
{
    (void)f;
    if (r->nth == 1) {
        first = fake_keep(r);
        return;
    }
    if (r->nth == 1000) {
        fake_answer(first, NULL);
        fake_let_go(first);
    }
    fake_answer(r, NULL);
}

static int replies;

static void
on_reply(void *arg, int code, const void *body, size_t size)
{
    (void)arg;
    (void)body;
    (void)size;
    ck_assert_int_eq(code, 0);
    replies++;
}

START_TEST(more_requests_than_the_socket_holds_are_kept)
{
    static char args[4000];
    static const uint8_t head[] = {0x81, 0xa1, 'x', 0xda, 0x0f, 0x00}; /* {"x": 0xf00 bytes} */
    struct fake *f = fake_start(hold_the_first, NULL);
    struct asup_client *c = fake_client(f, NULL);

    memset(args, 'y', sizeof args);
    memcpy(args, head, sizeof head);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(asup_client_call_start(c, "daemon.status", args, sizeof head + 0xf00, -1,
                                                on_reply, NULL, NULL),
                         0);
    fake_wait(f, PROTO_DAEMON_STATUS, 1000);
    while (replies < 1000)
        asup_client_dispatch(c);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static const struct rule rules[] = {
    RULE(an_answer_may_come_in_pieces),
    RULE(half_an_answer_is_none),
    RULE(answers_that_nobody_waits_for_are_dropped),
    RULE(what_is_no_frame_ends_the_connection),
    RULE(a_large_answer_arrives_whole),
    RULE(more_requests_than_the_socket_holds_are_kept),
};

RULES_MAIN("client frames", rules, NULL, NULL)
