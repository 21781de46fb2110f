/* SPDX-License-Identifier: MIT */
/*
 * Verbs that read something as it comes: logs and events.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asupersync/values.h"

#include "ctl.h"
#include "filter.h"
#include "render.h"
#include "request.h"
#include "target.h"
#include "wire_json.h"

#define LOG_PIECE_MAX ((uint64_t)256 * 1024)

static int
connect_to_read(struct ctl *ctl)
{
    struct asup_client_options how;

    ctl_client_options(ctl, &how);
    how.without_session = true;
    return ctl_connect(ctl, &how);
}

/* ---- logs ------------------------------------------------------------------------- */

struct log_source {
    struct asup_task task;
    char id[ASUP_REF_TEXT_SIZE];
    uint64_t offset;
    uint64_t lost;
    bool ended;
    bool line_open; /* the last byte printed was no line end */
    struct filter filter;
    struct text pending; /* JSON: bytes that end inside a character */
};

struct logs {
    struct ctl *ctl;
    struct log_source *items;
    size_t count;
    bool many;               /* lines start with the id */
    bool filtered;           /* a terminal reads this */
    struct log_source *last; /* who printed last */
};

static void
log_print_json(struct logs *logs, struct log_source *source, const char *bytes, size_t size,
               bool end)
{
    bool bad;

    text_put(&source->pending, bytes, size);
    size_t good = utf8_valid(source->pending.data, source->pending.size, &bad);
    size_t take = bad || end ? source->pending.size : good;
    if (take == 0 && !end)
        return;
    json_t *piece =
        json_pack("{s:s, s:o, s:b, s:I}", "task", source->id, "data",
                  json_text(source->pending.data != NULL ? source->pending.data : "", take), "end",
                  end, "lost_bytes", (json_int_t)source->lost);
    /* Where text cannot say it all, the bytes stand beside it. */
    if (good < take) {
        char *letters = base64_encode(source->pending.data, take);
        json_object_set_new(piece, "data_base64", json_string(letters));
        free(letters);
    }
    ctl_print_json(logs->ctl, piece);
    memmove(source->pending.data, source->pending.data + take, source->pending.size - take + 1);
    source->pending.size -= take;
}

/* Put the id before every line. A line that another source broke into goes on
 * as a new one. */
static void
log_add_lines(struct logs *logs, struct log_source *source, struct text *out, const char *bytes,
              size_t size)
{
    size_t at = 0;

    if (size > 0 && logs->last != source) {
        if (logs->last != NULL && logs->last->line_open) {
            text_add(out, "\n");
            logs->last->line_open = false;
        }
        source->line_open = false;
        logs->last = source;
    }
    while (at < size) {
        if (!source->line_open) {
            text_paint(out, &logs->ctl->out, PAINT_FAINT, source->id);
            text_add(out, logs->ctl->out.utf8 ? " \xe2\x94\x82 " : " | ");
        }
        const char *line_end = memchr(bytes + at, '\n', size - at);
        size_t line = line_end != NULL ? (size_t)(line_end - (bytes + at)) + 1 : size - at;
        text_put(out, bytes + at, line);
        source->line_open = line_end == NULL;
        at += line;
    }
}

static void
log_print(struct logs *logs, struct log_source *source, const char *bytes, size_t size, bool end)
{
    struct text clean = {0};
    struct text out = {0};

    if (logs->ctl->json) {
        log_print_json(logs, source, bytes, size, end);
        return;
    }
    if (logs->filtered) {
        filter_feed(&source->filter, &clean, bytes, size, end);
        bytes = clean.data;
        size = clean.size;
    }
    if (logs->many)
        log_add_lines(logs, source, &out, bytes, size);
    else
        text_put(&out, bytes, size);
    text_free(&clean);
    ctl_print(&out);
}

/* Read what there is, up to the timeout. Returns 0 or an exit code; *fresh
 * tells whether anything came. */
static int
log_read(struct logs *logs, struct log_source *source, int64_t timeout_ms, bool *fresh)
{
    struct asup_error_info error;
    struct asup_log_chunk chunk;
    int rc = asup_client_task_logs(logs->ctl->client, source->task, source->offset, LOG_PIECE_MAX,
                                   timeout_ms, &chunk, &error);

    if (rc == -ASUP_ETIMEDOUT)
        return 0;
    error.code = rc;
    if (rc != 0)
        return ctl_fail(logs->ctl, &error);
    *fresh = chunk.size > 0 || chunk.end;
    if (chunk.lost > source->lost)
        ctl_remark(logs->ctl, "%s: %llu bytes of output could not be kept", source->id,
                   (unsigned long long)chunk.lost);
    source->lost = chunk.lost;
    source->offset = chunk.next_offset;
    source->ended = chunk.end;
    if (chunk.size > 0 || chunk.end)
        log_print(logs, source, (const char *)chunk.data, chunk.size, chunk.end);
    asup_log_chunk_fini(&chunk);
    return 0;
}

