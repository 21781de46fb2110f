/* SPDX-License-Identifier: MIT */
/* One line at a time to standard error, never waiting for its reader. */
#ifndef ASUPERSYNC_KEEPER_LOG_H
#define ASUPERSYNC_KEEPER_LOG_H

enum log_level {
    LOG_LEVEL_ERROR = 3, /* the numbers of syslog, which the journal reads as "<3>" */
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6,
};

/* A line that does not fit into the reader's buffer is counted and said later:
 * a reader that stands still must not stop the keeper. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)

#endif
