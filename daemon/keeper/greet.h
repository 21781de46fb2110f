/* SPDX-License-Identifier: MIT */
/*
 * The first words to a new engine: HELLO, every region and every row there is,
 * TABLE_END. The rows come in the order of their last changes, with their log
 * pipes; one that changes meanwhile goes to the end of the line. All of it
 * goes out as the engine takes it, so the keeper does nothing else the slower.
 */
#ifndef ASUPERSYNC_KEEPER_GREET_H
#define ASUPERSYNC_KEEPER_GREET_H

#include "daemon/keeper/state.h"

/* HELLO, and the table is lined up. */
void greet_begin(struct keeper *k);

/* Tell more of it, if there is room; in the end TABLE_END, and what the
 * service manager wanted meanwhile. */
void greet_turn(struct keeper *k);

/* What HELLO and RELOAD say about the keeper. */
void greet_fill_hello(struct keeper *k, struct link_message *message);

#endif
