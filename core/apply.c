/* SPDX-License-Identifier: MIT */
/* Applying an event: which part of the state it is for, and what all parts
 * share: reasons, outcomes, users, retention, lookups. */
#include "core/event.h"

/* A look at what was looked up last spares most walks through the index: the
 * inputs and events about one task come together. A record that is free has the id
 * of nothing, 0. */
uint32_t
region_of_id(const struct kernel *k, uint64_t id)
{
    uint32_t memo = k->region_memo;

    if (id != 0 && memo < k->regions.used && region_at(k, memo)->id == id)
        return memo;
    return index_find(&k->region_ids, id);
}

uint32_t
task_of_id(const struct kernel *k, uint64_t id)
{
    uint32_t memo = k->task_memo;

    if (id != 0 && memo < k->tasks.used && task_at(k, memo)->id == id)
        return memo;
    return index_find(&k->task_ids, id);
}

uint32_t
session_of_id(const struct kernel *k, uint64_t id)
{
    return index_find(&k->session_ids, id);
}

uint32_t
saga_of_id(const struct kernel *k, uint64_t id)
{
    return index_find(&k->saga.ids, id);
}

/* ---- Users --------------------------------------------------------------------- */

struct user *
user_find(const struct kernel *k, uint32_t uid)
{
    uint32_t i = index_find(&k->user_ids, (uint64_t)uid + 1);

    return i == NIL ? NULL : arena_at(&k->users, i);
}

struct user *
user_get(struct kernel *k, uint32_t uid)
{
    uint64_t key = (uint64_t)uid + 1;
    uint32_t i = k->user_memo;

    if (i < k->users.used && ((struct user *)arena_at(&k->users, i))->key == key)
        return arena_at(&k->users, i);
    i = index_find(&k->user_ids, key);
    if (i == NIL) {
        i = arena_take(&k->users, &k->allocator);
        ((struct user *)arena_at(&k->users, i))->key = key;
        index_add(&k->user_ids, &k->allocator, i);
    }
    k->user_memo = i;
    return arena_at(&k->users, i);
}

/* ---- Reasons, held by those whom they cancelled ------------------------------------ */

struct reason *
reason_find(const struct kernel *k, uint32_t handle)
{
    uint32_t i = handle == 0 ? NIL : index_find(&k->reason_handles, handle);

    return i == NIL ? NULL : arena_at(&k->reasons, i);
}

const struct reason *
reason_root(const struct kernel *k, uint32_t handle)
{
    const struct reason *r = reason_find(k, handle);

    while (r != NULL && r->cause != 0)
        r = reason_find(k, r->cause);
    return r;
}

struct asup_reason_key
reason_key(const struct reason *r)
{
    return (struct asup_reason_key){.kind = r->kind, .at = r->at, .origin = r->origin};
}

/* A reason without a holder lets go of its cause at once, but outlives the step:
 * events of it may still name it. Held again meanwhile, it holds its cause
 * again. Chains are walked without recursion. */
uint32_t
reason_hold(struct kernel *k, uint32_t handle)
{
    struct reason *r = reason_find(k, handle);

    while (r != NULL && r->refs++ == 0)
        r = r->fresh ? NULL : reason_find(k, r->cause);
    return handle;
}

static void
reason_free(struct kernel *k, uint32_t i)
{
    heap_drop(&k->heap, &k->allocator, ((struct reason *)arena_at(&k->reasons, i))->message);
    index_drop(&k->reason_handles, i);
    arena_give(&k->reasons, i);
}

void
reason_release(struct kernel *k, uint32_t handle)
{
    while (handle != 0) {
        uint32_t i = index_find(&k->reason_handles, handle);
        struct reason *r;

        must(i != NIL);
        r = arena_at(&k->reasons, i);
        must(r->refs > 0);
        if (--r->refs > 0)
            return;
        handle = r->cause;
        r->fresh = false;
        if (!k->stepping) {
            reason_free(k, i);
        } else if (!r->dying) {
            r->dying = true;
            r->dying_next = k->dying_first;
            k->dying_first = i;
        }
    }
}

