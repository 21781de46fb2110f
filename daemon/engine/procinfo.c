/* SPDX-License-Identifier: MIT */
/* Looking at processes through /proc: only files that the system answers from
 * memory, without waiting for the process (stat and wchan, never cmdline). */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/why.h"

static ssize_t
read_small(const char *path, char *data, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -1;
    ssize_t got = read(fd, data, size - 1);
    close(fd);
    data[got > 0 ? got : 0] = '\0';
    return got;
}

/* The name stands in parentheses and may hold any of them: the last one ends
 * it. */
static char *
read_stat(uint32_t pid, char *data, size_t size)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", pid);
    if (!pid || read_small(path, data, size) <= 0)
        return NULL;
    return strrchr(data, ')');
}

void
procinfo_read(uint32_t pid, struct procinfo *out)
{
    char data[1024];
    char path[64];
    char *end = read_stat(pid, data, sizeof data);
    char *begin = end ? strchr(data, '(') : NULL;

    *out = (struct procinfo){0};
    if (!begin || end[1] != ' ')
        return;
    snprintf(out->name, sizeof out->name, "%.*s", (int)(end - begin - 1), begin + 1);
    out->state = end[2];
    if (out->state != 'D')
        return;
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/wchan", pid);
    if (read_small(path, out->where, sizeof out->where) <= 0 || !isalpha(out->where[0]))
        out->where[0] = '\0';
}

const char *
procinfo_note(char state)
{
    switch (state) {
    case 'R':
        return "running";
    case 'S':
    case 'I':
        return "sleeping";
    case 'D':
        return "in uninterruptible sleep: no signal reaches it, not even SIGKILL";
    case 'T':
        return "stopped by a signal";
    case 't':
        return "stopped by a debugger";
    case 'Z':
    case 'X':
        return "ended, not yet collected";
    default:
        return "not to be seen";
    }
}

asup_time
procinfo_started(uint32_t pid)
{
    char data[1024];
    char *p = read_stat(pid, data, sizeof data);
    long ticks = sysconf(_SC_CLK_TCK);

    /* starttime is the 22nd field; the one after the name is the 3rd. */
    for (int field = 3; p && field <= 22; field++) {
        p = strchr(p + 1, ' ');
    }
    if (!p || ticks <= 0)
        return 0;
    return (asup_time)strtoull(p + 1, NULL, 10) * (ASUP_NS_PER_S / (uint64_t)ticks);
}

size_t
procinfo_cgroup(const char *cgroup, uint32_t *pids, size_t max)
{
    char data[4096];
    char path[1024];
    size_t count = 0;

    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    if (read_small(path, data, sizeof data) <= 0)
        return 0;
    char *save = NULL;
    for (char *line = strtok_r(data, "\n", &save); line && count < max;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned long pid = strtoul(line, NULL, 10);
        if (pid)
            pids[count++] = (uint32_t)pid;
    }
    return count;
}
