/* SPDX-License-Identifier: MIT */
/*
 * Events: how the kernel changes. A decision emits; emit() numbers the event,
 * keeps it for the caller of the step, and applies it at once. The apply
 * functions are the only code that writes state, they never fail and read
 * nothing but the state and the event, so the same events in another kernel
 * give the same state (R-EVT-1).
 *
 * Payloads are plain data without pointers. Text and outcomes are copied into
 * the step's scratch memory, so they outlive what they came from.
 */
#ifndef ASUPERSYNC_CORE_EVENT_H
#define ASUPERSYNC_CORE_EVENT_H

#include "core/planted.h"
#include "core/state.h"

/* ---- Payloads ------------------------------------------------------------------ */

/* SESSION_OPENED, SESSION_ATTACHED (also sent by keepalives), SESSION_LOST */
struct session_payload {
    uint64_t ttl_ns;
    asup_time expires_at;
    uint32_t pid;
    uint8_t secret_digest[16];
    bool connected;
};

/* REQUEST_BOUND; a batch is followed by its `count` struct asup_ref */
struct request_payload {
    uint64_t id;
    uint64_t digest;
    struct asup_ref made;
    uint32_t count;
};

/* REQUEST_PART_BOUND: of a batch that is not atomic. The first of them makes the record. */
struct request_part_payload {
    uint64_t id;
    uint64_t digest; /* of the batch */
    struct asup_ref made;
    uint32_t place, count;
};

enum { REQUEST_PARTS_MAX = 1024 };

/* REGION_OPENED */
struct region_payload {
    struct asup_budget budget;
    uint64_t drain_ns;
    uint32_t quorum;
    uint32_t tasks_max, children_max;
    uint8_t policy;
    bool soft;
    bool strict;
    bool is_volatile;
};

/* TASK_CREATED, FINALIZER_REGISTERED; followed by the spec */
struct task_payload {
    struct asup_budget budget; /* a finalizer's limit_at: its budget in ns */
    asup_time due_at;          /* 0: at once */
    uint64_t drain_ns, leftover_ns, watchdog_ns, response_ns;
    uint32_t run_uid, mask_depth;
    int32_t cancel_signal;
    bool leftover_wait, notify;
    bool action; /* of a step of a saga */
    uint32_t spec_size;
    /* a call: its name and key follow the spec */
    uint32_t backoff_ms, backoff_most_ms;
    uint16_t attempts;
    uint8_t call_size, key_size;
    uint64_t cx; /* capability that it was made with; 0: none */
};

/* SAGA_STEP_BEGUN, beside its number (value), its name (text) and its action (task):
 * its compensation; followed by that one's label, spec and call */
struct step_payload {
    uint64_t budget_ns, backoff_ns, backoff_most_ns;
    uint64_t leftover_ns, watchdog_ns, response_ns;
    uint32_t attempts;
    uint32_t uid, run_uid, mask_depth;
    int32_t cancel_signal;
    bool leftover_wait, notify;
    size_t label_size, spec_size;
    size_t call_size; /* a call: its name follows the spec */
    uint64_t cx;      /* capability that it was made with; 0: none */
};

/* CAPABILITY_GRANTED, beside its id (subject), its owner (holder, uid) and its region */
struct capability_payload {
    uint64_t parent; /* 0: none */
    asup_time limit_at;
    uint64_t cost_ceiling;
    uint32_t poll_ceiling;
    uint32_t rights;
    uint8_t priority_ceiling;
};

/* KEY_BOUND, beside its id (subject), its owner (uid) and itself (text) */
struct key_payload {
    uint64_t digest;
    struct asup_ref scope, made;
    uint64_t retention_ns;
    asup_time forget_at; /* ASUP_NEVER: when its work has ended */
    bool holds;
};

/* SAGA_RESOLVED */
struct resolved_payload {
    uint8_t how; /* enum saga_resolution */
};

/* A cancel reason that is new with this event, which carries its handle and
 * its message. */
struct reason_payload {
    struct asup_reason_key key;
    uint32_t cause;
    uint8_t origin_sort;
    bool is_new;
    bool limit_passed; /* the subject's own limit fired, once and for all */
};

