/* SPDX-License-Identifier: MIT */
/*
 * Calls and workers: call, workers, worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asupersync/values.h"
#include "asupersync/worker.h"

#include "ctl.h"
#include "fields.h"
#include "render.h"
#include "request.h"
#include "target.h"
#include "verbs.h"

/* How long a cancelled program may take before it is killed. */
enum { KILL_AFTER_MS = 10000, LOOK_MS = 100 };

/* ---- call ----------------------------------------------------------------------------- */

static struct asup_client *interrupted_client;

static void
on_signal(int number)
{
    (void)number;
    asup_client_interrupt(interrupted_client);
}

/* The whole of a file, "-" being standard input. 0 or an exit code. */
static int
read_input(struct ctl *ctl, const char *path, struct text *out)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char part[65536];
    size_t size;
    int rc = 0;

    if (file == NULL)
        return ctl_failf(ctl, -ASUP_EINVALID, "", "cannot read %s: %s", path, strerror(errno));
    while ((size = fread(part, 1, sizeof part, file)) > 0)
        text_put(out, part, size);
    if (ferror(file))
        rc = ctl_failf(ctl, -ASUP_EINVALID, "", "cannot read %s: %s", path, strerror(errno));
    if (file != stdin)
        fclose(file);
    return rc;
}

static int
call_options(struct ctl *ctl, struct asup_call_options *options)
{
    json_t *fields = json_object();
    int rc = request_budget(ctl, fields);

    if (rc == 0)
        rc = request_number(ctl, fields, OPTION_CALL_RETRY, "attempts", 1, UINT16_MAX);
    if (rc == 0)
        rc = request_duration(ctl, fields, OPTION_CALL_BACKOFF, "backoff_ns");
    if (rc == 0)
        rc = request_duration(ctl, fields, OPTION_DRAIN, "drain_ns");
    const json_t *budget = json_object_get(fields, "budget");
    options->attempts = (uint32_t)get_number(fields, "attempts", 0);
    options->backoff_ns = get_number(fields, "backoff_ns", 0);
    options->drain_ns = get_number(fields, "drain_ns", ASUP_NEVER);
    options->label = args_value(&ctl->args, OPTION_LABEL);
    if (budget != NULL) {
        options->budget.timeout_ns = get_number(budget, "timeout_ns", ASUP_NEVER);
        options->budget.deadline_wall_ns = get_number(budget, "deadline_wall_ns", ASUP_NEVER);
        options->budget.poll_quota = (uint32_t)get_number(budget, "polls", UINT32_MAX);
        options->budget.cost_quota = get_number(budget, "cost", UINT64_MAX);
        options->budget.priority = (uint8_t)get_number(budget, "priority", 0);
    }
    json_decref(fields);
    return rc;
}

/* The region for the call: --in, or one of its own that ends with this command. */
static int
call_region(struct ctl *ctl, struct asup_region *out, bool *own, struct asup_error_info *error)
{
    const char *where = request_region(ctl);
    struct asup_region_options options;
    struct asup_ref ref;

    *own = strcmp(where, "/") == 0;
    if (*own) {
        asup_region_options_init(&options);
        options.attach = true;
        return asup_client_region_open(ctl->client, &options, out, error);
    }
    if (asup_ref_parse(where, strlen(where), &ref) == 0 && ref.sort == ASUP_SORT_REGION) {
        out->id = ref.id;
        return 0;
    }
    return asup_client_region_find(ctl->client, where, out, error);
}

