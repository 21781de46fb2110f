/* SPDX-License-Identifier: MIT */
/*
 * Messages of the wire protocol: bytes to checked structs and back.
 *
 *   request  [1, id, session|nil, cx|nil, op, args]
 *   reply    [1, id, code, body]
 *
 * A message is first walked over: truncation, nesting, element count and size
 * are refused before anything is allocated. Then it is unpacked, and its
 * fields are checked against the schema. A message that is refused leaves a
 * proto_error whose text names the operation, the field, what was expected and
 * what was there. Unknown keys are ignored; a key that comes twice is refused.
 *
 * Nothing here has state of its own; a proto_memory belongs to one thread at a
 * time.
 */
#ifndef ASUPERSYNC_PROTO_MESSAGE_H
#define ASUPERSYNC_PROTO_MESSAGE_H

#include <msgpack/object.h>

#include "asupersync/error.h"
#include "args.h"
#include "schema.h"
#include "writer.h"

/* Why something was refused. All text is UTF-8, cut at a character's end. */
struct proto_error {
    int code;       /* -ASUP_E... */
    char field[64]; /* "argv", "finalizers[2].cwd"; "" when no field is at fault */
    char message[256];
    char hint[160];  /* what would help; "" when nothing is known */
    char limit[32];  /* name of the limit that was reached; "" for none */
    bool has_oldest; /* ASUP_EGAP: `oldest` is the oldest event still kept */
    uint64_t oldest;
};

/* printf a message into err, with a code; field, hint and limit become "". */
int proto_error_set(struct proto_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Memory for decoded messages -------------------------------------------------- */

struct proto_memory;
struct proto_memory *proto_memory_new(void);     /* NULL: none left */
void proto_memory_clear(struct proto_memory *m); /* everything decoded into it ends */
void proto_memory_free(struct proto_memory *m);  /* NULL is fine */
/* Aligned for every C type; NULL: none left. */
void *proto_memory_take(struct proto_memory *m, size_t size);

/* ---- Requests: the daemon's side ------------------------------------------------------ */

struct proto_bounds {
    size_t size_max;
    uint32_t depth_max;
    size_t element_max;
};
#define PROTO_REQUEST_BOUNDS                                                                       \
    ((struct proto_bounds){PROTO_SIZE_MAX, PROTO_DEPTH_MAX, PROTO_ELEMENT_MAX})
#define PROTO_REPLY_BOUNDS                                                                         \
    ((struct proto_bounds){PROTO_REPLY_SIZE_MAX, PROTO_REPLY_DEPTH_MAX, PROTO_REPLY_ELEMENT_MAX})

/* One operation with its arguments: the request itself, or one of a batch. */
struct proto_call {
    const struct proto_op *op; /* NULL: unknown; then code is -ASUP_EUNSUPPORTED */
    bool has_cx;
    uint8_t cx[16];
    const union proto_args *args;    /* the member that belongs to op; NULL when code is not 0 */
    struct proto_key key;            /* of what changes something */
    uint64_t digest;                 /* of op and args, to tell a repeat from another request; in
                                        a batch only with a key */
    struct proto_bytes raw;          /* the args map, to keep and to decode again; likewise */
    int code;                        /* of a batch: what this one is refused with; else 0 */
    const struct proto_error *error; /* and why; NULL when code is 0 */
};

struct proto_request {
    bool has_id; /* the id could be read, also when decoding failed */
    uint64_t id;
    bool has_session;
    uint8_t session[16]; /* the session's secret */
    struct proto_call call;
};

/*
 * Decode and check one request. `data` need not outlive the call; what `out`
 * points to lives in `m`. An argument at fault in one operation of a batch
 * refuses that operation (call.code), not the message.
 *
 * Returns 0, or err->code: -ASUP_EMALFORMED, -ASUP_EUNSUPPORTED (version,
 * operation), -ASUP_ETOOLARGE, -ASUP_EINVALID, -ASUP_ENOMEM. `out->has_id` and
 * `out->id` are set whenever the id was readable; a reply to a message
 * without one carries id 0.
 */
int
proto_request_decode(const void *data, size_t size, const struct proto_bounds *bounds,
                     struct proto_memory *m, struct proto_request *out, struct proto_error *err);

/* Decode the fields P of a kept map (proto_process.raw, or the raw args of
 * task.submit and finalizer.defer). */
int proto_process_decode(struct proto_bytes raw, struct proto_memory *m, struct proto_process *out,
                         struct proto_error *err);

/* Begin a reply [1, id, code, body]; the caller writes the body (one map) next.
 * proto_reply_error writes all of it. */
void proto_reply_begin(struct proto_writer *w, uint64_t id, int code);
void proto_reply_error(struct proto_writer *w, uint64_t id, const struct proto_error *err);
/* Only the body of an error, for the results of a batch. */
void proto_error_body(struct proto_writer *w, const struct proto_error *err);

/* ---- Requests: the client's side ------------------------------------------------------ */

/* Set every member to what it is when absent. */
void proto_args_init(const struct proto_op *op, union proto_args *args);
void proto_process_init(struct proto_process *process);
void proto_budget_init(struct proto_budget *budget);

/* Check args against the schema as the daemon will, for an early error. */
int
proto_args_check(const struct proto_op *op, const union proto_args *args, struct proto_error *err);

/* Write the whole request. `session` and `cx` are 16 bytes or NULL; members
 * that hold what absence means are left out. Members are not checked. */
void
proto_request_encode(struct proto_writer *w, uint64_t id, const uint8_t *session, const uint8_t *cx,
                     const struct proto_op *op, const union proto_args *args);
/* The same with args that are already a msgpack map. */
void
proto_request_encode_raw(struct proto_writer *w, uint64_t id, const uint8_t *session,
                         const uint8_t *cx, const struct proto_op *op, struct proto_bytes args);
/* Only the args map, and only the map of P. */
void
proto_args_encode(struct proto_writer *w, const struct proto_op *op, const union proto_args *args);
/* The same with an idempotency key, which the operation takes; NULL: none. */
void proto_args_encode_keyed(struct proto_writer *w, const struct proto_op *op,
                             const union proto_args *args, const struct proto_key *key);
void proto_process_encode(struct proto_writer *w, const struct proto_process *process);

/* ---- Replies: the client's side --------------------------------------------------------- */

struct proto_reply {
    uint64_t id;
    int code;                   /* 0 or -ASUP_E... */
    const msgpack_object *body; /* a map; lives in the memory */
    struct proto_error error;   /* when code is not 0 */
};

/* Decode a reply; `data` need not outlive the call. Returns 0 whatever the
 * reply's code, or -ASUP_EMALFORMED, -ASUP_ETOOLARGE, -ASUP_ENOMEM,
 * -ASUP_EUNSUPPORTED with `err` filled in. read.h reads what is in the body. */
int proto_reply_decode(const void *data, size_t size, const struct proto_bounds *bounds,
                       struct proto_memory *m, struct proto_reply *out, struct proto_error *err);

#endif
