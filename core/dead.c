/* SPDX-License-Identifier: MIT */
/*
 * Dead letters: messages past a cap, and what was left when a region closed.
 * They outlive their channel and region, until somebody retries or discards
 * them or their retention ends. So nothing is lost quietly (§4).
 */
#include "core/channel.h"

enum {
    DEAD_FORGOTTEN_MOST = 64, /* in one step */
    CLOSED_MOST = 1024,       /* messages that become dead letters in one step by closes */
};

void
message_die(struct kernel *k, uint32_t message, struct asup_ref holder, uint8_t why,
            struct bytes note)
{
    struct returned_payload p;
    struct event ev = event_of_message(EV_MESSAGE_DEAD, k, message);

    memset(&p, 0, sizeof p);
    p.why = why;
    ev.holder = holder;
    ev.text = note;
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
}

/* ---- Retry and discard ------------------------------------------------------------- */

static int
retry_check(struct kernel *k, const struct input *in, uint32_t i, uint32_t *to, struct refusal *why)
{
    uint64_t id = in->u.dead_retry.channel;
    const struct channel *c;

    if (id == 0)
        id = channel_at(k, message_at(k, i)->channel)->id;
    *to = channel_lookup(k, in, id, why);
    if (*to == NIL)
        return why->code;
    c = channel_at(k, *to);
    if (region_at(k, c->region)->state != ASUP_REGION_OPEN)
        return REFUSE(why, ASUP_ECLOSED, "the channel's region is ending and admits nothing new");
    if ((c->flags & CHANNEL_SEALED) != 0)
        return REFUSE(why, ASUP_EENDED, "the channel is sealed and takes nothing more");
    if (((c->flags ^ channel_at(k, message_at(k, i)->channel)->flags) & CHANNEL_VOLATILE) != 0)
        return REFUSE(why, ASUP_EINVALID,
                      "one of the two channels is volatile: send the message anew"); /* R-DUR-1 */
    return channel_room(c, why);
}

int
dead_request(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    uint32_t i = message_of_id(k, in->subject);
    bool retry = in->kind == IN_DEAD_RETRY;
    struct need need = {.events = 2};
    const struct channel *c;
    struct event ev;
    uint32_t to = NIL;

    if (i == NIL)
        return REFUSE(why, ASUP_ENOTFOUND, "there is no such message");
    c = channel_at(k, message_at(k, i)->channel);
    /* A capability is good while the region is there that the channel was in. */
    if (c->region == NIL
            ? authorize_kept(k, &in->caller, c->uid, ASUP_RIGHT_CHANNEL, why) != 0
            : authorize_owned(k, &in->caller, c->region, c->uid, ASUP_RIGHT_CHANNEL, why) != 0)
        return why->code;
    if (message_at(k, i)->state != MESSAGE_DEAD)
        return REFUSE(why, ASUP_EINVALID, "the message is in its channel: it is no dead letter");
    if (retry && retry_check(k, in, i, &to, why) != 0)
        return why->code;
    if (!request_reserve(k, in, &need) || !arena_reserve(&k->users, &k->allocator, 1) ||
        !index_reserve(&k->user_ids, &k->allocator, 1) || !reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    ev = event_of_message(retry ? EV_MESSAGE_RETRIED : EV_MESSAGE_DISCARDED, k, i);
    ev.holder = caller_holder(&in->caller);
    ev.value = retry ? channel_at(k, to)->id : 0;
    if (retry)
        ev.region = channel_at(k, to)->region_id;
    *made = (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_MESSAGE};
    emit(k, ev);
    request_bind(k, in, *made);
    if (retry)
        work_channel(k, to);
    return 0;
}

/* ---- Retention ------------------------------------------------------------------------ */

asup_time
dead_next(const struct kernel *k)
{
    return timers_next(&k->channels.dead_timers);
}

void
dead_fire(struct kernel *k)
{
    const struct need need = {.events = 1};

    for (unsigned most = DEAD_FORGOTTEN_MOST; most > 0 && dead_next(k) <= k->now; most--) {
        struct event ev;

        if (!reserve(k, &need))
            return; /* it comes next time */
        ev = event_of_message(EV_MESSAGE_DISCARDED, k, k->channels.dead_timers.items[0].record);
        ev.value = 1; /* its retention ended */
        emit(k, ev);
    }
}

/* ---- The end of a region's channels ------------------------------------------------------ */

static void
parked_closed(struct kernel *k, uint32_t first)
{
    const char *text = "the channel closed with its region";

    while (first != NIL) {
        uint32_t next = wait_at(k, first)->next;

        wait_end(k, first, -ASUP_ECLOSED, text, (struct asup_ref){0});
        first = next;
    }
}

bool
channels_close(struct kernel *k, uint32_t region)
{
    const struct need need = {.events = 2, .scratch = sizeof(struct returned_payload) + 16};
    uint32_t i;

    while ((i = region_at(k, region)->channel_first) != NIL) {
        struct channel *c = channel_at(k, i);

        if (c->queued > 0 && k->channels.closed_now++ >= CLOSED_MOST)
            k->channels.stopped = true;
        if (k->channels.stopped || !reserve(k, &need)) {
            k->channels.stopped = true;
            work_channel(k, i); /* goes on with the next step */
            return false;
        }
        if (c->queued > 0) {
            message_die(k, messages_next(c), (struct asup_ref){0}, MESSAGE_CLOSED,
                        (struct bytes){"", 0});
            continue;
        }
        parked_closed(k, c->send_first);
        parked_closed(k, c->receive_first);
        work_channel_forget(k, i);
        emit(k, event_of_channel(EV_CHANNEL_CLOSED, k, i));
    }
    return true;
}
