/* SPDX-License-Identifier: MIT */
/*
 * The journal: the kernel's durable events, in order, in STATE/journal.db, an
 * SQLite database in WAL mode with synchronous=FULL (asupersync-journal(5)).
 *
 *   loop:    journal_add, journal_add ... journal_push --.
 *   thread:      while one batch is in fdatasync, the next gathers;
 *                one transaction a batch --> committed
 *   loop:    `changed` is called; journal_committed has moved on
 *
 * A step is pushed whole, so it is on disk whole or not at all. A batch that
 * cannot be written is kept and written again, for as long as it takes, with a
 * pause that grows to a second; meanwhile journal_state says why. It is never
 * dropped, and nothing overtakes it.
 *
 * A snapshot is the kernel's whole state at one event. The thread writes it
 * piece by piece between batches, and then removes what came before, except
 * for the last events, which people and watchers still want to read.
 *
 * One thread may call all this, the loop's; the callback comes there.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_JOURNAL_H
#define ASUPERSYNC_DAEMON_ENGINE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

struct journal;

/* The layout of the database; a larger one is refused. */
#define JOURNAL_SCHEMA 1

struct journal_options {
    const char *path;     /* of the database */
    uint64_t events_kept; /* before a snapshot, still to be read */
    uint64_t wal_bytes;   /* the log is moved into the database beyond it */
};

/* One event on its way to disk. Texts are copied; names are literals. */
struct journal_record {
    uint64_t seq;
    uint64_t at_ns;   /* kernel time */
    uint64_t wall_ns; /* Unix time */
    const char *kind;
    uint32_t uid;
    uint64_t region, task, session, subject; /* 0: none */
    uint64_t value;
    char holder[24];     /* "s3"; "": none */
    const char *outcome; /* "ok", ...; NULL: none */
    int32_t exit_code;   /* -1: none */
    int32_t signal;      /* 0: none */
    char stage[24];      /* of a failed start; "": none */
    const char *text;
    size_t text_size;
    const void *body; /* the whole event, as the kernel encodes it */
    size_t body_size;
};

struct journal_state {
    uint64_t added;     /* number of the last event that was added */
    uint64_t committed; /* of the last one on disk */
    uint64_t snapshot;  /* of the event that the last snapshot was taken after */
    uint64_t commits;   /* transactions, ever */
    uint64_t bytes;     /* of the database and its log */
    bool failing;
    char reason[160]; /* why */
};

struct journal_callbacks {
    /* More is committed, or it began or ceased to fail. */
    void (*changed)(void *ctx);
    void *ctx;
};

/* Open or create the database. 0; or an exit status of sysexits.h after
 * reporting what is wrong and what to do: nothing is changed then. */
int journal_open(const struct journal_options *options, struct journal **out);

/* What recovery reads, before journal_start. */
struct journal_reader {
    /* The last whole snapshot, at event `seq`; not called when there is none. */
    int (*snapshot)(void *ctx, uint64_t seq, const void *data, size_t size);
    /* Every event after the snapshot, in order, and before it (then `before` is
     * true) the last ones that are kept to be read. */
    int (*event)(void *ctx, uint64_t seq, uint64_t wall_ns, bool before, const void *body,
                 size_t size);
    void *ctx;
};
/* 0; or an exit status after reporting a damaged journal; or what a callback
 * returned other than 0. */
int journal_read(struct journal *j, const struct journal_reader *reader);
/* The first of the last events_kept events; 0: there are not so many. */
uint64_t journal_kept_from(struct journal *j);
/* Nothing was ever written to it: it wants a first snapshot. */
bool journal_is_new(const struct journal *j);
/* Write that one, at once. 0, or an exit status after reporting. */
int journal_begin(struct journal *j, uint64_t seq, uint64_t at_ns, const void *data, size_t size);
/* Kernel time of the last event or snapshot; 0: there is none. */
uint64_t journal_last_at(struct journal *j);
/* A value of the table `meta`; false: there is none. */
bool journal_meta(struct journal *j, const char *key, char *out, size_t size);

/* Start the thread. False: none to be had (reported). */
bool
journal_start(struct journal *j, struct ev_loop *loop, const struct journal_callbacks *callbacks);

/* Gather. False: no memory. */
bool journal_add(struct journal *j, const struct journal_record *record);
bool journal_set_meta(struct journal *j, const char *key, const char *value);
/* Hand over what was gathered since. */
void journal_push(struct journal *j);
/* The number of the last event that was committed, or of the last that was
 * added when nothing is under way. */
uint64_t journal_committed(const struct journal *j);
/* As the loop knows it; `bytes` as of the last commit. */
void journal_look(const struct journal *j, struct journal_state *out);

/* Write a snapshot taken after event `seq`, which was pushed already. Takes
 * `data`, which came from malloc. Not while journal_snapshot_busy. */
void
journal_snapshot_take(struct journal *j, uint64_t seq, uint64_t at_ns, void *data, size_t size);
bool journal_snapshot_busy(const struct journal *j);
/* Events and bytes of them since the last snapshot. */
uint64_t journal_since_events(const struct journal *j);
uint64_t journal_since_bytes(const struct journal *j);

/* Try to write what was pushed once more, then close. */
void journal_close(struct journal *j);

#endif
