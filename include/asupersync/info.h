/* SPDX-License-Identifier: MIT */
/**
 * @file info.h
 * What goes into requests to the daemon and what comes out of its answers.
 *
 * Two kinds of structures live here:
 *
 *  - *Requests* (`asup_process`, `asup_region_options`, …). Fill them with
 *    their `_init` function first, then set what matters. All pointers in them
 *    are borrowed for the duration of the call they are given to.
 *
 *  - *Answers* (`asup_task_info`, `asup_region_info`, `asup_event`, …). The
 *    library fills them on success only; what they point to belongs to the
 *    caller, who releases it with the `_fini` function of the structure. A
 *    `_fini` may be called on a structure that is all zero bytes, and leaves
 *    one behind, so it may be called twice. Strings are UTF-8, end in NUL, and
 *    are never NULL unless said so.
 *
 * Units: names ending in `_ns` are nanoseconds; sizes are bytes. An age or a
 * duration is relative, so it means the same on both sides. A field that can be
 * unknown says with which value.
 *
 * Structures grow only together with the library's SONAME.
 */
#ifndef ASUPERSYNC_INFO_H
#define ASUPERSYNC_INFO_H

#include "asupersync/api.h"
#include "asupersync/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Budgets in requests (R-BUD-1, R-BUD-3) ------------------------------- */

/** What work may take, on top of what its region allows it. The instants and
 *  the duration may all be given; the earliest counts. */
struct asup_budget_request {
    uint64_t timeout_ns;       /**< from admission; ASUP_NEVER: none */
    asup_time deadline_at;     /**< kernel time; ASUP_NEVER: none */
    uint64_t deadline_wall_ns; /**< Unix time in ns; ASUP_NEVER: none */
    uint64_t cost_quota;       /**< cost units, CPU ms of processes; UINT64_MAX: none */
    uint32_t poll_quota;       /**< checkpoints; UINT32_MAX: none */
    uint8_t priority;          /**< 1 to 255; 0: unset */
};

/** Make @p budget the one that limits nothing. */
ASUP_API void asup_budget_request_init(struct asup_budget_request *budget);

/* ---- Processes to run ------------------------------------------------------ */

/** One resource limit of a process, as setrlimit(2) takes it. */
struct asup_rlimit {
    const char *name; /**< "nofile", "core", "cpu", "as", …: RLIMIT_… in lower case */
    uint64_t soft;    /**< UINT64_MAX: unlimited */
    uint64_t hard;    /**< UINT64_MAX: unlimited; not below soft */
};

/** How many bytes name a hand-over of standard streams, see asup_stdio_offer(). */
#define ASUP_STDIO_TOKEN_SIZE 16

/** A program to run as a task or as a finalizer. Only argv is needed. */
struct asup_process {
    const char *const *argv;    /**< NULL-terminated, 1 to 4096; argv[0] is looked up in PATH */
    const char *const *env;     /**< NULL-terminated "NAME=value"; NULL: nothing added */
    bool clear_env;             /**< start from an empty environment */
    const char *cwd;            /**< absolute; NULL: the user's home, or / without one */
    const char *stdin_path;     /**< NULL: /dev/null */
    const char *stdout_path;    /**< NULL: the task's log */
    const char *stderr_path;    /**< NULL: the task's log */
    bool append;                /**< append to those files instead of truncating */
    const uint8_t *stdio_token; /**< ASUP_STDIO_TOKEN_SIZE bytes; NULL: no hand-over */
    bool tty;                   /**< handed-over stdin becomes its controlling terminal */
    const char *user;           /**< name or number; NULL: the caller's (R-CAP-3) */
    int32_t umask;              /**< 0 to 0777; -1: 022 */
    int32_t nice;               /**< -20 to 19; ASUP_NICE_UNSET: not changed */
    const struct asup_rlimit *rlimits; /**< rlimit_count entries */
    size_t rlimit_count;
    uint64_t memory_max;   /**< bytes; 0: no limit of its own */
    uint64_t pids_max;     /**< processes; 0: no limit of its own */
    int32_t cancel_signal; /**< 1 to 64; 0: SIGTERM */
    uint64_t leftover_ns;  /**< for what outlives the main process; ASUP_NEVER: default */
    bool leftover_wait;    /**< wait for leftovers to end by themselves (R-TSK-4) */
    bool notify;           /**< it speaks sd_notify: ready, stopping, watchdog */
    uint64_t watchdog_ns;  /**< longest silence on the notify socket; 0: none */
    uint64_t drain_ns;     /**< cleanup allowance; ASUP_NEVER: the region's (R-CAN-2) */
    uint64_t delay_ns;     /**< stays Created that long; 0: none */
    const char *label;     /**< for people, at most ASUP_LABEL_MAX bytes; NULL: argv[0] */
    uint64_t response_ns;  /**< declared time between checkpoints; 0: none (R-TSK-8) */
    uint32_t mask_depth;   /**< mask allowance: masked checkpoints (R-TSK-3) */
    struct asup_budget_request budget; /**< for a finalizer its time-out is how long it may take */
};

