/* SPDX-License-Identifier: MIT */
/*
 * The journal of a simulated daemon: a snapshot and the durable events after it,
 * in transactions. One commit is on its way at a time; what is written meanwhile
 * goes with the next (group commit). Answers and orders wait for what they
 * depend on (output commit). A commit may take long or fail; a crash leaves what
 * was on its way on disk, or in part, or not at all.
 *
 * A transaction is its events, each behind its size, and a mark: size 0, the seq
 * of the last event, and a check of that. What stands behind the last mark never happened.
 */
#include <stdlib.h>
#include <string.h>

#include "lab/world_state.h"

enum { MARK_SIZE = 20 };
#define MARK_CHECK UINT64_C(0x9e3779b97f4a7c15)

static void
put(struct bytes_file *f, uint64_t n, unsigned size)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(n >> (8 * i));
    bytes_file_append(f, bytes, size);
}

static uint64_t
get(const uint8_t *bytes, unsigned size)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < size; i++)
        n |= (uint64_t)bytes[i] << (8 * i);
    return n;
}

void
disk_write(struct world *w, const struct event *ev)
{
    w->event_bytes.size = 0;
    if (kernel_event_encode(ev, &w->event_bytes) != 0)
        world_fail(w, "not encoded: %s", event_kind_name(ev->kind));
    put(&w->disk.waiting, w->event_bytes.size, 4);
    bytes_file_append(&w->disk.waiting, w->event_bytes.data, w->event_bytes.size);
}

/* ---- Commits ------------------------------------------------------------------------ */

static void
commit_order(struct world *w)
{
    uint64_t takes = 50000 + (uint64_t)dice(w, 2000000);

    if (fault(w, FAULT_COMMIT_SLOW))
        takes = (uint64_t)dice(w, 3000) * ASUP_NS_PER_MS;
    agenda_add(w, (struct agenda_item){
                      .at = w->now + takes, .kind = AGENDA_COMMIT, .life = w->engine_run});
}

void
disk_go_on(struct world *w)
{
    struct disk *d = &w->disk;
    struct durable_sink sink = bytes_sink(&d->flight_snapshot);

    if (d->committing || !w->up || (d->waiting.size == 0 && !d->snapshot_wanted))
        return;
    d->committing = true;
    d->flight_seq = kernel_durable_seq(w->kernel);
    d->flight.size = 0;
    bytes_file_append(&d->flight, d->waiting.data, d->waiting.size);
    put(&d->flight, 0, 4);
    put(&d->flight, d->flight_seq, 8);
    put(&d->flight, (d->flight_seq + 1) * MARK_CHECK, 8);
    d->waiting.size = 0;
    /* What a fold lacks of volatile regions is put right by RESUMED: none before that. */
    d->snapshotting = d->snapshot_wanted && !kernel_recovering(w->kernel);
    d->snapshot_wanted = d->snapshot_wanted && !d->snapshotting;
    d->flight_snapshot.size = 0;
    if (d->snapshotting && kernel_save(w->kernel, &sink) != 0)
        world_fail(w, "no snapshot");
    commit_order(w);
}

/* It is on disk. */
static void
landed(struct world *w)
{
    struct disk *d = &w->disk;
    struct bytes_file former = d->snapshot;

    if (d->snapshotting) {
        d->snapshot = d->flight_snapshot;
        d->flight_snapshot = former;
        d->log.size = 0;
    } else {
        bytes_file_append(&d->log, d->flight.data, d->flight.size);
    }
    d->committed = d->flight_seq;
    d->committing = false;
    d->snapshot_wanted = d->snapshot_wanted || d->log.size > d->log_most;
    /* In one transaction with the RESUMED that says so. */
    if (d->flight_seq >= w->resumed_seq) {
        d->keeper = w->keeper_run;
        d->boot = w->boot;
    }
}

static void
held_release(struct world *w)
{
    size_t left = 0;
    size_t count = w->held_count;

    told_tell(w, w->disk.committed);
    for (size_t i = 0; i < count; i++) {
        struct held h = w->held[i];

        if (h.fx.after > w->disk.committed) {
            w->held[left++] = h;
            continue;
        }
        if (h.fx.kind == FX_REPLY)
            answer_send(w, &h.fx, h.list);
        else
            keeper_order(w, &h.fx);
        free(h.list);
    }
    w->held_count = left;
}

static void
journal_says(struct world *w, bool failed)
{
    struct input in = {.kind = IN_JOURNAL_STATE, .u.journal.failed = failed};

    w->disk.failing = failed;
    (void)world_step(w, &in);
}

