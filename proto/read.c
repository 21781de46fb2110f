/* SPDX-License-Identifier: MIT */
#include "read.h"

#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"

/* ---- Keys -------------------------------------------------------------------------- */

const msgpack_object *
proto_get(const msgpack_object *map, const char *key)
{
    size_t size = strlen(key);

    if (!map || map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == size &&
            memcmp(pair->key.via.str.ptr, key, size) == 0)
            return pair->val.type == MSGPACK_OBJECT_NIL ? NULL : &pair->val;
    }
    return NULL;
}

uint64_t
proto_get_uint(const msgpack_object *map, const char *key, uint64_t preset)
{
    const msgpack_object *value = proto_get(map, key);

    return value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? value->via.u64 : preset;
}

int64_t
proto_get_int(const msgpack_object *map, const char *key, int64_t preset)
{
    const msgpack_object *value = proto_get(map, key);

    if (value && value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return value->via.i64;
    if (value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
        value->via.u64 <= (uint64_t)INT64_MAX)
        return (int64_t)value->via.u64;
    return preset;
}

bool
proto_get_bool(const msgpack_object *map, const char *key, bool preset)
{
    const msgpack_object *value = proto_get(map, key);

    return value && value->type == MSGPACK_OBJECT_BOOLEAN ? value->via.boolean : preset;
}

const char *
proto_get_text(const msgpack_object *map, const char *key)
{
    const msgpack_object *value = proto_get(map, key);

    return value && value->type == MSGPACK_OBJECT_STR ? value->via.str.ptr : NULL;
}

struct proto_bytes
proto_get_bytes(const msgpack_object *map, const char *key)
{
    const msgpack_object *value = proto_get(map, key);

    if (!value || value->type != MSGPACK_OBJECT_BIN)
        return (struct proto_bytes){0};
    return (struct proto_bytes){value->via.bin.ptr, value->via.bin.size};
}

struct asup_ref
proto_get_ref(const msgpack_object *map, const char *key, enum asup_sort sort)
{
    const msgpack_object *value = proto_get(map, key);
    struct asup_ref ref = {0};

    if (!value || value->type != MSGPACK_OBJECT_STR ||
        asup_ref_parse(value->via.str.ptr, value->via.str.size, &ref) != 0 ||
        (sort != ASUP_SORT_NONE && ref.sort != sort))
        return (struct asup_ref){0};
    return ref;
}

uint32_t
proto_list_size(const msgpack_object *list)
{
    return list && list->type == MSGPACK_OBJECT_ARRAY ? list->via.array.size : 0;
}

const msgpack_object *
proto_list_at(const msgpack_object *list, uint32_t index)
{
    return index < proto_list_size(list) ? &list->via.array.ptr[index] : NULL;
}

/* ---- Reasons and outcomes -------------------------------------------------------------- */

int
proto_reason_read(const msgpack_object *object, struct proto_memory *m,
                  const struct asup_reason **out)
{
    const struct asup_reason **link = out;

    *out = NULL;
    /* As long as the reply is deep at most. */
    while (object && object->type != MSGPACK_OBJECT_NIL) {
        const char *kind = proto_get_text(object, "kind");
        const char *message = proto_get_text(object, "message");
        int number = kind ? asup_cancel_kind_from_name(kind) : -1;
        if (number < 0)
            return -ASUP_EMALFORMED;
        struct asup_reason *reason = proto_memory_take(m, sizeof *reason);
        if (!reason)
            return -ASUP_ENOMEM;
        struct asup_ref origin = proto_get_ref(object, "origin", ASUP_SORT_NONE);
        *reason = (struct asup_reason){
            .key = {.kind = (uint8_t)number,
                    .at = proto_get_uint(object, "at_ns", 0),
                    .origin = origin.id},
            .origin_sort = origin.sort,
            .message = message ? message : "",
        };
        *link = reason;
        link = &reason->cause;
        object = proto_get(object, "cause");
    }
    return 0;
}

static int
error_text_read(const msgpack_object *object, struct proto_memory *m, const char **out)
{
    const char *stage = proto_get_text(object, "stage");
    const char *message = proto_get_text(object, "message");

    *out = message;
    if (!stage || !stage[0])
        return 0;
    if (!message)
        message = "";
    size_t size = strlen(stage) + strlen(": ") + strlen(message) + 1;
    char *text = proto_memory_take(m, size);
    if (!text)
        return -ASUP_ENOMEM;
    (void)snprintf(text, size, "%s: %s", stage, message);
    *out = text;
    return 0;
}

int
proto_outcome_read(const msgpack_object *object, struct proto_memory *m, struct asup_outcome *out)
{
    const char *name = proto_get_text(object, "outcome");
    int severity = name ? asup_severity_from_name(name) : -1;
    int64_t exit_code = proto_get_int(object, "exit_code", -1);
    int64_t signal = proto_get_int(object, "signal", 0);

    if (severity < 0 || exit_code < -1 || exit_code > 255 || signal < 0 || signal > 64)
        return -ASUP_EMALFORMED;
    struct asup_ref origin = proto_get_ref(object, "origin", ASUP_SORT_NONE);
    *out = (struct asup_outcome){
        .key = {.severity = (uint8_t)severity,
                .at = proto_get_uint(object, "at_ns", 0),
                .origin = origin.id},
        .origin_sort = origin.sort,
        .forced = proto_get_bool(object, "forced", false),
        .exit_code = (int32_t)exit_code,
        .signal = (int32_t)signal,
        .wall_ns = proto_get_uint(object, "wall_ns", 0),
        .cpu_ns = proto_get_uint(object, "cpu_ns", 0),
        .memory_peak = proto_get_uint(object, "memory_peak_bytes", 0),
    };
    const msgpack_object *error = proto_get(object, "error");
    const char *stage = proto_get_text(error, "stage");
    int64_t number = proto_get_int(error, "errno", 0);
    out->stage = stage && stage[0] ? stage : NULL;
    out->error_number = number > 0 && number <= INT32_MAX ? (int32_t)number : 0;
    int rc = error_text_read(error, m, &out->error);
    if (rc == 0)
        rc = proto_reason_read(proto_get(object, "reason"), m, &out->reason);
    return rc;
}

/* ---- Writing them ------------------------------------------------------------------------ */

void
pw_reason(struct proto_writer *w, const struct asup_reason *reason)
{
    uint32_t links = 0;

    for (; reason; reason = reason->cause) {
        pw_map(w);
        pw_key(w, "kind");
        pw_str(w, asup_cancel_kind_name(reason->key.kind));
        pw_key(w, "message");
        pw_str(w, reason->message);
        pw_key(w, "origin");
        pw_id(w, reason->origin_sort, reason->key.origin);
        pw_key(w, "at_ns");
        pw_uint(w, reason->key.at);
        pw_key(w, "cause");
        links++;
    }
    pw_nil(w);
    while (links-- > 0)
        pw_end(w);
}

static void
error_write(struct proto_writer *w, const char *message, const struct proto_start_error *start)
{
    if (!message && !start) {
        pw_nil(w);
        return;
    }
    pw_map(w);
    if (start) {
        pw_key(w, "stage");
        pw_str(w, start->stage);
        pw_key(w, "errno");
        pw_int(w, start->error);
        if (start->message)
            message = start->message;
    }
    pw_key(w, "message");
    pw_str(w, message ? message : "");
    pw_end(w);
}

void
pw_outcome(struct proto_writer *w, const struct asup_outcome *outcome,
           const struct proto_start_error *start_error)
{
    pw_map(w);
    pw_key(w, "outcome");
    pw_str(w, asup_severity_name(outcome->key.severity));
    pw_key(w, "exit_code");
    if (outcome->exit_code >= 0)
        pw_int(w, outcome->exit_code);
    else
        pw_nil(w);
    pw_key(w, "signal");
    if (outcome->signal > 0)
        pw_int(w, outcome->signal);
    else
        pw_nil(w);
    pw_key(w, "forced");
    pw_bool(w, outcome->forced);
    pw_key(w, "reason");
    pw_reason(w, outcome->reason);
    pw_key(w, "error");
    error_write(w, outcome->error, start_error);
    pw_key(w, "origin");
    pw_id(w, outcome->origin_sort, outcome->key.origin);
    pw_key(w, "at_ns");
    pw_uint(w, outcome->key.at);
    pw_key(w, "wall_ns");
    pw_uint(w, outcome->wall_ns);
    pw_key(w, "cpu_ns");
    pw_uint(w, outcome->cpu_ns);
    pw_key(w, "memory_peak_bytes");
    if (outcome->memory_peak > 0)
        pw_uint(w, outcome->memory_peak);
    else
        pw_nil(w);
    pw_end(w);
}
