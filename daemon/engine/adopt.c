/* SPDX-License-Identifier: MIT */
#include "daemon/engine/adopt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/notify.h"
#include "daemon/engine/report.h"
#include "daemon/engine/shutdown.h"

/* A keeper that says nothing for so long is none. */
#define TABLE_PATIENCE_MS 30000

struct adopted_row {
    struct link_row row;
    int log_fd; /* -1: none came */
};

struct adopted {
    struct adopted_row *rows;
    size_t row_count, row_room;
    uint64_t *regions;
    size_t region_count, region_room;
    uint32_t shutdown_count; /* that the engine before was told */
};

/* ---- The table ---------------------------------------------------------------------- */

static bool
make_room(void **items, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 64;
    void *grown = realloc(*items, more * size);
    if (!grown) {
        report(REPORT_ERROR, "no memory for what the keeper has");
        return false;
    }
    *items = grown;
    *room = more;
    return true;
}

static bool
take(struct adopted *a, const struct link_message *m, int fd)
{
    if (m->kind == LINK_ROW) {
        if (!make_room((void **)&a->rows, &a->row_room, a->row_count, sizeof *a->rows))
            return false;
        a->rows[a->row_count++] = (struct adopted_row){.row = m->u.row, .log_fd = fd};
        return true;
    }
    if (fd >= 0)
        close(fd);
    if (m->kind == LINK_SHUTDOWN)
        a->shutdown_count = m->u.shutdown.count;
    if (m->kind != LINK_REGION)
        return true;
    if (!make_room((void **)&a->regions, &a->region_room, a->region_count, sizeof *a->regions))
        return false;
    a->regions[a->region_count++] = m->u.region.region;
    return true;
}

bool
adopt_read(struct engine *e)
{
    struct link_message m;
    int fd;

    e->adopted = calloc(1, sizeof *e->adopted);
    if (!e->adopted)
        return false;
    do {
        int rc = keeper_receive(e, TABLE_PATIENCE_MS, &m, &fd);
        if (rc != 0) {
            report(REPORT_ERROR, "the keeper did not say what it has: %s", strerror(-rc));
            return false;
        }
        if (!take(e->adopted, &m, fd))
            return false;
        keeper_alive(e);
    } while (m.kind != LINK_TABLE_END);
    e->table_complete = true;
    return true;
}

/* ---- Rows ---------------------------------------------------------------------------- */

static void
adopt_live(struct engine *e, const struct task_view *task, const struct adopted_row *r)
{
    char path[128];
    int rc = 0;

    if (!keeper_expect(e, task->id)) {
        /* Its end would never be known. */
        report(REPORT_ERROR, "no memory for t%" PRIu64 ": the engine starts anew", task->id);
        abort();
    }
    if (task->notify && !(r->row.facts & ROW_EXITED))
        rc = notify_open(e, task, path, sizeof path);
    if (rc)
        report(REPORT_WARNING, "the notify socket of t%" PRIu64 " cannot be made again: %s",
               task->id, strerror(-rc));
    keeper_take_row(e, &r->row, r->log_fd);
}

static void
adopt_completed(struct engine *e, const struct adopted_row *r)
{
    /* What it wrote last may still be in the pipe. */
    if (r->log_fd >= 0)
        logs_add(e->logs, r->row.task, r->log_fd);
    keeper_say_task(e, LINK_FORGET, r->row.task);
}

/* The next region in the order of the tree, 0 at its end. */
static uint64_t
next_region(const struct engine *e, uint64_t id)
{
    struct region_view r;

    if (!kernel_region(e->kernel, id, &r))
        return 0;
    if (r.child_first)
        return r.child_first;
    while (!r.sibling_next)
        if (!r.parent || !kernel_region(e->kernel, r.parent, &r))
            return 0;
    return r.sibling_next;
}

/* Facts about tasks change the tree: the lost ones are listed first. */
struct lost_tasks {
    uint64_t *items;
    size_t count, room;
};

static void
lose_unknown(struct lost_tasks *lost, const struct engine *e, const struct task_view *t)
{
    if (!t->started || t->call || keeper_expects(e, t->id))
        return;
    if (!make_room((void **)&lost->items, &lost->room, lost->count, sizeof *lost->items))
        abort(); /* the engine starts anew */
    lost->items[lost->count++] = t->id;
}

