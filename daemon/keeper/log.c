/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024

static unsigned log_lost;

static void
log_write(const char *line, size_t size)
{
    struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};

    /* A pipe is writable when it has room for PIPE_BUF bytes, which is more
     * than a line; a terminal that is stopped is not. */
    if (poll(&reader, 1, 0) != 1 || (reader.revents & POLLOUT) == 0 ||
        write(STDERR_FILENO, line, size) < 0)
        log_lost++;
}

void
log_line(enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    const char *journal = getenv("JOURNAL_STREAM");
    va_list args;
    int head;
    int body;

    if (log_lost > 0) {
        unsigned lost = log_lost;

        log_lost = 0;
        head = snprintf(line, sizeof line, "asupersyncd: %u lines were lost here\n", lost);
        log_write(line, (size_t)head);
        if (log_lost > 0)
            log_lost = lost + 1;
    }
    if (journal != NULL)
        head = snprintf(line, sizeof line, "<%d>", (int)level);
    else
        head = snprintf(line, sizeof line, "asupersyncd: ");
    va_start(args, format);
    body = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
    va_end(args);
    if (body < 0)
        return;
    head += body;
    if (head > (int)sizeof line - 2)
        head = (int)sizeof line - 2;
    line[head++] = '\n';
    log_write(line, (size_t)head);
}
