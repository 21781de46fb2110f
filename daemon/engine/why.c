/* SPDX-License-Identifier: MIT */
#include "daemon/engine/why.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/bodies_owed.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/notify.h"
#include "daemon/engine/why_parts.h"

/* How much of a wide region is looked at before the best so far is taken. */
enum { LOOK_MAX = 4096, PROCESSES_SHOWN = 4 };

/* "1.5s", for notes. */
const char *
why_span(uint64_t ns, char out[24])
{
    if (ns == ASUP_NEVER)
        snprintf(out, 24, "no limit");
    else if (ns >= 60 * ASUP_NS_PER_S)
        snprintf(out, 24, "%" PRIu64 "m%02" PRIu64 "s", ns / (60 * ASUP_NS_PER_S),
                 ns / ASUP_NS_PER_S % 60);
    else
        snprintf(out, 24, "%" PRIu64 ".%" PRIu64 "s", ns / ASUP_NS_PER_S,
                 ns % ASUP_NS_PER_S / (ASUP_NS_PER_S / 10));
    return out;
}

struct why_link *
why_add_link(struct why *why)
{
    struct why_link *link = &why->links[why->link_count];

    if (why->link_count < WHY_LINKS_MAX - 1)
        why->link_count++;
    *link = (struct why_link){.left_ns = ASUP_NEVER};
    return link;
}

void
why_add_trouble(struct why *why, const char *name, struct asup_ref ref, const char *format, ...)
{
    va_list args;

    if (why->trouble_count == WHY_TROUBLES_MAX)
        return;
    struct why_trouble *t = &why->troubles[why->trouble_count++];
    t->name = name;
    t->ref = ref;
    va_start(args, format);
    vsnprintf(t->message, sizeof t->message, format, args);
    va_end(args);
}

bool
why_shown(const struct why *why, struct asup_ref ref)
{
    for (size_t i = 0; i < why->link_count; i++) {
        if (why->links[i].ref.sort == ref.sort && why->links[i].ref.id == ref.id)
            return true;
    }
    return false;
}

bool
why_sees(const struct why *why, uint32_t uid)
{
    return why->privileged || why->uid == uid;
}

/* "timeout: 'too slow'" */
static void
reason_text(const struct why *why, uint32_t reason, char *out, size_t size)
{
    struct reason_view links[ASUP_DEPTH_MAX + 8];
    size_t count =
        kernel_reason(why->engine->kernel, reason, links, sizeof links / sizeof links[0]);

    *out = '\0';
    if (count == 0)
        return;
    if (count > sizeof links / sizeof links[0])
        count = sizeof links / sizeof links[0];
    const struct reason_view *root = &links[count - 1];
    snprintf(out, size, "%s%s%.*s%s", cancel_kind_name(root->key.kind),
             root->message.size ? " \"" : "", (int)root->message.size,
             root->message.size ? (const char *)root->message.data : "",
             root->message.size ? "\"" : "");
}

/* ---- Processes ------------------------------------------------------------------------ */

static void
add_process(struct why *why, uint32_t pid, const char *role)
{
    struct procinfo info;
    struct why_link *link = why_add_link(why);
    asup_time started = procinfo_started(pid);

    procinfo_read(pid, &info);
    link->kind = "process";
    link->pid = pid;
    link->state = info.state == 'D'                        ? "uninterruptible"
                  : info.state == 'T' || info.state == 't' ? "stopped"
                  : info.state == 'Z'                      ? "zombie"
                  : info.state                             ? "running"
                                                           : "unknown";
    snprintf(link->name, sizeof link->name, "%s", info.name);
    link->age_ns = started && started < why->now ? why->now - started : 0;
    snprintf(link->note, sizeof link->note, "%s, %s%s%s", role, procinfo_note(info.state),
             info.where[0] ? ", in " : "", info.where);
}

/* What lives in the task's cgroup besides its main process. */
static void
add_processes(struct why *why, const struct task_view *task)
{
    struct engine *e = why->engine;
    uint64_t path[LINK_PATH_MAX];
    uint32_t pids[PROCESSES_SHOWN];
    char cgroup[900];

    if (task->pid && !task->main_ended) {
        add_process(why, task->pid, "main process");
        return;
    }
    /* One that hangs before its program runs has no number here yet. */
    if (!e->hello.cgroup[0] || !task->start_ordered)
        return;
    size_t used = (size_t)snprintf(cgroup, sizeof cgroup, "%s", e->hello.cgroup);
    uint32_t depth = keeper_path(e, task->region, path);
    for (uint32_t i = 0; i < depth && used < sizeof cgroup - 32; i++)
        used += (size_t)snprintf(cgroup + used, sizeof cgroup - used, "/r%" PRIu64, path[i]);
    snprintf(cgroup + used, sizeof cgroup - used, "/t%" PRIu64, task->id);
    size_t count = procinfo_cgroup(cgroup, pids, PROCESSES_SHOWN);
    for (size_t i = 0; i < count; i++)
        add_process(why, pids[i], task->started ? "left over" : "being started");
}

