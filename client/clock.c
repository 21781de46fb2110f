/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <time.h>

uint64_t
clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * ASUP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_after(uint64_t now, int64_t ms)
{
    if (ms < 0 || (uint64_t)ms > (ASUP_NEVER - 1 - now) / ASUP_NS_PER_MS)
        return ASUP_NEVER;
    return now + (uint64_t)ms * ASUP_NS_PER_MS;
}

int
clock_left(uint64_t now, uint64_t at)
{
    uint64_t ms;

    if (at == ASUP_NEVER)
        return -1;
    if (at <= now)
        return 0;
    ms = (at - now + ASUP_NS_PER_MS - 1) / ASUP_NS_PER_MS;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}
