/* SPDX-License-Identifier: MIT */
/* Derived capabilities of cx.h (R-CAP-1, R-CAP-4). */
#include "cx/cx_owed.h"
#include "cx/shell_state.h"

struct asup_cx *
asup_cx_derive(struct asup_cx *cx, uint32_t rights, const struct asup_limits *limits, int *code)
{
    struct asup_cx *derived = cx_object_new(cx, OBJECT_CX, NULL, code);
    struct shell_reply reply;
    struct input in;
    int rc;

    if (derived == NULL)
        return NULL;
    in = cx_input(cx, IN_CX_DERIVE);
    in.u.derive = (struct derive_params){
        .rights = rights,
        .limit_at = ASUP_NEVER,
        .cost_ceiling = UINT64_MAX,
        .poll_ceiling = UINT32_MAX,
    };
    if (limits != NULL) {
        asup_time now = shell_time(shell_of(cx));

        in.u.derive.priority_ceiling = limits->priority;
        in.u.derive.limit_at = limits->deadline_at;
        if (limits->timeout_ns < ASUP_NEVER - now && now + limits->timeout_ns < limits->deadline_at)
            in.u.derive.limit_at = now + limits->timeout_ns;
        in.u.derive.cost_ceiling = limits->cost_quota;
        in.u.derive.poll_ceiling = limits->poll_quota;
    }
    rc = shell_request(cx, &in, &reply);
    if (rc != 0) {
        shell_object_free(derived);
        return cx_refused(rc, code);
    }
    derived->task = cx->task;
    derived->capability = reply.made.id;
    derived->region = cx->region;
    if (code != NULL)
        *code = 0;
    return derived;
}

void
asup_cx_revoke(struct asup_cx *derived)
{
    struct input in;

    if (!shell_object_is(derived, OBJECT_CX) || derived->capability == 0)
        return;
    in = cx_input(derived->object.owner->cx, IN_CX_REVOKE);
    in.subject = derived->capability;
    (void)shell_request(derived->object.owner->cx, &in, NULL);
    shell_object_free(derived);
}
