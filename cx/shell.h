/* SPDX-License-Identifier: MIT */
/*
 * The shell: one kernel, the fibers that are its tasks, and what is due. What
 * cx.h promises is built on it, the same for the runtime and the lab, which
 * differ in a *world*: where time comes from, who runs next, what chance is.
 *
 *     asup_cx_...()  -->  input  -->  kernel_step  -->  effects
 *                                                        FX_REPLY   wake who asked
 *                                                        FX_START   make the fiber runnable
 *                                                        FX_SIGNAL  it is asked to stop: wake it
 *                                                        FX_KILL    give it up
 *                                                        FX_SWEEP   answered at once
 *
 * A fiber is a task that speaks (it is submitted with `notify`): a cancel's
 * delivery acknowledges nothing, its next checkpoint does (R-TSK-2). Its end is
 * IN_TASK_EXITED, cancel_delivered when a call had told it of the cancel;
 * IN_TASK_EMPTY follows when every scope that it opened is Closed, as a cgroup
 * is empty when the last process has gone.
 *
 * Nothing here reads a clock or a random source: it asks its world.
 */
#ifndef ASUPERSYNC_CX_SHELL_H
#define ASUPERSYNC_CX_SHELL_H

#include "asupersync/cx.h"
#include "core/kernel.h"
#include "cx/fiber.h"

struct shell;
struct task_fiber; /* a task's fiber with what the shell knows of it; see shell_internal.h */

/* Where something is about to happen: the lab may decide otherwise there. */
enum world_point {
    POINT_CHECKPOINT, /* any call that waits, and checkpoints: true: the task is cancelled now */
    POINT_ALLOCATE,   /* a call that takes memory: true: -ASUP_ENOMEM */
    POINT_ADMIT,      /* a call that makes something: true: -ASUP_EBUSY */
};

struct world {
    void *ctx;
    asup_time (*now)(void *ctx);
    uint64_t (*random)(void *ctx); /* for asup_cx_random_u64() */
    /* Which of `count` (at least 2) runnable tasks goes on, by index in the order in which they
     * became runnable; tasks[] are their ids. NULL: the first. */
    size_t (*choose)(void *ctx, const uint64_t *tasks, size_t count);
    /* Nothing can run. Wait until `until` (ASUP_NEVER: no timer) or something outside happened;
     * false: nothing will ever happen any more. */
    bool (*idle)(void *ctx, asup_time until);
    /* NULL: never. */
    bool (*intervenes)(void *ctx, enum world_point point, uint64_t task);
    /* Each step, before its effects are carried out. NULL: nobody looks. */
    void (*stepped)(void *ctx, const struct kernel *k, const struct input *in,
                    const struct step *out);
    /* A line of asup_cx_trace(). NULL: dropped. */
    void (*traced)(void *ctx, uint64_t task, const char *text);
    /* A task is about to run (its id), or gave way (0). NULL. */
    void (*switched)(void *ctx, uint64_t task);
    /* Nobody runs, before somebody is chosen: shell_input() and shell_shutdown() may be called.
     * NULL. */
    void (*between)(void *ctx);
};

struct shell_options {
    struct kernel_config kernel;
    size_t stack_size;
};

/* The kernel's defaults for a program with so many live tasks: limits that only guard memory,
 * nothing that a process needs and a fiber does not. */
void shell_kernel_config_init(struct kernel_config *config, uint32_t tasks_max);

struct shell *shell_new(const struct shell_options *options, const struct world *world);
void shell_free(struct shell *s);

/* Run body in a region "/main" until "/" is Closed. *out: of that region. */
int shell_run(struct shell *s, asup_body body, void *arg, struct kernel_outcome *out);

/* From the world, between steps: a fact or a request of its own. */
int shell_input(struct shell *s, struct input *in);
const struct kernel *shell_kernel(const struct shell *s);
/* Ask everything to end (R-REG-6); the second time at once. */
void shell_shutdown(struct shell *s, uint64_t within_ns);

/* For the world's own waiting calls (asup_cx_poll and the daemon's): park the fiber that
 * runs until shell_wake(ticket). A checkpoint: 0, or -ASUP_ECANCELLED, then the ticket is
 * dropped. until: -ASUP_ETIMEDOUT. */
struct shell_ticket {
    uint64_t task;
    uint64_t number;
};
struct shell_ticket shell_ticket(struct shell *s);
int shell_park(struct shell *s, struct shell_ticket ticket, asup_time until);
void shell_wake(struct shell *s, struct shell_ticket ticket);

struct shell *shell_of(const struct asup_cx *cx);

#endif
