/* SPDX-License-Identifier: MIT */
/*
 * The engine's life, as the keeper sees it.
 *
 *   absent --start--> running --QUIESCENT--> leaving --exit--> (keeper ends)
 *                        \--dies or hangs--> clearing --all gone--> absent
 *
 * A dead engine costs its tasks: the channel is read to its end, the whole
 * tree is killed with one cgroup.kill, and only when nothing of it is left
 * does a new engine start, which finds an empty table. Five deaths within a
 * minute and the keeper gives up.
 */
#ifndef ASUPERSYNC_KEEPER_ENGINE_H
#define ASUPERSYNC_KEEPER_ENGINE_H

#include "daemon/keeper/state.h"

/* Start it: 0 or -errno. */
int engine_start(struct keeper *k);

/* Its pidfd became readable. */
void engine_ended(struct keeper *k);

/* Its channel has packets, or room. */
void engine_link_ready(struct keeper *k);

/* What is due: heartbeat, clearing. */
void engine_turn(struct keeper *k);
uint64_t engine_next_at(const struct keeper *k);

/* Send, or keep until there is room: 0 or negative (there is no engine, or it
 * has not read for very long). `fd` is lent. */
int engine_send(struct keeper *k, struct link_message *message, int fd);

/* It broke the protocol, or cannot be served: it is killed. */
void engine_fault(struct keeper *k, const char *what);

/* LINK_SHUTDOWN, LINK_RELOAD; kept for the next engine where there is none. */
void engine_shut_down(struct keeper *k);
void engine_reload(struct keeper *k);
/* LINK_HELLO once more: what it says may have changed. */
void engine_tell(struct keeper *k);

/* LINK_READY, LINK_HEARTBEAT, LINK_QUIESCENT came. */
void engine_became_ready(struct keeper *k);
void engine_heartbeat(struct keeper *k);
void engine_quiescent(struct keeper *k);

#endif
