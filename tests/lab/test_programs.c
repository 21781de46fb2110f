/* SPDX-License-Identifier: MIT */
/* Programs in the lab: what is wrong with them is found, named and repeated. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asupersync/lab.h"
#include "asupersync/runtime.h"
#include "cx/fiber_internal.h"
#include "rules.h"

/* ---- Helpers ------------------------------------------------------------------------ */

static struct asup_lab *lab;
static struct asup_lab_report report;

static void
lab_end(void)
{
    asup_lab_free(lab);
    lab = NULL;
}

static int
run_with(const struct asup_lab_config *config, asup_body body, void *arg)
{
    lab_end();
    lab = asup_lab_new(config);
    ck_assert_ptr_nonnull(lab);
    return asup_lab_run(lab, body, arg, &report);
}

static int
run_seed(uint64_t seed, asup_body body, void *arg)
{
    struct asup_lab_config config;

    asup_lab_config_init(&config, seed);
    return run_with(&config, body, arg);
}

#define WELL(call)                                                                                 \
    do {                                                                                           \
        int well_rc = (call);                                                                      \
        ck_assert_msg(well_rc == 0, "%d: %s", well_rc, report.failure ? report.failure : "");      \
    } while (0)

static void
complains(enum asup_oracle oracle, const char *of)
{
    const char *said = asup_lab_complaint(lab, oracle);

    ck_assert_msg(said != NULL, "%s said nothing; %s", asup_oracle_name(oracle),
                  report.failure ? report.failure : "all was well");
    ck_assert_msg(strstr(said, of) != NULL, "'%s' says nothing of '%s'", said, of);
}

static void
fails(const char *of)
{
    ck_assert(!report.ok);
    ck_assert_ptr_nonnull(report.failure);
    ck_assert_msg(strstr(report.failure, of) != NULL, "'%s' says nothing of '%s'", report.failure,
                  of);
}

/* ---- A program that is right ------------------------------------------------------------ */

struct post {
    struct asup_cx *cx; /* of the channel's region */
    struct asup_channel channel;
    int sent, received;
};

enum { LETTERS = 8 };

static int
writer(struct asup_cx *cx, void *arg)
{
    struct post *post = arg;
    int rc = 0;

    for (int i = 0; rc == 0 && i < LETTERS; i++) {
        struct asup_permit *permit = asup_cx_reserve(post->cx, post->channel, ASUP_NEVER, &rc);

        if (permit == NULL)
            break;
        rc = asup_cx_sleep(cx, asup_cx_random_u64(cx) % (50 * ASUP_NS_PER_MS));
        if (rc != 0) {
            asup_permit_abort(permit);
            break;
        }
        rc = asup_permit_send(permit, &i, sizeof i);
        post->sent += rc == 0;
    }
    return rc;
}

static int
reader(struct asup_cx *cx, void *arg)
{
    struct post *post = arg;
    int rc;

    (void)cx;
    for (;;) {
        struct asup_delivery *letter = asup_cx_receive(post->cx, post->channel, ASUP_NEVER, &rc);

        if (letter == NULL)
            return rc == -ASUP_EENDED ? 0 : rc;
        post->received++;
        ASUP_TRY(asup_ack_commit(letter));
    }
}

static int
writers(struct asup_cx *cx, void *arg)
{
    const struct asup_branch both[] = {{writer, arg, "first"}, {writer, arg, "second"}};
    struct post *post = arg;
    int rc = asup_cx_all(cx, both, 2, true, NULL);
    int sealed = asup_cx_channel_seal(post->cx, post->channel);

    return rc != 0 ? rc : sealed;
}

static int
exchange(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits limits = {2, ASUP_NEVER, ASUP_NEVER, 0};
    const struct asup_branch all[] = {{writers, arg, "writers"}, {reader, arg, "reader"}};
    struct post *post = arg;

    *post = (struct post){.cx = cx};
    ASUP_TRY(asup_cx_channel_open(cx, "letters", &limits, &post->channel));
    return asup_cx_all(cx, all, 2, true, NULL);
}

