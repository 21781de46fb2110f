/* SPDX-License-Identifier: MIT */
/* Values of fields: one by one, and lists and maps of them. */
#include "decode.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "text.h"

/* ---- Single values ------------------------------------------------------------------ */

/* A string of bytes in either of msgpack's two ways; false: it is none. */
static bool
string_of(const msgpack_object *object, struct proto_text *out)
{
    if (object->type == MSGPACK_OBJECT_STR)
        *out = (struct proto_text){object->via.str.ptr, object->via.str.size};
    else if (object->type == MSGPACK_OBJECT_BIN)
        *out = (struct proto_text){object->via.bin.ptr, object->via.bin.size};
    else
        return false;
    return true;
}

int
size_check(uint64_t size, const struct proto_field *field)
{
    if (size > field->max)
        return -ASUP_ETOOLARGE;
    return size < field->min ? -ASUP_EINVALID : 0;
}

static bool
name_is_fine(const struct proto_text *name)
{
    bool dots =
        name->data[0] == '.' && (name->size == 1 || (name->size == 2 && name->data[1] == '.'));
    return !dots && !memchr(name->data, '/', name->size);
}

/* Text of any of the three kinds; 0 or the code to refuse it with. */
int
text_decode(const struct decoder *d, const struct proto_field *field, const msgpack_object *object,
            struct proto_text *out)
{
    struct proto_text text;
    int rc;

    if (!string_of(object, &text))
        return -ASUP_EINVALID;
    rc = size_check(text.size, field);
    if (rc < 0)
        return rc;
    if (field->type == PROTO_OSTEXT) {
        if (memchr(text.data, '\0', text.size))
            return -ASUP_EINVALID;
    } else if (object->type != MSGPACK_OBJECT_STR || !text_is_utf8(text.data, text.size) ||
               text_has_control(text.data, text.size)) {
        return -ASUP_EINVALID;
    }
    if (field->type == PROTO_NAME && !name_is_fine(&text))
        return -ASUP_EINVALID;
    if (object->type == MSGPACK_OBJECT_BIN) {
        /* Unlike text, binary data was unpacked without a NUL after it. */
        char *copy = proto_memory_take(d->m, text.size + 1);
        if (!copy)
            return -ASUP_ENOMEM;
        memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
        text.data = copy;
    }
    *out = text;
    return 0;
}

/* "/" or "/a/b": every segment could be a name. */
static bool
path_is_fine(const char *data, size_t size)
{
    if (size == 0 || size > PROTO_REGION_PATH_MAX || data[0] != '/')
        return false;
    if (text_has_control(data, size))
        return false;
    for (size_t begin = 1; size > 1 && begin <= size;) {
        const char *slash = memchr(data + begin, '/', size - begin);
        size_t end = slash ? (size_t)(slash - data) : size;
        struct proto_text name = {data + begin, end - begin};
        if (name.size == 0 || name.size > ASUP_NAME_MAX || !name_is_fine(&name))
            return false;
        begin = end + 1;
    }
    return true;
}

bool
target_decode(const struct proto_field *field, const msgpack_object *object,
              struct proto_target *out)
{
    if (object->type != MSGPACK_OBJECT_STR)
        return false;
    const char *data = object->via.str.ptr;
    size_t size = object->via.str.size;
    if (asup_ref_parse(data, size, &out->ref) == 0)
        return field->type == PROTO_ANY || out->ref.sort == ASUP_SORT_REGION;
    out->ref = (struct asup_ref){0};
    if (!path_is_fine(data, size))
        return false;
    out->path = (struct proto_text){data, size};
    return true;
}

bool
id_decode(const struct proto_field *field, const msgpack_object *object, uint64_t *out)
{
    struct asup_ref ref;

    if (object->type != MSGPACK_OBJECT_STR ||
        asup_ref_parse(object->via.str.ptr, object->via.str.size, &ref) != 0 ||
        (char)ref.sort != field->sort)
        return false;
    *out = ref.id;
    return true;
}

