/* SPDX-License-Identifier: MIT */
/*
 * Services: where calls wait for workers (§7), and the rows of workers that wait
 * for calls. Part of applying: membership is state, places are not.
 *
 * A service has two lanes, each a pairing heap threaded through the records, so
 * that entering needs no memory:
 *
 *     timed   calls with a limit, earliest first; before them calls that are
 *             finalizers (the cancel lane)
 *     ready   the others, by time of arrival, a step of priority being worth
 *             `ageing_ns` of waiting: so none starves
 *
 * Ties go to the smaller id. An entry is in exactly one lane (R-SCH-1).
 */
#include "core/call.h"

/* ---- Heaps ------------------------------------------------------------------------------ */

static bool
before(const struct kernel *k, uint32_t a, uint32_t b)
{
    const struct task *x = task_at(k, a);
    const struct task *y = task_at(k, b);

    return x->run.call_order != y->run.call_order ? x->run.call_order < y->run.call_order
                                                  : x->id < y->id;
}

/* Make one tree of two. lane_place links back: to the sibling before, or for a
 * first child to the parent. */
static uint32_t
heap_meld(struct kernel *k, uint32_t a, uint32_t b)
{
    struct call *top;
    uint32_t other = b;
    struct task *t;

    if (a == NIL || b == NIL)
        return a == NIL ? b : a;
    if (before(k, b, a)) {
        other = a;
        a = b;
    }
    top = call_of(k, task_at(k, a));
    t = task_at(k, other);
    t->lane_next = top->child;
    t->lane_place = a;
    if (top->child != NIL)
        task_at(k, top->child)->lane_place = other;
    top->child = other;
    return a;
}

static uint32_t
heap_add(struct kernel *k, uint32_t top, uint32_t i)
{
    struct task *t = task_at(k, i);

    t->lane_next = t->lane_place = NIL;
    call_of(k, t)->child = NIL;
    return heap_meld(k, top, i);
}

/* Meld a row of siblings into one tree: by pairs from the left, then from the
 * right. */
static uint32_t
heap_join(struct kernel *k, uint32_t first)
{
    uint32_t pairs = NIL; /* the last one first, by lane_next */
    uint32_t top = NIL;

    while (first != NIL) {
        uint32_t a = first;
        uint32_t b = task_at(k, a)->lane_next;

        first = b == NIL ? NIL : task_at(k, b)->lane_next;
        task_at(k, a)->lane_next = task_at(k, a)->lane_place = NIL;
        if (b != NIL)
            task_at(k, b)->lane_next = task_at(k, b)->lane_place = NIL;
        a = heap_meld(k, a, b);
        task_at(k, a)->lane_next = pairs;
        pairs = a;
    }
    while (pairs != NIL) {
        uint32_t next = task_at(k, pairs)->lane_next;

        task_at(k, pairs)->lane_next = NIL;
        top = heap_meld(k, top, pairs);
        pairs = next;
    }
    if (top != NIL)
        task_at(k, top)->lane_place = NIL;
    return top;
}

static uint32_t
heap_remove(struct kernel *k, uint32_t top, uint32_t i)
{
    struct task *t = task_at(k, i);
    uint32_t below = heap_join(k, call_of(k, t)->child);

    call_of(k, t)->child = NIL;
    if (i == top) {
        top = below;
    } else {
        struct task *back = task_at(k, t->lane_place);

        if (call_of(k, back)->child == i)
            call_of(k, back)->child = t->lane_next;
        else
            back->lane_next = t->lane_next;
        if (t->lane_next != NIL)
            task_at(k, t->lane_next)->lane_place = t->lane_place;
        top = heap_meld(k, top, below);
    }
    t->lane_next = NIL;
    t->lane_place = 0;
    return top;
}

/* ---- What there may be something to do for ------------------------------------------------- */

void
service_busy(struct kernel *k, uint32_t i)
{
    struct service *s = service_at(k, i);
    struct call_queue *q = &k->calls.busy_services;

    if (s->work_queued)
        return;
    s->work_queued = true;
    s->work_next = NIL;
    if (q->last != NIL)
        service_at(k, q->last)->work_next = i;
    else
        q->first = i;
    q->last = i;
}

