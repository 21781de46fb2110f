/* SPDX-License-Identifier: MIT */
/*
 * Channels (§4).
 *
 *   channel-atomic  a message is sent whole or not at all; queued, permits and
 *                   unacknowledged stay within the capacity; a sealed channel
 *                   takes nothing but what had a permit; order is first in first
 *                   out, and what comes back has its old place
 *   message-lost    every message is queued, with a receiver, consumed by its
 *                   commit, or a dead letter until it is discarded
 */
#include <string.h>

#include "lab/oracle_internal.h"

enum seen_message_state { SEEN_QUEUED, SEEN_OUT, SEEN_DEAD };

struct seen_message {
    uint64_t id, channel;
    uint64_t order; /* place in its channel */
    uint8_t state;
    asup_time dead_until;
};

struct seen_channel {
    uint64_t id, region;
    uint32_t capacity; /* 0: not known */
    uint64_t dead_retention_ns;
    bool sealed;
    bool learned; /* places are not known */
    uint32_t queued, unacked, permits;
    struct due_queue queue; /* messages by their places, with some that are gone */
};

static void
atomic(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_CHANNEL_ATOMIC);
    if (!fine)
        complain(o, ASUP_ORACLE_CHANNEL_ATOMIC, ev, "%s", promise);
}

static void
kept(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_MESSAGE_LOST);
    if (!fine)
        complain(o, ASUP_ORACLE_MESSAGE_LOST, ev, "%s", promise);
}

static struct seen_channel *
channel(const struct oracles *o, uint64_t id)
{
    return idmap_find(&o->channels, id);
}

/* ---- Queues ------------------------------------------------------------------------------ */

static void
enqueue(struct seen_channel *c, struct seen_message *m)
{
    m->state = SEEN_QUEUED;
    c->queued++;
    due_add(&c->queue, m->order, m->id);
}

/* The message whose turn it is; 0: none. */
static uint64_t
first_of(const struct oracles *o, struct seen_channel *c)
{
    const struct due *first;
    struct due gone;

    while ((first = due_first(&c->queue)) != NULL) {
        const struct seen_message *m = idmap_find(&o->messages, first->id);

        if (m != NULL && m->state == SEEN_QUEUED && m->order == first->at && m->channel == c->id)
            return m->id;
        (void)due_take(&c->queue, ASUP_NEVER, &gone);
    }
    return 0;
}

/* ---- Messages ------------------------------------------------------------------------------ */

/* Into a permit: it was committed just before, in this step. */
static bool
had_permit(const struct oracles *o, const struct event *ev)
{
    return o->permit_channel == ev->value && o->permit_channel != 0;
}

static void
sent(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct seen_message *m = idmap_add(&o->messages, ev->subject);
    struct seen_channel *c = channel(o, ev->value);
    struct message_view v;

    m->channel = ev->value;
    m->order = ++o->order_last;
    atomic(o, ev, c != NULL, "R-REG-1: a message is sent into a channel that is there");
    if (c == NULL)
        return;
    atomic(o, ev, !c->sealed || had_permit(o, ev), "§4: a sealed channel takes in nothing new");
    if (s->in != NULL && s->in->kind == IN_CHANNEL_SEND) {
        struct bytes data = s->in->u.send.data;

        atomic(o, ev, s->reply == NULL || s->reply->code == 0,
               "R-EVT-2: a send that is refused sends nothing");
        if (kernel_message(s->k, ev->subject, &v))
            atomic(o, ev,
                   v.data.size == data.size &&
                       (data.size == 0 || memcmp(v.data.data, data.data, data.size) == 0),
                   "§4: a message is sent whole");
    }
    enqueue(c, m);
    o->permit_channel = 0;
}

static void
received(struct oracles *o, const struct event *ev, struct seen_message *m, struct seen_channel *c)
{
    kept(o, ev, m->state == SEEN_QUEUED, "§4: a message goes to one receiver at a time");
    if (!c->learned)
        atomic(o, ev, first_of(o, c) == m->id,
               "§4: order is first in first out, and what comes back has its old place");
    if (m->state == SEEN_QUEUED)
        c->queued--;
    m->state = SEEN_OUT;
    c->unacked++;
}

