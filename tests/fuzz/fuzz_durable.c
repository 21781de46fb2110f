/* SPDX-License-Identifier: MIT */
/*
 * What a journal holds: events and snapshots, whatever became of them on a disk.
 * The check sums are not looked at here (FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION),
 * so that what stands behind them has to hold by itself.
 *
 * The first byte says what follows: 'e' an event, else a snapshot. Whatever is
 * accepted can be written again, and reads as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "core/durable.h"

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size_new);
}

static const struct kernel_allocator allocator = {.resize = resize};

static void
must_be(bool condition)
{
    if (!condition)
        abort();
}

static void
event_try(const uint8_t *data, size_t size)
{
    struct durable_buffer scratch = {.allocator = allocator};
    struct durable_buffer again = {.allocator = allocator};
    struct durable_buffer other = {.allocator = allocator};
    struct event ev;

    if (kernel_event_decode((struct bytes){data, size}, &scratch, &ev) == 0) {
        struct event back;

        must_be(kernel_event_encode(&ev, &again) == 0);
        must_be(kernel_event_decode((struct bytes){again.data, again.size}, &other, &back) == 0);
        must_be(back.seq == ev.seq && back.kind == ev.kind &&
                back.payload_size == ev.payload_size && back.text.size == ev.text.size);
    }
    durable_buffer_fini(&scratch);
    durable_buffer_fini(&again);
    durable_buffer_fini(&other);
}

struct file {
    const uint8_t *at;
    size_t left;
};

static long
file_read(void *ctx, void *data, size_t size)
{
    struct file *f = ctx;

    if (size > f->left)
        size = f->left;
    if (size > 0)
        memcpy(data, f->at, size);
    f->at += size;
    f->left -= size;
    return (long)size;
}

static int
nowhere(void *ctx, const void *data, size_t size)
{
    (void)ctx;
    (void)data;
    (void)size;
    return 0;
}

static void
snapshot_try(const uint8_t *data, size_t size, enum kernel_load_how how)
{
    struct file f = {data, size};
    const struct durable_source source = {.read = file_read, .ctx = &f};
    const struct durable_sink sink = {.write = nowhere};
    struct kernel *k = NULL;

    if (kernel_load(&source, &allocator, 0, how, &k) != 0)
        return;
    (void)kernel_digest(k);
    must_be(kernel_save(k, &sink) == 0);
    kernel_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] == 'e')
        event_try(data + 1, size - 1);
    else
        snapshot_try(data + 1, size - 1, data[0] == 'r' ? LOAD_RECOVER : LOAD_EXACT);
    return 0;
}
