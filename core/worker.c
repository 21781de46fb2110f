/* SPDX-License-Identifier: MIT */
/*
 * Workers: sessions that offered to do calls (§3).
 *
 *     offers --> takes and starts calls, completes them --> withdraws or drains
 *
 * A worker lives as long as its session. R-TSK-5: what it runs is run again only
 * once it is gone or fenced off. It is gone when its session ended, or when the
 * task that it is Completed. When it was quiet for longer than its lease:
 *
 *   - if it is a task of ours, that task is cancelled, and its calls are lost
 *     only when nothing of it is left;
 *   - if it is only a session, it is fenced: what it says of those calls is
 *     refused from then on (Expired), and it gets no others until it offers anew.
 */
#include "core/call.h"

uint32_t
worker_of_session(const struct kernel *k, uint64_t session)
{
    return session == 0 ? NIL : index_find(&k->calls.worker_sessions, session);
}

static int
session_check(const struct kernel *k, const struct caller *c, struct refusal *why)
{
    uint32_t i = c->session == 0 ? NIL : session_of_id(k, c->session);

    if (c->session == 0)
        return REFUSE(why, ASUP_EINVALID, "a worker needs a session");
    if (i == NIL)
        return REFUSE(why, ASUP_EEXPIRED, "the session has ended");
    if (session_at(k, i)->uid != c->uid)
        return REFUSE(why, ASUP_EDENIED, "the session belongs to another user");
    return 0;
}

uint32_t
worker_asking(const struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i;

    if (session_check(k, &in->caller, why) != 0)
        return NIL;
    i = worker_of_session(k, in->caller.session);
    if (i == NIL)
        (void)REFUSE(why, ASUP_EINVALID, "this session is no worker: offer something first");
    else if ((worker_at(k, i)->flags & WORKER_FENCED) != 0) {
        (void)REFUSE(why, ASUP_EEXPIRED,
                     "the worker was quiet for too long and its calls were lost: offer anew");
        i = NIL;
    }
    return i;
}

struct event
event_of_worker(enum event_kind kind, const struct kernel *k, uint32_t worker)
{
    const struct worker *w = worker_at(k, worker);

    return (struct event){
        .kind = kind, .uid = w->uid, .session = w->session, .region = region_at(k, w->region)->id};
}

void
worker_seen(struct kernel *k, uint32_t i)
{
    const struct worker *w = worker_at(k, i);

    /* Not for every word: the lease is kept to a sixteenth. */
    if (w->quiet_ns != ASUP_NEVER && k->now - w->seen_at > w->quiet_ns / 16)
        emit(k, event_of_worker(EV_WORKER_SEEN, k, i));
}

/* ---- Offering ------------------------------------------------------------------------------ */

static int
names_check(const struct offer_params *p, struct refusal *why)
{
    if (p->name_count == 0 || p->name_count > OFFER_NAMES_MAX || p->names == NULL)
        return REFUSE(why, ASUP_EINVALID, "an offer has 1 to 64 names");
    for (uint32_t i = 0; i < p->name_count; i++) {
        const char *text = p->names[i].data;

        if (p->names[i].size == 0 || p->names[i].size > ASUP_NAME_MAX)
            return REFUSE(why, ASUP_EINVALID, "the name of a computation has 1 to 128 bytes");
        for (size_t n = 0; n < p->names[i].size; n++) {
            if ((unsigned char)text[n] < 0x20 || text[n] == 0x7f)
                return REFUSE(why, ASUP_EINVALID,
                              "the name of a computation holds no control characters");
        }
    }
    if (p->concurrency == 0 || p->concurrency > UINT16_MAX || p->prefetch > UINT16_MAX)
        return REFUSE(why, ASUP_EINVALID, "concurrency is 1 to 65535, prefetch at most 65535");
    if (p->quiet_ns == 0)
        return REFUSE(why, ASUP_EINVALID, "a lease of no time is none");
    return 0;
}

int
worker_offer_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t region = region_lookup(k, in, why);
    uint32_t w;

    if (region == NIL || session_check(k, &in->caller, why) != 0)
        return why->code;
    /* "/" is everybody's: a worker there gets its own user's calls alone. */
    if (authorize_open(k, &in->caller, region, ASUP_RIGHT_SERVE, why) != 0)
        return why->code;
    if (region_at(k, region)->state != ASUP_REGION_OPEN)
        return REFUSE(why, ASUP_ECLOSED,
                      region_live(region_at(k, region)) ? "the region is draining"
                                                        : "the region is closed");
    if (names_check(&in->u.offer, why) != 0)
        return why->code;
    w = worker_of_session(k, in->caller.session);
    if (w != NIL && worker_at(k, w)->region != region && worker_at(k, w)->offer_count > 0)
        return REFUSE(why, ASUP_ECONFLICT,
                      "the worker offers in another region: withdraw first, or use a session of "
                      "its own");
    if (w != NIL && worker_at(k, w)->offer_count + in->u.offer.name_count > OFFER_NAMES_MAX) {
        uint32_t fresh = 0;

        for (uint32_t n = 0; n < in->u.offer.name_count; n++)
            fresh += worker_offers(k, w, in->u.offer.names[n]) == NIL;
        if (worker_at(k, w)->offer_count + fresh > OFFER_NAMES_MAX)
            return REFUSE(why, ASUP_EINVALID, "a worker offers at most 64 names");
    }
    return limit_offers(k, in->caller.uid, in->u.offer.name_count, why);
}

