/* SPDX-License-Identifier: MIT */
/*
 * Reading answers that have become JSON. A field that is absent, null or of
 * another type reads as "not there", so that an answer of a newer daemon never
 * breaks a listing.
 */
#ifndef ASUPERSYNC_CTL_FIELDS_H
#define ASUPERSYNC_CTL_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* ---- Fields ------------------------------------------------------------------ */

const char *get_text(const json_t *object, const char *key); /* "" when absent */
uint64_t get_number(const json_t *object, const char *key, uint64_t absent);
bool get_true(const json_t *object, const char *key);

/* The wall clock in nanoseconds since 1970; a clock for measuring. */
uint64_t now_wall_ns(void);
uint64_t now_steady_ns(void);

/* Exit code of an outcome in JSON: asup_outcome_exit_code() on its fields. */
int outcome_exit_code(const json_t *outcome);
/* Severity of an outcome in JSON; -1 when there is none. */
int outcome_severity(const json_t *outcome);

#endif
