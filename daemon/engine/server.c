/* SPDX-License-Identifier: MIT */
#include "daemon/engine/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "daemon/engine/report.h"
#include "daemon/engine/server_internal.h"

/* ---- On nng's threads ------------------------------------------------------- */

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
            idmap_number(&s->uids, key) < s->options.connections_per_user &&
            idmap_put(&s->pipes, pipe.id, c)) {
            if (idmap_count_up(&s->uids, key)) {
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
        idmap_count_down(&s->uids, (uint64_t)c->uid + 1);
        s->connection_count--;
        c->gone = true;
        list_remove(&c->node);
        list_append(&s->departed, &c->node);
    }
    pthread_mutex_unlock(&s->lock);
    if (c)
        ev_async_send(s->loop, &s->wake);
}

void
connection_close(struct connection *c)
{
    nng_pipe_close((nng_pipe){.id = c->pipe});
}

void
server_tell_departed(struct server *s)
{
    for (;;) {
        pthread_mutex_lock(&s->lock);
        struct list *l = list_take_first(&s->departed);
        pthread_mutex_unlock(&s->lock);
        if (!l)
            return;
        struct connection *c = list_entry(l, struct connection, node);
        c->told = true;
        s->callbacks.gone(s->callbacks.ctx, c);
        pthread_mutex_lock(&s->lock);
        connection_unref_locked(c);
        pthread_mutex_unlock(&s->lock);
    }
}

uint32_t
server_connection_count(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    uint32_t count = s->connection_count;
    pthread_mutex_unlock(&s->lock);
    return count;
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
    int rc = 0;

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
    ev_async_init(&s->wake, pool_on_wake);
    s->wake.data = s;
    if (!s->slots || (rc = nng_rep0_open(&s->socket)) != 0) {
        report(REPORT_ERROR, "cannot make the socket: %s",
               s->slots ? nng_strerror(rc) : "no memory");
        goto fail;
    }
    ev_async_start(loop, &s->wake);
    stall_init(s);
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
        if (s->slots[i])
            nng_aio_stop(s->slots[i]->aio); /* waits for its callback */
    }
    /* Nobody but this thread is left. */
    pthread_mutex_lock(&s->lock);
    list_init(&s->queue);
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < s->slot_count; i++) {
        struct exchange *x = s->slots[i];
        if (!x)
            continue;
        if (x->message)
            nng_msg_free(x->message);
        exchange_free(x);
    }
    ev_async_stop(s->loop, &s->wake);
    stall_stop(s);
    pthread_mutex_lock(&s->lock);
    struct list *l;
    while ((l = list_take_first(&s->departed)) != NULL)
        free(list_entry(l, struct connection, node));
    idmap_fini(&s->pipes);
    idmap_fini(&s->uids);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_destroy(&s->lock);
    if (s->listening)
        unlink(s->options.path); /* nobody else's file, then */
    free((void *)s->slots);
    free(s);
}
