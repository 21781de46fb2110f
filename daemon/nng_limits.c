/* SPDX-License-Identifier: MIT */
/*
 * Two limits that nng 1.5.2 has no option for.
 *
 * Descriptors: whoever connects and says nothing keeps one for ten seconds,
 * before nng tells that there is somebody. Enough of them, and no task could
 * be started for want of one. So a quarter of the descriptors is not for
 * connections: accept closes those that would reach into it.
 *
 * Threads: nng starts two for every processor to run callbacks on, up to
 * sixteen. The engine's callbacks do nothing but queue; more than two threads
 * only get in each other's way, which costs a fifth of the round trips at 64
 * in flight. So nng, which asks nothing else of sysconf, is told of one
 * processor.
 *
 * These two stand in the program, in front of libc's, where the libraries that
 * the engine loads find them first (CMakeLists.txt exports them).
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* libc's own, under the name that it keeps for itself. */
long __sysconf(int name);

__attribute__((visibility("default"))) long
sysconf(int name)
{
    return name == _SC_NPROCESSORS_ONLN ? 1 : __sysconf(name);
}
