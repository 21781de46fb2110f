/* SPDX-License-Identifier: MIT */
/*
 * How records and payloads become bytes: tables that name every field, and one
 * pair of functions that walk them. Private to core/.
 *
 * A struct is written as the number of its fields and then each field in the
 * order of its table. A table only ever grows at its end: a reader fills what an
 * older writer did not know with the row's preset, and refuses what a newer one
 * wrote. Rows are never removed or moved; one that has lost its use stays, and
 * what it says is ignored.
 *
 * A number is written as itself plus one, modulo its width, in groups of seven
 * bits, least first: so 0 and "never", "none" and NIL take one byte. A table
 * covers every byte of its struct but padding: table_uncovered() finds what was
 * forgotten, and a test asks it about every table.
 */
#ifndef ASUPERSYNC_CORE_CODEC_H
#define ASUPERSYNC_CORE_CODEC_H

#include "core/durable.h"
#include "core/state.h"

/* ---- Tables ------------------------------------------------------------------- */

enum field_code {
    FIELD_NUMBER, /* of 1, 2, 4 or 8 bytes, signed ones too */
    FIELD_RAW,    /* bytes as they are; zeros at the end are not written */
    FIELD_STRUCT, /* with a table of its own */
    FIELD_TEXT,   /* uint32_t: a text of the heap; in records only */
    FIELD_INDEX,  /* uint32_t: a record of `arena`, or NIL; in records only */
    FIELD_SKIP,   /* not state: neither written nor read, stays 0 */
};

struct field {
    uint16_t offset;
    uint16_t size;             /* of one */
    uint16_t repeat;           /* an array of so many */
    uint8_t code;              /* enum field_code */
    uint8_t arena;             /* INDEX: enum arena_name */
    uint64_t most;             /* NUMBER: a larger one is corrupt; 0: no bound */
    uint64_t preset;           /* NUMBER: when it was not written */
    const struct table *table; /* STRUCT */
};

struct table {
    const struct field *fields;
    uint16_t count;
    uint16_t size; /* of the struct */
};

#define FIELD_SIZE(type, member) sizeof(((type *)0)->member)
#define FIELD_ROW(type, member, ...)                                                               \
    {                                                                                              \
        .offset = offsetof(type, member), .size = FIELD_SIZE(type, member), .repeat = 1,           \
        __VA_ARGS__                                                                                \
    }
/* A number; one that is at most `bound`; a bool; a byte array; a nested struct. */
#define NUMBER(type, member) FIELD_ROW(type, member, .code = FIELD_NUMBER)
#define UP_TO(type, member, bound) FIELD_ROW(type, member, .code = FIELD_NUMBER, .most = (bound))
#define BOOL(type, member) UP_TO(type, member, 1)
#define RAW(type, member) FIELD_ROW(type, member, .code = FIELD_RAW)
#define STRUCT(type, member, of) FIELD_ROW(type, member, .code = FIELD_STRUCT, .table = &(of))
#define TEXT(type, member) FIELD_ROW(type, member, .code = FIELD_TEXT)
#define INDEX(type, member, of) FIELD_ROW(type, member, .code = FIELD_INDEX, .arena = (of))
#define SKIP(type, member) FIELD_ROW(type, member, .code = FIELD_SKIP)
/* An array of numbers, or of structs. */
#define NUMBERS(type, member)                                                                      \
    {                                                                                              \
        .offset = offsetof(type, member), .size = FIELD_SIZE(type, member[0]),                     \
        .repeat = FIELD_SIZE(type, member) / FIELD_SIZE(type, member[0]), .code = FIELD_NUMBER     \
    }
#define STRUCTS(type, member, of)                                                                  \
    {                                                                                              \
        .offset = offsetof(type, member), .size = FIELD_SIZE(type, member[0]),                     \
        .repeat = FIELD_SIZE(type, member) / FIELD_SIZE(type, member[0]), .code = FIELD_STRUCT,    \
        .table = &(of)                                                                             \
    }
#define TABLE(type, rows)                                                                          \
    {                                                                                              \
        .fields = (rows), .count = sizeof(rows) / sizeof((rows)[0]), .size = sizeof(type)          \
    }

/* Offset of the first byte that no row covers and that cannot be padding, or
 * where rows overlap; -1: none. */
long table_uncovered(const struct table *t);

/* ---- Writing -------------------------------------------------------------------- */

struct coder_out {
    uint8_t *data;
    size_t size, capacity;
    int rc; /* the first failure; then nothing is written any more */
    /* Make room for `need` more, at most 16: grow, or empty what is full. */
    int (*room)(struct coder_out *o, size_t need);
    void *ctx;
    const struct heap *heap; /* of FIELD_TEXT */
};

void out_bytes(struct coder_out *o, const void *data, size_t size);
void out_number(struct coder_out *o, uint64_t value);
/* As a number of that width, see above. */
void out_field(struct coder_out *o, uint64_t value, size_t width);
void out_text(struct coder_out *o, struct bytes text);
void out_struct(struct coder_out *o, const struct table *t, const void *from);

/* ---- Reading --------------------------------------------------------------------- */

struct coder_in {
    const uint8_t *at, *end;
    int rc; /* the first failure; then everything reads as 0 */
    /* More bytes, at `at`; false: there are none. NULL: all are there. */
    bool (*more)(struct coder_in *i);
    void *ctx;
    struct kernel *kernel;       /* of FIELD_TEXT */
    struct durable_buffer *text; /* where texts are put together; its size is of the last one */
};

void in_fail(struct coder_in *i, int code);
void in_bytes(struct coder_in *i, void *data, size_t size);
uint64_t in_number(struct coder_in *i);
uint64_t in_field(struct coder_in *i, size_t width);
/* Text into the buffer i->text, however long; empty after a failure. */
struct bytes in_text(struct coder_in *i);
/* Padding is left alone: zero the struct first. */
void in_struct(struct coder_in *i, const struct table *t, void *to);

/* ---- Events ------------------------------------------------------------------------- */

/* What follows the payload. */
enum tail {
    TAIL_NONE,
    TAIL_BYTES, /* so many as there are: the same on every machine */
    TAIL_REFS,  /* struct asup_ref, so many as there are */
};

struct event_row {
    uint16_t number;
    uint8_t tail;
    const struct table *payload; /* NULL: none; else it may still be absent */
};

enum { EVENT_NUMBERS_MAX = 512 };
extern const struct event_row event_rows[EV_KIND_COUNT];
extern const uint8_t event_kinds[EVENT_NUMBERS_MAX]; /* kind + 1 by number; 0: none */
extern const struct table event_table;

/* ---- Check sums --------------------------------------------------------------------- */

/* A fuzzer's build looks at what stands behind them, and takes any. */
static inline bool
check_agrees(uint64_t found, uint64_t computed)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)found;
    (void)computed;
    return true;
#else
    return found == computed;
#endif
}

/* ---- Tables that are shared -------------------------------------------------------- */

extern const struct table outcome_table, ref_table, budget_table, config_table;

#endif
