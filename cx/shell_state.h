/* SPDX-License-Identifier: MIT */
/*
 * The shell from the inside: what shell*.c share. Families of cx.h use
 * shell_internal.h.
 *
 * One record for each live task that is a fiber. It is made when the task is
 * submitted, gets its fiber when the kernel orders the start, and goes when the
 * kernel says that the task is completed.
 *
 *     submitted --FX_START--> runnable <--> runs --> ended --TASK_COMPLETED--> gone
 *                                 ^          |
 *                                 +- waits <-+      (FX_KILL: from runnable or waits to ended)
 *
 * Orders are what a step asked for and another step must answer; they are
 * carried out in the order in which they came, before anything else runs.
 */
#ifndef ASUPERSYNC_CX_SHELL_STATE_H
#define ASUPERSYNC_CX_SHELL_STATE_H

#include "asupersync/values.h"
#include "cx/shell_internal.h"

#if defined(__GNUC__)
#define SHELL_LIKELY(x) __builtin_expect(!!(x), 1)
#else
#define SHELL_LIKELY(x) (x)
#endif

/* Live in every build. */
#define shell_must(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            shell_broken(__FILE__, __LINE__, #condition);                                          \
    } while (0)
void shell_broken(const char *file, int line, const char *what) __attribute__((noreturn));

enum run_lane { RUN_NONE, RUN_READY, RUN_CANCEL, RUN_LANES };

enum waiting {
    WAITS_NOT,
    WAITS_REPLY,  /* parked in the kernel */
    WAITS_TICKET, /* for the world */
    WAITS_TIME,
    WAITS_REGION, /* for the end of a scope, where the kernel could not park it */
};

struct memory_chunk;

struct task_fiber {
    uint64_t id;
    struct shell *shell;
    uint32_t slot; /* in the table of records */
    uint32_t masks;
    struct fiber *fiber; /* NULL: not started, or ended */
    struct fiber *grave; /* given up: its stack may be looked at by what its scopes still run */
    struct asup_cx *cx;
    struct shell_body body;
    struct shell_object *objects; /* the last got first */

    struct task_fiber *run_next, *run_prev;
    uint64_t run_number;   /* order of becoming runnable */
    uint64_t wait_token;   /* of a parked request or ticket */
    uint64_t ticket_woken; /* before anybody waited for it */
    asup_time wake_at;     /* ASUP_NEVER: not by time */
    uint64_t wake_number;
    uint32_t wake_place; /* in the heap of timers; NOWHERE */
    uint8_t lane;        /* enum run_lane */
    uint8_t waiting;     /* enum waiting */
    bool cancellable;    /* what it waits in ends by a cancel */
    bool cancelled;      /* the kernel has a reason for it */
    bool finalizer;
    bool told;     /* a wait was ended by a cancel: it has observed that when it runs */
    bool killed;   /* ordered while it ran: it does not come back from its next wait */
    bool at_point; /* it is in a call that waits or is a checkpoint */
    bool ended;    /* its function is over */
    bool orphans;  /* ended, scopes of it are not Closed */
    bool panicked, overflowed;
    int result;
    uint32_t scopes_left; /* while `orphans` */
    struct shell_reply reply;
    char *words; /* of a panic; malloc()ed */

    struct memory_chunk *memory;
    const struct asup_reason *reason; /* spelled out last */
    uint32_t reason_handle;
};

enum order_kind {
    ORDER_START,
    ORDER_SIGNAL,
    ORDER_KILL,
    ORDER_SWEEP,
    ORDER_FINISH, /* a scope that is joined */
    ORDER_CANCEL_SCOPES,
    ORDER_EMPTY,
    ORDER_GIVE_UP, /* the compensation of a saga that failed for good */
};

struct order {
    uint64_t id;
    uint64_t region; /* START */
    uint32_t job;    /* START: in its spec */
    enum order_kind kind;
};

/* Ids to pointers; open addressing, room is made ahead. */
struct id_map {
    struct id_entry {
        uint64_t id; /* 0: free */
        void *value;
    } * entries;
    uint32_t capacity, count;
};
bool id_map_reserve(struct id_map *m, uint32_t more);
void id_map_add(struct id_map *m, uint64_t id, void *value);
void *id_map_find(const struct id_map *m, uint64_t id);
void *id_map_drop(struct id_map *m, uint64_t id);

enum {
    RECORDS_PER_CHUNK = 256,
    NOWHERE = UINT32_MAX,
    WORDS_KEPT = 256,
    WORDS_SIZE = ASUP_MESSAGE_MAX + 1
};

struct run_queue {
    struct task_fiber *first, *last;
};

struct shell {
    struct kernel *kernel;
    struct world world;
    struct fiber_pool *fibers;
    asup_time now; /* last told */
    uint32_t fairness;

