/* SPDX-License-Identifier: MIT */
/* What is owed, held and handed on, by typed calls to the real daemon:
 * obligations, leases, capabilities, and the rest of channels and sagas. */
#include "real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

#define LONG_NS (60 * ASUP_NS_PER_S)

static struct asup_client *other; /* with a session of its own */

static void
begin(void)
{
    real_begin();
    other = connect_client();
}

static void
end(void)
{
    asup_client_free(other);
    real_end();
}

static struct asup_ref
session_of(struct asup_client *c)
{
    return (struct asup_ref){.id = asup_client_session(c).id, .sort = ASUP_SORT_SESSION};
}

static struct asup_obligation
reserve(struct asup_region region, const char *label)
{
    struct asup_obligation made = {0};

    OK(asup_client_obligation_reserve(client, region, label, LONG_NS, &made, &err));
    ck_assert_uint_ne(made.id, 0);
    return made;
}

/* ---- Obligations --------------------------------------------------------------------- */

START_TEST(R_OBL_1_an_effect_is_resolved_exactly_once)
{
    struct asup_region region = open_region("uploads");
    struct asup_obligation first = reserve(region, "first");
    struct asup_obligation second = reserve(region, NULL);

    OK(asup_client_obligation_commit(client, first, &err));
    ck_assert_int_eq(asup_client_obligation_commit(client, first, &err), -ASUP_ERESOLVED);
    ck_assert_int_eq(asup_client_obligation_abort(client, first, NULL, &err), -ASUP_ERESOLVED);
    OK(asup_client_obligation_abort(client, second, "the disk is full", &err));
    ck_assert_int_eq(asup_client_obligation_commit(client, second, &err), -ASUP_ERESOLVED);
    close_region(region);
    ck_assert_int_eq(asup_client_obligation_reserve(client, region, "late", LONG_NS, &first, &err),
                     -ASUP_ECLOSED);
}
END_TEST

START_TEST(R_OBL_2_only_its_holder_resolves_it_and_may_hand_it_over)
{
    struct asup_region region = open_region("uploads");
    struct asup_obligation owed = reserve(region, "an upload");

    ck_assert_int_eq(asup_client_obligation_commit(other, owed, &err), -ASUP_EDENIED);
    OK(asup_client_obligation_transfer(client, owed, session_of(other), &err));
    ck_assert_int_eq(asup_client_obligation_commit(client, owed, &err), -ASUP_EDENIED);
    OK(asup_client_obligation_commit(other, owed, &err));
    close_region(region);
}
END_TEST

START_TEST(R_OBL_3_what_a_session_owes_is_leaked_by_its_end)
{
    struct asup_region region = open_region("uploads");
    struct asup_obligation owed = reserve(region, "an upload");
    struct asup_obligation_list list;

    OK(asup_client_obligation_transfer(client, owed, session_of(other), &err));
    asup_client_free(other); /* says bye */
    other = NULL;
    ck_assert_int_eq(asup_client_obligation_commit(client, owed, &err), -ASUP_ERESOLVED);
    OK(asup_client_obligation_list(client, region, (struct asup_obligation){0}, 10, &list, &err));
    ck_assert_uint_eq(list.count, 0);
    asup_obligation_list_fini(&list);
    close_region(region);
}
END_TEST

START_TEST(what_is_owed_is_listed_in_pages)
{
    struct asup_region region = open_region("uploads");
    struct asup_obligation made[3], after = {0};
    struct asup_obligation_list list;

    for (int i = 0; i < 3; i++)
        made[i] = reserve(region, "an upload");
    for (int i = 0; i < 3; i++) {
        OK(asup_client_obligation_list(client, region, after, 1, &list, &err));
        ck_assert_uint_eq(list.count, 1);
        ck_assert(list.more == (i < 2));
        ck_assert_uint_eq(list.items[0].obligation.id, made[i].id);
        ck_assert_uint_eq(list.items[0].kind, ASUP_OBLIGATION_IO_OP);
        ck_assert_uint_eq(list.items[0].region.id, region.id);
        ck_assert_str_eq(list.items[0].path, "/uploads");
        ck_assert_str_eq(list.items[0].name, "an upload");
        ck_assert_uint_eq(list.items[0].holder.id, session_of(client).id);
        ck_assert_uint_le(list.items[0].left_ns, LONG_NS);
        after = list.items[0].obligation;
        asup_obligation_list_fini(&list);
    }
    for (int i = 0; i < 3; i++)
        OK(asup_client_obligation_commit(client, made[i], &err));
    close_region(region);
}
END_TEST

