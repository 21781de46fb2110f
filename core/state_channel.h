/* SPDX-License-Identifier: MIT */
/*
 * The state of channels and messages (§4), embedded in struct kernel.
 *
 *     region --channels--> channel --messages--> message ...     (in order)
 *                             |--returned--> the ones that came back
 *                             |--fresh-----> the first never received
 *     store --dead--> message ...                                (oldest first)
 *
 * A message keeps its place in its channel's list from the send to its end,
 * received or not, so one that comes back is where it was. Which one is next
 * takes no search: what never was received is the rest of the list from `fresh`
 * on, and what came back is a heap (a pairing heap through the messages: O(1)
 * in, O(log n) out) whose every message stands before that.
 *
 *     QUEUED -> OUT (an Ack stands for it) -> consumed, and gone
 *        ^-------/ nack, death, timeout   \-> DEAD past a cap
 *     QUEUED -> DEAD when its region closes;  DEAD -> QUEUED when it is retried
 *
 * A closed channel is kept for its name while dead letters came from it.
 */
#ifndef ASUPERSYNC_CORE_STATE_CHANNEL_H
#define ASUPERSYNC_CORE_STATE_CHANNEL_H

#include "core/arena.h"
#include "core/timer.h"

enum channel_flag {
    CHANNEL_SEALED = 1 << 0,
    CHANNEL_CLOSED = 1 << 1,   /* with its region; kept for its dead letters */
    CHANNEL_VOLATILE = 1 << 2, /* its region was (R-DUR-1) */
};

struct channel {
    uint64_t id;
    uint64_t name_key; /* of region and name */
    uint64_t region_id;
    uint64_t ack_timeout_ns, permit_timeout_ns, dead_retention_ns;
    uint64_t sent, consumed;   /* ever */
    uint64_t died, taken_back; /* ever: became dead letters; came by a retry */
    asup_time opened_at;
    uint64_t bytes;      /* of the messages in it, dead ones left out */
    uint32_t region;     /* NIL: closed */
    uint32_t next, prev; /* in its region, by id */
    uint32_t uid;
    uint32_t capacity;
    uint32_t nacks_max, timeouts_max;
    uint32_t queued, permits, unacked;
    uint32_t dead;
    uint32_t message_first, message_last;
    uint32_t flags;
    /* not state (of the name, what it says is, not where it is): */
    uint32_t fresh;    /* first of the queued ones that never were received; NIL: none */
    uint32_t returned; /* root of the heap of those that came back; NIL: none */
    bool work_queued;
    bool recheck; /* whether who is parked may still be */
    uint32_t name;
    uint32_t send_first, receive_first; /* parked */
    uint32_t senders, receivers;        /* so many */
    uint32_t work_next;
};

enum message_state { MESSAGE_QUEUED, MESSAGE_OUT, MESSAGE_DEAD };

struct message {
    uint64_t id;
    uint64_t order;  /* its place in its channel */
    uint64_t sender; /* 0: nobody that can be named */
    asup_time sent_at;
    asup_time dead_at;
    uint32_t channel;
    uint32_t next, prev; /* in its channel, or among the dead */
    uint32_t history;    /* NIL: it never was received */
    uint32_t deliveries;
    uint32_t nacks, deaths, timeouts; /* since it was sent or retried */
    uint8_t state;                    /* enum message_state */
    uint8_t sender_sort;
    uint8_t dead_why; /* enum message_end */
    bool came_back;   /* queued: in the heap, not in the rest of the list */
    /* not state (of the texts, what they say is, not where they are): */
    uint32_t data;
    uint32_t note;
    uint32_t heap_child, heap_next; /* while it waits to be received again */
    uint32_t timer_place;           /* of its retention */
};

/* The last deliveries that failed; taken when a message is first received, so
 * that coming back needs no memory. */
enum { HISTORY_MOST = 8 };

struct history_row {
    uint64_t receiver;
    asup_time at;
    uint8_t sort;
    uint8_t why; /* enum message_end */
};

struct history {
    uint64_t message; /* its id */
    uint64_t count;   /* ever */
    struct history_row rows[HISTORY_MOST];
};

struct channel_store {
    struct arena records, messages, histories;
    struct index ids, names, message_ids;
    uint64_t id_next, message_id_next, order_next;
    uint32_t dead_first, dead_last, dead_count;
    /* not state: */
    struct timers dead_timers; /* retention of dead letters */
    uint32_t work_first, work_last;
    uint32_t closed_now; /* messages that closes made dead letters, in this step */
    bool stopped;        /* no more of this in this step */
};

#endif