/** asup_process::nice: leave it as it is. */
#define ASUP_NICE_UNSET INT32_MIN

/** Make @p process one that asks for nothing beyond its (missing) argv. */
ASUP_API void asup_process_init(struct asup_process *process);

/* ---- Regions to open --------------------------------------------------------- */

/** A region to open. Everything has a default. */
struct asup_region_options {
    struct asup_region parent; /**< {0}: the root, "/" */
    const char *name;          /**< unique among live siblings, 1 to ASUP_NAME_MAX bytes, no '/';
                                    NULL: named by its id */
    enum asup_policy policy;   /**< R-POL-1; default ASUP_POLICY_COLLECT */
    uint32_t quorum;           /**< k of ASUP_POLICY_QUORUM, at least 1; else 0 */
    struct asup_budget_request budget;
    uint64_t drain_ns;     /**< cleanup allowance; ASUP_NEVER: by the root cause (R-CAN-2) */
    bool soft;             /**< never killed, except under Shutdown (R-REG-8) */
    bool strict;           /**< an obligation that leaks makes its outcome panicked */
    bool is_volatile;      /**< not journalled, nor anything below it (R-DUR-1) */
    bool is_durable;       /**< refused below a volatile region (R-DUR-1) */
    bool attach;           /**< cancelled when this client's session ends (R-SES-1) */
    uint32_t tasks_max;    /**< live tasks; 0: the daemon's limit */
    uint32_t children_max; /**< live child regions; 0: the daemon's limit */
    const struct asup_process
        *finalizers; /**< registered in this order, run last first (R-FIN-1) */
    size_t finalizer_count;
};

/** Make @p options those of a plain `collect` region. */
ASUP_API void asup_region_options_init(struct asup_region_options *options);

/* ---- Outcomes ------------------------------------------------------------------ */

/**
 * Release what an outcome that this library filled in owns: its error text and
 * its chain of reasons. Not for outcomes the caller has put together from
 * borrowed parts.
 */
ASUP_API void asup_outcome_fini(struct asup_outcome *outcome);

/** Release a chain of reasons that this library made. NULL is allowed. */
ASUP_API void asup_reason_free(const struct asup_reason *reason);

/* ---- Regions and tasks as they are ----------------------------------------------- */

/** What is left of an effective budget. */
struct asup_budget_left {
    uint64_t limit_ns;  /**< until the limit; ASUP_NEVER: none */
    uint8_t limit_kind; /**< ASUP_CANCEL_TIMEOUT or ASUP_CANCEL_DEADLINE */
    uint8_t priority;   /**< 0: unset */
    uint32_t polls;     /**< UINT32_MAX: no limit */
    uint64_t cost;      /**< UINT64_MAX: no limit */
};

struct asup_task_info {
    struct asup_task task;
    struct asup_region region;
    char *path; /**< of its region */
    char *label;
    enum asup_task_state state;
    bool finalizer;
    bool ready;              /**< said READY=1, or does not speak the notify protocol and runs */
    uint32_t owner;          /**< uid who submitted it */
    char *user;              /**< whom it runs as */
    int64_t pid;             /**< of its main process; 0: none */
    uint64_t age_ns;         /**< since admission */
    uint64_t started_age_ns; /**< since its start; ASUP_NEVER: not started */
    uint64_t kill_left_ns;   /**< until it will be killed; ASUP_NEVER: not planned */
    int64_t slack_ns;        /**< time to spare (R-BUD-4); INT64_MAX: no limit */
    struct asup_budget_left budget;
    struct asup_reason *reason;  /**< why it is being cancelled; NULL: it is not */
    bool has_outcome;            /**< state is ASUP_TASK_COMPLETED */
    struct asup_outcome outcome; /**< if has_outcome */
    uint64_t log_lost;           /**< bytes of output that could not be kept */
};
ASUP_API void asup_task_info_fini(struct asup_task_info *info);

/** An owned array of tasks, by id. */
struct asup_task_list {
    struct asup_task_info *items;
    size_t count;
    bool more; /**< ask again with after = the last item's id */
};
ASUP_API void asup_task_list_fini(struct asup_task_list *list);

struct asup_region_info {
    struct asup_region region;
    char *name;
    char *path;
    enum asup_region_state state;
    enum asup_policy policy;
    uint32_t quorum; /**< 0 unless policy is ASUP_POLICY_QUORUM */
    uint32_t owner;  /**< uid who opened it */
    bool soft;
    bool is_volatile;             /**< nothing of it outlives the engine (R-DUR-1) */
    struct asup_session attached; /**< {0}: none */
    uint64_t age_ns;
    uint64_t drain_left_ns;    /**< until T; ASUP_NEVER: not closing or without end */
    uint64_t close_by_left_ns; /**< until T + P (R-REG-6); ASUP_NEVER: no promise */
    struct asup_budget_left budget;
    struct asup_reason *reason;  /**< why it was cancelled; NULL: it was not */
    bool has_outcome;            /**< state is ASUP_REGION_CLOSED */
    struct asup_outcome outcome; /**< if has_outcome */
    uint64_t tasks_live;
    uint64_t tasks_total; /**< ever admitted */
    uint64_t finalizers;  /**< registered and not yet run */
};
ASUP_API void asup_region_info_fini(struct asup_region_info *info);

