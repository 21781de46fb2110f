/* SPDX-License-Identifier: MIT */
/*
 * Traces on disk.
 *
 *     "ASUPTRC1"
 *     frame: kind (1 byte), size (4 bytes, little-endian), that many bytes, check sum (8 bytes)
 *     ...
 *     the last frame is TRACE_END, which counts the others: without it the trace is truncated
 *
 * META is a msgpack map of text to text or number: format, program, seed, options,
 * what made it. SNAPSHOT is a kernel (durable.h) that the events begin from. An
 * EVENT is as kernel_event_encode() writes it. A CHOICE is what the world decided.
 * A TEXT is a line of asup_cx_trace() with its task.
 *
 * The check sum of a frame is over its kind, size, bytes and number among the
 * frames, so that none can be lost or change its place unnoticed.
 */
#ifndef ASUPERSYNC_LAB_TRACE_FILE_H
#define ASUPERSYNC_LAB_TRACE_FILE_H

#include "core/durable.h"

#define TRACE_VERSION 1

enum trace_frame_kind {
    TRACE_META = 1,
    TRACE_SNAPSHOT = 2,
    TRACE_EVENT = 3,
    TRACE_CHOICE = 4,
    TRACE_TEXT = 5,
    TRACE_END = 6,
};

struct trace_choice {
    uint8_t kind;   /* what was asked: the world's own number */
    uint32_t taken; /* what was chosen */
    uint32_t among; /* out of how many */
};

/* ---- Writing ------------------------------------------------------------------ */

struct trace_writer;
/* A new file, or what replaces one at the end. NULL with errno. */
struct trace_writer *trace_create(const char *path);
void trace_meta_text(struct trace_writer *w, const char *key, const char *value);
void trace_meta_number(struct trace_writer *w, const char *key, uint64_t value);
/* After the last of META; then frames in order. */
int trace_write_snapshot(struct trace_writer *w, const struct kernel *k);
int trace_write_event(struct trace_writer *w, const struct event *ev);
int trace_write_choice(struct trace_writer *w, const struct trace_choice *choice);
int trace_write_text(struct trace_writer *w, uint64_t task, asup_time at, const char *text);
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
void trace_close(struct trace_reader *r);
const char *trace_meta(const struct trace_reader *r, const char *key); /* NULL: not there */
bool trace_meta_number_of(const struct trace_reader *r, const char *key, uint64_t *out);
/* 1: a frame, good until the next; 0: the end; else as trace_open(). */
int trace_next(struct trace_reader *r, struct trace_frame *out, char *why, size_t why_size);

#endif