void
reason_sweep(struct kernel *k)
{
    while (k->dying_first != NIL) {
        uint32_t i = k->dying_first;
        struct reason *r = arena_at(&k->reasons, i);

        k->dying_first = r->dying_next;
        r->dying = false;
        if (r->refs == 0)
            reason_free(k, i);
    }
}

void
reason_make(struct kernel *k, const struct event *ev, const struct reason_payload *p)
{
    uint32_t i;
    struct reason *r;

    if (!p->is_new)
        return;
    i = arena_take(&k->reasons, &k->allocator);
    r = arena_at(&k->reasons, i);
    r->handle = ev->reason;
    r->at = p->key.at;
    r->kind = p->key.kind;
    r->origin = p->key.origin;
    r->origin_sort = p->origin_sort;
    r->durable = ev->durable;
    r->cause = reason_hold(k, p->cause);
    r->fresh = true; /* it holds its cause already */
    r->message = heap_put(&k->heap, &k->allocator, ev->text);
    index_add(&k->reason_handles, &k->allocator, i);
    k->reason_next = ev->reason + 1;
}

/* Handles come round again after 2^32, and after a fold that knows less than was made; those of
 * before may still be held. Decided here and told by the event: who applies it does not search,
 * since what nobody holds goes at the end of a step, or at once (R-EVT-1). */
uint32_t
reason_handle(const struct kernel *k)
{
    uint32_t handle = k->reason_next;

    while (handle == 0 || reason_find(k, handle) != NULL)
        handle++;
    return handle;
}

void
reason_made(struct kernel *k, const struct event *ev)
{
    struct reason *r = reason_find(k, ev->reason);

    if (r == NULL)
        reason_make(k, ev, ev->payload);
    else
        r->durable = true;
}

/* ---- Outcomes ------------------------------------------------------------------------ */

void
outcome_replace(struct kernel *k, struct kernel_outcome *to, uint8_t *has,
                const struct kernel_outcome *from)
{
    uint32_t old = *has ? to->reason : 0;

    (void)reason_hold(k, from->reason);
    *to = *from;
    *has = 1;
    reason_release(k, old);
}

/* R-OUT-1 */
void
outcome_combine(struct kernel *k, struct kernel_outcome *to, uint8_t *has,
                const struct kernel_outcome *from)
{
    if (!*has || asup_outcome_worse(&from->key, &to->key))
        outcome_replace(k, to, has, from);
}

struct kernel_outcome
task_outcome(const struct task *t)
{
    struct kernel_outcome o = {
        .key = {.severity = t->end.severity, .at = t->end.at, .origin = t->id},
        .origin_sort = ASUP_SORT_TASK,
        .forced = (t->flags & TASK_FORCED) != 0,
        .lost = (t->flags & TASK_LOST) != 0,
        .exit_code = t->end.exit_code,
        .signal = t->end.signal,
        .error = t->end.error,
        .reason = t->end.reason,
        .wall_ns = (t->flags & TASK_STARTED) != 0 ? t->end.at - t->started_at : 0,
        .cpu_ns = t->end.cpu_ns,
        .memory_peak = t->end.memory_peak,
    };

    task_stage(t, o.stage);
    return o;
}

/* ---- Retention (R-TSK-6): one list, oldest first --------------------------------------- */

static uint32_t *
next_of(struct kernel *k, uint32_t link)
{
    return (link & 1) != 0 ? &region_at(k, link >> 1)->next : &task_at(k, link >> 1)->next;
}

static uint32_t *
prev_of(struct kernel *k, uint32_t link)
{
    return (link & 1) != 0 ? &region_at(k, link >> 1)->prev : &task_at(k, link >> 1)->prev;
}

