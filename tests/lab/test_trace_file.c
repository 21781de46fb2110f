/* SPDX-License-Identifier: MIT */
/* R-EVT-1: a trace that was saved says what happened, or that it cannot. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/durably.h"
#include "lab/trace_file.h"
#include "lab/trace_layout.h"

static const struct kernel_allocator allocator = {.resize = trace_resize};
static char directory[64];
static char path[96];
static char why[256];

static void
set_up(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/asup-trace-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/one.trace", directory);
}

static void
tear_down(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing else is left in it */
}

/* ---- A short life ---------------------------------------------------------------------- */

static struct kernel *
begin(void)
{
    struct kernel_config config;
    struct kernel *k;

    kernel_config_init(&config);
    k = kernel_new(&config, &allocator, 1000);
    ck_assert_ptr_nonnull(k);
    return k;
}

/* Open a region of that name and close it; every event goes to `w` when there is one. */
static unsigned
live(struct kernel *k, const char *name, struct trace_writer *w)
{
    static uint64_t token;
    static asup_time now;
    struct input in = {.kind = IN_REGION_OPEN, .region = ASUP_ROOT_ID, .caller.uid = 0};
    struct step out;
    uint64_t made = 0;
    unsigned events = 0;

    in.u.region_open.name = (struct bytes){name, strlen(name)};
    in.u.region_open.budget =
        (struct budget_request){ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0};
    in.u.region_open.drain_ns = ASUP_NEVER;
    for (int i = 0; i < 2; i++) {
        now = kernel_event_time(k) + 1000;
        in.now = now;
        in.token = ++token;
        ck_assert_int_eq(kernel_step(k, &in, &out), 0);
        for (size_t n = 0; n < out.effect_count; n++)
            made = out.effects[n].kind == FX_REPLY ? out.effects[n].made.id : made;
        for (size_t n = 0; n < out.event_count; n++) {
            events++;
            if (w != NULL)
                ck_assert_int_eq(trace_write_event(w, &out.events[n]), 0);
        }
        in = (struct input){.kind = IN_REGION_END, .region = made};
        in.u.end.drain_ns = ASUP_NEVER;
    }
    return events;
}

static unsigned
save(void)
{
    struct kernel *k = begin();
    struct trace_writer *w = trace_create(path);
    unsigned events;

    ck_assert_ptr_nonnull(w);
    trace_meta_text(w, "program", "story");
    trace_meta_number(w, "seed", UINT64_MAX);
    ck_assert_int_eq(trace_write_snapshot(w, k), 0);
    ck_assert_int_eq(trace_write_choice(w, &(struct trace_choice){3, 1, 70000}), 0);
    events = live(k, "shop", w);
    ck_assert_int_eq(trace_write_text(w, 7, 55, "hello"), 0);
    ck_assert_int_eq(trace_finish(w), 0);
    kernel_free(k);
    return events;
}

static uint8_t *
slurp(size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(1 << 16);

    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(data);
    *size = fread(data, 1, 1 << 16, f);
    ck_assert_int_eq(fclose(f), 0);
    return data;
}

