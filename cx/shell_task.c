/* SPDX-License-Identifier: MIT */
/* Records of tasks: made, started, signalled, given up, ended. */
#include "cx/shell_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Records -------------------------------------------------------------------------- */

static bool
chunk_add(struct shell *s)
{
    struct task_fiber **chunks =
        realloc(s->records, (s->chunk_count + 1) * sizeof(struct task_fiber *));
    struct task_fiber *chunk;

    if (chunks == NULL)
        return false;
    s->records = chunks;
    chunk = calloc(RECORDS_PER_CHUNK, sizeof *chunk);
    if (chunk == NULL)
        return false;
    for (uint32_t i = RECORDS_PER_CHUNK; i-- > 0;) {
        chunk[i].slot = s->chunk_count * RECORDS_PER_CHUNK + i;
        chunk[i].run_next = s->records_free;
        s->records_free = &chunk[i];
    }
    chunks[s->chunk_count++] = chunk;
    return true;
}

static bool
timers_reserve(struct shell *s, uint32_t count)
{
    uint32_t capacity = s->timer_capacity;
    struct task_fiber **timers;

    if (count <= capacity)
        return true;
    while (capacity < count)
        capacity = capacity == 0 ? RECORDS_PER_CHUNK : 2 * capacity;
    timers = realloc(s->timers, capacity * sizeof(struct task_fiber *));
    if (timers == NULL)
        return false;
    s->timers = timers;
    s->timer_capacity = capacity;
    return true;
}

struct task_fiber *
record_new(struct shell *s, const struct shell_body *body)
{
    struct task_fiber *t;
    uint32_t slot;

    if (!id_map_reserve(&s->tasks, 1) || !timers_reserve(s, s->record_count + 1) ||
        !run_reserve(s, s->record_count + 1) || (s->records_free == NULL && !chunk_add(s)))
        return NULL;
    t = s->records_free;
    s->records_free = t->run_next;
    s->record_count++;
    slot = t->slot;
    *t = (struct task_fiber){
        .shell = s, .slot = slot, .body = *body, .wake_place = NOWHERE, .wake_at = ASUP_NEVER};
    return t;
}

void
record_known(struct shell *s, struct task_fiber *t, uint64_t id)
{
    t->id = id;
    id_map_add(&s->tasks, id, t);
}

struct task_fiber *
record_of(const struct shell *s, uint64_t task)
{
    return id_map_find(&s->tasks, task);
}

void
record_free(struct shell *s, struct task_fiber *t)
{
    shell_must(t->fiber == NULL && t->grave == NULL && t != s->running);
    objects_release(s, t);
    shell_memory_free(t->memory);
    free(t->words);
    if (t->id != 0)
        (void)id_map_drop(&s->tasks, t->id);
    t->id = 0;
    t->wait_token = 0;
    t->run_next = s->records_free;
    s->records_free = t;
    s->record_count--;
}

void
records_free(struct shell *s)
{
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        for (uint32_t j = 0; j < RECORDS_PER_CHUNK; j++) {
            struct task_fiber *t = &s->records[i][j];

            if (t->id == 0)
                continue;
            if (t->fiber != NULL)
                fiber_free(t->fiber);
            if (t->grave != NULL)
                fiber_free(t->grave);
            objects_release(s, t);
            shell_memory_free(t->memory);
            free(t->words);
        }
        free(s->records[i]);
    }
    free(s->records);
    free(s->timers);
    free(s->tasks.entries);
    free(s->scopes.entries);
    free(s->sagas.entries);
}

struct task_fiber *
shell_running(const struct shell *s)
{
    return s->running;
}

uint64_t
shell_task_id(const struct task_fiber *t)
{
    return t->id;
}

/* ---- Start ------------------------------------------------------------------------------- */

static void
entry(void *arg)
{
    struct task_fiber *t = arg;

    t->result = t->body.body(t->cx, t->body.arg);
}

static bool
cx_make(struct shell *s, struct task_fiber *t, uint64_t region)
{
    t->cx = object_make(s, t, OBJECT_CX, NULL);
    if (t->cx == NULL)
        return false;
    t->cx->task = t->id;
    t->cx->region = region;
    return true;
}

static void
start_failed(struct shell *s, uint64_t task)
{
    struct input in = {.kind = IN_TASK_START_FAILED, .task = task};

    in.u.start_failed.stage = "stack";
    in.u.start_failed.error = 12; /* ENOMEM */
    (void)shell_step(s, &in);
}

/* One that the kernel makes by itself is a compensation: known by its job. */
static struct task_fiber *
record_of_job(struct shell *s, uint64_t task, uint32_t job)
{
    struct task_fiber *t;

    if (job == 0 || job > s->job_count || s->jobs[job - 1].body.body == NULL)
        return NULL;
    t = record_new(s, &s->jobs[job - 1].body);
    if (t != NULL) {
        t->finalizer = true;
        record_known(s, t, task);
    }
    return t;
}

