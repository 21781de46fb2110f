/* SPDX-License-Identifier: MIT */
/*
 * The stack of a region.
 *
 *   finalizers   begun last in first out, one at a time, when the region has
 *                drained; each done once, whatever happens (R-FIN-1, R-REG-3)
 *   saga-order   compensations recorded before their actions (R-SAG-1), run in
 *                reverse order, one at a time, when it is known how the action
 *                ended, each done at most once (R-SAG-2, R-SAG-3), none skipped
 *                (R-SAG-4)
 */
#include <stdlib.h>

#include "lab/oracle_internal.h"

struct seen_step {
    uint8_t state; /* enum step_state */
    uint64_t action, undo;
    uint32_t attempts, attempts_most; /* in this round; 0: not known */
};

struct seen_saga {
    uint64_t id, region;
    uint8_t state; /* enum saga_state */
    uint32_t step_count, step_capacity;
    struct seen_step *steps;
};

static void
saga(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_SAGA_ORDER);
    if (!fine)
        complain(o, ASUP_ORACLE_SAGA_ORDER, ev, "%s", promise);
}

static struct seen_step *
step_add(struct seen_saga *g)
{
    if (g->step_count == g->step_capacity) {
        g->step_capacity = 2 * g->step_capacity + 4;
        g->steps = oracle_memory(g->steps, g->step_capacity * sizeof g->steps[0]);
    }
    g->steps[g->step_count] = (struct seen_step){.state = STEP_RUNNING};
    return &g->steps[g->step_count++];
}

static bool
step_open(const struct seen_step *p)
{
    return p->state != STEP_COMPENSATED && p->state != STEP_RESOLVED;
}

/* Its action is a task that is under way. */
static bool
step_busy(const struct seen_step *p)
{
    return p->state == STEP_RUNNING && p->action != 0;
}

/* The step that an event is about, by its number. */
static struct seen_step *
step_of(struct seen_saga *g, const struct event *ev)
{
    return ev->value == 0 || ev->value > g->step_count ? NULL : &g->steps[ev->value - 1];
}

static void
saga_drop(struct oracles *o, struct seen_saga *g)
{
    free(g->steps);
    idmap_drop(&o->sagas, g->id);
}

/* ---- Steps -------------------------------------------------------------------------- */

static void
step_begun(struct oracles *o, const struct judged_step *s, const struct event *ev,
           struct seen_saga *g)
{
    struct saga_step_view v;
    struct seen_step *p;

    saga(o, ev, g->state == SAGA_RUNNING, "R-SAG-1: steps are added while the saga runs");
    saga(o, ev, ev->value == g->step_count + 1, "R-SAG-1: the steps of a saga are an ordered list");
    saga(o, ev, g->step_count == 0 || !step_busy(&g->steps[g->step_count - 1]),
         "R-SAG-1: a step begins when the one before it has ended");
    saga(o, ev, ev->task == 0 || ev->task > o->model.task_last,
         "R-SAG-1: the compensation is recorded before the action exists");
    p = step_add(g);
    p->action = ev->task;
    if (kernel_saga_step(s->k, g->id, (uint32_t)ev->value, &v))
        p->attempts_most = v.attempts_most;
}

static void
step_ended(struct oracles *o, const struct event *ev, struct seen_saga *g)
{
    struct seen_step *p = step_of(g, ev);
    bool done = ev->kind == EV_SAGA_STEP_DONE;

    saga(o, ev, p != NULL && p->state == STEP_RUNNING && ev->value == g->step_count,
         "R-SAG-2: a step ends once, while it runs");
    if (p == NULL)
        return;
    if (ev->outcome != NULL)
        saga(o, ev, done == (ev->outcome->key.severity == ASUP_OK),
             "R-SAG-3: a step is done when its action ended Ok, and failed else");
    p->state = done ? STEP_DONE : STEP_FAILED;
}

/* ---- Undoing --------------------------------------------------------------------------- */

