/* SPDX-License-Identifier: MIT */
#include "lab/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/text.h"

#define NAME_OF(name, number, wire) [number] = (wire),
#define NAME_OF_CANCEL(name, number, tier, wire) [number] = (wire),

static const char *const cancel_kinds[] = {ASUP_CANCEL_LIST(NAME_OF_CANCEL)};
static const char *const severities[] = {"ok", "err", "cancelled", "panicked"};

/* ---- Words ------------------------------------------------------------------------------- */

const char *
view_obligation_kind(uint8_t kind)
{
    static const char *const names[] = {ASUP_OBLIGATION_KIND_LIST(NAME_OF)};

    return kind < ASUP_OBLIGATION_KIND_COUNT ? names[kind] : "unknown";
}

const char *
view_task_state(uint8_t state)
{
    static const char *const names[] = {ASUP_TASK_STATE_LIST(NAME_OF)};

    return state < ASUP_TASK_STATE_COUNT ? names[state] : "unknown";
}

const char *
view_region_state(uint8_t state)
{
    static const char *const names[] = {ASUP_REGION_STATE_LIST(NAME_OF)};

    return state < ASUP_REGION_STATE_COUNT ? names[state] : "unknown";
}

json_t *
view_text(struct bytes text)
{
    json_t *whole = text.size > 0 ? json_stringn(text.data, text.size) : json_string("");
    struct text fixed = {0};
    const char *at = text.data;
    size_t left = text.size;

    if (whole != NULL)
        return whole;
    while (left > 0) {
        bool bad;
        size_t good = utf8_valid(at, left, &bad);

        text_put(&fixed, at, good);
        at += good;
        left -= good;
        if (left > 0) {
            text_add(&fixed, "\xef\xbf\xbd");
            at++;
            left--;
        }
    }
    whole = json_stringn(fixed.data, fixed.size);
    text_free(&fixed);
    return whole;
}

json_t *
view_id(uint8_t sort, uint64_t id)
{
    char text[32];

    if (id == 0 || sort == ASUP_SORT_NONE)
        return json_null();
    (void)snprintf(text, sizeof text, "%c%llu", sort, (unsigned long long)id);
    return json_string(text);
}

json_t *
view_digest(const struct kernel *k)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%016llx", (unsigned long long)kernel_digest(k));
    return json_string(text);
}

json_t *
view_path(const struct kernel *k, uint64_t region)
{
    uint64_t chain[ASUP_DEPTH_MAX + 1];
    size_t depth = 0;
    struct text path = {0};
    struct region_view r;
    json_t *out;

    for (uint64_t id = region; id != ASUP_ROOT_ID; id = r.parent) {
        if (id == 0 || depth > ASUP_DEPTH_MAX || !kernel_region(k, id, &r))
            break;
        chain[depth++] = id;
    }
    if (depth == 0 && region != ASUP_ROOT_ID)
        return json_null();
    while (depth > 0 && kernel_region(k, chain[--depth], &r)) {
        text_add(&path, "/");
        text_put(&path, r.name.data, r.name.size);
    }
    out = path.size > 0 ? view_text((struct bytes){path.data, path.size}) : json_string("/");
    text_free(&path);
    return out;
}

static json_t *
number(uint64_t value)
{
    return json_integer((json_int_t)(value > INT64_MAX ? INT64_MAX : value));
}

/* ---- R and O ------------------------------------------------------------------------------- */

json_t *
view_reason(const struct kernel *k, uint32_t reason)
{
    enum { LINKS_MAX = ASUP_DEPTH_MAX + 8 };
    struct reason_view links[LINKS_MAX];
    size_t count = reason != 0 && k != NULL ? kernel_reason(k, reason, links, LINKS_MAX) : 0;
    json_t *inner = json_null();

    for (size_t i = count < LINKS_MAX ? count : LINKS_MAX; i-- > 0;) {
        const struct reason_view *l = &links[i];

        inner = json_pack(
            "{s:s, s:o, s:o, s:o, s:o}", "kind",
            l->key.kind < ASUP_CANCEL_KIND_COUNT ? cancel_kinds[l->key.kind] : "unknown", "message",
            view_text(l->message), "origin", view_id(l->origin_sort, l->key.origin), "at_ns",
            number(l->key.at), "cause", inner);
    }
    return inner;
}

