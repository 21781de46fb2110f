/* SPDX-License-Identifier: MIT */
/* Applying what happens to sagas, their steps and the stack they stand on. */
#include "core/call.h"
#include "core/event.h"

/* ---- The stack ------------------------------------------------------------------------ */

static uint32_t *
below_of(struct kernel *k, uint32_t link)
{
    return stack_is_saga(link) ? &saga_at(k, link >> 1)->next : &task_at(k, link >> 1)->next;
}

static uint32_t *
above_of(struct kernel *k, uint32_t link)
{
    return stack_is_saga(link) ? &saga_at(k, link >> 1)->prev : &task_at(k, link >> 1)->prev;
}

uint32_t
stack_below(const struct kernel *k, uint32_t link)
{
    return stack_is_saga(link) ? saga_at(k, link >> 1)->next : task_at(k, link >> 1)->next;
}

void
stack_push(struct kernel *k, struct region *r, uint32_t link)
{
    *below_of(k, link) = r->stack_top;
    *above_of(k, link) = NIL;
    if (r->stack_top != NIL)
        *above_of(k, r->stack_top) = link;
    r->stack_top = link;
    k->stack_entries++;
}

void
stack_remove(struct kernel *k, struct region *r, uint32_t link)
{
    uint32_t below = *below_of(k, link);
    uint32_t above = *above_of(k, link);

    if (above != NIL)
        *below_of(k, above) = below;
    else
        r->stack_top = below;
    if (below != NIL)
        *above_of(k, below) = above;
    k->stack_entries--;
}

/* ---- What a step weighs ------------------------------------------------------------------ */

/* R-SCH-3: 1 + 6 x attempts left. */
static uint64_t
step_weight(const struct step_record *p)
{
    return 1 + 6 * (uint64_t)p->attempts_left;
}

uint64_t
step_backoff_ns(const struct step_record *p, uint32_t made)
{
    uint64_t ns = p->backoff_ns;

    while (made-- > 1 && ns < p->backoff_most_ns)
        ns *= 2;
    return min_u64(ns, p->backoff_most_ns);
}

/* R-REG-6: every attempt and every wait between two of them. */
uint64_t
step_cleanup_ns(const struct step_record *p)
{
    uint64_t ns = p->attempts_most * p->budget_ns;

    for (uint32_t made = 1; made < p->attempts_most; made++)
        ns += step_backoff_ns(p, made);
    return ns;
}

bool
step_open(const struct step_record *p)
{
    return p->state != STEP_COMPENSATED && p->state != STEP_RESOLVED;
}

/* ---- Drivers: the sagas of each, in order; the first is in the index ------------------------ */

static uint64_t
driver_key(struct asup_ref driver)
{
    return driver.id << 1 | (driver.sort == ASUP_SORT_TASK ? 1 : 0);
}

uint32_t
saga_driven_first(const struct kernel *k, struct asup_ref driver)
{
    return index_find(&k->saga.drivers, driver_key(driver));
}

static void
driver_link(struct kernel *k, uint32_t i, struct asup_ref driver)
{
    struct saga *s = saga_at(k, i);
    uint32_t first = saga_driven_first(k, driver);

    s->driver_id = driver.id;
    s->driver_sort = (uint8_t)driver.sort;
    s->driver_key = driver_key(driver);
    s->driver_next = NIL;
    if (first == NIL) {
        s->driver_prev = i;
        index_add(&k->saga.drivers, &k->allocator, i);
        return;
    }
    s->driver_prev = saga_at(k, first)->driver_prev; /* the first links to the last */
    saga_at(k, s->driver_prev)->driver_next = i;
    saga_at(k, first)->driver_prev = i;
}

static void
driver_unlink(struct kernel *k, uint32_t i)
{
    struct saga *s = saga_at(k, i);
    uint32_t first = index_find(&k->saga.drivers, s->driver_key);

    if (i == first) {
        index_drop(&k->saga.drivers, i);
        if (s->driver_next != NIL) {
            saga_at(k, s->driver_next)->driver_prev = s->driver_prev;
            index_add(&k->saga.drivers, &k->allocator, s->driver_next);
        }
    } else {
        saga_at(k, s->driver_prev)->driver_next = s->driver_next;
        if (s->driver_next != NIL)
            saga_at(k, s->driver_next)->driver_prev = s->driver_prev;
        else
            saga_at(k, first)->driver_prev = s->driver_prev;
    }
    s->driver_next = s->driver_prev = NIL;
}

