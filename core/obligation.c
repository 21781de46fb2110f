/* SPDX-License-Identifier: MIT */
/*
 * Obligations: the one way in which every family makes, resolves, hands on and
 * loses them (§4), and the requests about I/O operations, which are nothing
 * but an obligation.
 *
 * An obligation ends exactly once (R-OBL-1): resolved by its holder
 * (Committed, Aborted), by its deadline or its region's T (Aborted), or by the
 * end of its holder (Leaked). After any of these its kind gets to recover:
 * what follows is decided in `recover`, below.
 */
#include "core/obligation.h"

/* See admit.c: the events of so many ends have memory at any time. */
enum { STANDING_OBLIGATIONS = 256 };

/* ---- Finding ------------------------------------------------------------------------- */

struct obligation *
obligation_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.records, i);
}

struct holder *
holder_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->obligations.holders, i);
}

uint32_t
obligation_of_id(const struct kernel *k, uint64_t id)
{
    return id == 0 ? NIL : index_find(&k->obligations.ids, id);
}

const struct ended *
obligation_ended(const struct kernel *k, uint64_t id)
{
    uint32_t i = id == 0 ? NIL : index_find(&k->obligations.ended_ids, id);

    return i == NIL ? NULL : arena_at(&k->obligations.ended, i);
}

static struct event
event_of(enum event_kind kind, struct kernel *k, uint32_t i)
{
    const struct obligation *o = obligation_at(k, i);
    struct event ev = event_of_region(kind, k, o->region);

    ev.subject = o->id;
    ev.holder = holder_ref(holder_at(k, o->holder));
    ev.value = o->kind;
    return ev;
}

/* ---- Who may hold what ----------------------------------------------------------------- */

static bool
region_below(const struct kernel *k, uint32_t region, uint32_t top)
{
    while (region != NIL && region_at(k, region)->depth > region_at(k, top)->depth)
        region = region_at(k, region)->parent;
    return region == top;
}

/* The root of the subtree that is closing, of which the region is part. */
static uint32_t
closing_top(const struct kernel *k, uint32_t region)
{
    for (;;) {
        uint32_t parent = region_at(k, region)->parent;

        if (parent == NIL || (region_at(k, parent)->flags & REGION_CANCELLED) == 0)
            return region;
        region = parent;
    }
}

static bool
holder_inside(const struct kernel *k, struct asup_ref holder, uint32_t top)
{
    uint32_t task = holder.sort == ASUP_SORT_TASK ? task_of_id(k, holder.id) : NIL;

    return task != NIL && region_below(k, task_at(k, task)->region, top);
}

/* A finalizer begins when all below its region is closed: what it held before
 * would be in its own way. */
bool
holder_lives(const struct kernel *k, struct asup_ref holder)
{
    const struct task *t;
    uint32_t i;

    if (holder.sort == ASUP_SORT_SESSION)
        return session_of_id(k, holder.id) != NIL;
    i = holder.sort == ASUP_SORT_TASK ? task_of_id(k, holder.id) : NIL;
    if (i == NIL)
        return false;
    t = task_at(k, i);
    return task_live(t) && (t->flags & (TASK_FINALIZER | TASK_BEGUN)) != TASK_FINALIZER;
}

/* R-REG-2: what a region that is ending still admits. */
static bool
admitted_late(const struct kernel *k, uint32_t region, uint8_t kind, struct asup_ref holder)
{
    const struct region *r = region_at(k, region);
    const struct task *t;
    uint32_t i = holder.sort == ASUP_SORT_TASK ? task_of_id(k, holder.id) : NIL;
    bool cancelled = (r->flags & REGION_CANCELLED) != 0;

    if (i == NIL)
        return false;
    t = task_at(k, i);
    if ((t->flags & TASK_FINALIZER) != 0)
        return region_below(k, t->region, region);
    if (r->state != ASUP_REGION_DRAINING)
        return false;
    if (!cancelled && t->reason == 0)
        return region_below(k, t->region, region);
    return kind == ASUP_OBLIGATION_ACK && t->reason != 0 && k->now < r->drain_end;
}

