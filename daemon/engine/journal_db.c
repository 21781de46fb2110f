/* SPDX-License-Identifier: MIT */
#include "daemon/engine/journal_db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <sqlite3.h>

#include "daemon/engine/crash.h"
#include "daemon/engine/journal_schema.h"
#include "daemon/engine/report.h"

enum { TRUNCATE_CHUNK = 2000 };

enum statement {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_EVENT,
    ST_META,
    ST_SNAPSHOT,
    ST_SNAPSHOT_DROP,
    ST_PAST, /* JOURNAL_PAST_COUNT of them */
    ST_COUNT = ST_PAST + JOURNAL_PAST_COUNT
};

static const char *const statement_texts[ST_PAST] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_EVENT] = "INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, "
                 "?13, ?14, ?15, ?16, ?17, ?18)",
    [ST_META] = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
    [ST_SNAPSHOT] = "INSERT OR REPLACE INTO snapshot VALUES (?1, ?2, ?3, "
                    "unixepoch() * 1000000000, ?4, ?5, ?6)",
    [ST_SNAPSHOT_DROP] = "DELETE FROM snapshot WHERE rowid IN (SELECT rowid FROM snapshot "
                         "WHERE seq < ?1 LIMIT 16)",
};

struct journal_db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[ST_COUNT];
    uint64_t wal_pages;
    uint64_t page_size;
    ino_t log_inode; /* 0: nothing was written yet */
    char path[512];
};

/* ---- Errors ------------------------------------------------------------------------ */

bool
journal_db_busy(int code)
{
    return (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
}

void
journal_db_error(struct journal_db *db, int code, char *out, size_t size)
{
    int system = db && db->sqlite ? sqlite3_system_errno(db->sqlite) : 0;
    const char *what = sqlite3_errstr(code);

    switch (code & 0xff) {
    case SQLITE_FULL:
        what = "the disk is full";
        break;
    case SQLITE_READONLY:
        what = code == SQLITE_READONLY_DBMOVED
                   ? "its file was moved, removed or replaced under a running daemon: put it back"
                   : "it is read-only";
        break;
    case SQLITE_NOMEM:
        what = "no memory";
        break;
    case SQLITE_IOERR:
        if (system == ENOSPC || system == EDQUOT)
            what = "the disk is full";
        else if (system == EROFS)
            what = "it is read-only";
        break;
    default:
        break;
    }
    if ((code & 0xff) == SQLITE_IOERR && system != 0 && strcmp(what, sqlite3_errstr(code)) == 0)
        snprintf(out, size, "%s (%s)", what, strerror(system));
    else
        snprintf(out, size, "%s", what);
}

static int
refuse_damaged(const struct journal_db *db, const char *what)
{
    report(REPORT_ERROR,
           "%s is damaged: %s. Nothing was changed. Put a good copy in its place, or set the "
           "journal aside with \"asupersyncd --set-journal-aside\" and begin without what it "
           "tells",
           db->path, what);
    return EX_DATAERR;
}

static int
refuse(struct journal_db *db, int code, const char *doing)
{
    char why[160];

    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
        return refuse_damaged(db, sqlite3_errmsg(db->sqlite));
    journal_db_error(db, code, why, sizeof why);
    report(REPORT_ERROR, "cannot %s %s: %s", doing, db->path, why);
    return EX_CANTCREAT;
}

/* ---- Opening ------------------------------------------------------------------------ */

static int
run(struct journal_db *db, const char *sql)
{
    return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
}

static int
run_number(struct journal_db *db, const char *sql, uint64_t *out)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, &s, NULL);

    *out = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        *out = (uint64_t)sqlite3_column_int64(s, 0);
        rc = SQLITE_OK;
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    return rc;
}

/* SQLite would make it readable to everybody. */
static int
make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        report(REPORT_ERROR, "cannot open %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return EX_CANTCREAT;
    }
    close(fd);
    if (!S_ISREG(st.st_mode)) {
        report(REPORT_ERROR, "%s is in the way and is not a file: move it away", path);
        return EX_CANTCREAT;
    }
    return 0;
}

static int
make_schema(struct journal_db *db)
{
    char text[96];
    int rc = run(db, "BEGIN IMMEDIATE");

    if (rc == SQLITE_OK)
        rc = run(db, journal_schema);
    if (rc == SQLITE_OK)
        rc = run(db, journal_views);
    snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             JOURNAL_APPLICATION, JOURNAL_SCHEMA);
    if (rc == SQLITE_OK)
        rc = run(db, text);
    if (rc == SQLITE_OK)
        rc = run(db, "COMMIT");
    return rc == SQLITE_OK ? 0 : refuse(db, rc, "write");
}