static json_t *
view_error(const struct kernel_outcome *o)
{
    if (o->stage[0] == '\0')
        return json_null();
    return json_pack("{s:o, s:i, s:s}", "stage",
                     view_text((struct bytes){o->stage, strnlen(o->stage, sizeof o->stage)}),
                     "errno", (int)o->error, "message",
                     o->error != 0 && strerrordesc_np(o->error) != NULL ? strerrordesc_np(o->error)
                                                                        : "");
}

json_t *
view_outcome(const struct kernel *k, const struct kernel_outcome *o)
{
    if (o == NULL)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "outcome",
                     o->key.severity <= ASUP_PANICKED ? severities[o->key.severity] : "unknown",
                     "exit_code", o->exit_code >= 0 ? json_integer(o->exit_code) : json_null(),
                     "signal", o->signal > 0 ? json_integer(o->signal) : json_null(), "forced",
                     (int)o->forced, "reason", view_reason(k, o->reason), "error", view_error(o),
                     "origin", view_id(o->origin_sort, o->key.origin), "at_ns", number(o->key.at),
                     "wall_ns", number(o->wall_ns), "cpu_ns", number(o->cpu_ns),
                     "memory_peak_bytes",
                     o->memory_peak > 0 ? number(o->memory_peak) : json_null());
}

/* ---- E ----------------------------------------------------------------------------------------
 */

static void
put_id(json_t *to, const char *key, uint8_t sort, uint64_t id)
{
    if (id != 0)
        (void)json_object_set_new(to, key, view_id(sort, id));
}

static struct bytes
task_label(const struct kernel *k, uint64_t task)
{
    struct task_view t;
    struct call_view call;

    if (k == NULL || task == 0 || !kernel_task(k, task, &t))
        return (struct bytes){"", 0};
    if (t.label.size == 0 && t.call && kernel_call(k, task, &call))
        return call.name;
    return t.label;
}

static void
put_label(json_t *to, const char *key, struct bytes label)
{
    if (label.size > 0)
        (void)json_object_set_new(to, key, view_text(label));
}

static void
put_channel(json_t *to, const struct kernel *k, uint64_t channel)
{
    struct channel_view c;

    put_id(to, "channel", ASUP_SORT_CHANNEL, channel);
    if (k != NULL && kernel_channel(k, channel, &c))
        put_label(to, "channel_name", c.name);
}

/* An obligation, with its name and what it is about. */
static void
put_obligation(json_t *to, const struct kernel *k, const struct event *ev)
{
    struct obligation_view o;

    put_id(to, "obligation", ASUP_SORT_OBLIGATION, ev->subject);
    if (ev->kind >= EV_OBLIGATION_RESERVED && ev->kind <= EV_OBLIGATION_LEAKED)
        (void)json_object_set_new(to, "kind",
                                  json_string(view_obligation_kind((uint8_t)ev->value)));
    if (k == NULL || !kernel_obligation(k, ev->subject, &o))
        return;
    put_label(to, "name", o.name);
    put_id(to, "channel", ASUP_SORT_CHANNEL, o.channel);
    put_id(to, "message", ASUP_SORT_MESSAGE, o.message);
}

/* What it is about besides region, task and session. */
static void
put_subject(json_t *to, const struct kernel *k, const struct event *ev)
{
    struct saga_view saga;

    switch (ev->kind) {
    case EV_OBLIGATION_RESERVED ... EV_FUTURELOCK:
    case EV_LEASE_GRANTED ... EV_LEASE_FREE:
        put_obligation(to, k, ev);
        break;
    case EV_CHANNEL_OPENED ... EV_CHANNEL_CLOSED:
        put_channel(to, k, ev->subject);
        break;
    case EV_MESSAGE_SENT ... EV_MESSAGE_DISCARDED:
        put_id(to, "message", ASUP_SORT_MESSAGE, ev->subject);
        if (ev->kind != EV_MESSAGE_DISCARDED)
            put_channel(to, k, ev->value);
        break;
    case EV_SAGA_BEGUN ... EV_SAGA_FORGOTTEN:
        put_id(to, "saga", ASUP_SORT_SAGA, ev->subject);
        if (k != NULL && kernel_saga(k, ev->subject, &saga))
            put_label(to, "name", saga.name);
        break;
    case EV_CAPABILITY_GRANTED ... EV_CAPABILITY_DEAD:
        put_id(to, "cx", ASUP_SORT_CAPABILITY, ev->subject);
        break;
    default:
        break;
    }
    if (ev->holder.id == 0)
        return;
    put_id(to, "holder", ev->holder.sort, ev->holder.id);
    if (ev->holder.sort == ASUP_SORT_TASK)
        put_label(to, "holder_label", task_label(k, ev->holder.id));
}

