/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/rows.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/keeper/contain.h"
#include "daemon/keeper/engine.h"

#define ROW_RESEND_NS ASUP_NS_PER_S
#define ROW_RESEND_AT_ONCE 512

/* ---- Regions --------------------------------------------------------------- */

struct region *
region_find(const struct keeper *k, uint64_t id)
{
    struct table_node *node = table_find(&k->regions, id);

    return node != NULL ? TABLE_OWNER(node, struct region, by_id) : NULL;
}

static struct region *
region_new(struct keeper *k, struct region *parent, uint64_t id, const uint64_t *path,
           uint32_t path_count)
{
    char text[KEEPER_CGROUP_PATH_MAX];
    int used = 0;
    struct region *region = calloc(1, sizeof *region);

    if (region == NULL)
        return NULL;
    text[0] = '\0';
    for (uint32_t i = 0; i < path_count; i++) {
        /* Too deep: the last one stands where the deepest level is. */
        if (i >= KEEPER_CGROUP_DEPTH_MAX - 1 && i + 1 < path_count)
            continue;
        used += snprintf(text + used, sizeof text - (size_t)used, "%sr%llu", used > 0 ? "/" : "",
                         (unsigned long long)path[i]);
    }
    region->cgroup_path = strdup(text);
    if (region->cgroup_path == NULL) {
        free(region);
        return NULL;
    }
    chain_init(&region->children);
    chain_init(&region->sibling);
    chain_init(&region->untold);
    region->parent = parent;
    if (parent != NULL)
        chain_append(&parent->children, &region->sibling);
    table_add(&k->regions, &region->by_id, id);
    return region;
}

struct region *
region_get(struct keeper *k, const uint64_t *path, uint32_t path_count)
{
    struct region *region = region_find(k, ASUP_ROOT_ID);

    if (region == NULL)
        region = region_new(k, NULL, ASUP_ROOT_ID, NULL, 0);
    for (uint32_t i = 0; i < path_count && region != NULL; i++) {
        struct region *parent = region;

        region = region_find(k, path[i]);
        if (region == NULL)
            region = region_new(k, parent, path[i], path, i + 1);
    }
    return region;
}

void
region_free(struct keeper *k, struct region *region)
{
    while (!chain_empty(&region->children)) {
        struct region *child = CHAIN_OWNER(region->children.next, struct region, sibling);

        chain_remove(&child->sibling);
        child->parent = NULL;
    }
    chain_remove(&region->sibling);
    chain_remove(&region->untold);
    table_remove(&k->regions, &region->by_id);
    free(region->cgroup_path);
    free(region);
}

/* ---- Rows ------------------------------------------------------------------ */

struct row *
row_new(struct keeper *k, uint64_t task, struct region *region)
{
    struct row *row = calloc(1, sizeof *row);

    if (row == NULL)
        return NULL;
    row->region = region;
    region->row_count++;
    row->wire.task = task;
    row->wire.region = region->by_id.key;
    row->wire.exit_code = -1;
    row->pidfd = -1;
    row->status_fd = -1;
    row->log_fd = -1;
    row->inotify_watch = -1;
    chain_init(&row->changed);
    chain_init(&row->untold);
    chain_init(&row->unacked);
    chain_init(&row->leftover);
    chain_append(&k->changed, &row->changed);
    table_add(&k->rows, &row->by_task, task);
    return row;
}

struct row *
row_find(const struct keeper *k, uint64_t task)
{
    struct table_node *node = table_find(&k->rows, task);

    return node != NULL ? TABLE_OWNER(node, struct row, by_task) : NULL;
}

struct row *
row_find_pid(const struct keeper *k, pid_t pid)
{
    struct table_node *node = table_find(&k->by_pid, (uint64_t)pid);

    return node != NULL ? TABLE_OWNER(node, struct row, by_pid) : NULL;
}

