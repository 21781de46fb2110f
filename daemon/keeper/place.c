/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/place.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/keeper/log.h"

/* Make a directory and what is missing above it. */
static int
make_path(const char *path, mode_t mode)
{
    char part[512];
    size_t size = strlen(path);

    if (size >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, size + 1);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(part, mode) < 0 && errno != EEXIST ? -errno : 0;
}

/* A directory of ours: made if missing, never one that someone else could
 * change under us. Owner and mode are set on the open directory. */
static int
take_directory(const struct keeper *k, int at_fd, const char *path, uid_t uid, gid_t gid,
               mode_t mode)
{
    struct stat status;
    int fd;

    if (at_fd != AT_FDCWD && mkdirat(at_fd, path, 0700) < 0 && errno != EEXIST) {
        log_error("cannot create directory '%s': %s", path, strerror(errno));
        return -1;
    }
    fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        log_error("cannot open directory '%s': %s", path, strerror(errno));
        goto fail;
    }
    if (status.st_uid != k->own_uid && status.st_uid != uid) {
        log_error("directory '%s' belongs to user %u, not to %u: give it another owner, or name "
                  "another directory",
                  path, status.st_uid, k->own_uid);
        goto fail;
    }
    if ((status.st_uid != uid || status.st_gid != gid) && keeper_switches_user(k) &&
        fchown(fd, uid, gid) < 0) {
        log_error("cannot give directory '%s' to user %u: %s", path, uid, strerror(errno));
        goto fail;
    }
    if ((status.st_mode & 07777) != mode && fchmod(fd, mode) < 0) {
        log_error("cannot set the mode of directory '%s': %s", path, strerror(errno));
        goto fail;
    }
    return fd;
fail:
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Whom the engine runs as. Looking a user up may load and wait for anything,
 * so a child does it. */
static int
find_engine_user(struct keeper *k)
{
    struct {
        uid_t uid;
        gid_t gid;
    } found;
    int pipe_fds[2];
    pid_t pid;
    ssize_t got;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return KEEPER_EXIT_FAILED;
    pid = fork();
    if (pid == 0) {
        const struct passwd *entry = getpwnam(k->options->engine_user);

        if (entry == NULL)
            _exit(1);
        found.uid = entry->pw_uid;
        found.gid = entry->pw_gid;
        _exit(write(pipe_fds[1], &found, sizeof found) == sizeof found ? 0 : 1);
    }
    close(pipe_fds[1]);
    got = read(pipe_fds[0], &found, sizeof found);
    close(pipe_fds[0]);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    if (got != (ssize_t)sizeof found) {
        log_error("there is no user '%s' for the engine to run as: create it (systemd-sysusers), "
                  "or start as a user's own daemon with --user",
                  k->options->engine_user);
        return KEEPER_EXIT_NOPERM;
    }
    k->engine_uid = found.uid;
    k->engine_gid = found.gid;
    return 0;
}

/* One keeper at a time: the lock is held as long as this process lives. The
 * children close it before anything that could make them wait. */