void
service_busy_drop(struct kernel *k, uint32_t i)
{
    struct call_queue *q = &k->calls.busy_services;
    uint32_t before_it = NIL;

    if (!service_at(k, i)->work_queued)
        return;
    for (uint32_t at = q->first; at != i; at = service_at(k, at)->work_next)
        before_it = at;
    if (before_it != NIL)
        service_at(k, before_it)->work_next = service_at(k, i)->work_next;
    else
        q->first = service_at(k, i)->work_next;
    if (q->last == i)
        q->last = before_it;
    service_at(k, i)->work_queued = false;
}

void
worker_busy(struct kernel *k, uint32_t i)
{
    struct worker *w = worker_at(k, i);
    struct call_queue *q = &k->calls.busy_workers;

    if (w->work_queued)
        return;
    w->work_queued = true;
    w->work_next = NIL;
    if (q->last != NIL)
        worker_at(k, q->last)->work_next = i;
    else
        q->first = i;
    q->last = i;
}

void
worker_busy_drop(struct kernel *k, uint32_t i)
{
    struct call_queue *q = &k->calls.busy_workers;
    uint32_t before_it = NIL;

    if (!worker_at(k, i)->work_queued)
        return;
    for (uint32_t at = q->first; at != i; at = worker_at(k, at)->work_next)
        before_it = at;
    if (before_it != NIL)
        worker_at(k, before_it)->work_next = worker_at(k, i)->work_next;
    else
        q->first = worker_at(k, i)->work_next;
    if (q->last == i)
        q->last = before_it;
    worker_at(k, i)->work_queued = false;
}

/* ---- Rows of idle workers -------------------------------------------------------------------- */

static void
idle_link(struct kernel *k, uint32_t o)
{
    struct offer *offer = offer_at(k, o);
    struct service *s = service_at(k, offer->service);

    offer->idle_next = NIL;
    offer->idle_prev = s->idle_last;
    if (s->idle_last != NIL)
        offer_at(k, s->idle_last)->idle_next = o;
    else
        s->idle_first = o;
    s->idle_last = o;
}

static void
idle_unlink(struct kernel *k, uint32_t o)
{
    struct offer *offer = offer_at(k, o);
    struct service *s = service_at(k, offer->service);

    if (offer->idle_prev != NIL)
        offer_at(k, offer->idle_prev)->idle_next = offer->idle_next;
    else
        s->idle_first = offer->idle_next;
    if (offer->idle_next != NIL)
        offer_at(k, offer->idle_next)->idle_prev = offer->idle_prev;
    else
        s->idle_last = offer->idle_prev;
}

uint32_t
worker_room(const struct worker *w)
{
    uint64_t most = (uint64_t)w->concurrency + w->prefetch;
    uint64_t have = (uint64_t)w->running + w->taken;

    if ((w->flags & (WORKER_DRAINING | WORKER_QUIET | WORKER_FENCED)) != 0 || have >= most)
        return 0;
    return most - have > UINT32_MAX ? UINT32_MAX : (uint32_t)(most - have);
}

void
worker_settle(struct kernel *k, uint32_t i)
{
    struct worker *w = worker_at(k, i);
    bool idle = w->wait_first != NIL && worker_room(w) > 0;

    if (w->wait_first != NIL && w->cancel_first != NIL)
        worker_busy(k, i);
    if (idle == w->idle)
        return;
    w->idle = idle;
    for (uint32_t o = w->offer_first; o != NIL; o = offer_at(k, o)->next) {
        if (idle)
            idle_link(k, o);
        else
            idle_unlink(k, o);
    }
    if (idle) /* what it may take stands in its own services and below them */
        worker_busy(k, i);
}

/* Before its offers change: out of all rows; worker_settle() puts it back. */
void
worker_unsettle(struct kernel *k, uint32_t i)
{
    struct worker *w = worker_at(k, i);

    if (!w->idle)
        return;
    w->idle = false;
    for (uint32_t o = w->offer_first; o != NIL; o = offer_at(k, o)->next)
        idle_unlink(k, o);
}

