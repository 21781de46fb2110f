/* SPDX-License-Identifier: MIT */
/* task.submit, cancel, wait, stat, list, checkpoint, progress;
 * finalizer.defer. (task.logs is in op_logs.c.) */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/call.h"
#include "daemon/engine/waits.h"

/* ---- Submit and defer -------------------------------------------------------------- */

static int
input_submit(struct call *c, enum input_kind kind, struct input *in)
{
    const struct args_submit *a = &c->args->submit;
    struct region_view region;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    *in = (struct input){.kind = kind, .region = region.id};
    rc = call_process(c, &a->process, "", &in->u.submit);
    if (in->u.submit.call.size > 0) /* its worker is told */
        in->u.submit.key = (struct bytes){c->key->key.data, c->key->key.size};
    return rc;
}

int
input_task_submit(struct call *c, struct input *in)
{
    return input_submit(c, IN_TASK_SUBMIT, in);
}

int
input_finalizer_defer(struct call *c, struct input *in)
{
    return input_submit(c, IN_FINALIZER_DEFER, in);
}

void
body_of_submit(struct call *c, uint64_t id, const char *advice)
{
    struct task_view task = {0};

    (void)kernel_task(c->engine->kernel, id, &task);
    pw_map(c->w);
    pw_key(c->w, "task");
    pw_id(c->w, ASUP_SORT_TASK, id);
    pw_key(c->w, "region");
    pw_id(c->w, ASUP_SORT_REGION, task.region);
    if (advice && *advice) {
        pw_key(c->w, "advice");
        pw_str(c->w, advice);
    }
    pw_end(c->w);
}

static int
submit(struct call *c, enum input_kind kind)
{
    struct input in;
    struct answer answer;
    int rc;

    if ((rc = input_submit(c, kind, &in)) != 0)
        return rc;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    body_of_submit(c, answer.made.id, answer.detail);
    return 0;
}

int
op_task_submit(struct call *c)
{
    return submit(c, IN_TASK_SUBMIT);
}

int
op_finalizer_defer(struct call *c)
{
    return submit(c, IN_FINALIZER_DEFER);
}

/* ---- Cancel --------------------------------------------------------------------------- */

int
input_task_cancel(struct call *c, struct input *in)
{
    const struct args_task_cancel *a = &c->args->task_cancel;
    struct task_view task;
    int rc;

    if ((rc = call_task(c, a->task, &task)) != 0)
        return rc;
    *in = (struct input){.kind = IN_TASK_CANCEL, .task = a->task};
    in->u.cancel.drain_ns = a->drain_ns;
    in->u.cancel.message = (struct bytes){.data = a->message.data, .size = a->message.size};
    return 0;
}

void
body_of_task_cancel(struct call *c, uint64_t id)
{
    struct task_view task;

    pw_map(c->w);
    pw_key(c->w, "task");
    pw_id(c->w, ASUP_SORT_TASK, id);
    pw_key(c->w, "state");
    pw_str(c->w,
           kernel_task(c->engine->kernel, id, &task) ? task_state_name(task.state) : "completed");
    pw_end(c->w);
}

int
op_task_cancel(struct call *c)
{
    struct input in;
    struct answer answer;
    int rc;

    if ((rc = input_task_cancel(c, &in)) != 0)
        return rc;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    body_of_task_cancel(c, in.task);
    return 0;
}

/* ---- Wait and stat ---------------------------------------------------------------------- */

static int
write_task(struct call *c, uint64_t id)
{
    struct task_view task;
    int rc = call_task(c, id, &task);

    if (rc == 0)
        body_task_full(c->w, c->engine, &task);
    return rc;
}

int
op_task_wait(struct call *c)
{
    const struct args_task_wait *a = &c->args->task_wait;
    static const uint8_t until[] = {
        [PROTO_UNTIL_STARTED] = WAIT_STARTED,
        [PROTO_UNTIL_READY] = WAIT_READY,
        [PROTO_UNTIL_FINISHED] = WAIT_FINISHED,
    };
    struct task_view task;
    struct answer answer;
    struct parked *parked;
    int rc;

    if ((rc = call_task(c, a->task, &task)) != 0)
        return rc;
    if ((rc = waits_park(c, PARKED_TASK, a->task, 0, &parked)) != CALL_PARKED)
        return rc;
    struct input in = {.kind = IN_WAIT,
                       .task = a->task,
                       .token = exchange_token(c->exchange),
                       .u.wait = {.timeout_ns = a->timeout_ns, .until = until[a->until]}};
    call_ask(c, &in, &answer);
    if (!answer.given)
        return CALL_PARKED;
    waits_unpark(parked);
    if (answer.code != 0)
        return call_refused(c, &answer);
    return write_task(c, a->task);
}

int
op_task_stat(struct call *c)
{
    return write_task(c, c->args->task.task);
}

/* ---- Checkpoint and progress --------------------------------------------------------------- */

