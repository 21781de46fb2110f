/* SPDX-License-Identifier: MIT */
/* The queues of what may move on: tasks first, then regions, first in first
 * out, each at most once in its queue. Links are in the records, so a close of
 * any size needs no memory here and no recursion. */
#include "core/decide.h"

void
work_task(struct kernel *k, uint32_t i)
{
    struct task *t = task_at(k, i);

    if (t->work_queued)
        return;
    t->work_queued = true;
    t->work_next = NIL;
    if (k->work_tasks.last != NIL)
        task_at(k, k->work_tasks.last)->work_next = i;
    else
        k->work_tasks.first = i;
    k->work_tasks.last = i;
}

void
work_region(struct kernel *k, uint32_t i)
{
    struct region *r = region_at(k, i);

    if (r->work_queued)
        return;
    r->work_queued = true;
    r->work_next = NIL;
    if (k->work_regions.last != NIL)
        region_at(k, k->work_regions.last)->work_next = i;
    else
        k->work_regions.first = i;
    k->work_regions.last = i;
}

void
work_run(struct kernel *k)
{
    for (;;) {
        uint32_t i;

        if (k->work_tasks.first != NIL) {
            struct task *t = task_at(k, i = k->work_tasks.first);

            k->work_tasks.first = t->work_next;
            if (k->work_tasks.first == NIL)
                k->work_tasks.last = NIL;
            t->work_queued = false;
            task_advance(k, i);
        } else if (saga_work_run(k)) {
            /* and what it led to */
        } else if (channels_work(k)) {
            continue;
        } else if (k->work_regions.first != NIL) {
            struct region *r = region_at(k, i = k->work_regions.first);

            k->work_regions.first = r->work_next;
            if (k->work_regions.first == NIL)
                k->work_regions.last = NIL;
            r->work_queued = false;
            region_advance(k, i);
        } else {
            return;
        }
    }
}
