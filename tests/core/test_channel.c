/* SPDX-License-Identifier: MIT */
/* Two-phase channels (§4): permits, acks, order, dead letters, the end. */
#include "asupersync/values.h"
#include "scenario.h"

#include <stdio.h>
#include <string.h>

#define SETUP "session s1; session s2; region r1; "

/* ---- R-OBL: two phases ---------------------------------------------------------------- */

/* §4: a permit is a slot; the message comes later, and is received in order,
 * each by one receiver. */
START_TEST(R_OBL_1_reserve_send_receive_commit)
{
    given(SETUP "channel c1 in r1");
    when("p1 reserves c1 from s1; m1 sent into p1 from s1; m2 sent to c1 from s1");
    expect("p1 granted\n"
           "m1 sent\n"
           "m2 sent");
    when("a1 receives c1 from s2; a2 receives c1 from s2; a1 acked from s2; a2 acked from s2");
    expect("m1 received\n"
           "a1 granted\n"
           "m2 received\n"
           "a2 granted\n"
           "m1 consumed\n"
           "m2 consumed");
    ck_assert_uint_eq(channel_of("c1").consumed, 2);
    ck_assert_uint_eq(kernel_potential(the_kernel()), 4); /* of the region alone */
}
END_TEST

/* R-OBL-1: exactly once. */
START_TEST(R_OBL_1_a_second_resolve_is_refused)
{
    given(SETUP "channel c1 in r1; m1 sent to c1 from s1; a1 receives c1 from s2;"
                "p1 reserves c1 from s1; a1 acked from s2; m2 sent into p1 from s1");
    when("a1 acked from s2");
    expect("refused resolved");
    when("a1 nacked from s2");
    expect("refused resolved");
    when("m3 sent into p1 from s1");
    expect("refused resolved");
    when("p1 given-back from s1");
    expect("refused resolved");
}
END_TEST

/* R-OBL-2: only the holder. */
START_TEST(R_OBL_2_only_the_holder_settles)
{
    given(SETUP "channel c1 in r1; m1 sent to c1 from s1; a1 receives c1 from s2;"
                "p1 reserves c1 from s1");
    when("a1 acked from s1");
    expect_line("refused denied");
    trace_forget();
    when("m2 sent into p1 from s2");
    expect_line("refused denied");
    trace_forget();
    when("a1 acked from s2; m2 sent into p1 from s1");
    expect("m1 consumed\n"
           "m2 sent");
}
END_TEST

/* R-OBL-1: an ack is an obligation: committed as one, its message is consumed. */
START_TEST(R_OBL_1_an_ack_committed_as_obligation_consumes)
{
    given(SETUP "channel c1 in r1; m1 sent to c1 from s1; a1 receives c1 from s2");
    when("s2 commits a1");
    expect("m1 consumed");
    ck_assert_uint_eq(channel_of("c1").consumed, 1);
    ck_assert_uint_eq(channel_of("c1").unacked, 0);
    when("close r1");
    expect_line("r1 closed ok");
}
END_TEST

/* R-OBL-1: an ack is no permit, and a permit no ack. */
START_TEST(R_OBL_1_each_is_settled_by_its_kind)
{
    given(SETUP "channel c1 in r1; m1 sent to c1 from s1; a1 receives c1 from s1;"
                "p1 reserves c1 from s1");
    when("m2 sent into a1 from s1");
    expect("refused invalid");
    when("p1 acked from s1");
    expect("refused invalid");
    when("p1 nacked from s1");
    expect("refused invalid");
}
END_TEST

/* R-OBL-3: what a holder that ends held is leaked, and recovered by its kind. */
START_TEST(R_OBL_3_the_end_of_a_holder)
{
    given(SETUP "channel c1 in r1 capacity 2; m1 sent to c1 from s1; a1 receives c1 from s2;"
                "p1 reserves c1 from s2; p2 reserves c1 parked from s1");
    when("s2 bye");
    expect_line("m1 returned death");
    expect_line("p2 granted");
    ck_assert_uint_eq(channel_of("c1").permits, 1);
    ck_assert_uint_eq(channel_of("c1").queued, 1);
    ck_assert_uint_eq(message_of("m1").deaths, 1);
    trace_forget();
    when("a2 receives c1 from s1");
    expect("m1 received\n"
           "a2 granted");
    ck_assert_uint_eq(message_of("m1").deliveries, 2);
    ck_assert_uint_eq(message_of("m1").history_count, 1);
    ck_assert_uint_eq(message_of("m1").history[0].receiver.id, id_of("s2"));
}
END_TEST

