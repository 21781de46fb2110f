/* SPDX-License-Identifier: MIT */
/*
 * saga run FILE: the steps of a file, one after the other, in a region of
 * their own that is attached to this session (or in --in REGION).
 *
 *     open the region, begin the saga
 *       -> each step: saga.step, wait for its action
 *         -> complete; or, when one fails or Ctrl-C comes, watch the undoing
 *           -> finish the region, wait until it is closed
 *             -> exit by its outcome
 *
 * If this process is killed its session ends, and with it the region: what was
 * begun is undone all the same.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "asupersync/values.h"

#include "render.h"
#include "request.h"
#include "saga.h"
#include "saga_file.h"
#include "wait.h"

/* How often the undoing is looked at. */
#define LOOK_MS 100
/* Of the output of what failed, its beginning. */
#define OUTPUT_SIZE 2048

struct saga_run {
    struct ctl *ctl;
    json_t *file;
    char *region; /* its own; NULL with --in */
    char *saga;
    int signals;
    const char *cancel_by; /* NULL: nobody */
    unsigned cancels;
    int action_exit; /* of the action that failed; 0: none */
    json_t *seen;    /* step number -> state last shown */
};

/* ---- Lines -------------------------------------------------------------------------------- */

/* "  2/3 charge  done (1.2s)" */
static void
say_step(struct saga_run *run, uint64_t number, const char *name, const char *what,
         enum paint paint, uint64_t ns)
{
    struct look *look = &run->ctl->err;
    struct text line = {0};
    size_t start = 0;

    if (run->ctl->quiet || run->ctl->json)
        return;
    text_addf(&line, "%3llu/%zu ", (unsigned long long)number,
              json_array_size(json_object_get(run->file, "steps")));
    text_safe(&line, look, name, strlen(name));
    text_pad(&line, start, 24);
    text_add(&line, " ");
    text_paint(&line, look, paint, what);
    if (ns != UINT64_MAX) {
        text_add(&line, " (");
        text_span(&line, ns);
        text_add(&line, ")");
    }
    fprintf(stderr, "%s\n", line.data);
    text_free(&line);
}

/* What a task wrote, for whoever wonders why it failed. */
static void
say_output(struct saga_run *run, const char *task)
{
    struct asup_log_chunk logs = {0};
    struct text out = {0};
    struct asup_ref ref;

    if (run->ctl->quiet || run->ctl->json || asup_ref_parse(task, strlen(task), &ref) != 0 ||
        asup_client_task_logs(run->ctl->client, (struct asup_task){.id = ref.id}, 0, OUTPUT_SIZE,
                              1000, &logs, NULL) != 0)
        return;
    for (size_t at = 0; at < logs.size;) {
        const char *line = (const char *)logs.data + at;
        const char *end = memchr(line, '\n', logs.size - at);
        size_t size = end != NULL ? (size_t)(end - line) : logs.size - at;

        text_add(&out, "        | ");
        text_safe(&out, &run->ctl->err, line, size);
        text_add(&out, "\n");
        at += size + 1;
    }
    if (!logs.end && logs.size == OUTPUT_SIZE)
        text_addf(&out, "        more: asupersyncctl logs %s\n", task);
    if (out.size > 0)
        fputs(out.data, stderr);
    text_free(&out);
    asup_log_chunk_fini(&logs);
}

/* ---- Signals -------------------------------------------------------------------------------- */

