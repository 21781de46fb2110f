/* SPDX-License-Identifier: MIT */
/*
 * Reading the bodies of replies: from msgpack maps to the values of
 * asupersync/types.h. Readers take what a daemon of this or a later minor
 * version sends: unknown keys are ignored, absent ones read as their neutral
 * value, and an outcome or reason that makes no sense fails with
 * -ASUP_EMALFORMED rather than being guessed.
 */
#ifndef ASUPERSYNC_PROTO_READ_H
#define ASUPERSYNC_PROTO_READ_H

#include "message.h"

/* The value of a key; NULL when it is absent, nil, or `map` is NULL or no map. */
const msgpack_object *proto_get(const msgpack_object *map, const char *key);

/* Plain values. An absent or nil key, or one of another type, gives `preset`. */
uint64_t proto_get_uint(const msgpack_object *map, const char *key, uint64_t preset);
int64_t proto_get_int(const msgpack_object *map, const char *key, int64_t preset);
bool proto_get_bool(const msgpack_object *map, const char *key, bool preset);
/* A C string that lives where the reply lives; NULL when absent or of another
 * type. */
const char *proto_get_text(const msgpack_object *map, const char *key);
struct proto_bytes proto_get_bytes(const msgpack_object *map, const char *key);
/* Id 0 when absent, no id, or of another sort (any sort for ASUP_SORT_NONE). */
struct asup_ref proto_get_ref(const msgpack_object *map, const char *key, enum asup_sort sort);

/* The list under a key: how many elements (0 when absent), and one of them
 * (NULL beyond the end). */
uint32_t proto_list_size(const msgpack_object *list);
const msgpack_object *proto_list_at(const msgpack_object *list, uint32_t index);

/* The chain R. `*out` is NULL for nil and NULL. Links and texts live in the
 * memory. Returns 0, -ASUP_EMALFORMED or -ASUP_ENOMEM. */
int proto_reason_read(const msgpack_object *object, struct proto_memory *m,
                      const struct asup_reason **out);
/* O, likewise. The error text is "stage: message" where there is a stage. */
int
proto_outcome_read(const msgpack_object *object, struct proto_memory *m, struct asup_outcome *out);

/* Write R and O: what the readers above read. */
void pw_reason(struct proto_writer *w, const struct asup_reason *reason); /* NULL: nil */
/* Where a start failed. */
struct proto_start_error {
    const char *stage;   /* "chdir"; NULL: nowhere */
    int32_t error;       /* errno */
    const char *message; /* NULL: the outcome's error text */
};
void pw_outcome(struct proto_writer *w, const struct asup_outcome *outcome,
                const struct proto_start_error *start_error); /* NULL: none */

#endif
