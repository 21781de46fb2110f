/* SPDX-License-Identifier: MIT */
/*
 * The keeper: the service manager's main process, the parent of every task,
 * and the only part with privileges. Small enough to audit in one sitting; it
 * trusts nothing but its own options and the run-as rules.
 *
 * One loop (loop.c, raw epoll: libev would bring nothing that these few kinds
 * of descriptors need, and 0.1 MiB), which never waits for a user, for the
 * engine, for a file system a user can stall, or for a reader of its log.
 * What could stall is done by children: starts (child.c), removals of work
 * directories (sweep_child.c).
 *
 *   orders.c    what the engine asks: START, SIGNAL, KILL, SAMPLE, FORGET, SWEEP
 *   rows.c      one row per task, one entry per region; telling the engine
 *   spawn.c     START up to clone3, and what the child says before its exec
 *   reap.c      the end of main processes, of orphans, emptiness of cgroups
 *   contain.c   tasks in containers: cgroups, or only the process tree
 *   sweep.c     regions whose work directory and cgroup shall go
 *   engine.c    the engine's life: start, heartbeat, death, restart
 *   greet.c     the table that a new engine is told
 */
#ifndef ASUPERSYNC_KEEPER_KEEPER_H
#define ASUPERSYNC_KEEPER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* --containment */
enum containment_choice {
    CONTAINMENT_AUTO,          /* cgroup2, or a clear error */
    CONTAINMENT_ONLY_CGROUP2,  /* the same, said aloud */
    CONTAINMENT_ONLY_SUBREAPER /* best effort, only where asked for */
};

/* Exit statuses (sysexits.h). */
#define KEEPER_EXIT_FAILED 1
#define KEEPER_EXIT_USAGE 64
#define KEEPER_EXIT_CANTCREAT 73
#define KEEPER_EXIT_RUNNING 69 /* another daemon has the runtime directory */
#define KEEPER_EXIT_IOERR 74   /* stopped, and the journal could not be written */
#define KEEPER_EXIT_NOPERM 77
#define KEEPER_EXIT_CONFIG 78

struct keeper_options {
    const char *runtime_dir;  /* absolute */
    const char *state_dir;    /* absolute */
    const char *run_as_path;  /* run-as rules; system mode */
    const char *engine_user;  /* whom the engine runs as; system mode */
    const char *program_path; /* this program's file: what engines are; NULL: unknown */
    char *const *engine_argv;
    enum containment_choice containment;
    uint64_t engine_timeout_ns; /* a heartbeat later than this: the engine is killed */
    uint32_t engine_restarts;   /* within a minute, then it gives up; 1 to 1000 */
    bool user_mode;
    int ready_fd; /* one byte is written to it once READY; -1: none */
};

/* Run until "/" is closed (0) or it cannot go on (an exit status above). */
int keeper_run(const struct keeper_options *options);

#endif
