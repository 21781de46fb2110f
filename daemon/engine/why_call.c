/* SPDX-License-Identifier: MIT */
/*
 * `why` about calls and workers: a call waits for a worker that offers its
 * name, for one that is free, for the time of its next attempt, or for the
 * worker that has it; and a worker that was quiet for longer than its lease has
 * lost its calls, or loses them when nothing of its task is left (R-TSK-5).
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/why_parts.h"

/* Nobody has it, and it may begin. */
static void
queued_note(const struct why *why, uint64_t task, const struct call_view *c, char *note,
            size_t size)
{
    struct service_view s = {0};
    int length = (int)c->name.size;

    (void)kernel_service(why->engine->kernel, task, &s);
    if (s.workers == 0)
        snprintf(note, size, "no worker offers %.*s here; %u call%s for one", length,
                 (const char *)c->name.data, s.queued, s.queued == 1 ? " waits" : "s wait");
    else
        snprintf(note, size, "%s that offer%s %.*s %s busy; %u call%s for it",
                 s.workers == 1 ? "the only worker" : "all workers", s.workers == 1 ? "s" : "",
                 length, (const char *)c->name.data, s.workers == 1 ? "is" : "are", s.queued,
                 s.queued == 1 ? " waits" : "s wait");
}

bool
why_call_note(struct why *why, const struct task_view *t, char *note, size_t size)
{
    struct call_view c;
    char at[24], left[24];

    if (!t->call || !kernel_call(why->engine->kernel, t->id, &c))
        return false;
    if (t->state == ASUP_TASK_COMPLETED) {
        if (!c.ghost)
            return false;
        snprintf(note, size, "it was ended by force; worker s%" PRIu64 " is at it still", c.worker);
    } else if (t->reason != 0) {
        return false; /* it was asked to end: that is what matters now */
    } else if (t->due_at > why->now && c.attempt > 0) {
        snprintf(note, size, "attempt %u of %u failed; the next comes in %s", c.attempt, c.attempts,
                 why_span(t->due_at - why->now, left));
    } else if (t->due_at > why->now || (t->finalizer && !t->start_ordered && c.worker == 0)) {
        return false;
    } else if (c.worker == 0) {
        queued_note(why, t->id, &c, note, size);
    } else if (c.started) {
        snprintf(note, size, "attempt %u of %u, with worker s%" PRIu64 " for %s%s%s", c.attempt,
                 c.attempts, c.worker, why_span(why->now - t->started_at, at),
                 t->kill_at == ASUP_NEVER ? "" : ", ended by force in ",
                 t->kill_at == ASUP_NEVER ? "" : why_span(time_left(t->kill_at, why->now), left));
    } else {
        snprintf(note, size, "taken %s ago by worker s%" PRIu64 ", which has not begun it",
                 why_span(why->now - c.taken_at, at), c.worker);
    }
    return true;
}

static void
worker_trouble(struct why *why, const struct worker_view *w)
{
    struct asup_ref ref = {.id = w->session, .sort = ASUP_SORT_SESSION};
    char since[24];

    if (!w->quiet && !w->fenced)
        return;
    why_span(why->now - w->seen_at, since);
    if (w->quiet)
        why_add_trouble(why, "WorkerLost", ref,
                        "it was heard of %s ago, longer than its lease: its calls are run again or "
                        "lost as soon as nothing of %c%" PRIu64 " is left",
                        since, (char)w->holder.sort, w->holder.id);
    else if (w->holder.sort == ASUP_SORT_TASK)
        why_add_trouble(why, "WorkerLost", ref,
                        "t%" PRIu64 " ended, and its calls were run again or lost", w->holder.id);
    else
        why_add_trouble(why, "WorkerLost", ref,
                        "it was heard of %s ago, longer than its lease: its calls were run again "
                        "or lost, and it gets no others until it offers anew",
                        since);
}

/* One link for the worker, then its process when it is a task. */
void
why_follow_worker(struct why *why, uint64_t session)
{
    struct worker_view w;
    char since[24];

    if (!kernel_worker(why->engine->kernel, session, &w) || !why_sees(why, w.uid))
        return;
    struct why_link *link = why_add_link(why);
    link->ref = (struct asup_ref){.id = session, .sort = ASUP_SORT_SESSION};
    link->kind = "worker";
    link->state = worker_state_name(&w);
    if (w.name_count > 0)
        snprintf(link->name, sizeof link->name, "%.*s%s", (int)w.names[w.name_count - 1].size,
                 (const char *)w.names[w.name_count - 1].data, w.name_count > 1 ? ", ..." : "");
    link->age_ns = why->now - w.seen_at;
    snprintf(link->note, sizeof link->note,
             "it runs %u call%s of at most %u, took %u more, and was heard of %s ago", w.running,
             w.running == 1 ? "" : "s", w.concurrency, w.taken,
             why_span(why->now - w.seen_at, since));
    worker_trouble(why, &w);
    if (w.holder.sort == ASUP_SORT_TASK && !why_shown(why, w.holder))
        why_follow_task(why, w.holder.id);
}

bool
why_follow_call(struct why *why, const struct task_view *t)
{
    struct call_view c;

    if (!t->call || !kernel_call(why->engine->kernel, t->id, &c))
        return false;
    if (c.worker != 0 &&
        !why_shown(why, (struct asup_ref){.id = c.worker, .sort = ASUP_SORT_SESSION}))
        why_follow_worker(why, c.worker);
    return true;
}
