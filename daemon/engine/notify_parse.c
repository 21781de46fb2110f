/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "daemon/engine/notify.h"

/* The value of NAME= at the head of a line; NULL: it is another name. */
static const char *
value_of(const char *line, size_t size, const char *name, size_t *value_size)
{
    size_t name_size = strlen(name);

    if (size <= name_size || memcmp(line, name, name_size) != 0 || line[name_size] != '=')
        return NULL;
    *value_size = size - name_size - 1;
    return line + name_size + 1;
}

static bool
read_usec(const char *text, size_t size, uint64_t *out)
{
    uint64_t value = 0;

    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

void
notify_parse(const char *data, size_t size, struct notify_message *out)
{
    *out = (struct notify_message){0};
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t line_size = newline ? (size_t)(newline - data) : size;
        size_t value_size;
        const char *value;
        if ((value = value_of(data, line_size, "READY", &value_size)))
            out->ready = out->ready || (value_size == 1 && *value == '1');
        else if ((value = value_of(data, line_size, "STOPPING", &value_size)))
            out->stopping = out->stopping || (value_size == 1 && *value == '1');
        else if ((value = value_of(data, line_size, "WATCHDOG", &value_size)))
            out->watchdog = out->watchdog || (value_size == 1 && *value == '1');
        else if ((value = value_of(data, line_size, "EXTEND_TIMEOUT_USEC", &value_size)))
            out->extend = read_usec(value, value_size, &out->extend_usec) || out->extend;
        else if ((value = value_of(data, line_size, "STATUS", &value_size))) {
            out->status = value;
            out->status_size = value_size;
        }
        data += line_size + (newline ? 1 : 0);
        size -= line_size + (newline ? 1 : 0);
    }
}
