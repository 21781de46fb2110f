/* SPDX-License-Identifier: MIT */
/*
 * Completion scripts for bash, zsh and fish, made from the table of verbs and
 * options. Live ids come from `asupersyncctl completion ids|regions`, which
 * prints nothing where no daemon answers.
 */
#include <string.h>

#include "args.h"

/* Whether completion offers the second row of a name that stands twice. */
static bool
first_of_name(enum verb_id verb, int id)
{
    for (int before = 0; before < id; before++) {
        if (verb_takes(verb, (enum option_id)before) &&
            strcmp(option_rows[before].name, option_rows[id].name) == 0)
            return false;
    }
    return true;
}

#define SAGA_WORDS "run list show wait resolve begin step complete abort"

/* The words that a verb of several words begins with; NULL: it has none. */
static const char *
words_of(int verb)
{
    switch (verb) {
    case VERB_SAGA:
        return SAGA_WORDS;
    case VERB_CX:
        return "derive revoke list";
    case VERB_CHANNEL:
        return "open seal stat";
    case VERB_DEAD:
        return "list show retry discard";
    default:
        return NULL;
    }
}

static bool
takes_ids(enum operands operands)
{
    return operands == OPERANDS_IDS;
}

static bool
takes_region(enum operands operands)
{
    return operands == OPERANDS_REGION || operands == OPERANDS_REGIONS ||
           operands == OPERANDS_REGION_COMMAND;
}

/* ---- bash ------------------------------------------------------------------------ */

/* A case branch for every kind of value, over the options that have it. */
static void
bash_values(struct text *out, enum value_kind kind, const char *action)
{
    bool first = true;

    for (int id = 0; id < OPTION_COUNT; id++) {
        bool listed = false;
        for (int before = 0; before < id; before++)
            listed = listed || (strcmp(option_rows[before].name, option_rows[id].name) == 0 &&
                                option_rows[before].kind == kind);
        if (option_rows[id].kind != kind || listed)
            continue;
        text_addf(out, "%s--%s", first ? "    " : "|", option_rows[id].name);
        if (option_rows[id].letter != 0)
            text_addf(out, "|-%c", option_rows[id].letter);
        first = false;
    }
    if (!first)
        text_addf(out, ") %s; return ;;\n", action);
}

static void
script_bash(struct text *out)
{
    text_add(out, "# bash completion for asupersyncctl; made from its table of options\n"
                  "_asupersyncctl()\n{\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "    local verb= at i words=\n"
                  "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                  "        case ${COMP_WORDS[i]} in\n"
                  "        --socket) ((i++)) ;;\n"
                  "        --) break ;;\n"
                  "        -*) ;;\n"
                  "        *) if [[ -z $verb ]]; then verb=${COMP_WORDS[i]} at=$i; fi ;;\n"
                  "        esac\n"
                  "    done\n"
                  "    case $verb in run|submit|defer)\n"
                  "        for ((i = at + 1; i < COMP_CWORD; i++)); do\n"
                  "            if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
                  "                if declare -F _command_offset >/dev/null; then\n"
                  "                    _command_offset $((i + 1))\n"
                  "                else\n"
                  "                    COMPREPLY=($(compgen -c -- \"$cur\"))\n"
                  "                fi\n"
                  "                return\n"
                  "            fi\n"
                  "        done ;;\n"
                  "    esac\n"
                  "    case $prev in\n");
    bash_values(out, VALUE_FILE, "COMPREPLY=($(compgen -f -- \"$cur\"))");
    bash_values(out, VALUE_DIRECTORY, "COMPREPLY=($(compgen -d -- \"$cur\"))");
    bash_values(out, VALUE_REGION,
                "COMPREPLY=($(compgen -W \"$(asupersyncctl completion regions)\" -- \"$cur\"))");
    bash_values(out, VALUE_USER, "COMPREPLY=($(compgen -u -- \"$cur\"))");
    bash_values(out, VALUE_SIGNAL, "COMPREPLY=($(compgen -A signal -- \"$cur\"))");
    bash_values(out, VALUE_POLICY,
                "COMPREPLY=($(compgen -W \"collect fail-fast race first-ok quorum: last\" -- "
                "\"$cur\"))");
    bash_values(out, VALUE_UNTIL,
                "COMPREPLY=($(compgen -W \"started ready finished\" -- \"$cur\"))");
    bash_values(out, VALUE_ANY, "COMPREPLY=()");
    text_add(out, "    esac\n    case $verb in\n    '') words='");
    for (int v = 0; v < VERB_COUNT; v++)
        text_addf(out, "%s ", verbs[v].name);
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (option_is_global((enum option_id)id))
            text_addf(out, "--%s ", option_rows[id].name);
    }
    text_add(out, "' ;;\n");
    for (int v = 0; v < VERB_COUNT; v++) {
        text_addf(out, "    %s) words='", verbs[v].name);
        for (int id = 0; id < OPTION_COUNT; id++) {
            if (verb_takes((enum verb_id)v, (enum option_id)id) &&
                first_of_name((enum verb_id)v, id))
                text_addf(out, "--%s ", option_rows[id].name);
        }
        if (v == VERB_COMPLETION)
            text_add(out, "bash zsh fish");
        if (words_of(v) != NULL)
            text_add(out, words_of(v));
        if (v == VERB_HELP) {
            for (int other = 0; other < VERB_COUNT; other++)
                text_addf(out, "%s ", verbs[other].name);
        }
        text_add(out, "'");
        if (takes_ids(verbs[v].operands))
            text_add(out,
                     "\n        [[ $cur == -* ]] || "
                     "words=$(asupersyncctl completion ids; asupersyncctl completion regions)");
        else if (takes_region(verbs[v].operands))
            text_add(out,
                     "\n        [[ $cur == -* ]] || words=$(asupersyncctl completion regions)");
        else if (verbs[v].operands == OPERANDS_COMMAND)
            text_add(out, "\n        [[ $cur == -* ]] || "
                          "{ COMPREPLY=($(compgen -c -- \"$cur\")); return; }");
        text_add(out, " ;;\n");
    }
    text_add(out, "    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
                  "complete -F _asupersyncctl asupersyncctl\n");
}

