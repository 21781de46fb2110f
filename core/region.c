/* SPDX-License-Identifier: MIT */
/*
 * Regions: opening, the request to end, their timers, and how one moves on.
 *
 *     Open -> Closing -> Draining -> Finalizing -> Closed
 *
 * Closing lasts while the cancel is being handed out, within one step. A region
 * drains until nothing of it lives, then runs its stack, then has its cgroup
 * and work directory swept, and only then is Closed (R-REG-3, R-REG-4).
 */
#include "core/decide.h"

uint32_t
region_lookup(const struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = in->region == 0 ? NIL : region_of_id(k, in->region);

    if (i == NIL)
        (void)REFUSE(why, ASUP_ENOTFOUND, "there is no such region");
    return i;
}

/* ---- Opening ----------------------------------------------------------------------- */

static int
params_check(const struct kernel *k, const struct input *in, struct refusal *why)
{
    const struct region_params *p = &in->u.region_open;

    if (p->policy >= ASUP_POLICY_COUNT)
        return REFUSE(why, ASUP_EINVALID, "there is no such policy");
    if (p->policy == ASUP_POLICY_QUORUM && p->quorum == 0)
        return REFUSE(why, ASUP_EINVALID, "a quorum needs at least 1");
    if (p->policy != ASUP_POLICY_QUORUM && p->quorum != 0)
        return REFUSE(why, ASUP_EINVALID, "only the policy quorum takes a number");
    if (p->attach && (in->caller.session == 0 || session_of_id(k, in->caller.session) == NIL))
        return REFUSE(why, ASUP_EINVALID, "attaching a region takes a session");
    if (p->finalizer_count > 0 && p->finalizers == NULL)
        return REFUSE(why, ASUP_EINVALID, "the finalizers are missing");
    if (p->finalizer_count > k->config.limits.finalizers_per_region) {
        why->limit = "finalizers-per-region";
        why->detail = "more finalizers than a region may have";
        return why->code = -ASUP_EBUSY;
    }
    for (uint32_t i = 0; i < p->finalizer_count; i++) {
        if (task_params_check(k, &in->caller, &p->finalizers[i], true, why) != 0)
            return why->code;
    }
    return budget_check(k, &p->budget, why);
}

static size_t
finalizer_bytes(const struct region_params *p)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < p->finalizer_count; i++)
        bytes += p->finalizers[i].spec.size + p->finalizers[i].label.size;
    return bytes;
}

int
region_open_check(struct kernel *k, const struct input *in, const struct admission *adm,
                  struct refusal *why)
{
    const struct region_params *p = &in->u.region_open;
    struct admission with = *adm;
    uint32_t i = region_lookup(k, in, why);
    const struct region *parent;

    if (i == NIL)
        return why->code;
    parent = region_at(k, i);
    if (authorize_open(k, &in->caller, i, ASUP_RIGHT_SPAWN, why) != 0)
        return why->code;
    if (params_check(k, in, why) != 0)
        return why->code;
    if (p->is_durable && (p->is_volatile || (parent->flags & REGION_VOLATILE) != 0))
        return REFUSE(why, ASUP_EINVALID, "below a volatile region nothing is durable");
    if (parent->state != ASUP_REGION_OPEN)
        return REFUSE(why, ASUP_ECLOSED,
                      region_live(parent) ? "the region is draining and admits nothing new"
                                          : "the region is closed");
    if (name_check(k, i, in->caller.uid, p->name, why) != 0)
        return why->code;
    if (limit_regions(k, i, in->caller.uid, p->name.size + finalizer_bytes(p), &with, why) != 0)
        return why->code;
    with.regions++;
    for (uint32_t f = 0; f < p->finalizer_count; f++) {
        if (limit_tasks(k, NIL, in->caller.uid, true, 0, &with, why) != 0)
            return why->code;
        with.tasks++;
    }
    return 0;
}

size_t
id_text(char letter, uint64_t id, char out[24])
{
    char digits[24];
    size_t count = 0;
    size_t size = 0;

    do {
        digits[count++] = (char)('0' + id % 10);
        id /= 10;
    } while (id > 0);
    out[size++] = letter;
    while (count > 0)
        out[size++] = digits[--count];
    return size;
}

