/* SPDX-License-Identifier: MIT */
/* System mode: who runs as whom, and what a user can do against the keeper.
 * User 1 ("daemon") and user 2 ("bin") stand for two ordinary users. */
#include "daemon/keeper_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rules.h"

#define USER_1 1u
#define USER_2 2u

static const uint64_t region_2[] = {2, 0};
static const uint64_t region_3[] = {3, 0};

static void
begin(void)
{
    keeper_begin_system("# users for the test\nallow 1-20\ndeny 4\nallow 4242\n");
    ck_assert_int_eq(chmod(fx.dir, 01777), 0);
}

static void
run_as(uint64_t task, uint32_t uid, const char *script)
{
    const struct start start = {.uid = uid};

    order_start(task, uid == USER_2 ? region_3 : region_2, &start,
                (const char *const[]){"/bin/sh", "-c", script, "sh", fx.dir, NULL});
}

/* R-CAP-3: user, group and supplementary groups are the submitter's, and no
 * capability is left. Twice: by the name service, and by what was kept of it. */
START_TEST(R_CAP_3_task_runs_as_its_user)
{
    const struct passwd *entry = getpwuid(USER_1);
    gid_t groups[64];
    int count = 64;
    char wanted[512];
    int used;

    ck_assert_ptr_nonnull(entry);
    ck_assert_int_ge(getgrouplist(entry->pw_name, entry->pw_gid, groups, &count), 0);
    used = snprintf(wanted, sizeof wanted, "%u %u %s %s\n", USER_1, entry->pw_gid, entry->pw_name,
                    entry->pw_dir);
    for (int i = 0; i < count; i++)
        used += snprintf(wanted + used, sizeof wanted - (size_t)used, "%s%u", i > 0 ? " " : "",
                         groups[i]);
    (void)snprintf(wanted + used, sizeof wanted - (size_t)used,
                   "\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n");
    for (uint64_t task = 1; task <= 2; task++) {
        run_as(task, USER_1,
               "echo $(id -u) $(id -g) $LOGNAME $HOME; id -G; "
               "grep -E '^Cap(Prm|Eff)' /proc/self/status");
        (void)await_facts(task, ROW_EXITED | ROW_EMPTY);
        ck_assert_str_eq(read_log(task), wanted);
        finish_task(task);
    }
}
END_TEST

/* R-CAP-3: the keeper's own rules decide, whatever the engine says. */
START_TEST(R_CAP_3_run_as_rules_decide)
{
    const struct {
        uint32_t uid;
        int error;
    } cases[] = {{0, EPERM}, {4, EPERM}, {100, EPERM}, {UINT32_MAX, EPERM}, {4242, ENOENT}};
    uint64_t task = 1;

    ck_assert_uint_eq(fx.hello.u.hello.containment,
                      have_cgroups() ? CONTAINMENT_CGROUP2 : CONTAINMENT_SUBREAPER);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++, task++) {
        run_as(task, cases[i].uid, "exit 0");
        (void)await_facts(task, ROW_START_FAILED | ROW_EMPTY);
        ck_assert_str_eq(fx.rows[task].stage, "user");
        ck_assert_int_eq(fx.rows[task].error, cases[i].error);
        finish_task(task);
    }
}
END_TEST

/* SIGHUP reads the rules again; wrong ones leave the old in force. So does the
 * engine's word, and it learns what has changed. */
START_TEST(rules_are_reloaded)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/run-as.conf", fx.dir);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "allow 1\nallow two\n", 18), 18);
    ck_assert_int_eq(kill(fx.keeper, SIGHUP), 0);
    (void)await_kind(LINK_RELOAD);
    ck_assert_ptr_nonnull(strstr(keeper_stderr(), "run-as.conf:2: "));
    run_as(1, USER_2, "exit 0");
    (void)await_facts(1, ROW_EXITED);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(pwrite(fd, "allow 0-1\n", 10, 0), 10);
    close(fd);
    order(LINK_REREAD, 0);
    (void)await_kind(LINK_HELLO);
    if (have_cgroups())
        ck_assert_uint_eq(fx.last.u.hello.containment, CONTAINMENT_CGROUP2_COOPERATIVE);
    run_as(2, USER_2, "exit 0");
    (void)await_facts(2, ROW_START_FAILED);
    finish_task(1);
    finish_task(2);
}
END_TEST

/* The log can be opened again by its name, as many programs do. */
START_TEST(standard_output_can_be_reopened)
{
    run_as(1, USER_1, "echo again >/dev/stdout");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_str_eq(read_log(1), "again\n");
    finish_task(1);
}
END_TEST

