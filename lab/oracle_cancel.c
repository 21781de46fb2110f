/* SPDX-License-Identifier: MIT */
/*
 * Cancelling.
 *
 *   cancel-propagates  a cancel reaches all below, in order, in one step; asking
 *                      again only strengthens: the reason gets no weaker and T
 *                      comes no later (R-REG-5, R-CAN-1, R-REG-6)
 *   cancel-debt        T is no further away than the allowance, extensions stay
 *                      within it, what still runs at T is killed, and a region
 *                      that is late is named (R-CAN-2, R-REG-6, R-REG-8)
 */
#include "asupersync/values.h"
#include "lab/oracle_internal.h"

static asup_time
later(asup_time at, uint64_t ns)
{
    return at > ASUP_NEVER - ns ? ASUP_NEVER : at + ns;
}

/* ---- cancel-propagates ---------------------------------------------------------------- */

static void
reaches(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_CANCEL_PROPAGATES);
    if (!fine)
        complain(o, ASUP_ORACLE_CANCEL_PROPAGATES, ev, "%s", promise);
}

static void
strengthened(struct oracles *o, const struct judged_step *s, const struct event *ev, bool cancelled,
             uint8_t kind, asup_time drain_end)
{
    struct reason_view reason;

    reaches(o, ev, ev->value <= drain_end,
            "R-REG-6: a later request brings T forward, and never back");
    if (!cancelled || kernel_reason(s->k, ev->reason, &reason, 1) == 0)
        return;
    reaches(o, ev, asup_cancel_tier(reason.key.kind) >= asup_cancel_tier(kind),
            "R-CAN-1: a cancel reason only gets stronger");
}

/* R-REG-5: a region, then its tasks by id. */
static void
ordered(struct oracles *o, const struct event *ev)
{
    if (ev->kind == EV_REGION_CANCEL_REQUESTED) {
        o->cascade_region = ev->region;
        o->cascade_reason = ev->reason;
        o->cascade_task = 0;
    } else if (ev->kind == EV_TASK_CANCEL_REQUESTED) {
        if (ev->region != o->cascade_region || ev->reason != o->cascade_reason)
            return;
        reaches(o, ev, ev->task > o->cascade_task, "R-REG-5: a cancel reaches tasks by their ids");
        o->cascade_task = ev->task;
    } else if (ev->kind != EV_REGION_SEALED) {
        o->cascade_region = 0;
    }
}

/* All that is below it, after the step. */
static void
reached_after(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct region_view r;
    struct region_view c;
    struct task_view t;

    if (!kernel_region(s->k, ev->region, &r) || r.state == ASUP_REGION_CLOSED)
        return;
    for (uint64_t id = r.child_first; id != 0 && kernel_region(s->k, id, &c); id = c.sibling_next) {
        reaches(o, ev, c.sealed, "R-REG-3: an end seals all below");
        if (!r.cancelled || c.state >= ASUP_REGION_FINALIZING)
            continue;
        reaches(o, ev, c.cancelled, "R-REG-5: a cancel reaches all regions below");
        reaches(o, ev, c.soft || c.drain_end <= r.drain_end,
                "R-REG-6: one drain end serves all below");
    }
    for (uint64_t id = r.task_first; id != 0 && r.cancelled && kernel_task(s->k, id, &t);
         id = t.next) {
        const struct seen_task *seen = model_task(&o->model, id);

        reaches(o, ev, t.reason != 0, "R-REG-5: a cancel reaches all tasks of the region");
        if (seen != NULL && !seen->learned)
            reaches(o, ev, seen->drain_end <= r.drain_end,
                    "R-REG-6: one drain end serves all tasks of the region");
    }
}

/* ---- cancel-debt -------------------------------------------------------------------------- */

static void
debt(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_CANCEL_DEBT);
    if (!fine)
        complain(o, ASUP_ORACLE_CANCEL_DEBT, ev, "%s", promise);
}

/* R-CAN-2: the drain option, else the default of the cause; more severe never gets more. What is
 * not stronger than the reason that stands has its own allowance still, and no more than User. */
