/* SPDX-License-Identifier: MIT */
/*
 * Capabilities (R-CAP-1): deriving one from what the caller may, and revoking.
 *
 * What is derived is never more than what it is derived from: the region is
 * that one's or below it, the rights are some of its rights, the ceilings no
 * higher. A revoked capability takes all that was derived from it along, and
 * whatever waits in their name is answered at once (R-CAP-4).
 */
#include "core/capability.h"

/* ---- Derive ------------------------------------------------------------------------------ */

static int
region_check(const struct kernel *k, uint32_t i, struct refusal *why)
{
    if (!region_live(region_at(k, i)))
        return REFUSE(why, ASUP_ECLOSED, "the region is closed: a capability dies with it");
    return 0;
}

static int
derive_check(const struct kernel *k, const struct input *in, struct refusal *why)
{
    const struct derive_params *p = &in->u.derive;
    uint32_t region = region_lookup(k, in, why);
    uint32_t rights;

    if (region == NIL)
        return why->code;
    if (p->rights == 0 || (p->rights & ~(uint32_t)ASUP_RIGHTS_ALL) != 0)
        return REFUSE(why, ASUP_EINVALID, "a capability has one right or more");
    if (p->limit_at <= k->now)
        return REFUSE(why, ASUP_EINVALID, "its time would be over at once");
    if (p->cost_ceiling == 0 || p->poll_ceiling == 0)
        return REFUSE(why, ASUP_EINVALID, "a ceiling of 0 leaves nothing");
    if (authorize(k, &in->caller, region, ASUP_RIGHT_DELEGATE, why) != 0)
        return why->code;
    rights = caller_rights(k, &in->caller, region, why);
    if ((p->rights & ~rights) != 0)
        return REFUSE(why, ASUP_EDENIED,
                      "it would have rights that you do not have: a capability can only be "
                      "attenuated");
    if (region_check(k, region, why) != 0)
        return why->code;
    return limit_capabilities(k, in->caller.uid, why);
}

static uint8_t
ceiling_of(uint8_t asked, uint8_t most)
{
    if (most == 0)
        return asked;
    return asked == 0 || asked > most ? most : asked;
}

static struct asup_ref
derive(struct kernel *k, const struct input *in)
{
    struct derive_params asked = in->u.derive;
    struct event ev = event_of_region(EV_CAPABILITY_GRANTED, k, region_of_id(k, in->region));
    struct capability_payload p;

    standing_ceilings(k, &in->caller, &asked);
    p = (struct capability_payload){
        .parent = caller_capability(k, &in->caller),
        .limit_at = asked.limit_at,
        .cost_ceiling = asked.cost_ceiling,
        .poll_ceiling = asked.poll_ceiling,
        .rights = asked.rights,
        .priority_ceiling = asked.priority_ceiling,
    };
    if (p.parent != 0) {
        const struct capability *x = capability_at(k, capability_of_id(k, p.parent));

        p.limit_at = min_u64(p.limit_at, x->limit_at);
        p.cost_ceiling = min_u64(p.cost_ceiling, x->cost_ceiling);
        p.poll_ceiling = (uint32_t)min_u64(p.poll_ceiling, x->poll_ceiling);
        p.priority_ceiling = ceiling_of(p.priority_ceiling, x->priority_ceiling);
    }
    ev.uid = in->caller.uid;
    ev.subject = k->capabilities.id_next;
    ev.holder = caller_holder(&in->caller);
    ev.value = p.rights;
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
    return (struct asup_ref){.id = ev.subject, .sort = ASUP_SORT_CAPABILITY};
}

/* ---- Revoke -------------------------------------------------------------------------------- */

static struct event
event_of(enum event_kind kind, struct kernel *k, uint32_t i)
{
    const struct capability *x = capability_at(k, i);
    struct event ev = event_of_region(kind, k, x->region);

    ev.uid = x->uid;
    ev.subject = x->id;
    ev.holder = (struct asup_ref){.id = x->owner_id, .sort = (enum asup_sort)x->owner_sort};
    return ev;
}

static bool
derived_from(const struct kernel *k, uint32_t i, uint32_t from)
{
    while (i != NIL && i != from)
        i = capability_at(k, i)->parent;
    return i != NIL;
}

/* Its deriver may, who has one that it hangs under, and who may revoke by the region: the users
 * whose they are, and root. */
static bool
may_revoke(const struct kernel *k, const struct caller *c, uint32_t i, struct refusal *why)
{
    const struct capability *x = capability_at(k, i);
    struct authority a;

    if (caller_may(k, c, x->uid) || caller_may(k, c, region_at(k, x->region)->uid))
        return true;
    if (authority_of(k, c, &a, why) != 0)
        return false;
    if (a.capability != NIL && derived_from(k, i, a.capability))
        return true;
    if (c->task != 0 && x->owner_sort == ASUP_SORT_TASK && x->owner_id == c->task && c->cx == 0)
        return true;
    (void)REFUSE(why, ASUP_EDENIED, "it was not derived from what you show");
    return false;
}

static int
revoke_check(const struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = capability_of_id(k, in->subject);

    if (i == NIL && in->subject != 0 && in->subject < k->capabilities.id_next)
        return REFUSE(why, ASUP_EEXPIRED, "the capability died with its region, or long ago");
    if (i == NIL)
        return REFUSE(why, ASUP_ENOTFOUND, "there is no such capability");
    return may_revoke(k, &in->caller, i, why) ? 0 : why->code;
}

/* Whoever waits in its name is told so. */
static void
waits_refuse(struct kernel *k, uint32_t i, int code, const char *detail)
{
    while (capability_at(k, i)->wait_first != NIL)
        wait_end(k, capability_at(k, i)->wait_first, code, detail, (struct asup_ref){0});
}

/* All that was derived from it, the last first, and then it: each is one that nothing is derived
 * from. */
static void
revoke(struct kernel *k, uint32_t top)
{
    uint32_t i = top;
    bool last = false;

    if (capability_at(k, top)->revoked)
        return;
    while (!last) {
        const struct capability *x = capability_at(k, i);
        uint32_t parent = x->parent;

        if (x->derived_last != NIL) {
            i = x->derived_last;
            continue;
        }
        last = i == top;
        waits_refuse(k, i, -ASUP_EREVOKED, "the capability was revoked");
        emit(k, event_of(EV_CAPABILITY_REVOKED, k, i));
        i = parent;
    }
}

/* ---- Requests and ends ----------------------------------------------------------------------- */

int
capability_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    return in->kind == IN_CX_DERIVE ? derive_check(k, in, why) : revoke_check(k, in, why);
}

bool
capability_memory(struct kernel *k, const struct input *in, struct need *need)
{
    struct capabilities *all = &k->capabilities;

    if (in->kind == IN_CX_REVOKE) {
        need->events += arena_live(&all->records);
        return true;
    }
    need->events++;
    need->scratch += sizeof(struct capability_payload);
    return users_reserve(k) && arena_reserve(&all->records, &k->allocator, 1) &&
           index_reserve(&all->ids, &k->allocator, 1);
}

struct asup_ref
capability_do(struct kernel *k, const struct input *in)
{
    if (in->kind == IN_CX_DERIVE)
        return derive(k, in);
    revoke(k, capability_of_id(k, in->subject));
    return (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_CAPABILITY};
}

void
capabilities_die(struct kernel *k, uint32_t region)
{
    uint32_t i;

    while ((i = region_at(k, region)->capability_last) != NIL) {
        waits_refuse(k, i, -ASUP_EEXPIRED, "the capability died with its region");
        emit(k, event_of(EV_CAPABILITY_DEAD, k, i));
    }
}
