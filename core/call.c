/* SPDX-License-Identifier: MIT */
/*
 * Calls: tasks that a worker does (§3). Their admission and cancelling is that of
 * tasks; here is what is their own: how they move on, end, are lost, and run
 * again.
 *
 *   - Their worker completes them, many in one message; only the worker that
 *     runs the attempt may (R-TSK-5): others are answered Expired.
 *   - A failed or lost attempt is followed by another one when the retry rule
 *     has some left and nobody asked the call to end. Attempts count from the
 *     beginning of each, so a call on which workers die comes to its end too.
 *   - At T a call that still runs is ended by force: it is Cancelled at once,
 *     its worker is told, and until the worker lets go of it, it keeps a place.
 */
#include "core/call.h"

/* ---- Admission ------------------------------------------------------------------------ */

int
call_params_check(const struct task_params *p, struct refusal *why)
{
    const char *text = p->call.data;

    if (p->call.size > ASUP_NAME_MAX)
        return REFUSE(why, ASUP_EINVALID, "the name of a computation has at most 128 bytes");
    for (size_t i = 0; i < p->call.size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return REFUSE(why, ASUP_EINVALID,
                          "the name of a computation holds no control characters");
    }
    if (p->retry.attempts > UINT16_MAX)
        return REFUSE(why, ASUP_EINVALID, "a call has at most 65535 attempts");
    if (p->call.size == 0 && p->retry.attempts > 1)
        return REFUSE(why, ASUP_EINVALID, "only calls are run again by a retry rule");
    if (p->key.size > ASUP_NAME_MAX)
        return REFUSE(why, ASUP_EINVALID, "an idempotency key has at most 128 bytes");
    return 0;
}

/* ---- Outcomes ---------------------------------------------------------------------------- */

static struct kernel_outcome
outcome_of(const struct kernel *k, const struct task *t, uint8_t severity, const char *stage)
{
    struct kernel_outcome o = {
        .key = {.severity = severity, .at = k->now, .origin = t->id},
        .origin_sort = ASUP_SORT_TASK,
        .exit_code = -1,
        .wall_ns = (t->flags & TASK_STARTED) != 0 ? k->now - t->started_at : 0,
    };

    for (size_t i = 0; stage[i] != '\0'; i++)
        o.stage[i] = stage[i];
    return o;
}

struct event
event_of_call(enum event_kind kind, struct kernel *k, uint32_t task)
{
    struct event ev = event_of_task(kind, k, task);
    const struct call *c = call_of(k, task_at(k, task));

    if ((c->flags & CALL_HELD) != 0)
        ev.session = worker_at(k, c->worker)->session;
    return ev;
}

/* ---- Moving on ------------------------------------------------------------------------------ */

/* Cancelled without ever having begun, or again waiting to. */
static void
call_cancelled(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct kernel_outcome o = outcome_of(k, t, ASUP_CANCELLED, "");

    o.reason = t->reason;
    task_complete(k, i, &o, (struct bytes){"", 0}, NULL, 0);
}

/* T has come, or a finalizer's budget is spent (R-REG-8). */
static void
call_force(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);
    bool finalizer = (t->flags & TASK_FINALIZER) != 0;
    struct kernel_outcome o = outcome_of(k, t, finalizer ? ASUP_PANICKED : ASUP_CANCELLED,
                                         finalizer ? "finalizer-timeout" : "");

    o.reason = t->reason;
    o.forced = (t->flags & TASK_STARTED) != 0;
    task_complete(k, i, &o, (struct bytes){"", 0}, NULL, 0);
}

void
call_advance(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);

    if (t->state == ASUP_TASK_CREATED && t->reason != 0)
        call_cancelled(k, i);
    else if (((t->flags & (TASK_STARTED | TASK_BEGUN)) != 0) && t->kill_at <= k->now)
        call_force(k, i);
}

/* ---- Ends of attempts --------------------------------------------------------------------------
 */

static uint64_t
backoff_ns(const struct call *c)
{
    uint64_t ms = c->backoff_ms;

    for (uint32_t n = 1; n < c->attempt && ms < c->backoff_most_ms; n++)
        ms *= 2;
    return (ms < c->backoff_most_ms ? ms : c->backoff_most_ms) * ASUP_NS_PER_MS;
}

static bool
call_runs_again(const struct task *t, const struct call *c)
{
    return t->reason == 0 && c->attempt < c->attempts;
}

static void
call_retry(struct kernel *k, uint32_t i, const struct kernel_outcome *o, struct bytes message,
           bool lost)
{
    const struct call *c = call_of(k, task_at(k, i));
    const struct call_end_payload payload = {.lost = lost};
    struct event ev = event_of_call(EV_CALL_RETRIED, k, i);

    ev.outcome = o;
    ev.text = message;
    ev.value = time_add(k->now, backoff_ns(c));
    ev.payload = &payload;
    ev.payload_size = sizeof payload;
    /* R-OBL-3: what the attempt holds leaks with it. */
    obligations_leak(k, (struct asup_ref){.id = task_at(k, i)->id, .sort = ASUP_SORT_TASK});
    emit(k, ev);
}

void
call_lost(struct kernel *k, uint32_t i)
{
    const struct task *t = task_at(k, i);
    struct kernel_outcome o = outcome_of(k, t, ASUP_PANICKED, "lost");

    o.lost = true;
    o.reason = t->reason;
    if (call_runs_again(t, call_of(k, t)))
        call_retry(k, i, &o, (struct bytes){"", 0}, true);
    else
        task_complete(k, i, &o, (struct bytes){"", 0}, NULL, 0);
}

