/* SPDX-License-Identifier: MIT */
/*
 * Phrases, events, and the parts that listings share.
 */
#include "render.h"

#include <stdio.h>
#include <string.h>

#include "fields.h"

void
render_text(struct text *out, const struct look *look, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_string(value))
        text_safe(out, look, json_string_value(value), json_string_length(value));
}

void
render_label(struct text *out, const struct look *look, const json_t *task)
{
    render_text(out, look, task, get_text(task, "label")[0] != '\0' ? "label" : "id");
}

void
render_ready(struct text *out, const struct look *look, const json_t *task)
{
    if (strcmp(get_text(task, "state"), "running") == 0 &&
        json_is_false(json_object_get(task, "ready")))
        text_paint(out, look, PAINT_ENDING, ", not ready");
}

void
render_state(struct text *out, const struct look *look, const char *state)
{
    static const struct {
        const char *state;
        enum paint paint;
    } paints[] = {
        {"open", PAINT_BUSY},
        {"closing", PAINT_ENDING},
        {"draining", PAINT_ENDING},
        {"finalizing", PAINT_ENDING},
        {"closed", PAINT_FAINT},
        {"created", PAINT_NONE},
        {"running", PAINT_BUSY},
        {"cancelling", PAINT_ENDING},
        {"cancel-requested", PAINT_ENDING},
        {"shutting-down", PAINT_ENDING},
        {"completed", PAINT_FAINT},
    };

    for (size_t i = 0; i < sizeof paints / sizeof paints[0]; i++) {
        if (strcmp(paints[i].state, state) == 0) {
            text_paint(out, look, paints[i].paint, state);
            return;
        }
    }
    text_safe(out, look, state, strlen(state));
}

/* ---- Reasons and outcomes ------------------------------------------------------ */

void
render_reason(struct text *out, const struct look *look, const json_t *reason)
{
    bool first = true;

    for (; json_is_object(reason); reason = json_object_get(reason, "cause")) {
        if (!first)
            text_add(out, ", because of ");
        render_text(out, look, reason, "kind");
        if (get_text(reason, "origin")[0] != '\0') {
            text_add(out, " at ");
            render_text(out, look, reason, "origin");
        }
        if (get_text(reason, "message")[0] != '\0') {
            text_add(out, " \"");
            render_text(out, look, reason, "message");
            text_add(out, "\"");
        }
        first = false;
    }
}

/* Why a program could not be started, or a region found no winner. */
static void
outcome_error(struct text *out, const struct look *look, const json_t *error)
{
    const char *stage = get_text(error, "stage");
    uint64_t number = get_number(error, "errno", 0);
    const char *message = get_text(error, "message");

    if (number != 0)
        text_add(out, "could not be started: ");
    if (message[0] != '\0')
        render_text(out, look, error, "message");
    else if (number != 0)
        text_add(out, strerror((int)number));
    if (stage[0] != '\0' && (number != 0 || message[0] == '\0')) {
        text_add(out, message[0] != '\0' || number != 0 ? " (" : "");
        render_text(out, look, error, "stage");
        text_add(out, message[0] != '\0' || number != 0 ? ")" : "");
    }
}

static const json_t *
root_cause(const json_t *reason)
{
    while (json_is_object(json_object_get(reason, "cause")))
        reason = json_object_get(reason, "cause");
    return reason;
}

