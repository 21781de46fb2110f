/* SPDX-License-Identifier: MIT */
/*
 * Sessions (R-SES-1) and the requests they have bound (R-IDM-1). A session
 * without a connection lives for its time to live; when it ends, the regions
 * attached to it are cancelled with LinkedExit.
 */
#include "core/decide.h"

static uint64_t
ttl_of(const struct kernel *k, uint64_t asked)
{
    return min_u64(asked == 0 ? k->config.session_ttl_ns : asked, k->config.session_ttl_ns_max);
}

static void
session_emit(struct kernel *k, enum event_kind kind, uint32_t i, uint64_t ttl_ns, uint32_t pid,
             bool connected)
{
    struct session_payload p = {
        .ttl_ns = ttl_ns,
        .expires_at = connected ? ASUP_NEVER : time_add(k->now, ttl_ns),
        .pid = pid,
        .connected = connected,
    };
    struct event ev = event_of_session(kind, k, i);

    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
}

/* End, and cancel what was attached: the links from region to region outlast
 * the session. */
static void
session_end(struct kernel *k, uint32_t i)
{
    uint32_t first = session_at(k, i)->attach_first;
    const char *message = "the session it was attached to ended";
    const struct asup_ref self = {.id = session_at(k, i)->id, .sort = ASUP_SORT_SESSION};

    /* What its calls held may be granted to this session, which waits for it: it leaks, too. */
    worker_session_ends(k, session_at(k, i)->id);
    obligations_leak(k, self);
    emit(k, event_of_session(EV_SESSION_ENDED, k, i));
    saga_driver_ended(k, self);
    for (uint32_t at = first; at != NIL; at = region_at(k, at)->attach_next) {
        struct cancel c = {
            .kind = ASUP_CANCEL_LINKED_EXIT,
            .origin_sort = ASUP_SORT_REGION,
            .origin = region_at(k, at)->id,
            .message = {message, strlen(message)},
            .drain_ns = ASUP_NEVER,
            .end_most = ASUP_NEVER,
        };

        cancel_region(k, at, &c);
    }
}

