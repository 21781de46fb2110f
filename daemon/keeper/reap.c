/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/reap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/keeper/contain.h"
#include "daemon/keeper/rows.h"
#include "daemon/keeper/spawn.h"
#include "daemon/keeper/sweep.h"

/* How often to look for emptiness when no notice comes: soon after something
 * happened, then ever more seldom. The notices lag by 13 ms, so the first
 * looks do not wait for them. */
#define LEFTOVER_PAUSE_MIN (ASUP_NS_PER_MS / 4)
#define LEFTOVER_PAUSE_MAX (250 * ASUP_NS_PER_MS)
#define LEFTOVER_AT_ONCE 256

/* Orphans reaped in one turn of the loop. */
#define ORPHANS_AT_ONCE 256
/* SIGCHLDs merge: after some, look for orphans even if none was named. */
#define ORPHANS_PAUSE (20 * ASUP_NS_PER_MS)

/* Main processes reaped a moment ago, whose SIGCHLD may still come. */
#define RECENT_MAINS 64
static uint32_t recent_mains[RECENT_MAINS];

/* waitid(2) as the kernel has it, with the resource use. */
static int
wait_pidfd(int pidfd, siginfo_t *info, struct rusage *usage)
{
    info->si_pid = 0;
    return (int)syscall(SYS_waitid, P_PIDFD, pidfd, info, WEXITED | WNOHANG, usage);
}

bool
reap_has_ended(const struct row *row)
{
    struct pollfd end = {.fd = row->pidfd, .events = POLLIN};

    return row->pidfd < 0 || poll(&end, 1, 0) != 0;
}

/* ---- Emptiness ---------------------------------------------------------------------- */

void
reap_look_soon(struct keeper *k)
{
    if (k->leftover_count == 0)
        return;
    k->leftover_pause = LEFTOVER_PAUSE_MIN;
    k->leftover_next_at = k->now;
}

/* Still populated: ask for a notice as well. There may be no room for one. */
static void
watch_events(struct keeper *k, struct row *row)
{
    char path[sizeof k->cgroup.tree + KEEPER_CGROUP_PATH_MAX + 32];

    if (!k->cgroup.present || row->inotify_watch >= 0)
        return;
    (void)snprintf(path, sizeof path, "%s/%s%st%llu/cgroup.events", k->cgroup.tree,
                   row->region->cgroup_path, row->region->cgroup_path[0] != '\0' ? "/" : "",
                   (unsigned long long)row->wire.task);
    row->inotify_watch = inotify_add_watch(k->inotify_fd, path, IN_MODIFY);
}

/* The main process of a row has ended; is anything left? True when the row is
 * done with, and possibly freed. */
static bool
look_at(struct keeper *k, struct row *row, uint32_t new_facts)
{
    uint64_t cpu_ns;
    int populated = 0;
    bool known_empty = (row->wire.facts & ROW_EMPTY) != 0;

    /* Removing is the cheapest way to ask: only an empty one goes. */
    if (!row->had_leftover && !known_empty && row->cgroup_made && contain_remove(k, row) == 0)
        known_empty = true;
    if (!known_empty) {
        populated = contain_populated(k, row);
        if (populated == 0)
            known_empty = true;
    }
    if (known_empty && (row->wire.facts & ROW_EMPTY) == 0) {
        /* Those that lived longer used time that the main process's own
         * account does not hold. */
        if (row->had_leftover && contain_cpu(k, row, &cpu_ns) == 0 && cpu_ns > row->wire.cpu_ns)
            row->wire.cpu_ns = cpu_ns;
        new_facts |= ROW_EMPTY;
        if (row->wire.error != 0)
            new_facts |= ROW_START_FAILED;
    }
    if (new_facts != 0)
        row_changed(k, row, new_facts);
    if (known_empty && contain_remove(k, row) == 0) {
        if (row->inotify_watch >= 0)
            (void)inotify_rm_watch(k->inotify_fd, row->inotify_watch);
        row->inotify_watch = -1;
        if (!chain_empty(&row->leftover)) {
            chain_remove(&row->leftover);
            k->leftover_count--;
        }
        row_release(k, row);
        return true;
    }
    /* Killed, and still something there: it may have been forked past it. */
    if (populated > 0 && row->killed)
        (void)contain_kill(k, row);
    if (chain_empty(&row->leftover)) {
        chain_append(&k->leftovers, &row->leftover);
        k->leftover_count++;
        reap_look_soon(k);
        k->leftover_next_at = k->now + LEFTOVER_PAUSE_MIN;
    } else if (populated > 0) {
        watch_events(k, row);
    }
    row->had_leftover = true;
    return false;
}

void
reap_leftovers(struct keeper *k)
{
    uint32_t rounds = k->leftover_count < LEFTOVER_AT_ONCE ? k->leftover_count : LEFTOVER_AT_ONCE;
    bool progress = false;

    if (k->leftover_count == 0)
        k->leftover_next_at = ASUP_NEVER;
    if (k->leftover_next_at > k->now)
        return;
    contain_look_again(k);
    for (uint32_t i = 0; i < rounds; i++) {
        struct row *row = CHAIN_OWNER(k->leftovers.next, struct row, leftover);

        /* To the end of the line first: the row may be freed. */
        chain_append(&k->leftovers, &row->leftover);
        if (look_at(k, row, 0))
            progress = true;
    }
    if (progress)
        k->leftover_pause = LEFTOVER_PAUSE_MIN;
    else if (k->leftover_pause < LEFTOVER_PAUSE_MAX)
        k->leftover_pause *= 2;
    k->leftover_next_at = k->leftover_count > 0 ? k->now + k->leftover_pause : ASUP_NEVER;
}