/* Within a time: one side may have been cancelled alone, and the other waits for it then. */
static int
post_office(struct asup_cx *cx, void *arg)
{
    return asup_cx_timeout(cx, 1800 * ASUP_NS_PER_S, exchange, arg, NULL);
}

START_TEST(R_EVT_4_one_seed_is_one_run)
{
    uint64_t digest, other;
    struct post post;

    WELL(run_seed(7, post_office, &post));
    ck_assert_int_eq(post.received, 2 * LETTERS);
    digest = report.digest;
    WELL(run_seed(7, post_office, &post));
    ck_assert_uint_eq(report.digest, digest);
    WELL(run_seed(8, post_office, &post));
    other = report.digest;
    ck_assert_uint_ne(other, digest);
    lab_end();
}
END_TEST

START_TEST(R_EVT_4_entropy_is_a_seed_of_its_own)
{
    struct asup_lab_config config;
    struct post post;
    uint64_t digest;

    asup_lab_config_init(&config, 7);
    config.entropy_seed = 1;
    WELL(run_with(&config, post_office, &post));
    digest = report.digest;
    config.entropy_seed = 2;
    WELL(run_with(&config, post_office, &post));
    ck_assert_uint_ne(report.digest, digest);
    lab_end();
}
END_TEST

static int
sleeper(struct asup_cx *cx, void *arg)
{
    (void)arg;
    for (int hour = 0; hour < 7 * 24; hour++)
        ASUP_TRY(asup_cx_sleep(cx, 3600 * ASUP_NS_PER_S));
    return 0;
}

START_TEST(a_week_of_sleep_takes_no_time)
{
    WELL(run_seed(1, sleeper, NULL));
    ck_assert_uint_ge(report.elapsed, 7 * 24 * 3600 * ASUP_NS_PER_S);
    lab_end();
}
END_TEST

/* ---- Cancels ----------------------------------------------------------------------------- */

START_TEST(R_CAN_1_a_right_program_survives_a_cancel_anywhere)
{
    struct asup_lab_config config;
    struct post post;

    asup_lab_config_init(&config, 1);
    config.inject = ASUP_INJECT_EVERY;
    lab = asup_lab_new(&config);
    WELL(asup_lab_explore(lab, 2, post_office, &post, &report));
    lab_end();
}
END_TEST

enum { CHECKPOINTS = 10 };

/* Goes on whatever it is told, so that every checkpoint is there. */
static int
deaf(struct asup_cx *cx, void *arg)
{
    int *cancels = arg;

    *cancels = 0;
    for (int i = 0; i < CHECKPOINTS; i++)
        *cancels += asup_cx_checkpoint(cx) == -ASUP_ECANCELLED;
    return 0;
}

START_TEST(each_way_to_inject_cancels)
{
    static const struct {
        enum asup_inject inject;
        uint32_t n;
        uint64_t injected;
        int told; /* from the first one on */
    } ways[] = {
        {ASUP_INJECT_NEVER, 0, 0, 0},
        {ASUP_INJECT_EVERY, 0, CHECKPOINTS, CHECKPOINTS},
        {ASUP_INJECT_AT, 3, 1, CHECKPOINTS - 2},
        {ASUP_INJECT_RANDOM, 1, CHECKPOINTS, CHECKPOINTS},
        {ASUP_INJECT_FIRST, 2, 2, CHECKPOINTS},
        {ASUP_INJECT_LAST, 2, 2, 2},
        {ASUP_INJECT_NTH, 5, 2, CHECKPOINTS - 4},
    };
    struct asup_lab_config config;
    int cancels;

    asup_lab_config_init(&config, 3);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        config.inject = ways[i].inject;
        config.inject_n = ways[i].n;
        WELL(run_with(&config, deaf, &cancels));
        ck_assert_uint_eq(report.injected, ways[i].injected);
        ck_assert_int_eq(cancels, ways[i].told);
        ck_assert_int_eq(report.result, ways[i].injected > 0 ? -ASUP_ECANCELLED : 0);
    }
    config.inject = ASUP_INJECT_RANDOM;
    config.inject_n = 0;
    ck_assert_ptr_null(asup_lab_new(&config));
    lab_end();
}
END_TEST

