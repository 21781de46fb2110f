/* SPDX-License-Identifier: MIT */
/*
 * saga: a file of steps (saga_run.c), or one saga driven by hand from a shell
 * script: begin, step, complete, abort; and for operators list, show, wait,
 * resolve.
 */
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

#include "request.h"
#include "saga.h"
#include "wait.h"

/* The id alone for scripts, or the whole answer. Consumes body. */
static int
print_id(struct ctl *ctl, json_t *body, const char *key)
{
    struct text out = {0};

    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    text_addf(&out, "%s\n", get_text(body, key));
    json_decref(body);
    ctl_print(&out);
    return 0;
}

static int
check_saga(struct ctl *ctl, const char *operand)
{
    struct asup_ref ref;
    struct text message = {0};

    if (asup_ref_parse(operand, strlen(operand), &ref) == 0 && ref.sort == ASUP_SORT_SAGA)
        return 0;
    text_addf(&message, "'%s' is no saga", operand);
    int exit_code =
        ctl_usage(ctl, message.data, "sagas are named g2; asupersyncctl saga list shows them");
    text_free(&message);
    return exit_code;
}

/* Operands after the word: at least so many, at most so many (-1: any). */
static int
check_count(struct ctl *ctl, int least, int most, const char *synopsis)
{
    int count = ctl->args.operand_count - 1;
    struct text hint = {0};

    if (count >= least && (most < 0 || count <= most))
        return 0;
    text_addf(&hint, "asupersyncctl saga %s", synopsis);
    int exit_code = ctl_usage(
        ctl, count < least ? "saga: an argument is missing" : "saga: there are too many arguments",
        hint.data);
    text_free(&hint);
    return exit_code;
}

static int
look(struct ctl *ctl)
{
    struct asup_client_options how;

    ctl_client_options(ctl, &how);
    how.without_session = true;
    return ctl_connect(ctl, &how);
}

/* ---- By hand ---------------------------------------------------------------------------- */

static int
saga_begin(struct ctl *ctl)
{
    char **operands = ctl->args.operands;
    const char *name = args_value(&ctl->args, OPTION_SAGA_NAME);
    json_t *body = NULL;
    int rc = check_count(ctl, 0, 1, "begin [REGION] [--name NAME]");

    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc != 0)
        return rc;
    json_t *args = json_pack(
        "{s:o}", "region",
        json_string_nocheck(ctl->args.operand_count > 1 ? operands[1] : request_region(ctl)));
    if (name != NULL)
        json_object_set_new(args, "name", json_string_nocheck(name));
    rc = ctl_ask(ctl, "saga.begin", args, &body);
    return rc != 0 ? rc : print_id(ctl, body, "saga");
}

/* What a step asks for: its compensation, and its action when there is one. */
static int
step_args(struct ctl *ctl, json_t *args)
{
    char **operands = ctl->args.operands;
    const char *line = args_value(&ctl->args, OPTION_UNDO);
    char program[] = "/bin/sh";
    char option[] = "-c";
    char *command = must_copy(line);
    char *shell[] = {program, option, command, NULL};
    json_t *undo = json_object();
    json_t *budget = json_object();
    json_t *retry = json_object();
    json_t *label = request_shell(line);
    int rc = request_process(ctl, undo, shell, ENVIRONMENT_CLEAN);

    free(command);
    json_object_set_new(args, "saga", json_string_nocheck(operands[1]));
    json_object_set_new(args, "name", json_string_nocheck(operands[2]));
    json_object_set(undo, "label", json_object_get(label, "label"));
    json_decref(label);
    if (rc == 0)
        rc = request_duration(ctl, budget, OPTION_UNDO_TIMEOUT, "timeout_ns");
    if (json_object_size(budget) > 0)
        json_object_set(undo, "budget", budget);
    json_object_set_new(args, "undo", undo);
    if (rc == 0)
        rc = request_number(ctl, retry, OPTION_ATTEMPTS, "attempts", 1, 1000);
    if (rc == 0)
        rc = request_duration(ctl, retry, OPTION_BACKOFF, "backoff_ns");
    if (json_object_size(retry) > 0)
        json_object_set(args, "retry", retry);
    json_decref(retry);
    json_object_clear(budget);
    if (rc == 0 && ctl->args.operand_count > 3) {
        json_t *action = json_object();
        rc = request_process(ctl, action, operands + 3, ENVIRONMENT_CLEAN);
        if (rc == 0)
            rc = request_duration(ctl, budget, OPTION_SAGA_TIMEOUT, "timeout_ns");
        if (json_object_size(budget) > 0)
            json_object_set(action, "budget", budget);
        json_object_set_new(args, "action", action);
    }
    json_decref(budget);
    return rc;
}

