/* SPDX-License-Identifier: MIT */
/* What the database looks like: asupersync-journal(5) describes all of it. */
#include "daemon/engine/journal_schema.h"

#include "asupersync/types.h"

/* Columns that `event` and `past` share. */
#define COLUMNS                                                                                    \
    "seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL, "                  \
    "kind TEXT NOT NULL, uid INTEGER NOT NULL, region INTEGER, task INTEGER, session INTEGER, "    \
    "subject INTEGER, value INTEGER, holder TEXT, outcome TEXT, exit_code INTEGER, "               \
    "signal INTEGER, stage TEXT, text TEXT"
#define NAMES                                                                                      \
    "seq, at_ns, wall_ns, kind, uid, region, task, session, subject, value, holder, outcome, "     \
    "exit_code, signal, stage, text"

/* All that is readable of what is still known, with or without a body. */
#define KNOWN "(SELECT " NAMES " FROM past UNION ALL SELECT " NAMES " FROM event)"

/* WHEN 1 THEN 'ack' ... */
#define KIND_WORD(name, number, wire) " WHEN " #number " THEN '" wire "'"
#define KINDS ASUP_OBLIGATION_KIND_LIST(KIND_WORD)

const char journal_schema[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE event (" COLUMNS ", sum INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"
    "CREATE TABLE past (" COLUMNS ") STRICT;"
    "CREATE INDEX past_region ON past (region);"
    "CREATE INDEX past_task ON past (task) WHERE task IS NOT NULL;"
    "CREATE INDEX past_subject ON past (subject) WHERE subject IS NOT NULL;"
    "CREATE TABLE snapshot (seq INTEGER NOT NULL, part INTEGER NOT NULL, "
    "at_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL, last INTEGER NOT NULL, sum INTEGER NOT "
    "NULL, body BLOB NOT NULL, "
    "UNIQUE (seq, part)) STRICT;";

const char journal_views[] =
    "DROP VIEW IF EXISTS region; DROP VIEW IF EXISTS task;"
    "DROP VIEW IF EXISTS obligation; DROP VIEW IF EXISTS outcome;"

    "CREATE VIEW region AS SELECT 'r' || region AS id,"
    " max(CASE kind WHEN 'region-opened' THEN 'r' || value END) AS parent,"
    " max(CASE kind WHEN 'region-opened' THEN text END) AS name,"
    " max(uid) AS uid,"
    " CASE WHEN max(kind = 'region-closed') THEN 'closed'"
    "  WHEN max(kind = 'region-finalizing') THEN 'finalizing'"
    "  WHEN max(kind = 'region-draining') THEN 'draining'"
    "  WHEN max(kind IN ('region-sealed', 'region-cancel-requested')) THEN 'closing'"
    "  ELSE 'open' END AS state,"
    " datetime(max(CASE kind WHEN 'region-opened' THEN wall_ns END) / 1000000000, 'unixepoch')"
    "  AS opened,"
    " datetime(max(CASE kind WHEN 'region-closed' THEN wall_ns END) / 1000000000, 'unixepoch')"
    "  AS closed,"
    " max(CASE kind WHEN 'region-closed' THEN outcome END) AS outcome"
    " FROM " KNOWN " WHERE kind GLOB 'region-*' AND region IS NOT NULL GROUP BY region"
    " HAVING NOT max(kind = 'region-forgotten');"

    "CREATE VIEW task AS SELECT 't' || task AS id, 'r' || max(region) AS region,"
    " max(CASE WHEN kind IN ('task-created', 'finalizer-registered') THEN text"
    "  WHEN kind = 'saga-step-undoing' THEN 'undo ' || text END) AS label,"
    " max(uid) AS uid,"
    " max(kind IN ('finalizer-registered', 'saga-step-undoing')) AS finalizer,"
    " CASE WHEN max(kind = 'task-completed') THEN 'completed'"
    "  WHEN max(kind = 'task-main-ended') THEN 'finalizing'"
    "  WHEN max(kind = 'task-cancel-requested') THEN 'cancelling'"
    "  WHEN max(kind IN ('task-started', 'call-started')) THEN 'running'"
    "  WHEN max(kind IN ('task-start-ordered', 'call-taken')) THEN 'starting'"
    "  ELSE 'created' END AS state,"
    " max(CASE kind WHEN 'task-started' THEN value END) AS pid,"
    " datetime(min(wall_ns) / 1000000000, 'unixepoch') AS created,"
    " datetime(max(CASE kind WHEN 'task-completed' THEN wall_ns END) / 1000000000, 'unixepoch')"
    "  AS ended,"
    " max(CASE kind WHEN 'task-completed' THEN outcome END) AS outcome"
    " FROM " KNOWN " WHERE task IS NOT NULL AND (kind GLOB 'task-*' OR kind GLOB 'call-*'"
    "  OR kind GLOB 'finalizer-*' OR kind = 'saga-step-undoing') GROUP BY task HAVING NOT max(kind "
    "= 'task-forgotten');"

    "CREATE VIEW obligation AS SELECT 'o' || subject AS id, 'r' || max(region) AS region,"
    " max(uid) AS uid,"
    " CASE max(CASE kind WHEN 'obligation-reserved' THEN value END)" KINDS " END AS kind,"
    " max(CASE kind WHEN 'obligation-reserved' THEN text END) AS name,"
    " max(CASE WHEN kind IN ('obligation-reserved', 'obligation-transferred') THEN holder END)"
    "  AS holder,"
    " CASE WHEN max(kind = 'obligation-committed') THEN 'committed'"
    "  WHEN max(kind = 'obligation-aborted') THEN 'aborted'"
    "  WHEN max(kind = 'obligation-leaked') THEN 'leaked' ELSE 'reserved' END AS state,"
    " datetime(min(wall_ns) / 1000000000, 'unixepoch') AS reserved,"
    " datetime(max(CASE WHEN kind IN ('obligation-committed', 'obligation-aborted',"
    "  'obligation-leaked') THEN wall_ns END) / 1000000000, 'unixepoch') AS resolved"
    " FROM " KNOWN " WHERE kind GLOB 'obligation-*' AND subject IS NOT NULL GROUP BY subject;"

    "CREATE VIEW outcome AS SELECT CASE WHEN kind = 'task-completed' THEN 't' || task"
    "  ELSE 'r' || region END AS id, uid, outcome, exit_code, signal, stage,"
    " datetime(wall_ns / 1000000000, 'unixepoch') AS at"
    " FROM " KNOWN " WHERE kind IN ('task-completed', 'region-closed');";

/* What is kept of the events from ?1 to ?2 when they are removed: those that
 * the views need, of what is not forgotten or resolved by then. */
const char *const journal_past[] = {
    "INSERT OR IGNORE INTO past SELECT " NAMES " FROM event WHERE seq BETWEEN ?1 AND ?2 AND ("
    " kind IN ('region-opened', 'region-sealed', 'region-cancel-requested', 'region-draining',"
    " 'region-finalizing', 'region-closed', 'task-created', 'finalizer-registered',"
    " 'task-start-ordered', 'call-taken', 'task-started', 'call-started',"
    " 'task-cancel-requested', 'task-main-ended', 'task-completed', 'obligation-reserved',"
    " 'obligation-transferred', 'saga-step-undoing'))",
    "DELETE FROM past WHERE task IN (SELECT task FROM event WHERE seq BETWEEN ?1 AND ?2"
    " AND kind = 'task-forgotten')",
    "DELETE FROM past WHERE region IN (SELECT region FROM event WHERE seq BETWEEN ?1 AND ?2"
    " AND kind = 'region-forgotten') AND kind GLOB 'region-*'",
    "DELETE FROM past WHERE kind IN ('obligation-reserved', 'obligation-transferred')"
    " AND subject IN (SELECT subject FROM event WHERE seq BETWEEN ?1 AND ?2"
    " AND kind IN ('obligation-committed', 'obligation-aborted', 'obligation-leaked'))",
    "DELETE FROM event WHERE seq BETWEEN ?1 AND ?2",
};

static_assert(sizeof journal_past / sizeof journal_past[0] == JOURNAL_PAST_COUNT,
              "one statement each");
