/* SPDX-License-Identifier: MIT */
/* Statements whose subject is a thing: facts about tasks, sessions, regions. */
#include "scenario_words.h"

#include <string.h>

static void
say_exit(struct thing *t, const struct process_exit *status, bool empty)
{
    struct input in = {.kind = IN_TASK_EXITED, .task = t->id};

    in.u.exited = *status;
    in.u.exited.cancel_delivered = t->signal_delivered;
    t->main_ended = true;
    /* A shell that knows both says first that nothing is left: otherwise the
     * leftovers, of which there are none, would be signalled. */
    if (empty) {
        t->emptied = true;
        fact(IN_TASK_EMPTY, t);
    }
    (void)scenario_step(&in);
}

/* Ends of the main process; false when the verb is another. */
static bool
verb_of_end(struct thing *t, const char *verb, struct words *w)
{
    struct process_exit status = {.exit_code = -1, .cpu_ns = ASUP_NS_PER_MS, .memory_peak = 4096};
    bool main_only = strncmp(verb, "main-", 5) == 0;
    const char *how = main_only ? verb + 5 : verb;

    if (strcmp(how, "exits") == 0)
        status.exit_code = (int32_t)take_number(w);
    else if (strcmp(how, "dies") == 0)
        status.signal = (int32_t)take_number(w);
    else if (strcmp(how, "killed") == 0) {
        status.signal = 9;
        status.kill_delivered = true;
    } else if (strcmp(how, "core-dumps") == 0) {
        status.signal = 11;
        status.core_dumped = true;
    } else if (strcmp(how, "oom-killed") == 0) {
        status.signal = 9;
        status.oom_killed = true;
    } else if (strcmp(how, "lost") == 0)
        status.lost = true;
    else
        return false;
    say_exit(t, &status, !main_only);
    return true;
}

static bool
verb_of_task(struct thing *t, const char *verb, struct words *w)
{
    struct input in = {.task = t->id};

    if (strcmp(verb, "starts") == 0) {
        in.kind = IN_TASK_STARTED;
        in.u.started.pid = (uint32_t)(1000 + t->id);
    } else if (strcmp(verb, "start-fails") == 0) {
        in.kind = IN_TASK_START_FAILED;
        in.u.start_failed.stage = take(w);
        in.u.start_failed.error = (int32_t)take_number(w);
    } else if (strcmp(verb, "empty") == 0) {
        in.kind = IN_TASK_EMPTY;
        t->emptied = true;
    } else if (strcmp(verb, "signalled") == 0 || strcmp(verb, "signalled-late") == 0) {
        in.kind = IN_TASK_SIGNALLED;
        in.u.signalled.delivered = strcmp(verb, "signalled") == 0;
        t->signal_delivered = t->signal_delivered || in.u.signalled.delivered;
    } else if (strcmp(verb, "ready") == 0) {
        in.kind = IN_TASK_READY;
    } else if (strcmp(verb, "stopping") == 0) {
        in.kind = IN_TASK_STOPPING;
    } else if (strcmp(verb, "extends") == 0) {
        in.kind = IN_TASK_EXTEND;
        in.u.extend.extend_ns = take_duration(w);
    } else if (strcmp(verb, "feeds") == 0) {
        in.kind = IN_TASK_WATCHDOG;
    } else if (strcmp(verb, "used") == 0) {
        in.kind = IN_TASK_SAMPLED;
        in.u.sampled.cpu_ns = take_number(w) * ASUP_NS_PER_MS;
    } else if (strcmp(verb, "log-lost") == 0) {
        in.kind = IN_TASK_LOG_LOST;
        in.u.log_lost.size = take_number(w);
    } else if (strcmp(verb, "checkpoints") == 0 || strcmp(verb, "progresses") == 0) {
        in = scenario_input(strcmp(verb, "checkpoints") == 0 ? IN_TASK_CHECKPOINT
                                                             : IN_TASK_PROGRESS);
        in.task = t->id;
        if (in.kind == IN_TASK_PROGRESS)
            in.u.progress.cost = take_number(w);
        if (took(w, "masked"))
            *(in.kind == IN_TASK_PROGRESS ? &in.u.progress.masked : &in.u.checkpoint.masked) = true;
        while (more(w) && option_of_request(w, &in)) {
        }
    } else
        return verb_of_end(t, verb, w);
    (void)scenario_step(&in);
    return true;
}

static bool
verb_of_session(const struct thing *t, const char *verb, struct words *w)
{
    struct input in = scenario_input(IN_TICK);

    in.session = t->id;
    in.caller.session = t->id;
    if (strcmp(verb, "lost") == 0)
        in.kind = IN_SESSION_LOST;
    else if (strcmp(verb, "attached") == 0)
        in.kind = IN_SESSION_ATTACHED;
    else if (strcmp(verb, "keepalive") == 0)
        in.kind = IN_SESSION_KEEPALIVE;
    else if (strcmp(verb, "bye") == 0)
        in.kind = IN_SESSION_BYE;
    else if (strcmp(verb, "resumes") == 0) {
        in.kind = IN_SESSION_RESUME;
        in.caller.session = 0;
        memset(in.u.session_open.secret_digest, t->name[strlen(t->name) - 1], 16);
    } else
        return false;
    while (more(w) && option_of_request(w, &in)) {
    }
    (void)scenario_step(&in);
    return true;
}

void
say_about(struct words *w)
{
    const char *name = take(w);
    const char *verb = take(w);
    struct thing *t;

    if (strcmp(verb, "waits") == 0) {
        say_wait(name, w);
        return;
    }
    if (say_about_channel(name, verb, w))
        return;
    t = thing_get(name);
    if ((t->sort == ASUP_SORT_TASK || t->sort == ASUP_SORT_SESSION ||
         t->sort == ASUP_SORT_CAPABILITY) &&
        (verb_of_capability(t, verb, w) || verb_of_holder(t, verb, w)))
        return;
    if (t->sort == ASUP_SORT_TASK && verb_of_task(t, verb, w))
        return;
    if (t->sort == ASUP_SORT_SESSION && (verb_of_session(t, verb, w) || verb_of_worker(t, verb, w)))
        return;
    if (t->sort == ASUP_SORT_REGION && strcmp(verb, "swept") == 0) {
        struct input in = {.kind = IN_REGION_SWEPT, .region = t->id};

        in.u.swept.error = (int32_t)take_number(w);
        (void)scenario_step(&in);
        return;
    }
    if (t->sort == ASUP_SORT_NONE && strcmp(verb, "leaves") == 0) {
        struct input in = {.kind = IN_WAIT_DROPPED, .token = t->id};

        (void)scenario_step(&in);
        return;
    }
    scenario_fail("%s can not \"%s\"", name, verb);
}
