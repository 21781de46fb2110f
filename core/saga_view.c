/* SPDX-License-Identifier: MIT */
/* Sagas (§5): their storage, what is read of them, and what must hold. */
#include "core/decide.h"

#define HOLDS(condition, name)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return (name);                                                                         \
    } while (0)

void
saga_init(struct kernel *k)
{
    struct saga_part *p = &k->saga;

    arena_init(&p->sagas, sizeof(struct saga));
    arena_init(&p->steps, sizeof(struct step_record));
    index_init(&p->ids, &p->sagas, offsetof(struct saga, id));
    index_init(&p->drivers, &p->sagas, offsetof(struct saga, driver_key));
    index_init(&p->actions, &p->steps, offsetof(struct step_record, action));
    index_init(&p->undos, &p->steps, offsetof(struct step_record, undo));
    p->ended_first = p->ended_last = NIL;
    p->work_first = p->work_last = NIL;
}

void
saga_fini(struct kernel *k)
{
    struct saga_part *p = &k->saga;

    index_fini(&p->ids, &k->allocator);
    index_fini(&p->drivers, &k->allocator);
    index_fini(&p->actions, &k->allocator);
    index_fini(&p->undos, &k->allocator);
    arena_fini(&p->sagas, &k->allocator);
    arena_fini(&p->steps, &k->allocator);
}

/* ---- Digest ------------------------------------------------------------------------------- */

uint64_t
saga_digest(const struct kernel *k, uint64_t h)
{
    const struct saga_part *part = &k->saga;

    h = hash_mix(hash_mix(h, part->id_next), part->weight);
    h = hash_mix(hash_mix(h, part->live), part->undoing);
    h = hash_mix(hash_mix(h, part->attention), part->ended_count);
    for (uint32_t i = 0; i < part->sagas.used; i++) {
        const struct saga *s = saga_at(k, i);
        const uint8_t *raw = (const uint8_t *)s;
        size_t last = offsetof(struct saga, last);
        size_t rest = offsetof(struct saga, region);

        if (s->id == 0)
            continue;
        h = hash_bytes(h, raw, last);
        h = digest_outcome(h, &s->last, s->has_last);
        h = hash_bytes(h, raw + rest, offsetof(struct saga, work_queued) - rest);
        h = digest_text(k, h, s->name);
        for (uint32_t at = s->step_first; at != NIL; at = step_at(k, at)->next) {
            const struct step_record *p = step_at(k, at);

            h = hash_bytes(h, p, offsetof(struct step_record, name));
            h = digest_text(k, digest_text(k, h, p->name), p->label);
            h = digest_text(k, h, p->spec);
        }
    }
    return h;
}

/* ---- Invariants ------------------------------------------------------------------------------ */

struct saga_tally {
    uint32_t live, undoing, attention, ended, steps;
    uint64_t weight;
};

/* Steps are compensated last first: what is closed stands behind what is open. */
static const char *
check_steps(const struct kernel *k, uint32_t i, struct saga_tally *tally)
{
    const struct saga *s = saga_at(k, i);
    bool undoing = s->state == SAGA_COMPENSATING || s->state == SAGA_NEEDS_ATTENTION;
    uint32_t count = 0;
    bool past = false;

    for (uint32_t at = s->step_first; at != NIL; at = step_at(k, at)->next) {
        const struct step_record *p = step_at(k, at);
        uint32_t undo = p->undo == 0 ? NIL : task_of_id(k, p->undo);

        HOLDS(p->saga == i && p->saga_id == s->id && p->number == ++count, "single-owner");
        HOLDS(p->attempts_left <= p->attempts_most, "compensations-at-most-once");
        HOLDS(step_open(p) || p->attempts_left == 0, "compensations-at-most-once");
        if (undoing)
            HOLDS(step_open(p) == !past, "stack-LIFO-once");
        if (undoing && at == s->step_at)
            past = true;
        if (s->state == SAGA_RUNNING || (undoing && at != s->step_at && step_open(p)))
            HOLDS(p->undo == 0, "stack-LIFO-once");
        if (undo != NIL && task_live(task_at(k, undo)))
            HOLDS(undoing && at == s->step_at && p->state == STEP_COMPENSATING,
                  "compensations-at-most-once");
        if (p->next != NIL)
            HOLDS(p->state != STEP_RUNNING && p->state != STEP_FAILED, "protocol-order");
        if (s->state < SAGA_COMPLETED)
            tally->weight += step_open(p) ? 1 + 6 * (uint64_t)p->attempts_left : 0;
        if (s->state == SAGA_COMPENSATED)
            HOLDS(!step_open(p), "stack-LIFO-once");
    }
    HOLDS(count == s->step_count, "single-owner");
    tally->steps += count;
    return NULL;
}

