/* SPDX-License-Identifier: MIT */
/* Applying what happens to channels and messages. */
#include "core/channel.h"

uint32_t
channel_of_id(const struct kernel *k, uint64_t id)
{
    return id == 0 ? NIL : index_find(&k->channels.ids, id);
}

/* ---- Channels --------------------------------------------------------------------- */

static void
channel_opened(struct kernel *k, const struct event *ev)
{
    const struct channel_payload *p = ev->payload;
    uint32_t i = arena_take(&k->channels.records, &k->allocator);
    struct channel *c = channel_at(k, i);
    struct region *r;

    c->id = ev->subject;
    c->region_id = ev->region;
    c->region = region_of_id(k, ev->region);
    c->uid = ev->uid;
    c->opened_at = ev->at;
    c->flags = region_id_volatile(k, ev->region) ? CHANNEL_VOLATILE : 0;
    c->capacity = p->capacity;
    c->ack_timeout_ns = p->ack_timeout_ns;
    c->permit_timeout_ns = p->permit_timeout_ns;
    c->dead_retention_ns = p->dead_retention_ns;
    c->nacks_max = p->nacks_max;
    c->timeouts_max = p->timeouts_max;
    c->message_first = c->message_last = c->fresh = c->returned = NIL;
    c->send_first = c->receive_first = c->work_next = NIL;
    c->name = heap_put(&k->heap, &k->allocator, ev->text);
    c->name_key = channel_name_key(ev->region, ev->text);
    index_add(&k->channels.ids, &k->allocator, i);
    index_add(&k->channels.names, &k->allocator, i);
    k->channels.id_next = ev->subject + 1;
    user_get(k, c->uid)->channels++;
    user_get(k, c->uid)->bytes += ev->text.size;
    r = region_at(k, c->region);
    c->next = NIL;
    c->prev = r->channel_last;
    if (r->channel_last != NIL)
        channel_at(k, r->channel_last)->next = i;
    else
        r->channel_first = i;
    r->channel_last = i;
    r->channels++;
}

static void
channel_free(struct kernel *k, uint32_t i)
{
    struct channel *c = channel_at(k, i);

    must(!c->work_queued && c->message_first == NIL);
    user_get(k, c->uid)->bytes -= heap_get(&k->heap, c->name).size;
    heap_drop(&k->heap, &k->allocator, c->name);
    index_drop(&k->channels.ids, i);
    arena_give(&k->channels.records, i);
}

static void
channel_closed(struct kernel *k, uint32_t i)
{
    struct channel *c = channel_at(k, i);
    struct region *r = region_at(k, c->region);

    must(c->message_first == NIL && c->permits == 0);
    if (c->prev != NIL)
        channel_at(k, c->prev)->next = c->next;
    else
        r->channel_first = c->next;
    if (c->next != NIL)
        channel_at(k, c->next)->prev = c->prev;
    else
        r->channel_last = c->prev;
    r->channels--;
    c->next = c->prev = c->region = NIL;
    c->flags |= CHANNEL_CLOSED;
    index_drop(&k->channels.names, i);
    user_get(k, c->uid)->channels--;
    if (c->dead == 0)
        channel_free(k, i);
}

void
apply_permit(struct kernel *k, uint32_t channel, bool given)
{
    struct channel *c = channel_at(k, channel);

    must(given || c->permits > 0);
    c->permits += given ? 1 : -1U;
}

/* ---- Messages ------------------------------------------------------------------------ */

static void
message_sent(struct kernel *k, const struct event *ev)
{
    const struct sent_payload *p = ev->payload;
    struct bytes data = {p + 1, p->size};
    uint32_t i = arena_take(&k->channels.messages, &k->allocator);
    struct message *m = message_at(k, i);
    struct channel *c;

    m->id = ev->subject;
    m->order = k->channels.order_next++;
    m->channel = channel_of_id(k, ev->value);
    must(m->channel != NIL);
    m->sender = ev->holder.id;
    m->sender_sort = (uint8_t)ev->holder.sort;
    m->sent_at = ev->at;
    m->heap_child = m->heap_next = m->history = NIL;
    m->state = MESSAGE_QUEUED;
    m->data = heap_put(&k->heap, &k->allocator, data);
    index_add(&k->channels.message_ids, &k->allocator, i);
    k->channels.message_id_next = ev->subject + 1;
    c = channel_at(k, m->channel);
    messages_append(k, c, i);
    c->queued++;
    c->sent++;
    c->bytes += data.size;
    user_get(k, c->uid)->bytes += data.size;
}

static void
message_received(struct kernel *k, uint32_t i)
{
    struct message *m = message_at(k, i);
    struct channel *c = channel_at(k, m->channel);

    must(messages_next(c) == i && m->state == MESSAGE_QUEUED);
    messages_take(k, c);
    m->state = MESSAGE_OUT;
    m->deliveries++;
    if (m->history == NIL) {
        m->history = arena_take(&k->channels.histories, &k->allocator);
        history_at(k, m->history)->message = m->id;
    }
    c->queued--;
    c->unacked++;
}

