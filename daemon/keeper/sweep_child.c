/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Directories held open on the way down. What lies deeper is moved to the top
 * and removed from there, so that no tree is too deep. */
#define SWEEP_DEPTH_MAX 48

struct sweeper {
    int top_fd;
    int progress_fd;
    int error;      /* the first one */
    unsigned moved; /* names given at the top */
    unsigned removed;
    bool again; /* this pass left something that the next one can remove */
};

static void
note_error(struct sweeper *s, int error)
{
    if (s->error == 0)
        s->error = error;
}

static void
note_progress(struct sweeper *s)
{
    if (++s->removed % 512 == 0)
        (void)!write(s->progress_fd, "", 1);
}

/* A directory below dir_fd, without following links or crossing into another
 * mount; the owner's missing permissions are given back first. */
static int
open_below(int dir_fd, const char *name, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);

    return fd < 0 ? -errno : (int)fd;
}

static int
open_for_removal(int dir_fd, const char *name)
{
    struct stat status;
    int fd = open_below(dir_fd, name, O_RDONLY);

    /* Reading is not enough: names are removed only from what is writable. */
    if (fd >= 0 && (fstat(fd, &status) < 0 || (status.st_mode & 0700) != 0700))
        (void)fchmod(fd, 0700);
    if (fd == -EACCES && fchmodat(dir_fd, name, 0700, 0) == 0)
        fd = open_below(dir_fd, name, O_RDONLY);
    return fd;
}

/* Too deep: to the top under a name of its own, for the next pass. */
static void
move_to_top(struct sweeper *s, int dir_fd, const char *name)
{
    char moved[64];

    do
        (void)snprintf(moved, sizeof moved, ".asupersync-deep-%u", ++s->moved);
    while (faccessat(s->top_fd, moved, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    if (renameat(dir_fd, name, s->top_fd, moved) < 0) {
        note_error(s, errno);
        return;
    }
    s->again = true;
    note_progress(s);
}

static void
remove_content(struct sweeper *s, int fd_take, int depth)
{
    DIR *dir = fdopendir(fd_take);
    const struct dirent *entry;

    if (dir == NULL) {
        note_error(s, errno);
        close(fd_take);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        unsigned removed;
        int child;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type != DT_DIR) {
            if (unlinkat(dirfd(dir), entry->d_name, 0) == 0 || errno == ENOENT) {
                note_progress(s);
                continue;
            }
            if (errno != EISDIR) {
                note_error(s, errno);
                continue;
            }
        }
        if (unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
            note_progress(s);
            continue;
        }
        if (depth >= SWEEP_DEPTH_MAX) {
            move_to_top(s, dirfd(dir), entry->d_name);
            continue;
        }
        child = open_for_removal(dirfd(dir), entry->d_name);
        if (child < 0) {
            note_error(s, -child);
            continue;
        }
        removed = s->removed;
        remove_content(s, child, depth + 1);
        if (unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            note_progress(s);
        else if (errno == ENOTEMPTY && s->removed > removed)
            s->again = true; /* some file systems skip names while others go */
        else
            note_error(s, errno);
    }
    closedir(dir);
}

/* The group of nobody, everywhere. */
#define GID_NOBODY 65534

/* All the power of the owner of the directory, and no more: as the owner it
 * needs no group, and the directory's may be root's. */
static int
become_owner(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return errno;
    if (status.st_uid == 0)
        return 0; /* root's own: tasks that ran as root left it */
    if (setgroups(0, NULL) < 0 || setresgid(GID_NOBODY, GID_NOBODY, GID_NOBODY) < 0 ||
        setresuid(status.st_uid, status.st_uid, status.st_uid) < 0)
        return errno;
    return 0;
}

void
sweep_child_run(int work_fd, const char *name, int progress_fd, bool switch_user)
{
    struct sweeper s = {.progress_fd = progress_fd};
    sigset_t none;
    int fd;
    int rc;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* O_PATH asks nothing of the file system below; a mount on top of the
     * directory is an error, not something to look into. */
    s.top_fd = open_below(work_fd, name, O_PATH);
    if (s.top_fd < 0)
        _exit(-s.top_fd);
    if (switch_user && (rc = become_owner(s.top_fd)) != 0)
        _exit(rc);
    /* As the owner: its own mode may be in the way. */
    (void)fchmodat(work_fd, name, 0700, 0);
    do {
        s.again = false;
        s.error = 0;
        fd = open_below(s.top_fd, ".", O_RDONLY);
        if (fd < 0)
            _exit(-fd);
        remove_content(&s, fd, 0);
    } while (s.again);
    _exit(s.error & 0xff);
}
