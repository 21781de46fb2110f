/* SPDX-License-Identifier: MIT */
#include "durably.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
lost(const char *what, const char *which)
{
    fprintf(stderr, "lost on the way through bytes: %s of %s\n", what, which);
    abort();
}

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

/* ---- Events ------------------------------------------------------------------ */

static void
compare(const struct event *a, const struct event *b)
{
    const char *name = event_kind_name(a->kind);

    if (a->seq != b->seq || a->at != b->at || a->kind != b->kind || a->uid != b->uid)
        lost("the head", name);
    if (a->region != b->region || a->task != b->task || a->session != b->session ||
        a->subject != b->subject || a->holder.id != b->holder.id ||
        a->holder.sort != b->holder.sort)
        lost("a subject", name);
    if (a->durable != b->durable || a->value != b->value || a->reason != b->reason)
        lost("a number", name);
    if (a->text.size != b->text.size || memcmp(a->text.data, b->text.data, a->text.size) != 0)
        lost("the text", name);
    if (a->payload_size != b->payload_size)
        lost("the payload", name);
    if ((a->outcome == NULL) != (b->outcome == NULL))
        lost("the outcome", name);
}

void
apply_durably(struct kernel *k, const struct event *ev)
{
    static struct durable_buffer bytes = {.allocator = {.resize = resize}};
    static struct durable_buffer again = {.allocator = {.resize = resize}};
    static struct durable_buffer scratch = {.allocator = {.resize = resize}};
    struct event back;

    bytes.size = 0;
    if (kernel_event_encode(ev, &bytes) != 0)
        lost("all", event_kind_name(ev->kind));
    if (kernel_event_decode((struct bytes){bytes.data, bytes.size}, &scratch, &back) != 0)
        lost("the way back", event_kind_name(ev->kind));
    compare(ev, &back);
    again.size = 0; /* of padding nothing is known, of all else everything */
    if (kernel_event_encode(&back, &again) != 0 || again.size != bytes.size ||
        memcmp(again.data, bytes.data, again.size) != 0)
        lost("something", event_kind_name(ev->kind));
    kernel_apply(k, &back);
}

/* ---- Kernels ------------------------------------------------------------------- */

static int
file_write(void *ctx, const void *data, size_t size)
{
    struct memory_file *f = ctx;

    if (f->capacity - f->size < size) {
        f->capacity = 2 * f->capacity + size;
        f->data = resize(NULL, f->data, 0, f->capacity);
    }
    memcpy(f->data + f->size, data, size);
    f->size += size;
    return 0;
}

static long
file_read(void *ctx, void *data, size_t size)
{
    struct memory_file *f = ctx;

    if (size > f->size - f->at)
        size = f->size - f->at;
    memcpy(data, f->data + f->at, size);
    f->at += size;
    return (long)size;
}

struct durable_sink
memory_sink(struct memory_file *f)
{
    return (struct durable_sink){.write = file_write, .ctx = f};
}

struct durable_source
memory_source(struct memory_file *f)
{
    f->at = 0;
    return (struct durable_source){.read = file_read, .ctx = f};
}

void
memory_file_fini(struct memory_file *f)
{
    free(f->data);
    memset(f, 0, sizeof *f);
}

static void
save(const struct kernel *k, struct memory_file *f)
{
    struct durable_sink sink = memory_sink(f);

    if (kernel_save(k, &sink) != 0)
        lost("a kernel", "save");
}

struct kernel *
load_of(const struct kernel *k, const struct kernel_allocator *allocator, asup_time now,
        enum kernel_load_how how)
{
    struct memory_file first = {0};
    struct durable_source source;
    struct kernel *loaded = NULL;

    save(k, &first);
    source = memory_source(&first);
    if (kernel_load(&source, allocator, now, how, &loaded) != 0)
        lost("a kernel", "load");
    if (how == LOAD_EXACT) {
        if (kernel_digest(loaded) != kernel_digest(k))
            lost("the state", "a kernel");
    }
    memory_file_fini(&first);
    return loaded;
}
