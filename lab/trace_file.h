/* SPDX-License-Identifier: MIT */
/*
 * Traces on disk.
 *
 *     "ASUPTRC1"
 *     frame: kind (1 byte), size (4 bytes, little-endian), that many bytes, check sum (8 bytes)
 *     ...
 *     the last frame is TRACE_END, which counts the others: without it the trace is truncated
 *
 * META is a msgpack map of text to text or number. Everybody writes
 *     format   TRACE_VERSION
 *     made-by  what wrote it: "lab", "world", "journal"
 *     program  as lab.h says; how to run it again: "command"
 *     durable  1: of the events only the durable ones are here, so it is folded as
 *              a journal is (LOAD_RECOVER)
 * and besides what it needs: seed, options. SNAPSHOT is a kernel (durable.h) that
 * the events after it begin from; of events before the only one nothing is folded.
 * An EVENT is as kernel_event_encode() writes it. A CHOICE is what the world
 * decided. A TEXT is a line of asup_cx_trace() with its task. A STEP is empty, and
 * stands behind the last event of a step of the kernel: who writes all of them
 * lets oracles judge the trace.
 *
 * The check sum of a frame is over its kind, size, bytes and number among the
 * frames, so that none can be lost or change its place unnoticed.
 */
#ifndef ASUPERSYNC_LAB_TRACE_FILE_H
#define ASUPERSYNC_LAB_TRACE_FILE_H

#include <stdio.h>

#include "core/durable.h"

#define TRACE_VERSION 1

enum trace_frame_kind {
    TRACE_META = 1,
    TRACE_SNAPSHOT = 2,
    TRACE_EVENT = 3,
    TRACE_CHOICE = 4,
    TRACE_TEXT = 5,
    TRACE_END = 6,
    TRACE_STEP = 7,
};

struct trace_choice {
    uint8_t kind;   /* what was asked: the world's own number */
    uint32_t taken; /* what was chosen */
    uint32_t among; /* out of how many */
};

/* ---- Writing ------------------------------------------------------------------ */

struct trace_writer;
/* A new file, or what replaces one at the end. NULL with errno. "format" is in META already. */
struct trace_writer *trace_create(const char *path);
void trace_meta_text(struct trace_writer *w, const char *key, const char *value);
void trace_meta_number(struct trace_writer *w, const char *key, uint64_t value);
/* After the last of META; then frames in order. */
int trace_write_snapshot(struct trace_writer *w, const struct kernel *k);
/* One that was saved before. */
int trace_write_snapshot_bytes(struct trace_writer *w, struct bytes snapshot);
int trace_write_event(struct trace_writer *w, const struct event *ev);
int trace_write_choice(struct trace_writer *w, const struct trace_choice *choice);
int trace_write_text(struct trace_writer *w, uint64_t task, asup_time at, const char *text);
/* The events of a step are written. */
int trace_write_step(struct trace_writer *w);
/* 0, or the first failure of all that was written: -ASUP_EUNAVAILABLE with errno. Frees. */
int trace_finish(struct trace_writer *w);
/* Frees and leaves no file. */
void trace_abandon(struct trace_writer *w);

/* ---- Reading -------------------------------------------------------------------- */

struct trace_reader;
struct trace_frame {
    enum trace_frame_kind kind;
    struct event event;
    struct trace_choice choice;
    uint64_t task;     /* TEXT */
    asup_time at;      /* TEXT */
    struct bytes data; /* SNAPSHOT, TEXT */
};
/* 0; -ASUP_EUNAVAILABLE with errno; -ASUP_EMALFORMED, -ASUP_EUNSUPPORTED: what is wrong and where
 * (byte) in why[]. META is read here. */
int trace_open(const char *path, struct trace_reader **out, char *why, size_t why_size);
/* What an open stream has to say; taken on success. The name is for what is said of it. */
int trace_open_stream(FILE *file, const char *name, struct trace_reader **out, char *why,
                      size_t why_size);
void trace_close(struct trace_reader *r);
/* A number as text, too. NULL: not there. */
const char *trace_meta(const struct trace_reader *r, const char *key);
bool trace_meta_number_of(const struct trace_reader *r, const char *key, uint64_t *out);
/* The key that stands there, from 0, with its value as text; NULL: there are not so many. */
const char *
trace_meta_at(const struct trace_reader *r, size_t i, const char **value, bool *is_number);
/* 1: a frame, good until the next; 0: the end; else as trace_open(). */
int trace_next(struct trace_reader *r, struct trace_frame *out, char *why, size_t why_size);

#endif
