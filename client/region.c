/* SPDX-License-Identifier: MIT */
/* The typed calls about regions. */
#include "typed.h"

#include <string.h>

int
asup_client_region_open(struct asup_client *c, const struct asup_region_options *options,
                        struct asup_region *out, struct asup_error_info *err)
{
    struct asup_region_options defaults;
    struct proto_memory *m;
    union proto_args args;
    struct typed answer;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the region");
    if (options == NULL) {
        asup_region_options_init(&defaults);
        options = &defaults;
    }
    m = proto_memory_new();
    if (m == NULL)
        return error_memory(err);
    args_begin(PROTO_REGION_OPEN, &args);
    rc = request_region(options, m, &args.region_open, err);
    if (rc == 0)
        rc = typed_call(c, PROTO_REGION_OPEN, &args, -1, &answer, err);
    proto_memory_free(m);
    if (rc != 0)
        return rc;
    out->id = typed_id(&answer, "region", ASUP_SORT_REGION);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

/* region.stat of an id or a path. */
static int
region_stat(struct asup_client *c, struct proto_target target, struct typed *answer,
            struct asup_error_info *err)
{
    union proto_args args;

    args_begin(PROTO_REGION_STAT, &args);
    args.region_stat.region = target;
    return typed_call(c, PROTO_REGION_STAT, &args, -1, answer, err);
}

int
asup_client_region_find(struct asup_client *c, const char *path, struct asup_region *out,
                        struct asup_error_info *err)
{
    struct typed answer;
    int rc;

    if (path == NULL || path[0] != '/' || out == NULL)
        return error_invalid(err, "region", "a path begins with /");
    rc = region_stat(c, (struct proto_target){.path = text_of(path)}, &answer, err);
    if (rc != 0)
        return rc;
    out->id = typed_id(&answer, "id", ASUP_SORT_REGION);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

int
asup_client_region_stat(struct asup_client *c, struct asup_region region,
                        struct asup_region_info *out, struct asup_error_info *err)
{
    struct typed answer;
    int rc;

    if (out == NULL || region.id == 0)
        return error_invalid(err, "region", "a region and a place for the answer are needed");
    rc = region_stat(c, target_of(region), &answer, err);
    if (rc != 0)
        return rc;
    rc = info_region(&answer.body, answer.memory, out);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    return 0;
}

int
asup_client_region_end(struct asup_client *c, struct asup_region region, enum asup_end_mode mode,
                       uint64_t drain_ns, const char *message, struct asup_error_info *err)
{
    union proto_args args;

    if (region.id == 0)
        return error_invalid(err, "region", "a region is needed");
    if ((unsigned)mode > ASUP_END_CANCEL)
        return error_invalid(err, "mode", "there is no such way to end");
    args_begin(PROTO_REGION_CLOSE, &args);
    args.region_close.region = target_of(region);
    args.region_close.mode = mode;
    args.region_close.drain_ns = drain_ns;
    args.region_close.message = text_of(message);
    return typed_call(c, PROTO_REGION_CLOSE, &args, -1, NULL, err);
}

int
asup_client_region_wait(struct asup_client *c, struct asup_region region, int64_t timeout_ms,
                        struct asup_outcome *out, struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (region.id == 0)
        return error_invalid(err, "region", "a region is needed");
    args_begin(PROTO_REGION_WAIT, &args);
    args.region_wait.region = target_of(region);
    rc = typed_call(c, PROTO_REGION_WAIT, &args, timeout_ms, out != NULL ? &answer : NULL, err);
    if (rc != 0 || out == NULL)
        return rc;
    rc = info_outcome(proto_get(&answer.body, "outcome"), answer.memory, out);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    return 0;
}

/* task.submit and finalizer.defer. */
static int
region_run(struct asup_client *c, enum proto_op_id op, struct asup_region region,
           const struct asup_process *process, struct asup_task *out, struct asup_error_info *err)
{
    struct proto_memory *m;
    union proto_args args;
    struct typed answer;
    uint64_t id;
    int rc;

    if (region.id == 0)
        return error_invalid(err, "region", "a region is needed");
    m = proto_memory_new();
    if (m == NULL)
        return error_memory(err);
    args_begin(op, &args);
    args.submit.region = target_of(region);
    rc = request_process(process, m, &args.submit.process, err);
    if (rc == 0)
        rc = typed_call(c, op, &args, -1, &answer, err);
    proto_memory_free(m);
    if (rc != 0)
        return rc;
    id = typed_id(&answer, "task", ASUP_SORT_TASK);
    if (id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    if (out != NULL)
        out->id = id;
    typed_end(&answer);
    return 0;
}

int
asup_client_task_submit(struct asup_client *c, struct asup_region region,
                        const struct asup_process *process, struct asup_task *out,
                        struct asup_error_info *err)
{
    return region_run(c, PROTO_TASK_SUBMIT, region, process, out, err);
}

int
asup_client_finalizer_defer(struct asup_client *c, struct asup_region region,
                            const struct asup_process *process, struct asup_task *out,
                            struct asup_error_info *err)
{
    return region_run(c, PROTO_FINALIZER_DEFER, region, process, out, err);
}
