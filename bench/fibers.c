/* SPDX-License-Identifier: MIT */
/*
 * Tasks as fibers in one program.
 *
 *   bench-fibers spawn COUNT    spawn and join of an empty fiber, one after the other
 *   bench-fibers cancel COUNT   cancel of COUNT sleeping fibers, to the join of their scope
 *   bench-fibers checkpoint COUNT  checkpoints of one fiber
 *   bench-fibers channel COUNT  messages from one fiber to another, each reserved, sent,
 *                               received and committed
 *   bench-fibers memory COUNT   resident bytes of a sleeping fiber
 *
 * Prints one JSON object. Seconds are CPU time of this process, which has one
 * thread and waits for nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "asupersync/runtime.h"

static uint64_t count;
static double took;
static size_t bytes;

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static size_t
resident(void)
{
    char line[256];
    char *second = NULL;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fgets(line, sizeof line, f) == NULL)
        exit(1);
    fclose(f);
    (void)strtoul(line, &second, 10);
    return strtoul(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

static int
empty(struct asup_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return 0;
}

static int
spawn(struct asup_cx *cx, void *arg)
{
    double began = seconds();

    (void)arg;
    for (uint64_t i = 0; i < count; i++) {
        struct asup_task task;

        ASUP_TRY(asup_cx_spawn(cx, empty, NULL, &task));
        ASUP_TRY(asup_cx_join(cx, task, NULL));
    }
    took = seconds() - began;
    return 0;
}

static int
sleeps(struct asup_cx *cx, void *arg)
{
    (void)arg;
    return asup_cx_sleep(cx, ASUP_NEVER);
}

/* COUNT sleeping fibers in a scope; then what of them is measured. */
static int
cancel(struct asup_cx *cx, void *arg)
{
    int code = 0;
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, &code);
    size_t before = resident();
    double began;

    (void)arg;
    if (scope == NULL)
        return code;
    for (uint64_t i = 0; i < count; i++)
        ASUP_TRY(ASUP_SPAWN(scope, sleeps, NULL));
    ASUP_TRY(asup_cx_checkpoint(cx)); /* they run before it goes on */
    bytes = resident() - before;
    began = seconds();
    asup_cx_scope_close(scope, NULL);
    code = asup_cx_scope_join(scope, NULL);
    took = seconds() - began;
    return code == -ASUP_ECANCELLED ? 0 : 1;
}

static int
checkpoint(struct asup_cx *cx, void *arg)
{
    double began = seconds();

    (void)arg;
    for (uint64_t i = 0; i < count; i++)
        ASUP_TRY(asup_cx_checkpoint(cx));
    took = seconds() - began;
    return 0;
}

static int
sends(struct asup_cx *cx, void *arg)
{
    const struct asup_channel *channel = arg;
    int code;

    for (uint64_t i = 0; i < count; i++) {
        struct asup_permit *permit = asup_cx_reserve(cx, *channel, ASUP_NEVER, &code);

        if (permit == NULL)
            return code;
        ASUP_TRY(asup_permit_send(permit, &i, sizeof i));
    }
    return asup_cx_channel_seal(cx, *channel);
}

static int
channel(struct asup_cx *cx, void *arg)
{
    struct asup_channel between;
    struct asup_delivery *d;
    double began = seconds();
    int code;

    (void)arg;
    ASUP_TRY(asup_cx_channel_open(cx, NULL, NULL, &between));
    ASUP_TRY(ASUP_SPAWN(cx, sends, &between));
    while ((d = asup_cx_receive(cx, between, ASUP_NEVER, &code)) != NULL)
        ASUP_TRY(asup_ack_commit(d));
    took = seconds() - began;
    return code == -ASUP_EENDED ? 0 : code;
}

int
main(int argc, char **argv)
{
    struct asup_runtime_options options;
    asup_body body = NULL;
    int rc;

    asup_runtime_options_init(&options);
    options.tasks_max = 200000;
    if (argc == 3) {
        count = strtoull(argv[2], NULL, 10);
        body = strcmp(argv[1], "spawn") == 0        ? spawn
               : strcmp(argv[1], "cancel") == 0     ? cancel
               : strcmp(argv[1], "memory") == 0     ? cancel
               : strcmp(argv[1], "checkpoint") == 0 ? checkpoint
               : strcmp(argv[1], "channel") == 0    ? channel
                                                    : NULL;
    }
    if (body == NULL || count == 0) {
        fprintf(stderr, "usage: bench-fibers spawn|cancel|memory|checkpoint|channel COUNT\n");
        return 64;
    }
    rc = asup_runtime_run(&options, body, NULL, NULL);
    if (rc != 0 && rc != -ASUP_ECANCELLED) {
        fprintf(stderr, "bench-fibers: %s\n", rc > 0 ? "failed" : asup_error_text(rc));
        return 1;
    }
    printf("{\"count\": %" PRIu64 ", \"seconds\": %.9f, \"bytes\": %zu}\n", count, took, bytes);
    return 0;
}
