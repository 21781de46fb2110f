/* SPDX-License-Identifier: MIT */
#ifndef ASUPERSYNC_DAEMON_ASIDE_H
#define ASUPERSYNC_DAEMON_ASIDE_H

/* asupersyncd --set-journal-aside: rename STATE/journal.db and what belongs to
 * it, so that the next start begins a new one. Says on standard output what it
 * did. Returns an exit status: 0; 73 when a daemon runs there, or nothing could
 * be renamed. */
int aside_journal(const char *runtime_dir, const char *state_dir);

#endif
