/* SPDX-License-Identifier: MIT */
/* The typed calls about tasks. */
#include "typed.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

int
asup_client_task_cancel(struct asup_client *c, struct asup_task task, uint64_t drain_ns,
                        const char *message, struct asup_error_info *err)
{
    union proto_args args;

    if (task.id == 0)
        return error_invalid(err, "task", "a task is needed");
    args_begin(PROTO_TASK_CANCEL, &args);
    args.task_cancel.task = task.id;
    args.task_cancel.drain_ns = drain_ns;
    args.task_cancel.message = text_of(message);
    return typed_call(c, PROTO_TASK_CANCEL, &args, -1, NULL, err);
}

/* Ask something that is answered with T. */
static int
task_answer(struct asup_client *c, enum proto_op_id op, const union proto_args *args,
            int64_t timeout_ms, struct asup_task_info *out, struct asup_error_info *err)
{
    struct typed answer;
    int rc = typed_call(c, op, args, timeout_ms, out != NULL ? &answer : NULL, err);

    if (rc != 0 || out == NULL)
        return rc;
    rc = info_task(&answer.body, answer.memory, out);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    return 0;
}

int
asup_client_task_wait(struct asup_client *c, struct asup_task task, enum asup_until until,
                      int64_t timeout_ms, struct asup_task_info *out, struct asup_error_info *err)
{
    static const enum proto_until wire[] = {
        [ASUP_UNTIL_FINISHED] = PROTO_UNTIL_FINISHED,
        [ASUP_UNTIL_STARTED] = PROTO_UNTIL_STARTED,
        [ASUP_UNTIL_READY] = PROTO_UNTIL_READY,
    };
    union proto_args args;

    if (task.id == 0)
        return error_invalid(err, "task", "a task is needed");
    if ((unsigned)until > ASUP_UNTIL_READY)
        return error_invalid(err, "until", "there is nothing like that to wait for");
    args_begin(PROTO_TASK_WAIT, &args);
    args.task_wait.task = task.id;
    args.task_wait.until = wire[until];
    return task_answer(c, PROTO_TASK_WAIT, &args, timeout_ms, out, err);
}

int
asup_client_task_stat(struct asup_client *c, struct asup_task task, struct asup_task_info *out,
                      struct asup_error_info *err)
{
    union proto_args args;

    if (task.id == 0 || out == NULL)
        return error_invalid(err, "task", "a task and a place for the answer are needed");
    args_begin(PROTO_TASK_STAT, &args);
    args.task.task = task.id;
    return task_answer(c, PROTO_TASK_STAT, &args, -1, out, err);
}

int
asup_client_task_list(struct asup_client *c, const struct asup_list_options *options,
                      struct asup_task_list *out, struct asup_error_info *err)
{
    static const struct asup_list_options defaults;
    struct asup_task_list list = {0};
    const msgpack_object *tasks;
    union proto_args args;
    struct typed answer;
    uint32_t count;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the list");
    if (options == NULL)
        options = &defaults;
    args_begin(PROTO_TASK_LIST, &args);
    if (options->region.id != 0)
        args.task_list.region = target_of(options->region);
    args.task_list.recursive = !options->only_region;
    args.task_list.all = options->all;
    args.task_list.after = options->after.id;
    args.task_list.limit = options->limit != 0 ? options->limit : 1000;
    rc = typed_call(c, PROTO_TASK_LIST, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    tasks = proto_get(&answer.body, "tasks");
    count = proto_list_size(tasks);
    if (count > 0 && (list.items = calloc(count, sizeof *list.items)) == NULL)
        return typed_unreadable(&answer, -ASUP_ENOMEM, err);
    for (; rc == 0 && list.count < count; list.count += rc == 0)
        rc = info_task(proto_list_at(tasks, (uint32_t)list.count), answer.memory,
                       &list.items[list.count]);
    list.more = proto_get_bool(&answer.body, "more", false);
    if (rc != 0) {
        asup_task_list_fini(&list);
        return typed_unreadable(&answer, rc, err);
    }
    typed_end(&answer);
    *out = list;
    return 0;
}

/* ---- For programs that run as tasks --------------------------------------------- */

static int
checkpoint_answer(struct asup_client *c, enum proto_op_id op, const union proto_args *args,
                  struct asup_checkpoint *out, struct asup_error_info *err)
{
    struct asup_checkpoint checkpoint;
    struct typed answer;
    uint64_t mask_left;
    int rc = typed_call(c, op, args, -1, &answer, err);

