/* SPDX-License-Identifier: MIT */
/* Beginning and end of a kernel, and its configuration. */
#include "core/obligation.h"

void
kernel_config_init(struct kernel_config *config)
{
    const uint64_t s = ASUP_NS_PER_S;

    *config = (struct kernel_config){
        .allowance = {{30 * s, 1000},
                      {15 * s, 500},
                      {10 * s, 300},
                      {10 * s, 200},
                      {10 * s, 200},
                      {5 * s, 50}},
        .leftover_ns = 2 * s,
        .finalizer_ns = 10 * s,
        .finalizer_hurry_ns = 1 * s,
        .retention_ns = 3600 * s,
        .session_ttl_ns = 30 * s,
        .session_ttl_ns_max = 3600 * s,
        .kill_grace_ns = 5 * s,
        .sample_ns = 100 * ASUP_NS_PER_MS,
        .ageing_ns = 100 * ASUP_NS_PER_MS,
        .start_patience_ns = 1 * s,
        .futurelock_ns = 60 * s,
        .lease_ttl_ns_max = 24 * 3600 * s,
        .ack_timeout_ns = 30 * s,
        .permit_timeout_ns = 60 * s,
        .dead_retention_ns = 7 * 24 * 3600 * s,
        .key_retention_ns = 24 * 3600 * s,
        .nacks_max = 16,
        .timeouts_max = 16,
        .fairness = 16,
        .start_window = 64,
        .picks_per_step = 256,
        .root_uid = 0,
        .id_first = 2,
    };
#define KERNEL_LIMIT_PRESET(field, type, preset, name) config->limits.field = (preset);
    KERNEL_LIMIT_LIST(KERNEL_LIMIT_PRESET)
#undef KERNEL_LIMIT_PRESET
}

/* Times that are multiplied by small numbers. */
#define MULTIPLIED_MAX (ASUP_NEVER / 1024)

bool
config_sensible(const struct kernel_config *c)
{
    return c->fairness > 0 && c->start_window > 0 && c->picks_per_step > 0 && c->id_first >= 2 &&
           c->sample_ns > 0 && c->sample_ns <= MULTIPLIED_MAX && c->ageing_ns <= MULTIPLIED_MAX &&
           c->finalizer_ns > 0 && c->session_ttl_ns > 0 && c->session_ttl_ns_max > 0 &&
           c->futurelock_ns > 0 && c->key_retention_ns > 0 && c->lease_ttl_ns_max > 0 &&
           c->limits.requests_per_session > 0;
}

static void
capabilities_init(struct kernel *k)
{
    struct capabilities *all = &k->capabilities;

    arena_init(&all->records, sizeof(struct capability));
    index_init(&all->ids, &all->records, offsetof(struct capability, id));
    all->revoked_first = all->revoked_last = NIL;
}

static void
keys_init(struct kernel *k)
{
    struct keys *keys = &k->keys;

    arena_init(&keys->records, sizeof(struct key_record));
    index_init(&keys->hashes, &keys->records, offsetof(struct key_record, hash));
    index_init(&keys->made, &keys->records, offsetof(struct key_record, made));
    index_init(&keys->ids, &keys->records, offsetof(struct key_record, id));
    k->kept_first = k->kept_last = NIL;
    k->timers.homes[TIMER_KEY] =
        (struct timer_home){&keys->records, offsetof(struct key_record, timer_place)};
}

static void
keys_fini(struct kernel *k)
{
    index_fini(&k->keys.hashes, &k->allocator);
    index_fini(&k->keys.made, &k->allocator);
    index_fini(&k->keys.ids, &k->allocator);
    arena_fini(&k->keys.records, &k->allocator);
}

static void
capabilities_fini(struct kernel *k)
{
    index_fini(&k->capabilities.ids, &k->allocator);
    arena_fini(&k->capabilities.records, &k->allocator);
}

static void
obligations_init(struct kernel *k)
{
    struct obligations *o = &k->obligations;

    arena_init(&o->records, sizeof(struct obligation));
    arena_init(&o->holders, sizeof(struct holder));
    arena_init(&o->leases, sizeof(struct lease));
    arena_init(&o->ended, sizeof(struct ended));
    index_init(&o->ids, &o->records, offsetof(struct obligation, id));
    index_init(&o->holder_keys, &o->holders, offsetof(struct holder, key));
    index_init(&o->lease_keys, &o->leases, offsetof(struct lease, key));
    index_init(&o->ended_ids, &o->ended, offsetof(struct ended, id));
    o->ended_first = o->ended_last = NIL;
    k->timers.homes[TIMER_OBLIGATION] =
        (struct timer_home){&o->records, offsetof(struct obligation, timer_place)};
    k->timers.homes[TIMER_HOLDER] =
        (struct timer_home){&o->holders, offsetof(struct holder, timer_place)};
}

