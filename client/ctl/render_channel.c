/* SPDX-License-Identifier: MIT */
/* Channels, messages and dead letters as people read them. */
#include <string.h>

#include "fields.h"
#include "render.h"

enum { CHANNEL_COLUMNS_MAX = 10 };

/* A table of cells: written twice, the first time to see how wide each column
 * is. The last column is as wide as it is. */
struct columns {
    const char *const *titles;
    size_t count;
    size_t width[CHANNEL_COLUMNS_MAX];
};

static void
columns_row(struct text *out, struct columns *c, struct text *cells, bool write)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t columns = text_columns(cells[i].data, cells[i].size);
        size_t start = out->size;

        if (columns > c->width[i])
            c->width[i] = columns;
        if (write) {
            text_put(out, cells[i].data, cells[i].size);
            if (i + 1 < c->count)
                text_pad(out, start, c->width[i] + 2);
        }
        text_free(&cells[i]);
    }
    if (write)
        text_add(out, "\n");
}

static void
columns_titles(struct text *out, const struct look *look, const struct columns *c)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t start = out->size;

        text_paint(out, look, PAINT_FAINT, c->titles[i]);
        if (i + 1 < c->count)
            text_pad(out, start, c->width[i] + 2);
    }
    text_add(out, "\n");
}

static void
number(struct text *out, const json_t *object, const char *key)
{
    text_addf(out, "%llu", (unsigned long long)get_number(object, key, 0));
}

static void
count_of(struct text *out, const struct look *look, const json_t *object, const char *key,
         enum paint paint)
{
    struct text words = {0};

    number(&words, object, key);
    text_paint(out, look, get_number(object, key, 0) > 0 ? paint : PAINT_NONE, words.data);
    text_free(&words);
}

/* ---- Channels ---------------------------------------------------------------------- */

static void
state_of(struct text *out, const struct look *look, const json_t *object)
{
    const char *state = get_text(object, "state");
    bool ends = strcmp(state, "sealed") == 0 || strcmp(state, "received") == 0;

    text_paint(out, look,
               strcmp(state, "dead") == 0 ? PAINT_BAD
               : ends                     ? PAINT_ENDING
                                          : PAINT_BUSY,
               state);
}

void
render_channels(struct text *out, const struct look *look, const json_t *channels)
{
    static const char *const titles[] = {"ID",      "STATE",    "QUEUED", "UNACKED",
                                         "PERMITS", "CAPACITY", "DEAD",   "PATH"};
    struct columns c = {.titles = titles, .count = sizeof titles / sizeof titles[0]};
    size_t count = json_array_size(channels);

    for (size_t i = 0; i < c.count; i++)
        c.width[i] = strlen(titles[i]);
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            columns_titles(out, look, &c);
        for (size_t i = 0; i < count; i++) {
            const json_t *channel = json_array_get(channels, i);
            struct text cells[CHANNEL_COLUMNS_MAX] = {0};

            text_paint(&cells[0], look, PAINT_STRONG, get_text(channel, "id"));
            state_of(&cells[1], look, channel);
            number(&cells[2], channel, "queued");
            number(&cells[3], channel, "unacked");
            number(&cells[4], channel, "permits");
            number(&cells[5], channel, "capacity");
            count_of(&cells[6], look, channel, "dead", PAINT_BAD);
            render_text(&cells[7], look, channel, "path");
            columns_row(out, &c, cells, pass == 1);
        }
    }
}

static void
key(struct text *out, const struct look *look, const char *title)
{
    size_t start = out->size;
    struct text words = {0};

    text_addf(&words, "%s%s", title, title[0] != '\0' ? ":" : "");
    text_add(out, "  ");
    if (title[0] != '\0')
        text_paint(out, look, PAINT_FAINT, words.data);
    text_pad(out, start, 18);
    text_free(&words);
}

static void
line_count(struct text *out, const struct look *look, const json_t *object, const char *name,
           const char *title)
{
    key(out, look, title);
    number(out, object, name);
    text_add(out, "\n");
}

static void
line_time(struct text *out, const struct look *look, const json_t *object, const char *name,
          const char *title)
{
    uint64_t ns = get_number(object, name, UINT64_MAX);

    if (ns == UINT64_MAX)
        return;
    key(out, look, title);
    text_span(out, ns);
    text_add(out, "\n");
}