static const char *
check_saga(const struct kernel *k, uint32_t i, struct saga_tally *tally)
{
    const struct saga *s = saga_at(k, i);

    HOLDS(s->id < k->saga.id_next && saga_of_id(k, s->id) == i, "ids-never-reused");
    HOLDS((s->timer_place == 0) == (saga_deadline(k, s) == ASUP_NEVER), "time-monotone");
    if (s->state >= SAGA_COMPLETED) {
        tally->ended++;
        HOLDS(s->region == NIL && !s->has_last, "quiescence-on-close");
        return check_steps(k, i, tally);
    }
    tally->live++;
    tally->undoing += s->state == SAGA_COMPENSATING;
    tally->attention += s->state == SAGA_NEEDS_ATTENTION;
    HOLDS(region_live(region_at(k, s->region)) && region_at(k, s->region)->id == s->region_id,
          "single-owner");
    HOLDS((s->state == SAGA_NEEDS_ATTENTION) == (s->has_last != 0), "protocol-order");
    if (s->state == SAGA_NEEDS_ATTENTION)
        HOLDS(region_at(k, s->region)->close_by == ASUP_NEVER, "cancel-monotone");
    return check_steps(k, i, tally);
}

const char *
saga_stack_check(const struct kernel *k, uint32_t region)
{
    const struct region *r = region_at(k, region);
    uint32_t in[SAGA_COMPENSATED + 1] = {0};
    uint32_t count = 0;
    uint32_t above = NIL;
    uint64_t sub = r->sagas;

    for (uint32_t link = r->stack_top; link != NIL; link = stack_below(k, link)) {
        uint32_t prev =
            stack_is_saga(link) ? saga_at(k, link >> 1)->prev : task_at(k, link >> 1)->prev;

        HOLDS(prev == above, "stack-LIFO-once");
        above = link;
        if (!stack_is_saga(link))
            continue;
        HOLDS(saga_at(k, link >> 1)->region == region, "single-owner");
        HOLDS(saga_at(k, link >> 1)->state < SAGA_COMPLETED, "stack-LIFO-once");
        in[saga_at(k, link >> 1)->state]++;
        count++;
    }
    HOLDS(count == r->sagas && in[SAGA_RUNNING] == r->sagas_running, "stack-LIFO-once");
    HOLDS(in[SAGA_COMPENSATING] == r->sagas_undoing, "stack-LIFO-once");
    HOLDS(in[SAGA_NEEDS_ATTENTION] == r->sagas_attention, "stack-LIFO-once");
    for (uint32_t c = r->child_first; c != NIL; c = region_at(k, c)->next)
        sub += region_at(k, c)->sub_sagas;
    HOLDS(sub == r->sub_sagas, "single-owner");
    return NULL;
}

const char *
saga_invariants(const struct kernel *k)
{
    const struct saga_part *part = &k->saga;
    struct saga_tally tally = {0};

    for (uint32_t i = 0; i < part->sagas.used; i++) {
        const char *broken = saga_at(k, i)->id == 0 ? NULL : check_saga(k, i, &tally);

        if (broken != NULL)
            return broken;
    }
    HOLDS(tally.live == part->live && tally.ended == part->ended_count, "single-owner");
    HOLDS(tally.undoing == part->undoing, "stack-LIFO-once");
    HOLDS(tally.attention == part->attention, "stack-LIFO-once");
    HOLDS(tally.steps == arena_live(&part->steps), "single-owner");
    HOLDS(tally.weight == part->weight, "potential-falls");
    HOLDS(part->work_first == NIL, "potential-falls");
    return NULL;
}

/* ---- Views -------------------------------------------------------------------------------------
 */