static void
message_free(struct kernel *k, uint32_t i)
{
    struct message *m = message_at(k, i);
    struct user *u = user_get(k, channel_at(k, m->channel)->uid);

    u->bytes -= heap_get(&k->heap, m->data).size;
    u->bytes -= heap_get(&k->heap, m->note).size;
    heap_drop(&k->heap, &k->allocator, m->data);
    heap_drop(&k->heap, &k->allocator, m->note);
    if (m->history != NIL)
        arena_give(&k->channels.histories, m->history);
    index_drop(&k->channels.message_ids, i);
    arena_give(&k->channels.messages, i);
}

static void
message_consumed(struct kernel *k, uint32_t i)
{
    struct message *m = message_at(k, i);
    struct channel *c = channel_at(k, m->channel);

    must(m->state == MESSAGE_OUT);
    messages_unlink(k, c, i);
    c->unacked--;
    c->consumed++;
    c->bytes -= heap_get(&k->heap, m->data).size;
    message_free(k, i);
}

/* A delivery that failed: who had it, when, why; and what a nack said. */
static void
delivery_failed(struct kernel *k, const struct event *ev, struct message *m, uint8_t why)
{
    struct history *h = history_at(k, m->history);
    unsigned row = (unsigned)(h->count++ % HISTORY_MOST);
    struct user *u = user_get(k, channel_at(k, m->channel)->uid);

    h->rows[row].receiver = ev->holder.id;
    h->rows[row].sort = (uint8_t)ev->holder.sort;
    h->rows[row].at = ev->at;
    h->rows[row].why = why;
    m->nacks += why == MESSAGE_NACKED;
    m->deaths += why == MESSAGE_DEATH;
    m->timeouts += why == MESSAGE_TIMEOUT;
    if (ev->text.size > 0) {
        u->bytes -= heap_get(&k->heap, m->note).size;
        heap_drop(&k->heap, &k->allocator, m->note);
        m->note = heap_put(&k->heap, &k->allocator, ev->text);
        u->bytes += ev->text.size;
    }
}

static void
message_returned(struct kernel *k, const struct event *ev, uint32_t i)
{
    const struct returned_payload *p = ev->payload;
    struct message *m = message_at(k, i);
    struct channel *c = channel_at(k, m->channel);

    must(m->state == MESSAGE_OUT);
    delivery_failed(k, ev, m, p->why);
    m->state = MESSAGE_QUEUED;
    messages_came_back(k, c, i);
    c->unacked--;
    c->queued++;
}

/* ---- Dead letters ---------------------------------------------------------------------- */

static void
dead_push(struct kernel *k, uint32_t i)
{
    struct channel_store *s = &k->channels;
    struct message *m = message_at(k, i);

    m->next = NIL;
    m->prev = s->dead_last;
    if (s->dead_last != NIL)
        message_at(k, s->dead_last)->next = i;
    else
        s->dead_first = i;
    s->dead_last = i;
    s->dead_count++;
}

static void
dead_remove(struct kernel *k, uint32_t i)
{
    struct channel_store *s = &k->channels;
    const struct message *m = message_at(k, i);

    if (m->prev != NIL)
        message_at(k, m->prev)->next = m->next;
    else
        s->dead_first = m->next;
    if (m->next != NIL)
        message_at(k, m->next)->prev = m->prev;
    else
        s->dead_last = m->prev;
    s->dead_count--;
    timer_set(&s->dead_timers, &k->allocator, TIMER_MESSAGE, i, ASUP_NEVER);
}

/* What was not consumed counts in its region's outcome (§4). */
static void
unconsumed_count(struct kernel *k, const struct event *ev, struct region *r)
{
    struct kernel_outcome o = {
        .key = {.severity = ASUP_ERR, .at = ev->at, .origin = r->id},
        .origin_sort = ASUP_SORT_REGION,
        .exit_code = -1,
        .stage = "unconsumed",
    };

    outcome_combine(k, &r->fin, &r->has_fin, &o);
}

static void
message_dead(struct kernel *k, const struct event *ev, uint32_t i)
{
    const struct returned_payload *p = ev->payload;
    struct message *m = message_at(k, i);
    struct channel *c = channel_at(k, m->channel);

    if (m->state == MESSAGE_OUT) {
        delivery_failed(k, ev, m, p->why);
        c->unacked--;
    } else {
        must(messages_next(c) == i);
        messages_take(k, c);
        c->queued--;
    }
    messages_unlink(k, c, i);
    m->state = MESSAGE_DEAD;
    m->dead_at = ev->at;
    m->dead_why = p->why;
    c->bytes -= heap_get(&k->heap, m->data).size;
    c->dead++;
    c->died++;
    user_get(k, c->uid)->dead++;
    dead_push(k, i);
    timer_set(&k->channels.dead_timers, &k->allocator, TIMER_MESSAGE, i,
              time_add(ev->at, c->dead_retention_ns));
    region_at(k, c->region)->unconsumed += p->why == MESSAGE_CLOSED;
    if (p->why == MESSAGE_CLOSED)
        unconsumed_count(k, ev, region_at(k, c->region));
}

