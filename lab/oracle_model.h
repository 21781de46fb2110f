/* SPDX-License-Identifier: MIT */
/*
 * What the oracles believe: a model of everything that lives, made from events.
 * What no event says and never changes (a budget, a policy) is asked of the
 * views when a thing is first seen; everything that changes is followed here,
 * and never asked, so that it can be held against what the kernel says.
 *
 * Each event is judged by all oracles against the model before it, and then
 * made part of it. Where a trace begins in the middle, and when a kernel comes
 * back after a crash, the model is learned from the views.
 */
#ifndef ASUPERSYNC_LAB_ORACLE_MODEL_H
#define ASUPERSYNC_LAB_ORACLE_MODEL_H

#include "core/kernel.h"
#include "lab/idmap.h"

struct seen_region {
    uint64_t id, parent;
    uint32_t uid;
    uint8_t state, policy;
    bool sealed, cancelled, decided, soft, strict, is_volatile;
    bool used;           /* a start was ordered here or below: to be swept */
    bool sweeping;       /* its sweep was ordered */
    bool swept;          /* and went well */
    bool learned;        /* not seen from its beginning */
    uint8_t reason_kind; /* when cancelled */
    uint32_t reason;     /* handle; 0: none, or not seen */
    uint32_t quorum;
    uint64_t drain_ns;          /* drain option; ASUP_NEVER: none */
    asup_time drain_end;        /* T; ASUP_NEVER: none */
    asup_time own_limit, limit; /* its own; met with all above */
    uint8_t priority;           /* met with all above */
    uint32_t tasks, children, channels;
    uint32_t participants, ended, oks; /* tasks and regions: admitted, ended, ended Ok */
    uint32_t ledger[ASUP_OBLIGATION_KIND_COUNT];
    uint32_t leaks;
    struct asup_ref *stack; /* finalizers and sagas, the top last */
    size_t stack_count, stack_capacity;
};

enum seen_lane { SEEN_NONE, SEEN_CANCEL, SEEN_TIMED, SEEN_READY };

struct seen_task {
    uint64_t id, region;
    uint64_t cx; /* capability it was made with */
    uint32_t uid;
    uint8_t state;
    bool finalizer; /* or compensation: masked from cancellation */
    bool undo, call;
    bool learned; /* not seen from its beginning */
    bool again;   /* a further attempt of a call */
    bool delayed, ordered, slow, begun, started, cancelled, told, acked, ended, emptied, escalated;
    bool speaks;         /* says itself when it observes a cancel */
    uint8_t reason_kind; /* when cancelled */
    uint32_t mask_left;
    asup_time drain_end;        /* T */
    asup_time own_limit, limit; /* its own; met with its region's */
    uint8_t priority;           /* met with its region's, 1 to 199 */
    asup_time created_at, started_at, since;
    /* what it holds (R-OBL-6) */
    uint32_t held;
    asup_time progress_at;
    uint64_t cpu_ms;
    bool stuck, watched;
    /* the lane that it waits in */
    uint8_t lane;
    bool unplaced; /* it waits, and its place is not known */
    struct seen_task *lane_next, *lane_prev;
};

struct seen_obligation {
    uint64_t id, region;
    struct asup_ref holder;
    uint8_t kind;
    bool known; /* the rest is */
    uint64_t channel, message;
    asup_time deadline;
};

struct model {
    struct idmap regions, tasks, obligations, sessions;
    uint64_t region_last, task_last, obligation_last; /* ids handed out */
    uint32_t regions_in[ASUP_REGION_STATE_COUNT];     /* live, "/" included */
    uint32_t tasks_in[ASUP_TASK_STATE_COUNT];
    uint64_t stack_entries;
    uint32_t sagas; /* on stacks */
};

struct seen_session {
    uint64_t id;
    uint32_t uid;
};

void model_init(struct model *m);
void model_fini(struct model *m);
/* As a kernel begins: "/" is open, and nothing else is there. */
void model_begin(struct model *m, const struct kernel *k);
/* Everything anew, from a kernel between two steps. */
void model_learn(struct model *m, const struct kernel *k);
/* One event; k is the kernel after its step. */
void model_apply(struct model *m, const struct kernel *k, const struct event *ev);

struct seen_region *model_region(const struct model *m, uint64_t id);
struct seen_task *model_task(const struct model *m, uint64_t id);
struct seen_obligation *model_obligation(const struct model *m, uint64_t id);
/* Whether a region is another one, or below it. */
bool model_within(const struct model *m, uint64_t region, uint64_t top);
/* What a caller is known by where something is held. */
struct asup_ref model_holder(const struct model *m, const struct kernel *k, const struct caller *c);
bool ref_same(struct asup_ref a, struct asup_ref b);

#endif
