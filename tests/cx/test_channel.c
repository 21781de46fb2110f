/* SPDX-License-Identifier: MIT */
/* Channels of cx.h: two phases on both sides (semantics, §4). */
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

static struct asup_channel
opened(struct asup_cx *cx, const struct asup_channel_limits *limits)
{
    struct asup_channel channel = {0};

    ck_assert_int_eq(asup_cx_channel_open(cx, NULL, limits, &channel), 0);
    return channel;
}

static void
sent(struct asup_cx *cx, struct asup_channel channel, const char *text)
{
    int code;
    struct asup_permit *permit = asup_cx_reserve(cx, channel, 0, &code);

    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(asup_permit_send(permit, text, strlen(text)), 0);
}

static struct asup_delivery *
received(struct asup_cx *cx, struct asup_channel channel, const char *text, uint32_t count)
{
    int code;
    size_t size;
    struct asup_delivery *d = asup_cx_receive(cx, channel, 0, &code);

    ck_assert_int_eq(code, 0);
    ck_assert_str_eq(asup_delivery_data(d, &size), text);
    ck_assert_uint_eq(size, strlen(text));
    ck_assert_uint_eq(asup_delivery_count(d), count);
    return d;
}

static struct channel_view
view_of(struct asup_channel channel)
{
    struct channel_view view;

    ck_assert(kernel_channel(shell_kernel(v.shell), channel.id, &view));
    return view;
}

static int
result_of(struct asup_cx *cx, struct asup_task task)
{
    struct asup_outcome out;

    ck_assert_int_eq(asup_cx_join(cx, task, &out), 0);
    return asup_outcome_result(&out);
}

/* ---- Both phases ------------------------------------------------------------------ */

static int
two_phases(struct asup_cx *cx, void *arg)
{
    struct asup_channel c = opened(cx, NULL);
    struct asup_permit *permit;
    struct asup_delivery *d;
    int code;

    (void)arg;
    permit = asup_cx_reserve(cx, c, 0, &code);
    ck_assert_ptr_nonnull(permit);
    ck_assert_ptr_null(asup_cx_receive(cx, c, 0, &code)); /* nothing has been said yet */
    ck_assert_int_eq(code, -ASUP_ETIMEDOUT);
    ck_assert_int_eq(asup_permit_send(permit, "one", 3), 0);
    sent(cx, c, "");
    d = received(cx, c, "one", 1);
    ck_assert_uint_eq(view_of(c).unacked, 1);
    ck_assert_int_eq(asup_ack_commit(d), 0);
    ck_assert_int_eq(asup_ack_commit(received(cx, c, "", 1)), 0);
    ck_assert_uint_eq(view_of(c).consumed, 2);
    return 0;
}

START_TEST(a_message_is_reserved_sent_received_and_committed)
{
    passes(two_phases);
}
END_TEST

static int
resolves_twice(struct asup_cx *cx, void *arg)
{
    struct asup_channel c = opened(cx, NULL);
    struct asup_permit *permit = asup_cx_reserve(cx, c, 0, NULL);
    struct asup_permit *again = permit;
    struct asup_delivery *d, *twice;

    (void)arg;
    ck_assert_int_eq(asup_permit_send(permit, "x", 1), 0);
    ck_assert_int_eq(asup_permit_send(again, "y", 1), -ASUP_ERESOLVED);
    asup_permit_abort(again); /* says nothing, does nothing */
    ck_assert_uint_eq(view_of(c).queued, 1);
    twice = d = received(cx, c, "x", 1);
    asup_ack_nack(d, "not now");
    ck_assert_int_eq(asup_ack_commit(twice), -ASUP_ERESOLVED);
    ck_assert_ptr_null(asup_delivery_data(twice, NULL));
    ck_assert_uint_eq(asup_delivery_count(twice), 0);
    ck_assert_uint_eq(view_of(c).queued, 1);
    ck_assert_int_eq(asup_ack_commit(received(cx, c, "x", 2)), 0);
    return 0;
}