void
task_start(struct shell *s, const struct order *o)
{
    struct task_fiber *t = record_of(s, o->id);

    if (t == NULL)
        t = record_of_job(s, o->id, o->job);
    if (t != NULL && (t->fiber != NULL || t->ended))
        return;
    if (t != NULL && cx_make(s, t, o->region))
        t->fiber = fiber_new(s->fibers, t->body.stack_size, entry, t);
    if (t == NULL || t->fiber == NULL) {
        if (t != NULL)
            t->ended = true;
        start_failed(s, o->id);
        return;
    }
    shell_fact(s, IN_TASK_STARTED, o->id);
    run_add(s, t);
}

/* ---- Cancel -------------------------------------------------------------------------------- */

void
task_signal(struct shell *s, struct task_fiber *t)
{
    if (t->ended)
        return; /* its scopes are what is left, and they end already */
    if (t->lane == RUN_READY && s->world.choose == NULL) {
        run_remove(s, t);
        run_add(s, t);
    }
    wait_cancel(s, t);
}

/* Its scopes end by its own T, those that are soft when they do. */
static void
scope_cancel(struct shell *s, const struct task_fiber *t, const struct asup_cx *scope)
{
    struct input in = {.kind = IN_REGION_END, .region = scope->region};
    struct region_view region;
    struct task_view task;
    char message[64];

    if (!kernel_region(s->kernel, scope->region, &region) || region.has_outcome ||
        !kernel_task(s->kernel, t->id, &task))
        return;
    if (region.cancelled && (region.soft || region.drain_end <= task.kill_at))
        return; /* it was cancelled with what lies above it */
    (void)snprintf(message, sizeof message, "its task t%llu was cancelled",
                   (unsigned long long)t->id);
    in.u.end.mode = ASUP_END_CANCEL;
    in.u.end.message = (struct bytes){message, strlen(message)};
    in.u.end.drain_ns = ASUP_NEVER;
    if (!region.soft && task.kill_at != ASUP_NEVER)
        in.u.end.drain_ns = task.kill_at > s->now ? task.kill_at - s->now : 0;
    (void)shell_ask(s, &in);
}

/* The scopes a task has open: none comes or goes while they are walked, since that takes a call
 * of a task. */
static const struct asup_cx *
scope_next(const struct shell_object *o)
{
    for (; o != NULL; o = o->next) {
        const struct asup_cx *cx = (const void *)o;

        if (o->kind == OBJECT_CX && cx->scope && !cx->closed)
            return cx;
    }
    return NULL;
}

void
task_cancel_scopes(struct shell *s, struct task_fiber *t)
{
    for (const struct asup_cx *scope = scope_next(t->objects); scope != NULL;
         scope = scope_next(scope->object.next))
        scope_cancel(s, t, scope);
}

/* ---- End ------------------------------------------------------------------------------------- */

static void
scope_end(struct shell *s, const struct asup_cx *scope, bool at_once)
{
    struct input in = {.kind = IN_REGION_END, .region = scope->region};
    struct region_view region;

    in.u.end.mode = ASUP_END_CLOSE;
    in.u.end.drain_ns = ASUP_NEVER;
    if (at_once && kernel_region(s->kernel, scope->region, &region) && !region.soft)
        in.u.end.drain_ns = 0;
    (void)shell_ask(s, &in);
}

static uint32_t
scopes_end(struct shell *s, struct task_fiber *t, bool at_once)
{
    const struct asup_cx *scope;
    uint32_t count = 0;

    for (scope = scope_next(t->objects); scope != NULL; scope = scope_next(scope->object.next))
        scope_end(s, scope, at_once);
    for (scope = scope_next(t->objects); scope != NULL; scope = scope_next(scope->object.next))
        count++;
    return count;
}

/* What is not a scope that still ends. */
static void
others_release(struct task_fiber *t)
{
    struct shell_object *next;

    for (struct shell_object *o = t->objects; o != NULL; o = next) {
        const struct asup_cx *cx = (const void *)o;

        next = o->next;
        if (o->kind != OBJECT_CX || !cx->scope || cx->closed)
            shell_object_free(o);
    }
    t->cx = NULL;
}

