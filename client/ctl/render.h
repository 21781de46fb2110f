/* SPDX-License-Identifier: MIT */
/*
 * Answers as people read them. Everything here reads JSON in the shapes of
 * asupersync-protocol(7) (N regions, T tasks, O outcomes, R reasons, E events)
 * and writes text; nothing here knows the daemon. Foreign text is made
 * harmless on the way.
 */
#ifndef ASUPERSYNC_CTL_RENDER_H
#define ASUPERSYNC_CTL_RENDER_H

#include <jansson.h>

#include "text.h"

/* ---- Phrases -------------------------------------------------------------- */

/* "ok", "exit code 3", "SIGSEGV", "cancelled (timeout), killed", ... */
void render_outcome(struct text *out, const struct look *look, const json_t *outcome);
/* "user: Ctrl-C; from parent-cancelled: ..." down to the root cause. */
void render_reason(struct text *out, const struct look *look, const json_t *reason);
/* A state in its colour. */
void render_state(struct text *out, const struct look *look, const char *state);
/* A field that is foreign text. */
void render_text(struct text *out, const struct look *look, const json_t *object, const char *key);
/* ", not ready" behind the state of a task that runs and has yet to say so. */
void render_ready(struct text *out, const struct look *look, const json_t *task);
/* "label" of a task, its id when it has none. */
void render_label(struct text *out, const struct look *look, const json_t *task);

/* ---- Whole answers ----------------------------------------------------------- */

void render_tree(struct text *out, const struct look *look, const json_t *node);
void render_tasks(struct text *out, const struct look *look, const json_t *tasks);
void render_task(struct text *out, const struct look *look, const json_t *task);
void render_region(struct text *out, const struct look *look, const json_t *node);
void render_obligations(struct text *out, const struct look *look, const json_t *list);
void render_leases(struct text *out, const struct look *look, const json_t *list);
void render_why(struct text *out, const struct look *look, const json_t *why);
void render_channels(struct text *out, const struct look *look, const json_t *channels);
void render_channel(struct text *out, const struct look *look, const json_t *channel);
void render_messages(struct text *out, const struct look *look, const json_t *messages);
void render_message(struct text *out, const struct look *look, const json_t *message,
                    const char *data, size_t size);
void render_capability(struct text *out, const struct look *look, const json_t *x);
void render_status(struct text *out, const struct look *look, const json_t *status);
/* One line. */
void render_event(struct text *out, const struct look *look, const json_t *event);

/* One line for each live task and each region that is ending below a node,
 * with the time left; at most `lines_max` lines, then how many more. Returns
 * how many lines were written. */
unsigned
render_draining(struct text *out, const struct look *look, const json_t *node, unsigned lines_max);

/* A list as a table. A row fills a cell for each title; the last is cut, not padded. */
enum { COLUMNS_MAX = 8 };
struct table {
    const char *const *titles;
    size_t columns;
    void (*row)(struct text *cells, const struct look *look, const json_t *item);
};
void
render_table(struct text *out, const struct look *look, const struct table *t, const json_t *list);

#endif
