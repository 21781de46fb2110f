/* SPDX-License-Identifier: MIT */
/*
 * idempotency (R-IDM-1): one key, one effect. The same key, or the same request
 * of a session, with the same content is answered as the first time; with
 * another content it is a Conflict; a refusal binds nothing. What was durable
 * outlives a crash.
 */
#include <stdlib.h>
#include <string.h>

#include "core/durable.h"
#include "lab/oracle_internal.h"

/* An idempotency key that is bound. */
struct seen_key {
    uint64_t id; /* hash of owner, scope and text */
    uint64_t digest;
    struct asup_ref made;
    uint64_t seq, number; /* of the event; the kernel's own id of it */
    bool durable;
};

/* The hash that a key of the kernel's stands for. */
struct key_number {
    uint64_t id;
    uint64_t key;
};

/* A request of a session that was answered. */
struct seen_request {
    uint64_t id; /* hash of session and request */
    uint64_t digest;
    struct asup_ref made;
    uint64_t seq;
    bool durable;
};

/* Those of a session that are remembered, oldest first, in a ring. */
struct seen_requests {
    uint64_t session;
    uint64_t *ring;
    uint32_t capacity, count, at;
};

enum { REQUESTS_MOST = 4096 };

static void
once(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_IDEMPOTENCY);
    if (!fine)
        complain(o, ASUP_ORACLE_IDEMPOTENCY, ev, "%s", promise);
}

/* ---- Names -------------------------------------------------------------------------- */

static uint64_t
mix(uint64_t h, uint64_t v)
{
    for (unsigned shift = 0; shift < 64; shift += 8)
        h = (h ^ (v >> shift & 0xff)) * UINT64_C(0x100000001b3);
    return h;
}

/* What a request names beside its region: it is no other one's key. */
static uint64_t
scope(const struct input *in)
{
    uint64_t sort = ASUP_SORT_OBLIGATION;
    uint64_t id = in->subject;

    if (in->region != 0) {
        sort = ASUP_SORT_REGION;
        id = in->region;
    } else if (in->task != 0) {
        sort = ASUP_SORT_TASK;
        id = in->task;
    } else if (in->kind == IN_CHANNEL_SEAL || (in->kind == IN_CHANNEL_SEND && id == 0)) {
        sort = ASUP_SORT_CHANNEL;
        id = in->kind == IN_CHANNEL_SEND ? in->u.send.channel : id;
    } else if (in->kind == IN_DEAD_RETRY || in->kind == IN_DEAD_DISCARD) {
        sort = ASUP_SORT_MESSAGE;
    } else if (in->kind >= IN_SAGA_STEP && in->kind <= IN_SAGA_RESOLVE) {
        sort = ASUP_SORT_SAGA;
    } else if (in->kind == IN_CX_REVOKE) {
        sort = ASUP_SORT_CAPABILITY;
    }
    return mix(mix(UINT64_C(0xcbf29ce484222325), sort), id);
}

static uint64_t
key_id(const struct input *in)
{
    uint64_t h = mix(scope(in), in->caller.uid);
    const uint8_t *text = in->key.data;

    for (size_t i = 0; i < in->key.size; i++)
        h = (h ^ text[i]) * UINT64_C(0x100000001b3);
    return h | 1;
}

static uint64_t
request_id(uint64_t session, uint64_t request)
{
    return mix(mix(UINT64_C(0xcbf29ce484222325), session), request) | 1;
}

static bool
has_key(const struct input *in)
{
    return in != NULL && in->kind > IN_SESSION_BYE && in->kind < IN_BATCH && in->key.size > 0;
}

/* Whether what it did is remembered under its session and number. */
static bool
is_remembered(const struct input *in)
{
    if (in == NULL || in->request == 0 || in->caller.session == 0 || in->kind <= IN_SESSION_BYE)
        return false;
    return in->kind != IN_WAIT && in->kind != IN_WORKER_NEXT && in->kind != IN_WORKER_START &&
           in->kind != IN_CALL_COMPLETE && in->kind <= IN_BATCH;
}

