/* SPDX-License-Identifier: MIT */
/*
 * Requests that cannot be understood, or ask for what cannot be: each is
 * refused with a code and a text that says what is wrong, and nothing of it is
 * done.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "notation.h"
#include "proto/sample.h"
#include "rules.h"

static struct proto_memory *memory;
static struct proto_request request;
static struct proto_error error;

static void
begin(void)
{
    memory = proto_memory_new();
}

static void
end(void)
{
    proto_memory_free(memory);
}

/* A whole message is refused so. */
static void
message_refused(const char *message, int code, const char *text)
{
    int rc = message_from(message, memory, &request, &error);

    ck_assert_str_eq(error.message, text);
    ck_assert_msg(rc == -code, "%s: %s", message, asup_error_name(rc));
    ck_assert_int_eq(error.code, rc);
    ck_assert_ptr_null(request.call.args);
}

/* Arguments are refused so; the text comes after "op: ". */
static void
args_refused(const char *op, const char *args, int code, const char *text)
{
    int rc = request_from(op, args, memory, &request, &error);

    ck_assert_msg(strncmp(error.message, op, strlen(op)) == 0, "%s", error.message);
    ck_assert_str_eq(error.message + strlen(op) + 2, text);
    ck_assert_msg(rc == -code, "%s: %s", args, asup_error_name(rc));
    ck_assert_uint_eq(request.id, 7);
    ck_assert_ptr_null(request.call.args);
}

static void
args_accepted(const char *op, const char *args)
{
    ck_assert_msg(request_from(op, args, memory, &request, &error) == 0, "%s", error.message);
    ck_assert_ptr_nonnull(request.call.args);
}

static int
decode_bytes(const void *data, size_t size, const struct proto_bounds *bounds)
{
    return proto_request_decode(data, size, bounds, memory, &request, &error);
}

/* ---- Bytes -------------------------------------------------------------------------- */

START_TEST(messages_cut_short_anywhere_are_malformed)
{
    const struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_writer w;

    proto_writer_init(&w);
    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        proto_writer_clear(&w);
        sample_request_full(&w, &proto_ops[i]);
        for (size_t size = 0; size < w.size; size++) {
            /* A copy of its own, so that a byte read beyond it is seen. */
            void *cut = malloc(size + !size);
            memcpy(cut, w.data, size);
            ck_assert_int_eq(decode_bytes(cut, size, &bounds), -ASUP_EMALFORMED);
            ck_assert_str_eq(error.message, "the message ends inside a value");
            ck_assert_int_eq(request.has_id, size >= 11);
            free(cut);
        }
        ck_assert_int_eq(decode_bytes(w.data, w.size, &bounds), 0);
        proto_memory_clear(memory);
    }
    proto_writer_fini(&w);
}
END_TEST

START_TEST(counts_beyond_the_message_are_malformed_and_allocate_nothing)
{
    message_refused("[1, 7, nil, nil, \"why\", <dd ff ff ff ff>]", ASUP_EMALFORMED,
                    "the message ends inside a value");
    message_refused("[1, 7, nil, nil, \"why\", <df 00 00 0f ff>]", ASUP_EMALFORMED,
                    "the message ends inside a value");
    message_refused("[1, 7, nil, nil, \"why\", <db ff ff ff ff>]", ASUP_EMALFORMED,
                    "the message ends inside a value");
    message_refused("[1, 7, nil, nil, \"why\", <c9 ff ff ff ff 01>]", ASUP_EMALFORMED,
                    "the message ends inside a value");
    message_refused("<dc ff ff>", ASUP_EMALFORMED, "the message ends inside a value");
    message_refused("[1, 7, nil, nil, \"why\", <c1>]", ASUP_EMALFORMED,
                    "the message holds the byte 0xc1, which is not msgpack");
    ck_assert_uint_eq(request.id, 7);
}
END_TEST

