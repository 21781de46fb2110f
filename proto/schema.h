/* SPDX-License-Identifier: MIT */
/*
 * The schema: one table that says everything about every operation. From it
 * come decoding, validation and encoding (message.h), the tables of the manual
 * page and the seeds of the fuzzers (schema_dump), and the generated
 * round-trip tests. Adding an operation or a field is adding a row (and the
 * struct member in args.h that the row names; the compiler compares their
 * types).
 */
#ifndef ASUPERSYNC_PROTO_SCHEMA_H
#define ASUPERSYNC_PROTO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "args.h"

/* X(NAME, "wire.name"): the operations of version 1. */
#define PROTO_OP_LIST(X)                                                                           \
    X(SESSION_HELLO, "session.hello")                                                              \
    X(SESSION_KEEPALIVE, "session.keepalive")                                                      \
    X(SESSION_BYE, "session.bye")                                                                  \
    X(REGION_OPEN, "region.open")                                                                  \
    X(REGION_CLOSE, "region.close")                                                                \
    X(REGION_WAIT, "region.wait")                                                                  \
    X(REGION_STAT, "region.stat")                                                                  \
    X(REGION_TREE, "region.tree")                                                                  \
    X(TASK_SUBMIT, "task.submit")                                                                  \
    X(TASK_CANCEL, "task.cancel")                                                                  \
    X(TASK_WAIT, "task.wait")                                                                      \
    X(TASK_STAT, "task.stat")                                                                      \
    X(TASK_LIST, "task.list")                                                                      \
    X(TASK_CHECKPOINT, "task.checkpoint")                                                          \
    X(TASK_PROGRESS, "task.progress")                                                              \
    X(TASK_LOGS, "task.logs")                                                                      \
    X(FINALIZER_DEFER, "finalizer.defer")                                                          \
    X(CHANNEL_OPEN, "channel.open")                                                                \
    X(CHANNEL_SEAL, "channel.seal")                                                                \
    X(CHANNEL_STAT, "channel.stat")                                                                \
    X(CHANNEL_LIST, "channel.list")                                                                \
    X(CHANNEL_RESERVE, "channel.reserve")                                                          \
    X(CHANNEL_SEND, "channel.send")                                                                \
    X(CHANNEL_ABORT, "channel.abort")                                                              \
    X(CHANNEL_RECEIVE, "channel.receive")                                                          \
    X(CHANNEL_ACK, "channel.ack")                                                                  \
    X(CHANNEL_NACK, "channel.nack")                                                                \
    X(CHANNEL_EXTEND, "channel.extend")                                                            \
    X(CHANNEL_MESSAGE, "channel.message")                                                          \
    X(CHANNEL_DEAD, "channel.dead")                                                                \
    X(CHANNEL_RETRY, "channel.retry")                                                              \
    X(CHANNEL_DISCARD, "channel.discard")                                                          \
    X(SAGA_BEGIN, "saga.begin")                                                                    \
    X(SAGA_STEP, "saga.step")                                                                      \
    X(SAGA_COMPLETE, "saga.complete")                                                              \
    X(SAGA_ABORT, "saga.abort")                                                                    \
    X(SAGA_STAT, "saga.stat")                                                                      \
    X(SAGA_LIST, "saga.list")                                                                      \
    X(SAGA_RESOLVE, "saga.resolve")                                                                \
    X(SAGA_WAIT, "saga.wait")                                                                      \
    X(OBLIGATION_RESERVE, "obligation.reserve")                                                    \
    X(OBLIGATION_COMMIT, "obligation.commit")                                                      \
    X(OBLIGATION_ABORT, "obligation.abort")                                                        \
    X(OBLIGATION_TRANSFER, "obligation.transfer")                                                  \
    X(OBLIGATION_LIST, "obligation.list")                                                          \
    X(LEASE_ACQUIRE, "lease.acquire")                                                              \
    X(LEASE_RENEW, "lease.renew")                                                                  \
    X(LEASE_RELEASE, "lease.release")                                                              \
    X(LEASE_STAT, "lease.stat")                                                                    \
    X(LEASE_LIST, "lease.list")                                                                    \
    X(TASK_COMPLETE, "task.complete")                                                              \
    X(WORKER_OFFER, "worker.offer")                                                                \
    X(WORKER_NEXT, "worker.next")                                                                  \
    X(WORKER_WITHDRAW, "worker.withdraw")                                                          \
    X(WORKER_DRAIN, "worker.drain")                                                                \
    X(WORKER_LIST, "worker.list")                                                                  \
    X(CX_DERIVE, "cx.derive")                                                                      \
    X(CX_REVOKE, "cx.revoke")                                                                      \
    X(CX_LIST, "cx.list")                                                                          \
    X(EVENTS_WATCH, "events.watch")                                                                \
    X(WHY, "why")                                                                                  \
    X(DAEMON_STATUS, "daemon.status")                                                              \
    X(DAEMON_RELOAD, "daemon.reload")                                                              \
    X(DAEMON_UPGRADE, "daemon.upgrade")                                                            \
    X(DAEMON_DRAIN, "daemon.drain")                                                                \
    X(DAEMON_SHUTDOWN, "daemon.shutdown")                                                          \
    X(BATCH, "batch")

