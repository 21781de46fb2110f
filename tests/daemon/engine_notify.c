/* SPDX-License-Identifier: MIT */
/* What a task says on its notify socket, good and bad. */
#include <string.h>

#include "daemon/engine/notify.h"
#include "rules.h"

static struct notify_message m;

static void
parse(const char *text)
{
    notify_parse(text, strlen(text), &m);
}

START_TEST(each_word_is_understood)
{
    parse("READY=1");
    ck_assert(m.ready && !m.stopping && !m.watchdog && !m.extend && !m.status);
    parse("STOPPING=1\n");
    ck_assert(m.stopping && !m.ready);
    parse("WATCHDOG=1");
    ck_assert(m.watchdog);
    parse("EXTEND_TIMEOUT_USEC=1500000");
    ck_assert(m.extend);
    ck_assert_uint_eq(m.extend_usec, 1500000);
    parse("STATUS=half way");
    ck_assert_uint_eq(m.status_size, 8);
    ck_assert_mem_eq(m.status, "half way", 8);
}
END_TEST

START_TEST(several_lines_at_once)
{
    parse("STATUS=up\nMAINPID=7\nREADY=1\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=5\n");
    ck_assert(m.ready && m.watchdog && m.extend && !m.stopping);
    ck_assert_uint_eq(m.status_size, 2);
    ck_assert_uint_eq(m.extend_usec, 5);
}
END_TEST

START_TEST(what_is_wrong_is_not_understood)
{
    parse("READY=0\nREADY=\nREADY\nXREADY=1\nREADY=11\nREADY =1");
    ck_assert(!m.ready);
    parse("EXTEND_TIMEOUT_USEC=\nEXTEND_TIMEOUT_USEC=-1\nEXTEND_TIMEOUT_USEC=1x\n"
          "EXTEND_TIMEOUT_USEC=99999999999999999999999");
    ck_assert(!m.extend);
    parse("");
    ck_assert(!m.ready && !m.status);
    parse("\n\n\n");
    ck_assert(!m.ready);
}
END_TEST

START_TEST(bytes_beyond_the_message_are_not_looked_at)
{
    notify_parse("READY=1", 6, &m); /* "READY=" */
    ck_assert(!m.ready);
    notify_parse("A\0READY=1\nSTOPPING=1", 20, &m);
    ck_assert(!m.ready);
    ck_assert(m.stopping);
}
END_TEST

static const struct rule rules[] = {
    RULE(each_word_is_understood),
    RULE(several_lines_at_once),
    RULE(what_is_wrong_is_not_understood),
    RULE(bytes_beyond_the_message_are_not_looked_at),
};

RULES_MAIN("engine notify", rules, NULL, NULL)
