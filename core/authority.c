/* SPDX-License-Identifier: MIT */
/*
 * Who may what (R-CAP-1, R-CAP-2, R-CAP-4). A caller is one of three:
 *
 *   - it shows a derived capability: its region and below, its rights;
 *   - it shows a task's own: the task's region and below, every right but
 *     admin, within the capability that the task was made with;
 *   - it shows none: what its user may. That is all in its own regions, and for
 *     root and the daemon's owner everything, admin included.
 *
 * What a user may is bounded by its standing, which the daemon's policy gives
 * it and which comes with the request. It bounds what the user asks for by
 * itself, and by every capability that is its own: the ones that it derived and
 * those of tasks that it submitted. So no task and no capability is a way
 * around it, whenever they were made; what root gave to a task that it runs as
 * that user is root's to give. It does not bound root and the daemon's owner.
 *
 * Rights are looked at when a request is decided, and for a parked one again
 * when its turn comes. Who made a thing matters only to the third.
 */
#include "core/capability.h"

/* ---- Who ------------------------------------------------------------------------------- */

static bool
shows_none(const struct caller *c)
{
    return c->cx == 0 && c->task == 0;
}

bool
caller_is_root(const struct kernel *k, const struct caller *c)
{
    return shows_none(c) && (c->uid == 0 || c->uid == k->config.root_uid);
}

bool
caller_may(const struct kernel *k, const struct caller *c, uint32_t uid)
{
    return (shows_none(c) || PLANTED(NO_AMBIENT_AUTHORITY)) &&
           (c->uid == uid || caller_is_root(k, c));
}

static const struct standing unbounded;

/* The standing that counts. What is shown may be another user's: root's. */
static const struct standing *
standing_of(const struct kernel *k, const struct caller *c)
{
    uint32_t i;

    if (c->uid == 0 || c->uid == k->config.root_uid)
        return &unbounded;
    if (c->cx != 0) {
        i = capability_of_id(k, c->cx);
        return i == NIL || capability_at(k, i)->uid == c->uid ? &c->standing : &unbounded;
    }
    i = c->task == 0 ? NIL : task_of_id(k, c->task);
    return i == NIL || task_at(k, i)->uid == c->uid ? &c->standing : &unbounded;
}

/* What it gives beyond what everybody has; what is withheld is not granted. */
static uint32_t
standing_grants(const struct standing *s)
{
    return s->granted & ~s->withheld;
}

static const char *
withholds(uint32_t right)
{
    switch (right) {
#define RIGHT_WITHHELD(name, bit, wire)                                                            \
    case ASUP_RIGHT_##name:                                                                        \
        return "the daemon's policy does not give you the right \"" wire "\"";
        ASUP_RIGHT_LIST(RIGHT_WITHHELD)
#undef RIGHT_WITHHELD
    default:
        return "the daemon's policy does not give you that right";
    }
}

/* Whether the policy leaves a right, be it in that region; NIL: in none. */
static int
standing_check(const struct kernel *k, const struct standing *s, uint32_t region, uint32_t right,
               struct refusal *why)
{
    uint32_t top;

    if ((s->withheld & right) != 0)
        return REFUSE(why, ASUP_EDENIED, withholds(s->withheld & right));
    if (s->region == 0 || region == NIL)
        return 0;
    top = region_of_id(k, s->region);
    if (top == NIL || !region_within(k, region, top))
        return REFUSE(why, ASUP_EDENIED, "the daemon's policy gives you another region");
    return 0;
}

int
standing_allows(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t right,
                struct refusal *why)
{
    return standing_check(k, standing_of(k, c), region, right, why);
}

/* R-CAP-4: a user who is shut out gives back what it holds, and reports of its tasks go on. */
int
standing_shut(const struct kernel *k, const struct input *in, struct refusal *why)
{
    const struct standing *s = standing_of(k, &in->caller);

    if ((~s->withheld & ASUP_RIGHTS_TASK) != 0 || standing_grants(s) != 0 || !right_needed(in) ||
        in->kind == IN_TASK_CHECKPOINT || in->kind == IN_TASK_PROGRESS)
        return 0;
    return REFUSE(why, ASUP_EDENIED, "the daemon's policy gives you no rights");
}

struct asup_ref
caller_holder(const struct caller *c)
{
    if (c->actor != 0)
        return (struct asup_ref){.id = c->actor, .sort = ASUP_SORT_TASK};
    if (c->task != 0)
        return (struct asup_ref){.id = c->task, .sort = ASUP_SORT_TASK};
    if (c->session != 0)
        return (struct asup_ref){.id = c->session, .sort = ASUP_SORT_SESSION};
    return (struct asup_ref){0};
}

struct caller
caller_resolve(const struct kernel *k, const struct caller *c)
{
    struct caller resolved = *c;
    uint32_t i = capability_of_id(k, c->cx);
    const struct capability *x = i == NIL ? NULL : capability_at(k, i);
    uint32_t task;

    task = c->actor == 0 ? NIL : task_of_id(k, c->actor);
    if (c->actor != 0 && (task == NIL || !task_live(task_at(k, task))))
        resolved.actor = 0;
    if (c->cx == 0)
        return resolved;
    resolved.task = 0;
    if (x == NULL || x->owner_sort != ASUP_SORT_TASK)
        return resolved;
    task = task_of_id(k, x->owner_id);
    if (task != NIL && task_live(task_at(k, task)))
        resolved.task = x->owner_id;
    return resolved;
}

