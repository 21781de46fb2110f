/* SPDX-License-Identifier: MIT */
/*
 * Processes through the daemon, and the bare system calls they are measured
 * against. Prints one JSON object.
 *
 *   bench-processes bare-start CGROUP COUNT     mkdir, clone3 into it, exec /bin/true, waitid,
 *                                               rmdir; 4 in flight
 *   bench-processes daemon-start URL COUNT      the same through the daemon, submitted in batches
 *   bench-processes bare-kill CGROUP COUNT      COUNT sleeping processes in a tree of cgroups,
 *                                               ended by one cgroup.kill
 *   bench-processes daemon-cancel URL COUNT     COUNT sleeping tasks in a region that is closed
 *   bench-processes daemon-latency URL COUNT    submit /bin/true, wait for its outcome; one at a
 *                                               time; the median
 *   bench-processes daemon-idle URL COUNT       leaves COUNT sleeping tasks until standard input
 *                                               ends; for measuring memory
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asupersync/client.h"

#define IN_FLIGHT 4
#define BATCH 64

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void
must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench-processes: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static pid_t
start_in(const char *cgroup, char *const *argv, int *pidfd)
{
    int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP | CLONE_PIDFD,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)fd,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
    };
    pid_t pid;

    must(fd >= 0, cgroup);
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    must(pid >= 0, "clone3");
    if (pid == 0) {
        setsid();
        execv(argv[0], argv);
        _exit(127);
    }
    close(fd);
    return pid;
}

static void
write_file(const char *dir, const char *name, const char *text)
{
    char path[4200];
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd >= 0 && write(fd, text, strlen(text)) > 0, path);
    close(fd);
}

static int
populated(const char *dir)
{
    char path[4200];
    char text[256];
    ssize_t size;
    int fd;

    snprintf(path, sizeof path, "%s/cgroup.events", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0, path);
    size = read(fd, text, sizeof text - 1);
    must(size > 0, path);
    text[size] = '\0';
    close(fd);
    return strstr(text, "populated 1") != NULL;
}

static void
bare_start(const char *base, int count)
{
    static char program[] = "/bin/true";
    static char *argv[] = {program, NULL};
    struct pollfd fds[IN_FLIGHT];
    char dirs[IN_FLIGHT][4096];
    double began = seconds();
    int started = 0;
    int ended = 0;

    for (int i = 0; i < IN_FLIGHT; i++)
        fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    while (ended < count) {
        for (int i = 0; i < IN_FLIGHT && started < count; i++) {
            if (fds[i].fd >= 0)
                continue;
            snprintf(dirs[i], sizeof dirs[i], "%s/b%d", base, started++);
            must(mkdir(dirs[i], 0755) == 0, dirs[i]);
            start_in(dirs[i], argv, &fds[i].fd);
        }
        must(poll(fds, IN_FLIGHT, -1) > 0, "poll");
        for (int i = 0; i < IN_FLIGHT; i++) {
            siginfo_t info;

            if (fds[i].fd < 0 || !(fds[i].revents & POLLIN))
                continue;
            must(waitid(P_PIDFD, (id_t)fds[i].fd, &info, WEXITED) == 0, "waitid");
            close(fds[i].fd);
            fds[i].fd = -1;
            must(rmdir(dirs[i]) == 0, dirs[i]);
            ended++;
        }
    }
    printf("{\"count\": %d, \"seconds\": %.6f}\n", count, seconds() - began);
}

static void
bare_kill(const char *base, int count)
{
    static char program[] = "/bin/sleep";
    static char forever[] = "1000";
    static char *argv[] = {program, forever, NULL};
    char top[4000];
    char dir[4096];
    double began;

    snprintf(top, sizeof top, "%s/kill", base);
    must(mkdir(top, 0755) == 0, top);
    for (int i = 0; i < count; i++) {
        int pidfd;

        snprintf(dir, sizeof dir, "%s/t%d", top, i);
        must(mkdir(dir, 0755) == 0, dir);
        start_in(dir, argv, &pidfd);
        close(pidfd);
    }
    poll(NULL, 0, 300); /* let them all reach their sleep: starting is not measured */
    began = seconds();
    write_file(top, "cgroup.kill", "1");
    for (int i = 0; i < count; i++)
        must(waitpid(-1, NULL, 0) > 0, "waitpid");
    while (populated(top))
        poll(NULL, 0, 0);
    printf("{\"count\": %d, \"seconds\": %.6f}\n", count, seconds() - began);
    for (int i = 0; i < count; i++) {
        snprintf(dir, sizeof dir, "%s/t%d", top, i);
        rmdir(dir);
    }
    rmdir(top);
}

static struct asup_client *
connect_to(const char *url)
{
    struct asup_client_options options;
    struct asup_client *c;
    struct asup_error_info err;

    asup_client_options_init(&options);
    options.url = url;
    if (asup_client_connect(&options, &c, &err) != 0) {
        fprintf(stderr, "bench-processes: %s\n", err.message);
        exit(1);
    }
    return c;
}

static void
ok(int code, const struct asup_error_info *err)
{
    if (code != 0) {
        fprintf(stderr, "bench-processes: %s\n", err->message);
        exit(1);
    }
}

static bool in_volatile; /* the tasks' region is: nothing waits for the disk */

static struct asup_region
open_region(struct asup_client *c)
{
    struct asup_region_options options;
    struct asup_error_info err;
    struct asup_region region;

    asup_region_options_init(&options);
    options.is_volatile = in_volatile;
    ok(asup_client_region_open(c, &options, &region, &err), &err);
    return region;
}

