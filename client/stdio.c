/* SPDX-License-Identifier: MIT */
/*
 * Handing standard streams over. They cannot cross nng, so they go over a small
 * SOCK_SEQPACKET socket beside the daemon's: one packet with the token and the
 * three descriptors. The daemon passes the connection on unread to the task
 * that shows the token.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Where to: what the daemon said, else the usual place beside its socket. */
static int
stdio_address(struct asup_client *c, struct sockaddr_un *address, struct proto_error *err)
{
    const char *path = address_path(c->url);
    int size;

    address->sun_family = AF_UNIX;
    pthread_mutex_lock(&c->mutex);
    if (c->stdio_path != NULL)
        size = snprintf(address->sun_path, sizeof address->sun_path, "%s", c->stdio_path);
    else
        size = snprintf(address->sun_path, sizeof address->sun_path, "%.*s/stdio.sock",
                        (int)(strrchr(path, '/') - path), path);
    pthread_mutex_unlock(&c->mutex);
    if (size < 0 || (size_t)size >= sizeof address->sun_path)
        return proto_error_set(err, -ASUP_EINVALID, "the path of the socket is too long");
    return 0;
}

static int
stdio_send(int fd, const int fds[3], const uint8_t *token)
{
    union {
        char space[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec part = {.iov_base = (void *)token, .iov_len = ASUP_STDIO_TOKEN_SIZE};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control.space,
    };
    struct cmsghdr *header;
    ssize_t sent;

    memset(&control, 0, sizeof control);
    header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(header), fds, 3 * sizeof(int));
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

static int
stdio_token(uint8_t *token)
{
    size_t filled = 0;

    while (filled < ASUP_STDIO_TOKEN_SIZE) {
        ssize_t got = getrandom(token + filled, ASUP_STDIO_TOKEN_SIZE - filled, 0);

        if (got < 0 && errno != EINTR)
            return errno;
        if (got > 0)
            filled += (size_t)got;
    }
    return 0;
}

static int
offer(struct asup_client *c, const int fds[3], const uint8_t *token, struct asup_error_info *err)
{
    struct sockaddr_un address = {0};
    struct proto_error own;
    int fd, error;

    if (stdio_address(c, &address, &own) != 0)
        return error_local(err, &own);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        proto_error_set(&own, -ASUP_ENOMEM, "no socket is to be had: %s", strerror(errno));
        return error_local(err, &own);
    }
    error = connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ? errno : 0;
    if (error == 0)
        error = stdio_send(fd, fds, token);
    if (error == 0) {
        error_clear(err);
        return fd;
    }
    close(fd);
    proto_error_set(&own, error == EBADF ? -ASUP_EINVALID : -ASUP_ENOTCONN,
                    "handing descriptors to %s: %s", address.sun_path, strerror(error));
    return error_local(err, &own);
}

int
asup_stdio_offer(struct asup_client *c, const int fds[3], uint8_t token[ASUP_STDIO_TOKEN_SIZE],
                 struct asup_error_info *err)
{
    struct proto_error own;
    int error;

    if (c == NULL || fds == NULL || token == NULL || fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
        return error_invalid(err, "fds", "three open descriptors are needed");
    error = stdio_token(token);
    if (error != 0) {
        proto_error_set(&own, -ASUP_ENOTCONN, "no random bytes: %s", strerror(error));
        return error_local(err, &own);
    }
    return offer(c, fds, token, err);
}

int
asup_stdio_offer_again(struct asup_client *c, const int fds[3],
                       const uint8_t token[ASUP_STDIO_TOKEN_SIZE], struct asup_error_info *err)
{
    if (c == NULL || fds == NULL || token == NULL || fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
        return error_invalid(err, "fds", "three open descriptors are needed");
    return offer(c, fds, token, err);
}
