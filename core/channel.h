/* SPDX-License-Identifier: MIT */
/*
 * Two-phase channels (§4), what their parts share.
 *
 * A sender reserves a permit for one slot and then sends into it or aborts it;
 * a receiver is given a message with an Ack, and commits or nacks it. Permits
 * and Acks are obligations and live in the obligation core, which says here
 * when one has ended without its holder's doing (a leak, a timeout, the close
 * of the region); capacity bounds queued + permits + unacknowledged.
 *
 *     channel.c     open, seal, reserve, send; who may use a channel when
 *     delivery.c    receive, ack, nack, extend, and who is parked
 *     dead.c        dead letters: retry, discard, retention; the end of a channel
 *     message.c     the order of messages
 *     apply_channel.c   the only writer
 *     query_channel.c   views, invariants, digest
 */
#ifndef ASUPERSYNC_CORE_CHANNEL_H
#define ASUPERSYNC_CORE_CHANNEL_H

#include "core/obligation.h"

static inline struct channel *
channel_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->channels.records, i);
}

static inline struct message *
message_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->channels.messages, i);
}

static inline struct history *
history_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->channels.histories, i);
}

static inline uint32_t
message_of_id(const struct kernel *k, uint64_t id)
{
    return id == 0 ? NIL : index_find(&k->channels.message_ids, id);
}

static inline bool
channel_live(const struct channel *c)
{
    return (c->flags & CHANNEL_CLOSED) == 0;
}

/* What takes up capacity. */
static inline uint64_t
channel_load(const struct channel *c)
{
    return (uint64_t)c->queued + c->permits + c->unacked;
}

/* message.c */
void messages_append(struct kernel *k, struct channel *c, uint32_t i);
void messages_unlink(struct kernel *k, struct channel *c, uint32_t i);
void messages_came_back(struct kernel *k, struct channel *c, uint32_t i);
/* The queued one that is received next, NIL: none; and it leaves the queue. */
uint32_t messages_next(const struct channel *c);
void messages_take(struct kernel *k, struct channel *c);

/* channel.c */
struct event event_of_channel(enum event_kind kind, const struct kernel *k, uint32_t channel);
struct event event_of_message(enum event_kind kind, const struct kernel *k, uint32_t message);
/* The live channel a request names, as one its caller may use; NIL: refused. */
uint32_t
channel_lookup(const struct kernel *k, const struct input *in, uint64_t id, struct refusal *why);
/* Whether a new message may come in: not sealed, and room for its dead letter. */
int channel_intake(const struct kernel *k, const struct channel *c, struct refusal *why);
/* Room for a permit or message. */
int channel_room(const struct channel *c, struct refusal *why);
/* The obligation a request is about, if the caller holds it and it is of that kind
 * (enum asup_obligation_kind); else NIL. */
uint32_t held_as(const struct kernel *k, const struct input *in, uint8_t kind, struct refusal *why);
/* Give the caller a permit. Memory was reserved. */
struct asup_ref permit_give(struct kernel *k, uint32_t channel, const struct caller *who);

/* delivery.c */
bool delivery_reserve(struct kernel *k);
/* Hand over the next message. Memory was reserved. */
struct asup_ref
deliver(struct kernel *k, uint32_t channel, const struct caller *who, uint64_t ack_timeout_ns);
/* A message comes back, or is a dead letter by it. */
void message_return(struct kernel *k, uint32_t message, struct asup_ref holder, uint8_t why,
                    struct bytes note);

/* dead.c */
void message_die(struct kernel *k, uint32_t message, struct asup_ref holder, uint8_t why,
                 struct bytes note);

#endif
