/* SPDX-License-Identifier: MIT */
/*
 * Tasks, and the order in which tasks and regions move.
 *
 *   task-leak        every task completes once, and not before nothing of it is
 *                    left (R-TSK-1, R-TSK-2)
 *   cancel-protocol  what may follow what: R-REG-3, R-TSK-2, R-TSK-3, R-TSK-4
 */
#include "lab/oracle_internal.h"

/* ---- task-leak ---------------------------------------------------------------------- */

static void
emptied(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    if (s->in == NULL)
        return;
    judge(o, ASUP_ORACLE_TASK_LEAK);
    if ((s->in->kind != IN_TASK_EMPTY && s->in->kind != IN_TASK_LOST) || s->in->task != ev->task)
        complain(o, ASUP_ORACLE_TASK_LEAK, ev, "R-TSK-2: nobody said that nothing of t%llu is left",
                 (unsigned long long)ev->task);
}

static void
completed(struct oracles *o, const struct event *ev, const struct seen_task *t)
{
    judge(o, ASUP_ORACLE_TASK_LEAK);
    if (t == NULL || t->state == ASUP_TASK_COMPLETED)
        complain(o, ASUP_ORACLE_TASK_LEAK, ev, "R-TSK-1: t%llu completed, and was not live before",
                 (unsigned long long)ev->task);
    else if (!t->call && !t->learned && t->started && !t->emptied)
        complain(o, ASUP_ORACLE_TASK_LEAK, ev,
                 "R-TSK-2: t%llu completed while something of it may run",
                 (unsigned long long)ev->task);
    else if (!t->call && !t->learned && t->ordered && !t->started && !t->ended)
        complain(o, ASUP_ORACLE_TASK_LEAK, ev,
                 "R-TSK-2: t%llu completed before its start was answered",
                 (unsigned long long)ev->task);
}

/* Finalizing --> Completed when nothing of it is left: in this very step. */
static void
overdue(struct oracles *o, const struct event *ev)
{
    const struct seen_task *t = model_task(&o->model, ev->task);

    if (t == NULL || t->call || t->state == ASUP_TASK_COMPLETED || !t->ended)
        return;
    judge(o, ASUP_ORACLE_TASK_LEAK);
    if (t->emptied || !t->started)
        complain(o, ASUP_ORACLE_TASK_LEAK, ev,
                 "R-TSK-2: nothing of t%llu is left, and it does not complete",
                 (unsigned long long)ev->task);
}

static void
tasks_end(struct oracles *o, const struct kernel *k, bool settled)
{
    const struct seen_task *least = NULL;
    const struct seen_task *t;
    struct kernel_counts counts;
    size_t cursor = 0;

    if (!settled)
        return;
    judge(o, ASUP_ORACLE_TASK_LEAK);
    while ((t = idmap_next(&o->model.tasks, &cursor)) != NULL) {
        if (least == NULL || t->id < least->id)
            least = t;
    }
    kernel_counts(k, &counts);
    if (least != NULL)
        complain(o, ASUP_ORACLE_TASK_LEAK, NULL, "R-TSK-1: t%llu of r%llu never completed",
                 (unsigned long long)least->id, (unsigned long long)least->region);
    else if (counts.tasks != 0)
        complain(o, ASUP_ORACLE_TASK_LEAK, NULL,
                 "R-TSK-1: %u tasks are left of which no event told", counts.tasks);
}

/* ---- cancel-protocol: tasks ------------------------------------------------------------ */

static void
protocol(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_CANCEL_PROTOCOL);
    if (!fine)
        complain(o, ASUP_ORACLE_CANCEL_PROTOCOL, ev, "%s", promise);
}

static bool
is_masked(const struct input *in)
{
    return (in->kind == IN_TASK_CHECKPOINT && in->u.checkpoint.masked) ||
           (in->kind == IN_TASK_PROGRESS && in->u.progress.masked);
}

