/* SPDX-License-Identifier: MIT */
/*
 * Waits: requests that are answered when something has happened (R-TSK-7). A
 * parked wait changes nothing: it is kept beside the state, not in it, and any
 * number of them get the same answer. Room for their answers is reserved when
 * they are parked.
 */
#include "core/call.h"
#include "core/channel.h"
#include "core/capability.h"
#include "core/obligation.h"

struct wait *
wait_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->waits, i);
}

/* First come, first answered. The first of a list links back to the last. */
static uint32_t *
list_of(struct kernel *k, const struct wait *w)
{
    switch ((enum wait_on)w->on) {
    case WAIT_ON_REGION:
        return &region_at(k, w->target)->wait_first;
    case WAIT_ON_SAGA:
        return &saga_at(k, w->target)->wait_first;
    case WAIT_ON_LEASE:
        return &lease_at(k, w->target)->wait_first;
    case WAIT_ON_CHANNEL_SEND:
        return &channel_at(k, w->target)->send_first;
    case WAIT_ON_CHANNEL_RECEIVE:
        return &channel_at(k, w->target)->receive_first;
    case WAIT_ON_WORKER:
        return &worker_at(k, w->target)->wait_first;
    case WAIT_ON_TASK:
        break;
    }
    return &task_at(k, w->target)->wait_first;
}

/* How many are on it, where that is told of. */
static void
list_count(struct kernel *k, const struct wait *w, bool more)
{
    uint32_t change = more ? 1 : UINT32_MAX;

    if (w->on == WAIT_ON_LEASE)
        lease_at(k, w->target)->waiters += change;
    else if (w->on == WAIT_ON_CHANNEL_SEND)
        channel_at(k, w->target)->senders += change;
    else if (w->on == WAIT_ON_CHANNEL_RECEIVE)
        channel_at(k, w->target)->receivers += change;
}

/* What is granted later is bound then (R-IDM-1). */
static bool
wait_binds(const struct wait *w)
{
    return w->on != WAIT_ON_TASK && w->on != WAIT_ON_REGION && w->request != 0;
}

/* R-CAP-4: a parked request hangs on the capability that it shows, so that it can be answered
 * when that is revoked. */
static void
capability_link(struct kernel *k, uint32_t i)
{
    struct wait *w = wait_at(k, i);
    uint32_t *first;

    w->capability = capability_of_id(k, caller_capability(k, &w->caller));
    w->capability_next = w->capability_prev = NIL;
    if (w->capability == NIL)
        return;
    first = &capability_at(k, w->capability)->wait_first;
    w->capability_next = *first;
    if (*first != NIL)
        wait_at(k, *first)->capability_prev = i;
    *first = i;
}

static void
capability_unlink(struct kernel *k, const struct wait *w)
{
    if (w->capability == NIL)
        return;
    if (w->capability_prev != NIL)
        wait_at(k, w->capability_prev)->capability_next = w->capability_next;
    else
        capability_at(k, w->capability)->wait_first = w->capability_next;
    if (w->capability_next != NIL)
        wait_at(k, w->capability_next)->capability_prev = w->capability_prev;
}

static void
wait_drop(struct kernel *k, uint32_t i)
{
    struct wait *w = arena_at(&k->waits, i);
    uint32_t *first = list_of(k, w);
    uint32_t worker = w->on == WAIT_ON_WORKER ? w->target : NIL;

    capability_unlink(k, w);
    if (i == *first)
        *first = w->next;
    else
        wait_at(k, w->prev)->next = w->next;
    if (w->next != NIL)
        wait_at(k, w->next)->prev = w->prev;
    else if (*first != NIL)
        wait_at(k, *first)->prev = w->prev;
    list_count(k, w, false);
    timer_set(&k->wait_timers, &k->allocator, TIMER_WAIT, i, ASUP_NEVER);
    user_get(k, w->caller.uid)->waits--;
    k->waits_to_bind -= wait_binds(w);
    index_drop(&k->wait_tokens, i);
    arena_give(&k->waits, i);
    if (worker != NIL)
        worker_settle(k, worker);
}

void
wait_answered(struct kernel *k, uint32_t i)
{
    wait_drop(k, i);
}

/* Whether its answer tells only of what is volatile. The end of the topmost
 * volatile region is durable. A family adds its own lists. */
