/* SPDX-License-Identifier: MIT */
/*
 * What nng 1.5 makes of a peer that leaves during the handshake, put right.
 *
 * A peer that connects and closes at once makes nng's first write fail with
 * EPIPE, which nng calls NNG_ECLOSED and its listener takes for its own end:
 * it never accepts anybody again. If the peer is a little slower, the first
 * read gives end of file, which the listener does not know and answers by
 * accepting nobody for 100 ms. Any local user could silence the daemon so.
 * "Connection reset" means the same to everything else in nng, and to its
 * listener that the peer is to blame and the next one is welcome.
 *
 * And whoever connects and says nothing keeps a descriptor for ten seconds,
 * before nng tells that there is somebody: enough of them, and no task could
 * be started for want of one. So a quarter of the descriptors is not for
 * connections: accept closes those that would reach into it.
 *
 * These three stand in the program, in front of libc's, where the libraries that
 * the engine loads find them first (CMakeLists.txt exports them).
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

__attribute__((visibility("default"))) ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t size = syscall(SYS_sendmsg, fd, message, flags);

    if (size < 0 && errno == EPIPE)
        errno = ECONNRESET;
    return size;
}

__attribute__((visibility("default"))) ssize_t
readv(int fd, const struct iovec *iov, int count)
{
    ssize_t size = syscall(SYS_readv, fd, iov, count);

    if (size == 0) {
        errno = ECONNRESET;
        return -1;
    }
    return size;
}

/* The first descriptor that is too high for a connection. */
static int
connection_fd_end(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= INT_MAX)
        return INT_MAX;
    return (int)(limit.rlim_cur - limit.rlim_cur / 4);
}

__attribute__((visibility("default"))) int
accept(int fd, struct sockaddr *restrict address, socklen_t *restrict size)
{
    int accepted = (int)syscall(SYS_accept4, fd, address, size, SOCK_CLOEXEC);

    if (accepted < connection_fd_end())
        return accepted;
    close(accepted);
    errno = ECONNABORTED;
    return -1;
}
