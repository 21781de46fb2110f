/* SPDX-License-Identifier: MIT */
/* Channels and messages read only: views, the invariants channel-capacity,
 * channel-order and no-message-lost (§9), and their part of the digest. */
#include "core/channel.h"

/* ---- Views -------------------------------------------------------------------------- */

bool
kernel_channel(const struct kernel *k, uint64_t id, struct channel_view *out)
{
    uint32_t i = channel_of_id(k, id);
    const struct channel *c;
    uint32_t first;

    if (i == NIL)
        return false;
    c = channel_at(k, i);
    first = messages_next(c);
    *out = (struct channel_view){
        .id = c->id,
        .region = c->region_id,
        .name = heap_get(&k->heap, c->name),
        .uid = c->uid,
        .sealed = (c->flags & CHANNEL_SEALED) != 0,
        .closed = !channel_live(c),
        .capacity = c->capacity,
        .queued = c->queued,
        .permits = c->permits,
        .unacked = c->unacked,
        .dead = c->dead,
        .sent = c->sent,
        .consumed = c->consumed,
        .bytes = c->bytes,
        .receivers = c->receivers,
        .senders = c->senders,
        .opened_at = c->opened_at,
        .ack_timeout_ns = c->ack_timeout_ns,
        .permit_timeout_ns = c->permit_timeout_ns,
        .dead_retention_ns = c->dead_retention_ns,
        .nacks_max = c->nacks_max,
        .timeouts_max = c->timeouts_max,
        .message_first = first == NIL ? 0 : message_at(k, first)->id,
    };
    return true;
}

static void
view_history(const struct history *h, struct message_view *out)
{
    uint64_t first = h->count > HISTORY_MOST ? h->count - HISTORY_MOST : 0;

    for (uint64_t n = first; n < h->count; n++) {
        unsigned row = (unsigned)(n % HISTORY_MOST);
        uint32_t to = out->history_count++;

        out->history[to].receiver.id = h->rows[row].receiver;
        out->history[to].receiver.sort = (enum asup_sort)h->rows[row].sort;
        out->history[to].at = h->rows[row].at;
        out->history[to].why = h->rows[row].why;
    }
}

bool
kernel_message(const struct kernel *k, uint64_t id, struct message_view *out)
{
    uint32_t i = message_of_id(k, id);
    const struct message *m;
    const struct channel *c;

    if (i == NIL)
        return false;
    m = message_at(k, i);
    c = channel_at(k, m->channel);
    *out = (struct message_view){
        .id = m->id,
        .channel = c->id,
        .region = c->region_id,
        .channel_name = heap_get(&k->heap, c->name),
        .data = heap_get(&k->heap, m->data),
        .sender = {.id = m->sender, .sort = (enum asup_sort)m->sender_sort},
        .sent_at = m->sent_at,
        .uid = c->uid,
        .deliveries = m->deliveries,
        .nacks = m->nacks,
        .deaths = m->deaths,
        .timeouts = m->timeouts,
        .received = m->state == MESSAGE_OUT,
        .dead = m->state == MESSAGE_DEAD,
        .dead_at = m->dead_at,
        .dead_until =
            m->state == MESSAGE_DEAD ? time_add(m->dead_at, c->dead_retention_ns) : ASUP_NEVER,
        .dead_why = m->dead_why,
        .note = heap_get(&k->heap, m->note),
        .next = m->next == NIL ? 0 : message_at(k, m->next)->id,
    };
    if (m->history != NIL)
        view_history(history_at(k, m->history), out);
    return true;
}

uint64_t
kernel_channel_next(const struct kernel *k, uint64_t region, uint64_t after)
{
    uint32_t i = after == 0 ? NIL : channel_of_id(k, after);
    uint32_t r = region == 0 ? NIL : region_of_id(k, region);

    if (i != NIL && channel_live(channel_at(k, i)) && channel_at(k, i)->region_id == region) {
        i = channel_at(k, i)->next;
    } else {
        i = r == NIL || !region_live(region_at(k, r)) ? NIL : region_at(k, r)->channel_first;
        while (i != NIL && channel_at(k, i)->id <= after)
            i = channel_at(k, i)->next;
    }
    return i == NIL ? 0 : channel_at(k, i)->id;
}

