/* SPDX-License-Identifier: MIT */
/*
 * The arguments of every operation as C structs: what decoding a request
 * fills in and what encoding one reads. The table in schema.c says for each
 * member its key on the wire, its bounds and what stands there when the key
 * was absent; proto_args_init() sets exactly that. Conventions:
 *
 *   text, bytes    {NULL, 0} when absent. Text is followed by a NUL, which its
 *                  size does not count, so .data is a C string as well.
 *   durations      nanoseconds, ASUP_NEVER when absent (or as said here)
 *   lists          {NULL, 0} when absent
 *
 * Everything a decoded struct points to lives in the proto_memory that was
 * given to the decoder; what an encoded struct points to is only read.
 */
#ifndef ASUPERSYNC_PROTO_ARGS_H
#define ASUPERSYNC_PROTO_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asupersync/types.h"

/* ---- Values of more than one word ------------------------------------------ */

struct proto_text {
    const char *data; /* NULL: absent */
    size_t size;      /* bytes, without the NUL after them */
};

struct proto_bytes {
    const void *data; /* NULL: absent */
    size_t size;
};

struct proto_texts {
    const struct proto_text *items;
    uint32_t count;
};

/* One environment assignment; the name holds no '='. */
struct proto_assignment {
    struct proto_text name;
    struct proto_text value;
};

struct proto_environment {
    const struct proto_assignment *items;
    uint32_t count;
};

/* What an id or a path names: either ref.id is not 0, or path is there. A path
 * is absolute ("/", "/web/api") and still to be resolved as the caller sees
 * it. */
struct proto_target {
    struct asup_ref ref;
    struct proto_text path;
};

struct proto_rlimit {
    uint32_t resource;   /* RLIMIT_... */
    uint64_t soft, hard; /* UINT64_MAX: no limit */
};

struct proto_rlimits {
    const struct proto_rlimit *items;
    uint32_t count;
};

/* "Not given" where every small number means something. */
#define PROTO_UNSET UINT64_MAX
#define PROTO_UNSET_INT INT64_MIN

/* ---- Nested structs ----------------------------------------------------------- */

/* B: the budget that is asked for on top of what is inherited. */
struct proto_budget {
    uint64_t timeout_ns;       /* relative; ASUP_NEVER: none */
    uint64_t deadline_ns;      /* kernel time; ASUP_NEVER: none */
    uint64_t deadline_wall_ns; /* Unix time; ASUP_NEVER: none */
    uint64_t polls;            /* at most UINT32_MAX, which is: no limit */
    uint64_t cost;             /* UINT64_MAX: no limit */
    uint64_t priority;         /* 1 to 255; 0: unset */
};

/* Y: when something is tried again. */
struct proto_retry {
    uint64_t attempts;                    /* 0: absent */
    uint64_t backoff_ns, backoff_most_ns; /* ASUP_NEVER: absent */
};

/* Ids of one sort. */
struct proto_ids {
    const uint64_t *items;
    uint32_t count;
};

/* An array of the structs that a field's record describes. */
struct proto_records {
    const void *items;
    uint32_t count;
};

/* C: how a call ended. */
struct proto_completion {
    uint64_t task;
    uint64_t attempt; /* 0: the one that runs */
    uint32_t outcome; /* enum asup_severity */
    int64_t code;     /* -1: none */
    struct proto_text message;
    struct proto_bytes result;
};

