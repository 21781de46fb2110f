/* SPDX-License-Identifier: MIT */
/*
 * What the keeper knows: one struct keeper, its rows and its regions. Only the
 * keeper's own modules read this.
 *
 * A row's life:
 *
 *   starting --exec--> started --main ends--> exited --cgroup empty--> empty
 *       \--stage and errno------------------> start failed, empty
 *
 * "exited" and "empty" are two facts. The row's cgroup is removed as soon as
 * it is empty; the row itself stays until the engine says FORGET, which it
 * does only once it knows the outcome for good.
 */
#ifndef ASUPERSYNC_KEEPER_STATE_H
#define ASUPERSYNC_KEEPER_STATE_H

#include "daemon/keeper/chain.h"
#include "daemon/keeper/keeper.h"
#include "daemon/keeper/table.h"
#include "daemon/link.h"

/* Regions deeper than this share the cgroup depth of this level: cgroup names
 * and kernel limits are for trees of modest depth. Each region still has a
 * cgroup of its own, below the ancestor at this depth minus one. */
#define KEEPER_CGROUP_DEPTH_MAX 8

/* "r18446744073709551615/" times the depth, and the task's own part. */
#define KEEPER_CGROUP_PATH_MAX (22 * (KEEPER_CGROUP_DEPTH_MAX + 1) + 1)

/* So many tasks with a process at once; a start beyond it fails. */
#define KEEPER_ROWS_MAX 262144u
/* Further rows for starts that are refused, more than the engine orders at once. */
#define KEEPER_ROWS_SPARE 8192u

/* Descriptors kept free for what must always work: killing and looking. */
#define KEEPER_FD_RESERVE 192

/* Children that remove work directories, at most. */
#define KEEPER_SWEEPS_MAX 32

/* Ids on epoll tags leave four bits for the kind. */
#define KEEPER_ID_MAX ((UINT64_C(1) << 60) - 1)

/* Connections handed over for tasks whose START has not come yet. */
#define KEEPER_STDIO_MAX 64

/* What an epoll event is about: a kind in the upper four bits and an id below.
 * Ids are looked up again, so an event of something that is gone is harmless. */
enum watch {
    WATCH_SIGNALS = 1,
    WATCH_LINK,
    WATCH_ENGINE,  /* its pidfd */
    WATCH_INOTIFY, /* cgroup.events of leftovers */
    WATCH_STATUS,  /* task id: the status pipe of a start */
    WATCH_MAIN,    /* task id: the pidfd of a main process */
    WATCH_SWEEP,   /* region id: the pidfd of a sweeping child */
};
#define WATCH_TAG(kind, id) ((uint64_t)(kind) << 60 | (id))

struct region {
    struct table_node by_id;
    struct region *parent; /* NULL for "/", and where it went first */
    struct chain children; /* of regions */
    struct chain sibling;  /* parent->children */
    struct chain untold;   /* keeper.untold_regions */
    uint32_t row_count;    /* rows that point here */
    uint32_t work_uid;     /* whose the work directory is, once made */
    bool cgroup_made;
    bool work_made;
    bool swept;              /* goes with its last row */
    bool memory_on, pids_on; /* controllers enabled for its children */
    char *cgroup_path;       /* below tree/, "" for "/" */
};

struct row {
    struct table_node by_task, by_pid;
    struct chain changed;  /* keeper.changed: all rows, the last change last */
    struct chain untold;   /* keeper.untold: to be told before TABLE_END */
    struct chain unacked;  /* keeper.unacked, oldest first */
    struct chain leftover; /* keeper.leftovers: main ended, cgroup not removed */
    struct region *region;
    struct link_row wire;
    uint64_t sent_at;  /* when the engine was told last */
    int pidfd;         /* -1 once the main process is reaped */
    int status_fd;     /* -1 once exec succeeded or failed */
    int log_fd;        /* read end of the log pipe, never read here; -1 */
    int inotify_watch; /* -1: none */
    uint32_t uid;
    bool by_pid_known; /* in keeper.by_pid */
    bool log_sent;     /* this engine has the read end */
    bool cgroup_made;
    bool forgotten;    /* the engine is done with it; free when removable */
    bool had_leftover; /* it was not empty when the main process ended */
    bool signalled;    /* SIGNAL was ordered */
    bool killed;       /* KILL was ordered: kill again what turns up */
};

struct sweep;