START_TEST(nesting_is_bounded)
{
    /* The envelope and the arguments are two levels, x and its lists 14. */
    args_accepted("daemon.status", "{\"x\": [[[[[[[[[[[[[[]]]]]]]]]]]]]]}");
    message_refused("[1, 7, nil, nil, \"daemon.status\", {\"x\": [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}]",
                    ASUP_EMALFORMED, "the message nests deeper than 16 maps and lists");
    ck_assert_uint_eq(request.id, 7);

    /* A hundred thousand levels cost nothing either. */
    const struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    uint8_t *deep = malloc(100000);
    memset(deep, 0x91, 100000);
    ck_assert_int_eq(decode_bytes(deep, 100000, &bounds), -ASUP_EMALFORMED);
    free(deep);
}
END_TEST

START_TEST(size_is_bounded_and_the_answer_still_has_the_id)
{
    struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_writer w;

    proto_writer_init(&w);
    notation_write(&w, "[1, 7, nil, nil, \"daemon.status\", {\"x\": \"a\"*2000}]");
    bounds.size_max = w.size;
    ck_assert_int_eq(decode_bytes(w.data, w.size, &bounds), 0);
    bounds.size_max = w.size - 1;
    ck_assert_int_eq(decode_bytes(w.data, w.size, &bounds), -ASUP_ETOOLARGE);
    ck_assert_uint_eq(request.id, 7);
    ck_assert_str_eq(error.limit, "message-size");
    ck_assert_ptr_nonnull(strstr(error.message, "the limit is"));
    proto_writer_fini(&w);
}
END_TEST

START_TEST(values_in_a_message_are_counted)
{
    struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_writer w;

    proto_writer_init(&w);
    notation_write(&w, "[1, 7, nil, nil, \"daemon.status\", {\"x\": [1, 2, 3]}]");
    bounds.element_max = 1 + 6 + 2 + 3;
    ck_assert_int_eq(decode_bytes(w.data, w.size, &bounds), 0);
    bounds.element_max--;
    ck_assert_int_eq(decode_bytes(w.data, w.size, &bounds), -ASUP_ETOOLARGE);
    ck_assert_str_eq(error.limit, "message-values");
    proto_writer_fini(&w);
}
END_TEST

START_TEST(bytes_after_the_message_are_malformed)
{
    const struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_writer w;

    proto_writer_init(&w);
    notation_write(&w, "[1, 7, nil, nil, \"daemon.status\", {}]");
    notation_write(&w, "nil");
    ck_assert_int_eq(decode_bytes(w.data, w.size, &bounds), -ASUP_EMALFORMED);
    ck_assert_str_eq(error.message, "bytes follow after the message's value");
    proto_writer_fini(&w);
}
END_TEST

/* ---- Envelopes ------------------------------------------------------------------------ */

START_TEST(envelopes_of_another_shape_are_malformed)
{
    const char *shape = "the message must be a list [1, id, session, cx, op, args]";

    message_refused("{}", ASUP_EMALFORMED, shape);
    message_refused("5", ASUP_EMALFORMED, shape);
    message_refused("[]", ASUP_EMALFORMED, shape);
    message_refused("[1, 7, nil, nil, \"daemon.status\"]", ASUP_EMALFORMED, shape);
    ck_assert_uint_eq(request.id, 7);
    message_refused("[1, 7, nil, nil, \"daemon.status\", {}, 1]", ASUP_EMALFORMED, shape);
    message_refused("[\"1\", 7, nil, nil, \"daemon.status\", {}]", ASUP_EMALFORMED,
                    "the protocol version must be a whole number");
    message_refused("[1, -7, nil, nil, \"daemon.status\", {}]", ASUP_EMALFORMED,
                    "the request id must be a whole number");
    ck_assert(!request.has_id);
    message_refused("[1, 7, #15, nil, \"daemon.status\", {}]", ASUP_EMALFORMED,
                    "the session must be nil or 16 bytes of binary data");
    message_refused("[1, 7, \"s1\", nil, \"daemon.status\", {}]", ASUP_EMALFORMED,
                    "the session must be nil or 16 bytes of binary data");
    message_refused("[1, 7, nil, #17, \"daemon.status\", {}]", ASUP_EMALFORMED,
                    "the capability must be nil or 16 bytes of binary data");
    message_refused("[1, 7, nil, nil, 5, {}]", ASUP_EMALFORMED, "the operation must be text");
    message_refused("[1, 7, nil, nil, \"daemon.status\", []]", ASUP_EMALFORMED,
                    "daemon.status: the arguments must be a map");
    message_refused("[1, 7, nil, nil, \"daemon.status\", {5: 5}]", ASUP_EMALFORMED,
                    "daemon.status: the arguments have a key that is not text");
}
END_TEST

