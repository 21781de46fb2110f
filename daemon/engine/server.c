/* SPDX-License-Identifier: MIT */
#include "daemon/engine/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "asupersync/types.h"
#include "daemon/engine/idmap.h"
#include "daemon/engine/report.h"

enum {
    BACKLOG = 4096,
    ACCEPTS_PER_TURN = 64,
    READS_PER_TURN = 1, /* buffers of 64 KiB */
};

/* Unread answers beyond this stop the reading of further requests. */
#define PENDING_PAUSE ((size_t)1 << 20)
/* Messages of one user hold at most about so much memory; connections that
 * hold little never suffer for others. */
#define INBOUND_PER_USER ((size_t)64 << 20)
#define OUTBOUND_PER_USER ((size_t)256 << 20)
#define LARGE ((size_t)256 << 10)
/* How long to leave the listener alone when descriptors are exhausted. */
#define ACCEPT_PAUSE_S 0.1
/* How often stuck connections are looked for. */
#define LOOK_S 1.0

struct exchange {
    struct list link;              /* in connection->held, or free */
    struct connection *connection; /* NULL: free */
    void *parked;
    uint32_t tag;
    uint32_t slot;
    uint32_t turn; /* how often this slot was used */
};

struct server {
    struct ev_loop *loop;
    struct server_options options;
    struct server_callbacks callbacks;
    int fd;
    bool listening; /* the socket at options.path is ours */
    ev_io incoming;
    ev_timer accept_again;
    ev_timer look;
    ev_prepare flush;
    struct list present;
    struct list unsent;
    struct exchange **slots;
    uint32_t slot_count; /* ever made */
    struct list free_exchanges;
    uint32_t connection_count;
    struct idmap uids;     /* uid + 1 -> connections */
    struct idmap inbound;  /* uid + 1 -> bytes on their way in */
    struct idmap outbound; /* uid + 1 -> bytes on their way out */
};

static void on_readable(struct ev_loop *loop, ev_io *w, int revents);

static uint64_t
now_ns(const struct server *s)
{
    return (uint64_t)(ev_now(s->loop) * 1e9);
}

/* ---- Connections ---------------------------------------------------------------------- */

/* Count what a connection holds now instead of what it held. */
static void
account(struct idmap *all, const struct connection *c, size_t *counted, size_t now)
{
    uint64_t key = (uint64_t)c->uid + 1;
    size_t total = idmap_number(all, key) - *counted + now;

    if (now == *counted)
        return;
    if (total == 0)
        (void)idmap_take(all, key);
    else if (!idmap_put_number(all, key, total))
        return; /* no memory to remember it: counted as before */
    *counted = now;
}

static void
connection_account(struct connection *c)
{
    struct server *s = c->server;

    account(&s->inbound, c, &c->inbound, c->sp.body ? c->sp.body_capacity : 0);
    account(&s->outbound, c, &c->outbound, sp_out_pending(&c->sp));
}

/* Whether the user's messages take more memory than they may and this
 * connection's are among the large ones. */
static bool
holds_too_much(const struct connection *c)
{
    const struct server *s = c->server;
    uint64_t key = (uint64_t)c->uid + 1;

    return (c->inbound > LARGE && idmap_number(&s->inbound, key) > INBOUND_PER_USER) ||
           (c->outbound > LARGE && idmap_number(&s->outbound, key) > OUTBOUND_PER_USER);
}

static void
connection_free(struct connection *c)
{
    struct server *s = c->server;

    ev_io_stop(s->loop, &c->in);
    ev_io_stop(s->loop, &c->out);
    list_remove(&c->node);
    list_remove(&c->unsent);
    s->callbacks.gone(s->callbacks.ctx, c);
    sp_close(&c->sp);
    connection_account(c);
    idmap_count_down(&s->uids, (uint64_t)c->uid + 1);
    s->connection_count--;
    free(c);
}

void
connection_close(struct connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    /* Not now: whoever calls may still use it. */
    ev_feed_event(c->server->loop, &c->in, EV_READ);
}

/* Watch for what this connection can do next. */
static void
connection_watch(struct connection *c)
{
    struct server *s = c->server;
    size_t pending = sp_out_pending(&c->sp);
    bool read = pending < PENDING_PAUSE;

    if (pending > 0)
        ev_io_start(s->loop, &c->out);
    else
        ev_io_stop(s->loop, &c->out);
    if (read)
        ev_io_start(s->loop, &c->in);
    else
        ev_io_stop(s->loop, &c->in);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct connection *c = w->data;

    (void)loop;
    (void)revents;
    sp_flush(&c->sp);
    if (c->sp.broken) {
        connection_free(c);
        return;
    }
    connection_account(c);
    connection_watch(c);
}