static struct log_source *
log_add(struct logs *logs, const char *id, uint64_t offset)
{
    struct asup_ref ref;

    if (asup_ref_parse(id, strlen(id), &ref) != 0)
        return NULL;
    for (size_t i = 0; i < logs->count; i++) {
        if (logs->items[i].task.id == ref.id)
            return &logs->items[i];
    }
    size_t last = logs->last != NULL ? (size_t)(logs->last - logs->items) : 0;
    logs->items = must_alloc(logs->items, (logs->count + 1) * sizeof *logs->items);
    if (logs->last != NULL)
        logs->last = &logs->items[last];
    struct log_source *source = &logs->items[logs->count++];
    *source =
        (struct log_source){.task = {ref.id}, .offset = offset, .filter = {.look = logs->ctl->out}};
    snprintf(source->id, sizeof source->id, "%s", id);
    return source;
}

/* Add every task of a region, ended ones included. */
static int
log_add_region(struct logs *logs, const char *region, uint64_t offset)
{
    char after[ASUP_REF_TEXT_SIZE] = "";
    bool more = true;

    while (more) {
        json_t *page = NULL;
        json_t *args = json_pack("{s:b, s:b}", "recursive", 1, "all", 1);
        json_object_set_new(args, "region", json_string_nocheck(region));
        if (after[0] != '\0')
            json_object_set_new(args, "after", json_string(after));
        int rc = ctl_ask(logs->ctl, "task.list", args, &page);
        if (rc != 0)
            return rc;
        json_t *tasks = json_object_get(page, "tasks");
        for (size_t i = 0; i < json_array_size(tasks); i++) {
            const char *id = get_text(json_array_get(tasks, i), "id");
            (void)log_add(logs, id, offset);
            snprintf(after, sizeof after, "%s", id);
        }
        more = get_true(page, "more") && json_array_size(tasks) > 0;
        json_decref(page);
    }
    return 0;
}

/* Whether the region is closed, so that no further task comes. */
static bool
region_over(struct logs *logs, const char *region)
{
    struct asup_error_info error;
    json_t *body = NULL;
    json_t *args = json_object();

    json_object_set_new(args, "region", json_string_nocheck(region));
    if (ctl_call(logs->ctl, "region.stat", args, -1, &body, &error) != 0)
        return true;
    bool over = strcmp(get_text(body, "state"), "closed") == 0;
    json_decref(body);
    return over;
}

/* Add what the operands name. `*open` tells whether more tasks may come. */
static int
log_add_operands(struct logs *logs, uint64_t offset, bool *open)
{
    *open = false;
    for (int i = 0; i < logs->ctl->args.operand_count; i++) {
        const char *operand = logs->ctl->args.operands[i];
        if (target_of(operand) == TARGET_TASK) {
            (void)log_add(logs, operand, offset);
            continue;
        }
        logs->many = true;
        /* First the state: what is admitted afterwards is listed afterwards. */
        bool over = region_over(logs, operand);
        int rc = log_add_region(logs, operand, offset);
        if (rc != 0)
            return rc;
        *open = *open || !over;
    }
    logs->many = logs->many || logs->count > 1;
    return 0;
}

/* Go round all sources; one that has something is read to its end first. */
static int
logs_read(struct logs *logs, bool follow, uint64_t offset, bool open)
{
    for (;;) {
        bool any = false;
        bool all_ended = true;
        for (size_t i = 0; i < logs->count; i++) {
            bool fresh = true;
            while (fresh && !logs->items[i].ended) {
                fresh = false;
                int rc = log_read(logs, &logs->items[i], 0, &fresh);
                if (rc != 0)
                    return rc;
                any = any || fresh;
            }
            all_ended = all_ended && logs->items[i].ended;
        }
        if (!follow || (all_ended && !open))
            return 0;
        if (any)
            continue;
        /* Nothing new anywhere: wait at one of them, not long when there are
         * others. */
        struct log_source *at = NULL;
        for (size_t i = 0; i < logs->count && at == NULL; i++)
            at = logs->items[i].ended ? NULL : &logs->items[i];
        bool fresh = false;
        bool alone = logs->count == 1 && !open;
        int rc = 0;
        if (at != NULL)
            rc = log_read(logs, at, alone ? 60000 : 200, &fresh);
        else
            usleep(200000);
        if (rc == 0 && open)
            rc = log_add_operands(logs, offset, &open);
        if (rc != 0)
            return rc;
    }
}

