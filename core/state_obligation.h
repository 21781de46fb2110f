/* SPDX-License-Identifier: MIT */
/*
 * The state of obligations and leases (§4). Private to core/.
 *
 *     Reserved -> Committed | Aborted | Leaked          (R-OBL-1)
 *
 * An obligation stands in two lists: the ledger of the region that owns the
 * channel, lease or I/O operation, by id, and what its holder holds, in the
 * order in which it came to hold it. It is there exactly while it is Reserved;
 * how the last ones ended is remembered for whoever resolves one again.
 *
 *     region --ledger--> obligation --thing--> channel | lease | label
 *     holder --held----> obligation
 *     holder --cooling-> lease           (ended, but its task is not gone)
 *     region --leases--> lease
 *
 * A holder is a task or a session that holds something, or was left with a
 * lease that cools. It has a record of its own, so that those who hold nothing
 * pay nothing, and its timer is that of the futurelock (R-OBL-6).
 */
#ifndef ASUPERSYNC_CORE_STATE_OBLIGATION_H
#define ASUPERSYNC_CORE_STATE_OBLIGATION_H

#include "core/arena.h"

/* Why one ended, beside how (the event's kind). */
enum obligation_why {
    OBLIGATION_ASKED,   /* its holder resolved it */
    OBLIGATION_EXPIRED, /* its time ended */
    OBLIGATION_CLOSED,  /* the drain of its region did (R-OBL-4) */
    OBLIGATION_DEATH,   /* its holder did (R-OBL-3) */
};

/* How one ended. */
enum obligation_end { END_COMMITTED, END_ABORTED, END_LEAKED };

struct obligation {
    uint64_t id;
    asup_time at;
    asup_time deadline; /* ASUP_NEVER: none */
    uint64_t span_ns;   /* what the deadline was set from; ASUP_NEVER: no deadline */
    uint64_t number;    /* by its kind: the ack's message */
    uint32_t thing;     /* by its kind: index of the lease or channel, or of the I/O
                           operation's label the handle */
    uint32_t region;    /* in whose ledger it stands */
    uint32_t ledger_next, ledger_prev;
    uint32_t holder; /* index of a struct holder */
    uint32_t held_next, held_prev;
    uint8_t kind; /* enum asup_obligation_kind */
    /* not state: */
    uint32_t timer_place;
};

struct holder {
    uint64_t key;          /* holder_key() */
    asup_time progress_at; /* a task: its last sign of progress */
    asup_time sample_at;   /* when its CPU time is asked for */
    uint32_t record;       /* index of the task or session */
    uint32_t held_first, held_last, held;
    uint32_t cooling_first;
    bool is_task;
    bool stuck; /* FUTURELOCK was reported, and no progress since */
    /* not state: */
    uint32_t timer_place;
};

struct lease {
    uint64_t key;       /* lease_key() of region and name */
    uint64_t token;     /* of the last grant: the id of its obligation */
    uint64_t holder_id; /* who holds it, or held it last while it cools */
    asup_time granted_at;
    asup_time expires_at; /* as it was when it ended, while it cools */
    uint32_t holder_sort;
    uint32_t region;
    uint32_t next, prev; /* in its region */
    uint32_t obligation; /* NIL: not held, so it cools */
    uint32_t cooler;     /* the holder whose task is not gone yet; NIL: it does not cool */
    uint32_t cooling_next, cooling_prev;
    /* not state (of the name, what it says is, not where it is): */
    uint32_t name;
    uint32_t wait_first;
    uint32_t waiters; /* so many are parked */
};

/* How an obligation ended. */
struct ended {
    uint64_t id;
    uint64_t holder_id;
    uint64_t region; /* id */
    asup_time at;
    uint32_t next; /* that ended after it */
    uint8_t holder_sort;
    uint8_t kind;
    uint8_t end; /* enum obligation_end */
    uint8_t why; /* enum obligation_why */
};

enum { ENDED_MAX = 4096 }; /* remembered */

struct obligations {
    struct arena records, holders, leases, ended;
    struct index ids, holder_keys, lease_keys, ended_ids;
    uint64_t id_next;
    uint64_t leaked; /* ever */
    uint32_t ended_first, ended_last;
    uint32_t in_kind[ASUP_OBLIGATION_KIND_COUNT];
    uint32_t held_unstarted; /* by tasks that have not started */
    uint32_t stuck;          /* holders reported */
};

#endif
