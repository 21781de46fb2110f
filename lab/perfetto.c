/* SPDX-License-Identifier: MIT */
#include "lab/perfetto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/fields.h"
#include "core/arena.h"
#include "lab/view.h"

/* What is open: the state of a task or region, an obligation, a saga. */
struct span {
    struct asup_ref ref;
    asup_time since;
    const char *state; /* NULL: it is closed */
    char *name;        /* of obligations and sagas */
    uint64_t pid, tid;
};

struct drawing {
    FILE *file;
    const struct kernel *kernel;
    asup_time base, now;
    bool first;
    struct span *spans;
    size_t count, room;
    uint32_t *slots; /* span + 1, by its ref; 0: none */
    size_t slot_count;
};

enum { SESSIONS_PID = 0, REGION_TID = 0 };

/* ---- Spans, found by what they are of ------------------------------------------------------ */

static uint32_t *
slot_of(const struct drawing *d, struct asup_ref ref)
{
    size_t at = hash_mix(ref.sort, ref.id) & (d->slot_count - 1);

    while (d->slots[at] != 0 && (d->spans[d->slots[at] - 1].ref.id != ref.id ||
                                 d->spans[d->slots[at] - 1].ref.sort != ref.sort))
        at = (at + 1) & (d->slot_count - 1);
    return &d->slots[at];
}

static void
slots_grow(struct drawing *d)
{
    free(d->slots);
    d->slot_count = d->slot_count > 0 ? 2 * d->slot_count : 1024;
    d->slots = calloc(d->slot_count, sizeof d->slots[0]);
    if (d->slots == NULL)
        abort();
    for (size_t i = 0; i < d->count; i++)
        *slot_of(d, d->spans[i].ref) = (uint32_t)i + 1;
}

static struct span *
span_find(struct drawing *d, uint8_t sort, uint64_t id)
{
    uint32_t at = d->slot_count > 0 ? *slot_of(d, (struct asup_ref){id, sort}) : 0;

    return at != 0 ? &d->spans[at - 1] : NULL;
}

static struct span *
span_get(struct drawing *d, uint8_t sort, uint64_t id)
{
    struct span *s = span_find(d, sort, id);

    if (s != NULL)
        return s;
    if (2 * (d->count + 1) > d->slot_count)
        slots_grow(d);
    if (d->count == d->room) {
        d->room = d->room > 0 ? 2 * d->room : 256;
        d->spans = must_alloc(d->spans, d->room * sizeof d->spans[0]);
    }
    s = &d->spans[d->count++];
    *s = (struct span){.ref = {id, sort}};
    *slot_of(d, s->ref) = (uint32_t)d->count;
    return s;
}

/* ---- Records ----------------------------------------------------------------------------------
 */

static json_t *
microseconds(const struct drawing *d, asup_time at)
{
    return json_real((double)(at > d->base ? at - d->base : 0) / 1000.0);
}

