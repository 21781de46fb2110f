/* SPDX-License-Identifier: MIT */
/*
 * Idempotency keys (R-IDM-1): looked up before admission; the first request
 * with a key wins. The same request again is answered as the first was, also
 * after the region has closed; another request with that key is a Conflict. A
 * refused request binds nothing.
 */
#include "core/capability.h"
#include "core/key.h"

/* ---- Names ----------------------------------------------------------------------------- */

uint64_t
key_hash(const struct key_name *name)
{
    uint64_t h = hash_mix(hash_mix(name->uid + (uint64_t)1, name->scope.sort), name->scope.id);

    return hash_bytes(h, name->text.data, name->text.size) | 1;
}

uint64_t
key_made_hash(struct asup_ref made)
{
    return hash_mix(hash_mix(7, made.sort), made.id) | 1;
}

uint32_t
key_find(const struct kernel *k, const struct key_name *name)
{
    uint64_t hash = key_hash(name);
    uint32_t cursor;

    for (uint32_t i = index_first(&k->keys.hashes, hash, &cursor); i != NIL;
         i = index_next(&k->keys.hashes, hash, &cursor)) {
        const struct key_record *q = key_at(k, i);
        struct bytes text = heap_get(&k->heap, q->text);

        if (q->uid == name->uid && q->scope_id == name->scope.id &&
            q->scope_sort == name->scope.sort && text.size == name->text.size &&
            memcmp(text.data, name->text.data, text.size) == 0)
            return i;
    }
    return NIL;
}

/* What the request names: a region, or else the thing that it is about. */
static struct asup_ref
scope_of(const struct input *in)
{
    if (in->region != 0)
        return (struct asup_ref){.id = in->region, .sort = ASUP_SORT_REGION};
    if (in->task != 0)
        return (struct asup_ref){.id = in->task, .sort = ASUP_SORT_TASK};
    switch (in->kind) {
    case IN_CHANNEL_SEAL:
        return (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_CHANNEL};
    case IN_CHANNEL_SEND:
        if (in->subject == 0)
            return (struct asup_ref){.id = in->u.send.channel, .sort = ASUP_SORT_CHANNEL};
        return (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_OBLIGATION};
    case IN_DEAD_RETRY:
    case IN_DEAD_DISCARD:
        return (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_MESSAGE};
    case IN_SAGA_STEP:
    case IN_SAGA_COMPLETE:
    case IN_SAGA_ABORT:
    case IN_SAGA_RESOLVE:
        return (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_SAGA};
    case IN_CX_REVOKE:
        return (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_CAPABILITY};
    default:
        return (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_OBLIGATION};
    }
}

static struct key_name
name_of(const struct input *in)
{
    return (struct key_name){.uid = in->caller.uid, .scope = scope_of(in), .text = in->key};
}

/* What is only good while it is held cannot be answered again later, and a
 * batch has a key for each of its operations. */
static bool
takes_key(enum input_kind kind)
{
    switch (kind) {
    case IN_LEASE_ACQUIRE:
    case IN_CHANNEL_RESERVE:
    case IN_CHANNEL_RECEIVE:
    case IN_WORKER_OFFER:
    case IN_WORKER_WITHDRAW:
    case IN_WORKER_DRAIN:
    case IN_WORKER_NEXT:
    case IN_WORKER_START:
    case IN_CALL_COMPLETE:
    case IN_WAIT:
    case IN_TASK_CHECKPOINT:
    case IN_TASK_PROGRESS:
    case IN_SHUTDOWN:
    case IN_BATCH:
        return false;
    default:
        return kind > IN_SESSION_BYE;
    }
}

/* ---- Looking up -------------------------------------------------------------------------- */

static int
limit_keys(const struct kernel *k, uint32_t uid, struct refusal *why)
{
    const struct user *u = user_find(k, uid);

    if (u == NULL || u->keys < k->config.limits.keys_per_user)
        return 0;
    why->limit = "idempotency-keys-per-user";
    why->detail = "you have as many idempotency keys as a user may";
    return why->code = -ASUP_EBUSY;
}

int
key_lookup(const struct kernel *k, const struct input *in, struct asup_ref *made,
           struct refusal *why)
{
    struct key_name name;
    struct authority a;
    uint32_t i;

    if (in->key.size == 0)
        return 0;
    if (in->key.size > ASUP_KEY_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "an idempotency key has at most 128 bytes");
    if (!takes_key(in->kind))
        return REFUSE(why, ASUP_EUNSUPPORTED, "this takes no idempotency key");
    name = name_of(in);
    i = key_find(k, &name);
    if (i == NIL)
        return limit_keys(k, in->caller.uid, why);
    if (standing_shut(k, in, why) != 0)
        return why->code;
    /* The same owner may ask again with what died with its region, not with what was revoked. */
    if (right_needed(in) && authority_of(k, &in->caller, &a, why) == -ASUP_EREVOKED)
        return why->code;
    *why = (struct refusal){0};
    if (key_at(k, i)->digest != in->digest && !PLANTED(IDEMPOTENCY))
        return REFUSE(why, ASUP_ECONFLICT, "that idempotency key was used for another request");
    *made = (struct asup_ref){.id = key_at(k, i)->made_id,
                              .sort = (enum asup_sort)key_at(k, i)->made_sort};
    return 1;
}

