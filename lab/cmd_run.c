/* SPDX-License-Identifier: MIT */
/*
 * asupersync-lab run: simulated worlds (world.h), one seed after another, in as
 * many processes as there are jobs, until one goes wrong or the time is over.
 *
 * Each process says in shared memory which seed it is at, so that a kernel that
 * traps is found out as any other failure; what they counted is added at the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/tool.h"
#include "lab/trace_file.h"
#include "lab/world.h"

enum { JOBS_MOST = 256 };

struct worker {
    _Atomic uint64_t seed; /* that it is at */
    _Atomic uint64_t done;
    _Atomic bool failed;
    bool finished;
    char failure[512];
    pid_t pid;
    struct world_counts counts;
};

/* Between processes. */
struct shared {
    _Atomic uint64_t next; /* seed */
    _Atomic bool stop;
    struct worker workers[];
};

struct running {
    const struct lab_call *call;
    struct world_options options;
    const char *faults;
    uint64_t first, count;
    uint64_t span_ns; /* ASUP_NEVER: until all seeds are done */
    uint64_t jobs;
    struct shared *shared;
    size_t shared_size;
    uint64_t began_ns;
};

static uint64_t
clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ASUP_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void
command_of(const struct running *r, uint64_t seed, char *text, size_t size)
{
    (void)snprintf(text, size,
                   "asupersync-lab run --seed %" PRIu64 " --steps %" PRIu32 " --faults %s", seed,
                   r->options.steps, r->faults);
}

/* ---- Saving ----------------------------------------------------------------------------- */

static void
save_begin(void *ctx, const struct kernel *k)
{
    (void)trace_write_snapshot(ctx, k);
}

static void
save_step(void *ctx, const struct kernel *k, const struct input *in, const struct step *out)
{
    (void)k;
    (void)in;
    for (size_t i = 0; i < out->event_count; i++)
        (void)trace_write_event(ctx, &out->events[i]);
    if (out->event_count > 0)
        (void)trace_write_step(ctx);
}

/* The seed once more, into a file. */
static int
save(const struct running *r, uint64_t seed, const char *path)
{
    struct trace_writer *writer = trace_create(path);
    struct world_options options = r->options;
    struct world_report report;
    char command[512];
    int rc;

    if (writer == NULL)
        return lab_fail(r->call, EX_CANTCREAT, "%s: %s", path, strerror(errno));
    options.seed = seed;
    options.on_begin = save_begin;
    options.on_step = save_step;
    options.ctx = writer;
    trace_meta_text(writer, "program", "asupersync-lab run");
    command_of(r, seed, command, sizeof command);
    trace_meta_text(writer, "command", command);
    trace_meta_number(writer, "seed", seed);
    trace_meta_number(writer, "steps", options.steps);
    trace_meta_text(writer, "faults", r->faults);
    /* What an engine that died had not written is missing, and its number with it. */
    trace_meta_number(writer, "durable", options.faults != 0);
    (void)world_run(&options, &report, NULL);
    rc = trace_finish(writer);
    if (rc != 0)
        return lab_fail(r->call, EX_CANTCREAT, "%s: %s", path, strerror(errno));
    return 0;
}

/* ---- Running ------------------------------------------------------------------------------ */

static bool
time_is_over(const struct running *r)
{
    return r->span_ns != ASUP_NEVER && clock_ns() - r->began_ns >= r->span_ns;
}

static void
worker_run(const struct running *r, struct worker *me)
{
    struct world_options options = r->options;
    struct world_report report;

    while (!atomic_load(&r->shared->stop) && !time_is_over(r)) {
        uint64_t seed = atomic_fetch_add(&r->shared->next, 1);

        if (seed - r->first >= r->count)
            break;
        options.seed = seed;
        atomic_store(&me->seed, seed);
        if (world_run(&options, &report, &me->counts) != 0) {
            (void)snprintf(me->failure, sizeof me->failure, "%s", report.failure);
            atomic_store(&me->failed, true);
            atomic_store(&r->shared->stop, true);
            break;
        }
        atomic_fetch_add(&me->done, 1);
    }
    me->finished = true;
}

static uint64_t
seeds_done(const struct running *r)
{
    uint64_t done = 0;

    for (uint64_t i = 0; i < r->jobs; i++)
        done += atomic_load(&r->shared->workers[i].done);
    return done;
}

static void
progress(const struct running *r, bool last)
{
    double seconds = (double)(clock_ns() - r->began_ns) / 1e9;
    uint64_t done = seeds_done(r);

    if (r->call->quiet || r->call->json || !isatty(STDERR_FILENO))
        return;
    (void)fprintf(stderr, "\r%" PRIu64 " worlds, %.0f s, %.1f a second%s", done, seconds,
                  seconds > 0 ? (double)done / seconds : 0.0, last ? "\n" : "   ");
}

