/* SPDX-License-Identifier: MIT */
/*
 * Faults have stopped: what is cancelled must end (the second phase of a world).
 * Each region is given its T and P(r) from now on (R-REG-6) and what the machine
 * takes; one that is not Closed by then is named, with what it waits for. Soft
 * ones may wait as long as "/" is not shut down. What needs attention is resolved
 * by an operator.
 */
#include <stdlib.h>
#include <string.h>

#include "lab/world_state.h"

/* What commits, starts, kills and sweeps may take together; and how long a sweep that failed
 * waits for its next turn. */
enum { LATENCY_MS = 5000, SWEEP_MS = 31000, TURNS_MOST = 400000, HOURS = 2 };

static void
ask(struct world *w, struct input in)
{
    in.token = ++w->token;
    (void)world_step(w, &in);
}

/* Down the tree in order; 0: that was the last. */
static uint64_t
next_region(const struct kernel *k, uint64_t id)
{
    struct region_view r;

    if (!kernel_region(k, id, &r))
        return 0;
    if (r.child_first != 0)
        return r.child_first;
    while (r.sibling_next == 0) {
        if (r.parent == 0 || !kernel_region(k, r.parent, &r))
            return 0;
    }
    return r.sibling_next;
}

/* Of all regions that are closing: when they must be Closed. The last of these; 0: none. */
static asup_time
bounds_set(struct world *w)
{
    asup_time now = kernel_now(w);
    asup_time last = 0;
    uint64_t latency = LATENCY_MS * ASUP_NS_PER_MS;

    memset(w->bound, 0, sizeof w->bound);
    for (uint64_t id = ASUP_ROOT_ID; id != 0; id = next_region(w->kernel, id)) {
        struct region_view r;

        if (kernel_region(w->kernel, id, &r) && r.sweep_error != 0)
            latency = (LATENCY_MS + SWEEP_MS) * ASUP_NS_PER_MS;
    }
    for (uint64_t id = ASUP_ROOT_ID; id != 0; id = next_region(w->kernel, id)) {
        struct region_view r;
        asup_time from;

        if (!kernel_region(w->kernel, id, &r) || r.state == ASUP_REGION_CLOSED)
            continue;
        if (r.close_by == ASUP_NEVER || r.drain_end == ASUP_NEVER) {
            w->counts.deeds[DEED_BOUND_NONE] += r.cancelled;
            continue;
        }
        from = r.drain_end > now ? r.drain_end : now;
        w->bound[id % IDS_MAX] = from + (r.close_by - r.drain_end) + latency;
        if (w->bound[id % IDS_MAX] > last)
            last = w->bound[id % IDS_MAX];
    }
    return last;
}

/* What a region waits for, in words. */
static void
blame(struct world *w, uint64_t region, char *text, size_t size)
{
    struct region_view r;
    struct task_view t;
    uint32_t owed = 0;

    text[0] = '\0';
    if (!kernel_region(w->kernel, region, &r))
        return;
    while (r.task_first == 0 && r.child_first != 0 && kernel_region(w->kernel, r.child_first, &r))
        ;
    for (unsigned i = 0; i < ASUP_OBLIGATION_KIND_COUNT; i++)
        owed += r.obligations[i];
    if (r.task_first != 0 && kernel_task(w->kernel, r.task_first, &t)) {
        const struct process *p = &w->processes[t.id % IDS_MAX];

        (void)snprintf(text, size, "t%llu of r%llu, state %u%s%s%s, process %s%s",
                       (unsigned long long)t.id, (unsigned long long)r.id, t.state,
                       t.call ? ", a call" : "", t.finalizer ? ", a finalizer" : "",
                       t.escalated ? ", escalated" : "", p->alive ? "lives" : "does not live",
                       p->children ? " and has children" : "");
        return;
    }
    (void)snprintf(text, size,
                   "r%llu, state %u, %u children, %u finalizers, %u sagas, %u owed, sweep %d",
                   (unsigned long long)r.id, r.state, r.children_live, r.finalizers, r.sagas, owed,
                   (int)r.sweep_error);
}

static void
late(struct world *w, uint64_t region)
{
    struct region_view r = {.id = 0};
    char text[160];

    blame(w, region, text, sizeof text);
    (void)kernel_region(w->kernel, region, &r);
    world_fail(w, "R-REG-6: r%llu is not closed by its T + P (now %llu, T %llu, close by %llu): %s",
               (unsigned long long)region, (unsigned long long)kernel_now(w),
               (unsigned long long)r.drain_end, (unsigned long long)r.close_by, text);
}

/* An operator who settles what needs attention. */
static void
resolve_all(struct world *w)
{
    uint64_t saga = kernel_saga_attention_next(w->kernel, 0);

    if (saga == 0)
        return;
    deed(w, DEED_RESOLVED);
    ask(w, (struct input){.kind = IN_SAGA_RESOLVE, .subject = saga, .u.resolve.how = SAGA_RESOLVE});
}

