/* SPDX-License-Identifier: MIT */
/* What the kernel answers about itself: counts, retained outcomes, reasons. */
#include "asupersync/values.h"
#include "scenario.h"

#include <string.h>

START_TEST(counts_count_what_lives)
{
    struct kernel_counts c;

    given("session s1; region r1; region r2 in r1; task t1 in r1 running; task t2 in r2;"
          "defer f1 to r2; w1 waits for t1");
    kernel_counts(the_kernel(), &c);
    ck_assert_uint_eq(c.regions, 3);
    ck_assert_uint_ge(c.tasks, 2);
    ck_assert_uint_eq(c.running, 1);
    ck_assert_uint_eq(c.sessions, 1);
    ck_assert_uint_eq(c.waits, 1);
    ck_assert_uint_eq(c.retained, 0);
    ck_assert_uint_eq(c.draining, 0);
    ck_assert_uint_gt(c.bytes, 0);
    given("close r2");
    kernel_counts(the_kernel(), &c);
    ck_assert_uint_eq(c.draining, 1);
    given("t2 start-fails exec 2; f1 starts; f1 exits 0; t1 exits 0");
    kernel_counts(the_kernel(), &c);
    ck_assert_uint_eq(c.regions, 2);
    ck_assert_uint_eq(c.tasks, 0);
    ck_assert_uint_eq(c.running, 0);
    ck_assert_uint_eq(c.waits, 0);
    ck_assert_uint_eq(c.draining, 0);
}
END_TEST

/* R-TSK-6: retained outcomes are listed oldest first, each once. */
START_TEST(R_TSK_6_retained_oldest_first)
{
    static const char *const order[] = {"t2", "t1", "r2"};
    struct asup_ref ref;
    uint64_t cursor = 0;

    given("region r1; region r2; task t1 in r1 running; task t2 in r1 running;"
          "t2 exits 0 at 1s; t1 exits 0 at 2s; close r2 at 3s");
    for (int i = 0; i < 3; i++) {
        cursor = kernel_retained_next(the_kernel(), cursor, &ref);
        ck_assert_uint_ne(cursor, 0);
        ck_assert_uint_eq(ref.id, id_of(order[i]));
        ck_assert_int_eq((int)ref.sort, order[i][0]);
    }
    ck_assert_uint_eq(kernel_retained_next(the_kernel(), cursor, &ref), 0);
}
END_TEST

/* R-TSK-6: a closed region is kept as long as a completed task. */
START_TEST(R_TSK_6_closed_regions_are_kept)
{
    struct region_view view;
    uint64_t id;

    given("region r1; task t1 in r1 running; finish r1; t1 exits 3 at 1s");
    id = id_of("r1");
    given("at 59m");
    ck_assert(kernel_region(the_kernel(), id, &view));
    ck_assert(view.has_outcome);
    ck_assert_int_eq(view.outcome.exit_code, 3);
    when("at 2h");
    expect_line("r1 forgotten");
    ck_assert(!kernel_region(the_kernel(), id, &view));
}
END_TEST

/* R-CAN-1: a reason outlives what it came from, as long as someone tells it. */
START_TEST(R_CAN_1_reasons_outlive_their_origin)
{
    struct reason_view chain[4];
    struct region_view view;

    given("region r1; region r2 in r1; task t1 in r2 running; close r1; t1 dies 15");
    ck_assert_uint_eq(kernel_reason(the_kernel(), task_of("t1").outcome.reason, chain, 4), 2);
    ck_assert_uint_eq(chain[0].key.kind, ASUP_CANCEL_PARENT_CANCELLED);
    ck_assert_uint_eq(chain[0].key.origin, id_of("r1"));
    ck_assert_int_eq(chain[0].origin_sort, ASUP_SORT_REGION);
    ck_assert_uint_eq(chain[1].key.kind, ASUP_CANCEL_USER);
    ck_assert_mem_eq(chain[1].message.data, "close", 5);
    /* only as many as there is room for, but all are counted */
    ck_assert_uint_eq(kernel_reason(the_kernel(), task_of("t1").outcome.reason, chain, 1), 2);
    ck_assert_uint_eq(kernel_reason(the_kernel(), 0, chain, 4), 0);
    ck_assert(kernel_region(the_kernel(), id_of("r2"), &view));
}
END_TEST

/* R-CAN-1: a cause lives as long as a chain leads to it, though the region it
 * was asked of has a stronger reason by now. */
START_TEST(R_CAN_1_causes_outlive_their_replacement)
{
    struct reason_view chain[4];

    given("region a; region b in a; task t1 in b running; cancel a message first");
    given("shutdown");
    /* others take the room of what was let go */
    for (int i = 0; i < 20; i++)
        given("cancel t1 message other by 0; cancel a message another drain 1s by 0");
    ck_assert_uint_eq(kernel_reason(the_kernel(), region_of("a").reason, chain, 4), 2);
    ck_assert_uint_eq(chain[1].key.kind, ASUP_CANCEL_SHUTDOWN);
    ck_assert_uint_eq(kernel_reason(the_kernel(), region_of("b").reason, chain, 4), 2);
    ck_assert_uint_eq(chain[0].key.kind, ASUP_CANCEL_PARENT_CANCELLED);
    ck_assert_uint_eq(chain[1].key.kind, ASUP_CANCEL_USER);
    ck_assert_uint_eq(chain[1].message.size, 5);
    ck_assert_mem_eq(chain[1].message.data, "first", 5);
}
END_TEST

/* Every event kind has its own name, for the wire. */
START_TEST(events_have_names)
{
    for (int a = 0; a < EV_KIND_COUNT; a++) {
        ck_assert_str_ne(event_kind_name((enum event_kind)a), "");
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(event_kind_name((enum event_kind)a),
                             event_kind_name((enum event_kind)b));
    }
}
END_TEST

static const struct rule rules[] = {
    RULE(counts_count_what_lives),
    RULE(R_TSK_6_retained_oldest_first),
    RULE(R_TSK_6_closed_regions_are_kept),
    RULE(R_CAN_1_reasons_outlive_their_origin),
    RULE(R_CAN_1_causes_outlive_their_replacement),
    RULE(events_have_names),
};

RULES_MAIN("queries", rules, scenario_begin, scenario_end)
