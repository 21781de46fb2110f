/* SPDX-License-Identifier: MIT */
#include "daemon/engine/output.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/engine/crash.h"
#include "daemon/engine/effects.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/report.h"

struct held {
    struct held *next;
    uint64_t after;
    uint64_t token; /* of the exchange to answer; 0: an order */
    struct effect fx;
    size_t size;
    char data[]; /* the answer, or the spec */
};

static bool
is_due(const struct engine *e, uint64_t after)
{
    /* Without a journal there are only parts of an engine, under test. */
    return after == 0 || !e->journal || after <= journal_committed(e->journal);
}

/* Nothing may overtake what waits, except for what depends on nothing. */
static bool
must_wait(const struct engine *e, uint64_t after)
{
    return after != 0 && (e->output.head || !is_due(e, after));
}

static bool
hold(struct engine *e, const struct held *what, const void *data)
{
    struct held *h = malloc(sizeof *h + what->size);

    if (!h)
        return false;
    *h = *what;
    if (h->size > 0)
        memcpy(h->data, data, h->size);
    h->fx.spec.data = h->data;
    h->next = NULL;
    if (e->output.tail)
        e->output.tail->next = h;
    else
        e->output.head = h;
    e->output.tail = h;
    e->output.count++;
    return true;
}

void
output_reply(struct engine *e, struct exchange *x, const void *data, size_t size, uint64_t after)
{
    struct held h = {.after = after, .token = exchange_token(x), .size = size};

    if (!must_wait(e, after) || crash_planted("early-answer"))
        exchange_reply(x, data, size);
    else if (!hold(e, &h, data))
        exchange_drop(x); /* the client asks again */
}

void
output_effect(struct engine *e, const struct effect *fx)
{
    struct held h = {.after = fx->after, .fx = *fx, .size = fx->spec.size};

    if (!must_wait(e, fx->after)) {
        effect_execute(e, fx);
    } else if (!hold(e, &h, fx->spec.data)) {
        /* An order that is lost leaves a task for ever in its state. */
        report(REPORT_ERROR, "no memory for an order about a task: the engine starts anew");
        abort();
    }
}

static void
release(struct engine *e, struct held *h)
{
    if (h->token == 0) {
        if (h->fx.kind == FX_FORGET)
            crash_point("before-forget");
        effect_execute(e, &h->fx);
        return;
    }
    struct exchange *x = server_exchange(e->server, h->token);
    if (x)
        exchange_reply(x, h->data, h->size);
}

void
output_release(struct engine *e)
{
    struct held *h;
    bool any = false;

    if (e->output.head && is_due(e, e->output.head->after))
        crash_point("before-release");
    /* An order that fails is a fact, and a step: what comes of it waits behind. */
    while ((h = e->output.head) != NULL && is_due(e, h->after)) {
        e->output.head = h->next;
        if (!h->next)
            e->output.tail = NULL;
        e->output.count--;
        release(e, h);
        free(h);
        if (!any)
            crash_point("mid-release");
        any = true;
    }
}

uint64_t
output_visible(const struct engine *e)
{
    uint64_t committed = e->journal ? journal_committed(e->journal) : UINT64_MAX;

    return committed >= e->durable_seq ? UINT64_MAX : committed;
}

size_t
output_held(const struct engine *e)
{
    return e->output.count;
}

void
output_drop(struct engine *e)
{
    while (e->output.head) {
        struct held *h = e->output.head;
        e->output.head = h->next;
        free(h);
    }
    e->output.tail = NULL;
    e->output.count = 0;
}
