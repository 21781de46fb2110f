/* SPDX-License-Identifier: MIT */
/*
 * R-COM-2: the laws of the combinators, tried on every behaviour of their
 * leaves. An expression such as "J(a,R(b,c))" becomes a tree of regions (J
 * join: collect, R race, T<n> a limit of n seconds) with a task for each leaf;
 * every leaf ends at its own time in its own way, and obeys a cancel at once.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"
#include "scenario.h"

enum ending { ENDS_OK, ENDS_ERR, ENDS_PANICKED, ENDINGS };

struct behaviour {
    int at; /* seconds; 0: never ends by itself */
    enum ending how;
};

/* Leaves by letter, 'a' first. */
enum { LEAVES = 4 };

struct built {
    char leaf[16][8]; /* "a0": the letter and which of its occurrences */
    int leaf_count;
    int region_count;
};

struct result {
    int severity;
    char origin;  /* leaf it came from; 'C' with kind when cancelled */
    int kind;     /* root cause, -1: none */
    int leaf[26]; /* severity by letter, of its first occurrence */
};

static const char *
build(struct built *b, const char *expression, const char *parent)
{
    char statement[128];
    char name[16];

    if (islower((unsigned char)*expression)) {
        char *leaf = b->leaf[b->leaf_count];

        (void)snprintf(leaf, sizeof b->leaf[0], "%c%d", *expression, b->leaf_count);
        b->leaf_count++;
        (void)snprintf(statement, sizeof statement, "task %s in %s running", leaf, parent);
        given(statement);
        return expression + 1;
    }
    (void)snprintf(name, sizeof name, "region%d", b->region_count++);
    if (*expression == 'T') {
        char *end;
        long seconds = strtol(expression + 1, &end, 10);

        expression = end;
        (void)snprintf(statement, sizeof statement, "region %s in %s timeout %lds", name, parent,
                       seconds);
    } else {
        (void)snprintf(statement, sizeof statement, "region %s in %s policy %s", name, parent,
                       *expression == 'R' ? "race" : "collect");
        expression++;
    }
    given(statement);
    ck_assert_int_eq(*expression, '(');
    do
        expression = build(b, expression + 1, name);
    while (*expression == ',');
    ck_assert_int_eq(*expression, ')');
    return expression + 1;
}

static void
leaf_end(const char *leaf, enum ending how)
{
    static const char *const verb[] = {"exits 0", "exits 1", "dies 11"};
    char statement[64];

    if (task_of(leaf).state >= ASUP_TASK_FINALIZING)
        return;
    (void)snprintf(statement, sizeof statement, "%s %s", leaf, verb[how]);
    given(statement);
}

static struct result
result_of(const struct built *b)
{
    struct region_view root = region_of("region0");
    struct result r = {.severity = root.outcome.key.severity, .origin = '?', .kind = -1};

    ck_assert_int_eq(root.state, ASUP_REGION_CLOSED);
    for (int i = b->leaf_count; i-- > 0;) {
        struct task_view leaf = task_of(b->leaf[i]);

        ck_assert_int_eq(leaf.state, ASUP_TASK_COMPLETED);
        r.leaf[b->leaf[i][0] - 'a'] = leaf.outcome.key.severity;
        if (root.outcome.key.origin == id_of(b->leaf[i]))
            r.origin = b->leaf[i][0];
    }
    if (r.severity == ASUP_CANCELLED) {
        struct reason_view chain[16];
        size_t links = kernel_reason(the_kernel(), root.outcome.reason, chain, 16);

        ck_assert_uint_ge(links, 1);
        r.kind = chain[links - 1].key.kind;
        r.origin = 'C';
    }
    /* which Ok it was is no part of the law: combining keeps the first */
    if (r.severity == ASUP_OK)
        r.origin = 'O';
    return r;
}

static struct result
run(const char *expression, const struct behaviour *behaviour)
{
    struct built b = {.leaf_count = 0};
    struct result r;

    scenario_begin();
    given("shell obeys");
    (void)build(&b, expression, "/");
    given("finish region0");
    for (int second = 1; second <= 20; second++) {
        char statement[32];

        (void)snprintf(statement, sizeof statement, "at %ds", second);
        given(statement);
        for (int i = 0; i < b.leaf_count; i++) {
            const struct behaviour *leaf = &behaviour[b.leaf[i][0] - 'a'];

            if (leaf->at == second)
                leaf_end(b.leaf[i], leaf->how);
        }
    }
    given("cancel region0; at 1h"); /* what never ends */
    r = result_of(&b);
    scenario_end();
    return r;
}

