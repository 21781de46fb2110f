/* SPDX-License-Identifier: MIT */
/*
 * batch: many operations in one message.
 *
 * Atomic: one step of the kernel, all admitted or none; when none, each tells
 * what its own check said, and those that were fine that they were not done.
 * Otherwise each is an operation of its own, in order.
 *
 * The whole answer is kept for a repeat of the request (sessions.h), while this
 * engine lives. After it the kernel knows a repeated atomic batch and what it
 * made, and of the others each operation by its place in the batch (R-IDM-1):
 * what was done before is answered as it was, and what was not, or only read, or
 * was refused, is done now.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/call.h"
#include "daemon/engine/sessions.h"

typedef int input_function(struct call *c, struct input *in);

static input_function *
input_of(enum proto_op_id id)
{
    switch (id) {
    case PROTO_REGION_OPEN:
        return input_region_open;
    case PROTO_REGION_CLOSE:
        return input_region_close;
    case PROTO_TASK_SUBMIT:
        return input_task_submit;
    case PROTO_TASK_CANCEL:
        return input_task_cancel;
    case PROTO_FINALIZER_DEFER:
        return input_finalizer_defer;
    default:
        return NULL;
    }
}

static void
body_of(struct call *c, uint64_t id)
{
    switch (c->op->id) {
    case PROTO_REGION_OPEN:
        body_of_region_open(c, id, NULL);
        return;
    case PROTO_REGION_CLOSE:
        body_of_region_close(c, id);
        return;
    case PROTO_TASK_CANCEL:
        body_of_task_cancel(c, id);
        return;
    default:
        body_of_submit(c, id, NULL);
        return;
    }
}

static void
write_result_error(struct proto_writer *w, const struct proto_error *error)
{
    pw_list(w);
    pw_int(w, error->code);
    proto_error_body(w, error);
    pw_end(w);
}

/* The call of one operation: same caller, nothing to park. Its error is large, and
 * empty all the same when its texts are. */
static void
item_begin(struct call *item, const struct call *batch, const struct proto_call *op)
{
    memcpy(item, batch, offsetof(struct call, error));
    item->exchange = NULL;
    item->op = op->op;
    item->args = op->args;
    item->repeat_id = 0;
    item->digest = op->digest;
    item->key = &op->key;
    item->asked = false;
    item->after = 0;
    item->error.code = 0;
    item->error.field[0] = item->error.message[0] = item->error.hint[0] = '\0';
    item->error.limit[0] = '\0';
    item->error.has_oldest = false;
}

/* What can be said about an operation before it is tried. */
static int
check_item(struct call *c, const struct proto_call *op, bool atomic)
{
    if (op->code != 0) {
        c->error = *op->error;
        return op->code;
    }
    int shown = call_show_cx(c, op->has_cx, op->cx);
    if (shown != 0)
        return shown;
    if (atomic && op->key.key.data)
        return call_fail(c, -ASUP_EUNSUPPORTED, "key", "send it as a request of its own",
                         "an atomic batch takes no idempotency keys");
    if (!(op->op->flags & (atomic ? PROTO_ATOMIC : PROTO_BATCHED)))
        return call_fail(c, -ASUP_EUNSUPPORTED, "op", "send it as a request of its own",
                         "%s cannot stand in %s batch", op->op->name, atomic ? "an atomic" : "a");
    if ((op->op->flags & PROTO_SESSION) && !c->session)
        return call_fail(c, -ASUP_EINVALID, "session", "connect with a session, not without one",
                         "%s needs a session", op->op->name);
    return call_may_begin(c);
}

/* ---- Atomic --------------------------------------------------------------------------- */

static const struct proto_error not_done = {
    .code = -ASUP_EINTERRUPTED,
    .message = "not done: another operation of the batch was refused",
};

/* The kernel has said of each by itself what it is answered; what is wrong in
 * words is told of the first. */
static void
errors_of_codes(struct call *c, const int *codes, const struct answer *a,
                struct proto_error *errors, uint32_t count)
{
    bool first = true;

    for (uint32_t i = 0; i < count; i++) {
        if (codes[i] == 0)
            continue;
        struct answer own = {.code = codes[i]};
        (void)call_refused(c, first ? a : &own);
        errors[i] = c->error;
        errors[i].code = codes[i];
        first = false;
    }
}

static void
write_none_done(struct proto_writer *w, const struct proto_error *errors, uint32_t count)
{
    pw_map(w);
    pw_key(w, "results");
    pw_list(w);
    for (uint32_t i = 0; i < count; i++)
        write_result_error(w, errors[i].code ? &errors[i] : &not_done);
    pw_end(w);
    pw_end(w);
}

