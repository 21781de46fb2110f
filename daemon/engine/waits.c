/* SPDX-License-Identifier: MIT */
#include "daemon/engine/waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "daemon/engine/bodies.h"
#include "daemon/engine/bodies_owed.h"
#include "daemon/engine/logs_reader.h"
#include "daemon/engine/output.h"
#include "daemon/engine/watch.h"

static bool
is_held_here(enum parked_kind kind)
{
    return kind == PARKED_EVENTS || kind == PARKED_LOGS;
}

/* The limits that the kernel has for its waits hold for these too. */
static int
count_in(struct call *c)
{
    struct engine *e = c->engine;
    const struct kernel_limits *limits = &e->config.kernel.limits;
    struct kernel_counts counts;
    uint64_t key = (uint64_t)c->caller.uid + 1;
    const char *limit = NULL;

    kernel_counts(e->kernel, &counts);
    if (counts.waits + e->parked_count >= limits->waits_per_daemon)
        limit = "waits-per-daemon";
    else if (idmap_number(&e->parked_uids, key) >= limits->waits_per_user)
        limit = "waits-per-user";
    if (limit)
        return call_refused(c, &(struct answer){.code = -ASUP_EBUSY, .limit = limit});
    if (!idmap_count_up(&e->parked_uids, key))
        return call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory to wait");
    e->parked_count++;
    return 0;
}

static void
count_out(struct engine *e, uint32_t uid)
{
    e->parked_count--;
    idmap_count_down(&e->parked_uids, (uint64_t)uid + 1);
}

static void
on_timeout(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct parked *p = w->data;
    struct engine *e = p->engine;

    (void)loop;
    (void)revents;
    if (p->kind == PARKED_EVENTS)
        waits_fail(p, -ASUP_ETIMEDOUT, "no such event came in that time", 0);
    else
        waits_fail(p, -ASUP_ETIMEDOUT, "the task wrote nothing in that time", 0);
    engine_settle(e);
}

int
waits_park(struct call *c, enum parked_kind kind, uint64_t subject, uint64_t timeout_ns,
           struct parked **out)
{
    struct engine *e = c->engine;
    int rc;

    if (!c->exchange)
        return call_fail(c, -ASUP_EUNSUPPORTED, NULL, "send it as a request of its own",
                         "a batch cannot wait");
    if (is_held_here(kind) && (rc = count_in(c)) != 0)
        return rc;
    struct parked *p = calloc(1, sizeof *p);
    if (!p) {
        if (is_held_here(kind))
            count_out(e, c->caller.uid);
        return call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory to wait");
    }
    p->kind = kind;
    p->engine = e;
    p->exchange = c->exchange;
    p->request_id = c->request_id;
    p->uid = c->caller.uid;
    p->privileged = call_sees_all(c);
    p->caller = c->caller;
    p->subject = subject;
    list_init(&p->link);
    ev_timer_init(&p->timer, on_timeout, 0.0, 0.0);
    p->timer.data = p;
    *exchange_parked(c->exchange) = p;
    if (kind == PARKED_EVENTS)
        list_append(&e->watchers, &p->link);
    if (kind == PARKED_LOGS)
        list_append(&e->followers, &p->link);
    if (is_held_here(kind) && timeout_ns != ASUP_NEVER) {
        double delay = (double)timeout_ns / (double)ASUP_NS_PER_S;
        ev_now_update(e->loop);
        ev_timer_set(&p->timer, delay, 0.0);
        ev_timer_start(e->loop, &p->timer);
    }
    *out = p;
    return CALL_PARKED;
}

void
waits_unpark(struct parked *p)
{
    struct engine *e = p->engine;

    *exchange_parked(p->exchange) = NULL;
    list_remove(&p->link);
    ev_timer_stop(e->loop, &p->timer);
    free(p->codes);
    if (is_held_here(p->kind))
        count_out(e, p->uid);
    free(p);
}

void
waits_forget(struct parked *p)
{
    if (!is_held_here(p->kind))
        engine_feed(p->engine,
                    &(struct input){.kind = IN_WAIT_DROPPED, .token = exchange_token(p->exchange)});
}

void
waits_drop(struct exchange *x)
{
    struct parked *p = *exchange_parked(x);

    if (!p)
        return;
    waits_forget(p);
    waits_unpark(p);
}