/* A number that another key tells by its name is none. */
static bool
has_value(const struct event *ev)
{
    return ev->value != 0 && ev->kind != EV_CAPABILITY_GRANTED && ev->kind != EV_REGION_OPENED &&
           (ev->kind < EV_MESSAGE_SENT || ev->kind >= EV_MESSAGE_DISCARDED) &&
           (ev->kind < EV_OBLIGATION_RESERVED || ev->kind > EV_OBLIGATION_TRANSFERRED);
}

json_t *
view_event(const struct kernel *k, const struct event *ev)
{
    json_t *to = json_pack("{s:o, s:o, s:s}", "seq", number(ev->seq), "at_ns", number(ev->at),
                           "event", event_kind_name(ev->kind));

    put_id(to, "region", ASUP_SORT_REGION, ev->region);
    if (k != NULL && ev->region != 0)
        (void)json_object_set_new(to, "path", view_path(k, ev->region));
    if (ev->kind == EV_REGION_OPENED)
        put_id(to, "parent", ASUP_SORT_REGION, ev->value);
    put_id(to, "task", ASUP_SORT_TASK, ev->task);
    put_label(to, "label", task_label(k, ev->task));
    put_id(to, "session", ASUP_SORT_SESSION, ev->session);
    put_subject(to, k, ev);
    if (has_value(ev))
        (void)json_object_set_new(to, "value", number(ev->value));
    if (ev->text.size > 0)
        (void)json_object_set_new(to, "text", view_text(ev->text));
    if (ev->reason != 0)
        (void)json_object_set_new(to, "reason", view_reason(k, ev->reason));
    if (ev->outcome != NULL)
        (void)json_object_set_new(to, "outcome", view_outcome(k, ev->outcome));
    (void)json_object_set_new(to, "durable", json_boolean(ev->durable));
    return to;
}

unsigned
view_depth(const struct kernel *k, const struct event *ev)
{
    struct region_view r;

    if (k == NULL || ev->region == 0 || !kernel_region(k, ev->region, &r))
        return 0;
    return r.depth + (ev->task != 0);
}

/* ---- Along a fold
 * --------------------------------------------------------------------------------- */

/* Whether nothing is known any more of what it is about once it has happened. */
static bool
ends_its_subject(enum event_kind kind)
{
    switch (kind) {
    case EV_REGION_FORGOTTEN:
    case EV_TASK_FORGOTTEN:
    case EV_SESSION_ENDED:
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
    case EV_CHANNEL_CLOSED:
    case EV_MESSAGE_CONSUMED:
    case EV_MESSAGE_DISCARDED:
    case EV_LEASE_ENDED:
    case EV_SAGA_FORGOTTEN:
    case EV_CAPABILITY_DEAD:
        return true;
    default:
        return false;
    }
}

json_t *
view_next(struct fold *f, unsigned *depth, const struct event **ev)
{
    json_t *told;

    if (f->told >= f->recording->event_count)
        return NULL;
    *ev = &f->recording->events[f->told];
    if (f->told++ < f->at || f->kernel == NULL) { /* history, or all that is known */
        *depth = view_depth(f->kernel, *ev);
        return view_event(f->kernel, *ev);
    }
    if (ends_its_subject((*ev)->kind)) {
        *depth = view_depth(f->kernel, *ev);
        told = view_event(f->kernel, *ev);
        (void)fold_next(f);
        return told;
    }
    (void)fold_next(f);
    *depth = view_depth(f->kernel, *ev);
    return view_event(f->kernel, *ev);
}
