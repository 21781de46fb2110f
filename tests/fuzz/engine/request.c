/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <stdio.h>
#include <string.h>

#include "world.h"

static uint8_t unusual; /* how much is */
static uint32_t budget; /* of values in one message */

void
request_reset(void)
{
    unusual = 0;
}

/* ---- Values --------------------------------------------------------------------------- */

uint64_t
request_id(enum asup_sort sort)
{
    uint64_t id = 0;

    if (dice(24) != 23) {
        for (uint32_t n = dice(dice(2) == 0 ? 2 : POOL_SIZE) + 1; n > 0 && id == 0; n /= 2)
            id = clients_told(sort, n - 1);
    }
    if (id == 0)
        id = 1 + dice((uint32_t)(kernel_id_last(engine->kernel) % IDS_MAX) + 3);
    return id;
}

/* Few, so that they meet. */
static const char *const words[] = {"a", "b", "c", "work"};

static void
write_word(struct proto_writer *w, const struct proto_field *f)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    size_t most = f->max < sizeof letters - 1 ? (size_t)f->max : sizeof letters - 1;

    if (dice(16) == 15)
        pw_text(w, letters, f->min > most ? f->min : most);
    else
        pw_str(w, words[dice(sizeof words / sizeof words[0])]);
}

static void
write_number(struct proto_writer *w, const struct proto_field *f)
{
    static const uint64_t some[] = {0, 1, 2, 3, 5, 8, 100};
    uint64_t value = some[dice(sizeof some / sizeof some[0])];

    if (dice(24) == 23)
        value = f->max;
    pw_uint(w, value < f->min ? f->min : value > f->max ? f->max : value);
}

static void
write_duration(struct proto_writer *w, const struct proto_field *f)
{
    static const uint64_t some[] = {ASUP_NS_PER_S,  5 * ASUP_NS_PER_S,   0, 60 * ASUP_NS_PER_S, 1,
                                    ASUP_NS_PER_MS, 100 * ASUP_NS_PER_MS};
    uint64_t value = some[dice(sizeof some / sizeof some[0])];

    if (f->type == PROTO_INSTANT)
        value += dice(4) == 3 ? 0 : engine_now(engine);
    if (dice(24) == 23)
        value = f->max;
    pw_uint(w, value < f->min ? f->min : value > f->max ? f->max : value);
}

static void
write_target(struct proto_writer *w, const struct proto_field *f)
{
    static const char sorts[] = {ASUP_SORT_TASK,       ASUP_SORT_REGION,  ASUP_SORT_SESSION,
                                 ASUP_SORT_OBLIGATION, ASUP_SORT_CHANNEL, ASUP_SORT_SAGA,
                                 ASUP_SORT_CAPABILITY, ASUP_SORT_MESSAGE};
    static const char *const paths[] = {"/", "/a", "/b", "/a/b", "/a/c", "/work"};
    enum asup_sort sort = ASUP_SORT_REGION;

    if (f->sort != 0)
        sort = (enum asup_sort)f->sort;
    else if (strcmp(f->name, "channel") == 0)
        sort = ASUP_SORT_CHANNEL;
    else if (f->type == PROTO_ANY)
        sort = (enum asup_sort)sorts[dice(strcmp(f->name, "id") == 0 ? sizeof sorts : 3)];
    if (dice(48) == 47)
        sort = (enum asup_sort)sorts[dice(sizeof sorts)];
    if (dice(12) == 11)
        pw_str(w, paths[dice(sizeof paths / sizeof paths[0])]);
    else
        pw_id(w, sort, request_id(sort));
}

static void
write_enum(struct proto_writer *w, const struct proto_field *f)
{
    uint32_t count = 0;

    while (f->names[count])
        count++;
    pw_str(w, f->names[dice(count)]);
}

static void
write_texts(struct proto_writer *w, const struct proto_field *f)
{
    static const char *const rights[] = {"spawn", "cancel", "close", "observe", "channel",
                                         "lease", "io",     "saga",  "serve",   "delegate"};
    bool is_rights = strcmp(f->name, "rights") == 0;
    uint32_t count = 1 + dice(is_rights ? 10 : 3);

    pw_list(w);
    for (uint32_t i = 0; i < count && i < f->max; i++)
        pw_str(w, is_rights ? rights[(i + dice(2)) % 10] : words[dice(4)]);
    pw_end(w);
}

static void write_record(struct proto_writer *w, const struct proto_record *record);

static void
write_list(struct proto_writer *w, const struct proto_field *f)
{
    uint32_t count = dice(3);

    if (count < f->min)
        count = (uint32_t)f->min;
    pw_list(w);
    for (uint32_t i = 0; i < count; i++) {
        if (f->type == PROTO_IDS)
            pw_id(w, (enum asup_sort)f->sort, request_id((enum asup_sort)f->sort));
        else
            write_record(w, f->record);
    }
    pw_end(w);
}

