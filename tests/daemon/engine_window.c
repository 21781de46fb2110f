/* SPDX-License-Identifier: MIT */
/* The window of events: lossless from a number on, bounded by count and by
 * bytes, and honest about what has fallen out. */
#include <stdio.h>
#include <string.h>

#include "daemon/engine/window.h"
#include "rules.h"

static struct window window;

static void
push(uint64_t seq, size_t size)
{
    char data[70000];
    uint64_t regions[] = {seq % 7 + 1, 1};
    struct window_place place = {.uid = (uint32_t)(seq % 3), .region_count = 2, .regions = regions};

    memset(data, (int)(seq & 0x7f), sizeof data);
    window_push(&window, seq, &place, data, size);
}

/* Read everything from `since` on: exactly first..last must come. */
static void
expect(uint64_t since, uint64_t first, uint64_t last, size_t size)
{
    struct window_cursor cursor;
    struct window_event ev;
    uint64_t seq = first;

    window_seek(&window, since, &cursor);
    while (window_read(&window, &cursor, &ev)) {
        ck_assert_uint_eq(ev.seq, seq);
        ck_assert_uint_eq(ev.size, size);
        ck_assert_uint_eq(ev.place.uid, seq % 3);
        ck_assert_uint_eq(ev.place.region_count, 2);
        ck_assert_uint_eq(ev.place.regions[0], seq % 7 + 1);
        for (size_t i = 0; i < size; i++)
            ck_assert_int_eq(((const char *)ev.data)[i], (char)(seq & 0x7f));
        seq++;
    }
    ck_assert_uint_eq(seq, last + 1);
}

START_TEST(everything_is_there_from_any_number_on)
{
    window_init(&window, 10000, 1 << 24);
    for (uint64_t seq = 1; seq <= 3000; seq++)
        push(seq, 100);
    ck_assert_uint_eq(window.oldest, 1);
    ck_assert_uint_eq(window.next, 3001);
    expect(1, 1, 3000, 100);
    expect(1234, 1234, 3000, 100);
    expect(3000, 3000, 3000, 100);
    expect(3001, 3001, 3000, 100);
    window_fini(&window);
}
END_TEST

START_TEST(the_count_bounds_it)
{
    window_init(&window, 10, 1 << 20);
    for (uint64_t seq = 1; seq <= 25; seq++)
        push(seq, 10);
    ck_assert_uint_eq(window.count, 10);
    ck_assert_uint_eq(window.oldest, 16);
    expect(1, 16, 25, 10);
    window_fini(&window);
}
END_TEST

START_TEST(the_bytes_bound_it)
{
    window_init(&window, 1000000, 200000);
    for (uint64_t seq = 1; seq <= 5000; seq++) {
        push(seq, 1000);
        ck_assert_uint_le(window.bytes, 200000);
    }
    ck_assert_uint_gt(window.count, 150);
    ck_assert_uint_eq(window.oldest, 5000 - window.count + 1);
    expect(window.oldest, window.oldest, 5000, 1000);
    window_fini(&window);
}
END_TEST

START_TEST(one_larger_than_a_block_is_kept_and_one_larger_than_all_says_gap)
{
    window_init(&window, 100, 150000);
    push(1, 10);
    push(2, 70000);
    expect(2, 2, 2, 70000);
    window_bound(&window, 100, 50000);
    ck_assert_uint_eq(window.oldest, 3);
    push(3, 60000);
    ck_assert_uint_eq(window.count, 0);
    ck_assert_uint_eq(window.oldest, 4);
    ck_assert_uint_eq(window.next, 4);
    push(4, 10);
    expect(4, 4, 4, 10);
    window_fini(&window);
}
END_TEST

START_TEST(volatile_ones_leave_no_gap)
{
    struct window_cursor cursor;
    struct window_event ev;

    window_init(&window, 100, 1 << 20);
    push(1, 8);
    window_skip(&window, 2);
    window_skip(&window, 3);
    push(4, 8);
    ck_assert_uint_eq(window.oldest, 1);
    window_seek(&window, 2, &cursor);
    ck_assert(window_read(&window, &cursor, &ev));
    ck_assert_uint_eq(ev.seq, 4);
    ck_assert(!window_read(&window, &cursor, &ev));
    window_fini(&window);
}
END_TEST

START_TEST(a_smaller_bound_takes_effect_at_once)
{
    window_init(&window, 1000, 1 << 20);
    for (uint64_t seq = 1; seq <= 500; seq++)
        push(seq, 10);
    window_bound(&window, 20, 1 << 20);
    ck_assert_uint_eq(window.count, 20);
    ck_assert_uint_eq(window.oldest, 481);
    expect(481, 481, 500, 10);
    window_fini(&window);
}
END_TEST

static const struct rule rules[] = {
    RULE(everything_is_there_from_any_number_on),
    RULE(the_count_bounds_it),
    RULE(the_bytes_bound_it),
    RULE(one_larger_than_a_block_is_kept_and_one_larger_than_all_says_gap),
    RULE(volatile_ones_leave_no_gap),
    RULE(a_smaller_bound_takes_effect_at_once),
};

RULES_MAIN("engine event window", rules, NULL, NULL)
