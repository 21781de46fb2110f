/* SPDX-License-Identifier: MIT */
/* Events and kernels that go through bytes and back, with the checks that
 * nothing of them was lost on the way. Each aborts with a word when it was. */
#ifndef ASUPERSYNC_TESTS_DURABLY_H
#define ASUPERSYNC_TESTS_DURABLY_H

#include "core/durable.h"

/* Encode, decode, compare, and fold what came back. */
void apply_durably(struct kernel *k, const struct event *ev);

struct memory_file {
    uint8_t *data;
    size_t size, capacity, at;
};
struct durable_sink memory_sink(struct memory_file *f);
struct durable_source memory_source(struct memory_file *f);
void memory_file_fini(struct memory_file *f);

/* A kernel from the snapshot of another one. LOAD_EXACT: its digest is the same. */
struct kernel *load_of(const struct kernel *k, const struct kernel_allocator *allocator,
                       asup_time now, enum kernel_load_how how);

#endif