static void
acked(struct oracles *o, const struct judged_step *s, const struct event *ev,
      const struct seen_task *t)
{
    bool report = s->in != NULL && s->in->task == ev->task && is_masked(s->in);

    protocol(o, ev, t->state == ASUP_TASK_CANCEL_REQUESTED,
             "R-TSK-2: who is asked to end observes it, once");
    protocol(o, ev, !report || o->mask_before == 0,
             "R-TSK-3: a masked report observes no cancel while the mask holds");
    if (s->in != NULL && s->in->kind == IN_TASK_SIGNALLED)
        protocol(o, ev, !t->speaks || t->learned,
                 "R-TSK-2: who speaks says itself when it observes a cancel");
}

static void
task_completed(struct oracles *o, const struct event *ev, const struct seen_task *t)
{
    uint8_t severity = ev->outcome == NULL ? ASUP_OK : ev->outcome->key.severity;

    if (!t->call)
        protocol(o, ev, t->state == ASUP_TASK_CREATED || t->state == ASUP_TASK_FINALIZING,
                 "R-TSK-2: a process completes after its main process has ended, or never began");
    if (ev->outcome == NULL || t->learned)
        return;
    if (severity == ASUP_CANCELLED && !t->finalizer)
        protocol(o, ev, t->cancelled, "R-TSK-4: an outcome is Cancelled only by a request");
    if (t->cancelled && t->state == ASUP_TASK_CREATED && !t->ordered)
        protocol(o, ev, severity == ASUP_CANCELLED,
                 "R-TSK-4: cancelled before it started is Cancelled");
}

static void
task_event(struct oracles *o, const struct judged_step *s, const struct event *ev,
           const struct seen_task *t)
{
    switch (ev->kind) {
    case EV_TASK_START_ORDERED:
        protocol(o, ev, t->state == ASUP_TASK_CREATED && !t->ordered,
                 "R-TSK-5: a second copy is never started");
        protocol(o, ev, !t->cancelled,
                 "R-TSK-4: what is cancelled before it started is not started");
        protocol(o, ev, !t->delayed || t->learned, "R-POL-2: a delayed task starts at its time");
        break;
    case EV_TASK_STARTED:
        protocol(o, ev, t->ordered && !t->started && !t->ended,
                 "R-TSK-5: a task starts once, when it was ordered");
        break;
    case EV_TASK_START_FAILED:
        protocol(o, ev, t->ordered && !t->started && !t->ended,
                 "R-TSK-4: a start fails once, and not after it succeeded");
        break;
    case EV_TASK_CANCEL_REQUESTED:
        protocol(o, ev, !t->finalizer, "R-SAG-2: finalizers and compensations are masked");
        protocol(o, ev, t->state != ASUP_TASK_COMPLETED, "R-TSK-2: what is over is not cancelled");
        break;
    case EV_TASK_CANCEL_SENT:
        protocol(o, ev, t->cancelled || t->ended,
                 "R-TSK-2: the cancel signal follows a request, or is for leftovers");
        if (!t->call)
            protocol(o, ev, t->started && (!t->told || t->learned),
                     "R-TSK-2: the cancel signal is sent once, to what has started");
        break;
    case EV_TASK_CANCEL_ACKED:
        acked(o, s, ev, t);
        break;
    case EV_TASK_MASKED:
        protocol(o, ev, t->mask_left > 0 && ev->value == t->mask_left - 1,
                 "R-TSK-3: each masked checkpoint spends one of the allowance");
        break;
    case EV_TASK_MAIN_ENDED:
        protocol(o, ev, t->started && !t->ended, "R-TSK-4: a main process ends once");
        if (ev->outcome != NULL && ev->outcome->key.severity == ASUP_CANCELLED)
            protocol(o, ev, t->cancelled, "R-TSK-4: an outcome is Cancelled only by a request");
        break;
    case EV_TASK_COMPLETED:
        task_completed(o, ev, t);
        break;
    case EV_TASK_WATCHDOG_MISSED:
    case EV_TASK_ESCALATED:
        protocol(o, ev, !t->call, "R-TSK-8: a call is its worker's: there is no process to kill");
        break;
    case EV_TASK_RERUN:
        protocol(o, ev, false, "R-SAG-3: a finalizer runs again only when an engine comes back");
        break;
    default:
        break;
    }
}

