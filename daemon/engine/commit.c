/* SPDX-License-Identifier: MIT */
#include "daemon/engine/commit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "core/durable.h"
#include "daemon/engine/bodies.h"
#include "daemon/engine/clock.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/output.h"
#include "daemon/engine/report.h"
#include "daemon/engine/waits.h"

/* A snapshot of up to so many bytes is cheap; a larger one waits, but not for
 * more than so many times journal.snapshot-events. */
enum { SNAPSHOT_SMALL = 1 << 20, SNAPSHOT_PATIENCE = 10 };

/* ---- Events ---------------------------------------------------------------------- */

static _Noreturn void
out_of_memory(void)
{
    /* An event that is lost makes all that follow it wrong; nothing of this
     * step has left, so it has not happened. */
    report(REPORT_ERROR, "no memory for an event of the journal: the engine starts anew");
    abort();
}

static void
fill_outcome(struct journal_record *r, const struct kernel_outcome *o)
{
    r->outcome = severity_name(o->key.severity);
    r->exit_code = o->exit_code;
    r->signal = o->signal;
    static_assert(sizeof r->stage == sizeof o->stage, "a stage fits");
    snprintf(r->stage, sizeof r->stage, "%.*s", (int)sizeof o->stage - 1, o->stage);
}

static void
add(struct engine *e, const struct event *ev, uint64_t wall)
{
    struct durable_buffer *bytes = &e->event_bytes;
    struct call_view call;
    struct journal_record r = {
        .seq = ev->seq,
        .at_ns = ev->at,
        .wall_ns = wall,
        .kind = event_kind_name(ev->kind),
        .uid = ev->uid,
        .region = ev->region,
        .task = ev->task,
        .session = ev->session,
        .subject = ev->subject,
        .value = ev->value,
        .exit_code = -1,
        .text = ev->text.data,
        .text_size = ev->text.size,
    };

    /* A call without a label is known by its computation. */
    if (ev->call && ev->text.size == 0 &&
        (ev->kind == EV_TASK_CREATED || ev->kind == EV_FINALIZER_REGISTERED) &&
        kernel_call(e->kernel, ev->task, &call)) {
        r.text = call.name.data;
        r.text_size = call.name.size;
    }
    if (ev->holder.id)
        (void)asup_ref_format(ev->holder, r.holder, sizeof r.holder);
    if (ev->outcome)
        fill_outcome(&r, ev->outcome);
    bytes->size = 0;
    if (kernel_event_encode(ev, bytes) != 0)
        out_of_memory();
    r.body = bytes->data;
    r.body_size = bytes->size;
    if (!journal_add(e->journal, &r))
        out_of_memory();
    e->durable_seq = ev->seq;
}

void
commit_events(struct engine *e, const struct step *step, uint64_t wall)
{
    if (!e->journal)
        return;
    for (size_t i = 0; i < step->event_count; i++) {
        const struct event *ev = &step->events[i];
        if (ev->durable)
            add(e, ev, wall);
    }
}

/* ---- Snapshots ------------------------------------------------------------------------ */

struct growing {
    char *data;
    size_t size, capacity;
};

static int
grow(void *ctx, const void *data, size_t size)
{
    struct growing *g = ctx;

    if (g->capacity - g->size < size) {
        size_t capacity = g->capacity ? g->capacity * 2 : (size_t)128 << 10;
        while (capacity - g->size < size)
            capacity *= 2;
        char *fresh = realloc(g->data, capacity);
        if (!fresh)
            return -ASUP_ENOMEM;
        g->data = fresh;
        g->capacity = capacity;
    }
    memcpy(g->data + g->size, data, size);
    g->size += size;
    return 0;
}

char *
commit_snapshot(struct engine *e, size_t *size_out)
{
    struct growing g = {0};

    if (kernel_save(e->kernel, &(struct durable_sink){.write = grow, .ctx = &g}) != 0) {
        free(g.data);
        return NULL;
    }
    *size_out = g.size;
    return g.data;
}

/* A large one is not taken before more has happened than it would hold, or a
 * daemon that remembers much would write little else. */
static bool
snapshot_is_due(const struct engine *e)
{
    uint64_t events = journal_since_events(e->journal);
    uint64_t bytes = journal_since_bytes(e->journal);

    if (events < e->config.journal_events && bytes < e->config.journal_bytes)
        return false;
    return e->snapshot_size <= SNAPSHOT_SMALL || bytes >= 2 * e->snapshot_size ||
           events / SNAPSHOT_PATIENCE >= e->config.journal_events;
}

static void
snapshot_when_due(struct engine *e)
{
    size_t size;

    if (journal_snapshot_busy(e->journal) || e->journal_failing || !snapshot_is_due(e))
        return;
    char *data = commit_snapshot(e, &size);
    if (!data) {
        if (!e->snapshot_starved)
            report(REPORT_WARNING, "no memory for a snapshot of the journal: it grows meanwhile");
        e->snapshot_starved = true;
        return;
    }
    e->snapshot_starved = false;
    e->snapshot_size = size;
    e->trim_due = true;
    journal_snapshot_take(e->journal, kernel_event_seq(e->kernel), engine_now(e), data, size);
}

/* ---- The disk ----------------------------------------------------------------------------- */

static void
tell_kernel(struct engine *e, const struct journal_state *state)
{
    e->journal_failing = state->failing;
    e->failing_since = clock_boot();
    if (state->failing)
        report_trouble("JournalFailed", 0, 0,
                       "the journal cannot be written: %s; nothing new is admitted until it can",
                       state->reason);
    else
        report(REPORT_NOTICE, "the journal is written again: admission goes on");
    engine_feed(e, &(struct input){.kind = IN_JOURNAL_STATE, .u.journal.failed = state->failing});
}

void
commit_changed(void *engine)
{
    struct engine *e = engine;
    struct journal_state state;

    journal_look(e->journal, &state);
    output_release(e);
    if (state.failing != e->journal_failing)
        tell_kernel(e, &state);
    waits_events_came(e);
    engine_settle(e);
}

/* Events that are not journalled have numbers, which some have seen: after a
 * crash they go on beyond all that may have been used. */
static void
reserve_numbers(struct engine *e)
{
    const uint64_t block = (uint64_t)1 << 20;
    uint64_t seq = kernel_event_seq(e->kernel);
    char text[24];

    if (seq + block / 2 < e->seq_reserved)
        return;
    snprintf(text, sizeof text, "%" PRIu64, seq + block);
    if (journal_set_meta(e->journal, "seq_reserved", text))
        e->seq_reserved = seq + block;
}

void
commit_turn(struct engine *e)
{
    if (!e->journal)
        return;
    reserve_numbers(e);
    journal_push(e->journal);
    snapshot_when_due(e);
}
