/* SPDX-License-Identifier: MIT */
/*
 * Whether the links of a snapshot make sense: each leads to a record that lives,
 * and each list comes to its end with as many members as it says. Then all walks
 * end, kernel_check() among them, which says whether the whole holds together.
 *
 * A list with links both ways is checked by them: a walk that came back to a
 * member would find another one before it. A list in order of ids cannot come
 * back; one with neither is counted.
 */
#include "core/decide.h"
#include "core/snapshot.h"

static bool
there(const struct arena *a, uint32_t i)
{
    return i < a->used && arena_used(a, i);
}

static bool
there_or_nil(const struct arena *a, uint32_t i)
{
    return i == NIL || there(a, i);
}

/* ---- Fields that are links by their table --------------------------------------------- */

static bool
indices_sound(const struct kernel *k, const struct table *t, const uint8_t *record)
{
    for (uint16_t n = 0; n < t->count; n++) {
        const struct field *f = &t->fields[n];

        for (uint16_t e = 0; e < f->repeat; e++) {
            const uint8_t *p = record + f->offset + (size_t)e * f->size;
            uint32_t i;

            if (f->code == FIELD_STRUCT && !indices_sound(k, f->table, p))
                return false;
            if (f->code != FIELD_INDEX)
                continue;
            memcpy(&i, p, sizeof i);
            if (!there_or_nil(arena_of(k, (enum arena_name)f->arena), i))
                return false;
        }
    }
    return true;
}

static bool
sections_sound(const struct kernel *k)
{
    for (size_t n = 0; n < section_count; n++) {
        const struct arena *a = section_arena(k, &sections[n]);

        for (uint32_t i = 0; i < a->used; i++) {
            const struct table *variant;

            if (!arena_used(a, i))
                continue;
            variant = sections[n].variant != NULL ? sections[n].variant(arena_at(a, i)) : NULL;
            if (!indices_sound(k, sections[n].table, arena_at(a, i)) ||
                (variant != NULL && !indices_sound(k, variant, arena_at(a, i))))
                return false;
        }
    }
    return indices_sound(k, &kernel_table, (const uint8_t *)k);
}

/* ---- Reasons -------------------------------------------------------------------------------- */

/* One more holder; none is named that does not exist. */
static bool
reason_counted(struct kernel *k, uint32_t handle)
{
    struct reason *r = reason_find(k, handle);

    if (r != NULL)
        r->dying_next++; /* counts here, means nothing yet */
    return r != NULL || handle == 0;
}

static bool
outcome_counted(struct kernel *k, const struct kernel_outcome *o, bool has)
{
    return o->stage[sizeof o->stage - 1] == '\0' && (!has || reason_counted(k, o->reason));
}

/* A family whose records hold reasons counts them here. */
static bool
holders_counted(struct kernel *k)
{
    bool sound = true;

    for (uint32_t i = 0; i < k->tasks.used; i++) {
        struct task *t = task_at(k, i);

        if (t->id == 0)
            continue;
        sound = sound && reason_counted(k, t->reason);
        if ((t->flags & TASK_ENDED) != 0)
            sound = sound && reason_counted(k, t->end.reason) &&
                    t->end.stage[sizeof t->end.stage - 1] == '\0';
    }
    for (uint32_t i = 0; i < k->regions.used; i++) {
        const struct region *r = region_at(k, i);

        if (r->id != 0)
            sound =
                sound && reason_counted(k, r->reason) && outcome_counted(k, &r->acc, r->has_acc) &&
                outcome_counted(k, &r->fin, r->has_fin) && outcome_counted(k, &r->ok, r->has_ok);
    }
    for (uint32_t i = 0; i < k->saga.sagas.used; i++) {
        if (saga_at(k, i)->id != 0)
            sound = sound && outcome_counted(k, &saga_at(k, i)->last, saga_at(k, i)->has_last);
    }
    return sound;
}

/* Chains end, and every reason has as many holders as it says. */
static bool
reasons_sound(struct kernel *k)
{
    uint32_t most = arena_live(&k->reasons);
    bool sound = true;

    for (uint32_t i = 0; i < k->reasons.used; i++) {
        const struct reason *r = arena_at(&k->reasons, i);

        if (r->handle == 0)
            continue;
        sound = sound && r->handle <= UINT32_MAX && reason_counted(k, r->cause);
        for (uint32_t n = 0; sound && r != NULL && r->cause != 0; n++) {
            sound = n < most;
            r = reason_find(k, r->cause);
        }
    }
    sound = sound && holders_counted(k);
    for (uint32_t i = 0; i < k->reasons.used; i++) {
        struct reason *r = arena_at(&k->reasons, i);

        if (r->handle == 0)
            continue;
        sound = sound && r->dying_next == r->refs;
        r->dying_next = 0;
    }
    return sound;
}

