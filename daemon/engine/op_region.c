/* SPDX-License-Identifier: MIT */
/* region.open, close, wait, stat, tree. */
#include <stdio.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/call.h"
#include "daemon/engine/waits.h"

/* ---- Open and close --------------------------------------------------------------- */

int
input_region_open(struct call *c, struct input *in)
{
    const struct args_region_open *a = &c->args->region_open;
    struct task_params *finalizers = NULL;
    struct region_view parent;
    int rc;

    if ((rc = call_region(c, &a->parent, "parent", &parent)) != 0)
        return rc;
    *in = (struct input){.kind = IN_REGION_OPEN, .region = parent.id};
    in->u.region_open = (struct region_params){
        .name = {.data = a->name.data, .size = a->name.size},
        .drain_ns = a->drain_ns,
        .policy = (uint8_t)a->policy,
        .quorum = (uint32_t)a->quorum,
        .tasks_max = (uint32_t)a->tasks_max,
        .children_max = (uint32_t)a->children_max,
        .soft = a->soft,
        .strict = a->strict,
        .is_volatile = a->is_volatile,
        .is_durable = a->is_durable,
        .attach = a->attach,
        .finalizer_count = a->finalizers.count,
    };
    if (a->attach && !c->session)
        return call_fail(c, -ASUP_EINVALID, "attach", "connect with a session, not without one",
                         "only a session can have a region attached");
    if (a->policy == ASUP_POLICY_QUORUM ? a->quorum == 0 : a->quorum != 0)
        return call_fail(c, -ASUP_EINVALID, "quorum", "the two belong together",
                         a->quorum ? "a quorum is given, but the policy is not quorum"
                                   : "the policy quorum needs how many Oks decide");
    if ((rc = call_budget(c, &a->budget, &in->u.region_open.budget)) != 0)
        return rc;
    if (a->finalizers.count) {
        finalizers = proto_memory_take(c->engine->memory, a->finalizers.count * sizeof *finalizers);
        if (!finalizers)
            return call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory for the finalizers");
    }
    for (uint32_t i = 0; i < a->finalizers.count; i++) {
        char field[32];
        snprintf(field, sizeof field, "finalizers[%u]", i);
        if ((rc = call_process(c, &a->finalizers.items[i], field, &finalizers[i])) != 0)
            return rc;
    }
    in->u.region_open.finalizers = finalizers;
    return 0;
}

static void
write_advice(struct proto_writer *w, const char *advice)
{
    if (!advice || !*advice)
        return;
    pw_key(w, "advice");
    pw_str(w, advice);
}

void
body_of_region_open(struct call *c, uint64_t id, const char *advice)
{
    char path[REGION_PATH_SIZE];

    pw_map(c->w);
    pw_key(c->w, "region");
    pw_id(c->w, ASUP_SORT_REGION, id);
    pw_key(c->w, "path");
    pw_text(c->w, path, region_path(c->engine->kernel, id, path, sizeof path));
    write_advice(c->w, advice);
    pw_end(c->w);
}

int
op_region_open(struct call *c)
{
    struct input in;
    struct answer answer;
    int rc;

    if ((rc = input_region_open(c, &in)) != 0)
        return rc;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    body_of_region_open(c, answer.made.id, answer.detail);
    return 0;
}

int
input_region_close(struct call *c, struct input *in)
{
    const struct args_region_close *a = &c->args->region_close;
    struct region_view region;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    *in = (struct input){.kind = IN_REGION_END, .region = region.id};
    in->u.end = (struct region_end_params){
        .mode = (uint8_t)a->mode,
        .drain_ns = a->drain_ns,
        .message = {.data = a->message.data, .size = a->message.size},
    };
    return 0;
}

void
body_of_region_close(struct call *c, uint64_t id)
{
    struct region_view region;

    pw_map(c->w);
    pw_key(c->w, "region");
    pw_id(c->w, ASUP_SORT_REGION, id);
    pw_key(c->w, "state");
    pw_str(c->w, kernel_region(c->engine->kernel, id, &region) ? region_state_name(region.state)
                                                               : "closed");
    pw_end(c->w);
}

int
op_region_close(struct call *c)
{
    struct input in;
    struct answer answer;
    int rc;

    if ((rc = input_region_close(c, &in)) != 0)
        return rc;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    body_of_region_close(c, in.region);
    return 0;
}

/* ---- Wait and stat ------------------------------------------------------------------ */

int
op_region_wait(struct call *c)
{
    const struct args_region_wait *a = &c->args->region_wait;
    struct region_view region;
    struct answer answer;
    struct parked *parked;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    if ((rc = waits_park(c, PARKED_REGION, region.id, 0, &parked)) != CALL_PARKED)
        return rc;
    struct input in = {
        .kind = IN_WAIT,
        .region = region.id,
        .token = exchange_token(c->exchange),
        .u.wait = {.timeout_ns = a->timeout_ns, .until = WAIT_FINISHED, .on_region = true}};
    call_ask(c, &in, &answer);
    if (!answer.given)
        return CALL_PARKED;
    waits_unpark(parked);
    if (answer.code != 0)
        return call_refused(c, &answer);
    if ((rc = call_region(c, &(struct proto_target){.ref = {.id = region.id}}, "region",
                          &region)) != 0)
        return rc;
    body_region_closed(c->w, c->engine, &region);
    return 0;
}

