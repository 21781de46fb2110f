/* SPDX-License-Identifier: MIT */
/*
 * Sagas (§5): what is kept of them. Private to core/.
 *
 * A region's stack holds finalizers and sagas in order of registration, the
 * last one on top; its links name a record and its sort. A saga owns its steps,
 * in order; a step keeps what its compensation is started with until the saga
 * is forgotten. A compensation's attempt is a task of its own (TASK_UNDO), made
 * when its turn comes; memory for one per saga is kept ready, since what begins
 * it may be a fact. So a step whose compensation is a call keeps the service of
 * that name in "/" in use: an attempt queues there or in a deeper one, and needs
 * no memory for it.
 *
 *     region --stack--> saga --steps--> step --> task (the action)
 *                                            \-> task (the last attempt to undo it)
 *     driver (task or session) --> saga --> saga
 */
#ifndef ASUPERSYNC_CORE_STATE_SAGA_H
#define ASUPERSYNC_CORE_STATE_SAGA_H

#include "core/arena.h"

struct saga {
    uint64_t id;
    uint64_t driver_key; /* of its driver, for the index of the first of each */
    uint64_t driver_id;
    uint64_t region_id;
    asup_time begun_at;
    asup_time ended_at;
    struct kernel_outcome last; /* of the compensation that needs attention */
    uint32_t region;            /* while it is live */
    uint32_t next, prev;        /* links of the stack; or among the ended: indices */
    uint32_t driver_next, driver_prev;
    uint32_t step_first, step_last, step_count;
    uint32_t step_at; /* being undone; NIL: none */
    uint32_t uid;
    uint8_t state; /* enum saga_state */
    uint8_t driver_sort;
    uint8_t has_last;
    /* not state (of the name, what it says is, not where it is): */
    bool work_queued;
    uint32_t name;
    uint32_t timer_place;
    uint32_t wait_first;
    uint32_t work_next;
};

struct step_record {
    uint64_t saga_id;
    uint64_t action; /* task; 0: the driver's own doing */
    uint64_t undo;   /* task of the last attempt; 0: none yet */
    uint64_t cx;     /* capability that the step was made with, which bounds its compensation */
    asup_time next_at;
    uint64_t budget_ns; /* of one attempt */
    uint64_t backoff_ns, backoff_most_ns;
    uint64_t leftover_ns, watchdog_ns, response_ns;
    uint32_t saga;
    uint32_t service;    /* NIL: the compensation is a process; else a call, see below */
    uint32_t next, prev; /* steps of the saga */
    uint32_t number;     /* 1, 2, 3, ... */
    uint32_t uid, run_uid;
    uint32_t mask_depth;
    uint32_t attempts;      /* ever */
    uint32_t attempts_left; /* of this round */
    uint32_t attempts_most; /* of a round */
    uint8_t state;          /* enum step_state */
    uint8_t cancel_signal;
    bool leftover_wait, notify;
    /* not state: */
    uint32_t name, label, spec;
};

/* The part of the kernel's state that is about sagas. */
struct saga_part {
    struct arena sagas, steps;
    struct index ids, drivers, actions, undos;
    uint64_t id_next;
    uint64_t weight;                               /* of the steps, for V (R-SCH-3) */
    uint32_t live;                                 /* on some stack */
    uint32_t undoing;                              /* Compensating */
    uint32_t attention;                            /* NeedsAttention */
    uint32_t ended_first, ended_last, ended_count; /* retained, oldest first */
    /* not state: */
    uint32_t work_first, work_last;
    bool stuck_told; /* the shell was told that only NeedsAttention holds up a Shutdown */
};

/* Links of a region's stack: an index and its sort. */
static inline uint32_t
stack_link(uint32_t index, bool is_saga)
{
    return index << 1 | (is_saga ? 1 : 0);
}

static inline bool
stack_is_saga(uint32_t link)
{
    return (link & 1) != 0;
}

#endif
