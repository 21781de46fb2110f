/* SPDX-License-Identifier: MIT */
/*
 * Driving the kernel: time, steps, and what comes of them.
 *
 * Everything a step leaves is dealt with in one place, step_finish: first the
 * events, then the effects in order, each of which waits for the events it
 * depends on to be on disk (output.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/clock.h"
#include "daemon/engine/commit.h"
#include "daemon/engine/kept.h"
#include "daemon/engine/output.h"
#include "daemon/engine/replace.h"
#include "daemon/engine/report.h"
#include "daemon/engine/state.h"
#include "daemon/engine/waits.h"

/* How long to wait for memory. */
#define STARVED_NS (50 * ASUP_NS_PER_MS)

asup_time
engine_now(const struct engine *e)
{
    (void)e;
    return clock_kernel();
}

/* ---- Effects ---------------------------------------------------------------------- */

static void
answer_take(struct answer *a, const struct effect *fx)
{
    a->given = true;
    a->code = fx->code;
    a->after = fx->after;
    a->made = fx->made;
    a->masked = fx->masked;
    a->limit = fx->limit;
    a->list = fx->list;
    a->list_count = fx->list_count;
    a->list_calls = fx->list_calls;
    a->detail[0] = '\0';
    if (fx->detail) {
        size_t size = strnlen(fx->detail, sizeof a->detail - 1);
        memcpy(a->detail, fx->detail, size);
        a->detail[size] = '\0';
    }
}

static void
step_effect(struct engine *e, const struct effect *fx)
{
    if (fx->kind == FX_REPLY)
        waits_answer(e, fx);
    else
        output_effect(e, fx);
}

static void
step_finish(struct engine *e, const struct step *step)
{
    uint64_t wall = step->event_count ? clock_wall(step->events[0].at) : 0;

    commit_events(e, step, wall);
    for (size_t i = 0; i < step->event_count; i++)
        engine_keep_event(e, &step->events[i], wall);
    for (size_t i = 0; i < step->event_count; i++)
        hooks_event(e, &step->events[i]);
    for (size_t i = 0; i < step->effect_count; i++) {
        const struct effect *fx = &step->effects[i];
        if (fx->kind == FX_REPLY && e->asked && fx->token == e->asked)
            answer_take(e->answer, fx);
        else
            step_effect(e, fx);
    }
    if (step->event_count)
        waits_events_came(e);
}

static int
step_run(struct engine *e, struct input *in)
{
    struct step step = {0};

    e->stepping = true;
    in->now = engine_now(e);
    int code = kernel_step(e->kernel, in, &step);
    step_finish(e, &step);
    e->stepping = false;
    return code;
}

/* ---- Inputs -------------------------------------------------------------------------- */

static void
inbox_add(struct inbox *inbox, const struct input *in)
{
    if (inbox->count == inbox->capacity) {
        size_t capacity = inbox->capacity ? inbox->capacity * 2 : 16;
        struct inbox_fact *facts = realloc(inbox->facts, capacity * sizeof *facts);
        if (!facts) {
            /* A fact that is lost would leave a task for ever in its state. */
            report(REPORT_ERROR, "no memory for a fact about a task: the engine starts anew");
            abort();
        }
        inbox->facts = facts;
        inbox->capacity = capacity;
    }
    struct inbox_fact *fact = &inbox->facts[inbox->count++];
    *fact = (struct inbox_fact){.in = *in};
    if (in->kind == IN_TASK_START_FAILED && in->u.start_failed.stage)
        snprintf(fact->stage, sizeof fact->stage, "%s", in->u.start_failed.stage);
}

/* False: no memory, and it is to be brought again (kernel.h). */
static bool
fact_run(struct engine *e, struct input in)
{
    bool starved = step_run(e, &in) == -ASUP_ENOMEM;

    if (starved && !e->inbox.starved)
        report(REPORT_ERROR, "no memory for what happens to tasks: it waits");
    e->inbox.starved = starved;
    return !starved;
}

void
engine_feed(struct engine *e, const struct input *in)
{
    bool waits = e->inbox.starved && e->inbox.count > 0; /* none may overtake another */

    if (in->kind == IN_TICK && !e->stepping) {
        (void)fact_run(e, *in); /* if not, the next one does as well */
        e->inbox.starved = e->inbox.starved || waits;
    } else if (e->stepping || waits || !fact_run(e, *in)) {
        inbox_add(&e->inbox, in);
    }
}

void
engine_ask(struct engine *e, struct input *in, struct answer *answer)
{
    *answer = (struct answer){0};
    if (!in->token)
        in->token = (uint64_t)1 << 63 | ++e->token_last;
    e->asked = in->token;
    e->answer = answer;
    int code = step_run(e, in);
    e->asked = 0;
    e->answer = NULL;
    if (!answer->given && code != 0) {
        answer->given = true;
        answer->code = code;
    }
}

void
engine_settle(struct engine *e)
{
    struct inbox *inbox = &e->inbox;

    /* Steps may add to the inbox: take by index, and look again. */
    for (size_t i = 0; i < inbox->count; i++) {
        struct inbox_fact fact = inbox->facts[i];
        if (fact.in.kind == IN_TASK_START_FAILED)
            fact.in.u.start_failed.stage = fact.stage;
        if (!fact_run(e, fact.in)) {
            inbox->count -= i;
            memmove(inbox->facts, inbox->facts + i, inbox->count * sizeof *inbox->facts);
            return;
        }
    }
    inbox->count = 0;
    if (inbox->capacity > 4096) {
        free(inbox->facts);
        *inbox = (struct inbox){0};
    }
}

/* ---- Time -------------------------------------------------------------------------------- */

static void
on_kernel_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct engine *e = w->data;

    (void)loop;
    (void)revents;
    engine_feed(e, &(struct input){.kind = IN_TICK});
    engine_settle(e);
}

/* Before every sleep: who watches hears what is new; and when must the kernel
 * be stepped though nothing happens? */
static void
on_prepare(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
    struct engine *e = w->data;
    asup_time due = kernel_next_deadline(e->kernel);

    (void)revents;
    commit_turn(e);
    replace_turn(e);
    waits_deliver(e);
    if (e->inbox.starved)
        due = engine_now(e) + STARVED_NS;
    if (due == ASUP_NEVER) {
        ev_timer_stop(loop, &e->kernel_timer);
        return;
    }
    asup_time now = engine_now(e);
    double delay = due > now ? (double)(due - now) / (double)ASUP_NS_PER_S : 0.0;
    /* An hour at most: a timer of libev does not count while the machine
     * sleeps, kernel time does. */
    if (delay > 3600.0)
        delay = 3600.0;
    ev_now_update(loop);
    ev_timer_stop(loop, &e->kernel_timer);
    ev_timer_set(&e->kernel_timer, delay, 0.0);
    ev_timer_start(loop, &e->kernel_timer);
}

void
engine_step_init(struct engine *e)
{
    ev_timer_init(&e->kernel_timer, on_kernel_timer, 0.0, 0.0);
    e->kernel_timer.data = e;
    ev_prepare_init(&e->prepare, on_prepare);
    e->prepare.data = e;
    ev_prepare_start(e->loop, &e->prepare);
}
