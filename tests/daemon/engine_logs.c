/* SPDX-License-Identifier: MIT */
/* The log thread: a task's writing never stops, what is kept is capped, what
 * is lost is counted and told, and readers can wait. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>

#include "daemon/engine/logs.h"
#include "rules.h"

static char directory[64];
static struct ev_loop *loop;
static struct logs *logs;
static struct {
    uint64_t lost_task, lost;
    unsigned changed;
    unsigned chunks;
    struct logs_chunk chunk;
    char data[256];
} seen;

static void
on_lost(void *ctx, uint64_t task, uint64_t bytes)
{
    (void)ctx;
    seen.lost_task = task;
    seen.lost = bytes;
}

static void
on_chunk(void *ctx, const struct logs_chunk *chunk)
{
    (void)ctx;
    seen.chunks++;
    seen.chunk = *chunk;
    ck_assert_uint_le(chunk->size, sizeof seen.data);
    memcpy(seen.data, chunk->data, chunk->size);
}

static void
on_changed(void *ctx, uint64_t task)
{
    (void)ctx;
    (void)task;
    seen.changed++;
}

/* With what an engine before this one knew of. */
static void
start_again(uint64_t task_max, uint64_t total_max, const struct logs_known *known, size_t count)
{
    static const struct logs_callbacks callbacks = {on_lost, on_chunk, on_changed, NULL};

    memset(&seen, 0, sizeof seen);
    logs = logs_new(loop, directory, task_max, total_max, &callbacks);
    ck_assert_ptr_nonnull(logs);
    struct logs_known *copy = calloc(count + 1, sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = known[i];
    logs_resume(logs, copy, count);
}

static void
start(uint64_t task_max, uint64_t total_max)
{
    start_again(task_max, total_max, NULL, 0);
}

static void
begin(void)
{
    strcpy(directory, "/tmp/asup-logs-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    loop = ev_loop_new(EVFLAG_AUTO);
}

static void
end(void)
{
    logs_free(logs);
    logs = NULL;
    ev_loop_destroy(loop);
    DIR *d = opendir(directory);
    struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == 't' && unlinkat(dirfd(d), entry->d_name, 0) != 0)
            unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
    }
    closedir(d);
    ck_assert_int_eq(rmdir(directory), 0);
}

/* A pipe that the log thread reads; the test holds the writing end. */
static int
attach(uint64_t task)
{
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    logs_add(logs, task, fds[0]);
    return fds[1];
}

static void
turn_until_chunk(unsigned count)
{
    while (seen.chunks < count)
        ev_run(loop, EVRUN_ONCE);
}

/* Read from offset, waiting until there is something or the end. */
static void
read_some(uint64_t task, uint64_t offset)
{
    for (;;) {
        unsigned changed = seen.changed;
        logs_read(logs, 1, task, offset, sizeof seen.data, true);
        turn_until_chunk(seen.chunks + 1);
        if (seen.chunk.size > 0 || (seen.chunk.known && !seen.chunk.open))
            return;
        while (seen.changed == changed)
            ev_run(loop, EVRUN_ONCE);
    }
}

/* Read on until the writer has closed and everything was read. */
static uint64_t
read_all(uint64_t task)
{
    uint64_t offset = 0;

    for (;;) {
        read_some(task, offset);
        offset += seen.chunk.size;
        if (seen.chunk.size == 0)
            return offset;
    }
}

START_TEST(what_is_written_can_be_read_while_it_runs)
{
    start(1000, 100000);
    int fd = attach(7);
    ck_assert_int_eq(write(fd, "hello ", 6), 6);
    read_some(7, 0);
    ck_assert_uint_eq(seen.chunk.size, 6);
    ck_assert_mem_eq(seen.data, "hello ", 6);
    ck_assert(seen.chunk.open);
    ck_assert_int_eq(write(fd, "world\n", 6), 6);
    read_some(7, 6);
    ck_assert_uint_eq(seen.chunk.offset, 6);
    ck_assert_mem_eq(seen.data, "world\n", 6);
    close(fd);
    ck_assert_uint_eq(read_all(7), 12);
    ck_assert(!seen.chunk.open);
    ck_assert_uint_eq(seen.chunk.lost, 0);
}
END_TEST

START_TEST(a_reader_may_wait_before_the_task_has_started)
{
    start(1000, 100000);
    logs_read(logs, 9, 3, 0, 100, true);
    turn_until_chunk(1);
    ck_assert_uint_eq(seen.chunk.request, 9);
    ck_assert(!seen.chunk.known);
    int fd = attach(3);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    while (!seen.changed)
        ev_run(loop, EVRUN_ONCE);
    close(fd);
}
END_TEST

START_TEST(beyond_the_cap_it_is_dropped_counted_and_told)
{
    char data[4096];

    memset(data, 'a', sizeof data);
    start(10000, 1000000);
    int fd = attach(5);
    /* Far more than a pipe holds: it would block for ever if nobody read. */
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(write(fd, data, sizeof data), (ssize_t)sizeof data);
    close(fd);
    ck_assert_uint_eq(read_all(5), 10000);
    ck_assert_uint_eq(seen.chunk.lost, 100 * sizeof data - 10000);
    while (seen.lost != 100 * sizeof data - 10000)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(seen.lost_task, 5);
    ck_assert_uint_eq(logs_lost_total(logs), 100 * sizeof data - 10000);
}
END_TEST

