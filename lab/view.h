/* SPDX-License-Identifier: MIT */
/*
 * What a kernel holds and what an event says, as JSON: the shapes of
 * asupersync-protocol(7) (N, T, O, R, E), so that a trace reads like a daemon, with
 * names beside ids where the kernel knows them.
 */
#ifndef ASUPERSYNC_LAB_VIEW_H
#define ASUPERSYNC_LAB_VIEW_H

#include <jansson.h>

#include "lab/recording.h"

/* Text as it is, bytes that are no UTF-8 replaced. */
json_t *view_text(struct bytes text);
/* "t7"; null for 0. */
json_t *view_id(uint8_t sort, uint64_t id);
json_t *view_path(const struct kernel *k, uint64_t region);
/* null for 0, and for NULL. k NULL: reasons are not known. */
json_t *view_reason(const struct kernel *k, uint32_t reason);
json_t *view_outcome(const struct kernel *k, const struct kernel_outcome *o);

/* An event with what k, which is as it was before or after it, knows of names.
 * k NULL: nothing is known. */
json_t *view_event(const struct kernel *k, const struct event *ev);
/* Where it belongs: how deep below "/"; 0 when that is not known. */
unsigned view_depth(const struct kernel *k, const struct event *ev);

/* Take the next event of a fold, and tell of it with the names of its time: before it
 * for what it ends, after it for all else. Events before the snapshot are told with
 * what the snapshot knows. NULL: there are no more. */
json_t *view_next(struct fold *f, unsigned *depth, const struct event **ev);

/* A region with all below it; `all`: retained ones too. NULL: there is none. */
json_t *view_tree(const struct kernel *k, uint64_t region, asup_time now, bool all);

/* "8f2c...": equal states, equal digests. */
json_t *view_digest(const struct kernel *k);

const char *view_obligation_kind(uint8_t kind);
const char *view_task_state(uint8_t state);
const char *view_region_state(uint8_t state);

#endif