static int
saga_step(struct ctl *ctl)
{
    json_t *args = json_object();
    json_t *body = NULL;
    int rc = check_count(ctl, 2, -1, "step SAGA NAME --undo CMD [-- CMD [ARG...]]");

    if (rc == 0)
        rc = check_saga(ctl, ctl->args.operands[1]);
    if (rc == 0 && args_value(&ctl->args, OPTION_UNDO) == NULL)
        rc = ctl_usage(ctl, "a step needs what makes up for it: --undo CMD",
                       "asupersyncctl saga step g2 charge --undo './refund 17' -- ./charge 17");
    if (rc == 0)
        rc = step_args(ctl, args);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    rc = ctl_ask(ctl, "saga.step", args, &body);
    if (rc != 0)
        return rc;
    char *task = must_copy(get_text(body, "task"));
    if (task[0] != '\0' || ctl->json)
        rc = print_id(ctl, body, "task");
    else
        json_decref(body);
    if (args_have(&ctl->args, OPTION_WAIT) && task[0] != '\0')
        rc = wait_for_all(ctl, &task, 1);
    free(task);
    return rc;
}

/* Wait until it has ended, or needs attention. To be undone is what an abort
 * wants, and a failure to who waits for its completion. */
static int
wait_ended(struct ctl *ctl, const char *id, uint64_t deadline, int undone_exit)
{
    struct asup_error_info error;
    struct text out = {0};
    json_t *body = NULL;

    if (ctl_call(ctl, "saga.wait", json_pack("{s:s}", "saga", id), wait_left_ms(deadline), &body,
                 &error) != 0)
        return ctl_fail(ctl, &error);
    int exit_code = saga_exit_code(body);
    if (exit_code < 0)
        exit_code = undone_exit;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return exit_code;
    }
    text_addf(&out, "%s: ", id);
    render_saga_state(&out, &ctl->err, get_text(body, "state"));
    if (!ctl->quiet)
        fprintf(stderr, "%s\n", out.data);
    text_free(&out);
    json_decref(body);
    return exit_code;
}

static int
saga_change(struct ctl *ctl, const char *op, const char *synopsis)
{
    const char *message = args_value(&ctl->args, OPTION_MESSAGE);
    json_t *body = NULL;
    int rc = check_count(ctl, 1, 1, synopsis);

    if (rc == 0)
        rc = check_saga(ctl, ctl->args.operands[1]);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc != 0)
        return rc;
    json_t *args = json_pack("{s:s}", "saga", ctl->args.operands[1]);
    if (message != NULL)
        json_object_set_new(args, "message", json_string_nocheck(message));
    rc = ctl_ask(ctl, op, args, &body);
    if (rc != 0)
        return rc;
    if (ctl->json)
        ctl_print_json(ctl, body);
    else
        json_decref(body);
    if (args_have(&ctl->args, OPTION_WAIT))
        return wait_ended(ctl, ctl->args.operands[1], UINT64_MAX, 0);
    return 0;
}

static int
saga_resolve(struct ctl *ctl)
{
    bool retry = args_have(&ctl->args, OPTION_RETRY);
    bool resolved = args_have(&ctl->args, OPTION_RESOLVED);
    json_t *body = NULL;
    int rc = check_count(ctl, 1, 1, "resolve SAGA --retry|--resolved");

    if (rc == 0)
        rc = check_saga(ctl, ctl->args.operands[1]);
    if (rc == 0 && retry == resolved)
        rc = ctl_usage(ctl, "saga resolve takes one of --retry and --resolved",
                       "--retry tries its compensation again; --resolved says that it was made up "
                       "for by other means");
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc != 0)
        return rc;
    rc = ctl_ask(
        ctl, "saga.resolve",
        json_pack("{s:s, s:s}", "saga", ctl->args.operands[1], "how", retry ? "retry" : "resolve"),
        &body);
    if (rc != 0)
        return rc;
    if (ctl->json)
        ctl_print_json(ctl, body);
    else
        json_decref(body);
    if (args_have(&ctl->args, OPTION_WAIT))
        return wait_ended(ctl, ctl->args.operands[1], UINT64_MAX, 0);
    return 0;
}

