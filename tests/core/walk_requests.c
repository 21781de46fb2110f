/* SPDX-License-Identifier: MIT */
/*
 * The requests of the random walk (random_walk.c), of every family, right and
 * wrong: mostly about what lives and from who may, so that they lead somewhere,
 * and now and then about anything from anybody.
 */
#include <string.h>

#include "walk.h"

enum { ITEMS_MAX = 6 };

static struct budget_request
any_budget(bool finalizer)
{
    struct budget_request b = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};

    if (dice(8) == 0)
        b.timeout_ns = any_duration();
    if (dice(5) == 0)
        b.priority = (uint8_t)dice(256);
    if (finalizer && dice(20) != 0)
        return b;
    if (dice(12) == 0)
        b.deadline_at = now + dice(2000) * ASUP_NS_PER_MS;
    if (dice(6) == 0)
        b.poll_quota = dice(5);
    if (dice(6) == 0)
        b.cost_quota = dice(50);
    return b;
}

static const char filler[8192] = "spec";

static struct task_params
any_task(uint32_t uid, bool finalizer)
{
    return (struct task_params){
        .label = {filler, dice(20) == 0 ? 200 : dice(40)},
        .spec = {filler, dice(12) == 0 ? 4000 + dice(4000) : dice(300)},
        .budget = any_budget(finalizer),
        .run_uid = dice(20) == 0 ? 7 : uid,
        .delay_ns = finalizer || dice(4) != 0 ? 0 : dice(3000) * ASUP_NS_PER_MS,
        .drain_ns = any_duration(),
        .leftover_ns = any_duration(),
        .watchdog_ns = dice(6) == 0 ? dice(3) * ASUP_NS_PER_S : 0,
        .response_ns = dice(6) == 0 ? dice(3) * ASUP_NS_PER_S : 0,
        .mask_depth = dice(4),
        .cancel_signal = dice(30) == 0 ? (int32_t)dice(80) : 15,
        .leftover_wait = dice(8) == 0,
        .notify = dice(3) == 0,
    };
}

/* Names of computations: few, so that calls and workers meet. */
static const struct bytes computations[] = {{"f", 1}, {"g", 1}, {"resize", 6}};

/* Sometimes a call instead of a program. */
static struct task_params
any_call(uint32_t uid, bool finalizer)
{
    struct task_params p = any_task(uid, finalizer);

    if (dice(2) != 0)
        return p;
    p.call = computations[dice(3)];
    p.retry = (struct retry_params){dice(4), dice(3) * ASUP_NS_PER_S, dice(5) * ASUP_NS_PER_S};
    if (dice(4) == 0)
        p.key = (struct bytes){"key", 1 + dice(3)};
    return p;
}

static struct task_params finalizers[ITEMS_MAX][3];

static void
any_region(struct input *in, unsigned slot)
{
    static const char *const names[] = {"", "", "", "web", "api", "db", "a/b", "..", "t7", "\n"};
    const char *name = names[dice(10)];
    struct region_params *p = &in->u.region_open;

    in->kind = IN_REGION_OPEN;
    *p = (struct region_params){
        .name = {name, strlen(name)},
        .budget = any_budget(false),
        .drain_ns = any_duration(),
        .policy = (uint8_t)dice(ASUP_POLICY_COUNT + (dice(20) == 0)),
        .tasks_max = dice(6) == 0 ? dice(4) : 0,
        .children_max = dice(6) == 0 ? dice(4) : 0,
        .soft = dice(5) == 0,
        .is_volatile = dice(8) == 0,
        .is_durable = dice(30) == 0,
        .attach = dice(4) == 0,
        .strict = dice(4) == 0,
        .finalizers = finalizers[slot],
        .finalizer_count = dice(4) == 0 ? dice(3) : 0,
    };
    p->quorum = p->policy == ASUP_POLICY_QUORUM || dice(30) == 0 ? dice(4) : 0;
    for (uint32_t i = 0; i < 3; i++)
        finalizers[slot][i] = any_task(in->caller.uid, true);
}

