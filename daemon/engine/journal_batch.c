/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/journal_batch.h"

static void *
batch_room(struct journal_batch *b, size_t size)
{
    size_t total = (size + 7) & ~(size_t)7;

    if (b->capacity - b->size < total) {
        size_t capacity = b->capacity ? b->capacity : 16384;
        while (capacity - b->size < total)
            capacity *= 2;
        char *data = realloc(b->data, capacity);
        if (!data)
            return NULL;
        b->data = data;
        b->capacity = capacity;
    }
    void *at = b->data + b->size;
    b->size += total;
    return at;
}

static void
copy(char **to, const void *from, size_t size)
{
    if (size > 0)
        memcpy(*to, from, size);
    *to += size;
}

bool
journal_batch_event(struct journal_batch *b, const struct journal_record *r)
{
    size_t total = sizeof(struct batch_item) + r->text_size + r->body_size;
    struct batch_item *item = batch_room(b, total);

    if (!item)
        return false;
    *item = (struct batch_item){.size = (total + 7) & ~(size_t)7, .record = *r};
    char *to = (char *)(item + 1);
    copy(&to, r->text, r->text_size);
    copy(&to, r->body, r->body_size);
    b->events++;
    b->seq = r->seq;
    return true;
}

bool
journal_batch_meta(struct journal_batch *b, const char *key, const char *value)
{
    size_t value_size = strlen(value) + 1;
    size_t total = sizeof(struct batch_item) + value_size;
    struct batch_item *item = batch_room(b, total);

    if (!item)
        return false;
    *item =
        (struct batch_item){.size = (total + 7) & ~(size_t)7, .is_meta = true, .record.kind = key};
    memcpy(item + 1, value, value_size);
    return true;
}

bool
journal_batch_move(struct journal_batch *to, struct journal_batch *from)
{
    if (from->size == 0)
        return true;
    if (to->size == 0) {
        struct journal_batch empty = *to;
        *to = *from;
        *from = empty;
        return true;
    }
    char *at = batch_room(to, from->size);
    if (!at)
        return false;
    memcpy(at, from->data, from->size);
    to->events += from->events;
    if (from->seq)
        to->seq = from->seq;
    from->size = 0;
    from->events = 0;
    from->seq = 0;
    return true;
}

void
journal_batch_clear(struct journal_batch *b)
{
    /* What was large once is not paid for for ever. */
    if (b->capacity > (size_t)4 << 20) {
        free(b->data);
        *b = (struct journal_batch){0};
    }
    b->size = 0;
    b->events = 0;
    b->seq = 0;
}

void
journal_batch_free(struct journal_batch *b)
{
    free(b->data);
    *b = (struct journal_batch){0};
}

bool
journal_batch_next(const struct journal_batch *b, size_t *cursor, struct journal_record *out,
                   const char **value_out)
{
    if (*cursor >= b->size)
        return false;
    const struct batch_item *item = (const void *)(b->data + *cursor);
    const char *payload = (const char *)(item + 1);

    *out = item->record;
    *value_out = item->is_meta ? payload : NULL;
    out->text = payload;
    out->body = payload + out->text_size;
    *cursor += item->size;
    return true;
}
