/* SPDX-License-Identifier: MIT */
/* The journal with a real file: what was said to be on disk is there, in
 * order, whatever the disk does; what cannot be read is refused. (R-EVT-1,
 * R-DUR-1; the daemon's side of "acknowledged means durable".) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <sqlite3.h>

#include "daemon/engine/journal.h"
#include "daemon/engine/report.h"
#include "rules.h"

static char directory[64];
static char path[96];
static char plan_path[96];
static struct ev_loop *loop;
static struct journal *journal;
static struct journal_options options;
static unsigned changes;

static void
on_changed(void *ctx)
{
    (void)ctx;
    changes++;
}

/* What is to happen to the disk from now on. */
static void
plan(const char *text)
{
    char fresh[128];

    snprintf(fresh, sizeof fresh, "%s.new", plan_path);
    FILE *f = fopen(fresh, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(rename(fresh, plan_path), 0);
}

static int
open_it(void)
{
    options.path = path;
    journal = NULL;
    return journal_open(&options, &journal);
}

static void
start_it(void)
{
    const struct journal_callbacks callbacks = {on_changed, NULL};

    ck_assert_int_eq(open_it(), 0);
    ck_assert(journal_start(journal, loop, &callbacks));
}

static void
close_it(void)
{
    journal_close(journal);
    journal = NULL;
}

static void
begin(void)
{
    strcpy(directory, "/tmp/asup-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/journal.db", directory);
    snprintf(plan_path, sizeof plan_path, "%s/plan", directory);
    setenv("ASUP_CRASH_PLAN", plan_path, 1);
    options = (struct journal_options){.events_kept = 100, .wal_bytes = 1 << 20};
    loop = ev_loop_new(EVFLAG_AUTO);
    changes = 0;
    report_init();
}

static void
end(void)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "plan"};

    close_it();
    ev_loop_destroy(loop);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char file[128];
        snprintf(file, sizeof file, "%s/%s", directory, names[i]);
        unlink(file);
    }
    rmdir(directory);
}

static void
add(uint64_t seq, const char *body)
{
    struct journal_record r = {.seq = seq,
                               .at_ns = seq * 1000,
                               .wall_ns = seq * 1000000000,
                               .kind = "task-created",
                               .uid = 1000,
                               .region = 2,
                               .task = seq,
                               .exit_code = -1,
                               .text = "label",
                               .text_size = 5,
                               .body = body,
                               .body_size = strlen(body)};

    ck_assert(journal_add(journal, &r));
}

static void
on_late(struct ev_loop *l, struct ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(l, EVBREAK_ALL);
    ck_abort_msg("the journal did not get there in 20 s");
}

/* Turn the loop until that holds. */
#define PUMP_UNTIL(condition)                                                                      \
    do {                                                                                           \
        struct ev_timer late;                                                                      \
        ev_timer_init(&late, on_late, 20.0, 0.0);                                                  \
        ev_timer_start(loop, &late);                                                               \
        while (!(condition))                                                                       \
            ev_run(loop, EVRUN_ONCE);                                                              \
        ev_timer_stop(loop, &late);                                                                \
    } while (0)

static struct journal_state
state(void)
{
    struct journal_state s;

    journal_look(journal, &s);
    return s;
}

static int64_t
query(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;

    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    int64_t number = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : -1;
    sqlite3_finalize(s);
    sqlite3_close(db);
    return number;
}

/* ---- Reading it back -------------------------------------------------------------- */

static char read_text[4096];

static int
read_snapshot(void *ctx, uint64_t seq, const void *data, size_t size)
{
    size_t used = strlen(read_text);

    (void)ctx;
    snprintf(read_text + used, sizeof read_text - used, "snapshot %" PRIu64 " %.*s\n", seq,
             (int)(size > 20 ? 20 : size), (const char *)data);
    return 0;
}

