/* SPDX-License-Identifier: MIT */
/*
 * Spending (R-BUD-2, R-BUD-3): checkpoints spend polls; progress reports and
 * CPU milliseconds spend cost. What a task spends is charged to every ancestor;
 * whoever runs out is cancelled, ancestors first. Once a task is cancelled it
 * lives on a fresh allowance, and what it spends is nobody's work budget
 * (R-CAN-2).
 */
#include "core/decide.h"

int
task_spend_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = in->task == 0 ? NIL : task_of_id(k, in->task);
    const struct task *t;

    if (i == NIL)
        return REFUSE(why, ASUP_ENOTFOUND, "there is no such task");
    t = task_at(k, i);
    /* A report is its own; so whoever shows its capability needs no right. For a call its worker
     * speaks, wherever that is. */
    if (!task_is_call(t) && in->caller.task != in->task &&
        (in->caller.cx != 0 || in->caller.task != 0 || in->caller.uid != t->run_uid) &&
        authorize_owned(k, &in->caller, t->region, t->uid, ASUP_RIGHT_CANCEL, why) != 0)
        return why->code;
    if (!task_is_call(t) && (t->flags & TASK_STARTED) == 0)
        return REFUSE(why, ASUP_EINVALID, "the task has not started");
    if (task_is_call(t))
        return call_speaker_check(k, &in->caller, t, why);
    if ((t->flags & TASK_ENDED) != 0)
        return REFUSE(why, ASUP_EINVALID, "the task has ended");
    return 0;
}

/* Whether spending `amount` more, up to `spent`, was what used the quota up. */
static bool
ran_out(uint64_t spent, uint64_t amount, uint64_t quota)
{
    uint64_t before = spent - amount;

    return spent >= quota && (before < quota || before == 0);
}

static struct cancel
exhausted(uint8_t kind, uint8_t sort, uint64_t origin)
{
    const char *message =
        kind == ASUP_CANCEL_POLL_QUOTA ? "its checkpoints are spent" : "its cost budget is spent";

    return (struct cancel){
        .kind = kind,
        .origin_sort = sort,
        .origin = origin,
        .message = {message, strlen(message)},
        .drain_ns = ASUP_NEVER,
        .end_most = ASUP_NEVER,
    };
}

/* Cancel whoever ran out by this, from the top down. */
static void
charge_follow(struct kernel *k, uint32_t i, bool polls, uint64_t amount)
{
    const struct task *t = task_at(k, i);
    uint8_t kind = polls ? ASUP_CANCEL_POLL_QUOTA : ASUP_CANCEL_COST_BUDGET;
    uint32_t path[ASUP_DEPTH_MAX + 2];
    uint32_t count = 0;
    struct cancel c;
    bool own;

    for (uint32_t at = t->region; at != NIL; at = region_at(k, at)->parent) {
        const struct region *r = region_at(k, at);
        bool out =
            polls ? r->poll_quota != UINT32_MAX && ran_out(r->polls_spent, amount, r->poll_quota)
                  : r->cost_quota != UINT64_MAX && ran_out(r->cost_spent, amount, r->cost_quota);

        if (out)
            path[count++] = at;
    }
    while (count > 0) {
        uint32_t at = path[--count];

        c = exhausted(kind, ASUP_SORT_REGION, region_at(k, at)->id);
        cancel_region(k, at, &c);
    }
    own = polls ? t->poll_quota != UINT32_MAX && ran_out(t->polls_spent, amount, t->poll_quota)
                : t->cost_quota != UINT64_MAX && ran_out(t->cost_spent, amount, t->cost_quota);
    if (own && (t->flags & TASK_ENDED) == 0) {
        c = exhausted(kind, ASUP_SORT_TASK, t->id);
        cancel_task(k, i, &c);
    }
}

