/* SPDX-License-Identifier: MIT */
/* What the verb saga is made of: its file runs in saga_run.c, its answers are
 * shown by render_saga.c, the rest is in verb_saga.c. */
#ifndef ASUPERSYNC_CTL_SAGA_H
#define ASUPERSYNC_CTL_SAGA_H

#include "ctl.h"

/* The saga could not be undone and needs attention: neither done nor undone. */
#define EXIT_NEEDS_ATTENTION 70

int saga_run(struct ctl *ctl, const char *path);

/* The exit code that the end of a saga has by its state; -1: by its actions. */
int saga_exit_code(const json_t *saga);

void render_saga(struct text *out, const struct look *look, const json_t *saga);
void render_sagas(struct text *out, const struct look *look, const json_t *sagas);
void render_saga_state(struct text *out, const struct look *look, const char *state);

#endif
