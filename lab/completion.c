/* SPDX-License-Identifier: MIT */
/* Completion scripts for bash, zsh and fish, made from the table of verbs. */
#include <string.h>

#include "lab/tool.h"

static void
words_of(struct text *out, const struct lab_verb *v)
{
    for (const struct lab_option *o = v->options; o != NULL && o->name != NULL; o++)
        text_addf(out, " --%s", o->name);
    for (const struct lab_option *o = lab_common; o->name != NULL; o++)
        text_addf(out, " --%s", o->name);
}

static void
script_bash(struct text *out, const struct lab_verb *const *verbs, size_t count)
{
    text_add(out, "# bash completion for asupersync-lab; made from its table of options\n"
                  "_asupersync_lab()\n{\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
                  "    if ((COMP_CWORD == 1)); then\n"
                  "        COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < count; i++)
        text_addf(out, "%s ", verbs[i]->name);
    text_add(out, "help completion --help --version' -- \"$cur\"))\n        return\n    fi\n"
                  "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < count; i++) {
        text_addf(out, "    %s) words='", verbs[i]->name);
        words_of(out, verbs[i]);
        text_add(out, "' ;;\n");
    }
    text_add(out,
             "    completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\")); return ;;\n"
             "    esac\n"
             "    if [[ $cur == -* ]]; then\n"
             "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
             "    else\n"
             "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
             "    fi\n}\n"
             "complete -o filenames -F _asupersync_lab asupersync-lab\n");
}

/* Between single quotes, in an _arguments specification. */
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
script_zsh(struct text *out, const struct lab_verb *const *verbs, size_t count)
{
    text_add(out, "#compdef asupersync-lab\n# made from its table of options\n"
                  "_asupersync-lab() {\n    local -a verbs\n    verbs=(\n");
    for (size_t i = 0; i < count; i++) {
        text_addf(out, "        '%s:", verbs[i]->name);
        zsh_text(out, verbs[i]->summary);
        text_add(out, "'\n");
    }
    text_add(out, "    )\n    if ((CURRENT == 2)); then\n        _describe verb verbs\n"
                  "        return\n    fi\n    case ${words[2]} in\n");
    for (size_t i = 0; i < count; i++) {
        text_addf(out, "    %s) _arguments '*:file:_files'", verbs[i]->name);
        for (const struct lab_option *o = verbs[i]->options; o != NULL && o->name != NULL; o++) {
            text_addf(out, " '*--%s%s[", o->name, o->metavar != NULL ? "=" : "");
            zsh_text(out, o->help);
            text_add(out, o->metavar != NULL ? "]:value:_files'" : "]'");
        }
        for (const struct lab_option *o = lab_common; o->name != NULL; o++)
            text_addf(out, " '*--%s'", o->name);
        text_add(out, " ;;\n");
    }
    text_add(out, "    completion) _values shell bash zsh fish ;;\n    esac\n}\n"
                  "_asupersync-lab \"$@\"\n");
}

/* Between single quotes. */
static void
fish_text(struct text *out, const char *string)
{
    for (; *string != '\0'; string++)
        text_addf(out, *string == '\'' || *string == '\\' ? "\\%c" : "%c", *string);
}

static void
script_fish(struct text *out, const struct lab_verb *const *verbs, size_t count)
{
    text_add(out, "# fish completion for asupersync-lab; made from its table of options\n");
    for (size_t i = 0; i < count; i++) {
        text_addf(out, "complete -c asupersync-lab -n __fish_use_subcommand -f -a %s -d '",
                  verbs[i]->name);
        fish_text(out, verbs[i]->summary);
        text_add(out, "'\n");
        for (const struct lab_option *o = verbs[i]->options; o != NULL && o->name != NULL; o++) {
            text_addf(out,
                      "complete -c asupersync-lab -n '__fish_seen_subcommand_from %s' -l %s%s -d '",
                      verbs[i]->name, o->name, o->metavar != NULL ? " -r" : "");
            fish_text(out, o->help);
            text_add(out, "'\n");
        }
    }
    for (const struct lab_option *o = lab_common; o->name != NULL; o++)
        text_addf(out, "complete -c asupersync-lab -l %s\n", o->name);
}

bool
lab_completion(struct text *out, const char *shell, const struct lab_verb *const *verbs,
               size_t count)
{
    if (strcmp(shell, "bash") == 0)
        script_bash(out, verbs, count);
    else if (strcmp(shell, "zsh") == 0)
        script_zsh(out, verbs, count);
    else if (strcmp(shell, "fish") == 0)
        script_fish(out, verbs, count);
    else
        return false;
    return true;
}