void
render_outcome(struct text *out, const struct look *look, const json_t *outcome)
{
    static const enum paint paints[] = {PAINT_GOOD, PAINT_BAD, PAINT_ENDING, PAINT_BAD};
    int severity = outcome_severity(outcome);
    const json_t *error = json_object_get(outcome, "error");
    const json_t *reason = json_object_get(outcome, "reason");
    uint64_t exit_code = get_number(outcome, "exit_code", UINT64_MAX);
    uint64_t signal_number = get_number(outcome, "signal", 0);
    struct text words = {0};

    text_put(&words, "", 0);
    if (severity < 0)
        text_safe(&words, look, get_text(outcome, "outcome"), strlen(get_text(outcome, "outcome")));
    else if (severity == 2) {
        text_add(&words, "cancelled");
        if (json_is_object(reason)) {
            text_add(&words, " (");
            render_text(&words, look, root_cause(reason), "kind");
            text_add(&words, ")");
        }
    } else if (severity == 0)
        text_add(&words, "ok");
    else if (severity == 3 && signal_number == 0 && !json_is_object(error))
        text_add(&words, "panicked");
    if (severity == 1 || severity == 3) {
        if (signal_number > 0)
            text_signal(&words, (int)signal_number);
        else if (exit_code != UINT64_MAX)
            text_addf(&words, "exit code %u", (unsigned)exit_code);
        else if (json_is_object(error))
            outcome_error(&words, look, error);
        else if (severity == 1)
            text_add(&words, "err");
    }
    if (get_true(outcome, "forced"))
        text_add(&words, severity == 3 ? " by the daemon" : ", killed");
    if (severity == 3 && signal_number > 0 && get_text(error, "stage")[0] != '\0') {
        text_add(&words, " (");
        render_text(&words, look, error, "stage");
        text_add(&words, ")");
    }
    text_paint(out, look, severity >= 0 && severity < 4 ? paints[severity] : PAINT_BAD, words.data);
    text_free(&words);
}

/* ---- Events ------------------------------------------------------------------------ */

static enum paint
event_paint(const char *name, const json_t *event)
{
    if (outcome_severity(json_object_get(event, "outcome")) > 0 || strstr(name, "failed") != NULL ||
        strstr(name, "timeout") != NULL || strstr(name, "missed") != NULL ||
        strstr(name, "escalated") != NULL || strstr(name, "broke") != NULL)
        return PAINT_BAD;
    if (strstr(name, "cancel") != NULL || strstr(name, "draining") != NULL ||
        strstr(name, "finalizing") != NULL || strstr(name, "sealed") != NULL)
        return PAINT_ENDING;
    if (strstr(name, "completed") != NULL || strstr(name, "closed") != NULL ||
        strstr(name, "ready") != NULL)
        return PAINT_GOOD;
    return PAINT_NONE;
}

void
render_event(struct text *out, const struct look *look, const json_t *event)
{
    static const char *const subjects[] = {"obligation", "kind", "message",
                                           "channel",    "saga", "cx"};
    const char *name = get_text(event, "event");
    const char *task = get_text(event, "task");
    const char *region = get_text(event, "region");
    const char *session = get_text(event, "session");
    const json_t *reason = json_object_get(event, "reason");
    const json_t *outcome = json_object_get(event, "outcome");
    size_t start = out->size;

    text_clock(out, get_number(event, "at_wall_ns", 0));
    text_addf(out, " %8llu ", (unsigned long long)get_number(event, "seq", 0));
    struct text word = {0};
    text_safe(&word, look, name, strlen(name));
    text_paint(out, look, event_paint(name, event), word.data != NULL ? word.data : "");
    text_free(&word);
    text_pad(out, start, 12 + 10 + 24);
    if (task[0] != '\0') {
        text_add(out, " ");
        render_text(out, look, event, "task");
        text_add(out, " of");
    }
    if (region[0] != '\0') {
        text_add(out, " ");
        render_text(out, look, event, "region");
    }
    if (session[0] != '\0') {
        text_add(out, " ");
        render_text(out, look, event, "session");
    }
    if (get_text(event, "path")[0] != '\0') {
        text_add(out, " ");
        render_text(out, look, event, "path");
    }
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        if (get_text(event, subjects[i])[0] == '\0')
            continue;
        text_add(out, " ");
        render_text(out, look, event, subjects[i]);
    }
    if (get_text(event, "holder")[0] != '\0') {
        text_add(out, " of ");
        render_text(out, look, event, "holder");
    }
    if (strcmp(name, "task-started") == 0)
        text_addf(out, " pid %llu", (unsigned long long)get_number(event, "value", 0));
    if (get_text(event, "text")[0] != '\0') {
        text_add(out, "  ");
        render_text(out, look, event, "text");
    }
    if (json_is_object(outcome)) {
        text_add(out, "  ");
        render_outcome(out, look, outcome);
    } else if (json_is_object(reason)) {
        text_add(out, "  ");
        render_reason(out, look, reason);
    }
    text_add(out, "\n");
}
