/* SPDX-License-Identifier: MIT */
/* Channels: opening and sealing one, permits, sending; and who may still use
 * one whose region is ending (R-REG-2). */
#include "core/channel.h"

uint64_t
channel_name_key(uint64_t region, struct bytes name)
{
    return hash_bytes(hash_mix(4, region), name.data, name.size) | 1;
}

struct event
event_of_channel(enum event_kind kind, const struct kernel *k, uint32_t channel)
{
    const struct channel *c = channel_at(k, channel);

    return (struct event){.kind = kind, .uid = c->uid, .region = c->region_id, .subject = c->id};
}

struct event
event_of_message(enum event_kind kind, const struct kernel *k, uint32_t message)
{
    const struct message *m = message_at(k, message);
    const struct channel *c = channel_at(k, m->channel);

    return (struct event){
        .kind = kind, .uid = c->uid, .region = c->region_id, .subject = m->id, .value = c->id};
}

bool
channel_event_volatile(const struct kernel *k, const struct event *ev)
{
    uint32_t i = channel_of_id(k, ev->kind == EV_CHANNEL_SEALED || ev->kind == EV_CHANNEL_CLOSED
                                      ? ev->subject
                                      : ev->value);
    uint32_t m = ev->kind == EV_MESSAGE_DISCARDED ? message_of_id(k, ev->subject) : NIL;

    if (m != NIL)
        i = message_at(k, m)->channel;
    return i != NIL && (channel_at(k, i)->flags & CHANNEL_VOLATILE) != 0;
}

/* ---- Who may use one -------------------------------------------------------------- */

uint32_t
channel_lookup(const struct kernel *k, const struct input *in, uint64_t id, struct refusal *why)
{
    uint32_t i = channel_of_id(k, id);
    const struct channel *c;

    if (i == NIL) {
        (void)REFUSE(why, ASUP_ENOTFOUND, "there is no such channel");
        return NIL;
    }
    c = channel_at(k, i);
    if (!channel_live(c)) {
        if (caller_may(k, &in->caller, c->uid))
            (void)REFUSE(why, ASUP_ECLOSED, "the channel closed with its region");
        else
            (void)REFUSE(why, ASUP_EDENIED, "the channel belongs to another user");
        return NIL;
    }
    return authorize(k, &in->caller, c->region, ASUP_RIGHT_CHANNEL, why) == 0 ? i : NIL;
}

/* Nothing is held by a message that is sent without a permit, so while the
 * region is open nobody has to be named. */
static int
send_admits(const struct kernel *k, const struct channel *c, const struct caller *who,
            struct refusal *why)
{
    if (region_at(k, c->region)->state == ASUP_REGION_OPEN)
        return 0;
    return obligation_admits(k, c->region, ASUP_OBLIGATION_SEND_PERMIT, caller_holder(who), why);
}

int
channel_intake(const struct kernel *k, const struct channel *c, struct refusal *why)
{
    const struct user *u = user_find(k, c->uid);

    if ((c->flags & CHANNEL_SEALED) != 0)
        return REFUSE(why, ASUP_EENDED, "the channel is sealed and takes nothing more");
    /* Nothing is lost quietly: who may keep no more dead letters sends no more. */
    if (u != NULL && u->dead >= k->config.limits.dead_letters_per_user) {
        (void)REFUSE(why, ASUP_EBUSY,
                     "as many dead letters are kept as may: retry or discard some");
        why->limit = "dead-letters-per-user";
    }
    return why->code;
}

int
channel_room(const struct channel *c, struct refusal *why)
{
    if (channel_load(c) < c->capacity + (PLANTED(CHANNEL_ATOMIC) ? 1 : 0))
        return 0;
    (void)REFUSE(why, ASUP_EBUSY, "the channel is full");
    why->limit = "channel-capacity";
    return why->code;
}

/* ---- Opening ------------------------------------------------------------------------ */

