/* SPDX-License-Identifier: MIT */
/*
 * The journal's database (asupersync-journal(5)): every statement of SQL is in
 * journal_db.c. One thread at a time may use it.
 *
 * Functions that write return 0 or an extended result code of SQLite, and then
 * nothing of the call has happened; journal_db_error says what it was.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_JOURNAL_DB_H
#define ASUPERSYNC_DAEMON_ENGINE_JOURNAL_DB_H

#include "daemon/engine/journal_batch.h"

struct journal_db;

int journal_db_open(const char *path, struct journal_db **out);
/* The journal of an engine that may be running: for meta, numbers, last_at and read. */
int journal_db_open_reader(const char *path, struct journal_db **out);
void journal_db_close(struct journal_db *db);
bool journal_db_meta(struct journal_db *db, const char *key, char *out, size_t size);
int
journal_db_read(struct journal_db *db, uint64_t events_kept, const struct journal_reader *reader);
/* The number of the last event (0: none) and of the event that the last whole
 * snapshot was taken after. False: there is no snapshot. */
bool journal_db_numbers(struct journal_db *db, uint64_t *seq_out, uint64_t *snapshot_out);

uint64_t journal_db_last_at(struct journal_db *db);

int journal_db_write(struct journal_db *db, const struct journal_batch *batch);
/* Part `part` (from 0) of a snapshot that becomes valid with the last part. */
int journal_db_snapshot(struct journal_db *db, uint64_t seq, uint64_t at_ns, uint32_t part,
                        const void *data, size_t size, bool last);
/* The first of the last events_kept events: numbers have gaps. 0: there are not
 * so many. */
uint64_t journal_db_kept(struct journal_db *db, uint64_t events_kept);
/* Remove some of the events before `seq`, and of the snapshots before `snapshot`;
 * *more: call again. */
int journal_db_truncate(struct journal_db *db, uint64_t seq, uint64_t snapshot, bool *more);
/* Bytes of the log that were not moved into the database yet. */
uint64_t journal_db_wal(const struct journal_db *db);
int journal_db_checkpoint(struct journal_db *db);
/* Of the database and its log. */
uint64_t journal_db_size(struct journal_db *db);

/* What was wrong, for people. */
void journal_db_error(struct journal_db *db, int code, char *out, size_t size);
/* Another process has it locked: wait and try again. */
bool journal_db_busy(int code);

#endif
