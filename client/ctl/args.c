/* SPDX-License-Identifier: MIT */
#include "args.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asupersync/values.h"

/* getopt's answers: long options answer by their row, short ones by letter. */
#define ANSWER_BASE 1000

/* The getopt form of the options that one verb takes, or, without a verb, of
 * those that stand before it. */
struct option_set {
    struct option longs[OPTION_COUNT + 2];
    char letters[2 + 2 * OPTION_COUNT + 1];
    bool use[OPTION_COUNT];
};

static void
option_set_init(struct option_set *set, const struct verb *verb, bool in_order)
{
    size_t count = 0;
    char *letter = set->letters;

    memset(set, 0, sizeof *set);
    if (in_order)
        *letter++ = '+';
    *letter++ = ':';
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_row *row = &option_rows[id];
        set->use[id] = verb != NULL ? verb_takes(verb->id, (enum option_id)id)
                                    : option_is_global((enum option_id)id);
        if (!set->use[id])
            continue;
        set->longs[count++] =
            (struct option){row->name, row->metavar != NULL ? required_argument : no_argument, NULL,
                            ANSWER_BASE + id};
        if (row->letter != 0) {
            *letter++ = row->letter;
            if (row->metavar != NULL)
                *letter++ = ':';
        }
    }
    if (verb == NULL)
        set->longs[count++] = (struct option){"version", no_argument, NULL, 'V'};
}

static void
args_push(struct args *args, enum option_id id, const char *value)
{
    args->items = must_alloc(args->items, (args->count + 1) * sizeof *args->items);
    args->items[args->count++] = (struct given_option){id, value};
}

/* ---- What is wrong ------------------------------------------------------------- */

static int
no_such_option(const char *word, const struct option_set *set, const struct verb *verb,
               struct usage_error *error)
{
    const char *name = word + strspn(word, "-");
    size_t size = strcspn(name, "=");
    char *bare = must_copy(name);
    const struct option_row *best = NULL;
    unsigned best_distance = size < 4 ? 1 : 2;
    const struct verb *elsewhere = NULL;

    bare[size] = '\0';
    for (int id = 0; id < OPTION_COUNT; id++) {
        unsigned distance = text_distance(bare, option_rows[id].name);
        if (set->use[id] && distance <= best_distance &&
            (best == NULL || distance < best_distance)) {
            best = &option_rows[id];
            best_distance = distance;
        }
        if (distance == 0 && elsewhere == NULL) {
            for (int v = 0; v < VERB_COUNT && elsewhere == NULL; v++)
                elsewhere = verb_takes((enum verb_id)v, (enum option_id)id) ? &verbs[v] : NULL;
        }
    }
    text_add(&error->message, "unknown option ");
    text_safe(&error->message, &(struct look){.utf8 = true}, word, strcspn(word, "="));
    if (verb != NULL)
        text_addf(&error->message, " of %s", verb->name);
    if (best != NULL)
        text_addf(&error->hint, "did you mean --%s?", best->name);
    else if (elsewhere != NULL && verb == NULL)
        text_addf(&error->hint, "it goes behind the verb: asupersyncctl %s --%s", elsewhere->name,
                  bare);
    else if (verb != NULL && verb->operands == OPERANDS_COMMAND)
        text_addf(&error->hint,
                  "options of the command itself go behind it or behind --: "
                  "asupersyncctl %s -- CMD %s",
                  verb->name, word);
    else if (verb != NULL)
        text_addf(&error->hint, "see: asupersyncctl %s --help", verb->name);
    else
        text_add(&error->hint, "see: asupersyncctl --help");
    free(bare);
    return -1;
}

static int
value_missing(int answer, const struct option_set *set, struct usage_error *error)
{
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (set->use[id] && (answer == ANSWER_BASE + id || answer == option_rows[id].letter)) {
            text_addf(&error->message, "--%s needs a value", option_rows[id].name);
            text_addf(&error->hint, "--%s %s: %s", option_rows[id].name, option_rows[id].metavar,
                      option_rows[id].help);
        }
    }
    return -1;
}

/* ---- Options -------------------------------------------------------------------- */

/* Take options from argv[optind] on. Returns 0 or -1. */
static int
take_options(struct args *args, int argc, char **argv, const struct verb *verb, bool in_order,
             struct usage_error *error)
{
    struct option_set set;
    int answer;

