/* SPDX-License-Identifier: MIT */
/*
 * Where tests let the engine die, the journal's disk fail, or the engine do
 * wrong, to see that they notice. Only builds with
 * ASUP_CRASH_POINTS know of it, and those only when their environment names a
 * file in ASUP_CRASH_PLAN. It is read when it appears or changes, and each line
 * of it is one thing to happen:
 *
 *     crash NAME [N]                SIGKILL at the Nth pass of that point
 *     fail CALL N once|ever WHY     the Nth such call on the journal's files, or
 *                                   each from the Nth on; CALL: write, sync,
 *                                   truncate, open; WHY: full, io, readonly;
 *                                   "torn": a write of half, then SIGKILL
 *     plant BUG                     as long as the file is there: lease-stolen, a
 *                                   lease is granted while another holds it;
 *                                   message-twice, a message that is with one
 *                                   receiver is given to another; early-answer,
 *                                   an answer leaves before its commit
 *
 * Passes and calls are counted from the reading on. Before it dies the engine
 * removes the file, so that the next one lives; without a file the disk is
 * sound.
 *
 * The points, in the order in which a request passes them: gathered,
 * before-commit, after-commit, before-release, mid-release, before-forget; and
 * snapshot-taken, snapshot-part, snapshot-end, truncate, checkpoint, folded,
 * before-listen.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_CRASH_H
#define ASUPERSYNC_DAEMON_ENGINE_CRASH_H

#include <stdbool.h>

#if defined ASUP_CRASH_POINTS && ASUP_CRASH_POINTS

#include <stdint.h>

enum fault_call { FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE, FAULT_OPEN, FAULT_CALL_COUNT };
enum fault { FAULT_NONE, FAULT_FULL, FAULT_IO, FAULT_READONLY, FAULT_TORN };

/* Any thread. */
void crash_point(const char *name);
/* What shall become of this call. */
enum fault crash_fault(enum fault_call call);
/* Whether that bug is planted. */
bool crash_planted(const char *name);
/* planted.c, before a lease is granted or a message given. */
struct engine;
struct bytes;
void planted_lease(struct engine *e, uint64_t region, const struct bytes *name);
void planted_message(struct engine *e, uint64_t channel);
/* Die as by kill -9, with the plan removed. */
void crash_now(void) __attribute__((noreturn));
/* Make SQLite's default file system one that fails as planned (fault.c). */
void fault_install(void);

#else
#define crash_point(name) ((void)0)
#define crash_planted(name) false
#define planted_lease(e, region, name) ((void)0)
#define planted_message(e, channel) ((void)0)
#define fault_install() ((void)0)
#endif

#endif
