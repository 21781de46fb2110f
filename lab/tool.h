/* SPDX-License-Identifier: MIT */
/*
 * asupersync-lab: one program, one file a verb (cmd_*.c). A verb is a struct
 * lab_verb, listed once in main.c; its options are told there, so that parsing,
 * --help and the shell completions are made of the same table.
 *
 * Exit codes: 0; 1: what was looked at is not as it should be (verify), or not
 * the same (diff), or a run failed; 64 usage; 65 the file cannot be understood;
 * 66 there is no such file, or it may not be read; 69 what is needed is not
 * there; 71 no memory; 73 a file cannot be made.
 */
#ifndef ASUPERSYNC_LAB_TOOL_H
#define ASUPERSYNC_LAB_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sysexits.h>

#include <jansson.h>

#include "client/ctl/text.h"

enum { LAB_FAILED = 1 };

struct lab_option {
    const char *name;    /* NULL ends the list */
    const char *metavar; /* NULL: it takes no value */
    const char *help;
};

enum { LAB_OPTIONS_MAX = 32 };

struct lab_call;

struct lab_verb {
    const char *name;
    const char *operands; /* for the synopsis: "FILE" */
    int operands_least, operands_most;
    const char *summary; /* one line, no full stop */
    const char *details; /* sentences; lines are already broken */
    const char *example; /* lines, each a command without the program's name */
    const struct lab_option *options;
    int (*run)(struct lab_call *call); /* its exit code */
};

struct lab_call {
    const struct lab_verb *verb;
    const char *values[LAB_OPTIONS_MAX]; /* by the option's place; NULL: not given; without a
                                            value "" */
    const char *const *operands;
    int operand_count;
    bool json;
    bool quiet;
    struct look look; /* of stdout */
};

/* On every verb. */
extern const struct lab_option lab_common[];

extern const struct lab_verb verb_run, verb_show, verb_verify, verb_diff, verb_replay, verb_import;

/* ---- Options --------------------------------------------------------------------- */

/* The value of an option of the verb, by its name; NULL: not given. */
const char *lab_value(const struct lab_call *call, const char *option);
/* A number; false: wrong, and said so. *out stays when it was not given. */
bool lab_number(const struct lab_call *call, const char *option, uint64_t *out);

/* ---- Saying ------------------------------------------------------------------------ */

/* Complain on stderr, as JSON on stdout with --json. Returns the exit code. */
int lab_fail(const struct lab_call *call, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Of a code of trace_open() or trace_next(), with what it said. */
int lab_fail_trace(const struct lab_call *call, int rc, const char *why);
/* To stdout, and freed; one that cannot be written ends the program. */
void lab_print(struct text *text);
/* One object, a line of its own; freed. */
void lab_print_json(json_t *object);

/* ---- Shell completions --------------------------------------------------------------- */

/* False: not of that shell. */
bool lab_completion(struct text *out, const char *shell, const struct lab_verb *const *verbs,
                    size_t count);

#endif