START_TEST(calls_without_sense_are_refused_here)
{
    struct asup_obligation none = {0}, some = {7};
    struct asup_region region = {3};
    struct asup_lease lease;

    ck_assert_int_eq(
        asup_client_obligation_reserve(client, (struct asup_region){0}, "x", LONG_NS, &some, &err),
        -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_obligation_commit(client, none, &err), -ASUP_EINVALID);
    ck_assert_str_eq(err.field, "obligation");
    ck_assert_int_eq(asup_client_obligation_abort(client, none, NULL, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_obligation_transfer(
                         client, some, (struct asup_ref){.id = 3, .sort = ASUP_SORT_REGION}, &err),
                     -ASUP_EINVALID);
    ck_assert_str_eq(err.field, "to");
    ck_assert_int_eq(asup_client_lease_renew(client, none, 0, NULL, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_lease_release(client, none, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_lease_acquire(client, region, NULL, LONG_NS, 0, &lease, &err),
                     -ASUP_EINVALID);
}
END_TEST

/* ---- Leases --------------------------------------------------------------------------- */

START_TEST(a_lease_is_held_by_one_with_growing_tokens)
{
    struct asup_region region = open_region("web");
    struct asup_lease mine, theirs;
    struct asup_lease_info info;
    struct asup_lease_list list;
    uint64_t left = 0;

    ck_assert_int_eq(asup_client_lease_stat(client, region, "leader", &info, &err),
                     -ASUP_ENOTFOUND);
    OK(asup_client_lease_acquire(client, region, "leader", LONG_NS, 0, &mine, &err));
    ck_assert_uint_ne(mine.token, 0);
    ck_assert_uint_le(mine.expires_in_ns, LONG_NS);
    ck_assert_int_eq(asup_client_lease_acquire(client, region, "leader", LONG_NS, 0, &theirs, &err),
                     -ASUP_EEXISTS);
    ck_assert_int_eq(asup_client_lease_acquire(other, region, "leader", LONG_NS, 0, &theirs, &err),
                     -ASUP_ETIMEDOUT);
    ck_assert_int_eq(asup_client_lease_release(other, mine.obligation, &err), -ASUP_EDENIED);

    OK(asup_client_lease_renew(client, mine.obligation, 2 * LONG_NS, &left, &err));
    ck_assert_uint_gt(left, LONG_NS);
    ck_assert_uint_le(left, 2 * LONG_NS);
    OK(asup_client_lease_stat(client, region, "leader", &info, &err));
    ck_assert_str_eq(info.name, "leader");
    ck_assert_str_eq(info.path, "/web");
    ck_assert(!info.cooling);
    ck_assert_uint_eq(info.token, mine.token);
    ck_assert_uint_eq(info.obligation.id, mine.obligation.id);
    ck_assert_uint_eq(info.holder.id, session_of(client).id);
    ck_assert_uint_eq(info.waiters, 0);
    asup_lease_info_fini(&info);
    OK(asup_client_lease_list(client, region, &list, &err));
    ck_assert_uint_eq(list.count, 1);
    ck_assert_str_eq(list.items[0].name, "leader");
    asup_lease_list_fini(&list);

    OK(asup_client_lease_release(client, mine.obligation, &err));
    ck_assert_int_eq(asup_client_lease_renew(client, mine.obligation, 0, NULL, &err),
                     -ASUP_ERESOLVED);
    OK(asup_client_lease_acquire(other, region, "leader", LONG_NS, -1, &theirs, &err));
    ck_assert_uint_gt(theirs.token, mine.token);
    OK(asup_client_lease_release(other, theirs.obligation, &err));
    close_region(region);
}
END_TEST

/* ---- Capabilities ----------------------------------------------------------------------- */

START_TEST(R_CAP_1_what_is_derived_may_less_and_revoking_takes_it_back)
{
    struct asup_region region = open_region("web"), made;
    struct asup_client_options how;
    struct asup_cx_options options;
    struct asup_region_options child;
    struct asup_capability cx, below;
    uint8_t token[ASUP_CX_SIZE], shown[ASUP_CX_SIZE];
    struct asup_client *weak;
    struct asup_cx_list list;
    char text[ASUP_CX_TEXT_SIZE];

    asup_cx_options_init(&options);
    options.region = region;
    OK(asup_rights_parse("observe,delegate", &options.rights));
    options.timeout_ns = LONG_NS;
    options.cost = 9;
    options.priority = 7;
    OK(asup_client_cx_derive(client, &options, &cx, token, &err));
    asup_cx_format(token, text);
    OK(asup_cx_parse(text, shown));
    ck_assert_mem_eq(token, shown, ASUP_CX_SIZE);

    asup_client_options_init(&how);
    how.cx = token;
    weak = connect_as(&how);
    asup_region_options_init(&child);
    child.parent = region;
    ck_assert_int_eq(asup_client_region_open(weak, &child, &made, &err), -ASUP_EDENIED);
    OK(asup_rights_parse("spawn", &options.rights));
    ck_assert_int_eq(asup_client_cx_derive(weak, &options, &below, shown, &err), -ASUP_EDENIED);
    OK(asup_rights_parse("observe", &options.rights));
    OK(asup_client_cx_derive(weak, &options, &below, shown, &err));

    OK(asup_client_cx_list(client, region, (struct asup_capability){0}, &list, &err));
    ck_assert_uint_eq(list.count, 2);
    ck_assert(!list.more);
    ck_assert_uint_eq(list.items[0].capability.id, cx.id);
    ck_assert_uint_eq(list.items[0].parent.id, 0);
    ck_assert_uint_eq(list.items[0].rights, ASUP_RIGHT_OBSERVE | ASUP_RIGHT_DELEGATE);
    ck_assert_uint_eq(list.items[0].cost, 9);
    ck_assert_uint_eq(list.items[0].priority, 7);
    ck_assert_str_eq(list.items[0].path, "/web");
    ck_assert_uint_eq(list.items[1].parent.id, cx.id);
    asup_cx_list_fini(&list);

    OK(asup_client_cx_revoke(client, cx, &err));
    OK(asup_client_cx_revoke(client, cx, &err));
    ck_assert_int_eq(asup_client_cx_derive(weak, &options, &below, shown, &err), -ASUP_EREVOKED);
    asup_client_free(weak);
    close_region(region);
    ck_assert_int_eq(asup_client_cx_revoke(client, cx, &err), -ASUP_EEXPIRED);
}
END_TEST

START_TEST(rights_have_names)
{
    uint32_t rights = 0;

    for (unsigned bit = 0; bit < ASUP_RIGHT_COUNT; bit++) {
        const char *name = asup_right_name(1u << bit);

        ck_assert_ptr_nonnull(name);
        OK(asup_rights_parse(name, &rights));
        ck_assert_uint_eq(rights, 1u << bit);
    }
    ck_assert_ptr_null(asup_right_name(0));
    ck_assert_ptr_null(asup_right_name(1u << ASUP_RIGHT_COUNT));
    OK(asup_rights_parse("all", &rights));
    ck_assert_uint_eq(rights, ASUP_RIGHTS_ALL & ~(uint32_t)ASUP_RIGHT_ADMIN);
    ck_assert_int_eq(asup_rights_parse("spawn,everything", &rights), -ASUP_EINVALID);
    ck_assert_int_eq(asup_rights_parse("", &rights), -ASUP_EINVALID);
}
END_TEST

/* ---- The rest -------------------------------------------------------------------------- */

START_TEST(dead_letters_are_discarded_and_channels_listed)
{
    struct asup_region region = open_region("post");
    struct asup_channel_options options;
    struct asup_channel_list channels;
    struct asup_message_list dead;
    struct asup_channel channel;
    struct asup_delivery d;

    asup_channel_options_init(&options);
    options.name = "box";
    options.nacks_max = 1;
    OK(asup_client_channel_open(client, region, &options, &channel, &err));
    OK(asup_client_channel_send(client, channel, "x", 1, 0, NULL, &err));
    OK(asup_client_channel_receive(client, channel, 0, -1, &d, &err));
    OK(asup_client_channel_nack(client, d.ack, NULL, &err));
    OK(asup_client_channel_list(client, region, false, &channels, &err));
    ck_assert_uint_eq(channels.count, 1);
    ck_assert_str_eq(channels.items[0].name, "box");
    ck_assert_uint_eq(channels.items[0].dead, 1);
    asup_channel_list_fini(&channels);
    OK(asup_client_channel_discard(client, d.message, &err));
    ck_assert_int_eq(asup_client_channel_discard(client, d.message, &err), -ASUP_ENOTFOUND);
    OK(asup_client_channel_dead(client, channel, (struct asup_message){0}, &dead, &err));
    ck_assert_uint_eq(dead.count, 0);
    asup_message_list_fini(&dead);
    asup_delivery_fini(&d);
    close_region(region);
}
END_TEST

START_TEST(a_saga_is_looked_at_while_it_runs)
{
    struct asup_region region = open_region("orders");
    struct asup_saga_info info;
    struct asup_saga saga;

    OK(asup_client_saga_begin(client, region, "order", &saga, &err));
    OK(asup_client_saga_stat(client, saga, &info, &err));
    ck_assert_int_eq(info.state, ASUP_SAGA_RUNNING);
    ck_assert_str_eq(info.name, "order");
    ck_assert_uint_eq(info.step_count, 0);
    asup_saga_info_fini(&info);
    OK(asup_client_saga_complete(client, saga, &err));
    close_region(region);
}
END_TEST

START_TEST(events_tell_what_they_are_about)
{
    struct asup_region region = open_region("uploads");
    struct asup_obligation owed = reserve(region, "an upload");
    struct asup_event_list events;
    struct asup_event kept;
    bool seen = false;

    OK(asup_client_obligation_commit(client, owed, &err));
    OK(asup_client_events_read(client, 0, region, 100, 0, &events, &err));
    for (size_t i = 0; i < events.count; i++) {
        const struct asup_event *e = &events.items[i];

        if (strcmp(e->event, "obligation-reserved") != 0)
            continue;
        ck_assert_uint_eq(e->subject.id, owed.id);
        ck_assert_uint_eq(e->subject.sort, ASUP_SORT_OBLIGATION);
        ck_assert_uint_eq(e->holder.id, session_of(client).id);
        seen = true;
    }
    ck_assert(seen);
    /* One may be kept: it is then released by itself. */
    kept = events.items[0];
    memset(&events.items[0], 0, sizeof events.items[0]);
    asup_event_list_fini(&events);
    ck_assert_str_eq(kept.event, "region-opened");
    asup_event_fini(&kept);
    asup_reason_free(NULL);
    close_region(region);
}
END_TEST

START_TEST(a_new_engine_takes_over_on_request)
{
    struct asup_region region = open_region("uploads");
    struct asup_obligation owed = reserve(region, "an upload");
    struct asup_daemon_info info;

    (void)reserve(region, "what drain waits for");
    OK(asup_client_daemon_upgrade(client, &err));
    OK(asup_client_daemon_status(client, &info, &err));
    ck_assert_uint_eq(info.engine_runs, 2);
    asup_daemon_info_fini(&info);
    OK(asup_client_obligation_commit(client, owed, &err));
    OK(asup_client_daemon_drain(client, &err));
    ck_assert_int_eq(asup_client_region_open(client, NULL, &region, &err), -ASUP_ECLOSED);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_OBL_1_an_effect_is_resolved_exactly_once),
    RULE(R_OBL_2_only_its_holder_resolves_it_and_may_hand_it_over),
    RULE(R_OBL_3_what_a_session_owes_is_leaked_by_its_end),
    RULE(what_is_owed_is_listed_in_pages),
    RULE(calls_without_sense_are_refused_here),
    RULE(a_lease_is_held_by_one_with_growing_tokens),
    RULE(R_CAP_1_what_is_derived_may_less_and_revoking_takes_it_back),
    RULE(rights_have_names),
    RULE(dead_letters_are_discarded_and_channels_listed),
    RULE(a_saga_is_looked_at_while_it_runs),
    RULE(events_tell_what_they_are_about),
    RULE(a_new_engine_takes_over_on_request),
};

RULES_MAIN("client owed", rules, begin, end)
