/* SPDX-License-Identifier: MIT */
/*
 * What the engine says to people: plain lines on standard error, lines with a
 * <3>-like priority when standard error is the journal's stream, and for
 * named troubles a structured journal entry with ASUPERSYNC_REGION= and
 * ASUPERSYNC_TASK=. Nothing secret ever comes here: no session secrets, no
 * arguments, no environments.
 *
 * Any thread may call, and nobody who calls ever waits for who reads: between
 * report_start and report_stop the lines go through a bounded queue to a
 * thread of their own. A terminal that was stopped or a journal that hangs
 * costs lines, and the number of lost ones is said when it reads again.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_REPORT_H
#define ASUPERSYNC_DAEMON_ENGINE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

/* syslog(3) priorities that are used here. */
enum report_level {
    REPORT_ERROR = 3,
    REPORT_WARNING = 4,
    REPORT_NOTICE = 5,
    REPORT_INFO = 6,
};

/* Look whether standard error is the journal. Call once, before threads. */
void report_init(void);
/* From now on lines are queued. False: no thread to be had. */
bool report_start(void);
/* Write what is queued, but wait no longer than a second for it. */
void report_stop(void);

void report(enum report_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A trouble with a name ("RegionCloseTimeout"), about a region or task
 * (0: none). */
void report_trouble(const char *name, uint64_t region, uint64_t task, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
