/* SPDX-License-Identifier: MIT */
/*
 * Between clients and the engine of a world: requests and answers take their
 * time, overtake each other, arrive twice or not at all. A request without an
 * answer is sent again by its client, under the same request id (R-IDM-1).
 *
 * Here are also the rude ones: requests about anything from anybody, and facts
 * that come when they should not.
 */
#include <stdlib.h>
#include <string.h>

#include "lab/world_state.h"

struct request *
request_new(struct world *w)
{
    struct request *q = calloc(1, sizeof *q);

    (void)w;
    if (q == NULL)
        abort();
    q->refs = 1;
    q->client = NOBODY;
    return q;
}

void
request_drop(struct request *q)
{
    if (q != NULL && --q->refs == 0)
        free(q);
}

static uint64_t
travel_ns(struct world *w)
{
    uint64_t takes = 20000 + dice(w, 200000);

    if (fault(w, FAULT_MESSAGE_LATE))
        takes = (uint64_t)dice(w, 4000) * ASUP_NS_PER_MS;
    return takes;
}

static void
message_send(struct world *w, const struct message *m, enum agenda_kind kind)
{
    struct message *copy = malloc(sizeof *copy);

    if (copy == NULL)
        abort();
    *copy = *m;
    m->q->refs++;
    agenda_add(w, (struct agenda_item){
                      .at = w->now + travel_ns(w), .kind = kind, .life = m->life, .owned = copy});
}

void
request_send(struct world *w, struct request *q, uint64_t request, bool conflicts)
{
    struct message m = {.q = q,
                        .request = request,
                        .digest = conflicts ? request_digest(w) : q->in.digest,
                        .life = q->life,
                        .conflicts = conflicts};

    if (fault(w, FAULT_MESSAGE_LOST))
        return;
    message_send(w, &m, AGENDA_REQUEST);
    if (fault(w, FAULT_MESSAGE_TWICE))
        message_send(w, &m, AGENDA_REQUEST);
}

/* ---- At the engine ------------------------------------------------------------------ */

static struct exchange *
exchange_open(struct world *w, struct request *q)
{
    struct exchange *x;

    for (unsigned n = 0; n < EXCHANGES_MAX; n++) {
        x = &w->exchanges[++w->token % EXCHANGES_MAX];
        if (x->token != 0)
            continue;
        *x = (struct exchange){.token = w->token, .q = q};
        q->refs++;
        return x;
    }
    return NULL;
}

static void
exchange_close(struct exchange *x)
{
    request_drop(x->q);
    memset(x, 0, sizeof *x);
}

static void
decide(struct world *w, const struct message *m, struct input *in, uint32_t part)
{
    struct exchange *x = exchange_open(w, m->q);

    if (x == NULL)
        return;
    x->conflicts = x->other = m->conflicts;
    x->part = part;
    in->token = x->token;
    told_ask(w, x, in);
    (void)world_step(w, in);
    if (x->token == in->token && !x->answered)
        deed(w, DEED_PARKED);
}

void
request_arrives(struct world *w, struct message *m)
{
    struct request *q = m->q;
    struct input in = q->in;
    uint64_t session = in.caller.session;

    if (!w->up || (q->client != NOBODY && !w->clients[q->client].connected))
        return;
    if (q->client != NOBODY && session != 0 && !w->attached[session % IDS_MAX]) {
        struct input attached = {.kind = IN_SESSION_ATTACHED, .session = session};

        w->attached[session % IDS_MAX] = true;
        (void)world_step(w, &attached);
    }
    in.request = m->request;
    in.digest = m->digest;
    if (q->parts == 0) {
        decide(w, m, &in, 0);
        return;
    }
    /* Each part by itself; the digest that tells a repeat is the batch's. */
    for (uint32_t i = 0; i < q->parts && w->up; i++) {
        struct input part = q->items[i];

        part.request = m->request;
        part.part.digest = m->digest;
        part.part.place = i;
        part.part.count = q->parts;
        decide(w, m, &part, i + 1);
    }
}

static void
report_told(struct world *w, const struct request *q, const struct effect *fx)
{
    struct task_view t;

    if ((q->in.kind == IN_TASK_CHECKPOINT || q->in.kind == IN_TASK_PROGRESS) && fx->code == 0 &&
        !fx->masked && kernel_task(w->kernel, q->in.task, &t) && t.reason != 0)
        process_told(w, q->in.task);
}

