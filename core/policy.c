/* SPDX-License-Identifier: MIT */
/*
 * Policies: who decides a region, and what follows (R-POL-1, R-POL-2). What
 * counts is applied in apply_policy.c.
 *
 * A policy cancels only while its region is open or finishing. After a close
 * or cancel it still says what counts.
 */
#include "core/decide.h"

bool
policy_may_cancel(const struct region *r)
{
    if ((r->flags & (REGION_CANCELLED | REGION_DECIDED)) != 0 || r->state >= ASUP_REGION_FINALIZING)
        return false;
    return r->policy != ASUP_POLICY_COLLECT && r->policy != ASUP_POLICY_LAST;
}

/* Err(no-winner), Err(no-quorum) */
static struct kernel_outcome
verdict(const struct kernel *k, const struct region *r, const char *stage)
{
    struct kernel_outcome o = {
        .key = {.severity = ASUP_ERR, .at = k->now, .origin = r->id},
        .origin_sort = ASUP_SORT_REGION,
        .exit_code = -1,
    };

    for (size_t i = 0; stage[i] != '\0'; i++)
        o.stage[i] = stage[i];
    return o;
}

/* Failures of its own kind, and cancels that say the work could not be done. */
static bool
fails(const struct kernel *k, const struct region *r, const struct kernel_outcome *o)
{
    const struct reason *root;

    if (o->key.severity == ASUP_ERR || o->key.severity == ASUP_PANICKED)
        return true;
    if (o->key.severity != ASUP_CANCELLED || policy_rooted(k, r, o->reason))
        return false;
    root = reason_root(k, o->reason);
    if (root == NULL)
        return false;
    switch (root->kind) {
    case ASUP_CANCEL_TIMEOUT:
    case ASUP_CANCEL_DEADLINE:
    case ASUP_CANCEL_POLL_QUOTA:
    case ASUP_CANCEL_COST_BUDGET:
    case ASUP_CANCEL_RESOURCE_UNAVAILABLE:
        return true;
    default:
        return false;
    }
}

/* "t7 ended first": who decided stands in the reason, which is a root cause. */
static struct bytes
decider_text(struct kernel *k, uint8_t sort, uint64_t id, const char *did)
{
    size_t did_size = strlen(did);
    char *text = scratch_take(k, 24 + did_size);
    char digits[24];
    size_t count = 0;
    size_t size = 0;

    do {
        digits[count++] = (char)('0' + id % 10);
        id /= 10;
    } while (id > 0);
    text[size++] = (char)sort;
    while (count > 0)
        text[size++] = digits[--count];
    for (size_t i = 0; i < did_size; i++)
        text[size++] = did[i];
    return (struct bytes){text, size};
}

static void
decided(struct kernel *k, uint32_t region, uint8_t sort, uint64_t id,
        const struct kernel_outcome *o, bool won, uint8_t kind, const char *did)
{
    const struct region *r = region_at(k, region);
    struct decided_payload payload = {.won = won};
    struct event ev = event_of_region(EV_REGION_DECIDED, k, region);
    struct cancel c = {
        .kind = kind,
        .origin_sort = ASUP_SORT_REGION,
        .origin = r->id,
        .message = decider_text(k, sort, id, did),
        .drain_ns = ASUP_NEVER,
        .end_most = ASUP_NEVER,
    };

    ev.task = sort == ASUP_SORT_TASK ? id : 0;
    ev.value = sort == ASUP_SORT_REGION ? id : 0;
    ev.text = c.message;
    ev.outcome = o;
    ev.payload = &payload;
    ev.payload_size = sizeof payload;
    emit(k, ev);
    if (PLANTED(LOSER_DRAINED))
        waits_region(k, region);
    if ((r->flags & REGION_CANCELLED) == 0)
        cancel_region(k, region, &c);
}

/* A quorum that can no longer be reached is given up once admission is sealed,
 * unless the region is cancelled anyway. */
static void
quorum_impossible(struct kernel *k, uint32_t region)
{
    const struct region *r = region_at(k, region);
    struct kernel_outcome o;

    if (r->policy != ASUP_POLICY_QUORUM || !policy_may_cancel(r) ||
        (r->flags & REGION_SEALED) == 0 || r->participants == 0 || r->sagas_running > 0 ||
        (uint64_t)r->oks + r->tasks_live + r->children_live >= r->quorum)
        return;
    o = verdict(k, r, "no-quorum");
    decided(k, region, ASUP_SORT_REGION, r->id, &o, false, ASUP_CANCEL_FAIL_FAST,
            " cannot reach its quorum");
}

void
policy_sealed(struct kernel *k, uint32_t region)
{
    quorum_impossible(k, region);
}

void
policy_ended(struct kernel *k, uint32_t region, uint8_t sort, uint64_t id,
             const struct kernel_outcome *o, bool counted)
{
    const struct region *r = region_at(k, region);
    struct kernel_outcome first_ok;

    if ((r->flags & REGION_DECIDED) != 0)
        return;
    switch ((enum asup_policy)r->policy) {
    case ASUP_POLICY_COLLECT:
    case ASUP_POLICY_LAST:
        break;
    case ASUP_POLICY_FAIL_FAST:
        if (policy_may_cancel(r) && fails(k, r, o))
            decided(k, region, sort, id, o, false, ASUP_CANCEL_FAIL_FAST, " failed");
        break;
    case ASUP_POLICY_RACE:
        if (counted)
            decided(k, region, sort, id, o, true, ASUP_CANCEL_RACE_LOST, " ended first");
        break;
    case ASUP_POLICY_FIRST_OK:
        if (counted && o->key.severity == ASUP_OK)
            decided(k, region, sort, id, o, true, ASUP_CANCEL_RACE_LOST, " was the first ok");
        break;
    case ASUP_POLICY_QUORUM:
        if (r->oks >= r->quorum) {
            first_ok = r->ok;
            decided(k, region, sort, id, &first_ok, true, ASUP_CANCEL_RACE_LOST,
                    " made the quorum");
        } else {
            quorum_impossible(k, region);
        }
        break;
    }
}

/* What the region ends with (R-REG-7). */
struct kernel_outcome
policy_outcome(const struct kernel *k, const struct region *r)
{
    struct kernel_outcome o = {
        .key = {.severity = ASUP_OK, .at = k->now, .origin = r->id},
        .origin_sort = ASUP_SORT_REGION,
        .exit_code = -1,
    };
    struct kernel_outcome none = verdict(k, r, "no-winner");

    if (r->has_acc)
        o = r->acc;
    if ((r->flags & REGION_DECIDED) == 0) {
        bool races = r->policy == ASUP_POLICY_RACE || r->policy == ASUP_POLICY_FIRST_OK ||
                     r->policy == ASUP_POLICY_LAST || r->policy == ASUP_POLICY_QUORUM;

        if (r->policy == ASUP_POLICY_QUORUM && r->participants > 0)
            none = verdict(k, r, "no-quorum");
        else if (r->has_acc)
            races = false;
        if (races && (!r->has_acc || asup_outcome_worse(&none.key, &o.key)))
            o = none;
    }
    if (r->has_fin && asup_outcome_worse(&r->fin.key, &o.key))
        o = r->fin;
    return o;
}
