/* SPDX-License-Identifier: MIT */
/*
 * What the processes of tasks do: facts from the shell, timers, and how a task
 * moves on (R-TSK-2, R-TSK-4). Facts about what is unknown or past do nothing.
 */
#include "core/call.h"

/* ---- Outcomes ------------------------------------------------------------------------- */

static void
stage_set(struct kernel_outcome *o, const char *stage)
{
    size_t size = strlen(stage);

    if (size > sizeof o->stage - 1)
        size = sizeof o->stage - 1;
    memset(o->stage, 0, sizeof o->stage);
    memcpy(o->stage, stage, size);
}

static struct kernel_outcome
outcome_now(const struct kernel *k, const struct task *t, uint8_t severity)
{
    return (struct kernel_outcome){
        .key = {.severity = severity, .at = k->now, .origin = t->id},
        .origin_sort = ASUP_SORT_TASK,
        .exit_code = -1,
        .wall_ns = (t->flags & TASK_STARTED) != 0 ? k->now - t->started_at : 0,
    };
}

/* The outcome of a main process that ended (R-TSK-4). */
static struct kernel_outcome
exit_outcome(const struct kernel *k, const struct task *t, const struct process_exit *x)
{
    struct kernel_outcome o = outcome_now(k, t, ASUP_OK);
    bool ours = (x->signal == t->cancel_signal && x->cancel_delivered) ||
                (x->signal == 9 && x->kill_delivered);
    bool asked = t->reason != 0 &&
                 (x->cancel_delivered || x->kill_delivered || (t->flags & TASK_ACKED) != 0);

    o.exit_code = x->signal == 0 && !x->lost ? x->exit_code : -1;
    o.signal = x->lost ? 0 : x->signal;
    o.cpu_ns = x->cpu_ns;
    o.memory_peak = x->memory_peak;
    o.forced = x->kill_delivered;
    if (x->lost || (x->signal == 0 && x->exit_code < 0)) {
        o.key.severity = ASUP_PANICKED; /* a status is never guessed */
        o.lost = true;
        stage_set(&o, "lost");
    } else if (x->signal == 0) {
        o.key.severity = x->exit_code == 0 ? ASUP_OK : ASUP_ERR;
    } else if (!asked || !ours) {
        o.key.severity = ASUP_PANICKED;
    }
    if (x->kill_delivered && (t->flags & TASK_WATCHDOG_LATE) != 0) {
        o.key.severity = ASUP_PANICKED;
        stage_set(&o, "watchdog");
    } else if (x->kill_delivered && (t->flags & TASK_FINALIZER) != 0) {
        o.key.severity = ASUP_PANICKED;
        stage_set(&o, "finalizer-timeout");
    } else if (x->oom_killed && !x->kill_delivered) {
        o.key.severity = ASUP_PANICKED;
    }
    if (asked) {
        o.reason = t->reason;
        if (o.key.severity < ASUP_CANCELLED)
            o.key.severity = ASUP_CANCELLED;
    }
    return o;
}

/* ---- Moving on --------------------------------------------------------------------------- */

static void
task_kill(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct event ev = event_of_task(EV_TASK_ESCALATED, k, i);

    ev.reason = t->reason;
    emit(k, ev);
    (void)effect_of_task(k, FX_KILL, i);
}

