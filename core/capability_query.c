/* SPDX-License-Identifier: MIT */
/* Capabilities, read only: views, the digest, and the invariant
 * capability-attenuates of §9. */
#include "core/capability.h"

/* ---- Views ---------------------------------------------------------------------------- */

bool
kernel_capability(const struct kernel *k, uint64_t id, struct capability_view *out)
{
    uint32_t i = capability_of_id(k, id);
    const struct capability *x;

    if (i == NIL)
        return false;
    x = capability_at(k, i);
    *out = (struct capability_view){
        .id = x->id,
        .parent = x->parent_id,
        .region = region_at(k, x->region)->id,
        .owner = {.id = x->owner_id, .sort = (enum asup_sort)x->owner_sort},
        .uid = x->uid,
        .rights = x->rights,
        .priority_ceiling = x->priority_ceiling,
        .limit_at = x->limit_at,
        .cost_ceiling = x->cost_ceiling,
        .poll_ceiling = x->poll_ceiling,
        .granted_at = x->granted_at,
        .revoked = x->revoked,
    };
    return true;
}

uint64_t
kernel_capability_next(const struct kernel *k, uint64_t region, uint64_t after)
{
    uint32_t r = region_of_id(k, region);
    uint32_t i = capability_of_id(k, after);

    if (r == NIL)
        return 0;
    if (i != NIL && capability_at(k, i)->region == r)
        i = capability_at(k, i)->next;
    else
        i = region_at(k, r)->capability_first;
    while (i != NIL && capability_at(k, i)->id <= after)
        i = capability_at(k, i)->next;
    return i == NIL ? 0 : capability_at(k, i)->id;
}

/* ---- Digest ----------------------------------------------------------------------------- */

uint64_t
digest_capabilities(const struct kernel *k, uint64_t h)
{
    const struct capabilities *all = &k->capabilities;

    h = hash_mix(hash_mix(h, all->id_next), all->revoked);
    for (uint32_t i = 0; i < all->records.used; i++) {
        const struct capability *x = capability_at(k, i);

        if (x->id == 0)
            continue;
        h = hash_bytes(h, x, offsetof(struct capability, priority_ceiling));
        h = hash_mix(h, (uint64_t)x->priority_ceiling << 1 | x->revoked);
    }
    return h;
}

/* ---- Invariants ------------------------------------------------------------------------- */

static bool
attenuates(const struct kernel *k, const struct capability *x)
{
    const struct capability *p;

    if (x->parent == NIL)
        return true;
    p = capability_at(k, x->parent);
    return p->id == x->parent_id && p->id < x->id && !p->revoked &&
           region_within(k, x->region, p->region) && (x->rights & ~p->rights) == 0 &&
           x->limit_at <= p->limit_at && x->cost_ceiling <= p->cost_ceiling &&
           x->poll_ceiling <= p->poll_ceiling &&
           (p->priority_ceiling == 0 ||
            (x->priority_ceiling != 0 && x->priority_ceiling <= p->priority_ceiling));
}

static bool
record_holds(const struct kernel *k, uint32_t i)
{
    const struct capability *x = capability_at(k, i);

    if (x->id >= k->capabilities.id_next || capability_of_id(k, x->id) != i)
        return false;
    if (!region_live(region_at(k, x->region)) || x->rights == 0)
        return false;
    if (x->revoked && (x->parent != NIL || x->derived_first != NIL || x->wait_first != NIL))
        return false;
    return attenuates(k, x);
}

const char *
check_capabilities(const struct kernel *k)
{
    const struct capabilities *all = &k->capabilities;
    uint32_t listed = 0;
    uint32_t revoked = 0;
    uint32_t counted = 0;

    for (uint32_t i = 0; i < all->records.used; i++) {
        if (capability_at(k, i)->id == 0)
            continue;
        if (!record_holds(k, i))
            return "capability-attenuates";
        revoked += capability_at(k, i)->revoked;
    }
    for (uint32_t r = 0; r < k->regions.used; r++) {
        uint64_t last = 0;

        if (region_at(k, r)->id == 0)
            continue;
        for (uint32_t i = region_at(k, r)->capability_first; i != NIL;
             i = capability_at(k, i)->next) {
            if (capability_at(k, i)->region != r || capability_at(k, i)->id <= last)
                return "capability-attenuates";
            last = capability_at(k, i)->id;
            listed++;
        }
    }
    for (uint32_t i = 0; i < k->users.used; i++) {
        const struct user *u = arena_at(&k->users, i);

        if (u->key != 0)
            counted += u->capabilities;
    }
    if (listed != arena_live(&all->records) || revoked != all->revoked ||
        counted + revoked != listed)
        return "capability-attenuates";
    return NULL;
}
