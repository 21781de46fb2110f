/* SPDX-License-Identifier: MIT */
#include "daemon/engine/recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/engine/adopt.h"
#include "daemon/engine/clock.h"
#include "daemon/engine/commit.h"
#include "daemon/engine/crash.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/kept.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/report.h"
#include "daemon/engine/sessions.h"
#include "daemon/engine/span.h"

/* Events folded before the keeper may have to be told that the engine lives. */
enum { EVENTS_PER_HEARTBEAT = 4096 };

/* ---- The clock ---------------------------------------------------------------------- */

/* In the boot that the journal was written in, kernel time runs on; in another
 * one it goes on from the last event. */
static void
set_clock(struct engine *e)
{
    char boot[64] = "";
    char text[32] = "";
    uint64_t last = journal_last_at(e->journal);
    int64_t offset = 0;

    if (journal_meta(e->journal, "boot_id", boot, sizeof boot) &&
        journal_meta(e->journal, "clock_offset_ns", text, sizeof text)) {
        e->same_boot = strcmp(boot, e->hello.boot) == 0;
        offset = (int64_t)strtoll(text, NULL, 10);
    }
    if (!e->same_boot || clock_boot() + (uint64_t)offset < last)
        offset = last ? (int64_t)(last - clock_boot()) : 0;
    clock_set_offset(offset);
    snprintf(text, sizeof text, "%" PRId64, offset);
    (void)journal_set_meta(e->journal, "boot_id", e->hello.boot);
    (void)journal_set_meta(e->journal, "clock_offset_ns", text);
}

/* Of the keeper that the journal was written under the tasks live on. */
static void
know_keeper(struct engine *e)
{
    char then[24] = "";
    char now[24];

    snprintf(now, sizeof now, "%" PRIu64, e->hello.keeper_instance);
    e->same_keeper = e->same_boot && journal_meta(e->journal, "keeper", then, sizeof then) &&
                     strcmp(then, now) == 0;
    (void)journal_set_meta(e->journal, "keeper", now);
}

/* ---- Folding ----------------------------------------------------------------------------- */

struct fold {
    struct engine *engine;
    const struct kernel_allocator *allocator;
    struct durable_buffer scratch;
    uint64_t count;
    uint64_t kept_from; /* events from here on can be watched again */
    bool kept;          /* there was one */
};

static int
refuse(int code, const char *what, uint64_t seq)
{
    if (code == -ASUP_ENOMEM)
        report(REPORT_ERROR, "no memory for what the journal tells");
    else
        report(REPORT_ERROR,
               "the journal's %s %" PRIu64 " %s: put a good copy of STATE/journal.db in its "
               "place, or set the journal aside with \"asupersyncd --set-journal-aside\"",
               what, seq,
               code == -ASUP_EUNSUPPORTED ? "is of a version that this asupersyncd does not know"
                                          : "is damaged");
    return code == -ASUP_ENOMEM ? EX_OSERR : EX_DATAERR;
}

static int
on_snapshot(void *ctx, uint64_t seq, const void *data, size_t size)
{
    struct fold *f = ctx;
    struct engine *e = f->engine;
    struct span span = {.data = data, .size = size};
    struct durable_source source = span_source(&span);
    int rc = kernel_load(&source, f->allocator, engine_now(e), LOAD_RECOVER, &e->kernel);

    keeper_alive(e);
    return rc == 0 ? 0 : refuse(rc, "snapshot after event", seq);
}

static int
on_event(void *ctx, uint64_t seq, uint64_t wall, bool before, const void *body, size_t size)
{
    struct fold *f = ctx;
    struct engine *e = f->engine;
    struct event ev;
    int rc = kernel_event_decode((struct bytes){.data = body, .size = size}, &f->scratch, &ev);

    if (rc != 0)
        return refuse(rc, "event", seq);
    if (!before)
        kernel_apply(e->kernel, &ev);
    if (seq >= f->kept_from) {
        if (!f->kept)
            e->window.oldest = seq;
        f->kept = true;
        engine_keep_event(e, &ev, wall);
    }
    if (++f->count % EVENTS_PER_HEARTBEAT == 0)
        keeper_alive(e);
    return 0;
}

