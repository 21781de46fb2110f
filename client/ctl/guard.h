/* SPDX-License-Identifier: MIT */
/*
 * A task that shall not outlive the command that asked for it, although it stands
 * in a region of somebody else's (lease run, whose holder must be a task there).
 *
 *     the command: opens a region that is attached to its session (R-SES-1), derives
 *     a capability that may observe it, and gives that to the task (verb_run.c)
 *
 *     the task: waits until that region is closed, and cancels itself then
 *
 * So when the command is killed, its session ends after its time to live, its
 * region with it, and then the task: as a whole, like by any other cancel.
 */
#ifndef ASUPERSYNC_CTL_GUARD_H
#define ASUPERSYNC_CTL_GUARD_H

#include "ctl.h"

/* In the environment of the task: the region and the token, "r7:0123...". */
#define GUARD_VARIABLE "ASUPERSYNC_GUARD"

/* Watch what the environment names, on a thread of its own, and take it out of
 * the environment. Nothing is there: nothing is done. 0 or an exit code. */
int guard_watch(struct ctl *ctl);

#endif
