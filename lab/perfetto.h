/* SPDX-License-Identifier: MIT */
/*
 * A trace for ui.perfetto.dev and chrome://tracing, as trace-event JSON: regions
 * are processes and tasks their threads; what a task or region is at is a slice;
 * obligations and sagas are spans across them; a message is an arrow from who sent
 * it to who received it. Sessions are the threads of a process of their own.
 */
#ifndef ASUPERSYNC_LAB_PERFETTO_H
#define ASUPERSYNC_LAB_PERFETTO_H

#include "lab/recording.h"
#include "lab/tool.h"

/* Folds from where it is to the end. An exit code, after complaining. */
int perfetto_write(const struct lab_call *call, const struct recording *r, struct fold *f,
                   const char *path);

#endif
