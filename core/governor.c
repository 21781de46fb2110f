/* SPDX-License-Identifier: MIT */
/*
 * The governor (R-SCH-3): one look at what stands between the state and
 * quiescence, turned into advice that reorders picks within the fairness bound
 * and breaks no rule.
 *
 *     meet-deadlines     something runnable has hardly time left
 *     drain-obligations  more regions are ending than are open, and what is held
 *                        outnumbers the tasks: only its holders can give way
 *     drain-regions      more regions are ending than are open
 *     none
 */
#include "core/decide.h"

/* A runnable entry with less time than that is in a hurry. */
#define SLACK_NS (100 * ASUP_NS_PER_MS)

enum kernel_advice
kernel_advice(const struct kernel *k)
{
    uint32_t draining = k->regions_in[ASUP_REGION_CLOSING] + k->regions_in[ASUP_REGION_DRAINING] +
                        k->regions_in[ASUP_REGION_FINALIZING];

    uint64_t tasks = 0;
    uint64_t held = 0;

    if (k->timed.count > 0 && k->timed.items[0].at <= time_add(k->now, SLACK_NS))
        return ADVICE_MEET_DEADLINES;
    if (draining <= k->regions_in[ASUP_REGION_OPEN])
        return ADVICE_NONE;
    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++)
        tasks += k->tasks_in[s];
    for (unsigned kind = 0; kind < ASUP_OBLIGATION_KIND_COUNT; kind++)
        held += k->obligations.in_kind[kind];
    return held > tasks ? ADVICE_DRAIN_OBLIGATIONS : ADVICE_DRAIN_REGIONS;
}

const char *
kernel_advice_name(enum kernel_advice advice)
{
    static const char *const names[] = {
        [ADVICE_NONE] = "none",
        [ADVICE_MEET_DEADLINES] = "meet-deadlines",
        [ADVICE_DRAIN_OBLIGATIONS] = "drain-obligations",
        [ADVICE_DRAIN_REGIONS] = "drain-regions",
    };

    return (unsigned)advice < sizeof names / sizeof names[0] ? names[advice] : "unknown";
}
