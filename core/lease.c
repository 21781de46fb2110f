/* SPDX-License-Identifier: MIT */
/*
 * Leases (§4): a name in a region, held by one at a time on [grant, expiry).
 *
 *     free -> held -> free | held by the next | cooling -> free | held
 *
 * Its fencing token is the id of its obligation: those come from one counter of
 * the daemon that never goes back, so every grant has a larger one than all
 * before it.
 *
 * A lease that a living task loses, by expiry or by the end of its region's
 * drain, cancels the task, and its name cools until nothing of the task is
 * left: the two that hold a name in turn never run at once. One that a session
 * loses is granted again at once; then only the token tells them apart.
 */
#include "core/obligation.h"

struct lease *
lease_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.leases, i);
}

static void
lease_event(struct kernel *k, enum event_kind kind, uint32_t i)
{
    const struct lease *l = lease_at(k, i);
    struct event ev = event_of_region(kind, k, l->region);

    ev.subject = l->token;
    ev.value = l->token;
    ev.holder = (struct asup_ref){.id = l->holder_id, .sort = (enum asup_sort)l->holder_sort};
    ev.text = scratch_text(k, heap_get(&k->heap, l->name));
    emit(k, ev);
}

static struct asup_ref
lease_grant(struct kernel *k, uint32_t region, struct bytes name, struct asup_ref holder,
            uint64_t ttl_ns)
{
    struct obligation_new n = {.holder = holder,
                               .span_ns = ttl_ns,
                               .name = scratch_text(k, name),
                               .region = region,
                               .kind = ASUP_OBLIGATION_LEASE};
    uint32_t i = obligation_make(k, &n);

    lease_event(k, EV_LEASE_GRANTED, obligation_at(k, i)->thing);
    return obligation_ref(k, i);
}

/* First come, first served; who may no longer hold it is told so. Whoever else
 * waits goes on waiting. Nobody: the name is free. */
static void
lease_next(struct kernel *k, uint32_t i)
{
    const struct lease *l = lease_at(k, i);
    uint32_t region = l->region;

    while (l->wait_first != NIL) {
        uint32_t w = l->wait_first;
        struct caller caller = wait_at(k, w)->caller;
        uint64_t ttl_ns = wait_at(k, w)->number;
        struct refusal why = {0};

        if (obligation_reserve_check(k, &caller, region, ASUP_OBLIGATION_LEASE, 0, &why) != 0) {
            wait_end(k, w, why.code, why.detail, (struct asup_ref){0});
            continue;
        }
        wait_grant(
            k, w,
            lease_grant(k, region, heap_get(&k->heap, l->name), caller_holder(&caller), ttl_ns));
        return;
    }
    lease_event(k, EV_LEASE_FREE, i);
}

/* Names that nobody holds and no task cools: of a holder that a fold did not know. */
void
leases_settle(struct kernel *k)
{
    for (uint32_t i = 0; i < k->obligations.leases.used; i++) {
        const struct lease *l = lease_at(k, i);

        if (l->key != 0 && l->obligation == NIL && l->cooler == NIL)
            lease_next(k, i);
    }
}

void
lease_gone(struct kernel *k, const struct obligation_gone *g)
{
    const char *message =
        g->why == OBLIGATION_EXPIRED ? "its lease expired" : "the region of its lease closed";
    struct cancel c = {
        .kind = ASUP_CANCEL_RESOURCE_UNAVAILABLE,
        .origin_sort = ASUP_SORT_TASK,
        .origin = g->holder.id,
        .message = {message, strlen(message)},
        .drain_ns = ASUP_NEVER,
        .end_most = ASUP_NEVER,
    };

    if (lease_at(k, g->thing)->cooler != NIL) {
        lease_event(k, EV_LEASE_ENDED, g->thing);
        cancel_task(k, task_of_id(k, g->holder.id), &c);
        if (PLANTED(LEASE_FENCED))
            lease_next(k, g->thing);
        return;
    }
    lease_next(k, g->thing);
}

void
leases_cooled(struct kernel *k, struct asup_ref holder)
{
    uint32_t h;

    /* The last of them takes the holder's record along. */
    while ((h = holder_of(k, holder)) != NIL && holder_at(k, h)->cooling_first != NIL)
        lease_next(k, holder_at(k, h)->cooling_first);
}

/* A region no longer admits what it did: who waits for a lease and may not get
 * it is told now. */
void
leases_sealed(struct kernel *k, uint32_t region)
{
    for (uint32_t i = region_at(k, region)->lease_first; i != NIL; i = lease_at(k, i)->next) {
        uint32_t first = lease_at(k, i)->wait_first;
        uint32_t next;

        for (uint32_t w = first; w != NIL; w = next) {
            struct asup_ref holder = caller_holder(&wait_at(k, w)->caller);
            struct refusal why = {0};

            next = wait_at(k, w)->next;
            if (obligation_admits(k, region, ASUP_OBLIGATION_LEASE, holder, &why) != 0)
                wait_end(k, w, why.code, why.detail, (struct asup_ref){0});
        }
    }
}

/* ---- Requests ------------------------------------------------------------------------------ */

