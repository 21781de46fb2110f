/* SPDX-License-Identifier: MIT */
/*
 * The words and texts of values: names, identifiers, durations. Formatting is
 * done by hand because core uses nothing of libc beyond string.h.
 */
#include "asupersync/values.h"

#include <string.h>

/* ---- Names ------------------------------------------------------------------ */

#define NAME_COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const severity_names[] = {"ok", "err", "cancelled", "panicked"};

#define NAME_CANCEL(name, number, tier, wire) [number] = (wire),
static const char *const cancel_names[] = {ASUP_CANCEL_LIST(NAME_CANCEL)};

#define NAME_STATE(name, number, wire) [number] = (wire),
static const char *const region_state_names[] = {ASUP_REGION_STATE_LIST(NAME_STATE)};
static const char *const task_state_names[] = {ASUP_TASK_STATE_LIST(NAME_STATE)};
static const char *const policy_names[] = {ASUP_POLICY_LIST(NAME_STATE)};

_Static_assert(NAME_COUNT(cancel_names) == ASUP_CANCEL_KIND_COUNT, "one name per cancel kind");
_Static_assert(NAME_COUNT(region_state_names) == ASUP_REGION_STATE_COUNT, "one name per state");
_Static_assert(NAME_COUNT(task_state_names) == ASUP_TASK_STATE_COUNT, "one name per state");
_Static_assert(NAME_COUNT(policy_names) == ASUP_POLICY_COUNT, "one name per policy");

static const char *
name_of(const char *const *names, size_t count, size_t number)
{
    return number < count ? names[number] : "unknown";
}

static int
number_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return (int)i;
    }
    return -ASUP_EINVALID;
}

const char *
asup_severity_name(uint8_t severity)
{
    return name_of(severity_names, NAME_COUNT(severity_names), severity);
}

int
asup_severity_from_name(const char *name)
{
    return number_of(severity_names, NAME_COUNT(severity_names), name);
}

const char *
asup_cancel_kind_name(uint8_t kind)
{
    return name_of(cancel_names, NAME_COUNT(cancel_names), kind);
}

int
asup_cancel_kind_from_name(const char *name)
{
    return number_of(cancel_names, NAME_COUNT(cancel_names), name);
}

const char *
asup_region_state_name(uint8_t state)
{
    return name_of(region_state_names, NAME_COUNT(region_state_names), state);
}

int
asup_region_state_from_name(const char *name)
{
    return number_of(region_state_names, NAME_COUNT(region_state_names), name);
}

const char *
asup_task_state_name(uint8_t state)
{
    return name_of(task_state_names, NAME_COUNT(task_state_names), state);
}

int
asup_task_state_from_name(const char *name)
{
    return number_of(task_state_names, NAME_COUNT(task_state_names), name);
}

const char *
asup_policy_name(uint8_t policy)
{
    return name_of(policy_names, NAME_COUNT(policy_names), policy);
}

int
asup_policy_from_name(const char *name)
{
    return number_of(policy_names, NAME_COUNT(policy_names), name);
}

/* ---- Errors ------------------------------------------------------------------ */

struct error_row {
    const char *name;
    const char *text;
    short http_status;
    bool retry_helps;
};

#define ERROR_ROW(name, number, wire, http, retry, text)                                           \
    [number] = {(wire), (text), (http), (retry)},
static const struct error_row error_rows[] = {[0] = {"ok", "no error", 200, false},
                                              ASUP_ERROR_LIST(ERROR_ROW)};

static const struct error_row error_unknown = {"unknown", "an error this version does not know",
                                               500, false};

static const struct error_row *
error_row(int code)
{
    /* Widened first: -INT_MIN is no int. */
    long long number = code < 0 ? -(long long)code : code;

    if (number >= (long long)NAME_COUNT(error_rows) || error_rows[number].name == NULL)
        return &error_unknown;
    return &error_rows[number];
}

const char *
asup_error_name(int code)
{
    return error_row(code)->name;
}

const char *
asup_error_text(int code)
{
    return error_row(code)->text;
}

int
asup_error_from_name(const char *name)
{
    for (size_t i = 1; i < NAME_COUNT(error_rows); i++) {
        if (error_rows[i].name != NULL && strcmp(error_rows[i].name, name) == 0)
            return (int)i;
    }
    return -ASUP_EINVALID;
}

int
asup_error_http_status(int code)
{
    return error_row(code)->http_status;
}

