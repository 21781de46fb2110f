/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/subreaper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/keeper/rows.h"

/* A task that forks faster than it is killed is not waited for here: the next
 * look kills again. */
#define KILL_ROUNDS_MAX 16

/* Whose a process is. */
#define TASK_UNKNOWN 0               /* not looked up yet */
#define TASK_NOT_OURS UINT64_MAX     /* engine, sweeping children, strangers */
#define TASK_ORPHAN (UINT64_MAX - 1) /* ours, but of no task we could find */

struct process {
    pid_t pid, parent, session;
    uint64_t cpu_ticks;
    uint64_t task;
    bool zombie;
};

static struct process *processes; /* sorted by pid */
static size_t process_count, process_room;
static bool seen;

/* The row that is asked about, whose main process may have ended just now. */
static const struct row *asked;

static int
process_compare(const void *a, const void *b)
{
    const struct process *left = a;
    const struct process *right = b;

    return (left->pid > right->pid) - (left->pid < right->pid);
}

static struct process *
process_find(pid_t pid)
{
    struct process key = {.pid = pid};

    return process_count == 0
               ? NULL
               : bsearch(&key, processes, process_count, sizeof key, process_compare);
}

static ssize_t
read_proc(pid_t pid, const char *file, char *text, size_t size)
{
    char path[48];
    ssize_t got;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

/* Numbers taken from /proc/PID/stat, from the parent's on. */
#define PROC_STAT_FIELDS 12

/* "pid (name) state ppid pgrp session tty tpgid flags minflt cminflt majflt
 * cmajflt utime stime ..."; the name may hold anything. */
static bool
read_process(pid_t pid, struct process *out)
{
    char text[512];
    char *at;
    uint64_t fields[PROC_STAT_FIELDS];

    if (read_proc(pid, "stat", text, sizeof text) <= 0)
        return false;
    at = strrchr(text, ')');
    *out = (struct process){.pid = pid};
    if (at == NULL || at[1] != ' ' || at[2] == '\0')
        return false;
    out->zombie = at[2] == 'Z' || at[2] == 'X';
    at += 3;
    for (int i = 0; i < PROC_STAT_FIELDS; i++)
        fields[i] = strtoull(at, &at, 10);
    out->parent = (pid_t)fields[0];
    out->session = (pid_t)fields[2];
    out->cpu_ticks = fields[10] + fields[11];
    return true;
}

/* The task that the environment names, as it was given by us. */
static uint64_t
task_by_environment(struct keeper *k, pid_t pid)
{
    static const char name[] = "ASUPERSYNC_TASK=t";
    static char text[65536];
    ssize_t got = read_proc(pid, "environ", text, sizeof text);

    for (const char *at = text; got > 0 && at < text + got; at += strlen(at) + 1) {
        uint64_t task;

        if (strncmp(at, name, sizeof name - 1) != 0)
            continue;
        task = strtoull(at + sizeof name - 1, NULL, 10);
        return row_find(k, task) != NULL ? task : TASK_ORPHAN;
    }
    return TASK_ORPHAN;
}

/* The main process's number stays its session's as long as one lives in it. */
static uint64_t
task_by_session(struct keeper *k, pid_t session)
{
    const struct row *row = row_find_pid(k, session);

    if (row != NULL)
        return row->wire.task;
    if (asked != NULL && asked->wire.pid == (uint32_t)session)
        return asked->wire.task;
    for (struct chain *at = k->leftovers.next; at != &k->leftovers; at = at->next) {
        row = CHAIN_OWNER(at, struct row, leftover);
        if (row->wire.pid == (uint32_t)session)
            return row->wire.task;
    }
    return TASK_UNKNOWN;
}

/* Up the line of parents, to a main process or to the keeper. */
static uint64_t
find_task(struct keeper *k, struct process *process)
{
    struct process *at = process;
    uint64_t task = TASK_NOT_OURS;
    pid_t keeper_pid = getpid();

    for (size_t steps = 0; at != NULL && steps <= process_count; steps++) {
        const struct row *row = row_find_pid(k, at->pid);

        if (row != NULL) {
            task = row->wire.task;
            break;
        }
        if (at->pid == k->engine.pid)
            break;
        if (at->parent == keeper_pid) {
            task = task_by_session(k, at->session);
            if (task == TASK_UNKNOWN)
                task = task_by_session(k, process->session);
            if (task == TASK_UNKNOWN)
                task = task_by_environment(k, process->pid);
            break;
        }
        at = process_find(at->parent);
    }
    return task;
}

static int
look(struct keeper *k)
{
    DIR *dir;
    const struct dirent *entry;

    if (seen)
        return 0;
    dir = opendir("/proc");
    if (dir == NULL)
        return -errno;
    process_count = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        if (process_count == process_room) {
            size_t room = process_room == 0 ? 256 : process_room * 2;
            struct process *grown = realloc(processes, room * sizeof *grown);

            if (grown == NULL)
                break;
            processes = grown;
            process_room = room;
        }
        if (read_process((pid_t)strtol(entry->d_name, NULL, 10), &processes[process_count]))
            process_count++;
    }
    closedir(dir);
    if (process_count > 0)
        qsort(processes, process_count, sizeof *processes, process_compare);
    for (size_t i = 0; i < process_count; i++)
        processes[i].task = find_task(k, &processes[i]);
    seen = true;
    return 0;
}

