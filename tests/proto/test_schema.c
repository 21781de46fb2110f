/* SPDX-License-Identifier: MIT */
/*
 * Tests generated from the schema: every operation, every field, each of its
 * bounds from both sides. A row that is added to the table is tested by that.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "notation.h"
#include "proto/sample.h"
#include "proto/wire.h"
#include "rules.h"

static struct proto_memory *memory;
static struct proto_writer message;
static const struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;

static void
begin(void)
{
    memory = proto_memory_new();
    proto_writer_init(&message);
}

static void
end(void)
{
    proto_writer_fini(&message);
    proto_memory_free(memory);
}

static int
decode(struct proto_request *out, struct proto_error *err)
{
    ck_assert(!message.failed);
    return proto_request_decode(message.data, message.size, &bounds, memory, out, err);
}

/* The args of a message, as text, sent and received. */
static void
same_args(const struct proto_request *request)
{
    msgpack_object sent;

    ck_assert_int_eq(wire_unpack(request->call.raw.data, request->call.raw.size, memory, &sent), 0);
    char *before = notation_print(&sent);
    char *after = encoded_again(&request->call);
    ck_assert_str_eq(after, before);
    free(before);
    free(after);
}

/* Every field of every operation arrives as it was sent, and can be sent on. */
START_TEST(full_request_of_every_operation_comes_back_as_sent)
{
    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        struct proto_request request;
        struct proto_error err;

        sample_request_full(&message, &proto_ops[i]);
        ck_assert_msg(decode(&request, &err) == 0, "%s", err.message);
        ck_assert_ptr_eq(request.call.op, &proto_ops[i]);
        ck_assert(request.has_id && request.has_session && request.call.has_cx);
        ck_assert_uint_eq(request.id, UINT64_MAX);
        ck_assert_uint_eq(request.session[15], 16);
        ck_assert_uint_eq(request.call.cx[0], 1);
        same_args(&request);
        proto_writer_clear(&message);
        proto_memory_clear(memory);
    }
}
END_TEST

/* What was not sent reads as what absence means, and is not sent on. */
START_TEST(absent_fields_read_as_their_presets)
{
    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        struct proto_request request;
        struct proto_error err;

        sample_request(&message, &proto_ops[i], NULL, SAMPLE_TYPICAL);
        ck_assert_msg(decode(&request, &err) == 0, "%s", err.message);
        ck_assert(!request.has_session && !request.call.has_cx);
        same_args(&request);
        proto_writer_clear(&message);
        proto_memory_clear(memory);
    }
}
END_TEST

struct visit {
    const struct proto_op *op;
    enum sample_kind kind;
    unsigned count;
};

static void
is_accepted(void *context, const struct proto_field *field)
{
    struct visit *visit = context;
    struct proto_request request;
    struct proto_request again;
    struct proto_error err;

    if (!sample_exists(field, visit->kind))
        return;
    sample_request(&message, visit->op, field, visit->kind);
    ck_assert_msg(decode(&request, &err) == 0, "%s", err.message);
    visit->count++;

    /* What it is encoded as decodes to what is encoded as the same. */
    char *first = encoded_again(&request.call);
    proto_writer_clear(&message);
    proto_request_encode(&message, 7, NULL, NULL, request.call.op, request.call.args);
    ck_assert_msg(decode(&again, &err) == 0, "%s", err.message);
    char *second = encoded_again(&again.call);
    ck_assert_str_eq(first, second);
    free(first);
    free(second);
    proto_writer_clear(&message);
    proto_memory_clear(memory);
}

static void
is_refused(void *context, const struct proto_field *field)
{
    struct visit *visit = context;
    struct proto_request request;
    struct proto_error err;
    size_t name_size = strlen(field->name);

    if (!sample_exists(field, visit->kind))
        return;
    sample_request(&message, visit->op, field, visit->kind);
    int rc = decode(&request, &err);
    ck_assert_msg(rc == -ASUP_EINVALID || rc == -ASUP_ETOOLARGE, "%s.%s: %d", visit->op->name,
                  field->name, rc);
    ck_assert_int_eq(rc, err.code);
    ck_assert_ptr_null(request.call.args);
    ck_assert_uint_eq(request.id, 7);
    visit->count++;

    /* The error names operation and field. */
    ck_assert_msg(strncmp(err.message, visit->op->name, strlen(visit->op->name)) == 0, "%s",
                  err.message);
    const char *at = strstr(err.field, field->name);
    ck_assert_msg(at && strchr(".[", at[name_size]) != NULL, "%s: field is %s", err.message,
                  err.field);
    ck_assert_msg(strstr(err.message, "must be") || strstr(err.message, "no resource limit"), "%s",
                  err.message);
    proto_writer_clear(&message);
    proto_memory_clear(memory);
}

static unsigned
visit_all(enum sample_kind kind, void (*each)(void *, const struct proto_field *))
{
    struct visit visit = {.kind = kind};

    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        visit.op = &proto_ops[i];
        sample_each_field(proto_ops[i].args, each, &visit);
    }
    return visit.count;
}

START_TEST(values_at_the_lower_bound_are_accepted)
{
    ck_assert_uint_gt(visit_all(SAMPLE_LEAST, is_accepted), 100);
}
END_TEST

START_TEST(values_at_the_upper_bound_are_accepted)
{
    ck_assert_uint_gt(visit_all(SAMPLE_MOST, is_accepted), 100);
}
END_TEST

START_TEST(values_below_the_lower_bound_are_refused)
{
    ck_assert_uint_gt(visit_all(SAMPLE_BELOW, is_refused), 100);
}
END_TEST

