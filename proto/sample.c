/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "asupersync/error.h"
#include "must.h"
#include "read.h"

static const uint8_t token[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* ---- Values -------------------------------------------------------------------------- */

static bool
is_sized(enum proto_type type)
{
    switch (type) {
    case PROTO_TEXT:
    case PROTO_NAME:
    case PROTO_OSTEXT:
    case PROTO_BYTES:
    case PROTO_TEXTS:
    case PROTO_ENV:
    case PROTO_PROCESSES:
    case PROTO_RECORDS:
    case PROTO_IDS:
    case PROTO_OPS:
        return true;
    default:
        return false;
    }
}

bool
sample_exists(const struct proto_field *field, enum sample_kind kind)
{
    if (field->type == PROTO_INLINE)
        return false;
    if (kind != SAMPLE_BELOW && kind != SAMPLE_ABOVE)
        return true;
    if (is_sized(field->type))
        return kind == SAMPLE_ABOVE || field->min > 0;
    switch (field->type) {
    case PROTO_BOOL:
    case PROTO_DATA:
    case PROTO_RECORD:
        return false;
    case PROTO_RLIMITS:
        return kind == SAMPLE_ABOVE;
    default:
        return true;
    }
}

/* How large, or how many, a sample is. */
static uint64_t
sample_size(const struct proto_field *field, enum sample_kind kind)
{
    switch (kind) {
    case SAMPLE_LEAST:
        return field->min;
    case SAMPLE_MOST:
        return field->max;
    case SAMPLE_BELOW:
        return field->min - 1;
    case SAMPLE_ABOVE:
        return field->max + 1;
    default:
        return field->max < 3 ? field->max : field->min > 3 ? field->min : 3;
    }
}

static void
sample_number(struct proto_writer *w, const struct proto_field *field, enum sample_kind kind)
{
    uint64_t middle = field->min + (field->max - field->min) / 3;

    if (kind == SAMPLE_BELOW && field->min == 0)
        pw_int(w, -1);
    else if (kind == SAMPLE_TYPICAL)
        pw_uint(w, middle == field->preset ? middle + 1 : middle);
    else
        pw_uint(w, sample_size(field, kind));
}

static void
sample_int(struct proto_writer *w, const struct proto_field *field, enum sample_kind kind)
{
    if (kind == SAMPLE_TYPICAL)
        pw_int(w, (int64_t)field->min + 1);
    else
        pw_int(w, (int64_t)sample_size(field, kind));
}

/* Letters, as many as asked for. */
static void
sample_letters(struct proto_writer *w, uint64_t size, bool binary)
{
    static char letters[PROTO_INPUT_MAX + 2];

    must(size < sizeof letters);
    memset(letters, 'a', size);
    if (binary)
        pw_bytes(w, letters, size);
    else
        pw_text(w, letters, size);
}

static void
sample_id(struct proto_writer *w, char sort, enum sample_kind kind)
{
    static const char *const digits[] = {
        [SAMPLE_TYPICAL] = "12",
        [SAMPLE_LEAST] = "1",
        [SAMPLE_MOST] = "18446744073709551615",
        [SAMPLE_BELOW] = "0",
        [SAMPLE_ABOVE] = "18446744073709551616",
    };
    char text[32];

    (void)snprintf(text, sizeof text, "%c%s", sort, digits[kind]);
    pw_str(w, text);
}

/* A path of so many of the longest names. */
static void
sample_path(struct proto_writer *w, unsigned names)
{
    char path[40 * (ASUP_NAME_MAX + 1)];
    size_t size = 0;

    must(names <= 40);
    for (unsigned i = 0; i < names; i++) {
        path[size++] = '/';
        memset(path + size, 'n', ASUP_NAME_MAX);
        size += ASUP_NAME_MAX;
    }
    pw_text(w, path, size);
}

static void
sample_target(struct proto_writer *w, const struct proto_field *field, enum sample_kind kind)
{
    if (kind == SAMPLE_LEAST)
        pw_str(w, "/");
    else if (kind == SAMPLE_MOST)
        sample_path(w, ASUP_DEPTH_MAX);
    else if (kind == SAMPLE_BELOW)
        pw_str(w, "");
    else if (kind == SAMPLE_ABOVE)
        sample_path(w, 40);
    else
        sample_id(w, field->type == PROTO_ANY ? ASUP_SORT_TASK : ASUP_SORT_REGION, kind);
}

static void
sample_enum(struct proto_writer *w, const struct proto_field *field, enum sample_kind kind)
{
    uint32_t last = 0;

    while (field->names[last + 1])
        last++;
    if (kind == SAMPLE_BELOW)
        pw_str(w, "");
    else if (kind == SAMPLE_ABOVE)
        pw_str(w, "no such word");
    else if (kind == SAMPLE_LEAST)
        pw_str(w, field->names[0]);
    else if (kind == SAMPLE_MOST)
        pw_str(w, field->names[last]);
    else
        pw_str(w, field->names[field->preset == 1 ? 0 : 1]);
}

static void
sample_environment(struct proto_writer *w, uint64_t count)
{
    pw_map(w);
    for (uint64_t i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "N%05" PRIu64, i);
        pw_key(w, name);
        pw_str(w, "value");
    }
    pw_end(w);
}

