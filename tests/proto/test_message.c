/* SPDX-License-Identifier: MIT */
/*
 * Bytes, writers, replies and memory: what decoding and encoding stand on.
 */
#include <check.h>
#include <msgpack/unpack.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "notation.h"
#include "proto/read.h"
#include "proto/sample.h"
#include "proto/wire.h"
#include "rules.h"

static struct proto_memory *memory;
static struct proto_writer writer;

static void
begin(void)
{
    memory = proto_memory_new();
    proto_writer_init(&writer);
}

static void
end(void)
{
    proto_writer_fini(&writer);
    proto_memory_free(memory);
}

/* ---- Bytes ------------------------------------------------------------------------------ */

/* Both unpackers agree on every message that msgpack-c can follow. */
static void
same_as_msgpack_c(const char *data, size_t size)
{
    const struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    msgpack_object ours;
    msgpack_object theirs;
    msgpack_zone zone;
    size_t offset = 0;

    ck_assert_int_eq(wire_check((const uint8_t *)data, size, &bounds), WIRE_OK);
    ck_assert_int_eq(wire_unpack((const uint8_t *)data, size, memory, &ours), 0);
    ck_assert(msgpack_zone_init(&zone, 8192));
    ck_assert_int_eq(msgpack_unpack(data, size, &offset, &zone, &theirs), MSGPACK_UNPACK_SUCCESS);
    ck_assert_uint_eq(offset, size);
    ck_assert(msgpack_object_equal(ours, theirs));
    msgpack_zone_destroy(&zone);
    proto_memory_clear(memory);
}

START_TEST(every_format_unpacks_as_msgpack_c_has_it)
{
    static const char *const formats[] = {
        "<00>",
        "<7f>",
        "<80>",
        "<81 a0 c0>",
        "<90>",
        "<91 c0>",
        "<a0>",
        "<a3 61 62 63>",
        "<bf> ",
        "<c0>",
        "<c2>",
        "<c3>",
        "<c4 00>",
        "<c4 02 01 02>",
        "<c5 00 01 09>",
        "<c6 00 00 00 01 09>",
        "<c7 01 05 09>",
        "<c8 00 01 05 09>",
        "<c9 00 00 00 01 05 09>",
        "<ca 3f c0 00 00>",
        "<cb bf f8 00 00 00 00 00 00>",
        "<cc ff>",
        "<cd ff fe>",
        "<ce ff fe fd fc>",
        "<cf ff fe fd fc fb fa f9 f8>",
        "<d0 80>",
        "<d0 7f>",
        "<d1 80 00>",
        "<d1 7f ff>",
        "<d2 80 00 00 00>",
        "<d2 7f ff ff ff>",
        "<d3 80 00 00 00 00 00 00 00>",
        "<d3 7f ff ff ff ff ff ff ff>",
        "<d4 05 09>",
        "<d5 05 09 09>",
        "<d6 05 1 2 3 4>",
        "<d7 ff 1 2 3 4 5 6 7 8>",
        "<d8 05 1 2 3 4 5 6 7 8 9 a b c d e f 10>",
        "<d9 01 61>",
        "<da 00 01 61>",
        "<db 00 00 00 01 61>",
        "<dc 00 01 c0>",
        "<dd 00 00 00 01 c0>",
        "<de 00 01 a0 c0>",
        "<df 00 00 00 01 a0 c0>",
        "<e0>",
        "<ff>",
        "[{\"a\": [1, -1, {}], nil: [[[]]]}, \"text\"*100, #300, \"x\"]",
    };

    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        proto_writer_clear(&writer);
        notation_write(&writer, formats[i]);
        if (writer.size == 1 && (uint8_t)writer.data[0] == 0xbf)
            for (int n = 0; n < 31; n++)
                pw_raw(&writer, "y", 1);
        same_as_msgpack_c(writer.data, writer.size);
    }
    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        proto_writer_clear(&writer);
        sample_request_full(&writer, &proto_ops[i]);
        same_as_msgpack_c(writer.data, writer.size);
    }
}
END_TEST

START_TEST(replies_may_nest_deeper_than_msgpack_c_unpacks)
{
    const struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    struct proto_reply reply;
    struct proto_error err;

    proto_reply_begin(&writer, 1, 0);
    for (int i = 0; i < 100; i++) {
        pw_map(&writer);
        pw_key(&writer, "child");
    }
    pw_uint(&writer, 42);
    for (int i = 0; i < 100; i++)
        pw_end(&writer);
    ck_assert_int_eq(proto_reply_decode(writer.data, writer.size, &bounds, memory, &reply, &err),
                     0);
    const msgpack_object *at = reply.body;
    for (int i = 0; i < 99; i++)
        at = proto_get(at, "child");
    ck_assert_uint_eq(proto_get_uint(at, "child", 0), 42);
}
END_TEST

