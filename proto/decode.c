/* SPDX-License-Identifier: MIT */
/* Maps to structs, field by field as the schema tells. */
#include "decode.h"

#include <string.h>

#include "must.h"

int
pack_again(const struct decoder *d, const msgpack_object *object, struct proto_bytes *out)
{
    struct proto_writer w;
    int rc = -ASUP_ENOMEM;

    proto_writer_init(&w);
    pw_object(&w, object);
    char *copy = w.failed ? NULL : proto_memory_take(d->m, w.size);
    if (copy) {
        memcpy(copy, w.data, w.size);
        *out = (struct proto_bytes){copy, w.size};
        rc = 0;
    }
    proto_writer_fini(&w);
    return rc;
}

static int
processes_decode(const struct decoder *d, const struct proto_field *field,
                 const msgpack_object *object, const struct place *at, struct proto_processes *out)
{
    if (object->type != MSGPACK_OBJECT_ARRAY)
        return field_wrong(d, field, at, object, -ASUP_EINVALID);
    uint32_t count = object->via.array.size;
    int rc = size_check(count, field);
    if (rc < 0)
        return field_wrong(d, field, at, object, rc);

    struct proto_process *items = proto_memory_take(d->m, count * sizeof *items);
    if (!items)
        return field_refuse(d, at, -ASUP_ENOMEM, "found no memory");
    for (uint32_t i = 0; i < count; i++) {
        struct place here = {.up = at, .index = i};
        proto_process_init(&items[i]);
        rc = record_decode(d, field->record, &object->via.array.ptr[i], &here,
                           (struct proto_bytes){0}, &items[i]);
        if (rc < 0)
            return rc;
    }
    *out = (struct proto_processes){items, count};
    return 0;
}

static int
records_decode(const struct decoder *d, const struct proto_field *field,
               const msgpack_object *object, const struct place *at, struct proto_records *out)
{
    if (object->type != MSGPACK_OBJECT_ARRAY)
        return field_wrong(d, field, at, object, -ASUP_EINVALID);
    uint32_t count = object->via.array.size;
    int rc = size_check(count, field);
    if (rc < 0)
        return field_wrong(d, field, at, object, rc);

    char *items = proto_memory_take(d->m, count * field->record->size);
    if (!items)
        return field_refuse(d, at, -ASUP_ENOMEM, "found no memory");
    for (uint32_t i = 0; i < count; i++) {
        struct place here = {.up = at, .index = i};
        void *item = items + i * field->record->size;
        record_init(field->record, item);
        rc = record_decode(d, field->record, &object->via.array.ptr[i], &here,
                           (struct proto_bytes){0}, item);
        if (rc < 0)
            return rc;
    }
    *out = (struct proto_records){items, count};
    return 0;
}

static int
ids_decode(const struct decoder *d, const struct proto_field *field, const msgpack_object *object,
           const struct place *at, struct proto_ids *out)
{
    if (object->type != MSGPACK_OBJECT_ARRAY)
        return field_wrong(d, field, at, object, -ASUP_EINVALID);
    uint32_t count = object->via.array.size;
    int rc = size_check(count, field);
    if (rc < 0)
        return field_wrong(d, field, at, object, rc);

    uint64_t *items = proto_memory_take(d->m, count * sizeof *items);
    if (!items)
        return field_refuse(d, at, -ASUP_ENOMEM, "found no memory");
    for (uint32_t i = 0; i < count; i++) {
        struct proto_field one = {.type = PROTO_ID, .sort = field->sort};
        struct place here = {.up = at, .index = i};
        if (!id_decode(&one, &object->via.array.ptr[i], &items[i]))
            return field_wrong(d, &one, &here, &object->via.array.ptr[i], -ASUP_EINVALID);
    }
    *out = (struct proto_ids){items, count};
    return 0;
}

/* ---- Records --------------------------------------------------------------------------- */

