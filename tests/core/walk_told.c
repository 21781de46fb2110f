/* SPDX-License-Identifier: MIT */
/*
 * What was acknowledged in a walk with crashes (walk.h), and what must hold of it
 * afterwards (R-DUR-1).
 *
 * An answer becomes facts when it is decided; they wait, as it does, for the
 * journal; when it goes out they are told. What is told holds for ever: a kernel
 * that comes back must know it, and no later answer may contradict it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"

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

struct facts {
    struct fact *items;
    size_t count, capacity;
};
static struct facts told, pending;
uint64_t told_counts[FACT_KIND_COUNT];

/* Requests by their tokens; those to be sent again have been answered once. */
static struct asked {
    struct input in;
    struct asup_ref made;
    uint64_t forgotten; /* keys, until then */
    bool told;          /* and answered with that */
    bool again;         /* a client that had no answer, or lost it */
    bool remembers;     /* it must be answered as before */
} asked[TASKS_MAX];

/* How often a worker withdrew or was lost, and a call was given back: what was told of the time
 * before says nothing of the time after. */
static uint32_t worker_turn[TASKS_MAX], call_turn[TASKS_MAX];
static uint64_t keys_forgotten;
static bool message_gone[TASKS_MAX]; /* consumed or discarded, in the history of now */

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

