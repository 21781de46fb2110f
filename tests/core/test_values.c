/* SPDX-License-Identifier: MIT */
/* The laws of outcomes, cancel reasons and budgets, tried on every value of
 * small domains: whatever order a tree reports in, the top hears the same. */
#include <errno.h>
#include <string.h>

#include "asupersync/values.h"
#include "rules.h"

/* ---- R-OUT-1: combining outcomes ------------------------------------------------ */

enum { OUTCOMES = 4 * 3 * 3, REASONS = ASUP_CANCEL_KIND_COUNT * 3 * 3 };

static struct asup_outcome_key outcomes[OUTCOMES];
static struct asup_reason_key reasons[REASONS];

static void
domains_make(void)
{
    size_t n = 0;

    for (int severity = 0; severity < 4; severity++)
        for (asup_time at = 1; at <= 3; at++)
            for (uint64_t origin = 1; origin <= 3; origin++)
                outcomes[n++] = (struct asup_outcome_key){(uint8_t)severity, at, origin};
    n = 0;
    for (int kind = 0; kind < ASUP_CANCEL_KIND_COUNT; kind++)
        for (asup_time at = 1; at <= 3; at++)
            for (uint64_t origin = 1; origin <= 3; origin++)
                reasons[n++] = (struct asup_reason_key){(uint8_t)kind, at, origin};
}

static struct asup_outcome_key
worst(struct asup_outcome_key a, struct asup_outcome_key b)
{
    return asup_outcome_worse(&b, &a) ? b : a;
}

static bool
same_outcome(struct asup_outcome_key a, struct asup_outcome_key b)
{
    return a.severity == b.severity && a.at == b.at && a.origin == b.origin;
}

/* R-OUT-1: associative, commutative, idempotent. */
START_TEST(R_OUT_1_combine_is_a_semilattice)
{
    for (int a = 0; a < OUTCOMES; a++) {
        ck_assert(same_outcome(worst(outcomes[a], outcomes[a]), outcomes[a]));
        for (int b = 0; b < OUTCOMES; b++) {
            struct asup_outcome_key ab = worst(outcomes[a], outcomes[b]);

            ck_assert(same_outcome(ab, worst(outcomes[b], outcomes[a])));
            for (int c = 0; c < OUTCOMES; c++)
                ck_assert(same_outcome(worst(ab, outcomes[c]),
                                       worst(outcomes[a], worst(outcomes[b], outcomes[c]))));
        }
    }
}
END_TEST

/* R-OUT-1: the worst stays; of two equally severe the earlier, then the one of
 * the smaller origin. */
START_TEST(R_OUT_1_worst_then_earliest_then_smallest_origin)
{
    struct asup_outcome_key ok = {ASUP_OK, 1, 1};
    struct asup_outcome_key err = {ASUP_ERR, 9, 9};
    struct asup_outcome_key cancelled = {ASUP_CANCELLED, 10, 10};
    struct asup_outcome_key panicked = {ASUP_PANICKED, 11, 11};
    struct asup_outcome_key err_early = {ASUP_ERR, 8, 10};
    struct asup_outcome_key err_small = {ASUP_ERR, 9, 8};

    ck_assert(asup_outcome_worse(&err, &ok));
    ck_assert(asup_outcome_worse(&cancelled, &err));
    ck_assert(asup_outcome_worse(&panicked, &cancelled));
    ck_assert(asup_outcome_worse(&err_early, &err));
    ck_assert(asup_outcome_worse(&err_small, &err));
    ck_assert(asup_outcome_worse(&err_early, &err_small));
    ck_assert(!asup_outcome_worse(&err, &err));
    ck_assert_int_eq(asup_outcome_compare(&err, &err), 0);
    ck_assert_int_gt(asup_outcome_compare(&err, &ok), 0);
    ck_assert_int_lt(asup_outcome_compare(&ok, &err), 0);
}
END_TEST

/* R-OUT-1: Ok is the identity: it never changes a worse outcome, and nothing
 * at all (NULL) never changes an Ok. */
START_TEST(R_OUT_1_ok_is_the_identity)
{
    for (int a = 0; a < OUTCOMES; a++) {
        struct asup_outcome x = {.key = outcomes[a]};

        ck_assert_ptr_eq(asup_outcome_combine(NULL, &x), &x);
        ck_assert_ptr_eq(asup_outcome_combine(&x, NULL), &x);
        if (x.key.severity == ASUP_OK)
            continue;
        for (int b = 0; b < OUTCOMES; b++) {
            struct asup_outcome ok = {.key = outcomes[b]};

            if (ok.key.severity != ASUP_OK)
                continue;
            ck_assert_ptr_eq(asup_outcome_combine(&ok, &x), &x);
            ck_assert_ptr_eq(asup_outcome_combine(&x, &ok), &x);
        }
    }
    ck_assert_ptr_null(asup_outcome_combine(NULL, NULL));
}
END_TEST

