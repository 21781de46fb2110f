/* SPDX-License-Identifier: MIT */
/* Events and snapshots as bytes, and coming back (R-EVT-1, R-DUR-1, R-TSK-5).
 * That every event survives its bytes is checked behind every step of every
 * scenario (scenario.c); here is the rest. */
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "core/event.h"
#include "core/snapshot.h"
#include "durably.h"
#include "scenario.h"

static void *
plain_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    long *left = ctx;

    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    if (left != NULL && (*left)-- <= 0)
        return NULL;
    return realloc(ptr, size_new);
}

static const struct kernel_allocator plain = {.resize = plain_resize};

/* ---- Tables ------------------------------------------------------------------------- */

/* R-EVT-1: every kind of event has a number of its own. */
START_TEST(R_EVT_1_every_kind_has_a_number)
{
    for (unsigned a = 0; a < EV_KIND_COUNT; a++) {
        uint32_t number = event_kind_number((enum event_kind)a);

        ck_assert_msg(number != 0, "%s has no row in codec_events.c",
                      event_kind_name((enum event_kind)a));
        ck_assert_uint_lt(number, EVENT_NUMBERS_MAX);
        ck_assert_uint_eq(event_kinds[number], a + 1);
    }
}
END_TEST

/* R-EVT-1: no byte of a payload or record is forgotten. */
START_TEST(R_EVT_1_tables_cover_every_byte)
{
    ck_assert_int_eq(table_uncovered(&event_table), -1);
    ck_assert_int_eq(table_uncovered(&outcome_table), -1);
    for (unsigned a = 0; a < EV_KIND_COUNT; a++) {
        const struct table *t = event_rows[a].payload;

        if (t != NULL)
            ck_assert_msg(table_uncovered(t) == -1, "byte %ld of the payload of %s",
                          table_uncovered(t), event_kind_name((enum event_kind)a));
    }
    for (size_t i = 0; i < section_count; i++)
        ck_assert_msg(table_uncovered(sections[i].table) == -1, "byte %ld of section %u",
                      table_uncovered(sections[i].table), sections[i].number);
}
END_TEST

struct sample {
    uint64_t a;
    uint32_t b;
    bool c;
    uint8_t d;
};

/* A table that forgets something is found out. */
START_TEST(a_forgotten_byte_is_found)
{
    static const struct field all[] = {NUMBER(struct sample, a), NUMBER(struct sample, b),
                                       BOOL(struct sample, c), NUMBER(struct sample, d)};
    static const struct field no_middle[] = {NUMBER(struct sample, a), BOOL(struct sample, c),
                                             NUMBER(struct sample, d)};
    static const struct field no_end[] = {NUMBER(struct sample, a), NUMBER(struct sample, b),
                                          BOOL(struct sample, c)};
    static const struct field twice[] = {NUMBER(struct sample, a), NUMBER(struct sample, b),
                                         BOOL(struct sample, c), NUMBER(struct sample, d),
                                         NUMBER(struct sample, b)};
    const struct table covered = TABLE(struct sample, all);
    const struct table middle = TABLE(struct sample, no_middle);
    const struct table end = {.fields = no_end, .count = 2, .size = 12};
    const struct table overlap = TABLE(struct sample, twice);

    ck_assert_int_eq(table_uncovered(&covered), -1);
    ck_assert_int_eq(table_uncovered(&middle), 8);
    ck_assert_int_eq(table_uncovered(&end), 12);
    ck_assert_int_ne(table_uncovered(&overlap), -1);
}
END_TEST

static int
no_room(struct coder_out *o, size_t need)
{
    (void)o;
    (void)need;
    return -ASUP_ENOMEM;
}

/* R-EVT-1: what an older writer did not know gets its preset; what a newer one
 * wrote is refused, not misread. */
