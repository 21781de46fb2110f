/* SPDX-License-Identifier: MIT */
/*
 * What the random walk (random_walk.c) shares with its requests (walk_requests.c)
 * and its crashes (walk_crash.c).
 *
 * With crashes the shell of the walk has a disk: durable events go into a
 * journal that is committed now and then, effects wait for what they depend on
 * (output commit), and at any moment engine, keeper or machine die. Then a new
 * kernel folds what was committed, is told the keeper's rows, and resumes.
 */
#ifndef ASUPERSYNC_TESTS_WALK_H
#define ASUPERSYNC_TESTS_WALK_H

#include "core/durable.h"

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

extern bool crashes;

uint32_t dice(uint32_t sides);
void walk_fail(const char *what, const char *which);
int take_step(struct input *in);
void effect_take(const struct effect *fx);
/* The kernel is another one, that knows what was durable up to there. */
void walk_recovered(uint64_t seq);

struct input any_request(void);
/* A configuration of that seed: small limits, so that they are met. */
void walk_config(struct kernel_config *config);
/* What a process can do next, seen by an honest shell; false: nothing. */
bool honest_fact(struct input *in, uint64_t id, bool hurry);
/* Any fact about anything; false: none this time. */
bool any_fact(struct input *in);

/* Things that they are about (walk_pick.c): any at all, or one that lives if there is any. */
uint64_t any_id(void);
uint64_t live_region(void);
uint64_t open_region(void);
uint64_t live_task(void);
uint64_t owned(uint64_t (*next)(const struct kernel *, uint64_t region, uint64_t after));
uint64_t any_session(void);
uint64_t any_duration(void);

/* The journal begins: with a snapshot. */
void crash_begin(void);
void crash_end(void);
/* After a step: its events are written, its effects go out when they may. */
void crash_step(const struct input *in, const struct step *out);
/* Some of what waits is committed; now and then everything dies and comes back. */
void crash_perhaps(void);
/* All that waits is committed. */
void crash_settle(void);
/* How many there were, how often something went out twice, and what was found to be owed. */
extern uint64_t crash_count, crash_reordered;
extern uint64_t crash_owed[FX_QUIESCENT + 1];

/* What was acknowledged (walk_told.c). */
void told_begin(void);
void told_end(void);
/* A request is about to be decided. */
void told_ask(const struct input *in);
/* Or one of the last again, as by a client that had no answer; false: there is none. */
bool told_again(struct input *in);
void told_step(const struct input *in, const struct step *out);
/* The journal is on disk up to there: answers go out. */
void told_tell(uint64_t committed);
/* What came back knows all that was told; what was not told is forgotten. */
void told_check(const struct kernel *before, const struct kernel *after);
void told_print(void);

#endif
