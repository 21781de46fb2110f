/* SPDX-License-Identifier: MIT */
/*
 * The state of the kernel: what lives in which arena, and how it hangs
 * together. Private to core/.
 *
 * Records refer to each other by index, to text by heap handle and to cancel
 * reasons by reason handle. Only the apply functions (apply_*.c) write what is
 * hashed by kernel_digest(); everything else reads (R-EVT-1). What stands below
 * a "not state" mark is derived, or belongs to the step at hand.
 *
 *     "/" --children--> region --tasks--> task          (live ones, by id)
 *                         |--stack--> finalizer or saga -> ...  (last registered first)
 *                         |--waits--> wait              (parked requests)
 *     session --attached--> region
 *     region --ledger--> obligation     (see state_obligation.h)
 *     retained: closed regions and completed tasks, oldest first
 */
#ifndef ASUPERSYNC_CORE_STATE_H
#define ASUPERSYNC_CORE_STATE_H

#include "asupersync/values.h"
#include "core/arena.h"
#include "core/heap.h"
#include "core/state_channel.h"
#include "core/state_capability.h"
#include "core/state_key.h"
#include "core/state_obligation.h"
#include "core/state_saga.h"
#include "core/state_call.h"
#include "core/timer.h"

/* ---- Tasks ------------------------------------------------------------------- */

enum task_flag {
    TASK_FINALIZER = 1 << 0,     /* an entry of its region's stack */
    TASK_BEGUN = 1 << 1,         /* finalizer: its turn came */
    TASK_DELAYED = 1 << 2,       /* Created, and its time has not come */
    TASK_ORDERED = 1 << 3,       /* its start was ordered (R-TSK-5) */
    TASK_STARTED = 1 << 4,       /* exec succeeded */
    TASK_READY = 1 << 5,         /* READY=1 */
    TASK_NOTIFY = 1 << 6,        /* speaks the notify protocol */
    TASK_LEFTOVER_WAIT = 1 << 7, /* leftovers end by themselves, until a cancel */
    TASK_SAMPLED = 1 << 8,       /* its CPU time counts against some quota */
    TASK_ACKED = 1 << 9,         /* it observed the cancel */
    TASK_SIGNALLED = 1 << 10,    /* the cancel signal was ordered */
    TASK_ENDED = 1 << 11,        /* main process ended: `end` is valid, else `run` */
    TASK_EMPTIED = 1 << 12,      /* nothing is left in its cgroup */
    TASK_ESCALATED = 1 << 13,    /* kill was ordered */
    TASK_UNKILLABLE = 1 << 14,   /* and it was still there after the grace */
    TASK_WATCHDOG_LATE = 1 << 15,
    TASK_BROKE_WORD = 1 << 16, /* until its next checkpoint (R-TSK-8) */
    TASK_LIMIT_FIRED = 1 << 17,
    TASK_FORCED = 1 << 18,    /* outcome: killed while its main process lived */
    TASK_LOST = 1 << 19,      /* outcome: status unknown */
    TASK_DELEGATED = 1 << 20, /* its kill comes with its region's T */
    TASK_SLOW = 1 << 21,      /* its start is not answered, and left the window */
    TASK_KEYED = 1 << 22,     /* an idempotency key keeps its outcome */
    TASK_KEPT = 1 << 23,      /* Completed, and not among the retained for that */
    TASK_ACTION = 1 << 28,    /* of a step of a saga */
    TASK_UNDO = 1 << 29,      /* an attempt to compensate one: a finalizer that stands on no
                                 stack itself; its spec and label are the step's */
    TASK_CALL = 1 << 25,      /* a call: what is beside it is in state_call.h */
    TASK_WORKER = 1 << 26,    /* it offered to serve calls */
    TASK_AGAIN = 1 << 27,     /* a call some attempt of which was begun before */
};

/* LANE_TAKEN: a call that a worker took and has not begun. */
enum lane { LANE_NONE, LANE_SIGNAL, LANE_FINALIZER, LANE_TIMED, LANE_READY, LANE_TAKEN };

