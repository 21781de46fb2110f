/* SPDX-License-Identifier: MIT */
/*
 * The engine's configuration, asupersyncd.yaml(5).
 *
 * One table (config_keys) names every key with its type, bounds, place in
 * struct config and one line for people. It drives reading, checking,
 * printing and the manual. A key that is not given keeps its default; a key
 * that is wrong makes the whole file wrong, so that a reload either takes all
 * of it or changes nothing. Every message names file, line and column, what
 * is wrong, and what to write instead. The rules of "access" are a list, and
 * read beside the table (config_access.c, policy.h).
 */
#ifndef ASUPERSYNC_DAEMON_CONFIG_H
#define ASUPERSYNC_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/kernel.h"
#include "daemon/policy.h"

struct config {
    struct kernel_config kernel;
    uint64_t message_size_max;     /* bytes; larger requests answer TooLarge */
    uint32_t connections_max;      /* clients connected at once */
    uint32_t connections_per_user; /* of one uid */
    uint64_t stall_ns;             /* a client that reads nothing that long is cut off */
    uint32_t socket_mode;          /* 0: 0666 in system mode, 0600 in user mode */
    uint32_t events_count;         /* kept for events.watch */
    uint64_t events_bytes;
    uint64_t log_task_max;   /* bytes of output kept per task */
    uint64_t log_total_max;  /* and for all tasks together */
    uint32_t journal_events; /* between two snapshots */
    uint64_t journal_bytes;  /* likewise */
    uint64_t journal_wal;    /* the log is moved into the database beyond it */
    uint64_t unclaimed_ns;   /* how long handed-over descriptors wait for their task */
    uint32_t unclaimed_per_user;
    struct policy *access; /* who may do what; owned; NULL: no rules */
};

enum config_type {
    CONFIG_COUNT,    /* uint32_t */
    CONFIG_SIZE,     /* uint64_t, bytes: 512, 64K, 16MiB */
    CONFIG_DURATION, /* uint64_t, nanoseconds: 1.5s, 200ms, 2m, 1h30m */
    CONFIG_MODE,     /* uint32_t, octal: 0660 */
    CONFIG_FLAG,     /* bool: true, false */
};

struct config_key {
    const char *path; /* "limits.tasks-per-user" */
    enum config_type type;
    size_t offset;
    uint64_t min, max;
    bool restart; /* takes effect only when the daemon starts anew */
    const char *help;
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* The defaults. */
void config_init(struct config *config);
/* Give back what a configuration owns, once it has been read into. */
void config_fini(struct config *config);

/* Read a file over the defaults. Returns 0; or the number of errors, each
 * written to `errors` as one line; then `out` is untouched. A file that does
 * not exist is an error only when `required`. */
int config_load(const char *path, bool required, struct config *out, FILE *errors);

/* The same from memory; `name` stands for the file in messages. */
int config_parse(const char *name, const char *text, size_t size, struct config *out, FILE *errors);

/* Print a configuration as a file that config_load reads back, each key with
 * its help as a comment. */
void config_print(const struct config *config, FILE *out);

/* "1.5s" and the like; false: not a duration. */
bool config_duration(const char *text, uint64_t *ns_out);
/* "16MiB" and the like; false: not a size. */
bool config_size(const char *text, uint64_t *bytes_out);

#endif
