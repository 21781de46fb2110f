/* SPDX-License-Identifier: MIT */
/* The model as the views of a kernel have it: where a trace begins in the middle,
 * and after a crash. */
#include "lab/oracle_model_parts.h"

static void
learn_task(struct model *m, const struct kernel *k, uint64_t id, bool finalizer, bool undo)
{
    struct task_view v;
    struct seen_task *t;

    if (!kernel_task(k, id, &v) || v.state == ASUP_TASK_COMPLETED)
        return;
    t = model_task_new(m, k, id, v.region);
    t->learned = true;
    if (finalizer)
        model_masked_from_cancel(t);
    t->undo = undo;
    t->begun = undo || (finalizer && v.start_ordered);
    t->ordered = v.start_ordered;
    t->started = v.started;
    t->started_at = v.started_at;
    t->ended = v.main_ended;
    t->escalated = v.escalated;
    t->mask_left = v.mask_left;
    t->cancelled = v.reason != 0;
    t->delayed = v.due_at != 0 && !v.start_ordered; /* or due by now: not known */
    model_task_state(m, t, v.state);
    if (t->cancelled) {
        struct reason_view reason;

        t->drain_end = ASUP_NEVER;
        if (kernel_reason(k, v.reason, &reason, 1) > 0)
            t->reason_kind = reason.key.kind;
    }
}

static void
learn_saga(struct model *m, const struct kernel *k, uint64_t id)
{
    struct saga_view saga;
    struct saga_step_view step;

    if (!kernel_saga(k, id, &saga))
        return;
    for (uint32_t n = 1; n <= saga.step_count; n++) {
        if (kernel_saga_step(k, id, n, &step) && step.undo != 0)
            learn_task(m, k, step.undo, true, true);
    }
}

static void
learn_stack(struct model *m, const struct kernel *k, struct seen_region *r)
{
    struct asup_ref none = {0};
    struct asup_ref entry = kernel_stack_next(k, r->id, none);
    size_t first = r->stack_count;

    for (; entry.sort != ASUP_SORT_NONE; entry = kernel_stack_next(k, r->id, entry)) {
        model_stack_push(m, r, entry);
        if (entry.sort == ASUP_SORT_SAGA)
            learn_saga(m, k, entry.id);
        else
            learn_task(m, k, entry.id, true, false);
    }
    /* It was told from the top. */
    for (size_t a = first, b = r->stack_count; a + 1 < b; a++) {
        struct asup_ref swap = r->stack[a];

        r->stack[a] = r->stack[--b];
        r->stack[b] = swap;
    }
}

static void
learn_obligations(struct model *m, const struct kernel *k, struct seen_region *r)
{
    struct obligation_view v;
    uint64_t id = 0;

    while ((id = kernel_obligation_next(k, r->id, id)) != 0) {
        struct seen_obligation *o = idmap_add(&m->obligations, id);

        if (!kernel_obligation(k, id, &v))
            continue;
        o->region = r->id;
        o->holder = v.holder;
        o->kind = v.kind;
        model_obligation_learn(k, o);
        r->ledger[o->kind]++;
        if (id > m->obligation_last)
            m->obligation_last = id;
    }
}

static void
learn_region(struct model *m, const struct kernel *k, const struct region_view *v)
{
    struct seen_region *r = model_region_new(m, k, v->id, v->parent);
    struct reason_view reason;
    struct task_view t;
    uint64_t id = 0;

    r->learned = true;
    model_region_state(m, r, v->state);
    r->sealed = v->sealed;
    r->cancelled = v->cancelled;
    r->decided = v->decided;
    r->drain_end = v->drain_end;
    r->leaks = v->leaks;
    r->reason = v->reason;
    if (v->reason != 0 && kernel_reason(k, v->reason, &reason, 1) > 0)
        r->reason_kind = reason.key.kind;
    for (id = v->task_first; id != 0 && kernel_task(k, id, &t); id = t.next) {
        learn_task(m, k, id, false, false);
        r->tasks++;
        r->participants++;
    }
    learn_stack(m, k, r);
    learn_obligations(m, k, r);
    id = 0;
    while ((id = kernel_channel_next(k, v->id, id)) != 0)
        r->channels++;
}

static void
learn_holders(struct model *m, const struct kernel *k)
{
    size_t cursor = 0;
    struct seen_obligation *o;
    struct holder_view v;

    while ((o = idmap_next(&m->obligations, &cursor)) != NULL) {
        struct seen_task *t = o->holder.sort == ASUP_SORT_TASK ? model_task(m, o->holder.id) : NULL;

        if (t == NULL)
            continue;
        t->held++;
        if (kernel_holder(k, o->holder, &v)) {
            t->progress_at = v.progress_at;
            t->stuck = v.stuck;
        }
    }
}

/* The tree from "/" down, children after their parent, without recursion. */
void
model_learn(struct model *m, const struct kernel *k)
{
    uint64_t at = ASUP_ROOT_ID;
    struct region_view v;
    struct session_view s;

    model_clear(m);
    while (at != 0 && kernel_region(k, at, &v)) {
        learn_region(m, k, &v);
        if (v.child_first != 0) {
            at = v.child_first;
            continue;
        }
        while (v.id != ASUP_ROOT_ID && v.sibling_next == 0 && kernel_region(k, v.parent, &v))
            ;
        at = v.id == ASUP_ROOT_ID ? 0 : v.sibling_next;
    }
    for (uint64_t id = kernel_session_next(k, 0); id != 0; id = kernel_session_next(k, id)) {
        struct seen_session *seen = idmap_add(&m->sessions, id);

        if (kernel_session(k, id, &s))
            seen->uid = s.uid;
    }
    learn_holders(m, k);
}