static int
report_to(struct call *c, struct input *in)
{
    struct engine *e = c->engine;
    struct task_view task;
    struct answer answer;
    int rc;

    if ((rc = call_task(c, in->task, &task)) != 0)
        return rc;
    call_ask(c, in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    if ((rc = call_task(c, in->task, &task)) != 0)
        return rc;
    if (answer.masked)
        task.reason = 0;
    pw_map(c->w);
    pw_key(c->w, "cancel_requested");
    pw_bool(c->w, task.reason != 0);
    pw_key(c->w, "reason");
    body_reason(c->w, e->kernel, task.reason);
    pw_key(c->w, "drain_left_ns");
    pw_time(c->w, task.reason ? time_left(task.kill_at, engine_now(e)) : ASUP_NEVER);
    pw_key(c->w, "mask_left");
    pw_uint(c->w, task.mask_left);
    pw_end(c->w);
    return 0;
}

int
op_task_checkpoint(struct call *c)
{
    const struct args_task_checkpoint *a = &c->args->task_checkpoint;

    return report_to(c, &(struct input){.kind = IN_TASK_CHECKPOINT,
                                        .task = a->task,
                                        .u.checkpoint.masked = a->masked});
}

int
op_task_progress(struct call *c)
{
    const struct args_task_progress *a = &c->args->task_progress;

    return report_to(c, &(struct input){.kind = IN_TASK_PROGRESS,
                                        .task = a->task,
                                        .u.progress = {.cost = a->cost, .masked = a->masked}});
}

/* ---- List --------------------------------------------------------------------------------------
 */

/* The `limit` smallest ids beyond `after`, kept as a heap with the largest on
 * top: one pass over any order of tasks, and no memory but the answer's. */
struct page {
    uint64_t ids[1000];
    size_t count, limit;
    bool more;
};

static void
page_add(struct page *p, uint64_t id)
{
    size_t i;

    if (p->count == p->limit) {
        p->more = true;
        if (id >= p->ids[0])
            return;
        /* The largest leaves; the new one sinks from the top. */
        for (i = 0;;) {
            size_t child = 2 * i + 1;
            if (child >= p->count)
                break;
            if (child + 1 < p->count && p->ids[child + 1] > p->ids[child])
                child++;
            if (p->ids[child] <= id)
                break;
            p->ids[i] = p->ids[child];
            i = child;
        }
        p->ids[i] = id;
        return;
    }
    for (i = p->count++; i > 0 && p->ids[(i - 1) / 2] < id; i = (i - 1) / 2)
        p->ids[i] = p->ids[(i - 1) / 2];
    p->ids[i] = id;
}

static int
by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void
page_add_live(struct call *c, struct page *page, const struct region_view *region, uint64_t after)
{
    struct task_view task;

    for (uint64_t id = region->task_first; id && kernel_task(c->engine->kernel, id, &task);
         id = task.next) {
        if (id > after && call_sees(c, task.region, task.uid))
            page_add(page, id);
    }
    for (struct asup_ref at = {0}; running_cleanup(c->engine->kernel, region, &at, &task);) {
        if (task.id > after && call_sees(c, task.region, task.uid))
            page_add(page, task.id);
    }
}

/* Live tasks of everything below, without recursion: down, along, and up. */
static void
page_add_below(struct call *c, struct page *page, const struct region_view *top, uint64_t after)
{
    const struct kernel *k = c->engine->kernel;
    uint64_t at = top->child_first;
    struct region_view region;

    while (at && kernel_region(k, at, &region)) {
        page_add_live(c, page, &region, after);
        if (region.child_first) {
            at = region.child_first;
            continue;
        }
        while (!region.sibling_next) {
            if (region.parent == top->id || !kernel_region(k, region.parent, &region))
                return;
        }
        at = region.sibling_next;
    }
}

static bool
is_below(const struct kernel *k, uint64_t id, uint64_t top)
{
    struct region_view region;

    while (id && id != top)
        id = kernel_region(k, id, &region) ? region.parent : 0;
    return id != 0;
}

static void
page_add_ended(struct call *c, struct page *page, uint64_t region, bool recursive, uint64_t after)
{
    const struct kernel *k = c->engine->kernel;
    struct task_view task;
    struct asup_ref ref;
    uint64_t cursor = 0;

    while ((cursor = kernel_retained_next(k, cursor, &ref)) != 0) {
        if (ref.sort != ASUP_SORT_TASK || ref.id <= after || !kernel_task(k, ref.id, &task) ||
            !call_sees(c, task.region, task.uid))
            continue;
        if (task.region == region || (recursive && is_below(k, task.region, region)))
            page_add(page, ref.id);
    }
}

int
op_task_list(struct call *c)
{
    const struct args_task_list *a = &c->args->task_list;
    struct page page = {.limit = (size_t)a->limit};
    struct region_view region;
    struct task_view task;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    page_add_live(c, &page, &region, a->after);
    if (a->recursive)
        page_add_below(c, &page, &region, a->after);
    if (a->all)
        page_add_ended(c, &page, region.id, a->recursive, a->after);
    qsort(page.ids, page.count, sizeof page.ids[0], by_id);
    pw_map(c->w);
    pw_key(c->w, "tasks");
    pw_list(c->w);
    for (size_t i = 0; i < page.count; i++) {
        if (kernel_task(c->engine->kernel, page.ids[i], &task))
            body_task(c->w, c->engine, &task);
    }
    pw_end(c->w);
    pw_key(c->w, "more");
    pw_bool(c->w, page.more);
    pw_end(c->w);
    return 0;
}
