/* SPDX-License-Identifier: MIT */
/*
 * A step: first the timers that are due, by (time, sort, id), each with all
 * that follows from it; then the input; then picks from the lanes.
 *
 * Memory for everything a decision can lead to is reserved before it begins.
 * Where there is none, a request is refused with ASUP_ENOMEM; a fact or timer,
 * which cannot be refused, is left for the shell to bring again, and the step
 * says ASUP_ENOMEM. Either way nothing has changed by it.
 */
#include "core/decide.h"

enum {
    EVENTS_PER_TASK = 5, /* cancel-requested twice, escalated, completed, and its key */
    EVENTS_PER_REGION = 9,
    EVENTS_PER_SAGA = 7, /* step-failed, compensating, undoing, undone, ended and its key,
                            cancel-requested */
    SCRATCH_PER_TASK = 128,
    SCRATCH_PER_REGION = 1024,
    SCRATCH_PER_SAGA = 1536,
    EVENTS_PER_OBLIGATION = 6, /* ended, and for the next in turn made, bound */
    SCRATCH_PER_OBLIGATION = 1024,
    SCRATCH_PER_OPERATION = 64, /* the payload of its end */
    EFFECTS_PER_TASK = 2,
    EVENTS_BASE = 64,
    SCRATCH_BASE = 8192,
    SCRATCH_PER_TELL = ASUP_MESSAGE_MAX + 64,
    TELLS_STANDING = 16 * (ASUP_DEPTH_MAX + 2),
    CALM_STEPS = 4096,   /* before buffers shrink again */
    CALM_EVENTS = 16384, /* what they may keep */
    CALM_SCRATCH = 1 << 20,
};

/* ---- Memory ---------------------------------------------------------------------------- */

static uint64_t
picks_most(const struct kernel *k, uint64_t tasks)
{
    uint64_t waiting = tasks + EVENTS_BASE;

    for (unsigned lane = 0; lane < 5; lane++)
        waiting += k->lane_count[lane];
    waiting += calls_picks(k);
    return min_u64(waiting, k->config.picks_per_step);
}

/* Reasons that may be told before outermost volatile regions close, a chain of them each.
 * None is told twice: where there are many such regions, they share what reasons there are. */
static uint64_t
tells_most(const struct kernel *k, const struct need *n, uint64_t regions, uint64_t sagas)
{
    uint64_t chains = min_u64(regions, (uint64_t)k->volatile_tops + n->volatile_tops);
    uint64_t reasons = arena_live(&k->reasons) + (uint64_t)n->reasons + regions + sagas + 4;
    uint64_t tells = chains * (ASUP_DEPTH_MAX + 2);

    if (tells > TELLS_STANDING && tells > reasons)
        tells = reasons > TELLS_STANDING ? reasons : TELLS_STANDING;
    return tells;
}

/* Events, effects and scratch memory. However much was added up, no more can
 * end than there is. */
static bool
buffers_reserve(struct kernel *k, const struct need *n)
{
    const struct kernel_allocator *a = &k->allocator;
    uint64_t tasks = min_u64(n->tasks, (uint64_t)arena_live(&k->tasks) + n->events);
    uint64_t regions = min_u64(n->regions, (uint64_t)arena_live(&k->regions) + n->events);
    uint64_t sagas = min_u64(n->sagas, (uint64_t)k->saga.live + 1);
    uint64_t tells = tells_most(k, n, regions, sagas);
    uint64_t picks = picks_most(k, tasks + sagas);
    uint64_t events =
        EVENTS_BASE + n->events + picks + tells + EVENTS_PER_TASK * tasks +
        EVENTS_PER_REGION * regions + EVENTS_PER_SAGA * sagas +
        EVENTS_PER_OBLIGATION * n->obligations + n->operations +
        (regions > 0 ? arena_live(&k->capabilities.records) + arena_live(&k->calls.workers) : 0);
    uint64_t effects =
        EVENTS_BASE + picks + EFFECTS_PER_TASK * tasks + 2 * regions + arena_live(&k->waits);
    size_t scratch = SCRATCH_BASE + n->scratch + (size_t)tasks * SCRATCH_PER_TASK +
                     (size_t)regions * SCRATCH_PER_REGION + (size_t)sagas * SCRATCH_PER_SAGA +
                     (size_t)tells * SCRATCH_PER_TELL +
                     (size_t)n->obligations * SCRATCH_PER_OBLIGATION +
                     (size_t)n->operations * SCRATCH_PER_OPERATION;
    void *items = k->events;

    if (!memory_reserve(a, &items, &k->event_capacity, k->event_count + events,
                        sizeof k->events[0]))
        return false;
    k->events = items;
    items = k->effects;
    if (!memory_reserve(a, &items, &k->effect_capacity, k->effect_count + effects,
                        sizeof k->effects[0]))
        return false;
    k->effects = items;
    return scratch_reserve(k, scratch);
}

