/* SPDX-License-Identifier: MIT */
/*
 * The requests that the clients of a world make of what they know: right ones of
 * every family, that lead somewhere. What is wrong comes of what has happened
 * meanwhile, and from the rude ones (world_any.c).
 */
#include <stdio.h>
#include <string.h>

#include "lab/world_state.h"

static const struct bytes computations[] = {{"f", 1}, {"g", 1}, {"resize", 6}};
static const char *const names[] = {"web", "db", "jobs", "a", "b"};
static const struct budget_request unlimited = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};

/* One of those that it knows; 0: none. `forget`: it will not be asked about again. */
static uint64_t
knows(struct world *w, struct client *c, enum know what, bool forget)
{
    uint32_t count = c->known_count[what];
    uint32_t i;
    uint64_t id;

    if (count == 0)
        return 0;
    i = dice(w, count);
    id = c->known[what][i].id;
    if (forget)
        c->known[what][i] = c->known[what][--c->known_count[what]];
    return id;
}

/* What others of the same user have told it of. */
static uint64_t
heard(struct world *w, struct client *c, enum know what)
{
    struct client *other = &w->clients[dice(w, CLIENTS)];

    if (other->uid == c->uid && other->known_count[what] > 0)
        return knows(w, other, what, false);
    return knows(w, c, what, false);
}

static uint64_t
some_ms(struct world *w, uint32_t most)
{
    return (1 + (uint64_t)dice(w, most)) * ASUP_NS_PER_MS;
}

/* ---- Regions and tasks ---------------------------------------------------------------------- */

static struct task_params
good_task(struct world *w, struct request *q, uint32_t uid, bool finalizer)
{
    struct task_params p = {
        .label = {"job", 3},
        .spec = {q->data, 8},
        .budget = unlimited,
        .run_uid = uid,
        .delay_ns = !finalizer && dice(w, 6) == 0 ? some_ms(w, 2000) : 0,
        .drain_ns = dice(w, 4) == 0 ? some_ms(w, 3000) : ASUP_NEVER,
        .leftover_ns = dice(w, 4) == 0 ? some_ms(w, 1000) : ASUP_NEVER,
        .watchdog_ns = dice(w, 6) == 0 ? some_ms(w, 3000) : 0,
        .response_ns = dice(w, 6) == 0 ? some_ms(w, 2000) : 0,
        .mask_depth = dice(w, 4),
        .cancel_signal = 15,
        .leftover_wait = dice(w, 8) == 0,
        .notify = dice(w, 3) == 0,
    };

    if (dice(w, 5) == 0)
        p.budget.timeout_ns = some_ms(w, 4000);
    if (!finalizer && dice(w, 8) == 0)
        p.budget.poll_quota = 1 + dice(w, 6);
    if (!finalizer && dice(w, 8) == 0)
        p.budget.cost_quota = 1 + dice(w, 200);
    if (dice(w, 4) == 0)
        p.budget.priority = (uint8_t)(1 + dice(w, 255));
    return p;
}

static struct task_params
good_call(struct world *w, struct request *q, uint32_t uid)
{
    struct task_params p = good_task(w, q, uid, false);

    p.call = computations[dice(w, 3)];
    p.watchdog_ns = 0;
    p.leftover_ns = ASUP_NEVER;
    p.leftover_wait = p.notify = false;
    if (dice(w, 2) == 0)
        p.retry = (struct retry_params){1 + dice(w, 3), some_ms(w, 500), some_ms(w, 2000)};
    return p;
}

