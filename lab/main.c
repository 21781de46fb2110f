/* SPDX-License-Identifier: MIT */
/*
 * asupersync-lab: traces and simulated worlds on the command line.
 */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "asupersync/error.h"
#include "asupersync/version.h"
#include "lab/tool.h"

static const struct lab_verb *const verbs[] = {
    &verb_run, &verb_show, &verb_verify, &verb_diff, &verb_replay, &verb_import,
};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

const struct lab_option lab_common[] = {
    {"json", NULL, "print JSON"},
    {"quiet", NULL, "print less"},
    {"no-color", NULL, "no colours, even on a terminal"},
    {"help", NULL, "say what the verb does"},
    {NULL, NULL, NULL},
};

/* ---- Saying ---------------------------------------------------------------------------- */

/* What was asked for cannot be said: nothing else is worth saying. */
static void
output_check(bool fine)
{
    if (fine && fflush(stdout) == 0)
        return;
    if (errno != EPIPE)
        (void)fprintf(stderr, "asupersync-lab: cannot write: %s\n", strerror(errno));
    exit(EX_IOERR);
}

void
lab_print(struct text *text)
{
    output_check(text->size == 0 || fwrite(text->data, 1, text->size, stdout) == text->size);
    text_free(text);
}

void
lab_print_json(json_t *object)
{
    bool fine =
        object != NULL && json_dumpf(object, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n';

    json_decref(object);
    output_check(fine);
}

int
lab_fail(const struct lab_call *call, int exit_code, const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (call->json)
        lab_print_json(json_pack("{s:i, s:{s:i, s:s}}", "format", 1, "error", "exit", exit_code,
                                 "message", message));
    else
        (void)fprintf(stderr, "asupersync-lab: %s\n", message);
    return exit_code;
}

int
lab_fail_trace(const struct lab_call *call, int rc, const char *why)
{
    int code = EX_DATAERR;

    if (rc == -ASUP_EUNAVAILABLE)
        code = errno == ENOMEM ? EX_OSERR : EX_NOINPUT;
    return lab_fail(call, code, "%s", why);
}

/* ---- Help --------------------------------------------------------------------------------- */

static void
help_options(struct text *out, const struct lab_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        size_t start = out->size;

        text_addf(out, "  --%s%s%s", options->name, options->metavar != NULL ? " " : "",
                  options->metavar != NULL ? options->metavar : "");
        text_pad(out, start, 24);
        text_addf(out, " %s\n", options->help);
    }
}

static void
help_verb(struct text *out, const struct lab_verb *v)
{
    text_addf(out, "Usage: asupersync-lab %s [OPTION...] %s\n\n%s.\n%s", v->name, v->operands,
              v->summary, v->details);
    text_add(out, "\nOptions:\n");
    help_options(out, v->options);
    help_options(out, lab_common);
    text_add(out, "\nFor example:\n");
    for (const char *at = v->example; *at != '\0';) {
        size_t size = strcspn(at, "\n");

        text_add(out, "  asupersync-lab ");
        text_put(out, at, size);
        text_add(out, "\n");
        at += size + (at[size] == '\n');
    }
}

static void
help_all(struct text *out)
{
    text_add(out, "Usage: asupersync-lab VERB [OPTION...] [ARGUMENT...]\n\n"
                  "Runs simulated worlds; looks into traces, compares and replays them.\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        size_t start = out->size;

        text_addf(out, "  %s %s", verbs[i]->name, verbs[i]->operands);
        text_pad(out, start, 24);
        text_addf(out, " %s\n", verbs[i]->summary);
    }
    text_add(out, "\nOn every verb:\n");
    help_options(out, lab_common);
    text_add(out, "\nOf the program: --help, --version, completion bash|zsh|fish\n\n"
                  "Exit codes: 0; 1 not as it should be, or not the same; 64 usage; 65 the file\n"
                  "cannot be understood; 66 it cannot be read; 73 a file cannot be made.\n"
                  "asupersync-lab(1) says more.\n");
}

/* ---- The command line ------------------------------------------------------------------------ */

static int
usage(const struct lab_call *call, const char *what, const char *which)
{
    const char *verb = call->verb != NULL ? call->verb->name : "";

    return lab_fail(call, EX_USAGE, "%s%s (asupersync-lab %s%s--help)", what, which, verb,
                    call->verb != NULL ? " " : "");
}

const char *
lab_value(const struct lab_call *call, const char *option)
{
    const struct lab_option *options = call->verb->options;

    for (size_t i = 0; options != NULL && options[i].name != NULL; i++) {
        if (strcmp(options[i].name, option) == 0)
            return call->values[i];
    }
    abort(); /* a verb asks for its own */
}

bool
lab_number(const struct lab_call *call, const char *option, uint64_t *out)
{
    const char *value = lab_value(call, option);

    if (value == NULL || parse_number(value, 0, UINT64_MAX, out))
        return true;
    (void)lab_fail(call, EX_USAGE, "--%s takes a number, not %s", option, value);
    return false;
}

