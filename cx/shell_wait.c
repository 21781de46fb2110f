/* SPDX-License-Identifier: MIT */
/*
 * Going over to the thread's own stack, asking the kernel from there, and
 * waiting. What a task waits for ends in one of these ways, whichever comes
 * first: its answer, its time, a cancel (where that may end it), a kill.
 */
#include "cx/shell_state.h"

#include <string.h>

void
shell_call(struct shell *s, void (*function)(struct shell *s, void *ctx), void *ctx)
{
    if (fiber_current() == NULL) {
        function(s, ctx);
        return;
    }
    s->call = function;
    s->call_ctx = ctx;
    fiber_yield();
}

/* ---- Answered at once -------------------------------------------------------------------- */

struct asking {
    struct input *in;
    struct shell_reply *reply;
    const struct shell_body *body; /* what is made runs it; or NULL */
    asup_time until;
    enum wait_how how;
    int code;
};

static void
ask_now(struct shell *s, void *ctx)
{
    struct asking *a = ctx;

    a->code = shell_ask(s, a->in);
    if (a->reply != NULL)
        *a->reply = s->sync_reply;
}

int
shell_own_request(struct shell *s, struct input *in, struct shell_reply *reply)
{
    struct asking a = {.in = in, .reply = reply};

    shell_call(s, ask_now, &a);
    return a.code;
}

int
shell_request(const struct asup_cx *cx, struct input *in, struct shell_reply *reply)
{
    return shell_own_request(cx->object.shell, in, reply);
}

static void
submit(struct shell *s, void *ctx)
{
    struct asking *a = ctx;
    struct task_fiber *t = record_new(s, a->body);

    if (t == NULL) {
        a->code = -ASUP_ENOMEM;
        return;
    }
    t->finalizer = a->in->kind == IN_FINALIZER_DEFER;
    s->submitted = t;
    ask_now(s, a);
    if (s->submitted != NULL) {
        s->submitted = NULL;
        record_free(s, t);
    }
}

int
shell_submit_own(struct shell *s, struct input *in, const struct shell_body *body,
                 struct shell_reply *reply)
{
    struct asking a = {.in = in, .reply = reply, .body = body};

    shell_call(s, submit, &a);
    return a.code;
}

int
shell_submit(const struct asup_cx *cx, struct input *in, const struct shell_body *body,
             struct shell_reply *reply)
{
    return shell_submit_own(cx->object.shell, in, body, reply);
}

/* ---- Checkpoints -------------------------------------------------------------------------- */

static void
give_way(struct shell *s, void *ctx)
{
    (void)ctx;
    s->running->at_point = true;
    run_add(s, s->running);
}

static void
cancel_here(struct shell *s, const struct task_fiber *t)
{
    static const char message[] = "cancelled at a checkpoint by its world";
    struct input in = {.kind = IN_TASK_CANCEL, .task = t->id};

    in.u.cancel.drain_ns = ASUP_NEVER;
    in.u.cancel.message = (struct bytes){message, sizeof message - 1};
    (void)shell_ask(s, &in);
}

/* *masked: whether a mask held. */
static int
checkpoint(struct shell *s, struct task_fiber *t, bool *masked)
{
    struct input in = {.kind = IN_TASK_CHECKPOINT, .task = t->id, .caller.task = t->id};
    int rc;

    if (s->world.intervenes != NULL && s->world.intervenes(s->world.ctx, POINT_CHECKPOINT, t->id))
        cancel_here(s, t);
    in.u.checkpoint.masked = t->masks > 0;
    rc = shell_ask(s, &in);
    *masked = s->sync_reply.masked;
    if (rc != 0)
        return rc;
    return t->cancelled && !*masked ? -ASUP_ECANCELLED : 0;
}

static void
checkpoint_now(struct shell *s, void *ctx)
{
    struct asking *a = ctx;
    bool masked;

    s->running->at_point = true;
    a->code = checkpoint(s, s->running, &masked);
}