/* The worker's offer of that name; NIL: none. */
uint32_t
worker_offers(const struct kernel *k, uint32_t worker, struct bytes name)
{
    const struct worker *w = worker_at(k, worker);

    for (uint32_t o = w->offer_first; o != NIL; o = offer_at(k, o)->next) {
        if (service_is(k, service_at(k, offer_at(k, o)->service), w->uid, name))
            return o;
    }
    return NIL;
}

bool
worker_offer_reserve(struct kernel *k, const struct input *in, struct need *need)
{
    const struct kernel_allocator *a = &k->allocator;
    uint32_t names = in->u.offer.name_count;
    struct heap_need texts = {{0}};

    need->events += 2;
    need->scratch += sizeof(struct offer_payload) + names * (ASUP_NAME_MAX + 1) + 64;
    for (uint32_t n = 0; n < names; n++) {
        if (!heap_want(&k->heap, a, &texts, in->u.offer.names[n].size))
            return false;
    }
    return arena_reserve(&k->calls.workers, a, 1) &&
           index_reserve(&k->calls.worker_sessions, a, 1) &&
           arena_reserve(&k->calls.offers, a, names) &&
           arena_reserve(&k->calls.services, a, names) &&
           index_reserve(&k->calls.service_keys, a, names) && arena_reserve(&k->users, a, 1) &&
           index_reserve(&k->user_ids, a, 1) &&
           timers_reserve(&k->timers, a, admit_timers(k) + 1) && heap_reserve(&k->heap, a, &texts);
}

/* R-TSK-8, as for tasks. */
static const char *
offer_advice(const struct kernel *k, uint32_t region, const struct offer_params *p)
{
    const struct region *r = region_at(k, region);
    uint64_t depth = p->mask_depth == 0 ? 1 : p->mask_depth;

    if (p->response_ns == 0 || (r->flags & REGION_SOFT) != 0 ||
        p->response_ns <= allowance_ns(k, r, ASUP_CANCEL_USER) / depth)
        return NULL;
    return "its declared time between checkpoints does not fit into the drain time: its calls may "
           "be ended by force";
}

struct asup_ref
worker_offer(struct kernel *k, const struct input *in, const char **advice)
{
    const struct offer_params *p = &in->u.offer;
    struct offer_payload payload = {
        .response_ns = p->response_ns,
        .quiet_ns = p->quiet_ns,
        .holder = caller_holder(&in->caller),
        .concurrency = p->concurrency,
        .prefetch = p->prefetch,
        .mask_depth = p->mask_depth,
        .name_count = p->name_count,
    };
    char *names = scratch_take(k, p->name_count * (ASUP_NAME_MAX + 1));
    struct event ev = {
        .kind = EV_WORKER_OFFERED,
        .uid = in->caller.uid,
        .session = in->caller.session,
        .region = in->region,
        .text = {names, 0},
        .payload = &payload,
        .payload_size = sizeof payload,
    };

    for (uint32_t i = 0; i < p->name_count; i++) {
        if (i > 0)
            names[ev.text.size++] = '\n';
        memcpy(names + ev.text.size, p->names[i].data, p->names[i].size);
        ev.text.size += p->names[i].size;
    }
    emit(k, ev);
    *advice = offer_advice(k, region_of_id(k, in->region), p);
    return (struct asup_ref){.id = in->caller.session, .sort = ASUP_SORT_SESSION};
}

/* ---- Withdrawing and draining -----------------------------------------------------------------
 */

/* What a worker took and has not begun goes to others. */
static void
taken_back(struct kernel *k, uint32_t worker)
{
    uint32_t next;

    for (uint32_t at = worker_at(k, worker)->call_first; at != NIL; at = next) {
        const struct call *c = call_at(k, at);

        next = c->next;
        if (task_at(k, call_task(c))->lane == LANE_TAKEN)
            call_give_back(k, call_task(c));
    }
}