/* ---- What it shows ------------------------------------------------------------------------ */

static int
show_capability(const struct kernel *k, uint64_t id, struct authority *a, struct refusal *why)
{
    const struct capability *x;

    a->capability = capability_of_id(k, id);
    if (a->capability == NIL)
        return REFUSE(why, ASUP_EEXPIRED, "the capability died with its region");
    x = capability_at(k, a->capability);
    if (x->revoked)
        return REFUSE(why, ASUP_EREVOKED, "the capability was revoked");
    if (x->limit_at <= k->now)
        return REFUSE(why, ASUP_EEXPIRED, "the time of the capability is over");
    a->rights &= x->rights;
    return 0;
}

int
authority_of(const struct kernel *k, const struct caller *c, struct authority *a,
             struct refusal *why)
{
    const struct task *t;
    uint32_t i;

    *a = (struct authority){.top = NIL, .capability = NIL, .rights = ASUP_RIGHTS_ALL};
    if (c->cx != 0) {
        if (show_capability(k, c->cx, a, why) != 0)
            return why->code;
        a->top = capability_at(k, a->capability)->region;
        return 0;
    }
    if (c->task == 0)
        return 0;
    i = task_of_id(k, c->task);
    if (i == NIL || !task_live(task_at(k, i)))
        return REFUSE(why, ASUP_EEXPIRED, "the task whose capability it is has completed");
    t = task_at(k, i);
    a->rights = ASUP_RIGHTS_TASK;
    a->top = t->region;
    if (t->cx != 0 && show_capability(k, t->cx, a, why) != 0) {
        if (why->code == -ASUP_EREVOKED)
            why->detail = "the capability that the task was made with was revoked";
        return why->code;
    }
    return 0;
}

uint32_t
caller_rights(const struct kernel *k, const struct caller *c, uint32_t region, struct refusal *why)
{
    const struct standing *s = standing_of(k, c);
    struct authority a;

    why->code = 0;
    if (authority_of(k, c, &a, why) != 0 || standing_check(k, s, region, 0, why) != 0)
        return 0;
    if (a.top != NIL) {
        if (region_within(k, region, a.top))
            return a.rights & ~s->withheld;
        (void)REFUSE(why, ASUP_EDENIED, "the capability is for another region");
        return 0;
    }
    if (caller_is_root(k, c))
        return ASUP_RIGHTS_ALL;
    if (s->region != 0 || c->uid == region_at(k, region)->uid)
        return ASUP_RIGHTS_TASK & ~s->withheld;
    (void)REFUSE(why, ASUP_EDENIED, "the region belongs to another user");
    return 0;
}

static const char *
lacks(uint32_t right)
{
    switch (right) {
#define RIGHT_LACKS(name, bit, wire)                                                               \
    case ASUP_RIGHT_##name:                                                                        \
        return "the capability lacks the right \"" wire "\"";
        ASUP_RIGHT_LIST(RIGHT_LACKS)
#undef RIGHT_LACKS
    default:
        return "the capability lacks a right";
    }
}

int
authorize(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t right,
          struct refusal *why)
{
    const struct standing *s = standing_of(k, c);
    uint32_t rights = caller_rights(k, c, region, why);

    if (shows_none(c) && right == ASUP_RIGHT_ADMIN && (rights & right) == 0) {
        if ((standing_grants(s) & ASUP_RIGHT_ADMIN) != 0) {
            *why = (struct refusal){0};
            return 0;
        }
        return REFUSE(why, ASUP_EDENIED, "only root and the daemon's owner may do that");
    }
    if (why->code != 0)
        return why->code;
    if ((rights & right) == right)
        return 0;
    return REFUSE(why, ASUP_EDENIED, (s->withheld & right) != 0 ? withholds(right) : lacks(right));
}

int
authorize_open(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t right,
               struct refusal *why)
{
    if (region == k->root && shows_none(c))
        return standing_check(k, standing_of(k, c), region, right, why);
    return authorize(k, c, region, right, why);
}

int
authorize_kept(const struct kernel *k, const struct caller *c, uint32_t uid, uint32_t right,
               struct refusal *why)
{
    if (!caller_may(k, c, uid))
        return REFUSE(why, ASUP_EDENIED, "it belongs to another user");
    return standing_check(k, standing_of(k, c), NIL, right, why);
}

int
authorize_end(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t right,
              struct refusal *why)
{
    const struct standing *s = standing_of(k, c);
    struct refusal no_admin = {0};

    /* daemon.drain */
    if (region == k->root && authorize(k, c, region, ASUP_RIGHT_ADMIN, &no_admin) == 0)
        return 0;
    if (authorize(k, c, region, right, why) != 0)
        return why->code;
    if (s->region == region_at(k, region)->id && region_at(k, region)->uid != c->uid)
        return REFUSE(why, ASUP_EDENIED,
                      "the policy lets you work in that region, and only its user end it");
    return 0;
}