static int
can_wait(const struct asup_cx *cx)
{
    int rc = cx_check(cx);

    if (rc == 0 && fiber_current() == NULL)
        rc = -ASUP_EINVALID; /* nobody who could wait */
    return rc;
}

int
shell_checkpoint(const struct asup_cx *cx)
{
    struct asking a = {.code = can_wait(cx)};

    if (a.code != 0)
        return a.code;
    shell_call(cx->object.shell, give_way, NULL);
    shell_call(cx->object.shell, checkpoint_now, &a);
    return a.code;
}

/* ---- Waiting -------------------------------------------------------------------------------- */

/* It waits as soon as it has given way. False: it does not come to that, and a->code says why. */
static bool
wait_begin(struct shell *s, struct asking *a, enum waiting for_what)
{
    struct task_fiber *t = s->running;
    bool masked = false;

    t->at_point = true;
    a->code = a->how == WAIT_ORDINARY ? checkpoint(s, t, &masked) : 0;
    if (a->code != 0)
        return false;
    t->cancellable = a->how == WAIT_ORDINARY && !masked;
    t->waiting = (uint8_t)for_what;
    t->reply = (struct shell_reply){0};
    return true;
}

static void
ask_waiting(struct shell *s, void *ctx)
{
    struct asking *a = ctx;

    if (!wait_begin(s, a, WAITS_REPLY))
        return;
    s->running->wait_token = a->in->token = shell_token(s, s->running);
    (void)shell_step(s, a->in);
}

int
shell_wait_request(const struct asup_cx *cx, struct input *in, enum wait_how how,
                   struct shell_reply *reply)
{
    struct asking a = {.in = in, .how = how, .code = can_wait(cx)};
    struct task_fiber *t;

    if (a.code != 0)
        return a.code;
    t = cx->object.shell->running;
    if (how == WAIT_ORDINARY)
        shell_call(cx->object.shell, give_way, NULL);
    shell_call(cx->object.shell, ask_waiting, &a);
    if (a.code != 0)
        return a.code;
    if (reply != NULL)
        *reply = t->reply;
    return t->reply.code;
}

static void
sleep_now(struct shell *s, void *ctx)
{
    struct asking *a = ctx;

    if (!wait_begin(s, a, WAITS_TIME))
        return;
    if (a->until <= shell_now(s))
        s->running->waiting = WAITS_NOT;
    else
        timer_arm(s, s->running, a->until);
}

int
shell_sleep_until(const struct asup_cx *cx, asup_time at)
{
    struct asking a = {.until = at, .code = can_wait(cx)};
    struct task_fiber *t;

    if (a.code != 0)
        return a.code;
    t = cx->object.shell->running;
    shell_call(cx->object.shell, give_way, NULL);
    shell_call(cx->object.shell, sleep_now, &a);
    return a.code != 0 ? a.code : t->reply.code;
}

/* ---- Tickets ----------------------------------------------------------------------------------
 */

struct shell_ticket
shell_ticket(struct shell *s)
{
    return (struct shell_ticket){.task = s->running->id, .number = shell_token(s, s->running)};
}

static void
park_now(struct shell *s, void *ctx)
{
    struct asking *a = ctx;
    struct task_fiber *t = s->running;

    if (!wait_begin(s, a, WAITS_TICKET))
        return;
    if (t->ticket_woken == t->wait_token) {
        t->waiting = WAITS_NOT;
    } else if (a->until <= shell_now(s)) {
        t->waiting = WAITS_NOT;
        t->reply.code = -ASUP_ETIMEDOUT;
    } else {
        timer_arm(s, t, a->until);
    }
}

int
shell_park(struct shell *s, struct shell_ticket ticket, asup_time until)
{
    struct asking a = {.until = until};
    struct task_fiber *t = s->running;

    shell_must(fiber_current() != NULL && ticket.task == t->id);
    shell_call(s, give_way, NULL);
    t->wait_token = ticket.number;
    shell_call(s, park_now, &a);
    return a.code != 0 ? a.code : t->reply.code;
}