START_TEST(another_major_version_is_refused_with_those_that_are_spoken)
{
    message_refused("[2, 7, nil, nil, \"daemon.status\", {}]", ASUP_EUNSUPPORTED,
                    "protocol version 2 is not spoken here, only version 1");
    ck_assert_uint_eq(request.id, 7);

    /* Whatever shape that version's messages have. */
    message_refused("[3, 9, {\"new\": true}]", ASUP_EUNSUPPORTED,
                    "protocol version 3 is not spoken here, only version 1");
    ck_assert_uint_eq(request.id, 9);

    struct proto_writer w;
    struct proto_reply reply;
    const struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    struct proto_error unused;
    proto_writer_init(&w);
    proto_reply_error(&w, request.id, &error);
    ck_assert_int_eq(proto_reply_decode(w.data, w.size, &bounds, memory, &reply, &unused), 0);
    char *body = notation_print(reply.body);
    ck_assert_str_eq(body, "{\"error\": \"unsupported\", \"message\": \"protocol version 3 is not "
                           "spoken here, only version 1\", \"field\": \"version\", \"versions\": "
                           "[1]}");
    free(body);
    proto_writer_fini(&w);
}
END_TEST

START_TEST(unknown_operations_are_unsupported_with_a_guess)
{
    message_refused("[1, 7, nil, nil, \"task.sumbit\", {}]", ASUP_EUNSUPPORTED,
                    "there is no operation \"task.sumbit\"");
    ck_assert_str_eq(error.hint, "did you mean \"task.submit\"?");
    ck_assert_uint_eq(request.id, 7);
    message_refused("[1, 7, nil, nil, \"horses\", {}]", ASUP_EUNSUPPORTED,
                    "there is no operation \"horses\"");
    ck_assert_str_eq(error.hint, "");
    message_refused("[1, 7, nil, nil, \"\", {}]", ASUP_EUNSUPPORTED, "there is no operation \"\"");
    message_refused("[1, 7, nil, nil, \"x\"*500, {}]", ASUP_EUNSUPPORTED,
                    "there is no operation \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"...");
    message_refused("[1, 7, nil, nil, <a3 1b 5b ff>, {}]", ASUP_EUNSUPPORTED,
                    "there is no operation \"?[?\"");
}
END_TEST

/* ---- Arguments ------------------------------------------------------------------------- */

START_TEST(unknown_keys_are_ignored_and_nil_is_absence)
{
    args_accepted("region.open", "{\"horses\": [1, {\"a\": nil}], \"name\": nil, \"drain_ns\": 5}");
    ck_assert_uint_eq(request.call.args->region_open.drain_ns, 5);
    ck_assert_ptr_null(request.call.args->region_open.name.data);
    args_refused("task.stat", "{\"task\": nil}", ASUP_EINVALID,
                 "field \"task\" must be the id of a task such as \"t12\", got nil");
}
END_TEST

/* One that goes on behind a NUL where the name ends is another key, and unknown. */
START_TEST(a_key_with_a_nul_in_it_is_no_known_one)
{
    /* "soft" and NUL and "x..." : as true as it may be, it says nothing. */
    args_accepted("region.open", "{<a6 73 6f 66 74 00 78>: true, \"drain_ns\": 5}");
    ck_assert(!request.call.args->region_open.soft);
    args_accepted("region.open", "{<a5 73 6f 66 74 00>: true}");
    ck_assert(!request.call.args->region_open.soft);
    args_accepted("region.open", "{<b8 73 6f 66 74 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
                                 "00 00 00 00>: true}");
    ck_assert(!request.call.args->region_open.soft);
}
END_TEST

START_TEST(keys_that_come_twice_are_malformed)
{
    args_refused("region.open", "{\"soft\": true, \"name\": \"a\", \"soft\": true}",
                 ASUP_EMALFORMED, "field \"soft\" comes twice");
    args_refused("region.open", "{\"soft\": nil, \"soft\": true}", ASUP_EMALFORMED,
                 "field \"soft\" comes twice");
    args_refused("task.submit",
                 "{\"region\": \"r1\", \"argv\": [\"x\"], \"env\": {\"B\": \"1\", \"A\": \"2\", "
                 "\"B\": \"3\"}}",
                 ASUP_EMALFORMED, "field \"env.B\" comes twice");
    args_refused("task.submit",
                 "{\"region\": \"r1\", \"argv\": [\"x\"], \"rlimits\": {\"core\": 1, \"core\": 2}}",
                 ASUP_EMALFORMED, "field \"rlimits.core\" comes twice");
    args_refused(
        "task.submit",
        "{\"region\": \"r1\", \"argv\": [\"x\"], \"budget\": {\"polls\": 1, \"polls\": 2}}",
        ASUP_EMALFORMED, "field \"budget.polls\" comes twice");
}
END_TEST

START_TEST(ids_of_another_sort_and_ids_that_are_none_are_refused)
{
    const char *task = "field \"task\" must be the id of a task such as \"t12\", got ";
    static const char *const none[] = {"\"t0\"",  "\"t\"",   "\"t01\"",
                                       "\"t-1\"", "\"t1 \"", "\"T1\"",
                                       "\"t1x\"", "\"12\"",  "\"t18446744073709551616\""};
    char text[128];

    args_refused("task.stat", "{\"task\": \"r12\"}", ASUP_EINVALID,
                 "field \"task\" must be the id of a task such as \"t12\", got the id of a region, "
                 "\"r12\"");
    args_refused(
        "task.stat", "{\"task\": \"s3\"}", ASUP_EINVALID,
        "field \"task\" must be the id of a task such as \"t12\", got the id of a session, "
        "\"s3\"");
    args_refused("task.stat", "{\"task\": 12}", ASUP_EINVALID,
                 "field \"task\" must be the id of a task such as \"t12\", got the number 12");
    args_refused("region.stat", "{\"region\": \"t12\"}", ASUP_EINVALID,
                 "field \"region\" must be a region: an id such as \"r12\" or a path such as "
                 "\"/web/api\", got the id of a task, \"t12\"");
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        char args[64];
        (void)snprintf(args, sizeof args, "{\"task\": %s}", none[i]);
        (void)snprintf(text, sizeof text, "%s%s", task, none[i]);
        args_refused("task.stat", args, ASUP_EINVALID, text);
    }
}
END_TEST