int
obligation_admits(const struct kernel *k, uint32_t region, uint8_t kind, struct asup_ref holder,
                  struct refusal *why)
{
    const struct region *r = region_at(k, region);

    if (holder.sort == ASUP_SORT_NONE)
        return REFUSE(why, ASUP_EINVALID, "this needs a session: somebody has to hold it");
    if (!holder_lives(k, holder))
        return REFUSE(why, ASUP_EEXPIRED, "who would hold it has ended, or not begun");
    if (r->state == ASUP_REGION_OPEN || (region_live(r) && admitted_late(k, region, kind, holder)))
        return 0;
    return REFUSE(why, ASUP_ECLOSED,
                  region_live(r) ? "the region is draining and admits nothing new"
                                 : "the region is closed");
}

static const uint32_t right_of[ASUP_OBLIGATION_KIND_COUNT] = {
    [ASUP_OBLIGATION_SEND_PERMIT] = ASUP_RIGHT_CHANNEL,
    [ASUP_OBLIGATION_ACK] = ASUP_RIGHT_CHANNEL,
    [ASUP_OBLIGATION_LEASE] = ASUP_RIGHT_LEASE,
    [ASUP_OBLIGATION_IO_OP] = ASUP_RIGHT_IO,
};

int
obligation_reserve_check(const struct kernel *k, const struct caller *c, uint32_t region,
                         uint8_t kind, size_t bytes, struct refusal *why)
{
    if (authorize(k, c, region, right_of[kind], why) != 0 ||
        obligation_admits(k, region, kind, caller_holder(c), why) != 0 ||
        limit_obligations(k, region_at(k, region)->uid, why) != 0)
        return why->code;
    return limit_bytes(k, region_at(k, region)->uid, bytes, why);
}

/* ---- Making ------------------------------------------------------------------------------ */

uint32_t
obligation_make(struct kernel *k, const struct obligation_new *n)
{
    struct obligation_payload p = {
        .span_ns = n->span_ns,
        .deadline = time_add(k->now, n->span_ns),
        .number = n->number,
        .channel = n->channel,
        .kind = n->kind,
    };
    struct event ev = event_of_region(EV_OBLIGATION_RESERVED, k, n->region);

    ev.subject = k->obligations.id_next;
    ev.holder = n->holder;
    ev.value = n->kind;
    ev.text = n->name;
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
    return obligation_of_id(k, ev.subject);
}

struct asup_ref
obligation_ref(const struct kernel *k, uint32_t i)
{
    return (struct asup_ref){.id = obligation_at(k, i)->id, .sort = ASUP_SORT_OBLIGATION};
}

/* ---- Ending -------------------------------------------------------------------------------- */

static void
recover(struct kernel *k, const struct obligation_gone *g)
{
    switch ((enum asup_obligation_kind)g->kind) {
    case ASUP_OBLIGATION_SEND_PERMIT:
        permit_gone(k, g);
        break;
    case ASUP_OBLIGATION_ACK:
        ack_gone(k, g);
        break;
    case ASUP_OBLIGATION_LEASE:
        lease_gone(k, g);
        break;
    case ASUP_OBLIGATION_IO_OP:
        break; /* there is nothing of it here: the region no longer waits */
    }
}

void
obligation_finish(struct kernel *k, uint32_t i, enum obligation_end end, enum obligation_why why,
                  struct bytes text)
{
    static const enum event_kind kinds[] = {
        [END_COMMITTED] = EV_OBLIGATION_COMMITTED,
        [END_ABORTED] = EV_OBLIGATION_ABORTED,
        [END_LEAKED] = EV_OBLIGATION_LEAKED,
    };
    const struct obligation *o = obligation_at(k, i);
    struct obligation_end_payload p = {.end = (uint8_t)end, .why = (uint8_t)why};
    struct event ev = event_of(kinds[end], k, i);
    struct obligation_gone g = {
        .id = o->id,
        .number = o->number,
        .holder = ev.holder,
        .region = o->region,
        .thing = o->thing,
        .kind = o->kind,
        .end = end,
        .why = why,
        .text = text,
    };

