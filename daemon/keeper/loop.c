/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/keeper/contain.h"
#include "daemon/keeper/engine.h"
#include "daemon/keeper/identity.h"
#include "daemon/keeper/log.h"
#include "daemon/keeper/notify.h"
#include "daemon/keeper/place.h"
#include "daemon/keeper/reap.h"
#include "daemon/keeper/rows.h"
#include "daemon/keeper/run_as.h"
#include "daemon/keeper/spawn.h"
#include "daemon/keeper/state.h"
#include "daemon/keeper/sweep.h"

#define EVENTS_AT_ONCE 64

/* At the end, how long killed processes may take to go. */
#define LAST_WAIT_NS (10 * ASUP_NS_PER_S)

uint64_t
keeper_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ASUP_NS_PER_S + (uint64_t)now.tv_nsec;
}

int
keeper_watch(struct keeper *k, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = tag};

    return epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void
keeper_finish(struct keeper *k, int status)
{
    if (!k->done)
        k->exit_status = status;
    k->done = true;
}

/* ---- Setting up ----------------------------------------------------------------------- */

/* All signals wait in signal_fd and no handler is set, so that children have
 * nothing to reset but the mask; SIGPIPE is just blocked for good. */
static int
take_signals(struct keeper *k)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t all;
    sigset_t wanted;

    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &action, NULL);
    sigfillset(&all);
    /* A fault in the keeper itself shall be seen as one. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGTRAP);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        return -errno;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGHUP);
    k->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    return k->signal_fd < 0 ? -errno
                            : keeper_watch(k, k->signal_fd, EPOLLIN, WATCH_TAG(WATCH_SIGNALS, 0));
}

/* What tasks would inherit from the keeper is put right once, here, instead of
 * in every child. */
static void
clean_inheritance(struct keeper *k)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    char text[16] = "";
    struct rlimit files;
    int fd;

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &header, data) == 0) {
        data[0].inheritable = 0;
        data[1].inheritable = 0;
        (void)syscall(SYS_capset, &header, data);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        k->nofile_soft = files.rlim_cur;
        k->nofile_hard = files.rlim_max;
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    k->nice_adjusted = getpriority(PRIO_PROCESS, 0) != 0;
    fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        k->oom_adjusted = read(fd, text, sizeof text - 1) > 0 && strcmp(text, "0\n") != 0;
        close(fd);
    }
    (void)umask(022);
    (void)!chdir("/");
}

/* So that a new engine knows whether this is still the keeper, and the boot,
 * that its predecessor wrote about. */
static void
know_oneself(struct keeper *k)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, k->boot, sizeof k->boot - 1) : 0;

    if (fd >= 0)
        close(fd);
    k->boot[got > 0 ? got : 0] = '\0';
    k->boot[strcspn(k->boot, "\n")] = '\0';
    if (getrandom(&k->instance, sizeof k->instance, GRND_NONBLOCK) != sizeof k->instance)
        k->instance = k->now ^ (uint64_t)getpid() << 48; /* before there is any randomness */
}

static int
load_rules(const struct keeper *k)
{
    char message[512];

    if (!keeper_switches_user(k) ||
        run_as_load(k->options->run_as_path, message, sizeof message) == 0)
        return 0;
    log_error("%s", message);
    return KEEPER_EXIT_CONFIG;
}

