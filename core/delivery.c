/* SPDX-License-Identifier: MIT */
/*
 * Receiving: a message goes to one receiver, with an Ack. What is not committed
 * comes back: by a nack, by the end of its receiver, by the Ack's time.
 *
 * Who asks while there is nothing, or no room, is parked, and served in order of
 * coming whenever the channel has changed (a queue of work, as for tasks and
 * regions). A receiver whose Ack ran out of time is silent until it speaks: what
 * it had parked before is not served but told to ask again.
 */
#include "core/channel.h"

static const struct bytes no_note = {"", 0};

/* ---- Coming back --------------------------------------------------------------------- */

static bool
past_a_cap(const struct channel *c, const struct message *m, uint8_t why)
{
    if (why == MESSAGE_TIMEOUT)
        return c->timeouts_max != 0 && m->timeouts + 1 >= c->timeouts_max;
    if (why == MESSAGE_CLOSED)
        return false;
    return c->nacks_max != 0 && m->nacks + m->deaths + 1 >= c->nacks_max;
}

void
message_return(struct kernel *k, uint32_t message, struct asup_ref holder, uint8_t why,
               struct bytes note)
{
    const struct message *m = message_at(k, message);
    uint32_t channel = m->channel;
    struct returned_payload p;
    struct event ev;

    if (past_a_cap(channel_at(k, channel), m, why)) {
        message_die(k, message, holder, why, note);
    } else {
        memset(&p, 0, sizeof p);
        p.why = why;
        ev = event_of_message(EV_MESSAGE_RETURNED, k, message);
        ev.holder = holder;
        ev.text = note;
        ev.payload = &p;
        ev.payload_size = sizeof p;
        emit(k, ev);
    }
    work_channel(k, channel);
}

/* ---- Who is silent ---------------------------------------------------------------------- */

static bool *
silence_of(const struct kernel *k, struct asup_ref who)
{
    uint32_t i;

    if (who.sort == ASUP_SORT_TASK) {
        i = task_of_id(k, who.id);
        return i == NIL ? NULL : &task_at(k, i)->silent;
    }
    if (who.sort == ASUP_SORT_SESSION) {
        i = session_of_id(k, who.id);
        return i == NIL ? NULL : &session_at(k, i)->silent;
    }
    return NULL;
}

void
caller_spoke(struct kernel *k, const struct caller *c)
{
    bool *silent = silence_of(k, caller_holder(c));

    if (silent != NULL)
        *silent = false;
}

/* ---- What the obligation core tells ---------------------------------------------------------- */

void
permit_gone(struct kernel *k, const struct obligation_gone *g)
{
    work_channel(k, g->thing);
}

void
ack_gone(struct kernel *k, const struct obligation_gone *g)
{
    static const uint8_t ends[] = {
        [OBLIGATION_ASKED] = MESSAGE_NACKED,
        [OBLIGATION_EXPIRED] = MESSAGE_TIMEOUT,
        [OBLIGATION_CLOSED] = MESSAGE_CLOSED,
        [OBLIGATION_DEATH] = MESSAGE_DEATH,
    };
    uint32_t i = message_of_id(k, g->number);
    bool *silent = g->why == OBLIGATION_EXPIRED ? silence_of(k, g->holder) : NULL;

    must(i != NIL);
    if (silent != NULL)
        *silent = true;
    if (g->end == END_COMMITTED) {
        struct event ev = event_of_message(EV_MESSAGE_CONSUMED, k, i);

        ev.holder = g->holder;
        emit(k, ev);
        work_channel(k, g->thing);
    } else if (!PLANTED(MESSAGE_LOST) || g->why != OBLIGATION_EXPIRED) {
        message_return(k, i, g->holder, ends[g->why],
                       g->why == OBLIGATION_ASKED ? g->text : no_note);
    }
}

/* ---- Handing over -------------------------------------------------------------------------------
 */

bool
delivery_reserve(struct kernel *k)
{
    return arena_reserve(&k->channels.histories, &k->allocator, 1) && obligation_memory(k, 1);
}

struct asup_ref
deliver(struct kernel *k, uint32_t channel, const struct caller *who, uint64_t ack_timeout_ns)
{
    const struct channel *c = channel_at(k, channel);
    uint32_t i = messages_next(c);
    struct event ev = event_of_message(EV_MESSAGE_RECEIVED, k, i);
    const struct obligation_new n = {.holder = caller_holder(who),
                                     .span_ns =
                                         ack_timeout_ns == 0 ? c->ack_timeout_ns : ack_timeout_ns,
                                     .number = ev.subject,
                                     .channel = c->id,
                                     .region = c->region,
                                     .kind = ASUP_OBLIGATION_ACK};

    ev.holder = n.holder;
    emit(k, ev);
    return obligation_ref(k, obligation_make(k, &n));
}

