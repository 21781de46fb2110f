/* SPDX-License-Identifier: MIT */
/*
 * The kernel: a pure state machine that holds the rules of structured
 * concurrency (asupersync-semantics(7), cited as R-...).
 *
 * An input is a fact with a time. A step decides (and may refuse, leaving no
 * mark: R-EVT-2), then emits events, each of which is applied at once by the
 * only code that writes state (R-EVT-1), then leaves effects: orders to the
 * shell. No clock, no errno, no threads, no globals, no libc beyond string.h.
 *
 *      input --> kernel_step --> events (what changed; the trace)
 *                          \---> effects (what the shell must do now)
 *
 * One kernel belongs to one thread. Text and bytes in inputs are borrowed for
 * the call; those in events and effects stay valid until the next step.
 */
#ifndef ASUPERSYNC_CORE_KERNEL_H
#define ASUPERSYNC_CORE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asupersync/error.h"
#include "asupersync/types.h"
#include "core/registry.h"

struct kernel;

/* Memory comes from the shell. resize(ctx, NULL, 0, n) allocates, (ctx, p,
 * old, n) grows or shrinks, (ctx, p, old, 0) frees and returns NULL. A NULL
 * for n > 0 means "none left" and is refused as ASUP_ENOMEM before anything
 * has changed. */
struct kernel_allocator {
    void *(*resize)(void *ctx, void *ptr, size_t size_old, size_t size_new);
    void *ctx;
};

/* ---- Configuration -------------------------------------------------------- */

/* Every limit has a name; `busy` answers carry it (R-SCH-4).
 * X(field, type, default, "name") */
#define KERNEL_LIMIT_LIST(X)                                                                       \
    X(tasks_per_daemon, uint32_t, 1100000, "tasks-per-daemon")                                     \
    X(tasks_per_user, uint32_t, 100000, "tasks-per-user")                                          \
    X(tasks_per_region, uint32_t, 100000, "tasks-per-region")                                      \
    X(regions_per_daemon, uint32_t, 100000, "regions-per-daemon")                                  \
    X(regions_per_user, uint32_t, 10000, "regions-per-user")                                       \
    X(children_per_region, uint32_t, 10000, "children-per-region")                                 \
    X(finalizers_per_region, uint32_t, 256, "finalizers-per-region")                               \
    X(sessions_per_daemon, uint32_t, 4096, "sessions-per-daemon")                                  \
    X(sessions_per_user, uint32_t, 1024, "sessions-per-user")                                      \
    X(waits_per_daemon, uint32_t, 16384, "waits-per-daemon")                                       \
    X(waits_per_user, uint32_t, 12288, "waits-per-user")                                           \
    X(bytes_per_daemon, uint64_t, (uint64_t)1 << 30, "queued-bytes-per-daemon")                    \
    X(bytes_per_user, uint64_t, (uint64_t)256 << 20, "queued-bytes-per-user")                      \
    X(depth, uint32_t, ASUP_DEPTH_MAX, "region-depth")                                             \
    X(requests_per_session, uint32_t, 4096, "requests-per-session")                                \
    X(retained, uint32_t, 100000, "retained-outcomes")                                             \
    X(obligations_per_daemon, uint32_t, 1100000, "obligations-per-daemon")                         \
    X(obligations_per_user, uint32_t, 100000, "obligations-per-user")                              \
    X(channels_per_daemon, uint32_t, 100000, "channels-per-daemon")                                \
    X(channels_per_user, uint32_t, 10000, "channels-per-user")                                     \
    X(dead_letters_per_user, uint32_t, 10000, "dead-letters-per-user")                             \
    X(leases_per_user, uint32_t, 10000, "leases-per-user")                                         \
    X(offers_per_user, uint32_t, 4096, "offers-per-user")                                          \
    X(result_bytes, uint64_t, (uint64_t)1 << 20, "result-bytes")                                   \
    X(results_per_daemon, uint64_t, (uint64_t)256 << 20, "result-bytes-per-daemon")                \
    X(sagas_per_region, uint32_t, 256, "sagas-per-region")                                         \
    X(steps_per_saga, uint32_t, 256, "steps-per-saga")                                             \
    X(capabilities_per_user, uint32_t, 10000, "capabilities-per-user")                             \
    X(keys_per_user, uint32_t, 100000, "idempotency-keys-per-user")

struct kernel_limits {
#define KERNEL_LIMIT_FIELD(field, type, preset, name) type field;
    KERNEL_LIMIT_LIST(KERNEL_LIMIT_FIELD)
#undef KERNEL_LIMIT_FIELD
};

/* Fresh allowance for cleanup by the root cause's tier (R-CAN-2). */
struct kernel_allowance {
    uint64_t drain_ns;
    uint32_t polls;
};

