/* SPDX-License-Identifier: MIT */
/*
 * What a task's process shall look like, as it travels from the engine to the
 * keeper in a sealed memfd: one fixed header, then strings, each ended by a
 * NUL, in the order of the counts. The keeper never reads more than the
 * header (sizes and flags); the child, already without privileges, walks the
 * strings.
 */
#ifndef ASUPERSYNC_DAEMON_SPAWN_SPEC_H
#define ASUPERSYNC_DAEMON_SPAWN_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPAWN_SPEC_MAGIC 0x61737031u /* "asp1" */
#define SPAWN_RLIMIT_MAX 16          /* RLIM_NLIMITS */

enum spawn_stdio {
    SPAWN_STDIO_LOG,    /* stdin /dev/null; stdout and stderr into the log pipe */
    SPAWN_STDIO_PASSED, /* three descriptors wait on the LINK_STDIO connection */
    SPAWN_STDIO_NULL,   /* all three /dev/null: no pipe is made, passed on, and found empty */
};

struct spawn_header {
    uint32_t magic;
    uint32_t size;        /* of the whole memfd */
    uint32_t arg_count;   /* >= 1; the first is the program, looked up in the task's PATH */
    uint32_t env_count;   /* "NAME=value"; added to what the keeper sets itself */
    uint32_t stdio;       /* enum spawn_stdio */
    uint32_t clear_env;   /* 1: without HOME, USER, LOGNAME, SHELL, PATH defaults */
    uint32_t tty;         /* 1: descriptor 0 becomes the controlling terminal */
    uint32_t has_cwd;     /* 1: a string cwd follows; else HOME, else "/" */
    uint32_t has_path[3]; /* 1: a path for stdin, stdout (truncated), stderr follows */
    uint32_t path_append; /* 1: those of stdout and stderr are appended to */
    int32_t umask;        /* -1: 022 */
    int32_t nice;         /* INT32_MIN: 0; below 0 only for root */
    uint64_t memory_max;  /* bytes; 0: none */
    uint64_t pids_max;    /* 0: none */
    uint64_t rlimit_soft[SPAWN_RLIMIT_MAX]; /* UINT64_MAX - 1: not given */
    uint64_t rlimit_hard[SPAWN_RLIMIT_MAX];
    /* strings: cwd, stdin path, stdout path, stderr path (those there are),
     * arg_count arguments, env_count assignments */
};
#define SPAWN_RLIMIT_UNSET (UINT64_MAX - 1)

/* Where the strings of a checked spec begin; NULL-terminated arrays point into
 * the mapping. */
struct spawn_strings {
    const char *cwd;     /* NULL: none */
    const char *path[3]; /* NULL: none */
    char **args;
    char **env;
};

/* True when the counts, sizes and NULs of a mapped spec agree. */
bool spawn_spec_check(const void *data, size_t size);

/* Fill `out`; `slots` has room for arg_count + env_count + 2 pointers. The
 * data must have passed spawn_spec_check. */
void spawn_spec_strings(const void *data, char **slots, struct spawn_strings *out);

/* Make a sealed memfd from the header and the strings; env and args are
 * counted by the header. Returns a descriptor, or -errno. */
int spawn_spec_seal(struct spawn_header *header, const struct spawn_strings *strings);

#endif
