/* SPDX-License-Identifier: MIT */
#include "lab/bytes.h"

#include <stdlib.h>
#include <string.h>

void
bytes_file_append(struct bytes_file *f, const void *data, size_t size)
{
    if (f->capacity - f->size < size) {
        uint8_t *more;

        f->capacity = 2 * f->capacity + size + 256;
        more = realloc(f->data, f->capacity);
        if (more == NULL)
            abort();
        f->data = more;
    }
    if (size > 0)
        memcpy(f->data + f->size, data, size);
    f->size += size;
}

static int
file_write(void *ctx, const void *data, size_t size)
{
    bytes_file_append(ctx, data, size);
    return 0;
}

static long
file_read(void *ctx, void *data, size_t size)
{
    struct bytes_file *f = ctx;

    if (size > f->size - f->at)
        size = f->size - f->at;
    if (size > 0)
        memcpy(data, f->data + f->at, size);
    f->at += size;
    return (long)size;
}

struct durable_sink
bytes_sink(struct bytes_file *f)
{
    return (struct durable_sink){.write = file_write, .ctx = f};
}

struct durable_source
bytes_source(struct bytes_file *f)
{
    f->at = 0;
    return (struct durable_source){.read = file_read, .ctx = f};
}

void
bytes_file_fini(struct bytes_file *f)
{
    free(f->data);
    memset(f, 0, sizeof *f);
}