struct kernel_config {
    struct kernel_limits limits;
    struct kernel_allowance allowance[6]; /* by tier: 30 s/1000, 15 s/500, 10 s/300,
                                             10 s/200, 10 s/200, 5 s/50 */
    uint64_t leftover_ns;                 /* 2 s   R-TSK-4 */
    uint64_t finalizer_ns;                /* 10 s  R-REG-6 */
    uint64_t finalizer_hurry_ns;          /* 1 s   R-REG-6, second Shutdown */
    uint64_t retention_ns;                /* 1 h   R-TSK-6 */
    uint64_t session_ttl_ns;              /* 30 s  R-SES-1 */
    uint64_t session_ttl_ns_max;          /* 1 h */
    uint64_t kill_grace_ns;               /* 5 s: killed and still there: RegionCloseTimeout */
    uint64_t sample_ns;                   /* 100 ms R-BUD-3 */
    uint64_t ageing_ns;                   /* 100 ms of waiting weighs one priority step (§7) */
    uint64_t start_patience_ns;           /* 1 s: then a start leaves the window unanswered */
    uint64_t futurelock_ns;               /* 60 s  R-OBL-6; ASUP_NEVER: off */
    uint64_t lease_ttl_ns_max;            /* 24 h */
    uint64_t ack_timeout_ns;              /* 30 s, unless the channel says otherwise */
    uint64_t permit_timeout_ns;           /* 60 s, likewise */
    uint64_t dead_retention_ns;           /* 7 d   dead letters */
    uint64_t key_retention_ns;            /* 24 h  R-IDM-1 */
    uint32_t nacks_max;                   /* 16    R-OBL: then a message is a dead letter */
    uint32_t timeouts_max;                /* 16 */
    bool strict;                          /* a leak counts Panicked, not Err (R-POL-1) */
    uint32_t fairness;                    /* L = 16 R-SCH-2 */
    uint32_t start_window;                /* starts ordered and not yet answered, at most; 64 */
    uint32_t picks_per_step;              /* lane picks a step, at most; 256 */
    uint32_t root_uid;                    /* owner of "/" */
    uint64_t id_first;                    /* every sort counts from here (>= 2) */
};

/* The defaults above, and nothing else. */
void kernel_config_init(struct kernel_config *config);

/* ---- Inputs --------------------------------------------------------------- */

enum input_kind {
    IN_TICK, /* only time */

    /* requests: each is answered by exactly one FX_REPLY with its token,
     * waits when what they wait for is there */
    IN_SESSION_OPEN,
    IN_SESSION_RESUME,
    IN_SESSION_KEEPALIVE,
    IN_SESSION_BYE,
    IN_REGION_OPEN,
    IN_REGION_END,
    IN_TASK_SUBMIT,
    IN_TASK_CANCEL,
    IN_TASK_CHECKPOINT, /* spends one poll and observes a cancel, unless it is masked */
    IN_TASK_PROGRESS,   /* spends cost and observes likewise */
    IN_FINALIZER_DEFER,
    IN_OBLIGATION_RESERVE,  /* an I/O operation */
    IN_OBLIGATION_COMMIT,   /* an I/O operation is complete */
    IN_OBLIGATION_ABORT,    /* of any kind: gives a permit back, nacks, releases, cancels */
    IN_OBLIGATION_TRANSFER, /* to another holder (R-OBL-2) */
    IN_CHANNEL_OPEN,
    IN_CHANNEL_SEAL,    /* no more intake */
    IN_CHANNEL_RESERVE, /* made: a permit; parks while the channel is full */
    IN_CHANNEL_SEND,    /* into a permit, or (obligation 0) reserve and send in one step */
    IN_CHANNEL_RECEIVE, /* made: an ack; parks while nothing is queued */
    IN_CHANNEL_ACK,
    IN_CHANNEL_NACK,
    IN_CHANNEL_EXTEND, /* an ack's time starts anew */
    IN_DEAD_RETRY,     /* back into its channel, or another one */
    IN_DEAD_DISCARD,
    IN_LEASE_ACQUIRE, /* made: a lease; parks while another holds it */
    IN_LEASE_RENEW,
    IN_LEASE_RELEASE,
    IN_WORKER_OFFER,
    IN_WORKER_WITHDRAW, /* one offer, or all */
    IN_WORKER_DRAIN,    /* nothing new; what it has it finishes */
    IN_WORKER_START,    /* calls it took begin; says which may */
    IN_WORKER_NEXT,     /* up to n calls and cancels in one answer; parks while there are none */
    IN_CALL_COMPLETE,
    IN_SAGA_BEGIN,
    IN_SAGA_STEP, /* made: the action's task; without one the saga */
    IN_SAGA_COMPLETE,
    IN_SAGA_ABORT,
    IN_SAGA_RESOLVE, /* an operator's answer to NeedsAttention */
    IN_CX_DERIVE,
    IN_CX_REVOKE,
    IN_WAIT,
    IN_SHUTDOWN,
    IN_BATCH, /* several of REGION_OPEN, REGION_END, TASK_SUBMIT, TASK_CANCEL,
                 FINALIZER_DEFER: all are admitted or none (atomic) */

