/* SPDX-License-Identifier: MIT */
/* Obligations and leases out of a snapshot: what is derived, and whether the
 * links make sense. */
#include "core/decide.h"
#include "core/snapshot.h"

static struct obligation *
obligation_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.records, i);
}

static struct holder *
holder_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.holders, i);
}

static struct lease *
lease_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.leases, i);
}

bool
obligations_indices(struct kernel *k)
{
    struct obligations *all = &k->obligations;

    for (uint32_t i = 0; i < all->leases.used; i++) {
        if (lease_at(k, i)->key != 0)
            lease_at(k, i)->wait_first = NIL;
    }
    return index_fill(k, &all->ids, NULL) && index_fill(k, &all->holder_keys, NULL) &&
           index_fill(k, &all->lease_keys, NULL) && index_fill(k, &all->ended_ids, NULL);
}

void
obligations_rearm_all(struct kernel *k)
{
    for (uint32_t i = 0; i < k->obligations.records.used; i++) {
        if (obligation_at(k, i)->id != 0)
            timer_set(&k->timers, &k->allocator, TIMER_OBLIGATION, i,
                      obligation_at(k, i)->deadline);
    }
    holders_rearm(k);
}

/* ---- Links ------------------------------------------------------------------------- */

static bool
ledger_sound(const struct kernel *k, uint32_t region)
{
    const struct region *r = region_at(k, region);
    uint32_t prev = NIL;

    for (uint32_t at = r->ledger_first; at != NIL; at = obligation_at(k, at)->ledger_next) {
        if (obligation_at(k, at)->region != region || obligation_at(k, at)->ledger_prev != prev)
            return false;
        prev = at;
    }
    if (r->ledger_last != prev)
        return false;
    prev = NIL;
    for (uint32_t at = r->lease_first; at != NIL; at = lease_at(k, at)->next) {
        if (lease_at(k, at)->region != region || lease_at(k, at)->prev != prev)
            return false;
        prev = at;
    }
    return r->lease_last == prev;
}

static bool
held_sound(const struct kernel *k, uint32_t i)
{
    const struct holder *h = holder_at(k, i);
    struct asup_ref ref = holder_ref(h);
    uint32_t prev = NIL;

    if (h->is_task != (ref.sort == ASUP_SORT_TASK) ||
        h->record != (h->is_task ? task_of_id(k, ref.id) : session_of_id(k, ref.id)) ||
        h->record == NIL)
        return false;
    for (uint32_t at = h->held_first; at != NIL; at = obligation_at(k, at)->held_next) {
        if (obligation_at(k, at)->holder != i || obligation_at(k, at)->held_prev != prev)
            return false;
        prev = at;
    }
    if (h->held_last != prev)
        return false;
    prev = NIL;
    for (uint32_t at = h->cooling_first; at != NIL; at = lease_at(k, at)->cooling_next) {
        if (lease_at(k, at)->cooler != i || lease_at(k, at)->cooling_prev != prev)
            return false;
        prev = at;
    }
    return true;
}

/* Every one stands in its lists: they are as long as there are records. */
static bool
lists_complete(const struct kernel *k)
{
    uint32_t owed = 0;
    uint32_t leases = 0;
    uint32_t held = 0;

    for (uint32_t i = 0; i < k->regions.used; i++) {
        if (region_at(k, i)->id == 0)
            continue;
        for (uint32_t at = region_at(k, i)->ledger_first; at != NIL;
             at = obligation_at(k, at)->ledger_next)
            owed++;
        for (uint32_t at = region_at(k, i)->lease_first; at != NIL; at = lease_at(k, at)->next)
            leases++;
    }
    for (uint32_t i = 0; i < k->obligations.holders.used; i++) {
        if (holder_at(k, i)->key == 0)
            continue;
        for (uint32_t at = holder_at(k, i)->held_first; at != NIL;
             at = obligation_at(k, at)->held_next)
            held++;
    }
    return owed == arena_live(&k->obligations.records) && held == owed &&
           leases == arena_live(&k->obligations.leases);
}

static bool
ended_sound(const struct kernel *k)
{
    const struct obligations *all = &k->obligations;
    uint32_t left = arena_live(&all->ended);
    uint32_t last = NIL;

    for (uint32_t at = all->ended_first; at != NIL;
         at = ((const struct ended *)arena_at(&all->ended, at))->next) {
        if (left-- == 0)
            return false;
        last = at;
    }
    return left == 0 && last == all->ended_last;
}

bool
obligations_sound(const struct kernel *k)
{
    for (uint32_t i = 0; i < k->regions.used; i++) {
        if (region_at(k, i)->id != 0 && !ledger_sound(k, i))
            return false;
    }
    for (uint32_t i = 0; i < k->obligations.holders.used; i++) {
        if (holder_at(k, i)->key != 0 && !held_sound(k, i))
            return false;
    }
    for (uint32_t i = 0; i < k->obligations.records.used; i++) {
        const struct obligation *o = obligation_at(k, i);

        if (o->id == 0)
            continue;
        if (o->region == NIL || o->holder == NIL ||
            (o->kind == ASUP_OBLIGATION_LEASE &&
             (o->thing == NIL || lease_at(k, o->thing)->obligation != i)))
            return false;
    }
    for (uint32_t i = 0; i < k->obligations.leases.used; i++) {
        const struct lease *l = lease_at(k, i);

        if (l->key == 0)
            continue;
        if (l->region == NIL || (l->obligation != NIL &&
                                 (obligation_at(k, l->obligation)->kind != ASUP_OBLIGATION_LEASE ||
                                  obligation_at(k, l->obligation)->thing != i)))
            return false;
    }
    return lists_complete(k) && ended_sound(k);
}
