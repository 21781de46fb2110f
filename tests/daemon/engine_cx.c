/* SPDX-License-Identifier: MIT */
/* R-CAP-1: tokens are unguessable, the same after a restart, and nothing that
 * was not given out passes for one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/engine/cx.h"
#include "daemon/engine/sha.h"
#include "rules.h"

static char directory[64];
static char path[80];
static struct cx_key key;

static void
begin(void)
{
    strcpy(directory, "/tmp/asup-cx-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/key", directory);
}

static void
end(void)
{
    cx_close(&key);
    unlink(path);
    rmdir(directory);
}

static void
write_key(size_t size, mode_t mode)
{
    uint8_t bytes[64];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

/* Computed with another implementation of HMAC. */
START_TEST(R_CAP_1_a_token_is_an_hmac_of_sort_and_id)
{
    char text[CX_TEXT_SIZE];

    write_key(32, 0600);
    ck_assert(cx_open(&key, directory));
    cx_text(&key, CX_TASK, 7, text);
    ck_assert_str_eq(text, "0000000000076bce888359f274818a8a");
    cx_text(&key, CX_DERIVED, 5, text);
    ck_assert_str_eq(text, "800000000005710af2b0fa140f077ca1");
}
END_TEST

/* With the processor's instructions and without. */
START_TEST(R_CAP_1_a_token_is_the_same_on_every_processor)
{
    uint32_t ways[2][8];
    uint8_t block[SHA_BLOCK_SIZE];
    uint32_t dice = 1;

    for (int turn = 0; turn < 1000; turn++) {
        for (size_t i = 0; i < 8; i++)
            ways[0][i] = ways[1][i] = dice = dice * 1664525 + 1013904223;
        for (size_t i = 0; i < sizeof block; i++) {
            dice = dice * 1664525 + 1013904223;
            block[i] = (uint8_t)(dice >> 24);
        }
        sha_block_by_library(ways[0], block);
        if (sha_has_instructions())
            sha_block_by_instructions(ways[1], block);
        else
            sha_block(ways[1], block);
        ck_assert_mem_eq(ways[0], ways[1], sizeof ways[0]);
    }
}
END_TEST

START_TEST(R_CAP_1_tokens_are_the_same_after_a_restart)
{
    uint8_t token[CX_TOKEN_SIZE];
    uint8_t again[CX_TOKEN_SIZE];
    struct stat st;

    ck_assert(cx_open(&key, directory));
    cx_token(&key, CX_TASK, 12, token);
    cx_close(&key);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert(cx_open(&key, directory));
    cx_token(&key, CX_TASK, 12, again);
    ck_assert_mem_eq(token, again, sizeof token);
}
END_TEST

/* Every single bit of a token counts, and a key of another daemon is another. */
START_TEST(R_CAP_1_what_was_not_given_out_is_refused)
{
    uint8_t token[CX_TOKEN_SIZE];
    enum cx_sort sort;
    uint64_t id;
    struct cx_key other;

    ck_assert(cx_open(&key, directory));
    cx_token(&key, CX_DERIVED, ((uint64_t)1 << 47) - 1, token);
    ck_assert(cx_verify(&key, token, &sort, &id));
    ck_assert_int_eq(sort, CX_DERIVED);
    ck_assert_uint_eq(id, ((uint64_t)1 << 47) - 1);
    for (int bit = 0; bit < CX_TOKEN_SIZE * 8; bit++) {
        token[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert(!cx_verify(&key, token, &sort, &id));
        token[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    unlink(path);
    ck_assert(cx_open(&other, directory));
    ck_assert(!cx_verify(&other, token, &sort, &id));
    cx_close(&other);
}
END_TEST

/* A key that others may have read, or that is no key, is none to go on with. */
START_TEST(a_key_that_is_damaged_or_open_to_others_is_refused)
{
    write_key(31, 0600);
    ck_assert(!cx_open(&key, directory));
    write_key(33, 0600);
    ck_assert(!cx_open(&key, directory));
    write_key(32, 0640);
    ck_assert(!cx_open(&key, directory));
    unlink(path);
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
    ck_assert(!cx_open(&key, directory));
}
END_TEST

static const struct rule rules[] = {
    RULE(R_CAP_1_a_token_is_an_hmac_of_sort_and_id),
    RULE(R_CAP_1_a_token_is_the_same_on_every_processor),
    RULE(R_CAP_1_tokens_are_the_same_after_a_restart),
    RULE(R_CAP_1_what_was_not_given_out_is_refused),
    RULE(a_key_that_is_damaged_or_open_to_others_is_refused),
};

RULES_MAIN("capability tokens", rules, begin, end)
