/* SPDX-License-Identifier: MIT */
/*
 * asupersync-lab import: a daemon's journal (asupersync-journal(5)) as a trace.
 *
 * All is read in one transaction that writes nothing: the state after some event
 * of the daemon's, which may be running. Its writer never waits for a reader of
 * its log, and what the log grows by meanwhile is used again afterwards.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "asupersync/version.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/journal_schema.h"
#include "lab/tool.h"
#include "lab/trace_file.h"
#include "lab/trace_layout.h"

struct import {
    const struct lab_call *call;
    const char *path; /* of the journal */
    sqlite3 *db;
    struct trace_writer *to;
    struct durable_buffer scratch;
    uint64_t snapshot, events, history, last;
};

/* ---- The journal ------------------------------------------------------------------------- */

static int
failed(const struct import *m, int code)
{
    if ((code & 0xff) == SQLITE_NOTADB || (code & 0xff) == SQLITE_CORRUPT)
        return lab_fail(m->call, EX_DATAERR, "%s: is damaged, or no journal: %s", m->path,
                        sqlite3_errmsg(m->db));
    return lab_fail(m->call, EX_NOINPUT, "%s: cannot be read: %s", m->path,
                    m->db != NULL ? sqlite3_errmsg(m->db) : sqlite3_errstr(code));
}

static int
damaged(const struct import *m, const char *what, uint64_t which)
{
    return lab_fail(m->call, EX_DATAERR, "%s: is damaged: %s %" PRIu64 " is not what was written",
                    m->path, what, which);
}

static int
number(struct import *m, const char *sql, uint64_t *out)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(m->db, sql, -1, &s, NULL);

    *out = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        *out = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : failed(m, rc);
}

/* A journal that nobody has open, on a file system that cannot be written, has no
 * shared memory beside it: it can be read as it stands when its log is empty. */
