/* SPDX-License-Identifier: MIT */
/* Taking a changed asupersyncd.yaml over while running. */
#ifndef ASUPERSYNC_DAEMON_ENGINE_RELOAD_H
#define ASUPERSYNC_DAEMON_ENGINE_RELOAD_H

#include "daemon/engine/state.h"

/* All of it or nothing: with an error the old configuration stays, and every
 * error is reported. Returns how many there were. */
int reload_configuration(struct engine *e);
/* Report each line of the errors that config_load wrote. */
void report_lines(char *text);
/* What the server's options are under a configuration. */
struct server_options server_options_of(const struct engine *e, const struct config *config);

#endif