static void
any_change(struct input *in, unsigned slot)
{
    /* "/" runs no tasks. */
    switch (in->region == ASUP_ROOT_ID && dice(8) != 0 ? 0 : dice(12)) {
    case 0:
    case 1:
        any_region(in, slot);
        if (dice(2) == 0)
            in->region = ASUP_ROOT_ID;
        break;
    case 2:
        in->kind = IN_REGION_END;
        in->u.end.mode = (uint8_t)dice(dice(20) == 0 ? 4 : 3);
        in->u.end.drain_ns = any_duration();
        in->u.end.message = (struct bytes){filler, dice(20) == 0 ? 300 : dice(60)};
        if (in->region == ASUP_ROOT_ID && dice(10) != 0)
            in->region = any_id(); /* rarely everything */
        break;
    case 3:
        in->kind = IN_TASK_CANCEL;
        in->u.cancel.drain_ns = any_duration();
        in->u.cancel.message = (struct bytes){filler, dice(60)};
        break;
    case 4:
        in->kind = IN_FINALIZER_DEFER;
        in->u.submit = any_call(in->caller.uid, true);
        break;
    default:
        in->kind = IN_TASK_SUBMIT;
        in->u.submit = any_call(in->caller.uid, false);
        break;
    }
}

/* Workers offer, ask, begin and complete; what they say of calls is mostly about
 * those they have, and sometimes about others. */
static void
any_worker(struct input *in)
{
    static struct bytes names[3];
    static uint64_t tasks[4];
    static int codes[4];
    struct session_view session;
    struct worker_view worker;
    struct call_view call;
    uint64_t task = 0;
    unsigned turn = dice(12);

    in->caller.session = any_session();
    in->caller.task = dice(8) == 0 ? in->task : 0;
    if (kernel_session(kernel, in->caller.session, &session) && dice(20) != 0)
        in->caller.uid = session.uid;
    if (!kernel_worker(kernel, in->caller.session, &worker)) {
        turn = dice(3) == 0 ? turn : 0;
    } else {
        task = worker.call_first;
        while (task != 0 && dice(3) == 0 && kernel_call(kernel, task, &call))
            task = call.next;
    }
    if (task == 0 || dice(10) == 0)
        task = any_id();
    switch (turn) {
    case 0:
    case 1:
        in->kind = IN_WORKER_OFFER;
        if (dice(3) != 0) {
            in->region = ASUP_ROOT_ID;
            in->caller.task = 0;
        }
        for (unsigned i = 0; i < 3; i++)
            names[i] = computations[dice(3)];
        in->u.offer = (struct offer_params){
            .names = names,
            .name_count = dice(12) == 0 ? 0 : 1 + dice(3),
            .concurrency = dice(20) == 0 ? 0 : 1 + dice(4),
            .prefetch = dice(4),
            .response_ns = dice(6) == 0 ? dice(3) * ASUP_NS_PER_S : 0,
            .mask_depth = dice(3),
            .quiet_ns = dice(2) == 0 ? ASUP_NEVER : dice(4) * ASUP_NS_PER_S,
        };
        break;
    case 2:
        in->kind = dice(2) == 0 ? IN_WORKER_WITHDRAW : IN_WORKER_DRAIN;
        in->session = dice(3) == 0 ? any_session() : 0;
        in->u.withdraw.name = dice(2) == 0 ? computations[dice(3)] : (struct bytes){"", 0};
        break;
    case 3:
        in->kind = IN_WORKER_START;
        in->u.start.tasks = tasks;
        in->u.start.codes = codes;
        in->u.start.count = dice(5);
        for (unsigned i = 0; i < 4; i++)
            tasks[i] = dice(2) == 0 ? task : any_id();
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        in->kind = IN_WORKER_NEXT;
        in->u.next.most = dice(20) == 0 ? 0 : 1 + dice(5);
        in->u.next.timeout_ns = dice(4) == 0 ? 0 : dice(4) * ASUP_NS_PER_S;
        break;
    case 8:
        in->kind = dice(2) == 0 ? IN_TASK_CHECKPOINT : IN_TASK_PROGRESS;
        in->task = task;
        if (in->kind == IN_TASK_PROGRESS)
            in->u.progress.cost = dice(20);
        break;
    default:
        in->kind = IN_CALL_COMPLETE;
        in->u.complete = (struct completion){
            .task = task,
            .attempt = dice(3) == 0 ? dice(4) : 0,
            .severity = (uint8_t)dice(dice(9) == 0 ? 6 : 4),
            .code = (int32_t)dice(5) - 1,
            .message = {filler, dice(30) == 0 ? 500 : dice(30)},
            .result = {filler, dice(300)},
        };
        break;
    }
}