START_TEST(regions_are_ids_or_absolute_paths)
{
    static const char *const wrong[] = {"",      "web",     "//",   "/web/", "/web//api",
                                        "/.",    "/web/..", "r1/",  "r01",   "/\n",
                                        "./web", "/\xc2",   "/\x7f"};

    args_accepted("region.stat", "{\"region\": \"/\"}");
    args_accepted("region.stat", "{\"region\": \"/web/api.2/...\"}");
    ck_assert_uint_eq(request.call.args->region_stat.region.ref.id, 0);
    ck_assert_str_eq(request.call.args->region_stat.region.path.data, "/web/api.2/...");
    args_accepted("region.stat", "{\"region\": \"r12\"}");
    ck_assert_uint_eq(request.call.args->region_stat.region.ref.id, 12);
    ck_assert_int_eq(request.call.args->region_stat.region.ref.sort, ASUP_SORT_REGION);
    ck_assert_ptr_null(request.call.args->region_stat.region.path.data);
    args_accepted("why", "{\"id\": \"s3\"}");
    args_accepted("why", "{\"id\": \"/web\"}");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char args[64];
        (void)snprintf(args, sizeof args, "{\"region\": \"%s\"}", wrong[i]);
        ck_assert_msg(request_from("region.stat", args, memory, &request, &error) == -ASUP_EINVALID,
                      "%s", args);
    }
}
END_TEST

