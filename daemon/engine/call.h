/* SPDX-License-Identifier: MIT */
/*
 * One operation on its way: what was asked, by whom, and where the answer
 * goes. An operation of a batch is a call of its own that cannot be parked.
 *
 * An operation (op_*.c) returns 0 after writing the body of the answer to
 * c->w; or a negative code with c->error filled in and nothing written; or
 * CALL_PARKED when waits.c now holds the exchange.
 *
 * Access: who shows a capability may touch what that is for; who shows none,
 * what the policy leaves it (standing.c), which is what is in its own regions
 * unless rules say otherwise, and root and the daemon's owner everything
 * (R-CAP-1, R-CAP-2; authority.c). To anyone else a thing does not exist:
 * "denied" would tell that it does.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_CALL_H
#define ASUPERSYNC_DAEMON_ENGINE_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/state.h"

enum { CALL_PARKED = 1 };

struct session;

struct call {
    struct engine *engine;
    struct exchange *exchange; /* NULL in a batch */
    struct connection *connection;
    struct session *session; /* NULL: none was named */
    const struct proto_op *op;
    const union proto_args *args;
    struct caller caller;
    const struct policy_rule *rule; /* of the policy, that counts for the user; NULL: none */
    bool privileged;                /* root, or the daemon's owner, without a capability */
    uint64_t request_id;            /* for the reply */
    uint64_t repeat_id;             /* for R-IDM-1; 0: not to be recognised */
    uint64_t digest;
    struct {
        uint64_t digest;
        uint32_t place, count;
    } part;                      /* of the batch that repeat_id names; count 0: of none */
    const struct proto_key *key; /* idempotency key; its text absent: none */
    bool asked;                  /* the kernel was; else the answer only reads */
    uint64_t after;              /* then the event that must be on disk before it is told */
    struct proto_writer *w;
    struct proto_error error;
};

typedef int op_function(struct call *c);

/* One table, by enum proto_op_id (dispatch.c). */
extern op_function *const op_functions[PROTO_OP_COUNT];

op_function op_session_hello, op_session_keepalive, op_session_bye;
op_function op_region_open, op_region_close, op_region_wait, op_region_stat, op_region_tree;
op_function op_task_submit, op_task_cancel, op_task_wait, op_task_stat, op_task_list;
op_function op_task_checkpoint, op_task_progress, op_task_logs, op_finalizer_defer;
op_function op_channel_open, op_channel_seal, op_channel_stat, op_channel_list;
op_function op_channel_reserve, op_channel_send, op_channel_abort;
op_function op_channel_receive, op_channel_ack, op_channel_nack, op_channel_extend;
op_function op_channel_message, op_channel_dead, op_channel_retry, op_channel_discard;
op_function op_saga_begin, op_saga_step, op_saga_complete, op_saga_abort;
op_function op_saga_stat, op_saga_list, op_saga_resolve, op_saga_wait;
op_function op_obligation_reserve, op_obligation_commit, op_obligation_abort;
op_function op_obligation_transfer, op_obligation_list;
op_function op_lease_acquire, op_lease_renew, op_lease_release, op_lease_stat, op_lease_list;
op_function op_task_complete, op_worker_offer, op_worker_next, op_worker_withdraw;
op_function op_worker_drain, op_worker_list;
op_function op_cx_derive, op_cx_revoke, op_cx_list;
op_function op_events_watch, op_why;
op_function op_daemon_status, op_daemon_reload, op_daemon_upgrade, op_daemon_drain,
    op_daemon_shutdown;
op_function op_batch;

/* A request came, or a connection is gone (struct server_callbacks). */
void dispatch_request(void *engine, struct exchange *x, const void *data, size_t size);
void dispatch_gone(void *engine, struct connection *c);

/* ---- authority.c: capabilities ------------------------------------------------------- */

/* The capability that a request shows, if it does: from now on the caller has that one's rights
 * and no others. 0 or a code: it is not genuine, or another user's. */
int call_show_cx(struct call *c, bool has_cx, const uint8_t cx[16]);
bool call_shows_cx(const struct call *c);
/* Whether it may know of everything in the regions that it sees, whoever's it is. */
bool call_sees_all(const struct call *c);
/* Whether what is shown is still good, and good for this operation. 0 or a code. */
int call_may_begin(struct call *c);
/* R-CAP-4: giving back what one holds needs no right, only being the holder. */
bool call_gives_back(const struct call *c);
/* Rights by their names. 0 or a code. */
int call_rights(struct call *c, const struct proto_texts *names, const char *field, uint32_t *out);
/* Whether the caller may know of a thing of that region (0: of none) and user. */
bool call_sees(const struct call *c, uint64_t region, uint32_t uid);
/* 0, or a code: it is another's, who resolves it does not learn that it is. One
 * that is not known is the kernel's to refuse. */
int call_owed(struct call *c, uint64_t id);
/* For what it does not see: a code if it may be told so, because only its capability is in the
 * way; else 0, and it does not exist. */
int call_hidden(struct call *c, uint64_t region, uint32_t uid, const char *field);
/* Where something is when the request does not say: the capability's region, or the policy's, else
 * "/". */
uint64_t call_region_default(const struct call *c);

/* ---- call.c ------------------------------------------------------------------------------ */

/* Fill in c->error; returns the code. `hint` may be NULL. */
int call_fail(struct call *c, int code, const char *field, const char *hint, const char *format,
              ...) __attribute__((format(printf, 5, 6)));
/* The refusal that the kernel gave. */
int call_refused(struct call *c, const struct answer *a);
/* The journal fails, and why; returns -ASUP_EUNAVAILABLE. */
int call_no_journal(struct call *c);
/* Ask the kernel in this call's name: sets caller, request id and digest, and
 * remembers what the answer waits for. */
void call_ask(struct call *c, struct input *in, struct answer *a);

/* Resolve an id or path to a region the caller may see. 0 or a code. */
int call_region(struct call *c, const struct proto_target *target, const char *field,
                struct region_view *out);
int call_task(struct call *c, uint64_t id, struct task_view *out);
/* The same for a channel, whose path ends with its name (op_channel.c). */
int call_channel(struct call *c, const struct proto_target *target, const char *field,
                 struct channel_view *out);
int call_saga(struct call *c, uint64_t id, struct saga_view *out);

/* Checked parameters for the kernel; what they point to lives as long as the
 * request. 0 or a code. */
int call_budget(struct call *c, const struct proto_budget *b, struct budget_request *out);
int call_process(struct call *c, const struct proto_process *p, const char *field,
                 struct task_params *out);
/* Inputs of what may stand in an atomic batch. 0 or a code. */
int input_region_open(struct call *c, struct input *in);
int input_region_close(struct call *c, struct input *in);
int input_task_submit(struct call *c, struct input *in);
int input_task_cancel(struct call *c, struct input *in);
int input_finalizer_defer(struct call *c, struct input *in);
/* Bodies of what such an input answered; the id it made or touched. */
void body_of_region_open(struct call *c, uint64_t id, const char *advice);
void body_of_region_close(struct call *c, uint64_t id);
void body_of_submit(struct call *c, uint64_t id, const char *advice);
void body_of_task_cancel(struct call *c, uint64_t id);

#endif
