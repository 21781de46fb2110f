/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a simulated world (world.h) share.
 *
 *   world.c          a world from its beginning to its end
 *   world_step.c     a step of the kernel, with all checks
 *   world_calm.c     faults stop: everything closes, and in time
 *   world_agenda.c   what happens next
 *   world_disk.c     the journal of the daemon
 *   world_crash.c    engine, keeper and machine die, and come back
 *   world_keeper.c   rows, orders, processes and their scripts
 *   world_net.c      requests and answers between clients and the engine
 *   world_client.c   clients: what they know and what they do with it
 *   world_ask.c      the requests that they make
 *   world_any.c      requests about anything from anybody
 *   world_pick.c     what those are about
 *   world_told.c     what was acknowledged, and what must hold of it
 *   world_names.c    names and tables
 *
 * All time here is the world's own; kernel_now() makes kernel time of it, which
 * stands still while the machine is down and leaps when the clock does.
 */
#ifndef ASUPERSYNC_LAB_WORLD_STATE_H
#define ASUPERSYNC_LAB_WORLD_STATE_H

#include "lab/bytes.h"
#include "lab/oracle.h"
#include "lab/prng.h"
#include "lab/world.h"

enum {
    IDS_MAX = 16384,      /* a world ends its first phase before it has made so many */
    EXCHANGES_MAX = 4096, /* requests that the engine has not answered */
    CLIENTS = 6,
    ITEMS_MAX = 6,
    RUDE_MAX = 32,
    NOBODY = UINT32_MAX, /* no client: a request whose answer nobody reads */
};

/* ---- What happens next ------------------------------------------------------------ */

enum agenda_kind {
    AGENDA_REQUEST, /* arrives: message */
    AGENDA_ANSWER,  /* likewise */
    AGENDA_CLIENT,  /* number: acts */
    AGENDA_ORDER,   /* arrives at the keeper */
    AGENDA_ROW,     /* arrives at the engine */
    AGENDA_FACT,    /* likewise */
    AGENDA_PROCESS, /* number: a task; what: enum process_turn */
    AGENDA_COMMIT,  /* is done, or has failed */
    AGENDA_TROUBLE, /* faults that come by themselves */
    AGENDA_ENGINE,  /* is back */
};

struct agenda_item {
    asup_time at;
    uint64_t tie; /* first come, first served */
    enum agenda_kind kind;
    uint32_t what;
    uint64_t number;
    uint32_t life; /* of the process, keeper, engine or client that it belongs to */
    void *owned;   /* freed with it */
};

struct agenda {
    struct agenda_item *items;
    size_t count, capacity;
    uint64_t tie;
};

/* ---- Requests ----------------------------------------------------------------------- */

/* A request and all it points to. It may be sent more than once. */
struct request {
    struct input in;
    uint32_t refs;
    uint32_t client;
    /* What its sender was told, if it was (world_told.c). */
    bool told;
    struct asup_ref made;
    uint64_t forgotten; /* keys, until then */
    uint32_t told_by;   /* engine */
    /* For clients. */
    uint32_t life;
    uint32_t sends;
    bool answered, parks;
    asup_time resend_at;
    uint32_t parts; /* of a batch that is not atomic, in items[]; 0: it is none */
    /* Space for what the input points to. */
    struct input items[ITEMS_MAX];
    struct asup_ref items_made[ITEMS_MAX];
    int items_codes[ITEMS_MAX];
    struct task_params finalizers[ITEMS_MAX][3];
    struct task_params action, undo;
    uint64_t tasks[4];
    int codes[4];
    struct bytes names[3];
    char key[16], data[16], name[16];
};

/* One arrival of a request, until it is answered. */
struct exchange {
    uint64_t token; /* 0: free */
    struct request *q;
    uint32_t part;      /* of a batch, from 1; 0: it is none */
    bool remembers;     /* it was granted before: it must be answered as before */
    bool other;         /* it is another request under the same id or key; */
    bool conflicts;     /* of one that was granted: it must not be */
    bool answered;      /* the answer waits for the journal */
    uint64_t forgotten; /* keys, until then */
    bool parked;
};

/* On its way. */
struct message {
    struct request *q;
    uint64_t token; /* of an answer */
    uint64_t request, digest;
    uint32_t life;
    bool conflicts;
    int code;
    struct asup_ref made;
    bool masked, cancelled; /* what a report is told */
    uint32_t list_count, list_calls;
    struct asup_ref list[16];
};

/* ---- Processes ------------------------------------------------------------------------ */

enum process_turn { TURN_EXEC, TURN_ENDS, TURN_GIVES_UP, TURN_DIES, TURN_EMPTIES, TURN_SPEAKS };

enum row_fact {
    ROW_STARTED = 1,
    ROW_START_FAILED = 2,
    ROW_SIGNALLED = 4,
    ROW_SIGNAL_LATE = 8,
    ROW_EXITED = 16,
    ROW_EMPTY = 32,
};

/* What the keeper tells of a task. */
struct row {
    uint64_t task;
    uint64_t change; /* when, among all changes */
    uint32_t facts;
    const char *stage;
    int32_t error;
    struct process_exit exit;
};