void
call_give_back(struct kernel *k, uint32_t i)
{
    emit(k, event_of_call(EV_CALL_GIVEN_BACK, k, i));
}

/* ---- Completion
 * ------------------------------------------------------------------------------------ */

static int
completion_check(const struct kernel *k, const struct completion *p, const struct task *t,
                 struct refusal *why)
{
    if (p->severity > ASUP_PANICKED)
        return REFUSE(why, ASUP_EINVALID, "a call ends ok, err, cancelled or panicked");
    if (p->message.size > ASUP_MESSAGE_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the message is too long");
    if (p->result.size > k->config.limits.result_bytes)
        return REFUSE(why, ASUP_ETOOLARGE, "the result is larger than the limit result-bytes");
    if (p->severity == ASUP_CANCELLED && t->reason == 0)
        return REFUSE(why, ASUP_EINVALID, "nobody asked the call to end: it is not cancelled");
    return 0;
}

/* Whether the caller's worker runs that attempt of it. 0, a code, or 1: there is
 * nothing left to do, it was said before or the call was ended by force. */
static int
completion_owner(const struct kernel *k, const struct input *in, uint32_t worker, uint32_t i,
                 struct refusal *why)
{
    const struct completion *p = &in->u.complete;
    const struct task *t = task_at(k, i);
    const struct call *c;

    if (!task_is_call(t))
        return REFUSE(why, ASUP_EINVALID, "the task is a process: it ends by itself");
    c = call_of(k, t);
    if (c->worker != worker || (p->attempt != 0 && p->attempt != c->attempt))
        return REFUSE(why, ASUP_EEXPIRED, "the call was taken back, and another attempt counts");
    if ((c->flags & CALL_GHOST) == 0 && (t->flags & TASK_STARTED) == 0 &&
        (t->flags & TASK_ENDED) == 0)
        return (c->flags & CALL_HELD) != 0
                   ? REFUSE(why, ASUP_EINVALID, "the call has not begun: start it first")
                   : REFUSE(why, ASUP_EEXPIRED, "the call was taken back");
    if (!task_live(t)) {
        why->detail = (c->flags & CALL_GHOST) != 0
                          ? "the call had been ended by force: this changes nothing"
                          : "the call has ended already: this changes nothing";
        return 1;
    }
    return completion_check(k, p, t, why);
}

static bool
completion_reserve(struct kernel *k, const struct completion *p, uint32_t i)
{
    struct need need = {.events = 4, .reasons = 2};
    struct heap_need texts = {{0}};

    need.scratch = p->result.size + p->message.size + 256;
    need_follow(k, task_at(k, i)->region, &need);
    need_holder(k, (struct asup_ref){.id = task_at(k, i)->id, .sort = ASUP_SORT_TASK}, &need);
    return heap_want(&k->heap, &k->allocator, &texts, p->result.size) &&
           heap_want(&k->heap, &k->allocator, &texts, p->message.size) &&
           heap_reserve(&k->heap, &k->allocator, &texts) && reserve(k, &need);
}

static void
complete(struct kernel *k, uint32_t i, const struct completion *p)
{
    const struct task *t = task_at(k, i);
    bool asked = t->reason != 0 && (t->flags & (TASK_SIGNALLED | TASK_ACKED)) != 0;
    struct kernel_outcome o = outcome_of(k, t, p->severity, "");
    struct call_end_payload *payload;

    o.exit_code = p->code;
    if (asked || p->severity == ASUP_CANCELLED) {
        o.reason = t->reason;
        if (o.key.severity < ASUP_CANCELLED)
            o.key.severity = ASUP_CANCELLED;
    }
    if ((o.key.severity == ASUP_ERR || o.key.severity == ASUP_PANICKED) &&
        call_runs_again(t, call_of(k, t))) {
        call_retry(k, i, &o, p->message, false);
        return;
    }
    payload = scratch_take(k, sizeof *payload + p->result.size);
    *payload = (struct call_end_payload){.result_size = p->result.size};
    if (p->result.size > 0)
        memcpy(payload + 1, p->result.data, p->result.size);
    task_complete(k, i, &o, p->message, payload, sizeof *payload + p->result.size);
}

int
call_complete(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    const struct completion *p = &in->u.complete;
    uint32_t worker = worker_asking(k, in, why);
    uint32_t i;
    int rc;

    if (worker == NIL)
        return why->code;
    i = p->task == 0 ? NIL : task_of_id(k, p->task);
    if (i == NIL)
        return REFUSE(why, ASUP_ENOTFOUND, "there is no such task");
    *made = (struct asup_ref){.id = p->task, .sort = ASUP_SORT_TASK};
    rc = completion_owner(k, in, worker, i, why);
    if (rc < 0)
        return rc;
    if (!completion_reserve(k, p, i))
        return REFUSE(why, ASUP_ENOMEM, "no memory for the completion");
    worker_seen(k, worker);
    if (rc == 0)
        complete(k, i, p);
    else if ((call_of(k, task_at(k, i))->flags & CALL_GHOST) != 0)
        call_give_back(k, i);
    return 0;
}

/* R-TSK-5: whether the caller may speak for a running call: its worker's session. */
int
call_speaker_check(const struct kernel *k, const struct caller *caller, const struct task *t,
                   struct refusal *why)
{
    const struct call *c = call_of(k, t);

    if (task_live(t) && (t->flags & TASK_STARTED) != 0 && (c->flags & CALL_HELD) != 0 &&
        worker_at(k, c->worker)->session == caller->session)
        return 0;
    return REFUSE(why, ASUP_EEXPIRED, "the call is not, or no longer, with this worker");
}