/* ---- Keys ------------------------------------------------------------------------------ */

static void
key_forgotten(struct oracles *o, uint64_t number)
{
    const struct key_number *n = idmap_find(&o->key_numbers, number);

    if (n != NULL)
        idmap_drop(&o->keys, n->key);
    idmap_drop(&o->key_numbers, number);
}

static void
key_bound(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct input *in = s->in;
    struct key_number *n;
    struct seen_key *q;
    uint64_t id;

    if (!has_key(in) || ev->uid != in->caller.uid || ev->text.size != in->key.size ||
        memcmp(ev->text.data, in->key.data, in->key.size) != 0)
        return;
    id = key_id(in);
    once(o, ev, idmap_find(&o->keys, id) == NULL, "R-IDM-1: one key has one effect");
    once(o, ev, s->reply == NULL || s->reply->code == 0, "R-IDM-1: refusals bind nothing");
    q = idmap_add(&o->keys, id);
    q->digest = in->digest;
    q->made = s->reply == NULL ? (struct asup_ref){0} : s->reply->made;
    q->seq = ev->seq;
    q->durable = ev->durable;
    q->number = ev->subject;
    n = idmap_add(&o->key_numbers, ev->subject);
    n->key = id;
}

static bool
bound_now(const struct judged_step *s, enum event_kind kind)
{
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        if (ev->kind != kind)
            continue;
        if (kind == EV_KEY_BOUND || ev->session == s->in->caller.session)
            return true;
    }
    return false;
}

static void
key_after(struct oracles *o, const struct judged_step *s)
{
    const struct seen_key *q = has_key(s->in) ? idmap_find(&o->keys, key_id(s->in)) : NULL;

    if (q == NULL || s->reply == NULL || s->reply->code != 0 || bound_now(s, EV_KEY_BOUND))
        return;
    once(o, NULL, q->digest == s->in->digest,
         "R-IDM-1: a key that was used for another request is a Conflict");
    once(o, NULL, ref_same(q->made, s->reply->made),
         "R-IDM-1: the same key is answered as the first time");
}

/* ---- Requests ---------------------------------------------------------------------------- */

static void
remember(struct oracles *o, uint64_t session, uint64_t id)
{
    struct seen_requests *all = idmap_add(&o->requests_of, session);

    if (all->count < REQUESTS_MOST) {
        if (all->count == all->capacity) {
            all->capacity = 2 * all->capacity + 16;
            all->ring = oracle_memory(all->ring, all->capacity * sizeof all->ring[0]);
        }
        all->ring[all->count++] = id;
        return;
    }
    idmap_drop(&o->requests, all->ring[all->at]);
    all->ring[all->at] = id;
    all->at = (all->at + 1) % all->count;
}

static void
session_forget(struct oracles *o, uint64_t session)
{
    struct seen_requests *all = idmap_find(&o->requests_of, session);

    if (all == NULL)
        return;
    for (uint32_t i = 0; i < all->count; i++)
        idmap_drop(&o->requests, all->ring[i]);
    free(all->ring);
    idmap_drop(&o->requests_of, session);
}

static void
request_after(struct oracles *o, const struct judged_step *s)
{
    struct seen_request *q;
    const struct event *last;
    uint64_t id;

    if (!is_remembered(s->in) || s->reply == NULL || s->reply->code != 0)
        return;
    if (has_key(s->in) && !bound_now(s, EV_KEY_BOUND))
        return; /* its key answered it, whatever its number */
    id = request_id(s->in->caller.session, s->in->request);
    q = idmap_find(&o->requests, id);
    if (q != NULL) {
        once(o, NULL, q->digest == s->in->digest,
             "R-IDM-1: a request id that was used for another request is a Conflict");
        once(o, NULL, ref_same(q->made, s->reply->made),
             "R-IDM-1: a request that comes again is answered as the first time");
        return;
    }
    if (!bound_now(s, EV_REQUEST_BOUND))
        return;
    last = &s->out->events[s->out->event_count - 1];
    q = idmap_add(&o->requests, id);
    q->digest = s->in->digest;
    q->made = s->reply->made;
    q->seq = last->seq;
    for (size_t i = 0; i < s->out->event_count; i++)
        q->durable =
            q->durable || (s->out->events[i].kind == EV_REQUEST_BOUND && s->out->events[i].durable);
    remember(o, s->in->caller.session, id);
}

