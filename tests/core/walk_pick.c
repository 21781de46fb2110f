/* SPDX-License-Identifier: MIT */
/* What the requests and facts of the random walk are about: mostly what lives. */
#include "walk.h"

uint64_t
any_id(void)
{
    uint64_t last = kernel_id_last(kernel);

    switch (dice(12)) {
    case 0:
        return 0;
    case 1:
        return last + 1 + dice(3);
    default:
        /* mostly a late one, which lives */
        return last <= 8 || dice(3) == 0 ? 1 + dice((uint32_t)last) : last - dice(8);
    }
}

/* Down the tree from "/", and stop somewhere. */
uint64_t
live_region(void)
{
    uint64_t at = ASUP_ROOT_ID;
    struct region_view r;

    while (kernel_region(kernel, at, &r) && r.child_first != 0 && dice(4) != 0) {
        at = r.child_first;
        for (uint32_t n = dice(5); n > 0 && kernel_region(kernel, at, &r); n--)
            at = r.sibling_next != 0 ? r.sibling_next : at;
    }
    return at;
}

/* One that admits, if there is any. */
uint64_t
open_region(void)
{
    struct region_view r;
    uint64_t id = 0;

    for (int tries = 0; tries < 12; tries++) {
        id = live_region();
        if (id != ASUP_ROOT_ID && kernel_region(kernel, id, &r) && r.state == ASUP_REGION_OPEN)
            break;
    }
    return id;
}

uint64_t
live_task(void)
{
    struct region_view r;
    struct task_view t;
    uint64_t id = 0;

    for (int tries = 0; tries < 6 && id == 0; tries++) {
        if (kernel_region(kernel, live_region(), &r))
            id = r.task_first;
    }
    for (uint32_t n = dice(4); n > 0 && kernel_task(kernel, id, &t) && t.next != 0; n--)
        id = t.next;
    return id;
}

/* One of those that regions own. */
uint64_t
owned(uint64_t (*next)(const struct kernel *, uint64_t region, uint64_t after))
{
    for (int tries = 0; tries < 8; tries++) {
        uint64_t region = live_region();
        uint64_t id = next(kernel, region, 0);

        for (uint32_t n = dice(3); n > 0 && id != 0; n--) {
            uint64_t more = next(kernel, region, id);

            id = more != 0 ? more : id;
        }
        if (id != 0)
            return id;
    }
    return 0;
}

/* Mostly one that lives. */
uint64_t
any_session(void)
{
    uint64_t id = 0;

    for (uint32_t n = 1 + dice(6); n > 0; n--)
        id = kernel_session_next(kernel, id);
    if (id == 0)
        id = kernel_session_next(kernel, 0);
    return id == 0 || dice(12) == 0 ? any_id() : id;
}

uint64_t
any_duration(void)
{
    static const uint64_t some[] = {
        ASUP_NEVER,    ASUP_NEVER,        ASUP_NEVER,    0, 1, ASUP_NS_PER_MS,
        ASUP_NS_PER_S, 5 * ASUP_NS_PER_S, ASUP_NEVER - 1};

    return some[dice(sizeof some / sizeof some[0])];
}
