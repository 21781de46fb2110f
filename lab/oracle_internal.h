/* SPDX-License-Identifier: MIT */
/*
 * What the families of oracles share. A family watches some of the promises; it
 * is told of every step in three ways: before its events, of each event (against
 * the model before that event), and after the last.
 *
 * A family complains with complain(), naming the rule that was broken, and
 * counts with judge() what it had to judge. It must be sure: an oracle that
 * cries without need is worth as little as one that sleeps.
 */
#ifndef ASUPERSYNC_LAB_ORACLE_INTERNAL_H
#define ASUPERSYNC_LAB_ORACLE_INTERNAL_H

#include "lab/oracle.h"
#include "lab/oracle_due.h"
#include "lab/oracle_model.h"

/* The step at hand. */
struct judged_step {
    const struct kernel *k; /* after it */
    const struct input *in; /* NULL: not known */
    const struct step *out;
    const struct effect *reply; /* to the input; NULL: none, or not yet */
    asup_time now;
    bool busy; /* the kernel has more to do at this instant: a timer that did not get its turn is
                  not late */
};

struct oracle_family {
    void (*learn)(struct oracles *o, const struct kernel *k);
    void (*before)(struct oracles *o, const struct judged_step *s);
    void (*event)(struct oracles *o, const struct judged_step *s, const struct event *ev);
    void (*applied)(struct oracles *o, const struct event *ev); /* the model knows it */
    void (*after)(struct oracles *o, const struct judged_step *s);
    void (*end)(struct oracles *o, const struct kernel *k, bool settled);
    void (*fini)(struct oracles *o);
};

#define ORACLE_FAMILIES(X)                                                                         \
    X(tasks)                                                                                       \
    X(regions)                                                                                     \
    X(sagas)                                                                                       \
    X(obligations)                                                                                 \
    X(leases)                                                                                      \
    X(authority)                                                                                   \
    X(keys)                                                                                        \
    X(limits)                                                                                      \
    X(cancel)                                                                                      \
    X(channels)                                                                                    \
    X(futurelock)                                                                                  \
    X(lanes)                                                                                       \
    X(potential)

#define ORACLE_FAMILY_DECLARE(name) extern const struct oracle_family oracle_##name;
ORACLE_FAMILIES(ORACLE_FAMILY_DECLARE)
#undef ORACLE_FAMILY_DECLARE

struct ended_now {
    const struct event *event;
};

/* A queue of the ready lane. */
struct seen_ready {
    struct seen_task *first, *last;
};

struct oracles {
    struct kernel_config config;
    struct model model;
    bool begun;   /* the model is good */
    bool stale;   /* the kernel comes back: the model is learned when it has */
    bool program; /* see oracles_program() */
    char *said[ASUP_ORACLE_COUNT];
    uint64_t judged[ASUP_ORACLE_COUNT];
    enum asup_oracle first;
    bool has_first;

    /* what families keep of their own */
    uint32_t mask_before;    /* of the task that reports in this step */
    uint64_t action_next;    /* the task that the last step of a saga named */
    struct ended_now *ended; /* participants, in this step */
    size_t ended_count, ended_capacity;
    struct asup_ref *dead; /* holders, in this step */
    size_t dead_count, dead_capacity;
    struct asup_ref asks;         /* who asks about the obligation that the input names */
    struct seen_obligation asked; /* that obligation, as it was before the step; id 0: none */
    struct due_queue limits_task, limits_region;
    struct due_queue drain_ends, close_bys;
    uint64_t cascade_region, cascade_task; /* a cancel that is being handed out */
    uint32_t cascade_reason;
    struct idmap capabilities;
    struct idmap parked; /* requests whose turn comes later */
    struct idmap keys, key_numbers, requests, requests_of;
    uint64_t *ids;        /* room for some */
    uint64_t durable_seq; /* what came after was lost in the last crash */
    struct idmap channels, messages;
    uint64_t order_last;                              /* place of the last message */
    uint64_t permit_channel, ack_committed, ack_lost; /* by the event just before */
    struct past *past;                                /* oracle_past.c */
    size_t past_count;
    uint64_t durable_last;        /* the last event that was */
    struct due_queue stills;      /* who stood still for too long, and when */
    struct seen_ready ready[200]; /* by priority */
    struct due_queue timed;
    uint32_t ready_count, timed_count;
    uint32_t unplaced; /* waiting tasks with unknown places */
    uint32_t starting, starting_unknown;
    uint32_t cancel_run, timed_run;
    uint64_t potential; /* after the last step */
    bool potential_known;
    struct idmap lease_of; /* names by obligation */
    struct idmap sagas;
    struct idmap leases;  /* by a hash of region and name */
    uint64_t token_last;  /* the largest fencing token */
    struct idmap waiting; /* tokens of requests that wait for a region's end */
};

/* The event (or NULL) and what was promised: "R-TSK-1: ...". Only the first complaint of an oracle
 * is kept. */
void complain(struct oracles *o, enum asup_oracle which, const struct event *ev, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

static inline void
judge(struct oracles *o, enum asup_oracle which)
{
    o->judged[which]++;
}

/* oracle_past.c: what a crash may not undo. Every event is told; then the kernel that comes back,
 * and up to where all was durable. */
void past_event(struct oracles *o, const struct event *ev);
void past_check(struct oracles *o, const struct kernel *k, uint64_t seq);
void past_fini(struct oracles *o);
/* oracle_channels.c: every message of a durable channel is there still. */
void channels_check(struct oracles *o, const struct kernel *k);

/* Whether an answer to this input made, changed or gave something in this very step: it was
 * answered well, and was no repeat of what had been answered before (R-IDM-1). */
bool answered_now(const struct judged_step *s);

#endif