/** Answer to a checkpoint: has somebody asked this task to stop? */
struct asup_checkpoint {
    bool cancel_requested;
    uint64_t drain_left_ns;     /**< until it will be killed; ASUP_NEVER: not planned */
    struct asup_reason *reason; /**< NULL unless cancel_requested */
    uint32_t mask_left;         /**< left of its mask allowance (R-TSK-3) */
};
ASUP_API void asup_checkpoint_fini(struct asup_checkpoint *checkpoint);

/** A piece of a task's output. */
struct asup_log_chunk {
    uint8_t *data; /**< size bytes; NULL when size is 0 */
    size_t size;
    uint64_t offset;      /**< of data[0] in the whole output */
    uint64_t next_offset; /**< where to read on */
    uint64_t lost;        /**< bytes of the output that could not be kept so far */
    bool end;             /**< the task has ended and nothing follows */
};
ASUP_API void asup_log_chunk_fini(struct asup_log_chunk *chunk);

/* ---- Events ------------------------------------------------------------------------ */

/** Something that happened. The names of the kinds are in
 *  asupersync-protocol(7). */
struct asup_event {
    uint64_t seq;                /**< 1, 2, 3, …: one order for the whole daemon */
    asup_time at;                /**< kernel time */
    uint64_t at_wall_ns;         /**< Unix time in ns, for display */
    char *event;                 /**< "task-started", … */
    struct asup_region region;   /**< {0}: none */
    struct asup_task task;       /**< {0}: none */
    struct asup_session session; /**< {0}: none */
    struct asup_ref subject;     /**< obligation, channel, message, saga or capability; {0}: none */
    struct asup_ref holder;      /**< task or session that holds it, or did this; {0}: none */
    char *path;                  /**< of the region; "" when not told */
    char *text;                  /**< name, label or message; "" when not told */
    uint64_t value;              /**< one number, by kind; 0 when not told */
    struct asup_reason *reason;  /**< NULL: none */
    bool has_outcome;
    struct asup_outcome outcome; /**< if has_outcome */
};
ASUP_API void asup_event_fini(struct asup_event *event);

/** An owned array of events, by seq. */
struct asup_event_list {
    struct asup_event *items;
    size_t count;
    uint64_t next;   /**< where to watch on: the `since` of the next call */
    uint64_t oldest; /**< the oldest event still kept */
};
ASUP_API void asup_event_list_fini(struct asup_event_list *list);

/* ---- Why --------------------------------------------------------------------------- */

/** One link in the chain of what something waits for. */
struct asup_why_link {
    char *id;   /**< "r3", "t7", "s2" */
    char *kind; /**< "region", "task", "finalizer", "session", "process" */
    char *state;
    char *name;  /**< path, label or command */
    char *note;  /**< one sentence */
    int64_t pid; /**< 0: none */
    uint64_t age_ns;
    uint64_t budget_left_ns; /**< ASUP_NEVER: no limit */
};

/** A named trouble; asupersync-troubleshooting(7) tells cause and cure. */
struct asup_trouble {
    char *name; /**< "RegionCloseTimeout", … */
    char *id;
    char *message;
};

struct asup_why {
    char *id;
    char *state;
    char *summary; /**< one sentence */
    struct asup_why_link *chain;
    size_t chain_count;
    struct asup_trouble *trouble;
    size_t trouble_count;
};
ASUP_API void asup_why_fini(struct asup_why *why);

/* ---- The daemon --------------------------------------------------------------------- */

/** One limit of the daemon and how much of it is used. */
struct asup_limit_info {
    char *name;    /**< as `busy` answers name it */
    uint64_t used; /**< ASUP_NEVER: not counted as a whole */
    uint64_t max;
};

struct asup_daemon_info {
    char *version;
    uint32_t protocol;
    char *containment; /**< "cgroup2", "cgroup2-cooperative" or "subreaper" */
    char *mode;        /**< "system" or "user" */
    char *state;       /**< "running", "draining" or "shutting-down" */
    char *runtime_dir;
    char *state_dir;
    int64_t pid; /**< of the keeper */
    int64_t engine_pid;
    uint64_t engine_runs; /**< 1 when it never had to be started again */
    uint64_t uptime_ns;
    uint64_t regions, tasks, running, sessions, waits, connections, draining;
    asup_time now; /**< kernel time */
    uint64_t now_wall_ns;
    bool memory_limits; /**< asup_process::memory_max works here */
    bool pids_limits;   /**< asup_process::pids_max works here */
    struct asup_limit_info *limits;
    size_t limit_count;
};
ASUP_API void asup_daemon_info_fini(struct asup_daemon_info *info);

#ifdef __cplusplus
}
#endif

#endif