START_TEST(R_EVT_1_older_is_read_newer_is_refused)
{
    static const struct field fields[] = {
        NUMBER(struct sample, a),
        NUMBER(struct sample, b),
        {.offset = offsetof(struct sample, d),
         .size = 1,
         .repeat = 1,
         .code = FIELD_NUMBER,
         .preset = 7},
    };
    const struct table fresh = TABLE(struct sample, fields);
    const struct table older = {.fields = fields, .count = 2, .size = sizeof(struct sample)};
    const struct sample from = {.a = 5, .b = 6, .d = 9};
    struct sample to = {0};
    uint8_t bytes[64];
    struct coder_out out = {.data = bytes, .capacity = sizeof bytes, .room = no_room};
    struct coder_in in = {.at = bytes};

    out_struct(&out, &older, &from);
    in.end = bytes + out.size;
    in_struct(&in, &fresh, &to);
    ck_assert_int_eq(in.rc, 0);
    ck_assert_uint_eq(to.a, 5);
    ck_assert_uint_eq(to.b, 6);
    ck_assert_uint_eq(to.d, 7);
    out.size = 0;
    out_struct(&out, &fresh, &from);
    in = (struct coder_in){.at = bytes, .end = bytes + out.size};
    in_struct(&in, &older, &to);
    ck_assert_int_eq(in.rc, -ASUP_EUNSUPPORTED);
}
END_TEST

/* ---- Corruption -------------------------------------------------------------------------- */

/* R-EVT-1: an event that lost a byte, or has a wrong one, is refused. */
START_TEST(R_EVT_1_a_corrupt_event_is_refused)
{
    struct durable_buffer bytes = {.allocator = plain};
    struct durable_buffer scratch = {.allocator = plain};
    struct region_payload p;
    struct event ev = {.seq = 77, .at = 12345, .kind = EV_REGION_OPENED, .region = 9, .value = 1};
    struct event back;

    memset(&p, 0, sizeof p);
    p.drain_ns = ASUP_NEVER;
    ev.text = (struct bytes){"web", 3};
    ev.payload = &p;
    ev.payload_size = sizeof p;
    ck_assert_int_eq(kernel_event_encode(&ev, &bytes), 0);
    for (size_t i = 0; i < bytes.size; i++) {
        ck_assert_int_ne(kernel_event_decode((struct bytes){bytes.data, i}, &scratch, &back), 0);
        bytes.data[i] ^= 0x10;
        ck_assert_int_ne(
            kernel_event_decode((struct bytes){bytes.data, bytes.size}, &scratch, &back), 0);
        bytes.data[i] ^= 0x10;
    }
    ck_assert_int_eq(kernel_event_decode((struct bytes){bytes.data, bytes.size}, &scratch, &back),
                     0);
    ck_assert_uint_eq(back.seq, 77);
    durable_buffer_fini(&bytes);
    durable_buffer_fini(&scratch);
}
END_TEST

static void
a_full_life(void)
{
    given("session s1; s1 attached; region r1 attach from s1 policy fail-fast finalizer f1;"
          "region r2 in r1 soft drain 3s; task t1 in r1 running notify watchdog 10s cost 100;"
          "task t2 in r2 delay 2s; task t3 in r2 running response 1s polls 3 request 5 from s1;"
          "region r3 timeout 5m priority 7; task t4 in r3; task t5 in r3 running; task t6 in r3;"
          "region r4; task t7 in r4; t7 starts; t7 exits 3; close r4;"
          "t1 ready; t1 feeds; t1 used 10; t3 checkpoints; cancel t5; finish r2;"
          "defer f2 to r3; cancel t6");
}

/* R-EVT-1: a snapshot is the state: the same digest, views and future. */
START_TEST(R_EVT_1_a_snapshot_is_the_state)
{
    struct kernel *loaded;
    struct task_view view;

    a_full_life();
    loaded = load_of(the_kernel(), &plain, 0, LOAD_EXACT);
    ck_assert_uint_eq(kernel_digest(loaded), kernel_digest(the_kernel()));
    ck_assert_ptr_null(kernel_check(loaded));
    ck_assert_uint_eq(kernel_next_deadline(loaded), kernel_next_deadline(the_kernel()));
    ck_assert(kernel_task(loaded, id_of("t1"), &view));
    ck_assert_uint_eq(view.state, task_of("t1").state);
    ck_assert_uint_eq(view.pid, task_of("t1").pid);
    kernel_free(loaded);
}
END_TEST

static int
try_load(struct memory_file *f, const struct kernel_allocator *a)
{
    struct durable_source source = memory_source(f);
    struct kernel *k = NULL;
    int rc = kernel_load(&source, a, 0, LOAD_EXACT, &k);

    if (rc == 0)
        kernel_free(k);
    return rc;
}

