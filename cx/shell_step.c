/* SPDX-License-Identifier: MIT */
/*
 * Stepping the kernel: an input goes in; its reply, then its events, then its
 * orders are looked at, in that order, so that what was submitted is known by
 * its id before its start is ordered. Orders that need a step of their own wait
 * in a ring, since what a step left is good only until the next.
 */
#include "cx/shell_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORDERS_LEAST = 256 };

void
shell_broken(const char *file, int line, const char *what)
{
    fprintf(stderr, "asupersync: %s:%d: broken: %s\n", file, line, what);
    abort();
}

void
out_of_memory(void)
{
    fputs("asupersync: no memory is left for what must not fail\n", stderr);
    abort();
}

asup_time
shell_now(struct shell *s)
{
    asup_time now = s->world.now(s->world.ctx);

    if (s->now < now)
        s->now = now;
    return s->now;
}

/* ---- Orders -------------------------------------------------------------------------- */

static void
orders_grow(struct shell *s)
{
    uint32_t capacity = s->order_capacity == 0 ? ORDERS_LEAST : 2 * s->order_capacity;
    struct order *orders = malloc(capacity * sizeof *orders);

    if (orders == NULL)
        out_of_memory();
    for (uint32_t i = 0; i < s->order_count; i++)
        orders[i] = s->orders[(s->order_first + i) & (s->order_capacity - 1)];
    free(s->orders);
    s->orders = orders;
    s->order_capacity = capacity;
    s->order_first = 0;
}

static void
order_put(struct shell *s, struct order o)
{
    if (s->order_count == s->order_capacity)
        orders_grow(s);
    s->orders[(s->order_first + s->order_count++) & (s->order_capacity - 1)] = o;
}

void
order_add(struct shell *s, enum order_kind kind, uint64_t id)
{
    order_put(s, (struct order){.id = id, .kind = kind});
}

static void
swept(struct shell *s, uint64_t region)
{
    struct input in = {.kind = IN_REGION_SWEPT, .region = region};

    (void)shell_step(s, &in);
}

/* R-SAG-4: a program has no operator. Who aborted the saga is told, the trace too; the rest of it
 * is undone, and the failure counts in the region's outcome. */
static void
give_up(struct shell *s, uint64_t saga)
{
    struct input in = {.kind = IN_SAGA_RESOLVE, .subject = saga};
    char text[80];

    (void)snprintf(text, sizeof text, "g%llu: a compensation failed for good and is given up",
                   (unsigned long long)saga);
    if (s->world.traced != NULL)
        s->world.traced(s->world.ctx, 0, text);
    in.u.resolve.how = SAGA_RESOLVE;
    (void)shell_ask(s, &in);
}

static void
joined(struct shell *s, uint64_t region)
{
    struct asup_cx *scope = id_map_find(&s->scopes, region);

    if (scope != NULL)
        scope_settle(s, scope);
}

static void
order_do(struct shell *s, const struct order *o)
{
    bool of_task = o->kind != ORDER_SWEEP && o->kind != ORDER_FINISH && o->kind != ORDER_GIVE_UP;
    struct task_fiber *t = of_task ? record_of(s, o->id) : NULL;

    switch (o->kind) {
    case ORDER_START:
        task_start(s, o);
        break;
    case ORDER_SWEEP:
        swept(s, o->id);
        break;
    case ORDER_FINISH:
        joined(s, o->id);
        break;
    case ORDER_SIGNAL:
        if (t != NULL)
            task_signal(s, t);
        break;
    case ORDER_KILL:
        if (t != NULL)
            task_kill(s, t);
        break;
    case ORDER_CANCEL_SCOPES:
        if (t != NULL)
            task_cancel_scopes(s, t);
        break;
    case ORDER_EMPTY:
        if (t != NULL)
            task_empty(s, t);
        break;
    case ORDER_GIVE_UP:
        give_up(s, o->id);
        break;
    }
}

void
orders_run(struct shell *s)
{
    if (s->ordering)
        return; /* whoever is at it takes these along */
    s->ordering = true;
    while (s->order_count > 0) {
        struct order o = s->orders[s->order_first];

        s->order_first = (s->order_first + 1) & (s->order_capacity - 1);
        s->order_count--;
        order_do(s, &o);
    }
    s->ordering = false;
}

/* ---- What came of a step ---------------------------------------------------------------- */

static uint32_t
job_of(struct bytes spec)
{
    uint32_t job = 0;

    if (spec.size == sizeof job)
        memcpy(&job, spec.data, sizeof job);
    return job;
}

static void
reply_take(struct shell *s, const struct effect *fx)
{
    if (fx->token != s->sync_token) {
        wait_reply(s, fx);
        return;
    }
    s->sync_reply = (struct shell_reply){.code = fx->code, .made = fx->made, .masked = fx->masked};
    s->sync_token = 0;
    if (s->submitted != NULL && fx->code == 0) {
        record_known(s, s->submitted, fx->made.id);
        s->submitted = NULL;
    }
}

