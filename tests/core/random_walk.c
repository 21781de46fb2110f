/* SPDX-License-Identifier: MIT */
/*
 * A random walk over the kernel's whole interface, below the words of the
 * scenarios: right and wrong requests, batches, repeated request ids, facts in
 * any order and about anything, new configurations, and memory that runs out.
 *
 * After every step the invariants hold (§9), the events folded in a second
 * kernel give the same state (R-EVT-1), what was refused left no mark
 * (R-EVT-2), and V rose only by admission (R-SCH-3). At the end an honest shell
 * and two shutdowns leave nothing (R-REG-4). Of the whole trace, independent
 * neighbours change places, and dependent ones may not (R-EVT-3).
 *
 * Now and then one of the kernels goes through a snapshot. Crashes, and a world
 * that keeps to the rules, are in lab/world.h.
 *
 *     random_walk [seed [count [steps]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "durably.h"
#include "lab/oracle.h"
#include "trace_log.h"
#include "walk.h"

static uint64_t seed_now;
static uint64_t state;
struct kernel *kernel, *shadow;
uint64_t now, token;
static long memory_left; /* allocations until one is refused; -1: no end */

static struct trace_log recorded;
static struct kernel_config config_first;
static uint64_t swapped;
static struct oracles *oracles;
static uint64_t judged[ASUP_ORACLE_COUNT];

uint32_t
dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 20) % sides);
}

void
walk_fail(const char *what, const char *which)
{
    fprintf(stderr, "%s %s\nreplay: random_walk %llu 1\n", what, which,
            (unsigned long long)seed_now);
    abort();
}

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    if (memory_left == 0)
        return NULL;
    if (memory_left > 0)
        memory_left--;
    ptr = realloc(ptr, size_new);
    if (ptr == NULL)
        abort();
    return ptr;
}

/* ---- A step with its checks ---------------------------------------------------------- */

static void
effects_take(const struct step *out)
{
    for (size_t i = 0; i < out->effect_count; i++)
        effect_take(&out->effects[i]);
}

/* Beside the kernel's own invariants the oracles of the lab are content. */
static void
oracles_ask(void)
{
    enum asup_oracle which;
    const char *complaint = oracles_first(oracles, &which);

    if (complaint == NULL)
        return;
    fprintf(stderr, "oracle %s: ", asup_oracle_name(which));
    walk_fail(complaint, "");
}

int
take_step(struct input *in)
{
    uint64_t digest = kernel_digest(kernel);
    uint64_t potential = kernel_potential(kernel);
    struct step out;
    bool admitted = false;
    const char *broken;
    int rc;

    in->now = now;
    rc = kernel_step(kernel, in, &out);
    memory_left = -1; /* the second kernel and the checks have enough */
    for (size_t i = 0; i < out.event_count; i++) {
        enum event_kind kind = out.events[i].kind;

        admitted = admitted || kind == EV_REGION_OPENED || kind == EV_TASK_CREATED ||
                   kind == EV_FINALIZER_REGISTERED || kind == EV_SAGA_BEGUN ||
                   kind == EV_SAGA_STEP_BEGUN || kind == EV_SAGA_RESOLVED ||
                   kind == EV_OBLIGATION_RESERVED || kind == EV_CALL_RETRIED;
        apply_durably(shadow, &out.events[i]);
        trace_log_add(&recorded, &out.events[i]);
    }
    /* What a fold lacks of volatile regions is put right by RESUMED. */
    broken = kernel_recovering(kernel) ? NULL : kernel_check(kernel);
    if (broken != NULL)
        walk_fail("broken:", broken);
    if (kernel_digest(kernel) != kernel_digest(shadow))
        walk_fail("R-EVT-1:", "the events do not add up to the state");
    if (rc != 0 && out.event_count == 0 && kernel_digest(kernel) != digest)
        walk_fail("R-EVT-2:", "a refusal left a mark");
    admitted = admitted || in->kind == IN_RESUMED; /* finalizers may run again */
    if (!admitted && kernel_potential(kernel) > potential)
        walk_fail("R-SCH-3:", "the potential rose");
    oracles_step(oracles, kernel, in, &out);
    oracles_ask();
    effects_take(&out);
    return rc;
}

/* ---- A walk -----------------------------------------------------------------------------------
 */

const struct kernel_allocator walk_allocator = {.resize = resize, .ctx = NULL};

static void
walk_begin(uint64_t seed)
{
    struct kernel_config config;

    seed_now = seed;
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    memory_left = -1;
    now = 1000;
    token = 0;
    walk_ask_begin(seed);
    memset(processes, 0, sizeof processes);
    memset(sweeping, 0, sizeof sweeping);
    walk_config(&config);
    config_first = config;
    kernel = kernel_new(&config, &walk_allocator, now);
    shadow = kernel_new(&config, &walk_allocator, now);
    oracles = oracles_new(&config);
    if (kernel == NULL || shadow == NULL || oracles == NULL)
        abort();
}