    /* facts: never refused, never answered; about something unknown or past
     * they do nothing */
    IN_CONFIG,           /* a new configuration is in force */
    IN_SESSION_ATTACHED, /* a connection of that session came */
    IN_SESSION_LOST,     /* its last connection went: the time to live starts */
    IN_WAIT_DROPPED,     /* who waited is gone; no answer is sent */
    IN_TASK_STARTED,     /* exec succeeded */
    IN_TASK_START_FAILED,
    IN_TASK_SIGNALLED, /* the cancel signal was delivered, or came too late */
    IN_TASK_EXITED,    /* the main process ended */
    IN_TASK_EMPTY,     /* nothing of it is left in its cgroup; a shell that knows both says this
                          first, so that no leftovers are looked for */
    IN_TASK_READY,     /* READY=1 */
    IN_TASK_STOPPING,  /* STOPPING=1: it observed the cancel (R-TSK-2) */
    IN_TASK_EXTEND,    /* EXTEND_TIMEOUT_USEC: own end later, never beyond T */
    IN_TASK_WATCHDOG,  /* WATCHDOG=1 */
    IN_TASK_SAMPLED,   /* CPU time so far, the answer to FX_SAMPLE */
    IN_TASK_LOG_LOST,  /* some of its output could not be kept */
    IN_REGION_SWEPT,   /* answer to FX_SWEEP: cgroup and work directory */
    IN_JOURNAL_STATE,  /* the journal failed, or works again: admission follows */
    IN_TASK_LOST,      /* before RESUMED: the keeper knows nothing of a task that had started */
    IN_RESUMED,        /* the fold of the journal is complete, the keeper's rows are told:
                          effects still owed go out again */
};

/* What the daemon's policy leaves a user (R-CAP-2), as the shell says with each
 * request; all zero: everything in its own regions. It is the most that counts for
 * whatever this user asks for, by itself or by a capability of its own, and it is
 * kept nowhere: a policy that changed counts from the next request on. */
struct standing {
    uint64_t region;     /* all rights are for it and below, whoever's that is, and for nothing
                            else; 0: for the user's own regions; an unknown id: for nothing */
    uint64_t timeout_ns; /* ceilings of each thing that is made; 0: none */
    uint64_t cost;
    uint32_t polls;
    uint32_t withheld; /* rights that it has not (enum asup_right) */
    uint32_t granted;  /* ASUP_RIGHT_ADMIN, or nothing; not if it is withheld as well */
    uint8_t priority;  /* ceiling; 0: none */
};

/* Who asks. Who shows a capability may what that says and no more (R-CAP-1); who
 * shows none may touch what is in regions of its own uid, and uid 0 and root_uid
 * everything (R-CAP-2). */
struct caller {
    uint64_t session; /* 0: none */
    uint64_t task;    /* whose own capability the request shows; 0: none */
    uint64_t cx;      /* derived capability the request shows; 0: none */
    uint64_t actor;   /* task that asks with a capability that was handed to it, and holds what it
                         gets; only from a shell that knows who runs; 0: whose the capability is */
    uint32_t uid;
    struct standing standing;
};

/* The budget a request asks for, on top of what it inherits. */
struct budget_request {
    uint64_t timeout_ns;   /* relative; ASUP_NEVER: none */
    asup_time deadline_at; /* kernel time; ASUP_NEVER: none */
    uint32_t poll_quota;   /* UINT32_MAX: none */
    uint64_t cost_quota;   /* UINT64_MAX: none */
    uint8_t priority;      /* 0: unset */
};

/* A process to run. The spec is opaque here: it is kept until the start is
 * answered and handed back with FX_START. */
struct task_params {
    struct bytes label; /* 0 to ASUP_LABEL_MAX bytes, for people */
    struct bytes spec;  /* a call: its input */
    struct bytes call;  /* name of the computation; empty: a process */
    struct bytes key;   /* a call: its idempotency key, for its worker */
    struct retry_params retry;
    struct budget_request budget;
    uint32_t run_uid;      /* whom it runs as; other than caller.uid only for uid 0 */
    uint64_t delay_ns;     /* stays Created that long; 0: none */
    uint64_t drain_ns;     /* own drain option; ASUP_NEVER: the region's */
    uint64_t leftover_ns;  /* ASUP_NEVER: the configured one */
    uint64_t watchdog_ns;  /* 0: none */
    uint64_t response_ns;  /* declared longest time between checkpoints; 0: none (R-TSK-8) */
    uint32_t mask_depth;   /* declared masked checkpoints: its allowance (R-TSK-3) */
    int32_t cancel_signal; /* 1 to 64 */
    bool leftover_wait;    /* leftover: wait */
    bool notify;           /* speaks the notify protocol */
};

struct region_params {
    struct bytes name; /* empty: named by its id text */
    struct budget_request budget;
    uint64_t drain_ns;                    /* ASUP_NEVER: by the root cause */
    uint8_t policy;                       /* enum asup_policy */
    uint32_t quorum;                      /* k for ASUP_POLICY_QUORUM, else 0 */
    uint32_t tasks_max;                   /* 0: the configured limit; may only be smaller */
    uint32_t children_max;                /* likewise */
    bool is_volatile;                     /* R-DUR-1 */
    bool is_durable;                      /* asked for: refused below a volatile region */
    bool strict;                          /* a leak counts Panicked (R-POL-1) */
    bool soft;                            /* R-REG-8 */
    bool attach;                          /* ends with the caller's session (R-SES-1) */
    const struct task_params *finalizers; /* registered in this order, with it or not at all */
    uint32_t finalizer_count;
};

