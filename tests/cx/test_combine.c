/* SPDX-License-Identifier: MIT */
/* The combinators of cx.h: regions with a policy (semantics, §2). */
#include <check.h>
#include <string.h>

#include "rules.h"
#include "virtual.h"

enum { MS = 1000000 };

static struct virtual v;
static int live;

static void
begin(void)
{
    virtual_init(&v);
    live = 0;
}

static int
runs(asup_body body)
{
    int rc = virtual_run(&v, body, NULL, NULL);

    ck_assert(!v.stuck);
    ck_assert_int_eq(live, 0);
    return rc;
}

/* Ends with `result` after so long; takes `slack` to clean up when it is cancelled. */
struct job {
    uint64_t ns;
    int result;
    uint64_t slack;
    int begun;
    bool panics;
};

static int
works(struct asup_cx *cx, void *arg)
{
    struct job *job = arg;
    int rc;

    live++;
    job->begun++;
    rc = asup_cx_sleep(cx, job->ns);
    if (rc != 0 && job->slack > 0) {
        asup_cx_mask(cx);
        ck_assert_int_eq(asup_cx_sleep(cx, job->slack), 0);
        asup_cx_unmask(cx);
    }
    live--;
    if (job->panics && rc == 0)
        asup_cx_panic(cx, "as planned");
    return rc != 0 ? rc : job->result;
}

#define WORKS(job) ASUP_BRANCH(works, job)

/* ---- All ---------------------------------------------------------------------------- */

static int
all(struct asup_cx *cx, void *arg)
{
    struct job quick = {.ns = MS}, slow = {.ns = 9 * MS}, bad = {.ns = 2 * MS, .result = 7};
    const struct asup_branch branches[] = {WORKS(&slow), WORKS(&bad), WORKS(&quick)};
    asup_time began = asup_cx_now(cx);
    struct asup_outcome out;

    (void)arg;
    ck_assert_int_eq(asup_cx_all(cx, branches, 3, false, &out), 7);
    ck_assert_uint_eq(asup_cx_now(cx) - began, 9 * MS); /* all ended */
    ck_assert_int_eq(out.exit_code, 7);
    began = asup_cx_now(cx);
    ck_assert_int_eq(asup_cx_all(cx, branches, 3, true, NULL), 7);
    ck_assert_uint_eq(asup_cx_now(cx) - began, 2 * MS); /* the failure cancelled the rest */
    ck_assert_int_eq(asup_cx_all(cx, NULL, 0, false, &out), 0);
    ck_assert_int_eq(out.key.severity, ASUP_OK);
    ck_assert_int_eq(ASUP_JOIN_ALL(cx, WORKS(&quick), WORKS(&slow)), 0);
    return 0;
}

START_TEST(all_must_end_and_the_worst_counts)
{
    ck_assert_int_eq(runs(all), 7); /* R-OUT-2: in the region above, too */
}
END_TEST

/* ---- Race ------------------------------------------------------------------------------ */

static int
race(struct asup_cx *cx, void *arg)
{
    struct job slow = {.ns = ASUP_NS_PER_S, .slack = 5 * MS}, quick = {.ns = MS};
    const struct asup_branch branches[] = {WORKS(&slow), WORKS(&quick), WORKS(&slow)};
    asup_time began = asup_cx_now(cx);
    size_t winner = 0;
    struct asup_outcome out;

    (void)arg;
    ck_assert_int_eq(asup_cx_race(cx, branches, 3, &winner, &out), 0);
    ck_assert_uint_eq(winner, 1);
    ck_assert_int_eq(live, 0);
    ck_assert_uint_eq(asup_cx_now(cx) - began, 6 * MS);
    ck_assert_int_eq(ASUP_RACE(cx, &winner, WORKS(&quick), WORKS(&slow)), 0);
    ck_assert_uint_eq(winner, 0);
    ck_assert_int_eq(asup_cx_race(cx, branches, 2, NULL, NULL), 0);
    return 0;
}

