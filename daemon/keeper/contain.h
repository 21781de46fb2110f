/* SPDX-License-Identifier: MIT */
/*
 * What holds the processes of a task together: a cgroup each (tree/r4/r9/t12),
 * or, with --containment=subreaper, nothing but descent (subreaper.c). One
 * interface for both, so that the rest of the keeper does not care.
 */
#ifndef ASUPERSYNC_KEEPER_CONTAIN_H
#define ASUPERSYNC_KEEPER_CONTAIN_H

#include "daemon/keeper/state.h"

struct task_limits {
    uint64_t memory_max; /* bytes; 0: none */
    uint64_t pids_max;   /* 0: none */
};

/* Make the task's cgroup with its limits and open it into *fd_out (-1 without
 * cgroups): 0, or -errno with *stage naming what failed. */
int contain_prepare(struct keeper *k, struct row *row, const struct task_limits *limits,
                    int *fd_out, const char **stage);

/* 1 while a process of the task lives, 0 when none, -errno. */
int contain_populated(struct keeper *k, struct row *row);

/* Remove what contain_prepare made: 0, or -EBUSY and it must be tried again. */
int contain_remove(struct keeper *k, struct row *row);

/* SIGKILL to every process of the task, at once. */
int contain_kill(struct keeper *k, struct row *row);

/* The signal, then SIGCONT, to every process of the task but its main one. */
int contain_signal_others(struct keeper *k, struct row *row, int signal);

/* CPU time of all processes there ever were, if it is known: 0 or -errno. */
int contain_cpu(struct keeper *k, struct row *row, uint64_t *cpu_ns);

/* After the end of the main process: the peak of memory in bytes (0: not
 * known), and whether the kernel killed one of them for want of memory. */
void contain_memory(struct keeper *k, struct row *row, uint64_t *peak, bool *oom_killed);

/* SIGKILL to every process of every task; 1 while one of them lives. */
int contain_kill_all(struct keeper *k);
int contain_populated_all(struct keeper *k);

/* A region's own cgroup: 0, or -EBUSY and it must be tried again. */
int contain_remove_region(struct keeper *k, struct region *region);

/* Before a round of contain_populated: what was seen before is out of date. */
void contain_look_again(struct keeper *k);

#endif
