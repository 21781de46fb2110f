/* SPDX-License-Identifier: MIT */
/* asupersync-lab show: a trace as a timeline. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/fields.h"
#include "lab/line.h"
#include "lab/perfetto.h"
#include "lab/summary.h"
#include "lab/tool.h"
#include "lab/view.h"

enum { FLUSH_SIZE = 1 << 16 };

struct filter {
    uint64_t from, to;
    uint64_t task;    /* 0: any */
    uint64_t region;  /* by its id; 0: any */
    const char *path; /* by its path; NULL: any */
    struct fold *fold;
};

/* An id of that letter, "t7"; 0: it is none. */
static uint64_t
id_of(const char *text, char letter)
{
    uint64_t id = 0;

    if (text[0] != letter || !parse_number(text + 1, 1, INT64_MAX, &id))
        return 0;
    return id;
}

static int
filter_begin(struct filter *f, const struct lab_call *call, struct fold *fold)
{
    const char *region = lab_value(call, "region");
    const char *task = lab_value(call, "task");

    *f = (struct filter){.to = UINT64_MAX, .fold = fold};
    if (!lab_number(call, "from", &f->from) || !lab_number(call, "to", &f->to))
        return EX_USAGE;
    if (task != NULL && (f->task = id_of(task, 't')) == 0)
        return lab_fail(call, EX_USAGE, "--task takes an id as t7, not %s", task);
    if (region == NULL)
        return 0;
    f->region = id_of(region, 'r');
    if (f->region == 0 && region[0] != '/')
        return lab_fail(call, EX_USAGE, "--region takes a path as /web/api or an id as r2, not %s",
                        region);
    if (f->region == 0)
        f->path = region;
    return 0;
}

/* Whether that region is the one asked for, or below it. */
static bool
in_region(const struct filter *f, const struct event *ev)
{
    struct region_view r;

    for (uint64_t id = ev->region; id != 0; id = r.parent) {
        if (id == f->region)
            return true;
        if (f->fold->kernel == NULL || !kernel_region(f->fold->kernel, id, &r))
            break;
    }
    return false;
}

static bool
wanted(const struct filter *f, const struct event *ev, const json_t *told)
{
    const char *path = get_text(told, "path");
    size_t size = f->path != NULL ? strlen(f->path) : 0;

    if (ev->seq < f->from || ev->seq > f->to)
        return false;
    if (f->task != 0 && ev->task != f->task &&
        (ev->holder.sort != ASUP_SORT_TASK || ev->holder.id != f->task))
        return false;
    if (f->region != 0 && !in_region(f, ev))
        return false;
    return size <= 1 ||
           (strncmp(path, f->path, size) == 0 && (path[size] == '\0' || path[size] == '/'));
}

static void
print_meta(const struct lab_call *call, const struct recording *r)
{
    json_t *meta = json_object();
    struct text out = {0};

    for (size_t i = 0; i < r->meta_count; i++) {
        const struct meta *m = &r->meta[i];
        struct bytes value = {m->value, strlen(m->value)};

        (void)json_object_set_new(meta, m->key,
                                  m->is_number && strlen(m->value) < 19
                                      ? json_integer((json_int_t)strtoull(m->value, NULL, 10))
                                      : view_text(value));
        text_add(&out, "# ");
        text_safe(&out, &call->look, m->key, strlen(m->key));
        text_add(&out, ": ");
        text_safe(&out, &call->look, m->value, strlen(m->value));
        text_add(&out, "\n");
    }
    if (call->json) {
        text_free(&out);
        lab_print_json(json_pack("{s:i, s:o}", "format", 1, "meta", meta));
        return;
    }
    json_decref(meta);
    if (!call->quiet)
        lab_print(&out);
    text_free(&out);
}

static void
print_text(const struct lab_call *call, struct text *out, const struct timeline *t,
           const struct recording_text *text, const struct fold *fold)
{
    if (call->json)
        lab_print_json(json_pack("{s:I, s:o, s:o}", "at_ns", (json_int_t)text->at, "task",
                                 view_id(ASUP_SORT_TASK, text->task), "says",
                                 view_text(text->text)));
    else
        timeline_text(out, t, text, fold->kernel);
}

