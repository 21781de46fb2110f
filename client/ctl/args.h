/* SPDX-License-Identifier: MIT */
/*
 * A parsed command line: the verb, its options in the order given, its
 * operands and the command to run. Strings are borrowed from argv.
 */
#ifndef ASUPERSYNC_CTL_ARGS_H
#define ASUPERSYNC_CTL_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"
#include "verbs.h"

struct given_option {
    enum option_id id;
    const char *value; /* NULL for one without value */
};

struct args {
    const struct verb *verb; /* NULL: none was given, or parsing failed before */
    struct given_option *items;
    size_t count;
    char **operands; /* operand_count of them */
    int operand_count;
    char **command; /* NULL-terminated; NULL: none */
};

/* What is wrong with a command line. */
struct usage_error {
    struct text message;
    struct text hint;
};

/* Parse argv[1..]. argv is reordered. Returns 0, or -1 with the error filled
 * in; args then holds what was understood. */
int args_parse(struct args *args, int argc, char **argv, struct usage_error *error);
void args_free(struct args *args);

bool args_have(const struct args *args, enum option_id id);
/* The last value given, or NULL. */
const char *args_value(const struct args *args, enum option_id id);

/* Print the list of verbs; the page of one verb. */
void usage_all(struct text *out);
void usage_verb(struct text *out, const struct verb *verb);

/* Print a completion script; false when the shell is not known. */
bool completion_script(struct text *out, const char *shell);

#endif
