/* SPDX-License-Identifier: MIT */
/*
 * The engine as one struct, and the order in which things happen in it.
 *
 * Everything here belongs to the loop's thread. What other threads do (the log
 * thread, the report thread) ends in a queue that wakes the loop.
 *
 *   facts (link, notify, timers, logs) --> engine_feed --.
 *   requests (server -> dispatch -> op_*.c) --> engine_ask --> kernel_step
 *                                                               |
 *       events --> journal, window (events.watch), hooks (troubles, logs, sessions)
 *       effects --> output.c, in order, after the events --> effects.c
 *
 * A fact that comes while a step's effects are being carried out waits in the
 * inbox: effects borrow from the kernel until the next step. So does one that
 * the kernel found no memory for, with all that come after it.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_STATE_H
#define ASUPERSYNC_DAEMON_ENGINE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "core/durable.h"
#include "core/kernel.h"
#include "daemon/config.h"
#include "daemon/engine.h"
#include "daemon/engine/cx.h"
#include "daemon/engine/idpages.h"
#include "daemon/engine/ids.h"
#include "daemon/engine/list.h"
#include "daemon/engine/logs.h"
#include "daemon/engine/server.h"
#include "daemon/engine/window.h"
#include "daemon/link.h"
#include "proto/message.h"

struct adopted;
struct keeper_link;
struct handover;
struct held;
struct journal;

/* Where the last event was: a region and those above it, innermost first. */
struct above {
    uint64_t region; /* 0: not known */
    uint32_t count;
    uint64_t ids[ASUP_DEPTH_MAX + 2];
};

enum engine_phase { PHASE_RUNNING, PHASE_DRAINING, PHASE_SHUTTING_DOWN };

/* What waits for the journal, in order (output.c). */
struct output {
    struct held *head, *tail;
    size_t count;
};

/* A fact that waits, with the only bytes that facts borrow. */
struct inbox_fact {
    struct input in;
    char stage[16];
};

struct inbox {
    struct inbox_fact *facts;
    size_t count, capacity;
    bool starved; /* the last step found no memory: facts wait until one does */
};

struct engine {
    struct engine_options options;
    struct config config;
    uint64_t policy_changes; /* since the start: a connection looks for its rule anew */
    struct ev_loop *loop;
    struct kernel *kernel;
    struct ids ids;
    struct cx_key cx_key; /* capability tokens are made with it */
    struct inbox inbox;
    bool stepping;
    enum engine_phase phase;

    struct journal *journal;
    struct output output;
    struct durable_buffer event_bytes; /* of the event being added */
    uint64_t durable_seq;              /* of the last event that was added */
    uint64_t seq_reserved;             /* numbers of events below it may be used */
    uint64_t failing_since;            /* clock_boot() */
    bool journal_failing;
    bool same_boot, same_keeper; /* as those the journal was written under */
    bool snapshot_starved;
    size_t snapshot_size; /* of the last one; 0: not known */
    asup_time started_at; /* kernel time */
    int exit_code;

    /* what a step in progress answers at once */
    uint64_t asked; /* token; 0: nobody waits on the spot */
    struct answer *answer;

    struct server *server;
    char socket_path[128];
    uint64_t token_last;      /* of operations that are not an exchange */
    struct idmap sessions;    /* first word of the secret's digest -> struct session */
    struct idmap session_ids; /* id -> struct session */
    struct list watchers;     /* parked events.watch, struct parked */
    struct list followers;    /* parked task.logs, struct parked */
    uint32_t parked_count;    /* those two */
    struct idmap parked_uids; /* uid + 1 -> how many of those are its own */
    bool events_pending;      /* watchers are to be told */

    struct proto_memory *memory;      /* of the request being handled */
    struct proto_memory *spec_memory; /* of the spec being built */
    struct proto_writer writer;       /* of the answer being written */
    struct proto_writer wait_writer;  /* of the answer to a held request */
    struct proto_writer event_writer;

