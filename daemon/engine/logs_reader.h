/* SPDX-License-Identifier: MIT */
/* task.logs: the loop's half of reading what the log thread keeps (op_logs.c). */
#ifndef ASUPERSYNC_DAEMON_ENGINE_LOGS_READER_H
#define ASUPERSYNC_DAEMON_ENGINE_LOGS_READER_H

#include "daemon/engine/state.h"

/* Ask the log thread for what a held task.logs waits for. */
void logs_reader_ask(struct parked *p);
/* struct logs_callbacks */
void logs_reader_chunk(void *engine, const struct logs_chunk *chunk);
void logs_reader_changed(void *engine, uint64_t task);
void logs_reader_lost(void *engine, uint64_t task, uint64_t bytes);

#endif
