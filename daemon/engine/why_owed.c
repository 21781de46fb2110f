/* SPDX-License-Identifier: MIT */
/*
 * `why` along what is owed: an obligation waits for its holder, and a holder
 * whose request is parked waits for whoever holds what it wants (R-OBL-6).
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/bodies_owed.h"
#include "daemon/engine/why_parts.h"

/* Longer chains of waiting are cut; a circle is found well before. */
enum { WAITS_MAX = 12 };

static const char *
ended_state(const struct obligation_ended_view *e)
{
    return e->committed ? "committed" : e->leaked ? "leaked" : "aborted";
}

static void
ended_link(struct why *why, const struct obligation_ended_view *e)
{
    struct why_link *link = why_add_link(why);
    const char *how = e->expired         ? "its time ended"
                      : e->region_closed ? "the drain of its region ended"
                      : e->leaked        ? "its holder ended"
                                         : "its holder said so";

    link->ref = (struct asup_ref){.id = e->id, .sort = ASUP_SORT_OBLIGATION};
    link->kind = "obligation";
    link->state = ended_state(e);
    snprintf(link->name, sizeof link->name, "%s", obligation_kind_name(e->kind));
    link->age_ns = why->now - e->at;
    snprintf(link->note, sizeof link->note, "%s; %c%" PRIu64 " held it: %s", link->state,
             (char)e->holder.sort, e->holder.id, how);
    if (e->leaked)
        why_add_trouble(why, "ObligationLeak", link->ref,
                        "%c%" PRIu64 " ended without resolving it", (char)e->holder.sort,
                        e->holder.id);
}

/* One link for an obligation that is not resolved. */
static bool
obligation_link(struct why *why, uint64_t id, struct asup_ref *holder)
{
    struct obligation_view o;
    char left[24];

    if (!kernel_obligation(why->engine->kernel, id, &o) || !why_sees(why, o.uid))
        return false;
    struct why_link *link = why_add_link(why);
    link->ref = (struct asup_ref){.id = id, .sort = ASUP_SORT_OBLIGATION};
    link->kind = "obligation";
    link->state = "reserved";
    snprintf(link->name, sizeof link->name, "%s %.*s", obligation_kind_name(o.kind),
             (int)o.name.size, o.name.size ? (const char *)o.name.data : "");
    link->age_ns = why->now - o.at;
    link->left_ns = time_left(o.deadline, why->now);
    snprintf(link->note, sizeof link->note, "owed to r%" PRIu64 ", held by %c%" PRIu64 "%s%s",
             o.region, (char)o.holder.sort, o.holder.id,
             o.deadline == ASUP_NEVER ? "" : ", aborted in ",
             o.deadline == ASUP_NEVER ? "" : why_span(link->left_ns, left));
    *holder = o.holder;
    return true;
}

/* The trouble of a task that holds something and does not get on. */
static void
stuck_trouble(struct why *why, struct asup_ref holder, const struct holder_view *h)
{
    char since[24];

    if (h->stuck)
        why_add_trouble(why, "FuturelockViolation", holder,
                        "%c%" PRIu64 " holds %u obligation%s and made no progress for %s",
                        (char)holder.sort, holder.id, h->held, h->held == 1 ? "" : "s",
                        why_span(why->now - h->progress_at, since));
}

static void
task_link(struct why *why, uint64_t id)
{
    struct task_view t;

    if (!kernel_task(why->engine->kernel, id, &t))
        return;
    struct why_link *link = why_add_link(why);
    link->ref = (struct asup_ref){.id = id, .sort = ASUP_SORT_TASK};
    link->kind = t.finalizer ? "finalizer" : "task";
    link->state = task_state_name(t.state);
    link->pid = t.main_ended ? 0 : t.pid;
    struct bytes label = task_shown_label(why->engine->kernel, &t);
    snprintf(link->name, sizeof link->name, "%.*s", (int)label.size,
             label.size ? (const char *)label.data : "");
    link->age_ns = why->now - (t.started ? t.started_at : t.created_at);
    snprintf(link->note, sizeof link->note, "its request waits");
}

/* A request of the holder is parked: on what, on whom, and so on. */
static bool
follow_waits(struct why *why, struct asup_ref holder)
{
    const struct kernel *k = why->engine->kernel;
    struct asup_ref on;
    bool any = false;

    for (int n = 0; n < WAITS_MAX && kernel_waits_for(k, holder, &on); n++) {
        struct holder_view h;

        if (why_shown(why, on)) {
            why_add_trouble(why, "FuturelockViolation", on,
                            "a circle: %c%" PRIu64 " waits for %c%" PRIu64 ", which waits for it",
                            (char)holder.sort, holder.id, (char)on.sort, on.id);
            return true;
        }
        any = true;
        if (on.sort == ASUP_SORT_OBLIGATION && !obligation_link(why, on.id, &on))
            return any;
        if (on.sort == ASUP_SORT_SESSION) {
            why_session(why, on.id);
            return any;
        }
        if (on.sort != ASUP_SORT_TASK)
            return any;
        if (why_shown(why, on)) {
            why_add_trouble(why, "FuturelockViolation", on,
                            "a circle: each waits for what another of them holds");
            return any;
        }
        if (kernel_holder(k, on, &h))
            stuck_trouble(why, on, &h);
        holder = on;
        if (!kernel_waits_for(k, holder, &(struct asup_ref){0})) {
            why_follow_task(why, on.id);
            return any;
        }
        task_link(why, on.id);
    }
    return any;
}

bool
why_follow_holder(struct why *why, struct asup_ref holder)
{
    struct holder_view h;

    if (kernel_holder(why->engine->kernel, holder, &h))
        stuck_trouble(why, holder, &h);
    return follow_waits(why, holder);
}

void
why_follow_obligation(struct why *why, uint64_t id)
{
    struct asup_ref holder;

    if (!obligation_link(why, id, &holder))
        return;
    if (holder.sort == ASUP_SORT_TASK)
        why_follow_task(why, holder.id);
    else
        why_session(why, holder.id);
}

void
why_obligation(struct why *why, uint64_t id)
{
    struct obligation_ended_view ended;

    if (kernel_obligation_ended(why->engine->kernel, id, &ended))
        ended_link(why, &ended);
    else
        why_follow_obligation(why, id);
    why_summarize(why);
}

void
why_region_owed(struct why *why, const struct region_view *r)
{
    if (r->leaks)
        why_add_trouble(why, "ObligationLeak",
                        (struct asup_ref){.id = r->id, .sort = ASUP_SORT_REGION},
                        "%u obligation%s leaked: asupersyncctl events tells which, and whose",
                        r->leaks, r->leaks == 1 ? "" : "s");
}
