/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a request: decoding refuses with a code and a readable text, or
 * accepts; what was accepted is encoded, decoded and encoded to the same
 * bytes; and what both unpackers can follow they unpack alike.
 */
#include <msgpack/pack.h>
#include <msgpack/sbuffer.h>
#include <msgpack/unpack.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "proto/must.h"
#include "proto/text.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct proto_bounds bounds = {PROTO_SIZE_MAX, PROTO_DEPTH_MAX, PROTO_ELEMENT_MAX};

/* The refusal as a reply that a client can read. */
static void
check_refusal(const struct proto_request *request, const struct proto_error *err,
              struct proto_memory *m)
{
    struct proto_writer w;
    struct proto_reply reply;
    struct proto_error unused;

    must(err->code < 0 && err->message[0] != '\0');
    must(text_is_utf8(err->message, strlen(err->message)));
    must(!text_has_control(err->message, strlen(err->message)));
    must(text_is_utf8(err->field, strlen(err->field)));
    proto_writer_init(&w);
    proto_reply_error(&w, request->id, err);
    must(proto_reply_decode(w.data, w.size, &bounds, m, &reply, &unused) == 0);
    must(reply.id == request->id && reply.code == err->code);
    must(strcmp(reply.error.message, err->message) == 0);
    proto_writer_fini(&w);
}

/* An operation refused inside a batch has no arguments to encode. */
static bool
can_encode(const struct proto_call *call)
{
    if (call->op->id != PROTO_BATCH)
        return true;
    for (uint32_t i = 0; i < call->args->batch.count; i++) {
        if (call->args->batch.ops[i].code != 0)
            return false;
    }
    return true;
}

static void
check_accepted(const struct proto_request *request, struct proto_memory *m)
{
    const uint8_t *session = request->has_session ? request->session : NULL;
    const uint8_t *cx = request->call.has_cx ? request->call.cx : NULL;
    struct proto_writer first;
    struct proto_writer second;
    struct proto_request again;
    struct proto_error err;

    if (!can_encode(&request->call))
        return;
    proto_writer_init(&first);
    proto_writer_init(&second);
    proto_request_encode(&first, request->id, session, cx, request->call.op, request->call.args);
    must(proto_request_decode(first.data, first.size, &bounds, m, &again, &err) == 0);
    must(again.has_session == request->has_session && again.call.op == request->call.op);
    proto_request_encode(&second, again.id, session, cx, again.call.op, again.call.args);
    must(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    proto_writer_fini(&first);
    proto_writer_fini(&second);

    if (request->call.op->id == PROTO_TASK_SUBMIT) {
        struct proto_process process;
        must(proto_process_decode(request->call.raw, m, &process, &err) == 0);
        must(process.argv.count == request->call.args->submit.process.argv.count);
    }
}

/* Compared packed again, so that a NaN equals itself. */
static void
check_unpackers(const uint8_t *data, size_t size, struct proto_memory *m)
{
    msgpack_object ours;
    msgpack_object theirs;
    msgpack_zone zone;
    msgpack_sbuffer a;
    msgpack_sbuffer b;
    msgpack_packer packer;
    size_t offset = 0;

    if (wire_check(data, size, &bounds) != WIRE_OK)
        return;
    must(wire_unpack(data, size, m, &ours) == 0);
    must(msgpack_zone_init(&zone, 8192));
    must(msgpack_unpack((const char *)data, size, &offset, &zone, &theirs) ==
         MSGPACK_UNPACK_SUCCESS);
    must(offset == size);
    msgpack_sbuffer_init(&a);
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&packer, &a, msgpack_sbuffer_write);
    msgpack_pack_object(&packer, ours);
    msgpack_packer_init(&packer, &b, msgpack_sbuffer_write);
    msgpack_pack_object(&packer, theirs);
    must(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    msgpack_sbuffer_destroy(&a);
    msgpack_sbuffer_destroy(&b);
    msgpack_zone_destroy(&zone);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proto_memory *m = proto_memory_new();
    struct proto_request request;
    struct proto_error err;

    must(m);
    int rc = proto_request_decode(data, size, &bounds, m, &request, &err);
    if (rc < 0) {
        must(rc == err.code);
        check_refusal(&request, &err, m);
    } else {
        check_accepted(&request, m);
    }
    check_unpackers(data, size, m);
    proto_memory_free(m);
    return 0;
}
