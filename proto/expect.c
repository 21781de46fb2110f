/* SPDX-License-Identifier: MIT */
/* Error texts: what was expected, what was there instead, and where. */
#include "decode.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"
#include "text.h"

/* Texts that are shown are shown up to here. */
#define SHOWN_MAX 40

struct out {
    char *text;
    size_t size;
    size_t at;
};

static void __attribute__((format(printf, 2, 3))) put(struct out *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(out->text + out->at, out->size - out->at, format, arguments);
    va_end(arguments);
    if (length > 0)
        out->at += (size_t)length;
    if (out->at >= out->size)
        out->at = out->size - 1;
}

/* ---- Where ------------------------------------------------------------------------ */

static void
put_place(struct out *out, const struct place *at)
{
    if (at->up)
        put_place(out, at->up);
    if (!at->key) {
        put(out, "[%" PRIu32 "]", at->index);
        return;
    }
    char quoted[SHOWN_MAX + 16];
    text_quote(quoted, sizeof quoted, at->key, at->key_size, SHOWN_MAX);
    /* Without the quotes: the whole place gets them. */
    size_t length = strlen(quoted);
    bool whole = quoted[length - 1] == '"';
    put(out, "%s%.*s%s", at->up ? "." : "", (int)(length - (whole ? 2 : 5)), quoted + 1,
        whole ? "" : "...");
}

/* ---- What was expected ------------------------------------------------------------- */

static void
put_count(struct out *out, uint64_t min, uint64_t max, const char *unit)
{
    if (min == max)
        put(out, "%" PRIu64 " %s", min, unit);
    else if (min == 0)
        put(out, "at most %" PRIu64 " %s", max, unit);
    else
        put(out, "%" PRIu64 " to %" PRIu64 " %s", min, max, unit);
}

static const char *
sort_words(char sort)
{
    switch (sort) {
    case ASUP_SORT_REGION:
        return "a region";
    case ASUP_SORT_TASK:
        return "a task";
    case ASUP_SORT_OBLIGATION:
        return "an obligation";
    case ASUP_SORT_CHANNEL:
        return "a channel";
    case ASUP_SORT_MESSAGE:
        return "a message";
    case ASUP_SORT_SAGA:
        return "a saga";
    case ASUP_SORT_CAPABILITY:
        return "a capability";
    default:
        return "a session";
    }
}

static bool
is_open_range(const struct proto_field *field)
{
    switch (field->type) {
    case PROTO_UINT:
    case PROTO_DURATION:
    case PROTO_INSTANT:
        return field->max >= (uint64_t)INT64_MAX;
    default:
        return false;
    }
}

static void
put_range(struct out *out, const char *what, const struct proto_field *field)
{
    bool open = is_open_range(field);
    uint64_t min = field->min;
    uint64_t max = field->max;

    if (open && min == 0)
        put(out, "%s", what);
    else if (open)
        put(out, "%s of at least %" PRIu64, what, min);
    else
        put(out, "%s from %" PRIu64 " to %" PRIu64, what, min, max);
}

static void
put_words(struct out *out, const char *const *names)
{
    put(out, "one of");
    for (size_t i = 0; names[i]; i++)
        put(out, "%s \"%s\"", i > 0 ? "," : "", names[i]);
}

void
field_expects(const struct proto_field *field, char *text, size_t size)
{
    struct out out = {.text = text, .size = size};
    uint64_t min = field->min;
    uint64_t max = field->max;

    text[0] = '\0';
    switch (field->type) {
    case PROTO_UINT:
        put_range(&out, "a whole number", field);
        break;
    case PROTO_DURATION:
        put_range(&out, "a duration in nanoseconds", field);
        break;
    case PROTO_INSTANT:
        put_range(&out, "an instant in nanoseconds", field);
        break;
    case PROTO_INT:
        put(&out, "a whole number from %" PRId64 " to %" PRId64, (int64_t)min, (int64_t)max);
        break;
    case PROTO_BOOL:
        put(&out, "true or false");
        break;
    case PROTO_TEXT:
        put_count(&out, min, max, "bytes of UTF-8 text without control characters");
        break;
    case PROTO_NAME:
        put_count(&out, min, max, "bytes of UTF-8 text without \"/\" or control characters");
        break;
    case PROTO_OSTEXT:
        put(&out, "a string of ");
        put_count(&out, min, max, "bytes without NUL");
        break;
    case PROTO_BYTES:
        put_count(&out, min, max, "bytes of binary data");
        break;
    case PROTO_DATA:
        put(&out, "binary data or text");
        break;
    case PROTO_ID:
        put(&out, "the id of %s such as \"%c12\"", sort_words(field->sort), field->sort);
        break;
    case PROTO_REGION:
        put(&out, "a region: an id such as \"r12\" or a path such as \"/web/api\"");
        break;
    case PROTO_ANY:
        put(&out, "an id such as \"r12\", \"t7\" or \"s3\", or a path such as \"/web/api\"");
        break;
    case PROTO_ENUM:
        put_words(&out, field->names);
        break;
    case PROTO_TEXTS:
        put(&out, "a list of ");
        put_count(&out, min, max, "strings");
        break;
    case PROTO_ENV:
        put(&out, "a map of ");
        put_count(&out, min, max, "names to strings");
        break;
    case PROTO_RLIMITS:
        put(&out, "a map of names such as \"nofile\" to a number or [soft, hard]");
        break;
    case PROTO_RECORD:
        put(&out, "a map");
        break;
    case PROTO_IDS:
        put(&out, "a list of ");
        put_count(&out, min, max, "ids such as \"t7\"");
        break;
    case PROTO_RECORDS:
    case PROTO_PROCESSES:
        put(&out, "a list of ");
        put_count(&out, min, max, "maps");
        break;
    case PROTO_OPS:
        put(&out, "a list of ");
        put_count(&out, min, max, "operations");
        break;
    case PROTO_INLINE:
        break;
    }
}

