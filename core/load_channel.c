/* SPDX-License-Identifier: MIT */
/*
 * Channels out of a snapshot: whether their lists make sense (load_check.c says
 * how), and what follows from them: which message is next, and when dead letters
 * are forgotten.
 */
#include "core/channel.h"
#include "core/snapshot.h"

static bool
there(const struct arena *a, uint32_t i)
{
    return i < a->used && arena_used(a, i);
}

bool
channel_has_name(const void *record)
{
    return channel_live(record);
}

static bool
messages_sound(const struct kernel *k, uint32_t channel)
{
    const struct channel *c = channel_at(k, channel);
    uint32_t prev = NIL;
    uint32_t at = c->message_first;

    for (; at != NIL; prev = at, at = message_at(k, at)->next) {
        if (!there(&k->channels.messages, at) || message_at(k, at)->channel != channel ||
            message_at(k, at)->state == MESSAGE_DEAD || message_at(k, at)->prev != prev)
            return false;
    }
    return c->message_last == prev;
}

static bool
dead_sound(const struct kernel *k)
{
    uint32_t prev = NIL;
    uint32_t at = k->channels.dead_first;

    for (; at != NIL; prev = at, at = message_at(k, at)->next) {
        if (!there(&k->channels.messages, at) || message_at(k, at)->state != MESSAGE_DEAD ||
            message_at(k, at)->prev != prev)
            return false;
    }
    return k->channels.dead_last == prev;
}

static bool
region_channels_sound(const struct kernel *k, uint32_t region)
{
    const struct region *r = region_at(k, region);
    uint32_t prev = NIL;
    uint32_t at = r->channel_first;
    uint32_t count = 0;

    for (; at != NIL; prev = at, at = channel_at(k, at)->next) {
        if (!there(&k->channels.records, at) || !channel_live(channel_at(k, at)) ||
            channel_at(k, at)->region != region || channel_at(k, at)->prev != prev)
            return false;
        count++;
    }
    return r->channel_last == prev && r->channels == count;
}

bool
channels_sound(const struct kernel *k)
{
    for (uint32_t i = 0; i < k->channels.messages.used; i++) {
        const struct message *m = message_at(k, i);

        if (m->id != 0 && (m->channel == NIL || (m->state == MESSAGE_OUT && m->history == NIL)))
            return false;
        if (m->id != 0 && m->history != NIL && history_at(k, m->history)->message != m->id)
            return false;
    }
    for (uint32_t i = 0; i < k->channels.records.used; i++) {
        const struct channel *c = channel_at(k, i);

        if (c->id != 0 && (!messages_sound(k, i) || (c->region == NIL) == channel_live(c)))
            return false;
    }
    for (uint32_t i = 0; i < k->regions.used; i++) {
        if (region_at(k, i)->id != 0 && !region_channels_sound(k, i))
            return false;
    }
    return dead_sound(k);
}

bool
channels_fill(struct kernel *k)
{
    struct channel_store *s = &k->channels;

    if (!timers_reserve(&s->dead_timers, &k->allocator, arena_live(&s->messages)))
        return false;
    for (uint32_t i = 0; i < s->messages.used; i++) {
        struct message *m = message_at(k, i);

        if (m->id == 0)
            continue;
        m->heap_child = m->heap_next = NIL;
        if (m->state == MESSAGE_DEAD)
            timer_set(&s->dead_timers, &k->allocator, TIMER_MESSAGE, i,
                      time_add(m->dead_at, channel_at(k, m->channel)->dead_retention_ns));
    }
    for (uint32_t i = 0; i < s->records.used; i++) {
        struct channel *c = channel_at(k, i);

        if (c->id == 0)
            continue;
        c->fresh = c->returned = NIL;
        c->send_first = c->receive_first = c->work_next = NIL;
        for (uint32_t at = c->message_first; at != NIL; at = message_at(k, at)->next) {
            if (message_at(k, at)->state != MESSAGE_QUEUED)
                continue;
            if (message_at(k, at)->came_back)
                messages_came_back(k, c, at);
            else if (c->fresh == NIL)
                c->fresh = at;
        }
    }
    return true;
}
