/* SPDX-License-Identifier: MIT */
#include "daemon/engine/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "daemon/engine/crash.h"
#include "daemon/engine/journal_db.h"
#include "daemon/engine/report.h"

/* Between two attempts of a batch that could not be written. */
#define PAUSE_FIRST_NS 10000000L
#define PAUSE_MOST_NS 1000000000L
#if defined ASUP_CRASH_POINTS && ASUP_CRASH_POINTS
#define SNAPSHOT_PART ((size_t)4 << 10) /* so that a small one has parts, too */
#else
#define SNAPSHOT_PART ((size_t)256 << 10)
#endif
/* How often a database that somebody else has locked is tried before it counts
 * as a failure; each attempt waits two seconds by itself. */
enum { BUSY_ATTEMPTS = 3, CLOSE_ATTEMPTS = 3 };

struct snapshot {
    char *data; /* NULL: none is being written */
    size_t size;
    uint64_t seq, at_ns;
};

struct journal {
    struct journal_db *db;
    struct journal_options options;
    struct ev_loop *loop;
    struct ev_async wake;
    struct journal_callbacks callbacks;
    pthread_t thread;
    bool running;
    bool is_new;

    /* the loop's own */
    struct journal_batch gathering;
    struct journal_state state;
    uint64_t since_events, since_bytes;
    bool snapshot_busy;

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct journal_batch pushed;     /* loop -> thread */
    struct snapshot snapshot_wanted; /* likewise */
    struct journal_state told;       /* thread -> loop */
    bool snapshot_done;
    bool stopping;

    /* the thread's own */
    struct journal_batch batch; /* being written */
    struct snapshot snapshot;
    size_t snapshot_at;
    uint64_t truncate_seq, truncate_snapshot; /* 0: nothing to remove */
    unsigned busy_count, attempts;
    long pause_ns;
    bool chores_failed, chores_told, log_stuck;
};

/* ---- The thread ---------------------------------------------------------------------- */

static void
tell(struct journal *j, bool failing, const char *reason)
{
    pthread_mutex_lock(&j->lock);
    if (!failing) {
        if (j->batch.seq)
            j->told.committed = j->batch.seq;
        j->told.commits++;
    }
    j->told.bytes = journal_db_size(j->db);
    j->told.failing = failing;
    strncpy(j->told.reason, reason, sizeof j->told.reason - 1);
    pthread_mutex_unlock(&j->lock);
    ev_async_send(j->loop, &j->wake);
}

/* Wait before the next attempt, unless it is to stop. */
static void
pause_before_retry(struct journal *j)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += j->pause_ns;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&j->lock);
    j->attempts++; /* journal_close() begins to count anew */
    while (!j->stopping && pthread_cond_timedwait(&j->work, &j->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&j->lock);
    j->pause_ns = j->pause_ns * 2 > PAUSE_MOST_NS ? PAUSE_MOST_NS : j->pause_ns * 2;
}

/* One attempt to write the batch at hand. */
static void
write_batch(struct journal *j)
{
    char why[sizeof j->told.reason];
    int rc = journal_db_write(j->db, &j->batch);

    if (rc == 0) {
        crash_point("after-commit");
        j->pause_ns = PAUSE_FIRST_NS;
        j->busy_count = 0;
        tell(j, false, "");
        journal_batch_clear(&j->batch);
        return;
    }
    if (journal_db_busy(rc) && ++j->busy_count < BUSY_ATTEMPTS)
        return;
    journal_db_error(j->db, rc, why, sizeof why);
    tell(j, true, why);
    pause_before_retry(j);
}

/* A chore that fails is done again after the next batch; said once. */
static void
chore_failed(struct journal *j, const char *what, int code)
{
    char why[160];

    j->chores_failed = true;
    if (j->chores_told)
        return;
    j->chores_told = true;
    journal_db_error(j->db, code, why, sizeof why);
    report(REPORT_WARNING, "the journal grows: its %s: %s; tried again with every write", what,
           why);
}