/* ---- Writing ------------------------------------------------------------------------------ */

START_TEST(maps_and_lists_count_themselves)
{
    msgpack_object object;

    pw_map(&writer);
    pw_key(&writer, "empty");
    pw_list(&writer);
    pw_end(&writer);
    pw_key(&writer, "list");
    pw_list(&writer);
    for (unsigned i = 0; i < 3; i++) {
        pw_map(&writer);
        pw_key(&writer, "id");
        pw_id(&writer, ASUP_SORT_TASK, i);
        pw_end(&writer);
    }
    pw_time(&writer, 5);
    pw_time(&writer, ASUP_NEVER);
    pw_str(&writer, NULL);
    pw_bytes(&writer, "\0", 2);
    pw_int(&writer, -4);
    pw_bool(&writer, false);
    pw_end(&writer);
    pw_key_text(&writer, "last one", 4);
    pw_text(&writer, "text", 2);
    pw_end(&writer);
    ck_assert_int_eq(wire_unpack((uint8_t *)writer.data, writer.size, memory, &object), 0);
    char *text = notation_print(&object);
    ck_assert_str_eq(text, "{\"empty\": [], \"list\": [{\"id\": nil}, {\"id\": \"t1\"}, {\"id\": "
                           "\"t2\"}, 5, nil, nil, #2, -4, false], \"last\": \"te\"}");
    free(text);

    size_t size = 0;
    char *taken = proto_writer_take(&writer, &size);
    ck_assert_ptr_nonnull(taken);
    ck_assert_uint_gt(size, 0);
    ck_assert_ptr_null(writer.data);
    free(taken);
}
END_TEST

START_TEST(lists_may_have_very_many_values)
{
    msgpack_object object;

    pw_list(&writer);
    for (unsigned i = 0; i < 100000; i++)
        pw_uint(&writer, i);
    pw_end(&writer);
    ck_assert_int_eq(wire_unpack((uint8_t *)writer.data, writer.size, memory, &object), 0);
    ck_assert_uint_eq(proto_list_size(&object), 100000);
    ck_assert_uint_eq(proto_list_at(&object, 99999)->via.u64, 99999);
    ck_assert_ptr_null(proto_list_at(&object, 100000));
}
END_TEST

/* ---- Digests and kept arguments -------------------------------------------------------------- */

static uint64_t
digest_of(const char *message)
{
    struct proto_request request;
    struct proto_error err;

    ck_assert_int_eq(message_from(message, memory, &request, &err), 0);
    return request.call.digest;
}

START_TEST(R_IDM_1_digest_tells_a_repeat_from_another_request)
{
    uint64_t first = digest_of("[1, 7, #16, nil, \"task.cancel\", {\"task\": \"t1\"}]");

    ck_assert_uint_eq(first, digest_of("[1, 8, nil, nil, \"task.cancel\", {\"task\": \"t1\"}]"));
    ck_assert_uint_ne(first, digest_of("[1, 7, #16, nil, \"task.cancel\", {\"task\": \"t2\"}]"));
    ck_assert_uint_ne(first, digest_of("[1, 7, #16, nil, \"task.stat\", {\"task\": \"t1\"}]"));
    /* Asked again after a restart, it is asked by another task. */
    ck_assert_uint_eq(first, digest_of("[1, 7, #16, #16, \"task.cancel\", {\"task\": \"t1\"}]"));
    ck_assert_uint_ne(
        first, digest_of("[1, 7, #16, nil, \"task.cancel\", {\"task\": \"t1\", \"x\": nil}]"));
}
END_TEST

START_TEST(R_IDM_1_what_changes_something_takes_a_key)
{
    struct proto_request request;
    struct proto_error err;

    ck_assert_int_eq(message_from("[1, 7, nil, nil, \"task.cancel\", {\"task\": \"t1\", \"key\": "
                                  "\"once\", \"key_retention_ns\": 5}]",
                                  memory, &request, &err),
                     0);
    ck_assert_str_eq(request.call.key.key.data, "once");
    ck_assert_uint_eq(request.call.key.retention_ns, 5);
    ck_assert_int_eq(message_from("[1, 7, nil, nil, \"task.stat\", {\"task\": \"t1\", \"key\": 5}]",
                                  memory, &request, &err),
                     0);
    ck_assert_ptr_null(request.call.key.key.data);
    ck_assert_int_eq(message_from("[1, 7, nil, nil, \"task.cancel\", {\"task\": \"t1\", \"key\": "
                                  "\"\"}]",
                                  memory, &request, &err),
                     -ASUP_EINVALID);
    ck_assert_str_eq(err.field, "key");
}
END_TEST

