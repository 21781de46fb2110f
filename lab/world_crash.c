/* SPDX-License-Identifier: MIT */
/*
 * The engine dies, alone, with the keeper, or with the machine; and comes back:
 * a kernel folds the journal, hears the keeper's rows, and resumes (durable.h).
 * All that is durable must be as it was, as far as it was committed.
 */
#include <string.h>

#include "lab/world_state.h"

void
crash(struct world *w, bool keeper, bool machine)
{
    w->up = false;
    w->quiescent = false;
    w->engine_run++;
    w->report->crashes++;
    w->told.all_on_disk = disk_crash(w);
    exchanges_clear(w);
    memset(w->attached, 0, sizeof w->attached);
    clients_engine_died(w);
    if (keeper)
        keeper_die(w);
    w->boot += machine;
    agenda_add(w, (struct agenda_item){.at = w->now + 5 * ASUP_NS_PER_MS +
                                             (uint64_t)dice(w, 2000) * ASUP_NS_PER_MS,
                                       .kind = AGENDA_ENGINE,
                                       .life = w->engine_run});
}

/* ---- With everything committed, all that is durable is as it was --------------------------- */

static bool
inside_volatile(const struct kernel *k, uint64_t region)
{
    struct region_view r;

    return kernel_region(k, region, &r) && r.is_volatile;
}

static bool
region_is_as_it_was(const struct region_view *r0, const struct region_view *r1)
{
    return r0->state == r1->state && r0->uid == r1->uid && r0->cancelled == r1->cancelled &&
           r0->reason == r1->reason && r0->drain_end == r1->drain_end &&
           r0->cost_spent == r1->cost_spent && r0->has_outcome == r1->has_outcome &&
           r0->session == r1->session &&
           (!r0->has_outcome || (r0->outcome.key.severity == r1->outcome.key.severity &&
                                 r0->outcome.key.origin == r1->outcome.key.origin));
}

static bool
task_is_as_it_was(const struct task_view *t0, const struct task_view *t1)
{
    return t0->state == t1->state && t0->region == t1->region && t0->reason == t1->reason &&
           t0->start_ordered == t1->start_ordered && t0->started == t1->started &&
           t0->escalated == t1->escalated && t0->pid == t1->pid && t0->due_at == t1->due_at &&
           t0->has_outcome == t1->has_outcome &&
           (!t0->has_outcome || (t0->outcome.key.severity == t1->outcome.key.severity &&
                                 t0->outcome.exit_code == t1->outcome.exit_code));
}

static void
state_check(struct world *w, const struct kernel *before, const struct kernel *after)
{
    for (uint64_t id = 1; id <= kernel_id_last(before); id++) {
        struct region_view r0;
        struct region_view r1;
        struct task_view t0;
        struct task_view t1;

        if (kernel_region(before, id, &r0) && !r0.is_volatile &&
            (!kernel_region(after, id, &r1) || !region_is_as_it_was(&r0, &r1)))
            world_fail(w, "R-EVT-1: r%llu is not what it was", (unsigned long long)id);
        if (kernel_task(before, id, &t0) && !inside_volatile(before, t0.region) &&
            (!kernel_task(after, id, &t1) || !task_is_as_it_was(&t0, &t1)))
            world_fail(w, "R-EVT-1: t%llu is not what it was", (unsigned long long)id);
    }
}

/* ---- Coming back ------------------------------------------------------------------------------
 */

void
crash_return(struct world *w)
{
    struct input in = {.kind = IN_RESUMED};
    struct kernel *former = w->kernel;
    bool same_boot = w->boot == w->disk.boot;
    asup_time at = same_boot ? kernel_now(w) : 0;
    uint64_t id_first = kernel_id_last(former) + 1;
    uint64_t seq_first = kernel_event_seq(former) + 1;

    deed(w, DEED_FOLD);
    w->kernel = disk_fold(w, at);
    kernel_free(w->shadow);
    w->shadow = disk_fold(w, at);
    if (w->kernel == NULL || w->shadow == NULL) {
        kernel_free(former);
        return;
    }
    if (!same_boot) {
        w->shift = (int64_t)kernel_event_time(w->kernel) - (int64_t)w->now;
        w->kernel_last = kernel_event_time(w->kernel);
    }
    told_check(w, former, w->kernel);
    if (w->told.all_on_disk)
        state_check(w, former, w->kernel);
    kernel_free(former);
    w->up = true;
    w->resumed_seq = UINT64_MAX; /* until it is known */
    oracles_recovered(w->oracles, w->kernel, kernel_durable_seq(w->kernel));
    if (w->options.on_begin != NULL)
        w->options.on_begin(w->options.ctx, w->kernel);
    rows_adopt(w);
    in.u.resumed.same_keeper = w->keeper_run == w->disk.keeper;
    in.u.resumed.same_boot = same_boot;
    in.u.resumed.id_first = id_first;
    in.u.resumed.seq_first = seq_first;
    w->resuming = in.u.resumed.same_keeper && same_boot;
    (void)world_step(w, &in);
    w->resuming = false;
    w->resumed_seq = kernel_durable_seq(w->kernel);
    if (kernel_recovering(w->kernel))
        world_fail(w, "R-TSK-5: it did not resume");
}
