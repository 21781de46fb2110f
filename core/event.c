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
        .kind = kind,
        .uid = t->uid,
        .region = region_at(k, t->region)->id,
        .task = t->id,
        .call = task_is_call(t),
    };
}

struct event
event_of_session(enum event_kind kind, const struct kernel *k, uint32_t session)
{
    const struct session *s = session_at(k, session);

    return (struct event){.kind = kind, .uid = s->uid, .session = s->id};
}

/* Bookkeeping that need not outlive the engine: see durable.h. */
static bool
volatile_by_kind(const struct kernel *k, const struct event *ev)
{
    const struct session_payload *session = ev->payload;
    const struct charge_payload *charge = ev->payload;
    uint32_t i;

    switch (ev->kind) {
    case EV_TICK:
    case EV_TASK_CHECKPOINTED:
    case EV_TASK_MASKED:
    case EV_TASK_SAMPLE_ORDERED:
    case EV_TASK_WATCHDOG_FED:
    case EV_SESSION_LOST:
    case EV_JOURNAL_STATE:
    case EV_WORKER_SEEN:
        return true;
    case EV_SESSION_ATTACHED:
        i = session_of_id(k, ev->session);
        return i != NIL && session_at(k, i)->ttl_ns == session->ttl_ns &&
               session_at(k, i)->pid == session->pid;
    case EV_TASK_CHARGED:
        return ev->value == 0 || !charge->to_ancestors;
    case EV_KEY_COMPLETED:
    case EV_KEY_FORGOTTEN:
        return !key_durable(k, ev->subject);
    case EV_REQUEST_BOUND:
    case EV_REQUEST_PART_BOUND:
    case EV_KEY_BOUND:
        return k->durable_seq == k->request_mark; /* of what it led to, nothing is durable */
    default:
        return false;
    }
}

bool
region_id_volatile(const struct kernel *k, uint64_t id)
{
    uint32_t i = id == 0 || !k->volatile_seen ? NIL : region_of_id(k, id);

    return i != NIL && (region_at(k, i)->flags & REGION_VOLATILE) != 0;
}

/* R-DUR-1 */
static bool
event_durable(const struct kernel *k, const struct event *ev)
{
    uint64_t region = ev->kind == EV_REGION_OPENED ? ev->value : ev->region;

    if (volatile_by_kind(k, ev))
        return false;
    if (ev->kind >= EV_CHANNEL_SEALED && ev->kind <= EV_MESSAGE_DISCARDED)
        return !channel_event_volatile(k, ev); /* its region may be gone */
    if (!region_id_volatile(k, region))
        return true;
    switch (ev->kind) {
    case EV_REASON_MADE:
    case EV_REGION_CHARGED:
    case EV_REGION_LOST:
        return true;
    case EV_REGION_CLOSED:
    case EV_REGION_FORGOTTEN:
        return (region_at(k, region_of_id(k, region))->flags & REGION_VOLATILE_TOP) != 0;
    default:
        return false;
    }
}

void
emit(struct kernel *k, struct event ev)
{
    void *events = k->events;

    ev.seq = k->event_seq + 1;
    ev.at = k->now;
    ev.durable = event_durable(k, &ev);
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
effect_of_task(struct kernel *k, enum effect_kind kind, uint32_t task)
{
    const struct task *t = task_at(k, task);
    const struct region *r = region_at(k, t->region);
    struct effect *fx = effect_add(k, kind);

    fx->task = t->id;
    /* Cancelling needs no journal, but never overtakes the start. */
    if ((r->flags & REGION_VOLATILE) != 0 || kind == FX_SAMPLE ||
        ((kind == FX_SIGNAL || kind == FX_KILL) && (t->flags & TASK_STARTED) != 0))
        fx->after = 0;
    return fx;
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
    fx->after = k->durable_seq;
    return fx;
}