START_TEST(kept_arguments_decode_again)
{
    struct proto_request request;
    struct proto_process process;
    struct proto_error err;

    ck_assert_int_eq(request_from("task.submit",
                                  "{\"argv\": [\"a\", \"b\"], \"region\": \"r1\", \"nice\": -5}",
                                  memory, &request, &err),
                     0);
    struct proto_bytes raw = request.call.args->submit.process.raw;
    ck_assert_ptr_eq(raw.data, request.call.raw.data);
    ck_assert_int_eq(proto_process_decode(raw, memory, &process, &err), 0);
    ck_assert_str_eq(process.argv.items[1].data, "b");
    ck_assert_int_eq(process.nice, -5);
    ck_assert_uint_eq(process.drain_ns, ASUP_NEVER);

    ck_assert_int_eq(request_from("region.open",
                                  "{\"finalizers\": [{\"argv\": [\"a\"]}, {\"argv\": [\"c\"]}]}",
                                  memory, &request, &err),
                     0);
    raw = request.call.args->region_open.finalizers.items[1].raw;
    ck_assert_int_eq(proto_process_decode(raw, memory, &process, &err), 0);
    ck_assert_str_eq(process.argv.items[0].data, "c");

    raw.size--;
    ck_assert_int_eq(proto_process_decode(raw, memory, &process, &err), -ASUP_EMALFORMED);
}
END_TEST

/* ---- Replies ----------------------------------------------------------------------------------
 */

static int
reply_from(const char *text, struct proto_reply *out, struct proto_error *err)
{
    const struct proto_bounds bounds = PROTO_REPLY_BOUNDS;

    proto_writer_clear(&writer);
    notation_write(&writer, text);
    return proto_reply_decode(writer.data, writer.size, &bounds, memory, out, err);
}

START_TEST(replies_carry_code_and_body)
{
    struct proto_reply reply;
    struct proto_error err;

    ck_assert_int_eq(reply_from("[1, 7, 0, {\"task\": \"t12\", \"n\": 5, \"i\": -5, \"b\": true, "
                                "\"s\": \"x\", \"d\": #3, \"nil\": nil}]",
                                &reply, &err),
                     0);
    ck_assert_int_eq(reply.code, 0);
    ck_assert_uint_eq(reply.id, 7);
    ck_assert_uint_eq(proto_get_ref(reply.body, "task", ASUP_SORT_TASK).id, 12);
    ck_assert_uint_eq(proto_get_ref(reply.body, "task", ASUP_SORT_NONE).id, 12);
    ck_assert_uint_eq(proto_get_ref(reply.body, "task", ASUP_SORT_REGION).id, 0);
    ck_assert_uint_eq(proto_get_uint(reply.body, "n", 1), 5);
    ck_assert_uint_eq(proto_get_uint(reply.body, "i", 1), 1);
    ck_assert_int_eq(proto_get_int(reply.body, "i", 1), -5);
    ck_assert_int_eq(proto_get_int(reply.body, "n", 1), 5);
    ck_assert(proto_get_bool(reply.body, "b", false));
    ck_assert_str_eq(proto_get_text(reply.body, "s"), "x");
    ck_assert_ptr_null(proto_get_text(reply.body, "b"));
    ck_assert_uint_eq(proto_get_bytes(reply.body, "d").size, 3);
    ck_assert_ptr_null(proto_get(reply.body, "nil"));
    ck_assert_ptr_null(proto_get(NULL, "nil"));
    ck_assert_uint_eq(proto_list_size(NULL), 0);
}
END_TEST

START_TEST(errors_come_back_as_they_were_sent)
{
    const struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    const struct proto_error sent = {.code = -ASUP_EGAP,
                                     .field = "since",
                                     .message = "too late",
                                     .hint = "begin anew",
                                     .limit = "events-kept",
                                     .has_oldest = true,
                                     .oldest = 99};
    struct proto_reply reply;
    struct proto_error err;

    proto_reply_error(&writer, 7, &sent);
    ck_assert_int_eq(proto_reply_decode(writer.data, writer.size, &bounds, memory, &reply, &err),
                     0);
    ck_assert_int_eq(reply.code, -ASUP_EGAP);
    ck_assert_str_eq(reply.error.message, sent.message);
    ck_assert_str_eq(reply.error.field, sent.field);
    ck_assert_str_eq(reply.error.hint, sent.hint);
    ck_assert_str_eq(reply.error.limit, sent.limit);
    ck_assert(reply.error.has_oldest);
    ck_assert_uint_eq(reply.error.oldest, 99);
    ck_assert_str_eq(proto_get_text(reply.body, "error"), "gap");

    /* A later daemon's code and a body that says nothing. */
    ck_assert_int_eq(reply_from("[1, 7, -999, {}]", &reply, &err), 0);
    ck_assert_int_eq(reply.code, -999);
    ck_assert_str_eq(reply.error.message, asup_error_text(-999));
}
END_TEST

