/* SPDX-License-Identifier: MIT */
/* events.watch: lossless from a sequence number on, as far as the window
 * reaches; what has fallen out of it is answered with gap, never skipped. What
 * is not on disk yet is not told yet. */
#include <inttypes.h>

#include "daemon/engine/call.h"
#include "daemon/engine/kept.h"
#include "daemon/engine/output.h"
#include "daemon/engine/waits.h"
#include "daemon/engine/watch.h"

/* Events of one answer, together. */
enum { ANSWER_BYTES_MAX = 512 * 1024 };

static bool
watch_sees(const struct watch *watch, const struct window_event *ev)
{
    if (!watch->privileged && ev->place.uid != watch->uid)
        return false;
    if (!watch->region)
        return true;
    for (uint32_t i = 0; i < ev->place.region_count; i++) {
        if (ev->place.regions[i] == watch->region)
            return true;
    }
    return false;
}

static bool
write_events(struct engine *e, struct watch *watch, struct proto_writer *w, bool even_empty)
{
    struct window_cursor cursor;
    struct window_event ev;
    uint64_t count = 0;
    const size_t began = w->size;
    bool full = false;
    const uint64_t visible = output_visible(e);

    window_seek(&e->window, watch->since, &cursor);
    while (!full && window_read(&e->window, &cursor, &ev) && ev.seq <= visible) {
        watch->since = ev.seq + 1;
        if (!watch_sees(watch, &ev))
            continue;
        if (count++ == 0) {
            pw_map(w);
            pw_key(w, "events");
            pw_list(w);
        }
        kept_write(w, e, &ev);
        full = count >= watch->limit || w->size - began >= ANSWER_BYTES_MAX;
    }
    if (!full && visible >= e->window.next)
        watch->since = e->window.next;
    else if (!full && watch->since <= visible)
        watch->since = visible + 1;
    if (count == 0) {
        if (!even_empty)
            return false;
        pw_map(w);
        pw_key(w, "events");
        pw_list(w);
    }
    pw_end(w);
    pw_key(w, "next");
    pw_uint(w, watch->since);
    pw_key(w, "oldest");
    pw_uint(w, e->window.oldest);
    pw_end(w);
    return true;
}

bool
watch_write(struct engine *e, struct watch *watch, struct proto_writer *w)
{
    return write_events(e, watch, w, false);
}

void
watch_write_all(struct engine *e, struct watch *watch, struct proto_writer *w)
{
    (void)write_events(e, watch, w, true);
}

int
op_events_watch(struct call *c)
{
    const struct args_events_watch *a = &c->args->events_watch;
    struct engine *e = c->engine;
    struct watch watch = {
        .since = a->since,
        .limit = a->limit,
        .uid = c->caller.uid,
        .privileged = call_sees_all(c), /* of its region, all */
    };
    struct region_view region;
    struct parked *parked;
    int rc;

    bool given = c->caller.standing.region != 0 && !call_shows_cx(c);
    if (a->region.ref.id || a->region.path.data || call_shows_cx(c) || given) {
        if ((rc = call_region(c, &a->region, "region", &region)) != 0)
            return rc;
        watch.region = given && region.id == ASUP_ROOT_ID ? c->caller.standing.region : region.id;
    }
    if (watch.since == PROTO_UNSET)
        watch.since = e->window.next;
    else if (watch.since == 0)
        watch.since = e->window.oldest;
    if (watch.since < e->window.oldest) {
        rc = call_fail(c, -ASUP_EGAP, "since",
                       "begin anew with the oldest that is kept, which is told as oldest",
                       "events before %" PRIu64 " are no longer kept", e->window.oldest);
        c->error.has_oldest = true;
        c->error.oldest = e->window.oldest;
        return rc;
    }
    /* A number from another run of the daemon, or a guess. */
    if (watch.since > e->window.next)
        watch.since = e->window.next;
    if (watch_write(e, &watch, c->w))
        return 0;
    if (a->timeout_ns == 0) {
        watch_write_all(e, &watch, c->w);
        return 0;
    }
    if ((rc = waits_park(c, PARKED_EVENTS, watch.region, a->timeout_ns, &parked)) != CALL_PARKED)
        return rc;
    parked->since = watch.since;
    parked->limit = watch.limit;
    return CALL_PARKED;
}
