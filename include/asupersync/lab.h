/* SPDX-License-Identifier: MIT */
/**
 * @file lab.h
 * The lab: runs tasks (cx.h) under virtual time, deterministically. Whatever
 * could go one way or another (which task runs next, when a cancel comes, what
 * a random number is) is chosen by a seed: same program, same seed, same events,
 * byte for byte, on every machine and in every build (R-EVT-4).
 *
 *     asup_lab_config_init(&config, 42);
 *     lab = asup_lab_new(&config);
 *     asup_lab_run(lab, body, arg, NULL);
 *     assert(asup_lab_ok(lab, ASUP_ORACLE_OBLIGATION_LEAK));
 *     asup_lab_free(lab);
 *
 * Or asup_lab_main(), which makes of a body a whole test program that takes a
 * seed, tries thousands, prints how to reproduce what failed, and replays it.
 *
 * Safety first, then liveness: when the body has ended, or its steps are over,
 * faults and injected cancels stop and "/" is closed; everything must be
 * Closed within its bound then.
 */
#ifndef ASUPERSYNC_LAB_H
#define ASUPERSYNC_LAB_H

#include <stdio.h>

#include "asupersync/cx.h"

ASUP_DECLS_BEGIN

/* ---- Oracles ------------------------------------------------------------------- */

/* X(NAME, "name", "what it says when all is well"). Each looks at events and effects only. */
#define ASUP_ORACLE_LIST(X)                                                                        \
    X(TASK_LEAK, "task-leak", "every task completed")                                              \
    X(REGION_TREE, "region-tree", "every live thing belongs to exactly one open region")           \
    X(QUIESCENCE, "quiescence", "a closed region left nothing behind")                             \
    X(FINALIZERS, "finalizers", "finalizers ran once, last in first out")                          \
    X(DEADLINE_MONOTONE, "deadline-monotone", "no child outlives its parent's limit")              \
    X(NO_AMBIENT_AUTHORITY, "no-ambient-authority", "nothing was done without the right to")       \
    X(CANCEL_PROTOCOL, "cancel-protocol", "request, cancelling, finalizing, completed, in order")  \
    X(CANCEL_PROPAGATES, "cancel-propagates", "a cancel reached all below, and only strengthened") \
    X(CANCEL_DEBT, "cancel-debt", "what was cancelled ended by its time")                          \
    X(LOSER_DRAINED, "loser-drained", "a race returned when no loser ran")                         \
    X(OBLIGATION_LEAK, "obligation-leak", "no obligation was leaked")                              \
    X(OBLIGATION_LINEAR, "obligation-linear", "every obligation was resolved exactly once")        \
    X(CHANNEL_ATOMIC, "channel-atomic", "a message was sent whole or not at all, within capacity") \
    X(MESSAGE_LOST, "message-lost", "every message was consumed, is queued, or is a dead letter")  \
    X(LEASE_FENCED, "lease-fenced", "leases were exclusive and tokens only grew")                  \
    X(SAGA_ORDER, "saga-order", "compensations ran in reverse order, each done at most once")      \
    X(IDEMPOTENCY, "idempotency", "one key, one effect")                                           \
    X(FAIRNESS, "fairness", "no lane starved another")                                             \
    X(PRIORITY_INVERSION, "priority-inversion", "nothing less urgent was picked first")            \
    X(POTENTIAL, "potential", "without admissions the potential only fell")                        \
    X(FUTURELOCK, "futurelock", "no holder of an obligation stood still")                          \
    X(DETERMINISM, "determinism", "the same seed gave the same events")

enum asup_oracle {
#define ASUP_ORACLE_ENUM(name, text, well) ASUP_ORACLE_##name,
    ASUP_ORACLE_LIST(ASUP_ORACLE_ENUM)
#undef ASUP_ORACLE_ENUM
        ASUP_ORACLE_COUNT
};

/* ---- Configuration ------------------------------------------------------------------ */

/** When the lab cancels a task by itself, at one of its checkpoints. */
enum asup_inject {
    ASUP_INJECT_NEVER,
    ASUP_INJECT_EVERY,  /**< at every checkpoint of the run, one run each: asup_lab_explore() */
    ASUP_INJECT_AT,     /**< at the n-th alone */
    ASUP_INJECT_RANDOM, /**< at each with a chance of 1 in n */
    ASUP_INJECT_FIRST,  /**< at the first n */
    ASUP_INJECT_LAST,   /**< at the last n, of as many as a first run without any showed */
    ASUP_INJECT_NTH,    /**< at every n-th */
};

/** Faults of the world of a program under test; each a chance in 65536 at every place where it
 *  can happen. 0: never. */
struct asup_lab_faults {
    uint32_t no_memory;  /**< a call answers -ASUP_ENOMEM */
    uint32_t busy;       /**< likewise -ASUP_EBUSY */
    uint32_t slow;       /**< a task is not chosen for a while although it could run */
    uint32_t clock_jump; /**< time leaps ahead by up to clock_jump_ns */
    uint64_t clock_jump_ns;
    uint32_t kill; /**< a waiting task is given up, as at the end of a drain */
};

