/* SPDX-License-Identifier: MIT */
/*
 * From clone3 to exec: what the child of the keeper does to become a task.
 * It runs in its own copy of the keeper's memory, may wait for anything, and
 * touches nothing of the user's before it has become that user.
 *
 * What it has to say goes up the status pipe: who the user is (for the cache),
 * or the stage and errno of a failure, after which it exits with 127. The
 * pipe's end without a failure means that exec succeeded, since exec closes it.
 */
#ifndef ASUPERSYNC_KEEPER_CHILD_H
#define ASUPERSYNC_KEEPER_CHILD_H

#include "daemon/keeper/identity.h"
#include "daemon/keeper/state.h"

struct child_plan {
    int status_fd; /* write end */
    int spec_fd;
    int log_fd;   /* write end of the log pipe, or -1 */
    int stdio_fd; /* the unread connection with three descriptors, or -1 */
    int null_fd;
    uint32_t uid;
    bool switch_user;
    bool die_along;                  /* without cgroups: be killed when the keeper dies */
    bool fix_oom;                    /* the keeper's oom_score_adj is not 0 */
    bool fix_nice;                   /* the keeper's niceness is not 0 */
    const struct identity *identity; /* NULL: to be looked up */
    uint64_t nofile_soft;
    uint64_t nofile_hard;
};

enum report_kind { REPORT_FAILED = 1, REPORT_IDENTITY = 2 };

struct child_report {
    uint32_t kind;
    int32_t error; /* REPORT_FAILED: errno */
    char stage[16];
    struct identity identity; /* REPORT_IDENTITY */
};
#define CHILD_REPORT_FAILED_SIZE offsetof(struct child_report, identity)

/* In the child; never returns. */
void child_become_task(const struct child_plan *plan) __attribute__((noreturn));

/* All descriptors from `first` on that are not in `kept` are closed. */
void child_close_others(int first, const int *kept, int kept_count);

#endif
