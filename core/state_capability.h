/* SPDX-License-Identifier: MIT */
/*
 * The state of capabilities (R-CAP-1). Private to core/.
 *
 *     granted -> revoked -> forgotten
 *            \-> dead (with its region)
 *
 * Only derived ones have a record: what a user's own session may, and what a
 * task may with its own capability, follows from who they are (authority.c).
 * They form trees: a capability hangs under the one that it was derived from,
 * or that its deriver's task was made with, and goes with it when that is
 * revoked. A revoked one keeps its record, out of the tree, because its token
 * still tells who holds (R-CAP-4); the last of them are kept.
 *
 *     region --capabilities--> capability   (by id, the revoked too)
 *     capability --derived--> capability    (none of them revoked)
 */
#ifndef ASUPERSYNC_CORE_STATE_CAPABILITY_H
#define ASUPERSYNC_CORE_STATE_CAPABILITY_H

#include "core/arena.h"

struct capability {
    uint64_t id;
    uint64_t parent_id; /* 0: from what a session or task may by itself */
    uint64_t owner_id;
    asup_time granted_at;
    asup_time limit_at;
    uint64_t cost_ceiling;
    uint32_t owner_sort; /* enum asup_sort */
    uint32_t uid;
    uint32_t rights;
    uint32_t poll_ceiling;
    uint32_t region;
    uint32_t next, prev;                  /* in its region */
    uint32_t parent;                      /* NIL: none, or it is revoked */
    uint32_t derived_first, derived_last; /* from it */
    uint32_t sibling_next, sibling_prev;  /* derived from the same */
    uint32_t revoked_next, revoked_prev;  /* in order of revocation */
    uint8_t priority_ceiling;
    bool revoked;
    /* not state: */
    uint32_t wait_first; /* parked requests that show it */
};

enum { REVOKED_MAX = 4096 }; /* remembered */

struct capabilities {
    struct arena records;
    struct index ids;
    uint64_t id_next;
    uint32_t revoked_first, revoked_last, revoked;
};

#endif
