/* SPDX-License-Identifier: MIT */
/* What people type and what they read: durations, instants, sizes, signals,
 * and foreign text that must not act on a terminal. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filter.h"
#include "rules.h"
#include "text.h"

#define SECOND UINT64_C(1000000000)

static const struct look plain = {.utf8 = true};

static void
clock_of_london(void)
{
    setenv("TZ", "UTC0", 1);
    tzset();
}

START_TEST(durations_have_units)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"1.5s", 1500000000},
                {"200ms", 200000000},
                {"2m", 120 * SECOND},
                {"1h30m", 5400 * SECOND},
                {"0s", 0},
                {"0", 0}};
    static const char *const bad[] = {"", "5", "s", "1.5", "-1s", "1x", "1s ", "1m1h", "1.5h2m"};
    uint64_t ns;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(parse_duration(good[i].text, &ns), "%s", good[i].text);
        ck_assert_uint_eq(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!parse_duration(bad[i], &ns), "%s", bad[i]);
}
END_TEST

START_TEST(instants_are_relative_absolute_or_of_today)
{
    /* 2030-01-31 12:00:00 UTC */
    const uint64_t noon = UINT64_C(1896091200) * SECOND;
    static const struct {
        const char *text;
        int64_t from_noon_s;
    } good[] = {{"+30s", 30},
                {"2030-01-31T12:00:00Z", 0},
                {"2030-01-31T12:00", 0},
                {"2030-01-31 13:00:00", 3600},
                {"2030-01-31T12:00:00+02:00", -7200},
                {"2030-01-31T12:00-0130", 5400},
                {"2030-02-01", 43200},
                {"18:30", 6 * 3600 + 1800},
                {"12:00:01", 1},
                {"11:00", 23 * 3600}, /* gone today: tomorrow */
                {"12:00", 24 * 3600},
                {"@1896091260", 60}};
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "30s",
                                      "+30",
                                      "25:00",
                                      "12:60",
                                      "2030-02-30",
                                      "2030-13-01",
                                      "2030-1-1",
                                      "2030-01-31T",
                                      "@",
                                      "@-5",
                                      "12:00Z",
                                      "2030-01-31T12:00X",
                                      "2030-01-31T12:00+99:00",
                                      "+never"};
    uint64_t at;

    clock_of_london();
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(parse_instant(good[i].text, noon, &at), "%s", good[i].text);
        ck_assert_msg((int64_t)(at / SECOND) - (int64_t)(noon / SECOND) == good[i].from_noon_s,
                      "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!parse_instant(bad[i], noon, &at), "%s", bad[i]);
    ck_assert(parse_instant("@1896091200.25", noon, &at));
    ck_assert_uint_eq(at, noon + SECOND / 4);
}
END_TEST

START_TEST(sizes_are_powers_of_1024)
{
    static const struct {
        const char *text;
        uint64_t size;
    } good[] = {{"0", 0},          {"1024", 1024},      {"64K", 65536},
                {"1.5M", 1572864}, {"2GiB", 1UL << 31}, {"3mB", 3UL << 20},
                {"1T", 1UL << 40}};
    static const char *const bad[] = {"", "K", "1.5", "-1", "1KK", "99999999999T", "1.K", "1 K"};
    uint64_t size;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(parse_size(good[i].text, &size), "%s", good[i].text);
        ck_assert_uint_eq(size, good[i].size);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!parse_size(bad[i], &size), "%s", bad[i]);
}
END_TEST

START_TEST(signals_have_names_and_numbers)
{
    int number;

    ck_assert(parse_signal("TERM", &number) && number == 15);
    ck_assert(parse_signal("sigint", &number) && number == 2);
    ck_assert(parse_signal("9", &number) && number == 9);
    ck_assert(parse_signal("RTMIN+3", &number) && number == 37);
    ck_assert(!parse_signal("0", &number));
    ck_assert(!parse_signal("65", &number));
    ck_assert(!parse_signal("RTMIN+99", &number));
    ck_assert(!parse_signal("SIG", &number));
    ck_assert(!parse_signal("", &number));
}
END_TEST

static void
expect_safe(const struct look *look, const char *foreign, const char *shown)
{
    struct text t = {0};

    text_safe(&t, look, foreign, strlen(foreign));
    ck_assert_str_eq(t.data, shown);
    text_free(&t);
}

START_TEST(foreign_text_cannot_act_on_a_terminal)
{
    expect_safe(&plain, "plain \xc3\xa4 text", "plain \xc3\xa4 text");
    expect_safe(&(struct look){0}, "\xc3\xa4", "\\u{e4}");
    expect_safe(&plain, "\033[2J\a", "\\x1b[2J\\x07");
    expect_safe(&plain, "a\nb\tc\r", "a\\nb\\tc\\x0d");
    expect_safe(&plain,
                "\xc2\x9b"
                "2J",
                "\\u{9b}2J"); /* CSI as one character */
    expect_safe(&plain,
                "\xe2\x80\xae"
                "gpj.exe",
                "\\u{202e}gpj.exe"); /* reversed text */
    expect_safe(&plain, "\xff\xc3", "\\xff\\xc3");
    expect_safe(&plain, "\xc0\xaf", "\\xc0\\xaf");          /* overlong */
    expect_safe(&plain, "\xed\xa0\x80", "\\xed\\xa0\\x80"); /* surrogate */
}
END_TEST

