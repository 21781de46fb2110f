/* SPDX-License-Identifier: MIT */
#include "lab/oracle_model_parts.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

enum { PRIORITY_MOST = 199 }; /* above it is the cancel lane's band (R-SCH) */

/* ---- Finding ------------------------------------------------------------------------ */

struct seen_region *
model_region(const struct model *m, uint64_t id)
{
    return idmap_find(&m->regions, id);
}

struct seen_task *
model_task(const struct model *m, uint64_t id)
{
    return idmap_find(&m->tasks, id);
}

struct seen_obligation *
model_obligation(const struct model *m, uint64_t id)
{
    return idmap_find(&m->obligations, id);
}

bool
model_within(const struct model *m, uint64_t region, uint64_t top)
{
    while (region != 0 && region != top) {
        const struct seen_region *r = model_region(m, region);

        region = r == NULL ? 0 : r->parent;
    }
    return region != 0;
}

bool
ref_same(struct asup_ref a, struct asup_ref b)
{
    return a.id == b.id && a.sort == b.sort;
}

struct asup_ref
model_holder(const struct model *m, const struct kernel *k, const struct caller *c)
{
    struct capability_view x;
    uint64_t task = c->task;

    if (c->actor != 0 && model_task(m, c->actor) != NULL)
        return (struct asup_ref){.id = c->actor, .sort = ASUP_SORT_TASK};
    if (c->cx != 0) {
        task = 0;
        if (kernel_capability(k, c->cx, &x) && x.owner.sort == ASUP_SORT_TASK &&
            model_task(m, x.owner.id) != NULL)
            task = x.owner.id;
    }
    if (task != 0)
        return (struct asup_ref){.id = task, .sort = ASUP_SORT_TASK};
    if (c->session != 0)
        return (struct asup_ref){.id = c->session, .sort = ASUP_SORT_SESSION};
    return (struct asup_ref){0};
}

static asup_time
earlier(asup_time a, asup_time b)
{
    return a < b ? a : b;
}

/* ---- Stacks -------------------------------------------------------------------------- */

void
model_stack_push(struct model *m, struct seen_region *r, struct asup_ref entry)
{
    if (r->stack_count == r->stack_capacity) {
        r->stack_capacity = 2 * r->stack_capacity + 4;
        r->stack = oracle_memory(r->stack, r->stack_capacity * sizeof r->stack[0]);
    }
    r->stack[r->stack_count++] = entry;
    m->stack_entries++;
    m->sagas += entry.sort == ASUP_SORT_SAGA;
}

static void
stack_remove(struct model *m, struct seen_region *r, struct asup_ref entry)
{
    for (size_t i = r->stack_count; i > 0; i--) {
        if (!ref_same(r->stack[i - 1], entry))
            continue;
        memmove(&r->stack[i - 1], &r->stack[i], (r->stack_count - i) * sizeof r->stack[0]);
        r->stack_count--;
        m->stack_entries--;
        m->sagas -= entry.sort == ASUP_SORT_SAGA;
        return;
    }
}

/* ---- Regions -------------------------------------------------------------------------- */

void
model_region_state(struct model *m, struct seen_region *r, uint8_t to)
{
    m->regions_in[r->state]--;
    r->state = to;
    if (to != ASUP_REGION_CLOSED)
        m->regions_in[to]++;
}

/* What never changes. */
struct seen_region *
model_region_new(struct model *m, const struct kernel *k, uint64_t id, uint64_t parent)
{
    struct seen_region *r = idmap_add(&m->regions, id);
    struct seen_region *above = model_region(m, parent);
    struct region_view v;

    r->parent = parent;
    r->drain_ns = r->drain_end = r->own_limit = r->limit = ASUP_NEVER;
    m->regions_in[ASUP_REGION_OPEN]++;
    if (id > m->region_last)
        m->region_last = id;
    if (kernel_region(k, id, &v)) {
        r->uid = v.uid;
        r->policy = v.policy;
        r->quorum = v.quorum;
        r->soft = v.soft;
        r->strict = v.strict;
        r->is_volatile = v.is_volatile;
        r->drain_ns = v.drain_ns;
        r->own_limit = r->limit = v.budget.limit_at;
        r->priority = v.budget.priority;
    } else {
        r->learned = true;
    }
    if (above == NULL)
        return r;
    above->children++;
    above->participants++;
    r->limit = earlier(r->limit, above->limit);
    if (above->priority > r->priority)
        r->priority = above->priority;
    return r;
}

