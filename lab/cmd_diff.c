/* SPDX-License-Identifier: MIT */
/* asupersync-lab diff: whether two traces tell the same story (R-EVT-3). */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/trace.h"
#include "lab/line.h"
#include "lab/tool.h"
#include "lab/trace_layout.h"
#include "lab/view.h"

static const struct kernel_allocator allocator = {.resize = trace_resize};

struct side {
    struct recording *recording;
    struct fold fold;
    size_t first;   /* of the events that are compared */
    size_t differs; /* index of the event where it parts; SIZE_MAX: it has none there */
};

static struct trace
trace_of(const struct side *s)
{
    const struct recording *r = s->recording;

    return (struct trace){r->events + s->first, r->event_count - s->first};
}

static bool
is_journal(const struct side *s)
{
    const char *maker = recording_meta(s->recording, "made-by");

    return maker != NULL && strcmp(maker, "journal") == 0;
}

static int
open_side(const struct lab_call *call, int which, struct side *s)
{
    char why[512];
    int rc = recording_read(call->operands[which], &s->recording, why, sizeof why);

    if (rc != 0)
        return lab_fail_trace(call, rc, why);
    s->first = s->recording->snapshot_before;
    return 0;
}

/* ---- Where they part ------------------------------------------------------------------------- */

/* The event, and so many before it. */
static void
show_side(const struct lab_call *call, struct text *out, struct side *s, char mark,
          uint64_t context)
{
    const struct recording *r = s->recording;
    size_t last = s->differs != SIZE_MAX ? s->differs : r->event_count;
    size_t from = last > context ? last - context : 0;
    struct timeline t;
    const struct event *ev;
    unsigned depth;

    timeline_begin(&t, r, &call->look);
    text_addf(out, "%c %s", mark, r->path);
    text_add(out,
             s->differs == SIZE_MAX ? ": nothing there any more; the last events are\n" : "\n");
    if (from < s->first)
        from = s->first;
    s->fold.told = s->fold.at;
    for (size_t i = s->first; i <= last && i < r->event_count; i++) {
        json_t *told = view_next(&s->fold, &depth, &ev);

        if (i >= from) {
            text_addf(out, "%c ", i == s->differs ? mark : ' ');
            timeline_event(out, &t, told, depth);
        }
        json_decref(told);
    }
}

static json_t *
json_side(struct side *s)
{
    const struct event *ev;
    unsigned depth;
    json_t *told = NULL;

    if (s->differs == SIZE_MAX)
        return json_null();
    s->fold.told = s->fold.at;
    for (size_t i = s->first; i <= s->differs; i++) {
        json_decref(told);
        told = view_next(&s->fold, &depth, &ev);
    }
    return told;
}

static int
report(const struct lab_call *call, struct side side[2], size_t step)
{
    struct text out = {0};
    uint64_t context = 3;
    char why[512];

    if (!lab_number(call, "context", &context))
        return EX_USAGE;
    for (int i = 0; i < 2; i++) { /* without a snapshot there are only numbers */
        if (fold_begin(&side[i].fold, side[i].recording, why, sizeof why) != 0)
            side[i].fold = (struct fold){.recording = side[i].recording, .at = side[i].first};
    }
    if (call->json) {
        lab_print_json(json_pack("{s:i, s:b, s:I, s:o, s:o}", "format", 1, "same", 0, "step",
                                 (json_int_t)step, "left", json_side(&side[0]), "right",
                                 json_side(&side[1])));
    } else if (!call->quiet) {
        text_addf(&out, "They part in step %zu of their normal forms:\n", step);
        show_side(call, &out, &side[0], '<', context);
        show_side(call, &out, &side[1], '>', context);
        lab_print(&out);
    }
    for (int i = 0; i < 2; i++)
        fold_end(&side[i].fold);
    return LAB_FAILED;
}

static int
compare(const struct lab_call *call, struct side side[2])
{
    struct trace left = trace_of(&side[0]);
    struct trace right = trace_of(&side[1]);
    bool loosely =
        lab_value(call, "loosely") != NULL ||
        (lab_value(call, "exactly") == NULL && is_journal(&side[0]) && is_journal(&side[1]));
    struct trace_difference where;
    struct text out = {0};
    int rc = loosely ? trace_compare_loosely(&left, &right, &allocator, &where)
                     : trace_compare(&left, &right, &allocator, &where);

    if (rc < 0)
        return lab_fail(call, EX_OSERR, "no memory to compare them");
    if (rc > 0) {
        side[0].differs = where.left == SIZE_MAX ? SIZE_MAX : where.left + side[0].first;
        side[1].differs = where.right == SIZE_MAX ? SIZE_MAX : where.right + side[1].first;
        return report(call, side, where.step);
    }
    if (call->json)
        lab_print_json(
            json_pack("{s:i, s:b, s:I}", "format", 1, "same", 1, "events", (json_int_t)left.count));
    else if (!call->quiet)
        text_addf(&out, "the same: %zu events%s\n", left.count,
                  loosely ? ", times and programs aside" : "");
    lab_print(&out);
    return 0;
}

static int
run(struct lab_call *call)
{
    struct side side[2] = {0};
    int rc = 0;

    if (lab_value(call, "loosely") != NULL && lab_value(call, "exactly") != NULL)
        return lab_fail(call, EX_USAGE, "--loosely and --exactly exclude each other");
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = open_side(call, i, &side[i]);
    if (rc == 0)
        rc = compare(call, side);
    for (int i = 0; i < 2; i++)
        recording_free(side[i].recording);
    return rc;
}

static const struct lab_option options[] = {
    {"loosely", NULL, "times, resources used and programs run may differ; so for two journals"},
    {"exactly", NULL, "they may not; so for all others"},
    {"context", "N", "show so many events before the place where they part (default 3)"},
    {NULL, NULL, NULL},
};

const struct lab_verb verb_diff = {
    .name = "diff",
    .operands = "A B",
    .operands_least = 2,
    .operands_most = 2,
    .summary = "Compare what two traces tell",
    .details = "Events that have nothing to do with each other may change places, and ids that a\n"
               "trace made itself have no meaning beyond it: what is compared is the normal form.\n"
               "Exit code 0: the same; 1: not, and the first place where they part is shown.\n",
    .example = "diff before.trace after.trace\n"
               "diff --loosely --quiet monday.trace tuesday.trace && echo the same\n",
    .options = options,
    .run = run,
};
