/* SPDX-License-Identifier: MIT */
/*
 * `why` about a channel: what it holds, and, where somebody waits, who is in the
 * way. Senders wait for room, which the oldest permit or ack would give, or
 * which receivers would; receivers wait for a message, which a permit promises.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/why_parts.h"

enum { LOOK_MAX = 4096 };

/* The permit or ack of the channel that was given first; 0: none is held. */
static uint64_t
oldest_held(const struct why *why, const struct channel_view *c)
{
    const struct kernel *k = why->engine->kernel;
    struct obligation_view o;
    uint64_t id = 0;

    for (int looked = 0; looked < LOOK_MAX; looked++) {
        id = kernel_obligation_next(k, c->region, id);
        if (id == 0 || (kernel_obligation(k, id, &o) && o.channel == c->id))
            return id;
    }
    return 0;
}

static void
channel_note(const struct channel_view *c, char *note, size_t size)
{
    int used = snprintf(note, size, "%u queued, %u received and not settled, %u permits of %u",
                        c->queued, c->unacked, c->permits, c->capacity);

    if (c->senders > 0 && used > 0 && (size_t)used < size)
        used += snprintf(note + used, size - (size_t)used, "; %u wait for room", c->senders);
    if (c->receivers > 0 && used > 0 && (size_t)used < size)
        used += snprintf(note + used, size - (size_t)used, "; %u wait for a message", c->receivers);
    if (c->senders > 0 && c->queued == c->capacity && used > 0 && (size_t)used < size)
        snprintf(note + used, size - (size_t)used, ", and nobody receives");
}

void
why_channel(struct why *why, uint64_t id)
{
    struct asup_ref ref = {.id = id, .sort = ASUP_SORT_CHANNEL};
    char path[CHANNEL_PATH_SIZE];
    struct channel_view c;

    if (!kernel_channel(why->engine->kernel, id, &c))
        return;
    struct why_link *link = why_add_link(why);
    link->ref = ref;
    link->kind = "channel";
    link->state = c.closed ? "closed" : c.sealed ? "sealed" : "open";
    channel_path(why->engine->kernel, &c, path, sizeof path);
    snprintf(link->name, sizeof link->name, "%.*s", (int)sizeof link->name - 1, path);
    link->age_ns = why->now - c.opened_at;
    channel_note(&c, link->note, sizeof link->note);
    if (c.dead > 0)
        why_add_trouble(why, "DeadLetters", ref,
                        "%u messages are dead letters: asupersyncctl dead list --channel c%" PRIu64,
                        c.dead, id);
    uint64_t held = c.senders + c.receivers > 0 || c.unacked > 0 ? oldest_held(why, &c) : 0;
    if (held)
        why_follow_obligation(why, held);
    why_summarize(why);
}
