/* SPDX-License-Identifier: MIT */
/*
 * Requests of every family about anything from anybody, right and wrong: mostly about what lives
 * and from who may, so that they lead somewhere, and now and then about anything from anybody.
 */
#include <string.h>

#include "lab/world_state.h"

static struct budget_request
any_budget(struct world *w, bool finalizer)
{
    struct budget_request b = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};

    if (dice(w, 8) == 0)
        b.timeout_ns = any_duration(w);
    if (dice(w, 5) == 0)
        b.priority = (uint8_t)dice(w, 256);
    if (finalizer && dice(w, 20) != 0)
        return b;
    if (dice(w, 12) == 0)
        b.deadline_at = kernel_now(w) + dice(w, 2000) * ASUP_NS_PER_MS;
    if (dice(w, 6) == 0)
        b.poll_quota = dice(w, 5);
    if (dice(w, 6) == 0)
        b.cost_quota = dice(w, 50);
    return b;
}

static const char filler[8192] = "spec";

struct task_params
any_task(struct world *w, uint32_t uid, bool finalizer)
{
    return (struct task_params){
        .label = {filler, dice(w, 20) == 0 ? 200 : dice(w, 40)},
        .spec = {filler, dice(w, 12) == 0 ? 4000 + dice(w, 4000) : dice(w, 300)},
        .budget = any_budget(w, finalizer),
        .run_uid = dice(w, 20) == 0 ? 7 : uid,
        .delay_ns = finalizer || dice(w, 4) != 0 ? 0 : dice(w, 3000) * ASUP_NS_PER_MS,
        .drain_ns = any_duration(w),
        .leftover_ns = any_duration(w),
        .watchdog_ns = dice(w, 6) == 0 ? dice(w, 3) * ASUP_NS_PER_S : 0,
        .response_ns = dice(w, 6) == 0 ? dice(w, 3) * ASUP_NS_PER_S : 0,
        .mask_depth = dice(w, 4),
        .cancel_signal = dice(w, 30) == 0 ? (int32_t)dice(w, 80) : 15,
        .leftover_wait = dice(w, 8) == 0,
        .notify = dice(w, 3) == 0,
    };
}

/* Names of computations: few, so that calls and workers meet. */
static const struct bytes computations[] = {{"f", 1}, {"g", 1}, {"resize", 6}};

/* Sometimes a call instead of a program. */
static struct task_params
any_call(struct world *w, uint32_t uid, bool finalizer)
{
    struct task_params p = any_task(w, uid, finalizer);

    if (dice(w, 2) != 0)
        return p;
    p.call = computations[dice(w, 3)];
    p.retry =
        (struct retry_params){dice(w, 4), dice(w, 3) * ASUP_NS_PER_S, dice(w, 5) * ASUP_NS_PER_S};
    if (dice(w, 4) == 0)
        p.key = (struct bytes){"key", 1 + dice(w, 3)};
    return p;
}

static void
any_region(struct world *w, struct request *q, struct input *in, unsigned slot)
{
    static const char *const names[] = {"", "", "", "web", "api", "db", "a/b", "..", "t7", "\n"};
    const char *name = names[dice(w, 10)];
    struct region_params *p = &in->u.region_open;

    in->kind = IN_REGION_OPEN;
    *p = (struct region_params){
        .name = {name, strlen(name)},
        .budget = any_budget(w, false),
        .drain_ns = any_duration(w),
        .policy = (uint8_t)dice(w, ASUP_POLICY_COUNT + (dice(w, 20) == 0)),
        .tasks_max = dice(w, 6) == 0 ? dice(w, 4) : 0,
        .children_max = dice(w, 6) == 0 ? dice(w, 4) : 0,
        .soft = dice(w, 5) == 0,
        .is_volatile = dice(w, 8) == 0,
        .is_durable = dice(w, 30) == 0,
        .attach = dice(w, 4) == 0,
        .strict = dice(w, 4) == 0,
        .finalizers = q->finalizers[slot],
        .finalizer_count = dice(w, 4) == 0 ? dice(w, 3) : 0,
    };
    p->quorum = p->policy == ASUP_POLICY_QUORUM || dice(w, 30) == 0 ? dice(w, 4) : 0;
    for (uint32_t i = 0; i < 3; i++)
        q->finalizers[slot][i] = any_task(w, in->caller.uid, true);
}

