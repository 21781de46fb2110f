/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/keeper/greet.h"
#include "daemon/keeper/log.h"
#include "daemon/keeper/notify.h"
#include "daemon/keeper/place.h"
#include "daemon/keeper/orders.h"
#include "daemon/keeper/spawn.h"
#include "daemon/keeper/sweep.h"

/* Packets kept for an engine that does not read; rows beyond that are told by
 * the next tick, and an engine this far behind is about to be killed. */
#define LINK_QUEUED_MAX 16384

/* Orders taken in one turn of the loop, so that ends are noticed in between. */
#define ORDERS_AT_ONCE 64

/* How long an engine that said QUIESCENT or REPLACE may take to exit. */
#define LEAVING_NS (10 * ASUP_NS_PER_S)

/* One that cannot start is tried again, ever more seldom. */
#define ENGINE_PAUSE_MIN ASUP_NS_PER_S
#define ENGINE_PAUSE_MAX (32 * ASUP_NS_PER_S)

/* ---- Starting ----------------------------------------------------------------------- */

static void
restore_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: descriptors, user, exec. */
static void __attribute__((noreturn)) run_engine(const struct keeper *k, int link_fd, int kill_fd)
{
    /* Out of the way of the numbers they shall have. */
    int link_copy = fcntl(link_fd, F_DUPFD_CLOEXEC, 10);
    int kill_copy = kill_fd >= 0 ? fcntl(kill_fd, F_DUPFD_CLOEXEC, 10) : -1;

    (void)setsid();
    if (dup2(link_copy, ENGINE_FD_LINK) < 0 ||
        (kill_copy >= 0 && dup2(kill_copy, ENGINE_FD_KILL) < 0))
        goto fail;
    (void)syscall(SYS_close_range, kill_copy >= 0 ? ENGINE_FD_KILL + 1 : ENGINE_FD_LINK + 1, ~0u,
                  0);
    if (keeper_switches_user(k) &&
        (setgroups(0, NULL) < 0 || setresgid(k->engine_gid, k->engine_gid, k->engine_gid) < 0 ||
         setresuid(k->engine_uid, k->engine_uid, k->engine_uid) < 0))
        goto fail;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        goto fail;
    restore_signals();
    /* As the file is now: an upgrade replaces it together with the module. */
    if (k->options->program_path != NULL)
        (void)execv(k->options->program_path, k->options->engine_argv);
    (void)execv("/proc/self/exe", k->options->engine_argv);
fail:
    log_error("cannot start the engine: %s", strerror(errno));
    _exit(KEEPER_EXIT_FAILED);
}

int
engine_start(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;
    int pair[2] = {-1, -1};
    int kill_fd = -1;
    int rc = 0;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    place_renew(k, true);
    if (k->cgroup.present)
        kill_fd = openat(k->cgroup.tree_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    pid = spawn_clone(-1, &engine->pidfd);
    if (pid == 0)
        run_engine(k, pair[1], kill_fd);
    if (kill_fd >= 0)
        close(kill_fd);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return pid;
    }
    engine->pid = pid;
    engine->runs++;
    engine->ready = false;
    engine->state = ENGINE_RUNNING;
    engine->due_at = k->now + k->options->engine_timeout_ns;
    engine->start_at = ASUP_NEVER;
    engine->link_watched_write = false;
    link_init(&engine->link, pair[0], LINK_QUEUED_MAX);
    rc = keeper_watch(k, pair[0], EPOLLIN, WATCH_TAG(WATCH_LINK, engine->runs));
    if (rc == 0)
        rc = keeper_watch(k, engine->pidfd, EPOLLIN, WATCH_TAG(WATCH_ENGINE, engine->runs));
    if (rc < 0)
        (void)syscall(SYS_pidfd_send_signal, engine->pidfd, SIGKILL, NULL, 0);
    greet_begin(k);
    return 0;
}

/* ---- The channel -------------------------------------------------------------------- */

static void
watch_link(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;
    bool wanted = link_wants_write(&engine->link);
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0),
                                .data.u64 = WATCH_TAG(WATCH_LINK, engine->runs)};

    if (engine->link.fd < 0 || wanted == engine->link_watched_write)
        return;
    if (epoll_ctl(k->epoll_fd, EPOLL_CTL_MOD, engine->link.fd, &event) == 0)
        engine->link_watched_write = wanted;
}

int
engine_send(struct keeper *k, struct link_message *message, int fd)
{
    int rc;

    if (k->engine.state == ENGINE_ABSENT)
        return -EPIPE;
    rc = link_send(&k->engine.link, message, fd);
    watch_link(k);
    return rc;
}

