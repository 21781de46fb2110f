/* SPDX-License-Identifier: MIT */
/*
 * A random walk over the kernel's whole interface, below the words of the
 * scenarios: right and wrong requests, batches, repeated request ids, facts in
 * any order and about anything, new configurations, and memory that runs out.
 *
 * After every step the invariants hold (§9), the events folded in a second
 * kernel give the same state (R-EVT-1), what was refused left no mark
 * (R-EVT-2), and V rose only by admission (R-SCH-3). At the end an honest shell
 * and two shutdowns leave nothing (R-REG-4). Of the whole trace, independent
 * neighbours change places, and dependent ones may not (R-EVT-3).
 *
 * Now and then one of the kernels goes through a snapshot. With --crash, engine,
 * keeper and machine die at any moment instead, and come back (walk.h): nothing
 * acknowledged is lost, nothing runs twice, and all ends in quiescence as well.
 *
 *     random_walk [--crash] [seed [count [steps]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "durably.h"
#include "trace_log.h"
#include "walk.h"

enum { ITEMS_MAX = 6 };

static uint64_t seed_now;
static uint64_t state;
static bool crashes; /* see walk.h */
struct kernel *kernel, *shadow;
uint64_t now, token;
static long memory_left;      /* allocations until one is refused; -1: no end */
static uint64_t saga_last;    /* begun last */
static uint64_t channel_last; /* opened last */
static uint64_t cx_last;      /* derived last */

struct process processes[TASKS_MAX];
bool sweeping[TASKS_MAX];
static struct trace_log recorded;
static struct kernel_config config_first;
static uint64_t swapped;

uint32_t
dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 20) % sides);
}

void
fail(const char *what, const char *which)
{
    fprintf(stderr, "%s %s\nreplay: random_walk %s%llu 1\n", what, which, crashes ? "--crash " : "",
            (unsigned long long)seed_now);
    abort();
}

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    if (memory_left == 0)
        return NULL;
    if (memory_left > 0)
        memory_left--;
    ptr = realloc(ptr, size_new);
    if (ptr == NULL)
        abort();
    return ptr;
}

/* ---- A step with its checks ---------------------------------------------------------- */

void
effect_take(const struct effect *fx)
{
    struct process *p = &processes[fx->task % TASKS_MAX];

    switch (fx->kind) {
    case FX_START:
        if (p->ordered && !crashes)
            fail("R-TSK-5:", "a task is started twice");
        crash_reordered += p->ordered;
        p->ordered = true; /* the keeper takes it twice, and starts it once */
        break;
    case FX_KILL:
        if (!p->ordered)
            fail("killed", "what was never started");
        p->killed = true;
        break;
    case FX_SIGNAL:
        if (!p->started)
            fail("signalled", "what has not started");
        crash_reordered += p->signalled;
        p->signalled = true;
        break;
    case FX_FORGET:
        if (!p->ordered && !crashes)
            fail("forgotten", "what was never started");
        break;
    case FX_SWEEP:
        sweeping[fx->region % TASKS_MAX] = true;
        break;
    default:
        break;
    }
}

static void
effects_take(const struct step *out)
{
    if (crashes) {
        crash_step(out);
        return;
    }
    for (size_t i = 0; i < out->effect_count; i++)
        effect_take(&out->effects[i]);
}

int
take_step(struct input *in)
{
    uint64_t digest = kernel_digest(kernel);
    uint64_t potential = kernel_potential(kernel);
    struct step out;
    bool admitted = false;
    const char *broken;
    int rc;

    in->now = now;
    rc = kernel_step(kernel, in, &out);
    memory_left = -1; /* the second kernel and the checks have enough */
    for (size_t i = 0; i < out.event_count; i++) {
        enum event_kind kind = out.events[i].kind;

        admitted = admitted || kind == EV_REGION_OPENED || kind == EV_TASK_CREATED ||
                   kind == EV_FINALIZER_REGISTERED || kind == EV_SAGA_BEGUN ||
                   kind == EV_SAGA_STEP_BEGUN || kind == EV_SAGA_RESOLVED ||
                   kind == EV_OBLIGATION_RESERVED || kind == EV_CALL_RETRIED;
        if (kind == EV_CAPABILITY_GRANTED)
            cx_last = out.events[i].subject;
        if (kind == EV_CHANNEL_OPENED)
            channel_last = out.events[i].subject;
        if (kind == EV_SAGA_BEGUN)
            saga_last = out.events[i].subject;
        apply_durably(shadow, &out.events[i]);
        if (!crashes)
            trace_log_add(&recorded, &out.events[i]);
    }
    /* What a fold lacks of volatile regions is put right by RESUMED. */
    broken = kernel_recovering(kernel) ? NULL : kernel_check(kernel);
    if (broken != NULL)
        fail("broken:", broken);
    if (kernel_digest(kernel) != kernel_digest(shadow))
        fail("R-EVT-1:", "the events do not add up to the state");
    if (rc != 0 && out.event_count == 0 && kernel_digest(kernel) != digest)
        fail("R-EVT-2:", "a refusal left a mark");
    admitted = admitted || in->kind == IN_RESUMED; /* finalizers may run again */
    if (!admitted && kernel_potential(kernel) > potential)
        fail("R-SCH-3:", "the potential rose");
    effects_take(&out);
    return rc;
}

