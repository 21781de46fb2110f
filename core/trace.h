/* SPDX-License-Identifier: MIT */
/*
 * Comparing traces: whether two sequences of events tell the same story
 * (R-EVT-3).
 *
 * Independent neighbours may change places. So a trace is brought into its
 * Foata normal form: each event stands in the first step behind all that it
 * depends on, and within a step, where all are independent, in an order of its
 * own. Two traces are the same when their normal forms are, with every id that
 * a trace made itself replaced by its number among those of its sort.
 *
 * All that an event says is compared, except what is not the kernel's: its
 * place in the sequence, the pid that the system gave a process, and the digest
 * of a request, which is over text that may name ids. A text that begins with
 * an id ("t7 failed") may also have the same id by its new name.
 */
#ifndef ASUPERSYNC_CORE_TRACE_H
#define ASUPERSYNC_CORE_TRACE_H

#include "core/resources.h"

struct trace {
    const struct event *events; /* with what they point to; in order */
    size_t count;               /* less than 2^32 */
};

/* The first place where the normal forms part. */
struct trace_difference {
    size_t step;  /* counted from 1; 0: they do not */
    size_t left;  /* index of the event; SIZE_MAX: that trace has none there */
    size_t right; /* likewise */
};

/* 0: the same; 1: not, and `out` says where (NULL: not wanted); -ASUP_ENOMEM.
 * Memory is in proportion to the number of events, and given back. */
int trace_compare(const struct trace *left, const struct trace *right,
                  const struct kernel_allocator *allocator, struct trace_difference *out);

/* Likewise, but what the world around gave is of no account: times, use of resources,
 * secrets, what a program is given to run (its spec). So two runs of one story in a
 * real daemon are the same. */
int trace_compare_loosely(const struct trace *left, const struct trace *right,
                          const struct kernel_allocator *allocator, struct trace_difference *out);

/* The step that each event stands in, from 1, into steps[count]. 0 or
 * -ASUP_ENOMEM. */
int
trace_steps(const struct trace *trace, const struct kernel_allocator *allocator, uint32_t *steps);

#endif
