/* SPDX-License-Identifier: MIT */
/* Clients: connections of three users to a server that is none, requests made
 * from the schema, and what replies tell for later requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#include "asupersync/values.h"
#include "daemon/engine/call.h"
#include "daemon/engine/cx.h"
#include "daemon/engine/output.h"
#include "daemon/engine/waits.h"
#include "proto/read.h"

#include "request.h"

struct exchange {
    struct list link; /* in connection->held */
    struct connection *connection;
    void *parked;
    uint64_t token;
    uint64_t request;
    bool tells; /* its answer is a promise: that of `why` may show what is not on disk yet */
};

/* A client and what it knows. */
struct client {
    struct connection connection;
    uint8_t secrets[2][16]; /* of its last sessions */
    uint32_t session_count;
    char *said; /* its last request */
    size_t said_size;
    uint64_t said_id;
    bool said_tells;
};

static const uint32_t uids[CONNECTIONS] = {0, 1000, 1000, 1001, 1000};

static struct client clients[CONNECTIONS];
static uint64_t token_last, request_last;
static uint8_t cx_tokens[8][16];
static uint32_t cx_count;
static uint64_t pools[128][POOL_SIZE]; /* by sort */
static uint32_t pool_counts[128];
static struct proto_memory *reply_memory;

/* ---- What is known --------------------------------------------------------------- */

uint64_t
clients_told(enum asup_sort sort, uint32_t n)
{
    uint32_t count = pool_counts[sort];

    if (n >= count || n >= POOL_SIZE)
        return 0;
    return pools[sort][(count - 1 - n) % POOL_SIZE];
}

static void
learn(struct asup_ref ref)
{
    if (clients_told(ref.sort, 0) != ref.id && ref.id != ASUP_ROOT_ID)
        pools[ref.sort][pool_counts[ref.sort]++ % POOL_SIZE] = ref.id;
}

static void
learn_value(struct client *c, const char *key, size_t key_size, const msgpack_object *value)
{
    struct asup_ref ref;

    if (value->type == MSGPACK_OBJECT_STR &&
        asup_ref_parse(value->via.str.ptr, value->via.str.size, &ref) == 0)
        learn(ref);
    if (value->type != MSGPACK_OBJECT_BIN || value->via.bin.size != 16)
        return;
    if (key_size == 6 && memcmp(key, "secret", 6) == 0)
        memcpy(c->secrets[c->session_count++ % 2], value->via.bin.ptr, 16);
    else
        memcpy(cx_tokens[cx_count++ % 8], value->via.bin.ptr, 16);
}

/* Ids in a reply, and in the lists of it. */
static void
learn_body(struct client *c, const msgpack_object *body, unsigned depth)
{
    for (uint32_t i = 0; body->type == MSGPACK_OBJECT_ARRAY && i < body->via.array.size; i++) {
        if (depth < 3)
            learn_body(c, &body->via.array.ptr[i], depth + 1);
    }
    for (uint32_t i = 0; body->type == MSGPACK_OBJECT_MAP && i < body->via.map.size; i++) {
        const msgpack_object_kv *kv = &body->via.map.ptr[i];

        if (kv->val.type == MSGPACK_OBJECT_ARRAY && depth < 3)
            learn_body(c, &kv->val, depth + 1);
        else if (kv->key.type == MSGPACK_OBJECT_STR)
            learn_value(c, kv->key.via.str.ptr, kv->key.via.str.size, &kv->val);
    }
}

/* ---- The server ----------------------------------------------------------------------- */

static void
exchange_free(struct exchange *x)
{
    if (x->parked)
        broken("server.h", "an exchange ends that something waits for");
    list_remove(&x->link);
    free(x);
}

struct connection *
exchange_connection(const struct exchange *x)
{
    return x->connection;
}

uint64_t
exchange_token(const struct exchange *x)
{
    return x->token;
}

struct exchange *
server_exchange(struct server *s, uint64_t token)
{
    (void)s;
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct list *held = &clients[i].connection.held;

        for (struct list *l = held->next; l != held; l = l->next) {
            if (list_entry(l, struct exchange, link)->token == token)
                return list_entry(l, struct exchange, link);
        }
    }
    return NULL;
}

struct exchange *
exchange_of_link(struct list *link)
{
    return list_entry(link, struct exchange, link);
}

void **
exchange_parked(struct exchange *x)
{
    return &x->parked;
}

void
exchange_reply(struct exchange *x, const void *data, size_t size)
{
    struct client *c = (struct client *)(void *)x->connection;
    struct proto_bounds bounds = PROTO_REPLY_BOUNDS;
    struct proto_reply reply;
    struct proto_error err;

    proto_memory_clear(reply_memory);
    if (proto_reply_decode(data, size, &bounds, reply_memory, &reply, &err) != 0)
        broken("asupersync-protocol(7)", "an answer that is none");
    if (reply.id != x->request)
        broken("asupersync-protocol(7)", "an answer to another request");
    if (reply.code == -ASUP_EMALFORMED && x->request != 0 && reply.error.message[0] == '\0')
        broken("asupersync-protocol(7)", "a refusal without a reason");
    if (getenv("FUZZ_REPORT"))
        fprintf(stderr, "    %d %s %s\n", reply.code, reply.code ? reply.error.field : "",
                reply.code ? reply.error.message : "");
    if (reply.code == 0 && x->tells)
        learn_body(c, reply.body, 0);
    exchange_free(x);
}