/* P: a program to run, or a call to make. */
struct proto_process {
    struct proto_texts argv;
    struct proto_environment env;
    bool clear_env;
    struct proto_text cwd;
    struct proto_text stdin_path, stdout_path, stderr_path;
    bool append;              /* stdout_path and stderr_path are appended to */
    struct proto_bytes stdio; /* 16 bytes that name handed-over descriptors */
    bool tty;                 /* descriptor 0 becomes the controlling terminal */
    struct proto_text user;   /* name or uid */
    uint64_t umask;           /* PROTO_UNSET: the daemon's */
    int64_t nice;             /* PROTO_UNSET_INT: the daemon's */
    struct proto_rlimits rlimits;
    uint64_t memory_max;    /* bytes; 0: no limit */
    uint64_t pids_max;      /* 0: no limit */
    uint64_t cancel_signal; /* 1 to 64 */
    uint64_t leftover_ns;   /* ASUP_NEVER: the configured one */
    bool leftover_wait;
    bool notify;
    uint64_t watchdog_ns; /* 0: none */
    uint64_t drain_ns;    /* ASUP_NEVER: the region's */
    uint64_t delay_ns;    /* 0: none */
    struct proto_text label;
    uint64_t response_ns; /* 0: not declared */
    uint64_t mask_depth;
    struct proto_budget budget;
    struct proto_text call;   /* name of the computation; then there is no argv */
    struct proto_bytes input; /* a call's */
    struct proto_retry retry; /* a call's */

    /* The map these came from, as it can be kept and decoded again with
     * proto_process_decode(). Set by decoding, ignored by encoding. */
    struct proto_bytes raw;
};

struct proto_processes {
    const struct proto_process *items;
    uint32_t count;
};

/* What every operation that changes something may carry besides (R-IDM-1). */
struct proto_key {
    struct proto_text key; /* absent: none */
    uint64_t retention_ns; /* 0: the configured one */
};

/* ---- One struct an operation --------------------------------------------------- */

struct args_none {
    char nothing;
};
struct args_session_hello {
    uint64_t ttl_ns; /* 0: the configured one */
    struct proto_bytes secret;
};
struct args_region_open {
    struct proto_target parent; /* "/" when absent */
    struct proto_text name;
    uint32_t policy; /* enum asup_policy */
    uint64_t quorum; /* 0: absent */
    struct proto_budget budget;
    uint64_t drain_ns;
    bool soft;
    bool strict;
    bool is_volatile;
    bool is_durable;
    bool attach;
    uint64_t tasks_max;    /* 0: the configured one */
    uint64_t children_max; /* 0: the configured one */
    struct proto_processes finalizers;
};
struct args_region_close {
    struct proto_target region;
    uint32_t mode; /* enum asup_end_mode */
    uint64_t drain_ns;
    struct proto_text message;
};
struct args_region_wait {
    struct proto_target region;
    uint64_t timeout_ns; /* ASUP_NEVER: for ever; 0: poll */
};
struct args_region_stat {
    struct proto_target region;
};
struct args_region_tree {
    struct proto_target region; /* "/" when absent */
    uint64_t depth;             /* levels below it; PROTO_UNSET: all */
    bool all;                   /* with what is retained */
};
/* task.submit and finalizer.defer */
struct args_submit {
    struct proto_target region;
    struct proto_process process;
};
/* task.complete */
struct args_task_complete {
    struct proto_completion end;
};
struct args_worker_offer {
    struct proto_texts names;
    struct proto_target region; /* "/" when absent */
    uint64_t concurrency, prefetch;
    uint64_t response_ns; /* 0: not declared */
    uint64_t mask_depth;
    uint64_t quiet_ns; /* ASUP_NEVER: as long as its session */
};
struct args_worker_next {
    uint64_t most;
    uint64_t timeout_ns;            /* ASUP_NEVER: for ever; 0: poll */
    struct proto_records completed; /* struct proto_completion */
    struct proto_ids started;
};
struct args_worker_withdraw {
    struct proto_text name; /* absent: all */
    uint64_t worker;        /* its session; 0: the caller's */
};
struct args_worker_drain {
    uint64_t worker; /* its session; 0: the caller's */
};
struct args_worker_list {
    struct proto_text name; /* absent: all */
};
struct args_task_cancel {
    uint64_t task;
    uint64_t drain_ns;
    struct proto_text message;
};
enum proto_until { /* in the order in which they come */
                   PROTO_UNTIL_STARTED,
                   PROTO_UNTIL_READY,
                   PROTO_UNTIL_FINISHED,
};
struct args_task_wait {
    uint64_t task;
    uint64_t timeout_ns; /* ASUP_NEVER: for ever; 0: poll */
    uint32_t until;      /* enum proto_until */
};
struct args_task {
    uint64_t task;
};
struct args_task_checkpoint {
    uint64_t task;
    bool masked;
};
struct args_task_list {
    struct proto_target region; /* "/" when absent */
    bool recursive;
    bool all;
    uint64_t after; /* id of a task; 0: from the first */
    uint64_t limit;
};
struct args_task_progress {
    uint64_t task;
    uint64_t cost;
    bool masked;
};
struct args_task_logs {
    uint64_t task;
    uint64_t offset;
    uint64_t size_max;
    uint64_t timeout_ns; /* 0: answer at once */
};
struct args_saga_begin {
    struct proto_target region;
    struct proto_text name;
};
struct args_saga_step {
    uint64_t saga;
    struct proto_text name;
    struct proto_process action; /* argv.count 0: the driver's own doing */
    struct proto_process undo;
    struct proto_retry retry;
};
struct args_saga { /* saga.complete, saga.stat */
    uint64_t saga;
};
struct args_saga_abort {
    uint64_t saga;
    struct proto_text message;
};
struct args_saga_list {
    struct proto_target region; /* "/" when absent */
    bool all;
    uint64_t after; /* id of a saga; 0: from the first */
    uint64_t limit;
};
enum proto_saga_how { PROTO_HOW_RETRY, PROTO_HOW_RESOLVE };
struct args_saga_resolve {
    uint64_t saga;
    uint32_t how; /* enum proto_saga_how */
};
struct args_saga_wait {
    uint64_t saga;
    uint64_t timeout_ns; /* ASUP_NEVER: for ever; 0: poll */
};
struct args_cx_derive {
    struct proto_target region;
    struct proto_texts rights;
    uint64_t priority;   /* 0: no ceiling */
    uint64_t timeout_ns; /* ASUP_NEVER: none */
    uint64_t cost;       /* UINT64_MAX: no ceiling */
    uint64_t polls;      /* UINT32_MAX: no ceiling */
};
struct args_cx_revoke {
    uint64_t cx;
};
struct args_cx_list {
    struct proto_target region;
    uint64_t after; /* id of a capability; 0: from the first */
    uint64_t limit;
};
struct args_events_watch {
    uint64_t since; /* sequence number; 0: oldest kept; PROTO_UNSET: from now */
    struct proto_target region;
    uint64_t limit;
    uint64_t timeout_ns; /* ASUP_NEVER: for ever; 0: poll */
};
struct args_why {
    struct proto_target id;
};