/* ---- Services
 * ------------------------------------------------------------------------------------ */

uint64_t
service_key(uint32_t uid, struct bytes name)
{
    return hash_bytes(hash_mix(7, uid), name.data, name.size) | 1;
}

bool
service_is(const struct kernel *k, const struct service *s, uint32_t uid, struct bytes name)
{
    struct bytes its = heap_get(&k->heap, s->name);

    return s->uid == uid && its.size == name.size && memcmp(its.data, name.data, name.size) == 0;
}

/* The service of exactly that region; NIL: none. */
uint32_t
service_find(const struct kernel *k, uint32_t uid, struct bytes name, uint32_t region)
{
    uint64_t key = service_key(uid, name);
    uint32_t cursor;

    for (uint32_t i = index_first(&k->calls.service_keys, key, &cursor); i != NIL;
         i = index_next(&k->calls.service_keys, key, &cursor)) {
        if (service_at(k, i)->region == region && service_is(k, service_at(k, i), uid, name))
            return i;
    }
    return NIL;
}

uint32_t
service_get(struct kernel *k, uint32_t uid, struct bytes name, uint32_t region)
{
    uint32_t i = k->calls.service_memo;
    struct service *s;

    /* Mostly it is the one that was wanted last. */
    if (i < k->calls.services.used && service_at(k, i)->key != 0 &&
        service_at(k, i)->region == region && service_is(k, service_at(k, i), uid, name))
        return i;
    i = service_find(k, uid, name, region);
    if (i == NIL) {
        i = arena_take(&k->calls.services, &k->allocator);
        s = service_at(k, i);
        s->key = service_key(uid, name);
        s->uid = uid;
        s->region = region;
        s->name = heap_put(&k->heap, &k->allocator, name);
        s->offer_first = s->timed = s->ready = NIL;
        s->taken_first = s->taken_last = s->idle_first = s->idle_last = NIL;
        index_add(&k->calls.service_keys, &k->allocator, i);
        k->calls.narrow += region != k->root;
    }
    k->calls.service_memo = i;
    return i;
}

/* The deepest that serves a region, but that of "/"; NIL: none. */
static uint32_t
service_narrow(const struct kernel *k, uint32_t uid, struct bytes name, uint32_t region)
{
    uint32_t i = NIL;

    for (uint32_t at = region; k->calls.narrow > 0 && i == NIL && at != k->root;
         at = region_at(k, at)->parent)
        i = service_find(k, uid, name, at);
    return i;
}

/* The one that calls of a region queue in: the deepest. */
uint32_t
service_for(struct kernel *k, uint32_t uid, struct bytes name, uint32_t region)
{
    uint32_t i = service_narrow(k, uid, name, region);

    return i != NIL ? i : service_get(k, uid, name, k->root);
}

/* The same, where that of "/" is known and in use. */
uint32_t
service_under(const struct kernel *k, uint32_t root_service, uint32_t region)
{
    const struct service *s = service_at(k, root_service);
    uint32_t i = service_narrow(k, s->uid, heap_get(&k->heap, s->name), region);

    return i != NIL ? i : root_service;
}

void
service_release(struct kernel *k, uint32_t i)
{
    struct service *s = service_at(k, i);

    must(s->refs > 0);
    if (--s->refs > 0)
        return;
    service_busy_drop(k, i);
    k->calls.narrow -= s->region != k->root;
    heap_drop(&k->heap, &k->allocator, s->name);
    index_drop(&k->calls.service_keys, i);
    arena_give(&k->calls.services, i);
}

bool
region_within(const struct kernel *k, uint32_t region, uint32_t top)
{
    while (region != top && region != NIL)
        region = region_at(k, region)->parent;
    return region == top;
}

/* ---- Lanes (called by lane_enter and lane_leave)
 * ---------------------------------------------------- */