/* ---- Tasks -------------------------------------------------------------------------------- */

static void
task_note(struct why *why, const struct task_view *t, char *note, size_t size)
{
    char left[24];
    char reason[160];
    const char *said = notify_status(why->engine, t->id);
    size_t used;

    why_span(time_left(t->kill_at, why->now), left);
    reason_text(why, t->reason, reason, sizeof reason);
    if (why_call_note(why, t, note, size))
        ;
    else if (t->state == ASUP_TASK_COMPLETED)
        snprintf(note, size, "it has ended");
    else if (t->unkillable)
        snprintf(note, size, "it was killed and is still there");
    else if (t->escalated)
        snprintf(note, size, "it was killed; its end is awaited");
    else if (t->main_ended)
        snprintf(note, size, "its main process ended, but not all that it started%s%s",
                 t->kill_at == ASUP_NEVER ? "" : "; the rest is killed in ",
                 t->kill_at == ASUP_NEVER ? "" : left);
    else if (t->reason && t->kill_at != ASUP_NEVER)
        snprintf(note, size, "asked to end (%s), killed in %s", reason, left);
    else if (t->reason)
        snprintf(note, size, "asked to end (%s), never killed: its region is soft", reason);
    else if (t->state == ASUP_TASK_CREATED && t->finalizer && !t->start_ordered)
        snprintf(note, size, "registered; it runs when its region has drained");
    else if (t->state == ASUP_TASK_CREATED && t->due_at > why->now)
        snprintf(note, size, "delayed; starts in %s", why_span(t->due_at - why->now, left));
    else if (t->state == ASUP_TASK_CREATED && t->start_ordered)
        snprintf(note, size, "being started");
    else if (t->state == ASUP_TASK_CREATED)
        snprintf(note, size, "waits for its turn to start");
    else if (t->kill_at != ASUP_NEVER)
        snprintf(note, size, "running, killed in %s", left);
    else if (t->notify && !t->ready)
        snprintf(note, size, "running, not ready yet; nothing asks it to end");
    else
        snprintf(note, size, "running; nothing asks it to end");
    used = strlen(note);
    if (said && used < size)
        snprintf(note + used, size - used, "; it says: %s", said);
}

void
why_follow_task(struct why *why, uint64_t id)
{
    struct task_view t;
    struct asup_ref ref = {.id = id, .sort = ASUP_SORT_TASK};

    if (!kernel_task(why->engine->kernel, id, &t))
        return;
    struct why_link *link = why_add_link(why);
    link->ref = ref;
    link->kind = t.finalizer ? "finalizer" : "task";
    link->state = task_state_name(t.state);
    link->pid = t.main_ended ? 0 : t.pid;
    struct bytes label = task_shown_label(why->engine->kernel, &t);
    snprintf(link->name, sizeof link->name, "%.*s", (int)label.size,
             label.size ? (const char *)label.data : "");
    link->age_ns = why->now - (t.started ? t.started_at : t.created_at);
    link->left_ns = t.state == ASUP_TASK_COMPLETED ? ASUP_NEVER
                    : t.kill_at != ASUP_NEVER      ? time_left(t.kill_at, why->now)
                                                   : time_left(t.effective.limit_at, why->now);
    task_note(why, &t, link->note, sizeof link->note);
    if (t.unkillable)
        why_add_trouble(
            why, "RegionCloseTimeout", ref,
            "t%" PRIu64 " was killed and is still there; see the state of its processes", id);
    if (t.log_lost)
        why_add_trouble(why, "TaskLogLost", ref, "%" PRIu64 " bytes of its output were not kept",
                        t.log_lost);
    /* One that waits for somebody is not held up by its own process. */
    bool waits = t.state != ASUP_TASK_COMPLETED && why_follow_holder(why, ref);
    if (!waits && !why_follow_call(why, &t) && t.state != ASUP_TASK_COMPLETED)
        add_processes(why, &t);
}

