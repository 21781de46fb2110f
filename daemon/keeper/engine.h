/* SPDX-License-Identifier: MIT */
/*
 * The engine's life, as the keeper sees it.
 *
 *   absent --start--> running --QUIESCENT--> leaving --exit--> (keeper ends)
 *      ^                 |  \------REPLACE--> replacing --exit--.
 *      \--dies or hangs-/--------------------------------------/
 *
 * A dead engine costs nothing but time: the channel is read to its end and
 * what stands in it is done, since a journal holds it; every task lives on,
 * every row stays, and a new engine is started and told all of it (greet.h).
 * Without an engine nothing is started, ended or answered, and output waits in
 * its pipes: a task that writes more than fits waits as well.
 *
 *   - Five deaths within a minute and the keeper gives up: all is killed.
 *   - One that says by its exit status, before it is ready, that it cannot
 *     start (configuration, journal, link version) is tried again after 1, 2,
 *     4 ... 32 seconds and at every reload, for as long as it takes; the very
 *     first one ends the keeper with its status, since there is nothing yet
 *     that could suffer from it.
 *   - A shutdown goes on with the new engine. While none can start, it is
 *     an end at once: all is killed.
 *   - REPLACE, an upgrade in place, counts as none of these.
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

/* What is due: heartbeat, the table, the next start. */
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

/* LINK_READY, LINK_HEARTBEAT, LINK_QUIESCENT, LINK_REPLACE came. */
void engine_became_ready(struct keeper *k);
void engine_heartbeat(struct keeper *k);
void engine_quiescent(struct keeper *k);
void engine_replace(struct keeper *k);

#endif
