/* SPDX-License-Identifier: MIT */
/*
 * Simulated worlds (lab/world.h) one after the other, in one process:
 *
 *     world_seeds [--digests] [--twice] [--all] [--table] [--options] [--log] [--faults LIST]
 * [--steps N] FIRST COUNT
 *
 * --digests  print seed, digest and number of events of each world
 * --twice    run each a second time: the digest is the same (R-EVT-4)
 * --log      what goes in and comes out of each step
 * --all      each fault, each input and each outcome must have been seen
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/world.h"

static bool logs, digests, twice, all, table, options_too;
static const char *faults = "all";
static uint64_t steps;

static void
step_log(void *ctx, const struct kernel *k, const struct input *in, const struct step *out)
{
    (void)ctx;
    (void)k;
    printf("%" PRIu64 " %s token %" PRIu64 " s%" PRIu64 " request %" PRIu64 " r%" PRIu64
           " t%" PRIu64 " subject %" PRIu64 "\n",
           in->now, world_input_name(in->kind), in->token, in->caller.session, in->request,
           in->region, in->task, in->subject);
    for (size_t i = 0; i < out->event_count; i++) {
        const struct event *ev = &out->events[i];

        printf("    %" PRIu64 " %s r%" PRIu64 " t%" PRIu64 " s%" PRIu64 " subject %" PRIu64
               " value %" PRIu64 " reason %" PRIu32 "%s\n",
               ev->seq, event_kind_name(ev->kind), ev->region, ev->task, ev->session, ev->subject,
               ev->value, ev->reason, ev->durable ? "" : " volatile");
    }
    for (size_t i = 0; i < out->effect_count; i++) {
        const struct effect *fx = &out->effects[i];

        printf("    --> %d token %" PRIu64 " code %d made %" PRIu64 " t%" PRIu64 " r%" PRIu64
               " after %" PRIu64 "\n",
               (int)fx->kind, fx->token, fx->code, fx->made.id, fx->task, fx->region, fx->after);
    }
}

static void
begin_log(void *ctx, const struct kernel *k)
{
    (void)ctx;
    printf("---- a kernel at seq %" PRIu64 "\n", kernel_event_seq(k));
}

static int
seed_run(uint64_t seed, struct world_counts *sum)
{
    struct world_options options;
    struct world_report report;
    struct world_report again;
    const char *wrong;

    world_options_init(&options, seed);
    if (!world_faults_parse(faults, &options.faults, &wrong)) {
        (void)fprintf(stderr, "no such fault: %s\n", wrong);
        return 64;
    }
    if (steps != 0)
        options.steps = (uint32_t)steps;
    if (logs) {
        options.on_step = step_log;
        options.on_begin = begin_log;
    }
    if (options_too)
        world_options_print(&options, stdout);
    if (world_run(&options, &report, sum) != 0) {
        (void)fprintf(stderr,
                      "seed %" PRIu64 ": %s\nreplay: world_seeds --faults %s --steps %" PRIu32
                      " %" PRIu64 " 1\n",
                      seed, report.failure, faults, options.steps, seed);
        return 1;
    }
    if (digests)
        printf("%" PRIu64 " %016" PRIx64 " %" PRIu64 "\n", seed, report.digest, report.events);
    if (!twice)
        return 0;
    if (world_run(&options, &again, NULL) != 0 || again.digest != report.digest ||
        again.events != report.events) {
        (void)fprintf(stderr, "R-EVT-4: seed %" PRIu64 " is another world the second time\n", seed);
        return 1;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    static struct world_counts sum;
    uint64_t numbers[2] = {1, 1};
    int n = 0;
    int bad = 0;

    for (int i = 1; i < argc; i++) {
        digests = digests || strcmp(argv[i], "--digests") == 0;
        logs = logs || strcmp(argv[i], "--log") == 0;
        twice = twice || strcmp(argv[i], "--twice") == 0;
        all = all || strcmp(argv[i], "--all") == 0;
        table = table || strcmp(argv[i], "--table") == 0;
        options_too = options_too || strcmp(argv[i], "--options") == 0;
        if (strcmp(argv[i], "--faults") == 0 && i + 1 < argc)
            faults = argv[++i];
        else if (strcmp(argv[i], "--steps") == 0 && i + 1 < argc)
            steps = strtoull(argv[++i], NULL, 10);
        else if (strncmp(argv[i], "--", 2) != 0 && n < 2)
            numbers[n++] = strtoull(argv[i], NULL, 10);
    }
    for (uint64_t seed = numbers[0]; seed < numbers[0] + numbers[1]; seed++)
        bad += seed_run(seed, &sum) != 0;
    if (table)
        world_counts_print(&sum, stdout);
    if (!digests)
        printf("%" PRIu64 " worlds, %" PRIu64 " steps, %" PRIu64 " seconds of their time\n",
               sum.worlds, sum.steps, sum.seconds);
    if (all && world_counts_never(&sum, stderr) > 0)
        bad++;
    return bad != 0;
}