static void
left(struct seen_message *m, struct seen_channel *c)
{
    if (m->state == SEEN_OUT)
        c->unacked--;
    else if (m->state == SEEN_QUEUED)
        c->queued--;
}

static void
died(struct oracles *o, const struct event *ev, struct seen_message *m, struct seen_channel *c)
{
    const struct seen_region *r = model_region(&o->model, c->region);

    kept(o, ev, m->state == SEEN_OUT || (r != NULL && r->state == ASUP_REGION_FINALIZING),
         "§4: what is queued dies with its region alone");
    left(m, c);
    m->state = SEEN_DEAD;
    m->dead_until =
        ev->at > ASUP_NEVER - c->dead_retention_ns ? ASUP_NEVER : ev->at + c->dead_retention_ns;
}

static void
retried(struct oracles *o, const struct event *ev, struct seen_message *m)
{
    struct seen_channel *to = channel(o, ev->value);

    kept(o, ev, m->state == SEEN_DEAD, "§4: dead letters are retried");
    atomic(o, ev, to != NULL && !to->sealed, "§4: a sealed channel takes in nothing new");
    m->channel = ev->value;
    m->order = ++o->order_last;
    if (to != NULL)
        enqueue(to, m);
}

static void
discarded(struct oracles *o, const struct judged_step *s, const struct event *ev,
          const struct seen_message *m)
{
    bool asked = s->in == NULL || (s->in->kind == IN_DEAD_DISCARD && s->in->subject == ev->subject);

    kept(o, ev, m->state == SEEN_DEAD, "§4: only a dead letter is discarded");
    kept(o, ev, asked || m->dead_until <= ev->at || m->dead_until == 0,
         "§4: a dead letter is kept until it is discarded or its retention ends");
    idmap_drop(&o->messages, ev->subject);
}

static void
message_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct seen_message *m = idmap_find(&o->messages, ev->subject);
    struct seen_channel *c = m == NULL ? NULL : channel(o, m->channel);

    if (ev->kind == EV_MESSAGE_SENT) {
        sent(o, s, ev);
        return;
    }
    kept(o, ev, m != NULL, "§4: what is consumed or discarded is over");
    if (m == NULL)
        return;
    if (ev->kind == EV_MESSAGE_RETRIED) {
        retried(o, ev, m);
        return;
    }
    if (ev->kind == EV_MESSAGE_DISCARDED) {
        discarded(o, s, ev, m);
        return;
    }
    kept(o, ev, c != NULL, "§4: a message that is no dead letter is in a channel");
    if (c == NULL)
        return;
    switch (ev->kind) {
    case EV_MESSAGE_RECEIVED:
        received(o, ev, m, c);
        break;
    case EV_MESSAGE_CONSUMED:
        kept(o, ev, m->state == SEEN_OUT && o->ack_committed == m->id,
             "§4: a message is consumed by the commit of its ack");
        left(m, c);
        idmap_drop(&o->messages, m->id);
        break;
    case EV_MESSAGE_RETURNED:
        kept(o, ev, m->state == SEEN_OUT, "§4: what comes back was with a receiver");
        left(m, c);
        enqueue(c, m);
        break;
    case EV_MESSAGE_DEAD:
        died(o, ev, m, c);
        break;
    default:
        break;
    }
}

/* ---- Channels ------------------------------------------------------------------------------- */

static void
channel_learn(const struct kernel *k, struct seen_channel *c)
{
    struct channel_view v;

    if (!kernel_channel(k, c->id, &v))
        return;
    c->region = v.region;
    c->capacity = v.capacity;
    c->dead_retention_ns = v.dead_retention_ns;
}

static void
channel_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct seen_channel *c;

    if (ev->kind == EV_CHANNEL_OPENED) {
        c = idmap_add(&o->channels, ev->subject);
        channel_learn(s->k, c);
        c->region = ev->region;
        return;
    }
    c = channel(o, ev->subject);
    if (c == NULL)
        return;
    if (ev->kind == EV_CHANNEL_SEALED) {
        atomic(o, ev, !c->sealed, "§4: a channel is sealed once");
        c->sealed = true;
        return;
    }
    kept(o, ev, c->queued == 0 && c->unacked == 0,
         "§4: a channel closes when each of its messages is consumed or a dead letter");
    due_fini(&c->queue);
    idmap_drop(&o->channels, ev->subject);
}

