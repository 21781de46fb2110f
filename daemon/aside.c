/* SPDX-License-Identifier: MIT */
#include "daemon/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_CANNOT = 73 };

/* The keeper holds this lock as long as it lives. */
static int
daemon_runs(const char *runtime_dir)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/lock", runtime_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    int runs = flock(fd, LOCK_EX | LOCK_NB) < 0;
    close(fd);
    return runs;
}

int
aside_journal(const char *runtime_dir, const char *state_dir)
{
    static const char *const suffixes[] = {"-wal", "-shm", ""}; /* the database itself last */
    char stamp[32];
    char from[512];
    char to[560];
    time_t now = time(NULL);
    struct tm utc;

    if (daemon_runs(runtime_dir)) {
        (void)fprintf(stderr, "asupersyncd: a daemon runs in %s: stop it first\n", runtime_dir);
        return EXIT_CANNOT;
    }
    (void)gmtime_r(&now, &utc);
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        (void)snprintf(from, sizeof from, "%s/journal.db%s", state_dir, suffixes[i]);
        (void)snprintf(to, sizeof to, "%s/journal.db.aside-%s%s", state_dir, stamp, suffixes[i]);
        if (rename(from, to) == 0 || (errno == ENOENT && suffixes[i][0] != '\0'))
            continue;
        (void)fprintf(stderr, "asupersyncd: cannot rename %s: %s\n", from, strerror(errno));
        return EXIT_CANNOT;
    }
    (void)printf("The journal is now %s. The next start begins a new one: what was running then "
                 "is not known to it.\n",
                 to);
    return 0;
}