/* R-OBL-3: a broken connection is no leak until the session's time is over. */
START_TEST(R_OBL_3_a_broken_connection_is_no_leak)
{
    given("session s1; session s2 ttl 10s; region r1; channel c1 in r1; m1 sent to c1 from s1;"
          "a1 receives c1 from s2");
    when("s2 lost; at 9s");
    expect("s2 lost");
    when("s2 resumes; a1 acked from s2");
    expect_line("m1 consumed");
}
END_TEST

/* ---- Order ------------------------------------------------------------------------------ */

/* §4: what comes back returns to its original place. */
START_TEST(channel_order_returns_to_the_original_place)
{
    given(SETUP "channel c1 in r1; m1 sent to c1; m2 sent to c1; m3 sent to c1; m4 sent to c1;"
                "a1 receives c1 from s1; a2 receives c1 from s1; a3 receives c1 from s1;"
                "a3 nacked from s1; a1 nacked note later from s1; a2 nacked from s1");
    when("b1 receives c1 from s2; b2 receives c1 from s2; b3 receives c1 from s2;"
         "b4 receives c1 from s2");
    expect("m1 received\n"
           "b1 granted\n"
           "m2 received\n"
           "b2 granted\n"
           "m3 received\n"
           "b3 granted\n"
           "m4 received\n"
           "b4 granted");
    ck_assert_uint_eq(message_of("m1").note.size, 5);
    ck_assert_uint_eq(message_of("m1").nacks, 1);
    ck_assert_uint_eq(message_of("m4").deliveries, 1);
}
END_TEST

/* A heap of many that came back, in any order. */
START_TEST(channel_order_of_many)
{
    enum { MANY = 60 };
    char words[128];
    unsigned at = 7;

    given(SETUP "channel c1 in r1 capacity 100");
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(words, sizeof words, "n%u sent to c1; a%u receives c1 from s1", i, i);
        when(words);
    }
    for (unsigned i = 0; i < MANY; i++) {
        at = (at + 37) % MANY;
        (void)snprintf(words, sizeof words, "a%u nacked from s1", at);
        when(words);
        if (i % 11 == 10) { /* taken in between, and given back again */
            (void)snprintf(words, sizeof words, "x%u receives c1 from s2; x%u nacked from s2", i,
                           i);
            when(words);
        }
    }
    for (unsigned i = 0; i < MANY; i++) {
        trace_forget();
        (void)snprintf(words, sizeof words, "b%u receives c1 from s2", i);
        when(words);
        (void)snprintf(words, sizeof words, "n%u received", i);
        expect_line(words);
    }
}
END_TEST

/* ---- Capacity ------------------------------------------------------------------------------ */

/* §4: capacity = queued + permits + unacknowledged; who waits is served in
 * order of coming. */
START_TEST(channel_capacity_first_come_first_served)
{
    given(SETUP "channel c1 in r1 capacity 2; m1 sent to c1 from s1; p1 reserves c1 from s1");
    when("m2 sent to c1 from s1");
    expect("refused busy channel-capacity");
    when("q0 reserves c1 from s1");
    expect("q0 refused busy channel-capacity");
    when("p2 reserves c1 parked from s2; p3 reserves c1 parked from s1;"
         "a1 receives c1 from s1");
    expect("m1 received\n"
           "a1 granted"); /* still unacknowledged: no room */
    ck_assert_uint_eq(channel_of("c1").senders, 2);
    when("a1 acked from s1");
    expect("m1 consumed\n"
           "p2 granted");
    when("p1 given-back from s1");
    expect("p3 granted");
    when("m3 sent into p2 from s2; m4 sent into p3 from s1");
    expect("m3 sent\n"
           "m4 sent");
}
END_TEST