/* TASK_CANCEL_REQUESTED has a struct reason_payload, or none when there is
 * nothing to say in it.
 * REGION_CANCEL_REQUESTED always has this: */
struct cancel_payload {
    struct reason_payload reason;
    asup_time drain_pass;
    uint64_t cleanup_ns;
    bool hard;
    bool hurry;    /* "/": finalizers get no more than finalizer_hurry_ns */
    bool promised; /* false: something soft below may wait for ever */
};

/* REGION_DECIDED */
struct decided_payload {
    bool won;
};

/* REGION_CLOSED: what it takes leave of; 0: none */
struct closed_payload {
    uint64_t parent;
    uint64_t session;
};

/* TASK_CHARGED */
struct charge_payload {
    uint32_t cpu_ms;   /* of what is charged, CPU time */
    bool sampled;      /* the answer to FX_SAMPLE */
    bool to_ancestors; /* false once it is cancelled: cleanup is a fresh allowance */
};

/* OBLIGATION_RESERVED, OBLIGATION_RENEWED. The event names obligation and
 * holder; its text is the name of the lease or the label of the I/O operation,
 * its value the kind (RENEWED: the deadline). */
struct obligation_payload {
    asup_time deadline;
    uint64_t span_ns;
    uint64_t number;  /* by kind: an ack's message */
    uint64_t channel; /* permits and acks: its id */
    uint8_t kind;
};

/* OBLIGATION_COMMITTED, OBLIGATION_ABORTED, OBLIGATION_LEAKED. The event's text
 * says why, its value is the kind. */
struct obligation_end_payload {
    uint8_t end; /* enum obligation_end */
    uint8_t why; /* enum obligation_why */
};

/* CHANNEL_OPENED; the event's text is the name. */
struct channel_payload {
    uint64_t ack_timeout_ns, permit_timeout_ns, dead_retention_ns;
    uint32_t capacity, nacks_max, timeouts_max;
};

/* MESSAGE_SENT; followed by the data. The event's value is the channel's id, as
 * that of every event about a message (of a retry: the new channel's). */
struct sent_payload {
    uint64_t size;
};

/* MESSAGE_RETURNED, MESSAGE_DEAD; the event's text is the note of a nack. */
struct returned_payload {
    uint8_t why; /* enum message_end */
};

/* RESUMED */
struct resumed_payload {
    uint64_t id_first;
    bool same_keeper, same_boot;
};

/* ---- Scratch and emission ---------------------------------------------------------- */

bool scratch_reserve(struct kernel *k, size_t size);
void *scratch_take(struct kernel *k, size_t size);
/* The text in scratch memory, copied unless it is there already. */
struct bytes scratch_text(struct kernel *k, struct bytes text);

struct event event_of_region(enum event_kind kind, struct kernel *k, uint32_t region);
struct event event_of_task(enum event_kind kind, struct kernel *k, uint32_t task);
struct event event_of_session(enum event_kind kind, const struct kernel *k, uint32_t session);
void emit(struct kernel *k, struct event ev);
struct effect *effect_add(struct kernel *k, enum effect_kind kind);
/* An order about a task: what it waits for (effect.after) is known. */
struct effect *effect_of_task(struct kernel *k, enum effect_kind kind, uint32_t task);
/* Whether a region is volatile; false: durable, or there is none (R-DUR-1). */
bool region_id_volatile(const struct kernel *k, uint64_t id);

/* ---- Applying: shared by the apply_*.c ---------------------------------------------- */

