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

/* Processes looked at between two readings of cgroup.procs, if there are as
 * many free descriptors. Every reading takes time in proportion to all of them,
 * and nobody else is served meanwhile. */
#define SIGNAL_BATCH 1024

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
contain_look_again(struct keeper *k)
{
    if (!k->cgroup.present)
        subreaper_look_again(k);
}

/* ---- Signalling ---------------------------------------------------------------- */

/* Process numbers, sorted. */
struct pids {
    pid_t *pids;
    size_t count, room;
};

static int
pid_compare(const void *a, const void *b)
{
    pid_t left = *(const pid_t *)a;
    pid_t right = *(const pid_t *)b;

    return (left > right) - (left < right);
}

static bool
pids_have(const struct pids *list, pid_t pid)
{
    return list->count > 0 &&
           bsearch(&pid, list->pids, list->count, sizeof pid, pid_compare) != NULL;
}

static int
pids_add(struct pids *list, pid_t pid)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 64 : list->room * 2;
        pid_t *grown = realloc(list->pids, room * sizeof *grown);

        if (grown == NULL)
            return -ENOMEM;
        list->pids = grown;
        list->room = room;
    }
    list->pids[list->count++] = pid;
    return 0;
}

static void
pids_sort(struct pids *list)
{
    if (list->count > 0)
        qsort(list->pids, list->count, sizeof *list->pids, pid_compare);
}

/* What stands in cgroup.procs now: 0 or -errno. */
static int
pids_read(struct pids *list, int fd)
{
    char text[4096];
    pid_t number = 0;
    ssize_t got;

    list->count = 0;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    while ((got = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                number = number * 10 + (text[i] - '0');
                continue;
            }
            /* 0 stands for a process of another pid namespace. */
            if (number != 0 && pids_add(list, number) < 0)
                return -ENOMEM;
            number = 0;
        }
    }
    pids_sort(list);
    return got < 0 ? -errno : 0;
}

/* Signal up to SIGNAL_BATCH processes of `now` that are not in `done`: their
 * number (0: all are done), or -errno.
 *
 * A number from the list may name another process by the time it is used. So:
 * take a pidfd of each, read the list again, and signal only those that still
 * stand in it: a pidfd whose number is listed is either of a process in this
 * cgroup, or of one that is gone, where the signal has no effect. The second
 * reading also shows who was forked meanwhile. */
static int
signal_batch(int fd, int signal, struct pids *now, struct pids *done)
{
    int pidfds[SIGNAL_BATCH];
    pid_t taken[SIGNAL_BATCH];
    int taken_count = 0;
    int rc;

    for (size_t i = 0; i < now->count && taken_count < SIGNAL_BATCH; i++) {
        if (pids_have(done, now->pids[i]))
            continue;
        taken[taken_count] = now->pids[i];
        pidfds[taken_count] = (int)syscall(SYS_pidfd_open, now->pids[i], 0);
        if (pidfds[taken_count] < 0 && (errno == EMFILE || errno == ENFILE)) {
            if (taken_count == 0)
                return -errno;
            break;
        }
        taken_count++;
    }
    rc = taken_count > 0 ? pids_read(now, fd) : 0;
    for (int i = 0; i < taken_count; i++) {
        if (rc == 0)
            rc = pids_add(done, taken[i]);
        if (pidfds[i] < 0)
            continue;
        if (pids_have(now, taken[i])) {
            (void)syscall(SYS_pidfd_send_signal, pidfds[i], signal, NULL, 0);
            (void)syscall(SYS_pidfd_send_signal, pidfds[i], SIGCONT, NULL, 0);
        }
        close(pidfds[i]);
    }
    pids_sort(done);
    return rc < 0 ? rc : taken_count;
}

/* Batch by batch until no new one turns up; a task that forks faster than this
 * is left to contain_kill. */
static int
signal_group(int fd, pid_t main_pid, int signal)
{
    struct pids now = {0};
    struct pids done = {0};
    size_t most;
    int rc = pids_read(&now, fd);

    if (rc == 0)
        rc = pids_add(&done, main_pid);
    most = now.count * 2 + 4 * (size_t)SIGNAL_BATCH;
    if (rc == 0)
        do
            rc = signal_batch(fd, signal, &now, &done);
        while (rc > 0 && done.count < most);
    free(now.pids);
    free(done.pids);
    return rc < 0 ? rc : 0;
}

int
contain_signal_others(struct keeper *k, struct row *row, int signal)
{
    char group[KEEPER_CGROUP_PATH_MAX];
    char path[KEEPER_CGROUP_PATH_MAX + 16];
    int fd;
    int rc;

    if (!k->cgroup.present)
        return subreaper_signal_others(k, row, signal);
    if (!row->cgroup_made)
        return 0;
    task_group(row, group, sizeof group);
    (void)snprintf(path, sizeof path, "%s/cgroup.procs", group);
    fd = openat(k->cgroup.tree_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    rc = signal_group(fd, (pid_t)row->wire.pid, signal);
    close(fd);
    return rc;
}
