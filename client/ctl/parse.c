/* SPDX-License-Identifier: MIT */
/*
 * What people type: durations, instants, sizes, numbers, signals.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "asupersync/values.h"

#include "text.h"

#define NS_PER_S UINT64_C(1000000000)

bool
parse_duration(const char *string, uint64_t *ns)
{
    return asup_duration_parse(string, strlen(string), ns) == 0;
}

bool
parse_number(const char *string, uint64_t low, uint64_t high, uint64_t *number)
{
    char *end = NULL;

    if (!isdigit((unsigned char)string[0]))
        return false;
    errno = 0;
    unsigned long long value = strtoull(string, &end, 10);
    if (errno != 0 || *end != '\0' || value < low || value > high)
        return false;
    *number = value;
    return true;
}

bool
parse_size(const char *string, uint64_t *size)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    uint64_t unit = 1;
    unsigned shift = 0;

    if (!isdigit((unsigned char)string[0]))
        return false;
    errno = 0;
    unsigned long long whole = strtoull(string, &end, 10);
    if (errno != 0)
        return false;
    /* Tenths and less in whole bytes, without a detour over floating point. */
    const char *fraction = NULL;
    size_t digits = 0;
    if (*end == '.') {
        fraction = end + 1;
        digits = strspn(fraction, "0123456789");
        if (digits == 0 || digits > 6)
            return false;
        end += 1 + digits;
    }
    const char *letter = *end != '\0' ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (letter != NULL) {
        shift = 10 * (unsigned)(letter - units + 1);
        end++;
        if (*end == 'i')
            end++;
        if (*end == 'B')
            end++;
    }
    unit <<= shift;
    if (*end != '\0' || (fraction != NULL && shift == 0) || whole > UINT64_MAX / unit)
        return false;
    uint64_t bytes = whole * unit;
    uint64_t part = 0;
    uint64_t whole_part = 1;
    for (size_t i = 0; i < digits; i++) {
        part = part * 10 + (uint64_t)(fraction[i] - '0');
        whole_part *= 10;
    }
    bytes += unit * part / whole_part;
    *size = bytes;
    return true;
}

bool
parse_signal(const char *string, int *number)
{
    uint64_t value;

    if (parse_number(string, 1, 64, &value)) {
        *number = (int)value;
        return true;
    }
    if (strncasecmp(string, "SIG", 3) == 0)
        string += 3;
    for (int i = 1; i < 32; i++) {
        const char *name = sigabbrev_np(i);
        if (name != NULL && strcasecmp(name, string) == 0) {
            *number = i;
            return true;
        }
    }
    if (strcasecmp(string, "RTMIN") == 0) {
        *number = SIGRTMIN;
        return true;
    }
    if (strncasecmp(string, "RTMIN+", 6) == 0 &&
        parse_number(string + 6, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &value)) {
        *number = SIGRTMIN + (int)value;
        return true;
    }
    return false;
}

/* ---- Instants ------------------------------------------------------------------ */

/* Digits after a point, as nanoseconds; false for more than nine. */
static bool
parse_fraction(const char **at, uint64_t *ns)
{
    uint64_t unit = NS_PER_S;

    *ns = 0;
    if (**at != '.' && **at != ',')
        return true;
    (*at)++;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++) {
        unit /= 10;
        if (unit == 0)
            return false;
        *ns += unit * (uint64_t)(**at - '0');
    }
    return true;
}

/* "@1700000000.5" */
static bool
parse_unix(const char *string, uint64_t *wall_ns)
{
    char *end = NULL;
    uint64_t fraction;

    if (!isdigit((unsigned char)string[0]))
        return false;
    errno = 0;
    unsigned long long seconds = strtoull(string, &end, 10);
    const char *at = end;
    if (errno != 0 || !parse_fraction(&at, &fraction) || *at != '\0' ||
        seconds > (UINT64_MAX - fraction) / NS_PER_S)
        return false;
    *wall_ns = seconds * NS_PER_S + fraction;
    return true;
}

/* Exactly `count` digits. */
static bool
take_digits(const char **at, int count, int *number)
{
    *number = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *number = *number * 10 + (**at - '0');
    }
    return true;
}

