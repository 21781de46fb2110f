/* SPDX-License-Identifier: MIT */
/*
 * From a message to an operation and back. Every message gets exactly one
 * answer: its own, or what is wrong with it.
 */
#include <string.h>

#include "daemon/engine/call.h"
#include "daemon/engine/output.h"
#include "daemon/engine/report.h"
#include "daemon/engine/sessions.h"
#include "daemon/engine/standing.h"
#include "daemon/engine/waits.h"

/* Messages beyond that leave memory behind that is worth giving back. */
#define LARGE ((size_t)64 << 10)

op_function *const op_functions[PROTO_OP_COUNT] = {
    [PROTO_SESSION_HELLO] = op_session_hello,
    [PROTO_SESSION_KEEPALIVE] = op_session_keepalive,
    [PROTO_SESSION_BYE] = op_session_bye,
    [PROTO_REGION_OPEN] = op_region_open,
    [PROTO_REGION_CLOSE] = op_region_close,
    [PROTO_REGION_WAIT] = op_region_wait,
    [PROTO_REGION_STAT] = op_region_stat,
    [PROTO_REGION_TREE] = op_region_tree,
    [PROTO_TASK_SUBMIT] = op_task_submit,
    [PROTO_TASK_CANCEL] = op_task_cancel,
    [PROTO_TASK_WAIT] = op_task_wait,
    [PROTO_TASK_STAT] = op_task_stat,
    [PROTO_TASK_LIST] = op_task_list,
    [PROTO_TASK_CHECKPOINT] = op_task_checkpoint,
    [PROTO_TASK_PROGRESS] = op_task_progress,
    [PROTO_TASK_LOGS] = op_task_logs,
    [PROTO_FINALIZER_DEFER] = op_finalizer_defer,
    [PROTO_CHANNEL_OPEN] = op_channel_open,
    [PROTO_CHANNEL_SEAL] = op_channel_seal,
    [PROTO_CHANNEL_STAT] = op_channel_stat,
    [PROTO_CHANNEL_LIST] = op_channel_list,
    [PROTO_CHANNEL_RESERVE] = op_channel_reserve,
    [PROTO_CHANNEL_SEND] = op_channel_send,
    [PROTO_CHANNEL_ABORT] = op_channel_abort,
    [PROTO_CHANNEL_RECEIVE] = op_channel_receive,
    [PROTO_CHANNEL_ACK] = op_channel_ack,
    [PROTO_CHANNEL_NACK] = op_channel_nack,
    [PROTO_CHANNEL_EXTEND] = op_channel_extend,
    [PROTO_CHANNEL_MESSAGE] = op_channel_message,
    [PROTO_CHANNEL_DEAD] = op_channel_dead,
    [PROTO_CHANNEL_RETRY] = op_channel_retry,
    [PROTO_CHANNEL_DISCARD] = op_channel_discard,
    [PROTO_SAGA_BEGIN] = op_saga_begin,
    [PROTO_SAGA_STEP] = op_saga_step,
    [PROTO_SAGA_COMPLETE] = op_saga_complete,
    [PROTO_SAGA_ABORT] = op_saga_abort,
    [PROTO_SAGA_STAT] = op_saga_stat,
    [PROTO_SAGA_LIST] = op_saga_list,
    [PROTO_SAGA_RESOLVE] = op_saga_resolve,
    [PROTO_SAGA_WAIT] = op_saga_wait,
    [PROTO_OBLIGATION_RESERVE] = op_obligation_reserve,
    [PROTO_OBLIGATION_COMMIT] = op_obligation_commit,
    [PROTO_OBLIGATION_ABORT] = op_obligation_abort,
    [PROTO_OBLIGATION_TRANSFER] = op_obligation_transfer,
    [PROTO_OBLIGATION_LIST] = op_obligation_list,
    [PROTO_LEASE_ACQUIRE] = op_lease_acquire,
    [PROTO_LEASE_RENEW] = op_lease_renew,
    [PROTO_LEASE_RELEASE] = op_lease_release,
    [PROTO_LEASE_STAT] = op_lease_stat,
    [PROTO_LEASE_LIST] = op_lease_list,
    [PROTO_TASK_COMPLETE] = op_task_complete,
    [PROTO_WORKER_OFFER] = op_worker_offer,
    [PROTO_WORKER_NEXT] = op_worker_next,
    [PROTO_WORKER_WITHDRAW] = op_worker_withdraw,
    [PROTO_WORKER_DRAIN] = op_worker_drain,
    [PROTO_WORKER_LIST] = op_worker_list,
    [PROTO_CX_DERIVE] = op_cx_derive,
    [PROTO_CX_REVOKE] = op_cx_revoke,
    [PROTO_CX_LIST] = op_cx_list,
    [PROTO_EVENTS_WATCH] = op_events_watch,
    [PROTO_WHY] = op_why,
    [PROTO_DAEMON_STATUS] = op_daemon_status,
    [PROTO_DAEMON_RELOAD] = op_daemon_reload,
    [PROTO_DAEMON_UPGRADE] = op_daemon_upgrade,
    [PROTO_DAEMON_DRAIN] = op_daemon_drain,
    [PROTO_DAEMON_SHUTDOWN] = op_daemon_shutdown,
    [PROTO_BATCH] = op_batch,
};

