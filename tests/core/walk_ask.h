/* SPDX-License-Identifier: MIT */
/* Requests and ids for the random walk: those of the rude clients of simulated
 * worlds (lab/world_any.c), about a kernel without a world around it. */
#ifndef ASUPERSYNC_TESTS_WALK_ASK_H
#define ASUPERSYNC_TESTS_WALK_ASK_H

#include "core/kernel.h"

/* From that seed on. */
void walk_ask_begin(uint64_t seed);
/* Good until the next. */
struct input walk_request(struct kernel *k, asup_time now, uint64_t token);
uint64_t walk_id(struct kernel *k);
uint64_t walk_session(struct kernel *k);
uint64_t walk_duration(void);

#endif