/* One piece of the snapshot; true when something was done. */
static bool
write_snapshot(struct journal *j)
{
    struct snapshot *s = &j->snapshot;
    size_t left = s->size - j->snapshot_at;
    size_t size = left < SNAPSHOT_PART ? left : SNAPSHOT_PART;
    bool last = size == left;

    if (!s->data)
        return false;
    crash_point(last ? "snapshot-end" : "snapshot-part");
    int rc =
        journal_db_snapshot(j->db, s->seq, s->at_ns, (uint32_t)(j->snapshot_at / SNAPSHOT_PART),
                            s->data + j->snapshot_at, size, last);
    if (rc != 0) {
        chore_failed(j, "snapshot cannot be written", rc);
        return false;
    }
    j->snapshot_at += size;
    if (!last)
        return true;
    free(s->data);
    s->data = NULL;
    j->truncate_snapshot = s->seq;
    j->truncate_seq = journal_db_kept(j->db, j->options.events_kept);
    if (j->truncate_seq > s->seq)
        j->truncate_seq = s->seq + 1; /* what the snapshot does not hold stays */
    pthread_mutex_lock(&j->lock);
    j->told.snapshot = s->seq;
    j->snapshot_done = true;
    pthread_mutex_unlock(&j->lock);
    ev_async_send(j->loop, &j->wake);
    return true;
}

/* The log goes first: snapshots make it grow, too. A reader that stays makes it
 * fail; the log grows meanwhile. */
static void
move_log(struct journal *j)
{
    int rc = journal_db_checkpoint(j->db);

    j->log_stuck = rc != 0 || journal_db_wal(j->db) > j->options.wal_bytes;
    if (rc != 0 && !journal_db_busy(rc))
        chore_failed(j, "log cannot be moved into the database", rc);
    else if (rc == 0)
        j->chores_told = false;
}

/* What can wait: one piece of it. True when there may be more. */
static bool
do_chore(struct journal *j)
{
    bool more = false;

    if (!j->log_stuck && journal_db_wal(j->db) > j->options.wal_bytes) {
        move_log(j);
        return true;
    }
    if (write_snapshot(j))
        return true;
    if (j->chores_failed || !j->truncate_snapshot)
        return false;
    int rc = journal_db_truncate(j->db, j->truncate_seq, j->truncate_snapshot, &more);
    if (rc == 0 && !more)
        j->truncate_snapshot = 0;
    if (rc != 0)
        chore_failed(j, "old events cannot be removed", rc);
    return rc == 0;
}

/* Take what was pushed. False: stop. */
static bool
take_work(struct journal *j, bool idle)
{
    pthread_mutex_lock(&j->lock);
    while (idle && !j->stopping && j->pushed.size == 0 && !j->snapshot_wanted.data)
        pthread_cond_wait(&j->work, &j->lock);
    if (j->batch.size == 0)
        (void)journal_batch_move(&j->batch, &j->pushed); /* to an empty one: a swap */
    if (j->snapshot_wanted.data && !j->snapshot.data) {
        j->snapshot = j->snapshot_wanted;
        j->snapshot_wanted = (struct snapshot){0};
        j->snapshot_at = 0;
    }
    bool stop = j->stopping && (j->batch.size == 0 || j->attempts >= CLOSE_ATTEMPTS);
    pthread_mutex_unlock(&j->lock);
    return !stop;
}

static void *
journal_thread(void *arg)
{
    struct journal *j = arg;
    bool idle = false;

    while (take_work(j, idle)) {
        if (j->batch.size > 0) {
            write_batch(j);
            j->chores_failed = j->log_stuck = false;
            idle = false;
        } else {
            idle = !do_chore(j);
        }
    }
    return NULL;
}

/* ---- The loop ---------------------------------------------------------------------------- */

static void
on_wake(struct ev_loop *loop, struct ev_async *w, int revents)
{
    struct journal *j = w->data;
    uint64_t added = j->state.added;

    (void)loop;
    (void)revents;
    pthread_mutex_lock(&j->lock);
    j->state = j->told;
    if (j->snapshot_done) {
        j->snapshot_done = false;
        j->snapshot_busy = false;
    }
    pthread_mutex_unlock(&j->lock);
    j->state.added = added;
    j->callbacks.changed(j->callbacks.ctx);
}

