/* SPDX-License-Identifier: MIT */
/*
 * Obligations (§4).
 *
 *   obligation-linear  each is resolved exactly once, by its holder alone, or by
 *                      its time, its region's drain end or its holder's end; the
 *                      ledgers add up (R-OBL-1, R-OBL-2, R-OBL-4, R-OBL-7)
 *   obligation-leak    a holder that ends holds nothing any more: what it held
 *                      leaked, visibly (R-OBL-3, R-OBL-5). Of a program under test
 *                      every leak is a complaint.
 */
#include <stdlib.h>

#include "lab/oracle_internal.h"

static void
linear(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_OBLIGATION_LINEAR);
    if (!fine)
        complain(o, ASUP_ORACLE_OBLIGATION_LINEAR, ev, "%s", promise);
}

/* ---- Requests ------------------------------------------------------------------------ */

/* Whether it resolves, hands on or renews the obligation that is its subject. */
static bool
about_obligation(const struct input *in)
{
    switch (in->kind) {
    case IN_OBLIGATION_COMMIT:
    case IN_OBLIGATION_ABORT:
    case IN_OBLIGATION_TRANSFER:
    case IN_CHANNEL_ACK:
    case IN_CHANNEL_NACK:
    case IN_CHANNEL_EXTEND:
    case IN_LEASE_RENEW:
    case IN_LEASE_RELEASE:
        return true;
    case IN_CHANNEL_SEND:
        return in->subject != 0;
    default:
        return false;
    }
}

static enum event_kind
wanted(const struct input *in, uint8_t kind)
{
    switch (in->kind) {
    case IN_OBLIGATION_ABORT:
        /* A lease that is let go was kept to its end. */
        return kind == ASUP_OBLIGATION_LEASE ? EV_OBLIGATION_COMMITTED : EV_OBLIGATION_ABORTED;
    case IN_CHANNEL_NACK:
        return EV_OBLIGATION_ABORTED;
    case IN_OBLIGATION_TRANSFER:
        return EV_OBLIGATION_TRANSFERRED;
    case IN_CHANNEL_EXTEND:
    case IN_LEASE_RENEW:
        return EV_OBLIGATION_RENEWED;
    default:
        return EV_OBLIGATION_COMMITTED;
    }
}

static void
request_after(struct oracles *o, const struct judged_step *s)
{
    const struct event *did = NULL;

    if (s->in == NULL || !about_obligation(s->in) || s->reply == NULL || s->reply->code != 0)
        return;
    if (!answered_now(s))
        return; /* as it was answered before */
    judge(o, ASUP_ORACLE_OBLIGATION_LINEAR);
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        if (ev->subject == s->in->subject && ev->kind == wanted(s->in, o->asked.kind))
            did = ev;
    }
    if (o->asked.id == 0 || did == NULL)
        complain(o, ASUP_ORACLE_OBLIGATION_LINEAR, did,
                 "R-OBL-1: o%llu was resolved before, or never made, and a request to resolve it "
                 "is answered with success at %llu ns",
                 (unsigned long long)s->in->subject, (unsigned long long)s->now);
    else if (!ref_same(o->asks, o->asked.holder))
        complain(o, ASUP_ORACLE_OBLIGATION_LINEAR, did,
                 "R-OBL-2: %c%llu resolves o%llu, which %c%llu holds", (char)o->asks.sort,
                 (unsigned long long)o->asks.id, (unsigned long long)s->in->subject,
                 (char)o->asked.holder.sort, (unsigned long long)o->asked.holder.id);
}

/* ---- Ends ------------------------------------------------------------------------------ */

static bool
asked_for(const struct judged_step *s, const struct event *ev)
{
    return s->in == NULL || (about_obligation(s->in) && s->in->subject == ev->subject);
}

static void
aborted(struct oracles *o, const struct judged_step *s, const struct event *ev,
        const struct seen_obligation *b)
{
    const struct seen_region *r = model_region(&o->model, b->region);
    bool expired = !b->known || b->deadline <= ev->at;
    bool drained = r == NULL || r->drain_end <= ev->at;

    linear(o, ev, asked_for(s, ev) || expired || drained,
           "R-OBL-4: cancellation resolves nothing: only its holder, its time or the end of its "
           "region's drain abort an obligation");
}

static void
holder_died(struct oracles *o, struct asup_ref holder)
{
    if (o->dead_count == o->dead_capacity) {
        o->dead_capacity = 2 * o->dead_capacity + 16;
        o->dead = oracle_memory(o->dead, o->dead_capacity * sizeof o->dead[0]);
    }
    o->dead[o->dead_count++] = holder;
}

/* Whether who held has ended in this step, or its attempt has. */
static bool
has_ended(const struct oracles *o, const struct judged_step *s, struct asup_ref holder)
{
    const struct seen_task *t;

    if (holder.sort == ASUP_SORT_SESSION)
        return idmap_find(&o->model.sessions, holder.id) == NULL;
    t = model_task(&o->model, holder.id);
    if (t == NULL || t->state == ASUP_TASK_COMPLETED)
        return true;
    for (size_t i = 0; t->call && i < s->out->event_count; i++) {
        if (s->out->events[i].kind == EV_CALL_RETRIED && s->out->events[i].task == holder.id)
            return true;
    }
    return false;
}

