/* SPDX-License-Identifier: MIT */
/*
 * Reading a snapshot. Nothing in it is believed: numbers have bounds, memory is
 * taken as bytes come, links are checked (load_check.c) before anything walks
 * them, and at the end every invariant holds.
 */
#include "core/decide.h"
#include "core/snapshot.h"

/* ---- Frames ------------------------------------------------------------------------ */

struct loading {
    const struct durable_source *from;
    uint64_t frames;
    uint8_t *memory; /* of one frame */
};

/* 0: all of it came. */
static int
read_all(const struct durable_source *from, uint8_t *data, size_t size)
{
    while (size > 0) {
        long part = from->read(from->ctx, data, size);

        if (part < 0)
            return (int)part;
        if (part == 0 || (size_t)part > size)
            return -ASUP_EMALFORMED;
        data += part;
        size -= (size_t)part;
    }
    return 0;
}

static uint64_t
little(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static bool
frame_read(struct coder_in *i)
{
    struct loading *l = i->ctx;
    uint8_t head[FRAME_HEAD];
    int rc = read_all(l->from, head, sizeof head);
    size_t size = (size_t)little(head, 4);

    if (rc == 0 && (size == 0 || size > FRAME_SIZE_MAX))
        rc = -ASUP_EMALFORMED;
    if (rc == 0)
        rc = read_all(l->from, l->memory, size);
    if (rc == 0 && !check_agrees(frame_check(l->frames, l->memory, size), little(head + 4, 8)))
        rc = -ASUP_EMALFORMED;
    l->frames++;
    if (rc != 0) {
        in_fail(i, rc);
        return false;
    }
    i->at = l->memory;
    i->end = l->memory + size;
    return true;
}

/* ---- Sections ------------------------------------------------------------------------- */

/* Marks a free record until its place in the list is known. */
#define UNLISTED UINT64_MAX

static void
record_load(struct coder_in *i, const struct section *s, struct arena *a)
{
    const struct kernel_allocator *allocator = &i->kernel->allocator;
    uint64_t tag = in_number(i);
    uint64_t key;
    void *record;

    if (tag > 1)
        in_fail(i, -ASUP_EMALFORMED);
    if (i->rc == 0 && !arena_append(a, allocator))
        in_fail(i, -ASUP_ENOMEM);
    if (i->rc != 0)
        return;
    record = arena_at(a, a->used - 1);
    if (tag == 0) {
        arena_free_mark(a, a->used - 1, UNLISTED);
        return;
    }
    in_struct(i, s->table, record);
    if (s->variant != NULL && s->variant(record) != NULL)
        in_struct(i, s->variant(record), record);
    memcpy(&key, record, sizeof key);
    if (key == 0)
        in_fail(i, -ASUP_EMALFORMED);
}

static void
section_load(struct coder_in *i, const struct section *s)
{
    struct arena *a = (struct arena *)(void *)((uint8_t *)i->kernel + s->arena_offset);
    uint64_t used = in_number(i);
    uint32_t free_count = 0;
    uint32_t last = NIL;

    if (a->used != 0 || used >= NIL)
        in_fail(i, -ASUP_EMALFORMED); /* it came before */
    while (i->rc == 0 && a->used < used) {
        record_load(i, s, a);
        if (i->rc == 0 && !arena_used(a, a->used - 1))
            free_count++;
    }
    for (uint32_t n = 0; n < free_count && i->rc == 0; n++) {
        uint64_t at = in_number(i);

        if (i->rc != 0 || at >= a->used || arena_used(a, (uint32_t)at) ||
            arena_free_mark_of(a, (uint32_t)at) != UNLISTED) {
            in_fail(i, -ASUP_EMALFORMED);
            return;
        }
        arena_free_mark(a, (uint32_t)at, NIL);
        if (last == NIL)
            a->free_top = (uint32_t)at;
        else
            arena_free_mark(a, last, at);
        last = (uint32_t)at;
        a->free_count++;
    }
}

static void
sections_load(struct coder_in *i)
{
    for (uint64_t number = in_number(i); i->rc == 0 && number != 0; number = in_number(i)) {
        const struct section *s = NULL;

        for (size_t n = 0; n < section_count; n++) {
            if (sections[n].number == number)
                s = &sections[n];
        }
        if (s == NULL)
            in_fail(i, -ASUP_EUNSUPPORTED);
        else
            section_load(i, s);
    }
}

/* ---- What is derived ---------------------------------------------------------------------- */

bool
index_fill(struct kernel *k, struct index *x, bool (*wanted)(const void *record))
{
    const struct arena *a = x->records;

    if (!index_reserve(x, &k->allocator, arena_live(a)))
        return false;
    for (uint32_t i = 0; i < a->used; i++) {
        if (arena_used(a, i) && (wanted == NULL || wanted(arena_at(a, i))))
            index_add(x, &k->allocator, i);
    }
    return true;
}

static bool
has_name(const void *record)
{
    return region_live(record);
}

static bool
indices_fill(struct kernel *k)
{
    for (uint32_t i = 0; i < k->tasks.used; i++) {
        struct task *t = task_at(k, i);

        if (t->id != 0)
            t->wait_first = t->work_next = NIL;
    }
    for (uint32_t i = 0; i < k->regions.used; i++) {
        struct region *r = region_at(k, i);

        if (r->id == 0)
            continue;
        r->wait_first = r->work_next = NIL;
        k->volatile_tops += region_live(r) && (r->flags & REGION_VOLATILE_TOP) != 0;
    }
    capabilities_fill(k);
    return index_fill(k, &k->task_ids, NULL) && index_fill(k, &k->region_ids, NULL) &&
           index_fill(k, &k->names, has_name) && index_fill(k, &k->session_ids, NULL) &&
           index_fill(k, &k->request_keys, NULL) && index_fill(k, &k->user_ids, NULL) &&
           index_fill(k, &k->reason_handles, NULL) && obligations_indices(k) &&
           index_fill(k, &k->channels.ids, NULL) &&
           index_fill(k, &k->channels.names, channel_has_name) &&
           index_fill(k, &k->channels.message_ids, NULL) && saga_indices(k) &&
           index_fill(k, &k->calls.worker_sessions, NULL) &&
           index_fill(k, &k->calls.service_keys, NULL) &&
           index_fill(k, &k->capabilities.ids, NULL) && index_fill(k, &k->keys.hashes, NULL) &&
           index_fill(k, &k->keys.made, NULL) && index_fill(k, &k->keys.ids, NULL);
}

static bool
timers_fill(struct kernel *k)
{
    const struct kernel_allocator *a = &k->allocator;

    if (!timers_reserve(&k->timers, a,
                        arena_live(&k->tasks) + arena_live(&k->regions) + arena_live(&k->sessions) +
                            arena_live(&k->obligations.records) +
                            arena_live(&k->obligations.holders) + arena_live(&k->saga.sagas) +
                            arena_live(&k->calls.workers) + arena_live(&k->keys.records)) ||
        !timers_reserve(&k->timed, a, k->limits_seen ? k->tasks_in[ASUP_TASK_CREATED] : 0))
        return false;
    keys_fill(k);
    for (uint32_t i = 0; i < k->regions.used; i++) {
        if (region_at(k, i)->id != 0)
            timer_set(&k->timers, a, TIMER_REGION, i, region_deadline(k, region_at(k, i)));
    }
    for (uint32_t i = 0; i < k->sessions.used; i++) {
        if (session_at(k, i)->id != 0)
            timer_set(&k->timers, a, TIMER_SESSION, i, session_at(k, i)->expires_at);
    }
    for (uint32_t i = 0; i < k->tasks.used; i++) {
        struct task *t = task_at(k, i);

        if (t->id == 0)
            continue;
        timer_set(&k->timers, a, TIMER_TASK, i, task_deadline(t));
        if (t->lane != LANE_TIMED || task_is_call(t))
            continue;
        t->lane_place = 0;
        timer_set(&k->timed, a, TIMER_TASK, i, task_effective_limit(k, t));
    }
    obligations_rearm_all(k);
    saga_rearm_all(k);
    calls_rebuild(k);
    return true;
}

/* Those without a holder would be freed at the next step. */
static void
reasons_tidy(struct kernel *k)
{
    for (uint32_t i = 0; i < k->reasons.used; i++) {
        struct reason *r = arena_at(&k->reasons, i);

        if (r->handle == 0 || r->refs != 0)
            continue;
        heap_drop(&k->heap, &k->allocator, r->message);
        index_drop(&k->reason_handles, i);
        arena_give(&k->reasons, i);
    }
}

/* ---- The whole ------------------------------------------------------------------------------- */

static int
kernel_read(struct kernel *k, struct coder_in *i)
{
    if (in_number(i) != SNAPSHOT_VERSION && i->rc == 0)
        return -ASUP_EUNSUPPORTED;
    in_struct(i, &kernel_table, k);
    sections_load(i);
    if (i->rc != 0)
        return i->rc;
    if (!config_sensible(&k->config))
        return -ASUP_EMALFORMED;
    k->now = k->event_at;
    if (!indices_fill(k))
        return -ASUP_ENOMEM;
    reasons_tidy(k);
    if (!links_sound(k))
        return -ASUP_EMALFORMED;
    if (!timers_fill(k) || !channels_fill(k))
        return -ASUP_ENOMEM;
    k->now = k->event_at;
    if (kernel_check(k) != NULL)
        return -ASUP_EMALFORMED;
    return kernel_reserve(k) ? 0 : -ASUP_ENOMEM;
}

int
kernel_load(const struct durable_source *from, const struct kernel_allocator *allocator,
            asup_time now, enum kernel_load_how how, struct kernel **out)
{
    struct loading loading = {.from = from};
    struct durable_buffer text = {.allocator = *allocator};
    struct coder_in i = {.more = frame_read, .ctx = &loading, .text = &text};
    uint8_t magic[SNAPSHOT_MAGIC_SIZE];
    int rc = read_all(from, magic, sizeof magic);

    if (rc == 0 && memcmp(magic, SNAPSHOT_MAGIC, sizeof magic) != 0)
        rc = -ASUP_EMALFORMED;
    if (rc != 0)
        return rc;
    loading.memory = allocator->resize(allocator->ctx, NULL, 0, FRAME_SIZE_MAX);
    i.kernel = kernel_blank(allocator);
    rc = loading.memory != NULL && i.kernel != NULL ? kernel_read(i.kernel, &i) : -ASUP_ENOMEM;
    memory_release(allocator, loading.memory, FRAME_SIZE_MAX, 1);
    durable_buffer_fini(&text);
    if (rc != 0) {
        kernel_free(i.kernel);
        return rc;
    }
    i.kernel->now = now > i.kernel->event_at ? now : i.kernel->event_at;
    if (how == LOAD_RECOVER) {
        i.kernel->recovering = true;
        volatile_drop(i.kernel);
    }
    *out = i.kernel;
    return 0;
}