int
verb_logs(struct ctl *ctl)
{
    struct logs logs = {.ctl = ctl};
    const char *from = args_value(&ctl->args, OPTION_OFFSET);
    uint64_t offset = 0;
    bool open;
    int rc = targets_check(ctl, true, true, false);

    if (rc == 0 && from != NULL && !parse_number(from, 0, INT64_MAX, &offset))
        rc = ctl_bad_value(ctl, OPTION_OFFSET, from, "a number of bytes");
    if (rc == 0)
        rc = connect_to_read(ctl);
    if (rc != 0)
        return rc;
    ctl->stream = true;
    logs.filtered = isatty(STDOUT_FILENO) && !args_have(&ctl->args, OPTION_RAW);
    rc = log_add_operands(&logs, offset, &open);
    if (rc == 0)
        rc = logs_read(&logs, args_have(&ctl->args, OPTION_FOLLOW), offset, open);
    for (size_t i = 0; i < logs.count; i++)
        text_free(&logs.items[i].pending);
    free(logs.items);
    return rc;
}

/* ---- events --------------------------------------------------------------------------- */

/* The newest events may be past the window; go on from the oldest kept. */
static int
events_gap(struct ctl *ctl, const struct asup_error_info *error, uint64_t *since)
{
    if (!args_have(&ctl->args, OPTION_FOLLOW))
        return ctl_fail(ctl, error);
    if (ctl->json)
        ctl_print_json(ctl, json_pack("{s:{s:I}}", "gap", "oldest", (json_int_t)error->oldest));
    else
        ctl_remark(ctl, "events are missing: the oldest kept is %llu",
                   (unsigned long long)error->oldest);
    *since = error->oldest;
    return 0;
}

/* Print a page. Returns how many events it held. */
static size_t
events_print(struct ctl *ctl, const json_t *events, uint64_t limit)
{
    size_t count = json_array_size(events);

    if (count > limit)
        count = (size_t)limit;
    struct text out = {0};
    for (size_t i = 0; i < count; i++) {
        json_t *event = json_array_get(events, i);
        if (ctl->json)
            ctl_print_json(ctl, json_incref(event));
        else
            render_event(&out, &ctl->out, event);
    }
    ctl_print(&out);
    return count;
}

int
verb_events(struct ctl *ctl)
{
    bool follow = args_have(&ctl->args, OPTION_FOLLOW);
    const char *region = args_value(&ctl->args, OPTION_EVENTS_REGION);
    const char *from = args_value(&ctl->args, OPTION_SINCE);
    const char *most = args_value(&ctl->args, OPTION_LIMIT);
    uint64_t since = follow ? UINT64_MAX : 0;
    uint64_t limit = UINT64_MAX;
    int rc = 0;

    if (from != NULL && !parse_number(from, 0, INT64_MAX, &since))
        rc = ctl_bad_value(ctl, OPTION_SINCE, from, "a sequence number; 0: the oldest kept");
    if (rc == 0 && most != NULL && !parse_number(most, 1, INT64_MAX, &limit))
        rc = ctl_bad_value(ctl, OPTION_LIMIT, most, "a number from 1 on");
    if (rc == 0)
        rc = connect_to_read(ctl);
    ctl->stream = true;
    while (rc == 0 && limit > 0) {
        struct asup_error_info error;
        json_t *args = json_object();
        json_t *body = NULL;
        if (since != UINT64_MAX)
            json_object_set_new(args, "since", json_integer((json_int_t)since));
        if (region != NULL)
            json_object_set_new(args, "region", json_string_nocheck(region));
        /* "From now on" is asked once, without waiting: what follows has a number
         * to go on from, and nothing is missed between two questions. */
        int64_t timeout_ms = follow && since != UINT64_MAX ? 60000 : 0;
        int code = ctl_call(ctl, "events.watch", args, timeout_ms, &body, &error);
        if (code == -ASUP_EGAP) {
            rc = events_gap(ctl, &error, &since);
            continue;
        }
        if (code == -ASUP_ETIMEDOUT && follow)
            continue;
        if (code == -ASUP_ETIMEDOUT)
            break;
        if (code != 0) {
            rc = ctl_fail(ctl, &error);
            break;
        }
        size_t count = events_print(ctl, json_object_get(body, "events"), limit);
        limit -= count;
        since = get_number(body, "next", since);
        json_decref(body);
        if (count == 0 && !follow)
            break;
    }
    return rc;
}
