/* SPDX-License-Identifier: MIT */
#include "core/codec.h"

/* ---- Tables ------------------------------------------------------------------- */

static size_t
alignment_of(const struct field *f)
{
    size_t most = 1;

    switch ((enum field_code)f->code) {
    case FIELD_RAW:
        return 1;
    case FIELD_STRUCT:
        for (uint16_t i = 0; i < f->table->count; i++) {
            size_t own = alignment_of(&f->table->fields[i]);

            most = own > most ? own : most;
        }
        return most;
    default:
        return f->size == 0 ? 1 : f->size <= 8 ? f->size : 8;
    }
}

static size_t
rounded(size_t at, size_t alignment)
{
    return alignment <= 1 ? at : (at + alignment - 1) / alignment * alignment;
}

/* The row that begins at or after an offset, first of all; NULL: none. */
static const struct field *
field_from(const struct table *t, size_t at)
{
    const struct field *first = NULL;

    for (uint16_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];

        if (f->offset >= at && (first == NULL || f->offset < first->offset))
            first = f;
    }
    return first;
}

long
table_uncovered(const struct table *t)
{
    const struct field *f;
    size_t at = 0;
    size_t most = 1;
    uint16_t rows = 0;

    while ((f = field_from(t, at)) != NULL) {
        size_t alignment = alignment_of(f);

        most = alignment > most ? alignment : most;
        if (f->offset != rounded(at, alignment))
            return (long)at;
        if (f->code == FIELD_STRUCT && table_uncovered(f->table) >= 0)
            return (long)f->offset + table_uncovered(f->table);
        if (f->code == FIELD_STRUCT && f->table->size != f->size)
            return (long)f->offset;
        at = f->offset + (size_t)f->size * f->repeat;
        rows++;
    }
    if (rows != t->count) /* one of them begins inside another */
        return (long)at;
    return t->size == rounded(at, most) ? -1 : (long)at;
}

/* ---- Writing -------------------------------------------------------------------- */

static bool
out_room(struct coder_out *o, size_t need)
{
    if (o->rc == 0 && o->capacity - o->size < need)
        o->rc = o->room(o, need);
    return o->rc == 0;
}

void
out_bytes(struct coder_out *o, const void *data, size_t size)
{
    const uint8_t *p = data;

    while (size > 0 && out_room(o, 1)) {
        size_t part = o->capacity - o->size < size ? o->capacity - o->size : size;

        memcpy(o->data + o->size, p, part);
        o->size += part;
        p += part;
        size -= part;
    }
}

void
out_number(struct coder_out *o, uint64_t value)
{
    uint8_t *p;

    if (!out_room(o, 10))
        return;
    p = o->data + o->size;
    while (value >= 0x80) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    o->size = (size_t)(p - o->data);
}

static uint64_t
mask_of(size_t width)
{
    return width >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * width)) - 1;
}

void
out_field(struct coder_out *o, uint64_t value, size_t width)
{
    out_number(o, (value + 1) & mask_of(width));
}

void
out_text(struct coder_out *o, struct bytes text)
{
    out_number(o, text.size);
    out_bytes(o, text.data, text.size);
}

static uint64_t
number_at(const uint8_t *p, size_t width)
{
    uint64_t eight;
    uint32_t four;
    uint16_t two;

    switch (width) {
    case 8:
        memcpy(&eight, p, 8);
        return eight;
    case 4:
        memcpy(&four, p, 4);
        return four;
    case 2:
        memcpy(&two, p, 2);
        return two;
    default:
        return *p;
    }
}

static void
number_set(uint8_t *p, size_t width, uint64_t value)
{
    uint32_t four = (uint32_t)value;
    uint16_t two = (uint16_t)value;

    switch (width) {
    case 8:
        memcpy(p, &value, 8);
        break;
    case 4:
        memcpy(p, &four, 4);
        break;
    case 2:
        memcpy(p, &two, 2);
        break;
    default:
        *p = (uint8_t)value;
        break;
    }
}

static void
out_one(struct coder_out *o, const struct field *f, const uint8_t *p)
{
    size_t size = f->size;

    switch ((enum field_code)f->code) {
    case FIELD_NUMBER:
    case FIELD_INDEX:
        out_field(o, number_at(p, size), size);
        break;
    case FIELD_RAW:
        while (size > 0 && p[size - 1] == 0)
            size--;
        out_text(o, (struct bytes){p, size});
        break;
    case FIELD_STRUCT:
        out_struct(o, f->table, p);
        break;
    case FIELD_TEXT:
        out_text(o, heap_get(o->heap, (uint32_t)number_at(p, 4)));
        break;
    case FIELD_SKIP:
        break;
    }
}

/* Nested structs are few and shallow: their tables are constants. */
void
out_struct(struct coder_out *o, const struct table *t, const void *from)
{
    out_number(o, t->count);
    for (uint16_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        const uint8_t *p = (const uint8_t *)from + f->offset;

        if (f->repeat > 1)
            out_number(o, f->repeat);
        for (uint16_t n = 0; n < f->repeat; n++)
            out_one(o, f, p + (size_t)n * f->size);
    }
}

/* ---- Reading --------------------------------------------------------------------- */

void
in_fail(struct coder_in *i, int code)
{
    if (i->rc == 0)
        i->rc = code;
    i->at = i->end;
    i->more = NULL;
}