static int
set_up(struct keeper *k)
{
    int rc;

    k->own_uid = geteuid();
    chain_init(&k->changed);
    chain_init(&k->unacked);
    chain_init(&k->untold);
    chain_init(&k->untold_regions);
    chain_init(&k->leftovers);
    chain_init(&k->sweeps);
    k->leftover_next_at = ASUP_NEVER;
    k->orphans_next_at = ASUP_NEVER;
    k->engine.start_at = ASUP_NEVER;
    k->engine.pidfd = -1;
    k->engine.link.fd = -1;
    k->cgroup.tree_fd = -1;
    if (!table_init(&k->rows) || !table_init(&k->by_pid) || !table_init(&k->regions) ||
        !table_init(&k->sweep_table)) {
        log_error("out of memory");
        return KEEPER_EXIT_FAILED;
    }
    k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    k->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    k->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    rc = take_signals(k);
    if (rc == 0)
        rc = keeper_watch(k, k->inotify_fd, EPOLLIN, WATCH_TAG(WATCH_INOTIFY, 0));
    if (rc < 0 || k->null_fd < 0) {
        log_error("cannot set up: %s", strerror(rc < 0 ? -rc : errno));
        return KEEPER_EXIT_FAILED;
    }
    clean_inheritance(k);
    know_oneself(k);
    rc = load_rules(k);
    if (rc == 0)
        rc = place_directories(k);
    if (rc == 0)
        rc = place_cgroups(k);
    return rc;
}

/* ---- Turning -------------------------------------------------------------------------- */

void
keeper_reread(struct keeper *k)
{
    if (load_rules(k) != 0)
        log_error("the run-as rules from before stay in force");
    identity_forget_all();
}

static void
reload(struct keeper *k)
{
    notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(k->now / 1000));
    place_renew(k, false);
    keeper_reread(k);
    engine_reload(k);
}

static void
shut_down(struct keeper *k)
{
    k->shutdown_count++;
    engine_shut_down(k);
}

static void
take_signal(struct keeper *k, const struct signalfd_siginfo *info)
{
    switch (info->ssi_signo) {
    case SIGCHLD:
        reap_child_signal(k, (pid_t)info->ssi_pid);
        break;
    case SIGTERM:
    case SIGINT:
        shut_down(k);
        break;
    case SIGHUP:
        /* From the kernel it means that the terminal is gone. */
        if (info->ssi_code == SI_KERNEL)
            shut_down(k);
        else
            reload(k);
        break;
    default:
        break;
    }
}

static void
take_signals_waiting(struct keeper *k)
{
    struct signalfd_siginfo infos[8];
    ssize_t got = read(k->signal_fd, infos, sizeof infos);

    for (ssize_t i = 0; i < got / (ssize_t)sizeof infos[0]; i++)
        take_signal(k, &infos[i]);
}

static void
take_event(struct keeper *k, const struct epoll_event *event)
{
    uint64_t id = event->data.u64 & KEEPER_ID_MAX;
    struct row *row;

    switch ((enum watch)(event->data.u64 >> 60)) {
    case WATCH_SIGNALS:
        take_signals_waiting(k);
        break;
    case WATCH_LINK:
        if (id == k->engine.runs)
            engine_link_ready(k);
        break;
    case WATCH_ENGINE:
        if (id == k->engine.runs)
            engine_ended(k);
        break;
    case WATCH_INOTIFY:
        reap_inotify(k);
        break;
    case WATCH_STATUS:
        row = row_find(k, id);
        if (row != NULL)
            spawn_status(k, row);
        break;
    case WATCH_MAIN:
        row = row_find(k, id);
        if (row != NULL)
            reap_main(k, row);
        break;
    case WATCH_SWEEP:
        sweep_child_ended(k, id);
        break;
    }
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
next_at(const struct keeper *k)
{
    uint64_t at = engine_next_at(k);

    at = earlier(at, sweep_next_at(k));
    at = earlier(at, k->leftover_next_at);
    at = earlier(at, k->orphans_next_at);
    at = earlier(at, k->watchdog_next_at);
    if (!chain_empty(&k->unacked) && k->engine.state == ENGINE_RUNNING)
        at = earlier(at, k->tick_next_at);
    return at;
}

static void
feed_watchdog(struct keeper *k)
{
    if (k->watchdog_next_at > k->now)
        return;
    notify_send("WATCHDOG=1");
    k->watchdog_next_at = k->now + notify_watchdog_ns() / 2;
}

/* A pause of the keeper itself (the machine stood still, or it was stopped)
 * does not count against the engine. */
static void
advance_clock(struct keeper *k, uint64_t planned_at)
{
    uint64_t late;

    k->now = keeper_clock();
    late = planned_at != ASUP_NEVER && k->now > planned_at ? k->now - planned_at : 0;
    if (late > ASUP_NS_PER_S)
        k->engine.due_at += late;
}

static int
wait_events(struct keeper *k, struct epoll_event *events, uint64_t until)
{
    struct timespec pause = {0};
    uint64_t now = keeper_clock();
    int count;

    if (until != ASUP_NEVER && until > now) {
        pause.tv_sec = (time_t)((until - now) / ASUP_NS_PER_S);
        pause.tv_nsec = (long)((until - now) % ASUP_NS_PER_S);
    }
    count = epoll_pwait2(k->epoll_fd, events, EVENTS_AT_ONCE, until == ASUP_NEVER ? NULL : &pause,
                         NULL);
    if (count < 0 && errno == ENOSYS) /* before Linux 5.11 */
        count = epoll_wait(k->epoll_fd, events, EVENTS_AT_ONCE,
                           until == ASUP_NEVER
                               ? -1
                               : (int)(pause.tv_sec * 1000 + (pause.tv_nsec + 999999) / 1000000));
    return count;
}

static void
turn(struct keeper *k)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t until = next_at(k);
    int count = wait_events(k, events, until);

    advance_clock(k, until);
    for (int i = 0; i < count; i++)
        take_event(k, &events[i]);
    reap_orphans_late(k);
    reap_leftovers(k);
    sweep_turn(k);
    rows_tick(k);
    engine_turn(k);
    feed_watchdog(k);
}