/* ---- zsh --------------------------------------------------------------------------- */

/* Text for a place between single quotes inside an _arguments specification. */
static void
zsh_text(struct text *out, const char *string)
{
    for (; *string != '\0'; string++) {
        if (*string == '\'')
            text_add(out, "'\\''");
        else if (strchr("[]:\\", *string) != NULL)
            text_addf(out, "\\%c", *string);
        else
            text_put(out, string, 1);
    }
}

static void
zsh_option(struct text *out, const struct option_row *row)
{
    static const char *const actions[] = {
        [VALUE_NONE] = "",
        [VALUE_ANY] = " ",
        [VALUE_FILE] = "_files",
        [VALUE_DIRECTORY] = "_files -/",
        [VALUE_REGION] = "_asupersyncctl_regions",
        [VALUE_USER] = "_users",
        [VALUE_SIGNAL] = "_signals",
        [VALUE_POLICY] = "(collect fail-fast race first-ok quorum\\: last)",
        [VALUE_UNTIL] = "(started ready finished)",
    };

    text_add(out, "        '*");
    text_addf(out, "--%s%s[", row->name, row->metavar != NULL ? "=" : "");
    zsh_text(out, row->help);
    text_add(out, "]");
    if (row->metavar != NULL) {
        text_add(out, ":");
        zsh_text(out, row->metavar);
        text_addf(out, ":%s", actions[row->kind]);
    }
    text_add(out, "' \\\n");
}

static void
script_zsh(struct text *out)
{
    text_add(out, "#compdef asupersyncctl\n"
                  "# zsh completion for asupersyncctl; made from its table of options\n"
                  "_asupersyncctl_regions() { compadd -- "
                  "${(f)\"$(asupersyncctl completion regions)\"} }\n"
                  "_asupersyncctl_ids() { compadd -- "
                  "${(f)\"$(asupersyncctl completion ids; asupersyncctl completion regions)\"} }\n"
                  "_asupersyncctl() {\n"
                  "    local curcontext=$curcontext state line\n"
                  "    local -a verbs\n"
                  "    verbs=(\n");
    for (int v = 0; v < VERB_COUNT; v++) {
        text_addf(out, "        '%s:", verbs[v].name);
        zsh_text(out, verb_texts[v].summary);
        text_add(out, "'\n");
    }
    text_add(out, "    )\n    _arguments -C \\\n");
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (option_is_global((enum option_id)id))
            zsh_option(out, &option_rows[id]);
    }
    text_add(out, "        '1: :->verb' '*:: :->rest'\n"
                  "    [[ $state == verb ]] && { _describe verb verbs; return }\n"
                  "    [[ $state == rest ]] || return\n"
                  "    case $line[1] in\n");
    for (int v = 0; v < VERB_COUNT; v++) {
        text_addf(out, "    %s) _arguments -S \\\n", verbs[v].name);
        for (int id = 0; id < OPTION_COUNT; id++) {
            if (verb_takes((enum verb_id)v, (enum option_id)id) &&
                first_of_name((enum verb_id)v, id))
                zsh_option(out, &option_rows[id]);
        }
        switch (verbs[v].operands) {
        case OPERANDS_COMMAND:
            text_add(out, "        '*:: :_normal'");
            break;
        case OPERANDS_REGION_COMMAND:
            text_add(out, "        '1:region:_asupersyncctl_regions' '*:: :_normal'");
            break;
        case OPERANDS_REGION:
            text_add(out, "        '1:region:_asupersyncctl_regions'");
            break;
        case OPERANDS_REGIONS:
            text_add(out, "        '*:region:_asupersyncctl_regions'");
            break;
        case OPERANDS_IDS:
            text_add(out, "        '*:id:_asupersyncctl_ids'");
            break;
        case OPERANDS_WORD:
            text_add(out, v == VERB_HELP ? "        '1: :{_describe verb verbs}'"
                                         : "        '1:shell:(bash zsh fish)'");
            break;
        case OPERANDS_CHANNEL_COMMAND:
            text_add(out, "        '1:channel:' '*:: :_normal'");
            break;
        case OPERANDS_WORDS:
            if (words_of(v) != NULL)
                text_addf(out, "        '1:what:(%s)' '*:file:_files'", words_of(v));
            else
                text_add(out, "        '*: :_files'");
            break;
        case OPERANDS_WORDS_COMMAND:
            text_add(out, v == VERB_WORKER  ? "        '1:what:(run drain)'"
                          : v == VERB_LEASE ? "        '1:what:(run acquire renew release)'"
                                            : "        '1:what:(reserve commit abort transfer)'");
            break;
        case OPERANDS_NONE:
            text_add(out, "        ':'");
            break;
        }
        text_add(out, " ;;\n");
    }
    text_add(out, "    esac\n}\n_asupersyncctl \"$@\"\n");
}

