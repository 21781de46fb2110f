/* SPDX-License-Identifier: MIT */
/*
 * Text: a growing buffer, what people type (durations, instants, sizes,
 * signals), and what people read.
 *
 * Names, labels and messages may come from other users, so they reach a
 * terminal only through text_safe(): control characters, escape sequences,
 * bytes that are no UTF-8 and characters that reorder text are spelled out.
 */
#ifndef ASUPERSYNC_CTL_TEXT_H
#define ASUPERSYNC_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the reader's terminal can show. */
struct look {
    bool utf8; /* lines and dots beyond ASCII */
    bool color;
    unsigned width; /* columns; 0: no limit */
};

/* Colours by meaning. */
enum paint {
    PAINT_NONE,
    PAINT_GOOD,   /* ok, ready */
    PAINT_BUSY,   /* running, open */
    PAINT_ENDING, /* cancelling, draining, finalizing */
    PAINT_BAD,    /* err, panicked, trouble */
    PAINT_STRONG, /* names, headings */
    PAINT_FAINT,  /* what is rarely read */
};

/* ---- A growing buffer; always ends in NUL; all zero bytes is empty ------- */

struct text {
    char *data;
    size_t size; /* bytes, without the NUL */
    size_t capacity;
};

void text_free(struct text *t);
void text_put(struct text *t, const void *bytes, size_t size);
void text_add(struct text *t, const char *string);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append foreign text, made harmless. */
void text_safe(struct text *t, const struct look *look, const char *string, size_t size);
/* Append text in a colour; the string is taken as it is. */
void text_paint(struct text *t, const struct look *look, enum paint paint, const char *string);
/* Columns that `size` bytes of made-harmless UTF-8 take, colour sequences
 * counted as nothing. */
size_t text_columns(const char *bytes, size_t size);
/* Shorten what follows `start` to the width of the terminal, with a mark where
 * it was cut. */
void text_cut(struct text *t, size_t start, const struct look *look);
/* Append spaces until the bytes from `start` on take `columns`. */
void text_pad(struct text *t, size_t start, size_t columns);

/* ---- What people read ------------------------------------------------------ */

/* A duration to about three digits: "3ms", "1.2s", "2m03s", "3h12m", "5d04h". */
void text_span(struct text *t, uint64_t ns);
/* A size: "812 B", "1.5 MiB". */
void text_bytes(struct text *t, uint64_t size);
/* Wall clock time of day with milliseconds, local time. */
void text_clock(struct text *t, uint64_t wall_ns);
/* "SIGTERM", or "signal 40". */
void text_signal(struct text *t, int number);

/* ---- What people type ------------------------------------------------------- */

/* Each returns true, or false with nothing written. */
bool parse_duration(const char *string, uint64_t *ns);
/* An instant of the wall clock: "+30s" from now, ISO 8601 such as
 * "2030-01-31T12:00:00Z" (local time without a zone), the next "HH:MM[:SS]",
 * "@SECONDS[.FRACTION]" since 1970. */
bool parse_instant(const char *string, uint64_t now_wall_ns, uint64_t *wall_ns);
/* Bytes or counts: "1024", "64K", "1.5G" (powers of 1024). */
bool parse_size(const char *string, uint64_t *size);
/* A whole number in decimal within [low, high]. */
bool parse_number(const char *string, uint64_t low, uint64_t high, uint64_t *number);
/* "TERM", "SIGTERM", "15", "RTMIN+3". */
bool parse_signal(const char *string, int *number);

/* What the parsers above accept, for messages. */
#define DURATION_FORMS "a number with a unit: 1.5s, 200ms, 2m, 1h30m"
#define INSTANT_FORMS                                                                              \
    "+30s from now, 2030-01-31T12:00 (local, or with Z or +02:00), 18:30, or @UNIX_SECONDS"
#define SIZE_FORMS "bytes with an optional K, M, G or T: 512M"
#define SIGNAL_FORMS "a name or a number from 1 to 64: TERM, SIGINT, 15, RTMIN+3"

/* How many single edits (insert, delete, change, swap) lead from a to b. */
unsigned text_distance(const char *a, const char *b);

/* Bytes as base64, into a fresh NUL-terminated string; and back, into a fresh
 * buffer, or NULL when it is none. */
char *base64_encode(const void *bytes, size_t size);
unsigned char *base64_decode(const char *string, size_t *size);

/* How many of `size` bytes start a valid UTF-8 text that holds no incomplete
 * character; `*bad` tells whether what follows is wrong rather than cut. */
size_t utf8_valid(const char *bytes, size_t size, bool *bad);

/* Memory or the end: a command line tool has no better answer. */
void *must_alloc(void *pointer, size_t size);
char *must_copy(const char *string);

#endif
