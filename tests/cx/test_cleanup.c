/* SPDX-License-Identifier: MIT */
/* Finalizers and sagas of cx.h (semantics, §5). */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "rules.h"
#include "virtual.h"

enum { MS = 1000000 };

static struct virtual v;
static char story[256]; /* what was done, in order */

static void
begin(void)
{
    virtual_init(&v);
    story[0] = '\0';
}

static int
runs(asup_body body)
{
    int rc = virtual_run(&v, body, NULL, NULL);

    ck_assert(!v.stuck);
    return rc;
}

static void
tell(const char *word)
{
    size_t used = strlen(story);

    ck_assert_int_lt(snprintf(story + used, sizeof story - used, "%s", word),
                     (int)(sizeof story - used));
}

static int
tells(struct asup_cx *cx, void *arg)
{
    (void)cx;
    tell(arg);
    return 0;
}

/* Also after a wait, which a cleanup may do. */
static int
tells_slowly(struct asup_cx *cx, void *arg)
{
    int rc = asup_cx_sleep(cx, MS);

    tell(rc == 0 ? arg : "!");
    return rc;
}

static int
fails(struct asup_cx *cx, void *arg)
{
    (void)tells(cx, arg);
    return 3;
}

static int
result_of(struct asup_cx *cx, struct asup_task task)
{
    struct asup_outcome out;

    ck_assert_int_eq(asup_cx_join(cx, task, &out), 0);
    return asup_outcome_result(&out);
}

/* ---- Finalizers -------------------------------------------------------------------- */

static void
defers(struct asup_cx *cx)
{
    ck_assert_int_eq(asup_cx_defer(cx, tells_slowly, "a", ASUP_NEVER), 0);
    ck_assert_int_eq(asup_cx_defer(cx, tells, "b", ASUP_NEVER), 0);
    ck_assert_int_eq(asup_cx_defer(cx, tells_slowly, "c", ASUP_NS_PER_S), 0);
}

static int
ends_well(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    (void)arg;
    defers(scope);
    (void)spawned(scope, tells_slowly, "1");
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), 0);
    ck_assert_str_eq(story, "1cba");
    ck_assert_int_eq(asup_cx_defer(cx, NULL, NULL, ASUP_NEVER), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_defer(NULL, tells, NULL, ASUP_NEVER), -ASUP_EINVALID);
    return 0;
}

START_TEST(R_FIN_1_finalizers_run_last_in_first_out)
{
    ck_assert_int_eq(runs(ends_well), 0);
    ck_assert_str_eq(story, "1cba");
}
END_TEST

static int
panics(struct asup_cx *cx, void *arg)
{
    (void)arg;
    defers(cx);
    asup_cx_panic(cx, "as planned");
}

static int
is_cancelled(struct asup_cx *cx, void *arg)
{
    (void)arg;
    defers(cx);
    ck_assert_int_eq(asup_cx_cancel(cx, asup_cx_task(cx), "oneself"), 0);
    return asup_cx_checkpoint(cx);
}

START_TEST(R_FIN_1_finalizers_run_whatever_the_outcome)
{
    ck_assert_int_eq(runs(panics), -ASUP_EPANICKED);
    ck_assert_str_eq(story, "cba");
    begin();
    ck_assert_int_eq(runs(is_cancelled), -ASUP_ECANCELLED);
    ck_assert_str_eq(story, "cba");
}
END_TEST

static int
one_fails(struct asup_cx *cx, void *arg)
{
    (void)arg;
    ck_assert_int_eq(asup_cx_defer(cx, tells, "a", ASUP_NEVER), 0);
    ck_assert_int_eq(asup_cx_defer(cx, fails, "b", ASUP_NEVER), 0);
    ck_assert_int_eq(asup_cx_defer(cx, tells, "c", ASUP_NEVER), 0);
    return 0;
}

START_TEST(R_FIN_1_one_that_fails_stops_nothing_and_counts)
{
    ck_assert_int_eq(runs(one_fails), 3);
    ck_assert_str_eq(story, "cba");
}
END_TEST

