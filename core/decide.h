/* SPDX-License-Identifier: MIT */
/*
 * Decisions: what a step does about an input. A decision about a request comes
 * in two halves. The first (…_check) validates everything and reserves memory
 * for all that can follow, and may refuse: then nothing has changed (R-EVT-2).
 * The second only emits. What follows from events (a task that can complete, a
 * region that can move on) is a queue of work, run to its end in the same step,
 * so a tree of any size closes without recursion.
 */
#ifndef ASUPERSYNC_CORE_DECIDE_H
#define ASUPERSYNC_CORE_DECIDE_H

#include "core/event.h"

/* Why a request was refused. */
struct refusal {
    int code;           /* 0 or -ASUP_E... */
    const char *detail; /* for people, or NULL */
    const char *limit;  /* name of the limit, or NULL */
    bool masked;        /* granted, and a mask held (R-TSK-3) */
};

#define REFUSE(why, error, text)                                                                   \
    ((why)->code = -(error), (why)->detail = (text), (why)->limit = NULL, (why)->code)

/* What a batch has been granted so far, on top of the state. */
struct admission {
    uint32_t tasks, regions;
    uint64_t bytes;
};

/* step.c: memory for what a decision may lead to */
struct need {
    uint64_t tasks;       /* that may be cancelled or completed */
    uint64_t regions;     /* likewise */
    uint64_t sagas;       /* that may begin to be undone, or end */
    uint64_t obligations; /* that may end, or be granted to who waits */
    uint64_t operations;  /* likewise I/O operations, whose end grants nothing */
    uint32_t events;      /* beyond those */
    size_t scratch;
    uint32_t reasons;
    uint32_t volatile_tops; /* outermost volatile regions that are to be opened */
};
bool reserve(struct kernel *k, const struct need *need);
/* Everything in that subtree may end. */
void need_subtree(const struct kernel *k, uint32_t region, struct need *need);
/* What may follow from the end of something in that region. */
void need_follow(const struct kernel *k, uint32_t region, struct need *need);
void
reply(struct kernel *k, const struct input *in, const struct refusal *why, struct asup_ref made);

/* service.c: whether it is that region or below it */
bool region_within(const struct kernel *k, uint32_t region, uint32_t top);

/* authority.c: who may what (R-CAP-1) */
/* Not for the daemon's own; by their users: who shows a capability may nothing by its user. */
bool caller_may(const struct kernel *k, const struct caller *c, uint32_t uid);
bool caller_is_root(const struct kernel *k, const struct caller *c);
/* Whether the caller has that right (enum asup_right) in the region (R-CAP-4). 0 or a code. */
int authorize(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t right,
              struct refusal *why);
/* The same for a thing in it that has an owner of its own, who may as well. */
int authorize_owned(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t uid,
                    uint32_t right, struct refusal *why);
/* The same for what "/" lets everybody do there: open a region, offer calls. */
int authorize_open(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t right,
                   struct refusal *why);
/* For ending a region: not the one that the policy gives to several. */
int authorize_end(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t right,
                  struct refusal *why);
/* For what is kept of a region that is gone: its user's. */
int authorize_kept(const struct kernel *k, const struct caller *c, uint32_t uid, uint32_t right,
                   struct refusal *why);
/* Whether the policy leaves the caller that right in the region; and anything at all. */
int standing_allows(const struct kernel *k, const struct caller *c, uint32_t region, uint32_t right,
                    struct refusal *why);
int standing_shut(const struct kernel *k, const struct input *in, struct refusal *why);
/* Whether what it shows is good at all, for requests that need it for no region. */
int authorize_shown(const struct kernel *k, const struct input *in, struct refusal *why);
/* Who holds what the caller is given: the task whose capability it shows, else its session (§4);
 * sort NONE: nobody that could hold anything. */
struct asup_ref caller_holder(const struct caller *c);
/* The caller with the task filled in whose derived capability it shows. Done once, when a
 * request comes. */