static struct connection *
connection_new(struct server *s, int fd_take)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    struct connection *c = NULL;

    if (getsockopt(fd_take, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        goto refuse;
    uint64_t key = (uint64_t)peer.uid + 1;
    if (s->connection_count >= s->options.connections_max ||
        idmap_number(&s->uids, key) >= s->options.connections_per_user)
        goto refuse;
    c = calloc(1, sizeof *c);
    if (!c || !idmap_count_up(&s->uids, key))
        goto refuse;
    c->server = s;
    c->uid = peer.uid;
    c->gid = peer.gid;
    c->pid = (uint32_t)peer.pid;
    c->moved_at_ns = now_ns(s);
    list_init(&c->held);
    list_init(&c->sessions);
    list_init(&c->unsent);
    list_append(&s->present, &c->node);
    s->connection_count++;
    sp_init(&c->sp, SP_REP, 2 * s->options.message_size_max);
    sp_accept(&c->sp, fd_take);
    ev_io_init(&c->in, on_readable, fd_take, EV_READ);
    ev_io_init(&c->out, on_writable, fd_take, EV_WRITE);
    c->in.data = c->out.data = c;
    ev_io_start(s->loop, &c->in);
    return c;
refuse:
    free(c);
    close(fd_take);
    return NULL;
}

static void
on_incoming(struct ev_loop *loop, ev_io *w, int revents)
{
    struct server *s = w->data;

    (void)revents;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)connection_new(s, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            /* No descriptor or no memory: who waits goes on waiting. */
            ev_io_stop(loop, &s->incoming);
            ev_timer_start(loop, &s->accept_again);
        }
        return;
    }
}

static void
on_accept_again(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct server *s = w->data;

    (void)revents;
    ev_io_start(loop, &s->incoming);
}

/* ---- Exchanges ------------------------------------------------------------------------ */

static struct exchange *
exchange_new(struct connection *c, uint32_t tag)
{
    struct server *s = c->server;
    struct list *l = list_take_first(&s->free_exchanges);
    struct exchange *x;

    if (l) {
        x = list_entry(l, struct exchange, link);
    } else {
        /* What parks is limited by the kernel, so this is never the limit that
         * is met first. */
        if (s->slot_count == s->options.exchanges_max || !(x = calloc(1, sizeof *x)))
            return NULL;
        x->slot = s->slot_count;
        s->slots[s->slot_count++] = x;
    }
    x->turn++;
    x->connection = c;
    x->tag = tag;
    x->parked = NULL;
    list_append(&c->held, &x->link);
    return x;
}

static void
exchange_free(struct exchange *x)
{
    struct server *s = x->connection->server;

    x->connection = NULL;
    list_remove(&x->link);
    list_append(&s->free_exchanges, &x->link);
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

    if (slot >= s->slot_count)
        return NULL;
    struct exchange *x = s->slots[slot];
    return x->connection && exchange_token(x) == token ? x : NULL;
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
    exchange_free(x);
}

void
exchange_reply(struct exchange *x, const void *data, size_t size)
{
    struct connection *c = x->connection;
    struct server *s = c->server;

    if (sp_out_pending(&c->sp) == 0)
        c->moved_at_ns = now_ns(s);
    if (sp_queue(&c->sp, x->tag, data, size) != SP_SENT)
        connection_close(c); /* the client connects and asks again */
    else if (list_empty(&c->unsent))
        list_append(&s->unsent, &c->unsent);
    exchange_free(x);
}

/* ---- Reading and writing ---------------------------------------------------------------- */

static bool
on_message(void *arg, uint32_t tag, uint8_t *body_take, size_t size)
{
    struct connection *c = arg;
    struct server *s = c->server;
    struct exchange *x = exchange_new(c, tag);

    if (!x) {
        free(body_take);
        return false;
    }
    s->callbacks.request(s->callbacks.ctx, x, body_take, size);
    free(body_take);
    return !c->closing;
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct connection *c = w->data;

    (void)loop;
    (void)revents;
    if (c->closing || !sp_read(&c->sp, READS_PER_TURN, on_message, c)) {
        sp_flush(&c->sp); /* it may still listen though it says no more */
        connection_free(c);
        return;
    }
    connection_account(c);
    if (holds_too_much(c)) {
        report(REPORT_ERROR,
               "messages of user %u take more memory than they may: a connection of pid %u is "
               "closed",
               c->uid, c->pid);
        connection_free(c);
        return;
    }
    if (sp_out_pending(&c->sp) == 0)
        c->moved_at_ns = now_ns(c->server);
    connection_watch(c);
}

/* The loop is about to sleep: let the answers out. */
static void
on_flush(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct server *s = w->data;
    struct list *l;

    (void)loop;
    (void)revents;
    while ((l = list_take_first(&s->unsent)) != NULL) {
        struct connection *c = list_entry(l, struct connection, unsent);
        sp_flush(&c->sp);
        if (c->sp.broken) {
            connection_close(c);
        } else {
            connection_account(c);
            connection_watch(c);
        }
    }
}

/* ---- Those who hold things up -------------------------------------------------------------- */