START_TEST(R_OBL_1_what_is_resolved_is_resolved_once)
{
    passes(resolves_twice);
}
END_TEST

struct lent {
    struct asup_cx *cx;
    struct asup_channel channel;
    struct asup_permit *permit;
    struct asup_delivery *delivery;
};

static int
not_the_holder(struct asup_cx *cx, void *arg)
{
    struct lent *lent = arg;

    (void)cx;
    ck_assert_int_eq(asup_permit_send(lent->permit, "stolen", 6), -ASUP_EDENIED);
    asup_permit_abort(lent->permit);
    ck_assert_int_eq(asup_ack_commit(lent->delivery), -ASUP_EDENIED);
    asup_ack_nack(lent->delivery, NULL);
    return 0;
}

static int
only_the_holder(struct asup_cx *cx, void *arg)
{
    struct lent lent = {.channel = opened(cx, NULL)};

    (void)arg;
    sent(cx, lent.channel, "mine");
    lent.permit = asup_cx_reserve(cx, lent.channel, 0, NULL);
    lent.delivery = received(cx, lent.channel, "mine", 1);
    ck_assert_int_eq(result_of(cx, spawned(cx, not_the_holder, &lent)), 0);
    ck_assert_int_eq(asup_permit_send(lent.permit, "still mine", 10), 0);
    ck_assert_int_eq(asup_ack_commit(lent.delivery), 0);
    ck_assert_int_eq(asup_ack_commit(received(cx, lent.channel, "still mine", 1)), 0);
    return 0;
}

START_TEST(R_OBL_2_only_the_holder_resolves)
{
    passes(only_the_holder);
}
END_TEST

/* ---- Holders that end -------------------------------------------------------------------- */

static int
loses_both(struct asup_cx *cx, void *arg)
{
    const struct lent *lent = arg;
    struct asup_permit *permit = asup_cx_reserve(cx, lent->channel, 0, NULL);
    struct asup_delivery *d = received(cx, lent->channel, "kept", 1);

    return permit != NULL && d != NULL ? 0 : 1;
}

static int
leaks(struct asup_cx *cx, void *arg)
{
    struct asup_scope_options options;
    struct asup_cx *scope;
    struct asup_outcome out;
    struct lent lent;

    (void)arg;
    asup_scope_options_init(&options);
    scope = asup_cx_scope_open(cx, &options, NULL);
    lent.channel = opened(scope, NULL);
    sent(scope, lent.channel, "kept");
    ck_assert_int_eq(result_of(scope, spawned(scope, loses_both, &lent)), 0);
    ck_assert_uint_eq(view_of(lent.channel).permits, 0);
    ck_assert_int_eq(asup_ack_commit(received(scope, lent.channel, "kept", 2)), 0);
    /* The leak counts in the region whose ledger it stood in: Err. */
    ck_assert_int_gt(asup_cx_scope_join(scope, &out), 0);
    ck_assert_int_eq(out.key.severity, ASUP_ERR);
    options.strict = true;
    scope = asup_cx_scope_open(cx, &options, NULL);
    lent.channel = opened(scope, NULL);
    sent(scope, lent.channel, "kept");
    ck_assert_int_eq(result_of(scope, spawned(scope, loses_both, &lent)), 0);
    ck_assert_int_eq(asup_cx_scope_join(scope, &out), -ASUP_EPANICKED);
    return 0;
}

START_TEST(R_OBL_3_what_a_task_leaves_behind_is_recovered_and_counted)
{
    ck_assert_int_eq(virtual_run(&v, leaks, NULL, NULL), -ASUP_EPANICKED);
}
END_TEST

/* Through a Cx that another lent. */
static int
borrows(struct asup_cx *cx, void *arg)
{
    struct lent *lent = arg;
    int code;

    /* Its own Cx is for the region below. */
    ck_assert_ptr_null(asup_cx_reserve(cx, lent->channel, 0, &code));
    ck_assert_int_eq(code, -ASUP_EDENIED);
    sent(lent->cx, lent->channel, "borrowed");
    lent->permit = asup_cx_reserve(lent->cx, lent->channel, 0, &code);
    lent->delivery = received(lent->cx, lent->channel, "borrowed", 1);
    return 0;
}

