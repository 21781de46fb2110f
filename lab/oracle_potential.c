/* SPDX-License-Identifier: MIT */
/*
 * potential (R-SCH-3): V is 0 exactly when only "/" remains; while nothing is
 * admitted no step raises it; and it weighs what the rule says: here it is added
 * up from the events (but for sagas, whose steps only the kernel weighs).
 */
#include "lab/oracle_internal.h"

static bool
admits(enum event_kind kind)
{
    switch (kind) {
    case EV_REGION_OPENED:
    case EV_TASK_CREATED:
    case EV_FINALIZER_REGISTERED:
    case EV_OBLIGATION_RESERVED:
    case EV_SAGA_BEGUN:
    case EV_SAGA_STEP_BEGUN:
    case EV_SAGA_RESOLVED:
    case EV_CALL_RETRIED:
        return true;
    default:
        return false;
    }
}

static uint64_t
weigh(const struct model *m)
{
    const struct seen_region *root = model_region(m, ASUP_ROOT_ID);
    uint64_t v = m->obligations.count + m->stack_entries;

    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++)
        v += (uint64_t)m->tasks_in[s] * (ASUP_TASK_COMPLETED - s);
    for (unsigned s = 0; s < ASUP_REGION_CLOSED; s++)
        v += (uint64_t)m->regions_in[s] * (ASUP_REGION_CLOSED - s);
    return root == NULL ? v : v - (ASUP_REGION_CLOSED - root->state);
}

static bool
only_root(const struct model *m)
{
    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++) {
        if (m->tasks_in[s] > 0)
            return false;
    }
    return m->regions.count <= 1 && m->obligations.count == 0 && m->stack_entries == 0;
}

static void
potential_after(struct oracles *o, const struct judged_step *s)
{
    uint64_t v = kernel_potential(s->k);
    bool admitted = false;
    const struct event *last =
        s->out->event_count == 0 ? NULL : &s->out->events[s->out->event_count - 1];

    for (size_t i = 0; i < s->out->event_count; i++)
        admitted = admitted || admits(s->out->events[i].kind);
    judge(o, ASUP_ORACLE_POTENTIAL);
    if (o->potential_known && !admitted && v > o->potential)
        complain(o, ASUP_ORACLE_POTENTIAL, last,
                 "R-SCH-3: nothing was admitted, and the potential rose from %llu to %llu",
                 (unsigned long long)o->potential, (unsigned long long)v);
    else if ((v == 0) != only_root(&o->model))
        complain(o, ASUP_ORACLE_POTENTIAL, last,
                 "R-SCH-3: the potential is %llu, and %s but \"/\" remains", (unsigned long long)v,
                 v == 0 ? "more" : "nothing");
    else if (o->model.sagas == 0 && v != weigh(&o->model))
        complain(o, ASUP_ORACLE_POTENTIAL, last,
                 "R-SCH-3: the potential is %llu, and what is left weighs %llu",
                 (unsigned long long)v, (unsigned long long)weigh(&o->model));
    o->potential = v;
    o->potential_known = true;
}

static void
potential_learn(struct oracles *o, const struct kernel *k)
{
    o->potential = kernel_potential(k);
    o->potential_known = true;
}

const struct oracle_family oracle_potential = {
    .learn = potential_learn,
    .after = potential_after,
};
