/* SPDX-License-Identifier: MIT */
/*
 * Picking from the lanes (§7, R-SCH-2): cancel before timed before ready, but
 * after `fairness` picks in a row from the cancel lane one that waited
 * elsewhere, and after as many timed ones one that was ready. Twice as many
 * cancels are allowed while draining is advised. Starts go out only while fewer
 * than `start_window` are unanswered; one that gets no answer in time, as from a
 * file system that hangs, no longer counts, or a few of them would hold up all.
 */
#include "core/decide.h"

static bool
draining_advised(const struct kernel *k)
{
    enum kernel_advice advice = kernel_advice(k);

    return advice == ADVICE_DRAIN_REGIONS || advice == ADVICE_DRAIN_OBLIGATIONS;
}

static bool
can_start(const struct kernel *k)
{
    return k->starting < k->config.start_window;
}

/* Leftovers of a main process that ended in this very step: mostly there are
 * none, and the fact that says so comes with the next input. The signal waits
 * for one step. */
static bool
too_fresh(const struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);

    return k->stepping && (t->flags & TASK_ENDED) != 0 && t->lane_step == (uint8_t)k->steps;
}

/* The next entry and its lane; NIL: nothing can be picked now. */
static uint32_t
pick(const struct kernel *k)
{
    bool start = can_start(k);
    bool timed = start && k->lane_count[LANE_TIMED] > 0;
    bool ready = start && k->lane_count[LANE_READY] > 0;
    bool finalizer = start && k->finalizers.first != NIL;
    bool signal = k->signals.first != NIL && !too_fresh(k, k->signals.first);
    bool cancel = finalizer || signal;
    uint32_t most = k->config.fairness * (draining_advised(k) ? 2 : 1);

    if (cancel && (PLANTED(FAIRNESS) || k->cancel_run < most || !(timed || ready))) {
        if (!signal || (finalizer && k->finalizer_turn))
            return k->finalizers.first;
        return k->signals.first;
    }
    if (timed && (k->timed_run < k->config.fairness || !ready))
        return k->timed.items[PLANTED(PRIORITY_INVERSION) ? k->timed.count - 1 : 0].record;
    return ready ? lane_ready_next(k) : NIL;
}

bool
dispatch_waiting(const struct kernel *k)
{
    return pick(k) != NIL || calls_waiting(k);
}

void
order_signal(struct kernel *k, uint32_t i)
{
    effect_of_task(k, FX_SIGNAL, i)->signal = task_at(k, i)->cancel_signal;
}

void
order_start(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct effect *fx = effect_of_task(k, FX_START, i);

    fx->region = region_at(k, t->region)->id;
    fx->uid = t->run_uid;
    fx->spec = task_spec(k, t);
}

#ifdef ASUP_PLANTED
static unsigned planted_turn;
#endif

void
dispatch(struct kernel *k)
{
    for (uint32_t n = 0; n < k->config.picks_per_step; n++) {
        uint32_t i = pick(k);
        struct event ev;

        if (i == NIL)
            break;
#ifdef ASUP_PLANTED
        if (PLANTED(DETERMINISM) && ++planted_turn % 5 == 0)
            break;
#endif
        if (task_at(k, i)->lane == LANE_SIGNAL) {
            ev = event_of_task(EV_TASK_CANCEL_SENT, k, i);
            ev.value = task_at(k, i)->cancel_signal;
            emit(k, ev);
            order_signal(k, i);
        } else {
            emit(k, event_of_task(EV_TASK_START_ORDERED, k, i));
            order_start(k, i);
        }
    }
    calls_dispatch(k);
}
