/* SPDX-License-Identifier: MIT */
/* What has ended stays answerable for its retention, bounded by count, then is
 * forgotten, oldest first (R-TSK-6). Never in the step in which it ended, so
 * that whoever is answered can still look. */
#include "core/decide.h"

asup_time
retention_next(const struct kernel *k)
{
    uint32_t link = k->retained_first;
    asup_time ended;

    if (link == NIL)
        return k->calls.result_bytes > k->config.limits.results_per_daemon && k->kept_first != NIL
                   ? k->now
                   : ASUP_NEVER;
    if (k->retained_count > k->config.limits.retained ||
        k->calls.result_bytes > k->config.limits.results_per_daemon)
        return k->now;
    ended = (link & 1) != 0 ? region_at(k, link >> 1)->closed_at : task_at(k, link >> 1)->kill_at;
    return time_add(ended, k->config.retention_ns);
}

void
retention_fire(struct kernel *k)
{
    saga_retention_fire(k);
    /* What is more comes next time. */
    for (unsigned most = RETENTION_MOST; most > 0 && retention_next(k) <= k->now; most--) {
        uint32_t link = k->retained_first;

        if (link == NIL) {
            if (!key_make_room(k))
                return;
        } else if ((link & 1) != 0)
            emit(k, event_of_region(EV_REGION_FORGOTTEN, k, link >> 1));
        else
            emit(k, event_of_task(EV_TASK_FORGOTTEN, k, link >> 1));
    }
}