/* Two lists: the retained, forgotten when their time is over or there are too
 * many; and those that an idempotency key keeps, or that something so kept is
 * in. What is kept no longer becomes the youngest of the retained, and then
 * what it was in: so nothing is forgotten before what it holds. */
struct list_ends {
    uint32_t *first, *last, *count;
};

static struct list_ends
list_of(struct kernel *k, bool kept)
{
    if (kept)
        return (struct list_ends){&k->kept_first, &k->kept_last, &k->kept_count};
    return (struct list_ends){&k->retained_first, &k->retained_last, &k->retained_count};
}

static bool
is_kept(const struct kernel *k, uint32_t index, bool is_region)
{
    return is_region ? (region_at(k, index)->flags & REGION_KEPT) != 0
                     : (task_at(k, index)->flags & TASK_KEPT) != 0;
}

static bool
to_be_kept(const struct kernel *k, uint32_t index, bool is_region)
{
    if (!is_region)
        return (task_at(k, index)->flags & TASK_KEYED) != 0;
    return (region_at(k, index)->flags & REGION_KEYED) != 0 || region_at(k, index)->kept > 0;
}

/* Mark it, and count it in what it is in. */
static void
set_kept(struct kernel *k, uint32_t index, bool is_region, bool kept)
{
    uint32_t in = is_region ? region_at(k, index)->parent : task_at(k, index)->region;
    uint32_t *flags = is_region ? &region_at(k, index)->flags : &task_at(k, index)->flags;
    uint32_t flag = is_region ? REGION_KEPT : TASK_KEPT;

    *flags = kept ? *flags | flag : *flags & ~flag;
    if (in != NIL && kept)
        region_at(k, in)->kept++;
    else if (in != NIL)
        region_at(k, in)->kept--;
}

void
retained_push(struct kernel *k, uint32_t index, bool is_region)
{
    uint32_t link = retained_link(index, is_region);
    bool kept = to_be_kept(k, index, is_region);
    struct list_ends ends = list_of(k, kept);

    if (kept)
        set_kept(k, index, is_region, true);
    *next_of(k, link) = NIL;
    *prev_of(k, link) = *ends.last;
    if (*ends.last != NIL)
        *next_of(k, *ends.last) = link;
    else
        *ends.first = link;
    *ends.last = link;
    ++*ends.count;
}

void
retained_remove(struct kernel *k, uint32_t index, bool is_region)
{
    uint32_t link = retained_link(index, is_region);
    uint32_t next = *next_of(k, link);
    uint32_t prev = *prev_of(k, link);
    bool kept = is_kept(k, index, is_region);
    struct list_ends ends = list_of(k, kept);

    if (prev != NIL)
        *next_of(k, prev) = next;
    else
        *ends.first = next;
    if (next != NIL)
        *prev_of(k, next) = prev;
    else
        *ends.last = prev;
    --*ends.count;
    if (kept)
        set_kept(k, index, is_region, false);
}

void
retained_let_go(struct kernel *k, uint32_t index, bool is_region)
{
    while (index != NIL && is_kept(k, index, is_region) && !to_be_kept(k, index, is_region)) {
        uint32_t in = is_region ? region_at(k, index)->parent : task_at(k, index)->region;

        retained_remove(k, index, is_region);
        retained_push(k, index, is_region);
        index = in;
        is_region = true;
    }
}

/* ---- The fold --------------------------------------------------------------------------- */

static void
apply_config(struct kernel *k, const struct event *ev)
{
    must(ev->payload_size == sizeof k->config);
    memcpy(&k->config, ev->payload, sizeof k->config);
    k->cancel_run = k->timed_run = 0;
    sessions_trim(k);
    holders_rearm(k);
}

