/* SPDX-License-Identifier: MIT */
/*
 * Holding a lease while a command runs, within a task: the task is the holder,
 * the command a child of this process.
 */
#ifndef ASUPERSYNC_CTL_LEASE_HOLD_H
#define ASUPERSYNC_CTL_LEASE_HOLD_H

#include "ctl.h"

enum { EXIT_LEASE_LOST = 74 };

/* Run ctl->args.command while `id` is held, renewing it; `token` goes into its
 * environment; `until_ns` is an instant of now_steady_ns() at which the lease
 * may have expired. Lets it go at the end. Returns the exit code. */
int lease_hold(struct ctl *ctl, const char *id, uint64_t token, uint64_t ttl_ns, uint64_t until_ns);

#endif
