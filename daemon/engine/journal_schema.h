/* SPDX-License-Identifier: MIT */
#ifndef ASUPERSYNC_DAEMON_ENGINE_JOURNAL_SCHEMA_H
#define ASUPERSYNC_DAEMON_ENGINE_JOURNAL_SCHEMA_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* PRAGMA application_id of our databases: "asup". */
#define JOURNAL_APPLICATION 0x61737570

enum { JOURNAL_PAST_COUNT = 5 };

/* Statements that make an empty database ours. */
extern const char journal_schema[];
/* The views, made again; and a number that is 0 where they are those of before. */
extern const char journal_views[];
#define JOURNAL_VIEWS_NEW "SELECT count(*) FROM pragma_table_info('obligation') WHERE name = 'kind'"
/* Statements that remove events from ?1 to ?2, in order. */
extern const char *const journal_past[];

/* FNV-1a over what a row's body says, begun with its number, so that neither
 * can be another row's. */
static inline int64_t
journal_sum(uint64_t seq, const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t sum = UINT64_C(0xcbf29ce484222325) ^ seq * UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
    return (int64_t)(sum >> 1);
}

#endif