/* Feed the bytes in pieces of every size; the result is always the same. */
static void
expect_filtered(bool color, const char *bytes, const char *shown)
{
    size_t size = strlen(bytes);

    for (size_t piece = 1; piece <= size; piece++) {
        struct filter f = {.look = {.utf8 = true, .color = color}};
        struct text t = {0};
        text_put(&t, "", 0);
        for (size_t at = 0; at < size; at += piece)
            filter_feed(&f, &t, bytes + at, size - at < piece ? size - at : piece, false);
        filter_feed(&f, &t, "", 0, true);
        ck_assert_msg(strcmp(t.data, shown) == 0, "pieces of %zu: %s", piece, t.data);
        text_free(&t);
    }
}

START_TEST(logs_show_text_and_colours_and_nothing_else)
{
    expect_filtered(true, "a\n\033[1;31mred\033[0m\n", "a\n\033[1;31mred\033[0m\n");
    expect_filtered(false, "a\n\033[1;31mred\033[0m\n", "a\nred\n");
    expect_filtered(true, "\033[2Jx\033]0;title\007", "\\x1b[2Jx\\x1b]0;title\\x07");
    expect_filtered(true, "10%\r20%\r\n", "10%\n20%\r\n");
    expect_filtered(true, "\xe2\x82\xac\xff.", "\xe2\x82\xac\\xff.");
    expect_filtered(true, "cut \033", "cut \\x1b");
    expect_filtered(true, "cut \xe2\x82", "cut \\xe2\\x82");
    expect_filtered(true, "\033[11111111111111111111111111111111111111111m",
                    "\\x1b[11111111111111111111111111111111111111111m");
}
END_TEST

static void
expect_span(uint64_t ns, const char *shown)
{
    struct text t = {0};

    text_span(&t, ns);
    ck_assert_str_eq(t.data, shown);
    text_free(&t);
}

START_TEST(spans_are_read_at_a_glance)
{
    expect_span(0, "0ms");
    expect_span(1500, "1us");
    expect_span(3000000, "3ms");
    expect_span(1230000000, "1.2s");
    expect_span(59 * SECOND, "59s");
    expect_span(123 * SECOND, "2m03s");
    expect_span(3 * 3600 * SECOND + 720 * SECOND, "3h12m");
    expect_span((5 * 86400 + 4 * 3600) * SECOND, "5d04h");
    expect_span(UINT64_MAX, "for ever");
}
END_TEST

START_TEST(a_line_is_cut_to_the_terminal)
{
    const struct look narrow = {.utf8 = true, .color = true, .width = 6};
    struct text t = {0};

    text_add(&t, "\033[1m\xc3\xa4\xc3\xb6\xc3\xbc\033[0m 1234");
    ck_assert_uint_eq(text_columns(t.data, t.size), 8);
    ck_assert_uint_eq(text_columns("\xe6\x96\x87\xe5\xad\x97", 6), 4);
    ck_assert_uint_eq(text_columns("e\xcc\x81", 3), 1);
    text_cut(&t, 0, &narrow);
    ck_assert_uint_eq(text_columns(t.data, t.size), 6);
    ck_assert_ptr_nonnull(strstr(t.data, " 1\xe2\x80\xa6"));
    text_free(&t);
}
END_TEST

START_TEST(slips_of_the_finger_are_counted)
{
    ck_assert_uint_eq(text_distance("close", "close"), 0);
    ck_assert_uint_eq(text_distance("clsoe", "close"), 1); /* a swap */
    ck_assert_uint_eq(text_distance("clos", "close"), 1);
    ck_assert_uint_eq(text_distance("closse", "close"), 1);
    ck_assert_uint_eq(text_distance("chose", "close"), 1);
    ck_assert_uint_eq(text_distance("", "tree"), 4);
}
END_TEST

START_TEST(base64_goes_there_and_back)
{
    for (size_t size = 0; size < 20; size++) {
        unsigned char bytes[20];
        size_t back_size = 99;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)(i * 37 + 250);
        char *letters = base64_encode(bytes, size);
        unsigned char *back = base64_decode(letters, &back_size);
        ck_assert_uint_eq(back_size, size);
        ck_assert_mem_eq(back, bytes, size);
        free(back);
        free(letters);
    }
    size_t size;
    ck_assert_ptr_null(base64_decode("a", &size));
    ck_assert_ptr_null(base64_decode("a===", &size));
    ck_assert_ptr_null(base64_decode("ab=c", &size));
    ck_assert_ptr_null(base64_decode("a b4", &size));
}
END_TEST

static const struct rule rules[] = {
    RULE(durations_have_units),
    RULE(instants_are_relative_absolute_or_of_today),
    RULE(sizes_are_powers_of_1024),
    RULE(signals_have_names_and_numbers),
    RULE(foreign_text_cannot_act_on_a_terminal),
    RULE(logs_show_text_and_colours_and_nothing_else),
    RULE(spans_are_read_at_a_glance),
    RULE(a_line_is_cut_to_the_terminal),
    RULE(slips_of_the_finger_are_counted),
    RULE(base64_goes_there_and_back),
};

RULES_MAIN("words", rules, NULL, NULL)
