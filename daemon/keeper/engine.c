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

#include "daemon/keeper/contain.h"
#include "daemon/keeper/log.h"
#include "daemon/keeper/notify.h"
#include "daemon/keeper/orders.h"
#include "daemon/keeper/rows.h"
#include "daemon/keeper/run_as.h"
#include "daemon/keeper/spawn.h"
#include "daemon/keeper/sweep.h"

/* Packets kept for an engine that does not read; rows beyond that are told by
 * the next tick, and an engine this far behind is about to be killed. */
#define LINK_QUEUED_MAX 16384

/* Orders taken in one turn of the loop, so that ends are noticed in between. */
#define ORDERS_AT_ONCE 64

/* How long an engine that said QUIESCENT may take to exit. */
#define LEAVING_NS (10 * ASUP_NS_PER_S)

/* While clearing: how often to look and kill again, and to complain. */
#define CLEAR_LOOK_NS (2 * ASUP_NS_PER_MS)
#define CLEAR_REPORT_NS (10 * ASUP_NS_PER_S)

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
    (void)execv("/proc/self/exe", k->options->engine_argv);
fail:
    log_error("cannot start the engine: %s", strerror(errno));
    _exit(KEEPER_EXIT_FAILED);
}

static void
fill_hello(struct keeper *k, struct link_message *message)
{
    message->u.hello.version = LINK_VERSION;
    message->u.hello.keeper_pid = (uint32_t)getpid();
    /* Where a task may run as root it could leave its cgroup, as one that runs
     * as the owner of the whole tree. */
    if (k->cgroup.present)
        k->containment = !keeper_switches_user(k) || run_as_allows(0)
                             ? CONTAINMENT_CGROUP2_COOPERATIVE
                             : CONTAINMENT_CGROUP2;
    message->u.hello.containment = k->containment;
    message->u.hello.engine_runs = k->engine.runs;
    message->u.hello.heartbeat_ns = k->options->engine_timeout_ns / 4;
    message->u.hello.system_mode = keeper_switches_user(k);
    message->u.hello.memory_limits = k->cgroup.memory;
    message->u.hello.pids_limits = k->cgroup.pids;
    (void)snprintf(message->u.hello.work_dir, sizeof message->u.hello.work_dir, "%s/work",
                   k->options->state_dir);
    (void)snprintf(message->u.hello.cgroup, sizeof message->u.hello.cgroup, "%.191s",
                   k->cgroup.present ? k->cgroup.tree : "");
}

/* The first words to a new engine. The table is empty, since nothing outlives
 * an engine, and said so. */