/* Nothing depends on the views but who reads them: they change without a new schema. */
static int
renew_views(struct journal_db *db)
{
    uint64_t current = 0;
    int rc = run_number(db, JOURNAL_VIEWS_NEW, &current);

    if (rc != SQLITE_OK)
        return refuse(db, rc, "read");
    if (current != 0)
        return 0;
    rc = run(db, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = run(db, journal_views);
    if (rc == SQLITE_OK)
        rc = run(db, "COMMIT");
    return rc == SQLITE_OK ? 0 : refuse(db, rc, "write");
}

static int
check_schema(struct journal_db *db)
{
    uint64_t application;
    uint64_t version;
    uint64_t tables;
    int rc = run_number(db, "PRAGMA application_id", &application);

    if (rc == SQLITE_OK)
        rc = run_number(db, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK)
        rc = run_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc != SQLITE_OK)
        return refuse(db, rc, "read");
    if (tables == 0 && application == 0)
        return make_schema(db);
    if (application != JOURNAL_APPLICATION) {
        report(REPORT_ERROR, "%s is a database, but not a journal of asupersyncd: move it away",
               db->path);
        return EX_DATAERR;
    }
    if (version != JOURNAL_SCHEMA) {
        report(REPORT_ERROR,
               "%s was written by a %s version of asupersyncd (schema %" PRIu64
               ", this one knows %d): start that version, or set the journal aside with "
               "\"asupersyncd --set-journal-aside\"",
               db->path, version > JOURNAL_SCHEMA ? "newer" : "different", version, JOURNAL_SCHEMA);
        return EX_DATAERR;
    }
    return renew_views(db);
}

static int
on_wal(void *ctx, sqlite3 *sqlite, const char *name, int pages)
{
    struct journal_db *db = ctx;

    (void)sqlite;
    (void)name;
    db->wal_pages = (uint64_t)pages;
    return SQLITE_OK;
}

static int
prepare_all(struct journal_db *db)
{
    for (int i = 0; i < ST_COUNT; i++) {
        const char *text = i < ST_PAST ? statement_texts[i] : journal_past[i - ST_PAST];
        int rc = sqlite3_prepare_v3(db->sqlite, text, -1, SQLITE_PREPARE_PERSISTENT,
                                    &db->statements[i], NULL);
        if (rc != SQLITE_OK)
            return refuse(db, rc, "read");
    }
    return 0;
}

