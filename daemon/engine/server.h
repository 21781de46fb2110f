/* SPDX-License-Identifier: MIT */
/*
 * The socket: REP over a local stream socket (proto/sp.h), on the loop.
 *
 * An exchange is one request that is owed an answer:
 *
 *     came --> held by the loop --> answered
 *                   |   (a wait stays held: "parked")
 *                   `-> dropped: nobody is there to answer
 *
 * A connection is a peer with its credentials. Connections beyond the caps are
 * closed before they are heard (R-SCH-4). Once `gone` was called for it, no
 * request of it follows, and it is freed when that returns.
 *
 * Nobody can hold up the others: each connection has its turn with one buffer
 * of input; one that leaves its answers unread is not read from while they
 * pile up, and closed when none of them moves for `stall_ns`; one that says
 * nothing of SP for as long is closed, too, and so is whoever makes the messages
 * of its user take more memory than they may. Answers leave when the loop is
 * about to sleep, all of one connection with one system call.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_SERVER_H
#define ASUPERSYNC_DAEMON_ENGINE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "daemon/engine/list.h"
#include "proto/sp.h"

struct server;
struct exchange;
struct policy_rule;

struct connection {
    struct server *server;
    uint32_t uid, gid, pid;
    struct list held;     /* exchanges the loop holds */
    struct list sessions; /* struct attachment, see sessions.h */
    /* See standing.h. */
    const struct policy_rule *rule; /* of the policy that was in force ... */
    uint64_t rule_at;               /* ... after so many changes, less 1; 0: not looked for */

    /* The server's own. */
    struct list node;   /* all that are there */
    struct list unsent; /* those with answers to flush */
    struct sp sp;
    ev_io in, out;
    size_t inbound;       /* bytes of a message on its way in, as counted */
    size_t outbound;      /* bytes of answers on their way out, as counted */
    size_t pending_seen;  /* unread bytes when they were last looked at */
    uint64_t moved_at_ns; /* loop time at which something last moved */
    bool closing;         /* no more requests: it goes with the next turn */
};

struct server_callbacks {
    /* A request came. Before this returns or later, exchange_reply or
     * exchange_drop is owed for it. The data is good until it returns. */
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
/* Connections in order of their coming: the one after that, NULL begins; NULL: no more. */
struct connection *server_next(struct server *s, const struct connection *after);
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