/* A permit not used in time is taken back. */
START_TEST(channel_capacity_a_permit_runs_out)
{
    given(SETUP "channel c1 in r1 capacity 1 permit 10s; p1 reserves c1 from s1;"
                "p2 reserves c1 parked from s2");
    when("at 10s");
    expect("-- 10s\n"
           "p2 granted");
    when("m1 sent into p1 from s1");
    expect("refused expired");
}
END_TEST

/* One who stopped waiting takes nothing. */
START_TEST(R_SES_1_a_parked_request_without_a_connection_takes_nothing)
{
    given(SETUP "channel c1 in r1; a1 receives c1 parked from s1; a2 receives c1 parked from s2;"
                "a1 leaves");
    when("m1 sent to c1");
    expect("m1 sent\n"
           "m1 received\n"
           "a2 granted");
}
END_TEST

START_TEST(channel_receivers_are_served_in_order)
{
    given(SETUP "channel c1 in r1; a1 receives c1 parked from s1; a2 receives c1 parked from s2");
    when("m1 sent to c1; m2 sent to c1");
    expect("m1 sent\n"
           "m1 received\n"
           "a1 granted\n"
           "m2 sent\n"
           "m2 received\n"
           "a2 granted");
    when("a3 receives c1 timeout 5s from s1; at 7s");
    expect("-- 5s\n"
           "a3 refused timeout");
}
END_TEST

/* ---- Time -------------------------------------------------------------------------------------
 */

/* §4: the ack's time: Aborted, a late commit is Expired, and the receiver gets
 * nothing more until it speaks. */
START_TEST(ack_timeout_and_silence)
{
    given(SETUP "channel c1 in r1 ack 10s; m1 sent to c1; a1 receives c1 from s1;"
                "a2 receives c1 parked from s1");
    when("at 10s");
    expect("-- 10s\n"
           "m1 returned timeout\n"
           "a2 refused timeout");
    ck_assert_uint_eq(message_of("m1").timeouts, 1);
    when("a1 acked from s1");
    expect("refused expired");
    when("a3 receives c1 from s1");
    expect("m1 received\n"
           "a3 granted");
}
END_TEST

/* A receiver that is silent is passed over for one that is not. */
START_TEST(ack_timeout_the_next_receiver_gets_it)
{
    given(SETUP "channel c1 in r1 ack 10s; m1 sent to c1; a1 receives c1 from s1;"
                "a2 receives c1 parked from s1; b1 receives c1 parked from s2");
    when("at 10s");
    expect("-- 10s\n"
           "m1 returned timeout\n"
           "m1 received\n"
           "a2 refused timeout\n"
           "b1 granted");
}
END_TEST

/* A keepalive, which a library sends by itself, is no word of the receiver. */
START_TEST(ack_timeout_a_keepalive_does_not_speak)
{
    given(SETUP "channel c1 in r1 ack 10s; channel c2 in r1; m1 sent to c1;"
                "a1 receives c1 from s1; a2 receives c2 parked from s1; at 10s; s1 keepalive");
    when("m2 sent to c2");
    expect("m2 sent\n"
           "a2 refused timeout");
}
END_TEST

START_TEST(an_ack_is_extended)
{
    given(SETUP "channel c1 in r1 ack 10s; m1 sent to c1; a1 receives c1 from s1;"
                "a1 extended from s1 at 9s; a1 extended ack 30s from s1 at 18s");
    when("at 47s");
    expect("");
    when("at 48s");
    expect("-- 48s\n"
           "m1 returned timeout");
}
END_TEST

/* ---- Dead letters
 * ---------------------------------------------------------------------------------- */

/* Ask 13: the cap counts the deaths of receivers as well as their nacks. */
START_TEST(dead_letters_poison)
{
    given("session s1; session s2; session s3; region r1; channel c1 in r1 nacks 3;"
          "m1 sent to c1; a1 receives c1 from s1; a1 nacked from s1; a2 receives c1 from s2;"
          "s2 bye");
    when("a3 receives c1 from s3; s3 bye");
    expect_line("m1 dead death");
    ck_assert(message_of("m1").dead);
    ck_assert_uint_eq(message_of("m1").nacks, 1);
    ck_assert_uint_eq(message_of("m1").deaths, 2);
    ck_assert_uint_eq(message_of("m1").history_count, 3);
    ck_assert_uint_eq(channel_of("c1").dead, 1);
    ck_assert_uint_eq(channel_of("c1").queued, 0);
    trace_forget();
    when("m1 retried");
    expect("m1 retried");
    ck_assert_uint_eq(message_of("m1").nacks, 0);
    ck_assert_uint_eq(message_of("m1").deliveries, 3);
    when("a4 receives c1 from s1; a4 acked from s1");
    expect("m1 received\n"
           "a4 granted\n"
           "m1 consumed");
}
END_TEST