enum proto_op_id {
#define PROTO_OP_ENUM(name, wire) PROTO_##name,
    PROTO_OP_LIST(PROTO_OP_ENUM)
#undef PROTO_OP_ENUM
        PROTO_OP_COUNT,
};

/* What an operation is like. */
enum proto_op_flags {
    PROTO_MUTATES = 1 << 0,  /* changes state: its answer is kept for a repeat (R-IDM-1) */
    PROTO_PARKS = 1 << 1,    /* may be held until there is an answer */
    PROTO_SESSION = 1 << 2,  /* the envelope must carry a session */
    PROTO_OPERATOR = 1 << 3, /* root and the daemon's owner only */
    PROTO_BATCHED = 1 << 4,  /* allowed in a batch */
    PROTO_ATOMIC = 1 << 5,   /* allowed in an atomic batch */
};

/* The type of a field; after it the C type of its member. */
enum proto_type {
    PROTO_UINT,      /* uint64_t            min..max */
    PROTO_DURATION,  /* uint64_t            nanoseconds, min..max */
    PROTO_INSTANT,   /* uint64_t            nanoseconds, min..max */
    PROTO_INT,       /* int64_t             (int64_t)min..(int64_t)max */
    PROTO_BOOL,      /* bool */
    PROTO_TEXT,      /* struct proto_text   min..max bytes of one line of UTF-8 */
    PROTO_NAME,      /* struct proto_text   likewise, without '/', not "." or ".." */
    PROTO_OSTEXT,    /* struct proto_text   min..max bytes, any but NUL; text or binary */
    PROTO_BYTES,     /* struct proto_bytes  min..max bytes */
    PROTO_DATA,      /* struct proto_bytes  any bytes, binary or text, no more than fit */
    PROTO_ID,        /* uint64_t            an id of the field's sort */
    PROTO_REGION,    /* struct proto_target region id or path */
    PROTO_ANY,       /* struct proto_target id of any sort, or region path */
    PROTO_ENUM,      /* uint32_t            index into names */
    PROTO_TEXTS,     /* struct proto_texts  min..max OSTEXTs */
    PROTO_ENV,       /* struct proto_environment  at most max assignments */
    PROTO_RLIMITS,   /* struct proto_rlimits */
    PROTO_RECORD,    /* nested map: the struct that `record` describes */
    PROTO_INLINE,    /* no key of its own: the fields of `record` stand beside it */
    PROTO_PROCESSES, /* struct proto_processes    at most max maps P */
    PROTO_RECORDS,   /* struct proto_records      at most max maps of `record` */
    PROTO_IDS,       /* struct proto_ids          at most max ids of the field's sort */
    PROTO_OPS,       /* batch: const struct proto_call * and the count after it */
};

struct proto_record;