int
op_region_stat(struct call *c)
{
    struct region_view region;
    int rc;

    if ((rc = call_region(c, &c->args->region_stat.region, "region", &region)) != 0)
        return rc;
    body_region(c->w, c->engine, &region);
    return 0;
}

/* ---- Tree ----------------------------------------------------------------------------- */

/* What has ended stands among the retained, in order of ending; for a tree it
 * is sorted out once, as rings by the region it belonged to. A map holds the
 * last of each ring, whose next is the first. */
struct retained {
    struct idmap children; /* region -> struct retained_item, closed regions */
    struct idmap tasks;    /* region -> struct retained_item, completed tasks */
};

struct retained_item {
    uint64_t id;
    struct retained_item *next;
};

/* The next of a ring: begin with NULL; NULL at the end. */
static const struct retained_item *
retained_step(const struct retained_item *last, const struct retained_item *at)
{
    if (!last || at == last)
        return NULL;
    return at ? at->next : last->next;
}

static bool
retained_add(struct call *c, struct idmap *map, uint64_t region, uint64_t id)
{
    struct retained_item *item = proto_memory_take(c->engine->memory, sizeof *item);

    if (!item)
        return false;
    struct retained_item *last = idmap_get(map, region);
    *item = (struct retained_item){.id = id, .next = last ? last->next : item};
    if (last)
        last->next = item;
    return idmap_put(map, region, item);
}

static bool
retained_collect(struct call *c, struct retained *r)
{
    const struct kernel *k = c->engine->kernel;
    struct asup_ref ref;
    uint64_t cursor = 0;
    bool good = true;

    while (good && (cursor = kernel_retained_next(k, cursor, &ref)) != 0) {
        struct region_view region;
        struct task_view task;
        if (ref.sort == ASUP_SORT_REGION && kernel_region(k, ref.id, &region) &&
            call_sees(c, ref.id, region.uid))
            good = retained_add(c, &r->children, region.parent, ref.id);
        else if (ref.sort == ASUP_SORT_TASK && kernel_task(k, ref.id, &task) &&
                 call_sees(c, task.region, task.uid))
            good = retained_add(c, &r->tasks, task.region, ref.id);
    }
    return good;
}

static void
write_tasks(struct call *c, const struct region_view *region, const struct retained *retained)
{
    struct engine *e = c->engine;
    struct task_view task;

    pw_key(c->w, "tasks");
    pw_list(c->w);
    for (uint64_t id = region->task_first; id && kernel_task(e->kernel, id, &task);
         id = task.next) {
        if (call_sees(c, task.region, task.uid))
            body_task(c->w, e, &task);
    }
    for (struct asup_ref at = {0}; running_cleanup(e->kernel, region, &at, &task);) {
        if (call_sees(c, task.region, task.uid))
            body_task(c->w, e, &task);
    }
    const struct retained_item *last = idmap_get(&retained->tasks, region->id);
    for (const struct retained_item *i = NULL; (i = retained_step(last, i)) != NULL;) {
        if (kernel_task(e->kernel, i->id, &task))
            body_task(c->w, e, &task);
    }
    pw_end(c->w);
}

/* Depth first with a stack of our own: a region's map stays open while its
 * children are written. */
struct level {
    uint64_t live_next;                     /* next live child */
    const struct retained_item *ended_last; /* then those that have ended */
    const struct retained_item *ended_at;
};

static void
enter(struct call *c, const struct region_view *region, const struct retained *retained,
      bool children, struct level *level)
{
    body_region_open(c->w, c->engine, region);
    write_tasks(c, region, retained);
    pw_key(c->w, "children");
    pw_list(c->w);
    *level = (struct level){0};
    if (children) {
        level->live_next = region->child_first;
        level->ended_last = idmap_get(&retained->children, region->id);
    }
}

/* The next child at this level that the caller may see. */
static bool
next_child(struct call *c, struct level *level, struct region_view *out)
{
    const struct kernel *k = c->engine->kernel;

    while (level->live_next && kernel_region(k, level->live_next, out)) {
        level->live_next = out->sibling_next;
        if (call_sees(c, out->id, out->uid))
            return true;
    }
    while ((level->ended_at = retained_step(level->ended_last, level->ended_at)) != NULL) {
        if (kernel_region(k, level->ended_at->id, out))
            return true;
    }
    level->ended_last = NULL;
    return false;
}

int
op_region_tree(struct call *c)
{
    const struct args_region_tree *a = &c->args->region_tree;
    struct retained retained = {0};
    struct level levels[ASUP_DEPTH_MAX + 2];
    struct region_view region;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    if (a->all && !retained_collect(c, &retained)) {
        rc = call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory for what has ended");
        goto out;
    }
    size_t depth = 0;
    enter(c, &region, &retained, a->depth > 0, &levels[0]);
    for (;;) {
        if (depth <= ASUP_DEPTH_MAX && next_child(c, &levels[depth], &region)) {
            depth++;
            enter(c, &region, &retained, depth < a->depth, &levels[depth]);
            continue;
        }
        pw_end(c->w); /* children */
        pw_end(c->w); /* the region */
        if (depth == 0)
            break;
        depth--;
    }
out:
    idmap_fini(&retained.children);
    idmap_fini(&retained.tasks);
    return rc;
}