int
authorize_owned(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t uid,
                uint32_t right, struct refusal *why)
{
    if (caller_may(k, c, uid))
        return standing_check(k, standing_of(k, c), region, right, why);
    return authorize(k, c, region, right, why);
}

int
authorize_shown(const struct kernel *k, const struct input *in, struct refusal *why)
{
    struct authority a;

    if (standing_shut(k, in, why) != 0)
        return why->code;
    if (shows_none(&in->caller) || !right_needed(in))
        return 0;
    return authority_of(k, &in->caller, &a, why);
}

int
kernel_may(const struct kernel *k, const struct caller *c, uint64_t region, uint32_t uid,
           uint32_t right, const char **detail)
{
    struct refusal why = {0};
    struct caller caller = caller_resolve(k, c);
    struct authority a;
    uint32_t i = region == 0 ? NIL : region_of_id(k, region);

    if (authority_of(k, &caller, &a, &why) == 0) {
        if (i != NIL)
            (void)authorize_owned(k, &caller, i, uid, right, &why);
        else if (region != 0 && a.top != NIL)
            (void)REFUSE(&why, ASUP_EDENIED, "the capability is for another region");
        else if (region != 0)
            (void)authorize_kept(k, &caller, uid, right, &why);
        else if (standing_check(k, standing_of(k, &caller), NIL, right, &why) == 0 &&
                 a.top != NIL && (a.rights & right) != right)
            (void)REFUSE(&why, ASUP_EDENIED, lacks(right));
    }
    *detail = why.detail;
    return why.code;
}

uint64_t
kernel_caller_region(const struct kernel *k, const struct caller *c)
{
    struct refusal why = {0};
    struct authority a;

    if (authority_of(k, c, &a, &why) != 0 || a.top == NIL)
        return 0;
    return region_at(k, a.top)->id;
}

/* ---- What is made with it ------------------------------------------------------------------- */

/* The capability that what the caller makes hangs under; 0: none. */
uint64_t
caller_capability(const struct kernel *k, const struct caller *c)
{
    struct refusal why = {0};
    struct authority a;

    if (shows_none(c) || authority_of(k, c, &a, &why) != 0 || a.capability == NIL)
        return 0;
    return capability_at(k, a.capability)->id;
}

uint64_t
caller_timeout(const struct kernel *k, const struct caller *c, uint64_t asked_ns)
{
    const struct standing *s = standing_of(k, c);

    return s->timeout_ns == 0 ? asked_ns : min_u64(asked_ns, s->timeout_ns);
}

/* The budget that is asked for, within the ceilings of the policy. */
static struct asup_budget
standing_budget(const struct kernel *k, const struct caller *c, const struct budget_request *asked,
                asup_time from)
{
    const struct standing *s = standing_of(k, c);
    struct budget_request b = *asked;
    struct asup_budget budget;

    b.timeout_ns = caller_timeout(k, c, b.timeout_ns);
    if (s->cost != 0)
        b.cost_quota = min_u64(b.cost_quota, s->cost);
    if (s->polls != 0 && b.poll_quota > s->polls)
        b.poll_quota = s->polls;
    budget = budget_of(&b, from);
    return asup_budget_cap(&budget, s->priority);
}

/* R-BUD-1: ceilings are met into it, and cap its priority. */
struct asup_budget
caller_budget(const struct kernel *k, const struct caller *c, const struct budget_request *request,
              asup_time from)
{
    struct asup_budget asked = standing_budget(k, c, request, from);
    uint32_t i = capability_of_id(k, caller_capability(k, c));
    const struct capability *x = i == NIL ? NULL : capability_at(k, i);
    struct asup_budget ceiling = asup_budget_empty();

    if (x == NULL)
        return asked;
    if (x->limit_at != ASUP_NEVER) {
        ceiling.limit_at = x->limit_at;
        ceiling.limit_kind = ASUP_CANCEL_DEADLINE;
    }
    ceiling.poll_quota = x->poll_ceiling;
    ceiling.cost_quota = x->cost_ceiling;
    asked = asup_budget_meet(&asked, &ceiling);
    return asup_budget_cap(&asked, x->priority_ceiling);
}

void
standing_ceilings(const struct kernel *k, const struct caller *c, struct derive_params *p)
{
    const struct standing *s = standing_of(k, c);

    if (s->cost != 0)
        p->cost_ceiling = min_u64(p->cost_ceiling, s->cost);
    if (s->polls != 0 && p->poll_ceiling > s->polls)
        p->poll_ceiling = s->polls;
    if (s->priority != 0 && (p->priority_ceiling == 0 || p->priority_ceiling > s->priority))
        p->priority_ceiling = s->priority;
}

/* R-CAP-4: what needs no right, only being the holder, whatever became of the capability. */
bool
right_needed(const struct input *in)
{
    return in->kind != IN_OBLIGATION_ABORT && in->kind != IN_CHANNEL_NACK &&
           in->kind != IN_LEASE_RELEASE;
}
