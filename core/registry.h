/* SPDX-License-Identifier: MIT */
/*
 * The obligation registry's part of the kernel's interface: what requests about
 * obligations, channels, leases, calls and workers, sagas and capabilities
 * carry, and how what stands in the registry is read.
 *
 * Included by kernel.h, which says what holds for all of it.
 */
#ifndef ASUPERSYNC_CORE_REGISTRY_H
#define ASUPERSYNC_CORE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asupersync/types.h"

struct bytes {
    const void *data;
    size_t size;
};

/* ---- Obligations (§4) ------------------------------------------------------- */

/* An I/O operation that is in flight outside the daemon. */
struct io_params {
    struct bytes label;  /* 0 to ASUP_LABEL_MAX bytes, for people */
    uint64_t timeout_ns; /* then it is Aborted; ASUP_NEVER: none */
};

struct obligation_view {
    uint64_t id;
    uint64_t region;        /* in whose ledger it stands */
    struct asup_ref holder; /* a task or a session */
    uint64_t channel;       /* permits and acks; else 0 */
    uint64_t message;       /* acks; else 0 */
    struct bytes name;      /* of the lease or channel, label of the I/O operation */
    uint64_t token;         /* leases: the fencing token; else 0 */
    asup_time at;           /* since when */
    asup_time deadline;     /* ASUP_NEVER: none */
    uint32_t uid;           /* owner of the region */
    uint8_t kind;           /* enum asup_obligation_kind */
};

/* One that ended; the last 4096 are remembered. None of the flags: aborted by its holder. */
struct obligation_ended_view {
    uint64_t id;
    uint64_t region;
    struct asup_ref holder;
    asup_time at;
    uint32_t uid; /* owner of the region; the daemon's when that is forgotten */
    uint8_t kind;
    bool committed;
    bool leaked;        /* its holder ended (R-OBL-3) */
    bool expired;       /* aborted, its time ended */
    bool region_closed; /* aborted, its region's drain ended (R-OBL-4) */
};

/* A task or session that holds something. */
struct holder_view {
    uint32_t held;
    asup_time progress_at; /* of a task: its last sign of progress */
    bool stuck;            /* FuturelockViolation was reported, no progress since (R-OBL-6) */
};

/* ---- Channels (§4) ------------------------------------------------------------ */

struct channel_params {
    struct bytes name;          /* unique among the live channels of its region; empty: its id */
    uint32_t capacity;          /* queued + permits + unacknowledged; at least 1 */
    uint64_t ack_timeout_ns;    /* an ack not settled by then is Aborted; ASUP_NEVER: none */
    uint64_t permit_timeout_ns; /* likewise a permit */
    uint32_t nacks_max;         /* so many nacks and deaths of receivers: dead letter; 0: no cap */
    uint32_t timeouts_max;      /* likewise for ack timeouts */
    uint64_t dead_retention_ns; /* how long a dead letter is kept; ASUP_NEVER: the configured */
};

struct channel_view {
    uint64_t id, region;
    struct bytes name;
    uint32_t uid;
    bool sealed;
    bool closed; /* with its region; kept for its dead letters */
    uint32_t capacity;
    uint32_t queued, permits, unacked;
    uint32_t dead;           /* dead letters that came from it and are kept */
    uint64_t sent, consumed; /* ever */
    uint64_t bytes;          /* in messages it holds */
    uint32_t receivers;      /* parked */
    uint32_t senders;        /* parked */
    uint64_t message_first;  /* the next to be received; 0: none is queued */
    uint64_t ack_timeout_ns, permit_timeout_ns, dead_retention_ns;
    asup_time opened_at;
    uint32_t nacks_max, timeouts_max;
};

enum message_end { /* why a delivery did not end in a commit */
                   MESSAGE_NACKED,
                   MESSAGE_DEATH,   /* its receiver ended */
                   MESSAGE_TIMEOUT, /* of its ack */
                   MESSAGE_CLOSED,  /* its region closed */
};

struct message_view {
    uint64_t id;      /* order within its channel; of the sort 'm' */
    uint64_t channel; /* may be gone when it is a dead letter */
    uint64_t region;
    uint64_t next; /* of its channel, received or not, or of the dead letters; 0: none */
    struct bytes channel_name;
    struct bytes data;
    struct asup_ref sender;
    asup_time sent_at;
    uint32_t uid;
    uint32_t deliveries, nacks, deaths, timeouts;
    bool received; /* an ack stands for it */
    bool dead;
    asup_time dead_at, dead_until;
    uint8_t dead_why;  /* enum message_end */
    struct bytes note; /* what the last nack said, or "" */
    /* The last deliveries that failed, oldest first. */
    uint32_t history_count;
    struct {
        struct asup_ref receiver;
        asup_time at;
        uint8_t why; /* enum message_end */
    } history[8];
};

/* ---- Leases (§4) ----------------------------------------------------------------- */

struct lease_params {
    struct bytes name; /* 1 to ASUP_NAME_MAX bytes, unique in its region */
    uint64_t ttl_ns;   /* held on [grant, grant + ttl) */
};

struct lease_view {
    uint64_t region;
    struct bytes name;
    uint32_t uid;
    uint64_t obligation;    /* 0: not held */
    struct asup_ref holder; /* or who held it last while `cooling` */
    uint64_t token;         /* of the last grant */
    asup_time granted_at;
    asup_time expires_at; /* while `cooling`: when it ended */
    bool cooling;         /* ended, but the task that held it is not gone yet */
    uint32_t waiters;     /* parked */
};