bool
kernel_saga(const struct kernel *k, uint64_t id, struct saga_view *out)
{
    uint32_t i = id == 0 ? NIL : saga_of_id(k, id);
    const struct saga *s;

    if (i == NIL)
        return false;
    s = saga_at(k, i);
    *out = (struct saga_view){
        .id = s->id,
        .region = s->region_id,
        .name = heap_get(&k->heap, s->name),
        .uid = s->uid,
        .driver = {.id = s->driver_id, .sort = (enum asup_sort)s->driver_sort},
        .state = s->state,
        .step_count = s->step_count,
        .step_at = s->step_at == NIL ? 0 : step_at(k, s->step_at)->number,
        .begun_at = s->begun_at,
        .ended_at = s->ended_at,
    };
    return true;
}

bool
kernel_saga_step(const struct kernel *k, uint64_t saga, uint32_t step, struct saga_step_view *out)
{
    uint32_t i = saga == 0 ? NIL : saga_of_id(k, saga);
    const struct step_record *p;
    uint32_t at;

    if (i == NIL || step == 0 || step > saga_at(k, i)->step_count)
        return false;
    at = saga_at(k, i)->step_first;
    while (step_at(k, at)->number != step)
        at = step_at(k, at)->next;
    p = step_at(k, at);
    *out = (struct saga_step_view){
        .name = heap_get(&k->heap, p->name),
        .state = p->state,
        .action = p->action,
        .undo = p->undo,
        .attempts = p->attempts,
        .attempts_most = p->attempts_most,
        .next_at = p->next_at,
    };
    return true;
}

uint64_t
kernel_saga_next(const struct kernel *k, uint64_t region, uint64_t after)
{
    uint32_t i = region == 0 ? NIL : region_of_id(k, region);
    uint64_t next = 0;

    if (i == NIL)
        return 0;
    /* The last registered is on top, so ids fall on the way down. */
    for (uint32_t link = region_at(k, i)->stack_top; link != NIL; link = stack_below(k, link)) {
        if (!stack_is_saga(link))
            continue;
        if (saga_at(k, link >> 1)->id <= after)
            break;
        next = saga_at(k, link >> 1)->id;
    }
    return next;
}

uint64_t
kernel_saga_ended_next(const struct kernel *k, uint64_t after)
{
    uint32_t i = after == 0 ? NIL : saga_of_id(k, after);

    i = i == NIL ? k->saga.ended_first : saga_at(k, i)->next;
    return i == NIL ? 0 : saga_at(k, i)->id;
}

uint64_t
kernel_saga_attention_next(const struct kernel *k, uint64_t after)
{
    uint64_t next = 0;

    for (uint32_t i = 0; k->saga.attention > 0 && i < k->saga.sagas.used; i++) {
        const struct saga *s = saga_at(k, i);

        if (s->id > after && s->state == SAGA_NEEDS_ATTENTION && (next == 0 || s->id < next))
            next = s->id;
    }
    return next;
}

bool
kernel_task_saga(const struct kernel *k, uint64_t task, uint64_t *saga, uint32_t *step, bool *undo)
{
    uint32_t i = index_find(&k->saga.undos, task);

    *undo = i != NIL;
    if (i == NIL)
        i = index_find(&k->saga.actions, task);
    if (task == 0 || i == NIL)
        return false;
    *saga = step_at(k, i)->saga_id;
    *step = step_at(k, i)->number;
    return true;
}

/* The finalizer at or below a link of the stack; 0: none. */
uint64_t
stack_finalizer(const struct kernel *k, uint32_t link)
{
    while (link != NIL && stack_is_saga(link))
        link = stack_below(k, link);
    return link == NIL ? 0 : task_at(k, link >> 1)->id;
}

struct asup_ref
kernel_stack_next(const struct kernel *k, uint64_t region, struct asup_ref above)
{
    uint32_t i = region_of_id(k, region);
    uint32_t link = i == NIL ? NIL : region_at(k, i)->stack_top;

    if (above.sort == ASUP_SORT_SAGA) {
        i = saga_of_id(k, above.id);
        link = i == NIL || saga_at(k, i)->region == NIL ? NIL : saga_at(k, i)->next;
    } else if (above.sort == ASUP_SORT_TASK) {
        i = task_of_id(k, above.id);
        link = i == NIL || !task_live(task_at(k, i)) ? NIL : task_at(k, i)->next;
    }
    if (link == NIL)
        return (struct asup_ref){0};
    return stack_is_saga(link)
               ? (struct asup_ref){.id = saga_at(k, link >> 1)->id, .sort = ASUP_SORT_SAGA}
               : (struct asup_ref){.id = task_at(k, link >> 1)->id, .sort = ASUP_SORT_TASK};
}