/* A task's row, and its process. */
struct process {
    struct row row; /* task 0: there is none */
    uint32_t life;  /* how often it was started */
    uint64_t region;
    uint32_t uid;
    bool alive, children;
    bool was_killed, kill_delivered, signalled;
    bool deaf, forks, silent, stuck, speaks, masks, gives_up;
    int32_t signal;
    uint64_t run_ns, child_ns, react_ns;
    asup_time began_at;
    struct process_exit end; /* as its script has it */
    bool expected;           /* the engine of now knows of it */
    uint32_t facts_known;    /* and what it was told */
};

enum order_kind { ORDER_START, ORDER_SIGNAL, ORDER_KILL, ORDER_SAMPLE, ORDER_FORGET, ORDER_SWEEP };

struct order {
    enum order_kind kind;
    uint64_t task, region;
    uint32_t uid;
    int32_t signal;
    bool notify; /* it speaks */
};

/* ---- The journal ------------------------------------------------------------------------ */

struct disk {
    struct bytes_file snapshot, log;           /* on disk */
    struct bytes_file waiting;                 /* events of the next commit */
    struct bytes_file flight, flight_snapshot; /* of this one */
    bool committing, snapshotting;
    bool snapshot_wanted;
    bool mended;     /* what is torn was left out */
    size_t log_most; /* then a snapshot is taken */
    uint64_t flight_seq;
    uint64_t committed;    /* seq of the last event that is known to be on disk */
    uint32_t keeper, boot; /* under which the last RESUMED on disk was written */
    bool failing;
    asup_time full_until;
};

struct held {
    struct effect fx;
    struct asup_ref *list;
};

/* ---- Clients ------------------------------------------------------------------------------ */

enum know {
    KNOW_REGION,
    KNOW_TASK,
    KNOW_CHANNEL,
    KNOW_PERMIT,
    KNOW_ACK,
    KNOW_LEASE,
    KNOW_IO,
    KNOW_SAGA,
    KNOW_CAPABILITY,
    KNOW_CALL,
    KNOW_COUNT,
};

enum { KNOWN_MAX = 8, ASKED_MAX = 4, PAST_MAX = 8 };

struct known {
    uint64_t id;
    uint64_t region;
};

struct client {
    uint32_t uid;
    uint32_t life; /* each death begins another */
    uint64_t session;
    uint64_t ttl_ns;
    uint8_t digest[16];
    bool connected, worker, offered, waits;
    bool resume; /* it wants to know whether its session lives */
    asup_time back_at, quiet_until;
    uint64_t late[4]; /* calls that it will complete some time */
    uint32_t late_count;
    asup_time late_at;
    uint64_t request_last;
    struct known known[KNOW_COUNT][KNOWN_MAX];
    uint32_t known_count[KNOW_COUNT];
    struct request *asked[ASKED_MAX]; /* not answered yet */
    struct request *past[PAST_MAX];   /* answered */
    uint32_t past_count;
};

/* ---- What was told (world_told.c) ------------------------------------------------------------ */

struct fact;
struct facts {
    struct fact *items;
    size_t count, capacity;
};
struct told {
    struct facts told, pending;
    /* How often a worker withdrew or was lost, and a call was given back: what was told of the
     * time before says nothing of the time after. */
    uint32_t worker_turn[IDS_MAX], call_turn[IDS_MAX];
    uint64_t keys_forgotten;
    bool all_on_disk;           /* of what the kernel did that has just died */
    bool message_gone[IDS_MAX]; /* consumed or discarded, in the history of now */
};

/* ---- All of it ----------------------------------------------------------------------------------
 */

struct world {
    struct world_options options;
    struct world_counts counts;
    struct world_report *report;
    struct prng prng;
    uint32_t chance[FAULT_COUNT]; /* in 65536 */
    bool calm;                    /* faults have stopped */
    bool failed;

    struct kernel_config config;
    struct kernel *kernel, *shadow;
    long memory_left; /* allocations until one is refused; -1: no end */
    bool up;          /* the engine runs */
    uint32_t engine_run, keeper_run, boot;
    uint64_t resumed_seq;      /* of this engine */
    bool resuming, recovering; /* RESUMED is being taken; rows are told before it */
    uint64_t steps, token;
    uint64_t check_every; /* steps between full checks */
    struct durable_buffer event_bytes, event_scratch;

    asup_time now;
    int64_t shift; /* kernel time is so much later */
    asup_time kernel_last;
    struct agenda agenda;
    asup_time order_last, row_last; /* channels keep their order */

    struct disk disk;
    struct held *held;
    size_t held_count, held_capacity;

    struct process processes[IDS_MAX];
    uint64_t parent[IDS_MAX]; /* of regions */
    uint64_t changes;
    uint64_t process_last; /* the highest task that was started */

    struct client clients[CLIENTS];
    struct exchange exchanges[EXCHANGES_MAX];
    struct request *rude_last[RUDE_MAX]; /* to be sent again */
    bool attached[IDS_MAX];              /* sessions with a connection to this engine */
    bool quiescent;                      /* said by the kernel */
    bool ordered;                        /* just now */
    asup_time tick_not_before, rude_at;
    uint64_t serial;