/* Every fault happens in some of these worlds, and a right program is right in all of them. */
START_TEST(swarms_of_faults)
{
    static const char *const kinds[] = {"no-memory", "busy", "slow", "jump", "kill"};
    struct asup_lab_config config;
    uint64_t faults = 0, injected = 0;
    struct post post;

    asup_lab_config_init(&config, 0);
    config.swarm = true;
    lab = asup_lab_new(&config);
    for (uint64_t seed = 1; seed <= 300; seed++) {
        config.seed = config.entropy_seed = seed;
        WELL(run_with(&config, post_office, &post));
        faults += report.faults;
        injected += report.injected;
    }
    ck_assert_uint_gt(faults, 0);
    ck_assert_uint_gt(injected, 0);
    config.swarm = false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        memset(&config.faults, 0, sizeof config.faults);
        config.faults.no_memory = i == 0 ? 8192 : 0;
        config.faults.busy = i == 1 ? 8192 : 0;
        config.faults.slow = i == 2 ? 8192 : 0;
        config.faults.clock_jump = i == 3 ? 32768 : 0;
        config.faults.clock_jump_ns = ASUP_NS_PER_S;
        config.faults.kill = i == 4 ? 4096 : 0;
        faults = 0;
        for (config.seed = 1; config.seed <= 20; config.seed++) {
            WELL(run_with(&config, post_office, &post));
            faults += report.faults;
        }
        ck_assert_msg(faults > 0, "%s never happened", kinds[i]);
    }
    lab_end();
}
END_TEST

/* ---- Programs that are wrong ---------------------------------------------------------------- */

static int
loses_its_permit(struct asup_cx *cx, void *arg)
{
    struct asup_channel channel;
    struct asup_permit *permit;
    int rc;

    (void)arg;
    ASUP_TRY(asup_cx_channel_open(cx, NULL, NULL, &channel));
    permit = asup_cx_reserve(cx, channel, ASUP_NEVER, &rc);
    if (permit == NULL)
        return rc;
    ASUP_TRY(asup_cx_sleep(cx, ASUP_NS_PER_S)); /* here it is lost */
    return asup_permit_send(permit, "a", 1);
}

START_TEST(R_OBL_3_a_permit_lost_on_cancellation_is_found)
{
    struct asup_lab_config config;

    WELL(run_seed(1, loses_its_permit, NULL));
    asup_lab_config_init(&config, 1);
    config.inject = ASUP_INJECT_EVERY;
    lab_end();
    lab = asup_lab_new(&config);
    ck_assert_int_eq(asup_lab_explore(lab, 1, loses_its_permit, NULL, &report), -ASUP_EPANICKED);
    complains(ASUP_ORACLE_OBLIGATION_LEAK, "o");
    ck_assert(!asup_lab_ok(lab, ASUP_ORACLE_OBLIGATION_LEAK));
    ck_assert(asup_lab_ok(lab, ASUP_ORACLE_TASK_LEAK));
    config.inject = ASUP_INJECT_FIRST;
    config.inject_n = 1000;
    config.panic_on_obligation_leak = false;
    WELL(run_with(&config, loses_its_permit, NULL));
    lab_end();
}
END_TEST

static struct asup_permit *volatile again;

static int
resolves_twice(struct asup_cx *cx, void *arg)
{
    struct asup_channel channel;
    struct asup_permit *permit;
    int rc;

    (void)arg;
    ASUP_TRY(asup_cx_channel_open(cx, NULL, NULL, &channel));
    permit = asup_cx_reserve(cx, channel, 0, &rc);
    if (permit == NULL)
        return rc;
    again = permit; /* the compiler would know */
    asup_permit_abort(permit);
    return asup_permit_send(again, "a", 1);
}

START_TEST(R_OBL_1_resolving_twice_is_an_error)
{
    ck_assert_int_eq(run_seed(1, resolves_twice, NULL), 0);
    ck_assert_int_eq(report.result, -ASUP_ERESOLVED);
    lab_end();
}
END_TEST

static struct asup_cx *stale;

