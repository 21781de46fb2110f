/* SPDX-License-Identifier: MIT */
/* The command line: what is understood, and what is said when it is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "rules.h"
#include "target.h"

/* Arguments by words, which hold no spaces. */
struct line {
    struct args args;
    struct usage_error error;
    char *argv[32];
    char copy[512];
    int rc;
};

static void
parse(struct line *line, const char *words)
{
    int argc = 0;
    char *rest = NULL;

    memset(line, 0, sizeof *line);
    snprintf(line->copy, sizeof line->copy, "asupersyncctl %s", words);
    for (char *word = strtok_r(line->copy, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest))
        line->argv[argc++] = word;
    line->rc = args_parse(&line->args, argc, line->argv, &line->error);
}

static void
done(struct line *line)
{
    args_free(&line->args);
    text_free(&line->error.message);
    text_free(&line->error.hint);
}

static void
expect_error(const char *words, const char *message, const char *hint)
{
    struct line line;

    parse(&line, words);
    ck_assert_msg(line.rc == -1, "%s", words);
    ck_assert_msg(strstr(line.error.message.data, message) != NULL, "%s: %s", words,
                  line.error.message.data);
    if (hint != NULL)
        ck_assert_msg(line.error.hint.data != NULL && strstr(line.error.hint.data, hint) != NULL,
                      "%s: %s", words, line.error.hint.data);
    done(&line);
}

START_TEST(options_end_where_the_command_begins)
{
    struct line line;

    parse(&line, "run --timeout 3s -e A=1 --env B=2 make -j8 --timeout 9s");
    ck_assert_int_eq(line.rc, 0);
    ck_assert_str_eq(args_value(&line.args, OPTION_TIMEOUT), "3s");
    ck_assert_str_eq(args_value(&line.args, OPTION_ENV), "B=2");
    ck_assert_uint_eq(line.args.count, 3);
    ck_assert_str_eq(line.args.command[0], "make");
    ck_assert_str_eq(line.args.command[3], "9s");
    ck_assert_ptr_null(line.args.command[4]);
    done(&line);
    parse(&line, "--json run -- --strange -x");
    ck_assert_int_eq(line.rc, 0);
    ck_assert(args_have(&line.args, OPTION_JSON));
    ck_assert_str_eq(line.args.command[0], "--strange");
    done(&line);
}
END_TEST

START_TEST(defer_takes_options_on_both_sides_of_its_region)
{
    struct line line;

    parse(&line, "defer --json r3 --timeout 5s -- rm -f x");
    ck_assert_int_eq(line.rc, 0);
    ck_assert_str_eq(line.args.operands[0], "r3");
    ck_assert_int_eq(line.args.operand_count, 1);
    ck_assert_str_eq(args_value(&line.args, OPTION_TIMEOUT), "5s");
    ck_assert_str_eq(line.args.command[0], "rm");
    ck_assert_str_eq(line.args.command[1], "-f");
    done(&line);
}
END_TEST

START_TEST(a_region_before_the_dashes_is_where_the_command_goes)
{
    struct line line;

    parse(&line, "submit r3 -- echo x");
    ck_assert_int_eq(line.rc, 0);
    ck_assert_str_eq(args_value(&line.args, OPTION_IN), "r3");
    ck_assert_str_eq(line.args.command[0], "echo");
    done(&line);
    parse(&line, "run --json /no/such/program -- echo x");
    ck_assert_str_eq(args_value(&line.args, OPTION_IN), "/no/such/program");
    done(&line);
    /* A program that is there, or a word that is no region, is the command. */
    parse(&line, "run /bin/sh -- x");
    ck_assert(!args_have(&line.args, OPTION_IN));
    ck_assert_str_eq(line.args.command[0], "/bin/sh");
    done(&line);
    parse(&line, "submit --in r1 r3 -- x");
    ck_assert_str_eq(args_value(&line.args, OPTION_IN), "r1");
    ck_assert_str_eq(line.args.command[0], "r3");
    done(&line);
}
END_TEST

START_TEST(other_verbs_take_options_anywhere)
{
    struct line line;

    parse(&line, "wait t1 --timeout 5s r2 --json");
    ck_assert_int_eq(line.rc, 0);
    ck_assert_int_eq(line.args.operand_count, 2);
    ck_assert_str_eq(line.args.operands[1], "r2");
    ck_assert_str_eq(args_value(&line.args, OPTION_WAIT_TIMEOUT), "5s");
    ck_assert(!args_have(&line.args, OPTION_TIMEOUT));
    done(&line);
}
END_TEST

START_TEST(the_wrong_thing_is_answered_with_the_right_one)
{
    expect_error("", "no verb", "run -- CMD");
    expect_error("clsoe r1", "unknown verb clsoe", "did you mean close?");
    expect_error("frobnicate", "unknown verb", "lists the verbs");
    expect_error("run --tiemout 3s x", "unknown option --tiemout of run",
                 "did you mean --timeout?");
    expect_error("run --finish=1 x", "unknown option --finish", "go behind it");
    expect_error("tree -z", "unknown option -z", NULL);
    expect_error("--timeout 3s run x", "unknown option --timeout", "behind the verb");
    expect_error("open --name", "--name needs a value", "NAME");
    expect_error("status --json=yes", "--json takes no value", NULL);
    expect_error("status now", "no further operand: now", NULL);
    expect_error("run", "needs a command", "CMD");
    expect_error("defer r1", "needs a region and a command", "REGION");
    expect_error("close", "needs a region: an id such as r3", "REGION");
    expect_error("wait", "needs an id", "ID");
    expect_error("submit --each f -- x", "--each", NULL);
}
END_TEST

