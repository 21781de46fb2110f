/* SPDX-License-Identifier: MIT */
/*
 * Messages out and in. A call keeps its arguments as msgpack; those of a wait
 * end in `timeout_ns`, whose eight bytes are set anew for each slice.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

/* ---- Out ---------------------------------------------------------------------- */

static void
put_u32(char *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (char)(value >> (24 - 8 * i));
}

static void
put_u64(char *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value >> 32));
    put_u32(at + 4, (uint32_t)value);
}

void
encode_call(struct proto_writer *w, const struct call *call, const uint8_t *secret,
            uint64_t slice_ns)
{
    const struct asup_client *c = call->client;
    bool about_session = call->op != &call->unknown && (call->op->id == PROTO_SESSION_KEEPALIVE ||
                                                        call->op->id == PROTO_SESSION_BYE);

    if (call->parks)
        put_u64(call->args + call->args_size - 8, slice_ns);
    proto_request_encode_raw(w, call->request, secret, c->has_cx && !about_session ? c->cx : NULL,
                             call->op, (struct proto_bytes){call->args, call->args_size});
}

void
encode_hello(struct proto_writer *w, const struct asup_client *c)
{
    const struct proto_op *op =
        &proto_ops[c->without_session ? PROTO_DAEMON_STATUS : PROTO_SESSION_HELLO];
    union proto_args args;

    proto_args_init(op, &args);
    if (!c->without_session) {
        if (c->session_ttl_ns != 0)
            args.session_hello.ttl_ns = c->session_ttl_ns;
        if (c->session.known)
            args.session_hello.secret = (struct proto_bytes){c->session.secret, ASUP_SECRET_SIZE};
    }
    proto_request_encode(w, HELLO_REQUEST, NULL, NULL, op, &args);
}

/* ---- What a call asks ------------------------------------------------------------ */

static const char timeout_key[] = "\xaatimeout_ns"; /* its msgpack */
#define TIMEOUT_KEY_SIZE (sizeof timeout_key - 1)
/* A map's longest head, the key, and a 64-bit number. */
#define TIMEOUT_ROOM (5 + TIMEOUT_KEY_SIZE + 9)

/* The map with `timeout_ns` as its last pair, in place of any that is there. */
static int
args_with_timeout(const uint8_t *args, size_t size, char **out, size_t *out_size)
{
    struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    struct wire_head map;
    size_t at = 0, filled = 5;
    uint32_t count = 1;
    char *copy = malloc(size + TIMEOUT_ROOM);

    if (copy == NULL)
        return -ASUP_ENOMEM;
    wire_head(args, size, &at, &map);
    for (uint32_t i = 0; i < map.u.count; i++) {
        size_t key = at, value;

        wire_skip(args, size, &at, &bounds);
        value = at;
        wire_skip(args, size, &at, &bounds);
        if (value - key == TIMEOUT_KEY_SIZE && memcmp(args + key, timeout_key, value - key) == 0)
            continue;
        memcpy(copy + filled, args + key, at - key);
        filled += at - key;
        count++;
    }
    copy[0] = (char)0xdf;
    put_u32(copy + 1, count);
    memcpy(copy + filled, timeout_key, TIMEOUT_KEY_SIZE);
    filled += TIMEOUT_KEY_SIZE;
    copy[filled] = (char)0xcf;
    put_u64(copy + filled + 1, 0);
    *out = copy;
    *out_size = filled + 9;
    return 0;
}

static int
call_ask_args(struct call *call, const void *args, size_t size, struct proto_error *err)
{
    static const uint8_t empty_map[] = {0x80};
    struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    struct wire_head head;
    size_t at = 0;

    if (args == NULL) {
        args = empty_map;
        size = sizeof empty_map;
    }
    if (wire_check(args, size, &bounds) != WIRE_OK ||
        wire_head(args, size, &at, &head) != WIRE_OK || head.type != MSGPACK_OBJECT_MAP)
        return proto_error_set(err, -ASUP_EINVALID, "the arguments are not one msgpack map");
    if (call->parks) {
        if (args_with_timeout(args, size, &call->args, &call->args_size) != 0)
            return proto_error_set(err, -ASUP_ENOMEM, "no memory for the arguments");
        return 0;
    }
    call->args = malloc(size);
    if (call->args == NULL)
        return proto_error_set(err, -ASUP_ENOMEM, "no memory for the arguments");
    memcpy(call->args, args, size);
    call->args_size = size;
    return 0;
}

