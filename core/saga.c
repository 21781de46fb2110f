/* SPDX-License-Identifier: MIT */
/*
 * Sagas (§5): what is asked about them. A saga is begun in an open region and
 * stands on its stack; steps are added one after the other, each with the
 * compensation that is recorded before its action starts (R-SAG-1); then it is
 * completed, or aborted and undone. What follows by itself is in saga_undo.c.
 */
#include "core/decide.h"

/* In a step, with every attempt and wait. Longer than anybody waits for a close. */
static const uint64_t cleanup_ns_max = 2 * 24 * 3600 * ASUP_NS_PER_S;
enum { ATTEMPTS_MAX = 1000 };

/* ---- Lookup --------------------------------------------------------------------------- */

/* The saga that a request is about, and whether the caller has the right to it. */
static uint32_t
saga_lookup(const struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = in->subject == 0 ? NIL : saga_of_id(k, in->subject);

    if (i == NIL) {
        (void)REFUSE(why, ASUP_ENOTFOUND, "there is no such saga");
        return NIL;
    }
    if (saga_at(k, i)->region != NIL) {
        if (authorize(k, &in->caller, saga_at(k, i)->region, ASUP_RIGHT_SAGA, why) != 0)
            return NIL;
    } else if (authorize_kept(k, &in->caller, saga_at(k, i)->uid, ASUP_RIGHT_SAGA, why) != 0) {
        return NIL;
    }
    return i;
}

/* Under finish a saga that was begun goes on (R-REG-2). */
static int
goes_on_check(const struct kernel *k, uint32_t i, struct refusal *why)
{
    const struct saga *s = saga_at(k, i);

    switch ((enum saga_state)s->state) {
    case SAGA_COMPLETED:
        return REFUSE(why, ASUP_ERESOLVED, "the saga is completed");
    case SAGA_COMPENSATED:
        return REFUSE(why, ASUP_ERESOLVED, "the saga was undone");
    case SAGA_COMPENSATING:
    case SAGA_NEEDS_ATTENTION:
        return REFUSE(why, ASUP_ERESOLVED, "the saga is being undone");
    case SAGA_RUNNING:
        break;
    }
    if (saga_region_cancelled(k, s))
        return REFUSE(why, ASUP_ECLOSED, "the region is being closed: the saga will be undone");
    return 0;
}

/* The last step's action has ended, or was the driver's own. */
static int
last_step_check(const struct kernel *k, uint32_t i, struct refusal *why)
{
    uint32_t last = saga_at(k, i)->step_last;
    const struct step_record *p = last == NIL ? NULL : step_at(k, last);

    if (p != NULL && p->state == STEP_RUNNING && p->action != 0)
        return REFUSE(why, ASUP_EINVALID, "the action of its last step is still under way");
    return 0;
}

/* ---- Checks ---------------------------------------------------------------------------- */

static int
begin_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    struct bytes name = in->u.saga_begin.name;
    uint32_t i = region_lookup(k, in, why);
    const struct region *r;

    if (i == NIL)
        return why->code;
    if (i == k->root)
        return REFUSE(why, ASUP_EINVALID, "\"/\" has no sagas of its own: open a region for it");
    if (authorize(k, &in->caller, i, ASUP_RIGHT_SAGA, why) != 0)
        return why->code;
    r = region_at(k, i);
    if (name.size > ASUP_NAME_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the name is too long");
    if (caller_holder(&in->caller).id == 0)
        return REFUSE(why, ASUP_EINVALID, "a saga needs a session or a task that drives it");
    if (r->state != ASUP_REGION_OPEN)
        return REFUSE(why, ASUP_ECLOSED,
                      region_live(r) ? "the region is draining and admits nothing new"
                                     : "the region is closed");
    if (r->sagas >= k->config.limits.sagas_per_region) {
        why->limit = "sagas-per-region";
        why->detail = "the region has as many sagas as it may";
        return why->code = -ASUP_EBUSY;
    }
    return limit_bytes(k, in->caller.uid, name.size + 24, why);
}