/* ---- Calls and workers (§3) --------------------------------------------------------- */

/* When a task is run again. Attempts count from 1; a backoff doubles from
 * `backoff_ns` up to `backoff_most_ns`. */
struct retry_params {
    uint32_t attempts; /* in all; 0 and 1: no retry */
    uint64_t backoff_ns, backoff_most_ns;
};

/* What a worker says of its own. */
struct offer_params {
    const struct bytes *names; /* computations; 1 to 64 of them */
    uint32_t name_count;
    uint32_t concurrency; /* calls running at once */
    uint32_t prefetch;    /* taken beyond those and not started */
    uint64_t response_ns; /* declared longest time between checkpoints; 0: none (R-TSK-8) */
    uint32_t mask_depth;
    uint64_t quiet_ns; /* without a sign of life that long, its calls are lost;
                          ASUP_NEVER: its session's time to live */
};

/* How a call ended, as its worker tells it. */
struct completion {
    uint64_t task;
    uint32_t attempt;     /* which attempt; 0: the one that runs */
    uint8_t severity;     /* ASUP_OK, ASUP_ERR, ASUP_CANCELLED (only when asked), ASUP_PANICKED */
    int32_t code;         /* the worker's own; -1: none */
    struct bytes message; /* 0 to ASUP_MESSAGE_MAX bytes */
    struct bytes result;
};

struct worker_view {
    uint64_t session;
    struct asup_ref holder; /* the task or session that offered */
    uint32_t uid;
    uint64_t region; /* whose calls it serves: of this region and below */
    bool quiet;      /* for longer than its lease: it waits for the end of its task */
    bool fenced;     /* its calls were lost: it gets nothing until it offers anew */
    uint64_t quiet_ns;
    uint32_t name_count;
    struct bytes names[64];
    uint32_t concurrency, prefetch;
    uint32_t running, taken;
    bool draining;
    uint64_t response_ns;
    asup_time seen_at;   /* last sign of life */
    uint64_t done, lost; /* ever */
    uint64_t call_first; /* taken or running; 0: none */
    bool waits;          /* for calls */
};

/* What there is of calls, for `status` and `why`. */
struct service_view {
    uint32_t queued; /* calls of that name that wait in the same place */
    uint32_t taken;
    uint32_t workers; /* that would get them, now or later */
};

struct call_view { /* beside struct task_view */
    struct bytes name, input;
    uint32_t attempt; /* that was begun last, 1 the first time; 0: none yet */
    uint32_t attempts;
    uint64_t worker;              /* session that has it; 0: none */
    bool started;                 /* false: taken only */
    asup_time taken_at;           /* by that worker */
    bool ghost;                   /* ended by force, and its worker is at it still */
    uint64_t next;                /* of its worker's; 0: none */
    struct bytes key;             /* idempotency key it was submitted under, or "" */
    struct bytes result, message; /* Completed */
};

/* ---- Sagas (§5) ------------------------------------------------------------------------ */

enum saga_state {
    SAGA_RUNNING,      /* steps may be added */
    SAGA_COMPENSATING, /* in reverse order, one at a time */
    SAGA_NEEDS_ATTENTION,
    SAGA_COMPLETED, /* off the stack: nothing will be undone */
    SAGA_COMPENSATED,
};

enum step_state {
    STEP_RUNNING, /* its action is under way */
    STEP_DONE,
    STEP_FAILED,
    STEP_COMPENSATING,
    STEP_COMPENSATED,
    STEP_NEEDS_ATTENTION,
    STEP_RESOLVED, /* by an operator */
};

enum saga_resolution { SAGA_RETRY, SAGA_RESOLVE };

struct task_params;

struct saga_step_params {
    struct bytes name;                /* 1 to ASUP_NAME_MAX bytes */
    const struct task_params *action; /* NULL: the driver does it by itself; it is done when
                                         the next step begins or the saga completes */
    const struct task_params *undo;   /* the compensation; its timeout is its budget */
    struct retry_params retry;        /* of the compensation */
};

struct saga_view {
    uint64_t id, region;
    struct bytes name;
    uint32_t uid;
    struct asup_ref driver;
    uint8_t state; /* enum saga_state */
    uint32_t step_count;
    uint32_t step_at; /* being compensated */
    asup_time begun_at, ended_at;
};

struct saga_step_view {
    struct bytes name;
    uint8_t state;   /* enum step_state */
    uint64_t action; /* task; 0: the driver's own */
    uint64_t undo;   /* task of the last attempt; 0: none yet */
    uint32_t attempts, attempts_most;
    asup_time next_at; /* of the next attempt; ASUP_NEVER: none planned */
};

/* ---- Capabilities (R-CAP) ------------------------------------------------------------------ */

struct derive_params {
    uint32_t rights;          /* bits of enum asup_right */
    uint8_t priority_ceiling; /* 0: that of its parent */
    asup_time limit_at;       /* budget ceiling for what is made with it; ASUP_NEVER: none */
    uint64_t cost_ceiling;    /* UINT64_MAX: none */
    uint32_t poll_ceiling;    /* UINT32_MAX: none */
};

struct capability_view {
    uint64_t id;
    uint64_t parent; /* capability it was derived from; 0: from a task's or session's own */
    uint64_t region;
    struct asup_ref owner; /* the task or session whose it is, and that it identifies */
    uint32_t uid;
    uint32_t rights;
    uint8_t priority_ceiling;
    asup_time limit_at;
    uint64_t cost_ceiling;
    uint32_t poll_ceiling;
    asup_time granted_at;
    bool revoked; /* kept while it holds something */
};

#endif
