/* SPDX-License-Identifier: MIT */
/*
 * Coming back (durable.h): what was lost with the former engine, keeper or
 * machine, and what is owed and goes out again. And what waits for the journal:
 * requests while it fails, answers always.
 */
#include "core/decide.h"

/* ---- What is lost ---------------------------------------------------------------------- */

static void
finalizer_rerun(struct kernel *k, uint32_t i)
{
    struct asup_ref self = {.id = task_at(k, i)->id, .sort = ASUP_SORT_TASK};

    obligations_leak(k, self); /* what the former run held */
    saga_driver_ended(k, self);
    emit(k, event_of_task(EV_TASK_RERUN, k, i));
}

/* "/" opens again. Its finalizer that had begun has not been done: its turn comes
 * again when "/" closes the next time. One that was killed had its time, one that
 * ended has its status. */
static void
root_reopen(struct kernel *k)
{
    const struct region *r = region_at(k, k->root);
    uint32_t top = r->stack_top;

    emit(k, event_of_region(EV_REGION_REOPENED, k, k->root));
    if (top != NIL && !stack_is_saga(top) &&
        (task_at(k, top >> 1)->flags & (TASK_BEGUN | TASK_ENDED | TASK_ESCALATED)) == TASK_BEGUN)
        finalizer_rerun(k, top >> 1);
}

/* Nothing of its process is left, and its status is not known. A status is never
 * guessed (R-TSK-4); a finalizer without one has not been done (R-SAG-3), but
 * one that was killed had its time, and of a compensation an attempt is spent. */
void
task_lost(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);
    bool again =
        (t->flags & (TASK_FINALIZER | TASK_UNDO | TASK_ENDED | TASK_ESCALATED)) == TASK_FINALIZER;
    struct input in = {.now = k->now, .task = t->id};

    if (!task_live(t) || (t->flags & TASK_ORDERED) == 0)
        return;
    if (again) {
        finalizer_rerun(k, i);
        return;
    }
    if ((t->flags & TASK_ENDED) == 0) {
        in.kind = IN_TASK_EXITED;
        in.u.exited = (struct process_exit){
            .exit_code = -1,
            .lost = true,
            .kill_delivered = (t->flags & TASK_ESCALATED) != 0,
        };
        task_fact(k, &in, i);
    }
    in.kind = IN_TASK_EMPTY;
    task_fact(k, &in, i);
}

/* R-DUR-1: it drains of nothing, is swept, and is Closed with Panicked(lost). */
static void
region_lose(struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);
    struct kernel_outcome o = {
        .key = {.severity = ASUP_PANICKED, .at = k->now, .origin = r->id},
        .origin_sort = ASUP_SORT_REGION,
        .lost = true,
        .exit_code = -1,
        .stage = "lost",
    };
    struct event ev = event_of_region(EV_REGION_LOST, k, i);

    ev.outcome = &o;
    emit(k, ev);
    finish_region(k, i);
}

/* Whoever held something, or drove a saga, in a volatile region is gone. */
static void
holders_resumed(struct kernel *k)
{
    for (uint32_t i = 0; i < k->obligations.holders.used; i++) {
        const struct holder *h = arena_at(&k->obligations.holders, i);

        if (h->key != 0 && h->record == NIL)
            obligations_leak(k, holder_ref(h));
    }
    leases_settle(k);
    for (uint32_t i = 0; i < k->saga.sagas.used; i++) {
        const struct saga *s = saga_at(k, i);

        if (s->id != 0 && s->state < SAGA_COMPLETED && s->driver_sort == ASUP_SORT_TASK &&
            task_of_id(k, s->driver_id) == NIL)
            saga_driver_ended(k, (struct asup_ref){.id = s->driver_id, .sort = ASUP_SORT_TASK});
    }
}

/* ---- What is owed ------------------------------------------------------------------------ */

/* The keeper takes each of these twice and does it once. */
static void
task_orders(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);

    if (task_is_call(t))
        return; /* its worker asks by itself */
    if (task_starting(t))
        order_start(k, i);
    if ((t->flags & (TASK_SIGNALLED | TASK_ESCALATED | TASK_EMPTIED | TASK_ACKED)) ==
        TASK_SIGNALLED)
        order_signal(k, i);
    if ((t->flags & (TASK_ESCALATED | TASK_EMPTIED)) == TASK_ESCALATED)
        (void)effect_of_task(k, FX_KILL, i);
}

void
resumed_need(const struct kernel *k, struct need *need)
{
    need->tasks += arena_live(&k->tasks);
    need->regions += arena_live(&k->regions);
    need->sagas += arena_live(&k->saga.sagas);
    need->events += 5 * arena_live(&k->tasks) + arena_live(&k->regions) +
                    4 * arena_live(&k->obligations.records) + 4 * arena_live(&k->saga.sagas) +
                    arena_live(&k->obligations.leases);
    need->scratch += (size_t)arena_live(&k->tasks) * 3 * sizeof(struct kernel_outcome);
}