/* ---- Sagas -------------------------------------------------------------------------------- */

/* One link, and what it waits for: 0, or a task. */
static uint64_t
follow_saga(struct why *why, uint64_t id)
{
    struct asup_ref ref = {.id = id, .sort = ASUP_SORT_SAGA};
    struct saga_step_view step = {0};
    struct saga_view s;
    char left[24];

    if (!kernel_saga(why->engine->kernel, id, &s))
        return 0;
    struct why_link *link = why_add_link(why);
    link->ref = ref;
    link->kind = "saga";
    link->state = saga_state_name(s.state);
    snprintf(link->name, sizeof link->name, "%.*s", (int)s.name.size, (const char *)s.name.data);
    link->age_ns = (s.state >= SAGA_COMPLETED ? s.ended_at : why->now) - s.begun_at;
    uint32_t number = s.step_at ? s.step_at : s.step_count;
    bool has_step = kernel_saga_step(why->engine->kernel, id, number, &step);
    int size = (int)step.name.size;
    const char *name = has_step ? step.name.data : "";

    switch (s.state) {
    case SAGA_RUNNING:
        if (has_step && step.state == STEP_RUNNING)
            snprintf(link->note, sizeof link->note, "at its step %u (%.*s)", number, size, name);
        else
            snprintf(link->note, sizeof link->note,
                     "%u steps done; its driver %c%" PRIu64 " completes or aborts it", s.step_count,
                     (char)s.driver.sort, s.driver.id);
        return step.state == STEP_RUNNING ? step.action : 0;
    case SAGA_COMPENSATING:
        if (step.state == STEP_COMPENSATING && step.next_at != ASUP_NEVER) {
            snprintf(link->note, sizeof link->note,
                     "undoes its step %u (%.*s); attempt %u of %u failed, the next comes in %s",
                     number, size, name, step.attempts, step.attempts_most,
                     why_span(time_left(step.next_at, why->now), left));
            return 0;
        }
        snprintf(link->note, sizeof link->note, "undoes its step %u (%.*s), attempt %u", number,
                 size, name, step.attempts);
        return step.state == STEP_RUNNING ? step.action : step.undo;
    case SAGA_NEEDS_ATTENTION:
        snprintf(link->note, sizeof link->note,
                 "could not undo its step %u (%.*s) in %u attempts; waits for an operator", number,
                 size, name, step.attempts);
        why_add_trouble(why, "NeedsAttention", ref,
                        "the compensation of step %u (%.*s) failed %u times: asupersyncctl saga "
                        "resolve g%" PRIu64 " --retry, or --resolved once it is made up for",
                        number, size, name, step.attempts, id);
        return 0;
    default:
        snprintf(link->note, sizeof link->note, "it has ended: %s", link->state);
        return 0;
    }
}

/* The saga that a region waits for: one that needs attention or is undone, or,
 * when it finishes, is not completed; 0: none. */
static uint64_t
saga_awaited(const struct why *why, const struct region_view *r)
{
    const struct kernel *k = why->engine->kernel;
    struct asup_ref at = {0};
    struct saga_view s;
    uint64_t best = 0;
    uint8_t best_state = 0;

    if (r->sagas == 0 || (r->state != ASUP_REGION_FINALIZING && (r->cancelled || !r->sealed)))
        return 0;
    while ((at = kernel_stack_next(k, r->id, at)).sort != ASUP_SORT_NONE) {
        if (at.sort != ASUP_SORT_SAGA || !kernel_saga(k, at.id, &s) || !why_sees(why, s.uid))
            continue;
        if (s.state == SAGA_RUNNING && r->state == ASUP_REGION_FINALIZING)
            continue;
        if (!best || s.state > best_state) {
            best = at.id;
            best_state = s.state;
        }
    }
    return best;
}

/* ---- Regions -------------------------------------------------------------------------------- */

/* The live task that will take longest; 0: none. */
static uint64_t
slowest_task(const struct why *why, uint64_t first, bool *unkillable)
{
    struct task_view t;
    uint64_t best = 0;
    asup_time best_end = 0;
    int looked = 0;

    for (uint64_t id = first; id && looked++ < LOOK_MAX && kernel_task(why->engine->kernel, id, &t);
         id = t.next) {
        if (!why_sees(why, t.uid) || (t.finalizer && !t.start_ordered))
            continue;
        asup_time end = t.unkillable ? ASUP_NEVER : t.kill_at;
        if (!best || end > best_end || (t.unkillable && !*unkillable)) {
            best = id;
            best_end = end;
            *unkillable = t.unkillable;
        }
    }
    return best;
}

