/* SPDX-License-Identifier: MIT */
/*
 * What events touch, and which may change places (R-EVT-3).
 *
 * An event owns what it writes, and shares what it only reads or adds to:
 * sharing commutes with sharing, and with nothing else. Two events are
 * independent when neither owns what the other touches; then both orders lead
 * to the same state, for whatever follows.
 *
 * Which resources of which kind is said by the event table (KERNEL_EVENT_LIST);
 * their ids are in the event, so no state is asked. What an event may touch in
 * some state it is taken to touch. Counters that only grow by addition (the
 * spending of the regions above, the tasks of a user) touch nothing.
 *
 * Ids and places are handed out in order, so two events that make ids of one
 * sort are never independent, and each id has a name by which traces with
 * other ids can be compared: the how-manieth of its sort (core/trace.h).
 */
#ifndef ASUPERSYNC_CORE_RESOURCES_H
#define ASUPERSYNC_CORE_RESOURCES_H

#include "core/kernel.h"

/* Words of the event table. */
enum event_touch {
    OWN_TASK = 1 << 0,
    OWN_REGION = 1 << 1,
    SHARE_REGION = 1 << 2,
    OWN_PARENT = 1 << 3, /* of the region */
    OWN_SESSION = 1 << 4,
    SHARE_SESSION = 1 << 5,   /* that the region is attached to */
    SHARE_DECIDER = 1 << 6,   /* task or region */
    OWN_TASKS = 1 << 7,       /* their ids and places */
    OWN_REGIONS = 1 << 8,     /* likewise */
    OWN_SESSIONS = 1 << 9,    /* likewise */
    OWN_REQUESTS = 1 << 10,   /* places */
    OWN_REASONS = 1 << 11,    /* handles, when it makes one; who names one shares that one */
    OWN_RETAINED = 1 << 12,   /* the new end of what is retained */
    OWN_READY = 1 << 13,      /* the end of the queues of the ready lane */
    OWN_SIGNALS = 1 << 14,    /* the end of the queue of signals */
    OWN_FINALIZERS = 1 << 15, /* the end of that of finalizers */
    SHARE_LANES = 1 << 16,    /* how many wait, and how many start */
    OWN_LANES = 1 << 17,      /* a pick, which looks at that */
    OWN_CONFIG = 1 << 18,     /* everything else shares it */
    OWN_TIME = 1 << 19,
    OWN_HOLDER = 1 << 20,       /* the task or session that holds */
    OWN_OBLIGATIONS = 1 << 21,  /* their ids and places, and those of who holds */
    OWN_CHANNELS = 1 << 22,     /* likewise, of messages too */
    OWN_LEASES = 1 << 23,       /* likewise */
    OWN_CAPABILITIES = 1 << 24, /* likewise */
    OWN_KIND = 1 << 25,         /* by the kind of an obligation: OWN_CHANNELS, OWN_LEASES */
    OWN_ALL = OWN_CONFIG,       /* dependent on everything: safe where nobody looked closer */
};

enum resource_sort {
    RESOURCE_TASK,
    RESOURCE_REGION,
    RESOURCE_SESSION,
    RESOURCE_REASON,
    RESOURCE_OBLIGATION,
    RESOURCE_CHANNEL,
    RESOURCE_MESSAGE,
    RESOURCE_SAGA,
    RESOURCE_CAPABILITY,
    RESOURCE_KEY,
    RESOURCE_TOKEN,     /* of a lease */
    RESOURCE_SORT_MADE, /* those above have ids that events make */
    RESOURCE_TASKS = RESOURCE_SORT_MADE,
    RESOURCE_REGIONS,
    RESOURCE_SESSIONS,
    RESOURCE_REASONS,
    RESOURCE_REQUESTS,
    RESOURCE_RETAINED,
    RESOURCE_READY,
    RESOURCE_SIGNALS,
    RESOURCE_FINALIZERS,
    RESOURCE_LANES,
    RESOURCE_CALLS, /* where calls wait and who does them */
    RESOURCE_OBLIGATIONS,
    RESOURCE_CHANNELS,
    RESOURCE_LEASES,
    RESOURCE_CAPABILITIES,
    RESOURCE_CONFIG,
    RESOURCE_TIME,
};

struct resource {
    uint64_t id; /* 0 for what there is one of */
    enum resource_sort sort;
    bool owned;
};

enum { EVENT_RESOURCES_MAX = 16 };

/* What an event touches, each once. Returns how many. Pure. */
size_t event_resources(const struct event *ev, struct resource out[EVENT_RESOURCES_MAX]);

/* Of which sort the subject of such an event is; RESOURCE_SORT_MADE: it has none. */
enum resource_sort event_subject_sort(enum event_kind kind);

/* The id that the event makes, if any. */
bool event_makes(const struct event *ev, struct resource *made);

/* The reason that comes with a cancel, NULL: it brings none. */
struct reason_payload;
const struct reason_payload *event_reason(const struct event *ev);

/* R-EVT-3. Symmetric; no event is independent of itself. */
bool kernel_events_independent(const struct event *a, const struct event *b);

#endif
