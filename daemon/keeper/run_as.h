/* SPDX-License-Identifier: MIT */
/*
 * Who may run tasks as themselves: a file that only root can write, read by
 * the keeper itself, so that owning the engine is not owning the machine.
 *
 *     # comment
 *     allow 1000-59999
 *     deny  1005
 *     allow 0
 *
 * One rule a line, numbers or ranges of numbers; the last rule that matches
 * decides. Before the first rule: users from 1000 on, except 65534 (nobody).
 */
#ifndef ASUPERSYNC_KEEPER_RUN_AS_H
#define ASUPERSYNC_KEEPER_RUN_AS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Read the rules; a missing file leaves only the default. 0, or -1 and
 * `message` says what is wrong, with file and line; then the rules from before
 * stay in force. */
int run_as_load(const char *path, char *message, size_t message_size);

/* System mode: may a task run as this user? */
bool run_as_allows(uint32_t uid);

#endif