/* ---- R-OUT-3: what an outcome says to the world ------------------------------------- */

static int
exit_of(uint8_t severity, int exit_code, int signal, int kind)
{
    struct asup_reason root = {.key = {.kind = (uint8_t)(kind < 0 ? 0 : kind)}, .message = ""};
    struct asup_reason parent = {
        .key = {.kind = ASUP_CANCEL_PARENT_CANCELLED}, .message = "", .cause = &root};
    struct asup_outcome o = {.key = {.severity = severity},
                             .exit_code = exit_code,
                             .signal = signal,
                             .reason = kind < 0 ? NULL : &parent};

    return asup_outcome_exit_code(&o);
}

/* R-OUT-3: an outcome maps to an exit code; a cancelled one by its root cause. */
START_TEST(R_OUT_3_exit_codes)
{
    ck_assert_int_eq(exit_of(ASUP_OK, 0, 0, -1), 0);
    ck_assert_int_eq(exit_of(ASUP_OK, -1, 0, -1), 0);
    ck_assert_int_eq(exit_of(ASUP_ERR, 3, 0, -1), 3);
    ck_assert_int_eq(exit_of(ASUP_ERR, 255, 0, -1), 255);
    ck_assert_int_eq(exit_of(ASUP_ERR, -1, 0, -1), 1);
    ck_assert_int_eq(exit_of(ASUP_PANICKED, -1, 9, -1), 137);
    ck_assert_int_eq(exit_of(ASUP_PANICKED, -1, 0, -1), 70);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, -1, 15, ASUP_CANCEL_USER), 130);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_TIMEOUT), 124);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_DEADLINE), 124);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_POLL_QUOTA), 124);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_COST_BUDGET), 124);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_FAIL_FAST), 143);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_RACE_LOST), 143);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_LINKED_EXIT), 143);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_RESOURCE_UNAVAILABLE), 143);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, ASUP_CANCEL_SHUTDOWN), 143);
    ck_assert_int_eq(exit_of(ASUP_CANCELLED, 0, 0, -1), 143);
}
END_TEST

static struct asup_outcome
start_failure(const char *stage, int error_number)
{
    return (struct asup_outcome){.key = {.severity = ASUP_ERR},
                                 .exit_code = -1,
                                 .stage = stage,
                                 .error_number = error_number};
}

/* R-OUT-3: a start that failed says what a shell says. */
START_TEST(R_OUT_3_start_failures)
{
    struct asup_outcome not_found = start_failure("exec", ENOENT);
    struct asup_outcome not_allowed = start_failure("exec", EACCES);
    struct asup_outcome no_directory = start_failure("chdir", ENOENT);
    struct asup_outcome too_long = start_failure("exec", E2BIG);
    struct asup_outcome no_process = start_failure("fork", EAGAIN);

    ck_assert_int_eq(asup_outcome_exit_code(&not_found), 127);
    ck_assert_int_eq(asup_outcome_exit_code(&not_allowed), 126);
    ck_assert_int_eq(asup_outcome_exit_code(&no_directory), 126);
    ck_assert_int_eq(asup_outcome_http_status(&not_found), 404);
    ck_assert_int_eq(asup_outcome_http_status(&not_allowed), 403);
    ck_assert_int_eq(asup_outcome_http_status(&too_long), 413);
    ck_assert_int_eq(asup_outcome_http_status(&no_process), 503);
}
END_TEST

/* R-OUT-3: Ok 200, Err 4xx or 5xx by its class, Cancelled 499, Panicked 500. */
START_TEST(R_OUT_3_http_statuses)
{
    struct asup_outcome o = {.key = {.severity = ASUP_OK}};

    ck_assert_int_eq(asup_outcome_http_status(&o), 200);
    o.key.severity = ASUP_CANCELLED;
    ck_assert_int_eq(asup_outcome_http_status(&o), 499);
    o.key.severity = ASUP_PANICKED;
    ck_assert_int_eq(asup_outcome_http_status(&o), 500);
    o.key.severity = ASUP_ERR;
    for (o.exit_code = -1; o.exit_code <= 255; o.exit_code++) {
        int status = asup_outcome_http_status(&o);

        ck_assert_int_ge(status, 400);
        ck_assert_int_lt(status, 600);
    }
    o.exit_code = 64;
    ck_assert_int_eq(asup_outcome_http_status(&o), 400);
    o.exit_code = 69;
    ck_assert_int_eq(asup_outcome_http_status(&o), 503);
    o.exit_code = 1;
    ck_assert_int_eq(asup_outcome_http_status(&o), 500);
}
END_TEST