static int
lends(struct asup_cx *cx, void *arg)
{
    struct lent lent = {.cx = cx, .channel = opened(cx, NULL)};
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    (void)arg;
    ck_assert_int_eq(result_of(scope, spawned(scope, borrows, &lent)), 0);
    /* What it had in hand went with it, although the Cx was ours. */
    ck_assert_uint_eq(view_of(lent.channel).permits, 0);
    ck_assert_uint_eq(view_of(lent.channel).unacked, 0);
    ck_assert_int_eq(asup_permit_send(lent.permit, "x", 1), -ASUP_ERESOLVED);
    ck_assert_int_eq(asup_ack_commit(received(cx, lent.channel, "borrowed", 2)), 0);
    return asup_cx_scope_join(scope, NULL);
}

START_TEST(what_is_got_through_a_lent_cx_ends_with_who_got_it)
{
    ck_assert_int_eq(virtual_run(&v, lends, NULL, NULL), 1); /* leaked */
}
END_TEST

/* ---- Times ------------------------------------------------------------------------------------
 */

static int
permit_times_out(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits limits = {.capacity = 1, .permit_timeout_ns = 10 * MS};
    struct asup_channel c = opened(cx, &limits);
    struct asup_permit *permit = asup_cx_reserve(cx, c, 0, NULL);

    (void)arg;
    ck_assert_int_eq(asup_cx_sleep(cx, 10 * MS), 0);
    ck_assert_int_eq(asup_permit_send(permit, "late", 4), -ASUP_EEXPIRED);
    ck_assert_uint_eq(view_of(c).permits, 0);
    sent(cx, c, "in time");
    ck_assert_int_eq(asup_ack_commit(received(cx, c, "in time", 1)), 0);
    return 0;
}

START_TEST(a_permit_whose_time_is_over_sends_nothing)
{
    passes(permit_times_out);
}
END_TEST

static int
ack_times_out(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits limits = {.capacity = 1, .ack_timeout_ns = 10 * MS};
    struct asup_channel c = opened(cx, &limits);
    struct asup_delivery *d;

    (void)arg;
    sent(cx, c, "slow");
    d = received(cx, c, "slow", 1);
    ck_assert_int_eq(asup_cx_sleep(cx, 10 * MS), 0);
    ck_assert_str_eq(asup_delivery_data(d, NULL), "slow"); /* good until it is resolved */
    ck_assert_int_eq(asup_ack_commit(d), -ASUP_EEXPIRED);
    ck_assert_int_eq(asup_ack_commit(received(cx, c, "slow", 2)), 0);
    return 0;
}

START_TEST(an_ack_whose_time_is_over_is_delivered_again)
{
    passes(ack_times_out);
}
END_TEST

static int
nacks(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits limits = {.capacity = 4, .nacks_max = 2};
    struct asup_channel c = opened(cx, &limits);
    int code;

    (void)arg;
    sent(cx, c, "first");
    sent(cx, c, "second");
    asup_ack_nack(received(cx, c, "first", 1), NULL);
    asup_ack_nack(received(cx, c, "first", 2), "hopeless"); /* in its place, then past the cap */
    ck_assert_int_eq(asup_ack_commit(received(cx, c, "second", 1)), 0);
    ck_assert_ptr_null(asup_cx_receive(cx, c, 0, &code));
    ck_assert_uint_eq(view_of(c).dead, 1);
    return 0;
}

START_TEST(a_message_that_comes_back_keeps_its_place_until_it_is_a_dead_letter)
{
    passes(nacks);
}
END_TEST

/* ---- Waiting
 * ------------------------------------------------------------------------------------- */

