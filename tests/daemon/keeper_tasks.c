/* SPDX-License-Identifier: MIT */
/* Tasks from START to FORGET: starts, statuses, signals, kills, leftovers. */
#include "daemon/keeper_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules.h"

static const uint64_t region_2[] = {2, 0};

/* R-TSK-4: exit 0 and other exits are told with their code. */
START_TEST(R_TSK_4_exit_status_is_told)
{
    const struct link_row *row;

    order_script(1, "exit 0");
    order_script(2, "exit 3");
    row = await_facts(1, ROW_STARTED | ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(row->exit_code, 0);
    ck_assert_int_eq(row->signal, 0);
    ck_assert_uint_eq(row->region, 2);
    ck_assert_uint_gt(row->cpu_ns, 0);
    ck_assert_uint_gt(row->memory_peak, 0);
    row = await_facts(2, ROW_STARTED | ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(row->exit_code, 3);
    finish_task(1);
    finish_task(2);
}
END_TEST

/* R-TSK-4: a death by signal is told with its number. */
START_TEST(R_TSK_4_death_by_signal_is_told)
{
    const struct link_row *row;

    order_script(1, "kill -USR1 $$");
    row = await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(row->signal, SIGUSR1);
    ck_assert_int_eq(row->exit_code, -1);
    ck_assert_uint_eq(row->facts & (ROW_SIGNAL_DELIVERED | ROW_KILL_DELIVERED), 0);
    finish_task(1);
}
END_TEST

/* R-TSK-2: the cancel signal reaches every process of the task, and the row
 * says that the main one was alive. */
START_TEST(R_TSK_2_signal_reaches_all_processes)
{
    const struct link_row *row;

    order_script(1, "trap 'touch $1/main; exit 5' TERM\n"
                    "for i in 1 2 3; do (trap \"touch $1/sub$i; exit\" TERM; touch $1/up$i; "
                    "while :; do sleep 0.01; done) & done\n"
                    "setsid sh -c 'trap \"touch $1/far; exit\" TERM; touch $1/up4; "
                    "while :; do sleep 0.01; done' sh $1 &\n"
                    "touch $1/up0; while :; do sleep 0.01; done");
    for (int i = 0; i < 5; i++)
        await_file(in_dir("up%d", i));
    order_signal(1, SIGTERM);
    row = await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_uint_eq(row->facts & (ROW_SIGNAL_DELIVERED | ROW_SIGNAL_LATE), ROW_SIGNAL_DELIVERED);
    ck_assert_int_eq(row->exit_code, 5);
    for (int i = 1; i <= 3; i++)
        ck_assert_int_eq(access(in_dir("sub%d", i), F_OK), 0);
    ck_assert_int_eq(access(in_dir("far"), F_OK), 0);
    finish_task(1);
}
END_TEST

/* R-TSK-4: a signal that comes after the end of the main process is late. */
START_TEST(R_TSK_4_late_signal_is_told)
{
    const struct link_row *row;

    order_script(1, "setsid sleep 1000 & exit 7");
    row = await_facts(1, ROW_EXITED);
    ck_assert_uint_eq(row->facts & ROW_EMPTY, 0);
    order_signal(1, SIGTERM);
    row = await_facts(1, ROW_EMPTY);
    ck_assert_uint_eq(row->facts & (ROW_SIGNAL_DELIVERED | ROW_SIGNAL_LATE), ROW_SIGNAL_LATE);
    ck_assert_int_eq(row->exit_code, 7);
    finish_task(1);
}
END_TEST

/* R-REG-8: a double fork with setsid that ignores SIGTERM is killed. */
START_TEST(R_REG_8_double_fork_is_killed)
{
    const struct link_row *row;

    order_script(1, "trap '' TERM; (setsid sh -c 'trap \"\" TERM; touch $1/up; "
                    "while :; do sleep 0.01; done' sh $1 &) ; while :; do sleep 0.01; done");
    await_file(in_dir("up"));
    order_signal(1, SIGTERM);
    (void)await_facts(1, ROW_SIGNAL_DELIVERED);
    ck_assert_uint_eq(fx.rows[1].facts & ROW_EXITED, 0);
    order(LINK_KILL, 1);
    row = await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(row->signal, SIGKILL);
    ck_assert_uint_ne(row->facts & ROW_KILL_DELIVERED, 0);
    finish_task(1);
}
END_TEST

/* R-TSK-2: the end of the main process and emptiness are two facts. */
START_TEST(R_TSK_2_exited_and_empty_are_two_facts)
{
    const struct link_row *row;

    order_script(1,
                 "sh -c 'touch $1/up; while [ ! -e $1/go ]; do sleep 0.01; done' sh $1 & exit 4");
    await_file(in_dir("up"));
    row = await_facts(1, ROW_EXITED);
    ck_assert_int_eq(row->exit_code, 4);
    ck_assert_uint_eq(row->facts & ROW_EMPTY, 0);
    if (have_cgroups())
        ck_assert_int_ge(process_count(1, region_2), 1);
    /* Killed now, the main process is not "killed while it lived". */
    ck_assert_int_ge(creat(in_dir("go"), 0600), 0);
    row = await_facts(1, ROW_EMPTY);
    ck_assert_uint_eq(row->facts & ROW_KILL_DELIVERED, 0);
    finish_task(1);
}
END_TEST

/* R-REG-8: killing what is left after the main process's end is not forced. */
START_TEST(R_REG_8_kill_of_leftovers_is_not_forced)
{
    const struct link_row *row;

    order_script(1, "setsid sleep 1000 & exit 0");
    (void)await_facts(1, ROW_EXITED);
    order(LINK_KILL, 1);
    row = await_facts(1, ROW_EMPTY);
    ck_assert_uint_eq(row->facts & ROW_KILL_DELIVERED, 0);
    ck_assert_int_eq(row->exit_code, 0);
    finish_task(1);
}
END_TEST

/* R-TSK-2: SIGCONT follows the cancel signal, so that a stopped task ends. */
START_TEST(R_TSK_2_stopped_task_gets_its_signal)
{
    const struct link_row *row;

    order_script(1, "touch $1/up; kill -STOP $$; exit 9");
    await_file(in_dir("up"));
    order_signal(1, SIGTERM);
    row = await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(row->signal, SIGTERM);
    finish_task(1);
}
END_TEST

/* R-TSK-5: START is idempotent by task id. */
START_TEST(R_TSK_5_start_is_idempotent)
{
    uint32_t pid;

    order_script(1, "echo x >>$1/count; touch $1/counted; exec sleep 1000");
    pid = await_facts(1, ROW_STARTED)->pid;
    await_file(in_dir("counted"));
    order_script(1, "echo x >>$1/count; touch $1/counted; exec sleep 1000");
    order_script(2, "exit 0");
    (void)await_facts(2, ROW_EMPTY);
    ck_assert_uint_eq(fx.rows[1].pid, pid);
    ck_assert_uint_ge(fx.row_count[1], 2);
    ck_assert_str_eq(read_text(in_dir("count")), "x\n");
    order(LINK_KILL, 1);
    finish_task(1);
    finish_task(2);
}
END_TEST

/* R-TSK-4: a start that fails says its stage and errno, and leaves nothing. */
START_TEST(R_TSK_4_failed_start_names_stage_and_errno)
{
    static char big[3 << 20];
    const struct start plain = {.uid = getuid()};
    const struct {
        struct start start;
        const char *program;
        const char *stage;
        int error;
    } cases[] = {
        {{.uid = getuid()}, "/nonexistent", "exec", ENOENT},
        {{.uid = getuid()}, "no-such-program-anywhere", "exec", ENOENT},
        {{.uid = getuid()}, "/etc/passwd", "exec", EACCES},
        {{.uid = getuid(), .cwd = "/nonexistent"}, "/bin/true", "chdir", ENOENT},
        {{.uid = getuid(), .cwd = "/etc/passwd"}, "/bin/true", "chdir", ENOTDIR},
        {{.uid = getuid(), .paths = {"/nonexistent"}}, "/bin/true", "stdin", ENOENT},
        {{.uid = getuid(), .paths = {NULL, "/nonexistent/x"}}, "/bin/true", "stdout", ENOENT},
        {{.uid = getuid(), .paths = {NULL, NULL, "/"}}, "/bin/true", "stderr", EISDIR},
        {{.uid = getuid(), .passed = true}, "/bin/true", "stdio", ENOTCONN},
        {{.uid = getuid(), .tty = true}, "/bin/true", "tty", ENOTTY},
        {{.uid = getuid() + 1}, "/bin/true", "user", EPERM},
    };
    const struct link_row *row;
    uint64_t task = 1;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++, task++) {
        order_start(task, region_2, &cases[i].start, (const char *const[]){cases[i].program, NULL});
        row = await_facts(task, ROW_START_FAILED | ROW_EMPTY);
        ck_assert_str_eq(row->stage, cases[i].stage);
        ck_assert_int_eq(row->error, cases[i].error);
        ck_assert_uint_eq(row->facts & (ROW_STARTED | ROW_EXITED), 0);
        finish_task(task);
    }
    memset(big, 'x', sizeof big - 1);
    order_start(task, region_2, &plain, (const char *const[]){"/bin/true", big, NULL});
    row = await_facts(task, ROW_START_FAILED | ROW_EMPTY);
    ck_assert_str_eq(row->stage, "exec");
    ck_assert_int_eq(row->error, E2BIG);
    finish_task(task);
}
END_TEST

/* A row is told again until it is acknowledged. */
START_TEST(unacknowledged_row_is_told_again)
{
    uint32_t count;

    fx.ack = false;
    order_script(1, "exit 0");
    (void)await_facts(1, ROW_EMPTY);
    count = fx.row_count[1];
    while (fx.row_count[1] < count + 2)
        ck_assert(take_packet(3000));
    fx.ack = true;
    ck_assert(take_packet(3000));
    while (take_packet(0))
        ;
    count = fx.row_count[1];
    ck_assert(!take_packet(1500));
    ck_assert_uint_eq(fx.row_count[1], count);
    finish_task(1);
}
END_TEST

/* R-BUD-3: the CPU time of a living task can be asked for. */
START_TEST(R_BUD_3_cpu_time_is_sampled)
{
    uint64_t first;

    order_script(1, "touch $1/up; while :; do :; done");
    await_file(in_dir("up"));
    order(LINK_SAMPLE, 1);
    first = await_kind(LINK_SAMPLED)->u.sampled.cpu_ns;
    do
        order(LINK_SAMPLE, 1);
    while (await_kind(LINK_SAMPLED)->u.sampled.cpu_ns <= first);
    ck_assert_uint_eq(fx.last.u.sampled.task, 1);
    order(LINK_KILL, 1);
    finish_task(1);
}
END_TEST

/* Regions are mirrored by cgroups, which go with SWEEP; deep ones share a
 * level, and a task of "/" stands at the top. */
START_TEST(cgroups_mirror_regions)
{
    uint64_t deep[31] = {0};
    const struct start plain = {.uid = getuid()};
    char group[512];

    if (!have_cgroups())
        return;
    for (int i = 0; i < 30; i++)
        deep[i] = 10 + (uint64_t)i;
    order_start(1, (const uint64_t[]){4, 9, 0}, &plain,
                (const char *const[]){"/bin/sleep", "1000", NULL});
    order_start(2, (const uint64_t[]){0}, &plain,
                (const char *const[]){"/bin/sleep", "1000", NULL});
    order_start(3, deep, &plain, (const char *const[]){"/bin/sleep", "1000", NULL});
    (void)await_facts(1, ROW_STARTED);
    (void)await_facts(2, ROW_STARTED);
    (void)await_facts(3, ROW_STARTED);
    ck_assert_int_eq(process_count(1, (const uint64_t[]){4, 9, 0}), 1);
    ck_assert_int_eq(process_count(2, (const uint64_t[]){0}), 1);
    (void)snprintf(group, sizeof group, "%s/r10/r11/r12/r13/r14/r15/r16/r39/t3", fx.tree);
    ck_assert_int_eq(access(group, F_OK), 0);
    for (uint64_t task = 1; task <= 3; task++) {
        order(LINK_KILL, task);
        finish_task(task);
    }
    order_sweep((const uint64_t[]){4, 9, 0});
    ck_assert_int_eq(await_kind(LINK_SWEPT)->u.swept.error, 0);
    ck_assert_uint_eq(fx.last.u.swept.region, 9);
    order_sweep((const uint64_t[]){4, 0});
    ck_assert_int_eq(await_kind(LINK_SWEPT)->u.swept.error, 0);
    (void)snprintf(group, sizeof group, "%s/r4", fx.tree);
    ck_assert_int_lt(access(group, F_OK), 0);
}
END_TEST

/* Limits of memory and processes, where the controllers are; elsewhere a task
 * that asks for them is not started without. */
START_TEST(limits_hold_or_are_refused)
{
    const struct start memory = {.uid = getuid(), .memory_max = 32 << 20};
    const struct start pids = {.uid = getuid(), .pids_max = 5};
    const char *const eat[] = {"/bin/sh", "-c", "exec tail -c 200M /dev/zero", NULL};
    const char *const fork[] = {"/bin/sh", "-c",
                                "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; exit 0", NULL};

    order_start(1, region_2, &memory, eat);
    order_start(2, region_2, &pids, fork);
    if (fx.hello.u.hello.memory_limits) {
        (void)await_facts(1, ROW_EXITED | ROW_EMPTY | ROW_OOM_KILLED);
        ck_assert_int_eq(fx.rows[1].signal, SIGKILL);
        ck_assert_uint_gt(fx.rows[1].memory_peak, 16 << 20);
    } else {
        (void)await_facts(1, ROW_START_FAILED | ROW_EMPTY);
        ck_assert_str_eq(fx.rows[1].stage, "limits");
        ck_assert_int_eq(fx.rows[1].error, EOPNOTSUPP);
    }
    if (fx.hello.u.hello.pids_limits) {
        (void)await_facts(2, ROW_EXITED);
        ck_assert_int_ne(fx.rows[2].exit_code, 0);
        order(LINK_KILL, 2);
    } else {
        (void)await_facts(2, ROW_START_FAILED | ROW_EMPTY);
        ck_assert_int_eq(fx.rows[2].error, EOPNOTSUPP);
    }
    finish_task(1);
    finish_task(2);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_TSK_4_exit_status_is_told),
    RULE(R_TSK_4_death_by_signal_is_told),
    RULE(R_TSK_2_signal_reaches_all_processes),
    RULE(R_TSK_4_late_signal_is_told),
    RULE(R_REG_8_double_fork_is_killed),
    RULE(R_TSK_2_exited_and_empty_are_two_facts),
    RULE(R_REG_8_kill_of_leftovers_is_not_forced),
    RULE(R_TSK_2_stopped_task_gets_its_signal),
    RULE(R_TSK_5_start_is_idempotent),
    RULE(R_TSK_4_failed_start_names_stage_and_errno),
    RULE(unacknowledged_row_is_told_again),
    RULE(R_BUD_3_cpu_time_is_sampled),
    RULE(cgroups_mirror_regions),
    RULE(limits_hold_or_are_refused),
};

RULES_MAIN("keeper tasks", rules, keeper_begin, keeper_end)