    ev.text = text;
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
    recover(k, &g);
    if (!region_owes(region_at(k, g.region)) &&
        region_at(k, g.region)->state >= ASUP_REGION_DRAINING)
        work_region(k, g.region);
}

static struct bytes
text_of(const char *text)
{
    return (struct bytes){text, strlen(text)};
}

void
obligations_leak(struct kernel *k, struct asup_ref holder)
{
    struct bytes label = {"", 0};
    uint32_t h = holder_of(k, holder);
    uint32_t task = holder.sort == ASUP_SORT_TASK ? task_of_id(k, holder.id) : NIL;

    if (h == NIL)
        return;
    if (task != NIL)
        label = scratch_text(k, heap_get(&k->heap, task_at(k, task)->label));
    /* The holder's record goes with the last of them. */
    while ((h = holder_of(k, holder)) != NIL && holder_at(k, h)->held > 0) {
        obligation_finish(k, holder_at(k, h)->held_first, END_LEAKED, OBLIGATION_DEATH, label);
        if (PLANTED(OBLIGATION_LEAK))
            break;
    }
    leases_cooled(k, holder);
}

void
obligation_fire(struct kernel *k, uint32_t i)
{
    obligation_finish(k, i, END_ABORTED, OBLIGATION_EXPIRED, text_of("expired"));
}

/* R-OBL-4: at T, holders outside the closing subtree lose what they hold. */
void
obligations_drain_ended(struct kernel *k, uint32_t region)
{
    const struct region *r = region_at(k, region);
    uint32_t top = closing_top(k, region);
    struct event ev = event_of_region(EV_REGION_DRAIN_ENDED, k, region);
    uint32_t next;

    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
        ev.value += r->ledger[kind];
    emit(k, ev);
    for (uint32_t i = r->ledger_first; i != NIL; i = next) {
        const struct obligation *o = obligation_at(k, i);

        next = o->ledger_next;
        if (!holder_inside(k, holder_ref(holder_at(k, o->holder)), top))
            obligation_finish(k, i, END_ABORTED, OBLIGATION_CLOSED, text_of("region-closed"));
    }
}

/* ---- Futurelock (R-OBL-6) ------------------------------------------------------------------- */

void
holder_fire(struct kernel *k, uint32_t i)
{
    const struct holder *h = holder_at(k, i);
    const struct obligation *o = obligation_at(k, h->held_first);
    struct event ev;

    if (!h->stuck && time_add(h->progress_at, k->config.futurelock_ns) <= k->now) {
        ev = event_of_task(EV_FUTURELOCK, k, h->record);
        ev.subject = o->id;
        ev.holder = holder_ref(h);
        ev.value = k->now - h->progress_at;
        ev.text = scratch_text(k, heap_get(&k->heap, task_at(k, h->record)->label));
        emit(k, ev);
    } else {
        emit(k, event_of_task(EV_TASK_SAMPLE_ORDERED, k, h->record));
        (void)effect_of_task(k, FX_SAMPLE, h->record);
    }
}

/* ---- Memory
 * -------------------------------------------------------------------------------------- */

/* Memory for what one can lead to is reserved when it is made, so that ends,
 * which cannot be refused, find it: a place among the ended, for its holder and
 * its timers. A grant to who waits takes the place of what ended; a name that
 * cools has one kept for it. */
bool
obligation_memory(struct kernel *k, uint32_t more)
{
    const struct kernel_allocator *a = &k->allocator;
    struct obligations *all = &k->obligations;
    uint32_t leases = arena_live(&all->leases) + more;
    uint32_t records = arena_live(&all->records) + more;
    uint32_t holders = records + leases - arena_live(&all->holders);
    uint32_t ended = ENDED_MAX - arena_live(&all->ended);

    if (ended > records + leases)
        ended = records + leases;
    return arena_reserve(&all->records, a, more + leases) &&
           index_reserve(&all->ids, a, more + leases) && arena_reserve(&all->holders, a, holders) &&
           index_reserve(&all->holder_keys, a, holders) && arena_reserve(&all->ended, a, ended) &&
           index_reserve(&all->ended_ids, a, ended) &&
           timers_reserve(&k->timers, a, admit_timers(k) + 3 * more) && users_reserve(k);
}

