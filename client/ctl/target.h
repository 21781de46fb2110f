/* SPDX-License-Identifier: MIT */
/*
 * What an operand names: a task, a region by id or by path, or something else.
 */
#ifndef ASUPERSYNC_CTL_TARGET_H
#define ASUPERSYNC_CTL_TARGET_H

#include "ctl.h"

enum target {
    TARGET_TASK,
    TARGET_REGION,
    TARGET_SESSION,
    TARGET_SAGA,
    TARGET_OBLIGATION,
    TARGET_CHANNEL,
    TARGET_NONE,
};

enum target target_of(const char *operand);

/* Whether every operand of a verb is one that it takes (others: sessions and obligations); 0 or an
 * exit code. */
int targets_check(struct ctl *ctl, bool tasks, bool regions, bool others);

/* {"task": OPERAND} or {"region": OPERAND}. */
json_t *target_args(const char *operand);

#endif
