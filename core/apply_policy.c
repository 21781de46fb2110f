/* SPDX-License-Identifier: MIT */
/* What counts in a region (R-POL-1): applied whenever a participant is admitted
 * or ends. Who decides, and what follows, is in policy.c. */
#include "core/event.h"

void
policy_admit(struct kernel *k, struct region *r, uint8_t sort, uint64_t id)
{
    r->participants++;
    if (r->policy != ASUP_POLICY_LAST)
        return;
    /* The last one admitted counts, so what an earlier one said is void. */
    r->last_sort = sort;
    r->last_id = id;
    if (r->has_acc) {
        r->has_acc = 0;
        reason_release(k, r->acc.reason);
    }
}

bool
policy_rooted(const struct kernel *k, const struct region *r, uint32_t reason)
{
    const struct reason *root = reason_root(k, reason);

    return root != NULL && root->origin_sort == ASUP_SORT_REGION && root->origin == r->id &&
           (root->kind == ASUP_CANCEL_FAIL_FAST || root->kind == ASUP_CANCEL_RACE_LOST);
}

static void
count(struct kernel *k, struct region *r, const struct kernel_outcome *o)
{
    r->counted++;
    if (o->key.severity == ASUP_OK && r->policy == ASUP_POLICY_QUORUM) {
        r->oks++;
        outcome_combine(k, &r->ok, &r->has_ok, o);
    }
    outcome_combine(k, &r->acc, &r->has_acc, o);
}

void
policy_count(struct kernel *k, struct region *r, const struct kernel_outcome *o, uint8_t sort,
             uint64_t id, bool counted)
{
    if (!counted)
        return;
    if ((r->flags & REGION_WON) != 0) {
        if (o->key.severity == ASUP_PANICKED)
            count(k, r, o);
    } else if (r->policy == ASUP_POLICY_LAST) {
        if (sort == r->last_sort && id == r->last_id)
            count(k, r, o);
    } else if (o->key.severity != ASUP_CANCELLED || !policy_rooted(k, r, o->reason)) {
        count(k, r, o);
    }
}