static bool
ask_region(struct world *w, struct client *c, struct request *q)
{
    struct region_params *p = &q->in.u.region_open;
    uint64_t parent = dice(w, 3) == 0 ? knows(w, c, KNOW_REGION, false) : 0;
    const char *name = names[dice(w, 5)];

    q->in.kind = IN_REGION_OPEN;
    q->in.region = parent != 0 ? parent : ASUP_ROOT_ID;
    *p = (struct region_params){
        .name = {name, dice(w, 2) == 0 ? 0 : strlen(name)},
        .budget = unlimited,
        .drain_ns = dice(w, 2) == 0 ? ASUP_NEVER : some_ms(w, 4000),
        .policy = (uint8_t)dice(w, ASUP_POLICY_COUNT),
        .soft = dice(w, 8) == 0,
        .is_volatile = dice(w, 8) == 0,
        .attach = dice(w, 4) == 0,
        .strict = dice(w, 6) == 0,
        .finalizers = q->finalizers[0],
        .finalizer_count = dice(w, 3) == 0 ? dice(w, 3) : 0,
    };
    p->quorum = p->policy == ASUP_POLICY_QUORUM ? 1 + dice(w, 3) : 0;
    if (dice(w, 6) == 0)
        p->budget.timeout_ns = some_ms(w, 8000);
    for (unsigned i = 0; i < 3; i++)
        q->finalizers[0][i] = good_task(w, q, c->uid, true);
    return true;
}

static bool
ask_task(struct world *w, struct client *c, struct request *q)
{
    q->in.region = heard(w, c, KNOW_REGION);
    switch (q->in.region == 0 ? 9 : dice(w, 9)) {
    case 0:
        q->in.kind = IN_FINALIZER_DEFER;
        q->in.u.submit = good_task(w, q, c->uid, true);
        break;
    case 1:
    case 2:
    case 3:
        q->in.kind = IN_TASK_SUBMIT;
        q->in.u.submit = good_call(w, q, c->uid);
        break;
    case 9:
        return false;
    default:
        q->in.kind = IN_TASK_SUBMIT;
        q->in.u.submit = good_task(w, q, c->uid, false);
        break;
    }
    return true;
}

static bool
ask_end(struct world *w, struct client *c, struct request *q)
{
    if (dice(w, 3) == 0) {
        q->in.kind = IN_TASK_CANCEL;
        q->in.task = knows(w, c, KNOW_TASK, true);
        q->in.u.cancel.drain_ns = dice(w, 2) == 0 ? ASUP_NEVER : some_ms(w, 2000);
        q->in.u.cancel.message = (struct bytes){"enough", 6};
        return q->in.task != 0;
    }
    if (c->known_count[KNOW_REGION] < 2 && dice(w, 2) == 0)
        return false;
    q->in.kind = IN_REGION_END;
    q->in.region = knows(w, c, KNOW_REGION, dice(w, 2) == 0);
    q->in.u.end.mode = (uint8_t)dice(w, 3);
    q->in.u.end.drain_ns = dice(w, 2) == 0 ? ASUP_NEVER : some_ms(w, 2000);
    return q->in.region != 0;
}

static bool
ask_wait(struct world *w, struct client *c, struct request *q)
{
    q->in.kind = IN_WAIT;
    q->in.u.wait.timeout_ns = some_ms(w, 6000);
    q->in.u.wait.until = (uint8_t)dice(w, 3);
    switch (dice(w, 4)) {
    case 0:
        q->in.region = knows(w, c, KNOW_REGION, false);
        q->in.u.wait.on_region = true;
        q->in.u.wait.until = WAIT_FINISHED;
        return q->in.region != 0;
    case 1:
        q->in.subject = knows(w, c, KNOW_SAGA, false);
        q->in.u.wait.until = WAIT_FINISHED;
        return q->in.subject != 0;
    default:
        q->in.task = knows(w, c, KNOW_TASK, false);
        return q->in.task != 0;
    }
}

/* A batch that is not atomic: its parts one after the other, under one request id. */
static bool
ask_parts(struct world *w, struct client *c, struct request *q)
{
    q->parts = 1 + dice(w, ITEMS_MAX);
    for (unsigned i = 0; i < q->parts; i++) {
        struct input *item = &q->items[i];

        item->caller = q->in.caller;
        item->kind = dice(w, 4) == 0 ? IN_FINALIZER_DEFER : IN_TASK_SUBMIT;
        item->region = q->in.region;
        item->u.submit = good_task(w, q, c->uid, item->kind == IN_FINALIZER_DEFER);
        item->digest = request_digest(w);
    }
    q->in.kind = IN_TASK_SUBMIT;
    return true;
}

