/* SPDX-License-Identifier: MIT */
/* asupersyncd.yaml: every error is told with its place and its cure, and a
 * file with an error changes nothing. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "rules.h"

static char *errors;
static struct config config;

/* Returns the number of errors; their text is in `errors`. */
static int
parse(const char *text)
{
    size_t size;

    free(errors);
    FILE *f = open_memstream(&errors, &size);
    ck_assert_ptr_nonnull(f);
    config_fini(&config);
    config_init(&config);
    config.events_count = 4711; /* what an error must leave alone */
    int count = config_parse("test.yaml", text, strlen(text), &config, f);
    fclose(f);
    return count;
}

static void
expect_error(const char *text, const char *message)
{
    int count = parse(text);

    ck_assert_msg(count == 1, "%d errors in\n%s%s", count, text, errors);
    ck_assert_msg(strstr(errors, message) != NULL, "expected: %s\ngot: %s", message, errors);
    ck_assert_uint_eq(config.events_count, 4711);
}

START_TEST(an_empty_file_is_all_defaults)
{
    ck_assert_int_eq(parse(""), 0);
    ck_assert_int_eq(parse("# nothing\n"), 0);
    ck_assert_int_eq(parse("limits:\n"), 0);
    ck_assert_uint_eq(config.kernel.limits.tasks_per_user, 100000);
    ck_assert_uint_eq(config.kernel.allowance[0].drain_ns, 30 * ASUP_NS_PER_S);
}
END_TEST

/* Whoever reads the file that is installed learns what each key is about. */
START_TEST(every_key_has_a_sentence_of_its_own)
{
    for (size_t i = 0; i < config_key_count; i++) {
        ck_assert_uint_gt(strlen(config_keys[i].help), 8);
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(strcmp(config_keys[i].help, config_keys[j].help) != 0,
                          "%s and %s say the same", config_keys[i].path, config_keys[j].path);
    }
}
END_TEST

/* How long a start that hangs takes a place is for the operator. */
START_TEST(patience_with_a_start_can_be_set)
{
    ck_assert_int_eq(parse(""), 0);
    ck_assert_uint_eq(config.kernel.start_patience_ns, ASUP_NS_PER_S);
    ck_assert_int_eq(parse("scheduling:\n  start-patience: 200ms\n"), 0);
    ck_assert_uint_eq(config.kernel.start_patience_ns, 200 * ASUP_NS_PER_MS);
    expect_error("scheduling: {start-patience: 0}\n", "scheduling.start-patience");
}
END_TEST

START_TEST(values_are_taken)
{
    ck_assert_int_eq(parse("retention: 1h30m\n"
                           "limits:\n"
                           "  tasks-per-user: 5\n"
                           "  queued-bytes-per-user: 64K\n"
                           "cleanup:\n"
                           "  user: {drain: 1.5s, polls: 7}\n"
                           "  limit: {drain: 1s}\n"
                           "  quota: {drain: 1s}\n"
                           "  failure: {drain: 1s}\n"
                           "  resource: {drain: 900ms}\n"
                           "  shutdown: {drain: 0}\n"
                           "connections:\n"
                           "  socket-mode: \"0660\"\n"),
                     0);
    ck_assert_uint_eq(config.kernel.retention_ns, 5400 * ASUP_NS_PER_S);
    ck_assert_uint_eq(config.kernel.limits.tasks_per_user, 5);
    ck_assert_uint_eq(config.kernel.limits.bytes_per_user, 65536);
    ck_assert_uint_eq(config.kernel.allowance[0].drain_ns, 1500 * ASUP_NS_PER_MS);
    ck_assert_uint_eq(config.kernel.allowance[0].polls, 7);
    ck_assert_uint_eq(config.kernel.allowance[5].drain_ns, 0);
    ck_assert_uint_eq(config.socket_mode, 0660);
    ck_assert_uint_eq(config.kernel.finalizer_ns, 10 * ASUP_NS_PER_S);
}
END_TEST

START_TEST(errors_name_line_and_column)
{
    expect_error(
        "retention: 1h\nlimits:\n  tasks-per-user: many\n",
        "test.yaml:3:19: \"limits.tasks-per-user\" is \"many\", but must be a whole number");
    expect_error("retention: 60\n",
                 "test.yaml:1:12: \"retention\" is \"60\", but must be a duration "
                 "with its unit");
    expect_error(
        "limits: {tasks-per-user: 0}\n",
        "test.yaml:1:26: \"limits.tasks-per-user\" is 0, but must be from 1 to 4294967295");
    expect_error("logs:\n  task-max: -1\n", "test.yaml:2:13: ");
    expect_error("connections:\n  socket-mode: 999\n", "test.yaml:2:16: ");
}
END_TEST