bool
reserve(struct kernel *k, const struct need *n)
{
    const struct kernel_allocator *a = &k->allocator;
    uint64_t regions = min_u64(n->regions, (uint64_t)arena_live(&k->regions) + n->events);
    uint32_t sagas = (uint32_t)min_u64(n->sagas, (uint64_t)k->saga.live + 1);
    uint32_t reasons = n->reasons + (uint32_t)regions + sagas + 4;
    uint32_t messages = 4 + sagas + (uint32_t)min_u64(n->reasons, 2 * ASUP_DEPTH_MAX);

    return buffers_reserve(k, n) && arena_reserve(&k->reasons, a, reasons) &&
           index_reserve(&k->reason_handles, a, reasons) &&
           heap_reserve_short(&k->heap, a, ASUP_MESSAGE_MAX, messages);
}

void
need_follow(const struct kernel *k, uint32_t region, struct need *need)
{
    uint32_t top = NIL;

    /* A task that is cancelled before its start ends at once, with what was
     * handed to it. */
    if (need->obligations < k->obligations.held_unstarted)
        need->obligations = k->obligations.held_unstarted;
    need->tasks++;
    for (uint32_t at = region; at != NIL; at = region_at(k, at)->parent) {
        need->regions++;
        need->sagas += region_at(k, at)->sagas;
        if (policy_may_cancel(region_at(k, at)))
            top = at;
    }
    if (top != NIL) {
        need->tasks += region_at(k, top)->sub_tasks;
        need->regions += region_at(k, top)->sub_regions;
        need->sagas += region_at(k, top)->sub_sagas;
    }
}

void
need_subtree(const struct kernel *k, uint32_t region, struct need *need)
{
    need->sagas += region_at(k, region)->sub_sagas;
    need->tasks += region_at(k, region)->sub_tasks;
    need->regions += region_at(k, region)->sub_regions;
    need_follow(k, region, need);
}

/* Give back what an unusual step took, after a while of usual ones. */
static void
buffers_calm(struct kernel *k)
{
    const struct kernel_allocator *a = &k->allocator;
    struct scratch *s = &k->scratch;

    while (s->older_count > 0) {
        size_t i = --s->older_count;

        if (s->older_size[i] > s->size) { /* the largest stays */
            uint8_t *chunk = s->chunk;
            size_t size = s->size;

            s->chunk = s->older[i];
            s->size = s->older_size[i];
            s->older[i] = chunk;
            s->older_size[i] = size;
        }
        memory_release(a, s->older[i], s->older_size[i], 1);
    }
    s->used = 0;
    heap_calm(&k->heap, a);
    k->calm = k->event_count > CALM_EVENTS / 4 ? 0 : k->calm + 1;
    if (k->calm < CALM_STEPS)
        return;
    k->calm = 0;
    if (k->event_capacity > CALM_EVENTS) {
        void *events = a->resize(a->ctx, k->events, k->event_capacity * sizeof k->events[0],
                                 CALM_EVENTS * sizeof k->events[0]);

        if (events != NULL) {
            k->events = events;
            k->event_capacity = CALM_EVENTS;
        }
    }
    /* Each wait has room for its answer, which came by doubling: what is less than twice as much
     * stays, or many waits would have it moved again and again. */
    if (k->effect_capacity > 2 * (CALM_EVENTS + (size_t)arena_live(&k->waits))) {
        size_t capacity = CALM_EVENTS + arena_live(&k->waits);
        void *effects = a->resize(a->ctx, k->effects, k->effect_capacity * sizeof k->effects[0],
                                  capacity * sizeof k->effects[0]);

        if (effects != NULL) {
            k->effects = effects;
            k->effect_capacity = capacity;
        }
    }
    if (s->size > CALM_SCRATCH) {
        void *chunk = a->resize(a->ctx, s->chunk, s->size, CALM_SCRATCH);

        if (chunk != NULL) {
            s->chunk = chunk;
            s->size = CALM_SCRATCH;
        }
    }
}