void
row_set_pid(struct keeper *k, struct row *row, pid_t pid)
{
    row->wire.pid = (uint32_t)pid;
    row->by_pid_known = true;
    table_add(&k->by_pid, &row->by_pid, (uint64_t)pid);
}

void
row_free(struct keeper *k, struct row *row)
{
    const int fds[] = {row->pidfd, row->status_fd, row->log_fd};

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (row->inotify_watch >= 0)
        (void)inotify_rm_watch(k->inotify_fd, row->inotify_watch);
    if (!chain_empty(&row->leftover))
        k->leftover_count--;
    chain_remove(&row->leftover);
    chain_remove(&row->unacked);
    chain_remove(&row->untold);
    chain_remove(&row->changed);
    if (row->by_pid_known)
        table_remove(&k->by_pid, &row->by_pid);
    table_remove(&k->rows, &row->by_task);
    row->region->row_count--;
    if (row->region->swept && row->region->row_count == 0)
        region_free(k, row->region);
    free(row);
}

void
row_release(struct keeper *k, struct row *row)
{
    if (row->forgotten && (row->wire.facts & ROW_EMPTY) != 0 && !row->cgroup_made && row->pidfd < 0)
        row_free(k, row);
}

/* ---- Telling the engine ------------------------------------------------------ */

int
row_tell(struct keeper *k, struct row *row)
{
    struct link_message message = {.kind = LINK_ROW};
    int log_fd = -1;
    int rc;

    row->sent_at = k->now;
    chain_append(&k->unacked, &row->unacked);
    if (row->log_fd >= 0 && !row->log_sent && (row->wire.facts & (ROW_STARTED | ROW_EXITED)) != 0)
        log_fd = row->log_fd;
    message.u.row = row->wire;
    rc = engine_send(k, &message, log_fd);
    if (rc == 0 && log_fd >= 0)
        row->log_sent = true;
    return rc;
}

void
row_send(struct keeper *k, struct row *row)
{
    /* A new engine hears of all rows in the order of their changes first. What
     * cannot be sent or queued now goes with the next tick. */
    if (k->engine.greeting)
        chain_append(&k->untold, &row->untold);
    else
        (void)row_tell(k, row);
}

void
row_changed(struct keeper *k, struct row *row, uint32_t facts)
{
    row_changed_quietly(k, row, facts);
    if (!row->forgotten)
        row_send(k, row);
}

void
row_changed_quietly(struct keeper *k, struct row *row, uint32_t facts)
{
    row->wire.facts |= facts;
    row->wire.version++;
    chain_append(&k->changed, &row->changed);
    if (!row->forgotten && chain_empty(&row->unacked)) {
        row->sent_at = k->now;
        chain_append(&k->unacked, &row->unacked);
    }
}

void
row_acked(struct keeper *k, struct row *row, uint32_t version)
{
    (void)k;
    if (version == row->wire.version)
        chain_remove(&row->unacked);
}

void
rows_tick(struct keeper *k)
{
    if (k->now < k->tick_next_at || k->engine.greeting)
        return;
    k->tick_next_at = k->now + ROW_RESEND_NS;
    for (int i = 0; i < ROW_RESEND_AT_ONCE && !chain_empty(&k->unacked); i++) {
        struct row *row = CHAIN_OWNER(k->unacked.next, struct row, unacked);

        if (row->sent_at + ROW_RESEND_NS > k->now)
            break;
        row_send(k, row);
    }
}

/* ---- Killing ----------------------------------------------------------------- */

void
row_kill_main(const struct row *row)
{
    if (row->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, row->pidfd, SIGKILL, NULL, 0);
}

void
rows_kill_all(struct keeper *k)
{
    (void)contain_kill_all(k);
    for (struct table_node *node = table_next(&k->by_pid, NULL); node != NULL;
         node = table_next(&k->by_pid, node))
        row_kill_main(TABLE_OWNER(node, struct row, by_pid));
}
