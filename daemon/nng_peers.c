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
 * These two stand in the program, in front of libc's, where the libraries that
 * the engine loads find them first (CMakeLists.txt exports them).
 */
#include <errno.h>
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