START_TEST(replies_of_another_shape_are_malformed)
{
    static const char *const wrong[] = {"5",
                                        "[1, 7, 0]",
                                        "[1, 7, 0, []]",
                                        "[1, 7, 1, {}]",
                                        "[1, 7, nil, {}]",
                                        "[1, nil, 0, {}]",
                                        "[1, 7, -9223372036854775808, {}]",
                                        "[1, 7, 0, <c1>]"};
    struct proto_reply reply;
    struct proto_error err;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(reply_from(wrong[i], &reply, &err) == -ASUP_EMALFORMED, "%s", wrong[i]);
    ck_assert_int_eq(reply_from("[2, 7, 0, {}]", &reply, &err), -ASUP_EUNSUPPORTED);
}
END_TEST

/* R-OUT-3, R-CAN-1: an outcome carries its evidence, a reason its chain. */
START_TEST(R_OUT_3_outcomes_come_back_as_they_were_sent)
{
    const struct asup_reason root = {.key = {ASUP_CANCEL_DEADLINE, 5, 3},
                                     .origin_sort = ASUP_SORT_REGION,
                                     .message = "too late"};
    const struct asup_reason reason = {.key = {ASUP_CANCEL_PARENT_CANCELLED, 6, 4},
                                       .origin_sort = ASUP_SORT_REGION,
                                       .message = "",
                                       .cause = &root};
    const struct asup_outcome sent = {.key = {ASUP_CANCELLED, 9, 7},
                                      .origin_sort = ASUP_SORT_TASK,
                                      .forced = true,
                                      .exit_code = -1,
                                      .signal = 9,
                                      .reason = &reason,
                                      .wall_ns = 1,
                                      .cpu_ns = 2,
                                      .memory_peak = 3};
    msgpack_object object;
    struct asup_outcome got;

    pw_outcome(&writer, &sent, NULL);
    ck_assert_int_eq(wire_unpack((uint8_t *)writer.data, writer.size, memory, &object), 0);
    ck_assert_int_eq(proto_outcome_read(&object, memory, &got), 0);
    ck_assert_int_eq(asup_outcome_compare(&got.key, &sent.key), 0);
    ck_assert_int_eq(got.origin_sort, ASUP_SORT_TASK);
    ck_assert(got.forced);
    ck_assert_int_eq(got.exit_code, -1);
    ck_assert_int_eq(got.signal, 9);
    ck_assert_uint_eq(got.wall_ns + 10 * got.cpu_ns + 100 * got.memory_peak, 321);
    ck_assert_ptr_null(got.error);
    ck_assert_int_eq(asup_reason_compare(&got.reason->key, &reason.key), 0);
    ck_assert_int_eq(asup_reason_compare(&got.reason->cause->key, &root.key), 0);
    ck_assert_str_eq(got.reason->cause->message, "too late");
    ck_assert_ptr_null(got.reason->cause->cause);
}
END_TEST

START_TEST(start_errors_name_their_stage)
{
    const struct asup_outcome sent = {
        .key = {ASUP_ERR, 9, 7}, .exit_code = -1, .error = "No such file or directory"};
    const struct proto_start_error start_error = {.stage = "chdir", .error = 2};
    msgpack_object object;
    struct asup_outcome got;

    pw_outcome(&writer, &sent, &start_error);
    ck_assert_int_eq(wire_unpack((uint8_t *)writer.data, writer.size, memory, &object), 0);
    ck_assert_int_eq(proto_outcome_read(&object, memory, &got), 0);
    ck_assert_str_eq(got.error, "chdir: No such file or directory");
    ck_assert_int_eq(proto_get_int(proto_get(&object, "error"), "errno", 0), 2);
}
END_TEST

