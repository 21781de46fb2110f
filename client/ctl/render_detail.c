/* SPDX-License-Identifier: MIT */
/*
 * One thing in full: a task, a region, the daemon, and why something waits.
 */
#include <string.h>

#include "fields.h"
#include "render.h"

#define KEY_COLUMNS 14

/* "  key:        " */
static void
add_key(struct text *out, const struct look *look, const char *key)
{
    size_t start = out->size;
    struct text words = {0};

    text_addf(&words, "%s:", key);
    text_add(out, "  ");
    text_paint(out, look, PAINT_FAINT, words.data);
    text_pad(out, start, KEY_COLUMNS + 2);
    text_free(&words);
}

static void
line_text(struct text *out, const struct look *look, const json_t *object, const char *key,
          const char *title)
{
    if (get_text(object, key)[0] == '\0')
        return;
    add_key(out, look, title);
    render_text(out, look, object, key);
    text_add(out, "\n");
}

static void
line_number(struct text *out, const struct look *look, const json_t *object, const char *key,
            const char *title)
{
    uint64_t number = get_number(object, key, UINT64_MAX);

    if (number == UINT64_MAX)
        return;
    add_key(out, look, title);
    text_addf(out, "%llu\n", (unsigned long long)number);
}

static void
line_span(struct text *out, const struct look *look, const json_t *object, const char *key,
          const char *title)
{
    uint64_t ns = get_number(object, key, UINT64_MAX);

    if (ns == UINT64_MAX)
        return;
    add_key(out, look, title);
    text_span(out, ns);
    text_add(out, "\n");
}

static void
lines_budget(struct text *out, const struct look *look, const json_t *object)
{
    const json_t *budget = json_object_get(object, "budget");
    uint64_t limit = get_number(budget, "limit_left_ns", UINT64_MAX);

    if (limit != UINT64_MAX) {
        add_key(out, look, "time left");
        text_span(out, limit);
        text_add(out, " (");
        render_text(out, look, budget, "limit_kind");
        text_add(out, ")\n");
    }
    if (get_number(budget, "polls_left", UINT64_MAX) < UINT32_MAX)
        line_number(out, look, budget, "polls_left", "polls left");
    line_number(out, look, budget, "cost_left", "cost left");
    if (get_number(budget, "priority", 0) > 0)
        line_number(out, look, budget, "priority", "priority");
}

static void
lines_end(struct text *out, const struct look *look, const json_t *object)
{
    const json_t *reason = json_object_get(object, "reason");
    const json_t *outcome = json_object_get(object, "outcome");

    if (json_is_object(reason)) {
        add_key(out, look, "cancelled by");
        render_reason(out, look, reason);
        text_add(out, "\n");
    }
    if (!json_is_object(outcome))
        return;
    add_key(out, look, "outcome");
    render_outcome(out, look, outcome);
    text_addf(out, "; exit code %d\n", outcome_exit_code(outcome));
    if (!json_is_object(reason) && json_is_object(json_object_get(outcome, "reason"))) {
        add_key(out, look, "cancelled by");
        render_reason(out, look, json_object_get(outcome, "reason"));
        text_add(out, "\n");
    }
    line_text(out, look, outcome, "origin", "came from");
    line_span(out, look, outcome, "wall_ns", "took");
    line_span(out, look, outcome, "cpu_ns", "CPU time");
    uint64_t peak = get_number(outcome, "memory_peak_bytes", 0);
    if (peak > 0) {
        add_key(out, look, "memory peak");
        text_bytes(out, peak);
        text_add(out, "\n");
    }
}

void
render_task(struct text *out, const struct look *look, const json_t *task)
{
    text_paint(out, look, PAINT_STRONG, get_text(task, "id"));
    text_add(out, get_true(task, "finalizer") ? "  finalizer  " : "  ");
    render_text(out, look, task, "label");
    text_add(out, "\n");
    add_key(out, look, "state");
    render_state(out, look, get_text(task, "state"));
    render_ready(out, look, task);
    text_add(out, "\n");
    add_key(out, look, "region");
    render_text(out, look, task, "region");
    text_add(out, " ");
    render_text(out, look, task, "path");
    text_add(out, "\n");
    line_text(out, look, task, "user", "user");
    line_number(out, look, task, "owner", "owner uid");
    line_number(out, look, task, "pid", "pid");
    line_span(out, look, task, "age_ns", "age");
    line_span(out, look, task, "started_age_ns", "running for");
    line_span(out, look, task, "kill_left_ns", "killed in");
    line_span(out, look, task, "slack_ns", "slack");
    lines_budget(out, look, task);
    if (get_number(task, "log_lost_bytes", 0) > 0) {
        add_key(out, look, "log lost");
        text_bytes(out, get_number(task, "log_lost_bytes", 0));
        text_add(out, "\n");
    }
    lines_end(out, look, task);
}

