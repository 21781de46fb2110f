/* SPDX-License-Identifier: MIT */
/*
 * no-ambient-authority (R-CAP-1 to R-CAP-4): what was done for a request was
 * done by right. For every request that is granted the right that it takes is
 * looked up in a table, and what its caller may is found anew: by the capability
 * that it shows, by the task whose own one it shows, or by its user. What is
 * derived is never more than what it comes from, and is gone with it.
 */
#include "lab/oracle_internal.h"

struct seen_capability {
    uint64_t id, parent, region;
    uint32_t uid, rights;
    asup_time limit_at;
    uint64_t cost_ceiling;
    uint32_t poll_ceiling;
};

/* What a request takes: a right in a region; who owns the thing may do without. */
struct claim {
    uint32_t right;  /* 0: none is needed, or it is not judged */
    uint64_t region; /* 0: the daemon as a whole */
    bool owned;      /* the owner of the thing needs no right */
    uint32_t owner;
    bool everybody;   /* "/" is: whoever shows nothing may */
    uint32_t instead; /* a right that does as well; 0: none */
};

struct seen_parked {
    uint64_t token;
    struct caller caller;
    struct claim claim;
};

static const struct seen_capability *
capability(const struct oracles *o, uint64_t id)
{
    return idmap_find(&o->capabilities, id);
}

/* ---- What a caller may ------------------------------------------------------------------ */

static bool
shows_none(const struct caller *c)
{
    return c->cx == 0 && c->task == 0;
}

static bool
is_root(const struct oracles *o, const struct caller *c)
{
    return shows_none(c) && (c->uid == 0 || c->uid == o->config.root_uid);
}

/* The capability that what the caller makes hangs under; 0: none. */
static uint64_t
capability_of(const struct oracles *o, const struct caller *c)
{
    const struct seen_task *t = c->cx == 0 ? model_task(&o->model, c->task) : NULL;

    return c->cx != 0 ? c->cx : t == NULL ? 0 : t->cx;
}

static uint32_t
rights_shown(const struct oracles *o, uint64_t id, asup_time now)
{
    const struct seen_capability *x = capability(o, id);

    return x == NULL || x->limit_at <= now ? 0 : x->rights;
}

/* What the policy leaves the user counts for all that is the user's own (R-CAP-2). */
static bool
is_bounded(const struct oracles *o, const struct caller *c)
{
    const struct seen_capability *x = capability(o, c->cx);
    const struct seen_task *t = model_task(&o->model, c->task);

    if (c->uid == 0 || c->uid == o->config.root_uid)
        return false;
    if (c->cx != 0)
        return x == NULL || x->uid == c->uid;
    return c->task == 0 || t == NULL || t->uid == c->uid;
}

static uint32_t
rights_unbounded(const struct oracles *o, const struct caller *c, uint64_t region, asup_time now)
{
    const struct seen_region *r = model_region(&o->model, region);
    const struct seen_task *t;
    uint32_t all;

    if (c->cx != 0) {
        const struct seen_capability *x = capability(o, c->cx);

        return x != NULL && model_within(&o->model, region, x->region) ? rights_shown(o, c->cx, now)
                                                                       : 0;
    }
    if (c->task != 0) {
        t = model_task(&o->model, c->task);
        if (t == NULL || t->state == ASUP_TASK_COMPLETED ||
            !model_within(&o->model, region, t->region))
            return 0;
        all = t->cx == 0 ? ASUP_RIGHTS_ALL : rights_shown(o, t->cx, now);
        return all & ASUP_RIGHTS_TASK;
    }
    if (is_root(o, c))
        return ASUP_RIGHTS_ALL;
    if (c->standing.region != 0)
        return ASUP_RIGHTS_TASK; /* in that region, whoever's it is */
    return r != NULL && c->uid == r->uid ? ASUP_RIGHTS_TASK : 0;
}

static uint32_t
rights(const struct oracles *o, const struct caller *c, uint64_t region, asup_time now)
{
    uint32_t all = rights_unbounded(o, c, region, now);

    if (!is_bounded(o, c))
        return all;
    if (c->standing.region != 0 && !model_within(&o->model, region, c->standing.region))
        all = 0;
    if (shows_none(c))
        all |= c->standing.granted;
    return all & ~c->standing.withheld;
}

static bool
may(const struct oracles *o, const struct caller *c, const struct claim *claim, asup_time now)
{
    uint32_t all = rights(o, c, claim->region, now);
    bool withheld = is_bounded(o, c) && (c->standing.withheld & claim->right) != 0;

    if (claim->everybody && shows_none(c) && !withheld)
        return true;
    if (claim->owned && shows_none(c) && !withheld && (c->uid == claim->owner || is_root(o, c)))
        return true;
    return (all & claim->right) == claim->right ||
           (claim->instead != 0 && (all & claim->instead) == claim->instead);
}

