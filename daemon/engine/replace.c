/* SPDX-License-Identifier: MIT */
#include "daemon/engine/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/engine/journal.h"
#include "daemon/engine/report.h"

/* Less than the keeper's patience with an engine. */
#define REPLACE_PATIENCE_MS 3000

/* This program's file, which may be another one by now. */
static bool
program_path(char *path, size_t size)
{
    static const char gone[] = " (deleted)";
    ssize_t length = readlink("/proc/self/exe", path, size - 1);

    if (length <= 0)
        return false;
    path[length] = '\0';
    size_t end = (size_t)length;
    if (end > sizeof gone - 1 && strcmp(path + end - (sizeof gone - 1), gone) == 0)
        path[end - (sizeof gone - 1)] = '\0';
    return true;
}

static int
start_probe(struct engine *e, const char *path, int out_fd, pid_t *pid)
{
    char *argv[10] = {(char *)"asupersyncd", (char *)"--engine", (char *)"--link-version"};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int argc = 3;

    argv[argc++] = (char *)"--state-dir";
    argv[argc++] = (char *)e->options.state_dir;
    if (e->options.user_mode)
        argv[argc++] = (char *)"--user";
    if (e->options.config_path) {
        argv[argc++] = (char *)"--config";
        argv[argc++] = (char *)e->options.config_path;
    }
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, out_fd, STDERR_FILENO);
    /* The link and the kill descriptor are for engines. */
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (rc == 0)
        rc = posix_spawn(pid, path, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* All it says until it ends; its exit status, or -1: it does not end. */
static int
await_probe(int fd, pid_t pid, char *said, size_t size)
{
    const int64_t until = now_ms() + REPLACE_PATIENCE_MS;
    size_t used = 0;
    int status;

    said[0] = '\0';
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until - now_ms();
        char more[256];
        if (left <= 0 || (poll(&p, 1, (int)left) <= 0 && errno != EINTR)) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            return -1;
        }
        ssize_t got = read(fd, more, sizeof more);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            break;
        for (ssize_t i = 0; i < got; i++)
            if (used + 1 < size)
                said[used++] = more[i];
        said[used] = '\0';
    }
    while (used > 0 && said[used - 1] == '\n')
        said[--used] = '\0';
    if (waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool
replace_check(struct engine *e, char *text, size_t size)
{
    char path[PATH_MAX];
    char said[512];
    int fds[2];
    pid_t pid;

    if (!program_path(path, sizeof path) || pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
        snprintf(text, size, "the program cannot be looked at: %s", strerror(errno));
        return false;
    }
    int rc = start_probe(e, path, fds[1], &pid);
    close(fds[1]);
    if (rc != 0) {
        close(fds[0]);
        snprintf(text, size, "%s cannot be executed: %s", path, strerror(rc));
        return false;
    }
    int status = await_probe(fds[0], pid, said, sizeof said);
    close(fds[0]);
    if (status != 0) {
        snprintf(text, size, "the new program would not start: %s",
                 said[0] ? said : "it gave no answer");
        return false;
    }
    long version = strtol(said, NULL, 10);
    if (version != LINK_VERSION) {
        snprintf(text, size,
                 "the keeper that runs and the new program do not fit together (link version %d "
                 "and %ld): restart the whole daemon instead",
                 LINK_VERSION, version);
        return false;
    }
    return true;
}

void
replace_begin(struct engine *e)
{
    report(REPORT_NOTICE, "this engine goes, to be replaced by the program as it is now");
    e->exit_code = ENGINE_EXIT_REPLACE;
    e->replacing = true;
    e->replace_after = e->durable_seq;
    e->replace_by = engine_now(e) + REPLACE_PATIENCE_MS * ASUP_NS_PER_MS;
}

void
replace_turn(struct engine *e)
{
    if (e->replacing &&
        (journal_committed(e->journal) >= e->replace_after || engine_now(e) >= e->replace_by))
        ev_break(e->loop, EVBREAK_ALL);
}