    asup_time bound[IDS_MAX]; /* regions must be closed by then; 0: not promised */
    struct told told;
    struct oracles *oracles;
};

/* ---- Chance
 * ---------------------------------------------------------------------------------------- */

static inline uint32_t
dice(struct world *w, uint32_t sides)
{
    return (uint32_t)prng_below(&w->prng, sides);
}
/* Whether it goes wrong here and now; counted when it does. */
bool fault(struct world *w, enum world_fault which);
static inline void
deed(struct world *w, enum world_deed which)
{
    w->counts.deeds[which]++;
}

/* The first failure is kept, and ends the world soon. */
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *world_ref_name(struct asup_ref ref, char text[24]);

asup_time kernel_now(struct world *w);
/* Into the digest of the run. */
void world_digest(struct world *w, uint64_t n);

/* ---- The parts
 * ----------------------------------------------------------------------------------------- */

/* world_step.c */
struct kernel_allocator world_allocator(struct world *w);
int world_step(struct world *w, struct input *in);
void oracles_ask(struct world *w);
/* world.c: whatever comes next */
void world_turn(struct world *w);

/* world_agenda.c */
void agenda_add(struct world *w, struct agenda_item item);
bool agenda_next(struct world *w, struct agenda_item *out);
asup_time agenda_at(const struct world *w); /* ASUP_NEVER: nothing */
void agenda_fini(struct agenda *a);

/* world_disk.c */
void disk_begin(struct world *w);
void disk_fini(struct disk *d);
void disk_write(struct world *w, const struct event *ev);
/* After a step, or an answer of the disk: begin the next commit when there is something. */
void disk_go_on(struct world *w);
void disk_commit_done(struct world *w);
/* The machine or engine died: what is on its way gets there, or in part, or not. Returns whether
 * all that the kernel did is on disk. */
bool disk_crash(struct world *w);
struct kernel *disk_fold(struct world *w, asup_time at);
void disk_snapshot(struct world *w);

/* world_crash.c */
void crash(struct world *w, bool keeper, bool machine);
void crash_return(struct world *w);

/* world_keeper.c */
void keeper_order(struct world *w, const struct effect *fx);
void keeper_take(struct world *w, const struct order *o);
void keeper_die(struct world *w);
void process_turn(struct world *w, const struct agenda_item *item);
void row_take(struct world *w, const struct row *row, bool again);
void rows_adopt(struct world *w);
/* Those that outlive their kill do so no more. */
void processes_calm(struct world *w);
void process_told(struct world *w, uint64_t task);
void processes_check(struct world *w, const struct event *ev);

/* world_net.c */
struct request *request_new(struct world *w);
void request_drop(struct request *q);
/* `life` of the client; conflicts: under another digest. */
void request_send(struct world *w, struct request *q, uint64_t request, bool conflicts);
void request_arrives(struct world *w, struct message *m);
/* It goes out. */
void answer_send(struct world *w, const struct effect *fx, const struct asup_ref *list);
/* A connection has gone: what waited there waits no more. */
void exchanges_drop(struct world *w, uint32_t client);
void exchanges_clear(struct world *w);
/* What was parked is answered by nobody any more. */
void exchanges_forget(struct world *w);
void net_fini(struct world *w);
void rude_act(struct world *w);
void stray_fact(struct world *w);

/* world_client.c */
void clients_begin(struct world *w);
void client_act(struct world *w, uint32_t number, uint32_t life);
void client_answer(struct world *w, const struct message *m);
void client_lost(struct world *w, uint32_t number, uint64_t away_ns);
void client_die(struct world *w, uint32_t number);
void clients_engine_died(struct world *w);
void clients_fini(struct world *w);

/* world_ask.c */
/* Make a request of what it knows; NULL: nothing came to mind. */
struct request *client_ask(struct world *w, uint32_t number);

/* world_any.c */
void any_request(struct world *w, struct request *q);
/* As if of its content: another one for each request. */
uint64_t request_digest(struct world *w);
struct task_params any_task(struct world *w, uint32_t uid, bool finalizer);

/* world_pick.c: any at all, or one that lives if there is any. */
uint64_t any_id(struct world *w);
uint64_t live_region(struct world *w);
uint64_t open_region(struct world *w);
uint64_t live_task(struct world *w);
uint64_t
owned(struct world *w, uint64_t (*next)(const struct kernel *, uint64_t region, uint64_t after));
uint64_t any_session(struct world *w);
uint64_t any_duration(struct world *w);

/* world_told.c */
void told_fini(struct world *w);
/* A request is about to be decided. */
void told_ask(struct world *w, struct exchange *x, const struct input *in);
void told_step(struct world *w, const struct step *out);
/* The journal is on disk up to there: answers go out. */
void told_tell(struct world *w, uint64_t committed);
/* What came back knows all that was told; what was not told is forgotten. */
void told_check(struct world *w, const struct kernel *before, const struct kernel *after);

/* world_calm.c */
void calm_event(struct world *w, const struct event *ev);
void world_calm(struct world *w);

#endif
