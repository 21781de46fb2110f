/* SPDX-License-Identifier: MIT */
#include "daemon/engine/users.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CACHE_SIZE = 64, CACHE_S = 300 };

static struct {
    uint32_t uid;
    time_t at; /* 0: empty */
    char name[USER_NAME_SIZE];
} cache[CACHE_SIZE];

static time_t
now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + CACHE_S; /* never 0 */
}

const char *
users_name(uint32_t uid, char *out)
{
    unsigned at = uid % CACHE_SIZE;
    time_t now = now_s();

    if (!cache[at].at || cache[at].uid != uid || now - cache[at].at > CACHE_S) {
        char room[1024];
        struct passwd entry;
        struct passwd *found = NULL;
        cache[at].uid = uid;
        cache[at].at = now;
        if (getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found)
            snprintf(cache[at].name, sizeof cache[at].name, "%s", found->pw_name);
        else
            snprintf(cache[at].name, sizeof cache[at].name, "%" PRIu32, uid);
    }
    memcpy(out, cache[at].name, sizeof cache[at].name);
    return out;
}

/* Digits are a number, whatever the database calls so. */
static bool
is_number(const char *text, size_t size, uint32_t *uid_out)
{
    uint64_t number = 0;

    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
        if (number >= UINT32_MAX)
            number = UINT32_MAX;
    }
    *uid_out = (uint32_t)number;
    return true;
}

bool
users_is(const char *text, size_t size, uint32_t uid)
{
    char name[USER_NAME_SIZE];
    uint32_t number;

    if (is_number(text, size, &number))
        return number == uid;
    return strlen(users_name(uid, name)) == size && memcmp(name, text, size) == 0;
}

bool
users_find(const char *text, size_t size, uint32_t *uid_out)
{
    char name[USER_NAME_SIZE];
    char room[1024];
    struct passwd entry;
    struct passwd *found = NULL;

    if (size == 0 || size >= sizeof name)
        return false;
    if (is_number(text, size, uid_out))
        return *uid_out != UINT32_MAX;
    memcpy(name, text, size);
    name[size] = '\0';
    if (getpwnam_r(name, &entry, room, sizeof room, &found) != 0 || !found)
        return false;
    *uid_out = entry.pw_uid;
    return true;
}
