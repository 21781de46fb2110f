/* SPDX-License-Identifier: MIT */
/* given, when, expect: running statements and comparing traces. */
#include "scenario_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void
statements_run(const char *file, int line, const char *text)
{
    char copy[4096];
    char *rest = copy;

    S.file = file;
    S.line = line;
    if (strlen(text) >= sizeof copy)
        scenario_fail("too much at once");
    memcpy(copy, text, strlen(text) + 1);
    (void)the_kernel();
    while (rest != NULL) {
        char *statement = strsep(&rest, ";");

        statement_run(statement);
    }
}

void
scenario_given(const char *file, int line, const char *text)
{
    statements_run(file, line, text);
    trace_forget();
}

void
scenario_when(const char *file, int line, const char *text)
{
    statements_run(file, line, text);
}

/* The replay line of a failure: the program and the case. */
static void
say_replay(void)
{
    fprintf(stderr, "replay: CK_RUN_CASE=%s %s\n", tcase_name(), program_invocation_name);
}

void
scenario_expect(const char *file, int line, const char *text)
{
    size_t length = strlen(text);
    bool same;

    while (length > 0 && text[length - 1] == '\n')
        length--;
    same = S.trace_length == (length == 0 ? 0 : length + 1) && memcmp(S.trace, text, length) == 0;
    if (!same) {
        say_replay();
        _ck_assert_failed(file, line, "trace",
                          "expected:\n%.1500s\n----- but it was:\n%.2000s-----", text, S.trace);
    }
    trace_forget();
}

static bool
trace_has(const char *text, bool whole_line)
{
    size_t length = strlen(text);

    for (const char *at = S.trace; *at != '\0';) {
        const char *end = strchr(at, '\n');

        if (strncmp(at, text, length) == 0 && (!whole_line || at + length == end))
            return true;
        at = end + 1;
    }
    return false;
}

void
scenario_expect_line(const char *file, int line, const char *text)
{
    if (trace_has(text, true))
        return;
    say_replay();
    _ck_assert_failed(file, line, "trace", "no line \"%s\" in:\n%.3000s", text, S.trace);
}

void
scenario_expect_none(const char *file, int line, const char *text)
{
    if (!trace_has(text, false))
        return;
    say_replay();
    _ck_assert_failed(file, line, "trace", "a line begins with \"%s\" in:\n%.3000s", text, S.trace);
}
