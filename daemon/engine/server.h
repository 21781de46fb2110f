/* SPDX-License-Identifier: MIT */
/*
 * The socket: nng REP0 with a pool of contexts.
 *
 * An exchange is one nng context with one aio. It goes round:
 *
 *     receiving --> queued --> held by the loop --> sending --> receiving
 *                                   |   (a wait stays held: "parked")
 *                                   `-> dropped: nobody is there to answer
 *
 * nng's threads run the callbacks; those only move the exchange to the queue
 * and wake the loop, or start receiving anew once an answer is out. All else
 * happens on the loop. At least one exchange is always receiving, else nng
 * would not even notice that a client is gone; the pool grows while requests
 * are parked and shrinks afterwards.
 *
 * A connection is an nng pipe with its peer's credentials. Connections beyond
 * the caps are closed before they are added (R-SCH-4). It lives until it is
 * gone and no exchange names it any more; once `gone` was called for it, no
 * request of it follows.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_SERVER_H
#define ASUPERSYNC_DAEMON_ENGINE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "daemon/engine/list.h"

struct server;
struct exchange;

struct connection {
    struct server *server;
    uint32_t pipe;
    uint32_t uid, gid, pid;
    /* Owned by the loop. */
    struct list held;          /* exchanges the loop holds */
    struct list sessions;      /* struct attachment, see sessions.h */
    bool told;                 /* `gone` was called */
    uint64_t stalled_since;    /* loop time at which answers began to pile up; 0: they do not */
    uint32_t stalled_progress; /* what `progress` was then */
    /* Owned by the server, under its lock. */
    struct list node;     /* all that are there */
    uint32_t references;  /* exchanges, and one for being there */
    uint32_t sending;     /* answers on their way out */
    size_t sending_bytes; /* and their sizes together */
    uint32_t progress;    /* answers that went out */
    bool gone;
    bool cut_off; /* it is being closed because it does not read */
};

struct server_callbacks {
    /* A request came. Before this returns or later, exchange_reply or
     * exchange_drop is owed for it. */
    void (*request)(void *ctx, struct exchange *x, const void *data, size_t size);
    /* A connection is gone; what it held must be dropped now. */
    void (*gone)(void *ctx, struct connection *c);
    void *ctx;
};

struct server_options {
    const char *path;        /* of the socket */
    uint32_t mode;           /* its permissions */
    size_t message_size_max; /* requests beyond twice that end the connection */
    uint32_t connections_max;
    uint32_t connections_per_user;
    uint32_t exchanges_max;
    uint64_t stall_ns;
};

/* Listen. Returns NULL after reporting why not. */
struct server *server_new(struct ev_loop *loop, const struct server_options *options,
                          const struct server_callbacks *callbacks);
/* Close the socket, wait until answers that are on their way are out (at most
 * that long), and free everything. */
void server_free(struct server *s, unsigned linger_ms);

/* New caps from a reloaded configuration; those that need a restart stay. */
void server_configure(struct server *s, const struct server_options *options);
uint32_t server_connection_count(struct server *s);
/* Close it; `gone` follows. */
void connection_close(struct connection *c);

struct connection *exchange_connection(const struct exchange *x);
/* A number for this exchange while it is held; never 0, not soon used again. */
uint64_t exchange_token(const struct exchange *x);
/* The exchange of a token, if it is still the same request; else NULL. */
struct exchange *server_exchange(struct server *s, uint64_t token);
/* The exchange of a link in connection->held. */
struct exchange *exchange_of_link(struct list *link);
/* A place for what is parked; NULL at first. Whoever sets it frees it. */
void **exchange_parked(struct exchange *x);

void exchange_reply(struct exchange *x, const void *data, size_t size);
void exchange_drop(struct exchange *x);

#endif