void
render_region(struct text *out, const struct look *look, const json_t *node)
{
    text_paint(out, look, PAINT_STRONG, get_text(node, "id"));
    text_add(out, "  ");
    render_text(out, look, node, "path");
    text_add(out, "\n");
    add_key(out, look, "state");
    render_state(out, look, get_text(node, "state"));
    text_add(out, get_true(node, "soft") ? ", soft" : "");
    text_add(out, get_true(node, "volatile") ? ", volatile\n" : "\n");
    add_key(out, look, "policy");
    render_text(out, look, node, "policy");
    if (get_number(node, "quorum", 0) > 0)
        text_addf(out, ":%llu", (unsigned long long)get_number(node, "quorum", 0));
    text_add(out, "\n");
    line_number(out, look, node, "owner", "owner uid");
    line_text(out, look, node, "attached", "attached to");
    line_span(out, look, node, "age_ns", "age");
    line_number(out, look, node, "tasks_live", "live tasks");
    line_number(out, look, node, "tasks_total", "tasks ever");
    line_number(out, look, node, "finalizers", "finalizers");
    line_span(out, look, node, "drain_left_ns", "drain left");
    line_span(out, look, node, "close_by_left_ns", "closed within");
    lines_budget(out, look, node);
    lines_end(out, look, node);
}

/* ---- Why ------------------------------------------------------------------------------ */

void
render_why(struct text *out, const struct look *look, const json_t *why)
{
    const json_t *chain = json_object_get(why, "chain");
    const json_t *trouble = json_object_get(why, "trouble");

    render_text(out, look, why, "summary"); /* it begins with the id */
    text_add(out, "\n");
    for (size_t i = 0; i < json_array_size(chain); i++) {
        const json_t *link = json_array_get(chain, i);
        uint64_t left = get_number(link, "budget_left_ns", UINT64_MAX);
        text_pad(out, out->size, 2 * i);
        text_add(out, look->utf8 ? "\xe2\x94\x94\xe2\x94\x80 " : "`- ");
        render_text(out, look, link, "kind");
        text_add(out, " ");
        if (json_is_integer(json_object_get(link, "id")))
            text_addf(out, "%llu", (unsigned long long)get_number(link, "id", 0));
        else
            text_paint(out, look, PAINT_STRONG, get_text(link, "id"));
        if (get_text(link, "name")[0] != '\0') {
            text_add(out, " ");
            render_text(out, look, link, "name");
        }
        text_add(out, " ");
        render_state(out, look, get_text(link, "state"));
        if (get_number(link, "pid", 0) > 0 && !json_is_integer(json_object_get(link, "id")))
            text_addf(out, " pid %llu", (unsigned long long)get_number(link, "pid", 0));
        if (get_number(link, "age_ns", UINT64_MAX) != UINT64_MAX) {
            text_add(out, " age ");
            text_span(out, get_number(link, "age_ns", 0));
        }
        if (left != UINT64_MAX) {
            text_add(out, " left ");
            text_span(out, left);
        }
        if (get_text(link, "note")[0] != '\0') {
            text_add(out, ": ");
            render_text(out, look, link, "note");
        }
        text_add(out, "\n");
    }
    for (size_t i = 0; i < json_array_size(trouble); i++) {
        const json_t *item = json_array_get(trouble, i);
        text_paint(out, look, PAINT_BAD, get_text(item, "name"));
        text_add(out, " ");
        render_text(out, look, item, "id");
        text_add(out, ": ");
        render_text(out, look, item, "message");
        text_add(out, "\n");
    }
}

/* ---- The daemon --------------------------------------------------------------------------- */

/* Who is in a named trouble: sagas, workers. */
static void
line_trouble(struct text *out, const struct look *look, const json_t *ids, const char *key,
             const char *trouble)
{
    if (json_array_size(ids) == 0)
        return;
    add_key(out, look, key);
    text_paint(out, look, PAINT_BAD, trouble);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));

        text_addf(out, " %s", id != NULL ? id : "?");
    }
    text_add(out, "\n");
}

/* That it fails is the most important thing there is to say. */
static void
render_journal(struct text *out, const struct look *look, const json_t *journal)
{
    const json_t *reason = json_object_get(journal, "reason");

    if (!journal)
        return;
    add_key(out, look, "journal");
    if (json_is_string(reason)) {
        text_addf(out, "JournalFailed: %s; nothing new is admitted, %llu answers and orders wait\n",
                  json_string_value(reason), (unsigned long long)get_number(journal, "held", 0));
        return;
    }
    text_bytes(out, get_number(journal, "bytes", 0));
    text_addf(out, ", event %llu\n", (unsigned long long)get_number(journal, "committed", 0));
}

