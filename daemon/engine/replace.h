/* SPDX-License-Identifier: MIT */
/*
 * An upgrade in place: this engine goes, and the keeper starts the program's
 * file as it is now. Nothing is lost by it that would not be lost by a crash,
 * which is nothing; but an engine that cannot start leaves the daemon without
 * one, so the new program is asked first: does its module load, does it speak
 * the keeper's link version, does it understand the configuration?
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_REPLACE_H
#define ASUPERSYNC_DAEMON_ENGINE_REPLACE_H

#include "daemon/engine/state.h"

/* Ask it, which takes a fraction of a second, or REPLACE_PATIENCE_MS if its disk
 * hangs. True, or false with the reason in text. */
bool replace_check(struct engine *e, char *text, size_t size);
/* What has been done so far is still written down and answered. */
void replace_begin(struct engine *e);
/* Before every sleep: once that is done, the loop ends, and with it the engine. */
void replace_turn(struct engine *e);

#endif
