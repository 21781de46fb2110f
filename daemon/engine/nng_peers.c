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
 * nng is linked statically into the engine, with these in the place of its
 * system calls (--wrap, engine.cmake). Nothing else in the engine uses them.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t size = __real_sendmsg(fd, message, flags);

    if (size < 0 && errno == EPIPE)
        errno = ECONNRESET;
    return size;
}

ssize_t
__wrap_readv(int fd, const struct iovec *iov, int count)
{
    ssize_t size = __real_readv(fd, iov, count);

    if (size == 0) {
        errno = ECONNRESET;
        return -1;
    }
    return size;
}
