/* SPDX-License-Identifier: MIT */
#include "core/resources.h"

#include "core/event.h"

static const uint32_t touches_of[EV_KIND_COUNT] = {
#define KERNEL_EVENT_TOUCHES(name, wire, touches) [EV_##name] = touches,
    KERNEL_EVENT_LIST(KERNEL_EVENT_TOUCHES)
#undef KERNEL_EVENT_TOUCHES
};

/* What there is one of. */
static const struct {
    uint32_t touch;
    enum resource_sort sort;
    bool owned;
} single[] = {
    {OWN_TASKS, RESOURCE_TASKS, true},
    {OWN_REGIONS, RESOURCE_REGIONS, true},
    {OWN_SESSIONS, RESOURCE_SESSIONS, true},
    {OWN_REQUESTS, RESOURCE_REQUESTS, true},
    {OWN_RETAINED, RESOURCE_RETAINED, true},
    {OWN_READY, RESOURCE_READY, true},
    {OWN_SIGNALS, RESOURCE_SIGNALS, true},
    {OWN_FINALIZERS, RESOURCE_FINALIZERS, true},
    {SHARE_LANES, RESOURCE_LANES, false},
    {OWN_LANES, RESOURCE_LANES, true},
    {OWN_OBLIGATIONS, RESOURCE_OBLIGATIONS, true},
    {OWN_CHANNELS, RESOURCE_CHANNELS, true},
    {OWN_LEASES, RESOURCE_LEASES, true},
    {OWN_CAPABILITIES, RESOURCE_CAPABILITIES, true},
    {OWN_TIME, RESOURCE_TIME, true},
};

struct resources {
    struct resource *items;
    size_t count;
};

/* Touched twice, it is owned when one of them owns it. */
static void
touch(struct resources *to, enum resource_sort sort, uint64_t id, bool owned)
{
    if (sort < RESOURCE_SORT_MADE && id == 0)
        return; /* there is none */
    for (size_t i = 0; i < to->count; i++) {
        struct resource *r = &to->items[i];

        if (r->sort == sort && r->id == id) {
            r->owned = r->owned || owned;
            return;
        }
    }
    must(to->count < EVENT_RESOURCES_MAX);
    to->items[to->count++] = (struct resource){.sort = sort, .id = id, .owned = owned};
}

const struct reason_payload *
event_reason(const struct event *ev)
{
    if (ev->payload_size == 0)
        return NULL;
    if (ev->kind == EV_REGION_CANCEL_REQUESTED)
        return &((const struct cancel_payload *)ev->payload)->reason;
    return ev->kind == EV_TASK_CANCEL_REQUESTED ? ev->payload : NULL;
}

enum resource_sort
event_subject_sort(enum event_kind kind)
{
    switch (kind) {
    case EV_OBLIGATION_RESERVED ... EV_FUTURELOCK:
    case EV_LEASE_GRANTED ... EV_LEASE_FREE:
        return RESOURCE_OBLIGATION;
    case EV_CHANNEL_OPENED ... EV_CHANNEL_CLOSED:
        return RESOURCE_CHANNEL;
    case EV_MESSAGE_SENT ... EV_MESSAGE_DISCARDED:
        return RESOURCE_MESSAGE;
    case EV_SAGA_BEGUN ... EV_SAGA_FORGOTTEN:
        return RESOURCE_SAGA;
    case EV_CAPABILITY_GRANTED ... EV_CAPABILITY_DEAD:
        return RESOURCE_CAPABILITY;
    case EV_KEY_BOUND ... EV_KEY_FORGOTTEN:
        return RESOURCE_KEY;
    default:
        return RESOURCE_SORT_MADE;
    }
}

bool
event_makes(const struct event *ev, struct resource *made)
{
    const struct reason_payload *reason = event_reason(ev);

    *made = (struct resource){.owned = true};
    switch (ev->kind) {
    case EV_TASK_CREATED:
    case EV_FINALIZER_REGISTERED:
    case EV_SAGA_STEP_UNDOING:
        made->sort = RESOURCE_TASK;
        made->id = ev->task;
        return true;
    case EV_REGION_OPENED:
        made->sort = RESOURCE_REGION;
        made->id = ev->region;
        return true;
    case EV_SESSION_OPENED:
        made->sort = RESOURCE_SESSION;
        made->id = ev->session;
        return true;
    case EV_OBLIGATION_RESERVED:
    case EV_CHANNEL_OPENED:
    case EV_MESSAGE_SENT:
    case EV_SAGA_BEGUN:
    case EV_CAPABILITY_GRANTED:
    case EV_KEY_BOUND:
        made->sort = event_subject_sort(ev->kind);
        made->id = ev->subject;
        return true;
    case EV_LEASE_GRANTED:
        made->sort = RESOURCE_TOKEN;
        made->id = ev->value;
        return true;
    default:
        made->sort = RESOURCE_REASON;
        made->id = ev->reason;
        return reason != NULL && reason->is_new;
    }
}

