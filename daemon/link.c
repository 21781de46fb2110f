/* SPDX-License-Identifier: MIT */
#include "daemon/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A packet that did not fit into the socket, with its own descriptor. */
struct link_packet {
    struct link_packet *next;
    int fd;
    struct link_message message; /* as much of it as its kind needs */
};

#define PAYLOAD(member)                                                                            \
    (uint32_t)(offsetof(struct link_message, u) + sizeof(((struct link_message *)0)->u.member))
#define PAYLOAD_NONE ((uint32_t)offsetof(struct link_message, u))

uint32_t
link_message_size(uint32_t kind)
{
    switch ((enum link_kind)kind) {
    case LINK_HELLO:
    case LINK_RELOAD:
        return PAYLOAD(hello);
    case LINK_ROW:
        return PAYLOAD(row);
    case LINK_REGION:
        return PAYLOAD(region);
    case LINK_SAMPLED:
        return PAYLOAD(sampled);
    case LINK_SWEPT:
        return PAYLOAD(swept);
    case LINK_SHUTDOWN:
        return PAYLOAD(shutdown);
    case LINK_STATUS:
        return PAYLOAD(text);
    case LINK_EXTEND:
        return PAYLOAD(extend);
    case LINK_START:
        return PAYLOAD(start);
    case LINK_STDIO:
    case LINK_KILL:
    case LINK_SAMPLE:
    case LINK_FORGET:
        return PAYLOAD(task);
    case LINK_SIGNAL:
        return PAYLOAD(signal);
    case LINK_ACK:
        return PAYLOAD(ack);
    case LINK_SWEEP:
        return PAYLOAD(sweep);
    case LINK_TABLE_END:
    case LINK_READY:
    case LINK_HEARTBEAT:
    case LINK_STOPPING:
    case LINK_RELOADED:
    case LINK_REREAD:
    case LINK_QUIESCENT:
    case LINK_REPLACE:
        return PAYLOAD_NONE;
    }
    return 0;
}

void
link_init(struct link *link, int fd, uint32_t queued_max)
{
    *link = (struct link){.fd = fd, .tail = &link->head, .queued_max = queued_max};
}

static void
link_drop_head(struct link *link)
{
    struct link_packet *packet = link->head;

    link->head = packet->next;
    if (link->head == NULL)
        link->tail = &link->head;
    link->queued--;
    if (packet->fd >= 0)
        close(packet->fd);
    free(packet);
}

void
link_fini(struct link *link)
{
    while (link->head != NULL)
        link_drop_head(link);
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

int
link_send_now(int socket_fd, struct link_message *message, int fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;

    message->size = link_message_size(message->kind);
    part.iov_len = message->size;
    if (fd >= 0) {
        struct cmsghdr *cmsg;

        header.msg_control = control.space;
        header.msg_controllen = sizeof control.space;
        cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
    }
    do
        sent = sendmsg(socket_fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    /* ENOBUFS, ENOMEM and ETOOMANYREFS (too many descriptors in flight) pass
     * by themselves, just as a full socket does. */
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN || errno == EBADF)
        return -EPIPE;
    return -EAGAIN;
}

int
link_send(struct link *link, struct link_message *message, int fd)
{
    struct link_packet *packet;

    if (link->fd < 0)
        return -EPIPE;
    if (link->head == NULL) {
        int rc = link_send_now(link->fd, message, fd);

        if (rc != -EAGAIN)
            return rc;
    }
    if (link->queued >= link->queued_max)
        return -ENOBUFS;
    message->size = link_message_size(message->kind);
    packet = malloc(offsetof(struct link_packet, message) + message->size);
    if (packet == NULL)
        return -ENOMEM;
    packet->next = NULL;
    memcpy(&packet->message, message, message->size);
    packet->fd = -1;
    if (fd >= 0) {
        packet->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (packet->fd < 0) {
            free(packet);
            return -ENOBUFS;
        }
    }
    *link->tail = packet;
    link->tail = &packet->next;
    link->queued++;
    return 0;
}

int
link_flush(struct link *link)
{
    while (link->fd >= 0 && link->head != NULL) {
        int rc = link_send_now(link->fd, &link->head->message, link->head->fd);

        if (rc == -EAGAIN)
            return 0;
        if (rc < 0)
            return rc;
        link_drop_head(link);
    }
    return link->fd < 0 ? -EPIPE : 0;
}

/* The first descriptor of a packet; any further ones are closed, so that the
 * other side cannot fill this side's table. */
static int
received_fd(struct msghdr *header)
{
    int kept = -1;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
         cmsg = CMSG_NXTHDR(header, cmsg)) {
        size_t count;

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
            if (kept < 0)
                kept = fd;
            else
                close(fd);
        }
    }
    return kept;
}

int
link_receive(int socket_fd, struct link_message *out, int *fd_out)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = out, .iov_len = sizeof *out};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = sizeof control.space};
    ssize_t got;
    int fd;

    *fd_out = -1;
    do
        got = recvmsg(socket_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -EPIPE;
    if (got == 0)
        return -EPIPE;
    fd = received_fd(&header);
    if ((size_t)got < PAYLOAD_NONE || (header.msg_flags & MSG_TRUNC) != 0 ||
        out->size != (size_t)got || out->size != link_message_size(out->kind)) {
        if (fd >= 0)
            close(fd);
        return -EPROTO;
    }
    *fd_out = fd;
    return (header.msg_flags & MSG_CTRUNC) != 0 && fd < 0 ? -EMFILE : 1;
}
