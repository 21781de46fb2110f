/* SPDX-License-Identifier: MIT */
/* ids-never-reused: whatever happens to the engine, the next one begins beyond
 * every id that the last one may have handed out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/engine/ids.h"
#include "rules.h"

static char directory[64];
static char path[80];

static void
begin(void)
{
    strcpy(directory, "/tmp/asup-ids-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/ids", directory);
}

static void
end(void)
{
    unlink(path);
    rmdir(directory);
}

static void
write_file(const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(a_fresh_start_begins_at_two)
{
    struct ids ids = {0};

    ck_assert_uint_eq(ids_open(&ids, directory), 2);
    ck_assert_uint_gt(ids.reserved, 2);
}
END_TEST

START_TEST(ids_never_reused_after_a_crash)
{
    struct ids ids = {0};
    uint64_t last = 1;

    for (int crash = 0; crash < 5; crash++) {
        uint64_t first = ids_open(&ids, directory);
        ck_assert_uint_gt(first, last);
        last = first;
        for (int i = 0; i < 20; i++) {
            last += 30000;
            ck_assert(ids_extend(&ids, last));
            ck_assert_uint_gt(ids.reserved, last + 49152); /* a whole request's worth */
        }
    }
}
END_TEST

START_TEST(a_clean_stop_wastes_none)
{
    struct ids ids = {0};

    ck_assert_uint_eq(ids_open(&ids, directory), 2);
    ids_close(&ids, 17);
    ck_assert_uint_eq(ids_open(&ids, directory), 18);
}
END_TEST

START_TEST(a_damaged_file_is_not_guessed_over)
{
    static const char *const bad[] = {
        "",       "x\n", "12", "-5\n", "0\n", "18446744073709551615\n", "99999999999999999999999\n",
        "12 13\n"};
    struct ids ids = {0};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(bad[i]);
        ck_assert_msg(ids_open(&ids, directory) == 0, "\"%s\" was taken", bad[i]);
    }
}
END_TEST

START_TEST(a_disk_that_refuses_is_told_before_ids_run_out)
{
    struct ids ids = {0};

    ck_assert_uint_eq(ids_open(&ids, directory), 2);
    uint64_t reserved = ids.reserved;
    /* The directory goes away: nothing can be written any more. */
    unlink(path);
    rmdir(directory);
    ck_assert(ids_extend(&ids, reserved - 60000));
    ck_assert(!ids_extend(&ids, reserved - 40000));
    ck_assert_uint_eq(ids.reserved, reserved);
}
END_TEST

static const struct rule rules[] = {
    RULE(a_fresh_start_begins_at_two),
    RULE(ids_never_reused_after_a_crash),
    RULE(a_clean_stop_wastes_none),
    RULE(a_damaged_file_is_not_guessed_over),
    RULE(a_disk_that_refuses_is_told_before_ids_run_out),
};

RULES_MAIN("engine ids", rules, begin, end)
