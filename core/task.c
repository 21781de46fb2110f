/* SPDX-License-Identifier: MIT */
/* Tasks and finalizers: admission, and the request to cancel. What their
 * processes do is in process.c. */
#include "core/decide.h"

/* ---- Admission ------------------------------------------------------------------------ */

int
task_params_check(const struct kernel *k, const struct caller *c, const struct task_params *p,
                  bool finalizer, struct refusal *why)
{
    const struct budget_request *b = &p->budget;

    if (p->label.size > ASUP_LABEL_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the label is too long");
    if (call_params_check(p, why) != 0)
        return why->code;
    if (p->cancel_signal < 1 || p->cancel_signal > 64)
        return REFUSE(why, ASUP_EINVALID, "a cancel signal is a number from 1 to 64");
    if (p->run_uid != c->uid && c->uid != 0)
        return REFUSE(why, ASUP_EDENIED, "only root may name another user to run as");
    if (!finalizer)
        return budget_check(k, b, why);
    if (b->deadline_at != ASUP_NEVER || b->poll_quota != UINT32_MAX || b->cost_quota != UINT64_MAX)
        return REFUSE(why, ASUP_EINVALID,
                      "a finalizer has no budget but its timeout, counted from its start");
    if (b->timeout_ns == 0)
        return REFUSE(why, ASUP_EINVALID, "a finalizer needs time to run");
    if (p->delay_ns != 0)
        return REFUSE(why, ASUP_EINVALID, "a finalizer cannot be delayed");
    return 0;
}

/* The region that a task or finalizer is for. */
static uint32_t
admitting(const struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = region_lookup(k, in, why);

    return i == NIL || authorize(k, &in->caller, i, ASUP_RIGHT_SPAWN, why) != 0 ? NIL : i;
}

static int
open_check(const struct kernel *k, uint32_t i, struct refusal *why)
{
    const struct region *r = region_at(k, i);

    if (r->state == ASUP_REGION_OPEN)
        return 0;
    if (PLANTED(REGION_TREE) && r->state == ASUP_REGION_DRAINING &&
        (r->flags & REGION_CANCELLED) == 0)
        return 0;
    return REFUSE(why, ASUP_ECLOSED,
                  region_live(r) ? "the region is draining and admits nothing new"
                                 : "the region is closed");
}

int
task_submit_check(struct kernel *k, const struct input *in, const struct admission *adm,
                  struct refusal *why)
{
    const struct task_params *p = &in->u.submit;
    uint32_t i = region_lookup(k, in, why);

    if (i == NIL)
        return why->code;
    if (i == k->root)
        return REFUSE(why, ASUP_EINVALID,
                      "\"/\" runs no tasks of its own: open a region for it, or use run");
    if (admitting(k, in, why) == NIL || task_params_check(k, &in->caller, p, false, why) != 0 ||
        open_check(k, i, why) != 0)
        return why->code;
    return limit_tasks(k, i, in->caller.uid, false,
                       p->spec.size + p->label.size + p->call.size + p->key.size, adm, why);
}

/* R-TSK-8: an allowance of mask depth times interval is enough to end without
 * force; who declares more is told when it is submitted. */
static const char *
responsiveness_advice(const struct kernel *k, uint32_t region, const struct task_params *p)
{
    const struct region *r = region_at(k, region);
    uint64_t allowed = allowance_ns(k, r, ASUP_CANCEL_USER);
    uint64_t depth = p->mask_depth == 0 ? 1 : p->mask_depth;

    if (p->drain_ns != ASUP_NEVER)
        allowed = min_u64(allowed, p->drain_ns);
    if (p->response_ns == 0 || (r->flags & REGION_SOFT) != 0)
        return NULL;
    if (p->response_ns <= allowed / depth)
        return NULL;
    return "its declared time between checkpoints does not fit into the drain time: it may be "
           "ended by force";
}

enum admitted { ADMIT_TASK, ADMIT_ACTION, ADMIT_FINALIZER };

/* Kept in whole milliseconds, rounded up. */
static uint32_t
backoff_ms(uint64_t ns)
{
    uint64_t ms = ns / ASUP_NS_PER_MS + (ns % ASUP_NS_PER_MS != 0);

    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static void
admit(struct kernel *k, uint32_t region, const struct caller *c, const struct task_params *p,
      enum admitted as)
{
    bool finalizer = as == ADMIT_FINALIZER;
    size_t size = sizeof(struct task_payload) + p->spec.size + p->call.size + p->key.size;
    struct task_payload *payload = scratch_take(k, size);
    asup_time from = time_add(k->now, p->delay_ns);
    struct event ev = {
        .kind = finalizer ? EV_FINALIZER_REGISTERED : EV_TASK_CREATED,
        .uid = c->uid,
        .region = region_at(k, region)->id,
        .task = k->task_id_next,
        .call = p->call.size > 0,
        .text = p->label,
        .payload = payload,
        .payload_size = size,
    };

    *payload = (struct task_payload){
        .budget = finalizer ? budget_of(&p->budget, from) : caller_budget(k, c, &p->budget, from),
        .due_at = p->delay_ns == 0 ? 0 : from,
        .drain_ns = p->drain_ns,
        .leftover_ns = p->leftover_ns,
        .watchdog_ns = p->watchdog_ns,
        .response_ns = p->response_ns,
        .run_uid = p->run_uid,
        .mask_depth = p->mask_depth,
        .cancel_signal = p->cancel_signal,
        .leftover_wait = p->leftover_wait,
        .notify = p->notify,
        .action = as == ADMIT_ACTION,
        .spec_size = (uint32_t)p->spec.size,
        .attempts = (uint16_t)p->retry.attempts,
        .backoff_ms = backoff_ms(p->retry.backoff_ns),
        .backoff_most_ms =
            backoff_ms(p->retry.backoff_most_ns == 0 ? ASUP_NEVER : p->retry.backoff_most_ns),
        .call_size = (uint8_t)p->call.size,
        .key_size = (uint8_t)p->key.size,
        .cx = caller_capability(k, c),
    };
    if (finalizer)
        payload->budget.limit_at = caller_timeout(
            k, c,
            p->budget.timeout_ns == ASUP_NEVER ? k->config.finalizer_ns : p->budget.timeout_ns);
    if (p->spec.size > 0)
        memcpy(payload + 1, p->spec.data, p->spec.size);
    if (p->call.size > 0) {
        uint8_t *rest = (uint8_t *)(payload + 1) + p->spec.size;

        memcpy(rest, p->call.data, p->call.size);
        if (p->key.size > 0)
            memcpy(rest + p->call.size, p->key.data, p->key.size);
    }
    emit(k, ev);
}

struct asup_ref
task_submit(struct kernel *k, const struct input *in, const char **advice)
{
    uint64_t id = k->task_id_next;
    uint32_t region = region_of_id(k, in->region);

    admit(k, region, &in->caller, &in->u.submit, ADMIT_TASK);
    *advice = responsiveness_advice(k, region, &in->u.submit);
    return (struct asup_ref){.id = id, .sort = ASUP_SORT_TASK};
}

const char *
action_submit(struct kernel *k, uint32_t region, const struct caller *c,
              const struct task_params *p)
{
    admit(k, region, c, p, ADMIT_ACTION);
    return responsiveness_advice(k, region, p);
}

int
finalizer_defer_check(struct kernel *k, const struct input *in, const struct admission *adm,
                      struct refusal *why)
{
    const struct task_params *p = &in->u.submit;
    uint32_t i = admitting(k, in, why);

    if (i == NIL || task_params_check(k, &in->caller, p, true, why) != 0 ||
        open_check(k, i, why) != 0)
        return why->code;
    return limit_tasks(k, i, in->caller.uid, true, p->spec.size + p->label.size, adm, why);
}

void
finalizer_register(struct kernel *k, uint32_t region, const struct caller *c,
                   const struct task_params *p)
{
    admit(k, region, c, p, ADMIT_FINALIZER);
}

struct asup_ref
finalizer_defer(struct kernel *k, const struct input *in)
{
    uint64_t id = k->task_id_next;

    finalizer_register(k, region_of_id(k, in->region), &in->caller, &in->u.submit);
    return (struct asup_ref){.id = id, .sort = ASUP_SORT_TASK};
}

/* ---- Cancelling one task ------------------------------------------------------------------ */

int
task_cancel_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    uint32_t i = in->task == 0 ? NIL : task_of_id(k, in->task);

    if (i == NIL)
        return REFUSE(why, ASUP_ENOTFOUND, "there is no such task");
    if (authorize_owned(k, &in->caller, task_at(k, i)->region, task_at(k, i)->uid,
                        ASUP_RIGHT_CANCEL, why) != 0)
        return why->code;
    if ((task_at(k, i)->flags & TASK_FINALIZER) != 0)
        return REFUSE(
            why, ASUP_EDENIED,
            "a finalizer is masked from cancellation: it ends by itself or by its budget");
    if (in->u.cancel.message.size > ASUP_MESSAGE_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the message is too long");
    return 0;
}

struct asup_ref
task_cancel(struct kernel *k, const struct input *in)
{
    struct cancel c = {
        .kind = ASUP_CANCEL_USER,
        .origin_sort = ASUP_SORT_TASK,
        .origin = in->task,
        .message = in->u.cancel.message,
        .drain_ns = in->u.cancel.drain_ns,
        .end_most = ASUP_NEVER,
    };

    cancel_task(k, task_of_id(k, in->task), &c);
    return (struct asup_ref){.id = in->task, .sort = ASUP_SORT_TASK};
}
