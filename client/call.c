/* SPDX-License-Identifier: MIT */
/*
 * One call from its start to its answer, over as many connections as that
 * takes. See internal.h for its states.
 *
 * What may be sent again when a connection broke:
 *
 *   - what changes nothing: always, as a new request;
 *   - a change, while its session lives: as the same request, which the daemon
 *     does once and answers every time (R-IDM-1);
 *   - a change whose session is gone, or that had none: only if it cannot have
 *     arrived. Otherwise nobody can tell, and the caller is told so.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- The end ---------------------------------------------------------------- */

static void
call_finish(struct call *call)
{
    struct asup_client *c = call->client;
    uint64_t one = 1;

    call->state = CALL_DONE;
    if (call->abandoned)
        return;
    atomic_store(&call->done, true);
    if (call->fn == NULL) {
        wait_wake(c, call);
        return;
    }
    call->next = NULL;
    if (c->answered_last != NULL)
        c->answered_last->next = call;
    else
        c->answered_first = call;
    c->answered_last = call;
    /* Cannot fail: the counter never comes near its end. */
    (void)!write(c->loop_fd, &one, sizeof one);
}

static void
call_drop_reply(struct call *call)
{
    nng_msg_free(call->reply);
    call->reply = NULL;
    call->body = NULL;
    call->body_size = 0;
}

#define call_fail(call, code, ...)                                                                 \
    do {                                                                                           \
        proto_error_set(&(call)->error, (code), __VA_ARGS__);                                      \
        call_failed(call);                                                                         \
    } while (0)

static void
call_failed(struct call *call)
{
    call_drop_reply(call);
    call->code = call->error.code;
    call_finish(call);
}

/* It was sent, the connection broke, and nobody is left to ask. */
static void
call_unknown(struct call *call, const char *why)
{
    call_fail(call, -ASUP_EUNAVAILABLE, "%s; whether %s happened is unknown", why, call->op->name);
}

/* It has been without a daemon for too long. */
static void
call_alone(struct call *call)
{
    struct asup_client *c = call->client;

    if (call->in_doubt && call->mutates)
        call_unknown(call, "the connection broke and the daemon did not come back");
    else if (call->breaks >= BREAKS_MAX)
        call_fail(call, -ASUP_EUNAVAILABLE, "the connection breaks whenever %s is asked for",
                  call->op->name);
    else if (c->refusal.code != 0)
        call_fail(call, c->refusal.code, "%s", c->refusal.message);
    else if (c->link == LINK_GREETING)
        call_fail(call, -ASUP_ENOTCONN, "the daemon at %s does not answer", c->url);
    else
        call_fail(call, -ASUP_ENOTCONN, "no daemon is reached at %s", c->url);
}

/* ---- The way ----------------------------------------------------------------- */

/* When it stops waiting for a daemon to appear. */
static uint64_t
call_patience_end(const struct call *call)
{
    uint64_t end = clock_after(call->alone_since, call->client->patience_ms);

    if (!call->parks)
        return earlier(end, call->give_up_at);
    /* A poll too rides out a restart; a wait does so within its time. */
    return call->wait_until > call->alone_since ? earlier(end, call->wait_until) : end;
}

static void
call_park(struct call *call, uint64_t now)
{
    if (call->alone_since == ASUP_NEVER)
        call->alone_since = now;
    if (now >= call_patience_end(call)) {
        call_alone(call);
        return;
    }
    call->state = CALL_PARKED;
    nng_aio_set_timeout(call->aio, NNG_DURATION_INFINITE);
    nng_sleep_aio(clock_left(now, call_patience_end(call)), call->aio);
}

/* Choose the request id and session to send it with. False: it may not be sent
 * any more and has ended. */
static bool
call_identify(struct call *call)
{
    struct session *s = &call->client->session;
    bool same_session = call->sent && call->generation == s->generation;

    if (call->in_doubt && call->mutates && call->client->without_session) {
        call_unknown(call, "the connection broke");
        return false;
    }
    if (call->expired && same_session) { /* not the session: the id is too old */
        call_finish(call);
        return false;
    }
    if (call->in_doubt && call->mutates && !same_session) {
        call_unknown(call, "the daemon restarted");
        return false;
    }
    if (call->sent && !same_session && call->op->id == PROTO_EVENTS_WATCH &&
        call->op != &call->unknown) {
        call_fail(call, -ASUP_EGAP, "the engine was started again and counts its events anew");
        return false;
    }
    call_drop_reply(call);
    call->expired = false;
    if (same_session && call->mutates)
        return true;
    call->request = ++s->request_last;
    call->generation = s->generation;
    call->in_doubt = false;
    return true;
}

