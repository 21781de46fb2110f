/* SPDX-License-Identifier: MIT */
/* Calls and workers: their part of the digest and of the invariants (§9). */
#include "core/call.h"

/* ---- Digest --------------------------------------------------------------------------- */

/* Of the texts, what they say; where they lie is nothing. */
static uint64_t
digest_call(const struct kernel *k, uint64_t h, struct call c)
{
    h = digest_text(k, h, c.key);
    h = digest_text(k, h, c.message);
    c.key = c.message = 0;
    return hash_bytes(h, &c, offsetof(struct call, child));
}

static uint64_t
digest_service(const struct kernel *k, uint64_t h, struct service s)
{
    h = digest_text(k, h, s.name);
    s.name = 0;
    return hash_bytes(h, &s, offsetof(struct service, timed));
}

uint64_t
calls_digest(const struct kernel *k, uint64_t h)
{
    const struct calls *all = &k->calls;

    for (uint32_t i = 0; i < all->calls.used; i++) {
        if (call_at(k, i)->task_key != 0)
            h = digest_call(k, h, *call_at(k, i));
    }
    for (uint32_t i = 0; i < all->services.used; i++) {
        if (service_at(k, i)->key != 0)
            h = digest_service(k, h, *service_at(k, i));
    }
    for (uint32_t i = 0; i < all->workers.used; i++) {
        if (worker_at(k, i)->session != 0)
            h = hash_bytes(h, worker_at(k, i), offsetof(struct worker, timer_place));
    }
    for (uint32_t i = 0; i < all->offers.used; i++) {
        if (offer_at(k, i)->key != 0)
            h = hash_bytes(h, offer_at(k, i), offsetof(struct offer, idle_next));
    }
    h = hash_mix(hash_mix(h, all->queued), all->taken);
    return hash_mix(hash_mix(h, all->narrow), all->result_bytes);
}

/* ---- Invariants ------------------------------------------------------------------------ */

#define HOLDS(condition, name)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return (name);                                                                         \
    } while (0)

/* A call is in exactly one place, and its task says which (state_call.h). */
const char *
call_check(const struct kernel *k, const struct task *t)
{
    const struct call *c = call_of(k, t);
    bool held = (c->flags & CALL_HELD) != 0;
    bool started = (t->flags & TASK_STARTED) != 0;

    HOLDS(task_at(k, call_task(c)) == t, "single-owner");
    HOLDS(service_at(k, c->service)->key != 0 && service_at(k, c->service)->uid == t->uid,
          "single-owner");
    HOLDS(c->attempt <= c->attempts, "single-owner");
    HOLDS(!held || (c->worker != NIL && worker_at(k, c->worker)->session != 0), "holder-alive");
    HOLDS(((c->flags & CALL_GHOST) == 0) || (held && !task_live(t)), "holder-alive");
    if (!task_live(t)) {
        HOLDS(held == ((c->flags & CALL_GHOST) != 0), "single-owner");
        HOLDS(t->lane == LANE_NONE || (t->lane == LANE_SIGNAL && held), "lane-unique");
        return NULL;
    }
    if (t->state == ASUP_TASK_CREATED) {
        bool waits = (t->flags & TASK_DELAYED) != 0 ||
                     (t->flags & (TASK_FINALIZER | TASK_BEGUN)) == TASK_FINALIZER;

        HOLDS(!started && (t->flags & TASK_ENDED) == 0, "protocol-order");
        HOLDS(held == (t->lane == LANE_TAKEN), "lane-unique");
        HOLDS(waits == (t->lane == LANE_NONE), "lane-unique");
        HOLDS(t->lane != LANE_SIGNAL, "lane-unique");
        return NULL;
    }
    HOLDS(held && started && t->state != ASUP_TASK_FINALIZING, "holder-alive");
    HOLDS(t->lane == LANE_NONE || t->lane == LANE_SIGNAL, "lane-unique");
    HOLDS((t->state == ASUP_TASK_RUNNING) == (t->reason == 0), "protocol-order");
    return NULL;
}

struct heap_tally {
    uint32_t count;
    bool ordered;
};

