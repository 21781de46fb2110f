/* SPDX-License-Identifier: MIT */
/**
 * @file values.h
 * The laws of outcomes, cancel reasons and budgets, and their names.
 *
 * Three small algebras carry the results of a whole tree of work:
 *
 *     outcomes  combine     keep the worst, then the earliest   (R-OUT-1)
 *     reasons   strengthen  keep the most severe, the earliest  (R-CAN-1)
 *     budgets   meet        keep the tighter of every limit     (R-BUD-1)
 *
 * Each is associative, commutative and idempotent, so the order in which a
 * tree reports its parts never changes what comes out at the top. Two keys
 * that compare equal stand for the same outcome or reason.
 *
 * Every function here is pure: it allocates nothing, keeps nothing, reads no
 * clock and may be called from any thread at any time. Pointers are borrowed
 * for the call; a pointer that is returned is one of those passed in, or text
 * that lives for ever.
 */
#ifndef ASUPERSYNC_VALUES_H
#define ASUPERSYNC_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asupersync/api.h"
#include "asupersync/error.h"
#include "asupersync/types.h"

ASUP_DECLS_BEGIN

/* ---- Outcomes ------------------------------------------------------------ */

/**
 * Order two outcomes by what decides between them (R-OUT-1): worse severity,
 * then earlier instant, then smaller origin.
 *
 * @return Greater than 0 when @p a wins over @p b, less than 0 when @p b wins,
 *         0 when they are the same.
 */
ASUP_API int
asup_outcome_compare(const struct asup_outcome_key *a, const struct asup_outcome_key *b);

/** Whether @p a wins over @p b; false when they are the same. */
ASUP_API bool
asup_outcome_worse(const struct asup_outcome_key *a, const struct asup_outcome_key *b);

/**
 * Combine two outcomes (R-OUT-1).
 *
 * NULL stands for "nothing ended" and is neutral. An Ok never changes a worse
 * outcome; of two Oks the earlier stays.
 *
 * @return @p a or @p b, whichever wins; @p a when they are the same.
 */
ASUP_API const struct asup_outcome *
asup_outcome_combine(const struct asup_outcome *a, const struct asup_outcome *b);

/**
 * The exit code that a command with this outcome ends with (R-OUT-3).
 *
 *     Ok         its own exit code, 0 without one
 *     Err        its own exit code; 127 when the program was not found, 126
 *                when it could not be executed; 1 without any
 *     Cancelled  by the root cause: 124 Timeout, Deadline, PollQuota and
 *                CostBudget, 130 User, 143 all others and an unknown one
 *     Panicked   128 + signal; 70 without one
 *
 * @return 0 to 255.
 */
ASUP_API int asup_outcome_exit_code(const struct asup_outcome *outcome);

/**
 * The HTTP status that says the same as this outcome (R-OUT-3): Ok 200,
 * Cancelled 499, Panicked 500. An Err is sorted by its class:
 *
 *     a start that failed   not found 404, not allowed 403, arguments too
 *                           long 413, not a program 422, no process or
 *                           memory to be had 503, anything else 500
 *     an exit code          those of sysexits.h that blame the request: usage
 *                           400, data 422, no input or no such user 404, no
 *                           permission 403; of those that blame what is
 *                           behind: no such host, protocol 502, unavailable,
 *                           try again 503
 *     anything else         500
 */
ASUP_API int asup_outcome_http_status(const struct asup_outcome *outcome);

/* ---- Cancel reasons ------------------------------------------------------- */

/**
 * The severity tier of a cancel kind, 0 (User) to 5 (Shutdown). A number that
 * is no kind has tier 0.
 */
ASUP_API unsigned asup_cancel_tier(uint8_t kind);

/**
 * Order two reasons by what decides between them (R-CAN-1): more severe tier,
 * then earlier instant, then smaller origin. Where all three agree the smaller
 * kind wins, so that no order is left to chance.
 *
 * @return Greater than 0 when @p a wins over @p b, less than 0 when @p b wins,
 *         0 when they are the same.
 */
ASUP_API int asup_reason_compare(const struct asup_reason_key *a, const struct asup_reason_key *b);

/** Whether @p a wins over @p b; false when they are the same. */
ASUP_API bool
asup_reason_stronger(const struct asup_reason_key *a, const struct asup_reason_key *b);

/**
 * Strengthen one reason by another (R-CAN-1). Only the first link of each
 * chain is compared; NULL stands for "not cancelled" and is neutral.
 *
 * @return @p a or @p b, whichever wins; @p a when they are the same.
 */
ASUP_API const struct asup_reason *
asup_reason_strengthen(const struct asup_reason *a, const struct asup_reason *b);

/** The root cause: the last link of the chain. NULL for NULL. */
ASUP_API const struct asup_reason *asup_reason_root(const struct asup_reason *reason);

/* ---- Budgets --------------------------------------------------------------- */

/** The priority that an unset one runs as. */
#define ASUP_PRIORITY_DEFAULT 128

/** The budget that limits nothing: the identity of asup_budget_meet(). */
ASUP_API struct asup_budget asup_budget_empty(void);

/**
 * The budget that both allow (R-BUD-1): the earlier limit, the smaller quotas,
 * the higher priority. Of a Timeout and a Deadline at the same instant the
 * Deadline stays.
 */