struct task {
    uint64_t id;
    asup_time created_at;
    asup_time started_at;
    asup_time limit_at; /* own limit; ASUP_NEVER: none. A finalizer: its budget in ns */
    uint64_t cost_quota;
    uint64_t cost_spent;
    uint64_t drain_ns;
    uint64_t leftover_ns;
    asup_time drain_end; /* T: no extension goes beyond */
    asup_time kill_at;   /* when it will be killed; once escalated: when to report it;
                            Completed: since when */
    uint64_t log_lost;
    uint64_t cx; /* capability that it was made with, which bounds its own; 0: none */
    union {
        struct {
            asup_time due_at; /* TASK_DELAYED until then */
            uint64_t watchdog_ns;
            union {
                asup_time watchdog_at; /* a process */
                uint64_t call_order;   /* a call: its place in its service's lane */
            };
            uint64_t response_ns;
            asup_time response_at;
            asup_time sample_at; /* while it starts: when it is TASK_SLOW */
            uint32_t mask_depth;
            uint32_t mask_left;     /* R-TSK-3 */
            uint32_t cleanup_polls; /* left, once cancelled (R-CAN-2) */
        } run;
        struct {
            asup_time at;
            uint64_t cpu_ns;
            uint64_t memory_peak;
            int32_t exit_code;
            int32_t error;
            uint32_t reason; /* handle */
            uint8_t severity;
            uint8_t signal;
            char stage[16]; /* as task_end_write() packs it */
        } end;
    };
    uint32_t region;
    uint32_t next; /* in its region, in the stack (a link), or among the retained */
    uint32_t prev;
    uint32_t uid;
    uint32_t run_uid;
    union {
        uint32_t pid;  /* a process */
        uint32_t call; /* a call: the record beside it */
    };
    uint32_t poll_quota;
    uint32_t polls_spent;
    uint32_t reason;
    uint32_t flags;
    uint32_t cpu_ms; /* charged so far */
    uint8_t state;
    uint8_t priority; /* own */
    uint8_t cancel_signal;
    uint8_t limit_kind;
    uint8_t lane;
    /* not state (of the texts, what they say is, not where they are): */
    bool work_queued;
    bool silent;       /* an ack of it ran out of time, and it has not spoken since */
    uint8_t lane_step; /* in which it entered, modulo 256: see dispatch.c */
    uint32_t label;
    uint32_t spec;
    uint32_t lane_place; /* in the timed lane's heap; in a queue: the one before */
    uint32_t lane_next;
    uint32_t timer_place;
    uint32_t wait_first;
    uint32_t work_next;
};

/* ---- Regions ------------------------------------------------------------------ */

enum region_flag {
    REGION_SEALED = 1 << 0,
    REGION_CANCELLED = 1 << 1,
    REGION_SOFT = 1 << 2,
    REGION_HARD = 1 << 3,    /* T holds although it is soft: Shutdown, or asked for */
    REGION_DECIDED = 1 << 4, /* its policy has decided */
    REGION_WON = 1 << 5,     /* with a winner: only Panicked still counts */
    REGION_CLOSE_TIMEOUT = 1 << 6,
    REGION_USED = 1 << 7,          /* a start was ordered here or below: sweep */
    REGION_SWEEP_PENDING = 1 << 8, /* ordered, not answered */
    REGION_LIMIT_FIRED = 1 << 9,
    REGION_COST_LIMITED = 1 << 10, /* a cost quota here or above */
    REGION_STRICT = 1 << 11,       /* a leak counts Panicked */
    REGION_DRAIN_ENDED = 1 << 12,  /* T passed while something was owed */
    REGION_VOLATILE = 1 << 13,     /* it or one above was opened so (R-DUR-1) */
    REGION_VOLATILE_TOP = 1 << 14, /* and what is above is durable */
    REGION_LOST = 1 << 15,         /* volatile, of an engine that is gone */
    REGION_KEYED = 1 << 16,        /* an idempotency key keeps its outcome */
    REGION_KEPT = 1 << 17,         /* Closed, and not among the retained for that */
};

