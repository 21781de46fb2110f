/* SPDX-License-Identifier: MIT */
/* The tree of regions, as a daemon tells it (region.tree). */
#include "lab/view.h"

#include <stdlib.h>

#include "client/ctl/text.h"

static json_t *
left(asup_time at, asup_time now)
{
    if (at == ASUP_NEVER)
        return json_null();
    return json_integer((json_int_t)(at > now ? at - now : 0));
}

static json_t *
view_budget(const struct asup_budget *b, uint32_t polls_spent, uint64_t cost_spent, asup_time now)
{
    json_t *to = json_pack("{s:o, s:i}", "limit_left_ns", left(b->limit_at, now), "priority",
                           (int)b->priority);

    if (b->poll_quota != UINT32_MAX)
        (void)json_object_set_new(
            to, "polls_left",
            json_integer(b->poll_quota > polls_spent ? b->poll_quota - polls_spent : 0));
    if (b->cost_quota != UINT64_MAX)
        (void)json_object_set_new(
            to, "cost_left",
            json_integer(
                (json_int_t)(b->cost_quota > cost_spent ? b->cost_quota - cost_spent : 0)));
    return to;
}

static json_t *
view_task(const struct kernel *k, const struct task_view *t, asup_time now)
{
    struct call_view call;
    struct bytes label = t->label;

    if (label.size == 0 && t->call && kernel_call(k, t->id, &call))
        label = call.name;
    return json_pack(
        "{s:o, s:o, s:o, s:s, s:b, s:b, s:i, s:o, s:b, s:I, s:o, s:o, s:o, s:o}", "id",
        view_id(ASUP_SORT_TASK, t->id), "region", view_id(ASUP_SORT_REGION, t->region), "label",
        view_text(label), "state", view_task_state(t->state), "finalizer", (int)t->finalizer,
        "call", (int)t->call, "owner", (int)t->uid, "pid",
        t->pid != 0 ? json_integer(t->pid) : json_null(), "ready", (int)(t->ready || !t->notify),
        "age_ns", (json_int_t)(now > t->created_at ? now - t->created_at : 0), "kill_left_ns",
        left(t->kill_at, now), "budget",
        view_budget(&t->budget, t->polls_spent, t->cost_spent, now), "reason",
        view_reason(k, t->reason), "outcome",
        view_outcome(k, t->has_outcome && t->state == ASUP_TASK_COMPLETED ? &t->outcome : NULL));
}

static json_t *
view_region(const struct kernel *k, const struct region_view *r, asup_time now)
{
    static const char *const policies[] = {
#define WORD(name, number, wire) [number] = (wire),
        ASUP_POLICY_LIST(WORD)
#undef WORD
    };
    uint64_t owed = 0;
    bool closed = r->state == ASUP_REGION_CLOSED;

    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
        owed += r->obligations[kind];
    return json_pack(
        "{s:o, s:o, s:o, s:s, s:s, s:i, s:i, s:b, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:i, s:I, "
        "s:i, s:i, s:I, s:i, s:i}",
        "id", view_id(ASUP_SORT_REGION, r->id), "name",
        r->id == ASUP_ROOT_ID ? json_string("/") : view_text(r->name), "path", view_path(k, r->id),
        "state", view_region_state(r->state), "policy",
        r->policy < ASUP_POLICY_COUNT ? policies[r->policy] : "unknown", "quorum", (int)r->quorum,
        "owner", (int)r->uid, "soft", (int)r->soft, "volatile", (int)r->is_volatile, "attached",
        view_id(ASUP_SORT_SESSION, r->session), "age_ns",
        (json_int_t)(now > r->opened_at ? now - r->opened_at : 0), "drain_left_ns",
        left(closed ? ASUP_NEVER : r->drain_end, now), "budget",
        view_budget(&r->budget, r->polls_spent, r->cost_spent, now), "reason",
        view_reason(k, r->reason), "outcome", view_outcome(k, r->has_outcome ? &r->outcome : NULL),
        "tasks_live", (int)r->tasks_live, "tasks_total", (json_int_t)r->tasks_total, "finalizers",
        (int)r->finalizers, "sagas", (int)r->sagas, "obligations", (json_int_t)owed, "leaks",
        (int)r->leaks, "unconsumed", (int)r->unconsumed);
}