static void
same(const char *left, const char *right, const struct behaviour *behaviour, bool leaves_too)
{
    struct result l = run(left, behaviour);
    struct result r = run(right, behaviour);

    ck_assert_msg(
        l.severity == r.severity && l.origin == r.origin && l.kind == r.kind &&
            (!leaves_too || memcmp(l.leaf, r.leaf, sizeof l.leaf) == 0),
        "%s is %s of %c, %s is %s of %c, where a ends at %d in way %d, b at %d in way %d, c at "
        "%d in way %d",
        left, asup_severity_name((uint8_t)l.severity), l.origin, right,
        asup_severity_name((uint8_t)r.severity), r.origin, behaviour[0].at, (int)behaviour[0].how,
        behaviour[1].at, (int)behaviour[1].how, behaviour[2].at, (int)behaviour[2].how);
}

static const int order[6][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};

/* Every order in which three leaves can end, in every way of each. */
static void
everywhere(const char *left, const char *right, int endings, bool leaves_too)
{
    for (int o = 0; o < 6; o++) {
        for (int w = 0; w < endings * endings * endings; w++) {
            struct behaviour b[LEAVES] = {
                {order[o][0], (enum ending)(w % endings)},
                {order[o][1], (enum ending)(w / endings % endings)},
                {order[o][2], (enum ending)(w / endings / endings)},
            };

            same(left, right, b, leaves_too);
        }
    }
}

/* R-COM-2: join associates and commutes. */
START_TEST(R_COM_2_join_associates_and_commutes)
{
    everywhere("J(a,J(b,c))", "J(J(a,b),c)", ENDINGS, true);
    everywhere("J(a,b,c)", "J(c,J(b,a))", ENDINGS, true);
}
END_TEST

/* R-COM-2: race associates and commutes. */
START_TEST(R_COM_2_race_associates_and_commutes)
{
    everywhere("R(a,R(b,c))", "R(R(a,b),c)", ENDINGS, true);
    everywhere("R(a,b,c)", "R(c,R(b,a))", ENDINGS, true);
}
END_TEST

/* R-COM-2: timeout(a, timeout(b, f)) = timeout(min(a, b), f). */
START_TEST(R_COM_2_timeouts_take_the_minimum)
{
    for (int at = 0; at <= 12; at++) {
        for (int how = 0; how < ENDINGS; how++) {
            struct behaviour b[LEAVES] = {{at, (enum ending)how}};

            same("T5(T9(a))", "T5(a)", b, true);
            same("T9(T5(a))", "T5(a)", b, true);
            same("T5(T5(a))", "T5(a)", b, true);
        }
    }
}
END_TEST

/* R-COM-2: race(f, never) = f. */
START_TEST(R_COM_2_never_is_neutral_in_a_race)
{
    for (int how = 0; how < ENDINGS; how++) {
        struct behaviour b[LEAVES] = {{3, (enum ending)how}, {0, ENDS_OK}};

        same("R(a,b)", "J(a)", b, false);
        same("R(b,a)", "J(a)", b, false);
    }
}
END_TEST

/* A result as a number, to be a member of a set. */
static unsigned
member(const struct result *r)
{
    int origin = r->origin == 'O' ? 0 : (r->origin == 'C' ? 1 : r->origin - 'a' + 2);

    ck_assert_int_ge(origin, 0);
    ck_assert_int_lt(origin, 8);
    return 1u << (unsigned)(r->severity * 8 + origin);
}

/* R-COM-2: race(join(s,a), join(s,b)) = join(s, race(a,b)) for outcomes: over
 * all orders, both sides can end in the same ways. (Order by order they need
 * not agree: the left side's two copies of s end one after the other.) */
START_TEST(R_COM_2_join_distributes_over_race)
{
    for (int w = 0; w < 8; w++) { /* Ok or Err, for each of the three */
        unsigned left = 0;
        unsigned right = 0;

        for (int o = 0; o < 6; o++) {
            struct behaviour b[LEAVES] = {
                {order[o][0], (enum ending)(w & 1)},
                {order[o][1], (enum ending)(w >> 1 & 1)},
                {order[o][2], (enum ending)(w >> 2 & 1)},
            };
            struct result l = run("R(J(c,a),J(c,b))", b);
            struct result r = run("J(c,R(a,b))", b);

            left |= member(&l);
            right |= member(&r);
        }
        ck_assert_uint_eq(left, right);
    }
}
END_TEST

static const struct rule rules[] = {
    RULE(R_COM_2_join_associates_and_commutes), RULE(R_COM_2_race_associates_and_commutes),
    RULE(R_COM_2_timeouts_take_the_minimum),    RULE(R_COM_2_never_is_neutral_in_a_race),
    RULE(R_COM_2_join_distributes_over_race),
};

RULES_MAIN("laws", rules, NULL, NULL)