/* Take up to `max` orders: false at the channel's end. */
static bool
take_orders(struct keeper *k, int max, bool alive)
{
    for (int i = 0; i < max && k->engine.link.fd >= 0; i++) {
        struct link_message message;
        int fd;
        int rc = link_receive(k->engine.link.fd, &message, &fd);

        if (rc == 0)
            return true;
        if (rc == -EPIPE)
            return false;
        if (rc == -EPROTO) {
            engine_fault(k, "it sent a malformed packet");
            return true;
        }
        orders_take(k, &message, fd, alive);
    }
    return true;
}

void
engine_link_ready(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;

    if (engine->link.fd < 0)
        return;
    (void)link_flush(&engine->link);
    watch_link(k);
    greet_turn(k);
    if (!take_orders(k, ORDERS_AT_ONCE, true)) {
        /* It closed the channel: it is dying, or worse, it goes on without. */
        (void)epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, engine->link.fd, NULL);
        if (engine->state == ENGINE_RUNNING)
            (void)syscall(SYS_pidfd_send_signal, engine->pidfd, SIGKILL, NULL, 0);
    }
}

void
engine_fault(struct keeper *k, const char *what)
{
    log_error("the engine is killed: %s", what);
    if (k->engine.pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, k->engine.pidfd, SIGKILL, NULL, 0);
}

/* ---- What it says about itself -------------------------------------------------------- */

void
engine_became_ready(struct keeper *k)
{
    k->engine.ready = true;
    k->engine.start_pause = 0;
    if (!k->engine.ever_ready && k->options->ready_fd >= 0) {
        (void)!write(k->options->ready_fd, "", 1);
        close(k->options->ready_fd);
    }
    k->engine.ever_ready = true;
    notify_send("READY=1");
}

void
engine_heartbeat(struct keeper *k)
{
    if (k->engine.state == ENGINE_RUNNING)
        k->engine.due_at = k->now + k->options->engine_timeout_ns;
}

void
engine_quiescent(struct keeper *k)
{
    if (k->engine.state != ENGINE_RUNNING)
        return;
    k->engine.state = ENGINE_LEAVING;
    k->engine.due_at = k->now + LEAVING_NS;
}

void
engine_replace(struct keeper *k)
{
    if (k->engine.state != ENGINE_RUNNING)
        return;
    log_info("the engine is replaced; its tasks go on");
    notify_send("STATUS=The engine is replaced");
    k->engine.state = ENGINE_REPLACING;
    k->engine.due_at = k->now + LEAVING_NS;
}

void
engine_shut_down(struct keeper *k)
{
    struct link_message message = {.kind = LINK_SHUTDOWN};

    if (k->engine.state == ENGINE_ABSENT && k->engine.start_at > k->now) {
        log_error("there is no engine that could end anything in order: it is all killed");
        keeper_finish(k, KEEPER_EXIT_FAILED);
    }
    if (k->engine.state == ENGINE_ABSENT || k->engine.greeting)
        return; /* the next engine is told, or this one in its turn */
    message.u.shutdown.count = k->shutdown_count;
    if (engine_send(k, &message, -1) == 0)
        k->engine.shutdown_told = k->shutdown_count;
}

void
engine_tell(struct keeper *k)
{
    struct link_message message = {.kind = LINK_HELLO};

    greet_fill_hello(k, &message);
    (void)engine_send(k, &message, -1);
}

void
engine_reload(struct keeper *k)
{
    struct link_message message = {.kind = LINK_RELOAD};

    k->engine.reload_owed = k->engine.greeting;
    if (k->engine.greeting)
        return;
    greet_fill_hello(k, &message);
    if (engine_send(k, &message, -1) == 0)
        return;
    /* One that could not start may have been waiting for just this. */
    if (k->engine.state == ENGINE_ABSENT)
        k->engine.start_at = k->now;
    notify_send("READY=1");
}

/* ---- Its end ------------------------------------------------------------------------ */

/* True when it died too often. */
static bool
restarts_exhausted(struct keeper_engine *engine, uint32_t most, uint64_t now)
{
    uint64_t oldest = engine->restarts[ENGINE_RESTARTS_ROOM - most];

    memmove(engine->restarts, engine->restarts + 1,
            sizeof engine->restarts - sizeof engine->restarts[0]);
    engine->restarts[ENGINE_RESTARTS_ROOM - 1] = now;
    return oldest != 0 && now - oldest < ENGINE_RESTARTS_NS;
}

/* It ended before it was ready, and said by its status that it cannot: wrong
 * configuration, a journal that it cannot use, a keeper that does not fit.
 * (Of sysexits.h, 70 and 71 are faults, and 64 is what only a fault brings.) */
static bool
is_refusal(const struct keeper_engine *engine, const siginfo_t *info)
{
    return !engine->ready && info->si_code == CLD_EXITED && info->si_status > 64 &&
           info->si_status <= 78 && info->si_status != 70 && info->si_status != 71;
}

