/* SPDX-License-Identifier: MIT */
/*
 * The kernel by itself: the least of shells, no clock but the stopwatch.
 *
 *   bench-kernel steps COUNT    tasks a second: submit, start, exit, empty, complete
 *   bench-kernel memory COUNT   bytes per live task, all of the kernel's memory counted
 *   bench-kernel close COUNT    seconds to close a region with COUNT running tasks
 *   bench-kernel recovery COUNT seconds to read, decode and fold COUNT journalled events, and
 *                               to resume
 *   bench-kernel snapshot COUNT seconds to save and to load COUNT live tasks
 *
 * Prints one JSON object. Seconds are CPU time of this process, system time
 * included: it has one thread, never sleeps and reads nothing, so that is what
 * a core needs for the work, whoever else has a share of the machine.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/durable.h"

static size_t allocated;

static void *
counting_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    allocated += size_new - size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size_new);
}

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* An effect that is to be answered with facts. */
struct order {
    enum effect_kind kind;
    uint64_t id;
};

struct world {
    struct kernel *kernel;
    struct journal *journal; /* NULL: none is kept */
    asup_time now;
    uint64_t token;
    uint64_t made;    /* id in the last reply */
    uint64_t started; /* tasks whose start was answered */
    uint64_t signalled;
    struct order *orders; /* not answered yet, a ring; room for `capacity`, a power of two */
    size_t capacity, first, count;
};

/* Orders are answered in the order in which they came. Effects are the kernel's
 * until the next step, so what matters of them is noted. */
static void
world_note(struct world *w, const struct effect *fx)
{
    struct order order = {.kind = fx->kind, .id = fx->kind == FX_SWEEP ? fx->region : fx->task};

    if (fx->kind == FX_REPLY)
        w->made = fx->made.id;
    if (fx->kind != FX_START && fx->kind != FX_SIGNAL && fx->kind != FX_SWEEP)
        return;
    if (w->count == w->capacity) {
        fprintf(stderr, "bench-kernel: more orders than tasks\n");
        exit(1);
    }
    w->orders[(w->first + w->count++) & (w->capacity - 1)] = order;
}

/* A snapshot, or events one after the other, each behind its size. */
struct journal {
    struct durable_buffer bytes;
    uint64_t events, most;
    size_t at;
};

static void
journal_add(struct journal *j, const struct event *ev)
{
    size_t size;

    if (!ev->durable || j->events == j->most)
        return;
    size = j->bytes.size;
    j->bytes.size += sizeof size;
    if (j->bytes.capacity < j->bytes.size + 4096) {
        j->bytes.capacity = 2 * j->bytes.size + 8192;
        j->bytes.data = realloc(j->bytes.data, j->bytes.capacity);
    }
    if (j->bytes.data == NULL || kernel_event_encode(ev, &j->bytes) != 0)
        exit(1);
    memcpy(j->bytes.data + size, &(size_t){j->bytes.size - size - sizeof size}, sizeof size);
    j->events++;
}

static int
journal_write(void *ctx, const void *data, size_t size)
{
    struct journal *j = ctx;

    if (j->bytes.capacity - j->bytes.size < size) {
        j->bytes.capacity = 2 * j->bytes.capacity + size;
        j->bytes.data = realloc(j->bytes.data, j->bytes.capacity);
        if (j->bytes.data == NULL)
            return -1;
    }
    memcpy(j->bytes.data + j->bytes.size, data, size);
    j->bytes.size += size;
    return 0;
}

static long
journal_read(void *ctx, void *data, size_t size)
{
    struct journal *j = ctx;

    if (size > j->bytes.size - j->at)
        size = j->bytes.size - j->at;
    memcpy(data, j->bytes.data + j->at, size);
    j->at += size;
    return (long)size;
}

static void
world_step(struct world *w, struct input *in)
{
    struct step out;

    in->now = w->now;
    if (kernel_step(w->kernel, in, &out) != 0) {
        fprintf(stderr, "bench-kernel: a step was refused: %s\n",
                out.effect_count && out.effects[0].detail ? out.effects[0].detail : "?");
        exit(1);
    }
    for (size_t i = 0; w->journal != NULL && i < out.event_count; i++)
        journal_add(w->journal, &out.events[i]);
    for (size_t i = 0; i < out.effect_count; i++)
        world_note(w, &out.effects[i]);
}

