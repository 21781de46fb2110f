/* SPDX-License-Identifier: MIT */
/*
 * Sagas (§5): what follows by itself. A saga is undone when a step fails, when
 * it is aborted, when its driver ends while its region finishes, and when its
 * turn on the stack of a region that closes has come (R-SAG-2):
 *
 *     Running --> Compensating --> Compensated
 *                   ^      |
 *            retry, |      v  no attempt is left (R-SAG-4)
 *          resolve  NeedsAttention
 *
 * Steps are undone last first, one at a time, each by tasks that are masked
 * from cancellation, until one of them succeeds. One that began while its
 * region was open goes on through its close; what stands on the stack of a
 * region that is finalizing begins after it.
 */
#include "core/decide.h"

struct event
event_of_saga(enum event_kind kind, struct kernel *k, uint32_t saga)
{
    const struct saga *s = saga_at(k, saga);

    return (struct event){
        .kind = kind,
        .uid = s->uid,
        .region = s->region_id,
        .subject = s->id,
        .holder = {.id = s->driver_id, .sort = (enum asup_sort)s->driver_sort},
    };
}

struct event
event_of_step(enum event_kind kind, struct kernel *k, uint32_t step)
{
    const struct step_record *p = step_at(k, step);
    struct event ev = event_of_saga(kind, k, p->saga);

    ev.value = p->number;
    ev.text = heap_get(&k->heap, p->name);
    return ev;
}

bool
saga_region_cancelled(const struct kernel *k, const struct saga *s)
{
    return (region_at(k, s->region)->flags & REGION_CANCELLED) != 0;
}

/* ---- The queue of what may move on ------------------------------------------------------- */

void
work_saga(struct kernel *k, uint32_t i)
{
    struct saga *s = saga_at(k, i);

    if (s->work_queued)
        return;
    s->work_queued = true;
    s->work_next = NIL;
    if (k->saga.work_last != NIL)
        saga_at(k, k->saga.work_last)->work_next = i;
    else
        k->saga.work_first = i;
    k->saga.work_last = i;
}