START_TEST(dead_letters_timeouts_have_their_own_cap)
{
    given(SETUP "channel c1 in r1 ack 1s timeouts 2 nacks 1; m1 sent to c1;"
                "a1 receives c1 from s1; at 1s; a2 receives c1 from s1");
    when("at 2s");
    expect("-- 2s\n"
           "m1 dead timeout");
    when("m1 discarded");
    expect("m1 discarded");
    ck_assert_uint_eq(channel_of("c1").dead, 0);
}
END_TEST

/* The history is bounded: the last deliveries are told. */
START_TEST(dead_letters_bounded_history)
{
    given(SETUP "channel c1 in r1 nacks 0; m1 sent to c1");
    for (int i = 0; i < 11; i++)
        when("a1 receives c1 from s1; a1 nacked from s1");
    when("a1 receives c1 from s2; a1 nacked from s2");
    ck_assert_uint_eq(message_of("m1").nacks, 12);
    ck_assert_uint_eq(message_of("m1").history_count, 8);
    ck_assert_uint_eq(message_of("m1").history[6].receiver.id, id_of("s1"));
    ck_assert_uint_eq(message_of("m1").history[7].receiver.id, id_of("s2"));
}
END_TEST

/* They outlive channel and region until their retention ends. */
START_TEST(dead_letters_outlive_their_region)
{
    given(SETUP "region r2; channel c1 in r1 keep 2h; channel c2 in r2; m1 sent to c1;"
                "m2 sent to c1");
    when("close r1");
    expect_line("m1 dead closed");
    expect_line("m2 dead closed");
    expect_line("c1 closed");
    expect_line("r1 closed err unconsumed");
    ck_assert_uint_eq(region_of("r1").unconsumed, 2);
    ck_assert(channel_of("c1").closed);
    trace_forget();
    when("m1 retried");
    expect("refused region-closed");
    when("m1 retried to c2; a1 receives c2 from s1; a1 acked from s1");
    expect("m1 retried\n"
           "m1 received\n"
           "a1 granted\n"
           "m1 consumed");
    when("at 119m");
    expect_none("m2");
    when("at 2h");
    expect_line("m2 forgotten");
    ck_assert(!kernel_message(the_kernel(), id_of("m2"), &(struct message_view){0}));
    ck_assert(!kernel_channel(the_kernel(), id_of("c1"), &(struct channel_view){0}));
}
END_TEST

/* R-SCH-4: who may keep no more dead letters sends no more: nothing is lost
 * quietly. */
START_TEST(R_SCH_4_dead_letters_per_user)
{
    given_config()->limits.dead_letters_per_user = 1;
    given(SETUP "channel c1 in r1 nacks 1; m1 sent to c1; a1 receives c1 from s1;"
                "p1 reserves c1 from s1; a1 nacked from s1");
    when("m2 sent to c1");
    expect("refused busy dead-letters-per-user");
    when("p2 reserves c1 from s1");
    expect("p2 refused busy dead-letters-per-user");
    when("m2 sent into p1 from s1; m1 discarded; m3 sent to c1");
    expect("m2 sent\n"
           "m1 discarded\n"
           "m3 sent");
}
END_TEST

/* R-SCH-4: the bytes of messages count. */
START_TEST(R_SCH_4_queued_bytes)
{
    given_config()->limits.bytes_per_user = 5000;
    given(SETUP "channel c1 in r1; m1 sent to c1 size 4000; p1 reserves c1 from s1");
    when("m2 sent to c1 size 2000");
    expect("refused busy queued-bytes-per-user");
    when("m2 sent into p1 size 2000 from s1");
    expect("refused busy queued-bytes-per-user");
    when("a1 receives c1 from s1; a1 acked from s1; m2 sent into p1 size 2000 from s1");
    expect("m1 received\n"
           "a1 granted\n"
           "m1 consumed\n"
           "m2 sent");
}
END_TEST