void
task_complete(struct kernel *k, uint32_t i, const struct kernel_outcome *o, struct bytes text,
              const void *payload, size_t payload_size)
{
    const struct task *t = task_at(k, i);
    uint32_t region = t->region;
    struct event ev = event_of_task(EV_TASK_COMPLETED, k, i);

    if (task_is_call(t) && (call_of(k, t)->flags & CALL_HELD) != 0)
        ev.session = worker_at(k, call_of(k, t)->worker)->session;
    ev.outcome = o;
    ev.text = text;
    ev.payload = payload;
    ev.payload_size = payload_size;
    emit(k, ev);
    if (ev.session != 0)
        worker_finished(k, worker_of_session(k, ev.session));
    if ((t->flags & TASK_WORKER) != 0)
        worker_task_ended(k, t->id);
    if ((t->flags & TASK_ORDERED) != 0)
        (void)effect_of_task(k, FX_FORGET, i);
    obligations_leak(k, (struct asup_ref){.id = t->id, .sort = ASUP_SORT_TASK});
    waits_task(k, i);
    if ((t->flags & TASK_UNDO) != 0) {
        saga_undo_ended(k, i, o);
    } else if ((t->flags & TASK_FINALIZER) != 0) {
        emit(k, event_of_task(EV_FINALIZER_DONE, k, i));
    } else {
        if ((t->flags & TASK_ACTION) != 0)
            saga_action_ended(k, i, o);
        policy_ended(k, region, ASUP_SORT_TASK, t->id, o,
                     !task_never_began(region_at(k, region), t));
    }
    saga_driver_ended(k, (struct asup_ref){.id = t->id, .sort = ASUP_SORT_TASK});
    if ((t->flags & TASK_KEYED) != 0)
        key_done(k, (struct asup_ref){.id = t->id, .sort = ASUP_SORT_TASK});
    work_region(k, region);
}

void
task_advance(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct kernel_outcome o;

    if (!task_live(t))
        return;
    if (task_is_call(t)) {
        call_advance(k, i);
        return;
    }
    if ((t->flags & TASK_ENDED) != 0 &&
        (t->state == ASUP_TASK_CREATED || (t->flags & TASK_EMPTIED) != 0)) {
        o = task_outcome(t);
        task_complete(k, i, &o, (struct bytes){"", 0}, NULL, 0);
        return;
    }
    if (t->state == ASUP_TASK_CREATED && (t->flags & TASK_ORDERED) == 0 && t->reason != 0) {
        o = outcome_now(k, t, ASUP_CANCELLED);
        o.reason = t->reason;
        task_complete(k, i, &o, (struct bytes){"", 0}, NULL, 0);
        return;
    }
    if ((t->flags & TASK_ORDERED) != 0 && (t->flags & TASK_ESCALATED) == 0 && t->kill_at <= k->now)
        task_kill(k, i);
}

/* ---- Timers --------------------------------------------------------------------------------- */

static void
limit_passed(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);
    const char *message =
        t->limit_kind == ASUP_CANCEL_DEADLINE ? "its deadline passed" : "its time limit passed";
    struct cancel c = {
        .kind = t->limit_kind,
        .origin_sort = ASUP_SORT_TASK,
        .origin = t->id,
        .message = {message, strlen(message)},
        .drain_ns = ASUP_NEVER,
        .end_most = ASUP_NEVER,
        .limit_passed = true,
    };

    cancel_task(k, i, &c);
}

/* What only a running main process has: its watchdog, its word, its samples. */
static void
running_fire(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);

    if (t->run.response_ns != 0 && (t->flags & TASK_BROKE_WORD) == 0 &&
        t->run.response_at <= k->now)
        emit(k, event_of_task(EV_TASK_BROKE_WORD, k, i));
    if (t->reason != 0)
        return;
    if (t->run.watchdog_ns != 0 && (t->flags & TASK_WATCHDOG_LATE) == 0 &&
        t->run.watchdog_at <= k->now) {
        emit(k, event_of_task(EV_TASK_WATCHDOG_MISSED, k, i));
        if ((t->flags & TASK_ESCALATED) == 0)
            task_kill(k, i);
    }
    if ((t->flags & TASK_SAMPLED) != 0 && t->run.sample_at <= k->now) {
        emit(k, event_of_task(EV_TASK_SAMPLE_ORDERED, k, i));
        (void)effect_of_task(k, FX_SAMPLE, i);
    }
}