/* ---- Regions and tasks ------------------------------------------------------------------------
 */

static bool
region_place_sound(const struct kernel *k, uint32_t i)
{
    const struct region *r = region_at(k, i);
    const struct region *parent;

    if (i == k->root)
        return r->depth == 0 && r->parent == NIL && r->parent_id == 0;
    if (r->depth == 0)
        return false;
    if (!region_live(r))
        return there(&k->regions, r->parent);
    if (!there(&k->regions, r->parent))
        return false;
    parent = region_at(k, r->parent);
    return region_live(parent) && parent->depth == r->depth - 1 && parent->id == r->parent_id &&
           (r->flags & (REGION_VOLATILE | REGION_VOLATILE_TOP)) != REGION_VOLATILE_TOP &&
           ((r->flags & (REGION_VOLATILE | REGION_VOLATILE_TOP)) != REGION_VOLATILE ||
            (parent->flags & REGION_VOLATILE) != 0);
}

static bool
children_sound(const struct kernel *k, const struct region *r)
{
    uint32_t prev = NIL;
    uint32_t at = r->child_first;

    for (; at != NIL; prev = at, at = region_at(k, at)->next) {
        if (!there(&k->regions, at) || !region_live(region_at(k, at)) ||
            region_at(k, at)->prev != prev)
            return false;
    }
    return r->child_last == prev;
}

static bool
region_tasks_sound(const struct kernel *k, const struct region *r)
{
    uint32_t prev = NIL;
    uint32_t at = r->task_first;

    for (; at != NIL; prev = at, at = task_at(k, at)->next) {
        if (!there(&k->tasks, at) || !task_live(task_at(k, at)) || task_at(k, at)->prev != prev ||
            (task_at(k, at)->flags & TASK_FINALIZER) != 0)
            return false;
    }
    if (r->task_last != prev)
        return false;
    return true;
}

static bool
stack_sound(const struct kernel *k, uint32_t region)
{
    uint32_t above = NIL;

    for (uint32_t link = region_at(k, region)->stack_top; link != NIL;) {
        uint32_t i = link >> 1;

        if (stack_is_saga(link)) {
            if (!there(&k->saga.sagas, i) || saga_at(k, i)->prev != above ||
                saga_at(k, i)->region != region || saga_at(k, i)->state >= SAGA_COMPLETED)
                return false;
        } else if (!there(&k->tasks, i) || task_at(k, i)->prev != above ||
                   task_at(k, i)->region != region || !task_live(task_at(k, i))) {
            return false;
        }
        above = link;
        link = stack_below(k, link);
    }
    return true;
}

static bool
regions_sound(const struct kernel *k)
{
    if (!there(&k->regions, k->root) || region_at(k, k->root)->id != ASUP_ROOT_ID)
        return false;
    for (uint32_t i = 0; i < k->regions.used; i++) {
        const struct region *r = region_at(k, i);

        if (r->id == 0)
            continue;
        if (!region_place_sound(k, i))
            return false;
        if (region_live(r) &&
            (!children_sound(k, r) || !region_tasks_sound(k, r) || !stack_sound(k, i)))
            return false;
    }
    for (uint32_t i = 0; i < k->tasks.used; i++) {
        if (task_at(k, i)->id != 0 && task_at(k, i)->region == NIL)
            return false;
    }
    return true;
}

/* ---- What has ended
 * ------------------------------------------------------------------------------ */

static bool
ended_sound(const struct kernel *k, uint32_t first, uint32_t last, uint32_t total, bool kept)
{
    uint32_t prev = NIL;
    uint32_t link = first;
    uint32_t count = 0;

    for (; link != NIL; count++) {
        bool is_region = (link & 1) != 0;
        uint32_t i = link >> 1;
        uint32_t own_prev;

        if (!there(is_region ? &k->regions : &k->tasks, i))
            return false;
        if (is_region ? region_live(region_at(k, i)) || i == k->root : task_live(task_at(k, i)))
            return false;
        if (kept != (is_region ? (region_at(k, i)->flags & REGION_KEPT) != 0
                               : (task_at(k, i)->flags & TASK_KEPT) != 0))
            return false;
        own_prev = is_region ? region_at(k, i)->prev : task_at(k, i)->prev;
        if (own_prev != prev)
            return false;
        prev = link;
        link = is_region ? region_at(k, i)->next : task_at(k, i)->next;
    }
    return prev == last && count == total;
}

