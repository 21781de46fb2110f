/* SPDX-License-Identifier: MIT */
/*
 * What was acknowledged in a world (world.h), and what must hold of it
 * afterwards (R-DUR-1).
 *
 * An answer becomes facts when it is decided; they wait, as it does, for the
 * journal; when it goes out they are told. What is told holds for ever: a kernel
 * that comes back must know it, and no later answer may contradict it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/world_state.h"

enum fact_kind {
    FACT_MADE,     /* it is there, until it ends */
    FACT_ENDED,    /* an obligation is settled, a message is gone for good */
    FACT_FINISHED, /* a task, region or saga has its outcome */
    FACT_SEALED,
    FACT_REVOKED,
    FACT_OFFERED, /* a session is a worker */
    FACT_TAKEN,   /* by a session: a call */
    FACT_BEGUN,   /* likewise, an attempt of it */
    FACT_LEASED,
    FACT_ANSWERED, /* what was asked is not forgotten (R-IDM-1) */
    FACT_KIND_COUNT,
};

static const char *const fact_names[FACT_KIND_COUNT] = {"made",    "ended",   "finished", "sealed",
                                                        "revoked", "offered", "taken",    "begun",
                                                        "leased",  "answered"};

struct fact {
    enum fact_kind kind;
    struct asup_ref what;
    uint64_t by;     /* session */
    uint64_t number; /* attempt, token, severity; of what was asked */
    uint64_t region; /* of the lease, */
    char name[16];   /* and its name */
    uint64_t after;  /* event that must be on disk */
    uint32_t turn;   /* of the worker or call, see below */
};

static void
facts_add(struct facts *f, struct fact fact)
{
    if (f->count == f->capacity) {
        f->capacity = 2 * f->capacity + 64;
        f->items = realloc(f->items, f->capacity * sizeof f->items[0]);
        if (f->items == NULL)
            abort();
    }
    f->items[f->count++] = fact;
}

/* ---- What there is -------------------------------------------------------------------- */

static bool
region_is_volatile(const struct kernel *k, uint64_t id)
{
    struct region_view r;

    return kernel_region(k, id, &r) && r.is_volatile;
}

/* Whether it is there, and in *inside whether a crash takes it along. */
static bool
known(const struct kernel *k, struct asup_ref ref, bool *inside)
{
    struct region_view r;
    struct task_view t;
    struct session_view s;
    struct saga_view g;
    struct obligation_view o;
    struct channel_view c;
    struct message_view m;
    struct capability_view x;
    uint64_t region = 0;
    bool is = true;

    switch (ref.sort) {
    case ASUP_SORT_REGION:
        is = kernel_region(k, ref.id, &r);
        region = is && r.is_volatile ? r.parent : 0;
        break;
    case ASUP_SORT_TASK:
        is = kernel_task(k, ref.id, &t);
        region = is ? t.region : 0;
        break;
    case ASUP_SORT_SESSION:
        is = kernel_session(k, ref.id, &s);
        break;
    case ASUP_SORT_SAGA:
        is = kernel_saga(k, ref.id, &g);
        region = is ? g.region : 0;
        break;
    case ASUP_SORT_OBLIGATION:
        is = kernel_obligation(k, ref.id, &o);
        region = is ? o.region : 0;
        break;
    case ASUP_SORT_CHANNEL:
        is = kernel_channel(k, ref.id, &c);
        region = is ? c.region : 0;
        break;
    case ASUP_SORT_MESSAGE:
        is = kernel_message(k, ref.id, &m);
        region = is ? m.region : 0;
        break;
    case ASUP_SORT_CAPABILITY:
        is = kernel_capability(k, ref.id, &x);
        region = is ? x.region : 0;
        break;
    default:
        is = false;
        break;
    }
    /* An ended saga outlives its region, and does not say of which sort that was. */
    *inside = region != 0 && (region_is_volatile(k, region) ||
                              (ref.sort == ASUP_SORT_SAGA && !kernel_region(k, region, &r)));
    return is;
}

/* The severity of its outcome; -1: it has none, or is not known. */
static int
finished(const struct kernel *k, struct asup_ref ref)
{
    struct region_view r;
    struct task_view t;
    struct saga_view g;

    if (ref.sort == ASUP_SORT_REGION && kernel_region(k, ref.id, &r) && r.has_outcome)
        return r.outcome.key.severity;
    if (ref.sort == ASUP_SORT_TASK && kernel_task(k, ref.id, &t) && t.has_outcome)
        return t.outcome.key.severity;
    if (ref.sort == ASUP_SORT_SAGA && kernel_saga(k, ref.id, &g) && g.state >= SAGA_COMPLETED)
        return g.state;
    return -1;
}

/* ---- Answers become facts ---------------------------------------------------------------- */

