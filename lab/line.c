/* SPDX-License-Identifier: MIT */
#include "lab/line.h"

#include <stdio.h>
#include <string.h>

#include "client/ctl/fields.h"
#include "client/ctl/render.h"

enum { NAME_WIDTH = 24 };

void
timeline_begin(struct timeline *t, const struct recording *r, const struct look *look)
{
    asup_time span = 0;
    uint64_t last = 0;
    uint64_t seconds;

    *t = (struct timeline){.look = *look, .decimals = 6, .time_width = 1, .seq_width = 1};
    if (r->event_count > 0) {
        t->base = r->events[0].at;
        span = r->events[r->event_count - 1].at - t->base;
        last = r->events[r->event_count - 1].seq;
    }
    for (size_t i = 0; i < r->event_count && t->decimals == 6; i++) {
        if ((r->events[i].at - t->base) % 1000 != 0)
            t->decimals = 9;
    }
    for (seconds = span / ASUP_NS_PER_S; seconds >= 10; seconds /= 10)
        t->time_width++;
    for (; last >= 10; last /= 10)
        t->seq_width++;
}

void
timeline_instant(struct text *out, const struct timeline *t, asup_time at)
{
    uint64_t since = at > t->base ? at - t->base : 0;

    if (t->wall_base != 0)
        text_clock(out, at + t->wall_base);
    else
        text_addf(out, "%*llu.%0*llu", (int)t->time_width,
                  (unsigned long long)(since / ASUP_NS_PER_S), (int)t->decimals,
                  (unsigned long long)(since % ASUP_NS_PER_S / (t->decimals == 6 ? 1000 : 1)));
}

static void
quoted(struct text *out, const struct look *look, const json_t *event, const char *key)
{
    if (get_text(event, key)[0] == '\0')
        return;
    text_add(out, " \"");
    render_text(out, look, event, key);
    text_add(out, "\"");
}

static enum paint
paint_of(const json_t *event, const char *name)
{
    static const struct {
        const char *part;
        enum paint paint;
    } parts[] = {
        {"fail", PAINT_BAD},       {"timeout", PAINT_BAD},    {"missed", PAINT_BAD},
        {"escalated", PAINT_BAD},  {"broke", PAINT_BAD},      {"leaked", PAINT_BAD},
        {"futurelock", PAINT_BAD}, {"attention", PAINT_BAD},  {"dead", PAINT_BAD},
        {"lost", PAINT_BAD},       {"cancel", PAINT_ENDING},  {"draining", PAINT_ENDING},
        {"final", PAINT_ENDING},   {"seal", PAINT_ENDING},    {"compensat", PAINT_ENDING},
        {"undo", PAINT_ENDING},    {"completed", PAINT_GOOD}, {"closed", PAINT_GOOD},
        {"committed", PAINT_GOOD}, {"started", PAINT_BUSY},   {"opened", PAINT_BUSY},
    };

    if (outcome_severity(json_object_get(event, "outcome")) > 0)
        return PAINT_BAD;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(name, parts[i].part) != NULL)
            return parts[i].paint;
    }
    return PAINT_NONE;
}

/* Who and what it is about. */
static void
add_subjects(struct text *out, const struct timeline *t, const json_t *event)
{
    static const struct {
        const char *key, *name;
    } subjects[] = {
        {"task", "label"}, {"session", ""}, {"obligation", ""}, {"channel", "channel_name"},
        {"message", ""},   {"saga", ""},    {"cx", ""},
    };

    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        if (get_text(event, subjects[i].key)[0] == '\0')
            continue;
        text_add(out, " ");
        text_paint(out, &t->look, PAINT_STRONG, get_text(event, subjects[i].key));
        if (subjects[i].name[0] != '\0')
            quoted(out, &t->look, event, subjects[i].name);
    }
    if (get_text(event, "kind")[0] != '\0')
        text_addf(out, " %s", get_text(event, "kind"));
    quoted(out, &t->look, event, "name");
    if (get_text(event, "holder")[0] != '\0') {
        text_addf(out, " of %s", get_text(event, "holder"));
        quoted(out, &t->look, event, "holder_label");
    }
    if (get_text(event, "region")[0] == '\0')
        return;
    text_add(out, get_text(event, "task")[0] != '\0' ? " in" : "");
    if (get_text(event, "path")[0] != '\0') {
        text_add(out, " ");
        render_text(out, &t->look, event, "path");
        if (get_text(event, "task")[0] == '\0')
            text_addf(out, " (%s)", get_text(event, "region"));
    } else {
        text_addf(out, " %s", get_text(event, "region"));
    }
}