bool
kernel_key_known(const struct kernel *k, uint32_t uid, struct asup_ref scope, struct bytes key)
{
    const struct key_name name = {.uid = uid, .scope = scope, .text = key};

    return key.size > 0 && key_find(k, &name) != NIL;
}

/* ---- Binding ----------------------------------------------------------------------------- */

bool
key_reserve(struct kernel *k, const struct input *in, struct need *need)
{
    const struct kernel_allocator *a = &k->allocator;
    struct heap_need texts = {{0}};

    if (in->key.size == 0)
        return true;
    need->events += 2; /* bound, and done at once */
    need->scratch += sizeof(struct key_payload) + in->key.size + 16;
    return arena_reserve(&k->keys.records, a, 1) && index_reserve(&k->keys.hashes, a, 1) &&
           index_reserve(&k->keys.made, a, 1) && index_reserve(&k->keys.ids, a, 1) &&
           timers_reserve(&k->timers, a, admit_timers(k) + 1) &&
           heap_want(&k->heap, a, &texts, in->key.size) && heap_reserve(&k->heap, a, &texts) &&
           users_reserve(k);
}

/* What was made by it lives, and ends some time. */
static bool
makes_work(enum input_kind kind)
{
    return kind == IN_TASK_SUBMIT || kind == IN_FINALIZER_DEFER || kind == IN_REGION_OPEN ||
           kind == IN_SAGA_BEGIN;
}

void
key_bind(struct kernel *k, const struct input *in, struct asup_ref made)
{
    struct asup_ref scope = scope_of(in);
    uint64_t retention =
        in->key_retention_ns == 0 ? k->config.key_retention_ns : in->key_retention_ns;
    struct key_payload p = {
        .digest = in->digest,
        .scope = scope,
        .made = made,
        .retention_ns = retention,
        .forget_at = makes_work(in->kind) ? ASUP_NEVER : time_add(k->now, retention),
        .holds = makes_work(in->kind),
    };
    struct event ev = {
        .kind = EV_KEY_BOUND,
        .uid = in->caller.uid,
        .subject = k->keys.id_next,
        .text = in->key,
        .payload = &p,
        .payload_size = sizeof p,
    };

    if (in->key.size > 0)
        emit(k, ev);
}

/* ---- Afterwards --------------------------------------------------------------------------------
 */

static struct event
event_of_key(enum event_kind kind, const struct kernel *k, uint32_t i)
{
    return (struct event){.kind = kind, .uid = key_at(k, i)->uid, .subject = key_at(k, i)->id};
}

/* Its work has ended: the retention runs. */
void
key_done(struct kernel *k, struct asup_ref made)
{
    uint64_t hash = key_made_hash(made);
    uint32_t cursor;

    if (arena_live(&k->keys.records) == 0)
        return;
    for (uint32_t i = index_first(&k->keys.made, hash, &cursor); i != NIL;
         i = index_next(&k->keys.made, hash, &cursor)) {
        const struct key_record *q = key_at(k, i);
        struct event ev;

        if (!q->holds || q->made_id != made.id || q->made_sort != made.sort ||
            q->forget_at != ASUP_NEVER)
            continue;
        ev = event_of_key(EV_KEY_COMPLETED, k, i);
        ev.value = time_add(k->now, q->retention_ns);
        emit(k, ev);
        return; /* it was made once */
    }
}

void
key_fire(struct kernel *k, uint32_t i)
{
    emit(k, event_of_key(EV_KEY_FORGOTTEN, k, i));
}

/* The outcomes that keys keep take more room than there is for them: the oldest goes, and its key
 * with it. */
bool
key_make_room(struct kernel *k)
{
    uint32_t link = k->kept_first;
    struct asup_ref made;
    uint32_t cursor;
    uint64_t hash;

    if (link == NIL)
        return false;
    made = (link & 1) != 0
               ? (struct asup_ref){.id = region_at(k, link >> 1)->id, .sort = ASUP_SORT_REGION}
               : (struct asup_ref){.id = task_at(k, link >> 1)->id, .sort = ASUP_SORT_TASK};
    hash = key_made_hash(made);
    for (uint32_t i = index_first(&k->keys.made, hash, &cursor); i != NIL;
         i = index_next(&k->keys.made, hash, &cursor)) {
        if (key_at(k, i)->made_id == made.id && key_at(k, i)->made_sort == made.sort &&
            key_at(k, i)->holds) {
            key_fire(k, i);
            return true;
        }
    }
    return false;
}
