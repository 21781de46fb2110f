/* SPDX-License-Identifier: MIT */
/* session.hello, session.keepalive, session.bye (R-SES-1). The secret is made
 * here and told once; only its digest is kept. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "asupersync/version.h"
#include "daemon/engine/call.h"
#include "daemon/engine/sessions.h"

static void
write_hello(struct call *c, const struct session *s, const uint8_t *secret, bool resumed)
{
    struct engine *e = c->engine;
    struct proto_writer *w = c->w;
    struct session_view view;
    char path[sizeof e->socket_path + 16];

    snprintf(path, sizeof path, "%s/stdio.sock", e->options.runtime_dir);
    pw_map(w);
    pw_key(w, "session");
    pw_id(w, ASUP_SORT_SESSION, s->id);
    pw_key(w, "secret");
    pw_bytes(w, secret, SESSION_SECRET_SIZE);
    pw_key(w, "ttl_ns");
    pw_uint(w, kernel_session(e->kernel, s->id, &view) ? view.ttl_ns : 0);
    pw_key(w, "resumed");
    pw_bool(w, resumed);
    pw_key(w, "version");
    pw_str(w, ASUP_VERSION);
    pw_key(w, "protocol");
    pw_uint(w, PROTO_VERSION);
    pw_key(w, "uid");
    pw_uint(w, c->caller.uid);
    pw_key(w, "message_size_max");
    pw_uint(w, e->config.message_size_max);
    pw_key(w, "stdio_socket");
    pw_str(w, path);
    pw_end(w);
}

static int
resume(struct call *c, const struct args_session_hello *a)
{
    struct input in = {.kind = IN_SESSION_RESUME};
    struct answer answer;
    struct session *s = session_find(c->engine, a->secret.data, c->caller.uid);

    if (!s)
        return call_fail(
            c, -ASUP_EEXPIRED, "secret",
            "begin a new one without the secret: unset ASUPERSYNC_SESSION, or connect anew",
            "that session has ended or is not yours");
    in.session = s->id;
    in.u.session_open.ttl_ns = a->ttl_ns;
    in.u.session_open.pid = c->connection->pid;
    memcpy(in.u.session_open.secret_digest, s->digest, sizeof s->digest);
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    if (session_attach(c->engine, s, a->secret.data, c->connection) != 0)
        return call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory for the session");
    write_hello(c, s, a->secret.data, true);
    return 0;
}

int
op_session_hello(struct call *c)
{
    const struct args_session_hello *a = &c->args->session_hello;
    struct engine *e = c->engine;
    struct input in = {.kind = IN_SESSION_OPEN};
    struct answer answer;
    uint8_t secret[SESSION_SECRET_SIZE];
    ssize_t got;

    c->caller.session = 0; /* it is about another one */
    if (a->secret.data)
        return resume(c, a);
    do
        got = getrandom(secret, sizeof secret, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof secret)
        return call_fail(c, -ASUP_EUNAVAILABLE, NULL, NULL, "no random numbers to be had");
    session_digest(secret, in.u.session_open.secret_digest);
    in.u.session_open.ttl_ns = a->ttl_ns;
    in.u.session_open.pid = c->connection->pid;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    struct session *s =
        session_add(e, answer.made.id, c->caller.uid, in.u.session_open.secret_digest);
    if (!s || session_attach(e, s, secret, c->connection) != 0) {
        /* Nobody will ever know its secret: let it end at once. */
        engine_ask(e,
                   &(struct input){.kind = IN_SESSION_BYE,
                                   .session = answer.made.id,
                                   .caller = {.session = answer.made.id, .uid = c->caller.uid}},
                   &(struct answer){0});
        return call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory for the session");
    }
    write_hello(c, s, secret, false);
    return 0;
}

static int
simple(struct call *c, enum input_kind kind)
{
    struct input in = {.kind = kind, .session = c->session->id};
    struct answer answer;

    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    pw_map(c->w);
    pw_end(c->w);
    return 0;
}

int
op_session_keepalive(struct call *c)
{
    return simple(c, IN_SESSION_KEEPALIVE);
}

int
op_session_bye(struct call *c)
{
    return simple(c, IN_SESSION_BYE);
}
