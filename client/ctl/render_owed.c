/* SPDX-License-Identifier: MIT */
/* What is owed, as tables. */
#include <string.h>

#include "fields.h"
#include "render.h"

/* Columns that fit what stands in them: two passes. */
void
render_table(struct text *out, const struct look *look, const struct table *t, const json_t *list)
{
    size_t width[COLUMNS_MAX];

    for (size_t c = 0; c < t->columns; c++)
        width[c] = strlen(t->titles[c]);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t c = 0; pass == 1 && c < t->columns; c++) {
            size_t start = out->size;
            text_paint(out, look, PAINT_FAINT, t->titles[c]);
            if (c + 1 < t->columns)
                text_pad(out, start, width[c] + 2);
        }
        if (pass == 1)
            text_add(out, "\n");
        for (size_t i = 0; i < json_array_size(list); i++) {
            struct text cells[COLUMNS_MAX] = {0};
            size_t line = out->size;
            t->row(cells, look, json_array_get(list, i));
            for (size_t c = 0; c < t->columns; c++) {
                const char *data = cells[c].data != NULL ? cells[c].data : "";
                size_t columns = text_columns(data, cells[c].size);
                size_t start = out->size;
                if (pass == 0 && columns > width[c])
                    width[c] = columns;
                if (pass == 1) {
                    text_put(out, data, cells[c].size);
                    if (c + 1 < t->columns)
                        text_pad(out, start, width[c] + 2);
                }
                text_free(&cells[c]);
            }
            if (pass == 1) {
                text_cut(out, line, look);
                text_add(out, "\n");
            }
        }
    }
}

enum { HOLDER_SHOWN = 32 }; /* bytes of its label */

static void
put_holder(struct text *cell, const struct look *look, const json_t *item)
{
    render_text(cell, look, item, "holder");
    if (get_text(item, "holder_label")[0] != '\0') {
        const char *label = get_text(item, "holder_label");
        size_t size = strlen(label);

        text_add(cell, " ");
        text_safe(cell, look, label, size > HOLDER_SHOWN ? HOLDER_SHOWN : size);
        if (size > HOLDER_SHOWN)
            text_add(cell, "...");
    }
}

static void
put_left(struct text *cell, const json_t *item)
{
    uint64_t left = get_number(item, "left_ns", UINT64_MAX);

    if (left != UINT64_MAX)
        text_span(cell, left);
}

static void
obligation_row(struct text *cells, const struct look *look, const json_t *item)
{
    text_paint(&cells[0], look, PAINT_STRONG, get_text(item, "id"));
    render_text(&cells[1], look, item, "kind");
    render_text(&cells[2], look, item, "path");
    text_span(&cells[3], get_number(item, "age_ns", 0));
    put_left(&cells[4], item);
    put_holder(&cells[5], look, item);
    render_text(&cells[6], look, item, "name");
}

void
render_obligations(struct text *out, const struct look *look, const json_t *list)
{
    static const char *const titles[] = {"ID", "KIND", "REGION", "AGE", "LEFT", "HOLDER", "NAME"};

    render_table(out, look, &(struct table){titles, 7, obligation_row}, list);
}

static void
lease_row(struct text *cells, const struct look *look, const json_t *item)
{
    uint64_t waiters = get_number(item, "waiters", 0);

    render_text(&cells[0], look, item, "name");
    render_text(&cells[1], look, item, "path");
    render_state(&cells[2], look, get_text(item, "state"));
    text_addf(&cells[3], "%llu", (unsigned long long)get_number(item, "token", 0));
    put_left(&cells[4], item);
    if (waiters > 0)
        text_addf(&cells[5], "%llu", (unsigned long long)waiters);
    render_text(&cells[6], look, item, "obligation");
    put_holder(&cells[7], look, item);
}

void
render_leases(struct text *out, const struct look *look, const json_t *list)
{
    static const char *const titles[] = {"NAME", "REGION",  "STATE", "TOKEN",
                                         "LEFT", "WAITING", "ID",    "HOLDER"};

    render_table(out, look, &(struct table){titles, 8, lease_row}, list);
}