/* ---- cancel-protocol: regions ------------------------------------------------------------- */

static void
region_event(struct oracles *o, const struct event *ev, const struct seen_region *r)
{
    switch (ev->kind) {
    case EV_REGION_SEALED:
        protocol(o, ev, r->state == ASUP_REGION_OPEN, "R-REG-3: a region is sealed once");
        break;
    case EV_REGION_CANCEL_REQUESTED:
        protocol(o, ev, r->sealed && r->state != ASUP_REGION_CLOSED,
                 "R-REG-3: cancelling a region seals it");
        break;
    case EV_REGION_DRAINING:
        protocol(o, ev, r->state == ASUP_REGION_CLOSING, "R-REG-3: Closing, then Draining");
        break;
    case EV_REGION_FINALIZING:
        protocol(o, ev, r->state == ASUP_REGION_DRAINING, "R-REG-3: Draining, then Finalizing");
        protocol(o, ev, r->tasks == 0 && r->children == 0,
                 "R-REG-3: Draining until every task is Completed and every child Closed");
        break;
    case EV_REGION_CLOSED:
        protocol(o, ev, r->state == ASUP_REGION_FINALIZING, "R-REG-3: Finalizing, then Closed");
        break;
    default:
        break;
    }
}

/* ---- The family ------------------------------------------------------------------------------ */

static void
tasks_before(struct oracles *o, const struct judged_step *s)
{
    const struct seen_task *t = s->in == NULL ? NULL : model_task(&o->model, s->in->task);

    o->mask_before = t == NULL ? 0 : t->mask_left;
}

static void
tasks_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_task *t = ev->task == 0 ? NULL : model_task(&o->model, ev->task);
    const struct seen_region *r;

    if (ev->kind == EV_TASK_COMPLETED)
        completed(o, ev, t);
    if (ev->kind == EV_TASK_EMPTIED)
        emptied(o, s, ev);
    if (t != NULL)
        task_event(o, s, ev, t);
    if (ev->kind < EV_REGION_SEALED || ev->kind > EV_REGION_CLOSED)
        return;
    r = model_region(&o->model, ev->region);
    if (r != NULL)
        region_event(o, ev, r);
}

/* The views say what the events said. */
static void
state_same(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_task *t = model_task(&o->model, ev->task);
    struct task_view v;

    if (t == NULL || !kernel_task(s->k, ev->task, &v))
        return;
    judge(o, ASUP_ORACLE_CANCEL_PROTOCOL);
    if (v.state != t->state)
        complain(o, ASUP_ORACLE_CANCEL_PROTOCOL, ev,
                 "R-EVT-1: events put t%llu into state %u, and it is in %u",
                 (unsigned long long)ev->task, t->state, v.state);
}

static void
tasks_after(struct oracles *o, const struct judged_step *s)
{
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        switch (ev->kind) {
        case EV_TASK_MAIN_ENDED:
        case EV_TASK_START_FAILED:
        case EV_TASK_EMPTIED:
            overdue(o, ev);
            state_same(o, s, ev);
            break;
        case EV_TASK_STARTED:
        case EV_TASK_CANCEL_REQUESTED:
        case EV_TASK_CANCEL_ACKED:
        case EV_CALL_STARTED:
        case EV_CALL_RETRIED:
            state_same(o, s, ev);
            break;
        default:
            break;
        }
    }
}

const struct oracle_family oracle_tasks = {
    .before = tasks_before,
    .event = tasks_event,
    .after = tasks_after,
    .end = tasks_end,
};