/* ---- What was there ------------------------------------------------------------------ */

static void
put_text(struct out *out, const msgpack_object_str *str)
{
    struct asup_ref ref;
    char quoted[SHOWN_MAX + 16];

    if (asup_ref_parse(str->ptr, str->size, &ref) == 0) {
        put(out, "the id of %s, \"%.*s\"", sort_words((char)ref.sort), (int)str->size, str->ptr);
    } else if (str->size == 0) {
        put(out, "empty text");
    } else if (str->size <= SHOWN_MAX) {
        put(out, "%s", text_quote(quoted, sizeof quoted, str->ptr, str->size, SHOWN_MAX));
    } else {
        put(out, "text of %" PRIu32 " bytes", str->size);
    }
}

static void
put_got(struct out *out, const msgpack_object *got)
{
    switch (got->type) {
    case MSGPACK_OBJECT_NIL:
        put(out, "nil");
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        put(out, got->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        put(out, "the number %" PRIu64, got->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        put(out, "the number %" PRId64, got->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        put(out, "a floating-point number");
        break;
    case MSGPACK_OBJECT_STR:
        put_text(out, &got->via.str);
        break;
    case MSGPACK_OBJECT_BIN:
        put(out, "%" PRIu32 " bytes of binary data", got->via.bin.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        put(out, "a list of %" PRIu32, got->via.array.size);
        break;
    case MSGPACK_OBJECT_MAP:
        put(out, "a map of %" PRIu32, got->via.map.size);
        break;
    case MSGPACK_OBJECT_EXT:
        put(out, "an extension type");
        break;
    default:
        put(out, "something unknown");
        break;
    }
}

/* ---- Refusals --------------------------------------------------------------------------- */

static int
refuse(const struct decoder *d, const struct place *at, int code, const char *what)
{
    char place[64];
    struct out out = {.text = place, .size = sizeof place};

    place[0] = '\0';
    if (at)
        put_place(&out, at);
    text_mend(place);
    if (at)
        proto_error_set(d->err, code, "%s: field \"%s\" %s", d->op, place, what);
    else
        proto_error_set(d->err, code, "%s: %s", d->op, what);
    memcpy(d->err->field, place, sizeof place);
    return code;
}

int
field_wrong(const struct decoder *d, const struct proto_field *field, const struct place *at,
            const msgpack_object *got, int code)
{
    char what[sizeof d->err->message];
    struct out out = {.text = what, .size = sizeof what};

    put(&out, got ? "must be " : "is missing; it must be ");
    field_expects(field, what + out.at, sizeof what - out.at);
    out.at = strlen(what);
    if (got) {
        /* Bounds near what 64 bits hold are only told to who passes them. */
        if (got->type == MSGPACK_OBJECT_POSITIVE_INTEGER && is_open_range(field) &&
            got->via.u64 > field->max)
            put(&out, " and at most %" PRIu64, field->max);
        put(&out, ", got ");
        put_got(&out, got);
    }
    return refuse(d, at, code, what);
}

int
field_refuse(const struct decoder *d, const struct place *at, int code, const char *format, ...)
{
    char what[sizeof d->err->message];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return refuse(d, at, code, what);
}

/* How many bytes differ, place by place, and by how much one is longer. Good
 * enough to guess what was meant. */
static size_t
difference(const char *a, size_t a_size, const char *b)
{
    size_t b_size = strlen(b);
    size_t common = a_size < b_size ? a_size : b_size;
    size_t different = a_size + b_size - 2 * common;

    for (size_t i = 0; i < common; i++)
        different += a[i] != b[i];
    return different;
}

int
op_unknown(struct proto_error *err, const msgpack_object_str *name)
{
    char quoted[SHOWN_MAX + 16];
    const char *nearest = NULL;
    size_t least = 3; /* further off is no typing mistake */

    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        size_t different = difference(name->ptr, name->size, proto_ops[i].name);
        if (different < least) {
            least = different;
            nearest = proto_ops[i].name;
        }
    }
    proto_error_set(err, -ASUP_EUNSUPPORTED, "there is no operation %s",
                    text_quote(quoted, sizeof quoted, name->ptr, name->size, SHOWN_MAX));
    memcpy(err->field, "op", sizeof "op");
    if (nearest)
        (void)snprintf(err->hint, sizeof err->hint, "did you mean \"%s\"?", nearest);
    return err->code;
}
