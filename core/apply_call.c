/* SPDX-License-Identifier: MIT */
/* Applying what happens to calls and workers. */
#include "core/call.h"

/* ---- Calls ------------------------------------------------------------------------------ */

static struct call *
call_new(struct kernel *k, uint32_t i, uint32_t service)
{
    struct task *t = task_at(k, i);
    uint32_t at = arena_take(&k->calls.calls, &k->allocator);
    struct call *c = call_at(k, at);

    c->task_key = i + 1;
    c->service = service;
    service_at(k, service)->refs++;
    c->worker = c->next = c->prev = c->child = NIL;
    c->attempts = 1;
    t->flags |= TASK_CALL;
    t->call = at;
    return c;
}

void
call_created(struct kernel *k, uint32_t i, const struct task_payload *p, struct bytes name,
             struct bytes key)
{
    const struct task *t = task_at(k, i);
    struct call *c = call_new(k, i, service_for(k, t->uid, name, t->region));

    c->key = heap_put(&k->heap, &k->allocator, key);
    c->attempts = p->attempts == 0 ? 1 : p->attempts;
    c->backoff_ms = p->backoff_ms;
    c->backoff_most_ms = p->backoff_most_ms;
}

/* An attempt to compensate a step: the saga counts them, and each is a call of
 * its own that takes no texts. */
void
call_of_undo(struct kernel *k, uint32_t i, uint32_t root_service)
{
    (void)call_new(k, i, service_under(k, root_service, task_at(k, i)->region));
    task_at(k, i)->run.watchdog_ns = 0; /* that is for processes */
}

void
call_forgotten(struct kernel *k, struct task *t)
{
    struct call *c = call_of(k, t);

    if ((c->flags & CALL_HELD) != 0)
        call_let_go(k, t);
    if (!task_live(t))
        k->calls.result_bytes -= heap_get(&k->heap, t->spec).size;
    user_get(k, t->uid)->bytes -= heap_get(&k->heap, t->spec).size +
                                  heap_get(&k->heap, c->key).size +
                                  heap_get(&k->heap, c->message).size;
    heap_drop(&k->heap, &k->allocator, t->spec);
    t->spec = 0;
    heap_drop(&k->heap, &k->allocator, c->key);
    heap_drop(&k->heap, &k->allocator, c->message);
    service_release(k, c->service);
    arena_give(&k->calls.calls, t->call);
}

/* Out of its worker's hands. */
void
call_let_go(struct kernel *k, struct task *t)
{
    struct call *c = call_of(k, t);
    struct worker *w;

    if ((c->flags & CALL_HELD) == 0)
        return;
    w = worker_at(k, c->worker);
    if (c->prev != NIL)
        call_at(k, c->prev)->next = c->next;
    else
        w->call_first = c->next;
    if (c->next != NIL)
        call_at(k, c->next)->prev = c->prev;
    else
        w->call_last = c->prev;
    c->next = c->prev = NIL;
    if ((t->flags & TASK_STARTED) != 0 || (c->flags & CALL_GHOST) != 0)
        w->running--;
    else
        w->taken--;
    c->flags &= (uint16_t) ~(CALL_HELD | CALL_GHOST);
    worker_rearm(k, c->worker);
    worker_settle(k, c->worker);
}

void
call_rerun(struct kernel *k, struct task *t)
{
    struct call *c = call_of(k, t);

    call_let_go(k, t);
    if (c->attempt == c->attempts)
        c->attempts++;
}

static void
answer_note(struct worker *w, const struct given_payload *p)
{
    if (p->given == 0)
        return;
    w->given = (uint16_t)p->given;
    w->request = p->request;
}

static void
call_begin(struct kernel *k, const struct event *ev, struct task *t, const struct worker *w)
{
    struct call *c = call_of(k, t);

    c->attempt++;
    t->flags |= TASK_STARTED;
    t->started_at = ev->at;
    t->run.mask_depth = t->run.mask_depth != 0 ? t->run.mask_depth : w->mask_depth;
    if (t->run.response_ns == 0)
        t->run.response_ns = w->response_ns;
    t->run.response_at = time_add(ev->at, t->run.response_ns);
    t->run.sample_at = ASUP_NEVER;
    task_holds_started(k, call_task(c), ev->at);
}

