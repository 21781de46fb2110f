/* SPDX-License-Identifier: MIT */
/* Going to the background, as a daemon that nobody supervises does. */
#ifndef ASUPERSYNC_DAEMON_BACKGROUND_H
#define ASUPERSYNC_DAEMON_BACKGROUND_H

/* A child in a session of its own, and a child of that, so that it never gets
 * a terminal; its log is STATE/daemon.log. Returns in the daemon, with the
 * descriptor that says "ready" when a byte is written to it. The caller's
 * process ends with 0 then; or with the daemon's own exit status, after
 * saying what the log says, if the start fails. */
int background_go(const char *state_dir);

#endif
