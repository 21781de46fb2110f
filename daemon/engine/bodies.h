/* SPDX-License-Identifier: MIT */
/*
 * The shapes of asupersync-protocol(7) that replies are made of: node N, task
 * T, outcome O, reason R, event E. Each writes one map (or nil).
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_BODIES_H
#define ASUPERSYNC_DAEMON_ENGINE_BODIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernel.h"
#include "daemon/engine/state.h"
#include "proto/writer.h"

/* A chain of reasons, the root cause innermost; nil for 0. */
void body_reason(struct proto_writer *w, const struct kernel *k, uint32_t reason);
/* nil for NULL. */
void body_outcome(struct proto_writer *w, const struct kernel *k, const struct kernel_outcome *o);
/* `wall` is when it was, in Unix time. */
void
body_event(struct proto_writer *w, const struct kernel *k, const struct event *ev, uint64_t wall);
/* Whether it tells nothing for which the kernel must be as it was then: a path, a
 * chain of reasons, the channel of a message. */
bool body_event_is_whole(const struct event *ev);

/* The head of N: every key but tasks and children; the map stays open. */
void body_region_open(struct proto_writer *w, struct engine *e, const struct region_view *r);
void body_region(struct proto_writer *w, struct engine *e, const struct region_view *r);
/* What region.wait answers. */
void body_region_closed(struct proto_writer *w, struct engine *e, const struct region_view *r);
/* The finalizer and the compensations of a region that run now, which its list of
 * tasks lacks: the next one after *at, which begins as {0}. False: no more. */
bool running_cleanup(const struct kernel *k, const struct region_view *region, struct asup_ref *at,
                     struct task_view *out);
void body_task(struct proto_writer *w, struct engine *e, const struct task_view *t);
/* With the result of a call. */
void body_task_full(struct proto_writer *w, struct engine *e, const struct task_view *t);

/* What worker.next answers: calls, then cancels, of the list; what became of
 * those the worker told about (NULL: none). */
void body_worker_next(struct proto_writer *w, struct engine *e, const struct asup_ref *list,
                      uint32_t calls, uint32_t count, const struct worker_codes *codes);
void body_budget(struct proto_writer *w, const struct asup_budget *b, uint32_t polls_spent,
                 uint64_t cost_spent, asup_time now);

/* G */
void
body_saga(struct proto_writer *w, struct engine *e, const struct saga_view *s, bool with_steps);

/* "/web/api", NUL-terminated; returns its size. Cut when the room ends. */
enum { REGION_PATH_SIZE = (ASUP_NAME_MAX + 1) * ASUP_DEPTH_MAX + 2 };
size_t region_path(const struct kernel *k, uint64_t id, char *out, size_t size);

/* channel.reserve and channel.receive; the latter false, and nothing written, when
 * the ack was settled meanwhile (op_channel.c). */
void body_permit(struct proto_writer *w, struct engine *e, uint64_t obligation);
bool body_delivery(struct proto_writer *w, struct engine *e, uint64_t obligation);
/* What an event about a channel or message says of it. */
void body_event_channel(struct proto_writer *w, const struct kernel *k, const struct event *ev);
/* "/web/orders" */
enum { CHANNEL_PATH_SIZE = REGION_PATH_SIZE + ASUP_NAME_MAX + 2 };
size_t channel_path(const struct kernel *k, const struct channel_view *v, char *out, size_t size);
const char *message_end_name(uint8_t why);

const char *region_state_name(uint8_t state);
const char *task_state_name(uint8_t state);
const char *saga_state_name(uint8_t state);
const char *worker_state_name(const struct worker_view *v);
/* A call without a label goes by the name of its computation. */
struct bytes task_shown_label(const struct kernel *k, const struct task_view *t);
const char *step_state_name(uint8_t state);
const char *cancel_kind_name(uint8_t kind);
const char *severity_name(uint8_t severity);
const char *policy_name(uint8_t policy);

/* What is left until an instant; 0 when it passed, ASUP_NEVER stays. */
uint64_t time_left(asup_time at, asup_time now);

#endif
