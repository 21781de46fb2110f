/* SPDX-License-Identifier: MIT */
/*
 * Who a caller is by the capability it shows, and what that lets it see
 * (R-CAP-1, R-CAP-2). The kernel decides; here is what it is asked, and what
 * is said to those who may not.
 */
#include <inttypes.h>
#include <string.h>

#include "asupersync/values.h"
#include "daemon/engine/call.h"
#include "daemon/engine/cx.h"
#include "daemon/engine/standing.h"

/* ---- Showing one ------------------------------------------------------------------------ */

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
    return call_fail(
        c, -ASUP_EDENIED, "cx",
        "take it from $ASUPERSYNC_CX of a task of this daemon, or from asupersyncctl cx "
        "derive",
        "that is no capability of this daemon, or it is another user's");
}

static bool
peer_may_use_task(const struct call *c, uint64_t id, uint32_t uid)
{
    struct task_view task;

    if (kernel_task(c->engine->kernel, id, &task))
        return peer_may_use(c, task.uid, task.run_uid) || c->caller.uid == uid;
    return peer_may_use(c, uid, uid);
}

static bool
peer_is_right(const struct call *c, enum cx_sort sort, uint64_t id)
{
    struct capability_view x;
    struct task_view task;

    if (sort == CX_TASK)
        return !kernel_task(c->engine->kernel, id, &task) ||
               peer_may_use(c, task.uid, task.run_uid);
    if (!kernel_capability(c->engine->kernel, id, &x))
        return true; /* it died: good for nothing */
    return x.owner.sort == ASUP_SORT_TASK ? peer_may_use_task(c, x.owner.id, x.uid)
                                          : peer_may_use(c, x.uid, x.uid);
}

bool
call_gives_back(const struct call *c)
{
    const enum proto_op_id op = c->op->id;

    return op == PROTO_OBLIGATION_ABORT || op == PROTO_LEASE_RELEASE || op == PROTO_CHANNEL_NACK ||
           op == PROTO_CHANNEL_ABORT;
}

static int
fail_right(struct call *c, int code, const char *detail)
{
    const char *hint = code == -ASUP_EDENIED
                           ? "a capability is for its region and what is in it; without one this "
                             "user's own rights count"
                           : "";

    (void)call_fail(c, code, call_shows_cx(c) ? "cx" : NULL, hint, "%s",
                    detail ? detail : asup_error_text(code));
    standing_hint(c, code, detail);
    return code;
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
    if (!cx_verify(&c->engine->cx_key, cx, &sort, &id) || !peer_is_right(c, sort, id))
        return not_good(c);
    if (sort == CX_TASK)
        c->caller.task = id;
    else
        c->caller.cx = id;
    return 0;
}

bool
call_shows_cx(const struct call *c)
{
    return c->caller.cx != 0 || c->caller.task != 0;
}

static uint32_t
right_named(const char *name, size_t size)
{
    char text[16];

    if (size >= sizeof text)
        return 0;
    memcpy(text, name, size);
    text[size] = '\0';
    return policy_right(text);
}

int
call_rights(struct call *c, const struct proto_texts *names, const char *field, uint32_t *out)
{
    uint32_t rights = 0;

    for (uint32_t i = 0; i < names->count; i++) {
        const struct proto_text *name = &names->items[i];
        uint32_t right = right_named(name->data, name->size);
        if (!right)
            return call_fail(c, -ASUP_EINVALID, field,
                             "spawn, cancel, close, observe, time, random, trace, channel, lease, "
                             "io, saga, serve, delegate, admin",
                             "there is no right \"%.*s\"", (int)name->size, name->data);
        rights |= right;
    }
    *out = rights;
    return 0;
}

/* What the operation needs of the capability, wherever it is. Who changes
 * something is told more exactly by the kernel. */
int
call_may_begin(struct call *c)
{
    const struct kernel *k = c->engine->kernel;
    const char *detail = NULL;
    uint32_t right = 0;
    int code;

    if (c->op->flags & PROTO_OPERATOR) {
        code = kernel_may(k, &c->caller, ASUP_ROOT_ID, 0, ASUP_RIGHT_ADMIN, &detail);
        if (code != 0 && !call_shows_cx(c))
            return call_fail(c, code, NULL, NULL, "%s is for root and the daemon's owner only",
                             c->op->name);
        return code == 0 ? 0 : fail_right(c, code, detail);
    }
    if (!call_shows_cx(c))
        return standing_may_begin(c);
    if (call_gives_back(c))
        return 0;
    if (!(c->op->flags & PROTO_MUTATES))
        right = right_named(c->op->right, strlen(c->op->right));
    code = kernel_may(k, &c->caller, 0, c->caller.uid, right, &detail);
    /* What was granted before is answered again by whoever still knows the key (R-IDM-1). */
    if (code == -ASUP_EEXPIRED && c->op->flags & PROTO_MUTATES && c->key->key.data)
        return 0;
    return code == 0 ? 0 : fail_right(c, code, detail);
}

/* ---- What it lets see ------------------------------------------------------------------------ */

bool
call_sees(const struct call *c, uint64_t region, uint32_t uid)
{
    const char *detail;

    if (!call_shows_cx(c) &&
        (c->privileged || (c->caller.uid == uid && c->caller.standing.region == 0)))
        return true;
    return kernel_may(c->engine->kernel, &c->caller, region, uid, 0, &detail) == 0;
}

bool
call_sees_all(const struct call *c)
{
    return c->privileged || call_shows_cx(c) || c->caller.standing.region != 0;
}

int
call_hidden(struct call *c, uint64_t region, uint32_t uid, const char *field)
{
    const struct caller bare = {.uid = c->caller.uid};
    const char *detail = NULL;
    int code = kernel_may(c->engine->kernel, &c->caller, region, uid, 0, &detail);

    if (code == 0 || (!call_shows_cx(c) && c->caller.standing.region == 0))
        return 0;
    /* To who may not see it by its user either, it does not exist. */
    const char *unused;
    if (kernel_may(c->engine->kernel, &bare, region, uid, 0, &unused) != 0)
        return 0;
    (void)fail_right(c, code, detail);
    if (field)
        memcpy(c->error.field, field, strlen(field) + 1);
    return code;
}

int
call_owed(struct call *c, uint64_t id)
{
    struct obligation_view o;

    if (!kernel_obligation(c->engine->kernel, id, &o) || call_sees(c, o.region, o.uid) ||
        (call_gives_back(c) && (c->caller.uid == o.uid || (o.holder.sort == ASUP_SORT_TASK &&
                                                           o.holder.id == c->caller.task))))
        return 0;
    return call_fail(c, -ASUP_ENOTFOUND, "obligation", NULL,
                     "there is no obligation o%" PRIu64 " of yours", id);
}

uint64_t
call_region_default(const struct call *c)
{
    uint64_t own = call_shows_cx(c) ? kernel_caller_region(c->engine->kernel, &c->caller)
                                    : c->caller.standing.region;

    return own ? own : ASUP_ROOT_ID;
}