static void
say_panic(struct shell *s, struct task_fiber *t)
{
    if (t->overflowed) {
        struct task_view view = {0};

        (void)kernel_task(s->kernel, t->id, &view);
        free(t->words);
        t->words = malloc(WORDS_SIZE);
        if (t->words != NULL)
            (void)snprintf(t->words, WORDS_SIZE, "t%llu%s%.*s overflowed its stack of %zu bytes",
                           (unsigned long long)t->id, view.label.size > 0 ? " " : "",
                           (int)view.label.size, (const char *)view.label.data,
                           fiber_stack_size(t->fiber));
    }
    if (s->world.traced != NULL)
        s->world.traced(s->world.ctx, t->id, t->words != NULL ? t->words : "panicked");
    words_add(s, t->id, t->words);
    t->words = NULL;
}

enum { SIGNAL_ABORT = 6, SIGNAL_KILL = 9, SIGNAL_FAULT = 11 };

static struct process_exit
exit_of(struct shell *s, struct task_fiber *t, bool killed)
{
    struct process_exit x = {.exit_code = -1};

    if (killed) {
        x.signal = SIGNAL_KILL;
        x.kill_delivered = true;
    } else if (t->panicked || t->overflowed) {
        x.signal = t->overflowed ? SIGNAL_FAULT : SIGNAL_ABORT;
        say_panic(s, t);
    } else if (t->cancelled && t->result == -ASUP_ECANCELLED) {
        x.exit_code = 0; /* the outcome says it */
        x.cancel_delivered = true;
    } else {
        x.exit_code = shell_exit_code(t->result);
    }
    return x;
}

static void
bury(struct task_fiber *t)
{
    if (t->grave != NULL)
        fiber_free(t->grave);
    t->grave = NULL;
}

void
task_ended(struct shell *s, struct task_fiber *t, bool killed)
{
    struct input in = {.kind = IN_TASK_EXITED, .task = t->id};

    in.u.exited = exit_of(s, t, killed);
    t->ended = true;
    t->grave = t->fiber;
    t->fiber = NULL;
    t->scopes_left = scopes_end(s, t, killed);
    if (!killed || t->scopes_left == 0)
        bury(t);
    others_release(t);
    t->orphans = t->scopes_left > 0;
    if (!t->orphans)
        shell_fact(s, IN_TASK_EMPTY, t->id);
    if (shell_step(s, &in) != 0)
        out_of_memory();
}

void
task_empty(struct shell *s, struct task_fiber *t)
{
    if (t->orphans && t->scopes_left == 0) {
        t->orphans = false;
        bury(t);
        shell_fact(s, IN_TASK_EMPTY, t->id);
    }
}

void
task_kill(struct shell *s, struct task_fiber *t)
{
    if (t->ended) {
        (void)scopes_end(s, t, true);
    } else if (t == s->running) {
        t->killed = true;
    } else if (t->fiber != NULL) {
        run_remove(s, t);
        timer_disarm(s, t);
        if (t->waiting == WAITS_REPLY) {
            struct input in = {.kind = IN_WAIT_DROPPED, .token = t->wait_token};

            (void)shell_step(s, &in);
        }
        t->waiting = WAITS_NOT;
        task_ended(s, t, true);
    }
}

/* ---- Bodies for the kernel's own tasks
 * ----------------------------------------------------------- */

static bool
jobs_grow(struct shell *s)
{
    uint32_t capacity = s->job_capacity == 0 ? 16 : 2 * s->job_capacity;
    struct shell_job *jobs = realloc(s->jobs, capacity * sizeof *jobs);

    if (jobs == NULL)
        return false;
    s->jobs = jobs;
    s->job_capacity = capacity;
    return true;
}

uint32_t
shell_job_new(struct shell *s, const struct shell_body *body)
{
    uint32_t job = s->jobs_free;

    if (job != 0)
        s->jobs_free = s->jobs[job - 1].next;
    else if (s->job_count < s->job_capacity || jobs_grow(s))
        job = ++s->job_count;
    if (job != 0)
        s->jobs[job - 1] = (struct shell_job){.body = *body};
    return job;
}

void
shell_job_free(struct shell *s, uint32_t job)
{
    if (job == 0)
        return;
    s->jobs[job - 1] = (struct shell_job){.next = s->jobs_free};
    s->jobs_free = job;
}

bool
shell_job_give(struct shell *s, uint32_t job, uint64_t saga)
{
    if (!id_map_reserve(&s->sagas, 1))
        return false;
    s->jobs[job - 1].next = (uint32_t)(uintptr_t)id_map_drop(&s->sagas, saga);
    id_map_add(&s->sagas, saga, (void *)(uintptr_t)job); /* NOLINT(performance-no-int-to-ptr) */
    return true;
}

void
jobs_done(struct shell *s, uint64_t saga)
{
    uint32_t job = (uint32_t)(uintptr_t)id_map_drop(&s->sagas, saga);

    while (job != 0) {
        uint32_t next = s->jobs[job - 1].next;

        shell_job_free(s, job);
        job = next;
    }
}