/* A parked request of a worker that will get nothing more. */
static void
wait_over(struct kernel *k, uint32_t worker, int code, const char *detail)
{
    uint32_t wait = worker_at(k, worker)->wait_first;

    if (wait != NIL)
        wait_end(k, wait, code, detail, (struct asup_ref){0});
}

void
worker_finished(struct kernel *k, uint32_t worker)
{
    const struct worker *w = worker_at(k, worker);

    if ((w->flags & (WORKER_DRAINING | WORKER_QUIET)) == WORKER_DRAINING && w->call_first == NIL)
        wait_over(k, worker, -ASUP_EENDED, "the worker is drained: there is nothing more for it");
}

/* Whom a request is about: the asking worker, or the one of the session it names. */
static uint32_t
worker_meant(const struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i;

    if (in->session == 0 || in->session == in->caller.session)
        return worker_asking(k, in, why);
    i = worker_of_session(k, in->session);
    if (i == NIL) {
        (void)REFUSE(why, ASUP_ENOTFOUND, "there is no such worker");
    } else if (authorize_owned(k, &in->caller, worker_at(k, i)->region, worker_at(k, i)->uid,
                               ASUP_RIGHT_SERVE, why) != 0) {
        i = NIL;
    }
    return i;
}

int
worker_end_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = worker_meant(k, in, why);

    if (i == NIL)
        return why->code;
    if (in->kind == IN_WORKER_WITHDRAW && in->u.withdraw.name.size > 0 &&
        worker_offers(k, i, in->u.withdraw.name) == NIL)
        return REFUSE(why, ASUP_ENOTFOUND, "the worker offers no such computation");
    return 0;
}

bool
worker_end_reserve(struct kernel *k, const struct input *in, struct need *need)
{
    struct refusal why = {0};
    uint32_t i = worker_meant(k, in, &why);

    need->events += 2 + worker_at(k, i)->taken;
    return true;
}

struct asup_ref
worker_withdraw(struct kernel *k, const struct input *in)
{
    struct refusal why = {0};
    uint32_t i = worker_meant(k, in, &why);
    struct event ev = event_of_worker(EV_WORKER_WITHDRAWN, k, i);

    ev.text = in->u.withdraw.name;
    emit(k, ev);
    if (worker_at(k, i)->offer_count == 0)
        taken_back(k, i);
    return (struct asup_ref){.id = worker_at(k, i)->session, .sort = ASUP_SORT_SESSION};
}

struct asup_ref
worker_drain(struct kernel *k, const struct input *in)
{
    struct refusal why = {0};
    uint32_t i = worker_meant(k, in, &why);

    if ((worker_at(k, i)->flags & WORKER_DRAINING) == 0) {
        emit(k, event_of_worker(EV_WORKER_DRAINED, k, i));
        taken_back(k, i);
    }
    worker_finished(k, i);
    return (struct asup_ref){.id = worker_at(k, i)->session, .sort = ASUP_SORT_SESSION};
}

/* A region closed: nobody serves it any more. */
void
workers_region_closed(struct kernel *k, uint32_t region)
{
    if (k->calls.narrow == 0 && region != k->root)
        return;
    for (uint32_t i = 0; i < k->calls.workers.used; i++) {
        const struct worker *w = worker_at(k, i);

        if (w->session == 0 || (w->region != region && region != k->root) ||
            (w->offer_count == 0 && w->wait_first == NIL))
            continue;
        if (w->offer_count > 0)
            emit(k, event_of_worker(EV_WORKER_WITHDRAWN, k, i));
        wait_over(k, i, -ASUP_ECLOSED, "the region that the worker served is closed");
    }
}

/* ---- The end
 * ------------------------------------------------------------------------------------- */

void
worker_need(const struct kernel *k, uint32_t worker, struct need *need)
{
    const struct worker *w = worker_at(k, worker);

    need->events += 4;
    need->reasons++;
    for (uint32_t at = w->call_first; at != NIL; at = call_at(k, at)->next) {
        need->events += 3;
        need_follow(k, task_at(k, call_task(call_at(k, at)))->region, need);
        need_holder(k,
                    (struct asup_ref){.id = task_at(k, call_task(call_at(k, at)))->id,
                                      .sort = ASUP_SORT_TASK},
                    need);
    }
    if (w->holder_sort == ASUP_SORT_TASK) {
        uint32_t i = task_of_id(k, w->holder_id);

        if (i != NIL)
            need_follow(k, task_at(k, i)->region, need);
    }
}

