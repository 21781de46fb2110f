/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "daemon/engine/server_internal.h"

/* ---- On nng's threads ------------------------------------------------------- */

void
connection_unref_locked(struct connection *c)
{
    if (--c->references == 0)
        free(c);
}

/* Decide, under the lock, what an exchange does next: true, it receives; else
 * it is retired. */
static bool
listen_or_retire_locked(struct exchange *x)
{
    struct server *s = x->server;

    if (s->draining || s->receiving >= POOL_HIGH) {
        x->state = RETIRED;
        list_append(&s->queue, &x->link);
        return false;
    }
    x->state = RECEIVING;
    s->receiving++;
    return true;
}

/* Without the lock: nng may call back at once. */
static void
listen_or_wake(struct exchange *x, bool listen)
{
    struct server *s = x->server;

    if (listen)
        nng_ctx_recv(x->ctx, x->aio);
    else
        ev_async_send(s->loop, &s->wake);
}

static void
exchange_listen(struct exchange *x)
{
    struct server *s = x->server;

    pthread_mutex_lock(&s->lock);
    bool listen = listen_or_retire_locked(x);
    pthread_mutex_unlock(&s->lock);
    listen_or_wake(x, listen);
}

static void
on_received(struct exchange *x, int rc)
{
    struct server *s = x->server;
    bool again = false;

    pthread_mutex_lock(&s->lock);
    s->receiving--;
    if (rc == 0) {
        nng_msg *message = nng_aio_get_msg(x->aio);
        struct connection *c = idmap_get(&s->pipes, (uint64_t)nng_msg_get_pipe(message).id);
        if (c) {
            c->references++;
            x->connection = c;
            x->message = message;
            x->state = QUEUED;
            list_append(&s->queue, &x->link);
        } else {
            nng_msg_free(message); /* its connection is gone already */
            again = true;
        }
    } else if (rc == NNG_ECLOSED || s->draining) {
        x->state = RETIRED;
        list_append(&s->queue, &x->link);
    } else {
        again = true;
    }
    pthread_mutex_unlock(&s->lock);
    if (again)
        exchange_listen(x);
    else
        ev_async_send(s->loop, &s->wake);
}

static void
on_sent(struct exchange *x, int rc)
{
    struct server *s = x->server;

    if (rc != 0)
        nng_msg_free(nng_aio_get_msg(x->aio));
    pthread_mutex_lock(&s->lock);
    s->sending--;
    s->sending_bytes -= x->answer_size;
    x->connection->sending--;
    x->connection->sending_bytes -= x->answer_size;
    x->connection->progress++;
    connection_unref_locked(x->connection);
    x->connection = NULL;
    bool listen = listen_or_retire_locked(x);
    pthread_mutex_unlock(&s->lock);
    listen_or_wake(x, listen);
}

static void
on_aio(void *arg)
{
    struct exchange *x = arg;
    int rc = nng_aio_result(x->aio);

    /* The state was set by whoever started the operation, before it did. */
    if (x->state == SENDING)
        on_sent(x, rc);
    else
        on_received(x, rc);
}

/* ---- The pool, on the loop ---------------------------------------------------- */

bool
exchange_new(struct server *s)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (!x)
        return false;
    x->server = s;
    list_init(&x->link);
    if (nng_aio_alloc(&x->aio, on_aio, x) != 0)
        goto fail;
    if (nng_ctx_open(&x->ctx, s->socket) != 0) {
        nng_aio_free(x->aio);
        goto fail;
    }
    while (s->slot_hint < s->slot_count && s->slots[s->slot_hint])
        s->slot_hint++;
    x->slot = s->slot_hint;
    s->slots[x->slot] = x;
    s->exchange_count++;
    exchange_listen(x);
    return true;
fail:
    free(x);
    return false;
}

void
exchange_free(struct exchange *x)
{
    struct server *s = x->server;

    nng_ctx_close(x->ctx);
    nng_aio_free(x->aio);
    s->slots[x->slot] = NULL;
    if (x->slot < s->slot_hint)
        s->slot_hint = x->slot;
    s->exchange_count--;
    free(x);
}

