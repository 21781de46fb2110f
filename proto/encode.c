/* SPDX-License-Identifier: MIT */
/* The structs of args.h to bytes, driven by the schema; and what their members
 * are when nothing was given. */
#include "decode.h"

#include <string.h>

#include "asupersync/values.h"
#include "must.h"

/* ---- Absence ------------------------------------------------------------------------ */

void
record_init(const struct proto_record *record, void *out)
{
    memset(out, 0, record->size);
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        void *member = (char *)out + field->offset;
        switch (field->type) {
        case PROTO_UINT:
        case PROTO_DURATION:
        case PROTO_INSTANT:
            *(uint64_t *)member = field->preset;
            break;
        case PROTO_INT:
            *(int64_t *)member = (int64_t)field->preset;
            break;
        case PROTO_ENUM:
            *(uint32_t *)member = (uint32_t)field->preset;
            break;
        case PROTO_RECORD:
        case PROTO_INLINE:
            record_init(field->record, member);
            break;
        default:
            break; /* zero bytes */
        }
    }
}

static bool record_absent(const struct proto_record *record, const void *in);

static bool
field_absent(const struct proto_field *field, const void *member)
{
    switch (field->type) {
    case PROTO_UINT:
    case PROTO_DURATION:
    case PROTO_INSTANT:
        return *(const uint64_t *)member == field->preset;
    case PROTO_INT:
        return *(const int64_t *)member == (int64_t)field->preset;
    case PROTO_ENUM:
        return *(const uint32_t *)member == (uint32_t)field->preset;
    case PROTO_BOOL:
        return !*(const bool *)member;
    case PROTO_TEXT:
    case PROTO_NAME:
    case PROTO_OSTEXT:
        return !((const struct proto_text *)member)->data;
    case PROTO_BYTES:
    case PROTO_DATA:
        return !((const struct proto_bytes *)member)->data;
    case PROTO_ID:
        return *(const uint64_t *)member == 0;
    case PROTO_REGION:
    case PROTO_ANY: {
        const struct proto_target *target = member;
        return target->ref.id == 0 && !target->path.data;
    }
    case PROTO_TEXTS:
        return ((const struct proto_texts *)member)->count == 0;
    case PROTO_ENV:
        return ((const struct proto_environment *)member)->count == 0;
    case PROTO_RLIMITS:
        return ((const struct proto_rlimits *)member)->count == 0;
    case PROTO_PROCESSES:
        return ((const struct proto_processes *)member)->count == 0;
    case PROTO_RECORDS:
        return ((const struct proto_records *)member)->count == 0;
    case PROTO_IDS:
        return ((const struct proto_ids *)member)->count == 0;
    case PROTO_RECORD:
    case PROTO_INLINE:
        return record_absent(field->record, member);
    case PROTO_OPS:
        return false;
    }
    must(!"a type of the schema");
    return true;
}

static bool
record_absent(const struct proto_record *record, const void *in)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (!field_absent(field, (const char *)in + field->offset))
            return false;
    }
    return true;
}

/* ---- Values --------------------------------------------------------------------------- */

static void
record_encode(struct proto_writer *w, const struct proto_record *record, const void *in);

static void
target_encode(struct proto_writer *w, const struct proto_target *target)
{
    if (target->ref.id != 0)
        pw_id(w, target->ref.sort, target->ref.id);
    else
        pw_text(w, target->path.data, target->path.size);
}

static void
rlimits_encode(struct proto_writer *w, const struct proto_rlimits *limits)
{
    pw_map(w);
    for (uint32_t i = 0; i < limits->count; i++) {
        const struct proto_rlimit_name *row = proto_rlimit_names;
        while (row->name && row->resource != limits->items[i].resource)
            row++;
        must(row->name);
        pw_key(w, row->name);
        pw_list(w);
        pw_uint(w, limits->items[i].soft);
        pw_uint(w, limits->items[i].hard);
        pw_end(w);
    }
    pw_end(w);
}

static void
texts_encode(struct proto_writer *w, const struct proto_texts *texts)
{
    pw_list(w);
    for (uint32_t i = 0; i < texts->count; i++)
        pw_text(w, texts->items[i].data, texts->items[i].size);
    pw_end(w);
}

static void
environment_encode(struct proto_writer *w, const struct proto_environment *env)
{
    pw_map(w);
    for (uint32_t i = 0; i < env->count; i++) {
        pw_key_text(w, env->items[i].name.data, env->items[i].name.size);
        pw_text(w, env->items[i].value.data, env->items[i].value.size);
    }
    pw_end(w);
}

static void
processes_encode(struct proto_writer *w, const struct proto_processes *processes)
{
    pw_list(w);
    for (uint32_t i = 0; i < processes->count; i++)
        proto_process_encode(w, &processes->items[i]);
    pw_end(w);
}

static void
batch_encode(struct proto_writer *w, const struct args_batch *batch)
{
    pw_list(w);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct proto_call *call = &batch->ops[i];
        must(call->op && call->args);
        pw_list(w);
        pw_bytes(w, call->has_cx ? call->cx : NULL, 16);
        pw_str(w, call->op->name);
        proto_args_encode(w, call->op, call->args);
        pw_end(w);
    }
    pw_end(w);
}