static void
greet(struct keeper *k)
{
    struct link_message hello = {.kind = LINK_HELLO};
    struct link_message end = {.kind = LINK_TABLE_END};

    fill_hello(k, &hello);
    (void)engine_send(k, &hello, -1);
    (void)engine_send(k, &end, -1);
    if (k->shutdown_count > 0)
        engine_shut_down(k);
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
    engine->link_watched_write = false;
    link_init(&engine->link, pair[0], LINK_QUEUED_MAX);
    rc = keeper_watch(k, pair[0], EPOLLIN, WATCH_TAG(WATCH_LINK, engine->runs));
    if (rc == 0)
        rc = keeper_watch(k, engine->pidfd, EPOLLIN, WATCH_TAG(WATCH_ENGINE, engine->runs));
    if (rc < 0)
        (void)syscall(SYS_pidfd_send_signal, engine->pidfd, SIGKILL, NULL, 0);
    greet(k);
    return rc;
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

    if (k->engine.state != ENGINE_RUNNING && k->engine.state != ENGINE_LEAVING)
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
    if (!take_orders(k, ORDERS_AT_ONCE, true)) {
        /* It closed the channel: it is dying, or worse, it goes on without. */
        (void)epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, engine->link.fd, NULL);
        if (engine->state != ENGINE_LEAVING)
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
engine_shut_down(struct keeper *k)
{
    struct link_message message = {.kind = LINK_SHUTDOWN};

    message.u.shutdown.count = k->shutdown_count;
    (void)engine_send(k, &message, -1);
}

void
engine_tell(struct keeper *k)
{
    struct link_message message = {.kind = LINK_HELLO};

    fill_hello(k, &message);
    (void)engine_send(k, &message, -1);
}

void
engine_reload(struct keeper *k)
{
    struct link_message message = {.kind = LINK_RELOAD};

    fill_hello(k, &message);
    if (engine_send(k, &message, -1) < 0)
        notify_send("READY=1");
}

/* ---- Its end ------------------------------------------------------------------------ */

/* True when it died too often. */
static bool
restarts_exhausted(struct keeper_engine *engine, uint64_t now)
{
    uint64_t oldest = engine->restarts[0];

    memmove(engine->restarts, engine->restarts + 1,
            sizeof engine->restarts - sizeof engine->restarts[0]);
    engine->restarts[ENGINE_RESTARTS_MAX - 1] = now;
    return oldest != 0 && now - oldest < ENGINE_RESTARTS_NS;
}

static void
say_how_it_ended(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        log_error("the engine ended with status %d; all tasks are killed", info->si_status);
    else
        log_error("the engine died by signal %d (%s); all tasks are killed", info->si_status,
                  strsignal(info->si_status));
}

void
engine_ended(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;
    siginfo_t info = {0};

    if (engine->pidfd < 0 || waitid(P_PIDFD, (id_t)engine->pidfd, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0)
        return;
    /* To the very end: its last word may have been QUIESCENT. */
    (void)take_orders(k, INT32_MAX, false);
    close(engine->pidfd);
    engine->pidfd = -1;
    engine->pid = 0;
    link_fini(&engine->link);

    if (engine->state == ENGINE_LEAVING) {
        keeper_finish(k, 0);
    } else if (!engine->ever_ready) {
        keeper_finish(k, info.si_code == CLD_EXITED && info.si_status != 0 ? info.si_status
                                                                           : KEEPER_EXIT_FAILED);
        if (info.si_code != CLD_EXITED)
            say_how_it_ended(&info);
    } else {
        say_how_it_ended(&info);
        engine->state = ENGINE_CLEARING;
        engine->clear_next_at = k->now;
        engine->clear_report_at = k->now + CLEAR_REPORT_NS;
        if (k->shutdown_count > 0 || restarts_exhausted(engine, k->now)) {
            log_error(k->shutdown_count > 0 ? "it died while shutting down; giving up"
                                            : "it died too often within a minute; giving up");
            keeper_finish(k, KEEPER_EXIT_FAILED);
        }
    }
}

/* Nothing of the old tasks may live when a new engine starts. */
static void
clear(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;
    struct table_node *node;
    int rc;

    if (engine->clear_next_at > k->now)
        return;
    engine->clear_next_at = k->now + CLEAR_LOOK_NS;
    contain_look_again(k);
    rows_kill_all(k);
    if (contain_populated_all(k) != 0 || k->by_pid.count > 0 || k->sweeps_running > 0) {
        if (engine->clear_report_at <= k->now) {
            engine->clear_report_at = k->now + CLEAR_REPORT_NS;
            log_warning("killed processes do not go away; no engine is started before");
            notify_send("STATUS=Waiting for killed processes to go away");
        }
        return;
    }
    while ((node = table_next(&k->rows, NULL)) != NULL)
        row_free(k, TABLE_OWNER(node, struct row, by_task));
    while ((node = table_next(&k->regions, NULL)) != NULL)
        region_free(k, TABLE_OWNER(node, struct region, by_id));
    contain_remove_all(k);
    spawn_drop_stdio(k);
    sweep_drop_all(k);
    sweep_leftover_work(k);
    engine->state = ENGINE_ABSENT;
    rc = engine_start(k);
    if (rc < 0) {
        log_error("cannot start the engine: %s", strerror(-rc));
        keeper_finish(k, KEEPER_EXIT_FAILED);
    }
}

void
engine_turn(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;

    switch (engine->state) {
    case ENGINE_RUNNING:
    case ENGINE_LEAVING:
        if (engine->due_at > k->now)
            break;
        engine_fault(k, engine->state == ENGINE_RUNNING ? "no sign of life from it"
                                                        : "it does not exit");
        engine->due_at = k->now + k->options->engine_timeout_ns;
        break;
    case ENGINE_CLEARING:
        clear(k);
        break;
    case ENGINE_ABSENT:
        break;
    }
}

uint64_t
engine_next_at(const struct keeper *k)
{
    switch (k->engine.state) {
    case ENGINE_RUNNING:
    case ENGINE_LEAVING:
        return k->engine.due_at;
    case ENGINE_CLEARING:
        return k->engine.clear_next_at;
    case ENGINE_ABSENT:
        break;
    }
    return ASUP_NEVER;
}
