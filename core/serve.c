/* SPDX-License-Identifier: MIT */
/*
 * Who gets which call (§7). A worker asks with worker.next for up to n calls and
 * parks while there are none. In one answer it gets
 *
 *   1. every cancel it has not been told (the cancel lane),
 *   2. calls of its services, timed before ready; after L timed ones in a row a
 *      ready one (R-SCH-2),
 *   3. where those are used up, what other workers took and did not begin (work
 *      stealing), as far as it would begin them at once.
 *
 * The first of them, as many as its concurrency leaves, begin with the answer;
 * the rest are only taken. Workers that wait are served first come, first served.
 */
#include "core/call.h"

/* ---- Picking ---------------------------------------------------------------------------- */

struct best {
    uint32_t timed, ready; /* tasks; NIL: none */
};

static void
better(const struct kernel *k, uint32_t *best, uint32_t top)
{
    const struct task *a;
    const struct task *b;

    if (top == NIL)
        return;
    if (*best == NIL) {
        *best = top;
        return;
    }
    a = task_at(k, top);
    b = task_at(k, *best);
    if (a->run.call_order < b->run.call_order ||
        (a->run.call_order == b->run.call_order && a->id < b->id))
        *best = top;
}

/* The services that an offer reaches: its own and those of that name below. */
static uint32_t
reach_next(const struct kernel *k, uint32_t own, uint32_t at, uint32_t *cursor)
{
    const struct service *s = service_at(k, own);
    struct bytes name;

    if (at == NIL) {
        (void)index_first(&k->calls.service_keys, s->key, cursor);
        return own;
    }
    if (k->calls.narrow == 0)
        return NIL;
    name = heap_get(&k->heap, s->name);
    at = at == own ? index_first(&k->calls.service_keys, s->key, cursor)
                   : index_next(&k->calls.service_keys, s->key, cursor);
    for (; at != NIL; at = index_next(&k->calls.service_keys, s->key, cursor)) {
        if (at != own && service_is(k, service_at(k, at), s->uid, name) &&
            region_within(k, service_at(k, at)->region, s->region))
            return at;
    }
    return NIL;
}

/* The call whose turn it is among all that a worker offers. */
static uint32_t
pick_queued(const struct kernel *k, const struct worker *w)
{
    struct best best = {NIL, NIL};

    for (uint32_t o = w->offer_first; o != NIL; o = offer_at(k, o)->next) {
        uint32_t own = offer_at(k, o)->service;
        uint32_t cursor = 0;

        for (uint32_t s = reach_next(k, own, NIL, &cursor); s != NIL;
             s = reach_next(k, own, s, &cursor)) {
            better(k, &best.timed, service_at(k, s)->timed);
            better(k, &best.ready, service_at(k, s)->ready);
        }
    }
    if (best.timed != NIL && (best.ready == NIL || w->timed_run < k->config.fairness))
        return best.timed;
    return best.ready;
}

/* A call that another worker took and has not begun: of those the one that would
 * be begun last. */
static uint32_t
pick_taken(const struct kernel *k, uint32_t worker)
{
    const struct worker *w = worker_at(k, worker);

    if (k->calls.taken == w->taken)
        return NIL;
    for (uint32_t o = w->offer_first; o != NIL; o = offer_at(k, o)->next) {
        uint32_t own = offer_at(k, o)->service;
        uint32_t cursor = 0;

        for (uint32_t s = reach_next(k, own, NIL, &cursor); s != NIL;
             s = reach_next(k, own, s, &cursor)) {
            uint32_t i = service_at(k, s)->taken_last;

            if (i != NIL && call_of(k, task_at(k, i))->worker != worker)
                return i;
        }
    }
    return NIL;
}

/* ---- Giving -------------------------------------------------------------------------------- */

static uint32_t
startable(const struct worker *w)
{
    uint64_t have = (uint64_t)w->running + w->taken;

    return have >= w->concurrency ? 0 : w->concurrency - (uint32_t)have;
}

static void
give_call(struct kernel *k, uint32_t worker, uint32_t i, const struct given_payload *payload)
{
    const struct worker *w = worker_at(k, worker);
    struct event ev = event_of_task(startable(w) > 0 ? EV_CALL_STARTED : EV_CALL_TAKEN, k, i);

    ev.session = w->session;
    ev.payload = payload;
    ev.payload_size = sizeof *payload;
    emit(k, ev);
    if (ev.kind == EV_CALL_STARTED)
        waits_task(k, i);
}