static void
resumed_emit(struct kernel *k, const struct input *in)
{
    struct resumed_payload p;
    struct event ev = {.kind = EV_RESUMED, .payload = &p, .payload_size = sizeof p};

    memset(&p, 0, sizeof p);
    p.id_first = in->u.resumed.id_first;
    p.same_keeper = in->u.resumed.same_keeper;
    p.same_boot = in->u.resumed.same_boot;
    /* Volatile events that are in no journal had numbers, too. */
    if (k->event_seq + 1 < in->u.resumed.seq_first)
        k->event_seq = in->u.resumed.seq_first - 1;
    emit(k, ev);
}

void
resumed(struct kernel *k, const struct input *in)
{
    bool same = in->u.resumed.same_keeper && in->u.resumed.same_boot;

    if (!k->recovering)
        return;
    resumed_emit(k, in);
    k->recovering = false;
    if (!in->u.resumed.same_keeper && region_at(k, k->root)->state != ASUP_REGION_OPEN)
        root_reopen(k);
    for (uint32_t i = 0; i < k->tasks.used; i++) {
        const struct task *t = task_at(k, i);

        if (t->id == 0 || !task_live(t))
            continue;
        if (same)
            task_orders(k, i);
        else
            task_lost(k, i);
        if (task_live(t))
            work_task(k, i); /* what a journal that ends within a step left to do */
    }
    holders_resumed(k);
    for (uint32_t i = 0; i < k->regions.used; i++) {
        const struct region *r = region_at(k, i);

        if (r->id == 0 || !region_live(r))
            continue;
        if ((r->flags & REGION_VOLATILE_TOP) != 0)
            region_lose(k, i);
        if ((r->flags & REGION_SWEEP_PENDING) != 0)
            sweep_again(k, i);
        work_region(k, i);
    }
    work_run(k);
    if (!region_live(region_at(k, k->root)))
        (void)effect_add(k, FX_QUIESCENT);
}

/* ---- What waits for the journal ------------------------------------------------------------- */

static bool
task_id_volatile(const struct kernel *k, uint64_t id)
{
    uint32_t i = id == 0 ? NIL : task_of_id(k, id);

    return i != NIL && (region_at(k, task_at(k, i)->region)->flags & REGION_VOLATILE) != 0;
}

/* Whether what the request is about is volatile. A family adds what its subjects
 * belong to. */
static bool
about_volatile(const struct kernel *k, const struct input *in)
{
    if (in->kind > IN_CHANNEL_OPEN && in->kind <= IN_DEAD_DISCARD)
        return channel_request_volatile(k, in);
    if (in->kind == IN_CALL_COMPLETE)
        return task_id_volatile(k, in->u.complete.task);
    if (in->kind == IN_WORKER_START) {
        for (uint32_t n = 0; n < in->u.start.count; n++) {
            if (!task_id_volatile(k, in->u.start.tasks[n]))
                return false;
        }
        return in->u.start.count > 0;
    }
    return in->region != 0 ? region_id_volatile(k, in->region) : task_id_volatile(k, in->task);
}

bool
journal_needed(const struct kernel *k, const struct input *in)
{
    switch (in->kind) {
    case IN_SESSION_OPEN:
    case IN_REGION_OPEN:
    case IN_TASK_SUBMIT:
    case IN_FINALIZER_DEFER:
    case IN_OBLIGATION_RESERVE:
    case IN_OBLIGATION_TRANSFER:
    case IN_CHANNEL_OPEN:
    case IN_CHANNEL_RESERVE:
    case IN_CHANNEL_SEND:
    case IN_CHANNEL_RECEIVE:
    case IN_DEAD_RETRY:
    case IN_DEAD_DISCARD:
    case IN_LEASE_ACQUIRE:
    case IN_WORKER_OFFER:
    case IN_SAGA_BEGIN:
    case IN_SAGA_STEP:
    case IN_CX_DERIVE:
        return !about_volatile(k, in);
    case IN_BATCH:
        for (uint32_t n = 0; in->u.batch.items != NULL && n < in->u.batch.count; n++) {
            if (journal_needed(k, &in->u.batch.items[n]))
                return true;
        }
        return false;
    default:
        return false;
    }
}

uint64_t
answer_after(const struct kernel *k, const struct input *in)
{
    if (k->durable_seq != k->request_mark)
        return k->durable_seq;
    switch (in->kind) {
    case IN_SESSION_RESUME:
    case IN_SESSION_KEEPALIVE:
    case IN_TASK_CHECKPOINT:
    case IN_TASK_PROGRESS:
    case IN_WORKER_NEXT:
        return 0; /* they tell nothing but what they did */
    case IN_WAIT:
        return in->u.wait.on_region || !about_volatile(k, in) ? k->durable_seq : 0;
    default:
        return about_volatile(k, in) ? 0 : k->durable_seq;
    }
}
