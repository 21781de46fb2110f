/* SPDX-License-Identifier: MIT */
/* Applying what happens to tasks. Legal moves are a table, and every move goes
 * through one function. */
#include "core/call.h"
#include "core/event.h"

/* In units of the time between samples. */
enum { SAMPLE_PATIENCE = 20 };

#define BIT(state) (1U << (state))

/* R-TSK-2: CancelRequested and Cancelling are passed by a main process that
 * ends before it is asked, or before it answers. A task that never started goes
 * to Completed at once. */
static const uint8_t task_moves[] = {
    [ASUP_TASK_CREATED] = BIT(ASUP_TASK_RUNNING) | BIT(ASUP_TASK_COMPLETED),
    [ASUP_TASK_RUNNING] = BIT(ASUP_TASK_CANCEL_REQUESTED) | BIT(ASUP_TASK_FINALIZING),
    [ASUP_TASK_CANCEL_REQUESTED] = BIT(ASUP_TASK_CANCELLING) | BIT(ASUP_TASK_FINALIZING),
    [ASUP_TASK_CANCELLING] = BIT(ASUP_TASK_FINALIZING),
    [ASUP_TASK_FINALIZING] = BIT(ASUP_TASK_COMPLETED),
    [ASUP_TASK_COMPLETED] = 0,
};
_Static_assert(sizeof task_moves == ASUP_TASK_STATE_COUNT, "one row per state");

/* A call is over when its worker says so, and may be run again. */
static const uint8_t call_moves[] = {
    [ASUP_TASK_CREATED] = BIT(ASUP_TASK_RUNNING) | BIT(ASUP_TASK_COMPLETED),
    [ASUP_TASK_RUNNING] =
        BIT(ASUP_TASK_CANCEL_REQUESTED) | BIT(ASUP_TASK_CREATED) | BIT(ASUP_TASK_COMPLETED),
    [ASUP_TASK_CANCEL_REQUESTED] = BIT(ASUP_TASK_CANCELLING) | BIT(ASUP_TASK_COMPLETED),
    [ASUP_TASK_CANCELLING] = BIT(ASUP_TASK_COMPLETED),
    [ASUP_TASK_FINALIZING] = 0,
    [ASUP_TASK_COMPLETED] = 0,
};
_Static_assert(sizeof call_moves == ASUP_TASK_STATE_COUNT, "one row per state");

void
task_move(struct kernel *k, struct task *t, uint8_t to)
{
    must(((task_is_call(t) ? call_moves : task_moves)[t->state] & BIT(to)) != 0);
    k->tasks_in[t->state]--;
    t->state = to;
    if (to != ASUP_TASK_COMPLETED)
        k->tasks_in[to]++;
}

/* ---- Starting ----------------------------------------------------------------------- */

static void
spec_drop(struct kernel *k, struct task *t)
{
    user_get(k, t->uid)->bytes -= heap_get(&k->heap, t->spec).size;
    heap_drop(&k->heap, &k->allocator, t->spec);
    t->spec = 0;
}

static void
window_left(struct kernel *k)
{
    must(k->starting > 0);
    k->starting--;
}

static void
start_answered(struct kernel *k, struct task *t)
{
    if ((t->flags & TASK_SLOW) == 0)
        window_left(k);
    if ((t->flags & TASK_FINALIZER) == 0) /* which may have to run again */
        spec_drop(k, t);
}

static void
task_start_ordered(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct task *t = task_at(k, i);

    lane_picked(k, i);
    t->flags |= TASK_ORDERED;
    k->starting++;
    t->run.sample_at = time_add(ev->at, k->config.start_patience_ns);
    if ((t->flags & TASK_FINALIZER) != 0)
        t->kill_at = time_add(ev->at, finalizer_budget_ns(k, t));
    region_used(k, t->region);
}