void
reap_inotify(struct keeper *k)
{
    char buffer[4096] __attribute__((aligned(8)));

    while (read(k->inotify_fd, buffer, sizeof buffer) > 0)
        ;
    reap_look_soon(k);
}

/* ---- Main processes ------------------------------------------------------------------ */

static void
take_usage(struct keeper *k, struct row *row, const struct rusage *usage)
{
    bool oom_killed;

    row->wire.cpu_ns =
        ((uint64_t)usage->ru_utime.tv_sec + (uint64_t)usage->ru_stime.tv_sec) * ASUP_NS_PER_S +
        ((uint64_t)usage->ru_utime.tv_usec + (uint64_t)usage->ru_stime.tv_usec) * 1000;
    contain_memory(k, row, &row->wire.memory_peak, &oom_killed);
    if (row->wire.memory_peak == 0)
        row->wire.memory_peak = (uint64_t)usage->ru_maxrss * 1024;
    if (oom_killed)
        row->wire.facts |= ROW_OOM_KILLED;
}

static uint32_t
take_status(struct row *row, const siginfo_t *info)
{
    switch (info->si_code) {
    case CLD_EXITED:
        row->wire.exit_code = info->si_status & 0xff;
        return ROW_EXITED;
    case CLD_DUMPED:
        row->wire.signal = info->si_status;
        return ROW_EXITED | ROW_CORE_DUMPED;
    case CLD_KILLED:
        row->wire.signal = info->si_status;
        return ROW_EXITED;
    default:
        return ROW_EXITED | ROW_LOST;
    }
}

void
reap_main(struct keeper *k, struct row *row)
{
    struct rusage usage;
    siginfo_t info;
    uint32_t facts;
    bool started;

    if (row->pidfd < 0)
        return;
    spawn_status(k, row);
    started = (row->wire.facts & ROW_STARTED) != 0;
    /* A start that failed said so; without a word, it was killed before its
     * exec, or the program was quick. */
    if (!started && row->wire.error == 0)
        started = spawn_reached_exec(row);
    memset(&usage, 0, sizeof usage);
    if (wait_pidfd(row->pidfd, &info, &usage) == 0) {
        if (info.si_pid == 0)
            return; /* not yet */
        facts = take_status(row, &info);
    } else {
        facts = ROW_EXITED | ROW_LOST;
    }
    close(row->pidfd);
    row->pidfd = -1;
    if (row->status_fd >= 0)
        close(row->status_fd);
    row->status_fd = -1;
    if (row->by_pid_known) {
        table_remove(&k->by_pid, &row->by_pid);
        row->by_pid_known = false;
    }
    recent_mains[row->wire.pid % RECENT_MAINS] = row->wire.pid;
    contain_look_again(k);
    if (started) {
        take_usage(k, row, &usage);
        (void)look_at(k, row, facts | ROW_STARTED);
        return;
    }
    row->wire.exit_code = -1;
    row->wire.signal = 0;
    if (row->wire.error == 0) {
        (void)snprintf(row->wire.stage, sizeof row->wire.stage, "killed");
        row->wire.error = ECANCELED;
    }
    (void)look_at(k, row, 0);
}

int
reap_kill(struct keeper *k, struct row *row)
{
    bool alive;
    int rc;

    if ((row->wire.facts & ROW_EMPTY) != 0)
        return 0;
    alive = row->pidfd >= 0 && !reap_has_ended(row);
    row->killed = true;
    contain_look_again(k);
    rc = contain_kill(k, row);
    row_kill_main(row);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    reap_look_soon(k);
    if (alive)
        row_changed(k, row, ROW_KILL_DELIVERED);
    return 0;
}

/* ---- Orphans ------------------------------------------------------------------------- */

/* Reap what is no main process. Main processes are only looked at: their
 * status belongs to reap_main. */
static void
reap_orphans(struct keeper *k)
{
    siginfo_t info;
    struct row *row;

    k->orphans_last_at = k->now;
    k->orphans_next_at = ASUP_NEVER;
    contain_look_again(k);
    for (int i = 0; i < ORPHANS_AT_ONCE; i++) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        row = row_find_pid(k, info.si_pid);
        if (row != NULL) {
            reap_main(k, row);
        } else if (info.si_pid == k->engine.pid || sweep_is_child(k, info.si_pid)) {
            /* Its own watch is about to tell; look for more after that. */
            k->orphans_next_at = k->now + ORPHANS_PAUSE;
            return;
        } else {
            (void)waitpid(info.si_pid, NULL, WNOHANG);
            reap_look_soon(k);
        }
    }
    k->orphans_next_at = k->now;
}

void
reap_child_signal(struct keeper *k, pid_t pid)
{
    /* A main process's pidfd tells by itself, and looking at every child costs
     * time in proportion to their number. */
    uint32_t *recent = &recent_mains[(uint32_t)pid % RECENT_MAINS];
    bool expected = row_find_pid(k, pid) != NULL || pid == k->engine.pid ||
                    *recent == (uint32_t)pid || sweep_is_child(k, pid);

    if (*recent == (uint32_t)pid)
        *recent = 0;
    if (pid == 0 || !expected)
        reap_orphans(k);
    else if (k->orphans_next_at == ASUP_NEVER)
        k->orphans_next_at =
            (k->orphans_last_at > k->now - ORPHANS_PAUSE ? k->orphans_last_at : k->now) +
            ORPHANS_PAUSE;
}

void
reap_orphans_late(struct keeper *k)
{
    if (k->orphans_next_at <= k->now)
        reap_orphans(k);
}
