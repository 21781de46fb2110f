/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/keeper/child.h"
#include "daemon/keeper/contain.h"
#include "daemon/keeper/engine.h"
#include "daemon/keeper/log.h"
#include "daemon/keeper/reap.h"
#include "daemon/keeper/rows.h"
#include "daemon/keeper/run_as.h"
#include "daemon/spawn_spec.h"

#define SPEC_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* /proc/PID/stat's flags: forked, and no exec since. */
#define PROCESS_FORKED_NO_EXEC 0x40

pid_t
spawn_clone(int cgroup_fd, int *pidfd_out)
{
    struct clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd_out, .exit_signal = SIGCHLD};
    long pid;

    if (cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup_fd;
    }
    pid = syscall(SYS_clone3, &args, sizeof args);
    return pid < 0 ? -errno : (pid_t)pid;
}

/* ---- What a start needs ----------------------------------------------------------- */

/* The descriptors of one start; what is still in here at the end is closed. */
struct start_fds {
    int spec, stdio, cgroup, status[2], log[2];
};

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int
take_stdio(struct keeper *k, uint64_t task)
{
    for (int i = 0; i < KEEPER_STDIO_MAX; i++)
        if (k->stdio[i].task == task) {
            k->stdio[i].task = 0;
            return k->stdio[i].fd;
        }
    return -1;
}

void
spawn_stdio(struct keeper *k, uint64_t task, int fd_take)
{
    struct stdio_waiting *slot;

    if (fd_take < 0)
        return;
    if (task == 0 || row_find(k, task) != NULL) {
        close(fd_take);
        return;
    }
    /* The START follows at once; what nobody claimed makes room in turn. */
    slot = &k->stdio[k->stdio_next++ % KEEPER_STDIO_MAX];
    if (slot->task != 0)
        close(slot->fd);
    *slot = (struct stdio_waiting){.task = task, .fd = fd_take};
}

void
spawn_drop_stdio(struct keeper *k)
{
    for (int i = 0; i < KEEPER_STDIO_MAX; i++) {
        if (k->stdio[i].task != 0)
            close(k->stdio[i].fd);
        k->stdio[i].task = 0;
    }
}

/* Only a sealed memfd is read: it cannot change, and cannot make us wait. */
static int
read_header(int fd, struct spawn_header *header)
{
    struct stat status;
    int seals;

    if (fd < 0)
        return -EMFILE;
    seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SPEC_SEALS) != SPEC_SEALS)
        return -EPERM;
    if (pread(fd, header, sizeof *header, 0) != (ssize_t)sizeof *header ||
        header->magic != SPAWN_SPEC_MAGIC || fstat(fd, &status) < 0 ||
        (off_t)header->size != status.st_size)
        return -EBADMSG;
    return 0;
}

/* Two ends of a pipe, unless that would use up what killing needs. */
static int
make_pipe(const struct keeper *k, int fds[2], int flags)
{
    if (pipe2(fds, O_CLOEXEC | flags) < 0)
        return -errno;
    if ((uint64_t)fds[1] + KEEPER_FD_RESERVE > k->nofile_hard) {
        close_fd(&fds[0]);
        close_fd(&fds[1]);
        return -EMFILE;
    }
    return 0;
}

