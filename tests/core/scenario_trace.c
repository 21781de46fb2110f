/* SPDX-License-Identifier: MIT */
/* Events and orders as lines: who, what happened, and why. */
#include "scenario_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"

void
trace_forget(void)
{
    S.trace_length = 0;
    S.trace[0] = '\0';
    S.trace_time = S.now;
}

const char *
trace_text(void)
{
    return S.trace;
}

static void
trace_add(const char *text)
{
    size_t length = strlen(text);

    if (S.trace_length + length + 2 > sizeof S.trace)
        scenario_fail("the trace is too long");
    memcpy(S.trace + S.trace_length, text, length);
    S.trace_length += length;
    S.trace[S.trace_length++] = '\n';
    S.trace[S.trace_length] = '\0';
}

void
trace_line(const char *format, ...)
{
    char line[512];
    va_list args;

    if (S.trace_time != S.now) {
        char time[ASUP_DURATION_TEXT_SIZE];

        (void)asup_duration_format(since_start(S.now), time, sizeof time);
        (void)snprintf(line, sizeof line, "-- %s", time);
        trace_add(line);
        S.trace_time = S.now;
    }
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    trace_add(line);
}

/* ---- Words for ids, instants, reasons, outcomes ------------------------------- */

struct word {
    char text[256];
};

static struct word
name_of(enum asup_sort sort, uint64_t id)
{
    struct word w;
    const struct thing *t = thing_by_id(sort, id);

    if (t != NULL)
        (void)snprintf(w.text, sizeof w.text, "%s", t->name);
    else
        (void)snprintf(w.text, sizeof w.text, "?%c%llu", (char)sort, (unsigned long long)id);
    return w;
}

static struct word
instant_word(asup_time at)
{
    struct word w;

    if (at == ASUP_NEVER)
        (void)snprintf(w.text, sizeof w.text, "never");
    else
        (void)asup_duration_format(since_start(at), w.text, sizeof w.text);
    return w;
}

/* "parent-cancelled<user": the root cause comes last. */
static struct word
reason_word(uint32_t handle)
{
    struct word w = {.text = ""};
    struct reason_view links[2 * ASUP_DEPTH_MAX + 4];
    size_t count = kernel_reason(S.kernel, handle, links, sizeof links / sizeof links[0]);
    size_t used = 0;
    size_t at = 0;

    /* "parent-cancelled" once, however deep: the depth is the tree's */
    while (at < count && used + 32 < sizeof w.text) {
        const char *kind = asup_cancel_kind_name(links[at].key.kind);

        used +=
            (size_t)snprintf(w.text + used, sizeof w.text - used, "%s%s", at > 0 ? "<" : "", kind);
        at++;
    }
    if (handle == 0)
        (void)snprintf(w.text, sizeof w.text, "no-reason");
    return w;
}

/* "ok", "err 3", "err exec 2", "cancelled user signal 15", "panicked signal 9". */
static struct word
outcome_word(const struct kernel_outcome *o)
{
    struct word w;
    size_t used;

#define ADD(...) used += (size_t)snprintf(w.text + used, sizeof w.text - used, __VA_ARGS__)
    used = (size_t)snprintf(w.text, sizeof w.text, "%s", asup_severity_name(o->key.severity));
    if (o->key.severity == ASUP_CANCELLED)
        ADD(" %s", reason_word(o->reason).text);
    if (o->stage[0] != '\0')
        ADD(" %s", o->stage);
    else if (o->lost)
        ADD(" lost");
    if (o->error != 0)
        ADD(" %d", (int)o->error);
    if (o->key.severity == ASUP_ERR && o->exit_code >= 0)
        ADD(" %d", (int)o->exit_code);
    else if (o->exit_code > 0 || (o->exit_code == 0 && o->key.severity == ASUP_CANCELLED))
        ADD(" exit %d", (int)o->exit_code);
    if (o->signal != 0)
        ADD(" signal %d", (int)o->signal);
    if (o->forced)
        ADD(" forced");
#undef ADD
    return w;
}

/* ---- Events ---------------------------------------------------------------------- */

