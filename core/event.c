/* SPDX-License-Identifier: MIT */
#include "core/event.h"

static const char *const kind_names[EV_KIND_COUNT] = {
#define KERNEL_EVENT_NAME(name, wire, touches) wire,
    KERNEL_EVENT_LIST(KERNEL_EVENT_NAME)
#undef KERNEL_EVENT_NAME
};

const char *
event_kind_name(enum event_kind kind)
{
    return (unsigned)kind < EV_KIND_COUNT ? kind_names[kind] : "unknown";
}

/* ---- Scratch memory of a step ----------------------------------------------------- */

enum { SCRATCH_SIZE_MIN = 16384 };

bool
scratch_reserve(struct kernel *k, size_t size)
{
    struct scratch *s = &k->scratch;
    const struct kernel_allocator *a = &k->allocator;
    size_t fresh_size = size < SCRATCH_SIZE_MIN ? SCRATCH_SIZE_MIN : size;
    void *table;
    void *fresh;

    if (s->size - s->used >= size)
        return true;
    table = (void *)s->older;
    if (!memory_reserve(a, &table, &s->older_capacity, s->older_count + 1, sizeof s->older[0]))
        return false;
    s->older = table;
    table = s->older_size;
    if (!memory_reserve(a, &table, &s->older_size_capacity, s->older_count + 1,
                        sizeof s->older_size[0]))
        return false;
    s->older_size = table;
    fresh = a->resize(a->ctx, NULL, 0, fresh_size);
    if (fresh == NULL)
        return false;
    if (s->chunk != NULL) {
        s->older[s->older_count] = s->chunk;
        s->older_size[s->older_count++] = s->size;
    }
    s->chunk = fresh;
    s->size = fresh_size;
    s->used = 0;
    return true;
}

void *
scratch_take(struct kernel *k, size_t size)
{
    struct scratch *s = &k->scratch;
    void *p;

    size = (size + 7) & ~(size_t)7;
    must(scratch_reserve(k, size));
    p = s->chunk + s->used;
    s->used += size;
    return p;
}

struct bytes
scratch_text(struct kernel *k, struct bytes text)
{
    const struct scratch *s = &k->scratch;
    const uint8_t *p = text.data;
    char *copy;

    if (text.size == 0)
        return (struct bytes){.data = "", .size = 0};
    if (s->chunk != NULL && p >= s->chunk && p < s->chunk + s->used)
        return text;
    copy = scratch_take(k, text.size);
    memcpy(copy, text.data, text.size);
    return (struct bytes){.data = copy, .size = text.size};
}

/* ---- Emission ----------------------------------------------------------------------- */

/* Whom an event is about is known by index here, and looked up by id when it is
 * applied: the memo spares the walk through the index. */

struct event
event_of_region(enum event_kind kind, struct kernel *k, uint32_t region)
{
    const struct region *r = region_at(k, region);

    k->region_memo = region;
    return (struct event){.kind = kind, .uid = r->uid, .region = r->id};
}

struct event
event_of_task(enum event_kind kind, struct kernel *k, uint32_t task)
{
    const struct task *t = task_at(k, task);

    k->task_memo = task;
    return (struct event){
        .kind = kind, .uid = t->uid, .region = region_at(k, t->region)->id, .task = t->id};
}

struct event
event_of_session(enum event_kind kind, const struct kernel *k, uint32_t session)
{
    const struct session *s = session_at(k, session);

    return (struct event){.kind = kind, .uid = s->uid, .session = s->id};
}

void
emit(struct kernel *k, struct event ev)
{
    void *events = k->events;

    ev.seq = k->event_seq + 1;
    ev.at = k->now;
    ev.text = scratch_text(k, ev.text);
    if (ev.outcome != NULL) {
        struct kernel_outcome *copy = scratch_take(k, sizeof *copy);

        *copy = *ev.outcome;
        ev.outcome = copy;
    }
    if (ev.payload_size > 0) {
        const uint8_t *p = ev.payload;

        if (p < k->scratch.chunk || p >= k->scratch.chunk + k->scratch.used) {
            void *copy = scratch_take(k, ev.payload_size);

            memcpy(copy, ev.payload, ev.payload_size);
            ev.payload = copy;
        }
    }
    must(memory_reserve(&k->allocator, &events, &k->event_capacity, k->event_count + 1,
                        sizeof k->events[0]));
    k->events = events;
    k->events[k->event_count++] = ev;
    kernel_apply(k, &ev);
}

struct effect *
effect_add(struct kernel *k, enum effect_kind kind)
{
    void *effects = k->effects;
    struct effect *fx;

    must(memory_reserve(&k->allocator, &effects, &k->effect_capacity, k->effect_count + 1,
                        sizeof k->effects[0]));
    k->effects = effects;
    fx = &k->effects[k->effect_count++];
    memset(fx, 0, sizeof *fx);
    fx->kind = kind;
    return fx;
}
