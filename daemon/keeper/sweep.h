/* SPDX-License-Identifier: MIT */
/*
 * Sweeping: a closed region's work directory and cgroup are removed.
 *
 * The directory's content is its owner's, so a child that has become the
 * owner removes it (sweep_child.c): as root, a symbolic link, a mount or a
 * file system that answers slowly would be a weapon. The keeper itself only
 * does rmdir(2) on the empty directory, which is the whole work in the usual
 * case. A child that makes no progress for ten seconds is killed, and the
 * region is answered ETIMEDOUT.
 */
#ifndef ASUPERSYNC_KEEPER_SWEEP_H
#define ASUPERSYNC_KEEPER_SWEEP_H

#include "daemon/keeper/state.h"

/* LINK_SWEEP; answered by LINK_SWEPT once all is done or given up. What lives
 * in the region is killed, and the regions below it are swept first: usually
 * there is nothing of either, but an engine need not know all that an earlier
 * one began in there. */
void sweep_order(struct keeper *k, uint64_t region);

/* Queue every directory that an earlier life left in STATE/work. */
void sweep_leftover_work(struct keeper *k);

/* The pidfd of a sweeping child became readable. */
void sweep_child_ended(struct keeper *k, uint64_t region);

/* What is due: children to start, to give up, cgroups to try again. */
void sweep_turn(struct keeper *k);
uint64_t sweep_next_at(const struct keeper *k);

bool sweep_is_child(const struct keeper *k, pid_t pid);

/* The engine that asked is gone: what is under way goes on, and who asks
 * again is answered. */
void sweep_nobody_asks(struct keeper *k);

/* Forget what waits. No child may run. */
void sweep_drop_all(struct keeper *k);

/* ---- The child (sweep_child.c) ---------------------------------------------- */

/* Remove the content of directory `name` below work_fd as the owner of that
 * directory; a byte to progress_fd now and then. Exits with 0 or an errno. */
void sweep_child_run(int work_fd, const char *name, int progress_fd, bool switch_user)
    __attribute__((noreturn));

#endif