/* A channel is named by its id, or by the path of its region and its name. */
struct args_channel_open {
    struct proto_target region;
    struct proto_text name;
    uint64_t capacity;
    uint64_t ack_timeout_ns;    /* 0: the configured one */
    uint64_t permit_timeout_ns; /* 0: the configured one */
    uint64_t nacks_max;         /* 0: no cap; PROTO_UNSET: the configured one */
    uint64_t timeouts_max;      /* likewise */
    uint64_t dead_retention_ns; /* 0: the configured one */
};
struct args_channel { /* channel.seal, channel.stat */
    struct proto_target channel;
};
struct args_channel_list {
    struct proto_target region; /* "/" when absent */
    bool recursive;
};
struct args_channel_reserve {
    struct proto_target channel;
    uint64_t timeout_ns; /* 0: not at all */
};
struct args_channel_send {
    uint64_t obligation; /* 0: without a permit, to `channel` */
    struct proto_target channel;
    struct proto_bytes data;
};
struct args_channel_obligation { /* channel.abort, channel.ack */
    uint64_t obligation;
};
struct args_channel_receive {
    struct proto_target channel;
    uint64_t timeout_ns;     /* ASUP_NEVER: for ever; 0: poll */
    uint64_t ack_timeout_ns; /* 0: the channel's */
};
struct args_channel_nack {
    uint64_t obligation;
    struct proto_text note;
};
struct args_channel_extend {
    uint64_t obligation;
    uint64_t ack_timeout_ns; /* 0: the channel's */
};
struct args_message { /* channel.message, channel.discard */
    uint64_t message;
};
struct args_channel_dead {
    struct proto_target region;  /* "/" when absent */
    struct proto_target channel; /* absent: all */
    uint64_t after;              /* id of a message; 0: from the first */
    uint64_t limit;
};
struct args_channel_retry {
    uint64_t message;
    struct proto_target channel; /* absent: the one it came from */
};
struct args_daemon_shutdown {
    uint64_t within_ns; /* ASUP_NEVER: none */
};

