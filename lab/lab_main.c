/* SPDX-License-Identifier: MIT */
/* A whole program around one body: asup_lab_main(). */
#include "lab/lab_internal.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 64, EXIT_NO_INPUT = 66, EXIT_BROKEN = 70, EXIT_NO_FILE = 73 };

static const char usage[] =
    "Runs a program under virtual time and checks every promise of its runtime.\n"
    "\n"
    "  --seed N           of all choices (default 1)\n"
    "  --entropy N        of asup_cx_random_u64() (default: the seed)\n"
    "  --seeds COUNT      so many runs, from that seed on; the first failure ends them\n"
    "  --inject WHAT      cancels at checkpoints: never, every (one run for each), at:N,\n"
    "                     random:N (1 in N), first:N, last:N, nth:N\n"
    "  --swarm            draw cancels and faults from the seed\n"
    "  --twice            run every seed twice and compare\n"
    "  --max-steps N      a run that is not at its end then has failed (default 1000000)\n"
    "  --leaks-allowed    a leaked obligation is told, and is no failure\n"
    "  --save FILE        the trace of the last run, for --replay and asupersync-lab(1)\n"
    "  --replay FILE      the run of that trace, compared with it event by event\n"
    "  --json             the result as one JSON object\n"
    "  --help             this text\n"
    "\n"
    "Exit status: 0 all is well, 1 something failed, 64 wrong usage, 66 no such trace,\n"
    "70 no memory, 73 the trace could not be saved.\n";

struct request {
    struct asup_lab_config config;
    uint64_t seeds;
    const char *save, *replay;
    bool json, entropy;
};

enum {
    OPT_SEED = 256,
    OPT_ENTROPY,
    OPT_SEEDS,
    OPT_INJECT,
    OPT_SWARM,
    OPT_TWICE,
    OPT_MAX_STEPS,
    OPT_LEAKS,
    OPT_SAVE,
    OPT_REPLAY,
    OPT_JSON,
    OPT_HELP,
};

static const struct option options[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"entropy", required_argument, NULL, OPT_ENTROPY},
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"inject", required_argument, NULL, OPT_INJECT},
    {"swarm", no_argument, NULL, OPT_SWARM},
    {"twice", no_argument, NULL, OPT_TWICE},
    {"max-steps", required_argument, NULL, OPT_MAX_STEPS},
    {"leaks-allowed", no_argument, NULL, OPT_LEAKS},
    {"save", required_argument, NULL, OPT_SAVE},
    {"replay", required_argument, NULL, OPT_REPLAY},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static bool
number(const char *program, const char *what, const char *text, uint64_t least, uint64_t *out)
{
    char *end;
    unsigned long long n;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && n >= least) {
        *out = n;
        return true;
    }
    fprintf(stderr, "%s: --%s takes a whole number from %" PRIu64 " on, not '%s'\n", program, what,
            least, text);
    return false;
}

/* -1: go on; else the exit status. */
static int
option_take(struct request *r, const char *program, int option)
{
    switch (option) {
    case OPT_SEED:
        return number(program, "seed", optarg, 0, &r->config.seed) ? -1 : EXIT_USAGE;
    case OPT_ENTROPY:
        r->entropy = true;
        return number(program, "entropy", optarg, 0, &r->config.entropy_seed) ? -1 : EXIT_USAGE;
    case OPT_SEEDS:
        return number(program, "seeds", optarg, 1, &r->seeds) ? -1 : EXIT_USAGE;
    case OPT_MAX_STEPS:
        return number(program, "max-steps", optarg, 1, &r->config.max_steps) ? -1 : EXIT_USAGE;
    case OPT_INJECT:
        if (inject_parse(optarg, &r->config))
            return -1;
        fprintf(stderr,
                "%s: --inject takes never, every, at:N, random:N, first:N, last:N or nth:N (N from "
                "1 on), not '%s'\n",
                program, optarg);
        return EXIT_USAGE;
    case OPT_SWARM:
        r->config.swarm = true;
        return -1;
    case OPT_TWICE:
        r->config.check_determinism = true;
        return -1;
    case OPT_LEAKS:
        r->config.panic_on_obligation_leak = false;
        return -1;
    case OPT_SAVE:
        r->save = optarg;
        return -1;
    case OPT_REPLAY:
        r->replay = optarg;
        return -1;
    case OPT_JSON:
        r->json = true;
        return -1;
    case OPT_HELP:
        printf("%s [OPTION]...\n%s", program, usage);
        return 0;
    default:
        fprintf(stderr, "Try '%s --help'.\n", program);
        return EXIT_USAGE;
    }
}

