/* SPDX-License-Identifier: MIT */
/*
 * Descriptors for tasks, handed over beside the messages: RUNTIME/stdio.sock,
 * SOCK_SEQPACKET. A client connects, sends one packet, a token of 16 bytes
 * with three descriptors, and submits a task that names the token. The engine
 * looks at the token without receiving the descriptors (a peek without a
 * control buffer leaves them in the socket), and when that task of that user
 * starts, the unread connection goes on to the keeper and the child, which
 * receives them with the user's rights. A connection that nobody claims is
 * closed when its client leaves, or after a while, and a user may have only so
 * many waiting.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_HANDOVER_H
#define ASUPERSYNC_DAEMON_ENGINE_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/state.h"

enum { HANDOVER_TOKEN_SIZE = 16 };

/* Listen. NULL after reporting why not. */
struct handover *handover_new(struct engine *e);
void handover_free(struct handover *h);
/* The connection with that token from that user, or root; the caller owns it
 * now. -1: there is none. */
int handover_take(struct handover *h, const void *token, uint32_t uid);
/* Under a new engine, for as long as its user has to hand something over: what
 * was handed to the engine before is gone, and may come again. True: the start
 * is kept and comes again to effect_execute. */
bool handover_await(struct handover *h, const struct effect *fx);
/* Close what waited too long, try again what was kept. Call about once a second. */
void handover_expire(struct handover *h, asup_time now);

#endif
