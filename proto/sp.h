/* SPDX-License-Identifier: MIT */
/*
 * One end of a connection: the SP framing of REQ and REP (nanomsg, nng) over a
 * local stream socket, spoken directly. Nothing here knows what the messages
 * mean. Both the library and the engine stand on it.
 *
 *   greeting   00 'S' 'P' 00 | protocol, 16 bits | 00 00   (REQ 0x30, REP 0x31)
 *   message    01 | size, 64 bits | tag, 32 bits with the highest set | bytes
 *
 * Any nng REQ socket can be the other end. nng 1.5's own sockets are not used
 * on ours: when a connection breaks while messages are under way, its single
 * reaper thread can wait for ever, and then no socket of the process notices a
 * lost connection, connects again or can be closed; and a peer that leaves
 * during the handshake can stop its listener for good. Here a broken
 * connection is a closed descriptor.
 *
 * Never blocks. Belongs to one thread at a time.
 */
#ifndef ASUPERSYNC_PROTO_SP_H
#define ASUPERSYNC_PROTO_SP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_GREETING_SIZE 8
#define SP_HEAD_SIZE 13 /* with the tag */

/* What this end speaks; its peer speaks the other. */
enum sp_role {
    SP_REQ = 0x30,
    SP_REP = 0x31,
};

struct sp {
    int fd; /* -1: none */
    enum sp_role role;
    size_t body_size_max; /* a larger message ends the connection */
    bool greeted;         /* the peer's greeting has come */
    bool broken;          /* writing failed: what is still readable may be read */

    uint8_t head[SP_HEAD_SIZE]; /* greeting or head of a message, as far as read */
    size_t head_size;
    uint8_t *body; /* of the message whose head is complete */
    size_t body_size, body_filled, body_capacity;

    uint8_t *out; /* what the socket has not taken */
    size_t out_at, out_size, out_capacity;
};

void sp_init(struct sp *sp, enum sp_role role, size_t body_size_max);
/* Connect to a socket by its path and greet. Returns 0 or errno. */
int sp_open(struct sp *sp, const char *path);
/* Take a connected descriptor over and greet. */
void sp_accept(struct sp *sp, int fd_take);
/* Close and forget what was under way. Open or not. */
void sp_close(struct sp *sp);

enum sp_sent {
    SP_SENT,   /* it went, or is kept until the socket takes it */
    SP_UNSENT, /* the connection is `broken`: it cannot have arrived */
    SP_NOMEM,  /* likewise, since half a message is none */
};

enum sp_sent sp_send(struct sp *sp, uint32_t tag, const void *data, size_t size);
/* Keep a message for sp_flush(), so that several leave with one system call. */
enum sp_sent sp_queue(struct sp *sp, uint32_t tag, const void *data, size_t size);
/* Send what was kept. */
void sp_flush(struct sp *sp);
bool sp_wants_out(const struct sp *sp);
/* Bytes that wait for the socket to take them. */
size_t sp_out_pending(const struct sp *sp);

/* A message came; its body is the receiver's to free. Returns false to be
 * called no more: the connection is to be closed. */
typedef bool (*sp_message_fn)(void *arg, uint32_t tag, uint8_t *body_take, size_t size);

/* Read what is there, at most `reads_max` buffers of 64 KiB. Returns false when
 * the connection has ended, or the peer is not what it should be. */
bool sp_read(struct sp *sp, int reads_max, sp_message_fn fn, void *arg);

#endif