static bool
retained_sound(const struct kernel *k)
{
    return ended_sound(k, k->retained_first, k->retained_last, k->retained_count, false) &&
           ended_sound(k, k->kept_first, k->kept_last, k->kept_count, true);
}

/* ---- Lanes
 * ---------------------------------------------------------------------------------------- */

static bool
queue_sound(const struct kernel *k, const struct queue *q, uint8_t lane, uint32_t *left)
{
    uint32_t prev = NIL;
    uint32_t at = q->first;

    for (; at != NIL; prev = at, at = task_at(k, at)->lane_next) {
        if (!there(&k->tasks, at) || task_at(k, at)->lane != lane ||
            task_at(k, at)->lane_place != prev || *left == 0)
            return false;
        --*left;
    }
    return q->last == prev;
}

static bool
lanes_sound(const struct kernel *k)
{
    uint32_t left[LANE_READY + 1];

    memcpy(left, k->lane_count, sizeof left);
    if (!queue_sound(k, &k->signals, LANE_SIGNAL, &left[LANE_SIGNAL]) ||
        !queue_sound(k, &k->finalizers, LANE_FINALIZER, &left[LANE_FINALIZER]))
        return false;
    for (unsigned p = 0; p <= READY_PRIORITY_MAX; p++) {
        if (!queue_sound(k, &k->ready[p], LANE_READY, &left[LANE_READY]))
            return false;
        for (uint32_t i = k->ready[p].first; i != NIL; i = task_at(k, i)->lane_next) {
            if (lane_ready_priority(k, i) != p)
                return false;
        }
    }
    return left[LANE_SIGNAL] == 0 && left[LANE_FINALIZER] == 0 && left[LANE_READY] == 0;
}

/* ---- Sessions
 * --------------------------------------------------------------------------------------- */

static bool
attached_sound(const struct kernel *k, uint32_t i)
{
    const struct session *s = session_at(k, i);
    uint32_t prev = NIL;
    uint32_t at = s->attach_first;

    for (; at != NIL; prev = at, at = region_at(k, at)->attach_next) {
        if (!there(&k->regions, at) || region_at(k, at)->session != i ||
            region_at(k, at)->attach_prev != prev)
            return false;
    }
    return s->attach_last == prev;
}

static bool
requests_sound(const struct kernel *k, uint32_t i)
{
    const struct session *s = session_at(k, i);
    uint32_t last = NIL;
    uint32_t at = s->request_first;

    for (uint32_t n = 0; n < s->requests; n++) {
        const struct request *q;

        if (at == NIL)
            return false;
        q = arena_at(&k->requests, at);
        if (q->session != i || heap_get(&k->heap, q->batch).size % sizeof(struct asup_ref) != 0)
            return false;
        last = at;
        at = q->next;
    }
    return at == NIL && last == s->request_last;
}

static bool
sessions_sound(const struct kernel *k)
{
    uint32_t attached = 0;

    for (uint32_t i = 0; i < k->sessions.used; i++) {
        if (session_at(k, i)->id != 0 && (!attached_sound(k, i) || !requests_sound(k, i)))
            return false;
    }
    for (uint32_t i = 0; i < k->regions.used; i++) {
        if (region_at(k, i)->id != 0 && region_at(k, i)->session != NIL)
            attached++;
    }
    for (uint32_t i = 0; i < k->sessions.used; i++) {
        if (session_at(k, i)->id != 0)
            attached -= session_at(k, i)->attached;
    }
    return attached == 0; /* else one is attached and in no list */
}

/* A family adds the check of its own. */
bool
links_sound(struct kernel *k)
{
    return sections_sound(k) && reasons_sound(k) && regions_sound(k) && retained_sound(k) &&
           lanes_sound(k) && sessions_sound(k) && obligations_sound(k) && channels_sound(k) &&
           saga_sound(k) && calls_sound(k) && capabilities_sound(k) && keys_sound(k);
}
