/* SPDX-License-Identifier: MIT */
/* Capabilities out of a snapshot: whether their lists make sense (load_check.c
 * says how), and leaving out what belongs to volatile regions. */
#include "core/capability.h"
#include "core/snapshot.h"

static bool
there(const struct kernel *k, uint32_t i)
{
    const struct arena *a = &k->capabilities.records;

    return i < a->used && arena_used(a, i);
}

static bool
region_sound(const struct kernel *k, uint32_t region, uint32_t *count)
{
    const struct region *r = region_at(k, region);
    uint32_t prev = NIL;
    uint32_t at = r->capability_first;

    for (; at != NIL; prev = at, at = capability_at(k, at)->next) {
        if (!there(k, at) || capability_at(k, at)->region != region ||
            capability_at(k, at)->prev != prev)
            return false;
        ++*count;
    }
    return r->capability_last == prev;
}

static bool
derived_sound(const struct kernel *k, uint32_t parent, uint32_t *count)
{
    const struct capability *p = capability_at(k, parent);
    uint32_t prev = NIL;
    uint32_t at = p->derived_first;

    for (; at != NIL; prev = at, at = capability_at(k, at)->sibling_next) {
        if (!there(k, at) || capability_at(k, at)->parent != parent ||
            capability_at(k, at)->sibling_prev != prev)
            return false;
        ++*count;
    }
    return p->derived_last == prev;
}

static bool
revoked_sound(const struct kernel *k)
{
    const struct capabilities *all = &k->capabilities;
    uint32_t prev = NIL;
    uint32_t at = all->revoked_first;
    uint32_t count = 0;

    for (; at != NIL; prev = at, at = capability_at(k, at)->revoked_next) {
        if (!there(k, at) || !capability_at(k, at)->revoked ||
            capability_at(k, at)->revoked_prev != prev)
            return false;
        count++;
    }
    return all->revoked_last == prev && all->revoked == count;
}

bool
capabilities_sound(const struct kernel *k)
{
    const struct capabilities *all = &k->capabilities;
    uint32_t listed = 0;
    uint32_t derived = 0;
    uint32_t children = 0;

    for (uint32_t i = 0; i < k->regions.used; i++) {
        if (region_at(k, i)->id != 0 && !region_sound(k, i, &listed))
            return false;
    }
    for (uint32_t i = 0; i < all->records.used; i++) {
        if (capability_at(k, i)->id == 0)
            continue;
        if (capability_at(k, i)->region == NIL || !derived_sound(k, i, &derived))
            return false;
        children += capability_at(k, i)->parent != NIL;
    }
    /* Else one is in no list. */
    return listed == arena_live(&all->records) && derived == children && revoked_sound(k);
}

void
capabilities_fill(struct kernel *k)
{
    for (uint32_t i = 0; i < k->capabilities.records.used; i++) {
        if (capability_at(k, i)->id != 0)
            capability_at(k, i)->wait_first = NIL;
    }
}

/* What is derived of one in a volatile region is in one as well: the last first. */
void
capabilities_volatile_drop(struct kernel *k)
{
    for (uint32_t r = 0; r < k->regions.used; r++) {
        if (region_at(k, r)->id == 0 || (region_at(k, r)->flags & REGION_VOLATILE) == 0)
            continue;
        while (region_at(k, r)->capability_last != NIL) {
            uint32_t i = region_at(k, r)->capability_last;

            while (capability_at(k, i)->derived_last != NIL)
                i = capability_at(k, i)->derived_last;
            capability_forget(k, i);
        }
    }
}