/* Texts stand between the events; they have no number, and go with a task. */
static bool
wanted_text(const struct filter *f, const struct recording *r, const struct recording_text *text)
{
    uint64_t seq = text->before < r->event_count ? r->events[text->before].seq : UINT64_MAX;

    return seq >= f->from && (seq <= f->to || (seq == UINT64_MAX && f->to == UINT64_MAX)) &&
           (f->task == 0 || f->task == text->task) && f->region == 0 && f->path == NULL;
}

static void
print_all(const struct lab_call *call, const struct recording *r, struct fold *fold,
          const struct filter *filter)
{
    struct timeline t;
    struct text out = {0};
    const struct event *ev;
    const char *wall = recording_meta(r, "wall_base_ns");
    unsigned depth;
    size_t text = 0;
    json_t *told;

    timeline_begin(&t, r, &call->look);
    if (lab_value(call, "wall") != NULL && wall != NULL)
        t.wall_base = strtoull(wall, NULL, 10);
    for (size_t i = 0; i <= r->event_count; i++) {
        for (; text < r->text_count && r->texts[text].before <= i; text++) {
            if (wanted_text(filter, r, &r->texts[text]))
                print_text(call, &out, &t, &r->texts[text], fold);
        }
        if (i < r->event_count && r->events[i].seq > filter->to)
            break; /* what follows may be what cannot be folded */
        told = view_next(fold, &depth, &ev);
        if (told == NULL || !wanted(filter, ev, told)) {
            json_decref(told);
            continue;
        }
        if (call->json) {
            lab_print_json(told);
            continue;
        }
        timeline_event(&out, &t, told, depth);
        json_decref(told);
        if (out.size > FLUSH_SIZE)
            lab_print(&out);
    }
    lab_print(&out);
}

static int
run(struct lab_call *call)
{
    const char *perfetto = lab_value(call, "perfetto");
    struct recording *r = NULL;
    struct fold fold = {0};
    struct filter filter;
    char why[512];
    char fold_why[512];
    int read = recording_read(call->operands[0], &r, why, sizeof why);
    int rc = 0;

    if (read != 0 && (r == NULL || r->meta_count == 0)) {
        recording_free(r);
        return lab_fail_trace(call, read, why);
    }
    if (r->snapshot == NULL || fold_begin(&fold, r, fold_why, sizeof fold_why) != 0)
        fold = (struct fold){.recording = r, .at = r->event_count};
    rc = filter_begin(&filter, call, &fold);
    if (rc == 0 && perfetto != NULL) {
        rc = perfetto_write(call, r, &fold, perfetto);
    } else if (rc == 0 && lab_value(call, "summary") != NULL) {
        summary_print(call, r, &fold);
    } else if (rc == 0) {
        print_meta(call, r);
        print_all(call, r, &fold, &filter);
    }
    fold_end(&fold);
    recording_free(r);
    if (rc == 0 && read != 0)
        return lab_fail_trace(call, read, why);
    return rc;
}

static const struct lab_option options[] = {
    {"region", "PATH|ID", "only what happens in that region and below it"},
    {"task", "ID", "only what happens to that task, or what it holds"},
    {"from", "SEQ", "from the event of that number on"},
    {"to", "SEQ", "up to the event of that number"},
    {"wall", NULL, "time of day instead of time since the first event, where it is known"},
    {"summary", NULL, "how many of what, instead of each event"},
    {"perfetto", "OUT", "write it to OUT for ui.perfetto.dev, instead of printing"},
    {NULL, NULL, NULL},
};

const struct lab_verb verb_show = {
    .name = "show",
    .operands = "FILE",
    .operands_least = 1,
    .operands_most = 1,
    .summary = "Show a trace as a timeline",
    .details = "One line an event: when, its number, what happened to what, indented by the depth\n"
               "of the region it happened in. Of a damaged or truncated file as much as can be\n"
               "read is shown, then what is wrong with it.\n",
    .example = "show run.trace\n"
               "show --region /shop --from 120 run.trace\n"
               "show --json run.trace | jq -r 'select(.event == \"obligation-leaked\")'\n"
               "show --perfetto run.json run.trace\n",
    .options = options,
    .run = run,
};