struct caller caller_resolve(const struct kernel *k, const struct caller *c);
/* The capability that bounds what the caller makes; 0: none. */
uint64_t caller_capability(const struct kernel *k, const struct caller *c);
/* The budget of what the caller makes, from that instant on, within its ceilings. */
struct asup_budget caller_budget(const struct kernel *k, const struct caller *c,
                                 const struct budget_request *request, asup_time from);
/* The same for what has a budget of its own, counted from its start. */
uint64_t caller_timeout(const struct kernel *k, const struct caller *c, uint64_t asked_ns);
/* False for what needs no right but being the holder (R-CAP-4). */
bool right_needed(const struct input *in);

/* capability.c: derive and revoke */
int capability_check(struct kernel *k, const struct input *in, struct refusal *why);
bool capability_memory(struct kernel *k, const struct input *in, struct need *need);
struct asup_ref capability_do(struct kernel *k, const struct input *in);
/* With their region. */
void capabilities_die(struct kernel *k, uint32_t region);
uint64_t digest_capabilities(const struct kernel *k, uint64_t h);
const char *check_capabilities(const struct kernel *k);

/* key.c: idempotency keys (R-IDM-1). Whether the request was granted before, or is refused for
 * its key: 1 or a negative code; 0: go on. */
int key_lookup(const struct kernel *k, const struct input *in, struct asup_ref *made,
               struct refusal *why);
bool key_reserve(struct kernel *k, const struct input *in, struct need *need);
void key_bind(struct kernel *k, const struct input *in, struct asup_ref made);
/* What was made under a key has ended. */
void key_done(struct kernel *k, struct asup_ref made);
void key_fire(struct kernel *k, uint32_t i);
bool key_make_room(struct kernel *k);
uint64_t digest_keys(const struct kernel *k, uint64_t h);
const char *check_keys(const struct kernel *k);

/* limits.c */
int limit_capabilities(const struct kernel *k, uint32_t uid, struct refusal *why);
int limit_tasks(const struct kernel *k, uint32_t region, uint32_t uid, bool finalizer, size_t bytes,
                const struct admission *adm, struct refusal *why);
int limit_regions(const struct kernel *k, uint32_t parent, uint32_t uid, size_t bytes,
                  const struct admission *adm, struct refusal *why);
/* Texts that are kept besides: what was made by a batch. */
int limit_bytes(const struct kernel *k, uint32_t uid, size_t bytes, struct refusal *why);
int limit_sessions(const struct kernel *k, uint32_t uid, struct refusal *why);
int limit_waits(const struct kernel *k, uint32_t uid, struct refusal *why);
int limit_channels(const struct kernel *k, uint32_t uid, struct refusal *why);
int limit_obligations(const struct kernel *k, uint32_t uid, struct refusal *why);
int limit_leases(const struct kernel *k, uint32_t uid, struct refusal *why);
/* What may be a name at all; empty is. */
int name_syntax(struct bytes name, struct refusal *why);
int name_check(const struct kernel *k, uint32_t parent, uint32_t uid, struct bytes name,
               struct refusal *why);
int budget_check(const struct kernel *k, const struct budget_request *b, struct refusal *why);
/* The budget asked for, with its relative limit counted from `from`. */
struct asup_budget budget_of(const struct budget_request *b, asup_time from);

/* admit.c: memory for what is admitted */
struct admit_need {
    uint32_t tasks, regions, sagas, calls;
    uint32_t volatile_tops; /* of those regions, at most */
    struct heap_need texts;
    size_t scratch;
    bool timed; /* some of them have a limit */
    bool failed;
};
/* A task for a region, and a text besides; false: no memory. */
void admit_task(struct kernel *k, struct admit_need *n, const struct caller *c,
                const struct task_params *p, uint32_t region);
bool admit_text(struct kernel *k, struct admit_need *n, size_t size);
/* How many timers what lives may have. (A holder holds something, or a lease cools for it.) */
uint32_t admit_timers(const struct kernel *k);
void admit_want(struct kernel *k, struct admit_need *n, const struct input *in);
bool admit_reserve(struct kernel *k, const struct admit_need *n, const struct need *more);
bool users_reserve(struct kernel *k);

