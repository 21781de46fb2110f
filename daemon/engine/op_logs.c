/* SPDX-License-Identifier: MIT */
/*
 * task.logs. The files belong to the log thread, so every read is held until
 * its chunk comes back; one that may wait stays held while there is nothing
 * new. `end` is said when the pipe has ended and all of it was read, or when
 * a task completed that never had one.
 */
#include <string.h>

#include "daemon/engine/call.h"
#include "daemon/engine/logs_reader.h"
#include "daemon/engine/waits.h"

/* A disk that hangs must not hold a request for ever that did not ask to
 * wait. */
#define READ_NS_MAX (30 * ASUP_NS_PER_S)

void
logs_reader_ask(struct parked *p)
{
    struct engine *e = p->engine;

    p->log_request = exchange_token(p->exchange);
    logs_read(e->logs, p->log_request, p->subject, p->since, (size_t)p->limit, p->may_wait);
}

int
op_task_logs(struct call *c)
{
    const struct args_task_logs *a = &c->args->task_logs;
    struct task_view task;
    struct parked *p;
    int rc;

    if ((rc = call_task(c, a->task, &task)) != 0)
        return rc;
    rc = waits_park(c, PARKED_LOGS, a->task, a->timeout_ns ? a->timeout_ns : READ_NS_MAX, &p);
    if (rc != CALL_PARKED)
        return rc;
    p->since = a->offset;
    p->limit = a->size_max;
    p->may_wait = a->timeout_ns != 0;
    logs_reader_ask(p);
    return CALL_PARKED;
}

static bool
task_is_over(struct engine *e, uint64_t id)
{
    struct task_view task;

    return !kernel_task(e->kernel, id, &task) || task.state == ASUP_TASK_COMPLETED;
}

void
logs_reader_chunk(void *engine, const struct logs_chunk *chunk)
{
    struct engine *e = engine;
    struct exchange *x = server_exchange(e->server, chunk->request);
    struct parked *p = x ? *exchange_parked(x) : NULL;
    struct proto_writer *w = &e->wait_writer;

    if (!p || p->kind != PARKED_LOGS)
        return; /* the client has gone, or its time was over */
    p->log_request = 0;
    bool end =
        !chunk->open && (chunk->known || task_is_over(e, p->subject)) && chunk->size < p->limit;
    if (chunk->error) {
        waits_fail(p, -ASUP_EINTERNAL, strerrordesc_np(chunk->error), 0);
        return;
    }
    if (chunk->size == 0 && !end && p->may_wait)
        return; /* `changed` comes */
    proto_writer_clear(w);
    proto_reply_begin(w, p->request_id, 0);
    pw_map(w);
    pw_key(w, "task");
    pw_id(w, ASUP_SORT_TASK, chunk->task);
    pw_key(w, "data");
    pw_bytes(w, chunk->size ? chunk->data : "", chunk->size);
    pw_key(w, "offset");
    pw_uint(w, chunk->offset);
    pw_key(w, "next_offset");
    pw_uint(w, chunk->offset + chunk->size);
    pw_key(w, "lost_bytes");
    pw_uint(w, chunk->lost);
    pw_key(w, "end");
    pw_bool(w, end);
    pw_end(w);
    /* Output came from what was started after its events were on disk; only
     * that it has ended may not be so yet. */
    waits_send(p, end ? e->durable_seq : 0);
}

void
logs_reader_changed(void *engine, uint64_t task)
{
    waits_log_changed(engine, task);
}

void
logs_reader_lost(void *engine, uint64_t task, uint64_t bytes)
{
    struct engine *e = engine;

    engine_feed(e,
                &(struct input){.kind = IN_TASK_LOG_LOST, .task = task, .u.log_lost.size = bytes});
    engine_settle(e);
}