/* Until so late in kernel time, or until "/" is closed; every region by its bound. */
static void
go_on(struct world *w, asup_time until)
{
    for (unsigned n = 0; !w->failed && n < TURNS_MOST; n++) {
        struct region_view root;

        if (agenda_at(w) == ASUP_NEVER && kernel_next_deadline(w->kernel) == ASUP_NEVER)
            return;
        if (kernel_now(w) > until)
            return;
        world_turn(w);
        resolve_all(w);
        if (kernel_region(w->kernel, ASUP_ROOT_ID, &root) && root.state == ASUP_REGION_CLOSED)
            return;
    }
}

void
calm_event(struct world *w, const struct event *ev)
{
    asup_time bound;

    if (!w->calm || ev->kind != EV_REGION_CLOSED)
        return;
    bound = w->bound[ev->region % IDS_MAX];
    if (bound == 0)
        return;
    deed(w, DEED_BOUND_KEPT);
    if (kernel_now(w) > bound)
        world_fail(w, "R-REG-6: r%llu is closed after its T + P", (unsigned long long)ev->region);
    w->bound[ev->region % IDS_MAX] = 0;
}

/* Those whose time has come. */
static void
bounds_check(struct world *w)
{
    for (uint64_t id = ASUP_ROOT_ID; id != 0 && !w->failed; id = next_region(w->kernel, id)) {
        struct region_view r;

        if (w->bound[id % IDS_MAX] != 0 && w->bound[id % IDS_MAX] < kernel_now(w) &&
            kernel_region(w->kernel, id, &r) && r.state != ASUP_REGION_CLOSED)
            late(w, id);
    }
}

/* As far as the bounds go; what has hours for its cleanup is not waited for. */
static void
bounds_await(struct world *w, bool under_shutdown)
{
    asup_time last = bounds_set(w);
    asup_time most = kernel_now(w) + HOURS * 3600 * ASUP_NS_PER_S;

    if (last > most || (last == 0 && under_shutdown))
        last = most;
    go_on(w, last);
    bounds_check(w);
}

static void
regions_close(struct world *w)
{
    uint64_t ids[64];
    unsigned count = 0;
    struct region_view r;

    if (!kernel_region(w->kernel, ASUP_ROOT_ID, &r) || r.state == ASUP_REGION_CLOSED)
        return;
    for (uint64_t id = r.child_first; id != 0 && count < 64; id = r.sibling_next) {
        ids[count++] = id;
        if (!kernel_region(w->kernel, id, &r))
            break;
    }
    for (unsigned i = 0; i < count; i++)
        ask(w, (struct input){.kind = IN_REGION_END,
                              .region = ids[i],
                              .u.end = {.mode = dice(w, 2) == 0 ? ASUP_END_CLOSE : ASUP_END_CANCEL,
                                        .drain_ns = ASUP_NEVER}});
    bounds_await(w, false);
}

static bool
root_closed(const struct world *w)
{
    struct region_view root;

    return kernel_region(w->kernel, ASUP_ROOT_ID, &root) && root.state == ASUP_REGION_CLOSED;
}

/* The first shutdown lets finalizers have what they asked for, which may be for ever; the second
 * does not (R-REG-6). */
static void
all_close(struct world *w)
{
    for (unsigned n = 0; n < 2 && !root_closed(w) && !w->failed; n++) {
        ask(w, (struct input){.kind = IN_SHUTDOWN, .u.shutdown.within_ns = ASUP_NEVER});
        bounds_await(w, true);
    }
    if (!root_closed(w))
        late(w, ASUP_ROOT_ID);
}

void
world_calm(struct world *w)
{
    struct kernel_counts counts;

    w->calm = true;
    w->memory_left = -1;
    w->tick_not_before = 0;
    processes_calm(w);
    for (unsigned n = 0; (!w->up || w->disk.failing) && !w->failed && n < TURNS_MOST; n++)
        world_turn(w);
    /* What is on its way arrives. */
    go_on(w, kernel_now(w) + 10 * ASUP_NS_PER_MS);
    if (dice(w, 2) == 0)
        regions_close(w);
    if (!w->failed)
        all_close(w);
    if (w->failed)
        return;
    kernel_counts(w->kernel, &counts);
    if (counts.tasks != 0 || counts.regions != 0 || kernel_potential(w->kernel) != 0)
        world_fail(w, "R-REG-4: something is left");
    for (unsigned n = 0; (w->disk.committing || w->disk.waiting.size > 0) && n < 1000; n++)
        world_turn(w);
    if (!w->quiescent)
        world_fail(w, "R-REG-4: \"/\" is closed, and nobody was told");
    told_check(w, w->kernel, w->kernel);
    oracles_end(w->oracles, w->kernel, true);
    oracles_ask(w);
}