/* The operation from the schema, or one that a later daemon may know. */
static int
call_ask_op(struct call *call, const char *name, struct proto_error *err)
{
    call->op = proto_op_find(name, strlen(name));
    if (call->op != NULL) {
        call->mutates = (call->op->flags & PROTO_MUTATES) != 0;
        call->parks = (call->op->flags & PROTO_PARKS) != 0;
        return 0;
    }
    call->op_name = strdup(name);
    if (call->op_name == NULL)
        return proto_error_set(err, -ASUP_ENOMEM, "no memory for the operation");
    call->unknown = (struct proto_op){.name = call->op_name, .doc = "", .right = ""};
    call->op = &call->unknown;
    call->mutates = true; /* for all we know */
    call->parks = false;
    return 0;
}

int
call_ask(struct call *call, const char *op, const void *args, size_t args_size, int64_t timeout_ms,
         struct proto_error *err)
{
    uint64_t now = clock_now();
    uint64_t end = clock_after(now, timeout_ms);
    int rc = call_ask_op(call, op, err);

    if (rc == 0 && (call->op->id == PROTO_SESSION_HELLO || call->op->id == PROTO_SESSION_BYE) &&
        call->op != &call->unknown && !call->client->leaving)
        rc = proto_error_set(err, -ASUP_EINVALID, "the library keeps the session by itself");
    if (rc == 0)
        rc = call_ask_args(call, args, args_size, err);
    call->wait_until = end;
    call->wait_ns = end == ASUP_NEVER ? PROTO_DURATION_MAX : end - now;
    call->give_up_at = call->parks ? ASUP_NEVER : end;
    call->alone_since = ASUP_NEVER;
    return rc;
}

/* ---- In ---------------------------------------------------------------------------- */

/* One head that must be of a certain type. */
static bool
expect(const uint8_t *data, size_t size, size_t *at, msgpack_object_type type,
       struct wire_head *head)
{
    return wire_head(data, size, at, head) == WIRE_OK && head->type == type;
}

int
answer_read(const void *data, size_t size, struct answer *out, struct proto_error *err)
{
    const uint8_t *bytes = data;
    struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    struct wire_head head;
    size_t at = 0;
    enum wire_result result = wire_check(bytes, size, &bounds);

    if (result != WIRE_OK) {
        wire_error(result, &bounds, err);
        return proto_error_set(err, -ASUP_EMALFORMED,
                               "the daemon's answer could not be understood");
    }
    if (!expect(bytes, size, &at, MSGPACK_OBJECT_ARRAY, &head) || head.u.count < 4 ||
        !expect(bytes, size, &at, MSGPACK_OBJECT_POSITIVE_INTEGER, &head))
        goto malformed;
    if (head.u.u64 != PROTO_VERSION)
        return proto_error_set(err, -ASUP_EUNSUPPORTED,
                               "the daemon answers in version %llu of the protocol, not %d",
                               (unsigned long long)head.u.u64, PROTO_VERSION);
    if (!expect(bytes, size, &at, MSGPACK_OBJECT_POSITIVE_INTEGER, &head))
        goto malformed;
    out->id = head.u.u64;
    if (wire_head(bytes, size, &at, &head) != WIRE_OK)
        goto malformed;
    if (head.type == MSGPACK_OBJECT_NEGATIVE_INTEGER && head.u.i64 > -1000000)
        out->code = (int)head.u.i64;
    else if (head.type == MSGPACK_OBJECT_POSITIVE_INTEGER && head.u.u64 == 0)
        out->code = 0;
    else
        goto malformed;
    out->body = bytes + at;
    if (!expect(bytes, size, &at, MSGPACK_OBJECT_MAP, &head))
        goto malformed;
    at = (size_t)(out->body - bytes);
    wire_skip(bytes, size, &at, &bounds);
    out->body_size = (size_t)(bytes + at - out->body);
    return 0;
malformed:
    return proto_error_set(err, -ASUP_EMALFORMED, "the daemon's answer is not [1, id, code, map]");
}
