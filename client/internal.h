/* SPDX-License-Identifier: MIT */
/*
 * Inside the client library.
 *
 * A client has one connection (proto/sp.h) and one thread of its own, which
 * connects, reads answers and watches deadlines (link.c). Requests are written
 * by the threads that make them. The link says whether they may be:
 *
 *     DOWN ------ connected --------------> GREETING
 *     GREETING -- the daemon said hello --> READY
 *     GREETING -- it will not have us ----> REFUSED
 *     READY ----- our session is unknown -> GREETING
 *     any ------- the connection broke ---> DOWN
 *
 * Every connection begins with session.hello, which attaches it to the session
 * or, when that is gone, begins a new one: a new *generation*.
 *
 * A call (call.c) goes from its start to its answer over as many connections
 * as that takes:
 *
 *     PARKED ---- link READY ----> ASKED --> DONE
 *       ^  \                         |
 *       |   `-- gave up --> DONE     |
 *       +---- connection broken -----+
 *
 * Whoever started a call (a blocking caller, or dispatch) takes it back when
 * it is DONE and returns it to the pool.
 *
 * One mutex guards it all; user callbacks never run under it.
 */
#ifndef ASUPERSYNC_CLIENT_INTERNAL_H
#define ASUPERSYNC_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asupersync/client.h"
#include "proto/sp.h"
#include "proto/message.h"
#include "proto/must.h"

/* Instants of the library: CLOCK_MONOTONIC in ns; never: ASUP_NEVER. */
uint64_t clock_now(void);
/* now + milliseconds; a negative number is for ever. */
uint64_t clock_after(uint64_t now, int64_t ms);
/* Milliseconds until an instant, rounded up; -1: for ever. */
int clock_left(uint64_t now, uint64_t at);

static inline uint64_t
clock_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The longest that a wait is left with the daemon at once. */
#define SLICE_NS (60 * ASUP_NS_PER_S)
/* Request id of a hello, which has no session to count in. */
#define HELLO_REQUEST 1
/* A connection that leaves a hello unanswered for so long is closed. */
#define HELLO_SILENCE_MS 10000
/* A request with which the connection breaks so often is not sent again: it
 * may be what breaks it. */
#define BREAKS_MAX 8

enum link_state {
    LINK_DOWN,
    LINK_GREETING,
    LINK_READY,
    LINK_REFUSED,
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
    CALL_ASKED,
    CALL_DONE,
};

struct call {
    struct asup_client *client;
    uint32_t index;  /* in the client's table */
    uint32_t serial; /* tells uses of the same place apart */
    enum call_state state;
    struct call *next; /* in the pool, or among the answered */

    /* what is asked */
    struct proto_op unknown; /* stands in for an operation not in the schema */
    const struct proto_op *op;
    char *op_name; /* of `unknown`; owned */
    char *args;    /* one msgpack map; owned */
    size_t args_size;
    bool mutates;     /* changes something: repeated only as the same request */
    bool parks;       /* waits: asked in slices, unless it mutates, too */
    uint64_t wait_ns; /* then: how long in all, the same every time it is sent */

    /* how it goes */
    uint64_t due_at;      /* PARKED: gives up; ASKED: was silent for too long */
    uint64_t wait_until;  /* parks: when the answer is Timeout */
    uint64_t give_up_at;  /* not parks: when to stop, whatever happens */
    uint64_t alone_since; /* without a daemon since then; ASUP_NEVER: it answers */
    uint64_t request;     /* id it was last sent with */
    uint64_t generation;  /* session it was last sent in */
    uint32_t tag;         /* of the message it was last sent as */
    uint32_t breaks;      /* how often the connection broke since the last answer */
    bool sent;            /* under that id and session */
    bool in_doubt;        /* the connection broke after it was sent */
    bool expired;         /* the daemon did not know session or id */
    bool abandoned;       /* nobody wants the answer any more */
    bool taken;           /* its callback runs, or it was dropped */

    /* the answer */
    int code;
    uint8_t *reply; /* body lies in it */
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

    /* fixed once connected */
    char *url;
    bool without_session, keep_session;
    bool has_cx;
    uint8_t cx[ASUP_CX_SIZE]; /* shown with every request but those about sessions */
    int32_t patience_ms, answer_timeout_ms;
    uint64_t session_ttl_ns;
    pthread_t thread;
    bool running; /* the thread was started */
    int wake_fd;  /* eventfd: the thread shall look */
    int loop_fd;  /* eventfd: readable while something is answered */

    /* under the mutex */
    struct sp conn;
    enum link_state link;
    bool resuming;             /* the caller's session must be there */
    bool leaving;              /* asup_client_free() says goodbye */
    bool closing;              /* nothing goes on any more */
    bool polling;              /* the thread sleeps and has to be woken */
    uint64_t connect_at;       /* DOWN: when to try again */
    uint64_t connect_pause_ns; /* grows from try to try */
    uint64_t hello_at;         /* GREETING: when to say hello again */
    uint64_t hello_until;      /* GREETING: when the connection is given up */
    uint32_t hello_tag;        /* of the hello that counts */
    uint32_t tag_last;
    struct proto_error refusal; /* code 0: none; the last hello's error */
    struct session session;
    char *stdio_path;        /* where descriptors are handed over */
    size_t message_size_max; /* what the daemon takes */

