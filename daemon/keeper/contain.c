/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/contain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/keeper/cgroup.h"
#include "daemon/keeper/rows.h"
#include "daemon/keeper/subreaper.h"

/* Processes looked at between two readings of cgroup.procs. */
#define SIGNAL_BATCH 64

static void
task_group(const struct row *row, char *out, size_t size)
{
    const char *above = row->region->cgroup_path;

    (void)snprintf(out, size, "%s%st%llu", above, above[0] != '\0' ? "/" : "",
                   (unsigned long long)row->wire.task);
}

/* ---- Making ------------------------------------------------------------------ */

/* The cgroups of a region and of those above it. */
static int
make_region_group(struct keeper *k, struct region *region)
{
    char path[KEEPER_CGROUP_PATH_MAX];

    if (region->cgroup_made || region->cgroup_path[0] == '\0')
        return 0;
    (void)snprintf(path, sizeof path, "%s", region->cgroup_path);
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        struct region *above;

        *slash = '\0';
        if (mkdirat(k->cgroup.tree_fd, path, 0755) < 0 && errno != EEXIST)
            return -errno;
        above = region_find(k, strtoull(strrchr(path, 'r') + 1, NULL, 10));
        if (above != NULL)
            above->cgroup_made = true;
        *slash = '/';
    }
    if (mkdirat(k->cgroup.tree_fd, path, 0755) < 0 && errno != EEXIST)
        return -errno;
    region->cgroup_made = true;
    return 0;
}

/* Controllers are enabled down to a region only once a task there asks for a
 * limit: they make every cgroup, and so every start, dearer. */
static int
enable_down_to(struct keeper *k, struct region *region, const char *order)
{
    char path[KEEPER_CGROUP_PATH_MAX];
    int rc = cgroup_write(k->cgroup.tree_fd, "", "cgroup.subtree_control", order);

    (void)snprintf(path, sizeof path, "%s", region->cgroup_path);
    for (char *at = path; rc == 0 && *at != '\0';) {
        char *slash = strchr(at, '/');

        if (slash != NULL)
            *slash = '\0';
        rc = cgroup_write(k->cgroup.tree_fd, path, "cgroup.subtree_control", order);
        if (slash == NULL)
            break;
        *slash = '/';
        at = slash + 1;
    }
    return rc;
}

static int
set_limit(struct keeper *k, struct row *row, const char *group, bool available, bool *on,
          const char *order, const char *file, uint64_t max)
{
    char text[24];
    int rc;

    if (max == 0)
        return 0;
    if (!available)
        return -EOPNOTSUPP;
    if (!*on) {
        rc = enable_down_to(k, row->region, order);
        if (rc < 0)
            return rc;
        *on = true;
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)max);
    return cgroup_write(k->cgroup.tree_fd, group, file, text);
}

