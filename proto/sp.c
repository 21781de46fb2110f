/* SPDX-License-Identifier: MIT */
#include "sp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 65536
/* Memory for a body is taken as it comes, not as it is announced. */
#define BODY_STEP ((size_t)256 << 10)
/* An output buffer larger than this is given back when it is empty. */
#define OUT_KEEP ((size_t)64 << 10)

void
sp_init(struct sp *sp, enum sp_role role, size_t body_size_max)
{
    *sp = (struct sp){.fd = -1, .role = role, .body_size_max = body_size_max};
}

void
sp_close(struct sp *sp)
{
    if (sp->fd >= 0)
        close(sp->fd);
    free(sp->body);
    free(sp->out);
    sp_init(sp, sp->role, sp->body_size_max);
}

/* ---- Out -------------------------------------------------------------------------- */

static void
out_taken(struct sp *sp, size_t size)
{
    sp->out_at += size;
    if (sp->out_at < sp->out_size)
        return;
    sp->out_at = sp->out_size = 0;
    if (sp->out_capacity > OUT_KEEP) {
        free(sp->out);
        sp->out = NULL;
        sp->out_capacity = 0;
    }
}

static bool
out_keep(struct sp *sp, const void *data, size_t size)
{
    if (size == 0)
        return true;
    if (sp->out_at > sp->out_capacity / 2) {
        memmove(sp->out, sp->out + sp->out_at, sp->out_size - sp->out_at);
        sp->out_size -= sp->out_at;
        sp->out_at = 0;
    }
    if (sp->out_capacity - sp->out_size < size) {
        size_t capacity = (sp->out_size + size) * 2;
        uint8_t *grown = realloc(sp->out, capacity);

        if (grown == NULL)
            return false;
        sp->out = grown;
        sp->out_capacity = capacity;
    }
    memcpy(sp->out + sp->out_size, data, size);
    sp->out_size += size;
    return true;
}

