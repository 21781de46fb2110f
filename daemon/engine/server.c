/* SPDX-License-Identifier: MIT */
#include "daemon/engine/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "daemon/engine/idmap.h"
#include "daemon/engine/report.h"

enum {
    POOL_FIRST = 64,         /* exchanges at the start */
    POOL_LOW = 16,           /* fewer receiving: more are made ... */
    POOL_STEP = 48,          /* ... that many */
    POOL_HIGH = 192,         /* more receiving: one that has answered is retired */
    REQUESTS_PER_TURN = 128, /* so that timers and processes have their turn */
};

enum exchange_state { RECEIVING, QUEUED, HELD, SENDING, RETIRED };

struct exchange {
    struct server *server;
    nng_ctx ctx;
    nng_aio *aio;
    enum exchange_state state;
    uint32_t slot;
    uint32_t turn; /* counts requests, so that tokens differ */
    nng_msg *message;
    struct connection *connection;
    struct list link; /* in the queue or in connection->held */
    void *parked;
};

struct server {
    struct ev_loop *loop;
    struct ev_async wake;
    struct server_callbacks callbacks;
    struct server_options options;
    nng_socket socket;
    struct exchange **slots; /* owned by the loop */
    uint32_t slot_count;
    uint32_t exchange_count;
    uint32_t slot_hint;
    bool closing;

    pthread_mutex_t lock; /* all below */
    struct list queue;    /* exchanges: QUEUED or RETIRED */
    struct list departed; /* connections that are gone and not yet told */
    struct list present;  /* connections that are there */
    struct idmap pipes;   /* pipe id -> connection */
    struct idmap uids;    /* uid + 1 -> count */
    uint32_t connection_count;
    uint32_t receiving;
    uint32_t sending;
    bool draining;
    bool listening; /* the socket at options.path is ours */
};

/* ---- On nng's threads ------------------------------------------------------- */

static void
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
    x->connection->sending--;
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

static uint32_t
peer_number(nng_pipe pipe, const char *option)
{
    uint64_t value;

    return nng_pipe_get_uint64(pipe, option, &value) == 0 ? (uint32_t)value : UINT32_MAX;
}

/* Is called before the pipe may say anything; closing it here keeps it out. */
static void
on_pipe_arriving(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct server *s = arg;
    struct connection *c = calloc(1, sizeof *c);
    bool kept = false;

    (void)event;
    if (c) {
        c->server = s;
        c->pipe = pipe.id;
        c->uid = peer_number(pipe, NNG_OPT_IPC_PEER_UID);
        c->gid = peer_number(pipe, NNG_OPT_IPC_PEER_GID);
        c->pid = peer_number(pipe, NNG_OPT_IPC_PEER_PID);
        c->references = 1;
        list_init(&c->held);
        list_init(&c->sessions);
        list_init(&c->node);
        pthread_mutex_lock(&s->lock);
        uint64_t key = (uint64_t)c->uid + 1;
        if (c->uid != UINT32_MAX && s->connection_count < s->options.connections_max &&
            idmap_tally(&s->uids, key) < s->options.connections_per_user &&
            idmap_put(&s->pipes, pipe.id, c)) {
            if (idmap_tally_up(&s->uids, key)) {
                s->connection_count++;
                list_append(&s->present, &c->node);
                kept = true;
            } else {
                idmap_take(&s->pipes, pipe.id);
            }
        }
        pthread_mutex_unlock(&s->lock);
    }
    if (!kept) {
        free(c);
        nng_pipe_close(pipe);
    }
}

static void
on_pipe_gone(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct server *s = arg;

    (void)event;
    pthread_mutex_lock(&s->lock);
    struct connection *c = idmap_take(&s->pipes, pipe.id);
    if (c) {
        idmap_tally_down(&s->uids, (uint64_t)c->uid + 1);
        s->connection_count--;
        c->gone = true;
        list_remove(&c->node);
        list_append(&s->departed, &c->node);
    }
    pthread_mutex_unlock(&s->lock);
    if (c)
        ev_async_send(s->loop, &s->wake);
}