static void
sample_rlimits(struct proto_writer *w, enum sample_kind kind)
{
    uint64_t soft = 0;

    pw_map(w);
    for (const struct proto_rlimit_name *row = proto_rlimit_names;
         row->name && kind != SAMPLE_LEAST; row++) {
        pw_key(w, row->name);
        pw_list(w);
        pw_uint(w, soft++);
        pw_uint(w, kind == SAMPLE_MOST ? UINT64_MAX : 64);
        pw_end(w);
    }
    if (kind == SAMPLE_ABOVE) {
        pw_key(w, "horses");
        pw_uint(w, 1);
    }
    pw_end(w);
}

static void
sample_ops(struct proto_writer *w, uint64_t count)
{
    pw_list(w);
    for (uint64_t i = 0; i < count; i++) {
        const struct proto_op *op = &proto_ops[i % 2 ? PROTO_TASK_CANCEL : PROTO_REGION_CLOSE];
        pw_list(w);
        pw_bytes(w, i % 3 ? NULL : token, sizeof token);
        pw_str(w, op->name);
        sample_record(w, op->args, NULL, SAMPLE_TYPICAL);
        pw_end(w);
    }
    pw_end(w);
}

static void
sample_list(struct proto_writer *w, const struct proto_field *field, uint64_t count)
{
    pw_list(w);
    for (uint64_t i = 0; i < count; i++) {
        if (field->type == PROTO_TEXTS)
            pw_str(w, i == 0 ? "program" : "argument");
        else if (field->type == PROTO_IDS)
            pw_id(w, (enum asup_sort)field->sort, i + 1);
        else
            sample_record(w, field->record, NULL, SAMPLE_TYPICAL);
    }
    pw_end(w);
}

/* No field is a floating-point number. */
static void
sample_wrong(struct proto_writer *w)
{
    static const uint8_t one_and_a_half[] = {0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0};

    pw_raw(w, one_and_a_half, sizeof one_and_a_half);
}

void
sample_field(struct proto_writer *w, const struct proto_field *field, enum sample_kind kind)
{
    must(sample_exists(field, kind));
    if (kind == SAMPLE_WRONG) {
        sample_wrong(w);
        return;
    }
    switch (field->type) {
    case PROTO_UINT:
    case PROTO_DURATION:
    case PROTO_INSTANT:
        sample_number(w, field, kind);
        break;
    case PROTO_INT:
        sample_int(w, field, kind);
        break;
    case PROTO_BOOL:
        pw_bool(w, kind != SAMPLE_LEAST);
        break;
    case PROTO_TEXT:
    case PROTO_NAME:
    case PROTO_OSTEXT:
        sample_letters(w, sample_size(field, kind), false);
        break;
    case PROTO_BYTES:
        sample_letters(w, sample_size(field, kind), true);
        break;
    case PROTO_DATA: /* bounded by its message alone */
        sample_letters(w, kind == SAMPLE_LEAST ? 0 : kind == SAMPLE_MOST ? 100000 : 3, true);
        break;
    case PROTO_ID:
        sample_id(w, field->sort, kind);
        break;
    case PROTO_REGION:
    case PROTO_ANY:
        sample_target(w, field, kind);
        break;
    case PROTO_ENUM:
        sample_enum(w, field, kind);
        break;
    case PROTO_TEXTS:
    case PROTO_PROCESSES:
    case PROTO_RECORDS:
    case PROTO_IDS:
        sample_list(w, field, sample_size(field, kind));
        break;
    case PROTO_ENV:
        sample_environment(w, sample_size(field, kind));
        break;
    case PROTO_RLIMITS:
        sample_rlimits(w, kind);
        break;
    case PROTO_RECORD:
        if (kind == SAMPLE_LEAST)
            sample_record(w, field->record, NULL, SAMPLE_TYPICAL);
        else
            sample_record_full(w, field->record);
        break;
    case PROTO_OPS:
        sample_ops(w, sample_size(field, kind));
        break;
    case PROTO_INLINE:
        must(!"has no value of its own");
    }
}

/* ---- Records --------------------------------------------------------------------------- */

static bool
record_holds(const struct proto_record *record, const struct proto_field *special)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (field == special || (field->record && record_holds(field->record, special)))
            return true;
    }
    return false;
}