static void
worker_lost(struct kernel *k, uint32_t i)
{
    uint32_t next;

    if ((worker_at(k, i)->flags & WORKER_FENCED) == 0)
        emit(k, event_of_worker(EV_WORKER_LOST, k, i));
    for (uint32_t at = worker_at(k, i)->call_first; at != NIL; at = next) {
        const struct call *c = call_at(k, at);

        next = c->next;
        if (task_at(k, call_task(c))->lane == LANE_TAKEN || (c->flags & CALL_GHOST) != 0)
            call_give_back(k, call_task(c));
        else if ((task_at(k, call_task(c))->flags & TASK_STARTED) != 0)
            call_lost(k, call_task(c));
        else
            call_advance(k, call_task(c)); /* cancelled just now */
    }
    wait_over(k, i, -ASUP_EEXPIRED, "the worker is lost");
}

void
worker_session_need(const struct kernel *k, uint64_t session, struct need *need)
{
    uint32_t i = worker_of_session(k, session);

    if (i != NIL)
        worker_need(k, i, need);
}

void
worker_session_ends(struct kernel *k, uint64_t session)
{
    uint32_t i = worker_of_session(k, session);

    if (i == NIL)
        return;
    if (worker_at(k, i)->call_first != NIL)
        worker_lost(k, i);
    else
        wait_over(k, i, -ASUP_EEXPIRED, "the session has ended");
}

/* The next worker that a task is; NIL: no more. */
static uint32_t
worker_of_task(const struct kernel *k, uint64_t task, uint32_t from)
{
    for (uint32_t i = from; i < k->calls.workers.used; i++) {
        const struct worker *w = worker_at(k, i);

        if (w->session != 0 && w->holder_sort == ASUP_SORT_TASK && w->holder_id == task)
            return i;
    }
    return NIL;
}

void
worker_task_need(const struct kernel *k, uint64_t task, struct need *need)
{
    for (uint32_t i = worker_of_task(k, task, 0); i != NIL; i = worker_of_task(k, task, i + 1))
        worker_need(k, i, need);
}

void
worker_task_ended(struct kernel *k, uint64_t task)
{
    for (uint32_t i = worker_of_task(k, task, 0); i != NIL; i = worker_of_task(k, task, i + 1))
        worker_lost(k, i);
}

void
worker_fire(struct kernel *k, uint32_t i)
{
    const struct worker *w = worker_at(k, i);
    uint32_t task = w->holder_sort == ASUP_SORT_TASK ? task_of_id(k, w->holder_id) : NIL;
    const char *message = "as a worker it was quiet for longer than its lease";
    struct cancel c = {
        .kind = ASUP_CANCEL_RESOURCE_UNAVAILABLE,
        .origin_sort = ASUP_SORT_TASK,
        .origin = w->holder_id,
        .message = {message, strlen(message)},
        .drain_ns = ASUP_NEVER,
        .end_most = ASUP_NEVER,
    };
    struct event ev;

    if (task == NIL || !task_live(task_at(k, task))) {
        worker_lost(k, i);
        return;
    }
    ev = event_of_worker(EV_WORKER_WITHDRAWN, k, i);
    ev.value = 1; /* quiet: it waits for the end of its task */
    emit(k, ev);
    taken_back(k, i);
    cancel_task(k, task, &c);
}

/* ---- Starting what was taken
 * ------------------------------------------------------------------------- */

static int
start_one(struct kernel *k, uint32_t worker, uint64_t id)
{
    const struct given_payload payload = {0};
    uint32_t i = id == 0 ? NIL : task_of_id(k, id);
    const struct task *t = i == NIL ? NULL : task_at(k, i);
    struct event ev;

    if (t == NULL || !task_is_call(t))
        return -ASUP_ENOTFOUND;
    if (call_of(k, t)->worker != worker || (call_of(k, t)->flags & CALL_HELD) == 0)
        return -ASUP_EEXPIRED; /* taken back */
    if (t->lane != LANE_TAKEN)
        return (t->flags & TASK_STARTED) != 0 ? 0 : -ASUP_EEXPIRED;
    if (worker_at(k, worker)->running >= worker_at(k, worker)->concurrency)
        return -ASUP_EBUSY;
    ev = event_of_call(EV_CALL_STARTED, k, i);
    ev.payload = &payload;
    ev.payload_size = sizeof payload;
    emit(k, ev);
    waits_task(k, i);
    return 0;
}

int
worker_start(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    uint32_t worker = worker_asking(k, in, why);
    const struct need need = {.events = in->u.start.count + 1,
                              .scratch = in->u.start.count * sizeof(struct given_payload)};

    if (worker == NIL)
        return why->code;
    if (in->u.start.count > GIVEN_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "at most 1024 calls are started at once");
    if (!reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    worker_seen(k, worker);
    for (uint32_t n = 0; n < in->u.start.count; n++)
        in->u.start.codes[n] = start_one(k, worker, in->u.start.tasks[n]);
    *made = (struct asup_ref){.id = in->caller.session, .sort = ASUP_SORT_SESSION};
    return 0;
}
