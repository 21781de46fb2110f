/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a reply: a client refuses it or reads it; an outcome or reason
 * that it read is written and read again as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "proto/must.h"
#include "proto/read.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_reasons(const struct asup_reason *a, const struct asup_reason *b)
{
    for (; a && b; a = a->cause, b = b->cause) {
        must(asup_reason_compare(&a->key, &b->key) == 0);
        must(strcmp(a->message, b->message) == 0);
    }
    must(!a && !b);
}

static void
check_outcome(const msgpack_object *object, struct proto_memory *m)
{
    struct asup_outcome outcome;
    struct asup_outcome again;
    struct proto_writer w;
    msgpack_object written;

    if (proto_outcome_read(object, m, &outcome) < 0)
        return;
    proto_writer_init(&w);
    pw_outcome(&w, &outcome, NULL);
    must(!w.failed);
    must(wire_unpack((const uint8_t *)w.data, w.size, m, &written) == 0);
    must(proto_outcome_read(&written, m, &again) == 0);
    must(asup_outcome_compare(&outcome.key, &again.key) == 0);
    must(outcome.exit_code == again.exit_code && outcome.signal == again.signal);
    must(!outcome.error == !again.error);
    check_reasons(outcome.reason, again.reason);
    proto_writer_fini(&w);
}

/* Every way of asking for a key, on a body that may hold anything. */
static void
check_getters(const msgpack_object *body)
{
    static const char *const keys[] = {"region", "outcome", "error", "", "at_ns"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const msgpack_object *value = proto_get(body, keys[i]);
        const char *text = proto_get_text(body, keys[i]);
        must(!text || strlen(text) <= value->via.str.size);
        must(proto_get_ref(body, keys[i], ASUP_SORT_TASK).id == 0 || text);
        (void)proto_get_uint(body, keys[i], 1);
        (void)proto_get_int(body, keys[i], 1);
        must(proto_list_at(value, proto_list_size(value)) == NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    struct proto_memory *m = proto_memory_new();
    struct proto_reply reply;
    struct proto_error err;

    must(m);
    if (proto_reply_decode(data, size, &bounds, m, &reply, &err) == 0) {
        must(reply.code <= 0 && (reply.code == 0 || reply.error.message[0]));
        check_getters(reply.body);
        check_outcome(reply.body, m);
        check_outcome(proto_get(reply.body, "outcome"), m);
    } else {
        must(err.code < 0 && err.message[0]);
    }
    proto_memory_free(m);
    return 0;
}