/* Permits and acks. */
static void
obligation_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_obligation *b = model_obligation(&o->model, ev->subject);
    struct obligation_view v;
    struct seen_channel *c;

    if (ev->value != ASUP_OBLIGATION_SEND_PERMIT && ev->value != ASUP_OBLIGATION_ACK)
        return;
    if (ev->kind == EV_OBLIGATION_RESERVED) {
        if (ev->value == ASUP_OBLIGATION_SEND_PERMIT && kernel_obligation(s->k, ev->subject, &v)) {
            c = channel(o, v.channel);
            atomic(o, ev, c != NULL && !c->sealed, "§4: a sealed channel gives no permits");
            if (c != NULL)
                c->permits++;
        }
        return;
    }
    if (b == NULL || !b->known)
        return;
    c = channel(o, b->channel);
    if (b->kind == ASUP_OBLIGATION_SEND_PERMIT) {
        if (c != NULL && c->permits > 0)
            c->permits--;
        if (ev->kind == EV_OBLIGATION_COMMITTED)
            o->permit_channel = b->channel;
    } else if (ev->kind == EV_OBLIGATION_COMMITTED) {
        o->ack_committed = b->message;
    } else {
        o->ack_lost = b->message;
    }
}

/* After the end of a permit or ack its message moves, at once; NULL: nothing more came. */
static void
owed(struct oracles *o, const struct event *ev)
{
    enum event_kind kind = ev == NULL ? EV_TICK : ev->kind;

    if (o->ack_lost != 0) {
        kept(o, ev,
             (kind == EV_MESSAGE_RETURNED || kind == EV_MESSAGE_DEAD) && ev->subject == o->ack_lost,
             "§4: a message whose ack is not committed comes back, or is a dead letter");
        o->ack_lost = 0;
    }
    if (o->ack_committed != 0 && kind != EV_MESSAGE_CONSUMED) {
        kept(o, ev, false, "§4: a message whose ack is committed is consumed");
        o->ack_committed = 0;
    }
    if (o->permit_channel != 0 && kind != EV_MESSAGE_SENT) {
        atomic(o, ev, false, "§4: a permit is committed by a message that is sent");
        o->permit_channel = 0;
    }
}

/* ---- The family -------------------------------------------------------------------------------
 */

static void
channels_before(struct oracles *o, const struct judged_step *s)
{
    (void)s;
    o->channels.item_size = sizeof(struct seen_channel);
    o->messages.item_size = sizeof(struct seen_message);
    o->permit_channel = o->ack_committed = o->ack_lost = 0;
}

static void
channels_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    owed(o, ev);
    if (ev->kind >= EV_MESSAGE_SENT && ev->kind <= EV_MESSAGE_DISCARDED)
        message_event(o, s, ev);
    o->ack_committed = 0;
    if (ev->kind >= EV_CHANNEL_OPENED && ev->kind <= EV_CHANNEL_CLOSED)
        channel_event(o, s, ev);
    if (ev->kind >= EV_OBLIGATION_RESERVED && ev->kind <= EV_OBLIGATION_LEAKED)
        obligation_event(o, s, ev);
}

static void
channel_same(struct oracles *o, const struct judged_step *s, const struct event *ev, uint64_t id)
{
    const struct seen_channel *c = channel(o, id);
    struct channel_view v;

    if (c == NULL || !kernel_channel(s->k, id, &v) || v.closed)
        return;
    atomic(o, ev, c->capacity == 0 || (uint64_t)c->queued + c->unacked + c->permits <= c->capacity,
           "§4: queued, permits and unacknowledged stay within the capacity");
    kept(o, ev, v.queued == c->queued && v.unacked == c->unacked && v.permits == c->permits,
         "§4: in a channel is what was sent and not consumed");
}

static void
message_same(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_message *m = idmap_find(&o->messages, ev->subject);
    struct message_view v;

    if (m == NULL)
        return;
    kept(o, ev, kernel_message(s->k, m->id, &v), "§4: a message that is not over is kept");
    if (kernel_message(s->k, m->id, &v))
        kept(o, ev, v.dead == (m->state == SEEN_DEAD) && v.received == (m->state == SEEN_OUT),
             "§4: a message is queued, with a receiver, or a dead letter");
}