uint64_t
kernel_dead_next(const struct kernel *k, uint64_t after)
{
    uint32_t i = k->channels.dead_first;

    if (after != 0) {
        i = message_of_id(k, after);
        if (i == NIL || message_at(k, i)->state != MESSAGE_DEAD)
            return 0;
        i = message_at(k, i)->next;
    }
    return i == NIL ? 0 : message_at(k, i)->id;
}

void
channel_counts(const struct kernel *k, struct kernel_counts *out)
{
    out->dead = k->channels.dead_count;
    out->messages = arena_live(&k->channels.messages) - out->dead;
    out->channels = k->channels.names.count; /* live ones have a name */
}

uint64_t
channel_id_last(const struct kernel *k)
{
    const struct channel_store *s = &k->channels;

    return (s->id_next > s->message_id_next ? s->id_next : s->message_id_next) - 1;
}

/* ---- Invariants ----------------------------------------------------------------------- */

#define HOLDS(condition, name)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return (name);                                                                         \
    } while (0)

struct message_tally {
    uint32_t queued, came_back, out;
    uint64_t bytes;
};

static const char *
check_messages(const struct kernel *k, uint32_t channel, struct message_tally *t)
{
    const struct channel *c = channel_at(k, channel);
    uint64_t order = 0;
    uint32_t before = NIL;
    bool fresh = false;

    for (uint32_t i = c->message_first; i != NIL; i = message_at(k, i)->next) {
        const struct message *m = message_at(k, i);

        HOLDS(m->channel == channel && m->prev == before, "no-message-lost");
        HOLDS(before == NIL || m->order > order, "channel-order");
        HOLDS(message_of_id(k, m->id) == i && m->id < k->channels.message_id_next,
              "ids-never-reused");
        fresh = fresh || i == c->fresh;
        /* Beyond the first that never was received none was. */
        HOLDS(fresh == (m->state == MESSAGE_QUEUED && !m->came_back), "channel-order");
        if (c->returned != NIL && m->came_back)
            HOLDS(message_at(k, c->returned)->order <= m->order, "channel-order");
        t->queued += m->state == MESSAGE_QUEUED;
        t->came_back += m->came_back;
        t->out += m->state == MESSAGE_OUT;
        t->bytes += heap_get(&k->heap, m->data).size;
        HOLDS(m->state != MESSAGE_DEAD, "no-message-lost");
        HOLDS(m->state != MESSAGE_OUT || m->history != NIL, "no-message-lost");
        order = m->order;
        before = i;
    }
    HOLDS(before == c->message_last, "no-message-lost");
    HOLDS((c->returned == NIL) == (t->came_back == 0), "channel-order");
    return NULL;
}

static uint32_t
parked_count(const struct kernel *k, uint32_t first)
{
    uint32_t count = 0;

    for (; first != NIL; first = wait_at(k, first)->next)
        count++;
    return count;
}

static const char *
check_channel(const struct kernel *k, uint32_t i, uint32_t *held)
{
    const struct channel *c = channel_at(k, i);
    struct message_tally t = {0};
    const char *broken = check_messages(k, i, &t);

    if (broken != NULL)
        return broken;
    HOLDS(c->id < k->channels.id_next && channel_of_id(k, c->id) == i, "ids-never-reused");
    HOLDS(channel_load(c) <= c->capacity, "channel-capacity");
    HOLDS(t.queued == c->queued && t.out == c->unacked, "channel-capacity");
    HOLDS(t.bytes == c->bytes, "channel-capacity");
    HOLDS(c->sent + c->taken_back == c->consumed + c->queued + c->unacked + c->died,
          "no-message-lost");
    *held += c->permits + c->unacked;
    HOLDS(c->senders == parked_count(k, c->send_first), "channel-capacity");
    HOLDS(c->receivers == parked_count(k, c->receive_first), "channel-capacity");
    if (!channel_live(c)) {
        HOLDS(c->dead > 0 && channel_load(c) == 0, "no-message-lost");
        HOLDS(c->send_first == NIL && c->receive_first == NIL, "quiescence-on-close");
        return NULL;
    }
    HOLDS(region_live(region_at(k, c->region)), "single-owner");
    HOLDS(region_at(k, c->region)->id == c->region_id, "single-owner");
    return NULL;
}

