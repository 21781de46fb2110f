/* SPDX-License-Identifier: MIT */
/* Carrying out what the kernel orders. Everything that leaves the engine
 * leaves it here; a failure comes back as a fact. */
#include "daemon/engine/effects.h"

#include <errno.h>
#include <unistd.h>

#include "daemon/engine/handover.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/notify.h"
#include "daemon/engine/report.h"
#include "daemon/engine/shutdown.h"
#include "daemon/engine/spec.h"

/* The keeper never heard of it: say what the keeper would have said. */
static void
start_failed(struct engine *e, uint64_t task, const char *stage, int error)
{
    engine_feed(e, &(struct input){.kind = IN_TASK_START_FAILED,
                                   .task = task,
                                   .u.start_failed = {.stage = stage, .error = error}});
    engine_feed(e, &(struct input){.kind = IN_TASK_EMPTY, .task = task});
}

/* Returns 0, or an errno with *stage set. */
static int
start(struct engine *e, const struct effect *fx, const char **stage)
{
    struct link_message m = {.kind = LINK_START};
    struct proto_process process;
    struct task_view task;
    char notify_path[128];
    int stdio_fd = -1;
    int rc;

    if (keeper_expects(e, fx->task))
        return 0; /* an engine before this one has said it */
    *stage = "spec";
    if (!kernel_task(e->kernel, fx->task, &task))
        return ESRCH;
    if ((rc = spec_decode(e, fx->spec, &process)) != 0)
        return -rc;
    *stage = "notify";
    if (task.notify && (rc = notify_open(e, &task, notify_path, sizeof notify_path)) != 0)
        return -rc;
    *stage = "spec";
    int spec_fd = spec_build(e, &task, &process, task.notify ? notify_path : NULL);
    if (spec_fd < 0)
        return -spec_fd;
    if (process.stdio.data) {
        *stage = "stdio";
        stdio_fd = handover_take(e->handover, process.stdio.data, task.uid);
        if (stdio_fd < 0) {
            close(spec_fd);
            if (handover_await(e->handover, fx))
                return 0;
            return ENOTCONN; /* nobody handed anything over under that token */
        }
    }

    *stage = "keeper";
    if (!keeper_expect(e, fx->task)) {
        rc = ENOMEM;
        goto out;
    }
    if (stdio_fd >= 0) {
        struct link_message passed = {.kind = LINK_STDIO, .u.task = fx->task};
        if (!keeper_send(e, &passed, stdio_fd)) {
            rc = ENOMEM;
            goto out;
        }
    }
    m.u.start.task = fx->task;
    m.u.start.uid = fx->uid;
    m.u.start.path_count = keeper_path(e, fx->region, m.u.start.path);
    rc = keeper_send(e, &m, spec_fd) ? 0 : ENOMEM;
out:
    if (rc)
        (void)keeper_forget(e, fx->task);
    if (stdio_fd >= 0)
        logs_close(e->logs, stdio_fd);
    close(spec_fd);
    return rc;
}

static void
sweep(struct engine *e, const struct effect *fx)
{
    struct link_message m = {.kind = LINK_SWEEP};

    m.u.sweep.region = fx->region;
    m.u.sweep.uid = fx->uid;
    m.u.sweep.path_count = keeper_path(e, fx->region, m.u.sweep.path);
    if (!keeper_send(e, &m, -1))
        engine_feed(e, &(struct input){
                           .kind = IN_REGION_SWEPT, .region = fx->region, .u.swept.error = ENOMEM});
}

void
effect_execute(struct engine *e, const struct effect *fx)
{
    const char *stage;
    int error;

    switch (fx->kind) {
    case FX_REPLY: /* rendered when it was given, see waits_answer */
        return;
    case FX_START:
        error = start(e, fx, &stage);
        if (error) {
            notify_close(e, fx->task);
            start_failed(e, fx->task, stage, error);
        }
        return;
    case FX_SIGNAL:
        keeper_signal(e, fx->task, fx->signal);
        return;
    case FX_KILL:
        keeper_say_task(e, LINK_KILL, fx->task);
        return;
    case FX_SAMPLE:
        keeper_say_task(e, LINK_SAMPLE, fx->task);
        return;
    case FX_FORGET:
        if (keeper_forget(e, fx->task))
            keeper_say_task(e, LINK_FORGET, fx->task);
        notify_close(e, fx->task);
        return;
    case FX_SWEEP:
        sweep(e, fx);
        return;
    case FX_QUIESCENT:
        shutdown_complete(e);
        return;
    }
}
