/* SPDX-License-Identifier: MIT */
#include "saga_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libfyaml.h>

#include "asupersync/types.h"

#include "wire_json.h"

enum { FILE_SIZE_MAX = 1 << 20, STEPS_MAX = 256 };

struct reader {
    const char *name;
    struct text *error;
    json_t *env; /* of every step */
    const char *cwd;
};

/* ---- Complaints: the first one stands ------------------------------------------------ */

static struct fy_token *
first_token(struct fy_node *node)
{
    struct fy_node_pair *pair;
    void *cursor = NULL;

    /* A map has no token of its own: its first key tells where it is. */
    for (int depth = 0; node != NULL && depth < 8; depth++) {
        if (fy_node_is_scalar(node))
            return fy_node_get_scalar_token(node);
        cursor = NULL;
        if (fy_node_is_sequence(node)) {
            node = fy_node_sequence_iterate(node, &cursor);
        } else {
            pair = fy_node_mapping_iterate(node, &cursor);
            node = pair != NULL ? fy_node_pair_key(pair) : NULL;
        }
    }
    return NULL;
}

__attribute__((format(printf, 3, 4))) static void
complain(struct reader *r, struct fy_node *where, const char *format, ...)
{
    struct fy_token *token = first_token(where);
    const struct fy_mark *mark = token != NULL ? fy_token_start_mark(token) : NULL;
    char message[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (r->error->size > 0)
        return;
    text_addf(r->error, "%s:%d:%d: %s", r->name, mark != NULL ? mark->line + 1 : 1,
              mark != NULL ? mark->column + 1 : 1, message);
}

static const char *
scalar(struct fy_node *node)
{
    return node != NULL && fy_node_is_scalar(node) ? fy_node_get_scalar0(node) : NULL;
}

/* Every key of the map is one of these, once. */
static void
check_keys(struct reader *r, struct fy_node *map, const char *const *known)
{
    struct fy_node_pair *pair;
    void *cursor = NULL;

    while ((pair = fy_node_mapping_iterate(map, &cursor)) != NULL) {
        struct fy_node *key_node = fy_node_pair_key(pair);
        const char *key = scalar(key_node);
        const char *near = NULL;
        size_t i = 0;

        if (key == NULL) {
            complain(r, key_node, "a key is a word");
            continue;
        }
        for (; known[i] != NULL && strcmp(known[i], key) != 0; i++) {
            unsigned d = text_distance(key, known[i]);
            if (d <= 2 && (near == NULL || d < text_distance(key, near)))
                near = known[i];
        }
        if (known[i] == NULL && near != NULL)
            complain(r, key_node, "there is no key \"%s\"; did you mean \"%s\"?", key, near);
        else if (known[i] == NULL)
            complain(r, key_node, "there is no key \"%s\" here", key);
    }
}

/* The value of a key, NULL: it is not there. */
static struct fy_node *
value_of(struct fy_node *map, const char *key)
{
    struct fy_node *node = fy_node_mapping_lookup_by_string(map, key, strlen(key));

    return node != NULL && !fy_node_is_null(node) ? node : NULL;
}

static void
read_duration(struct reader *r, struct fy_node *map, const char *key, json_t *to, const char *field)
{
    struct fy_node *node = value_of(map, key);
    const char *text = scalar(node);
    uint64_t ns;

    if (node == NULL)
        return;
    if (text == NULL || !parse_duration(text, &ns) || ns > INT64_MAX) {
        complain(r, node, "%s: '%s' is no duration; %s", key, text != NULL ? text : "that",
                 DURATION_FORMS);
        return;
    }
    json_object_set_new(to, field, json_integer((json_int_t)ns));
}

/* ---- Commands -------------------------------------------------------------------------- */

static json_t *
environment(struct reader *r, struct fy_node *map, json_t *base)
{
    json_t *env = base != NULL ? json_copy(base) : json_object();
    struct fy_node *node = value_of(map, "env");
    struct fy_node_pair *pair;
    void *cursor = NULL;

    if (node != NULL && !fy_node_is_mapping(node))
        complain(r, node, "env: names with values, such as {ORDER: \"17\"}");
    while (node != NULL && fy_node_is_mapping(node) &&
           (pair = fy_node_mapping_iterate(node, &cursor)) != NULL) {
        const char *name = scalar(fy_node_pair_key(pair));
        const char *value = scalar(fy_node_pair_value(pair));

        if (name == NULL || name[0] == '\0' || strchr(name, '=') != NULL || value == NULL)
            complain(r, fy_node_pair_key(pair), "env: a name and one value each");
        else
            json_object_set_new(env, name, json_string_nocheck(value));
    }
    return env;
}

/* A list of program and arguments. */
static json_t *
argv_of(struct reader *r, struct fy_node *list, const char *key)
{
    json_t *argv = json_array();
    struct fy_node *item;
    void *cursor = NULL;

    while ((item = fy_node_sequence_iterate(list, &cursor)) != NULL) {
        const char *text = scalar(item);
        if (text == NULL)
            complain(r, item, "%s: a program and its arguments, each a text", key);
        else
            json_array_append_new(argv, json_string_nocheck(text));
    }
    if (json_array_size(argv) == 0)
        complain(r, list, "%s: the list is empty", key);
    return argv;
}

/* P for a computation and its input. */
static json_t *
call_of(struct reader *r, struct fy_node *map, const char *key, const char *label)
{
    static const char *const keys[] = {"call", "input", NULL};
    const char *name = scalar(value_of(map, "call"));
    const char *input = scalar(value_of(map, "input"));
    json_t *p = json_object();

    check_keys(r, map, keys);
    if (name == NULL || name[0] == '\0' || strlen(name) > ASUP_NAME_MAX)
        complain(r, map, "%s: a call has a name of 1 to %d bytes, such as {call: refund}", key,
                 ASUP_NAME_MAX);
    else
        json_object_set_new(p, "call", json_string_nocheck(name));
    if (value_of(map, "input") != NULL && input == NULL)
        complain(r, value_of(map, "input"), "input: one text");
    else if (input != NULL)
        json_object_set_new(p, "input", json_wire_bytes(input, strlen(input)));
    json_object_set_new(p, "label", json_string_nocheck(label));
    return p;
}

/* P for a shell command, a list or a call; empty: what is wrong was told. */
static json_t *
process(struct reader *r, struct fy_node *node, const char *key, const char *label,
        const json_t *env)
{
    const char *line = scalar(node);
    json_t *p;

    if (fy_node_is_mapping(node))
        return call_of(r, node, key, label);
    p = json_object();
    if (line != NULL && line[strspn(line, " \t\n")] != '\0') {
        json_object_set_new(p, "argv",
                            json_pack("[s,s,o]", "/bin/sh", "-c", json_string_nocheck(line)));
    } else if (fy_node_is_sequence(node)) {
        json_object_set_new(p, "argv", argv_of(r, node, key));
    } else {
        complain(r, node,
                 "%s: a shell command, a list of program and arguments, or a call such as "
                 "{call: refund, input: \"17\"}",
                 key);
    }
    json_object_set_new(p, "label", json_string_nocheck(label));
    json_object_set_new(p, "cwd", json_string_nocheck(r->cwd));
    if (json_object_size(env) > 0)
        json_object_set_new(p, "env", json_copy((json_t *)env));
    return p;
}

/* ---- Steps ------------------------------------------------------------------------------- */

static void
read_retry(struct reader *r, struct fy_node *map, json_t *step)
{
    static const char *const keys[] = {"attempts", "backoff", "most", NULL};
    struct fy_node *node = value_of(map, "retry");
    json_t *retry = json_object();
    const char *text;
    uint64_t attempts;

    if (node != NULL && !fy_node_is_mapping(node)) {
        complain(r, node, "retry: such as {attempts: 3, backoff: 1s}");
        node = NULL;
    }
    if (node != NULL) {
        check_keys(r, node, keys);
        text = scalar(value_of(node, "attempts"));
        if (text != NULL && parse_number(text, 1, 1000, &attempts))
            json_object_set_new(retry, "attempts", json_integer((json_int_t)attempts));
        else if (value_of(node, "attempts") != NULL)
            complain(r, value_of(node, "attempts"), "attempts: a number from 1 to 1000");
        read_duration(r, node, "backoff", retry, "backoff_ns");
        read_duration(r, node, "most", retry, "backoff_most_ns");
        json_object_set(step, "retry", retry);
    }
    json_decref(retry);
}

static void
add_budget(struct reader *r, struct fy_node *map, const char *key, json_t *p)
{
    json_t *budget = json_object();

    read_duration(r, map, key, budget, "timeout_ns");
    if (json_object_size(budget) > 0)
        json_object_set(p, "budget", budget);
    json_decref(budget);
}

static json_t *
read_step(struct reader *r, struct fy_node *map, size_t number)
{
    static const char *const keys[] = {"name",         "run",   "undo", "timeout",
                                       "undo-timeout", "retry", "env",  NULL};
    json_t *step = json_object();
    const char *name;
    char label[ASUP_LABEL_MAX + 16];

    if (!fy_node_is_mapping(map)) {
        complain(r, map, "step %zu: keys with values, such as \"run: ./reserve\"", number);
        return step;
    }
    check_keys(r, map, keys);
    name = scalar(value_of(map, "name"));
    if (name == NULL || name[0] == '\0' || strlen(name) > ASUP_NAME_MAX)
        complain(r, map, "step %zu needs a name of 1 to %d bytes", number, ASUP_NAME_MAX);
    if (value_of(map, "run") == NULL)
        complain(r, map, "step %zu needs what it does: run", number);
    if (value_of(map, "undo") == NULL)
        complain(r, map, "step %zu needs what makes up for it: undo", number);
    if (r->error->size > 0)
        return step;
    json_t *env = environment(r, map, r->env);
    json_t *action = process(r, value_of(map, "run"), "run", name, env);
    add_budget(r, map, "timeout", action);
    (void)snprintf(label, sizeof label, "undo %.*s", ASUP_LABEL_MAX - 5, name);
    json_t *undo = process(r, value_of(map, "undo"), "undo", label, env);
    add_budget(r, map, "undo-timeout", undo);
    json_object_set_new(step, "name", json_string_nocheck(name));
    json_object_set_new(step, "action", action);
    json_object_set_new(step, "undo", undo);
    json_decref(env);
    read_retry(r, map, step);
    return step;
}

static json_t *
read_steps(struct reader *r, struct fy_node *root)
{
    struct fy_node *list = value_of(root, "steps");
    json_t *steps = json_array();
    struct fy_node *item;
    void *cursor = NULL;

    if (list == NULL || !fy_node_is_sequence(list) || fy_node_sequence_is_empty(list)) {
        complain(r, list != NULL ? list : root, "the file needs steps: a list of at least one");
        return steps;
    }
    while (r->error->size == 0 && (item = fy_node_sequence_iterate(list, &cursor)) != NULL) {
        if (json_array_size(steps) == STEPS_MAX)
            complain(r, item, "more than %d steps", STEPS_MAX);
        json_array_append_new(steps, read_step(r, item, json_array_size(steps) + 1));
    }
    return steps;
}

/* ---- The file ------------------------------------------------------------------------------ */

/* "/x/order.yaml" -> "order" */
static json_t *
default_name(const char *path)
{
    const char *base = strrchr(path, '/');

    base = base != NULL ? base + 1 : path;
    size_t size = strcspn(base, ".");
    return size > 0 && size <= ASUP_NAME_MAX ? json_stringn_nocheck(base, size)
                                             : json_string("saga");
}

static json_t *
read_root(struct reader *r, struct fy_node *root)
{
    static const char *const keys[] = {"name", "env", "cwd", "steps", NULL};
    json_t *saga = json_object();
    char here[4096];

    if (root == NULL || !fy_node_is_mapping(root)) {
        complain(r, root, "the file must hold keys with values, at least \"steps:\"");
        return saga;
    }
    check_keys(r, root, keys);
    const char *name = scalar(value_of(root, "name"));
    if (value_of(root, "name") != NULL && (name == NULL || name[0] == '\0'))
        complain(r, value_of(root, "name"), "name: one word or line");
    json_object_set_new(saga, "name",
                        name != NULL ? json_string_nocheck(name) : default_name(r->name));
    r->cwd = scalar(value_of(root, "cwd"));
    if (value_of(root, "cwd") != NULL && (r->cwd == NULL || r->cwd[0] != '/'))
        complain(r, value_of(root, "cwd"), "cwd: an absolute path");
    if (r->cwd == NULL)
        r->cwd = getcwd(here, sizeof here) != NULL ? here : "/";
    r->env = environment(r, root, NULL);
    json_object_set_new(saga, "steps", read_steps(r, root));
    json_decref(r->env);
    r->cwd = NULL;
    return saga;
}

json_t *
saga_file_parse(const char *name, const char *text, size_t size, struct text *error)
{
    struct reader r = {.name = name, .error = error};
    char *trouble = NULL;
    size_t trouble_size = 0;
    FILE *out = open_memstream(&trouble, &trouble_size);
    struct fy_diag_cfg diag_cfg;
    struct fy_diag *diag = NULL;
    struct fy_document *document = NULL;
    json_t *saga = NULL;

    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = out;
    diag_cfg.colorize = diag_cfg.show_source = diag_cfg.show_position = false;
    diag_cfg.show_type = diag_cfg.show_module = false;
    if (out != NULL)
        diag = fy_diag_create(&diag_cfg);
    struct fy_parse_cfg parse_cfg = {.diag = diag};
    if (diag != NULL)
        document = fy_document_build_from_string(&parse_cfg, text, size);
    if (out != NULL)
        fflush(out);
    /* libfyaml says where: "<input>:line:column: ...". */
    const char *colon = trouble != NULL ? strchr(trouble, ':') : NULL;
    if (document == NULL && colon != NULL)
        text_addf(error, "%s%.*s", name, (int)strcspn(colon, "\n"), colon);
    else if (document == NULL)
        text_addf(error, "%s:1:1: this is not YAML", name);
    else
        saga = read_root(&r, fy_document_root(document));
    if (error->size > 0) {
        json_decref(saga);
        saga = NULL;
    }
    fy_document_destroy(document);
    if (diag != NULL)
        fy_diag_destroy(diag);
    if (out != NULL)
        fclose(out);
    free(trouble);
    return saga;
}

json_t *
saga_file_read(const char *path, struct text *error)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = must_alloc(NULL, FILE_SIZE_MAX + 1);
    json_t *saga = NULL;
    size_t size = 0;

    if (file == NULL) {
        text_addf(error, "%s: cannot be read: %s", path, strerror(errno));
        goto out;
    }
    size = fread(text, 1, FILE_SIZE_MAX + 1, file);
    if (ferror(file))
        text_addf(error, "%s: cannot be read: %s", path, strerror(errno));
    else if (size > FILE_SIZE_MAX)
        text_addf(error, "%s: larger than 1 MiB", path);
    else
        saga = saga_file_parse(strcmp(path, "-") == 0 ? "stdin" : path, text, size, error);
out:
    if (file != NULL && file != stdin)
        fclose(file);
    free(text);
    return saga;
}