static void
call_print(struct ctl *ctl, const struct asup_call_result *result)
{
    json_t *body = NULL;
    char id[ASUP_REF_TEXT_SIZE];

    if (ctl->json) {
        asup_ref_format((struct asup_ref){result->task.id, ASUP_SORT_TASK}, id, sizeof id);
        if (ctl_ask(ctl, "task.stat", json_pack("{s:s}", "task", id), &body) == 0)
            ctl_print_json(ctl, body);
        return;
    }
    if (result->size > 0)
        (void)fwrite(result->data, 1, result->size, stdout);
    if (fflush(stdout) != 0)
        ctl_remark(ctl, "cannot write the result: %s", strerror(errno));
    if (result->outcome.key.severity != ASUP_OK) {
        struct text out = {0};
        const struct asup_reason *reason = result->outcome.reason;
        const char *stage = result->outcome.stage;

        asup_ref_format((struct asup_ref){result->task.id, ASUP_SORT_TASK}, id, sizeof id);
        text_addf(&out, "%s: the call ended %s", id,
                  asup_severity_name(result->outcome.key.severity));
        if (reason != NULL || stage != NULL)
            text_addf(&out, " (%s)",
                      reason != NULL ? asup_cancel_kind_name(reason->key.kind) : stage);
        if (result->message[0] != '\0') {
            text_add(&out, ": ");
            text_safe(&out, &ctl->err, result->message, strlen(result->message));
        }
        ctl_remark(ctl, "%s", out.data);
        text_free(&out);
    }
}

static int
call_make(struct ctl *ctl, const struct asup_call_options *options)
{
    struct asup_error_info error;
    struct asup_call_result result;
    struct asup_region region;
    bool own = false;
    int rc = call_region(ctl, &region, &own, &error);

    if (rc != 0)
        return ctl_fail(ctl, &error);
    interrupted_client = ctl->client;
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    struct asup_task task;
    (void)ctl_next_key(ctl);
    rc = asup_client_call_submit(ctl->client, region, options, &task, &error);
    if (rc == 0 && own)
        rc = asup_client_region_end(ctl->client, region, ASUP_END_FINISH, ASUP_NEVER, NULL, &error);
    if (rc == 0)
        rc = asup_client_call_wait(ctl->client, task, -1, &result, &error);
    if (rc == -ASUP_EINTERRUPTED) {
        (void)asup_client_interrupt_clear(ctl->client);
        rc = asup_client_task_cancel(ctl->client, task, ASUP_NEVER, "interrupted", &error);
        if (rc == 0)
            rc = asup_client_call_wait(ctl->client, task, -1, &result, &error);
    }
    if (rc != 0)
        return ctl_fail(ctl, &error);
    call_print(ctl, &result);
    rc = asup_outcome_exit_code(&result.outcome);
    asup_call_result_fini(&result);
    return rc;
}

int
verb_call(struct ctl *ctl)
{
    const char *path = args_value(&ctl->args, OPTION_INPUT);
    struct asup_call_options options;
    struct text input = {0};
    int rc = 0;

    if (ctl->args.operand_count != 1)
        return ctl_usage(ctl, "call takes the name of a computation", "call resize --input photo");
    asup_call_options_init(&options, ctl->args.operands[0]);
    if (path != NULL)
        rc = read_input(ctl, path, &input);
    options.input = input.data;
    options.input_size = input.size;
    if (rc == 0)
        rc = call_options(ctl, &options);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc == 0)
        rc = call_make(ctl, &options);
    text_free(&input);
    return rc;
}

/* ---- workers -------------------------------------------------------------------------- */

static void
worker_row(struct text *cells, const struct look *look, const json_t *worker)
{
    const json_t *names = json_object_get(worker, "names");

    render_text(&cells[0], look, worker, "worker");
    render_state(&cells[1], look, get_text(worker, "state"));
    text_addf(&cells[2], "%llu/%llu", (unsigned long long)get_number(worker, "running", 0),
              (unsigned long long)get_number(worker, "concurrency", 0));
    if (get_number(worker, "taken", 0) > 0)
        text_addf(&cells[2], "+%llu", (unsigned long long)get_number(worker, "taken", 0));
    text_addf(&cells[3], "%llu", (unsigned long long)get_number(worker, "done", 0));
    text_addf(&cells[4], "%llu", (unsigned long long)get_number(worker, "lost", 0));
    render_text(&cells[5], look, worker, "path");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *name = json_array_get(names, i);
        text_add(&cells[6], i == 0 ? "" : ", ");
        text_safe(&cells[6], look, json_string_value(name), json_string_length(name));
    }
}

