/* SPDX-License-Identifier: MIT */
/* Applying what happens to obligations, to those who hold them, and to
 * leases. What a kind of obligation adds of its own is in a table. */
#include "core/event.h"

/* What follows for its kind. `reserved` sets its thing; `ended` is told before
 * the record goes. */
struct obligation_kind {
    void (*reserved)(struct kernel *k, const struct event *ev, struct obligation *o);
    void (*ended)(struct kernel *k, const struct event *ev, struct obligation *o);
};

static struct obligation *
obligation_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.records, i);
}

static struct holder *
holder_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.holders, i);
}

static struct lease *
lease_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.leases, i);
}

/* ---- Holders ------------------------------------------------------------------------ */

uint64_t
holder_key(struct asup_ref holder)
{
    return (uint64_t)holder.sort << 56 | holder.id;
}

uint32_t
holder_of(const struct kernel *k, struct asup_ref holder)
{
    if (arena_live(&k->obligations.holders) == 0)
        return NIL;
    return index_find(&k->obligations.holder_keys, holder_key(holder));
}

struct asup_ref
holder_ref(const struct holder *h)
{
    return (struct asup_ref){.id = h->key & (UINT64_MAX >> 8),
                             .sort = (enum asup_sort)(h->key >> 56)};
}

/* A task in a volatile region is unknown to the fold of a journal: what it holds
 * leaks when that is complete (recover.c). */
static bool
holder_unknown(const struct holder *h)
{
    return h->record == NIL;
}

static bool
holder_unstarted(const struct kernel *k, const struct holder *h)
{
    return h->is_task && !holder_unknown(h) && (task_at(k, h->record)->flags & TASK_STARTED) == 0;
}

/* So often the CPU time of a task that holds something is asked for. */
static uint64_t
holder_sample_ns(const struct kernel *k)
{
    uint64_t ns = k->config.futurelock_ns / 4;

    return ns > ASUP_NS_PER_MS ? ns : ASUP_NS_PER_MS;
}

asup_time
holder_deadline(const struct kernel *k, const struct holder *h)
{
    const struct task *t;
    asup_time at;

    if (!h->is_task || holder_unknown(h) || h->held == 0 || k->config.futurelock_ns == ASUP_NEVER)
        return ASUP_NEVER;
    if (PLANTED(FUTURELOCK) && h->held > 1)
        return ASUP_NEVER;
    t = task_at(k, h->record);
    if ((t->flags & TASK_STARTED) == 0 || (t->flags & TASK_ENDED) != 0)
        return ASUP_NEVER;
    at = h->stuck ? ASUP_NEVER : time_add(h->progress_at, k->config.futurelock_ns);
    /* A call has no process whose CPU time could be asked for. */
    return task_is_call(t) || t->pid == 0 ? at : min_u64(at, h->sample_at);
}

static void
holder_rearm(struct kernel *k, uint32_t i)
{
    timer_set(&k->timers, &k->allocator, TIMER_HOLDER, i, holder_deadline(k, holder_at(k, i)));
}

void
holders_rearm(struct kernel *k)
{
    for (uint32_t i = 0; i < k->obligations.holders.used; i++) {
        if (holder_at(k, i)->key != 0)
            holder_rearm(k, i);
    }
}

static void
holder_unstick(struct kernel *k, struct holder *h)
{
    if (h->stuck)
        k->obligations.stuck--;
    h->stuck = false;
}

static uint32_t
holder_get(struct kernel *k, struct asup_ref ref, asup_time at)
{
    uint32_t i = holder_of(k, ref);
    struct holder *h;

    if (i != NIL)
        return i;
    i = arena_take(&k->obligations.holders, &k->allocator);
    h = holder_at(k, i);
    h->key = holder_key(ref);
    h->is_task = ref.sort == ASUP_SORT_TASK;
    h->record = h->is_task ? task_of_id(k, ref.id) : session_of_id(k, ref.id);
    h->held_first = h->held_last = h->cooling_first = NIL;
    h->progress_at = at;
    h->sample_at = time_add(at, holder_sample_ns(k));
    index_add(&k->obligations.holder_keys, &k->allocator, i);
    return i;
}

