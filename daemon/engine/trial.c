/* SPDX-License-Identifier: MIT */
/*
 * The trial of a program before an upgrade: whether it can go on with what the
 * engine that runs has written. It reads the journal as recovery does (recover.c),
 * beside that engine and changing nothing: the newest snapshot, and the events
 * after it for as long as the engine that waits for the answer can spare.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/durable.h"
#include "daemon/engine.h"
#include "daemon/engine/clock.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/journal_db.h"
#include "daemon/engine/report.h"
#include "daemon/engine/span.h"

/* Whoever asks waits for three seconds (replace.c), and answers nobody meanwhile. */
#define PATIENCE_NS (ASUP_NS_PER_S + ASUP_NS_PER_S / 2)
enum { EVENTS_PER_LOOK = 1024, ENOUGH = -1 };

struct trial {
    struct kernel *kernel;
    struct durable_buffer scratch;
    asup_time last_at;
    uint64_t until;
    uint64_t count;
};

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new > 0)
        return realloc(ptr, size_new);
    free(ptr);
    return NULL;
}

static const struct kernel_allocator allocator = {.resize = resize};

static int
refuse(int code, const char *what, uint64_t seq)
{
    if (code == -ASUP_ENOMEM) {
        report(REPORT_ERROR, "no memory for what the journal tells");
        return EX_OSERR;
    }
    report(REPORT_ERROR, "the journal's %s %" PRIu64 " %s", what, seq,
           code == -ASUP_EUNSUPPORTED
               ? "is of a version that this program does not know"
               : "is not what this program would have written, or is damaged");
    return EX_DATAERR;
}

static int
on_snapshot(void *ctx, uint64_t seq, const void *data, size_t size)
{
    struct trial *t = ctx;
    struct span span = {.data = data, .size = size};
    struct durable_source source = span_source(&span);
    int rc = kernel_load(&source, &allocator, t->last_at, LOAD_RECOVER, &t->kernel);

    return rc == 0 ? 0 : refuse(rc, "snapshot after event", seq);
}

static int
on_event(void *ctx, uint64_t seq, uint64_t wall, bool before, const void *body, size_t size)
{
    struct trial *t = ctx;
    struct event ev;
    int rc = kernel_event_decode((struct bytes){.data = body, .size = size}, &t->scratch, &ev);

    (void)wall;
    if (rc != 0)
        return refuse(rc, "event", seq);
    if (!before && t->kernel)
        kernel_apply(t->kernel, &ev);
    return ++t->count % EVENTS_PER_LOOK == 0 && clock_boot() >= t->until ? ENOUGH : 0;
}

int
engine_check_journal(const char *state_dir)
{
    struct trial t = {.scratch.allocator = allocator, .until = clock_boot() + PATIENCE_NS};
    const struct journal_reader reader = {on_snapshot, on_event, &t};
    struct journal_db *db = NULL;
    char path[512];

    if (snprintf(path, sizeof path, "%s/journal.db", state_dir) >= (int)sizeof path) {
        report(REPORT_ERROR, "the state directory's name is too long");
        return EX_CANTCREAT;
    }
    if (access(path, F_OK) != 0)
        return 0; /* it would begin one */
    int rc = journal_db_open_reader(path, &db);
    if (rc != 0)
        return rc;
    t.last_at = journal_db_last_at(db);
    rc = journal_db_read(db, 0, &reader);
    durable_buffer_fini(&t.scratch);
    if (t.kernel)
        kernel_free(t.kernel);
    journal_db_close(db);
    return rc == ENOUGH ? 0 : rc;
}
