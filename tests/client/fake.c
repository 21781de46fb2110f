/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/must.h"

#define SESSIONS_MAX 64
#define CONNECTIONS_MAX 16
#define GREETING_SIZE 8
#define FRAME_HEAD 9 /* 1, size in 8 bytes */

/* One connection: nng's greeting, then frames whose first four bytes are the
 * tag that an answer has to carry. */
struct connection {
    int fd;       /* -1: none */
    uint64_t id;  /* never used twice */
    bool greeted; /* the peer's greeting has been read */
    uint8_t *data;
    size_t size, capacity;
};

struct fake {
    char directory[32];
    char path[64];
    char url[96];
    fake_manners manners;
    void *arg;

    int listener, wake;
    pthread_t thread;
    bool alive;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool dying;
    struct connection connections[CONNECTIONS_MAX];
    uint64_t connection_last;
    uint32_t counts[PROTO_OP_COUNT];
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

/* Mutex held. NULL: it is gone. */
static struct connection *
connection_find(struct fake *f, uint64_t id)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (f->connections[i].fd >= 0 && f->connections[i].id == id)
            return &f->connections[i];
    return NULL;
}

/* All of it, or the connection is done for. */
static void
write_all(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;

    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR) {
            shutdown(fd, SHUT_RDWR);
            return;
        }
        if (sent > 0) {
            at += sent;
            size -= (size_t)sent;
        }
    }
}

static void
send_answer(struct fake_request *r, const void *data, size_t size)
{
    struct connection *connection;
    uint8_t head[FRAME_HEAD + 4] = {1};

    for (unsigned i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)((uint64_t)(size + 4) >> (56 - 8 * i));
    memcpy(head + FRAME_HEAD, r->tag, 4);
    pthread_mutex_lock(&r->fake->mutex);
    connection = connection_find(r->fake, r->connection);
    if (connection != NULL) {
        write_all(connection->fd, head, sizeof head);
        write_all(connection->fd, data, size);
    }
    pthread_mutex_unlock(&r->fake->mutex);
}

void
fake_write(struct fake_request *r, const void *data, size_t size)
{
    struct connection *connection;

    pthread_mutex_lock(&r->fake->mutex);
    connection = connection_find(r->fake, r->connection);
    if (connection != NULL)
        write_all(connection->fd, data, size);
    pthread_mutex_unlock(&r->fake->mutex);
}

size_t
fake_frame(const struct fake_request *r, uint8_t frame[64])
{
    struct proto_writer w;
    size_t size;

    proto_writer_init(&w);
    proto_reply_begin(&w, r->decoded.id, 0);
    pw_raw(&w, "\x80", 1);
    must(!w.failed && w.size < 32);
    memset(frame, 0, FRAME_HEAD);
    frame[0] = 1;
    frame[8] = (uint8_t)(w.size + 4);
    memcpy(frame + FRAME_HEAD, r->tag, 4);
    memcpy(frame + FRAME_HEAD + 4, w.data, w.size);
    size = FRAME_HEAD + 4 + w.size;
    proto_writer_fini(&w);
    return size;
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
    struct connection *connection;

    pthread_mutex_lock(&r->fake->mutex);
    connection = connection_find(r->fake, r->connection);
    if (connection != NULL)
        shutdown(connection->fd, SHUT_RDWR); /* the loop will notice */
    pthread_mutex_unlock(&r->fake->mutex);
}

struct fake_request *
fake_keep(struct fake_request *r)
{
    struct fake_request *kept = malloc(sizeof *kept);

    must(kept != NULL);
    *kept = *r;
    r->memory = NULL; /* goes with what is kept */
    return kept;
}

