/* SPDX-License-Identifier: MIT */
/* Obligations and leases, read only: views, the digest, and the invariants
 * obligation-linear, holder-alive, lease-exclusive and fencing-monotone of §9.
 * (ledger-empty-on-close is one too: a ledger's region is live.) */
#include "core/channel.h"
#include "core/obligation.h"

/* ---- Views ---------------------------------------------------------------------------- */

static struct bytes
obligation_name(const struct kernel *k, const struct obligation *o)
{
    switch ((enum asup_obligation_kind)o->kind) {
    case ASUP_OBLIGATION_LEASE:
        return heap_get(&k->heap, lease_at(k, o->thing)->name);
    case ASUP_OBLIGATION_IO_OP:
        return heap_get(&k->heap, o->thing);
    case ASUP_OBLIGATION_SEND_PERMIT:
    case ASUP_OBLIGATION_ACK:
        return heap_get(&k->heap, channel_at(k, o->thing)->name);
    }
    return (struct bytes){"", 0};
}

bool
kernel_obligation(const struct kernel *k, uint64_t id, struct obligation_view *out)
{
    uint32_t i = obligation_of_id(k, id);
    const struct obligation *o;

    if (i == NIL)
        return false;
    o = obligation_at(k, i);
    *out = (struct obligation_view){
        .id = o->id,
        .region = region_at(k, o->region)->id,
        .holder = holder_ref(holder_at(k, o->holder)),
        .channel = o->kind == ASUP_OBLIGATION_SEND_PERMIT || o->kind == ASUP_OBLIGATION_ACK
                       ? channel_at(k, o->thing)->id
                       : 0,
        .message = o->kind == ASUP_OBLIGATION_ACK ? o->number : 0,
        .name = obligation_name(k, o),
        .token = o->kind == ASUP_OBLIGATION_LEASE ? o->id : 0,
        .at = o->at,
        .deadline = o->deadline,
        .uid = region_at(k, o->region)->uid,
        .kind = o->kind,
    };
    return true;
}

bool
kernel_obligation_ended(const struct kernel *k, uint64_t id, struct obligation_ended_view *out)
{
    const struct ended *e = obligation_ended(k, id);
    uint32_t region;

    if (e == NULL)
        return false;
    region = region_of_id(k, e->region);
    *out = (struct obligation_ended_view){
        .id = e->id,
        .region = e->region,
        .holder = {.id = e->holder_id, .sort = (enum asup_sort)e->holder_sort},
        .at = e->at,
        .uid = region == NIL ? k->config.root_uid : region_at(k, region)->uid,
        .kind = e->kind,
        .committed = e->end == END_COMMITTED,
        .leaked = e->end == END_LEAKED,
        .expired = e->why == OBLIGATION_EXPIRED,
        .region_closed = e->why == OBLIGATION_CLOSED,
    };
    return true;
}

/* A ledger is in the order of ids. */
uint64_t
kernel_obligation_next(const struct kernel *k, uint64_t region, uint64_t after)
{
    uint32_t i = obligation_of_id(k, after);
    uint32_t r = region == 0 ? NIL : region_of_id(k, region);

    if (r == NIL)
        return 0;
    if (i != NIL && obligation_at(k, i)->region == r) {
        i = obligation_at(k, i)->ledger_next;
    } else {
        i = region_at(k, r)->ledger_first;
        while (i != NIL && obligation_at(k, i)->id <= after)
            i = obligation_at(k, i)->ledger_next;
    }
    return i == NIL ? 0 : obligation_at(k, i)->id;
}

uint64_t
kernel_held_next(const struct kernel *k, struct asup_ref holder, uint64_t after)
{
    uint32_t h = holder_of(k, holder);
    uint32_t i;

    if (h == NIL)
        return 0;
    i = holder_at(k, h)->held_first;
    if (after != 0) {
        uint32_t at = obligation_of_id(k, after);

        i = at == NIL || obligation_at(k, at)->holder != h ? NIL : obligation_at(k, at)->held_next;
    }
    return i == NIL ? 0 : obligation_at(k, i)->id;
}

bool
kernel_holder(const struct kernel *k, struct asup_ref holder, struct holder_view *out)
{
    uint32_t i = holder_of(k, holder);
    const struct holder *h;

    if (i == NIL)
        return false;
    h = holder_at(k, i);
    *out = (struct holder_view){.held = h->held, .progress_at = h->progress_at, .stuck = h->stuck};
    return true;
}

