/* SPDX-License-Identifier: MIT */
/* What is written to the journal in one transaction: events and meta values,
 * copied one after another into one block of memory. */
#ifndef ASUPERSYNC_DAEMON_ENGINE_JOURNAL_BATCH_H
#define ASUPERSYNC_DAEMON_ENGINE_JOURNAL_BATCH_H

#include "daemon/engine/journal.h"

struct batch_item {
    size_t size;  /* with what follows */
    bool is_meta; /* the key is record.kind, the value follows */
    struct journal_record record;
    /* text, body; or the value */
};

struct journal_batch {
    char *data;
    size_t size, capacity;
    uint64_t events;
    uint64_t seq; /* of the last event; 0: none */
};

/* False: no memory, nothing changed. */
bool journal_batch_event(struct journal_batch *b, const struct journal_record *record);
bool journal_batch_meta(struct journal_batch *b, const char *key, const char *value);
/* Append one to another, which is empty afterwards. */
bool journal_batch_move(struct journal_batch *to, struct journal_batch *from);
void journal_batch_clear(struct journal_batch *b);
void journal_batch_free(struct journal_batch *b);
/* Read one after another, from *cursor 0 on. A meta value has its key in
 * out->kind; else *value_out is NULL. False: no more. */
bool journal_batch_next(const struct journal_batch *b, size_t *cursor, struct journal_record *out,
                        const char **value_out);

#endif