/* Taken, or begun, or both at once. */
static void
call_handed(struct kernel *k, const struct event *ev, uint32_t i, bool begins)
{
    const struct given_payload *p = ev->payload;
    struct task *t = task_at(k, i);
    struct call *c = call_of(k, t);
    uint32_t at = index_find(&k->calls.worker_sessions, ev->session);
    struct worker *w;

    must(at != NIL);
    w = worker_at(k, at);
    if (t->lane != LANE_TAKEN)
        w->timed_run = t->lane == LANE_READY ? 0 : w->timed_run + 1;
    call_lane_leave(k, i);
    if ((c->flags & CALL_HELD) == 0) {
        c->worker = at;
        c->next = NIL;
        c->prev = w->call_last;
        if (w->call_last != NIL)
            call_at(k, w->call_last)->next = t->call;
        else
            w->call_first = t->call;
        w->call_last = t->call;
        c->flags |= CALL_HELD;
        c->taken_at = ev->at;
        w->taken++;
    }
    answer_note(w, p);
    if (p->given != 0)
        c->given = (uint16_t)p->given;
    if (begins) {
        w->taken--;
        w->running++;
        w->seen_at = ev->at;
        call_begin(k, ev, t, w);
        task_move(k, t, ASUP_TASK_RUNNING);
    } else {
        call_lane_enter(k, i, LANE_TAKEN);
    }
    worker_rearm(k, at);
    worker_settle(k, at);
}

static enum lane
lane_of(const struct kernel *k, const struct task *t)
{
    if ((t->flags & TASK_FINALIZER) != 0)
        return LANE_FINALIZER;
    return task_effective_limit(k, t) == ASUP_NEVER ? LANE_READY : LANE_TIMED;
}

static void
call_given_back(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);

    if (t->lane != LANE_NONE)
        call_lane_leave(k, i);
    call_let_go(k, t);
    if (task_live(t))
        call_lane_enter(k, i, lane_of(k, t));
}

static void
call_retried(struct kernel *k, const struct event *ev, uint32_t i)
{
    const struct call_end_payload *p = ev->payload;
    struct task *t = task_at(k, i);
    struct worker *w = worker_at(k, call_of(k, t)->worker);

    if (p->lost)
        w->lost++;
    else
        w->done++;
    w->seen_at = p->lost ? w->seen_at : ev->at;
    call_let_go(k, t);
    t->flags &= ~(uint32_t)(TASK_STARTED | TASK_BROKE_WORD);
    task_move(k, t, ASUP_TASK_CREATED);
    t->run.due_at = ev->value;
    t->flags |= TASK_DELAYED | TASK_AGAIN;
}

/* TASK_COMPLETED: what a call has besides. Its input makes room for its result. */
void
call_completed(struct kernel *k, const struct event *ev, uint32_t i)
{
    const struct call_end_payload *p = ev->payload;
    struct task *t = task_at(k, i);
    struct call *c = call_of(k, t);
    struct user *u = user_get(k, t->uid);
    struct worker *w = (c->flags & CALL_HELD) != 0 ? worker_at(k, c->worker) : NULL;

    u->bytes -= heap_get(&k->heap, t->spec).size;
    heap_drop(&k->heap, &k->allocator, t->spec);
    t->spec = 0;
    if (ev->payload_size > 0) {
        c->message = heap_put(&k->heap, &k->allocator, ev->text);
        t->spec = heap_put(&k->heap, &k->allocator, (struct bytes){p + 1, p->result_size});
        u->bytes += ev->text.size + p->result_size;
        k->calls.result_bytes += p->result_size;
    }
    t->flags |= TASK_EMPTIED;
    if (w == NULL)
        return;
    if ((t->flags & TASK_FORCED) != 0) {
        /* Its worker is at it still, and shall hear of it. */
        c->flags |= CALL_GHOST;
        call_lane_enter(k, i, LANE_SIGNAL);
        return;
    }
    if ((t->flags & TASK_STARTED) != 0) {
        if ((t->flags & TASK_LOST) != 0)
            w->lost++;
        else
            w->done++;
        if ((t->flags & TASK_LOST) == 0)
            w->seen_at = ev->at;
    }
    call_let_go(k, t);
}

/* ---- Workers ----------------------------------------------------------------------------------
 */

asup_time
worker_deadline(const struct worker *w)
{
    if ((w->flags & (WORKER_FENCED | WORKER_QUIET)) != 0 || w->running == 0)
        return ASUP_NEVER;
    return time_add(w->seen_at, w->quiet_ns);
}

void
worker_rearm(struct kernel *k, uint32_t i)
{
    timer_set(&k->timers, &k->allocator, TIMER_WORKER, i, worker_deadline(worker_at(k, i)));
}

static uint32_t
worker_get(struct kernel *k, const struct event *ev)
{
    uint32_t i = index_find(&k->calls.worker_sessions, ev->session);
    struct worker *w;

    if (i != NIL)
        return i;
    i = arena_take(&k->calls.workers, &k->allocator);
    w = worker_at(k, i);
    w->session = ev->session;
    w->uid = ev->uid;
    w->offer_first = w->call_first = w->call_last = NIL;
    w->cancel_first = w->cancel_last = w->wait_first = NIL;
    index_add(&k->calls.worker_sessions, &k->allocator, i);
    return i;
}

