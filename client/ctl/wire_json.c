/* SPDX-License-Identifier: MIT */
#include "wire_json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "text.h"

/* ---- Reading --------------------------------------------------------------------- */

struct reader {
    const unsigned char *at;
    size_t left;
    const void *bytes; /* payload of the last string or byte string */
    size_t bytes_size;
};

enum wire_type {
    WIRE_BROKEN,
    WIRE_NIL,
    WIRE_FALSE,
    WIRE_TRUE,
    WIRE_UINT,
    WIRE_INT,
    WIRE_REAL,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_ARRAY,
    WIRE_MAP,
};

static bool
read_big_endian(struct reader *r, size_t size, uint64_t *value)
{
    if (r->left < size)
        return false;
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value = *value << 8 | r->at[i];
    r->at += size;
    r->left -= size;
    return true;
}

static enum wire_type
read_payload(struct reader *r, enum wire_type type, uint64_t size)
{
    if (size > r->left)
        return WIRE_BROKEN;
    r->bytes = r->at;
    r->bytes_size = (size_t)size;
    r->at += size;
    r->left -= (size_t)size;
    return type;
}

static int64_t
sign_extend(uint64_t value, size_t size)
{
    unsigned shift = 64 - 8 * (unsigned)size;

    return (int64_t)(value << shift) >> shift;
}

static enum wire_type
read_real(struct reader *r, bool is_double, double *real)
{
    uint64_t bits;

    if (!read_big_endian(r, is_double ? 8 : 4, &bits))
        return WIRE_BROKEN;
    if (is_double) {
        memcpy(real, &bits, sizeof *real);
    } else {
        uint32_t half = (uint32_t)bits;
        float single;
        memcpy(&single, &half, sizeof single);
        *real = (double)single;
    }
    return WIRE_REAL;
}

/* One head. `number` is the value, or the count of items. */
static enum wire_type
read_head(struct reader *r, uint64_t *number, double *real)
{
    uint64_t head;

    if (!read_big_endian(r, 1, &head))
        return WIRE_BROKEN;
    *number = head;
    if (head < 0x80)
        return WIRE_UINT;
    if (head < 0x90) {
        *number = head & 0x0f;
        return WIRE_MAP;
    }
    if (head < 0xa0) {
        *number = head & 0x0f;
        return WIRE_ARRAY;
    }
    if (head < 0xc0)
        return read_payload(r, WIRE_STRING, head & 0x1f);
    if (head >= 0xe0) {
        *number = (uint64_t)sign_extend(head, 1);
        return WIRE_INT;
    }
    switch (head) {
    case 0xc0:
        return WIRE_NIL;
    case 0xc2:
        return WIRE_FALSE;
    case 0xc3:
        return WIRE_TRUE;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return read_big_endian(r, (size_t)1 << (head - 0xc4), number)
                   ? read_payload(r, WIRE_BYTES, *number)
                   : WIRE_BROKEN;
    case 0xca:
    case 0xcb:
        return read_real(r, head == 0xcb, real);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return read_big_endian(r, (size_t)1 << (head - 0xcc), number) ? WIRE_UINT : WIRE_BROKEN;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: {
        size_t size = (size_t)1 << (head - 0xd0);
        if (!read_big_endian(r, size, number))
            return WIRE_BROKEN;
        *number = (uint64_t)sign_extend(*number, size);
        return WIRE_INT;
    }
    case 0xd9:
    case 0xda:
    case 0xdb:
        return read_big_endian(r, (size_t)1 << (head - 0xd9), number)
                   ? read_payload(r, WIRE_STRING, *number)
                   : WIRE_BROKEN;
    case 0xdc:
    case 0xdd:
        return read_big_endian(r, (size_t)2 << (head - 0xdc), number) ? WIRE_ARRAY : WIRE_BROKEN;
    case 0xde:
    case 0xdf:
        return read_big_endian(r, (size_t)2 << (head - 0xde), number) ? WIRE_MAP : WIRE_BROKEN;
    default:
        return WIRE_BROKEN; /* extensions are not spoken here */
    }
}

json_t *
json_text(const char *bytes, size_t size)
{
    struct text t = {0};
    size_t at = 0;

    text_put(&t, "", 0);
    while (at < size) {
        bool bad;
        size_t good = utf8_valid(bytes + at, size - at, &bad);
        text_put(&t, bytes + at, good);
        at += good;
        if (at < size) {
            text_add(&t, "\xef\xbf\xbd");
            at++;
        }
    }
    json_t *value = json_stringn(t.data, t.size);
    text_free(&t);
    return value;
}

static json_t *read_value(struct reader *r, unsigned depth);