START_TEST(R_SCH_4_channels)
{
    given_config()->limits.channels_per_user = 1;
    given(SETUP "channel c1 in r1");
    when("channel c2 in r1");
    expect("refused busy channels-per-user");
}
END_TEST

/* ---- Seal
 * ---------------------------------------------------------------------------------------- */

/* §4: reserves are refused; receive answers Ended when nothing is left. */
START_TEST(seal_ends_the_intake)
{
    given(SETUP "channel c1 in r1 capacity 2; p1 reserves c1 from s1; m1 sent to c1;"
                "q1 reserves c1 parked from s2");
    when("seal c1");
    expect("c1 sealed\n"
           "q1 refused ended");
    when("p2 reserves c1 from s1; m2 sent to c1");
    expect("p2 refused ended\n"
           "refused ended");
    when("a1 receives c1 from s1; a2 receives c1 parked from s2; a3 receives c1 parked from s1;"
         "a1 acked from s1");
    expect("m1 received\n"
           "a1 granted\n"
           "m1 consumed");
    when("m3 sent into p1 from s1");
    expect("m3 sent\n"
           "m3 received\n"
           "a2 granted");
    when("a2 acked from s2");
    expect("m3 consumed\n"
           "a3 refused ended");
    when("a4 receives c1 parked from s1");
    expect("a4 refused ended");
}
END_TEST

/* What comes back after the seal is received again. */
START_TEST(seal_what_comes_back)
{
    given(SETUP "channel c1 in r1; m1 sent to c1; a1 receives c1 from s1;"
                "a2 receives c1 parked from s2; seal c1");
    when("a1 nacked from s1");
    expect("m1 returned nack\n"
           "m1 received\n"
           "a2 granted");
}
END_TEST

/* ---- The end of the region
 * ----------------------------------------------------------------------- */

/* R-REG-2, R-OBL-4: while draining nothing new is admitted; what was received
 * is acked; at T what is held outside is Aborted. Invariant no-message-lost. */
START_TEST(R_OBL_4_the_end_of_the_region)
{
    given(SETUP "task t1 in r1 running; channel c1 in r1; m1 sent to c1; m2 sent to c1;"
                "a1 receives c1 from s1; a2 receives c1 from s2; p1 reserves c1 from s1;"
                "q1 receives c1 parked from s2");
    when("close r1");
    expect_line("q1 refused region-closed");
    trace_forget();
    when("p2 reserves c1 from s1; m4 sent to c1 from s1; a3 receives c1 from s1;"
         "a1 acked from s1; m3 sent into p1 from s1");
    expect("p2 refused region-closed\n"
           "refused region-closed\n"
           "a3 refused region-closed\n"
           "m1 consumed\n"
           "m3 sent");
    when("t1 exits 0; at 30s");
    expect_line("m2 returned closed");
    expect_line("m2 dead closed");
    expect_line("m3 dead closed");
    expect_line("c1 closed");
    ck_assert_uint_eq(region_of("r1").state, ASUP_REGION_CLOSED);
    ck_assert_uint_eq(region_of("r1").unconsumed, 2);
    trace_forget();
    when("a2 acked from s2");
    expect_none("m2 consumed");
}
END_TEST

/* R-REG-2: a task that drains receives what is queued, and acks it. */
START_TEST(R_REG_2_a_draining_task_receives)
{
    given(SETUP "task t1 in r1 running; channel c1 in r1; m1 sent to c1; close r1");
    when("a1 receives c1 of t1; a1 acked of t1; p1 reserves c1 of t1");
    expect("m1 received\n"
           "a1 granted\n"
           "m1 consumed\n"
           "p1 refused region-closed");
    when("t1 dies 15");
    expect_line("c1 closed");
    expect_none("m1 dead");
}
END_TEST