int
journal_open(const struct journal_options *options, struct journal **out)
{
    struct journal *j = calloc(1, sizeof *j);
    pthread_condattr_t attributes;
    uint64_t last = 0;
    uint64_t snapshot = 0;

    if (!j)
        return EX_OSERR;
    int rc = journal_db_open(options->path, &j->db);
    if (rc != 0) {
        free(j);
        return rc;
    }
    j->options = *options;
    j->options.path = NULL;
    j->pause_ns = PAUSE_FIRST_NS;
    j->is_new = !journal_db_numbers(j->db, &last, &snapshot) && last == 0;
    j->state.added = j->state.committed = last > snapshot ? last : snapshot;
    j->state.snapshot = snapshot;
    j->state.bytes = journal_db_size(j->db);
    j->told = j->state;
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&j->work, &attributes);
    pthread_condattr_destroy(&attributes);
    *out = j;
    return 0;
}

uint64_t
journal_kept_from(struct journal *j)
{
    return journal_db_kept(j->db, j->options.events_kept);
}

bool
journal_is_new(const struct journal *j)
{
    return j->is_new;
}

int
journal_begin(struct journal *j, uint64_t seq, uint64_t at_ns, const void *data, size_t size)
{
    const char *at = data;
    uint32_t part = 0;

    for (;;) {
        bool last = size <= SNAPSHOT_PART;
        size_t now = last ? size : SNAPSHOT_PART;
        int rc = journal_db_snapshot(j->db, seq, at_ns, part++, at, now, last);
        if (rc != 0) {
            char why[160];
            journal_db_error(j->db, rc, why, sizeof why);
            report(REPORT_ERROR, "cannot write the journal: %s", why);
            return EX_CANTCREAT;
        }
        if (last)
            break;
        at += now;
        size -= now;
    }
    j->state.snapshot = j->told.snapshot = seq;
    return 0;
}

int
journal_read(struct journal *j, const struct journal_reader *reader)
{
    return journal_db_read(j->db, j->options.events_kept, reader);
}

uint64_t
journal_last_at(struct journal *j)
{
    return journal_db_last_at(j->db);
}

bool
journal_meta(struct journal *j, const char *key, char *out, size_t size)
{
    return journal_db_meta(j->db, key, out, size);
}

bool
journal_start(struct journal *j, struct ev_loop *loop, const struct journal_callbacks *callbacks)
{
    j->loop = loop;
    j->callbacks = *callbacks;
    ev_async_init(&j->wake, on_wake);
    j->wake.data = j;
    ev_async_start(loop, &j->wake);
    j->running = pthread_create(&j->thread, NULL, journal_thread, j) == 0;
    if (!j->running) {
        ev_async_stop(loop, &j->wake);
        report(REPORT_ERROR, "no thread for the journal");
    }
    return j->running;
}

bool
journal_add(struct journal *j, const struct journal_record *record)
{
    if (!journal_batch_event(&j->gathering, record))
        return false;
    j->state.added = record->seq;
    j->since_events++;
    j->since_bytes += record->body_size + record->text_size;
    return true;
}

bool
journal_set_meta(struct journal *j, const char *key, const char *value)
{
    return journal_batch_meta(&j->gathering, key, value);
}

void
journal_push(struct journal *j)
{
    if (j->gathering.size == 0)
        return;
    pthread_mutex_lock(&j->lock);
    /* Without memory it stays where it is, and goes with the next. */
    (void)journal_batch_move(&j->pushed, &j->gathering);
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
    crash_point("gathered");
}

uint64_t
journal_committed(const struct journal *j)
{
    return j->state.committed;
}

void
journal_look(const struct journal *j, struct journal_state *out)
{
    *out = j->state;
}

void
journal_snapshot_take(struct journal *j, uint64_t seq, uint64_t at_ns, void *data, size_t size)
{
    crash_point("snapshot-taken");
    j->since_events = j->since_bytes = 0;
    j->snapshot_busy = true;
    pthread_mutex_lock(&j->lock);
    j->snapshot_wanted = (struct snapshot){.data = data, .size = size, .seq = seq, .at_ns = at_ns};
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
}

bool
journal_snapshot_busy(const struct journal *j)
{
    return j->snapshot_busy;
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

void
journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->running) {
        journal_push(j);
        pthread_mutex_lock(&j->lock);
        j->stopping = true;
        j->attempts = 0;
        pthread_cond_signal(&j->work);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->thread, NULL);
        ev_async_stop(j->loop, &j->wake);
    }
    journal_db_close(j->db);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->work);
    journal_batch_free(&j->gathering);
    journal_batch_free(&j->pushed);
    journal_batch_free(&j->batch);
    free(j->snapshot.data);
    free(j->snapshot_wanted.data);
    free(j);
}
