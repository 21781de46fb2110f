/* SPDX-License-Identifier: MIT */
/*
 * A table of tests, each named after the rule it shows, run by Check. Every
 * test is a case of its own, so that one rule can be run alone:
 *
 *     CK_RUN_CASE=R_REG_3_last_exit_starts_finalizers ./test_core_region
 */
#ifndef ASUPERSYNC_TESTS_RULES_H
#define ASUPERSYNC_TESTS_RULES_H

#include <check.h>
#include <stddef.h>
#include <stdlib.h>

struct rule {
    const TTest *const *test;
};

#define RULE(function)                                                                             \
    {                                                                                              \
        &function                                                                                  \
    }

/* Run them; `begin` and `end` surround each test, NULL for none. */
static inline int
rules_run(const char *suite_name, const struct rule *rules, size_t count, void (*begin)(void),
          void (*end)(void))
{
    Suite *suite = suite_create(suite_name);
    SRunner *runner;
    int failed;

    for (size_t i = 0; i < count; i++) {
        TCase *tcase = tcase_create((*rules[i].test)->name);

        tcase_set_timeout(tcase, 60);
        if (begin != NULL)
            tcase_add_checked_fixture(tcase, begin, end);
        tcase_add_test(tcase, *rules[i].test);
        suite_add_tcase(suite, tcase);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define RULES_MAIN(suite_name, table, begin, end)                                                  \
    int main(void)                                                                                 \
    {                                                                                              \
        return rules_run(suite_name, table, sizeof(table) / sizeof((table)[0]), begin, end);       \
    }

#endif
