/* SPDX-License-Identifier: MIT */
/*
 * A simulated world around a kernel: the daemon with its journal, a keeper with
 * processes, clients and workers at the other end of a network, a clock. All is
 * virtual and comes from one seed, so a world that goes wrong goes wrong again.
 *
 *     clients --(network)--> engine: kernel_step() --> journal --> answers, orders
 *        ^                                                            |
 *        +--------------------(network)---------- keeper, processes <-+
 *
 * Safety first: for so many steps everything that can go wrong does, as far as
 * the seed has drawn it (a random part of the faults, each with an intensity of
 * its own). Liveness then: faults stop, regions and "/" are closed, and every
 * region must be Closed by its T + P (R-REG-6) but for those that by the rules
 * may wait.
 *
 * Watched all the time: the invariants of the kernel; that its events add up to
 * its state (R-EVT-1) and refusals leave no mark (R-EVT-2); that the potential
 * falls (R-SCH-3); that what a client was told is true and stays so whatever dies
 * (R-DUR-1); that outcomes are what the processes did (R-TSK-4), that no task
 * runs twice at once (R-TSK-5) and none lives on in what is closed (R-REG-4).
 */
#ifndef ASUPERSYNC_LAB_WORLD_H
#define ASUPERSYNC_LAB_WORLD_H

#include <stdio.h>

#include "asupersync/lab.h"
#include "core/durable.h"

/* X(NAME, "name", "what goes wrong"). */
#define WORLD_FAULT_LIST(X)                                                                        \
    X(MESSAGE_LATE, "message-late", "a request or answer takes long, and others overtake it")      \
    X(MESSAGE_LOST, "message-lost", "a request never arrives")                                     \
    X(ANSWER_LOST, "answer-lost", "an answer never arrives")                                       \
    X(MESSAGE_TWICE, "message-twice", "a request arrives twice")                                   \
    X(CONNECTION_LOST, "connection-lost", "a client is away, and back before its session ends")    \
    X(SESSION_LOST, "session-lost", "a client is away for longer than its session lives")          \
    X(CLIENT_DIED, "client-died", "a client never comes back; another takes its place")            \
    X(REPEAT, "repeat", "a request that was answered is sent again")                               \
    X(REPEAT_BY_KEY, "repeat-by-key", "likewise, under another request id and its old key")        \
    X(CONFLICT, "conflict", "another request under the id or key of an old one")                   \
    X(RUDE, "rude", "requests about anything from anybody, right and wrong")                       \
    X(STRAY_FACT, "stray-fact", "facts that come when they should not")                            \
    X(WORKER_QUIET, "worker-quiet", "a worker says nothing for a while")                           \
    X(WORKER_DIED, "worker-died", "a worker never comes back")                                     \
    X(COMPLETE_LATE, "complete-late", "a call is completed after it was given to another")         \
    X(COMPLETE_TWICE, "complete-twice", "a call is completed again")                               \
    X(PROCESS_CRASH, "process-crash", "a process dies of a signal")                                \
    X(PROCESS_OOM, "process-oom", "a process takes all memory and is killed")                      \
    X(PROCESS_HANG, "process-hang", "a process never ends by itself")                              \
    X(PROCESS_DEAF, "process-deaf", "a process ignores the cancel signal")                         \
    X(PROCESS_FORKS, "process-forks", "a process leaves children behind")                          \
    X(PROCESS_SILENT, "process-silent", "a process forgets its watchdog and its checkpoints")      \
    X(PROCESS_STUCK, "process-stuck", "a process outlives its kill for a while")                   \
    X(START_SLOW, "start-slow", "a start takes long")                                              \
    X(START_FAILED, "start-failed", "a start fails")                                               \
    X(STATUS_LOST, "status-lost", "how a process ended cannot be told")                            \
    X(ROW_TWICE, "row-twice", "the keeper says again what it said")                                \
    X(ROW_LATE, "row-late", "the keeper takes long to say it")                                     \
    X(SWEEP_FAILED, "sweep-failed", "what is left of a region cannot be removed yet")              \
    X(ENGINE_CRASH, "engine-crash", "the engine dies")                                             \
    X(KEEPER_CRASH, "keeper-crash", "the keeper dies, and all processes with it")                  \
    X(MACHINE_CRASH, "machine-crash", "the machine dies")                                          \
    X(TORN_TAIL, "torn-tail", "the last transaction of the journal is on disk in part")            \
    X(COMMIT_SLOW, "commit-slow", "a commit takes long")                                           \
    X(DISK_FULL, "disk-full", "commits fail for a while")                                          \
    X(DISK_ERROR, "disk-error", "one commit fails")                                                \
    X(SNAPSHOT, "snapshot", "the journal begins anew with a snapshot")                             \
    X(NO_MEMORY, "no-memory", "memory runs out in a step")                                         \
    X(RELOAD, "reload", "the kernel goes through a snapshot and is compared")                      \
    X(TICK_LATE, "tick-late", "a timer is served late")                                            \
    X(CLOCK_JUMP, "clock-jump", "the clock leaps ahead")                                           \
    X(CONFIG, "config", "another configuration is in force")                                       \
    X(SHUTDOWN, "shutdown", "somebody shuts the daemon down, and it is started again")

enum world_fault {
#define WORLD_FAULT_ENUM(name, text, what) FAULT_##name,
    WORLD_FAULT_LIST(WORLD_FAULT_ENUM)
#undef WORLD_FAULT_ENUM
        FAULT_COUNT
};
#define WORLD_FAULTS_ALL ((UINT64_C(1) << FAULT_COUNT) - 1)

