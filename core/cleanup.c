/* SPDX-License-Identifier: MIT */
/*
 * Cancelling, finishing and shutting down: everything that flows down a tree
 * (R-REG-3, R-REG-5, R-REG-6, R-CAN-1, R-CAN-2).
 *
 * A cancel seals and marks the whole subtree in one step, so nothing admitted
 * meanwhile can escape it: a region, its tasks by id, then its child regions by
 * id, depth first. Signals are delivered later, through the cancel lane.
 *
 * One drain end T = request + allowance serves the subtree; a descendant's
 * smaller option brings its own forward. A soft region has no T of its own
 * unless the cancel is hard (a Shutdown, or an allowance that was asked for)
 * but passes T on to what lies below it. A part of the tree that gains nothing
 * from a request (no stronger reason, no earlier T) is not visited: all below
 * it has at least as much already.
 */
#include "core/decide.h"

enum { LEVELS = ASUP_DEPTH_MAX + 2 };

/* ---- P(r) ------------------------------------------------------------------------------ */

/* What a region and all below it amount to. */
struct cleanup {
    uint64_t ns; /* P(r) */
    bool soft;   /* something here may wait for ever */
    bool stuck;  /* something here waits for an operator (R-SAG-4) */
};

/* Walk the live subtree, children before their parent, and call `done` for
 * each region, when given. */
static struct cleanup
cleanup_walk(const struct kernel *k, uint32_t top,
             void (*done)(const struct kernel *, uint32_t, struct cleanup))
{
    struct cleanup below[LEVELS] = {{0}}; /* of the children seen so far */
    uint32_t base = region_at(k, top)->depth;
    uint32_t at = top;

    for (;;) {
        const struct region *r = region_at(k, at);
        uint32_t level;
        struct cleanup all;

        while (r->child_first != NIL) {
            at = r->child_first;
            r = region_at(k, at);
            below[r->depth - base] = (struct cleanup){0};
        }
        for (;;) {
            level = r->depth - base;
            all = below[level];
            all.ns = time_add(all.ns, r->finalizers_ns);
            all.soft |= (r->flags & (REGION_SOFT | REGION_HARD)) == REGION_SOFT;
            all.stuck |= r->sagas_attention > 0;
            if (done != NULL)
                done(k, at, all);
            if (at == top)
                return all;
            if (below[level - 1].ns < all.ns)
                below[level - 1].ns = all.ns;
            below[level - 1].soft |= all.soft;
            below[level - 1].stuck |= all.stuck;
            if (r->next != NIL)
                break;
            at = r->parent;
            r = region_at(k, at);
        }
        at = r->next;
        below[level] = (struct cleanup){0};
    }
}

uint64_t
cleanup_ns(const struct kernel *k, uint32_t region)
{
    return cleanup_walk(k, region, NULL).ns;
}

/* Notes for the cascade at hand; not state. */
static void
cascade_note(const struct kernel *k, uint32_t i, struct cleanup all)
{
    struct region *r = region_at(k, i);

    r->cascade_ns = all.ns;
    r->cascade_soft = all.soft;
    r->cascade_stuck = all.stuck;
}

/* ---- Allowances (R-CAN-2) ------------------------------------------------------------------ */

uint64_t
allowance_ns(const struct kernel *k, const struct region *r, uint8_t kind)
{
    uint64_t preset = k->config.allowance[0].drain_ns;

    /* More severe never gets more, whatever was configured. */
    for (unsigned tier = 1; tier <= asup_cancel_tier(kind); tier++)
        preset = min_u64(preset, k->config.allowance[tier].drain_ns);
    if (r->drain_ns == ASUP_NEVER)
        return preset;
    return kind == ASUP_CANCEL_SHUTDOWN ? min_u64(r->drain_ns, preset) : r->drain_ns;
}