static void
task_started(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct task *t = task_at(k, i);

    start_answered(k, t);
    t->flags |= TASK_STARTED;
    t->started_at = ev->at;
    t->pid = (uint32_t)ev->value;
    task_move(k, t, ASUP_TASK_RUNNING);
    t->run.watchdog_at = time_add(ev->at, t->run.watchdog_ns);
    t->run.response_at = time_add(ev->at, t->run.response_ns);
    t->run.sample_at = time_add(ev->at, k->config.sample_ns);
    task_holds_started(k, i, ev->at);
    if (t->reason == 0)
        return;
    /* Cancelled while starting: as soon as started (R-TSK-4). */
    task_move(k, t, ASUP_TASK_CANCEL_REQUESTED);
    if ((t->flags & TASK_ESCALATED) == 0)
        lane_enter(k, i, LANE_SIGNAL);
}

/* ---- Cancelling ----------------------------------------------------------------------- */

/* Whether its leftovers may go on until they end by themselves. */
static bool
leftovers_wait(const struct task *t)
{
    return (t->flags & TASK_LEFTOVER_WAIT) != 0 && t->reason == 0;
}

static uint64_t
leftover_ns(const struct kernel *k, const struct task *t)
{
    return t->leftover_ns != ASUP_NEVER ? t->leftover_ns : k->config.leftover_ns;
}

static void
task_cancel_requested(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct task *t = task_at(k, i);
    bool first = t->reason == 0;
    asup_time end = ev->value;
    uint32_t polls;

    if (ev->payload_size > 0) {
        const struct reason_payload *p = ev->payload;

        reason_make(k, ev, p);
        if (p->limit_passed)
            t->flags |= TASK_LIMIT_FIRED;
    }
    if (t->reason != ev->reason) {
        uint32_t old = t->reason;

        t->reason = reason_hold(k, ev->reason);
        reason_release(k, old);
    }
    t->drain_end = min_u64(t->drain_end, end);
    if (end != ASUP_NEVER)
        end = min_u64(end, time_add(ev->at, t->drain_ns));
    if ((t->flags & TASK_ESCALATED) == 0)
        t->kill_at = min_u64(t->kill_at, end);
    if ((t->flags & TASK_ENDED) != 0) {
        /* What waited for its leftovers waits no more (R-TSK-4). */
        if (first && (t->flags & TASK_LEFTOVER_WAIT) != 0 && (t->flags & TASK_ESCALATED) == 0) {
            t->kill_at = min_u64(t->kill_at, time_add(ev->at, leftover_ns(k, t)));
            if ((t->flags & (TASK_SIGNALLED | TASK_EMPTIED)) == 0 && t->lane == LANE_NONE)
                lane_enter(k, i, LANE_SIGNAL);
        }
        return;
    }
    polls = k->config.allowance[asup_cancel_tier(reason_root(k, t->reason)->kind)].polls;
    if (first || polls < t->run.cleanup_polls)
        t->run.cleanup_polls = polls;
    if (t->state == ASUP_TASK_CREATED && (t->flags & TASK_ORDERED) == 0)
        lane_leave(k, i);
    if (t->state == ASUP_TASK_RUNNING) {
        task_move(k, t, ASUP_TASK_CANCEL_REQUESTED);
        if ((t->flags & TASK_ESCALATED) == 0)
            lane_enter(k, i, LANE_SIGNAL);
    }
}

static void
task_escalated(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct task *t = task_at(k, i);

    t->flags |= TASK_ESCALATED;
    t->kill_at = time_add(ev->at, k->config.kill_grace_ns);
    lane_leave(k, i); /* a signal would come too late */
}

static void
task_cancel_acked(struct kernel *k, struct task *t)
{
    t->flags |= TASK_ACKED;
    task_move(k, t, ASUP_TASK_CANCELLING);
}

/* ---- Spending --------------------------------------------------------------------------- */

