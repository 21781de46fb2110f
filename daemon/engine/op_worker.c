/* SPDX-License-Identifier: MIT */
/*
 * worker.offer, next, withdraw, drain, list; task.complete.
 *
 * worker.next does three things in one message, in this order: it takes what
 * has ended, begins what had been taken, and hands out. Each is a step of the
 * kernel of its own; the codes of the first two come with the answer, also when
 * that has to wait. A worker that asks whether it may begin something, or
 * some of whose completions are refused, is answered at once.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/call.h"
#include "daemon/engine/spec.h"
#include "daemon/engine/waits.h"
#include "proto/text.h"

/* ---- Bodies --------------------------------------------------------------------------- */

static void
body_given(struct proto_writer *w, struct engine *e, uint64_t id, asup_time now)
{
    uint8_t token[CX_TOKEN_SIZE];
    char key[CLEANUP_KEY_SIZE];
    struct task_view task;
    struct call_view call;

    if (!kernel_task(e->kernel, id, &task) || !kernel_call(e->kernel, id, &call))
        return;
    pw_map(w);
    pw_key(w, "task");
    pw_id(w, ASUP_SORT_TASK, id);
    pw_key(w, "region");
    pw_id(w, ASUP_SORT_REGION, task.region);
    pw_key(w, "name");
    pw_text(w, call.name.data, call.name.size);
    pw_key(w, "input");
    pw_bytes(w, call.input.size ? call.input.data : "", call.input.size);
    pw_key(w, "attempt");
    pw_uint(w, call.attempt + (call.started ? 0U : 1U));
    pw_key(w, "started");
    pw_bool(w, call.started);
    if (call.key.size || cleanup_key(e->kernel, &task, key)) {
        pw_key(w, "key");
        pw_text(w, call.key.size ? call.key.data : key,
                call.key.size ? call.key.size : strlen(key));
    }
    cx_token(&e->cx_key, CX_TASK, id, token);
    pw_key(w, "cx");
    pw_bytes(w, token, sizeof token);
    pw_key(w, "budget");
    body_budget(w, &task.effective, task.polls_spent, task.cost_spent, now);
    pw_end(w);
}

static void
body_told(struct proto_writer *w, struct engine *e, uint64_t id, asup_time now)
{
    struct task_view task;

    if (!kernel_task(e->kernel, id, &task))
        return;
    pw_map(w);
    pw_key(w, "task");
    pw_id(w, ASUP_SORT_TASK, id);
    pw_key(w, "reason");
    body_reason(w, e->kernel, task.reason);
    pw_key(w, "drain_left_ns");
    pw_time(w, time_left(task.kill_at, now));
    pw_key(w, "forced");
    pw_bool(w, task.state == ASUP_TASK_COMPLETED);
    pw_end(w);
}

static void
body_codes(struct proto_writer *w, const char *key, const int *codes, uint32_t count)
{
    pw_key(w, key);
    pw_list(w);
    for (uint32_t i = 0; i < count; i++)
        pw_int(w, codes[i]);
    pw_end(w);
}

void
body_worker_next(struct proto_writer *w, struct engine *e, const struct asup_ref *list,
                 uint32_t calls, uint32_t count, const struct worker_codes *codes)
{
    asup_time now = engine_now(e);

    pw_map(w);
    pw_key(w, "calls");
    pw_list(w);
    for (uint32_t i = 0; i < calls; i++)
        body_given(w, e, list[i].id, now);
    pw_end(w);
    pw_key(w, "cancels");
    pw_list(w);
    for (uint32_t i = calls; i < count; i++)
        body_told(w, e, list[i].id, now);
    pw_end(w);
    body_codes(w, "completed", codes ? codes->codes : NULL, codes ? codes->completed : 0);
    body_codes(w, "started", codes ? codes->codes + codes->completed : NULL,
               codes ? codes->started : 0);
    pw_end(w);
}

