/* SPDX-License-Identifier: MIT */
/*
 * Leases (§4): lease-fenced. One holds a name at a time, on [grant, expiry);
 * every grant has a larger token than all before it; a task that lost a lease is
 * cancelled, and the name is not granted again before it is gone. Tokens are
 * remembered across crashes, whatever else never happened.
 */
#include "lab/oracle_internal.h"

struct seen_lease {
    uint64_t id; /* of region and name */
    uint64_t region;
    uint64_t obligation; /* 0: not held */
    uint64_t cooler;     /* the task that lost it and is not gone; 0: none */
};

/* Which name an obligation is about. */
struct lease_of {
    uint64_t obligation;
    uint64_t lease;
};

static void
lease(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_LEASE_FENCED);
    if (!fine)
        complain(o, ASUP_ORACLE_LEASE_FENCED, ev, "%s", promise);
}

/* FNV-1a over region and name. */
static uint64_t
lease_id(uint64_t region, struct bytes name)
{
    const uint8_t *text = name.data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (unsigned shift = 0; shift < 64; shift += 8)
        h = (h ^ (region >> shift & 0xff)) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < name.size; i++)
        h = (h ^ text[i]) * UINT64_C(0x100000001b3);
    return h | 1;
}

static void
hold(struct oracles *o, struct seen_lease *l, uint64_t obligation)
{
    struct lease_of *of = idmap_add(&o->lease_of, obligation);

    of->lease = l->id;
    l->obligation = obligation;
    l->cooler = 0;
}

static void
granted(struct oracles *o, const struct event *ev)
{
    struct seen_lease *l = idmap_add(&o->leases, lease_id(ev->region, ev->text));

    lease(o, ev, l->obligation == 0, "§4: a lease has one holder at a time");
    lease(o, ev, l->cooler == 0 || model_task(&o->model, l->cooler) == NULL,
          "§4: a lease that a task lost is granted again when that task is gone");
    lease(o, ev, ev->value > o->token_last, "§4: a fencing token is larger than all before it");
    l->region = ev->region;
    hold(o, l, ev->subject);
    if (ev->value > o->token_last)
        o->token_last = ev->value;
}

static void
over(struct oracles *o, const struct event *ev)
{
    struct lease_of *of = idmap_find(&o->lease_of, ev->subject);
    struct seen_lease *l = of == NULL ? NULL : idmap_find(&o->leases, of->lease);
    const struct seen_task *t =
        ev->holder.sort == ASUP_SORT_TASK ? model_task(&o->model, ev->holder.id) : NULL;

    idmap_drop(&o->lease_of, ev->subject);
    if (l == NULL)
        return;
    l->obligation = 0;
    if (ev->kind == EV_OBLIGATION_ABORTED && t != NULL && t->state != ASUP_TASK_COMPLETED)
        l->cooler = t->id;
}

static void
renewed(struct oracles *o, const struct event *ev)
{
    const struct seen_obligation *b = model_obligation(&o->model, ev->subject);

    if (b == NULL || b->kind != ASUP_OBLIGATION_LEASE || !b->known)
        return;
    lease(o, ev, ev->at < b->deadline, "§4: to renew at the instant of expiry is late");
}

static void
leases_of_region_drop(struct oracles *o, uint64_t region)
{
    struct seen_lease *l;
    size_t cursor = 0;

    while ((l = idmap_next(&o->leases, &cursor)) != NULL) {
        if (l->region != region)
            continue;
        idmap_drop(&o->leases, l->id);
        cursor = 0; /* others have moved */
    }
}

static void
leases_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_lease *l;

    (void)s;
    switch (ev->kind) {
    case EV_LEASE_GRANTED:
        granted(o, ev);
        break;
    case EV_LEASE_FREE:
        l = idmap_find(&o->leases, lease_id(ev->region, ev->text));
        if (l == NULL)
            break;
        lease(o, ev, l->obligation == 0, "§4: a lease that is held is not free");
        lease(o, ev,
              l->cooler == 0 || model_task(&o->model, l->cooler) == NULL ||
                  model_task(&o->model, l->cooler)->state == ASUP_TASK_COMPLETED,
              "§4: a lease that a task lost is free when that task is gone");
        idmap_drop(&o->leases, l->id);
        break;
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
        over(o, ev);
        break;
    case EV_OBLIGATION_RENEWED:
        renewed(o, ev);
        break;
    case EV_REGION_CLOSED:
        leases_of_region_drop(o, ev->region);
        break;
    default:
        break;
    }
}

/* A task that lost its lease is asked to end; nobody holds one beyond its time. */
static void
leases_after(struct oracles *o, const struct judged_step *s)
{
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];
        const struct seen_task *t = ev->kind == EV_LEASE_ENDED && ev->holder.sort == ASUP_SORT_TASK
                                        ? model_task(&o->model, ev->holder.id)
                                        : NULL;

        if (t != NULL && !t->finalizer)
            lease(o, ev, t->cancelled, "§4: a task that loses its lease is cancelled");
    }
    if (s->busy)
        return;
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];
        const struct seen_obligation *b =
            ev->kind == EV_LEASE_GRANTED ? model_obligation(&o->model, ev->subject) : NULL;

        if (b != NULL && b->known)
            lease(o, ev, b->deadline > s->now, "§4: a lease lives on [grant, expiry)");
    }
}

static void
leases_learn(struct oracles *o, const struct kernel *k)
{
    const struct seen_region *r;
    struct lease_view v;
    size_t at = 0;

    o->leases.item_size = sizeof(struct seen_lease);
    o->lease_of.item_size = sizeof(struct lease_of);
    idmap_clear(&o->leases);
    idmap_clear(&o->lease_of);
    while ((r = idmap_next(&o->model.regions, &at)) != NULL) {
        uint64_t cursor = 0;

        while ((cursor = kernel_lease_next(k, r->id, cursor, &v)) != 0) {
            struct seen_lease *l = idmap_add(&o->leases, lease_id(r->id, v.name));

            l->region = r->id;
            if (v.obligation != 0)
                hold(o, l, v.obligation);
            else if (v.cooling && v.holder.sort == ASUP_SORT_TASK)
                l->cooler = v.holder.id;
            if (v.token > o->token_last)
                o->token_last = v.token;
        }
    }
}

static void
leases_before(struct oracles *o, const struct judged_step *s)
{
    (void)s;
    o->leases.item_size = sizeof(struct seen_lease);
    o->lease_of.item_size = sizeof(struct lease_of);
}

static void
leases_fini(struct oracles *o)
{
    idmap_fini(&o->leases);
    idmap_fini(&o->lease_of);
}

const struct oracle_family oracle_leases = {
    .learn = leases_learn,
    .before = leases_before,
    .event = leases_event,
    .after = leases_after,
    .fini = leases_fini,
};