static void
trace_region(const struct event *ev, const char *region)
{
    switch (ev->kind) {
    case EV_REGION_OPENED:
        trace_line("%s opened", region);
        break;
    case EV_REGION_CANCEL_REQUESTED:
        trace_line("%s cancel %s T %s", region, reason_word(ev->reason).text,
                   instant_word(ev->value).text);
        break;
    case EV_REGION_DECIDED:
        trace_line("%s decided", region);
        break;
    case EV_REGION_FINALIZING:
        trace_line("%s finalizing", region);
        break;
    case EV_REGION_SWEEP_FAILED:
        trace_line("%s sweep failed %llu", region, (unsigned long long)ev->value);
        break;
    case EV_REGION_CLOSED:
        trace_line("%s closed %s", region,
                   ev->outcome != NULL ? outcome_word(ev->outcome).text : "without an outcome");
        break;
    case EV_REGION_CLOSE_TIMEOUT:
        trace_line("%s close timeout%s%s", region, ev->task != 0 ? " for " : "",
                   ev->task != 0 ? name_of(ASUP_SORT_TASK, ev->task).text : "");
        break;
    case EV_REGION_DRAIN_ENDED:
        trace_line("%s drain ended owing %llu", region, (unsigned long long)ev->value);
        break;
    case EV_REGION_OVERCOMMITTED:
        trace_line("%s overcommitted", region);
        break;
    case EV_REGION_FORGOTTEN:
        trace_line("%s forgotten", region);
        break;
    default:
        break;
    }
}

static void
trace_task(const struct event *ev, const char *task)
{
    switch (ev->kind) {
    case EV_TASK_CREATED:
        trace_line("%s created", task);
        break;
    case EV_TASK_STARTED:
        trace_line("%s started", task);
        break;
    case EV_TASK_READY:
        trace_line("%s ready", task);
        break;
    case EV_TASK_CANCEL_REQUESTED:
        trace_line("%s cancel %s T %s", task, reason_word(ev->reason).text,
                   instant_word(ev->value).text);
        break;
    case EV_TASK_EXTENDED:
        trace_line("%s extended to %s", task, instant_word(ev->value).text);
        break;
    case EV_TASK_WATCHDOG_MISSED:
        trace_line("%s missed its watchdog", task);
        break;
    case EV_TASK_COMPLETED:
        trace_line("%s completed %s", task,
                   ev->outcome != NULL ? outcome_word(ev->outcome).text : "without an outcome");
        break;
    case EV_TASK_BROKE_WORD:
        trace_line("%s broke its word", task);
        break;
    case EV_FUTURELOCK:
        trace_line("%s stuck", task);
        break;
    case EV_TASK_LOG_LOST:
        trace_line("%s log lost %llu", task, (unsigned long long)ev->value);
        break;
    case EV_TASK_FORGOTTEN:
        trace_line("%s forgotten", task);
        break;
    case EV_FINALIZER_REGISTERED:
        trace_line("%s registered", task);
        break;
    default:
        break;
    }
}

static void
trace_session(const struct event *ev, const char *session)
{
    switch (ev->kind) {
    case EV_SESSION_OPENED:
        trace_line("%s opened", session);
        break;
    case EV_SESSION_LOST:
        trace_line("%s lost", session);
        break;
    case EV_SESSION_ATTACHED:
        trace_line("%s attached", session);
        break;
    case EV_SESSION_ENDED:
        trace_line("%s ended", session);
        break;
    default:
        break;
    }
}

static void
trace_owed(const struct event *ev)
{
    struct word what = name_of(ASUP_SORT_OBLIGATION, ev->subject);
    struct word who = name_of(ev->holder.sort, ev->holder.id);
    int size = (int)ev->text.size;
    const char *text = ev->text.data;

    switch (ev->kind) {
    case EV_OBLIGATION_RESERVED:
        trace_line("%s reserved by %s", what.text, who.text);
        break;
    case EV_OBLIGATION_COMMITTED:
        trace_line("%s committed", what.text);
        break;
    case EV_OBLIGATION_ABORTED:
        trace_line("%s aborted%s%.*s", what.text, size > 0 ? " " : "", size, text);
        break;
    case EV_OBLIGATION_LEAKED:
        trace_line("%s leaked by %s", what.text, who.text);
        break;
    case EV_OBLIGATION_TRANSFERRED:
        trace_line("%s passed to %s", what.text, who.text);
        break;
    case EV_OBLIGATION_RENEWED:
        trace_line("%s renewed to %s", what.text, instant_word(ev->value).text);
        break;
    case EV_LEASE_ENDED:
        trace_line("%.*s cools", size, text);
        break;
    case EV_LEASE_FREE:
        trace_line("%.*s free", size, text);
        break;
    default: /* LEASE_GRANTED: its obligation says so */
        break;
    }
}