static void
call_send(struct call *call, uint64_t now)
{
    struct asup_client *c = call->client;
    uint64_t slice = 0;
    nng_msg *message;
    size_t size;

    if (!call_identify(call))
        return;
    if (call->parks && call->wait_until > now)
        slice = earlier(call->wait_until - now, SLICE_NS);
    message = encode_call(call, c->without_session ? NULL : c->session.secret, slice);
    if (message == NULL) {
        call_fail(call, -ASUP_ENOMEM, "no memory to send %s", call->op->name);
        return;
    }
    size = nng_msg_len(message);
    if (size / 2 >= c->message_size_max) {
        /* The daemon would end the connection rather than read it. */
        nng_msg_free(message);
        call_fail(call, -ASUP_ETOOLARGE, "a request of %zu bytes; the daemon takes at most %zu",
                  size, c->message_size_max);
        return;
    }
    call->state = CALL_SENDING;
    call->sent = true;
    nng_aio_set_timeout(
        call->aio,
        clock_left(now, earlier(call->give_up_at, clock_after(now, c->answer_timeout_ms))));
    nng_aio_set_msg(call->aio, message);
    nng_ctx_send(call->ctx, call->aio);
}

/* No operation is under way: what next? */
static void
call_advance(struct call *call)
{
    struct asup_client *c = call->client;
    uint64_t now = clock_now();

    if (call->abandoned || c->closing)
        call_finish(call);
    else if (call->breaks >= BREAKS_MAX)
        call_alone(call);
    else if (c->link == LINK_READY)
        call_send(call, now);
    else if (c->link == LINK_REFUSED)
        call_alone(call);
    else
        call_park(call, now);
}

static void
call_receive(struct call *call)
{
    struct asup_client *c = call->client;
    uint64_t now = clock_now();
    uint64_t until = clock_after(now, c->answer_timeout_ms);

    if (!call->parks)
        until = earlier(until, call->give_up_at);
    else if (until != ASUP_NEVER && call->wait_until > now)
        until += earlier(call->wait_until - now, SLICE_NS);
    call->state = CALL_RECEIVING;
    nng_aio_set_timeout(call->aio, clock_left(now, until));
    nng_ctx_recv(call->ctx, call->aio);
}

/* ---- The answer ----------------------------------------------------------------- */

static void
call_answered(struct call *call, nng_msg *message)
{
    struct asup_client *c = call->client;
    struct answer answer;

    call_drop_reply(call);
    call->alone_since = ASUP_NEVER;
    call->breaks = 0;
    call->reply = message;
    if (answer_read(nng_msg_body(message), nng_msg_len(message), &answer, &call->error) != 0) {
        call_failed(call);
        return;
    }
    if (answer.id != call->request) {
        call_fail(call, -ASUP_EMALFORMED, "the answer to %s belongs to another request",
                  call->op->name);
        return;
    }
    call->code = answer.code;
    call->body = answer.body;
    call->body_size = answer.body_size;
    if (answer.code == -ASUP_ETIMEDOUT && call->parks && clock_now() < call->wait_until) {
        call_advance(call); /* the slice has ended, not the wait */
        return;
    }
    if (answer.code == -ASUP_EEXPIRED && !c->without_session && !call->expired) {
        /* Is it the session that is gone, or only the id? A hello tells. */
        call->expired = true;
        if (call->generation == c->session.generation)
            link_verify(c);
        call_advance(call);
        return;
    }
    call_finish(call);
}

static void
call_broken(struct call *call)
{
    uint64_t now = clock_now();

    call->in_doubt = true;
    call->breaks++;
    if (call->alone_since == ASUP_NEVER)
        call->alone_since = now;
    if (now >= call_patience_end(call))
        call_alone(call);
    else
        call_advance(call);
}

/* Connected, sent, and silent for longer than anything may take. */
static void
call_silent(struct call *call)
{
    if (call->parks)
        call_fail(call, -ASUP_EUNAVAILABLE, "the daemon does not answer %s in time",
                  call->op->name);
    else if (call->mutates)
        call_fail(call, -ASUP_ETIMEDOUT,
                  "the daemon does not answer in time; whether %s happened is unknown",
                  call->op->name);
    else
        call_fail(call, -ASUP_ETIMEDOUT, "the daemon does not answer %s in time", call->op->name);
}