static void
body_worker(struct proto_writer *w, struct engine *e, const struct worker_view *v)
{
    char path[REGION_PATH_SIZE];
    struct call_view call;

    pw_map(w);
    pw_key(w, "worker");
    pw_id(w, ASUP_SORT_SESSION, v->session);
    pw_key(w, "holder");
    pw_id(w, v->holder.sort, v->holder.id);
    pw_key(w, "owner");
    pw_uint(w, v->uid);
    pw_key(w, "region");
    pw_id(w, ASUP_SORT_REGION, v->region);
    pw_key(w, "path");
    pw_text(w, path, region_path(e->kernel, v->region, path, sizeof path));
    pw_key(w, "names");
    pw_list(w);
    for (uint32_t i = v->name_count; i > 0; i--) /* in the order of the offer */
        pw_text(w, v->names[i - 1].data, v->names[i - 1].size);
    pw_end(w);
    pw_key(w, "state");
    pw_str(w, worker_state_name(v));
    pw_key(w, "concurrency");
    pw_uint(w, v->concurrency);
    pw_key(w, "prefetch");
    pw_uint(w, v->prefetch);
    pw_key(w, "running");
    pw_uint(w, v->running);
    pw_key(w, "taken");
    pw_uint(w, v->taken);
    pw_key(w, "waits");
    pw_bool(w, v->waits);
    pw_key(w, "seen_age_ns");
    pw_uint(w, engine_now(e) - v->seen_at);
    pw_key(w, "done");
    pw_uint(w, v->done);
    pw_key(w, "lost");
    pw_uint(w, v->lost);
    pw_key(w, "calls");
    pw_list(w);
    for (uint64_t id = v->call_first; id && kernel_call(e->kernel, id, &call); id = call.next)
        pw_id(w, ASUP_SORT_TASK, id);
    pw_end(w);
    pw_end(w);
}

/* ---- Offering --------------------------------------------------------------------------- */

int
op_worker_offer(struct call *c)
{
    const struct args_worker_offer *a = &c->args->worker_offer;
    struct bytes names[PROTO_OFFERS_MAX];
    struct region_view region;
    struct answer answer;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    for (uint32_t i = 0; i < a->names.count; i++) {
        const struct proto_text *name = &a->names.items[i];
        if (!text_is_utf8(name->data, name->size))
            return call_fail(c, -ASUP_EINVALID, "names", NULL,
                             "the name of a computation is UTF-8 text");
        names[i] = (struct bytes){.data = name->data, .size = name->size};
    }
    struct input in = {.kind = IN_WORKER_OFFER,
                       .region = region.id,
                       .u.offer = {.names = names,
                                   .name_count = a->names.count,
                                   .concurrency = (uint32_t)a->concurrency,
                                   .prefetch = (uint32_t)a->prefetch,
                                   .response_ns = a->response_ns,
                                   .mask_depth = (uint32_t)a->mask_depth,
                                   .quiet_ns = a->quiet_ns}};
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    pw_map(c->w);
    pw_key(c->w, "worker");
    pw_id(c->w, ASUP_SORT_SESSION, c->caller.session);
    if (answer.detail[0]) {
        pw_key(c->w, "advice");
        pw_str(c->w, answer.detail);
    }
    pw_end(c->w);
    return 0;
}

