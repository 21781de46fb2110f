/* SPDX-License-Identifier: MIT */
/*
 * One connection to a daemon: nng's SP framing of REQ over a local socket,
 * spoken directly. Nothing here knows what the messages mean.
 *
 *   greeting   00 'S' 'P' 00 | protocol, 16 bits | 00 00   (REQ 0x30, REP 0x31)
 *   message    01 | size, 64 bits | tag, 32 bits with the highest set | bytes
 *
 * nng 1.5's own sockets are not used for it: when a connection breaks while
 * requests and answers are under way, its single reaper thread can wait for
 * ever, and then no socket of the process connects again or can be closed.
 * Here a broken connection is a closed descriptor.
 *
 * Never blocks. Belongs to one thread at a time.
 */
#ifndef ASUPERSYNC_CLIENT_CONN_H
#define ASUPERSYNC_CLIENT_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_GREETING_SIZE 8
#define CONN_HEAD_SIZE 13 /* with the tag */

struct conn {
    int fd;       /* -1: none */
    bool greeted; /* the peer's greeting has come */
    bool broken;  /* writing failed: what is still readable may be read */

    uint8_t head[CONN_HEAD_SIZE]; /* greeting or head of a message, as far as read */
    size_t head_size;
    uint8_t *body; /* of the message whose head is complete */
    size_t body_size, body_filled;

    uint8_t *out; /* what the socket did not take at once */
    size_t out_at, out_size, out_capacity;
};

void conn_init(struct conn *conn);
/* Connect to a socket by its path and greet. Returns 0 or errno. */
int conn_open(struct conn *conn, const char *path);
/* Close and forget what was under way. Open or not. */
void conn_close(struct conn *conn);

enum conn_sent {
    CONN_SENT,   /* it went, or is kept until the socket takes it */
    CONN_UNSENT, /* the connection is `broken`: it cannot have arrived */
    CONN_NOMEM,  /* likewise, since half a message is none */
};

enum conn_sent conn_send(struct conn *conn, uint32_t tag, const void *data, size_t size);
/* Send what was kept. */
void conn_flush(struct conn *conn);
bool conn_wants_out(const struct conn *conn);

/* A message came; its body is the receiver's to free. */
typedef void (*conn_message_fn)(void *arg, uint32_t tag, uint8_t *body_take, size_t size);

/* Read what is there, at most a fair amount of it. Returns false when the
 * connection has ended or the peer is not a REP that makes sense. */
bool conn_read(struct conn *conn, conn_message_fn fn, void *arg);

#endif
