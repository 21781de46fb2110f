/* SPDX-License-Identifier: MIT */
/*
 * Saying hello: the first message on every connection. It shows that a daemon
 * is there, attaches the connection to the session, and begins a new session
 * where the old one is gone. A client without session asks for the daemon's
 * status instead, only to see that it is one.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "asupersync/values.h"
#include "proto/read.h"
#include "proto/wire.h"

/* Between two attempts to say hello to a daemon that said it is busy. */
#define HELLO_PAUSE_MS 100

void
link_set(struct asup_client *c, enum link_state state)
{
    c->link = state;
    calls_link_changed(c);
    wait_wake(c, NULL);
}

static void
refuse(struct asup_client *c, const struct proto_error *why)
{
    c->refusal = *why;
    link_set(c, LINK_REFUSED);
}

void
greeting_send(struct asup_client *c)
{
    struct proto_writer w;

    proto_writer_init(&w);
    encode_hello(&w, c);
    c->hello_tag = tag_new(c, CALL_INDEX_HELLO);
    c->hello_until = clock_after(clock_now(), HELLO_SILENCE_MS);
    if (w.failed) /* memory may come back */
        c->hello_at = clock_after(clock_now(), HELLO_PAUSE_MS);
    else {
        c->hello_at = ASUP_NEVER;
        sp_send(&c->conn, c->hello_tag, w.data, w.size); /* the thread sees it break */
    }
    proto_writer_fini(&w);
    link_nudge(c);
}

/* A new session counts its requests from 1; one that another client began
 * counts on from where that one can never have been. */
static void
session_adopt(struct asup_client *c, const uint8_t *secret, uint64_t id, bool resumed)
{
    struct session *s = &c->session;
    struct timespec wall;

    if (s->generation == 0 || !resumed) {
        s->generation++;
        s->request_last = 0;
        if (resumed) {
            clock_gettime(CLOCK_REALTIME, &wall);
            s->request_last = (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000;
        }
    }
    s->known = true;
    s->id = id;
    memcpy(s->secret, secret, ASUP_SECRET_SIZE);
    c->resuming = false;
}

/* What the daemon tells with its hello. Returns 0 or err->code. */
static int
hello_read(struct asup_client *c, const struct answer *answer, struct proto_error *err)
{
    struct proto_memory *m = proto_memory_new();
    msgpack_object body;
    const char *stdio_path;
    char *copy = NULL;
    int rc;

    if (m == NULL)
        return proto_error_set(err, -ASUP_ENOMEM, "no memory to read the daemon's hello");
    rc = wire_unpack(answer->body, answer->body_size, m, &body);
    if (rc != 0) {
        proto_error_set(err, rc, "no memory to read the daemon's hello");
        goto out;
    }
    stdio_path = proto_get_text(&body, "stdio_socket");
    if (stdio_path != NULL && (copy = strdup(stdio_path)) == NULL) {
        rc = proto_error_set(err, -ASUP_ENOMEM, "no memory to read the daemon's hello");
        goto out;
    }
    if (!c->without_session) {
        struct proto_bytes secret = proto_get_bytes(&body, "secret");
        uint64_t id = proto_get_ref(&body, "session", ASUP_SORT_SESSION).id;

        if (secret.size != ASUP_SECRET_SIZE || id == 0) {
            rc = proto_error_set(err, -ASUP_EMALFORMED, "the daemon's hello names no session");
            goto out;
        }
        session_adopt(c, secret.data, id, proto_get_bool(&body, "resumed", false));
    }
    if (copy != NULL) {
        free(c->stdio_path);
        c->stdio_path = copy;
        copy = NULL;
    }
    c->message_size_max = proto_get_uint(&body, "message_size_max", PROTO_SIZE_MAX);
out:
    free(copy);
    proto_memory_free(m);
    return rc;
}

/* The daemon said no. */
static void
greeting_refused(struct asup_client *c, const struct answer *answer)
{
    struct asup_error_info info;

    if (c->without_session && answer->code != -ASUP_EUNSUPPORTED) {
        link_set(c, LINK_READY); /* it speaks: that is all that was asked */
        return;
    }
    if (answer->code == -ASUP_EEXPIRED && c->session.known && !c->resuming) {
        c->session.known = false; /* begin a new one */
        greeting_send(c);
        return;
    }
    asup_error_info_read(&info, answer->code, answer->body, answer->body_size);
    proto_error_set(&c->refusal, answer->code, "%s", info.message);
    snprintf(c->refusal.hint, sizeof c->refusal.hint, "%.*s", (int)sizeof c->refusal.hint - 1,
             info.hint);
    if (!asup_error_retry_helps(answer->code)) {
        link_set(c, LINK_REFUSED);
        return;
    }
    c->hello_at = clock_after(clock_now(), HELLO_PAUSE_MS);
    c->hello_until = ASUP_NEVER;
}

void
greeting_answered(struct asup_client *c, const uint8_t *data, size_t size)
{
    struct answer answer;
    struct proto_error err;

    if (answer_read(data, size, &answer, &err) != 0) {
        if (err.code == -ASUP_EMALFORMED)
            proto_error_set(&err, -ASUP_ENOTCONN, "what answers at %s is not asupersyncd", c->url);
        refuse(c, &err);
        return;
    }
    if (answer.code != 0) {
        greeting_refused(c, &answer);
        return;
    }
    if (hello_read(c, &answer, &err) != 0) {
        refuse(c, &err);
        return;
    }
    c->refusal.code = 0;
    link_set(c, LINK_READY);
}