/* ---- R-CAN-1: strengthening reasons ------------------------------------------------------ */

static struct asup_reason_key
stronger(struct asup_reason_key a, struct asup_reason_key b)
{
    return asup_reason_stronger(&b, &a) ? b : a;
}

static bool
same_reason(struct asup_reason_key a, struct asup_reason_key b)
{
    return a.kind == b.kind && a.at == b.at && a.origin == b.origin;
}

/* R-CAN-1: associative, commutative, idempotent: repeated requests only tighten. */
START_TEST(R_CAN_1_strengthen_is_a_semilattice)
{
    for (int a = 0; a < REASONS; a++) {
        ck_assert(same_reason(stronger(reasons[a], reasons[a]), reasons[a]));
        for (int b = 0; b < REASONS; b++) {
            struct asup_reason_key ab = stronger(reasons[a], reasons[b]);

            ck_assert(same_reason(ab, stronger(reasons[b], reasons[a])));
            ck_assert_uint_ge(asup_cancel_tier(ab.kind), asup_cancel_tier(reasons[a].kind));
            for (int c = 0; c < REASONS; c++)
                ck_assert(same_reason(stronger(ab, reasons[c]),
                                      stronger(reasons[a], stronger(reasons[b], reasons[c]))));
        }
    }
}
END_TEST

/* R-CAN-1: the tiers are those of the list of kinds. */
START_TEST(R_CAN_1_tiers)
{
    static const unsigned tier[] = {0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5};
    struct asup_reason_key user_early = {ASUP_CANCEL_USER, 1, 1};
    struct asup_reason_key timeout = {ASUP_CANCEL_TIMEOUT, 5, 5};
    struct asup_reason_key deadline_early = {ASUP_CANCEL_DEADLINE, 4, 9};
    struct asup_reason_key timeout_small = {ASUP_CANCEL_TIMEOUT, 5, 4};

    for (uint8_t kind = 0; kind < ASUP_CANCEL_KIND_COUNT; kind++)
        ck_assert_uint_eq(asup_cancel_tier(kind), tier[kind]);
    ck_assert(asup_reason_stronger(&timeout, &user_early));
    ck_assert(asup_reason_stronger(&deadline_early, &timeout));
    ck_assert(asup_reason_stronger(&timeout_small, &timeout));
}
END_TEST

/* R-CAN-1: chains strengthen as a whole and keep their root cause. */
START_TEST(R_CAN_1_chains_keep_their_root_cause)
{
    struct asup_reason user = {.key = {ASUP_CANCEL_USER, 1, 1}, .message = "close"};
    struct asup_reason shutdown = {.key = {ASUP_CANCEL_SHUTDOWN, 2, 1}, .message = ""};
    struct asup_reason below = {
        .key = {ASUP_CANCEL_PARENT_CANCELLED, 1, 2}, .message = "", .cause = &user};

    ck_assert_ptr_eq(asup_reason_root(&below), &user);
    ck_assert_ptr_eq(asup_reason_root(&user), &user);
    ck_assert_ptr_null(asup_reason_root(NULL));
    ck_assert_ptr_eq(asup_reason_strengthen(&below, &shutdown), &shutdown);
    ck_assert_ptr_eq(asup_reason_strengthen(&user, &below), &below);
    ck_assert_ptr_eq(asup_reason_strengthen(NULL, &user), &user);
    ck_assert_ptr_eq(asup_reason_strengthen(&user, NULL), &user);
}
END_TEST

/* ---- R-BUD-1: meeting budgets ---------------------------------------------------------------- */

enum { BUDGETS = 3 * 2 * 3 * 2 * 2 };
static struct asup_budget budgets[BUDGETS];

static void
budgets_make(void)
{
    static const asup_time limit[] = {5, 9, ASUP_NEVER};
    static const uint8_t priority[] = {0, 100, 255};
    static const uint32_t polls[] = {7, UINT32_MAX};
    static const uint64_t cost[] = {3, UINT64_MAX};

    for (int i = 0; i < BUDGETS; i++)
        budgets[i] = (struct asup_budget){.limit_at = limit[i % 3],
                                          .limit_kind = i / 3 % 2 == 0 ? ASUP_CANCEL_TIMEOUT
                                                                       : ASUP_CANCEL_DEADLINE,
                                          .priority = priority[i / 6 % 3],
                                          .poll_quota = polls[i / 18 % 2],
                                          .cost_quota = cost[i / 36 % 2]};
}

