/* SPDX-License-Identifier: MIT */
/*
 * Calls and workers: what their files share. call.c decides about calls,
 * worker.c about workers, serve.c who gets what; apply_call.c and service.c
 * apply; query_call.c reads, check_call.c checks.
 */
#ifndef ASUPERSYNC_CORE_CALL_H
#define ASUPERSYNC_CORE_CALL_H

#include "core/decide.h"

/* Most names in one offer, and calls in one answer. */
enum { OFFER_NAMES_MAX = 64, GIVEN_MAX = 1024 };

/* ---- Payloads -------------------------------------------------------------------- */

/* WORKER_OFFERED: event text is the names, a line each. */
struct offer_payload {
    uint64_t response_ns, quiet_ns;
    struct asup_ref holder;
    uint32_t concurrency, prefetch, mask_depth;
    uint32_t name_count;
};

/* CALL_TAKEN, CALL_STARTED, and CANCEL_SENT of a call: of which answer it is a part. */
struct given_payload {
    uint64_t request; /* id of the request that is answered; 0: none */
    uint32_t given;   /* counts the worker's answers; 0: not in an answer to worker.next */
};

/* TASK_COMPLETED of a call that its worker finished; followed by the result.
 * CALL_RETRIED has it too. */
struct call_end_payload {
    size_t result_size;
    bool lost; /* its worker is gone */
};

/* ---- service.c ---------------------------------------------------------------------- */

uint64_t service_key(uint32_t uid, struct bytes name);
bool service_is(const struct kernel *k, const struct service *s, uint32_t uid, struct bytes name);
uint32_t service_find(const struct kernel *k, uint32_t uid, struct bytes name, uint32_t region);
uint32_t service_get(struct kernel *k, uint32_t uid, struct bytes name, uint32_t region);
uint32_t service_for(struct kernel *k, uint32_t uid, struct bytes name, uint32_t region);
uint32_t service_under(const struct kernel *k, uint32_t root_service, uint32_t region);
void service_release(struct kernel *k, uint32_t i);
/* There may be something to hand out. */
void service_busy(struct kernel *k, uint32_t i);
void service_busy_drop(struct kernel *k, uint32_t i);
void worker_busy(struct kernel *k, uint32_t i);
void worker_busy_drop(struct kernel *k, uint32_t i);
/* A queued call of a snapshot: into its heap. */
void call_lane_restore(struct kernel *k, uint32_t i);
/* How many more calls it would take. */
uint32_t worker_room(const struct worker *w);
/* After anything that decides whether it is idle. */
void worker_settle(struct kernel *k, uint32_t i);
void worker_unsettle(struct kernel *k, uint32_t i);
/* Whether `region` is `top` or below it. */

/* ---- apply_call.c ----------------------------------------------------------------------- */

asup_time worker_deadline(const struct worker *w);
void worker_rearm(struct kernel *k, uint32_t i);
void call_let_go(struct kernel *k, struct task *t);
/* Likewise; it will be made anew, which is no attempt of those it has. */
void call_rerun(struct kernel *k, struct task *t);

/* ---- worker.c, call.c, serve.c ------------------------------------------------------------ */

/* The worker of a session; NIL: it is none. */
uint32_t worker_of_session(const struct kernel *k, uint64_t session);
/* The worker that a request comes from. NIL and `why`: it is none. */
uint32_t worker_asking(const struct kernel *k, const struct input *in, struct refusal *why);
struct event event_of_worker(enum event_kind kind, const struct kernel *k, uint32_t worker);
struct event event_of_call(enum event_kind kind, struct kernel *k, uint32_t task);
/* One call of a worker that is gone or fenced: run again by its rule, or lost. */
void call_lost(struct kernel *k, uint32_t i);
void call_give_back(struct kernel *k, uint32_t i);
/* The worker's offer of that name; NIL: none. */
uint32_t worker_offers(const struct kernel *k, uint32_t worker, struct bytes name);
/* A drained worker that has nothing left is told so. */
void worker_finished(struct kernel *k, uint32_t worker);
/* Answer the parked request of a worker with what there is for it; false: nothing. */
bool worker_serve(struct kernel *k, uint32_t i, uint32_t most, uint64_t request, uint64_t token);

#endif
