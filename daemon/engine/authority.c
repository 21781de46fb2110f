/* SPDX-License-Identifier: MIT */
/*
 * Who a caller is by the capability it shows, and what that lets it see.
 */
#include <inttypes.h>

#include "daemon/engine/call.h"
#include "daemon/engine/cx.h"

/* Whether the peer may use a capability at all, whatever it may do: it is the
 * user whose it is, the one whom its task runs as, root or the owner. */
static bool
peer_may_use(const struct call *c, uint32_t uid, uint32_t run_uid)
{
    uint32_t peer = c->caller.uid;

    return peer == 0 || peer == (uint32_t)c->engine->options.owner_uid || peer == uid ||
           peer == run_uid;
}

static int
not_good(struct call *c)
{
    return call_fail(c, -ASUP_EDENIED, "cx",
                     "take it from $ASUPERSYNC_CX of a task of this daemon, or from cx.derive",
                     "that is no capability of this daemon, or it is another user's");
}

static int
show_task(struct call *c, uint64_t id)
{
    struct task_view task;

    if (!kernel_task(c->engine->kernel, id, &task))
        return call_fail(c, -ASUP_EEXPIRED, "cx", NULL, "the task whose capability it is is gone");
    if (!peer_may_use(c, task.uid, task.run_uid))
        return not_good(c);
    if (task.state == ASUP_TASK_COMPLETED)
        return call_fail(c, -ASUP_EEXPIRED, "cx", NULL,
                         "t%" PRIu64 ", whose capability it is, has completed", id);
    c->caller.task = id;
    return 0;
}

int
call_show_cx(struct call *c, bool has_cx, const uint8_t cx[16])
{
    enum cx_sort sort;
    uint64_t id;

    if (!has_cx)
        return 0;
    c->caller.task = c->caller.cx = 0;
    c->privileged = false;
    if (!cx_verify(&c->engine->cx_key, cx, &sort, &id) || sort != CX_TASK)
        return not_good(c);
    return show_task(c, id);
}