ASUP_API struct asup_budget
asup_budget_meet(const struct asup_budget *a, const struct asup_budget *b);

/**
 * Cap a budget's priority (R-BUD-1).
 *
 * @param ceiling  Highest priority allowed, 1 to 255; 0: no cap. An unset
 *                 priority counts as ASUP_PRIORITY_DEFAULT and stays unset
 *                 where that is allowed.
 */
ASUP_API struct asup_budget asup_budget_cap(const struct asup_budget *budget, uint8_t ceiling);

/* ---- Names ------------------------------------------------------------------
 * The words used on the wire, in JSON and in texts. Lookups by number answer
 * "unknown" for a number that is none, never NULL; lookups by name want
 * NUL-terminated text, compare exactly, and answer -ASUP_EINVALID for a word
 * that is none. */

/** "ok", "err", "cancelled", "panicked". */
ASUP_API const char *asup_severity_name(uint8_t severity);
ASUP_API int asup_severity_from_name(const char *name);

/** "user", "timeout", ..., "shutdown". */
ASUP_API const char *asup_cancel_kind_name(uint8_t kind);
ASUP_API int asup_cancel_kind_from_name(const char *name);

/** "open", "closing", "draining", "finalizing", "closed". */
ASUP_API const char *asup_region_state_name(uint8_t state);
ASUP_API int asup_region_state_from_name(const char *name);

/** "created", "running", ..., "completed". */
ASUP_API const char *asup_task_state_name(uint8_t state);
ASUP_API int asup_task_state_from_name(const char *name);

/** "collect", "fail-fast", "race", "first-ok", "quorum", "last". */
ASUP_API const char *asup_policy_name(uint8_t policy);
ASUP_API int asup_policy_from_name(const char *name);

/* ---- Errors -----------------------------------------------------------------
 * Codes are taken with either sign: ASUP_EBUSY and -ASUP_EBUSY mean the same. */

/** The short name, such as "region-closed"; "ok" for 0. */
ASUP_API const char *asup_error_name(int code);

/** One sentence for people. */
ASUP_API const char *asup_error_text(int code);

/** The code of a short name, greater than 0, or -ASUP_EINVALID. */
ASUP_API int asup_error_from_name(const char *name);

/** The HTTP status that says the same; 200 for 0, 500 for an unknown code. */
ASUP_API int asup_error_http_status(int code);

/** Whether the very same request may succeed later without anyone changing it. */
ASUP_API bool asup_error_retry_helps(int code);

/* ---- Identifiers in text ------------------------------------------------------ */

/** Room for any identifier in text, its NUL included. */
#define ASUP_REF_TEXT_SIZE 24

/**
 * Write an identifier as text: "r12", "t7", "s3".
 *
 * @param[out] out  At least ASUP_REF_TEXT_SIZE bytes always suffice; NUL-terminated.
 * @param size      Size of @p out in bytes.
 *
 * @return Length without the NUL; -ASUP_EINVALID for the id 0 or an unknown
 *         sort; -ASUP_ETOOLARGE when it does not fit. On error @p out holds
 *         the empty text where it has room for one.
 */
ASUP_API int asup_ref_format(struct asup_ref ref, char *out, size_t size);

/**
 * Read an identifier from text.
 *
 * Strict, so that every id has one text: a known letter, then a decimal number
 * from 1 up without leading zeros, then nothing.
 *
 * @param text      UTF-8, no NUL needed.
 * @param size      Size of @p text in bytes.
 * @param[out] out  Written on success only.
 *
 * @return 0; -ASUP_EINVALID when it is no identifier.
 */
ASUP_API int asup_ref_parse(const char *text, size_t size, struct asup_ref *out);

/* ---- Durations in text ---------------------------------------------------------- */

/** Room for any duration in text, its NUL included. */
#define ASUP_DURATION_TEXT_SIZE 40

/**
 * Read a duration: "1.5s", "200ms", "2m", "1h30m", "0", "never".
 *
 * Numbers with a unit each (d, h, m, s, ms, us, ns), larger units first, each
 * unit at most once, nothing between them. Only the last number may have a
 * fraction, and that must come out in whole nanoseconds.
 *
 * @param text     UTF-8, no NUL needed.
 * @param size     Size of @p text in bytes.
 * @param[out] ns  Nanoseconds, ASUP_NEVER for "never"; written on success only.
 *
 * @return 0; -ASUP_EINVALID when it is no duration (a number without a unit is
 *         none, but for "0"); -ASUP_ETOOLARGE when it is longer than 64 bits
 *         of nanoseconds hold.
 */
ASUP_API int asup_duration_parse(const char *text, size_t size, uint64_t *ns);

/**
 * Write a duration exactly, in the form that asup_duration_parse() reads back
 * to the same number: "1h30m", "1.5s", "200ms", "0", "never".
 *
 * @param[out] out  At least ASUP_DURATION_TEXT_SIZE bytes always suffice; NUL-terminated.
 * @param size      Size of @p out in bytes.
 *
 * @return Length without the NUL, or -ASUP_ETOOLARGE when it does not fit,
 *         with the empty text in @p out where it has room for one.
 */
ASUP_API int asup_duration_format(uint64_t ns, char *out, size_t size);

ASUP_DECLS_END

#endif