/* The calls of a region that queued further up queue here from now on. */
static void
service_gather(struct kernel *k, uint32_t from, uint32_t to)
{
    struct service *s = service_at(k, from);
    uint32_t region = service_at(k, to)->region;
    uint32_t i;

    for (i = 0; i < k->calls.calls.used && s->queued + s->taken > 0; i++) {
        struct call *c = call_at(k, i);
        struct task *t;
        uint8_t lane;

        if (c->task_key == 0 || c->service != from)
            continue;
        t = task_at(k, call_task(c));
        if (!task_live(t) || !region_within(k, t->region, region))
            continue;
        lane = t->lane;
        if (lane != LANE_NONE && lane != LANE_SIGNAL)
            call_lane_leave(k, call_task(c));
        c->service = to;
        service_at(k, to)->refs++;
        s->refs--;
        if (lane != LANE_NONE && lane != LANE_SIGNAL)
            call_lane_enter(k, call_task(c), (enum lane)lane);
    }
    if (s->refs == 0) {
        s->refs = 1;
        service_release(k, from);
    }
}

static uint32_t
service_for_offer(struct kernel *k, uint32_t uid, struct bytes name, uint32_t region)
{
    uint32_t i = service_find(k, uid, name, region);
    uint32_t above = NIL;

    if (i != NIL)
        return i;
    for (uint32_t at = region; at != NIL && above == NIL; at = region_at(k, at)->parent)
        above = service_find(k, uid, name, at);
    i = service_get(k, uid, name, region);
    if (above != NIL) {
        service_at(k, i)->refs++; /* so that it outlives the move */
        service_gather(k, above, i);
        service_at(k, i)->refs--;
    }
    return i;
}

static void
offer_add(struct kernel *k, uint32_t worker, struct bytes name)
{
    struct worker *w = worker_at(k, worker);
    uint32_t o;
    struct offer *offer;
    struct service *s;

    if (worker_offers(k, worker, name) != NIL)
        return;
    o = arena_take(&k->calls.offers, &k->allocator);
    offer = offer_at(k, o);
    offer->worker = worker;
    offer->service = service_for_offer(k, w->uid, name, w->region);
    offer->key = (uint64_t)(worker + 1) << 32 | offer->service;
    s = service_at(k, offer->service);
    s->refs++;
    offer->service_prev = NIL;
    offer->service_next = s->offer_first;
    if (s->offer_first != NIL)
        offer_at(k, s->offer_first)->service_prev = o;
    s->offer_first = o;
    offer->next = w->offer_first;
    w->offer_first = o;
    w->offer_count++;
    user_get(k, w->uid)->offers++;
}

static void
offer_drop(struct kernel *k, uint32_t worker, uint32_t o)
{
    struct worker *w = worker_at(k, worker);
    struct offer *offer = offer_at(k, o);
    uint32_t *link = &w->offer_first;

    while (*link != o)
        link = &offer_at(k, *link)->next;
    *link = offer->next;
    w->offer_count--;
    user_get(k, w->uid)->offers--;
    if (offer->service_prev != NIL)
        offer_at(k, offer->service_prev)->service_next = offer->service_next;
    else
        service_at(k, offer->service)->offer_first = offer->service_next;
    if (offer->service_next != NIL)
        offer_at(k, offer->service_next)->service_prev = offer->service_prev;
    service_release(k, offer->service);
    arena_give(&k->calls.offers, o);
    if (w->offer_count == 0)
        w->region = k->root; /* it serves none: that one may be forgotten */
}

static void
offers_drop_all(struct kernel *k, uint32_t worker)
{
    while (worker_at(k, worker)->offer_first != NIL)
        offer_drop(k, worker, worker_at(k, worker)->offer_first);
}

static void
worker_offered(struct kernel *k, const struct event *ev)
{
    const struct offer_payload *p = ev->payload;
    const char *names = ev->text.data;
    uint32_t i = worker_get(k, ev);
    struct worker *w = worker_at(k, i);

    worker_unsettle(k, i);
    w->holder_id = p->holder.id;
    w->holder_sort = p->holder.sort;
    w->region = region_of_id(k, ev->region);
    w->response_ns = p->response_ns;
    w->quiet_ns = p->quiet_ns;
    w->mask_depth = p->mask_depth;
    w->concurrency = p->concurrency;
    w->prefetch = p->prefetch;
    w->seen_at = ev->at;
    w->flags = 0;
    if (p->holder.sort == ASUP_SORT_TASK) {
        uint32_t task = task_of_id(k, p->holder.id);

        if (task != NIL)
            task_at(k, task)->flags |= TASK_WORKER;
    }
    for (size_t at = 0; at < ev->text.size;) {
        size_t end = at;

        while (end < ev->text.size && names[end] != '\n')
            end++;
        offer_add(k, i, (struct bytes){names + at, end - at});
        at = end + 1;
    }
}

