/* SPDX-License-Identifier: MIT */
/*
 * Simulated worlds (lab/world.h) one after the other, in one process:
 *
 *     world_seeds [--digests] [--twice] [--all] [--table] [--options] [--faults LIST] [--steps N]
 * FIRST COUNT
 *
 * --digests  print seed, digest and number of events of each world
 * --twice    run each a second time: the digest is the same (R-EVT-4)
 * --all      each fault, each input and each outcome must have been seen
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/world.h"

static bool digests, twice, all, table, options_too;
static const char *faults = "all";
static uint64_t steps;

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