static int
fold_journal(struct engine *e, const struct kernel_allocator *allocator)
{
    struct fold f = {.engine = e,
                     .allocator = allocator,
                     .scratch.allocator = *allocator,
                     .kept_from = journal_kept_from(e->journal)};
    struct journal_reader reader = {.snapshot = on_snapshot, .event = on_event, .ctx = &f};
    uint64_t began = clock_boot();

    int rc = journal_read(e->journal, &reader);
    durable_buffer_fini(&f.scratch);
    if (rc != 0)
        return rc;
    if (!f.kept)
        e->window.oldest = e->window.next = kernel_event_seq(e->kernel) + 1;
    struct kernel_counts counts;
    kernel_counts(e->kernel, &counts);
    report(REPORT_INFO,
           "the journal is read: %" PRIu64 " events in %" PRIu64 " ms; %u tasks in %u regions, "
           "%u sessions",
           f.count, (clock_boot() - began) / ASUP_NS_PER_MS, counts.tasks, counts.regions,
           counts.sessions);
    return 0;
}

static int
begin_journal(struct engine *e, const struct kernel_allocator *allocator)
{
    size_t size;

    e->kernel = kernel_new(&e->config.kernel, allocator, engine_now(e));
    if (!e->kernel) {
        report(REPORT_ERROR, "no memory for the kernel, or the limits in the configuration make "
                             "no sense together");
        return EX_CONFIG;
    }
    char *data = commit_snapshot(e, &size);
    if (!data) {
        report(REPORT_ERROR, "no memory for the journal's first snapshot");
        return EX_OSERR;
    }
    int rc = journal_begin(e->journal, kernel_event_seq(e->kernel), engine_now(e), data, size);
    free(data);
    return rc;
}

static int
recover_sessions(struct engine *e)
{
    struct session_view view;

    for (uint64_t id = 0; (id = kernel_session_next(e->kernel, id)) != 0;) {
        if (kernel_session(e->kernel, id, &view) &&
            !session_add(e, id, view.uid, view.secret_digest)) {
            report(REPORT_ERROR, "no memory for the sessions in the journal");
            return EX_OSERR;
        }
    }
    return 0;
}

int
recover_open(struct engine *e, const struct kernel_allocator *allocator)
{
    char path[512];
    int rc;

    if (snprintf(path, sizeof path, "%s/journal.db", e->options.state_dir) >= (int)sizeof path) {
        report(REPORT_ERROR, "the state directory's name is too long");
        return EX_CANTCREAT;
    }
    e->event_bytes.allocator = *allocator;
    rc = journal_open(&(struct journal_options){.path = path,
                                                .events_kept = e->config.events_count,
                                                .wal_bytes = e->config.journal_wal},
                      &e->journal);
    if (rc != 0)
        return rc;
    set_clock(e);
    know_keeper(e);
    e->started_at = engine_now(e);
    rc = journal_is_new(e->journal) ? begin_journal(e, allocator) : fold_journal(e, allocator);
    if (rc != 0)
        return rc;
    e->durable_seq = journal_committed(e->journal);
    crash_point("folded");
    return recover_sessions(e);
}

/* ---- Tasks -------------------------------------------------------------------------------- */

int
recover_tasks(struct engine *e)
{
    const struct journal_callbacks callbacks = {commit_changed, e};
    char reserved[24] = "0";

    (void)journal_meta(e->journal, "seq_reserved", reserved, sizeof reserved);
    adopt_rows(e, e->same_keeper);
    if (kernel_recovering(e->kernel)) {
        engine_feed(e, &(struct input){.kind = IN_RESUMED,
                                       .u.resumed = {.same_keeper = e->same_keeper,
                                                     .same_boot = e->same_boot,
                                                     .id_first = e->config.kernel.id_first,
                                                     .seq_first = strtoull(reserved, NULL, 10)}});
        /* The limits of today, not those of the journal. */
        engine_feed(e, &(struct input){.kind = IN_CONFIG, .u.config = &e->config.kernel});
        engine_settle(e);
        if (e->inbox.count > 0) {
            report(REPORT_ERROR, "no memory for what the journal tells");
            return EX_OSERR;
        }
    }
    if (!journal_start(e->journal, e->loop, &callbacks))
        return EX_OSERR;
    journal_push(e->journal);
    crash_point("before-listen");
    return 0;
}
