/* SPDX-License-Identifier: MIT */
/* Calls of both forms: blocking ones, and those answered in dispatch. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A call that is ready to start. Returns 0 or err->code. */
static int
call_prepare(struct asup_client *c, const char *op, const void *args, size_t args_size,
             int64_t timeout_ms, struct call **out, struct proto_error *err)
{
    struct call *call;
    int rc;

    pthread_mutex_lock(&c->mutex);
    call = call_new(c);
    pthread_mutex_unlock(&c->mutex);
    if (call == NULL)
        return proto_error_set(err, -ASUP_ENOMEM, "no memory for another call");
    rc = call_ask(call, op, args, args_size, timeout_ms, err);
    if (rc != 0) {
        call_recycle(call);
        return rc;
    }
    *out = call;
    return 0;
}

/* ---- Blocking ------------------------------------------------------------------- */

int
ask_begin(struct asup_client *c, const char *op, const void *args, size_t args_size,
          int64_t timeout_ms, struct call **out, struct asup_error_info *err)
{
    struct proto_error own;
    struct call *call = NULL;
    int rc;

    if (atomic_load(&c->interrupted))
        proto_error_set(&own, -ASUP_EINTERRUPTED, "interrupted before %s was sent", op);
    else
        call_prepare(c, op, args, args_size, timeout_ms, &call, &own);
    if (call == NULL)
        return error_local(err, &own);
    pthread_mutex_lock(&c->mutex);
    call_start(call);
    pthread_mutex_unlock(&c->mutex);
    rc = wait_call(call);
    if (rc != 0) {
        pthread_mutex_lock(&c->mutex);
        call_abandon(call);
        pthread_mutex_unlock(&c->mutex);
        proto_error_set(&own, rc, "interrupted; %s may still happen", op);
        call_recycle(call);
        return error_local(err, &own);
    }
    if (call->body == NULL)
        error_local(err, &call->error);
    else
        error_answer(err, call->code, call->body, call->body_size);
    *out = call;
    return call->code;
}

/* The body of an answer, also for an error that no daemon answered. */
static void *
call_body(const struct call *call, size_t *size)
{
    struct proto_writer w;
    void *copy;

    if (call->body != NULL) {
        copy = malloc(call->body_size);
        if (copy != NULL)
            memcpy(copy, call->body, call->body_size);
        *size = copy != NULL ? call->body_size : 0;
        return copy;
    }
    *size = 0;
    proto_writer_init(&w);
    proto_error_body(&w, &call->error);
    return proto_writer_take(&w, size);
}

int
asup_client_call(struct asup_client *c, const char *op, const void *args, size_t args_size,
                 int64_t timeout_ms, void **body, size_t *body_size, struct asup_error_info *err)
{
    struct call *call = NULL;
    size_t size = 0;
    void *copy = NULL;
    int rc;

    if (body != NULL)
        *body = NULL;
    if (body_size != NULL)
        *body_size = 0;
    if (c == NULL || op == NULL || (args == NULL && args_size != 0))
        return error_invalid(err, "", "a client and an operation are needed");
    rc = ask_begin(c, op, args, args_size, timeout_ms, &call, err);
    if (call == NULL)
        return rc;
    if (body != NULL)
        copy = call_body(call, &size);
    call_recycle(call);
    if (body == NULL)
        return rc;
    if (copy == NULL && rc == 0)
        return error_memory(err);
    *body = copy;
    if (body_size != NULL)
        *body_size = size;
    return rc;
}

/* ---- In an event loop -------------------------------------------------------------- */

static asup_call
call_name(const struct call *call)
{
    return (uint64_t)call->serial << 32 | (call->index + 1);
}

int
asup_client_fd(struct asup_client *c)
{
    return c->loop_fd;
}

int
asup_client_call_start(struct asup_client *c, const char *op, const void *args, size_t args_size,
                       int64_t timeout_ms, asup_reply_fn fn, void *arg, asup_call *out)
{
    struct proto_error own;
    struct call *call = NULL;
    int rc;

    if (c == NULL || op == NULL || fn == NULL || (args == NULL && args_size != 0))
        return -ASUP_EINVALID;
    rc = call_prepare(c, op, args, args_size, timeout_ms, &call, &own);
    if (call == NULL)
        return rc;
    pthread_mutex_lock(&c->mutex);
    call->fn = fn;
    call->arg = arg;
    if (out != NULL)
        *out = call_name(call);
    call_start(call);
    pthread_mutex_unlock(&c->mutex);
    return 0;
}

/* Take a call out of the row of answered ones. Mutex held. */
static void
answered_remove(struct asup_client *c, const struct call *call)
{
    struct call **link = &c->answered_first;
    struct call *last = NULL;

    while (*link != NULL && *link != call) {
        last = *link;
        link = &(*link)->next;
    }
    if (*link == NULL)
        return;
    *link = call->next;
    if (c->answered_last == call)
        c->answered_last = last;
}

int
asup_client_call_drop(struct asup_client *c, asup_call name)
{
    uint32_t index = (uint32_t)name - 1;
    struct call *call = NULL;

    if (c == NULL)
        return -ASUP_EINVALID;
    pthread_mutex_lock(&c->mutex);
    if (index < c->call_count)
        call = c->calls[index];
    if (call != NULL && (call_name(call) != name || call->fn == NULL || call->taken))
        call = NULL;
    if (call != NULL) {
        call->taken = true;
        answered_remove(c, call);
        call_abandon(call);
    }
    pthread_mutex_unlock(&c->mutex);
    if (call == NULL)
        return -ASUP_ENOTFOUND;
    call_recycle(call);
    return 0;
}

/* Call back with the answer or with the library's own error. */
static void
call_deliver(const struct call *call)
{
    size_t size;
    void *body;

    if (call->body != NULL) {
        call->fn(call->arg, call->code, call->body, call->body_size);
        return;
    }
    body = call_body(call, &size);
    if (body != NULL)
        call->fn(call->arg, call->code, body, size);
    else
        call->fn(call->arg, call->code, "\x80", 1); /* an empty map */
    free(body);
}

/* The next answered call that this thread shall deliver. */
static struct call *
answered_take(struct asup_client *c)
{
    struct call *call;

    pthread_mutex_lock(&c->mutex);
    call = c->answered_first;
    if (call != NULL) {
        c->answered_first = call->next;
        if (c->answered_first == NULL)
            c->answered_last = NULL;
        call->taken = true;
    } else {
        c->dispatching = false;
    }
    pthread_mutex_unlock(&c->mutex);
    return call;
}

int
asup_client_dispatch(struct asup_client *c)
{
    struct call *call;
    uint64_t count;
    bool mine;
    int ran = 0;

    pthread_mutex_lock(&c->mutex);
    mine = !c->dispatching;
    c->dispatching = true;
    pthread_mutex_unlock(&c->mutex);
    if (!mine)
        return 0;
    /* Read before looking: what is answered from here on makes it readable
     * again. Nothing there is fine, the descriptor does not block. */
    (void)!read(c->loop_fd, &count, sizeof count);
    while ((call = answered_take(c)) != NULL) {
        call_deliver(call);
        call_recycle(call);
        ran++;
    }
    return ran;
}
