/* SPDX-License-Identifier: MIT */
/* Leases and I/O operations of cx.h (semantics, §4). */
#include <check.h>
#include <string.h>

#include "rules.h"
#include "virtual.h"

enum { MS = 1000000 };

static struct virtual v;

static void
begin(void)
{
    virtual_init(&v);
}

static void
passes(asup_body body)
{
    ck_assert_int_eq(virtual_run(&v, body, NULL, NULL), 0);
    ck_assert(!v.stuck);
}

/* ---- Exclusive, with tokens that grow ----------------------------------------------- */

static uint64_t token_seen;
static bool held;

static int
takes_turns(struct asup_cx *cx, void *arg)
{
    int code;
    struct asup_lease_held *lease =
        asup_cx_lease_acquire(cx, "pen", ASUP_NS_PER_S, ASUP_NEVER, &code);

    (void)arg;
    if (lease == NULL)
        return code;
    ck_assert(!held);
    held = true;
    ck_assert_uint_gt(asup_lease_token(lease), token_seen);
    token_seen = asup_lease_token(lease);
    ck_assert_int_eq(asup_cx_sleep(cx, MS), 0);
    held = false;
    asup_lease_release(lease);
    return 0;
}

static int
one_at_a_time(struct asup_cx *cx, void *arg)
{
    struct asup_lease_held *lease;
    int code;

    (void)arg;
    for (int i = 0; i < 8; i++)
        (void)spawned(cx, takes_turns, NULL);
    ck_assert_int_eq(asup_cx_checkpoint(cx), 0);
    lease = asup_cx_lease_acquire(cx, "pen", ASUP_NS_PER_S, 0, &code);
    ck_assert_ptr_null(lease);
    ck_assert_int_eq(code, -ASUP_ETIMEDOUT);
    lease = asup_cx_lease_acquire(cx, "pen", ASUP_NS_PER_S, MS / 2, &code);
    ck_assert_ptr_null(lease);
    ck_assert_int_eq(code, -ASUP_ETIMEDOUT);
    lease = asup_cx_lease_acquire(cx, "paper", ASUP_NS_PER_S, 0, &code); /* another name */
    ck_assert_ptr_nonnull(lease);
    ck_assert_ptr_null(asup_cx_lease_acquire(cx, "paper", ASUP_NS_PER_S, 0, &code));
    ck_assert_int_eq(code, -ASUP_EEXISTS); /* one's own */
    asup_lease_release(lease);
    return 0;
}

START_TEST(a_lease_is_held_by_one_and_its_token_grows)
{
    passes(one_at_a_time);
    ck_assert_uint_gt(token_seen, 7);
}
END_TEST

/* ---- Time to live ------------------------------------------------------------------------- */

static int
renews(struct asup_cx *cx, void *arg)
{
    struct asup_lease_held *lease = asup_cx_lease_acquire(cx, "pen", 10 * MS, 0, NULL);
    uint64_t token = asup_lease_token(lease);

    (void)arg;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(asup_cx_sleep(cx, 9 * MS), 0);
        ck_assert_int_eq(asup_lease_renew(lease), 0);
        ck_assert_uint_eq(asup_lease_token(lease), token);
    }
    asup_lease_release(lease);
    ck_assert_int_eq(asup_lease_renew(lease), -ASUP_ERESOLVED);
    ck_assert_uint_eq(asup_lease_token(lease), 0);
    return 0;
}

START_TEST(a_lease_lives_on_when_it_is_renewed)
{
    passes(renews);
}
END_TEST

static int
late(struct asup_cx *cx, void *arg)
{
    struct asup_lease_held *lease = asup_cx_lease_acquire(cx, "pen", 10 * MS, 0, NULL);

    *(uint64_t *)arg = asup_lease_token(lease);
    asup_cx_mask(cx);
    ck_assert_int_eq(asup_cx_sleep(cx, 10 * MS), 0); /* at the instant of expiry */
    asup_cx_unmask(cx);
    ck_assert_int_eq(asup_lease_renew(lease), -ASUP_EEXPIRED);
    asup_lease_release(lease); /* what is left of it */
    ck_assert_int_eq(asup_cx_cancel_reason(cx)->key.kind, ASUP_CANCEL_RESOURCE_UNAVAILABLE);
    return asup_cx_checkpoint(cx);
}

static int
expires(struct asup_cx *cx, void *arg)
{
    uint64_t token = 0;
    struct asup_task task = spawned(cx, late, &token);
    struct asup_lease_held *lease;
    struct asup_outcome out;

    (void)arg;
    ck_assert_int_eq(asup_cx_checkpoint(cx), 0);
    /* Granted again when who held it is gone, not before. */
    lease = asup_cx_lease_acquire(cx, "pen", 10 * MS, ASUP_NEVER, NULL);
    ck_assert_uint_gt(asup_lease_token(lease), token);
    out = joined(cx, task);
    ck_assert_int_eq(asup_outcome_result(&out), -ASUP_ECANCELLED);
    ck_assert_int_eq(out.reason->key.kind, ASUP_CANCEL_RESOURCE_UNAVAILABLE);
    asup_lease_release(lease);
    return 0;
}