void
shell_wake(struct shell *s, struct shell_ticket ticket)
{
    struct task_fiber *t = record_of(s, ticket.task);

    if (t == NULL || t->ended)
        return;
    if (t->waiting == WAITS_TICKET && t->wait_token == ticket.number)
        wait_wake(s, t, 0);
    else
        t->ticket_woken = ticket.number;
}

/* ---- Being woken
 * --------------------------------------------------------------------------------- */

void
wait_wake(struct shell *s, struct task_fiber *t, int code)
{
    timer_disarm(s, t);
    t->waiting = WAITS_NOT;
    t->reply.code = code;
    if (t != s->running) /* who runs goes on at once */
        run_add(s, t);
}

void
wait_reply(struct shell *s, const struct effect *fx)
{
    uint32_t slot = (uint32_t)(fx->token & 0xffffff);
    struct task_fiber *t;

    if (slot == 0 || slot > s->chunk_count * RECORDS_PER_CHUNK)
        return; /* of the world */
    t = &s->records[(slot - 1) / RECORDS_PER_CHUNK][(slot - 1) % RECORDS_PER_CHUNK];
    if (t->id == 0 || t->waiting != WAITS_REPLY || t->wait_token != fx->token)
        return;
    wait_wake(s, t, fx->code);
    t->reply.made = fx->made;
    t->reply.masked = fx->masked;
}

void
wait_cancel(struct shell *s, struct task_fiber *t)
{
    if (t->waiting == WAITS_NOT || !t->cancellable)
        return;
    if (t->waiting == WAITS_REPLY) {
        struct input in = {.kind = IN_WAIT_DROPPED, .token = t->wait_token};

        (void)shell_step(s, &in);
    }
    t->told = true;
    wait_wake(s, t, -ASUP_ECANCELLED);
}

bool
scope_is_idle(const struct shell *s, uint64_t region)
{
    struct region_view view;

    return !kernel_region(s->kernel, region, &view) ||
           (view.tasks_live == 0 && view.children_live == 0);
}

/* Or when its quorum cannot be reached any more by what it has (R-POL-2): then nothing more may
 * come. */
static bool
is_hopeless(const struct shell *s, const struct asup_cx *scope)
{
    struct region_view view;

    return scope->quorum > 0 && kernel_region(s->kernel, scope->region, &view) &&
           (uint64_t)scope->oks + view.tasks_live + view.children_live < scope->quorum;
}

void
scope_settle(struct shell *s, struct asup_cx *scope)
{
    struct input in = {.kind = IN_REGION_END, .region = scope->region};

    if (!scope->joining || (!scope_is_idle(s, scope->region) && !is_hopeless(s, scope)))
        return;
    scope->joining = false;
    in.u.end.mode = ASUP_END_FINISH;
    in.u.end.drain_ns = ASUP_NEVER;
    (void)shell_ask(s, &in);
}

void
scope_thinner(struct shell *s, uint64_t region, bool ok)
{
    struct asup_cx *scope = id_map_find(&s->scopes, region);

    if (scope == NULL || !scope->joining)
        return;
    scope->oks += ok;
    if (scope_is_idle(s, region) || is_hopeless(s, scope))
        order_add(s, ORDER_FINISH, region);
}

void
scope_closed(struct shell *s, uint64_t region)
{
    struct asup_cx *cx = id_map_drop(&s->scopes, region);
    struct task_fiber *owner;

    if (cx == NULL)
        return;
    cx->closed = true;
    owner = cx->object.owner;
    if (owner->orphans) {
        if (--owner->scopes_left == 0)
            order_add(s, ORDER_EMPTY, owner->id);
    } else if (cx->awaited && owner->waiting == WAITS_REGION) {
        wait_wake(s, owner, 0);
    }
}