int
contain_prepare(struct keeper *k, struct row *row, const struct task_limits *limits, int *fd_out,
                const char **stage)
{
    char group[KEEPER_CGROUP_PATH_MAX];
    int rc;

    *fd_out = -1;
    *stage = "cgroup";
    if (!k->cgroup.present) {
        *stage = "limits";
        return limits->memory_max != 0 || limits->pids_max != 0 ? -EOPNOTSUPP : 0;
    }
    rc = make_region_group(k, row->region);
    if (rc < 0)
        return rc;
    task_group(row, group, sizeof group);
    if (mkdirat(k->cgroup.tree_fd, group, 0755) < 0) {
        /* Where tasks own the tree, one may have removed the region's. */
        row->region->cgroup_made = false;
        if (errno != ENOENT || make_region_group(k, row->region) < 0 ||
            mkdirat(k->cgroup.tree_fd, group, 0755) < 0)
            return -errno;
    }
    row->cgroup_made = true;
    *stage = "limits";
    rc = set_limit(k, row, group, k->cgroup.memory, &row->region->memory_on, "+memory",
                   "memory.max", limits->memory_max);
    if (rc == 0)
        rc = set_limit(k, row, group, k->cgroup.pids, &row->region->pids_on, "+pids", "pids.max",
                       limits->pids_max);
    /* One task of many processes: if memory is out, all of it goes. */
    if (rc == 0 && limits->memory_max != 0)
        (void)cgroup_write(k->cgroup.tree_fd, group, "memory.oom.group", "1");
    if (rc < 0)
        return rc;
    *stage = "cgroup";
    *fd_out = openat(k->cgroup.tree_fd, group, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *fd_out >= 0 ? 0 : -errno;
}

/* ---- Looking, killing, removing ------------------------------------------------ */

int
contain_populated(struct keeper *k, struct row *row)
{
    char group[KEEPER_CGROUP_PATH_MAX];
    int rc;

    if (!k->cgroup.present)
        return subreaper_populated(k, row);
    if (!row->cgroup_made)
        return 0;
    task_group(row, group, sizeof group);
    rc = cgroup_populated(k->cgroup.tree_fd, group);
    return rc == -ENOENT ? 0 : rc;
}

int
contain_remove(struct keeper *k, struct row *row)
{
    char group[KEEPER_CGROUP_PATH_MAX];
    int rc;

    if (!row->cgroup_made)
        return 0;
    task_group(row, group, sizeof group);
    rc = cgroup_remove(k->cgroup.tree_fd, group);
    if (rc == 0)
        row->cgroup_made = false;
    return rc;
}

int
contain_kill(struct keeper *k, struct row *row)
{
    char group[KEEPER_CGROUP_PATH_MAX];

    if (!k->cgroup.present)
        return subreaper_kill(k, row);
    if (!row->cgroup_made)
        return 0;
    task_group(row, group, sizeof group);
    return cgroup_kill(k->cgroup.tree_fd, group);
}

int
contain_cpu(struct keeper *k, struct row *row, uint64_t *cpu_ns)
{
    char group[KEEPER_CGROUP_PATH_MAX];
    uint64_t usec;
    int rc;

    if (!k->cgroup.present)
        return subreaper_cpu(k, row, cpu_ns);
    if (!row->cgroup_made)
        return -ENOENT;
    task_group(row, group, sizeof group);
    rc = cgroup_number(k->cgroup.tree_fd, group, "cpu.stat", "usage_usec", &usec);
    if (rc == 0)
        *cpu_ns = usec * 1000;
    return rc;
}

void
contain_memory(struct keeper *k, struct row *row, uint64_t *peak, bool *oom_killed)
{
    char group[KEEPER_CGROUP_PATH_MAX];
    uint64_t count;

    *peak = 0;
    *oom_killed = false;
    if (!row->cgroup_made || !row->region->memory_on)
        return;
    task_group(row, group, sizeof group);
    if (cgroup_number(k->cgroup.tree_fd, group, "memory.peak", NULL, &count) == 0)
        *peak = count;
    if (cgroup_number(k->cgroup.tree_fd, group, "memory.events", "oom_kill", &count) == 0)
        *oom_killed = count > 0;
}

int
contain_kill_all(struct keeper *k)
{
    return k->cgroup.present ? cgroup_kill(k->cgroup.tree_fd, "") : subreaper_kill_all(k);
}

int
contain_populated_all(struct keeper *k)
{
    return k->cgroup.present ? cgroup_populated(k->cgroup.tree_fd, "") : subreaper_populated_all(k);
}

int
contain_remove_region(struct keeper *k, struct region *region)
{
    int rc = 0;

    if (region->cgroup_made)
        rc = cgroup_remove(k->cgroup.tree_fd, region->cgroup_path);
    if (rc == 0)
        region->cgroup_made = false;
    return rc;
}

void
contain_remove_all(struct keeper *k)
{
    if (!k->cgroup.present)
        return;
    (void)cgroup_remove_below(k->cgroup.tree_fd);
    (void)mkdirat(k->cgroup.tree_fd, "sweep", 0755);
}

void
contain_look_again(struct keeper *k)
{
    if (!k->cgroup.present)
        subreaper_look_again(k);
}

/* ---- Signalling ---------------------------------------------------------------- */

/* The processes in cgroup.procs, sorted: their number, or -errno. */
static int
pid_compare(const void *a, const void *b)
{
    pid_t left = *(const pid_t *)a;
    pid_t right = *(const pid_t *)b;

    return (left > right) - (left < right);
}

static int
read_procs(int fd, pid_t **pids, size_t *room)
{
    char text[4096];
    size_t count = 0;
    pid_t number = 0;
    ssize_t got;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    while ((got = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                number = number * 10 + (text[i] - '0');
                continue;
            }
            if (count == *room) {
                size_t larger = *room == 0 ? 64 : *room * 2;
                pid_t *grown = realloc(*pids, larger * sizeof *grown);

                if (grown == NULL)
                    return -ENOMEM;
                *pids = grown;
                *room = larger;
            }
            (*pids)[count++] = number;
            number = 0;
        }
    }
    if (got < 0)
        return -errno;
    if (count > 0)
        qsort(*pids, count, sizeof **pids, pid_compare);
    return (int)count;
}