static void
fact(struct world *w, enum input_kind kind, uint64_t id)
{
    struct input in = {.kind = kind};

    if (kind == IN_REGION_SWEPT)
        in.region = id;
    else
        in.task = id;
    if (kind == IN_TASK_STARTED)
        in.u.started.pid = 1000;
    else if (kind == IN_TASK_SIGNALLED)
        in.u.signalled.delivered = true;
    else if (kind == IN_TASK_EXITED)
        in.u.exited = (struct process_exit){.cancel_delivered = w->signalled > 0};
    world_step(w, &in);
}

/* Answers every order, as an ideal shell would. */
static void
world_answer(struct world *w)
{
    while (w->count > 0) {
        struct order order = w->orders[w->first];

        w->first = (w->first + 1) & (w->capacity - 1);
        w->count--;
        if (order.kind == FX_START) {
            w->started++;
            fact(w, IN_TASK_STARTED, order.id);
        } else if (order.kind == FX_SIGNAL) {
            w->signalled++;
            fact(w, IN_TASK_SIGNALLED, order.id);
            fact(w, IN_TASK_EXITED, order.id);
            fact(w, IN_TASK_EMPTY, order.id);
        } else {
            fact(w, IN_REGION_SWEPT, order.id);
        }
    }
}

static void
world_open(struct world *w, uint64_t tasks)
{
    const struct kernel_allocator counting = {counting_resize, NULL};
    struct kernel_config config;
    struct input in = {.kind = IN_REGION_OPEN, .region = ASUP_ROOT_ID};

    kernel_config_init(&config);
    config.limits.tasks_per_user = config.limits.tasks_per_region = 2000000;
    config.limits.tasks_per_daemon = 2000000;
    config.limits.bytes_per_user = config.limits.bytes_per_daemon = (uint64_t)1 << 40;
    config.limits.retained = 1000;
    w->kernel = kernel_new(&config, &counting, 1);
    w->now = 1;
    for (w->capacity = 64; w->capacity < tasks; w->capacity *= 2)
        ;
    w->orders = malloc(w->capacity * sizeof w->orders[0]);
    if (w->kernel == NULL || w->orders == NULL)
        exit(1);
    /* Touched now, so that its pages are no part of what is measured. */
    memset(w->orders, 1, w->capacity * sizeof w->orders[0]);
    in.token = ++w->token;
    in.u.region_open = (struct region_params){
        .budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0}, .drain_ns = ASUP_NEVER};
    world_step(w, &in);
}

static void
submit(struct world *w, uint64_t region)
{
    static const char spec[] = "/bin/true";
    struct input in = {.kind = IN_TASK_SUBMIT, .region = region, .token = ++w->token};

    in.u.submit = (struct task_params){
        .label = {"/bin/true", 9},
        .spec = {spec, sizeof spec},
        .budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0},
        .drain_ns = ASUP_NEVER,
        .leftover_ns = ASUP_NEVER,
        .cancel_signal = 15,
    };
    world_step(w, &in);
}

/* Runs what the lanes still hold. */
static void
settle(struct world *w)
{
    for (world_answer(w); kernel_next_deadline(w->kernel) <= w->now; world_answer(w)) {
        struct input in = {.kind = IN_TICK};

        world_step(w, &in);
    }
}

static void
world_fini(struct world *w)
{
    kernel_free(w->kernel);
    free(w->orders);
}

/* ---- What is measured ------------------------------------------------------- */

static bool
steps(struct world *w, uint64_t region, uint64_t count)
{
    double began = seconds();

    for (uint64_t i = 0; i < count; i++) {
        uint64_t task;

        w->now += 100;
        submit(w, region);
        world_answer(w);
        task = kernel_id_last(w->kernel);
        fact(w, IN_TASK_EXITED, task);
        fact(w, IN_TASK_EMPTY, task);
    }
    began = seconds() - began;
    settle(w);
    printf("{\"tasks\": %" PRIu64 ", \"started\": %" PRIu64 ", \"seconds\": %.6f}\n", count,
           w->started, began);
    return w->started == count;
}

static bool
run_many(struct world *w, uint64_t region, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        submit(w, region);
        world_answer(w);
    }
    settle(w);
    return w->started == count;
}

static bool
memory(struct world *w, uint64_t region, uint64_t count)
{
    size_t before = allocated;
    bool done = run_many(w, region, count);

    printf("{\"tasks\": %" PRIu64 ", \"bytes\": %zu}\n", count, allocated - before);
    return done;
}

