/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un notify_address;
static socklen_t notify_address_size;
static int notify_socket = -1;
static uint64_t notify_watchdog;

void
notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");

    if (path != NULL && (path[0] == '/' || path[0] == '@') && path[1] != '\0' &&
        strlen(path) < sizeof notify_address.sun_path) {
        size_t size = strlen(path);

        notify_address.sun_family = AF_UNIX;
        memcpy(notify_address.sun_path, path, size);
        if (path[0] == '@')
            notify_address.sun_path[0] = '\0';
        notify_address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
        notify_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
    if (notify_socket >= 0 && usec != NULL &&
        (pid == NULL || strtoull(pid, NULL, 10) == (unsigned long long)getpid()))
        notify_watchdog = strtoull(usec, NULL, 10) * 1000;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

bool
notify_active(void)
{
    return notify_socket >= 0;
}

uint64_t
notify_watchdog_ns(void)
{
    return notify_watchdog;
}

void
notify_send(const char *format, ...)
{
    char text[512];
    va_list args;
    int size;

    if (notify_socket < 0)
        return;
    va_start(args, format);
    size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0)
        return;
    if (size >= (int)sizeof text)
        size = (int)sizeof text - 1;
    (void)sendto(notify_socket, text, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL,
                 (const struct sockaddr *)&notify_address, notify_address_size);
}