/* "HH:MM[:SS[.FRACTION]]" */
static bool
take_clock(const char **at, struct tm *tm, uint64_t *fraction)
{
    *fraction = 0;
    if (!take_digits(at, 2, &tm->tm_hour) || *(*at)++ != ':' || !take_digits(at, 2, &tm->tm_min))
        return false;
    if (**at == ':') {
        (*at)++;
        if (!take_digits(at, 2, &tm->tm_sec) || !parse_fraction(at, fraction))
            return false;
    }
    return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

/* "", "Z", "+02:00", "-0530": seconds east of Greenwich. */
static bool
take_zone(const char *at, bool *local, int *east)
{
    int hours;
    int minutes = 0;

    *local = *at == '\0';
    *east = 0;
    if (*local || strcmp(at, "Z") == 0 || strcmp(at, "z") == 0)
        return true;
    char sign = *at++;
    if ((sign != '+' && sign != '-') || !take_digits(&at, 2, &hours))
        return false;
    if (*at == ':')
        at++;
    if (*at != '\0' && !take_digits(&at, 2, &minutes))
        return false;
    *east = (hours * 60 + minutes) * 60 * (sign == '-' ? -1 : 1);
    return *at == '\0' && hours < 24 && minutes < 60;
}

/* Local or shifted calendar time to the wall clock; refuses days that do not
 * exist, which mktime would quietly move. */
static bool
calendar_to_wall(struct tm tm, bool local, int east, uint64_t fraction, uint64_t *wall_ns)
{
    struct tm given = tm;

    tm.tm_isdst = -1;
    time_t seconds = local ? mktime(&tm) : timegm(&tm);
    if (seconds == (time_t)-1 || tm.tm_mday != given.tm_mday || tm.tm_mon != given.tm_mon)
        return false;
    seconds -= east;
    if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / NS_PER_S - 1)
        return false;
    *wall_ns = (uint64_t)seconds * NS_PER_S + fraction;
    return true;
}

/* "2030-01-31", "2030-01-31T12:00", "2030-01-31 12:00:00.5+02:00" */
static bool
parse_date(const char *string, uint64_t *wall_ns)
{
    struct tm tm = {0};
    const char *at = string;
    uint64_t fraction = 0;
    bool local;
    int east;

    if (!take_digits(&at, 4, &tm.tm_year) || *at++ != '-' || !take_digits(&at, 2, &tm.tm_mon) ||
        *at++ != '-' || !take_digits(&at, 2, &tm.tm_mday))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    if (*at == 'T' || *at == 't' || *at == ' ') {
        at++;
        if (!take_clock(&at, &tm, &fraction))
            return false;
    }
    return take_zone(at, &local, &east) && calendar_to_wall(tm, local, east, fraction, wall_ns);
}

/* The next time the local clock shows "HH:MM[:SS]". */
static bool
parse_time_of_day(const char *string, uint64_t now_wall_ns, uint64_t *wall_ns)
{
    time_t now = (time_t)(now_wall_ns / NS_PER_S);
    struct tm tm;
    const char *at = string;
    uint64_t fraction;

    if (localtime_r(&now, &tm) == NULL)
        return false;
    tm.tm_sec = 0;
    if (!take_clock(&at, &tm, &fraction) || *at != '\0' ||
        !calendar_to_wall(tm, true, 0, fraction, wall_ns))
        return false;
    if (*wall_ns <= now_wall_ns) {
        tm.tm_mday++;
        tm.tm_isdst = -1;
        time_t tomorrow = mktime(&tm);
        *wall_ns = (uint64_t)tomorrow * NS_PER_S + fraction;
    }
    return true;
}

bool
parse_instant(const char *string, uint64_t now_wall_ns, uint64_t *wall_ns)
{
    uint64_t ns;

    if (string[0] == '+') {
        if (!parse_duration(string + 1, &ns) || ns > UINT64_MAX - 1 - now_wall_ns)
            return false;
        *wall_ns = now_wall_ns + ns;
        return true;
    }
    if (string[0] == '@')
        return parse_unix(string + 1, wall_ns);
    return parse_date(string, wall_ns) || parse_time_of_day(string, now_wall_ns, wall_ns);
}
