/* SPDX-License-Identifier: MIT */
#include "core/event.h"
#include "core/snapshot.h"

struct saving {
    const struct durable_sink *to;
    uint64_t frames;
};

uint64_t
frame_check(uint64_t number, const uint8_t *data, size_t size)
{
    return hash_bytes(hash_mix(FRAME_SEED, number), data, size);
}

/* The head lies before the data. */
static int
frame_write(struct coder_out *o)
{
    struct saving *s = o->ctx;
    uint8_t *head = o->data - FRAME_HEAD;
    uint64_t check = frame_check(s->frames++, o->data, o->size);
    size_t size = o->size;

    for (unsigned i = 0; i < 4; i++)
        head[i] = (uint8_t)(size >> (8 * i));
    for (unsigned i = 0; i < 8; i++)
        head[4 + i] = (uint8_t)(check >> (8 * i));
    o->size = 0;
    return s->to->write(s->to->ctx, head, FRAME_HEAD + size);
}

static int
frame_full(struct coder_out *o, size_t need)
{
    (void)need;
    return frame_write(o);
}

static void
section_save(struct coder_out *o, const struct kernel *k, const struct section *s)
{
    const struct arena *a = section_arena(k, s);
    uint32_t at;

    out_number(o, s->number);
    out_number(o, a->used);
    for (uint32_t i = 0; i < a->used; i++) {
        const void *record = arena_at(a, i);
        uint64_t key;

        memcpy(&key, record, sizeof key);
        out_number(o, key != 0);
        if (key == 0)
            continue;
        out_struct(o, s->table, record);
        if (s->variant != NULL && s->variant(record) != NULL)
            out_struct(o, s->variant(record), record);
    }
    /* In the order in which they will be used again. */
    at = a->free_top;
    for (uint32_t n = 0; n < a->free_count; n++) {
        out_number(o, at);
        at = arena_free_next(a, at);
    }
}

int
kernel_save(const struct kernel *k, const struct durable_sink *to)
{
    const struct kernel_allocator *a = &k->allocator;
    uint8_t *memory = a->resize(a->ctx, NULL, 0, FRAME_SIZE_MAX);
    struct saving saving = {.to = to};
    struct coder_out o = {
        .room = frame_full,
        .ctx = &saving,
        .heap = &k->heap,
    };

    if (memory == NULL)
        return -ASUP_ENOMEM;
    o.data = memory + FRAME_HEAD;
    o.capacity = FRAME_SIZE_MAX - FRAME_HEAD;
    o.rc = to->write(to->ctx, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_SIZE);
    out_number(&o, SNAPSHOT_VERSION);
    out_struct(&o, &kernel_table, k);
    for (size_t i = 0; i < section_count; i++)
        section_save(&o, k, &sections[i]);
    out_number(&o, 0);
    if (o.rc == 0)
        o.rc = frame_write(&o);
    memory_release(a, memory, FRAME_SIZE_MAX, 1);
    return o.rc;
}

uint64_t
kernel_durable_seq(const struct kernel *k)
{
    return k->durable_seq;
}

uint64_t
kernel_event_seq(const struct kernel *k)
{
    return k->event_seq;
}

asup_time
kernel_event_time(const struct kernel *k)
{
    return k->event_at;
}

bool
kernel_recovering(const struct kernel *k)
{
    return k->recovering;
}
