/* SPDX-License-Identifier: MIT */
/* Statements about what is owed: obligations and leases. */
#include "scenario_words.h"

#include <stdio.h>
#include <string.h>

/* The subject of the statement is the holder: a task or a session. */
static struct input
input_of(const struct thing *holder, enum input_kind kind)
{
    struct input in = scenario_input(kind);

    caller_shows(&in.caller, holder);
    return in;
}

static void
send(struct words *w, struct input *in)
{
    while (more(w) && option_of_request(w, in)) {
    }
    (void)scenario_step(in);
}

static struct bytes
take_name(struct words *w)
{
    const char *text = take(w);

    return (struct bytes){.data = text, .size = strlen(text)};
}

static uint64_t
take_in_region(struct words *w)
{
    if (!took(w, "in"))
        scenario_fail("in which region?");
    return thing_get(take(w))->id;
}

static void
say_reserves(const struct thing *holder, struct words *w)
{
    struct input in = input_of(holder, IN_OBLIGATION_RESERVE);

    awaited_add(take(w), in.token);
    in.region = take_in_region(w);
    in.u.io.timeout_ns = ASUP_NEVER;
    while (more(w)) {
        if (took(w, "label"))
            in.u.io.label = take_name(w);
        else if (took(w, "timeout"))
            in.u.io.timeout_ns = take_duration(w);
        else if (!option_of_request(w, &in))
            break;
    }
    send(w, &in);
}

static void
say_acquires(const struct thing *holder, struct words *w)
{
    struct input in = input_of(holder, IN_LEASE_ACQUIRE);

    awaited_add(take(w), in.token);
    if (!took(w, "on"))
        scenario_fail("on which name?");
    in.u.acquire.lease = (struct lease_params){.name = take_name(w), .ttl_ns = 10 * ASUP_NS_PER_S};
    in.region = take_in_region(w);
    while (more(w)) {
        if (took(w, "ttl"))
            in.u.acquire.lease.ttl_ns = take_duration(w);
        else if (took(w, "timeout"))
            in.u.acquire.timeout_ns = take_duration(w);
        else if (took(w, "as"))
            (void)thing_add(take(w), ASUP_SORT_NONE, in.token);
        else if (!option_of_request(w, &in))
            break;
    }
    send(w, &in);
}

bool
verb_of_holder(const struct thing *t, const char *verb, struct words *w)
{
    static const struct {
        const char *verb;
        enum input_kind kind;
    } verbs[] = {
        {"commits", IN_OBLIGATION_COMMIT},  {"aborts", IN_OBLIGATION_ABORT},
        {"passes", IN_OBLIGATION_TRANSFER}, {"renews", IN_LEASE_RENEW},
        {"releases", IN_LEASE_RELEASE},
    };
    struct input in;

    if (strcmp(verb, "reserves") == 0) {
        say_reserves(t, w);
        return true;
    }
    if (strcmp(verb, "acquires") == 0) {
        say_acquires(t, w);
        return true;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verb, verbs[i].verb) != 0)
            continue;
        in = input_of(t, verbs[i].kind);
        in.subject = thing_get(take(w))->id;
        if (in.kind == IN_OBLIGATION_TRANSFER) {
            const struct thing *to;

            if (!took(w, "to"))
                scenario_fail("to whom?");
            to = thing_get(take(w));
            in.u.transfer = (struct asup_ref){.id = to->id, .sort = to->sort};
        } else if (in.kind == IN_OBLIGATION_ABORT && took(w, "note")) {
            in.u.nack.note = take_name(w);
        } else if (in.kind == IN_LEASE_RENEW && took(w, "ttl")) {
            in.u.acquire.lease.ttl_ns = take_duration(w);
        }
        send(w, &in);
        return true;
    }
    return false;
}
