/* SPDX-License-Identifier: MIT */
/*
 * Ends: of main processes, of orphans, of everything in a task's cgroup. The
 * end of the main process and the emptiness of the cgroup are two facts, in
 * either order.
 */
#ifndef ASUPERSYNC_KEEPER_REAP_H
#define ASUPERSYNC_KEEPER_REAP_H

#include "daemon/keeper/state.h"

/* True when the main process has ended, reaped or not. */
bool reap_has_ended(const struct row *row);

/* KILL: SIGKILL to all of it, again until it is empty. 0 or -errno. */
int reap_kill(struct keeper *k, struct row *row);

/* The pidfd of a main process became readable. */
void reap_main(struct keeper *k, struct row *row);

/* SIGCHLD came, of this process (0: of one or the other). */
void reap_child_signal(struct keeper *k, pid_t pid);

/* Look at tasks whose main process ended: which are empty now? */
void reap_leftovers(struct keeper *k);

/* Something may have changed there (a kill, an orphan's end, a notice):
 * look soon and often. */
void reap_look_soon(struct keeper *k);

/* Notices of cgroup.events. */
void reap_inotify(struct keeper *k);

/* Orphans whose SIGCHLD was merged with another's. */
void reap_orphans_late(struct keeper *k);

#endif