static void
fact_of(struct world *w, struct fact f, const struct effect *fx)
{
    bool inside;

    f.after = fx->after;
    f.turn = f.kind == FACT_OFFERED ? w->told.worker_turn[f.by % IDS_MAX]
                                    : w->told.call_turn[f.what.id % IDS_MAX];
    /* What is volatile is promised to nobody. */
    if (known(w->kernel, f.what, &inside) && inside)
        return;
    facts_add(&w->told.pending, f);
}

static void
calls_facts(struct world *w, const struct input *in, const struct effect *fx)
{
    struct call_view c;

    if (in->kind == IN_WORKER_NEXT) {
        for (uint32_t i = 0; i < fx->list_calls; i++)
            fact_of(
                w, (struct fact){.kind = FACT_TAKEN, .what = fx->list[i], .by = in->caller.session},
                fx);
        return;
    }
    for (uint32_t i = 0; i < in->u.start.count; i++) {
        struct asup_ref task = {.id = in->u.start.tasks[i], .sort = ASUP_SORT_TASK};

        if (in->u.start.codes[i] == 0 && kernel_call(w->kernel, task.id, &c))
            fact_of(w,
                    (struct fact){.kind = FACT_BEGUN,
                                  .what = task,
                                  .by = in->caller.session,
                                  .number = c.attempt},
                    fx);
    }
}

static void
lease_fact(struct world *w, const struct input *in, const struct effect *fx)
{
    struct fact f = {.kind = FACT_LEASED, .what = fx->made, .by = in->caller.session};
    struct obligation_view o;

    if (!kernel_obligation(w->kernel, fx->made.id, &o))
        return; /* told again, and over */
    f.region = o.region;
    f.number = o.token;
    memcpy(f.name, o.name.data, o.name.size < sizeof f.name ? o.name.size : sizeof f.name);
    fact_of(w, f, fx);
}

static void
answer_facts(struct world *w, const struct input *in, const struct effect *fx)
{
    struct asup_ref owed = {.id = in->subject, .sort = ASUP_SORT_OBLIGATION};
    bool inside;

    /* What tells nothing new waits for nothing; the world speaks of what it was not told yet. */
    if (fx->after != 0 && fx->made.id != 0 && known(w->kernel, fx->made, &inside))
        fact_of(w, (struct fact){.kind = FACT_MADE, .what = fx->made}, fx);
    if (in->kind != IN_BATCH)
        fact_of(w, (struct fact){.kind = FACT_ANSWERED, .what = fx->made, .number = fx->token}, fx);
    if (in->digest < 2)
        return; /* perhaps the answer to another request, which looked the same */
    switch (in->kind) {
    case IN_CHANNEL_ACK:
    case IN_DEAD_DISCARD:
        fact_of(w, (struct fact){.kind = FACT_ENDED, .what = fx->made}, fx);
        if (in->kind == IN_CHANNEL_ACK)
            fact_of(w, (struct fact){.kind = FACT_ENDED, .what = owed}, fx);
        break;
    case IN_CHANNEL_NACK:
    case IN_OBLIGATION_COMMIT:
    case IN_OBLIGATION_ABORT:
    case IN_LEASE_RELEASE:
        fact_of(w, (struct fact){.kind = FACT_ENDED, .what = owed}, fx);
        break;
    case IN_CHANNEL_SEND:
        if (in->subject != 0)
            fact_of(w, (struct fact){.kind = FACT_ENDED, .what = owed}, fx);
        break;
    case IN_CHANNEL_SEAL:
        fact_of(w, (struct fact){.kind = FACT_SEALED, .what = fx->made}, fx);
        break;
    case IN_CX_REVOKE:
        fact_of(w, (struct fact){.kind = FACT_REVOKED, .what = fx->made}, fx);
        break;
    case IN_LEASE_ACQUIRE:
        lease_fact(w, in, fx);
        break;
    case IN_WORKER_OFFER:
        if (region_is_volatile(w->kernel, in->region))
            break;
        fact_of(w, (struct fact){.kind = FACT_OFFERED, .what = fx->made, .by = in->caller.session},
                fx);
        break;
    case IN_WORKER_NEXT:
    case IN_WORKER_START:
        calls_facts(w, in, fx);
        break;
    case IN_CALL_COMPLETE:
    case IN_WAIT:
        if (finished(w->kernel, fx->made) >= 0)
            fact_of(w,
                    (struct fact){.kind = FACT_FINISHED,
                                  .what = fx->made,
                                  .number = (uint64_t)finished(w->kernel, fx->made)},
                    fx);
        break;
    default:
        break;
    }
}

/* ---- Asking ------------------------------------------------------------------------------- */

/* Whether the kernel must remember it, now that it was answered: by its session for as long as
 * that lives, or by its key. Older ones are refused, and never done again. */