bool
asup_error_retry_helps(int code)
{
    return error_row(code)->retry_helps;
}

/* ---- Writing and reading numbers --------------------------------------------- */

/* Text under construction: what does not fit is counted all the same. */
struct writer {
    char *out;
    size_t size;
    size_t length;
};

static void
write_char(struct writer *w, char c)
{
    if (w->length < w->size)
        w->out[w->length] = c;
    w->length++;
}

static void
write_text(struct writer *w, const char *text)
{
    while (*text != '\0')
        write_char(w, *text++);
}

static void
write_number(struct writer *w, uint64_t number)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        write_char(w, digits[--count]);
}

/* End the text; all of it or nothing. */
static int
write_end(struct writer *w)
{
    if (w->length < w->size) {
        w->out[w->length] = '\0';
        return (int)w->length;
    }
    if (w->size > 0)
        w->out[0] = '\0';
    return -ASUP_ETOOLARGE;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Appends a digit to *number; false when that would not fit. */
static bool
number_push(uint64_t *number, char digit)
{
    unsigned value = (unsigned)(digit - '0');

    if (*number > (UINT64_MAX - value) / 10)
        return false;
    *number = *number * 10 + value;
    return true;
}

/* ---- Identifiers --------------------------------------------------------------- */

static bool
sort_known(int sort)
{
    switch (sort) {
    case ASUP_SORT_REGION:
    case ASUP_SORT_TASK:
    case ASUP_SORT_SESSION:
    case ASUP_SORT_OBLIGATION:
    case ASUP_SORT_CHANNEL:
    case ASUP_SORT_MESSAGE:
    case ASUP_SORT_SAGA:
    case ASUP_SORT_CAPABILITY:
        return true;
    default:
        return false;
    }
}

int
asup_ref_format(struct asup_ref ref, char *out, size_t size)
{
    struct writer w = {.out = out, .size = size};

    if (ref.id == 0 || !sort_known((int)ref.sort)) {
        if (size > 0)
            out[0] = '\0';
        return -ASUP_EINVALID;
    }
    write_char(&w, (char)ref.sort);
    write_number(&w, ref.id);
    return write_end(&w);
}

int
asup_ref_parse(const char *text, size_t size, struct asup_ref *out)
{
    uint64_t id = 0;

    if (size < 2 || !sort_known(text[0]) || text[1] == '0')
        return -ASUP_EINVALID;
    for (size_t i = 1; i < size; i++) {
        if (!is_digit(text[i]) || !number_push(&id, text[i]))
            return -ASUP_EINVALID;
    }
    out->id = id;
    out->sort = (enum asup_sort)text[0];
    return 0;
}

/* ---- Durations ------------------------------------------------------------------ */

struct duration_unit {
    const char *name;
    uint64_t ns;
};

/* Largest first: a duration names its units in this order. */
static const struct duration_unit units[] = {
    {"d", 86400 * ASUP_NS_PER_S},
    {"h", 3600 * ASUP_NS_PER_S},
    {"m", 60 * ASUP_NS_PER_S},
    {"s", ASUP_NS_PER_S},
    {"ms", ASUP_NS_PER_MS},
    {"us", 1000},
    {"ns", 1},
};

enum { UNIT_COUNT = NAME_COUNT(units), UNIT_MINUTES = 2, UNIT_SECONDS = 3 };

/* One "12.5s" of a duration. */
struct duration_part {
    uint64_t whole;
    uint64_t fraction;       /* its digits as a number */
    uint64_t fraction_scale; /* 1, 10, 100, ...; 1: no fraction */
    size_t unit;
};

/* Find the unit at text[*at..] and move past it; UNIT_COUNT: none. */
static size_t
unit_read(const char *text, size_t size, size_t *at)
{
    size_t begin = *at;
    size_t end = begin;

    while (end < size && !is_digit(text[end]) && text[end] != '.')
        end++;
    *at = end;
    for (size_t u = 0; u < UNIT_COUNT; u++) {
        if (strlen(units[u].name) == end - begin &&
            memcmp(units[u].name, text + begin, end - begin) == 0)
            return u;
    }
    return UNIT_COUNT;
}

static int
part_read(const char *text, size_t size, size_t *at, struct duration_part *part)
{
    *part = (struct duration_part){.fraction_scale = 1};
    if (*at >= size || !is_digit(text[*at]))
        return -ASUP_EINVALID;
    for (; *at < size && is_digit(text[*at]); (*at)++) {
        if (!number_push(&part->whole, text[*at]))
            return -ASUP_ETOOLARGE;
    }
    if (*at < size && text[*at] == '.') {
        size_t begin = ++*at;

        for (; *at < size && is_digit(text[*at]); (*at)++) {
            /* more digits than any unit has nanoseconds */
            if (part->fraction_scale >= (uint64_t)1000000000000000)
                return -ASUP_EINVALID;
            part->fraction = part->fraction * 10 + (uint64_t)(text[*at] - '0');
            part->fraction_scale *= 10;
        }
        if (*at == begin)
            return -ASUP_EINVALID;
    }
    part->unit = unit_read(text, size, at);
    return part->unit < UNIT_COUNT ? 0 : -ASUP_EINVALID;
}

/* fraction / scale of the unit, in whole nanoseconds or not at all. The product
 * is split by the unit's and the scale's common factors of ten, since it may
 * not fit into 64 bits. */
static bool
fraction_to_ns(const struct duration_part *part, uint64_t *ns)
{
    uint64_t fraction = part->fraction;
    uint64_t scale = part->fraction_scale;
    uint64_t unit = units[part->unit].ns;

    while (scale > 1 && fraction % 10 == 0) {
        fraction /= 10;
        scale /= 10;
    }
    while (scale > 1 && unit % 10 == 0) {
        unit /= 10;
        scale /= 10;
    }
    if (fraction > 0 && unit > UINT64_MAX / fraction)
        return false;
    if ((fraction * unit) % scale != 0)
        return false;
    *ns = fraction * unit / scale;
    return true;
}

static int
part_add(const struct duration_part *part, uint64_t *total)
{
    uint64_t unit = units[part->unit].ns;
    uint64_t fraction_ns = 0;
    uint64_t sum;

    if (!fraction_to_ns(part, &fraction_ns))
        return -ASUP_EINVALID;
    if (part->whole > (UINT64_MAX - fraction_ns) / unit)
        return -ASUP_ETOOLARGE;
    sum = part->whole * unit + fraction_ns;
    /* The largest number means "never" and is no length. */
    if (sum >= UINT64_MAX - *total)
        return -ASUP_ETOOLARGE;
    *total += sum;
    return 0;
}

int
asup_duration_parse(const char *text, size_t size, uint64_t *ns)
{
    uint64_t total = 0;
    size_t unit_next = 0; /* units before this one are used up */
    size_t at = 0;

    if (size == 5 && memcmp(text, "never", 5) == 0) {
        *ns = ASUP_NEVER;
        return 0;
    }
    if (size == 1 && text[0] == '0') {
        *ns = 0;
        return 0;
    }
    do {
        struct duration_part part;
        int rc = part_read(text, size, &at, &part);

        if (rc != 0)
            return rc;
        if (part.unit < unit_next || (part.fraction_scale > 1 && at < size))
            return -ASUP_EINVALID;
        unit_next = part.unit + 1;
        rc = part_add(&part, &total);
        if (rc != 0)
            return rc;
    } while (at < size);
    *ns = total;
    return 0;
}

/* "12.5s": the number as a decimal of the unit, without trailing zeros. */
static void
write_decimal(struct writer *w, uint64_t ns, size_t unit)
{
    uint64_t scale = units[unit].ns;
    uint64_t rest = ns % scale;

    write_number(w, ns / scale);
    if (rest > 0) {
        write_char(w, '.');
        while (rest > 0) {
            scale /= 10;
            write_char(w, (char)('0' + rest / scale));
            rest %= scale;
        }
    }
    write_text(w, units[unit].name);
}

int
asup_duration_format(uint64_t ns, char *out, size_t size)
{
    struct writer w = {.out = out, .size = size};
    size_t unit = UNIT_SECONDS;

    if (ns == ASUP_NEVER) {
        write_text(&w, "never");
        return write_end(&w);
    }
    if (ns == 0) {
        write_char(&w, '0');
        return write_end(&w);
    }
    for (size_t u = 0; u <= UNIT_MINUTES; u++) {
        if (ns < units[u].ns)
            continue;
        write_number(&w, ns / units[u].ns);
        write_text(&w, units[u].name);
        ns %= units[u].ns;
    }
    if (w.length > 0 && ns == 0)
        return write_end(&w);
    /* After larger units the rest stays in seconds: "2m0.25s". */
    while (w.length == 0 && ns < units[unit].ns)
        unit++;
    write_decimal(&w, ns, unit);
    return write_end(&w);
}
