/* SPDX-License-Identifier: MIT */
/*
 * Waiting: for outcomes, for regions to close, with what is draining shown.
 */
#ifndef ASUPERSYNC_CTL_WAIT_H
#define ASUPERSYNC_CTL_WAIT_H

#include "ctl.h"

/* How long a region outlives the command that it is attached to, when that is
 * killed: long enough for a hiccup of the connection, no longer. */
#define ATTACHED_TTL_NS (2 * ASUP_NS_PER_S)

/* An instant of now_steady_ns() from an option with a duration; UINT64_MAX:
 * none. 0 or an exit code. */
int wait_deadline(struct ctl *ctl, enum option_id id, uint64_t *deadline_ns);
/* Milliseconds until then, -1 for ever. */
int64_t wait_left_ms(uint64_t deadline_ns);

/* Wait for the end of each (--timeout, --until as given) and report it.
 * Returns the exit code of the worst outcome. */
int wait_for_all(struct ctl *ctl, char *const *ids, size_t count);

/* Wait until the region is closed and show what is draining. Returns as
 * ctl_call(). */
int wait_closed(struct ctl *ctl, const char *region, uint64_t deadline_ns, json_t **body,
                struct asup_error_info *error);

/* Wait until the region is closed; a signal from the descriptor cancels it, a
 * second one kills it. Returns as ctl_call(). */
int wait_with_signals(struct ctl *ctl, const char *region, int signals, unsigned *cancels,
                      json_t **body, struct asup_error_info *error);

/* Cancel a region because of a signal; the second time without drain. */
json_t *cancel_by_signal_args(const char *region, const char *what, unsigned cancels);

#endif