/* ---- The pool, on the loop ---------------------------------------------------- */

static bool
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

static void
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

static void
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
tell_departed(struct server *s)
{
    for (;;) {
        struct connection *c = NULL;
        pthread_mutex_lock(&s->lock);
        if (!list_empty(&s->departed)) {
            c = list_entry(s->departed.next, struct connection, node);
            list_remove(&c->node);
        }
        pthread_mutex_unlock(&s->lock);
        if (!c)
            return;
        c->told = true;
        s->callbacks.gone(s->callbacks.ctx, c);
        pthread_mutex_lock(&s->lock);
        connection_unref_locked(c);
        pthread_mutex_unlock(&s->lock);
    }
}

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
    while (!list_empty(&s->queue) && count < most) {
        struct list *l = s->queue.next;
        list_remove(l);
        list_append(&batch, l);
        count++;
    }
    pthread_mutex_unlock(&s->lock);
    while (!list_empty(&batch)) {
        struct exchange *x = list_entry(batch.next, struct exchange, link);
        list_remove(&x->link);
        if (x->state == RETIRED)
            exchange_free(x);
        else if (x->connection->told)
            skip(x);
        else
            take(s, x);
    }
    return count;
}

static void
on_wake(struct ev_loop *loop, struct ev_async *w, int revents)
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
    tell_departed(s);
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
    s->sending++;
    x->connection->sending++;
    pthread_mutex_unlock(&s->lock);
    nng_aio_set_msg(x->aio, message);
    nng_ctx_send(x->ctx, x->aio);
}

void
connection_close(struct connection *c)
{
    nng_pipe_close((nng_pipe){.id = c->pipe});
}

uint32_t
server_connection_count(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    uint32_t count = s->connection_count;
    pthread_mutex_unlock(&s->lock);
    return count;
}

/* A client that leaves its answers unread keeps exchanges from everybody
 * else: when none of them went out for a while, the connection ends. */
void
server_check_stalled(struct server *s, uint64_t now)
{
    enum { BATCH = 64 };
    nng_pipe stalled[BATCH];
    int count = 0;

    pthread_mutex_lock(&s->lock);
    for (struct list *l = s->present.next; l != &s->present && count < BATCH; l = l->next) {
        struct connection *c = list_entry(l, struct connection, node);
        if (c->sending == 0) {
            c->stalled_since = 0;
        } else if (c->stalled_since == 0 || c->stalled_progress != c->progress) {
            c->stalled_since = now;
            c->stalled_progress = c->progress;
        } else if (now - c->stalled_since >= s->options.stall_ns) {
            c->stalled_since = now;
            stalled[count++] = (nng_pipe){.id = c->pipe};
            report(REPORT_WARNING,
                   "a client of user %u (pid %u) reads no answers: its connection is closed",
                   c->uid, c->pid);
        }
    }
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < count; i++)
        nng_pipe_close(stalled[i]);
}

void
server_configure(struct server *s, const struct server_options *options)
{
    pthread_mutex_lock(&s->lock);
    s->options.connections_max = options->connections_max;
    s->options.connections_per_user = options->connections_per_user;
    s->options.stall_ns = options->stall_ns;
    pthread_mutex_unlock(&s->lock);
}

/* ---- Lifecycle --------------------------------------------------------------------- */

/* nng would unlink whatever stands there. The daemon's lock is held, so a
 * socket here is a dead daemon's; anything else is somebody's file. */