static void
trace_worker(const struct event *ev)
{
    struct word worker = name_of(ASUP_SORT_SESSION, ev->session);
    struct word task = name_of(ASUP_SORT_TASK, ev->task);

    switch (ev->kind) {
    case EV_WORKER_OFFERED:
        trace_line("%s offers", worker.text);
        break;
    case EV_WORKER_WITHDRAWN:
        trace_line("%s %s", worker.text, ev->value != 0 ? "was quiet" : "withdrawn");
        break;
    case EV_WORKER_DRAINED:
        trace_line("%s drained", worker.text);
        break;
    case EV_WORKER_LOST:
        trace_line("worker %s lost", worker.text);
        break;
    case EV_CALL_TAKEN:
        trace_line("%s taken by %s", task.text, worker.text);
        break;
    case EV_CALL_STARTED:
        trace_line("%s begun by %s", task.text, worker.text);
        break;
    case EV_CALL_GIVEN_BACK:
        trace_line("%s given back by %s", task.text, worker.text);
        break;
    case EV_CALL_RETRIED:
        trace_line("%s again at %s after %s", task.text, instant_word(ev->value).text,
                   outcome_word(ev->outcome).text);
        break;
    default:
        break;
    }
}

static void
trace_event(const struct event *ev)
{
    bool of_region = ev->kind >= EV_REGION_OPENED && ev->kind <= EV_REGION_FORGOTTEN;

    if (trace_channel(ev))
        return;
    if (ev->subject != 0 && trace_saga(ev, name_of(ASUP_SORT_SAGA, ev->subject).text))
        return;
    if (ev->subject != 0 && trace_capability(ev, name_of(ASUP_SORT_CAPABILITY, ev->subject).text))
        return;
    if (ev->subject != 0 && ev->kind != EV_FUTURELOCK)
        trace_owed(ev);
    else if (ev->kind >= EV_WORKER_OFFERED && ev->kind <= EV_CALL_RETRIED)
        trace_worker(ev);
    else if (ev->task != 0 && !of_region)
        trace_task(ev, name_of(ASUP_SORT_TASK, ev->task).text);
    else if (ev->session != 0 && !of_region)
        trace_session(ev, name_of(ASUP_SORT_SESSION, ev->session).text);
    else if (ev->region != 0)
        trace_region(ev, name_of(ASUP_SORT_REGION, ev->region).text);
}

/* ---- Orders ------------------------------------------------------------------------ */

/* "w1 gets t1 t2 cancel t3": what begins and what is only taken, the events say. */
static void
trace_given(const struct effect *fx)
{
    char text[2000];
    size_t used = 0;

    for (uint32_t i = 0; i < fx->list_count && used + 64 < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s",
                                 i == fx->list_calls ? " cancel" : "",
                                 name_of(fx->list[i].sort, fx->list[i].id).text);
    trace_line("%s gets%s", name_of(fx->made.sort, fx->made.id).text,
               fx->list_count > 0 ? text : " nothing");
}

void
trace_reply(const struct effect *fx)
{
    struct thing *wait = thing_by_id(ASUP_SORT_NONE, fx->token);

    if (fx->list != NULL)
        trace_given(fx);
    else if (wait != NULL && wait->takes && fx->code == 0) {
        wait->sort = ASUP_SORT_OBLIGATION;
        wait->id = fx->made.id;
        trace_line("%s granted", wait->name);
    } else if (wait != NULL && fx->code == 0)
        trace_line("%s told", wait->name);
    else if (wait != NULL)
        trace_line("%s refused %s%s%s", wait->name, asup_error_name(fx->code),
                   fx->limit != NULL ? " " : "", fx->limit != NULL ? fx->limit : "");
    else if (fx->code != 0)
        trace_line("refused %s%s%s", asup_error_name(fx->code), fx->limit != NULL ? " " : "",
                   fx->limit != NULL ? fx->limit : "");
    else if (S.show_answer)
        trace_line("answered %s", name_of(fx->made.sort, fx->made.id).text);
    if (fx->code == 0 && fx->detail != NULL)
        trace_line("advised");
    if (fx->masked)
        trace_line("masked");
}

static void
trace_order(const struct effect *fx)
{
    struct word task = name_of(ASUP_SORT_TASK, fx->task);

    switch (fx->kind) {
    case FX_REPLY:
        trace_reply(fx);
        break;
    case FX_START:
        trace_line("start %s", task.text);
        break;
    case FX_SIGNAL:
        trace_line("signal %s %d", task.text, (int)fx->signal);
        break;
    case FX_KILL:
        trace_line("kill %s", task.text);
        break;
    case FX_SAMPLE:
        trace_line("sample %s", task.text);
        break;
    case FX_QUIESCENT:
        trace_line("quiescent");
        break;
    case FX_SWEEP:
        if (!S.shell.sweeps)
            trace_line("sweep %s", name_of(ASUP_SORT_REGION, fx->region).text);
        break;
    case FX_FORGET:
        break;
    }
}

void
trace_events(const struct step *step)
{
    for (size_t i = 0; i < step->event_count; i++)
        trace_event(&step->events[i]);
    for (size_t i = 0; i < step->effect_count; i++)
        trace_order(&step->effects[i]);
}
