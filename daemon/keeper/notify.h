/* SPDX-License-Identifier: MIT */
/* The service manager's notification socket (sd_notify(3)), in our own lines:
 * linking libsystemd for them costs 1 MiB of resident memory (measured: 1.2
 * to 1.4 MiB with libc alone, 2.3 to 2.4 MiB with libsystemd), half of what
 * the keeper may take. */
#ifndef ASUPERSYNC_KEEPER_NOTIFY_H
#define ASUPERSYNC_KEEPER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Take NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment,
 * so that neither engine nor tasks inherit them. */
void notify_init(void);

/* True when a service manager listens. */
bool notify_active(void);

/* How often the watchdog must be fed, in ns; 0: never. */
uint64_t notify_watchdog_ns(void);

/* Send assignments such as "READY=1\nSTATUS=…"; never blocks, never fails. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