/* The session that a request is for, which its connection speaks for from now on. */
static int
find_session(struct call *c, const uint8_t *secret)
{
    struct engine *e = c->engine;
    struct session *s = session_spoken(c->connection, secret);
    int rc = 0;

    if (!s) {
        s = session_find(e, secret, c->caller.uid);
        rc = s ? session_attach(e, s, secret, c->connection) : -ASUP_EEXPIRED;
    }
    if (rc == -ASUP_EEXPIRED)
        return call_fail(c, rc, "session", "connect again, which begins a new one",
                         "that session has ended or is not yours");
    if (rc != 0)
        return call_fail(c, rc, NULL, NULL, "no memory for the session");
    c->session = s;
    return 0;
}

static int
check_call(struct call *c, const struct proto_request *r)
{
    struct engine *e = c->engine;
    standing_of_call(c);
    int shown = call_show_cx(c, r->call.has_cx, r->call.cx);

    if (shown != 0)
        return shown;
    if (r->has_session) {
        int rc = find_session(c, r->session);
        if (rc != 0)
            return rc;
        c->caller.session = c->session->id;
        c->repeat_id = c->request_id;
    } else if (c->op->flags & PROTO_SESSION) {
        return call_fail(c, -ASUP_EINVALID, "session", "connect with a session, not without one",
                         "%s needs a session", c->op->name);
    }
    if ((c->op->flags & PROTO_MUTATES || c->op->id == PROTO_SESSION_HELLO) &&
        !ids_extend(&e->ids, kernel_id_last(e->kernel)))
        return call_fail(c, -ASUP_EUNAVAILABLE, NULL, "see the daemon's log",
                         "the state directory cannot be written, so no new ids can be given");
    return call_may_begin(c);
}

/* What must be on disk before the answer may be seen: what the kernel said, or
 * for what only read, everything that it may have seen. Some answers never
 * wait, so that a disk that fails can be looked into. */
static uint64_t
answer_after(const struct call *c, int rc)
{
    if (rc == -ASUP_EUNAVAILABLE || !c->op)
        return 0;
    if (c->asked)
        return c->after;
    switch (c->op->id) {
    case PROTO_EVENTS_WATCH: /* tells nothing but what is on disk */
    case PROTO_WHY:
    case PROTO_DAEMON_STATUS:
    case PROTO_DAEMON_RELOAD:
        return 0;
    default:
        return c->engine->durable_seq;
    }
}

static void
send_answer(struct call *c, int rc)
{
    struct proto_writer *w = c->w;

    if (rc == CALL_PARKED)
        return;
    /* Who only looks need not wait for the disk to be mended. */
    if (rc == 0 && !c->asked && c->engine->journal_failing && answer_after(c, rc))
        rc = call_no_journal(c);
    if (rc != 0 || w->failed) {
        if (w->failed) {
            proto_writer_fini(w);
            proto_writer_init(w);
            (void)call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory for the answer");
        }
        proto_writer_clear(w);
        proto_reply_error(w, c->request_id, &c->error);
    }
    if (w->failed) {
        exchange_drop(c->exchange); /* the client asks again */
        return;
    }
    output_reply(c->engine, c->exchange, w->data, w->size, answer_after(c, rc));
    /* An answer that was large once is not paid for for ever. */
    if (w->capacity > LARGE) {
        proto_writer_fini(w);
        proto_writer_init(w);
        c->engine->trim_due = true;
    }
}

void
dispatch_request(void *engine, struct exchange *x, const void *data, size_t size)
{
    struct engine *e = engine;
    struct connection *connection = exchange_connection(x);
    struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_request request = {0};
    struct call c = {
        .engine = e,
        .exchange = x,
        .connection = connection,
        .caller = {.uid = connection->uid},
        .w = &e->writer,
    };

    c.privileged = c.caller.uid == 0 || c.caller.uid == (uint32_t)e->options.owner_uid;
    bounds.size_max = e->config.message_size_max;
    int rc = proto_request_decode(data, size, &bounds, e->memory, &request, &c.error);
    c.request_id = request.has_id ? request.id : 0;
    c.op = request.call.op;
    c.args = request.call.args;
    c.digest = request.call.digest;
    c.key = &request.call.key;
    if (rc == 0)
        rc = check_call(&c, &request);
    else
        c.asked = true; /* what is wrong in itself tells nothing, and waits for nothing */
    proto_writer_clear(c.w);
    if (rc == 0) {
        proto_reply_begin(c.w, c.request_id, 0);
        rc = op_functions[c.op->id](&c);
    }
    send_answer(&c, rc);
    proto_memory_clear(e->memory);
    e->trim_due = e->trim_due || size > LARGE;
    engine_settle(e);
}

void
dispatch_gone(void *engine, struct connection *c)
{
    struct engine *e = engine;

    while (!list_empty(&c->held)) {
        struct exchange *x = exchange_of_link(c->held.next);
        waits_drop(x);
        exchange_drop(x);
    }
    session_detach_all(e, c);
    engine_settle(e);
}