static bool
wait_volatile(const struct kernel *k, const struct wait *w)
{
    const struct lease *lease;
    const struct saga *saga;

    switch ((enum wait_on)w->on) {
    case WAIT_ON_REGION:
        return (region_at(k, w->target)->flags & (REGION_VOLATILE | REGION_VOLATILE_TOP)) ==
               REGION_VOLATILE;
    case WAIT_ON_TASK:
        return (region_at(k, task_at(k, w->target)->region)->flags & REGION_VOLATILE) != 0;
    case WAIT_ON_LEASE:
        lease = arena_at(&k->obligations.leases, w->target);
        return (region_at(k, lease->region)->flags & REGION_VOLATILE) != 0;
    case WAIT_ON_CHANNEL_SEND:
    case WAIT_ON_CHANNEL_RECEIVE:
        return (channel_at(k, w->target)->flags & CHANNEL_VOLATILE) != 0;
    case WAIT_ON_SAGA:
        saga = saga_at(k, w->target);
        return saga->region != NIL && (region_at(k, saga->region)->flags & REGION_VOLATILE) != 0;
    case WAIT_ON_WORKER:
        break;
    }
    return false;
}

void
wait_end(struct kernel *k, uint32_t i, int code, const char *detail, struct asup_ref made)
{
    struct effect *fx = effect_add(k, FX_REPLY);

    fx->token = wait_at(k, i)->token;
    fx->code = code;
    fx->detail = detail;
    fx->made = made;
    if (code == -ASUP_ETIMEDOUT || wait_volatile(k, wait_at(k, i)))
        fx->after = 0;
    wait_drop(k, i);
}

void
wait_grant(struct kernel *k, uint32_t i, struct asup_ref made)
{
    const struct wait *w = wait_at(k, i);
    const struct input in = {
        .caller = w->caller, .token = w->token, .request = w->request, .digest = w->digest};

    request_bind(k, &in, made);
    wait_end(k, i, 0, NULL, made);
}

static struct asup_ref
target_of(const struct kernel *k, const struct wait *w)
{
    return w->on == WAIT_ON_REGION
               ? (struct asup_ref){.id = region_at(k, w->target)->id, .sort = ASUP_SORT_REGION}
               : (struct asup_ref){.id = task_at(k, w->target)->id, .sort = ASUP_SORT_TASK};
}

static bool
task_reached(const struct task *t, uint8_t until)
{
    if (!task_live(t))
        return true;
    if (until == WAIT_FINISHED)
        return false;
    if ((t->flags & TASK_ENDED) != 0)
        return true;
    return (t->flags & (until == WAIT_READY ? TASK_READY : TASK_STARTED)) != 0;
}

void
waits_task(struct kernel *k, uint32_t task)
{
    const struct task *t = task_at(k, task);
    uint32_t next;

    for (uint32_t i = t->wait_first; i != NIL; i = next) {
        const struct wait *w = arena_at(&k->waits, i);

        next = w->next;
        if (task_reached(t, w->until))
            wait_end(k, i, 0, NULL, target_of(k, w));
    }
}

void
waits_region(struct kernel *k, uint32_t region)
{
    const struct asup_ref made = {.id = region_at(k, region)->id, .sort = ASUP_SORT_REGION};

    while (region_at(k, region)->wait_first != NIL)
        wait_end(k, region_at(k, region)->wait_first, 0, NULL, made);
}

void
waits_saga(struct kernel *k, uint32_t saga)
{
    const struct asup_ref made = {.id = saga_at(k, saga)->id, .sort = ASUP_SORT_SAGA};

    while (saga_at(k, saga)->wait_first != NIL)
        wait_end(k, saga_at(k, saga)->wait_first, 0, NULL, made);
}

/* What had not happened when the time to wait for it was over. */
static const char *
not_yet(uint32_t kind)
{
    switch (kind) {
    case IN_CHANNEL_RESERVE:
    case IN_CHANNEL_SEND:
        return "the channel is full still";
    case IN_CHANNEL_RECEIVE:
        return "no message has come";
    case IN_LEASE_ACQUIRE:
        return "another holds the lease";
    default:
        return "it has not happened yet";
    }
}

static uint32_t
kind_of(enum wait_on on)
{
    switch (on) {
    case WAIT_ON_CHANNEL_SEND:
        return IN_CHANNEL_SEND;
    case WAIT_ON_CHANNEL_RECEIVE:
        return IN_CHANNEL_RECEIVE;
    case WAIT_ON_LEASE:
        return IN_LEASE_ACQUIRE;
    default:
        return IN_WAIT_DROPPED;
    }
}

void
wait_fire(struct kernel *k)
{
    while (timers_next(&k->wait_timers) <= k->now)
        wait_end(k, k->wait_timers.items[0].record, -ASUP_ETIMEDOUT,
                 not_yet(kind_of((enum wait_on)wait_at(k, k->wait_timers.items[0].record)->on)),
                 (struct asup_ref){0});
}

void
wait_dropped(struct kernel *k, uint64_t token)
{
    uint32_t i = index_find(&k->wait_tokens, token);

    if (i != NIL)
        wait_drop(k, i);
}