/* The region's work directory: its owner's alone. */
static int
make_work_directory(struct keeper *k, struct region *region, uint32_t uid)
{
    char name[32];

    if (region->work_made)
        return 0;
    (void)snprintf(name, sizeof name, "r%llu", (unsigned long long)region->by_id.key);
    if (mkdirat(k->work_fd, name, 0700) < 0) {
        if (errno != EEXIST)
            return -errno;
    } else if (keeper_switches_user(k) &&
               fchownat(k->work_fd, name, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    region->work_made = true;
    region->work_uid = uid;
    return 0;
}

/* ---- Starting ------------------------------------------------------------------------ */

static void
fail_row(struct row *row, const char *stage, int error)
{
    (void)snprintf(row->wire.stage, sizeof row->wire.stage, "%s", stage);
    row->wire.error = error;
}

static void __attribute__((noreturn))
run_child(struct keeper *k, const struct start_fds *fds, uint32_t uid)
{
    const struct child_plan plan = {
        .status_fd = fds->status[1],
        .spec_fd = fds->spec,
        .log_fd = fds->log[1],
        .stdio_fd = fds->stdio,
        .null_fd = k->null_fd,
        .uid = uid,
        .switch_user = keeper_switches_user(k),
        .die_along = !k->cgroup.present,
        .fix_oom = k->oom_adjusted,
        .fix_nice = k->nice_adjusted,
        .identity = identity_cached(uid, k->now),
        .nofile_soft = k->nofile_soft,
        .nofile_hard = k->nofile_hard,
    };

    child_become_task(&plan);
}

/* Up to the clone: 0, or -errno and *stage says where it failed. */
static int
try_start(struct keeper *k, struct row *row, struct start_fds *fds, const char **stage)
{
    struct spawn_header header;
    struct task_limits limits;
    pid_t pid;
    int rc;

    *stage = "keeper";
    if (k->rows.count > KEEPER_ROWS_MAX)
        return -EAGAIN;
    *stage = "user";
    if (keeper_switches_user(k) ? !run_as_allows(row->uid) : row->uid != k->own_uid)
        return -EPERM;
    *stage = "spec";
    rc = read_header(fds->spec, &header);
    if (rc < 0)
        return rc;
    *stage = "pipe";
    rc = make_pipe(k, fds->status, O_NONBLOCK);
    if (rc == 0 && header.stdio == SPAWN_STDIO_LOG)
        rc = make_pipe(k, fds->log, 0);
    if (rc < 0)
        return rc;
    *stage = "workdir";
    rc = make_work_directory(k, row->region, row->uid);
    if (rc < 0)
        return rc;
    limits = (struct task_limits){.memory_max = header.memory_max, .pids_max = header.pids_max};
    rc = contain_prepare(k, row, &limits, &fds->cgroup, stage);
    if (rc < 0)
        return rc;
    *stage = "fork";
    pid = spawn_clone(fds->cgroup, &row->pidfd);
    if (pid == 0)
        run_child(k, fds, row->uid);
    if (pid < 0) {
        row->pidfd = -1;
        return pid;
    }
    row_set_pid(k, row, pid);
    return 0;
}

void
spawn_start(struct keeper *k, uint64_t task, uint32_t uid, const uint64_t *path,
            uint32_t path_count, int spec_fd_take)
{
    struct start_fds fds = {
        .spec = spec_fd_take, .cgroup = -1, .status = {-1, -1}, .log = {-1, -1}};
    struct row *row = row_find(k, task);
    struct region *region = NULL;
    const char *stage = "";
    int rc;

    fds.stdio = take_stdio(k, task);
    if (row != NULL) {
        row_send(k, row);
        goto out;
    }
    if (k->rows.count < KEEPER_ROWS_MAX + KEEPER_ROWS_SPARE)
        region = region_get(k, path, path_count);
    if (region != NULL)
        row = row_new(k, task, region);
    if (row == NULL) {
        /* Without a row nothing can be told, and the engine would wait for
         * ever: a fault that only a new beginning cures. */
        engine_fault(k, "no memory for another task");
        goto out;
    }
    row->uid = uid;
    rc = try_start(k, row, &fds, &stage);
    if (rc < 0) {
        fail_row(row, stage, -rc);
        (void)contain_remove(k, row);
        row_changed(k, row, ROW_START_FAILED | ROW_EMPTY);
        goto out;
    }
    row->status_fd = fds.status[0];
    fds.status[0] = -1;
    row->log_fd = fds.log[0];
    fds.log[0] = -1;
    rc = keeper_watch(k, row->status_fd, EPOLLIN | EPOLLONESHOT, WATCH_TAG(WATCH_STATUS, task));
    if (rc == 0)
        rc = keeper_watch(k, row->pidfd, EPOLLIN | EPOLLONESHOT, WATCH_TAG(WATCH_MAIN, task));
    if (rc < 0) {
        /* Cannot be watched, so it must not live: its end is noticed with the
         * next SIGCHLD (reap_orphans). */
        fail_row(row, "fork", -rc);
        (void)contain_kill(k, row);
    }
    row_changed_quietly(k, row, ROW_STARTING);
out:
    close_fd(&fds.spec);
    close_fd(&fds.stdio);
    close_fd(&fds.cgroup);
    close_fd(&fds.status[0]);
    close_fd(&fds.status[1]);
    close_fd(&fds.log[0]);
    close_fd(&fds.log[1]);
}

/* ---- What the child says ------------------------------------------------------------- */

/* Take one report: 1 for another one, 0 when none waits, -1 at the end. */
static int
read_report(struct keeper *k, struct row *row)
{
    struct child_report report;
    ssize_t got = read(row->status_fd, &report, sizeof report);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (got == 0)
        return -1;
    if (got == (ssize_t)sizeof report && report.kind == REPORT_IDENTITY &&
        report.identity.uid == row->uid) {
        identity_keep(&report.identity, k->now);
    } else if (got == (ssize_t)CHILD_REPORT_FAILED_SIZE && report.kind == REPORT_FAILED) {
        report.stage[sizeof report.stage - 1] = '\0';
        fail_row(row, report.stage, report.error);
    }
    return 1;
}

void
spawn_status(struct keeper *k, struct row *row)
{
    int rc;

    if (row->status_fd < 0)
        return;
    do
        rc = read_report(k, row);
    while (rc > 0);
    if (rc == 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT,
                                    .data.u64 = WATCH_TAG(WATCH_STATUS, row->wire.task)};

        (void)epoll_ctl(k->epoll_fd, EPOLL_CTL_MOD, row->status_fd, &event);
        return;
    }
    close_fd(&row->status_fd);
    /* After a failure the child exits: reported then, with its cgroup gone. A
     * child that is dead, or dying of what was sent to it (its descriptors are
     * closed before its pidfd says so), may not have reached its exec. */
    if (row->wire.error == 0 && row->pidfd >= 0 && !reap_has_ended(row) &&
        (!(row->killed || row->signalled) || spawn_reached_exec(row)))
        row_changed(k, row, ROW_STARTED);
}

bool
spawn_reached_exec(const struct row *row)
{
    char path[32];
    char text[512];
    const char *at;
    int fd;
    ssize_t got;

    (void)snprintf(path, sizeof path, "/proc/%u/stat", row->wire.pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    /* "pid (name) state ppid pgrp session tty tpgid flags ..." */
    at = strrchr(text, ')');
    for (int field = 0; field < 7 && at != NULL; field++)
        at = strchr(at + 1, ' ');
    return at == NULL || (strtoul(at, NULL, 10) & PROCESS_FORKED_NO_EXEC) == 0;
}
