/* SPDX-License-Identifier: MIT */
#include "lease_hold.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many times within its life the lease is renewed. */
enum { RENEWALS = 3 };

struct hold {
    struct ctl *ctl;
    const char *id;
    uint64_t ttl_ns;
    uint64_t until_ns; /* it may have expired then */
    pid_t child;
    int pidfd;
    bool lost;
};

/* A cancel reaches every process of the task, the command among them: this one
 * stays to see it end, and lets the lease go then. */
static const int shared_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void
signals_set(void (*handler)(int))
{
    for (size_t i = 0; i < sizeof shared_signals / sizeof shared_signals[0]; i++)
        signal(shared_signals[i], handler);
}

static int
command_start(struct hold *h, uint64_t token)
{
    char *const *argv = h->ctl->args.command;
    char number[24];

    snprintf(number, sizeof number, "%llu", (unsigned long long)token);
    setenv("ASUPERSYNC_LEASE_TOKEN", number, 1);
    setenv("ASUPERSYNC_LEASE", h->id, 1);
    signals_set(SIG_IGN);
    h->child = fork();
    if (h->child == 0) {
        signals_set(SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], argv);
        int error = errno;
        fprintf(stderr, "asupersyncctl: %s: %s\n", argv[0], strerror(error));
        _exit(error == ENOENT ? 127 : 126);
    }
    if (h->child < 0)
        return ctl_failf(h->ctl, -ASUP_EUNAVAILABLE, "", "cannot start a process: %s",
                         strerror(errno));
    h->pidfd = pidfd_open(h->child, 0);
    if (h->pidfd < 0) {
        (void)kill(h->child, SIGKILL);
        (void)waitpid(h->child, NULL, 0);
        return ctl_failf(h->ctl, -ASUP_EUNAVAILABLE, "", "cannot watch a process: %s",
                         strerror(errno));
    }
    return 0;
}

static void
lose(struct hold *h, const char *why)
{
    h->lost = true;
    ctl_remark(h->ctl, "the lease is lost (%s): ending the command", why);
    (void)kill(h->child, SIGTERM);
}

/* Counted from before it was asked for, so never later than the daemon's. An
 * answer that does not come (the daemon is being started again) is asked for
 * once more, until the lease may have expired. */
static void
renew(struct hold *h)
{
    struct asup_error_info error;
    uint64_t begun = now_steady_ns();
    uint64_t left_ms = h->until_ns > begun ? (h->until_ns - begun) / ASUP_NS_PER_MS : 0;
    int rc = ctl_call(h->ctl, "lease.renew", json_pack("{s:s}", "obligation", h->id),
                      (int64_t)left_ms + 1, NULL, &error);

    if (rc == 0)
        h->until_ns = begun + h->ttl_ns;
    else if (rc != -ASUP_ENOTCONN && rc != -ASUP_ETIMEDOUT && rc != -ASUP_EUNAVAILABLE)
        lose(h, error.message);
    else if (now_steady_ns() >= h->until_ns)
        lose(h, "it could not be renewed in time");
}

static int
command_end(struct hold *h)
{
    int status = 0;

    while (waitpid(h->child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return 128 + WTERMSIG(status);
}

int
lease_hold(struct ctl *ctl, const char *id, uint64_t token, uint64_t ttl_ns, uint64_t until_ns)
{
    struct hold h = {.ctl = ctl, .id = id, .ttl_ns = ttl_ns, .until_ns = until_ns, .pidfd = -1};
    struct asup_error_info error;
    int rc = command_start(&h, token);
    int exit_code;

    if (rc == 0) {
        for (;;) {
            struct pollfd fd = {.fd = h.pidfd, .events = POLLIN};
            uint64_t now = now_steady_ns();
            uint64_t step = h.ttl_ns - h.ttl_ns / RENEWALS;
            uint64_t due = h.until_ns > step ? h.until_ns - step : 0;
            int wait_ms = h.lost ? -1 : due > now ? (int)((due - now) / ASUP_NS_PER_MS + 1) : 0;

            if (poll(&fd, 1, wait_ms) > 0)
                break;
            if (!h.lost && now_steady_ns() >= due)
                renew(&h);
        }
        exit_code = command_end(&h);
        close(h.pidfd);
    } else {
        exit_code = rc;
    }
    rc = ctl_call(ctl, "lease.release", json_pack("{s:s}", "obligation", id), 10000, NULL, &error);
    if (rc != 0 && !h.lost) {
        h.lost = rc == -ASUP_EEXPIRED || rc == -ASUP_ECLOSED || rc == -ASUP_ERESOLVED;
        ctl_remark(ctl, "the lease ended before the command: %s", error.message);
    }
    return h.lost ? EXIT_LEASE_LOST : exit_code;
}