static bool
region_finalizes(const struct oracles *o, uint64_t region)
{
    const struct seen_region *r = model_region(&o->model, region);

    return r != NULL && r->state == ASUP_REGION_FINALIZING;
}

static bool
on_top(const struct oracles *o, uint64_t region, struct asup_ref entry)
{
    const struct seen_region *r = model_region(&o->model, region);

    return r != NULL && r->stack_count > 0 && ref_same(r->stack[r->stack_count - 1], entry);
}

/* A finalizer of the region is under way. */
static bool
finalizer_runs(const struct oracles *o, uint64_t region)
{
    const struct seen_region *r = model_region(&o->model, region);
    const struct seen_task *t;

    if (r == NULL || r->stack_count == 0 || r->stack[r->stack_count - 1].sort != ASUP_SORT_TASK)
        return false;
    t = model_task(&o->model, r->stack[r->stack_count - 1].id);
    return t != NULL && t->begun && t->state != ASUP_TASK_COMPLETED;
}

static void
compensating(struct oracles *o, const struct event *ev, struct seen_saga *g)
{
    struct asup_ref self = {.id = g->id, .sort = ASUP_SORT_SAGA};

    saga(o, ev, g->state == SAGA_RUNNING, "R-SAG-2: a saga is undone once");
    if (region_finalizes(o, g->region))
        saga(o, ev, on_top(o, g->region, self),
             "R-SAG-2: in a region that finalizes a saga is undone when its turn on the stack "
             "comes");
    g->state = SAGA_COMPENSATING;
}

static void
undoing(struct oracles *o, const struct event *ev, struct seen_saga *g)
{
    struct seen_step *p = step_of(g, ev);

    saga(o, ev, g->state == SAGA_COMPENSATING, "R-SAG-2: only a saga that is undone is undone");
    saga(o, ev, p != NULL && step_open(p), "R-SAG-3: a compensation that is done is not run again");
    if (p == NULL)
        return;
    for (uint32_t n = (uint32_t)ev->value; n < g->step_count; n++)
        saga(o, ev, !step_open(&g->steps[n]), "R-SAG-2: steps are undone in reverse order");
    for (uint32_t n = 0; n < g->step_count; n++)
        saga(o, ev, g->steps[n].undo == 0 || model_task(&o->model, g->steps[n].undo) == NULL,
             "R-SAG-2: steps are undone one at a time");
    saga(o, ev, !step_busy(p), "R-SAG-3: a step is undone when it is known how its action ended");
    saga(o, ev, p->attempts_most == 0 || p->attempts < p->attempts_most,
         "R-SAG-4: a compensation has no more attempts than it was given");
    saga(o, ev, !region_finalizes(o, g->region) || !finalizer_runs(o, g->region),
         "R-SAG-2: of a stack one thing runs at a time");
    p->state = STEP_COMPENSATING;
    p->undo = ev->task;
    p->attempts++;
}

static void
undone(struct oracles *o, const struct event *ev, struct seen_saga *g)
{
    struct seen_step *p = step_of(g, ev);

    saga(o, ev, p != NULL && p->state == STEP_COMPENSATING && p->undo == ev->task,
         "R-SAG-3: a compensation is recorded done at most once, by the attempt that was made");
    if (p == NULL)
        return;
    saga(o, ev, ev->outcome == NULL || ev->outcome->key.severity == ASUP_OK,
         "R-SAG-4: a compensation that failed is not done");
    p->state = STEP_COMPENSATED;
}

static void
attention(struct oracles *o, const struct event *ev, struct seen_saga *g)
{
    struct seen_step *p = step_of(g, ev);

    saga(o, ev, g->state == SAGA_COMPENSATING && p != NULL && p->state == STEP_COMPENSATING,
         "R-SAG-4: what is undone may need attention");
    if (p == NULL)
        return;
    saga(o, ev, p->attempts_most == 0 || p->attempts >= p->attempts_most,
         "R-SAG-4: attention is needed when all attempts were made");
    p->state = STEP_NEEDS_ATTENTION;
    g->state = SAGA_NEEDS_ATTENTION;
}

