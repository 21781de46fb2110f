/* SPDX-License-Identifier: MIT */
/* Cancels, masks, budgets and who runs next, in virtual time. */
#include <check.h>
#include <string.h>

#include "rules.h"
#include "virtual.h"

static struct virtual v;

static void
begin(void)
{
    virtual_init(&v);
}

static uint8_t
state_of(struct asup_task task)
{
    struct task_view view;

    ck_assert(kernel_task(shell_kernel(v.shell), task.id, &view));
    return view.state;
}

/* ---- Observing ---------------------------------------------------------------------------- */

static int
checks_late(struct asup_cx *cx, void *arg)
{
    const struct asup_reason *reason;

    (void)arg;
    ck_assert(!asup_cx_is_cancel_requested(cx));
    ck_assert_ptr_null(asup_cx_cancel_reason(cx));
    asup_cx_mask(cx);
    ck_assert_int_eq(asup_cx_sleep(cx, 100), 0);
    asup_cx_unmask(cx);
    ck_assert(asup_cx_is_cancel_requested(cx));
    ck_assert_int_eq(state_of(asup_cx_task(cx)), ASUP_TASK_CANCEL_REQUESTED);
    ck_assert_int_eq(asup_cx_checkpoint(cx), -ASUP_ECANCELLED);
    ck_assert_int_eq(state_of(asup_cx_task(cx)), ASUP_TASK_CANCELLING);
    ck_assert_int_eq(asup_cx_checkpoint(cx), -ASUP_ECANCELLED);
    reason = asup_cx_cancel_reason(cx);
    ck_assert_int_eq(reason->key.kind, ASUP_CANCEL_USER);
    ck_assert_str_eq(reason->message, "not you");
    ck_assert_ptr_null(reason->cause);
    return 0;
}

static int
cancels(struct asup_cx *cx, void *arg)
{
    struct asup_task task = spawned(cx, checks_late, NULL);
    struct asup_outcome out;

    (void)arg;
    ck_assert_int_eq(asup_cx_sleep(cx, 10), 0);
    ck_assert_int_eq(asup_cx_cancel(cx, task, "not you"), 0);
    out = joined(cx, task);
    /* Whatever it returns: it was told. */
    ck_assert_int_eq(out.key.severity, ASUP_CANCELLED);
    ck_assert(!out.forced);
    ck_assert_str_eq(out.reason->message, "not you");
    return 0;
}