static void
any_change(struct world *w, struct request *q, struct input *in, unsigned slot)
{
    /* "/" runs no tasks. */
    switch (in->region == ASUP_ROOT_ID && dice(w, 8) != 0 ? 0 : dice(w, 12)) {
    case 0:
    case 1:
        any_region(w, q, in, slot);
        if (dice(w, 2) == 0)
            in->region = ASUP_ROOT_ID;
        break;
    case 2:
        in->kind = IN_REGION_END;
        in->u.end.mode = (uint8_t)dice(w, dice(w, 20) == 0 ? 4 : 3);
        in->u.end.drain_ns = any_duration(w);
        in->u.end.message = (struct bytes){filler, dice(w, 20) == 0 ? 300 : dice(w, 60)};
        if (in->region == ASUP_ROOT_ID && dice(w, 10) != 0)
            in->region = any_id(w); /* rarely everything */
        break;
    case 3:
        in->kind = IN_TASK_CANCEL;
        in->u.cancel.drain_ns = any_duration(w);
        in->u.cancel.message = (struct bytes){filler, dice(w, 60)};
        break;
    case 4:
        in->kind = IN_FINALIZER_DEFER;
        in->u.submit = any_call(w, in->caller.uid, true);
        break;
    default:
        in->kind = IN_TASK_SUBMIT;
        in->u.submit = any_call(w, in->caller.uid, false);
        break;
    }
}

/* Workers offer, ask, begin and complete; what they say of calls is mostly about
 * those they have, and sometimes about others. */
static void
any_worker(struct world *w, struct request *q)
{
    struct input *in = &q->in;
    struct bytes *names = q->names;
    uint64_t *tasks = q->tasks;
    struct session_view session;
    struct worker_view worker;
    struct call_view call;
    uint64_t task = 0;
    unsigned turn = dice(w, 12);

    in->caller.session = any_session(w);
    in->caller.task = dice(w, 8) == 0 ? in->task : 0;
    if (kernel_session(w->kernel, in->caller.session, &session) && dice(w, 20) != 0)
        in->caller.uid = session.uid;
    if (!kernel_worker(w->kernel, in->caller.session, &worker)) {
        turn = dice(w, 3) == 0 ? turn : 0;
    } else {
        task = worker.call_first;
        while (task != 0 && dice(w, 3) == 0 && kernel_call(w->kernel, task, &call))
            task = call.next;
    }
    if (task == 0 || dice(w, 10) == 0)
        task = any_id(w);
    switch (turn) {
    case 0:
    case 1:
        in->kind = IN_WORKER_OFFER;
        if (dice(w, 3) != 0) {
            in->region = ASUP_ROOT_ID;
            in->caller.task = 0;
        }
        for (unsigned i = 0; i < 3; i++)
            names[i] = computations[dice(w, 3)];
        in->u.offer = (struct offer_params){
            .names = names,
            .name_count = dice(w, 12) == 0 ? 0 : 1 + dice(w, 3),
            .concurrency = dice(w, 20) == 0 ? 0 : 1 + dice(w, 4),
            .prefetch = dice(w, 4),
            .response_ns = dice(w, 6) == 0 ? dice(w, 3) * ASUP_NS_PER_S : 0,
            .mask_depth = dice(w, 3),
            .quiet_ns = dice(w, 2) == 0 ? ASUP_NEVER : dice(w, 4) * ASUP_NS_PER_S,
        };
        break;
    case 2:
        in->kind = dice(w, 2) == 0 ? IN_WORKER_WITHDRAW : IN_WORKER_DRAIN;
        in->session = dice(w, 3) == 0 ? any_session(w) : 0;
        in->u.withdraw.name = dice(w, 2) == 0 ? computations[dice(w, 3)] : (struct bytes){"", 0};
        break;
    case 3:
        in->kind = IN_WORKER_START;
        in->u.start.tasks = tasks;
        in->u.start.codes = q->codes;
        in->u.start.count = dice(w, 5);
        for (unsigned i = 0; i < 4; i++)
            tasks[i] = dice(w, 2) == 0 ? task : any_id(w);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        in->kind = IN_WORKER_NEXT;
        in->u.next.most = dice(w, 20) == 0 ? 0 : 1 + dice(w, 5);
        in->u.next.timeout_ns = dice(w, 4) == 0 ? 0 : dice(w, 4) * ASUP_NS_PER_S;
        break;
    case 8:
        in->kind = dice(w, 2) == 0 ? IN_TASK_CHECKPOINT : IN_TASK_PROGRESS;
        in->task = task;
        if (in->kind == IN_TASK_PROGRESS)
            in->u.progress.cost = dice(w, 20);
        break;
    default:
        in->kind = IN_CALL_COMPLETE;
        in->u.complete = (struct completion){
            .task = task,
            .attempt = dice(w, 3) == 0 ? dice(w, 4) : 0,
            .severity = (uint8_t)dice(w, dice(w, 9) == 0 ? 6 : 4),
            .code = (int32_t)dice(w, 5) - 1,
            .message = {filler, dice(w, 30) == 0 ? 500 : dice(w, 30)},
            .result = {filler, dice(w, 300)},
        };
        break;
    }
}

