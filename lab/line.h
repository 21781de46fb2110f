/* SPDX-License-Identifier: MIT */
/* Lines of a timeline. */
#ifndef ASUPERSYNC_LAB_LINE_H
#define ASUPERSYNC_LAB_LINE_H

#include <jansson.h>

#include "client/ctl/text.h"
#include "lab/recording.h"

struct timeline {
    struct look look;
    asup_time base;      /* what is shown as 0 */
    uint64_t wall_base;  /* Unix time of kernel time 0: shown instead; 0: not */
    unsigned decimals;   /* 6 or 9 */
    unsigned time_width; /* columns of the seconds */
    unsigned seq_width;
};

void timeline_begin(struct timeline *t, const struct recording *r, const struct look *look);
/* An event as view_event() tells it. */
void
timeline_event(struct text *out, const struct timeline *t, const json_t *event, unsigned depth);
void timeline_text(struct text *out, const struct timeline *t, const struct recording_text *text,
                   const struct kernel *k);
/* "+1.5s": an instant, as the timeline shows it. */
void timeline_instant(struct text *out, const struct timeline *t, asup_time at);

#endif