static bool
ask_batch(struct world *w, struct client *c, struct request *q)
{
    uint64_t region = knows(w, c, KNOW_REGION, false);

    if (region == 0)
        return false;
    q->in.region = region;
    if (dice(w, 2) == 0)
        return ask_parts(w, c, q);
    q->in.region = 0;
    q->in.kind = IN_BATCH;
    q->in.u.batch.items = q->items;
    q->in.u.batch.made = q->items_made;
    q->in.u.batch.codes = q->items_codes;
    q->in.u.batch.count = 1 + dice(w, ITEMS_MAX);
    for (unsigned i = 0; i < q->in.u.batch.count; i++) {
        struct input *item = &q->items[i];

        item->caller = q->in.caller;
        item->kind = dice(w, 4) == 0 ? IN_FINALIZER_DEFER : IN_TASK_SUBMIT;
        item->region = region;
        item->u.submit = good_task(w, q, c->uid, item->kind == IN_FINALIZER_DEFER);
    }
    return true;
}

/* ---- Obligations --------------------------------------------------------------------------------
 */

static bool
ask_channel(struct world *w, struct client *c, struct request *q)
{
    static const enum know held[] = {KNOW_PERMIT, KNOW_ACK};
    uint64_t channel = heard(w, c, KNOW_CHANNEL);
    uint32_t turn = channel == 0 ? 0 : dice(w, 14);

    q->in.subject = channel;
    switch (turn) {
    case 0:
        q->in.kind = IN_CHANNEL_OPEN;
        q->in.subject = 0;
        q->in.region = heard(w, c, KNOW_REGION);
        q->in.u.channel_open = (struct channel_params){
            .name = {"orders", dice(w, 2) == 0 ? 0 : 1 + dice(w, 6)},
            .capacity = 1 + dice(w, 8),
            .ack_timeout_ns = dice(w, 3) == 0 ? ASUP_NEVER : some_ms(w, 5000),
            .permit_timeout_ns = dice(w, 3) == 0 ? ASUP_NEVER : some_ms(w, 5000),
            .nacks_max = dice(w, 3),
            .timeouts_max = dice(w, 3),
            .dead_retention_ns = dice(w, 2) == 0 ? ASUP_NEVER : some_ms(w, 20000),
        };
        return q->in.region != 0;
    case 1:
        q->in.kind = IN_CHANNEL_RESERVE;
        q->in.u.reserve.timeout_ns = some_ms(w, 2000);
        return true;
    case 2:
    case 3:
    case 4:
        q->in.kind = IN_CHANNEL_SEND;
        q->in.subject = dice(w, 2) == 0 ? knows(w, c, KNOW_PERMIT, true) : 0;
        q->in.u.send.channel = q->in.subject == 0 ? channel : 0;
        q->in.u.send.data = (struct bytes){q->data, 8};
        return true;
    case 5:
    case 6:
    case 7:
        q->in.kind = IN_CHANNEL_RECEIVE;
        q->in.u.receive.timeout_ns = some_ms(w, 3000);
        return true;
    case 8:
        q->in.kind = IN_CHANNEL_NACK;
        q->in.subject = knows(w, c, KNOW_ACK, true);
        q->in.u.nack.note = (struct bytes){"not now", 7};
        return q->in.subject != 0;
    case 9:
        q->in.kind = IN_CHANNEL_EXTEND;
        q->in.subject = knows(w, c, KNOW_ACK, false);
        return q->in.subject != 0;
    case 10:
        q->in.kind = IN_OBLIGATION_ABORT;
        q->in.subject = knows(w, c, held[dice(w, 2)], true);
        return q->in.subject != 0;
    case 11:
        q->in.kind = dice(w, 6) == 0 ? IN_CHANNEL_SEAL : IN_DEAD_RETRY;
        if (q->in.kind == IN_CHANNEL_SEAL)
            return true;
        q->in.subject = w->up ? kernel_dead_next(w->kernel, 0) : 0; /* as a listing shows it */
        if (dice(w, 2) == 0)
            q->in.kind = IN_DEAD_DISCARD;
        else if (dice(w, 2) == 0)
            q->in.u.dead_retry.channel = channel;
        return q->in.subject != 0;
    default:
        q->in.kind = IN_CHANNEL_ACK;
        q->in.subject = knows(w, c, KNOW_ACK, true);
        return q->in.subject != 0;
    }
}