static int
take_lock(struct keeper *k)
{
    char text[32] = "";
    struct stat status;
    ssize_t got;

    k->lock_fd = openat(k->runtime_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (k->lock_fd < 0 || fstat(k->lock_fd, &status) < 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != k->own_uid) {
        log_error("cannot use the lock file '%s/lock': %s", k->options->runtime_dir,
                  k->lock_fd < 0 ? strerror(errno) : "it is not a file of ours");
        return KEEPER_EXIT_CANTCREAT;
    }
    if (flock(k->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        got = pread(k->lock_fd, text, sizeof text - 1, 0);
        text[got > 0 ? strspn(text, "0123456789") : 0] = '\0';
        log_error("another asupersyncd (pid %s) runs with the runtime directory '%s': shut it "
                  "down first, or name another one with --runtime-dir",
                  text[0] != '\0' ? text : "unknown", k->options->runtime_dir);
        return KEEPER_EXIT_RUNNING;
    }
    if (ftruncate(k->lock_fd, 0) < 0 ||
        pwrite(k->lock_fd, text, (size_t)snprintf(text, sizeof text, "%d\n", (int)getpid()), 0) <
            0) {
        log_error("cannot write '%s/lock': %s", k->options->runtime_dir, strerror(errno));
        return KEEPER_EXIT_CANTCREAT;
    }
    return 0;
}

/* Nor may two write one journal. The directory itself is locked: that takes no
 * room on a full disk. */
static int
lock_state(struct keeper *k)
{
    k->state_lock_fd = openat(k->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (k->state_lock_fd >= 0 && flock(k->state_lock_fd, LOCK_EX | LOCK_NB) < 0 &&
        errno == EWOULDBLOCK) {
        log_error("another asupersyncd, with another runtime directory, uses the state directory "
                  "'%s': shut it down first, or name another one with --state-dir",
                  k->options->state_dir);
        return KEEPER_EXIT_RUNNING;
    }
    return 0;
}

int
place_directories(struct keeper *k)
{
    const struct keeper_options *options = k->options;
    const bool system = keeper_switches_user(k);
    int logs_fd;
    int notify_fd;
    int rc;

    k->engine_uid = k->own_uid;
    k->engine_gid = getegid();
    if (system) {
        if (k->own_uid != 0) {
            log_error("a system daemon must be started by root; start your own one with --user");
            return KEEPER_EXIT_NOPERM;
        }
        rc = find_engine_user(k);
        if (rc != 0)
            return rc;
    }
    rc = make_path(options->runtime_dir, 0700);
    if (rc < 0) {
        log_error("cannot create the runtime directory '%s': %s", options->runtime_dir,
                  strerror(-rc));
        return KEEPER_EXIT_CANTCREAT;
    }
    /* The engine makes its sockets here, but the sticky bit keeps it from the
     * keeper's files. */
    k->runtime_fd = take_directory(k, AT_FDCWD, options->runtime_dir, k->own_uid, k->engine_gid,
                                   system ? 01775 : 0700);
    if (k->runtime_fd < 0)
        return KEEPER_EXIT_CANTCREAT;
    rc = take_lock(k);
    if (rc != 0)
        return rc;
    rc = make_path(options->state_dir, 0700);
    if (rc < 0) {
        log_error("cannot create the state directory '%s': %s", options->state_dir, strerror(-rc));
        return KEEPER_EXIT_CANTCREAT;
    }
    k->state_fd = take_directory(k, AT_FDCWD, options->state_dir, k->own_uid, k->engine_gid,
                                 system ? 01775 : 0700);
    if (k->state_fd < 0)
        return KEEPER_EXIT_CANTCREAT;
    rc = lock_state(k);
    if (rc != 0)
        return rc;
    k->work_fd =
        take_directory(k, k->state_fd, "work", k->own_uid, getegid(), system ? 0711 : 0700);
    logs_fd = take_directory(k, k->state_fd, "logs", k->engine_uid, k->engine_gid, 0700);
    notify_fd = take_directory(k, k->runtime_fd, "notify", k->engine_uid, k->engine_gid,
                               system ? 0711 : 0700);
    if (logs_fd >= 0)
        close(logs_fd);
    if (notify_fd >= 0)
        close(notify_fd);
    return k->work_fd < 0 || logs_fd < 0 || notify_fd < 0 ? KEEPER_EXIT_CANTCREAT : 0;
}

void
place_renew(struct keeper *k, bool starting)
{
    static const char *const sockets[] = {"asupersyncd.sock", "stdio.sock"};
    struct stat status;
    int notify_fd;

    if (!keeper_switches_user(k))
        return;
    if (fchown(k->runtime_fd, k->own_uid, k->engine_gid) < 0 || fchmod(k->runtime_fd, 01775) < 0)
        log_error("the runtime directory cannot be given to the engine: %s", strerror(errno));
    notify_fd = take_directory(k, k->runtime_fd, "notify", k->engine_uid, k->engine_gid, 0711);
    if (notify_fd >= 0)
        close(notify_fd);
    for (size_t i = 0; starting && i < sizeof sockets / sizeof sockets[0]; i++) {
        if (fstatat(k->runtime_fd, sockets[i], &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISSOCK(status.st_mode) && status.st_uid != k->engine_uid)
            (void)unlinkat(k->runtime_fd, sockets[i], 0);
    }
}