START_TEST(unknown_keys_are_refused_with_a_guess)
{
    expect_error("retentoin: 1h\n", "test.yaml:1:1: there is no key \"retentoin\"; did you mean "
                                    "\"retention\"?");
    expect_error("limits:\n  task-per-user: 3\n",
                 "test.yaml:2:3: there is no key \"limits.task-per-user\"; did you mean "
                 "\"limits.tasks-per-user\"?");
    expect_error("gargle: 1\n", "see asupersyncd.yaml(5)");
}
END_TEST

START_TEST(every_error_is_told_not_only_the_first)
{
    ck_assert_int_eq(parse("retention: x\nlimits:\n  depth: 1\n  tasks-per-user: y\n"), 3);
    ck_assert_uint_eq(config.events_count, 4711);
}
END_TEST

START_TEST(wrong_shapes_are_refused)
{
    expect_error("- 1\n- 2\n", "test.yaml:1:3: the file must hold keys with values");
    expect_error("limits: 7\n", "test.yaml:1:1: \"limits\" is a section");
    expect_error("retention:\n", "\"retention\" needs a value");
    expect_error("retention: {a: 1}\n", "\"retention\" needs a value");
    expect_error("retention: 1h\n  bad: [\n", "test.yaml:1:12: ");
    expect_error("retention: 1h\nlimits: [1,\n", "test.yaml:3:1: ");
    expect_error("retention: 1h\nretention: 2h\n", "test.yaml:2:");
}
END_TEST

START_TEST(values_must_fit_together)
{
    expect_error("sessions: {ttl: 2h, ttl-max: 1h}\n", "raise the latter");
    expect_error("limits: {waits-per-user: 10, waits-per-daemon: 5}\n", "lower the former");
    expect_error("cleanup: {shutdown: {drain: 1h}}\n", "R-CAN-2");
}
END_TEST

static char *
printed(const struct config *c)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(f);
    config_print(c, f);
    fclose(f);
    return text;
}

START_TEST(what_is_printed_reads_back_the_same)
{
    struct config before;

    config_init(&before);
    before.kernel.retention_ns = 61 * ASUP_NS_PER_S;
    before.log_task_max = 12345;
    before.socket_mode = 0600;
    char *text = printed(&before);
    ck_assert_msg(parse(text) == 0, "%s\n%s", errors, text);
    ck_assert_uint_eq(config.kernel.retention_ns, 61 * ASUP_NS_PER_S);
    ck_assert_uint_eq(config.log_task_max, 12345);
    char *again = printed(&config);
    ck_assert_str_eq(text, again);
    free(text);
    free(again);
}
END_TEST

/* R-CAP-2: who may do what. The last rule that matches counts. */
START_TEST(R_CAP_2_rules_say_who_may_do_what)
{
    const uint32_t groups[] = {5, 50};

    ck_assert_int_eq(parse(""), 0);
    ck_assert_ptr_null(policy_find(config.access, 1000, NULL, 0));
    ck_assert_int_eq(parse("access:\n"
                           "  - users: [1000-1999, 3000, root]\n"
                           "    rights: none\n"
                           "  - users: 1500\n"
                           "    groups: [50-60]\n"
                           "    region: /ci\n"
                           "    rights: [spawn, observe]\n"
                           "    budget: {timeout: 1h30m, priority: 150, polls: 7, cost: 9}\n"
                           "  - users: [1600]\n"),
                     0);
    const struct policy *p = config.access;
    ck_assert_uint_eq(p->count, 3);
    ck_assert(p->by_group);
    ck_assert_ptr_null(policy_find(p, 999, NULL, 0));
    ck_assert_ptr_null(policy_find(p, 2000, groups, 1));
    ck_assert_ptr_eq(policy_find(p, 1000, groups, 1), &p->rules[0]);
    ck_assert_ptr_eq(policy_find(p, 3000, NULL, 0), &p->rules[0]);
    ck_assert_ptr_eq(policy_find(p, 0, NULL, 0), &p->rules[0]);
    ck_assert_ptr_eq(policy_find(p, 1500, NULL, 0), &p->rules[1]);
    ck_assert_ptr_eq(policy_find(p, 2000, groups, 2), &p->rules[1]);
    ck_assert_ptr_eq(policy_find(p, 1600, groups, 2), &p->rules[2]);
    struct standing s = policy_standing(&p->rules[0]);
    ck_assert_uint_eq(s.withheld, ASUP_RIGHTS_TASK);
    s = policy_standing(&p->rules[1]);
    ck_assert_int_eq(p->rules[1].line, 4);
    ck_assert_str_eq(p->rules[1].region, "/ci");
    ck_assert_uint_eq(s.withheld, ASUP_RIGHTS_TASK & ~(ASUP_RIGHT_SPAWN | ASUP_RIGHT_OBSERVE));
    ck_assert_uint_eq(s.timeout_ns, 5400 * ASUP_NS_PER_S);
    ck_assert_uint_eq(s.priority, 150);
    ck_assert_uint_eq(s.polls, 7);
    ck_assert_uint_eq(s.cost, 9);
    s = policy_standing(&p->rules[2]);
    ck_assert_uint_eq(s.withheld | s.granted, 0);
    s = policy_standing(NULL);
    ck_assert_uint_eq(s.withheld | s.granted, 0);
    ck_assert_int_eq(parse("access: [{users: all, rights: [admin]}]\n"), 0);
    s = policy_standing(policy_find(config.access, 4294967294, NULL, 0));
    ck_assert_uint_eq(s.granted, ASUP_RIGHT_ADMIN);
    ck_assert_uint_eq(s.withheld, ASUP_RIGHTS_TASK);
}
END_TEST