static void
any_saga(struct world *w, struct request *q)
{
    struct input *in = &q->in;
    struct saga_step_params *p = &in->u.saga_step;

    struct session_view session;
    struct region_view region;
    struct saga_view saga;

    /* Mostly somebody who may, from a session that lives, or a task. */
    in->caller.task = dice(w, 3) == 0 ? in->task : 0;
    in->subject = dice(w, 9) == 0 ? any_id(w) : owned(w, kernel_saga_next);
    if (kernel_saga(w->kernel, in->subject, &saga) && dice(w, 20) != 0)
        in->caller.uid = saga.uid;
    if (!kernel_session(w->kernel, in->caller.session, &session) || session.uid != in->caller.uid) {
        in->caller.session = 0;
        in->caller.task = in->task;
    }
    switch (in->subject == 0 ? 0 : dice(w, 8)) {
    case 0:
    case 1:
        for (unsigned tries = 0; tries < 20; tries++) {
            if (kernel_region(w->kernel, in->region, &region) && region.state == ASUP_REGION_OPEN &&
                region.id != ASUP_ROOT_ID)
                break;
            in->region = open_region(w);
        }
        if (dice(w, 20) != 0)
            in->caller.uid = 0;
        in->kind = IN_SAGA_BEGIN;
        in->u.saga_begin.name = (struct bytes){"pay", dice(w, 4)};
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        in->kind = IN_SAGA_STEP;
        q->action = any_task(w, in->caller.uid, false);
        q->undo = any_task(w, in->caller.uid, true);
        *p = (struct saga_step_params){
            .name = {"step", dice(w, 20) == 0 ? 0 : 1 + dice(w, 4)},
            .action = dice(w, 3) == 0 ? NULL : &q->action,
            .undo = dice(w, 20) == 0 ? NULL : &q->undo,
            .retry = {dice(w, 4), dice(w, 3) * ASUP_NS_PER_S, dice(w, 6) * ASUP_NS_PER_S},
        };
        break;
    case 6:
        in->kind = dice(w, 2) == 0 ? IN_SAGA_COMPLETE : IN_SAGA_ABORT;
        in->u.nack.note = (struct bytes){filler, dice(w, 20)};
        break;
    default:
        in->kind = IN_SAGA_RESOLVE;
        in->u.resolve.how = (uint8_t)dice(w, dice(w, 20) == 0 ? 3 : 2);
        break;
    }
}

