/* SPDX-License-Identifier: MIT */
/* The shell's life: made, run until nothing is left, freed. */
#include "cx/shell_state.h"

#include <stdlib.h>
#include <string.h>

_Thread_local struct shell *shell_here;

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

/* On the signal's stack. */
static bool
overflowed(struct fiber *f)
{
    struct shell *s = shell_here;

    if (s == NULL || s->running == NULL || s->running->fiber != f)
        return false;
    s->running->overflowed = true;
    return true;
}

void
shell_kernel_config_init(struct kernel_config *config, uint32_t tasks_max)
{
    struct kernel_limits *l = &config->limits;

    kernel_config_init(config);
    l->tasks_per_daemon = l->tasks_per_user = l->tasks_per_region = tasks_max;
    l->waits_per_daemon = l->waits_per_user =
        tasks_max > UINT32_MAX / 2 ? UINT32_MAX : 2 * tasks_max;
    l->retained = tasks_max; /* so that all may end before any is joined */
    l->regions_per_user = l->regions_per_daemon;
    l->children_per_region = l->regions_per_daemon;
    l->obligations_per_user = l->obligations_per_daemon;
    l->channels_per_user = l->channels_per_daemon;
    l->bytes_per_user = l->bytes_per_daemon;
    /* A start is answered at once, and nobody samples CPU time. */
    config->start_window = UINT32_MAX;
    config->sample_ns = ASUP_NEVER / 1024;
}

struct shell *
shell_new(const struct shell_options *options, const struct world *world)
{
    const struct kernel_allocator allocator = {.resize = resize};
    struct shell *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->world = *world;
    s->fairness = options->kernel.fairness;
    s->fibers = fiber_pool_new(options->stack_size);
    s->kernel = kernel_new(&options->kernel, &allocator, shell_now(s));
    if (s->fibers == NULL || s->kernel == NULL) {
        shell_free(s);
        return NULL;
    }
    __atomic_store_n(&fiber_overflow, overflowed, __ATOMIC_RELAXED); /* the same in each thread */
    return s;
}

void
shell_free(struct shell *s)
{
    if (s == NULL)
        return;
    records_free(s);
    objects_free(s);
    run_free(s);
    words_free(s);
    free(s->orders);
    free(s->jobs);
    if (s->kernel != NULL)
        kernel_free(s->kernel);
    fiber_pool_free(s->fibers);
    free(s);
}

const struct kernel *
shell_kernel(const struct shell *s)
{
    return s->kernel;
}

struct shell *
shell_of(const struct asup_cx *cx)
{
    return cx->object.shell;
}

void
shell_shutdown(struct shell *s, uint64_t within_ns)
{
    struct input in = {.kind = IN_SHUTDOWN, .u.shutdown.within_ns = within_ns};

    if (fiber_current() == NULL)
        (void)shell_now(s);
    (void)shell_own_request(s, &in, NULL);
    if (fiber_current() == NULL)
        orders_run(s);
}

/* ---- Running one task ------------------------------------------------------------------------ */

static void
run(struct shell *s, struct task_fiber *t)
{
    bool over = false;

    if (t->told) {
        t->told = false;
        shell_fact(s, IN_TASK_STOPPING, t->id);
    }
    s->running = t;
    if (s->world.switched != NULL)
        s->world.switched(s->world.ctx, t->id);
    for (;;) {
        void (*call)(struct shell * s, void *ctx);

        t->at_point = false;
        over = fiber_resume(t->fiber);
        (void)shell_now(s); /* once for all that follows of it */
        if (over)
            break;
        call = s->call;
        s->call = NULL;
        shell_must(call != NULL);
        call(s, s->call_ctx);
        orders_run(s);
        if (t->waiting != WAITS_NOT || t->lane != RUN_NONE || (t->killed && t->at_point))
            break;
    }
    s->running = NULL;
    if (over)
        task_ended(s, t, false);
    else if (t->killed)
        task_kill(s, t);
    orders_run(s);
    if (s->world.switched != NULL)
        s->world.switched(s->world.ctx, 0);
}

/* ---- Until nothing is left ---------------------------------------------------------------------
 */

static void
region_finish(struct shell *s, uint64_t region)
{
    struct input in = {.kind = IN_REGION_END, .region = region};

    in.u.end.mode = ASUP_END_FINISH;
    in.u.end.drain_ns = ASUP_NEVER;
    (void)shell_ask(s, &in);
    orders_run(s);
}

static int
begin(struct shell *s, asup_body body, void *arg)
{
    const struct shell_body main_body = {.body = body, .arg = arg};
    struct input in = {.kind = IN_REGION_OPEN, .region = ASUP_ROOT_ID};
    struct shell_reply reply;
    int rc;

    in.u.region_open = (struct region_params){
        .name = {"main", 4},
        .budget = {.timeout_ns = ASUP_NEVER,
                   .deadline_at = ASUP_NEVER,
                   .poll_quota = UINT32_MAX,
                   .cost_quota = UINT64_MAX},
        .drain_ns = ASUP_NEVER,
    };
    rc = shell_own_request(s, &in, &reply);
    if (rc != 0)
        return rc;
    s->main_region = reply.made.id;
    in = (struct input){.kind = IN_TASK_SUBMIT, .region = s->main_region};
    shell_task_params(&in.u.submit);
    in.u.submit.label = (struct bytes){"main", 4};
    rc = shell_submit_own(s, &in, &main_body, &reply);
    s->main_task = rc == 0 ? reply.made.id : 0;
    return rc;
}

/* What is due: by the kernel's time, and by ours. */
static void
due(struct shell *s)
{
    (void)shell_now(s);
    if (kernel_next_deadline(s->kernel) <= s->now) {
        struct input in = {.kind = IN_TICK};

        (void)shell_step(s, &in);
        orders_run(s);
    }
    timers_due(s);
}

static void
stalled(struct shell *s)
{
    struct input in = {.kind = IN_SHUTDOWN, .u.shutdown.within_ns = ASUP_NEVER};

    (void)shell_ask(s, &in);
    orders_run(s);
}

int
shell_run(struct shell *s, asup_body body, void *arg, struct kernel_outcome *out)
{
    bool finishing = false;
    bool ending = false;
    unsigned stalls = 0;
    int rc;

    s->outer = shell_here;
    shell_here = s;
    rc = begin(s, body, arg);
    orders_run(s);
    while (rc == 0 && !s->quiescent) {
        struct task_fiber *t;
        asup_time until;

        if (s->main_ended && !finishing && scope_is_idle(s, s->main_region)) {
            finishing = true;
            region_finish(s, s->main_region);
        }
        if (s->main_closed && !ending) {
            ending = true;
            region_finish(s, ASUP_ROOT_ID);
            continue;
        }
        due(s);
        if (s->world.between != NULL)
            s->world.between(s->world.ctx);
        t = run_pick(s);
        if (t != NULL) {
            run(s, t);
            continue;
        }
        if (s->quiescent)
            break;
        until = kernel_next_deadline(s->kernel);
        if (timer_next(s) < until)
            until = timer_next(s);
        if (until > s->now && !s->world.idle(s->world.ctx, until)) {
            if (stalls++ == 2) /* not even a shutdown, twice, moves anything */
                rc = -ASUP_EUNAVAILABLE;
            else
                stalled(s);
        }
    }
    if (rc == 0 && out != NULL)
        *out = s->main_outcome;
    shell_here = s->outer;
    return rc;
}