static void
spit(const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

/* Read to the end: 0, or what went wrong, with `why`. NULL: the file. */
static int
read_these(uint8_t *data, size_t size, unsigned *frames)
{
    struct trace_reader *r = NULL;
    struct trace_frame f;
    FILE *stream = data != NULL ? fmemopen(data, size, "rb") : NULL;
    int rc;

    *frames = 0;
    if (stream == NULL) {
        rc = trace_open(path, &r, why, sizeof why);
    } else {
        rc = trace_open_stream(stream, "memory", &r, why, sizeof why);
        if (rc != 0)
            ck_assert_int_eq(fclose(stream), 0);
    }
    if (rc != 0)
        return rc;
    while ((rc = trace_next(r, &f, why, sizeof why)) > 0)
        (*frames)++;
    trace_close(r);
    return rc;
}

static int
read_all(unsigned *frames)
{
    return read_these(NULL, 0, frames);
}

/* ---- Whole --------------------------------------------------------------------------------- */

START_TEST(R_EVT_1_what_was_saved_is_read)
{
    unsigned events = save();
    struct kernel *k = begin();
    struct kernel *loaded = NULL;
    struct trace_reader *r;
    struct trace_frame f;
    uint64_t seed;
    unsigned seen = 0;

    ck_assert_int_eq(trace_open(path, &r, why, sizeof why), 0);
    ck_assert_str_eq(trace_meta(r, "program"), "story");
    ck_assert_str_eq(trace_meta(r, "seed"), "18446744073709551615");
    ck_assert(trace_meta_number_of(r, "seed", &seed));
    ck_assert_uint_eq(seed, UINT64_MAX);
    ck_assert(!trace_meta_number_of(r, "program", &seed));
    ck_assert_ptr_null(trace_meta(r, "nothing"));

    ck_assert_int_eq(trace_next(r, &f, why, sizeof why), 1);
    ck_assert_int_eq(f.kind, TRACE_SNAPSHOT);
    struct memory_file file = {.data = (uint8_t *)f.data.data, .size = f.data.size};
    struct durable_source source = memory_source(&file);
    ck_assert_int_eq(kernel_load(&source, &allocator, 1000, LOAD_EXACT, &loaded), 0);
    ck_assert_uint_eq(kernel_digest(loaded), kernel_digest(k));

    ck_assert_int_eq(trace_next(r, &f, why, sizeof why), 1);
    ck_assert_int_eq(f.kind, TRACE_CHOICE);
    ck_assert_uint_eq(f.choice.kind, 3);
    ck_assert_uint_eq(f.choice.taken, 1);
    ck_assert_uint_eq(f.choice.among, 70000);

    ck_assert_uint_eq(live(k, "shop", NULL), events);
    while (trace_next(r, &f, why, sizeof why) == 1 && f.kind == TRACE_EVENT) {
        kernel_apply(loaded, &f.event);
        seen++;
    }
    ck_assert_uint_eq(seen, events);
    ck_assert_uint_eq(kernel_digest(loaded), kernel_digest(k));

    ck_assert_int_eq(f.kind, TRACE_TEXT);
    ck_assert_uint_eq(f.task, 7);
    ck_assert_uint_eq(f.at, 55);
    ck_assert_uint_eq(f.data.size, 5);
    ck_assert_mem_eq(f.data.data, "hello", 5);
    ck_assert_int_eq(trace_next(r, &f, why, sizeof why), 0);
    ck_assert_int_eq(trace_next(r, &f, why, sizeof why), 0);
    trace_close(r);
    kernel_free(k);
    kernel_free(loaded);
}
END_TEST

START_TEST(it_takes_the_place_of_another_at_once)
{
    struct trace_writer *w;
    struct stat st;
    size_t size;

    spit("precious", 8);
    ck_assert_int_eq(chmod(path, 0600), 0);
    w = trace_create(path);
    ck_assert_ptr_nonnull(w);
    trace_meta_text(w, "program", "story");
    uint8_t *data = slurp(&size);
    ck_assert_uint_eq(size, 8); /* the old one still */
    free(data);
    trace_abandon(w);
    data = slurp(&size);
    ck_assert_mem_eq(data, "precious", 8);
    free(data);
    save();
    data = slurp(&size);
    ck_assert_mem_eq(data, "ASUPTRC1", 8);
    free(data);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(a_link_stays_one_and_a_device_a_device)
{
    char link[96];
    struct trace_writer *w;
    struct stat st;

    save();
    (void)snprintf(link, sizeof link, "%s/link", directory);
    ck_assert_int_eq(symlink(path, link), 0);
    w = trace_create(link);
    ck_assert_ptr_nonnull(w);
    ck_assert_int_eq(trace_finish(w), 0);
    ck_assert_int_eq(lstat(link, &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    ck_assert_int_eq(unlink(link), 0);

    w = trace_create("/dev/null");
    ck_assert_ptr_nonnull(w);
    ck_assert_int_eq(trace_finish(w), 0);
    ck_assert_int_eq(stat("/dev/null", &st), 0);
    ck_assert(S_ISCHR(st.st_mode));
}
END_TEST

START_TEST(a_disk_that_is_full_is_told)
{
    struct kernel *k = begin();
    struct trace_writer *w = trace_create("/dev/full");

    ck_assert_ptr_nonnull(w);
    for (int i = 0; i < 40; i++)
        (void)trace_write_snapshot(w, k);
    errno = 0;
    ck_assert_int_eq(trace_finish(w), -ASUP_EUNAVAILABLE);
    ck_assert_int_eq(errno, ENOSPC);
    errno = 0;
    ck_assert_ptr_null(trace_create("/nowhere/at/all"));
    ck_assert_int_eq(errno, ENOENT);
    kernel_free(k);
}
END_TEST

/* ---- Not whole --------------------------------------------------------------------------------
 */

START_TEST(cut_anywhere_it_says_where)
{
    unsigned frames;
    size_t size;
    uint8_t *data;

    save();
    data = slurp(&size);
    for (size_t cut = 0; cut < size; cut++) {
        char where[32];

        if (cut == 0) {
            spit(data, cut);
            ck_assert_int_eq(read_all(&frames), -ASUP_EMALFORMED);
            continue;
        }
        ck_assert_int_eq(read_these(data, cut, &frames), -ASUP_EMALFORMED);
        (void)snprintf(where, sizeof where, "byte %zu", cut);
        ck_assert_msg(strstr(why, where) != NULL, "cut at %zu: %s", cut, why);
    }
    free(data);
}
END_TEST

START_TEST(one_wrong_bit_is_found)
{
    unsigned frames;
    unsigned whole;
    size_t size;
    uint8_t *data;

    save();
    ck_assert_int_eq(read_all(&whole), 0);
    data = slurp(&size);
    for (size_t i = 0; i < 8 * size; i++) {
        int rc;

        data[i / 8] ^= (uint8_t)(1 << i % 8);
        rc = read_these(data, size, &frames);
        ck_assert_msg(rc == -ASUP_EMALFORMED || rc == -ASUP_EUNSUPPORTED, "bit %zu: %d", i, rc);
        ck_assert_uint_le(frames, whole);
        data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    free(data);
}
END_TEST

/* Where each frame begins, the end of the last one too. */
static size_t
frames_of(const uint8_t *data, size_t size, size_t *at, size_t most)
{
    size_t count = 0;
    size_t place = TRACE_MAGIC_SIZE;

    while (place < size && count < most - 1) {
        at[count++] = place;
        place += TRACE_HEAD_SIZE + trace_get(data + place + 1, 4) + TRACE_SUM_SIZE;
    }
    ck_assert_uint_eq(place, size);
    at[count] = size;
    return count;
}

START_TEST(frames_neither_vanish_nor_change_places)
{
    size_t at[32];
    size_t size;
    unsigned frames;

    save();
    uint8_t *data = slurp(&size);
    size_t count = frames_of(data, size, at, 32);
    uint8_t *other = malloc(size);
    ck_assert_ptr_nonnull(other);
    for (size_t i = 0; i < count; i++) { /* without it */
        memcpy(other, data, at[i]);
        memcpy(other + at[i], data + at[i + 1], size - at[i + 1]);
        spit(other, size - (at[i + 1] - at[i]));
        ck_assert_int_eq(read_all(&frames), -ASUP_EMALFORMED);
    }
    for (size_t i = 0; i + 1 < count; i++) { /* behind the next one */
        size_t second = at[i + 2] - at[i + 1];

        memcpy(other, data, size);
        memcpy(other + at[i], data + at[i + 1], second);
        memcpy(other + at[i] + second, data + at[i], at[i + 1] - at[i]);
        spit(other, size);
        ck_assert_int_eq(read_all(&frames), -ASUP_EMALFORMED);
    }
    memcpy(other, data, size); /* more behind the end */
    spit(data, size);
    FILE *f = fopen(path, "ab");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fputc('x', f), 'x');
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(read_all(&frames), -ASUP_EMALFORMED);
    ck_assert_ptr_nonnull(strstr(why, "follows the end"));
    free(other);
    free(data);
}
END_TEST

/* A file of one frame, with the right check sum. */
static void
spit_frame(uint8_t kind, const char *bytes, size_t size)
{
    uint8_t all[256] = TRACE_MAGIC "1";
    uint8_t *head = all + TRACE_MAGIC_SIZE;

    ck_assert_uint_lt(size, 200);
    head[0] = kind;
    trace_put(head + 1, size, 4);
    memcpy(head + TRACE_HEAD_SIZE, bytes, size);
    trace_put(head + TRACE_HEAD_SIZE + size, trace_sum(0, head, bytes, size), TRACE_SUM_SIZE);
    spit(all, TRACE_MAGIC_SIZE + TRACE_HEAD_SIZE + size + TRACE_SUM_SIZE);
}

START_TEST(another_version_says_which)
{
    unsigned frames;

    spit("ASUPTRC2what ever follows", 25);
    ck_assert_int_eq(read_all(&frames), -ASUP_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(why, "version 2"));
    spit_frame(TRACE_META,
               "\x81\xa6"
               "format\xcd\x01\x00",
               11);
    ck_assert_int_eq(read_all(&frames), -ASUP_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(why, "version 256"));
}
END_TEST

START_TEST(what_is_no_trace_is_told_so)
{
    static const struct {
        const char *meta;
        size_t size;
    } wrong[] = {
        {"\xdf\xff\xff\xff\xff", 5},     /* a map of four thousand million */
        {"\x81\xdb\xff\xff\xff\xff", 6}, /* a text of as many bytes */
        {"\x81\xa6"
         "format\xdd\xff\xff\xff\xff",
         13},        /* an array */
        {"\x80", 1}, /* that says nothing */
        {"\x81\xa6"
         "format\x01\x01",
         10}, /* and more */
        {"\x81\xa6"
         "form\0t\x01",
         9},
        {"\x01", 1},
        {"", 0},
    };
    unsigned frames;

    spit("SQLite format 3", 16);
    ck_assert_int_eq(read_all(&frames), -ASUP_EMALFORMED);
    ck_assert_ptr_nonnull(strstr(why, "no trace"));
    spit_frame(TRACE_EVENT, "abc", 3);
    ck_assert_int_eq(read_all(&frames), -ASUP_EMALFORMED);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        spit_frame(TRACE_META, wrong[i].meta, wrong[i].size);
        ck_assert_msg(read_all(&frames) == -ASUP_EMALFORMED, "%zu: %s", i, why);
    }
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(read_all(&frames), -ASUP_EUNAVAILABLE);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("trace_file");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, R_EVT_1_what_was_saved_is_read);
    tcase_add_test(tcase, it_takes_the_place_of_another_at_once);
    tcase_add_test(tcase, a_link_stays_one_and_a_device_a_device);
    tcase_add_test(tcase, a_disk_that_is_full_is_told);
    tcase_add_test(tcase, cut_anywhere_it_says_where);
    tcase_add_test(tcase, one_wrong_bit_is_found);
    tcase_add_test(tcase, frames_neither_vanish_nor_change_places);
    tcase_add_test(tcase, another_version_says_which);
    tcase_add_test(tcase, what_is_no_trace_is_told_so);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
