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

/* The keeper holds these locks as long as it lives: of a file in its runtime
 * directory, and of the state directory itself. */
static int
is_locked(const char *directory, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
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

    if (is_locked(runtime_dir, "lock") || is_locked(state_dir, ".")) {
        (void)fprintf(stderr, "asupersyncd: a daemon runs with %s or %s: stop it first\n",
                      runtime_dir, state_dir);
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
