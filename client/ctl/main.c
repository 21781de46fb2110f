/* SPDX-License-Identifier: MIT */
/*
 * asupersyncctl: the command line of asupersyncd.
 */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "asupersync/version.h"

#include "ctl.h"

/* ---- What the streams can show ----------------------------------------------------- */

static struct look
look_at(int fd, bool color)
{
    struct look look = {.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
    const char *terminal = getenv("TERM");
    struct winsize size;

    if (!isatty(fd))
        return look;
    look.color = color && terminal != NULL && strcmp(terminal, "dumb") != 0;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0)
        look.width = size.ws_col;
    return look;
}

/* ---- Verbs that need no daemon ------------------------------------------------------- */

/* The table as data: one verb, or all of them for NULL. */
static json_t *
help_as_json(const struct verb *only)
{
    json_t *list = json_array();

    for (size_t v = 0; v < VERB_COUNT; v++) {
        json_t *taken = json_array();
        if (only != NULL && only != &verbs[v]) {
            json_decref(taken);
            continue;
        }
        for (int id = 0; id < OPTION_COUNT; id++) {
            const struct option_row *row = &option_rows[id];
            if (verb_takes((enum verb_id)v, (enum option_id)id))
                json_array_append_new(taken, json_pack("{s:s, s:s?, s:s}", "name", row->name,
                                                       "value", row->metavar, "help", row->help));
        }
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", verbs[v].name,
                                              "operands", verbs[v].synopsis, "summary",
                                              verb_texts[v].summary, "details",
                                              verb_texts[v].details, "options", taken));
    }
    return json_pack("{s:o}", "verbs", list);
}

int
verb_help(struct ctl *ctl)
{
    struct text page = {0};
    const struct verb *verb = NULL;

    if (ctl->args.operand_count > 0) {
        verb = verb_find(ctl->args.operands[0]);
        if (verb == NULL) {
            const struct verb *near = verb_near(ctl->args.operands[0]);
            struct text message = {0};
            struct text hint = {0};
            text_addf(&message, "unknown verb %s", ctl->args.operands[0]);
            if (near != NULL)
                text_addf(&hint, "did you mean %s?", near->name);
            else
                text_add(&hint, "asupersyncctl help lists the verbs");
            int exit_code = ctl_usage(ctl, message.data, hint.data);
            text_free(&message);
            text_free(&hint);
            return exit_code;
        }
    }
    if (ctl->json) {
        ctl_print_json(ctl, help_as_json(verb));
        return 0;
    }
    if (verb != NULL)
        usage_verb(&page, verb);
    else
        usage_all(&page);
    ctl_print(&page);
    return 0;
}

/* Connect for completion and version, which do without a daemon: quickly, and
 * without a word when there is none. */
static bool
connect_quietly(struct ctl *ctl)
{
    struct asup_client_options how;

    ctl_client_options(ctl, &how);
    how.connect_timeout_ms = 1000;
    how.patience_ms = 0;
    how.answer_timeout_ms = 1000;
    how.without_session = true;
    return asup_client_connect(&how, &ctl->client, NULL) == 0;
}

/* Ids of tasks, or ids and paths of regions, a line each. */
static void
list_ids(struct text *out, const json_t *node, bool regions)
{
    const json_t *tasks = json_object_get(node, "tasks");
    const json_t *children = json_object_get(node, "children");

    for (size_t i = 0; !regions && i < json_array_size(tasks); i++)
        text_addf(out, "%s\n", get_text(json_array_get(tasks, i), "id"));
    for (size_t i = 0; i < json_array_size(children); i++) {
        const json_t *child = json_array_get(children, i);
        if (regions)
            text_addf(out, "%s\n%s\n", get_text(child, "id"), get_text(child, "path"));
        list_ids(out, child, regions);
    }
}