START_TEST(R_CAP_2_mistakes_in_rules_are_told_with_their_place)
{
    expect_error("access: none\n", "test.yaml:1:1: \"access\" is a list of rules");
    expect_error("access:\n  - alice\n", "test.yaml:2:5: a rule has keys");
    expect_error("access:\n  - rights: none\n", "test.yaml:2:5: the rule matches nobody");
    expect_error("access:\n  - users: []\n", "test.yaml:2:5: the rule matches nobody");
    expect_error("access:\n  - users: [0, no-such-user]\n",
                 "test.yaml:2:16: there is no user \"no-such-user\"");
    expect_error("access:\n  - groups: [no-such-group]\n",
                 "test.yaml:2:14: there is no group \"no-such-group\"");
    expect_error("access:\n  - users: 2000-1000\n", "test.yaml:2:12: \"2000-1000\" is no range");
    expect_error("access:\n  - users: 4294967295\n", "is no range");
    expect_error("access:\n  - users: [[1]]\n", "a user is a name, a number");
    expect_error("access:\n  - users: all\n    rights: [spawn, fly]\n",
                 "test.yaml:3:21: there is no right \"fly\"");
    expect_error("access:\n  - users: all\n    rights: some\n", "there is no right \"some\"");
    expect_error("access:\n  - users: all\n    rights: {}\n", "\"rights\" needs a list");
    expect_error("access:\n  - users: all\n    region: ci\n", "test.yaml:3:13: \"region\" needs");
    expect_error("access:\n  - users: all\n    budget: {timeout: 5}\n",
                 "test.yaml:3:23: \"budget.timeout\" is \"5\"");
    expect_error("access:\n  - users: all\n    budget: {priority: 256}\n", "from 1 to 255");
    expect_error("access:\n  - users: all\n    budget: {polls: 0}\n", "budget.polls");
    expect_error("access:\n  - users: all\n    budget: {cost: -1}\n", "budget.cost");
    expect_error("access:\n  - users: all\n    budget: {time: 1h}\n",
                 "there is no key \"budget.time\"");
    expect_error("access:\n  - users: all\n    right: none\n",
                 "test.yaml:3:5: there is no key \"right\" in a rule");
    expect_error("access:\n  - users: all\n    rights: [admin]\n    region: /ci\n",
                 "\"admin\" is for the whole daemon");
    expect_error("acces: []\n", "did you mean \"access\"?");
}
END_TEST

START_TEST(R_CAP_2_rules_are_printed_as_they_are_read)
{
    ck_assert_int_eq(parse("access:\n"
                           "  - users: [1-5, 7, all]\n"
                           "    rights: none\n"
                           "  - groups: [8]\n"
                           "    region: \"/it's\"\n"
                           "    budget: {timeout: 1500ms, priority: 3, polls: 4, cost: 5}\n"),
                     0);
    char *text = printed(&config);
    ck_assert_msg(parse(text) == 0, "%s\n%s", errors, text);
    char *again = printed(&config);
    ck_assert_str_eq(text, again);
    ck_assert_ptr_nonnull(strstr(text, "users: [1-5, 7, all]\n    rights: []"));
    ck_assert_ptr_nonnull(strstr(text, "region: '/it''s'"));
    free(text);
    free(again);
}
END_TEST

