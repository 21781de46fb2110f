/* SPDX-License-Identifier: MIT */
/* Applying what happens to idempotency keys. */
#include "core/key.h"

/* What was made keeps its outcome as long as the key. A repeat of the request
 * that only names it (region.close) holds nothing. */
static void
hold(struct kernel *k, const struct key_record *q, bool held)
{
    uint32_t i;

    if (!q->holds)
        return;
    if (q->made_sort == ASUP_SORT_TASK && (i = task_of_id(k, q->made_id)) != NIL) {
        if (held)
            task_at(k, i)->flags |= TASK_KEYED;
        else
            task_at(k, i)->flags &= ~(uint32_t)TASK_KEYED;
        retained_let_go(k, i, false);
    } else if (q->made_sort == ASUP_SORT_REGION && (i = region_of_id(k, q->made_id)) != NIL) {
        if (held)
            region_at(k, i)->flags |= REGION_KEYED;
        else
            region_at(k, i)->flags &= ~(uint32_t)REGION_KEYED;
        retained_let_go(k, i, true);
    }
}

static void
rearm(struct kernel *k, uint32_t i)
{
    timer_set(&k->timers, &k->allocator, TIMER_KEY, i, key_at(k, i)->forget_at);
}

static void
bound(struct kernel *k, const struct event *ev)
{
    const struct key_payload *p = ev->payload;
    uint32_t i = arena_take(&k->keys.records, &k->allocator);
    struct key_record *q = key_at(k, i);
    const struct key_name name = {.uid = ev->uid, .scope = p->scope, .text = ev->text};

    q->id = ev->subject;
    q->hash = key_hash(&name);
    q->made = key_made_hash(p->made);
    q->digest = p->digest;
    q->scope_id = p->scope.id;
    q->scope_sort = (uint8_t)p->scope.sort;
    q->made_id = p->made.id;
    q->made_sort = (uint8_t)p->made.sort;
    q->retention_ns = p->retention_ns;
    q->forget_at = p->forget_at;
    q->uid = ev->uid;
    q->holds = p->holds;
    q->durable = ev->durable;
    q->text = heap_put(&k->heap, &k->allocator, ev->text);
    index_add(&k->keys.hashes, &k->allocator, i);
    index_add(&k->keys.made, &k->allocator, i);
    index_add(&k->keys.ids, &k->allocator, i);
    k->keys.id_next = ev->subject + 1;
    user_get(k, q->uid)->keys++;
    user_get(k, q->uid)->bytes += ev->text.size;
    hold(k, q, true);
    rearm(k, i);
}

void
key_forget(struct kernel *k, uint32_t i)
{
    struct key_record *q = key_at(k, i);

    hold(k, q, false);
    timer_set(&k->timers, &k->allocator, TIMER_KEY, i, ASUP_NEVER);
    user_get(k, q->uid)->keys--;
    user_get(k, q->uid)->bytes -= heap_get(&k->heap, q->text).size;
    heap_drop(&k->heap, &k->allocator, q->text);
    index_drop(&k->keys.hashes, i);
    index_drop(&k->keys.made, i);
    index_drop(&k->keys.ids, i);
    arena_give(&k->keys.records, i);
}

bool
key_durable(const struct kernel *k, uint64_t id)
{
    uint32_t i = index_find(&k->keys.ids, id);

    return i != NIL && key_at(k, i)->durable;
}

void
apply_key(struct kernel *k, const struct event *ev)
{
    uint32_t i;

    if (ev->kind == EV_KEY_BOUND) {
        bound(k, ev);
        return;
    }
    i = index_find(&k->keys.ids, ev->subject);
    must(i != NIL);
    if (ev->kind == EV_KEY_FORGOTTEN) {
        key_forget(k, i);
        return;
    }
    key_at(k, i)->forget_at = ev->value;
    rearm(k, i);
}