struct region_end_params {
    uint8_t mode;      /* enum asup_end_mode */
    uint64_t drain_ns; /* shorter drain, 0 included; ASUP_NEVER: none */
    struct bytes message;
};

enum wait_until {
    WAIT_STARTED,  /* task: started, or ended without */
    WAIT_READY,    /* task: READY=1, or ended without */
    WAIT_FINISHED, /* task Completed, region Closed */
};

struct process_exit {
    int32_t exit_code; /* -1: ended by a signal, or unknown */
    int32_t signal;    /* 0: none */
    bool core_dumped;
    bool oom_killed;
    bool lost;             /* status unknown: Panicked(lost) */
    bool cancel_delivered; /* the cancel signal reached it while it lived */
    bool kill_delivered;   /* likewise cgroup.kill: `forced` */
    uint64_t cpu_ns;
    uint64_t memory_peak;
};

/* Masks (R-TSK-3). The mask depth that a task declared is its allowance, given
 * once. A masked report (checkpoint or progress) spends one of it, cancelled or
 * not; while there was one to spend the mask holds: the report spends what it
 * spends otherwise, but a cancel is neither told (FX_REPLY says `masked`) nor
 * acknowledged by it. With nothing left it is a report like any other.
 *
 * A mask defers what the task observes, nothing else: reason, T, the kill at T,
 * the end of the cleanup polls and the cancel signal come as they would. A
 * process speaks when it was submitted with `notify`, `response_ns` or
 * `mask_depth`; for one that speaks the signal's delivery acknowledges nothing,
 * for all others it does, whatever they mask (R-TSK-2). */

struct input {
    enum input_kind kind;
    asup_time now;        /* never less than in the step before */
    struct caller caller; /* requests */
    uint64_t token;       /* requests: names the answer; not 0 */
    uint64_t request;     /* client's request id, for R-IDM-1; 0: none */
    uint64_t digest;      /* of the request's content, to tell a repeat from a conflict */
    struct {
        uint64_t digest;       /* of the batch's content */
        uint32_t place, count; /* this one's place, and how many there are */
    } part;                    /* `request` is a batch that is not atomic, and this a part of it
                                  with an answer of its own; count 0: it is not */
    uint64_t region;           /* where it applies (parent for REGION_OPEN) */
    uint64_t task;
    uint64_t session; /* RESUME, ATTACHED, LOST; WORKER_WITHDRAW, WORKER_DRAIN: whose worker, 0:
                         the caller's own */
    uint64_t subject; /* OBLIGATION_*, CHANNEL_*, DEAD_*, LEASE_RENEW, LEASE_RELEASE, SAGA_*,
                         CX_REVOKE: id of the obligation, channel, message, saga, capability */
    struct bytes key; /* idempotency key, scoped by uid and region (R-IDM-1); empty: none */
    uint64_t key_retention_ns; /* 0: the configured one */
    union {
        struct io_params io;
        struct asup_ref transfer; /* the new holder */
        struct channel_params channel_open;
        struct {
            uint64_t timeout_ns; /* how long to park; 0: not at all */
        } reserve;               /* CHANNEL_RESERVE */
        struct {
            uint64_t channel; /* with subject 0: where to */
            struct bytes data;
        } send;
        struct {
            uint64_t timeout_ns;
            uint64_t ack_timeout_ns; /* 0: the channel's */
        } receive;
        struct {
            struct bytes note; /* 0 to ASUP_MESSAGE_MAX bytes */
        } nack;                /* also SAGA_ABORT */
        struct {
            uint64_t channel; /* 0: the one it came from */
        } dead_retry;
        struct {
            struct lease_params lease; /* RENEW: ttl_ns only */
            uint64_t timeout_ns;
        } acquire;
        struct offer_params offer;
        struct {
            struct bytes name; /* empty: all */
        } withdraw;
        struct {
            const uint64_t *tasks;
            uint32_t count;
            int *codes; /* count results */
        } start;
        struct {
            uint32_t most; /* calls wanted, at least 1 */
            uint64_t timeout_ns;
        } next;
        struct completion complete;
        struct {
            struct bytes name; /* empty: its id */
        } saga_begin;
        struct saga_step_params saga_step;
        struct {
            uint8_t how; /* enum saga_resolution */
        } resolve;
        struct derive_params derive;
        struct {
            bool failed;
        } journal;
        struct {
            bool same_keeper;   /* tasks live on: START goes out again where it is owed */
            bool same_boot;     /* else nothing of the former one lives */
            uint64_t id_first;  /* ids go on from here at least; 0: from what is known */
            uint64_t seq_first; /* likewise the numbers of events */
        } resumed;              /* see durable.h */
        struct {
            uint8_t secret_digest[16];
            uint64_t ttl_ns; /* 0: the configured one */
            uint32_t pid;
        } session_open; /* also RESUME: the digest must match */
        struct region_params region_open;
        struct region_end_params end;
        struct task_params submit; /* also DEFER; its timeout is the finalizer's budget */
        struct {
            uint64_t drain_ns;
            struct bytes message;
        } cancel;
        struct {
            bool masked; /* R-TSK-3, see below */
        } checkpoint;
        struct {
            uint64_t cost;
            bool masked;
        } progress;
        struct {
            uint64_t timeout_ns; /* ASUP_NEVER: for ever; 0: poll */
            uint8_t until;       /* enum wait_until */
            bool on_region;      /* waits for `region`, else for `task`; a `subject` is a saga
                                    that shall end, or need attention */
        } wait;
        struct {
            uint64_t within_ns; /* outer limit (R-REG-6); ASUP_NEVER: none */
        } shutdown;
        struct {
            const struct input *items; /* token of each is ignored */
            uint32_t count;
            struct asup_ref *made; /* count results: id made or touched */
            int *codes;            /* count results: what each item by itself is answered;
                                      may be NULL */
        } batch;
        const struct kernel_config *config;
        struct {
            uint32_t pid;
        } started;
        struct {
            const char *stage; /* "fork", "cgroup", "chdir", "exec", ... at most 15 bytes */
            int32_t error;     /* errno */
        } start_failed;
        struct {
            bool delivered;
        } signalled;
        struct process_exit exited;
        struct {
            uint64_t extend_ns;
        } extend;
        struct {
            uint64_t cpu_ns;
        } sampled;
        struct {
            uint64_t size; /* bytes lost so far */
        } log_lost;
        struct {
            int32_t error; /* 0, or errno: tried again by the kernel, and named by why */
        } swept;
    } u;
};

