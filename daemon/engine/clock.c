/* SPDX-License-Identifier: MIT */
#include "daemon/engine/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The clock of the day is looked at that often. */
#define LOOK_NS (10 * ASUP_NS_PER_MS)

static int64_t offset;

static uint64_t
clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * ASUP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_boot(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

void
clock_set_offset(int64_t offset_ns)
{
    offset = offset_ns;
}

asup_time
clock_kernel(void)
{
    return clock_boot() + (uint64_t)offset;
}

uint64_t
clock_wall(asup_time at)
{
    /* How far the two are apart changes when somebody sets the clock. */
    static asup_time looked_at;
    static uint64_t ahead;

    if (looked_at == 0 || at < looked_at || at - looked_at > LOOK_NS) {
        looked_at = clock_kernel();
        ahead = clock_ns(CLOCK_REALTIME) - looked_at;
    }
    return at + ahead;
}

void
clock_boot_id(char *out, uint32_t size)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    out[0] = '\0';
    if (!f)
        return;
    if (fgets(out, (int)size, f))
        out[strcspn(out, "\n")] = '\0';
    fclose(f);
}
