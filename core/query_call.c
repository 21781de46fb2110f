/* SPDX-License-Identifier: MIT */
/* Read only: calls and workers for listings, `why` and replies. */
#include "core/call.h"

static uint64_t
task_id(const struct kernel *k, uint32_t call)
{
    return call == NIL ? 0 : task_at(k, call_task(call_at(k, call)))->id;
}

bool
kernel_call(const struct kernel *k, uint64_t task, struct call_view *out)
{
    uint32_t i = task == 0 ? NIL : task_of_id(k, task);
    const struct task *t;
    const struct call *c;

    if (i == NIL || !task_is_call(task_at(k, i)))
        return false;
    t = task_at(k, i);
    c = call_of(k, t);
    *out = (struct call_view){
        .name = heap_get(&k->heap, service_at(k, c->service)->name),
        .attempt = c->attempt,
        .attempts = c->attempts,
        .worker = (c->flags & CALL_HELD) != 0 ? worker_at(k, c->worker)->session : 0,
        .started = task_live(t) && (t->flags & TASK_STARTED) != 0,
        .taken_at = c->taken_at,
        .ghost = (c->flags & CALL_GHOST) != 0,
        .next = (c->flags & CALL_HELD) != 0 ? task_id(k, c->next) : 0,
        .key = heap_get(&k->heap, c->key),
        .message = heap_get(&k->heap, c->message),
    };
    if (task_live(t))
        out->input = task_spec(k, t);
    else
        out->result = heap_get(&k->heap, t->spec);
    return true;
}

bool
kernel_service(const struct kernel *k, uint64_t task, struct service_view *out)
{
    uint32_t i = task == 0 ? NIL : task_of_id(k, task);
    const struct service *s;
    uint32_t cursor;

    if (i == NIL || !task_is_call(task_at(k, i)))
        return false;
    s = service_at(k, call_of(k, task_at(k, i))->service);
    *out = (struct service_view){.queued = s->queued, .taken = s->taken};
    for (uint32_t at = index_first(&k->calls.service_keys, s->key, &cursor); at != NIL;
         at = index_next(&k->calls.service_keys, s->key, &cursor)) {
        if (!service_is(k, service_at(k, at), s->uid, heap_get(&k->heap, s->name)) ||
            !region_within(k, s->region, service_at(k, at)->region))
            continue;
        for (uint32_t o = service_at(k, at)->offer_first; o != NIL;
             o = offer_at(k, o)->service_next)
            out->workers++;
    }
    return true;
}

bool
kernel_worker(const struct kernel *k, uint64_t session, struct worker_view *out)
{
    uint32_t i = worker_of_session(k, session);
    const struct worker *w;

    if (i == NIL)
        return false;
    w = worker_at(k, i);
    *out = (struct worker_view){
        .session = w->session,
        .holder = {.id = w->holder_id, .sort = (enum asup_sort)w->holder_sort},
        .uid = w->uid,
        .region = region_at(k, w->region)->id,
        .quiet = (w->flags & WORKER_QUIET) != 0,
        .fenced = (w->flags & WORKER_FENCED) != 0,
        .quiet_ns = w->quiet_ns,
        .concurrency = w->concurrency,
        .prefetch = w->prefetch,
        .running = w->running,
        .taken = w->taken,
        .draining = (w->flags & WORKER_DRAINING) != 0,
        .response_ns = w->response_ns,
        .seen_at = w->seen_at,
        .done = w->done,
        .lost = w->lost,
        .call_first = task_id(k, w->call_first),
        .waits = w->wait_first != NIL,
    };
    for (uint32_t o = w->offer_first; o != NIL && out->name_count < 64; o = offer_at(k, o)->next)
        out->names[out->name_count++] =
            heap_get(&k->heap, service_at(k, offer_at(k, o)->service)->name);
    return true;
}

static uint64_t
worker_after(const struct kernel *k, uint64_t after, uint32_t flags)
{
    uint64_t best = 0;

    for (uint32_t i = 0; i < k->calls.workers.used; i++) {
        const struct worker *w = worker_at(k, i);

        if (w->session > after && (best == 0 || w->session < best) &&
            (flags == 0 || (w->flags & flags) != 0))
            best = w->session;
    }
    return best;
}

uint64_t
kernel_worker_next(const struct kernel *k, uint64_t after)
{
    return worker_after(k, after, 0);
}

uint64_t
kernel_worker_lost_next(const struct kernel *k, uint64_t after)
{
    return worker_after(k, after, WORKER_QUIET | WORKER_FENCED);
}