static const char *
sort_name(struct asup_ref ref)
{
    static char text[32];

    (void)snprintf(text, sizeof text, "%c%llu", ref.sort, (unsigned long long)ref.id);
    return text;
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
    *inside = region != 0 && region_is_volatile(k, region);
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
fact_of(struct fact f, const struct effect *fx)
{
    bool inside;

    f.after = fx->after;
    f.turn =
        f.kind == FACT_OFFERED ? worker_turn[f.by % TASKS_MAX] : call_turn[f.what.id % TASKS_MAX];
    /* What is volatile is promised to nobody. */
    if (known(kernel, f.what, &inside) && inside)
        return;
    facts_add(&pending, f);
}

static void
calls_facts(const struct input *in, const struct effect *fx)
{
    struct call_view c;

    if (in->kind == IN_WORKER_NEXT) {
        for (uint32_t i = 0; i < fx->list_calls; i++)
            fact_of(
                (struct fact){.kind = FACT_TAKEN, .what = fx->list[i], .by = in->caller.session},
                fx);
        return;
    }
    for (uint32_t i = 0; i < in->u.start.count; i++) {
        struct asup_ref task = {.id = in->u.start.tasks[i], .sort = ASUP_SORT_TASK};

        if (in->u.start.codes[i] == 0 && kernel_call(kernel, task.id, &c))
            fact_of((struct fact){.kind = FACT_BEGUN,
                                  .what = task,
                                  .by = in->caller.session,
                                  .number = c.attempt},
                    fx);
    }
}

static void
lease_fact(const struct input *in, const struct effect *fx)
{
    struct fact f = {.kind = FACT_LEASED, .what = fx->made, .by = in->caller.session};
    struct obligation_view o;

    if (!kernel_obligation(kernel, fx->made.id, &o))
        return; /* told again, and over */
    f.region = o.region;
    f.number = o.token;
    memcpy(f.name, o.name.data, o.name.size < sizeof f.name ? o.name.size : sizeof f.name);
    fact_of(f, fx);
}

static void
answer_facts(const struct asked *a, const struct effect *fx)
{
    const struct input *in = &a->in;
    struct asup_ref owed = {.id = in->subject, .sort = ASUP_SORT_OBLIGATION};
    bool inside;

    /* What tells nothing new waits for nothing; the walk speaks of what it was not told yet. */
    if (fx->after != 0 && fx->made.id != 0 && known(kernel, fx->made, &inside))
        fact_of((struct fact){.kind = FACT_MADE, .what = fx->made}, fx);
    if (in->kind != IN_BATCH)
        fact_of((struct fact){.kind = FACT_ANSWERED, .what = fx->made, .number = fx->token}, fx);
    if (in->digest < 2)
        return; /* perhaps the answer to another request, which looked the same */
    switch (in->kind) {
    case IN_CHANNEL_ACK:
    case IN_DEAD_DISCARD:
        fact_of((struct fact){.kind = FACT_ENDED, .what = fx->made}, fx);
        if (in->kind == IN_CHANNEL_ACK)
            fact_of((struct fact){.kind = FACT_ENDED, .what = owed}, fx);
        break;
    case IN_CHANNEL_NACK:
    case IN_OBLIGATION_COMMIT:
    case IN_OBLIGATION_ABORT:
    case IN_LEASE_RELEASE:
        fact_of((struct fact){.kind = FACT_ENDED, .what = owed}, fx);
        break;
    case IN_CHANNEL_SEND:
        if (in->subject != 0)
            fact_of((struct fact){.kind = FACT_ENDED, .what = owed}, fx);
        break;
    case IN_CHANNEL_SEAL:
        fact_of((struct fact){.kind = FACT_SEALED, .what = fx->made}, fx);
        break;
    case IN_CX_REVOKE:
        fact_of((struct fact){.kind = FACT_REVOKED, .what = fx->made}, fx);
        break;
    case IN_LEASE_ACQUIRE:
        lease_fact(in, fx);
        break;
    case IN_WORKER_OFFER:
        fact_of((struct fact){.kind = FACT_OFFERED, .what = fx->made, .by = in->caller.session},
                fx);
        break;
    case IN_WORKER_NEXT:
    case IN_WORKER_START:
        calls_facts(in, fx);
        break;
    case IN_CALL_COMPLETE:
    case IN_WAIT:
        if (finished(kernel, fx->made) >= 0)
            fact_of((struct fact){.kind = FACT_FINISHED,
                                  .what = fx->made,
                                  .number = (uint64_t)finished(kernel, fx->made)},
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
remembered(const struct asked *a)
{
    const struct input *in = &a->in;
    struct asup_ref scope = {.id = in->region, .sort = ASUP_SORT_REGION};

    if (in->digest < 2)
        return false; /* it looks like others */
    if (in->key.size != 0)
        return a->forgotten == keys_forgotten && in->region != 0 &&
               kernel_key_known(kernel, in->caller.uid, scope, in->key);
    return in->caller.session != 0 && in->request != 0 && in->kind > IN_SESSION_BYE &&
           in->kind != IN_WAIT && in->kind != IN_WORKER_NEXT && in->kind != IN_WORKER_START &&
           in->kind != IN_CALL_COMPLETE;
}

void
told_ask(const struct input *in)
{
    struct asked *a = &asked[in->token % TASKS_MAX];

    if (in->token == 0)
        return;
    if (!a->again)
        memset(a, 0, sizeof *a);
    a->in = *in;
    a->remembers = a->told && remembered(a);
}

bool
told_again(struct input *in)
{
    uint64_t back = 1 + dice(dice(2) == 0 ? 6 : 60);
    struct asked *from;
    struct asked *to;

    if (back >= token)
        return false;
    from = &asked[(token - back) % TASKS_MAX];
    to = &asked[token % TASKS_MAX];
    if (from->in.token == 0 || from->in.kind == IN_BATCH || from->in.kind == IN_CONFIG)
        return false;
    *to = *from;
    to->again = true;
    to->in.token = token;
    *in = to->in;
    return true;
}

void
told_step(const struct input *in, const struct step *out)
{
    bool forgot = false;

    (void)in;
    for (size_t i = 0; i < out->event_count; i++) {
        const struct event *ev = &out->events[i];

        if (ev->kind == EV_WORKER_WITHDRAWN || ev->kind == EV_WORKER_LOST)
            worker_turn[ev->session % TASKS_MAX]++;
        if (ev->kind == EV_CALL_GIVEN_BACK || ev->kind == EV_CALL_RETRIED ||
            ev->kind == EV_TASK_RERUN)
            call_turn[ev->task % TASKS_MAX]++;
        forgot = forgot || ev->kind == EV_KEY_FORGOTTEN;
        keys_forgotten += ev->kind == EV_KEY_FORGOTTEN;
        if (ev->kind == EV_MESSAGE_CONSUMED || ev->kind == EV_MESSAGE_DISCARDED)
            message_gone[ev->subject % TASKS_MAX] = true;
        for (size_t n = 0; ev->kind == EV_MESSAGE_RECEIVED && n < told.count; n++) {
            if (told.items[n].kind == FACT_ENDED && told.items[n].what.sort == ASUP_SORT_MESSAGE &&
                told.items[n].what.id == ev->subject)
                walk_fail("consumed, and received again:", sort_name(told.items[n].what));
        }
    }
    for (size_t i = 0; i < out->effect_count; i++) {
        const struct effect *fx = &out->effects[i];
        struct asked *a = &asked[fx->token % TASKS_MAX];

        if (fx->kind != FX_REPLY || fx->code != 0 || a->in.token != fx->token)
            continue;
        if (a->remembers && !forgot && (fx->made.id != a->made.id || fx->made.sort != a->made.sort))
            walk_fail("R-IDM-1: asked again, and done again:", sort_name(fx->made));
        if (!a->told)
            a->forgotten = keys_forgotten;
        answer_facts(a, fx);
    }
}

/* ---- Telling ------------------------------------------------------------------------------- */

static void
tell_lease(const struct fact *f)
{
    struct obligation_view o;

    for (size_t i = 0; i < told.count; i++) {
        const struct fact *was = &told.items[i];

        if (was->kind != FACT_LEASED || was->region != f->region ||
            memcmp(was->name, f->name, sizeof f->name) != 0 || was->what.id == f->what.id)
            continue;
        if (was->number >= f->number)
            walk_fail("a token did not grow:", sort_name(f->what));
        if (kernel_obligation(kernel, was->what.id, &o) &&
            kernel_obligation(kernel, f->what.id, &o))
            walk_fail("two hold a lease:", sort_name(f->what));
    }
}

static void
tell_begun(const struct fact *f)
{
    for (size_t i = 0; i < told.count; i++) {
        const struct fact *was = &told.items[i];

        if (was->kind == FACT_BEGUN && was->what.id == f->what.id && was->number == f->number &&
            was->by != f->by)
            walk_fail("R-TSK-5: two workers run one attempt of", sort_name(f->what));
    }
}

void
told_tell(uint64_t committed)
{
    size_t left = 0;

    for (size_t i = 0; i < pending.count; i++) {
        const struct fact *f = &pending.items[i];

        if (f->after > committed) {
            pending.items[left++] = *f;
            continue;
        }
        if (f->kind == FACT_LEASED)
            tell_lease(f);
        if (f->kind == FACT_BEGUN)
            tell_begun(f);
        if (f->kind == FACT_ANSWERED) {
            asked[f->number % TASKS_MAX].told = true;
            asked[f->number % TASKS_MAX].made = f->what;
        }
        told_counts[f->kind]++;
        facts_add(&told, *f);
    }
    pending.count = left;
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
still(const struct kernel *before, const struct kernel *after, const struct fact *f)
{
    struct channel_view c;
    struct capability_view x;
    struct worker_view w;
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
        if (f->what.sort == ASUP_SORT_MESSAGE && !was && !message_gone[f->what.id % TASKS_MAX])
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
        return worker_turn[f->by % TASKS_MAX] != f->turn || !kernel_worker(before, f->by, &w) ||
               region_is_volatile(before, w.region) || kernel_worker(after, f->by, &w);
    case FACT_TAKEN:
    case FACT_BEGUN:
        return call_turn[f->what.id % TASKS_MAX] != f->turn || !call_with(before, f) ||
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
revoked_check(const struct kernel *k, uint64_t id)
{
    struct capability_view x;
    struct capability_view above;

    if (kernel_capability(k, id, &x) && !x.revoked && x.parent != 0 &&
        kernel_capability(k, x.parent, &above) && above.revoked)
        walk_fail("R-CAP-4: derived from what was revoked:",
                  sort_name((struct asup_ref){.id = id, .sort = ASUP_SORT_CAPABILITY}));
}

void
told_check(const struct kernel *before, const struct kernel *after)
{
    static char text[64];

    pending.count = 0;
    for (size_t i = 0; i < told.count; i++) {
        const struct fact *f = &told.items[i];

        if (still(before, after, f))
            continue;
        (void)snprintf(text, sizeof text, "%s %s", fact_names[f->kind], sort_name(f->what));
        walk_fail("R-DUR-1: acknowledged, and lost:", text);
    }
    for (uint64_t id = 1; id <= kernel_id_last(after); id++) {
        struct message_view m;

        revoked_check(after, id);
        if (kernel_message(after, id, &m))
            message_gone[id % TASKS_MAX] = false;
    }
}

void
told_begin(void)
{
    told.count = pending.count = 0;
    memset(asked, 0, sizeof asked);
    memset(message_gone, 0, sizeof message_gone);
}

void
told_end(void)
{
    free(told.items);
    free(pending.items);
    memset(&told, 0, sizeof told);
    memset(&pending, 0, sizeof pending);
}

void
told_print(void)
{
    printf("told:");
    for (unsigned i = 0; i < FACT_KIND_COUNT; i++)
        printf(" %llu %s%s", (unsigned long long)told_counts[i], fact_names[i],
               i + 1 < FACT_KIND_COUNT ? "," : "\n");
}
