/* SPDX-License-Identifier: MIT */
/*
 * futurelock (R-OBL-6): a task that holds an obligation and makes no progress
 * (checkpoint, report, message, advancing CPU time) for the configured time is
 * reported, and nobody else is. Of a program under test the report itself is a
 * complaint. A shell whose own idea of standing still is another one complains
 * from outside.
 */
#include "lab/oracle_internal.h"

static asup_time
later(asup_time at, uint64_t ns)
{
    return at > ASUP_NEVER - ns ? ASUP_NEVER : at + ns;
}

static void
watch(struct oracles *o, struct seen_task *t)
{
    if (t->watched || t->held == 0 || o->config.futurelock_ns == ASUP_NEVER)
        return;
    t->watched = true;
    due_add(&o->stills, later(t->progress_at, o->config.futurelock_ns), t->id);
}

static void
progressed(struct oracles *o, uint64_t task, asup_time at)
{
    struct seen_task *t = model_task(&o->model, task);

    if (t == NULL)
        return;
    t->progress_at = at;
    t->stuck = false;
    watch(o, t);
}

/* CPU time only goes on in whole milliseconds. */
static void
sampled(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct seen_task *t = model_task(&o->model, ev->task);
    uint64_t ms;

    if (t == NULL)
        return;
    if (ev->value > 0 || s->in == NULL) {
        progressed(o, ev->task, ev->at);
    } else if (s->in->kind == IN_TASK_SAMPLED && s->in->task == ev->task) {
        ms = s->in->u.sampled.cpu_ns / ASUP_NS_PER_MS;
        if (ms > t->cpu_ms)
            progressed(o, ev->task, ev->at);
    }
    if (s->in != NULL && s->in->kind == IN_TASK_SAMPLED && s->in->task == ev->task &&
        s->in->u.sampled.cpu_ns / ASUP_NS_PER_MS > t->cpu_ms)
        t->cpu_ms = s->in->u.sampled.cpu_ns / ASUP_NS_PER_MS;
}

static void
reported(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct seen_task *t = model_task(&o->model, ev->task);
    bool still = t != NULL && t->held > 0 && t->started && !t->ended && !t->stuck &&
                 later(t->progress_at, o->config.futurelock_ns) <= ev->at;

    judge(o, ASUP_ORACLE_FUTURELOCK);
    if (t != NULL && !still && s->in != NULL && !t->learned)
        complain(o, ASUP_ORACLE_FUTURELOCK, ev,
                 "R-OBL-6: t%llu is said to stand still, and holds %u, last moved at %llu ns",
                 (unsigned long long)ev->task, t->held, (unsigned long long)t->progress_at);
    else if (o->program)
        complain(o, ASUP_ORACLE_FUTURELOCK, ev,
                 "R-OBL-6: t%llu (\"%.*s\") holds o%llu and stood still for %llu ns",
                 (unsigned long long)ev->task, (int)ev->text.size, (const char *)ev->text.data,
                 (unsigned long long)ev->subject, (unsigned long long)ev->value);
    if (t != NULL)
        t->stuck = true;
}

/* What the holder itself asked for is progress; what became of it by itself is none. */
static void
resolved(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_obligation *b = model_obligation(&o->model, ev->subject);
    bool asked = s->in == NULL || s->in->subject == ev->subject;

    if (b == NULL || b->holder.sort != ASUP_SORT_TASK)
        return;
    if (ev->kind == EV_OBLIGATION_TRANSFERRED || ev->kind == EV_OBLIGATION_RENEWED || asked)
        progressed(o, b->holder.id, ev->at);
}

static void
futurelock_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    switch (ev->kind) {
    case EV_TASK_STARTED:
    case EV_CALL_STARTED:
    case EV_TASK_READY:
    case EV_TASK_CANCEL_ACKED:
    case EV_TASK_CHECKPOINTED:
    case EV_TASK_WATCHDOG_FED:
        progressed(o, ev->task, ev->at);
        break;
    case EV_TASK_CHARGED:
        sampled(o, s, ev);
        break;
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_TRANSFERRED:
    case EV_OBLIGATION_RENEWED:
        resolved(o, s, ev);
        break;
    case EV_FUTURELOCK:
        reported(o, s, ev);
        break;
    default:
        break;
    }
}

static void
due_now(struct oracles *o, const struct judged_step *s, struct seen_task *t)
{
    asup_time at = later(t->progress_at, o->config.futurelock_ns);

    t->watched = false;
    if (t->held == 0 || t->stuck || !t->started || t->ended)
        return;
    if (at > s->now) {
        watch(o, t);
        return;
    }
    judge(o, ASUP_ORACLE_FUTURELOCK);
    if (!t->learned)
        complain(o, ASUP_ORACLE_FUTURELOCK, NULL,
                 "R-OBL-6: t%llu holds %u obligations, last moved at %llu ns, and is not reported "
                 "at %llu ns",
                 (unsigned long long)t->id, t->held, (unsigned long long)t->progress_at,
                 (unsigned long long)s->now);
}

static void
watch_all(struct oracles *o)
{
    struct seen_task *t;
    size_t cursor = 0;

    due_clear(&o->stills);
    while ((t = idmap_next(&o->model.tasks, &cursor)) != NULL) {
        t->watched = false;
        watch(o, t);
    }
}

static void
futurelock_after(struct oracles *o, const struct judged_step *s)
{
    struct seen_task *t;
    struct due due;

    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        if (ev->kind == EV_CONFIG) {
            o->config.futurelock_ns = kernel_configuration(s->k)->futurelock_ns;
            watch_all(o);
            return; /* the new time counts from the next step on */
        }
        if (ev->kind != EV_OBLIGATION_RESERVED && ev->kind != EV_OBLIGATION_TRANSFERRED)
            continue;
        t = ev->holder.sort == ASUP_SORT_TASK ? model_task(&o->model, ev->holder.id) : NULL;
        if (t != NULL) {
            t->stuck = false;
            watch(o, t);
        }
    }
    if (s->busy)
        return;
    while (due_take(&o->stills, s->now, &due)) {
        t = model_task(&o->model, due.id);
        if (t != NULL)
            due_now(o, s, t);
    }
}

static void
futurelock_learn(struct oracles *o, const struct kernel *k)
{
    (void)k;
    watch_all(o);
}

static void
futurelock_fini(struct oracles *o)
{
    due_fini(&o->stills);
}

const struct oracle_family oracle_futurelock = {
    .learn = futurelock_learn,
    .event = futurelock_event,
    .after = futurelock_after,
    .fini = futurelock_fini,
};
