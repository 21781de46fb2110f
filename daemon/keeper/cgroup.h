/* SPDX-License-Identifier: MIT */
/*
 * cgroup v2, by files: small operations relative to a directory descriptor,
 * which say what happened by 0 or -errno and never wait.
 */
#ifndef ASUPERSYNC_KEEPER_CGROUP_H
#define ASUPERSYNC_KEEPER_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Write a short text into a file of a cgroup. `group` "" is the directory
 * itself. */
int cgroup_write(int dir_fd, const char *group, const char *file, const char *text);

/* Read a file of a cgroup into `text`, NUL-terminated (cut to size): the
 * number of bytes, or -errno. */
ssize_t cgroup_read(int dir_fd, const char *group, const char *file, char *text, size_t size);

/* The number that stands after `key` in a flat-keyed file ("cpu.stat",
 * "memory.events", "cgroup.events"), or the number in the file when key is
 * NULL: 0 or -errno. */
int cgroup_number(int dir_fd, const char *group, const char *file, const char *key, uint64_t *out);

/* 1 when a process lives in it or below, 0 when none, -errno. */
int cgroup_populated(int dir_fd, const char *group);

/* Kill everything in it and below (cgroup.kill, Linux 5.14). */
int cgroup_kill(int dir_fd, const char *group);

/* Remove it with every cgroup below; all must be empty (else -EBUSY). */
int cgroup_remove(int dir_fd, const char *group);

/* Remove every cgroup below the directory, but not the directory itself. */
int cgroup_remove_below(int dir_fd);

/* Whether the controller stands in cgroup.controllers. */
bool cgroup_has_controller(int dir_fd, const char *group, const char *controller);

/* Where cgroup v2 is mounted, and the cgroup that this process is in; both
 * absolute paths. 0 or -errno (-ENOENT: cgroup v2 is not mounted here). */
int cgroup_locate(char *mount, size_t mount_size, char *own, size_t own_size);

#endif