/* A change of a worker that is answered with nothing. */
static int
change(struct call *c, struct input *in)
{
    struct answer answer;

    call_ask(c, in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    pw_map(c->w);
    pw_end(c->w);
    return 0;
}

/* Another user's worker is none (0: the caller's own session). */
static int
worker_seen(struct call *c, uint64_t id)
{
    struct worker_view view;

    if (id == 0 || id == c->caller.session ||
        (kernel_worker(c->engine->kernel, id, &view) && call_sees(c, view.region, view.uid)))
        return 0;
    return call_fail(c, -ASUP_ENOTFOUND, "worker", "asupersyncctl workers shows those there are",
                     "there is no worker s%" PRIu64 " of yours", id);
}

int
op_worker_withdraw(struct call *c)
{
    const struct args_worker_withdraw *a = &c->args->worker_withdraw;
    int rc = worker_seen(c, a->worker);

    if (rc != 0)
        return rc;
    return change(c,
                  &(struct input){.kind = IN_WORKER_WITHDRAW,
                                  .session = a->worker,
                                  .u.withdraw.name = {.data = a->name.data, .size = a->name.size}});
}

int
op_worker_drain(struct call *c)
{
    int rc = worker_seen(c, c->args->worker_drain.worker);

    if (rc != 0)
        return rc;
    return change(
        c, &(struct input){.kind = IN_WORKER_DRAIN, .session = c->args->worker_drain.worker});
}

/* ---- Calls ------------------------------------------------------------------------------ */

static struct input
completion_input(const struct proto_completion *p)
{
    return (struct input){
        .kind = IN_CALL_COMPLETE,
        .u.complete = {.task = p->task,
                       .attempt = (uint32_t)p->attempt,
                       .severity = (uint8_t)p->outcome,
                       .code = (int32_t)p->code,
                       .message = {.data = p->message.data, .size = p->message.size},
                       .result = {.data = p->result.data, .size = p->result.size}}};
}

/* A worker does calls of its own user only: others there are none for it. */
static bool
is_strangers(const struct call *c, uint64_t task)
{
    struct task_view view;

    return kernel_task(c->engine->kernel, task, &view) && view.uid != c->caller.uid &&
           !c->privileged;
}

int
op_task_complete(struct call *c)
{
    struct input in = completion_input(&c->args->task_complete.end);

    if (is_strangers(c, in.u.complete.task))
        return call_fail(c, -ASUP_ENOTFOUND, "task", NULL, "there is no task t%" PRIu64 " of yours",
                         in.u.complete.task);
    return change(c, &in);
}

/* What has ended, and what is to begin. NULL and 0: the worker told of none. */
static int
take_reports(struct call *c, const struct args_worker_next *a, struct worker_codes **out)
{
    const struct proto_completion *ended = a->completed.items;
    uint32_t count = a->completed.count + a->started.count;
    struct worker_codes *codes;
    struct answer answer;

    *out = NULL;
    if (count == 0)
        return 0;
    codes = calloc(1, sizeof *codes + count * sizeof codes->codes[0]);
    if (!codes)
        return call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory for the answer");
    codes->completed = a->completed.count;
    codes->started = a->started.count;
    for (uint32_t i = 0; i < codes->completed; i++) {
        struct input in = completion_input(&ended[i]);
        if (is_strangers(c, ended[i].task)) {
            codes->codes[i] = -ASUP_ENOTFOUND;
            continue;
        }
        call_ask(c, &in, &answer);
        codes->codes[i] = answer.code;
    }
    if (codes->started > 0) {
        struct input in = {.kind = IN_WORKER_START,
                           .u.start = {.tasks = a->started.items,
                                       .count = a->started.count,
                                       .codes = codes->codes + codes->completed}};
        call_ask(c, &in, &answer);
        for (uint32_t i = 0; answer.code != 0 && i < codes->started; i++)
            codes->codes[codes->completed + i] = answer.code;
    }
    *out = codes;
    return 0;
}

int
op_worker_next(struct call *c)
{
    const struct args_worker_next *a = &c->args->worker_next;
    struct worker_codes *codes;
    struct parked *parked;
    struct answer answer;
    bool at_once = a->started.count > 0;
    int rc;

    if ((rc = take_reports(c, a, &codes)) != 0)
        return rc;
    for (uint32_t i = 0; codes && i < codes->completed; i++)
        at_once = at_once || codes->codes[i] != 0;
    if ((rc = waits_park(c, PARKED_WORKER, 0, 0, &parked)) != CALL_PARKED) {
        free(codes);
        return rc;
    }
    parked->codes = codes;
    struct input in = {
        .kind = IN_WORKER_NEXT,
        .token = exchange_token(c->exchange),
        .u.next = {.most = (uint32_t)a->most, .timeout_ns = at_once ? 0 : a->timeout_ns}};
    call_ask(c, &in, &answer);
    if (!answer.given) {
        /* Whatever answers it says that its reports were taken: the worker forgets them. */
        parked->after = c->after;
        return CALL_PARKED;
    }
    parked->codes = NULL;
    waits_unpark(parked);
    /* What it told was taken: it hears of that, whatever became of the question. */
    if (answer.code == 0 ||
        (codes && (answer.code == -ASUP_ETIMEDOUT || answer.code == -ASUP_EBUSY)))
        body_worker_next(c->w, c->engine, answer.list, answer.code == 0 ? answer.list_calls : 0,
                         answer.code == 0 ? answer.list_count : 0, codes);
    else
        rc = call_refused(c, &answer);
    if (rc == CALL_PARKED)
        rc = 0;
    free(codes);
    return rc;
}

/* ---- List ------------------------------------------------------------------------------- */

static bool
worker_does(const struct worker_view *v, const struct proto_text *name)
{
    for (uint32_t i = 0; i < v->name_count; i++) {
        if (v->names[i].size == name->size && memcmp(v->names[i].data, name->data, name->size) == 0)
            return true;
    }
    return name->data == NULL;
}

int
op_worker_list(struct call *c)
{
    const struct args_worker_list *a = &c->args->worker_list;
    const struct kernel *k = c->engine->kernel;
    struct worker_view view;

    pw_map(c->w);
    pw_key(c->w, "workers");
    pw_list(c->w);
    for (uint64_t id = kernel_worker_next(k, 0); id; id = kernel_worker_next(k, id)) {
        if (kernel_worker(k, id, &view) && call_sees(c, view.region, view.uid) &&
            worker_does(&view, &a->name))
            body_worker(c->w, c->engine, &view);
    }
    pw_end(c->w);
    pw_end(c->w);
    return 0;
}
