/* SPDX-License-Identifier: MIT */
/*
 * Inside the client library.
 *
 * One nng REQ socket with one dialer, so at most one connection at a time. nng
 * connects and connects again; it repeats nothing (NNG_OPT_REQ_RESENDTIME is
 * off), since only the library knows which request may be repeated and under
 * which session.
 *
 * The link (link.c) says whether calls may be sent:
 *
 *     DOWN ------ a connection came ------> GREETING
 *     GREETING -- the daemon said hello --> READY
 *     GREETING -- it will not have us ----> REFUSED
 *     READY ----- our session is unknown -> GREETING
 *     any ------- the connection went ----> DOWN
 *
 * Every connection begins with session.hello, which attaches it to the session
 * or, when that is gone, begins a new one: a new *generation*.
 *
 * A call (call.c) has an nng context and an aio of its own. Exactly one
 * operation of that aio is under way from start to end, so whatever happens
 * next, happens in its callback:
 *
 *     PARKED ---- link READY ----> SENDING --> RECEIVING --> DONE
 *       ^  \                          |            |
 *       |   `-- gave up --> DONE      |            |
 *       +------- connection broken ---+------------+
 *
 * PARKED is an nng sleep until the call would give up; the link cuts it short.
 * Whoever started a call (a blocking caller, or dispatch) takes it back when it
 * is DONE, waits for the aio to come to rest, and returns it to the pool, so
 * no callback ever frees what it runs on.
 *
 * One mutex guards it all. nng never runs a callback inside of a call to it, so
 * nng is called with the mutex held; user callbacks never run under it.
 */
#ifndef ASUPERSYNC_CLIENT_INTERNAL_H
#define ASUPERSYNC_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nng/nng.h>

#include "asupersync/client.h"
#include "proto/message.h"
#include "proto/must.h"

/* Instants of the library: CLOCK_MONOTONIC in ns; never: ASUP_NEVER. */
uint64_t clock_now(void);
/* now + milliseconds; a negative number is for ever. */
uint64_t clock_after(uint64_t now, int64_t ms);
/* What is left until an instant, rounded up, as nng wants it. */
nng_duration clock_left(uint64_t now, uint64_t at);

/* The longest that a wait is left with the daemon at once. */
#define SLICE_NS (60 * ASUP_NS_PER_S)
/* A connection that leaves a hello unanswered for so long is closed. */
#define GREETING_SILENCE_MS 10000
/* Request id of a hello, which has no session to count in. */
#define HELLO_REQUEST 1
/* Between two attempts to say hello to a daemon that said it is busy. */
#define GREETING_PAUSE_MS 100
/* The largest answer that is read; a larger one breaks the connection. */
#define ANSWER_SIZE_MAX ((size_t)256 << 20)
/* Idle calls that keep their context and aio for later use. */
#define POOL_MAX 64
/* A request with which the connection breaks so often is not sent again: it
 * may be what breaks it. */
#define BREAKS_MAX 8

enum link_state {
    LINK_DOWN,
    LINK_GREETING,
    LINK_READY,
    LINK_REFUSED,
};

enum greeting_state {
    GREETING_IDLE,
    GREETING_SENDING,
    GREETING_RECEIVING,
    GREETING_PAUSING,
};

/* Saying hello on a new connection. */
struct greeting {
    nng_ctx ctx;
    nng_aio *aio;
    enum greeting_state state;
    bool again; /* the link changed meanwhile: begin anew */
};

struct session {
    bool known;
    uint8_t secret[ASUP_SECRET_SIZE];
    uint64_t id;
    uint64_t generation;   /* counts sessions; 0: none yet */
    uint64_t request_last; /* request ids count from 1 in each */
};

/* The envelope of an answer: [1, id, code, body]. */
struct answer {
    uint64_t id;
    int code;
    const uint8_t *body; /* one msgpack map, inside the message */
    size_t body_size;
};

/* 0, or err->code: not an answer of this protocol. */
int answer_read(const void *data, size_t size, struct answer *out, struct proto_error *err);

enum call_state {
    CALL_IDLE,
    CALL_PARKED,
    CALL_SENDING,
    CALL_RECEIVING,
    CALL_DONE,
};

struct call {
    struct asup_client *client;
    uint32_t index;  /* in the client's table */
    uint32_t serial; /* tells uses of the same place apart */
    nng_ctx ctx;
    nng_aio *aio;
    enum call_state state;
    struct call *next; /* in the pool, or among the answered */

    /* what is asked */
    struct proto_op unknown; /* stands in for an operation not in the schema */
    const struct proto_op *op;
    char *op_name; /* of `unknown`; owned */
    char *args;    /* one msgpack map; owned */
    size_t args_size;
    bool mutates; /* changes something: repeated only as the same request */
    bool parks;   /* waits: asked in slices */

    /* how it goes */
    uint64_t wait_until;  /* parks: when the answer is Timeout */
    uint64_t give_up_at;  /* not parks: when to stop, whatever happens */
    uint64_t alone_since; /* without a daemon since then; ASUP_NEVER: it answers */
    uint64_t request;     /* id it was last sent with */
    uint64_t generation;  /* session it was last sent in */
    bool sent;            /* under that id and session */
    bool in_doubt;        /* the connection broke after it was sent */
    bool expired;         /* the daemon did not know session or id */
    uint32_t breaks;      /* how often the connection broke since the last answer */
    bool abandoned;       /* nobody wants the answer any more */
    bool taken;           /* its callback runs, or it was dropped */