static bool
ask_owed(struct world *w, struct client *c, struct request *q)
{
    static const enum know held[] = {KNOW_PERMIT, KNOW_ACK, KNOW_LEASE, KNOW_IO};
    const char *name = names[dice(w, 2)];

    switch (dice(w, 9)) {
    case 0:
    case 1:
        q->in.kind = IN_LEASE_ACQUIRE;
        q->in.region = heard(w, c, KNOW_REGION);
        q->in.u.acquire.lease.name = (struct bytes){name, strlen(name)};
        q->in.u.acquire.lease.ttl_ns = some_ms(w, 5000);
        q->in.u.acquire.timeout_ns = some_ms(w, 4000);
        return q->in.region != 0;
    case 2:
        q->in.kind = IN_LEASE_RENEW;
        q->in.subject = knows(w, c, KNOW_LEASE, false);
        q->in.u.acquire.lease.ttl_ns = some_ms(w, 5000);
        break;
    case 3:
    case 4:
        q->in.kind = IN_LEASE_RELEASE;
        q->in.subject = knows(w, c, KNOW_LEASE, true);
        break;
    case 5:
        q->in.kind = IN_OBLIGATION_RESERVE;
        q->in.region = heard(w, c, KNOW_REGION);
        q->in.u.io.label = (struct bytes){"upload", 6};
        q->in.u.io.timeout_ns = dice(w, 2) == 0 ? ASUP_NEVER : some_ms(w, 4000);
        return q->in.region != 0;
    case 6:
        q->in.kind = dice(w, 3) == 0 ? IN_OBLIGATION_ABORT : IN_OBLIGATION_COMMIT;
        q->in.subject = knows(w, c, KNOW_IO, true);
        break;
    default:
        q->in.kind = IN_OBLIGATION_TRANSFER;
        q->in.subject = knows(w, c, held[dice(w, 4)], true);
        q->in.u.transfer = (struct asup_ref){.id = w->clients[dice(w, CLIENTS)].session,
                                             .sort = ASUP_SORT_SESSION};
        if (dice(w, 2) == 0)
            q->in.u.transfer =
                (struct asup_ref){.id = heard(w, c, KNOW_TASK), .sort = ASUP_SORT_TASK};
        return q->in.subject != 0 && q->in.u.transfer.id != 0;
    }
    return q->in.subject != 0;
}

/* ---- Sagas, capabilities
 * ----------------------------------------------------------------------------- */

static bool
ask_saga(struct world *w, struct client *c, struct request *q)
{
    uint64_t saga = knows(w, c, KNOW_SAGA, false);

    q->in.subject = saga;
    switch (saga == 0 ? 0 : dice(w, 7)) {
    case 0:
        q->in.kind = IN_SAGA_BEGIN;
        q->in.subject = 0;
        q->in.region = knows(w, c, KNOW_REGION, false);
        return q->in.region != 0;
    case 1:
        q->in.kind = dice(w, 3) == 0 ? IN_SAGA_ABORT : IN_SAGA_COMPLETE;
        return true;
    default:
        q->in.kind = IN_SAGA_STEP;
        q->action = good_task(w, q, c->uid, false);
        q->undo = good_task(w, q, c->uid, true);
        q->action.delay_ns = 0;
        q->in.u.saga_step = (struct saga_step_params){
            .name = {"step", 4},
            .action = dice(w, 4) == 0 ? NULL : &q->action,
            .undo = &q->undo,
            .retry = {1 + dice(w, 3), some_ms(w, 300), some_ms(w, 1000)},
        };
        return true;
    }
}

