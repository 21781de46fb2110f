/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nng/protocol/reqrep0/rep.h>

#include "proto/must.h"

#define SESSIONS_MAX 64

struct fake {
    char directory[32];
    char url[96];
    fake_manners manners;
    void *arg;

    nng_socket socket;
    pthread_t thread;
    bool alive;
    atomic_bool dying;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t counts[PROTO_OP_COUNT];
    uint32_t connections;
    uint32_t restarts;
    uint8_t secrets[SESSIONS_MAX][ASUP_SECRET_SIZE];
    bool known[SESSIONS_MAX];
    int sessions;
    int hello_code, hello_times;
    bool raw;
};

void *
fake_arg(const struct fake *f)
{
    return f->arg;
}

const char *
fake_url(const struct fake *f)
{
    return f->url;
}

const char *
fake_directory(const struct fake *f)
{
    return f->directory;
}

/* ---- Answers ----------------------------------------------------------------------- */

static void
send_answer(struct fake_request *r, const void *data, size_t size)
{
    nng_msg *message;

    must(nng_msg_alloc(&message, 0) == 0);
    must(nng_msg_header_append(message, nng_msg_header(r->envelope),
                               nng_msg_header_len(r->envelope)) == 0);
    must(nng_msg_append(message, data, size) == 0);
    if (nng_sendmsg(r->fake->socket, message, 0) != 0)
        nng_msg_free(message); /* closed meanwhile */
}

void
fake_answer_bytes(struct fake_request *r, const void *data, size_t size)
{
    send_answer(r, data, size);
}

void
fake_answer(struct fake_request *r, struct proto_writer *body)
{
    struct proto_writer w;

    proto_writer_init(&w);
    proto_reply_begin(&w, r->decoded.id, 0);
    if (body != NULL)
        pw_raw(&w, body->data, body->size);
    else
        pw_raw(&w, "\x80", 1);
    send_answer(r, w.data, w.size);
    proto_writer_fini(&w);
    if (body != NULL)
        proto_writer_fini(body);
}

void
fake_answer_error(struct fake_request *r, int code, const char *message)
{
    struct proto_error error;
    struct proto_writer w;

    proto_error_set(&error, code, "%s", message);
    proto_writer_init(&w);
    proto_reply_error(&w, r->decoded.id, &error);
    send_answer(r, w.data, w.size);
    proto_writer_fini(&w);
}

void
fake_hang_up(struct fake_request *r)
{
    nng_pipe_close(r->pipe);
}

struct fake_request *
fake_keep(struct fake_request *r)
{
    struct fake_request *kept = malloc(sizeof *kept);

    must(kept != NULL);
    *kept = *r;
    r->memory = NULL; /* goes with what is kept */
    r->envelope = NULL;
    return kept;
}

void
fake_let_go(struct fake_request *kept)
{
    proto_memory_free(kept->memory);
    nng_msg_free(kept->envelope);
    free(kept);
}

bool
fake_asks(const struct fake_request *r, enum proto_op_id op)
{
    return r->decoded.call.op == &proto_ops[op];
}

void
fake_text_body(struct proto_writer *w, const char *key, const char *text)
{
    proto_writer_init(w);
    pw_map(w);
    pw_key(w, key);
    pw_str(w, text);
    pw_end(w);
}

/* ---- Sessions ------------------------------------------------------------------------- */

/* Mutex held. 0: not known. */
static int
session_find(const struct fake *f, const void *secret)
{
    for (int i = 0; i < f->sessions; i++)
        if (f->known[i] && memcmp(f->secrets[i], secret, ASUP_SECRET_SIZE) == 0)
            return i + 1;
    return 0;
}

static int
session_make(struct fake *f)
{
    must(f->sessions < SESSIONS_MAX);
    memset(f->secrets[f->sessions], 0xa0 + f->sessions, ASUP_SECRET_SIZE);
    f->known[f->sessions] = true;
    return ++f->sessions;
}

static void
say_hello(struct fake *f, struct fake_request *r)
{
    const struct args_session_hello *args = &r->decoded.call.args->session_hello;
    bool resumed = args->secret.data != NULL;
    struct proto_writer w;
    int session, code = 0;
    char path[96];

    pthread_mutex_lock(&f->mutex);
    if (f->hello_times != 0)
        code = f->hello_code;
    if (f->hello_times > 0)
        f->hello_times--;
    session = resumed ? session_find(f, args->secret.data) : 0;
    if (code == 0 && !resumed)
        session = session_make(f);
    pthread_mutex_unlock(&f->mutex);
    if (code == 0 && session == 0)
        code = -ASUP_EEXPIRED;
    if (code != 0) {
        fake_answer_error(r, code, "the fake will not say hello");
        return;
    }
    snprintf(path, sizeof path, "%s/stdio.sock", f->directory);
    proto_writer_init(&w);
    pw_map(&w);
    pw_key(&w, "session");
    pw_id(&w, ASUP_SORT_SESSION, (uint64_t)session + 100);
    pw_key(&w, "secret");
    pw_bytes(&w, f->secrets[session - 1], ASUP_SECRET_SIZE);
    pw_key(&w, "ttl_ns");
    pw_uint(&w, args->ttl_ns);
    pw_key(&w, "resumed");
    pw_bool(&w, resumed);
    pw_key(&w, "message_size_max");
    pw_uint(&w, 4096);
    pw_key(&w, "stdio_socket");
    pw_str(&w, path);
    pw_end(&w);
    fake_answer(r, &w);
}

void
fake_forget_sessions(struct fake *f)
{
    pthread_mutex_lock(&f->mutex);
    memset(f->known, 0, sizeof f->known);
    pthread_mutex_unlock(&f->mutex);
}