/* ---- Requests --------------------------------------------------------------------------- */

static uint64_t
any_id(void)
{
    uint64_t last = kernel_id_last(kernel);

    switch (dice(12)) {
    case 0:
        return 0;
    case 1:
        return last + 1 + dice(3);
    default:
        /* mostly a late one, which lives */
        return last <= 8 || dice(3) == 0 ? 1 + dice((uint32_t)last) : last - dice(8);
    }
}

static uint64_t
any_duration(void)
{
    static const uint64_t some[] = {
        ASUP_NEVER,    ASUP_NEVER,        ASUP_NEVER,    0, 1, ASUP_NS_PER_MS,
        ASUP_NS_PER_S, 5 * ASUP_NS_PER_S, ASUP_NEVER - 1};

    return some[dice(sizeof some / sizeof some[0])];
}

static struct budget_request
any_budget(bool finalizer)
{
    struct budget_request b = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};

    if (dice(3) == 0)
        b.timeout_ns = any_duration();
    if (dice(5) == 0)
        b.priority = (uint8_t)dice(256);
    if (finalizer && dice(20) != 0)
        return b;
    if (dice(6) == 0)
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

    if (dice(3) != 0)
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
    switch (dice(10)) {
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

    in->caller.session = 2 + dice(40);
    for (unsigned tries = 0; tries < 40; tries++) {
        if (kernel_session(kernel, in->caller.session, &session))
            break;
        in->caller.session = 2 + (in->caller.session - 1) % 40;
    }
    in->caller.task = dice(4) == 0 ? in->task : 0;
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
        in->session = dice(3) == 0 ? 2 + dice(6) : 0;
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
    in->subject = dice(9) == 0 ? any_id() : saga_last - dice(3);
    if (kernel_saga(kernel, in->subject, &saga) && dice(20) != 0)
        in->caller.uid = saga.uid;
    if (!kernel_session(kernel, in->caller.session, &session) || session.uid != in->caller.uid) {
        in->caller.session = 0;
        in->caller.task = in->task;
    }
    switch (dice(8)) {
    case 0:
    case 1:
        for (unsigned tries = 0; tries < 20; tries++) {
            if (kernel_region(kernel, in->region, &region) && region.state == ASUP_REGION_OPEN &&
                region.id != ASUP_ROOT_ID)
                break;
            in->region = any_id();
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
        action = any_task(in->caller.uid, false);
        undo = any_task(in->caller.uid, true);
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
        in->region = any_id();
        if (kernel_region(kernel, in->region, &region) && region.state == ASUP_REGION_OPEN)
            break;
    }
    if (dice(8) == 0 || !kernel_region(kernel, in->region, &region))
        return;
    in->caller.uid = region.uid;
    in->caller.task = 0;
    for (int n = 0; n < 6; n++) {
        in->caller.session = 2 + dice(6);
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
    struct obligation_view o;
    uint64_t id = 0;

    for (int n = 0; n < 20 && id == 0; n++)
        id = kernel_obligation_next(kernel, any_id(), 0);
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
        in->u.transfer.id = dice(2) == 0 ? any_id() : 2 + dice(6);
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
    in->subject = dice(9) == 0 ? any_id() : channel_last - dice(3);
    if (kernel_channel(kernel, in->subject, &channel) && dice(20) != 0)
        in->caller.uid = channel.uid;
    if (dice(4) != 0 && in->caller.session == 0)
        in->caller.session = 2 + dice(6);
    switch (in->kind) {
    case IN_CHANNEL_OPEN:
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
            in->u.dead_retry.channel = channel_last - dice(3);
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
    in->subject = cx_last - dice(4);
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

/* What any request may show and carry besides. */
static void
any_dress(struct input *in)
{
    static const char names[] = "abcdefgh";
    struct capability_view x;

    if (dice(6) == 0) {
        in->caller.cx = cx_last - dice(4);
        if (kernel_capability(kernel, in->caller.cx, &x) && dice(3) != 0)
            in->region = x.region;
    }
    if (dice(10) == 0)
        in->caller.task = any_id();
    if (dice(4) == 0) {
        in->key = (struct bytes){&names[dice(6)], 1 + dice(2)};
        in->key_retention_ns = dice(3) * ASUP_NS_PER_S;
    }
}

static struct input
any_request(void)
{
    static struct input items[ITEMS_MAX];
    static struct asup_ref made[ITEMS_MAX];
    static int codes[ITEMS_MAX];
    struct input in;

    memset(&in, 0, sizeof in);
    in.token = ++token;
    in.caller.uid = dice(4) == 0 ? 0 : 1000 + (dice(8) == 0);
    in.caller.session = dice(2) == 0 ? 2 + dice(6) : 0;
    in.request = dice(2) == 0 ? 1 + dice(60) : 0;
    in.digest = dice(2);
    in.region = any_id();
    in.task = any_id();
    in.session = 2 + dice(6);
    switch (dice(50)) {
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
        in.subject = dice(5) == 0 ? 2 + dice(12) : 0;
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
            items[i].region = any_id();
            items[i].task = any_id();
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
    return in;
}

/* ---- Facts -------------------------------------------------------------------------------- */

/* What a process can do next, seen by an honest shell; false: nothing. */
static bool
honest_fact(struct input *in, uint64_t id, bool hurry)
{
    struct process *p = &processes[id % TASKS_MAX];

    in->task = id;
    if (!p->ordered || (p->ended && p->emptied))
        return false;
    if (!p->started && !p->ended) {
        in->kind = dice(8) == 0 ? IN_TASK_START_FAILED : IN_TASK_STARTED;
        p->started = in->kind == IN_TASK_STARTED;
        if (in->kind == IN_TASK_START_FAILED) {
            in->u.start_failed.stage = "exec";
            in->u.start_failed.error = 2;
            p->ended = p->emptied = p->start_failed = true;
        }
        return true;
    }
    if (p->ended || dice(6) == 0) {
        if (p->emptied)
            return false;
        in->kind = IN_TASK_EMPTY;
        p->emptied = p->ended; /* said too early it still counts */
        return p->ended;
    }
    if (id % 3 == 0 && !p->killed)
        return false; /* ignores what it is told, until it is killed */
    if (!hurry && !p->killed && !p->signalled && dice(3) != 0)
        return false;
    in->kind = IN_TASK_EXITED;
    in->u.exited.exit_code = p->killed || p->signalled ? -1 : (int32_t)dice(3) - (dice(9) == 0);
    in->u.exited.signal = p->killed ? 9 : p->signalled ? 15 : 0;
    in->u.exited.kill_delivered = p->killed;
    in->u.exited.cancel_delivered = p->signalled;
    in->u.exited.lost = dice(30) == 0;
    in->u.exited.oom_killed = dice(30) == 0;
    in->u.exited.cpu_ns = dice(500) * ASUP_NS_PER_MS;
    p->exit = in->u.exited;
    p->ended = true;
    return true;
}

static bool
any_fact(struct input *in)
{
    static struct kernel_config config;

    memset(in, 0, sizeof *in);
    in->task = any_id();
    in->region = any_id();
    in->session = 2 + dice(6);
    switch (dice(16)) {
    case 0:
        in->kind = IN_SESSION_LOST;
        return true;
    case 1:
        in->kind = IN_SESSION_ATTACHED;
        return true;
    case 2:
        in->kind = IN_WAIT_DROPPED;
        in->token = 1 + dice((uint32_t)token + 1);
        return true;
    case 3:
        in->kind = IN_TASK_SIGNALLED;
        in->u.signalled.delivered = dice(2) == 0;
        return true;
    case 4:
        in->kind = (enum input_kind)(IN_TASK_READY + dice(2));
        return true;
    case 5:
        in->kind = IN_TASK_EXTEND;
        in->u.extend.extend_ns = any_duration();
        return true;
    case 6:
        in->kind = IN_TASK_WATCHDOG;
        return true;
    case 7:
        in->kind = IN_TASK_SAMPLED;
        in->u.sampled.cpu_ns = dice(300) * ASUP_NS_PER_MS;
        return true;
    case 8:
        in->kind = IN_TASK_LOG_LOST;
        in->u.log_lost.size = dice(5);
        return true;
    case 9:
        if (dice(10) != 0)
            return false;
        config = *kernel_configuration(kernel);
        config.fairness = dice(5);
        config.start_window = 1 + dice(6);
        config.start_patience_ns = dice(4) * ASUP_NS_PER_S;
        config.limits.retained = dice(30);
        config.limits.requests_per_session = dice(12);
        config.retention_ns = dice(9) * ASUP_NS_PER_S;
        config.futurelock_ns = 1 + dice(9) * ASUP_NS_PER_S;
        in->kind = IN_CONFIG;
        in->u.config = &config;
        return true;
    case 10:
    case 11:
        in->kind = IN_REGION_SWEPT;
        in->u.swept.error = dice(3) == 0 ? 16 : 0;
        return true;
    default:
        return honest_fact(in, in->task, false);
    }
}

/* ---- A walk -----------------------------------------------------------------------------------
 */

const struct kernel_allocator walk_allocator = {.resize = resize, .ctx = NULL};

static void
walk_begin(uint64_t seed)
{
    struct kernel_config config;

    seed_now = seed;
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    memory_left = -1;
    now = 1000;
    token = 0;
    saga_last = channel_last = 0;
    memset(processes, 0, sizeof processes);
    memset(sweeping, 0, sizeof sweeping);
    kernel_config_init(&config);
    config.start_window = 1 + dice(8);
    config.start_patience_ns = 1 + dice(4) * ASUP_NS_PER_S;
    config.fairness = 1 + dice(5);
    config.picks_per_step = 1 + dice(9);
    config.limits.retained = 10 + dice(50);
    config.limits.requests_per_session = 1 + dice(20);
    config.limits.tasks_per_user = 5 + dice(60);
    config.limits.regions_per_user = 3 + dice(20);
    config.limits.waits_per_user = dice(10);
    config.limits.bytes_per_user = 20000;
    config.limits.dead_letters_per_user = dice(20);
    config.limits.channels_per_user = 1 + dice(10);
    config.limits.depth = 1 + dice(6);
    config.retention_ns = dice(60) * ASUP_NS_PER_S;
    config.futurelock_ns = dice(4) == 0 ? ASUP_NEVER : 1 + dice(5) * ASUP_NS_PER_S;
    config.limits.obligations_per_user = 2 + dice(40);
    config.limits.leases_per_user = 1 + dice(8);
    for (unsigned tier = 0; tier < 6; tier++)
        config.allowance[tier].polls = 1 + dice(6);
    config_first = config;
    kernel = kernel_new(&config, &walk_allocator, now);
    shadow = kernel_new(&config, &walk_allocator, now);
    if (kernel == NULL || shadow == NULL)
        abort();
    if (crashes)
        crash_begin();
}

/* The second kernel, or the first, goes through a snapshot. Parked requests are no
 * state, and are gone. */
static void
walk_save(void)
{
    struct kernel **which = dice(3) == 0 ? &kernel : &shadow;
    struct kernel *loaded = load_of(*which, &walk_allocator, now, LOAD_EXACT);

    kernel_free(*which);
    *which = loaded;
}

static void
walk(int steps)
{
    for (int i = 0; i < steps && kernel_id_last(kernel) < TASKS_MAX - 16; i++) {
        struct input in;
        struct kernel_counts counts;

        memset(&in, 0, sizeof in);
        memory_left = -1;
        if (crashes)
            crash_perhaps();
        else if (dice(40) == 0)
            walk_save();
        memory_left = dice(10) == 0 ? (long)dice(6) : -1;
        kernel_counts(kernel, &counts);
        switch (dice(8)) {
        case 0:
            now += dice(2) == 0 ? dice(50) * ASUP_NS_PER_MS : dice(4) * ASUP_NS_PER_S;
            in.kind = IN_TICK;
            break;
        case 1:
        case 2:
        case 3:
            in = any_request();
            break;
        default:
            if (!any_fact(&in))
                continue;
            /* What is admitted has had the memory of its end reserved. */
            memory_left = dice(3) == 0 ? 0 : -1;
            if (take_step(&in) == 0)
                continue;
            /* Timers came before it: brought again, it finds it. An attempt to undo
             * something takes what it needs when it comes. */
            memory_left = counts.sagas > 0 ? -1 : 0;
            if (take_step(&in) != 0)
                fail("a fact", "found no memory");
            continue;
        }
        (void)take_step(&in);
    }
}

/* An operator who settles what needs attention. */
static void
resolve_all(void)
{
    uint64_t last = kernel_id_last(kernel);

    for (uint64_t id = 1; id <= last; id++) {
        struct saga_view saga;
        struct input in = {.kind = IN_SAGA_RESOLVE, .subject = id, .token = ++token};

        if (!kernel_saga(kernel, id, &saga) || saga.state != SAGA_NEEDS_ATTENTION)
            continue;
        in.u.resolve.how = SAGA_RESOLVE;
        (void)take_step(&in);
    }
}

/* An honest shell carries everything to its end. */
static void
walk_end(void)
{
    struct kernel_counts counts;
    struct region_view root;

    memory_left = -1;
    for (int round = 0; round < 400; round++) {
        struct input in = {.kind = IN_TICK};
        uint64_t last = kernel_id_last(kernel);

        if (round == 0 || round == 200) {
            in.kind = IN_SHUTDOWN;
            in.token = ++token;
            in.u.shutdown.within_ns = ASUP_NEVER;
        }
        (void)take_step(&in);
        for (uint64_t id = 1; id <= last; id++) {
            memset(&in, 0, sizeof in);
            if (honest_fact(&in, id, true))
                (void)take_step(&in);
            if (!sweeping[id % TASKS_MAX])
                continue;
            sweeping[id % TASKS_MAX] = false;
            in = (struct input){.kind = IN_REGION_SWEPT, .region = id};
            (void)take_step(&in);
        }
        resolve_all();
        if (crashes)
            crash_settle();
        now += 500 * ASUP_NS_PER_MS;
    }
    kernel_counts(kernel, &counts);
    if (!kernel_region(kernel, ASUP_ROOT_ID, &root) || root.state != ASUP_REGION_CLOSED)
        fail("R-REG-4:", "\"/\" did not close");
    if (counts.tasks != 0 || counts.regions != 0 || kernel_potential(kernel) != 0)
        fail("R-REG-4:", "something is left");
    kernel_free(kernel);
    kernel_free(shadow);
    if (crashes)
        crash_end();
}

/* R-EVT-3: whoever lets dependent neighbours change places is found out. Two
 * that make ids may be alike in all but those. */
static void
dependents_stay(void)
{
    struct trace before = trace_log_trace(&recorded);
    struct trace_log after = {.count = recorded.count};
    struct trace_difference where;
    struct resource made;
    int tries = 0;

    after.events = malloc(recorded.count * sizeof recorded.events[0]);
    if (after.events == NULL)
        abort();
    while (tries++ < 40) {
        size_t i = dice((uint32_t)recorded.count - 1);
        const struct event *a = &recorded.events[i];
        struct trace swapped_trace = trace_log_trace(&after);

        if (a[0].kind == a[1].kind || kernel_events_independent(&a[0], &a[1]) ||
            event_makes(&a[0], &made) || event_makes(&a[1], &made))
            continue;
        memcpy(after.events, recorded.events, recorded.count * sizeof recorded.events[0]);
        trace_log_swap(&after, i);
        if (trace_compare(&before, &swapped_trace, &trace_log_allocator, &where) != 1)
            fail("R-EVT-3: not kept in order:", event_kind_name(a[0].kind));
        break;
    }
    free(after.events);
}

/* R-EVT-3: independent neighbours commute, in pairs and all together. */
static void
walk_commute(void)
{
    size_t swaps = 0;
    const char *wrong;

    dependents_stay();
    wrong = trace_log_commute(&recorded, &config_first, 1000, dice, &swaps);
    if (wrong != NULL)
        fail("R-EVT-3:", wrong);
    swapped += swaps;
    trace_log_free(&recorded);
}

int
main(int argc, char **argv)
{
    int skip = argc > 1 && strcmp(argv[1], "--crash") == 0 ? 1 : 0;
    uint64_t first = argc > 1 + skip ? strtoull(argv[1 + skip], NULL, 10) : 1;
    uint64_t count = argc > 2 + skip ? strtoull(argv[2 + skip], NULL, 10) : 100;
    int steps = argc > 3 + skip ? (int)strtol(argv[3 + skip], NULL, 10) : 600;

    crashes = skip != 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        walk_begin(seed);
        walk(steps);
        walk_end();
        if (!crashes)
            walk_commute(); /* a crash is none of the trace's */
    }
    if (crashes) {
        printf("%llu walks of %d steps, %llu crashes, %llu orders given again\n",
               (unsigned long long)count, steps, (unsigned long long)crash_count,
               (unsigned long long)crash_reordered);
        return crash_count == 0 || crash_reordered == 0;
    }
    printf("%llu walks of %d steps, %llu pairs of events that changed places\n",
           (unsigned long long)count, steps, (unsigned long long)swapped);
    if (swapped == 0)
        return 1;
    return 0;
}
