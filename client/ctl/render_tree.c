/* SPDX-License-Identifier: MIT */
/*
 * The tree of regions and tasks, the table of tasks, and what is left while a
 * region is ending.
 *
 *     / open
 *     └─ shop r2 open · 2 tasks · 1 finalizer
 *        ├─ t3 running 12s pid 4711  python3 -m http.server 8000
 *        └─ t4 cancelling 9s pid 4713 killed in 4.1s  ./worker
 */
#include "render.h"

#include <string.h>

#include "fields.h"

static void
add_dot(struct text *out, const struct look *look)
{
    text_add(out, look->utf8 ? " \xc2\xb7 " : ", ");
}

static void
add_count(struct text *out, const struct look *look, uint64_t count, const char *what)
{
    if (count == 0)
        return;
    add_dot(out, look);
    text_addf(out, "%llu %s%s", (unsigned long long)count, what, count == 1 ? "" : "s");
}

static void
add_left(struct text *out, const struct look *look, const json_t *object, const char *key,
         const char *format)
{
    uint64_t left = get_number(object, key, UINT64_MAX);
    struct text span = {0};
    struct text words = {0};

    if (left == UINT64_MAX)
        return;
    text_span(&span, left);
    for (const char *at = format; *at != '\0'; at++) {
        if (*at == '@')
            text_add(&words, span.data);
        else
            text_put(&words, at, 1);
    }
    text_paint(out, look, PAINT_ENDING, words.data);
    text_free(&span);
    text_free(&words);
}

/* What is left of a budget, in words; nothing for one without limits. */
static void
add_budget(struct text *out, const struct look *look, const json_t *budget)
{
    uint64_t limit = get_number(budget, "limit_left_ns", UINT64_MAX);

    if (limit != UINT64_MAX) {
        add_dot(out, look);
        text_span(out, limit);
        text_add(out, " left");
    }
    uint64_t polls = get_number(budget, "polls_left", UINT64_MAX);
    if (polls < UINT32_MAX)
        add_count(out, look, polls, "poll");
    uint64_t cost = get_number(budget, "cost_left", UINT64_MAX);
    if (cost != UINT64_MAX) {
        add_dot(out, look);
        text_addf(out, "cost %llu left", (unsigned long long)cost);
    }
}

static void
tree_task(struct text *out, const struct look *look, const json_t *task)
{
    const json_t *outcome = json_object_get(task, "outcome");
    uint64_t pid = get_number(task, "pid", 0);

    text_paint(out, look, PAINT_STRONG, get_text(task, "id"));
    text_add(out, get_true(task, "finalizer") ? " finalizer " : " ");
    if (json_is_object(outcome)) {
        render_outcome(out, look, outcome);
    } else {
        render_state(out, look, get_text(task, "state"));
        render_ready(out, look, task);
        text_add(out, " ");
        text_span(out, get_number(task, "age_ns", 0));
        if (pid != 0)
            text_addf(out, " pid %llu", (unsigned long long)pid);
        add_left(out, look, task, "kill_left_ns", " killed in @");
        add_budget(out, look, json_object_get(task, "budget"));
    }
    text_add(out, "  ");
    render_text(out, look, task, "label");
}

static void
add_attention(struct text *out, const struct look *look, uint64_t count)
{
    struct text words = {0};

    if (count == 0)
        return;
    add_dot(out, look);
    text_addf(&words, "%llu need%s attention", (unsigned long long)count, count == 1 ? "s" : "");
    text_paint(out, look, PAINT_BAD, words.data);
    text_free(&words);
}