void
exchange_drop(struct exchange *x)
{
    exchange_free(x);
}

void
server_configure(struct server *s, const struct server_options *options)
{
    (void)s;
    (void)options;
}

struct connection *
server_next(struct server *s, const struct connection *after)
{
    uint32_t next = 0;

    (void)s;
    while (after && next < CONNECTIONS && &clients[next++].connection != after)
        ;
    return next < CONNECTIONS ? &clients[next].connection : NULL;
}

uint32_t
server_connection_count(struct server *s)
{
    (void)s;
    return CONNECTIONS;
}

/* ---- Requests ----------------------------------------------------------------------------- */

static const uint8_t *
show_session(struct client *c, uint8_t who)
{
    switch (WHO_SESSION(who)) {
    case 1:
    case 2:
        if (c->session_count == 0)
            return NULL;
        return c->secrets[(c->session_count - (c->session_count > 1 ? WHO_SESSION(who) : 1)) % 2];
    case 3:
        return clients[dice(CONNECTIONS)].secrets[0];
    default:
        return NULL;
    }
}

static const uint8_t *
show_cx(uint8_t who, uint8_t out[16])
{
    uint64_t task = request_id(ASUP_SORT_TASK);

    if (WHO_CX(who) < 2)
        return NULL;
    if (WHO_CX(who) == 3 && cx_count > 0) {
        memcpy(out, cx_tokens[dice(8)], 16);
        return out;
    }
    cx_token(&engine->cx_key, WHO_CX(who) == 2 ? CX_TASK : CX_DERIVED, task, out);
    return out;
}

static void
say(struct client *c)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (!x)
        abort();
    *x = (struct exchange){.connection = &c->connection,
                           .token = ++token_last,
                           .request = c->said_id,
                           .tells = c->said_tells};
    list_append(&c->connection.held, &x->link);
    dispatch_request(engine, x, c->said, c->said_size);
}

void
clients_request(const struct script_step *s)
{
    struct client *c = &clients[WHO_CONNECTION(s->who) % CONNECTIONS];
    const struct proto_op *op = &proto_ops[s->op % PROTO_OP_COUNT];
    struct proto_writer w;
    uint8_t cx[16];

    if (s->who & WHO_AGAIN && c->said) {
        say(c);
        return;
    }
    proto_writer_init(&w);
    request_write(&w, op, ++request_last, show_session(c, s->who), show_cx(s->who, cx), s->how);
    c->said_id = request_last;
    c->said_tells = op->id != PROTO_WHY && op->id != PROTO_DAEMON_STATUS && op->id != PROTO_BATCH;
    if (s->how >= 0xf0 && w.size > 12) { /* not as it was meant */
        w.data[w.size - 1 - dice((uint32_t)w.size - 11)] ^= (char)(1 << dice(8));
    }
    free(c->said);
    c->said_size = w.size;
    c->said = proto_writer_take(&w, &c->said_size);
    if (!c->said)
        abort();
    say(c);
}

void
clients_hang_up(uint32_t which)
{
    struct connection *c = &clients[which % CONNECTIONS].connection;

    dispatch_gone(engine, c);
    if (!list_empty(&c->held) || !list_empty(&c->sessions))
        broken("server.h", "something is left of a connection");
}

void
clients_let_go(uint32_t which)
{
    struct connection *c = &clients[which].connection;
    struct list *l;

    while ((l = c->held.next) != &c->held) {
        struct exchange *x = list_entry(l, struct exchange, link);

        if (x->parked)
            waits_unpark(x->parked);
        exchange_free(x);
    }
    /* The next engine has another connection, and rules of its own. */
    c->rule = NULL;
    c->rule_at = 0;
}

void
clients_reset(void)
{
    if (!reply_memory)
        reply_memory = proto_memory_new();
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct client *c = &clients[i];

        free(c->said);
        *c = (struct client){.connection.uid = uids[i]};
        list_init(&c->connection.held);
        list_init(&c->connection.sessions);
    }
    token_last = request_last = 0;
    cx_count = 0;
    memset(cx_tokens, 0, sizeof cx_tokens);
    memset(pool_counts, 0, sizeof pool_counts);
    request_reset();
}

/* ---- Checks
 * -------------------------------------------------------------------------------------- */

void
clients_check(void)
{
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct list *held = &clients[i].connection.held;

        for (struct list *l = held->next; l != held; l = l->next) {
            const struct exchange *x = list_entry(l, struct exchange, link);

            if (!x->parked && output_held(engine) == 0)
                broken("asupersync-protocol(7)", "a request is never answered");
        }
    }
}

uint32_t
clients_parked(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct list *held = &clients[i].connection.held;

        for (struct list *l = held->next; l != held; l = l->next) {
            const struct parked *p = list_entry(l, struct exchange, link)->parked;

            if (!p || p->kind == PARKED_EVENTS || p->kind == PARKED_LOGS)
                continue;
            if (getenv("FUZZ_REPORT"))
                fprintf(stderr, "request %llu waits, kind %d\n", (unsigned long long)p->request_id,
                        p->kind);
            count++;
        }
    }
    return count;
}