/* The last dead letter of a closed channel takes it along. */
static void
dead_left(struct kernel *k, uint32_t channel)
{
    struct channel *c = channel_at(k, channel);

    c->dead--;
    user_get(k, c->uid)->dead--;
    if (c->dead == 0 && !channel_live(c))
        channel_free(k, channel);
}

static void
message_retried(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct message *m = message_at(k, i);
    uint32_t from = m->channel;
    uint32_t to = channel_of_id(k, ev->value);
    struct channel *c;
    size_t size = heap_get(&k->heap, m->data).size;
    size_t note_size = heap_get(&k->heap, m->note).size;

    must(to != NIL && m->state == MESSAGE_DEAD);
    c = channel_at(k, to);
    dead_remove(k, i);
    user_get(k, channel_at(k, from)->uid)->bytes -= size + note_size;
    user_get(k, c->uid)->bytes += size + note_size;
    m->channel = to;
    m->state = MESSAGE_QUEUED;
    m->order = k->channels.order_next++;
    m->nacks = m->deaths = m->timeouts = 0;
    m->dead_at = 0;
    messages_append(k, c, i);
    c->queued++;
    c->taken_back++;
    c->bytes += size;
    dead_left(k, from);
}

static void
message_discarded(struct kernel *k, uint32_t i)
{
    uint32_t channel = message_at(k, i)->channel;

    must(message_at(k, i)->state == MESSAGE_DEAD);
    dead_remove(k, i);
    message_free(k, i);
    dead_left(k, channel);
}

/* ---- Volatile channels of a snapshot ----------------------------------------------------------
 */

static void
channel_drop(struct kernel *k, uint32_t i)
{
    struct channel *c = channel_at(k, i);
    struct region *r;

    if (channel_live(c)) {
        r = region_at(k, c->region);
        r->channel_first = r->channel_last = NIL;
        r->channels = 0;
        index_drop(&k->channels.names, i);
        user_get(k, c->uid)->channels--;
    }
    c->message_first = c->message_last = NIL;
    channel_free(k, i);
}

void
channels_volatile_drop(struct kernel *k)
{
    for (uint32_t i = 0; i < k->channels.messages.used; i++) {
        const struct message *m = message_at(k, i);
        const struct channel *c = m->id == 0 ? NULL : channel_at(k, m->channel);

        if (c == NULL || (c->flags & CHANNEL_VOLATILE) == 0)
            continue;
        if (m->state == MESSAGE_DEAD) {
            dead_remove(k, i);
            user_get(k, c->uid)->dead--;
        }
        message_free(k, i);
    }
    for (uint32_t i = 0; i < k->channels.records.used; i++) {
        if (channel_at(k, i)->id != 0 && (channel_at(k, i)->flags & CHANNEL_VOLATILE) != 0)
            channel_drop(k, i);
    }
}

/* ---- All of it --------------------------------------------------------------------------- */

static void
apply_message(struct kernel *k, const struct event *ev)
{
    uint32_t i = message_of_id(k, ev->subject);

    must(i != NIL);
    switch (ev->kind) {
    case EV_MESSAGE_RECEIVED:
        message_received(k, i);
        break;
    case EV_MESSAGE_CONSUMED:
        message_consumed(k, i);
        break;
    case EV_MESSAGE_RETURNED:
        message_returned(k, ev, i);
        break;
    case EV_MESSAGE_DEAD:
        message_dead(k, ev, i);
        break;
    case EV_MESSAGE_RETRIED:
        message_retried(k, ev, i);
        break;
    case EV_MESSAGE_DISCARDED:
        message_discarded(k, i);
        break;
    default:
        must(false);
    }
}

void
apply_channel(struct kernel *k, const struct event *ev)
{
    uint32_t i;

    switch (ev->kind) {
    case EV_CHANNEL_OPENED:
        channel_opened(k, ev);
        return;
    case EV_MESSAGE_SENT:
        message_sent(k, ev);
        return;
    case EV_CHANNEL_SEALED:
    case EV_CHANNEL_CLOSED:
        break;
    default:
        apply_message(k, ev);
        return;
    }
    i = channel_of_id(k, ev->subject);
    must(i != NIL);
    if (ev->kind == EV_CHANNEL_SEALED)
        channel_at(k, i)->flags |= CHANNEL_SEALED;
    else
        channel_closed(k, i);
}