/* A region that is open, mostly, and who lives. */
static void
aim_holder(struct world *w, struct input *in)
{
    struct region_view region;
    struct task_view task;
    struct session_view session;

    for (int n = 0; n < 6; n++) {
        in->region = n == 5 ? any_id(w) : open_region(w);
        if (kernel_region(w->kernel, in->region, &region) && region.state == ASUP_REGION_OPEN)
            break;
    }
    if (dice(w, 8) == 0 || !kernel_region(w->kernel, in->region, &region))
        return;
    in->caller.uid = region.uid;
    in->caller.task = 0;
    for (int n = 0; n < 6; n++) {
        in->caller.session = any_session(w);
        if (kernel_session(w->kernel, in->caller.session, &session) && session.uid == region.uid)
            break;
        in->caller.session = 0;
    }
    for (int n = 0; n < 6 && dice(w, 3) != 0; n++) {
        uint64_t id = any_id(w);

        if (kernel_task(w->kernel, id, &task) && task.state != ASUP_TASK_COMPLETED)
            in->caller.task = id;
    }
}

/* Some live obligation of that region and its holder, to be resolved rightly. */
static void
aim_obligation(struct world *w, struct input *in)
{
    bool receipt =
        in->kind == IN_CHANNEL_ACK || in->kind == IN_CHANNEL_NACK || in->kind == IN_CHANNEL_EXTEND;
    bool permit = in->kind == IN_CHANNEL_SEND;
    struct obligation_view o;
    uint64_t id = 0;

    for (int n = 0; n < 20; n++) {
        id = owned(w, kernel_obligation_next);
        if (kernel_obligation(w->kernel, id, &o) && (o.channel != 0) == (receipt || permit) &&
            (o.message != 0) == receipt)
            break;
    }
    in->subject = id != 0 ? id : any_id(w);
    if (dice(w, 8) == 0 || !kernel_obligation(w->kernel, in->subject, &o))
        return;
    in->caller.uid = o.uid;
    in->caller.session = o.holder.sort == ASUP_SORT_SESSION ? o.holder.id : 0;
    in->caller.task = o.holder.sort == ASUP_SORT_TASK ? o.holder.id : 0;
}

static void
any_owed(struct world *w, struct input *in)
{
    static const char *const names[] = {"leader", "db", "", "x/y"};
    const char *name = names[dice(w, dice(w, 20) == 0 ? 4 : 2)];

    aim_holder(w, in);
    switch (dice(w, 12)) {
    case 0:
    case 1:
    case 9:
        in->kind = IN_OBLIGATION_RESERVE;
        in->u.io.label = (struct bytes){filler, dice(w, 20) == 0 ? 200 : dice(w, 40)};
        in->u.io.timeout_ns = any_duration(w);
        return;
    case 2:
    case 3:
    case 10:
    case 11:
        in->kind = IN_LEASE_ACQUIRE;
        in->u.acquire.lease.name = (struct bytes){name, strlen(name)};
        in->u.acquire.lease.ttl_ns = 1 + dice(w, 9000) * ASUP_NS_PER_MS;
        in->u.acquire.timeout_ns = any_duration(w);
        return;
    case 4:
        in->kind = IN_OBLIGATION_TRANSFER;
        in->u.transfer.id = dice(w, 2) == 0 ? any_id(w) : any_session(w);
        in->u.transfer.sort = dice(w, 2) == 0 ? ASUP_SORT_TASK : ASUP_SORT_SESSION;
        break;
    case 5:
        in->kind = IN_OBLIGATION_COMMIT;
        break;
    case 6:
        in->kind = IN_OBLIGATION_ABORT;
        in->u.nack.note = (struct bytes){filler, dice(w, 20) == 0 ? 300 : dice(w, 40)};
        break;
    case 7:
        in->kind = IN_LEASE_RENEW;
        in->u.acquire.lease.ttl_ns = dice(w, 5000) * ASUP_NS_PER_MS;
        break;
    default:
        in->kind = IN_LEASE_RELEASE;
        break;
    }
    aim_obligation(w, in);
}