static void
region_drop(struct model *m, struct seen_region *r)
{
    m->stack_entries -= r->stack_count;
    for (size_t i = 0; i < r->stack_count; i++)
        m->sagas -= r->stack[i].sort == ASUP_SORT_SAGA;
    free(r->stack);
    idmap_drop(&m->regions, r->id);
}

static void
region_closed(struct model *m, const struct event *ev, struct seen_region *r)
{
    struct seen_region *above = model_region(m, r->parent);

    if (above != NULL) {
        above->children--;
        above->ended++;
        above->oks += ev->outcome != NULL && ev->outcome->key.severity == ASUP_OK;
    }
    model_region_state(m, r, ASUP_REGION_CLOSED);
    if (r->id != ASUP_ROOT_ID)
        region_drop(m, r);
}

/* "/" opens again with a daemon that is started anew. */
static void
region_reopened(struct model *m, struct seen_region *r)
{
    if (r->state == ASUP_REGION_CLOSED)
        m->regions_in[ASUP_REGION_OPEN]++;
    else
        model_region_state(m, r, ASUP_REGION_OPEN);
    r->state = ASUP_REGION_OPEN;
    r->sealed = r->cancelled = r->decided = r->swept = false;
    r->drain_end = ASUP_NEVER;
}

static void
apply_region(struct model *m, const struct kernel *k, const struct event *ev)
{
    struct seen_region *r;
    struct reason_view reason;

    if (ev->kind == EV_REGION_OPENED) {
        (void)model_region_new(m, k, ev->region, ev->value);
        return;
    }
    r = model_region(m, ev->region);
    if (r == NULL)
        return;
    switch (ev->kind) {
    case EV_REGION_SEALED:
        r->sealed = true;
        model_region_state(m, r, ASUP_REGION_CLOSING);
        break;
    case EV_REGION_CANCEL_REQUESTED:
        r->cancelled = true;
        r->drain_end = ev->value;
        r->reason = ev->reason;
        if (kernel_reason(k, ev->reason, &reason, 1) > 0)
            r->reason_kind = reason.key.kind;
        break;
    case EV_REGION_DECIDED:
        r->decided = true;
        break;
    case EV_REGION_DRAINING:
        model_region_state(m, r, ASUP_REGION_DRAINING);
        break;
    case EV_REGION_FINALIZING:
        model_region_state(m, r, ASUP_REGION_FINALIZING);
        break;
    case EV_REGION_SWEEP_ORDERED:
        r->sweeping = true;
        break;
    case EV_REGION_SWEEP_FAILED:
        r->sweeping = false;
        break;
    case EV_REGION_REOPENED:
        region_reopened(m, r);
        break;
    case EV_REGION_CLOSED:
        region_closed(m, ev, r);
        break;
    default:
        break;
    }
}

/* ---- Tasks ------------------------------------------------------------------------------ */

void
model_task_state(struct model *m, struct seen_task *t, uint8_t to)
{
    m->tasks_in[t->state]--;
    t->state = to;
    if (to != ASUP_TASK_COMPLETED)
        m->tasks_in[to]++;
}