static void
tree_region(struct text *out, const struct look *look, const json_t *node)
{
    const json_t *outcome = json_object_get(node, "outcome");
    const char *path = get_text(node, "path");
    const char *policy = get_text(node, "policy");
    struct text name = {0};

    if (strcmp(path, "/") == 0) {
        text_paint(out, look, PAINT_STRONG, "/");
    } else {
        render_text(&name, look, node, "name");
        if (name.size > 0 && strcmp(name.data, get_text(node, "id")) != 0) {
            text_paint(out, look, PAINT_STRONG, name.data);
            text_add(out, " ");
        }
        text_free(&name);
        render_text(out, look, node, "id");
    }
    text_add(out, " ");
    if (json_is_object(outcome)) {
        text_add(out, "closed ");
        render_outcome(out, look, outcome);
        return;
    }
    render_state(out, look, get_text(node, "state"));
    if (policy[0] != '\0' && strcmp(policy, "collect") != 0) {
        text_add(out, " ");
        render_text(out, look, node, "policy");
        if (get_number(node, "quorum", 0) > 0)
            text_addf(out, ":%llu", (unsigned long long)get_number(node, "quorum", 0));
    }
    if (get_true(node, "soft"))
        text_add(out, " soft");
    if (get_true(node, "volatile"))
        text_add(out, " volatile");
    add_count(out, look, get_number(node, "tasks_live", 0), "task");
    add_count(out, look, get_number(node, "finalizers", 0), "finalizer");
    add_count(out, look, get_number(node, "sagas", 0), "saga");
    add_attention(out, look, get_number(node, "sagas_attention", 0));
    if (strcmp(get_text(node, "state"), "finalizing") != 0)
        add_left(out, look, node, "drain_left_ns",
                 look->utf8 ? " \xc2\xb7 drains @ more" : ", drains @ more");
    add_budget(out, look, json_object_get(node, "budget"));
    if (get_text(node, "attached")[0] != '\0') {
        add_dot(out, look);
        text_add(out, "attached to ");
        render_text(out, look, node, "attached");
    }
}

static void
tree_node(struct text *out, const struct look *look, const json_t *node, struct text *prefix)
{
    const json_t *tasks = json_object_get(node, "tasks");
    const json_t *children = json_object_get(node, "children");
    size_t task_count = json_array_size(tasks);
    size_t count = task_count + json_array_size(children);

    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        size_t start = out->size;
        text_put(out, prefix->data, prefix->size);
        if (look->utf8)
            text_add(out, last ? "\xe2\x94\x94\xe2\x94\x80 " : "\xe2\x94\x9c\xe2\x94\x80 ");
        else
            text_add(out, last ? "`- " : "|- ");
        if (i < task_count) {
            tree_task(out, look, json_array_get(tasks, i));
            text_cut(out, start, look);
            text_add(out, "\n");
            continue;
        }
        const json_t *child = json_array_get(children, i - task_count);
        size_t prefix_size = prefix->size;
        tree_region(out, look, child);
        text_cut(out, start, look);
        text_add(out, "\n");
        text_add(prefix, last ? "   " : look->utf8 ? "\xe2\x94\x82  " : "|  ");
        tree_node(out, look, child, prefix);
        prefix->size = prefix_size;
        prefix->data[prefix_size] = '\0';
    }
}

void
render_tree(struct text *out, const struct look *look, const json_t *node)
{
    struct text prefix = {0};
    size_t start = out->size;

    text_put(&prefix, "", 0);
    tree_region(out, look, node);
    text_cut(out, start, look);
    text_add(out, "\n");
    tree_node(out, look, node, &prefix);
    text_free(&prefix);
}

/* ---- The table of tasks ------------------------------------------------------------ */

