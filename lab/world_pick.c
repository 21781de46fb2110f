/* SPDX-License-Identifier: MIT */
/* What the requests of rude clients are about: mostly what lives. */
#include "lab/world_state.h"

uint64_t
any_id(struct world *w)
{
    uint64_t last = kernel_id_last(w->kernel);

    switch (dice(w, 12)) {
    case 0:
        return 0;
    case 1:
        return last + 1 + dice(w, 3);
    default:
        /* mostly a late one, which lives */
        return last <= 8 || dice(w, 3) == 0 ? 1 + dice(w, (uint32_t)last) : last - dice(w, 8);
    }
}

/* Down the tree from "/", and stop somewhere. */
uint64_t
live_region(struct world *w)
{
    uint64_t at = ASUP_ROOT_ID;
    struct region_view r;

    while (kernel_region(w->kernel, at, &r) && r.child_first != 0 && dice(w, 4) != 0) {
        at = r.child_first;
        for (uint32_t n = dice(w, 5); n > 0 && kernel_region(w->kernel, at, &r); n--)
            at = r.sibling_next != 0 ? r.sibling_next : at;
    }
    return at;
}

/* One that admits, if there is any. */
uint64_t
open_region(struct world *w)
{
    struct region_view r;
    uint64_t id = 0;

    for (int tries = 0; tries < 12; tries++) {
        id = live_region(w);
        if (id != ASUP_ROOT_ID && kernel_region(w->kernel, id, &r) && r.state == ASUP_REGION_OPEN)
            break;
    }
    return id;
}

uint64_t
live_task(struct world *w)
{
    struct region_view r;
    struct task_view t;
    uint64_t id = 0;

    for (int tries = 0; tries < 6 && id == 0; tries++) {
        if (kernel_region(w->kernel, live_region(w), &r))
            id = r.task_first;
    }
    for (uint32_t n = dice(w, 4); n > 0 && kernel_task(w->kernel, id, &t) && t.next != 0; n--)
        id = t.next;
    return id;
}

/* One of those that regions own. */
uint64_t
owned(struct world *w, uint64_t (*next)(const struct kernel *, uint64_t region, uint64_t after))
{
    for (int tries = 0; tries < 8; tries++) {
        uint64_t region = live_region(w);
        uint64_t id = next(w->kernel, region, 0);

        for (uint32_t n = dice(w, 3); n > 0 && id != 0; n--) {
            uint64_t more = next(w->kernel, region, id);

            id = more != 0 ? more : id;
        }
        if (id != 0)
            return id;
    }
    return 0;
}

/* Mostly one that lives. */
uint64_t
any_session(struct world *w)
{
    uint64_t id = 0;

    for (uint32_t n = 1 + dice(w, 6); n > 0; n--)
        id = kernel_session_next(w->kernel, id);
    if (id == 0)
        id = kernel_session_next(w->kernel, 0);
    return id == 0 || dice(w, 12) == 0 ? any_id(w) : id;
}

uint64_t
any_duration(struct world *w)
{
    static const uint64_t some[] = {
        ASUP_NEVER,    ASUP_NEVER,        ASUP_NEVER,    0, 1, ASUP_NS_PER_MS,
        ASUP_NS_PER_S, 5 * ASUP_NS_PER_S, ASUP_NEVER - 1};

    return some[dice(w, sizeof some / sizeof some[0])];
}