static const char *
check_dead(const struct kernel *k)
{
    uint32_t count = 0;
    uint32_t of_channels = 0;
    uint32_t of_users = 0;
    uint32_t live = 0;
    uint32_t of_regions = 0;
    uint32_t of_users_live = 0;

    for (uint32_t i = k->channels.dead_first; i != NIL; i = message_at(k, i)->next) {
        HOLDS(message_at(k, i)->state == MESSAGE_DEAD, "no-message-lost");
        HOLDS(channel_at(k, message_at(k, i)->channel)->dead > 0, "no-message-lost");
        count++;
    }
    for (uint32_t i = 0; i < k->channels.records.used; i++) {
        if (channel_at(k, i)->id == 0)
            continue;
        of_channels += channel_at(k, i)->dead;
        live += channel_live(channel_at(k, i));
    }
    for (uint32_t i = 0; i < k->users.used; i++) {
        const struct user *u = arena_at(&k->users, i);

        of_users += u->key == 0 ? 0 : u->dead;
        of_users_live += u->key == 0 ? 0 : u->channels;
    }
    for (uint32_t i = 0; i < k->regions.used; i++)
        of_regions += region_at(k, i)->id == 0 ? 0 : region_at(k, i)->channels;
    HOLDS(count == k->channels.dead_count && count == of_channels && count == of_users,
          "no-message-lost");
    HOLDS(live == of_regions && live == of_users_live, "single-owner");
    return NULL;
}

const char *
check_channels(const struct kernel *k)
{
    const char *broken = NULL;
    uint32_t held = 0;
    uint32_t messages = k->channels.dead_count;

    for (uint32_t i = 0; broken == NULL && i < k->channels.records.used; i++) {
        if (channel_at(k, i)->id == 0)
            continue;
        broken = check_channel(k, i, &held);
        messages += channel_at(k, i)->queued + channel_at(k, i)->unacked;
    }
    if (broken != NULL)
        return broken;
    HOLDS(messages == arena_live(&k->channels.messages), "no-message-lost");
    HOLDS(messages == k->channels.message_ids.count, "no-message-lost");
    /* What the channels think is out is what the ledgers hold (R-OBL-7). */
    HOLDS(held == k->obligations.in_kind[ASUP_OBLIGATION_SEND_PERMIT] +
                      k->obligations.in_kind[ASUP_OBLIGATION_ACK],
          "obligation-linear");
    return check_dead(k);
}

/* ---- Digest ---------------------------------------------------------------------------- */

uint64_t
digest_channels(const struct kernel *k, uint64_t h)
{
    const struct channel_store *s = &k->channels;

    h = hash_mix(hash_mix(h, s->id_next), s->message_id_next);
    h = hash_mix(hash_mix(h, s->order_next), s->dead_first);
    for (uint32_t i = 0; i < s->records.used; i++) {
        const struct channel *c = channel_at(k, i);

        if (c->id == 0)
            continue;
        h = hash_bytes(h, c, offsetof(struct channel, fresh));
        h = digest_text(k, h, c->name);
    }
    for (uint32_t i = 0; i < s->messages.used; i++) {
        const struct message *m = message_at(k, i);

        if (m->id == 0)
            continue;
        h = hash_bytes(h, m, offsetof(struct message, data));
        h = digest_text(k, digest_text(k, h, m->data), m->note);
        if (m->history != NIL)
            h = hash_bytes(h, history_at(k, m->history), sizeof(struct history));
    }
    return h;
}