struct seen_task *
model_task_new(struct model *m, const struct kernel *k, uint64_t id, uint64_t region)
{
    struct seen_task *t = idmap_add(&m->tasks, id);
    const struct seen_region *r = model_region(m, region);
    struct task_view v;

    t->region = region;
    t->drain_end = t->own_limit = t->limit = ASUP_NEVER;
    m->tasks_in[ASUP_TASK_CREATED]++;
    if (id > m->task_last)
        m->task_last = id;
    if (kernel_task(k, id, &v)) {
        t->uid = v.uid;
        t->call = v.call;
        t->speaks = v.notify || v.mask_depth != 0;
        t->mask_left = v.mask_depth;
        t->own_limit = t->limit = v.budget.limit_at;
        t->priority = v.budget.priority;
        t->created_at = t->since = v.created_at;
        if (v.due_at != 0) {
            t->delayed = true;
            t->since = v.due_at;
        }
    } else {
        t->learned = true;
    }
    if (r != NULL) {
        t->limit = earlier(t->limit, r->limit);
        if (r->priority > t->priority)
            t->priority = r->priority;
    }
    if (t->priority == 0)
        t->priority = ASUP_PRIORITY_DEFAULT;
    if (t->priority > PRIORITY_MOST)
        t->priority = PRIORITY_MOST;
    return t;
}

void
model_masked_from_cancel(struct seen_task *t)
{
    t->finalizer = true;
    t->own_limit = t->limit = ASUP_NEVER; /* a budget from its start instead */
}

static void
task_created(struct model *m, const struct kernel *k, const struct event *ev)
{
    struct seen_region *r = model_region(m, ev->region);
    struct seen_task *t = model_task_new(m, k, ev->task, ev->region);

    switch (ev->kind) {
    case EV_FINALIZER_REGISTERED:
        model_masked_from_cancel(t);
        if (r != NULL)
            model_stack_push(m, r, (struct asup_ref){.id = t->id, .sort = ASUP_SORT_TASK});
        break;
    case EV_SAGA_STEP_UNDOING:
        model_masked_from_cancel(t);
        t->undo = t->begun = true;
        break;
    default:
        if (r != NULL) {
            r->tasks++;
            r->participants++;
        }
        break;
    }
}

static void
task_completed(struct model *m, const struct event *ev, struct seen_task *t)
{
    struct seen_region *r = model_region(m, t->region);

    model_task_state(m, t, ASUP_TASK_COMPLETED);
    if (t->finalizer && !t->undo)
        return; /* FINALIZER_DONE takes it away */
    if (!t->finalizer && r != NULL) {
        r->tasks--;
        r->ended++;
        r->oks += ev->outcome != NULL && ev->outcome->key.severity == ASUP_OK;
    }
    idmap_drop(&m->tasks, t->id);
}

static void
task_cancelled(const struct kernel *k, const struct event *ev, struct model *m, struct seen_task *t)
{
    struct reason_view reason;

    t->cancelled = true;
    t->drain_end = ev->value;
    if (kernel_reason(k, ev->reason, &reason, 1) > 0)
        t->reason_kind = reason.key.kind;
    if (t->state == ASUP_TASK_RUNNING)
        model_task_state(m, t, ASUP_TASK_CANCEL_REQUESTED);
}

static void
task_started(struct model *m, const struct event *ev, struct seen_task *t)
{
    t->started = true;
    t->started_at = ev->at;
    model_task_state(m, t, ASUP_TASK_RUNNING);
    if (t->cancelled)
        model_task_state(m, t, ASUP_TASK_CANCEL_REQUESTED);
}

/* A finalizer that was lost, or an attempt of a call: from the beginning. */
static void
task_again(struct model *m, struct seen_task *t)
{
    model_task_state(m, t, ASUP_TASK_CREATED);
    t->ordered = t->slow = t->started = t->told = t->acked = t->ended = t->emptied = false;
    t->escalated = false;
}