/* ---- Requests ------------------------------------------------------------------------------ */

void
reply(struct kernel *k, const struct input *in, const struct refusal *why, struct asup_ref made)
{
    struct effect *fx;

    if (in->token == 0)
        return; /* the shell asks for itself */
    fx = effect_add(k, FX_REPLY);
    fx->token = in->token;
    fx->code = why->code;
    fx->detail = why->detail;
    fx->limit = why->limit;
    if (why->code == 0) {
        fx->made = made;
        fx->masked = why->masked;
        fx->after = answer_after(k, in);
    } else if (why->code == -ASUP_EUNAVAILABLE || why->code == -ASUP_ENOMEM) {
        fx->after = 0; /* it tells nothing of the state */
    }
}

static int
request_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    const struct admission none = {0};

    switch (in->kind) {
    case IN_REGION_OPEN:
        return region_open_check(k, in, &none, why);
    case IN_REGION_END:
        return region_end_check(k, in, why);
    case IN_TASK_SUBMIT:
        return task_submit_check(k, in, &none, why);
    case IN_TASK_CANCEL:
        return task_cancel_check(k, in, why);
    case IN_FINALIZER_DEFER:
        return finalizer_defer_check(k, in, &none, why);
    case IN_TASK_CHECKPOINT:
    case IN_TASK_PROGRESS:
        return task_spend_check(k, in, why);
    case IN_SAGA_BEGIN:
    case IN_SAGA_STEP:
    case IN_SAGA_COMPLETE:
    case IN_SAGA_ABORT:
    case IN_SAGA_RESOLVE:
        return saga_check(k, in, why);
    case IN_WORKER_OFFER:
        return worker_offer_check(k, in, why);
    case IN_WORKER_WITHDRAW:
    case IN_WORKER_DRAIN:
        return worker_end_check(k, in, why);
    case IN_SHUTDOWN:
        return shutdown_check(k, in, why);
    case IN_OBLIGATION_RESERVE:
    case IN_OBLIGATION_COMMIT:
    case IN_OBLIGATION_ABORT:
    case IN_OBLIGATION_TRANSFER:
        return obligation_request_check(k, in, why);
    case IN_LEASE_RENEW:
    case IN_LEASE_RELEASE:
        return lease_request_check(k, in, why);
    case IN_CX_DERIVE:
    case IN_CX_REVOKE:
        return capability_check(k, in, why);
    default:
        return REFUSE(why, ASUP_EUNSUPPORTED, "the request is not known");
    }
}

static bool
request_memory(struct kernel *k, const struct input *in)
{
    struct admit_need admit = {0};
    struct need need = {.reasons = 1};

    if (!request_reserve(k, in, &need))
        return false;
    switch (in->kind) {
    case IN_REGION_OPEN:
    case IN_TASK_SUBMIT:
    case IN_FINALIZER_DEFER:
        admit_want(k, &admit, in);
        return admit_reserve(k, &admit, &need);
    case IN_SAGA_BEGIN:
    case IN_SAGA_STEP:
    case IN_SAGA_COMPLETE:
    case IN_SAGA_ABORT:
    case IN_SAGA_RESOLVE:
        return saga_memory(k, in, &need);
    case IN_REGION_END:
        need_subtree(k, region_of_id(k, in->region), &need);
        break;
    case IN_WORKER_OFFER:
        return worker_offer_reserve(k, in, &need) && reserve(k, &need);
    case IN_WORKER_WITHDRAW:
    case IN_WORKER_DRAIN:
        return worker_end_reserve(k, in, &need) && reserve(k, &need);
    case IN_SHUTDOWN:
        need_subtree(k, k->root, &need);
        break;
    case IN_TASK_CANCEL:
        need_follow(k, task_at(k, task_of_id(k, in->task))->region, &need);
        break;
    case IN_OBLIGATION_RESERVE:
    case IN_OBLIGATION_COMMIT:
    case IN_OBLIGATION_ABORT:
    case IN_OBLIGATION_TRANSFER:
    case IN_LEASE_RENEW:
    case IN_LEASE_RELEASE:
        if (!obligation_request_memory(k, in, &need))
            return false;
        break;
    case IN_CX_DERIVE:
    case IN_CX_REVOKE:
        if (!capability_memory(k, in, &need))
            return false;
        break;
    default:
        task_need(k, in, task_of_id(k, in->task), &need);
        need.reasons += ASUP_DEPTH_MAX;
        break;
    }
    return reserve(k, &need);
}