/* ---- Events (§8) ---------------------------------------------------------- */

/* X(NAME, "wire-name", what it touches): the one table of events. What each carries
 * is told beside struct event, what the words of the third column mean in
 * core/resources.h (OWN_ALL where in doubt), which are durable in durable.h. TICK
 * is for shells that trace time; the kernel emits none, since time alone changes
 * nothing. A new one needs a row in codec_events.c and, with a payload, a case in
 * trace_same.c. */
#define KERNEL_EVENT_LIST(X)                                                                       \
    X(CONFIG, "config", OWN_CONFIG)                                                                \
    X(TICK, "tick", OWN_TIME)                                                                      \
    X(SESSION_OPENED, "session-opened", OWN_SESSION | OWN_SESSIONS)                                \
    X(SESSION_LOST, "session-lost", OWN_SESSION)                                                   \
    X(SESSION_ATTACHED, "session-attached", OWN_SESSION)                                           \
    X(SESSION_ENDED, "session-ended", OWN_SESSION | OWN_SESSIONS | OWN_REQUESTS)                   \
    X(REQUEST_BOUND, "request-bound", OWN_SESSION | OWN_REQUESTS)                                  \
    X(REQUEST_PART_BOUND, "request-part-bound", OWN_SESSION | OWN_REQUESTS)                        \
    X(REGION_OPENED, "region-opened", OWN_REGION | OWN_PARENT | OWN_REGIONS | SHARE_SESSION)       \
    X(REGION_SEALED, "region-sealed", OWN_REGION)                                                  \
    X(REGION_CANCEL_REQUESTED, "region-cancel-requested", OWN_REGION | OWN_REASONS)                \
    X(REGION_DECIDED, "region-decided", OWN_REGION | SHARE_DECIDER)                                \
    X(REGION_DRAINING, "region-draining", OWN_REGION)                                              \
    X(REGION_FINALIZING, "region-finalizing", OWN_REGION)                                          \
    X(REGION_SWEEP_ORDERED, "region-sweep-ordered", OWN_REGION)                                    \
    X(REGION_SWEEP_FAILED, "region-sweep-failed", OWN_REGION)                                      \
    X(REGION_CLOSED, "region-closed", OWN_REGION | OWN_PARENT | OWN_RETAINED | SHARE_SESSION)      \
    X(REGION_CLOSE_TIMEOUT, "region-close-timeout", OWN_REGION | OWN_TASK)                         \
    X(REGION_OVERCOMMITTED, "region-overcommitted", OWN_REGION)                                    \
    X(REGION_DRAIN_ENDED, "region-drain-ended", OWN_REGION)                                        \
    X(REGION_FORGOTTEN, "region-forgotten", OWN_REGION | OWN_REGIONS)                              \
    X(TASK_CREATED, "task-created", OWN_TASK | OWN_REGION | OWN_TASKS | OWN_READY | SHARE_LANES)   \
    X(TASK_DUE, "task-due", OWN_TASK | SHARE_REGION | OWN_READY | SHARE_LANES)                     \
    X(TASK_START_ORDERED, "task-start-ordered", OWN_TASK | SHARE_REGION | OWN_LANES)               \
    X(TASK_START_SLOW, "task-start-slow", OWN_TASK | SHARE_REGION | SHARE_LANES)                   \
    X(TASK_STARTED, "task-started", OWN_TASK | SHARE_REGION | OWN_SIGNALS | SHARE_LANES)           \
    X(TASK_START_FAILED, "task-start-failed", OWN_TASK | SHARE_REGION | SHARE_LANES)               \
    X(TASK_READY, "task-ready", OWN_TASK | SHARE_REGION)                                           \
    X(TASK_CANCEL_REQUESTED, "task-cancel-requested",                                              \
      OWN_TASK | SHARE_REGION | OWN_REASONS | OWN_SIGNALS | SHARE_LANES)                           \
    X(TASK_CANCEL_SENT, "task-cancel-sent", OWN_TASK | SHARE_REGION | OWN_LANES)                   \
    X(TASK_CANCEL_ACKED, "task-cancel-acked", OWN_TASK | SHARE_REGION)                             \
    X(TASK_CHECKPOINTED, "task-checkpointed", OWN_TASK | SHARE_REGION)                             \
    X(TASK_MASKED, "task-masked", OWN_TASK | SHARE_REGION)                                         \
    X(TASK_CHARGED, "task-charged", OWN_TASK | SHARE_REGION)                                       \
    X(TASK_SAMPLE_ORDERED, "task-sample-ordered", OWN_TASK | SHARE_REGION)                         \
    X(TASK_EXTENDED, "task-extended", OWN_TASK | SHARE_REGION)                                     \
    X(TASK_WATCHDOG_FED, "task-watchdog-fed", OWN_TASK | SHARE_REGION)                             \
    X(TASK_WATCHDOG_MISSED, "task-watchdog-missed", OWN_TASK | SHARE_REGION)                       \
    X(TASK_ESCALATED, "task-escalated", OWN_TASK | SHARE_REGION | SHARE_LANES)                     \
    X(TASK_MAIN_ENDED, "task-main-ended", OWN_TASK | SHARE_REGION | OWN_SIGNALS | SHARE_LANES)     \
    X(TASK_EMPTIED, "task-emptied", OWN_TASK | SHARE_REGION | SHARE_LANES)                         \
    X(TASK_COMPLETED, "task-completed", OWN_TASK | OWN_REGION | OWN_RETAINED | SHARE_LANES)        \
    X(TASK_BROKE_WORD, "task-broke-word", OWN_TASK | SHARE_REGION)                                 \
    X(TASK_LOG_LOST, "task-log-lost", OWN_TASK | SHARE_REGION)                                     \
    X(TASK_FORGOTTEN, "task-forgotten", OWN_TASK | SHARE_REGION | OWN_TASKS)                       \
    X(FINALIZER_REGISTERED, "finalizer-registered", OWN_TASK | OWN_REGION | OWN_TASKS)             \
    X(FINALIZER_BEGUN, "finalizer-begun", OWN_TASK | SHARE_REGION | OWN_FINALIZERS | SHARE_LANES)  \
    X(FINALIZER_DONE, "finalizer-done", OWN_TASK | OWN_REGION | OWN_RETAINED)                      \
    X(OBLIGATION_RESERVED, "obligation-reserved",                                                  \
      OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_KIND)                                        \
    X(OBLIGATION_COMMITTED, "obligation-committed",                                                \
      OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_KIND)                                        \
    X(OBLIGATION_ABORTED, "obligation-aborted",                                                    \
      OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_KIND)                                        \
    X(OBLIGATION_LEAKED, "obligation-leaked",                                                      \
      OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_KIND)                                        \
    X(OBLIGATION_TRANSFERRED, "obligation-transferred",                                            \
      OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_KIND)                                        \
    X(OBLIGATION_RENEWED, "obligation-renewed",                                                    \
      OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_KIND)                                        \
    X(FUTURELOCK, "futurelock", OWN_ALL)                                                           \
    X(CHANNEL_OPENED, "channel-opened", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                    \
    X(CHANNEL_SEALED, "channel-sealed", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                    \
    X(CHANNEL_CLOSED, "channel-closed", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                    \
    X(MESSAGE_SENT, "message-sent", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                        \
    X(MESSAGE_RECEIVED, "message-received", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                \
    X(MESSAGE_CONSUMED, "message-consumed", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                \
    X(MESSAGE_RETURNED, "message-returned", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                \
    X(MESSAGE_DEAD, "message-dead", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                        \
    X(MESSAGE_RETRIED, "message-retried", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)                  \
    X(MESSAGE_DISCARDED, "message-discarded", OWN_REGION | OWN_HOLDER | OWN_CHANNELS)              \
    X(LEASE_GRANTED, "lease-granted", OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_LEASES)      \
    X(LEASE_ENDED, "lease-ended", OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_LEASES)          \
    X(LEASE_FREE, "lease-free", OWN_REGION | OWN_HOLDER | OWN_OBLIGATIONS | OWN_LEASES)            \
    X(WORKER_OFFERED, "worker-offered", OWN_ALL)                                                   \
    X(WORKER_SEEN, "worker-seen", OWN_ALL)                                                         \
    X(WORKER_WITHDRAWN, "worker-withdrawn", OWN_ALL)                                               \
    X(WORKER_DRAINED, "worker-drained", OWN_ALL)                                                   \
    X(WORKER_LOST, "worker-lost", OWN_ALL)                                                         \
    X(CALL_TAKEN, "call-taken", OWN_ALL)                                                           \
    X(CALL_STARTED, "call-started", OWN_ALL)                                                       \
    X(CALL_GIVEN_BACK, "call-given-back", OWN_ALL)                                                 \
    X(CALL_RETRIED, "call-retried", OWN_ALL)                                                       \
    X(SAGA_BEGUN, "saga-begun", OWN_ALL)                                                           \
    X(SAGA_STEP_BEGUN, "saga-step-begun", OWN_ALL)                                                 \
    X(SAGA_STEP_DONE, "saga-step-done", OWN_ALL)                                                   \
    X(SAGA_STEP_FAILED, "saga-step-failed", OWN_ALL)                                               \
    X(SAGA_COMPENSATING, "saga-compensating", OWN_ALL)                                             \
    X(SAGA_STEP_UNDOING, "saga-step-undoing", OWN_ALL | OWN_TASK | OWN_TASKS)                      \
    X(SAGA_STEP_UNDONE, "saga-step-undone", OWN_ALL)                                               \
    X(SAGA_NEEDS_ATTENTION, "saga-needs-attention", OWN_ALL)                                       \
    X(SAGA_RESOLVED, "saga-resolved", OWN_ALL)                                                     \
    X(SAGA_ENDED, "saga-ended", OWN_ALL)                                                           \
    X(SAGA_FORGOTTEN, "saga-forgotten", OWN_ALL)                                                   \
    X(CAPABILITY_GRANTED, "capability-granted", OWN_REGION | OWN_HOLDER | OWN_CAPABILITIES)        \
    X(CAPABILITY_REVOKED, "capability-revoked", OWN_REGION | OWN_HOLDER | OWN_CAPABILITIES)        \
    X(CAPABILITY_DEAD, "capability-dead", OWN_REGION | OWN_HOLDER | OWN_CAPABILITIES)              \
    X(KEY_BOUND, "key-bound", OWN_ALL)                                                             \
    X(KEY_COMPLETED, "key-completed", OWN_ALL)                                                     \
    X(KEY_FORGOTTEN, "key-forgotten", OWN_ALL)                                                     \
    X(REASON_MADE, "reason-made", OWN_ALL)                                                         \
    X(REGION_CHARGED, "region-charged", OWN_ALL)                                                   \
    X(REGION_REOPENED, "region-reopened", OWN_ALL)                                                 \
    X(REGION_LOST, "region-lost", OWN_ALL)                                                         \
    X(TASK_RERUN, "task-rerun", OWN_ALL)                                                           \
    X(JOURNAL_STATE, "journal-state", OWN_ALL)                                                     \
    X(RESUMED, "resumed", OWN_ALL)

enum event_kind {
#define KERNEL_EVENT_ENUM(name, wire, touches) EV_##name,
    KERNEL_EVENT_LIST(KERNEL_EVENT_ENUM)
#undef KERNEL_EVENT_ENUM
        EV_KIND_COUNT
};

/* An outcome as the kernel keeps it; `reason` is an internal handle whose
 * chain kernel_reason() spells out. */
struct kernel_outcome {
    struct asup_outcome_key key;
    uint8_t origin_sort; /* enum asup_sort */
    bool forced;
    bool lost;
    int32_t exit_code; /* -1: none */
    int32_t signal;    /* 0: none */
    int32_t error;     /* errno of a failed start, or 0 */
    char stage[24];    /* stage of a failed start; "no-winner", "no-quorum",
                             "watchdog", "lost", "finalizer-timeout"; or "" */
    uint32_t reason;   /* 0: none */
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t memory_peak;
};

struct event {
    uint64_t seq; /* 1, 2, 3, ... */
    asup_time at;
    enum event_kind kind;
    uint32_t uid;     /* owner of the subject */
    uint64_t region;  /* subject's region; the region itself for REGION_* */
    uint64_t task;    /* TASK_*, FINALIZER_*; the decider for REGION_DECIDED; what cannot be
                         killed for REGION_CLOSE_TIMEOUT, 0: the region as a whole; else 0 */
    uint64_t session; /* SESSION_*; attached session for REGION_OPENED; WORKER_*, CALL_*: the
                         worker's; else 0 */
    uint64_t subject; /* id of the obligation, channel, message, saga or capability it is about:
                         OBLIGATION_*, LEASE_*, CHANNEL_*, MESSAGE_* (the message), SAGA_*,
                         CAPABILITY_*; else 0 */
    struct asup_ref holder; /* OBLIGATION_*, LEASE_*, MESSAGE_*: who holds, sent or received */
    bool call;              /* TASK_*, FINALIZER_*: the task is a call */
    bool durable;   /* goes into the journal: not volatile by its kind or its region (R-DUR-1) */
    uint64_t value; /* one number, by kind: parent id (REGION_OPENED), pid (STARTED),
                       drain end T (CANCEL_REQUESTED), ms (CHARGED), end (EXTENDED),
                       bytes (LOG_LOST), errno (SWEEP_FAILED), signal (CANCEL_SENT),
                       masks left (MASKED),
                       P in ns (OVERCOMMITTED), a deciding region (DECIDED),
                       number of the step (SAGA_STEP_*, SAGA_NEEDS_ATTENTION), state
                       (SAGA_ENDED), how (SAGA_RESOLVED) */
    const struct kernel_outcome *outcome; /* MAIN_ENDED, COMPLETED, CLOSED, START_FAILED,
                                             REGION_DECIDED, SAGA_STEP_DONE, _FAILED and _UNDONE,
                                             SAGA_NEEDS_ATTENTION; else NULL */
    uint32_t reason;                      /* CANCEL_REQUESTED, ESCALATED: handle; else 0 */
    struct bytes text;   /* name (REGION_OPENED), label (TASK_CREATED), message; else empty */
    const void *payload; /* the rest, private to core: what apply needs */
    size_t payload_size;
};

const char *event_kind_name(enum event_kind kind);

/* ---- Effects -------------------------------------------------------------- */

enum effect_kind {
    FX_REPLY,     /* answer the request `token` */
    FX_START,     /* start the task's process; idempotent by task id */
    FX_SIGNAL,    /* cancel signal plus SIGCONT to every process of the task */
    FX_KILL,      /* cgroup.kill of the task */
    FX_SAMPLE,    /* report the task's CPU time (IN_TASK_SAMPLED) */
    FX_FORGET,    /* the task is completed: its row and cgroup may go */
    FX_SWEEP,     /* remove the region's cgroup and work directory (IN_REGION_SWEPT) */
    FX_QUIESCENT, /* "/" is Closed: nothing is left, exit; or it is shutting down, and all
                     that is left waits for an operator (R-SAG-4) */
};

struct effect {
    enum effect_kind kind;
    uint64_t token;              /* REPLY */
    int code;                    /* REPLY: 0 or -ASUP_E... */
    struct asup_ref made;        /* REPLY: what was made, touched or waited for */
    const struct asup_ref *list; /* REPLY to WORKER_NEXT: calls given (tasks), then cancels;
                                    to BATCH: see there */
    uint32_t list_count;
    uint32_t list_calls; /* of those, how many are calls */
    bool masked;         /* REPLY to a masked report: the mask held, tell of no cancel */
    const char *limit;   /* REPLY with ASUP_EBUSY: the limit's name; else NULL */
    const char *detail;  /* REPLY refused: what was wrong, for people, else NULL;
                            0 and detail: advice (overcommitted responsiveness) */
    uint64_t after;      /* output commit: goes out when this event is on disk, see durable.h;
                            0: at once */
    uint64_t region;     /* START, SWEEP */
    uint64_t task;
    uint32_t uid;      /* START, SWEEP: whom it runs as */
    int32_t signal;    /* SIGNAL */
    struct bytes spec; /* START */
};

/* What came of a step. Owned by the kernel, valid until the next step. */
struct step {
    const struct event *events;
    size_t event_count;
    const struct effect *effects;
    size_t effect_count;
};

/* ---- Lifecycle and stepping ------------------------------------------------ */

/* NULL: no memory, or the configuration makes no sense. "/" is open, with
 * ASUP_ROOT_ID. */
struct kernel *kernel_new(const struct kernel_config *config,
                          const struct kernel_allocator *allocator, asup_time now);
void kernel_free(struct kernel *k);

/* One step. Timers due at or before in->now fire first, by (time, regions before
 * sessions before tasks, id); what they do happens at in->now. Returns 0, or the
 * code that the request was refused with (also in its FX_REPLY). -ASUP_ENOMEM
 * for a fact or IN_TICK: it was not taken and must be brought again (small ones
 * never, unless a saga is open: their memory is reserved); the events and effects of the step count
 * all the same. */
int kernel_step(struct kernel *k, const struct input *in, struct step *out);

/* Fold one event into the state: replay, into a kernel that began with the same
 * configuration and time. Traps when memory is exhausted. */
void kernel_apply(struct kernel *k, const struct event *ev);

/* When the next step is due though nothing happened; ASUP_NEVER: not at all;
 * an instant in the past: at once (lanes still hold runnable entries). */
asup_time kernel_next_deadline(const struct kernel *k);

/* Hash of the whole state: equal states, equal digests. */
uint64_t kernel_digest(const struct kernel *k);

/* NULL when every invariant of §9 holds, else the name of a broken one. Debug
 * builds call it after every step. */
const char *kernel_check(const struct kernel *k);

/* V(Σ) of R-SCH-3. */
uint64_t kernel_potential(const struct kernel *k);

/* What the governor makes of it: advice that reorders picks and breaks no rule. */
enum kernel_advice {
    ADVICE_NONE,
    ADVICE_MEET_DEADLINES,
    ADVICE_DRAIN_OBLIGATIONS,
    ADVICE_DRAIN_REGIONS,
};
enum kernel_advice kernel_advice(const struct kernel *k);
const char *kernel_advice_name(enum kernel_advice advice);

/* The largest id handed out so far, of any sort. */
uint64_t kernel_id_last(const struct kernel *k);

#include "core/views.h"

#endif
