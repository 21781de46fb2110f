/* SPDX-License-Identifier: MIT */
/* Runs of a lab: see lab_internal.h and asupersync/lab.h. */
#include "lab/lab_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cx/shell_internal.h"

enum { STACK_DEFAULT = 64 * 1024, TASKS_MAX = 1000000 };

/* ---- Configuration --------------------------------------------------------------- */

void
asup_lab_config_init(struct asup_lab_config *config, uint64_t seed)
{
    *config = (struct asup_lab_config){
        .seed = seed,
        .entropy_seed = seed,
        .max_steps = 1000000,
        .futurelock_max_idle_steps = 10000,
        .capture_trace = true,
        .panic_on_obligation_leak = true,
        .panic_on_futurelock = true,
        .hang_cpu_ms = 10000,
        .auto_advance = true,
    };
}

static bool
config_is_sound(const struct asup_lab_config *c)
{
    bool counted = c->inject == ASUP_INJECT_RANDOM || c->inject == ASUP_INJECT_NTH ||
                   c->inject == ASUP_INJECT_AT;

    return c->max_steps > 0 && c->inject <= ASUP_INJECT_NTH && !(counted && c->inject_n == 0) &&
           (c->stack_size == 0 || c->stack_size >= 16 * 1024);
}

struct asup_lab *
asup_lab_new(const struct asup_lab_config *config)
{
    struct asup_lab *lab = config_is_sound(config) ? calloc(1, sizeof *lab) : NULL;

    if (lab == NULL)
        return NULL;
    lab->config = *config;
    lab->program = strdup(config->program != NULL ? config->program : "lab");
    if (lab->program == NULL) {
        free(lab);
        return NULL;
    }
    lab->config.program = lab->program;
    lab->effective = lab->config;
    idmap_init(&lab->ran, sizeof(struct task_ran));
    return lab;
}

void
asup_lab_free(struct asup_lab *lab)
{
    if (lab == NULL)
        return;
    record_fini(&lab->record);
    record_fini(&lab->expected);
    oracles_free(lab->oracles);
    idmap_fini(&lab->ran);
    free(lab->replay_path);
    free(lab->program);
    free(lab);
}

/* ---- What went wrong ---------------------------------------------------------------- */

void
lab_fail(struct asup_lab *lab, const char *format, ...)
{
    va_list args;

    if (lab->failure[0] != '\0')
        return;
    va_start(args, format);
    (void)vsnprintf(lab->failure, sizeof lab->failure, format, args);
    va_end(args);
}

const char *
lab_task_text(const struct asup_lab *lab, uint64_t task, char *out, size_t size)
{
    struct task_view t;

    if (lab->shell != NULL && kernel_task(shell_kernel(lab->shell), task, &t) && t.label.size > 0)
        (void)snprintf(out, size, "t%llu (%.*s)", (unsigned long long)task, (int)t.label.size,
                       (const char *)t.label.data);
    else
        (void)snprintf(out, size, "t%llu", (unsigned long long)task);
    return out;
}

/* Whether a complaint of that oracle makes the run fail. */
static bool
counts(const struct asup_lab *lab, enum asup_oracle oracle)
{
    if (oracle == ASUP_ORACLE_OBLIGATION_LEAK)
        return lab->effective.panic_on_obligation_leak && lab->kills == 0;
    if (oracle == ASUP_ORACLE_FUTURELOCK)
        return lab->effective.panic_on_futurelock;
    return true;
}

static void
judge(struct asup_lab *lab)
{
    for (unsigned o = 0; o < ASUP_ORACLE_COUNT; o++) {
        const char *complaint = oracles_complaint(lab->oracles, (enum asup_oracle)o);

        if (complaint != NULL && counts(lab, (enum asup_oracle)o))
            lab_fail(lab, "%s: %s", asup_oracle_name((enum asup_oracle)o), complaint);
    }
}

/* ---- One run -------------------------------------------------------------------------- */

static void
run_begin(struct asup_lab *lab)
{
    record_fini(&lab->record);
    oracles_free(lab->oracles);
    lab->oracles = NULL;
    memset(&lab->report, 0, sizeof lab->report);
    lab->failure[0] = '\0';
    lab->now = ASUP_NS_PER_S; /* an instant that is not 0 */
    lab->faulty = true;
    lab->stopped = false;
    lab->running = 0;
    idmap_clear(&lab->ran);
    lab->points = lab->turns = lab->idles = lab->kills = 0;
    lab->slow_task = lab->slow_until = 0;
    lab->idle_looked = 0;
    lab->replay_event = lab->replay_choice = 0;
    lab->digest = 0;
    prng_seed(&lab->choices, lab->config.seed);
    prng_seed(&lab->entropy, lab->config.entropy_seed);
}

int
lab_run_once(struct asup_lab *lab, asup_body body, void *arg)
{
    struct shell_options options = {
        .stack_size = lab->config.stack_size != 0 ? lab->config.stack_size : STACK_DEFAULT};
    struct world world = lab_world(lab);
    struct kernel_outcome outcome = {0};
    asup_time begun;
    int rc;

    run_begin(lab);
    begun = lab->now;
    shell_kernel_config_init(&options.kernel, TASKS_MAX);
    options.kernel.futurelock_ns = ASUP_NEVER; /* counted in steps here: time leaps */
    lab->oracles = oracles_new(&options.kernel);
    if (lab->oracles == NULL)
        return -ASUP_ENOMEM;
    oracles_program(lab->oracles);
    lab->shell = shell_new(&options, &world);
    if (lab->shell == NULL)
        return -ASUP_ENOMEM;
    record_begin(lab);
    hang_watch(lab);
    rc = shell_run(lab->shell, body, arg, &outcome);
    hang_forget();
    oracles_end(lab->oracles, shell_kernel(lab->shell), rc == 0);
    lab->report.result = rc != 0 ? rc : shell_result(&outcome);
    shell_free(lab->shell);
    lab->shell = NULL;
    lab_here = NULL;
    if (lab->record.failed)
        return -ASUP_ENOMEM;
    if (lab->replaying)
        replay_end(lab);
    judge(lab);
    lab->report.elapsed = lab->now - begun;
    lab->report.digest = lab->digest;
    lab->report.ok = lab->failure[0] == '\0';
    lab->report.failure = lab->report.ok ? NULL : lab->failure;
    return 0;
}