void
task_fire(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);

    if ((t->flags & TASK_DELAYED) != 0 && t->run.due_at <= k->now)
        emit(k, event_of_task(EV_TASK_DUE, k, i));
    if (task_starting(t) && (t->flags & TASK_SLOW) == 0 && t->run.sample_at <= k->now)
        emit(k, event_of_task(EV_TASK_START_SLOW, k, i));
    if ((t->flags & (TASK_FINALIZER | TASK_LIMIT_FIRED)) == 0 && t->limit_at <= k->now)
        limit_passed(k, i);
    if ((t->flags & TASK_STARTED) != 0 && (t->flags & TASK_ENDED) == 0)
        running_fire(k, i);
    if ((t->flags & (TASK_DELEGATED | TASK_UNKILLABLE)) != 0 || t->kill_at > k->now)
        return;
    if ((t->flags & TASK_ESCALATED) == 0) {
        work_task(k, i);
    } else {
        struct event ev = event_of_task(EV_REGION_CLOSE_TIMEOUT, k, i);

        emit(k, ev); /* R-REG-8: killed, and still there */
    }
}

/* ---- Facts --------------------------------------------------------------------------------------
 */

static void
fact_started(struct kernel *k, uint32_t i, uint32_t pid)
{
    const struct task *t = task_at(k, i);
    struct event ev = event_of_task(EV_TASK_STARTED, k, i);

    if ((t->flags & TASK_ORDERED) == 0 || (t->flags & (TASK_STARTED | TASK_ENDED)) != 0)
        return;
    ev.value = pid;
    emit(k, ev);
    waits_task(k, i);
}

static void
fact_start_failed(struct kernel *k, const struct input *in, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct event ev = event_of_task(EV_TASK_START_FAILED, k, i);
    struct kernel_outcome o = outcome_now(k, t, t->reason != 0 ? ASUP_CANCELLED : ASUP_ERR);

    if ((t->flags & TASK_ORDERED) == 0 || (t->flags & (TASK_STARTED | TASK_ENDED)) != 0)
        return;
    o.error = in->u.start_failed.error;
    o.reason = t->reason;
    stage_set(&o, in->u.start_failed.stage != NULL ? in->u.start_failed.stage : "start");
    if ((t->flags & TASK_FINALIZER) != 0 && (t->flags & TASK_ESCALATED) != 0) {
        o.key.severity = ASUP_PANICKED; /* its budget ended before its start did (R-REG-8) */
        o.error = 0;
        stage_set(&o, "finalizer-timeout");
    }
    ev.outcome = &o;
    emit(k, ev);
    if (!PLANTED(TASK_LEAK) || t->reason == 0)
        work_task(k, i);
}

static void
fact_exited(struct kernel *k, const struct input *in, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct event ev = event_of_task(EV_TASK_MAIN_ENDED, k, i);
    struct kernel_outcome o;

    if ((t->flags & TASK_ORDERED) == 0 || (t->flags & TASK_ENDED) != 0)
        return;
    fact_started(k, i, 0); /* it cannot have ended without */
    o = exit_outcome(k, t, &in->u.exited);
    ev.outcome = &o;
    emit(k, ev);
    task_sampled(k, i, in->u.exited.cpu_ns);
    waits_task(k, i);
    work_task(k, i);
}

static void
fact_extend(struct kernel *k, const struct input *in, uint32_t i)
{
    const struct task *t = task_at(k, i);
    asup_time most = PLANTED(CANCEL_DEBT) ? ASUP_NEVER : t->drain_end;
    asup_time end = min_u64(time_add(k->now, in->u.extend.extend_ns), most);
    struct event ev = event_of_task(EV_TASK_EXTENDED, k, i);

    if (t->reason == 0 || (t->flags & (TASK_ENDED | TASK_ESCALATED | TASK_FINALIZER)) != 0 ||
        end <= t->kill_at)
        return;
    ev.value = end;
    emit(k, ev);
}

