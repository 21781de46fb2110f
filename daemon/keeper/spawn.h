/* SPDX-License-Identifier: MIT */
/* Starting tasks. */
#ifndef ASUPERSYNC_KEEPER_SPAWN_H
#define ASUPERSYNC_KEEPER_SPAWN_H

#include "daemon/keeper/state.h"

/* fork with a pidfd, into a cgroup if there is one: 0 in the child, its pid in
 * the parent, -errno. No CLONE_VFORK: the parent would wait until the child's
 * exec, which its user can put off for ever. */
pid_t spawn_clone(int cgroup_fd, int *pidfd_out);

/* LINK_START. A task there is a row of already is only reported again. The
 * spec is taken; -1 stands for one that could not be received. */
void spawn_start(struct keeper *k, uint64_t task, uint32_t uid, const uint64_t *path,
                 uint32_t path_count, int spec_fd_take);

/* LINK_STDIO: a connection for a START that is to come; it is taken. */
void spawn_stdio(struct keeper *k, uint64_t task, int fd_take);

/* Close the connections whose START never came. */
void spawn_drop_stdio(struct keeper *k);

/* The status pipe has something, or its writer is gone. */
void spawn_status(struct keeper *k, struct row *row);

/* True when the main process, which is dead or dying but not reaped yet, had
 * reached its exec; false when it was killed before. */
bool spawn_reached_exec(const struct row *row);

#endif
