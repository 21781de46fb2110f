/* SPDX-License-Identifier: MIT */
/* What the random walk (random_walk.c) shares with what is around its kernel
 * (walk_world.c), and with the test of the oracles. */
#ifndef ASUPERSYNC_TESTS_WALK_H
#define ASUPERSYNC_TESTS_WALK_H

#include "core/durable.h"
#include "walk_ask.h"

enum { TASKS_MAX = 4096 };

/* What the shell knows of a process: the keeper's row. */
struct process {
    bool ordered, started, start_failed, signalled, killed, ended, emptied;
    struct process_exit exit;
};

extern struct process processes[TASKS_MAX];
extern bool sweeping[TASKS_MAX];
extern struct kernel *kernel, *shadow;
extern uint64_t now, token;
extern const struct kernel_allocator walk_allocator;

uint32_t dice(uint32_t sides);
void walk_fail(const char *what, const char *which);
int take_step(struct input *in);
void effect_take(const struct effect *fx);

/* A configuration of that seed: small limits, so that they are met. */
void walk_config(struct kernel_config *config);
/* What a process can do next, seen by an honest shell; false: nothing. */
bool honest_fact(struct input *in, uint64_t id, bool hurry);
/* Any fact about anything; false: none this time. */
bool any_fact(struct input *in);

/* "/" is shut down, a second time half-way; an honest shell and an operator carry everything to
 * its end, for so many rounds with that much time between them. */
void walk_settle(int rounds, uint64_t pause_ns);

#endif