static void
render_workers(struct text *out, const struct look *look, const json_t *workers)
{
    static const char *const titles[] = {"WORKER", "STATE",  "CALLS", "DONE",
                                         "LOST",   "REGION", "NAMES"};

    render_table(out, look, &(struct table){titles, 7, worker_row}, workers);
}

int
verb_workers(struct ctl *ctl)
{
    struct asup_client_options how;
    json_t *args = json_object();
    json_t *body = NULL;
    int rc;

    if (ctl->args.operand_count > 0)
        json_object_set_new(args, "name", json_string_nocheck(ctl->args.operands[0]));
    ctl_client_options(ctl, &how);
    how.without_session = true;
    rc = ctl_connect(ctl, &how);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    rc = ctl_ask(ctl, "worker.list", args, &body);
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    struct text out = {0};
    render_workers(&out, &ctl->out, json_object_get(body, "workers"));
    json_decref(body);
    ctl_print(&out);
    return 0;
}

/* ---- worker run: each call is a run of a program ----------------------------------------- */

struct shell_worker {
    struct ctl *ctl;
    char *const *command;
};

/* A file in memory that holds the bytes; -1: none. */
static int
memory_file(const char *name, const void *data, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    size_t done = 0;

    while (fd >= 0 && done < size) {
        ssize_t part = write(fd, (const char *)data + done, size - done);
        if (part <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)part;
    }
    if (fd >= 0)
        (void)lseek(fd, 0, SEEK_SET);
    return fd;
}

/* The environment with what the program may want to know of its call. */
static char **
call_environment(const struct asup_worker_call *call)
{
    static const char *const own[] = {"ASUPERSYNC_CALL=", "ASUPERSYNC_ATTEMPT=",
                                      "ASUPERSYNC_IDEMPOTENCY_KEY=", "ASUPERSYNC_REGION="};
    char region[ASUP_REF_TEXT_SIZE];
    size_t count = 0;

    while (environ[count] != NULL)
        count++;
    char **env = must_alloc(NULL, (count + 6) * sizeof *env);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool replaced = false;
        for (size_t n = 0; n < sizeof own / sizeof own[0]; n++)
            replaced = replaced || strncmp(environ[i], own[n], strlen(own[n])) == 0;
        if (!replaced)
            env[kept++] = must_copy(environ[i]);
    }
    asup_ref_format((struct asup_ref){asup_worker_call_region(call).id, ASUP_SORT_REGION}, region,
                    sizeof region);
    struct text text = {0};
    text_addf(&text, "%s%s", own[0], asup_worker_call_name(call));
    env[kept++] = text.data;
    text = (struct text){0};
    text_addf(&text, "%s%u", own[1], asup_worker_call_attempt(call));
    env[kept++] = text.data;
    text = (struct text){0};
    text_addf(&text, "%s%s", own[2], asup_worker_call_key(call));
    env[kept++] = text.data;
    text = (struct text){0};
    text_addf(&text, "%s%s", own[3], region);
    env[kept++] = text.data;
    env[kept] = NULL;
    return env;
}

/* Start the program in a group of its own. 0 or an errno. */
static int
spawn(const struct shell_worker *w, const struct asup_worker_call *call, int in, int out,
      pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    char **env = call_environment(call);
    sigset_t none;
    int rc;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&how, &none);
    rc = posix_spawnp(pid, w->command[0], &files, &how, w->command, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    for (size_t i = 0; env[i] != NULL; i++)
        free(env[i]);
    free(env);
    return rc;
}