/* It has not read for too long, or not even greeted. */
static bool
is_stuck(struct connection *c, uint64_t now)
{
    size_t pending = sp_out_pending(&c->sp);

    if ((pending == 0 && c->sp.greeted) || pending < c->pending_seen)
        c->moved_at_ns = now;
    c->pending_seen = pending;
    return now - c->moved_at_ns >= c->server->options.stall_ns;
}

static void
on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct server *s = w->data;
    uint64_t now = now_ns(s);

    (void)loop;
    (void)revents;
    for (struct list *l = s->present.next; l != &s->present; l = l->next) {
        struct connection *c = list_entry(l, struct connection, node);
        if (c->closing || !is_stuck(c, now))
            continue;
        if (c->sp.greeted)
            report(REPORT_ERROR,
                   "a client of user %u (pid %u) leaves %zu bytes of answers unread: its "
                   "connection is closed",
                   c->uid, c->pid, sp_out_pending(&c->sp));
        connection_close(c);
    }
}

/* ---- Lifecycle --------------------------------------------------------------------------- */

/* The daemon's lock is held, so a socket here is a dead daemon's; anything
 * else is somebody's file. */
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
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = s->options.path;

    if (strlen(path) >= sizeof address.sun_path) {
        report(REPORT_ERROR, "%s: a socket's path may have %zu bytes; use a shorter --runtime-dir",
               path, sizeof address.sun_path - 1);
        return false;
    }
    if (!clear_path(path))
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        report(REPORT_ERROR, "cannot make the socket %s: %s", path, strerror(errno));
        return false;
    }
    s->listening = true;
    if (chmod(path, s->options.mode) != 0 || listen(s->fd, BACKLOG) != 0) {
        report(REPORT_ERROR, "cannot listen at %s: %s", path, strerror(errno));
        return false;
    }
    ev_io_init(&s->incoming, on_incoming, s->fd, EV_READ);
    s->incoming.data = s;
    ev_io_start(s->loop, &s->incoming);
    return true;
}

struct server *
server_new(struct ev_loop *loop, const struct server_options *options,
           const struct server_callbacks *callbacks)
{
    struct server *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->loop = loop;
    s->options = *options;
    s->callbacks = *callbacks;
    s->fd = -1;
    list_init(&s->present);
    list_init(&s->unsent);
    list_init(&s->free_exchanges);
    ev_timer_init(&s->accept_again, on_accept_again, ACCEPT_PAUSE_S, 0);
    ev_timer_init(&s->look, on_look, LOOK_S, LOOK_S);
    ev_prepare_init(&s->flush, on_flush);
    ev_set_priority(&s->flush, EV_MINPRI); /* after all who may answer */
    s->accept_again.data = s->look.data = s->flush.data = s;
    s->slots = calloc(s->options.exchanges_max, sizeof(struct exchange *));
    if (!s->slots || !listen_at(s)) {
        server_free(s, 0);
        return NULL;
    }
    ev_timer_start(loop, &s->look);
    ev_prepare_start(loop, &s->flush);
    return s;
}

/* Let the last answers out: who asked for the shutdown wants to hear. */
static void
linger(struct server *s, unsigned linger_ms)
{
    struct timespec end;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += linger_ms / 1000;
    end.tv_nsec += (long)(linger_ms % 1000) * 1000000;
    for (struct list *l = s->present.next; l != &s->present; l = l->next) {
        struct connection *c = list_entry(l, struct connection, node);
        for (sp_flush(&c->sp); sp_wants_out(&c->sp); sp_flush(&c->sp)) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            long left = (end.tv_sec - now.tv_sec) * 1000 + (end.tv_nsec - now.tv_nsec) / 1000000;
            struct pollfd fd = {.fd = c->sp.fd, .events = POLLOUT};
            if (left <= 0 || poll(&fd, 1, (int)left) <= 0)
                return;
        }
    }
}

void
server_free(struct server *s, unsigned linger_ms)
{
    linger(s, linger_ms);
    while (!list_empty(&s->present))
        connection_free(list_entry(s->present.next, struct connection, node));
    ev_io_stop(s->loop, &s->incoming);
    ev_timer_stop(s->loop, &s->accept_again);
    ev_timer_stop(s->loop, &s->look);
    ev_prepare_stop(s->loop, &s->flush);
    if (s->fd >= 0)
        close(s->fd);
    if (s->listening)
        unlink(s->options.path); /* nobody else's file, then */
    for (uint32_t i = 0; i < s->slot_count; i++)
        free(s->slots[i]);
    free((void *)s->slots);
    idmap_fini(&s->uids);
    idmap_fini(&s->inbound);
    idmap_fini(&s->outbound);
    free(s);
}

void
server_configure(struct server *s, const struct server_options *options)
{
    s->options.connections_max = options->connections_max;
    s->options.connections_per_user = options->connections_per_user;
    s->options.stall_ns = options->stall_ns;
}

uint32_t
server_connection_count(struct server *s)
{
    return s->connection_count;
}

struct connection *
server_next(struct server *s, const struct connection *after)
{
    struct list *next = after ? after->node.next : s->present.next;

    return next == &s->present ? NULL : list_entry(next, struct connection, node);
}