static bool
close_all(struct world *w, uint64_t region, uint64_t count)
{
    bool done = run_many(w, region, count);
    struct input end = {.kind = IN_REGION_END, .region = region, .token = ++w->token};
    struct region_view view;
    double began = seconds();

    end.u.end.drain_ns = ASUP_NEVER;
    world_step(w, &end);
    settle(w);
    began = seconds() - began;
    printf("{\"tasks\": %" PRIu64 ", \"seconds\": %.6f}\n", count, began);
    return done && kernel_region(w->kernel, region, &view) && view.state == ASUP_REGION_CLOSED;
}

static const struct kernel_allocator allocator = {counting_resize, NULL};

static struct kernel *
load(struct journal *snapshot, enum kernel_load_how how)
{
    struct durable_source source = {.read = journal_read, .ctx = snapshot};
    struct kernel *k = NULL;

    snapshot->at = 0;
    return kernel_load(&source, &allocator, 0, how, &k) == 0 ? k : NULL;
}

static bool
recovery(struct world *w, uint64_t region, uint64_t count)
{
    struct journal snapshot = {.bytes = {.allocator = allocator}};
    struct journal journal = {.bytes = {.allocator = allocator}, .most = count};
    struct durable_sink sink = {.write = journal_write, .ctx = &snapshot};
    struct durable_buffer scratch = {.allocator = allocator};
    struct input in = {.kind = IN_RESUMED, .now = w->now};
    struct kernel *k;
    struct step out;
    double began;

    if (kernel_save(w->kernel, &sink) != 0)
        return false;
    w->journal = &journal;
    while (journal.events < count) {
        uint64_t task;

        w->now += 100;
        submit(w, region);
        world_answer(w);
        task = kernel_id_last(w->kernel);
        fact(w, IN_TASK_EXITED, task);
        fact(w, IN_TASK_EMPTY, task);
    }
    began = seconds();
    k = load(&snapshot, LOAD_RECOVER);
    for (size_t at = 0; k != NULL && at < journal.bytes.size;) {
        struct event ev;
        size_t size;

        memcpy(&size, journal.bytes.data + at, sizeof size);
        at += sizeof size;
        if (kernel_event_decode((struct bytes){journal.bytes.data + at, size}, &scratch, &ev) != 0)
            return false;
        kernel_apply(k, &ev);
        at += size;
    }
    in.u.resumed.same_keeper = in.u.resumed.same_boot = true;
    in.now = w->now;
    if (k == NULL || kernel_step(k, &in, &out) != 0)
        return false;
    began = seconds() - began;
    printf("{\"events\": %" PRIu64 ", \"bytes\": %zu, \"seconds\": %.6f}\n", journal.events,
           journal.bytes.size - journal.events * sizeof(size_t), began);
    kernel_free(k);
    durable_buffer_fini(&snapshot.bytes);
    durable_buffer_fini(&journal.bytes);
    durable_buffer_fini(&scratch);
    return true;
}

static bool
save_and_load(struct world *w, uint64_t region, uint64_t count)
{
    struct journal snapshot = {.bytes = {.allocator = allocator}};
    struct durable_sink sink = {.write = journal_write, .ctx = &snapshot};
    bool done = run_many(w, region, count);
    double began = seconds();
    double saved;
    struct kernel *k;

    done = kernel_save(w->kernel, &sink) == 0 && done;
    saved = seconds() - began;
    began = seconds();
    k = load(&snapshot, LOAD_EXACT);
    began = seconds() - began;
    done = k != NULL && kernel_digest(k) == kernel_digest(w->kernel) && done;
    printf("{\"tasks\": %" PRIu64 ", \"bytes\": %zu, \"save\": %.6f, \"load\": %.6f}\n", count,
           snapshot.bytes.size, saved, began);
    kernel_free(k);
    durable_buffer_fini(&snapshot.bytes);
    return done;
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*run)(struct world *w, uint64_t region, uint64_t count);
    } measures[] = {{"steps", steps},
                    {"memory", memory},
                    {"close", close_all},
                    {"recovery", recovery},
                    {"snapshot", save_and_load}};
    uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

    for (size_t i = 0; count > 0 && i < sizeof measures / sizeof measures[0]; i++) {
        struct world w = {0};
        bool done;

        if (strcmp(argv[1], measures[i].name) != 0)
            continue;
        world_open(&w, count);
        done = measures[i].run(&w, w.made, count);
        world_fini(&w);
        return done ? 0 : 1;
    }
    fprintf(stderr, "usage: bench-kernel steps|memory|close|recovery|snapshot COUNT\n");
    return 64;
}