void
kernel_apply(struct kernel *k, const struct event *ev)
{
    must(ev->seq > k->event_seq); /* volatile ones are missing in a journal */
    k->event_seq = ev->seq;
    k->event_at = ev->at;
    if (ev->durable)
        k->durable_seq = ev->seq;
    if (k->now < ev->at)
        k->now = ev->at;
    switch (ev->kind) {
    case EV_CONFIG:
        apply_config(k, ev);
        break;
    case EV_TICK:
        break;
    case EV_JOURNAL_STATE:
        k->journal_failed = ev->value != 0;
        break;
    case EV_RESUMED:
        apply_resumed(k, ev);
        break;
    case EV_REASON_MADE:
        reason_made(k, ev);
        break;
    case EV_SESSION_OPENED:
    case EV_SESSION_LOST:
    case EV_SESSION_ATTACHED:
    case EV_SESSION_ENDED:
    case EV_REQUEST_BOUND:
    case EV_REQUEST_PART_BOUND:
        apply_session(k, ev);
        break;
    case EV_REGION_OPENED:
    case EV_REGION_SEALED:
    case EV_REGION_CANCEL_REQUESTED:
    case EV_REGION_DECIDED:
    case EV_REGION_DRAINING:
    case EV_REGION_FINALIZING:
    case EV_REGION_SWEEP_ORDERED:
    case EV_REGION_SWEEP_FAILED:
    case EV_REGION_CLOSED:
    case EV_REGION_CLOSE_TIMEOUT:
    case EV_REGION_OVERCOMMITTED:
    case EV_REGION_DRAIN_ENDED:
    case EV_REGION_FORGOTTEN:
    case EV_REGION_CHARGED:
    case EV_REGION_LOST:
    case EV_REGION_REOPENED:
        apply_region(k, ev);
        break;
    case EV_CHANNEL_OPENED:
    case EV_CHANNEL_SEALED:
    case EV_CHANNEL_CLOSED:
    case EV_MESSAGE_SENT:
    case EV_MESSAGE_RECEIVED:
    case EV_MESSAGE_CONSUMED:
    case EV_MESSAGE_RETURNED:
    case EV_MESSAGE_DEAD:
    case EV_MESSAGE_RETRIED:
    case EV_MESSAGE_DISCARDED:
        apply_channel(k, ev);
        break;
    case EV_OBLIGATION_RESERVED:
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
    case EV_OBLIGATION_TRANSFERRED:
    case EV_OBLIGATION_RENEWED:
    case EV_FUTURELOCK:
    case EV_LEASE_GRANTED:
    case EV_LEASE_ENDED:
    case EV_LEASE_FREE:
        apply_obligation(k, ev);
        break;
    case EV_KEY_BOUND:
    case EV_KEY_COMPLETED:
    case EV_KEY_FORGOTTEN:
        apply_key(k, ev);
        break;
    case EV_CAPABILITY_GRANTED:
    case EV_CAPABILITY_REVOKED:
    case EV_CAPABILITY_DEAD:
        apply_capability(k, ev);
        break;
    case EV_TASK_CREATED:
    case EV_FINALIZER_REGISTERED:
        apply_created(k, ev);
        break;
    case EV_SAGA_BEGUN:
    case EV_SAGA_STEP_BEGUN:
    case EV_SAGA_STEP_DONE:
    case EV_SAGA_STEP_FAILED:
    case EV_SAGA_COMPENSATING:
    case EV_SAGA_STEP_UNDOING:
    case EV_SAGA_STEP_UNDONE:
    case EV_SAGA_NEEDS_ATTENTION:
    case EV_SAGA_RESOLVED:
    case EV_SAGA_ENDED:
    case EV_SAGA_FORGOTTEN:
        apply_saga(k, ev);
        break;
    case EV_WORKER_OFFERED:
    case EV_WORKER_SEEN:
    case EV_WORKER_WITHDRAWN:
    case EV_WORKER_DRAINED:
    case EV_WORKER_LOST:
    case EV_CALL_TAKEN:
    case EV_CALL_STARTED:
    case EV_CALL_GIVEN_BACK:
    case EV_CALL_RETRIED:
        apply_call(k, ev);
        break;
    default:
        apply_task(k, ev);
        break;
    }
}