START_TEST(all_tasks_share_a_total_and_forgetting_gives_room_again)
{
    char data[600];

    memset(data, 'b', sizeof data);
    start(1000, 1000);
    for (uint64_t task = 1; task <= 2; task++) {
        int fd = attach(task);
        ck_assert_int_eq(write(fd, data, sizeof data), (ssize_t)sizeof data);
        close(fd);
        ck_assert_uint_eq(read_all(task), task == 1 ? 600 : 400);
    }
    ck_assert_uint_eq(seen.chunk.lost, 200);
    logs_forget(logs, 1);
    int fd = attach(3);
    ck_assert_int_eq(write(fd, data, sizeof data), (ssize_t)sizeof data);
    close(fd);
    ck_assert_uint_eq(read_all(3), 600);
}
END_TEST

START_TEST(a_disk_that_refuses_costs_the_log_and_not_the_task)
{
    char data[1000];

    memset(data, 'c', sizeof data);
    start(100000, 100000);
    /* In the way of the log file stands something that cannot be written. */
    char path[96];
    snprintf(path, sizeof path, "%s/t8.log", directory);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    int fd = attach(8);
    ck_assert_int_eq(write(fd, data, sizeof data), (ssize_t)sizeof data);
    close(fd);
    ck_assert_uint_eq(read_all(8), 0);
    ck_assert_uint_eq(seen.chunk.lost, sizeof data);
    while (seen.lost != sizeof data)
        ev_run(loop, EVRUN_ONCE);
}
END_TEST

START_TEST(a_task_that_writes_nothing_leaves_no_file)
{
    char path[96];

    start(1000, 1000);
    int fd = attach(4);
    close(fd);
    /* Nothing of it is kept, so nothing tells it from one that never was; that
     * its task is over is for others to say. */
    do {
        logs_read(logs, 1, 4, 0, sizeof seen.data, false);
        turn_until_chunk(seen.chunks + 1);
    } while (seen.chunk.open);
    ck_assert_uint_eq(seen.chunk.size, 0);
    snprintf(path, sizeof path, "%s/t4.log", directory);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(leftovers_are_removed_at_the_start_and_files_with_their_task)
{
    char old[96];
    char path[96];

    snprintf(old, sizeof old, "%s/t99.log", directory);
    FILE *f = fopen(old, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    start(1000, 1000);
    int fd = attach(6);
    ck_assert_int_eq(write(fd, "y", 1), 1);
    close(fd);
    ck_assert_uint_eq(read_all(6), 1);
    ck_assert_int_ne(access(old, F_OK), 0);
    snprintf(path, sizeof path, "%s/t6.log", directory);
    ck_assert_int_eq(access(path, F_OK), 0);
    logs_forget(logs, 6);
    /* Orders are obeyed in turn: once this is answered, that is done. */
    logs_read(logs, 2, 6, 0, 10, false);
    turn_until_chunk(seen.chunks + 1);
    ck_assert(!seen.chunk.known);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* After the engine's end: the pipe goes on into the same file, at its end, and
 * the caps and counts go on as well. */
START_TEST(output_goes_on_where_another_engine_left_it)
{
    static const struct logs_known known[] = {{.task = 5, .lost = 7}, {.task = 8}};
    char path[96];

    for (int task = 3; task <= 8; task++) {
        snprintf(path, sizeof path, "%s/t%d.log", directory, task);
        FILE *f = fopen(path, "w");
        ck_assert_ptr_nonnull(f);
        fputs("before ", f);
        fclose(f);
    }
    start_again(12, 1000, known, 2);
    int fd = attach(5);
    ck_assert_int_eq(write(fd, "after the cap", 13), 13);
    close(fd);
    ck_assert_uint_eq(read_all(5), 12);
    logs_read(logs, 1, 5, 0, sizeof seen.data, false);
    turn_until_chunk(seen.chunks + 1);
    ck_assert_mem_eq(seen.data, "before after", 12);
    ck_assert_uint_eq(seen.chunk.lost, 7 + 8);
    ck_assert_uint_eq(logs_lost_total(logs), 7 + 8);
    /* A task that has ended: its file can be read, and is all there is. */
    ck_assert_uint_eq(read_all(8), 7);
    for (int task = 3; task <= 8; task++) {
        snprintf(path, sizeof path, "%s/t%d.log", directory, task);
        ck_assert_int_eq(access(path, F_OK), task == 5 || task == 8 ? 0 : -1);
    }
    logs_forget(logs, 8);
    logs_read(logs, 2, 8, 0, 10, false);
    turn_until_chunk(seen.chunks + 1);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(many_tasks_at_once)
{
    enum { TASKS = 200 };
    int fds[TASKS];
    char line[32];

    start(1000, 1000000);
    for (int i = 0; i < TASKS; i++)
        fds[i] = attach((uint64_t)i + 1);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < TASKS; i++) {
            int size = snprintf(line, sizeof line, "%d:%d\n", i, round);
            ck_assert_int_eq(write(fds[i], line, (size_t)size), size);
        }
    }
    for (int i = 0; i < TASKS; i++)
        close(fds[i]);
    for (int i = 0; i < TASKS; i++) {
        size_t size = 0;
        for (int round = 0; round < 10; round++)
            size += (size_t)snprintf(line, sizeof line, "%d:%d\n", i, round);
        ck_assert_uint_eq(read_all((uint64_t)i + 1), size);
    }
}
END_TEST

static const struct rule rules[] = {
    RULE(what_is_written_can_be_read_while_it_runs),
    RULE(a_reader_may_wait_before_the_task_has_started),
    RULE(beyond_the_cap_it_is_dropped_counted_and_told),
    RULE(all_tasks_share_a_total_and_forgetting_gives_room_again),
    RULE(a_disk_that_refuses_costs_the_log_and_not_the_task),
    RULE(a_task_that_writes_nothing_leaves_no_file),
    RULE(leftovers_are_removed_at_the_start_and_files_with_their_task),
    RULE(output_goes_on_where_another_engine_left_it),
    RULE(many_tasks_at_once),
};

RULES_MAIN("engine logs", rules, begin, end)