static struct asup_ref
request_do(struct kernel *k, const struct input *in, struct refusal *why)
{
    switch (in->kind) {
    case IN_REGION_OPEN:
        return region_open(k, in);
    case IN_REGION_END:
        return region_end(k, in);
    case IN_TASK_SUBMIT:
        return task_submit(k, in, &why->detail);
    case IN_TASK_CANCEL:
        return task_cancel(k, in);
    case IN_FINALIZER_DEFER:
        return finalizer_defer(k, in);
    case IN_SAGA_BEGIN:
    case IN_SAGA_STEP:
    case IN_SAGA_COMPLETE:
    case IN_SAGA_ABORT:
    case IN_SAGA_RESOLVE:
        return saga_do(k, in, why);
    case IN_WORKER_OFFER:
        return worker_offer(k, in, &why->detail);
    case IN_WORKER_WITHDRAW:
        return worker_withdraw(k, in);
    case IN_WORKER_DRAIN:
        return worker_drain(k, in);
    case IN_SHUTDOWN:
        return shutdown_begin(k, in);
    case IN_OBLIGATION_RESERVE:
    case IN_OBLIGATION_COMMIT:
    case IN_OBLIGATION_ABORT:
    case IN_OBLIGATION_TRANSFER:
        return obligation_request(k, in);
    case IN_LEASE_RENEW:
    case IN_LEASE_RELEASE:
        return lease_request(k, in);
    case IN_CX_DERIVE:
    case IN_CX_REVOKE:
        return capability_do(k, in);
    default:
        return task_spend(k, in, why);
    }
}

/* A repeat of what was granted is answered, whatever may be admitted now (R-IDM-1): were it
 * refused, who asks would ask anew under another id, and have it twice. */
static bool
request_known(const struct kernel *k, const struct input *in)
{
    struct refusal why = {0};
    struct asup_ref made;

    return in->kind > IN_SESSION_BYE && request_lookup(k, in, &made, &why) > 0;
}

static int
request(struct kernel *k, const struct input *asked)
{
    struct refusal why = {0};
    struct asup_ref made = {0};
    bool parked = false;
    const struct input *in = asked;
    struct input resolved;

    if (asked->caller.cx != 0 || asked->caller.actor != 0) {
        resolved = *asked;
        resolved.caller = caller_resolve(k, &asked->caller);
        in = &resolved;
    }
    if (in->kind != IN_SESSION_KEEPALIVE)
        caller_spoke(k, &in->caller);
    k->request_mark = k->durable_seq;
    if (k->recovering) {
        (void)REFUSE(&why, ASUP_EUNAVAILABLE, "the daemon is coming back");
    } else if (k->journal_failed && journal_needed(k, in) && !request_known(k, in)) {
        (void)REFUSE(&why, ASUP_EUNAVAILABLE, "the journal cannot be written");
    } else if (key_lookup(k, in, &made, &why) != 0) {
        /* as the first time, or refused */
    } else if (in->kind > IN_SESSION_BYE && authorize_shown(k, in, &why) != 0) {
        /* what it shows is no longer good, whatever it asks for */
    } else if (in->kind <= IN_SESSION_BYE) {
        (void)session_request(k, in, &why, &made);
    } else if (in->kind == IN_WAIT) {
        (void)wait_request(k, in, &why, &parked, &made);
    } else if (in->kind == IN_WORKER_NEXT) {
        (void)worker_next(k, in, &why, &parked);
    } else if (in->kind == IN_WORKER_START) {
        (void)worker_start(k, in, &why, &made);
    } else if (in->kind == IN_CALL_COMPLETE) {
        (void)call_complete(k, in, &why, &made);
    } else if (request_lookup(k, in, &made, &why) != 0) {
        why.masked = why.code == 0 && task_spend_masked(k, in);
    } else if (in->kind >= IN_CHANNEL_OPEN && in->kind <= IN_DEAD_DISCARD) {
        (void)channel_request(k, in, &why, &parked, &made);
    } else if (in->kind == IN_LEASE_ACQUIRE) {
        (void)lease_acquire(k, in, &why, &parked, &made);
    } else if (in->kind == IN_BATCH) {
        (void)batch_request(k, in, &why, &made);
    } else if (request_check(k, in, &why) == 0) {
        if (request_memory(k, in)) {
            made = request_do(k, in, &why);
            request_bind(k, in, made);
        } else {
            (void)REFUSE(&why, ASUP_ENOMEM, "no memory for this request");
        }
    }
    work_run(k);
    if (!parked)
        reply(k, in, &why, made);
    return why.code;
}