static void
charge_cost(struct kernel *k, uint32_t i, uint64_t cost, uint32_t cpu_ms, bool sampled)
{
    const struct task *t = task_at(k, i);
    bool working = t->reason == 0 && (t->flags & TASK_FINALIZER) == 0;
    struct charge_payload payload = {.cpu_ms = cpu_ms, .sampled = sampled, .to_ancestors = working};
    struct event ev = event_of_task(EV_TASK_CHARGED, k, i);

    ev.value = cost;
    ev.payload = &payload;
    ev.payload_size = sizeof payload;
    emit(k, ev);
    if (!working || cost == 0)
        return;
    if ((region_at(k, t->region)->flags & REGION_VOLATILE) != 0) {
        ev = event_of_region(EV_REGION_CHARGED, k, region_volatile_top(k, t->region));
        ev.value = cost;
        emit(k, ev);
    }
    charge_follow(k, i, false, cost);
}

static bool
is_masked(const struct input *in)
{
    return (in->kind == IN_TASK_CHECKPOINT && in->u.checkpoint.masked) ||
           (in->kind == IN_TASK_PROGRESS && in->u.progress.masked);
}

/* A repeat spends nothing and observes nothing; nor does it tell of a cancel
 * that nothing has acknowledged. */
bool
task_spend_masked(const struct kernel *k, const struct input *in)
{
    uint32_t i = in->task != 0 && is_masked(in) ? task_of_id(k, in->task) : NIL;

    return i != NIL && (task_at(k, i)->flags & TASK_ACKED) == 0;
}

/* R-TSK-3: a mask holds as long as there is one left to spend; else the report
 * observes a cancel (R-TSK-2), one that it brought about included. */
static bool
report_observe(struct kernel *k, const struct input *in, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct event ev = event_of_task(EV_TASK_MASKED, k, i);

    if (is_masked(in) && t->run.mask_left > 0 &&
        !(PLANTED(CANCEL_PROTOCOL) && t->state == ASUP_TASK_CANCEL_REQUESTED)) {
        ev.value = t->run.mask_left - 1;
        emit(k, ev);
        return true;
    }
    if (t->state == ASUP_TASK_CANCEL_REQUESTED)
        emit(k, event_of_task(EV_TASK_CANCEL_ACKED, k, i));
    return false;
}

struct asup_ref
task_spend(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = task_of_id(k, in->task);
    const struct task *t = task_at(k, i);
    bool working = t->reason == 0 && (t->flags & TASK_FINALIZER) == 0;

    if (task_is_call(t))
        worker_seen(k, call_of(k, t)->worker);
    if (in->kind == IN_TASK_PROGRESS) {
        if (in->u.progress.cost > 0)
            charge_cost(k, i, in->u.progress.cost, 0, false);
    } else {
        emit(k, event_of_task(EV_TASK_CHECKPOINTED, k, i));
        if (working)
            charge_follow(k, i, true, 1);
    }
    why->masked = report_observe(k, in, i);
    if (in->kind == IN_TASK_CHECKPOINT && t->kill_at <= k->now)
        work_task(k, i);
    return (struct asup_ref){.id = in->task, .sort = ASUP_SORT_TASK};
}

void
task_sampled(struct kernel *k, uint32_t i, uint64_t cpu_ns)
{
    const struct task *t = task_at(k, i);
    uint64_t ms = cpu_ns / ASUP_NS_PER_MS;

    if (ms > UINT32_MAX)
        ms = UINT32_MAX;
    ms = ms > t->cpu_ms ? ms - t->cpu_ms : 0;
    if ((t->flags & TASK_SAMPLED) == 0) {
        /* Asked for because it holds something: nothing is charged (R-OBL-6). */
        if (ms > 0 && (t->flags & TASK_ENDED) == 0)
            charge_cost(k, i, 0, (uint32_t)ms, true);
        return;
    }
    if (ms > 0 || (t->flags & TASK_ENDED) == 0)
        charge_cost(k, i, ms, (uint32_t)ms, true);
}
