/* SPDX-License-Identifier: MIT */
/*
 * A hash of the whole state. What is derived (places in heaps and lists of the
 * step at hand), what is beside the state (parked waits), and where texts
 * happen to be kept are left out: two kernels that were told the same events
 * have the same digest (R-EVT-1).
 */
#include "core/decide.h"

uint64_t
digest_text(const struct kernel *k, uint64_t h, uint32_t handle)
{
    struct bytes text = heap_get(&k->heap, handle);

    return hash_bytes(h, text.data, text.size);
}

uint64_t
digest_outcome(uint64_t h, const struct kernel_outcome *o, bool there)
{
    if (!there)
        return hash_mix(h, 0);
    h = hash_mix(h, o->key.severity);
    h = hash_mix(h, o->key.at);
    h = hash_mix(h, o->key.origin);
    h = hash_mix(h, o->origin_sort);
    h = hash_mix(h, (uint64_t)o->forced << 1 | (uint64_t)o->lost);
    h = hash_mix(h, (uint64_t)(uint32_t)o->exit_code << 32 | (uint32_t)o->signal);
    h = hash_mix(h, (uint64_t)(uint32_t)o->error << 32 | o->reason);
    h = hash_bytes(h, o->stage, sizeof o->stage);
    h = hash_mix(h, o->wall_ns);
    h = hash_mix(h, o->cpu_ns);
    return hash_mix(h, o->memory_peak);
}

static uint64_t
digest_region(const struct kernel *k, uint64_t h, const struct region *r)
{
    const uint8_t *raw = (const uint8_t *)r;
    size_t outcomes = offsetof(struct region, acc);
    size_t rest = offsetof(struct region, parent);

    h = hash_bytes(h, raw, outcomes);
    h = digest_outcome(h, &r->acc, r->has_acc);
    h = digest_outcome(h, &r->fin, r->has_fin);
    h = digest_outcome(h, &r->ok, r->has_ok);
    h = hash_bytes(h, raw + rest, offsetof(struct region, work_queued) - rest);
    return digest_text(k, h, r->name);
}

static uint64_t
digest_task(const struct kernel *k, uint64_t h, const struct task *t)
{
    h = hash_bytes(h, t, offsetof(struct task, work_queued));
    h = digest_text(k, h, t->label);
    return digest_text(k, h, t->spec);
}

static uint64_t
digest_refs(uint64_t h, struct bytes refs)
{
    const struct asup_ref *all = refs.data;

    for (size_t i = 0; i < refs.size / sizeof all[0]; i++)
        h = hash_mix(hash_mix(h, all[i].id), all[i].sort);
    return h;
}

static uint64_t
digest_session(const struct kernel *k, uint64_t h, const struct session *s)
{
    h = hash_bytes(h, s, offsetof(struct session, timer_place));
    for (uint32_t i = s->request_first; i != NIL;) {
        const struct request *q = arena_at(&k->requests, i);

        h = hash_mix(hash_mix(h, q->id), q->digest);
        h = hash_mix(hash_mix(h, q->made_id), q->made_sort);
        h = digest_refs(h, heap_get(&k->heap, q->batch));
        i = q->next;
    }
    return h;
}

/* Reasons are found by handle, so the order in which they lie is nothing. */
static uint64_t
digest_reasons(const struct kernel *k)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < k->reasons.used; i++) {
        const struct reason *r = arena_at(&k->reasons, i);
        uint64_t h;

        if (r->handle == 0 || r->refs == 0)
            continue;
        h = hash_mix(hash_mix(3, r->handle), r->at);
        h = hash_mix(hash_mix(h, r->origin), (uint64_t)r->kind << 8 | r->origin_sort);
        sum += digest_text(k, hash_mix(h, r->cause), r->message);
    }
    return sum;
}

static uint64_t
digest_kernel(const struct kernel *k, uint64_t h)
{
    h = hash_mix(hash_mix(h, k->event_seq), k->event_at);
    h = hash_mix(hash_mix(h, k->task_id_next), k->region_id_next);
    h = hash_mix(hash_mix(h, k->session_id_next), k->reason_next);
    h = hash_bytes(h, k->tasks_in, sizeof k->tasks_in);
    h = hash_bytes(h, k->regions_in, sizeof k->regions_in);
    h = hash_mix(hash_mix(h, k->stack_entries), k->starting);
    h = hash_mix(hash_mix(h, k->retained_first), k->retained_count);
    h = hash_mix(h, k->hurry);
    h = hash_mix(hash_mix(h, k->signals.first), k->finalizers.first);
    h = hash_bytes(h, k->ready, sizeof k->ready);
    h = hash_bytes(h, k->lane_count, sizeof k->lane_count);
    h = hash_mix(hash_mix(h, k->cancel_run), k->timed_run);
    h = hash_mix(h, k->finalizer_turn);
    h = hash_mix(hash_mix(h, k->config.retention_ns), k->config.finalizer_ns);
    return h;
}

uint64_t
kernel_digest(const struct kernel *k)
{
    uint64_t h = digest_kernel(k, 2);

    for (uint32_t i = 0; i < k->regions.used; i++) {
        if (region_at(k, i)->id != 0)
            h = digest_region(k, h, region_at(k, i));
    }
    for (uint32_t i = 0; i < k->tasks.used; i++) {
        if (task_at(k, i)->id != 0)
            h = digest_task(k, h, task_at(k, i));
    }
    for (uint32_t i = 0; i < k->sessions.used; i++) {
        if (session_at(k, i)->id != 0)
            h = digest_session(k, h, session_at(k, i));
    }
    h = saga_digest(k, h);
    h = digest_obligations(k, h);
    h = digest_channels(k, h);
    h = calls_digest(k, h);
    h = digest_capabilities(k, h);
    h = digest_keys(k, h);
    return hash_mix(h, digest_reasons(k));
}
