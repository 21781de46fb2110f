/* SPDX-License-Identifier: MIT */
/*
 * Public structures into the arguments of operations. What they point to is
 * borrowed; arrays that have to be built live in the memory that is given.
 */
#include "typed.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- Initial values ----------------------------------------------------------- */

void
asup_budget_request_init(struct asup_budget_request *budget)
{
    *budget = (struct asup_budget_request){
        .timeout_ns = ASUP_NEVER,
        .deadline_at = ASUP_NEVER,
        .deadline_wall_ns = ASUP_NEVER,
        .cost_quota = UINT64_MAX,
        .poll_quota = UINT32_MAX,
    };
}

void
asup_process_init(struct asup_process *process)
{
    *process = (struct asup_process){
        .umask = -1,
        .nice = ASUP_NICE_UNSET,
        .leftover_ns = ASUP_NEVER,
        .drain_ns = ASUP_NEVER,
    };
    asup_budget_request_init(&process->budget);
}

void
asup_region_options_init(struct asup_region_options *options)
{
    *options = (struct asup_region_options){
        .policy = ASUP_POLICY_COLLECT,
        .drain_ns = ASUP_NEVER,
    };
    asup_budget_request_init(&options->budget);
}

/* ---- Parts ------------------------------------------------------------------------ */

struct proto_text
text_of(const char *text)
{
    return (struct proto_text){text, text != NULL ? strlen(text) : 0};
}

struct proto_target
target_of(struct asup_region region)
{
    return (struct proto_target){.ref = {.id = region.id, .sort = ASUP_SORT_REGION}};
}

void
request_budget(const struct asup_budget_request *from, struct proto_budget *to)
{
    to->timeout_ns = from->timeout_ns;
    to->deadline_ns = from->deadline_at;
    to->deadline_wall_ns = from->deadline_wall_ns;
    to->polls = from->poll_quota;
    to->cost = from->cost_quota;
    to->priority = from->priority;
}

static size_t
list_length(const char *const *list)
{
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

static int
request_argv(const char *const *argv, struct proto_memory *m, struct proto_texts *to,
             struct asup_error_info *err)
{
    size_t count = list_length(argv);
    struct proto_text *items;

    if (count == 0)
        return error_invalid(err, "argv", "a program to run is needed");
    if (count > PROTO_ARGS_MAX)
        return error_invalid(err, "argv", "at most 4096 arguments are possible");
    items = proto_memory_take(m, count * sizeof *items);
    if (items == NULL)
        return error_memory(err);
    for (size_t i = 0; i < count; i++)
        items[i] = text_of(argv[i]);
    *to = (struct proto_texts){items, (uint32_t)count};
    return 0;
}

static int
request_env(const char *const *env, struct proto_memory *m, struct proto_environment *to,
            struct asup_error_info *err)
{
    size_t count = list_length(env);
    struct proto_assignment *items;

    if (count == 0)
        return 0;
    if (count > PROTO_ENV_MAX)
        return error_invalid(err, "env", "at most 4096 assignments are possible");
    items = proto_memory_take(m, count * sizeof *items);
    if (items == NULL)
        return error_memory(err);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(env[i], '=');

        if (equals == NULL || equals == env[i])
            return error_invalid(err, "env", "an assignment is NAME=value");
        items[i].name = (struct proto_text){env[i], (size_t)(equals - env[i])};
        items[i].value = text_of(equals + 1);
    }
    *to = (struct proto_environment){items, (uint32_t)count};
    return 0;
}

static const struct proto_rlimit_name *
rlimit_find(const char *name)
{
    for (const struct proto_rlimit_name *known = proto_rlimit_names; known->name != NULL; known++)
        if (name != NULL && strcmp(known->name, name) == 0)
            return known;
    return NULL;
}

static int
request_rlimits(const struct asup_process *from, struct proto_memory *m, struct proto_rlimits *to,
                struct asup_error_info *err)
{
    struct proto_rlimit *items;

