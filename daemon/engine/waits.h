/* SPDX-License-Identifier: MIT */
/*
 * Requests that are held until there is an answer. Waits for tasks and regions
 * are the kernel's (it counts them, times them and answers by token); readers
 * of events and of logs are held here, with timers of their own, and count
 * against the same limits.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_WAITS_H
#define ASUPERSYNC_DAEMON_ENGINE_WAITS_H

#include "daemon/engine/call.h"

/* Hold the call's exchange. Returns CALL_PARKED, or a code: no memory, or one
 * too many. `timeout_ns` is for EVENTS and LOGS. */
int waits_park(struct call *c, enum parked_kind kind, uint64_t subject, uint64_t timeout_ns,
               struct parked **out);
/* The request was answered before it could wait. */
void waits_unpark(struct parked *p);
/* The kernel need not answer it any more: waits_fail or waits_send follows. */
void waits_forget(struct parked *p);
/* Nobody is there any more: forget what the exchange waited for. The exchange
 * itself stays the caller's. */
void waits_drop(struct exchange *x);
/* FX_REPLY to a wait. */
void waits_answer(struct engine *e, const struct effect *fx);
/* Answer with an error, or with the reply in e->wait_writer, once event `after`
 * is on disk (0: now). */
void waits_fail(struct parked *p, int code, const char *message, uint64_t after);
void waits_send(struct parked *p, uint64_t after);

/* Events were added: tell watchers before the loop sleeps. */
void waits_events_came(struct engine *e);
void waits_deliver(struct engine *e);
/* A capability was revoked, or died: who waits with it is told. */
void waits_capability_gone(struct engine *e);
/* The log of a task may have more, or have ended. */
void waits_log_changed(struct engine *e, uint64_t task);

#endif
