/* SPDX-License-Identifier: MIT */
/*
 * Writing msgpack into a buffer that grows. Maps and lists are opened and
 * ended and count their own elements, so optional keys need no arithmetic:
 *
 *     pw_map(w);
 *     pw_key(w, "task");   pw_id(w, ASUP_SORT_TASK, 12);
 *     pw_key(w, "reason"); pw_nil(w);
 *     pw_end(w);
 *
 * A failed allocation is remembered (`failed`), and everything after it does
 * nothing: check once, at the end. Unbalanced use is a bug and trips an
 * assertion.
 */
#ifndef ASUPERSYNC_PROTO_WRITER_H
#define ASUPERSYNC_PROTO_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msgpack/object.h>

#include "asupersync/types.h"
#include "args.h"

/* Nesting of maps and lists that are open at once. */
#define PROTO_WRITER_DEPTH 192

struct proto_writer {
    char *data; /* what was written; belongs to the writer */
    size_t size;
    size_t capacity;
    bool failed; /* memory ran out: data is not complete */
    uint32_t depth;
    struct {
        size_t at;      /* where the header stands */
        uint32_t count; /* keys of a map, values of a list */
        bool is_map;
    } open[PROTO_WRITER_DEPTH];
};

void proto_writer_init(struct proto_writer *w);
void proto_writer_fini(struct proto_writer *w);
/* Forget what was written, keep the memory. */
void proto_writer_clear(struct proto_writer *w);
/* Hand over the bytes (free() them); the writer is empty afterwards. NULL when
 * it failed. */
char *proto_writer_take(struct proto_writer *w, size_t *size);

void pw_map(struct proto_writer *w);
void pw_list(struct proto_writer *w);
void pw_end(struct proto_writer *w);
void pw_key(struct proto_writer *w, const char *key);
/* The same for a key that is data. */
void pw_key_text(struct proto_writer *w, const char *data, size_t size);

void pw_nil(struct proto_writer *w);
void pw_bool(struct proto_writer *w, bool value);
void pw_uint(struct proto_writer *w, uint64_t value);
void pw_int(struct proto_writer *w, int64_t value);
void pw_str(struct proto_writer *w, const char *text);                /* NULL: nil */
void pw_text(struct proto_writer *w, const char *data, size_t size);  /* NULL: nil */
void pw_bytes(struct proto_writer *w, const void *data, size_t size); /* NULL: nil */
/* "r12"; id 0: nil. */
void pw_id(struct proto_writer *w, enum asup_sort sort, uint64_t id);
/* A number, or nil for ASUP_NEVER. */
void pw_time(struct proto_writer *w, asup_time value);
/* One msgpack value that is already encoded. */
void pw_raw(struct proto_writer *w, const void *data, size_t size);
/* One value that was unpacked. */
void pw_object(struct proto_writer *w, const msgpack_object *object);

#endif