    struct task_fiber *running;
    void (*call)(struct shell *s, void *ctx);
    void *call_ctx;
    struct shell *outer; /* that ran on this thread before */

    uint64_t token_last;
    uint64_t sync_token; /* of the request that is being stepped */
    struct shell_reply sync_reply;
    struct task_fiber *submitted; /* to be known under the id of that reply */

    struct order *orders; /* a ring */
    uint32_t order_capacity, order_first, order_count;
    bool ordering;

    struct task_fiber **records; /* chunks */
    uint32_t chunk_count, record_count;
    struct task_fiber *records_free;
    struct id_map tasks;  /* id to record */
    struct id_map scopes; /* region to its Cx, while it is not Closed */

    struct run_queue queue[RUN_LANES];
    uint32_t runnable;
    uint32_t cancel_run;
    uint64_t run_number;
    struct task_fiber **choice; /* where the world chooses: all that can run, in order */
    uint64_t *choice_ids;
    uint32_t choice_capacity;

    struct task_fiber **timers; /* a heap */
    uint32_t timer_count, timer_capacity;
    uint64_t wake_number;

    struct shell_object *objects_free, *objects_free_last; /* a queue */
    uint32_t objects_kept;
    void **object_chunks;
    uint32_t object_chunk_count;

    struct shell_job {
        struct shell_body body; /* its function NULL: free */
        uint32_t next;          /* of the saga's, or to be used again; 0: none */
    } * jobs;                   /* number n at n - 1 */
    uint32_t job_count, job_capacity, jobs_free;
    struct id_map sagas; /* that are not ended, to their first job (its number) */

    struct last_words {
        uint64_t task;
        char *text;
    } words[WORDS_KEPT]; /* of those that panicked last */
    uint32_t words_at;

    uint64_t main_task, main_region;
    bool main_ended, main_closed, quiescent;
    struct kernel_outcome main_outcome;
};

/* shell_step.c */
asup_time shell_now(struct shell *s);
int shell_step(struct shell *s, struct input *in);
void shell_fact(struct shell *s, enum input_kind kind, uint64_t task);
void orders_run(struct shell *s);
void order_add(struct shell *s, enum order_kind kind, uint64_t id);
void out_of_memory(void) __attribute__((noreturn));
uint64_t shell_token(struct shell *s, const struct task_fiber *t);
int shell_ask(struct shell *s, struct input *in);

/* shell_run.c */
bool run_reserve(struct shell *s, uint32_t count);
void run_add(struct shell *s, struct task_fiber *t);
void run_remove(struct shell *s, struct task_fiber *t);
struct task_fiber *run_pick(struct shell *s);
void run_free(struct shell *s);

/* shell_timer.c */
void timer_arm(struct shell *s, struct task_fiber *t, asup_time at);
void timer_disarm(struct shell *s, struct task_fiber *t);
asup_time timer_next(const struct shell *s);
void timers_due(struct shell *s);

/* shell.c */
extern _Thread_local struct shell *shell_here; /* that runs on this thread */

/* shell_task.c */
struct task_fiber *record_new(struct shell *s, const struct shell_body *body);
void record_known(struct shell *s, struct task_fiber *t, uint64_t id);
void record_free(struct shell *s, struct task_fiber *t);
struct task_fiber *record_of(const struct shell *s, uint64_t task);
void task_start(struct shell *s, const struct order *o);
void task_signal(struct shell *s, struct task_fiber *t);
void task_kill(struct shell *s, struct task_fiber *t);
void task_cancel_scopes(struct shell *s, struct task_fiber *t);
void task_ended(struct shell *s, struct task_fiber *t, bool killed);
void task_empty(struct shell *s, struct task_fiber *t);
void records_free(struct shell *s);
void jobs_done(struct shell *s, uint64_t saga);

/* shell_wait.c */
int shell_submit_own(struct shell *s, struct input *in, const struct shell_body *body,
                     struct shell_reply *reply);
void wait_wake(struct shell *s, struct task_fiber *t, int code);
void wait_reply(struct shell *s, const struct effect *fx);
void wait_cancel(struct shell *s, struct task_fiber *t);
void scope_closed(struct shell *s, uint64_t region);
/* No task of it and no child is left, but what the kernel makes itself. */
bool scope_is_idle(const struct shell *s, uint64_t region);
/* Seal one that is joined, if nothing of it can ask for more. */
void scope_settle(struct shell *s, struct asup_cx *scope);
/* A participant of a region has ended. */
void scope_thinner(struct shell *s, uint64_t region, bool ok);

/* shell_object.c */
void *object_make(struct shell *s, struct task_fiber *owner, enum object_kind kind,
                  void (*drop)(void *object));
void objects_release(struct shell *s, struct task_fiber *owner);
void objects_free(struct shell *s);

/* shell_outcome.c */
void words_add(struct shell *s, uint64_t task, char *text);
void words_free(struct shell *s);

#endif