START_TEST(an_error_message_cannot_act_on_a_terminal)
{
    expect_error("\033[2J", "unknown verb \\x1b[2J", NULL);
    expect_error("run --\033[2J x", "unknown option --\\x1b[2J", NULL);
}
END_TEST

START_TEST(ids_tell_their_sort)
{
    ck_assert_int_eq(target_of("t7"), TARGET_TASK);
    ck_assert_int_eq(target_of("r3"), TARGET_REGION);
    ck_assert_int_eq(target_of("/"), TARGET_REGION);
    ck_assert_int_eq(target_of("/web/api"), TARGET_REGION);
    ck_assert_int_eq(target_of("s1"), TARGET_SESSION);
    ck_assert_int_eq(target_of("t"), TARGET_NONE);
    ck_assert_int_eq(target_of("t07"), TARGET_NONE);
    ck_assert_int_eq(target_of("web"), TARGET_NONE);
    ck_assert_int_eq(target_of(""), TARGET_NONE);
}
END_TEST

/* Two rows of one name must never meet in one verb, nor two letters. */
START_TEST(the_table_is_unambiguous)
{
    for (int v = 0; v < VERB_COUNT; v++) {
        for (int a = 0; a < OPTION_COUNT; a++) {
            for (int b = 0; b < a; b++) {
                if (!verb_takes((enum verb_id)v, (enum option_id)a) ||
                    !verb_takes((enum verb_id)v, (enum option_id)b))
                    continue;
                ck_assert_str_ne(option_rows[a].name, option_rows[b].name);
                ck_assert(option_rows[a].letter == 0 ||
                          option_rows[a].letter != option_rows[b].letter);
            }
        }
    }
}
END_TEST

/* Each run of white space to one blank: what a page says, however it is broken. */
static void
unfold(struct text *page)
{
    size_t size = 0;

    for (size_t i = 0; i < page->size; i++) {
        char c = page->data[i] == '\n' ? ' ' : page->data[i];
        if (c != ' ' || size == 0 || page->data[size - 1] != ' ')
            page->data[size++] = c;
    }
    page->data[page->size = size] = '\0';
}

START_TEST(no_help_is_wider_than_a_terminal)
{
    struct text page = {0};

    usage_all(&page);
    for (int v = 0; v < VERB_COUNT; v++)
        usage_verb(&page, &verbs[v]);
    for (const char *line = page.data; *line != '\0'; line += strcspn(line, "\n") + 1)
        ck_assert_msg(strcspn(line, "\n") <= 80, "%.*s", (int)strcspn(line, "\n"), line);
    text_free(&page);
}
END_TEST

START_TEST(every_verb_has_a_page_with_an_example_that_parses)
{
    for (int v = 0; v < VERB_COUNT; v++) {
        struct text page = {0};
        const char *example = verb_texts[v].example;
        usage_verb(&page, &verbs[v]);
        unfold(&page);
        ck_assert_ptr_nonnull(strstr(page.data, verb_texts[v].summary));
        for (int id = 0; id < OPTION_COUNT; id++) {
            if (verb_takes((enum verb_id)v, (enum option_id)id))
                ck_assert_ptr_nonnull(strstr(page.data, option_rows[id].help));
        }
        text_free(&page);
        ck_assert(example[0] != '\0');
        while (*example != '\0') {
            struct line line;
            char one[256];
            size_t size = strcspn(example, "\n");
            memcpy(one, example, size);
            one[size] = '\0';
            /* Words are enough: what follows a pipe or a quote is the shell's. */
            one[strcspn(one, ">")] = '\0';
            parse(&line, one);
            ck_assert_msg(line.rc == 0 && line.args.verb == &verbs[v], "%s", one);
            done(&line);
            example += size + 1;
        }
    }
}
END_TEST

START_TEST(completions_know_every_verb_and_option)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};

    for (size_t s = 0; s < 3; s++) {
        struct text script = {0};
        ck_assert(completion_script(&script, shells[s]));
        for (int v = 0; v < VERB_COUNT; v++)
            ck_assert_ptr_nonnull(strstr(script.data, verbs[v].name));
        for (int id = 0; id < OPTION_COUNT; id++) {
            char word[64];
            snprintf(word, sizeof word, s == 2 ? "-l %s" : "--%s", option_rows[id].name);
            ck_assert_msg(strstr(script.data, word) != NULL, "%s lacks %s", shells[s], word);
        }
        text_free(&script);
    }
    struct text none = {0};
    ck_assert(!completion_script(&none, "csh"));
}
END_TEST

static const struct rule rules[] = {
    RULE(options_end_where_the_command_begins),
    RULE(defer_takes_options_on_both_sides_of_its_region),
    RULE(a_region_before_the_dashes_is_where_the_command_goes),
    RULE(other_verbs_take_options_anywhere),
    RULE(the_wrong_thing_is_answered_with_the_right_one),
    RULE(an_error_message_cannot_act_on_a_terminal),
    RULE(ids_tell_their_sort),
    RULE(the_table_is_unambiguous),
    RULE(no_help_is_wider_than_a_terminal),
    RULE(every_verb_has_a_page_with_an_example_that_parses),
    RULE(completions_know_every_verb_and_option),
};

RULES_MAIN("args", rules, NULL, NULL)