struct args_obligation_reserve {
    struct proto_target region;
    struct proto_text label;
    uint64_t timeout_ns; /* ASUP_NEVER: none */
};
/* obligation.commit, lease.release */
struct args_obligation {
    uint64_t obligation;
};
struct args_obligation_abort {
    uint64_t obligation;
    struct proto_text note;
};
struct args_obligation_transfer {
    uint64_t obligation;
    struct proto_target to; /* a task or a session */
};
struct args_obligation_list {
    struct proto_target region; /* "/" when absent */
    bool recursive;
    struct proto_target holder; /* none when absent */
    uint32_t kind;              /* ASUP_OBLIGATION_KIND_COUNT: any */
    uint64_t after;             /* 0: from the first */
    uint64_t limit;
};

struct args_lease_acquire {
    struct proto_target region;
    struct proto_text name;
    uint64_t ttl_ns;
    uint64_t timeout_ns; /* 0: do not wait; ASUP_NEVER is no value */
};
struct args_lease_renew {
    uint64_t obligation;
    uint64_t ttl_ns; /* 0: as long as before */
};
struct args_lease_stat {
    struct proto_target region;
    struct proto_text name;
};
struct args_lease_list {
    struct proto_target region; /* "/" when absent */
    bool recursive;
};

struct proto_call;
struct args_batch {
    const struct proto_call *ops;
    uint32_t count;
    bool atomic;
};

union proto_args {
    struct args_none none;
    struct args_session_hello session_hello;
    struct args_region_open region_open;
    struct args_region_close region_close;
    struct args_region_wait region_wait;
    struct args_region_stat region_stat;
    struct args_region_tree region_tree;
    struct args_submit submit; /* also finalizer.defer */
    struct args_task_complete task_complete;
    struct args_worker_offer worker_offer;
    struct args_worker_next worker_next;
    struct args_worker_withdraw worker_withdraw;
    struct args_worker_drain worker_drain;
    struct args_worker_list worker_list;
    struct args_task_cancel task_cancel;
    struct args_task_wait task_wait;
    struct args_task task; /* task.stat */
    struct args_task_checkpoint task_checkpoint;
    struct args_task_list task_list;
    struct args_task_progress task_progress;
    struct args_task_logs task_logs;
    struct args_saga_begin saga_begin;
    struct args_saga_step saga_step;
    struct args_saga saga; /* saga.complete, saga.stat */
    struct args_saga_abort saga_abort;
    struct args_saga_list saga_list;
    struct args_saga_resolve saga_resolve;
    struct args_saga_wait saga_wait;
    struct args_cx_derive cx_derive;
    struct args_cx_revoke cx_revoke;
    struct args_cx_list cx_list;
    struct args_events_watch events_watch;
    struct args_why why;
    struct args_channel_open channel_open;
    struct args_channel channel; /* channel.seal, channel.stat */
    struct args_channel_list channel_list;
    struct args_channel_reserve channel_reserve;
    struct args_channel_send channel_send;
    struct args_channel_obligation channel_obligation; /* channel.abort, channel.ack */
    struct args_channel_receive channel_receive;
    struct args_channel_nack channel_nack;
    struct args_channel_extend channel_extend;
    struct args_message message; /* channel.message, channel.discard */
    struct args_channel_dead channel_dead;
    struct args_channel_retry channel_retry;
    struct args_daemon_shutdown daemon_shutdown;
    struct args_obligation_reserve obligation_reserve;
    struct args_obligation obligation; /* also lease.release */
    struct args_obligation_abort obligation_abort;
    struct args_obligation_transfer obligation_transfer;
    struct args_obligation_list obligation_list;
    struct args_lease_acquire lease_acquire;
    struct args_lease_renew lease_renew;
    struct args_lease_stat lease_stat;
    struct args_lease_list lease_list;
    struct args_batch batch;
};

#endif
