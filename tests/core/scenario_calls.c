/* SPDX-License-Identifier: MIT */
/* Statements about calls and workers. The grammar is told in scenario.h. */
#include "scenario_words.h"

#include <string.h>

#include "asupersync/values.h"

static struct bytes
take_text(struct words *w)
{
    const char *text = take(w);

    return (struct bytes){.data = text, .size = strlen(text)};
}

bool
option_of_call(struct words *w, struct task_params *p)
{
    if (took(w, "does")) {
        p->call = take_text(w);
        p->label = (struct bytes){0};
    } else if (took(w, "retry"))
        p->retry.attempts = (uint32_t)take_number(w);
    else if (took(w, "backoff"))
        p->retry.backoff_ns = take_duration(w);
    else if (took(w, "most"))
        p->retry.backoff_most_ns = take_duration(w);
    else if (took(w, "key"))
        p->key = take_text(w);
    else
        return false;
    return true;
}

static void
say_offers(struct words *w, struct input *in)
{
    struct bytes names[64];
    struct offer_params *p = &in->u.offer;

    in->kind = IN_WORKER_OFFER;
    in->region = ASUP_ROOT_ID;
    *p = (struct offer_params){.names = names, .concurrency = 1, .quiet_ns = ASUP_NEVER};
    while (more(w)) {
        if (took(w, "in"))
            in->region = thing_get(take(w))->id;
        else if (took(w, "concurrency"))
            p->concurrency = (uint32_t)take_number(w);
        else if (took(w, "prefetch"))
            p->prefetch = (uint32_t)take_number(w);
        else if (took(w, "response"))
            p->response_ns = take_duration(w);
        else if (took(w, "mask"))
            p->mask_depth = (uint32_t)take_number(w);
        else if (took(w, "quiet"))
            p->quiet_ns = take_duration(w);
        else if (took(w, "holder"))
            in->caller.task = thing_get(take(w))->id;
        else if (!option_of_request(w, in))
            names[p->name_count++] = take_text(w);
    }
    (void)scenario_step(in);
}

static void
say_asks(struct words *w, struct input *in)
{
    in->kind = IN_WORKER_NEXT;
    in->u.next.most = 1;
    in->u.next.timeout_ns = ASUP_NEVER;
    while (more(w)) {
        if (took(w, "poll"))
            in->u.next.timeout_ns = 0;
        else if (took(w, "timeout"))
            in->u.next.timeout_ns = take_duration(w);
        else if (!option_of_request(w, in))
            in->u.next.most = (uint32_t)take_number(w);
    }
    (void)scenario_step(in);
}

static void
say_begins(struct words *w, struct input *in)
{
    uint64_t tasks[32];
    const char *names[32] = {0};
    int codes[32] = {0};

    in->kind = IN_WORKER_START;
    in->u.start.tasks = tasks;
    in->u.start.codes = codes;
    in->u.start.count = 0;
    while (more(w)) {
        names[in->u.start.count] = take(w);
        tasks[in->u.start.count] = thing_get(names[in->u.start.count])->id;
        in->u.start.count++;
    }
    if (scenario_step(in) != 0)
        return;
    for (uint32_t i = 0; i < in->u.start.count; i++) {
        if (codes[i] != 0)
            trace_line("%s may not begin %s", names[i], asup_error_name(codes[i]));
    }
}

static void
say_completes(struct words *w, struct input *in)
{
    struct completion *p = &in->u.complete;
    const char *outcome;
    uint8_t severity = 0;

    in->kind = IN_CALL_COMPLETE;
    *p = (struct completion){.task = thing_get(take(w))->id, .code = -1};
    outcome = take(w);
    while (severity < 9 &&
           (severity > ASUP_PANICKED || strcmp(outcome, asup_severity_name(severity)) != 0))
        severity++;
    p->severity = severity;
    while (more(w)) {
        if (took(w, "code"))
            p->code = (int32_t)take_number(w);
        else if (took(w, "attempt"))
            p->attempt = (uint32_t)take_number(w);
        else if (took(w, "message"))
            p->message = take_text(w);
        else if (took(w, "result"))
            p->result = take_text(w);
        else if (!option_of_request(w, in))
            scenario_fail("how does it complete?");
    }
    (void)scenario_step(in);
}

bool
verb_of_worker(const struct thing *t, const char *verb, struct words *w)
{
    struct input in = scenario_input(IN_TICK);
    struct session_view session;

    in.caller.session = t->id;
    if (kernel_session(the_kernel(), t->id, &session))
        in.caller.uid = session.uid;
    if (strcmp(verb, "offers") == 0) {
        say_offers(w, &in);
    } else if (strcmp(verb, "asks") == 0) {
        say_asks(w, &in);
    } else if (strcmp(verb, "begins") == 0) {
        say_begins(w, &in);
    } else if (strcmp(verb, "completes") == 0) {
        say_completes(w, &in);
    } else if (strcmp(verb, "withdraws") == 0) {
        in.kind = IN_WORKER_WITHDRAW;
        if (more(w))
            in.u.withdraw.name = take_text(w);
        (void)scenario_step(&in);
    } else if (strcmp(verb, "drains") == 0) {
        in.kind = IN_WORKER_DRAIN;
        if (took(w, "worker"))
            in.session = thing_get(take(w))->id;
        while (more(w) && option_of_request(w, &in)) {
        }
        (void)scenario_step(&in);
    } else {
        return false;
    }
    return true;
}
