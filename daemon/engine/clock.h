/* SPDX-License-Identifier: MIT */
/*
 * Kernel time is journal time: it goes on where the journal stands, and within
 * one boot it runs with CLOCK_BOOTTIME, so it never goes back, counts while the
 * machine sleeps, and counts the time an engine was down. The distance between
 * the two is fixed at the engine's start (recover.c).
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_CLOCK_H
#define ASUPERSYNC_DAEMON_ENGINE_CLOCK_H

#include <stdint.h>

#include "asupersync/types.h"

/* CLOCK_BOOTTIME in nanoseconds. */
uint64_t clock_boot(void);
/* Before any thread begins: kernel time = clock_boot() + offset. */
void clock_set_offset(int64_t offset_ns);
asup_time clock_kernel(void);
/* Unix time in nanoseconds for an instant of kernel time, for display. For the
 * loop's thread alone. */
uint64_t clock_wall(asup_time at);
/* The id of this boot of the machine, at most `size` bytes with the NUL. */
void clock_boot_id(char *out, uint32_t size);

#endif
