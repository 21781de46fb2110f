/* SPDX-License-Identifier: MIT */
/*
 * What a crash may not undo. What was durable when a kernel died is so in the
 * one that comes back: what ended has ended (R-TSK-6, R-OBL-1, R-SAG-3), and when
 * nothing durable was lost, what lived is there (R-EVT-1, R-DUR-1).
 *
 * Of what ended the last few thousand are remembered.
 */
#include <stdlib.h>

#include "core/durable.h"
#include "lab/oracle_internal.h"

enum { PAST_MOST = 4096 };

struct past {
    uint64_t seq;
    uint64_t id;
    uint64_t part; /* a saga's step */
    enum event_kind kind;
};

/* ---- Remembering ---------------------------------------------------------------------- */

static uint64_t
past_id(const struct event *ev)
{
    switch (ev->kind) {
    case EV_TASK_COMPLETED:
    case EV_FINALIZER_DONE:
        return ev->task;
    case EV_REGION_CLOSED:
        return ev->region;
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
    case EV_MESSAGE_CONSUMED:
    case EV_SAGA_STEP_UNDONE:
        return ev->subject;
    default:
        return 0;
    }
}

void
past_event(struct oracles *o, const struct event *ev)
{
    uint64_t id = past_id(ev);

    if (!ev->durable)
        return;
    o->durable_last = ev->seq;
    if (id == 0 || (ev->kind == EV_REGION_CLOSED && id == ASUP_ROOT_ID))
        return;
    if (o->past == NULL)
        o->past = oracle_memory(NULL, PAST_MOST * sizeof o->past[0]);
    o->past[o->past_count++ % PAST_MOST] =
        (struct past){.seq = ev->seq, .id = id, .part = ev->value, .kind = ev->kind};
}

void
past_fini(struct oracles *o)
{
    free(o->past);
}

/* ---- What ended has ended --------------------------------------------------------------- */

static void
undone_by_crash(struct oracles *o, enum asup_oracle which, const struct past *p, bool fine,
                const char *promise)
{
    judge(o, which);
    if (!fine)
        complain(o, which, NULL, "%s: %llu, by event %llu (%s), which was durable", promise,
                 (unsigned long long)p->id, (unsigned long long)p->seq, event_kind_name(p->kind));
}

static void
ended_check(struct oracles *o, const struct kernel *k, const struct past *p)
{
    struct task_view task;
    struct region_view region;
    struct obligation_view obligation;
    struct message_view message;
    struct saga_step_view step;

    switch (p->kind) {
    case EV_TASK_COMPLETED:
        undone_by_crash(o, ASUP_ORACLE_TASK_LEAK, p,
                        !kernel_task(k, p->id, &task) || task.state == ASUP_TASK_COMPLETED,
                        "R-TSK-6: a task that completed is live again");
        break;
    case EV_FINALIZER_DONE:
        undone_by_crash(o, ASUP_ORACLE_FINALIZERS, p,
                        !kernel_task(k, p->id, &task) || task.state == ASUP_TASK_COMPLETED,
                        "R-SAG-3: a finalizer that was done is to run again");
        break;
    case EV_REGION_CLOSED:
        undone_by_crash(o, ASUP_ORACLE_QUIESCENCE, p,
                        !kernel_region(k, p->id, &region) || region.state == ASUP_REGION_CLOSED,
                        "R-REG-4: a region that was Closed is live again");
        break;
    case EV_MESSAGE_CONSUMED:
        undone_by_crash(o, ASUP_ORACLE_MESSAGE_LOST, p, !kernel_message(k, p->id, &message),
                        "§4: a message that was consumed is there again");
        break;
    case EV_SAGA_STEP_UNDONE:
        undone_by_crash(o, ASUP_ORACLE_SAGA_ORDER, p,
                        !kernel_saga_step(k, p->id, (uint32_t)p->part, &step) ||
                            step.state == STEP_COMPENSATED,
                        "R-SAG-3: a step that was undone is to be undone again");
        break;
    default:
        undone_by_crash(o, ASUP_ORACLE_OBLIGATION_LINEAR, p,
                        !kernel_obligation(k, p->id, &obligation),
                        "R-OBL-1: an obligation that was resolved is owed again");
        break;
    }
}

/* ---- What lived is there ------------------------------------------------------------------- */

static bool
durable_region(const struct oracles *o, uint64_t id)
{
    const struct seen_region *r = model_region(&o->model, id);

    return r != NULL && !r->is_volatile;
}

static void
lived_check(struct oracles *o, const struct kernel *k)
{
    const struct seen_region *r;
    const struct seen_task *t;
    const struct seen_obligation *b;
    struct region_view region;
    struct task_view task;
    struct obligation_view obligation;
    size_t cursor = 0;

    while ((r = idmap_next(&o->model.regions, &cursor)) != NULL) {
        if (!durable_region(o, r->id))
            continue;
        judge(o, ASUP_ORACLE_REGION_TREE);
        if (!kernel_region(k, r->id, &region) || region.state != r->state)
            complain(
                o, ASUP_ORACLE_REGION_TREE, NULL,
                "R-EVT-1: r%llu, which is durable, is not there after a crash, or not as it was",
                (unsigned long long)r->id);
    }
    cursor = 0;
    while ((t = idmap_next(&o->model.tasks, &cursor)) != NULL) {
        if (!durable_region(o, t->region))
            continue;
        judge(o, ASUP_ORACLE_TASK_LEAK);
        if (!kernel_task(k, t->id, &task) || task.state != t->state)
            complain(
                o, ASUP_ORACLE_TASK_LEAK, NULL,
                "R-EVT-1: t%llu, which is durable, is not there after a crash, or not as it was",
                (unsigned long long)t->id);
    }
    cursor = 0;
    while ((b = idmap_next(&o->model.obligations, &cursor)) != NULL) {
        if (!durable_region(o, b->region))
            continue;
        judge(o, ASUP_ORACLE_OBLIGATION_LINEAR);
        if (!kernel_obligation(k, b->id, &obligation))
            complain(o, ASUP_ORACLE_OBLIGATION_LINEAR, NULL,
                     "R-EVT-1: o%llu, which is durable, is not owed after a crash",
                     (unsigned long long)b->id);
    }
}

void
past_check(struct oracles *o, const struct kernel *k, uint64_t seq)
{
    size_t first = o->past_count > PAST_MOST ? o->past_count - PAST_MOST : 0;

    for (size_t i = first; i < o->past_count; i++) {
        const struct past *p = &o->past[i % PAST_MOST];

        if (p->seq <= seq)
            ended_check(o, k, p);
    }
    /* What came after never happened; what comes now has its numbers. */
    for (size_t i = first; i < o->past_count; i++) {
        if (o->past[i % PAST_MOST].seq > seq)
            o->past[i % PAST_MOST].seq = UINT64_MAX;
    }
    if (o->begun && !o->stale && kernel_recovering(k) && o->durable_last <= seq) {
        lived_check(o, k);
        channels_check(o, k);
    }
    o->durable_last = seq;
}