static int
field_decode(const struct decoder *d, const struct proto_field *field, const msgpack_object *object,
             const struct place *at, void *member)
{
    int rc = -ASUP_EINVALID;

    switch (field->type) {
    case PROTO_UINT:
    case PROTO_DURATION:
    case PROTO_INSTANT:
        if (number_is_fine(field, object)) {
            *(uint64_t *)member = object->via.u64;
            rc = 0;
        }
        break;
    case PROTO_INT:
        if (number_is_fine(field, object)) {
            *(int64_t *)member = object->via.i64;
            rc = 0;
        }
        break;
    case PROTO_BOOL:
        if (object->type == MSGPACK_OBJECT_BOOLEAN) {
            *(bool *)member = object->via.boolean;
            rc = 0;
        }
        break;
    case PROTO_TEXT:
    case PROTO_NAME:
    case PROTO_OSTEXT:
        rc = text_decode(d, field, object, member);
        break;
    case PROTO_BYTES:
        if (object->type == MSGPACK_OBJECT_BIN &&
            (rc = size_check(object->via.bin.size, field)) == 0)
            *(struct proto_bytes *)member =
                (struct proto_bytes){object->via.bin.ptr, object->via.bin.size};
        break;
    case PROTO_DATA:
        if (object->type == MSGPACK_OBJECT_BIN || object->type == MSGPACK_OBJECT_STR) {
            *(struct proto_bytes *)member =
                object->type == MSGPACK_OBJECT_BIN
                    ? (struct proto_bytes){object->via.bin.ptr, object->via.bin.size}
                    : (struct proto_bytes){object->via.str.ptr, object->via.str.size};
            rc = 0;
        }
        break;
    case PROTO_ID:
        rc = id_decode(field, object, member) ? 0 : rc;
        break;
    case PROTO_REGION:
    case PROTO_ANY:
        rc = target_decode(field, object, member) ? 0 : rc;
        break;
    case PROTO_ENUM:
        rc = enum_decode(field, object, member) ? 0 : rc;
        break;
    case PROTO_TEXTS:
        return texts_decode(d, field, object, at, member);
    case PROTO_ENV:
        return environment_decode(d, field, object, at, member);
    case PROTO_RLIMITS:
        return rlimits_decode(d, field, object, at, member);
    case PROTO_RECORD:
        if (object->type != MSGPACK_OBJECT_MAP)
            break;
        return record_decode(d, field->record, object, at, (struct proto_bytes){0}, member);
    case PROTO_PROCESSES:
        return processes_decode(d, field, object, at, member);
    case PROTO_RECORDS:
        return records_decode(d, field, object, at, member);
    case PROTO_IDS:
        return ids_decode(d, field, object, at, member);
    case PROTO_OPS:
        return batch_decode(
            d, field, object, at,
            (struct args_batch *)((char *)member - offsetof(struct args_batch, ops)));
    case PROTO_INLINE:
        must(!"reached by a key");
    }
    return rc < 0 ? field_wrong(d, field, at, object, rc) : 0;
}

/* The field of a key, those of inlined records included. `*index` numbers all
 * of them through, `*offset` is where the member stands. */
static const struct proto_field *
field_find(const struct proto_record *record, const msgpack_object_str *key, uint32_t *index,
           size_t *offset)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (field->type == PROTO_INLINE) {
            size_t inside = *offset + field->offset;
            const struct proto_field *found = field_find(field->record, key, index, &inside);
            if (found) {
                *offset = inside;
                return found;
            }
            continue;
        }
        /* The whole length: a key may hold a NUL where the name has its end. */
        if (key->size > 0 && field->name[0] == key->ptr[0] && strlen(field->name) == key->size &&
            memcmp(field->name, key->ptr, key->size) == 0) {
            *offset += field->offset;
            return field;
        }
        (*index)++;
    }
    return NULL;
}

