/* SPDX-License-Identifier: MIT */
/* Read only: what listings, `why` and replies are made of. */
#include "core/decide.h"

void
kernel_counts(const struct kernel *k, struct kernel_counts *out)
{
    *out = (struct kernel_counts){
        .sessions = arena_live(&k->sessions),
        .waits = arena_live(&k->waits),
        .retained = k->retained_count,
        .bytes = k->heap.size,
        .draining = k->regions_in[ASUP_REGION_CLOSING] + k->regions_in[ASUP_REGION_DRAINING] +
                    k->regions_in[ASUP_REGION_FINALIZING],
        .sagas = k->saga.live,
        .sagas_undoing = k->saga.undoing,
        .sagas_attention = k->saga.attention,
    };
    for (unsigned s = 0; s < ASUP_REGION_CLOSED; s++)
        out->regions += k->regions_in[s];
    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++) {
        out->tasks += k->tasks_in[s];
        if (s != ASUP_TASK_CREATED)
            out->running += k->tasks_in[s];
    }
    memcpy(out->obligations, k->obligations.in_kind, sizeof out->obligations);
    channel_counts(k, out);
    out->leases = arena_live(&k->obligations.leases);
    out->stuck = k->obligations.stuck;
    out->leaked = k->obligations.leaked;
}

const struct kernel_config *
kernel_configuration(const struct kernel *k)
{
    return &k->config;
}

uint64_t
kernel_id_last(const struct kernel *k)
{
    uint64_t next = k->task_id_next;

    if (next < k->region_id_next)
        next = k->region_id_next;
    if (next < k->session_id_next)
        next = k->session_id_next;
    if (next < k->saga.id_next)
        next = k->saga.id_next;
    if (next < k->obligations.id_next)
        next = k->obligations.id_next;
    if (next <= channel_id_last(k))
        next = channel_id_last(k) + 1;
    if (next < k->capabilities.id_next)
        next = k->capabilities.id_next;
    return next - 1;
}

/* R-SCH-3: what stands between here and quiescence. */
uint64_t
kernel_potential(const struct kernel *k)
{
    uint64_t v = k->stack_entries + k->saga.weight;

    if (!PLANTED(POTENTIAL))
        v += arena_live(&k->obligations.records);

    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++)
        v += (uint64_t)k->tasks_in[s] * (ASUP_TASK_COMPLETED - s);
    for (unsigned s = 0; s < ASUP_REGION_CLOSED; s++)
        v += (uint64_t)k->regions_in[s] * (ASUP_REGION_CLOSED - s);
    return v - (uint64_t)(ASUP_REGION_CLOSED - region_at(k, k->root)->state);
}

/* ---- Views -------------------------------------------------------------------------- */

static uint64_t
region_id(const struct kernel *k, uint32_t i)
{
    return i == NIL ? 0 : region_at(k, i)->id;
}

static uint64_t
task_id(const struct kernel *k, uint32_t i)
{
    return i == NIL ? 0 : task_at(k, i)->id;
}

bool
kernel_region(const struct kernel *k, uint64_t id, struct region_view *out)
{
    uint32_t i = id == 0 ? NIL : region_of_id(k, id);
    const struct region *r;

    if (i == NIL)
        return false;
    r = region_at(k, i);
    *out = (struct region_view){
        .id = r->id,
        .parent = 0,
        .child_first = region_id(k, r->child_first),
        .sibling_next = region_live(r) ? region_id(k, r->next) : 0,
        .task_first = task_id(k, r->task_first),
        .finalizer_top = stack_finalizer(k, r->stack_top),
        .sagas = r->sagas,
        .sagas_running = r->sagas_running,
        .sagas_undoing = r->sagas_undoing,
        .sagas_attention = r->sagas_attention,
        .session = r->session == NIL ? 0 : session_at(k, r->session)->id,
        .name = heap_get(&k->heap, r->name),
        .uid = r->uid,
        .depth = r->depth,
        .state = r->state,
        .policy = r->policy,
        .quorum = r->quorum,
        .sealed = (r->flags & REGION_SEALED) != 0,
        .cancelled = (r->flags & REGION_CANCELLED) != 0,
        .soft = (r->flags & REGION_SOFT) != 0,
        .shutdown = reason_root(k, r->reason) != NULL &&
                    reason_root(k, r->reason)->kind == ASUP_CANCEL_SHUTDOWN,
        .decided = (r->flags & REGION_DECIDED) != 0,
        .is_volatile = (r->flags & REGION_VOLATILE) != 0,
        .close_timeout = (r->flags & REGION_CLOSE_TIMEOUT) != 0,
        .sweep_error = r->sweep_error,
        .budget = {.limit_at = r->limit_at,
                   .limit_kind = r->limit_kind,
                   .priority = r->priority,
                   .poll_quota = r->poll_quota,
                   .cost_quota = r->cost_quota},
        .polls_spent = r->polls_spent,
        .cost_spent = r->cost_spent,
        .drain_ns = r->drain_ns,
        .opened_at = r->opened_at,
        .closed_at = r->closed_at,
        .drain_end = r->drain_end,
        .close_by = r->close_by,
        .tasks_live = r->tasks_live,
        .children_live = r->children_live,
        .finalizers = r->finalizers,
        .tasks_total = r->tasks_total,
        .leaks = r->leaks,
        .strict = (r->flags & REGION_STRICT) != 0,
        .unconsumed = r->unconsumed,
        .reason = r->reason,
        .has_outcome = !region_live(r),
    };
    if (r->parent_id != 0)
        out->parent = r->parent_id;
    memcpy(out->obligations, r->ledger, sizeof out->obligations);
    if (out->has_outcome)
        out->outcome = r->acc;
    return true;
}