void
waits_send(struct parked *p, uint64_t after)
{
    struct engine *e = p->engine;
    struct exchange *x = p->exchange;
    struct proto_writer *w = &e->wait_writer;

    after = p->after > after ? p->after : after;
    waits_unpark(p);
    if (w->failed) {
        proto_writer_fini(w);
        proto_writer_init(w);
        exchange_drop(x); /* the client asks again */
        return;
    }
    output_reply(e, x, w->data, w->size, after);
}

void
waits_fail(struct parked *p, int code, const char *message, uint64_t after)
{
    struct proto_writer *w = &p->engine->wait_writer;
    struct proto_error error;

    proto_error_set(&error, code, "%s", message);
    if (code == -ASUP_ETIMEDOUT)
        snprintf(error.hint, sizeof error.hint, "ask again");
    proto_writer_clear(w);
    proto_reply_error(w, p->request_id, &error);
    waits_send(p, after);
}

void
waits_answer(struct engine *e, const struct effect *fx)
{
    struct exchange *x = server_exchange(e->server, fx->token);
    struct parked *p = x ? *exchange_parked(x) : NULL;
    struct proto_writer *w = &e->wait_writer;
    struct region_view region;
    struct saga_view saga;
    struct task_view task;

    if (!p)
        return; /* the client has gone meanwhile */
    if (fx->code != 0) {
        waits_fail(p, fx->code,
                   fx->detail                    ? fx->detail
                   : fx->code == -ASUP_ETIMEDOUT ? "it has not happened in that time"
                                                 : asup_error_text(fx->code),
                   fx->after);
        return;
    }
    proto_writer_clear(w);
    proto_reply_begin(w, p->request_id, 0);
    if (p->kind == PARKED_TASK && kernel_task(e->kernel, p->subject, &task))
        body_task_full(w, e, &task);
    else if (p->kind == PARKED_LEASE)
        body_granted(w, e, fx->made.id);
    else if (p->kind == PARKED_WORKER)
        body_worker_next(w, e, fx->list, fx->list_calls, fx->list_count, p->codes);
    else if (p->kind == PARKED_REGION && kernel_region(e->kernel, p->subject, &region))
        body_region_closed(w, e, &region);
    else if (p->kind == PARKED_RESERVE)
        body_permit(w, e, fx->made.id);
    else if (p->kind == PARKED_RECEIVE && body_delivery(w, e, fx->made.id))
        ; /* written */
    else if (p->kind == PARKED_SAGA && kernel_saga(e->kernel, p->subject, &saga))
        body_saga(w, e, &saga, true);
    else {
        waits_fail(p, -ASUP_ENOTFOUND, "it has ended and was forgotten already", fx->after);
        return;
    }
    waits_send(p, fx->after);
}

void
waits_events_came(struct engine *e)
{
    e->events_pending = true;
}

void
waits_deliver(struct engine *e)
{
    struct list *next;

    if (!e->events_pending)
        return;
    e->events_pending = false;
    for (struct list *l = e->watchers.next; l != &e->watchers; l = next) {
        struct parked *p = list_entry(l, struct parked, link);
        struct proto_writer *w = &e->wait_writer;
        next = l->next;
        proto_writer_clear(w);
        proto_reply_begin(w, p->request_id, 0);
        struct watch watch = {.since = p->since,
                              .region = p->subject,
                              .limit = p->limit,
                              .uid = p->uid,
                              .privileged = p->privileged};
        bool any = watch_write(e, &watch, w);
        p->since = watch.since;
        if (any)
            waits_send(p, 0); /* nothing but what is on disk */
    }
}

/* R-CAP-4: what is held here is answered as the kernel answers what it holds. */
void
waits_capability_gone(struct engine *e)
{
    struct list *lists[] = {&e->watchers, &e->followers};
    struct list *next;

    for (size_t i = 0; i < 2; i++) {
        for (struct list *l = lists[i]->next; l != lists[i]; l = next) {
            struct parked *p = list_entry(l, struct parked, link);
            const char *detail = NULL;
            next = l->next;
            if (p->caller.cx == 0 && p->caller.task == 0)
                continue;
            int code = kernel_may(e->kernel, &p->caller, 0, p->uid, 0, &detail);
            if (code != 0)
                waits_fail(p, code, detail ? detail : asup_error_text(code), e->durable_seq);
        }
    }
}

void
waits_log_changed(struct engine *e, uint64_t task)
{
    for (struct list *l = e->followers.next; l != &e->followers; l = l->next) {
        struct parked *p = list_entry(l, struct parked, link);
        if (p->subject == task && !p->log_request)
            logs_reader_ask(p);
    }
}