static bool
wait_reserve(struct kernel *k)
{
    const struct need need = {0};

    return arena_reserve(&k->waits, &k->allocator, 1) &&
           index_reserve(&k->wait_tokens, &k->allocator, 1) &&
           timers_reserve(&k->wait_timers, &k->allocator, k->wait_timers.count + 1) &&
           requests_reserve(k) && arena_reserve(&k->users, &k->allocator, 1) &&
           index_reserve(&k->user_ids, &k->allocator, 1) && reserve(k, &need);
}

int
wait_admit(struct kernel *k, const struct input *in, uint64_t timeout_ns, struct refusal *why)
{
    if (timeout_ns == 0)
        return REFUSE(why, ASUP_ETIMEDOUT, not_yet(in->kind));
    if (limit_waits(k, in->caller.uid, why) != 0)
        return why->code;
    if (!wait_reserve(k))
        return REFUSE(why, ASUP_ENOMEM, "no memory for another wait");
    return 0;
}

uint32_t
wait_park(struct kernel *k, const struct input *in, enum wait_on on, uint32_t target,
          uint64_t timeout_ns)
{
    uint32_t i = arena_take(&k->waits, &k->allocator);
    struct wait *w = arena_at(&k->waits, i);
    uint32_t *first;

    w->id = ++k->wait_id_next;
    w->token = in->token;
    w->timeout_at = time_add(k->now, timeout_ns);
    w->caller = in->caller;
    w->request = in->request;
    w->digest = in->digest;
    w->target = target;
    w->on = (uint8_t)on;
    w->next = NIL;
    first = list_of(k, w);
    if (*first == NIL) {
        *first = i;
    } else {
        w->prev = wait_at(k, *first)->prev;
        wait_at(k, w->prev)->next = i;
    }
    wait_at(k, *first)->prev = i;
    list_count(k, w, true);
    index_add(&k->wait_tokens, &k->allocator, i);
    timer_set(&k->wait_timers, &k->allocator, TIMER_WAIT, i, w->timeout_at);
    user_get(k, w->caller.uid)->waits++;
    k->waits_to_bind += wait_binds(w);
    capability_link(k, i);
    return i;
}

/* A saga is waited for until it has ended or needs attention. */
static int
saga_wait(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
          struct asup_ref *made)
{
    uint32_t i = saga_of_id(k, in->subject);

    if (i == NIL)
        return REFUSE(why, ASUP_ENOTFOUND, "there is no such saga");
    if (saga_at(k, i)->region != NIL) {
        if (authorize_owned(k, &in->caller, saga_at(k, i)->region, saga_at(k, i)->uid,
                            ASUP_RIGHT_OBSERVE, why) != 0)
            return why->code;
    } else if (authorize_kept(k, &in->caller, saga_at(k, i)->uid, ASUP_RIGHT_OBSERVE, why) != 0) {
        return why->code;
    }
    *made = (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_SAGA};
    if (saga_at(k, i)->state >= SAGA_NEEDS_ATTENTION)
        return 0;
    if (wait_admit(k, in, in->u.wait.timeout_ns, why) != 0)
        return why->code;
    (void)wait_park(k, in, WAIT_ON_SAGA, i, in->u.wait.timeout_ns);
    *parked = true;
    return 0;
}

static int
wait_on_node(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
             struct asup_ref *made)
{
    bool on_region = in->u.wait.on_region;
    uint64_t id = on_region ? in->region : in->task;
    uint32_t i = id == 0 ? NIL : on_region ? region_of_id(k, id) : task_of_id(k, id);
    uint32_t uid;

    if (i == NIL)
        return REFUSE(why, ASUP_ENOTFOUND,
                      on_region ? "there is no such region" : "there is no such task");
    uid = on_region ? region_at(k, i)->uid : task_at(k, i)->uid;
    if (authorize_owned(k, &in->caller, on_region ? i : task_at(k, i)->region, uid,
                        ASUP_RIGHT_OBSERVE, why) != 0)
        return why->code;
    if (in->u.wait.until > WAIT_FINISHED || (on_region && in->u.wait.until != WAIT_FINISHED))
        return REFUSE(why, ASUP_EINVALID, "that cannot be waited for");
    *made = (struct asup_ref){.id = id, .sort = on_region ? ASUP_SORT_REGION : ASUP_SORT_TASK};
    if (on_region ? !region_live(region_at(k, i)) : task_reached(task_at(k, i), in->u.wait.until))
        return 0;
    if (wait_admit(k, in, in->u.wait.timeout_ns, why) != 0)
        return why->code;
    i = wait_park(k, in, on_region ? WAIT_ON_REGION : WAIT_ON_TASK, i, in->u.wait.timeout_ns);
    wait_at(k, i)->until = in->u.wait.until;
    *parked = true;
    return 0;
}

int
wait_request(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
             struct asup_ref *made)
{
    if (in->subject != 0)
        return saga_wait(k, in, why, parked, made);
    return wait_on_node(k, in, why, parked, made);
}
