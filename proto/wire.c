/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "must.h"
#include <string.h>

/* The largest depth any bound may name: the stacks below are that deep. */
#define WIRE_DEPTH 256
_Static_assert(PROTO_REPLY_DEPTH_MAX <= WIRE_DEPTH, "replies fit the stacks");

static uint64_t
big_endian(const uint8_t *p, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value = value << 8 | p[i];
    return value;
}

static int64_t
sign_extend(uint64_t value, unsigned width)
{
    must(width > 0);
    unsigned unused = 64 - 8 * width;
    return (int64_t)(value << unused) >> unused;
}

static void
head_int(struct wire_head *out, int64_t value)
{
    if (value >= 0) {
        out->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
        out->u.u64 = (uint64_t)value;
    } else {
        out->type = MSGPACK_OBJECT_NEGATIVE_INTEGER;
        out->u.i64 = value;
    }
}

static void
head_float(struct wire_head *out, uint64_t bits, unsigned width)
{
    if (width == 4) {
        uint32_t narrow = (uint32_t)bits;
        float value;
        memcpy(&value, &narrow, sizeof value);
        out->type = MSGPACK_OBJECT_FLOAT32;
        out->u.f64 = (double)value;
    } else {
        out->type = MSGPACK_OBJECT_FLOAT64;
        memcpy(&out->u.f64, &bits, sizeof bits);
    }
}

/* Formats that hold everything in their first byte. */
static bool
head_fixed(uint8_t byte, struct wire_head *out)
{
    if (byte <= 0x7f || byte >= 0xe0) {
        head_int(out, (int8_t)byte);
    } else if (byte <= 0x8f) {
        out->type = MSGPACK_OBJECT_MAP;
        out->u.count = byte & 0x0fu;
    } else if (byte <= 0x9f) {
        out->type = MSGPACK_OBJECT_ARRAY;
        out->u.count = byte & 0x0fu;
    } else if (byte <= 0xbf) {
        out->type = MSGPACK_OBJECT_STR;
        out->u.size = byte & 0x1fu;
    } else if (byte == 0xc0) {
        out->type = MSGPACK_OBJECT_NIL;
    } else if (byte == 0xc2 || byte == 0xc3) {
        out->type = MSGPACK_OBJECT_BOOLEAN;
        out->u.boolean = byte == 0xc3;
    } else {
        return false;
    }
    return true;
}

/* The other formats: how many bytes of number follow, by 0xc4 to 0xdf. */
static const uint8_t number_width[] = {
    1, 2, 4,       /* c4 bin */
    1, 2, 4,       /* c7 ext */
    4, 8,          /* ca float */
    1, 2, 4, 8,    /* cc uint */
    1, 2, 4, 8,    /* d0 int */
    0, 0, 0, 0, 0, /* d4 fixext */
    1, 2, 4,       /* d9 str */
    2, 4,          /* dc array */
    2, 4,          /* de map */
};
_Static_assert(sizeof number_width == 0xdf - 0xc4 + 1, "one width a format");

enum wire_result
wire_head(const uint8_t *data, size_t size, size_t *offset, struct wire_head *out)
{
    if (*offset >= size)
        return WIRE_TRUNCATED;
    uint8_t byte = data[(*offset)++];
    if (head_fixed(byte, out))
        return WIRE_OK;
    if (byte == 0xc1)
        return WIRE_RESERVED;

    unsigned width = number_width[byte - 0xc4];
    bool is_ext = (byte >= 0xc7 && byte <= 0xc9) || (byte >= 0xd4 && byte <= 0xd8);
    if (size - *offset < width + (is_ext ? 1u : 0u))
        return WIRE_TRUNCATED;
    uint64_t number = big_endian(data + *offset, width);
    *offset += width;

    if (is_ext) {
        out->type = MSGPACK_OBJECT_EXT;
        out->u.size = byte >= 0xd4 ? 1u << (byte - 0xd4) : (uint32_t)number;
        out->ext = (int8_t)data[(*offset)++];
    } else if (byte <= 0xc6) {
        out->type = MSGPACK_OBJECT_BIN;
        out->u.size = (uint32_t)number;
    } else if (byte <= 0xcb) {
        head_float(out, number, width);
    } else if (byte <= 0xcf) {
        out->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
        out->u.u64 = number;
    } else if (byte <= 0xd3) {
        head_int(out, sign_extend(number, width));
    } else if (byte <= 0xdb) {
        out->type = MSGPACK_OBJECT_STR;
        out->u.size = (uint32_t)number;
    } else {
        out->type = byte <= 0xdd ? MSGPACK_OBJECT_ARRAY : MSGPACK_OBJECT_MAP;
        out->u.count = (uint32_t)number;
    }
    return WIRE_OK;
}

static bool
has_payload(msgpack_object_type type)
{
    return type == MSGPACK_OBJECT_STR || type == MSGPACK_OBJECT_BIN || type == MSGPACK_OBJECT_EXT;
}

static bool
is_container(msgpack_object_type type)
{
    return type == MSGPACK_OBJECT_ARRAY || type == MSGPACK_OBJECT_MAP;
}

static uint64_t
children(const struct wire_head *head)
{
    return head->type == MSGPACK_OBJECT_MAP ? 2 * (uint64_t)head->u.count : head->u.count;
}

