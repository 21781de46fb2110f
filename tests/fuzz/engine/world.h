/* SPDX-License-Identifier: MIT */
/*
 * The world around an engine under fuzzing. The engine is the real one, from
 * its dispatch to its journal records and back; what is not is what it meets:
 *
 *     keeper.c    link.h: processes that do what a script says (and nothing
 *                 that a kernel would not let them)
 *     disk.c      journal.h: what was committed is there after a crash
 *     clients.c   server.h: connections, requests made from the schema, replies
 *     stand_in.c  logs, notify sockets, users, time, random numbers
 *     life.c      begins, crashes and ends, with the checks
 *
 * A script (script.h) is a sequence of steps; everything that follows from one
 * follows from its bytes.
 */
#ifndef ASUPERSYNC_FUZZ_WORLD_H
#define ASUPERSYNC_FUZZ_WORLD_H

#include "daemon/engine/state.h"

#include "script.h"

enum { IDS_MAX = 16384, CRASHES_MAX = 64, POOL_SIZE = 32, CONNECTIONS = 5 };

extern struct engine *engine; /* NULL between two of them */

/* Stop here: a rule is broken. */
void broken(const char *rule, const char *what) __attribute__((noreturn));

/* ---- stand_in.c --------------------------------------------------------------- */

/* Numbers that follow from a step's. */
void dice_seed(uint32_t seed);
uint32_t dice(uint32_t sides);
/* Kernel memory: allocations until all that follow are refused; -1: none is. */
extern long memory_left;
extern const struct kernel_allocator scarce_memory, plain_memory;
/* The clock of the machine. */
extern uint64_t machine_now;
extern bool replace_wanted;
void stand_ins_reset(void);

/* ---- keeper.c ------------------------------------------------------------------- */

void keeper_reset(void);
/* The same keeper greets the next engine; or another one that knows nothing,
 * perhaps after the machine started anew. */
void keeper_greets(void);
void keeper_dies(bool machine_too);
/* One of the processes does something; false: there is none that could. `hurry`:
 * whoever was told to end does. */
bool keeper_process(uint32_t which, bool hurry);
uint32_t keeper_processes(void);
/* A sweep that was ordered is done, or fails; false: none was. */
bool keeper_swept(bool fails);
bool keeper_sampled(void);

/* ---- disk.c ------------------------------------------------------------------------ */

void disk_reset(void);
void disk_fini(void);
/* Write what was pushed; the engine is told. */
void disk_commit(void);
void disk_fail(bool failing);
/* What was not committed is gone. */
void disk_crash(void);
uint64_t disk_committed(void);

/* ---- clients.c ------------------------------------------------------------------------ */

void clients_reset(void);
/* The engine dies: what it held for that connection is nobody's; what the client
 * knows stays. */
void clients_let_go(uint32_t which);
void clients_request(const struct script_step *s);
void clients_hang_up(uint32_t which);
/* Every request has been answered once, and only waits are held. */
void clients_check(void);
/* Requests that wait in the kernel. */
uint32_t clients_parked(void);
/* Ids that were told to somebody, newest first; 0: no more. */
uint64_t clients_told(enum asup_sort sort, uint32_t n);

/* ---- life.c ------------------------------------------------------------------------------ */

void life_begin(const struct script_step *first);
void life_crash(bool keeper_too, bool machine_too);
/* What the loop does before it sleeps. */
void life_turn(void);
void life_check(void);
/* "/" is shut down; nothing may be left. */
void life_end(void);

#endif
