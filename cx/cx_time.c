/* SPDX-License-Identifier: MIT */
/* Checkpoints, masks, time, chance (cx.h). */
#include "cx/shell_state.h"

int
asup_cx_checkpoint(struct asup_cx *cx)
{
    return shell_checkpoint(cx);
}

struct progress {
    uint64_t cost;
    int code;
};

/* It spends no poll, and observes as a checkpoint does. */
static void
progress(struct shell *s, void *ctx)
{
    struct progress *p = ctx;
    struct task_fiber *t = s->running;
    struct input in = {.kind = IN_TASK_PROGRESS, .task = t->id, .caller.task = t->id};

    in.u.progress.cost = p->cost;
    in.u.progress.masked = t->masks > 0;
    t->at_point = true;
    p->code = shell_ask(s, &in);
    if (p->code == 0 && t->cancelled && !s->sync_reply.masked)
        p->code = -ASUP_ECANCELLED;
}

int
asup_cx_progress(struct asup_cx *cx, uint64_t cost)
{
    struct progress p = {.cost = cost, .code = cx_check(cx)};

    if (p.code == 0 && fiber_current() == NULL)
        p.code = -ASUP_EINVALID;
    if (p.code == 0)
        shell_call(cx->object.shell, progress, &p);
    return p.code;
}

void
asup_cx_mask(struct asup_cx *cx)
{
    if (cx_check(cx) != -ASUP_EINVALID && cx->object.kind == OBJECT_CX &&
        cx->object.shell->running != NULL)
        cx->object.shell->running->masks++;
}

void
asup_cx_unmask(struct asup_cx *cx)
{
    if (cx_check(cx) != -ASUP_EINVALID && cx->object.kind == OBJECT_CX &&
        cx->object.shell->running != NULL && cx->object.shell->running->masks > 0)
        cx->object.shell->running->masks--;
}

static void
ask_now(struct shell *s, void *ctx)
{
    *(asup_time *)ctx = shell_now(s);
}

asup_time
shell_time(struct shell *s)
{
    asup_time now = 0;

    shell_call(s, ask_now, &now);
    return now;
}

/* What was refused is in the trace: the function has no room to say so. */
static void
refused(struct shell *s, void *ctx)
{
    if (s->world.traced != NULL)
        s->world.traced(s->world.ctx, s->running == NULL ? 0 : s->running->id, ctx);
}

asup_time
asup_cx_now(struct asup_cx *cx)
{
    static char text[] = "refused: the capability lacks the right \"time\"";

    if (cx_check(cx) != 0)
        return 0;
    if (cx_may(cx, ASUP_RIGHT_TIME) == 0)
        return shell_time(cx->object.shell);
    shell_call(cx->object.shell, refused, text);
    return 0;
}

int
asup_cx_sleep_until(struct asup_cx *cx, asup_time at)
{
    int rc = cx_check(cx);

    if (rc == 0)
        rc = cx_may(cx, ASUP_RIGHT_TIME);
    return rc != 0 ? rc : shell_sleep_until(cx, at);
}

int
asup_cx_sleep(struct asup_cx *cx, uint64_t ns)
{
    asup_time now = cx_check(cx) == 0 ? shell_time(cx->object.shell) : 0;

    return asup_cx_sleep_until(cx, ns > ASUP_NEVER - now ? ASUP_NEVER : now + ns);
}

static void
ask_random(struct shell *s, void *ctx)
{
    *(uint64_t *)ctx = s->world.random(s->world.ctx);
}

uint64_t
asup_cx_random_u64(struct asup_cx *cx)
{
    static char text[] = "refused: the capability lacks the right \"random\"";
    uint64_t bits = 0;

    if (cx_check(cx) != 0)
        return 0;
    if (cx_may(cx, ASUP_RIGHT_RANDOM) != 0)
        shell_call(cx->object.shell, refused, text);
    else
        shell_call(cx->object.shell, ask_random, &bits);
    return bits;
}