void
pool_fill(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    bool few = s->receiving < POOL_LOW && !s->draining;
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; few && i < POOL_STEP && s->exchange_count < s->slot_count; i++) {
        if (!exchange_new(s))
            break;
    }
}

/* ---- The loop's side ------------------------------------------------------------ */

static void
take(struct server *s, struct exchange *x)
{
    nng_msg *message = x->message;

    x->message = NULL;
    x->turn++;
    x->state = HELD;
    list_append(&x->connection->held, &x->link);
    s->callbacks.request(s->callbacks.ctx, x, nng_msg_body(message), nng_msg_len(message));
    nng_msg_free(message);
}

/* Its connection is gone and said to be. */
static void
skip(struct exchange *x)
{
    nng_msg_free(x->message);
    x->message = NULL;
    exchange_drop(x);
}

/* Handle what is in the queue now, at most `most`. Returns how many. */
static int
take_batch(struct server *s, int most)
{
    struct list batch;
    int count = 0;

    list_init(&batch);
    pthread_mutex_lock(&s->lock);
    struct list *l;
    while (count < most && (l = list_take_first(&s->queue)) != NULL) {
        list_append(&batch, l);
        count++;
    }
    pthread_mutex_unlock(&s->lock);
    while ((l = list_take_first(&batch)) != NULL) {
        struct exchange *x = list_entry(l, struct exchange, link);
        if (x->state == RETIRED)
            exchange_free(x);
        else if (x->connection->told)
            skip(x);
        else
            take(s, x);
    }
    return count;
}

void
pool_on_wake(struct ev_loop *loop, struct ev_async *w, int revents)
{
    struct server *s = w->data;
    int left = REQUESTS_PER_TURN;
    int count;

    (void)loop;
    (void)revents;
    do {
        count = take_batch(s, left);
        left -= count;
    } while (count > 0 && left > 0);
    server_tell_departed(s);
    stall_watch(s);
    pool_fill(s);
    if (left == 0)
        ev_async_send(s->loop, &s->wake);
}

struct connection *
exchange_connection(const struct exchange *x)
{
    return x->connection;
}

uint64_t
exchange_token(const struct exchange *x)
{
    return (uint64_t)x->turn << 32 | (x->slot + 1);
}

struct exchange *
server_exchange(struct server *s, uint64_t token)
{
    uint32_t slot = (uint32_t)token - 1;

    if (slot >= s->slot_count || !s->slots[slot])
        return NULL;
    struct exchange *x = s->slots[slot];
    return x->state == HELD && exchange_token(x) == token ? x : NULL;
}

struct exchange *
exchange_of_link(struct list *link)
{
    return list_entry(link, struct exchange, link);
}

void **
exchange_parked(struct exchange *x)
{
    return &x->parked;
}

void
exchange_drop(struct exchange *x)
{
    struct server *s = x->server;

    list_remove(&x->link);
    x->parked = NULL;
    pthread_mutex_lock(&s->lock);
    connection_unref_locked(x->connection);
    x->connection = NULL;
    bool listen = listen_or_retire_locked(x);
    pthread_mutex_unlock(&s->lock);
    listen_or_wake(x, listen);
}

void
exchange_reply(struct exchange *x, const void *data, size_t size)
{
    struct server *s = x->server;
    nng_msg *message;

    if (nng_msg_alloc(&message, 0) != 0) {
        exchange_drop(x); /* the client asks again */
        return;
    }
    if (nng_msg_append(message, data, size) != 0) {
        nng_msg_free(message);
        exchange_drop(x);
        return;
    }
    list_remove(&x->link);
    x->parked = NULL;
    pthread_mutex_lock(&s->lock);
    x->state = SENDING;
    x->answer_size = size;
    bool too_much = stall_sending_locked(x->connection, size);
    nng_pipe pipe = {.id = x->connection->pipe};
    pthread_mutex_unlock(&s->lock);
    if (too_much)
        nng_pipe_close(pipe); /* the answer is dropped with it */
    nng_aio_set_msg(x->aio, message);
    nng_ctx_send(x->ctx, x->aio);
}