/* Channels: any request, mostly about one of the last and about what is held. */
static void
any_channel(struct world *w, struct input *in)
{
    static const uint64_t spans[] = {ASUP_NS_PER_MS, ASUP_NS_PER_S, ASUP_NEVER, 0};
    struct channel_view channel;
    struct obligation_view held;
    struct message_view message;
    uint64_t dead = kernel_dead_next(w->kernel, 0);

    in->kind = (enum input_kind)(IN_CHANNEL_OPEN + dice(w, IN_DEAD_DISCARD - IN_CHANNEL_OPEN + 1));
    if (dice(w, 3) == 0)
        in->kind = dice(w, 2) == 0 ? IN_CHANNEL_SEND : IN_CHANNEL_RECEIVE;
    if (in->kind == IN_CHANNEL_SEAL && dice(w, 4) != 0)
        in->kind = IN_CHANNEL_RESERVE;
    in->subject = dice(w, 9) == 0 ? any_id(w) : owned(w, kernel_channel_next);
    if (in->subject == 0 && in->kind < IN_DEAD_RETRY)
        in->kind = IN_CHANNEL_OPEN;
    if (kernel_channel(w->kernel, in->subject, &channel) && dice(w, 20) != 0)
        in->caller.uid = channel.uid;
    if (dice(w, 4) != 0 && in->caller.session == 0)
        in->caller.session = any_session(w);
    if (dice(w, 6) != 0)
        in->caller.task = 0;
    switch (in->kind) {
    case IN_CHANNEL_OPEN:
        in->region = open_region(w);
        in->u.channel_open = (struct channel_params){
            .name = {"orders", dice(w, 7)},
            .capacity = dice(w, 6),
            .ack_timeout_ns = spans[dice(w, 3 + (dice(w, 9) == 0))],
            .permit_timeout_ns = spans[dice(w, 3)],
            .nacks_max = dice(w, 3),
            .timeouts_max = dice(w, 3),
            .dead_retention_ns = dice(w, 20) * ASUP_NS_PER_S,
        };
        break;
    case IN_CHANNEL_RESERVE:
        in->u.reserve.timeout_ns = any_duration(w);
        break;
    case IN_CHANNEL_RECEIVE:
        in->u.receive.timeout_ns = any_duration(w);
        in->u.receive.ack_timeout_ns = dice(w, 2) * ASUP_NS_PER_S;
        break;
    case IN_CHANNEL_SEND:
        in->u.send.data = (struct bytes){filler, dice(w, 12) == 0 ? 3000 : dice(w, 60)};
        in->u.send.channel = in->subject;
        in->subject = 0;
        if (dice(w, 3) == 0)
            aim_obligation(w, in);
        break;
    case IN_CHANNEL_ACK:
    case IN_CHANNEL_NACK:
    case IN_CHANNEL_EXTEND:
        if (in->kind == IN_CHANNEL_NACK)
            in->u.nack.note = (struct bytes){filler, dice(w, 20) == 0 ? 300 : dice(w, 40)};
        else
            in->u.receive.ack_timeout_ns = dice(w, 3) * ASUP_NS_PER_S;
        aim_obligation(w, in);
        if (kernel_obligation(w->kernel, in->subject, &held) && held.message == 0 &&
            dice(w, 5) != 0)
            in->kind = IN_OBLIGATION_ABORT;
        break;
    case IN_DEAD_RETRY:
    case IN_DEAD_DISCARD:
        if (dead != 0 && dice(w, 6) != 0)
            in->subject = dead;
        if (kernel_message(w->kernel, in->subject, &message))
            in->caller.uid = message.uid;
        if (in->kind == IN_DEAD_RETRY && dice(w, 2) == 0)
            in->u.dead_retry.channel = owned(w, kernel_channel_next);
        break;
    default:
        break;
    }
}

static void
any_capability(struct world *w, struct input *in)
{
    struct capability_view x;
    struct region_view region;

    in->kind = dice(w, 4) == 0 ? IN_CX_REVOKE : IN_CX_DERIVE;
    in->subject = dice(w, 9) == 0 ? any_id(w) : owned(w, kernel_capability_next);
    if (in->kind == IN_CX_REVOKE) {
        if (kernel_capability(w->kernel, in->subject, &x) && dice(w, 6) != 0)
            in->caller.uid = x.uid;
        return;
    }
    if (kernel_region(w->kernel, in->region, &region) && dice(w, 6) != 0)
        in->caller.uid = region.uid;
    in->u.derive = (struct derive_params){
        .rights = dice(w, 2) == 0 ? ASUP_RIGHTS_TASK : dice(w, 1 << 14),
        .limit_at = dice(w, 4) == 0 ? kernel_now(w) + dice(w, 5000) * ASUP_NS_PER_MS : ASUP_NEVER,
        .priority_ceiling = dice(w, 3) == 0 ? (uint8_t)dice(w, 256) : 0,
        .cost_ceiling = dice(w, 4) == 0 ? dice(w, 50) : UINT64_MAX,
        .poll_ceiling = dice(w, 4) == 0 ? dice(w, 9) : UINT32_MAX,
    };
}

