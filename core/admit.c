/* SPDX-License-Identifier: MIT */
/*
 * Memory for what is admitted: its records, its texts, its places in lanes and
 * timers, and ahead of time some room for the events of its end, so that facts
 * and timers, which cannot be refused, find memory when they come.
 */
#include "core/decide.h"

/* The standing reserve covers that many at once; a larger cascade that no
 * request asked for takes its memory when it comes. */
enum { STANDING_TASKS = 512, STANDING_REGIONS = 64 };

static void
want_text(struct kernel *k, struct admit_need *n, size_t size)
{
    if (!heap_want(&k->heap, &k->allocator, &n->texts, size))
        n->failed = true;
    n->scratch += size + 16;
}

bool
admit_text(struct kernel *k, struct admit_need *n, size_t size)
{
    want_text(k, n, size);
    return !n->failed;
}

uint32_t
admit_timers(const struct kernel *k)
{
    return arena_live(&k->tasks) + arena_live(&k->regions) + arena_live(&k->sessions) +
           2 * arena_live(&k->obligations.records) + arena_live(&k->obligations.leases) +
           saga_timers(k) + arena_live(&k->calls.workers) + arena_live(&k->keys.records);
}

static void
want_task(struct kernel *k, struct admit_need *n, const struct task_params *p)
{
    n->tasks++;
    n->scratch += sizeof(struct task_payload);
    want_text(k, n, p->label.size);
    want_text(k, n, p->spec.size);
    if (p->call.size > 0) {
        n->calls++;
        want_text(k, n, p->call.size);
        want_text(k, n, p->key.size);
    }
}

static bool
is_timed(const struct kernel *k, const struct caller *c, const struct task_params *p,
         uint32_t region)
{
    struct asup_budget budget = caller_budget(k, c, &p->budget, k->now);

    return budget.limit_at != ASUP_NEVER ||
           (region != NIL && region_at(k, region)->effective_limit != ASUP_NEVER);
}

void
admit_task(struct kernel *k, struct admit_need *n, const struct caller *c,
           const struct task_params *p, uint32_t region)
{
    want_task(k, n, p);
    n->timed |= is_timed(k, c, p, region);
}

void
admit_want(struct kernel *k, struct admit_need *n, const struct input *in)
{
    const struct region_params *p = &in->u.region_open;

    if (in->kind == IN_FINALIZER_DEFER)
        want_task(k, n, &in->u.submit);
    if (in->kind == IN_TASK_SUBMIT)
        admit_task(k, n, &in->caller, &in->u.submit, region_of_id(k, in->region));
    if (in->kind != IN_REGION_OPEN)
        return;
    n->regions++;
    n->volatile_tops += p->is_volatile;
    n->scratch += sizeof(struct region_payload) + 64;
    want_text(k, n, p->name.size == 0 ? 24 : p->name.size);
    for (uint32_t i = 0; i < p->finalizer_count; i++)
        want_task(k, n, &p->finalizers[i]);
}

bool
users_reserve(struct kernel *k)
{
    return arena_reserve(&k->users, &k->allocator, 1) &&
           index_reserve(&k->user_ids, &k->allocator, 1);
}

static bool
records_reserve(struct kernel *k, const struct admit_need *n)
{
    const struct kernel_allocator *a = &k->allocator;
    uint32_t timers = admit_timers(k) + n->tasks + n->regions + 2 * n->sagas;
    uint32_t tasks = n->tasks + n->sagas + k->saga.live; /* one of each saga may begin */
    /* Which of them will be timed is known when they are due; who has no limit
     * and inherits none never is. */
    uint32_t timed = k->limits_seen || n->timed ? k->tasks_in[ASUP_TASK_CREATED] + n->tasks : 0;

    return arena_reserve(&k->tasks, a, tasks) && index_reserve(&k->task_ids, a, tasks) &&
           arena_reserve(&k->regions, a, n->regions) &&
           index_reserve(&k->region_ids, a, n->regions) &&
           index_reserve(&k->names, a, n->regions) && users_reserve(k) &&
           arena_reserve(&k->calls.calls, a, n->calls + n->sagas + k->saga.live) &&
           arena_reserve(&k->calls.services, a, n->calls) &&
           index_reserve(&k->calls.service_keys, a, n->calls) &&
           timers_reserve(&k->timers, a, timers) && timers_reserve(&k->timed, a, timed) &&
           heap_reserve(&k->heap, a, &n->texts);
}

bool
admit_reserve(struct kernel *k, const struct admit_need *n, const struct need *more)
{
    struct need need = *more;
    uint64_t tasks = n->tasks;
    uint64_t regions = n->regions;

    if (n->failed || !records_reserve(k, n))
        return false;
    if (arena_live(&k->regions) > 0) {
        tasks += region_at(k, k->root)->sub_tasks;
        regions += region_at(k, k->root)->sub_regions;
    }
    need.tasks += min_u64(tasks, STANDING_TASKS) + 1;
    need.regions += 2 * min_u64(regions, STANDING_REGIONS) + 2; /* see need_follow() */
    /* A cancel that is strengthened holds two for a while. */
    need.reasons += 2 * (uint32_t)min_u64(regions, STANDING_REGIONS) + 2 * ASUP_DEPTH_MAX + 8;
    need.events += n->tasks + n->regions + RETENTION_MOST + ASUP_DEPTH_MAX;
    need.volatile_tops += n->volatile_tops;
    need.scratch += n->scratch;
    return reserve(k, &need);
}
