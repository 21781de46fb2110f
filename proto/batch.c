/* SPDX-License-Identifier: MIT */
/*
 * Batches: a list of [cx|nil, op, args]. The list itself must be right or the
 * message is refused; what is wrong with one operation is kept with it, so
 * that each can be answered on its own.
 */
#include "decode.h"

#include <string.h>

/* The 16 bytes of a session or capability, or nil. */
bool
token_decode(const msgpack_object *object, bool *has, uint8_t out[16])
{
    *has = object->type == MSGPACK_OBJECT_BIN && object->via.bin.size == 16;
    if (*has)
        memcpy(out, object->via.bin.ptr, 16);
    return *has || object->type == MSGPACK_OBJECT_NIL;
}

int
op_decode(const struct decoder *d, const msgpack_object *object, const struct proto_op **out)
{
    if (object->type != MSGPACK_OBJECT_STR)
        return proto_error_set(d->err, -ASUP_EMALFORMED, "the operation must be text");
    *out = proto_op_find(object->via.str.ptr, object->via.str.size);
    if (!*out)
        return op_unknown(d->err, &object->via.str);
    return 0;
}

static int
item_decode(struct decoder *d, const msgpack_object *item, struct proto_call *call)
{
    const msgpack_object *part = item->via.array.ptr;

    if (!token_decode(&part[0], &call->has_cx, call->cx))
        return proto_error_set(d->err, -ASUP_EMALFORMED,
                               "the capability must be nil or 16 bytes of binary data");
    int rc = op_decode(d, &part[1], &call->op);
    if (rc < 0)
        return rc;
    if (call->op->id == PROTO_BATCH)
        return proto_error_set(d->err, -ASUP_EUNSUPPORTED, "a batch may not hold a batch");
    d->op = call->op->name;
    rc = args_decode(d, call->op, &part[2], (struct proto_bytes){0}, &call->key, &call->args);
    /* What must be kept of it as bytes, a process, is packed again by itself. */
    if (rc < 0 || !call->key.key.data)
        return rc;
    rc = pack_again(d, &part[2], &call->raw);
    if (rc < 0)
        return proto_error_set(d->err, rc, "%s: found no memory", d->op);
    call->digest = call_digest(call->op, call->raw);
    return 0;
}

/* Keep what an operation is refused with beside it. */
static int
item_refuse(const struct decoder *d, struct proto_call *call, const struct proto_error *err)
{
    struct proto_error *kept = proto_memory_take(d->m, sizeof *kept);

    if (!kept)
        return proto_error_set(d->err, -ASUP_ENOMEM, "%s: found no memory", d->op);
    *kept = *err;
    call->code = err->code;
    call->error = kept;
    call->args = NULL;
    return 0;
}

int
batch_decode(const struct decoder *d, const struct proto_field *field, const msgpack_object *object,
             const struct place *at, struct args_batch *out)
{
    if (object->type != MSGPACK_OBJECT_ARRAY)
        return field_wrong(d, field, at, object, -ASUP_EINVALID);
    uint32_t count = object->via.array.size;
    int rc = size_check(count, field);
    if (rc < 0)
        return field_wrong(d, field, at, object, rc);

    struct proto_call *calls = proto_memory_take(d->m, count * sizeof *calls);
    if (!calls)
        return field_refuse(d, at, -ASUP_ENOMEM, "found no memory");
    memset(calls, 0, count * sizeof *calls);
    for (uint32_t i = 0; i < count; i++) {
        const msgpack_object *item = &object->via.array.ptr[i];
        struct place here = {.up = at, .index = i};
        if (item->type != MSGPACK_OBJECT_ARRAY || item->via.array.size != 3)
            return field_refuse(d, &here, -ASUP_EMALFORMED, "must be [cx|nil, op, args]");
        struct proto_error err;
        struct decoder inner = {.op = d->op, .m = d->m, .err = &err};
        rc = item_decode(&inner, item, &calls[i]);
        if (rc == -ASUP_ENOMEM)
            *d->err = err;
        else if (rc < 0)
            rc = item_refuse(d, &calls[i], &err);
        if (rc < 0)
            return rc;
    }
    out->ops = calls;
    out->count = count;
    return 0;
}

int
batch_check(const struct decoder *d, struct args_batch *batch)
{
    uint32_t wanted = batch->atomic ? PROTO_ATOMIC : PROTO_BATCHED;

    for (uint32_t i = 0; i < batch->count; i++) {
        /* The list is in our own memory, and nobody has seen it yet. */
        struct proto_call *call = (struct proto_call *)&batch->ops[i];
        if (call->code != 0 || call->op->flags & wanted)
            continue;
        struct proto_error err;
        proto_error_set(&err, -ASUP_EUNSUPPORTED, "%s may not stand in %s batch", call->op->name,
                        batch->atomic ? "an atomic" : "a");
        int rc = item_refuse(d, call, &err);
        if (rc < 0)
            return rc;
    }
    return 0;
}