static int
uses_a_closed_scope(struct asup_cx *cx, void *arg)
{
    int rc;

    (void)arg;
    stale = asup_cx_scope_open(cx, NULL, &rc);
    if (stale == NULL)
        return rc;
    ASUP_TRY(asup_cx_scope_join(stale, NULL));
    rc = asup_cx_spawn(stale, sleeper, NULL, NULL);
    return rc == 0 ? 1 : rc;
}

START_TEST(R_CAP_1_a_cx_of_a_closed_region_is_dead)
{
    ck_assert_int_eq(run_seed(1, uses_a_closed_scope, NULL), 0);
    ck_assert_int_eq(report.result, -ASUP_EEXPIRED);
    lab_end();
}
END_TEST

static int
never_ends(struct asup_cx *cx, void *arg)
{
    int rc = 0;

    while (arg == NULL || rc != 0)
        rc = asup_cx_checkpoint(cx); /* deaf */
    return rc;
}

static int
spawns_one_that_never_ends(struct asup_cx *cx, void *arg)
{
    struct asup_spawn_options options;

    asup_spawn_options_init(&options);
    options.label = "endless";
    ASUP_TRY(asup_cx_spawn_with(cx, &options, never_ends, arg, NULL));
    return 0;
}

START_TEST(too_many_steps_are_named)
{
    struct asup_lab_config config;

    asup_lab_config_init(&config, 1);
    config.max_steps = 5000;
    ck_assert_int_eq(run_with(&config, spawns_one_that_never_ends, NULL), -ASUP_EPANICKED);
    fails("endless");
    fails("5000 steps");
    lab_end();
}
END_TEST

static int
spins(struct asup_cx *cx, void *arg)
{
    volatile uint64_t *turns = arg;

    (void)cx;
    while (*turns < UINT64_MAX)
        ++*turns;
    return 0;
}

START_TEST(a_task_that_never_gives_way_is_named)
{
    static uint64_t turns;
    struct asup_lab_config config;
    char said[256] = "";
    int to[2], status;
    pid_t child;

    ck_assert_int_eq(pipe(to), 0);
    child = fork();
    if (child == 0) {
        (void)dup2(to[1], STDERR_FILENO);
        asup_lab_config_init(&config, 99);
        config.hang_cpu_ms = 200;
        (void)run_with(&config, spins, &turns);
        _exit(1);
    }
    (void)close(to[1]);
    ck_assert_int_gt(read(to[0], said, sizeof said - 1), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 70);
    ck_assert_ptr_nonnull(strstr(said, "without a checkpoint"));
    ck_assert_ptr_nonnull(strstr(said, "seed 99"));
    (void)close(to[0]);
}
END_TEST

static int
waits_for_itself(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits one = {1, ASUP_NEVER, ASUP_NEVER, 0};
    struct asup_permit *first, *second;
    struct asup_channel channel;
    int rc;

    (void)arg;
    ASUP_TRY(asup_cx_channel_open(cx, NULL, &one, &channel));
    first = asup_cx_reserve(cx, channel, ASUP_NEVER, &rc);
    second = asup_cx_reserve(cx, channel, ASUP_NEVER, &rc); /* the only slot is its own */
    asup_permit_abort(second);
    asup_permit_abort(first);
    return rc;
}

START_TEST(R_OBL_6_who_waits_for_itself_is_a_futurelock)
{
    ck_assert_int_eq(run_seed(1, waits_for_itself, NULL), -ASUP_EPANICKED);
    complains(ASUP_ORACLE_FUTURELOCK, "holds o");
    lab_end();
}
END_TEST

static int
waits_for_ever(struct asup_cx *cx, void *arg)
{
    struct asup_channel channel;
    int rc;

    (void)arg;
    ASUP_TRY(asup_cx_channel_open(cx, NULL, NULL, &channel));
    (void)!asup_cx_receive(cx, channel, ASUP_NEVER, &rc);
    return rc;
}

START_TEST(a_deadlock_is_named)
{
    ck_assert_int_eq(run_seed(1, waits_for_ever, NULL), -ASUP_EPANICKED);
    fails("deadlock");
    fails("waits for c");
    lab_end();
}
END_TEST