/* ---- States ------------------------------------------------------------------------------------
 */

/* Where a saga counts, while it stands on a stack. */
static uint32_t *
state_count(struct region *r, uint8_t state)
{
    return state == SAGA_RUNNING        ? &r->sagas_running
           : state == SAGA_COMPENSATING ? &r->sagas_undoing
                                        : &r->sagas_attention;
}

static void
saga_count(struct kernel *k, struct saga *s, bool in)
{
    uint32_t *count = state_count(region_at(k, s->region), s->state);
    uint32_t one = in ? 1 : UINT32_MAX;

    *count += one;
    if (s->state == SAGA_COMPENSATING)
        k->saga.undoing += one;
    else if (s->state == SAGA_NEEDS_ATTENTION)
        k->saga.attention += one;
}

static void
saga_move(struct kernel *k, struct saga *s, uint8_t to)
{
    static const uint8_t moves[] = {
        [SAGA_RUNNING] = 1 << SAGA_COMPENSATING | 1 << SAGA_COMPLETED,
        [SAGA_COMPENSATING] = 1 << SAGA_NEEDS_ATTENTION | 1 << SAGA_COMPENSATED,
        [SAGA_NEEDS_ATTENTION] = 1 << SAGA_COMPENSATING,
        [SAGA_COMPLETED] = 0,
        [SAGA_COMPENSATED] = 0,
    };

    must((moves[s->state] & (1U << to)) != 0);
    saga_count(k, s, false);
    s->state = to;
    if (to < SAGA_COMPLETED)
        saga_count(k, s, true);
}

asup_time
saga_deadline(const struct kernel *k, const struct saga *s)
{
    const struct step_record *p;

    if (s->state != SAGA_COMPENSATING || s->step_at == NIL)
        return ASUP_NEVER;
    p = step_at(k, s->step_at);
    return p->state == STEP_COMPENSATING ? p->next_at : ASUP_NEVER;
}

void
saga_rearm(struct kernel *k, uint32_t i)
{
    timer_set(&k->timers, &k->allocator, TIMER_SAGA, i, saga_deadline(k, saga_at(k, i)));
}

/* ---- Beginning
 * ----------------------------------------------------------------------------------- */