bool
saga_work_run(struct kernel *k)
{
    uint32_t i = k->saga.work_first;
    struct saga *s;

    if (i == NIL)
        return false;
    s = saga_at(k, i);
    k->saga.work_first = s->work_next;
    if (k->saga.work_first == NIL)
        k->saga.work_last = NIL;
    s->work_queued = false;
    saga_advance(k, i);
    return true;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

void
saga_end(struct kernel *k, uint32_t i, enum saga_state how)
{
    uint32_t region = saga_at(k, i)->region;
    struct event ev = event_of_saga(EV_SAGA_ENDED, k, i);

    ev.value = (uint64_t)how;
    ev.text = heap_get(&k->heap, saga_at(k, i)->name);
    emit(k, ev);
    waits_saga(k, i);
    key_done(k, (struct asup_ref){.id = saga_at(k, i)->id, .sort = ASUP_SORT_SAGA});
    work_region(k, region);
}

/* ---- Beginning to undo ----------------------------------------------------------------------- */

void
saga_compensate(struct kernel *k, uint32_t i, struct bytes message)
{
    struct event ev = event_of_saga(EV_SAGA_COMPENSATING, k, i);

    ev.text = message;
    emit(k, ev);
    work_saga(k, i);
}

/* The action that is under way is cancelled first: nothing is undone before
 * what it did is known. */
void
saga_abort(struct kernel *k, uint32_t i, struct bytes message)
{
    uint32_t last = saga_at(k, i)->step_last;
    const char *preset = "the saga was aborted";
    struct cancel c = {
        .kind = ASUP_CANCEL_USER,
        .origin_sort = ASUP_SORT_TASK,
        .message = message.size > 0 ? message : (struct bytes){preset, strlen(preset)},
        .drain_ns = ASUP_NEVER,
        .end_most = ASUP_NEVER,
    };

    if (saga_region_cancelled(k, saga_at(k, i)))
        return; /* its turn on the stack comes */
    saga_compensate(k, i, c.message);
    if (last == NIL || step_at(k, last)->state != STEP_RUNNING || step_at(k, last)->action == 0)
        return;
    c.origin = step_at(k, last)->action;
    cancel_task(k, task_of_id(k, c.origin), &c);
}

/* Whether the saga's driver can still speak for it. */
static bool
driver_lives(const struct kernel *k, const struct saga *s)
{
    uint32_t i;

    if (s->driver_sort == ASUP_SORT_SESSION)
        return session_of_id(k, s->driver_id) != NIL;
    i = task_of_id(k, s->driver_id);
    return i != NIL && task_live(task_at(k, i));
}

static void
driver_gone(struct kernel *k, uint32_t i)
{
    const struct saga *s = saga_at(k, i);
    const char *message = "its driver ended";

    if (s->state == SAGA_RUNNING && region_at(k, s->region)->state == ASUP_REGION_DRAINING)
        saga_abort(k, i, (struct bytes){message, strlen(message)});
}

void
saga_driver_ended(struct kernel *k, struct asup_ref driver)
{
    uint32_t next;

    for (uint32_t i = saga_driven_first(k, driver); i != NIL; i = next) {
        next = saga_at(k, i)->driver_next;
        driver_gone(k, i);
    }
}

uint64_t
saga_driven(const struct kernel *k, struct asup_ref driver)
{
    uint64_t count = 0;

    for (uint32_t i = saga_driven_first(k, driver); i != NIL; i = saga_at(k, i)->driver_next)
        count++;
    return count;
}

/* A finish began: sagas without a driver will never be completed. */
void
sagas_finish(struct kernel *k, uint32_t region)
{
    uint32_t below;

    for (uint32_t link = region_at(k, region)->stack_top; link != NIL; link = below) {
        below = stack_below(k, link);
        if (stack_is_saga(link) && !driver_lives(k, saga_at(k, link >> 1)))
            driver_gone(k, link >> 1);
    }
}

/* ---- Undoing ------------------------------------------------------------------------------------
 */

/* A finalizer of the stack that has begun ends first: one thing at a time. */
static bool
stack_busy(const struct kernel *k, const struct saga *s)
{
    uint32_t top = region_at(k, s->region)->stack_top;

    return region_at(k, s->region)->state == ASUP_REGION_FINALIZING && !stack_is_saga(top) &&
           (task_at(k, top >> 1)->flags & TASK_BEGUN) != 0;
}

static void
attempt(struct kernel *k, uint32_t step)
{
    struct event ev = event_of_step(EV_SAGA_STEP_UNDOING, k, step);

    ev.task = k->task_id_next;
    ev.call = step_at(k, step)->service != NIL;
    emit(k, ev);
}

static void
saga_undo(struct kernel *k, uint32_t i)
{
    const struct saga *s = saga_at(k, i);
    const struct step_record *p;
    uint32_t undo;

    if (s->step_at == NIL) {
        saga_end(k, i, SAGA_COMPENSATED);
        return;
    }
    p = step_at(k, s->step_at);
    if (p->state == STEP_RUNNING && p->action != 0)
        return; /* until it is known how it ended */
    if (p->state == STEP_COMPENSATING) {
        undo = task_of_id(k, p->undo);
        if (undo != NIL && task_live(task_at(k, undo)))
            return;
        if (p->next_at != ASUP_NEVER && p->next_at > k->now)
            return;
    }
    if (!stack_busy(k, s))
        attempt(k, s->step_at);
}

void
saga_advance(struct kernel *k, uint32_t i)
{
    const struct saga *s = saga_at(k, i);
    const char *message = "a step failed";

    if (s->state == SAGA_RUNNING && !saga_region_cancelled(k, s) && s->step_last != NIL &&
        step_at(k, s->step_last)->state == STEP_FAILED)
        saga_compensate(k, i, (struct bytes){message, strlen(message)});
    if (s->state == SAGA_COMPENSATING)
        saga_undo(k, i);
}

void
saga_fire(struct kernel *k, uint32_t i)
{
    saga_undo(k, i);
}

/* ---- What its tasks do
 * --------------------------------------------------------------------------- */

void
saga_action_ended(struct kernel *k, uint32_t task, const struct kernel_outcome *o)
{
    uint32_t step = index_find(&k->saga.actions, task_at(k, task)->id);
    struct event ev;

    if (step == NIL || step_at(k, step)->state != STEP_RUNNING)
        return;
    ev = event_of_step(o->key.severity == ASUP_OK ? EV_SAGA_STEP_DONE : EV_SAGA_STEP_FAILED, k,
                       step);
    ev.task = task_at(k, task)->id;
    ev.outcome = o;
    emit(k, ev);
    work_saga(k, step_at(k, step)->saga);
}

void
saga_undo_ended(struct kernel *k, uint32_t task, const struct kernel_outcome *o)
{
    uint32_t step = index_find(&k->saga.undos, task_at(k, task)->id);
    const struct step_record *p;
    struct event ev;

    must(step != NIL);
    p = step_at(k, step);
    work_saga(k, p->saga);
    if (o->key.severity != ASUP_OK && p->attempts_left > 0)
        return;
    ev = event_of_step(o->key.severity == ASUP_OK ? EV_SAGA_STEP_UNDONE : EV_SAGA_NEEDS_ATTENTION,
                       k, step);
    ev.task = task_at(k, task)->id;
    ev.outcome = o;
    emit(k, ev);
    if (ev.kind == EV_SAGA_NEEDS_ATTENTION)
        waits_saga(k, p->saga);
    work_region(k, region_of_id(k, ev.region));
}

struct bytes
task_spec(const struct kernel *k, const struct task *t)
{
    bool borrowed = (t->flags & TASK_UNDO) != 0 && task_live(t); /* else it is a call's result */
    uint32_t step = borrowed ? index_find(&k->saga.undos, t->id) : NIL;

    return heap_get(&k->heap, step != NIL ? step_at(k, step)->spec : t->spec);
}

struct bytes
task_label(const struct kernel *k, const struct task *t)
{
    uint32_t step = (t->flags & TASK_UNDO) != 0 ? index_find(&k->saga.undos, t->id) : NIL;

    return heap_get(&k->heap, step != NIL ? step_at(k, step)->label : t->label);
}

/* ---- The stack of a region that is finalizing
 * ------------------------------------------------------ */

/* True: something of its sagas is under way, or waits for an operator. */
bool
sagas_finalize(struct kernel *k, uint32_t region)
{
    const struct region *r = region_at(k, region);
    uint32_t top = r->stack_top;

    if (r->sagas_undoing > 0) {
        for (uint32_t link = top; link != NIL; link = stack_below(k, link)) {
            if (stack_is_saga(link) && saga_at(k, link >> 1)->state == SAGA_COMPENSATING)
                work_saga(k, link >> 1);
        }
        return true;
    }
    if (top == NIL || !stack_is_saga(top))
        return false;
    if (saga_at(k, top >> 1)->state == SAGA_RUNNING) {
        const char *message = "its region closes";

        saga_compensate(k, top >> 1, (struct bytes){message, strlen(message)});
    }
    return true;
}

/* ---- Shutdown (R-SAG-4)
 * ------------------------------------------------------------------------------ */

/* Whether a region waits for an operator and for nothing else, or for such. */
static bool
region_stuck(const struct kernel *k, const struct region *r)
{
    if (r->children_live > 0)
        return r->state == ASUP_REGION_DRAINING;
    return r->state == ASUP_REGION_FINALIZING && r->stack_top != NIL &&
           stack_is_saga(r->stack_top) &&
           saga_at(k, r->stack_top >> 1)->state == SAGA_NEEDS_ATTENTION;
}

/* Under Shutdown nothing waits for an operator: when all that is left does, the
 * shell is told, once. */
void
saga_stuck_tell(struct kernel *k)
{
    const struct reason *reason = reason_find(k, region_at(k, k->root)->reason);

    if (k->saga.attention == 0 || k->saga.undoing > 0) {
        k->saga.stuck_told = false;
        return;
    }
    if (k->saga.stuck_told || reason == NULL || reason->kind != ASUP_CANCEL_SHUTDOWN ||
        k->starting > 0)
        return;
    for (unsigned s = ASUP_TASK_RUNNING; s < ASUP_TASK_COMPLETED; s++) {
        if (k->tasks_in[s] > 0)
            return;
    }
    for (uint32_t at = k->root; at != NIL; at = region_walk(k, k->root, at)) {
        if (!region_stuck(k, region_at(k, at)))
            return;
    }
    k->saga.stuck_told = true;
    (void)effect_add(k, FX_QUIESCENT);
}

/* ---- Memory, retention
 * --------------------------------------------------------------------------------- */

uint32_t
saga_timers(const struct kernel *k)
{
    return 2 * arena_live(&k->saga.sagas); /* its own, and that of its next attempt */
}

/* In every step each saga may begin an attempt. */
bool
saga_reserve(struct kernel *k)
{
    const struct kernel_allocator *a = &k->allocator;

    return k->saga.live == 0 || (arena_reserve(&k->tasks, a, k->saga.live) &&
                                 arena_reserve(&k->calls.calls, a, k->saga.live) &&
                                 index_reserve(&k->task_ids, a, k->saga.live) &&
                                 index_reserve(&k->saga.undos, a, k->saga.live) &&
                                 timers_reserve(&k->timers, a, admit_timers(k)));
}

asup_time
saga_retention_next(const struct kernel *k)
{
    if (k->saga.ended_first == NIL)
        return ASUP_NEVER;
    if (k->saga.ended_count > k->config.limits.retained)
        return k->now;
    return time_add(saga_at(k, k->saga.ended_first)->ended_at, k->config.retention_ns);
}

void
saga_retention_fire(struct kernel *k)
{
    for (unsigned most = RETENTION_MOST; most > 0 && saga_retention_next(k) <= k->now; most--)
        emit(k, event_of_saga(EV_SAGA_FORGOTTEN, k, k->saga.ended_first));
}