void apply_session(struct kernel *k, const struct event *ev);
void apply_region(struct kernel *k, const struct event *ev);
void apply_task(struct kernel *k, const struct event *ev);
void apply_created(struct kernel *k, const struct event *ev);
void apply_saga(struct kernel *k, const struct event *ev);
/* An attempt to compensate, which is completed. */
void apply_undo_ended(struct kernel *k, uint64_t task, const struct kernel_outcome *o);
void apply_obligation(struct kernel *k, const struct event *ev);
void apply_channel(struct kernel *k, const struct event *ev);
/* Leave out what belongs to volatile regions (durable.h). */
void channels_volatile_drop(struct kernel *k);
/* A permit of that channel (its index) was given, or has ended. */
void apply_permit(struct kernel *k, uint32_t channel, bool given);
void apply_resumed(struct kernel *k, const struct event *ev);
void apply_call(struct kernel *k, const struct event *ev);
/* apply_call.c and service.c: what calls have besides */
void call_of_undo(struct kernel *k, uint32_t i, uint32_t root_service);
void call_created(struct kernel *k, uint32_t i, const struct task_payload *p, struct bytes name,
                  struct bytes key);
void call_completed(struct kernel *k, const struct event *ev, uint32_t i);
void call_forgotten(struct kernel *k, struct task *t);
void call_cancel_told(struct kernel *k, const struct event *ev, uint32_t i);
void call_lane_enter(struct kernel *k, uint32_t i, enum lane lane);
void call_lane_leave(struct kernel *k, uint32_t i);
void worker_session_ended(struct kernel *k, uint64_t session);
void calls_init(struct calls *c);
void calls_fini(struct calls *c, const struct kernel_allocator *a);
void task_move(struct kernel *k, struct task *t, uint8_t to);
/* After a restart: leases begin anew; who served a volatile region does so no more. */
void workers_anew(struct kernel *k, asup_time now);
void workers_volatile_drop(struct kernel *k);
void apply_reopened(struct kernel *k, const struct event *ev);
void apply_capability(struct kernel *k, const struct event *ev);
void apply_key(struct kernel *k, const struct event *ev);
void key_forget(struct kernel *k, uint32_t i);
bool key_durable(const struct kernel *k, uint64_t id);
void keys_volatile_drop(struct kernel *k);
void capability_forget(struct kernel *k, uint32_t i);
/* Leave out what belongs to volatile regions (durable.h). */
void capabilities_volatile_drop(struct kernel *k);
/* After the limit of remembered requests has changed. */
void sessions_trim(struct kernel *k);

uint32_t reason_hold(struct kernel *k, uint32_t handle);
void reason_release(struct kernel *k, uint32_t handle);
/* Make the reason of an event, unless it exists. */
void reason_make(struct kernel *k, const struct event *ev, const struct reason_payload *p);
/* The handle of one that is new with the next event. */
uint32_t reason_handle(const struct kernel *k);
/* REASON_MADE: make it durable, or make it. */
void reason_made(struct kernel *k, const struct event *ev);
/* Free those that nobody held at the end of a step. */
void reason_sweep(struct kernel *k);
struct asup_reason_key reason_key(const struct reason *r);

void outcome_replace(struct kernel *k, struct kernel_outcome *to, uint8_t *has,
                     const struct kernel_outcome *from);
void outcome_combine(struct kernel *k, struct kernel_outcome *to, uint8_t *has,
                     const struct kernel_outcome *from);
/* A hedge that never began says nothing to its policy (R-POL-2). */
bool task_never_began(const struct region *r, const struct task *t);
void task_stage(const struct task *t, char stage[24]);
/* The outcome that a completed task, or one whose main process ended, has. */
struct kernel_outcome task_outcome(const struct task *t);

struct user *user_get(struct kernel *k, uint32_t uid);
void retained_push(struct kernel *k, uint32_t index, bool is_region);
void retained_remove(struct kernel *k, uint32_t index, bool is_region);
/* A key, or what was kept inside, no longer keeps it; does nothing while one does. */
void retained_let_go(struct kernel *k, uint32_t index, bool is_region);

void lane_enter(struct kernel *k, uint32_t task, enum lane lane);
void lane_leave(struct kernel *k, uint32_t task);
/* The ready task whose turn it is; NIL: none. */
uint32_t lane_ready_next(const struct kernel *k);
/* Which queue of the ready lane it belongs to. */
unsigned lane_ready_priority(const struct kernel *k, uint32_t task);
/* It leaves because its turn came: counted for fairness (R-SCH-2). */
void lane_picked(struct kernel *k, uint32_t task);

