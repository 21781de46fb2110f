/* SPDX-License-Identifier: MIT */
/* Sagas as people read them. */
#include <string.h>

#include "render.h"
#include "saga.h"

void
render_saga_state(struct text *out, const struct look *look, const char *state)
{
    enum paint paint = PAINT_NONE;

    if (strcmp(state, "completed") == 0 || strcmp(state, "done") == 0)
        paint = PAINT_GOOD;
    else if (strcmp(state, "needs-attention") == 0 || strcmp(state, "failed") == 0)
        paint = PAINT_BAD;
    else if (strcmp(state, "compensating") == 0)
        paint = PAINT_ENDING;
    text_paint(out, look, paint, state);
}

static void
render_step(struct text *out, const struct look *look, const json_t *step)
{
    uint64_t attempts = get_number(step, "attempts", 0);
    uint64_t next = get_number(step, "next_in_ns", UINT64_MAX);
    size_t start = out->size;

    text_addf(out, "  %2llu  ", (unsigned long long)get_number(step, "number", 0));
    render_text(out, look, step, "name");
    text_pad(out, start, 26);
    text_add(out, " ");
    render_saga_state(out, look, get_text(step, "state"));
    text_pad(out, start, 44);
    if (get_text(step, "action")[0] != '\0')
        text_addf(out, " %s", get_text(step, "action"));
    if (attempts > 0)
        text_addf(out, "%sundo %s, attempt %llu", get_text(step, "action")[0] != '\0' ? ", " : " ",
                  get_text(step, "undo"), (unsigned long long)attempts);
    if (next != UINT64_MAX) {
        text_add(out, ", the next in ");
        text_span(out, next);
    }
    text_add(out, "\n");
}

void
render_saga(struct text *out, const struct look *look, const json_t *saga)
{
    const json_t *steps = json_object_get(saga, "steps");

    text_addf(out, "%s ", get_text(saga, "id"));
    render_text(out, look, saga, "name");
    text_add(out, " in ");
    render_text(out, look, saga, "path");
    text_add(out, ": ");
    render_saga_state(out, look, get_text(saga, "state"));
    text_add(out, ", ");
    text_span(out, get_number(saga, "age_ns", 0));
    text_addf(out, ", driven by %s\n", get_text(saga, "driver"));
    for (size_t i = 0; i < json_array_size(steps); i++)
        render_step(out, look, json_array_get(steps, i));
}

static void
saga_row(struct text *cells, const struct look *look, const json_t *saga)
{
    render_text(&cells[0], look, saga, "id");
    render_saga_state(&cells[1], look, get_text(saga, "state"));
    text_span(&cells[2], get_number(saga, "age_ns", 0));
    text_addf(&cells[3], "%llu", (unsigned long long)get_number(saga, "step_count", 0));
    render_text(&cells[4], look, saga, "path");
    render_text(&cells[5], look, saga, "name");
}

void
render_sagas(struct text *out, const struct look *look, const json_t *sagas)
{
    static const char *const titles[] = {"SAGA", "STATE", "AGE", "STEPS", "REGION", "NAME"};

    render_table(out, look, &(struct table){titles, 6, saga_row}, sagas);
}