static int
block_signals(void)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    /* Before the library's threads begin, so that none of them takes one. */
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
take_signals(struct saga_run *run)
{
    struct signalfd_siginfo info;

    while (read(run->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        run->cancel_by = info.ssi_signo == SIGINT    ? "Ctrl-C"
                         : info.ssi_signo == SIGTERM ? "SIGTERM"
                                                     : "SIGHUP";
        run->cancels++;
    }
}

/* ---- The undoing ------------------------------------------------------------------------------
 */

/* What has changed about its steps, the last one first. */
static void
show_changes(struct saga_run *run, const json_t *saga)
{
    const json_t *steps = json_object_get(saga, "steps");

    for (size_t i = json_array_size(steps); i-- > 0;) {
        const json_t *step = json_array_get(steps, i);
        const char *state = get_text(step, "state");
        uint64_t attempts = get_number(step, "attempts", 0);
        char number[24];
        char told[64];
        char what[96];

        if (attempts == 0)
            continue;
        (void)snprintf(number, sizeof number, "%zu", i + 1);
        (void)snprintf(told, sizeof told, "%s %llu", state, (unsigned long long)attempts);
        if (strcmp(get_text(run->seen, number), told) == 0)
            continue;
        json_object_set_new(run->seen, number, json_string(told));
        bool good = strcmp(state, "compensated") == 0;
        bool bad = strcmp(state, "needs-attention") == 0;
        if (strcmp(state, "compensating") == 0)
            (void)snprintf(what, sizeof what, "undoing%s", attempts > 1 ? ", again" : "");
        else
            (void)snprintf(what, sizeof what, "%s",
                           good  ? "undone"
                           : bad ? "could not be undone"
                                 : state);
        say_step(run, i + 1, get_text(step, "name"), what,
                 good  ? PAINT_GOOD
                 : bad ? PAINT_BAD
                       : PAINT_ENDING,
                 UINT64_MAX);
        if (bad)
            say_output(run, get_text(step, "undo"));
    }
}

/* Until it has ended or needs attention. A second signal leaves it to the
 * daemon, which goes on. Returns its last state as an object, or NULL with
 * *exit_code. */
static json_t *
watch_undoing(struct saga_run *run, int *exit_code)
{
    struct asup_error_info error;
    unsigned cancels = run->cancels;

    for (;;) {
        json_t *saga = NULL;
        int rc = ctl_call(run->ctl, "saga.wait", json_pack("{s:s}", "saga", run->saga), LOOK_MS,
                          &saga, &error);
        bool ended = rc == 0;

        if (rc == -ASUP_ETIMEDOUT)
            rc = ctl_call(run->ctl, "saga.stat", json_pack("{s:s}", "saga", run->saga), -1, &saga,
                          &error);
        if (rc != 0) {
            *exit_code = ctl_fail(run->ctl, &error);
            return NULL;
        }
        show_changes(run, saga);
        if (ended)
            return saga;
        json_decref(saga);
        take_signals(run);
        if (run->cancels > cancels) {
            ctl_remark(run->ctl, "%s: the daemon goes on undoing; asupersyncctl saga show %s",
                       run->cancel_by, run->saga);
            *exit_code = 130;
            return NULL;
        }
    }
}

/* ---- The steps
 * ----------------------------------------------------------------------------------- */

static void
abort_saga(struct saga_run *run)
{
    struct asup_error_info error;

    ctl_remark(run->ctl, "%s: undoing what was begun", run->cancel_by);
    (void)ctl_call(run->ctl, "saga.abort",
                   json_pack("{s:s, s:s}", "saga", run->saga, "message", run->cancel_by), 5000,
                   NULL, &error);
}

struct action_answer {
    bool here;
    int code;
    json_t *body;
    struct asup_error_info error;
};

static void
on_action(void *arg, int code, const void *bytes, size_t size)
{
    struct action_answer *answer = arg;

    answer->here = true;
    answer->code = ctl_answer(code, bytes, size, &answer->body, &answer->error);
}

/* The end of an action, or a signal before it; NULL: told, *exit_code. */
static json_t *
wait_action(struct saga_run *run, const char *task, int *exit_code)
{
    struct action_answer answer = {.here = false};
    bool aborted = false;
    int rc = ctl_start(run->ctl, "task.wait", json_pack("{s:s}", "task", task), on_action, &answer,
                       &answer.error);

    while (rc == 0 && !answer.here) {
        struct pollfd fds[] = {{.fd = asup_client_fd(run->ctl->client), .events = POLLIN},
                               {.fd = run->signals, .events = POLLIN}};
        (void)poll(fds, 2, -1);
        (void)asup_client_dispatch(run->ctl->client);
        take_signals(run);
        if (run->cancels > 0 && !aborted && !answer.here) {
            aborted = true;
            abort_saga(run); /* which cancels the action: its end comes */
        }
    }
    if (rc != 0 || answer.code != 0) {
        *exit_code = ctl_fail(run->ctl, &answer.error);
        return NULL;
    }
    return answer.body;
}

/* One step. 0: done; 1: what was begun is being undone; -1: told, *exit_code. */
static int
run_step(struct saga_run *run, size_t number, json_t *given, int *exit_code)
{
    const char *name = get_text(given, "name");
    uint64_t began = now_steady_ns();
    json_t *args = json_copy(given);
    json_t *body = NULL;

    take_signals(run);
    if (run->cancels > 0) {
        json_decref(args);
        abort_saga(run);
        return 1;
    }
    json_object_set_new(args, "saga", json_string(run->saga));
    *exit_code = ctl_ask(run->ctl, "saga.step", args, &body);
    if (*exit_code != 0)
        return -1;
    char *task = must_copy(get_text(body, "task"));
    json_decref(body);
    say_step(run, number, name, "running", PAINT_NONE, UINT64_MAX);
    body = wait_action(run, task, exit_code);
    int rc = -1;
    if (body != NULL) {
        const json_t *outcome = json_object_get(body, "outcome");
        struct text words = {0};

        rc = outcome_severity(outcome) == 0 && run->cancels == 0 ? 0 : 1;
        text_put(&words, "", 0);
        render_outcome(&words, &(struct look){.utf8 = run->ctl->err.utf8}, outcome);
        say_step(run, number, name, outcome_severity(outcome) == 0 ? "done" : words.data,
                 outcome_severity(outcome) == 0 ? PAINT_GOOD : PAINT_BAD, now_steady_ns() - began);
        if (outcome_severity(outcome) != 0) {
            run->action_exit = outcome_exit_code(outcome);
            say_output(run, task);
        }
        text_free(&words);
        json_decref(body);
    }
    free(task);
    return rc;
}

/* ---- Beginning and end
 * ------------------------------------------------------------------------------ */

static int
begin(struct saga_run *run)
{
    struct ctl *ctl = run->ctl;
    const char *in = args_value(&ctl->args, OPTION_IN);
    json_t *body = NULL;
    int rc = 0;

    if (in == NULL) {
        json_t *args = json_pack("{s:b}", "attach", 1);
        request_parent(ctl, args);
        rc = ctl_ask(ctl, "region.open", args, &body);
        if (rc != 0)
            return rc;
        run->region = must_copy(get_text(body, "region"));
        json_decref(body);
    }
    rc = ctl_ask(ctl, "saga.begin",
                 json_pack("{s:s, s:O}", "region", run->region != NULL ? run->region : in, "name",
                           json_object_get(run->file, "name")),
                 &body);
    if (rc != 0)
        return rc;
    run->saga = must_copy(get_text(body, "saga"));
    json_decref(body);
    ctl_remark(ctl, "%s: %s", run->saga, get_text(run->file, "name"));
    return 0;
}

/* Finish the own region; its outcome is the exit code. */
static int
finish(struct saga_run *run, json_t *result)
{
    struct asup_error_info error;
    json_t *body = NULL;
    int rc = ctl_ask(run->ctl, "region.close",
                     json_pack("{s:s, s:s}", "region", run->region, "mode", "finish"), &body);

    json_decref(body);
    body = NULL;
    if (rc != 0)
        return rc;
    if (wait_closed(run->ctl, run->region, UINT64_MAX, &body, &error) != 0)
        return ctl_fail(run->ctl, &error);
    rc = outcome_exit_code(json_object_get(body, "outcome"));
    json_object_set(result, "outcome", json_object_get(body, "outcome"));
    json_decref(body);
    return rc;
}

/* What came of it, in one line, and the exit code. Consumes saga. */
static int
conclude(struct saga_run *run, json_t *saga)
{
    int code = saga_exit_code(saga);
    int exit_code = code;

    if (code == EXIT_NEEDS_ATTENTION) {
        char hint[128];
        (void)snprintf(hint, sizeof hint, "asupersyncctl saga resolve %s --retry, or --resolved",
                       run->saga);
        ctl_remark(run->ctl, "%s needs attention: %s", run->saga, hint);
    } else if (run->region != NULL) {
        exit_code = finish(run, saga);
    }
    if (code < 0) {
        if (run->cancel_by != NULL)
            exit_code = strcmp(run->cancel_by, "Ctrl-C") == 0 ? 130 : 143;
        else if (run->region == NULL || exit_code == 0)
            exit_code = run->action_exit != 0 ? run->action_exit : 1;
        ctl_remark(run->ctl, "%s: everything that was begun is undone", run->saga);
    }
    if (run->ctl->json) {
        json_object_set_new(saga, "exit_code", json_integer(exit_code));
        ctl_print_json(run->ctl, saga);
    } else {
        json_decref(saga);
    }
    return exit_code;
}

static int
drive(struct saga_run *run)
{
    json_t *steps = json_object_get(run->file, "steps");
    json_t *body = NULL;
    int exit_code = begin(run);
    int rc = 0;

    if (exit_code != 0)
        return exit_code;
    for (size_t i = 0; rc == 0 && i < json_array_size(steps); i++)
        rc = run_step(run, i + 1, json_array_get(steps, i), &exit_code);
    if (rc < 0)
        return exit_code;
    if (rc == 0) {
        exit_code =
            ctl_ask(run->ctl, "saga.complete", json_pack("{s:s}", "saga", run->saga), &body);
        if (exit_code != 0)
            return exit_code;
        json_decref(body);
    }
    body = watch_undoing(run, &exit_code);
    return body != NULL ? conclude(run, body) : exit_code;
}

int
saga_run(struct ctl *ctl, const char *path)
{
    struct saga_run run = {.ctl = ctl, .signals = -1};
    struct asup_client_options how;
    struct text error = {0};
    int rc;

    run.file = saga_file_read(path, &error);
    if (run.file == NULL) {
        rc = ctl_usage(ctl, error.data, "asupersyncctl(1) tells what such a file holds");
        text_free(&error);
        return rc;
    }
    run.seen = json_object();
    run.signals = block_signals();
    ctl_client_options(ctl, &how);
    how.session_ttl_ns = ATTACHED_TTL_NS;
    rc = ctl_connect(ctl, &how);
    if (rc == 0)
        rc = drive(&run);
    if (run.signals >= 0)
        close(run.signals);
    json_decref(run.file);
    json_decref(run.seen);
    free(run.region);
    free(run.saga);
    return rc;
}
