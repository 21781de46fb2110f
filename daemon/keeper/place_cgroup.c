/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "daemon/keeper/cgroup.h"
#include "daemon/keeper/log.h"

/* How long a dead predecessor's processes may take to go. */
#define LEFTOVER_GONE_NS (30 * ASUP_NS_PER_S)

#define SIBLINGS_LOCK_TRIES 500

/* RUNTIME/cgroup: the base, and whether it was the keeper's own cgroup. */
#define REMEMBERED_OWN "own "
#define REMEMBERED_MADE "made "

#define BASE_PREFIX "asupersyncd-"
#define BASE_HASH_SIZE 16

/* FNV-1a, 64 bits: two runtime directories must never share a name, since what
 * stands under it is killed. */
static unsigned long long
hash_text(const char *text)
{
    unsigned long long hash = 0xcbf29ce484222325ull;

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
    return hash;
}

static int
open_group(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Kill all that lives in base/<part> and remove it: 0 or -errno. */
static int
clear_group(int base_fd, const char *part)
{
    uint64_t end_at = keeper_clock() + LEFTOVER_GONE_NS;
    int rc = cgroup_populated(base_fd, part);

    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (rc > 0)
        log_warning("processes of a daemon that died are left; killing them");
    for (;;) {
        (void)cgroup_kill(base_fd, part);
        rc = cgroup_populated(base_fd, part);
        /* Another daemon that starts may have removed the empty one. */
        if (rc == -ENOENT || rc == -ENODEV || (rc == 0 && cgroup_remove(base_fd, part) == 0))
            return 0;
        if (keeper_clock() > end_at)
            return -EBUSY;
        (void)poll(NULL, 0, 2);
    }
}

/* What RUNTIME/cgroup says is trusted only if no one else can have written
 * it: it names processes that are killed as root. */
static int
read_remembered(const struct keeper *k, char *text, size_t size)
{
    struct stat status;
    ssize_t got = -1;
    int fd = openat(k->runtime_fd, "cgroup", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    text[0] = '\0';
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == k->own_uid &&
        status.st_nlink == 1 && (status.st_mode & 022) == 0)
        got = read(fd, text, size - 1);
    close(fd);
    if (got < 0)
        return -EPERM;
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return 0;
}

static int
clear_predecessor(struct keeper *k)
{
    char text[600];
    const char *base;
    bool was_own;
    int base_fd;
    int rc = read_remembered(k, text, sizeof text);

    if (rc == 0 && text[0] == '\0')
        return 0;
    was_own = rc == 0 && strncmp(text, REMEMBERED_OWN, strlen(REMEMBERED_OWN)) == 0;
    if (rc < 0 || (!was_own && strncmp(text, REMEMBERED_MADE, strlen(REMEMBERED_MADE)) != 0)) {
        log_error("the file '%s/cgroup' is not one this daemon wrote; remove it",
                  k->options->runtime_dir);
        return KEEPER_EXIT_FAILED;
    }
    base = strchr(text, ' ') + 1;
    base_fd = open_group(base);
    if (base_fd < 0)
        return 0; /* gone, as after a restart of the machine */
    rc = clear_group(base_fd, "tree");
    if (rc == 0)
        rc = clear_group(base_fd, "daemon");
    close(base_fd);
    if (rc == 0 && !was_own)
        (void)rmdir(base);
    if (rc < 0) {
        log_error("processes that an earlier daemon left in the cgroup '%s' do not go away: %s",
                  base, strerror(-rc));
        return KEEPER_EXIT_FAILED;
    }
    return 0;
}

/* One daemon at a time makes its cgroup or removes those of dead ones: an
 * empty tree/ in the making looks like a dead one's. Whoever holds the lock for
 * longer is no daemon, and is not waited for. */
static int
lock_siblings(const char *own, bool *locked)
{
    int fd = open_group(own);

    *locked = false;
    for (int tries = 0; fd >= 0 && !*locked && tries < SIBLINGS_LOCK_TRIES; tries++) {
        *locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (!*locked)
            (void)poll(NULL, 0, 2);
    }
    return fd;
}

/* Daemons that died and whose runtime directory is gone, too, leave an empty
 * cgroup that no one would ever look at again. A living one is populated. */
static void
remove_dead_siblings(const char *own)
{
    DIR *dir = opendir(own);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, BASE_PREFIX, strlen(BASE_PREFIX)) == 0 &&
            strlen(entry->d_name) == strlen(BASE_PREFIX) + BASE_HASH_SIZE &&
            cgroup_populated(dirfd(dir), entry->d_name) == 0)
            (void)cgroup_remove(dirfd(dir), entry->d_name);
    if (dir != NULL)
        closedir(dir);
}