/* region.c */
/* "r12"; returns its size. */
size_t id_text(char letter, uint64_t id, char out[24]);
int region_open_check(struct kernel *k, const struct input *in, const struct admission *adm,
                      struct refusal *why);
struct asup_ref region_open(struct kernel *k, const struct input *in);
int region_end_check(struct kernel *k, const struct input *in, struct refusal *why);
struct asup_ref region_end(struct kernel *k, const struct input *in);
void region_fire(struct kernel *k, uint32_t i);
void region_advance(struct kernel *k, uint32_t i);
void region_swept(struct kernel *k, const struct input *in);
uint32_t region_lookup(const struct kernel *k, const struct input *in, struct refusal *why);

/* task.c */
int task_submit_check(struct kernel *k, const struct input *in, const struct admission *adm,
                      struct refusal *why);
struct asup_ref task_submit(struct kernel *k, const struct input *in, const char **advice);
int task_cancel_check(struct kernel *k, const struct input *in, struct refusal *why);
struct asup_ref task_cancel(struct kernel *k, const struct input *in);
int finalizer_defer_check(struct kernel *k, const struct input *in, const struct admission *adm,
                          struct refusal *why);
struct asup_ref finalizer_defer(struct kernel *k, const struct input *in);
int task_params_check(const struct kernel *k, const struct caller *c, const struct task_params *p,
                      bool finalizer, struct refusal *why);
/* The action of a step of a saga; returns advice, or NULL. */
const char *action_submit(struct kernel *k, uint32_t region, const struct caller *c,
                          const struct task_params *p);
void finalizer_register(struct kernel *k, uint32_t region, const struct caller *c,
                        const struct task_params *p);

/* process.c: facts about tasks */
void task_fact(struct kernel *k, const struct input *in, uint32_t i);
void task_need(const struct kernel *k, const struct input *in, uint32_t i, struct need *need);
void task_fire(struct kernel *k, uint32_t i);
void task_advance(struct kernel *k, uint32_t i);
/* It has ended; text and payload are a call's. */
void task_complete(struct kernel *k, uint32_t i, const struct kernel_outcome *o, struct bytes text,
                   const void *payload, size_t payload_size);

/* obligation.c */
int obligation_request_check(struct kernel *k, const struct input *in, struct refusal *why);
bool obligation_request_memory(struct kernel *k, const struct input *in, struct need *need);
struct asup_ref obligation_request(struct kernel *k, const struct input *in);
void obligation_fire(struct kernel *k, uint32_t i);
void holder_fire(struct kernel *k, uint32_t i);
/* R-OBL-3: who held them has ended. */
void obligations_leak(struct kernel *k, struct asup_ref holder);
/* R-OBL-4: the drain of a region that is owed something has ended. */
void obligations_drain_ended(struct kernel *k, uint32_t region);
/* Memory for so many more, their ends included. */
bool obligation_memory(struct kernel *k, uint32_t more);
/* How many ends a decision that makes one has to have memory for. */
uint64_t obligations_standing(const struct kernel *k);
/* What may follow from the end of one; of all that one holds. */
void need_obligation(const struct kernel *k, uint32_t i, struct need *need);
/* Of all that is owed in a region. */
void need_ledger(const struct kernel *k, uint32_t region, struct need *need);
void need_holder(const struct kernel *k, struct asup_ref holder, struct need *need);

/* lease.c */
int lease_request_check(struct kernel *k, const struct input *in, struct refusal *why);
struct asup_ref lease_request(struct kernel *k, const struct input *in);
int lease_acquire(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
                  struct asup_ref *made);
/* The region no longer admits what it did. */
void leases_sealed(struct kernel *k, uint32_t region);