/* The stack of finalizers and sagas: links, NIL below the last. */
void stack_push(struct kernel *k, struct region *r, uint32_t link);
void stack_remove(struct kernel *k, struct region *r, uint32_t link);
uint32_t stack_below(const struct kernel *k, uint32_t link);

/* The first saga that somebody drives; the next ones are linked. */
uint32_t saga_driven_first(const struct kernel *k, struct asup_ref driver);
/* What a step's compensation may take, with every attempt and wait (R-REG-6). */
uint64_t step_cleanup_ns(const struct step_record *p);
/* The wait after so many attempts of a round. */
uint64_t step_backoff_ns(const struct step_record *p, uint32_t made);
/* Not compensated, nor given up by an operator. */
bool step_open(const struct step_record *p);
void region_used(struct kernel *k, uint32_t i);
/* It is attached to its session no more. */
void region_detach(struct kernel *k, struct region *r);

/* Put the timer where the earliest of its own instants is. */
void region_rearm(struct kernel *k, uint32_t region);
void task_rearm(struct kernel *k, uint32_t task);
void saga_rearm(struct kernel *k, uint32_t i);
asup_time saga_deadline(const struct kernel *k, const struct saga *s);
asup_time region_deadline(const struct kernel *k, const struct region *r);
asup_time task_deadline(const struct task *t);

/* What the participants of a region say to its policy (R-POL-1). */
void policy_admit(struct kernel *k, struct region *r, uint8_t sort, uint64_t id);
void policy_count(struct kernel *k, struct region *r, const struct kernel_outcome *o, uint8_t sort,
                  uint64_t id, bool counted);
/* Whether it was cancelled by the region's own policy. */
bool policy_rooted(const struct kernel *k, const struct region *r, uint32_t reason);

/* The key of a name among the children of a region. */
uint64_t region_name_key(uint64_t parent_id, struct bytes name);

/* apply_obligation.c: who holds, and what. */
uint64_t holder_key(struct asup_ref holder);
uint32_t holder_of(const struct kernel *k, struct asup_ref holder); /* NIL: it holds nothing */
struct asup_ref holder_ref(const struct holder *h);
asup_time holder_deadline(const struct kernel *k, const struct holder *h);
/* After the time of a futurelock has changed. */
void holders_rearm(struct kernel *k);
/* A checkpoint, report, message or CPU time of a task: no futurelock (R-OBL-6). */
void task_progressed(struct kernel *k, uint32_t task, asup_time at);
void task_holds_started(struct kernel *k, uint32_t task, asup_time at);
void task_holds_sampled(struct kernel *k, uint32_t task, asup_time at);
void task_holds_ended(struct kernel *k, uint32_t task);
/* The times of leases, acks and permits start anew: an engine was away. */
void obligations_restart(struct kernel *k, asup_time at);
/* Out of a snapshot: a task that holds is left out of it; all that stands in a region's ledger. */
void task_holds_dropped(struct kernel *k, uint32_t task);
void obligations_drop(struct kernel *k, uint32_t region);
/* All sagas of a region, likewise. */
void sagas_drop(struct kernel *k, uint32_t region);
uint64_t lease_key(uint64_t region_id, struct bytes name);
uint32_t lease_find(const struct kernel *k, uint32_t region, struct bytes name);
/* What a region that closes still has of leases: names that cool. */
void leases_closed(struct kernel *k, uint32_t region);

uint64_t channel_name_key(uint64_t region, struct bytes name);
uint32_t channel_of_id(const struct kernel *k, uint64_t id);
/* Whether what a CHANNEL_* or MESSAGE_* event is about is volatile (R-DUR-1). */
bool channel_event_volatile(const struct kernel *k, const struct event *ev);

uint32_t region_of_id(const struct kernel *k, uint64_t id);
uint32_t task_of_id(const struct kernel *k, uint64_t id);
uint32_t session_of_id(const struct kernel *k, uint64_t id);
/* session.c: what is remembered of a request; NULL: nothing */
const struct request *request_find(const struct kernel *k, uint32_t session, uint64_t id);
uint32_t saga_of_id(const struct kernel *k, uint64_t id);

#endif
