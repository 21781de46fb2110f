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

/* ---- The end ---------------------------------------------------------------- */

static void
call_finish(struct call *call)
{
    struct asup_client *c = call->client;
    uint64_t one = 1;

    call->state = CALL_DONE;
    call->due_at = ASUP_NEVER;
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
    free(call->reply);
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
        return clock_earlier(end, call->give_up_at);
    /* A poll too rides out a restart; a wait does so within its time. */
    return call->wait_until > call->alone_since ? clock_earlier(end, call->wait_until) : end;
}

/* Wake up for it in time. */
static void
call_due(struct call *call, uint64_t at)
{
    struct asup_client *c = call->client;

    call->due_at = at;
    if (at < c->calls_due_at) {
        c->calls_due_at = at;
        link_nudge(c);
    }
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
    call_due(call, call_patience_end(call));
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

uint32_t
tag_new(struct asup_client *c, uint32_t index)
{
    c->tag_last += (uint32_t)1 << CALL_INDEX_BITS;
    return (uint32_t)1 << 31 | (c->tag_last & ~((uint32_t)1 << 31)) | index;
}

/* When silence has lasted too long for a request that is sent now. */
static uint64_t
call_silence_end(const struct call *call, uint64_t now, uint64_t slice)
{
    uint64_t until = clock_after(now, call->client->answer_timeout_ms);

    if (!call->parks)
        return clock_earlier(until, call->give_up_at);
    return until < ASUP_NEVER - slice ? until + slice : until;
}

/* Hand the message to the connection. */
static void
call_transmit(struct call *call, const struct proto_writer *w, uint64_t now, uint64_t slice)
{
    struct asup_client *c = call->client;
    enum sp_sent sent = SP_NOMEM;

    call->tag = tag_new(c, call->index);
    if (!w->failed)
        sent = sp_send(&c->conn, call->tag, w->data, w->size);
    if (sent == SP_NOMEM) {
        call_fail(call, -ASUP_ENOMEM, "no memory to send %s", call->op->name);
    } else if (sent == SP_UNSENT) {
        call->sent = call->in_doubt; /* an earlier attempt may have arrived */
        call_park(call, now);        /* the thread will see what broke */
    } else {
        call->sent = true;
        call->state = CALL_ASKED;
        call_due(call, call_silence_end(call, now, slice));
    }
}

static void
call_send(struct call *call, uint64_t now)
{
    struct asup_client *c = call->client;
    struct proto_writer w;
    uint64_t slice = 0;

    if (!call_identify(call))
        return;
    /* What takes a place in a queue keeps it; and asked again (the answer was
     * lost), it must be the same request (R-IDM-1). */
    if (call->parks && call->mutates)
        slice = call->wait_ns;
    else if (call->parks && call->wait_until > now)
        slice = clock_earlier(call->wait_until - now, SLICE_NS);
    proto_writer_init(&w);
    encode_call(&w, call, c->without_session ? NULL : c->session.secret, slice);
    if (!w.failed && w.size / 2 >= c->message_size_max) {
        /* The daemon would end the connection rather than read it. */
        call_fail(call, -ASUP_ETOOLARGE, "a request of %zu bytes; the daemon takes at most %zu",
                  w.size, c->message_size_max);
    } else {
        call_transmit(call, &w, now, slice);
        if (sp_wants_out(&c->conn) || c->conn.broken)
            link_nudge(c);
    }
    proto_writer_fini(&w);
}

/* Nothing is under way: what next? */
static void
call_advance(struct call *call)
{
    struct asup_client *c = call->client;
    uint64_t now = clock_now();

    if (call->breaks >= BREAKS_MAX)
        call_alone(call);
    else if (c->link == LINK_READY)
        call_send(call, now);
    else if (c->link == LINK_REFUSED)
        call_alone(call);
    else
        call_park(call, now);
}

/* ---- The answer ----------------------------------------------------------------- */

static void
call_answered(struct call *call, uint8_t *message_take, size_t size)
{
    struct asup_client *c = call->client;
    struct answer answer;

    call_drop_reply(call);
    call->alone_since = ASUP_NEVER;
    call->breaks = 0;
    call->reply = message_take;
    if (answer_read(message_take, size, &answer, &call->error) != 0) {
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
    if (answer.code == -ASUP_ETIMEDOUT && call->parks && !call->mutates &&
        clock_now() < call->wait_until) {
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

/* ---- What happens to calls ---------------------------------------------------------- */

void
call_start(struct call *call)
{
    call_advance(call);
}

void
call_abandon(struct call *call)
{
    call->abandoned = true;
    call->state = CALL_DONE;
    call->due_at = ASUP_NEVER;
}

void
calls_answered(struct asup_client *c, uint32_t tag, uint8_t *message_take, size_t size)
{
    uint32_t index = tag & CALL_INDEX_HELLO;
    struct call *call = index < c->call_count ? c->calls[index] : NULL;

    if (call == NULL || call->state != CALL_ASKED || call->tag != tag) {
        free(message_take); /* nobody waits for it any more */
        return;
    }
    call_answered(call, message_take, size);
}

void
calls_link_changed(struct asup_client *c)
{
    enum link_state link = c->link;

    for (uint32_t i = 0; i < c->call_count && c->link == link; i++) {
        struct call *call = c->calls[i];

        if (call->state == CALL_ASKED && link == LINK_DOWN)
            call_broken(call);
        else if (call->state == CALL_PARKED && (link == LINK_READY || link == LINK_REFUSED))
            call_advance(call);
    }
}

void
calls_tick(struct asup_client *c, uint64_t now)
{
    uint64_t next = ASUP_NEVER;

    for (uint32_t i = 0; i < c->call_count; i++) {
        struct call *call = c->calls[i];

        if (call->state == CALL_PARKED && now >= call->due_at)
            call_alone(call);
        else if (call->state == CALL_ASKED && now >= call->due_at)
            call_silent(call);
        next = clock_earlier(next, call->due_at);
    }
    c->calls_due_at = next;
}

/* ---- The pool -------------------------------------------------------------------- */

static struct call *
call_make(struct asup_client *c)
{
    struct call *call;

    if (c->call_count == CALL_INDEX_HELLO)
        return NULL;
    if (c->call_count == c->call_capacity) {
        uint32_t capacity = c->call_capacity != 0 ? c->call_capacity * 2 : 16;
        struct call **grown = realloc(c->calls, capacity * sizeof(void *));

        if (grown == NULL)
            return NULL;
        c->calls = grown;
        c->call_capacity = capacity;
    }
    call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->client = c;
    call->due_at = ASUP_NEVER;
    call->index = c->call_count;
    c->calls[c->call_count++] = call;
    return call;
}

struct call *
call_new(struct asup_client *c)
{
    struct call *call = c->pool;

    if (call == NULL)
        return call_make(c);
    c->pool = call->next;
    call->next = NULL;
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
    call->due_at = ASUP_NEVER;
    call->sent = call->in_doubt = call->expired = call->abandoned = call->taken = false;
    call->breaks = 0;
    call->serial++;
    atomic_store(&call->done, false);
    call->state = CALL_IDLE;
}

void
call_recycle(struct call *call)
{
    struct asup_client *c = call->client;

    pthread_mutex_lock(&c->mutex);
    call_clear(call);
    call->next = c->pool;
    c->pool = call;
    pthread_mutex_unlock(&c->mutex);
}

void
calls_free(struct asup_client *c)
{
    for (uint32_t i = 0; i < c->call_count; i++) {
        call_clear(c->calls[i]);
        free(c->calls[i]);
    }
    free(c->calls);
    c->calls = NULL;
    c->call_count = 0;
}