static bool
pid_in(pid_t pid, const pid_t *pids, size_t count)
{
    return count > 0 && bsearch(&pid, pids, count, sizeof *pids, pid_compare) != NULL;
}

/* A number read from cgroup.procs may name another process by the time it is
 * used. So: take a pidfd of each, read the list again, and signal only those
 * that still stand in it: a pidfd whose number is listed is either of a
 * process in this cgroup, or of one that is gone, where the signal has no
 * effect. The second reading also shows who was forked meanwhile; a task that
 * forks faster than this is left to contain_kill. */
static int
signal_group(int fd, pid_t main_pid, int signal)
{
    pid_t *pids = NULL;
    pid_t *done = NULL;
    size_t room = 0;
    size_t done_count = 0;
    size_t done_max;
    int count = read_procs(fd, &pids, &room);
    int rc = count < 0 ? count : 0;

    done_max = rc < 0 ? 0 : (size_t)count * 2 + 4 * (size_t)SIGNAL_BATCH;
    if (rc == 0) {
        done = malloc(done_max * sizeof *done);
        if (done == NULL)
            rc = -ENOMEM;
    }
    while (rc == 0 && done_count + SIGNAL_BATCH <= done_max) {
        int pidfds[SIGNAL_BATCH];
        pid_t taken[SIGNAL_BATCH];
        size_t taken_count = 0;

        for (int i = 0; i < count && taken_count < SIGNAL_BATCH; i++) {
            /* 0 stands for a process of another pid namespace. */
            if (pids[i] == 0 || pids[i] == main_pid || pid_in(pids[i], done, done_count))
                continue;
            taken[taken_count] = pids[i];
            pidfds[taken_count] = (int)syscall(SYS_pidfd_open, pids[i], 0);
            taken_count++;
        }
        if (taken_count == 0)
            break;
        count = read_procs(fd, &pids, &room);
        for (size_t i = 0; i < taken_count; i++) {
            if (pidfds[i] < 0)
                continue;
            if (count > 0 && pid_in(taken[i], pids, (size_t)count)) {
                (void)syscall(SYS_pidfd_send_signal, pidfds[i], signal, NULL, 0);
                (void)syscall(SYS_pidfd_send_signal, pidfds[i], SIGCONT, NULL, 0);
            }
            close(pidfds[i]);
        }
        memcpy(done + done_count, taken, taken_count * sizeof *taken);
        done_count += taken_count;
        qsort(done, done_count, sizeof *done, pid_compare);
        if (count < 0)
            rc = count;
    }
    free(pids);
    free(done);
    return rc;
}

int
contain_signal_others(struct keeper *k, struct row *row, int signal)
{
    char path[KEEPER_CGROUP_PATH_MAX + 16];
    int fd;
    int rc;

    if (!k->cgroup.present)
        return subreaper_signal_others(k, row, signal);
    if (!row->cgroup_made)
        return 0;
    task_group(row, path, KEEPER_CGROUP_PATH_MAX);
    strcat(path, "/cgroup.procs");
    fd = openat(k->cgroup.tree_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    rc = signal_group(fd, (pid_t)row->wire.pid, signal);
    close(fd);
    return rc;
}
