/* SPDX-License-Identifier: MIT */
/* Envelopes: requests and replies as whole messages. */
#include "message.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "asupersync/values.h"
#include "decode.h"
#include "must.h"
#include "read.h"
#include "text.h"
#include "wire.h"

#define REQUEST_PARTS 6
#define REPLY_PARTS 4

/* ---- Envelopes ------------------------------------------------------------------------ */

/* What is readable of [version, id, ...] in bytes that may be anything. */
struct envelope {
    bool has_version, has_id;
    uint64_t version, id;
    size_t rest; /* where the part after the id begins, when has_id */
};

static void
envelope_read(const uint8_t *data, size_t size, struct envelope *out)
{
    struct wire_head head;
    size_t offset = 0;

    *out = (struct envelope){0};
    if (wire_head(data, size, &offset, &head) != WIRE_OK || head.type != MSGPACK_OBJECT_ARRAY ||
        head.u.count < 2)
        return;
    if (wire_head(data, size, &offset, &head) != WIRE_OK ||
        head.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return;
    out->has_version = true;
    out->version = head.u.u64;
    if (wire_head(data, size, &offset, &head) != WIRE_OK ||
        head.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return;
    out->has_id = true;
    out->id = head.u.u64;
    out->rest = offset;
}

/* Everything that can be said without knowing what the message asks for. */
static int
envelope_check(const uint8_t *data, size_t size, const struct proto_bounds *bounds,
               const struct envelope *envelope, struct proto_error *err)
{
    if (size > bounds->size_max) {
        proto_error_set(err, -ASUP_ETOOLARGE, "the message has %zu bytes; the limit is %zu", size,
                        bounds->size_max);
        memcpy(err->limit, "message-size", sizeof "message-size");
        return err->code;
    }
    if (envelope->has_version && envelope->version != PROTO_VERSION) {
        proto_error_set(err, -ASUP_EUNSUPPORTED,
                        "protocol version %" PRIu64 " is not spoken here, only version %d",
                        envelope->version, PROTO_VERSION);
        memcpy(err->field, "version", sizeof "version");
        return err->code;
    }
    enum wire_result result = wire_check(data, size, bounds);
    return result == WIRE_OK ? 0 : wire_error(result, bounds, err);
}

/* Unpack a checked message that must be a list of `parts`. */
static int
envelope_unpack(const uint8_t *data, size_t size, uint32_t parts, const char *shape,
                const struct envelope *envelope, struct proto_memory *m, const msgpack_object **out,
                struct proto_error *err)
{
    msgpack_object message;

    if (wire_unpack(data, size, m, &message) < 0)
        return proto_error_set(err, -ASUP_ENOMEM, "no memory for a message of %zu bytes", size);
    if (message.type != MSGPACK_OBJECT_ARRAY || message.via.array.size != parts)
        return proto_error_set(err, -ASUP_EMALFORMED, "the message must be a list %s", shape);
    if (!envelope->has_version)
        return proto_error_set(err, -ASUP_EMALFORMED,
                               "the protocol version must be a whole number");
    if (!envelope->has_id)
        return proto_error_set(err, -ASUP_EMALFORMED, "the request id must be a whole number");
    *out = message.via.array.ptr;
    return 0;
}

/* ---- Requests ---------------------------------------------------------------------------- */

/* Tells apart requests that came under one id. Not against an adversary, who
 * could only confuse himself. */
static uint64_t
digest(const uint8_t *data, size_t size)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ size;

    while (size > 0) {
        uint64_t word = 0;
        size_t part = size < sizeof word ? size : sizeof word;
        memcpy(&word, data, part);
        hash ^= le64toh(word) * 0xff51afd7ed558ccdu;
        hash = (hash << 29 | hash >> 35) * 0xc4ceb9fe1a85ec53u;
        data += part;
        size -= part;
    }
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ hash >> 32;
}

uint64_t
call_digest(const struct proto_op *op, struct proto_bytes raw)
{
    uint64_t name = digest((const uint8_t *)op->name, strlen(op->name));

    return digest(raw.data, raw.size) ^ (name << 1 | name >> 63);
}

/* The encoded arguments, which end the message; and the digest of these and the
 * operation. Who asks, and with which capability, is no part of it: what is
 * asked again after a restart is asked by another task. */
static int
request_keep(const uint8_t *data, size_t size, size_t offset, struct proto_memory *m,
             struct proto_request *out)
{
    const struct proto_bounds bounds = PROTO_REPLY_BOUNDS; /* checked before */

    must(wire_skip(data, size, &offset, &bounds) == WIRE_OK); /* session */
    must(wire_skip(data, size, &offset, &bounds) == WIRE_OK); /* cx */
    must(wire_skip(data, size, &offset, &bounds) == WIRE_OK); /* op */
    void *copy = proto_memory_take(m, size - offset);
    if (!copy)
        return -ASUP_ENOMEM;
    memcpy(copy, data + offset, size - offset);
    out->call.raw = (struct proto_bytes){copy, size - offset};
    out->call.digest = call_digest(out->call.op, out->call.raw);
    return 0;
}

int
proto_request_decode(const void *data, size_t size, const struct proto_bounds *bounds,
                     struct proto_memory *m, struct proto_request *out, struct proto_error *err)
{
    struct envelope envelope;
    const msgpack_object *part = NULL;

    memset(out, 0, sizeof *out);
    envelope_read(data, size, &envelope);
    out->has_id = envelope.has_id;
    out->id = envelope.id;
    int rc = envelope_check(data, size, bounds, &envelope, err);
    if (rc == 0)
        rc = envelope_unpack(data, size, REQUEST_PARTS, "[1, id, session, cx, op, args]", &envelope,
                             m, &part, err);
    if (rc < 0)
        return rc;

    if (!token_decode(&part[2], &out->has_session, out->session))
        return proto_error_set(err, -ASUP_EMALFORMED,
                               "the session must be nil or 16 bytes of binary data");
    if (!token_decode(&part[3], &out->call.has_cx, out->call.cx))
        return proto_error_set(err, -ASUP_EMALFORMED,
                               "the capability must be nil or 16 bytes of binary data");
    struct decoder d = {.op = "request", .m = m, .err = err};
    rc = op_decode(&d, &part[4], &out->call.op);
    if (rc < 0)
        return rc;
    d.op = out->call.op->name;
    if (request_keep(data, size, envelope.rest, m, out) < 0)
        return proto_error_set(err, -ASUP_ENOMEM, "%s: found no memory", d.op);
    return args_decode(&d, out->call.op, &part[5], out->call.raw, &out->call.key, &out->call.args);
}

int
proto_process_decode(struct proto_bytes raw, struct proto_memory *m, struct proto_process *out,
                     struct proto_error *err)
{
    const struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    struct decoder d = {.op = "process", .m = m, .err = err};
    msgpack_object map;

    proto_process_init(out);
    enum wire_result result = wire_check(raw.data, raw.size, &bounds);
    if (result != WIRE_OK)
        return wire_error(result, &bounds, err);
    if (wire_unpack(raw.data, raw.size, m, &map) < 0)
        return proto_error_set(err, -ASUP_ENOMEM, "process: found no memory");
    return record_decode(&d, &proto_process_record, &map, NULL, raw, out);
}

int
proto_args_check(const struct proto_op *op, const union proto_args *args, struct proto_error *err)
{
    const struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_request request;
    struct proto_memory *m = proto_memory_new();
    struct proto_writer w;
    int rc;

    proto_writer_init(&w);
    proto_request_encode(&w, 1, NULL, NULL, op, args);
    if (!m || w.failed)
        rc = proto_error_set(err, -ASUP_ENOMEM, "%s: found no memory", op->name);
    else
        rc = proto_request_decode(w.data, w.size, &bounds, m, &request, err);
    proto_writer_fini(&w);
    proto_memory_free(m);
    return rc;
}

/* ---- Replies ------------------------------------------------------------------------------- */

static void
copy_text(char *out, size_t size, const msgpack_object *body, const char *key)
{
    const char *text = proto_get_text(body, key);

    if (!text)
        return;
    size_t length = strlen(text);
    if (length >= size)
        length = size - 1;
    memcpy(out, text, length);
    out[length] = '\0';
    text_mend(out);
}

/* The error as the other side wrote it. Its code is the number; the name is
 * for people and for JSON. */
static void
error_read(const msgpack_object *body, int code, struct proto_error *out)
{
    *out = (struct proto_error){.code = code};
    copy_text(out->field, sizeof out->field, body, "field");
    copy_text(out->message, sizeof out->message, body, "message");
    copy_text(out->hint, sizeof out->hint, body, "hint");
    copy_text(out->limit, sizeof out->limit, body, "limit");
    if (!out->message[0])
        proto_error_set(out, code, "%s", asup_error_text(code));
    const msgpack_object *oldest = proto_get(body, "oldest");
    out->has_oldest = oldest && oldest->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
    out->oldest = out->has_oldest ? oldest->via.u64 : 0;
}

int
proto_reply_decode(const void *data, size_t size, const struct proto_bounds *bounds,
                   struct proto_memory *m, struct proto_reply *out, struct proto_error *err)
{
    struct envelope envelope;
    const msgpack_object *part = NULL;

    memset(out, 0, sizeof *out);
    envelope_read(data, size, &envelope);
    int rc = envelope_check(data, size, bounds, &envelope, err);
    if (rc == 0)
        rc = envelope_unpack(data, size, REPLY_PARTS, "[1, id, code, body]", &envelope, m, &part,
                             err);
    if (rc < 0)
        return rc;

    must(part);
    const msgpack_object *code = &part[2];
    bool code_is_fine =
        (code->type == MSGPACK_OBJECT_POSITIVE_INTEGER && code->via.u64 == 0) ||
        (code->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && code->via.i64 >= INT32_MIN + 1);
    if (!code_is_fine)
        return proto_error_set(err, -ASUP_EMALFORMED, "the code must be 0 or negative");
    if (part[3].type != MSGPACK_OBJECT_MAP)
        return proto_error_set(err, -ASUP_EMALFORMED, "the body must be a map");
    out->id = envelope.id;
    out->body = &part[3];
    out->code = (int)code->via.i64;
    if (out->code != 0)
        error_read(out->body, out->code, &out->error);
    return 0;
}