static bool
waits_on(const struct kernel *k, const struct wait *w, struct asup_ref *out)
{
    const struct lease *l;

    switch ((enum wait_on)w->on) {
    case WAIT_ON_TASK:
        *out = (struct asup_ref){.id = task_at(k, w->target)->id, .sort = ASUP_SORT_TASK};
        return true;
    case WAIT_ON_REGION:
        *out = (struct asup_ref){.id = region_at(k, w->target)->id, .sort = ASUP_SORT_REGION};
        return true;
    case WAIT_ON_LEASE:
        l = lease_at(k, w->target);
        *out = l->obligation != NIL
                   ? obligation_ref(k, l->obligation)
                   : (struct asup_ref){.id = l->holder_id, .sort = (enum asup_sort)l->holder_sort};
        return true;
    case WAIT_ON_CHANNEL_SEND:
    case WAIT_ON_CHANNEL_RECEIVE:
        *out = (struct asup_ref){.id = channel_at(k, w->target)->id, .sort = ASUP_SORT_CHANNEL};
        return true;
    case WAIT_ON_SAGA:
        *out = (struct asup_ref){.id = saga_at(k, w->target)->id, .sort = ASUP_SORT_SAGA};
        return true;
    case WAIT_ON_WORKER: /* for work: nobody is in its way */
        break;
    }
    return false;
}

bool
kernel_waits_for(const struct kernel *k, struct asup_ref holder, struct asup_ref *out)
{
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < k->waits.used; i++) {
        const struct wait *w = wait_at(k, i);
        struct asup_ref who = caller_holder(&w->caller);

        if (w->id == 0 || w->id >= first || who.id != holder.id || who.sort != holder.sort)
            continue;
        if (waits_on(k, w, out))
            first = w->id;
    }
    return first != UINT64_MAX;
}

static void
lease_view(const struct kernel *k, uint32_t i, struct lease_view *out)
{
    const struct lease *l = lease_at(k, i);

    *out = (struct lease_view){
        .region = region_at(k, l->region)->id,
        .name = heap_get(&k->heap, l->name),
        .uid = region_at(k, l->region)->uid,
        .obligation = l->obligation == NIL ? 0 : obligation_at(k, l->obligation)->id,
        .holder = {.id = l->holder_id, .sort = (enum asup_sort)l->holder_sort},
        .token = l->token,
        .granted_at = l->granted_at,
        .expires_at = l->expires_at,
        .cooling = l->obligation == NIL,
        .waiters = l->waiters,
    };
}

bool
kernel_lease(const struct kernel *k, uint64_t region, struct bytes name, struct lease_view *out)
{
    uint32_t r = region == 0 ? NIL : region_of_id(k, region);
    uint32_t i = r == NIL ? NIL : lease_find(k, r, name);

    if (i == NIL)
        return false;
    lease_view(k, i, out);
    return true;
}

uint64_t
kernel_lease_next(const struct kernel *k, uint64_t region, uint64_t cursor, struct lease_view *out)
{
    uint32_t r = region == 0 ? NIL : region_of_id(k, region);
    uint32_t i;

    if (r == NIL)
        return 0;
    i = cursor == 0 ? region_at(k, r)->lease_first : lease_at(k, (uint32_t)(cursor - 1))->next;
    if (i == NIL)
        return 0;
    lease_view(k, i, out);
    return (uint64_t)i + 1;
}

/* ---- Digest ---------------------------------------------------------------------------- */

uint64_t
digest_obligations(const struct kernel *k, uint64_t h)
{
    const struct obligations *all = &k->obligations;

    h = hash_mix(hash_mix(h, all->id_next), all->leaked);
    h = hash_mix(hash_mix(h, all->ended_first), all->ended_last);
    h = hash_mix(hash_mix(h, all->held_unstarted), all->stuck);
    for (uint32_t i = 0; i < all->records.used; i++) {
        struct obligation o;

        memcpy(&o, obligation_at(k, i), sizeof o);
        if (o.id == 0)
            continue;
        if (o.kind == ASUP_OBLIGATION_IO_OP) {
            h = digest_text(k, h, o.thing);
            o.thing = 0; /* where its label happens to be kept */
        }
        h = hash_bytes(h, &o, offsetof(struct obligation, timer_place));
    }
    for (uint32_t i = 0; i < all->holders.used; i++) {
        if (holder_at(k, i)->key != 0)
            h = hash_bytes(h, holder_at(k, i), offsetof(struct holder, timer_place));
    }
    for (uint32_t i = 0; i < all->leases.used; i++) {
        if (lease_at(k, i)->key != 0)
            h = digest_text(k, hash_bytes(h, lease_at(k, i), offsetof(struct lease, name)),
                            lease_at(k, i)->name);
    }
    for (uint32_t i = 0; i < all->ended.used; i++) {
        const struct ended *e = arena_at(&all->ended, i);

        if (e->id != 0)
            h = hash_bytes(h, e, sizeof *e);
    }
    return h;
}

/* ---- Invariants --------------------------------------------------------------------------- */

#define HOLDS(condition, name)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return (name);                                                                         \
    } while (0)

