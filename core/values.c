/* SPDX-License-Identifier: MIT */
#include "asupersync/values.h"

#include <linux/errno.h> /* the numbers, not the variable */
#include <string.h>

/* Less, equal, greater as -1, 0, 1. */
static int
order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* ---- Outcomes (R-OUT-1, R-OUT-3) ------------------------------------------ */

int
asup_outcome_compare(const struct asup_outcome_key *a, const struct asup_outcome_key *b)
{
    if (a->severity != b->severity)
        return order(a->severity, b->severity);
    if (a->at != b->at)
        return order(b->at, a->at);
    return order(b->origin, a->origin);
}

bool
asup_outcome_worse(const struct asup_outcome_key *a, const struct asup_outcome_key *b)
{
    return asup_outcome_compare(a, b) > 0;
}

const struct asup_outcome *
asup_outcome_combine(const struct asup_outcome *a, const struct asup_outcome *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    return asup_outcome_worse(&b->key, &a->key) ? b : a;
}

enum {
    EXIT_TIMED_OUT = 124,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL_BASE = 128,
    EXIT_INTERRUPTED = 130,
    EXIT_TERMINATED = 143,
    EXIT_PANICKED = 70,
};

static int
exit_code_of_cancelled(const struct asup_reason *reason)
{
    const struct asup_reason *root = asup_reason_root(reason);

    if (root == NULL)
        return EXIT_TERMINATED;
    switch (root->key.kind) {
    case ASUP_CANCEL_USER:
        return EXIT_INTERRUPTED;
    case ASUP_CANCEL_TIMEOUT:
    case ASUP_CANCEL_DEADLINE:
    case ASUP_CANCEL_POLL_QUOTA:
    case ASUP_CANCEL_COST_BUDGET:
        return EXIT_TIMED_OUT;
    default:
        return EXIT_TERMINATED;
    }
}

static int
exit_code_of_err(const struct asup_outcome *o)
{
    bool exec_failed = o->stage != NULL && strcmp(o->stage, "exec") == 0;

    if (o->exit_code > 0)
        return o->exit_code & 0xff;
    if (exec_failed)
        return o->error_number == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    if (o->error_number != 0)
        return EXIT_NOT_EXECUTABLE;
    return 1;
}

int
asup_outcome_exit_code(const struct asup_outcome *outcome)
{
    switch (outcome->key.severity) {
    case ASUP_OK:
        return outcome->exit_code > 0 ? outcome->exit_code & 0xff : 0;
    case ASUP_ERR:
        return exit_code_of_err(outcome);
    case ASUP_CANCELLED:
        return exit_code_of_cancelled(outcome->reason);
    default:
        return outcome->signal > 0 ? (EXIT_SIGNAL_BASE + outcome->signal) & 0xff : EXIT_PANICKED;
    }
}

static int
http_status_of_start_failure(int32_t error_number)
{
    switch (error_number) {
    case ENOENT:
    case ENOTDIR:
        return 404;
    case EACCES:
    case EPERM:
        return 403;
    case E2BIG:
        return 413;
    case ENOEXEC:
        return 422;
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return 503;
    default:
        return 500;
    }
}

/* The exit codes of sysexits.h; those that are not here are 500. */
static int
http_status_of_exit(int32_t exit_code)
{
    switch (exit_code) {
    case 64: /* usage */
        return 400;
    case 65: /* data */
        return 422;
    case 66: /* no input */
    case 67: /* no such user */
        return 404;
    case 68: /* no such host */
    case 76: /* protocol */
        return 502;
    case 69: /* unavailable */
    case 75: /* try again */
        return 503;
    case 77: /* no permission */
        return 403;
    default:
        return 500;
    }
}

int
asup_outcome_http_status(const struct asup_outcome *outcome)
{
    switch (outcome->key.severity) {
    case ASUP_OK:
        return 200;
    case ASUP_ERR:
        return outcome->error_number != 0 ? http_status_of_start_failure(outcome->error_number)
                                          : http_status_of_exit(outcome->exit_code);
    case ASUP_CANCELLED:
        return 499;
    default:
        return 500;
    }
}

/* ---- Cancel reasons (R-CAN-1) ---------------------------------------------- */

unsigned
asup_cancel_tier(uint8_t kind)
{
    switch (kind) {
#define CASE(name, number, tier, wire)                                                             \
    case number:                                                                                   \
        return tier;
        ASUP_CANCEL_LIST(CASE)
#undef CASE
    default:
        return 0;
    }
}

int
asup_reason_compare(const struct asup_reason_key *a, const struct asup_reason_key *b)
{
    unsigned tier_a = asup_cancel_tier(a->kind);
    unsigned tier_b = asup_cancel_tier(b->kind);

    if (tier_a != tier_b)
        return order(tier_a, tier_b);
    if (a->at != b->at)
        return order(b->at, a->at);
    if (a->origin != b->origin)
        return order(b->origin, a->origin);
    return order(b->kind, a->kind);
}

bool
asup_reason_stronger(const struct asup_reason_key *a, const struct asup_reason_key *b)
{
    return asup_reason_compare(a, b) > 0;
}

const struct asup_reason *
asup_reason_strengthen(const struct asup_reason *a, const struct asup_reason *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    return asup_reason_stronger(&b->key, &a->key) ? b : a;
}

const struct asup_reason *
asup_reason_root(const struct asup_reason *reason)
{
    while (reason != NULL && reason->cause != NULL)
        reason = reason->cause;
    return reason;
}

/* ---- Budgets (R-BUD-1) ------------------------------------------------------- */

struct asup_budget
asup_budget_empty(void)
{
    /* Timeout is the kind that yields at equal instants, so this kind too is
     * the identity. */
    struct asup_budget empty = {
        .limit_at = ASUP_NEVER,
        .limit_kind = ASUP_CANCEL_TIMEOUT,
        .priority = 0,
        .poll_quota = UINT32_MAX,
        .cost_quota = UINT64_MAX,
    };
    return empty;
}

struct asup_budget
asup_budget_meet(const struct asup_budget *a, const struct asup_budget *b)
{
    struct asup_budget met = *a;

    if (b->limit_at < met.limit_at ||
        (b->limit_at == met.limit_at && b->limit_kind > met.limit_kind)) {
        met.limit_at = b->limit_at;
        met.limit_kind = b->limit_kind;
    }
    if (b->poll_quota < met.poll_quota)
        met.poll_quota = b->poll_quota;
    if (b->cost_quota < met.cost_quota)
        met.cost_quota = b->cost_quota;
    if (b->priority > met.priority)
        met.priority = b->priority;
    return met;
}

struct asup_budget
asup_budget_cap(const struct asup_budget *budget, uint8_t ceiling)
{
    struct asup_budget capped = *budget;
    uint8_t effective = capped.priority != 0 ? capped.priority : ASUP_PRIORITY_DEFAULT;

    if (ceiling != 0 && effective > ceiling)
        capped.priority = ceiling;
    return capped;
}