static int
undo_check(const struct kernel *k, const struct input *in, struct refusal *why)
{
    const struct saga_step_params *p = &in->u.saga_step;
    const struct budget_request *b = &p->undo->budget;
    uint64_t budget = caller_timeout(
        k, &in->caller, b->timeout_ns == ASUP_NEVER ? k->config.finalizer_ns : b->timeout_ns);
    uint64_t one;

    if (task_params_check(k, &in->caller, p->undo, true, why) != 0)
        return why->code;
    if (p->undo->retry.attempts > 1)
        return REFUSE(why, ASUP_EINVALID,
                      "a compensation is tried again by the retry rule of its step");
    if (p->retry.attempts > ATTEMPTS_MAX)
        return REFUSE(why, ASUP_EINVALID, "a compensation has at most 1000 attempts");
    if (p->retry.backoff_ns > p->retry.backoff_most_ns)
        return REFUSE(why, ASUP_EINVALID, "the first backoff is longer than the longest");
    one = budget > cleanup_ns_max || p->retry.backoff_most_ns > cleanup_ns_max
              ? ASUP_NEVER
              : budget + p->retry.backoff_most_ns;
    if (one > cleanup_ns_max / (p->retry.attempts == 0 ? 1 : p->retry.attempts))
        return REFUSE(why, ASUP_EINVALID,
                      "the compensation, with all its attempts, could take longer than two days");
    return 0;
}

static size_t
task_bytes(const struct task_params *p)
{
    return p->spec.size + p->label.size + p->call.size + p->key.size;
}

static int
step_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    const struct admission none = {0};
    const struct saga_step_params *p = &in->u.saga_step;
    uint32_t i = saga_lookup(k, in, why);
    size_t bytes;

    if (i == NIL || goes_on_check(k, i, why) != 0 || last_step_check(k, i, why) != 0)
        return why->code;
    if (caller_holder(&in->caller).id == 0)
        return REFUSE(why, ASUP_EINVALID, "a saga needs a session or a task that drives it");
    if (p->name.size == 0 || p->name.size > ASUP_NAME_MAX)
        return REFUSE(why, p->name.size == 0 ? ASUP_EINVALID : ASUP_ETOOLARGE,
                      "a step has a name of 1 to 128 bytes");
    if (p->undo == NULL)
        return REFUSE(why, ASUP_EINVALID, "a step needs its compensation");
    if (undo_check(k, in, why) != 0)
        return why->code;
    if (p->action != NULL && task_params_check(k, &in->caller, p->action, false, why) != 0)
        return why->code;
    if (saga_at(k, i)->step_count >= k->config.limits.steps_per_saga) {
        why->limit = "steps-per-saga";
        why->detail = "the saga has as many steps as it may";
        return why->code = -ASUP_EBUSY;
    }
    bytes = p->name.size + task_bytes(p->undo);
    if (p->action == NULL)
        return limit_bytes(k, in->caller.uid, bytes, why);
    bytes += task_bytes(p->action);
    return limit_tasks(k, saga_at(k, i)->region, in->caller.uid, false, bytes, &none, why);
}

static int
complete_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = saga_lookup(k, in, why);

    if (i == NIL || goes_on_check(k, i, why) != 0)
        return why->code;
    return last_step_check(k, i, why);
}

static int
abort_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = saga_lookup(k, in, why);

    if (i == NIL)
        return why->code;
    if (in->u.nack.note.size > ASUP_MESSAGE_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the message is too long");
    if (saga_at(k, i)->state == SAGA_COMPLETED)
        return REFUSE(why, ASUP_ERESOLVED, "the saga is completed");
    return 0; /* one that is being undone is what was asked for */
}