/* Who holds nothing more, and is waited for by no lease, has no record. */
static void
holder_put(struct kernel *k, uint32_t i)
{
    struct holder *h = holder_at(k, i);

    if (h->held > 0 || h->cooling_first != NIL) {
        holder_rearm(k, i);
        return;
    }
    holder_unstick(k, h);
    timer_set(&k->timers, &k->allocator, TIMER_HOLDER, i, ASUP_NEVER);
    index_drop(&k->obligations.holder_keys, i);
    arena_give(&k->obligations.holders, i);
}

static void
holder_progressed(struct kernel *k, uint32_t i, asup_time at)
{
    struct holder *h = holder_at(k, i);

    h->progress_at = at;
    holder_unstick(k, h);
    holder_rearm(k, i);
}

void
task_progressed(struct kernel *k, uint32_t task, asup_time at)
{
    uint32_t i =
        holder_of(k, (struct asup_ref){.id = task_at(k, task)->id, .sort = ASUP_SORT_TASK});

    if (i != NIL)
        holder_progressed(k, i, at);
}

void
task_holds_started(struct kernel *k, uint32_t task, asup_time at)
{
    uint32_t i =
        holder_of(k, (struct asup_ref){.id = task_at(k, task)->id, .sort = ASUP_SORT_TASK});

    if (i == NIL)
        return;
    k->obligations.held_unstarted -= holder_at(k, i)->held;
    holder_at(k, i)->sample_at = time_add(at, holder_sample_ns(k));
    holder_progressed(k, i, at);
}

void
task_holds_sampled(struct kernel *k, uint32_t task, asup_time at)
{
    uint32_t i =
        holder_of(k, (struct asup_ref){.id = task_at(k, task)->id, .sort = ASUP_SORT_TASK});

    if (i == NIL)
        return;
    holder_at(k, i)->sample_at = time_add(at, holder_sample_ns(k));
    holder_rearm(k, i);
}

void
task_holds_ended(struct kernel *k, uint32_t task)
{
    uint32_t i =
        holder_of(k, (struct asup_ref){.id = task_at(k, task)->id, .sort = ASUP_SORT_TASK});

    if (i == NIL)
        return;
    holder_unstick(k, holder_at(k, i));
    holder_rearm(k, i);
}

static void
futurelock(struct kernel *k, const struct event *ev)
{
    uint32_t i = holder_of(k, ev->holder);

    if (i == NIL || holder_at(k, i)->stuck)
        return; /* progress in between is not in a journal */
    holder_at(k, i)->stuck = true;
    k->obligations.stuck++;
    holder_rearm(k, i);
}

/* ---- The two lists an obligation stands in ---------------------------------------------- */

static void
ledger_link(struct kernel *k, uint32_t i)
{
    struct obligation *o = obligation_at(k, i);
    struct region *r = region_at(k, o->region);

    o->ledger_next = NIL;
    o->ledger_prev = r->ledger_last;
    if (r->ledger_last != NIL)
        obligation_at(k, r->ledger_last)->ledger_next = i;
    else
        r->ledger_first = i;
    r->ledger_last = i;
    r->ledger[o->kind]++;
    k->obligations.in_kind[o->kind]++;
    user_get(k, r->uid)->obligations++;
}

static void
ledger_unlink(struct kernel *k, const struct obligation *o)
{
    struct region *r = region_at(k, o->region);

    if (o->ledger_prev != NIL)
        obligation_at(k, o->ledger_prev)->ledger_next = o->ledger_next;
    else
        r->ledger_first = o->ledger_next;
    if (o->ledger_next != NIL)
        obligation_at(k, o->ledger_next)->ledger_prev = o->ledger_prev;
    else
        r->ledger_last = o->ledger_prev;
    must(r->ledger[o->kind] > 0); /* R-OBL-7 */
    r->ledger[o->kind]--;
    k->obligations.in_kind[o->kind]--;
    user_get(k, r->uid)->obligations--;
}

