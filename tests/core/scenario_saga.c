/* SPDX-License-Identifier: MIT */
/* Statements about sagas, and what becomes of them in the trace. */
#include "scenario_words.h"

#include <stdio.h>
#include <string.h>

/* ---- Statements --------------------------------------------------------------------------- */

static void
say_begin(struct words *w)
{
    struct input in = scenario_input(IN_SAGA_BEGIN);
    const char *name = take(w);

    if (!took(w, "in"))
        scenario_fail("where does %s belong?", name);
    in.region = thing_get(take(w))->id;
    in.u.saga_begin.name = (struct bytes){.data = name, .size = strlen(name)};
    while (more(w)) {
        if (took(w, "driven"))
            in.caller.task = thing_get(take(w))->id;
        else if (!option_of_request(w, &in))
            scenario_fail("what is \"%s\"?", take(w));
    }
    pending_add(name, ASUP_SORT_SAGA);
    (void)scenario_step(&in);
}

static void
say_step(struct words *w)
{
    struct input in = scenario_input(IN_SAGA_STEP);
    struct saga_step_params *p = &in.u.saga_step;
    const char *name = take(w);
    struct task_params action;
    struct task_params undo = task_default("undo", in.caller.uid);
    struct task_params *current = &undo;

    if (!took(w, "of"))
        scenario_fail("of which saga is %s?", name);
    in.subject = thing_get(take(w))->id;
    p->name = (struct bytes){.data = name, .size = strlen(name)};
    p->undo = &undo;
    undo.spec = (struct bytes){.data = "undo spec", .size = 9};
    while (more(w)) {
        if (took(w, "action")) {
            const char *task = take(w);

            action = task_default(task, in.caller.uid);
            p->action = current = &action;
            pending_add(task, ASUP_SORT_TASK);
        } else if (took(w, "undo")) {
            current = &undo;
        } else if (took(w, "attempts")) {
            p->retry.attempts = (uint32_t)take_number(w);
        } else if (took(w, "backoff")) {
            p->retry.backoff_ns = p->retry.backoff_most_ns = take_duration(w);
        } else if (took(w, "most")) {
            p->retry.backoff_most_ns = take_duration(w);
        } else if (took(w, "driven")) {
            in.caller.task = thing_get(take(w))->id;
        } else if (!option_of_request(w, &in) && !option_of_task(w, current)) {
            scenario_fail("what is \"%s\"?", take(w));
        }
    }
    undo.run_uid = in.caller.uid;
    if (p->action != NULL)
        action.run_uid = in.caller.uid;
    (void)scenario_step(&in);
}

static void
say_about_saga(struct words *w, enum input_kind kind)
{
    struct input in = scenario_input(kind);

    in.subject = thing_get(take(w))->id;
    if (kind == IN_SAGA_RESOLVE)
        in.u.resolve.how = (uint8_t)(took(w, "retry") ? SAGA_RETRY : SAGA_RESOLVE);
    while (more(w)) {
        if (kind == IN_SAGA_ABORT && took(w, "message")) {
            const char *text = take(w);

            in.u.nack.note = (struct bytes){.data = text, .size = strlen(text)};
        } else if (!took(w, "resolved") && !option_of_request(w, &in)) {
            scenario_fail("what is \"%s\"?", take(w));
        }
    }
    (void)scenario_step(&in);
}

bool
statement_of_saga(struct words *w)
{
    if (took(w, "saga"))
        say_begin(w);
    else if (took(w, "step"))
        say_step(w);
    else if (took(w, "complete"))
        say_about_saga(w, IN_SAGA_COMPLETE);
    else if (took(w, "abort"))
        say_about_saga(w, IN_SAGA_ABORT);
    else if (took(w, "resolve"))
        say_about_saga(w, IN_SAGA_RESOLVE);
    else
        return false;
    return true;
}

/* ---- Names ---------------------------------------------------------------------------------- */

void
saga_bind(const struct event *ev)
{
    struct saga_step_view step;
    char name[64];

    if (ev->kind != EV_SAGA_STEP_UNDOING ||
        !kernel_saga_step(S.kernel, ev->subject, (uint32_t)ev->value, &step))
        return;
    /* The view is that after the whole step: one attempt begins in a step, at most. */
    if (step.attempts > 1)
        (void)snprintf(name, sizeof name, "~%.*s%u", (int)ev->text.size,
                       (const char *)ev->text.data, step.attempts);
    else
        (void)snprintf(name, sizeof name, "~%.*s", (int)ev->text.size, (const char *)ev->text.data);
    (void)thing_add(name, ASUP_SORT_TASK, ev->task);
}

/* ---- Trace ------------------------------------------------------------------------------------
 */

bool
trace_saga(const struct event *ev, const char *saga)
{
    static const char *const ends[] = {
        [SAGA_COMPLETED] = "completed", [SAGA_COMPENSATED] = "compensated"};
    int size = (int)ev->text.size;
    const char *text = ev->text.data;

    switch (ev->kind) {
    case EV_SAGA_BEGUN:
        trace_line("%s begun", saga);
        break;
    case EV_SAGA_STEP_BEGUN:
        trace_line("%s step %llu %.*s", saga, (unsigned long long)ev->value, size, text);
        break;
    case EV_SAGA_STEP_DONE:
        trace_line("%s did %.*s", saga, size, text);
        break;
    case EV_SAGA_STEP_FAILED:
        trace_line("%s failed at %.*s", saga, size, text);
        break;
    case EV_SAGA_COMPENSATING:
        trace_line("%s compensating: %.*s", saga, size, text);
        break;
    case EV_SAGA_STEP_UNDOING:
        trace_line("%s undoes %.*s", saga, size, text);
        break;
    case EV_SAGA_STEP_UNDONE:
        trace_line("%s undid %.*s", saga, size, text);
        break;
    case EV_SAGA_NEEDS_ATTENTION:
        trace_line("%s needs attention at %.*s", saga, size, text);
        break;
    case EV_SAGA_RESOLVED:
        trace_line("%s resolved %s", saga, ev->value == SAGA_RETRY ? "retry" : "resolve");
        break;
    case EV_SAGA_ENDED:
        trace_line("%s %s", saga, ends[ev->value]);
        break;
    case EV_SAGA_FORGOTTEN:
        trace_line("%s forgotten", saga);
        break;
    default:
        return false;
    }
    return true;
}
