/* SPDX-License-Identifier: MIT */
#include "daemon/engine/spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/spawn_spec.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* PATH, SOCKET, REGION, TASK, CX, WORKDIR, NOTIFY_SOCKET, SAGA, STEP,
 * IDEMPOTENCY_KEY, and the end. */
enum { ENV_OWN = 11 };

int
spec_decode(struct engine *e, struct bytes raw, struct proto_process *out)
{
    struct proto_error error;

    proto_memory_clear(e->spec_memory);
    int rc = proto_process_decode((struct proto_bytes){.data = raw.data, .size = raw.size},
                                  e->spec_memory, out, &error);
    if (rc == 0)
        return 0;
    return rc == -ASUP_ENOMEM ? -ENOMEM : -EINVAL;
}

/* "NAME=value" in the spec's memory; NULL: none left. */
static char *
assignment(struct engine *e, const char *name, size_t name_size, const char *value,
           size_t value_size)
{
    char *text = proto_memory_take(e->spec_memory, name_size + value_size + 2);

    if (!text)
        return NULL;
    memcpy(text, name, name_size);
    text[name_size] = '=';
    if (value_size)
        memcpy(text + name_size + 1, value, value_size);
    text[name_size + 1 + value_size] = '\0';
    return text;
}

struct environment {
    char **items;
    uint32_t count;
    bool failed;
};

static void
env_add(struct engine *e, struct environment *env, const char *name, const char *value)
{
    char *text = assignment(e, name, strlen(name), value, strlen(value));

    if (text)
        env->items[env->count++] = text;
    else
        env->failed = true;
}

static bool
is_own(const struct proto_text *name)
{
    static const char *const own[] = {
        "ASUPERSYNC_SOCKET", "ASUPERSYNC_REGION",  "ASUPERSYNC_TASK",
        "ASUPERSYNC_CX",     "ASUPERSYNC_WORKDIR", "NOTIFY_SOCKET",
        "ASUPERSYNC_SAGA",   "ASUPERSYNC_STEP",    "ASUPERSYNC_IDEMPOTENCY_KEY"};

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strlen(own[i]) == name->size && memcmp(own[i], name->data, name->size) == 0)
            return true;
    }
    return false;
}

bool
cleanup_key(const struct kernel *k, const struct task_view *task, char out[CLEANUP_KEY_SIZE])
{
    uint64_t saga;
    uint32_t step;
    bool undo = false;

    if (kernel_task_saga(k, task->id, &saga, &step, &undo) && undo)
        (void)snprintf(out, CLEANUP_KEY_SIZE, "g%" PRIu64 ".%" PRIu32, saga, step);
    else if (task->finalizer)
        (void)snprintf(out, CLEANUP_KEY_SIZE, "t%" PRIu64, task->id);
    else
        return false;
    return true;
}

/* Actions and compensations know their step. */
static void
env_of_cleanup(struct engine *e, const struct task_view *task, struct environment *env)
{
    uint64_t saga;
    uint32_t step;
    bool undo = false;
    bool of_saga = kernel_task_saga(e->kernel, task->id, &saga, &step, &undo);
    char text[64];

    if (of_saga) {
        snprintf(text, sizeof text, "g%" PRIu64, saga);
        env_add(e, env, "ASUPERSYNC_SAGA", text);
        snprintf(text, sizeof text, "%" PRIu32, step);
        env_add(e, env, "ASUPERSYNC_STEP", text);
    }
    if (cleanup_key(e->kernel, task, text))
        env_add(e, env, "ASUPERSYNC_IDEMPOTENCY_KEY", text);
}

/* Base, then the request's, then what is always so: the last word about a name
 * is the only one, so nothing stands there twice. */
