/* SPDX-License-Identifier: MIT */
/*
 * How the kernel's state is read: for listings, `why`, replies, oracles. Nothing
 * here changes anything; text and bytes in a view are good until the next step.
 *
 * Included by kernel.h, which says what holds for all of it; what stands in the
 * registry has its views in registry.h.
 */
#ifndef ASUPERSYNC_CORE_VIEWS_H
#define ASUPERSYNC_CORE_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asupersync/types.h"
#include "core/registry.h"

struct kernel;
struct kernel_config;
struct caller;

struct kernel_counts {
    uint32_t regions; /* live, "/" included */
    uint32_t tasks;   /* live */
    uint32_t running; /* live with a process */
    uint32_t sessions;
    uint32_t waits;
    uint32_t retained; /* completed or closed, still answerable */
    uint64_t bytes;    /* names, labels, specs */
    uint32_t draining; /* regions Closing to Finalizing */
    uint32_t sagas;    /* on some stack; of those: */
    uint32_t sagas_undoing, sagas_attention;
    uint32_t obligations[ASUP_OBLIGATION_KIND_COUNT]; /* owed, by kind */
    uint32_t leases;                                  /* names held or cooling */
    uint32_t stuck;                                   /* holders without progress (R-OBL-6) */
    uint64_t leaked;                                  /* ever (R-OBL-3) */
    uint32_t channels, messages, dead;                /* live; in them; dead letters */
};
void kernel_counts(const struct kernel *k, struct kernel_counts *out);
const struct kernel_config *kernel_configuration(const struct kernel *k);

struct region_view {
    uint64_t id, parent;    /* parent 0 for "/" */
    uint64_t child_first;   /* live children, by id; 0: none */
    uint64_t sibling_next;  /* next live sibling; 0: none */
    uint64_t task_first;    /* live tasks, by id; 0: none */
    uint64_t finalizer_top; /* registered finalizers, last in first; 0: none */
    uint32_t sagas;         /* on the stack; of those: */
    uint32_t sagas_running, sagas_undoing, sagas_attention;
    uint64_t session; /* attached to; 0: none */
    struct bytes name;
    uint32_t uid;
    uint32_t depth; /* "/" 0 */
    uint8_t state, policy;
    uint32_t quorum;
    bool sealed, cancelled, soft, shutdown, decided;
    bool is_volatile;          /* R-DUR-1 */
    bool close_timeout;        /* RegionCloseTimeout was reported */
    int32_t sweep_error;       /* errno of the last failed sweep, or 0 */
    struct asup_budget budget; /* own */
    uint32_t polls_spent;
    uint64_t cost_spent;
    uint64_t drain_ns;
    asup_time opened_at, closed_at;
    asup_time drain_end; /* T; ASUP_NEVER: none */
    asup_time close_by;  /* T + P(r); ASUP_NEVER: no promise */
    uint32_t tasks_live, children_live, finalizers;
    uint64_t tasks_total;                             /* ever admitted */
    uint32_t obligations[ASUP_OBLIGATION_KIND_COUNT]; /* owed here, by kind */
    uint32_t leaks;                                   /* ever (R-OBL-3) */
    bool strict;
    uint32_t unconsumed; /* messages that its close made dead letters */
    uint32_t reason;     /* handle; 0: not cancelled */
    bool has_outcome;    /* Closed */
    struct kernel_outcome outcome;
};

struct task_view {
    uint64_t id, region;
    uint64_t next; /* next live task of the region; for a finalizer: next below */
    struct bytes label;
    uint32_t uid, run_uid, pid;
    uint8_t state;
    bool finalizer;
    bool call; /* kernel_call() says more */
    bool start_ordered, started, ready, notify;
    bool main_ended, escalated, unkillable;
    asup_time created_at, started_at, ended_at;
    asup_time due_at;             /* delayed until; 0: none */
    struct asup_budget budget;    /* own */
    struct asup_budget effective; /* met with every ancestor's (R-BUD-2) */
    uint32_t polls_spent;
    uint64_t cost_spent;
    uint32_t mask_depth, mask_left; /* R-TSK-3; both 0 once its main process ended */
    asup_time kill_at;              /* when it will be killed; ASUP_NEVER: not planned */
    uint64_t slack_ns; /* effective limit - now at the last step; ASUP_NEVER: no limit */
    uint64_t log_lost; /* bytes */
    uint32_t reason;   /* handle; 0: not cancelled */
    bool has_outcome;  /* Completed; main's status is known before */
    struct kernel_outcome outcome;
};

bool kernel_region(const struct kernel *k, uint64_t id, struct region_view *out);
bool kernel_task(const struct kernel *k, uint64_t id, struct task_view *out);
/* The region of that name under parent as uid sees it: below "/" names are
 * unique per owner, own ones win, uid 0 sees others' when only one fits.
 * 0: none. */
uint64_t kernel_find(const struct kernel *k, uint64_t parent, uint32_t uid, struct bytes name);
/* Spell out a reason chain, root cause last. Returns how many links there
 * are; writes at most `max`. */
struct reason_view {
    struct asup_reason_key key;
    uint8_t origin_sort;
    struct bytes message;
};
size_t kernel_reason(const struct kernel *k, uint32_t reason, struct reason_view *out, size_t max);