START_TEST(names_are_one_line_of_text_without_a_slash)
{
    const char *name = "field \"name\" must be 1 to 128 bytes of UTF-8 text without \"/\" or "
                       "control characters, got ";
    static const struct {
        const char *args, *got;
        int code;
    } rows[] = {
        {"{\"name\": \"\"}", "empty text", ASUP_EINVALID},
        {"{\"name\": \"a/b\"}", "\"a/b\"", ASUP_EINVALID},
        {"{\"name\": \"a\nb\"}", "\"a?b\"", ASUP_EINVALID},
        {"{\"name\": \"\x7f\"}", "\"?\"", ASUP_EINVALID},
        {"{\"name\": \"\xc2\x85\"}", "\"?\"", ASUP_EINVALID},
        {"{\"name\": \"\xff\"}", "\"?\"", ASUP_EINVALID},
        {"{\"name\": \"\xc0\xaf\"}", "\"??\"", ASUP_EINVALID},
        {"{\"name\": \"\xed\xa0\x80\"}", "\"???\"", ASUP_EINVALID},
        {"{\"name\": \"\xf4\x90\x80\x80\"}", "\"????\"", ASUP_EINVALID},
        {"{\"name\": \".\"}", "\".\"", ASUP_EINVALID},
        {"{\"name\": \"..\"}", "\"..\"", ASUP_EINVALID},
        {"{\"name\": b\"web\"}", "3 bytes of binary data", ASUP_EINVALID},
        {"{\"name\": \"a\"*129}", "text of 129 bytes", ASUP_ETOOLARGE},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "%s%s", name, rows[i].got);
        args_refused("region.open", rows[i].args, rows[i].code, text);
    }
    args_accepted("region.open", "{\"name\": \"...\"}");
    args_accepted("region.open", "{\"name\": \"Straße \xe2\x82\xac \xf0\x9f\x90\x8e\"}");
}
END_TEST