int
verb_completion(struct ctl *ctl)
{
    const char *what = ctl->args.operands[0];
    bool regions = strcmp(what, "regions") == 0;
    struct text out = {0};

    if (regions || strcmp(what, "ids") == 0) {
        struct asup_error_info error;
        json_t *tree = NULL;
        if (connect_quietly(ctl) && ctl_call(ctl, "region.tree", NULL, 1000, &tree, &error) == 0) {
            list_ids(&out, tree, regions);
            json_decref(tree);
        }
    } else if (!completion_script(&out, what)) {
        return ctl_usage(ctl, "completion knows bash, zsh and fish", "completion bash");
    }
    if (ctl->json) {
        ctl_print_json(ctl, json_pack("{s:s}", "text", out.data != NULL ? out.data : ""));
        text_free(&out);
        return 0;
    }
    ctl_print(&out);
    return 0;
}

int
verb_version(struct ctl *ctl)
{
    struct asup_error_info error;
    json_t *status = NULL;

    if (connect_quietly(ctl))
        (void)ctl_call(ctl, "daemon.status", NULL, 1000, &status, &error);
    if (ctl->json) {
        json_t *daemon =
            status == NULL ? json_null()
                           : json_pack("{s:O, s:O}", "version", json_object_get(status, "version"),
                                       "protocol", json_object_get(status, "protocol"));
        ctl_print_json(ctl, json_pack("{s:s, s:i, s:o}", "version", ASUP_VERSION, "protocol", 1,
                                      "daemon", daemon != NULL ? daemon : json_null()));
    } else {
        struct text out = {0};
        text_add(&out, "asupersyncctl " ASUP_VERSION "\n");
        if (status == NULL)
            text_add(&out, "asupersyncd: none answers\n");
        else
            text_addf(&out, "asupersyncd %s, protocol %llu\n", get_text(status, "version"),
                      (unsigned long long)get_number(status, "protocol", 0));
        ctl_print(&out);
    }
    json_decref(status);
    return 0;
}

/* ---- Main ------------------------------------------------------------------------------ */

static int (*const verb_functions[VERB_COUNT])(struct ctl *) = {
    [VERB_RUN] = verb_run,
    [VERB_SUBMIT] = verb_submit,
    [VERB_OPEN] = verb_open,
    [VERB_DEFER] = verb_defer,
    [VERB_WAIT] = verb_wait,
    [VERB_CLOSE] = verb_close,
    [VERB_CANCEL] = verb_cancel,
    [VERB_CHANNELS] = verb_channels,
    [VERB_CHANNEL] = verb_channel,
    [VERB_SEND] = verb_send,
    [VERB_RECEIVE] = verb_receive,
    [VERB_ACK] = verb_ack,
    [VERB_NACK] = verb_nack,
    [VERB_DEAD] = verb_dead,
    [VERB_SESSION] = verb_session,
    [VERB_CALL] = verb_call,
    [VERB_WORKERS] = verb_workers,
    [VERB_WORKER] = verb_worker,
    [VERB_SAGA] = verb_saga,
    [VERB_CX] = verb_cx,
    [VERB_TREE] = verb_tree,
    [VERB_PS] = verb_ps,
    [VERB_SHOW] = verb_show,
    [VERB_WHY] = verb_why,
    [VERB_LOGS] = verb_logs,
    [VERB_OBLIGATIONS] = verb_obligations,
    [VERB_OBLIGATION] = verb_obligation,
    [VERB_LEASES] = verb_leases,
    [VERB_LEASE] = verb_lease,
    [VERB_EVENTS] = verb_events,
    [VERB_STATUS] = verb_status,
    [VERB_DRAIN] = verb_drain,
    [VERB_RELOAD] = verb_reload,
    [VERB_UPGRADE] = verb_upgrade,
    [VERB_SHUTDOWN] = verb_shutdown,
    [VERB_COMPLETION] = verb_completion,
    [VERB_HELP] = verb_help,
    [VERB_VERSION] = verb_version,
};

