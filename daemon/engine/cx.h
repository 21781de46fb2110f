/* SPDX-License-Identifier: MIT */
/*
 * Capability tokens: what stands for a capability on the wire (R-CAP-1).
 *
 *     6 bytes   a bit for the sort (a task's own, or a derived one), 47 bits of id
 *     10 bytes  of HMAC-SHA256(key, those 6 bytes)
 *
 * The key is made at the first start and kept in STATE/key, for the engine's
 * user alone, so a token is the same after a restart and nobody has to keep it:
 * the kernel, the events and the logs know ids only. Which capability there is,
 * and what it may, the kernel says; here is only whether the token is genuine.
 *
 * Possession is what counts, and beside it the peer: a token is taken from the
 * user whose it is, from the user its task runs as, and from root and the
 * daemon's owner. So one that got out (a log, an argument that others can read)
 * is of no use to another user.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_CX_H
#define ASUPERSYNC_DAEMON_ENGINE_CX_H

#include <stdbool.h>
#include <stdint.h>

#include <sha2.h>

enum { CX_TOKEN_SIZE = 16, CX_TEXT_SIZE = 2 * CX_TOKEN_SIZE + 1 };

/* The key, as the two hashes that an HMAC begins with. */
struct cx_key {
    SHA2_CTX inner, outer;
};

enum cx_sort { CX_TASK, CX_DERIVED };

/* Read STATE/key, or make it. False: it cannot be read or written, and was reported. */
bool cx_open(struct cx_key *key, const char *state_dir);
void cx_close(struct cx_key *key);

void cx_token(const struct cx_key *key, enum cx_sort sort, uint64_t id, uint8_t out[CX_TOKEN_SIZE]);
/* The same in hexadecimal digits. */
void cx_text(const struct cx_key *key, enum cx_sort sort, uint64_t id, char out[CX_TEXT_SIZE]);
/* Whether the token is one that was given out under this key, and for what. In a time that does
 * not tell how much of it was right. */
bool cx_verify(const struct cx_key *key, const uint8_t token[CX_TOKEN_SIZE], enum cx_sort *sort,
               uint64_t *id);

#endif