/* R-DUR-1: a snapshot that is cut or damaged anywhere is refused. */
START_TEST(R_DUR_1_a_corrupt_snapshot_is_refused)
{
    struct memory_file f = {0};
    struct durable_sink sink = memory_sink(&f);
    size_t size;

    a_full_life();
    ck_assert_int_eq(kernel_save(the_kernel(), &sink), 0);
    size = f.size;
    ck_assert_int_eq(try_load(&f, &plain), 0);
    for (size_t i = 0; i < size; i++) {
        f.size = i;
        ck_assert_int_ne(try_load(&f, &plain), 0);
        f.size = size;
        f.data[i] ^= 0x21;
        ck_assert_int_ne(try_load(&f, &plain), 0);
        f.data[i] ^= 0x21;
    }
    memory_file_fini(&f);
}
END_TEST

/* R-EVT-1: a snapshot or event of another version is whole, and refused for its version: it is not
 * taken for a damaged one, nor read as if it were of this one. */
START_TEST(R_EVT_1_another_version_is_refused)
{
    struct memory_file f = {0};
    struct durable_sink sink = memory_sink(&f);
    struct durable_buffer bytes = {.allocator = plain};
    struct durable_buffer scratch = {.allocator = plain};
    struct event ev = {.kind = EV_REGION_SEALED, .seq = 9, .region = 2};
    uint8_t *frame;
    uint64_t check;
    size_t size;

    a_full_life();
    ck_assert_int_eq(kernel_save(the_kernel(), &sink), 0);
    frame = f.data + SNAPSHOT_MAGIC_SIZE;
    size = frame[0] | (size_t)frame[1] << 8 | (size_t)frame[2] << 16;
    for (uint8_t version = 0; version < 4; version++) {
        frame[FRAME_HEAD] = version; /* the first number in it */
        check = frame_check(0, frame + FRAME_HEAD, size);
        for (unsigned i = 0; i < 8; i++)
            frame[4 + i] = (uint8_t)(check >> (8 * i));
        ck_assert_int_eq(try_load(&f, &plain),
                         version == SNAPSHOT_VERSION ? 0 : -ASUP_EUNSUPPORTED);
    }
    memory_file_fini(&f);

    ck_assert_int_eq(kernel_event_encode(&ev, &bytes), 0);
    bytes.data[0]++;
    check = hash_bytes(1, bytes.data, bytes.size - 4);
    check = (uint32_t)(check ^ check >> 32);
    for (unsigned i = 0; i < 4; i++)
        bytes.data[bytes.size - 4 + i] = (uint8_t)(check >> (8 * i));
    ck_assert_int_eq(kernel_event_decode((struct bytes){bytes.data, bytes.size}, &scratch, &ev),
                     -ASUP_EUNSUPPORTED);
    durable_buffer_fini(&bytes);
    durable_buffer_fini(&scratch);
}
END_TEST

/* Without memory it is refused too, and nothing leaks. */
START_TEST(a_snapshot_without_memory)
{
    struct memory_file f = {0};
    struct durable_sink sink = memory_sink(&f);
    long left = 0;
    struct kernel_allocator scarce = {.resize = plain_resize, .ctx = &left};
    int rc = -1;

    a_full_life();
    ck_assert_int_eq(kernel_save(the_kernel(), &sink), 0);
    for (long allowed = 0; rc != 0; allowed++) {
        left = allowed;
        rc = try_load(&f, &scarce);
        ck_assert(rc == 0 || rc == -ASUP_ENOMEM);
    }
    memory_file_fini(&f);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_EVT_1_every_kind_has_a_number),
    RULE(R_EVT_1_tables_cover_every_byte),
    RULE(a_forgotten_byte_is_found),
    RULE(R_EVT_1_older_is_read_newer_is_refused),
    RULE(R_EVT_1_a_corrupt_event_is_refused),
    RULE(R_EVT_1_a_snapshot_is_the_state),
    RULE(R_DUR_1_a_corrupt_snapshot_is_refused),
    RULE(R_EVT_1_another_version_is_refused),
    RULE(a_snapshot_without_memory),
};

RULES_MAIN("durable", rules, scenario_begin, scenario_end)