static void
apply_task(struct model *m, const struct kernel *k, const struct event *ev)
{
    struct seen_task *t;
    struct seen_region *r;

    if (ev->kind == EV_TASK_CREATED || ev->kind == EV_FINALIZER_REGISTERED) {
        task_created(m, k, ev);
        return;
    }
    t = model_task(m, ev->task);
    if (t == NULL)
        return;
    switch (ev->kind) {
    case EV_TASK_DUE:
        t->delayed = false;
        break;
    case EV_TASK_START_ORDERED:
        t->ordered = true;
        for (r = model_region(m, t->region); r != NULL; r = model_region(m, r->parent))
            r->used = true;
        break;
    case EV_TASK_START_SLOW:
        t->slow = true;
        break;
    case EV_TASK_STARTED:
        task_started(m, ev, t);
        break;
    case EV_TASK_START_FAILED:
        t->ended = true;
        break;
    case EV_TASK_CANCEL_REQUESTED:
        task_cancelled(k, ev, m, t);
        break;
    case EV_TASK_CANCEL_SENT:
        t->told = true;
        break;
    case EV_TASK_CANCEL_ACKED:
        t->acked = true;
        model_task_state(m, t, ASUP_TASK_CANCELLING);
        break;
    case EV_TASK_MASKED:
        t->mask_left = (uint32_t)ev->value;
        break;
    case EV_TASK_ESCALATED:
        t->escalated = true;
        break;
    case EV_TASK_MAIN_ENDED:
        t->ended = true;
        model_task_state(m, t, ASUP_TASK_FINALIZING);
        break;
    case EV_TASK_EMPTIED:
        t->emptied = true;
        break;
    case EV_TASK_RERUN:
        task_again(m, t);
        break;
    case EV_FINALIZER_BEGUN:
        t->begun = true;
        break;
    case EV_TASK_COMPLETED:
        task_completed(m, ev, t);
        break;
    case EV_FINALIZER_DONE:
        r = model_region(m, t->region);
        if (r != NULL)
            stack_remove(m, r, (struct asup_ref){.id = t->id, .sort = ASUP_SORT_TASK});
        idmap_drop(&m->tasks, t->id);
        break;
    default:
        break;
    }
}

static void
apply_call(struct model *m, const struct event *ev)
{
    struct seen_task *t = model_task(m, ev->task);

    if (t == NULL)
        return; /* it has ended, and its worker was at it still */
    switch (ev->kind) {
    case EV_CALL_STARTED:
        task_started(m, ev, t);
        break;
    case EV_CALL_RETRIED:
        task_again(m, t);
        t->again = true;
        t->delayed = ev->value > ev->at;
        t->since = ev->value;
        break;
    default:
        break;
    }
}

/* ---- Obligations ------------------------------------------------------------------------- */

static void
hold(struct model *m, struct asup_ref holder, asup_time at, int more)
{
    struct seen_task *t = holder.sort == ASUP_SORT_TASK ? model_task(m, holder.id) : NULL;

    if (t == NULL)
        return;
    if (more > 0)
        t->progress_at = at;
    t->held += (uint32_t)more;
}

void
model_obligation_learn(const struct kernel *k, struct seen_obligation *o)
{
    struct obligation_view v;

    o->known = kernel_obligation(k, o->id, &v);
    if (!o->known)
        return;
    o->channel = v.channel;
    o->message = v.message;
    o->deadline = v.deadline;
}

static void
obligation_reserved(struct model *m, const struct kernel *k, const struct event *ev)
{
    struct seen_obligation *o = idmap_add(&m->obligations, ev->subject);
    struct seen_region *r = model_region(m, ev->region);

    o->region = ev->region;
    o->holder = ev->holder;
    o->kind = (uint8_t)ev->value;
    o->deadline = ASUP_NEVER;
    model_obligation_learn(k, o);
    if (ev->subject > m->obligation_last)
        m->obligation_last = ev->subject;
    if (r != NULL)
        r->ledger[o->kind]++;
    hold(m, o->holder, ev->at, 1);
}

static void
apply_obligation(struct model *m, const struct kernel *k, const struct event *ev)
{
    struct seen_obligation *o;
    struct seen_region *r;

    if (ev->kind == EV_OBLIGATION_RESERVED) {
        obligation_reserved(m, k, ev);
        return;
    }
    o = model_obligation(m, ev->subject);
    if (o == NULL)
        return;
    r = model_region(m, o->region);
    switch (ev->kind) {
    case EV_OBLIGATION_LEAKED:
        if (r != NULL)
            r->leaks++;
        /* fallthrough */
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
        if (r != NULL && r->ledger[o->kind] > 0)
            r->ledger[o->kind]--;
        hold(m, o->holder, ev->at, -1);
        idmap_drop(&m->obligations, o->id);
        break;
    case EV_OBLIGATION_TRANSFERRED:
        hold(m, o->holder, ev->at, -1);
        o->holder = ev->holder;
        hold(m, o->holder, ev->at, 1);
        break;
    case EV_OBLIGATION_RENEWED:
        o->deadline = ev->value;
        break;
    default:
        break;
    }
}

