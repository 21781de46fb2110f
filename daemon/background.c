/* SPDX-License-Identifier: MIT */
#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/keeper/keeper.h"
#include "daemon/keeper/log.h"

/* Below the state directory; kept once as ".1" when it has grown. */
#define DAEMON_LOG "daemon.log"
#define DAEMON_LOG_MAX (1 << 20)

/* The caller's process: waits for the one in the middle, and says what the log
 * says if the start failed. */
static void __attribute__((noreturn)) wait_for_start(pid_t middle, int log_fd, off_t log_start)
{
    char text[4096];
    int status = 0;
    ssize_t got;

    if (waitpid(middle, &status, 0) == middle && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        _exit(EXIT_SUCCESS);
    while ((got = pread(log_fd, text, sizeof text, log_start)) > 0) {
        (void)!write(STDERR_FILENO, text, (size_t)got);
        log_start += got;
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : KEEPER_EXIT_FAILED);
}

/* The process in the middle: leaves with success once the daemon is ready, or
 * with the status of a daemon that never was. */
static void __attribute__((noreturn)) stand_between(pid_t daemon, int ready_fd)
{
    int status = 0;
    char ready;

    if (read(ready_fd, &ready, 1) == 1)
        _exit(EXIT_SUCCESS);
    if (waitpid(daemon, &status, 0) != daemon || !WIFEXITED(status) || WEXITSTATUS(status) == 0)
        _exit(KEEPER_EXIT_FAILED);
    _exit(WEXITSTATUS(status));
}

static int
open_log(const char *state_dir)
{
    char path[512];
    char old[520];
    struct stat status;

    (void)snprintf(path, sizeof path, "%s/" DAEMON_LOG, state_dir);
    (void)snprintf(old, sizeof old, "%s.1", path);
    if (lstat(path, &status) == 0 && status.st_size > DAEMON_LOG_MAX)
        (void)rename(path, old);
    return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void
make_state_dir(const char *path)
{
    char part[512];

    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(part, 0755);
        *slash = '/';
    }
    (void)mkdir(part, 0700);
}

int
background_go(const char *state_dir)
{
    int log_fd;
    int pipe_fds[2];
    int null_fd;
    off_t log_start;
    pid_t child;

    make_state_dir(state_dir);
    log_fd = open_log(state_dir);
    if (log_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
        log_error("cannot write the log '%s/" DAEMON_LOG "': %s", state_dir, strerror(errno));
        exit(KEEPER_EXIT_CANTCREAT);
    }
    log_start = lseek(log_fd, 0, SEEK_END);
    child = fork();
    if (child > 0) {
        close(pipe_fds[1]);
        wait_for_start(child, log_fd, log_start);
    }
    if (child == 0) {
        (void)setsid();
        child = fork();
        if (child > 0) {
            close(pipe_fds[1]);
            stand_between(child, pipe_fds[0]);
        }
    }
    if (child < 0) {
        log_error("cannot fork: %s", strerror(errno));
        _exit(KEEPER_EXIT_FAILED);
    }
    close(pipe_fds[0]);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)dup2(null_fd, STDIN_FILENO);
    (void)dup2(null_fd, STDOUT_FILENO);
    (void)dup2(log_fd, STDERR_FILENO);
    close(null_fd);
    close(log_fd);
    return pipe_fds[1];
}