static uint64_t
slowest_child(const struct why *why, uint64_t first, bool *stuck)
{
    struct region_view r;
    uint64_t best = 0;
    asup_time best_end = 0;
    int looked = 0;

    for (uint64_t id = first;
         id && looked++ < LOOK_MAX && kernel_region(why->engine->kernel, id, &r);
         id = r.sibling_next) {
        if (!why_sees(why, r.uid))
            continue;
        if (!best || r.close_by > best_end || (r.close_timeout && !*stuck)) {
            best = id;
            best_end = r.close_by;
            *stuck = r.close_timeout;
        }
    }
    return best;
}

/* "1 task and 2 regions": what a region still holds. */
static const char *
holdings(const struct region_view *r, char *out, size_t size)
{
    snprintf(out, size, "%u task%s and %u region%s", r->tasks_live, r->tasks_live == 1 ? "" : "s",
             r->children_live, r->children_live == 1 ? "" : "s");
    return out;
}

static void
region_note(struct why *why, const struct region_view *r, char *note, size_t size)
{
    char left[24];
    char reason[140];
    char held[48];

    reason_text(why, r->reason, reason, sizeof reason);
    why_span(time_left(r->drain_end, why->now), left);
    holdings(r, held, sizeof held);
    switch (r->state) {
    case ASUP_REGION_OPEN:
        snprintf(note, size, "open, with %s; nothing asks it to end", held);
        return;
    case ASUP_REGION_FINALIZING:
        if (r->sagas_attention)
            snprintf(note, size, "drained; %u of its sagas need%s attention", r->sagas_attention,
                     r->sagas_attention == 1 ? "s" : "");
        else if (r->sagas)
            snprintf(note, size, "drained; its stack runs: %u sagas and %u finalizers left",
                     r->sagas, r->finalizers);
        else if (r->finalizers || r->tasks_live)
            snprintf(note, size, "drained; its finalizers run, %u left", r->finalizers);
        else if (owed(r->obligations))
            snprintf(note, size, "drained; %u obligation%s to be resolved", owed(r->obligations),
                     owed(r->obligations) == 1 ? " is" : "s are");
        else if (r->sweep_error)
            snprintf(note, size, "its work directory or cgroup cannot be removed: %s; tried again",
                     strerrordesc_np(r->sweep_error));
        else
            snprintf(note, size, "its work directory and cgroup are being removed");
        return;
    case ASUP_REGION_CLOSED:
        snprintf(note, size, "closed; nothing of it is left");
        return;
    default:
        if (!r->cancelled && r->sagas_running)
            snprintf(note, size, "finishing: %s and %u saga%s may end by themselves", held,
                     r->sagas_running, r->sagas_running == 1 ? "" : "s");
        else if (!r->cancelled)
            snprintf(note, size, "finishing: %s may end by themselves", held);
        else if (r->drain_end == ASUP_NEVER)
            snprintf(note, size, "cancelled (%s), soft: waits for %s", reason, held);
        else
            snprintf(note, size, "cancelled (%s): waits for %s; kills in %s", reason, held, left);
        return;
    }
}