/* How much the socket took of it. */
static size_t
out_write(struct sp *sp, const struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
    ssize_t sent;

    if (sp->broken)
        return 0;
    do
        sent = sendmsg(sp->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return (size_t)sent;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
        sp->broken = true;
    return 0;
}

bool
sp_wants_out(const struct sp *sp)
{
    return sp->out_at < sp->out_size && !sp->broken;
}

size_t
sp_out_pending(const struct sp *sp)
{
    return sp->broken ? 0 : sp->out_size - sp->out_at;
}

void
sp_flush(struct sp *sp)
{
    while (sp_wants_out(sp)) {
        struct iovec rest = {sp->out + sp->out_at, sp->out_size - sp->out_at};
        size_t sent = out_write(sp, &rest, 1);

        if (sent == 0)
            return;
        out_taken(sp, sent);
    }
}

static void
head_make(uint8_t head[SP_HEAD_SIZE], uint32_t tag, size_t size)
{
    uint64_t length = (uint64_t)size + sizeof tag;

    head[0] = 1;
    for (unsigned i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(length >> (56 - 8 * i));
    for (unsigned i = 0; i < 4; i++)
        head[9 + i] = (uint8_t)(tag >> (24 - 8 * i));
}

/* Keep what follows the first `sent` bytes of a message. */
static enum sp_sent
message_keep(struct sp *sp, const uint8_t *head, const uint8_t *data, size_t size, size_t sent)
{
    size_t of_head = sent < SP_HEAD_SIZE ? sent : SP_HEAD_SIZE;
    size_t of_data = sent - of_head;

    if (out_keep(sp, head + of_head, SP_HEAD_SIZE - of_head) &&
        (size == of_data || out_keep(sp, data + of_data, size - of_data)))
        return SP_SENT;
    sp->broken = true;
    return SP_NOMEM;
}

enum sp_sent
sp_send(struct sp *sp, uint32_t tag, const void *data, size_t size)
{
    uint8_t head[SP_HEAD_SIZE];
    struct iovec parts[2] = {{head, sizeof head}, {(void *)data, size}};
    size_t sent = 0;

    head_make(head, tag, size);
    if (!sp_wants_out(sp))
        sent = out_write(sp, parts, 2);
    if (sp->broken)
        return SP_UNSENT;
    return message_keep(sp, head, data, size, sent);
}

enum sp_sent
sp_queue(struct sp *sp, uint32_t tag, const void *data, size_t size)
{
    uint8_t head[SP_HEAD_SIZE];

    if (sp->broken)
        return SP_UNSENT;
    head_make(head, tag, size);
    return message_keep(sp, head, data, size, 0);
}

/* ---- In --------------------------------------------------------------------------- */

static void
greeting_make(uint8_t greeting[SP_GREETING_SIZE], enum sp_role role)
{
    memcpy(greeting, (const uint8_t[SP_GREETING_SIZE]){0, 'S', 'P', 0, 0, (uint8_t)role, 0, 0},
           SP_GREETING_SIZE);
}

static bool
greeting_right(const struct sp *sp)
{
    uint8_t wanted[SP_GREETING_SIZE];

    greeting_make(wanted, sp->role == SP_REQ ? SP_REP : SP_REQ);
    return memcmp(sp->head, wanted, sizeof wanted) == 0;
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

/* Room for more of the body. */
static bool
body_grow(struct sp *sp)
{
    size_t capacity = sp->body_capacity < BODY_STEP / 2 ? BODY_STEP : sp->body_capacity * 2;
    uint8_t *grown;

    if (capacity > sp->body_size)
        capacity = sp->body_size;
    grown = realloc(sp->body, capacity + 1);
    if (grown == NULL)
        return false;
    sp->body = grown;
    sp->body_capacity = capacity;
    return true;
}

/* The head of a message is complete. */
static bool
body_begin(struct sp *sp)
{
    uint64_t length = big_endian(sp->head + 1, 8);

    if (sp->head[0] != 1 || length < 4 || length - 4 > sp->body_size_max ||
        (sp->head[9] & 0x80) == 0)
        return false;
    sp->body_size = (size_t)length - 4;
    sp->body_filled = 0;
    sp->body_capacity = 0;
    return body_grow(sp);
}

/* Work off what was read. False: it makes no sense, or is not wanted. */
static bool
sp_take(struct sp *sp, const uint8_t *data, size_t size, sp_message_fn fn, void *arg)
{
    while (size > 0) {
        if (!sp->greeted) {
            take(sp->head, SP_GREETING_SIZE, &sp->head_size, &data, &size);
            if (sp->head_size < SP_GREETING_SIZE)
                return true;
            if (!greeting_right(sp))
                return false;
            sp->greeted = true;
            sp->head_size = 0;
            continue;
        }
        if (sp->body == NULL) {
            take(sp->head, SP_HEAD_SIZE, &sp->head_size, &data, &size);
            if (sp->head_size < SP_HEAD_SIZE)
                return true;
            if (!body_begin(sp))
                return false;
        }
        if (sp->body_filled == sp->body_capacity && sp->body_filled < sp->body_size &&
            !body_grow(sp))
            return false;
        take(sp->body, sp->body_capacity, &sp->body_filled, &data, &size);
        if (sp->body_filled == sp->body_size) {
            uint8_t *body = sp->body;

            sp->body = NULL;
            sp->head_size = 0;
            if (!fn(arg, (uint32_t)big_endian(sp->head + 9, 4), body, sp->body_size))
                return false;
        }
    }
    return true;
}

bool
sp_read(struct sp *sp, int reads_max, sp_message_fn fn, void *arg)
{
    uint8_t data[READ_SIZE];

    for (int i = 0; i < reads_max; i++) {
        ssize_t got = recv(sp->fd, data, sizeof data, MSG_DONTWAIT);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return !sp->broken; /* all that could still be read is */
        if (got <= 0 || !sp_take(sp, data, (size_t)got, fn, arg))
            return false;
        if ((size_t)got < sizeof data && !sp->broken)
            return true;
    }
    return true;
}

/* ---- Opening ------------------------------------------------------------------------ */

static bool
greet(struct sp *sp)
{
    uint8_t greeting[SP_GREETING_SIZE];
    struct iovec part = {greeting, sizeof greeting};

    greeting_make(greeting, sp->role);
    if (out_write(sp, &part, 1) == sizeof greeting)
        return true;
    sp->broken = true; /* a new socket always has room for so little */
    return false;
}

void
sp_accept(struct sp *sp, int fd_take)
{
    sp->fd = fd_take;
    greet(sp);
}

int
sp_open(struct sp *sp, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path) + 1;
    int error;

    if (size > sizeof address.sun_path)
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, size);
    sp->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sp->fd < 0)
        return errno;
    if (connect(sp->fd, (struct sockaddr *)&address, sizeof address) != 0 || !greet(sp)) {
        error = errno != 0 ? errno : EPIPE;
        sp_close(sp);
        return error;
    }
    return 0;
}