static bool
in_there(struct coder_in *i)
{
    if (i->at < i->end)
        return true;
    if (i->rc == 0 && (i->more == NULL || !i->more(i) || i->at >= i->end))
        in_fail(i, -ASUP_EMALFORMED);
    return i->rc == 0;
}

void
in_bytes(struct coder_in *i, void *data, size_t size)
{
    uint8_t *p = data;

    while (size > 0 && in_there(i)) {
        size_t part = (size_t)(i->end - i->at) < size ? (size_t)(i->end - i->at) : size;

        memcpy(p, i->at, part);
        i->at += part;
        p += part;
        size -= part;
    }
    if (size > 0)
        memset(p, 0, size);
}

uint64_t
in_number(struct coder_in *i)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && in_there(i); shift += 7) {
        uint8_t byte = *i->at++;

        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    in_fail(i, -ASUP_EMALFORMED);
    return 0;
}

uint64_t
in_field(struct coder_in *i, size_t width)
{
    uint64_t value = in_number(i);

    if (value > mask_of(width))
        in_fail(i, -ASUP_EMALFORMED);
    return i->rc == 0 ? (value - 1) & mask_of(width) : 0;
}

struct bytes
in_text(struct coder_in *i)
{
    const struct kernel_allocator *a = &i->text->allocator;
    uint64_t size = in_number(i);

    /* Only as much memory as there are bytes: a length may be a lie. */
    i->text->size = 0;
    while (i->text->size < size && in_there(i)) {
        size_t part = (size_t)(i->end - i->at);
        void *data = i->text->data;

        part = part < size - i->text->size ? part : (size_t)size - i->text->size;
        if (!memory_reserve(a, &data, &i->text->capacity, i->text->size + part, 1)) {
            in_fail(i, -ASUP_ENOMEM);
            break;
        }
        i->text->data = data;
        in_bytes(i, i->text->data + i->text->size, part);
        i->text->size += part;
    }
    if (i->rc != 0)
        i->text->size = 0;
    return (struct bytes){i->text->size == 0 ? "" : (const char *)i->text->data, i->text->size};
}

static void
in_raw(struct coder_in *i, uint8_t *p, size_t size)
{
    uint64_t used = in_number(i);

    if (used > size)
        in_fail(i, -ASUP_EMALFORMED);
    memset(p, 0, size);
    if (i->rc == 0)
        in_bytes(i, p, (size_t)used);
}

static void
in_heap(struct coder_in *i, uint8_t *p)
{
    struct kernel *k = i->kernel;
    struct heap_need need = {{0}};
    struct bytes text = in_text(i);

    if (i->rc == 0 && !(heap_want(&k->heap, &k->allocator, &need, text.size) &&
                        heap_reserve(&k->heap, &k->allocator, &need)))
        in_fail(i, -ASUP_ENOMEM);
    number_set(p, 4, i->rc == 0 ? heap_put(&k->heap, &k->allocator, text) : 0);
}

static void
in_one(struct coder_in *i, const struct field *f, uint8_t *p)
{
    uint64_t value;

    switch ((enum field_code)f->code) {
    case FIELD_NUMBER:
    case FIELD_INDEX:
        value = in_field(i, f->size);
        if (f->most != 0 && value > f->most)
            in_fail(i, -ASUP_EMALFORMED);
        number_set(p, f->size, i->rc == 0 ? value : 0);
        break;
    case FIELD_RAW:
        in_raw(i, p, f->size);
        break;
    case FIELD_STRUCT:
        in_struct(i, f->table, p);
        break;
    case FIELD_TEXT:
        in_heap(i, p);
        break;
    case FIELD_SKIP:
        break;
    }
}

/* What was not written. */
static void
preset_one(const struct field *f, uint8_t *p)
{
    if (f->code == FIELD_STRUCT) {
        for (uint16_t i = 0; i < f->table->count; i++) {
            const struct field *own = &f->table->fields[i];

            for (uint16_t n = 0; n < own->repeat; n++)
                preset_one(own, p + own->offset + (size_t)n * own->size);
        }
    } else if (f->code == FIELD_INDEX) {
        number_set(p, 4, NIL);
    } else if (f->code == FIELD_NUMBER) {
        number_set(p, f->size, f->preset);
    } else if (f->code != FIELD_SKIP) {
        memset(p, 0, f->size);
    }
}

void
in_struct(struct coder_in *i, const struct table *t, void *to)
{
    uint64_t count = in_number(i);

    if (count > t->count)
        in_fail(i, -ASUP_EUNSUPPORTED);
    for (uint16_t n = 0; n < t->count; n++) {
        const struct field *f = &t->fields[n];
        uint8_t *p = (uint8_t *)to + f->offset;
        uint64_t there = n >= count ? 0 : f->repeat > 1 ? in_number(i) : 1;

        if (there > f->repeat)
            in_fail(i, -ASUP_EUNSUPPORTED);
        for (uint16_t e = 0; e < f->repeat; e++) {
            if (e < there && i->rc == 0)
                in_one(i, f, p + (size_t)e * f->size);
            else
                preset_one(f, p + (size_t)e * f->size);
        }
    }
}

void
durable_buffer_fini(struct durable_buffer *b)
{
    memory_release(&b->allocator, b->data, b->capacity, 1);
    b->data = NULL;
    b->size = b->capacity = 0;
}