struct proto_field {
    const char *name; /* key on the wire; NULL only for PROTO_INLINE */
    const char *doc;  /* one sentence for the manual */
    enum proto_type type;
    bool required;
    char sort;                         /* PROTO_ID: enum asup_sort */
    uint32_t offset;                   /* of the member in the struct */
    uint64_t min, max;                 /* bounds of value, size or count */
    uint64_t preset;                   /* what an absent number, bool or enum is */
    const char *const *names;          /* PROTO_ENUM: NULL-terminated */
    const struct proto_record *record; /* PROTO_RECORD, PROTO_INLINE, PROTO_PROCESSES */
};

/* A map with known keys, and the struct it becomes. */
struct proto_record {
    const char *name; /* letter in the manual: "B", "P"; "" for plain args */
    const char *doc;
    size_t size; /* of the struct */
    const struct proto_field *fields;
    uint32_t field_count;
};

/* A field of a reply, for documentation: replies are written by hand. */
struct proto_reply_field {
    const char *name;
    const char *type; /* as the manual prints it: "uint", "O|nil", "list of T" */
    const char *doc;
};

/* A named shape in replies (O, R, N, T, E). */
struct proto_shape {
    const char *name;
    const char *doc;
    const struct proto_reply_field *fields; /* ends with a NULL name */
};

struct proto_op {
    enum proto_op_id id;
    const char *name;
    const char *doc;
    uint32_t flags;    /* enum proto_op_flags */
    const char *right; /* the right a capability needs for it (R-CAP-1); "" for none */
    const struct proto_record *args;
};

/* ---- Bounds ------------------------------------------------------------------ */

#define PROTO_VERSION 1
/* Size of a message unless configured; TooLarge is answered up to twice that. */
#define PROTO_SIZE_MAX ((size_t)1 << 20)
/* Nesting in a request, the envelope being 1. */
#define PROTO_DEPTH_MAX 16
/* Values in one message, all levels together. */
#define PROTO_ELEMENT_MAX ((size_t)131072)
/* Bounds of replies, which the daemon writes and only a client reads: a tree
 * nests twice a region, then outcome and reasons. */
#define PROTO_REPLY_DEPTH_MAX 160
#define PROTO_REPLY_SIZE_MAX ((size_t)1 << 30)
#define PROTO_REPLY_ELEMENT_MAX ((size_t)1 << 26)

#define PROTO_ARGS_MAX 4096
#define PROTO_ARG_SIZE_MAX ((size_t)131071) /* Linux's MAX_ARG_STRLEN, less the NUL */
#define PROTO_ENV_MAX 4096
#define PROTO_PATH_MAX 4096        /* file names; less the NUL 4095 */
#define PROTO_REGION_PATH_MAX 4224 /* ASUP_DEPTH_MAX names and slashes fit */
#define PROTO_BATCH_MAX 1024
#define PROTO_FINALIZERS_MAX 256
#define PROTO_CALLS_MAX 1024 /* calls given, started or completed in one message */
#define PROTO_OFFERS_MAX 64
#define PROTO_INPUT_MAX (((size_t)1 << 19) - 4096) /* input and result of a call */
#define PROTO_RLIMIT_COUNT 16
#define PROTO_DURATION_MAX ((uint64_t)INT64_MAX) /* 292 years */

/* ---- The table ----------------------------------------------------------------- */

extern const struct proto_op proto_ops[PROTO_OP_COUNT]; /* by enum proto_op_id */
/* What each answers, each list ending with a NULL name (schema_reply.c). */
extern const struct proto_reply_field *const proto_replies[PROTO_OP_COUNT];
extern const struct proto_record proto_process_record;    /* P */
extern const struct proto_record proto_budget_record;     /* B */
extern const struct proto_record proto_key_record;        /* beside what changes something */
extern const struct proto_record proto_retry_record;      /* Y */
extern const struct proto_record proto_completion_record; /* C */
extern const struct proto_shape proto_shapes[];           /* ends with a NULL name */

/* NULL when there is no such operation. */
const struct proto_op *proto_op_find(const char *name, size_t size);

/* The names of resource limits and what they stand for; ends with NULL. */
struct proto_rlimit_name {
    const char *name; /* "nofile" */
    uint32_t resource;
};
extern const struct proto_rlimit_name proto_rlimit_names[];

#endif