static void
any_saga(struct input *in)
{
    static struct task_params action, undo;
    struct saga_step_params *p = &in->u.saga_step;

    struct session_view session;
    struct region_view region;
    struct saga_view saga;

    /* Mostly somebody who may, from a session that lives, or a task. */
    in->caller.task = dice(3) == 0 ? in->task : 0;
    in->subject = dice(9) == 0 ? any_id() : owned(kernel_saga_next);
    if (kernel_saga(kernel, in->subject, &saga) && dice(20) != 0)
        in->caller.uid = saga.uid;
    if (!kernel_session(kernel, in->caller.session, &session) || session.uid != in->caller.uid) {
        in->caller.session = 0;
        in->caller.task = in->task;
    }
    switch (in->subject == 0 ? 0 : dice(8)) {
    case 0:
    case 1:
        for (unsigned tries = 0; tries < 20; tries++) {
            if (kernel_region(kernel, in->region, &region) && region.state == ASUP_REGION_OPEN &&
                region.id != ASUP_ROOT_ID)
                break;
            in->region = open_region();
        }
        if (dice(20) != 0)
            in->caller.uid = 0;
        in->kind = IN_SAGA_BEGIN;
        in->u.saga_begin.name = (struct bytes){"pay", dice(4)};
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        in->kind = IN_SAGA_STEP;
        action = any_call(in->caller.uid, false);
        undo = any_call(in->caller.uid, true);
        if (dice(20) != 0)
            undo.retry = (struct retry_params){0};
        *p = (struct saga_step_params){
            .name = {"step", dice(20) == 0 ? 0 : 1 + dice(4)},
            .action = dice(3) == 0 ? NULL : &action,
            .undo = dice(20) == 0 ? NULL : &undo,
            .retry = {dice(4), dice(3) * ASUP_NS_PER_S, dice(6) * ASUP_NS_PER_S},
        };
        break;
    case 6:
        in->kind = dice(2) == 0 ? IN_SAGA_COMPLETE : IN_SAGA_ABORT;
        in->u.nack.note = (struct bytes){filler, dice(20)};
        break;
    default:
        in->kind = IN_SAGA_RESOLVE;
        in->u.resolve.how = (uint8_t)dice(dice(20) == 0 ? 3 : 2);
        break;
    }
}

/* A region that is open, mostly, and who lives. */
static void
aim_holder(struct input *in)
{
    struct region_view region;
    struct task_view task;
    struct session_view session;

    for (int n = 0; n < 6; n++) {
        in->region = n == 5 ? any_id() : open_region();
        if (kernel_region(kernel, in->region, &region) && region.state == ASUP_REGION_OPEN)
            break;
    }
    if (dice(8) == 0 || !kernel_region(kernel, in->region, &region))
        return;
    in->caller.uid = region.uid;
    in->caller.task = 0;
    for (int n = 0; n < 6; n++) {
        in->caller.session = any_session();
        if (kernel_session(kernel, in->caller.session, &session) && session.uid == region.uid)
            break;
        in->caller.session = 0;
    }
    for (int n = 0; n < 6 && dice(3) != 0; n++) {
        uint64_t id = any_id();

        if (kernel_task(kernel, id, &task) && task.state != ASUP_TASK_COMPLETED)
            in->caller.task = id;
    }
}

/* Some live obligation of that region and its holder, to be resolved rightly. */
static void
aim_obligation(struct input *in)
{
    bool receipt =
        in->kind == IN_CHANNEL_ACK || in->kind == IN_CHANNEL_NACK || in->kind == IN_CHANNEL_EXTEND;
    bool permit = in->kind == IN_CHANNEL_SEND;
    struct obligation_view o;
    uint64_t id = 0;

    for (int n = 0; n < 20; n++) {
        id = owned(kernel_obligation_next);
        if (kernel_obligation(kernel, id, &o) && (o.channel != 0) == (receipt || permit) &&
            (o.message != 0) == receipt)
            break;
    }
    in->subject = id != 0 ? id : any_id();
    if (dice(8) == 0 || !kernel_obligation(kernel, in->subject, &o))
        return;
    in->caller.uid = o.uid;
    in->caller.session = o.holder.sort == ASUP_SORT_SESSION ? o.holder.id : 0;
    in->caller.task = o.holder.sort == ASUP_SORT_TASK ? o.holder.id : 0;
}

