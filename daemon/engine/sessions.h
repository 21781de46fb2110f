/* SPDX-License-Identifier: MIT */
/*
 * Sessions as the shell sees them: which secret is which session, and which
 * connections speak for it (R-SES-1). A session keeps only a digest of its
 * secret. A connection speaks for a session from the first request with its
 * secret on; when the last one is gone, the kernel starts the time to live.
 *
 * A digest for every request would be a large part of what it costs, so a
 * connection keeps the secrets it has said, as long as it and the session are
 * there; a request that says the last one again needs no digest.
 *
 * A batch that is not atomic is many steps with one request id, so the
 * kernel cannot know its repeat: its answer is kept here, for the last few
 * such batches (R-IDM-1).
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_SESSIONS_H
#define ASUPERSYNC_DAEMON_ENGINE_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/engine/list.h"
#include "daemon/engine/server.h"

struct engine;

enum {
    SESSION_SECRET_SIZE = 16,
    SESSION_BATCHES = 16,             /* answers kept */
    SESSION_BATCH_BYTES = 256 * 1024, /* of that size together */
};

struct kept_batch {
    uint64_t request;
    uint64_t digest;
    char *data; /* the whole reply */
    size_t size;
};

struct session {
    uint64_t id;
    uint8_t digest[16];
    uint32_t uid;
    struct list attachments;
    struct session *next_same;  /* another one with the same first word */
    struct kept_batch *batches; /* SESSION_BATCHES of them, made when needed */
    unsigned batch_next;
    size_t batch_bytes;
};

/* Digest of a secret: the first 16 bytes of its SHA-256. */
void session_digest(const uint8_t secret[SESSION_SECRET_SIZE], uint8_t out[16]);
/* NULL: no memory. */
struct session *session_add(struct engine *e, uint64_t id, uint32_t uid, const uint8_t digest[16]);
/* The session of a secret, if it belongs to that uid; else NULL. */
struct session *
session_find(struct engine *e, const uint8_t secret[SESSION_SECRET_SIZE], uint32_t uid);
/* The session that the connection spoke for last, if that is its secret; else
 * NULL, which says nothing about the secret. */
struct session *
session_spoken(const struct connection *c, const uint8_t secret[SESSION_SECRET_SIZE]);
/* From now on the connection speaks for the session of that secret. 0, -ASUP_ENOMEM, or
 * -ASUP_EEXPIRED: its time was over in this very moment, and `s` is gone. */
int session_attach(struct engine *e, struct session *s, const uint8_t secret[SESSION_SECRET_SIZE],
                   struct connection *c);
/* The connection is gone. */
void session_detach_all(struct engine *e, struct connection *c);
/* The kernel has ended the session. */
void session_remove(struct engine *e, uint64_t id);

const struct kept_batch *session_batch(const struct session *s, uint64_t request);
void session_keep_batch(struct session *s, uint64_t request, uint64_t digest, const void *data,
                        size_t size);

#endif