/* Whoever may write to it says who may do what. */
START_TEST(R_CAP_2_rules_that_everybody_may_change_are_none)
{
    char path[] = "/tmp/asup.config.XXXXXX";
    int fd = mkstemp(path);
    size_t size;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "access: [{users: all}]\n", 23), 23);
    ck_assert_int_eq(fchmod(fd, 0646), 0);
    free(errors);
    FILE *f = open_memstream(&errors, &size);
    ck_assert_int_eq(config_load(path, true, &config, f), 1);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    ck_assert_int_eq(config_load(path, true, &config, f), 0);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(errors, "everybody may write to it"));
    ck_assert_uint_eq(config.access->count, 1);
    config_fini(&config);
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(every_key_is_within_its_own_bounds)
{
    char text[256];

    for (size_t i = 0; i < config_key_count; i++) {
        ck_assert_msg(config_keys[i].min <= config_keys[i].max, "%s", config_keys[i].path);
        ck_assert_msg(strlen(config_keys[i].help) > 0, "%s", config_keys[i].path);
        /* A list is a value for none of them. */
        const char *dot = strchr(config_keys[i].path, '.');
        if (dot && !strchr(dot + 1, '.')) {
            snprintf(text, sizeof text, "%.*s:\n  %s: [1]\n", (int)(dot - config_keys[i].path),
                     config_keys[i].path, dot + 1);
            expect_error(text, "needs a value");
        }
    }
}
END_TEST

START_TEST(a_missing_file_matters_only_when_it_was_named)
{
    size_t size;

    free(errors);
    FILE *f = open_memstream(&errors, &size);
    config.events_count = 1;
    ck_assert_int_eq(config_load("/nonexistent/asupersyncd.yaml", false, &config, f), 0);
    ck_assert_uint_gt(config.events_count, 1);
    ck_assert_int_eq(config_load("/nonexistent/asupersyncd.yaml", true, &config, f), 1);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(errors, "/nonexistent/asupersyncd.yaml: cannot be read"));
}
END_TEST

START_TEST(durations_and_sizes)
{
    uint64_t n;

    ck_assert(config_duration("1.5s", &n) && n == 1500000000);
    ck_assert(config_duration("0.25ms", &n) && n == 250000);
    ck_assert(config_duration("2m", &n) && n == 120000000000);
    ck_assert(config_duration("1h1m1s", &n) && n == 3661000000000);
    ck_assert(config_duration("0", &n) && n == 0);
    ck_assert(!config_duration("", &n));
    ck_assert(!config_duration("5", &n));
    ck_assert(!config_duration("1.s", &n));
    ck_assert(!config_duration("-1s", &n));
    ck_assert(!config_duration("1 s", &n));
    ck_assert(!config_duration("99999999999999999999s", &n));
    ck_assert(!config_duration("300000d", &n));
    ck_assert(config_size("16MiB", &n) && n == 16777216);
    ck_assert(config_size("1.5K", &n) && n == 1536);
    ck_assert(config_size("77", &n) && n == 77);
    ck_assert(!config_size("1X", &n));
    ck_assert(!config_size("1K1K", &n));
}
END_TEST

static const struct rule rules[] = {
    RULE(an_empty_file_is_all_defaults),
    RULE(every_key_has_a_sentence_of_its_own),
    RULE(patience_with_a_start_can_be_set),
    RULE(values_are_taken),
    RULE(errors_name_line_and_column),
    RULE(unknown_keys_are_refused_with_a_guess),
    RULE(every_error_is_told_not_only_the_first),
    RULE(wrong_shapes_are_refused),
    RULE(values_must_fit_together),
    RULE(what_is_printed_reads_back_the_same),
    RULE(R_CAP_2_rules_that_everybody_may_change_are_none),
    RULE(R_CAP_2_rules_are_printed_as_they_are_read),
    RULE(R_CAP_2_mistakes_in_rules_are_told_with_their_place),
    RULE(R_CAP_2_rules_say_who_may_do_what),
    RULE(every_key_is_within_its_own_bounds),
    RULE(a_missing_file_matters_only_when_it_was_named),
    RULE(durations_and_sizes),
};

RULES_MAIN("engine configuration", rules, NULL, NULL)
