/* SPDX-License-Identifier: MIT */
/* The typed calls about sagas. */
#include "asupersync/saga.h"

#include "typed.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

void
asup_saga_step_init(struct asup_saga_step *step)
{
    *step = (struct asup_saga_step){.backoff_ns = ASUP_NEVER, .backoff_most_ns = ASUP_NEVER};
}

/* ---- Answers --------------------------------------------------------------------------- */

void
asup_saga_info_fini(struct asup_saga_info *info)
{
    if (info == NULL)
        return;
    for (size_t i = 0; i < info->step_count; i++)
        free(info->steps[i].name);
    free(info->steps);
    free(info->name);
    free(info->path);
    memset(info, 0, sizeof *info);
}

static int
state_of(const msgpack_object *map, const char *const *names, int count)
{
    const char *name = proto_get_text(map, "state");

    for (int i = 0; name != NULL && i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

static int
info_step(const msgpack_object *from, struct asup_saga_step_info *out)
{
    static const char *const names[] = {
#define NAME(name, number, wire) [number] = (wire),
        ASUP_STEP_STATE_LIST(NAME)
#undef NAME
    };
    int state = state_of(from, names, (int)(sizeof names / sizeof names[0]));

    if (state < 0)
        return -ASUP_EMALFORMED;
    out->state = (enum asup_step_state)state;
    out->action.id = proto_get_ref(from, "action", ASUP_SORT_TASK).id;
    out->undo.id = proto_get_ref(from, "undo", ASUP_SORT_TASK).id;
    out->attempts = (uint32_t)proto_get_uint(from, "attempts", 0);
    out->attempts_most = (uint32_t)proto_get_uint(from, "attempts_most", 0);
    out->next_in_ns = proto_get_uint(from, "next_in_ns", ASUP_NEVER);
    out->name = info_text(from, "name");
    return out->name != NULL ? 0 : -ASUP_ENOMEM;
}

static int
info_steps(const msgpack_object *list, struct asup_saga_info *out)
{
    uint32_t count = proto_list_size(list);
    int rc = 0;

    if (count > 0 && (out->steps = calloc(count, sizeof *out->steps)) == NULL)
        return -ASUP_ENOMEM;
    for (; rc == 0 && out->step_count < count; out->step_count += rc == 0)
        rc =
            info_step(proto_list_at(list, (uint32_t)out->step_count), &out->steps[out->step_count]);
    return rc;
}

static int
info_saga(const msgpack_object *from, struct asup_saga_info *out)
{
    static const char *const names[] = {
#define NAME(name, number, wire) [number] = (wire),
        ASUP_SAGA_STATE_LIST(NAME)
#undef NAME
    };
    int state = state_of(from, names, (int)(sizeof names / sizeof names[0]));
    const char *driver = proto_get_text(from, "driver");
    int rc;

    memset(out, 0, sizeof *out);
    out->saga.id = proto_get_ref(from, "id", ASUP_SORT_SAGA).id;
    out->region.id = proto_get_ref(from, "region", ASUP_SORT_REGION).id;
    if (state < 0 || out->saga.id == 0)
        return -ASUP_EMALFORMED;
    out->state = (enum asup_saga_state)state;
    if (driver != NULL)
        (void)asup_ref_parse(driver, strlen(driver), &out->driver);
    out->step_at = (uint32_t)proto_get_uint(from, "step_at", 0);
    out->age_ns = proto_get_uint(from, "age_ns", 0);
    out->name = info_text(from, "name");
    out->path = info_text(from, "path");
    rc = out->name != NULL && out->path != NULL ? info_steps(proto_get(from, "steps"), out)
                                                : -ASUP_ENOMEM;
    if (rc != 0)
        asup_saga_info_fini(out);
    return rc;
}

/* Ask something that is answered with G. */
static int
saga_answer(struct asup_client *c, enum proto_op_id op, const union proto_args *args,
            int64_t timeout_ms, struct asup_saga_info *out, struct asup_error_info *err)
{
    struct typed answer;
    int rc = typed_call(c, op, args, timeout_ms, out != NULL ? &answer : NULL, err);

    if (rc != 0 || out == NULL)
        return rc;
    rc = info_saga(&answer.body, out);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    return 0;
}

/* ---- Calls -------------------------------------------------------------------------------- */

int
asup_client_saga_begin(struct asup_client *c, struct asup_region region, const char *name,
                       struct asup_saga *out, struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (region.id == 0 || out == NULL)
        return error_invalid(err, "region", "a region and a place for the saga are needed");
    args_begin(PROTO_SAGA_BEGIN, &args);
    args.saga_begin.region = target_of(region);
    args.saga_begin.name = text_of(name);
    rc = typed_call(c, PROTO_SAGA_BEGIN, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    out->id = typed_id(&answer, "saga", ASUP_SORT_SAGA);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

/* A program or a call. */
static int
step_part(const struct asup_process *process, const struct asup_call_options *call,
          struct proto_memory *m, struct proto_process *to, struct asup_error_info *err)
{
    if (call == NULL)
        return request_process(process, m, to, err);
    if (process != NULL || call->name == NULL)
        return error_invalid(err, "call", "it is a program, or a call with a name");
    request_call(call, to);
    return 0;
}

static int
step_args(const struct asup_saga_step *step, struct proto_memory *m, struct args_saga_step *to,
          struct asup_error_info *err)
{
    int rc = step_part(step->undo, step->undo_call, m, &to->undo, err);

    to->name = text_of(step->name);
    to->retry.attempts = step->attempts;
    to->retry.backoff_ns = step->backoff_ns;
    to->retry.backoff_most_ns = step->backoff_most_ns;
    if (rc == 0 && (step->action != NULL || step->action_call != NULL))
        rc = step_part(step->action, step->action_call, m, &to->action, err);
    return rc;
}

int
asup_client_saga_step(struct asup_client *c, struct asup_saga saga,
                      const struct asup_saga_step *step, struct asup_saga_stepped *out,
                      struct asup_error_info *err)
{
    struct proto_memory *m;
    union proto_args args;
    struct typed answer;
    int rc;

    if (saga.id == 0 || step == NULL || step->name == NULL ||
        (step->undo == NULL && step->undo_call == NULL))
        return error_invalid(err, "saga", "a saga and a step with a name and an undo are needed");
    m = proto_memory_new();
    if (m == NULL)
        return error_memory(err);
    args_begin(PROTO_SAGA_STEP, &args);
    args.saga_step.saga = saga.id;
    rc = step_args(step, m, &args.saga_step, err);
    if (rc == 0)
        rc = typed_call(c, PROTO_SAGA_STEP, &args, -1, out != NULL ? &answer : NULL, err);
    proto_memory_free(m);
    if (rc != 0 || out == NULL)
        return rc;
    out->number = (uint32_t)proto_get_uint(&answer.body, "step", 0);
    out->task.id = typed_id(&answer, "task", ASUP_SORT_TASK);
    typed_end(&answer);
    return 0;
}

int
asup_client_saga_complete(struct asup_client *c, struct asup_saga saga, struct asup_error_info *err)
{
    union proto_args args;

    if (saga.id == 0)
        return error_invalid(err, "saga", "a saga is needed");
    args_begin(PROTO_SAGA_COMPLETE, &args);
    args.saga.saga = saga.id;
    return typed_call(c, PROTO_SAGA_COMPLETE, &args, -1, NULL, err);
}

int
asup_client_saga_abort(struct asup_client *c, struct asup_saga saga, const char *message,
                       struct asup_error_info *err)
{
    union proto_args args;

    if (saga.id == 0)
        return error_invalid(err, "saga", "a saga is needed");
    args_begin(PROTO_SAGA_ABORT, &args);
    args.saga_abort.saga = saga.id;
    args.saga_abort.message = text_of(message);
    return typed_call(c, PROTO_SAGA_ABORT, &args, -1, NULL, err);
}

int
asup_client_saga_resolve(struct asup_client *c, struct asup_saga saga, bool retry,
                         struct asup_error_info *err)
{
    union proto_args args;

    if (saga.id == 0)
        return error_invalid(err, "saga", "a saga is needed");
    args_begin(PROTO_SAGA_RESOLVE, &args);
    args.saga_resolve.saga = saga.id;
    args.saga_resolve.how = retry ? PROTO_HOW_RETRY : PROTO_HOW_RESOLVE;
    return typed_call(c, PROTO_SAGA_RESOLVE, &args, -1, NULL, err);
}

int
asup_client_saga_wait(struct asup_client *c, struct asup_saga saga, int64_t timeout_ms,
                      struct asup_saga_info *out, struct asup_error_info *err)
{
    union proto_args args;

    if (saga.id == 0)
        return error_invalid(err, "saga", "a saga is needed");
    args_begin(PROTO_SAGA_WAIT, &args);
    args.saga_wait.saga = saga.id;
    return saga_answer(c, PROTO_SAGA_WAIT, &args, timeout_ms, out, err);
}

int
asup_client_saga_stat(struct asup_client *c, struct asup_saga saga, struct asup_saga_info *out,
                      struct asup_error_info *err)
{
    union proto_args args;

    if (saga.id == 0 || out == NULL)
        return error_invalid(err, "saga", "a saga and a place for the answer are needed");
    args_begin(PROTO_SAGA_STAT, &args);
    args.saga.saga = saga.id;
    return saga_answer(c, PROTO_SAGA_STAT, &args, -1, out, err);
}