/* Something ended: the only place from which a call goes on. */
static void
call_step(void *arg)
{
    struct call *call = arg;
    struct asup_client *c = call->client;
    enum call_state state;
    int result;

    pthread_mutex_lock(&c->mutex);
    state = call->state;
    result = nng_aio_result(call->aio);
    if (state == CALL_SENDING && result != 0) {
        nng_msg_free(nng_aio_get_msg(call->aio)); /* it never left */
        nng_aio_set_msg(call->aio, NULL);
    }
    if (state == CALL_RECEIVING && result == 0) {
        nng_msg *message = nng_aio_get_msg(call->aio);

        nng_aio_set_msg(call->aio, NULL);
        call_answered(call, message);
    } else if (call->abandoned || c->closing || result == NNG_ECLOSED) {
        call_finish(call);
    } else if (state == CALL_SENDING && result == 0) {
        call_receive(call);
    } else if (state == CALL_RECEIVING && result == NNG_ECONNRESET) {
        call_broken(call);
    } else if (state != CALL_PARKED && result == NNG_ETIMEDOUT) {
        call_silent(call);
    } else if (state != CALL_PARKED && result == NNG_ENOMEM) {
        call_fail(call, -ASUP_ENOMEM, "no memory for %s", call->op->name);
    } else {
        call_advance(call);
    }
    pthread_mutex_unlock(&c->mutex);
}

void
call_start(struct call *call)
{
    call_advance(call);
}

void
call_abandon(struct call *call)
{
    call->abandoned = true;
    if (call->state != CALL_DONE)
        nng_aio_cancel(call->aio);
}

void
calls_link_changed(struct asup_client *c)
{
    for (uint32_t i = 0; i < c->call_count; i++) {
        struct call *call = c->calls[i];
        bool parked = call->state == CALL_PARKED;
        bool unsent = call->state == CALL_SENDING && c->link == LINK_DOWN;

        if (unsent || (parked && (c->link == LINK_READY || c->link == LINK_REFUSED)))
            nng_aio_cancel(call->aio);
    }
}

/* ---- The pool -------------------------------------------------------------------- */

static struct call *
call_make(struct asup_client *c)
{
    struct call *call;

    if (c->call_count == c->call_capacity) {
        uint32_t capacity = c->call_capacity != 0 ? c->call_capacity * 2 : 16;
        struct call **grown = realloc(c->calls, capacity * sizeof *grown);

        if (grown == NULL)
            return NULL;
        c->calls = grown;
        c->call_capacity = capacity;
    }
    call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->client = c;
    call->index = c->call_count;
    c->calls[c->call_count++] = call;
    return call;
}

static bool
call_equip(struct call *call)
{
    if (nng_ctx_open(&call->ctx, call->client->socket) != 0)
        return false;
    if (nng_aio_alloc(&call->aio, call_step, call) != 0) {
        nng_ctx_close(call->ctx);
        call->aio = NULL;
        return false;
    }
    return true;
}

struct call *
call_new(struct asup_client *c)
{
    struct call *call = c->pool;

    if (call != NULL) {
        c->pool = call->next;
        c->pool_count--;
        return call;
    }
    call = c->bare;
    if (call != NULL)
        c->bare = call->next;
    else
        call = call_make(c);
    if (call != NULL && !call_equip(call)) {
        call->next = c->bare;
        c->bare = call;
        call = NULL;
    }
    return call;
}

/* Forget what was asked and answered. */
static void
call_clear(struct call *call)
{
    call_drop_reply(call);
    free(call->args);
    free(call->op_name);
    call->args = NULL;
    call->op_name = NULL;
    call->op = NULL;
    call->fn = NULL;
    call->arg = NULL;
    call->next = NULL;
    call->code = 0;
    call->sent = call->in_doubt = call->expired = call->abandoned = call->taken = false;
    call->breaks = 0;
    call->serial++;
    atomic_store(&call->done, false);
    call->state = CALL_IDLE;
}

static void
call_strip(struct call *call)
{
    if (call->aio == NULL)
        return;
    nng_ctx_close(call->ctx);
    nng_aio_free(call->aio);
    call->aio = NULL;
}

void
call_recycle(struct call *call)
{
    struct asup_client *c = call->client;
    bool warm;

    nng_aio_wait(call->aio);
    pthread_mutex_lock(&c->mutex);
    call_clear(call);
    warm = c->pool_count < POOL_MAX;
    if (warm) {
        call->next = c->pool;
        c->pool = call;
        c->pool_count++;
    }
    pthread_mutex_unlock(&c->mutex);
    if (warm)
        return;
    call_strip(call);
    pthread_mutex_lock(&c->mutex);
    call->next = c->bare;
    c->bare = call;
    pthread_mutex_unlock(&c->mutex);
}

void
calls_free(struct asup_client *c)
{
    for (uint32_t i = 0; i < c->call_count; i++) {
        struct call *call = c->calls[i];

        call_strip(call);
        call_clear(call);
        free(call);
    }
    free(c->calls);
    c->calls = NULL;
    c->call_count = 0;
}