/* R-REG-2: under finish, tasks that nobody cancelled go on. */
START_TEST(R_REG_2_finish)
{
    given(SETUP "task t1 in r1 running; channel c1 in r1; q1 reserves c1 from s1; finish r1");
    when("p1 reserves c1 of t1; m1 sent into p1 of t1; a1 receives c1 of t1; a1 acked of t1;"
         "p2 reserves c1 from s1");
    expect("p1 granted\n"
           "m1 sent\n"
           "m1 received\n"
           "a1 granted\n"
           "m1 consumed\n"
           "p2 refused region-closed");
    when("t1 exits 0");
    expect_none("r1 closed"); /* R-OBL-5: a permit is held */
    when("q1 given-back from s1");
    expect_line("r1 closed ok");
}
END_TEST

/* R-OBL-3, R-OBL-5: an ack of a task that ends is a leak and counts in the outcome. */
START_TEST(R_OBL_5_a_leak_counts)
{
    given(SETUP "task t1 in r1 running; channel c1 in r1; m1 sent to c1; a1 receives c1 of t1");
    when("t1 exits 0");
    expect_line("m1 returned death");
    when("a2 receives c1 from s1; a2 acked from s1; close r1");
    expect_line("r1 closed err obligation-leak");
}
END_TEST

/* More messages than a step takes: the close goes on by itself. */
START_TEST(the_close_of_a_large_channel)
{
    struct input in;
    uint64_t count = 0;

    given(SETUP "channel c1 in r1 capacity 5000");
    for (int i = 0; i < 3000; i++) {
        in = scenario_input(IN_CHANNEL_SEND);
        in.u.send.channel = id_of("c1");
        in.u.send.data = (struct bytes){"x", 1};
        ck_assert_int_eq(scenario_step_only(&in), 0);
    }
    trace_forget();
    in = scenario_input(IN_REGION_END);
    in.region = id_of("r1");
    in.u.end.drain_ns = ASUP_NEVER;
    ck_assert_int_eq(scenario_step_only(&in), 0);
    ck_assert_uint_eq(channel_of("c1").queued, 3000 - 1024);
    trace_forget();
    for (int i = 0; i < 3; i++) {
        struct input tick = {.kind = IN_TICK};

        ck_assert(kernel_next_deadline(the_kernel()) <= instant("0s"));
        (void)scenario_step_only(&tick);
        trace_forget();
        if (region_of("r1").state == ASUP_REGION_CLOSED)
            break;
    }
    ck_assert_uint_eq(region_of("r1").state, ASUP_REGION_CLOSED);
    for (uint64_t id = 0; (id = kernel_dead_next(the_kernel(), id)) != 0;)
        count++;
    ck_assert_uint_eq(count, 3000);
}
END_TEST

/* ---- Requests
 * --------------------------------------------------------------------------------------- */

/* R-IDM-1: a repeat of a receive gets the same ack, parked or not. */
START_TEST(R_IDM_1_a_repeated_receive)
{
    given(SETUP "channel c1 in r1; a1 receives c1 parked from s1 request 5; m1 sent to c1;"
                "m2 sent to c1");
    when("b1 receives c1 parked from s1 request 5");
    expect("b1 granted");
    ck_assert_uint_eq(id_of("a1"), id_of("b1"));
    ck_assert_uint_eq(channel_of("c1").queued, 1);
    when("a1 acked from s1 request 6; a1 acked from s1 request 6");
    expect_line("m1 consumed");
    expect_none("refused");
}
END_TEST

/* R-IDM-1: sent once, however often it is said. */
START_TEST(R_IDM_1_a_repeated_send)
{
    given(SETUP "channel c1 in r1");
    when("m1 sent to c1 from s1 request 3; m2 sent to c1 from s1 request 3");
    expect("m1 sent\n"
           "answered m1\n"
           "answered m1");
    ck_assert_uint_eq(channel_of("c1").sent, 1);
}
END_TEST

START_TEST(names_of_channels)
{
    given(SETUP "region r2; channel c1 in r1 named orders");
    when("channel c2 in r1 named orders");
    expect("refused name-taken");
    when("channel c2 in r2 named orders; channel c3 in r1 named a/b; channel c4 in r1 named m4");
    expect("c2 opened\n"
           "refused invalid\n"
           "refused invalid");
    ck_assert_uint_eq(kernel_channel_find(the_kernel(), id_of("r1"), (struct bytes){"orders", 6}),
                      id_of("c1"));
    when("close r1; region r3; channel c5 in r3");
    expect_line("c5 opened");
}
END_TEST

