/* SPDX-License-Identifier: MIT */
/*
 * Regions: what they own, and what a closed one left.
 *
 *   region-tree    every live thing belongs to one region that lives, and only an
 *                  open one admits (R-REG-1, R-REG-2)
 *   quiescence     Closed means that nothing is left (R-REG-4)
 *   loser-drained  who waits for a race is answered when no loser runs (R-COM-1,
 *                  R-POL-2)
 */
#include <stdlib.h>

#include "lab/oracle_internal.h"

/* A request that waits for the end of a region. */
struct waiting {
    uint64_t token;
    uint64_t region;
};

/* ---- region-tree --------------------------------------------------------------------- */

static void
tree(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_REGION_TREE);
    if (!fine)
        complain(o, ASUP_ORACLE_REGION_TREE, ev, "%s", promise);
}

/* A further step of a saga while its region finishes. */
static bool
step_goes_on(const struct seen_region *r)
{
    return r->state == ASUP_REGION_DRAINING && !r->cancelled;
}

/* R-REG-2: what a region that is ending still admits. */
static bool
owed_late(const struct oracles *o, const struct event *ev, const struct seen_region *r)
{
    const struct seen_task *t =
        ev->holder.sort == ASUP_SORT_TASK ? model_task(&o->model, ev->holder.id) : NULL;

    if (t == NULL || r->state == ASUP_REGION_CLOSED)
        return false;
    if (t->finalizer)
        return (t->begun || t->learned) && model_within(&o->model, t->region, r->id);
    if (r->state != ASUP_REGION_DRAINING)
        return false;
    if (!r->cancelled && !t->cancelled)
        return model_within(&o->model, t->region, r->id);
    return ev->value == ASUP_OBLIGATION_ACK && t->cancelled && ev->at < r->drain_end;
}

static void
admission(struct oracles *o, const struct event *ev)
{
    const struct model *m = &o->model;
    const struct seen_region *r =
        model_region(m, ev->kind == EV_REGION_OPENED ? ev->value : ev->region);
    const char *open = "R-REG-2: only an open region admits";

    switch (ev->kind) {
    case EV_REGION_OPENED:
        tree(o, ev, ev->region > m->region_last, "§1: ids grow and are never used again");
        break;
    case EV_TASK_CREATED:
    case EV_FINALIZER_REGISTERED:
    case EV_SAGA_STEP_UNDOING:
        tree(o, ev, ev->task > m->task_last, "§1: ids grow and are never used again");
        break;
    case EV_OBLIGATION_RESERVED:
        tree(o, ev, ev->subject > m->obligation_last, "§1: ids grow and are never used again");
        break;
    case EV_SAGA_BEGUN:
    case EV_SAGA_STEP_BEGUN:
    case EV_CHANNEL_OPENED:
    case EV_CAPABILITY_GRANTED:
        break;
    default:
        return;
    }
    tree(o, ev, r != NULL && r->state != ASUP_REGION_CLOSED,
         "R-REG-1: every live thing belongs to a region that lives");
    if (r == NULL)
        return;
    switch (ev->kind) {
    case EV_SAGA_STEP_UNDOING:
    case EV_CAPABILITY_GRANTED:
        break;
    case EV_SAGA_STEP_BEGUN:
        tree(o, ev, r->state == ASUP_REGION_OPEN || step_goes_on(r), open);
        break;
    case EV_TASK_CREATED:
        tree(o, ev, r->state == ASUP_REGION_OPEN || (step_goes_on(r) && o->action_next == ev->task),
             open);
        break;
    case EV_OBLIGATION_RESERVED:
        tree(o, ev, r->state == ASUP_REGION_OPEN || owed_late(o, ev, r), open);
        break;
    default:
        tree(o, ev, r->state == ASUP_REGION_OPEN, open);
        break;
    }
}

static uint32_t
live_regions(const struct model *m)
{
    uint32_t count = 0;

    for (unsigned s = 0; s < ASUP_REGION_CLOSED; s++)
        count += m->regions_in[s];
    return count;
}

static uint32_t
live_tasks(const struct model *m)
{
    uint32_t count = 0;

    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++)
        count += m->tasks_in[s];
    return count;
}