/* ---- Sagas ------------------------------------------------------------------------------ */

static int
step(struct asup_saga_open *saga, const char *name, asup_body action, void *action_arg,
     void *undo_arg)
{
    const struct asup_saga_step s = {.name = name,
                                     .action = action,
                                     .action_arg = action_arg,
                                     .compensation = tells_slowly,
                                     .compensation_arg = undo_arg};

    return asup_saga_step_run(saga, &s);
}

static int
completes(struct asup_cx *cx, void *arg)
{
    int code;
    struct asup_saga_open *saga = asup_cx_saga_begin(cx, "order", &code), *gone = saga;

    (void)arg;
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(step(saga, "one", tells, "1", "-1"), 0);
    ck_assert_int_eq(step(saga, "by oneself", NULL, NULL, "-2"), 0);
    ck_assert_int_eq(asup_saga_complete(saga), 0);
    ck_assert_int_eq(asup_saga_complete(gone), -ASUP_ERESOLVED);
    ck_assert_int_eq(asup_saga_abort(gone, NULL), -ASUP_ERESOLVED);
    ck_assert_int_eq(step(gone, "late", tells, "3", "-3"), -ASUP_ERESOLVED);
    return 0;
}

START_TEST(a_completed_saga_stays_done)
{
    ck_assert_int_eq(runs(completes), 0);
    ck_assert_str_eq(story, "1");
}
END_TEST

static int
fails_at_third(struct asup_cx *cx, void *arg)
{
    struct asup_saga_open *saga = asup_cx_saga_begin(cx, NULL, NULL);

    (void)arg;
    ck_assert_int_eq(step(saga, "one", tells_slowly, "1", "-1"), 0);
    tell("2");
    ck_assert_int_eq(step(saga, "two", NULL, NULL, "-2"), 0);
    ck_assert_int_eq(step(saga, "three", fails, "3", "-3"), 3);
    ck_assert_int_eq(step(saga, "four", tells, "4", "-4"), -ASUP_ERESOLVED);
    ck_assert_int_eq(asup_saga_abort(saga, "the third failed"), 0);
    ck_assert_str_eq(story, "123-3-2-1");
    return 0;
}

START_TEST(R_SAG_2_what_was_begun_is_undone_in_reverse)
{
    ck_assert_int_eq(runs(fails_at_third), 3); /* the failed action counts in its region */
}
END_TEST

static int tries;
static asup_time tried_at[4];

static int
works_the_third_time(struct asup_cx *cx, void *arg)
{
    (void)arg;
    tried_at[tries] = asup_cx_now(cx);
    return ++tries == 3 ? 0 : 1;
}

static int
undone_with_retries(struct asup_cx *cx, void *arg)
{
    struct asup_saga_open *saga = asup_cx_saga_begin(cx, NULL, NULL);
    const struct asup_saga_step s = {.name = "stubborn",
                                     .compensation = works_the_third_time,
                                     .retry = {.attempts = 3, .backoff_ns = 10 * MS}};

    (void)arg;
    ck_assert_int_eq(asup_saga_step_run(saga, &s), 0);
    ck_assert_int_eq(asup_saga_abort(saga, NULL), 0);
    ck_assert_int_eq(tries, 3);
    ck_assert_uint_eq(tried_at[1] - tried_at[0], 10 * MS);
    ck_assert_uint_eq(tried_at[2] - tried_at[1], 20 * MS);
    return 0;
}

START_TEST(R_SAG_2_a_compensation_is_tried_again)
{
    ck_assert_int_eq(runs(undone_with_retries), 0);
}
END_TEST

static int
hopeless(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);
    struct asup_saga_open *saga = asup_cx_saga_begin(scope, NULL, NULL);
    const struct asup_saga_step s = {.name = "hopeless",
                                     .compensation = fails,
                                     .compensation_arg = "x",
                                     .retry = {.attempts = 2, .backoff_ns = MS}};

    (void)arg;
    ck_assert_int_eq(step(saga, "one", tells, "1", "-1"), 0);
    ck_assert_int_eq(asup_saga_step_run(saga, &s), 0);
    ck_assert_int_eq(step(saga, "three", tells, "3", "-3"), 0);
    ck_assert_int_eq(asup_saga_abort(saga, NULL), -ASUP_EUNAVAILABLE);
    ck_assert_str_eq(story, "13-3xx-1");                  /* the rest is undone */
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), 3); /* and the failure counts */
    return 0;
}