/* The place of an option among those of a list; -1: it is none. */
static int
option_place(const struct lab_option *options, const char *name, size_t size)
{
    for (int i = 0; options != NULL && options[i].name != NULL; i++) {
        if (strlen(options[i].name) == size && strncmp(options[i].name, name, size) == 0)
            return i;
    }
    return -1;
}

struct parsed {
    const char **operands;
    bool help, no_color;
};

/* One that begins with "--". How many more arguments it took; -1: wrong, and said so. */
static int
take_option(struct lab_call *call, struct parsed *p, const char *argument, const char *next)
{
    const char *name = argument + 2;
    size_t size = strcspn(name, "=");
    int at = option_place(call->verb->options, name, size);

    if (at >= 0 && call->verb->options[at].metavar != NULL) {
        bool attached = name[size] == '=';

        call->values[at] = attached ? name + size + 1 : next;
        if (call->values[at] == NULL) {
            (void)usage(call, argument, " takes a value");
            return -1;
        }
        return !attached;
    }
    if (name[size] != '=' && at >= 0) {
        call->values[at] = "";
        return 0;
    }
    at = name[size] == '=' ? -1 : option_place(lab_common, name, size);
    call->json = call->json || at == 0;
    call->quiet = call->quiet || at == 1;
    p->no_color = p->no_color || at == 2;
    p->help = p->help || at == 3;
    if (at < 0)
        (void)usage(call, "no such option: ", argument);
    return at < 0 ? -1 : 0;
}

static int
take_arguments(struct lab_call *call, struct parsed *p, int argc, char **argv)
{
    bool only_operands = false;

    for (int i = 0; i < argc; i++)
        call->json = call->json || strcmp(argv[i], "--json") == 0;
    for (int i = 0; i < argc; i++) {
        int more;

        if (only_operands || strncmp(argv[i], "-", 1) != 0 || argv[i][1] == '\0') {
            p->operands[call->operand_count++] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            only_operands = true;
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0)
            return usage(call, "no such option: ", argv[i]);
        more = take_option(call, p, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (more < 0)
            return EX_USAGE;
        i += more;
    }
    return 0;
}

static struct look
look_of_stdout(bool no_color)
{
    struct look look = {.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
    const char *terminal = getenv("TERM");
    struct winsize size;

    if (isatty(STDOUT_FILENO)) {
        look.color = !no_color && getenv("NO_COLOR") == NULL && terminal != NULL &&
                     strcmp(terminal, "dumb") != 0;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
            look.width = size.ws_col;
    }
    return look;
}

static int
run_verb(const struct lab_verb *verb, int argc, char **argv)
{
    struct lab_call call = {.verb = verb};
    struct parsed p = {.operands = must_alloc(NULL, ((size_t)argc + 1) * sizeof p.operands[0])};
    int rc = take_arguments(&call, &p, argc, argv);

    call.operands = p.operands;
    call.look = look_of_stdout(p.no_color);
    if (p.help) {
        struct text page = {0};

        help_verb(&page, verb);
        lab_print(&page);
        rc = 0;
    } else if (rc == 0 && call.operand_count < verb->operands_least) {
        rc = usage(&call, "too few arguments: it takes ", verb->operands);
    } else if (rc == 0 && call.operand_count > verb->operands_most) {
        rc = usage(&call, "too many arguments: it takes ", verb->operands);
    } else if (rc == 0) {
        rc = verb->run(&call);
        output_check(true);
    }
    free(p.operands);
    return rc;
}

static const struct lab_verb *
verb_find(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    }
    return NULL;
}

/* What is asked of the program itself, not of a verb. */
static int
run_own(int argc, char **argv)
{
    struct lab_call call = {0};
    struct text out = {0};
    const char *word = argv[1];

    if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0) {
        text_add(&out, "asupersync-lab " ASUP_VERSION "\n");
    } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
               (strcmp(word, "help") == 0 && argc == 2)) {
        help_all(&out);
    } else if (strcmp(word, "help") == 0 && verb_find(argv[2]) != NULL) {
        help_verb(&out, verb_find(argv[2]));
    } else if (strcmp(word, "completion") != 0) {
        const char *unknown = strcmp(word, "help") == 0 ? argv[2] : word;

        return usage(&call, unknown[0] == '-' ? "no such option: " : "no such verb: ", unknown);
    } else if (argc != 3 || !lab_completion(&out, argv[2], verbs, VERB_COUNT)) {
        return usage(&call, "completion takes bash, zsh or fish", "");
    }
    lab_print(&out);
    return 0;
}

int
main(int argc, char **argv)
{
    (void)setlocale(LC_CTYPE, "");
    if (argc < 2) {
        struct text page = {0};

        help_all(&page);
        (void)fputs(page.data, stderr);
        text_free(&page);
        return EX_USAGE;
    }
    if (verb_find(argv[1]) != NULL)
        return run_verb(verb_find(argv[1]), argc - 2, argv + 2);
    return run_own(argc, argv);
}