enum wire_result
wire_skip(const uint8_t *data, size_t size, size_t *offset, const struct proto_bounds *bounds)
{
    uint64_t left[WIRE_DEPTH]; /* values still to come at each open level */
    uint32_t depth = 0;
    uint64_t elements = 1;

    must(bounds->depth_max <= WIRE_DEPTH);
    for (;;) {
        struct wire_head head;
        enum wire_result result = wire_head(data, size, offset, &head);
        if (result != WIRE_OK)
            return result;
        if (has_payload(head.type)) {
            if (size - *offset < head.u.size)
                return WIRE_TRUNCATED;
            *offset += head.u.size;
        } else if (is_container(head.type)) {
            if (depth == bounds->depth_max)
                return WIRE_DEEP;
            uint64_t count = children(&head);
            /* Every value takes a byte at least: a count beyond what is there
             * is found out before anything believes it. */
            if (count > size - *offset)
                return WIRE_TRUNCATED;
            elements += count;
            if (elements > bounds->element_max)
                return WIRE_MANY;
            left[depth++] = count;
        }
        while (depth > 0 && left[depth - 1] == 0)
            depth--;
        if (depth == 0)
            return WIRE_OK;
        left[depth - 1]--;
    }
}

enum wire_result
wire_check(const uint8_t *data, size_t size, const struct proto_bounds *bounds)
{
    size_t offset = 0;
    enum wire_result result = wire_skip(data, size, &offset, bounds);
    if (result == WIRE_OK && offset != size)
        result = WIRE_TRAILING;
    return result;
}

int
wire_error(enum wire_result result, const struct proto_bounds *bounds, struct proto_error *err)
{
    switch (result) {
    case WIRE_TRUNCATED:
        return proto_error_set(err, -ASUP_EMALFORMED, "the message ends inside a value");
    case WIRE_RESERVED:
        return proto_error_set(err, -ASUP_EMALFORMED,
                               "the message holds the byte 0xc1, which is "
                               "not msgpack");
    case WIRE_DEEP:
        return proto_error_set(err, -ASUP_EMALFORMED,
                               "the message nests deeper than %u maps and lists",
                               bounds->depth_max);
    case WIRE_MANY:
        proto_error_set(err, -ASUP_ETOOLARGE, "the message holds more than %zu values",
                        bounds->element_max);
        memcpy(err->limit, "message-values", sizeof "message-values");
        return err->code;
    case WIRE_TRAILING:
        return proto_error_set(err, -ASUP_EMALFORMED, "bytes follow after the message's value");
    case WIRE_OK:
        break;
    }
    must(result != WIRE_OK);
    return proto_error_set(err, -ASUP_EINTERNAL, "no error");
}

/* ---- Unpacking --------------------------------------------------------------- */

/* A container being filled. */
struct frame {
    msgpack_object *values;   /* of a list */
    msgpack_object_kv *pairs; /* of a map */
    uint64_t next, count;     /* in values: a pair is two */
};

static msgpack_object *
frame_slot(struct frame *f)
{
    uint64_t at = f->next++;
    if (f->pairs)
        return at % 2 ? &f->pairs[at / 2].val : &f->pairs[at / 2].key;
    return &f->values[at];
}

static int
frame_open(struct frame *f, const struct wire_head *head, struct proto_memory *m,
           msgpack_object *slot)
{
    *f = (struct frame){.count = children(head)};
    if (head->type == MSGPACK_OBJECT_MAP) {
        f->pairs = proto_memory_take(m, head->u.count * sizeof *f->pairs);
        slot->via.map = (msgpack_object_map){.size = head->u.count, .ptr = f->pairs};
        return f->pairs ? 0 : -ASUP_ENOMEM;
    }
    f->values = proto_memory_take(m, head->u.count * sizeof *f->values);
    slot->via.array = (msgpack_object_array){.size = head->u.count, .ptr = f->values};
    return f->values ? 0 : -ASUP_ENOMEM;
}

static void
scalar(msgpack_object *slot, const struct wire_head *head, char *payload)
{
    switch (head->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        slot->via.boolean = head->u.boolean;
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        slot->via.u64 = head->u.u64;
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        slot->via.i64 = head->u.i64;
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        slot->via.f64 = head->u.f64;
        break;
    case MSGPACK_OBJECT_STR:
        slot->via.str = (msgpack_object_str){.size = head->u.size, .ptr = payload};
        /* This overwrites the head of what follows, in the copy only; heads
         * are read from the message itself. */
        payload[head->u.size] = '\0';
        break;
    case MSGPACK_OBJECT_BIN:
        slot->via.bin = (msgpack_object_bin){.size = head->u.size, .ptr = payload};
        break;
    case MSGPACK_OBJECT_EXT:
        slot->via.ext =
            (msgpack_object_ext){.type = head->ext, .size = head->u.size, .ptr = payload};
        break;
    default:
        break;
    }
}

int
wire_unpack(const uint8_t *data, size_t size, struct proto_memory *m, msgpack_object *out)
{
    struct frame stack[WIRE_DEPTH];
    uint32_t depth = 0;
    size_t offset = 0;
    msgpack_object *slot = out;

    char *copy = proto_memory_take(m, size + 1);
    if (!copy)
        return -ASUP_ENOMEM;
    memcpy(copy, data, size);

    for (;;) {
        struct wire_head head = {.type = MSGPACK_OBJECT_NIL};
        enum wire_result result = wire_head(data, size, &offset, &head);
        must(result == WIRE_OK);
        (void)result;
        memset(slot, 0, sizeof *slot);
        slot->type = head.type;
        if (is_container(head.type)) {
            must(depth < WIRE_DEPTH);
            if (frame_open(&stack[depth], &head, m, slot) < 0)
                return -ASUP_ENOMEM;
            depth++;
        } else {
            scalar(slot, &head, copy + offset);
            if (has_payload(head.type))
                offset += head.u.size;
        }
        while (depth > 0 && stack[depth - 1].next == stack[depth - 1].count)
            depth--;
        if (depth == 0)
            return 0;
        slot = frame_slot(&stack[depth - 1]);
    }
}