/* Not a tail call, and not the same frame. */
static int __attribute__((noinline)) deeper(volatile char *above)
{
    volatile char here[512];

    for (size_t i = 0; i < sizeof here; i++)
        here[i] = 1;
    return above == here ? 0 : deeper(here) + here[5];
}

static int
overflows(struct asup_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return deeper(NULL);
}

static int
outlives_an_overflow(struct asup_cx *cx, void *arg)
{
    struct asup_outcome out;
    struct asup_task task;

    ASUP_TRY(asup_cx_spawn(cx, overflows, arg, &task));
    ASUP_TRY(asup_cx_join(cx, task, &out));
    return out.key.severity == ASUP_PANICKED ? 0 : 1;
}

START_TEST(R_OUT_3_an_overflow_is_a_panic)
{
    (void)run_seed(1, outlives_an_overflow, NULL);
    ck_assert_int_eq(report.result, -ASUP_EPANICKED); /* its region's */
    lab_end();
}
END_TEST

/* ---- Round the Cx
 * -------------------------------------------------------------------------------- */

static int
goes_round(struct asup_cx *cx, void *arg)
{
    struct timespec moment = {0, 1}, now;
    unsigned char bytes[4];

    (void)cx;
    switch (*(int *)arg) {
    case 0:
        return clock_gettime(CLOCK_MONOTONIC, &now);
    case 1:
        return time(NULL) == 0;
    case 2:
        return nanosleep(&moment, NULL);
    case 3:
        return rand() < 0; // NOLINT
    case 4:
        return getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes;
    default:
        return usleep(1);
    }
}

START_TEST(R_CAP_1_what_goes_round_the_cx_is_caught)
{
    static const char *const calls[] = {"clock_gettime", "time()",    "nanosleep",
                                        "rand()",        "getrandom", "usleep"};

#if defined(FIBER_ASAN) || defined(FIBER_TSAN)
    const int first = 1; /* sanitizers ask for the time themselves */
#else
    const int first = 0;
#endif

    for (int i = first; i < 6; i++) {
        ck_assert_int_eq(run_seed(1, goes_round, &i), -ASUP_EPANICKED);
        complains(ASUP_ORACLE_NO_AMBIENT_AUTHORITY, calls[i]);
        ck_assert_int_eq(report.result, 0); /* the call did what it does */
    }
    lab_end();
    ck_assert_int_ne(time(NULL), 0); /* outside nothing is said */
}
END_TEST

static int
polls(struct asup_cx *cx, void *arg)
{
    short events;

    (void)arg;
    return asup_cx_poll(cx, STDIN_FILENO, 1, 0, &events);
}

START_TEST(R_EVT_4_descriptors_are_not_for_the_lab)
{
    WELL(run_seed(1, polls, NULL));
    ck_assert_int_eq(report.result, -ASUP_EUNSUPPORTED);
    lab_end();
}
END_TEST

/* ---- Replay
 * ------------------------------------------------------------------------------------------ */

static char path[] = "/tmp/asup-lab-trace.XXXXXX";