    if (rc != 0)
        return rc;
    checkpoint.cancel_requested = proto_get_bool(&answer.body, "cancel_requested", false);
    checkpoint.drain_left_ns = proto_get_uint(&answer.body, "drain_left_ns", ASUP_NEVER);
    mask_left = proto_get_uint(&answer.body, "mask_left", 0);
    checkpoint.mask_left = mask_left > UINT32_MAX ? UINT32_MAX : (uint32_t)mask_left;
    rc = info_reason(proto_get(&answer.body, "reason"), answer.memory, &checkpoint.reason);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    *out = checkpoint;
    return 0;
}

static int
checkpoint_ask(struct asup_client *c, struct asup_task task, bool masked,
               struct asup_checkpoint *out, struct asup_error_info *err)
{
    union proto_args args;

    if (task.id == 0 || out == NULL)
        return error_invalid(err, "task", "a task and a place for the answer are needed");
    args_begin(PROTO_TASK_CHECKPOINT, &args);
    args.task_checkpoint.task = task.id;
    args.task_checkpoint.masked = masked;
    return checkpoint_answer(c, PROTO_TASK_CHECKPOINT, &args, out, err);
}

int
asup_client_task_checkpoint(struct asup_client *c, struct asup_task task,
                            struct asup_checkpoint *out, struct asup_error_info *err)
{
    return checkpoint_ask(c, task, false, out, err);
}

int
asup_client_task_checkpoint_masked(struct asup_client *c, struct asup_task task,
                                   struct asup_checkpoint *out, struct asup_error_info *err)
{
    return checkpoint_ask(c, task, true, out, err);
}

static int
progress_ask(struct asup_client *c, struct asup_task task, uint64_t cost, bool masked,
             struct asup_checkpoint *out, struct asup_error_info *err)
{
    union proto_args args;

    if (task.id == 0 || out == NULL)
        return error_invalid(err, "task", "a task and a place for the answer are needed");
    args_begin(PROTO_TASK_PROGRESS, &args);
    args.task_progress.task = task.id;
    args.task_progress.cost = cost;
    args.task_progress.masked = masked;
    return checkpoint_answer(c, PROTO_TASK_PROGRESS, &args, out, err);
}

int
asup_client_task_progress(struct asup_client *c, struct asup_task task, uint64_t cost,
                          struct asup_checkpoint *out, struct asup_error_info *err)
{
    return progress_ask(c, task, cost, false, out, err);
}

int
asup_client_task_progress_masked(struct asup_client *c, struct asup_task task, uint64_t cost,
                                 struct asup_checkpoint *out, struct asup_error_info *err)
{
    return progress_ask(c, task, cost, true, out, err);
}

/* An id of that sort from the environment; 0: none. */
static uint64_t
self_id(const char *variable, enum asup_sort sort)
{
    const char *text = getenv(variable);
    struct asup_ref ref;

    if (text == NULL || asup_ref_parse(text, strlen(text), &ref) != 0 || ref.sort != sort)
        return 0;
    return ref.id;
}

int
asup_self(struct asup_region *region, struct asup_task *task)
{
    uint64_t region_id = self_id("ASUPERSYNC_REGION", ASUP_SORT_REGION);
    uint64_t task_id = self_id("ASUPERSYNC_TASK", ASUP_SORT_TASK);

    if ((region != NULL && region_id == 0) || (task != NULL && task_id == 0))
        return -ASUP_ENOTFOUND;
    if (region != NULL)
        region->id = region_id;
    if (task != NULL)
        task->id = task_id;
    return 0;
}

/* ---- Output ------------------------------------------------------------------------ */

int
asup_client_task_logs(struct asup_client *c, struct asup_task task, uint64_t offset,
                      uint64_t size_max, int64_t timeout_ms, struct asup_log_chunk *out,
                      struct asup_error_info *err)
{
    struct asup_log_chunk chunk = {0};
    struct proto_bytes data;
    union proto_args args;
    struct typed answer;
    int rc;

    if (task.id == 0 || out == NULL)
        return error_invalid(err, "task", "a task and a place for the answer are needed");
    args_begin(PROTO_TASK_LOGS, &args);
    args.task_logs.task = task.id;
    args.task_logs.offset = offset;
    if (size_max != 0)
        args.task_logs.size_max = size_max;
    rc = typed_call(c, PROTO_TASK_LOGS, &args, timeout_ms, &answer, err);
    if (rc != 0)
        return rc;
    data = proto_get_bytes(&answer.body, "data");
    if (data.size > 0) {
        chunk.data = malloc(data.size);
        if (chunk.data == NULL)
            return typed_unreadable(&answer, -ASUP_ENOMEM, err);
        memcpy(chunk.data, data.data, data.size);
    }
    chunk.size = data.size;
    chunk.offset = proto_get_uint(&answer.body, "offset", offset);
    chunk.next_offset = proto_get_uint(&answer.body, "next_offset", chunk.offset + data.size);
    chunk.lost = proto_get_uint(&answer.body, "lost_bytes", 0);
    chunk.end = proto_get_bool(&answer.body, "end", false);
    typed_end(&answer);
    *out = chunk;
    return 0;
}