static void
resolved(struct oracles *o, const struct event *ev, struct seen_saga *g)
{
    saga(o, ev, g->state == SAGA_NEEDS_ATTENTION, "R-SAG-4: an operator resolves what needs it");
    g->state = SAGA_COMPENSATING;
    for (uint32_t n = 0; n < g->step_count; n++) {
        if (g->steps[n].state != STEP_NEEDS_ATTENTION)
            continue;
        g->steps[n].state = ev->value == SAGA_RETRY ? STEP_COMPENSATING : STEP_RESOLVED;
        g->steps[n].attempts = 0;
    }
}

static void
ended(struct oracles *o, const struct event *ev, struct seen_saga *g)
{
    if (ev->value == SAGA_COMPLETED) {
        saga(o, ev, g->state == SAGA_RUNNING, "R-SAG-2: a saga completes while it runs");
        saga(o, ev, g->step_count == 0 || !step_busy(&g->steps[g->step_count - 1]),
             "R-SAG-2: a saga completes when its last step has ended");
    } else {
        saga(o, ev, g->state == SAGA_COMPENSATING, "R-SAG-2: a saga is undone, or completes");
        for (uint32_t n = 0; n < g->step_count; n++)
            saga(o, ev, !step_open(&g->steps[n]),
                 "R-SAG-2: every started step is compensated, or resolved by an operator");
    }
    saga_drop(o, g);
}

static void
saga_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct seen_saga *g = idmap_find(&o->sagas, ev->subject);

    if (ev->kind == EV_SAGA_BEGUN) {
        g = idmap_add(&o->sagas, ev->subject);
        g->region = ev->region;
        return;
    }
    if (ev->kind == EV_SAGA_FORGOTTEN)
        return;
    saga(o, ev, g != NULL, "R-SAG-2: a saga that has ended stays as it is");
    if (g == NULL)
        return;
    switch (ev->kind) {
    case EV_SAGA_STEP_BEGUN:
        step_begun(o, s, ev, g);
        break;
    case EV_SAGA_STEP_DONE:
    case EV_SAGA_STEP_FAILED:
        step_ended(o, ev, g);
        break;
    case EV_SAGA_COMPENSATING:
        compensating(o, ev, g);
        break;
    case EV_SAGA_STEP_UNDOING:
        undoing(o, ev, g);
        break;
    case EV_SAGA_STEP_UNDONE:
        undone(o, ev, g);
        break;
    case EV_SAGA_NEEDS_ATTENTION:
        attention(o, ev, g);
        break;
    case EV_SAGA_RESOLVED:
        resolved(o, ev, g);
        break;
    case EV_SAGA_ENDED:
        ended(o, ev, g);
        break;
    default:
        break;
    }
}

/* ---- finalizers ----------------------------------------------------------------------------- */

static void
finalizer(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_FINALIZERS);
    if (!fine)
        complain(o, ASUP_ORACLE_FINALIZERS, ev, "%s", promise);
}

static bool
saga_runs(const struct oracles *o, const struct seen_region *r)
{
    const struct seen_saga *g;

    for (size_t i = 0; i < r->stack_count; i++) {
        if (r->stack[i].sort != ASUP_SORT_SAGA)
            continue;
        g = idmap_find(&o->sagas, r->stack[i].id);
        if (g != NULL && g->state == SAGA_COMPENSATING)
            return true;
    }
    return false;
}

