/* SPDX-License-Identifier: MIT */
#include "typed.h"

#include <string.h>

#include "proto/wire.h"

void
args_begin(enum proto_op_id op, union proto_args *args)
{
    proto_args_init(&proto_ops[op], args);
}

int
typed_call_raw(struct asup_client *c, enum proto_op_id op, const void *args, size_t args_size,
               int64_t timeout_ms, struct typed *out, struct asup_error_info *err)
{
    struct call *call = NULL;
    struct typed typed = {0};
    int rc;

    if (c == NULL)
        return error_invalid(err, "c", "there is no client");
    rc = ask_begin(c, proto_ops[op].name, args, args_size, timeout_ms, &call, err);
    if (rc == 0 && out != NULL) {
        typed.memory = proto_memory_new();
        if (typed.memory == NULL ||
            wire_unpack(call->body, call->body_size, typed.memory, &typed.body) != 0) {
            proto_memory_free(typed.memory);
            rc = error_memory(err);
        } else {
            *out = typed;
        }
    }
    if (call != NULL)
        call_recycle(call);
    return rc;
}

/* ---- Idempotency keys -------------------------------------------------------------- */

static _Thread_local char key_text[ASUP_KEY_MAX + 1];
static _Thread_local struct proto_key key_next;

int
asup_client_next_key(const char *key, uint64_t retention_ns)
{
    size_t size = key != NULL ? strlen(key) : 0;

    key_next = (struct proto_key){0};
    if (key == NULL)
        return 0;
    if (size == 0 || size > ASUP_KEY_MAX)
        return -ASUP_EINVALID;
    memcpy(key_text, key, size + 1);
    key_next.key = (struct proto_text){key_text, size};
    key_next.retention_ns = retention_ns;
    return 0;
}

/* Whether the operation takes a key: what changes something, and has not to be
 * held. */
static bool
takes_key(enum proto_op_id op)
{
    return (proto_ops[op].flags & (PROTO_MUTATES | PROTO_PARKS)) == PROTO_MUTATES &&
           op != PROTO_BATCH;
}

int
typed_call(struct asup_client *c, enum proto_op_id op, const union proto_args *args,
           int64_t timeout_ms, struct typed *out, struct asup_error_info *err)
{
    struct proto_writer w;
    int rc;

    proto_writer_init(&w);
    if (takes_key(op) && key_next.key.data != NULL) {
        proto_args_encode_keyed(&w, &proto_ops[op], args, &key_next);
        key_next = (struct proto_key){0};
    } else {
        proto_args_encode(&w, &proto_ops[op], args);
    }
    if (w.failed)
        rc = error_memory(err);
    else
        rc = typed_call_raw(c, op, w.data, w.size, timeout_ms, out, err);
    proto_writer_fini(&w);
    return rc;
}

void
typed_end(struct typed *typed)
{
    proto_memory_free(typed->memory);
    typed->memory = NULL;
}

int
typed_unreadable(struct typed *typed, int code, struct asup_error_info *err)
{
    struct proto_error own;

    typed_end(typed);
    if (code == -ASUP_ENOMEM)
        return error_memory(err);
    proto_error_set(&own, -ASUP_EMALFORMED, "the daemon's answer does not hold what it should");
    return error_local(err, &own);
}

uint64_t
typed_id(const struct typed *typed, const char *key, enum asup_sort sort)
{
    return proto_get_ref(&typed->body, key, sort).id;
}