void
render_tasks(struct text *out, const struct look *look, const json_t *tasks)
{
    /* Columns that fit what stands in them: two passes. */
    enum { ID, REGION, STATE, PID, AGE, LEFT, COLUMNS };
    static const char *const titles[COLUMNS] = {"ID", "REGION", "STATE", "PID", "AGE", "LEFT"};
    size_t width[COLUMNS];
    size_t count = json_array_size(tasks);

    for (size_t c = 0; c < COLUMNS; c++)
        width[c] = strlen(titles[c]);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t c = 0; pass == 1 && c < COLUMNS; c++) {
            size_t start = out->size;
            text_paint(out, look, PAINT_FAINT, titles[c]);
            text_pad(out, start, width[c] + 2);
        }
        if (pass == 1) {
            text_paint(out, look, PAINT_FAINT, "COMMAND");
            text_add(out, "\n");
        }
        for (size_t i = 0; i < count; i++) {
            const json_t *task = json_array_get(tasks, i);
            const json_t *outcome = json_object_get(task, "outcome");
            const json_t *budget = json_object_get(task, "budget");
            struct text cell[COLUMNS] = {0};
            uint64_t pid = get_number(task, "pid", 0);
            uint64_t left = get_number(task, "kill_left_ns", UINT64_MAX);
            if (left == UINT64_MAX)
                left = get_number(budget, "limit_left_ns", UINT64_MAX);

            text_paint(&cell[ID], look, PAINT_STRONG, get_text(task, "id"));
            render_text(&cell[REGION], look, task,
                        get_text(task, "path")[0] != '\0' ? "path" : "region");
            if (json_is_object(outcome)) {
                render_outcome(&cell[STATE], look, outcome);
            } else {
                render_state(&cell[STATE], look, get_text(task, "state"));
                render_ready(&cell[STATE], look, task);
            }
            if (pid != 0)
                text_addf(&cell[PID], "%llu", (unsigned long long)pid);
            text_span(&cell[AGE], get_number(task, "age_ns", 0));
            if (left != UINT64_MAX && !json_is_object(outcome))
                text_span(&cell[LEFT], left);
            size_t line = out->size;
            for (size_t c = 0; c < COLUMNS; c++) {
                size_t columns = text_columns(cell[c].data, cell[c].size);
                size_t start = out->size;
                if (columns > width[c])
                    width[c] = columns;
                if (pass == 1) {
                    text_put(out, cell[c].data, cell[c].size);
                    text_pad(out, start, width[c] + 2);
                }
                text_free(&cell[c]);
            }
            if (pass == 1) {
                render_text(out, look, task, "label");
                text_cut(out, line, look);
                text_add(out, "\n");
            }
        }
    }
}

/* ---- What is left while a region ends ---------------------------------------------- */

struct draining {
    struct text *out;
    const struct look *look;
    unsigned lines;
    unsigned lines_max;
    unsigned left_out;
};

/* False when there is no room for another line. */
static bool
draining_line(struct draining *d)
{
    if (d->lines >= d->lines_max) {
        d->left_out++;
        return false;
    }
    d->lines++;
    text_add(d->out, "  ");
    return true;
}

static void
draining_node(struct draining *d, const json_t *node)
{
    const json_t *tasks = json_object_get(node, "tasks");
    const json_t *children = json_object_get(node, "children");
    size_t live = 0;

    for (size_t i = 0; i < json_array_size(tasks); i++) {
        const json_t *task = json_array_get(tasks, i);
        size_t start = d->out->size;
        if (strcmp(get_text(task, "state"), "completed") == 0)
            continue;
        live++;
        if (!draining_line(d))
            continue;
        tree_task(d->out, d->look, task);
        text_cut(d->out, start, d->look);
        text_add(d->out, "\n");
    }
    /* A region that is ending and has nothing of its own running is waited for
     * itself: its finalizers, or what cannot be removed. */
    if (live == 0 && json_array_size(children) == 0 &&
        strcmp(get_text(node, "state"), "closed") != 0 &&
        strcmp(get_text(node, "state"), "open") != 0) {
        size_t start = d->out->size;
        if (draining_line(d)) {
            tree_region(d->out, d->look, node);
            text_cut(d->out, start, d->look);
            text_add(d->out, "\n");
        }
    }
    for (size_t i = 0; i < json_array_size(children); i++)
        draining_node(d, json_array_get(children, i));
}

unsigned
render_draining(struct text *out, const struct look *look, const json_t *node, unsigned lines_max)
{
    struct draining d = {.out = out, .look = look, .lines_max = lines_max};

    draining_node(&d, node);
    if (d.left_out > 0) {
        text_addf(out, "  and %u more\n", d.left_out);
        d.lines++;
    }
    return d.lines;
}