/* Whether --json was asked for, on a command line that may not be parsable. */
static bool
wants_json(const struct ctl *ctl, int argc, char **argv)
{
    if (args_have(&ctl->args, OPTION_JSON))
        return true;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            return true;
    }
    return false;
}

/* A standard descriptor that is closed must not become the number of another
 * file: text for people would go to the daemon. The command of `run` finds
 * /dev/null instead; what this command itself shows shall fail as it would
 * have. */
static void
fill_closed_descriptors(bool for_command)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) /* the lowest free one: fd itself */
            (void)open("/dev/null", fd == 0 || !for_command ? O_RDONLY : O_WRONLY);
    }
}

/* --cx, before the verb connects. */
static int
take_capability(struct ctl *ctl)
{
    const char *value = args_value(&ctl->args, OPTION_CX);

    if (value == NULL)
        return 0;
    if (asup_cx_parse(value, ctl->cx) != 0) /* it may be a secret that was mistyped */
        return ctl_bad_value(ctl, OPTION_CX, "...", "32 hexadecimal digits");
    ctl->has_cx = true;
    return 0;
}

/* --key, for whatever the verb asks. */
static int
take_key(struct ctl *ctl)
{
    const char *key = args_value(&ctl->args, OPTION_KEY);
    const char *retention = args_value(&ctl->args, OPTION_KEY_RETENTION);

    if (key != NULL && (key[0] == '\0' || strlen(key) > ASUP_KEY_MAX))
        return ctl_bad_value(ctl, OPTION_KEY, key, "1 to 128 bytes");
    if (key != NULL && args_have(&ctl->args, OPTION_EACH))
        return ctl_usage(ctl, "--key and --each do not go together",
                         "submit each command with a key of its own");
    if (retention != NULL &&
        (!parse_duration(retention, &ctl->key_retention_ns) || ctl->key_retention_ns == 0))
        return ctl_bad_value(ctl, OPTION_KEY_RETENTION, retention, DURATION_FORMS);
    ctl->key = key;
    return 0;
}

int
main(int argc, char **argv)
{
    struct ctl ctl = {0};
    struct usage_error wrong = {0};
    int exit_code;

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    int rc = args_parse(&ctl.args, argc, argv, &wrong);
    fill_closed_descriptors(ctl.args.verb != NULL && ctl.args.verb->id == VERB_RUN);
    const char *no_color = getenv("NO_COLOR");
    bool color =
        !args_have(&ctl.args, OPTION_NO_COLOR) && (no_color == NULL || no_color[0] == '\0');
    ctl.out = look_at(STDOUT_FILENO, color);
    ctl.err = look_at(STDERR_FILENO, color);
    if (ctl.args.verb != NULL && ctl.args.verb->id == VERB_RUN)
        ctl.json_stream = stderr; /* standard output is the command's */
    ctl.quiet = args_have(&ctl.args, OPTION_QUIET);
    if (rc != 0 || ctl.args.verb == NULL) {
        ctl.json = wants_json(&ctl, argc, argv);
        exit_code = ctl_usage(&ctl, wrong.message.data != NULL ? wrong.message.data : "",
                              wrong.hint.data != NULL ? wrong.hint.data : "");
    } else if (args_have(&ctl.args, OPTION_HELP) && ctl.args.verb->id != VERB_HELP) {
        struct text page = {0};
        usage_verb(&page, ctl.args.verb);
        ctl_print(&page);
        exit_code = 0;
    } else {
        ctl.json = args_have(&ctl.args, OPTION_JSON);
        exit_code = take_capability(&ctl);
        if (exit_code == 0)
            exit_code = take_key(&ctl);
        if (exit_code == 0)
            exit_code = verb_functions[ctl.args.verb->id](&ctl);
    }
    asup_client_free(ctl.client);
    text_free(&wrong.message);
    text_free(&wrong.hint);
    args_free(&ctl.args);
    return exit_code;
}
