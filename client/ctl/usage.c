/* SPDX-License-Identifier: MIT */
/*
 * Help pages, made from the table.
 */
#include <string.h>

#include "args.h"

#define HELP_COLUMN 28
#define HELP_WIDTH 80

/* Words from HELP_COLUMN on, in as many lines as they need. */
static void
usage_words(struct text *out, size_t line, const char *words)
{
    while (*words != '\0') {
        size_t size = strlen(words);
        if (size > HELP_WIDTH - HELP_COLUMN) {
            size = HELP_WIDTH - HELP_COLUMN;
            while (size > 0 && words[size] != ' ')
                size--;
            if (size == 0)
                size = strcspn(words, " ");
        }
        text_pad(out, line, HELP_COLUMN);
        text_addf(out, "%.*s\n", (int)size, words);
        line = out->size;
        words += size + strspn(words + size, " ");
    }
}

static void
usage_option(struct text *out, enum option_id id)
{
    const struct option_row *row = &option_rows[id];
    size_t start = out->size;

    if (row->letter != 0)
        text_addf(out, "  -%c, --%s", row->letter, row->name);
    else
        text_addf(out, "      --%s", row->name);
    if (row->metavar != NULL)
        text_addf(out, " %s", row->metavar);
    if (out->size - start >= HELP_COLUMN) {
        text_add(out, "\n");
        start = out->size;
    }
    usage_words(out, start, row->help);
}

void
usage_verb(struct text *out, const struct verb *verb)
{
    const struct verb_text *words = &verb_texts[verb->id];
    const char *example = words->example;

    text_addf(out, "asupersyncctl %s [OPTION...]%s%s\n", verb->name,
              verb->synopsis[0] != '\0' ? " " : "", verb->synopsis);
    text_addf(out, "  %s\n", words->summary);
    if (words->details[0] != '\0')
        text_addf(out, "\n%s", words->details);
    text_add(out, "\nExample:\n");
    while (*example != '\0') {
        size_t size = strcspn(example, "\n");
        text_addf(out, "  $ asupersyncctl %.*s\n", (int)size, example);
        example += size + (example[size] == '\n');
    }
    text_add(out, "\nOptions:\n");
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (verb_takes(verb->id, (enum option_id)id) && !option_is_global((enum option_id)id))
            usage_option(out, (enum option_id)id);
    }
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (option_is_global((enum option_id)id))
            usage_option(out, (enum option_id)id);
    }
    text_add(out, "\nDurations are " DURATION_FORMS ".\nThe whole story: asupersyncctl(1)\n");
}

void
usage_all(struct text *out)
{
    text_add(out, "asupersyncctl [OPTION...] VERB ...\n"
                  "  run processes in a tree of regions; a closed one leaves nothing behind\n"
                  "\nVerbs:\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        size_t start = out->size;
        text_addf(out, "  %s", verbs[i].name);
        text_pad(out, start, 14);
        text_addf(out, "%s\n", verb_texts[i].summary);
    }
    text_add(out, "\nOptions of every verb:\n");
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (option_is_global((enum option_id)id))
            usage_option(out, (enum option_id)id);
    }
    text_add(out,
             "\nExample:\n"
             "  $ asupersyncctl run --timeout 10m -- make -j8\n"
             "  $ asupersyncctl tree\n\n"
             "asupersyncctl VERB --help explains a verb. The daemon is looked for at "
             "--socket,\n$ASUPERSYNC_SOCKET, $XDG_RUNTIME_DIR/asupersync/asupersyncd.sock and\n"
             "/run/asupersync/asupersyncd.sock.\n");
}