static bool
make_environment(struct engine *e, const struct task_view *task, const struct proto_process *p,
                 const char *notify_path, struct environment *env)
{
    char text[512];
    bool has_path = false;

    env->items = proto_memory_take(e->spec_memory, (p->env.count + ENV_OWN) * sizeof(char *));
    if (!env->items)
        return false;
    for (uint32_t i = 0; i < p->env.count; i++) {
        const struct proto_assignment *a = &p->env.items[i];
        if (is_own(&a->name))
            continue;
        has_path = has_path || (a->name.size == 4 && memcmp(a->name.data, "PATH", 4) == 0);
        char *item = assignment(e, a->name.data, a->name.size, a->value.data, a->value.size);
        if (item)
            env->items[env->count++] = item;
        else
            env->failed = true;
    }
    if (!has_path && !p->clear_env)
        env_add(e, env, "PATH", PATH_DEFAULT);
    snprintf(text, sizeof text, "ipc://%s", e->socket_path);
    env_add(e, env, "ASUPERSYNC_SOCKET", text);
    snprintf(text, sizeof text, "r%" PRIu64, task->region);
    env_add(e, env, "ASUPERSYNC_REGION", text);
    snprintf(text, sizeof text, "%s/r%" PRIu64, e->hello.work_dir, task->region);
    env_add(e, env, "ASUPERSYNC_WORKDIR", text);
    snprintf(text, sizeof text, "t%" PRIu64, task->id);
    env_add(e, env, "ASUPERSYNC_TASK", text);
    cx_text(&e->cx_key, CX_TASK, task->id, text);
    env_add(e, env, "ASUPERSYNC_CX", text);
    env_of_cleanup(e, task, env);
    if (notify_path)
        env_add(e, env, "NOTIFY_SOCKET", notify_path);
    return !env->failed;
}

static bool
is_null(const struct proto_text *path)
{
    return path->data && strcmp(path->data, "/dev/null") == 0;
}

/* Output that is thrown away needs no log, nor files to be opened. */
static void
make_stdio(const struct proto_process *p, struct spawn_header *h, struct spawn_strings *s)
{
    if (p->stdio.data) {
        h->stdio = SPAWN_STDIO_PASSED;
    } else if (is_null(&p->stdout_path) && is_null(&p->stderr_path)) {
        h->stdio = SPAWN_STDIO_NULL;
        s->path[1] = s->path[2] = NULL;
    }
    for (int i = 0; i < 3; i++)
        h->has_path[i] = s->path[i] != NULL;
}

static void
make_header(const struct proto_process *p, struct spawn_header *h)
{
    *h = (struct spawn_header){
        .magic = SPAWN_SPEC_MAGIC,
        .arg_count = p->argv.count,
        .clear_env = p->clear_env,
        .tty = p->tty,
        .has_cwd = p->cwd.data != NULL,
        .path_append = p->append,
        .umask = p->umask == PROTO_UNSET ? -1 : (int32_t)p->umask,
        .nice = p->nice == PROTO_UNSET_INT ? INT32_MIN : (int32_t)p->nice,
        .memory_max = p->memory_max,
        .pids_max = p->pids_max,
    };
    for (int i = 0; i < SPAWN_RLIMIT_MAX; i++)
        h->rlimit_soft[i] = h->rlimit_hard[i] = SPAWN_RLIMIT_UNSET;
    for (uint32_t i = 0; i < p->rlimits.count; i++) {
        const struct proto_rlimit *r = &p->rlimits.items[i];
        if (r->resource >= SPAWN_RLIMIT_MAX)
            continue;
        h->rlimit_soft[r->resource] = r->soft;
        h->rlimit_hard[r->resource] = r->hard;
    }
}

int
spec_build(struct engine *e, const struct task_view *task, const struct proto_process *p,
           const char *notify_path)
{
    struct spawn_header header;
    struct environment env = {0};
    char **args = proto_memory_take(e->spec_memory, (p->argv.count + 1) * sizeof *args);

    if (!args || !make_environment(e, task, p, notify_path, &env))
        return -ENOMEM;
    /* The spec only reads them, though its type does not say so. */
    for (uint32_t i = 0; i < p->argv.count; i++)
        memcpy(&args[i], &p->argv.items[i].data, sizeof args[i]);
    args[p->argv.count] = NULL;
    env.items[env.count] = NULL;
    make_header(p, &header);
    header.env_count = env.count;
    struct spawn_strings strings = {
        .cwd = p->cwd.data,
        .path = {p->stdin_path.data, p->stdout_path.data, p->stderr_path.data},
        .args = args,
        .env = env.items,
    };
    make_stdio(p, &header, &strings);
    return spawn_spec_seal(&header, &strings);
}