struct region {
    uint64_t id;
    uint64_t parent_id; /* 0 for "/" */
    uint64_t name_key;  /* for the index of names */
    asup_time opened_at;
    asup_time closed_at;
    asup_time limit_at; /* own */
    asup_time effective_limit;
    uint64_t cost_quota;
    uint64_t cost_spent;
    uint64_t drain_ns;
    asup_time drain_end;    /* T of what runs here; ASUP_NEVER: none */
    asup_time drain_pass;   /* T for what lies below; differs where it is soft */
    uint64_t cleanup_ns;    /* P(r) when it was cancelled; see close_by */
    uint64_t finalizers_ns; /* F(r): budgets of what is on the stack, with retries and backoff */
    asup_time close_by;     /* T + P(r) */
    asup_time sweep_at;     /* next attempt; ASUP_NEVER: none planned */
    uint64_t tasks_total;
    uint64_t sub_tasks;        /* live tasks and finalizers here and below */
    uint64_t sub_regions;      /* live regions here and below, itself included */
    uint64_t sub_sagas;        /* live sagas here and below */
    uint64_t last_id;          /* last admitted participant (policy last) */
    struct kernel_outcome acc; /* what counts so far; at the end: the outcome */
    struct kernel_outcome fin; /* of its finalizers */
    struct kernel_outcome ok;  /* the first Ok (policy quorum) */
    uint32_t parent;
    uint32_t child_first, child_last;
    uint32_t next, prev; /* among its siblings, or among the retained */
    uint32_t task_first, task_last;
    uint32_t stack_top; /* a link */
    uint32_t sagas;     /* on its stack; of those: */
    uint32_t sagas_running, sagas_undoing, sagas_attention;
    uint32_t session; /* attached to; NIL: none */
    uint32_t attach_next, attach_prev;
    uint32_t uid;
    uint32_t depth;
    uint32_t quorum, oks;
    uint32_t poll_quota, polls_spent;
    uint32_t tasks_max, children_max;
    uint32_t tasks_live, children_live, finalizers;
    uint32_t participants;                       /* ever admitted */
    uint32_t counted;                            /* of those that ended, how many counted */
    uint32_t delegated;                          /* tasks whose kill comes with T */
    uint32_t ledger_first, ledger_last;          /* what is owed here, by id */
    uint32_t ledger[ASUP_OBLIGATION_KIND_COUNT]; /* how much of each kind (R-OBL-7) */
    uint32_t channel_first, channel_last;        /* by id */
    uint32_t channels;
    uint32_t unconsumed;                        /* messages that its close made dead letters */
    uint32_t lease_first, lease_last;           /* names held or cooling */
    uint32_t leaks;                             /* ever */
    uint32_t capability_first, capability_last; /* derived for it, by id */
    uint32_t kept;                              /* in it, that a key keeps */
    uint32_t reason;
    uint32_t flags;
    int32_t sweep_error;
    uint32_t sweep_attempts;
    uint8_t state, policy;
    uint8_t priority, effective_priority, limit_kind;
    uint8_t last_sort;
    uint8_t has_acc, has_fin, has_ok;
    /* not state (of the name, what it says is, not where it is): */
    bool work_queued;
    uint32_t name;
    uint32_t timer_place;
    uint32_t wait_first;
    uint32_t work_next;
    uint32_t batch_tasks, batch_children, batch_finalizers; /* of the batch at hand */
    bool batch_ended;
    uint64_t cascade_ns; /* P(r), for the cascade at hand */
    bool cascade_soft;   /* something here or below may wait for ever */
    bool cascade_stuck;  /* likewise for an operator */
};

/* ---- Sessions, requests, users, reasons, waits ---------------------------------- */

struct session {
    uint64_t id;
    uint64_t ttl_ns;
    asup_time expires_at; /* ASUP_NEVER while connected */
    uint64_t floor;       /* request ids up to this may have been forgotten */
    uint8_t secret_digest[16];
    uint32_t uid, pid;
    uint32_t attach_first, attach_last, attached;
    uint32_t request_first, request_last, requests;
    bool connected;
    /* not state: */
    uint32_t timer_place;
    bool silent; /* an ack of it ran out of time, and it has not spoken since */
};

/* A request that was granted (R-IDM-1). */
struct request {
    uint64_t key; /* of (session, id), for the index */
    uint64_t id;
    uint64_t digest;
    uint64_t made_id;
    uint32_t made_sort;
    uint32_t session;
    uint32_t next;  /* bound after it in its session */
    uint32_t batch; /* heap handle: array of struct asup_ref, of a batch */
};