/* ---- Facts ----------------------------------------------------------------------------------- */

static bool
fact_memory(struct kernel *k, const struct input *in, uint32_t task)
{
    struct need need = {.reasons = 2};

    if (in->kind == IN_CONFIG)
        need.scratch += sizeof k->config;
    if (k->recovering && !kernel_reserve(k))
        return false; /* what was folded has no standing reserve yet */
    if (in->kind == IN_RESUMED)
        resumed_need(k, &need);
    if (in->kind == IN_REGION_SWEPT) {
        uint32_t i = region_of_id(k, in->region);

        if (i != NIL)
            need_follow(k, i, &need);
    }
    if (task != NIL) {
        task_need(k, in, task, &need);
        need.sagas +=
            saga_driven(k, (struct asup_ref){.id = task_at(k, task)->id, .sort = ASUP_SORT_TASK});
        if (in->kind == IN_TASK_SAMPLED)
            need.reasons += ASUP_DEPTH_MAX;
    }
    return reserve(k, &need);
}

static void
config_change(struct kernel *k, const struct kernel_config *wanted)
{
    struct kernel_config c = *wanted;
    struct event ev = {.kind = EV_CONFIG, .payload = &c, .payload_size = sizeof c};

    c.root_uid = k->config.root_uid;
    c.id_first = k->config.id_first;
    if (config_sensible(&c))
        emit(k, ev);
}

static void
journal_state(struct kernel *k, bool failed)
{
    struct event ev = {.kind = EV_JOURNAL_STATE, .value = failed};

    if (k->journal_failed != failed)
        emit(k, ev);
}

