/* SPDX-License-Identifier: MIT */
/* The journal of the engine on a disk that keeps what was committed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#include "daemon/engine/journal.h"

enum { META_MAX = 8 };

struct record {
    uint64_t seq, at, wall;
    size_t size;
    char *body;
};

struct meta {
    char key[24], value[64];
};

struct snapshot {
    char *data;
    size_t size;
    uint64_t seq, at;
};

/* The disk, and what is on its way to it. */
struct journal {
    struct record *records; /* committed ones, pushed ones, others */
    size_t count, room, pushed;
    struct meta meta[META_MAX], meta_pending[META_MAX];
    struct snapshot snapshot, snapshot_pending;
    uint64_t committed;
    uint64_t since_events, since_bytes;
    bool failing;
    struct journal_callbacks callbacks;
};

static struct journal disk;

static void
records_drop(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        free(disk.records[i].body);
    memmove(disk.records + from, disk.records + to, (disk.count - to) * sizeof disk.records[0]);
    disk.count -= to - from;
}

void
disk_fini(void)
{
    if (disk.count > 0)
        records_drop(0, disk.count);
    free(disk.records);
    free(disk.snapshot.data);
    free(disk.snapshot_pending.data);
    memset(&disk, 0, sizeof disk);
}

void
disk_reset(void)
{
    disk_fini();
}

uint64_t
disk_committed(void)
{
    return disk.committed;
}

/* ---- What the engine calls --------------------------------------------------------------- */

int
journal_open(const struct journal_options *options, struct journal **out)
{
    (void)options;
    *out = &disk;
    return 0;
}

int
journal_read(struct journal *j, const struct journal_reader *reader)
{
    int rc = reader->snapshot(reader->ctx, j->snapshot.seq, j->snapshot.data, j->snapshot.size);

    for (size_t i = 0; rc == 0 && i < j->count; i++)
        rc = reader->event(reader->ctx, j->records[i].seq, j->records[i].wall, false,
                           j->records[i].body, j->records[i].size);
    return rc;
}

uint64_t
journal_kept_from(struct journal *j)
{
    (void)j;
    return 0;
}

bool
journal_is_new(const struct journal *j)
{
    return j->snapshot.data == NULL;
}

int
journal_begin(struct journal *j, uint64_t seq, uint64_t at_ns, const void *data, size_t size)
{
    j->snapshot = (struct snapshot){.data = malloc(size), .size = size, .seq = seq, .at = at_ns};
    if (!j->snapshot.data)
        abort();
    memcpy(j->snapshot.data, data, size);
    j->committed = seq;
    return 0;
}

uint64_t
journal_last_at(struct journal *j)
{
    return j->count > 0 ? j->records[j->count - 1].at : j->snapshot.at;
}

bool
journal_meta(struct journal *j, const char *key, char *out, size_t size)
{
    for (size_t i = 0; i < META_MAX; i++) {
        if (strcmp(j->meta[i].key, key) == 0) {
            snprintf(out, size, "%s", j->meta[i].value);
            return true;
        }
    }
    return false;
}

bool
journal_start(struct journal *j, struct ev_loop *loop, const struct journal_callbacks *callbacks)
{
    (void)loop;
    j->callbacks = *callbacks;
    return true;
}

bool
journal_add(struct journal *j, const struct journal_record *record)
{
    struct record *r;

    if (j->count == j->room) {
        j->room = j->room ? 2 * j->room : 64;
        j->records = realloc(j->records, j->room * sizeof j->records[0]);
        if (!j->records)
            abort();
    }
    if (j->count > 0 && j->records[j->count - 1].seq >= record->seq)
        broken("R-EVT-1", "events are written in another order");
    r = &j->records[j->count++];
    *r = (struct record){.seq = record->seq,
                         .at = record->at_ns,
                         .wall = record->wall_ns,
                         .size = record->body_size,
                         .body = malloc(record->body_size)};
    if (!r->body)
        abort();
    memcpy(r->body, record->body, record->body_size);
    j->since_events++;
    j->since_bytes += record->body_size;
    return true;
}

static void
meta_put(struct meta *all, const char *key, const char *value)
{
    for (size_t i = 0; i < META_MAX; i++) {
        if (all[i].key[0] == '\0' || strcmp(all[i].key, key) == 0) {
            snprintf(all[i].key, sizeof all[i].key, "%s", key);
            snprintf(all[i].value, sizeof all[i].value, "%s", value);
            return;
        }
    }
    abort();
}

bool
journal_set_meta(struct journal *j, const char *key, const char *value)
{
    meta_put(j->meta_pending, key, value);
    return true;
}

void
journal_push(struct journal *j)
{
    j->pushed = j->count;
}

uint64_t
journal_committed(const struct journal *j)
{
    return j->committed;
}

void
journal_look(const struct journal *j, struct journal_state *out)
{
    *out = (struct journal_state){.committed = j->committed, .failing = j->failing};
    snprintf(out->reason, sizeof out->reason, "the script says so");
}

void
journal_snapshot_take(struct journal *j, uint64_t seq, uint64_t at_ns, void *data, size_t size)
{
    j->since_events = j->since_bytes = 0;
    j->snapshot_pending = (struct snapshot){.data = data, .size = size, .seq = seq, .at = at_ns};
}

bool
journal_snapshot_busy(const struct journal *j)
{
    return j->snapshot_pending.data != NULL;
}

uint64_t
journal_since_events(const struct journal *j)
{
    return j->since_events;
}

uint64_t
journal_since_bytes(const struct journal *j)
{
    return j->since_bytes;
}

/* ---- What happens to it -------------------------------------------------------------------- */

static void
snapshot_settle(void)
{
    size_t old = 0;

    if (!disk.snapshot_pending.data)
        return;
    free(disk.snapshot.data);
    disk.snapshot = disk.snapshot_pending;
    disk.snapshot_pending = (struct snapshot){0};
    while (old < disk.count && disk.records[old].seq <= disk.snapshot.seq)
        old++;
    if (old > disk.pushed)
        broken("journal.h", "a snapshot of what was not pushed");
    records_drop(0, old);
    disk.pushed -= old;
}

void
disk_commit(void)
{
    if (disk.failing)
        return;
    if (disk.pushed > 0 && disk.records[disk.pushed - 1].seq > disk.committed)
        disk.committed = disk.records[disk.pushed - 1].seq;
    for (size_t i = 0; i < META_MAX; i++) {
        if (disk.meta_pending[i].key[0] != '\0')
            meta_put(disk.meta, disk.meta_pending[i].key, disk.meta_pending[i].value);
    }
    memset(disk.meta_pending, 0, sizeof disk.meta_pending);
    snapshot_settle();
    disk.callbacks.changed(disk.callbacks.ctx);
}

void
disk_fail(bool failing)
{
    if (disk.failing == failing)
        return;
    disk.failing = failing;
    disk.callbacks.changed(disk.callbacks.ctx);
}

void
disk_crash(void)
{
    size_t kept = 0;

    while (kept < disk.count && disk.records[kept].seq <= disk.committed)
        kept++;
    if (kept < disk.count)
        records_drop(kept, disk.count);
    disk.pushed = disk.count;
    free(disk.snapshot_pending.data);
    disk.snapshot_pending = (struct snapshot){0};
    memset(disk.meta_pending, 0, sizeof disk.meta_pending);
    disk.since_events = disk.count;
    disk.since_bytes = 0;
    disk.failing = false;
}
