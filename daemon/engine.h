/* SPDX-License-Identifier: MIT */
/*
 * The door between the program asupersyncd and its module
 * asupersyncd-engine.so.
 *
 * One program file serves both processes. The keeper, which is what a service
 * manager starts, stays small because everything heavy (libev, msgpack,
 * the kernel) is in the module, and the keeper never loads it: it forks,
 * drops to the engine's user, and executes its own file again as
 *
 *     asupersyncd --engine --runtime-dir R --state-dir S [--config C] [--user]
 *                 [--foreground] --owner UID
 *
 * (from its file, as that is by then, so that an upgrade in place works)
 *
 * with the link on descriptor ENGINE_FD_LINK and the tree's cgroup.kill on
 * ENGINE_FD_KILL (daemon/link.h). That process finds the module beside the
 * program, in ../lib/asupersync/, or where it was installed, and calls
 * engine_main.
 *
 * What the engine may rely on when engine_main is called:
 *   - it has its final user and group (system mode: "asupersync") and
 *     no_new_privs, so it never regains privileges;
 *   - RUNTIME exists; in it the engine may make sockets. RUNTIME/notify (mode
 *     0711, so that tasks of other users reach their sockets; 0700 in user
 *     mode) and STATE/logs (0700) exist and belong to the engine's user; STATE
 *     is writable for it (STATE/ids), STATE/work is not its own;
 *   - descriptors 0 to 2 are open (standard error carries the log), 3 and 4
 *     are as above, nothing else is open; the soft limit of open files is
 *     raised to the hard one;
 *   - all signals have their default actions and none is blocked. It is in a
 *     session of its own, so a terminal's Ctrl-C reaches the keeper alone,
 *     which turns it into LINK_SHUTDOWN;
 *   - its parent is the keeper. When the keeper is gone, the link ends.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_H
#define ASUPERSYNC_DAEMON_ENGINE_H

#include <stdbool.h>
#include <sys/types.h>

struct engine_options {
    const char *runtime_dir; /* absolute; sockets live here */
    const char *state_dir;   /* absolute; ids, logs/ and work/ */
    const char *config_path; /* absolute; NULL: built-in defaults */
    bool config_required;    /* named with --config, so it must exist */
    bool user_mode;          /* --user: everything runs as the owner */
    bool foreground;         /* log plain lines to standard error */
    uid_t owner_uid;         /* whose daemon it is (besides root): the keeper's uid */
    int link_fd;             /* ENGINE_FD_LINK */
    int kill_fd;             /* ENGINE_FD_KILL, or -1 where there is no cgroup.kill */
};

/* Runs the engine until "/" is closed (0), or it cannot go on (any other
 * value becomes the exit status: 1 fault of its own, 78 wrong configuration,
 * 77 may not, 73 cannot create a socket or directory, 65, 66, 69, 74 and 75 a
 * journal that cannot be used, 76 another link version than the keeper's. The
 * first engine's status is the keeper's, and its message on standard error is
 * what the user sees. A later one that ends with 65 to 78, but for 70 and 71,
 * before LINK_READY is tried again seldom, while the tasks go on: see
 * daemon/keeper/engine.h). */
__attribute__((visibility("default"))) int engine_main(const struct engine_options *options);

/* The LINK_VERSION it speaks, and which asupersyncd it is part of: a program and
 * a module of different versions do not try to get along. */
extern __attribute__((visibility("default"))) const unsigned engine_link_version;
extern __attribute__((visibility("default"))) const char engine_version[];

/* asupersyncd --check-config: read a configuration (NULL: the defaults) and
 * tell every error, with file, line and column, on standard error; with
 * `print`, write what is in force to standard output. Returns 0 or 78. */
__attribute__((visibility("default"))) int engine_check_config(const char *path, bool print);

/* Before an upgrade: whether this program can go on with the journal there, which a running engine
 * writes. 0, or an exit status after telling on standard error (trial.c). */
__attribute__((visibility("default"))) int engine_check_journal(const char *state_dir);

#endif
