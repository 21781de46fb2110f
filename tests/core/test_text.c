/* SPDX-License-Identifier: MIT */
/* Names, identifiers and durations in text: each reads back as it was written,
 * and what is not quite right is refused. */
#include <limits.h>
#include <string.h>

#include "asupersync/values.h"
#include "rules.h"

START_TEST(names_of_numbers_and_back)
{
    for (int i = 0; i < ASUP_CANCEL_KIND_COUNT; i++)
        ck_assert_int_eq(asup_cancel_kind_from_name(asup_cancel_kind_name((uint8_t)i)), i);
    for (int i = 0; i < ASUP_REGION_STATE_COUNT; i++)
        ck_assert_int_eq(asup_region_state_from_name(asup_region_state_name((uint8_t)i)), i);
    for (int i = 0; i < ASUP_TASK_STATE_COUNT; i++)
        ck_assert_int_eq(asup_task_state_from_name(asup_task_state_name((uint8_t)i)), i);
    for (int i = 0; i < ASUP_POLICY_COUNT; i++)
        ck_assert_int_eq(asup_policy_from_name(asup_policy_name((uint8_t)i)), i);
    for (int i = ASUP_OK; i <= ASUP_PANICKED; i++)
        ck_assert_int_eq(asup_severity_from_name(asup_severity_name((uint8_t)i)), i);
    ck_assert_str_eq(asup_severity_name(4), "unknown");
    ck_assert_str_eq(asup_cancel_kind_name(255), "unknown");
    ck_assert_str_eq(asup_policy_name(ASUP_POLICY_FIRST_OK), "first-ok");
    ck_assert_int_eq(asup_policy_from_name("first_ok"), -ASUP_EINVALID);
    ck_assert_int_eq(asup_policy_from_name(""), -ASUP_EINVALID);
    ck_assert_int_eq(asup_policy_from_name("Race"), -ASUP_EINVALID);
}
END_TEST