static bool
nothing_left(const struct channel *c)
{
    return (c->flags & CHANNEL_SEALED) != 0 && channel_load(c) == 0;
}

static int
receive(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
        struct asup_ref *made)
{
    uint32_t i = channel_lookup(k, in, in->subject, why);
    uint64_t timeout_ns = in->u.receive.timeout_ns;
    const struct channel *c;
    struct need need = {.events = 4, .obligations = 1, .scratch = 256};

    if (i == NIL)
        return why->code;
    c = channel_at(k, i);
    if (obligation_reserve_check(k, &in->caller, c->region, ASUP_OBLIGATION_ACK, 0, why) != 0)
        return why->code;
    if (nothing_left(c))
        return REFUSE(why, ASUP_EENDED, "the channel is sealed and has nothing more");
    if (c->queued == 0 || c->receive_first != NIL) {
        if (wait_admit(k, in, timeout_ns, why) != 0)
            return why->code;
        wait_at(k, wait_park(k, in, WAIT_ON_CHANNEL_RECEIVE, i, timeout_ns))->number =
            in->u.receive.ack_timeout_ns;
        work_channel(k, i);
        *parked = true;
        return 0;
    }
    if (!request_reserve(k, in, &need) || !delivery_reserve(k) || !reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    *made = deliver(k, i, &in->caller, in->u.receive.ack_timeout_ns);
    request_bind(k, in, *made);
    return 0;
}

/* ---- Ack, nack, extend
 * ------------------------------------------------------------------------------ */

static int
ack(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    uint32_t o = held_as(k, in, ASUP_OBLIGATION_ACK, why);
    struct need need = {.events = 4, .scratch = 256};

    if (o == NIL)
        return why->code;
    need_obligation(k, o, &need);
    if (!request_reserve(k, in, &need) || !reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    *made = (struct asup_ref){.id = obligation_at(k, o)->number, .sort = ASUP_SORT_MESSAGE};
    obligation_finish(k, o, END_COMMITTED, OBLIGATION_ASKED, no_note);
    request_bind(k, in, *made);
    return 0;
}

static int
nack(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    uint32_t o = held_as(k, in, ASUP_OBLIGATION_ACK, why);
    struct need need = {.events = 4, .scratch = 256 + ASUP_MESSAGE_MAX};
    struct bytes note = in->u.nack.note;

    if (o == NIL)
        return why->code;
    if (note.size > ASUP_MESSAGE_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the note is too long");
    need_obligation(k, o, &need);
    if (!request_reserve(k, in, &need) || !reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    *made = (struct asup_ref){.id = obligation_at(k, o)->number, .sort = ASUP_SORT_MESSAGE};
    obligation_finish(k, o, END_ABORTED, OBLIGATION_ASKED, note);
    request_bind(k, in, *made);
    return 0;
}

static int
extend(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    uint32_t o = held_as(k, in, ASUP_OBLIGATION_ACK, why);
    struct need need = {.events = 2, .scratch = 256};
    uint64_t span = in->u.receive.ack_timeout_ns;
    struct obligation_payload p;
    struct event ev;

    memset(&p, 0, sizeof p);
    if (o == NIL)
        return why->code;
    if (span == 0)
        span = channel_at(k, obligation_at(k, o)->thing)->ack_timeout_ns;
    if (!request_reserve(k, in, &need) || !reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    *made = (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_OBLIGATION};
    p.span_ns = span;
    p.deadline = time_add(k->now, span);
    p.kind = ASUP_OBLIGATION_ACK;
    ev = event_of_channel(EV_OBLIGATION_RENEWED, k, obligation_at(k, o)->thing);
    ev.subject = in->subject;
    ev.holder = caller_holder(&in->caller);
    ev.value = p.deadline;
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
    request_bind(k, in, *made);
    return 0;
}

int
delivery_request(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
                 struct asup_ref *made)
{
    switch (in->kind) {
    case IN_CHANNEL_RECEIVE:
        return receive(k, in, why, parked, made);
    case IN_CHANNEL_ACK:
        return ack(k, in, why, made);
    case IN_CHANNEL_NACK:
        return nack(k, in, why, made);
    case IN_CHANNEL_EXTEND:
        return extend(k, in, why, made);
    default:
        return REFUSE(why, ASUP_EUNSUPPORTED, "the request is not known");
    }
}

/* ---- Serving who is parked
 * --------------------------------------------------------------------------- */

/* Whether what a parked request asks for may still be given. 0 or a code. */
static int
parked_check(struct kernel *k, const struct channel *c, const struct wait *w, struct refusal *why)
{
    bool sends = w->on == WAIT_ON_CHANNEL_SEND;
    uint8_t kind = sends ? ASUP_OBLIGATION_SEND_PERMIT : ASUP_OBLIGATION_ACK;
    const bool *silent = silence_of(k, caller_holder(&w->caller));

    if (obligation_reserve_check(k, &w->caller, c->region, kind, 0, why) != 0)
        return why->code;
    if (sends)
        return channel_intake(k, c, why);
    if (silent != NULL && *silent)
        return REFUSE(why, ASUP_ETIMEDOUT, "an ack of yours ran out of time: ask again");
    return nothing_left(c) ? REFUSE(why, ASUP_EENDED, "the channel is sealed and has nothing more")
                           : 0;
}

static bool
serve_memory(struct kernel *k, const struct input *in)
{
    struct need need = {.events = 4, .obligations = 1, .scratch = 256};

    return request_reserve(k, in, &need) && delivery_reserve(k) && reserve(k, &need);
}

/* Give one that is parked what it waits for, or refuse it. False: there is no
 * memory to do so. */
static bool
serve(struct kernel *k, uint32_t channel, uint32_t wait)
{
    const struct channel *c = channel_at(k, channel);
    const struct wait *w = wait_at(k, wait);
    const struct input in = {.kind = w->on == WAIT_ON_CHANNEL_SEND ? IN_CHANNEL_RESERVE
                                                                   : IN_CHANNEL_RECEIVE,
                             .caller = w->caller,
                             .token = w->token,
                             .request = w->request,
                             .digest = w->digest};
    struct refusal why = {0};
    struct asup_ref made = {0};

    if (parked_check(k, c, w, &why) == 0 && request_lookup(k, &in, &made, &why) == 0) {
        if (!serve_memory(k, &in))
            return false;
        made = w->on == WAIT_ON_CHANNEL_SEND ? permit_give(k, channel, &w->caller)
                                             : deliver(k, channel, &w->caller, w->number);
        wait_grant(k, wait, made);
        return true;
    }
    wait_end(k, wait, why.code, why.detail, made);
    return true;
}

/* Something changed for all who are parked here: the region, or a seal. */
static void
recheck(struct kernel *k, const struct channel *c, uint32_t first)
{
    while (first != NIL) {
        uint32_t next = wait_at(k, first)->next;
        struct refusal why = {0};

        if (parked_check(k, c, wait_at(k, first), &why) != 0)
            wait_end(k, first, why.code, why.detail, (struct asup_ref){0});
        first = next;
    }
}

static bool
channel_serve(struct kernel *k, uint32_t i)
{
    struct channel *c = channel_at(k, i);

    if (c->recheck) {
        c->recheck = false;
        recheck(k, c, c->send_first);
        recheck(k, c, c->receive_first);
    }
    while (c->receive_first != NIL && (c->queued > 0 || nothing_left(c))) {
        if (!serve(k, i, c->receive_first))
            return false;
    }
    while (c->send_first != NIL &&
           (channel_load(c) < c->capacity || (c->flags & CHANNEL_SEALED) != 0)) {
        if (!serve(k, i, c->send_first))
            return false;
    }
    return true;
}

/* ---- The queue of channels that changed
 * ---------------------------------------------------------------- */

void
work_channel(struct kernel *k, uint32_t i)
{
    struct channel_store *s = &k->channels;
    struct channel *c = channel_at(k, i);

    if (c->work_queued)
        return;
    c->work_queued = true;
    c->work_next = NIL;
    if (s->work_last != NIL)
        channel_at(k, s->work_last)->work_next = i;
    else
        s->work_first = i;
    s->work_last = i;
}

void
work_channel_forget(struct kernel *k, uint32_t i)
{
    struct channel_store *s = &k->channels;
    uint32_t before = NIL;

    if (!channel_at(k, i)->work_queued)
        return;
    for (uint32_t at = s->work_first; at != i; at = channel_at(k, at)->work_next)
        before = at;
    if (before == NIL)
        s->work_first = channel_at(k, i)->work_next;
    else
        channel_at(k, before)->work_next = channel_at(k, i)->work_next;
    if (s->work_last == i)
        s->work_last = before;
    channel_at(k, i)->work_queued = false;
}

bool
channels_work(struct kernel *k)
{
    struct channel_store *s = &k->channels;
    uint32_t i = s->work_first;
    uint32_t region;

    if (i == NIL || s->stopped)
        return false;
    if (!channel_serve(k, i)) {
        s->stopped = true;
        return false;
    }
    region = channel_at(k, i)->region;
    work_channel_forget(k, i);
    if (region_at(k, region)->state >= ASUP_REGION_DRAINING)
        work_region(k, region);
    return true;
}

void
channels_recheck(struct kernel *k, uint32_t region)
{
    for (uint32_t i = region_at(k, region)->channel_first; i != NIL; i = channel_at(k, i)->next) {
        channel_at(k, i)->recheck = true;
        work_channel(k, i);
    }
}

void
channels_step(struct kernel *k)
{
    k->channels.stopped = false;
    k->channels.closed_now = 0;
}

bool
channels_waiting(const struct kernel *k)
{
    return k->channels.work_first != NIL;
}