/* Whether it can be answered again by its idempotency key. */
static bool
keeps(enum input_kind kind)
{
    switch (kind) {
    case IN_REGION_OPEN:
    case IN_REGION_END:
    case IN_TASK_SUBMIT:
    case IN_TASK_CANCEL:
    case IN_FINALIZER_DEFER:
    case IN_OBLIGATION_RESERVE:
    case IN_CHANNEL_OPEN:
    case IN_CHANNEL_SEND:
    case IN_DEAD_RETRY:
    case IN_SAGA_BEGIN:
    case IN_SAGA_STEP:
    case IN_CX_DERIVE:
        return true;
    default:
        return false;
    }
}

/* Who asks is mostly who may: the region's owner, from a session of that user. */
static void
any_caller(struct world *w, struct input *in)
{
    struct region_view region;
    struct session_view session;
    uint64_t id = 0;

    if (dice(w, 8) == 0)
        return;
    if (in->region != 0 && in->region != ASUP_ROOT_ID && in->caller.uid != 0 &&
        kernel_region(w->kernel, in->region, &region))
        in->caller.uid = region.uid;
    if (kernel_session(w->kernel, in->caller.session, &session) && session.uid == in->caller.uid)
        return;
    while ((id = kernel_session_next(w->kernel, id)) != 0) {
        if (kernel_session(w->kernel, id, &session) && session.uid == in->caller.uid)
            break;
    }
    in->caller.session = id;
}

/* What any request may show and carry besides. */
static void
any_dress(struct world *w, struct request *q)
{
    struct input *in = &q->in;
    static const char names[] = "abcdefgh";
    struct capability_view x;

    if (dice(w, 6) == 0) {
        in->caller.cx = dice(w, 6) == 0 ? any_id(w) : owned(w, kernel_capability_next);
        if (kernel_capability(w->kernel, in->caller.cx, &x) && dice(w, 3) != 0)
            in->region = x.region;
    }
    if (dice(w, 10) == 0)
        in->caller.task = dice(w, 6) == 0 ? any_id(w) : live_task(w);
    if (dice(w, 4) == 0 && (keeps(in->kind) || dice(w, 20) == 0)) {
        in->key = (struct bytes){&names[dice(w, 6)], 1 + dice(w, 2)};
        in->key_retention_ns = dice(w, 3) == 0 ? dice(w, 3) * ASUP_NS_PER_S : 0;
    }
}

/* What is about a subject names nothing else, as the shell has it. */
static void
names_subject(struct input *in)
{
    switch (in->kind) {
    case IN_REGION_OPEN:
    case IN_REGION_END:
    case IN_TASK_SUBMIT:
    case IN_FINALIZER_DEFER:
    case IN_OBLIGATION_RESERVE:
    case IN_CHANNEL_OPEN:
    case IN_LEASE_ACQUIRE:
    case IN_WORKER_OFFER:
    case IN_SAGA_BEGIN:
    case IN_CX_DERIVE:
        in->task = in->subject = 0;
        break;
    case IN_TASK_CANCEL:
    case IN_TASK_CHECKPOINT:
    case IN_TASK_PROGRESS:
        in->region = in->subject = 0;
        break;
    case IN_WAIT:
        break;
    default:
        in->region = in->task = 0;
        break;
    }
}

uint64_t
request_digest(struct world *w)
{
    return ++w->serial << 2 | 2; /* never 0 or 1, which are of many */
}

