/* SPDX-License-Identifier: MIT */
/*
 * Oracles: each watches what a kernel does and complains when one of the promises
 * of the semantics is broken. They know nothing of how the kernel works inside:
 * they see inputs, events and effects, in order, and may ask its views.
 *
 * The same oracles watch programs under test (lab.h), simulated worlds
 * (lab/world.h) and saved traces of a daemon.
 */
#ifndef ASUPERSYNC_LAB_ORACLE_H
#define ASUPERSYNC_LAB_ORACLE_H

#include "asupersync/lab.h"
#include "core/kernel.h"

struct oracles;

struct oracles *oracles_new(const struct kernel_config *config);
void oracles_free(struct oracles *o);
/* What runs is a program under test: an obligation that it leaks and a futurelock are complaints.
 * Without this (a world with faults, where holders die) only what the kernel makes of them is
 * judged. */
void oracles_program(struct oracles *o);

/* A step was taken. `in` may be NULL (events alone are known: a saved trace); then those that need
 * inputs or effects do not judge. k is the kernel after it. */
void oracles_step(struct oracles *o, const struct kernel *k, const struct input *in,
                  const struct step *out);
/* The kernel died and a new one resumed from what was durable up to `seq`: what came after that
 * never happened. */
void oracles_recovered(struct oracles *o, const struct kernel *k, uint64_t seq);
/* Nothing more comes. settled: everything was closed before, so nothing may be left. */
void oracles_end(struct oracles *o, const struct kernel *k, bool settled);

/* NULL: content; else the first complaint, with the event it is about. */
const char *oracles_complaint(const struct oracles *o, enum asup_oracle which);
/* The first of all. */
const char *oracles_first(const struct oracles *o, enum asup_oracle *which);
/* A complaint of somebody else, kept with the others when it is the first of its kind. */
void oracles_complain(struct oracles *o, enum asup_oracle which, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Somebody ran the same seed twice: the digests of all events of the two runs (DETERMINISM). */
void oracles_compare(struct oracles *o, uint64_t one, uint64_t other);

/* How often each was asked something that it had to judge: one that never was has shown nothing. */
uint64_t oracles_judged(const struct oracles *o, enum asup_oracle which);

#endif
