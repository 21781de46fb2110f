/* SPDX-License-Identifier: MIT */
#include "daemon/engine/handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/engine/effects.h"
#include "daemon/engine/report.h"

enum { ACCEPTS_PER_TURN = 32, HANGUPS_PER_TURN = 32, BACKLOG = 128 };

struct waiting {
    struct handover *handover;
    struct list link;
    struct ev_io readable; /* until the token is there */
    uint32_t uid;
    asup_time since;
    bool has_token;
    uint8_t token[HANDOVER_TOKEN_SIZE];
};

/* A start whose streams are not there yet. */
struct awaited {
    struct list link;
    struct effect fx;
    char spec[];
};

struct handover {
    struct engine *engine;
    struct list awaited;
    struct ev_io listener;
    struct ev_io hangups; /* an epoll of those that have said their token */
    char path[128];
    struct list waiting;
};

static void
waiting_free(struct waiting *w, bool close_it)
{
    struct engine *e = w->handover->engine;

    ev_io_stop(e->loop, &w->readable);
    /* The connection may live on elsewhere, and would still be watched. */
    if (w->has_token)
        (void)epoll_ctl(w->handover->hangups.fd, EPOLL_CTL_DEL, w->readable.fd, NULL);
    if (close_it)
        logs_close(e->logs, w->readable.fd); /* the descriptors in it may block */
    list_remove(&w->link);
    free(w);
}

static void
on_readable(struct ev_loop *loop, struct ev_io *io, int revents)
{
    struct waiting *w = io->data;
    uint8_t token[HANDOVER_TOKEN_SIZE + 1];

    (void)revents;
    ssize_t size = recv(io->fd, token, sizeof token, MSG_PEEK | MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size != HANDOVER_TOKEN_SIZE) {
        waiting_free(w, true); /* gone, or no token */
        return;
    }
    memcpy(w->token, token, sizeof w->token);
    w->has_token = true;
    /* It stays readable; from now on only its end is of interest. */
    ev_io_stop(loop, io);
    (void)epoll_ctl(w->handover->hangups.fd, EPOLL_CTL_ADD, io->fd,
                    &(struct epoll_event){.data.ptr = w});
}

/* Who leaves before its task has started takes its descriptors back: others
 * may wait for their end, such as a shell for the output of a command that
 * was refused. */
static void
on_hangup(struct ev_loop *loop, struct ev_io *io, int revents)
{
    struct epoll_event gone[HANGUPS_PER_TURN];

    (void)loop;
    (void)revents;
    int count = epoll_wait(io->fd, gone, HANGUPS_PER_TURN, 0);
    for (int i = 0; i < count; i++)
        waiting_free(gone[i].data.ptr, true);
}

static uint32_t
count_of(const struct handover *h, uint32_t uid)
{
    uint32_t count = 0;

    for (struct list *l = h->waiting.next; l != &h->waiting; l = l->next)
        count += list_entry(l, struct waiting, link)->uid == uid;
    return count;
}

static void
accept_one(struct handover *h, int fd)
{
    struct engine *e = h->engine;
    struct ucred peer;
    socklen_t peer_size = sizeof peer;
    struct waiting *w = NULL;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0 &&
        count_of(h, peer.uid) < e->config.unclaimed_per_user)
        w = calloc(1, sizeof *w);
    if (!w) {
        logs_close(e->logs, fd);
        return;
    }
    w->handover = h;
    w->uid = peer.uid;
    w->since = engine_now(e);
    list_append(&h->waiting, &w->link);
    ev_io_init(&w->readable, on_readable, fd, EV_READ);
    w->readable.data = w;
    ev_io_start(e->loop, &w->readable);
    /* Usually it is there already, and the submit is close behind. */
    on_readable(e->loop, &w->readable, EV_READ);
}

static void
on_connection(struct ev_loop *loop, struct ev_io *io, int revents)
{
    struct handover *h = io->data;

    (void)loop;
    (void)revents;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        accept_one(h, fd);
    }
}

