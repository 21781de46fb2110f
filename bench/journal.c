/* SPDX-License-Identifier: MIT */
/*
 * The journal by itself, against the disk by itself.
 *
 *   bench-journal journal DIRECTORY COUNT BATCH   COUNT events through the engine's journal
 *   bench-journal bare DIRECTORY COUNT BATCH      as many bytes, each batch one write and fdatasync
 *
 * A batch is on disk before the next is given. Prints one JSON object.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/engine/journal.h"

/* An event of a call takes so many bytes in the kernel's encoding. */
enum { BODY_SIZE = 56, BATCH_MAX = 65536 };

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void
fail(const char *what)
{
    fprintf(stderr, "bench-journal: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- The journal ------------------------------------------------------------------ */

struct world {
    struct ev_loop *loop;
    struct journal *journal;
    uint64_t wanted;
};

static void
on_changed(void *ctx)
{
    struct world *w = ctx;

    if (journal_committed(w->journal) >= w->wanted)
        ev_break(w->loop, EVBREAK_ONE);
}

static void
journal_write(struct world *w, uint64_t count)
{
    static const char body[BODY_SIZE] = "an event";

    for (uint64_t i = 0; i < count; i++) {
        uint64_t seq = ++w->wanted;
        const struct journal_record record = {.seq = seq,
                                              .at_ns = seq * 1000,
                                              .wall_ns = UINT64_C(1700000000000000000) + seq,
                                              .kind = "task-created",
                                              .uid = 1000,
                                              .region = 2,
                                              .task = 100000 + seq,
                                              .exit_code = -1,
                                              .text = "work",
                                              .text_size = 4,
                                              .body = body,
                                              .body_size = sizeof body};
        if (!journal_add(w->journal, &record))
            fail("memory");
    }
    journal_push(w->journal);
    while (journal_committed(w->journal) < w->wanted)
        ev_run(w->loop, 0);
}

static double
journal_seconds(const char *directory, uint64_t count, uint64_t batch)
{
    char path[512];
    struct world w = {.loop = ev_default_loop(0)};
    const struct journal_callbacks callbacks = {on_changed, &w};
    double took;

    snprintf(path, sizeof path, "%s/journal.db", directory);
    if (journal_open(
            &(struct journal_options){.path = path, .events_kept = 65536, .wal_bytes = 8 << 20},
            &w.journal) != 0 ||
        (journal_is_new(w.journal) && journal_begin(w.journal, 0, 0, "none", 4) != 0))
        fail(path);
    w.wanted = journal_committed(w.journal);
    if (!journal_start(w.journal, w.loop, &callbacks))
        fail("thread");
    journal_write(&w, batch); /* warm */
    took = seconds();
    for (uint64_t done = 0; done < count; done += batch)
        journal_write(&w, batch);
    took = seconds() - took;
    journal_close(w.journal);
    return took;
}

/* ---- The disk --------------------------------------------------------------------- */

static double
bare_seconds(const char *directory, uint64_t count, uint64_t batch)
{
    char path[512];
    char *data = calloc(batch, BODY_SIZE);
    int fd;
    double took;

    snprintf(path, sizeof path, "%s/bare", directory);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (!data || fd < 0)
        fail(path);
    took = seconds();
    for (uint64_t done = 0; done < count; done += batch) {
        if (write(fd, data, batch * BODY_SIZE) != (ssize_t)(batch * BODY_SIZE) ||
            fdatasync(fd) != 0)
            fail(path);
    }
    took = seconds() - took;
    close(fd);
    free(data);
    return took;
}

int
main(int argc, char **argv)
{
    uint64_t count = argc == 5 ? strtoull(argv[3], NULL, 10) : 0;
    uint64_t batch = argc == 5 ? strtoull(argv[4], NULL, 10) : 0;
    bool bare = argc == 5 && strcmp(argv[1], "bare") == 0;

    if (count == 0 || batch == 0 || batch > BATCH_MAX ||
        (!bare && strcmp(argv[1], "journal") != 0)) {
        fprintf(stderr, "usage: bench-journal journal|bare DIRECTORY COUNT BATCH\n");
        return 64;
    }
    double took = (bare ? bare_seconds : journal_seconds)(argv[2], count, batch);
    printf("{\"seconds\": %.6f, \"count\": %" PRIu64 "}\n", took,
           (count + batch - 1) / batch * batch);
    return 0;
}