/* Beside the engine that writes it. */
static int
set_up_reader(struct journal_db *db)
{
    int rc =
        sqlite3_open_v2(db->path, &db->sqlite,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

    if (rc != SQLITE_OK || !db->sqlite)
        return refuse(db, rc, "open");
    sqlite3_extended_result_codes(db->sqlite, 1);
    sqlite3_busy_timeout(db->sqlite, 500);
    rc = run(db, "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -1024;"
                 "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON");
    if (rc != SQLITE_OK)
        return refuse(db, rc, "open");
    rc = check_schema(db);
    return rc != 0 ? rc : prepare_all(db);
}

static int
set_up(struct journal_db *db)
{
    int keep = 1;
    int rc =
        sqlite3_open_v2(db->path, &db->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

    if (rc != SQLITE_OK || !db->sqlite)
        return refuse(db, rc, "open");
    sqlite3_extended_result_codes(db->sqlite, 1);
    sqlite3_busy_timeout(db->sqlite, 2000);
    rc = run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                 "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
                 "PRAGMA cache_size = -1024; PRAGMA trusted_schema = OFF;"
                 "PRAGMA cell_size_check = ON");
    if (rc != SQLITE_OK)
        return refuse(db, rc, "open");
    if (sqlite3_db_readonly(db->sqlite, "main") == 1) {
        report(REPORT_ERROR, "cannot write %s: it is read-only", db->path);
        return EX_CANTCREAT;
    }
    /* On a full disk there would be no room to make them anew. */
    (void)sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    if ((rc = check_schema(db)) != 0 || (rc = prepare_all(db)) != 0)
        return rc;
    sqlite3_wal_hook(db->sqlite, on_wal, db);
    rc = run_number(db, "PRAGMA page_size", &db->page_size);
    return rc == SQLITE_OK ? 0 : refuse(db, rc, "read");
}

static int
open_as(const char *path, int (*begin)(struct journal_db *), struct journal_db **out)
{
    struct journal_db *db = calloc(1, sizeof *db);

    if (!db)
        return EX_OSERR;
    snprintf(db->path, sizeof db->path, "%s", path);
    int rc = begin(db);
    if (rc != 0) {
        journal_db_close(db);
        return rc;
    }
    *out = db;
    return 0;
}

int
journal_db_open(const char *path, struct journal_db **out)
{
    fault_install();
    int rc = make_file(path);
    return rc != 0 ? rc : open_as(path, set_up, out);
}

int
journal_db_open_reader(const char *path, struct journal_db **out)
{
    return open_as(path, set_up_reader, out);
}

void
journal_db_close(struct journal_db *db)
{
    if (!db)
        return;
    for (int i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->sqlite);
    free(db);
}

/* ---- Reading --------------------------------------------------------------------------- */

bool
journal_db_meta(struct journal_db *db, const char *key, char *out, size_t size)
{
    sqlite3_stmt *s = NULL;
    bool found = false;

    if (sqlite3_prepare_v2(db->sqlite, "SELECT value FROM meta WHERE key = ?1", -1, &s, NULL) ==
            SQLITE_OK &&
        sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW) {
        snprintf(out, size, "%s", (const char *)sqlite3_column_text(s, 0));
        found = true;
    }
    sqlite3_finalize(s);
    return found;
}

bool
journal_db_numbers(struct journal_db *db, uint64_t *seq_out, uint64_t *snapshot_out)
{
    uint64_t snapshots = 0;

    (void)run_number(db, "SELECT max(seq) FROM event", seq_out);
    (void)run_number(db, "SELECT max(seq) FROM snapshot WHERE last", snapshot_out);
    return run_number(db, "SELECT count(*) FROM snapshot WHERE last", &snapshots) == SQLITE_OK &&
           snapshots > 0;
}

uint64_t
journal_db_last_at(struct journal_db *db)
{
    uint64_t at = 0;
    uint64_t snapshot_at = 0;

    (void)run_number(db, "SELECT at_ns FROM event ORDER BY seq DESC LIMIT 1", &at);
    (void)run_number(db, "SELECT max(at_ns) FROM snapshot WHERE last", &snapshot_at);
    return at > snapshot_at ? at : snapshot_at;
}

/* All parts of the last whole snapshot, one after another. */
static int
read_snapshot(struct journal_db *db, uint64_t seq, const struct journal_reader *reader)
{
    sqlite3_stmt *s = NULL;
    char *data = NULL;
    uint64_t size = 0;
    uint64_t at = 0;
    int64_t part = 0;
    bool whole = false;
    int rc = sqlite3_prepare_v2(db->sqlite,
                                "SELECT part, last, sum, body, (SELECT sum(length(body)) FROM "
                                "snapshot WHERE seq = ?1) FROM snapshot WHERE seq = ?1 ORDER BY "
                                "part",
                                -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(s, 1, (int64_t)seq);
    while (rc == SQLITE_OK && !whole && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const void *body = sqlite3_column_blob(s, 3);
        uint64_t body_size = (uint64_t)sqlite3_column_bytes(s, 3);

        if (!data) {
            size = (uint64_t)sqlite3_column_int64(s, 4);
            data = malloc(size + 1);
        }
        if (!data) {
            report(REPORT_ERROR, "no memory for the journal's snapshot");
            sqlite3_finalize(s);
            return EX_OSERR;
        }
        if (sqlite3_column_int64(s, 0) != part || body_size > size - at ||
            sqlite3_column_int64(s, 2) != journal_sum(seq + (uint64_t)part, body, body_size))
            break;
        if (body_size > 0)
            memcpy(data + at, body, body_size);
        at += body_size;
        part++;
        whole = sqlite3_column_int(s, 1) != 0;
        rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    if (whole)
        rc = reader->snapshot(reader->ctx, seq, data, at);
    else if (rc == SQLITE_ROW || rc == SQLITE_DONE || rc == SQLITE_OK)
        rc = refuse_damaged(db, "a part of its snapshot is wrong");
    else
        rc = refuse(db, rc, "read");
    free(data);
    return rc;
}

static int
read_events(struct journal_db *db, uint64_t from, uint64_t snapshot,
            const struct journal_reader *reader)
{
    sqlite3_stmt *s = NULL;
    int result = 0;
    int rc = sqlite3_prepare_v2(
        db->sqlite, "SELECT seq, sum, body, wall_ns FROM event WHERE seq >= ?1 ORDER BY seq", -1,
        &s, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(s, 1, (int64_t)from);
    if (rc == SQLITE_OK)
        rc = SQLITE_ROW;
    while (rc == SQLITE_ROW && result == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(s, 0);
        const void *body = sqlite3_column_blob(s, 2);
        size_t size = (size_t)sqlite3_column_bytes(s, 2);
        char what[64];

        if (sqlite3_column_int64(s, 1) != journal_sum(seq, body, size)) {
            snprintf(what, sizeof what, "event %" PRIu64 " is not what was written", seq);
            result = refuse_damaged(db, what);
        } else {
            result = reader->event(reader->ctx, seq, (uint64_t)sqlite3_column_int64(s, 3),
                                   seq <= snapshot, body, size);
        }
    }
    sqlite3_finalize(s);
    if (result == 0 && rc != SQLITE_DONE)
        result = refuse(db, rc, "read");
    return result;
}

uint64_t
journal_db_kept(struct journal_db *db, uint64_t events_kept)
{
    char text[96];
    uint64_t seq;

    if (events_kept == 0)
        return UINT64_MAX;
    snprintf(text, sizeof text, "SELECT seq FROM event ORDER BY seq DESC LIMIT 1 OFFSET %" PRIu64,
             events_kept - 1);
    (void)run_number(db, text, &seq);
    return seq;
}

int
journal_db_read(struct journal_db *db, uint64_t events_kept, const struct journal_reader *reader)
{
    uint64_t last;
    uint64_t snapshot;

    if (!journal_db_numbers(db, &last, &snapshot))
        return refuse_damaged(db, "it has no snapshot");
    int rc = read_snapshot(db, snapshot, reader);
    if (rc != 0)
        return rc;
    uint64_t kept = journal_db_kept(db, events_kept);
    return read_events(db, kept < snapshot ? kept : snapshot + 1, snapshot, reader);
}

/* ---- Writing ---------------------------------------------------------------------------- */

static int
step(struct journal_db *db, enum statement which)
{
    sqlite3_stmt *s = db->statements[which];
    int rc = sqlite3_step(s);

    (void)sqlite3_reset(s);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : rc;
}

/* Nothing of a transaction that failed may stay. */
static int
give_up(struct journal_db *db, int code)
{
    if (!sqlite3_get_autocommit(db->sqlite))
        (void)step(db, ST_ROLLBACK);
    return code;
}

static void
bind_id(sqlite3_stmt *s, int column, uint64_t value)
{
    if (value == 0 || value > INT64_MAX)
        (void)sqlite3_bind_null(s, column);
    else
        (void)sqlite3_bind_int64(s, column, (int64_t)value);
}

static void
bind_text(sqlite3_stmt *s, int column, const char *text, size_t size)
{
    if (!text || size == 0)
        (void)sqlite3_bind_null(s, column);
    else
        (void)sqlite3_bind_text(s, column, text, (int)size, SQLITE_STATIC);
}

static int
write_event(struct journal_db *db, const struct journal_record *r)
{
    sqlite3_stmt *s = db->statements[ST_EVENT];

    (void)sqlite3_bind_int64(s, 1, (int64_t)r->seq);
    (void)sqlite3_bind_int64(s, 2, (int64_t)r->at_ns);
    (void)sqlite3_bind_int64(s, 3, (int64_t)r->wall_ns);
    bind_text(s, 4, r->kind, strlen(r->kind));
    (void)sqlite3_bind_int64(s, 5, r->uid);
    bind_id(s, 6, r->region);
    bind_id(s, 7, r->task);
    bind_id(s, 8, r->session);
    bind_id(s, 9, r->subject);
    bind_id(s, 10, r->value);
    bind_text(s, 11, r->holder, strlen(r->holder));
    bind_text(s, 12, r->outcome, r->outcome ? strlen(r->outcome) : 0);
    if (r->outcome && r->exit_code >= 0)
        (void)sqlite3_bind_int(s, 13, r->exit_code);
    else
        (void)sqlite3_bind_null(s, 13);
    bind_id(s, 14, r->outcome ? (uint64_t)r->signal : 0);
    bind_text(s, 15, r->stage, strlen(r->stage));
    bind_text(s, 16, r->text, r->text_size);
    (void)sqlite3_bind_int64(s, 17, journal_sum(r->seq, r->body, r->body_size));
    (void)sqlite3_bind_blob(s, 18, r->body_size ? r->body : "", (int)r->body_size, SQLITE_STATIC);
    return step(db, ST_EVENT);
}

static int
write_meta(struct journal_db *db, const char *key, const char *value)
{
    sqlite3_stmt *s = db->statements[ST_META];

    bind_text(s, 1, key, strlen(key));
    bind_text(s, 2, value, strlen(value));
    return step(db, ST_META);
}

/* Whether what is written goes into files that nobody finds any more. SQLite
 * looks at the database's name, not at its log's. */
static bool
files_moved(struct journal_db *db)
{
    char log[sizeof db->path + 8];
    struct stat now;
    int moved = 0;

    if (sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
        moved)
        return true;
    snprintf(log, sizeof log, "%s-wal", db->path);
    if (stat(log, &now) != 0)
        return errno == ENOENT;
    if (db->log_inode == 0)
        db->log_inode = now.st_ino;
    return now.st_ino != db->log_inode;
}

int
journal_db_write(struct journal_db *db, const struct journal_batch *batch)
{
    struct journal_record record;
    const char *value;
    size_t cursor = 0;
    int rc = step(db, ST_BEGIN);

    while (rc == 0 && journal_batch_next(batch, &cursor, &record, &value))
        rc = value ? write_meta(db, record.kind, value) : write_event(db, &record);
    crash_point("before-commit");
    if (rc == 0 && files_moved(db))
        rc = SQLITE_READONLY_DBMOVED;
    if (rc == 0)
        rc = step(db, ST_COMMIT);
    return rc == 0 ? 0 : give_up(db, rc);
}

int
journal_db_snapshot(struct journal_db *db, uint64_t seq, uint64_t at_ns, uint32_t part,
                    const void *data, size_t size, bool last)
{
    sqlite3_stmt *s = db->statements[ST_SNAPSHOT];

    (void)sqlite3_bind_int64(s, 1, (int64_t)seq);
    (void)sqlite3_bind_int64(s, 2, part);
    (void)sqlite3_bind_int64(s, 3, (int64_t)at_ns);
    (void)sqlite3_bind_int(s, 4, last);
    (void)sqlite3_bind_int64(s, 5, journal_sum(seq + part, data, size));
    (void)sqlite3_bind_blob64(s, 6, size ? data : "", size, SQLITE_STATIC);
    int rc = step(db, ST_SNAPSHOT); /* a transaction by itself */
    return rc == 0 ? 0 : give_up(db, rc);
}

int
journal_db_truncate(struct journal_db *db, uint64_t seq, uint64_t snapshot, bool *more)
{
    uint64_t first = 0;
    int rc = run_number(db, "SELECT min(seq) FROM event", &first);
    uint64_t end = first + TRUNCATE_CHUNK - 1;

    *more = false;
    if (rc == 0)
        rc = step(db, ST_BEGIN);
    if (rc == 0 && first > 0 && first < seq) {
        if (end >= seq)
            end = seq - 1;
        for (int i = ST_PAST; i < ST_COUNT && rc == 0; i++) {
            (void)sqlite3_bind_int64(db->statements[i], 1, (int64_t)first);
            (void)sqlite3_bind_int64(db->statements[i], 2, (int64_t)end);
            rc = step(db, (enum statement)i);
        }
        *more = end + 1 < seq;
    }
    if (rc == 0) {
        (void)sqlite3_bind_int64(db->statements[ST_SNAPSHOT_DROP], 1, (int64_t)snapshot);
        rc = step(db, ST_SNAPSHOT_DROP);
        *more = *more || sqlite3_changes(db->sqlite) > 0;
    }
    crash_point("truncate");
    if (rc == 0)
        rc = step(db, ST_COMMIT);
    return rc == 0 ? 0 : give_up(db, rc);
}

uint64_t
journal_db_wal(const struct journal_db *db)
{
    return db->wal_pages * db->page_size;
}

int
journal_db_checkpoint(struct journal_db *db)
{
    int log = 0;
    int moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &moved);

    crash_point("checkpoint");
    if (rc == SQLITE_OK && log >= 0 && moved == log)
        db->wal_pages = 0; /* the next write begins the log anew */
    return rc == SQLITE_OK ? 0 : rc;
}

uint64_t
journal_db_size(struct journal_db *db)
{
    static const char *const suffixes[] = {"", "-wal"};
    uint64_t size = 0;

    for (size_t i = 0; i < 2; i++) {
        char path[sizeof db->path + 8];
        struct stat st;
        snprintf(path, sizeof path, "%s%s", db->path, suffixes[i]);
        if (stat(path, &st) == 0)
            size += (uint64_t)st.st_size;
    }
    return size;
}
