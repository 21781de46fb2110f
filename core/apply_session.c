/* SPDX-License-Identifier: MIT */
/* Applying what happens to sessions, and what requests they have bound. */
#include "core/event.h"

static void
session_rearm(struct kernel *k, uint32_t i)
{
    timer_set(&k->timers, &k->allocator, TIMER_SESSION, i, session_at(k, i)->expires_at);
}

static void
session_write(struct session *s, const struct session_payload *p)
{
    s->ttl_ns = p->ttl_ns;
    s->expires_at = p->expires_at;
    s->pid = p->pid;
    s->connected = p->connected;
}

static void
session_opened(struct kernel *k, const struct event *ev)
{
    const struct session_payload *p = ev->payload;
    uint32_t i = arena_take(&k->sessions, &k->allocator);
    struct session *s = session_at(k, i);

    s->id = ev->session;
    s->uid = ev->uid;
    memcpy(s->secret_digest, p->secret_digest, sizeof s->secret_digest);
    s->attach_first = s->attach_last = NIL;
    s->request_first = s->request_last = NIL;
    session_write(s, p);
    index_add(&k->session_ids, &k->allocator, i);
    k->session_id_next = ev->session + 1;
    user_get(k, s->uid)->sessions++;
    session_rearm(k, i);
}

static void
request_forget_first(struct kernel *k, struct session *s)
{
    uint32_t i = s->request_first;
    struct request *q = arena_at(&k->requests, i);

    if (s->floor < q->id)
        s->floor = q->id;
    s->request_first = q->next;
    if (q->next == NIL)
        s->request_last = NIL;
    s->requests--;
    user_get(k, s->uid)->bytes -= heap_get(&k->heap, q->batch).size;
    heap_drop(&k->heap, &k->allocator, q->batch);
    index_drop(&k->request_keys, i);
    arena_give(&k->requests, i);
}

/* Only so many of the last requests are remembered (R-IDM-1). */
static void
requests_trim(struct kernel *k, struct session *s)
{
    while (s->requests > k->config.limits.requests_per_session)
        request_forget_first(k, s);
}

static void
session_ended(struct kernel *k, uint32_t i)
{
    struct session *s = session_at(k, i);

    /* The links among the regions stay: whoever ends the session walks them. */
    for (uint32_t at = s->attach_first; at != NIL; at = region_at(k, at)->attach_next)
        region_at(k, at)->session = NIL;
    while (s->request_first != NIL)
        request_forget_first(k, s);
    worker_session_ended(k, s->id);
    user_get(k, s->uid)->sessions--;
    timer_set(&k->timers, &k->allocator, TIMER_SESSION, i, ASUP_NEVER);
    index_drop(&k->session_ids, i);
    arena_give(&k->sessions, i);
}

static void
request_add(struct kernel *k, uint32_t session, const struct request *r, struct bytes batch)
{
    struct session *s = session_at(k, session);
    uint32_t i = arena_take(&k->requests, &k->allocator);
    struct request *q = arena_at(&k->requests, i);

    *q = *r;
    q->key = hash_mix(hash_mix(1, s->id), r->id) | 1;
    q->session = session;
    q->next = NIL;
    q->batch = heap_put(&k->heap, &k->allocator, batch);
    index_add(&k->request_keys, &k->allocator, i);
    if (s->request_last != NIL)
        ((struct request *)arena_at(&k->requests, s->request_last))->next = i;
    else
        s->request_first = i;
    s->request_last = i;
    s->requests++;
    user_get(k, s->uid)->bytes += batch.size;
    requests_trim(k, s);
}

static void
request_bound(struct kernel *k, const struct event *ev, uint32_t session)
{
    const struct request_payload *p = ev->payload;

    request_add(
        k, session,
        &(struct request){
            .id = p->id, .digest = p->digest, .made_id = p->made.id, .made_sort = p->made.sort},
        (struct bytes){p + 1, p->count * sizeof(struct asup_ref)});
}

/* A part that is bound has a sort or an id in its place. */
static void
request_part_bound(struct kernel *k, const struct event *ev, uint32_t session)
{
    static const struct asup_ref none[REQUEST_PARTS_MAX];
    const struct request_part_payload *p = ev->payload;
    const struct request *q = request_find(k, session, p->id);
    struct asup_ref *parts;

    if (q == NULL) {
        request_add(k, session, &(struct request){.id = p->id, .digest = p->digest},
                    (struct bytes){none, p->count * sizeof none[0]});
        q = request_find(k, session, p->id);
        if (q == NULL)
            return; /* none is remembered */
    }
    parts = heap_edit(&k->heap, q->batch);
    must(p->place < heap_get(&k->heap, q->batch).size / sizeof parts[0]);
    parts[p->place].id = p->made.sort == ASUP_SORT_NONE ? UINT64_MAX : p->made.id;
    parts[p->place].sort = p->made.sort;
}

void
sessions_trim(struct kernel *k)
{
    for (uint32_t i = 0; i < k->sessions.used; i++) {
        if (session_at(k, i)->id != 0)
            requests_trim(k, session_at(k, i));
    }
}

void
apply_session(struct kernel *k, const struct event *ev)
{
    uint32_t i;

    if (ev->kind == EV_SESSION_OPENED) {
        session_opened(k, ev);
        return;
    }
    i = session_of_id(k, ev->session);
    must(i != NIL);
    switch (ev->kind) {
    case EV_SESSION_LOST:
    case EV_SESSION_ATTACHED:
        session_write(session_at(k, i), ev->payload);
        session_rearm(k, i);
        break;
    case EV_SESSION_ENDED:
        session_ended(k, i);
        break;
    case EV_REQUEST_BOUND:
        request_bound(k, ev, i);
        break;
    case EV_REQUEST_PART_BOUND:
        request_part_bound(k, ev, i);
        break;
    default:
        must(false);
    }
}