static void
obligations_fini(struct kernel *k)
{
    const struct kernel_allocator *a = &k->allocator;
    struct obligations *o = &k->obligations;

    index_fini(&o->ids, a);
    index_fini(&o->holder_keys, a);
    index_fini(&o->lease_keys, a);
    index_fini(&o->ended_ids, a);
    arena_fini(&o->records, a);
    arena_fini(&o->holders, a);
    arena_fini(&o->leases, a);
    arena_fini(&o->ended, a);
}

static void
channels_init(struct kernel *k)
{
    struct channel_store *s = &k->channels;

    arena_init(&s->records, sizeof(struct channel));
    arena_init(&s->messages, sizeof(struct message));
    arena_init(&s->histories, sizeof(struct history));
    index_init(&s->ids, &s->records, offsetof(struct channel, id));
    index_init(&s->names, &s->records, offsetof(struct channel, name_key));
    index_init(&s->message_ids, &s->messages, offsetof(struct message, id));
    s->dead_first = s->dead_last = s->work_first = s->work_last = NIL;
    s->dead_timers.homes[TIMER_MESSAGE] =
        (struct timer_home){&s->messages, offsetof(struct message, timer_place)};
}

static void
channels_fini(struct kernel *k)
{
    const struct kernel_allocator *a = &k->allocator;
    struct channel_store *s = &k->channels;

    index_fini(&s->ids, a);
    index_fini(&s->names, a);
    index_fini(&s->message_ids, a);
    timers_fini(&s->dead_timers, a);
    arena_fini(&s->records, a);
    arena_fini(&s->messages, a);
    arena_fini(&s->histories, a);
}

static void
parts_init(struct kernel *k)
{
    arena_init(&k->tasks, sizeof(struct task));
    arena_init(&k->regions, sizeof(struct region));
    arena_init(&k->sessions, sizeof(struct session));
    arena_init(&k->requests, sizeof(struct request));
    arena_init(&k->users, sizeof(struct user));
    arena_init(&k->reasons, sizeof(struct reason));
    arena_init(&k->waits, sizeof(struct wait));
    saga_init(k);
    index_init(&k->task_ids, &k->tasks, offsetof(struct task, id));
    index_init(&k->region_ids, &k->regions, offsetof(struct region, id));
    index_init(&k->session_ids, &k->sessions, offsetof(struct session, id));
    index_init(&k->request_keys, &k->requests, offsetof(struct request, key));
    index_init(&k->user_ids, &k->users, offsetof(struct user, key));
    index_init(&k->reason_handles, &k->reasons, offsetof(struct reason, handle));
    index_init(&k->names, &k->regions, offsetof(struct region, name_key));
    index_init(&k->wait_tokens, &k->waits, offsetof(struct wait, token));
    heap_init(&k->heap);
    obligations_init(k);
    channels_init(k);
    calls_init(&k->calls);
    k->timers.homes[TIMER_WORKER] =
        (struct timer_home){&k->calls.workers, offsetof(struct worker, timer_place)};
    capabilities_init(k);
    keys_init(k);
    k->timers.homes[TIMER_REGION] =
        (struct timer_home){&k->regions, offsetof(struct region, timer_place)};
    k->timers.homes[TIMER_SESSION] =
        (struct timer_home){&k->sessions, offsetof(struct session, timer_place)};
    k->timers.homes[TIMER_TASK] =
        (struct timer_home){&k->tasks, offsetof(struct task, timer_place)};
    k->timers.homes[TIMER_SAGA] =
        (struct timer_home){&k->saga.sagas, offsetof(struct saga, timer_place)};
    k->wait_timers.homes[TIMER_WAIT] =
        (struct timer_home){&k->waits, offsetof(struct wait, timer_place)};
    k->timed.homes[TIMER_TASK] = (struct timer_home){&k->tasks, offsetof(struct task, lane_place)};
    k->signals = k->finalizers = (struct queue){NIL, NIL};
    for (unsigned p = 0; p <= READY_PRIORITY_MAX; p++)
        k->ready[p] = (struct queue){NIL, NIL};
    k->retained_first = k->retained_last = NIL;
    k->work_tasks = k->work_regions = (struct queue){NIL, NIL};
    k->dying_first = NIL;
    k->reason_next = 1;
}