void
render_channel(struct text *out, const struct look *look, const json_t *channel)
{
    text_paint(out, look, PAINT_STRONG, get_text(channel, "id"));
    text_add(out, "  ");
    render_text(out, look, channel, "path");
    text_add(out, "\n");
    key(out, look, "state");
    state_of(out, look, channel);
    text_add(out, "\n");
    line_count(out, look, channel, "queued", "queued");
    line_count(out, look, channel, "unacked", "unacked");
    line_count(out, look, channel, "permits", "permits");
    line_count(out, look, channel, "capacity", "capacity");
    key(out, look, "bytes");
    text_bytes(out, get_number(channel, "bytes", 0));
    text_add(out, "\n");
    line_count(out, look, channel, "sent", "sent, ever");
    line_count(out, look, channel, "consumed", "consumed, ever");
    line_count(out, look, channel, "dead", "dead letters");
    line_count(out, look, channel, "senders", "senders wait");
    line_count(out, look, channel, "receivers", "receivers wait");
    line_time(out, look, channel, "ack_timeout_ns", "ack time");
    line_time(out, look, channel, "permit_timeout_ns", "permit time");
    line_count(out, look, channel, "nacks_max", "nacks, most");
    line_count(out, look, channel, "timeouts_max", "timeouts, most");
    line_time(out, look, channel, "dead_retention_ns", "dead kept for");
}

/* ---- Messages ---------------------------------------------------------------------------- */

void
render_messages(struct text *out, const struct look *look, const json_t *messages)
{
    static const char *const titles[] = {"ID",         "CHANNEL", "WHY", "DEAD FOR",
                                         "DELIVERIES", "SIZE",    "NOTE"};
    struct columns c = {.titles = titles, .count = sizeof titles / sizeof titles[0]};
    size_t count = json_array_size(messages);

    for (size_t i = 0; i < c.count; i++)
        c.width[i] = strlen(titles[i]);
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            columns_titles(out, look, &c);
        for (size_t i = 0; i < count; i++) {
            const json_t *m = json_array_get(messages, i);
            struct text cells[CHANNEL_COLUMNS_MAX] = {0};

            text_paint(&cells[0], look, PAINT_STRONG, get_text(m, "id"));
            render_text(&cells[1], look, m, "channel_name");
            text_paint(&cells[2], look, PAINT_BAD, get_text(m, "dead_why"));
            text_span(&cells[3], get_number(m, "dead_age_ns", 0));
            number(&cells[4], m, "deliveries");
            text_bytes(&cells[5], get_number(m, "size", 0));
            render_text(&cells[6], look, m, "note");
            columns_row(out, &c, cells, pass == 1);
        }
    }
}

static void
lines_history(struct text *out, const struct look *look, const json_t *history)
{
    for (size_t i = 0; i < json_array_size(history); i++) {
        const json_t *row = json_array_get(history, i);

        key(out, look, i == 0 ? "history" : "");
        text_addf(out, "%s by ", get_text(row, "why"));
        render_text(out, look, row, "receiver");
        text_add(out, ", ");
        text_span(out, get_number(row, "age_ns", 0));
        text_add(out, " ago\n");
    }
}

void
render_message(struct text *out, const struct look *look, const json_t *m, const char *data,
               size_t size)
{
    text_paint(out, look, PAINT_STRONG, get_text(m, "id"));
    text_add(out, "  ");
    state_of(out, look, m);
    text_add(out, "\n");
    key(out, look, "channel");
    render_text(out, look, m, "channel");
    text_add(out, " ");
    render_text(out, look, m, "channel_name");
    text_add(out, "\n");
    if (get_text(m, "sender")[0] != '\0') {
        key(out, look, "sender");
        render_text(out, look, m, "sender");
        text_add(out, "\n");
    }
    line_time(out, look, m, "age_ns", "age");
    line_count(out, look, m, "deliveries", "deliveries");
    line_count(out, look, m, "nacks", "nacks");
    line_count(out, look, m, "deaths", "deaths");
    line_count(out, look, m, "timeouts", "timeouts");
    if (get_text(m, "note")[0] != '\0') {
        key(out, look, "note");
        render_text(out, look, m, "note");
        text_add(out, "\n");
    }
    if (get_text(m, "dead_why")[0] != '\0') {
        key(out, look, "dead by");
        text_add(out, get_text(m, "dead_why"));
        text_add(out, "\n");
    }
    line_time(out, look, m, "dead_age_ns", "dead for");
    line_time(out, look, m, "dead_left_ns", "forgotten in");
    lines_history(out, look, json_object_get(m, "history"));
    key(out, look, "size");
    text_bytes(out, get_number(m, "size", 0));
    text_add(out, "\n");
    if (size > 0) {
        key(out, look, "data");
        text_safe(out, look, data, size > 1024 ? 1024 : size);
        text_add(out, size > 1024 ? " ...\n" : "\n");
    }
}