/* base, daemon/, tree/ and tree/sweep, from nothing; and into daemon/. */
static int
make_groups(const struct cgroup_place *place, int *base_fd)
{
    int rc;

    if (!place->base_is_own && mkdir(place->base, 0755) < 0 && errno != EEXIST)
        return -errno;
    *base_fd = open_group(place->base);
    if (*base_fd < 0)
        return -errno;
    /* Also without a remembered path: a lost RUNTIME must save no one. */
    rc = clear_group(*base_fd, "tree");
    if (rc == 0)
        rc = clear_group(*base_fd, "daemon");
    if (rc == 0 && (mkdirat(*base_fd, "daemon", 0755) < 0 || mkdirat(*base_fd, "tree", 0755) < 0 ||
                    mkdirat(*base_fd, "tree/sweep", 0755) < 0))
        rc = -errno;
    return rc < 0 ? rc : cgroup_write(*base_fd, "daemon", "cgroup.procs", "0");
}

/* Systemd marks what it delegated; it is ours alone if nobody else is in it. */
static bool
own_is_ours(const char *own)
{
    char value[8];
    char procs[64];
    char *end;
    int fd;
    bool alone;

    if (getxattr(own, "user.delegate", value, sizeof value) < 1 &&
        getxattr(own, "trusted.delegate", value, sizeof value) < 1)
        return false;
    if (value[0] != '1')
        return false;
    fd = open_group(own);
    if (fd < 0)
        return false;
    alone = cgroup_read(fd, "", "cgroup.procs", procs, sizeof procs) > 0 &&
            strtol(procs, &end, 10) == (long)getpid() && strcmp(end, "\n") == 0;
    close(fd);
    return alone;
}