/* "/" exists from the beginning; its opening is no event of the trace. */
static void
root_open(struct kernel *k, asup_time now)
{
    struct region_payload p = {.budget = asup_budget_empty(), .drain_ns = ASUP_NEVER};
    struct event ev = {.kind = EV_REGION_OPENED,
                       .at = now,
                       .uid = k->config.root_uid,
                       .region = ASUP_ROOT_ID,
                       .payload = &p,
                       .payload_size = sizeof p};

    apply_region(k, &ev);
    k->root = region_of_id(k, ASUP_ROOT_ID);
    region_rearm(k, k->root);
}

struct kernel *
kernel_blank(const struct kernel_allocator *allocator)
{
    struct kernel *k = allocator->resize(allocator->ctx, NULL, 0, sizeof *k);

    if (k == NULL)
        return NULL;
    memset(k, 0, sizeof *k);
    k->allocator = *allocator;
    parts_init(k);
    return k;
}

bool
kernel_reserve(struct kernel *k)
{
    const struct admit_need admit = {.regions = 1, .tasks = 1};
    const struct need need = {.tasks = 64, .regions = 16};

    return admit_reserve(k, &admit, &need) && obligation_memory(k, 0) &&
           timers_reserve(&k->channels.dead_timers, &k->allocator,
                          arena_live(&k->channels.messages));
}

struct kernel *
kernel_new(const struct kernel_config *config, const struct kernel_allocator *allocator,
           asup_time now)
{
    struct kernel *k;

    if (!config_sensible(config))
        return NULL;
    k = kernel_blank(allocator);
    if (k == NULL)
        return NULL;
    k->config = *config;
    k->now = now;
    k->event_at = now;
    k->task_id_next = k->region_id_next = k->session_id_next = config->id_first;
    k->saga.id_next = config->id_first;
    k->obligations.id_next = config->id_first;
    k->capabilities.id_next = config->id_first;
    k->keys.id_next = 1;
    k->channels.id_next = k->channels.message_id_next = config->id_first;
    k->channels.order_next = 1;
    if (!kernel_reserve(k)) {
        kernel_free(k);
        return NULL;
    }
    root_open(k, now);
    return k;
}

void
kernel_free(struct kernel *k)
{
    struct kernel_allocator a;

    if (k == NULL)
        return;
    a = k->allocator;
    obligations_fini(k);
    channels_fini(k);
    capabilities_fini(k);
    keys_fini(k);
    heap_fini(&k->heap, &a);
    saga_fini(k);
    calls_fini(&k->calls, &a);
    index_fini(&k->task_ids, &a);
    index_fini(&k->region_ids, &a);
    index_fini(&k->session_ids, &a);
    index_fini(&k->request_keys, &a);
    index_fini(&k->user_ids, &a);
    index_fini(&k->reason_handles, &a);
    index_fini(&k->names, &a);
    index_fini(&k->wait_tokens, &a);
    timers_fini(&k->timers, &a);
    timers_fini(&k->wait_timers, &a);
    timers_fini(&k->timed, &a);
    arena_fini(&k->tasks, &a);
    arena_fini(&k->regions, &a);
    arena_fini(&k->sessions, &a);
    arena_fini(&k->requests, &a);
    arena_fini(&k->users, &a);
    arena_fini(&k->reasons, &a);
    arena_fini(&k->waits, &a);
    for (size_t i = 0; i < k->scratch.older_count; i++)
        memory_release(&a, k->scratch.older[i], k->scratch.older_size[i], 1);
    memory_release(&a, (void *)k->scratch.older, k->scratch.older_capacity,
                   sizeof k->scratch.older[0]);
    memory_release(&a, k->scratch.older_size, k->scratch.older_size_capacity,
                   sizeof k->scratch.older_size[0]);
    memory_release(&a, k->scratch.chunk, k->scratch.size, 1);
    memory_release(&a, k->events, k->event_capacity, sizeof k->events[0]);
    memory_release(&a, k->effects, k->effect_capacity, sizeof k->effects[0]);
    (void)a.resize(a.ctx, k, sizeof *k, 0);
}