/** Fill with asup_lab_config_init(), then change. */
struct asup_lab_config {
    uint64_t seed;         /**< of choices */
    uint64_t entropy_seed; /**< of asup_cx_random_u64(); default: the seed */
    uint64_t max_steps;    /**< of all tasks together; beyond them the run fails and names the task;
                                default 1,000,000 */
    uint64_t
        futurelock_max_idle_steps; /**< a holder of an obligation that does not run for so many
                                        steps of others while it could is a futurelock, and one
                                        that waits for what only itself can give; default 10,000 */
    bool capture_trace; /**< keep events and choices for asup_lab_trace_save(); default true */
    bool panic_on_obligation_leak; /**< a leak ends the run Panicked; default true */
    bool panic_on_futurelock;      /**< likewise; default true */
    uint32_t hang_cpu_ms; /**< a task that runs so long, in CPU time, without giving way ends the
                               program with a report that names it; 0: never; default 10 s */
    bool auto_advance;    /**< time leaps to the next timer when nothing can run; default true */
    enum asup_inject inject;
    uint32_t inject_n;
    struct asup_lab_faults faults;
    bool swarm;             /**< draw inject and faults anew from the seed; default false */
    bool check_determinism; /**< run twice and compare; default false */
    size_t stack_size;      /**< of a fiber; 0: 64 KiB */
    const char *program;    /**< named in traces and reports; NULL: "lab" */
};
ASUP_API void asup_lab_config_init(struct asup_lab_config *config, uint64_t seed);

/* ---- Running --------------------------------------------------------------------------- */

struct asup_lab;

/** @return NULL without memory, or for a configuration that makes no sense. */
ASUP_API struct asup_lab *asup_lab_new(const struct asup_lab_config *config);
ASUP_API void asup_lab_free(struct asup_lab *lab);

/** What came of a run. */
struct asup_lab_report {
    bool ok;        /**< every oracle is content, nothing went wrong */
    int result;     /**< of the body's region, as asup_outcome_result() */
    uint64_t steps; /**< times a task was chosen */
    uint64_t events;
    uint64_t checkpoints;
    uint64_t injected; /**< cancels */
    uint64_t faults;
    asup_time elapsed;   /**< virtual ns */
    uint64_t digest;     /**< of all events: equal runs, equal digests */
    const char *failure; /**< what went wrong, with where; NULL: nothing. Good until the next run */
};

/**
 * Run a task in a fresh world until nothing is left.
 *
 * @param[out] report  NULL: not wanted.
 * @return 0 when all was well, -ASUP_EPANICKED when an oracle or the run itself failed: the report,
 *         asup_lab_print() and asup_lab_ok() say why; -ASUP_ENOMEM.
 */
ASUP_API int
asup_lab_run(struct asup_lab *lab, asup_body body, void *arg, struct asup_lab_report *report);

/** Whether an oracle was content with the last run. */
ASUP_API bool asup_lab_ok(const struct asup_lab *lab, enum asup_oracle oracle);
/** What it had to say; NULL: it was content. */
ASUP_API const char *asup_lab_complaint(const struct asup_lab *lab, enum asup_oracle oracle);
ASUP_API const char *asup_oracle_name(enum asup_oracle oracle);

/** All options of the last run, what came of it, and the command that repeats it. */
ASUP_API void asup_lab_print(const struct asup_lab *lab, FILE *to);

/**
 * Runs of @p runs seeds from config.seed on; with ASUP_INJECT_EVERY one for each
 * checkpoint of each. Stops at the first failure, whose run is then the last.
 */
ASUP_API int asup_lab_explore(struct asup_lab *lab, uint64_t runs, asup_body body, void *arg,
                              struct asup_lab_report *report);

/* ---- Traces ----------------------------------------------------------------------------- */

/** Save the last run: metadata, choices, events. @return 0, -ASUP_EUNAVAILABLE with errno. */
ASUP_API int asup_lab_trace_save(const struct asup_lab *lab, const char *path);

/**
 * Run with the choices of a saved trace, and compare the events with it.
 * @return 0: the same; -ASUP_ECONFLICT: it went another way, the report says where;
 *         -ASUP_EMALFORMED, -ASUP_EUNSUPPORTED: no such trace, or of another version or program.
 */
ASUP_API int asup_lab_replay(struct asup_lab *lab, const char *path, asup_body body, void *arg,
                             struct asup_lab_report *report);

/**
 * main() of a lab program:
 *
 *     PROGRAM [--seed N] [--seeds COUNT] [--inject WHAT[:N]] [--swarm] [--save FILE]
 *             [--replay FILE] [--max-steps N] [--json] [--help]
 *
 * @return its exit status: 0 all well, 1 something failed (the reproducing command is printed),
 *         64 usage.
 */
ASUP_API int asup_lab_main(int argc, char **argv, const char *program, asup_body body, void *arg);

ASUP_DECLS_END

#endif