static void
print_json(const struct asup_lab *lab, int rc)
{
    const struct asup_lab_report *r = &lab->report;
    json_t *complaints = json_object();
    char command[1024], digest[17];
    json_t *out;

    lab_command(lab, command, sizeof command);
    (void)snprintf(digest, sizeof digest, "%016" PRIx64, r->digest);
    for (unsigned o = 0; o < ASUP_ORACLE_COUNT; o++) {
        const char *complaint = asup_lab_complaint(lab, (enum asup_oracle)o);

        if (complaint != NULL)
            json_object_set_new(complaints, asup_oracle_name((enum asup_oracle)o),
                                json_string(complaint));
    }
    out = json_pack("{si ss ss sb si sI sI sI sI sI sI ss so ss?}", "format", 1, "program",
                    lab->program, "options", command, "ok", rc == 0, "result", r->result, "steps",
                    (json_int_t)r->steps, "events", (json_int_t)r->events, "checkpoints",
                    (json_int_t)r->checkpoints, "injected", (json_int_t)r->injected, "faults",
                    (json_int_t)r->faults, "elapsed_ns", (json_int_t)r->elapsed, "digest", digest,
                    "complaints", complaints, "failure",
                    lab->failure[0] != '\0' ? lab->failure : NULL);
    if (out == NULL)
        return;
    (void)json_dumpf(out, stdout, 0);
    putchar('\n');
    json_decref(out);
}

static int
finish(struct asup_lab *lab, const struct request *r, const char *program, int rc)
{
    if (r->json)
        print_json(lab, rc);
    else if (r->replay != NULL && lab->report.steps == 0) /* there was no run to tell of */
        fprintf(stderr, "%s: %s\n", program, lab->failure);
    else
        asup_lab_print(lab, rc == 0 ? stdout : stderr);
    if (!r->json && rc == 0 && r->replay == NULL && r->seeds > 1)
        printf("of all %" PRIu64 " seeds; the last one is told\n", r->seeds);
    if (!r->json && r->replay != NULL && lab->report.events > 0 && !lab->replay_differs)
        fprintf(rc == 0 ? stdout : stderr, "it went as in %s, event by event\n", r->replay);
    if (r->save != NULL && lab->record.count > 0) {
        int saved = asup_lab_trace_save(lab, r->save);

        if (saved != 0) {
            fprintf(stderr, "%s: %s could not be written: %s\n", program, r->save,
                    saved == -ASUP_EUNAVAILABLE ? strerror(errno) : asup_error_text(saved));
            return EXIT_NO_FILE;
        }
        if (!r->json)
            fprintf(rc == 0 ? stdout : stderr, "saved in %s; replay with: %s --replay %s\n",
                    r->save, lab_invoked(lab), r->save);
    }
    switch (rc) {
    case 0:
        return 0;
    case -ASUP_ENOMEM:
        return EXIT_BROKEN;
    case -ASUP_EMALFORMED:
    case -ASUP_EUNSUPPORTED:
    case -ASUP_EUNAVAILABLE:
        return EXIT_NO_INPUT;
    default:
        return EXIT_FAILED;
    }
}

int
asup_lab_main(int argc, char **argv, const char *program, asup_body body, void *arg)
{
    struct request r = {.seeds = 1};
    struct asup_lab *lab;
    int option, rc;

    asup_lab_config_init(&r.config, 1);
    r.config.program = program;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int status = option_take(&r, program, option);

        if (status >= 0)
            return status;
    }
    if (optind < argc) {
        fprintf(stderr, "%s: '%s' is no option. Try '%s --help'.\n", program, argv[optind],
                program);
        return EXIT_USAGE;
    }
    if (!r.entropy)
        r.config.entropy_seed = r.config.seed;
    lab = asup_lab_new(&r.config);
    if (lab == NULL) {
        fprintf(stderr, "%s: no memory\n", program);
        return EXIT_BROKEN;
    }
    lab->invoked = argc > 0 ? argv[0] : NULL;
    if (r.replay != NULL)
        rc = asup_lab_replay(lab, r.replay, body, arg, NULL);
    else
        rc = asup_lab_explore(lab, r.seeds, body, arg, NULL);
    if (rc == 0 && lab->report.failure != NULL)
        rc = -ASUP_EPANICKED; /* the failure of the trace, once more */
    rc = finish(lab, &r, program, rc);
    asup_lab_free(lab);
    return rc;
}
