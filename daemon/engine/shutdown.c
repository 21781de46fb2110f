/* SPDX-License-Identifier: MIT */
#include "daemon/engine/shutdown.h"

#include <inttypes.h>

#include "daemon/engine/clock.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/report.h"

/* How long a stopping daemon waits for a disk that fails. */
#define GIVE_UP_NS (5 * ASUP_NS_PER_S)
/* Beyond what is left, so that the manager does not give up in the same
 * instant in which the last finalizer is killed. */
#define EXTEND_MARGIN_NS (5 * ASUP_NS_PER_S)

void
shutdown_asked(struct engine *e, uint32_t count)
{
    struct answer answer;

    if (count <= e->shutdown_count)
        return;
    e->shutdown_wanted = count;
    /* The keeper counts; every step of its count is one request. */
    while (e->shutdown_count < count) {
        struct input in = {
            .kind = IN_SHUTDOWN, .caller = {.uid = 0}, .u.shutdown.within_ns = ASUP_NEVER};
        engine_ask(e, &in, &answer);
        if (answer.code == -ASUP_ENOMEM || answer.code == -ASUP_EUNAVAILABLE)
            return; /* again in a second */
        e->shutdown_count++;
        if (e->shutdown_count == 2)
            report(REPORT_NOTICE, "asked to shut down a second time: cleanup is cut short");
        if (e->shutdown_count > 16)
            e->shutdown_count = count;
    }
    shutdown_begun(e);
}

void
shutdown_resume(struct engine *e, uint32_t count)
{
    struct region_view root;

    if (!kernel_region(e->kernel, ASUP_ROOT_ID, &root))
        return;
    if (root.shutdown) {
        e->shutdown_count = e->shutdown_wanted = count;
        shutdown_begun(e);
        return;
    }
    if (root.state != ASUP_REGION_OPEN)
        e->phase = PHASE_DRAINING;
    shutdown_asked(e, count);
}

void
shutdown_begun(struct engine *e)
{
    if (e->phase == PHASE_SHUTTING_DOWN)
        return;
    e->phase = PHASE_SHUTTING_DOWN;
    report(REPORT_NOTICE, "shutting down: everything is cancelled and cleaned up");
    keeper_say(e, LINK_STOPPING);
    shutdown_extend(e);
    keeper_status(e);
}

void
shutdown_extend(struct engine *e)
{
    struct link_message m = {.kind = LINK_EXTEND};
    struct region_view root;

    if (e->phase != PHASE_SHUTTING_DOWN || !kernel_region(e->kernel, ASUP_ROOT_ID, &root))
        return;
    asup_time now = engine_now(e);
    uint64_t left = EXTEND_MARGIN_NS;
    if (root.close_by != ASUP_NEVER && root.close_by > now)
        left += root.close_by - now;
    m.u.extend.usec = left / 1000;
    (void)keeper_send(e, &m, -1);
}

/* R-SAG-4: what needs attention is left as it stands, and said. */
static void
attention_left(struct engine *e)
{
    uint64_t left = 0;

    for (uint64_t id = kernel_saga_attention_next(e->kernel, 0); id != 0;
         id = kernel_saga_attention_next(e->kernel, id)) {
        struct saga_view saga;

        left++;
        if (left <= 16 && kernel_saga(e->kernel, id, &saga))
            report_trouble("NeedsAttention", saga.region, 0,
                           "g%" PRIu64 " is left as it stands: its step %" PRIu32
                           " could not be undone",
                           id, saga.step_at);
    }
    if (left > 16)
        report(REPORT_NOTICE, "and %" PRIu64 " sagas more", left - 16);
}

void
shutdown_complete(struct engine *e)
{
    attention_left(e);
    e->exit_code = 0;
    ev_break(e->loop, EVBREAK_ALL);
}

void
shutdown_give_up(struct engine *e)
{
    struct kernel_counts counts;

    kernel_counts(e->kernel, &counts);
    if (e->phase != PHASE_SHUTTING_DOWN || !e->journal_failing || counts.running > 0 ||
        clock_boot() - e->failing_since < GIVE_UP_NS)
        return;
    report(REPORT_ERROR, "the journal cannot be written: the daemon ends without having written "
                         "how everything ended; the next start goes on from what it holds");
    e->exit_code = ENGINE_EXIT_GIVEN_UP;
    ev_break(e->loop, EVBREAK_ALL);
}