START_TEST(channels_that_are_refused)
{
    given(SETUP "channel c9 in r1");
    when("channel c1 in /");
    expect("refused invalid");
    when("channel c1 in r1 by 2000");
    expect("refused denied");
    when("channel c1 in r1 capacity 0");
    expect("refused invalid");
    when("p1 reserves c9");
    expect("p1 refused invalid"); /* who would hold it? */
    when("a1 receives c9 from s1");
    expect("a1 refused timeout");
    when("m1 sent to c9 by 2000");
    expect("refused denied");
    when("close r1; channel c1 in r1");
    expect_line("refused region-closed");
}
END_TEST

/* A request of s1, in scarce memory; the id it made. */
static uint64_t
asked(enum input_kind kind, uint64_t subject)
{
    struct input in = scenario_input(kind);

    in.caller.session = id_of("s1");
    in.subject = subject;
    if (kind == IN_CHANNEL_SEND)
        in.u.send.data = (struct bytes){"some data that has to be kept", 29};
    if (kind == IN_CHANNEL_NACK)
        in.u.nack.note = (struct bytes){"not yet", 7};
    ck_assert_int_eq(scenario_step(&in), 0);
    return scenario_made().id;
}

/* R-EVT-2: no memory, no mark. */
START_TEST(R_EVT_2_without_memory)
{
    uint64_t c1;

    given(SETUP "channel c1 in r1");
    c1 = id_of("c1");
    scenario_memory_scarce(42);
    for (int i = 0; i < 100; i++) {
        (void)asked(IN_CHANNEL_SEND, asked(IN_CHANNEL_RESERVE, c1));
        (void)asked(IN_CHANNEL_NACK, asked(IN_CHANNEL_RECEIVE, c1));
        (void)asked(IN_CHANNEL_ACK, asked(IN_CHANNEL_RECEIVE, c1));
    }
    scenario_memory_scarce(0);
    ck_assert_uint_eq(channel_of("c1").consumed, 100);
    ck_assert_int_gt(scenario_memory_starved(), 0);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_OBL_1_reserve_send_receive_commit),
    RULE(R_OBL_1_a_second_resolve_is_refused),
    RULE(R_OBL_2_only_the_holder_settles),
    RULE(R_OBL_1_each_is_settled_by_its_kind),
    RULE(R_OBL_1_an_ack_committed_as_obligation_consumes),
    RULE(R_OBL_3_the_end_of_a_holder),
    RULE(R_OBL_3_a_broken_connection_is_no_leak),
    RULE(channel_order_returns_to_the_original_place),
    RULE(channel_order_of_many),
    RULE(channel_capacity_first_come_first_served),
    RULE(channel_capacity_a_permit_runs_out),
    RULE(R_SES_1_a_parked_request_without_a_connection_takes_nothing),
    RULE(channel_receivers_are_served_in_order),
    RULE(ack_timeout_and_silence),
    RULE(ack_timeout_the_next_receiver_gets_it),
    RULE(ack_timeout_a_keepalive_does_not_speak),
    RULE(an_ack_is_extended),
    RULE(dead_letters_poison),
    RULE(dead_letters_timeouts_have_their_own_cap),
    RULE(dead_letters_bounded_history),
    RULE(dead_letters_outlive_their_region),
    RULE(R_SCH_4_dead_letters_per_user),
    RULE(R_SCH_4_queued_bytes),
    RULE(R_SCH_4_channels),
    RULE(seal_ends_the_intake),
    RULE(seal_what_comes_back),
    RULE(R_OBL_4_the_end_of_the_region),
    RULE(R_REG_2_a_draining_task_receives),
    RULE(R_REG_2_finish),
    RULE(R_OBL_5_a_leak_counts),
    RULE(the_close_of_a_large_channel),
    RULE(R_IDM_1_a_repeated_receive),
    RULE(R_IDM_1_a_repeated_send),
    RULE(names_of_channels),
    RULE(channels_that_are_refused),
    RULE(R_EVT_2_without_memory),
};

RULES_MAIN("channel", rules, scenario_begin, scenario_end)