void
subreaper_look_again(struct keeper *k)
{
    (void)k;
    seen = false;
}

int
subreaper_populated(struct keeper *k, const struct row *row)
{
    int rc;

    asked = row;
    rc = look(k);
    asked = NULL;
    for (size_t i = 0; rc == 0 && i < process_count; i++)
        if (processes[i].task == row->wire.task && !processes[i].zombie)
            return 1;
    return rc;
}

/* A pidfd, and the same parent as when it was looked at: not a later process
 * with the number of an earlier one. */
static bool
signal_process(const struct process *process, int signal)
{
    struct process now;
    bool sent = false;
    int pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);

    if (pidfd < 0)
        return false;
    if (read_process(process->pid, &now) && now.session == process->session && !now.zombie) {
        sent = syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0;
        if (signal != SIGKILL)
            (void)syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
    }
    close(pidfd);
    return sent;
}

/* Kill until no one is left, or it goes on for too long. `task` 0 stands for
 * every task, and for those of none. */
static int
kill_of(struct keeper *k, uint64_t task)
{
    for (int round = 0; round < KILL_ROUNDS_MAX; round++) {
        bool any = false;
        int rc;

        seen = false;
        rc = look(k);
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < process_count; i++)
            if (!processes[i].zombie &&
                (task != 0 ? processes[i].task == task : processes[i].task != TASK_NOT_OURS) &&
                signal_process(&processes[i], SIGKILL))
                any = true;
        if (!any)
            break;
    }
    seen = false;
    return 0;
}

int
subreaper_kill(struct keeper *k, const struct row *row)
{
    return kill_of(k, row->wire.task);
}

int
subreaper_kill_all(struct keeper *k)
{
    return kill_of(k, 0);
}

int
subreaper_populated_all(struct keeper *k)
{
    int rc = look(k);

    for (size_t i = 0; rc == 0 && i < process_count; i++)
        if (processes[i].task != TASK_NOT_OURS && !processes[i].zombie)
            return 1;
    return rc;
}

int
subreaper_signal_others(struct keeper *k, const struct row *row, int signal)
{
    int rc = look(k);

    for (size_t i = 0; rc == 0 && i < process_count; i++)
        if (processes[i].task == row->wire.task && !processes[i].zombie &&
            processes[i].pid != (pid_t)row->wire.pid)
            (void)signal_process(&processes[i], signal);
    return rc;
}

int
subreaper_cpu(struct keeper *k, const struct row *row, uint64_t *cpu_ns)
{
    uint64_t ticks = 0;
    int rc = look(k);

    for (size_t i = 0; rc == 0 && i < process_count; i++)
        if (processes[i].task == row->wire.task)
            ticks += processes[i].cpu_ticks;
    *cpu_ns = ticks * (ASUP_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
    return rc;
}