START_TEST(R_COM_1_a_race_returns_when_no_loser_runs)
{
    ck_assert_int_eq(runs(race), 0); /* losers do not count */
}
END_TEST

/* The first end of any kind; who has left a scope behind has not ended. */
static int
ends_late(struct asup_cx *cx, void *arg)
{
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, NULL);

    (void)scope; /* left to the task's end */
    ck_assert_int_eq(ASUP_SPAWN(scope, works, arg), 0);
    return asup_cx_sleep(cx, MS / 2);
}

static int
race_of_any_kind(struct asup_cx *cx, void *arg)
{
    struct job slow = {.ns = ASUP_NS_PER_S, .slack = 5 * MS}, bad = {.ns = MS, .result = 4};
    struct job panics = {.ns = MS, .panics = true};
    size_t winner = 0;
    struct asup_outcome out;

    (void)arg;
    ck_assert_int_eq(ASUP_RACE(cx, &winner, WORKS(&slow), WORKS(&bad)), 4);
    ck_assert_uint_eq(winner, 1);
    ck_assert_int_eq(ASUP_RACE(cx, &winner, ASUP_BRANCH(ends_late, &slow), WORKS(&bad)), 4);
    ck_assert_uint_eq(winner, 1);
    ck_assert_int_eq(ASUP_RACE(cx, &winner, WORKS(&slow), WORKS(&panics)), -ASUP_EPANICKED);
    ck_assert_uint_eq(winner, 1);
    ck_assert_int_eq(asup_cx_race(cx, NULL, 0, &winner, &out), 1);
    ck_assert_uint_eq(winner, SIZE_MAX);
    ck_assert_int_eq(out.key.severity, ASUP_ERR);
    return 0;
}

START_TEST(a_race_is_won_by_the_first_end_of_any_kind)
{
    (void)runs(race_of_any_kind);
}
END_TEST

static int
first_ok(struct asup_cx *cx, void *arg)
{
    struct job bad = {.ns = MS, .result = 4}, good = {.ns = 3 * MS}, slow = {.ns = 9 * MS};
    struct job worse = {.ns = 2 * MS, .result = 5};
    const struct asup_branch branches[] = {WORKS(&bad), WORKS(&slow), WORKS(&good)};
    const struct asup_branch bads[] = {WORKS(&worse), WORKS(&bad)};
    asup_time began = asup_cx_now(cx);
    size_t winner;

    (void)arg;
    ck_assert_int_eq(asup_cx_first_ok(cx, branches, 3, &winner, NULL), 0);
    ck_assert_uint_eq(winner, 2);
    ck_assert_uint_eq(asup_cx_now(cx) - began, 3 * MS);
    ck_assert_int_eq(asup_cx_first_ok(cx, bads, 2, &winner, NULL), 4); /* the earlier */
    ck_assert_uint_eq(winner, SIZE_MAX);
    return 0;
}

START_TEST(the_first_ok_decides)
{
    ck_assert_int_eq(runs(first_ok), 4);
}
END_TEST

static int
quorum(struct asup_cx *cx, void *arg)
{
    struct job a = {.ns = MS}, b = {.ns = 2 * MS}, slow = {.ns = 9 * MS};
    struct job bad = {.ns = MS, .result = 4};
    const struct asup_branch branches[] = {WORKS(&a), WORKS(&bad), WORKS(&b), WORKS(&slow)};
    const struct asup_branch hopeless[] = {WORKS(&bad), WORKS(&slow), WORKS(&slow)};
    asup_time began = asup_cx_now(cx);
    struct asup_outcome out;

    (void)arg;
    ck_assert_int_eq(asup_cx_quorum(cx, 2, branches, 4, NULL), 0);
    ck_assert_uint_eq(asup_cx_now(cx) - began, 2 * MS);
    began = asup_cx_now(cx);
    ck_assert_int_gt(asup_cx_quorum(cx, 3, hopeless, 3, &out), 0);
    ck_assert_uint_eq(asup_cx_now(cx) - began, MS); /* as soon as it is impossible */
    ck_assert_int_eq(out.key.severity, ASUP_ERR);
    ck_assert_int_eq(asup_cx_quorum(cx, 0, branches, 4, NULL), -ASUP_EINVALID);
    ck_assert_int_gt(asup_cx_quorum(cx, 5, branches, 4, NULL), 0);
    return 0;
}