static void
task_checkpointed(struct kernel *k, const struct event *ev, struct task *t)
{
    t->run.response_at = time_add(ev->at, t->run.response_ns);
    t->flags &= ~(uint32_t)TASK_BROKE_WORD;
    if ((t->flags & TASK_FINALIZER) != 0)
        return; /* its time is its budget */
    if (t->reason != 0) {
        if (t->run.cleanup_polls > 0 && --t->run.cleanup_polls == 0 && t->drain_end != ASUP_NEVER &&
            (t->flags & TASK_ESCALATED) == 0)
            t->kill_at = min_u64(t->kill_at, ev->at);
        return;
    }
    t->polls_spent++;
    for (uint32_t at = t->region; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->polls_spent++;
}

static void
task_masked(const struct event *ev, struct task *t)
{
    must(t->run.mask_left > 0 && ev->value == t->run.mask_left - 1);
    t->run.mask_left--;
}

static void
task_charged(struct kernel *k, const struct event *ev, struct task *t)
{
    const struct charge_payload *p = ev->payload;

    t->cost_spent = time_add(t->cost_spent, ev->value);
    t->cpu_ms += p->cpu_ms;
    if (p->sampled && (t->flags & TASK_ENDED) == 0)
        t->run.sample_at = time_add(ev->at, k->config.sample_ns);
    if (!p->to_ancestors)
        return;
    for (uint32_t at = t->region; at != NIL; at = region_at(k, at)->parent) {
        region_at(k, at)->cost_spent = time_add(region_at(k, at)->cost_spent, ev->value);
        if ((region_at(k, at)->flags & REGION_VOLATILE_TOP) != 0)
            break; /* REGION_CHARGED tells the others */
    }
}

/* ---- Ending ------------------------------------------------------------------------------- */

/* Stages whose names are longer than the room in a task are kept by number. */
static const char *const long_stages[] = {"finalizer-timeout"};

static void
stage_pack(char packed[16], const char stage[24])
{
    memcpy(packed, stage, 16);
    packed[15] = '\0';
    for (size_t i = 0; i < sizeof long_stages / sizeof long_stages[0]; i++) {
        if (strncmp(stage, long_stages[i], 24) == 0)
            packed[0] = (char)(i + 1);
    }
}

void
task_stage(const struct task *t, char stage[24])
{
    const char *name = t->end.stage;

    if ((size_t)name[0] - 1 < sizeof long_stages / sizeof long_stages[0])
        name = long_stages[name[0] - 1];
    memset(stage, 0, 24);
    for (size_t i = 0; name[i] != '\0'; i++)
        stage[i] = name[i];
}

static void
task_end_write(struct kernel *k, struct task *t, const struct kernel_outcome *o)
{
    memset((uint8_t *)t + offsetof(struct task, run), 0,
           offsetof(struct task, region) - offsetof(struct task, run));
    t->end.at = o->key.at;
    t->end.severity = o->key.severity;
    t->end.exit_code = o->exit_code;
    t->end.signal = (uint8_t)o->signal;
    t->end.error = o->error;
    t->end.reason = reason_hold(k, o->reason);
    t->end.cpu_ns = o->cpu_ns;
    t->end.memory_peak = o->memory_peak;
    stage_pack(t->end.stage, o->stage);
    t->flags |= TASK_ENDED | (o->forced ? TASK_FORCED : 0) | (o->lost ? TASK_LOST : 0);
}

static void
task_main_ended(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct task *t = task_at(k, i);

    lane_leave(k, i);
    task_end_write(k, t, ev->outcome);
    task_holds_ended(k, i);
    task_move(k, t, ASUP_TASK_FINALIZING);
    if ((t->flags & (TASK_EMPTIED | TASK_ESCALATED)) != 0 || leftovers_wait(t))
        return;
    t->kill_at = min_u64(t->kill_at, time_add(ev->at, leftover_ns(k, t)));
    if ((t->flags & TASK_SIGNALLED) == 0)
        lane_enter(k, i, LANE_SIGNAL);
}

static void
task_unlink(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);
    struct region *r = region_at(k, t->region);

    for (uint32_t at = t->region; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->sub_tasks--;
    if ((t->flags & TASK_FINALIZER) != 0)
        return; /* FINALIZER_DONE takes it off the stack */
    if (t->prev != NIL)
        task_at(k, t->prev)->next = t->next;
    else
        r->task_first = t->next;
    if (t->next != NIL)
        task_at(k, t->next)->prev = t->prev;
    else
        r->task_last = t->prev;
    r->tasks_live--;
}

bool
task_never_began(const struct region *r, const struct task *t)
{
    return (t->flags & (TASK_DELAYED | TASK_AGAIN)) == TASK_DELAYED &&
           (r->policy == ASUP_POLICY_RACE || r->policy == ASUP_POLICY_FIRST_OK ||
            r->policy == ASUP_POLICY_QUORUM);
}

static void
task_completed(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct task *t = task_at(k, i);
    struct region *r = region_at(k, t->region);

    lane_leave(k, i);
    if ((t->flags & TASK_ENDED) == 0)
        task_end_write(k, t, ev->outcome);
    task_move(k, t, ASUP_TASK_COMPLETED);
    t->kill_at = ev->at; /* ended */
    if (task_is_call(t))
        call_completed(k, ev, i);
    else if (t->spec != 0)
        spec_drop(k, t);
    user_get(k, t->uid)->tasks--;
    task_rearm(k, i);
    task_unlink(k, i);
    if ((t->flags & TASK_FINALIZER) == 0) {
        policy_count(k, r, ev->outcome, ASUP_SORT_TASK, t->id, !task_never_began(r, t));
        retained_push(k, i, false);
    } else if ((t->flags & TASK_UNDO) != 0) {
        apply_undo_ended(k, t->id, ev->outcome);
        retained_push(k, i, false);
    }
}

static void
finalizer_done(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);
    struct region *r = region_at(k, t->region);
    struct kernel_outcome o = task_outcome(t);

    must(r->stack_top == stack_link(i, false));
    stack_remove(k, r, stack_link(i, false));
    r->finalizers--;
    r->finalizers_ns -= t->limit_at;
    outcome_combine(k, &r->fin, &r->has_fin, &o);
    retained_push(k, i, false);
}