static int
resolve_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = saga_lookup(k, in, why);

    if (i == NIL)
        return why->code;
    if (in->u.resolve.how > SAGA_RESOLVE)
        return REFUSE(why, ASUP_EINVALID, "a saga is resolved by retry or resolve");
    if (saga_at(k, i)->state != SAGA_NEEDS_ATTENTION)
        return REFUSE(why, ASUP_EINVALID, "the saga does not need attention");
    return 0;
}

int
saga_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    switch (in->kind) {
    case IN_SAGA_BEGIN:
        return begin_check(k, in, why);
    case IN_SAGA_STEP:
        return step_check(k, in, why);
    case IN_SAGA_COMPLETE:
        return complete_check(k, in, why);
    case IN_SAGA_ABORT:
        return abort_check(k, in, why);
    default:
        return resolve_check(k, in, why);
    }
}

/* ---- Memory ------------------------------------------------------------------------------ */

static bool
begin_memory(struct kernel *k, const struct input *in, struct admit_need *admit)
{
    const struct kernel_allocator *a = &k->allocator;
    size_t size = in->u.saga_begin.name.size;

    admit->sagas++;
    return arena_reserve(&k->saga.sagas, a, 1) && index_reserve(&k->saga.ids, a, 1) &&
           index_reserve(&k->saga.drivers, a, 1) && admit_text(k, admit, size == 0 ? 24 : size);
}

static bool
step_memory(struct kernel *k, const struct input *in, struct admit_need *admit)
{
    const struct kernel_allocator *a = &k->allocator;
    const struct saga_step_params *p = &in->u.saga_step;

    if (p->action != NULL)
        admit_task(k, admit, &in->caller, p->action,
                   saga_at(k, saga_of_id(k, in->subject))->region);
    admit->scratch += sizeof(struct step_payload);
    return arena_reserve(&k->saga.steps, a, 1) && index_reserve(&k->saga.actions, a, 1) &&
           index_reserve(&k->saga.undos, a, 1) && index_reserve(&k->saga.drivers, a, 1) &&
           arena_reserve(&k->calls.services, a, 2) && index_reserve(&k->calls.service_keys, a, 2) &&
           admit_text(k, admit, p->name.size) && admit_text(k, admit, p->undo->label.size) &&
           admit_text(k, admit, p->undo->spec.size) && admit_text(k, admit, p->undo->call.size);
}

bool
saga_memory(struct kernel *k, const struct input *in, struct need *need)
{
    struct admit_need admit = {0};
    uint32_t i;

    need->sagas++;
    if (in->kind == IN_SAGA_BEGIN) {
        if (!begin_memory(k, in, &admit))
            return false;
        return admit_reserve(k, &admit, need);
    }
    i = saga_of_id(k, in->subject);
    if (saga_at(k, i)->region != NIL)
        need_follow(k, saga_at(k, i)->region, need);
    need->reasons++;
    if (in->kind != IN_SAGA_STEP)
        return reserve(k, need);
    return step_memory(k, in, &admit) && admit_reserve(k, &admit, need);
}

/* ---- Deeds ---------------------------------------------------------------------------------- */

static struct asup_ref
saga_begin(struct kernel *k, const struct input *in)
{
    uint64_t id = k->saga.id_next;
    char own_name[24];
    struct event ev = {
        .kind = EV_SAGA_BEGUN,
        .uid = region_at(k, region_of_id(k, in->region))->uid,
        .region = in->region,
        .subject = id,
        .holder = caller_holder(&in->caller),
        .text = in->u.saga_begin.name,
    };

    if (ev.text.size == 0)
        ev.text = (struct bytes){own_name, id_text('g', id, own_name)};
    emit(k, ev);
    return (struct asup_ref){.id = id, .sort = ASUP_SORT_SAGA};
}

/* What the driver did by itself is done when it goes on. */
static void
own_step_done(struct kernel *k, uint32_t i)
{
    uint32_t last = saga_at(k, i)->step_last;

    if (last != NIL && step_at(k, last)->state == STEP_RUNNING && step_at(k, last)->action == 0)
        emit(k, event_of_step(EV_SAGA_STEP_DONE, k, last));
}

