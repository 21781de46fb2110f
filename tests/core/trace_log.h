/* SPDX-License-Identifier: MIT */
/* Events that are kept beyond their step, with all they point to; and the
 * checks of R-EVT-3 on what was kept. */
#ifndef ASUPERSYNC_TESTS_TRACE_LOG_H
#define ASUPERSYNC_TESTS_TRACE_LOG_H

#include "core/trace.h"

struct trace_log {
    struct event *events;
    size_t count, capacity;
};

void trace_log_add(struct trace_log *log, const struct event *ev);
void trace_log_free(struct trace_log *log);
struct trace trace_log_trace(const struct trace_log *log);

/* Let the events at `first` and behind it change places. */
void trace_log_swap(struct trace_log *log, size_t first);

/* Memory that is there. */
extern const struct kernel_allocator trace_log_allocator;

/* Apply the trace to two kernels, letting independent neighbours change places
 * on the way to the second one. NULL: the same state after each pair and in the
 * end, and the traces compare as the same; else what was wrong. `dice` decides
 * which pairs; `swaps` counts them. Only the order of `log` changes. */
const char *trace_log_commute(struct trace_log *log, const struct kernel_config *config,
                              asup_time start, uint32_t (*dice)(uint32_t sides), size_t *swaps);

#endif
