/* SPDX-License-Identifier: MIT */
/* The calls of a worker: the rows they stand in, how they are read, and what
 * their functions ask and say of them. */
#include "worker_parts.h"

#include <stdlib.h>
#include <string.h>

/* With all around it one message holds it. */
#define RESULT_MAX (PROTO_SIZE_MAX - 8192)

/* ---- Rows ------------------------------------------------------------------------- */

void
row_add(struct row *r, struct asup_worker_call *call)
{
    call->next = NULL;
    if (r->last != NULL)
        r->last->next = call;
    else
        r->first = call;
    r->last = call;
    r->count++;
}

struct asup_worker_call *
row_take(struct row *r)
{
    struct asup_worker_call *call = r->first;

    if (call == NULL)
        return NULL;
    r->first = call->next;
    if (r->first == NULL)
        r->last = NULL;
    r->count--;
    return call;
}

void
row_remove(struct row *r, struct asup_worker_call *call)
{
    struct asup_worker_call **link = &r->first;
    struct asup_worker_call *last = NULL;

    while (*link != call) {
        last = *link;
        link = &(*link)->next;
    }
    *link = call->next;
    if (r->last == call)
        r->last = last;
    r->count--;
}

struct asup_worker_call *
row_find(const struct row *r, uint64_t task)
{
    struct asup_worker_call *call = r->first;

    while (call != NULL && call->task != task)
        call = call->next;
    return call;
}

void
call_free(struct asup_worker_call *call)
{
    if (call == NULL)
        return;
    free(call->name);
    free(call->key);
    free(call->input);
    free(call->message);
    free(call->result);
    free(call);
}

void
row_free(struct row *r)
{
    struct asup_worker_call *call;

    while ((call = row_take(r)) != NULL)
        call_free(call);
}

/* ---- Reading ----------------------------------------------------------------------------- */

static const struct asup_worker_function *
function_find(const struct worker *w, const char *name)
{
    for (size_t i = 0; i < w->function_count; i++) {
        if (strcmp(w->functions[i].name, name) == 0)
            return &w->functions[i];
    }
    return NULL;
}

static void
budget_read(const msgpack_object *from, struct asup_budget_left *out)
{
    uint64_t polls = proto_get_uint(from, "polls_left", UINT32_MAX);

    out->limit_ns = proto_get_uint(from, "limit_left_ns", ASUP_NEVER);
    out->limit_kind = ASUP_CANCEL_TIMEOUT;
    out->polls = polls < UINT32_MAX ? (uint32_t)polls : UINT32_MAX;
    out->cost = proto_get_uint(from, "cost_left", UINT64_MAX);
    out->priority = (uint8_t)proto_get_uint(from, "priority", 0);
}

struct asup_worker_call *
call_read(struct worker *w, const msgpack_object *from)
{
    struct asup_worker_call *call = calloc(1, sizeof *call);
    const msgpack_object *input = proto_get(from, "input");

    if (call == NULL)
        return NULL;
    call->worker = w;
    call->task = proto_get_ref(from, "task", ASUP_SORT_TASK).id;
    call->region = proto_get_ref(from, "region", ASUP_SORT_REGION).id;
    call->attempt = (uint32_t)proto_get_uint(from, "attempt", 0);
    call->state = proto_get_bool(from, "started", true) ? WORK_READY : WORK_TAKEN;
    call->code = -1;
    call->name = info_text(from, "name");
    call->key = info_text(from, "key");
    budget_read(proto_get(from, "budget"), &call->budget);
    if (input != NULL && input->type == MSGPACK_OBJECT_BIN && input->via.bin.size > 0) {
        call->input = malloc(input->via.bin.size);
        call->input_size = input->via.bin.size;
        if (call->input != NULL)
            memcpy(call->input, input->via.bin.ptr, call->input_size);
    }
    call->function = call->name != NULL ? function_find(w, call->name) : NULL;
    if (call->task == 0 || call->key == NULL || call->function == NULL ||
        (call->input_size > 0 && call->input == NULL)) {
        call_free(call);
        return NULL;
    }
    return call;
}

struct asup_worker_call *
call_failed_new(struct worker *w, uint64_t task, uint32_t attempt, const char *message)
{
    struct asup_worker_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return NULL;
    call->worker = w;
    call->task = task;
    call->attempt = attempt;
    call->state = WORK_ENDED;
    call->outcome = asup_worker_call_fail(call, -1, message);
    return call;
}

/* ---- What functions ask and say
 * ---------------------------------------------------------------------- */

struct asup_task
asup_worker_call_task(const struct asup_worker_call *call)
{
    return (struct asup_task){call->task};
}

struct asup_region
asup_worker_call_region(const struct asup_worker_call *call)
{
    return (struct asup_region){call->region};
}

uint32_t
asup_worker_call_attempt(const struct asup_worker_call *call)
{
    return call->attempt;
}

const char *
asup_worker_call_name(const struct asup_worker_call *call)
{
    return call->name;
}

const char *
asup_worker_call_key(const struct asup_worker_call *call)
{
    return call->key;
}

const void *
asup_worker_call_input(const struct asup_worker_call *call, size_t *size)
{
    if (size != NULL)
        *size = call->input_size;
    return call->input;
}

struct asup_budget_left
asup_worker_call_budget(const struct asup_worker_call *call)
{
    return call->budget;
}

bool
asup_worker_call_cancelled(const struct asup_worker_call *call)
{
    return atomic_load(&call->cancelled);
}

/* What the daemon said to a report. */
static int
reported(struct asup_worker_call *call, int rc, struct asup_checkpoint *said)
{
    if (rc == -ASUP_EEXPIRED || rc == -ASUP_ENOTFOUND) {
        atomic_store(&call->cancelled, true); /* it counts no more */
        return 1;
    }
    if (rc != 0)
        return rc;
    if (said->cancel_requested)
        atomic_store(&call->cancelled, true);
    asup_checkpoint_fini(said);
    return atomic_load(&call->cancelled) ? 1 : 0;
}

int
asup_worker_call_checkpoint(struct asup_worker_call *call)
{
    struct asup_checkpoint said;

    return reported(
        call,
        asup_client_task_checkpoint(call->worker->c, (struct asup_task){call->task}, &said, NULL),
        &said);
}

int
asup_worker_call_progress(struct asup_worker_call *call, uint64_t cost)
{
    struct asup_checkpoint said;

    return reported(call,
                    asup_client_task_progress(call->worker->c, (struct asup_task){call->task}, cost,
                                              &said, NULL),
                    &said);
}

int
asup_worker_call_result(struct asup_worker_call *call, const void *data, size_t size)
{
    void *copy = NULL;

    if (size > RESULT_MAX)
        return -ASUP_ETOOLARGE;
    if (size > 0) {
        copy = malloc(size);
        if (copy == NULL)
            return -ASUP_ENOMEM;
        memcpy(copy, data, size);
    }
    free(call->result);
    call->result = copy;
    call->result_size = size;
    return 0;
}

enum asup_severity
asup_worker_call_fail(struct asup_worker_call *call, int32_t code, const char *message)
{
    size_t size = message != NULL ? strlen(message) : 0;

    call->code = code >= 0 && code <= 255 ? code : -1;
    free(call->message);
    call->message = NULL;
    if (size > ASUP_MESSAGE_MAX) { /* cut at a character */
        size = ASUP_MESSAGE_MAX;
        while (size > 0 && ((unsigned char)message[size] & 0xc0) == 0x80)
            size--;
    }
    if (size > 0)
        call->message = strndup(message, size);
    return ASUP_ERR;
}