static bool
ask_capability(struct world *w, struct client *c, struct request *q)
{
    if (c->known_count[KNOW_CAPABILITY] > 0 && dice(w, 3) == 0) {
        q->in.kind = IN_CX_REVOKE;
        q->in.subject = knows(w, c, KNOW_CAPABILITY, dice(w, 2) == 0);
        return true;
    }
    q->in.kind = IN_CX_DERIVE;
    q->in.region = knows(w, c, KNOW_REGION, false);
    q->in.u.derive = (struct derive_params){
        .rights = dice(w, 2) == 0 ? ASUP_RIGHTS_TASK : 1 + dice(w, (1 << 14) - 1),
        .limit_at = dice(w, 4) == 0 ? kernel_now(w) + some_ms(w, 5000) : ASUP_NEVER,
        .cost_ceiling = UINT64_MAX,
        .poll_ceiling = UINT32_MAX,
    };
    return q->in.region != 0;
}

/* It shows one of its capabilities, for something in that one's region. */
static void
show_capability(struct world *w, struct client *c, struct request *q)
{
    uint32_t count = c->known_count[KNOW_CAPABILITY];
    uint32_t i;

    if (count == 0 || q->in.region == 0 || q->in.kind == IN_WORKER_OFFER || dice(w, 3) != 0)
        return;
    i = dice(w, count);
    q->in.caller.cx = c->known[KNOW_CAPABILITY][i].id;
    q->in.region = c->known[KNOW_CAPABILITY][i].region;
}

/* ---- Workers
 * ------------------------------------------------------------------------------------------- */

static bool
ask_complete(struct world *w, struct client *c, struct request *q)
{
    q->in.kind = IN_CALL_COMPLETE;
    q->in.u.complete = (struct completion){
        .severity = dice(w, 3) == 0 ? (uint8_t)dice(w, 4) : ASUP_OK,
        .code = -1,
        .result = {q->data, 8},
    };
    if (c->late_count > 0 && w->now >= c->late_at) {
        q->in.u.complete.task = c->late[--c->late_count];
        q->in.u.complete.attempt = 1;
        return true;
    }
    if (c->late_count < 4 && c->known_count[KNOW_CALL] > 0 && fault(w, FAULT_COMPLETE_LATE)) {
        c->late[c->late_count++] = knows(w, c, KNOW_CALL, true);
        c->late_at = w->now + some_ms(w, 8000);
        return false;
    }
    q->in.u.complete.task = knows(w, c, KNOW_CALL, false);
    if (q->in.u.complete.task != 0 && fault(w, FAULT_COMPLETE_TWICE))
        return true; /* and is known still */
    for (uint32_t i = 0; i < c->known_count[KNOW_CALL]; i++) {
        if (c->known[KNOW_CALL][i].id == q->in.u.complete.task)
            c->known[KNOW_CALL][i] = c->known[KNOW_CALL][--c->known_count[KNOW_CALL]];
    }
    return q->in.u.complete.task != 0;
}