static int
ttl_check(const struct kernel *k, uint64_t ttl_ns, struct refusal *why)
{
    if (ttl_ns == 0)
        return REFUSE(why, ASUP_EINVALID, "a lease needs a time to live");
    if (ttl_ns > k->config.lease_ttl_ns_max)
        return REFUSE(why, ASUP_EINVALID, "the time to live is longer than a lease may have");
    return 0;
}

static int
lease_name_check(struct bytes name, struct refusal *why)
{
    const char *text = name.data;

    if (name.size == 0 || name.size > ASUP_NAME_MAX)
        return REFUSE(why, ASUP_EINVALID, "the name of a lease has 1 to 128 bytes");
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c == 0x7f)
            return REFUSE(why, ASUP_EINVALID, "a name holds no control characters");
    }
    return 0;
}

int
lease_request_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = obligation_held(k, in, why);
    const struct obligation *o;

    if (i == NIL)
        return why->code;
    o = obligation_at(k, i);
    if (o->kind != ASUP_OBLIGATION_LEASE)
        return REFUSE(why, ASUP_EINVALID, "the obligation is no lease");
    if (in->kind == IN_LEASE_RELEASE)
        return 0;
    if (authorize(k, &in->caller, o->region, ASUP_RIGHT_LEASE, why) != 0)
        return why->code;
    return in->u.acquire.lease.ttl_ns == 0 ? 0 : ttl_check(k, in->u.acquire.lease.ttl_ns, why);
}

struct asup_ref
lease_request(struct kernel *k, const struct input *in)
{
    uint32_t i = obligation_of_id(k, in->subject);
    const struct obligation *o = obligation_at(k, i);
    struct asup_ref made = obligation_ref(k, i);
    struct obligation_payload p = {.span_ns = in->u.acquire.lease.ttl_ns};
    struct event ev;

    if (in->kind == IN_LEASE_RELEASE) {
        obligation_finish(k, i, END_COMMITTED, OBLIGATION_ASKED, (struct bytes){"", 0});
        return made;
    }
    if (p.span_ns == 0)
        p.span_ns = o->span_ns;
    p.deadline = time_add(k->now, p.span_ns);
    p.kind = o->kind;
    ev = event_of_region(EV_OBLIGATION_RENEWED, k, o->region);
    ev.subject = o->id;
    ev.holder = holder_ref(holder_at(k, o->holder));
    ev.value = p.deadline;
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
    return made;
}

/* ---- Acquiring: granted at once, or parked ----------------------------------------------------
 */

static int
acquire_check(struct kernel *k, const struct input *in, uint32_t *lease, struct refusal *why)
{
    const struct lease_params *p = &in->u.acquire.lease;
    uint32_t region = region_lookup(k, in, why);
    const struct lease *l;

    if (region == NIL || lease_name_check(p->name, why) != 0 || ttl_check(k, p->ttl_ns, why) != 0)
        return why->code;
    if (obligation_reserve_check(k, &in->caller, region, ASUP_OBLIGATION_LEASE, p->name.size,
                                 why) != 0)
        return why->code;
    *lease = lease_find(k, region, p->name);
    if (*lease == NIL)
        return limit_leases(k, region_at(k, region)->uid, why);
    l = lease_at(k, *lease);
    if (l->obligation != NIL && holder_at(k, obligation_at(k, l->obligation)->holder)->key ==
                                    holder_key(caller_holder(&in->caller)))
        return REFUSE(why, ASUP_EEXISTS, "the caller holds it already: renew it");
    return 0;
}

static bool
acquire_memory(struct kernel *k, const struct input *in)
{
    struct need need = {.obligations = obligations_standing(k)};
    struct heap_need texts = {{0}};

    need.scratch = 2 * in->u.acquire.lease.name.size + 64;
    return request_reserve(k, in, &need) &&
           arena_reserve(&k->obligations.leases, &k->allocator, 1) &&
           index_reserve(&k->obligations.lease_keys, &k->allocator, 1) &&
           heap_want(&k->heap, &k->allocator, &texts, in->u.acquire.lease.name.size) &&
           heap_reserve(&k->heap, &k->allocator, &texts) && obligation_memory(k, 1) &&
           reserve(k, &need);
}

/* To be granted it when its turn comes. */
static bool
waiting_memory(struct kernel *k)
{
    const struct need need = {.obligations = obligations_standing(k)};

    return reserve(k, &need);
}

int
lease_acquire(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
              struct asup_ref *made)
{
    const struct lease_params *p = &in->u.acquire.lease;
    uint32_t lease = NIL;
    uint32_t w;

    if (acquire_check(k, in, &lease, why) != 0)
        return why->code;
    if (lease != NIL) {
        if (in->u.acquire.timeout_ns == 0)
            return REFUSE(why, ASUP_ETIMEDOUT, "another holds the lease");
        if (wait_admit(k, in, in->u.acquire.timeout_ns, why) != 0)
            return why->code;
        if (!waiting_memory(k))
            return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
        w = wait_park(k, in, WAIT_ON_LEASE, lease, in->u.acquire.timeout_ns);
        wait_at(k, w)->number = p->ttl_ns;
        *parked = true;
        return 0;
    }
    if (!acquire_memory(k, in))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    *made =
        lease_grant(k, region_of_id(k, in->region), p->name, caller_holder(&in->caller), p->ttl_ns);
    request_bind(k, in, *made);
    return 0;
}