/* What is there is what the events made, where they said. */
static void
tree_same(struct oracles *o, const struct judged_step *s)
{
    struct kernel_counts counts;
    struct region_view r;
    struct task_view t;

    if (s->out->event_count == 0)
        return;
    kernel_counts(s->k, &counts);
    judge(o, ASUP_ORACLE_REGION_TREE);
    if (counts.regions != live_regions(&o->model) || counts.tasks != live_tasks(&o->model))
        complain(o, ASUP_ORACLE_REGION_TREE, &s->out->events[s->out->event_count - 1],
                 "R-REG-1: there are %u regions and %u tasks, by the events %u and %u",
                 counts.regions, counts.tasks, live_regions(&o->model), live_tasks(&o->model));
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        if (ev->kind == EV_REGION_OPENED && kernel_region(s->k, ev->region, &r))
            tree(o, ev, r.parent == ev->value, "R-REG-1: a region has the parent it was opened in");
        if (ev->kind == EV_TASK_CREATED && kernel_task(s->k, ev->task, &t))
            tree(o, ev, t.region == ev->region, "R-TSK-1: a task stays in its region");
    }
}

/* ---- quiescence -------------------------------------------------------------------------- */

static void
quiet(struct oracles *o, const struct event *ev, bool fine, const char *what)
{
    judge(o, ASUP_ORACLE_QUIESCENCE);
    if (!fine)
        complain(o, ASUP_ORACLE_QUIESCENCE, ev, "R-REG-4: Closed, and there is still %s", what);
}

static void
closed(struct oracles *o, const struct judged_step *s, const struct event *ev,
       const struct seen_region *r)
{
    uint32_t owed = 0;

    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
        owed += r->ledger[kind];
    quiet(o, ev, r->tasks == 0, "a live task");
    quiet(o, ev, r->children == 0, "an open child");
    quiet(o, ev, r->stack_count == 0, "a finalizer or saga on the stack");
    quiet(o, ev, owed == 0, "an obligation in its ledger (R-OBL-5)");
    quiet(o, ev, r->channels == 0, "a channel");
    if (s->in != NULL && r->used && !r->learned)
        quiet(o, ev, r->swept, "its cgroup and work directory, which nobody said were removed");
}

static void
closed_after(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct lease_view lease;

    quiet(o, ev, kernel_capability_next(s->k, ev->region, 0) == 0, "a capability that lives");
    quiet(o, ev, kernel_obligation_next(s->k, ev->region, 0) == 0, "an obligation");
    quiet(o, ev, kernel_channel_next(s->k, ev->region, 0) == 0, "a channel");
    quiet(o, ev, kernel_lease_next(s->k, ev->region, 0, &lease) == 0, "a lease");
}

static void
regions_end(struct oracles *o, const struct kernel *k, bool settled)
{
    const struct seen_region *least = NULL;
    const struct seen_region *r;
    size_t cursor = 0;

    (void)k;
    if (!settled)
        return;
    judge(o, ASUP_ORACLE_QUIESCENCE);
    while ((r = idmap_next(&o->model.regions, &cursor)) != NULL) {
        if (r->id != ASUP_ROOT_ID && (least == NULL || r->id < least->id))
            least = r;
    }
    if (least != NULL)
        complain(o, ASUP_ORACLE_QUIESCENCE, NULL, "R-REG-4: at the end r%llu is not closed",
                 (unsigned long long)least->id);
    if (o->model.obligations.count > 0)
        complain(o, ASUP_ORACLE_QUIESCENCE, NULL, "R-OBL-5: at the end %zu obligations are owed",
                 o->model.obligations.count);
}

/* ---- loser-drained -------------------------------------------------------------------------- */

static bool
has_losers(const struct seen_region *r)
{
    return r->policy == ASUP_POLICY_RACE || r->policy == ASUP_POLICY_FIRST_OK ||
           r->policy == ASUP_POLICY_QUORUM;
}

static void
loser(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_LOSER_DRAINED);
    if (!fine)
        complain(o, ASUP_ORACLE_LOSER_DRAINED, ev, "%s", promise);
}

/* Once it is decided, all that is left of it is asked to end. */
static void
decided_after(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct region_view r;
    struct region_view c;
    struct task_view t;

    if (!kernel_region(s->k, ev->region, &r) || r.state == ASUP_REGION_CLOSED)
        return;
    for (uint64_t id = r.task_first; id != 0 && kernel_task(s->k, id, &t); id = t.next)
        loser(o, ev, t.reason != 0, "R-POL-2: who decides a region cancels the rest of its tasks");
    for (uint64_t id = r.child_first; id != 0 && kernel_region(s->k, id, &c); id = c.sibling_next)
        loser(o, ev, c.cancelled || c.state >= ASUP_REGION_FINALIZING,
              "R-POL-2: who decides a region cancels the rest of its children");
}