/* A task can neither leave its cgroup nor reach keeper, engine or others. */
START_TEST(task_cannot_leave)
{
    char script[512];

    if (!have_cgroups())
        return;
    run_as(1, USER_2, "touch $1/up; exec sleep 1000");
    await_file(in_dir("up"));
    (void)snprintf(script, sizeof script,
                   "(echo 0 >%s/cgroup.procs) 2>/dev/null && echo left; "
                   "kill -9 %d 2>/dev/null && echo keeper; kill -9 %d 2>/dev/null && echo engine; "
                   "kill -9 %u 2>/dev/null && echo other; true",
                   fx.tree, (int)fx.keeper, (int)fx.engine, fx.rows[1].pid);
    run_as(2, USER_1, script);
    (void)await_facts(2, ROW_EXITED | ROW_EMPTY);
    ck_assert_str_eq(read_log(2), "");
    order(LINK_KILL, 1);
    finish_task(1);
    finish_task(2);
}
END_TEST

static uint64_t
now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A user who stops all its processes, half-started ones included, does not
 * hold up the keeper or others; all of them can be killed. */
START_TEST(stopping_everything_does_not_stop_the_keeper)
{
    const int count = 60;
    const uint32_t stopper = idle_user();
    uint64_t longest = 0;

    run_as(1, stopper, "touch $1/up; while :; do kill -STOP -1; done");
    await_file(in_dir("up"));
    for (int i = 0; i < count; i++) {
        uint64_t task = 10 + 2 * (uint64_t)i;
        uint64_t began = now_ms();

        run_as(task, stopper, "exit 0");
        run_as(task + 1, USER_2, "exit 0");
        (void)await_facts(task + 1, ROW_EXITED | ROW_EMPTY);
        if (now_ms() - began > longest)
            longest = now_ms() - began;
        finish_task(task + 1);
    }
    ck_assert_msg(longest < 2000, "another user's start took %llu ms", (unsigned long long)longest);
    for (int i = 0; i < count; i++)
        order(LINK_KILL, 10 + 2 * (uint64_t)i);
    order(LINK_KILL, 1);
    for (int i = 0; i < count; i++)
        finish_task(10 + 2 * (uint64_t)i);
    finish_task(1);
}
END_TEST

/* R-TSK-4: a task that hangs before its exec can be killed: the start failed. */
START_TEST(R_TSK_4_starting_task_can_be_killed)
{
    char fifo[128];
    struct start start = {.uid = USER_1};

    (void)snprintf(fifo, sizeof fifo, "%s/fifo", fx.dir);
    ck_assert_int_eq(mkfifo(fifo, 0666), 0);
    ck_assert_int_eq(chmod(fifo, 0666), 0);
    start.paths[0] = fifo;
    order_start(1, region_2, &start, (const char *const[]){"/bin/true", NULL});
    /* Reported as starting by the next tick, since it takes so long. */
    (void)await_facts(1, ROW_STARTING);
    ck_assert_uint_gt(fx.rows[1].pid, 0);
    ck_assert_uint_eq(fx.rows[1].facts & ROW_STARTED, 0);
    order(LINK_KILL, 1);
    (void)await_facts(1, ROW_START_FAILED | ROW_EMPTY | ROW_KILL_DELIVERED);
    ck_assert_str_eq(fx.rows[1].stage, "killed");
    ck_assert_int_eq(fx.rows[1].error, ECANCELED);
    finish_task(1);
}
END_TEST

/* The engine runs as its own user, without a way back. */
START_TEST(engine_has_dropped_its_privileges)
{
    char path[64];
    const char *status;
    char wanted[64];
    uid_t nobody = getpwnam("nobody")->pw_uid;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)fx.engine);
    status = read_text(path);
    (void)snprintf(wanted, sizeof wanted, "Uid:\t%u\t%u\t%u\t%u\n", nobody, nobody, nobody, nobody);
    ck_assert_ptr_nonnull(strstr(status, wanted));
    ck_assert_ptr_nonnull(strstr(status, "NoNewPrivs:\t1\n"));
    ck_assert_ptr_nonnull(strstr(status, "CapPrm:\t0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(status, "Groups:\t \n"));
}
END_TEST

static const struct rule rules[] = {
    RULE(R_CAP_3_task_runs_as_its_user),
    RULE(R_CAP_3_run_as_rules_decide),
    RULE(rules_are_reloaded),
    RULE(standard_output_can_be_reopened),
    RULE(task_cannot_leave),
    RULE(stopping_everything_does_not_stop_the_keeper),
    RULE(R_TSK_4_starting_task_can_be_killed),
    RULE(engine_has_dropped_its_privileges),
};

int
main(void)
{
    if (geteuid() != 0) {
        (void)fputs("skipped: only root can start a system daemon\n", stderr);
        return 77;
    }
    return rules_run("keeper users", rules, sizeof rules / sizeof rules[0], begin, keeper_end);
}
