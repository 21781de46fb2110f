/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "render.h"

#define LIVE_LINES_MAX 10

void
progress_begin(struct progress *p, struct ctl *ctl)
{
    *p = (struct progress){.ctl = ctl,
                           .shown = !ctl->quiet && !ctl->json,
                           .live = isatty(STDERR_FILENO) && ctl->err.width > 0,
                           .seen = json_object(),
                           .began_ns = now_steady_ns()};
}

int64_t
progress_step_ms(const struct progress *p)
{
    return p->live ? 200 : 500;
}

static void
progress_clear(struct progress *p, struct text *out)
{
    if (p->lines > 0)
        text_addf(out, "\033[%uA\033[J", p->lines);
    p->lines = 0;
}

static void
flush(struct text *out)
{
    if (out->size > 0)
        fwrite(out->data, 1, out->size, stderr);
    fflush(stderr);
    text_free(out);
}

static void
show_live(struct progress *p, const json_t *node)
{
    const struct look *look = &p->ctl->err;
    struct text out = {0};

    progress_clear(p, &out);
    size_t start = out.size;
    render_text(&out, look, node, "path");
    text_add(&out, " ");
    render_state(&out, look, get_text(node, "state"));
    text_add(&out, " for ");
    text_span(&out, now_steady_ns() - p->began_ns);
    text_add(&out, ", waiting for");
    text_cut(&out, start, look);
    text_add(&out, "\n");
    p->lines = 1 + render_draining(&out, look, node, LIVE_LINES_MAX);
    flush(&out);
}

/* One line, as render_draining() has it, for one node or task alone. */
static void
tell(struct progress *p, struct text *out, json_t *item, bool task)
{
    const char *id = get_text(item, "id");
    const char *state = get_text(item, "state");

    if (strcmp(get_text(json_object_get(p->seen, id), "state"), state) == 0)
        return;
    json_object_set_new(p->seen, id, json_pack("{s:s}", "state", state));
    json_t *alone = task ? json_pack("{s:[O]}", "tasks", item) : json_copy(item);
    if (!task) {
        json_object_del(alone, "tasks");
        json_object_del(alone, "children");
    }
    (void)render_draining(out, &p->ctl->err, alone, 1);
    json_decref(alone);
}

static void
tell_changes(struct progress *p, struct text *out, json_t *node)
{
    const json_t *tasks = json_object_get(node, "tasks");
    const json_t *children = json_object_get(node, "children");

    if (strcmp(get_text(node, "state"), "open") != 0)
        tell(p, out, node, false);
    for (size_t i = 0; i < json_array_size(tasks); i++)
        tell(p, out, json_array_get(tasks, i), true);
    for (size_t i = 0; i < json_array_size(children); i++)
        tell_changes(p, out, json_array_get(children, i));
}

void
progress_show(struct progress *p, json_t *node)
{
    struct text out = {0};

    if (!p->shown)
        return;
    if (p->live) {
        show_live(p, node);
        return;
    }
    tell_changes(p, &out, node);
    flush(&out);
}

void
progress_end(struct progress *p)
{
    struct text out = {0};

    progress_clear(p, &out);
    flush(&out);
    json_decref(p->seen);
    p->seen = NULL;
}