static void
saga_begun(struct kernel *k, const struct event *ev)
{
    uint32_t i = arena_take(&k->saga.sagas, &k->allocator);
    struct saga *s = saga_at(k, i);
    struct region *r;

    s->id = ev->subject;
    s->region = region_of_id(k, ev->region);
    s->region_id = ev->region;
    s->begun_at = ev->at;
    s->uid = ev->uid;
    s->step_first = s->step_last = s->step_at = NIL;
    s->wait_first = s->work_next = NIL;
    s->name = heap_put(&k->heap, &k->allocator, ev->text);
    index_add(&k->saga.ids, &k->allocator, i);
    k->saga.id_next = ev->subject + 1;
    k->saga.live++;
    user_get(k, s->uid)->bytes += ev->text.size;
    driver_link(k, i, ev->holder);
    r = region_at(k, s->region);
    r->sagas++;
    r->sagas_running++;
    stack_push(k, r, stack_link(i, true));
    for (uint32_t at = s->region; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->sub_sagas++;
}

static void
step_begun(struct kernel *k, const struct event *ev, uint32_t saga)
{
    const struct step_payload *in = ev->payload;
    const uint8_t *texts = (const uint8_t *)(in + 1);
    struct saga *s = saga_at(k, saga);
    uint32_t i = arena_take(&k->saga.steps, &k->allocator);
    struct step_record *p = step_at(k, i);
    struct region *r = region_at(k, s->region);

    p->saga_id = s->id;
    p->saga = saga;
    p->number = (uint32_t)ev->value;
    p->action = ev->task;
    p->next_at = ASUP_NEVER;
    p->budget_ns = in->budget_ns;
    p->backoff_ns = in->backoff_ns;
    p->backoff_most_ns = in->backoff_most_ns;
    p->leftover_ns = in->leftover_ns;
    p->watchdog_ns = in->watchdog_ns;
    p->response_ns = in->response_ns;
    p->mask_depth = in->mask_depth;
    p->uid = in->uid;
    p->run_uid = in->run_uid;
    p->cancel_signal = (uint8_t)in->cancel_signal;
    p->leftover_wait = in->leftover_wait;
    p->notify = in->notify;
    p->cx = in->cx;
    p->service = NIL;
    p->attempts_left = p->attempts_most = in->attempts;
    p->name = heap_put(&k->heap, &k->allocator, ev->text);
    p->label = heap_put(&k->heap, &k->allocator, (struct bytes){texts, in->label_size});
    p->spec =
        heap_put(&k->heap, &k->allocator, (struct bytes){texts + in->label_size, in->spec_size});
    if (in->call_size > 0) {
        struct bytes name = {texts + in->label_size + in->spec_size, in->call_size};

        p->service = service_get(k, p->uid, name, k->root);
        service_at(k, p->service)->refs++;
    }
    p->next = NIL;
    p->prev = s->step_last;
    if (s->step_last != NIL)
        step_at(k, s->step_last)->next = i;
    else
        s->step_first = i;
    s->step_last = i;
    s->step_count++;
    user_get(k, s->uid)->bytes += ev->text.size + in->label_size + in->spec_size;
    k->saga.weight += step_weight(p);
    r->finalizers_ns = time_add(r->finalizers_ns, step_cleanup_ns(p));
    if (p->action != 0)
        index_add(&k->saga.actions, &k->allocator, i);
    if (s->driver_id != ev->holder.id || s->driver_sort != (uint8_t)ev->holder.sort) {
        driver_unlink(k, saga);
        driver_link(k, saga, ev->holder);
    }
}

/* ---- Undoing
 * ------------------------------------------------------------------------------------- */

/* The step that is undone after this one. */
static uint32_t
step_before(const struct kernel *k, uint32_t i)
{
    while (i != NIL && !step_open(step_at(k, i)))
        i = step_at(k, i)->prev;
    return i;
}

/* Nothing more is to be done about a step. */
static void
step_closed(struct kernel *k, struct saga *s, struct step_record *p, uint8_t state)
{
    struct region *r = region_at(k, s->region);

    k->saga.weight -= step_weight(p);
    r->finalizers_ns -= step_cleanup_ns(p);
    p->attempts_left = 0;
    p->state = state;
    p->next_at = ASUP_NEVER;
    s->step_at = step_before(k, s->step_at);
}

/* One more attempt: a task that is masked, with a budget of its own. */
static void
step_undoing(struct kernel *k, const struct event *ev, struct saga *s)
{
    uint32_t step = s->step_at;
    struct step_record *p = step_at(k, step);
    uint32_t i = arena_take(&k->tasks, &k->allocator);
    struct task *t = task_at(k, i);

    must(p->attempts_left > 0);
    if (p->undo != 0)
        index_drop(&k->saga.undos, step);
    p->undo = ev->task;
    index_add(&k->saga.undos, &k->allocator, step);
    k->saga.weight -= step_weight(p);
    p->attempts_left--;
    p->attempts++;
    k->saga.weight += step_weight(p);
    p->state = STEP_COMPENSATING;
    p->next_at = ASUP_NEVER;
    t->id = ev->task;
    t->region = s->region;
    t->created_at = ev->at;
    t->limit_at = p->budget_ns;
    t->limit_kind = ASUP_CANCEL_TIMEOUT;
    t->cost_quota = UINT64_MAX;
    t->poll_quota = UINT32_MAX;
    t->drain_ns = ASUP_NEVER;
    t->leftover_ns = p->leftover_ns;
    t->drain_end = t->kill_at = ASUP_NEVER;
    t->run.watchdog_ns = p->watchdog_ns;
    t->run.response_ns = p->response_ns;
    t->run.mask_depth = p->mask_depth;
    t->run.watchdog_at = t->run.response_at = t->run.sample_at = ASUP_NEVER;
    t->uid = p->uid;
    t->run_uid = p->run_uid;
    t->cx = p->cx;
    t->cancel_signal = p->cancel_signal;
    t->flags = TASK_FINALIZER | TASK_UNDO | TASK_BEGUN |
               (p->leftover_wait ? TASK_LEFTOVER_WAIT : 0) | (p->notify ? TASK_NOTIFY : 0);
    t->next = t->prev = NIL;
    t->wait_first = t->work_next = NIL;
    index_add(&k->task_ids, &k->allocator, i);
    k->task_memo = i;
    k->task_id_next = ev->task + 1;
    k->tasks_in[ASUP_TASK_CREATED]++;
    user_get(k, t->uid)->tasks++;
    for (uint32_t at = t->region; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->sub_tasks++;
    if (p->service != NIL) { /* it may have to wait for a worker, within its budget */
        call_of_undo(k, i, p->service);
        t->kill_at = time_add(ev->at, finalizer_budget_ns(k, t));
    }
    lane_enter(k, i, LANE_FINALIZER);
    task_rearm(k, i);
}

/* An attempt ended without success: when the next one comes. */
void
apply_undo_ended(struct kernel *k, uint64_t task, const struct kernel_outcome *o)
{
    uint32_t step = index_find(&k->saga.undos, task);
    struct step_record *p;
    uint64_t wait_ns;

    must(step != NIL);
    p = step_at(k, step);
    if (o->key.severity == ASUP_OK || p->attempts_left == 0)
        return;
    wait_ns = step_backoff_ns(p, p->attempts_most - p->attempts_left);
    if (k->hurry)
        wait_ns = min_u64(wait_ns, k->config.finalizer_hurry_ns);
    p->next_at = time_add(o->key.at, wait_ns);
    saga_rearm(k, p->saga);
}

/* What waits for an operator keeps no promise about time, nor do those above. */
static void
promise_dropped(struct kernel *k, uint32_t region)
{
    for (uint32_t at = region; at != NIL; at = region_at(k, at)->parent) {
        if (region_at(k, at)->close_by == ASUP_NEVER)
            continue;
        region_at(k, at)->close_by = ASUP_NEVER;
        region_rearm(k, at);
    }
}

static void
needs_attention(struct kernel *k, const struct event *ev, struct saga *s)
{
    saga_move(k, s, SAGA_NEEDS_ATTENTION);
    step_at(k, s->step_at)->state = STEP_NEEDS_ATTENTION;
    outcome_replace(k, &s->last, &s->has_last, ev->outcome);
    promise_dropped(k, s->region);
}

static void
last_drop(struct kernel *k, struct saga *s)
{
    if (s->has_last)
        reason_release(k, s->last.reason);
    memset(&s->last, 0, sizeof s->last);
    s->has_last = 0;
}

static void
resolved(struct kernel *k, const struct event *ev, struct saga *s)
{
    const struct resolved_payload *in = ev->payload;
    struct step_record *p = step_at(k, s->step_at);
    struct region *r = region_at(k, s->region);

    saga_move(k, s, SAGA_COMPENSATING);
    if (in->how == SAGA_RETRY) {
        k->saga.weight += 6 * (uint64_t)p->attempts_most;
        p->attempts_left = p->attempts_most;
        p->state = STEP_COMPENSATING;
        p->next_at = ASUP_NEVER; /* as soon as it is its turn */
    } else {
        outcome_combine(k, &r->fin, &r->has_fin, &s->last);
        step_closed(k, s, p, STEP_RESOLVED);
    }
    last_drop(k, s);
}

static void
step_undone(struct kernel *k, const struct event *ev, struct saga *s)
{
    struct region *r = region_at(k, s->region);

    must(step_open(step_at(k, s->step_at))); /* compensations-at-most-once */
    outcome_combine(k, &r->fin, &r->has_fin, ev->outcome);
    step_closed(k, s, step_at(k, s->step_at), STEP_COMPENSATED);
}

/* ---- Ending
 * --------------------------------------------------------------------------------------- */

static void
saga_ended(struct kernel *k, const struct event *ev, uint32_t i)
{
    struct saga *s = saga_at(k, i);
    struct region *r = region_at(k, s->region);

    saga_move(k, s, (uint8_t)ev->value);
    if (s->state == SAGA_COMPLETED) {
        for (uint32_t at = s->step_first; at != NIL; at = step_at(k, at)->next) {
            struct step_record *p = step_at(k, at);

            k->saga.weight -= step_weight(p);
            r->finalizers_ns -= step_cleanup_ns(p);
            p->attempts_left = 0;
        }
    }
    s->ended_at = ev->at;
    s->step_at = NIL;
    stack_remove(k, r, stack_link(i, true));
    r->sagas--;
    for (uint32_t at = s->region; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->sub_sagas--;
    driver_unlink(k, i);
    saga_rearm(k, i);
    k->saga.live--;
    s->region = NIL;
    s->next = NIL;
    s->prev = k->saga.ended_last;
    if (s->prev != NIL)
        saga_at(k, s->prev)->next = i;
    else
        k->saga.ended_first = i;
    k->saga.ended_last = i;
    k->saga.ended_count++;
}

static uint64_t
text_drop(struct kernel *k, uint32_t handle)
{
    uint64_t size = heap_get(&k->heap, handle).size;

    heap_drop(&k->heap, &k->allocator, handle);
    return size;
}

static void
saga_free(struct kernel *k, uint32_t i)
{
    struct saga *s = saga_at(k, i);
    uint64_t bytes = text_drop(k, s->name);
    uint32_t next;

    for (uint32_t at = s->step_first; at != NIL; at = next) {
        struct step_record *p = step_at(k, at);

        next = p->next;
        bytes += text_drop(k, p->name) + text_drop(k, p->label) + text_drop(k, p->spec);
        if (p->action != 0)
            index_drop(&k->saga.actions, at);
        if (p->undo != 0)
            index_drop(&k->saga.undos, at);
        if (p->service != NIL)
            service_release(k, p->service);
        arena_give(&k->saga.steps, at);
    }
    user_get(k, s->uid)->bytes -= bytes;
    index_drop(&k->saga.ids, i);
    arena_give(&k->saga.sagas, i);
}

static void
saga_forgotten(struct kernel *k, uint32_t i)
{
    const struct saga *s = saga_at(k, i);

    /* Mostly the first. In a fold those of volatile regions may be before it, which came with the
     * snapshot and whose end nobody wrote down. */
    must(s->state >= SAGA_COMPLETED);
    if (s->prev != NIL)
        saga_at(k, s->prev)->next = s->next;
    else
        k->saga.ended_first = s->next;
    if (s->next != NIL)
        saga_at(k, s->next)->prev = s->prev;
    else
        k->saga.ended_last = s->prev;
    k->saga.ended_count--;
    saga_free(k, i);
}

/* ---- Volatile regions in a snapshot (durable.h) --------------------------------------------- */

static void
saga_drop(struct kernel *k, uint32_t i)
{
    struct saga *s = saga_at(k, i);
    struct region *r = region_at(k, s->region);

    saga_count(k, s, false);
    for (uint32_t at = s->step_first; at != NIL; at = step_at(k, at)->next) {
        if (step_open(step_at(k, at)))
            k->saga.weight -= step_weight(step_at(k, at));
    }
    stack_remove(k, r, stack_link(i, true));
    r->sagas--;
    for (uint32_t at = s->region; at != NIL; at = region_at(k, at)->parent)
        region_at(k, at)->sub_sagas--;
    driver_unlink(k, i);
    last_drop(k, s);
    k->saga.live--;
    timer_set(&k->timers, &k->allocator, TIMER_SAGA, i, ASUP_NEVER);
    saga_free(k, i);
}

void
sagas_drop(struct kernel *k, uint32_t region)
{
    uint32_t below;
    uint32_t link;

    if (!region_live(region_at(k, region)))
        return;
    for (link = region_at(k, region)->stack_top; link != NIL; link = below) {
        below = stack_below(k, link);
        if (stack_is_saga(link))
            saga_drop(k, link >> 1);
    }
}

void
apply_saga(struct kernel *k, const struct event *ev)
{
    uint32_t i = NIL;
    struct saga *s = NULL;

    if (ev->kind != EV_SAGA_BEGUN) {
        i = saga_of_id(k, ev->subject);
        if (i == NIL && ev->kind == EV_SAGA_FORGOTTEN)
            return; /* of a volatile region that was forgotten before */
        must(i != NIL);
        s = saga_at(k, i);
    }
    switch (ev->kind) {
    case EV_SAGA_BEGUN:
        saga_begun(k, ev);
        return;
    case EV_SAGA_STEP_BEGUN:
        step_begun(k, ev, i);
        break;
    case EV_SAGA_STEP_DONE:
        step_at(k, s->step_last)->state = STEP_DONE;
        break;
    case EV_SAGA_STEP_FAILED:
        step_at(k, s->step_last)->state = STEP_FAILED;
        break;
    case EV_SAGA_COMPENSATING:
        saga_move(k, s, SAGA_COMPENSATING);
        s->step_at = PLANTED(SAGA_ORDER) ? s->step_first : s->step_last;
        break;
    case EV_SAGA_STEP_UNDOING:
        step_undoing(k, ev, s);
        break;
    case EV_SAGA_STEP_UNDONE:
        step_undone(k, ev, s);
        break;
    case EV_SAGA_NEEDS_ATTENTION:
        needs_attention(k, ev, s);
        break;
    case EV_SAGA_RESOLVED:
        resolved(k, ev, s);
        break;
    case EV_SAGA_ENDED:
        saga_ended(k, ev, i);
        return;
    case EV_SAGA_FORGOTTEN:
        saga_forgotten(k, i);
        return;
    default:
        must(false);
    }
    saga_rearm(k, i);
}