START_TEST(R_POL_1_a_quorum_decides_or_is_impossible)
{
    (void)runs(quorum);
}
END_TEST

/* ---- Time ---------------------------------------------------------------------------------- */

struct nested {
    uint64_t inner_ns;
    struct job *job;
};

static int
inner_timeout(struct asup_cx *cx, void *arg)
{
    struct nested *n = arg;

    return asup_cx_timeout(cx, n->inner_ns, works, n->job, NULL);
}

static int
timeouts(struct asup_cx *cx, void *arg)
{
    static const struct {
        uint64_t outer_ns, inner_ns, least_ns;
    } cases[] = {{5 * MS, 3 * MS, 3 * MS}, {3 * MS, 5 * MS, 3 * MS}, {4 * MS, 4 * MS, 4 * MS}};
    struct job slow = {.ns = ASUP_NS_PER_S}, quick = {.ns = MS, .result = 3};
    struct asup_outcome out;

    (void)arg;
    ck_assert_int_eq(asup_cx_timeout(cx, 5 * MS, works, &quick, NULL), 3);
    for (size_t i = 0; i < 3; i++) {
        struct nested n = {.inner_ns = cases[i].inner_ns, .job = &slow};
        asup_time began = asup_cx_now(cx);

        ck_assert_int_eq(asup_cx_timeout(cx, cases[i].outer_ns, inner_timeout, &n, &out),
                         -ASUP_ECANCELLED);
        ck_assert_uint_eq(asup_cx_now(cx) - began, cases[i].least_ns);
        ck_assert_int_eq(asup_reason_root(out.reason)->key.kind, ASUP_CANCEL_TIMEOUT);
    }
    return 0;
}

START_TEST(R_COM_2_nested_timeouts_are_the_smaller)
{
    ck_assert_int_eq(runs(timeouts), -ASUP_ECANCELLED);
}
END_TEST

static int
hedge(struct asup_cx *cx, void *arg)
{
    struct job quick = {.ns = MS}, slow = {.ns = 9 * MS}, bad = {.ns = MS, .result = 6};
    asup_time began = asup_cx_now(cx);

    (void)arg;
    ck_assert_int_eq(asup_cx_hedge(cx, 2 * MS, works, &quick, NULL), 0);
    ck_assert_int_eq(quick.begun, 1);
    ck_assert_uint_eq(asup_cx_now(cx) - began, MS);
    began = asup_cx_now(cx);
    ck_assert_int_eq(asup_cx_hedge(cx, 2 * MS, works, &slow, NULL), 0);
    ck_assert_int_eq(slow.begun, 2);
    ck_assert_uint_eq(asup_cx_now(cx) - began, 9 * MS);
    ck_assert_int_eq(asup_cx_hedge(cx, 2 * MS, works, &bad, NULL), 6);
    ck_assert_int_eq(bad.begun, 1); /* it had ended */
    return 0;
}

START_TEST(a_hedge_begins_a_second_when_the_first_is_late)
{
    ck_assert_int_eq(runs(hedge), 6);
}
END_TEST

struct flaky {
    int works_at; /* which attempt */
    int tried;
    uint64_t ns;
    asup_time at[8];
    bool panics, cancels;
};

static int
tries(struct asup_cx *cx, void *arg)
{
    struct flaky *f = arg;

    f->at[f->tried++] = asup_cx_now(cx);
    if (f->panics)
        asup_cx_panic(cx, "as planned");
    if (f->cancels)
        ck_assert_int_eq(asup_cx_cancel(cx, asup_cx_task(cx), NULL), 0);
    ASUP_TRY(asup_cx_sleep(cx, f->ns));
    return f->tried == f->works_at ? 0 : 9;
}

