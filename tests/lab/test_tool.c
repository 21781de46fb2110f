/* SPDX-License-Identifier: MIT */
/*
 * asupersync-lab on traces of scenarios: what it shows, and what it says of traces
 * that are not as they should be. The program's path is in ASUPERSYNC_LAB.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/scenario.h"
#include "lab/trace_file.h"

static char directory[64];
static char said[1 << 16]; /* by the last command, on stdout and stderr */
static struct trace_writer *writer;
static size_t written;
static size_t left_out = SIZE_MAX; /* index of an event that is not written */

static const char *const story =
    "shell starts; session s1; region r1; region r2; task t1 in r1 running; task t2 in r2 running;"
    "channel c1 in r2; p1 reserves c1 from s1; m1 sent into p1 from s1; a1 receives c1 from s1;"
    "a1 acked from s1; t1 exits 3; cancel r2 message stop; t2 exits 0; close r1; at 10s";

static void
set_up(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/asup-tool-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void
tear_down(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0); /* NOLINT: a path of our own */
    scenario_end();
}

static void
write_event(const struct event *ev)
{
    if (written++ != left_out)
        ck_assert_int_eq(trace_write_event(writer, ev), 0);
}

/* The story as a trace in that file. */
static void
save(const char *name, uint64_t id_first, const char *text)
{
    char path[128];

    scenario_end();
    scenario_begin();
    given_config()->id_first = id_first;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    writer = trace_create(path);
    ck_assert_ptr_nonnull(writer);
    written = 0;
    trace_meta_text(writer, "made-by", "lab");
    trace_meta_text(writer, "command", "story --replay one.trace");
    ck_assert_int_eq(trace_write_snapshot(writer, the_kernel()), 0);
    ck_assert_int_eq(trace_write_choice(writer, &(struct trace_choice){1, 0, 2}), 0);
    scenario_event_hook = write_event;
    given(text);
    scenario_event_hook = NULL;
    ck_assert_int_eq(trace_write_text(writer, 2, 1, "hello \x1b[31m"), 0);
    ck_assert_int_eq(trace_finish(writer), 0);
}

/* Run it in the directory; insists on the exit code. */
static void
lab(int code, const char *arguments)
{
    char command[512];
    FILE *out;
    size_t size;
    int status;

    (void)snprintf(command, sizeof command, "cd %s && %s %s 2>&1", directory,
                   getenv("ASUPERSYNC_LAB"), arguments);
    out = popen(command, "r"); /* NOLINT: a command of our own */
    ck_assert_ptr_nonnull(out);
    size = fread(said, 1, sizeof said - 1, out);
    said[size] = '\0';
    status = pclose(out);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "%s: status %d, not %d:\n%s",
                  arguments, status, code, said);
}

static void
says(const char *what)
{
    ck_assert_msg(strstr(said, what) != NULL, "\"%s\" is not in:\n%s", what, said);
}

static void
says_nothing_of(const char *what)
{
    ck_assert_msg(strstr(said, what) == NULL, "\"%s\" is in:\n%s", what, said);
}

/* Everything that happened, once, by its name; texts made harmless. */
START_TEST(show_tells_what_happened)
{
    save("one.trace", 2, story);
    lab(0, "show one.trace");
    says("# command: story --replay one.trace");
    says("region-opened");
    says("message-received");
    says("exit code 3");
    says("\"stop\"");
    says("t2: hello \\");
    says_nothing_of("\x1b");
    lab(0, "show --task t2 one.trace");
    says_nothing_of("message-sent");
    lab(0, "show --region r3 one.trace");
    says("message-sent");
    says_nothing_of("exit code 3");
    lab(0, "show --from 5 --to 6 --quiet one.trace");
    ck_assert_ptr_eq(strchr(strchr(said, '\n') + 1, '\n')[1] == '\0' ? said : NULL, said);
    lab(0, "show --json --task t2 one.trace");
    says("\"says\":\"hello \\u001B[31m\"");
    lab(0, "show --summary --json one.trace");
    says("\"choices\":1");
    says("\"potential\":0");
}
END_TEST

/* R-EVT-1: folded to an event, the state is as it was then. */
START_TEST(R_EVT_1_replay_shows_how_it_stood)
{
    save("one.trace", 2, story);
    lab(0, "replay --at -1 one.trace");
    says("# with the program itself: story --replay one.trace");
    says("V 0,");
    lab(0, "replay --at 0 one.trace");
    says_nothing_of("r2");
    lab(0, "replay --all one.trace");
    says("closed");
    lab(0, "replay --step one.trace");
    says("task created -> running");
    lab(0, "replay --json one.trace");
    says("\"command\":\"story --replay one.trace\"");
    lab(1, "replay one.trace /nowhere");
    lab(64, "replay --at soon one.trace");
}
END_TEST