/* The task's own budget met with that of every region above it (R-BUD-2). */
static struct asup_budget
effective_budget(const struct kernel *k, const struct task *t, struct asup_budget budget)
{
    if (!task_live(t))
        return budget;
    for (uint32_t at = t->region; at != NIL; at = region_at(k, at)->parent) {
        const struct region *r = region_at(k, at);
        struct asup_budget inherited = {.limit_at = r->limit_at,
                                        .limit_kind = r->limit_kind,
                                        .priority = r->priority,
                                        .poll_quota = r->poll_quota,
                                        .cost_quota = r->cost_quota};

        budget = asup_budget_meet(&budget, &inherited);
    }
    return budget;
}

bool
kernel_task(const struct kernel *k, uint64_t id, struct task_view *out)
{
    uint32_t i = id == 0 ? NIL : task_of_id(k, id);
    const struct task *t;
    bool finalizer;

    if (i == NIL)
        return false;
    t = task_at(k, i);
    finalizer = (t->flags & TASK_FINALIZER) != 0;
    *out = (struct task_view){
        .id = t->id,
        .region = region_at(k, t->region)->id,
        .next = 0,
        .label = task_label(k, t),
        .uid = t->uid,
        .run_uid = t->run_uid,
        .pid = task_is_call(t) ? 0 : t->pid,
        .call = task_is_call(t),
        .state = t->state,
        .finalizer = finalizer,
        .start_ordered = (t->flags & TASK_ORDERED) != 0,
        .started = (t->flags & TASK_STARTED) != 0,
        .ready = (t->flags & TASK_READY) != 0,
        .notify = (t->flags & TASK_NOTIFY) != 0,
        .main_ended = (t->flags & TASK_ENDED) != 0,
        .escalated = (t->flags & TASK_ESCALATED) != 0,
        .unkillable = task_live(t) && (t->flags & TASK_UNKILLABLE) != 0,
        .created_at = t->created_at,
        .started_at = t->started_at,
        .ended_at = task_live(t) ? 0 : t->kill_at,
        .due_at = (t->flags & (TASK_DELAYED | TASK_ENDED)) == TASK_DELAYED ? t->run.due_at : 0,
        .budget = {.limit_at = finalizer ? ASUP_NEVER : t->limit_at,
                   .limit_kind = t->limit_kind,
                   .priority = t->priority,
                   .poll_quota = t->poll_quota,
                   .cost_quota = t->cost_quota},
        .polls_spent = t->polls_spent,
        .cost_spent = t->cost_spent,
        .mask_depth = (t->flags & TASK_ENDED) == 0 ? t->run.mask_depth : 0,
        .mask_left = (t->flags & TASK_ENDED) == 0 ? t->run.mask_left : 0,
        .kill_at = task_live(t) && (t->flags & TASK_ESCALATED) == 0 ? t->kill_at : ASUP_NEVER,
        .slack_ns = ASUP_NEVER,
        .log_lost = t->log_lost,
        .reason = t->reason,
        .has_outcome = (t->flags & TASK_ENDED) != 0,
    };
    if (task_live(t) && t->next != NIL)
        out->next = finalizer ? stack_finalizer(k, t->next) : task_id(k, t->next);
    out->effective = finalizer ? out->budget : effective_budget(k, t, out->budget);
    if (task_live(t) && out->effective.limit_at != ASUP_NEVER)
        out->slack_ns = out->effective.limit_at > k->now ? out->effective.limit_at - k->now : 0;
    if (out->has_outcome)
        out->outcome = task_outcome(t);
    return true;
}

