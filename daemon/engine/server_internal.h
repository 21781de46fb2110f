/* SPDX-License-Identifier: MIT */
/* What server.c (sockets and connections), exchange.c (the pool) and stall.c
 * (clients that do not read) share. */
#ifndef ASUPERSYNC_DAEMON_ENGINE_SERVER_INTERNAL_H
#define ASUPERSYNC_DAEMON_ENGINE_SERVER_INTERNAL_H

#include <pthread.h>

#include <nng/nng.h>

#include "daemon/engine/idmap.h"
#include "daemon/engine/server.h"

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
    size_t answer_size; /* while SENDING */
};

struct server {
    struct ev_loop *loop;
    struct ev_async wake;
    struct server_callbacks callbacks;
    struct server_options options;
    nng_socket socket;
    struct ev_timer stall;
    bool pressed;            /* the stall timer runs fast */
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
    size_t sending_bytes;
    bool draining;
    bool listening; /* the socket at options.path is ours */
};

/* ---- exchange.c ------------------------------------------------------------- */

bool exchange_new(struct server *s);
void exchange_free(struct exchange *x);
/* One reference less; the last one frees it. Under the lock. */
void connection_unref_locked(struct connection *c);
/* Make more when few are receiving. */
void pool_fill(struct server *s);
/* The queue's ev_async. */
void pool_on_wake(struct ev_loop *loop, struct ev_async *w, int revents);
/* Call `gone` for connections that are. */
void server_tell_departed(struct server *s);

/* ---- stall.c ------------------------------------------------------------------ */

void stall_init(struct server *s);
void stall_stop(struct server *s);
/* An answer goes out to that connection. Under the lock. True: it has piled up
 * so much that the connection must be closed now. */
bool stall_sending_locked(struct connection *c, size_t size);
/* Many answers are on their way out: look more often. On the loop. */
void stall_watch(struct server *s);

#endif
