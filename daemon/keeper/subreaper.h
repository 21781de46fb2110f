/* SPDX-License-Identifier: MIT */
/*
 * Containment without cgroups, best effort, only where it was asked for. The
 * keeper is the subreaper of all its descendants, so whoever is orphaned comes
 * back to it; /proc then tells whose they are: the descendants of a main
 * process, and orphans by their session (a main process leads one) or, when
 * they left that too, by ASUPERSYNC_TASK in their environment. A process that
 * has orphaned itself, left the session and cleared its environment is held
 * only by the keeper as a whole: it is killed when the keeper ends, not before.
 */
#ifndef ASUPERSYNC_KEEPER_SUBREAPER_H
#define ASUPERSYNC_KEEPER_SUBREAPER_H

#include "daemon/keeper/state.h"

/* The next question reads /proc again. */
void subreaper_look_again(struct keeper *k);

int subreaper_populated(struct keeper *k, const struct row *row);
int subreaper_kill(struct keeper *k, const struct row *row);
int subreaper_signal_others(struct keeper *k, const struct row *row, int signal);
int subreaper_cpu(struct keeper *k, const struct row *row, uint64_t *cpu_ns);
int subreaper_kill_all(struct keeper *k);
int subreaper_populated_all(struct keeper *k);

#endif
