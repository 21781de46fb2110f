/* SPDX-License-Identifier: MIT */
/* A file in memory, for kernels that go through bytes and for simulated disks. */
#ifndef ASUPERSYNC_LAB_BYTES_H
#define ASUPERSYNC_LAB_BYTES_H

#include "core/durable.h"

struct bytes_file {
    uint8_t *data;
    size_t size, capacity, at;
};

void bytes_file_append(struct bytes_file *f, const void *data, size_t size);
void bytes_file_fini(struct bytes_file *f);
struct durable_sink bytes_sink(struct bytes_file *f);
/* From its beginning. */
struct durable_source bytes_source(struct bytes_file *f);

#endif