const char *world_fault_name(enum world_fault fault);
const char *world_fault_text(enum world_fault fault);
/* "all", "none", or names between commas, each with "-" before it to leave it out.
 * False: an unknown name, whose place is in *wrong. */
bool world_faults_parse(const char *text, uint64_t *out, const char **wrong);

/* What is done by whom in a world, counted. */
#define WORLD_DEED_LIST(X)                                                                         \
    X(FOLD, "journals folded")                                                                     \
    X(FOLD_TORN, "of those, torn tails found")                                                     \
    X(FOLD_UNSEEN, "of those, with a commit that nobody had heard of")                             \
    X(ORDER_AGAIN, "orders given again after a crash")                                             \
    X(START, "processes started")                                                                  \
    X(SIGNAL, "cancel signals")                                                                    \
    X(KILL, "kills")                                                                               \
    X(FORGET, "rows forgotten")                                                                    \
    X(SWEEP, "regions swept")                                                                      \
    X(UNKNOWN_ROW, "rows that nobody knew")                                                        \
    X(GAVE_UP, "processes that saw a cancel and ended by themselves")                              \
    X(PARKED, "requests that had to wait")                                                         \
    X(RESENT, "requests sent again for want of an answer")                                         \
    X(RESUMED, "sessions resumed")                                                                 \
    X(EXPIRED, "sessions that were gone")                                                          \
    X(TOLD_MADE, "told: made")                                                                     \
    X(TOLD_ENDED, "told: ended")                                                                   \
    X(TOLD_FINISHED, "told: finished")                                                             \
    X(TOLD_SEALED, "told: sealed")                                                                 \
    X(TOLD_REVOKED, "told: revoked")                                                               \
    X(TOLD_OFFERED, "told: offered")                                                               \
    X(TOLD_TAKEN, "told: taken")                                                                   \
    X(TOLD_BEGUN, "told: begun")                                                                   \
    X(TOLD_LEASED, "told: leased")                                                                 \
    X(TOLD_ANSWERED, "told: answered")                                                             \
    X(TOLD_AGAIN, "told again, the same")                                                          \
    X(REOPENED, "times \"/\" was opened again")                                                    \
    X(RESOLVED, "sagas that an operator resolved")                                                 \
    X(BOUND_KEPT, "regions closed within T + P once faults had stopped")                           \
    X(BOUND_NONE, "regions that had no such bound")

enum world_deed {
#define WORLD_DEED_ENUM(name, text) DEED_##name,
    WORLD_DEED_LIST(WORLD_DEED_ENUM)
#undef WORLD_DEED_ENUM
        DEED_COUNT
};
const char *world_deed_text(enum world_deed which);

enum { INPUT_KIND_COUNT = IN_RESUMED + 1, ERROR_CODES = 24 };

/* How often what happened; worlds add to it. */
struct world_counts {
    uint64_t worlds, steps, seconds;
    uint64_t faults[FAULT_COUNT];
    uint64_t deeds[DEED_COUNT];
    uint64_t granted[INPUT_KIND_COUNT]; /* facts: all */
    uint64_t refused[INPUT_KIND_COUNT];
    uint64_t events[EV_KIND_COUNT];
    uint64_t codes[ERROR_CODES];                         /* of refusals */
    uint64_t task_outcomes[4], region_outcomes[4];       /* by severity */
    uint64_t reasons[ASUP_CANCEL_KIND_COUNT];            /* of regions and tasks cancelled */
    uint64_t judged[ASUP_ORACLE_COUNT];                  /* by the oracles */
    uint64_t region_policies[ASUP_POLICY_COUNT];         /* of regions closed */
    uint64_t obligations[ASUP_OBLIGATION_KIND_COUNT][3]; /* committed, aborted, leaked */
};

struct world_options {
    uint64_t seed;
    uint32_t steps;  /* of the kernel, before faults stop */
    uint64_t faults; /* bits: those that the seed may draw */
    bool swarm;      /* false: all of them are in force */
    /* For who wants to keep what happens; NULL: nobody does. A history begins
     * with a kernel, first of all and after each recovery. */
    void (*on_begin)(void *ctx, const struct kernel *k);
    void (*on_step)(void *ctx, const struct kernel *k, const struct input *in,
                    const struct step *out);
    void *ctx;
};

struct world_report {
    bool ok;
    char failure[512]; /* what went wrong */
    uint64_t digest;   /* of all events, and of all answers: equal worlds, equal digests */
    uint64_t events, steps, crashes;
    uint64_t id_last;
    asup_time elapsed;
};

/* Defaults: all faults, drawn by the seed; 2000 steps. */
void world_options_init(struct world_options *options, uint64_t seed);
/* 0: all was well; -ASUP_EPANICKED: see the report; -ASUP_ENOMEM. */
int world_run(const struct world_options *options, struct world_report *report,
              struct world_counts *sum);
/* What the seed draws: one line for each option. */
void world_options_print(const struct world_options *options, FILE *to);

void world_counts_add(struct world_counts *to, const struct world_counts *from);
/* All that is counted, group by group. Of what is rare nobody expects that it happens. */
typedef void world_row(void *ctx, const char *group, const char *name, uint64_t count, bool rare);
void world_counts_rows(const struct world_counts *counts, world_row *row, void *ctx);
void world_counts_print(const struct world_counts *counts, FILE *to);
/* What never happened though it can: printed, and how much that is. */
uint64_t world_counts_never(const struct world_counts *counts, FILE *to);
const char *world_input_name(enum input_kind kind);

#endif
