/* SPDX-License-Identifier: MIT */
/* What the engine asks for, one packet at a time. Every field is checked: an
 * engine that was taken over gains nothing beyond the run-as rules. */
#ifndef ASUPERSYNC_KEEPER_ORDERS_H
#define ASUPERSYNC_KEEPER_ORDERS_H

#include "daemon/keeper/state.h"

/* Carry out one order; its descriptor is taken. With `alive` false the engine
 * that sent it is dead already: it does not become ready any more. */
void orders_take(struct keeper *k, const struct link_message *message, int fd_take, bool alive);

#endif
