/* SPDX-License-Identifier: MIT */
/*
 * Scopes (cx.h): a region with the Cx for it. A scope that its task leaves open
 * is closed as the task ends, and the task is Completed when it is Closed
 * (shell_task.c).
 */
#include "cx/shell_state.h"

#include <stdlib.h>

void
asup_scope_options_init(struct asup_scope_options *options)
{
    *options = (struct asup_scope_options){.drain_ns = ASUP_NEVER};
    asup_limits_init(&options->limits);
}

/* ---- Opening ------------------------------------------------------------------------- */

struct opening {
    struct input *in;
    struct asup_cx *scope;
    int code;
};

static void
open_now(struct shell *s, void *ctx)
{
    struct opening *o = ctx;

    if (!id_map_reserve(&s->scopes, 1)) {
        o->code = -ASUP_ENOMEM;
        return;
    }
    o->code = shell_ask(s, o->in);
    if (o->code != 0)
        return;
    o->scope->region = s->sync_reply.made.id;
    id_map_add(&s->scopes, o->scope->region, o->scope);
}

static void
region_fill(struct region_params *p, const struct asup_scope_options *options)
{
    struct asup_scope_options preset;

    if (options == NULL) {
        asup_scope_options_init(&preset);
        options = &preset;
    }
    *p = (struct region_params){
        .name = cx_text(options->name, ASUP_NAME_MAX + 1), /* one too long is refused */
        .budget = cx_budget_request(&options->limits),
        .drain_ns = options->drain_ns,
        .policy = (uint8_t)options->policy,
        .quorum = options->quorum,
        .strict = options->strict,
        .soft = options->soft,
    };
}

struct asup_cx *
asup_cx_scope_open(struct asup_cx *cx, const struct asup_scope_options *options, int *code)
{
    struct opening o = {.code = cx_check(cx)};
    struct input in;

    if (o.code == 0)
        o.code = cx_admit_point(cx);
    if (o.code == 0 && fiber_current() == NULL)
        o.code = -ASUP_EINVALID;
    if (o.code == 0) {
        o.scope = shell_object_new(cx->object.shell, OBJECT_CX, NULL);
        if (o.scope == NULL)
            o.code = -ASUP_ENOMEM;
    }
    if (o.code == 0) {
        o.scope->task = cx->task;
        o.scope->capability = cx->capability;
        o.scope->scope = true;
        o.scope->closed = true; /* until it is open */
        in = cx_input(cx, IN_REGION_OPEN);
        region_fill(&in.u.region_open, options);
        o.in = &in;
        shell_call(cx->object.shell, open_now, &o);
        o.scope->closed = o.code != 0;
        o.scope->quorum = options == NULL ? 0 : options->quorum;
    }
    if (o.code == 0) {
        if (code != NULL)
            *code = 0;
        return o.scope;
    }
    if (o.scope != NULL)
        shell_object_free(o.scope);
    if (code != NULL)
        *code = o.code == -ASUP_ENOTFOUND ? -ASUP_ECLOSED : o.code;
    return NULL;
}

static void
memory_drop(void *object)
{
    free(((struct asup_cx *)object)->memory);
}

void *
scope_memory(struct asup_cx *scope, size_t size)
{
    scope->memory = calloc(1, size > 0 ? size : 1);
    scope->object.drop = memory_drop;
    return scope->memory;
}

/* ---- Closing and joining ----------------------------------------------------------------- */

static bool
is_own_scope(const struct asup_cx *scope)
{
    return shell_object_is(scope, OBJECT_CX) && scope->scope && scope->object.owner != NULL &&
           scope->object.owner == scope->object.shell->running;
}

void
asup_cx_scope_close(struct asup_cx *scope, const char *message)
{
    struct input in;

    if (cx_check(scope) != 0)
        return;
    in = cx_input(scope, IN_REGION_END);
    if (is_own_scope(scope))
        in.caller = (struct caller){0}; /* whatever the Cx may: it is the opener's */
    in.u.end.mode = message == NULL ? ASUP_END_CLOSE : ASUP_END_CANCEL;
    in.u.end.message = cx_text(message, ASUP_MESSAGE_MAX);
    in.u.end.drain_ns = ASUP_NEVER;
    (void)shell_request(scope, &in, NULL);
}

/* Who joins cannot resolve a saga any more that it drives in there. */
static void
sagas_abort(struct shell *s, const struct task_fiber *t, uint64_t region)
{
    static const char why[] = "its scope is joined";

    for (const struct shell_object *o = t->objects; o != NULL; o = o->next) {
        struct input in = {.kind = IN_SAGA_ABORT};
        struct saga_view saga;

        if (o->kind != OBJECT_SAGA)
            continue;
        in.subject = saga_id((const void *)o);
        if (!kernel_saga(s->kernel, in.subject, &saga) || saga.region != region ||
            saga.state != SAGA_RUNNING)
            continue;
        in.u.nack.note = (struct bytes){why, sizeof why - 1};
        (void)shell_ask(s, &in);
    }
}

/* Wait for its end, and seal it when nothing of it is left (its tasks may open scopes below it and
 * spawn into it as long as they live): in the kernel, where the wait is seen by who looks for what
 * waits for what; by ourselves where the kernel cannot park it. */
static void
join_now(struct shell *s, void *ctx)
{
    struct asup_cx *scope = ctx;
    struct task_fiber *t = s->running;
    struct input in;

    t->at_point = true;
    sagas_abort(s, t, scope->region);
    scope->joining = true;
    scope_settle(s, scope);
    if (scope->closed)
        return;
    in = (struct input){.kind = IN_WAIT, .region = scope->region, .caller.task = t->id};
    in.u.wait.timeout_ns = ASUP_NEVER;
    in.u.wait.until = WAIT_FINISHED;
    in.u.wait.on_region = true;
    t->wait_token = in.token = shell_token(s, t);
    t->waiting = WAITS_REPLY;
    t->cancellable = false;
    (void)shell_step(s, &in);
    if (t->waiting == WAITS_NOT && !scope->closed) {
        t->waiting = WAITS_REGION;
        scope->awaited = true;
    }
}

void
scope_await(struct asup_cx *scope)
{
    if (!scope->closed)
        shell_call(scope->object.shell, join_now, scope);
}

int
asup_cx_scope_join(struct asup_cx *scope, struct asup_outcome *out)
{
    struct region_view view;
    struct shell *s;
    int rc = 0;

    if (scope == NULL)
        return 0;
    if (!is_own_scope(scope))
        return shell_object_is(scope, OBJECT_CX) ? -ASUP_EDENIED : -ASUP_EEXPIRED;
    s = scope->object.shell;
    scope_await(scope);
    if (kernel_region(s->kernel, scope->region, &view)) {
        rc = shell_outcome(s, &view.outcome, out);
        if (rc == 0)
            rc = shell_result(&view.outcome);
    } else {
        rc = -ASUP_ENOTFOUND; /* so many have ended since that it is forgotten */
    }
    shell_object_free(scope);
    return rc;
}
