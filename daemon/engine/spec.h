/* SPDX-License-Identifier: MIT */
/* From the kept arguments of a task (msgpack, as the client sent them) to the
 * sealed memfd that the keeper's child reads (daemon/spawn_spec.h). */
#ifndef ASUPERSYNC_DAEMON_ENGINE_SPEC_H
#define ASUPERSYNC_DAEMON_ENGINE_SPEC_H

#include "daemon/engine/state.h"

/* Decode the kept arguments; what `out` points to lives in e->spec_memory
 * until the next call. 0 or -errno. */
int spec_decode(struct engine *e, struct bytes raw, struct proto_process *out);
/* A sealed memfd, or -errno. `notify_path` NULL: no notify socket. */
int spec_build(struct engine *e, const struct task_view *task, const struct proto_process *p,
               const char *notify_path);

/* The idempotency key of what makes up for something, or cleans up: the same in
 * each attempt (R-SAG-3). False: the task is nothing of the sort. */
enum { CLEANUP_KEY_SIZE = 48 };
bool cleanup_key(const struct kernel *k, const struct task_view *task, char out[CLEANUP_KEY_SIZE]);

#endif