/* The first end of a race, the first Ok of a first-ok. */
static void
participant_ended(struct oracles *o, const struct event *ev, uint64_t region)
{
    const struct seen_region *r = model_region(&o->model, region);

    if (r == NULL || r->state == ASUP_REGION_CLOSED || r->learned || ev->outcome == NULL)
        return;
    if (r->policy == ASUP_POLICY_RACE ||
        (r->policy == ASUP_POLICY_FIRST_OK && ev->outcome->key.severity == ASUP_OK))
        loser(o, ev, r->decided, "R-POL-1: the first end decides a race, the first Ok a first-ok");
}

/* A finalizer says nothing to its region's policy, nor does a hedge whose time had not come. */
static void
task_ended(struct oracles *o, const struct event *ev)
{
    const struct seen_task *t = model_task(&o->model, ev->task);

    if (t == NULL || t->finalizer || t->learned || (t->delayed && !t->again))
        return;
    if (o->ended_count == o->ended_capacity) {
        o->ended_capacity = 2 * o->ended_capacity + 16;
        o->ended = oracle_memory(o->ended, o->ended_capacity * sizeof o->ended[0]);
    }
    o->ended[o->ended_count++].event = ev;
}

static void
answers(struct oracles *o, const struct judged_step *s)
{
    const struct input *in = s->in;

    if (in == NULL)
        return;
    if (in->kind == IN_WAIT && in->u.wait.on_region && in->subject == 0 && in->token != 0)
        ((struct waiting *)idmap_add(&o->waiting, in->token))->region = in->region;
    if (in->kind == IN_WAIT_DROPPED)
        idmap_drop(&o->waiting, in->token);
    for (size_t i = 0; i < s->out->effect_count && o->waiting.count > 0; i++) {
        const struct effect *fx = &s->out->effects[i];
        const struct waiting *w = fx->kind == FX_REPLY ? idmap_find(&o->waiting, fx->token) : NULL;
        const struct seen_region *r = w == NULL ? NULL : model_region(&o->model, w->region);

        if (w == NULL)
            continue;
        if (fx->code == 0) {
            judge(o, ASUP_ORACLE_LOSER_DRAINED);
            if (r != NULL && r->state != ASUP_REGION_CLOSED)
                complain(o, ASUP_ORACLE_LOSER_DRAINED, NULL,
                         "R-COM-1: who waited for r%llu (%s) is told that it has ended at %llu ns, "
                         "and it has %u tasks and %u children left",
                         (unsigned long long)r->id, has_losers(r) ? "of a race" : "of no race",
                         (unsigned long long)s->now, r->tasks, r->children);
        }
        idmap_drop(&o->waiting, fx->token);
    }
}

/* ---- The family -------------------------------------------------------------------------------
 */

static void
regions_learn(struct oracles *o, const struct kernel *k)
{
    (void)k;
    idmap_clear(&o->waiting); /* parked requests are no state */
}

static void
regions_before(struct oracles *o, const struct judged_step *s)
{
    struct seen_region *r;

    if (o->waiting.item_size == 0)
        idmap_init(&o->waiting, sizeof(struct waiting));
    if (s->in == NULL || s->in->kind != IN_REGION_SWEPT || s->in->u.swept.error != 0)
        return;
    r = model_region(&o->model, s->in->region);
    if (r != NULL)
        r->swept = r->sweeping;
}

static void
regions_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_region *r;

    admission(o, ev);
    if (ev->kind == EV_SAGA_STEP_BEGUN)
        o->action_next = ev->task;
    if (ev->kind == EV_TASK_COMPLETED)
        task_ended(o, ev);
    if (ev->kind != EV_REGION_CLOSED)
        return;
    r = model_region(&o->model, ev->region);
    if (r == NULL)
        return;
    closed(o, s, ev, r);
    if (has_losers(r))
        loser(o, ev, r->tasks == 0 && r->children == 0,
              "R-COM-1: a race is over when no loser runs");
}

static void
regions_after(struct oracles *o, const struct judged_step *s)
{
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];
        struct region_view r;

        switch (ev->kind) {
        case EV_REGION_CLOSED:
            closed_after(o, s, ev);
            if (kernel_region(s->k, ev->region, &r))
                participant_ended(o, ev, r.parent);
            break;
        case EV_REGION_DECIDED:
            decided_after(o, s, ev);
            break;
        default:
            break;
        }
    }
    for (size_t i = 0; i < o->ended_count; i++)
        participant_ended(o, o->ended[i].event, o->ended[i].event->region);
    o->ended_count = 0;
    answers(o, s);
    tree_same(o, s);
}

static void
regions_fini(struct oracles *o)
{
    idmap_fini(&o->waiting);
    free(o->ended);
}

const struct oracle_family oracle_regions = {
    .learn = regions_learn,
    .before = regions_before,
    .event = regions_event,
    .after = regions_after,
    .end = regions_end,
    .fini = regions_fini,
};