/* The finalizer or compensation that runs: the list of tasks lacks it. */
static void
add_cleanup(const struct kernel *k, json_t *tasks, uint64_t region, asup_time now)
{
    struct saga_step_view step;
    struct saga_view saga;
    struct task_view t;

    for (struct asup_ref at = {0};
         (at = kernel_stack_next(k, region, at)).sort != ASUP_SORT_NONE;) {
        uint64_t task = at.sort == ASUP_SORT_TASK ? at.id : 0;

        if (at.sort == ASUP_SORT_SAGA && kernel_saga(k, at.id, &saga) &&
            saga.state == SAGA_COMPENSATING && kernel_saga_step(k, at.id, saga.step_at, &step))
            task = step.undo;
        if (task != 0 && kernel_task(k, task, &t) && t.start_ordered &&
            t.state != ASUP_TASK_COMPLETED)
            (void)json_array_append_new(tasks, view_task(k, &t, now));
    }
}

/* ---- What is retained, by the region that it was in ------------------------------------ */

struct kept {
    uint64_t in;
    struct asup_ref ref;
};

struct viewer {
    const struct kernel *k;
    asup_time now;
    struct kept *kept; /* in order of `in`, then of id */
    size_t kept_count;
};

static int
kept_order(const void *a, const void *b)
{
    const struct kept *x = a;
    const struct kept *y = b;

    if (x->in != y->in)
        return x->in < y->in ? -1 : 1;
    return (x->ref.id > y->ref.id) - (x->ref.id < y->ref.id);
}

static void
kept_gather(struct viewer *v)
{
    struct region_view r;
    struct task_view t;
    struct asup_ref ref;
    size_t room = 0;

    for (uint64_t cursor = 0; (cursor = kernel_retained_next(v->k, cursor, &ref)) != 0;) {
        uint64_t in = 0;

        if (ref.sort == ASUP_SORT_TASK && kernel_task(v->k, ref.id, &t))
            in = t.region;
        else if (ref.sort == ASUP_SORT_REGION && kernel_region(v->k, ref.id, &r))
            in = r.parent;
        if (v->kept_count == room) {
            room = room > 0 ? 2 * room : 64;
            v->kept = must_alloc(v->kept, room * sizeof v->kept[0]);
        }
        v->kept[v->kept_count++] = (struct kept){in, ref};
    }
    if (v->kept_count > 0)
        qsort(v->kept, v->kept_count, sizeof v->kept[0], kept_order);
}

/* The first one in that region. */
static size_t
kept_first(const struct viewer *v, uint64_t in)
{
    size_t low = 0;
    size_t high = v->kept_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (v->kept[middle].in < in)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* Depth is bounded by ASUP_DEPTH_MAX. */
static json_t *
view_node(const struct viewer *v, uint64_t region)
{
    const struct kernel *k = v->k;
    json_t *tasks;
    json_t *children;
    struct region_view r;
    struct region_view child;
    struct task_view t;
    json_t *node;

    if (!kernel_region(k, region, &r))
        return NULL;
    tasks = json_array();
    children = json_array();
    for (size_t i = kept_first(v, region); i < v->kept_count && v->kept[i].in == region; i++) {
        const struct asup_ref *ref = &v->kept[i].ref;

        if (ref->sort == ASUP_SORT_REGION)
            (void)json_array_append_new(children, view_node(v, ref->id));
        else if (kernel_task(k, ref->id, &t))
            (void)json_array_append_new(tasks, view_task(k, &t, v->now));
    }
    for (uint64_t id = r.task_first; id != 0 && kernel_task(k, id, &t); id = t.next)
        (void)json_array_append_new(tasks, view_task(k, &t, v->now));
    add_cleanup(k, tasks, region, v->now);
    for (uint64_t id = r.child_first; id != 0 && kernel_region(k, id, &child);
         id = child.sibling_next)
        (void)json_array_append_new(children, view_node(v, id));
    node = view_region(k, &r, v->now);
    (void)json_object_set_new(node, "tasks", tasks);
    (void)json_object_set_new(node, "children", children);
    return node;
}

json_t *
view_tree(const struct kernel *k, uint64_t region, asup_time now, bool all)
{
    struct viewer v = {.k = k, .now = now};
    json_t *node;

    if (all)
        kept_gather(&v);
    node = view_node(&v, region);
    free(v.kept);
    return node;
}
