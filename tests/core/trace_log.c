/* SPDX-License-Identifier: MIT */
#include "trace_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    ptr = realloc(ptr, size_new);
    if (ptr == NULL)
        abort();
    return ptr;
}

const struct kernel_allocator trace_log_allocator = {.resize = resize};

/* ---- Keeping ------------------------------------------------------------------------- */

static void *
copy_of(const void *data, size_t size)
{
    void *copy = resize(NULL, NULL, 0, size > 0 ? size : 1);

    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

void
trace_log_add(struct trace_log *log, const struct event *ev)
{
    struct event *kept;

    if (log->count == log->capacity) {
        log->capacity = log->capacity * 2 + 64;
        log->events = resize(NULL, log->events, 0, log->capacity * sizeof log->events[0]);
    }
    kept = &log->events[log->count++];
    *kept = *ev;
    kept->text.data = copy_of(ev->text.data, ev->text.size);
    kept->payload = copy_of(ev->payload, ev->payload_size);
    if (ev->outcome != NULL)
        kept->outcome = copy_of(ev->outcome, sizeof *ev->outcome);
}

void
trace_log_free(struct trace_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free((void *)log->events[i].text.data);
        free((void *)log->events[i].payload);
        free((void *)log->events[i].outcome);
    }
    free(log->events);
    memset(log, 0, sizeof *log);
}

struct trace
trace_log_trace(const struct trace_log *log)
{
    return (struct trace){.events = log->events, .count = log->count};
}

void
trace_log_swap(struct trace_log *log, size_t first)
{
    struct event moved = log->events[first];

    log->events[first] = log->events[first + 1];
    log->events[first + 1] = moved;
}

/* ---- Commuting ------------------------------------------------------------------------- */

struct replay {
    struct kernel *kernel;
    uint64_t seq;
};

static void
apply(struct replay *r, const struct event *ev)
{
    struct event numbered = *ev;

    numbered.seq = ++r->seq;
    kernel_apply(r->kernel, &numbered);
}

/* Equal states, whichever event came last: the time of the last event is part
 * of a state, so a tick comes behind both. */
static bool
same_state(struct replay *a, struct replay *b, asup_time at)
{
    struct event tick = {.kind = EV_TICK, .at = at};

    apply(a, &tick);
    apply(b, &tick);
    return kernel_digest(a->kernel) == kernel_digest(b->kernel);
}

static const char *
describe(const char *what, const struct event *a, const struct event *b)
{
    static char text[160];

    (void)snprintf(text, sizeof text, "%s: %s, %s", what, event_kind_name(a->kind),
                   event_kind_name(b->kind));
    return text;
}

/* Both orders in one go: everything behind a pair is applied to both kernels,
 * so what a digest does not show (queues, free places) shows later. */
static const char *
replay_pairs(struct trace_log *log, struct replay *a, struct replay *b,
             uint32_t (*dice)(uint32_t sides), size_t *swaps)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct event *first = &log->events[i];
        const struct event *second = first + 1;

        apply(a, first);
        if (i + 1 == log->count || !kernel_events_independent(first, second) || dice(3) == 0) {
            apply(b, first);
            continue;
        }
        if (!kernel_events_independent(second, first))
            return describe("independent one way only", first, second);
        apply(a, second);
        apply(b, second);
        apply(b, first);
        if (!same_state(a, b, second->at))
            return describe("independent, but they do not commute", first, second);
        trace_log_swap(log, i);
        ++*swaps;
        i++;
    }
    return same_state(a, b, ASUP_NEVER - 1) ? NULL : "the ends differ";
}

/* Move events far, one neighbour at a time. */
static void
shuffle(struct trace_log *log, uint32_t (*dice)(uint32_t sides), size_t *swaps)
{
    for (int round = 0; round < 8; round++) {
        for (size_t i = 0; i + 1 < log->count; i++) {
            if (dice(2) == 0 || !kernel_events_independent(&log->events[i], &log->events[i + 1]))
                continue;
            trace_log_swap(log, i);
            ++*swaps;
        }
    }
}

static const char *
replay_whole(const struct trace_log *log, const struct trace *before, struct replay *a,
             struct replay *b)
{
    for (size_t i = 0; i < log->count; i++) {
        apply(a, &before->events[i]);
        apply(b, &log->events[i]);
    }
    return same_state(a, b, ASUP_NEVER - 1) ? NULL : "a trace of the same form ends otherwise";
}

const char *
trace_log_commute(struct trace_log *log, const struct kernel_config *config, asup_time start,
                  uint32_t (*dice)(uint32_t sides), size_t *swaps)
{
    struct trace now = trace_log_trace(log);
    struct trace before = {copy_of(log->events, log->count * sizeof log->events[0]), log->count};
    const char *wrong = NULL;

    for (int whole = 0; wrong == NULL && whole < 2; whole++) {
        struct replay a = {.kernel = kernel_new(config, &trace_log_allocator, start)};
        struct replay b = {.kernel = kernel_new(config, &trace_log_allocator, start)};

        if (whole) {
            shuffle(log, dice, swaps);
            wrong = replay_whole(log, &before, &a, &b);
        } else {
            wrong = replay_pairs(log, &a, &b, dice, swaps);
        }
        kernel_free(a.kernel);
        kernel_free(b.kernel);
    }
    if (wrong == NULL && trace_compare(&before, &now, &trace_log_allocator, NULL) != 0)
        wrong = "what commuted compares as different";
    free((void *)before.events);
    return wrong;
}