static int
sends_two(struct asup_cx *cx, void *arg)
{
    const struct lent *lent = arg;
    int code;

    for (int i = 0; i < 2; i++) {
        struct asup_permit *permit = asup_cx_reserve(cx, lent->channel, ASUP_NEVER, &code);

        if (permit == NULL)
            return code;
        ck_assert_int_eq(asup_permit_send(permit, "m", 1), 0);
    }
    return 0;
}

static int
full(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits limits = {.capacity = 1};
    struct lent lent = {.channel = opened(cx, &limits)};
    asup_time began = asup_cx_now(cx);
    struct asup_task sender;
    struct asup_permit *permit;
    int code;

    (void)arg;
    permit = asup_cx_reserve(cx, lent.channel, 0, &code);
    ck_assert_ptr_null(asup_cx_reserve(cx, lent.channel, 0, &code));
    ck_assert_int_eq(code, -ASUP_ETIMEDOUT);
    ck_assert_ptr_null(asup_cx_reserve(cx, lent.channel, 5 * MS, &code));
    ck_assert_int_eq(code, -ASUP_ETIMEDOUT);
    ck_assert_uint_eq(asup_cx_now(cx) - began, 5 * MS);
    ck_assert_ptr_null(asup_cx_receive(cx, lent.channel, 5 * MS, &code));
    ck_assert_int_eq(code, -ASUP_ETIMEDOUT);
    asup_permit_abort(permit);
    sender = spawned(cx, sends_two, &lent);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(asup_ack_commit(asup_cx_receive(cx, lent.channel, ASUP_NEVER, &code)), 0);
    return result_of(cx, sender);
}

START_TEST(a_full_channel_waits)
{
    passes(full);
}
END_TEST

static int
receives_all(struct asup_cx *cx, void *arg)
{
    const struct lent *lent = arg;
    struct asup_delivery *d;
    int code;

    while ((d = asup_cx_receive(cx, lent->channel, ASUP_NEVER, &code)) != NULL)
        ck_assert_int_eq(asup_ack_commit(d), 0);
    return code;
}

static int
seals(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits limits = {.capacity = 2};
    struct lent lent = {.channel = opened(cx, &limits)};
    struct asup_task receiver = spawned(cx, receives_all, &lent);
    struct asup_task sender;
    struct asup_delivery *d;
    int code;

    (void)arg;
    sent(cx, lent.channel, "a");
    ck_assert_int_eq(asup_cx_sleep(cx, MS), 0);
    ck_assert_int_eq(asup_cx_channel_seal(cx, lent.channel), 0);
    ck_assert_int_eq(asup_cx_channel_seal(cx, lent.channel), 0);
    ck_assert_ptr_null(asup_cx_reserve(cx, lent.channel, ASUP_NEVER, &code));
    ck_assert_int_eq(code, -ASUP_EENDED);
    ck_assert_int_eq(result_of(cx, receiver), -ASUP_EENDED);
    /* Not before what is out is settled; and who waits for room is told. */
    lent.channel = opened(cx, &limits);
    sent(cx, lent.channel, "b");
    d = received(cx, lent.channel, "b", 1);
    sent(cx, lent.channel, "c");
    sender = spawned(cx, sends_two, &lent);
    ck_assert_int_eq(asup_cx_sleep(cx, MS), 0);
    ck_assert_int_eq(asup_cx_channel_seal(cx, lent.channel), 0);
    ck_assert_int_eq(result_of(cx, sender), -ASUP_EENDED);
    receiver = spawned(cx, receives_all, &lent);
    ck_assert_int_eq(asup_cx_sleep(cx, MS), 0);
    ck_assert_uint_eq(view_of(lent.channel).receivers, 1);
    ck_assert_int_eq(asup_ack_commit(d), 0);
    ck_assert_int_eq(result_of(cx, receiver), -ASUP_EENDED);
    return 0;
}

START_TEST(a_sealed_channel_ends_when_it_is_empty)
{
    ck_assert_int_eq(virtual_run(&v, seals, NULL, NULL), -ASUP_EENDED);
}
END_TEST

