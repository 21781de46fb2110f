/* SPDX-License-Identifier: MIT */
/*
 * The engine's end of the link (daemon/link.h): rows become facts, each fact
 * fed to the kernel exactly once and in order; orders go out. When the link
 * ends, the keeper is gone: everything it started is killed and the engine
 * exits at once.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_KEEPER_LINK_H
#define ASUPERSYNC_DAEMON_ENGINE_KEEPER_LINK_H

#include "daemon/engine/state.h"

/* Read LINK_HELLO (waits for it, a few seconds at most), then watch the link.
 * False after reporting why not. */
bool keeper_open(struct engine *e);
void keeper_close(struct engine *e);
/* Send one message; `fd` (or -1) is lent. False: no memory or no keeper. */
bool keeper_send(struct engine *e, struct link_message *m, int fd);
/* A message without a payload, or with a task. */
void keeper_say(struct engine *e, enum link_kind kind);
void keeper_say_task(struct engine *e, enum link_kind kind, uint64_t task);
/* STATUS= with live counts, when they changed. */
void keeper_status(struct engine *e);
/* Ids of the regions from below "/" down to this one; returns how many. */
uint32_t keeper_path(const struct engine *e, uint64_t region, uint64_t path[LINK_PATH_MAX]);
/* Everything that is queued, before the engine exits. */
void keeper_flush(struct engine *e);

/* One message, waited for; for the table only. 0 or -errno. */
int keeper_receive(struct engine *e, int timeout_ms, struct link_message *m, int *fd_out);
/* Before the loop turns: a heartbeat when one is due. To be called often in
 * what takes long, or the keeper takes the engine for dead. */
void keeper_alive(struct engine *e);
/* A row came, with its log pipe (or -1), which is taken. */
void keeper_take_row(struct engine *e, const struct link_row *row, int fd_take);

/* A task was ordered to start: its rows are expected. False: no memory. */
bool keeper_expect(struct engine *e, uint64_t task);
bool keeper_expects(const struct engine *e, uint64_t task);
/* Its row may go; true when it was expected. */
bool keeper_forget(struct engine *e, uint64_t task);
/* The cancel signal for a task whose rows are expected. One that there is no
 * memory to send is owed with its row, so it needs none, and sent by
 * keeper_send_owed, as soon as the link has room or a second later. */
void keeper_signal(struct engine *e, uint64_t task, int32_t signal);
void keeper_send_owed(struct engine *e);

#endif