START_TEST(R_TSK_2_a_cancel_is_observed_at_a_checkpoint)
{
    ck_assert_int_eq(virtual_run(&v, cancels, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

static int
ends_untold(struct asup_cx *cx, void *arg)
{
    asup_cx_mask(cx);
    ck_assert_int_eq(asup_cx_sleep(cx, 100), 0);
    return *(int *)arg;
}

static int
cancels_untold(struct asup_cx *cx, void *arg)
{
    static int fine = 0, asked = -ASUP_ECANCELLED;
    struct asup_task a = spawned(cx, ends_untold, &fine);
    struct asup_task b = spawned(cx, ends_untold, &asked);

    (void)arg;
    ck_assert_int_eq(asup_cx_sleep(cx, 10), 0);
    ck_assert_int_eq(asup_cx_cancel(cx, a, NULL), 0);
    ck_assert_int_eq(asup_cx_cancel(cx, b, NULL), 0);
    ck_assert_int_eq(joined(cx, a).key.severity, ASUP_OK);
    ck_assert_int_eq(joined(cx, b).key.severity, ASUP_CANCELLED);
    return 0;
}

START_TEST(R_TSK_4_the_natural_outcome_stands_unless_it_was_told)
{
    ck_assert_int_eq(virtual_run(&v, cancels_untold, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

/* ---- In every call that waits -----------------------------------------------------------------
 */

static int
waits_in_join(struct asup_cx *cx, void *arg)
{
    return asup_cx_join(cx, *(struct asup_task *)arg, NULL);
}

static int
waits_in_park(struct asup_cx *cx, void *arg)
{
    (void)cx;
    return shell_park(v.shell, shell_ticket(v.shell), *(uint64_t *)arg);
}

static int
loops(struct asup_cx *cx, void *arg)
{
    int rc = 0;

    while (rc == 0) {
        rc = asup_cx_progress(cx, 1);
        if (rc == 0)
            rc = asup_cx_sleep(cx, *(uint64_t *)arg);
    }
    return rc;
}

static int
waits_in_scope(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    spawned(scope, sleeps, arg);
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), -ASUP_ECANCELLED);
    return asup_cx_checkpoint(cx);
}

static int
cancels_everywhere(struct asup_cx *cx, void *arg)
{
    static uint64_t never = ASUP_NEVER, millisecond = ASUP_NS_PER_MS;
    static struct asup_task forever;
    struct asup_task tasks[5];

    (void)arg;
    forever = spawned(cx, sleeps, NULL);
    tasks[0] = spawned(cx, waits_in_join, &forever);
    tasks[1] = spawned(cx, waits_in_park, &never);
    tasks[2] = spawned(cx, waits_in_scope, NULL);
    tasks[3] = spawned(cx, sleeps, NULL);
    tasks[4] = spawned(cx, loops, &millisecond);
    ck_assert_int_eq(asup_cx_sleep(cx, ASUP_NS_PER_S / 10), 0);
    for (int i = 0; i < 5; i++) {
        asup_time began = asup_cx_now(cx);

        ck_assert_int_eq(asup_cx_cancel(cx, tasks[i], NULL), 0);
        ck_assert_int_eq(joined(cx, tasks[i]).key.severity, ASUP_CANCELLED);
        ck_assert_uint_eq(asup_cx_now(cx), began); /* none of them waited for its time */
    }
    ck_assert_int_eq(asup_cx_cancel(cx, forever, NULL), 0);
    ck_assert_int_eq(joined(cx, forever).key.severity, ASUP_CANCELLED);
    return 0;
}

START_TEST(a_cancel_ends_every_wait)
{
    struct kernel_outcome out;

    ck_assert_int_eq(virtual_run(&v, cancels_everywhere, NULL, &out), -ASUP_ECANCELLED);
    ck_assert(!v.stuck);
}
END_TEST

static int
parks(struct asup_cx *cx, void *arg)
{
    struct shell_ticket ticket = shell_ticket(v.shell);
    asup_time began = asup_cx_now(cx);

    (void)arg;
    ck_assert_int_eq(shell_park(v.shell, ticket, began + 100), -ASUP_ETIMEDOUT);
    ck_assert_uint_eq(asup_cx_now(cx), began + 100);
    shell_wake(v.shell, ticket); /* it is too late, and for this one only */
    ticket = shell_ticket(v.shell);
    ck_assert_int_eq(shell_park(v.shell, ticket, began + 200), -ASUP_ETIMEDOUT);
    ticket = shell_ticket(v.shell);
    shell_wake(v.shell, ticket);
    ck_assert_int_eq(shell_park(v.shell, ticket, ASUP_NEVER), 0);
    ck_assert_uint_eq(asup_cx_now(cx), began + 200);
    return 0;
}

START_TEST(a_ticket_may_be_woken_before_it_is_waited_for)
{
    ck_assert_int_eq(virtual_run(&v, parks, NULL, NULL), 0);
}
END_TEST

/* ---- Masks -------------------------------------------------------------------------------------
 */

static int
masks(struct asup_cx *cx, void *arg)
{
    (void)arg;
    ck_assert_int_eq(asup_cx_sleep(cx, 1), -ASUP_ECANCELLED);
    asup_cx_mask(cx);
    asup_cx_mask(cx);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(asup_cx_sleep(cx, 1), 0);
    asup_cx_unmask(cx);
    ck_assert_int_eq(asup_cx_checkpoint(cx), 0);                /* they nest */
    ck_assert_int_eq(asup_cx_checkpoint(cx), -ASUP_ECANCELLED); /* its allowance was 3 */
    asup_cx_unmask(cx);
    asup_cx_unmask(cx); /* of nothing: does nothing */
    ck_assert_int_eq(asup_cx_checkpoint(cx), -ASUP_ECANCELLED);
    return 0;
}

static int
cancels_masked(struct asup_cx *cx, void *arg)
{
    struct asup_spawn_options options;
    struct asup_task task;

    (void)arg;
    asup_spawn_options_init(&options);
    ck_assert_uint_eq(options.mask_depth, 64);
    options.mask_depth = 3;
    ck_assert_int_eq(asup_cx_spawn_with(cx, &options, masks, NULL, &task), 0);
    ck_assert_int_eq(asup_cx_cancel(cx, task, NULL), 0);
    ck_assert_int_eq(joined(cx, task).key.severity, ASUP_CANCELLED);
    return 0;
}

START_TEST(R_TSK_3_masks_hold_as_long_as_there_is_one_to_spend)
{
    ck_assert_int_eq(virtual_run(&v, cancels_masked, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

/* ---- Given up
 * -------------------------------------------------------------------------------------- */

static int reached;

static int
clings(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    (void)arg;
    spawned(scope, sleeps, NULL);
    asup_cx_mask(cx);
    ck_assert_int_eq(asup_cx_sleep(cx, ASUP_NEVER), 0);
    reached++;
    return 0;
}

static int
gives_up(struct asup_cx *cx, void *arg)
{
    struct asup_spawn_options options;
    struct asup_task task;
    struct asup_outcome out;
    asup_time began;

    (void)arg;
    asup_spawn_options_init(&options);
    options.drain_ns = 3 * ASUP_NS_PER_S;
    ck_assert_int_eq(asup_cx_spawn_with(cx, &options, clings, NULL, &task), 0);
    ck_assert_int_eq(asup_cx_sleep(cx, 10), 0);
    began = asup_cx_now(cx);
    ck_assert_int_eq(asup_cx_cancel(cx, task, NULL), 0);
    out = joined(cx, task);
    ck_assert_uint_eq(asup_cx_now(cx), began + 3 * ASUP_NS_PER_S);
    ck_assert_int_eq(out.key.severity, ASUP_CANCELLED);
    ck_assert(out.forced);
    return 0;
}

START_TEST(R_REG_8_what_waits_at_T_is_given_up)
{
    ck_assert_int_eq(virtual_run(&v, gives_up, NULL, NULL), -ASUP_ECANCELLED);
    ck_assert_int_eq(reached, 0);
}
END_TEST

/* Time passes while it runs, as it does in a long computation. */
static int
never_gives_way(struct asup_cx *cx, void *arg)
{
    (void)arg;
    asup_cx_mask(cx);
    for (int i = 0; i < 40; i++) {
        v.now += ASUP_NS_PER_S;
        (void)asup_cx_now(cx);
        (void)ASUP_SPAWN(cx, sleeps, NULL); /* steps the kernel, and gives no way */
    }
    reached = 1;
    if (asup_cx_checkpoint(cx) == 0) /* here it is given up */
        reached = 2;
    reached = 3;
    return 0;
}

static int
outlives(struct asup_cx *cx, void *arg)
{
    struct asup_scope_options options;
    struct asup_cx *scope;
    struct asup_outcome out;

    (void)arg;
    asup_scope_options_init(&options);
    options.limits.timeout_ns = ASUP_NS_PER_S;
    scope = asup_cx_scope_open(cx, &options, NULL);
    spawned(scope, never_gives_way, NULL);
    ck_assert_int_eq(asup_cx_scope_join(scope, &out), -ASUP_ECANCELLED);
    ck_assert(out.forced);
    ck_assert_int_eq(out.reason->key.kind, ASUP_CANCEL_TIMEOUT);
    return 0;
}

static bool reported;

static void
look_for_report(void *ctx, const struct kernel *k, const struct input *in, const struct step *out)
{
    (void)ctx;
    (void)k;
    (void)in;
    for (size_t i = 0; i < out->event_count; i++)
        reported |= out->events[i].kind == EV_REGION_CLOSE_TIMEOUT;
}

START_TEST(R_REG_8_what_runs_on_is_reported_and_given_up_when_it_gives_way)
{
    v.stepped = look_for_report;
    ck_assert_int_eq(virtual_run(&v, outlives, NULL, NULL), -ASUP_ECANCELLED);
    ck_assert_int_eq(reached, 1);
    ck_assert(reported);
}
END_TEST

static int
closes_at_once(struct asup_cx *cx, void *arg)
{
    struct asup_scope_options options;
    struct asup_cx *scope;
    asup_time began = asup_cx_now(cx);

    (void)arg;
    asup_scope_options_init(&options);
    options.drain_ns = 0;
    scope = asup_cx_scope_open(cx, &options, NULL);
    spawned(scope, clings, NULL);
    spawned(scope, clings, NULL);
    ck_assert_int_eq(asup_cx_sleep(cx, 10), 0);
    asup_cx_scope_close(scope, NULL);
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), -ASUP_ECANCELLED);
    ck_assert_uint_eq(asup_cx_now(cx), began + 10);
    return 0;
}

START_TEST(R_REG_6_an_allowance_of_nothing_gives_up_at_once)
{
    ck_assert_int_eq(virtual_run(&v, closes_at_once, NULL, NULL), -ASUP_ECANCELLED);
    ck_assert_int_eq(reached, 0);
}
END_TEST

/* ---- Budgets
 * --------------------------------------------------------------------------------------- */

static int
spends(struct asup_cx *cx, void *arg)
{
    int polls = 0;

    while (asup_cx_checkpoint(cx) == 0)
        polls++;
    *(int *)arg = polls;
    ck_assert_int_eq(asup_cx_cancel_reason(cx)->key.kind, ASUP_CANCEL_POLL_QUOTA);
    return 0;
}

static int
spends_cost(struct asup_cx *cx, void *arg)
{
    int steps = 0;

    while (asup_cx_progress(cx, 30) == 0)
        steps++;
    *(int *)arg = steps;
    ck_assert_int_eq(asup_cx_cancel_reason(cx)->key.kind, ASUP_CANCEL_COST_BUDGET);
    return 0;
}

static int
looks_at_budget(struct asup_cx *cx, void *arg)
{
    struct asup_budget left = asup_cx_budget(cx);
    asup_time began = asup_cx_now(cx);

    (void)arg;
    ck_assert_uint_eq(left.poll_quota, 7);    /* its own */
    ck_assert_uint_eq(left.cost_quota, 1000); /* of the region */
    ck_assert_uint_eq(left.limit_at, began + 500);
    ck_assert_int_eq(left.limit_kind, ASUP_CANCEL_TIMEOUT);
    ck_assert_int_eq(asup_cx_progress(cx, 400), 0);
    ck_assert_int_eq(asup_cx_checkpoint(cx), 0);
    left = asup_cx_budget(cx);
    ck_assert_uint_eq(left.poll_quota, 6);
    ck_assert_uint_eq(left.cost_quota, 600);
    ck_assert_int_eq(asup_cx_sleep(cx, ASUP_NEVER), -ASUP_ECANCELLED);
    ck_assert_uint_eq(asup_cx_now(cx), began + 500);
    ck_assert_int_eq(asup_cx_cancel_reason(cx)->key.kind, ASUP_CANCEL_TIMEOUT);
    return 0;
}

static int
has_budgets(struct asup_cx *cx, void *arg)
{
    struct asup_scope_options in;
    struct asup_spawn_options options;
    struct asup_task task;
    struct asup_cx *scope;
    int done = 0;

    (void)arg;
    asup_spawn_options_init(&options);
    options.limits.poll_quota = 7;
    ck_assert_int_eq(asup_cx_spawn_with(cx, &options, spends, &done, &task), 0);
    ck_assert_int_eq(joined(cx, task).key.severity, ASUP_CANCELLED);
    ck_assert_int_eq(done, 6); /* the seventh spends the last */
    asup_spawn_options_init(&options);
    options.limits.cost_quota = 100;
    ck_assert_int_eq(asup_cx_spawn_with(cx, &options, spends_cost, &done, &task), 0);
    ck_assert_int_eq(joined(cx, task).key.severity, ASUP_CANCELLED);
    ck_assert_int_eq(done, 3);
    asup_scope_options_init(&in);
    in.limits.timeout_ns = 500;
    in.limits.cost_quota = 1000;
    scope = asup_cx_scope_open(cx, &in, NULL);
    options.limits.cost_quota = UINT64_MAX;
    options.limits.poll_quota = 7;
    ck_assert_int_eq(asup_cx_spawn_with(scope, &options, looks_at_budget, NULL, &task), 0);
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), -ASUP_ECANCELLED);
    return 0;
}

START_TEST(R_BUD_3_budgets_run_out)
{
    ck_assert_int_eq(virtual_run(&v, has_budgets, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

static int
begins_later(struct asup_cx *cx, void *arg)
{
    *(asup_time *)arg = asup_cx_now(cx);
    return 0;
}

static int
delays(struct asup_cx *cx, void *arg)
{
    struct asup_spawn_options options;
    struct asup_task task;
    asup_time began = asup_cx_now(cx);
    asup_time seen = 0;

    (void)arg;
    asup_spawn_options_init(&options);
    options.delay_ns = 700;
    ck_assert_int_eq(asup_cx_spawn_with(cx, &options, begins_later, &seen, &task), 0);
    ck_assert_int_eq(state_of(task), ASUP_TASK_CREATED);
    ck_assert_int_eq(asup_cx_join(cx, task, NULL), 0);
    ck_assert_uint_eq(seen, began + 700);
    seen = 0;
    ck_assert_int_eq(asup_cx_spawn_with(cx, &options, begins_later, &seen, &task), 0);
    ck_assert_int_eq(asup_cx_cancel(cx, task, NULL), 0);
    ck_assert_int_eq(joined(cx, task).key.severity, ASUP_CANCELLED);
    ck_assert_uint_eq(seen, 0); /* it never began */
    return 0;
}

START_TEST(a_delayed_task_is_created_until_its_time)
{
    ck_assert_int_eq(virtual_run(&v, delays, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

/* ---- Who runs next
 * ----------------------------------------------------------------------------------- */

static char order[256];

static int
says(struct asup_cx *cx, void *arg)
{
    for (int i = 0; i < 3; i++) {
        (void)strncat(order, arg, 1);
        if (asup_cx_checkpoint(cx) != 0)
            break;
    }
    return 0;
}

static int
says_cleaning(struct asup_cx *cx, void *arg)
{
    ck_assert_int_eq(asup_cx_sleep(cx, ASUP_NEVER), -ASUP_ECANCELLED);
    asup_cx_mask(cx);
    for (int i = 0; i < 40; i++) {
        (void)strncat(order, arg, 1);
        ck_assert_int_eq(asup_cx_checkpoint(cx), 0);
    }
    return 0;
}

static int
mixes(struct asup_cx *cx, void *arg)
{
    static char x[] = "x", a[] = "a", b[] = "b";
    struct asup_task cleaning = spawned(cx, says_cleaning, x);

    (void)arg;
    ck_assert_int_eq(asup_cx_sleep(cx, 10), 0);
    spawned(cx, says, a);
    spawned(cx, says, b);
    ck_assert_int_eq(asup_cx_cancel(cx, cleaning, NULL), 0);
    return 0;
}

START_TEST(R_SCH_2_the_cancel_lane_goes_first_and_starves_nobody)
{
    static const char first[] = "xxxxxxxxxxxxxxxx";

    ck_assert_int_eq(virtual_run(&v, mixes, NULL, NULL), -ASUP_ECANCELLED);
    /* After sixteen in a row one of the others; and they take turns. */
    ck_assert_int_eq(strncmp(order, first, 16), 0);
    ck_assert_int_eq(order[16], 'a');
    ck_assert_int_eq(strncmp(order + 17, first, 16), 0);
    ck_assert_int_eq(order[33], 'b');
    ck_assert_uint_eq(strlen(order), 46);
}
END_TEST

static size_t
last(void *ctx, const uint64_t *tasks, size_t count)
{
    (void)ctx;
    for (size_t i = 1; i < count; i++)
        ck_assert_uint_ne(tasks[i], tasks[0]);
    return count - 1;
}

static int
says_once(struct asup_cx *cx, void *arg)
{
    (void)cx;
    (void)strncat(order, arg, 1);
    return 0;
}

static int
spawns_three(struct asup_cx *cx, void *arg)
{
    static char names[] = "abc";

    (void)arg;
    for (int i = 0; i < 3; i++)
        spawned(cx, says_once, names + i);
    return 0;
}

START_TEST(the_world_chooses_who_runs)
{
    ck_assert_int_eq(virtual_run(&v, spawns_three, NULL, NULL), 0);
    ck_assert_str_eq(order, "abc");
    order[0] = '\0';
    v.choose = last;
    ck_assert_int_eq(virtual_run(&v, spawns_three, NULL, NULL), 0);
    ck_assert_str_eq(order, "cba");
}
END_TEST

static bool
cancel_third(void *ctx, enum world_point point, uint64_t task)
{
    struct virtual *world = ctx;

    (void)task;
    return point == POINT_CHECKPOINT && ++world->asked == 3;
}

static int
three_checkpoints(struct asup_cx *cx, void *arg)
{
    (void)arg;
    ck_assert_int_eq(asup_cx_checkpoint(cx), 0);
    ck_assert_int_eq(asup_cx_sleep(cx, 1), 0);
    ck_assert_int_eq(asup_cx_sleep(cx, 1), -ASUP_ECANCELLED);
    return 0;
}

START_TEST(the_world_cancels_at_a_checkpoint)
{
    v.intervenes = cancel_third;
    ck_assert_int_eq(virtual_run(&v, three_checkpoints, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

/* ---- The end of everything
 * ------------------------------------------------------------------------------- */

static int
shuts_down(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    (void)arg;
    spawned(scope, clings, NULL);
    spawned(scope, sleeps, NULL);
    ck_assert_int_eq(asup_cx_sleep(cx, 10), 0);
    shell_shutdown(v.shell, ASUP_NEVER);
    ck_assert_int_eq(asup_cx_checkpoint(cx), -ASUP_ECANCELLED);
    ck_assert_int_eq(asup_cx_cancel_reason(cx)->key.kind, ASUP_CANCEL_PARENT_CANCELLED);
    ck_assert_int_eq(asup_cx_cancel_reason(cx)->cause->key.kind, ASUP_CANCEL_SHUTDOWN);
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), -ASUP_ECANCELLED);
    return 0;
}

START_TEST(R_REG_6_a_shutdown_ends_all_within_its_allowance)
{
    asup_time began = v.now;

    ck_assert_int_eq(virtual_run(&v, shuts_down, NULL, NULL), -ASUP_ECANCELLED);
    ck_assert_uint_eq(v.now, began + 10 + 5 * ASUP_NS_PER_S);
    ck_assert_int_eq(reached, 0);
}
END_TEST

enum { MANY = ASUP_DEBUG ? 2000 : 100000 };

static int
many(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    (void)arg;
    for (int i = 0; i < MANY; i++)
        spawned(scope, sleeps, NULL);
    ck_assert_int_eq(asup_cx_sleep(cx, 10), 0);
    asup_cx_scope_close(scope, NULL);
    return asup_cx_scope_join(scope, NULL);
}

START_TEST(a_hundred_thousand_are_cancelled_and_drained)
{
    v.stack_size = 16384;
    ck_assert_int_eq(virtual_run(&v, many, NULL, NULL), -ASUP_ECANCELLED);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_TSK_2_a_cancel_is_observed_at_a_checkpoint),
    RULE(R_TSK_4_the_natural_outcome_stands_unless_it_was_told),
    RULE(a_cancel_ends_every_wait),
    RULE(a_ticket_may_be_woken_before_it_is_waited_for),
    RULE(R_TSK_3_masks_hold_as_long_as_there_is_one_to_spend),
    RULE(R_REG_8_what_waits_at_T_is_given_up),
    RULE(R_REG_8_what_runs_on_is_reported_and_given_up_when_it_gives_way),
    RULE(R_REG_6_an_allowance_of_nothing_gives_up_at_once),
    RULE(R_BUD_3_budgets_run_out),
    RULE(a_delayed_task_is_created_until_its_time),
    RULE(R_SCH_2_the_cancel_lane_goes_first_and_starves_nobody),
    RULE(the_world_chooses_who_runs),
    RULE(the_world_cancels_at_a_checkpoint),
    RULE(R_REG_6_a_shutdown_ends_all_within_its_allowance),
    RULE(a_hundred_thousand_are_cancelled_and_drained),
};

RULES_MAIN("cx cancel", rules, begin, NULL)