static uint64_t
ready_order(const struct kernel *k, const struct task *t)
{
    uint8_t priority = task_effective_priority(k, t);
    asup_time since = t->run.due_at != 0 ? t->run.due_at : t->created_at;

    if (priority == 0)
        priority = ASUP_PRIORITY_DEFAULT;
    if (priority > READY_PRIORITY_MAX)
        priority = READY_PRIORITY_MAX;
    return time_add(since, (uint64_t)(READY_PRIORITY_MAX - priority) * k->config.ageing_ns);
}

static void
taken_link(struct kernel *k, uint32_t i, struct service *s)
{
    struct task *t = task_at(k, i);

    t->lane_next = NIL;
    t->lane_place = s->taken_last;
    if (s->taken_last != NIL)
        task_at(k, s->taken_last)->lane_next = i;
    else
        s->taken_first = i;
    s->taken_last = i;
}

/* The rows of taken calls and of cancels are lists alike. */
static void
row_unlink(struct kernel *k, uint32_t i, uint32_t *first, uint32_t *last)
{
    struct task *t = task_at(k, i);

    if (t->lane_place != NIL)
        task_at(k, t->lane_place)->lane_next = t->lane_next;
    else
        *first = t->lane_next;
    if (t->lane_next != NIL)
        task_at(k, t->lane_next)->lane_place = t->lane_place;
    else
        *last = t->lane_place;
    t->lane_next = NIL;
    t->lane_place = 0;
}

static void
cancel_link(struct kernel *k, uint32_t i, uint32_t worker)
{
    struct task *t = task_at(k, i);
    struct worker *w = worker_at(k, worker);

    t->lane_next = NIL;
    t->lane_place = w->cancel_last;
    if (w->cancel_last != NIL)
        task_at(k, w->cancel_last)->lane_next = i;
    else
        w->cancel_first = i;
    w->cancel_last = i;
    w->cancels++;
    k->calls.cancels++;
    worker_settle(k, worker);
}

void
call_lane_enter(struct kernel *k, uint32_t i, enum lane lane)
{
    struct task *t = task_at(k, i);
    struct call *c = call_of(k, t);
    struct service *s = service_at(k, c->service);

    if ((t->flags & TASK_FINALIZER) != 0 && (lane == LANE_TIMED || lane == LANE_READY))
        lane = LANE_FINALIZER;
    t->lane = (uint8_t)lane;
    t->lane_step = (uint8_t)k->steps;
    if (lane == LANE_SIGNAL) {
        cancel_link(k, i, c->worker);
        return;
    }
    if (lane == LANE_TAKEN) {
        taken_link(k, i, s);
        s->taken++;
        k->calls.taken++;
        return;
    }
    if (lane == LANE_READY) {
        t->run.call_order = ready_order(k, t);
        s->ready = heap_add(k, s->ready, i);
    } else {
        t->run.call_order = lane == LANE_FINALIZER ? 0 : task_effective_limit(k, t);
        s->timed = heap_add(k, s->timed, i);
    }
    s->queued++;
    k->calls.queued++;
    service_busy(k, c->service);
}

/* Back into its heap, where its place is derived. */
void
call_lane_restore(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);
    struct service *s = service_at(k, call_of(k, t)->service);

    if (t->lane == LANE_READY)
        s->ready = heap_add(k, s->ready, i);
    else
        s->timed = heap_add(k, s->timed, i);
}

void
call_lane_leave(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);
    struct call *c = call_of(k, t);
    struct service *s = service_at(k, c->service);
    struct worker *w;

    switch ((enum lane)t->lane) {
    case LANE_SIGNAL:
        w = worker_at(k, c->worker);
        row_unlink(k, i, &w->cancel_first, &w->cancel_last);
        w->cancels--;
        k->calls.cancels--;
        break;
    case LANE_TAKEN:
        row_unlink(k, i, &s->taken_first, &s->taken_last);
        s->taken--;
        k->calls.taken--;
        break;
    case LANE_READY:
        s->ready = heap_remove(k, s->ready, i);
        s->queued--;
        k->calls.queued--;
        break;
    default:
        s->timed = heap_remove(k, s->timed, i);
        s->queued--;
        k->calls.queued--;
        break;
    }
    t->lane = LANE_NONE;
}
