/* SPDX-License-Identifier: MIT */
/*
 * The kernel by itself: the least of shells, no clock but the stopwatch.
 *
 *   bench-kernel steps COUNT    tasks a second: submit, start, exit, empty, complete
 *   bench-kernel memory COUNT   bytes per live task, all of the kernel's memory counted
 *   bench-kernel close COUNT    seconds to close a region with COUNT running tasks
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

#include "core/kernel.h"

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
    struct kernel_allocator allocator = {counting_resize, NULL};
    struct kernel_config config;
    struct input in = {.kind = IN_REGION_OPEN, .region = ASUP_ROOT_ID};

    kernel_config_init(&config);
    config.limits.tasks_per_user = config.limits.tasks_per_region = 2000000;
    config.limits.tasks_per_daemon = 2000000;
    config.limits.bytes_per_user = config.limits.bytes_per_daemon = (uint64_t)1 << 40;
    config.limits.retained = 1000;
    w->kernel = kernel_new(&config, &allocator, 1);
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

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*run)(struct world *w, uint64_t region, uint64_t count);
    } measures[] = {{"steps", steps}, {"memory", memory}, {"close", close_all}};
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
    fprintf(stderr, "usage: bench-kernel steps|memory|close COUNT\n");
    return 64;
}
