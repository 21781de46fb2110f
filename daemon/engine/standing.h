/* SPDX-License-Identifier: MIT */
/*
 * What the policy (daemon/policy.h) leaves whoever asks: found once for a
 * connection and again after every reload, from the uid and the groups that
 * the kernel vouches for, and its region by path with every request. The
 * regions of a path are those of root and the daemon's owner: another user who
 * opens one of that name gains nothing by it.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_STANDING_H
#define ASUPERSYNC_DAEMON_ENGINE_STANDING_H

#include "daemon/engine/call.h"

/* Fill in c->rule and what follows from it. */
void standing_of_call(struct call *c);
/* Whether the policy has room for this operation at all, wherever it is. 0 or a code. */
int standing_may_begin(struct call *c);
/* The rule, for people, when it is why something was refused; else leaves the hint alone. */
void standing_hint(struct call *c, int code, const char *detail);
/* Its region, of one in it or above: the child of "/" that leads there has that name. 0: no. */
uint64_t standing_top(const struct call *c, struct bytes name);
/* The rules have changed: who waits by what it may no longer is told so (R-CAP-4). */
void standing_changed(struct engine *e);
/* For daemon.status. */
void standing_write(struct call *c);

#endif
