/* SPDX-License-Identifier: MIT */
#include "daemon/engine/bodies_owed.h"

#include "daemon/engine/bodies.h"

const char *
obligation_kind_name(uint8_t kind)
{
    static const char *const names[] = {
#define WORD(name, number, wire) [number] = (wire),
        ASUP_OBLIGATION_KIND_LIST(WORD)
#undef WORD
    };

    return kind < ASUP_OBLIGATION_KIND_COUNT ? names[kind] : "unknown";
}

uint32_t
owed(const uint32_t by_kind[ASUP_OBLIGATION_KIND_COUNT])
{
    uint32_t sum = 0;

    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
        sum += by_kind[kind];
    return sum;
}

void
body_kinds(struct proto_writer *w, const uint32_t by_kind[ASUP_OBLIGATION_KIND_COUNT])
{
    pw_map(w);
    for (uint8_t kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++) {
        pw_key(w, obligation_kind_name(kind));
        pw_uint(w, by_kind[kind]);
    }
    pw_end(w);
}

static void
write_region(struct proto_writer *w, struct engine *e, uint64_t region)
{
    char path[REGION_PATH_SIZE];

    pw_key(w, "region");
    pw_id(w, ASUP_SORT_REGION, region);
    pw_key(w, "path");
    pw_text(w, path, region_path(e->kernel, region, path, sizeof path));
}

static void
write_holder(struct proto_writer *w, struct engine *e, const struct asup_ref *holder)
{
    struct task_view task;

    pw_key(w, "holder");
    pw_id(w, holder->sort, holder->id);
    if (holder->sort == ASUP_SORT_TASK && kernel_task(e->kernel, holder->id, &task)) {
        pw_key(w, "holder_label");
        pw_text(w, task.label.data, task.label.size);
    }
}

void
body_obligation(struct proto_writer *w, struct engine *e, const struct obligation_view *o)
{
    asup_time now = engine_now(e);

    pw_map(w);
    pw_key(w, "id");
    pw_id(w, ASUP_SORT_OBLIGATION, o->id);
    pw_key(w, "kind");
    pw_str(w, obligation_kind_name(o->kind));
    write_region(w, e, o->region);
    write_holder(w, e, &o->holder);
    pw_key(w, "name");
    pw_text(w, o->name.data, o->name.size);
    if (o->token) {
        pw_key(w, "token");
        pw_uint(w, o->token);
    }
    if (o->channel) {
        pw_key(w, "channel");
        pw_id(w, ASUP_SORT_CHANNEL, o->channel);
    }
    if (o->message) {
        pw_key(w, "message");
        pw_id(w, ASUP_SORT_MESSAGE, o->message);
    }
    pw_key(w, "age_ns");
    pw_uint(w, now - o->at);
    pw_key(w, "left_ns");
    pw_time(w, time_left(o->deadline, now));
    pw_key(w, "owner");
    pw_uint(w, o->uid);
    pw_end(w);
}

void
body_lease(struct proto_writer *w, struct engine *e, const struct lease_view *l)
{
    asup_time now = engine_now(e);

    pw_map(w);
    write_region(w, e, l->region);
    pw_key(w, "name");
    pw_text(w, l->name.data, l->name.size);
    pw_key(w, "state");
    pw_str(w, l->cooling ? "cooling" : "held");
    pw_key(w, "obligation");
    pw_id(w, ASUP_SORT_OBLIGATION, l->obligation);
    write_holder(w, e, &l->holder);
    pw_key(w, "token");
    pw_uint(w, l->token);
    pw_key(w, "age_ns");
    pw_uint(w, now - l->granted_at);
    pw_key(w, "left_ns");
    pw_time(w, l->cooling ? ASUP_NEVER : time_left(l->expires_at, now));
    pw_key(w, "waiters");
    pw_uint(w, l->waiters);
    pw_key(w, "owner");
    pw_uint(w, l->uid);
    pw_end(w);
}

/* A repeated request may find that it has ended meanwhile: the answer is the
 * same, with no time left. The token of a lease is the number of its
 * obligation. */
void
body_granted(struct proto_writer *w, struct engine *e, uint64_t obligation)
{
    struct obligation_view o = {.deadline = 0};

    (void)kernel_obligation(e->kernel, obligation, &o);
    pw_map(w);
    pw_key(w, "obligation");
    pw_id(w, ASUP_SORT_OBLIGATION, obligation);
    pw_key(w, "token");
    pw_uint(w, obligation);
    pw_key(w, "expires_in_ns");
    pw_uint(w, time_left(o.deadline, engine_now(e)));
    pw_end(w);
}

void
body_event_owed(struct proto_writer *w, const struct event *ev)
{
    switch (ev->kind) {
    case EV_OBLIGATION_RESERVED:
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
    case EV_OBLIGATION_TRANSFERRED:
        pw_key(w, "kind");
        pw_str(w, obligation_kind_name((uint8_t)ev->value));
        break;
    case EV_OBLIGATION_RENEWED:
    case EV_FUTURELOCK:
    case EV_LEASE_GRANTED:
    case EV_LEASE_ENDED:
    case EV_LEASE_FREE:
        break;
    default:
        return;
    }
    pw_key(w, "obligation");
    pw_id(w, ASUP_SORT_OBLIGATION, ev->subject);
    pw_key(w, "holder");
    pw_id(w, ev->holder.sort, ev->holder.id);
}