/* Nobody aborts it: nobody is told but the trace, and nothing hangs. */
static int
hopeless_and_alone(struct asup_cx *cx, void *arg)
{
    struct asup_saga_open *saga = asup_cx_saga_begin(cx, NULL, NULL);
    const struct asup_saga_step s = {
        .name = "hopeless", .compensation = fails, .compensation_arg = "x"};

    (void)arg;
    return asup_saga_step_run(saga, &s);
}

START_TEST(R_SAG_4_a_compensation_that_fails_for_good_is_told)
{
    ck_assert_int_eq(runs(hopeless), 3);
    begin();
    ck_assert_int_eq(runs(hopeless_and_alone), 3);
    ck_assert_str_eq(story, "x");
    ck_assert_ptr_nonnull(strstr(v.trace, "a compensation failed for good"));
}
END_TEST

static int
never_resolved(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);
    struct asup_saga_open *saga = asup_cx_saga_begin(scope, NULL, NULL);

    (void)arg;
    ck_assert_int_eq(asup_cx_defer(scope, tells, "d", ASUP_NEVER), 0);
    ck_assert_int_eq(step(saga, "one", tells, "1", "-1"), 0);
    asup_cx_scope_close(scope, NULL);
    (void)asup_cx_scope_join(scope, NULL);
    /* In the order of the stack, of which the saga is the lower. */
    ck_assert_str_eq(story, "1d-1");
    ck_assert_int_eq(asup_saga_complete(saga), -ASUP_ERESOLVED);
    return 0;
}

static int
begins_and_ends(struct asup_cx *cx, void *arg)
{
    struct asup_saga_open *saga = asup_cx_saga_begin(cx, NULL, NULL);

    (void)arg;
    return step(saga, "one", tells, "1", "-1");
}

static int
driver_ends(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    (void)arg;
    ck_assert_int_eq(result_of(scope, spawned(scope, begins_and_ends, NULL)), 0);
    ck_assert_str_eq(story, "1");
    ck_assert_int_eq(asup_cx_scope_join(scope, NULL), 0);
    ck_assert_str_eq(story, "1-1");
    return 0;
}

START_TEST(R_SAG_2_one_that_is_never_resolved_is_undone_when_its_region_closes)
{
    ck_assert_int_eq(runs(never_resolved), 0);
    begin();
    ck_assert_int_eq(runs(driver_ends), 0);
}
END_TEST

static int
stopped_in_a_step(struct asup_cx *cx, void *arg)
{
    struct asup_saga_open *saga = asup_cx_saga_begin(cx, NULL, NULL);
    int rc;

    (void)arg;
    ck_assert_int_eq(step(saga, "one", tells, "1", "-1"), 0);
    rc = step(saga, "two", tells_slowly, "2", "-2");
    ck_assert_int_eq(rc, -ASUP_ECANCELLED);
    ck_assert_str_eq(story, "1!"); /* its action ended with it */
    ck_assert_int_eq(step(saga, "three", tells, "3", "-3"), -ASUP_ECANCELLED);
    ck_assert_int_eq(asup_saga_abort(saga, "cancelled"), 0); /* waits although it is cancelled */
    ck_assert_str_eq(story, "1!-2-1");
    return rc;
}

static int
cancels_driver(struct asup_cx *cx, void *arg)
{
    struct asup_task task = spawned(cx, stopped_in_a_step, NULL);

    (void)arg;
    ck_assert_int_eq(asup_cx_sleep(cx, MS / 2), 0);
    ck_assert_int_eq(asup_cx_cancel(cx, task, NULL), 0);
    ck_assert_int_eq(result_of(cx, task), -ASUP_ECANCELLED);
    return 0;
}