/* ---- The rest ------------------------------------------------------------------------------ */

static void
apply_saga(struct model *m, const struct kernel *k, const struct event *ev)
{
    struct asup_ref entry = {.id = ev->subject, .sort = ASUP_SORT_SAGA};
    struct seen_region *r = model_region(m, ev->region);

    if (ev->kind == EV_SAGA_STEP_UNDOING)
        task_created(m, k, ev);
    if (r == NULL)
        return;
    if (ev->kind == EV_SAGA_BEGUN)
        model_stack_push(m, r, entry);
    if (ev->kind == EV_SAGA_ENDED)
        stack_remove(m, r, entry);
}

static void
apply_session(struct model *m, const struct event *ev)
{
    struct seen_session *s;

    if (ev->kind == EV_SESSION_OPENED) {
        s = idmap_add(&m->sessions, ev->session);
        s->uid = ev->uid;
    } else if (ev->kind == EV_SESSION_ENDED) {
        idmap_drop(&m->sessions, ev->session);
    }
}

void
model_apply(struct model *m, const struct kernel *k, const struct event *ev)
{
    struct seen_region *r;

    if (ev->kind >= EV_SESSION_OPENED && ev->kind <= EV_REQUEST_BOUND) {
        apply_session(m, ev);
    } else if ((ev->kind >= EV_REGION_OPENED && ev->kind <= EV_REGION_FORGOTTEN) ||
               ev->kind == EV_REGION_REOPENED) {
        apply_region(m, k, ev);
    } else if ((ev->kind >= EV_TASK_CREATED && ev->kind <= EV_FINALIZER_DONE) ||
               ev->kind == EV_TASK_RERUN) {
        apply_task(m, k, ev);
    } else if (ev->kind >= EV_OBLIGATION_RESERVED && ev->kind <= EV_OBLIGATION_RENEWED) {
        apply_obligation(m, k, ev);
    } else if (ev->kind == EV_CHANNEL_OPENED || ev->kind == EV_CHANNEL_CLOSED) {
        r = model_region(m, ev->region);
        if (r != NULL)
            r->channels += ev->kind == EV_CHANNEL_OPENED ? 1 : -1U;
    } else if (ev->kind >= EV_CALL_TAKEN && ev->kind <= EV_CALL_RETRIED) {
        apply_call(m, ev);
    } else if (ev->kind >= EV_SAGA_BEGUN && ev->kind <= EV_SAGA_ENDED) {
        apply_saga(m, k, ev);
    }
}

/* ---- Lifecycle ------------------------------------------------------------------------------ */

void
model_clear(struct model *m)
{
    size_t cursor = 0;
    struct seen_region *r;

    while ((r = idmap_next(&m->regions, &cursor)) != NULL)
        free(r->stack);
    idmap_clear(&m->regions);
    idmap_clear(&m->tasks);
    idmap_clear(&m->obligations);
    idmap_clear(&m->sessions);
    memset(m->regions_in, 0, sizeof m->regions_in);
    memset(m->tasks_in, 0, sizeof m->tasks_in);
    m->stack_entries = 0;
    m->sagas = 0;
}

void
model_begin(struct model *m, const struct kernel *k)
{
    model_clear(m);
    (void)model_region_new(m, k, ASUP_ROOT_ID, 0);
}

void
model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    idmap_init(&m->regions, sizeof(struct seen_region));
    idmap_init(&m->tasks, sizeof(struct seen_task));
    idmap_init(&m->obligations, sizeof(struct seen_obligation));
    idmap_init(&m->sessions, sizeof(struct seen_session));
}

void
model_fini(struct model *m)
{
    model_clear(m);
    idmap_fini(&m->regions);
    idmap_fini(&m->tasks);
    idmap_fini(&m->obligations);
    idmap_fini(&m->sessions);
}
