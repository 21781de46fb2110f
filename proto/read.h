/* SPDX-License-Identifier: MIT */
/*
 * Reading the bodies of replies: from msgpack maps to the values of
 * asupersync/types.h. Readers take what a daemon of this or a later minor
 * version sends: unknown keys are ignored, absent ones read as their neutral
 * value, and a key of the wrong type makes the reader fail with
 * -ASUP_EMALFORMED rather than guess.
 */
#ifndef ASUPERSYNC_PROTO_READ_H
#define ASUPERSYNC_PROTO_READ_H

#include "message.h"

/* The value of a key; NULL when it is absent, nil, or `map` is no map. */
const msgpack_object *proto_get(const msgpack_object *map, const char *key);

/* Plain values. An absent or nil key, or one of another type, gives `preset`. */
uint64_t proto_get_uint(const msgpack_object *map, const char *key, uint64_t preset);
int64_t proto_get_int(const msgpack_object *map, const char *key, int64_t preset);
bool proto_get_bool(const msgpack_object *map, const char *key, bool preset);
/* Text is a C string in the memory that the reply lives in; NULL when absent
 * or of another type. */
const char *proto_get_text(const msgpack_object *map, const char *key);
struct proto_bytes proto_get_bytes(const msgpack_object *map, const char *key);
struct asup_ref proto_get_ref(const msgpack_object *map, const char *key);
uint64_t proto_get_id(const msgpack_object *map, const char *key, enum asup_sort sort);

/* Lists: the count (0 when absent), and one element (NULL beyond the end). */
uint32_t proto_list_size(const msgpack_object *list);
const msgpack_object *proto_list_at(const msgpack_object *list, uint32_t index);

/* The chain R. `*out` is NULL for nil. */
int proto_reason_read(const msgpack_object *object, struct proto_memory *m,
                      const struct asup_reason **out);
/* O. The error text is "stage: message" where the task never started. */
int
proto_outcome_read(const msgpack_object *object, struct proto_memory *m, struct asup_outcome *out);

/* The number of a wire name, or -1. */
int proto_severity_find(const char *name); /* enum asup_severity */
int proto_cancel_find(const char *name);   /* enum asup_cancel_kind */
int proto_region_state_find(const char *name);
int proto_task_state_find(const char *name);
int proto_policy_find(const char *name);
/* And back; "?" for an unknown number. */
const char *proto_severity_name(unsigned severity);
const char *proto_cancel_name(unsigned kind);
const char *proto_region_state_name(unsigned state);
const char *proto_task_state_name(unsigned state);
const char *proto_policy_name(unsigned policy);

/* T, as much of it as programs use. */
struct proto_task_info {
    struct asup_task id;
    struct asup_region region;
    const char *path;  /* of the region; "" when absent */
    const char *label; /* "" when absent */
    enum asup_task_state state;
    bool finalizer;
    bool ready;
    uint32_t owner; /* uid */
    int64_t pid;    /* -1: none */
    uint64_t age_ns;
    const struct asup_reason *reason; /* NULL: not cancelled */
    bool has_outcome;
    struct asup_outcome outcome;
};
int
proto_task_read(const msgpack_object *object, struct proto_memory *m, struct proto_task_info *out);

/* E */
struct proto_event_info {
    uint64_t seq;
    asup_time at;
    uint64_t at_wall_ns;
    const char *event;           /* "task-started" */
    struct asup_region region;   /* id 0: none */
    struct asup_task task;       /* id 0: none */
    struct asup_session session; /* id 0: none */
    const char *path;            /* NULL: none */
    uint64_t value;
    const char *text;                 /* NULL: none */
    const struct asup_reason *reason; /* NULL: none */
    bool has_outcome;
    struct asup_outcome outcome;
};
int proto_event_read(const msgpack_object *object, struct proto_memory *m,
                     struct proto_event_info *out);

/* Write R and O: what the readers above read. */
void pw_reason(struct proto_writer *w, const struct asup_reason *reason); /* NULL: nil */
/* `stage` NULL: no error; `error_number` is an errno. */
void pw_outcome(struct proto_writer *w, const struct asup_outcome *outcome, const char *stage,
                int error_number);

#endif