uint64_t
obligations_standing(const struct kernel *k)
{
    return 1 + min_u64(arena_live(&k->obligations.records), STANDING_OBLIGATIONS);
}

void
need_holder(const struct kernel *k, struct asup_ref holder, struct need *need)
{
    uint32_t h = holder_of(k, holder);

    if (h == NIL)
        return;
    for (uint32_t i = holder_at(k, h)->held_first; i != NIL; i = obligation_at(k, i)->held_next)
        need_obligation(k, i, need);
    for (uint32_t i = holder_at(k, h)->cooling_first; i != NIL; i = lease_at(k, i)->cooling_next)
        need->obligations++;
}

void
need_obligation(const struct kernel *k, uint32_t i, struct need *need)
{
    const struct obligation *o = obligation_at(k, i);
    const struct holder *h = holder_at(k, o->holder);

    need_follow(k, o->region, need);
    if (o->kind == ASUP_OBLIGATION_IO_OP) {
        need->operations++;
        return;
    }
    need->obligations++;
    if (h->is_task && o->kind == ASUP_OBLIGATION_LEASE) {
        need->reasons++;
        need_follow(k, task_at(k, h->record)->region, need);
    }
}

void
need_ledger(const struct kernel *k, uint32_t region, struct need *need)
{
    for (uint32_t i = region_at(k, region)->ledger_first; i != NIL;
         i = obligation_at(k, i)->ledger_next)
        need_obligation(k, i, need);
}

/* ---- Requests
 * ------------------------------------------------------------------------------------ */

/* What is said to one that is there no more. */
static int
refuse_gone(const struct kernel *k, uint64_t id, struct refusal *why)
{
    const struct ended *e = obligation_ended(k, id);

    if (e == NULL && (id == 0 || id >= k->obligations.id_next))
        return REFUSE(why, ASUP_ENOTFOUND, "there is no such obligation");
    if (e == NULL)
        return REFUSE(why, ASUP_ERESOLVED, "the obligation was resolved long ago");
    switch ((enum obligation_why)e->why) {
    case OBLIGATION_EXPIRED:
        return REFUSE(why, ASUP_EEXPIRED, "its time ended before: it was aborted");
    case OBLIGATION_CLOSED:
        return REFUSE(why, ASUP_ECLOSED, "its region's drain ended before: it was aborted");
    case OBLIGATION_DEATH:
        return REFUSE(why, ASUP_ERESOLVED, "its holder ended before: it leaked");
    case OBLIGATION_ASKED:
        break;
    }
    return REFUSE(why, ASUP_ERESOLVED,
                  e->end == END_COMMITTED ? "it was committed before" : "it was aborted before");
}

uint32_t
obligation_held(const struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = obligation_of_id(k, in->subject);
    const struct obligation *o;
    struct asup_ref holder = caller_holder(&in->caller);

    if (i == NIL) {
        (void)refuse_gone(k, in->subject, why);
        return NIL;
    }
    o = obligation_at(k, i);
    if (!PLANTED(OBLIGATION_LINEAR) &&
        (holder.sort == ASUP_SORT_NONE || holder_key(holder) != holder_at(k, o->holder)->key)) {
        (void)REFUSE(why, ASUP_EDENIED, "another holds it: only its holder resolves it");
        return NIL;
    }
    return i;
}