/* ---- To look -----------------------------------------------------------------------------------
 */

static int
saga_show(struct ctl *ctl)
{
    struct text out = {0};
    int rc = check_count(ctl, 1, -1, "show SAGA...");

    for (int i = 1; rc == 0 && i < ctl->args.operand_count; i++)
        rc = check_saga(ctl, ctl->args.operands[i]);
    if (rc == 0)
        rc = look(ctl);
    for (int i = 1; rc == 0 && i < ctl->args.operand_count; i++) {
        json_t *body = NULL;
        rc = ctl_ask(ctl, "saga.stat", json_pack("{s:s}", "saga", ctl->args.operands[i]), &body);
        if (rc != 0)
            break;
        if (ctl->json) {
            ctl_print_json(ctl, body);
            continue;
        }
        render_saga(&out, &ctl->out, body);
        json_decref(body);
    }
    ctl_print(&out);
    return rc;
}

static int
saga_list(struct ctl *ctl)
{
    json_t *all = json_array();
    struct text out = {0};
    bool more = true;
    int rc = check_count(ctl, 0, 1, "list [REGION]");

    if (rc == 0)
        rc = look(ctl);
    while (rc == 0 && more) {
        json_t *args = json_object();
        json_t *body = NULL;
        size_t count = json_array_size(all);

        if (ctl->args.operand_count > 1)
            json_object_set_new(args, "region", json_string_nocheck(ctl->args.operands[1]));
        if (args_have(&ctl->args, OPTION_ALL))
            json_object_set_new(args, "all", json_true());
        if (count > 0)
            json_object_set(args, "after", json_object_get(json_array_get(all, count - 1), "id"));
        rc = ctl_ask(ctl, "saga.list", args, &body);
        if (rc != 0)
            break;
        json_array_extend(all, json_object_get(body, "sagas"));
        more = get_true(body, "more") && json_array_size(all) > count;
        json_decref(body);
    }
    if (rc == 0 && ctl->json) {
        ctl_print_json(ctl, json_pack("{s:O}", "sagas", all));
    } else if (rc == 0) {
        render_sagas(&out, &ctl->out, all);
        ctl_print(&out);
    }
    json_decref(all);
    return rc;
}

static int
saga_wait(struct ctl *ctl)
{
    uint64_t deadline;
    int rc = check_count(ctl, 1, 1, "wait SAGA [--timeout DUR]");

    if (rc == 0)
        rc = check_saga(ctl, ctl->args.operands[1]);
    if (rc == 0)
        rc = wait_deadline(ctl, OPTION_SAGA_TIMEOUT, &deadline);
    if (rc == 0)
        rc = look(ctl);
    return rc != 0 ? rc : wait_ended(ctl, ctl->args.operands[1], deadline, 1);
}

/* ---- The verb
 * -------------------------------------------------------------------------------------- */

static int
saga_file(struct ctl *ctl)
{
    int rc = check_count(ctl, 1, 1, "run FILE");

    return rc != 0 ? rc : saga_run(ctl, ctl->args.operands[1]);
}

static int
saga_complete(struct ctl *ctl)
{
    return saga_change(ctl, "saga.complete", "complete SAGA");
}

static int
saga_abort(struct ctl *ctl)
{
    return saga_change(ctl, "saga.abort", "abort SAGA");
}

int
saga_exit_code(const json_t *saga)
{
    const char *state = get_text(saga, "state");

    if (strcmp(state, "completed") == 0)
        return 0;
    return strcmp(state, "needs-attention") == 0 ? EXIT_NEEDS_ATTENTION : -1;
}

int
verb_saga(struct ctl *ctl)
{
    static const struct {
        const char *word;
        int (*function)(struct ctl *);
    } words[] = {
        {"run", saga_file},          {"begin", saga_begin}, {"step", saga_step},
        {"complete", saga_complete}, {"abort", saga_abort}, {"wait", saga_wait},
        {"list", saga_list},         {"show", saga_show},   {"resolve", saga_resolve},
    };
    const char *word = ctl->args.operands[0];
    struct text message = {0};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, word) == 0)
            return words[i].function(ctl);
    }
    text_addf(&message, "saga knows no '%s'", word);
    int exit_code = ctl_usage(ctl, message.data,
                              "run, list, show, wait, resolve, begin, step, complete, abort");
    text_free(&message);
    return exit_code;
}
