/* SPDX-License-Identifier: MIT */
/*
 * Clients of a world. Each has a session, knows what it was told and nothing
 * else, and makes requests of that (world_ask.c). Without an answer it asks
 * again under the same request id. It may lose its connection and come back, in
 * time or not, and die; then another one takes its place.
 */
#include <string.h>

#include "lab/world_state.h"

static const uint32_t uids[CLIENTS] = {0, 1000, 1000, 1000, 1001, 1000};

static void
act_later(struct world *w, uint32_t number)
{
    static const uint32_t spans[] = {2, 30, 30, 200, 1500};

    agenda_add(w, (struct agenda_item){.at = w->now + 1000 +
                                             (uint64_t)dice(w, spans[dice(w, 5)]) * ASUP_NS_PER_MS,
                                       .kind = AGENDA_CLIENT,
                                       .number = number,
                                       .life = w->clients[number].life});
}

static void
forget_all(struct client *c)
{
    for (unsigned i = 0; i < ASKED_MAX; i++) {
        request_drop(c->asked[i]);
        c->asked[i] = NULL;
    }
    for (unsigned i = 0; i < PAST_MAX; i++) {
        request_drop(c->past[i]);
        c->past[i] = NULL;
    }
    memset(c->known_count, 0, sizeof c->known_count);
    c->session = 0;
    c->offered = c->waits = false;
    c->request_last = 0;
    c->late_count = 0;
}

static void
client_begin(struct world *w, uint32_t number)
{
    struct client *c = &w->clients[number];

    *c = (struct client){.uid = uids[number], .life = c->life + 1, .connected = true};
    c->worker = number % 3 == 2;
    for (unsigned i = 0; i < sizeof c->digest; i++)
        c->digest[i] = (uint8_t)dice(w, 256);
    act_later(w, number);
}

void
clients_begin(struct world *w)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        client_begin(w, i);
}

void
clients_fini(struct world *w)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        forget_all(&w->clients[i]);
}

/* ---- Connections ------------------------------------------------------------------------ */

void
client_lost(struct world *w, uint32_t number, uint64_t away_ns)
{
    struct client *c = &w->clients[number];
    struct input in = {.kind = IN_SESSION_LOST, .session = c->session};

    if (!c->connected)
        return;
    c->connected = false;
    c->back_at = w->now + away_ns;
    if (!w->up)
        return;
    exchanges_drop(w, number);
    if (c->session != 0 && w->attached[c->session % IDS_MAX]) {
        w->attached[c->session % IDS_MAX] = false;
        (void)world_step(w, &in);
    }
}

