/* SPDX-License-Identifier: MIT */
/*
 * From the command line to the fields of a request: budgets, processes and
 * regions as asupersync-protocol(7) names them. Each function adds to an
 * object and returns 0, or an exit code after it has said what is wrong.
 */
#ifndef ASUPERSYNC_CTL_REQUEST_H
#define ASUPERSYNC_CTL_REQUEST_H

#include "ctl.h"

/* Where the environment of a command comes from. */
enum environment {
    ENVIRONMENT_CLEAN, /* the daemon's defaults, and --env */
    ENVIRONMENT_OWN,   /* this process's, and --env */
};

/* --in, else $ASUPERSYNC_REGION, else "/". */
const char *request_region(const struct ctl *ctl);
/* The same as where to open one, left out when nobody says: then the daemon knows where this user
 * may. */
void request_parent(const struct ctl *ctl, json_t *args);
/* The region to look at: the operand; else the request leaves it out, which is "/", or in a task
 * its own. */
void request_look(const struct ctl *ctl, json_t *args);

int request_budget(struct ctl *ctl, json_t *object);
int request_duration(struct ctl *ctl, json_t *object, enum option_id id, const char *key);
int request_number(struct ctl *ctl, json_t *object, enum option_id id, const char *key,
                   uint64_t low, uint64_t high);

/* The fields of the process that runs `command` (NULL-terminated). */
int request_process(struct ctl *ctl, json_t *object, char *const *command,
                    enum environment environment);
/* Name, policy, finalizers and limits of a region. */
int request_region_options(struct ctl *ctl, json_t *object, enum environment environment);

/* This very program, once more, as the process of a task: `words` (taken) are its verb and flags;
 * then those of the options `passed` that have a value here, the second operand and the command. */
int request_self(struct ctl *ctl, json_t *object, json_t *words, const enum option_id *passed,
                 size_t count);

/* "/bin/sh -c LINE", labelled with the line. */
json_t *request_shell(const char *line);

#endif