START_TEST(a_cancelled_driver_aborts_its_saga)
{
    ck_assert_int_eq(runs(cancels_driver), -ASUP_ECANCELLED);
    ck_assert_str_eq(story, "1!-2-1");
}
END_TEST

static int
meddles(struct asup_cx *cx, void *arg)
{
    (void)cx;
    ck_assert_int_eq(step(arg, "mine", tells, "x", "-x"), -ASUP_EDENIED);
    ck_assert_int_eq(asup_saga_complete(arg), -ASUP_EDENIED);
    ck_assert_int_eq(asup_saga_abort(arg, NULL), -ASUP_EDENIED);
    return 0;
}

static int
refusals(struct asup_cx *cx, void *arg)
{
    const struct asup_saga_step nothing = {.name = "nothing"};
    struct asup_saga_open *saga = asup_cx_saga_begin(cx, NULL, NULL);
    char name[ASUP_NAME_MAX + 2];
    int code;

    (void)arg;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_ptr_null(asup_cx_saga_begin(cx, name, &code));
    ck_assert_int_eq(code, -ASUP_ETOOLARGE);
    ck_assert_ptr_null(asup_cx_saga_begin(NULL, NULL, &code));
    ck_assert_int_eq(code, -ASUP_EINVALID);
    ck_assert_int_eq(asup_saga_step_run(saga, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_saga_step_run(saga, &nothing), -ASUP_EINVALID);
    ck_assert_int_eq(step(saga, NULL, tells, "1", "-1"), -ASUP_EINVALID);
    ck_assert_int_eq(step(saga, name, tells, "1", "-1"), -ASUP_ETOOLARGE);
    ck_assert_int_eq(step(NULL, "one", tells, "1", "-1"), -ASUP_EINVALID);
    ck_assert_int_eq(asup_saga_complete(NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_saga_abort(NULL, NULL), 0);
    ck_assert_int_eq(result_of(cx, spawned(cx, meddles, saga)), 0);
    ck_assert_int_eq(asup_saga_complete(saga), 0);
    return 0;
}

START_TEST(what_makes_no_sense_is_refused)
{
    ck_assert_int_eq(runs(refusals), 0);
    ck_assert_str_eq(story, "");
}
END_TEST

static int
many(struct asup_cx *cx, void *arg)
{
    uint32_t job;

    (void)arg;
    for (int i = 0; i < 300; i++) {
        struct asup_saga_open *saga = asup_cx_saga_begin(cx, NULL, NULL);

        ck_assert_ptr_nonnull(saga);
        for (int j = 0; j < 3; j++)
            ck_assert_int_eq(step(saga, "own", NULL, NULL, ""), 0);
        ck_assert_int_eq(i % 2 == 0 ? asup_saga_complete(saga) : asup_saga_abort(saga, NULL), 0);
        job = shell_job_new(v.shell, &(struct shell_body){.body = tells});
        ck_assert_uint_le(job, 3); /* as many as one has steps */
        shell_job_free(v.shell, job);
    }
    return 0;
}

START_TEST(an_ended_saga_keeps_nothing)
{
    ck_assert_int_eq(runs(many), 0);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_FIN_1_finalizers_run_last_in_first_out),
    RULE(R_FIN_1_finalizers_run_whatever_the_outcome),
    RULE(R_FIN_1_one_that_fails_stops_nothing_and_counts),
    RULE(a_completed_saga_stays_done),
    RULE(R_SAG_2_what_was_begun_is_undone_in_reverse),
    RULE(R_SAG_2_a_compensation_is_tried_again),
    RULE(R_SAG_4_a_compensation_that_fails_for_good_is_told),
    RULE(R_SAG_2_one_that_is_never_resolved_is_undone_when_its_region_closes),
    RULE(a_cancelled_driver_aborts_its_saga),
    RULE(what_makes_no_sense_is_refused),
    RULE(an_ended_saga_keeps_nothing),
};

RULES_MAIN("cx cleanup", rules, begin, NULL)
