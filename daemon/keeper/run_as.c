/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/run_as.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RULES_MAX 1024
#define RULES_FILE_MAX (64 * 1024)
#define UID_FIRST_DEFAULT 1000u
#define UID_NOBODY 65534u

struct rule {
    uint32_t low, high;
    bool allow;
};

static struct rule *rules;
static size_t rule_count;

static int __attribute__((format(printf, 3, 4)))
explain(char *message, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, size, format, args);
    va_end(args);
    return -1;
}

/* A number below 2^32 - 1 (which stands for "no user"), and nothing but
 * `stop` after it. */
static bool
parse_uid(const char *text, char stop, uint32_t *out, const char **rest)
{
    unsigned long long number;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || number >= UINT32_MAX || *end != stop)
        return false;
    *out = (uint32_t)number;
    *rest = end;
    return true;
}

static const char *
parse_rule(char *line, struct rule *out)
{
    char *save = NULL;
    const char *verb = strtok_r(line, " \t", &save);
    const char *range = strtok_r(NULL, " \t", &save);
    const char *rest;

    if (strcmp(verb, "allow") != 0 && strcmp(verb, "deny") != 0)
        return "expected 'allow' or 'deny'";
    if (range == NULL)
        return "expected a user number or a range LOW-HIGH after the first word";
    if (strtok_r(NULL, " \t", &save) != NULL)
        return "one user number or range a line";
    out->allow = verb[0] == 'a';
    if (parse_uid(range, '\0', &out->low, &rest)) {
        out->high = out->low;
        return NULL;
    }
    if (!parse_uid(range, '-', &out->low, &rest) || !parse_uid(rest + 1, '\0', &out->high, &rest))
        return "not a user number (0 to 4294967294) or a range LOW-HIGH";
    if (out->low > out->high)
        return "the range ends before it begins";
    return NULL;
}

static int
parse_rules(char *text, const char *path, struct rule *out, size_t *count, char *message,
            size_t message_size)
{
    char *next = text;
    int line_number = 0;

    *count = 0;
    while (next != NULL) {
        char *line = strsep(&next, "\n");
        const char *wrong;

        line_number++;
        line[strcspn(line, "#\r")] = '\0';
        if (line[strspn(line, " \t")] == '\0')
            continue;
        if (*count == RULES_MAX)
            return explain(message, message_size, "%s:%d: more than %d rules", path, line_number,
                           RULES_MAX);
        wrong = parse_rule(line, &out[*count]);
        if (wrong != NULL)
            return explain(message, message_size, "%s:%d: %s", path, line_number, wrong);
        (*count)++;
    }
    return 0;
}

static int
check_and_read(int fd, const char *path, char *text, char *message, size_t message_size)
{
    struct stat status;
    ssize_t got;

    if (fstat(fd, &status) < 0)
        return explain(message, message_size, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return explain(message, message_size, "%s: is not a regular file", path);
    if (status.st_uid != 0)
        return explain(message, message_size,
                       "%s: belongs to user %u, but must belong to root (chown root)", path,
                       status.st_uid);
    if ((status.st_mode & 022) != 0)
        return explain(message, message_size, "%s: is writable by others than root (chmod go-w)",
                       path);
    got = read(fd, text, RULES_FILE_MAX);
    if (got < 0)
        return explain(message, message_size, "%s: %s", path, strerror(errno));
    if (got == RULES_FILE_MAX)
        return explain(message, message_size, "%s: is larger than 64 KiB", path);
    text[got] = '\0';
    if (strlen(text) != (size_t)got)
        return explain(message, message_size, "%s: contains a NUL byte", path);
    return 0;
}

int
run_as_load(const char *path, char *message, size_t message_size)
{
    struct rule *found = NULL;
    size_t count = 0;
    char *text = NULL;
    int rc = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0) {
        if (errno != ENOENT)
            return explain(message, message_size, "%s: %s", path, strerror(errno));
        free(rules);
        rules = NULL;
        rule_count = 0;
        return 0;
    }
    text = malloc(RULES_FILE_MAX + 1);
    found = calloc(RULES_MAX, sizeof *found);
    if (text == NULL || found == NULL) {
        (void)explain(message, message_size, "%s: %s", path, strerror(ENOMEM));
        goto out;
    }
    rc = check_and_read(fd, path, text, message, message_size);
    if (rc == 0)
        rc = parse_rules(text, path, found, &count, message, message_size);
    if (rc == 0) {
        free(rules);
        rules = found;
        found = NULL;
        rule_count = count;
    }
out:
    free(text);
    free(found);
    close(fd);
    return rc;
}

bool
run_as_allows(uint32_t uid)
{
    bool allowed = uid >= UID_FIRST_DEFAULT && uid != UID_NOBODY;

    if (uid == UINT32_MAX)
        return false;
    for (size_t i = 0; i < rule_count; i++)
        if (uid >= rules[i].low && uid <= rules[i].high)
            allowed = rules[i].allow;
    return allowed;
}
