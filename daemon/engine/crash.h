/* SPDX-License-Identifier: MIT */
/*
 * Where tests let the engine die or the journal's disk fail. Only builds with
 * ASUP_CRASH_POINTS know of it, and those only when their environment names a
 * file in ASUP_CRASH_PLAN. It is read when it appears or changes, and each line
 * of it is one thing to happen:
 *
 *     crash NAME [N]                SIGKILL at the Nth pass of that point
 *     fail CALL N once|ever WHY     the Nth such call on the journal's files, or
 *                                   each from the Nth on; CALL: write, sync,
 *                                   truncate, open; WHY: full, io, readonly;
 *                                   "torn": a write of half, then SIGKILL
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

#if defined ASUP_CRASH_POINTS && ASUP_CRASH_POINTS

enum fault_call { FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE, FAULT_OPEN, FAULT_CALL_COUNT };
enum fault { FAULT_NONE, FAULT_FULL, FAULT_IO, FAULT_READONLY, FAULT_TORN };

/* Any thread. */
void crash_point(const char *name);
/* What shall become of this call. */
enum fault crash_fault(enum fault_call call);
/* Die as by kill -9, with the plan removed. */
void crash_now(void) __attribute__((noreturn));
/* Make SQLite's default file system one that fails as planned (fault.c). */
void fault_install(void);

#else
#define crash_point(name) ((void)0)
#define fault_install() ((void)0)
#endif

#endif
