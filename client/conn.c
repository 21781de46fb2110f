/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The largest answer that is taken. */
#define BODY_SIZE_MAX ((uint64_t)256 << 20)
/* Read at once, and at most so often before others get their turn. */
#define READ_SIZE 65536
#define READS_MAX 16

void
conn_init(struct conn *conn)
{
    *conn = (struct conn){.fd = -1};
}

void
conn_close(struct conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd);
    free(conn->body);
    free(conn->out);
    conn_init(conn);
}

/* ---- Out -------------------------------------------------------------------------- */

static bool
out_keep(struct conn *conn, const uint8_t *data, size_t size)
{
    if (conn->out_at > 0 && conn->out_at == conn->out_size)
        conn->out_at = conn->out_size = 0;
    if (conn->out_capacity - conn->out_size < size) {
        size_t capacity = (conn->out_size + size) * 2;
        uint8_t *grown = realloc(conn->out, capacity);

        if (grown == NULL)
            return false;
        conn->out = grown;
        conn->out_capacity = capacity;
    }
    memcpy(conn->out + conn->out_size, data, size);
    conn->out_size += size;
    return true;
}

/* How much the socket took of it. */
static size_t
out_write(struct conn *conn, const struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
    ssize_t sent;

    if (conn->broken)
        return 0;
    do
        sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return (size_t)sent;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
        conn->broken = true;
    return 0;
}

bool
conn_wants_out(const struct conn *conn)
{
    return conn->out_at < conn->out_size && !conn->broken;
}

void
conn_flush(struct conn *conn)
{
    while (conn_wants_out(conn)) {
        struct iovec rest = {conn->out + conn->out_at, conn->out_size - conn->out_at};
        size_t sent = out_write(conn, &rest, 1);

        if (sent == 0)
            return;
        conn->out_at += sent;
    }
}

enum conn_sent
conn_send(struct conn *conn, uint32_t tag, const void *data, size_t size)
{
    uint8_t head[CONN_HEAD_SIZE] = {1};
    struct iovec parts[2] = {{head, sizeof head}, {(void *)data, size}};
    uint64_t length = (uint64_t)size + sizeof tag;
    size_t sent = 0;

    for (unsigned i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(length >> (56 - 8 * i));
    for (unsigned i = 0; i < 4; i++)
        head[9 + i] = (uint8_t)(tag >> (24 - 8 * i));
    if (!conn_wants_out(conn))
        sent = out_write(conn, parts, 2);
    if (conn->broken)
        return CONN_UNSENT;
    if (sent < sizeof head) {
        if (!out_keep(conn, head + sent, sizeof head - sent))
            goto cut_short;
        sent = sizeof head;
    }
    if (sent < sizeof head + size &&
        !out_keep(conn, (const uint8_t *)data + (sent - sizeof head), sizeof head + size - sent))
        goto cut_short;
    return CONN_SENT;
cut_short:
    conn->broken = true;
    return CONN_NOMEM;
}

/* ---- In --------------------------------------------------------------------------- */

static bool
greeting_right(const uint8_t *head)
{
    static const uint8_t rep[CONN_GREETING_SIZE] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};

    return memcmp(head, rep, sizeof rep) == 0;
}

static uint64_t
big_endian(const uint8_t *at, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value = value << 8 | at[i];
    return value;
}

/* Move up to `want` bytes of the input into `to`, from *filled on. */
static void
take(uint8_t *to, size_t want, size_t *filled, const uint8_t **data, size_t *size)
{
    size_t part = want - *filled < *size ? want - *filled : *size;

    if (part > 0)
        memcpy(to + *filled, *data, part);
    *filled += part;
    *data += part;
    *size -= part;
}

/* The head of a message is complete: make room for its body. */
static bool
body_begin(struct conn *conn)
{
    uint64_t length = big_endian(conn->head + 1, 8);

    if (conn->head[0] != 1 || length < 4 || length > BODY_SIZE_MAX)
        return false;
    conn->body_size = (size_t)length - 4;
    conn->body_filled = 0;
    conn->body = malloc(conn->body_size + 1);
    return conn->body != NULL;
}

/* Work off what was read. False: it makes no sense. */
static bool
conn_take(struct conn *conn, const uint8_t *data, size_t size, conn_message_fn fn, void *arg)
{
    while (size > 0) {
        if (!conn->greeted) {
            take(conn->head, CONN_GREETING_SIZE, &conn->head_size, &data, &size);
            if (conn->head_size < CONN_GREETING_SIZE)
                return true;
            if (!greeting_right(conn->head))
                return false;
            conn->greeted = true;
            conn->head_size = 0;
            continue;
        }
        if (conn->body == NULL) {
            take(conn->head, CONN_HEAD_SIZE, &conn->head_size, &data, &size);
            if (conn->head_size < CONN_HEAD_SIZE)
                return true;
            if (!body_begin(conn))
                return false;
        }
        take(conn->body, conn->body_size, &conn->body_filled, &data, &size);
        if (conn->body_filled == conn->body_size) {
            uint8_t *body = conn->body;

            conn->body = NULL;
            conn->head_size = 0;
            fn(arg, (uint32_t)big_endian(conn->head + 9, 4), body, conn->body_size);
        }
    }
    return true;
}

bool
conn_read(struct conn *conn, conn_message_fn fn, void *arg)
{
    uint8_t data[READ_SIZE];

    for (int i = 0; i < READS_MAX; i++) {
        ssize_t got = recv(conn->fd, data, sizeof data, MSG_DONTWAIT);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return !conn->broken; /* all that could still be read is */
        if (got <= 0 || !conn_take(conn, data, (size_t)got, fn, arg))
            return false;
        if ((size_t)got < sizeof data && !conn->broken)
            return true;
    }
    return true;
}

/* ---- Opening ------------------------------------------------------------------------ */

int
conn_open(struct conn *conn, const char *path)
{
    static const uint8_t req[CONN_GREETING_SIZE] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct iovec greeting = {(void *)req, sizeof req};
    size_t size = strlen(path) + 1;
    int error;

    conn_init(conn);
    if (size > sizeof address.sun_path)
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, size);
    conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (conn->fd < 0)
        return errno;
    if (connect(conn->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        out_write(conn, &greeting, 1) != sizeof req) {
        error = errno != 0 ? errno : EPIPE;
        conn_close(conn);
        return error;
    }
    return 0;
}
