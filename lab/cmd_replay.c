/* SPDX-License-Identifier: MIT */
/* asupersync-lab replay: how it stood after an event. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/fields.h"
#include "client/ctl/render.h"
#include "lab/line.h"
#include "lab/tool.h"
#include "lab/view.h"

/* ---- Where to stop ---------------------------------------------------------------------- */

/* The number of the event to stop after: as given, or counted from the end (-1: the
 * last one). False: it is none. */
static bool
stop_after(const struct lab_call *call, const struct recording *r, uint64_t *seq)
{
    const char *at = lab_value(call, "at");
    uint64_t back;

    *seq = UINT64_MAX;
    if (at == NULL)
        return true;
    if (at[0] != '-')
        return parse_number(at, 0, UINT64_MAX, seq);
    if (!parse_number(at + 1, 1, UINT64_MAX, &back))
        return false;
    if (back > r->event_count)
        *seq = 0;
    else
        *seq = r->events[r->event_count - back].seq;
    return true;
}

/* ---- What an event changed ---------------------------------------------------------------------
 */

struct stand {
    bool region_known, task_known;
    struct region_view region;
    struct task_view task;
    uint64_t potential;
};

static void
stand_of(const struct fold *f, const struct event *ev, struct stand *s)
{
    *s = (struct stand){.potential = kernel_potential(f->kernel)};
    s->region_known = ev->region != 0 && kernel_region(f->kernel, ev->region, &s->region);
    s->task_known = ev->task != 0 && kernel_task(f->kernel, ev->task, &s->task);
}

static void
moved(struct text *out, const char *what, const char *from, const char *to)
{
    if (strcmp(from, to) != 0)
        text_addf(out, "%s%s %s -> %s", out->size > 0 ? ", " : "", what, from, to);
}

static void
counted(struct text *out, const char *what, uint64_t from, uint64_t to)
{
    if (from != to)
        text_addf(out, "%s%s %llu -> %llu", out->size > 0 ? ", " : "", what,
                  (unsigned long long)from, (unsigned long long)to);
}

static void
changes(struct text *out, const struct stand *a, const struct stand *b)
{
    uint64_t owed_a = 0;
    uint64_t owed_b = 0;

    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++) {
        owed_a += a->region_known ? a->region.obligations[kind] : 0;
        owed_b += b->region_known ? b->region.obligations[kind] : 0;
    }
    moved(out, "region", a->region_known ? view_region_state(a->region.state) : "none",
          b->region_known ? view_region_state(b->region.state) : "none");
    moved(out, "task", a->task_known ? view_task_state(a->task.state) : "none",
          b->task_known ? view_task_state(b->task.state) : "none");
    counted(out, "tasks of the region", a->region_known ? a->region.tasks_live : 0,
            b->region_known ? b->region.tasks_live : 0);
    counted(out, "obligations of the region", owed_a, owed_b);
    counted(out, "V", a->potential, b->potential);
}

static void
step_print(const struct lab_call *call, struct text *out, const struct timeline *t, json_t *told,
           unsigned depth, const struct text *what)
{
    if (call->json) {
        (void)json_object_set_new(told, "changed",
                                  json_string(what->data != NULL ? what->data : ""));
        lab_print_json(told);
        return;
    }
    timeline_event(out, t, told, depth);
    if (what->size > 0)
        text_addf(out, "%*s%s\n", (int)(t->time_width + 1 + t->decimals + 2 + t->seq_width + 4), "",
                  what->data);
    json_decref(told);
    lab_print(out);
}

static void
fold_steps(const struct lab_call *call, struct fold *f, uint64_t stop)
{
    const struct recording *r = f->recording;
    struct timeline t;
    struct text out = {0};

    timeline_begin(&t, r, &call->look);
    f->told = f->at;
    while (f->at < r->event_count && r->events[f->at].seq <= stop) {
        struct stand before;
        struct stand after;
        struct text what = {0};
        const struct event *ev;
        unsigned depth;
        json_t *told;

        stand_of(f, &r->events[f->at], &before);
        told = view_next(f, &depth, &ev);
        stand_of(f, ev, &after);
        changes(&what, &before, &after);
        step_print(call, &out, &t, told, depth, &what);
        text_free(&what);
    }
}

/* ---- What stands then
 * ------------------------------------------------------------------------------ */