void
fake_hello_code(struct fake *f, int code, int times)
{
    pthread_mutex_lock(&f->mutex);
    f->hello_code = code;
    f->hello_times = times;
    pthread_mutex_unlock(&f->mutex);
}

void
fake_stay_raw(struct fake *f)
{
    pthread_mutex_lock(&f->mutex);
    f->raw = true;
    pthread_mutex_unlock(&f->mutex);
}

/* ---- Serving ----------------------------------------------------------------------------- */

static void
serve(struct fake *f, nng_msg *message)
{
    struct fake_request r = {.fake = f, .envelope = message};
    struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_error error;
    const struct proto_op *op;
    bool raw;
    int rc;

    r.pipe = nng_msg_get_pipe(message);
    r.memory = proto_memory_new();
    rc = proto_request_decode(nng_msg_body(message), nng_msg_len(message), &bounds, r.memory,
                              &r.decoded, &error);
    op = r.decoded.call.op;
    pthread_mutex_lock(&f->mutex);
    if (rc == 0 && r.decoded.has_session) {
        r.session = session_find(f, r.decoded.session);
        if (r.session == 0)
            r.session = -1;
    }
    if (rc == 0)
        r.nth = ++f->counts[op->id];
    r.restarts = f->restarts;
    raw = f->raw;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
    if (rc != 0)
        fake_answer_error(&r, rc, error.message);
    else if (raw)
        f->manners(f, &r);
    else if (op->id == PROTO_SESSION_HELLO)
        say_hello(f, &r);
    else if (r.session == -1)
        fake_answer_error(&r, -ASUP_EEXPIRED, "that session is not known");
    else if (op->id == PROTO_SESSION_BYE)
        fake_answer(&r, NULL);
    else
        f->manners(f, &r);
    proto_memory_free(r.memory);
    nng_msg_free(r.envelope);
}

static void *
run(void *arg)
{
    struct fake *f = arg;
    nng_msg *message;

    /* Closing the socket does not reliably wake who receives from it, hence the
     * time-out (see fake_revive). */
    while (!atomic_load(&f->dying)) {
        int rv = nng_recvmsg(f->socket, &message, 0);

        if (rv == 0)
            serve(f, message);
        else if (rv != NNG_ETIMEDOUT)
            break;
    }
    return NULL;
}

static void
connection_came(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct fake *f = arg;

    (void)pipe;
    (void)event;
    pthread_mutex_lock(&f->mutex);
    f->connections++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

void
fake_revive(struct fake *f)
{
    must(!f->alive);
    must(nng_rep0_open_raw(&f->socket) == 0);
    must(nng_pipe_notify(f->socket, NNG_PIPE_EV_ADD_POST, connection_came, f) == 0);
    must(nng_socket_set_size(f->socket, NNG_OPT_RECVMAXSZ, 0) == 0);
    must(nng_socket_set_ms(f->socket, NNG_OPT_RECVTIMEO, 20) == 0);
    atomic_store(&f->dying, false);
    must(nng_listen(f->socket, f->url, NULL, 0) == 0);
    must(pthread_create(&f->thread, NULL, run, f) == 0);
    f->alive = true;
}

void
fake_die(struct fake *f)
{
    must(f->alive);
    atomic_store(&f->dying, true);
    nng_close(f->socket);
    pthread_join(f->thread, NULL);
    f->alive = false;
    pthread_mutex_lock(&f->mutex);
    f->restarts++;
    pthread_mutex_unlock(&f->mutex);
}

struct fake *
fake_start(fake_manners manners, void *arg)
{
    struct fake *f = calloc(1, sizeof *f);

    must(f != NULL);
    strcpy(f->directory, "/tmp/asup-fake-XXXXXX");
    must(mkdtemp(f->directory) != NULL);
    snprintf(f->url, sizeof f->url, "ipc://%s/asupersyncd.sock", f->directory);
    f->manners = manners;
    f->arg = arg;
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, NULL);
    fake_revive(f);
    return f;
}

void
fake_stop(struct fake *f)
{
    char path[96];

    if (f->alive)
        fake_die(f);
    snprintf(path, sizeof path, "%s/asupersyncd.sock", f->directory);
    unlink(path);
    rmdir(f->directory);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

/* ---- Facts to wait for ------------------------------------------------------------------- */

void
fake_wait(struct fake *f, enum proto_op_id op, uint32_t count)
{
    pthread_mutex_lock(&f->mutex);
    while (f->counts[op] < count)
        pthread_cond_wait(&f->changed, &f->mutex);
    pthread_mutex_unlock(&f->mutex);
}

uint32_t
fake_count(struct fake *f, enum proto_op_id op)
{
    uint32_t count;

    pthread_mutex_lock(&f->mutex);
    count = f->counts[op];
    pthread_mutex_unlock(&f->mutex);
    return count;
}

void
fake_wait_connections(struct fake *f, uint32_t count)
{
    pthread_mutex_lock(&f->mutex);
    while (f->connections < count)
        pthread_cond_wait(&f->changed, &f->mutex);
    pthread_mutex_unlock(&f->mutex);
}

struct asup_client *
fake_client(struct fake *f, const struct asup_client_options *options)
{
    struct asup_client_options own;
    struct asup_error_info err;
    struct asup_client *c = NULL;
    int rc;

    if (options != NULL)
        own = *options;
    else
        asup_client_options_init(&own);
    own.url = f->url;
    rc = asup_client_connect(&own, &c, &err);
    ck_assert_msg(rc == 0, "connecting to the fake: %s", err.message);
    return c;
}

int
fake_ask(struct asup_client *c, const char *op, int64_t timeout_ms, struct asup_error_info *err)
{
    return asup_client_call(c, op, NULL, 0, timeout_ms, NULL, NULL, err);
}
