/* SPDX-License-Identifier: MIT */
/* Idempotency keys, read only and out of a snapshot: the digest, the invariant
 * idempotency-unique of §9, and leaving out what is volatile. */
#include "core/key.h"
#include "core/snapshot.h"

uint64_t
digest_keys(const struct kernel *k, uint64_t h)
{
    h = hash_mix(hash_mix(h, k->keys.id_next), hash_mix(k->kept_first, k->kept_count));
    for (uint32_t i = 0; i < k->keys.records.used; i++) {
        const struct key_record *q = key_at(k, i);
        struct bytes text;

        if (q->id == 0)
            continue;
        text = heap_get(&k->heap, q->text);
        h = hash_bytes(h, q, offsetof(struct key_record, durable));
        h = hash_bytes(h, text.data, text.size);
    }
    return h;
}

static struct key_name
name_of(const struct kernel *k, const struct key_record *q)
{
    return (struct key_name){
        .uid = q->uid,
        .scope = {.id = q->scope_id, .sort = (enum asup_sort)q->scope_sort},
        .text = heap_get(&k->heap, q->text),
    };
}

static bool
made_lives(const struct kernel *k, const struct key_record *q)
{
    uint32_t i;

    switch (q->made_sort) {
    case ASUP_SORT_TASK:
        i = task_of_id(k, q->made_id);
        return i != NIL && task_live(task_at(k, i));
    case ASUP_SORT_REGION:
        i = region_of_id(k, q->made_id);
        return i != NIL && region_live(region_at(k, i));
    default:
        return q->made_sort == ASUP_SORT_SAGA && saga_of_id(k, q->made_id) != NIL;
    }
}

/* The outcome is there as long as the key. */
static bool
made_kept(const struct kernel *k, const struct key_record *q)
{
    uint32_t i;

    if (!q->holds || q->made_sort == ASUP_SORT_SAGA)
        return true;
    if (q->made_sort == ASUP_SORT_TASK) {
        i = task_of_id(k, q->made_id);
        return i != NIL && (task_at(k, i)->flags & TASK_KEYED) != 0;
    }
    i = region_of_id(k, q->made_id);
    return i != NIL && (region_at(k, i)->flags & REGION_KEYED) != 0;
}

const char *
check_keys(const struct kernel *k)
{
    uint32_t counted = 0;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < k->keys.records.used; i++) {
        const struct key_record *q = key_at(k, i);
        struct key_name name;

        if (q->id == 0)
            continue;
        name = name_of(k, q);
        /* There is one of a name, and it is found. */
        if (q->id >= k->keys.id_next || key_find(k, &name) != i || name.text.size == 0)
            return "idempotency-unique";
        if (q->forget_at == ASUP_NEVER && (!q->holds || !made_lives(k, q)))
            return "idempotency-unique";
        if (!made_kept(k, q))
            return "idempotency-unique";
    }
    for (uint32_t i = 0; i < k->users.used; i++) {
        const struct user *u = arena_at(&k->users, i);

        if (u->key != 0)
            counted += u->keys;
    }
    for (uint32_t i = 0; i < k->tasks.used; i++)
        kept += task_at(k, i)->id != 0 && (task_at(k, i)->flags & TASK_KEPT) != 0;
    for (uint32_t i = 0; i < k->regions.used; i++)
        kept += region_at(k, i)->id != 0 && (region_at(k, i)->flags & REGION_KEPT) != 0;
    return counted == arena_live(&k->keys.records) && kept == k->kept_count ? NULL
                                                                            : "idempotency-unique";
}

bool
keys_sound(const struct kernel *k)
{
    for (uint32_t i = 0; i < k->keys.records.used; i++) {
        const struct key_record *q = key_at(k, i);
        struct key_name name;
        struct asup_ref made = {.id = q->made_id, .sort = (enum asup_sort)q->made_sort};

        if (q->id == 0)
            continue;
        name = name_of(k, q);
        if (q->hash != key_hash(&name) || q->made != key_made_hash(made))
            return false;
    }
    return true;
}

void
keys_fill(struct kernel *k)
{
    for (uint32_t i = 0; i < k->keys.records.used; i++) {
        if (key_at(k, i)->id != 0)
            timer_set(&k->timers, &k->allocator, TIMER_KEY, i, key_at(k, i)->forget_at);
    }
}

void
keys_volatile_drop(struct kernel *k)
{
    for (uint32_t i = 0; i < k->keys.records.used; i++) {
        if (key_at(k, i)->id != 0 && !key_at(k, i)->durable)
            key_forget(k, i);
    }
}