static void
held_link(struct kernel *k, uint32_t i, struct asup_ref ref, asup_time at)
{
    struct obligation *o = obligation_at(k, i);
    struct holder *h;

    o->holder = holder_get(k, ref, at);
    h = holder_at(k, o->holder);
    o->held_next = NIL;
    o->held_prev = h->held_last;
    if (h->held_last != NIL)
        obligation_at(k, h->held_last)->held_next = i;
    else
        h->held_first = i;
    h->held_last = i;
    h->held++;
    if (holder_unstarted(k, h))
        k->obligations.held_unstarted++;
    holder_progressed(k, o->holder, at);
}

static void
held_unlink(struct kernel *k, struct obligation *o)
{
    struct holder *h = holder_at(k, o->holder);
    uint32_t holder = o->holder;

    if (o->held_prev != NIL)
        obligation_at(k, o->held_prev)->held_next = o->held_next;
    else
        h->held_first = o->held_next;
    if (o->held_next != NIL)
        obligation_at(k, o->held_next)->held_prev = o->held_prev;
    else
        h->held_last = o->held_prev;
    h->held--;
    if (holder_unstarted(k, h))
        k->obligations.held_unstarted--;
    o->holder = NIL;
    holder_put(k, holder);
}

/* ---- Leases -----------------------------------------------------------------------------------
 */

uint64_t
lease_key(uint64_t region_id, struct bytes name)
{
    return hash_bytes(hash_mix(region_id, 7), name.data, name.size) | 1;
}

uint32_t
lease_find(const struct kernel *k, uint32_t region, struct bytes name)
{
    uint64_t key = lease_key(region_at(k, region)->id, name);
    uint32_t cursor;

    for (uint32_t i = index_first(&k->obligations.lease_keys, key, &cursor); i != NIL;
         i = index_next(&k->obligations.lease_keys, key, &cursor)) {
        struct bytes its = heap_get(&k->heap, lease_at(k, i)->name);

        if (lease_at(k, i)->region == region && its.size == name.size &&
            memcmp(its.data, name.data, name.size) == 0)
            return i;
    }
    return NIL;
}

static uint32_t
lease_new(struct kernel *k, const struct event *ev, uint32_t region)
{
    uint32_t i = arena_take(&k->obligations.leases, &k->allocator);
    struct lease *l = lease_at(k, i);
    struct region *r = region_at(k, region);

    l->key = lease_key(r->id, ev->text);
    l->region = region;
    l->obligation = l->cooler = l->cooling_next = l->cooling_prev = l->wait_first = NIL;
    l->name = heap_put(&k->heap, &k->allocator, ev->text);
    l->next = NIL;
    l->prev = r->lease_last;
    if (r->lease_last != NIL)
        lease_at(k, r->lease_last)->next = i;
    else
        r->lease_first = i;
    r->lease_last = i;
    index_add(&k->obligations.lease_keys, &k->allocator, i);
    user_get(k, r->uid)->leases++;
    user_get(k, r->uid)->bytes += ev->text.size;
    return i;
}

static void
lease_cool(struct kernel *k, uint32_t i, uint32_t holder)
{
    struct lease *l = lease_at(k, i);
    struct holder *h = holder_at(k, holder);

    l->cooler = holder;
    l->cooling_prev = NIL;
    l->cooling_next = h->cooling_first;
    if (h->cooling_first != NIL)
        lease_at(k, h->cooling_first)->cooling_prev = i;
    h->cooling_first = i;
}

static void
lease_cooled(struct kernel *k, uint32_t i)
{
    struct lease *l = lease_at(k, i);
    uint32_t holder = l->cooler;

    if (holder == NIL)
        return;
    if (l->cooling_prev != NIL)
        lease_at(k, l->cooling_prev)->cooling_next = l->cooling_next;
    else
        holder_at(k, holder)->cooling_first = l->cooling_next;
    if (l->cooling_next != NIL)
        lease_at(k, l->cooling_next)->cooling_prev = l->cooling_prev;
    l->cooler = l->cooling_next = l->cooling_prev = NIL;
    holder_put(k, holder);
}

