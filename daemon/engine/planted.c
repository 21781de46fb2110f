/* SPDX-License-Identifier: MIT */
/*
 * Bugs for the tests of the tests: what a holder has is settled behind its
 * back, so that the next one gets it too. The history that clients see then is
 * one that no order explains, and the checker must say so.
 */
#include "daemon/engine/crash.h"

#if defined ASUP_CRASH_POINTS && ASUP_CRASH_POINTS

#include "daemon/engine/state.h"

static void
settle_secretly(struct engine *e, uint64_t id, enum input_kind how)
{
    struct input in = {.kind = how, .subject = id};
    struct obligation_view o;
    struct session_view holder;
    struct answer answer;

    if (!kernel_obligation(e->kernel, id, &o) || o.holder.sort != ASUP_SORT_SESSION ||
        !kernel_session(e->kernel, o.holder.id, &holder))
        return;
    in.caller = (struct caller){.session = holder.id, .uid = holder.uid};
    engine_ask(e, &in, &answer);
}

void
planted_lease(struct engine *e, uint64_t region, const struct bytes *name)
{
    struct lease_view lease;

    if (crash_planted("lease-stolen") && kernel_lease(e->kernel, region, *name, &lease) &&
        lease.obligation != 0)
        settle_secretly(e, lease.obligation, IN_LEASE_RELEASE);
}

void
planted_message(struct engine *e, uint64_t channel)
{
    struct channel_view c;
    struct obligation_view o;
    uint64_t id = 0;

    if (!crash_planted("message-twice") || !kernel_channel(e->kernel, channel, &c))
        return;
    while ((id = kernel_obligation_next(e->kernel, c.region, id)) != 0) {
        if (kernel_obligation(e->kernel, id, &o) && o.kind == ASUP_OBLIGATION_ACK &&
            o.channel == channel) {
            settle_secretly(e, id, IN_CHANNEL_NACK);
            return;
        }
    }
}

#endif