struct asup_ref
region_open(struct kernel *k, const struct input *in)
{
    const struct region_params *p = &in->u.region_open;
    struct region_payload payload = {
        .budget = caller_budget(k, &in->caller, &p->budget, k->now),
        .drain_ns = p->drain_ns,
        .quorum = p->quorum,
        .tasks_max = p->tasks_max,
        .children_max = p->children_max,
        .policy = p->policy,
        .soft = p->soft,
        .strict = p->strict,
        .is_volatile = p->is_volatile,
    };
    uint64_t id = k->region_id_next;
    char own_name[24];
    struct event ev = {
        .kind = EV_REGION_OPENED,
        .uid = in->caller.uid,
        .region = id,
        .value = in->region,
        .session = p->attach ? in->caller.session : 0,
        .text = p->name,
        .payload = &payload,
        .payload_size = sizeof payload,
    };

    if (p->name.size == 0)
        ev.text = (struct bytes){own_name, id_text('r', id, own_name)};
    emit(k, ev);
    for (uint32_t i = 0; i < p->finalizer_count; i++)
        finalizer_register(k, region_of_id(k, id), &in->caller, &p->finalizers[i]);
    return (struct asup_ref){.id = id, .sort = ASUP_SORT_REGION};
}

/* ---- The request to end -------------------------------------------------------------- */

int
region_end_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = region_lookup(k, in, why);

    if (i == NIL)
        return why->code;
    if (in->u.end.mode > ASUP_END_CANCEL)
        return REFUSE(why, ASUP_EINVALID, "a region is ended by close, finish or cancel");
    if (authorize_end(k, &in->caller, i,
                      in->u.end.mode == ASUP_END_CANCEL ? ASUP_RIGHT_CANCEL : ASUP_RIGHT_CLOSE,
                      why) != 0)
        return why->code;
    if (in->u.end.message.size > ASUP_MESSAGE_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the message is too long");
    return 0;
}

struct asup_ref
region_end(struct kernel *k, const struct input *in)
{
    uint32_t i = region_of_id(k, in->region);
    struct cancel c = {
        .kind = ASUP_CANCEL_USER,
        .origin_sort = ASUP_SORT_REGION,
        .origin = in->region,
        .message = in->u.end.message,
        .drain_ns = in->u.end.drain_ns,
        .end_most = ASUP_NEVER,
    };

    if (in->u.end.mode == ASUP_END_CLOSE && c.message.size == 0)
        c.message = (struct bytes){"close", 5};
    if (in->u.end.mode == ASUP_END_FINISH)
        finish_region(k, i);
    else
        cancel_region(k, i, &c);
    return (struct asup_ref){.id = in->region, .sort = ASUP_SORT_REGION};
}

/* ---- Timers ---------------------------------------------------------------------------- */

void
sweep_again(struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);
    struct effect *fx = effect_add(k, FX_SWEEP);

    fx->region = r->id;
    fx->uid = r->uid;
    if ((r->flags & REGION_VOLATILE) != 0)
        fx->after = 0;
}

static void
sweep_order(struct kernel *k, uint32_t i)
{
    emit(k, event_of_region(EV_REGION_SWEEP_ORDERED, k, i));
    sweep_again(k, i);
}

static void
limit_passed(struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);
    bool absolute = r->limit_kind == ASUP_CANCEL_DEADLINE;
    const char *message = absolute ? "its deadline passed" : "its time limit passed";
    struct cancel c = {
        .kind = r->limit_kind,
        .origin_sort = ASUP_SORT_REGION,
        .origin = r->id,
        .message = {message, strlen(message)},
        .drain_ns = ASUP_NEVER,
        .end_most = ASUP_NEVER,
        .limit_passed = true,
    };

    cancel_region(k, i, &c);
}

void
region_fire(struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);
    asup_time report_at = time_add(r->close_by, k->config.kill_grace_ns);

    if (r->state < ASUP_REGION_FINALIZING && (r->flags & REGION_LIMIT_FIRED) == 0 &&
        r->limit_at <= k->now && !(PLANTED(DEADLINE_MONOTONE) && r->children_live > 0))
        limit_passed(k, i);
    if (r->delegated > 0 && r->drain_end <= k->now) {
        for (uint32_t t = r->task_first; t != NIL; t = task_at(k, t)->next)
            work_task(k, t);
    }
    if (region_owes(r) && (r->flags & REGION_DRAIN_ENDED) == 0 && r->drain_end <= k->now)
        obligations_drain_ended(k, i);
    if (report_at <= k->now && (r->flags & REGION_CLOSE_TIMEOUT) == 0)
        emit(k, event_of_region(EV_REGION_CLOSE_TIMEOUT, k, i));
    if (r->sweep_at <= k->now)
        sweep_order(k, i);
}

/* ---- Moving on ---------------------------------------------------------------------------- */