static uint32_t
channel_named(const struct kernel *k, uint64_t region, struct bytes name)
{
    uint64_t key = channel_name_key(region, name);
    uint32_t cursor;

    for (uint32_t i = index_first(&k->channels.names, key, &cursor); i != NIL;
         i = index_next(&k->channels.names, key, &cursor)) {
        const struct channel *c = channel_at(k, i);
        struct bytes its = heap_get(&k->heap, c->name);

        if (c->region_id == region && its.size == name.size &&
            memcmp(its.data, name.data, name.size) == 0)
            return i;
    }
    return NIL;
}

uint64_t
kernel_channel_find(const struct kernel *k, uint64_t region, struct bytes name)
{
    uint32_t i = channel_named(k, region, name);

    return i == NIL ? 0 : channel_at(k, i)->id;
}

static int
open_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    const struct channel_params *p = &in->u.channel_open;
    uint32_t i = region_lookup(k, in, why);
    const struct region *r;

    if (i == NIL)
        return why->code;
    if (i == k->root)
        return REFUSE(why, ASUP_EINVALID, "\"/\" has no channels: open a region for it");
    if (authorize(k, &in->caller, i, ASUP_RIGHT_CHANNEL, why) != 0)
        return why->code;
    r = region_at(k, i);
    if (r->state != ASUP_REGION_OPEN)
        return REFUSE(why, ASUP_ECLOSED,
                      region_live(r) ? "the region is draining and admits nothing new"
                                     : "the region is closed");
    if (p->capacity == 0)
        return REFUSE(why, ASUP_EINVALID, "a channel has room for at least 1 message");
    if (p->ack_timeout_ns == 0 || p->permit_timeout_ns == 0)
        return REFUSE(why, ASUP_EINVALID, "a timeout of 0 leaves no time");
    if (name_syntax(p->name, why) != 0)
        return why->code;
    if (p->name.size > 0 && channel_named(k, in->region, p->name) != NIL)
        return REFUSE(why, ASUP_EEXISTS, "a channel of the region has that name");
    if (limit_channels(k, r->uid, why) != 0)
        return why->code;
    return limit_bytes(k, r->uid, p->name.size, why);
}

static bool
open_memory(struct kernel *k, const struct input *in)
{
    const struct kernel_allocator *a = &k->allocator;
    size_t name = in->u.channel_open.name.size == 0 ? 24 : in->u.channel_open.name.size;
    struct need need = {.events = 2, .scratch = sizeof(struct channel_payload) + name + 32};
    struct heap_need texts = {{0}};

    return request_reserve(k, in, &need) && arena_reserve(&k->channels.records, a, 1) &&
           index_reserve(&k->channels.ids, a, 1) && index_reserve(&k->channels.names, a, 1) &&
           heap_want(&k->heap, a, &texts, name) && heap_reserve(&k->heap, a, &texts) &&
           arena_reserve(&k->users, a, 1) && index_reserve(&k->user_ids, a, 1) && reserve(k, &need);
}

static struct asup_ref
open_do(struct kernel *k, const struct input *in)
{
    const struct channel_params *p = &in->u.channel_open;
    const struct region *r = region_at(k, region_of_id(k, in->region));
    uint64_t id = k->channels.id_next;
    struct channel_payload payload;
    char own_name[24];
    struct event ev = {.kind = EV_CHANNEL_OPENED,
                       .uid = r->uid,
                       .region = r->id,
                       .subject = id,
                       .holder = caller_holder(&in->caller),
                       .text = p->name,
                       .payload = &payload,
                       .payload_size = sizeof payload};

    memset(&payload, 0, sizeof payload);
    payload.ack_timeout_ns = p->ack_timeout_ns;
    payload.permit_timeout_ns = p->permit_timeout_ns;
    payload.dead_retention_ns =
        p->dead_retention_ns == ASUP_NEVER ? k->config.dead_retention_ns : p->dead_retention_ns;
    payload.capacity = p->capacity;
    payload.nacks_max = p->nacks_max;
    payload.timeouts_max = p->timeouts_max;
    if (p->name.size == 0)
        ev.text = (struct bytes){own_name, id_text(ASUP_SORT_CHANNEL, id, own_name)};
    emit(k, ev);
    return (struct asup_ref){.id = id, .sort = ASUP_SORT_CHANNEL};
}