struct session_view {
    uint64_t id;
    uint32_t uid, pid;
    bool connected;
    uint64_t ttl_ns;
    asup_time expires_at; /* ASUP_NEVER while connected */
    uint32_t regions;     /* attached */
    uint8_t secret_digest[16];
};
bool kernel_session(const struct kernel *k, uint64_t id, struct session_view *out);
/* Sessions in no order: the one after that id, 0 to begin; 0: no more. Good
 * while none begins or ends. */
uint64_t kernel_session_next(const struct kernel *k, uint64_t id);

/* The registry. Each fills in *out and returns true, or false: there is none. */
bool kernel_obligation(const struct kernel *k, uint64_t id, struct obligation_view *out);
bool
kernel_obligation_ended(const struct kernel *k, uint64_t id, struct obligation_ended_view *out);
bool kernel_holder(const struct kernel *k, struct asup_ref holder, struct holder_view *out);
/* A request of that holder is parked: what it waits for, a task, region, channel, saga, or the
 * obligation of who holds the lease (its task, while it cools). One of them, the oldest. */
bool kernel_waits_for(const struct kernel *k, struct asup_ref holder, struct asup_ref *out);
bool kernel_channel(const struct kernel *k, uint64_t id, struct channel_view *out);
bool kernel_message(const struct kernel *k, uint64_t id, struct message_view *out);
bool
kernel_lease(const struct kernel *k, uint64_t region, struct bytes name, struct lease_view *out);
bool kernel_worker(const struct kernel *k, uint64_t session, struct worker_view *out);
bool kernel_call(const struct kernel *k, uint64_t task, struct call_view *out);
/* Where a call queues, or would. */
bool kernel_service(const struct kernel *k, uint64_t task, struct service_view *out);
bool kernel_saga(const struct kernel *k, uint64_t id, struct saga_view *out);
bool
kernel_saga_step(const struct kernel *k, uint64_t saga, uint32_t step, struct saga_step_view *out);
bool kernel_capability(const struct kernel *k, uint64_t id, struct capability_view *out);
/* Whether the caller has that right (enum asup_right) in a region, where the thing that it is
 * about belongs to uid; region 0: in none. 0 or a code, and why (a literal, or NULL). */
int kernel_may(const struct kernel *k, const struct caller *c, uint64_t region, uint32_t uid,
               uint32_t right, const char **detail);
/* The region that the capability is for which the caller shows; 0: it shows none that is good. */
uint64_t kernel_caller_region(const struct kernel *k, const struct caller *c);
/* Whether a user has an idempotency key in that scope: what the request names (R-IDM-1). */
bool
kernel_key_known(const struct kernel *k, uint32_t uid, struct asup_ref scope, struct bytes key);
/* Whether a request of that id was granted and is remembered, and the digest of what it was. */
bool kernel_request(const struct kernel *k, uint64_t session, uint64_t request, uint64_t *digest);
/* The channel of that name in a region; 0: none. */
uint64_t kernel_channel_find(const struct kernel *k, uint64_t region, struct bytes name);

/* What a region owns, and what a holder holds, by id: the first above `after`;
 * 0: no more. O(log n) or a short walk each. */
uint64_t kernel_obligation_next(const struct kernel *k, uint64_t region, uint64_t after);
uint64_t kernel_held_next(const struct kernel *k, struct asup_ref holder, uint64_t after);
uint64_t kernel_channel_next(const struct kernel *k, uint64_t region, uint64_t after);
uint64_t kernel_saga_next(const struct kernel *k, uint64_t region, uint64_t after);
uint64_t kernel_capability_next(const struct kernel *k, uint64_t region, uint64_t after);
/* Sagas that have ended and are still retained, oldest first; `after` 0 begins. */
uint64_t kernel_saga_ended_next(const struct kernel *k, uint64_t after);
/* Sagas that need attention, by id: the first above `after`; 0: no more. */
uint64_t kernel_saga_attention_next(const struct kernel *k, uint64_t after);
/* Whether a task is a step's action, or an attempt to undo it. */
bool
kernel_task_saga(const struct kernel *k, uint64_t task, uint64_t *saga, uint32_t *step, bool *undo);
/* A region's stack of finalizers and sagas from the top; `above` of sort NONE
 * begins, and ends. */
struct asup_ref kernel_stack_next(const struct kernel *k, uint64_t region, struct asup_ref above);
/* Dead letters of all channels, oldest first. */
uint64_t kernel_dead_next(const struct kernel *k, uint64_t after);
/* Workers, by session id. */
uint64_t kernel_worker_next(const struct kernel *k, uint64_t after);
/* Those that were quiet for longer than their lease. */
uint64_t kernel_worker_lost_next(const struct kernel *k, uint64_t after);
/* Leases, held or cooling, of a region: an opaque cursor, 0 begins and ends. */
uint64_t
kernel_lease_next(const struct kernel *k, uint64_t region, uint64_t cursor, struct lease_view *out);

/* Completed tasks and closed regions still retained, oldest first. Start with
 * 0; returns the next cursor, 0 at the end. */
uint64_t kernel_retained_next(const struct kernel *k, uint64_t cursor, struct asup_ref *out);

/* The longest chain of P(r) below a region (R-BUD-4): ids from the region
 * down; returns how many. */
size_t kernel_critical_path(const struct kernel *k, uint64_t region, uint64_t *out, size_t max);

#endif
