/* SPDX-License-Identifier: MIT */
#include "lab/summary.h"

#include <string.h>

#include "lab/view.h"

struct summary {
    uint64_t kinds[EV_KIND_COUNT];
    uint64_t tasks[4], regions[4]; /* ended, by severity */
    asup_time first, last;
};

static void
count(struct summary *s, const struct recording *r)
{
    if (r->event_count > 0) {
        s->first = r->events[0].at;
        s->last = r->events[r->event_count - 1].at;
    }
    for (size_t i = 0; i < r->event_count; i++) {
        const struct event *ev = &r->events[i];

        s->kinds[ev->kind]++;
        if (ev->outcome == NULL || ev->outcome->key.severity > ASUP_PANICKED)
            continue;
        if (ev->kind == EV_TASK_COMPLETED || ev->kind == EV_FINALIZER_DONE)
            s->tasks[ev->outcome->key.severity]++;
        if (ev->kind == EV_REGION_CLOSED)
            s->regions[ev->outcome->key.severity]++;
    }
}

static json_t *
by_severity(const uint64_t counts[4])
{
    return json_pack("{s:I, s:I, s:I, s:I}", "ok", (json_int_t)counts[0], "err",
                     (json_int_t)counts[1], "cancelled", (json_int_t)counts[2], "panicked",
                     (json_int_t)counts[3]);
}

static void
line_of(struct text *out, const char *what, const uint64_t counts[4])
{
    text_addf(out, "%s ended: %llu ok, %llu err, %llu cancelled, %llu panicked\n", what,
              (unsigned long long)counts[0], (unsigned long long)counts[1],
              (unsigned long long)counts[2], (unsigned long long)counts[3]);
}

static void
print_json(const struct summary *s, const struct recording *r, const struct fold *f)
{
    json_t *meta = json_object();
    json_t *kinds = json_object();
    json_t *out;

    for (size_t i = 0; i < r->meta_count; i++)
        (void)json_object_set_new(
            meta, r->meta[i].key,
            view_text((struct bytes){r->meta[i].value, strlen(r->meta[i].value)}));
    for (int kind = 0; kind < EV_KIND_COUNT; kind++) {
        if (s->kinds[kind] > 0)
            (void)json_object_set_new(kinds, event_kind_name((enum event_kind)kind),
                                      json_integer((json_int_t)s->kinds[kind]));
    }
    out = json_pack("{s:i, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "format", 1, "meta", meta,
                    "events", (json_int_t)r->event_count, "choices", (json_int_t)r->choice_count,
                    "texts", (json_int_t)r->text_count, "elapsed_ns",
                    (json_int_t)(s->last - s->first), "tasks_ended", by_severity(s->tasks),
                    "regions_ended", by_severity(s->regions), "kinds", kinds);
    if (f->kernel != NULL) {
        struct kernel_counts c;

        kernel_counts(f->kernel, &c);
        (void)json_object_set_new(out, "left",
                                  json_pack("{s:I, s:I, s:I, s:I}", "regions",
                                            (json_int_t)c.regions - 1, "tasks", (json_int_t)c.tasks,
                                            "sessions", (json_int_t)c.sessions, "potential",
                                            (json_int_t)kernel_potential(f->kernel)));
    }
    lab_print_json(out);
}

void
summary_print(const struct lab_call *call, const struct recording *r, struct fold *f)
{
    struct summary s = {0};
    struct text out = {0};
    struct kernel_counts c;

    count(&s, r);
    while (f->kernel != NULL && fold_next(f) != NULL)
        ;
    if (call->json) {
        print_json(&s, r, f);
        return;
    }
    for (size_t i = 0; i < r->meta_count; i++) {
        text_addf(&out, "%s: ", r->meta[i].key);
        text_safe(&out, &call->look, r->meta[i].value, strlen(r->meta[i].value));
        text_add(&out, "\n");
    }
    text_addf(&out, "%zu events in ", r->event_count);
    text_span(&out, s.last - s.first);
    text_addf(&out, ", %zu choices, %zu texts\n", r->choice_count, r->text_count);
    line_of(&out, "tasks", s.tasks);
    line_of(&out, "regions", s.regions);
    if (f->kernel != NULL) {
        kernel_counts(f->kernel, &c);
        text_addf(&out, "left at the end: %u regions below /, %u tasks, %u sessions\n",
                  c.regions - 1, c.tasks, c.sessions);
    }
    for (int kind = 0; kind < EV_KIND_COUNT; kind++) {
        if (s.kinds[kind] > 0)
            text_addf(&out, "%10llu %s\n", (unsigned long long)s.kinds[kind],
                      event_kind_name((enum event_kind)kind));
    }
    lab_print(&out);
}