/* ---- The end -------------------------------------------------------------------------- */

/* One turn of the last wait; true while there is time left. */
static bool
wait_on(struct keeper *k, uint64_t end_at)
{
    struct epoll_event events[EVENTS_AT_ONCE];

    for (int i = wait_events(k, events, keeper_clock() + 2 * ASUP_NS_PER_MS); i > 0; i--)
        take_event(k, &events[i - 1]);
    k->now = keeper_clock();
    reap_child_signal(k, 0);
    reap_leftovers(k);
    sweep_turn(k);
    engine_ended(k);
    contain_look_again(k);
    return k->now < end_at;
}

/* After an orderly end nothing is left to kill; otherwise everything goes now.
 * Then the work directories, and our own cgroups. */
static void
wind_up(struct keeper *k)
{
    uint64_t end_at = keeper_clock() + LAST_WAIT_NS;

    if (k->engine.pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, k->engine.pidfd, SIGKILL, NULL, 0);
    while (k->engine.pidfd >= 0 || k->by_pid.count > 0 || contain_populated_all(k) != 0) {
        rows_kill_all(k);
        if (!wait_on(k, end_at)) {
            log_error("killed processes do not go away; leaving them to the next start");
            k->exit_status = KEEPER_EXIT_FAILED;
            break;
        }
    }
    sweep_drop_all(k);
    sweep_leftover_work(k);
    end_at = keeper_clock() + 2 * LAST_WAIT_NS;
    while (!chain_empty(&k->sweeps) && wait_on(k, end_at))
        ;
    place_leave(k);
}

int
keeper_run(const struct keeper_options *options)
{
    static struct keeper keeper;
    struct keeper *k = &keeper;
    int status;

    memset(k, 0, sizeof *k);
    k->options = options;
    k->now = keeper_clock();
    k->watchdog_next_at = notify_watchdog_ns() != 0 ? k->now : ASUP_NEVER;
    status = set_up(k);
    if (status != 0)
        return status;
    sweep_leftover_work(k);
    status = engine_start(k);
    if (status < 0) {
        log_error("cannot start the engine: %s", strerror(-status));
        keeper_finish(k, KEEPER_EXIT_FAILED);
    }
    while (!k->done)
        turn(k);
    wind_up(k);
    return k->exit_status;
}