static void
path_make(void)
{
    int fd;

    for (size_t i = strlen(path) - 6; path[i] != '\0'; i++)
        path[i] = 'X';
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

START_TEST(R_EVT_1_a_trace_is_replayed)
{
    struct asup_lab_config config;
    struct post post;
    uint64_t digest;

    path_make();
    for (uint64_t seed = 1; seed <= 30; seed++) {
        asup_lab_config_init(&config, seed);
        config.swarm = true;
        WELL(run_with(&config, post_office, &post));
        digest = report.digest;
        ck_assert_int_eq(asup_lab_trace_save(lab, path), 0);
        /* With another seed of its own: what the trace says goes. */
        asup_lab_config_init(&config, seed + 1000);
        lab_end();
        lab = asup_lab_new(&config);
        WELL(asup_lab_replay(lab, path, post_office, &post, &report));
        ck_assert_uint_eq(report.digest, digest);
    }
    lab_end();
    (void)unlink(path);
}
END_TEST

START_TEST(R_EVT_3_another_way_is_said_where)
{
    struct asup_lab_config config;
    struct post post;

    path_make();
    asup_lab_config_init(&config, 1);
    WELL(run_with(&config, post_office, &post));
    ck_assert_int_eq(asup_lab_trace_save(lab, path), 0);
    ck_assert_int_eq(asup_lab_replay(lab, path, sleeper, NULL, &report), -ASUP_ECONFLICT);
    ck_assert_ptr_nonnull(strstr(report.failure, "in the trace"));
    lab_end();
    config.program = "another";
    lab = asup_lab_new(&config);
    ck_assert_int_eq(asup_lab_replay(lab, path, post_office, &post, &report), -ASUP_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(report.failure, "another"));
    lab_end();
    (void)unlink(path);
}
END_TEST

START_TEST(traces_that_are_none)
{
    struct asup_lab_config config;
    struct post post;
    FILE *file;
    long size;

    path_make();
    asup_lab_config_init(&config, 1);
    WELL(run_with(&config, post_office, &post));
    ck_assert_int_eq(asup_lab_trace_save(lab, path), 0);
    file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    (void)fseek(file, 0, SEEK_END);
    size = ftell(file);
    ck_assert_int_eq(ftruncate(fileno(file), size - 5), 0);
    (void)fclose(file);
    ck_assert_int_eq(asup_lab_replay(lab, path, post_office, &post, &report), -ASUP_EMALFORMED);
    ck_assert_ptr_nonnull(report.failure);
    file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    (void)fseek(file, size / 2, SEEK_SET);
    (void)fputs("damage", file);
    (void)fclose(file);
    ck_assert_int_eq(asup_lab_replay(lab, path, post_office, &post, &report), -ASUP_EMALFORMED);
    (void)unlink(path);
    ck_assert_int_eq(asup_lab_replay(lab, path, post_office, &post, &report), -ASUP_EUNAVAILABLE);
    lab_end();
}
END_TEST

START_TEST(R_EVT_4_twice_is_checked)
{
    struct asup_lab_config config;
    static int runs;
    struct post post;

    asup_lab_config_init(&config, 1);
    config.check_determinism = true;
    WELL(run_with(&config, post_office, &post));
    (void)runs;
    lab_end();
}
END_TEST

/* One that remembers what happened in an earlier run. */
static int
differs_each_time(struct asup_cx *cx, void *arg)
{
    return asup_cx_sleep(cx, (uint64_t)++ * (int *)arg);
}

START_TEST(R_EVT_4_what_differs_from_run_to_run_is_caught)
{
    struct asup_lab_config config;
    int runs = 0;

    asup_lab_config_init(&config, 1);
    config.check_determinism = true;
    ck_assert_int_eq(run_with(&config, differs_each_time, &runs), -ASUP_EPANICKED);
    ck_assert(!asup_lab_ok(lab, ASUP_ORACLE_DETERMINISM));
    lab_end();
}
END_TEST

static const struct rule rules[] = {
    RULE(R_EVT_4_one_seed_is_one_run),
    RULE(R_EVT_4_entropy_is_a_seed_of_its_own),
    RULE(a_week_of_sleep_takes_no_time),
    RULE(R_CAN_1_a_right_program_survives_a_cancel_anywhere),
    RULE(each_way_to_inject_cancels),
    RULE(swarms_of_faults),
    RULE(R_OBL_3_a_permit_lost_on_cancellation_is_found),
    RULE(R_OBL_1_resolving_twice_is_an_error),
    RULE(R_CAP_1_a_cx_of_a_closed_region_is_dead),
    RULE(too_many_steps_are_named),
    RULE(a_task_that_never_gives_way_is_named),
    RULE(R_OBL_6_who_waits_for_itself_is_a_futurelock),
    RULE(a_deadlock_is_named),
    RULE(R_OUT_3_an_overflow_is_a_panic),
    RULE(R_CAP_1_what_goes_round_the_cx_is_caught),
    RULE(R_EVT_4_descriptors_are_not_for_the_lab),
    RULE(R_EVT_1_a_trace_is_replayed),
    RULE(R_EVT_3_another_way_is_said_where),
    RULE(traces_that_are_none),
    RULE(R_EVT_4_twice_is_checked),
    RULE(R_EVT_4_what_differs_from_run_to_run_is_caught),
};

RULES_MAIN("lab programs", rules, NULL, NULL)