/* Required fields that were not there; beside it what a process must be. */
static int
record_finish(const struct decoder *d, const struct proto_record *record, uint64_t seen,
              uint32_t *index, const msgpack_object *map, const struct place *at,
              struct proto_bytes raw, void *out)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (field->type == PROTO_INLINE) {
            int rc = record_finish(d, field->record, seen, index, map, at, raw,
                                   (char *)out + field->offset);
            if (rc < 0)
                return rc;
            continue;
        }
        if (field->required && !(seen & (uint64_t)1 << *index)) {
            struct place here = {.up = at, .key = field->name, .key_size = strlen(field->name)};
            return field_wrong(d, field, &here, NULL, -ASUP_EINVALID);
        }
        (*index)++;
    }
    if (record == &proto_process_record) {
        struct proto_process *process = out;
        struct place argv = {.up = at, .key = "argv", .key_size = 4};
        struct place program = {.up = &argv, .index = 0};
        if (process->argv.count == 0 && !process->call.data)
            return field_wrong(d, &record->fields[0], &argv, NULL, -ASUP_EINVALID);
        if (process->argv.count > 0 && process->argv.items[0].size == 0)
            return field_refuse(d, &program, -ASUP_EINVALID, "must name a program, got empty text");
        process->raw = raw;
        /* A call is kept by its parts. */
        if (!raw.data && !process->call.data && pack_again(d, map, &process->raw) < 0)
            return field_refuse(d, at, -ASUP_ENOMEM, "found no memory");
    }
    return 0;
}

int
record_decode(const struct decoder *d, const struct proto_record *record, const msgpack_object *map,
              const struct place *at, struct proto_bytes raw, void *out)
{
    uint64_t seen = 0;

    if (map->type != MSGPACK_OBJECT_MAP) {
        static const struct proto_field any_map = {.type = PROTO_RECORD};
        return field_wrong(d, &any_map, at, map, -ASUP_EINVALID);
    }
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type != MSGPACK_OBJECT_STR)
            return field_refuse(d, at, -ASUP_EMALFORMED, "%s a key that is not text",
                                at ? "has" : "the arguments have");
        uint32_t index = 0;
        size_t offset = 0;
        const struct proto_field *field = field_find(record, &pair->key.via.str, &index, &offset);
        if (!field)
            continue; /* a later version's */
        struct place here = {.up = at, .key = field->name, .key_size = strlen(field->name)};
        must(index < 64);
        if (seen & (uint64_t)1 << index)
            return field_refuse(d, &here, -ASUP_EMALFORMED, "comes twice");
        seen |= (uint64_t)1 << index;
        if (pair->val.type == MSGPACK_OBJECT_NIL && !field->required)
            continue; /* as if absent */
        int rc = field_decode(d, field, &pair->val, &here, (char *)out + offset);
        if (rc < 0)
            return rc;
    }
    uint32_t index = 0;
    return record_finish(d, record, seen, &index, map, at, raw, out);
}

int
args_decode(const struct decoder *d, const struct proto_op *op, const msgpack_object *map,
            struct proto_bytes raw, struct proto_key *key, const union proto_args **out)
{
    if (map->type != MSGPACK_OBJECT_MAP)
        return proto_error_set(d->err, -ASUP_EMALFORMED, "%s: the arguments must be a map", d->op);
    union proto_args *args = proto_memory_take(d->m, sizeof *args);
    if (!args)
        return proto_error_set(d->err, -ASUP_ENOMEM, "%s: found no memory", d->op);
    proto_args_init(op, args);
    int rc = record_decode(d, op->args, map, NULL, raw, args);
    record_init(&proto_key_record, key);
    if (rc == 0 && op->flags & PROTO_MUTATES)
        rc = record_decode(d, &proto_key_record, map, NULL, raw, key);
    if (rc == 0 && op->id == PROTO_BATCH)
        rc = batch_check(d, &args->batch);
    if (rc == 0)
        *out = args;
    return rc;
}