static int
read_event(void *ctx, uint64_t seq, uint64_t wall_ns, bool before, const void *body, size_t size)
{
    size_t used = strlen(read_text);

    (void)ctx;
    ck_assert_uint_eq(wall_ns, seq * 1000000000);
    snprintf(read_text + used, sizeof read_text - used, "%s%" PRIu64 " %.*s\n", before ? "-" : "",
             seq, (int)size, (const char *)body);
    return 0;
}

static int
read_all(void)
{
    const struct journal_reader reader = {read_snapshot, read_event, NULL};

    read_text[0] = '\0';
    return journal_read(journal, &reader);
}

static void
first_snapshot(void)
{
    ck_assert_int_eq(open_it(), 0);
    ck_assert(journal_is_new(journal));
    ck_assert_int_eq(journal_begin(journal, 0, 7, "empty", 5), 0);
    close_it();
}

/* ---- What is said to be on disk is -------------------------------------------------- */

START_TEST(R_EVT_1_events_come_back_in_order)
{
    struct stat st;

    first_snapshot();
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    start_it();
    ck_assert(!journal_is_new(journal));
    add(1, "one");
    add(2, "two");
    ck_assert(journal_set_meta(journal, "colour", "green"));
    journal_push(journal);
    add(5, "five"); /* volatile ones between them have numbers, too */
    journal_push(journal);
    PUMP_UNTIL(journal_committed(journal) == 5);
    ck_assert(!state().failing);
    close_it();

    char value[16];
    ck_assert_int_eq(open_it(), 0);
    ck_assert(journal_meta(journal, "colour", value, sizeof value));
    ck_assert_str_eq(value, "green");
    ck_assert_uint_eq(journal_committed(journal), 5);
    ck_assert_uint_eq(journal_last_at(journal), 5000);
    ck_assert_int_eq(read_all(), 0);
    ck_assert_str_eq(read_text, "snapshot 0 empty\n1 one\n2 two\n5 five\n");
}
END_TEST

/* What gathers while a batch is on its way to disk goes with one commit. */
START_TEST(R_DUR_1_commits_are_shared)
{
    first_snapshot();
    start_it();
    for (uint64_t seq = 1; seq <= 2000; seq++) {
        add(seq, "x");
        journal_push(journal);
    }
    PUMP_UNTIL(journal_committed(journal) == 2000);
    ck_assert_uint_lt(state().commits, 500);
    ck_assert_int_eq(query("SELECT count(*) FROM event"), 2000);
}
END_TEST

static void
survives(const char *trouble, const char *reason)
{
    first_snapshot();
    start_it();
    add(1, "one");
    journal_push(journal);
    PUMP_UNTIL(journal_committed(journal) == 1);
    plan(trouble);
    add(2, "two");
    journal_push(journal);
    PUMP_UNTIL(state().failing);
    ck_assert_msg(strstr(state().reason, reason) != NULL, "%s", state().reason);
    ck_assert_uint_eq(journal_committed(journal), 1);
    /* What comes meanwhile waits behind it. */
    add(3, "three");
    journal_push(journal);
    ck_assert_uint_eq(journal_committed(journal), 1);
    unlink(plan_path);
    PUMP_UNTIL(!state().failing && journal_committed(journal) == 3);
    close_it();
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(read_all(), 0);
    ck_assert_str_eq(read_text, "snapshot 0 empty\n1 one\n2 two\n3 three\n");
}

START_TEST(R_DUR_1_a_full_disk_is_ridden_out)
{
    survives("fail write 1 ever full\n", "full");
}
END_TEST

START_TEST(R_DUR_1_a_failing_disk_is_ridden_out)
{
    survives("fail write 2 ever io\n", "I/O");
}
END_TEST

START_TEST(R_DUR_1_a_sync_that_fails_is_no_commit)
{
    survives("fail sync 1 ever io\n", "I/O");
}
END_TEST

