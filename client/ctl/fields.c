/* SPDX-License-Identifier: MIT */
#include "fields.h"

#include <string.h>
#include <time.h>

#include "asupersync/values.h"

/* ---- Fields ------------------------------------------------------------------ */

const char *
get_text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value != NULL ? value : "";
}

uint64_t
get_number(const json_t *object, const char *key, uint64_t absent)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : absent;
}

bool
get_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

uint64_t
now_wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * ASUP_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t
now_steady_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ASUP_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- Outcomes ----------------------------------------------------------------------------- */

int
outcome_severity(const json_t *outcome)
{
    const char *name = get_text(outcome, "outcome");

    return name[0] == '\0' ? -1 : asup_severity_from_name(name);
}

int
outcome_exit_code(const json_t *outcome)
{
    const json_t *error = json_object_get(outcome, "error");
    const json_t *root = json_object_get(outcome, "reason");
    struct asup_outcome value = {.exit_code = -1};
    struct asup_reason reason = {.message = ""};
    int severity = outcome_severity(outcome);

    /* An outcome of a sort that this version does not know is no success. */
    value.key.severity = severity >= 0 ? (uint8_t)severity : ASUP_PANICKED;
    value.exit_code = (int32_t)(int64_t)get_number(outcome, "exit_code", UINT64_MAX);
    value.signal = (int32_t)get_number(outcome, "signal", 0);
    if (json_is_object(root)) {
        while (json_is_object(json_object_get(root, "cause")))
            root = json_object_get(root, "cause");
        int kind = asup_cancel_kind_from_name(get_text(root, "kind"));
        reason.key.kind = kind >= 0 ? (uint8_t)kind : ASUP_CANCEL_KIND_COUNT;
        value.reason = &reason;
    }
    if (json_is_object(error)) {
        value.stage = get_text(error, "stage");
        value.error_number = (int32_t)get_number(error, "errno", 0);
    }
    return asup_outcome_exit_code(&value);
}