static void
submit_all(struct asup_client *c, struct asup_region region, const char *const *argv, int count)
{
    struct asup_process processes[BATCH];
    struct asup_task tasks[BATCH];
    struct asup_error_info err;

    for (int i = 0; i < BATCH; i++) {
        asup_process_init(&processes[i]);
        processes[i].argv = argv;
        processes[i].cwd = "/";
        processes[i].stdout_path = "/dev/null";
        processes[i].stderr_path = "/dev/null";
    }
    while (count > 0) {
        int n = count < BATCH ? count : BATCH;

        ok(asup_client_task_submit_many(c, region, processes, (size_t)n, false, tasks, NULL, &err),
           &err);
        count -= n;
    }
}

static void
daemon_start(const char *url, int count)
{
    static const char *const argv[] = {"/bin/true", NULL};
    struct asup_client *c = connect_to(url);
    struct asup_region region = open_region(c);
    struct asup_outcome outcome;
    struct asup_error_info err;
    double began = seconds();

    submit_all(c, region, argv, count);
    ok(asup_client_region_end(c, region, ASUP_END_FINISH, ASUP_NEVER, NULL, &err), &err);
    ok(asup_client_region_wait(c, region, -1, &outcome, &err), &err);
    began = seconds() - began;
    must(outcome.key.severity == ASUP_OK, "every /bin/true is ok");
    printf("{\"count\": %d, \"seconds\": %.6f}\n", count, began);
    asup_outcome_fini(&outcome);
    asup_client_free(c);
}

/* Sleeping tasks that have all started. A batch is submitted when the one
 * before it has started, so that what waits for its start, which holds its
 * whole command, does not count as what a running task takes. */
static struct asup_region
start_sleepers(struct asup_client *c, int count)
{
    static const char *const argv[] = {"/bin/sleep", "1000", NULL};
    struct asup_region region = open_region(c);
    struct asup_list_options list = {.region = region, .limit = BATCH};
    struct asup_error_info err;

    while (count > 0) {
        int n = count < BATCH ? count : BATCH;
        struct asup_task_list tasks;

        submit_all(c, region, argv, n);
        count -= n;
        ok(asup_client_task_list(c, &list, &tasks, &err), &err);
        for (size_t i = 0; i < tasks.count; i++)
            ok(asup_client_task_wait(c, tasks.items[i].task, ASUP_UNTIL_STARTED, -1, NULL, &err),
               &err);
        if (tasks.count > 0)
            list.after = tasks.items[tasks.count - 1].task;
        asup_task_list_fini(&tasks);
    }
    return region;
}

static void
daemon_cancel(const char *url, int count)
{
    struct asup_client *c = connect_to(url);
    struct asup_region region = start_sleepers(c, count);
    struct asup_error_info err;
    double began;

    poll(NULL, 0, 300); /* as in bare_kill */
    began = seconds();
    ok(asup_client_region_end(c, region, ASUP_END_CLOSE, ASUP_NEVER, NULL, &err), &err);
    ok(asup_client_region_wait(c, region, -1, NULL, &err), &err);
    printf("{\"count\": %d, \"seconds\": %.6f}\n", count, seconds() - began);
    asup_client_free(c);
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
daemon_latency(const char *url, int count)
{
    static const char *const argv[] = {"/bin/true", NULL};
    struct asup_client *c = connect_to(url);
    struct asup_region region = open_region(c);
    struct asup_process process;
    struct asup_error_info err;
    double *each = calloc((size_t)count, sizeof *each);

    must(each != NULL, "memory");
    asup_process_init(&process);
    process.argv = argv;
    for (int i = 0; i < count; i++) {
        struct asup_task task;

        each[i] = seconds();
        ok(asup_client_task_submit(c, region, &process, &task, &err), &err);
        ok(asup_client_task_wait(c, task, ASUP_UNTIL_FINISHED, -1, NULL, &err), &err);
        each[i] = seconds() - each[i];
    }
    qsort(each, (size_t)count, sizeof *each, by_value);
    printf("{\"count\": %d, \"median_seconds\": %.6f}\n", count, each[count / 2]);
    free(each);
    ok(asup_client_region_end(c, region, ASUP_END_CLOSE, ASUP_NEVER, NULL, &err), &err);
    ok(asup_client_region_wait(c, region, -1, NULL, &err), &err);
    asup_client_free(c);
}

static void
daemon_idle(const char *url, int count)
{
    struct asup_client *c = connect_to(url);
    struct asup_region region = start_sleepers(c, count);
    struct asup_error_info err;

    printf("{\"count\": %d}\n", count);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    ok(asup_client_region_end(c, region, ASUP_END_CLOSE, 0, NULL, &err), &err);
    ok(asup_client_region_wait(c, region, -1, NULL, &err), &err);
    asup_client_free(c);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const char *where, int count);
    } modes[] = {
        {"bare-start", bare_start},         {"daemon-start", daemon_start},
        {"bare-kill", bare_kill},           {"daemon-cancel", daemon_cancel},
        {"daemon-latency", daemon_latency}, {"daemon-idle", daemon_idle},
    };

    in_volatile = argc == 5 && strcmp(argv[4], "volatile") == 0;
    if ((argc == 4 || in_volatile) && (int)strtol(argv[3], NULL, 10) > 0)
        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
            if (strcmp(argv[1], modes[i].name) == 0) {
                modes[i].run(argv[2], (int)strtol(argv[3], NULL, 10));
                return 0;
            }
    fprintf(stderr, "usage: bench-processes MODE WHERE COUNT [volatile] (modes: see the source)\n");
    return 64;
}