static void
job_ended(const struct running *r, struct worker *me, int status)
{
    if (me->finished)
        return;
    if (WIFSIGNALED(status))
        (void)snprintf(me->failure, sizeof me->failure, "ended by signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    else
        (void)snprintf(me->failure, sizeof me->failure, "ended with status %d",
                       WEXITSTATUS(status));
    atomic_store(&me->failed, true);
    atomic_store(&r->shared->stop, true);
}

/* Until each has ended: then nobody has the other end of the pipe. */
static void
jobs_await(const struct running *r, int from)
{
    struct pollfd end = {.fd = from, .events = POLLIN};

    for (;;) {
        int n = poll(&end, 1, 500);

        if (n > 0 || (n < 0 && errno != EINTR))
            break;
        progress(r, false);
    }
    for (uint64_t i = 0; i < r->jobs; i++) {
        struct worker *me = &r->shared->workers[i];
        int status = 0;

        if (me->pid > 0 && waitpid(me->pid, &status, 0) == me->pid)
            job_ended(r, me, status);
    }
    progress(r, true);
}

static int
jobs_run(const struct running *r)
{
    int ends[2];

    if (pipe(ends) != 0)
        return lab_fail(r->call, EX_OSERR, "no pipe: %s", strerror(errno));
    (void)fflush(NULL);
    for (uint64_t i = 0; i < r->jobs; i++) {
        struct worker *me = &r->shared->workers[i];

        pid_t pid = fork();

        if (pid == 0) {
            (void)close(ends[0]);
            worker_run(r, me);
            _exit(0);
        }
        me->pid = pid; /* in memory that the child sees: it must not write there */
        if (pid < 0) {
            atomic_store(&r->shared->stop, true);
            (void)lab_fail(r->call, EX_OSERR, "no process: %s", strerror(errno));
            break;
        }
    }
    (void)close(ends[1]);
    jobs_await(r, ends[0]);
    (void)close(ends[0]);
    return 0;
}

/* ---- Telling ----------------------------------------------------------------------------------
 */

static void
row_json(void *ctx, const char *group, const char *name, uint64_t count, bool rare)
{
    json_t *groups = ctx;
    json_t *at = json_object_get(groups, group);

    (void)rare;
    if (at == NULL) {
        at = json_object();
        (void)json_object_set_new(groups, group, at);
    }
    (void)json_object_set_new(at, name, json_integer((json_int_t)count));
}

static const struct worker *
failed_one(const struct running *r)
{
    const struct worker *first = NULL;

    for (uint64_t i = 0; i < r->jobs; i++) {
        const struct worker *w = &r->shared->workers[i];

        if (atomic_load(&w->failed) && (first == NULL || w->seed < first->seed))
            first = w;
    }
    return first;
}

static void
tell_json(const struct running *r, const struct world_counts *sum, const struct worker *bad)
{
    uint64_t next;
    json_t *groups = json_object();
    json_t *all;
    char command[512];

    next = r->first + seeds_done(r);
    world_counts_rows(sum, row_json, groups);
    all =
        json_pack("{s:i, s:b, s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "format", 1, "ok", bad == NULL,
                  "worlds", (json_int_t)sum->worlds, "steps", (json_int_t)sum->steps, "seconds",
                  (json_int_t)sum->seconds, "first", (json_int_t)r->first, "next", (json_int_t)next,
                  "elapsed", (double)(clock_ns() - r->began_ns) / 1e9, "counts", groups);
    if (bad != NULL) {
        uint64_t seed = bad->seed;

        command_of(r, seed, command, sizeof command);
        (void)json_object_set_new(all, "failure",
                                  json_pack("{s:I, s:s, s:s}", "seed", (json_int_t)seed, "message",
                                            bad->failure, "command", command));
    }
    lab_print_json(all);
}

static void
tell(const struct running *r, const struct world_counts *sum, const struct worker *bad)
{
    double seconds = (double)(clock_ns() - r->began_ns) / 1e9;
    struct world_options options = r->options;
    char command[512];

    if (!r->call->quiet && bad == NULL && r->count == 1) {
        options.seed = r->first;
        world_options_print(&options, stdout);
    }
    if (!r->call->quiet)
        world_counts_print(sum, stdout);
    printf("%" PRIu64 " worlds from seed %" PRIu64 ", %" PRIu64 " steps, %" PRIu64
           " seconds of their time in %.1f s: %.1f worlds a second\n",
           sum->worlds, r->first, sum->steps, sum->seconds, seconds,
           seconds > 0 ? (double)sum->worlds / seconds : 0.0);
    if (bad == NULL)
        return;
    options.seed = bad->seed;
    world_options_print(&options, stdout);
    command_of(r, bad->seed, command, sizeof command);
    printf("FAILED: seed %" PRIu64 ": %s\nThe same again with\n    %s\n", bad->seed, bad->failure,
           command);
}

/* ---- The verb
 * ------------------------------------------------------------------------------------ */

static int
options_read(struct running *r)
{
    const struct lab_call *call = r->call;
    const char *span = lab_value(call, "for");
    const char *wrong;
    uint64_t steps = r->options.steps;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    r->first = 1;
    r->count = 1;
    r->span_ns = ASUP_NEVER;
    r->jobs = cores > 0 ? (uint64_t)cores : 1;
    if (span != NULL) {
        r->count = UINT64_MAX;
        if (!parse_duration(span, &r->span_ns))
            return lab_fail(call, EX_USAGE, "--for takes a duration such as 10m, not %s", span);
    }
    if (!lab_number(call, "seed", &r->first) || !lab_number(call, "seeds", &r->count) ||
        !lab_number(call, "steps", &steps) || !lab_number(call, "jobs", &r->jobs))
        return EX_USAGE;
    r->faults = lab_value(call, "faults") != NULL ? lab_value(call, "faults") : "all";
    if (!world_faults_parse(r->faults, &r->options.faults, &wrong))
        return lab_fail(call, EX_USAGE, "no such fault: %s (asupersync-lab run --faults help)",
                        wrong);
    if (steps == 0 || steps > UINT32_MAX || r->count == 0 || r->jobs == 0 || r->jobs > JOBS_MOST)
        return lab_fail(call, EX_USAGE,
                        "--steps, --seeds and --jobs are at least 1, --jobs is at most %d",
                        (int)JOBS_MOST);
    r->options.steps = (uint32_t)steps;
    if (r->jobs > r->count)
        r->jobs = r->count;
    return 0;
}

static int
faults_help(void)
{
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        printf("%-16s %s\n", world_fault_name(i), world_fault_text(i));
    return 0;
}

static int
run(struct lab_call *call)
{
    struct running r = {.call = call, .began_ns = clock_ns()};
    const char *path = lab_value(call, "save");
    struct world_counts *sum;
    const struct worker *bad;
    int rc;

    if (lab_value(call, "faults") != NULL && strcmp(lab_value(call, "faults"), "help") == 0)
        return faults_help();
    world_options_init(&r.options, 0);
    rc = options_read(&r);
    if (rc != 0)
        return rc;
    r.shared_size = sizeof *r.shared + r.jobs * sizeof r.shared->workers[0];
    r.shared = mmap(NULL, r.shared_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sum = calloc(1, sizeof *sum);
    if (r.shared == MAP_FAILED || sum == NULL) {
        free(sum);
        return lab_fail(call, EX_OSERR, "no memory");
    }
    atomic_store(&r.shared->next, r.first);
    rc = jobs_run(&r);
    for (uint64_t i = 0; i < r.jobs; i++)
        world_counts_add(sum, &r.shared->workers[i].counts);
    bad = failed_one(&r);
    if (call->json)
        tell_json(&r, sum, bad);
    else
        tell(&r, sum, bad);
    if (rc == 0 && path != NULL)
        rc = save(&r, bad != NULL ? bad->seed : r.first, path);
    if (rc == 0 && bad != NULL)
        rc = LAB_FAILED;
    free(sum);
    (void)munmap(r.shared, r.shared_size);
    return rc;
}

static const struct lab_option options[] = {
    {"seed", "N", "the first seed (1)"},
    {"seeds", "COUNT", "how many of them (1, with --for as many as there is time for)"},
    {"for", "DURATION", "until so much time is over"},
    {"steps", "N", "steps of the kernel before faults stop (2000)"},
    {"faults", "LIST", "all, none, or names between commas, -NAME: without; help lists them"},
    {"jobs", "N", "processes at once (one a processor)"},
    {"save", "FILE", "the trace of the first seed, or of the one that failed"},
    {NULL, NULL, NULL},
};

const struct lab_verb verb_run = {
    .name = "run",
    .operands = "",
    .summary = "Run simulated worlds, with faults, until one goes wrong",
    .details =
        "The kernel of the daemon, with journal, keeper, processes, clients and workers\n"
        "around it, all made up, in virtual time. Each seed draws which faults happen, and\n"
        "how often; then they stop, and everything must close in time. The table at the end\n"
        "says what happened how often, and what never did. Exit code 1: one went wrong; the\n"
        "command that does the same again is printed.\n",
    .example = "run --seed 1 --seeds 1000\n"
               "run --for 10m --jobs 2\n"
               "run --seed 42 --faults engine-crash,torn-tail --save world.trace\n",
    .options = options,
    .run = run,
};