static bool
cancel_is_hard(const struct cancel *c)
{
    return c->kind == ASUP_CANCEL_SHUTDOWN || c->drain_ns != ASUP_NEVER;
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

static void
cancel_task_with(struct kernel *k, uint32_t i, uint32_t handle, const struct reason_payload *p,
                 asup_time end, struct bytes message)
{
    const struct task *t = task_at(k, i);
    const struct reason *old = reason_find(k, t->reason);
    struct event ev;
    bool stronger;

    if (!task_live(t) || (t->flags & TASK_FINALIZER) != 0)
        return;
    stronger = old == NULL ||
               (old->handle != handle &&
                (p->key.kind != old->kind || p->key.origin != old->origin || p->key.at != old->at));
    if (stronger && old != NULL) {
        struct asup_reason_key key = reason_key(old);

        stronger = asup_reason_stronger(&p->key, &key);
    }
    if (!stronger && end >= t->drain_end && !p->limit_passed)
        return;
    ev = event_of_task(EV_TASK_CANCEL_REQUESTED, k, i);
    ev.value = min_u64(end, t->drain_end);
    ev.reason = stronger ? handle : t->reason;
    if (stronger)
        ev.text = message;
    if ((stronger && p->is_new) || p->limit_passed) {
        struct reason_payload own = *p;

        own.is_new = stronger && p->is_new;
        ev.payload = &own;
        ev.payload_size = sizeof own;
        emit(k, ev);
    } else {
        emit(k, ev);
    }
    if ((t->state == ASUP_TASK_CREATED && (t->flags & TASK_ORDERED) == 0) || t->kill_at <= k->now)
        work_task(k, i);
}

void
cancel_task(struct kernel *k, uint32_t i, const struct cancel *c)
{
    const struct task *t = task_at(k, i);
    const struct region *r = region_at(k, t->region);
    uint64_t allowed = allowance_ns(k, r, c->kind);
    asup_time end = time_add(k->now, min_u64(allowed, c->drain_ns));
    struct reason_payload p = {
        .key = {.kind = c->kind, .at = k->now, .origin = c->origin},
        .origin_sort = c->origin_sort,
        .is_new = true,
        .limit_passed = c->limit_passed,
    };

    if ((r->flags & REGION_SOFT) != 0 && (r->flags & REGION_HARD) == 0 && !cancel_is_hard(c))
        end = ASUP_NEVER;
    /* The region's T serves all of it; an own cancel never goes beyond. */
    cancel_task_with(k, i, reason_handle(k), &p, min_u64(end, r->drain_end),
                     scratch_text(k, c->message));
}

/* ---- Regions ----------------------------------------------------------------------------------
 */

struct cascade {
    const struct cancel *c;
    bool hard;
    struct bytes message;
    asup_time end[LEVELS]; /* T that flows on from each level */
    uint32_t base;         /* depth of the top */
};

/* The reason that reaches a region: the request's own at the top, below it
 * ParentCancelled, caused by the parent's. */
static struct reason_payload
incoming_reason(const struct kernel *k, const struct cascade *cs, uint32_t i, bool top)
{
    const struct region *r = region_at(k, i);
    const struct region *parent;

    if (top)
        return (struct reason_payload){
            .key = {.kind = cs->c->kind, .at = k->now, .origin = cs->c->origin},
            .origin_sort = cs->c->origin_sort,
            .is_new = true,
            .limit_passed = cs->c->limit_passed,
        };
    parent = region_at(k, r->parent);
    return (struct reason_payload){
        .key = {.kind = ASUP_CANCEL_PARENT_CANCELLED, .at = k->now, .origin = parent->id},
        .origin_sort = ASUP_SORT_REGION,
        .cause = parent->reason,
        .is_new = true,
    };
}

/* Cancel one region and its own tasks. False: nothing here gained. */
static bool
cascade_visit(struct kernel *k, struct cascade *cs, uint32_t i, bool top)
{
    const struct region *r = region_at(k, i);
    uint32_t level = r->depth - cs->base;
    struct cancel_payload p = {.reason = incoming_reason(k, cs, i, top), .hard = cs->hard};
    const struct reason *old = reason_find(k, r->reason);
    struct event ev = event_of_region(EV_REGION_CANCEL_REQUESTED, k, i);
    bool soft = (r->flags & REGION_SOFT) != 0 && (r->flags & REGION_HARD) == 0 && !cs->hard;
    asup_time pass = cs->end[top ? 0 : level - 1];
    asup_time end;
    bool gains;

    if (!top && r->drain_ns != ASUP_NEVER)
        pass = min_u64(pass, time_add(k->now, r->drain_ns));
    cs->end[level] = pass;
    /* Nothing left to cancel: its stack is masked. What it is owed needs a T. */
    if (r->state >= ASUP_REGION_FINALIZING && !region_owes(r) &&
        !(top && cs->c->kind == ASUP_CANCEL_SHUTDOWN))
        return false;
    end = soft ? ASUP_NEVER : pass;
    if (old != NULL) {
        struct asup_reason_key key = reason_key(old);

        p.reason.is_new = asup_reason_stronger(&p.reason.key, &key);
    }
    gains = p.reason.is_new || (r->flags & REGION_CANCELLED) == 0 || end < r->drain_end ||
            pass < r->drain_pass || p.reason.limit_passed || (top && cs->c->hurry) ||
            (cs->hard && (r->flags & REGION_HARD) == 0);
    if (PLANTED(CANCEL_PROPAGATES) && !top &&
        (r->flags & (REGION_SEALED | REGION_CANCELLED)) == REGION_SEALED)
        gains = false;
    if (!gains)
        return false;
    if ((r->flags & REGION_SEALED) == 0)
        emit(k, event_of_region(EV_REGION_SEALED, k, i));
    p.drain_pass = min_u64(pass, r->drain_pass);
    p.cleanup_ns = r->cascade_ns;
    p.hurry = top && cs->c->hurry;
    p.promised = !r->cascade_stuck && (cs->hard || !r->cascade_soft);
    ev.value = min_u64(end, r->drain_end);
    ev.reason = p.reason.is_new ? reason_handle(k) : r->reason;
    if (p.reason.is_new)
        ev.text = top ? cs->message : (struct bytes){"", 0};
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
    {
        const struct reason *own = reason_find(k, r->reason);
        struct reason_payload task_reason = {.key = reason_key(own),
                                             .origin_sort = own->origin_sort};
        struct bytes message = scratch_text(k, heap_get(&k->heap, own->message));

        for (uint32_t t = r->task_first; t != NIL; t = task_at(k, t)->next)
            cancel_task_with(k, t, r->reason, &task_reason, end, message);
    }
    if (r->state == ASUP_REGION_CLOSING)
        emit(k, event_of_region(EV_REGION_DRAINING, k, i));
    leases_sealed(k, i);
    channels_recheck(k, i);
    work_region(k, i);
    return true;
}

/* The next region of the walk, without going below `at`. */
static uint32_t
walk_past(const struct kernel *k, uint32_t top, uint32_t at)
{
    while (at != top) {
        const struct region *r = region_at(k, at);

        if (r->next != NIL)
            return r->next;
        at = r->parent;
    }
    return NIL;
}

void
cancel_region(struct kernel *k, uint32_t top, const struct cancel *c)
{
    const struct region *r = region_at(k, top);
    bool hard = cancel_is_hard(c);
    struct cascade cs = {.c = c, .hard = hard, .base = r->depth};
    uint32_t at = top;

    if (!region_live(r))
        return;
    cs.message = scratch_text(k, c->message);
    cs.end[0] = time_add(k->now, min_u64(allowance_ns(k, r, c->kind), c->drain_ns));
    cs.end[0] = min_u64(cs.end[0], c->end_most);
    (void)cleanup_walk(k, top, cascade_note);
    while (at != NIL) {
        if (cascade_visit(k, &cs, at, at == top))
            at = region_walk(k, top, at);
        else
            at = walk_past(k, top, at);
    }
}

void
finish_region(struct kernel *k, uint32_t top)
{
    uint32_t at = top;

    if (!region_live(region_at(k, top)))
        return;
    while (at != NIL) {
        if ((region_at(k, at)->flags & REGION_SEALED) != 0) {
            at = walk_past(k, top, at); /* sealed: so is all below it */
            continue;
        }
        emit(k, event_of_region(EV_REGION_SEALED, k, at));
        emit(k, event_of_region(EV_REGION_DRAINING, k, at));
        sagas_finish(k, at);
        leases_sealed(k, at);
        channels_recheck(k, at);
        work_region(k, at);
        at = region_walk(k, top, at);
    }
}

/* ---- Shutdown -----------------------------------------------------------------------------------
 */

int
shutdown_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    return authorize(k, &in->caller, k->root, ASUP_RIGHT_ADMIN, why);
}