START_TEST(programs_and_their_strings)
{
    const char *op = "task.submit";

    args_refused(op, "{\"region\": \"r1\", \"argv\": 5}", ASUP_EINVALID,
                 "field \"argv\" must be a list of 1 to 4096 strings, got the number 5");
    args_refused(op, "{\"region\": \"r1\", \"argv\": []}", ASUP_EINVALID,
                 "field \"argv\" must be a list of 1 to 4096 strings, got a list of 0");
    args_refused(op, "{\"region\": \"r1\"}", ASUP_EINVALID,
                 "field \"argv\" is missing; it must be a list of 1 to 4096 strings");
    args_refused(op, "{\"argv\": [\"true\"]}", ASUP_EINVALID,
                 "field \"region\" is missing; it must be a region: an id such as \"r12\" or a "
                 "path such as \"/web/api\"");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"\"]}", ASUP_EINVALID,
                 "field \"argv[0]\" must name a program, got empty text");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\", \"y\", true]}", ASUP_EINVALID,
                 "field \"argv[2]\" must be a string of at most 131071 bytes without NUL, got "
                 "true");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\", #1]}", ASUP_EINVALID,
                 "field \"argv[1]\" must be a string of at most 131071 bytes without NUL, got 1 "
                 "bytes of binary data");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\", \"a\"*131072]}", ASUP_ETOOLARGE,
                 "field \"argv[1]\" must be a string of at most 131071 bytes without NUL, got "
                 "text of 131072 bytes");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\"], \"env\": {\"A=B\": \"c\"}}",
                 ASUP_EINVALID,
                 "field \"env\" has a name that is no string of 1 to 131071 bytes without \"=\" "
                 "and NUL");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\"], \"env\": {\"A\": 5}}", ASUP_EINVALID,
                 "field \"env.A\" must be a string of at most 131071 bytes without NUL, got the "
                 "number 5");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\"], \"umask\": 512}", ASUP_EINVALID,
                 "field \"umask\" must be a whole number from 0 to 511, got the number 512");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\"], \"nice\": -21}", ASUP_EINVALID,
                 "field \"nice\" must be a whole number from -20 to 19, got the number -21");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\"], \"rlimits\": {\"files\": 5}}",
                 ASUP_EINVALID,
                 "field \"rlimits\" has a name that is no resource limit; they are called as in "
                 "setrlimit(2), in lower case, such as \"nofile\"");
    args_refused(op, "{\"region\": \"r1\", \"argv\": [\"x\"], \"rlimits\": {\"core\": [5, 4]}}",
                 ASUP_EINVALID,
                 "field \"rlimits.core\" must be a number or [soft, hard], soft not above hard; "
                 "2^64-1 means no limit");
    args_refused("region.open",
                 "{\"finalizers\": [{\"argv\": [\"x\"]}, {\"argv\": [\"x\"], \"budget\": "
                 "{\"priority\": 256}}]}",
                 ASUP_EINVALID,
                 "field \"finalizers[1].budget.priority\" must be a whole number from 1 to 255, "
                 "got the number 256");
    ck_assert_str_eq(error.field, "finalizers[1].budget.priority");
}
END_TEST

START_TEST(strings_may_be_any_bytes_and_end_in_nul)
{
    args_accepted("task.submit",
                  "{\"region\": \"/\", \"argv\": [<c4 02 2f ff>, \"x\"], \"cwd\": <c4 01 ff>, "
                  "\"env\": {\"Z\": <c4 01 fe>, \"A\": \"\"}, \"rlimits\": {\"nofile\": "
                  "18446744073709551615}}");
    const struct proto_process *process = &request.call.args->submit.process;
    ck_assert_str_eq(process->argv.items[0].data, "/\xff");
    ck_assert_str_eq(process->argv.items[1].data, "x");
    ck_assert_str_eq(process->cwd.data, "\xff");
    ck_assert_str_eq(process->env.items[0].name.data, "A");
    ck_assert_str_eq(process->env.items[0].value.data, "");
    ck_assert_str_eq(process->env.items[1].value.data, "\xfe");
    ck_assert_uint_eq(process->rlimits.items[0].hard, UINT64_MAX);
}
END_TEST

/* ---- Batches ------------------------------------------------------------------------------ */

