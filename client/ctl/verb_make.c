/* SPDX-License-Identifier: MIT */
/*
 * Verbs that make something and print its id: submit, open, defer.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "asupersync/values.h"

#include "ctl.h"
#include "request.h"
#include "target.h"
#include "wait.h"

/* The id alone for scripts, or the whole answer. Consumes body. */
static void
print_made(struct ctl *ctl, json_t *body, const char *key)
{
    struct text out = {0};

    if (ctl->json) {
        ctl_print_json(ctl, body);
        return;
    }
    text_addf(&out, "%s\n", get_text(body, key));
    json_decref(body);
    ctl_print(&out);
}

/* ---- submit ------------------------------------------------------------------------- */

static int
task_args(struct ctl *ctl, json_t *args)
{
    json_object_set_new(args, "region", json_string_nocheck(request_region(ctl)));
    int rc = request_budget(ctl, args);

    return rc != 0 ? rc : request_process(ctl, args, ctl->args.command, ENVIRONMENT_CLEAN);
}

/* One operation of a batch for each line of the file. */
static int
read_commands(struct ctl *ctl, json_t *ops)
{
    const char *path = args_value(&ctl->args, OPTION_EACH);
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int rc = 0;

    if (file == NULL)
        return ctl_failf(ctl, -ASUP_EINVALID, "", "cannot read %s: %s", path, strerror(errno));
    json_t *common = json_object();
    rc = task_args(ctl, common);
    while (rc == 0 && (size = getline(&line, &capacity, file)) >= 0) {
        if (size > 0 && line[size - 1] == '\n')
            line[--size] = '\0';
        if (line[strspn(line, " \t")] == '\0' || line[strspn(line, " \t")] == '#')
            continue;
        json_t *task = json_copy(common);
        json_t *process = request_shell(line);
        if (args_value(&ctl->args, OPTION_LABEL) != NULL)
            json_object_set_new(process, "label",
                                json_string_nocheck(args_value(&ctl->args, OPTION_LABEL)));
        json_object_update(task, process);
        json_decref(process);
        json_array_append_new(ops, json_pack("[n,s,o]", "task.submit", task));
    }
    if (rc == 0 && ferror(file))
        rc = ctl_failf(ctl, -ASUP_EINVALID, "", "cannot read %s: %s", path, strerror(errno));
    if (rc == 0 && json_array_size(ops) == 0)
        rc = ctl_usage(ctl, "--each: the file holds no command", "one shell command a line");
    if (rc == 0 && json_array_size(ops) > ASUP_BATCH_MAX)
        rc = ctl_usage(ctl, "--each: more than 1024 commands", "split the file");
    json_decref(common);
    free(line);
    if (file != stdin)
        fclose(file);
    return rc;
}

/* Report the first operation that was refused in its own right. */
static int
report_refused(struct ctl *ctl, const json_t *results)
{
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i);
        int code = (int)json_integer_value(json_array_get(result, 0));
        const json_t *body = json_array_get(result, 1);
        if (code != 0 && code != -ASUP_EINTERRUPTED)
            return ctl_failf(ctl, code, get_text(body, "hint"), "command %zu: %s", i + 1,
                             get_text(body, "message"));
    }
    return 0;
}

static int
submit_each(struct ctl *ctl)
{
    json_t *ops = json_array();
    json_t *body = NULL;
    struct text out = {0};
    int rc = read_commands(ctl, ops);

    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc == 0)
        rc = ctl_ask(ctl, "batch", json_pack("{s:O, s:b}", "ops", ops, "atomic", 1), &body);
    json_decref(ops);
    if (rc != 0)
        return rc;
    const json_t *results = json_object_get(body, "results");
    rc = report_refused(ctl, results);
    if (rc != 0)
        goto out;
    json_t *tasks = json_array();
    size_t count = json_array_size(results);
    char **ids = must_alloc(NULL, (count + 1) * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        const json_t *made = json_array_get(json_array_get(results, i), 1);
        ids[i] = must_copy(get_text(made, "task"));
        text_addf(&out, "%s\n", ids[i]);
        json_array_append_new(tasks, json_string(ids[i]));
    }
    if (ctl->json) {
        ctl_print_json(ctl, json_pack("{s:o}", "tasks", tasks));
        text_free(&out);
    } else {
        json_decref(tasks);
        ctl_print(&out);
    }
    if (args_have(&ctl->args, OPTION_WAIT))
        rc = wait_for_all(ctl, ids, count);
    for (size_t i = 0; i < count; i++)
        free(ids[i]);
    free(ids);
