/* SPDX-License-Identifier: MIT */
/* Rows and regions, and telling the engine about them. */
#ifndef ASUPERSYNC_KEEPER_ROWS_H
#define ASUPERSYNC_KEEPER_ROWS_H

#include "daemon/keeper/state.h"

/* The entry of the last region of a path (the root's for an empty one), with
 * entries for all above it; NULL when memory is out. */
struct region *region_get(struct keeper *k, const uint64_t *path, uint32_t path_count);
struct region *region_find(const struct keeper *k, uint64_t id);
void region_free(struct keeper *k, struct region *region);

/* A new row of a task in a region; NULL when memory is out. */
struct row *row_new(struct keeper *k, uint64_t task, struct region *region);
struct row *row_find(const struct keeper *k, uint64_t task);
struct row *row_find_pid(const struct keeper *k, pid_t pid);

/* The main process is known from now on. */
void row_set_pid(struct keeper *k, struct row *row, pid_t pid);

/* Free it now, whatever its state: its descriptors are closed. */
void row_free(struct keeper *k, struct row *row);

/* Free it if the engine forgot it and nothing of it is left. */
void row_release(struct keeper *k, struct row *row);

/* New facts: the version grows and the engine is told (at once, if it can
 * take it; again after a second without its ACK). */
void row_changed(struct keeper *k, struct row *row, uint32_t facts);

/* Tell later, with the next change or tick: for facts that soon grow. */
void row_changed_quietly(struct keeper *k, struct row *row, uint32_t facts);

/* Tell again now, or in its turn while a new engine is told the table. */
void row_send(struct keeper *k, struct row *row);

/* Tell it now: 0, or negative when it could neither be sent nor queued. */
int row_tell(struct keeper *k, struct row *row);

void row_acked(struct keeper *k, struct row *row, uint32_t version);

/* Tell what has waited for an ACK for a second. */
void rows_tick(struct keeper *k);

/* SIGKILL to the main process, if it lives: where tasks own the tree, it may
 * have left its cgroup. */
void row_kill_main(const struct row *row);

/* SIGKILL to every process of every task, and to every main process. */
void rows_kill_all(struct keeper *k);

#endif