START_TEST(what_is_wrong_with_one_operation_stays_with_it)
{
    args_accepted("batch", "{\"ops\": [[nil, \"task.cancel\", {\"task\": \"t1\"}], [nil, "
                           "\"task.cancel\", {\"task\": \"r1\"}], [nil, \"horses\", {}], [nil, "
                           "\"batch\", {\"ops\": []}], [nil, \"task.wait\", {\"task\": \"t1\"}]]}");
    const struct args_batch *batch = &request.call.args->batch;
    ck_assert_uint_eq(batch->count, 5);
    ck_assert_int_eq(batch->ops[0].code, 0);
    ck_assert_uint_eq(batch->ops[0].args->task_cancel.task, 1);
    ck_assert_int_eq(batch->ops[1].code, -ASUP_EINVALID);
    ck_assert_str_eq(batch->ops[1].error->message,
                     "task.cancel: field \"task\" must be the id of a task such as \"t12\", got "
                     "the id of a region, \"r1\"");
    ck_assert_int_eq(batch->ops[2].code, -ASUP_EUNSUPPORTED);
    ck_assert_ptr_null(batch->ops[2].op);
    ck_assert_int_eq(batch->ops[3].code, -ASUP_EUNSUPPORTED);
    ck_assert_str_eq(batch->ops[3].error->message, "a batch may not hold a batch");
    ck_assert_int_eq(batch->ops[4].code, -ASUP_EUNSUPPORTED);
    ck_assert_str_eq(batch->ops[4].error->message, "task.wait may not stand in a batch");
    ck_assert_ptr_null(batch->ops[4].args);
}
END_TEST

START_TEST(atomic_batches_hold_admissions_only)
{
    args_accepted("batch", "{\"ops\": [[#16, \"task.stat\", {\"task\": \"t1\"}], [nil, "
                           "\"region.open\", {}]], \"atomic\": true}");
    const struct args_batch *batch = &request.call.args->batch;
    ck_assert(batch->atomic);
    ck_assert(batch->ops[0].has_cx && !batch->ops[1].has_cx);
    ck_assert_int_eq(batch->ops[0].code, -ASUP_EUNSUPPORTED);
    ck_assert_str_eq(batch->ops[0].error->message, "task.stat may not stand in an atomic batch");
    ck_assert_int_eq(batch->ops[1].code, 0);
}
END_TEST

START_TEST(batches_of_another_shape_are_malformed)
{
    args_refused("batch", "{\"ops\": [5]}", ASUP_EMALFORMED,
                 "field \"ops[0]\" must be [cx|nil, op, args]");
    args_refused("batch", "{\"ops\": [[nil, \"region.open\"]]}", ASUP_EMALFORMED,
                 "field \"ops[0]\" must be [cx|nil, op, args]");
    args_refused("batch", "{\"ops\": []}", ASUP_EINVALID,
                 "field \"ops\" must be a list of 1 to 1024 operations, got a list of 0");
    args_accepted("batch", "{\"ops\": [[#3, \"region.open\", {}], [nil, \"region.open\", []]]}");
    ck_assert_int_eq(request.call.args->batch.ops[0].code, -ASUP_EMALFORMED);
    ck_assert_int_eq(request.call.args->batch.ops[1].code, -ASUP_EMALFORMED);
}
END_TEST

static const struct rule rules[] = {
    RULE(messages_cut_short_anywhere_are_malformed),
    RULE(counts_beyond_the_message_are_malformed_and_allocate_nothing),
    RULE(nesting_is_bounded),
    RULE(size_is_bounded_and_the_answer_still_has_the_id),
    RULE(values_in_a_message_are_counted),
    RULE(bytes_after_the_message_are_malformed),
    RULE(envelopes_of_another_shape_are_malformed),
    RULE(another_major_version_is_refused_with_those_that_are_spoken),
    RULE(unknown_operations_are_unsupported_with_a_guess),
    RULE(unknown_keys_are_ignored_and_nil_is_absence),
    RULE(a_key_with_a_nul_in_it_is_no_known_one),
    RULE(keys_that_come_twice_are_malformed),
    RULE(ids_of_another_sort_and_ids_that_are_none_are_refused),
    RULE(regions_are_ids_or_absolute_paths),
    RULE(names_are_one_line_of_text_without_a_slash),
    RULE(programs_and_their_strings),
    RULE(strings_may_be_any_bytes_and_end_in_nul),
    RULE(what_is_wrong_with_one_operation_stays_with_it),
    RULE(atomic_batches_hold_admissions_only),
    RULE(batches_of_another_shape_are_malformed),
};

RULES_MAIN("proto.malformed", rules, begin, end)