static void
tell_lost(struct engine *e)
{
    struct lost_tasks lost = {0};
    struct region_view r;
    struct task_view t;

    for (uint64_t id = ASUP_ROOT_ID; id; id = next_region(e, id)) {
        if (!kernel_region(e->kernel, id, &r))
            break;
        for (uint64_t task = r.task_first; task && kernel_task(e->kernel, task, &t); task = t.next)
            lose_unknown(&lost, e, &t);
        for (struct asup_ref at = {0}; running_cleanup(e->kernel, &r, &at, &t);)
            lose_unknown(&lost, e, &t);
    }
    for (size_t i = 0; i < lost.count; i++) {
        report(REPORT_WARNING, "the keeper knows nothing of t%" PRIu64, lost.items[i]);
        engine_feed(e, &(struct input){.kind = IN_TASK_LOST, .task = lost.items[i]});
        engine_settle(e);
    }
    free(lost.items);
}

/* ---- Output --------------------------------------------------------------------------- */

struct known_logs {
    struct logs_known *items;
    size_t count, room;
};

static void
know(struct known_logs *known, const struct engine *e, uint64_t task)
{
    struct task_view t;

    if (!kernel_task(e->kernel, task, &t))
        return;
    if (!make_room((void **)&known->items, &known->room, known->count, sizeof *known->items))
        abort(); /* the engine starts anew: nobody's output is removed for that */
    known->items[known->count++] = (struct logs_known){.task = task, .lost = t.log_lost};
}

static int
by_task(const void *a, const void *b)
{
    const struct logs_known *left = a;
    const struct logs_known *right = b;

    return (left->task > right->task) - (left->task < right->task);
}

static void
adopt_logs(struct engine *e)
{
    struct known_logs known = {0};
    struct region_view r;
    struct task_view t;
    struct asup_ref ref;

    for (uint64_t cursor = 0; (cursor = kernel_retained_next(e->kernel, cursor, &ref)) != 0;)
        if (ref.sort == ASUP_SORT_TASK)
            know(&known, e, ref.id);
    for (uint64_t id = ASUP_ROOT_ID; id; id = next_region(e, id)) {
        if (!kernel_region(e->kernel, id, &r))
            break;
        for (uint64_t task = r.task_first; task && kernel_task(e->kernel, task, &t); task = t.next)
            know(&known, e, task);
        for (uint64_t task = r.finalizer_top; task && kernel_task(e->kernel, task, &t);
             task = t.next)
            know(&known, e, task);
        for (struct asup_ref at = {0}; running_cleanup(e->kernel, &r, &at, &t);) {
            if (at.sort == ASUP_SORT_SAGA)
                know(&known, e, t.id);
        }
    }
    if (known.count)
        qsort(known.items, known.count, sizeof *known.items, by_task);
    logs_resume(e->logs, known.items, known.count);
}

/* ---- All of it ------------------------------------------------------------------------ */

void
adopt_rows(struct engine *e, bool same_keeper)
{
    struct adopted *a = e->adopted;
    struct task_view task;

    adopt_logs(e);
    for (size_t i = 0; i < a->row_count; i++) {
        const struct adopted_row *r = &a->rows[i];
        if (!kernel_task(e->kernel, r->row.task, &task))
            keeper_take_row(e, &r->row, r->log_fd);
        else if (task.state == ASUP_TASK_COMPLETED)
            adopt_completed(e, r);
        else
            adopt_live(e, &task, r);
        engine_settle(e);
        keeper_alive(e);
    }
    free(a->rows);
    a->rows = NULL;
    a->row_count = 0;
    if (same_keeper)
        tell_lost(e);
}

/* ---- Regions -------------------------------------------------------------------------- */

void
adopt_regions(struct engine *e)
{
    struct adopted *a = e->adopted;
    struct region_view r;

    shutdown_resume(e, a->shutdown_count);
    for (size_t i = 0; i < a->region_count; i++) {
        struct link_message m = {.kind = LINK_SWEEP};
        if (kernel_region(e->kernel, a->regions[i], &r) && r.state != ASUP_REGION_CLOSED)
            continue;
        m.u.sweep.region = a->regions[i];
        m.u.sweep.path_count = 1;
        m.u.sweep.path[0] = a->regions[i];
        if (!keeper_send(e, &m, -1))
            report(REPORT_WARNING, "no memory to remove what is left of r%" PRIu64, a->regions[i]);
    }
    free(a->regions);
    free(a);
    e->adopted = NULL;
}