/* ---- The family ------------------------------------------------------------------------------ */

static void
sizes(struct oracles *o)
{
    o->keys.item_size = sizeof(struct seen_key);
    o->key_numbers.item_size = sizeof(struct key_number);
    o->requests.item_size = sizeof(struct seen_request);
    o->requests_of.item_size = sizeof(struct seen_requests);
}

static void
keys_before(struct oracles *o, const struct judged_step *s)
{
    (void)s;
    sizes(o);
}

static void
keys_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    if (ev->kind == EV_KEY_BOUND)
        key_bound(o, s, ev);
    else if (ev->kind == EV_KEY_FORGOTTEN)
        key_forgotten(o, ev->subject);
    else if (ev->kind == EV_SESSION_ENDED)
        session_forget(o, ev->session);
}

static void
keys_after(struct oracles *o, const struct judged_step *s)
{
    if (s->in == NULL)
        return;
    key_after(o, s);
    request_after(o, s);
}

static void
clear(struct oracles *o)
{
    struct seen_requests *all;
    size_t cursor = 0;

    while ((all = idmap_next(&o->requests_of, &cursor)) != NULL)
        free(all->ring);
    idmap_clear(&o->requests_of);
    idmap_clear(&o->requests);
}

static bool
outlives(const struct oracles *o, bool durable, uint64_t seq)
{
    return durable && seq <= o->durable_seq;
}

/* Of each session that is there still, what was durable. */
static void
requests_learn(struct oracles *o)
{
    struct seen_requests *all;
    size_t cursor = 0;

    while ((all = idmap_next(&o->requests_of, &cursor)) != NULL) {
        bool lives = idmap_find(&o->model.sessions, all->session) != NULL;
        uint32_t kept = 0;

        for (uint32_t n = 0; n < all->count; n++) {
            uint64_t id = all->ring[(all->at + n) % all->count];
            const struct seen_request *q = idmap_find(&o->requests, id);

            if (q == NULL)
                continue;
            if (lives && outlives(o, q->durable, q->seq))
                o->ids[kept++] = id;
            else
                idmap_drop(&o->requests, id);
        }
        memcpy(all->ring, o->ids, kept * sizeof o->ids[0]);
        all->count = kept;
        all->at = 0;
    }
}

/* What was not durable, or came after, never happened. What was is there. */
static void
keys_learn(struct oracles *o, const struct kernel *k)
{
    struct seen_key *q;
    size_t cursor = 0;
    size_t gone = 0;

    (void)k;
    sizes(o);
    o->ids = oracle_memory(o->ids, (REQUESTS_MOST + o->keys.count) * sizeof o->ids[0]);
    requests_learn(o);
    while ((q = idmap_next(&o->keys, &cursor)) != NULL) {
        if (!outlives(o, q->durable, q->seq))
            o->ids[gone++] = q->number;
    }
    while (gone > 0)
        key_forgotten(o, o->ids[--gone]);
}

static void
keys_fini(struct oracles *o)
{
    clear(o);
    free(o->ids);
    idmap_fini(&o->keys);
    idmap_fini(&o->key_numbers);
    idmap_fini(&o->requests);
    idmap_fini(&o->requests_of);
}

const struct oracle_family oracle_keys = {
    .learn = keys_learn,
    .before = keys_before,
    .event = keys_event,
    .after = keys_after,
    .fini = keys_fini,
};