void
disk_commit_done(struct world *w)
{
    struct disk *d = &w->disk;
    bool full = w->now < d->full_until && !w->calm;

    if (!full && fault(w, FAULT_DISK_FULL)) {
        d->full_until = w->now + (uint64_t)dice(w, 8000) * ASUP_NS_PER_MS;
        full = true;
    }
    if (full || fault(w, FAULT_DISK_ERROR)) {
        if (!d->failing)
            journal_says(w, true);
        agenda_add(w, (struct agenda_item){.at = w->now + 100 * ASUP_NS_PER_MS,
                                           .kind = AGENDA_COMMIT,
                                           .life = w->engine_run});
        return;
    }
    landed(w);
    held_release(w);
    if (d->failing)
        journal_says(w, false);
    disk_go_on(w);
}

void
disk_snapshot(struct world *w)
{
    w->disk.snapshot_wanted = true;
    disk_go_on(w);
}

bool
disk_crash(struct world *w)
{
    struct disk *d = &w->disk;
    bool all = w->disk.waiting.size == 0;

    d->mended = false;
    for (size_t i = 0; i < w->held_count; i++)
        free(w->held[i].list);
    w->held_count = 0;
    d->waiting.size = 0;
    d->snapshot_wanted = false;
    d->failing = false;
    d->full_until = 0;
    if (!d->committing)
        return all;
    d->committing = false;
    if (dice(w, 2) == 0) {
        landed(w);
        deed(w, DEED_FOLD_UNSEEN);
        return all;
    }
    if (!d->snapshotting && fault(w, FAULT_TORN_TAIL)) {
        size_t from = d->log.size;
        size_t size = dice(w, (uint32_t)d->flight.size);

        bytes_file_append(&d->log, d->flight.data, size);
        /* Blocks that were never written hold anything. */
        for (uint32_t n = dice(w, 4); size > 0 && n > 0; n--)
            d->log.data[from + dice(w, (uint32_t)size)] ^= (uint8_t)(1 + dice(w, 255));
    }
    return false;
}

/* ---- Folding ----------------------------------------------------------------------------- */

/* The next event of the log: its size, 0 for a mark, -1 when the rest is torn. */
static long
frame_next(struct world *w, size_t at, struct event *ev)
{
    const struct bytes_file *log = &w->disk.log;
    uint64_t size;

    if (log->size - at < 4)
        return -1;
    size = get(log->data + at, 4);
    if (size == 0)
        return log->size - at < MARK_SIZE ||
                       (get(log->data + at + 4, 8) + 1) * MARK_CHECK != get(log->data + at + 12, 8)
                   ? -1
                   : 0;
    if (size > log->size - at - 4 ||
        kernel_event_decode((struct bytes){log->data + at + 4, size}, &w->event_scratch, ev) != 0)
        return -1;
    return (long)size;
}

/* Leave out what stands behind the last mark, or is torn. */
static void
log_mend(struct world *w)
{
    struct disk *d = &w->disk;
    size_t at = 0;
    size_t good = 0;
    uint64_t seq = 0;
    struct event ev = {.seq = 0};

    while (at < d->log.size) {
        long size = frame_next(w, at, &ev);

        if (size < 0)
            break;
        if (size > 0) {
            at += 4 + (size_t)size;
            continue;
        }
        seq = get(d->log.data + at + 4, 8);
        good = at += MARK_SIZE;
    }
    if (good < d->log.size)
        deed(w, DEED_FOLD_TORN);
    if (good > 0 && seq < d->committed)
        world_fail(w, "R-DUR-1: the journal ends before what was committed");
    d->log.size = good;
    d->mended = true;
}

struct kernel *
disk_fold(struct world *w, asup_time at)
{
    struct durable_source source = bytes_source(&w->disk.snapshot);
    struct kernel_allocator allocator = world_allocator(w);
    struct kernel *k = NULL;
    size_t place = 0;

    if (!w->disk.mended)
        log_mend(w);
    if (kernel_load(&source, &allocator, at, LOAD_RECOVER, &k) != 0) {
        world_fail(w, "R-DUR-1: the snapshot cannot be read");
        return NULL;
    }
    while (place < w->disk.log.size) {
        struct event ev;
        long size = frame_next(w, place, &ev);

        if (size == 0) {
            place += MARK_SIZE;
            continue;
        }
        if (size < 0 || !ev.durable) {
            world_fail(w, size < 0 ? "R-EVT-1: an event cannot be read"
                                   : "R-DUR-1: a volatile event was written");
            break;
        }
        kernel_apply(k, &ev);
        place += 4 + (size_t)size;
    }
    return k;
}

void
disk_begin(struct world *w)
{
    struct durable_sink sink = bytes_sink(&w->disk.snapshot);

    if (kernel_save(w->kernel, &sink) != 0)
        abort();
    w->disk.committed = kernel_durable_seq(w->kernel);
    w->disk.log_most = (size_t)4096 << dice(w, 6);
}

void
disk_fini(struct disk *d)
{
    bytes_file_fini(&d->snapshot);
    bytes_file_fini(&d->log);
    bytes_file_fini(&d->waiting);
    bytes_file_fini(&d->flight);
    bytes_file_fini(&d->flight_snapshot);
}