static uint64_t
parent_of(const struct shell *s, uint64_t region)
{
    struct region_view view;

    return kernel_region(s->kernel, region, &view) ? view.parent : 0;
}

static void
scope_decided(struct shell *s, const struct event *ev)
{
    struct asup_cx *scope = id_map_find(&s->scopes, ev->region);

    if (scope != NULL)
        scope->decider = ev->task;
}

static void
event_see(struct shell *s, const struct event *ev)
{
    struct task_fiber *t;

    switch (ev->kind) {
    case EV_TASK_CANCEL_REQUESTED:
        t = record_of(s, ev->task);
        if (t == NULL)
            break;
        t->cancelled = true;
        if (!t->ended && t->objects != NULL)
            order_add(s, ORDER_CANCEL_SCOPES, t->id);
        break;
    case EV_TASK_COMPLETED:
        t = record_of(s, ev->task);
        if (t != NULL)
            record_free(s, t);
        if (ev->task == s->main_task)
            s->main_ended = true;
        scope_thinner(s, ev->region, ev->outcome->key.severity == ASUP_OK);
        break;
    case EV_REGION_DECIDED:
        scope_decided(s, ev);
        break;
    case EV_SAGA_NEEDS_ATTENTION:
        order_add(s, ORDER_GIVE_UP, ev->subject);
        break;
    case EV_SAGA_ENDED:
        jobs_done(s, ev->subject);
        break;
    case EV_REGION_CLOSED:
        scope_closed(s, ev->region);
        scope_thinner(s, parent_of(s, ev->region), ev->outcome->key.severity == ASUP_OK);
        if (ev->region == s->main_region) {
            s->main_closed = true;
            s->main_outcome = *ev->outcome;
        }
        break;
    default:
        break;
    }
}

static void
effect_see(struct shell *s, const struct effect *fx)
{
    switch (fx->kind) {
    case FX_START:
        order_put(s, (struct order){.id = fx->task,
                                    .region = fx->region,
                                    .job = job_of(fx->spec),
                                    .kind = ORDER_START});
        break;
    case FX_SIGNAL:
        order_add(s, ORDER_SIGNAL, fx->task);
        break;
    case FX_KILL:
        order_add(s, ORDER_KILL, fx->task);
        break;
    case FX_SWEEP:
        order_add(s, ORDER_SWEEP, fx->region);
        break;
    case FX_QUIESCENT:
        s->quiescent = true;
        break;
    case FX_REPLY: /* looked at before */
    case FX_SAMPLE:
    case FX_FORGET:
        break;
    }
}

int
shell_step(struct shell *s, struct input *in)
{
    struct step step;
    int rc;

    in->now = s->now;
    rc = kernel_step(s->kernel, in, &step);
    if (s->world.stepped != NULL)
        s->world.stepped(s->world.ctx, s->kernel, in, &step);
    for (size_t i = 0; i < step.effect_count; i++) {
        if (step.effects[i].kind == FX_REPLY)
            reply_take(s, &step.effects[i]);
    }
    for (size_t i = 0; i < step.event_count; i++)
        event_see(s, &step.events[i]);
    for (size_t i = 0; i < step.effect_count; i++)
        effect_see(s, &step.effects[i]);
    return rc;
}

void
shell_fact(struct shell *s, enum input_kind kind, uint64_t task)
{
    struct input in = {.kind = kind, .task = task};

    if (shell_step(s, &in) != 0)
        out_of_memory();
}

/* ---- Requests ----------------------------------------------------------------------------- */

/* Says which record waits under it, and is never used again. */
uint64_t
shell_token(struct shell *s, const struct task_fiber *t)
{
    return ++s->token_last << 24 | (t == NULL ? 0 : t->slot + 1);
}

/* One that is answered at once. */
int
shell_ask(struct shell *s, struct input *in)
{
    in->token = shell_token(s, NULL);
    s->sync_token = in->token;
    s->sync_reply = (struct shell_reply){.code = -ASUP_EINTERNAL};
    (void)shell_step(s, in);
    if (s->sync_token != 0) { /* it was parked, which it must not be */
        struct input drop = {.kind = IN_WAIT_DROPPED, .token = in->token};

        s->sync_token = 0;
        (void)shell_step(s, &drop);
    }
    return s->sync_reply.code;
}

int
shell_input(struct shell *s, struct input *in)
{
    int rc;

    (void)shell_now(s);
    if (in->kind >= IN_SESSION_OPEN && in->kind <= IN_BATCH && in->token == 0)
        in->token = shell_token(s, NULL);
    rc = shell_step(s, in);
    orders_run(s);
    return rc;
}