bool
kernel_session(const struct kernel *k, uint64_t id, struct session_view *out)
{
    uint32_t i = id == 0 ? NIL : session_of_id(k, id);
    const struct session *s;

    if (i == NIL)
        return false;
    s = session_at(k, i);
    *out = (struct session_view){
        .id = s->id,
        .uid = s->uid,
        .pid = s->pid,
        .connected = s->connected,
        .ttl_ns = s->ttl_ns,
        .expires_at = s->expires_at,
        .regions = s->attached,
    };
    memcpy(out->secret_digest, s->secret_digest, sizeof out->secret_digest);
    return true;
}

uint64_t
kernel_session_next(const struct kernel *k, uint64_t id)
{
    uint32_t i = id == 0 ? NIL : session_of_id(k, id);

    for (i = i == NIL ? 0 : i + 1; i < k->sessions.used; i++) {
        if (session_at(k, i)->id != 0)
            return session_at(k, i)->id;
    }
    return 0;
}

uint64_t
kernel_find(const struct kernel *k, uint64_t parent, uint32_t uid, struct bytes name)
{
    uint64_t key = region_name_key(parent, name);
    bool root_asks = uid == 0 || uid == k->config.root_uid;
    uint64_t other = 0;
    uint32_t others = 0;
    uint32_t cursor;

    for (uint32_t i = index_first(&k->names, key, &cursor); i != NIL;
         i = index_next(&k->names, key, &cursor)) {
        const struct region *r = region_at(k, i);
        struct bytes its = heap_get(&k->heap, r->name);

        if (r->parent_id != parent || its.size != name.size ||
            memcmp(its.data, name.data, name.size) != 0)
            continue;
        if (parent != ASUP_ROOT_ID || r->uid == uid)
            return r->id;
        other = r->id;
        others++;
    }
    return root_asks && others == 1 ? other : 0;
}

size_t
kernel_reason(const struct kernel *k, uint32_t reason, struct reason_view *out, size_t max)
{
    size_t count = 0;

    for (const struct reason *r = reason_find(k, reason); r != NULL; r = reason_find(k, r->cause)) {
        if (count < max)
            out[count] = (struct reason_view){.key = reason_key(r),
                                              .origin_sort = r->origin_sort,
                                              .message = heap_get(&k->heap, r->message)};
        count++;
    }
    return count;
}

uint64_t
kernel_retained_next(const struct kernel *k, uint64_t cursor, struct asup_ref *out)
{
    uint32_t link = k->retained_first;
    bool kept = false;

    if (cursor != 0) {
        uint32_t at = (uint32_t)(cursor - 1);
        bool is_region = (at & 1) != 0;

        link = is_region ? region_at(k, at >> 1)->next : task_at(k, at >> 1)->next;
        kept = is_region ? (region_at(k, at >> 1)->flags & REGION_KEPT) != 0
                         : (task_at(k, at >> 1)->flags & TASK_KEPT) != 0;
    }
    /* Then those that a key keeps. */
    if (link == NIL && !kept)
        link = k->kept_first;
    if (link == NIL)
        return 0;
    *out = (link & 1) != 0
               ? (struct asup_ref){.id = region_at(k, link >> 1)->id, .sort = ASUP_SORT_REGION}
               : (struct asup_ref){.id = task_at(k, link >> 1)->id, .sort = ASUP_SORT_TASK};
    return (uint64_t)link + 1;
}

/* R-BUD-4: at each level the child whose cleanup takes longest. */
size_t
kernel_critical_path(const struct kernel *k, uint64_t region, uint64_t *out, size_t max)
{
    uint32_t at = region == 0 ? NIL : region_of_id(k, region);
    size_t count = 0;

    while (at != NIL && region_live(region_at(k, at))) {
        uint32_t longest = NIL;
        uint64_t most = 0;

        if (count < max)
            out[count] = region_at(k, at)->id;
        count++;
        for (uint32_t c = region_at(k, at)->child_first; c != NIL; c = region_at(k, c)->next) {
            uint64_t p = cleanup_ns(k, c);

            if (longest == NIL || p > most) {
                longest = c;
                most = p;
            }
        }
        at = longest;
    }
    return count;
}
