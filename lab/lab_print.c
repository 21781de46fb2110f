/* SPDX-License-Identifier: MIT */
/* Options and results of a lab as text. */
#include "lab/lab_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct inject_row {
    const char *name;
    bool counted;
} injects[] = {
    [ASUP_INJECT_NEVER] = {"never", false}, [ASUP_INJECT_EVERY] = {"every", false},
    [ASUP_INJECT_AT] = {"at", true},        [ASUP_INJECT_RANDOM] = {"random", true},
    [ASUP_INJECT_FIRST] = {"first", true},  [ASUP_INJECT_LAST] = {"last", true},
    [ASUP_INJECT_NTH] = {"nth", true},
};
enum { INJECT_COUNT = sizeof injects / sizeof injects[0] };

const char *
inject_name(enum asup_inject inject)
{
    return (unsigned)inject < INJECT_COUNT ? injects[inject].name : "?";
}

/* "never", "every", "at:7", "random:10", ... */
bool
inject_parse(const char *text, struct asup_lab_config *config)
{
    for (unsigned i = 0; i < INJECT_COUNT; i++) {
        size_t size = strlen(injects[i].name);
        unsigned long long n;
        char *end;

        if (strncmp(text, injects[i].name, size) != 0)
            continue;
        if (!injects[i].counted) {
            if (text[size] != '\0')
                continue;
            config->inject = (enum asup_inject)i;
            config->inject_n = 0;
            return true;
        }
        if (text[size] != ':' || text[size + 1] < '1' || text[size + 1] > '9')
            continue;
        n = strtoull(text + size + 1, &end, 10);
        if (*end != '\0' || n > UINT32_MAX)
            continue;
        config->inject = (enum asup_inject)i;
        config->inject_n = (uint32_t)n;
        return true;
    }
    return false;
}

const char *
lab_invoked(const struct asup_lab *lab)
{
    return lab->invoked != NULL ? lab->invoked : lab->program;
}

void
lab_command(const struct asup_lab *lab, char *out, size_t size)
{
    const struct asup_lab_config *c = &lab->config;
    const struct asup_lab_config *e = &lab->effective;
    size_t used = 0;

#define ADD(...) (used += used < size ? (size_t)snprintf(out + used, size - used, __VA_ARGS__) : 0)
    if (lab->replaying) { /* which says the rest */
        ADD("--replay %s", lab->replay_path != NULL ? lab->replay_path : "?");
    } else {
        ADD("--seed %" PRIu64, e->seed);
        if (e->entropy_seed != e->seed)
            ADD(" --entropy %" PRIu64, e->entropy_seed);
        if (c->swarm)
            ADD(" --swarm");
        else if (e->inject != ASUP_INJECT_NEVER && injects[e->inject].counted)
            ADD(" --inject %s:%" PRIu32, inject_name(e->inject), e->inject_n);
        else if (e->inject != ASUP_INJECT_NEVER)
            ADD(" --inject %s", inject_name(e->inject));
        if (e->max_steps != 1000000)
            ADD(" --max-steps %" PRIu64, e->max_steps);
    }
    if (!e->panic_on_obligation_leak)
        ADD(" --leaks-allowed");
    if (c->check_determinism)
        ADD(" --twice");
#undef ADD
}

static void
print_options(const struct asup_lab *lab, FILE *to)
{
    const struct asup_lab_config *e = &lab->effective;

    fprintf(to,
            "seed %" PRIu64 ", entropy %" PRIu64 ", max-steps %" PRIu64
            ", futurelock after %" PRIu64 " idle steps, stack %zu bytes%s%s%s%s\n",
            e->seed, e->entropy_seed, e->max_steps, e->futurelock_max_idle_steps,
            e->stack_size != 0 ? e->stack_size : (size_t)64 * 1024,
            e->panic_on_obligation_leak ? "" : ", leaks are no failure",
            e->panic_on_futurelock ? "" : ", futurelocks are no failure",
            e->auto_advance ? "" : ", time stands still", lab->config.swarm ? ", swarm" : "");
    if (lab->replaying) {
        fprintf(to, "cancels and faults as in the trace\n");
        return;
    }
    fprintf(to, "inject %s", inject_name(e->inject));
    if (injects[e->inject].counted)
        fprintf(to, ":%" PRIu32, e->inject_n);
    fprintf(to,
            "; faults in 65536: no-memory %" PRIu32 ", busy %" PRIu32 ", slow %" PRIu32
            ", clock-jump %" PRIu32 " (up to %" PRIu64 " ns), kill %" PRIu32 "\n",
            e->faults.no_memory, e->faults.busy, e->faults.slow, e->faults.clock_jump,
            e->faults.clock_jump_ns, e->faults.kill);
}

void
asup_lab_print(const struct asup_lab *lab, FILE *to)
{
    const struct asup_lab_report *r = &lab->report;
    char command[1024];

    print_options(lab, to);
    fprintf(to,
            "%" PRIu64 " steps, %" PRIu64 " events, %" PRIu64 " checkpoints, %" PRIu64
            " cancels injected, %" PRIu64 " faults, %" PRIu64 ".%03u s virtual, digest %016" PRIx64
            "\n",
            r->steps, r->events, r->checkpoints, r->injected, r->faults, r->elapsed / ASUP_NS_PER_S,
            (unsigned)(r->elapsed % ASUP_NS_PER_S / ASUP_NS_PER_MS), r->digest);
    for (unsigned o = 0; o < ASUP_ORACLE_COUNT; o++) {
        const char *complaint = asup_lab_complaint(lab, (enum asup_oracle)o);

        if (complaint != NULL)
            fprintf(to, "%s: %s\n", asup_oracle_name((enum asup_oracle)o), complaint);
    }
    lab_command(lab, command, sizeof command);
    if (lab->failure[0] != '\0')
        fprintf(to, "FAILED: %s\nreproduce with: %s %s\n", lab->failure, lab_invoked(lab), command);
    else
        fprintf(to, "all is well (%s %s)\n", lab_invoked(lab), command);
}