int
handover_take(struct handover *h, const void *token, uint32_t uid)
{
    struct list *next;

    /* The submit may have overtaken the connection or its packet. */
    on_connection(h->engine->loop, &h->listener, EV_READ);
    for (struct list *l = h->waiting.next; l != &h->waiting; l = next) {
        struct waiting *w = list_entry(l, struct waiting, link);
        next = l->next;
        if (!w->has_token)
            on_readable(h->engine->loop, &w->readable, EV_READ);
    }
    for (struct list *l = h->waiting.next; l != &h->waiting; l = next) {
        struct waiting *w = list_entry(l, struct waiting, link);
        next = l->next;
        if (!w->has_token || (w->uid != uid && w->uid != 0) ||
            memcmp(w->token, token, sizeof w->token) != 0)
            continue;
        int fd = w->readable.fd;
        waiting_free(w, false);
        return fd;
    }
    return -1;
}

bool
handover_await(struct handover *h, const struct effect *fx)
{
    const struct engine *e = h->engine;

    if (e->hello.engine_runs < 2 || engine_now(e) >= e->started_at + e->config.unclaimed_ns)
        return false;
    struct awaited *a = malloc(sizeof *a + fx->spec.size);
    if (!a)
        return false;
    a->fx = *fx;
    memcpy(a->spec, fx->spec.data, fx->spec.size);
    a->fx.spec.data = a->spec;
    list_append(&h->awaited, &a->link);
    return true;
}

/* Those that still find nothing are kept again, or fail for good. */
static void
try_awaited(struct handover *h)
{
    const struct list *last = h->awaited.prev;
    bool more = !list_empty(&h->awaited);

    while (more) {
        struct list *l = list_take_first(&h->awaited);
        struct awaited *a = list_entry(l, struct awaited, link);
        more = l != last;
        effect_execute(h->engine, &a->fx);
        free(a);
    }
}

void
handover_expire(struct handover *h, asup_time now)
{
    struct list *next;

    for (struct list *l = h->waiting.next; l != &h->waiting; l = next) {
        struct waiting *w = list_entry(l, struct waiting, link);
        next = l->next;
        if (now - w->since >= h->engine->config.unclaimed_ns)
            waiting_free(w, true);
    }
    try_awaited(h);
}

struct handover *
handover_new(struct engine *e)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct handover *h = calloc(1, sizeof *h);
    struct stat st;
    int hangups_fd;
    int fd = -1;

    if (!h)
        return NULL;
    h->engine = e;
    list_init(&h->waiting);
    list_init(&h->awaited);
    int size = snprintf(h->path, sizeof h->path, "%s/stdio.sock", e->options.runtime_dir);
    if (size < 0 || (size_t)size >= sizeof address.sun_path) {
        report(REPORT_ERROR, "%s: a socket's path may have 107 bytes; use a shorter --runtime-dir",
               h->path);
        goto fail;
    }
    memcpy(address.sun_path, h->path, (size_t)size + 1);
    if (lstat(h->path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        report(REPORT_ERROR, "%s is in the way and is not a socket: move it away", h->path);
        goto fail;
    }
    unlink(h->path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(h->path, e->options.user_mode ? 0600 : 0666) != 0 || listen(fd, BACKLOG) != 0) {
        report(REPORT_ERROR, "cannot listen at %s: %s", h->path, strerror(errno));
        goto fail;
    }
    hangups_fd = epoll_create1(EPOLL_CLOEXEC);
    if (hangups_fd < 0) {
        report(REPORT_ERROR, "cannot watch %s: %s", h->path, strerror(errno));
        goto fail;
    }
    ev_io_init(&h->hangups, on_hangup, hangups_fd, EV_READ);
    ev_io_start(e->loop, &h->hangups);
    ev_io_init(&h->listener, on_connection, fd, EV_READ);
    h->listener.data = h;
    ev_io_start(e->loop, &h->listener);
    return h;
fail:
    if (fd >= 0)
        close(fd);
    free(h);
    return NULL;
}

void
handover_free(struct handover *h)
{
    if (!h)
        return;
    struct list *l;
    while ((l = list_take_first(&h->waiting)) != NULL)
        waiting_free(list_entry(l, struct waiting, link), true);
    while ((l = list_take_first(&h->awaited)) != NULL)
        free(list_entry(l, struct awaited, link));
    ev_io_stop(h->engine->loop, &h->hangups);
    close(h->hangups.fd);
    ev_io_stop(h->engine->loop, &h->listener);
    close(h->listener.fd);
    unlink(h->path);
    free(h);
}