static int
channel_open(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    if (open_check(k, in, why) != 0)
        return why->code;
    if (!open_memory(k, in))
        return REFUSE(why, ASUP_ENOMEM, "no memory for another channel");
    *made = open_do(k, in);
    request_bind(k, in, *made);
    return 0;
}

/* ---- Sealing --------------------------------------------------------------------------- */

static int
channel_seal(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    uint32_t i = channel_lookup(k, in, in->subject, why);
    struct need need = {.events = 2};

    if (i == NIL)
        return why->code;
    if (!request_reserve(k, in, &need) || !reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    *made = (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_CHANNEL};
    if ((channel_at(k, i)->flags & CHANNEL_SEALED) == 0)
        emit(k, event_of_channel(EV_CHANNEL_SEALED, k, i));
    request_bind(k, in, *made);
    work_channel(k, i);
    return 0;
}

/* ---- Obligations of channels ----------------------------------------------------------- */

uint32_t
held_as(const struct kernel *k, const struct input *in, uint8_t kind, struct refusal *why)
{
    uint32_t o = obligation_held(k, in, why);

    if (o == NIL || obligation_at(k, o)->kind == kind)
        return o;
    (void)REFUSE(why, ASUP_EINVALID,
                 kind == ASUP_OBLIGATION_ACK ? "the obligation is no ack of a message"
                                             : "the obligation is no permit to send");
    return NIL;
}

/* ---- Permits ------------------------------------------------------------------------------- */

struct asup_ref
permit_give(struct kernel *k, uint32_t channel, const struct caller *who)
{
    const struct channel *c = channel_at(k, channel);

    const struct obligation_new n = {.holder = caller_holder(who),
                                     .span_ns = c->permit_timeout_ns,
                                     .channel = c->id,
                                     .region = c->region,
                                     .kind = ASUP_OBLIGATION_SEND_PERMIT};

    return obligation_ref(k, obligation_make(k, &n));
}

static int
channel_reserve(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
                struct asup_ref *made)
{
    uint32_t i = channel_lookup(k, in, in->subject, why);
    const struct channel *c;
    struct need need = {.obligations = 1};

    if (i == NIL)
        return why->code;
    c = channel_at(k, i);
    if (obligation_reserve_check(k, &in->caller, c->region, ASUP_OBLIGATION_SEND_PERMIT, 0, why) !=
            0 ||
        channel_intake(k, c, why) != 0)
        return why->code;
    if (channel_room(c, why) != 0 || c->send_first != NIL) {
        if (in->u.reserve.timeout_ns == 0) {
            (void)REFUSE(why, ASUP_EBUSY, "the channel is full");
            why->limit = "channel-capacity";
            return why->code;
        }
        *why = (struct refusal){0};
        if (wait_admit(k, in, in->u.reserve.timeout_ns, why) != 0)
            return why->code;
        (void)wait_park(k, in, WAIT_ON_CHANNEL_SEND, i, in->u.reserve.timeout_ns);
        *parked = true;
        return 0;
    }
    if (!request_reserve(k, in, &need) || !obligation_memory(k, 1) || !reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    *made = permit_give(k, i, &in->caller);
    request_bind(k, in, *made);
    return 0;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static bool
send_memory(struct kernel *k, const struct input *in)
{
    const struct kernel_allocator *a = &k->allocator;
    struct channel_store *s = &k->channels;
    size_t size = in->u.send.data.size;
    struct need need = {
        .events = 4, .obligations = 1, .scratch = sizeof(struct sent_payload) + size + 256};
    struct heap_need texts = {{0}};

    return request_reserve(k, in, &need) && arena_reserve(&s->messages, a, 1) &&
           index_reserve(&s->message_ids, a, 1) &&
           timers_reserve(&s->dead_timers, a, arena_live(&s->messages) + 1) &&
           heap_want(&k->heap, a, &texts, size) && heap_reserve(&k->heap, a, &texts) &&
           reserve(k, &need);
}

static struct asup_ref
send_do(struct kernel *k, uint32_t channel, struct asup_ref sender, struct bytes data)
{
    size_t size = sizeof(struct sent_payload) + data.size;
    struct sent_payload *payload = scratch_take(k, size);
    struct event ev = event_of_channel(EV_MESSAGE_SENT, k, channel);

    memset(payload, 0, sizeof *payload);
    payload->size = data.size;
    if (data.size > 0)
        memcpy(payload + 1, data.data, data.size);
    ev.value = ev.subject;
    ev.subject = k->channels.message_id_next;
    ev.holder = sender;
    ev.payload = payload;
    ev.payload_size = size;
    emit(k, ev);
    work_channel(k, channel);
    return (struct asup_ref){.id = ev.subject, .sort = ASUP_SORT_MESSAGE};
}

static int
send_into_permit(struct kernel *k, const struct input *in, struct refusal *why,
                 struct asup_ref *made)
{
    uint32_t o = held_as(k, in, ASUP_OBLIGATION_SEND_PERMIT, why);
    struct asup_ref sender = caller_holder(&in->caller);
    uint32_t i;

    if (o == NIL)
        return why->code;
    i = obligation_at(k, o)->thing;
    if (authorize(k, &in->caller, channel_at(k, i)->region, ASUP_RIGHT_CHANNEL, why) != 0 ||
        limit_bytes(k, channel_at(k, i)->uid, in->u.send.data.size, why) != 0)
        return why->code;
    if (!send_memory(k, in))
        return REFUSE(why, ASUP_ENOMEM, "no memory for the message");
    obligation_finish(k, o, END_COMMITTED, OBLIGATION_ASKED, (struct bytes){"", 0});
    *made = send_do(k, i, sender, in->u.send.data);
    request_bind(k, in, *made);
    return 0;
}

/* Without a permit: there is room now, or the sender is told that there is none. */
static int
channel_send(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    uint32_t i;
    const struct channel *c;

    if (in->subject != 0)
        return send_into_permit(k, in, why, made);
    i = channel_lookup(k, in, in->u.send.channel, why);
    if (i == NIL)
        return why->code;
    c = channel_at(k, i);
    if (send_admits(k, c, &in->caller, why) != 0 || channel_intake(k, c, why) != 0 ||
        channel_room(c, why) != 0 || limit_bytes(k, c->uid, in->u.send.data.size, why) != 0)
        return why->code;
    if (!send_memory(k, in))
        return REFUSE(why, ASUP_ENOMEM, "no memory for the message");
    *made = send_do(k, i, caller_holder(&in->caller), in->u.send.data);
    request_bind(k, in, *made);
    return 0;
}

/* ---- All requests of the family
 * ------------------------------------------------------------------ */

int
channel_request(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
                struct asup_ref *made)
{
    switch (in->kind) {
    case IN_CHANNEL_OPEN:
        return channel_open(k, in, why, made);
    case IN_CHANNEL_SEAL:
        return channel_seal(k, in, why, made);
    case IN_CHANNEL_RESERVE:
        return channel_reserve(k, in, why, parked, made);
    case IN_CHANNEL_SEND:
        return channel_send(k, in, why, made);
    case IN_DEAD_RETRY:
    case IN_DEAD_DISCARD:
        return dead_request(k, in, why, made);
    default:
        return delivery_request(k, in, why, parked, made);
    }
}

bool
channel_request_volatile(const struct kernel *k, const struct input *in)
{
    uint32_t i = NIL;
    uint32_t o;

    switch (in->kind) {
    case IN_CHANNEL_SEAL:
    case IN_CHANNEL_RESERVE:
    case IN_CHANNEL_RECEIVE:
        i = channel_of_id(k, in->subject);
        break;
    case IN_DEAD_RETRY:
    case IN_DEAD_DISCARD:
        o = message_of_id(k, in->subject);
        i = o == NIL ? NIL : message_at(k, o)->channel;
        break;
    default:
        o = obligation_of_id(k, in->subject);
        if (o != NIL)
            return (region_at(k, obligation_at(k, o)->region)->flags & REGION_VOLATILE) != 0;
        if (in->kind == IN_CHANNEL_SEND && in->subject == 0)
            i = channel_of_id(k, in->u.send.channel);
        break;
    }
    return i != NIL && (channel_at(k, i)->flags & CHANNEL_VOLATILE) != 0;
}
