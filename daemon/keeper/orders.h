/* SPDX-License-Identifier: MIT */
/* What the engine asks for, one packet at a time. Every field is checked: an
 * engine that was taken over gains nothing beyond the run-as rules. */
#ifndef ASUPERSYNC_KEEPER_ORDERS_H
#define ASUPERSYNC_KEEPER_ORDERS_H

#include "daemon/keeper/state.h"

/* Carry out one order; its descriptor is taken. With `alive` false the engine
 * is dead already: nothing new is begun. */
void orders_take(struct keeper *k, const struct link_message *message, int fd_take, bool alive);

#endif