static int
open_db(struct import *m)
{
    struct text uri = {0};
    struct stat st;
    char wal[4096];
    uint64_t tables;
    int rc;

    if (stat(m->path, &st) != 0)
        return lab_fail(m->call, EX_NOINPUT, "%s: %s", m->path, strerror(errno));
    rc = sqlite3_open_v2(m->path, &m->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(m->db, 10000);
        rc = sqlite3_exec(m->db, "PRAGMA query_only = 1; SELECT count(*) FROM sqlite_schema", NULL,
                          NULL, NULL);
    }
    (void)snprintf(wal, sizeof wal, "%s-wal", m->path);
    if ((rc & 0xff) == SQLITE_CANTOPEN && (stat(wal, &st) != 0 || st.st_size == 0)) {
        sqlite3_close(m->db);
        text_add(&uri, "file:");
        for (const char *at = m->path; *at != '\0'; at++)
            text_addf(&uri, strchr("?#%", *at) != NULL ? "%%%02x" : "%c", (unsigned char)*at);
        text_add(&uri, "?immutable=1");
        rc = sqlite3_open_v2(uri.data, &m->db,
                             SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
        text_free(&uri);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(m->db, "BEGIN", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return failed(m, rc);
    return number(m, "SELECT count(*) FROM sqlite_schema", &tables); /* here it begins to read */
}

static int
check_db(struct import *m)
{
    uint64_t application;
    uint64_t version;
    uint64_t snapshots = 0;
    int rc = number(m, "PRAGMA application_id", &application);

    if (rc == 0)
        rc = number(m, "PRAGMA user_version", &version);
    if (rc != 0)
        return rc;
    if (application != JOURNAL_APPLICATION)
        return lab_fail(m->call, EX_DATAERR, "%s: is a database, but not a journal of asupersyncd",
                        m->path);
    if (version != JOURNAL_SCHEMA)
        return lab_fail(m->call, EX_DATAERR,
                        "%s: has layout %" PRIu64 ", and this program reads layout %d: use the "
                        "version of asupersync-lab that belongs to its daemon",
                        m->path, version, JOURNAL_SCHEMA);
    rc = number(m, "SELECT count(*) FROM snapshot WHERE last", &snapshots);
    if (rc == 0 && snapshots == 0)
        return lab_fail(m->call, EX_DATAERR, "%s: is damaged: it has no snapshot", m->path);
    return rc != 0 ? rc : number(m, "SELECT max(seq) FROM snapshot WHERE last", &m->snapshot);
}

/* ---- Into the trace ------------------------------------------------------------------------- */

static int
write_meta(struct import *m)
{
    uint64_t offset;
    char boot[64] = "";
    sqlite3_stmt *s = NULL;
    int rc = number(m,
                    "SELECT wall_ns - at_ns FROM (SELECT wall_ns, at_ns FROM event UNION ALL "
                    "SELECT wall_ns, at_ns FROM snapshot) ORDER BY at_ns DESC LIMIT 1",
                    &offset);

    if (rc != 0)
        return rc;
    if (sqlite3_prepare_v2(m->db, "SELECT value FROM meta WHERE key = 'boot_id'", -1, &s, NULL) ==
            SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        (void)snprintf(boot, sizeof boot, "%s", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    trace_meta_text(m->to, "made-by", "journal");
    trace_meta_text(m->to, "version", ASUP_VERSION);
    trace_meta_text(m->to, "journal", m->path);
    trace_meta_number(m->to, "durable", 1);
    trace_meta_number(m->to, "wall_base_ns", offset);
    if (boot[0] != '\0')
        trace_meta_text(m->to, "boot_id", boot);
    return 0;
}

static int
append(struct durable_buffer *b, const void *data, size_t size)
{
    void *items = b->data;

    if (!memory_reserve(&b->allocator, &items, &b->capacity, b->size + size, 1))
        return -1;
    b->data = items;
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

static int
write_snapshot(struct import *m)
{
    struct durable_buffer whole = {.allocator.resize = trace_resize};
    sqlite3_stmt *s = NULL;
    uint64_t part = 0;
    bool last = false;
    int result = 0;
    int rc = sqlite3_prepare_v2(
        m->db, "SELECT part, last, sum, body FROM snapshot WHERE seq = ?1 ORDER BY part", -1, &s,
        NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(s, 1, (int64_t)m->snapshot);
    while (rc == SQLITE_OK && result == 0 && !last && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const void *body = sqlite3_column_blob(s, 3);
        size_t size = (size_t)sqlite3_column_bytes(s, 3);

        if ((uint64_t)sqlite3_column_int64(s, 0) != part ||
            sqlite3_column_int64(s, 2) != journal_sum(m->snapshot + part, body, size))
            result = damaged(m, "its snapshot after event", m->snapshot);
        else if (append(&whole, body, size) != 0)
            result = lab_fail(m->call, EX_OSERR, "%s: no memory for its snapshot", m->path);
        last = sqlite3_column_int(s, 1) != 0;
        part++;
        rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    if (result == 0 && rc != SQLITE_OK && rc != SQLITE_DONE)
        result = failed(m, rc);
    if (result == 0 && !last)
        result = damaged(m, "its snapshot after event", m->snapshot);
    if (result == 0)
        (void)trace_write_snapshot_bytes(m->to, (struct bytes){whole.data, whole.size});
    durable_buffer_fini(&whole);
    return result;
}

static int
write_event(struct import *m, uint64_t seq, struct bytes body)
{
    struct event ev;
    int rc = kernel_event_decode(body, &m->scratch, &ev);

    if (rc == -ASUP_EUNSUPPORTED)
        return lab_fail(m->call, EX_DATAERR,
                        "%s: event %" PRIu64 " was written by a newer version: use the one that "
                        "belongs to its daemon",
                        m->path, seq);
    if (rc == -ASUP_ENOMEM)
        return lab_fail(m->call, EX_OSERR, "%s: no memory for event %" PRIu64, m->path, seq);
    if (rc != 0 || ev.seq != seq)
        return damaged(m, "event", seq);
    (void)trace_write_event(m->to, &ev);
    m->events++;
    m->last = seq;
    return 0;
}

/* Those that are kept to be read, the snapshot, and those after it. */
static int
write_events(struct import *m)
{
    sqlite3_stmt *s = NULL;
    bool snapshot_written = false;
    int result = 0;
    int rc =
        sqlite3_prepare_v2(m->db, "SELECT seq, sum, body FROM event ORDER BY seq", -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = SQLITE_ROW;
    while (rc == SQLITE_ROW && result == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(s, 0);
        struct bytes body = {sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2)};

        if (seq <= m->snapshot && lab_value(m->call, "replayable") != NULL)
            continue;
        if (sqlite3_column_int64(s, 1) != journal_sum(seq, body.data, body.size))
            result = damaged(m, "event", seq);
        if (result == 0 && seq > m->snapshot && !snapshot_written) {
            snapshot_written = true;
            m->history = m->events;
            result = write_snapshot(m);
        }
        if (result == 0)
            result = write_event(m, seq, body);
    }
    sqlite3_finalize(s);
    if (result == 0 && rc != SQLITE_DONE)
        result = failed(m, rc);
    if (result == 0 && !snapshot_written) {
        m->history = m->events;
        result = write_snapshot(m);
    }
    return result;
}

/* ---- The verb
 * ------------------------------------------------------------------------------------ */

static int
report(const struct import *m)
{
    struct text out = {0};

    if (m->call->json) {
        lab_print_json(json_pack("{s:i, s:I, s:I, s:I}", "format", 1, "events",
                                 (json_int_t)m->events, "history", (json_int_t)m->history,
                                 "snapshot", (json_int_t)m->snapshot));
    } else if (!m->call->quiet) {
        text_addf(&out, "%s: %" PRIu64 " events", m->call->operands[0], m->events);
        if (m->events > 0)
            text_addf(&out, ", up to %" PRIu64, m->last);
        if (m->history > 0)
            text_addf(&out, "; those up to %" PRIu64 " can be shown, not replayed", m->snapshot);
        text_add(&out, "\n");
        lab_print(&out);
    }
    return 0;
}

static int
import(struct import *m)
{
    int rc = open_db(m);

    if (rc == 0)
        rc = check_db(m);
    if (rc != 0)
        return rc;
    m->to = trace_create(m->call->operands[0]);
    if (m->to == NULL)
        return lab_fail(m->call, EX_CANTCREAT, "%s: cannot be made: %s", m->call->operands[0],
                        strerror(errno));
    rc = write_meta(m);
    if (rc == 0)
        rc = write_events(m);
    if (rc != 0) {
        trace_abandon(m->to);
        return rc;
    }
    if (trace_finish(m->to) != 0)
        return lab_fail(m->call, EX_CANTCREAT, "%s: cannot be written: %s", m->call->operands[0],
                        strerror(errno));
    return report(m);
}

static int
run(struct lab_call *call)
{
    struct import m = {.call = call, .scratch.allocator.resize = trace_resize};
    const char *directory = lab_value(call, "state-dir");
    struct text path = {0};
    int rc;

    if ((directory != NULL) == (lab_value(call, "journal") != NULL))
        return lab_fail(call, EX_USAGE, "import takes one of --state-dir and --journal");
    if (directory != NULL)
        text_addf(&path, "%s/journal.db", directory);
    else
        text_add(&path, lab_value(call, "journal"));
    m.path = path.data;
    rc = import(&m);
    sqlite3_close(m.db);
    durable_buffer_fini(&m.scratch);
    text_free(&path);
    return rc;
}

static const struct lab_option options[] = {
    {"state-dir", "DIR", "the state directory of the daemon, such as /var/lib/asupersync"},
    {"journal", "PATH", "the journal itself, or a copy of it"},
    {"replayable", NULL, "leave out the events before the snapshot, which can only be shown"},
    {NULL, NULL, NULL},
};

const struct lab_verb verb_import = {
    .name = "import",
    .operands = "FILE",
    .operands_least = 1,
    .operands_most = 1,
    .summary = "Save a daemon's journal as a trace",
    .details = "The daemon may be running, and notices nothing. What the trace holds is the last\n"
               "snapshot of the journal with the events after it, which can be replayed, and\n"
               "those kept from before it, which can be shown.\n",
    .example = "import --state-dir /var/lib/asupersync incident.trace\n"
               "import --state-dir ~/.local/state/asupersync incident.trace\n"
               "import --journal /tmp/look.db incident.trace\n",
    .options = options,
    .run = run,
};