static json_t *
read_map(struct reader *r, uint64_t count, unsigned depth)
{
    json_t *object = json_object();

    for (uint64_t i = 0; i < count; i++) {
        uint64_t number;
        double real;
        if (read_head(r, &number, &real) != WIRE_STRING)
            goto broken;
        json_t *key = json_text(r->bytes, r->bytes_size);
        json_t *value = read_value(r, depth);
        int rc = value == NULL ? -1 : json_object_set_new(object, json_string_value(key), value);
        json_decref(key);
        if (rc != 0)
            goto broken;
    }
    return object;
broken:
    json_decref(object);
    return NULL;
}

static json_t *
read_array(struct reader *r, uint64_t count, unsigned depth)
{
    json_t *array = json_array();

    for (uint64_t i = 0; i < count; i++) {
        json_t *value = read_value(r, depth);
        if (value == NULL || json_array_append_new(array, value) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *
read_value(struct reader *r, unsigned depth)
{
    uint64_t number = 0;
    double real = 0;

    if (depth >= WIRE_DEPTH_MAX)
        return NULL;
    switch (read_head(r, &number, &real)) {
    case WIRE_NIL:
        return json_null();
    case WIRE_FALSE:
        return json_false();
    case WIRE_TRUE:
        return json_true();
    case WIRE_UINT:
        return number > INT64_MAX ? json_null() : json_integer((json_int_t)number);
    case WIRE_INT:
        return json_integer((json_int_t)number);
    case WIRE_REAL:
        return json_real(real); /* NULL for what JSON has no number for */
    case WIRE_STRING:
        return json_text(r->bytes, r->bytes_size);
    case WIRE_BYTES: {
        char *letters = base64_encode(r->bytes, r->bytes_size);
        json_t *value = json_string(letters);
        free(letters);
        return value;
    }
    case WIRE_ARRAY:
        return read_array(r, number, depth + 1);
    case WIRE_MAP:
        return read_map(r, number, depth + 1);
    case WIRE_BROKEN:
        break;
    }
    return NULL;
}

json_t *
wire_to_json(const void *bytes, size_t size)
{
    struct reader r = {.at = bytes, .left = size};
    json_t *value = read_value(&r, 0);

    if (value != NULL && r.left != 0) {
        json_decref(value);
        return NULL;
    }
    return value;
}

/* ---- Writing ------------------------------------------------------------------------ */

/* No key of the protocol begins like this. */
#define BYTES_KEY "\001bytes"
#define ENDLESS_KEY "\001endless"

json_t *
json_wire_endless(void)
{
    return json_pack("{s:b}", ENDLESS_KEY, 1);
}

json_t *
json_wire_bytes(const void *bytes, size_t size)
{
    char *letters = base64_encode(bytes, size);
    json_t *value = json_pack("{s:s}", BYTES_KEY, letters);

    free(letters);
    return value;
}

/* What JSON has no value for. Returns whether it was that. */
static bool
write_special(msgpack_packer *packer, const json_t *object)
{
    const char *letters = json_string_value(json_object_get(object, BYTES_KEY));
    size_t size = 0;

    if (json_object_size(object) != 1)
        return false;
    if (json_is_true(json_object_get(object, ENDLESS_KEY))) {
        msgpack_pack_uint64(packer, UINT64_MAX);
        return true;
    }
    unsigned char *raw = letters != NULL ? base64_decode(letters, &size) : NULL;
    if (raw == NULL)
        return false;
    msgpack_pack_bin(packer, size);
    msgpack_pack_bin_body(packer, raw, size);
    free(raw);
    return true;
}

static void
write_value(msgpack_packer *packer, json_t *value)
{
    const char *key;
    json_t *item;
    size_t size;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        if (write_special(packer, value))
            return;
        msgpack_pack_map(packer, json_object_size(value));
        json_object_foreach(value, key, item)
        {
            msgpack_pack_str(packer, strlen(key));
            msgpack_pack_str_body(packer, key, strlen(key));
            write_value(packer, item);
        }
        return;
    case JSON_ARRAY:
        size = json_array_size(value);
        msgpack_pack_array(packer, size);
        for (size_t i = 0; i < size; i++)
            write_value(packer, json_array_get(value, i));
        return;
    case JSON_STRING:
        size = json_string_length(value);
        msgpack_pack_str(packer, size);
        msgpack_pack_str_body(packer, json_string_value(value), size);
        return;
    case JSON_INTEGER:
        if (json_integer_value(value) < 0)
            msgpack_pack_int64(packer, json_integer_value(value));
        else
            msgpack_pack_uint64(packer, (uint64_t)json_integer_value(value));
        return;
    case JSON_REAL:
        msgpack_pack_double(packer, json_real_value(value));
        return;
    case JSON_TRUE:
        msgpack_pack_true(packer);
        return;
    case JSON_FALSE:
        msgpack_pack_false(packer);
        return;
    case JSON_NULL:
        msgpack_pack_nil(packer);
        return;
    }
}

void *
json_to_wire(json_t *value, size_t *size)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    write_value(&packer, value);
    *size = buffer.size;
    return msgpack_sbuffer_release(&buffer);
}