void
fake_let_go(struct fake_request *kept)
{
    proto_memory_free(kept->memory);
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

/* One request. */
static void
serve(struct fake *f, uint64_t connection, const uint8_t *frame, size_t size)
{
    struct fake_request r = {.fake = f, .connection = connection};
    struct proto_bounds bounds = PROTO_REQUEST_BOUNDS;
    struct proto_error error;
    const struct proto_op *op;
    bool raw;
    int rc;

    must(size >= sizeof r.tag);
    memcpy(r.tag, frame, sizeof r.tag);
    r.memory = proto_memory_new();
    rc = proto_request_decode(frame + sizeof r.tag, size - sizeof r.tag, &bounds, r.memory,
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
}

/* How many bytes at the front make one whole frame; 0: not yet all there. */
static size_t
frame_size(const struct connection *connection)
{
    size_t size = 0;

    if (connection->size < FRAME_HEAD)
        return 0;
    for (unsigned i = 1; i < FRAME_HEAD; i++)
        size = size << 8 | connection->data[i];
    return connection->size - FRAME_HEAD < size ? 0 : FRAME_HEAD + size;
}

static void
connection_shift(struct connection *connection, size_t size)
{
    connection->size -= size;
    memmove(connection->data, connection->data + size, connection->size);
}

/* What has been read: a greeting, then frames. False: the peer is no REQ. */
static bool
connection_take(struct fake *f, struct connection *connection)
{
    static const uint8_t greeting[GREETING_SIZE] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    size_t size;

    if (!connection->greeted && connection->size >= GREETING_SIZE) {
        if (memcmp(connection->data, greeting, GREETING_SIZE) != 0)
            return false;
        connection_shift(connection, GREETING_SIZE);
        connection->greeted = true;
    }
    while (connection->greeted && (size = frame_size(connection)) > 0) {
        serve(f, connection->id, connection->data + FRAME_HEAD, size - FRAME_HEAD);
        connection_shift(connection, size);
    }
    return true;
}

/* False: it has ended. */
static bool
connection_read(struct fake *f, struct connection *connection)
{
    ssize_t got;

    if (connection->capacity - connection->size < 4096) {
        connection->capacity += 65536;
        connection->data = realloc(connection->data, connection->capacity);
        must(connection->data != NULL);
    }
    got = recv(connection->fd, connection->data + connection->size,
               connection->capacity - connection->size, 0);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    connection->size += (size_t)got;
    return connection_take(f, connection);
}

static void
connection_end(struct fake *f, struct connection *connection)
{
    pthread_mutex_lock(&f->mutex);
    close(connection->fd);
    connection->fd = -1;
    pthread_mutex_unlock(&f->mutex);
    free(connection->data);
    connection->data = NULL;
    connection->size = connection->capacity = 0;
    connection->greeted = false;
}

static void
connection_begin(struct fake *f)
{
    static const uint8_t greeting[GREETING_SIZE] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
    int fd = accept(f->listener, NULL, NULL);
    int i = 0;

    if (fd < 0)
        return;
    write_all(fd, greeting, sizeof greeting);
    pthread_mutex_lock(&f->mutex);
    while (i < CONNECTIONS_MAX && f->connections[i].fd >= 0)
        i++;
    must(i < CONNECTIONS_MAX);
    f->connections[i].fd = fd;
    f->connections[i].id = ++f->connection_last;
    pthread_mutex_unlock(&f->mutex);
}

static bool
is_dying(struct fake *f)
{
    bool dying;

    pthread_mutex_lock(&f->mutex);
    dying = f->dying;
    pthread_mutex_unlock(&f->mutex);
    return dying;
}

static void *
run(void *arg)
{
    struct fake *f = arg;
    struct pollfd polled[CONNECTIONS_MAX + 2];

    while (!is_dying(f)) {
        polled[0] = (struct pollfd){.fd = f->wake, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = f->listener, .events = POLLIN};
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            polled[i + 2] = (struct pollfd){.fd = f->connections[i].fd, .events = POLLIN};
        if (poll(polled, CONNECTIONS_MAX + 2, -1) < 0)
            continue;
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            if (polled[i + 2].revents != 0 && !connection_read(f, &f->connections[i]))
                connection_end(f, &f->connections[i]);
        if (polled[1].revents != 0)
            connection_begin(f);
    }
    return NULL;
}

void
fake_revive(struct fake *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    must(!f->alive);
    memcpy(address.sun_path, f->path, sizeof f->path);
    unlink(f->path);
    f->dying = false;
    f->wake = eventfd(0, EFD_CLOEXEC);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(f->wake >= 0 && f->listener >= 0);
    must(bind(f->listener, (struct sockaddr *)&address, sizeof address) == 0);
    must(listen(f->listener, 16) == 0);
    must(pthread_create(&f->thread, NULL, run, f) == 0);
    f->alive = true;
}

void
fake_die(struct fake *f)
{
    uint64_t one = 1;

    must(f->alive);
    pthread_mutex_lock(&f->mutex);
    f->dying = true;
    f->restarts++;
    pthread_mutex_unlock(&f->mutex);
    must(write(f->wake, &one, sizeof one) == sizeof one);
    pthread_join(f->thread, NULL);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (f->connections[i].fd >= 0)
            connection_end(f, &f->connections[i]);
    close(f->listener);
    close(f->wake);
    f->alive = false;
}

struct fake *
fake_start(fake_manners manners, void *arg)
{
    struct fake *f = calloc(1, sizeof *f);

    must(f != NULL);
    strcpy(f->directory, "/tmp/asup-fake-XXXXXX");
    must(mkdtemp(f->directory) != NULL);
    snprintf(f->path, sizeof f->path, "%s/asupersyncd.sock", f->directory);
    snprintf(f->url, sizeof f->url, "ipc://%s", f->path);
    f->manners = manners;
    f->arg = arg;
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        f->connections[i].fd = -1;
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, NULL);
    fake_revive(f);
    return f;
}

void
fake_stop(struct fake *f)
{
    if (f->alive)
        fake_die(f);
    unlink(f->path);
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