/* Neighbours in the tree: the parent, the attached session. */
static void
touch_around(struct resources *to, const struct event *ev, uint32_t touches)
{
    const struct closed_payload *closed = ev->kind == EV_REGION_CLOSED ? ev->payload : NULL;

    if ((touches & OWN_PARENT) != 0)
        touch(to, RESOURCE_REGION, closed != NULL ? closed->parent : ev->value, true);
    if ((touches & SHARE_SESSION) != 0)
        touch(to, RESOURCE_SESSION, closed != NULL ? closed->session : ev->session, false);
    if ((touches & SHARE_DECIDER) != 0) {
        touch(to, RESOURCE_TASK, ev->task, false);
        touch(to, RESOURCE_REGION, ev->value, false);
    }
}

/* Reasons that it makes, takes or hands on. */
static void
touch_reasons(struct resources *to, const struct event *ev)
{
    const struct reason_payload *reason = event_reason(ev);
    bool is_new = reason != NULL && reason->is_new;

    touch(to, RESOURCE_REASON, ev->reason, is_new);
    if (is_new) {
        touch(to, RESOURCE_REASONS, 0, true);
        touch(to, RESOURCE_REASON, reason->cause, false);
    }
    if (ev->outcome != NULL)
        touch(to, RESOURCE_REASON, ev->outcome->reason, false);
}

/* A permit and an ack are of a channel, a lease of a name; which one, not every event says. */
static void
touch_by_kind(struct resources *to, const struct event *ev)
{
    const struct obligation_payload *renewed = ev->payload;
    uint64_t kind = ev->value;

    if (ev->kind == EV_OBLIGATION_RENEWED)
        kind = ev->payload_size > 0 ? renewed->kind : UINT64_MAX;
    if (kind != ASUP_OBLIGATION_LEASE && kind != ASUP_OBLIGATION_IO_OP)
        touch(to, RESOURCE_CHANNELS, 0, true);
    if (kind != ASUP_OBLIGATION_SEND_PERMIT && kind != ASUP_OBLIGATION_ACK &&
        kind != ASUP_OBLIGATION_IO_OP)
        touch(to, RESOURCE_LEASES, 0, true);
}

size_t
event_resources(const struct event *ev, struct resource out[EVENT_RESOURCES_MAX])
{
    struct resources to = {.items = out};
    uint32_t touches = touches_of[ev->kind];
    const struct cancel_payload *cancel =
        ev->kind == EV_REGION_CANCEL_REQUESTED ? ev->payload : NULL;

    /* How much time finalizers have from then on is as good as a setting. */
    touch(&to, RESOURCE_CONFIG, 0,
          (touches & OWN_CONFIG) != 0 || (cancel != NULL && cancel->hurry));
    if ((touches & OWN_TASK) != 0)
        touch(&to, RESOURCE_TASK, ev->task, true);
    if ((touches & (OWN_REGION | SHARE_REGION)) != 0)
        touch(&to, RESOURCE_REGION, ev->region, (touches & OWN_REGION) != 0);
    if ((touches & OWN_SESSION) != 0)
        touch(&to, RESOURCE_SESSION, ev->session, true);
    if ((touches & OWN_HOLDER) != 0)
        touch(&to, ev->holder.sort == ASUP_SORT_TASK ? RESOURCE_TASK : RESOURCE_SESSION,
              ev->holder.id, true);
    if ((touches & OWN_KIND) != 0)
        touch_by_kind(&to, ev);
    touch_around(&to, ev, touches);
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
        if ((touches & single[i].touch) != 0)
            touch(&to, single[i].sort, 0, single[i].owned);
    }
    touch_reasons(&to, ev);
    if (ev->call || ev->kind == EV_SESSION_ENDED) /* which may be a worker's */
        touch(&to, RESOURCE_CALLS, 0, true);
    return to.count;
}

bool
kernel_events_independent(const struct event *a, const struct event *b)
{
    struct resource of_a[EVENT_RESOURCES_MAX];
    struct resource of_b[EVENT_RESOURCES_MAX];
    size_t count_a = event_resources(a, of_a);
    size_t count_b = event_resources(b, of_b);

    for (size_t i = 0; i < count_a; i++) {
        for (size_t j = 0; j < count_b; j++) {
            if (of_a[i].sort == of_b[j].sort && of_a[i].id == of_b[j].id &&
                (of_a[i].owned || of_b[j].owned))
                return false;
        }
    }
    return true;
}