static bool
remembered(struct world *w, const struct request *q, const struct input *in)
{
    struct asup_ref scope = {.id = in->region, .sort = ASUP_SORT_REGION};

    if (in->digest < 2)
        return false; /* it looks like others */
    if (in->key.size != 0)
        return q->forgotten == w->told.keys_forgotten && in->region != 0 &&
               kernel_key_known(w->kernel, in->caller.uid, scope, in->key);
    return in->caller.session != 0 && in->request != 0 && in->request == q->in.request &&
           in->kind > IN_SESSION_BYE && in->kind != IN_WAIT && in->kind != IN_WORKER_NEXT &&
           in->kind != IN_WORKER_START && in->kind != IN_CALL_COMPLETE;
}

/* What it was answered with, or its part was. */
static struct asup_ref *
answered_with(struct exchange *x)
{
    return x->part > 0 ? &x->q->items_made[x->part - 1] : &x->q->made;
}

void
told_ask(struct world *w, struct exchange *x, const struct input *in)
{
    x->remembers =
        !x->conflicts && x->q->told && answered_with(x)->id != 0 && remembered(w, x->q, in);
    /* What led to nothing durable is remembered until the engine dies. */
    x->conflicts = x->conflicts && x->q->told && x->q->in.digest >= 2 &&
                   x->q->told_by == w->engine_run && remembered(w, x->q, in);
}

static void
told_event(struct world *w, const struct event *ev)
{
    char name[24];

    if (ev->kind == EV_WORKER_WITHDRAWN || ev->kind == EV_WORKER_LOST)
        w->told.worker_turn[ev->session % IDS_MAX]++;
    if (ev->kind == EV_CALL_GIVEN_BACK || ev->kind == EV_CALL_RETRIED || ev->kind == EV_TASK_RERUN)
        w->told.call_turn[ev->task % IDS_MAX]++;
    w->told.keys_forgotten += ev->kind == EV_KEY_FORGOTTEN;
    if (ev->kind == EV_MESSAGE_CONSUMED || ev->kind == EV_MESSAGE_DISCARDED)
        w->told.message_gone[ev->subject % IDS_MAX] = true;
    for (size_t n = 0; ev->kind == EV_MESSAGE_RECEIVED && n < w->told.told.count; n++) {
        const struct fact *f = &w->told.told.items[n];

        if (f->kind == FACT_ENDED && f->what.sort == ASUP_SORT_MESSAGE && f->what.id == ev->subject)
            world_fail(w, "consumed, and received again: %s", world_ref_name(f->what, name));
    }
}

void
told_step(struct world *w, const struct step *out)
{
    uint64_t forgotten = w->told.keys_forgotten;
    char name[24];

    for (size_t i = 0; i < out->event_count; i++)
        told_event(w, &out->events[i]);
    for (size_t i = 0; i < out->effect_count; i++) {
        const struct effect *fx = &out->effects[i];
        struct exchange *x = &w->exchanges[fx->token % EXCHANGES_MAX];

        if (fx->kind != FX_REPLY || fx->code != 0 || x->token != fx->token)
            continue;
        if (x->remembers && forgotten == w->told.keys_forgotten) {
            const struct asup_ref *was = answered_with(x);

            if (fx->made.id != was->id || fx->made.sort != was->sort)
                world_fail(w, "R-IDM-1: asked again, and done again: %s",
                           world_ref_name(fx->made, name));
            deed(w, DEED_TOLD_AGAIN);
        }
        if (x->conflicts)
            world_fail(w, "R-IDM-1: another request under an old id was granted: %s",
                       world_ref_name(fx->made, name));
        x->forgotten = w->told.keys_forgotten;
        answer_facts(w, x->part > 0 ? &x->q->items[x->part - 1] : &x->q->in, fx);
    }
}

/* ---- Telling ------------------------------------------------------------------------------- */

static void
tell_lease(struct world *w, const struct fact *f)
{
    struct obligation_view o;
    char name[24];

    for (size_t i = 0; i < w->told.told.count; i++) {
        const struct fact *was = &w->told.told.items[i];

        if (was->kind != FACT_LEASED || was->region != f->region ||
            memcmp(was->name, f->name, sizeof f->name) != 0 || was->what.id == f->what.id)
            continue;
        if (was->number >= f->number)
            world_fail(w, "a token did not grow: %s", world_ref_name(f->what, name));
        if (kernel_obligation(w->kernel, was->what.id, &o) &&
            kernel_obligation(w->kernel, f->what.id, &o))
            world_fail(w, "two hold a lease: %s", world_ref_name(f->what, name));
    }
}