/* budget.c */
int task_spend_check(struct kernel *k, const struct input *in, struct refusal *why);
struct asup_ref task_spend(struct kernel *k, const struct input *in, struct refusal *why);
/* Whether the answer to a repeat says that the mask held. */
bool task_spend_masked(const struct kernel *k, const struct input *in);
void task_sampled(struct kernel *k, uint32_t i, uint64_t cpu_ns);

/* policy.c */
void policy_ended(struct kernel *k, uint32_t region, uint8_t sort, uint64_t id,
                  const struct kernel_outcome *o, bool counted);
void policy_sealed(struct kernel *k, uint32_t region);
struct kernel_outcome policy_outcome(const struct kernel *k, const struct region *r);
bool policy_may_cancel(const struct region *r);

/* cleanup.c: the three ways to end (R-REG-3) and nested cleanup (R-REG-6) */
struct cancel {
    uint8_t kind;
    uint8_t origin_sort;
    uint64_t origin;
    struct bytes message;
    uint64_t drain_ns;  /* asked for; ASUP_NEVER: not */
    asup_time end_most; /* T is not later; ASUP_NEVER: no outer limit */
    bool hurry;
    bool limit_passed;
};
void cancel_region(struct kernel *k, uint32_t top, const struct cancel *c);
void cancel_task(struct kernel *k, uint32_t i, const struct cancel *c);
void finish_region(struct kernel *k, uint32_t top);
/* P(r), exactly. */
uint64_t cleanup_ns(const struct kernel *k, uint32_t region);
int shutdown_check(struct kernel *k, const struct input *in, struct refusal *why);
struct asup_ref shutdown_begin(struct kernel *k, const struct input *in);
uint64_t allowance_ns(const struct kernel *k, const struct region *r, uint8_t kind);

/* saga.c */
int saga_check(struct kernel *k, const struct input *in, struct refusal *why);
bool saga_memory(struct kernel *k, const struct input *in, struct need *need);
struct asup_ref saga_do(struct kernel *k, const struct input *in, struct refusal *why);

/* saga_undo.c */
struct event event_of_saga(enum event_kind kind, struct kernel *k, uint32_t saga);
struct event event_of_step(enum event_kind kind, struct kernel *k, uint32_t step);
bool saga_region_cancelled(const struct kernel *k, const struct saga *s);
void saga_end(struct kernel *k, uint32_t i, enum saga_state how);
void saga_compensate(struct kernel *k, uint32_t i, struct bytes message);
void saga_abort(struct kernel *k, uint32_t i, struct bytes message);
void saga_advance(struct kernel *k, uint32_t i);
void saga_fire(struct kernel *k, uint32_t i);
void work_saga(struct kernel *k, uint32_t i);
/* One of those that may move on; false: there was none. */
bool saga_work_run(struct kernel *k);
/* A task or session is no more: what it drove under a finish is aborted. */
void saga_driver_ended(struct kernel *k, struct asup_ref driver);
/* How many sagas it drives. */
uint64_t saga_driven(const struct kernel *k, struct asup_ref driver);
void sagas_finish(struct kernel *k, uint32_t region);
void saga_action_ended(struct kernel *k, uint32_t task, const struct kernel_outcome *o);
void saga_undo_ended(struct kernel *k, uint32_t task, const struct kernel_outcome *o);
/* What the task is started with, and its label. */
struct bytes task_spec(const struct kernel *k, const struct task *t);
struct bytes task_label(const struct kernel *k, const struct task *t);
bool sagas_finalize(struct kernel *k, uint32_t region);
void saga_stuck_tell(struct kernel *k);
uint32_t saga_timers(const struct kernel *k);
bool saga_reserve(struct kernel *k);
asup_time saga_retention_next(const struct kernel *k);
void saga_retention_fire(struct kernel *k);

