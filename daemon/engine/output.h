/* SPDX-License-Identifier: MIT */
/*
 * Output commit: nothing that somebody has seen can un-happen. What leaves the
 * engine (answers, and orders to the keeper) names the event it depends on; it
 * waits here, in order, until that event is on disk. What depends on nothing
 * durable (0) goes at once, as does everything while nothing is under way.
 *
 * Answers are rendered when they are given, so what they say is what was true
 * at that event; orders are copied with their specs.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_OUTPUT_H
#define ASUPERSYNC_DAEMON_ENGINE_OUTPUT_H

#include "daemon/engine/state.h"

/* Answer the exchange with that, once event `after` is on disk. */
void
output_reply(struct engine *e, struct exchange *x, const void *data, size_t size, uint64_t after);
/* Carry out the order (not FX_REPLY) once event fx->after is on disk. */
void output_effect(struct engine *e, const struct effect *fx);
/* More is on disk: release what waited for it. */
void output_release(struct engine *e);
/* Events up to this number may be told. */
uint64_t output_visible(const struct engine *e);
/* How many answers and orders wait. */
size_t output_held(const struct engine *e);
void output_drop(struct engine *e);

#endif