static void
finalizer_hurry(struct kernel *k, uint32_t i)
{
    asup_time end = time_add(k->now, k->config.finalizer_hurry_ns);
    const struct task *t = i == NIL ? NULL : task_at(k, i);
    struct event ev;

    if (t == NULL || !task_live(t) ||
        (t->flags & (task_is_call(t) ? TASK_BEGUN : TASK_ORDERED)) == 0 ||
        (t->flags & TASK_ESCALATED) != 0 || t->kill_at <= end)
        return;
    ev = event_of_task(EV_TASK_EXTENDED, k, i);
    ev.value = end;
    emit(k, ev);
}

/* The finalizers and compensations that run now; later ones find the shorter
 * budget at their start. */
static void
finalizers_hurry(struct kernel *k)
{
    for (uint32_t at = k->root; at != NIL; at = region_walk(k, k->root, at)) {
        const struct region *r = region_at(k, at);
        uint32_t link = r->stack_top;

        if (link != NIL && !stack_is_saga(link))
            finalizer_hurry(k, link >> 1);
        for (; r->sagas_undoing > 0 && link != NIL; link = stack_below(k, link)) {
            const struct saga *s = stack_is_saga(link) ? saga_at(k, link >> 1) : NULL;

            if (s != NULL && s->step_at != NIL && step_at(k, s->step_at)->undo != 0)
                finalizer_hurry(k, task_of_id(k, step_at(k, s->step_at)->undo));
        }
    }
}

