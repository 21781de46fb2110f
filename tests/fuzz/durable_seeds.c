/* SPDX-License-Identifier: MIT */
/* Seeds for fuzz_durable: the events of a short life, and snapshots along it; and
 * for fuzz_trace: all of it as a trace.
 *
 *     durable_seeds DIRECTORY TRACE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/durable.h"
#include "lab/trace_file.h"

static const char *directory;
static unsigned files;
static struct kernel *kernel;
static struct trace_writer *trace;
static asup_time now = 1000;

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

static FILE *
seed(char sort)
{
    char path[512];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%c%03u", directory, sort, files++);
    f = fopen(path, "wb");
    if (f == NULL || fputc(sort, f) == EOF) {
        perror(path);
        exit(1);
    }
    return f;
}

static int
file_write(void *ctx, const void *data, size_t size)
{
    return fwrite(data, 1, size, ctx) == size ? 0 : -1;
}

static uint64_t
step(struct input *in)
{
    struct durable_buffer bytes = {.allocator = allocator};
    struct durable_sink sink = {.write = file_write};
    struct step out;
    uint64_t made = 0;
    static const char sorts[] = "sr";

    in->now = now += 1000;
    in->token = now;
    (void)kernel_step(kernel, in, &out);
    for (size_t i = 0; i < out.effect_count; i++)
        made = out.effects[i].kind == FX_REPLY ? out.effects[i].made.id : made;
    for (size_t i = 0; i < out.event_count; i++) {
        FILE *f = seed('e');

        bytes.size = 0;
        if (kernel_event_encode(&out.events[i], &bytes) != 0 ||
            fwrite(bytes.data, 1, bytes.size, f) != bytes.size ||
            trace_write_event(trace, &out.events[i]) != 0)
            exit(1);
        (void)fclose(f);
    }
    durable_buffer_fini(&bytes);
    sink.ctx = seed(sorts[files % 2]);
    if (kernel_save(kernel, &sink) != 0)
        exit(1);
    (void)fclose(sink.ctx);
    return made;
}

static uint64_t
open_region(uint64_t parent, bool is_volatile)
{
    struct input in = {.kind = IN_REGION_OPEN, .region = parent};

    in.u.region_open = (struct region_params){
        .budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0},
        .drain_ns = ASUP_NEVER,
        .is_volatile = is_volatile,
    };
    return step(&in);
}

static uint64_t
submit(enum input_kind kind, uint64_t region)
{
    struct input in = {.kind = kind, .region = region};

    in.u.submit = (struct task_params){
        .label = {"work", 4},
        .spec = {"spec", 4},
        .budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0},
        .drain_ns = ASUP_NEVER,
        .leftover_ns = ASUP_NEVER,
        .cancel_signal = 15,
    };
    return step(&in);
}

int
main(int argc, char **argv)
{
    struct kernel_config config;
    struct input in = {.kind = IN_SESSION_OPEN};
    uint64_t session;
    uint64_t region;
    uint64_t task;

    if (argc != 3)
        return 64;
    directory = argv[1];
    kernel_config_init(&config);
    kernel = kernel_new(&config, &allocator, now);
    trace = trace_create(argv[2]);
    if (kernel == NULL || trace == NULL)
        return 1;
    trace_meta_text(trace, "program", "seeds");
    (void)trace_write_snapshot(trace, kernel);
    (void)trace_write_choice(trace, &(struct trace_choice){1, 2, 3});
    (void)trace_write_text(trace, 2, 1000, "hello");
    session = step(&in);
    region = open_region(ASUP_ROOT_ID, false);
    (void)submit(IN_TASK_SUBMIT, open_region(region, true));
    (void)submit(IN_FINALIZER_DEFER, region);
    task = submit(IN_TASK_SUBMIT, region);
    in = (struct input){.kind = IN_TASK_STARTED, .task = task};
    (void)step(&in);
    in = (struct input){.kind = IN_LEASE_ACQUIRE, .region = region, .caller.session = session};
    in.u.acquire.lease = (struct lease_params){.name = {"l", 1}, .ttl_ns = ASUP_NS_PER_S};
    (void)step(&in);
    in = (struct input){.kind = IN_SAGA_BEGIN, .region = region, .caller.session = session};
    (void)step(&in);
    in = (struct input){.kind = IN_TASK_EXITED, .task = task};
    (void)step(&in);
    in = (struct input){.kind = IN_REGION_END, .region = region};
    in.u.end.drain_ns = ASUP_NEVER;
    (void)step(&in);
    kernel_free(kernel);
    return trace_finish(trace) == 0 ? 0 : 1;
}