static uint8_t *
bytes_append(uint8_t *to, struct bytes text)
{
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    return to + text.size;
}

/* R-SAG-1: the compensation is recorded before the action exists. It has the
 * rights of who recorded it, like a finalizer. */
static void
saga_step(struct kernel *k, const struct input *in, const char **advice)
{
    const struct saga_step_params *p = &in->u.saga_step;
    const struct task_params *undo = p->undo;
    uint32_t i = saga_of_id(k, in->subject);
    size_t size =
        sizeof(struct step_payload) + undo->label.size + undo->spec.size + undo->call.size;
    struct step_payload *payload;
    uint8_t *rest;
    struct event ev;

    own_step_done(k, i);
    payload = scratch_take(k, size);
    memset(payload, 0, sizeof *payload);
    payload->budget_ns = caller_timeout(
        k, &in->caller,
        undo->budget.timeout_ns == ASUP_NEVER ? k->config.finalizer_ns : undo->budget.timeout_ns);
    payload->backoff_ns = p->retry.backoff_ns;
    payload->backoff_most_ns = p->retry.backoff_most_ns;
    payload->leftover_ns = undo->leftover_ns;
    payload->watchdog_ns = undo->watchdog_ns;
    payload->response_ns = undo->response_ns;
    payload->attempts = p->retry.attempts == 0 ? 1 : p->retry.attempts;
    payload->uid = in->caller.uid;
    payload->run_uid = undo->run_uid;
    payload->mask_depth = undo->mask_depth;
    payload->cancel_signal = undo->cancel_signal;
    payload->leftover_wait = undo->leftover_wait;
    payload->notify = undo->notify;
    payload->label_size = undo->label.size;
    payload->spec_size = undo->spec.size;
    payload->call_size = undo->call.size;
    payload->cx = caller_capability(k, &in->caller);
    rest = bytes_append((uint8_t *)(payload + 1), undo->label);
    rest = bytes_append(rest, undo->spec);
    (void)bytes_append(rest, undo->call);
    ev = event_of_saga(EV_SAGA_STEP_BEGUN, k, i);
    ev.value = saga_at(k, i)->step_count + 1;
    ev.task = p->action == NULL ? 0 : k->task_id_next;
    ev.holder = caller_holder(&in->caller);
    ev.text = p->name;
    ev.payload = payload;
    ev.payload_size = size;
    emit(k, ev);
    if (p->action != NULL)
        *advice = action_submit(k, saga_at(k, i)->region, &in->caller, p->action);
}

struct asup_ref
saga_do(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = in->kind == IN_SAGA_BEGIN ? NIL : saga_of_id(k, in->subject);
    struct resolved_payload how = {.how = in->u.resolve.how};
    struct event ev;

    switch (in->kind) {
    case IN_SAGA_BEGIN:
        return saga_begin(k, in);
    case IN_SAGA_STEP:
        saga_step(k, in, &why->detail);
        /* The task tells the step, if there is one. */
        if (in->u.saga_step.action != NULL)
            return (struct asup_ref){.id = step_at(k, saga_at(k, i)->step_last)->action,
                                     .sort = ASUP_SORT_TASK};
        break;
    case IN_SAGA_COMPLETE:
        own_step_done(k, i);
        saga_end(k, i, SAGA_COMPLETED);
        break;
    case IN_SAGA_ABORT:
        if (saga_at(k, i)->state == SAGA_RUNNING)
            saga_abort(k, i, in->u.nack.note);
        break;
    default:
        ev = event_of_saga(EV_SAGA_RESOLVED, k, i);
        ev.value = how.how;
        ev.payload = &how;
        ev.payload_size = sizeof how;
        emit(k, ev);
        work_saga(k, i);
        break;
    }
    return (struct asup_ref){.id = in->subject, .sort = ASUP_SORT_SAGA};
}