    struct window window;
    struct above above;
    struct logs *logs;

    struct keeper_link *keeper;
    bool table_complete;     /* LINK_TABLE_END came */
    struct adopted *adopted; /* the table, until it is dealt with (adopt.c) */
    struct idpages rows;     /* task -> what is known of its row, a number */
    bool trim_due;           /* much memory was freed: give it back */
    struct idmap notifies;   /* task -> struct notify */
    struct handover *handover;
    struct hello_facts { /* what the keeper said in LINK_HELLO */
        uint32_t keeper_pid;
        uint32_t containment;
        uint32_t engine_runs;
        uint64_t heartbeat_ns;
        uint64_t keeper_instance;
        char boot[40];
        bool system_mode, memory_limits, pids_limits;
        char work_dir[192];
        char cgroup[192];
    } hello;
    bool replacing;                           /* replace.c: the engine goes ... */
    uint64_t replace_after;                   /* ... once this event is on disk, */
    asup_time replace_by;                     /* or at this time */
    unsigned shutdown_wanted, shutdown_count; /* by the keeper; done of those */
    char status_text[256];                    /* last STATUS= that was sent */

    struct ev_timer kernel_timer;
    struct ev_prepare prepare;
    struct ev_timer second; /* housekeeping */
    struct ev_timer heartbeat;
};

/* What the kernel said to a request on the spot. */
struct answer {
    bool given; /* false: it waits, FX_REPLY comes later */
    int code;
    struct asup_ref made;
    bool masked;       /* a mask held: no cancel is told (R-TSK-3) */
    uint64_t after;    /* the event that must be on disk before it is told */
    const char *limit; /* a literal of the kernel */
    char detail[256];  /* "": none */
    /* worker.next: see struct effect; good until the next step */
    const struct asup_ref *list;
    uint32_t list_count, list_calls;
};

/* ---- step.c -------------------------------------------------------------------- */

asup_time engine_now(const struct engine *e);
/* A fact; borrowed only for the call. */
void engine_feed(struct engine *e, const struct input *in);
/* A request; in->token is set here unless the caller chose one. */
void engine_ask(struct engine *e, struct input *in, struct answer *answer);
/* Step what waits in the inbox. Called at the end of every callback. */
void engine_settle(struct engine *e);
void engine_step_init(struct engine *e);

/* ---- hooks.c: what follows from events besides the window ------------------------- */

void hooks_event(struct engine *e, const struct event *ev);

/* ---- waits.c: requests that are held ------------------------------------------------ */

enum parked_kind {
    PARKED_TASK,
    PARKED_REGION,
    PARKED_LEASE,
    PARKED_SAGA,
    PARKED_EVENTS,
    PARKED_LOGS,
    PARKED_RESERVE, /* channel.reserve */
    PARKED_RECEIVE, /* channel.receive */
    PARKED_WORKER,
};

/* What became of the calls that a worker told about in worker.next. */
struct worker_codes {
    uint32_t completed, started;
    int codes[]; /* of both, in that order */
};

struct parked {
    enum parked_kind kind;
    struct engine *engine;
    struct exchange *exchange;
    uint64_t request_id;
    uint32_t uid;
    bool privileged;
    struct caller caller;       /* EVENTS, LOGS: what it shows must stay good; all: what the policy
                                   left it */
    bool may_wait;              /* LOGS: false once the answer must be given */
    uint64_t subject;           /* task, region, saga, or region to watch (0: all) */
    uint64_t since;             /* EVENTS: next sequence number; LOGS: offset */
    uint64_t limit;             /* EVENTS: most events; LOGS: most bytes */
    uint64_t log_request;       /* LOGS: read in progress; 0: none */
    struct worker_codes *codes; /* WORKER: owned; NULL: it told of none */
    struct ev_timer timer;      /* EVENTS, LOGS */
    struct list link;           /* in watchers or followers */
    uint64_t after;             /* what it did is journalled up to there, before any answer */
};

#endif