/* ---- What a request takes ------------------------------------------------------------------ */

static struct claim
in_region(uint32_t right, uint64_t region)
{
    return (struct claim){.right = right, .region = region};
}

static struct claim
in_open_root(uint32_t right, uint64_t region)
{
    return (struct claim){.right = right, .region = region, .everybody = region == ASUP_ROOT_ID};
}

static struct claim
of_task(const struct judged_step *s, uint32_t right, uint64_t task)
{
    struct task_view v;

    if (!kernel_task(s->k, task, &v))
        return (struct claim){0};
    return (struct claim){.right = right, .region = v.region, .owned = true, .owner = v.uid};
}

/* Who runs the daemon may end "/". */
static struct claim
of_end(const struct input *in)
{
    struct claim claim = in_region(
        in->u.end.mode == ASUP_END_CANCEL ? ASUP_RIGHT_CANCEL : ASUP_RIGHT_CLOSE, in->region);

    claim.instead = in->region == ASUP_ROOT_ID ? ASUP_RIGHT_ADMIN : 0;
    return claim;
}

/* A report is its own; only of another's does one need a right. */
static struct claim
of_report(const struct judged_step *s, const struct input *in)
{
    struct task_view v;

    if (!kernel_task(s->k, in->task, &v) || v.call || in->caller.task == in->task ||
        in->caller.cx != 0 || (shows_none(&in->caller) && in->caller.uid == v.run_uid))
        return (struct claim){0};
    return of_task(s, ASUP_RIGHT_CANCEL, in->task);
}

static struct claim
of_channel(const struct judged_step *s, uint64_t id)
{
    struct channel_view v;

    return in_region(ASUP_RIGHT_CHANNEL, kernel_channel(s->k, id, &v) ? v.region : 0);
}

static struct claim
of_obligation(const struct oracles *o, uint64_t id, bool send)
{
    static const uint32_t right_of[] = {
        [ASUP_OBLIGATION_SEND_PERMIT] = ASUP_RIGHT_CHANNEL,
        [ASUP_OBLIGATION_ACK] = ASUP_RIGHT_CHANNEL,
        [ASUP_OBLIGATION_LEASE] = ASUP_RIGHT_LEASE,
        [ASUP_OBLIGATION_IO_OP] = ASUP_RIGHT_IO,
    };
    const struct seen_obligation *b = model_obligation(&o->model, id);

    if (b == NULL)
        return (struct claim){0};
    return in_region(send ? ASUP_RIGHT_CHANNEL : right_of[b->kind], b->region);
}

static struct claim
of_saga(const struct judged_step *s, uint64_t id)
{
    struct saga_view v;

    if (!kernel_saga(s->k, id, &v))
        return (struct claim){0};
    return in_region(ASUP_RIGHT_SAGA, v.region);
}

static struct claim
of_wait(const struct judged_step *s, const struct input *in)
{
    struct region_view r;
    struct saga_view g;

    if (in->subject != 0) {
        if (!kernel_saga(s->k, in->subject, &g))
            return (struct claim){0};
        return (struct claim){
            .right = ASUP_RIGHT_OBSERVE, .region = g.region, .owned = true, .owner = g.uid};
    }
    if (!in->u.wait.on_region)
        return of_task(s, ASUP_RIGHT_OBSERVE, in->task);
    if (!kernel_region(s->k, in->region, &r))
        return (struct claim){0};
    return (struct claim){
        .right = ASUP_RIGHT_OBSERVE, .region = in->region, .owned = true, .owner = r.uid};
}