/* R-OBL-7, and what is in a ledger is owed to a region that is not Closed. */
static const char *
check_ledgers(const struct kernel *k)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < k->regions.used; i++) {
        const struct region *r = region_at(k, i);
        uint32_t count[ASUP_OBLIGATION_KIND_COUNT] = {0};
        uint64_t last = 0;

        if (r->id == 0)
            continue;
        HOLDS(region_live(r) || (!region_owes(r) && r->lease_first == NIL),
              "ledger-empty-on-close");
        if (!region_live(r))
            continue;
        for (uint32_t at = r->ledger_first; at != NIL; at = obligation_at(k, at)->ledger_next) {
            const struct obligation *o = obligation_at(k, at);

            HOLDS(o->region == i && o->id > last, "obligation-linear");
            HOLDS(obligation_ended(k, o->id) == NULL, "obligation-linear");
            last = o->id;
            count[o->kind]++;
            total++;
        }
        for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
            HOLDS(count[kind] == r->ledger[kind], "obligation-linear");
        HOLDS((r->flags & REGION_DRAIN_ENDED) != 0 || !region_owes(r) || r->drain_end > k->now ||
                  r->timer_place != 0,
              "ledger-empty-on-close");
    }
    HOLDS(total == arena_live(&k->obligations.records), "obligation-linear");
    return NULL;
}

static const char *
check_holders(const struct kernel *k)
{
    uint32_t total = 0;
    uint32_t unstarted = 0;
    uint32_t stuck = 0;

    for (uint32_t i = 0; i < k->obligations.holders.used; i++) {
        const struct holder *h = holder_at(k, i);
        uint32_t count = 0;

        if (h->key == 0)
            continue;
        HOLDS(holder_lives(k, holder_ref(h)), "holder-alive");
        HOLDS(h->is_task ? task_of_id(k, holder_ref(h).id) == h->record
                         : session_of_id(k, holder_ref(h).id) == h->record,
              "holder-alive");
        for (uint32_t at = h->held_first; at != NIL; at = obligation_at(k, at)->held_next) {
            HOLDS(obligation_at(k, at)->holder == i, "holder-alive");
            count++;
        }
        HOLDS(count == h->held, "holder-alive");
        HOLDS(count > 0 || h->cooling_first != NIL, "holder-alive");
        HOLDS((h->timer_place == 0) == (holder_deadline(k, h) == ASUP_NEVER), "time-monotone");
        total += count;
        stuck += h->stuck;
        if (h->is_task && (task_at(k, h->record)->flags & TASK_STARTED) == 0)
            unstarted += count;
    }
    HOLDS(total == arena_live(&k->obligations.records), "holder-alive");
    HOLDS(unstarted == k->obligations.held_unstarted, "holder-alive");
    HOLDS(stuck == k->obligations.stuck, "holder-alive");
    return NULL;
}

static const char *
check_leases(const struct kernel *k)
{
    uint32_t held = 0;

    for (uint32_t i = 0; i < k->obligations.leases.used; i++) {
        const struct lease *l = lease_at(k, i);

        if (l->key == 0)
            continue;
        HOLDS(lease_find(k, l->region, heap_get(&k->heap, l->name)) == i, "lease-exclusive");
        HOLDS((l->obligation == NIL) == (l->cooler != NIL), "lease-exclusive");
        HOLDS(l->token < k->obligations.id_next, "fencing-monotone");
        if (l->obligation == NIL) {
            HOLDS(holder_at(k, l->cooler)->key != 0, "lease-exclusive");
            continue;
        }
        held++;
        HOLDS(obligation_at(k, l->obligation)->id == l->token, "fencing-monotone");
        HOLDS(obligation_at(k, l->obligation)->thing == i &&
                  obligation_at(k, l->obligation)->kind == ASUP_OBLIGATION_LEASE,
              "lease-exclusive");
        HOLDS(obligation_at(k, l->obligation)->deadline == l->expires_at, "lease-exclusive");
    }
    HOLDS(held == k->obligations.in_kind[ASUP_OBLIGATION_LEASE], "lease-exclusive");
    return NULL;
}

const char *
check_obligations(const struct kernel *k)
{
    uint32_t records = arena_live(&k->obligations.records);
    uint32_t users = 0;
    uint32_t kinds = 0;
    const char *broken;

    for (uint32_t i = 0; i < k->obligations.records.used; i++) {
        const struct obligation *o = obligation_at(k, i);

        if (o->id == 0)
            continue;
        HOLDS(o->id < k->obligations.id_next && obligation_of_id(k, o->id) == i,
              "ids-never-reused");
        HOLDS((o->timer_place == 0) == (o->deadline == ASUP_NEVER), "time-monotone");
    }
    for (uint32_t i = 0; i < k->users.used; i++) {
        const struct user *u = arena_at(&k->users, i);

        if (u->key != 0)
            users += u->obligations;
    }
    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
        kinds += k->obligations.in_kind[kind];
    HOLDS(users == records && kinds == records, "obligation-linear");
    HOLDS(arena_live(&k->obligations.ended) <= ENDED_MAX, "obligation-linear");
    broken = check_ledgers(k);
    if (broken == NULL)
        broken = check_holders(k);
    return broken != NULL ? broken : check_leases(k);
}