static bool
ask_worker(struct world *w, struct client *c, struct request *q)
{
    uint32_t turn = !c->offered ? 0 : 1 + dice(w, 11);

    switch (turn) {
    case 0:
        q->in.kind = IN_WORKER_OFFER;
        q->in.region = ASUP_ROOT_ID;
        for (unsigned i = 0; i < 3; i++)
            q->names[i] = computations[i];
        q->in.u.offer = (struct offer_params){
            .names = q->names,
            .name_count = 1 + dice(w, 3),
            .concurrency = 1 + dice(w, 4),
            .prefetch = dice(w, 4),
            .mask_depth = dice(w, 3),
            .quiet_ns = dice(w, 2) == 0 ? ASUP_NEVER : some_ms(w, 3000),
        };
        return true;
    case 1:
    case 2:
    case 3:
    case 4:
        if (c->waits)
            return false;
        c->waits = q->parks = true;
        q->in.kind = IN_WORKER_NEXT;
        q->in.u.next.most = 1 + dice(w, 4);
        q->in.u.next.timeout_ns = some_ms(w, 4000);
        return true;
    case 5:
    case 6:
        q->in.kind = IN_WORKER_START;
        q->in.u.start.tasks = q->tasks;
        q->in.u.start.codes = q->codes;
        while (q->in.u.start.count < c->known_count[KNOW_CALL] && q->in.u.start.count < 4) {
            q->tasks[q->in.u.start.count] = c->known[KNOW_CALL][q->in.u.start.count].id;
            q->in.u.start.count++;
        }
        return q->in.u.start.count > 0;
    case 7:
        q->in.kind = dice(w, 2) == 0 ? IN_TASK_CHECKPOINT : IN_TASK_PROGRESS;
        q->in.task = knows(w, c, KNOW_CALL, false);
        q->in.u.progress.cost = q->in.kind == IN_TASK_PROGRESS ? dice(w, 20) : 0;
        return q->in.task != 0;
    case 8:
        if (dice(w, 6) != 0)
            return false;
        q->in.kind = dice(w, 2) == 0 ? IN_WORKER_DRAIN : IN_WORKER_WITHDRAW;
        c->offered = q->in.kind == IN_WORKER_DRAIN && dice(w, 2) == 0;
        return true;
    default:
        return ask_complete(w, c, q);
    }
}

/* ---- Any of it
 * ------------------------------------------------------------------------------------------- */

static bool
takes_key(enum input_kind kind)
{
    return kind == IN_REGION_OPEN || kind == IN_TASK_SUBMIT || kind == IN_FINALIZER_DEFER ||
           kind == IN_CHANNEL_OPEN || kind == IN_CHANNEL_SEND || kind == IN_SAGA_BEGIN ||
           kind == IN_SAGA_STEP || kind == IN_CX_DERIVE || kind == IN_REGION_END ||
           kind == IN_TASK_CANCEL || kind == IN_OBLIGATION_RESERVE;
}

static bool
fill(struct world *w, struct client *c, struct request *q)
{
    if (c->worker && dice(w, 3) != 0)
        return ask_worker(w, c, q);
    if (c->known_count[KNOW_REGION] == 0)
        return ask_region(w, c, q);
    switch (dice(w, 20)) {
    case 0:
    case 1:
        return ask_region(w, c, q);
    case 2:
        return ask_end(w, c, q);
    case 3:
    case 4:
        return ask_wait(w, c, q);
    case 5:
        return ask_batch(w, c, q);
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        return ask_channel(w, c, q);
    case 11:
    case 12:
    case 13:
        return ask_owed(w, c, q);
    case 14:
    case 15:
        return ask_saga(w, c, q);
    case 16:
        return ask_capability(w, c, q);
    default:
        return ask_task(w, c, q);
    }
}

struct request *
client_ask(struct world *w, uint32_t number)
{
    struct client *c = &w->clients[number];
    struct request *q = request_new(w);

    q->in.caller = (struct caller){.session = c->session, .uid = c->uid};
    (void)snprintf(q->data, sizeof q->data, "%08llu", (unsigned long long)++w->serial % 100000000);
    if (!fill(w, c, q)) {
        request_drop(q);
        return NULL;
    }
    if (q->parts == 0)
        show_capability(w, c, q);
    q->parks = q->parks || q->in.kind == IN_WAIT || q->in.kind == IN_CHANNEL_RECEIVE ||
               q->in.kind == IN_CHANNEL_RESERVE || q->in.kind == IN_LEASE_ACQUIRE;
    q->in.request = ++c->request_last;
    q->in.digest = request_digest(w);
    if (q->parts == 0 && takes_key(q->in.kind) && dice(w, 3) == 0) {
        (void)snprintf(q->key, sizeof q->key, "k%llu", (unsigned long long)w->serial);
        q->in.key = (struct bytes){q->key, strlen(q->key)};
        q->in.key_retention_ns = dice(w, 2) == 0 ? some_ms(w, 3000) : 0;
    }
    return q;
}