static struct claim
claim_of(const struct oracles *o, const struct judged_step *s, const struct input *in)
{
    switch (in->kind) {
    case IN_REGION_OPEN:
        return in_open_root(ASUP_RIGHT_SPAWN, in->region);
    case IN_TASK_SUBMIT:
    case IN_FINALIZER_DEFER:
        return in_region(ASUP_RIGHT_SPAWN, in->region);
    case IN_REGION_END:
        return of_end(in);
    case IN_TASK_CANCEL:
        return of_task(s, ASUP_RIGHT_CANCEL, in->task);
    case IN_TASK_CHECKPOINT:
    case IN_TASK_PROGRESS:
        return of_report(s, in);
    case IN_OBLIGATION_RESERVE:
        return in_region(ASUP_RIGHT_IO, in->region);
    case IN_OBLIGATION_COMMIT:
    case IN_LEASE_RENEW:
        return of_obligation(o, in->subject, false);
    case IN_CHANNEL_OPEN:
        return in_region(ASUP_RIGHT_CHANNEL, in->region);
    case IN_CHANNEL_SEAL:
    case IN_CHANNEL_RESERVE:
    case IN_CHANNEL_RECEIVE:
        return of_channel(s, in->subject);
    case IN_CHANNEL_SEND:
        return in->subject != 0 ? of_obligation(o, in->subject, true)
                                : of_channel(s, in->u.send.channel);
    case IN_LEASE_ACQUIRE:
        return in_region(ASUP_RIGHT_LEASE, in->region);
    case IN_WORKER_OFFER:
        return in_open_root(ASUP_RIGHT_SERVE, in->region);
    case IN_SAGA_BEGIN:
        return in_region(ASUP_RIGHT_SAGA, in->region);
    case IN_SAGA_STEP:
    case IN_SAGA_COMPLETE:
    case IN_SAGA_ABORT:
    case IN_SAGA_RESOLVE:
        return of_saga(s, in->subject);
    case IN_CX_DERIVE:
        return in_region(ASUP_RIGHT_DELEGATE, in->region);
    case IN_WAIT:
        return of_wait(s, in);
    case IN_SHUTDOWN:
        return in_region(ASUP_RIGHT_ADMIN, ASUP_ROOT_ID);
    default:
        return (struct claim){0};
    }
}

/* ---- Granted -----------------------------------------------------------------------------------
 */

static void
granted(struct oracles *o, const struct judged_step *s, const struct caller *c,
        const struct claim *claim, const char *what)
{
    /* Of a region that is closed nothing is left here but its outcome. */
    if (claim->right == 0 || model_region(&o->model, claim->region) == NULL)
        return;
    judge(o, ASUP_ORACLE_NO_AMBIENT_AUTHORITY);
    if (!may(o, c, claim, s->now))
        complain(o, ASUP_ORACLE_NO_AMBIENT_AUTHORITY, NULL,
                 "R-CAP-1: %s is granted at %llu ns, which takes right %#x in r%llu: user %u, "
                 "session s%llu, task t%llu, capability x%llu has it not",
                 what, (unsigned long long)s->now, claim->right, (unsigned long long)claim->region,
                 c->uid, (unsigned long long)c->session, (unsigned long long)c->task,
                 (unsigned long long)c->cx);
}

static void
granted_batch(struct oracles *o, const struct judged_step *s)
{
    for (uint32_t n = 0; n < s->in->u.batch.count; n++) {
        struct input item = s->in->u.batch.items[n];
        struct claim claim;

        item.caller.session = s->in->caller.session;
        item.caller.uid = s->in->caller.uid;
        claim = claim_of(o, s, &item);
        granted(o, s, &item.caller, &claim, "an item of a batch");
    }
}

/* Those whose turn came in this step. */
static void
granted_parked(struct oracles *o, const struct judged_step *s)
{
    for (size_t i = 0; i < s->out->effect_count && o->parked.count > 0; i++) {
        const struct effect *fx = &s->out->effects[i];
        const struct seen_parked *p =
            fx->kind == FX_REPLY ? idmap_find(&o->parked, fx->token) : NULL;

        if (p == NULL)
            continue;
        if (fx->code == 0)
            granted(o, s, &p->caller, &p->claim, "a request that waited");
        idmap_drop(&o->parked, fx->token);
    }
}

static void
park(struct oracles *o, const struct judged_step *s, const struct claim *claim)
{
    struct seen_parked *p;

    switch (s->in->kind) {
    case IN_LEASE_ACQUIRE:
    case IN_CHANNEL_RESERVE:
    case IN_CHANNEL_RECEIVE:
        p = idmap_add(&o->parked, s->in->token);
        p->caller = s->in->caller;
        p->claim = *claim;
        break;
    default:
        break;
    }
}

static void
authority_before(struct oracles *o, const struct judged_step *s)
{
    const struct input *in = s->in;
    struct claim claim;

    o->capabilities.item_size = sizeof(struct seen_capability);
    o->parked.item_size = sizeof(struct seen_parked);
    granted_parked(o, s);
    if (in == NULL)
        return;
    if (in->kind == IN_WAIT_DROPPED)
        idmap_drop(&o->parked, in->token);
    if (in->kind <= IN_SESSION_BYE || in->kind > IN_BATCH || in->token == 0)
        return;
    claim = claim_of(o, s, in);
    if (s->reply == NULL)
        park(o, s, &claim);
    else if (in->kind == IN_WAIT ? s->reply->code != 0 : !answered_now(s))
        return;
    else if (in->kind == IN_BATCH)
        granted_batch(o, s);
    else
        granted(o, s, &in->caller, &claim, "a request");
}

/* ---- Capabilities
 * --------------------------------------------------------------------------------- */