static void
tell_begun(struct world *w, const struct fact *f)
{
    char name[24];

    for (size_t i = 0; i < w->told.told.count; i++) {
        const struct fact *was = &w->told.told.items[i];

        if (was->kind == FACT_BEGUN && was->what.id == f->what.id && was->number == f->number &&
            was->by != f->by)
            world_fail(w, "R-TSK-5: two workers run one attempt of %s",
                       world_ref_name(f->what, name));
    }
}

void
told_tell(struct world *w, uint64_t committed)
{
    size_t left = 0;

    for (size_t i = 0; i < w->told.pending.count; i++) {
        const struct fact *f = &w->told.pending.items[i];

        if (f->after > committed) {
            w->told.pending.items[left++] = *f;
            continue;
        }
        if (f->kind == FACT_LEASED)
            tell_lease(w, f);
        if (f->kind == FACT_BEGUN)
            tell_begun(w, f);
        if (f->kind == FACT_ANSWERED) {
            struct exchange *x = &w->exchanges[f->number % EXCHANGES_MAX];

            if (x->token == f->number && !x->other) {
                struct asup_ref *was = answered_with(x);

                /* Told again by its session, it is no younger by its key. */
                if (!x->q->told || was->id != f->what.id)
                    x->q->forgotten = x->forgotten;
                x->q->told = true;
                x->q->told_by = w->engine_run;
                *was = f->what;
            }
        }
        deed(w, (enum world_deed)(DEED_TOLD_MADE + f->kind));
        facts_add(&w->told.told, *f);
    }
    w->told.pending.count = left;
}

/* ---- After a crash --------------------------------------------------------------------------- */

static bool
call_with(const struct kernel *k, const struct fact *f)
{
    struct call_view c;

    return kernel_call(k, f->what.id, &c) && c.worker == f->by && !c.ghost &&
           (f->kind != FACT_BEGUN || (c.started && c.attempt == f->number));
}

static bool
still(struct world *w, const struct kernel *before, const struct kernel *after,
      const struct fact *f)
{
    struct channel_view c;
    struct capability_view x;
    struct worker_view worker;
    struct obligation_view o0;
    struct obligation_view o1;
    bool inside = false;
    bool was = known(before, f->what, &inside);
    bool is;

    if (was && inside)
        return true; /* volatile */
    is = known(after, f->what, &inside);
    switch (f->kind) {
    case FACT_MADE:
        if (f->what.sort == ASUP_SORT_MESSAGE && !was &&
            !w->told.message_gone[f->what.id % IDS_MAX])
            return false; /* it vanished before */
        return !was || is;
    case FACT_ENDED:
        return !is;
    case FACT_FINISHED: /* but "/" opens anew with the keeper */
        return !is || f->what.id == ASUP_ROOT_ID || finished(after, f->what) == (int)f->number;
    case FACT_SEALED:
        return !kernel_channel(after, f->what.id, &c) || c.sealed;
    case FACT_REVOKED:
        return !kernel_capability(after, f->what.id, &x) || x.revoked;
    case FACT_OFFERED:
        return w->told.worker_turn[f->by % IDS_MAX] != f->turn ||
               !kernel_worker(before, f->by, &worker) ||
               region_is_volatile(before, worker.region) || kernel_worker(after, f->by, &worker);
    case FACT_TAKEN:
    case FACT_BEGUN:
        return w->told.call_turn[f->what.id % IDS_MAX] != f->turn || !call_with(before, f) ||
               call_with(after, f);
    case FACT_LEASED:
        return !kernel_obligation(before, f->what.id, &o0) ||
               (kernel_obligation(after, f->what.id, &o1) && o0.token == o1.token);
    default:
        return true;
    }
}

/* Revoked stays revoked, and all that was derived from it (R-CAP-4). */
static void
revoked_check(struct world *w, const struct kernel *k, uint64_t id)
{
    struct capability_view x;
    struct capability_view above;

    if (kernel_capability(k, id, &x) && !x.revoked && x.parent != 0 &&
        kernel_capability(k, x.parent, &above) && above.revoked)
        world_fail(w, "R-CAP-4: derived from what was revoked: x%llu", (unsigned long long)id);
}

void
told_check(struct world *w, const struct kernel *before, const struct kernel *after)
{
    char name[24];

    w->told.pending.count = 0;
    for (size_t i = 0; i < w->told.told.count; i++) {
        const struct fact *f = &w->told.told.items[i];

        if (!still(w, before, after, f))
            world_fail(w, "R-DUR-1: acknowledged, and lost: %s %s", fact_names[f->kind],
                       world_ref_name(f->what, name));
    }
    for (uint64_t id = 1; id <= kernel_id_last(after); id++) {
        struct message_view m;

        revoked_check(w, after, id);
        if (kernel_message(after, id, &m))
            w->told.message_gone[id % IDS_MAX] = false;
    }
}

void
told_fini(struct world *w)
{
    free(w->told.told.items);
    free(w->told.pending.items);
}