/* The tasks are not touched: an operator may put right what keeps it from
 * starting, and a reload has it tried at once. */
static void
start_later(struct keeper *k, int status)
{
    struct keeper_engine *engine = &k->engine;

    engine->start_pause = engine->start_pause == 0 ? ENGINE_PAUSE_MIN : engine->start_pause * 2;
    if (engine->start_pause > ENGINE_PAUSE_MAX)
        engine->start_pause = ENGINE_PAUSE_MAX;
    engine->start_at = k->now + engine->start_pause;
    log_error("the engine cannot start (status %d, its reason is above); running tasks go on, "
              "and it is tried again in %llu s",
              status, (unsigned long long)(engine->start_pause / ASUP_NS_PER_S));
    notify_send("STATUS=The engine cannot start (status %d, see the log); running tasks go on",
                status);
    if (k->shutdown_count > 0) {
        log_error("the daemon shall end, and nothing can end in order: it is all killed");
        keeper_finish(k, KEEPER_EXIT_FAILED);
    }
}

static void
start_again(struct keeper *k, const siginfo_t *info)
{
    struct keeper_engine *engine = &k->engine;

    engine->start_at = k->now;
    if (info->si_code == CLD_EXITED)
        log_error("the engine ended with status %d; a new one takes over its tasks",
                  info->si_status);
    else
        log_error("the engine died by signal %d (%s); a new one takes over its tasks",
                  info->si_status, strsignal(info->si_status));
    if (restarts_exhausted(engine, k->options->engine_restarts, k->now)) {
        log_error("it died too often within a minute; giving up, and all tasks are killed");
        keeper_finish(k, KEEPER_EXIT_FAILED);
    }
}

static void
first_ended(struct keeper *k, const siginfo_t *info)
{
    keeper_finish(k, info->si_code == CLD_EXITED && info->si_status != 0 ? info->si_status
                                                                         : KEEPER_EXIT_FAILED);
    if (info->si_code != CLD_EXITED)
        log_error("the engine died by signal %d (%s)", info->si_status, strsignal(info->si_status));
}

void
engine_ended(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;
    enum engine_state was;
    siginfo_t info = {0};

    if (engine->pidfd < 0 || waitid(P_PIDFD, (id_t)engine->pidfd, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0)
        return;
    /* Whatever it said before its end counts: it had written it down first. */
    engine->greeting = false;
    (void)take_orders(k, INT32_MAX, false);
    close(engine->pidfd);
    engine->pidfd = -1;
    engine->pid = 0;
    link_fini(&engine->link);
    /* Who handed these over learns that they are gone, and does it again. */
    spawn_drop_stdio(k);
    sweep_nobody_asks(k);

    was = engine->state;
    engine->state = ENGINE_ABSENT;
    engine->start_at = ASUP_NEVER;
    if (k->done)
        return; /* it was ended by us */
    if (was == ENGINE_LEAVING)
        keeper_finish(k, 0);
    else if (!engine->ever_ready)
        first_ended(k, &info);
    else if (was == ENGINE_REPLACING)
        engine->start_at = k->now;
    else if (engine->ready && info.si_code == CLD_EXITED && info.si_status == ENGINE_EXIT_GIVEN_UP)
        keeper_finish(k, KEEPER_EXIT_IOERR); /* it was to stop, and could do no more */
    else if (is_refusal(engine, &info))
        start_later(k, info.si_status);
    else
        start_again(k, &info);
}

static void
start_anew(struct keeper *k)
{
    int rc;

    if (k->engine.start_at > k->now)
        return;
    rc = engine_start(k);
    if (rc == 0)
        return;
    log_error("cannot start the engine: %s", strerror(-rc));
    k->engine.start_at = k->now + ENGINE_PAUSE_MIN;
    if (restarts_exhausted(&k->engine, k->options->engine_restarts, k->now))
        keeper_finish(k, KEEPER_EXIT_FAILED);
}

void
engine_turn(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;

    switch (engine->state) {
    case ENGINE_RUNNING:
    case ENGINE_LEAVING:
    case ENGINE_REPLACING:
        if (engine->greeting && engine->greet_next_at <= k->now)
            greet_turn(k);
        if (engine->due_at > k->now)
            break;
        engine_fault(k, engine->state == ENGINE_RUNNING ? "no sign of life from it"
                                                        : "it does not exit");
        engine->due_at = k->now + k->options->engine_timeout_ns;
        break;
    case ENGINE_ABSENT:
        if (!k->done)
            start_anew(k);
        break;
    }
}

uint64_t
engine_next_at(const struct keeper *k)
{
    const struct keeper_engine *engine = &k->engine;

    if (engine->state == ENGINE_ABSENT)
        return engine->start_at;
    return engine->greeting && engine->greet_next_at < engine->due_at ? engine->greet_next_at
                                                                      : engine->due_at;
}