struct user {
    uint64_t key; /* uid + 1 */
    uint64_t bytes;
    uint32_t tasks, regions, sessions;
    uint32_t obligations, leases; /* in regions of its own */
    uint32_t channels, dead;      /* likewise; dead letters */
    uint32_t offers;
    uint32_t capabilities; /* derived by it, and not revoked */
    uint32_t keys;
    uint32_t waits; /* not state */
};

struct reason {
    uint64_t handle;
    asup_time at;
    uint64_t origin;
    uint32_t message;
    uint32_t cause;
    uint32_t refs;
    uint32_t dying_next;
    uint8_t kind, origin_sort;
    bool durable; /* made by a durable event */
    bool dying;   /* without a holder, until the end of the step */
    bool fresh;   /* never had one */
};

/* A parked request: a promise to answer. It changes nothing and is no state. */
enum wait_on {
    WAIT_ON_TASK,
    WAIT_ON_REGION,
    WAIT_ON_LEASE,
    WAIT_ON_CHANNEL_SEND,
    WAIT_ON_CHANNEL_RECEIVE,
    WAIT_ON_WORKER,
    WAIT_ON_SAGA,
};

struct wait {
    uint64_t id; /* order of parking */
    uint64_t token;
    asup_time timeout_at;
    struct caller caller;
    uint64_t request, digest; /* to be bound when it is granted (R-IDM-1) */
    uint64_t number;          /* by what it waits for: a lease's time to live, an
                                 ack's time */
    uint32_t target;          /* index of what it waits for */
    uint32_t most;            /* WORKER: how many calls it wants */
    uint32_t next, prev;
    uint32_t timer_place;
    uint32_t capability; /* that it hangs on; NIL: none */
    uint32_t capability_next, capability_prev;
    uint8_t until;
    uint8_t on; /* enum wait_on */
};

/* ---- The kernel ------------------------------------------------------------------ */

/* Memory of one step: payloads, outcomes and texts of its events. */
struct scratch {
    uint8_t *chunk;
    size_t size, used;
    uint8_t **older; /* full ones of this step */
    size_t *older_size;
    size_t older_count, older_capacity, older_size_capacity;
};

struct queue {
    uint32_t first, last; /* NIL: empty */
};

/* Above this is the cancel lane's band (§7). */
#define READY_PRIORITY_MAX 199

struct kernel {
    struct kernel_allocator allocator;
    struct kernel_config config;

    struct arena tasks, regions, sessions, requests, users, reasons, waits;
    struct index task_ids, region_ids, session_ids, request_keys, user_ids, reason_handles, names,
        wait_tokens;
    struct heap heap;
    struct obligations obligations;
    struct channel_store channels;
    struct saga_part saga;
    struct capabilities capabilities;
    struct keys keys;

    uint64_t event_seq; /* of the last event */
    asup_time event_at;
    uint64_t durable_seq; /* of the last durable one */
    uint64_t task_id_next, region_id_next, session_id_next;
    uint32_t reason_next;
    uint32_t root;                                /* index of "/" */
    uint32_t tasks_in[ASUP_TASK_STATE_COUNT];     /* live ones by state */
    uint32_t regions_in[ASUP_REGION_STATE_COUNT]; /* likewise, "/" included */
    uint32_t stack_entries;
    uint32_t starting;                                      /* starts in the window */
    uint32_t retained_first, retained_last, retained_count; /* links */
    uint32_t kept_first, kept_last, kept_count;             /* likewise, kept by a key */
    bool hurry;          /* a second Shutdown came: finalizers get hurry_ns */
    bool journal_failed; /* admission stops */

    /* lanes: membership is state, places are not */
    struct timers timed;
    struct queue signals, finalizers;
    struct queue ready[READY_PRIORITY_MAX + 1];          /* by effective priority */
    uint64_t ready_used[(READY_PRIORITY_MAX + 64) / 64]; /* a bit for each that is not empty */
    uint32_t lane_count[5];
    uint32_t cancel_run; /* picks in a row from the cancel lane while others waited */
    uint32_t timed_run;  /* likewise from timed while ready waited */
    bool finalizer_turn;

    bool limits_seen;   /* some task had a limit: the timed lane may be used */
    bool volatile_seen; /* some region was volatile */
    struct calls calls;