/* One record; freed. What cannot be written is told by ferror() at the end. */
static void
put(struct drawing *d, json_t *record)
{
    (void)fputs(d->first ? "\n" : ",\n", d->file);
    d->first = false;
    (void)json_dumpf(record, d->file, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(record);
}

static void
put_name(struct drawing *d, const char *what, uint64_t pid, uint64_t tid, const char *name)
{
    put(d, json_pack("{s:s, s:s, s:I, s:I, s:{s:s%}}", "ph", "M", "name", what, "pid",
                     (json_int_t)pid, "tid", (json_int_t)tid, "args", "name", name, strlen(name)));
}

static json_t *
record(struct drawing *d, const char *phase, const char *category, const char *name, uint64_t pid,
       uint64_t tid, asup_time at)
{
    json_t *r = json_pack("{s:s, s:s, s:s, s:I, s:I}", "ph", phase, "cat", category, "name", name,
                          "pid", (json_int_t)pid, "tid", (json_int_t)tid);

    (void)json_object_set_new(r, "ts", microseconds(d, at));
    return r;
}

static void
put_instant(struct drawing *d, const char *name, uint64_t pid, uint64_t tid, json_t *args)
{
    json_t *r = record(d, "i", "event", name, pid, tid, d->now);

    (void)json_object_set_new(r, "s", json_string("t"));
    if (args != NULL)
        (void)json_object_set_new(r, "args", args);
    put(d, r);
}

/* ---- States
 * --------------------------------------------------------------------------------------- */

/* It is at something else now; NULL: it has ended. `args` go with what ends. */
static void
state_to(struct drawing *d, struct span *s, const char *state, json_t *args)
{
    if (s->state != state && s->state != NULL) {
        json_t *slice = record(d, "X", "state", s->state, s->pid, s->tid, s->since);

        (void)json_object_set_new(slice, "dur", json_real((double)(d->now - s->since) / 1000.0));
        if (args != NULL)
            (void)json_object_set(slice, "args", args);
        put(d, slice);
    }
    if (s->state != state)
        s->since = d->now;
    s->state = state;
    json_decref(args);
}

/* Its text may hold anything. */
static void
name_thread(struct drawing *d, uint64_t pid, uint64_t tid, uint8_t sort, uint64_t id,
            struct bytes label)
{
    json_t *text = view_text(label);
    struct text name = {0};

    text_addf(&name, "%c%llu", sort, (unsigned long long)id);
    if (json_string_length(text) > 0)
        text_addf(&name, " %s", json_string_value(text));
    put_name(d, "thread_name", pid, tid, name.data);
    text_free(&name);
    json_decref(text);
}

static void
look_at_region(struct drawing *d, uint64_t id, const struct event *ev)
{
    struct region_view r;
    struct span *s = span_find(d, ASUP_SORT_REGION, id);

    if (!kernel_region(d->kernel, id, &r))
        return;
    if (s == NULL) {
        json_t *path = view_path(d->kernel, id);
        struct text name = {0};

        s = span_get(d, ASUP_SORT_REGION, id);
        s->pid = id;
        s->tid = REGION_TID;
        text_addf(&name, "%s (r%llu)", json_string_value(path), (unsigned long long)id);
        put_name(d, "process_name", id, REGION_TID, name.data);
        put_name(d, "thread_name", id, REGION_TID, "region");
        text_free(&name);
        json_decref(path);
    }
    state_to(d, s, r.state == ASUP_REGION_CLOSED ? NULL : view_region_state(r.state),
             ev != NULL && ev->kind == EV_REGION_CLOSED && ev->outcome != NULL
                 ? json_pack("{s:o}", "outcome", view_outcome(d->kernel, ev->outcome))
                 : NULL);
}

static const char *
task_state(const struct task_view *t)
{
    if (t->state == ASUP_TASK_COMPLETED)
        return NULL;
    if (t->state == ASUP_TASK_RUNNING && !t->started)
        return "starting";
    if (t->state == ASUP_TASK_CREATED && t->finalizer)
        return NULL; /* it waits on its region's stack */
    return view_task_state(t->state);
}

static void
look_at_task(struct drawing *d, uint64_t id, const struct event *ev)
{
    struct task_view t;
    struct call_view call;
    struct span *s = span_find(d, ASUP_SORT_TASK, id);

    if (!kernel_task(d->kernel, id, &t))
        return;
    if (s == NULL) {
        struct bytes label = t.label;

        s = span_get(d, ASUP_SORT_TASK, id);
        s->pid = t.region;
        s->tid = id;
        if (label.size == 0 && t.call && kernel_call(d->kernel, id, &call))
            label = call.name;
        name_thread(d, t.region, id, ASUP_SORT_TASK, id, label);
    }
    state_to(d, s, task_state(&t),
             ev != NULL && ev->kind == EV_TASK_COMPLETED && ev->outcome != NULL
                 ? json_pack("{s:o}", "outcome", view_outcome(d->kernel, ev->outcome))
                 : NULL);
}

static void
look_at_session(struct drawing *d, uint64_t id, bool ended)
{
    struct span *s = span_find(d, ASUP_SORT_SESSION, id);

    if (s == NULL && ended)
        return;
    if (s == NULL) {
        if (span_find(d, ASUP_SORT_SESSION, 0) == NULL) {
            (void)span_get(d, ASUP_SORT_SESSION, 0);
            put_name(d, "process_name", SESSIONS_PID, 0, "sessions");
        }
        s = span_get(d, ASUP_SORT_SESSION, id);
        s->pid = SESSIONS_PID;
        s->tid = id;
        name_thread(d, SESSIONS_PID, id, ASUP_SORT_SESSION, id, (struct bytes){"", 0});
    }
    state_to(d, s, ended ? NULL : "session", NULL);
}

/* All that lives when the trace begins. */
static void
look_below(struct drawing *d, uint64_t region)
{
    struct region_view r;
    struct region_view child;
    struct task_view t;

    if (!kernel_region(d->kernel, region, &r))
        return;
    look_at_region(d, region, NULL);
    for (uint64_t id = r.task_first; id != 0 && kernel_task(d->kernel, id, &t); id = t.next)
        look_at_task(d, id, NULL);
    for (uint64_t id = r.child_first; id != 0 && kernel_region(d->kernel, id, &child);
         id = child.sibling_next)
        look_below(d, id);
}

/* ---- What spans and connects them
 * ------------------------------------------------------------------ */

static void
place_of(struct drawing *d, const struct event *ev, uint64_t *pid, uint64_t *tid)
{
    struct span *s = NULL;

    if (ev->holder.id != 0 && ev->holder.sort == ASUP_SORT_SESSION)
        look_at_session(d, ev->holder.id, false);
    if (ev->holder.id != 0)
        s = span_find(d, ev->holder.sort, ev->holder.id);
    if (s == NULL && ev->task != 0)
        s = span_find(d, ASUP_SORT_TASK, ev->task);
    *pid = s != NULL ? s->pid : ev->region;
    *tid = s != NULL ? s->tid : REGION_TID;
}

static void
put_span(struct drawing *d, const struct span *s, bool begins, json_t *args)
{
    const char *category = s->ref.sort == ASUP_SORT_SAGA ? "saga" : "obligation";
    json_t *r = record(d, begins ? "b" : "e", category, s->name, s->pid, s->tid, d->now);

    (void)json_object_set_new(r, "id", view_id(s->ref.sort, s->ref.id));
    if (args != NULL)
        (void)json_object_set_new(r, "args", args);
    put(d, r);
}

static void
span_begin(struct drawing *d, uint8_t sort, const struct event *ev, const char *what)
{
    json_t *text = view_text(ev->text);
    struct text name = {0};
    struct span *s;
    uint64_t pid;
    uint64_t tid;

    place_of(d, ev, &pid, &tid);
    s = span_get(d, sort, ev->subject);
    text_addf(&name, "%s%s%s", what, ev->text.size > 0 ? " " : "", json_string_value(text));
    json_decref(text);
    free(s->name);
    s->name = name.data;
    s->state = "open";
    s->since = d->now;
    s->pid = pid;
    s->tid = tid;
    put_span(d, s, true, NULL);
}

static void
span_end(struct drawing *d, uint8_t sort, const struct event *ev, json_t *told)
{
    struct span *s = span_find(d, sort, ev->subject);

    if (s != NULL && s->state != NULL) {
        s->state = NULL;
        put_span(d, s, false, json_incref(told));
    }
}

static void
put_arrow(struct drawing *d, const struct event *ev, bool begins)
{
    uint64_t pid;
    uint64_t tid;
    json_t *r;

    place_of(d, ev, &pid, &tid);
    r = record(d, begins ? "s" : "f", "message", "message", pid, tid, d->now);
    (void)json_object_set_new(r, "id", view_id(ASUP_SORT_MESSAGE, ev->subject));
    if (!begins)
        (void)json_object_set_new(r, "bp", json_string("e"));
    put(d, r);
}

/* Worth a mark of its own. */
static bool
is_marked(enum event_kind kind)
{
    switch (kind) {
    case EV_REGION_CANCEL_REQUESTED:
    case EV_REGION_CLOSE_TIMEOUT:
    case EV_REGION_OVERCOMMITTED:
    case EV_REGION_DECIDED:
    case EV_REGION_LOST:
    case EV_TASK_CANCEL_REQUESTED:
    case EV_TASK_ESCALATED:
    case EV_TASK_START_FAILED:
    case EV_TASK_BROKE_WORD:
    case EV_TASK_WATCHDOG_MISSED:
    case EV_TASK_RERUN:
    case EV_OBLIGATION_LEAKED:
    case EV_FUTURELOCK:
    case EV_MESSAGE_SENT:
    case EV_MESSAGE_RECEIVED:
    case EV_MESSAGE_RETURNED:
    case EV_MESSAGE_DEAD:
    case EV_WORKER_LOST:
    case EV_CALL_RETRIED:
    case EV_SAGA_STEP_BEGUN ... EV_SAGA_RESOLVED:
    case EV_RESUMED:
        return true;
    default:
        return false;
    }
}

static void
draw_event(struct drawing *d, const struct event *ev, json_t *told)
{
    uint64_t pid;
    uint64_t tid;

    d->now = ev->at > d->now ? ev->at : d->now;
    if (ev->region != 0)
        look_at_region(d, ev->region, ev);
    if (ev->task != 0)
        look_at_task(d, ev->task, ev);
    if (ev->session != 0)
        look_at_session(d, ev->session, ev->kind == EV_SESSION_ENDED);
    switch (ev->kind) {
    case EV_OBLIGATION_RESERVED:
        span_begin(d, ASUP_SORT_OBLIGATION, ev, view_obligation_kind((uint8_t)ev->value));
        break;
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
        span_end(d, ASUP_SORT_OBLIGATION, ev, told);
        break;
    case EV_SAGA_BEGUN:
        span_begin(d, ASUP_SORT_SAGA, ev, "saga");
        break;
    case EV_SAGA_ENDED:
        span_end(d, ASUP_SORT_SAGA, ev, told);
        break;
    case EV_MESSAGE_SENT:
    case EV_MESSAGE_RECEIVED:
        put_arrow(d, ev, ev->kind == EV_MESSAGE_SENT);
        break;
    default:
        break;
    }
    if (is_marked(ev->kind)) {
        place_of(d, ev, &pid, &tid);
        put_instant(d, event_kind_name(ev->kind), pid, tid, json_incref(told));
    }
}

static void
draw_text(struct drawing *d, const struct recording_text *t)
{
    const struct span *s = span_find(d, ASUP_SORT_TASK, t->task);
    json_t *text = view_text(t->text);

    d->now = t->at > d->now ? t->at : d->now;
    put_instant(d, json_string_value(text), s != NULL ? s->pid : ASUP_ROOT_ID,
                s != NULL ? s->tid : REGION_TID, NULL);
    json_decref(text);
}

static void
draw_all(struct drawing *d, const struct recording *r, struct fold *f)
{
    const struct event *ev;
    unsigned depth;
    size_t text = 0;
    json_t *told;

    f->told = f->at; /* of what was before the snapshot no states are known */
    if (f->at < r->event_count)
        d->base = d->now = r->events[f->at].at;
    look_below(d, ASUP_ROOT_ID);
    while ((told = view_next(f, &depth, &ev)) != NULL) {
        for (; text < r->text_count && r->texts[text].before < f->told; text++)
            draw_text(d, &r->texts[text]);
        draw_event(d, ev, told);
        json_decref(told);
    }
    for (; text < r->text_count; text++)
        draw_text(d, &r->texts[text]);
    for (size_t i = 0; i < d->count; i++) { /* what is open at the end */
        struct span *s = &d->spans[i];

        if (s->state == NULL)
            continue;
        if (s->ref.sort == ASUP_SORT_OBLIGATION || s->ref.sort == ASUP_SORT_SAGA)
            put_span(d, s, false, json_pack("{s:b}", "still_open", 1));
        else
            state_to(d, s, NULL, json_pack("{s:b}", "still_open", 1));
    }
}

int
perfetto_write(const struct lab_call *call, const struct recording *r, struct fold *f,
               const char *path)
{
    struct drawing d = {.first = true, .kernel = f->kernel};
    json_t *meta = json_object();
    bool fine;

    for (size_t i = 0; i < r->meta_count; i++)
        (void)json_object_set_new(
            meta, r->meta[i].key,
            view_text((struct bytes){r->meta[i].value, strlen(r->meta[i].value)}));
    if (f->kernel == NULL) {
        json_decref(meta);
        return lab_fail(call, EX_DATAERR,
                        "%s: without a snapshot to begin from nothing can be drawn", r->path);
    }
    d.file = fopen(path, "we");
    if (d.file == NULL) {
        json_decref(meta);
        return lab_fail(call, EX_CANTCREAT, "%s: cannot be made: %s", path, strerror(errno));
    }
    (void)fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":", d.file);
    (void)json_dumpf(meta, d.file, JSON_COMPACT);
    (void)fputs(",\"traceEvents\":[", d.file);
    draw_all(&d, r, f);
    (void)fputs("\n]}\n", d.file);
    fine = fflush(d.file) == 0 && !ferror(d.file);
    fine = fclose(d.file) == 0 && fine;
    for (size_t i = 0; i < d.count; i++)
        free(d.spans[i].name);
    free(d.spans);
    free(d.slots);
    json_decref(meta);
    if (!fine)
        return lab_fail(call, EX_IOERR, "%s: cannot be written: %s", path, strerror(errno));
    return 0;
}