static int
cancelled_while_parked(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits limits = {.capacity = 1};
    struct lent lent = {.channel = opened(cx, &limits)};
    struct asup_permit *permit = asup_cx_reserve(cx, lent.channel, 0, NULL);
    struct asup_task sender = spawned(cx, sends_two, &lent);
    struct asup_task receiver = spawned(cx, receives_all, &lent);

    (void)arg;
    ck_assert_int_eq(asup_cx_sleep(cx, MS), 0);
    ck_assert_uint_eq(view_of(lent.channel).senders, 1);
    ck_assert_uint_eq(view_of(lent.channel).receivers, 1);
    ck_assert_int_eq(asup_cx_cancel(cx, sender, "enough"), 0);
    ck_assert_int_eq(asup_cx_cancel(cx, receiver, "enough"), 0);
    ck_assert_int_eq(asup_permit_send(permit, "m", 1), 0);
    ck_assert_int_eq(result_of(cx, sender), -ASUP_ECANCELLED);
    ck_assert_int_eq(result_of(cx, receiver), -ASUP_ECANCELLED);
    ck_assert_uint_eq(view_of(lent.channel).permits, 0);
    ck_assert_uint_eq(view_of(lent.channel).queued, 1); /* nobody took it */
    ck_assert_int_eq(asup_ack_commit(received(cx, lent.channel, "m", 1)), 0);
    return 0;
}