/* Its number, by what it means. */
static void
add_value(struct text *out, const struct timeline *t, const json_t *event, const char *name)
{
    uint64_t value = get_number(event, "value", 0);

    if (value == 0)
        return;
    if (strcmp(name, "task-started") == 0) {
        text_addf(out, "  pid %llu", (unsigned long long)value);
    } else if (strcmp(name, "task-cancel-sent") == 0) {
        text_add(out, "  ");
        text_signal(out, (int)value);
    } else if (strcmp(name, "task-masked") == 0) {
        text_addf(out, "  %llu masks left", (unsigned long long)value);
    } else if (strcmp(name, "task-log-lost") == 0) {
        text_add(out, "  ");
        text_bytes(out, value);
    } else if (strncmp(name, "saga-step-", 10) == 0) {
        text_addf(out, "  step %llu", (unsigned long long)value);
    } else if (strstr(name, "cancel-requested") != NULL || strcmp(name, "task-extended") == 0 ||
               strcmp(name, "obligation-renewed") == 0) {
        if (value > INT64_MAX / 2)
            return;
        text_add(out, "  until ");
        timeline_instant(out, t, value);
    }
}

static void
begin_line(struct text *out, const struct timeline *t, asup_time at, const char *number,
           unsigned depth)
{
    timeline_instant(out, t, at);
    text_addf(out, "  %*s  %*s", (int)t->seq_width, number, (int)(2 * depth), "");
}

void
timeline_event(struct text *out, const struct timeline *t, const json_t *event, unsigned depth)
{
    const char *name = get_text(event, "event");
    const json_t *reason = json_object_get(event, "reason");
    const json_t *outcome = json_object_get(event, "outcome");
    const char *text = get_text(event, "text");
    size_t line = out->size;
    char number[24];
    size_t start;

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)get_number(event, "seq", 0));
    begin_line(out, t, get_number(event, "at_ns", 0), number, depth);
    start = out->size;
    text_paint(out, &t->look, paint_of(event, name), name);
    text_pad(out, start, NAME_WIDTH);
    add_subjects(out, t, event);
    add_value(out, t, event, name);
    if (text[0] != '\0' && strcmp(text, get_text(event, "label")) != 0 &&
        strcmp(text, get_text(event, "name")) != 0 &&
        strcmp(text, get_text(event, "channel_name")) != 0 && strcmp(name, "region-opened") != 0 &&
        !json_is_object(reason)) {
        text_add(out, " ");
        quoted(out, &t->look, event, "text");
    }
    if (json_is_object(outcome)) {
        text_add(out, "  ");
        render_outcome(out, &t->look, outcome);
        reason = json_object_get(outcome, "reason");
    }
    if (json_is_object(reason)) {
        text_add(out, "  ");
        render_reason(out, &t->look, reason);
    }
    if (t->look.width > 0)
        text_cut(out, line, &t->look);
    text_add(out, "\n");
}

void
timeline_text(struct text *out, const struct timeline *t, const struct recording_text *text,
              const struct kernel *k)
{
    struct task_view task;
    struct region_view region;
    unsigned depth = 0;

    if (k != NULL && kernel_task(k, text->task, &task) && kernel_region(k, task.region, &region))
        depth = region.depth + 1;
    begin_line(out, t, text->at, "", depth);
    text_addf(out, "t%llu: ", (unsigned long long)text->task);
    text_safe(out, &t->look, text->text.data, text->text.size);
    text_add(out, "\n");
}