void
answer_send(struct world *w, const struct effect *fx, const struct asup_ref *list)
{
    struct exchange *x = &w->exchanges[fx->token % EXCHANGES_MAX];
    struct message m = {.token = fx->token, .code = fx->code, .made = fx->made};

    world_digest(w, fx->token ^ ((uint64_t)(uint32_t)fx->code << 32));
    world_digest(w, fx->made.id);
    if (x->token != fx->token)
        return; /* its connection has gone */
    if (fx->code < 0)
        w->counts.codes[(unsigned)-fx->code % ERROR_CODES]++;
    m.q = x->q;
    m.life = x->q->life;
    m.list_count = fx->list_count < 16 ? fx->list_count : 16;
    m.list_calls = fx->list_calls < m.list_count ? fx->list_calls : m.list_count;
    for (uint32_t i = 0; i < m.list_count; i++)
        m.list[i] = list[i];
    report_told(w, x->q, fx);
    if (x->q->client != NOBODY && x->part == x->q->parts && !fault(w, FAULT_ANSWER_LOST))
        message_send(w, &m, AGENDA_ANSWER);
    exchange_close(x);
}

void
exchanges_drop(struct world *w, uint32_t client)
{
    for (unsigned i = 0; i < EXCHANGES_MAX; i++) {
        struct exchange *x = &w->exchanges[i];
        struct input in = {.kind = IN_WAIT_DROPPED, .token = x->token};

        if (x->token == 0 || x->q->client != client)
            continue;
        if (!x->answered)
            (void)world_step(w, &in);
        exchange_close(x);
    }
}

void
exchanges_clear(struct world *w)
{
    for (unsigned i = 0; i < EXCHANGES_MAX; i++) {
        if (w->exchanges[i].token != 0)
            exchange_close(&w->exchanges[i]);
    }
}

void
exchanges_forget(struct world *w)
{
    for (unsigned i = 0; i < EXCHANGES_MAX; i++) {
        if (w->exchanges[i].token != 0 && !w->exchanges[i].answered)
            exchange_close(&w->exchanges[i]);
    }
}

void
net_fini(struct world *w)
{
    struct agenda_item item;

    exchanges_clear(w);
    for (unsigned i = 0; i < RUDE_MAX; i++)
        request_drop(w->rude_last[i]);
    while (agenda_next(w, &item)) {
        if (item.kind == AGENDA_REQUEST || item.kind == AGENDA_ANSWER)
            request_drop(((struct message *)item.owned)->q);
        free(item.owned);
    }
    free(w->agenda.items);
}

/* ---- Rudeness --------------------------------------------------------------------------- */

void
rude_act(struct world *w)
{
    struct request **last = &w->rude_last[dice(w, RUDE_MAX)];
    struct request *q;

    if (!w->up)
        return;
    if (*last != NULL && fault(w, FAULT_REPEAT)) {
        request_send(w, *last, (*last)->in.request, false);
        return;
    }
    if (!fault(w, FAULT_RUDE))
        return;
    q = request_new(w);
    any_request(w, q);
    request_send(w, q, q->in.request, false);
    request_drop(*last);
    *last = q;
}

void
stray_fact(struct world *w)
{
    struct input in = {.task = any_id(w), .region = any_id(w), .session = any_session(w)};
    uint64_t unknown = kernel_id_last(w->kernel) + 1 + dice(w, 5);

    switch (dice(w, 12)) {
    case 0:
        in.kind = IN_SESSION_LOST;
        w->attached[in.session % IDS_MAX] = false;
        break;
    case 1:
        in.kind = IN_SESSION_ATTACHED;
        break;
    case 2:
        in.kind = IN_WAIT_DROPPED;
        in.token = w->token + 1 + dice(w, 5);
        break;
    case 3:
        in.kind = IN_TASK_READY;
        break;
    case 4:
        in.kind = IN_TASK_STOPPING;
        break;
    case 5:
        in.kind = IN_TASK_EXTEND;
        in.u.extend.extend_ns = any_duration(w);
        break;
    case 6:
        in.kind = IN_TASK_WATCHDOG;
        break;
    case 7:
        in.kind = IN_TASK_SAMPLED;
        in.u.sampled.cpu_ns = dice(w, 300) * ASUP_NS_PER_MS;
        break;
    case 8:
        in.kind = IN_TASK_LOG_LOST;
        in.u.log_lost.size = dice(w, 5);
        break;
    case 9:
        in.kind = IN_TASK_EXITED;
        in.task = unknown;
        break;
    case 10:
        in.kind = IN_TASK_STARTED;
        in.task = unknown;
        break;
    default:
        in.kind = IN_REGION_SWEPT;
        in.region = unknown;
        in.u.swept.error = dice(w, 3) == 0 ? 16 : 0;
        break;
    }
    (void)world_step(w, &in);
}