/* Walk a heap by its links; small ones only, so without fear of depth. */
static void
heap_tally(const struct kernel *k, uint32_t top, struct heap_tally *tally)
{
    uint32_t at = top;

    while (at != NIL) {
        const struct task *t = task_at(k, at);
        uint32_t child = call_of(k, t)->child;

        tally->count++;
        for (uint32_t c = child; c != NIL; c = task_at(k, c)->lane_next) {
            const struct task *below = task_at(k, c);

            if (below->run.call_order < t->run.call_order ||
                (below->run.call_order == t->run.call_order && below->id < t->id))
                tally->ordered = false;
        }
        if (child != NIL) {
            at = child;
            continue;
        }
        /* On to the next sibling, of this or of the nearest one above. */
        while (at != top && task_at(k, at)->lane_next == NIL) {
            uint32_t back = task_at(k, at)->lane_place;

            while (call_of(k, task_at(k, back))->child != at) {
                at = back;
                back = task_at(k, at)->lane_place;
            }
            at = back;
        }
        at = at == top ? NIL : task_at(k, at)->lane_next;
    }
}

static const char *
check_service(const struct kernel *k, uint32_t i)
{
    const struct service *s = service_at(k, i);
    struct heap_tally tally = {.ordered = true};
    uint32_t taken = 0;
    uint32_t last = NIL;

    heap_tally(k, s->timed, &tally);
    heap_tally(k, s->ready, &tally);
    HOLDS(tally.count == s->queued, "lane-unique");
    HOLDS(tally.ordered, "lane-order");
    for (uint32_t at = s->taken_first; at != NIL; at = task_at(k, at)->lane_next) {
        HOLDS(task_at(k, at)->lane == LANE_TAKEN && task_at(k, at)->lane_place == last,
              "lane-unique");
        last = at;
        taken++;
    }
    HOLDS(taken == s->taken && last == s->taken_last, "lane-unique");
    HOLDS(s->refs > 0, "single-owner");
    for (uint32_t o = s->idle_first; o != NIL; o = offer_at(k, o)->idle_next)
        HOLDS(offer_at(k, o)->service == i && worker_at(k, offer_at(k, o)->worker)->idle,
              "lane-unique");
    /* Nobody waits for a call that is there. */
    HOLDS(s->work_queued || s->queued == 0 || s->idle_first == NIL, "fairness-bound");
    return NULL;
}

static const char *
check_worker(const struct kernel *k, uint32_t i)
{
    const struct worker *w = worker_at(k, i);
    uint32_t running = 0;
    uint32_t taken = 0;
    uint32_t offers = 0;
    uint32_t cancels = 0;

    HOLDS(session_of_id(k, w->session) != NIL, "holder-alive");
    for (uint32_t at = w->call_first; at != NIL; at = call_at(k, at)->next) {
        const struct call *c = call_at(k, at);
        const struct task *t = task_at(k, call_task(c));

        HOLDS(c->worker == i && (c->flags & CALL_HELD) != 0, "single-owner");
        if (t->lane == LANE_TAKEN)
            taken++;
        else
            running++;
    }
    HOLDS(running == w->running && taken == w->taken, "single-owner");
    /* A worker that offers anew may ask for less than it runs. */
    for (uint32_t at = w->cancel_first; at != NIL; at = task_at(k, at)->lane_next) {
        HOLDS(task_at(k, at)->lane == LANE_SIGNAL, "lane-unique");
        cancels++;
    }
    HOLDS(cancels == w->cancels, "lane-unique");
    for (uint32_t o = w->offer_first; o != NIL; o = offer_at(k, o)->next) {
        HOLDS(offer_at(k, o)->worker == i, "single-owner");
        HOLDS(region_within(k, service_at(k, offer_at(k, o)->service)->region, w->region),
              "single-owner");
        offers++;
    }
    HOLDS(offers == w->offer_count, "single-owner");
    HOLDS((w->flags & WORKER_FENCED) == 0 || (w->offer_count == 0 && w->call_first == NIL),
          "holder-alive");
    HOLDS((w->timer_place == 0) == (worker_deadline(w) == ASUP_NEVER), "time-monotone");
    HOLDS(!w->idle || (w->wait_first != NIL && worker_room(w) > 0), "lane-unique");
    return NULL;
}

const char *
calls_check(const struct kernel *k)
{
    const char *broken = NULL;
    uint32_t queued = 0;
    uint32_t taken = 0;
    uint32_t narrow = 0;

    for (uint32_t i = 0; broken == NULL && i < k->calls.services.used; i++) {
        const struct service *s = service_at(k, i);

        if (s->key == 0)
            continue;
        broken = check_service(k, i);
        queued += s->queued;
        taken += s->taken;
        narrow += s->region != k->root;
    }
    for (uint32_t i = 0; broken == NULL && i < k->calls.workers.used; i++) {
        if (worker_at(k, i)->session != 0)
            broken = check_worker(k, i);
    }
    if (broken != NULL)
        return broken;
    HOLDS(queued == k->calls.queued && taken == k->calls.taken, "lane-unique");
    HOLDS(narrow == k->calls.narrow, "single-owner");
    return NULL;
}