static void
lease_reserved(struct kernel *k, const struct event *ev, struct obligation *o)
{
    uint32_t i = lease_find(k, o->region, ev->text);
    struct lease *l;

    if (i == NIL)
        i = lease_new(k, ev, o->region);
    lease_cooled(k, i);
    l = lease_at(k, i);
    must(l->obligation == NIL); /* exclusive */
    must(l->token < o->id);     /* fencing */
    o->thing = i;
    l->obligation = index_find(&k->obligations.ids, o->id);
    l->token = o->id;
    l->holder_id = ev->holder.id;
    l->holder_sort = ev->holder.sort;
    l->granted_at = ev->at;
    l->expires_at = o->deadline;
}

/* One that a living task loses cools until nothing of that task is left. */
static void
lease_ended(struct kernel *k, const struct event *ev, struct obligation *o)
{
    const struct obligation_end_payload *p = ev->payload;
    const struct holder *h = holder_at(k, o->holder);
    struct lease *l = lease_at(k, o->thing);

    l->obligation = NIL;
    l->expires_at = ev->at;
    l->holder_id = ev->holder.id;
    l->holder_sort = ev->holder.sort;
    if (p->end == END_ABORTED && p->why != OBLIGATION_ASKED && h->is_task && !holder_unknown(h) &&
        task_live(task_at(k, h->record)))
        lease_cool(k, o->thing, o->holder);
}

static void
lease_free(struct kernel *k, uint32_t i)
{
    struct lease *l = lease_at(k, i);
    struct region *r = region_at(k, l->region);

    must(l->obligation == NIL && l->wait_first == NIL);
    lease_cooled(k, i);
    if (l->prev != NIL)
        lease_at(k, l->prev)->next = l->next;
    else
        r->lease_first = l->next;
    if (l->next != NIL)
        lease_at(k, l->next)->prev = l->prev;
    else
        r->lease_last = l->prev;
    user_get(k, r->uid)->leases--;
    user_get(k, r->uid)->bytes -= heap_get(&k->heap, l->name).size;
    heap_drop(&k->heap, &k->allocator, l->name);
    index_drop(&k->obligations.lease_keys, i);
    arena_give(&k->obligations.leases, i);
}

void
leases_closed(struct kernel *k, uint32_t region)
{
    while (region_at(k, region)->lease_first != NIL)
        lease_free(k, region_at(k, region)->lease_first);
}

/* ---- I/O operations
 * ------------------------------------------------------------------------------ */

static void
io_reserved(struct kernel *k, const struct event *ev, struct obligation *o)
{
    o->thing = heap_put(&k->heap, &k->allocator, ev->text);
    user_get(k, ev->uid)->bytes += ev->text.size;
}

static void
io_ended(struct kernel *k, const struct event *ev, struct obligation *o)
{
    user_get(k, ev->uid)->bytes -= heap_get(&k->heap, o->thing).size;
    heap_drop(&k->heap, &k->allocator, o->thing);
}

static void
of_channel(struct kernel *k, const struct event *ev, struct obligation *o)
{
    const struct obligation_payload *p = ev->payload;

    o->thing = channel_of_id(k, p->channel);
    must(o->thing != NIL);
}

static void
permit_reserved(struct kernel *k, const struct event *ev, struct obligation *o)
{
    of_channel(k, ev, o);
    apply_permit(k, o->thing, true);
}

static void
permit_ended(struct kernel *k, const struct event *ev, struct obligation *o)
{
    (void)ev;
    apply_permit(k, o->thing, false);
}

static const struct obligation_kind kinds[ASUP_OBLIGATION_KIND_COUNT] = {
    [ASUP_OBLIGATION_SEND_PERMIT] = {permit_reserved, permit_ended},
    [ASUP_OBLIGATION_ACK] = {of_channel, NULL}, /* its message's events say the rest */
    [ASUP_OBLIGATION_LEASE] = {lease_reserved, lease_ended},
    [ASUP_OBLIGATION_IO_OP] = {io_reserved, io_ended},
};

/* ---- Obligations
 * ------------------------------------------------------------------------------------ */

