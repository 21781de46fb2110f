/* SPDX-License-Identifier: MIT */
/*
 * Scheduling (§7): which waiting entry is picked.
 *
 *   fairness            after L picks in a row from the cancel lane (2L while
 *                       draining is advised) one that waits elsewhere is picked;
 *                       after L timed ones one that is ready (R-SCH-2)
 *   priority-inversion  in the timed lane the earliest limit goes first, ties by
 *                       id; in the ready lane the one whose priority, raised by
 *                       waiting, is highest, and of equals who came first
 *
 * Processes wait in one place for the whole daemon; calls wait for workers, and
 * are not judged here. Tasks that were learned have places nobody told of: while
 * one waits, order is not judged.
 */
#include "lab/oracle_internal.h"

enum { PRIORITY_MOST = 199 };

/* ---- The lanes -------------------------------------------------------------------------- */

static void
ready_link(struct oracles *o, struct seen_task *t)
{
    struct seen_ready *q = &o->ready[t->priority];

    t->lane = SEEN_READY;
    t->lane_next = NULL;
    t->lane_prev = q->last;
    if (q->last != NULL)
        q->last->lane_next = t;
    else
        q->first = t;
    q->last = t;
    o->ready_count++;
}

static void
ready_unlink(struct oracles *o, struct seen_task *t)
{
    struct seen_ready *q = &o->ready[t->priority];

    if (t->lane_prev != NULL)
        t->lane_prev->lane_next = t->lane_next;
    else
        q->first = t->lane_next;
    if (t->lane_next != NULL)
        t->lane_next->lane_prev = t->lane_prev;
    else
        q->last = t->lane_prev;
    o->ready_count--;
}

static void
enter(struct oracles *o, struct seen_task *t)
{
    if (t == NULL || t->call || t->finalizer || t->learned || t->lane != SEEN_NONE)
        return;
    if (t->limit == ASUP_NEVER) {
        ready_link(o, t);
        return;
    }
    t->lane = SEEN_TIMED;
    due_add(&o->timed, t->limit, t->id);
    o->timed_count++;
}

static void
leave(struct oracles *o, struct seen_task *t)
{
    if (t->unplaced) {
        t->unplaced = false;
        o->unplaced--;
    }
    if (t->lane == SEEN_READY)
        ready_unlink(o, t);
    else if (t->lane == SEEN_TIMED)
        o->timed_count--;
    t->lane = SEEN_NONE;
}

static struct seen_task *
timed_first(struct oracles *o)
{
    const struct due *first;
    struct due gone;

    while ((first = due_first(&o->timed)) != NULL) {
        struct seen_task *t = model_task(&o->model, first->id);

        if (t != NULL && t->lane == SEEN_TIMED)
            return t;
        (void)due_take(&o->timed, ASUP_NEVER, &gone);
    }
    return NULL;
}

/* A step of priority is worth so much waiting. */
static uint64_t
ready_key(const struct oracles *o, const struct seen_task *t)
{
    uint64_t behind = (uint64_t)(PRIORITY_MOST - t->priority) * o->config.ageing_ns;

    return t->since > ASUP_NEVER - behind ? ASUP_NEVER : t->since + behind;
}

static struct seen_task *
ready_first(const struct oracles *o)
{
    struct seen_task *best = NULL;

    for (unsigned p = 0; p <= PRIORITY_MOST; p++) {
        struct seen_task *t = o->ready[p].first;

        if (t != NULL && (best == NULL || ready_key(o, t) <= ready_key(o, best)))
            best = t;
    }
    return best;
}

/* ---- Picks ------------------------------------------------------------------------------ */

static uint32_t
cancel_most(const struct oracles *o)
{
    const uint32_t *in = o->model.regions_in;
    uint32_t ending =
        in[ASUP_REGION_CLOSING] + in[ASUP_REGION_DRAINING] + in[ASUP_REGION_FINALIZING];

    return o->config.fairness * (ending > in[ASUP_REGION_OPEN] ? 2 : 1);
}

static bool
may_start(const struct oracles *o)
{
    return o->starting_unknown == 0 && o->starting < o->config.start_window;
}

static void
picked_cancel(struct oracles *o, const struct event *ev)
{
    if (!may_start(o) || o->timed_count + o->ready_count == 0) {
        o->cancel_run = 0;
        return;
    }
    judge(o, ASUP_ORACLE_FAIRNESS);
    if (o->cancel_run >= cancel_most(o))
        complain(
            o, ASUP_ORACLE_FAIRNESS, ev,
            "R-SCH-2: %u picks in a row from the cancel lane, while %u timed and %u ready wait",
            o->cancel_run + 1, o->timed_count, o->ready_count);
    o->cancel_run++;
}

