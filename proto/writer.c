/* SPDX-License-Identifier: MIT */
#include "writer.h"

#include <stdlib.h>
#include <string.h>

#include <msgpack/pack.h>

#include "asupersync/values.h"
#include "must.h"

/* Headers of open containers: their counts are written when they end. A map
 * of ours has few keys; a list may have any number of values. */
#define MAP_HEAD 3
#define LIST_HEAD 5
#define MAP_COUNT_MAX 0xffffu

void
proto_writer_init(struct proto_writer *w)
{
    *w = (struct proto_writer){0};
}

void
proto_writer_fini(struct proto_writer *w)
{
    free(w->data);
    proto_writer_init(w);
}

void
proto_writer_clear(struct proto_writer *w)
{
    w->size = 0;
    w->failed = false;
    w->depth = 0;
}

char *
proto_writer_take(struct proto_writer *w, size_t *size)
{
    char *data = NULL;

    must(w->depth == 0 || w->failed);
    if (!w->failed) {
        data = w->data;
        *size = w->size;
        w->data = NULL;
    }
    proto_writer_fini(w);
    return data;
}

/* msgpack-c's packer writes through this. */
static int
append(void *context, const char *data, size_t size)
{
    struct proto_writer *w = context;

    if (w->failed)
        return -1;
    if (w->capacity - w->size < size) {
        size_t capacity = w->capacity ? w->capacity : 256;
        while (capacity - w->size < size)
            capacity *= 2;
        char *grown = realloc(w->data, capacity);
        if (!grown) {
            w->failed = true;
            return -1;
        }
        w->data = grown;
        w->capacity = capacity;
    }
    if (size > 0)
        memcpy(w->data + w->size, data, size);
    w->size += size;
    return 0;
}

/* Every value of a list counts; in a map the keys do. */
static msgpack_packer
next_value(struct proto_writer *w)
{
    msgpack_packer packer;

    if (w->depth > 0 && !w->open[w->depth - 1].is_map)
        w->open[w->depth - 1].count++;
    msgpack_packer_init(&packer, w, append);
    return packer;
}

static void
container_open(struct proto_writer *w, bool is_map)
{
    static const char blank[LIST_HEAD];

    (void)next_value(w);
    must(w->depth < PROTO_WRITER_DEPTH);
    w->open[w->depth].at = w->size;
    w->open[w->depth].count = 0;
    w->open[w->depth].is_map = is_map;
    w->depth++;
    append(w, blank, is_map ? MAP_HEAD : LIST_HEAD);
}

void
pw_map(struct proto_writer *w)
{
    container_open(w, true);
}

void
pw_list(struct proto_writer *w)
{
    container_open(w, false);
}

void
pw_end(struct proto_writer *w)
{
    must(w->depth > 0);
    w->depth--;
    if (w->failed)
        return;

    uint8_t *head = (uint8_t *)w->data + w->open[w->depth].at;
    uint32_t count = w->open[w->depth].count;
    if (w->open[w->depth].is_map) {
        must(count <= MAP_COUNT_MAX);
        head[0] = 0xde;
        head[1] = (uint8_t)(count >> 8);
        head[2] = (uint8_t)count;
    } else {
        head[0] = 0xdd;
        head[1] = (uint8_t)(count >> 24);
        head[2] = (uint8_t)(count >> 16);
        head[3] = (uint8_t)(count >> 8);
        head[4] = (uint8_t)count;
    }
}

void
pw_key_text(struct proto_writer *w, const char *data, size_t size)
{
    must(w->depth > 0 && w->open[w->depth - 1].is_map);
    w->open[w->depth - 1].count++;
    msgpack_packer packer = next_value(w);
    msgpack_pack_str_with_body(&packer, data, size);
}

void
pw_key(struct proto_writer *w, const char *key)
{
    pw_key_text(w, key, strlen(key));
}

void
pw_nil(struct proto_writer *w)
{
    msgpack_packer packer = next_value(w);
    msgpack_pack_nil(&packer);
}

void
pw_bool(struct proto_writer *w, bool value)
{
    msgpack_packer packer = next_value(w);
    if (value)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
}

void
pw_uint(struct proto_writer *w, uint64_t value)
{
    msgpack_packer packer = next_value(w);
    msgpack_pack_uint64(&packer, value);
}

void
pw_int(struct proto_writer *w, int64_t value)
{
    msgpack_packer packer = next_value(w);
    msgpack_pack_int64(&packer, value);
}

void
pw_str(struct proto_writer *w, const char *text)
{
    pw_text(w, text, text ? strlen(text) : 0);
}

void
pw_text(struct proto_writer *w, const char *data, size_t size)
{
    if (!data) {
        pw_nil(w);
        return;
    }
    msgpack_packer packer = next_value(w);
    msgpack_pack_str_with_body(&packer, data, size);
}

void
pw_bytes(struct proto_writer *w, const void *data, size_t size)
{
    if (!data) {
        pw_nil(w);
        return;
    }
    msgpack_packer packer = next_value(w);
    msgpack_pack_bin_with_body(&packer, data, size);
}

void
pw_id(struct proto_writer *w, enum asup_sort sort, uint64_t id)
{
    char text[ASUP_REF_TEXT_SIZE];
    int size = asup_ref_format((struct asup_ref){.id = id, .sort = sort}, text, sizeof text);

    if (size < 0)
        pw_nil(w);
    else
        pw_text(w, text, (size_t)size);
}

void
pw_time(struct proto_writer *w, asup_time value)
{
    if (value == ASUP_NEVER)
        pw_nil(w);
    else
        pw_uint(w, value);
}

void
pw_raw(struct proto_writer *w, const void *data, size_t size)
{
    (void)next_value(w);
    append(w, data, size);
}

void
pw_object(struct proto_writer *w, const msgpack_object *object)
{
    msgpack_packer packer = next_value(w);
    msgpack_pack_object(&packer, *object);
}
