/* SPDX-License-Identifier: MIT */
#ifndef ASUPERSYNC_DAEMON_ENGINE_JOURNAL_SCHEMA_H
#define ASUPERSYNC_DAEMON_ENGINE_JOURNAL_SCHEMA_H

#include <assert.h>

/* PRAGMA application_id of our databases: "asup". */
#define JOURNAL_APPLICATION 0x61737570

enum { JOURNAL_PAST_COUNT = 5 };

/* Statements that make an empty database ours. */
extern const char journal_schema[];
/* Statements that remove events from ?1 to ?2, in order. */
extern const char *const journal_past[];

#endif
