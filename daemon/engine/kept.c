/* SPDX-License-Identifier: MIT */
#include "daemon/engine/kept.h"

#include <assert.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/report.h"

/* An event as it is, followed by its outcome and its text. */
struct kept {
    asup_time at;
    uint64_t wall;
    uint64_t region, task, session, subject, value;
    struct asup_ref holder;
    uint32_t kind;
    uint32_t text_size;
    bool has_outcome;
};

static_assert(sizeof(struct kept) % 8 == 0, "the outcome behind it is aligned");

enum { KEPT_TEXT_MAX = 512 }; /* longer ones are written at once */

/* So many, and so little in them; or what the daemon tells itself. */
static bool
event_is_kept(enum event_kind kind)
{
    switch (kind) {
    case EV_TICK:
    case EV_REQUEST_BOUND:
    case EV_REQUEST_PART_BOUND:
    case EV_TASK_CHECKPOINTED:
    case EV_TASK_MASKED:
    case EV_TASK_SAMPLE_ORDERED:
    case EV_TASK_CHARGED:
    case EV_TASK_WATCHDOG_FED:
    case EV_WORKER_SEEN:
    case EV_KEY_BOUND:
    case EV_KEY_COMPLETED:
    case EV_KEY_FORGOTTEN:
    case EV_REASON_MADE:
        return false;
    default:
        return true;
    }
}

/* The region and all above it, which are the same as long as there are any. */
static void
find_place(struct engine *e, uint64_t region, struct window_place *out)
{
    struct above *above = &e->above;
    struct region_view r;
    uint64_t id;

    if (region == 0 || region != above->region) {
        above->count = 0;
        for (id = region; id && above->count < sizeof above->ids / sizeof above->ids[0];
             id = r.parent) {
            above->ids[above->count++] = id;
            if (!kernel_region(e->kernel, id, &r))
                break;
        }
        above->region = id == 0 ? region : 0; /* what is not known may be later */
    }
    out->regions = above->ids;
    out->region_count = above->count;
}

static void
push_written(struct engine *e, const struct event *ev, uint64_t wall,
             const struct window_place *place)
{
    proto_writer_clear(&e->event_writer);
    body_event(&e->event_writer, e->kernel, ev, wall);
    if (e->event_writer.failed) {
        report(REPORT_ERROR, "no memory: events are lost to those who watch");
        proto_writer_fini(&e->event_writer);
        proto_writer_init(&e->event_writer);
    }
    window_push(&e->window, ev->seq, place, e->event_writer.data, e->event_writer.size);
}

void
engine_keep_event(struct engine *e, const struct event *ev, uint64_t wall)
{
    char data[sizeof(struct kept) + sizeof(struct kernel_outcome) + KEPT_TEXT_MAX];
    size_t size = sizeof(struct kept);
    struct window_place place = {.uid = ev->uid};

    if (!event_is_kept(ev->kind)) {
        window_skip(&e->window, ev->seq);
        return;
    }
    find_place(e, ev->region, &place);
    if (!body_event_is_whole(ev) || ev->text.size > KEPT_TEXT_MAX) {
        push_written(e, ev, wall, &place);
        return;
    }
    struct kept kept = {.at = ev->at,
                        .wall = wall,
                        .region = ev->region,
                        .task = ev->task,
                        .session = ev->session,
                        .subject = ev->subject,
                        .value = ev->value,
                        .holder = ev->holder,
                        .kind = ev->kind,
                        .text_size = (uint32_t)ev->text.size,
                        .has_outcome = ev->outcome != NULL};
    memcpy(data, &kept, sizeof kept);
    if (ev->outcome) {
        memcpy(data + size, ev->outcome, sizeof *ev->outcome);
        size += sizeof *ev->outcome;
    }
    if (ev->text.size) {
        memcpy(data + size, ev->text.data, ev->text.size);
        size += ev->text.size;
    }
    place.raw = true;
    window_push(&e->window, ev->seq, &place, data, size);
}

void
kept_write(struct proto_writer *w, const struct engine *e, const struct window_event *event)
{
    const char *data = event->data;
    struct kernel_outcome outcome;
    struct kept kept;

    if (!event->place.raw) {
        pw_raw(w, data, event->size);
        return;
    }
    memcpy(&kept, data, sizeof kept);
    data += sizeof kept;
    if (kept.has_outcome) {
        memcpy(&outcome, data, sizeof outcome);
        data += sizeof outcome;
    }
    struct event ev = {.seq = event->seq,
                       .at = kept.at,
                       .kind = (enum event_kind)kept.kind,
                       .uid = event->place.uid,
                       .region = kept.region,
                       .task = kept.task,
                       .session = kept.session,
                       .subject = kept.subject,
                       .holder = kept.holder,
                       .value = kept.value,
                       .outcome = kept.has_outcome ? &outcome : NULL,
                       .text = {.data = data, .size = kept.text_size}};
    body_event(w, e->kernel, &ev, kept.wall);
}