enum engine_state {
    ENGINE_ABSENT, /* to be started at start_at */
    ENGINE_RUNNING,
    ENGINE_LEAVING,   /* it said QUIESCENT and is about to exit */
    ENGINE_REPLACING, /* it said REPLACE and is about to exit */
};

#define ENGINE_RESTARTS_ROOM 1000 /* more than anybody may ask for */
#define ENGINE_RESTARTS_NS (60 * ASUP_NS_PER_S)

struct keeper_engine {
    enum engine_state state;
    struct link link;
    pid_t pid;
    int pidfd;
    uint32_t runs;
    bool ready;              /* LINK_READY came from this one */
    bool ever_ready;         /* ... or from an earlier one */
    bool link_watched_write; /* EPOLLOUT is set */
    bool greeting;           /* TABLE_END is still to come */
    bool shutdown_retold;    /* before TABLE_END */
    uint32_t shutdown_told;  /* of keeper.shutdown_count, to this one or one before */
    bool reload_owed;        /* SIGHUP came meanwhile */
    uint64_t greet_next_at;  /* ASUP_NEVER: when there is room */
    uint64_t due_at;         /* heartbeat, or exit while leaving */
    uint64_t start_at;       /* while absent */
    uint64_t start_pause;    /* after one that could not start; 0: it could */
    uint64_t restarts[ENGINE_RESTARTS_ROOM]; /* the last ones; the latest last */
};

/* Where the cgroups are; all paths are absolute. */
struct cgroup_place {
    bool present;   /* false with --containment=subreaper */
    char own[512];  /* where the keeper was started */
    char base[512]; /* holds daemon/ and tree/ */
    char tree[512];
    int tree_fd;       /* directory tree/ */
    bool base_is_own;  /* delegated to us: base is not ours to remove */
    bool memory, pids; /* controllers that tasks can have limits of */
};

struct stdio_waiting {
    uint64_t task; /* 0: free */
    int fd;
};

struct keeper {
    const struct keeper_options *options;
    uint64_t now;      /* CLOCK_MONOTONIC, ns; of this turn */
    uint64_t instance; /* random */
    char boot[40];     /* boot_id */

    int epoll_fd, signal_fd, inotify_fd, null_fd;
    int runtime_fd, state_fd, work_fd, lock_fd, state_lock_fd;
    uint64_t nofile_soft; /* as the keeper found it: tasks get it back */
    uint64_t nofile_hard;
    bool nice_adjusted;
    bool oom_adjusted; /* the keeper's own oom_score_adj is not 0 */
    uid_t own_uid;
    uid_t engine_uid;
    gid_t engine_gid;

    struct cgroup_place cgroup;
    enum containment containment;
    struct keeper_engine engine;

    struct table rows, by_pid, regions;
    struct chain changed, unacked, leftovers;
    struct chain untold, untold_regions; /* while greeting */
    uint32_t leftover_count;
    uint64_t leftover_next_at; /* ASUP_NEVER: no look due */
    uint64_t leftover_pause;   /* grows while nothing happens */
    uint64_t orphans_next_at;  /* ASUP_NEVER: none suspected */
    uint64_t orphans_last_at;
    uint64_t tick_next_at; /* once a second: what was not acknowledged */
    uint64_t watchdog_next_at;

    struct table sweep_table;
    struct chain sweeps; /* waiting and running, in order */
    uint32_t sweeps_running;
    uint32_t sweep_uids[KEEPER_SWEEPS_MAX]; /* for whom the running ones do it */

    struct stdio_waiting stdio[KEEPER_STDIO_MAX];
    uint32_t stdio_next;

    uint32_t shutdown_count; /* SIGTERM and SIGINT so far */
    int exit_status;         /* valid once `done` */
    bool done;
};

/* CLOCK_MONOTONIC in ns. */
uint64_t keeper_clock(void);

/* Watch a descriptor: oneshot ones report once and stay quiet afterwards,
 * which also covers copies of it in half-started children. 0 or -errno. */
int keeper_watch(struct keeper *k, int fd, uint32_t events, uint64_t tag);

/* The loop ends with this status after the current turn. */
void keeper_finish(struct keeper *k, int status);
/* Read the run-as rules and forget what is known of users. */
void keeper_reread(struct keeper *k);

static inline bool
keeper_switches_user(const struct keeper *k)
{
    return !k->options->user_mode;
}

#endif