static void
finalizer_event(struct oracles *o, const struct event *ev)
{
    const struct seen_task *t = model_task(&o->model, ev->task);
    const struct seen_region *r = model_region(&o->model, ev->region);
    struct asup_ref self = {.id = ev->task, .sort = ASUP_SORT_TASK};

    switch (ev->kind) {
    case EV_FINALIZER_BEGUN:
        finalizer(o, ev, on_top(o, ev->region, self),
                  "R-FIN-1: the stack runs last in, first out, each entry once");
        finalizer(o, ev, t != NULL && (!t->begun || t->learned),
                  "R-FIN-1: a finalizer begins once");
        finalizer(o, ev,
                  r != NULL && r->state == ASUP_REGION_FINALIZING && r->tasks == 0 &&
                      r->children == 0,
                  "R-REG-3: finalizers run when the region has drained");
        finalizer(o, ev, r == NULL || !saga_runs(o, r), "R-FIN-1: one entry at a time");
        break;
    case EV_FINALIZER_DONE:
        finalizer(o, ev, t != NULL && (t->begun || t->learned) && t->state == ASUP_TASK_COMPLETED,
                  "R-FIN-1: a finalizer is done once, when it has run");
        finalizer(o, ev, on_top(o, ev->region, self),
                  "R-FIN-1: the top of the stack is done first");
        break;
    case EV_TASK_START_ORDERED:
        if (t != NULL && t->finalizer)
            finalizer(o, ev, t->begun || t->learned,
                      "R-FIN-1: a finalizer starts when its turn has come");
        break;
    case EV_REGION_CLOSED:
        for (size_t i = 0; r != NULL && i < r->stack_count; i++)
            finalizer(o, ev, r->stack[i].sort != ASUP_SORT_TASK,
                      "R-FIN-1: every finalizer runs before its region is Closed");
        break;
    default:
        break;
    }
}

/* ---- The family -------------------------------------------------------------------------------
 */

static void
clear(struct oracles *o)
{
    struct seen_saga *g;
    size_t cursor = 0;

    while ((g = idmap_next(&o->sagas, &cursor)) != NULL)
        free(g->steps);
    idmap_clear(&o->sagas);
}

static void
learn_saga(struct oracles *o, const struct kernel *k, uint64_t id)
{
    struct seen_saga *g = idmap_add(&o->sagas, id);
    struct saga_view v;
    struct saga_step_view step;

    if (!kernel_saga(k, id, &v))
        return;
    g->region = v.region;
    g->state = v.state;
    for (uint32_t n = 1; n <= v.step_count && kernel_saga_step(k, id, n, &step); n++) {
        struct seen_step *p = step_add(g);

        p->state = step.state;
        p->action = step.action;
        p->undo = step.undo;
        /* How many of this round there were is not told. */
    }
}

static void
sagas_learn(struct oracles *o, const struct kernel *k)
{
    const struct seen_region *r;
    size_t cursor = 0;

    o->sagas.item_size = sizeof(struct seen_saga);
    clear(o);
    while ((r = idmap_next(&o->model.regions, &cursor)) != NULL) {
        for (size_t i = 0; i < r->stack_count; i++) {
            if (r->stack[i].sort == ASUP_SORT_SAGA)
                learn_saga(o, k, r->stack[i].id);
        }
    }
}

static void
sagas_before(struct oracles *o, const struct judged_step *s)
{
    (void)s;
    o->sagas.item_size = sizeof(struct seen_saga);
}

static void
sagas_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    if (ev->kind >= EV_SAGA_BEGUN && ev->kind <= EV_SAGA_FORGOTTEN)
        saga_event(o, s, ev);
    else
        finalizer_event(o, ev);
}

static void
sagas_end(struct oracles *o, const struct kernel *k, bool settled)
{
    (void)k;
    if (settled && o->sagas.count > 0)
        complain(o, ASUP_ORACLE_SAGA_ORDER, NULL,
                 "R-SAG-2: at the end %zu sagas are neither completed nor undone", o->sagas.count);
}

static void
sagas_fini(struct oracles *o)
{
    clear(o);
    idmap_fini(&o->sagas);
}

const struct oracle_family oracle_sagas = {
    .learn = sagas_learn,
    .before = sagas_before,
    .event = sagas_event,
    .end = sagas_end,
    .fini = sagas_fini,
};
