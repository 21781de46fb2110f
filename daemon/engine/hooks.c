/* SPDX-License-Identifier: MIT */
/* What the engine itself does when something has changed, besides telling
 * those who watch. */
#include <inttypes.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/notify.h"
#include "daemon/engine/report.h"
#include "daemon/engine/sessions.h"
#include "daemon/engine/waits.h"

static void
task_completed(struct engine *e, const struct event *ev)
{
    const struct kernel_outcome *o = ev->outcome;

    notify_close(e, ev->task);
    waits_log_changed(e, ev->task);
    if (!o)
        return;
    /* Not every failing task is news for the daemon's log: a program that
     * cannot be started or dies of a signal is. */
    if (o->stage[0] && o->error)
        report_trouble("TaskStartFailed", ev->region, ev->task,
                       "t%" PRIu64 " could not be started: %.*s: %s", ev->task,
                       (int)strnlen(o->stage, sizeof o->stage), o->stage,
                       strerrordesc_np(o->error) ? strerrordesc_np(o->error) : "unknown error");
    else if (o->key.severity == ASUP_PANICKED)
        report_trouble("TaskPanicked", ev->region, ev->task, "t%" PRIu64 " panicked%s%s%s%.*s",
                       ev->task, o->signal ? ", signal " : "",
                       o->signal && sigabbrev_np(o->signal) ? sigabbrev_np(o->signal) : "",
                       o->stage[0] ? ", " : "", (int)strnlen(o->stage, sizeof o->stage), o->stage);
}

void
hooks_event(struct engine *e, const struct event *ev)
{
    switch (ev->kind) {
    case EV_SESSION_ENDED:
        session_remove(e, ev->session);
        return;
    case EV_TASK_COMPLETED:
        task_completed(e, ev);
        return;
    case EV_TASK_FORGOTTEN:
        logs_forget(e->logs, ev->task);
        return;
    case EV_REGION_CLOSE_TIMEOUT:
        if (ev->task != 0)
            report_trouble("RegionCloseTimeout", ev->region, ev->task,
                           "t%" PRIu64 " of r%" PRIu64 " was killed and is still there; "
                           "asupersyncctl why t%" PRIu64 " says more",
                           ev->task, ev->region, ev->task);
        else
            report_trouble("RegionCloseTimeout", ev->region, 0,
                           "r%" PRIu64 " should be closed by now: what was killed is still there; "
                           "asupersyncctl why r%" PRIu64 " names it",
                           ev->region, ev->region);
        return;
    case EV_REGION_SWEEP_FAILED:
        report_trouble("RegionCloseTimeout", ev->region, 0,
                       "the work directory or cgroup of r%" PRIu64 " cannot be removed: %s",
                       ev->region, strerrordesc_np((int)ev->value));
        return;
    case EV_REGION_OVERCOMMITTED:
        report_trouble("overcommitted", ev->region, 0,
                       "r%" PRIu64 " has less time to close than its finalizers may take",
                       ev->region);
        return;
    case EV_SAGA_NEEDS_ATTENTION:
        report_trouble("NeedsAttention", ev->region, ev->task,
                       "g%" PRIu64 " could not undo its step %" PRIu64 " (%.*s): "
                       "asupersyncctl saga resolve g%" PRIu64 " --retry or --resolved",
                       ev->subject, ev->value, (int)ev->text.size, (const char *)ev->text.data,
                       ev->subject);
        return;
    case EV_WORKER_LOST:
        report_trouble(
            "WorkerLost", ev->region, 0,
            "worker s%" PRIu64 " is gone, or was quiet for longer than its lease: what "
            "it ran is run again or lost, by its retry rule; asupersyncctl why s%" PRIu64,
            ev->session, ev->session);
        return;
    case EV_CAPABILITY_REVOKED:
    case EV_CAPABILITY_DEAD:
        waits_capability_gone(e);
        return;
    case EV_TASK_WATCHDOG_MISSED:
        report_trouble("watchdog", ev->region, ev->task,
                       "t%" PRIu64 " did not feed its watchdog in time", ev->task);
        return;
    case EV_TASK_BROKE_WORD:
        report_trouble("BrokeWord", ev->region, ev->task,
                       "t%" PRIu64 " did not check in as often as it had declared", ev->task);
        return;
    default:
        return;
    }
}