    option_set_init(&set, verb, in_order);
    opterr = 0;
    for (;;) {
        int here = optind == 0 ? 1 : optind;
        answer = getopt_long(argc, argv, set.letters, set.longs, NULL);
        if (answer == -1)
            return 0;
        if (answer == 'V' && verb == NULL) {
            args->verb = &verbs[VERB_VERSION];
            continue;
        }
        if (answer == ':')
            return value_missing(optopt, &set, error);
        if (answer == '?') {
            if (optopt >= ANSWER_BASE) {
                text_addf(&error->message, "--%s takes no value",
                          option_rows[optopt - ANSWER_BASE].name);
                return -1;
            }
            /* A long one has been stepped over; a letter may stand among others. */
            if (optopt != 0) {
                char letter[] = {'-', (char)optopt, '\0'};
                return no_such_option(letter, &set, verb, error);
            }
            int at = optind > here ? optind - 1 : here;
            return no_such_option(argv[at], &set, verb, error);
        }
        int found = -1;
        for (int id = 0; id < OPTION_COUNT && found < 0; id++) {
            if (set.use[id] && (answer == ANSWER_BASE + id || answer == option_rows[id].letter))
                found = id;
        }
        args_push(args, (enum option_id)found, optarg);
    }
}

/* ---- Operands ---------------------------------------------------------------------- */

static int
operands_check(struct args *args, struct usage_error *error)
{
    static const char *const wanted[] = {
        [OPERANDS_COMMAND] = "a command to run",
        [OPERANDS_REGION_COMMAND] = "a region and a command",
        [OPERANDS_REGIONS] = "a region: an id such as r3, or a path such as /web",
        [OPERANDS_IDS] = "an id such as t7 or r3, or a region's path such as /web",
        [OPERANDS_WORD] = "a word",
        [OPERANDS_WORDS] = "to be told what to do",
        [OPERANDS_CHANNEL_COMMAND] = "a channel: an id such as c4, or a path such as /web/orders",
        [OPERANDS_WORDS_COMMAND] = "to be told what to do",
    };
    const struct verb *verb = args->verb;
    bool missing = false;
    int most = INT32_MAX;

    switch (verb->operands) {
    case OPERANDS_NONE:
        most = 0;
        break;
    case OPERANDS_COMMAND:
        missing = args->command == NULL && !args_have(args, OPTION_EACH);
        if (args->command != NULL && args_have(args, OPTION_EACH)) {
            text_add(&error->message, "--each takes its commands from the file");
            return -1;
        }
        break;
    case OPERANDS_REGION_COMMAND:
        missing = args->operand_count == 0 || args->command == NULL;
        break;
    case OPERANDS_REGION:
    case OPERANDS_WORD:
        missing = verb->id == VERB_COMPLETION && args->operand_count == 0;
        most = 1;
        break;
    case OPERANDS_WORDS:
    case OPERANDS_CHANNEL_COMMAND:
    case OPERANDS_REGIONS:
    case OPERANDS_IDS:
    case OPERANDS_WORDS_COMMAND:
        missing = args->operand_count == 0;
        break;
    }
    if (missing) {
        text_addf(&error->message, "%s needs %s", verb->name,
                  verb->id == VERB_ACK || verb->id == VERB_NACK ? "an obligation such as o9"
                  : verb->id == VERB_SEND                       ? wanted[OPERANDS_CHANNEL_COMMAND]
                  : verb->id == VERB_CALL                       ? "the name of what a worker offers"
                                                                : wanted[verb->operands]);
        text_addf(&error->hint, "asupersyncctl %s [OPTION...] %s", verb->name, verb->synopsis);
        return -1;
    }
    if (args->operand_count > most) {
        text_addf(&error->message, "%s takes no further operand: ", verb->name);
        text_safe(&error->message, &(struct look){.utf8 = true}, args->operands[most],
                  strlen(args->operands[most]));
        return -1;
    }
    return 0;
}

/* REGION -- CMD, as for defer: what is named right before the dashes, when it
 * can only be a region. */
