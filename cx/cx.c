/* SPDX-License-Identifier: MIT */
/* A Cx: whether it is good, what requests name by it, and what it says of its task. */
#include "cx/shell_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
cx_check(const struct asup_cx *cx)
{
    if (cx == NULL)
        return -ASUP_EINVALID;
    if (cx->object.kind == OBJECT_GONE)
        return -ASUP_EEXPIRED;
    if (cx->object.kind != OBJECT_CX)
        return -ASUP_EINVALID;
    if (cx->object.owner->ended)
        return -ASUP_EEXPIRED;
    return cx->closed ? -ASUP_ECLOSED : 0;
}

struct caller
cx_caller(const struct asup_cx *cx)
{
    const struct task_fiber *running = cx->object.shell->running;

    return (struct caller){.task = cx->capability == 0 ? cx->task : 0,
                           .cx = cx->capability,
                           .actor = running == NULL ? 0 : running->id};
}

struct input
cx_input(const struct asup_cx *cx, enum input_kind kind)
{
    return (struct input){.kind = kind, .caller = cx_caller(cx), .region = cx->region};
}

int
cx_may(const struct asup_cx *cx, uint32_t right)
{
    const struct caller caller = cx_caller(cx);
    const char *detail;

    return kernel_may(cx->object.shell->kernel, &caller, cx->region, caller.uid, right, &detail);
}

struct intervening {
    int code;
};

static void
intervene(struct shell *s, void *ctx)
{
    struct intervening *i = ctx;
    uint64_t task = s->running == NULL ? 0 : s->running->id;

    if (s->world.intervenes(s->world.ctx, POINT_ALLOCATE, task))
        i->code = -ASUP_ENOMEM;
    else if (s->world.intervenes(s->world.ctx, POINT_ADMIT, task))
        i->code = -ASUP_EBUSY;
}

int
cx_admit_point(const struct asup_cx *cx)
{
    struct intervening i = {0};

    if (cx->object.shell->world.intervenes != NULL)
        shell_call(cx->object.shell, intervene, &i);
    return i.code;
}

struct bytes
cx_text(const char *text, size_t most)
{
    size_t size = text == NULL ? 0 : strlen(text);

    if (size > most) {
        size = most;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
            size--;
    }
    return (struct bytes){text == NULL ? "" : text, size};
}

/* ---- Who and where ------------------------------------------------------------------------ */

struct asup_task
asup_cx_task(const struct asup_cx *cx)
{
    if (cx_check(cx) == -ASUP_EINVALID || cx->object.kind != OBJECT_CX)
        return (struct asup_task){0};
    if (cx->object.shell->running != NULL)
        return (struct asup_task){cx->object.shell->running->id};
    return (struct asup_task){cx->task};
}

struct asup_region
asup_cx_region(const struct asup_cx *cx)
{
    return (struct asup_region){shell_object_is(cx, OBJECT_CX) ? cx->region : 0};
}

static struct task_fiber *
runs(const struct asup_cx *cx)
{
    return shell_object_is(cx, OBJECT_CX) ? cx->object.shell->running : NULL;
}

static void
spend(struct asup_budget *left, uint32_t poll_quota, uint32_t polls, uint64_t cost_quota,
      uint64_t cost)
{
    if (poll_quota != UINT32_MAX) {
        uint32_t rest = poll_quota > polls ? poll_quota - polls : 0;

        left->poll_quota = left->poll_quota < rest ? left->poll_quota : rest;
    }
    if (cost_quota != UINT64_MAX) {
        uint64_t rest = cost_quota > cost ? cost_quota - cost : 0;

        left->cost_quota = left->cost_quota < rest ? left->cost_quota : rest;
    }
}

struct asup_budget
asup_cx_budget(const struct asup_cx *cx)
{
    const struct task_fiber *t = runs(cx);
    struct asup_budget left = asup_budget_empty();
    struct task_view task;
    struct region_view region;

    if (t == NULL || !kernel_task(t->shell->kernel, t->id, &task))
        return left;
    left = task.effective;
    spend(&left, task.budget.poll_quota, task.polls_spent, task.budget.cost_quota, task.cost_spent);
    for (uint64_t at = task.finalizer ? 0 : task.region;
         at != 0 && kernel_region(t->shell->kernel, at, &region); at = region.parent)
        spend(&left, region.budget.poll_quota, region.polls_spent, region.budget.cost_quota,
              region.cost_spent);
    return left;
}

bool
asup_cx_is_cancel_requested(const struct asup_cx *cx)
{
    const struct task_fiber *t = runs(cx);

    return t != NULL && t->cancelled;
}

const struct asup_reason *
asup_cx_cancel_reason(const struct asup_cx *cx)
{
    const struct task_fiber *t = runs(cx);
    struct task_view view;

    if (t == NULL || !t->cancelled || !kernel_task(t->shell->kernel, t->id, &view))
        return NULL;
    return shell_reason(t->shell, view.reason);
}

/* ---- Words -------------------------------------------------------------------------------- */

struct telling {
    char *text;
};

static void
tell(struct shell *s, void *ctx)
{
    const struct telling *telling = ctx;

    s->world.traced(s->world.ctx, s->running == NULL ? 0 : s->running->id, telling->text);
}

void
asup_cx_trace(struct asup_cx *cx, const char *format, ...)
{
    char text[ASUP_MESSAGE_MAX + 1];
    struct telling telling = {text};
    va_list args;

    if (cx_check(cx) != 0 || cx->object.shell->world.traced == NULL ||
        cx_may(cx, ASUP_RIGHT_TRACE) != 0)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    shell_call(cx->object.shell, tell, &telling);
}

static void
panicked(struct shell *s, void *ctx)
{
    const struct telling *telling = ctx;

    s->running->words = strdup(telling->text);
    s->running->panicked = true;
}

void
asup_cx_panic(struct asup_cx *cx, const char *format, ...)
{
    char text[ASUP_MESSAGE_MAX + 1];
    struct telling telling = {text};
    struct task_fiber *t = runs(cx);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (t == NULL || fiber_current() == NULL) {
        fprintf(stderr, "asupersync: a panic outside of any task: %s\n", text);
        abort();
    }
    shell_call(t->shell, panicked, &telling);
    fiber_exit();
}
