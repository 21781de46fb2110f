/* SPDX-License-Identifier: MIT */
/*
 * The places a keeper needs: its directories with their lock, and its part of
 * the cgroup tree. Setting them up is the only time the keeper may wait, since
 * nothing lives yet that could suffer from it; errors are said on standard
 * error and become the exit status.
 *
 *   RUNTIME/         sockets (the engine's); lock, cgroup (the keeper's)
 *   STATE/work/      work directories of regions (the keeper's)
 *   STATE/logs/      the engine's
 *   BASE/daemon/     keeper and engine
 *   BASE/tree/       tasks: r4/r9/t12 as the regions are nested; sweep/
 *
 * BASE is the keeper's own cgroup when systemd delegated it to us alone, else
 * OWN/asupersyncd-<hash of the runtime directory>. RUNTIME/cgroup remembers
 * it, so that the next keeper finds what a dead one left, wherever it was.
 */
#ifndef ASUPERSYNC_KEEPER_PLACE_H
#define ASUPERSYNC_KEEPER_PLACE_H

#include "daemon/keeper/state.h"

/* Directories, owners, lock: 0 or an exit status. */
int place_directories(struct keeper *k);

/* Give the engine what is the engine's in the runtime directory again: a service manager takes all
 * of it back for each command of the service that it runs, such as a reload. Sockets that the
 * engine could then not replace are removed; with `starting` only, when no engine has them. */
void place_renew(struct keeper *k, bool starting);

/* Kill and remove what a dead keeper left, then make daemon/ and tree/ and
 * move into daemon/: 0 or an exit status. */
int place_cgroups(struct keeper *k);

/* Leave and remove the cgroups again; they are empty but for ourselves. */
void place_leave(struct keeper *k);

#endif