/* Only when the policy says something about this user. */
static void
render_standing(struct text *out, const struct look *look, const json_t *standing)
{
    const char *region = get_text(standing, "region");
    size_t i;
    json_t *right;

    if (!json_is_string(json_object_get(standing, "rule")))
        return;
    add_key(out, look, "you may");
    if (json_array_size(json_object_get(standing, "rights")) == 0)
        text_add(out, "nothing");
    json_array_foreach(json_object_get(standing, "rights"), i, right)
    {
        text_addf(out, "%s%s", i > 0 ? ", " : "", json_string_value(right));
    }
    if (json_is_string(json_object_get(standing, "region")))
        text_addf(out, " in %s", region);
    if (get_number(standing, "timeout_ns", 0) > 0) {
        text_add(out, ", for ");
        text_span(out, get_number(standing, "timeout_ns", 0));
    }
    if (get_number(standing, "priority", 0) > 0)
        text_addf(out, ", up to priority %llu",
                  (unsigned long long)get_number(standing, "priority", 0));
    text_addf(out, "; %s says so\n", get_text(standing, "rule"));
}

void
render_status(struct text *out, const struct look *look, const json_t *status)
{
    json_t *limits = json_object_get(status, "limits");
    const char *name;
    json_t *limit;
    bool titled = false;

    text_add(out, "asupersyncd ");
    render_text(out, look, status, "version");
    text_add(out, " ");
    render_state(out, look, get_text(status, "state"));
    text_add(out, ", up ");
    text_span(out, get_number(status, "uptime_ns", 0));
    text_add(out, "\n");
    line_text(out, look, status, "mode", "mode");
    line_text(out, look, status, "containment", "containment");
    line_number(out, look, status, "pid", "keeper pid");
    add_key(out, look, "engine pid");
    text_addf(out, "%llu", (unsigned long long)get_number(status, "engine_pid", 0));
    if (get_number(status, "engine_runs", 1) > 1)
        text_addf(out, ", started %llu times",
                  (unsigned long long)get_number(status, "engine_runs", 1));
    text_add(out, "\n");
    add_key(out, look, "regions");
    text_addf(out, "%llu", (unsigned long long)get_number(status, "regions", 0));
    if (get_number(status, "draining", 0) > 0)
        text_addf(out, ", %llu ending", (unsigned long long)get_number(status, "draining", 0));
    text_add(out, "\n");
    add_key(out, look, "tasks");
    text_addf(out, "%llu, %llu running\n", (unsigned long long)get_number(status, "tasks", 0),
              (unsigned long long)get_number(status, "running", 0));
    if (get_number(status, "channels", 0) > 0)
        line_number(out, look, status, "channels", "channels");
    if (get_number(status, "dead_letters", 0) > 0)
        line_number(out, look, status, "dead_letters", "dead letters");
    if (get_number(status, "sagas", 0) > 0)
        line_number(out, look, status, "sagas", "sagas");
    line_trouble(out, look, json_object_get(status, "needs_attention"), "attention",
                 "NeedsAttention");
    line_trouble(out, look, json_object_get(status, "workers_lost"), "workers", "WorkerLost");
    line_number(out, look, status, "sessions", "sessions");
    line_number(out, look, status, "connections", "connections");
    line_number(out, look, status, "waits", "waits");
    render_journal(out, look, json_object_get(status, "journal"));
    if (get_number(status, "log_bytes_lost", 0) > 0) {
        add_key(out, look, "log lost");
        text_bytes(out, get_number(status, "log_bytes_lost", 0));
        text_add(out, "\n");
    }
    if (json_is_false(json_object_get(status, "memory_limits")) ||
        json_is_false(json_object_get(status, "pids_limits"))) {
        add_key(out, look, "not here");
        text_addf(out, "%s%s%s\n",
                  json_is_false(json_object_get(status, "memory_limits")) ? "memory limits" : "",
                  json_is_false(json_object_get(status, "memory_limits")) &&
                          json_is_false(json_object_get(status, "pids_limits"))
                      ? ", "
                      : "",
                  json_is_false(json_object_get(status, "pids_limits")) ? "process limits" : "");
    }
    line_text(out, look, status, "cgroup", "cgroup");
    line_text(out, look, status, "runtime_dir", "runtime");
    line_text(out, look, status, "state_dir", "state");
    line_text(out, look, status, "config", "config");
    render_standing(out, look, json_object_get(status, "standing"));
    /* Only limits that come near: all of them stand in the JSON. */
    json_object_foreach(limits, name, limit)
    {
        uint64_t used = get_number(limit, "used", UINT64_MAX);
        uint64_t most = get_number(limit, "max", UINT64_MAX);
        if (used == UINT64_MAX || most == UINT64_MAX || used < most - most / 5)
            continue;
        add_key(out, look, titled ? "" : "near limits");
        titled = true;
        text_safe(out, look, name, strlen(name));
        text_addf(out, " %llu of %llu\n", (unsigned long long)used, (unsigned long long)most);
    }
}
