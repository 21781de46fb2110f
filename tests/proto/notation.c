/* SPDX-License-Identifier: MIT */
#include "notation.h"

#include <check.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

/* ---- Reading ------------------------------------------------------------------------ */

struct scan {
    const char *at;
    struct proto_writer *w;
};

static void
blank(struct scan *s)
{
    while (isspace((unsigned char)*s->at))
        s->at++;
}

static bool
next_is(struct scan *s, const char *word)
{
    size_t size = strlen(word);

    blank(s);
    if (strncmp(s->at, word, size) != 0)
        return false;
    s->at += size;
    return true;
}

static void
want(struct scan *s, const char *word)
{
    if (!next_is(s, word))
        ck_abort_msg("notation: wanted %s at: %s", word, s->at);
}

/* Text between quotes, repeated by *n. The caller frees it. */
static char *
quoted(struct scan *s, size_t *size)
{
    want(s, "\"");
    const char *end = strchr(s->at, '"');
    ck_assert_ptr_nonnull(end);
    size_t once = (size_t)(end - s->at);
    size_t times = 1;
    const char *text = s->at;
    s->at = end + 1;
    if (*s->at == '*')
        times = strtoul(s->at + 1, (char **)&s->at, 10);
    char *all = malloc(once * times + 1);
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < times; i++)
        memcpy(all + i * once, text, once);
    *size = once * times;
    return all;
}

static void value(struct scan *s);

static void
bytes_as_they_are(struct scan *s)
{
    uint8_t bytes[64];
    size_t size = 0;

    while (!next_is(s, ">")) {
        ck_assert_uint_lt(size, sizeof bytes);
        bytes[size++] = (uint8_t)strtoul(s->at, (char **)&s->at, 16);
    }
    pw_raw(s->w, bytes, size);
}

static void
zeros(struct scan *s)
{
    size_t size = strtoul(s->at, (char **)&s->at, 10);
    void *data = calloc(1, size + 1);

    ck_assert_ptr_nonnull(data);
    pw_bytes(s->w, data, size);
    free(data);
}

static void
list(struct scan *s)
{
    pw_list(s->w);
    while (!next_is(s, "]")) {
        value(s);
        (void)next_is(s, ",");
    }
    pw_end(s->w);
}

/* Keys may be anything, so the map is counted here. */
static void
map(struct scan *s)
{
    struct proto_writer pairs;
    struct proto_writer *w = s->w;
    uint32_t count = 0;

    proto_writer_init(&pairs);
    s->w = &pairs;
    while (!next_is(s, "}")) {
        value(s);
        want(s, ":");
        value(s);
        (void)next_is(s, ",");
        count++;
    }
    s->w = w;
    uint8_t head[5] = {0xdf, 0, 0, (uint8_t)(count >> 8), (uint8_t)count};
    struct proto_writer whole;
    proto_writer_init(&whole);
    pw_raw(&whole, head, sizeof head);
    pw_raw(&whole, pairs.data, pairs.size);
    pw_raw(w, whole.data, whole.size);
    proto_writer_fini(&whole);
    proto_writer_fini(&pairs);
}

static void
number(struct scan *s)
{
    char *end = NULL;

    if (*s->at == '-')
        pw_int(s->w, strtoll(s->at, &end, 10));
    else
        pw_uint(s->w, strtoull(s->at, &end, 10));
    if (end == s->at)
        ck_abort_msg("notation: no value at: %s", s->at);
    s->at = end;
}

static void
value(struct scan *s)
{
    size_t size = 0;
    char *text = NULL;

    if (next_is(s, "nil")) {
        pw_nil(s->w);
    } else if (next_is(s, "true")) {
        pw_bool(s->w, true);
    } else if (next_is(s, "false")) {
        pw_bool(s->w, false);
    } else if (next_is(s, "1.5")) {
        pw_raw(s->w, "\xca\x3f\xc0\x00\x00", 5);
    } else if (next_is(s, "[")) {
        list(s);
    } else if (next_is(s, "{")) {
        map(s);
    } else if (next_is(s, "#")) {
        zeros(s);
    } else if (next_is(s, "<")) {
        bytes_as_they_are(s);
    } else if (next_is(s, "b")) {
        text = quoted(s, &size);
        pw_bytes(s->w, text, size);
    } else if (*s->at == '"') {
        text = quoted(s, &size);
        pw_text(s->w, text, size);
    } else {
        number(s);
    }
    free(text);
}

void
notation_write(struct proto_writer *w, const char *text)
{
    struct scan s = {.at = text, .w = w};

    value(&s);
    blank(&s);
    ck_assert_msg(*s.at == '\0', "notation: more at: %s", s.at);
}

/* ---- Printing ------------------------------------------------------------------------- */

static void print(FILE *out, const msgpack_object *object);

static void
print_map(FILE *out, const msgpack_object_map *pairs)
{
    (void)fputc('{', out);
    for (uint32_t i = 0; i < pairs->size; i++) {
        (void)fputs(i > 0 ? ", " : "", out);
        print(out, &pairs->ptr[i].key);
        (void)fputs(": ", out);
        print(out, &pairs->ptr[i].val);
    }
    (void)fputc('}', out);
}

static void
print(FILE *out, const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        (void)fputs("nil", out);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        (void)fputs(object->via.boolean ? "true" : "false", out);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        (void)fprintf(out, "%" PRIu64, object->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        (void)fprintf(out, "%" PRId64, object->via.i64);
        break;
    case MSGPACK_OBJECT_STR:
        (void)fprintf(out, "\"%.*s\"", (int)object->via.str.size, object->via.str.ptr);
        break;
    case MSGPACK_OBJECT_BIN:
        (void)fprintf(out, "#%" PRIu32, object->via.bin.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        (void)fputc('[', out);
        for (uint32_t i = 0; i < object->via.array.size; i++) {
            (void)fputs(i > 0 ? ", " : "", out);
            print(out, &object->via.array.ptr[i]);
        }
        (void)fputc(']', out);
        break;
    case MSGPACK_OBJECT_MAP:
        print_map(out, &object->via.map);
        break;
    default:
        (void)fputs("?", out);
        break;
    }
}

char *
notation_print(const msgpack_object *object)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    print(out, object);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

/* ---- Requests --------------------------------------------------------------------------- */

int
message_from(const char *text, struct proto_memory *m, struct proto_request *out,
             struct proto_error *err)
{
    const struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_writer w;

    proto_writer_init(&w);
    notation_write(&w, text);
    int rc = proto_request_decode(w.data, w.size, &bounds, m, out, err);
    proto_writer_fini(&w);
    return rc;
}

int
request_from(const char *op, const char *args, struct proto_memory *m, struct proto_request *out,
             struct proto_error *err)
{
    char *text = NULL;

    ck_assert_int_gt(asprintf(&text, "[1, 7, nil, nil, \"%s\", %s]", op, args), 0);
    int rc = message_from(text, m, out, err);
    free(text);
    return rc;
}

char *
encoded_again(const struct proto_call *call)
{
    struct proto_memory *m = proto_memory_new();
    struct proto_writer w;
    msgpack_object object;

    proto_writer_init(&w);
    proto_args_encode(&w, call->op, call->args);
    ck_assert_int_eq(wire_unpack((const uint8_t *)w.data, w.size, m, &object), 0);
    char *text = notation_print(&object);
    proto_writer_fini(&w);
    proto_memory_free(m);
    return text;
}