static void
obligation_reserved(struct kernel *k, const struct event *ev)
{
    const struct obligation_payload *p = ev->payload;
    uint32_t i = arena_take(&k->obligations.records, &k->allocator);
    struct obligation *o = obligation_at(k, i);

    o->id = ev->subject;
    o->at = ev->at;
    o->deadline = p->deadline;
    o->span_ns = p->span_ns;
    o->number = p->number;
    o->region = region_of_id(k, ev->region);
    o->kind = p->kind;
    o->thing = NIL;
    must(o->region != NIL && o->kind < ASUP_OBLIGATION_KIND_COUNT);
    index_add(&k->obligations.ids, &k->allocator, i);
    k->obligations.id_next = o->id + 1;
    ledger_link(k, i);
    held_link(k, i, ev->holder, ev->at);
    if (kinds[o->kind].reserved != NULL)
        kinds[o->kind].reserved(k, ev, o);
    timer_set(&k->timers, &k->allocator, TIMER_OBLIGATION, i, o->deadline);
    region_rearm(k, o->region);
}

static void
ended_remember(struct kernel *k, const struct event *ev, const struct obligation *o)
{
    const struct obligation_end_payload *p = ev->payload;
    struct obligations *all = &k->obligations;
    uint32_t i;
    struct ended *e;

    if (arena_live(&all->ended) >= ENDED_MAX) {
        i = all->ended_first;
        all->ended_first = ((struct ended *)arena_at(&all->ended, i))->next;
        index_drop(&all->ended_ids, i);
        arena_give(&all->ended, i);
    }
    i = arena_take(&all->ended, &k->allocator);
    e = arena_at(&all->ended, i);
    *e = (struct ended){
        .id = o->id,
        .holder_id = ev->holder.id,
        .holder_sort = (uint8_t)ev->holder.sort,
        .region = ev->region,
        .at = ev->at,
        .next = NIL,
        .kind = o->kind,
        .end = p->end,
        .why = p->why,
    };
    index_add(&all->ended_ids, &k->allocator, i);
    if (all->ended_first == NIL)
        all->ended_first = i;
    else
        ((struct ended *)arena_at(&all->ended, all->ended_last))->next = i;
    all->ended_last = i;
}

/* A leak counts in the outcome of the region whose ledger it stood in. */
static void
region_leaked(struct kernel *k, const struct event *ev, uint32_t region)
{
    static const char stage[] = "obligation-leak";
    struct region *r = region_at(k, region);
    bool strict = k->config.strict || (r->flags & REGION_STRICT) != 0;
    bool task = ev->holder.sort == ASUP_SORT_TASK;
    struct kernel_outcome o = {
        .key = {.severity = strict ? ASUP_PANICKED : ASUP_ERR,
                .at = ev->at,
                .origin = task ? ev->holder.id : r->id},
        .origin_sort = task ? ASUP_SORT_TASK : ASUP_SORT_REGION,
        .exit_code = -1,
    };

    memcpy(o.stage, stage, sizeof stage);
    r->leaks++;
    k->obligations.leaked++;
    outcome_combine(k, &r->fin, &r->has_fin, &o);
}

static void
obligation_ended(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct obligation *o = obligation_at(k, i);

    ended_remember(k, ev, o);
    if (((const struct obligation_end_payload *)ev->payload)->why == OBLIGATION_ASKED)
        holder_progressed(k, o->holder, ev->at);
    if (kinds[o->kind].ended != NULL)
        kinds[o->kind].ended(k, ev, o);
    if (ev->kind == EV_OBLIGATION_LEAKED)
        region_leaked(k, ev, o->region);
    ledger_unlink(k, o);
    held_unlink(k, o);
    timer_set(&k->timers, &k->allocator, TIMER_OBLIGATION, i, ASUP_NEVER);
    region_rearm(k, o->region);
    index_drop(&k->obligations.ids, i);
    arena_give(&k->obligations.records, i);
}

static void
obligation_renewed(struct kernel *k, const struct event *ev, uint32_t i)
{
    const struct obligation_payload *p = ev->payload;
    struct obligation *o = obligation_at(k, i);

    o->deadline = p->deadline;
    o->span_ns = p->span_ns;
    if (o->kind == ASUP_OBLIGATION_LEASE)
        lease_at(k, o->thing)->expires_at = o->deadline;
    timer_set(&k->timers, &k->allocator, TIMER_OBLIGATION, i, o->deadline);
    holder_progressed(k, o->holder, ev->at);
}

