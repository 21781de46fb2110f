/* SPDX-License-Identifier: MIT */
/* Bytes that are all there, as what a kernel is loaded from (core/durable.h). */
#ifndef ASUPERSYNC_DAEMON_ENGINE_SPAN_H
#define ASUPERSYNC_DAEMON_ENGINE_SPAN_H

#include <string.h>

#include "core/durable.h"

struct span {
    const char *data;
    size_t size;
};

static inline long
span_read(void *ctx, void *data, size_t size)
{
    struct span *s = ctx;
    size_t now = s->size < size ? s->size : size;

    if (now > 0)
        memcpy(data, s->data, now);
    s->data += now;
    s->size -= now;
    return (long)now;
}

/* What is left of it is read; the span is borrowed. */
static inline struct durable_source
span_source(struct span *s)
{
    return (struct durable_source){.read = span_read, .ctx = s};
}

#endif