START_TEST(values_above_the_upper_bound_are_refused)
{
    ck_assert_uint_gt(visit_all(SAMPLE_ABOVE, is_refused), 100);
}
END_TEST

/* ---- Types --------------------------------------------------------------------------- */

/* One value of each of msgpack's types, by what it is called here. */
static const char *const values[] = {"true", "5", "-3", "1.5", "\"t5\"", "#3", "[]", "{}"};

/* Whether a field's type may be written as a value of that msgpack type. */
static bool
may_be(const struct proto_field *field, const char *value)
{
    switch (field->type) {
    case PROTO_UINT:
    case PROTO_DURATION:
    case PROTO_INSTANT:
        return value[0] == '5';
    case PROTO_INT:
        return value[0] == '5' || value[0] == '-';
    case PROTO_BOOL:
        return value[0] == 't';
    case PROTO_OSTEXT:
    case PROTO_DATA:
        return value[0] == '"' || value[0] == '#';
    case PROTO_BYTES:
        return value[0] == '#';
    case PROTO_TEXTS:
    case PROTO_PROCESSES:
    case PROTO_RECORDS:
    case PROTO_IDS:
    case PROTO_OPS:
        return value[0] == '[';
    case PROTO_ENV:
    case PROTO_RLIMITS:
    case PROTO_RECORD:
        return value[0] == '{';
    default:
        return value[0] == '"';
    }
}

START_TEST(values_of_another_type_are_refused)
{
    unsigned refused = 0;

    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        const struct proto_record *record = proto_ops[i].args;
        for (uint32_t f = 0; f < record->field_count; f++) {
            const struct proto_field *field = &record->fields[f];
            for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
                struct proto_request request;
                struct proto_error err;
                char args[128];
                if (field->type == PROTO_INLINE || may_be(field, values[v]))
                    continue;
                (void)snprintf(args, sizeof args, "{\"%s\": %s}", field->name, values[v]);
                int rc = request_from(proto_ops[i].name, args, memory, &request, &err);
                ck_assert_msg(rc == -ASUP_EINVALID, "%s %s: %d", proto_ops[i].name, args, rc);
                ck_assert_str_eq(err.field, field->name);
                ck_assert_ptr_nonnull(strstr(err.message, ", got "));
                refused++;
                proto_memory_clear(memory);
            }
        }
    }
    ck_assert_uint_gt(refused, 300);
}
END_TEST

START_TEST(required_fields_are_required)
{
    unsigned missing = 0;

    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        struct proto_request request;
        struct proto_error err;
        const struct proto_record *record = proto_ops[i].args;
        if (record->field_count == 0 || !record->fields[0].required)
            continue;
        const char *name = record->fields[0].name;
        ck_assert_int_eq(request_from(proto_ops[i].name, "{}", memory, &request, &err),
                         -ASUP_EINVALID);
        ck_assert_str_eq(err.field, name);
        ck_assert_ptr_nonnull(strstr(err.message, "is missing; it must be"));
        missing++;
    }
    ck_assert_uint_gt(missing, 10);
}
END_TEST

/* A client that checks first learns what the daemon would say. */
START_TEST(checking_arguments_says_what_the_daemon_would)
{
    struct proto_error err;
    union proto_args args;
    const struct proto_op *op = &proto_ops[PROTO_TASK_PROGRESS];

    proto_args_init(op, &args);
    args.task_progress.cost = UINT64_MAX;
    args.task_progress.task = 5;
    ck_assert_int_eq(proto_args_check(op, &args, &err), -ASUP_EINVALID);
    ck_assert_str_eq(err.message,
                     "task.progress: field \"cost\" must be a whole number and at most "
                     "9223372036854775807, got the number 18446744073709551615");
    args.task_progress.cost = 1;
    ck_assert_int_eq(proto_args_check(op, &args, &err), 0);
    args.task_progress.task = 0;
    ck_assert_int_eq(proto_args_check(op, &args, &err), -ASUP_EINVALID);
    ck_assert_str_eq(err.field, "task");
}
END_TEST

/* The table's rows agree with what parts of the daemon rely on. */
START_TEST(operations_are_what_their_flags_say)
{
    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        const struct proto_op *op = &proto_ops[i];
        ck_assert_uint_eq(op->id, i);
        ck_assert_ptr_eq(proto_op_find(op->name, strlen(op->name)), op);
        ck_assert_ptr_nonnull(proto_replies[i]);
        ck_assert_msg(!(op->flags & PROTO_ATOMIC) || op->flags & PROTO_BATCHED, "%s", op->name);
        ck_assert_msg(!(op->flags & PROTO_PARKS) || !(op->flags & PROTO_BATCHED), "%s", op->name);
    }
    ck_assert_ptr_null(proto_op_find("task", 4));
    ck_assert_ptr_null(proto_op_find("task.submit", 10));
}
END_TEST

static const struct rule rules[] = {
    RULE(full_request_of_every_operation_comes_back_as_sent),
    RULE(absent_fields_read_as_their_presets),
    RULE(values_at_the_lower_bound_are_accepted),
    RULE(values_at_the_upper_bound_are_accepted),
    RULE(values_below_the_lower_bound_are_refused),
    RULE(values_above_the_upper_bound_are_refused),
    RULE(values_of_another_type_are_refused),
    RULE(required_fields_are_required),
    RULE(checking_arguments_says_what_the_daemon_would),
    RULE(operations_are_what_their_flags_say),
};

RULES_MAIN("proto.schema", rules, begin, end)
