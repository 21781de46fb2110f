/* SPDX-License-Identifier: MIT */
/*
 * The connection, and saying hello on each new one. See internal.h for the
 * states of the link.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nng/protocol/reqrep0/req.h>

#include "asupersync/values.h"
#include "proto/read.h"
#include "proto/wire.h"

/* Reconnecting begins at once and slows down to this. */
#define RECONNECT_MS_MIN 20
#define RECONNECT_MS_MAX 250

static void
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

/* ---- Hello ---------------------------------------------------------------- */

static void
greeting_send(struct asup_client *c)
{
    struct greeting *g = &c->greeting;
    nng_msg *message = encode_hello(c);

    g->again = false;
    if (message == NULL) { /* memory may come back */
        g->state = GREETING_PAUSING;
        nng_aio_set_timeout(g->aio, NNG_DURATION_INFINITE);
        nng_sleep_aio(GREETING_PAUSE_MS, g->aio);
        return;
    }
    g->state = GREETING_SENDING;
    nng_aio_set_timeout(g->aio, NNG_DURATION_INFINITE);
    nng_aio_set_msg(g->aio, message);
    nng_ctx_send(g->ctx, g->aio);
}

/* The link is GREETING: say hello, after what is still under way. */
static void
greeting_begin(struct asup_client *c)
{
    if (c->greeting.state == GREETING_IDLE) {
        greeting_send(c);
        return;
    }
    c->greeting.again = true;
    nng_aio_cancel(c->greeting.aio);
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
    if (!asup_error_retry_helps(answer->code)) {
        link_set(c, LINK_REFUSED);
        return;
    }
    c->greeting.state = GREETING_PAUSING;
    nng_aio_set_timeout(c->greeting.aio, NNG_DURATION_INFINITE);
    nng_sleep_aio(GREETING_PAUSE_MS, c->greeting.aio);
}

static void
greeting_answered(struct asup_client *c, nng_msg *message)
{
    struct answer answer;
    struct proto_error err;

    if (c->link != LINK_GREETING || c->greeting.again)
        return;
    if (answer_read(nng_msg_body(message), nng_msg_len(message), &answer, &err) != 0) {
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

static void
greeting_step(void *arg)
{
    struct asup_client *c = arg;
    struct greeting *g = &c->greeting;
    enum greeting_state state;
    int result;

    pthread_mutex_lock(&c->mutex);
    state = g->state;
    result = nng_aio_result(g->aio);
    g->state = GREETING_IDLE;
    if (state == GREETING_SENDING && result != 0) {
        nng_msg_free(nng_aio_get_msg(g->aio));
    } else if (state == GREETING_SENDING && !c->closing) {
        g->state = GREETING_RECEIVING;
        nng_aio_set_timeout(g->aio, GREETING_SILENCE_MS);
        nng_ctx_recv(g->ctx, g->aio);
    } else if (state == GREETING_RECEIVING && result == 0) {
        nng_msg *message = nng_aio_get_msg(g->aio);

        nng_aio_set_msg(g->aio, NULL);
        greeting_answered(c, message);
        nng_msg_free(message);
    } else if (state == GREETING_RECEIVING && result == NNG_ETIMEDOUT) {
        nng_pipe_close(c->pipe); /* a fresh connection may find it awake */
    }
    if (g->state == GREETING_IDLE && c->link == LINK_GREETING && !c->closing &&
        result != NNG_ECLOSED)
        greeting_send(c);
    pthread_mutex_unlock(&c->mutex);
}

void
link_verify(struct asup_client *c)
{
    if (c->link != LINK_READY)
        return; /* the hello on its way will tell */
    link_set(c, LINK_GREETING);
    greeting_begin(c);
}

/* ---- Connections come and go ------------------------------------------------ */

static void
pipe_came(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct asup_client *c = arg;

    (void)event;
    pthread_mutex_lock(&c->mutex);
    if (!c->closing) {
        c->pipe = pipe;
        c->refusal.code = 0;
        link_set(c, LINK_GREETING);
        greeting_begin(c);
    }
    pthread_mutex_unlock(&c->mutex);
}

static void
pipe_went(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct asup_client *c = arg;

    (void)event;
    pthread_mutex_lock(&c->mutex);
    if (!c->closing && nng_pipe_id(pipe) == nng_pipe_id(c->pipe)) {
        link_set(c, LINK_DOWN);
        nng_aio_cancel(c->greeting.aio);
    }
    pthread_mutex_unlock(&c->mutex);
}

static int
failed(struct proto_error *err, const char *what, int rv)
{
    int code = rv == NNG_ENOMEM ? -ASUP_ENOMEM : -ASUP_EINVALID;

    return proto_error_set(err, code, "%s: %s", what, nng_strerror(rv));
}

int
link_open(struct asup_client *c, struct proto_error *err)
{
    nng_socket none = NNG_SOCKET_INITIALIZER;
    nng_pipe nobody = NNG_PIPE_INITIALIZER;
    int rv = nng_req0_open(&c->socket);

    c->pipe = nobody;
    if (rv != 0) {
        c->socket = none;
        return failed(err, "opening a socket", rv);
    }
    rv = nng_socket_set_ms(c->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (rv == 0)
        rv = nng_socket_set_size(c->socket, NNG_OPT_RECVMAXSZ, ANSWER_SIZE_MAX);
    if (rv == 0)
        rv = nng_socket_set_ms(c->socket, NNG_OPT_RECONNMINT, RECONNECT_MS_MIN);
    if (rv == 0)
        rv = nng_socket_set_ms(c->socket, NNG_OPT_RECONNMAXT, RECONNECT_MS_MAX);
    if (rv == 0)
        rv = nng_ctx_open(&c->greeting.ctx, c->socket);
    if (rv == 0)
        rv = nng_aio_alloc(&c->greeting.aio, greeting_step, c);
    if (rv == 0)
        rv = nng_pipe_notify(c->socket, NNG_PIPE_EV_ADD_POST, pipe_came, c);
    if (rv == 0)
        rv = nng_pipe_notify(c->socket, NNG_PIPE_EV_REM_POST, pipe_went, c);
    if (rv != 0)
        return failed(err, "setting up a socket", rv);
    rv = nng_dialer_create(&c->dialer, c->socket, c->url);
    if (rv == 0)
        rv = nng_dialer_start(c->dialer, NNG_FLAG_NONBLOCK);
    return rv != 0 ? failed(err, c->url, rv) : 0;
}

void
link_close(struct asup_client *c)
{
    pthread_mutex_lock(&c->mutex);
    c->closing = true;
    pthread_mutex_unlock(&c->mutex);
    if (c->greeting.aio != NULL)
        nng_aio_stop(c->greeting.aio);
    calls_free(c);
    if (nng_socket_id(c->socket) > 0)
        nng_close(c->socket);
    if (c->greeting.aio != NULL)
        nng_aio_free(c->greeting.aio);
}