    struct call **calls; /* every call there is, by index */
    uint32_t call_count;
    uint32_t call_capacity;
    struct call *pool;     /* idle */
    uint64_t calls_due_at; /* no call is due earlier */

    struct call *answered_first, *answered_last; /* for dispatch, in order */
    bool dispatching;

    atomic_uint wake; /* futex: counts answers and interrupts */
    atomic_bool interrupted;
};

/* ---- link.c ---------------------------------------------------------------- */

/* Begin to connect. Returns 0 or err->code. */
int link_start(struct asup_client *c, struct proto_error *err);
/* End the thread and the connection. */
void link_stop(struct asup_client *c);
/* The daemon did not know our session: ask again who we are. Mutex held. */
void link_verify(struct asup_client *c);
/* Something changed that the thread sleeps on. Mutex held. */
void link_nudge(struct asup_client *c);

/* ---- greeting.c --------------------------------------------------------------- */

/* Say hello on a fresh connection, or again. Mutex held, as for all here. */
void greeting_send(struct asup_client *c);
void greeting_answered(struct asup_client *c, const uint8_t *data, size_t size);
/* The link is in another state: whoever waits for it goes on. */
void link_set(struct asup_client *c, enum link_state state);

/* ---- call.c: under the mutex, but for call_recycle ---------------------------- */

/* Take a call from the pool or make one. NULL: no memory. */
struct call *call_new(struct asup_client *c);
/* Back into the pool. Its answer is gone then. */
void call_recycle(struct call *call);
/* Set it going. */
void call_start(struct call *call);
/* Make it end without an answer; then recycle. */
void call_abandon(struct call *call);
/* The message for some call. Takes it. */
void calls_answered(struct asup_client *c, uint32_t tag, uint8_t *message_take, size_t size);
/* The link is READY, DOWN or REFUSED: calls that it concerns go on. */
void calls_link_changed(struct asup_client *c);
/* Those whose time has come. Sets calls_due_at anew. */
void calls_tick(struct asup_client *c, uint64_t now);
/* A tag that no message under way has. `index`: of a call, or CALL_INDEX_HELLO. */
uint32_t tag_new(struct asup_client *c, uint32_t index);
/* Free all of them. */
void calls_free(struct asup_client *c);

/* A tag tells the place of its call, and uses of it apart. */
#define CALL_INDEX_BITS 20
#define CALL_INDEX_HELLO (((uint32_t)1 << CALL_INDEX_BITS) - 1)

/* ---- ask.c ------------------------------------------------------------------- */

/* A blocking call. When *out is set (the answer's or the library's own error
 * may be in it), it is to be recycled. Returns the code; fills err. */
int ask_begin(struct asup_client *c, const char *op, const void *args, size_t args_size,
              int64_t timeout_ms, struct call **out, struct asup_error_info *err);

/* ---- encode.c ------------------------------------------------------------------ */

/* What a call asks; copies. Returns 0 or err->code. Before call_start(). */
int call_ask(struct call *call, const char *op, const void *args, size_t args_size,
             int64_t timeout_ms, struct proto_error *err);
/* The message for a call as it is to be sent now; `w` is fresh, and `failed`
 * without memory. */
void encode_call(struct proto_writer *w, const struct call *call, const uint8_t *secret,
                 uint64_t slice_ns);
/* session.hello, with the secret if there is one, or the probe that stands in
 * for it. */
void encode_hello(struct proto_writer *w, const struct asup_client *c);

/* ---- wait.c -------------------------------------------------------------------- */

/* Wait until the call is done: 0, or -ASUP_EINTERRUPTED. */
int wait_call(struct call *call);
/* Wait until the link is READY or REFUSED, or an instant. */
void wait_link(struct asup_client *c, uint64_t until);
/* Wake the waiter of that call; everybody for NULL. */
void wait_wake(struct asup_client *c, const struct call *call);

/* ---- address.c ------------------------------------------------------------------ */

/* The address to use, "ipc://...", to be freed; NULL: see err. */
char *address_find(const char *url, struct proto_error *err);
/* The file behind it. */
const char *address_path(const char *url);
/* What a failed connection looks like from outside. Fills err. */
int address_explain(const char *url, struct proto_error *err);
/* Not allowed to open the socket: says so at once. Else 0. */
int address_check(const char *url, struct proto_error *err);

/* ---- cx.c ----------------------------------------------------------------------------- */

/* Which capability the client shows: the caller's, else that of this process's
 * task, which belongs to the daemon that its environment names. After the
 * address is known. Returns 0 or err->code. */
int cx_choose(struct asup_client *c, const struct asup_client_options *options,
              struct proto_error *err);

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