static void
any_owed(struct input *in)
{
    static const char *const names[] = {"leader", "db", "", "x/y"};
    const char *name = names[dice(dice(20) == 0 ? 4 : 2)];

    aim_holder(in);
    switch (dice(12)) {
    case 0:
    case 1:
    case 9:
        in->kind = IN_OBLIGATION_RESERVE;
        in->u.io.label = (struct bytes){filler, dice(20) == 0 ? 200 : dice(40)};
        in->u.io.timeout_ns = any_duration();
        return;
    case 2:
    case 3:
    case 10:
    case 11:
        in->kind = IN_LEASE_ACQUIRE;
        in->u.acquire.lease.name = (struct bytes){name, strlen(name)};
        in->u.acquire.lease.ttl_ns = 1 + dice(9000) * ASUP_NS_PER_MS;
        in->u.acquire.timeout_ns = any_duration();
        return;
    case 4:
        in->kind = IN_OBLIGATION_TRANSFER;
        in->u.transfer.id = dice(2) == 0 ? any_id() : any_session();
        in->u.transfer.sort = dice(2) == 0 ? ASUP_SORT_TASK : ASUP_SORT_SESSION;
        break;
    case 5:
        in->kind = IN_OBLIGATION_COMMIT;
        break;
    case 6:
        in->kind = IN_OBLIGATION_ABORT;
        in->u.nack.note = (struct bytes){filler, dice(20) == 0 ? 300 : dice(40)};
        break;
    case 7:
        in->kind = IN_LEASE_RENEW;
        in->u.acquire.lease.ttl_ns = dice(5000) * ASUP_NS_PER_MS;
        break;
    default:
        in->kind = IN_LEASE_RELEASE;
        break;
    }
    aim_obligation(in);
}

/* Channels: any request, mostly about one of the last and about what is held. */
static void
any_channel(struct input *in)
{
    static const uint64_t spans[] = {ASUP_NS_PER_MS, ASUP_NS_PER_S, ASUP_NEVER, 0};
    struct channel_view channel;
    struct obligation_view held;
    struct message_view message;
    uint64_t dead = kernel_dead_next(kernel, 0);

    in->kind = (enum input_kind)(IN_CHANNEL_OPEN + dice(IN_DEAD_DISCARD - IN_CHANNEL_OPEN + 1));
    if (dice(3) == 0)
        in->kind = dice(2) == 0 ? IN_CHANNEL_SEND : IN_CHANNEL_RECEIVE;
    if (in->kind == IN_CHANNEL_SEAL && dice(4) != 0)
        in->kind = IN_CHANNEL_RESERVE;
    in->subject = dice(9) == 0 ? any_id() : owned(kernel_channel_next);
    if (in->subject == 0 && in->kind < IN_DEAD_RETRY)
        in->kind = IN_CHANNEL_OPEN;
    if (kernel_channel(kernel, in->subject, &channel) && dice(20) != 0)
        in->caller.uid = channel.uid;
    if (dice(4) != 0 && in->caller.session == 0)
        in->caller.session = any_session();
    if (dice(6) != 0)
        in->caller.task = 0;
    switch (in->kind) {
    case IN_CHANNEL_OPEN:
        in->region = open_region();
        in->u.channel_open = (struct channel_params){
            .name = {"orders", dice(7)},
            .capacity = dice(6),
            .ack_timeout_ns = spans[dice(3 + (dice(9) == 0))],
            .permit_timeout_ns = spans[dice(3)],
            .nacks_max = dice(3),
            .timeouts_max = dice(3),
            .dead_retention_ns = dice(20) * ASUP_NS_PER_S,
        };
        break;
    case IN_CHANNEL_RESERVE:
        in->u.reserve.timeout_ns = any_duration();
        break;
    case IN_CHANNEL_RECEIVE:
        in->u.receive.timeout_ns = any_duration();
        in->u.receive.ack_timeout_ns = dice(2) * ASUP_NS_PER_S;
        break;
    case IN_CHANNEL_SEND:
        in->u.send.data = (struct bytes){filler, dice(12) == 0 ? 3000 : dice(60)};
        in->u.send.channel = in->subject;
        in->subject = 0;
        if (dice(3) == 0)
            aim_obligation(in);
        break;
    case IN_CHANNEL_ACK:
    case IN_CHANNEL_NACK:
    case IN_CHANNEL_EXTEND:
        if (in->kind == IN_CHANNEL_NACK)
            in->u.nack.note = (struct bytes){filler, dice(20) == 0 ? 300 : dice(40)};
        else
            in->u.receive.ack_timeout_ns = dice(3) * ASUP_NS_PER_S;
        aim_obligation(in);
        if (kernel_obligation(kernel, in->subject, &held) && held.message == 0 && dice(5) != 0)
            in->kind = IN_OBLIGATION_ABORT;
        break;
    case IN_DEAD_RETRY:
    case IN_DEAD_DISCARD:
        if (dead != 0 && dice(6) != 0)
            in->subject = dead;
        if (kernel_message(kernel, in->subject, &message))
            in->caller.uid = message.uid;
        if (in->kind == IN_DEAD_RETRY && dice(2) == 0)
            in->u.dead_retry.channel = owned(kernel_channel_next);
        break;
    default:
        break;
    }
}