static bool
region_before_dashes(const struct args *args, int argc, char **argv)
{
    struct asup_ref ref;

    if (optind + 2 >= argc || strcmp(argv[optind + 1], "--") != 0 || args_have(args, OPTION_IN))
        return false;
    if (argv[optind][0] == '/')
        return access(argv[optind], F_OK) != 0;
    return asup_ref_parse(argv[optind], strlen(argv[optind]), &ref) == 0 &&
           ref.sort == ASUP_SORT_REGION;
}

/* Options stand before the command; for defer also between region and command. */
static int
take_command(struct args *args, int argc, char **argv, struct usage_error *error)
{
    if (take_options(args, argc, argv, args->verb, true, error) != 0)
        return -1;
    bool ended = strcmp(argv[optind - 1], "--") == 0;
    if ((args->verb->operands == OPERANDS_REGION_COMMAND ||
         args->verb->operands == OPERANDS_CHANNEL_COMMAND) &&
        optind < argc) {
        args->operands = &argv[optind++];
        args->operand_count = 1;
        if (!ended && take_options(args, argc, argv, args->verb, true, error) != 0)
            return -1;
    }
    if (args->verb->operands == OPERANDS_COMMAND && !ended &&
        region_before_dashes(args, argc, argv)) {
        args_push(args, OPTION_IN, argv[optind]);
        optind += 2;
    }
    if (optind < argc)
        args->command = &argv[optind];
    return 0;
}

/* Words with options between them; behind -- a command. */
static int
take_words(struct args *args, int argc, char **argv, struct usage_error *error)
{
    args->operands = &argv[1];
    for (;;) {
        if (take_options(args, argc, argv, args->verb, true, error) != 0)
            return -1;
        if (strcmp(argv[optind - 1], "--") == 0) {
            args->command = optind < argc ? &argv[optind] : NULL;
            return 0;
        }
        if (optind >= argc)
            return 0;
        /* What stood there before has been understood. */
        argv[1 + args->operand_count++] = argv[optind++];
    }
}

static int
unknown_verb(const char *word, struct usage_error *error)
{
    const struct verb *near = verb_near(word);

    text_add(&error->message, "unknown verb ");
    text_safe(&error->message, &(struct look){.utf8 = true}, word, strlen(word));
    if (near != NULL)
        text_addf(&error->hint, "did you mean %s?", near->name);
    else
        text_add(&error->hint, "asupersyncctl help lists the verbs");
    return -1;
}

int
args_parse(struct args *args, int argc, char **argv, struct usage_error *error)
{
    *args = (struct args){0};
    optind = 0; /* glibc: begin anew */
    if (take_options(args, argc, argv, NULL, true, error) != 0)
        return -1;
    if (optind >= argc) {
        if (args->verb == NULL && args_have(args, OPTION_HELP))
            args->verb = &verbs[VERB_HELP];
        if (args->verb != NULL)
            return 0;
        text_add(&error->message, "no verb given");
        text_add(&error->hint, "asupersyncctl help lists the verbs; "
                               "asupersyncctl run -- CMD runs a command");
        return -1;
    }
    args->verb = verb_find(argv[optind]);
    if (args->verb == NULL)
        return unknown_verb(argv[optind], error);
    argc -= optind;
    argv += optind;
    optind = 0;
    if (args->verb->operands == OPERANDS_COMMAND ||
        args->verb->operands == OPERANDS_REGION_COMMAND ||
        args->verb->operands == OPERANDS_CHANNEL_COMMAND) {
        if (take_command(args, argc, argv, error) != 0)
            return -1;
    } else if (args->verb->operands == OPERANDS_WORDS_COMMAND) {
        if (take_words(args, argc, argv, error) != 0)
            return -1;
    } else {
        if (take_options(args, argc, argv, args->verb, false, error) != 0)
            return -1;
        args->operands = &argv[optind];
        args->operand_count = argc - optind;
    }
    return args_have(args, OPTION_HELP) ? 0 : operands_check(args, error);
}

void
args_free(struct args *args)
{
    free(args->items);
    *args = (struct args){0};
}

bool
args_have(const struct args *args, enum option_id id)
{
    for (size_t i = 0; i < args->count; i++) {
        if (args->items[i].id == id)
            return true;
    }
    return false;
}

const char *
args_value(const struct args *args, enum option_id id)
{
    for (size_t i = args->count; i-- > 0;) {
        if (args->items[i].id == id)
            return args->items[i].value;
    }
    return NULL;
}
