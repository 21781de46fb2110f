/* SPDX-License-Identifier: MIT */
/* Statements about capabilities. */
#include "scenario_words.h"

#include <stdio.h>
#include <string.h>

uint32_t
take_rights(struct words *w)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } rows[] = {
#define RIGHT_ROW(name, bit, wire) {wire, 1U << (bit)},
        ASUP_RIGHT_LIST(RIGHT_ROW)
#undef RIGHT_ROW
    };
    char text[256];
    char *rest = text;
    char *word;
    uint32_t rights = 0;

    (void)snprintf(text, sizeof text, "%s", take(w));
    while ((word = strsep(&rest, ",")) != NULL) {
        uint32_t bit = 0;

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            if (strcmp(rows[i].name, word) == 0)
                bit = rows[i].bit;
        }
        if (bit == 0)
            scenario_fail("\"%s\" is no right", word);
        rights |= bit;
    }
    return rights;
}

void
caller_shows(struct caller *c, const struct thing *t)
{
    if (t->sort == ASUP_SORT_TASK)
        c->task = t->id;
    else if (t->sort == ASUP_SORT_CAPABILITY)
        c->cx = t->id;
    else if (t->sort == ASUP_SORT_SESSION)
        c->session = t->id;
    else
        scenario_fail("\"%s\" cannot ask for anything", t->name);
}

static void
say_derives(const struct thing *from, struct words *w)
{
    struct input in = scenario_input(IN_CX_DERIVE);
    struct derive_params *p = &in.u.derive;

    caller_shows(&in.caller, from);
    awaited_add(take(w), in.token);
    if (!took(w, "in"))
        scenario_fail("in which region?");
    in.region = thing_get(take(w))->id;
    *p = (struct derive_params){.rights = ASUP_RIGHTS_TASK,
                                .limit_at = ASUP_NEVER,
                                .cost_ceiling = UINT64_MAX,
                                .poll_ceiling = UINT32_MAX};
    while (more(w)) {
        if (took(w, "rights"))
            p->rights = take_rights(w);
        else if (took(w, "priority"))
            p->priority_ceiling = (uint8_t)take_number(w);
        else if (took(w, "until"))
            p->limit_at = SCENARIO_START + take_duration(w);
        else if (took(w, "cost"))
            p->cost_ceiling = take_number(w);
        else if (took(w, "polls"))
            p->poll_ceiling = (uint32_t)take_number(w);
        else if (!option_of_request(w, &in))
            break;
    }
    (void)scenario_step(&in);
}

bool
verb_of_capability(const struct thing *t, const char *verb, struct words *w)
{
    struct input in;

    if (strcmp(verb, "derives") == 0) {
        say_derives(t, w);
        return true;
    }
    if (strcmp(verb, "revokes") != 0)
        return false;
    in = scenario_input(IN_CX_REVOKE);
    caller_shows(&in.caller, t);
    in.subject = thing_get(take(w))->id;
    while (more(w) && option_of_request(w, &in)) {
    }
    (void)scenario_step(&in);
    return true;
}

bool
trace_capability(const struct event *ev, const char *capability)
{
    switch (ev->kind) {
    case EV_CAPABILITY_GRANTED:
        trace_line("%s granted", capability);
        return true;
    case EV_CAPABILITY_REVOKED:
        trace_line("%s revoked", capability);
        return true;
    case EV_CAPABILITY_DEAD:
        trace_line("%s dead", capability);
        return true;
    default:
        return false;
    }
}
