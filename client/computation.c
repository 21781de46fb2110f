/* SPDX-License-Identifier: MIT */
/* The typed calls about calls: tasks that a worker does. */
#include "typed.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/worker.h"

void
asup_call_options_init(struct asup_call_options *options, const char *name)
{
    *options = (struct asup_call_options){.name = name, .drain_ns = ASUP_NEVER};
    asup_budget_request_init(&options->budget);
}

void
asup_call_result_fini(struct asup_call_result *result)
{
    if (result == NULL)
        return;
    asup_outcome_fini(&result->outcome);
    free(result->message);
    free(result->data);
    memset(result, 0, sizeof *result);
}

void
request_call(const struct asup_call_options *from, struct proto_process *to)
{
    to->call = text_of(from->name);
    if (from->input_size > 0)
        to->input = (struct proto_bytes){from->input, from->input_size};
    to->label = text_of(from->label);
    to->retry.attempts = from->attempts;
    if (from->backoff_ns != 0)
        to->retry.backoff_ns = from->backoff_ns;
    if (from->backoff_most_ns != 0)
        to->retry.backoff_most_ns = from->backoff_most_ns;
    to->delay_ns = from->delay_ns;
    to->drain_ns = from->drain_ns;
    request_budget(&from->budget, &to->budget);
}

int
asup_client_call_submit(struct asup_client *c, struct asup_region region,
                        const struct asup_call_options *options, struct asup_task *out,
                        struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (region.id == 0 || options == NULL || options->name == NULL || out == NULL)
        return error_invalid(err, "call", "a region, a name and a place for the task are needed");
    args_begin(PROTO_TASK_SUBMIT, &args);
    args.submit.region = target_of(region);
    request_call(options, &args.submit.process);
    rc = typed_call(c, PROTO_TASK_SUBMIT, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    out->id = typed_id(&answer, "task", ASUP_SORT_TASK);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

/* What T says of a call that ended. */
static int
info_call_result(const msgpack_object *from, struct proto_memory *m, struct asup_call_result *out)
{
    const msgpack_object *outcome = proto_get(from, "outcome");
    const msgpack_object *result = proto_get(from, "result");
    int rc;

    memset(out, 0, sizeof *out);
    out->task.id = proto_get_ref(from, "id", ASUP_SORT_TASK).id;
    if (out->task.id == 0 || outcome == NULL)
        return -ASUP_EMALFORMED;
    out->attempt = (uint32_t)proto_get_uint(from, "attempt", 0);
    rc = info_outcome(outcome, m, &out->outcome);
    if (rc != 0)
        return rc;
    out->message = info_text(from, "message");
    if (result != NULL && result->type == MSGPACK_OBJECT_BIN && result->via.bin.size > 0) {
        out->data = malloc(result->via.bin.size);
        out->size = result->via.bin.size;
        if (out->data != NULL)
            memcpy(out->data, result->via.bin.ptr, out->size);
    }
    if (out->message == NULL || (out->size > 0 && out->data == NULL)) {
        asup_call_result_fini(out);
        return -ASUP_ENOMEM;
    }
    return 0;
}

int
asup_client_call_wait(struct asup_client *c, struct asup_task task, int64_t timeout_ms,
                      struct asup_call_result *out, struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (task.id == 0 || out == NULL)
        return error_invalid(err, "task", "a task and a place for its result are needed");
    args_begin(PROTO_TASK_WAIT, &args);
    args.task_wait.task = task.id;
    rc = typed_call(c, PROTO_TASK_WAIT, &args, timeout_ms, &answer, err);
    if (rc != 0)
        return rc;
    if (proto_get_text(&answer.body, "call") == NULL) {
        typed_end(&answer);
        return error_invalid(err, "task", "the task is a program, not a call");
    }
    rc = info_call_result(&answer.body, answer.memory, out);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    return 0;
}

int
asup_client_call_run(struct asup_client *c, struct asup_region region,
                     const struct asup_call_options *options, int64_t timeout_ms,
                     struct asup_call_result *out, struct asup_error_info *err)
{
    struct asup_task task = {0};
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the result");
    rc = asup_client_call_submit(c, region, options, &task, err);
    if (rc != 0)
        return rc;
    rc = asup_client_call_wait(c, task, timeout_ms, out, err);
    if (rc != 0)
        *out = (struct asup_call_result){.task = task};
    return rc;
}