void
any_request(struct world *w, struct request *q)
{
    struct input *in = &q->in;
    struct input *items = q->items;
    struct session_view session;
    uint32_t turn = dice(w, 50);

    /* Without sessions little can be asked. */
    if (kernel_session_next(w->kernel, 0) == 0 && dice(w, 6) == 0)
        turn = 0;
    memset(in, 0, sizeof *in);
    in->caller.uid = dice(w, 4) == 0 ? 0 : 1000 + (dice(w, 8) == 0);
    in->caller.session = dice(w, 2) == 0 ? any_session(w) : 0;
    if (kernel_session(w->kernel, in->caller.session, &session) && dice(w, 12) != 0)
        in->caller.uid = session.uid;
    in->request = dice(w, 2) == 0 ? 1 + dice(w, 60) : 0;
    in->digest = dice(w, 2);
    in->region = dice(w, 8) == 0 ? any_id(w) : dice(w, 4) == 0 ? live_region(w) : open_region(w);
    in->task = dice(w, 5) == 0 ? any_id(w) : live_task(w);
    in->session = any_session(w);
    switch (turn) {
    case 40:
    case 41:
    case 42:
    case 43:
    case 44:
    case 45:
    case 46:
    case 47:
    case 48:
    case 49:
        any_worker(w, q);
        break;
    case 28:
    case 29:
    case 30:
    case 31:
    case 32:
    case 33:
    case 34:
    case 35:
        any_channel(w, in);
        break;
    case 24:
    case 25:
    case 26:
    case 27:
        any_saga(w, q);
        break;
    case 0:
        in->kind = IN_SESSION_OPEN;
        in->u.session_open.ttl_ns = dice(w, 3) * ASUP_NS_PER_S;
        break;
    case 1:
        in->kind = (enum input_kind)(IN_SESSION_RESUME + dice(w, dice(w, 4) == 0 ? 3 : 2));
        in->u.session_open.secret_digest[0] = dice(w, 4) == 0;
        break;
    case 2:
    case 3:
        in->kind = IN_TASK_CHECKPOINT;
        in->u.checkpoint.masked = dice(w, 2) == 0;
        break;
    case 4:
        in->kind = IN_TASK_PROGRESS;
        in->u.progress.cost = dice(w, 20);
        in->u.progress.masked = dice(w, 2) == 0;
        break;
    case 5:
    case 6:
        in->kind = IN_WAIT;
        in->u.wait.timeout_ns = any_duration(w);
        in->u.wait.on_region = dice(w, 2) == 0;
        in->u.wait.until = in->u.wait.on_region ? WAIT_FINISHED : (uint8_t)dice(w, 3);
        in->subject = dice(w, 5) == 0 ? owned(w, kernel_saga_next) : 0;
        break;
    case 7:
        in->kind = dice(w, 40) == 0 ? IN_SHUTDOWN : IN_TASK_CHECKPOINT;
        if (in->kind == IN_SHUTDOWN)
            in->u.shutdown.within_ns = any_duration(w);
        break;
    case 8:
    case 9:
        in->kind = IN_BATCH;
        in->u.batch.items = items;
        in->u.batch.made = q->items_made;
        in->u.batch.codes = q->items_codes;
        in->u.batch.count = dice(w, ITEMS_MAX + 1);
        for (unsigned i = 0; i < in->u.batch.count; i++) {
            memset(&items[i], 0, sizeof items[i]);
            items[i].caller = in->caller;
            items[i].region = dice(w, 3) == 0 ? any_id(w) : live_region(w);
            items[i].task = dice(w, 3) == 0 ? any_id(w) : live_task(w);
            any_change(w, q, &q->items[i], i);
        }
        break;
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
    case 15:
    case 16:
        any_owed(w, in);
        break;
    case 36:
    case 37:
        any_capability(w, in);
        break;
    default:
        any_change(w, q, in, 0);
        break;
    }
    if (in->kind > IN_SESSION_BYE)
        any_dress(w, q);
    names_subject(in);
    any_caller(w, in);
    in->digest = dice(w, 9) == 0 ? dice(w, 2) : request_digest(w);
}