static int
retries(struct asup_cx *cx, void *arg)
{
    const struct asup_retry rule = {
        .attempts = 4, .backoff_ns = MS, .backoff_most_ns = 3 * MS, .timeout_ns = 10 * MS};
    struct flaky never = {0}, third = {.works_at = 3}, slow = {.ns = 20 * MS};
    struct flaky panics = {.panics = true}, cancels = {.cancels = true};

    (void)arg;
    ck_assert_int_eq(asup_cx_retry(cx, &rule, tries, &third, NULL), 0);
    ck_assert_int_eq(third.tried, 3);
    ck_assert_int_eq(asup_cx_retry(cx, &rule, tries, &never, NULL), 9);
    ck_assert_int_eq(never.tried, 4);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(never.at[i + 1] - never.at[i], (uint64_t)(i < 2 ? i + 1 : 3) * MS);
    ck_assert_int_eq(asup_cx_retry(cx, &rule, tries, &slow, NULL), -ASUP_ECANCELLED);
    ck_assert_int_eq(slow.tried, 4); /* an attempt whose time is over has failed */
    ck_assert_int_eq(asup_cx_retry(cx, &rule, tries, &panics, NULL), -ASUP_EPANICKED);
    ck_assert_int_eq(panics.tried, 1);
    ck_assert_int_eq(asup_cx_retry(cx, &rule, tries, &cancels, NULL), -ASUP_ECANCELLED);
    ck_assert_int_eq(cancels.tried, 1);
    ck_assert_int_eq(asup_cx_retry(cx, &(struct asup_retry){0}, tries, &never, NULL),
                     -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_retry(cx, NULL, tries, &never, NULL), -ASUP_EINVALID);
    return 0;
}

START_TEST(a_retry_counts_by_its_last_attempt)
{
    (void)runs(retries);
}
END_TEST

/* ---- Pipelines ------------------------------------------------------------------------------- */

struct line {
    int count, fails_at, got;
    int stage; /* that fails; -1: none */
};

static int
makes(struct asup_cx *cx, struct asup_channel in, struct asup_channel out, void *arg)
{
    struct line *line = arg;
    int code;

    ck_assert_uint_eq(in.id, 0);
    for (int i = 0; i < line->count; i++) {
        struct asup_permit *permit = asup_cx_reserve(cx, out, ASUP_NEVER, &code);

        if (permit == NULL)
            return code == -ASUP_EENDED ? 0 : code;
        if (line->stage == 0 && i == line->fails_at) {
            asup_permit_abort(permit);
            return 5;
        }
        ASUP_TRY(asup_permit_send(permit, &i, sizeof i));
    }
    return 0;
}

static int
doubles(struct asup_cx *cx, struct asup_channel in, struct asup_channel out, void *arg)
{
    struct line *line = arg;
    struct asup_delivery *d;
    int code;

    while ((d = asup_cx_receive(cx, in, ASUP_NEVER, &code)) != NULL) {
        struct asup_permit *permit = asup_cx_reserve(cx, out, ASUP_NEVER, &code);
        int number;

        if (permit == NULL) {
            asup_ack_nack(d, NULL);
            return code == -ASUP_EENDED ? 0 : code;
        }
        memcpy(&number, asup_delivery_data(d, NULL), sizeof number);
        if (line->stage == 1 && number == line->fails_at) {
            asup_permit_abort(permit);
            asup_ack_nack(d, NULL);
            return 5;
        }
        number *= 2;
        ASUP_TRY(asup_permit_send(permit, &number, sizeof number));
        ASUP_TRY(asup_ack_commit(d));
    }
    return code == -ASUP_EENDED ? 0 : code;
}

