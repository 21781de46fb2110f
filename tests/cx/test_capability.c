/* SPDX-License-Identifier: MIT */
/* Derived capabilities of cx.h (semantics, §6). */
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

static struct asup_cx *
derived(struct asup_cx *cx, uint32_t rights)
{
    int code;
    struct asup_cx *weaker = asup_cx_derive(cx, rights, NULL, &code);

    ck_assert_int_eq(code, 0);
    return weaker;
}

static int
nothing(struct asup_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return 0;
}

static int
gives_nothing(struct asup_cx *cx, struct asup_channel in, struct asup_channel out, void *arg)
{
    (void)in;
    (void)out;
    return nothing(cx, arg);
}

static int
maps_nothing(struct asup_cx *cx, size_t index, void *item, void *arg)
{
    (void)index;
    (void)item;
    return nothing(cx, arg);
}

/* Every call that needs a right, through a Cx that has only the others. */
static int
lacks(struct asup_cx *cx, void *arg)
{
    struct asup_channel channel, made;
    struct asup_task task;
    struct asup_cx *without;
    size_t winner;
    int code;

    (void)arg;
    ck_assert_int_eq(asup_cx_channel_open(cx, NULL, NULL, &channel), 0);
    ck_assert_int_eq(asup_cx_spawn(cx, nothing, NULL, &task), 0);

    without = derived(cx, ASUP_RIGHTS_TASK & ~(uint32_t)ASUP_RIGHT_SPAWN);
    ck_assert_int_eq(ASUP_SPAWN(without, nothing, NULL), -ASUP_EDENIED);
    ck_assert_ptr_null(asup_cx_scope_open(without, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    ck_assert_int_eq(asup_cx_defer(without, nothing, NULL, ASUP_NEVER), -ASUP_EDENIED);
    ck_assert_int_eq(ASUP_JOIN_ALL(without, ASUP_BRANCH(nothing, NULL)), -ASUP_EDENIED);
    ck_assert_int_eq(ASUP_RACE(without, &winner, ASUP_BRANCH(nothing, NULL)), -ASUP_EDENIED);
    ck_assert_int_eq(asup_cx_timeout(without, MS, nothing, NULL, NULL), -ASUP_EDENIED);
    ck_assert_int_eq(asup_cx_hedge(without, MS, nothing, NULL, NULL), -ASUP_EDENIED);
    ck_assert_int_eq(
        asup_cx_retry(without, &(struct asup_retry){.attempts = 1}, nothing, NULL, NULL),
        -ASUP_EDENIED);
    ck_assert_int_eq(
        asup_cx_pipeline(without, &(struct asup_stage){.body = gives_nothing}, 1, 1, NULL),
        -ASUP_EDENIED);
    ck_assert_int_eq(
        asup_cx_map_reduce(without, &code, 1, sizeof code, 0, maps_nothing, NULL, NULL, NULL),
        -ASUP_EDENIED);
    asup_cx_revoke(without);

    without = derived(cx, ASUP_RIGHTS_TASK & ~(uint32_t)ASUP_RIGHT_CHANNEL);
    ck_assert_int_eq(asup_cx_channel_open(without, NULL, NULL, &made), -ASUP_EDENIED);
    ck_assert_int_eq(asup_cx_channel_seal(without, channel), -ASUP_EDENIED);
    ck_assert_ptr_null(asup_cx_reserve(without, channel, 0, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    ck_assert_ptr_null(asup_cx_receive(without, channel, 0, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    asup_cx_revoke(without);

    without = derived(cx, ASUP_RIGHTS_TASK & ~(uint32_t)ASUP_RIGHT_LEASE);
    ck_assert_ptr_null(asup_cx_lease_acquire(without, "pen", MS, 0, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    asup_cx_revoke(without);

    without = derived(cx, ASUP_RIGHTS_TASK & ~(uint32_t)ASUP_RIGHT_IO);
    ck_assert_ptr_null(asup_cx_io_begin(without, "upload", ASUP_NEVER, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    asup_cx_revoke(without);

    without = derived(cx, ASUP_RIGHTS_TASK & ~(uint32_t)ASUP_RIGHT_SAGA);
    ck_assert_ptr_null(asup_cx_saga_begin(without, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    asup_cx_revoke(without);

    without = derived(cx, ASUP_RIGHTS_TASK & ~(uint32_t)ASUP_RIGHT_DELEGATE);
    ck_assert_ptr_null(asup_cx_derive(without, ASUP_RIGHT_SPAWN, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    asup_cx_revoke(without);

    without = derived(cx, ASUP_RIGHTS_TASK & ~(uint32_t)(ASUP_RIGHT_OBSERVE | ASUP_RIGHT_CANCEL));
    ck_assert_int_eq(asup_cx_join(without, task, NULL), -ASUP_EDENIED);
    ck_assert_int_eq(asup_cx_cancel(without, task, NULL), -ASUP_EDENIED);
    asup_cx_revoke(without);

    without = derived(cx, ASUP_RIGHTS_TASK &
                              ~(uint32_t)(ASUP_RIGHT_TIME | ASUP_RIGHT_RANDOM | ASUP_RIGHT_TRACE));
    v.trace[0] = '\0';
    ck_assert_uint_eq(asup_cx_now(without), 0);
    ck_assert_int_eq(asup_cx_sleep(without, MS), -ASUP_EDENIED);
    ck_assert_int_eq(asup_cx_sleep_until(without, MS), -ASUP_EDENIED);
    ck_assert_uint_eq(asup_cx_random_u64(without), 0);
    ck_assert_ptr_nonnull(strstr(v.trace, "\"time\""));
    ck_assert_ptr_nonnull(strstr(v.trace, "\"random\""));
    v.trace[0] = '\0';
    asup_cx_trace(without, "unheard");
    ck_assert_str_eq(v.trace, "");
    /* A retry has a clock of its own. */
    ck_assert_int_eq(asup_cx_retry(without, &(struct asup_retry){.attempts = 2, .backoff_ns = MS},
                                   nothing, NULL, NULL),
                     0);
    asup_cx_revoke(without);
    return 0;
}

START_TEST(R_CAP_1_what_a_cx_may_not_is_denied)
{
    passes(lacks);
}
END_TEST

static int
attenuates(struct asup_cx *cx, void *arg)
{
    struct asup_cx *weaker = derived(cx, ASUP_RIGHT_SPAWN | ASUP_RIGHT_DELEGATE);
    struct asup_cx *weakest;
    struct asup_limits limits;
    int code;

    (void)arg;
    ck_assert_ptr_null(asup_cx_derive(weaker, ASUP_RIGHT_SPAWN | ASUP_RIGHT_CHANNEL, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    ck_assert_ptr_null(asup_cx_derive(cx, ASUP_RIGHT_ADMIN, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    ck_assert_ptr_null(asup_cx_derive(cx, 0, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_ptr_null(asup_cx_derive(NULL, ASUP_RIGHT_SPAWN, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    asup_limits_init(&limits);
    limits.timeout_ns = MS;
    weakest = asup_cx_derive(weaker, ASUP_RIGHT_SPAWN, &limits, &code);
    ck_assert_int_eq(ASUP_SPAWN(weakest, nothing, NULL), 0);
    ck_assert_int_eq(asup_cx_sleep(cx, MS), 0);
    ck_assert_int_eq(ASUP_SPAWN(weakest, nothing, NULL), -ASUP_EEXPIRED);
    ck_assert_int_eq(ASUP_SPAWN(weaker, nothing, NULL), 0);
    asup_cx_revoke(weakest);
    asup_cx_revoke(weaker);
    asup_cx_revoke(NULL);
    asup_cx_revoke(cx); /* not a derived one: nothing */
    return ASUP_SPAWN(cx, nothing, NULL);
}

START_TEST(R_CAP_1_a_derived_cx_is_never_stronger)
{
    passes(attenuates);
}
END_TEST

static int
revokes(struct asup_cx *cx, void *arg)
{
    struct asup_cx *first = derived(cx, ASUP_RIGHTS_TASK);
    struct asup_cx *second = derived(first, ASUP_RIGHTS_TASK);
    struct asup_cx *third = derived(second, ASUP_RIGHTS_TASK);
    struct asup_cx *gone = first;
    struct asup_channel channel;
    struct asup_permit *permit, *last;
    int code;

    (void)arg;
    ck_assert_int_eq(asup_cx_channel_open(cx, NULL, NULL, &channel), 0);
    permit = asup_cx_reserve(third, channel, 0, &code);
    ck_assert_int_eq(code, 0);
    last = asup_cx_reserve(third, channel, 0, &code);
    ck_assert_int_eq(code, 0);
    asup_cx_revoke(first);
    ck_assert_int_eq(ASUP_SPAWN(gone, nothing, NULL), -ASUP_EEXPIRED);
    ck_assert_int_eq(ASUP_SPAWN(second, nothing, NULL), -ASUP_EREVOKED);
    ck_assert_int_eq(ASUP_SPAWN(third, nothing, NULL), -ASUP_EREVOKED);
    ck_assert_ptr_null(asup_cx_derive(second, ASUP_RIGHT_SPAWN, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EREVOKED);
    ck_assert_int_eq(asup_permit_send(permit, "", 0), -ASUP_EREVOKED);
    permit = last;
    ck_assert_ptr_nonnull(permit);
    asup_permit_abort(permit); /* R-CAP-4: it still identifies its holder */
    ck_assert_ptr_nonnull(permit = asup_cx_reserve(cx, channel, 0, NULL));
    asup_permit_abort(permit);
    asup_cx_revoke(third);
    asup_cx_revoke(second);
    return 0;
}

START_TEST(R_CAP_4_a_revoked_cx_takes_its_descendants_along)
{
    passes(revokes);
}
END_TEST

static int
is_confined(struct asup_cx *cx, void *arg)
{
    struct asup_channel channel;
    int code;

    (void)arg;
    ck_assert_int_eq(asup_cx_channel_open(cx, NULL, NULL, &channel), -ASUP_EDENIED);
    ck_assert_uint_eq(asup_cx_random_u64(cx), 0);
    ck_assert_ptr_null(asup_cx_derive(cx, ASUP_RIGHTS_TASK, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    ck_assert_uint_le(asup_cx_budget(cx).poll_quota, 5);
    for (int i = 0; i < 5 && code != -ASUP_ECANCELLED; i++)
        code = asup_cx_checkpoint(cx);
    return code;
}

static int
confines(struct asup_cx *cx, void *arg)
{
    struct asup_limits limits;
    struct asup_outcome out;
    struct asup_task task;
    struct asup_cx *weaker;

    (void)arg;
    asup_limits_init(&limits);
    limits.poll_quota = 5;
    weaker = asup_cx_derive(cx, ASUP_RIGHT_SPAWN | ASUP_RIGHT_OBSERVE, &limits, NULL);
    ck_assert_int_eq(asup_cx_spawn(weaker, is_confined, NULL, &task), 0);
    ck_assert_int_eq(asup_cx_join(weaker, task, &out), 0);
    ck_assert_int_eq(asup_outcome_result(&out), -ASUP_ECANCELLED);
    ck_assert_int_eq(out.reason->key.kind, ASUP_CANCEL_POLL_QUOTA);
    asup_cx_revoke(weaker);
    return 0;
}

START_TEST(R_CAP_1_what_is_spawned_with_a_derived_cx_has_no_more)
{
    ck_assert_int_eq(virtual_run(&v, confines, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

static int
revoked_while_parked(struct asup_cx *cx, void *arg)
{
    struct asup_channel channel;
    struct asup_cx *weaker = arg;
    int code;

    channel = (struct asup_channel){v.asked};
    ck_assert_ptr_null(asup_cx_receive(weaker, channel, ASUP_NEVER, &code));
    (void)cx;
    return code;
}

static int
revokes_parked(struct asup_cx *cx, void *arg)
{
    struct asup_cx *weaker = derived(cx, ASUP_RIGHT_CHANNEL);
    struct asup_channel channel;
    struct asup_outcome out;
    struct asup_task task;

    (void)arg;
    ck_assert_int_eq(asup_cx_channel_open(cx, NULL, NULL, &channel), 0);
    v.asked = channel.id;
    ck_assert_int_eq(asup_cx_spawn(cx, revoked_while_parked, weaker, &task), 0);
    ck_assert_int_eq(asup_cx_sleep(cx, MS), 0);
    asup_cx_revoke(weaker);
    ck_assert_int_eq(asup_cx_join(cx, task, &out), 0);
    return asup_outcome_result(&out);
}

START_TEST(R_CAP_4_who_is_parked_is_told_at_once)
{
    ck_assert_int_eq(virtual_run(&v, revokes_parked, NULL, NULL), -ASUP_EREVOKED);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_CAP_1_what_a_cx_may_not_is_denied),
    RULE(R_CAP_1_a_derived_cx_is_never_stronger),
    RULE(R_CAP_4_a_revoked_cx_takes_its_descendants_along),
    RULE(R_CAP_1_what_is_spawned_with_a_derived_cx_has_no_more),
    RULE(R_CAP_4_who_is_parked_is_told_at_once),
};

RULES_MAIN("cx capability", rules, begin, NULL)
