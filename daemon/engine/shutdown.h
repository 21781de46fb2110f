/* SPDX-License-Identifier: MIT */
/* Draining and shutting down: how the engine's own end begins (op_daemon.c
 * asks for it, the keeper's LINK_SHUTDOWN does, and "/" closing completes
 * it). */
#ifndef ASUPERSYNC_DAEMON_ENGINE_SHUTDOWN_H
#define ASUPERSYNC_DAEMON_ENGINE_SHUTDOWN_H

#include "daemon/engine/state.h"

/* SIGTERM or SIGINT came for the count-th time. */
void shutdown_asked(struct engine *e, uint32_t count);
/* Before the loop turns: the engine before this one had been told so many of
 * them, and the kernel knows whether it had come to know of any. */
void shutdown_resume(struct engine *e, uint32_t count);
/* A structured shutdown has begun: tell the service manager. */
void shutdown_begun(struct engine *e);
/* Once a second meanwhile: ask the service manager for the time that it
 * takes. */
void shutdown_extend(struct engine *e);
/* A disk that fails must not keep a daemon from being stopped: what is not on
 * disk was told to nobody, and the next start goes on from there. The exit
 * status is 74, which ends the keeper as well. Once a second. */
void shutdown_give_up(struct engine *e);
/* FX_QUIESCENT: "/" is closed. */
void shutdown_complete(struct engine *e);

#endif