out:
    json_decref(body);
    return rc;
}

int
verb_submit(struct ctl *ctl)
{
    json_t *body = NULL;

    if (args_have(&ctl->args, OPTION_EACH))
        return submit_each(ctl);
    json_t *args = json_object();
    int rc = task_args(ctl, args);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    rc = ctl_ask(ctl, "task.submit", args, &body);
    if (rc != 0)
        return rc;
    char *id = must_copy(get_text(body, "task"));
    print_made(ctl, body, "task");
    if (args_have(&ctl->args, OPTION_WAIT))
        rc = wait_for_all(ctl, &id, 1);
    free(id);
    return rc;
}

int
verb_defer(struct ctl *ctl)
{
    json_t *args = json_object();
    json_t *budget = json_object();
    json_t *body = NULL;
    int rc = targets_check(ctl, false, true, false);

    json_object_set_new(args, "region", json_string_nocheck(ctl->args.operands[0]));
    if (rc == 0)
        rc = request_duration(ctl, budget, OPTION_TIMEOUT, "timeout_ns");
    if (json_object_size(budget) > 0)
        json_object_set(args, "budget", budget);
    json_decref(budget);
    if (rc == 0)
        rc = request_process(ctl, args, ctl->args.command, ENVIRONMENT_CLEAN);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    rc = ctl_ask(ctl, "finalizer.defer", args, &body);
    if (rc == 0)
        print_made(ctl, body, "task");
    return rc;
}

/* ---- open ------------------------------------------------------------------------------ */

/* open --attach: stay until the region is closed. The end of this process, of
 * whatever kind, ends the session and so the region; a signal ends it in
 * structure. */
static int
stay_with(struct ctl *ctl, const char *region)
{
    struct asup_error_info error;
    json_t *body = NULL;
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    int signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    unsigned cancels = 0;
    int rc = wait_with_signals(ctl, region, signals, &cancels, &body, &error);
    close(signals);
    if (rc != 0)
        return ctl_fail(ctl, &error);
    int exit_code = outcome_exit_code(json_object_get(body, "outcome"));
    if (ctl->json)
        ctl_print_json(ctl, body);
    else
        json_decref(body);
    return exit_code;
}

int
verb_open(struct ctl *ctl)
{
    bool attach = args_have(&ctl->args, OPTION_ATTACH);
    struct asup_client_options how;
    json_t *args = json_object();
    json_t *body = NULL;
    sigset_t ends;

    request_parent(ctl, args);
    if (attach) {
        json_object_set_new(args, "attach", json_true());
        /* Before the library's threads begin, so that none of them takes one. */
        sigemptyset(&ends);
        sigaddset(&ends, SIGINT);
        sigaddset(&ends, SIGTERM);
        sigaddset(&ends, SIGHUP);
        sigprocmask(SIG_BLOCK, &ends, NULL);
    }
    int rc = request_region_options(ctl, args, ENVIRONMENT_CLEAN);
    ctl_client_options(ctl, &how);
    if (attach)
        how.session_ttl_ns = ATTACHED_TTL_NS;
    if (rc == 0)
        rc = ctl_connect(ctl, &how);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    rc = ctl_ask(ctl, "region.open", args, &body);
    if (rc != 0)
        return rc;
    char *id = must_copy(get_text(body, "region"));
    ctl->stream = attach; /* a second object follows */
    print_made(ctl, body, "region");
    if (attach)
        rc = stay_with(ctl, id);
    free(id);
    return rc;
}