    if (from->rlimit_count == 0)
        return 0;
    if (from->rlimits == NULL || from->rlimit_count > 64)
        return error_invalid(err, "rlimits", "at most 64 limits are possible");
    items = proto_memory_take(m, from->rlimit_count * sizeof *items);
    if (items == NULL)
        return error_memory(err);
    for (size_t i = 0; i < from->rlimit_count; i++) {
        const struct proto_rlimit_name *known = rlimit_find(from->rlimits[i].name);

        if (known == NULL)
            return error_invalid(err, "rlimits", "there is no resource limit of that name");
        items[i] = (struct proto_rlimit){
            .resource = known->resource,
            .soft = from->rlimits[i].soft,
            .hard = from->rlimits[i].hard,
        };
    }
    *to = (struct proto_rlimits){items, (uint32_t)from->rlimit_count};
    return 0;
}

/* ---- Whole requests ------------------------------------------------------------------ */

int
request_process(const struct asup_process *from, struct proto_memory *m, struct proto_process *to,
                struct asup_error_info *err)
{
    int rc;

    if (from == NULL)
        return error_invalid(err, "argv", "a program to run is needed");
    proto_process_init(to);
    rc = request_argv(from->argv, m, &to->argv, err);
    if (rc == 0)
        rc = request_env(from->env, m, &to->env, err);
    if (rc == 0)
        rc = request_rlimits(from, m, &to->rlimits, err);
    if (rc != 0)
        return rc;
    if (from->cancel_signal < 0 || from->cancel_signal > 64)
        return error_invalid(err, "cancel_signal", "a signal is 1 to 64");
    if (from->umask < -1 || from->umask > 0777)
        return error_invalid(err, "umask", "a umask is 0 to 0777");
    to->clear_env = from->clear_env;
    to->cwd = text_of(from->cwd);
    to->stdin_path = text_of(from->stdin_path);
    to->stdout_path = text_of(from->stdout_path);
    to->stderr_path = text_of(from->stderr_path);
    to->append = from->append;
    if (from->stdio_token != NULL)
        to->stdio = (struct proto_bytes){from->stdio_token, ASUP_STDIO_TOKEN_SIZE};
    to->tty = from->tty;
    to->user = text_of(from->user);
    if (from->umask >= 0)
        to->umask = (uint64_t)from->umask;
    if (from->nice != ASUP_NICE_UNSET)
        to->nice = from->nice;
    to->memory_max = from->memory_max;
    to->pids_max = from->pids_max;
    if (from->cancel_signal != 0)
        to->cancel_signal = (uint64_t)from->cancel_signal;
    to->leftover_ns = from->leftover_ns;
    to->leftover_wait = from->leftover_wait;
    to->notify = from->notify;
    to->watchdog_ns = from->watchdog_ns;
    to->drain_ns = from->drain_ns;
    to->delay_ns = from->delay_ns;
    to->label = text_of(from->label);
    to->response_ns = from->response_ns;
    to->mask_depth = from->mask_depth;
    request_budget(&from->budget, &to->budget);
    return 0;
}

int
request_region(const struct asup_region_options *from, struct proto_memory *m,
               struct args_region_open *to, struct asup_error_info *err)
{
    struct proto_process *finalizers;

    if (from->parent.id != 0)
        to->parent = target_of(from->parent);
    to->name = text_of(from->name);
    if ((unsigned)from->policy >= ASUP_POLICY_COUNT)
        return error_invalid(err, "policy", "there is no such policy");
    to->policy = from->policy;
    to->quorum = from->quorum;
    request_budget(&from->budget, &to->budget);
    to->drain_ns = from->drain_ns;
    to->soft = from->soft;
    to->strict = from->strict;
    to->is_volatile = from->is_volatile;
    to->is_durable = from->is_durable;
    to->attach = from->attach;
    to->tasks_max = from->tasks_max;
    to->children_max = from->children_max;
    if (from->finalizer_count == 0)
        return 0;
    if (from->finalizers == NULL || from->finalizer_count > PROTO_FINALIZERS_MAX)
        return error_invalid(err, "finalizers", "at most 256 finalizers are possible");
    finalizers = proto_memory_take(m, from->finalizer_count * sizeof *finalizers);
    if (finalizers == NULL)
        return error_memory(err);
    for (size_t i = 0; i < from->finalizer_count; i++) {
        int rc = request_process(&from->finalizers[i], m, &finalizers[i], err);

        if (rc != 0)
            return rc;
    }
    to->finalizers = (struct proto_processes){finalizers, (uint32_t)from->finalizer_count};
    return 0;
}