START_TEST(a_cancel_while_parked_takes_nothing)
{
    ck_assert_int_eq(virtual_run(&v, cancelled_while_parked, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

static int
resolves_when_cancelled(struct asup_cx *cx, void *arg)
{
    struct lent *lent = arg;
    struct asup_permit *permit = asup_cx_reserve(cx, lent->channel, 0, NULL);
    struct asup_delivery *d = received(cx, lent->channel, "before", 1);
    int rc = asup_cx_sleep(cx, ASUP_NEVER);

    ck_assert_int_eq(rc, -ASUP_ECANCELLED);
    ck_assert_int_eq(asup_permit_send(permit, "last words", 10), 0);
    ck_assert_int_eq(asup_ack_commit(d), 0);
    return rc;
}

static int
drains(struct asup_cx *cx, void *arg)
{
    struct lent lent = {.channel = opened(cx, NULL)};
    struct asup_task task;

    (void)arg;
    sent(cx, lent.channel, "before");
    task = spawned(cx, resolves_when_cancelled, &lent);
    ck_assert_int_eq(asup_cx_sleep(cx, MS), 0);
    ck_assert_int_eq(asup_cx_cancel(cx, task, NULL), 0);
    ck_assert_int_eq(result_of(cx, task), -ASUP_ECANCELLED);
    ck_assert_int_eq(asup_ack_commit(received(cx, lent.channel, "last words", 1)), 0);
    return 0;
}

START_TEST(R_OBL_4_a_cancelled_task_resolves_what_it_holds)
{
    ck_assert_int_eq(virtual_run(&v, drains, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

/* ---- What is refused ----------------------------------------------------------------------------
 */

static int
refusals(struct asup_cx *cx, void *arg)
{
    static char large[ASUP_SEND_SIZE_MAX + 1];
    char name[ASUP_NAME_MAX + 2];
    struct asup_channel_limits none = {0};
    struct asup_channel c, other;
    struct asup_cx *scope;
    int code = 0;

    (void)arg;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_int_ne(asup_cx_channel_open(cx, name, NULL, &c), 0);
    name[sizeof name - 2] = '\0';
    ck_assert_int_eq(asup_cx_channel_open(cx, name, NULL, &c), 0);
    ck_assert_int_eq(asup_cx_channel_open(cx, name, NULL, &other), -ASUP_EEXISTS);
    ck_assert_int_eq(asup_cx_channel_open(cx, NULL, NULL, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_channel_open(cx, NULL, &none, &other), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_channel_open(NULL, NULL, NULL, &other), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_channel_seal(NULL, c), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_channel_seal(cx, (struct asup_channel){999}), -ASUP_ENOTFOUND);
    ck_assert_ptr_null(asup_cx_reserve(NULL, c, 0, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_ptr_null(asup_cx_receive(cx, (struct asup_channel){0}, 0, &code));
    ck_assert_int_eq(code, -ASUP_ENOTFOUND);
    ck_assert_int_eq(asup_permit_send(NULL, "", 0), -ASUP_EINVALID);
    asup_permit_abort(NULL);
    ck_assert_int_eq(asup_ack_commit(NULL), -ASUP_EINVALID);
    asup_ack_nack(NULL, NULL);
    ck_assert_int_eq(asup_permit_send((struct asup_permit *)cx, "", 0), -ASUP_EINVALID);
    ck_assert_int_eq(
        asup_permit_send(asup_cx_reserve(cx, c, 0, NULL), large, ASUP_SEND_SIZE_MAX + 1),
        -ASUP_ETOOLARGE);
    ck_assert_int_eq(asup_permit_send(asup_cx_reserve(cx, c, 0, NULL), NULL, 1), -ASUP_EINVALID);
    ck_assert_uint_eq(view_of(c).permits, 0);
    ck_assert_int_eq(asup_permit_send(asup_cx_reserve(cx, c, 0, NULL), large, ASUP_SEND_SIZE_MAX),
                     0);
    ck_assert_int_eq(asup_ack_commit(asup_cx_receive(cx, c, 0, NULL)), 0);
    /* One whose region has closed. */
    scope = asup_cx_scope_open(cx, NULL, NULL);
    other = opened(scope, NULL);
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), 0);
    ck_assert_ptr_null(asup_cx_reserve(cx, other, 0, &code));
    ck_assert(code == -ASUP_ECLOSED || code == -ASUP_ENOTFOUND);
    ck_assert_ptr_null(asup_cx_reserve(scope, c, 0, &code));
    ck_assert_int_eq(code, -ASUP_EEXPIRED);
    return 0;
}

START_TEST(what_makes_no_sense_is_refused_and_changes_nothing)
{
    passes(refusals);
}
END_TEST

static int
limited(struct asup_cx *cx, void *arg)
{
    struct asup_channel c, d, e;

    (void)arg;
    ck_assert_int_eq(asup_cx_channel_open(cx, "a", NULL, &c), 0);
    ck_assert_int_eq(asup_cx_channel_open(cx, "b", NULL, &d), 0);
    ck_assert_int_eq(asup_cx_channel_open(cx, "c", NULL, &e), -ASUP_EBUSY);
    return 0;
}

START_TEST(R_SCH_4_more_channels_than_may_be_are_busy)
{
    v.config.limits.channels_per_user = 2;
    passes(limited);
}
END_TEST

static const struct rule rules[] = {
    RULE(a_message_is_reserved_sent_received_and_committed),
    RULE(R_OBL_1_what_is_resolved_is_resolved_once),
    RULE(R_OBL_2_only_the_holder_resolves),
    RULE(R_OBL_3_what_a_task_leaves_behind_is_recovered_and_counted),
    RULE(what_is_got_through_a_lent_cx_ends_with_who_got_it),
    RULE(a_permit_whose_time_is_over_sends_nothing),
    RULE(an_ack_whose_time_is_over_is_delivered_again),
    RULE(a_message_that_comes_back_keeps_its_place_until_it_is_a_dead_letter),
    RULE(a_full_channel_waits),
    RULE(a_sealed_channel_ends_when_it_is_empty),
    RULE(a_cancel_while_parked_takes_nothing),
    RULE(R_OBL_4_a_cancelled_task_resolves_what_it_holds),
    RULE(what_makes_no_sense_is_refused_and_changes_nothing),
    RULE(R_SCH_4_more_channels_than_may_be_are_busy),
};

RULES_MAIN("cx channel", rules, begin, NULL)
