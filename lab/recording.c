/* SPDX-License-Identifier: MIT */
#include "lab/recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "lab/trace_layout.h"

enum { BLOCK_SIZE = 1 << 18 };

struct block {
    struct block *next;
    size_t size, used;
    uint8_t data[] __attribute__((aligned(16)));
};

/* ---- Memory ---------------------------------------------------------------------------- */

static void *
keep(struct recording *r, const void *data, size_t size)
{
    size_t padded = (size + 15) & ~(size_t)15;
    struct block *b = r->blocks;
    void *to;

    if (b == NULL || b->size - b->used < padded) {
        size_t room = padded > BLOCK_SIZE ? padded : BLOCK_SIZE;

        b = malloc(sizeof *b + room);
        if (b == NULL)
            return NULL;
        *b = (struct block){.next = r->blocks, .size = room};
        r->blocks = b;
    }
    to = b->data + b->used;
    b->used += padded;
    if (size > 0)
        memcpy(to, data, size);
    return to;
}

static bool
room_for(void *items, size_t *room, size_t count, size_t item_size)
{
    void **at = items;
    size_t wanted = *room > 0 ? 2 * *room : 256;
    void *grown;

    if (count < *room)
        return true;
    grown = reallocarray(*at, wanted, item_size);
    if (grown == NULL)
        return false;
    *at = grown;
    *room = wanted;
    return true;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static bool
take_event(struct recording *r, const struct event *from)
{
    struct event ev = *from;
    void *text = keep(r, from->text.data, from->text.size);
    void *payload = keep(r, from->payload, from->payload_size);
    void *outcome = NULL;

    if (from->outcome != NULL)
        outcome = keep(r, from->outcome, sizeof *from->outcome);
    if (text == NULL || payload == NULL || (from->outcome != NULL && outcome == NULL) ||
        !room_for(&r->events, &r->event_room, r->event_count, sizeof ev) ||
        !room_for(&r->ends, &r->ends_room, r->event_count, sizeof r->ends[0]))
        return false;
    r->ends[r->event_count] = 0;
    ev.text.data = text;
    ev.payload = from->payload_size > 0 ? payload : NULL;
    ev.outcome = outcome;
    r->events[r->event_count++] = ev;
    return true;
}

static bool
take_text(struct recording *r, const struct trace_frame *f)
{
    struct recording_text t = {
        .before = r->event_count,
        .task = f->task,
        .at = f->at,
        .text = {keep(r, f->data.data, f->data.size), f->data.size},
    };

    if (t.text.data == NULL || !room_for(&r->texts, &r->text_room, r->text_count, sizeof t))
        return false;
    r->texts[r->text_count++] = t;
    return true;
}

static bool
take_snapshot(struct recording *r, struct bytes data)
{
    free(r->snapshot);
    r->snapshot = malloc(data.size + 1);
    if (r->snapshot == NULL)
        return false;
    memcpy(r->snapshot, data.data, data.size);
    r->snapshot_size = data.size;
    r->snapshot_before = r->event_count;
    return true;
}

static bool
take_frame(struct recording *r, const struct trace_frame *f)
{
    switch (f->kind) {
    case TRACE_EVENT:
        return take_event(r, &f->event);
    case TRACE_SNAPSHOT:
        return take_snapshot(r, f->data);
    case TRACE_TEXT:
        return take_text(r, f);
    case TRACE_STEP:
        r->step_count++;
        if (r->event_count > 0)
            r->ends[r->event_count - 1] = 1;
        return true;
    default:
        r->choice_count += f->kind == TRACE_CHOICE;
        return true;
    }
}

static bool
take_meta(struct recording *r, const struct trace_reader *from)
{
    const char *value;
    bool is_number;

    for (const char *key; (key = trace_meta_at(from, r->meta_count, &value, &is_number)) != NULL;) {
        struct meta *meta = reallocarray(r->meta, r->meta_count + 1, sizeof *meta);

        if (meta == NULL)
            return false;
        r->meta = meta;
        meta += r->meta_count++;
        *meta = (struct meta){strdup(key), strdup(value), is_number};
        if (meta->key == NULL || meta->value == NULL)
            return false;
    }
    return true;
}

static int
no_memory(const char *path, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "%s: no memory for all of it", path);
    errno = ENOMEM;
    return -ASUP_EUNAVAILABLE;
}

int
recording_read(const char *path, struct recording **out, char *why, size_t why_size)
{
    struct recording *r = calloc(1, sizeof *r);
    struct trace_reader *reader = NULL;
    struct trace_frame frame;
    int rc;

    *out = r;
    if (r == NULL || (r->path = strdup(path)) == NULL)
        return no_memory(path, why, why_size);
    rc = trace_open(path, &reader, why, why_size);
    if (rc != 0)
        return rc;
    if (!take_meta(r, reader))
        rc = no_memory(path, why, why_size);
    while (rc == 0 && (rc = trace_next(reader, &frame, why, why_size)) > 0)
        rc = take_frame(r, &frame) ? 0 : no_memory(path, why, why_size);
    trace_close(reader);
    return rc;
}

void
recording_free(struct recording *r)
{
    if (r == NULL)
        return;
    for (struct block *b = r->blocks; b != NULL; b = r->blocks) {
        r->blocks = b->next;
        free(b);
    }
    for (size_t i = 0; i < r->meta_count; i++) {
        free(r->meta[i].key);
        free(r->meta[i].value);
    }
    free(r->meta);
    free(r->snapshot);
    free(r->events);
    free(r->ends);
    free(r->texts);
    free(r->path);
    free(r);
}

const char *
recording_meta(const struct recording *r, const char *key)
{
    for (size_t i = 0; i < r->meta_count; i++) {
        if (strcmp(r->meta[i].key, key) == 0)
            return r->meta[i].value;
    }
    return NULL;
}