static void
attenuated(struct oracles *o, const struct event *ev, bool fine, const char *promise)
{
    judge(o, ASUP_ORACLE_NO_AMBIENT_AUTHORITY);
    if (!fine)
        complain(o, ASUP_ORACLE_NO_AMBIENT_AUTHORITY, ev, "%s", promise);
}

static void
learn_one(struct oracles *o, const struct kernel *k, uint64_t id)
{
    struct capability_view v;
    struct seen_capability *x;

    if (!kernel_capability(k, id, &v) || v.revoked)
        return;
    x = idmap_add(&o->capabilities, id);
    x->parent = v.parent;
    x->region = v.region;
    x->uid = v.uid;
    x->rights = v.rights;
    x->limit_at = v.limit_at;
    x->cost_ceiling = v.cost_ceiling;
    x->poll_ceiling = v.poll_ceiling;
}

static void
derived(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    const struct seen_capability *x;
    const struct seen_capability *from;

    learn_one(o, s->k, ev->subject);
    x = capability(o, ev->subject);
    if (x == NULL || s->in == NULL || s->in->kind != IN_CX_DERIVE)
        return;
    attenuated(o, ev, (x->rights & ~rights(o, &s->in->caller, ev->region, s->now)) == 0,
               "R-CAP-1: what is derived has no right that its deriver lacks");
    from = capability(o, capability_of(o, &s->in->caller));
    if (from == NULL)
        return;
    attenuated(o, ev, x->parent == from->id, "R-CAP-1: it hangs under what it was derived from");
    attenuated(o, ev, model_within(&o->model, x->region, from->region),
               "R-CAP-1: it is for the same region, or one below");
    attenuated(o, ev,
               x->limit_at <= from->limit_at && x->cost_ceiling <= from->cost_ceiling &&
                   x->poll_ceiling <= from->poll_ceiling,
               "R-CAP-1: its ceilings are no higher");
}

/* What it is made with bounds a task, too. Of an item of a batch it is not known which one it
 * was. */
static void
made_with(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    struct seen_task *t = model_task(&o->model, ev->task);
    struct task_view v;

    if (t != NULL && s->in != NULL && s->in->kind != IN_BATCH && s->in->token != 0)
        t->cx = capability_of(o, &s->in->caller);
    if (kernel_task(s->k, ev->task, &v))
        attenuated(o, ev, v.run_uid == v.uid || v.uid == 0,
                   "R-CAP-3: only root may name another user to run as");
}

static void
authority_event(struct oracles *o, const struct judged_step *s, const struct event *ev)
{
    switch (ev->kind) {
    case EV_CAPABILITY_GRANTED:
        derived(o, s, ev);
        break;
    case EV_CAPABILITY_REVOKED:
    case EV_CAPABILITY_DEAD:
        idmap_drop(&o->capabilities, ev->subject);
        break;
    default:
        break;
    }
}

/* R-CAP-1: all that hung under it is revoked with it. */
static void
revoked_after(struct oracles *o, const struct event *ev)
{
    const struct seen_capability *x;
    size_t cursor = 0;

    judge(o, ASUP_ORACLE_NO_AMBIENT_AUTHORITY);
    while ((x = idmap_next(&o->capabilities, &cursor)) != NULL) {
        if (x->parent == ev->subject)
            complain(o, ASUP_ORACLE_NO_AMBIENT_AUTHORITY, ev,
                     "R-CAP-1: x%llu is revoked, and x%llu that was derived from it is not",
                     (unsigned long long)ev->subject, (unsigned long long)x->id);
    }
}

static void
authority_after(struct oracles *o, const struct judged_step *s)
{
    for (size_t i = 0; i < s->out->event_count; i++) {
        const struct event *ev = &s->out->events[i];

        if (ev->kind == EV_CAPABILITY_REVOKED)
            revoked_after(o, ev);
        else if (ev->kind == EV_TASK_CREATED || ev->kind == EV_FINALIZER_REGISTERED)
            made_with(o, s, ev);
    }
}

static void
authority_learn(struct oracles *o, const struct kernel *k)
{
    const struct seen_region *r;
    size_t cursor = 0;

    o->capabilities.item_size = sizeof(struct seen_capability);
    o->parked.item_size = sizeof(struct seen_parked);
    idmap_clear(&o->capabilities);
    idmap_clear(&o->parked);
    while ((r = idmap_next(&o->model.regions, &cursor)) != NULL) {
        uint64_t id = 0;

        while ((id = kernel_capability_next(k, r->id, id)) != 0)
            learn_one(o, k, id);
    }
}

static void
authority_fini(struct oracles *o)
{
    idmap_fini(&o->capabilities);
    idmap_fini(&o->parked);
}

const struct oracle_family oracle_authority = {
    .learn = authority_learn,
    .before = authority_before,
    .event = authority_event,
    .after = authority_after,
    .fini = authority_fini,
};
