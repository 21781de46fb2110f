/* SPDX-License-Identifier: MIT */
/* How many of what a trace holds. */
#ifndef ASUPERSYNC_LAB_SUMMARY_H
#define ASUPERSYNC_LAB_SUMMARY_H

#include "lab/recording.h"
#include "lab/tool.h"

/* Folds to the end, where it can. */
void summary_print(const struct lab_call *call, const struct recording *r, struct fold *f);

#endif
