/* SPDX-License-Identifier: MIT */
/*
 * A real keeper, with real processes and real cgroups, and the test in the
 * engine's place. Every test runs between keeper_begin and keeper_end, which
 * checks that nothing the test caused is left: no process, no cgroup, no work
 * directory, no keeper.
 */
#ifndef ASUPERSYNC_TESTS_KEEPER_HARNESS_H
#define ASUPERSYNC_TESTS_KEEPER_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/link.h"
#include "daemon/spawn_spec.h"

/* Longer than anything takes on a busy machine. */
#define WAIT_MS 25000
#define TASKS_MAX 256

struct fixture {
    char dir[64];      /* RUNTIME */
    char program[256]; /* what is run as the keeper */
    char tree[256];    /* tree/, "" without cgroups */
    pid_t keeper;      /* 0: ended */
    pid_t engine;
    int listen_fd, control_fd, link_fd, kill_fd;
    int stderr_fd; /* the keeper's */
    bool hello_seen, table_end_seen;
    struct link_message hello;
    struct link_message last; /* the last packet that was no row */
    struct link_row rows[TASKS_MAX];
    uint32_t row_count[TASKS_MAX]; /* packets about it */
    uint32_t row_order[TASKS_MAX]; /* of its last packet among all packets about rows */
    uint32_t row_total;
    uint64_t region_parent[TASKS_MAX]; /* as the table said; 0: it did not */
    uint32_t shutdown_count;           /* the last one that was told, to this engine */
    int log_fd[TASKS_MAX];
    bool ack; /* rows are acknowledged as they come */
};
extern struct fixture fx;

/* ---- Begin and end ------------------------------------------------------------------ */

/* Start a keeper with these further options, NULL at the end, and meet it. */
void keeper_begin_with(const char *const *options);
void keeper_begin(void); /* user mode */
void keeper_begin_system(const char *run_as_rules);

/* The orderly end (QUIESCENT), and all that must be true after it. */
void keeper_end(void);

/* Start it, but expect no engine to come. */
void keeper_launch(const char *const *options);
/* Meet the engine that is started (again): its table is taken. */
void keeper_meet(void);
/* Let no engine start from now on, or again. */
void keeper_refuse_engines(bool refuse);
/* Wait for its exit status. */
int keeper_exit_status(void);
/* What it wrote to standard error so far. */
const char *keeper_stderr(void);
/* After the end: nothing left. */
void nothing_is_left(void);

/* A user to stop everything of (kill -STOP -1), which reaches beyond this test:
 * one of the system's idle users, another one for each test program that runs. */
uint32_t idle_user(void);

/* ---- Orders ------------------------------------------------------------------------- */

struct start {
    uint32_t uid;
    const char *cwd;
    const char *paths[3];
    const char *const *env; /* NULL at the end */
    int32_t nice;
    int32_t umask;
    bool clear_env, passed, null, tty, append;
    uint64_t memory_max, pids_max;
    int rlimit; /* number + 1, or 0 */
    uint64_t rlimit_value;
};

/* START of a task in the region with this path of ids (0 at the end). */
void order_start(uint64_t task, const uint64_t *path, const struct start *start,
                 const char *const *argv);
/* The same with defaults, in region 2, of a shell script. */
void order_script(uint64_t task, const char *script);
void order(uint32_t kind, uint64_t task);
void order_signal(uint64_t task, int signal);
void order_sweep(const uint64_t *path);
void order_fd(uint32_t kind, uint64_t task, int fd);

/* ---- Facts -------------------------------------------------------------------------- */

/* Take packets until the row has all these facts. */
const struct link_row *await_facts(uint64_t task, uint32_t facts);
/* Take packets until one of this kind that is no row. */
const struct link_message *await_kind(uint32_t kind);
/* Take what is there; true if something came within the time. */
bool take_packet(int timeout_ms);
/* All that a task wrote, once it has closed its output. */
const char *read_log(uint64_t task);
/* Wait for the end of a process that somebody else reaps. */
void wait_until_gone(pid_t pid);
/* A file's text. */
const char *read_text(const char *path);
/* Wait for a file that a task makes. */
void await_file(const char *path);
/* A path in the test's own directory, valid until the fourth next call. */
const char *in_dir(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Processes in the task's cgroup. */
int process_count(uint64_t task, const uint64_t *path);
/* End a task and wait until it is forgotten. */
void finish_task(uint64_t task);
bool have_cgroups(void);

#endif