START_TEST(R_DUR_1_a_file_system_turned_read_only_is_ridden_out)
{
    survives("fail write 1 ever readonly\n", "read-only");
}
END_TEST

/* One fault at each of the first writes and syncs in turn. */
START_TEST(R_DUR_1_one_fault_anywhere_loses_nothing)
{
    static const char *const calls[] = {"write", "sync"};
    char text[64];
    uint64_t seq = 0;

    first_snapshot();
    start_it();
    for (int n = 1; n <= 12; n++) {
        for (int call = 0; call < 2; call++) {
            snprintf(text, sizeof text, "fail %s %d once io\n", calls[call], n);
            plan(text);
            for (int i = 0; i < 5; i++) {
                add(++seq, "x");
                journal_push(journal);
                PUMP_UNTIL(journal_committed(journal) == seq && !state().failing);
            }
        }
    }
    unlink(plan_path);
    close_it();
    ck_assert_int_eq(query("SELECT count(*) FROM event"), (int64_t)seq);
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(read_all(), 0);
}
END_TEST

START_TEST(R_DUR_1_somebody_who_locks_it_is_waited_for)
{
    sqlite3 *other = NULL;

    first_snapshot();
    start_it();
    ck_assert_int_eq(sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    add(1, "one");
    journal_push(journal);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(journal_committed(journal), 0);
    ck_assert_int_eq(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    PUMP_UNTIL(journal_committed(journal) == 1);
    sqlite3_close(other);
}
END_TEST

/* ---- Snapshots ---------------------------------------------------------------------------- */

static void
take_snapshot(uint64_t seq, size_t size)
{
    char *data = malloc(size);

    ck_assert_ptr_nonnull(data);
    memset(data, 's', size);
    journal_snapshot_take(journal, seq, seq * 1000, data, size);
}

START_TEST(R_DUR_1_a_snapshot_lets_old_events_go)
{
    first_snapshot();
    start_it();
    for (uint64_t seq = 1; seq <= 5000; seq++)
        add(seq, "x");
    journal_push(journal);
    take_snapshot(5000, 1000000);
    ck_assert(journal_snapshot_busy(journal));
    PUMP_UNTIL(!journal_snapshot_busy(journal));
    ck_assert_uint_eq(state().snapshot, 5000);
    ck_assert_uint_eq(journal_committed(journal), 5000);
    add(5001, "after");
    journal_push(journal);
    PUMP_UNTIL(journal_committed(journal) == 5001);
    while (query("SELECT count(*) FROM event") > 101)
        ev_run(loop, EVRUN_NOWAIT);
    while (query("SELECT count(*) FROM snapshot WHERE seq < 5000") > 0)
        ev_run(loop, EVRUN_NOWAIT);
    /* What people look at is still known. */
    ck_assert_int_eq(query("SELECT count(*) FROM task"), 5001);
    close_it();

    ck_assert_int_eq(open_it(), 0);
    options.events_kept = 3;
    close_it();
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(read_all(), 0);
    ck_assert_str_eq(read_text,
                     "snapshot 5000 ssssssssssssssssssss\n-4999 x\n-5000 x\n5001 after\n");
}
END_TEST

START_TEST(R_DUR_1_half_a_snapshot_is_none)
{
    first_snapshot();
    start_it();
    add(1, "one");
    journal_push(journal);
    PUMP_UNTIL(journal_committed(journal) == 1);
    plan("fail write 9 ever full\n"); /* some parts get there */
    take_snapshot(1, 1000000);
    add(2, "two");
    journal_push(journal);
    PUMP_UNTIL(state().failing || journal_committed(journal) == 2);
    close_it();
    unlink(plan_path);
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(read_all(), 0);
    ck_assert_msg(strncmp(read_text, "snapshot 0 empty\n1 one\n", 23) == 0, "%s", read_text);
}
END_TEST

/* A log that is moved into the database now and then does not grow for ever. */
START_TEST(R_DUR_1_the_log_stays_small)
{
    struct stat st;
    char wal[128];

    options.wal_bytes = 256 << 10;
    first_snapshot();
    start_it();
    snprintf(wal, sizeof wal, "%s-wal", path);
    for (uint64_t seq = 1; seq <= 20000; seq++) {
        add(seq, "0123456789012345678901234567890123456789012345678901234567890123456789");
        if (seq % 100 == 0) {
            journal_push(journal);
            PUMP_UNTIL(journal_committed(journal) == seq);
        }
    }
    ck_assert_int_eq(stat(wal, &st), 0);
    ck_assert_int_lt(st.st_size, 2 << 20);
}
END_TEST

/* ---- What is refused --------------------------------------------------------------------------
 */

static void
execute(const char *sql)
{
    (void)query(sql);
}

START_TEST(R_DUR_1_a_newer_schema_is_refused)
{
    first_snapshot();
    execute("PRAGMA user_version = 99");
    ck_assert_int_eq(open_it(), EX_DATAERR);
    ck_assert_int_eq(query("PRAGMA user_version"), 99); /* nothing was changed */
}
END_TEST

START_TEST(R_DUR_1_another_database_is_refused)
{
    execute("CREATE TABLE mine (x)");
    ck_assert_int_eq(open_it(), EX_DATAERR);
    ck_assert_int_eq(query("SELECT count(*) FROM sqlite_schema"), 1);
}
END_TEST

START_TEST(R_DUR_1_what_is_no_database_is_refused)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database\n", f);
    fclose(f);
    ck_assert_int_eq(open_it(), EX_DATAERR);
}
END_TEST

START_TEST(R_DUR_1_a_changed_event_is_refused)
{
    first_snapshot();
    start_it();
    add(1, "one");
    add(2, "two");
    journal_push(journal);
    PUMP_UNTIL(journal_committed(journal) == 2);
    close_it();
    execute("UPDATE event SET body = x'747778' WHERE seq = 2");
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(read_all(), EX_DATAERR);
}
END_TEST

START_TEST(R_DUR_1_a_snapshot_that_is_gone_is_missed)
{
    first_snapshot();
    start_it();
    add(1, "one");
    journal_push(journal);
    PUMP_UNTIL(journal_committed(journal) == 1);
    close_it();
    execute("DELETE FROM snapshot");
    ck_assert_int_eq(open_it(), 0);
    ck_assert(!journal_is_new(journal));
    ck_assert_int_eq(read_all(), EX_DATAERR);
}
END_TEST

START_TEST(R_DUR_1_a_directory_is_refused)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(open_it(), EX_CANTCREAT);
    rmdir(path);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_EVT_1_events_come_back_in_order),
    RULE(R_DUR_1_commits_are_shared),
    RULE(R_DUR_1_a_full_disk_is_ridden_out),
    RULE(R_DUR_1_a_failing_disk_is_ridden_out),
    RULE(R_DUR_1_a_sync_that_fails_is_no_commit),
    RULE(R_DUR_1_a_file_system_turned_read_only_is_ridden_out),
    RULE(R_DUR_1_one_fault_anywhere_loses_nothing),
    RULE(R_DUR_1_somebody_who_locks_it_is_waited_for),
    RULE(R_DUR_1_a_snapshot_lets_old_events_go),
    RULE(R_DUR_1_half_a_snapshot_is_none),
    RULE(R_DUR_1_the_log_stays_small),
    RULE(R_DUR_1_a_newer_schema_is_refused),
    RULE(R_DUR_1_another_database_is_refused),
    RULE(R_DUR_1_what_is_no_database_is_refused),
    RULE(R_DUR_1_a_changed_event_is_refused),
    RULE(R_DUR_1_a_snapshot_that_is_gone_is_missed),
    RULE(R_DUR_1_a_directory_is_refused),
};

RULES_MAIN("engine journal", rules, begin, end)