void
worker_session_ended(struct kernel *k, uint64_t session)
{
    uint32_t i = index_find(&k->calls.worker_sessions, session);

    if (i == NIL)
        return;
    worker_unsettle(k, i);
    offers_drop_all(k, i);
    must(worker_at(k, i)->call_first == NIL && worker_at(k, i)->wait_first == NIL);
    worker_busy_drop(k, i);
    timer_set(&k->timers, &k->allocator, TIMER_WORKER, i, ASUP_NEVER);
    index_drop(&k->calls.worker_sessions, i);
    arena_give(&k->calls.workers, i);
}

static void
apply_worker(struct kernel *k, const struct event *ev)
{
    uint32_t i;
    struct worker *w;

    if (ev->kind == EV_WORKER_OFFERED)
        worker_offered(k, ev);
    i = index_find(&k->calls.worker_sessions, ev->session);
    if (i == NIL)
        return; /* it served a volatile region only, and is unknown to this fold (durable.h) */
    w = worker_at(k, i);
    worker_unsettle(k, i);
    switch (ev->kind) {
    case EV_WORKER_WITHDRAWN:
        if (ev->text.size > 0 && worker_offers(k, i, ev->text) != NIL)
            offer_drop(k, i, worker_offers(k, i, ev->text));
        else if (ev->text.size == 0)
            offers_drop_all(k, i);
        if (ev->value != 0)
            w->flags |= WORKER_QUIET;
        break;
    case EV_WORKER_DRAINED:
        w->flags |= WORKER_DRAINING;
        break;
    case EV_WORKER_LOST:
        offers_drop_all(k, i);
        w->flags = WORKER_FENCED;
        break;
    case EV_WORKER_SEEN:
        w->seen_at = ev->at;
        break;
    default:
        break;
    }
    worker_rearm(k, i);
    worker_settle(k, i);
}

void
apply_call(struct kernel *k, const struct event *ev)
{
    uint32_t i;

    if (ev->kind <= EV_WORKER_LOST) {
        apply_worker(k, ev);
        return;
    }
    i = task_of_id(k, ev->task);
    must(i != NIL);
    switch (ev->kind) {
    case EV_CALL_TAKEN:
    case EV_CALL_STARTED:
        call_handed(k, ev, i, ev->kind == EV_CALL_STARTED);
        break;
    case EV_CALL_GIVEN_BACK:
        call_given_back(k, i);
        if (!task_live(task_at(k, i)))
            return;
        break;
    case EV_CALL_RETRIED:
        call_retried(k, ev, i);
        break;
    default:
        must(false);
    }
    task_rearm(k, i);
}

/* CANCEL_SENT of a call: its worker has been told. */
void
call_cancel_told(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct task *t = task_at(k, i);

    call_lane_leave(k, i);
    if (task_live(t))
        t->flags |= TASK_SIGNALLED;
    if (ev->payload_size > 0)
        answer_note(worker_at(k, call_of(k, t)->worker), ev->payload);
}

/* ---- After a restart ---- */

void
workers_anew(struct kernel *k, asup_time now)
{
    for (uint32_t i = 0; i < k->calls.workers.used; i++) {
        if (worker_at(k, i)->session == 0)
            continue;
        worker_at(k, i)->seen_at = now;
        worker_rearm(k, i);
    }
}

void
workers_volatile_drop(struct kernel *k)
{
    for (uint32_t i = 0; i < k->calls.workers.used; i++) {
        const struct worker *w = worker_at(k, i);

        if (w->session != 0 && (region_at(k, w->region)->flags & REGION_VOLATILE) != 0)
            offers_drop_all(k, i);
    }
}

/* ---- Lifecycle ---- */

void
calls_init(struct calls *c)
{
    arena_init(&c->calls, sizeof(struct call));
    arena_init(&c->workers, sizeof(struct worker));
    arena_init(&c->offers, sizeof(struct offer));
    arena_init(&c->services, sizeof(struct service));
    index_init(&c->worker_sessions, &c->workers, offsetof(struct worker, session));
    index_init(&c->service_keys, &c->services, offsetof(struct service, key));
    c->busy_services = c->busy_workers = (struct call_queue){NIL, NIL};
}

void
calls_fini(struct calls *c, const struct kernel_allocator *a)
{
    index_fini(&c->worker_sessions, a);
    index_fini(&c->service_keys, a);
    arena_fini(&c->calls, a);
    arena_fini(&c->workers, a);
    arena_fini(&c->offers, a);
    arena_fini(&c->services, a);
}