START_TEST(outcomes_that_make_no_sense_are_refused)
{
    static const char *const wrong[] = {
        "{}",
        "{\"outcome\": \"fine\"}",
        "{\"outcome\": \"ok\", \"exit_code\": 256}",
        "{\"outcome\": \"ok\", \"signal\": -1}",
        "{\"outcome\": \"cancelled\", \"reason\": {\"kind\": \"boredom\"}}",
        "{\"outcome\": \"cancelled\", \"reason\": {\"kind\": \"user\", \"cause\": 5}}"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        msgpack_object object;
        struct asup_outcome got;
        proto_writer_clear(&writer);
        notation_write(&writer, wrong[i]);
        ck_assert_int_eq(wire_unpack((uint8_t *)writer.data, writer.size, memory, &object), 0);
        ck_assert_msg(proto_outcome_read(&object, memory, &got) == -ASUP_EMALFORMED, "%s",
                      wrong[i]);
    }
}
END_TEST

START_TEST(long_error_texts_are_cut_between_characters)
{
    struct proto_error err;
    char long_text[sizeof err.message + 8];

    for (size_t i = 0; i + 2 < sizeof long_text; i += 2)
        memcpy(long_text + i, "\xc3\xa9", 3);
    proto_error_set(&err, -ASUP_EINVALID, "%s", long_text);
    ck_assert_uint_eq(strlen(err.message), sizeof err.message - 2);
    proto_error_set(&err, -ASUP_EINVALID, "x%s", long_text);
    ck_assert_uint_eq(strlen(err.message), sizeof err.message - 1);
}
END_TEST

/* ---- Memory -------------------------------------------------------------------------------------
 */

/* malloc() that fails from some call on (linked with --wrap). */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

static long allocations_left = -1; /* -1: without end */

static bool
may_allocate(void)
{
    if (allocations_left > 0)
        allocations_left--;
    return allocations_left != 0;
}

void *
__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *
__wrap_realloc(void *ptr, size_t size)
{
    return may_allocate() ? __real_realloc(ptr, size) : NULL;
}

START_TEST(exhausted_memory_is_an_error_at_every_place)
{
    const struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_writer requests[PROTO_OP_COUNT];
    unsigned refused = 0;

    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        proto_writer_init(&requests[i]);
        sample_request_full(&requests[i], &proto_ops[i]);
        int rc = -1;
        for (long budget = 1; rc != 0; budget++) {
            struct proto_memory *m = proto_memory_new();
            struct proto_request request;
            struct proto_error err;
            allocations_left = budget;
            rc = proto_request_decode(requests[i].data, requests[i].size, &bounds, m, &request,
                                      &err);
            allocations_left = -1;
            ck_assert_msg(rc == 0 || rc == -ASUP_ENOMEM, "%s", err.message);
            refused += rc != 0;
            proto_memory_free(m);
        }
        proto_writer_fini(&requests[i]);
    }
    ck_assert_uint_ge(refused, PROTO_OP_COUNT);

    /* A writer that found no memory says so, and survives being used on. */
    allocations_left = 2;
    pw_list(&writer);
    for (unsigned i = 0; i < 1000; i++)
        pw_str(&writer, "text");
    pw_end(&writer);
    allocations_left = -1;
    size_t size = 0;
    ck_assert(writer.failed);
    ck_assert_ptr_null(proto_writer_take(&writer, &size));
}
END_TEST

START_TEST(memory_can_be_used_again)
{
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 20000; size += 777) {
            char *piece = proto_memory_take(memory, size);
            ck_assert_ptr_nonnull(piece);
            ck_assert_uint_eq((uintptr_t)piece % 16, 0);
            memset(piece, 0xab, size);
        }
        proto_memory_clear(memory);
    }
    ck_assert_ptr_null(proto_memory_take(memory, SIZE_MAX));
}
END_TEST

static const struct rule rules[] = {
    RULE(every_format_unpacks_as_msgpack_c_has_it),
    RULE(replies_may_nest_deeper_than_msgpack_c_unpacks),
    RULE(maps_and_lists_count_themselves),
    RULE(lists_may_have_very_many_values),
    RULE(R_IDM_1_digest_tells_a_repeat_from_another_request),
    RULE(R_IDM_1_what_changes_something_takes_a_key),
    RULE(kept_arguments_decode_again),
    RULE(replies_carry_code_and_body),
    RULE(errors_come_back_as_they_were_sent),
    RULE(replies_of_another_shape_are_malformed),
    RULE(R_OUT_3_outcomes_come_back_as_they_were_sent),
    RULE(start_errors_name_their_stage),
    RULE(outcomes_that_make_no_sense_are_refused),
    RULE(long_error_texts_are_cut_between_characters),
    RULE(exhausted_memory_is_an_error_at_every_place),
    RULE(memory_can_be_used_again),
};

RULES_MAIN("proto.message", rules, begin, end)
