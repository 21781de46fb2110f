/* SPDX-License-Identifier: MIT */
/*
 * An engine that is a puppet: it hands the link over to the test, which waits
 * on RUNTIME/test.sock and plays the engine itself, and then does as a byte
 * from there says. The keeper under test is the real program.
 */
#include "daemon/engine.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "asupersync/version.h"
#include "daemon/link.h"

static int
send_fds(int socket_fd, const int *fds, int count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    pid_t pid = getpid();
    struct iovec part = {.iov_base = &pid, .iov_len = sizeof pid};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(cmsg), fds, (size_t)count * sizeof(int));
    return sendmsg(socket_fd, &header, MSG_NOSIGNAL) == (ssize_t)sizeof pid ? 0 : -1;
}

#ifdef FAKE_LINK_VERSION
const unsigned engine_link_version = FAKE_LINK_VERSION;
#else
const unsigned engine_link_version = LINK_VERSION;
#endif
const char engine_version[] = ASUP_VERSION;

int
engine_check_config(const char *path, bool print)
{
    (void)path;
    (void)print;
    return 0;
}

int
engine_check_journal(const char *state_dir)
{
    (void)state_dir;
    return 0;
}

int
engine_main(const struct engine_options *options)
{
    const int fds[2] = {options->link_fd, options->kill_fd};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned char status = 1;
    int test_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/test.sock", options->runtime_dir);
    if (connect(test_fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        send_fds(test_fd, fds, options->kill_fd >= 0 ? 2 : 1) < 0) {
        (void)fprintf(stderr, "fake engine: no test listens\n");
        return 78;
    }
    /* The status to end with. A test that fails just disappears: then all it
     * started goes, as if the keeper were gone. */
    if (read(test_fd, &status, 1) != 1 && options->kill_fd >= 0)
        (void)!write(options->kill_fd, "1", 1);
    return status;
}