static void
field_encode(struct proto_writer *w, const struct proto_field *field, const void *member)
{
    switch (field->type) {
    case PROTO_UINT:
    case PROTO_DURATION:
    case PROTO_INSTANT:
        pw_uint(w, *(const uint64_t *)member);
        break;
    case PROTO_INT:
        pw_int(w, *(const int64_t *)member);
        break;
    case PROTO_BOOL:
        pw_bool(w, *(const bool *)member);
        break;
    case PROTO_TEXT:
    case PROTO_NAME:
    case PROTO_OSTEXT: {
        const struct proto_text *text = member;
        pw_text(w, text->data, text->size);
        break;
    }
    case PROTO_BYTES:
    case PROTO_DATA: {
        const struct proto_bytes *bytes = member;
        pw_bytes(w, bytes->data, bytes->size);
        break;
    }
    case PROTO_ID:
        pw_id(w, (enum asup_sort)field->sort, *(const uint64_t *)member);
        break;
    case PROTO_REGION:
    case PROTO_ANY:
        target_encode(w, member);
        break;
    case PROTO_ENUM:
        pw_str(w, field->names[*(const uint32_t *)member]);
        break;
    case PROTO_TEXTS:
        texts_encode(w, member);
        break;
    case PROTO_ENV:
        environment_encode(w, member);
        break;
    case PROTO_RLIMITS:
        rlimits_encode(w, member);
        break;
    case PROTO_RECORD:
        pw_map(w);
        record_encode(w, field->record, member);
        pw_end(w);
        break;
    case PROTO_PROCESSES:
        processes_encode(w, member);
        break;
    case PROTO_RECORDS: {
        const struct proto_records *records = member;
        pw_list(w);
        for (uint32_t i = 0; i < records->count; i++) {
            pw_map(w);
            record_encode(w, field->record, (const char *)records->items + i * field->record->size);
            pw_end(w);
        }
        pw_end(w);
        break;
    }
    case PROTO_IDS: {
        const struct proto_ids *ids = member;
        pw_list(w);
        for (uint32_t i = 0; i < ids->count; i++)
            pw_id(w, (enum asup_sort)field->sort, ids->items[i]);
        pw_end(w);
        break;
    }
    case PROTO_OPS:
        batch_encode(w, (const struct args_batch *)((const char *)member -
                                                    offsetof(struct args_batch, ops)));
        break;
    case PROTO_INLINE:
        must(!"has no value of its own");
    }
}

/* The keys only: the map around them is the caller's. */
static void
record_encode(struct proto_writer *w, const struct proto_record *record, const void *in)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        const void *member = (const char *)in + field->offset;
        if (field->type == PROTO_INLINE) {
            record_encode(w, field->record, member);
        } else if (field->required || !field_absent(field, member)) {
            pw_key(w, field->name);
            field_encode(w, field, member);
        }
    }
}

/* ---- Requests --------------------------------------------------------------------------- */

void
proto_args_init(const struct proto_op *op, union proto_args *args)
{
    memset(args, 0, sizeof *args);
    record_init(op->args, args);
}

void
proto_process_init(struct proto_process *process)
{
    record_init(&proto_process_record, process);
}

void
proto_budget_init(struct proto_budget *budget)
{
    record_init(&proto_budget_record, budget);
}

void
proto_args_encode(struct proto_writer *w, const struct proto_op *op, const union proto_args *args)
{
    proto_args_encode_keyed(w, op, args, NULL);
}

void
proto_args_encode_keyed(struct proto_writer *w, const struct proto_op *op,
                        const union proto_args *args, const struct proto_key *key)
{
    pw_map(w);
    record_encode(w, op->args, args);
    if (key)
        record_encode(w, &proto_key_record, key);
    pw_end(w);
}

void
proto_process_encode(struct proto_writer *w, const struct proto_process *process)
{
    pw_map(w);
    record_encode(w, &proto_process_record, process);
    pw_end(w);
}

/* All of the envelope before the arguments, which end the message. */
static void
request_begin(struct proto_writer *w, uint64_t id, const uint8_t *session, const uint8_t *cx,
              const struct proto_op *op)
{
    static const char list_of_six = (char)0x96;

    pw_raw(w, &list_of_six, 1);
    pw_uint(w, PROTO_VERSION);
    pw_uint(w, id);
    pw_bytes(w, session, 16);
    pw_bytes(w, cx, 16);
    pw_str(w, op->name);
}

void
proto_request_encode(struct proto_writer *w, uint64_t id, const uint8_t *session, const uint8_t *cx,
                     const struct proto_op *op, const union proto_args *args)
{
    request_begin(w, id, session, cx, op);
    proto_args_encode(w, op, args);
}

void
proto_request_encode_raw(struct proto_writer *w, uint64_t id, const uint8_t *session,
                         const uint8_t *cx, const struct proto_op *op, struct proto_bytes args)
{
    request_begin(w, id, session, cx, op);
    pw_raw(w, args.data, args.size);
}