/* saga_view.c */
void saga_init(struct kernel *k);
void saga_fini(struct kernel *k);
/* The finalizer at or below a link of a stack; 0: none. */
uint64_t stack_finalizer(const struct kernel *k, uint32_t link);
uint64_t saga_digest(const struct kernel *k, uint64_t h);
const char *saga_invariants(const struct kernel *k);
/* The sagas on a region's stack; NULL, or what is broken. */
const char *saga_stack_check(const struct kernel *k, uint32_t region);

/* digest.c */
uint64_t digest_text(const struct kernel *k, uint64_t h, uint32_t handle);
uint64_t digest_outcome(uint64_t h, const struct kernel_outcome *o, bool there);

/* session.c */
int session_request(struct kernel *k, const struct input *in, struct refusal *why,
                    struct asup_ref *made);
void session_fact(struct kernel *k, const struct input *in);
void session_fire(struct kernel *k, uint32_t i);
/* R-IDM-1: whether the request was granted before, or is refused. Then 1 or a
 * negative code; 0: go on. */
int request_lookup(const struct kernel *k, const struct input *in, struct asup_ref *made,
                   struct refusal *why);
/* Bytes that are kept to answer a repeat of a batch. */
size_t request_bytes(const struct input *in);
bool requests_reserve(struct kernel *k);
bool request_reserve(struct kernel *k, const struct input *in, struct need *need);
void request_bind(struct kernel *k, const struct input *in, struct asup_ref made);

/* wait.c */
int wait_request(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
                 struct asup_ref *made);
/* Any request that may have to wait: check limits and reserve memory, then park. Nothing is
 * decided for a parked request before its turn comes: then who serves the queue decides and
 * emits for it in the name of w->caller, and ends it with wait_end(). */
int wait_admit(struct kernel *k, const struct input *in, uint64_t timeout_ns, struct refusal *why);
uint32_t wait_park(struct kernel *k, const struct input *in, enum wait_on on, uint32_t target,
                   uint64_t timeout_ns);
struct wait *wait_at(const struct kernel *k, uint32_t i);
/* Take it out and answer it: `made` with code 0, else the code with its text. */
void wait_end(struct kernel *k, uint32_t i, int code, const char *detail, struct asup_ref made);
/* Its turn came, and it was granted: bound as a request that was (R-IDM-1), and answered. */
void wait_grant(struct kernel *k, uint32_t i, struct asup_ref made);
/* Take it out: its answer has been given. */
void wait_answered(struct kernel *k, uint32_t i);
void wait_dropped(struct kernel *k, uint64_t token);
void wait_fire(struct kernel *k);
void waits_task(struct kernel *k, uint32_t task);
void waits_region(struct kernel *k, uint32_t region);
void waits_saga(struct kernel *k, uint32_t saga);

/* channel.c, delivery.c, dead.c: see channel.h */
int channel_request(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
                    struct asup_ref *made);
int delivery_request(struct kernel *k, const struct input *in, struct refusal *why, bool *parked,
                     struct asup_ref *made);
int
dead_request(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made);
/* Whether the channel it is about is volatile. */
bool channel_request_volatile(const struct kernel *k, const struct input *in);
/* A request came from it: no longer silent. */
void caller_spoke(struct kernel *k, const struct caller *c);
/* The queue of channels that changed. channels_work() serves the next one; false: there is
 * none, or the memory of this step is spent, and the next step goes on. */
void work_channel(struct kernel *k, uint32_t i);
void work_channel_forget(struct kernel *k, uint32_t i);
bool channels_work(struct kernel *k);
bool channels_waiting(const struct kernel *k);
void channels_step(struct kernel *k);
/* A region admits less than before: whoever is parked at its channels may have to go. */
void channels_recheck(struct kernel *k, uint32_t region);
/* End the channels of a region whose ledger is empty; false: the next step goes on with it. */
bool channels_close(struct kernel *k, uint32_t region);
asup_time dead_next(const struct kernel *k);
void dead_fire(struct kernel *k);
void channel_counts(const struct kernel *k, struct kernel_counts *out);
uint64_t channel_id_last(const struct kernel *k);
uint64_t digest_channels(const struct kernel *k, uint64_t h);
const char *check_channels(const struct kernel *k);
/* call.c, worker.c, serve.c: see call.h */
int call_params_check(const struct task_params *p, struct refusal *why);
int
call_complete(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made);
int call_speaker_check(const struct kernel *k, const struct caller *caller, const struct task *t,
                       struct refusal *why);
