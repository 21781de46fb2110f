/* SPDX-License-Identifier: MIT */
/* Applying what happens to capabilities. */
#include "core/event.h"

static struct capability *
capability_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->capabilities.records, i);
}

static uint32_t
capability_of_id(const struct kernel *k, uint64_t id)
{
    return id == 0 ? NIL : index_find(&k->capabilities.ids, id);
}

/* ---- In its region, by id -------------------------------------------------------------- */

static void
region_link(struct kernel *k, uint32_t i)
{
    struct capability *x = capability_at(k, i);
    struct region *r = region_at(k, x->region);

    x->next = NIL;
    x->prev = r->capability_last;
    if (r->capability_last != NIL)
        capability_at(k, r->capability_last)->next = i;
    else
        r->capability_first = i;
    r->capability_last = i;
}

static void
region_unlink(struct kernel *k, const struct capability *x)
{
    struct region *r = region_at(k, x->region);

    if (x->prev != NIL)
        capability_at(k, x->prev)->next = x->next;
    else
        r->capability_first = x->next;
    if (x->next != NIL)
        capability_at(k, x->next)->prev = x->prev;
    else
        r->capability_last = x->prev;
}

/* ---- Under the one that it was derived from, in order ------------------------------------ */

static void
tree_link(struct kernel *k, uint32_t i, uint32_t parent)
{
    struct capability *x = capability_at(k, i);
    struct capability *p = parent == NIL ? NULL : capability_at(k, parent);

    x->parent = parent;
    x->sibling_next = x->sibling_prev = NIL;
    if (p == NULL)
        return;
    x->sibling_prev = p->derived_last;
    if (p->derived_last != NIL)
        capability_at(k, p->derived_last)->sibling_next = i;
    else
        p->derived_first = i;
    p->derived_last = i;
}

static void
tree_unlink(struct kernel *k, struct capability *x)
{
    struct capability *p = x->parent == NIL ? NULL : capability_at(k, x->parent);

    if (p == NULL)
        return;
    if (x->sibling_prev != NIL)
        capability_at(k, x->sibling_prev)->sibling_next = x->sibling_next;
    else
        p->derived_first = x->sibling_next;
    if (x->sibling_next != NIL)
        capability_at(k, x->sibling_next)->sibling_prev = x->sibling_prev;
    else
        p->derived_last = x->sibling_prev;
    x->parent = x->sibling_next = x->sibling_prev = NIL;
}

/* ---- Among the revoked, oldest first ------------------------------------------------------- */

static void
revoked_push(struct kernel *k, uint32_t i)
{
    struct capabilities *all = &k->capabilities;

    capability_at(k, i)->revoked_next = NIL;
    capability_at(k, i)->revoked_prev = all->revoked_last;
    if (all->revoked_last != NIL)
        capability_at(k, all->revoked_last)->revoked_next = i;
    else
        all->revoked_first = i;
    all->revoked_last = i;
    all->revoked++;
}

static void
revoked_remove(struct kernel *k, const struct capability *x)
{
    struct capabilities *all = &k->capabilities;

    if (x->revoked_prev != NIL)
        capability_at(k, x->revoked_prev)->revoked_next = x->revoked_next;
    else
        all->revoked_first = x->revoked_next;
    if (x->revoked_next != NIL)
        capability_at(k, x->revoked_next)->revoked_prev = x->revoked_prev;
    else
        all->revoked_last = x->revoked_prev;
    all->revoked--;
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void
granted(struct kernel *k, const struct event *ev)
{
    const struct capability_payload *p = ev->payload;
    uint32_t i = arena_take(&k->capabilities.records, &k->allocator);
    struct capability *x = capability_at(k, i);

    *x = (struct capability){
        .id = ev->subject,
        .parent_id = p->parent,
        .owner_id = ev->holder.id,
        .granted_at = ev->at,
        .limit_at = p->limit_at,
        .cost_ceiling = p->cost_ceiling,
        .owner_sort = ev->holder.sort,
        .uid = ev->uid,
        .rights = p->rights,
        .poll_ceiling = p->poll_ceiling,
        .region = region_of_id(k, ev->region),
        .derived_first = NIL,
        .derived_last = NIL,
        .revoked_next = NIL,
        .revoked_prev = NIL,
        .priority_ceiling = p->priority_ceiling,
        .wait_first = NIL,
    };
    index_add(&k->capabilities.ids, &k->allocator, i);
    k->capabilities.id_next = ev->subject + 1;
    region_link(k, i);
    tree_link(k, i, capability_of_id(k, p->parent));
    user_get(k, x->uid)->capabilities++;
}

void
capability_forget(struct kernel *k, uint32_t i)
{
    struct capability *x = capability_at(k, i);

    if (x->revoked)
        revoked_remove(k, x);
    else
        user_get(k, x->uid)->capabilities--;
    tree_unlink(k, x);
    region_unlink(k, x);
    index_drop(&k->capabilities.ids, i);
    arena_give(&k->capabilities.records, i);
}

static void
revoked(struct kernel *k, uint32_t i)
{
    struct capability *x = capability_at(k, i);

    must(!x->revoked);
    must(x->derived_first == NIL);
    x->revoked = true;
    user_get(k, x->uid)->capabilities--;
    tree_unlink(k, x);
    revoked_push(k, i);
    while (k->capabilities.revoked > REVOKED_MAX)
        capability_forget(k, k->capabilities.revoked_first);
}

void
apply_capability(struct kernel *k, const struct event *ev)
{
    uint32_t i = capability_of_id(k, ev->subject);

    if (ev->kind == EV_CAPABILITY_GRANTED) {
        granted(k, ev);
        return;
    }
    must(i != NIL);
    if (ev->kind == EV_CAPABILITY_REVOKED)
        revoked(k, i);
    else
        capability_forget(k, i);
}