static void
any_capability(struct input *in)
{
    struct capability_view x;
    struct region_view region;

    in->kind = dice(4) == 0 ? IN_CX_REVOKE : IN_CX_DERIVE;
    in->subject = dice(9) == 0 ? any_id() : owned(kernel_capability_next);
    if (in->kind == IN_CX_REVOKE) {
        if (kernel_capability(kernel, in->subject, &x) && dice(6) != 0)
            in->caller.uid = x.uid;
        return;
    }
    if (kernel_region(kernel, in->region, &region) && dice(6) != 0)
        in->caller.uid = region.uid;
    in->u.derive = (struct derive_params){
        .rights = dice(2) == 0 ? ASUP_RIGHTS_TASK : dice(1 << 14),
        .limit_at = dice(4) == 0 ? now + dice(5000) * ASUP_NS_PER_MS : ASUP_NEVER,
        .priority_ceiling = dice(3) == 0 ? (uint8_t)dice(256) : 0,
        .cost_ceiling = dice(4) == 0 ? dice(50) : UINT64_MAX,
        .poll_ceiling = dice(4) == 0 ? dice(9) : UINT32_MAX,
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
any_caller(struct input *in)
{
    struct region_view region;
    struct session_view session;
    uint64_t id = 0;

    if (dice(8) == 0)
        return;
    if (in->region != 0 && in->region != ASUP_ROOT_ID && in->caller.uid != 0 &&
        kernel_region(kernel, in->region, &region))
        in->caller.uid = region.uid;
    if (kernel_session(kernel, in->caller.session, &session) && session.uid == in->caller.uid)
        return;
    while ((id = kernel_session_next(kernel, id)) != 0) {
        if (kernel_session(kernel, id, &session) && session.uid == in->caller.uid)
            break;
    }
    in->caller.session = id;
}

/* What any request may show and carry besides. */
static void
any_dress(struct input *in)
{
    static const char names[] = "abcdefgh";
    struct capability_view x;

    if (dice(6) == 0) {
        in->caller.cx = dice(6) == 0 ? any_id() : owned(kernel_capability_next);
        if (kernel_capability(kernel, in->caller.cx, &x) && dice(3) != 0)
            in->region = x.region;
    }
    if (dice(10) == 0)
        in->caller.task = dice(6) == 0 ? any_id() : live_task();
    if (dice(12) == 0) {
        in->caller.standing = (struct standing){
            .region = dice(3) == 0 ? live_region() : 0,
            .timeout_ns = dice(3) * ASUP_NS_PER_S,
            .polls = dice(4),
            .cost = dice(4),
            .withheld = dice(4) == 0 ? ASUP_RIGHTS_TASK : 1U << dice(ASUP_RIGHT_COUNT),
            .granted = dice(8) == 0 ? ASUP_RIGHT_ADMIN : 0,
            .priority = (uint8_t)dice(200),
        };
    }
    if (dice(4) == 0 && (keeps(in->kind) || dice(20) == 0)) {
        in->key = (struct bytes){&names[dice(6)], 1 + dice(2)};
        in->key_retention_ns = dice(3) == 0 ? dice(3) * ASUP_NS_PER_S : 0;
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

/* Of a request's content: enough to tell those of a walk from each other. */
static uint64_t
content_of(const struct input *in)
{
    uint64_t h = in->kind;
    /* never 0 or 1, which are of many */
    const uint64_t parts[] = {in->region, in->task, in->session, in->subject, in->token};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        h = (h ^ parts[i]) * UINT64_C(0x100000001b3);
    return h | 2;
}

struct input
any_request(void)
{
    static struct input items[ITEMS_MAX];
    static struct asup_ref made[ITEMS_MAX];
    static int codes[ITEMS_MAX];
    struct input in;
    struct session_view session;
    uint32_t turn = dice(50);

    /* Without sessions little can be asked. */
    if (kernel_session_next(kernel, 0) == 0 && dice(6) == 0)
        turn = 0;
    memset(&in, 0, sizeof in);
    in.token = ++token;
    in.caller.uid = dice(4) == 0 ? 0 : 1000 + (dice(8) == 0);
    in.caller.session = dice(2) == 0 ? any_session() : 0;
    if (kernel_session(kernel, in.caller.session, &session) && dice(12) != 0)
        in.caller.uid = session.uid;
    in.request = dice(2) == 0 ? 1 + dice(60) : 0;
    in.digest = dice(2);
    in.region = dice(8) == 0 ? any_id() : dice(4) == 0 ? live_region() : open_region();
    in.task = dice(5) == 0 ? any_id() : live_task();
    in.session = any_session();
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
        any_worker(&in);
        break;
    case 28:
    case 29:
    case 30:
    case 31:
    case 32:
    case 33:
    case 34:
    case 35:
        any_channel(&in);
        break;
    case 24:
    case 25:
    case 26:
    case 27:
        any_saga(&in);
        break;
    case 0:
        in.kind = IN_SESSION_OPEN;
        in.u.session_open.ttl_ns = dice(3) * ASUP_NS_PER_S;
        break;
    case 1:
        in.kind = (enum input_kind)(IN_SESSION_RESUME + dice(dice(4) == 0 ? 3 : 2));
        in.u.session_open.secret_digest[0] = dice(4) == 0;
        break;
    case 2:
    case 3:
        in.kind = IN_TASK_CHECKPOINT;
        in.u.checkpoint.masked = dice(2) == 0;
        break;
    case 4:
        in.kind = IN_TASK_PROGRESS;
        in.u.progress.cost = dice(20);
        in.u.progress.masked = dice(2) == 0;
        break;
    case 5:
    case 6:
        in.kind = IN_WAIT;
        in.u.wait.timeout_ns = any_duration();
        in.u.wait.on_region = dice(2) == 0;
        in.u.wait.until = in.u.wait.on_region ? WAIT_FINISHED : (uint8_t)dice(3);
        in.subject = dice(5) == 0 ? owned(kernel_saga_next) : 0;
        break;
    case 7:
        in.kind = dice(40) == 0 ? IN_SHUTDOWN : IN_TASK_CHECKPOINT;
        if (in.kind == IN_SHUTDOWN)
            in.u.shutdown.within_ns = any_duration();
        break;
    case 8:
    case 9:
        in.kind = IN_BATCH;
        in.u.batch.items = items;
        in.u.batch.made = made;
        in.u.batch.codes = codes;
        in.u.batch.count = dice(ITEMS_MAX + 1);
        for (unsigned i = 0; i < in.u.batch.count; i++) {
            memset(&items[i], 0, sizeof items[i]);
            items[i].caller = in.caller;
            items[i].region = dice(3) == 0 ? any_id() : live_region();
            items[i].task = dice(3) == 0 ? any_id() : live_task();
            any_change(&items[i], i);
        }
        break;
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
    case 15:
    case 16:
        any_owed(&in);
        break;
    case 36:
    case 37:
        any_capability(&in);
        break;
    default:
        any_change(&in, 0);
        break;
    }
    if (in.kind > IN_SESSION_BYE)
        any_dress(&in);
    names_subject(&in);
    any_caller(&in);
    if (crashes && dice(12) == 0)
        (void)told_again(&in);
    else if (crashes && dice(9) != 0)
        in.digest = content_of(&in);
    return in;
}
