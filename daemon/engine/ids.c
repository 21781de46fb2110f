/* SPDX-License-Identifier: MIT */
#include "daemon/engine/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/report.h"

#define BLOCK ((uint64_t)65536)
/* More ids than one message can ask for: it holds at most 131072 values, and
 * nothing is made of fewer than three. */
#define ONE_REQUEST ((uint64_t)49152)
#define FIRST ((uint64_t)2) /* 1 is "/" */

/* The directory's own entry must be durable too. */
static int
sync_directory(const char *path)
{
    char directory[512];
    const char *slash = strrchr(path, '/');

    snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    close(fd);
    return rc;
}

/* Always as long, so that one number can be written over another. */
#define TEXT_SIZE 21

/* A new file beside the old one, then in its place: whatever happens, one of
 * them is whole. NULL, or what could not be done. */
static const char *
replace(const char *path, const char *text)
{
    char fresh[sizeof((struct ids *)NULL)->path + 8];

    snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return "create a file beside";
    if (write(fd, text, TEXT_SIZE) != TEXT_SIZE || fsync(fd) != 0) {
        int saved = errno;
        close(fd);
        unlink(fresh);
        errno = saved;
        return "write a file beside";
    }
    close(fd);
    if (rename(fresh, path) != 0 || sync_directory(path) != 0)
        return "replace";
    return NULL;
}

/* On a full disk the file's own block is still there. So few bytes of one
 * sector are written whole or not at all. */
static const char *
overwrite(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return "open";
    bool good = write(fd, text, TEXT_SIZE) == TEXT_SIZE && fsync(fd) == 0;
    int saved = errno;
    close(fd);
    errno = saved;
    return good ? NULL : "write";
}

static bool
save(struct ids *ids, uint64_t reserved)
{
    char text[TEXT_SIZE + 1];

    snprintf(text, sizeof text, "%020" PRIu64 "\n", reserved);
    const char *failed = replace(ids->path, text);
    if (failed && (errno == ENOSPC || errno == EDQUOT))
        failed = overwrite(ids->path, text);
    if (failed) {
        report(REPORT_ERROR, "cannot %s %s: %s; no further ids can be handed out", failed,
               ids->path, strerror(errno));
        return false;
    }
    ids->reserved = reserved;
    return true;
}

uint64_t
ids_open(struct ids *ids, const char *state_dir)
{
    uint64_t first = FIRST;
    char text[64] = "";

    int size = snprintf(ids->path, sizeof ids->path, "%s/ids", state_dir);
    if (size < 0 || (size_t)size >= sizeof ids->path) {
        report(REPORT_ERROR, "the state directory's name is too long");
        return 0;
    }
    int fd = open(ids->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
        ssize_t got = read(fd, text, sizeof text - 1);
        close(fd);
        char *end = text;
        if (got > 0) {
            errno = 0;
            first = strtoull(text, &end, 10);
        }
        if (got <= 0 || errno != 0 || end == text || *end != '\n' || first < FIRST ||
            first > UINT64_MAX - 2 * BLOCK) {
            report(REPORT_ERROR,
                   "%s is damaged: it must hold one number larger than every id ever used; "
                   "write such a number into it",
                   ids->path);
            return 0;
        }
    } else if (errno != ENOENT) {
        report(REPORT_ERROR, "cannot read %s: %s", ids->path, strerror(errno));
        return 0;
    }
    return save(ids, first + 2 * BLOCK) ? first : 0;
}

bool
ids_extend(struct ids *ids, uint64_t last)
{
    if (last + BLOCK < ids->reserved || save(ids, last + 1 + 3 * BLOCK))
        return true;
    return last + ONE_REQUEST < ids->reserved;
}

void
ids_close(struct ids *ids, uint64_t last)
{
    if (ids->path[0] && ids->reserved)
        (void)save(ids, last < FIRST ? FIRST : last + 1);
}