void call_advance(struct kernel *k, uint32_t i);
int limit_offers(const struct kernel *k, uint32_t uid, uint32_t names, struct refusal *why);
int worker_offer_check(struct kernel *k, const struct input *in, struct refusal *why);
bool worker_offer_reserve(struct kernel *k, const struct input *in, struct need *need);
struct asup_ref worker_offer(struct kernel *k, const struct input *in, const char **advice);
int worker_end_check(struct kernel *k, const struct input *in, struct refusal *why);
bool worker_end_reserve(struct kernel *k, const struct input *in, struct need *need);
struct asup_ref worker_withdraw(struct kernel *k, const struct input *in);
struct asup_ref worker_drain(struct kernel *k, const struct input *in);
int
worker_start(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made);
/* `answered`: its answer was given, or comes later. */
int worker_next(struct kernel *k, const struct input *in, struct refusal *why, bool *answered);
void worker_need(const struct kernel *k, uint32_t worker, struct need *need);
void worker_session_need(const struct kernel *k, uint64_t session, struct need *need);
void worker_session_ends(struct kernel *k, uint64_t session);
void worker_task_need(const struct kernel *k, uint64_t task, struct need *need);
void worker_task_ended(struct kernel *k, uint64_t task);
void workers_region_closed(struct kernel *k, uint32_t region);
void worker_fire(struct kernel *k, uint32_t i);
void calls_dispatch(struct kernel *k);
bool calls_waiting(const struct kernel *k);
/* What could be handed out. */
uint64_t calls_picks(const struct kernel *k);
/* Sign of life of a worker that speaks for a call. */
void worker_seen(struct kernel *k, uint32_t i);
const char *calls_check(const struct kernel *k);
const char *call_check(const struct kernel *k, const struct task *t);
uint64_t calls_digest(const struct kernel *k, uint64_t h);

/* batch.c */
int
batch_request(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made);

/* work.c: what follows */
void work_task(struct kernel *k, uint32_t i);
void work_region(struct kernel *k, uint32_t i);
void work_run(struct kernel *k);

/* dispatch.c */
void dispatch(struct kernel *k);
void order_start(struct kernel *k, uint32_t i);
void order_signal(struct kernel *k, uint32_t i);
bool dispatch_waiting(const struct kernel *k);

/* lease.c: after a fold */
void leases_settle(struct kernel *k);

/* recover.c: what a fact says that only comes with a recovery, see durable.h */
void task_lost(struct kernel *k, uint32_t i);
void resumed(struct kernel *k, const struct input *in);
void resumed_need(const struct kernel *k, struct need *need);
/* After a snapshot was read for a fold: nothing is left inside volatile regions. */
void volatile_drop(struct kernel *k);
/* While the journal fails: whether the request has to wait for it. */
bool journal_needed(const struct kernel *k, const struct input *in);
/* What the answer to a request that was granted waits for (effect.after). */
uint64_t answer_after(const struct kernel *k, const struct input *in);

/* region.c */
void sweep_again(struct kernel *k, uint32_t i);

/* retention.c */
enum { RETENTION_MOST = 64 }; /* forgotten in one step */
asup_time retention_next(const struct kernel *k);
void retention_fire(struct kernel *k);

/* obligation_query.c */
uint64_t digest_obligations(const struct kernel *k, uint64_t h);
const char *check_obligations(const struct kernel *k);

/* config.c */
bool config_sensible(const struct kernel_config *c);
/* Nothing in it, "/" neither. NULL: no memory. */
struct kernel *kernel_blank(const struct kernel_allocator *allocator);
/* The standing reserve of memory. */
bool kernel_reserve(struct kernel *k);

#endif