static int
answer(const struct asup_lab *lab, int rc, struct asup_lab_report *report)
{
    if (report != NULL)
        *report = lab->report;
    if (rc != 0)
        return rc;
    return lab->report.ok ? 0 : -ASUP_EPANICKED;
}

/* ---- What is asked for ------------------------------------------------------------------ */

/* The last n of as many checkpoints as a run without any shows. */
static int
count_points(struct asup_lab *lab, asup_body body, void *arg, uint64_t *points)
{
    enum asup_inject inject = lab->effective.inject;
    int rc;

    lab->effective.inject = ASUP_INJECT_NEVER;
    rc = lab_run_once(lab, body, arg);
    lab->effective.inject = inject;
    *points = lab->report.checkpoints;
    return rc;
}

static int
run_drawn(struct asup_lab *lab, asup_body body, void *arg)
{
    uint64_t points = 0;
    uint64_t digest;
    int rc = 0;

    if (lab->effective.inject == ASUP_INJECT_LAST && !lab->replaying)
        rc = count_points(lab, body, arg, &points);
    if (rc != 0 || lab->failure[0] != '\0')
        return rc;
    lab->inject_from = points > lab->effective.inject_n ? points - lab->effective.inject_n + 1 : 1;
    rc = lab_run_once(lab, body, arg);
    if (rc != 0 || !lab->config.check_determinism || lab->replaying)
        return rc;
    digest = lab->report.digest;
    if (!lab->report.ok)
        return 0;
    rc = lab_run_once(lab, body, arg);
    if (rc != 0)
        return rc;
    oracles_compare(lab->oracles, digest, lab->report.digest);
    judge(lab);
    lab->report.ok = lab->failure[0] == '\0';
    lab->report.failure = lab->report.ok ? NULL : lab->failure;
    return 0;
}

int
asup_lab_run(struct asup_lab *lab, asup_body body, void *arg, struct asup_lab_report *report)
{
    lab->effective = lab->config;
    lab->failure[0] = '\0';
    lab->replaying = false;
    if (lab->config.swarm)
        lab_draw(lab);
    return answer(lab, run_drawn(lab, body, arg), report);
}

/* One run for each checkpoint that the run without any has. */
static int
explore_points(struct asup_lab *lab, asup_body body, void *arg)
{
    uint64_t points;
    int rc;

    lab->effective = lab->config;
    rc = count_points(lab, body, arg, &points);
    for (uint64_t i = 1; rc == 0 && lab->report.ok && i <= points; i++) {
        lab->effective.inject = ASUP_INJECT_AT;
        lab->effective.inject_n = (uint32_t)i;
        rc = run_drawn(lab, body, arg);
    }
    return rc;
}

int
asup_lab_explore(struct asup_lab *lab, uint64_t runs, asup_body body, void *arg,
                 struct asup_lab_report *report)
{
    uint64_t first = lab->config.seed;
    bool same_entropy = lab->config.entropy_seed != first;
    int rc = 0;

    lab->failure[0] = '\0';
    for (uint64_t i = 0; i < runs; i++) {
        lab->config.seed = first + i;
        if (!same_entropy)
            lab->config.entropy_seed = first + i;
        lab->replaying = false;
        if (lab->config.inject == ASUP_INJECT_EVERY && !lab->config.swarm)
            rc = answer(lab, explore_points(lab, body, arg), report);
        else
            rc = asup_lab_run(lab, body, arg, report);
        if (rc != 0)
            break;
    }
    lab->effective.seed = lab->config.seed;
    lab->effective.entropy_seed = lab->config.entropy_seed;
    lab->config.seed = first;
    if (!same_entropy)
        lab->config.entropy_seed = first;
    return rc;
}

int
asup_lab_replay(struct asup_lab *lab, const char *path, asup_body body, void *arg,
                struct asup_lab_report *report)
{
    int rc;

    memset(&lab->report, 0, sizeof lab->report);
    lab->failure[0] = '\0';
    lab->effective = lab->config;
    lab->replaying = true;
    rc = replay_load(lab, path);
    if (rc == 0)
        rc = lab_run_once(lab, body, arg);
    lab->report.failure = lab->failure[0] != '\0' ? lab->failure : NULL;
    if (report != NULL)
        *report = lab->report;
    if (rc != 0)
        return rc;
    return lab->replay_differs ? -ASUP_ECONFLICT : 0;
}

/* ---- Oracles ------------------------------------------------------------------------------ */

bool
asup_lab_ok(const struct asup_lab *lab, enum asup_oracle oracle)
{
    return asup_lab_complaint(lab, oracle) == NULL;
}

const char *
asup_lab_complaint(const struct asup_lab *lab, enum asup_oracle oracle)
{
    return lab->oracles == NULL ? NULL : oracles_complaint(lab->oracles, oracle);
}