    /* not state: */
    struct timers timers; /* of regions, sessions and tasks */
    struct timers wait_timers;
    uint64_t wait_id_next;
    uint32_t volatile_tops; /* outermost volatile regions that are live */
    uint32_t waits_to_bind; /* parked requests that are bound when they are granted */
    uint32_t task_memo, region_memo, user_memo; /* looked up last */
    asup_time now;
    bool stepping;
    bool recovering;       /* folding a journal, until RESUMED */
    uint64_t request_mark; /* durable_seq before the request at hand */
    struct queue work_tasks, work_regions;
    uint32_t dying_first; /* reasons without a holder, kept to the end of the step */
    struct event *events;
    size_t event_count, event_capacity;
    struct effect *effects;
    size_t effect_count, effect_capacity;
    struct scratch scratch;
    uint32_t calm; /* steps since the buffers were last needed so large */
    uint64_t steps;
};

static inline struct task *
task_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->tasks, i);
}

static inline struct region *
region_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->regions, i);
}

static inline bool
region_owes(const struct region *r)
{
    return r->ledger_first != NIL;
}

static inline struct session *
session_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->sessions, i);
}

static inline struct saga *
saga_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->saga.sagas, i);
}

static inline struct step_record *
step_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->saga.steps, i);
}

/* The next region of a walk over the live subtree of `top`, depth first, an
 * ancestor before its descendants, siblings by id; NIL at the end. */
static inline uint32_t
region_walk(const struct kernel *k, uint32_t top, uint32_t at)
{
    const struct region *r = region_at(k, at);

    if (r->child_first != NIL)
        return r->child_first;
    while (at != top) {
        if (r->next != NIL)
            return r->next;
        at = r->parent;
        r = region_at(k, at);
    }
    return NIL;
}

/* Links of the list of retained things: an index and its sort. */
static inline uint32_t
retained_link(uint32_t index, bool is_region)
{
    return index << 1 | (is_region ? 1 : 0);
}

static inline uint64_t
time_add(uint64_t a, uint64_t b)
{
    return a > ASUP_NEVER - b ? ASUP_NEVER : a + b;
}

static inline uint64_t
min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What a finalizer may take (R-REG-6). */
static inline uint64_t
finalizer_budget_ns(const struct kernel *k, const struct task *t)
{
    return k->hurry ? min_u64(t->limit_at, k->config.finalizer_hurry_ns) : t->limit_at;
}

static inline struct call *
call_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->calls.calls, i);
}

static inline struct worker *
worker_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->calls.workers, i);
}

static inline struct offer *
offer_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->calls.offers, i);
}

static inline struct service *
service_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->calls.services, i);
}

static inline bool
task_is_call(const struct task *t)
{
    return (t->flags & TASK_CALL) != 0;
}

static inline struct call *
call_of(const struct kernel *k, const struct task *t)
{
    return call_at(k, t->call);
}

static inline uint32_t
call_task(const struct call *c)
{
    return c->task_key - 1;
}

static inline bool
task_live(const struct task *t)
{
    return t->state != ASUP_TASK_COMPLETED;
}

/* Its start was ordered, and there is no answer yet. */
static inline bool
task_starting(const struct task *t)
{
    return (t->flags & (TASK_ORDERED | TASK_STARTED | TASK_ENDED)) == TASK_ORDERED;
}

/* The topmost volatile region at or above one that is volatile. */
static inline uint32_t
region_volatile_top(const struct kernel *k, uint32_t i)
{
    while ((region_at(k, i)->flags & REGION_VOLATILE_TOP) == 0)
        i = region_at(k, i)->parent;
    return i;
}

static inline bool
region_live(const struct region *r)
{
    return r->state != ASUP_REGION_CLOSED;
}

/* Whether the effective limits of a task put it into the timed lane, and the
 * limit it is ordered by (R-BUD-2). */
asup_time task_effective_limit(const struct kernel *k, const struct task *t);
uint8_t task_effective_priority(const struct kernel *k, const struct task *t);

struct user *user_find(const struct kernel *k, uint32_t uid);
struct reason *reason_find(const struct kernel *k, uint32_t handle);
const struct reason *reason_root(const struct kernel *k, uint32_t handle);

#endif