/* Wait for it; a cancel ends it with SIGTERM, and later with SIGKILL. */
static int
wait_program(const struct asup_worker_call *call, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    int asked_ms = -1;
    int status = 0;

    for (;;) {
        struct pollfd ended = {.fd = fd, .events = POLLIN};
        if (poll(&ended, 1, fd >= 0 ? LOOK_MS : 0) > 0 || fd < 0)
            break;
        if (!asup_worker_call_cancelled(call))
            continue;
        if (asked_ms < 0)
            (void)kill(-pid, SIGTERM);
        else if (asked_ms < KILL_AFTER_MS && asked_ms + LOOK_MS >= KILL_AFTER_MS)
            (void)kill(-pid, SIGKILL);
        asked_ms = asked_ms < 0 ? 0 : asked_ms + LOOK_MS;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    (void)kill(-pid, SIGKILL); /* what it left behind */
    if (fd >= 0)
        close(fd);
    return status;
}

/* 0 or an error. */
static int
take_result(struct asup_worker_call *call, int fd)
{
    struct stat st;
    int rc;

    if (fstat(fd, &st) != 0 || st.st_size <= 0)
        return 0;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return -ASUP_ENOMEM;
    rc = asup_worker_call_result(call, data, (size_t)st.st_size);
    (void)munmap(data, (size_t)st.st_size);
    return rc;
}

static enum asup_severity
run_program(struct asup_worker_call *call, void *arg)
{
    const struct shell_worker *w = arg;
    size_t size;
    const void *input = asup_worker_call_input(call, &size);
    int in = memory_file("input", input, size);
    int out = memory_file("result", NULL, 0);
    char message[64];
    pid_t pid;

    if (in < 0 || out < 0) {
        if (in >= 0)
            close(in);
        return asup_worker_call_fail(call, 71, "no memory for the input");
    }
    int rc = spawn(w, call, in, out, &pid);
    int status = rc == 0 ? wait_program(call, pid) : 0;
    int taken = rc == 0 ? take_result(call, out) : 0;
    close(in);
    close(out);
    if (rc != 0)
        return asup_worker_call_fail(call, rc == ENOENT ? 127 : 126, strerror(rc));
    if (taken != 0)
        return asup_worker_call_fail(call, -1,
                                     taken == -ASUP_ETOOLARGE
                                         ? "its result is larger than a message"
                                         : "no memory for its result");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return ASUP_OK;
    if (asup_worker_call_cancelled(call))
        return ASUP_CANCELLED;
    if (WIFEXITED(status))
        return asup_worker_call_fail(call, WEXITSTATUS(status), "");
    snprintf(message, sizeof message, "killed by SIG%s",
             sigabbrev_np(WTERMSIG(status)) != NULL ? sigabbrev_np(WTERMSIG(status)) : "?");
    (void)asup_worker_call_fail(call, -1, message);
    return ASUP_PANICKED;
}

/* What a program did counts no more: whoever looks at the worker may want to know. */
static void
on_refused(void *arg, struct asup_task task, uint32_t attempt, int code)
{
    const struct shell_worker *w = arg;

    ctl_remark(w->ctl, "t%llu, attempt %u: its end was not taken: %s: %s",
               (unsigned long long)task.id, attempt, asup_error_name(-code),
               asup_error_text(-code));
}

static int
worker_options(struct ctl *ctl, struct asup_worker_options *options,
               struct asup_client_options *how)
{
    json_t *fields = json_object();
    int rc = request_number(ctl, fields, OPTION_CONCURRENCY, "threads", 1, 1024);

    if (rc == 0)
        rc = request_duration(ctl, fields, OPTION_WORKER_LEASE, "quiet_ns");
    if (rc == 0)
        rc = request_number(ctl, fields, OPTION_PREFETCH, "prefetch", 0, UINT16_MAX);
    if (rc == 0)
        rc = request_duration(ctl, fields, OPTION_WORKER_TTL, "ttl_ns");
    how->session_ttl_ns = get_number(fields, "ttl_ns", 10 * ASUP_NS_PER_S);
    options->threads = (uint32_t)get_number(fields, "threads", 1);
    options->prefetch = (uint32_t)get_number(fields, "prefetch", 0);
    options->quiet_ns = get_number(fields, "quiet_ns", ASUP_NEVER);
    json_decref(fields);
    return rc;
}

/* SIGINT and SIGTERM end the worker: it takes nothing new and finishes. */
static int
stop_descriptor(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Its commands are to end with it, however it ends: this very program does it
 * as a task, in a region that is attached to this session. It shows nothing
 * there (--no-cx), and so may what its user may, as it would here. */
static int
worker_run_outside(struct ctl *ctl)
{
    static const enum option_id passed[] = {OPTION_CONCURRENCY, OPTION_PREFETCH, OPTION_WORKER_TTL,
                                            OPTION_WORKER_LEASE};
    json_t *words = json_pack("[s, s, s, s, o]", "worker", "run", "--no-cx", "--in",
                              json_string_nocheck(request_region(ctl)));
    json_t *task = json_object();
    int rc = request_self(ctl, task, words, passed, sizeof passed / sizeof passed[0]);

    if (rc != 0) {
        json_decref(task);
        return rc;
    }
    return run_draining(ctl, task);
}

/* Who shows nothing lets its commands show nothing. */
static void
capability_hide(void)
{
    static const char *const own[] = {"ASUPERSYNC_CX", "ASUPERSYNC_TASK", "ASUPERSYNC_WORKDIR"};

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        unsetenv(own[i]);
}

static int
worker_run(struct ctl *ctl)
{
    struct shell_worker shell = {.ctl = ctl, .command = ctl->args.command};
    struct asup_worker_function function = {.fn = run_program, .arg = &shell};
    struct asup_worker_options options;
    struct asup_client_options how;
    struct asup_error_info error;
    const char *where = request_region(ctl);
    bool own;

    if (ctl->args.operand_count != 2 || ctl->args.command == NULL)
        return ctl_usage(ctl, "worker run takes a name and a command",
                         "worker run resize -- convert - -resize 50% -");
    if (!ctl_in_task(ctl) && !args_have(&ctl->args, OPTION_NO_CX))
        return worker_run_outside(ctl);
    asup_worker_options_init(&options);
    ctl_client_options(ctl, &how);
    how.without_session = false;
    if (args_have(&ctl->args, OPTION_NO_CX))
        capability_hide();
    int rc = worker_options(ctl, &options, &how);
    if (rc != 0)
        return rc;
    options.on_refused = on_refused;
    options.on_refused_arg = &shell;
    function.name = ctl->args.operands[1];
    options.stop_fd = stop_descriptor();
    rc = ctl_connect(ctl, &how);
    if (rc != 0)
        return rc;
    if (strcmp(where, "/") != 0) {
        rc = call_region(ctl, &options.region, &own, &error);
        if (rc != 0)
            return ctl_fail(ctl, &error);
    }
    rc = asup_worker_run(ctl->client, &function, 1, &options, &error);
    if (options.stop_fd >= 0)
        close(options.stop_fd);
    return rc != 0 ? ctl_fail(ctl, &error) : 0;
}

static int
worker_drain(struct ctl *ctl)
{
    json_t *body = NULL;
    int rc;

    if (ctl->args.operand_count != 2 || target_of(ctl->args.operands[1]) != TARGET_SESSION)
        return ctl_usage(ctl, "worker drain takes a worker such as s3",
                         "asupersyncctl workers lists them");
    rc = ctl_connect(ctl, NULL);
    if (rc == 0)
        rc = ctl_ask(ctl, "worker.drain", json_pack("{s:s}", "worker", ctl->args.operands[1]),
                     &body);
    if (rc != 0)
        return rc;
    if (ctl->json)
        ctl_print_json(ctl, body);
    else
        json_decref(body);
    return 0;
}

int
verb_worker(struct ctl *ctl)
{
    const char *word = ctl->args.operand_count > 0 ? ctl->args.operands[0] : "";

    if (strcmp(word, "run") == 0)
        return worker_run(ctl);
    if (strcmp(word, "drain") == 0)
        return worker_drain(ctl);
    return ctl_usage(ctl, "worker takes run or drain", "asupersyncctl help worker shows how");
}