    /* the answer */
    int code;
    nng_msg *reply; /* body lies in it */
    const uint8_t *body;
    size_t body_size;
    struct proto_error error; /* code is not 0 and body is NULL: the library's own */

    /* who wants it */
    asup_reply_fn fn; /* NULL: a blocking caller */
    void *arg;
    atomic_bool done;
};

struct asup_client {
    pthread_mutex_t mutex;
    nng_socket socket;
    nng_dialer dialer;

    /* fixed once connected */
    char *url;
    bool without_session, keep_session;
    int32_t patience_ms, answer_timeout_ms;
    uint64_t session_ttl_ns;

    /* under the mutex */
    enum link_state link;
    nng_pipe pipe;
    bool resuming;              /* the caller's session must be there */
    bool leaving;               /* asup_client_free() says goodbye */
    bool closing;               /* nothing goes on any more */
    struct proto_error refusal; /* code 0: none; the last hello's error */
    struct greeting greeting;
    struct session session;
    char *stdio_path;        /* where descriptors are handed over */
    size_t message_size_max; /* what the daemon takes */

    struct call **calls; /* every call there is, by index */
    uint32_t call_count;
    uint32_t call_capacity;
    struct call *pool; /* idle, with context and aio; at most POOL_MAX */
    uint32_t pool_count;
    struct call *bare; /* idle, without */

    struct call *answered_first, *answered_last; /* for dispatch, in order */
    bool dispatching;
    int loop_fd; /* eventfd: readable while something is answered */

    atomic_uint wake; /* futex: counts answers and interrupts */
    atomic_bool interrupted;
};

/* ---- link.c ---------------------------------------------------------------- */

/* Open socket and dialer and begin to connect. */
int link_open(struct asup_client *c, struct proto_error *err);
/* Close everything; no callback runs afterwards. */
void link_close(struct asup_client *c);
/* The daemon did not know our session: ask again who we are. Mutex held. */
void link_verify(struct asup_client *c);

/* ---- call.c ------------------------------------------------------------------ */

/* Take a call from the pool or make one. NULL: no memory. Mutex held. */
struct call *call_new(struct asup_client *c);
/* Back into the pool. Not under the mutex; waits for the aio to rest. */
void call_recycle(struct call *call);
/* What it asks; copies. Returns 0 or err->code. Before call_start(). */
int call_ask(struct call *call, const char *op, const void *args, size_t args_size,
             int64_t timeout_ms, struct proto_error *err);
/* Set it going. Mutex held. */
void call_start(struct call *call);
/* Make an unfinished call end without an answer. Mutex held; then recycle. */
void call_abandon(struct call *call);
/* The link is READY, DOWN or REFUSED: calls that it concerns go on. Mutex held. */
void calls_link_changed(struct asup_client *c);
/* Free all of them. No other thread is here any more. */
void calls_free(struct asup_client *c);

/* ---- ask.c ------------------------------------------------------------------- */

/* A blocking call. When *out is set (the answer's or the library's own error
 * may be in it), it is to be recycled. Returns the code; fills err. */
int ask_begin(struct asup_client *c, const char *op, const void *args, size_t args_size,
              int64_t timeout_ms, struct call **out, struct asup_error_info *err);

/* ---- encode.c ------------------------------------------------------------------ */

/* The message for a call as it is to be sent now. NULL: no memory. */
nng_msg *encode_call(const struct call *call, const uint8_t *secret, uint64_t slice_ns);
/* session.hello, with the secret if there is one, or the probe that stands in
 * for it. NULL: no memory. */
nng_msg *encode_hello(const struct asup_client *c);

/* ---- wait.c -------------------------------------------------------------------- */

/* Wait until the call is done: 0, or -ASUP_EINTERRUPTED. */
int wait_call(struct call *call);
/* Wait until the link is READY or REFUSED, or an instant. */
void wait_link(struct asup_client *c, uint64_t until);
/* Wake the waiter of that call; everybody for NULL. */
void wait_wake(struct asup_client *c, const struct call *call);

/* ---- address.c ------------------------------------------------------------------ */

/* The address to use, to be freed; NULL: no memory, or no address (*code). */
char *address_find(const char *url, struct proto_error *err);
/* The file behind an ipc address; NULL for another transport. */
const char *address_path(const char *url);
/* What a failed connection looks like from outside. Fills err. */
int address_explain(const char *url, struct proto_error *err);
/* Not allowed to open the socket: says so at once. Else 0. */
int address_check(const char *url, struct proto_error *err);

/* ---- error.c ------------------------------------------------------------------------ */

/* Spell out an error of the library's own. `err` may be NULL. Returns the code. */
int error_local(struct asup_error_info *err, const struct proto_error *own);
/* Likewise an answer's. */
int error_answer(struct asup_error_info *err, int code, const void *body, size_t body_size);
/* A plain argument error. */
int error_invalid(struct asup_error_info *err, const char *field, const char *message);
int error_memory(struct asup_error_info *err);
void error_clear(struct asup_error_info *err);

#endif