/* The notify protocol, or the library: only who checks points declares how
 * often, or that it masks them. */
static bool
task_speaks(const struct task *t)
{
    return (t->flags & TASK_NOTIFY) != 0 || t->run.response_ns != 0 || t->run.mask_depth != 0;
}

static void
fact_acked(struct kernel *k, uint32_t i)
{
    if (task_at(k, i)->state == ASUP_TASK_CANCEL_REQUESTED)
        emit(k, event_of_task(EV_TASK_CANCEL_ACKED, k, i));
}

static void
fact_running(struct kernel *k, const struct input *in, uint32_t i)
{
    const struct task *t = task_at(k, i);

    if ((t->flags & TASK_STARTED) == 0 || (t->flags & TASK_ENDED) != 0)
        return;
    switch (in->kind) {
    case IN_TASK_SIGNALLED:
        /* Who speaks says itself when it observes. */
        if (in->u.signalled.delivered && !task_speaks(t))
            fact_acked(k, i);
        break;
    case IN_TASK_STOPPING:
        fact_acked(k, i);
        break;
    case IN_TASK_READY:
        if ((t->flags & TASK_READY) != 0)
            break;
        emit(k, event_of_task(EV_TASK_READY, k, i));
        waits_task(k, i);
        break;
    case IN_TASK_EXTEND:
        fact_extend(k, in, i);
        break;
    case IN_TASK_WATCHDOG:
        if (t->run.watchdog_ns != 0 && t->reason == 0)
            emit(k, event_of_task(EV_TASK_WATCHDOG_FED, k, i));
        break;
    case IN_TASK_SAMPLED:
        task_sampled(k, i, in->u.sampled.cpu_ns);
        break;
    default:
        break;
    }
}

void
task_fact(struct kernel *k, const struct input *in, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct event ev;

    if (in->kind == IN_TASK_LOG_LOST) {
        ev = event_of_task(EV_TASK_LOG_LOST, k, i);
        ev.value = in->u.log_lost.size;
        if (t->log_lost != ev.value)
            emit(k, ev);
        return;
    }
    if (!task_live(t) || task_is_call(t))
        return;
    switch (in->kind) {
    case IN_TASK_STARTED:
        fact_started(k, i, in->u.started.pid);
        break;
    case IN_TASK_START_FAILED:
        fact_start_failed(k, in, i);
        break;
    case IN_TASK_EXITED:
        fact_exited(k, in, i);
        break;
    case IN_TASK_EMPTY:
        if ((t->flags & TASK_ORDERED) == 0 || (t->flags & TASK_EMPTIED) != 0)
            break;
        emit(k, event_of_task(EV_TASK_EMPTIED, k, i));
        work_task(k, i);
        break;
    default:
        fact_running(k, in, i);
        break;
    }
}

void
task_need(const struct kernel *k, const struct input *in, uint32_t i, struct need *need)
{
    uint32_t region = task_at(k, i)->region;

    switch (in->kind) {
    case IN_TASK_START_FAILED:
    case IN_TASK_EXITED:
    case IN_TASK_EMPTY:
    case IN_TASK_LOST:
        need_follow(k, region, need);
        need_holder(k, (struct asup_ref){.id = task_at(k, i)->id, .sort = ASUP_SORT_TASK}, need);
        if ((task_at(k, i)->flags & TASK_WORKER) != 0)
            worker_task_need(k, task_at(k, i)->id, need);
        break;
    case IN_TASK_SAMPLED:
    case IN_TASK_CHECKPOINT:
    case IN_TASK_PROGRESS:
        /* Any quota above may run out. */
        for (uint32_t at = region; at != NIL; at = region_at(k, at)->parent) {
            const struct region *r = region_at(k, at);

            if (r->poll_quota != UINT32_MAX || r->cost_quota != UINT64_MAX)
                region = at;
        }
        need_subtree(k, region, need);
        break;
    default:
        break;
    }
}