/* Traces of a program are replayed by the program itself, with its own tasks. */
static void
tell_command(const struct lab_call *call, const struct recording *r)
{
    const char *command = recording_meta(r, "command");
    const char *program = recording_meta(r, "program");
    struct text out = {0};

    if (call->quiet || (command == NULL && program == NULL))
        return;
    text_add(&out, "# with the program itself: ");
    if (command != NULL)
        text_safe(&out, &call->look, command, strlen(command));
    else {
        text_safe(&out, &call->look, program, strlen(program));
        text_addf(&out, " --replay %s", r->path);
    }
    text_add(&out, "\n");
    lab_print(&out);
}

static int
standing_print(const struct lab_call *call, const struct fold *f)
{
    const struct kernel *k = f->kernel;
    const char *root = call->operand_count > 1 ? call->operands[1] : "r1";
    uint64_t region = ASUP_ROOT_ID;
    bool all = lab_value(call, "all") != NULL;
    struct text out = {0};
    json_t *tree;

    if (root[0] == '/') {
        for (const char *name = root; region != 0 && *name != '\0';) {
            size_t size = strcspn(++name, "/");

            if (size > 0)
                region = kernel_find(k, region, 0, (struct bytes){name, size});
            name += size;
        }
    } else if (root[0] != 'r' || !parse_number(root + 1, 1, INT64_MAX, &region)) {
        return lab_fail(call, EX_USAGE, "a region is a path as /web/api or an id as r2, not %s",
                        root);
    }
    tree = region != 0 ? view_tree(k, region, kernel_event_time(k), all) : NULL;
    if (tree == NULL)
        return lab_fail(call, LAB_FAILED, "%s: there was no region %s then", f->recording->path,
                        root);
    if (call->json) {
        const char *command = recording_meta(f->recording, "command");

        tree = json_pack("{s:i, s:I, s:I, s:o, s:o, s:s?}", "format", 1, "seq",
                         (json_int_t)kernel_event_seq(k), "at_ns", (json_int_t)kernel_event_time(k),
                         "digest", view_digest(k), "tree", tree, "command", command);
        lab_print_json(tree);
        return 0;
    }
    if (!call->quiet) {
        json_t *digest = view_digest(k);
        struct timeline t;

        timeline_begin(&t, f->recording, &call->look);
        text_addf(&out, "# after event %llu at ", (unsigned long long)kernel_event_seq(k));
        timeline_instant(&out, &t, kernel_event_time(k));
        text_addf(&out, " s, V %llu, state %s\n", (unsigned long long)kernel_potential(k),
                  json_string_value(digest));
        json_decref(digest);
    }
    render_tree(&out, &call->look, tree);
    json_decref(tree);
    lab_print(&out);
    return 0;
}

static int
run(struct lab_call *call)
{
    struct recording *r = NULL;
    struct fold fold = {0};
    uint64_t stop = 0;
    char why[512];
    int read = recording_read(call->operands[0], &r, why, sizeof why);
    int rc = 0;

    if (read != 0 && (r == NULL || r->snapshot == NULL)) {
        recording_free(r);
        return lab_fail_trace(call, read, why);
    }
    if (!stop_after(call, r, &stop))
        rc = lab_fail(call, EX_USAGE,
                      "--at takes the number of an event, or -N for the N-th from the end, not %s",
                      lab_value(call, "at"));
    if (rc == 0 && fold_begin(&fold, r, why, sizeof why) != 0)
        rc = lab_fail(call, EX_DATAERR, "%s", why);
    if (rc == 0) {
        if (!call->json)
            tell_command(call, r);
        if (lab_value(call, "step") != NULL)
            fold_steps(call, &fold, stop);
        while (fold.at < r->event_count && r->events[fold.at].seq <= stop)
            (void)fold_next(&fold);
        rc = standing_print(call, &fold);
        fold_end(&fold);
    }
    recording_free(r);
    if (rc == 0 && read != 0)
        return lab_fail_trace(call, read, why);
    return rc;
}

static const struct lab_option options[] = {
    {"at", "SEQ", "stop after the event of that number; -1 is the last (default), -2 before it"},
    {"step", NULL, "tell each event on the way, and what it changed"},
    {"all", NULL, "show also what has ended and is still remembered"},
    {NULL, NULL, NULL},
};

const struct lab_verb verb_replay = {
    .name = "replay",
    .operands = "FILE [REGION]",
    .operands_least = 1,
    .operands_most = 2,
    .summary = "Show the tree of regions as it was after an event",
    .details = "The events are folded by the kernel itself, so what is shown is its state then.\n"
               "Of a trace that a program under test wrote, the command is told that runs the\n"
               "program again with the same choices.\n",
    .example = "replay --at 120 run.trace\n"
               "replay --at -1 --all incident.trace /shop\n"
               "replay --step --at 40 run.trace\n",
    .options = options,
    .run = run,
};