static void
channels_after(struct oracles *o, const struct judged_step *s)
{
    owed(o, NULL);
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        if (ev->kind >= EV_MESSAGE_SENT && ev->kind <= EV_MESSAGE_RETRIED) {
            message_same(o, s, ev);
            channel_same(o, s, ev, ev->value);
        } else if (ev->kind == EV_OBLIGATION_RESERVED && ev->value == ASUP_OBLIGATION_SEND_PERMIT) {
            const struct seen_obligation *b = model_obligation(&o->model, ev->subject);

            if (b != NULL && b->known)
                channel_same(o, s, ev, b->channel);
        }
    }
}

/* ---- Learning ----------------------------------------------------------------------------------
 */

static void
clear(struct oracles *o)
{
    struct seen_channel *c;
    size_t cursor = 0;

    while ((c = idmap_next(&o->channels, &cursor)) != NULL)
        due_fini(&c->queue);
    idmap_clear(&o->channels);
    idmap_clear(&o->messages);
}

static void
message_learn(struct oracles *o, const struct kernel *k, uint64_t id, enum seen_message_state state)
{
    struct seen_message *m = idmap_add(&o->messages, id);
    struct message_view v;
    struct seen_channel *c;

    if (!kernel_message(k, id, &v))
        return;
    m->channel = v.channel;
    m->state = (uint8_t)state;
    m->dead_until = v.dead_until;
    c = channel(o, v.channel);
    if (c == NULL)
        return;
    c->queued += state == SEEN_QUEUED;
    c->unacked += state == SEEN_OUT;
}

static void
channel_learn_all(struct oracles *o, const struct kernel *k, uint64_t id)
{
    struct seen_channel *c = idmap_add(&o->channels, id);
    struct channel_view v;
    struct message_view m;

    if (!kernel_channel(k, id, &v))
        return;
    channel_learn(k, c);
    c->learned = true;
    c->sealed = v.sealed;
    /* Among them are those that are with a receiver. */
    for (uint64_t at = v.message_first; at != 0 && kernel_message(k, at, &m); at = m.next) {
        if (!m.received)
            message_learn(o, k, at, SEEN_QUEUED);
    }
}

static void
channels_learn(struct oracles *o, const struct kernel *k)
{
    const struct seen_region *r;
    const struct seen_obligation *b;
    struct seen_channel *c;
    size_t cursor = 0;
    uint64_t id = 0;

    o->channels.item_size = sizeof(struct seen_channel);
    o->messages.item_size = sizeof(struct seen_message);
    clear(o);
    while ((r = idmap_next(&o->model.regions, &cursor)) != NULL) {
        for (id = kernel_channel_next(k, r->id, 0); id != 0; id = kernel_channel_next(k, r->id, id))
            channel_learn_all(o, k, id);
    }
    cursor = 0;
    while ((b = idmap_next(&o->model.obligations, &cursor)) != NULL) {
        c = channel(o, b->channel);
        if (b->kind == ASUP_OBLIGATION_ACK)
            message_learn(o, k, b->message, SEEN_OUT);
        else if (b->kind == ASUP_OBLIGATION_SEND_PERMIT && c != NULL)
            c->permits++;
    }
    for (id = kernel_dead_next(k, 0); id != 0; id = kernel_dead_next(k, id))
        message_learn(o, k, id, SEEN_DEAD);
}

void
channels_check(struct oracles *o, const struct kernel *k)
{
    const struct seen_message *m;
    struct message_view v;
    size_t cursor = 0;

    while ((m = idmap_next(&o->messages, &cursor)) != NULL) {
        const struct seen_channel *c = channel(o, m->channel);
        const struct seen_region *r = c == NULL ? NULL : model_region(&o->model, c->region);

        if (r == NULL || r->is_volatile)
            continue;
        kept(o, NULL,
             kernel_message(k, m->id, &v) && v.dead == (m->state == SEEN_DEAD) &&
                 v.received == (m->state == SEEN_OUT),
             "R-EVT-1: a message of a durable channel is there after a crash, as it was");
    }
}

static void
channels_fini(struct oracles *o)
{
    clear(o);
    idmap_fini(&o->channels);
    idmap_fini(&o->messages);
}

const struct oracle_family oracle_channels = {
    .learn = channels_learn,
    .before = channels_before,
    .event = channels_event,
    .after = channels_after,
    .fini = channels_fini,
};