/* The second kernel, or the first, goes through a snapshot. Parked requests are no
 * state, and are gone. */
static void
walk_save(void)
{
    struct kernel **which = dice(3) == 0 ? &kernel : &shadow;
    struct kernel *loaded = load_of(*which, &walk_allocator, now, LOAD_EXACT);

    kernel_free(*which);
    *which = loaded;
}

static void
walk(int steps)
{
    for (int i = 0; i < steps && kernel_id_last(kernel) < TASKS_MAX - 16; i++) {
        struct input in;
        struct kernel_counts counts;

        memset(&in, 0, sizeof in);
        memory_left = -1;
        if (dice(40) == 0)
            walk_save();
        memory_left = dice(10) == 0 ? (long)dice(6) : -1;
        kernel_counts(kernel, &counts);
        switch (dice(8)) {
        case 0:
            now += dice(2) == 0 ? dice(50) * ASUP_NS_PER_MS : dice(4) * ASUP_NS_PER_S;
            in.kind = IN_TICK;
            break;
        case 1:
        case 2:
        case 3:
            in = walk_request(kernel, now, ++token);
            break;
        default:
            if (!any_fact(&in))
                continue;
            /* What is admitted has had the memory of its end reserved. */
            memory_left = dice(3) == 0 ? 0 : -1;
            if (take_step(&in) == 0)
                continue;
            /* Timers came before it: brought again, it finds it. An attempt to undo
             * something takes what it needs when it comes. */
            memory_left = counts.sagas > 0 ? -1 : 0;
            if (take_step(&in) != 0)
                walk_fail("a fact", "found no memory");
            continue;
        }
        (void)take_step(&in);
    }
}

/* An honest shell carries everything to its end. */
static void
walk_end(void)
{
    struct kernel_counts counts;
    struct region_view root;

    memory_left = -1;
    walk_settle(400, 500 * ASUP_NS_PER_MS);
    kernel_counts(kernel, &counts);
    if (!kernel_region(kernel, ASUP_ROOT_ID, &root) || root.state != ASUP_REGION_CLOSED)
        walk_fail("R-REG-4:", "\"/\" did not close");
    if (counts.tasks != 0 || counts.regions != 0 || kernel_potential(kernel) != 0)
        walk_fail("R-REG-4:", "something is left");
    oracles_end(oracles, kernel, true);
    oracles_ask();
    for (unsigned i = 0; i < ASUP_ORACLE_COUNT; i++)
        judged[i] += oracles_judged(oracles, (enum asup_oracle)i);
    oracles_free(oracles);
    kernel_free(kernel);
    kernel_free(shadow);
}

/* R-EVT-3: whoever lets dependent neighbours change places is found out. Two
 * that make ids may be alike in all but those. */
static void
dependents_stay(void)
{
    struct trace before = trace_log_trace(&recorded);
    struct trace_log after = {.count = recorded.count};
    struct trace_difference where;
    struct resource made;
    int tries = 0;

    after.events = malloc(recorded.count * sizeof recorded.events[0]);
    if (after.events == NULL)
        abort();
    while (tries++ < 40) {
        size_t i = dice((uint32_t)recorded.count - 1);
        const struct event *a = &recorded.events[i];
        struct trace swapped_trace = trace_log_trace(&after);

        if (a[0].kind == a[1].kind || kernel_events_independent(&a[0], &a[1]) ||
            event_makes(&a[0], &made) || event_makes(&a[1], &made))
            continue;
        memcpy(after.events, recorded.events, recorded.count * sizeof recorded.events[0]);
        trace_log_swap(&after, i);
        if (trace_compare(&before, &swapped_trace, &trace_log_allocator, &where) != 1)
            walk_fail("R-EVT-3: not kept in order:", event_kind_name(a[0].kind));
        break;
    }
    free(after.events);
}

/* R-EVT-3: independent neighbours commute, in pairs and all together. */
static void
walk_commute(void)
{
    size_t swaps = 0;
    const char *wrong;

    dependents_stay();
    wrong = trace_log_commute(&recorded, &config_first, 1000, dice, &swaps);
    if (wrong != NULL)
        walk_fail("R-EVT-3:", wrong);
    swapped += swaps;
    trace_log_free(&recorded);
}

/* An oracle that never had to judge has shown nothing. */
static void
judged_print(void)
{
    for (unsigned i = 0; i < ASUP_ORACLE_COUNT; i++) {
        if (judged[i] > 0)
            printf("%s judged %llu times\n", asup_oracle_name((enum asup_oracle)i),
                   (unsigned long long)judged[i]);
    }
}

int
main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
    int steps = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 600;

    for (uint64_t seed = first; seed < first + count; seed++) {
        walk_begin(seed);
        walk(steps);
        walk_end();
        walk_commute();
    }
    judged_print();
    printf("%llu walks of %d steps, %llu pairs of events that changed places\n",
           (unsigned long long)count, steps, (unsigned long long)swapped);
    if (swapped == 0)
        return 1;
    return 0;
}
