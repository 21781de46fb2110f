/* SPDX-License-Identifier: MIT */
/*
 * deadline-monotone: what is below a limit is met with it when it is admitted
 * (R-BUD-1, R-BUD-2), and is asked to end when it has passed (R-BUD-3). So no
 * child outlives its parent's limit, but for the cleanup it is allowed.
 */
#include "asupersync/values.h"
#include "lab/oracle_internal.h"

static void
limit(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_DEADLINE_MONOTONE);
    if (!fine)
        complain(o, ASUP_ORACLE_DEADLINE_MONOTONE, ev, "%s", promise);
}

static void
watch_task(struct oracles *o, const struct seen_task *t)
{
    if (t != NULL && !t->finalizer && t->limit != ASUP_NEVER)
        due_add(&o->limits_task, t->limit, t->id);
}

static void
watch_region(struct oracles *o, const struct seen_region *r)
{
    if (r != NULL && r->limit != ASUP_NEVER)
        due_add(&o->limits_region, r->limit, r->id);
}

static void
task_due(struct oracles *o, const struct due *due)
{
    const struct seen_task *t = model_task(&o->model, due->id);

    if (t == NULL || t->state == ASUP_TASK_COMPLETED)
        return;
    judge(o, ASUP_ORACLE_DEADLINE_MONOTONE);
    if (!t->cancelled)
        complain(o, ASUP_ORACLE_DEADLINE_MONOTONE, NULL,
                 "R-BUD-3: t%llu of r%llu has a limit at %llu ns, its own or one above, and is not "
                 "asked to end when it has passed",
                 (unsigned long long)t->id, (unsigned long long)t->region,
                 (unsigned long long)due->at);
    else if (t->own_limit == due->at && asup_cancel_tier(t->reason_kind) == 0)
        complain(o, ASUP_ORACLE_DEADLINE_MONOTONE, NULL,
                 "R-CAN-1: the limit of t%llu passed at %llu ns, and its reason is weaker",
                 (unsigned long long)t->id, (unsigned long long)due->at);
}

static void
region_due(struct oracles *o, const struct due *due)
{
    const struct seen_region *r = model_region(&o->model, due->id);

    if (r == NULL || r->state >= ASUP_REGION_FINALIZING)
        return;
    judge(o, ASUP_ORACLE_DEADLINE_MONOTONE);
    if (!r->cancelled)
        complain(o, ASUP_ORACLE_DEADLINE_MONOTONE, NULL,
                 "R-BUD-3: r%llu has a limit at %llu ns, its own or one above, and is not "
                 "cancelled when it has passed",
                 (unsigned long long)r->id, (unsigned long long)due->at);
    else if (r->own_limit == due->at && asup_cancel_tier(r->reason_kind) == 0)
        complain(o, ASUP_ORACLE_DEADLINE_MONOTONE, NULL,
                 "R-CAN-1: the limit of r%llu passed at %llu ns, and its reason is weaker",
                 (unsigned long long)r->id, (unsigned long long)due->at);
}

static void
limits_after(struct oracles *o, const struct judged_step *s)
{
    struct due due;
    struct task_view v;

    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];
        const struct seen_task *t;

        if (ev->kind == EV_REGION_OPENED)
            watch_region(o, model_region(&o->model, ev->region));
        if (ev->kind != EV_TASK_CREATED)
            continue;
        t = model_task(&o->model, ev->task);
        watch_task(o, t);
        if (t != NULL && kernel_task(s->k, ev->task, &v) && v.state != ASUP_TASK_COMPLETED)
            limit(o, ev, v.effective.limit_at == t->limit,
                  "R-BUD-2: the limit of a task is its own met with those of all above");
    }
    if (s->busy)
        return;
    while (due_take(&o->limits_region, s->now, &due))
        region_due(o, &due);
    while (due_take(&o->limits_task, s->now, &due))
        task_due(o, &due);
}

static void
limits_learn(struct oracles *o, const struct kernel *k)
{
    const struct seen_region *r;
    const struct seen_task *t;
    size_t cursor = 0;

    (void)k;
    due_clear(&o->limits_region);
    due_clear(&o->limits_task);
    while ((r = idmap_next(&o->model.regions, &cursor)) != NULL)
        watch_region(o, r);
    cursor = 0;
    while ((t = idmap_next(&o->model.tasks, &cursor)) != NULL)
        watch_task(o, t);
}

static void
limits_fini(struct oracles *o)
{
    due_fini(&o->limits_region);
    due_fini(&o->limits_task);
}

const struct oracle_family oracle_limits = {
    .learn = limits_learn,
    .after = limits_after,
    .fini = limits_fini,
};