START_TEST(a_task_whose_lease_expires_is_cancelled)
{
    ck_assert_int_eq(virtual_run(&v, expires, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

static int
leaks_lease(struct asup_cx *cx, void *arg)
{
    struct asup_lease_held **lease = arg;

    *lease = asup_cx_lease_acquire(cx, "pen", ASUP_NS_PER_S, 0, NULL);
    return *lease == NULL;
}

static int
leak(struct asup_cx *cx, void *arg)
{
    struct asup_lease_held *lease, *next;
    struct asup_outcome out = joined(cx, spawned(cx, leaks_lease, &lease));

    (void)arg;
    ck_assert_int_eq(asup_outcome_result(&out), 0);
    ck_assert_int_eq(asup_lease_renew(lease), -ASUP_ERESOLVED);
    next = asup_cx_lease_acquire(cx, "pen", ASUP_NS_PER_S, 0, NULL);
    ck_assert_ptr_nonnull(next);
    asup_lease_release(next);
    return 0;
}

START_TEST(R_OBL_3_a_lease_that_is_left_behind_is_ended_and_counted)
{
    struct kernel_outcome out;

    ck_assert_int_eq(virtual_run(&v, leak, NULL, &out), 1);
    ck_assert_int_eq(out.key.severity, ASUP_ERR);
}
END_TEST

struct stranger {
    struct asup_lease_held *lease;
    struct asup_io *io;
};

static int
meddles(struct asup_cx *cx, void *arg)
{
    struct stranger *s = arg;

    (void)cx;
    ck_assert_int_eq(asup_lease_renew(s->lease), -ASUP_EDENIED);
    asup_lease_release(s->lease);
    ck_assert_int_eq(asup_io_complete(s->io), -ASUP_EDENIED);
    asup_io_cancel(s->io);
    return 0;
}

static int
only_the_holder(struct asup_cx *cx, void *arg)
{
    struct stranger s = {.lease = asup_cx_lease_acquire(cx, "pen", ASUP_NS_PER_S, 0, NULL),
                         .io = asup_cx_io_begin(cx, "upload", ASUP_NEVER, NULL)};
    struct asup_outcome out = joined(cx, spawned(cx, meddles, &s));

    (void)arg;
    ck_assert_int_eq(asup_outcome_result(&out), 0);
    ck_assert_int_eq(asup_lease_renew(s.lease), 0);
    asup_lease_release(s.lease);
    ck_assert_int_eq(asup_io_complete(s.io), 0);
    return 0;
}

START_TEST(R_OBL_2_only_the_holder_renews_releases_and_completes)
{
    passes(only_the_holder);
}
END_TEST

static int
refusals(struct asup_cx *cx, void *arg)
{
    char name[ASUP_NAME_MAX + 2];
    int code;

    (void)arg;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_ptr_null(asup_cx_lease_acquire(cx, name, MS, 0, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_ptr_null(asup_cx_lease_acquire(cx, NULL, MS, 0, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_ptr_null(asup_cx_lease_acquire(cx, "pen", 0, 0, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_ptr_null(asup_cx_lease_acquire(cx, "pen", ASUP_NEVER, 0, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_ptr_null(asup_cx_lease_acquire(NULL, "pen", MS, 0, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_uint_eq(asup_lease_token(NULL), 0);
    ck_assert_int_eq(asup_lease_renew(NULL), -ASUP_EINVALID);
    asup_lease_release(NULL);
    ck_assert_ptr_null(asup_cx_io_begin(NULL, "upload", ASUP_NEVER, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_ptr_null(asup_cx_io_begin(cx, "upload", 0, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_int_eq(asup_io_complete(NULL), -ASUP_EINVALID);
    asup_io_cancel(NULL);
    return 0;
}

START_TEST(what_makes_no_sense_is_refused)
{
    passes(refusals);
}
END_TEST

/* ---- I/O operations ---------------------------------------------------------------------------
 */

static int
region_waits(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);
    struct asup_io *io = asup_cx_io_begin(scope, "upload", 10 * MS, NULL);
    struct asup_io *other = asup_cx_io_begin(scope, "download", ASUP_NEVER, NULL);
    asup_time began = asup_cx_now(cx);

    (void)arg;
    ck_assert_ptr_nonnull(io);
    asup_io_cancel(other);
    ck_assert_int_eq(asup_io_complete(other), -ASUP_ERESOLVED);
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), 0);
    ck_assert_uint_eq(asup_cx_now(cx) - began, 10 * MS); /* it waited for the operation's end */
    ck_assert_int_eq(asup_io_complete(io), -ASUP_EEXPIRED);
    return 0;
}

START_TEST(R_OBL_5_a_region_waits_for_its_operations)
{
    passes(region_waits);
}
END_TEST

static const struct rule rules[] = {
    RULE(a_lease_is_held_by_one_and_its_token_grows),
    RULE(a_lease_lives_on_when_it_is_renewed),
    RULE(a_task_whose_lease_expires_is_cancelled),
    RULE(R_OBL_3_a_lease_that_is_left_behind_is_ended_and_counted),
    RULE(R_OBL_2_only_the_holder_renews_releases_and_completes),
    RULE(what_makes_no_sense_is_refused),
    RULE(R_OBL_5_a_region_waits_for_its_operations),
};

RULES_MAIN("cx lease", rules, begin, NULL)
