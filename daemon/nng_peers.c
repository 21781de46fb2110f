/* SPDX-License-Identifier: MIT */
/*
 * What nng 1.5.2 makes of a peer that is gone, put right.
 *
 * Two faults of its ipc transport let any local user silence the daemon:
 *
 *   - A peer that closes during the handshake makes nng's first write fail
 *     with EPIPE, which nng calls NNG_ECLOSED and its listener takes for its
 *     own end: it never accepts anybody again. If the first read gives end of
 *     file instead, the listener accepts nobody for 100 ms.
 *   - A write that fails while a message is half read closes the pipe under
 *     the reader, which then waits for ever in nng's one reaper thread: from
 *     then on no lost connection is noticed.
 *
 * So a write to a peer that is gone counts as done here, and the read says
 * what happened, as "connection reset": the pipe closes from the reading side
 * alone, and the listener blames the peer and welcomes the next one.
 *
 * These two stand in the program, in front of libc's, where the libraries that
 * the engine loads find them first (CMakeLists.txt exports them). They change
 * nothing for other sockets: the link is SOCK_SEQPACKET.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static bool
is_stream(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

__attribute__((visibility("default"))) ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t size = syscall(SYS_sendmsg, fd, message, flags);

    if (size < 0 && (errno == EPIPE || errno == ECONNRESET) && is_stream(fd)) {
        size = 0;
        for (size_t i = 0; i < message->msg_iovlen; i++)
            size += (ssize_t)message->msg_iov[i].iov_len;
    }
    return size;
}

__attribute__((visibility("default"))) ssize_t
readv(int fd, const struct iovec *iov, int count)
{
    ssize_t size = syscall(SYS_readv, fd, iov, count);

    if (size == 0 && is_stream(fd)) {
        errno = ECONNRESET;
        return -1;
    }
    return size;
}