/* One link; what comes next goes to *region or *task. */
static void
follow_region(struct why *why, uint64_t *region, uint64_t *task)
{
    char path[REGION_PATH_SIZE];
    struct region_view r;
    struct asup_ref ref = {.id = *region, .sort = ASUP_SORT_REGION};
    bool task_stuck = false;
    bool child_stuck = false;

    if (!kernel_region(why->engine->kernel, *region, &r)) {
        *region = 0;
        return;
    }
    struct why_link *link = why_add_link(why);
    link->ref = ref;
    link->kind = "region";
    link->state = region_state_name(r.state);
    region_path(why->engine->kernel, r.id, path, sizeof path);
    snprintf(link->name, sizeof link->name, "%.*s", (int)sizeof link->name - 1, path);
    link->age_ns = why->now - r.opened_at;
    link->left_ns = r.state == ASUP_REGION_OPEN     ? time_left(r.budget.limit_at, why->now)
                    : r.state == ASUP_REGION_CLOSED ? ASUP_NEVER
                                                    : time_left(r.close_by, why->now);
    region_note(why, &r, link->note, sizeof link->note);
    if (r.close_timeout)
        why_add_trouble(why, "RegionCloseTimeout", ref,
                        "r%" PRIu64 " should be closed by now: what was killed is still there",
                        r.id);
    if (r.sweep_error && r.state != ASUP_REGION_CLOSED)
        why_add_trouble(why, "RegionCloseTimeout", ref,
                        "the work directory or cgroup of r%" PRIu64 " cannot be removed: %s", r.id,
                        strerrordesc_np(r.sweep_error));
    why_region_owed(why, &r);
    *region = 0;
    if (r.state == ASUP_REGION_OPEN || r.state == ASUP_REGION_CLOSED)
        return;
    *task = slowest_task(why, r.task_first, &task_stuck);
    uint64_t saga = *task || r.child_first ? 0 : saga_awaited(why, &r);
    if (saga) {
        *task = follow_saga(why, saga);
        return;
    }
    if (!*task)
        *task = slowest_task(why, r.finalizer_top, &task_stuck);
    if (!*task && !r.child_first && owed(r.obligations)) {
        why_follow_obligation(why, kernel_obligation_next(why->engine->kernel, r.id, 0));
        return;
    }
    uint64_t child = slowest_child(why, r.child_first, &child_stuck);
    if (!child)
        return;
    struct task_view t;
    struct region_view c;
    bool task_longer = *task && kernel_task(why->engine->kernel, *task, &t) &&
                       kernel_region(why->engine->kernel, child, &c) &&
                       (task_stuck || (!child_stuck && t.kill_at >= c.close_by));
    if (!task_longer) {
        *region = child;
        *task = 0;
    }
}

void
why_summarize(struct why *why)
{
    char first[32];
    char last[32];

    if (why->link_count == 0)
        return;
    const struct why_link *a = &why->links[0];
    const struct why_link *z = &why->links[why->link_count - 1];
    snprintf(first, sizeof first, "%c%" PRIu64, (char)a->ref.sort, a->ref.id);
    if (z->ref.sort == ASUP_SORT_NONE)
        snprintf(last, sizeof last, "process %" PRIu32, z->pid);
    else
        snprintf(last, sizeof last, "%c%" PRIu64, (char)z->ref.sort, z->ref.id);
    if (a == z)
        snprintf(why->summary, sizeof why->summary, "%s: %s", first, a->note);
    else if (z->ref.sort == ASUP_SORT_NONE && a + 1 != z)
        snprintf(why->summary, sizeof why->summary, "%s waits for %c%" PRIu64 " (%s), %s %s: %s",
                 first, (char)(z - 1)->ref.sort, (z - 1)->ref.id, (z - 1)->note, last, z->name,
                 z->note);
    else if (z->ref.sort == ASUP_SORT_NONE)
        snprintf(why->summary, sizeof why->summary, "%s: %s; %s %s: %s", first, a->note, last,
                 z->name, z->note);
    else
        snprintf(why->summary, sizeof why->summary, "%s waits for %s: %s", first, last, z->note);
}

void
why_region(struct why *why, uint64_t id)
{
    uint64_t region = id;
    uint64_t task = 0;

    for (int i = 0; region && i <= ASUP_DEPTH_MAX; i++)
        follow_region(why, &region, &task);
    if (task)
        why_follow_task(why, task);
    why_summarize(why);
}

void
why_saga(struct why *why, uint64_t id)
{
    uint64_t task = follow_saga(why, id);

    if (task)
        why_follow_task(why, task);
    why_summarize(why);
}

void
why_task(struct why *why, uint64_t id)
{
    why_follow_task(why, id);
    why_summarize(why);
}

void
why_session(struct why *why, uint64_t id)
{
    struct session_view s;
    char left[24];

    if (!kernel_session(why->engine->kernel, id, &s))
        return;
    struct why_link *link = why_add_link(why);
    link->ref = (struct asup_ref){.id = id, .sort = ASUP_SORT_SESSION};
    link->kind = "session";
    link->state = s.connected ? "connected" : "disconnected";
    link->pid = s.pid;
    link->left_ns = time_left(s.expires_at, why->now);
    if (s.connected)
        snprintf(link->note, sizeof link->note, "connected; %u regions end with it", s.regions);
    else
        snprintf(link->note, sizeof link->note,
                 "its last connection is gone; it ends in %s, with what it holds and %u regions",
                 why_span(link->left_ns, left), s.regions);
    why_follow_worker(why, id);
    why_summarize(why);
}