struct asup_ref
shutdown_begin(struct kernel *k, const struct input *in)
{
    const struct region *root = region_at(k, k->root);
    const struct reason *reason = reason_find(k, root->reason);
    bool second = reason != NULL && reason->kind == ASUP_CANCEL_SHUTDOWN;
    const char *message = "the daemon is shutting down";
    struct cancel c = {
        .kind = ASUP_CANCEL_SHUTDOWN,
        .origin_sort = ASUP_SORT_REGION,
        .origin = root->id,
        .message = {message, strlen(message)},
        .drain_ns = ASUP_NEVER,
        .end_most = second ? k->now : ASUP_NEVER,
        .hurry = second,
    };

    if (region_live(root) && in->u.shutdown.within_ns != ASUP_NEVER) {
        asup_time limit = time_add(k->now, in->u.shutdown.within_ns);
        uint64_t p = cleanup_ns(k, k->root);
        asup_time latest = limit > p ? limit - p : 0;

        if (limit < time_add(k->now, p)) {
            struct event ev = event_of_region(EV_REGION_OVERCOMMITTED, k, k->root);

            ev.value = p;
            emit(k, ev);
        }
        c.end_most = min_u64(c.end_most, latest > k->now ? latest : k->now);
    }
    cancel_region(k, k->root, &c);
    if (second && region_live(root))
        finalizers_hurry(k);
    return (struct asup_ref){.id = root->id, .sort = ASUP_SORT_REGION};
}