static int
batch_atomic(struct call *c, const struct args_batch *a)
{
    struct engine *e = c->engine;
    struct proto_memory *m = e->memory;
    struct input *items = proto_memory_take(m, a->count * sizeof *items);
    struct asup_ref *made = proto_memory_take(m, a->count * sizeof *made);
    struct proto_error *errors = proto_memory_take(m, a->count * sizeof *errors);
    int *codes = proto_memory_take(m, a->count * sizeof *codes);
    struct call item;
    bool good = true;

    if (!items || !made || !errors || !codes)
        return call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory for the batch");
    for (uint32_t i = 0; i < a->count; i++) {
        item_begin(&item, c, &a->ops[i]);
        made[i] = (struct asup_ref){0};
        codes[i] = 0;
        int rc = check_item(&item, &a->ops[i], true);
        if (rc == 0)
            rc = input_of(item.op->id)(&item, &items[i]);
        items[i].caller = item.caller;
        errors[i] = rc ? item.error : (struct proto_error){0};
        good = good && rc == 0;
    }
    if (!good) {
        write_none_done(c->w, errors, a->count);
        c->repeat_id = 0; /* refusals bind nothing */
        return 0;
    }
    struct input in = {
        .kind = IN_BATCH,
        .u.batch = {.items = items, .count = a->count, .made = made, .codes = codes}};
    struct answer answer;
    call_ask(c, &in, &answer);
    if (answer.code != 0) {
        errors_of_codes(c, codes, &answer, errors, a->count);
        for (uint32_t i = 0; good && i < a->count; i++)
            good = codes[i] == 0;
        if (good) /* not about one of them: a conflict, no memory */
            return call_refused(c, &answer);
        write_none_done(c->w, errors, a->count);
        c->repeat_id = 0; /* refusals bind nothing */
        return 0;
    }
    if (made[0].id == 0)
        return call_fail(c, -ASUP_EEXPIRED, "id", "asupersyncctl tree shows what there is",
                         "this batch was done before, and its answer is no longer known");
    pw_map(c->w);
    pw_key(c->w, "results");
    pw_list(c->w);
    for (uint32_t i = 0; i < a->count; i++) {
        item_begin(&item, c, &a->ops[i]);
        pw_list(c->w);
        pw_int(c->w, 0);
        body_of(&item, made[i].id);
        pw_end(c->w);
    }
    pw_end(c->w);
    pw_end(c->w);
    return 0;
}

/* The answer waits for what any of them waits for. */
static void
batch_after(struct call *c, const struct call *item)
{
    uint64_t after = item->asked ? item->after : c->engine->durable_seq;

    c->asked = true;
    if (after > c->after)
        c->after = after;
}

/* ---- One after another ------------------------------------------------------------------- */

static int
batch_plain(struct call *c, const struct args_batch *a)
{
    struct call item;

    pw_map(c->w);
    pw_key(c->w, "results");
    pw_list(c->w);
    for (uint32_t i = 0; i < a->count; i++) {
        item_begin(&item, c, &a->ops[i]);
        item.repeat_id = c->repeat_id;
        item.part.digest = c->digest;
        item.part.place = i;
        item.part.count = a->count;
        int rc = check_item(&item, &a->ops[i], false);
        pw_list(c->w);
        if (rc == 0) {
            /* An operation writes its body only when it succeeds, but its code
             * stands before it: 0 is written, and taken back on refusal. */
            size_t size = c->w->size;
            uint32_t count = c->w->open[c->w->depth - 1].count;
            pw_int(c->w, 0);
            rc = op_functions[item.op->id](&item);
            if (rc != 0 && !c->w->failed) {
                c->w->size = size;
                c->w->open[c->w->depth - 1].count = count;
            }
        }
        batch_after(c, &item);
        if (rc != 0) {
            pw_int(c->w, item.error.code);
            proto_error_body(c->w, &item.error);
        }
        pw_end(c->w);
        engine_settle(c->engine);
    }
    pw_end(c->w);
    pw_end(c->w);
    return 0;
}

int
op_batch(struct call *c)
{
    const struct args_batch *a = &c->args->batch;
    bool repeatable = c->session && c->repeat_id;
    const struct kept_batch *kept = repeatable ? session_batch(c->session, c->repeat_id) : NULL;

    uint64_t digest = 0;

    if (c->key->key.data)
        return call_fail(c, -ASUP_EUNSUPPORTED, "key", "give each operation its own",
                         "a batch as a whole takes no idempotency key");
    if (kept ? kept->digest != c->digest
             : repeatable &&
                   kernel_request(c->engine->kernel, c->session->id, c->repeat_id, &digest) &&
                   digest != c->digest)
        return call_fail(c, -ASUP_ECONFLICT, "id", "use a new request id for a new request",
                         "the same request id was used for another batch");
    if (kept) {
        pw_raw(c->w, kept->data, kept->size);
        return 0;
    }
    size_t begin = c->w->size;
    uint64_t session_id = c->session ? c->session->id : 0;
    int rc = a->atomic ? batch_atomic(c, a) : batch_plain(c, a);
    /* The batch may have ended its own session. */
    if (repeatable && c->repeat_id &&
        idmap_get(&c->engine->session_ids, session_id) == c->session && rc == 0 && !c->w->failed)
        session_keep_batch(c->session, c->repeat_id, c->digest, c->w->data + begin,
                           c->w->size - begin);
    return rc;
}
