/* SPDX-License-Identifier: MIT */
/* Reading a snapshot: whether the links of calls and workers make sense, and what
 * of them is derived (the heaps of the services, the rows of those who wait). */
#include "core/call.h"
#include "core/snapshot.h"

/* ---- Links ------------------------------------------------------------------------------ */

static bool
call_sound(const struct kernel *k, uint32_t i)
{
    const struct call *c = call_at(k, i);
    uint32_t task = call_task(c);

    return task < k->tasks.used && task_at(k, task)->id != 0 && task_is_call(task_at(k, task)) &&
           task_at(k, task)->call == i && c->service != NIL &&
           ((c->flags & CALL_HELD) == 0 ||
            (c->worker < k->calls.workers.used && worker_at(k, c->worker)->session != 0));
}

/* A list with links both ways, so that it ends. */
static bool
row_sound(const struct kernel *k, uint32_t first, uint32_t last, uint32_t count, uint8_t lane)
{
    uint32_t prev = NIL;

    for (uint32_t at = first; at != NIL; prev = at, at = task_at(k, at)->lane_next) {
        if (at >= k->tasks.used || task_at(k, at)->id == 0 || !task_is_call(task_at(k, at)) ||
            task_at(k, at)->lane != lane || task_at(k, at)->lane_place != prev || count-- == 0)
            return false;
    }
    return prev == last && count == 0;
}

static bool
worker_sound(const struct kernel *k, uint32_t i)
{
    const struct worker *w = worker_at(k, i);
    uint32_t prev = NIL;
    uint32_t offers = 0;

    if (w->region == NIL)
        return false;
    for (uint32_t at = w->call_first; at != NIL; prev = at, at = call_at(k, at)->next) {
        if (call_at(k, at)->prev != prev || call_at(k, at)->worker != i)
            return false;
    }
    if (prev != w->call_last)
        return false;
    for (uint32_t o = w->offer_first; o != NIL; o = offer_at(k, o)->next) {
        if (offer_at(k, o)->worker != i || offers++ == OFFER_NAMES_MAX)
            return false;
    }
    return row_sound(k, w->cancel_first, w->cancel_last, w->cancels, LANE_SIGNAL);
}

static bool
service_sound(const struct kernel *k, uint32_t i)
{
    const struct service *s = service_at(k, i);
    uint32_t prev = NIL;

    if (s->region == NIL)
        return false;
    for (uint32_t o = s->offer_first; o != NIL; prev = o, o = offer_at(k, o)->service_next) {
        if (offer_at(k, o)->service_prev != prev || offer_at(k, o)->service != i)
            return false;
    }
    return row_sound(k, s->taken_first, s->taken_last, s->taken, LANE_TAKEN);
}

bool
calls_sound(const struct kernel *k)
{
    bool sound = true;

    for (uint32_t i = 0; sound && i < k->tasks.used; i++) {
        const struct task *t = task_at(k, i);

        if (t->id != 0 && task_is_call(t))
            sound = t->call < k->calls.calls.used && call_at(k, t->call)->task_key == i + 1;
    }
    for (uint32_t i = 0; sound && i < k->calls.calls.used; i++)
        sound = call_at(k, i)->task_key == 0 || call_sound(k, i);
    for (uint32_t i = 0; sound && i < k->calls.offers.used; i++) {
        const struct offer *o = offer_at(k, i);

        sound = o->key == 0 || (o->worker != NIL && o->service != NIL);
    }
    for (uint32_t i = 0; sound && i < k->calls.workers.used; i++)
        sound = worker_at(k, i)->session == 0 || worker_sound(k, i);
    for (uint32_t i = 0; sound && i < k->calls.services.used; i++)
        sound = service_at(k, i)->key == 0 || service_sound(k, i);
    return sound;
}

/* ---- What is derived ---------------------------------------------------------------------- */

void
calls_rebuild(struct kernel *k)
{
    for (uint32_t i = 0; i < k->calls.services.used; i++) {
        struct service *s = service_at(k, i);

        if (s->key != 0)
            s->timed = s->ready = s->idle_first = s->idle_last = NIL;
    }
    for (uint32_t i = 0; i < k->calls.calls.used; i++) {
        if (call_at(k, i)->task_key != 0)
            call_at(k, i)->child = NIL;
    }
    for (uint32_t i = 0; i < k->tasks.used; i++) {
        const struct task *t = task_at(k, i);

        if (t->id != 0 && task_is_call(t) &&
            (t->lane == LANE_TIMED || t->lane == LANE_READY || t->lane == LANE_FINALIZER))
            call_lane_restore(k, i);
    }
    for (uint32_t i = 0; i < k->calls.workers.used; i++) {
        struct worker *w = worker_at(k, i);

        if (w->session == 0)
            continue;
        w->wait_first = NIL;
        timer_set(&k->timers, &k->allocator, TIMER_WORKER, i, worker_deadline(w));
    }
}
