/* SPDX-License-Identifier: MIT */
/* Sagas out of a snapshot: what is derived, and whether the links make sense.
 * The stacks they stand on are checked with the regions. */
#include "core/decide.h"
#include "core/snapshot.h"

/* The first of its driver's links to the last, which links to none. */
static bool
drives_first(const struct kernel *k, const struct saga *s)
{
    return s->state < SAGA_COMPLETED && s->driver_prev != NIL &&
           saga_at(k, s->driver_prev)->driver_next == NIL;
}

static bool
has_action(const void *record)
{
    return ((const struct step_record *)record)->action != 0;
}

static bool
has_undo(const void *record)
{
    return ((const struct step_record *)record)->undo != 0;
}

bool
saga_indices(struct kernel *k)
{
    struct saga_part *p = &k->saga;

    if (!index_reserve(&p->drivers, &k->allocator, arena_live(&p->sagas)))
        return false;
    for (uint32_t i = 0; i < p->sagas.used; i++) {
        struct saga *s = saga_at(k, i);

        if (s->id == 0)
            continue;
        s->wait_first = s->work_next = NIL;
        if (s->driver_prev < p->sagas.used && drives_first(k, s))
            index_add(&p->drivers, &k->allocator, i);
    }
    return index_fill(k, &p->ids, NULL) && index_fill(k, &p->actions, has_action) &&
           index_fill(k, &p->undos, has_undo);
}

void
saga_rearm_all(struct kernel *k)
{
    for (uint32_t i = 0; i < k->saga.sagas.used; i++) {
        if (saga_at(k, i)->id != 0)
            saga_rearm(k, i);
    }
}

/* What a compensation that is a call queues in, see state_saga.h. */
static bool
service_sound(const struct kernel *k, const struct step_record *p)
{
    const struct service *s = p->service == NIL ? NULL : service_at(k, p->service);

    return s == NULL || (s->key != 0 && s->uid == p->uid && s->region == k->root && s->refs > 0);
}

static bool
steps_sound(const struct kernel *k, uint32_t i, uint32_t *steps)
{
    const struct saga *s = saga_at(k, i);
    uint32_t prev = NIL;
    uint32_t count = 0;
    bool undone = s->step_at == NIL;

    for (uint32_t at = s->step_first; at != NIL; at = step_at(k, at)->next) {
        if (step_at(k, at)->saga != i || step_at(k, at)->prev != prev ||
            !service_sound(k, step_at(k, at)))
            return false;
        prev = at;
        count++;
        undone = undone || at == s->step_at;
    }
    *steps += count;
    return s->step_last == prev && s->step_count == count && undone;
}

/* The sagas of one driver, from the first. */
static bool
driver_sound(const struct kernel *k, uint32_t first, uint32_t *driven)
{
    uint32_t last = saga_at(k, first)->driver_prev;
    uint32_t prev = NIL;

    for (uint32_t at = first; at != NIL; at = saga_at(k, at)->driver_next) {
        if (saga_at(k, at)->driver_key != saga_at(k, first)->driver_key ||
            (prev != NIL && saga_at(k, at)->driver_prev != prev) ||
            saga_at(k, at)->state >= SAGA_COMPLETED)
            return false;
        prev = at;
        ++*driven;
    }
    return prev == last;
}

static bool
ended_sound(const struct kernel *k)
{
    uint32_t prev = NIL;
    uint32_t count = 0;

    for (uint32_t at = k->saga.ended_first; at != NIL; at = saga_at(k, at)->next) {
        if (at >= k->saga.sagas.used || saga_at(k, at)->id == 0 || saga_at(k, at)->prev != prev ||
            saga_at(k, at)->state < SAGA_COMPLETED)
            return false;
        prev = at;
        count++;
    }
    return prev == k->saga.ended_last && count == k->saga.ended_count;
}

bool
saga_sound(struct kernel *k)
{
    uint32_t steps = 0;
    uint32_t driven = 0;
    uint32_t live = 0;

    for (uint32_t i = 0; i < k->saga.sagas.used; i++) {
        const struct saga *s = saga_at(k, i);

        if (s->id == 0)
            continue;
        if (!steps_sound(k, i, &steps))
            return false;
        if (s->state >= SAGA_COMPLETED)
            continue;
        live++;
        if (s->region == NIL || s->driver_prev == NIL ||
            (drives_first(k, s) && !driver_sound(k, i, &driven)))
            return false;
    }
    return live == driven && steps == arena_live(&k->saga.steps) && ended_sound(k);
}