static void
write_operations(struct proto_writer *w)
{
    static const uint8_t atomic[] = {PROTO_REGION_OPEN, PROTO_REGION_CLOSE, PROTO_TASK_SUBMIT,
                                     PROTO_TASK_CANCEL, PROTO_FINALIZER_DEFER};
    uint32_t count = 1 + dice(5);
    bool any = dice(2) == 1;

    pw_list(w);
    for (uint32_t i = 0; i < count; i++) {
        const struct proto_op *op =
            &proto_ops[any ? dice(PROTO_OP_COUNT) : atomic[dice(sizeof atomic)]];

        if (op->id == PROTO_BATCH)
            op = &proto_ops[PROTO_WHY];
        pw_list(w);
        pw_nil(w);
        pw_str(w, op->name);
        write_record(w, op->args);
        pw_end(w);
    }
    pw_end(w);
}

static void
write_value(struct proto_writer *w, const struct proto_field *f)
{
    char some[16];

    memset(some, (int)dice(3), sizeof some);
    switch (f->type) {
    case PROTO_UINT:
        write_number(w, f);
        break;
    case PROTO_INT:
        pw_int(w, (int64_t)f->min + (int64_t)dice(3));
        break;
    case PROTO_DURATION:
    case PROTO_INSTANT:
        write_duration(w, f);
        break;
    case PROTO_BOOL:
        pw_bool(w, dice(4) != 3);
        break;
    case PROTO_TEXT:
    case PROTO_NAME:
    case PROTO_OSTEXT:
        write_word(w, f);
        break;
    case PROTO_BYTES:
    case PROTO_DATA:
        pw_bytes(w, some, f->min == sizeof some ? sizeof some : 1 + dice(8));
        break;
    case PROTO_ID:
        pw_id(w, (enum asup_sort)f->sort, request_id((enum asup_sort)f->sort));
        break;
    case PROTO_REGION:
    case PROTO_ANY:
        write_target(w, f);
        break;
    case PROTO_ENUM:
        write_enum(w, f);
        break;
    case PROTO_TEXTS:
        write_texts(w, f);
        break;
    case PROTO_ENV:
    case PROTO_RLIMITS:
        pw_map(w);
        pw_end(w);
        break;
    case PROTO_RECORD:
        write_record(w, f->record);
        break;
    case PROTO_PROCESSES:
    case PROTO_RECORDS:
    case PROTO_IDS:
        write_list(w, f);
        break;
    case PROTO_OPS:
        write_operations(w);
        break;
    case PROTO_INLINE:
        break;
    }
}

/* ---- Records ----------------------------------------------------------------------------- */

/* A process has a program or is a call, and nothing that only a machine has. */
static bool
wanted(const struct proto_record *record, const struct proto_field *f, bool is_call)
{
    if (f->required)
        return true;
    if (record == &proto_process_record) {
        if (strcmp(f->name, "argv") == 0)
            return !is_call;
        if (strcmp(f->name, "call") == 0)
            return is_call;
        if (strcmp(f->name, "input") == 0)
            return is_call && dice(2) == 0;
        if (strcmp(f->name, "retry") == 0)
            return is_call && dice(2) == 0;
        if (strcmp(f->name, "stdio") == 0 || strcmp(f->name, "user") == 0)
            return dice(24) == 23;
    }
    if (strcmp(f->name, "atomic") == 0 || strcmp(f->name, "nacks_max") == 0 ||
        strcmp(f->name, "timeouts_max") == 0)
        return dice(2) == 0;
    /* Time that may have come to its end before it begins. */
    if (f->type == PROTO_INSTANT)
        return dice(16) == 15;
    if (strcmp(f->name, "region") == 0 || strcmp(f->name, "channel") == 0)
        return dice(4) != 3;
    return dice(256) < unusual / 3u + 10;
}

static void
write_fields(struct proto_writer *w, const struct proto_record *record)
{
    bool is_call = dice(3) == 2;

    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *f = &record->fields[i];

        if (f->type == PROTO_INLINE) {
            write_fields(w, f->record);
        } else if (wanted(record, f, is_call) && (f->required || budget > 0)) {
            budget -= budget > 0;
            pw_key(w, f->name);
            write_value(w, f);
        }
    }
}

static void
write_record(struct proto_writer *w, const struct proto_record *record)
{
    pw_map(w);
    write_fields(w, record);
    pw_end(w);
}

void
request_write(struct proto_writer *w, const struct proto_op *op, uint64_t id,
              const uint8_t *session, const uint8_t *cx, uint8_t how)
{
    unusual = how;
    budget = 64;
    pw_list(w);
    pw_uint(w, PROTO_VERSION);
    pw_uint(w, id);
    pw_bytes(w, session, 16);
    pw_bytes(w, cx, 16);
    pw_str(w, op->name);
    write_record(w, op->args);
    pw_end(w);
}