void
client_die(struct world *w, uint32_t number)
{
    client_lost(w, number, 0);
    forget_all(&w->clients[number]);
    client_begin(w, number);
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void
learn(struct client *c, enum know what, uint64_t id, uint64_t region)
{
    struct known *k = c->known[what];
    uint32_t *count = &c->known_count[what];

    for (uint32_t i = 0; i < *count; i++) {
        if (k[i].id == id)
            return;
    }
    if (*count == KNOWN_MAX)
        memmove(k, k + 1, --*count * sizeof *k); /* the oldest is left to its fate */
    k[(*count)++] = (struct known){.id = id, .region = region};
}

static void
learn_answer(struct client *c, const struct request *q, const struct message *m)
{
    switch (q->in.kind) {
    case IN_SESSION_OPEN:
        c->session = m->made.id;
        break;
    case IN_REGION_OPEN:
        learn(c, KNOW_REGION, m->made.id, q->in.region);
        break;
    case IN_TASK_SUBMIT:
    case IN_FINALIZER_DEFER:
        learn(c, KNOW_TASK, m->made.id, q->in.region);
        break;
    case IN_CHANNEL_OPEN:
        learn(c, KNOW_CHANNEL, m->made.id, q->in.region);
        break;
    case IN_CHANNEL_RESERVE:
        learn(c, KNOW_PERMIT, m->made.id, q->in.subject);
        break;
    case IN_CHANNEL_RECEIVE:
        learn(c, KNOW_ACK, m->made.id, q->in.subject);
        break;
    case IN_LEASE_ACQUIRE:
        learn(c, KNOW_LEASE, m->made.id, q->in.region);
        break;
    case IN_OBLIGATION_RESERVE:
        learn(c, KNOW_IO, m->made.id, q->in.region);
        break;
    case IN_SAGA_BEGIN:
        learn(c, KNOW_SAGA, m->made.id, q->in.region);
        break;
    case IN_CX_DERIVE:
        learn(c, KNOW_CAPABILITY, m->made.id, q->in.region);
        break;
    case IN_WORKER_OFFER:
        c->offered = true;
        break;
    case IN_WORKER_NEXT:
        for (uint32_t i = 0; i < m->list_calls; i++)
            learn(c, KNOW_CALL, m->list[i].id, 0);
        break;
    default:
        break;
    }
}

static void
remember(struct client *c, struct request *q)
{
    struct request **place = &c->past[c->past_count++ % PAST_MAX];

    request_drop(*place);
    *place = q;
}

void
client_answer(struct world *w, const struct message *m)
{
    struct client *c = &w->clients[m->q->client];
    unsigned i = 0;

    if (m->life != c->life || !c->connected)
        return;
    while (i < ASKED_MAX && c->asked[i] != m->q)
        i++;
    if (i == ASKED_MAX)
        return; /* answered before */
    c->asked[i] = NULL;
    if (m->q->in.kind == IN_WORKER_NEXT)
        c->waits = false;
    if (m->q->in.kind == IN_WORKER_NEXT && m->code == -ASUP_EEXPIRED)
        c->offered = false;
    if (m->code == 0)
        learn_answer(c, m->q, m);
    remember(c, m->q);
    if (m->code == -ASUP_EEXPIRED && m->q->in.kind == IN_SESSION_RESUME) {
        deed(w, DEED_EXPIRED);
        forget_all(c);
    } else if (m->code == 0 && m->q->in.kind == IN_SESSION_RESUME) {
        deed(w, DEED_RESUMED);
    } else if (m->code == -ASUP_EEXPIRED && c->session != 0) {
        c->resume = true; /* perhaps the session is gone: that will tell */
    }
}

/* ---- Acting ------------------------------------------------------------------------------------
 */

static bool
outstanding(const struct client *c)
{
    for (unsigned i = 0; i < ASKED_MAX; i++) {
        if (c->asked[i] != NULL)
            return true;
    }
    return false;
}

static void
ask(struct world *w, uint32_t number, struct request *q)
{
    struct client *c = &w->clients[number];

    for (unsigned i = 0; i < ASKED_MAX; i++) {
        if (c->asked[i] != NULL)
            continue;
        q->client = number;
        q->life = c->life;
        q->resend_at = w->now + (q->parks ? 8 : 1) * ASUP_NS_PER_S;
        c->asked[i] = q;
        request_send(w, q, q->in.request, false);
        return;
    }
    request_drop(q);
}

static void
ask_again(struct world *w, struct client *c)
{
    for (unsigned i = 0; i < ASKED_MAX; i++) {
        struct request *q = c->asked[i];

        if (q == NULL || q->resend_at > w->now)
            continue;
        if (q->sends++ > 5) { /* it gives up */
            c->asked[i] = NULL;
            if (q->in.kind == IN_WORKER_NEXT)
                c->waits = false;
            request_drop(q);
            continue;
        }
        deed(w, DEED_RESENT);
        q->resend_at = w->now + (q->parks ? 8 : 1) * ASUP_NS_PER_S;
        request_send(w, q, q->in.request, false);
    }
}

static void
annoy(struct world *w, struct client *c)
{
    struct request *q = c->past[dice(w, PAST_MAX)];

    if (q == NULL || q->in.caller.session == 0)
        return;
    if (fault(w, FAULT_REPEAT))
        request_send(w, q, q->in.request, false);
    if (q->in.key.size > 0 && fault(w, FAULT_REPEAT_BY_KEY))
        request_send(w, q, ++c->request_last, false);
    if (fault(w, FAULT_CONFLICT))
        request_send(w, q, q->in.request, true);
}

static struct request *
session_ask(struct world *w, struct client *c)
{
    struct request *q = request_new(w);

    q->in.kind = c->session == 0   ? IN_SESSION_OPEN
                 : dice(w, 3) == 0 ? IN_SESSION_KEEPALIVE
                                   : IN_SESSION_RESUME;
    q->in.session = c->session;
    q->in.caller.uid = c->uid;
    q->in.caller.session = q->in.kind == IN_SESSION_KEEPALIVE ? c->session : 0;
    memcpy(q->in.u.session_open.secret_digest, c->digest, sizeof c->digest);
    return q;
}

void
client_act(struct world *w, uint32_t number, uint32_t life)
{
    struct client *c = &w->clients[number];
    struct request *q = NULL;

    if (w->calm || life != c->life)
        return;
    act_later(w, number);
    if (w->now < c->quiet_until)
        return;
    if (!c->connected) {
        if (w->now < c->back_at)
            return;
        c->connected = true;
        c->resume = c->session != 0;
    }
    ask_again(w, c);
    if (c->session == 0 || c->resume) {
        if (c->session == 0 && outstanding(c))
            return;
        c->resume = false;
        ask(w, number, session_ask(w, c));
        return;
    }
    annoy(w, c);
    if (c->offered && fault(w, FAULT_WORKER_QUIET)) {
        c->quiet_until = w->now + (1 + (uint64_t)dice(w, 6000)) * ASUP_NS_PER_MS;
        return;
    }
    if (c->offered && fault(w, FAULT_WORKER_DIED)) {
        client_die(w, number);
        return;
    }
    q = client_ask(w, number);
    if (q != NULL)
        ask(w, number, q);
}

void
clients_engine_died(struct world *w)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        w->clients[i].resume = w->clients[i].session != 0 && dice(w, 2) == 0;
}