/* A region is opened and closed, each a step. */
static void
save_steps(const char *name)
{
    struct input in = scenario_input(IN_REGION_OPEN);
    char path[128];
    struct step out;
    uint64_t made = 0;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    scenario_begin();
    writer = trace_create(path);
    ck_assert_ptr_nonnull(writer);
    ck_assert_int_eq(trace_write_snapshot(writer, the_kernel()), 0);
    in.region = ASUP_ROOT_ID;
    in.u.region_open = (struct region_params){
        .budget = {ASUP_NEVER, ASUP_NEVER, UINT32_MAX, UINT64_MAX, 0}, .drain_ns = ASUP_NEVER};
    for (int i = 0; i < 2; i++) {
        in.token = (uint64_t)i + 1;
        ck_assert_int_eq(kernel_step(the_kernel(), &in, &out), 0);
        for (size_t n = 0; n < out.effect_count; n++)
            made = out.effects[n].kind == FX_REPLY ? out.effects[n].made.id : made;
        for (size_t n = 0; n < out.event_count; n++)
            ck_assert_int_eq(trace_write_event(writer, &out.events[n]), 0);
        ck_assert_int_eq(trace_write_step(writer), 0);
        in = scenario_input(IN_REGION_END);
        in.region = made;
        in.u.end.drain_ns = ASUP_NEVER;
    }
    ck_assert_int_eq(trace_finish(writer), 0);
}

START_TEST(verify_is_content_with_what_a_kernel_wrote)
{
    save("one.trace", 2, story);
    lab(0, "verify --every one.trace");
    says("in order");
    lab(0, "verify --json one.trace");
    says("\"ok\":true");
    scenario_end();
    save_steps("two.trace");
    lab(0, "verify two.trace");
    says("judged by oracles");
    says_nothing_of(" 0 things judged");
}
END_TEST

/* Check sums are right, and yet something is missing: told, by whichever sees it. */
START_TEST(verify_finds_an_event_that_is_missing)
{
    left_out = 3;
    save("two.trace", 2, story);
    lab(1, "verify two.trace");
    says("event 5 stands behind event 3");
    lab(65, "replay two.trace"); /* what does not follow makes no crash */
    says("does not follow");
    lab(0, "replay --at 3 two.trace");
    left_out = SIZE_MAX;
}
END_TEST

/* R-EVT-3: modulo ids and the order of what is independent. */
START_TEST(R_EVT_3_diff_compares_stories)
{
    save("one.trace", 2, story);
    save("two.trace", 4711, story);
    lab(0, "diff one.trace two.trace");
    says("the same");
    save("two.trace", 2,
         "session s; region r1; region r2; task t1 in r1 running; t1 checkpoints; finish r2");
    save("one.trace", 2,
         "session s; region r1; region r2; task t1 in r1 running; finish r2; t1 checkpoints");
    lab(0, "diff one.trace two.trace");
    save("one.trace", 2,
         "session s; region r1; region r2; task t1 in r1 running; finish r1; t1 checkpoints");
    lab(1, "diff --context 1 one.trace two.trace");
    says("They part in step");
    says("> ");
    lab(1, "diff --json one.trace two.trace");
    says("\"same\":false");
    lab(0, "diff --json one.trace one.trace");
    says("\"same\":true");
}
END_TEST

START_TEST(what_is_asked_wrongly_is_told)
{
    save("one.trace", 2, "region r1");
    lab(64, "");
    lab(64, "shew one.trace");
    says("no such verb: shew");
    lab(64, "show");
    lab(64, "show one.trace two.trace");
    lab(64, "show --colour one.trace");
    says("no such option: --colour");
    lab(64, "show --from");
    lab(64, "show --from=x one.trace");
    lab(64, "show --task r1 one.trace");
    lab(64, "diff --exactly --loosely one.trace one.trace");
    lab(66, "show two.trace");
    lab(66, "show --json two.trace");
    says("\"exit\":66");
    lab(73, "show --perfetto nowhere/out.json one.trace");
    lab(64, "import out.trace");
    lab(0, "--version");
    lab(0, "help show");
    says("--perfetto");
    lab(0, "show --help");
    lab(0, "completion bash >lab.sh && bash -n lab.sh");
    lab(64, "completion tcsh");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tool");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, show_tells_what_happened);
    tcase_add_test(tcase, R_EVT_1_replay_shows_how_it_stood);
    tcase_add_test(tcase, verify_is_content_with_what_a_kernel_wrote);
    tcase_add_test(tcase, verify_finds_an_event_that_is_missing);
    tcase_add_test(tcase, R_EVT_3_diff_compares_stories);
    tcase_add_test(tcase, what_is_asked_wrongly_is_told);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