static bool
same_budget(struct asup_budget a, struct asup_budget b)
{
    return a.limit_at == b.limit_at && a.limit_kind == b.limit_kind && a.priority == b.priority &&
           a.poll_quota == b.poll_quota && a.cost_quota == b.cost_quota;
}

/* R-BUD-1: associative, commutative, idempotent; the empty budget is the identity. */
START_TEST(R_BUD_1_meet_is_a_semilattice_with_identity)
{
    struct asup_budget empty = asup_budget_empty();

    budgets_make();
    for (int a = 0; a < BUDGETS; a++) {
        ck_assert(same_budget(asup_budget_meet(&budgets[a], &budgets[a]), budgets[a]));
        ck_assert(same_budget(asup_budget_meet(&budgets[a], &empty), budgets[a]));
        ck_assert(same_budget(asup_budget_meet(&empty, &budgets[a]), budgets[a]));
        for (int b = 0; b < BUDGETS; b++) {
            struct asup_budget ab = asup_budget_meet(&budgets[a], &budgets[b]);

            ck_assert(same_budget(ab, asup_budget_meet(&budgets[b], &budgets[a])));
            for (int c = 0; c < BUDGETS; c++) {
                struct asup_budget bc = asup_budget_meet(&budgets[b], &budgets[c]);

                ck_assert(same_budget(asup_budget_meet(&ab, &budgets[c]),
                                      asup_budget_meet(&budgets[a], &bc)));
            }
        }
    }
}
END_TEST

/* R-BUD-1: the earlier limit with its kind, the smaller quotas, the higher priority. */
START_TEST(R_BUD_1_meet_takes_the_tighter_of_each)
{
    struct asup_budget a = {.limit_at = 5,
                            .limit_kind = ASUP_CANCEL_DEADLINE,
                            .priority = 10,
                            .poll_quota = 9,
                            .cost_quota = UINT64_MAX};
    struct asup_budget b = {.limit_at = 6,
                            .limit_kind = ASUP_CANCEL_TIMEOUT,
                            .priority = 20,
                            .poll_quota = UINT32_MAX,
                            .cost_quota = 4};
    struct asup_budget met = asup_budget_meet(&a, &b);

    ck_assert_uint_eq(met.limit_at, 5);
    ck_assert_uint_eq(met.limit_kind, ASUP_CANCEL_DEADLINE);
    ck_assert_uint_eq(met.priority, 20);
    ck_assert_uint_eq(met.poll_quota, 9);
    ck_assert_uint_eq(met.cost_quota, 4);
}
END_TEST

/* R-BUD-1: a capability's ceiling caps the priority; an unset one runs as 128. */
START_TEST(R_BUD_1_a_ceiling_caps_the_priority)
{
    struct asup_budget b = asup_budget_empty();

    ck_assert_uint_eq(asup_budget_cap(&b, 0).priority, 0);
    ck_assert_uint_eq(asup_budget_cap(&b, 128).priority, 0);
    ck_assert_uint_eq(asup_budget_cap(&b, 127).priority, 127);
    b.priority = 200;
    ck_assert_uint_eq(asup_budget_cap(&b, 0).priority, 200);
    ck_assert_uint_eq(asup_budget_cap(&b, 150).priority, 150);
    ck_assert_uint_eq(asup_budget_cap(&b, 220).priority, 200);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_OUT_1_combine_is_a_semilattice),
    RULE(R_OUT_1_worst_then_earliest_then_smallest_origin),
    RULE(R_OUT_1_ok_is_the_identity),
    RULE(R_OUT_3_exit_codes),
    RULE(R_OUT_3_start_failures),
    RULE(R_OUT_3_http_statuses),
    RULE(R_CAN_1_strengthen_is_a_semilattice),
    RULE(R_CAN_1_tiers),
    RULE(R_CAN_1_chains_keep_their_root_cause),
    RULE(R_BUD_1_meet_is_a_semilattice_with_identity),
    RULE(R_BUD_1_meet_takes_the_tighter_of_each),
    RULE(R_BUD_1_a_ceiling_caps_the_priority),
};

RULES_MAIN("values", rules, domains_make, NULL)