static void
give_cancel(struct kernel *k, uint32_t i, const struct given_payload *payload)
{
    struct event ev = event_of_call(EV_TASK_CANCEL_SENT, k, i);

    ev.payload = payload;
    ev.payload_size = sizeof *payload;
    emit(k, ev);
}

/* How many calls an answer can hold at most. */
static uint32_t
answer_most(const struct kernel *k, const struct worker *w, uint32_t most)
{
    uint32_t room = worker_room(w);
    uint64_t there = (uint64_t)k->calls.queued + k->calls.taken;

    if (most > GIVEN_MAX)
        most = GIVEN_MAX;
    if (room > most)
        room = most;
    return room > there ? (uint32_t)there : room;
}

bool
worker_serve(struct kernel *k, uint32_t i, uint32_t most, uint64_t request, uint64_t token)
{
    const struct worker *w = worker_at(k, i);
    uint32_t calls_most = answer_most(k, w, most);
    uint32_t cancels = w->cancels > GIVEN_MAX ? GIVEN_MAX : w->cancels;
    struct asup_ref *list;
    struct given_payload *payload;
    struct effect *fx;
    uint64_t mark = k->durable_seq;
    uint32_t count = 0;

    if (cancels == 0 && (calls_most == 0 || (pick_queued(k, w) == NIL &&
                                             (startable(w) == 0 || pick_taken(k, i) == NIL))))
        return false;
    list = scratch_take(k, ((size_t)calls_most + cancels) * sizeof *list);
    payload = scratch_take(k, sizeof *payload);
    *payload = (struct given_payload){.request = request, .given = (uint32_t)w->given + 1};
    while (count < calls_most) {
        uint32_t at = pick_queued(k, w);

        if (at == NIL && startable(w) > 0) {
            at = pick_taken(k, i);
            if (at != NIL)
                call_give_back(k, at);
        }
        if (at == NIL)
            break;
        list[count++] = (struct asup_ref){.id = task_at(k, at)->id, .sort = ASUP_SORT_TASK};
        give_call(k, i, at, payload);
    }
    fx = effect_add(k, FX_REPLY);
    fx->token = token;
    fx->made = (struct asup_ref){.id = w->session, .sort = ASUP_SORT_SESSION};
    fx->list = list;
    fx->list_calls = count;
    for (; cancels > 0; cancels--) {
        uint32_t at = w->cancel_first;

        list[count++] = (struct asup_ref){.id = task_at(k, at)->id, .sort = ASUP_SORT_TASK};
        give_cancel(k, at, payload);
    }
    fx->list_count = count;
    fx->after = k->durable_seq != mark ? k->durable_seq : 0; /* what is volatile goes at once */
    return true;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* R-IDM-1: the answer to a request that was answered before, and may have got
 * lost on its way: what was given then and is still there, and what was told. */
static void
answer_again(struct kernel *k, uint32_t i, uint64_t token)
{
    const struct worker *w = worker_at(k, i);
    size_t most = (size_t)w->running + w->taken + 1;
    struct asup_ref *list = scratch_take(k, 2 * most * sizeof *list);
    struct effect *fx = effect_add(k, FX_REPLY);
    uint32_t count = 0;

    fx->token = token;
    fx->made = (struct asup_ref){.id = w->session, .sort = ASUP_SORT_SESSION};
    fx->list = list;
    for (uint32_t at = w->call_first; at != NIL; at = call_at(k, at)->next) {
        const struct call *c = call_at(k, at);

        if (c->given == w->given && (c->flags & CALL_GHOST) == 0)
            list[count++] =
                (struct asup_ref){.id = task_at(k, call_task(c))->id, .sort = ASUP_SORT_TASK};
    }
    fx->list_calls = count;
    for (uint32_t at = w->call_first; at != NIL; at = call_at(k, at)->next) {
        const struct task *t = task_at(k, call_task(call_at(k, at)));

        if (t->reason != 0 && (t->flags & TASK_SIGNALLED) != 0)
            list[count++] = (struct asup_ref){.id = t->id, .sort = ASUP_SORT_TASK};
    }
    fx->list_count = count;
    fx->after = k->durable_seq;
}

static bool
next_reserve(struct kernel *k, uint32_t i, uint32_t most)
{
    const struct worker *w = worker_at(k, i);
    uint64_t calls = answer_most(k, w, most);
    uint64_t cancels = w->cancels > GIVEN_MAX ? GIVEN_MAX : w->cancels;
    const struct need need = {
        .events = (uint32_t)(2 * calls + cancels + 4),
        .scratch =
            (calls + cancels + w->running + w->taken + 2) * 2 * sizeof(struct asup_ref) + 256,
    };

    return reserve(k, &need);
}

int
worker_next(struct kernel *k, const struct input *in, struct refusal *why, bool *answered)
{
    uint32_t i = worker_asking(k, in, why);
    const struct worker *w;
    uint32_t wait;

    if (i == NIL)
        return why->code;
    if (standing_allows(k, &in->caller, worker_at(k, i)->region, ASUP_RIGHT_SERVE, why) != 0)
        return why->code; /* the policy has changed since it offered */
    if (in->u.next.most == 0)
        return REFUSE(why, ASUP_EINVALID, "who asks for no calls gets none");
    if (!next_reserve(k, i, in->u.next.most))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    w = worker_at(k, i);
    worker_seen(k, i);
    if (w->wait_first != NIL) /* the one that asks now is the one that listens */
        wait_end(k, w->wait_first, -ASUP_EINTERRUPTED, "the worker asked again",
                 (struct asup_ref){0});
    if (in->request != 0 && in->request == w->request) {
        answer_again(k, i, in->token);
        *answered = true;
        return 0;
    }
    if (worker_serve(k, i, in->u.next.most, in->request, in->token)) {
        *answered = true;
        return 0;
    }
    if (w->call_first == NIL && (w->flags & WORKER_DRAINING) != 0)
        return REFUSE(why, ASUP_EENDED, "the worker is drained: there is nothing more for it");
    if (w->call_first == NIL && w->offer_count == 0)
        return REFUSE(why, ASUP_EENDED, "the worker offers nothing any more");
    if (wait_admit(k, in, in->u.next.timeout_ns, why) != 0)
        return why->code;
    wait = wait_park(k, in, WAIT_ON_WORKER, i, in->u.next.timeout_ns);
    wait_at(k, wait)->most = in->u.next.most;
    wait_at(k, wait)->number = in->request;
    worker_settle(k, i);
    *answered = true;
    return 0;
}

/* ---- Those who wait
 * ------------------------------------------------------------------------------ */

static bool
serve_waiting(struct kernel *k, uint32_t i)
{
    uint32_t at = worker_at(k, i)->wait_first;
    const struct wait *w;

    if (at == NIL)
        return false;
    w = wait_at(k, at);
    if (!worker_serve(k, i, w->most, w->number, w->token))
        return false;
    wait_answered(k, at);
    return true;
}

/* The worker that has waited longest for calls of this service, here or above. */
static uint32_t
idle_for(const struct kernel *k, uint32_t service)
{
    const struct service *s = service_at(k, service);
    uint32_t cursor;

    if (s->idle_first != NIL)
        return offer_at(k, s->idle_first)->worker;
    if (k->calls.narrow == 0)
        return NIL;
    for (uint32_t i = index_first(&k->calls.service_keys, s->key, &cursor); i != NIL;
         i = index_next(&k->calls.service_keys, s->key, &cursor)) {
        const struct service *other = service_at(k, i);

        if (other->idle_first != NIL && service_is(k, other, s->uid, heap_get(&k->heap, s->name)) &&
            region_within(k, s->region, other->region))
            return offer_at(k, other->idle_first)->worker;
    }
    return NIL;
}

bool
calls_waiting(const struct kernel *k)
{
    return k->calls.busy_workers.first != NIL || k->calls.busy_services.first != NIL;
}

uint64_t
calls_picks(const struct kernel *k)
{
    return (uint64_t)k->calls.queued + k->calls.taken + k->calls.cancels;
}

/* False: enough for this step, or no memory. */
static bool
may_serve(struct kernel *k, uint32_t worker, uint32_t *left)
{
    uint32_t wait = worker_at(k, worker)->wait_first;

    if (wait == NIL)
        return true;
    if (*left == 0 || !next_reserve(k, worker, wait_at(k, wait)->most))
        return false;
    --*left;
    return true;
}

void
calls_dispatch(struct kernel *k)
{
    uint32_t left = k->config.picks_per_step;

    while (k->calls.busy_workers.first != NIL) {
        uint32_t i = k->calls.busy_workers.first;

        if (!may_serve(k, i, &left))
            return;
        worker_busy_drop(k, i);
        (void)serve_waiting(k, i);
    }
    while (k->calls.busy_services.first != NIL) {
        uint32_t s = k->calls.busy_services.first;
        uint32_t i = service_at(k, s)->queued == 0 ? NIL : idle_for(k, s);

        if (i == NIL) {
            service_busy_drop(k, s);
            continue;
        }
        if (!may_serve(k, i, &left))
            return;
        if (!serve_waiting(k, i))
            service_busy_drop(k, s); /* cannot be: it is idle, and there is a call for it */
    }
}