static int
adds(struct asup_cx *cx, struct asup_channel in, struct asup_channel out, void *arg)
{
    struct line *line = arg;
    struct asup_delivery *d;
    int code;

    ck_assert_uint_eq(out.id, 0);
    while ((d = asup_cx_receive(cx, in, ASUP_NEVER, &code)) != NULL) {
        int number;

        memcpy(&number, asup_delivery_data(d, NULL), sizeof number);
        ASUP_TRY(asup_ack_commit(d));
        if (line->stage == 2 && number == 2 * line->fails_at)
            return 5;
        if (line->stage == 3 && number == 2 * line->fails_at)
            return 0; /* has seen enough */
        line->got += number;
    }
    return code == -ASUP_EENDED ? 0 : code;
}

static int
pipelines(struct asup_cx *cx, void *arg)
{
    (void)arg;
    for (uint32_t capacity = 1; capacity < 4; capacity++) {
        struct line line = {.count = 50, .stage = -1};
        struct asup_stage stages[] = {
            {makes, &line, "make"}, {doubles, &line, "double"}, {adds, &line, "add"}};

        ck_assert_int_eq(asup_cx_pipeline(cx, stages, 3, capacity, NULL), 0);
        ck_assert_int_eq(line.got, 50 * 49);
        for (line.stage = 0; line.stage < 3; line.stage++) {
            line.fails_at = 20;
            ck_assert_int_eq(asup_cx_pipeline(cx, stages, 3, capacity, NULL), 5);
        }
    }
    ck_assert_int_eq(asup_cx_pipeline(cx, NULL, 0, 1, NULL), 0);
    ck_assert_int_eq(asup_cx_pipeline(cx, NULL, 1, 1, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_pipeline(cx, &(struct asup_stage){0}, 1, 1, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_pipeline(cx, &(struct asup_stage){.body = makes}, 1, 0, NULL),
                     -ASUP_EINVALID);
    return 0;
}

START_TEST(a_pipeline_ends_with_its_first_failure)
{
    ck_assert_int_ne(runs(pipelines), 0);
}
END_TEST

/* Who has seen enough ends those before it: they do not wait for room for ever. */
static int
enough(struct asup_cx *cx, void *arg)
{
    struct line line = {.count = 50, .fails_at = 10, .stage = 3};
    struct asup_stage stages[] = {
        {makes, &line, NULL}, {doubles, &line, NULL}, {adds, &line, NULL}};

    (void)arg;
    return asup_cx_pipeline(cx, stages, 3, 2, NULL);
}

START_TEST(a_stage_that_ends_early_ends_those_before_it)
{
    ck_assert_int_eq(runs(enough), 0);
}
END_TEST

/* ---- Map and reduce ---------------------------------------------------------------------------
 */

struct map {
    int most, running, fails_at, order;
};

static int
squares(struct asup_cx *cx, size_t index, void *item, void *arg)
{
    struct map *m = arg;
    int rc;

    if (++m->running > m->most)
        m->most = m->running;
    rc = asup_cx_sleep(cx, (7 - index % 7) * MS);
    m->running--;
    if (rc == 0 && m->fails_at == (int)index)
        rc = 8;
    if (rc == 0)
        *(int *)item *= *(int *)item;
    return rc;
}

static int
sums(struct asup_cx *cx, size_t index, void *item, void *arg)
{
    struct map *m = arg;

    (void)cx;
    ck_assert_int_eq((int)index, m->order++);
    ck_assert_int_eq(*(int *)item, (int)(index * index));
    return 0;
}

static int
map_reduce(struct asup_cx *cx, void *arg)
{
    static const uint32_t at_once[] = {0, 1, 3, 100};

    (void)arg;
    for (size_t i = 0; i < 4; i++) {
        struct map m = {.fails_at = -1};
        int items[20];

        for (int j = 0; j < 20; j++)
            items[j] = j;
        ck_assert_int_eq(
            asup_cx_map_reduce(cx, items, 20, sizeof items[0], at_once[i], squares, sums, &m, NULL),
            0);
        ck_assert_int_eq(m.order, 20);
        ck_assert_int_eq(m.most, at_once[i] == 0 || at_once[i] > 20 ? 20 : (int)at_once[i]);
        m = (struct map){.fails_at = 9};
        ck_assert_int_eq(
            asup_cx_map_reduce(cx, items, 20, sizeof items[0], at_once[i], squares, sums, &m, NULL),
            8);
        ck_assert_int_eq(m.order, 0);
        ck_assert_int_eq(m.running, 0);
    }
    ck_assert_int_eq(asup_cx_map_reduce(cx, NULL, 0, 4, 0, squares, sums, NULL, NULL), 0);
    ck_assert_int_eq(asup_cx_map_reduce(cx, NULL, 1, 4, 0, squares, sums, NULL, NULL),
                     -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_map_reduce(cx, NULL, 0, 4, 0, NULL, sums, NULL, NULL), -ASUP_EINVALID);
    return 0;
}

START_TEST(results_are_folded_in_order)
{
    ck_assert_int_eq(runs(map_reduce), 8);
}
END_TEST

/* ---- Laws
 * ---------------------------------------------------------------------------------------- */

struct pair {
    bool race;
    struct asup_branch branches[2];
};

static int
combines(struct asup_cx *cx, void *arg)
{
    struct pair *p = arg;

    return p->race ? asup_cx_race(cx, p->branches, 2, NULL, NULL)
                   : asup_cx_all(cx, p->branches, 2, false, NULL);
}

static int
contained(struct asup_cx *cx, asup_body body, void *arg)
{
    struct asup_task task;
    struct asup_outcome out;

    ck_assert_int_eq(asup_cx_spawn(cx, body, arg, &task), 0);
    ck_assert_int_eq(asup_cx_join(cx, task, &out), 0);
    return asup_outcome_result(&out);
}

/* Every assignment of results to three jobs of different length. */
static int
laws(struct asup_cx *cx, void *arg)
{
    static const int results[] = {0, 4, -ASUP_EPANICKED};

    (void)arg;
    for (int n = 0; n < 27 * 2; n++) {
        struct job jobs[3];
        bool race = n >= 27;

        for (int i = 0, code = n % 27; i < 3; i++, code /= 3)
            jobs[i] = (struct job){.ns = (uint64_t)(i + 1) * MS,
                                   .result = results[code % 3],
                                   .panics = results[code % 3] == -ASUP_EPANICKED};
        {
            struct pair ab = {race, {WORKS(&jobs[0]), WORKS(&jobs[1])}};
            struct pair bc = {race, {WORKS(&jobs[1]), WORKS(&jobs[2])}};
            struct pair ba = {race, {WORKS(&jobs[1]), WORKS(&jobs[0])}};
            struct pair left = {race, {ASUP_BRANCH(combines, &ab), WORKS(&jobs[2])}};
            struct pair right = {race, {WORKS(&jobs[0]), ASUP_BRANCH(combines, &bc)}};

            ck_assert_int_eq(contained(cx, combines, &left), contained(cx, combines, &right));
            ck_assert_int_eq(contained(cx, combines, &ab), contained(cx, combines, &ba));
        }
    }
    return 0;
}

START_TEST(R_COM_2_join_and_race_associate_and_commute)
{
    (void)runs(laws);
}
END_TEST

/* race(f, never) = f;  race(join(s, a), join(s, b)) = join(s, race(a, b)) for outcomes. */
static int
more_laws(struct asup_cx *cx, void *arg)
{
    struct job never = {.ns = ASUP_NEVER};

    (void)arg;
    for (int result = 0; result < 3; result++) {
        struct job f = {.ns = MS, .result = result}, s = {.ns = 2 * MS, .result = result};
        struct job a = {.ns = 3 * MS}, b = {.ns = 4 * MS, .result = 1};
        struct pair alone = {true, {WORKS(&f), WORKS(&never)}};
        struct pair sa = {false, {WORKS(&s), WORKS(&a)}}, sb = {false, {WORKS(&s), WORKS(&b)}};
        struct pair ab = {true, {WORKS(&a), WORKS(&b)}};
        struct pair outside = {true, {ASUP_BRANCH(combines, &sa), ASUP_BRANCH(combines, &sb)}};
        struct pair inside = {false, {WORKS(&s), ASUP_BRANCH(combines, &ab)}};

        ck_assert_int_eq(contained(cx, combines, &alone), result);
        ck_assert_int_eq(contained(cx, combines, &outside), contained(cx, combines, &inside));
    }
    return 0;
}

START_TEST(R_COM_2_never_is_neutral_and_join_distributes_over_race)
{
    (void)runs(more_laws);
}
END_TEST

/* ---- Cancelled, given up
 * -------------------------------------------------------------------------- */

static int
races_for_ever(struct asup_cx *cx, void *arg)
{
    struct job never = {.ns = ASUP_NEVER, .slack = MS};
    size_t winner;

    (void)arg;
    return ASUP_RACE(cx, &winner, WORKS(&never), WORKS(&never));
}

static int
retries_for_ever(struct asup_cx *cx, void *arg)
{
    const struct asup_retry rule = {.attempts = 1000000, .backoff_ns = MS, .backoff_most_ns = MS};
    struct job fails = {.ns = MS, .result = 1, .slack = MS};

    (void)arg;
    return asup_cx_retry(cx, &rule, works, &fails, NULL);
}

static int
hedges_for_ever(struct asup_cx *cx, void *arg)
{
    (void)arg;
    return asup_cx_hedge(cx, MS, works, &(struct job){.ns = ASUP_NEVER, .slack = MS}, NULL);
}

static int
streams_for_ever(struct asup_cx *cx, void *arg)
{
    struct line line = {.count = 1 << 30, .stage = -1};
    struct asup_stage stages[] = {
        {makes, &line, NULL}, {doubles, &line, NULL}, {adds, &line, NULL}};

    (void)arg;
    return asup_cx_pipeline(cx, stages, 3, 2, NULL);
}

static int
maps_for_ever(struct asup_cx *cx, size_t index, void *item, void *arg)
{
    (void)index;
    (void)item;
    return works(cx, arg);
}

static int
map_for_ever(struct asup_cx *cx, void *arg)
{
    struct job never = {.ns = ASUP_NEVER, .slack = MS};
    int items[5] = {0};

    (void)arg;
    return asup_cx_map_reduce(cx, items, 5, sizeof items[0], 2, maps_for_ever, NULL, &never, NULL);
}

static const asup_body endless[] = {races_for_ever, retries_for_ever, hedges_for_ever,
                                    streams_for_ever, map_for_ever};
enum { ENDLESS = sizeof endless / sizeof endless[0] };

static int
cancels_each(struct asup_cx *cx, void *arg)
{
    (void)arg;
    for (int i = 0; i < ENDLESS; i++) {
        struct asup_task task;
        struct asup_outcome out;

        ck_assert_int_eq(asup_cx_spawn(cx, endless[i], NULL, &task), 0);
        for (int j = 0; j < 10; j++)
            ck_assert_int_eq(asup_cx_checkpoint(cx), 0);
        ck_assert_int_eq(asup_cx_cancel(cx, task, NULL), 0);
        ck_assert_int_eq(asup_cx_join(cx, task, &out), 0);
        ck_assert_int_eq(asup_outcome_result(&out), -ASUP_ECANCELLED);
        ck_assert_int_eq(live, 0);
    }
    return 0;
}

START_TEST(a_cancel_reaches_every_branch)
{
    ck_assert_int_eq(runs(cancels_each), -ASUP_ECANCELLED);
}
END_TEST

/* Given up with its combinator in the middle: what that keeps lasts until its branches have
 * ended (run it with AddressSanitizer). */
static int
gives_up_each(struct asup_cx *cx, void *arg)
{
    (void)arg;
    for (int i = 0; i < ENDLESS; i++) {
        struct asup_scope_options options;
        struct asup_spawn_options spawn;
        struct asup_outcome out;
        struct asup_cx *scope;

        asup_scope_options_init(&options);
        scope = asup_cx_scope_open(cx, &options, NULL);
        asup_spawn_options_init(&spawn);
        spawn.drain_ns = 0;
        ck_assert_int_eq(asup_cx_spawn_with(scope, &spawn, endless[i], NULL, NULL), 0);
        for (int j = 0; j < 10; j++)
            ck_assert_int_eq(asup_cx_checkpoint(cx), 0);
        asup_cx_scope_close(scope, "at once");
        ck_assert_int_eq(asup_cx_scope_join(scope, &out), -ASUP_ECANCELLED);
        live = 0; /* those given up do not say so */
    }
    return 0;
}

START_TEST(R_REG_8_who_is_given_up_leaves_nothing_behind)
{
    (void)runs(gives_up_each);
}
END_TEST

static int
is_cancelled_before(struct asup_cx *cx, void *arg)
{
    struct job job = {.ns = 0};

    (void)arg;
    ck_assert_int_eq(asup_cx_cancel(cx, asup_cx_task(cx), NULL), 0);
    for (int i = 0; i < ENDLESS; i++)
        ck_assert_int_eq(endless[i](cx, NULL), -ASUP_ECANCELLED);
    /* But while it cleans up. */
    asup_cx_mask(cx);
    ck_assert_int_eq(ASUP_JOIN_ALL(cx, WORKS(&job)), 0);
    ck_assert_int_eq(asup_cx_retry(cx, &(struct asup_retry){.attempts = 1}, works, &job, NULL), 0);
    asup_cx_unmask(cx);
    ck_assert_int_eq(job.begun, 2);
    return -ASUP_ECANCELLED;
}

START_TEST(a_combinator_is_a_checkpoint)
{
    ck_assert_int_eq(runs(is_cancelled_before), -ASUP_ECANCELLED);
}
END_TEST

static int
refusals(struct asup_cx *cx, void *arg)
{
    struct asup_branch none = {0};
    size_t winner;

    (void)arg;
    ck_assert_int_eq(asup_cx_all(NULL, &none, 0, false, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_all(cx, NULL, 1, false, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_all(cx, &none, 1, false, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_race(cx, &none, 1, &winner, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_race(cx, NULL, 1, &winner, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_timeout(cx, MS, NULL, NULL, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_hedge(cx, MS, NULL, NULL, NULL), -ASUP_EINVALID);
    ck_assert_int_eq(asup_cx_retry(cx, &(struct asup_retry){.attempts = 2}, NULL, NULL, NULL),
                     -ASUP_EINVALID);
    return 0;
}

START_TEST(what_makes_no_sense_is_refused)
{
    (void)runs(refusals);
}
END_TEST

static const struct rule rules[] = {
    RULE(all_must_end_and_the_worst_counts),
    RULE(R_COM_1_a_race_returns_when_no_loser_runs),
    RULE(a_race_is_won_by_the_first_end_of_any_kind),
    RULE(the_first_ok_decides),
    RULE(R_POL_1_a_quorum_decides_or_is_impossible),
    RULE(R_COM_2_nested_timeouts_are_the_smaller),
    RULE(a_hedge_begins_a_second_when_the_first_is_late),
    RULE(a_retry_counts_by_its_last_attempt),
    RULE(a_pipeline_ends_with_its_first_failure),
    RULE(a_stage_that_ends_early_ends_those_before_it),
    RULE(results_are_folded_in_order),
    RULE(R_COM_2_join_and_race_associate_and_commute),
    RULE(R_COM_2_never_is_neutral_and_join_distributes_over_race),
    RULE(a_cancel_reaches_every_branch),
    RULE(R_REG_8_who_is_given_up_leaves_nothing_behind),
    RULE(a_combinator_is_a_checkpoint),
    RULE(what_makes_no_sense_is_refused),
};

RULES_MAIN("cx combine", rules, begin, NULL)
