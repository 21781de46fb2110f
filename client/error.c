/* SPDX-License-Identifier: MIT */
/* What went wrong, spelled out for the caller. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"
#include "proto/read.h"
#include "proto/wire.h"

/* Copy what fits, cut at the end of a character. */
static void
put(char *to, size_t size, const char *from)
{
    size_t length = from != NULL ? strlen(from) : 0;

    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)from[length] & 0xc0) == 0x80)
            length--;
    }
    if (length > 0)
        memcpy(to, from, length);
    to[length] = '\0';
}

void
error_clear(struct asup_error_info *err)
{
    if (err != NULL)
        memset(err, 0, sizeof *err);
}

int
error_local(struct asup_error_info *err, const struct proto_error *own)
{
    error_clear(err);
    if (err != NULL) {
        err->code = own->code;
        put(err->message, sizeof err->message, own->message);
        put(err->hint, sizeof err->hint, own->hint);
        put(err->field, sizeof err->field, own->field);
        put(err->limit, sizeof err->limit, own->limit);
        err->oldest = own->has_oldest ? own->oldest : 0;
    }
    return own->code;
}

void
asup_error_info_read(struct asup_error_info *err, int code, const void *body, size_t body_size)
{
    struct proto_memory *m;
    struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    msgpack_object map;

    if (err == NULL)
        return;
    error_clear(err);
    err->code = code;
    if (code != 0)
        put(err->message, sizeof err->message, asup_error_text(code));
    m = proto_memory_new();
    if (m != NULL && body != NULL && wire_check(body, body_size, &bounds) == WIRE_OK &&
        wire_unpack(body, body_size, m, &map) == 0) {
        const char *message = proto_get_text(&map, code != 0 ? "message" : "advice");

        if (message != NULL)
            put(err->message, sizeof err->message, message);
        put(err->hint, sizeof err->hint, proto_get_text(&map, "hint"));
        put(err->field, sizeof err->field, proto_get_text(&map, "field"));
        put(err->limit, sizeof err->limit, proto_get_text(&map, "limit"));
        err->oldest = proto_get_uint(&map, "oldest", 0);
    }
    proto_memory_free(m);
    if (code == 0) { /* a body of its own may have such keys */
        err->hint[0] = err->field[0] = err->limit[0] = '\0';
        err->oldest = 0;
    }
}

int
error_answer(struct asup_error_info *err, int code, const void *body, size_t body_size)
{
    asup_error_info_read(err, code, body, body_size);
    return code;
}

int
error_invalid(struct asup_error_info *err, const char *field, const char *message)
{
    error_clear(err);
    if (err != NULL) {
        err->code = -ASUP_EINVALID;
        put(err->field, sizeof err->field, field);
        put(err->message, sizeof err->message, message);
    }
    return -ASUP_EINVALID;
}

int
error_memory(struct asup_error_info *err)
{
    error_clear(err);
    if (err != NULL) {
        err->code = -ASUP_ENOMEM;
        put(err->message, sizeof err->message, asup_error_text(-ASUP_ENOMEM));
    }
    return -ASUP_ENOMEM;
}
