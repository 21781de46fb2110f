/* SPDX-License-Identifier: MIT */
/* The keeper's half of recovery: engines die, hang, refuse to start or are
 * replaced, and no task notices. */
#include "daemon/keeper_harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rules.h"

static const uint64_t region_2[] = {2, 0};

static void
kill_engine(void)
{
    ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
    keeper_meet();
}

static void
make_file(const char *name)
{
    int fd = open(in_dir("%s", name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

#define UNTIL(name) "while [ ! -e $1/" name " ]; do sleep 0.01; done; "

/* R-TSK-5: tasks and rows outlive the engine, whatever state they are in, and
 * the next engine can tell that it has the same keeper. */
START_TEST(R_TSK_5_tasks_and_rows_outlive_the_engine)
{
    const struct link_message before = fx.hello;
    struct link_row ended;
    pid_t main_pid;

    order_script(1, "(setsid sh -c 'trap \"\" TERM HUP INT; touch $1/far; " UNTIL(
                        "never") "' sh $1 &); touch $1/up; " UNTIL("never"));
    order_script(2, "exit 3");
    await_file(in_dir("up"));
    await_file(in_dir("far"));
    main_pid = (pid_t)await_facts(1, ROW_STARTED)->pid;
    ended = *await_facts(2, ROW_EXITED | ROW_EMPTY);
    kill_engine();
    ck_assert_uint_eq(fx.hello.u.hello.engine_runs, 2);
    ck_assert_uint_eq(fx.hello.u.hello.keeper_instance, before.u.hello.keeper_instance);
    ck_assert_str_eq(fx.hello.u.hello.boot, before.u.hello.boot);
    ck_assert_int_eq((int)strlen(fx.hello.u.hello.boot), 36);
    ck_assert_uint_eq(fx.rows[1].facts, ROW_STARTING | ROW_STARTED);
    ck_assert_uint_eq(fx.rows[1].pid, (uint32_t)main_pid);
    ck_assert_int_eq(memcmp(&fx.rows[2], &ended, sizeof ended), 0);
    ck_assert_int_eq(kill(main_pid, 0), 0);
    if (have_cgroups())
        ck_assert_int_ge(process_count(1, region_2), 2);
    ck_assert_ptr_nonnull(strstr(keeper_stderr(), "the engine died by signal 9"));
    /* And once more, with what the second one began. */
    order_script(3, "exit 4");
    (void)await_facts(3, ROW_EXITED | ROW_EMPTY);
    kill_engine();
    ck_assert_int_eq(fx.rows[2].exit_code, 3);
    ck_assert_int_eq(fx.rows[3].exit_code, 4);
    order(LINK_KILL, 1);
    for (uint64_t task = 1; task <= 3; task++)
        finish_task(task);
    /* What is forgotten is gone. */
    kill_engine();
    ck_assert_uint_eq(fx.row_total, 0);
}
END_TEST

/* R-TSK-4: what ended while there was no engine has its true status; an engine
 * that cannot start is said and tried again, and costs no task. */
START_TEST(R_TSK_4_statuses_without_an_engine_are_true)
{
    pid_t pids[5];

    order_script(1, UNTIL("go") "exit 7");
    order_script(2, UNTIL("go") "kill -SEGV $$");
    order_script(3, UNTIL("go") "(sleep 0.05; exit 0) & exit 0");
    order_script(4, UNTIL("never"));
    for (uint64_t task = 1; task <= 4; task++)
        pids[task] = (pid_t)await_facts(task, ROW_STARTED)->pid;
    order_signal(4, SIGUSR1);
    keeper_refuse_engines(true);
    ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
    wait_until_gone(pids[4]);
    make_file("go");
    for (uint64_t task = 1; task <= 3; task++)
        wait_until_gone(pids[task]);
    while (strstr(keeper_stderr(), "running tasks go on, and it is tried again") == NULL)
        (void)poll(NULL, 0, 2);
    keeper_refuse_engines(false);
    ck_assert_int_eq(kill(fx.keeper, SIGHUP), 0); /* now, and not in some seconds */
    keeper_meet();
    (void)await_facts(1, ROW_STARTED | ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[1].exit_code, 7);
    (void)await_facts(2, ROW_STARTED | ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[2].signal, SIGSEGV);
    (void)await_facts(3, ROW_STARTED | ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[3].exit_code, 0);
    (void)await_facts(4, ROW_SIGNAL_DELIVERED | ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[4].signal, SIGUSR1);
    for (uint64_t task = 1; task <= 4; task++)
        finish_task(task);
}
END_TEST

/* The table comes in the order of the last changes, regions with what is above
 * them. */
START_TEST(R_TSK_5_rows_come_in_the_order_of_change)
{
    static const uint64_t deep[] = {2, 3, 4, 0};
    const struct start start = {.uid = getuid()};

    for (uint64_t task = 1; task <= 4; task++) {
        char script[64];

        (void)snprintf(script, sizeof script, UNTIL("go%d"), (int)task);
        order_script(task, script);
        (void)await_facts(task, ROW_STARTED);
    }
    order_start(5, deep, &start, (const char *const[]){"/bin/true", NULL});
    (void)await_facts(5, ROW_EXITED | ROW_EMPTY);
    make_file("go3");
    (void)await_facts(3, ROW_EXITED | ROW_EMPTY);
    make_file("go1");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    kill_engine();
    ck_assert_uint_eq(fx.row_total, 5);
    ck_assert_uint_eq(fx.row_order[2], 1);
    ck_assert_uint_eq(fx.row_order[4], 2);
    ck_assert_uint_eq(fx.row_order[5], 3);
    ck_assert_uint_eq(fx.row_order[3], 4);
    ck_assert_uint_eq(fx.row_order[1], 5);
    ck_assert_uint_eq(fx.region_parent[2], ASUP_ROOT_ID);
    ck_assert_uint_eq(fx.region_parent[3], 2);
    ck_assert_uint_eq(fx.region_parent[4], 3);
    make_file("go2");
    make_file("go4");
    for (uint64_t task = 1; task <= 5; task++)
        finish_task(task);
}
END_TEST

/* A table that is larger than the channel goes out as the engine takes it. */
START_TEST(large_tables_are_told_whole)
{
    for (uint64_t task = 1; task < TASKS_MAX; task++) {
        order_script(task, "exit 5");
        if (task % 32 == 0)
            (void)await_facts(task, ROW_EMPTY);
    }
    for (uint64_t task = 1; task < TASKS_MAX; task++)
        (void)await_facts(task, ROW_EXITED | ROW_EMPTY);
    for (int round = 0; round < 2; round++) {
        kill_engine();
        for (uint64_t task = 1; task < TASKS_MAX; task++) {
            ck_assert_uint_eq(fx.row_count[task], 1);
            ck_assert_int_eq(fx.rows[task].exit_code, 5);
        }
    }
    for (uint64_t task = 1; task < TASKS_MAX; task++)
        finish_task(task);
}
END_TEST

static size_t
read_bytes(uint64_t task)
{
    static char text[65536];
    size_t total = 0;
    ssize_t got;

    (void)fcntl(fx.log_fd[task], F_SETFL, 0);
    while ((got = read(fx.log_fd[task], text, sizeof text)) > 0)
        total += (size_t)got;
    return total;
}

/* Output goes on into the next engine's hands: no SIGPIPE, nothing lost, and a
 * task that writes more than a pipe holds waits for an engine. */
START_TEST(output_waits_for_the_next_engine)
{
    char text[8] = "";

    order_script(1, "echo one; touch $1/one; " UNTIL("go") "echo two; exit 0");
    order_script(2, UNTIL("go") "touch $1/begun; head -c 300000 /dev/zero; exit $?");
    (void)await_facts(1, ROW_STARTED);
    (void)await_facts(2, ROW_STARTED);
    await_file(in_dir("one"));
    ck_assert_int_eq((int)read(fx.log_fd[1], text, sizeof text - 1), 4);
    ck_assert_str_eq(text, "one\n");
    keeper_refuse_engines(true);
    ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
    make_file("go");
    wait_until_gone((pid_t)fx.rows[1].pid);
    ck_assert_int_eq(kill((pid_t)fx.rows[2].pid, 0), 0);
    keeper_refuse_engines(false);
    ck_assert_int_eq(kill(fx.keeper, SIGHUP), 0);
    keeper_meet();
    ck_assert_str_eq(read_log(1), "two\n");
    ck_assert_uint_eq(read_bytes(2), 300000);
    (void)await_facts(2, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[2].exit_code, 0);
    finish_task(1);
    finish_task(2);
}
END_TEST

/* R-TSK-5: START is idempotent by id, also over an engine's end. */
START_TEST(R_TSK_5_a_start_said_twice_starts_once)
{
    pid_t main_pid;

    order_script(1, "echo >>$1/starts; " UNTIL("go"));
    main_pid = (pid_t)await_facts(1, ROW_STARTED)->pid;
    await_file(in_dir("starts"));
    kill_engine();
    order_script(1, "echo >>$1/starts; " UNTIL("go"));
    order_script(2, "exit 0");
    (void)await_facts(2, ROW_EMPTY);
    ck_assert_uint_eq(fx.row_count[1], 2);
    ck_assert_uint_eq(fx.rows[1].pid, (uint32_t)main_pid);
    make_file("go");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_str_eq(read_text(in_dir("starts")), "\n");
    finish_task(1);
    finish_task(2);
}
END_TEST

/* What a dead engine had said is done: it had written it down first. */
START_TEST(the_last_words_of_an_engine_count)
{
    order_script(1, UNTIL("never"));
    order_script(2, "exit 0");
    order_script(4, UNTIL("never"));
    (void)await_facts(1, ROW_STARTED);
    (void)await_facts(4, ROW_STARTED);
    (void)await_facts(2, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(kill(fx.keeper, SIGSTOP), 0);
    order_signal(1, SIGTERM);
    order(LINK_FORGET, 2);
    order_script(3, "exit 9");
    order(LINK_KILL, 4);
    ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
    ck_assert_int_eq(kill(fx.keeper, SIGCONT), 0);
    keeper_meet();
    (void)await_facts(1, ROW_SIGNAL_DELIVERED | ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[1].signal, SIGTERM);
    ck_assert_uint_eq(fx.row_count[2], 0);
    (void)await_facts(3, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[3].exit_code, 9);
    (void)await_facts(4, ROW_KILL_DELIVERED | ROW_EXITED | ROW_EMPTY);
    finish_task(1);
    finish_task(3);
    finish_task(4);
}
END_TEST

/* R-DUR-1: regions that the next engine does not know go with all that lives
 * in them and below; their rows stay until they are forgotten. */
START_TEST(R_DUR_1_an_unknown_region_is_swept_with_what_lives_there)
{
    static const uint64_t above[] = {2, 3, 0};
    static const uint64_t below[] = {2, 3, 4, 0};
    const struct start start = {.uid = getuid()};
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    pid_t pids[2];

    order_start(1, above, &start, argv);
    order_start(2, below, &start, argv);
    order_script(3, UNTIL("never"));
    pids[0] = (pid_t)await_facts(1, ROW_STARTED)->pid;
    pids[1] = (pid_t)await_facts(2, ROW_STARTED)->pid;
    (void)await_facts(3, ROW_STARTED);
    kill_engine();
    order_sweep(above);
    ck_assert_uint_eq(await_kind(LINK_SWEPT)->u.swept.region, 3);
    ck_assert_int_eq(fx.last.u.swept.error, 0);
    for (int i = 0; i < 2; i++) {
        (void)await_facts((uint64_t)i + 1, ROW_KILL_DELIVERED | ROW_EXITED | ROW_EMPTY);
        ck_assert_int_lt(kill(pids[i], 0), 0);
    }
    ck_assert_int_lt(access(in_dir("state/work/r3"), F_OK), 0);
    ck_assert_int_lt(access(in_dir("state/work/r4"), F_OK), 0);
    ck_assert_int_eq(access(in_dir("state/work/r2"), F_OK), 0);
    ck_assert_uint_eq(fx.rows[3].facts & ROW_EXITED, 0);
    finish_task(1);
    finish_task(2);
    order(LINK_KILL, 3);
    finish_task(3);
    kill_engine();
    ck_assert_uint_eq(fx.row_total, 0);
    ck_assert_uint_eq(fx.region_parent[3], 0);
    ck_assert_uint_eq(fx.region_parent[4], 0);
}
END_TEST

/* A sweep goes on without its engine; who asks again is answered. */
START_TEST(a_sweep_asked_for_again_is_answered)
{
    order_script(1, "mkdir $1/state/work/r2/d && cd $1/state/work/r2/d && "
                    "seq 1 3000 | xargs touch; exit 0");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[1].exit_code, 0);
    finish_task(1);
    order_sweep(region_2);
    kill_engine();
    order_sweep(region_2);
    ck_assert_int_eq(await_kind(LINK_SWEPT)->u.swept.error, 0);
    ck_assert_int_lt(access(in_dir("state/work/r2"), F_OK), 0);
    /* Again, of what is no more. */
    order_sweep(region_2);
    ck_assert_int_eq(await_kind(LINK_SWEPT)->u.swept.error, 0);
}
END_TEST

/* An upgrade in place, as often as one likes: it counts as no failure. */
START_TEST(replaced_engines_are_no_failures)
{
    order_script(1, UNTIL("never"));
    (void)await_facts(1, ROW_STARTED);
    for (int i = 0; i < 8; i++) {
        order(LINK_REPLACE, 0);
        ck_assert_int_eq(write(fx.control_fd, "\x55", 1), 1);
        keeper_meet();
        ck_assert_uint_eq(fx.rows[1].facts, ROW_STARTING | ROW_STARTED);
    }
    ck_assert_ptr_nonnull(strstr(keeper_stderr(), "the engine is replaced"));
    order(LINK_KILL, 1);
    finish_task(1);
}
END_TEST

/* Descriptors that were handed over for a start that never came go with the
 * engine: their giver sees the end of the connection, and gives them again. */
START_TEST(descriptors_for_no_start_are_given_back)
{
    int pair[2];
    struct pollfd gone;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    order_fd(LINK_STDIO, 7, pair[1]);
    close(pair[1]);
    kill_engine();
    gone = (struct pollfd){.fd = pair[0], .events = POLLIN};
    ck_assert_int_eq(poll(&gone, 1, WAIT_MS), 1);
    ck_assert(gone.revents & POLLHUP);
    close(pair[0]);
}
END_TEST

/* A daemon that shall end while no engine can start ends all at once. */
START_TEST(without_an_engine_the_end_is_at_once)
{
    order_script(1, "trap '' TERM; " UNTIL("never"));
    (void)await_facts(1, ROW_STARTED);
    keeper_refuse_engines(true);
    ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
    while (strstr(keeper_stderr(), "the engine cannot start (status 78") == NULL)
        (void)poll(NULL, 0, 2);
    ck_assert_int_eq(kill((pid_t)fx.rows[1].pid, 0), 0);
    ck_assert_int_eq(kill(fx.keeper, SIGTERM), 0);
    ck_assert_int_eq(keeper_exit_status(), 1);
    ck_assert_ptr_nonnull(strstr(keeper_stderr(), "it is all killed"));
}
END_TEST

static const struct rule rules[] = {
    RULE(R_TSK_5_tasks_and_rows_outlive_the_engine),
    RULE(R_TSK_4_statuses_without_an_engine_are_true),
    RULE(R_TSK_5_rows_come_in_the_order_of_change),
    RULE(large_tables_are_told_whole),
    RULE(output_waits_for_the_next_engine),
    RULE(R_TSK_5_a_start_said_twice_starts_once),
    RULE(the_last_words_of_an_engine_count),
    RULE(R_DUR_1_an_unknown_region_is_swept_with_what_lives_there),
    RULE(a_sweep_asked_for_again_is_answered),
    RULE(replaced_engines_are_no_failures),
    RULE(descriptors_for_no_start_are_given_back),
    RULE(without_an_engine_the_end_is_at_once),
};

int
main(void)
{
    return rules_run("keeper and its engines", rules, sizeof rules / sizeof rules[0], keeper_begin,
                     keeper_end);
}