/* A durable outcome of a volatile region names reasons that no durable event made, or
 * that nothing durable holds any more: they are told before, a cause before what it
 * caused. Who knows them still loses nothing by it. */
static void
reasons_tell(struct kernel *k, uint32_t i, uint32_t handle)
{
    const struct reason *told = NULL;
    const struct reason *root = reason_root(k, handle);

    while (told == NULL || told->handle != handle) {
        const struct reason *next = reason_find(k, handle);
        struct event ev = event_of_region(EV_REASON_MADE, k, i);
        struct reason_payload p;

        if (next == NULL)
            return;
        while (next != root && (told == NULL || next->cause != told->handle))
            next = reason_find(k, next->cause);
        memset(&p, 0, sizeof p);
        p.key = reason_key(next);
        p.cause = next->cause;
        p.origin_sort = next->origin_sort;
        p.is_new = true;
        ev.reason = (uint32_t)next->handle;
        ev.text = heap_get(&k->heap, next->message);
        ev.payload = &p;
        ev.payload_size = sizeof p;
        emit(k, ev);
        told = next;
    }
}

static void
region_close(struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);
    struct kernel_outcome o = policy_outcome(k, r);
    struct event ev = event_of_region(EV_REGION_CLOSED, k, i);
    uint32_t parent = r->parent;
    struct closed_payload p = {
        .parent = r->parent_id,
        .session = r->session == NIL ? 0 : session_at(k, r->session)->id,
    };

    leases_sealed(k, i);
    if ((r->flags & REGION_VOLATILE_TOP) != 0)
        reasons_tell(k, i, o.reason);
    workers_region_closed(k, i);
    ev.outcome = &o;
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
    waits_region(k, i);
    capabilities_die(k, i);
    if ((r->flags & REGION_KEYED) != 0)
        key_done(k, (struct asup_ref){.id = r->id, .sort = ASUP_SORT_REGION});
    if (parent == NIL) {
        (void)effect_add(k, FX_QUIESCENT);
        return;
    }
    policy_ended(k, parent, ASUP_SORT_REGION, r->id, &r->acc, true);
    work_region(k, parent);
}

#ifdef ASUP_PLANTED
static uint32_t
finalizer_lowest(const struct kernel *k, uint32_t top)
{
    uint32_t lowest = top >> 1;

    for (uint32_t link = top; link != NIL; link = stack_below(k, link)) {
        if (!stack_is_saga(link))
            lowest = link >> 1;
    }
    return lowest;
}
#endif

/* The stack, last in first out, one at a time (R-FIN-1); then, with an empty
 * ledger, the sweep. */
static void
region_finalize(struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);

    if (sagas_finalize(k, i))
        return;
    if (r->stack_top != NIL) {
        uint32_t top = r->stack_top >> 1;

#ifdef ASUP_PLANTED
        if (PLANTED(FINALIZERS))
            top = finalizer_lowest(k, r->stack_top);
#endif
        if ((task_at(k, top)->flags & TASK_BEGUN) == 0)
            emit(k, event_of_task(EV_FINALIZER_BEGUN, k, top));
        return;
    }
    if (region_owes(r))
        return; /* R-OBL-5 */
    if (!channels_close(k, i))
        return; /* it goes on with the next step */
    if ((r->flags & REGION_USED) == 0) {
        region_close(k, i);
        return;
    }
    if ((r->flags & REGION_SWEEP_PENDING) == 0 && r->sweep_at == ASUP_NEVER)
        sweep_order(k, i);
}

void
region_advance(struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);

    if (r->state == ASUP_REGION_DRAINING) {
        policy_sealed(k, i);
        if (r->tasks_live > 0 || r->children_live > 0)
            return;
        if (r->sagas_running > 0 && (r->flags & REGION_CANCELLED) == 0)
            return; /* finishing: until they are completed or aborted (R-SAG-2) */
        emit(k, event_of_region(EV_REGION_FINALIZING, k, i));
    }
    if (r->state == ASUP_REGION_FINALIZING)
        region_finalize(k, i);
}

void
region_swept(struct kernel *k, const struct input *in)
{
    uint32_t i = region_of_id(k, in->region);
    struct event ev;

    if (i == NIL || !region_live(region_at(k, i)) ||
        (region_at(k, i)->flags & REGION_SWEEP_PENDING) == 0)
        return;
    if (in->u.swept.error == 0 || PLANTED(QUIESCENCE)) {
        region_close(k, i);
    } else {
        ev = event_of_region(EV_REGION_SWEEP_FAILED, k, i);
        ev.value = (uint64_t)(uint32_t)in->u.swept.error;
        emit(k, ev);
    }
}
