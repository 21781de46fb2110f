/* SPDX-License-Identifier: MIT */
/*
 * What is still draining, while somebody waits for it: redrawn in place on a
 * terminal, a line for every change of state elsewhere, nothing with --quiet
 * or --json.
 */
#ifndef ASUPERSYNC_CTL_PROGRESS_H
#define ASUPERSYNC_CTL_PROGRESS_H

#include "ctl.h"

struct progress {
    struct ctl *ctl;
    bool shown;     /* at all */
    bool live;      /* in place */
    unsigned lines; /* on the screen now */
    json_t *seen;   /* id -> state last told */
    uint64_t began_ns;
};

void progress_begin(struct progress *p, struct ctl *ctl);
/* Show the tree of what is waited for. */
void progress_show(struct progress *p, json_t *node);
/* Take the display away. */
void progress_end(struct progress *p);
/* How long to wait before showing again. */
int64_t progress_step_ms(const struct progress *p);

#endif
