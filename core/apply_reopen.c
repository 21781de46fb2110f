/* SPDX-License-Identifier: MIT */
/* The root region opens again: a daemon that starts anew on the journal of one
 * that was shut down, cleanly or half way, is there to be used. What is left
 * below it goes on ending (R-SAG-4). */
#include "core/decide.h"

static void
forget_outcome(struct kernel *k, struct kernel_outcome *o, uint8_t *has)
{
    if (*has)
        reason_release(k, o->reason);
    *has = 0;
}

void
apply_reopened(struct kernel *k, const struct event *ev)
{
    struct region *r = region_at(k, k->root);

    if (!region_live(r))
        index_add(&k->names, &k->allocator, k->root);
    forget_outcome(k, &r->acc, &r->has_acc);
    forget_outcome(k, &r->fin, &r->has_fin);
    forget_outcome(k, &r->ok, &r->has_ok);
    reason_release(k, r->reason);
    k->regions_in[r->state]--;
    k->regions_in[ASUP_REGION_OPEN]++;
    r->state = ASUP_REGION_OPEN;
    r->reason = 0;
    r->flags &= REGION_USED;
    r->opened_at = ev->at;
    r->closed_at = 0;
    r->drain_end = r->drain_pass = r->close_by = r->sweep_at = ASUP_NEVER;
    r->cleanup_ns = 0;
    r->sweep_error = 0;
    r->sweep_attempts = 0;
    r->counted = r->oks = 0;
    r->participants = r->tasks_live + r->children_live;
    k->hurry = false;
    region_rearm(k, k->root);
}