static int
session_open(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    struct session_payload p = {
        .ttl_ns = ttl_of(k, in->u.session_open.ttl_ns),
        .expires_at = ASUP_NEVER,
        .pid = in->u.session_open.pid,
        .connected = true, /* the request came over a connection */
    };
    struct event ev = {.kind = EV_SESSION_OPENED,
                       .uid = in->caller.uid,
                       .session = k->session_id_next,
                       .payload = &p,
                       .payload_size = sizeof p};
    const struct need need = {.events = 2};

    if (standing_shut(k, in, why) != 0 || limit_sessions(k, in->caller.uid, why) != 0)
        return why->code;
    if (!arena_reserve(&k->sessions, &k->allocator, 1) ||
        !index_reserve(&k->session_ids, &k->allocator, 1) ||
        !timers_reserve(&k->timers, &k->allocator, admit_timers(k) + 1) ||
        !arena_reserve(&k->users, &k->allocator, 1) ||
        !index_reserve(&k->user_ids, &k->allocator, 1) || !reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for another session");
    memcpy(p.secret_digest, in->u.session_open.secret_digest, sizeof p.secret_digest);
    *made = (struct asup_ref){.id = ev.session, .sort = ASUP_SORT_SESSION};
    emit(k, ev);
    return 0;
}

int
session_request(struct kernel *k, const struct input *in, struct refusal *why,
                struct asup_ref *made)
{
    uint64_t id = in->kind == IN_SESSION_RESUME ? in->session : in->caller.session;
    uint32_t i = id == 0 ? NIL : session_of_id(k, id);
    struct need need = {.events = 2};
    const struct session *s;
    unsigned different = 0;

    if (in->kind == IN_SESSION_OPEN)
        return session_open(k, in, why, made);
    if (i == NIL)
        return REFUSE(why, ASUP_EEXPIRED, "the session has ended");
    s = session_at(k, i);
    if (s->uid != in->caller.uid)
        return REFUSE(why, ASUP_EDENIED, "the session belongs to another user");
    *made = (struct asup_ref){.id = id, .sort = ASUP_SORT_SESSION};
    if (in->kind == IN_SESSION_BYE) {
        for (uint32_t at = s->attach_first; at != NIL; at = region_at(k, at)->attach_next)
            need_subtree(k, at, &need);
        need_holder(k, *made, &need);
        worker_session_need(k, id, &need);
        need.sagas += saga_driven(k, *made);
    }
    if (!reserve(k, &need))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this request");
    switch (in->kind) {
    case IN_SESSION_RESUME:
        for (size_t b = 0; b < sizeof s->secret_digest; b++)
            different |= (unsigned)(s->secret_digest[b] ^ in->u.session_open.secret_digest[b]);
        if (different != 0)
            return REFUSE(why, ASUP_EDENIED, "that is not the session's secret");
        session_emit(k, EV_SESSION_ATTACHED, i,
                     in->u.session_open.ttl_ns == 0 ? s->ttl_ns
                                                    : ttl_of(k, in->u.session_open.ttl_ns),
                     in->u.session_open.pid, true);
        break;
    case IN_SESSION_KEEPALIVE:
        if (!s->connected)
            session_emit(k, EV_SESSION_ATTACHED, i, s->ttl_ns, s->pid, false);
        break;
    default:
        session_end(k, i);
        break;
    }
    return 0;
}

void
session_fact(struct kernel *k, const struct input *in)
{
    uint32_t i = in->session == 0 ? NIL : session_of_id(k, in->session);
    const struct session *s = i == NIL ? NULL : session_at(k, i);

    if (s == NULL)
        return;
    if (in->kind == IN_SESSION_ATTACHED && !s->connected)
        session_emit(k, EV_SESSION_ATTACHED, i, s->ttl_ns, s->pid, true);
    if (in->kind == IN_SESSION_LOST && s->connected)
        session_emit(k, EV_SESSION_LOST, i, s->ttl_ns, s->pid, false);
}

void
session_fire(struct kernel *k, uint32_t i)
{
    session_end(k, i);
}

/* ---- Requests ---------------------------------------------------------------------------- */

const struct request *
request_find(const struct kernel *k, uint32_t session, uint64_t id)
{
    uint64_t key = hash_mix(hash_mix(1, session_at(k, session)->id), id) | 1;
    uint32_t cursor;

    for (uint32_t i = index_first(&k->request_keys, key, &cursor); i != NIL;
         i = index_next(&k->request_keys, key, &cursor)) {
        const struct request *q = arena_at(&k->requests, i);

        if (q->session == session && q->id == id)
            return q;
    }
    return NULL;
}

/* A part of a batch that is not atomic: it may be done, or be among those still to do. */
static int
part_lookup(const struct kernel *k, const struct request *q, const struct input *in,
            struct asup_ref *made, struct refusal *why)
{
    struct bytes all = heap_get(&k->heap, q->batch);
    struct asup_ref part;

    if (all.size != in->part.count * sizeof part || in->part.place >= in->part.count)
        return REFUSE(why, ASUP_ECONFLICT, "that request id was used for another request");
    memcpy(&part, (const uint8_t *)all.data + in->part.place * sizeof part, sizeof part);
    if (part.id == 0)
        return 0;
    *made = part.sort == ASUP_SORT_NONE ? (struct asup_ref){0} : part;
    return 1;
}

bool
kernel_request(const struct kernel *k, uint64_t session, uint64_t request, uint64_t *digest)
{
    uint32_t i = session_of_id(k, session);
    const struct request *q = i == NIL ? NULL : request_find(k, i, request);

    if (q != NULL)
        *digest = q->digest;
    return q != NULL;
}

int
request_lookup(const struct kernel *k, const struct input *in, struct asup_ref *made,
               struct refusal *why)
{
    uint32_t i;
    const struct request *q;

    if (in->caller.session == 0)
        return 0;
    i = session_of_id(k, in->caller.session);
    if (i == NIL)
        return REFUSE(why, ASUP_EEXPIRED, "the session has ended");
    if (session_at(k, i)->uid != in->caller.uid)
        return REFUSE(why, ASUP_EDENIED, "the session belongs to another user");
    if (in->request == 0)
        return 0;
    q = request_find(k, i, in->request);
    if (q == NULL) {
        if (in->request <= session_at(k, i)->floor)
            return REFUSE(why, ASUP_EEXPIRED, "the request id is too old to be remembered");
        /* The record of a whole batch comes with the first of its parts. */
        return in->part.count == 0
                   ? 0
                   : limit_bytes(k, in->caller.uid, in->part.count * sizeof(struct asup_ref), why);
    }
    if (q->digest != (in->part.count > 0 ? in->part.digest : in->digest))
        return REFUSE(why, ASUP_ECONFLICT, "that request id was used for another request");
    if (in->part.count > 0)
        return part_lookup(k, q, in, made, why);
    *made = (struct asup_ref){.id = q->made_id, .sort = (enum asup_sort)q->made_sort};
    if (in->kind == IN_BATCH && in->u.batch.made != NULL) {
        struct bytes all = heap_get(&k->heap, q->batch);
        size_t size = in->u.batch.count * sizeof(struct asup_ref);

        memcpy(in->u.batch.made, all.data, size < all.size ? size : all.size);
    }
    return 1;
}

static uint32_t
batch_count(const struct input *in)
{
    return in->kind == IN_BATCH && in->u.batch.made != NULL ? in->u.batch.count : 0;
}

size_t
request_bytes(const struct input *in)
{
    uint32_t count = in->part.count > 0 ? in->part.count : batch_count(in);

    return in->caller.session == 0 || in->request == 0 ? 0 : count * sizeof(struct asup_ref);
}

/* One more, beside those that waiting requests will be bound in. */
bool
requests_reserve(struct kernel *k)
{
    return arena_reserve(&k->requests, &k->allocator, 1 + k->waits_to_bind) &&
           index_reserve(&k->request_keys, &k->allocator, 1 + k->waits_to_bind);
}

bool
request_reserve(struct kernel *k, const struct input *in, struct need *need)
{
    size_t batch = request_bytes(in);
    struct heap_need texts = {{0}};

    if (!key_reserve(k, in, need))
        return false;
    if (in->caller.session == 0 || in->request == 0)
        return true;
    need->scratch += sizeof(struct request_payload) + batch;
    need->events++;
    return requests_reserve(k) && heap_want(&k->heap, &k->allocator, &texts, batch) &&
           heap_reserve(&k->heap, &k->allocator, &texts);
}

static void
part_bind(struct kernel *k, const struct input *in, uint32_t session, struct asup_ref made)
{
    struct request_part_payload p;
    struct event ev = event_of_session(EV_REQUEST_PART_BOUND, k, session);

    must(in->part.place < in->part.count);
    memset(&p, 0, sizeof p);
    p.id = in->request;
    p.digest = in->part.digest;
    p.made.id = made.id;
    p.made.sort = made.sort;
    p.place = in->part.place;
    p.count = in->part.count;
    ev.payload = &p;
    ev.payload_size = sizeof p;
    emit(k, ev);
}

void
request_bind(struct kernel *k, const struct input *in, struct asup_ref made)
{
    uint32_t count = batch_count(in);
    size_t size = sizeof(struct request_payload) + count * sizeof(struct asup_ref);
    struct request_payload *p;
    uint32_t i = in->caller.session == 0 ? NIL : session_of_id(k, in->caller.session);
    struct event ev;

    key_bind(k, in, made);
    if (i == NIL || in->request == 0)
        return;
    if (in->part.count > 0) {
        part_bind(k, in, i, made);
        return;
    }
    p = scratch_take(k, size);
    memset(p, 0, sizeof *p);
    p->id = in->request;
    p->digest = in->digest;
    p->made = made;
    p->count = count;
    if (count > 0)
        memcpy(p + 1, in->u.batch.made, count * sizeof(struct asup_ref));
    ev = event_of_session(EV_REQUEST_BOUND, k, i);
    ev.payload = p;
    ev.payload_size = size;
    emit(k, ev);
}
