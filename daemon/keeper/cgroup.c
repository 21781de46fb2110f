/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deeper nesting than this below one cgroup is left to its owner. */
#define CGROUP_NESTING_MAX 64

static int
cgroup_open(int dir_fd, const char *group, const char *file, int flags)
{
    char path[512];
    int fd;

    if (snprintf(path, sizeof path, "%s%s%s", group, group[0] != '\0' ? "/" : "", file) >=
        (int)sizeof path)
        return -ENAMETOOLONG;
    fd = openat(dir_fd, path, flags | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int
cgroup_write(int dir_fd, const char *group, const char *file, const char *text)
{
    int fd = cgroup_open(dir_fd, group, file, O_WRONLY);
    int rc = 0;

    if (fd < 0)
        return fd;
    if (write(fd, text, strlen(text)) < 0)
        rc = -errno;
    close(fd);
    return rc;
}

ssize_t
cgroup_read(int dir_fd, const char *group, const char *file, char *text, size_t size)
{
    int fd = cgroup_open(dir_fd, group, file, O_RDONLY);
    ssize_t got;

    text[0] = '\0';
    if (fd < 0)
        return fd;
    got = read(fd, text, size - 1);
    if (got < 0)
        got = -errno;
    else
        text[got] = '\0';
    close(fd);
    return got;
}

int
cgroup_number(int dir_fd, const char *group, const char *file, const char *key, uint64_t *out)
{
    char text[2048];
    const char *at = text;
    char *end;
    ssize_t got = cgroup_read(dir_fd, group, file, text, sizeof text);

    if (got < 0)
        return (int)got;
    if (key != NULL) {
        size_t size = strlen(key);

        while (strncmp(at, key, size) != 0 || at[size] != ' ') {
            at = strchr(at, '\n');
            if (at == NULL)
                return -ENODATA;
            at++;
        }
        at += size + 1;
    }
    errno = 0;
    *out = strtoull(at, &end, 10);
    return end == at || errno != 0 ? -ENODATA : 0;
}

int
cgroup_populated(int dir_fd, const char *group)
{
    uint64_t populated;
    int rc = cgroup_number(dir_fd, group, "cgroup.events", "populated", &populated);

    return rc < 0 ? rc : populated != 0;
}

int
cgroup_kill(int dir_fd, const char *group)
{
    return cgroup_write(dir_fd, group, "cgroup.kill", "1");
}

static int
remove_below(int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int rc = 0;

    if (dir == NULL) {
        rc = -errno;
        close(fd);
        return rc;
    }
    while ((entry = readdir(dir)) != NULL) {
        int child;

        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            continue;
        if (errno == EBUSY && depth < CGROUP_NESTING_MAX) {
            child = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (child >= 0 && remove_below(child, depth + 1) == 0 &&
                unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) == 0)
                continue;
        }
        rc = errno == 0 ? -EBUSY : -errno;
    }
    closedir(dir);
    return rc;
}

int
cgroup_remove_below(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : remove_below(fd, 0);
}

int
cgroup_remove(int dir_fd, const char *group)
{
    int fd;
    struct stat status;

    if (unlinkat(dir_fd, group, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY)
        return -errno;
    /* Busy: with processes (dying ones too, for a moment), or with cgroups
     * that a task made below its own. A directory without any has two links. */
    if (fstatat(dir_fd, group, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (status.st_nlink <= 2)
        return -EBUSY;
    fd = openat(dir_fd, group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)remove_below(fd, 0);
    return unlinkat(dir_fd, group, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

bool
cgroup_has_controller(int dir_fd, const char *group, const char *controller)
{
    char text[1024];
    char *save = NULL;

    if (cgroup_read(dir_fd, group, "cgroup.controllers", text, sizeof text) < 0)
        return false;
    for (char *word = strtok_r(text, " \n", &save); word != NULL;
         word = strtok_r(NULL, " \n", &save))
        if (strcmp(word, controller) == 0)
            return true;
    return false;
}

/* Mount points are written with \040 and the like for blanks. */
static void
unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* The first cgroup2 mount: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside
 * v1 hierarchies. A line is "31 23 0:28 ROOT MOUNT options - TYPE ...". */
static int
find_mount(char *root, size_t root_size, char *mount, size_t mount_size)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t line_size = 0;
    int rc = -ENOENT;

    if (file == NULL)
        return -errno;
    while (rc == -ENOENT && getline(&line, &line_size, file) > 0) {
        char *type = strstr(line, " - cgroup2 ");
        char *save = NULL;
        char *word;

        if (type == NULL)
            continue;
        *type = '\0';
        word = strtok_r(line, " ", &save);
        for (int i = 0; i < 3 && word != NULL; i++)
            word = strtok_r(NULL, " ", &save);
        if (word == NULL || snprintf(root, root_size, "%s", word) >= (int)root_size)
            continue;
        word = strtok_r(NULL, " ", &save);
        if (word == NULL || snprintf(mount, mount_size, "%s", word) >= (int)mount_size)
            continue;
        unescape(root);
        unescape(mount);
        rc = 0;
    }
    free(line);
    (void)fclose(file);
    return rc;
}

int
cgroup_locate(char *mount, size_t mount_size, char *own, size_t own_size)
{
    char root[512];
    char line[1024];
    const char *path = NULL;
    FILE *file;
    int rc = find_mount(root, sizeof root, mount, mount_size);

    if (rc < 0)
        return rc;
    file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return -errno;
    while (path == NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "0::", 3) == 0)
            path = line + 3;
    (void)fclose(file);
    if (path == NULL)
        return -ENOENT;
    line[strcspn(line, "\n")] = '\0';

    /* In a container the mount may show only a part of the hierarchy. */
    if (strcmp(root, "/") != 0 && strncmp(path, root, strlen(root)) == 0)
        path += strlen(root);
    if (strncmp(path, "/..", 3) == 0)
        return -EXDEV;
    if (strcmp(path, "/") == 0)
        path = "";
    if (snprintf(own, own_size, "%s%s", mount, path) >= (int)own_size)
        return -ENAMETOOLONG;
    return 0;
}
