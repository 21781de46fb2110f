/* SPDX-License-Identifier: MIT */
#include "lab/oracle_model.h"

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

static void
stack_push(struct model *m, struct seen_region *r, struct asup_ref entry)
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

static void
region_state(struct model *m, struct seen_region *r, uint8_t to)
{
    m->regions_in[r->state]--;
    r->state = to;
    if (to != ASUP_REGION_CLOSED)
        m->regions_in[to]++;
}

/* What never changes. */
static struct seen_region *
region_new(struct model *m, const struct kernel *k, uint64_t id, uint64_t parent)
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
    region_state(m, r, ASUP_REGION_CLOSED);
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
        region_state(m, r, ASUP_REGION_OPEN);
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
        (void)region_new(m, k, ev->region, ev->value);
        return;
    }
    r = model_region(m, ev->region);
    if (r == NULL)
        return;
    switch (ev->kind) {
    case EV_REGION_SEALED:
        r->sealed = true;
        region_state(m, r, ASUP_REGION_CLOSING);
        break;
    case EV_REGION_CANCEL_REQUESTED:
        r->cancelled = true;
        r->drain_end = ev->value;
        if (kernel_reason(k, ev->reason, &reason, 1) > 0)
            r->reason_kind = reason.key.kind;
        break;
    case EV_REGION_DECIDED:
        r->decided = true;
        break;
    case EV_REGION_DRAINING:
        region_state(m, r, ASUP_REGION_DRAINING);
        break;
    case EV_REGION_FINALIZING:
        region_state(m, r, ASUP_REGION_FINALIZING);
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

static void
task_state(struct model *m, struct seen_task *t, uint8_t to)
{
    m->tasks_in[t->state]--;
    t->state = to;
    if (to != ASUP_TASK_COMPLETED)
        m->tasks_in[to]++;
}

static struct seen_task *
task_new(struct model *m, const struct kernel *k, uint64_t id, uint64_t region)
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

static void
masked_from_cancel(struct seen_task *t)
{
    t->finalizer = true;
    t->own_limit = t->limit = ASUP_NEVER; /* a budget from its start instead */
}

static void
task_created(struct model *m, const struct kernel *k, const struct event *ev)
{
    struct seen_region *r = model_region(m, ev->region);
    struct seen_task *t = task_new(m, k, ev->task, ev->region);

    switch (ev->kind) {
    case EV_FINALIZER_REGISTERED:
        masked_from_cancel(t);
        if (r != NULL)
            stack_push(m, r, (struct asup_ref){.id = t->id, .sort = ASUP_SORT_TASK});
        break;
    case EV_SAGA_STEP_UNDOING:
        masked_from_cancel(t);
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

    task_state(m, t, ASUP_TASK_COMPLETED);
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
        task_state(m, t, ASUP_TASK_CANCEL_REQUESTED);
}

static void
task_started(struct model *m, const struct event *ev, struct seen_task *t)
{
    t->started = true;
    t->started_at = ev->at;
    task_state(m, t, ASUP_TASK_RUNNING);
    if (t->cancelled)
        task_state(m, t, ASUP_TASK_CANCEL_REQUESTED);
}

/* A finalizer that was lost, or an attempt of a call: from the beginning. */
static void
task_again(struct model *m, struct seen_task *t)
{
    task_state(m, t, ASUP_TASK_CREATED);
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
        task_state(m, t, ASUP_TASK_CANCELLING);
        break;
    case EV_TASK_MASKED:
        t->mask_left = (uint32_t)ev->value;
        break;
    case EV_TASK_ESCALATED:
        t->escalated = true;
        break;
    case EV_TASK_MAIN_ENDED:
        t->ended = true;
        task_state(m, t, ASUP_TASK_FINALIZING);
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

static void
obligation_learn(const struct kernel *k, struct seen_obligation *o)
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
    obligation_learn(k, o);
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
        stack_push(m, r, entry);
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

/* ---- Learning ---------------------------------------------------------------------------------
 */

static void
learn_task(struct model *m, const struct kernel *k, uint64_t id, bool finalizer, bool undo)
{
    struct task_view v;
    struct seen_task *t;

    if (!kernel_task(k, id, &v) || v.state == ASUP_TASK_COMPLETED)
        return;
    t = task_new(m, k, id, v.region);
    t->learned = true;
    if (finalizer)
        masked_from_cancel(t);
    t->undo = undo;
    t->begun = undo || (finalizer && v.start_ordered);
    t->ordered = v.start_ordered;
    t->started = v.started;
    t->started_at = v.started_at;
    t->ended = v.main_ended;
    t->escalated = v.escalated;
    t->mask_left = v.mask_left;
    t->cancelled = v.reason != 0;
    t->delayed = v.due_at != 0 && !v.start_ordered; /* or due by now: not known */
    task_state(m, t, v.state);
    if (t->cancelled) {
        struct reason_view reason;

        t->drain_end = ASUP_NEVER;
        if (kernel_reason(k, v.reason, &reason, 1) > 0)
            t->reason_kind = reason.key.kind;
    }
}

static void
learn_saga(struct model *m, const struct kernel *k, uint64_t id)
{
    struct saga_view saga;
    struct saga_step_view step;

    if (!kernel_saga(k, id, &saga))
        return;
    for (uint32_t n = 1; n <= saga.step_count; n++) {
        if (kernel_saga_step(k, id, n, &step) && step.undo != 0)
            learn_task(m, k, step.undo, true, true);
    }
}

static void
learn_stack(struct model *m, const struct kernel *k, struct seen_region *r)
{
    struct asup_ref none = {0};
    struct asup_ref entry = kernel_stack_next(k, r->id, none);
    size_t first = r->stack_count;

    for (; entry.sort != ASUP_SORT_NONE; entry = kernel_stack_next(k, r->id, entry)) {
        stack_push(m, r, entry);
        if (entry.sort == ASUP_SORT_SAGA)
            learn_saga(m, k, entry.id);
        else
            learn_task(m, k, entry.id, true, false);
    }
    /* It was told from the top. */
    for (size_t a = first, b = r->stack_count; a + 1 < b; a++) {
        struct asup_ref swap = r->stack[a];

        r->stack[a] = r->stack[--b];
        r->stack[b] = swap;
    }
}

static void
learn_obligations(struct model *m, const struct kernel *k, struct seen_region *r)
{
    struct obligation_view v;
    uint64_t id = 0;

    while ((id = kernel_obligation_next(k, r->id, id)) != 0) {
        struct seen_obligation *o = idmap_add(&m->obligations, id);

        if (!kernel_obligation(k, id, &v))
            continue;
        o->region = r->id;
        o->holder = v.holder;
        o->kind = v.kind;
        obligation_learn(k, o);
        r->ledger[o->kind]++;
        if (id > m->obligation_last)
            m->obligation_last = id;
    }
}

static void
learn_region(struct model *m, const struct kernel *k, const struct region_view *v)
{
    struct seen_region *r = region_new(m, k, v->id, v->parent);
    struct reason_view reason;
    struct task_view t;
    uint64_t id = 0;

    r->learned = true;
    region_state(m, r, v->state);
    r->sealed = v->sealed;
    r->cancelled = v->cancelled;
    r->decided = v->decided;
    r->drain_end = v->drain_end;
    r->leaks = v->leaks;
    if (v->reason != 0 && kernel_reason(k, v->reason, &reason, 1) > 0)
        r->reason_kind = reason.key.kind;
    for (id = v->task_first; id != 0 && kernel_task(k, id, &t); id = t.next) {
        learn_task(m, k, id, false, false);
        r->tasks++;
        r->participants++;
    }
    learn_stack(m, k, r);
    learn_obligations(m, k, r);
    id = 0;
    while ((id = kernel_channel_next(k, v->id, id)) != 0)
        r->channels++;
}

static void
learn_holders(struct model *m, const struct kernel *k)
{
    size_t cursor = 0;
    struct seen_obligation *o;
    struct holder_view v;

    while ((o = idmap_next(&m->obligations, &cursor)) != NULL) {
        struct seen_task *t = o->holder.sort == ASUP_SORT_TASK ? model_task(m, o->holder.id) : NULL;

        if (t == NULL)
            continue;
        t->held++;
        if (kernel_holder(k, o->holder, &v)) {
            t->progress_at = v.progress_at;
            t->stuck = v.stuck;
        }
    }
}

static void
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

/* The tree from "/" down, children after their parent, without recursion. */
void
model_learn(struct model *m, const struct kernel *k)
{
    uint64_t at = ASUP_ROOT_ID;
    struct region_view v;
    struct session_view s;

    model_clear(m);
    while (at != 0 && kernel_region(k, at, &v)) {
        learn_region(m, k, &v);
        if (v.child_first != 0) {
            at = v.child_first;
            continue;
        }
        while (v.id != ASUP_ROOT_ID && v.sibling_next == 0 && kernel_region(k, v.parent, &v))
            ;
        at = v.id == ASUP_ROOT_ID ? 0 : v.sibling_next;
    }
    for (uint64_t id = kernel_session_next(k, 0); id != 0; id = kernel_session_next(k, id)) {
        struct seen_session *seen = idmap_add(&m->sessions, id);

        if (kernel_session(k, id, &s))
            seen->uid = s.uid;
    }
    learn_holders(m, k);
}

void
model_begin(struct model *m, const struct kernel *k)
{
    model_clear(m);
    (void)region_new(m, k, ASUP_ROOT_ID, 0);
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
