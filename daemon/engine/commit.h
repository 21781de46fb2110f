/* SPDX-License-Identifier: MIT */
/*
 * The engine's side of the journal: which events go there, when they are handed
 * over, when a snapshot is due, and what follows when the disk fails or works
 * again (journal.h, output.h).
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_COMMIT_H
#define ASUPERSYNC_DAEMON_ENGINE_COMMIT_H

#include "daemon/engine/state.h"

/* The events of one step, before anything comes of them; `wall` is when it was,
 * in Unix time. */
void commit_events(struct engine *e, const struct step *step, uint64_t wall);
/* The loop is about to sleep: hand over what was gathered. */
void commit_turn(struct engine *e);
/* struct journal_callbacks */
void commit_changed(void *engine);
/* The kernel's whole state in memory from malloc; NULL: none left. */
char *commit_snapshot(struct engine *e, size_t *size_out);

#endif
