/* SPDX-License-Identifier: MIT */
/*
 * The window of events that can still be watched. An event is kept as the
 * bytes that kept.h makes of it, together with what decides who may see it: the
 * owner's uid and the regions above it. The window is bounded by count and by
 * bytes; what falls out at the old end is gone, and who asks for it is told so
 * (gap).
 * Ticks, checkpoints, masks, charges and watchdog feeds are volatile and not
 * kept.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_WINDOW_H
#define ASUPERSYNC_DAEMON_ENGINE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window_block;

struct window {
    struct window_block *first, *last;
    uint64_t oldest; /* sequence number from which on nothing is missing */
    uint64_t next;   /* of the event that comes next */
    size_t count;
    size_t bytes;
    size_t count_max;
    size_t bytes_max;
};

/* Who may see an event: one region and all above it, innermost first. */
struct window_place {
    uint32_t uid;
    uint32_t region_count;
    const uint64_t *regions;
    bool raw; /* how it is kept: kept.h */
};

struct window_cursor {
    struct window_block *block;
    size_t offset;
};

struct window_event {
    uint64_t seq;
    struct window_place place;
    const void *data;
    size_t size;
};

void window_init(struct window *w, size_t count_max, size_t bytes_max);
void window_fini(struct window *w);
void window_bound(struct window *w, size_t count_max, size_t bytes_max);
/* Without memory the window is emptied and starts anew behind this event. */
void window_push(struct window *w, uint64_t seq, const struct window_place *place, const void *data,
                 size_t size);
/* An event happened that is not kept. */
void window_skip(struct window *w, uint64_t seq);

/* Point the cursor at the first kept event with that number or a later one. */
void window_seek(const struct window *w, uint64_t seq, struct window_cursor *cursor);
/* Read and step on; false at the end. */
bool window_read(const struct window *w, struct window_cursor *cursor, struct window_event *out);

#endif