static int
remember(const struct keeper *k)
{
    char text[600];
    int size = snprintf(text, sizeof text, "%s%s\n",
                        k->cgroup.base_is_own ? REMEMBERED_OWN : REMEMBERED_MADE, k->cgroup.base);
    int fd;
    ssize_t done;

    (void)unlinkat(k->runtime_fd, "cgroup.new", 0);
    fd = openat(k->runtime_fd, "cgroup.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    done = write(fd, text, (size_t)size);
    close(fd);
    if (done != size || renameat(k->runtime_fd, "cgroup.new", k->runtime_fd, "cgroup") < 0)
        return -EIO;
    return 0;
}

static int
explain_no_cgroup(const struct keeper *k, const char *where, int error)
{
    log_error("cannot contain processes: %s: %s", where, strerror(error));
    if (error == ENOENT || error == ENOSYS)
        log_error("cgroup v2 with cgroup.kill (Linux 5.14) must be mounted, "
                  "usually at /sys/fs/cgroup");
    else if (k->own_uid != 0)
        log_error("an ordinary user needs a delegated cgroup. Start it with\n"
                  "    systemd-run --user --scope -p Delegate=yes asupersyncd --user\n"
                  "or, for best effort only, with --containment=subreaper");
    else
        log_error("cgroup v2 must be writable; for best effort only: --containment=subreaper");
    return KEEPER_EXIT_NOPERM;
}

/* Enable what tasks can have limits of, for all below base and tree. That
 * fails where other processes live in base, and then there are no limits. */
static void
enable_controllers(struct keeper *k, int base_fd)
{
    static const char *const names[2] = {"memory", "pids"};
    bool *const found[2] = {&k->cgroup.memory, &k->cgroup.pids};

    for (int i = 0; i < 2; i++) {
        char order[16];

        (void)snprintf(order, sizeof order, "+%s", names[i]);
        *found[i] = cgroup_has_controller(base_fd, "", names[i]) &&
                    cgroup_write(base_fd, "", "cgroup.subtree_control", order) == 0 &&
                    cgroup_has_controller(base_fd, "tree", names[i]);
    }
}

int
place_cgroups(struct keeper *k)
{
    struct cgroup_place *place = &k->cgroup;
    char mount[512];
    int base_fd = -1;
    int lock_fd;
    int status;
    int rc;
    bool locked;

    place->tree_fd = -1;
    status = clear_predecessor(k);
    if (status != 0)
        return status;
    (void)unlinkat(k->runtime_fd, "cgroup", 0);
    if (k->options->containment == CONTAINMENT_ONLY_SUBREAPER) {
        k->containment = CONTAINMENT_SUBREAPER;
        return 0;
    }
    rc = cgroup_locate(mount, sizeof mount, place->own, sizeof place->own);
    if (rc < 0)
        return explain_no_cgroup(k, "finding the cgroup this was started in", -rc);

    place->base_is_own = own_is_ours(place->own);
    rc = place->base_is_own ? snprintf(place->base, sizeof place->base, "%s", place->own)
                            : snprintf(place->base, sizeof place->base, "%s/" BASE_PREFIX "%016llx",
                                       place->own, hash_text(k->options->runtime_dir));
    if (rc >= (int)sizeof place->base - 8)
        return explain_no_cgroup(k, place->own, ENAMETOOLONG);
    lock_fd = lock_siblings(place->own, &locked);
    if (!place->base_is_own && locked)
        remove_dead_siblings(place->own);
    rc = make_groups(place, &base_fd);
    if (lock_fd >= 0)
        close(lock_fd);
    if (rc == 0)
        rc = remember(k);
    if (rc == 0 && faccessat(base_fd, "tree/cgroup.kill", W_OK, 0) < 0)
        rc = -ENOSYS;
    if (rc == 0) {
        (void)snprintf(place->tree, sizeof place->tree, "%.505s/tree", place->base);
        place->tree_fd = open_group(place->tree);
        if (place->tree_fd < 0)
            rc = -errno;
    }
    if (rc == 0) {
        enable_controllers(k, base_fd);
        place->present = true;
    }
    if (base_fd >= 0)
        close(base_fd);
    if (rc < 0) {
        status = explain_no_cgroup(k, place->base, -rc);
        place_leave(k);
    }
    return status;
}

void
place_leave(struct keeper *k)
{
    struct cgroup_place *place = &k->cgroup;
    char pid[24];
    int base_fd;
    int own_fd;

    if (place->tree_fd >= 0)
        close(place->tree_fd);
    place->tree_fd = -1;
    if (place->base[0] == '\0')
        return;
    base_fd = open_group(place->base);
    own_fd = open_group(place->own);
    if (base_fd >= 0 && own_fd >= 0) {
        (void)cgroup_remove(base_fd, "tree");
        /* A cgroup with enabled controllers takes no processes. */
        if (place->memory)
            (void)cgroup_write(base_fd, "", "cgroup.subtree_control", "-memory");
        if (place->pids)
            (void)cgroup_write(base_fd, "", "cgroup.subtree_control", "-pids");
        (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
        if (cgroup_write(own_fd, "", "cgroup.procs", pid) == 0) {
            (void)cgroup_remove(base_fd, "daemon");
            if (!place->base_is_own)
                (void)rmdir(place->base);
        }
    }
    if (base_fd >= 0)
        close(base_fd);
    if (own_fd >= 0)
        close(own_fd);
    (void)unlinkat(k->runtime_fd, "cgroup", 0);
}