/* ---- fish --------------------------------------------------------------------------- */

static void
fish_text(struct text *out, const char *string)
{
    text_add(out, "'");
    for (; *string != '\0'; string++) {
        if (*string == '\'' || *string == '\\')
            text_add(out, "\\");
        text_put(out, string, 1);
    }
    text_add(out, "'");
}

static void
fish_option(struct text *out, const char *condition, const struct option_row *row)
{
    text_addf(out, "complete -c asupersyncctl%s -l %s", condition, row->name);
    if (row->letter != 0)
        text_addf(out, " -s %c", row->letter);
    if (row->metavar != NULL)
        text_add(out, " -r");
    switch (row->kind) {
    case VALUE_FILE:
        text_add(out, " -F");
        break;
    case VALUE_DIRECTORY:
        text_add(out, " -a '(__fish_complete_directories)'");
        break;
    case VALUE_REGION:
        text_add(out, " -a '(asupersyncctl completion regions)'");
        break;
    case VALUE_USER:
        text_add(out, " -a '(__fish_complete_users)'");
        break;
    case VALUE_POLICY:
        text_add(out, " -a 'collect fail-fast race first-ok quorum: last'");
        break;
    case VALUE_UNTIL:
        text_add(out, " -a 'started ready finished'");
        break;
    default:
        break;
    }
    text_add(out, " -d ");
    fish_text(out, row->help);
    text_add(out, "\n");
}

static void
script_fish(struct text *out)
{
    struct text condition = {0};

    text_add(out, "# fish completion for asupersyncctl; made from its table of options\n"
                  "complete -c asupersyncctl -f\n");
    for (int v = 0; v < VERB_COUNT; v++) {
        text_addf(out, "complete -c asupersyncctl -n __fish_use_subcommand -a %s -d ",
                  verbs[v].name);
        fish_text(out, verb_texts[v].summary);
        text_add(out, "\n");
    }
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (option_is_global((enum option_id)id))
            fish_option(out, "", &option_rows[id]);
    }
    for (int v = 0; v < VERB_COUNT; v++) {
        condition.size = 0;
        text_addf(&condition, " -n '__fish_seen_subcommand_from %s'", verbs[v].name);
        for (int id = 0; id < OPTION_COUNT; id++) {
            if (verb_takes((enum verb_id)v, (enum option_id)id) &&
                !option_is_global((enum option_id)id) && first_of_name((enum verb_id)v, id))
                fish_option(out, condition.data, &option_rows[id]);
        }
        if (takes_ids(verbs[v].operands))
            text_addf(out,
                      "complete -c asupersyncctl%s -a '(asupersyncctl completion ids; "
                      "asupersyncctl completion regions)'\n",
                      condition.data);
        else if (takes_region(verbs[v].operands))
            text_addf(out, "complete -c asupersyncctl%s -a '(asupersyncctl completion regions)'\n",
                      condition.data);
        else if (verbs[v].operands == OPERANDS_COMMAND)
            text_addf(out, "complete -c asupersyncctl%s -a '(__fish_complete_subcommand)'\n",
                      condition.data);
        else if (words_of(v) != NULL)
            text_addf(out, "complete -c asupersyncctl%s -a '%s'\n", condition.data, words_of(v));
        else if (v == VERB_COMPLETION)
            text_addf(out, "complete -c asupersyncctl%s -a 'bash zsh fish'\n", condition.data);
    }
    text_free(&condition);
}

bool
completion_script(struct text *out, const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        script_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        script_zsh(out);
    else if (strcmp(shell, "fish") == 0)
        script_fish(out);
    else
        return false;
    return true;
}
