/* SPDX-License-Identifier: MIT */
#ifndef ASUPERSYNC_DAEMON_ENGINE_EFFECTS_H
#define ASUPERSYNC_DAEMON_ENGINE_EFFECTS_H

#include "daemon/engine/state.h"

/* Carry out an order of the kernel now (output.h says when). */
void effect_execute(struct engine *e, const struct effect *fx);

#endif