static void
allowed(struct oracles *o, const struct judged_step *s, const struct event *ev,
        const struct seen_region *r)
{
    struct reason_view reason;
    uint64_t preset = ASUP_NEVER;

    if (ev->value == ASUP_NEVER || ev->value >= r->drain_end || r->learned ||
        kernel_reason(s->k, ev->reason, &reason, 1) == 0)
        return;
    if (r->drain_ns != ASUP_NEVER)
        debt(o, ev, ev->value <= later(ev->at, r->drain_ns),
             "R-CAN-2: T is no further away than the region's drain option");
    /* A milder request may bring T where there was none, and leaves the reason as it was. */
    if (reason.key.kind == ASUP_CANCEL_PARENT_CANCELLED || reason.key.at != ev->at)
        return;
    if (r->cancelled && ev->reason == r->reason)
        reason.key.kind = ASUP_CANCEL_USER;
    for (unsigned tier = 0; tier <= asup_cancel_tier(reason.key.kind); tier++) {
        if (o->config.allowance[tier].drain_ns < preset)
            preset = o->config.allowance[tier].drain_ns;
    }
    if (r->drain_ns == ASUP_NEVER || reason.key.kind == ASUP_CANCEL_SHUTDOWN)
        debt(o, ev, ev->value <= later(ev->at, preset),
             "R-CAN-2: T is no further away than the allowance of its cause");
}

static void
task_due(struct oracles *o, const struct due *due)
{
    const struct seen_task *t = model_task(&o->model, due->id);

    if (t == NULL || t->state == ASUP_TASK_COMPLETED || t->drain_end > due->at)
        return;
    judge(o, ASUP_ORACLE_CANCEL_DEBT);
    if (t->call ? t->started : t->ordered && !t->escalated)
        complain(o, ASUP_ORACLE_CANCEL_DEBT, NULL,
                 "R-REG-8: t%llu of r%llu still runs at T, %llu ns, and is not ended by force",
                 (unsigned long long)t->id, (unsigned long long)t->region,
                 (unsigned long long)due->at);
}

static void
region_due(struct oracles *o, const struct judged_step *s, const struct due *due)
{
    const struct seen_region *r = model_region(&o->model, due->id);
    struct region_view v;

    if (r == NULL || r->state == ASUP_REGION_CLOSED || !kernel_region(s->k, due->id, &v) ||
        v.close_by == ASUP_NEVER || later(v.close_by, o->config.kill_grace_ns) > s->now)
        return;
    judge(o, ASUP_ORACLE_CANCEL_DEBT);
    if (!v.close_timeout)
        complain(o, ASUP_ORACLE_CANCEL_DEBT, NULL,
                 "R-REG-8: r%llu was to be Closed by %llu ns, is not, and nobody is told",
                 (unsigned long long)r->id, (unsigned long long)v.close_by);
}

/* ---- The family ------------------------------------------------------------------------------ */

static void
cancel_before(struct oracles *o, const struct judged_step *s)
{
    (void)s;
    o->cascade_region = 0;
}

static void
cancel_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_region *r;
    const struct seen_task *t;

    ordered(o, ev);
    if (ev->kind == EV_REGION_CANCEL_REQUESTED) {
        r = model_region(&o->model, ev->region);
        if (r == NULL)
            return;
        strengthened(o, s, ev, r->cancelled, r->reason_kind, r->drain_end);
        allowed(o, s, ev, r);
    } else if (ev->kind == EV_TASK_CANCEL_REQUESTED) {
        t = model_task(&o->model, ev->task);
        if (t == NULL)
            return;
        strengthened(o, s, ev, t->cancelled, t->reason_kind, t->drain_end);
        if (ev->value != ASUP_NEVER)
            due_add(&o->drain_ends, ev->value, ev->task);
    } else if (ev->kind == EV_TASK_EXTENDED) {
        t = model_task(&o->model, ev->task);
        if (t != NULL && !t->finalizer && !t->learned)
            debt(o, ev, ev->value <= t->drain_end, "R-REG-6: an extension is never beyond T");
    }
}

static void
cancel_after(struct oracles *o, const struct judged_step *s)
{
    struct region_view v;
    struct due due;

    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        if (ev->kind != EV_REGION_CANCEL_REQUESTED && ev->kind != EV_REGION_SEALED)
            continue;
        reached_after(o, s, ev);
        if (kernel_region(s->k, ev->region, &v) && v.close_by != ASUP_NEVER)
            due_add(&o->close_bys, later(v.close_by, o->config.kill_grace_ns), ev->region);
    }
    if (s->busy)
        return;
    while (due_take(&o->drain_ends, s->now, &due))
        task_due(o, &due);
    while (due_take(&o->close_bys, s->now, &due))
        region_due(o, s, &due);
}

static void
cancel_learn(struct oracles *o, const struct kernel *k)
{
    (void)k;
    due_clear(&o->drain_ends);
    due_clear(&o->close_bys);
}

static void
cancel_fini(struct oracles *o)
{
    due_fini(&o->drain_ends);
    due_fini(&o->close_bys);
}

const struct oracle_family oracle_cancel = {
    .learn = cancel_learn,
    .before = cancel_before,
    .event = cancel_event,
    .after = cancel_after,
    .fini = cancel_fini,
};