bool
enum_decode(const struct proto_field *field, const msgpack_object *object, uint32_t *out)
{
    if (object->type != MSGPACK_OBJECT_STR)
        return false;
    for (uint32_t i = 0; field->names[i]; i++) {
        if (strlen(field->names[i]) == object->via.str.size &&
            memcmp(field->names[i], object->via.str.ptr, object->via.str.size) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool
number_is_fine(const struct proto_field *field, const msgpack_object *object)
{
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return field->type == PROTO_INT && object->via.i64 >= (int64_t)field->min;
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return false;
    if (field->type == PROTO_INT)
        return object->via.u64 <= field->max;
    return object->via.u64 >= field->min && object->via.u64 <= field->max;
}

/* ---- Lists and maps ----------------------------------------------------------------- */

static const struct proto_field argument_field = {
    .type = PROTO_OSTEXT, .min = 0, .max = PROTO_ARG_SIZE_MAX};

int
texts_decode(const struct decoder *d, const struct proto_field *field, const msgpack_object *object,
             const struct place *at, struct proto_texts *out)
{
    if (object->type != MSGPACK_OBJECT_ARRAY)
        return field_wrong(d, field, at, object, -ASUP_EINVALID);
    uint32_t count = object->via.array.size;
    int rc = size_check(count, field);
    if (rc < 0)
        return field_wrong(d, field, at, object, rc);

    struct proto_text *items = proto_memory_take(d->m, count * sizeof *items);
    if (!items)
        return field_refuse(d, at, -ASUP_ENOMEM, "found no memory");
    for (uint32_t i = 0; i < count; i++) {
        struct place here = {.up = at, .index = i};
        const msgpack_object *element = &object->via.array.ptr[i];
        rc = text_decode(d, &argument_field, element, &items[i]);
        if (rc < 0)
            return field_wrong(d, &argument_field, &here, element, rc);
    }
    *out = (struct proto_texts){items, count};
    return 0;
}

static int
assignment_order(const void *a, const void *b)
{
    const struct proto_text *x = &((const struct proto_assignment *)a)->name;
    const struct proto_text *y = &((const struct proto_assignment *)b)->name;
    size_t common = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->data, y->data, common);

    if (order == 0)
        order = (x->size > y->size) - (x->size < y->size);
    return order;
}

static int
assignment_decode(const struct decoder *d, const msgpack_object_kv *pair, const struct place *up,
                  struct proto_assignment *out)
{
    static const struct proto_field name_field = {
        .type = PROTO_OSTEXT, .min = 1, .max = PROTO_ARG_SIZE_MAX};
    int rc = text_decode(d, &name_field, &pair->key, &out->name);

    if (rc < 0 || memchr(out->name.data, '=', out->name.size))
        return field_refuse(d, up, rc < 0 ? rc : -ASUP_EINVALID,
                            "has a name that is no string of 1 to %zu bytes without \"=\" and NUL",
                            PROTO_ARG_SIZE_MAX);
    struct place here = {.up = up, .key = out->name.data, .key_size = out->name.size};
    rc = text_decode(d, &argument_field, &pair->val, &out->value);
    if (rc == 0 && out->name.size + 1 + out->value.size > PROTO_ARG_SIZE_MAX)
        rc = -ASUP_ETOOLARGE;
    return rc < 0 ? field_wrong(d, &argument_field, &here, &pair->val, rc) : 0;
}

/* Sorted by name, which finds names that come twice. */
int
environment_decode(const struct decoder *d, const struct proto_field *field,
                   const msgpack_object *object, const struct place *at,
                   struct proto_environment *out)
{
    if (object->type != MSGPACK_OBJECT_MAP)
        return field_wrong(d, field, at, object, -ASUP_EINVALID);
    uint32_t count = object->via.map.size;
    int rc = size_check(count, field);
    if (rc < 0)
        return field_wrong(d, field, at, object, rc);

    struct proto_assignment *items = proto_memory_take(d->m, count * sizeof *items);
    if (!items)
        return field_refuse(d, at, -ASUP_ENOMEM, "found no memory");
    for (uint32_t i = 0; i < count; i++) {
        rc = assignment_decode(d, &object->via.map.ptr[i], at, &items[i]);
        if (rc < 0)
            return rc;
    }
    qsort(items, count, sizeof *items, assignment_order);
    for (uint32_t i = 1; i < count; i++) {
        struct place here = {.up = at, .key = items[i].name.data, .key_size = items[i].name.size};
        if (assignment_order(&items[i - 1], &items[i]) == 0)
            return field_refuse(d, &here, -ASUP_EMALFORMED, "comes twice");
    }
    *out = (struct proto_environment){items, count};
    return 0;
}

static bool
rlimit_number(const msgpack_object *object, uint64_t *out)
{
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return false;
    *out = object->via.u64;
    return *out <= (uint64_t)INT64_MAX || *out == UINT64_MAX;
}

static bool
rlimit_value(const msgpack_object *object, struct proto_rlimit *out)
{
    if (object->type == MSGPACK_OBJECT_ARRAY && object->via.array.size == 2)
        return rlimit_number(&object->via.array.ptr[0], &out->soft) &&
               rlimit_number(&object->via.array.ptr[1], &out->hard) && out->soft <= out->hard;
    if (!rlimit_number(object, &out->soft))
        return false;
    out->hard = out->soft;
    return true;
}

static const struct proto_rlimit_name *
rlimit_find(const msgpack_object *key)
{
    if (key->type != MSGPACK_OBJECT_STR)
        return NULL;
    for (const struct proto_rlimit_name *row = proto_rlimit_names; row->name; row++) {
        if (strlen(row->name) == key->via.str.size &&
            memcmp(row->name, key->via.str.ptr, key->via.str.size) == 0)
            return row;
    }
    return NULL;
}

int
rlimits_decode(const struct decoder *d, const struct proto_field *field,
               const msgpack_object *object, const struct place *at, struct proto_rlimits *out)
{
    uint32_t seen = 0;

    if (object->type != MSGPACK_OBJECT_MAP)
        return field_wrong(d, field, at, object, -ASUP_EINVALID);
    uint32_t count = object->via.map.size;
    if (count > field->max)
        return field_wrong(d, field, at, object, -ASUP_ETOOLARGE);

    struct proto_rlimit *items = proto_memory_take(d->m, count * sizeof *items);
    if (!items)
        return field_refuse(d, at, -ASUP_ENOMEM, "found no memory");
    for (uint32_t i = 0; i < count; i++) {
        const msgpack_object_kv *pair = &object->via.map.ptr[i];
        const struct proto_rlimit_name *row = rlimit_find(&pair->key);
        if (!row)
            return field_refuse(d, at, -ASUP_EINVALID,
                                "has a name that is no resource limit; they are called as in "
                                "setrlimit(2), in lower case, such as \"nofile\"");
        struct place here = {.up = at, .key = row->name, .key_size = strlen(row->name)};
        if (seen & 1u << row->resource)
            return field_refuse(d, &here, -ASUP_EMALFORMED, "comes twice");
        seen |= 1u << row->resource;
        items[i].resource = row->resource;
        if (!rlimit_value(&pair->val, &items[i]))
            return field_refuse(d, &here, -ASUP_EINVALID,
                                "must be a number or [soft, hard], soft not above hard; "
                                "2^64-1 means no limit");
    }
    *out = (struct proto_rlimits){items, count};
    return 0;
}