static int
transfer_check(const struct kernel *k, const struct input *in, uint32_t i, struct refusal *why)
{
    const struct asup_ref *to = &in->u.transfer;
    const struct obligation *o = obligation_at(k, i);
    const struct region *r = region_at(k, o->region);
    struct caller heir = {.uid = in->caller.uid};

    if (to->sort != ASUP_SORT_TASK && to->sort != ASUP_SORT_SESSION)
        return REFUSE(why, ASUP_EINVALID, "an obligation goes to a task or a session");
    if (!holder_lives(k, *to))
        return REFUSE(why, ASUP_ENOTFOUND, "the new holder does not live");
    if (to->sort == ASUP_SORT_TASK) {
        heir.task = to->id;
        heir.uid = task_at(k, task_of_id(k, to->id))->uid;
    } else {
        heir.session = to->id;
        heir.uid = session_at(k, session_of_id(k, to->id))->uid;
    }
    if (authorize(k, &heir, o->region, right_of[o->kind], why) != 0)
        return REFUSE(why, ASUP_EDENIED, "the new holder has no rights there");
    if ((k->now >= r->drain_end || r->state == ASUP_REGION_FINALIZING) &&
        !holder_inside(k, *to, closing_top(k, o->region)))
        return REFUSE(why, ASUP_ECLOSED, "the drain has ended: nobody outside may hold it");
    return 0;
}

static int
io_check(const struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t region = region_lookup(k, in, why);

    if (region == NIL)
        return why->code;
    if (in->u.io.label.size > ASUP_LABEL_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the label is too long");
    if (in->u.io.timeout_ns == 0)
        return REFUSE(why, ASUP_EINVALID, "a timeout of 0 leaves no time");
    return obligation_reserve_check(k, &in->caller, region, ASUP_OBLIGATION_IO_OP,
                                    in->u.io.label.size, why);
}

int
obligation_request_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i;

    if (in->kind == IN_OBLIGATION_RESERVE)
        return io_check(k, in, why);
    if (in->kind == IN_OBLIGATION_ABORT && in->u.nack.note.size > ASUP_MESSAGE_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the note is too long");
    i = obligation_held(k, in, why);
    if (i == NIL)
        return why->code;
    if (in->kind == IN_OBLIGATION_TRANSFER)
        return transfer_check(k, in, i, why);
    if (in->kind == IN_OBLIGATION_COMMIT) {
        if (obligation_at(k, i)->kind == ASUP_OBLIGATION_SEND_PERMIT)
            return REFUSE(why, ASUP_EINVALID, "a permit is committed by sending a message");
        return authorize(k, &in->caller, obligation_at(k, i)->region,
                         right_of[obligation_at(k, i)->kind], why);
    }
    return 0;
}

bool
obligation_request_memory(struct kernel *k, const struct input *in, struct need *need)
{
    struct heap_need texts = {{0}};

    if (in->kind != IN_OBLIGATION_RESERVE) {
        need_obligation(k, obligation_of_id(k, in->subject), need);
        need->scratch += ASUP_MESSAGE_MAX;
        return true;
    }
    need->obligations += obligations_standing(k);
    need->scratch += in->u.io.label.size + sizeof(struct obligation_payload);
    return heap_want(&k->heap, &k->allocator, &texts, in->u.io.label.size) &&
           heap_reserve(&k->heap, &k->allocator, &texts) && obligation_memory(k, 1);
}

struct asup_ref
obligation_request(struct kernel *k, const struct input *in)
{
    struct asup_ref made = {.id = in->subject, .sort = ASUP_SORT_OBLIGATION};
    uint32_t i = obligation_of_id(k, in->subject);
    struct obligation_new n = {.kind = ASUP_OBLIGATION_IO_OP, .span_ns = in->u.io.timeout_ns};
    struct event ev;

    switch (in->kind) {
    case IN_OBLIGATION_RESERVE:
        n.region = region_of_id(k, in->region);
        n.holder = caller_holder(&in->caller);
        n.name = in->u.io.label;
        return obligation_ref(k, obligation_make(k, &n));
    case IN_OBLIGATION_TRANSFER:
        ev = event_of(EV_OBLIGATION_TRANSFERRED, k, i);
        ev.holder = in->u.transfer;
        emit(k, ev);
        break;
    case IN_OBLIGATION_COMMIT:
        obligation_finish(k, i, END_COMMITTED, OBLIGATION_ASKED, text_of(""));
        break;
    default:
        /* A lease that is let go has been kept to its end. */
        obligation_finish(
            k, i, obligation_at(k, i)->kind == ASUP_OBLIGATION_LEASE ? END_COMMITTED : END_ABORTED,
            OBLIGATION_ASKED, in->u.nack.note);
        break;
    }
    return made;
}