/* A finalizer that was lost begins anew (R-SAG-3): at once, or when its region
 * closes again. */
static void
task_rerun(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);

    if (task_starting(t) && (t->flags & TASK_SLOW) == 0)
        window_left(k);
    lane_leave(k, i);
    k->tasks_in[t->state]--;
    t->state = ASUP_TASK_CREATED;
    k->tasks_in[t->state]++;
    if (task_is_call(t))
        call_rerun(k, t);
    else
        t->pid = 0;
    t->flags &=
        TASK_FINALIZER | TASK_BEGUN | TASK_NOTIFY | TASK_LEFTOVER_WAIT | TASK_CALL | TASK_KEYED;
    t->started_at = 0;
    t->kill_at = ASUP_NEVER;
    t->run.watchdog_at = t->run.response_at = t->run.sample_at = ASUP_NEVER;
    if (region_at(k, t->region)->state == ASUP_REGION_FINALIZING)
        lane_enter(k, i, LANE_FINALIZER);
    else
        t->flags &= ~(uint32_t)TASK_BEGUN;
}

static void
task_forgotten(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);

    must(!task_live(t));
    retained_remove(k, i, false);
    user_get(k, t->uid)->bytes -= heap_get(&k->heap, t->label).size;
    heap_drop(&k->heap, &k->allocator, t->label);
    lane_leave(k, i);
    if (task_is_call(t))
        call_forgotten(k, t);
    reason_release(k, t->end.reason);
    reason_release(k, t->reason);
    index_drop(&k->task_ids, i);
    arena_give(&k->tasks, i);
}