static void
leaked_after(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    judge(o, ASUP_ORACLE_OBLIGATION_LEAK);
    if (!has_ended(o, s, ev->holder))
        complain(o, ASUP_ORACLE_OBLIGATION_LEAK, ev,
                 "R-OBL-3: o%llu leaked, and who holds it has not ended",
                 (unsigned long long)ev->subject);
    else if (o->program)
        complain(o, ASUP_ORACLE_OBLIGATION_LEAK, ev,
                 "R-OBL-3: o%llu was leaked: %c%llu ended and held it still (\"%.*s\")",
                 (unsigned long long)ev->subject, (char)ev->holder.sort,
                 (unsigned long long)ev->holder.id, (int)ev->text.size,
                 (const char *)ev->text.data);
}

/* Nobody who has ended holds anything. */
static void
dead_after(struct oracles *o, const struct judged_step *s)
{
    const struct seen_obligation *b;
    size_t cursor = 0;

    while (o->dead_count > 0 && (b = idmap_next(&o->model.obligations, &cursor)) != NULL) {
        for (size_t i = 0; i < o->dead_count; i++) {
            if (!ref_same(o->dead[i], b->holder))
                continue;
            complain(o, ASUP_ORACLE_OBLIGATION_LEAK, NULL,
                     "R-OBL-3: %c%llu ended at %llu ns and holds o%llu of r%llu still",
                     (char)b->holder.sort, (unsigned long long)b->holder.id,
                     (unsigned long long)s->now, (unsigned long long)b->id,
                     (unsigned long long)b->region);
        }
    }
    for (size_t i = 0; i < o->dead_count; i++)
        judge(o, ASUP_ORACLE_OBLIGATION_LEAK);
    o->dead_count = 0;
}

/* R-OBL-5: leaks are part of a region's outcome. */
static void
region_closed(struct oracles *o, const struct event *ev)
{
    const struct seen_region *r = model_region(&o->model, ev->region);
    uint8_t least;

    if (r == NULL || r->leaks == 0 || r->learned || ev->outcome == NULL)
        return;
    least = r->strict || o->config.strict ? ASUP_PANICKED : ASUP_ERR;
    judge(o, ASUP_ORACLE_OBLIGATION_LEAK);
    if (ev->outcome->key.severity < (r->strict ? least : ASUP_ERR))
        complain(o, ASUP_ORACLE_OBLIGATION_LEAK, ev,
                 "R-OBL-5: r%llu leaked %u obligations, and its outcome does not say so",
                 (unsigned long long)ev->region, r->leaks);
}

/* ---- The family ---------------------------------------------------------------------------- */

static void
obligations_before(struct oracles *o, const struct judged_step *s)
{
    const struct seen_obligation *b;

    o->asked = (struct seen_obligation){0};
    if (s->in == NULL || !about_obligation(s->in))
        return;
    o->asks = model_holder(&o->model, s->k, &s->in->caller);
    b = model_obligation(&o->model, s->in->subject);
    if (b != NULL)
        o->asked = *b;
}

static void
obligations_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_obligation *b;
    const struct seen_task *t;

    switch (ev->kind) {
    case EV_OBLIGATION_RESERVED:
        linear(o, ev, model_obligation(&o->model, ev->subject) == NULL,
               "R-OBL-1: an obligation is reserved once");
        return;
    case EV_TASK_COMPLETED:
        t = model_task(&o->model, ev->task);
        if (t != NULL && t->held > 0)
            holder_died(o, (struct asup_ref){.id = ev->task, .sort = ASUP_SORT_TASK});
        return;
    case EV_SESSION_ENDED:
        holder_died(o, (struct asup_ref){.id = ev->session, .sort = ASUP_SORT_SESSION});
        return;
    case EV_REGION_CLOSED:
        region_closed(o, ev);
        return;
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
    case EV_OBLIGATION_TRANSFERRED:
    case EV_OBLIGATION_RENEWED:
        break;
    default:
        return;
    }
    b = model_obligation(&o->model, ev->subject);
    linear(o, ev, b != NULL, "R-OBL-1: an obligation is resolved exactly once");
    if (b == NULL)
        return;
    linear(o, ev, ev->kind == EV_OBLIGATION_TRANSFERRED || ref_same(ev->holder, b->holder),
           "R-OBL-2: who holds an obligation changes by transfer alone");
    if (ev->kind == EV_OBLIGATION_ABORTED)
        aborted(o, s, ev, b);
    else if (ev->kind != EV_OBLIGATION_LEAKED)
        linear(o, ev, asked_for(s, ev), "R-OBL-2: only its holder resolves an obligation");
}

static void
ledger_same(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_region *r = model_region(&o->model, ev->region);
    struct region_view v;

    if (r == NULL || !kernel_region(s->k, ev->region, &v))
        return;
    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
        linear(o, ev, v.obligations[kind] == r->ledger[kind],
               "R-OBL-7: in a ledger stands what was reserved and not resolved");
}

static void
obligations_after(struct oracles *o, const struct judged_step *s)
{
    request_after(o, s);
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        if (ev->kind < EV_OBLIGATION_RESERVED || ev->kind > EV_OBLIGATION_LEAKED)
            continue;
        if (ev->kind == EV_OBLIGATION_LEAKED)
            leaked_after(o, s, ev);
        ledger_same(o, s, ev);
    }
    dead_after(o, s);
}

static void
obligations_fini(struct oracles *o)
{
    free(o->dead);
}

const struct oracle_family oracle_obligations = {
    .before = obligations_before,
    .event = obligations_event,
    .after = obligations_after,
    .fini = obligations_fini,
};