static void
keys_write(struct proto_writer *w, const struct proto_record *record,
           const struct proto_field *special, enum sample_kind kind)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (field->type == PROTO_INLINE) {
            keys_write(w, field->record, special, kind);
        } else if (field == special) {
            pw_key(w, field->name);
            sample_field(w, field, kind);
        } else if (special && field->record && record_holds(field->record, special)) {
            bool list = field->type == PROTO_PROCESSES || field->type == PROTO_RECORDS;
            pw_key(w, field->name);
            if (list)
                pw_list(w);
            sample_record(w, field->record, special, kind);
            if (list)
                pw_end(w);
        } else if (field->required || field == &proto_process_record.fields[0]) {
            /* The first of P is its program: required, unless there is a call. */
            pw_key(w, field->name);
            sample_field(w, field, SAMPLE_TYPICAL);
        }
    }
}

void
sample_record(struct proto_writer *w, const struct proto_record *record,
              const struct proto_field *special, enum sample_kind kind)
{
    pw_map(w);
    keys_write(w, record, special, kind);
    pw_end(w);
}

static void
keys_write_full(struct proto_writer *w, const struct proto_record *record)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (field->type == PROTO_INLINE) {
            keys_write_full(w, field->record);
        } else {
            pw_key(w, field->name);
            sample_field(w, field, SAMPLE_TYPICAL);
        }
    }
}

void
sample_record_full(struct proto_writer *w, const struct proto_record *record)
{
    pw_map(w);
    keys_write_full(w, record);
    pw_end(w);
}

void
sample_each_field(const struct proto_record *record,
                  void (*each)(void *context, const struct proto_field *field), void *context)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (field->type != PROTO_INLINE)
            each(context, field);
        if (field->record)
            sample_each_field(field->record, each, context);
    }
}

/* ---- Messages --------------------------------------------------------------------------- */

static struct proto_bytes
args_of(struct proto_writer *args)
{
    must(!args->failed);
    return (struct proto_bytes){args->data, args->size};
}

void
sample_request(struct proto_writer *w, const struct proto_op *op, const struct proto_field *special,
               enum sample_kind kind)
{
    struct proto_writer args;

    proto_writer_init(&args);
    sample_record(&args, op->args, special, kind);
    proto_request_encode_raw(w, 7, NULL, NULL, op, args_of(&args));
    proto_writer_fini(&args);
}

void
sample_request_full(struct proto_writer *w, const struct proto_op *op)
{
    struct proto_writer args;

    proto_writer_init(&args);
    sample_record_full(&args, op->args);
    proto_request_encode_raw(w, UINT64_MAX, token, token, op, args_of(&args));
    proto_writer_fini(&args);
}

static const struct asup_reason root_reason = {
    .key = {.kind = ASUP_CANCEL_TIMEOUT, .at = 5, .origin = 3},
    .origin_sort = ASUP_SORT_REGION,
    .message = "limit of 3 s",
};
static const struct asup_reason reason = {
    .key = {.kind = ASUP_CANCEL_PARENT_CANCELLED, .at = 6, .origin = 4},
    .origin_sort = ASUP_SORT_REGION,
    .message = "",
    .cause = &root_reason,
};
static const struct asup_outcome outcomes[] = {
    {.key = {ASUP_OK, 9, 7}, .origin_sort = ASUP_SORT_TASK, .wall_ns = 4, .memory_peak = 4096},
    {.key = {ASUP_ERR, 9, 7},
     .origin_sort = ASUP_SORT_TASK,
     .exit_code = -1,
     .error = "No such file or directory"},
    {.key = {ASUP_CANCELLED, 9, 7},
     .origin_sort = ASUP_SORT_TASK,
     .exit_code = -1,
     .signal = 15,
     .forced = true,
     .reason = &reason},
    {.key = {ASUP_PANICKED, 9, 3}, .origin_sort = ASUP_SORT_REGION, .exit_code = -1, .signal = 11},
};

bool
sample_reply(struct proto_writer *w, unsigned number)
{
    const unsigned outcome_count = sizeof outcomes / sizeof outcomes[0];
    static const struct proto_start_error start_error = {.stage = "exec", .error = 2};

    if (number < outcome_count) {
        proto_reply_begin(w, 7, 0);
        pw_map(w);
        pw_key(w, "region");
        pw_id(w, ASUP_SORT_REGION, 3);
        pw_key(w, "outcome");
        pw_outcome(w, &outcomes[number],
                   outcomes[number].key.severity == ASUP_ERR ? &start_error : NULL);
        pw_end(w);
        return true;
    }
    number -= outcome_count;
    if (number == 0) {
        proto_reply_error(w, 8,
                          &(struct proto_error){.code = -ASUP_EBUSY,
                                                .field = "argv",
                                                .message = "too many",
                                                .hint = "later",
                                                .limit = "tasks-per-user"});
        return true;
    }
    if (number == 1) {
        proto_reply_error(
            w, 9, &(struct proto_error){.code = -ASUP_EGAP, .has_oldest = true, .oldest = 77});
        return true;
    }
    return false;
}
