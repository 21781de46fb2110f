/* SPDX-License-Identifier: MIT */
/* From the wire to JSON, to exit codes, to what people read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "render.h"
#include "rules.h"
#include "wire_json.h"

static const struct look plain = {.utf8 = true};
static const struct look ascii = {0};

static json_t *
json(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, 0, &error);

    ck_assert_msg(value != NULL, "%s: %s", text, error.text);
    return value;
}

/* ---- The wire ------------------------------------------------------------------ */

static void
expect_json(const void *bytes, size_t size, const char *text)
{
    json_t *value = wire_to_json(bytes, size);

    ck_assert_ptr_nonnull(value);
    char *dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    ck_assert_str_eq(dumped, text);
    free(dumped);
    json_decref(value);
}

#define EXPECT_JSON(bytes, text) expect_json(bytes, sizeof(bytes) - 1, text)

START_TEST(every_kind_of_value_becomes_json)
{
    EXPECT_JSON("\xc0", "null");
    EXPECT_JSON("\xc3", "true");
    EXPECT_JSON("\x05", "5");
    EXPECT_JSON("\xff", "-1");
    EXPECT_JSON("\xcd\x01\x00", "256");
    EXPECT_JSON("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", "9223372036854775807");
    EXPECT_JSON("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "null"); /* without end */
    EXPECT_JSON("\xd1\xff\x00", "-256");
    EXPECT_JSON("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", "1.5");
    EXPECT_JSON("\xa2hi", "\"hi\"");
    EXPECT_JSON("\xa3"
                "a\xff"
                "b",
                "\"a\xef\xbf\xbd"
                "b\"");
    EXPECT_JSON("\xc4\x02\x00\xff", "\"AP8=\"");
    EXPECT_JSON("\x92\x01\x80", "[1,{}]");
    EXPECT_JSON("\x81\xa1k\xd9\x01v", "{\"k\":\"v\"}");
}
END_TEST

START_TEST(what_is_no_single_value_is_refused)
{
    static const char *const broken[] = {
        "",    "\x01\x01", "\xa5hi", "\x92\x01", "\x81\x01\x01", "\xc1", "\xdd\xff\xff\xff\xff\x01",
        "\xd9"};
    static const size_t sizes[] = {0, 2, 3, 2, 3, 1, 6, 1};
    char deep[400];

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        ck_assert_msg(wire_to_json(broken[i], sizes[i]) == NULL, "%zu", i);
    memset(deep, 0x91, sizeof deep);
    ck_assert_ptr_null(wire_to_json(deep, sizeof deep));
    /* A tree as deep as the daemon allows is no trouble. */
    memset(deep, 0x91, 2 * 32 + 8);
    deep[2 * 32 + 8] = 0x01;
    json_t *value = wire_to_json(deep, 2 * 32 + 9);
    ck_assert_ptr_nonnull(value);
    json_decref(value);
}
END_TEST

START_TEST(requests_go_to_the_wire_and_back)
{
    static const unsigned char token[] = {0, 1, 255};
    json_t *args = json("{\"a\": [1, -2, 1.5, true, null], \"s\": \"x\", \"m\": {\"k\": 70000}}");
    size_t size;
    void *bytes;

    json_object_set_new(args, "t", json_wire_bytes(token, sizeof token));
    json_object_set_new(args, "e", json_wire_endless());
    json_object_set_new(args, "raw", json_string_nocheck("\xff"));
    bytes = json_to_wire(args, &size);
    expect_json(bytes, size,
                "{\"a\":[1,-2,1.5,true,null],\"e\":null,\"m\":{\"k\":70000},"
                "\"raw\":\"\xef\xbf\xbd\",\"s\":\"x\",\"t\":\"AAH/\"}");
    free(bytes);
    json_decref(args);
}
END_TEST

/* ---- Exit codes -------------------------------------------------------------------- */

static void
expect_exit(const char *outcome, int exit_code, const char *phrase)
{
    json_t *value = json(outcome);
    struct text t = {0};

    ck_assert_msg(outcome_exit_code(value) == exit_code, "%s: %d", outcome,
                  outcome_exit_code(value));
    render_outcome(&t, &plain, value);
    ck_assert_str_eq(t.data, phrase);
    text_free(&t);
    json_decref(value);
}

START_TEST(R_OUT_3_an_outcome_maps_to_an_exit_code)
{
    expect_exit("{\"outcome\": \"ok\", \"exit_code\": 0}", 0, "ok");
    expect_exit("{\"outcome\": \"err\", \"exit_code\": 3}", 3, "exit code 3");
    expect_exit("{\"outcome\": \"err\", \"exit_code\": null}", 1, "err");
    expect_exit("{\"outcome\": \"panicked\", \"signal\": 11}", 139, "SIGSEGV");
    expect_exit("{\"outcome\": \"panicked\", \"signal\": 9, \"forced\": true}", 137,
                "SIGKILL by the daemon");
    expect_exit("{\"outcome\": \"panicked\", \"signal\": 9, \"forced\": true, \"error\": "
                "{\"stage\": \"watchdog\", \"errno\": 0, \"message\": \"\"}}",
                137, "SIGKILL by the daemon (watchdog)");
    expect_exit("{\"outcome\": \"panicked\", \"exit_code\": null, \"signal\": null}", 70,
                "panicked");
    expect_exit("{\"outcome\": \"err\", \"exit_code\": null, \"error\": {\"stage\": \"exec\", "
                "\"errno\": 2, \"message\": \"No such file\"}}",
                127, "could not be started: No such file (exec)");
    expect_exit("{\"outcome\": \"err\", \"exit_code\": null, \"error\": {\"stage\": \"exec\", "
                "\"errno\": 13, \"message\": \"Permission denied\"}}",
                126, "could not be started: Permission denied (exec)");
    expect_exit("{\"outcome\": \"err\", \"exit_code\": null, \"error\": {\"stage\": \"chdir\", "
                "\"errno\": 2, \"message\": \"No such directory\"}}",
                126, "could not be started: No such directory (chdir)");
    expect_exit("{\"outcome\": \"err\", \"exit_code\": null, \"error\": {\"stage\": \"no-winner\", "
                "\"errno\": 0, \"message\": \"\"}}",
                1, "no-winner");
    expect_exit("{\"outcome\": \"of another version\"}", 70, "of another version");
}
END_TEST

START_TEST(R_OUT_3_a_cancelled_outcome_exits_by_its_root_cause)
{
    static const struct {
        const char *kind;
        int exit_code;
    } kinds[] = {{"timeout", 124},
                 {"deadline", 124},
                 {"poll-quota", 124},
                 {"cost-budget", 124},
                 {"user", 130},
                 {"fail-fast", 143},
                 {"race-lost", 143},
                 {"linked-exit", 143},
                 {"resource-unavailable", 143},
                 {"shutdown", 143},
                 {"parent-cancelled", 143},
                 {"of tomorrow", 143}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char outcome[300];
        char phrase[80];
        snprintf(outcome, sizeof outcome,
                 "{\"outcome\": \"cancelled\", \"exit_code\": 0, \"reason\": {\"kind\": "
                 "\"parent-cancelled\", \"message\": \"\", \"cause\": {\"kind\": \"%s\", "
                 "\"message\": \"m\", \"cause\": null}}}",
                 kinds[i].kind);
        snprintf(phrase, sizeof phrase, "cancelled (%s)", kinds[i].kind);
        expect_exit(outcome, kinds[i].exit_code, phrase);
    }
}
END_TEST

/* ---- What people read -------------------------------------------------------------------- */

static const char tree_body[] =
    "{\"id\": \"r1\", \"name\": \"/\", \"path\": \"/\", \"state\": \"open\", \"policy\": "
    "\"collect\", \"tasks_live\": 0, \"finalizers\": 0, \"tasks\": [], \"children\": [{\"id\": "
    "\"r2\", \"name\": \"shop\", \"path\": \"/shop\", \"state\": \"open\", \"policy\": "
    "\"fail-fast\", \"tasks_live\": 2, \"finalizers\": 1, \"drain_left_ns\": null, \"budget\": "
    "{\"limit_left_ns\": 60000000000, \"polls_left\": null, \"cost_left\": null}, \"tasks\": "
    "[{\"id\": \"t3\", \"state\": \"running\", \"pid\": 4711, \"ready\": false, \"age_ns\": "
    "12000000000, \"label\": \"python3 -m http.server\", \"outcome\": null, \"kill_left_ns\": "
    "null}, {\"id\": \"t4\", \"state\": \"cancelling\", \"pid\": 4713, \"age_ns\": 9000000000, "
    "\"label\": \"evil\\u001b[2J\", \"outcome\": null, \"kill_left_ns\": 4100000000}], "
    "\"children\": [{\"id\": \"r5\", \"name\": \"r5\", \"path\": \"/shop/r5\", \"state\": "
    "\"closed\", \"tasks\": [], \"children\": [], \"outcome\": {\"outcome\": \"ok\"}}]}]}";

START_TEST(the_tree_is_drawn)
{
    json_t *tree = json(tree_body);
    struct text t = {0};

    render_tree(&t, &plain, tree);
    ck_assert_str_eq(t.data, "/ open\n"
                             "└─ shop r2 open fail-fast · 2 tasks · 1 finalizer · 1m00s left\n"
                             "   ├─ t3 running, not ready 12s pid 4711  python3 -m http.server\n"
                             "   ├─ t4 cancelling 9.0s pid 4713 killed in 4.1s  evil\\x1b[2J\n"
                             "   └─ r5 closed ok\n");
    text_free(&t);
    render_tree(&t, &ascii, tree);
    for (size_t i = 0; i < t.size; i++)
        ck_assert_msg(t.data[i] == '\n' || (t.data[i] >= 0x20 && t.data[i] < 0x7f), "%s", t.data);
    text_free(&t);
    json_decref(tree);
}
END_TEST

START_TEST(what_drains_is_named_with_the_time_left)
{
    json_t *tree = json(tree_body);
    struct text t = {0};

    ck_assert_uint_eq(render_draining(&t, &plain, tree, 10), 2);
    ck_assert_ptr_nonnull(strstr(t.data, "t4 cancelling 9.0s pid 4713 killed in 4.1s"));
    text_free(&t);
    ck_assert_uint_eq(render_draining(&t, &plain, tree, 1), 2);
    ck_assert_ptr_nonnull(strstr(t.data, "and 1 more"));
    text_free(&t);
    json_decref(tree);
}
END_TEST

START_TEST(the_table_of_tasks_lines_up)
{
    json_t *tasks =
        json("[{\"id\": \"t3\", \"path\": \"/shop\", \"state\": \"running\", \"pid\": "
             "4711, \"age_ns\": 12000000000, \"budget\": {\"limit_left_ns\": "
             "3000000000}, \"label\": \"a b\"}, {\"id\": \"t1234\", \"path\": \"/\", "
             "\"state\": \"completed\", \"pid\": null, \"age_ns\": 1000000, "
             "\"outcome\": {\"outcome\": \"err\", \"exit_code\": 3}, \"label\": \"c\"}]");
    struct text t = {0};

    render_tasks(&t, &plain, tasks);
    ck_assert_str_eq(t.data, "ID     REGION  STATE        PID   AGE  LEFT  COMMAND\n"
                             "t3     /shop   running      4711  12s  3.0s  a b\n"
                             "t1234  /       exit code 3        1ms        c\n");
    text_free(&t);
    json_decref(tasks);
}
END_TEST

START_TEST(colours_only_where_asked_for)
{
    const struct look colored = {.utf8 = true, .color = true, .width = 30};
    json_t *tree = json(tree_body);
    struct text t = {0};

    render_tree(&t, &plain, tree);
    ck_assert_ptr_null(strchr(t.data, '\033'));
    text_free(&t);
    render_tree(&t, &colored, tree);
    ck_assert_ptr_nonnull(strchr(t.data, '\033'));
    for (const char *line = t.data; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        ck_assert_uint_le(text_columns(line, size), 30);
        line += size + 1;
    }
    text_free(&t);
    json_decref(tree);
}
END_TEST

START_TEST(why_is_a_chain)
{
    json_t *why = json(
        "{\"id\": \"r2\", \"state\": \"draining\", \"summary\": \"waits for t4\", \"chain\": "
        "[{\"id\": \"r2\", \"kind\": \"region\", \"state\": \"draining\", \"name\": \"/shop\", "
        "\"pid\": null, \"age_ns\": 1000000000, \"budget_left_ns\": null, \"note\": \"\"}, "
        "{\"id\": "
        "\"t4\", \"kind\": \"task\", \"state\": \"cancelling\", \"name\": \"./worker\", \"pid\": "
        "4713, \"age_ns\": 9000000000, \"budget_left_ns\": 4100000000, \"note\": \"was sent "
        "SIGTERM\"}, {\"id\": 4714, \"kind\": \"process\", \"state\": \"running\", \"name\": "
        "\"sh\", \"pid\": 4714, \"age_ns\": 8000000000, \"note\": \"sleeping\"}], "
        "\"trouble\": [{\"name\": \"RegionCloseTimeout\", \"id\": \"r2\", "
        "\"message\": \"cannot be killed\"}]}");
    struct text t = {0};

    render_why(&t, &plain, why);
    ck_assert_str_eq(t.data, "waits for t4\n"
                             "└─ region r2 /shop draining age 1.0s\n"
                             "  └─ task t4 ./worker cancelling pid 4713 age 9.0s left 4.1s: was "
                             "sent SIGTERM\n"
                             "    └─ process 4714 sh running age 8.0s: sleeping\n"
                             "RegionCloseTimeout r2: cannot be killed\n");
    text_free(&t);
    json_decref(why);
}
END_TEST

START_TEST(details_name_the_reason_down_to_its_root)
{
    json_t *task = json(
        "{\"id\": \"t4\", \"region\": \"r2\", \"path\": \"/shop\", \"label\": \"./worker\", "
        "\"state\": \"completed\", \"age_ns\": 5, \"outcome\": {\"outcome\": \"cancelled\", "
        "\"forced\": true, \"signal\": 9, \"memory_peak_bytes\": 1572864, \"reason\": {\"kind\": "
        "\"parent-cancelled\", \"origin\": \"r2\", \"message\": \"\", \"cause\": {\"kind\": "
        "\"timeout\", \"origin\": \"r1\", \"message\": \"too slow\"}}}}");
    struct text t = {0};

    render_task(&t, &plain, task);
    ck_assert_ptr_nonnull(strstr(t.data, "cancelled (timeout), killed; exit code 124"));
    ck_assert_ptr_nonnull(
        strstr(t.data, "parent-cancelled at r2, because of timeout at r1 \"too slow\""));
    ck_assert_ptr_nonnull(strstr(t.data, "1.5 MiB"));
    text_free(&t);
    json_decref(task);
}
END_TEST

/* A listing must stand whatever an answer lacks. */
START_TEST(an_empty_answer_breaks_nothing)
{
    json_t *empty = json_object();
    json_t *list = json("[{}, 5, null]");
    struct text t = {0};

    render_tree(&t, &plain, empty);
    render_task(&t, &plain, empty);
    render_region(&t, &plain, empty);
    render_why(&t, &plain, empty);
    render_status(&t, &plain, empty);
    render_event(&t, &plain, empty);
    render_outcome(&t, &plain, empty);
    render_tasks(&t, &plain, list);
    (void)render_draining(&t, &plain, empty, 3);
    ck_assert_uint_gt(t.size, 0);
    ck_assert_int_eq(outcome_exit_code(empty), 70);
    text_free(&t);
    json_decref(empty);
    json_decref(list);
}
END_TEST

static const struct rule rules[] = {
    RULE(every_kind_of_value_becomes_json),
    RULE(what_is_no_single_value_is_refused),
    RULE(requests_go_to_the_wire_and_back),
    RULE(R_OUT_3_an_outcome_maps_to_an_exit_code),
    RULE(R_OUT_3_a_cancelled_outcome_exits_by_its_root_cause),
    RULE(the_tree_is_drawn),
    RULE(what_drains_is_named_with_the_time_left),
    RULE(the_table_of_tasks_lines_up),
    RULE(colours_only_where_asked_for),
    RULE(why_is_a_chain),
    RULE(details_name_the_reason_down_to_its_root),
    RULE(an_empty_answer_breaks_nothing),
};

RULES_MAIN("answers", rules, NULL, NULL)