static bool
clear_path(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        if (errno == ENOENT)
            return true;
        report(REPORT_ERROR, "cannot look at %s: %s", path, strerror(errno));
        return false;
    }
    if (!S_ISSOCK(st.st_mode)) {
        report(REPORT_ERROR,
               "%s is in the way and is not a socket: move it away, or choose another "
               "--runtime-dir",
               path);
        return false;
    }
    if (unlink(path) != 0) {
        report(REPORT_ERROR, "cannot replace the old socket %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static bool
listen_at(struct server *s)
{
    nng_listener listener;
    char url[NNG_MAXADDRLEN + 16];
    int rc;

    if (strlen(s->options.path) >= 108) {
        report(REPORT_ERROR, "%s: a socket's path may have 107 bytes; use a shorter --runtime-dir",
               s->options.path);
        return false;
    }
    if (!clear_path(s->options.path))
        return false;
    snprintf(url, sizeof url, "ipc://%s", s->options.path);
    nng_pipe_notify(s->socket, NNG_PIPE_EV_ADD_PRE, on_pipe_arriving, s);
    nng_pipe_notify(s->socket, NNG_PIPE_EV_REM_POST, on_pipe_gone, s);
    if ((rc = nng_listener_create(&listener, s->socket, url)) != 0 ||
        (rc = nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ,
                                    2 * s->options.message_size_max)) != 0 ||
        (rc = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, (int)s->options.mode)) != 0 ||
        (rc = nng_listener_start(listener, 0)) != 0) {
        report(REPORT_ERROR, "cannot listen at %s: %s", s->options.path, nng_strerror(rc));
        return false;
    }
    s->listening = true;
    return true;
}

struct server *
server_new(struct ev_loop *loop, const struct server_options *options,
           const struct server_callbacks *callbacks)
{
    struct server *s = calloc(1, sizeof *s);
    int rc;

    if (!s)
        return NULL;
    s->loop = loop;
    s->options = *options;
    s->callbacks = *callbacks;
    s->slot_count = options->exchanges_max;
    s->slots = calloc(s->slot_count, sizeof(struct exchange *));
    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->queue);
    list_init(&s->departed);
    list_init(&s->present);
    ev_async_init(&s->wake, on_wake);
    s->wake.data = s;
    if (!s->slots || (rc = nng_rep0_open(&s->socket)) != 0) {
        report(REPORT_ERROR, "cannot make the socket: %s",
               s->slots ? nng_strerror(rc) : "no memory");
        goto fail;
    }
    ev_async_start(loop, &s->wake);
    for (int i = 0; i < POOL_FIRST; i++) {
        if (!exchange_new(s) && i == 0) {
            report(REPORT_ERROR, "cannot make the socket: no memory");
            goto fail_open;
        }
    }
    if (!listen_at(s))
        goto fail_open;
    return s;

fail_open:
    server_free(s, 0);
    return NULL;
fail:
    free((void *)s->slots);
    free(s);
    return NULL;
}

void
server_free(struct server *s, unsigned linger_ms)
{
    /* Let the last answers out: who asked for the shutdown wants to hear. */
    for (unsigned waited = 0; waited < linger_ms; waited++) {
        pthread_mutex_lock(&s->lock);
        uint32_t sending = s->sending;
        pthread_mutex_unlock(&s->lock);
        if (sending == 0)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    pthread_mutex_unlock(&s->lock);
    nng_close(s->socket); /* every aio ends; callbacks may still run */
    for (uint32_t i = 0; i < s->slot_count; i++) {
        struct exchange *x = s->slots[i];
        if (!x)
            continue;
        nng_aio_stop(x->aio); /* waits for its callback */
        if (x->message)
            nng_msg_free(x->message);
        exchange_free(x);
    }
    ev_async_stop(s->loop, &s->wake);
    pthread_mutex_lock(&s->lock);
    while (!list_empty(&s->departed)) {
        struct connection *c = list_entry(s->departed.next, struct connection, node);
        list_remove(&c->node);
        free(c);
    }
    idmap_fini(&s->pipes);
    idmap_fini(&s->uids);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_destroy(&s->lock);
    if (s->listening)
        unlink(s->options.path); /* nobody else's file, then */
    free((void *)s->slots);
    free(s);
}