void
apply_task(struct kernel *k, const struct event *ev)
{
    uint32_t i = task_of_id(k, ev->task);
    struct task *t;

    must(i != NIL);
    t = task_at(k, i);
    switch (ev->kind) {
    case EV_TASK_DUE:
        t->flags &= ~(uint32_t)TASK_DELAYED;
        lane_enter(k, i, task_effective_limit(k, t) == ASUP_NEVER ? LANE_READY : LANE_TIMED);
        break;
    case EV_TASK_START_ORDERED:
        task_start_ordered(k, ev, i);
        break;
    case EV_TASK_START_SLOW:
        t->flags |= TASK_SLOW;
        window_left(k);
        break;
    case EV_TASK_STARTED:
        task_started(k, ev, i);
        break;
    case EV_TASK_START_FAILED:
        start_answered(k, t);
        task_end_write(k, t, ev->outcome);
        break;
    case EV_TASK_READY:
        t->flags |= TASK_READY;
        task_progressed(k, i, ev->at);
        break;
    case EV_TASK_CANCEL_REQUESTED:
        task_cancel_requested(k, ev, i);
        break;
    case EV_TASK_CANCEL_SENT:
        if (task_is_call(t)) {
            call_cancel_told(k, ev, i);
            break;
        }
        lane_picked(k, i);
        t->flags |= TASK_SIGNALLED;
        break;
    case EV_TASK_CANCEL_ACKED:
        if (task_is_call(t))
            lane_leave(k, i); /* it knows: it need not be told */
        task_cancel_acked(k, t);
        task_progressed(k, i, ev->at);
        break;
    case EV_TASK_CHECKPOINTED:
        task_checkpointed(k, ev, t);
        task_progressed(k, i, ev->at);
        break;
    case EV_TASK_MASKED:
        task_masked(ev, t);
        break;
    case EV_TASK_CHARGED:
        task_charged(k, ev, t);
        if (ev->value > 0 || ((const struct charge_payload *)ev->payload)->cpu_ms > 0)
            task_progressed(k, i, ev->at);
        break;
    case EV_TASK_SAMPLE_ORDERED:
        /* An order or its answer may get lost; then it is given again. */
        if ((t->flags & TASK_SAMPLED) != 0)
            t->run.sample_at = time_add(ev->at, SAMPLE_PATIENCE * k->config.sample_ns);
        task_holds_sampled(k, i, ev->at);
        break;
    case EV_TASK_EXTENDED:
        t->kill_at = ev->value;
        break;
    case EV_TASK_WATCHDOG_FED:
        t->run.watchdog_at = time_add(ev->at, t->run.watchdog_ns);
        task_progressed(k, i, ev->at);
        break;
    case EV_TASK_WATCHDOG_MISSED:
        t->flags |= TASK_WATCHDOG_LATE;
        break;
    case EV_TASK_ESCALATED:
        task_escalated(k, ev, i);
        break;
    case EV_TASK_MAIN_ENDED:
        task_main_ended(k, ev, i);
        break;
    case EV_TASK_EMPTIED:
        t->flags |= TASK_EMPTIED;
        if (t->state == ASUP_TASK_FINALIZING)
            lane_leave(k, i);
        break;
    case EV_TASK_COMPLETED:
        task_completed(k, ev, i);
        return;
    case EV_TASK_BROKE_WORD:
        t->flags |= TASK_BROKE_WORD;
        break;
    case EV_TASK_LOG_LOST:
        t->log_lost = ev->value;
        break;
    case EV_TASK_FORGOTTEN:
        task_forgotten(k, i);
        return;
    case EV_TASK_RERUN:
        task_rerun(k, i);
        break;
    case EV_FINALIZER_BEGUN:
        t->flags |= TASK_BEGUN;
        if (task_is_call(t)) /* it may have to wait for a worker, within its budget */
            t->kill_at = time_add(ev->at, finalizer_budget_ns(k, t));
        lane_enter(k, i, LANE_FINALIZER);
        break;
    case EV_FINALIZER_DONE:
        finalizer_done(k, i);
        return;
    default:
        must(false);
    }
    task_rearm(k, i);
}