START_TEST(errors_are_found_by_number_and_by_name)
{
#define CHECK_ERROR(name, number, wire, http, retry, text)                                         \
    ck_assert_str_eq(asup_error_name(-ASUP_E##name), wire);                                        \
    ck_assert_str_eq(asup_error_name(ASUP_E##name), wire);                                         \
    ck_assert_str_eq(asup_error_text(-ASUP_E##name), text);                                        \
    ck_assert_int_eq(asup_error_from_name(wire), ASUP_E##name);                                    \
    ck_assert_int_eq(asup_error_http_status(-ASUP_E##name), http);                                 \
    ck_assert_int_eq(asup_error_retry_helps(-ASUP_E##name), retry);
    ASUP_ERROR_LIST(CHECK_ERROR)
#undef CHECK_ERROR
    ck_assert_str_eq(asup_error_name(0), "ok");
    ck_assert_int_eq(asup_error_http_status(0), 200);
    ck_assert_str_eq(asup_error_name(-9999), "unknown");
    ck_assert_str_eq(asup_error_name(INT_MIN), "unknown");
    ck_assert_str_eq(asup_error_name(INT_MAX), "unknown");
    ck_assert_int_eq(asup_error_from_name("ok"), -ASUP_EINVALID);
    ck_assert_int_eq(asup_error_from_name("no such"), -ASUP_EINVALID);
    ck_assert_int_eq(asup_error_retry_helps(-ASUP_EBUSY), 1);
}
END_TEST

static int
ref_parse(const char *text, struct asup_ref *out)
{
    return asup_ref_parse(text, strlen(text), out);
}

START_TEST(identifiers_read_back)
{
    static const char *const good[] = {"r1", "t7", "s3", "r18446744073709551615"};
    struct asup_ref ref = {0};
    char text[ASUP_REF_TEXT_SIZE];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_int_eq(ref_parse(good[i], &ref), 0);
        ck_assert_int_eq(asup_ref_format(ref, text, sizeof text), (int)strlen(good[i]));
        ck_assert_str_eq(text, good[i]);
    }
}
END_TEST

START_TEST(identifiers_are_refused)
{
    static const char *const bad[] = {"",
                                      "r",
                                      "7",
                                      "r0",
                                      "r01",
                                      "q5",
                                      "k9",
                                      "R1",
                                      "r1 ",
                                      " r1",
                                      "r-1",
                                      "r+1",
                                      "r1a",
                                      "rr1",
                                      "r1.0",
                                      "1r",
                                      "/",
                                      "r18446744073709551616",
                                      "t99999999999999999999"};
    struct asup_ref ref = {.id = 42, .sort = ASUP_SORT_TASK};
    char text[ASUP_REF_TEXT_SIZE];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(ref_parse(bad[i], &ref) == -ASUP_EINVALID, "%s was taken", bad[i]);
    ck_assert_int_eq(asup_ref_parse("r1\0", 3, &ref), -ASUP_EINVALID);
    ck_assert_uint_eq(ref.id, 42);
    ck_assert_int_eq(asup_ref_format(ref, text, 3), -ASUP_ETOOLARGE);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(asup_ref_format(ref, text, 4), 3);
    ref.id = 0;
    ck_assert_int_eq(asup_ref_format(ref, text, sizeof text), -ASUP_EINVALID);
    ref = (struct asup_ref){.id = 1, .sort = (enum asup_sort)'q'};
    ck_assert_int_eq(asup_ref_format(ref, text, sizeof text), -ASUP_EINVALID);
}
END_TEST

static int
duration_parse(const char *text, uint64_t *ns)
{
    return asup_duration_parse(text, strlen(text), ns);
}

START_TEST(durations_are_read)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"200ms", 200000000},
        {"1.5s", 1500000000},
        {"0.5ms", 500000},
        {"2m", 120000000000},
        {"1h30m", 5400000000000},
        {"1d2h3m4s5ms6us7ns", 93784005006007},
        {"1.000000000s", 1000000000},
        {"0.000000001s", 1},
        {"1.5d", 129600000000000},
        {"90s", 90000000000},
        {"18446744073709551614ns", UINT64_MAX - 1},
        {"never", ASUP_NEVER},
    };
    uint64_t ns = 0;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(duration_parse(good[i].text, &ns) == 0, "%s was refused", good[i].text);
        ck_assert_uint_eq(ns, good[i].ns);
    }
}
END_TEST

START_TEST(durations_are_refused)
{
    static const char *const bad[] = {
        "",     "5",     "s",      "1.s",      ".5s",           "-1s",     "+1s",   " 1s",   "1s ",
        "1 s",  "1x",    "1S",     "30m1h",    "1s1s",          "1.5h30m", "1e3s",  "0.5ns", "00",
        "1,5s", "1..5s", "nevers", "infinity", "0.0000000001s", "1mss",    "1.2.3s"};
    static const char *const too_long[] = {"18446744073709551615ns", "18446744073709551616ns",
                                           "99999999999999999999999s", "213504d", "584542046091y"};
    uint64_t ns = 42;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(duration_parse(bad[i], &ns) == -ASUP_EINVALID, "%s was taken", bad[i]);
    for (size_t i = 0; i + 1 < sizeof too_long / sizeof too_long[0]; i++)
        ck_assert_msg(duration_parse(too_long[i], &ns) == -ASUP_ETOOLARGE, "%s was taken",
                      too_long[i]);
    ck_assert_int_eq(duration_parse("584542046091y", &ns), -ASUP_EINVALID);
    ck_assert_uint_eq(ns, 42);
}
END_TEST

START_TEST(durations_read_back_exactly)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } shown[] = {
        {0, "0"},
        {1, "1ns"},
        {1500, "1.5us"},
        {200000000, "200ms"},
        {1500000000, "1.5s"},
        {60000000000, "1m"},
        {90000000000, "1m30s"},
        {5400000000000, "1h30m"},
        {60000000001, "1m0.000000001s"},
        {ASUP_NEVER, "never"},
    };
    char text[ASUP_DURATION_TEXT_SIZE];
    uint64_t back;
    uint64_t x = 88172645463325252u;

    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        ck_assert_int_gt(asup_duration_format(shown[i].ns, text, sizeof text), 0);
        ck_assert_str_eq(text, shown[i].text);
    }
    for (int i = 0; i < 200000; i++) {
        uint64_t ns;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        ns = x >> (i % 64);
        ck_assert_int_gt(asup_duration_format(ns, text, sizeof text), 0);
        ck_assert_int_eq(duration_parse(text, &back), 0);
        ck_assert_uint_eq(back, ns);
    }
    ck_assert_int_eq(asup_duration_format(200000000, text, 5), -ASUP_ETOOLARGE);
    ck_assert_int_eq(asup_duration_format(200000000, text, 6), 5);
    ck_assert_int_gt(asup_duration_format(UINT64_MAX - 1, text, sizeof text), 0);
}
END_TEST

static const struct rule rules[] = {
    RULE(names_of_numbers_and_back),   RULE(errors_are_found_by_number_and_by_name),
    RULE(identifiers_read_back),       RULE(identifiers_are_refused),
    RULE(durations_are_read),          RULE(durations_are_refused),
    RULE(durations_read_back_exactly),
};

RULES_MAIN("text", rules, NULL, NULL)
