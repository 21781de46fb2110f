/* SPDX-License-Identifier: MIT */
/* saga.begin, step, complete, abort, stat, list, resolve, wait. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/call.h"
#include "daemon/engine/waits.h"

/* Of a compensation, unless its step says otherwise. */
#define ATTEMPTS_PRESET 3
#define BACKOFF_PRESET (1 * ASUP_NS_PER_S)
#define BACKOFF_MOST_PRESET (30 * ASUP_NS_PER_S)

/* ---- Bodies --------------------------------------------------------------------------- */

const char *
saga_state_name(uint8_t state)
{
    static const char *const names[] = {
        [SAGA_RUNNING] = "running",
        [SAGA_COMPENSATING] = "compensating",
        [SAGA_NEEDS_ATTENTION] = "needs-attention",
        [SAGA_COMPLETED] = "completed",
        [SAGA_COMPENSATED] = "compensated",
    };

    return state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

const char *
step_state_name(uint8_t state)
{
    static const char *const names[] = {
        [STEP_RUNNING] = "running",         [STEP_DONE] = "done",
        [STEP_FAILED] = "failed",           [STEP_COMPENSATING] = "compensating",
        [STEP_COMPENSATED] = "compensated", [STEP_NEEDS_ATTENTION] = "needs-attention",
        [STEP_RESOLVED] = "resolved",
    };

    return state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

/* "g2.3" */
static void
write_key(struct proto_writer *w, uint64_t saga, uint32_t step)
{
    char text[48];

    (void)snprintf(text, sizeof text, "g%" PRIu64 ".%" PRIu32, saga, step);
    pw_key(w, "key");
    pw_str(w, text);
}

static void
body_step(struct proto_writer *w, struct engine *e, uint64_t saga, uint32_t number)
{
    struct saga_step_view step;

    if (!kernel_saga_step(e->kernel, saga, number, &step))
        return;
    pw_map(w);
    pw_key(w, "number");
    pw_uint(w, number);
    pw_key(w, "name");
    pw_text(w, step.name.data, step.name.size);
    pw_key(w, "state");
    pw_str(w, step_state_name(step.state));
    pw_key(w, "action");
    pw_id(w, ASUP_SORT_TASK, step.action);
    pw_key(w, "undo");
    pw_id(w, ASUP_SORT_TASK, step.undo);
    pw_key(w, "attempts");
    pw_uint(w, step.attempts);
    pw_key(w, "attempts_most");
    pw_uint(w, step.attempts_most);
    pw_key(w, "next_in_ns");
    pw_time(w, time_left(step.next_at, engine_now(e)));
    write_key(w, saga, number);
    pw_end(w);
}

void
body_saga(struct proto_writer *w, struct engine *e, const struct saga_view *s, bool with_steps)
{
    char path[REGION_PATH_SIZE];
    asup_time until = s->state >= SAGA_COMPLETED ? s->ended_at : engine_now(e);

    pw_map(w);
    pw_key(w, "id");
    pw_id(w, ASUP_SORT_SAGA, s->id);
    pw_key(w, "region");
    pw_id(w, ASUP_SORT_REGION, s->region);
    pw_key(w, "path");
    pw_text(w, path, region_path(e->kernel, s->region, path, sizeof path));
    pw_key(w, "name");
    pw_text(w, s->name.data, s->name.size);
    pw_key(w, "state");
    pw_str(w, saga_state_name(s->state));
    pw_key(w, "owner");
    pw_uint(w, s->uid);
    pw_key(w, "driver");
    pw_id(w, s->driver.sort, s->driver.id);
    pw_key(w, "step_count");
    pw_uint(w, s->step_count);
    pw_key(w, "step_at");
    if (s->step_at)
        pw_uint(w, s->step_at);
    else
        pw_nil(w);
    pw_key(w, "age_ns");
    pw_uint(w, until - s->begun_at);
    if (with_steps) {
        pw_key(w, "steps");
        pw_list(w);
        for (uint32_t n = 1; n <= s->step_count; n++)
            body_step(w, e, s->id, n);
        pw_end(w);
    }
    pw_end(w);
}

/* ---- Lookup ----------------------------------------------------------------------------- */

int
call_saga(struct call *c, uint64_t id, struct saga_view *out)
{
    if (kernel_saga(c->engine->kernel, id, out) && call_sees(c, out->region, out->uid))
        return 0;
    return call_fail(c, -ASUP_ENOTFOUND, "saga",
                     "asupersyncctl saga list --all shows what is known",
                     "there is no saga g%" PRIu64 " of yours, or it was forgotten", id);
}

/* ---- Begin and step ----------------------------------------------------------------------- */

int
op_saga_begin(struct call *c)
{
    const struct args_saga_begin *a = &c->args->saga_begin;
    struct region_view region;
    struct answer answer;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    struct input in = {.kind = IN_SAGA_BEGIN, .region = region.id};
    in.u.saga_begin.name = (struct bytes){.data = a->name.data, .size = a->name.size};
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    pw_map(c->w);
    pw_key(c->w, "saga");
    pw_id(c->w, ASUP_SORT_SAGA, answer.made.id);
    pw_end(c->w);
    return 0;
}

static struct retry_params
retry_of(const struct proto_retry *r)
{
    struct retry_params out = {
        .attempts = r->attempts ? (uint32_t)r->attempts : ATTEMPTS_PRESET,
        .backoff_ns = r->backoff_ns != ASUP_NEVER ? r->backoff_ns : BACKOFF_PRESET,
        .backoff_most_ns =
            r->backoff_most_ns != ASUP_NEVER ? r->backoff_most_ns : BACKOFF_MOST_PRESET,
    };

    /* Who gives only one of them means it. */
    if (out.backoff_ns > out.backoff_most_ns) {
        if (r->backoff_most_ns == ASUP_NEVER)
            out.backoff_most_ns = out.backoff_ns;
        else if (r->backoff_ns == ASUP_NEVER)
            out.backoff_ns = out.backoff_most_ns;
    }
    return out;
}

/* The step that a granted request made: by its task, else by its name, the last
 * one first, so that a request said again finds its own. */
static uint32_t
step_made(const struct call *c, const struct args_saga_step *a, struct asup_ref made)
{
    const struct kernel *k = c->engine->kernel;
    struct saga_step_view step;
    struct saga_view saga;
    uint64_t id;
    uint32_t number;
    bool undo;

    if (made.sort == ASUP_SORT_TASK)
        return kernel_task_saga(k, made.id, &id, &number, &undo) ? number : 0;
    if (!kernel_saga(k, a->saga, &saga))
        return 0;
    for (number = saga.step_count; number > 0; number--) {
        if (kernel_saga_step(k, a->saga, number, &step) && step.name.size == a->name.size &&
            memcmp(step.name.data, a->name.data, a->name.size) == 0)
            break;
    }
    return number;
}

static bool
action_given(const struct args_saga_step *a)
{
    return a->action.argv.count > 0 || a->action.call.data != NULL;
}

int
op_saga_step(struct call *c)
{
    const struct args_saga_step *a = &c->args->saga_step;
    struct task_params action;
    struct task_params undo;
    struct saga_view saga;
    struct answer answer;
    int rc;

    if ((rc = call_saga(c, a->saga, &saga)) != 0 ||
        (rc = call_process(c, &a->undo, "undo", &undo)) != 0)
        return rc;
    if (action_given(a) && (rc = call_process(c, &a->action, "action", &action)) != 0)
        return rc;
    struct input in = {.kind = IN_SAGA_STEP, .subject = a->saga};
    in.u.saga_step = (struct saga_step_params){
        .name = {.data = a->name.data, .size = a->name.size},
        .action = action_given(a) ? &action : NULL,
        .undo = &undo,
        .retry = retry_of(&a->retry),
    };
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    uint32_t number = step_made(c, a, answer.made);
    pw_map(c->w);
    pw_key(c->w, "saga");
    pw_id(c->w, ASUP_SORT_SAGA, a->saga);
    pw_key(c->w, "step");
    pw_uint(c->w, number);
    pw_key(c->w, "task");
    pw_id(c->w, ASUP_SORT_TASK, answer.made.sort == ASUP_SORT_TASK ? answer.made.id : 0);
    write_key(c->w, a->saga, number);
    if (answer.detail[0]) {
        pw_key(c->w, "advice");
        pw_str(c->w, answer.detail);
    }
    pw_end(c->w);
    return 0;
}

/* ---- Complete, abort, resolve ---------------------------------------------------------------- */

static int
change(struct call *c, struct input *in)
{
    struct saga_view saga;
    struct answer answer;
    int rc;

    if ((rc = call_saga(c, in->subject, &saga)) != 0)
        return rc;
    call_ask(c, in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    if ((rc = call_saga(c, in->subject, &saga)) != 0)
        return rc;
    pw_map(c->w);
    pw_key(c->w, "saga");
    pw_id(c->w, ASUP_SORT_SAGA, in->subject);
    pw_key(c->w, "state");
    pw_str(c->w, saga_state_name(saga.state));
    pw_end(c->w);
    return 0;
}

int
op_saga_complete(struct call *c)
{
    return change(c, &(struct input){.kind = IN_SAGA_COMPLETE, .subject = c->args->saga.saga});
}

int
op_saga_abort(struct call *c)
{
    const struct args_saga_abort *a = &c->args->saga_abort;

    return change(
        c, &(struct input){.kind = IN_SAGA_ABORT,
                           .subject = a->saga,
                           .u.nack.note = {.data = a->message.data, .size = a->message.size}});
}

int
op_saga_resolve(struct call *c)
{
    const struct args_saga_resolve *a = &c->args->saga_resolve;

    return change(
        c, &(struct input){.kind = IN_SAGA_RESOLVE,
                           .subject = a->saga,
                           .u.resolve.how = a->how == PROTO_HOW_RETRY ? SAGA_RETRY : SAGA_RESOLVE});
}

/* ---- Stat, wait, list ---------------------------------------------------------------------------
 */

static int
write_saga(struct call *c, uint64_t id)
{
    struct saga_view saga;
    int rc = call_saga(c, id, &saga);

    if (rc == 0)
        body_saga(c->w, c->engine, &saga, true);
    return rc;
}

int
op_saga_stat(struct call *c)
{
    return write_saga(c, c->args->saga.saga);
}

int
op_saga_wait(struct call *c)
{
    const struct args_saga_wait *a = &c->args->saga_wait;
    struct saga_view saga;
    struct answer answer;
    struct parked *parked;
    int rc;

    if ((rc = call_saga(c, a->saga, &saga)) != 0)
        return rc;
    if ((rc = waits_park(c, PARKED_SAGA, a->saga, 0, &parked)) != CALL_PARKED)
        return rc;
    struct input in = {.kind = IN_WAIT,
                       .subject = a->saga,
                       .token = exchange_token(c->exchange),
                       .u.wait = {.timeout_ns = a->timeout_ns, .until = WAIT_FINISHED}};
    call_ask(c, &in, &answer);
    if (!answer.given)
        return CALL_PARKED;
    waits_unpark(parked);
    if (answer.code != 0)
        return call_refused(c, &answer);
    return write_saga(c, a->saga);
}

/* The `limit` smallest ids beyond `after`, sorted as they come: the regions of
 * a tree are walked by id, and their sagas are few. */
struct page {
    uint64_t ids[1001];
    size_t count, limit;
    bool more;
};

static void
page_add(struct page *p, uint64_t id)
{
    size_t at = p->count;

    if (p->count == p->limit && id > p->ids[p->count - 1]) {
        p->more = true;
        return;
    }
    while (at > 0 && p->ids[at - 1] > id) {
        p->ids[at] = p->ids[at - 1];
        at--;
    }
    p->ids[at] = id;
    if (p->count == p->limit)
        p->more = true;
    else
        p->count++;
}

static void
page_add_region(struct call *c, struct page *page, uint64_t region, uint64_t after)
{
    struct saga_view saga;

    for (uint64_t id = kernel_saga_next(c->engine->kernel, region, after); id;
         id = kernel_saga_next(c->engine->kernel, region, id)) {
        if (kernel_saga(c->engine->kernel, id, &saga) && call_sees(c, saga.region, saga.uid))
            page_add(page, id);
    }
}

/* Down, along, and up, without recursion. */
static void
page_add_below(struct call *c, struct page *page, const struct region_view *top, uint64_t after)
{
    const struct kernel *k = c->engine->kernel;
    uint64_t at = top->child_first;
    struct region_view region;

    while (at && kernel_region(k, at, &region)) {
        page_add_region(c, page, region.id, after);
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

    if (top == ASUP_ROOT_ID)
        return true;
    while (id && id != top)
        id = kernel_region(k, id, &region) ? region.parent : 0;
    return id != 0;
}

static void
page_add_ended(struct call *c, struct page *page, uint64_t region, uint64_t after)
{
    const struct kernel *k = c->engine->kernel;
    struct saga_view saga;

    for (uint64_t id = kernel_saga_ended_next(k, 0); id; id = kernel_saga_ended_next(k, id)) {
        if (id > after && kernel_saga(k, id, &saga) && call_sees(c, saga.region, saga.uid) &&
            is_below(k, saga.region, region))
            page_add(page, id);
    }
}

int
op_saga_list(struct call *c)
{
    const struct args_saga_list *a = &c->args->saga_list;
    struct page page = {.limit = (size_t)a->limit};
    struct region_view region;
    struct saga_view saga;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    page_add_region(c, &page, region.id, a->after);
    page_add_below(c, &page, &region, a->after);
    if (a->all)
        page_add_ended(c, &page, region.id, a->after);
    pw_map(c->w);
    pw_key(c->w, "sagas");
    pw_list(c->w);
    for (size_t i = 0; i < page.count; i++) {
        if (kernel_saga(c->engine->kernel, page.ids[i], &saga))
            body_saga(c->w, c->engine, &saga, false);
    }
    pw_end(c->w);
    pw_key(c->w, "more");
    pw_bool(c->w, page.more);
    pw_end(c->w);
    return 0;
}
