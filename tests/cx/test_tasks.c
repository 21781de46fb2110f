/* SPDX-License-Identifier: MIT */
/* Tasks in the runtime of production: spawn, join, outcomes, scopes. */
#include <check.h>
#include <string.h>

#include "asupersync/runtime.h"
#include "rules.h"

static int
run(asup_body body, void *arg, struct asup_outcome *out)
{
    struct asup_runtime_options options;

    asup_runtime_options_init(&options);
    options.stop_on_signals = false;
    return asup_runtime_run(&options, body, arg, out);
}

static int
returns(struct asup_cx *cx, void *arg)
{
    (void)cx;
    return *(int *)arg;
}

static int
join_one(struct asup_cx *cx, void *arg)
{
    struct asup_task task;
    struct asup_outcome out;

    ck_assert_int_eq(asup_cx_spawn(cx, returns, arg, &task), 0);
    ck_assert_int_eq(asup_cx_join(cx, task, &out), 0);
    return asup_outcome_result(&out);
}

START_TEST(R_OUT_3_a_result_is_the_outcome)
{
    static int results[] = {0, 1, 7, 255, -ASUP_EBUSY, -ASUP_ECANCELLED};

    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        struct asup_outcome out;

        ck_assert_int_eq(run(returns, &results[i], &out), results[i]);
        ck_assert_int_eq(out.key.severity, results[i] == 0 ? ASUP_OK : ASUP_ERR);
        ck_assert_int_eq(run(join_one, &results[i], NULL), results[i]);
    }
    asup_runtime_outcome_fini();
}
END_TEST

static const struct rule rules[] = {
    RULE(R_OUT_3_a_result_is_the_outcome),
};

RULES_MAIN("cx tasks", rules, NULL, NULL)