static int
fact(struct kernel *k, const struct input *in)
{
    uint32_t task = in->task == 0 ? NIL : task_of_id(k, in->task);

    if (task != NIL)
        k->task_memo = task;
    if (!fact_memory(k, in, task))
        return -ASUP_ENOMEM;
    switch (in->kind) {
    case IN_CONFIG:
        config_change(k, in->u.config);
        break;
    case IN_SESSION_ATTACHED:
    case IN_SESSION_LOST:
        session_fact(k, in);
        break;
    case IN_WAIT_DROPPED:
        wait_dropped(k, in->token);
        break;
    case IN_REGION_SWEPT:
        region_swept(k, in);
        break;
    case IN_JOURNAL_STATE:
        journal_state(k, in->u.journal.failed);
        break;
    case IN_RESUMED:
        resumed(k, in);
        break;
    case IN_TASK_LOST:
        if (task != NIL && k->recovering)
            task_lost(k, task);
        break;
    default:
        if (task != NIL)
            task_fact(k, in, task);
        break;
    }
    work_run(k);
    return 0;
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static bool
timer_memory(struct kernel *k, const struct timer *timer)
{
    struct need need = {.reasons = 2};

    if (timer->sort == TIMER_REGION) {
        need_subtree(k, timer->record, &need);
        need_ledger(k, timer->record, &need);
    } else if (timer->sort == TIMER_TASK) {
        need_follow(k, task_at(k, timer->record)->region, &need);
    } else if (timer->sort == TIMER_SAGA) {
        need.sagas++;
    } else if (timer->sort == TIMER_OBLIGATION) {
        need_obligation(k, timer->record, &need);
    } else if (timer->sort == TIMER_WORKER) {
        worker_need(k, timer->record, &need);
    } else if (timer->sort == TIMER_SESSION) {
        const struct asup_ref session = {.id = session_at(k, timer->record)->id,
                                         .sort = ASUP_SORT_SESSION};

        need_holder(k, session, &need);
        need.sagas += saga_driven(k, session);
        worker_session_need(k, session.id, &need);
        for (uint32_t at = session_at(k, timer->record)->attach_first; at != NIL;
             at = region_at(k, at)->attach_next) {
            need_subtree(k, at, &need);
            need.reasons++;
        }
    }
    return reserve(k, &need);
}

static bool
timers_fire(struct kernel *k)
{
    while (timers_next(&k->timers) <= k->now) {
        struct timer due = k->timers.items[0];
        size_t before = k->event_count;

        if (!timer_memory(k, &due))
            return false;
        if (due.sort == TIMER_REGION)
            region_fire(k, due.record);
        else if (due.sort == TIMER_TASK)
            task_fire(k, due.record);
        else if (due.sort == TIMER_SAGA)
            saga_fire(k, due.record);
        else if (due.sort == TIMER_KEY)
            key_fire(k, due.record);
        else if (due.sort == TIMER_OBLIGATION)
            obligation_fire(k, due.record);
        else if (due.sort == TIMER_HOLDER)
            holder_fire(k, due.record);
        else if (due.sort == TIMER_WORKER)
            worker_fire(k, due.record);
        else
            session_fire(k, due.record);
        work_run(k);
        must(k->event_count > before); /* or it would fire for ever */
    }
    wait_fire(k);
    return true;
}

/* ---- The step ----------------------------------------------------------------------------------
 */

static int
input_take(struct kernel *k, const struct input *in)
{
    const struct need base = {0};
    bool is_request = in->kind >= IN_SESSION_OPEN && in->kind <= IN_BATCH;
    bool memory = buffers_reserve(k, &base) && saga_reserve(k);
    int rc = 0;

    if (memory && !k->recovering) {
        retention_fire(k);
        dead_fire(k);
        memory = timers_fire(k);
        if (memory && channels_waiting(k))
            work_run(k); /* what the step before left */
    }
    if (!memory) {
        struct refusal why = {0};

        rc = REFUSE(&why, ASUP_ENOMEM, "no memory for a step");
        if (is_request)
            reply(k, in, &why, (struct asup_ref){0});
    } else if (is_request) {
        rc = request(k, in);
    } else if (in->kind != IN_TICK) {
        rc = fact(k, in);
    }
    if (memory && !k->recovering) {
        dispatch(k);
        saga_stuck_tell(k);
    }
    return rc;
}

#if ASUP_DEBUG
static uint64_t
things(const struct kernel *k)
{
    return (uint64_t)arena_live(&k->tasks) + arena_live(&k->regions) + arena_live(&k->waits) +
           arena_live(&k->obligations.records) + arena_live(&k->channels.records) +
           arena_live(&k->channels.messages);
}
#endif

int
kernel_step(struct kernel *k, const struct input *in, struct step *out)
{
    int rc;

    buffers_calm(k);
    reason_sweep(k);
    k->event_count = 0;
    k->effect_count = 0;
    k->steps++;
    if (k->now < in->now)
        k->now = in->now;
    k->stepping = true;
    channels_step(k);
    rc = input_take(k, in);
    k->stepping = false;
    *out = (struct step){.events = k->events,
                         .event_count = k->event_count,
                         .effects = k->effects,
                         .effect_count = k->effect_count};
#if ASUP_DEBUG
    /* Checking takes time in proportion to what there is; spread it so that a
     * large kernel stays usable. */
    if (!k->recovering && k->steps % (1 + things(k) / 256) == 0)
        must(kernel_check(k) == NULL);
#endif
    return rc;
}

asup_time
kernel_next_deadline(const struct kernel *k)
{
    asup_time at = min_u64(timers_next(&k->timers), timers_next(&k->wait_timers));

    if (k->recovering)
        return ASUP_NEVER;
    at = min_u64(at, min_u64(retention_next(k), dead_next(k)));
    at = min_u64(at, saga_retention_next(k));
    return dispatch_waiting(k) || channels_waiting(k) ? min_u64(at, k->now) : at;
}