static void
obligation_transferred(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct obligation *o = obligation_at(k, i);

    holder_progressed(k, o->holder, ev->at);
    held_unlink(k, o);
    held_link(k, i, ev->holder, ev->at);
    if (o->kind == ASUP_OBLIGATION_LEASE) {
        lease_at(k, o->thing)->holder_id = ev->holder.id;
        lease_at(k, o->thing)->holder_sort = ev->holder.sort;
    }
    region_rearm(k, o->region);
}

void
obligations_restart(struct kernel *k, asup_time at)
{
    for (uint32_t i = 0; i < k->obligations.records.used; i++) {
        struct obligation *o = obligation_at(k, i);

        if (o->id == 0 || o->kind == ASUP_OBLIGATION_IO_OP || o->span_ns == ASUP_NEVER)
            continue;
        o->deadline = time_add(at, o->span_ns);
        if (o->kind == ASUP_OBLIGATION_LEASE)
            lease_at(k, o->thing)->expires_at = o->deadline;
        timer_set(&k->timers, &k->allocator, TIMER_OBLIGATION, i, o->deadline);
    }
    for (uint32_t i = 0; i < k->obligations.holders.used; i++) {
        struct holder *h = holder_at(k, i);

        if (h->key == 0)
            continue;
        h->sample_at = time_add(at, holder_sample_ns(k));
        holder_progressed(k, i, at);
    }
}

/* ---- Volatile regions in a snapshot (durable.h) ------------------------------------------ */

void
task_holds_dropped(struct kernel *k, uint32_t task)
{
    uint32_t i =
        holder_of(k, (struct asup_ref){.id = task_at(k, task)->id, .sort = ASUP_SORT_TASK});
    struct holder *h;

    if (i == NIL)
        return;
    h = holder_at(k, i);
    if (holder_unstarted(k, h))
        k->obligations.held_unstarted -= h->held;
    h->record = NIL;
    while (h->cooling_first != NIL) {
        struct lease *l = lease_at(k, h->cooling_first);

        h->cooling_first = l->cooling_next;
        l->cooler = l->cooling_next = l->cooling_prev = NIL;
    }
    holder_put(k, i);
}

void
obligations_drop(struct kernel *k, uint32_t region)
{
    uint32_t i;

    while ((i = region_at(k, region)->ledger_first) != NIL) {
        struct obligation *o = obligation_at(k, i);

        if (o->kind == ASUP_OBLIGATION_IO_OP) {
            user_get(k, region_at(k, region)->uid)->bytes -= heap_get(&k->heap, o->thing).size;
            heap_drop(&k->heap, &k->allocator, o->thing);
        } else if (o->kind == ASUP_OBLIGATION_LEASE) {
            lease_at(k, o->thing)->obligation = NIL;
        }
        ledger_unlink(k, o);
        held_unlink(k, o);
        timer_set(&k->timers, &k->allocator, TIMER_OBLIGATION, i, ASUP_NEVER);
        index_drop(&k->obligations.ids, i);
        arena_give(&k->obligations.records, i);
    }
    leases_closed(k, region);
}

void
apply_obligation(struct kernel *k, const struct event *ev)
{
    uint32_t i;

    switch (ev->kind) {
    case EV_OBLIGATION_RESERVED:
        obligation_reserved(k, ev);
        return;
    case EV_FUTURELOCK:
        futurelock(k, ev);
        return;
    case EV_LEASE_GRANTED:
    case EV_LEASE_ENDED:
        return; /* told for those who watch: the obligation's event says it all */
    case EV_LEASE_FREE:
        i = lease_find(k, region_of_id(k, ev->region), ev->text);
        must(i != NIL);
        lease_free(k, i);
        return;
    default:
        break;
    }
    i = index_find(&k->obligations.ids, ev->subject);
    must(i != NIL);
    switch (ev->kind) {
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
        obligation_ended(k, ev, i);
        break;
    case EV_OBLIGATION_RENEWED:
        obligation_renewed(k, ev, i);
        break;
    case EV_OBLIGATION_TRANSFERRED:
        obligation_transferred(k, ev, i);
        break;
    default:
        must(false);
    }
}
