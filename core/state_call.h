/* SPDX-License-Identifier: MIT */
/*
 * Calls and workers (§3, §7): state. Private to core/.
 *
 * A call is a task (struct task, TASK_CALL) with a record beside it. Where it is:
 *
 *     Created, delayed        nowhere; the task's timer brings it (backoff, delay)
 *     Created, LANE_*         queued in its service
 *     Created, LANE_TAKEN     with a worker that has not begun it; may be taken back
 *     Running and beyond      with the worker that runs it
 *     Completed, CALL_GHOST   ended by force, and its worker has not let go of it: it
 *                             takes a place there, and that is all
 *
 * A service is (uid, name, region): the calls of that name and user in the
 * region and below it queue there, unless a deeper one of that name is nearer
 * to them. "/" has one for every name in use; others come with workers that
 * serve a part of the tree only, and a worker takes from its own service and
 * from all below it. So what a worker may take is found without a search.
 *
 * A worker is a session that offered names. Its offers link it with services.
 *
 *     worker --calls--> call --> task        service --offers--> offer --> worker
 *            --offers-> offer --> service            --heaps--> task (queued)
 *            --cancels> task                         --taken--> task (taken)
 */
#ifndef ASUPERSYNC_CORE_STATE_CALL_H
#define ASUPERSYNC_CORE_STATE_CALL_H

#include "core/arena.h"
#include "core/timer.h"

enum call_flag {
    CALL_HELD = 1 << 0,  /* in its worker's list */
    CALL_GHOST = 1 << 1, /* ended by force; its worker still has it */
};

struct call {
    uint32_t task_key; /* index of its task + 1: the record's key, with the service */
    uint32_t service;
    uint32_t worker; /* who has it, or had it last; NIL: nobody yet */
    uint32_t next, prev;
    uint32_t key;     /* text: the idempotency key */
    uint32_t message; /* text: what its worker said at the end */
    uint32_t backoff_ms, backoff_most_ms;
    uint16_t attempt;  /* that was begun last */
    uint16_t attempts; /* in all, at least 1 */
    uint16_t given;    /* in which answer its worker got it, modulo 65536 */
    uint16_t flags;
    asup_time taken_at; /* by the worker that has it, or had it last */
    /* not state: */
    uint32_t child; /* in its service's heap */
};

enum worker_flag {
    WORKER_DRAINING = 1 << 0, /* gets nothing new */
    WORKER_QUIET = 1 << 1,    /* was quiet for too long; the task it is gets cancelled */
    WORKER_FENCED = 1 << 2,   /* its calls were lost; what it says of them is refused */
};

struct worker {
    uint64_t session; /* id */
    uint64_t holder_id;
    uint32_t holder_sort;
    uint32_t uid;
    uint64_t response_ns;
    uint64_t quiet_ns;
    asup_time seen_at;
    uint64_t done, lost;
    uint64_t request; /* id of the request whose answer it got last */
    uint32_t region;
    uint32_t concurrency, prefetch;
    uint32_t mask_depth;
    uint32_t running; /* ghosts included */
    uint32_t taken;
    uint32_t offer_first, offer_count;
    uint32_t call_first, call_last;
    uint32_t timed_run; /* picks in a row from the timed lane while ready waited */
    uint16_t given;     /* answers with something in it */
    uint16_t flags;
    uint32_t cancel_first, cancel_last; /* tasks whose cancel it is to be told */
    uint32_t cancels;
    /* not state: */
    uint32_t timer_place;
    uint32_t wait_first; /* its parked request; NIL: none */
    uint32_t work_next;
    bool work_queued;
    bool idle; /* in the rows of those who would take a call */
};

struct offer {
    uint64_t key; /* worker + 1, service */
    uint32_t worker, service;
    uint32_t next; /* of the worker's */
    uint32_t service_next, service_prev;
    /* not state: */
    uint32_t idle_next, idle_prev;
};

struct service {
    uint64_t key; /* of (uid, name) */
    uint32_t uid;
    uint32_t region;
    uint32_t name;
    uint32_t refs; /* calls and offers */
    uint32_t offer_first;
    uint32_t queued, taken;
    uint32_t taken_first, taken_last;
    /* not state: */
    uint32_t timed, ready; /* tops of two heaps; NIL: empty */
    uint32_t idle_first, idle_last;
    uint32_t work_next;
    bool work_queued;
};

struct call_queue {
    uint32_t first, last; /* NIL: empty */
};

struct calls {
    struct arena calls, workers, offers, services;
    struct index worker_sessions, service_keys;
    uint32_t queued, taken; /* all services */
    uint32_t narrow;        /* services of other regions than "/" */
    uint32_t cancels;       /* to be told */
    uint64_t result_bytes;  /* kept with outcomes */
    /* not state: */
    struct call_queue busy_services, busy_workers; /* there may be something to hand out */
    uint32_t service_memo;
};

#endif