static void
picked_timed(struct oracles *o, const struct event *ev, const struct seen_task *t)
{
    const struct seen_task *first = timed_first(o);

    o->cancel_run = 0;
    if (o->ready_count > 0) {
        judge(o, ASUP_ORACLE_FAIRNESS);
        if (o->timed_run >= o->config.fairness)
            complain(o, ASUP_ORACLE_FAIRNESS, ev,
                     "R-SCH-2: %u picks in a row from the timed lane, while %u ready wait",
                     o->timed_run + 1, o->ready_count);
        o->timed_run++;
    } else {
        o->timed_run = 0;
    }
    if (t->lane != SEEN_TIMED || o->unplaced > 0 || first == NULL)
        return;
    judge(o, ASUP_ORACLE_PRIORITY_INVERSION);
    if (first != t)
        complain(o, ASUP_ORACLE_PRIORITY_INVERSION, ev,
                 "§7: t%llu with its limit at %llu ns is picked before t%llu at %llu ns",
                 (unsigned long long)t->id, (unsigned long long)t->limit,
                 (unsigned long long)first->id, (unsigned long long)first->limit);
}

static void
picked_ready(struct oracles *o, const struct event *ev, const struct seen_task *t)
{
    const struct seen_task *first = ready_first(o);

    o->cancel_run = o->timed_run = 0;
    if (t->lane != SEEN_READY || o->unplaced > 0 || first == NULL)
        return;
    judge(o, ASUP_ORACLE_PRIORITY_INVERSION);
    if (first != t)
        complain(o, ASUP_ORACLE_PRIORITY_INVERSION, ev,
                 "§7: t%llu of priority %u, ready at %llu ns, is picked before t%llu of priority "
                 "%u, ready at %llu ns",
                 (unsigned long long)t->id, t->priority, (unsigned long long)t->since,
                 (unsigned long long)first->id, first->priority, (unsigned long long)first->since);
}

/* ---- Events ------------------------------------------------------------------------------- */

static void
start_ordered(struct oracles *o, const struct event *ev, struct seen_task *t)
{
    if (t->finalizer)
        picked_cancel(o, ev);
    else if (t->limit != ASUP_NEVER)
        picked_timed(o, ev, t);
    else
        picked_ready(o, ev, t);
    leave(o, t);
    o->starting++;
}

/* Its start is answered, or has left the window unanswered. */
static void
start_over(struct oracles *o, const struct seen_task *t)
{
    if (t->call || !t->ordered || t->slow || t->started || t->ended)
        return;
    if (t->learned && o->starting_unknown > 0)
        o->starting_unknown--;
    else if (o->starting > 0)
        o->starting--;
}

static void
lanes_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct seen_task *t = ev->task == 0 ? NULL : model_task(&o->model, ev->task);

    (void)s;
    if (t == NULL)
        return;
    switch (ev->kind) {
    case EV_TASK_START_ORDERED:
        start_ordered(o, ev, t);
        break;
    case EV_TASK_CANCEL_SENT:
        if (!t->call)
            picked_cancel(o, ev);
        break;
    case EV_TASK_STARTED:
    case EV_TASK_START_FAILED:
    case EV_TASK_START_SLOW:
        start_over(o, t);
        break;
    case EV_TASK_CANCEL_REQUESTED:
        if (!t->ordered)
            leave(o, t);
        break;
    case EV_TASK_COMPLETED:
        leave(o, t);
        break;
    case EV_TASK_DUE:
        enter(o, t);
        break;
    default:
        break;
    }
}

/* Who is created waits from then on, unless it is for later. */
static void
lanes_applied(struct oracles *o, const struct event *ev)
{
    struct seen_task *t;

    if (ev->kind != EV_TASK_CREATED)
        return;
    t = model_task(&o->model, ev->task);
    if (t != NULL && !t->delayed)
        enter(o, t);
}

static void
lanes_learn(struct oracles *o, const struct kernel *k)
{
    struct seen_task *t;
    size_t cursor = 0;

    (void)k;
    for (unsigned p = 0; p <= PRIORITY_MOST; p++)
        o->ready[p] = (struct seen_ready){0};
    due_clear(&o->timed);
    o->ready_count = o->timed_count = o->unplaced = 0;
    o->starting = o->starting_unknown = 0;
    o->cancel_run = o->timed_run = 0;
    while ((t = idmap_next(&o->model.tasks, &cursor)) != NULL) {
        if (t->call)
            continue;
        t->unplaced = t->state == ASUP_TASK_CREATED && !t->ordered && !t->finalizer;
        o->unplaced += t->unplaced;
        o->starting_unknown += t->ordered && !t->started && !t->ended;
    }
}

static void
lanes_fini(struct oracles *o)
{
    due_fini(&o->timed);
}

const struct oracle_family oracle_lanes = {
    .learn = lanes_learn,
    .event = lanes_event,
    .applied = lanes_applied,
    .fini = lanes_fini,
};
