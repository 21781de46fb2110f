/* SPDX-License-Identifier: MIT */
/* Beginnings and ends: engines that die, keepers that die, signals, the
 * service manager, the lock, options. */
#include "daemon/keeper_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rules.h"

static const uint64_t region_2[] = {2, 0};

#define ESCAPEE                                                                                    \
    "(setsid sh -c 'trap \"\" TERM HUP INT; touch $1/far; while :; do sleep 0.01; done' sh $1 "    \
    "&); "                                                                                         \
    "touch $1/up; while :; do sleep 0.01; done"

static void
start_escapees(uint64_t task)
{
    order_script(task, ESCAPEE);
    await_file(in_dir("up"));
    await_file(in_dir("far"));
}

/* An engine that gives no sign of life is killed and replaced; its tasks live
 * on. */
START_TEST(hanging_engine_is_replaced)
{
    pid_t engine = fx.engine;

    order_script(1, "exec sleep 1000");
    (void)await_facts(1, ROW_STARTED);
    ck_assert_int_eq(kill(engine, SIGSTOP), 0);
    keeper_meet();
    ck_assert_int_ne(fx.engine, engine);
    ck_assert_ptr_nonnull(strstr(keeper_stderr(), "no sign of life"));
    ck_assert_uint_eq(fx.rows[1].facts, ROW_STARTING | ROW_STARTED);
    order(LINK_KILL, 1);
    finish_task(1);
}
END_TEST

static void
begin_impatient(void)
{
    keeper_begin_with((const char *const[]){"--user", "--engine-timeout", "1", NULL});
}

/* Five restarts within a minute, and the keeper gives up, leaving nothing. */
START_TEST(restarts_have_an_end)
{
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
        keeper_meet();
    }
    start_escapees(1);
    ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
    ck_assert_int_eq(keeper_exit_status(), 1);
    ck_assert_ptr_nonnull(strstr(keeper_stderr(), "giving up"));
}
END_TEST

/* Without the keeper, the engine's one write kills everything. */
START_TEST(kill_descriptor_kills_the_tree)
{
    pid_t main_pid;
    char tree[sizeof fx.tree + 32];

    if (!have_cgroups())
        return;
    start_escapees(1);
    main_pid = (pid_t)fx.rows[1].pid;
    (void)snprintf(tree, sizeof tree, "%s/cgroup.events", fx.tree);
    ck_assert_int_eq(kill(fx.keeper, SIGKILL), 0);
    ck_assert_int_eq(waitpid(fx.keeper, NULL, 0), fx.keeper);
    fx.keeper = 0;
    ck_assert_int_eq(kill(main_pid, 0), 0);
    ck_assert_int_eq(write(fx.kill_fd, "1", 1), 1);
    for (int i = 0; strstr(read_text(tree), "populated 0") == NULL; i++) {
        ck_assert_int_lt(i, 5000);
        (void)poll(NULL, 0, 2);
    }
    /* The next keeper removes the empty tree. */
    keeper_launch((const char *const[]){"--user", NULL});
    keeper_meet();
}
END_TEST

/* R-REG-4: a starting keeper kills and removes what a dead one left. */
START_TEST(leftover_tree_is_cleaned)
{
    pid_t main_pid;
    pid_t old_engine;

    if (!have_cgroups())
        return;
    start_escapees(1);
    order_script(2, "mkdir -p $1/state/work/r2/a/b && touch $1/state/work/r2/a/b/c");
    (void)await_facts(2, ROW_EXITED | ROW_EMPTY);
    main_pid = (pid_t)fx.rows[1].pid;
    old_engine = fx.engine;
    ck_assert_int_eq(kill(fx.keeper, SIGKILL), 0);
    ck_assert_int_eq(waitpid(fx.keeper, NULL, 0), fx.keeper);
    ck_assert_int_eq(kill(main_pid, 0), 0);
    keeper_launch((const char *const[]){"--user", NULL});
    keeper_meet();
    wait_until_gone(main_pid);
    wait_until_gone(old_engine);
    ck_assert_int_eq(process_count(1, region_2), -1);
    for (int i = 0; access(in_dir("state/work/r2"), F_OK) == 0; i++) {
        ck_assert_int_lt(i, 5000);
        (void)take_packet(2);
    }
}
END_TEST

/* A second daemon with the same runtime directory is refused by name. */
START_TEST(second_daemon_is_refused)
{
    struct fixture first = fx;
    char wanted[64];

    keeper_launch((const char *const[]){"--user", NULL});
    ck_assert_int_eq(keeper_exit_status(), 69);
    (void)snprintf(wanted, sizeof wanted, "(pid %d)", (int)first.keeper);
    ck_assert_ptr_nonnull(strstr(keeper_stderr(), wanted));
    fx.keeper = first.keeper;
    fx.stderr_fd = first.stderr_fd;
    order_script(1, "exit 0");
    (void)await_facts(1, ROW_EMPTY);
    finish_task(1);
}
END_TEST

/* SIGTERM and SIGINT are counted for the engine, SIGHUP is a reload. */
START_TEST(signals_reach_the_engine)
{
    ck_assert_int_eq(kill(fx.keeper, SIGTERM), 0);
    ck_assert_uint_eq(await_kind(LINK_SHUTDOWN)->u.shutdown.count, 1);
    ck_assert_int_eq(kill(fx.keeper, SIGINT), 0);
    ck_assert_uint_eq(await_kind(LINK_SHUTDOWN)->u.shutdown.count, 2);
    ck_assert_int_eq(kill(fx.keeper, SIGHUP), 0);
    ck_assert_uint_eq(await_kind(LINK_RELOAD)->u.hello.keeper_pid, (uint32_t)fx.keeper);
}
END_TEST

/* An engine that dies during a shutdown is started again and told of it. */
START_TEST(shutdown_outlives_the_engine)
{
    start_escapees(1);
    ck_assert_int_eq(kill(fx.keeper, SIGTERM), 0);
    ck_assert_int_eq(kill(fx.keeper, SIGINT), 0);
    while (await_kind(LINK_SHUTDOWN)->u.shutdown.count != 2)
        ;
    ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
    keeper_meet();
    /* That one had been told of two; a third is news. */
    ck_assert_uint_eq(fx.shutdown_count, 2);
    ck_assert_int_eq(kill(fx.keeper, SIGTERM), 0);
    ck_assert_uint_eq(await_kind(LINK_SHUTDOWN)->u.shutdown.count, 3);
    order(LINK_KILL, 1);
    finish_task(1);
}
END_TEST

/* An engine that cannot begin is not tried again; its status is the keeper's. */
START_TEST(engine_that_cannot_begin_ends_the_start)
{
    close(fx.listen_fd);
    keeper_launch((const char *const[]){"--user", NULL});
    ck_assert_int_eq(keeper_exit_status(), 78);
    ck_assert_ptr_nonnull(strstr(keeper_stderr(), "no test listens"));
}
END_TEST

static void
begin_nothing(void)
{
    keeper_begin_with((const char *const[]){NULL});
}

/* ---- The service manager --------------------------------------------------------------- */

static int notify_fd;

static void
begin_notified(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    begin_nothing();
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/notify.sock", fx.dir);
    ck_assert_int_eq(bind(notify_fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    ck_assert_int_eq(setenv("WATCHDOG_USEC", "100000", 1), 0);
    keeper_launch((const char *const[]){"--user", NULL});
    ck_assert_int_eq(unsetenv("NOTIFY_SOCKET") | unsetenv("WATCHDOG_USEC"), 0);
    keeper_meet();
}

static void
await_notice(const char *wanted)
{
    struct pollfd wait = {.fd = notify_fd, .events = POLLIN};
    char text[512];
    ssize_t got;

    do {
        ck_assert_msg(poll(&wait, 1, WAIT_MS) == 1, "no notice %s", wanted);
        got = recv(notify_fd, text, sizeof text - 1, 0);
        ck_assert_int_ge(got, 0);
        text[got] = '\0';
    } while (strncmp(text, wanted, strlen(wanted)) != 0);
}

/* What the engine says reaches the service manager; the keeper's own loop
 * feeds the watchdog; engine and tasks do not see the socket. */
START_TEST(service_manager_is_told)
{
    struct link_message message = {.kind = LINK_STATUS};

    await_notice("READY=1");
    await_notice("WATCHDOG=1");
    await_notice("WATCHDOG=1");
    (void)strcpy(message.u.text, "3 tasks\nEVIL=1");
    ck_assert_int_eq(link_send_now(fx.link_fd, &message, -1), 0);
    await_notice("STATUS=3 tasks EVIL=1");
    ck_assert_int_eq(kill(fx.keeper, SIGHUP), 0);
    await_notice("RELOADING=1\nMONOTONIC_USEC=");
    (void)await_kind(LINK_RELOAD);
    order(LINK_RELOADED, 0);
    await_notice("READY=1");
    message.kind = LINK_EXTEND;
    message.u.extend.usec = 5000000;
    ck_assert_int_eq(link_send_now(fx.link_fd, &message, -1), 0);
    await_notice("EXTEND_TIMEOUT_USEC=5000000");
    order(LINK_STOPPING, 0);
    await_notice("STOPPING=1");
    order_script(1, "echo ${NOTIFY_SOCKET-none}");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_str_eq(read_log(1), "none\n");
    finish_task(1);
}
END_TEST

/* ---- The program ------------------------------------------------------------------------- */

static int
run_program(const char *const *options, char *text, size_t size)
{
    const char *argv[16] = {KEEPER_PROGRAM};
    int pipe_fds[2];
    size_t used = 0;
    int status;
    pid_t pid;
    ssize_t got;

    for (int i = 0; options[i] != NULL; i++)
        argv[i + 1] = options[i];
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(pipe_fds[1], 1);
        (void)dup2(pipe_fds[1], 2);
        (void)execv(KEEPER_PROGRAM, (char *const *)argv);
        _exit(127);
    }
    close(pipe_fds[1]);
    while ((got = read(pipe_fds[0], text + used, size - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    close(pipe_fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

START_TEST(wrong_options_are_explained)
{
    const struct {
        const char *options[4];
        const char *message;
    } cases[] = {
        {{"--nonsense"}, "--nonsense"},           {{"--user", "operand"}, "operand"},
        {{"--engine-timeout", "0"}, "1 to 3600"}, {{"--containment", "magic"}, "subreaper"},
        {{"--state-dir", ""}, "--state-dir"},     {{"--engine"}, "for the daemon itself"},
        {{"--runtime-dir"}, "--runtime-dir"},
    };
    char text[4096];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(run_program(cases[i].options, text, sizeof text), 64);
        ck_assert_msg(strstr(text, cases[i].message) != NULL, "%s", text);
    }
    ck_assert_int_eq(run_program((const char *const[]){"--help", NULL}, text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, "Usage: asupersyncd"));
    ck_assert_int_eq(run_program((const char *const[]){"--version", NULL}, text, sizeof text), 0);
}
END_TEST

/* Wrong run-as files are refused with file and line. */
START_TEST(wrong_run_as_rules_are_explained)
{
    const struct {
        const char *text;
        mode_t mode;
        const char *message;
    } cases[] = {
        {"allow 1\npermit 2\n", 0644, "run-as.conf:2: expected 'allow' or 'deny'"},
        {"allow\n", 0644, "run-as.conf:1: expected a user number"},
        {"allow 5-1\n", 0644, "run-as.conf:1: the range ends before it begins"},
        {"allow 1 2\n", 0644, "run-as.conf:1: one user number"},
        {"deny 4294967295\n", 0644, "run-as.conf:1: not a user number"},
        {"allow 1\n", 0666, "writable by others"},
    };
    char path[128];
    char state[128];
    char text[4096];

    if (geteuid() != 0)
        return;
    (void)snprintf(path, sizeof path, "%s/run-as.conf", fx.dir);
    (void)snprintf(state, sizeof state, "%s/state", fx.dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_eq(write(fd, cases[i].text, strlen(cases[i].text)),
                         (int)strlen(cases[i].text));
        ck_assert_int_eq(fchmod(fd, cases[i].mode), 0);
        close(fd);
        ck_assert_int_eq(run_program((const char *const[]){"--foreground", "--runtime-dir", fx.dir,
                                                           "--state-dir", state, "--run-as", path,
                                                           "--engine-user", "nobody", NULL},
                                     text, sizeof text),
                         78);
        ck_assert_msg(strstr(text, cases[i].message) != NULL, "%s", text);
    }
}
END_TEST

/* Without --foreground it goes to the background once ready; the caller sees
 * its success, or its failure with the message. */
START_TEST(daemon_goes_to_the_background)
{
    const char *const options[] = {"--user", "--runtime-dir", fx.dir, NULL};
    char text[4096];
    int listen_fd = fx.listen_fd;
    int status;
    pid_t caller;

    (void)snprintf(text, sizeof text, "%s/test.sock", fx.dir);
    ck_assert_int_eq(rename(text, in_dir("hidden.sock")), 0);
    ck_assert_int_eq(run_program(options, text, sizeof text), 78);
    ck_assert_ptr_nonnull(strstr(text, "no test listens"));
    (void)snprintf(text, sizeof text, "%s/test.sock", fx.dir);
    ck_assert_int_eq(rename(in_dir("hidden.sock"), text), 0);

    caller = fork();
    if (caller == 0)
        _exit(run_program(options, text, sizeof text));
    fx.listen_fd = listen_fd;
    keeper_meet();
    ck_assert_int_eq(waitpid(caller, &status, 0), caller);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    order_script(1, "exit 0");
    (void)await_facts(1, ROW_EMPTY);
    finish_task(1);
    order(LINK_QUIESCENT, 0);
    ck_assert_int_eq(write(fx.control_fd, "", 1), 1);
    wait_until_gone((pid_t)fx.hello.u.hello.keeper_pid);
}
END_TEST

/* Descriptors run out: starts fail and say so, and killing still works. */
START_TEST(descriptor_exhaustion_fails_starts_only)
{
    int failed = 0;

    for (uint64_t task = 1; task <= 100; task++) {
        order_script(task, "exec sleep 1000");
        (void)await_facts(task, 0);
        while ((fx.rows[task].facts & (ROW_STARTED | ROW_START_FAILED)) == 0)
            ck_assert(take_packet(WAIT_MS));
        if (fx.log_fd[task] >= 0)
            close(fx.log_fd[task]);
        fx.log_fd[task] = -1;
        if ((fx.rows[task].facts & ROW_START_FAILED) != 0) {
            failed++;
            ck_assert_str_eq(fx.rows[task].stage, "pipe");
            ck_assert_int_eq(fx.rows[task].error, EMFILE);
        }
    }
    ck_assert_int_gt(failed, 10);
    ck_assert_int_lt(failed, 90);
    for (uint64_t task = 1; task <= 100; task++)
        order(LINK_KILL, task);
    for (uint64_t task = 1; task <= 100; task++)
        finish_task(task);
}
END_TEST

static void
begin_with_few_descriptors(void)
{
    struct rlimit before;
    struct rlimit few;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    begin_nothing();
    few = (struct rlimit){.rlim_cur = 320, .rlim_max = 320};
    ck_assert_int_eq(prlimit(0, RLIMIT_NOFILE, &few, NULL), 0);
    keeper_launch((const char *const[]){"--user", NULL});
    keeper_meet();
}

/* Orphans are reaped: no zombie stays with the keeper. */
START_TEST(orphans_are_reaped)
{
    char command[256];

    order_script(1, "for i in 1 2 3 4 5 6 7 8; do (setsid sleep 0.0$i &) ; done; exit 3");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[1].exit_code, 3);
    (void)snprintf(command, sizeof command,
                   "for i in $(seq 500); do grep -lE '^State:.*zombie' "
                   "$(grep -slE '^PPid:.%d$' /proc/[0-9]*/status) </dev/null >/dev/null 2>&1 "
                   "|| exit 0; sleep 0.01; done; exit 1",
                   (int)fx.keeper);
    ck_assert_int_eq(system(command), 0); /* NOLINT: a command of our own */
    finish_task(1);
}
END_TEST

static const struct rule rules[] = {
    RULE(restarts_have_an_end),     RULE(kill_descriptor_kills_the_tree),
    RULE(leftover_tree_is_cleaned), RULE(second_daemon_is_refused),
    RULE(signals_reach_the_engine), RULE(shutdown_outlives_the_engine),
    RULE(orphans_are_reaped),
};
static const struct rule rules_impatient[] = {RULE(hanging_engine_is_replaced)};
static const struct rule rules_notified[] = {RULE(service_manager_is_told)};
static const struct rule rules_few[] = {RULE(descriptor_exhaustion_fails_starts_only)};
static const struct rule rules_program[] = {
    RULE(engine_that_cannot_begin_ends_the_start),
    RULE(wrong_options_are_explained),
    RULE(wrong_run_as_rules_are_explained),
    RULE(daemon_goes_to_the_background),
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int
main(void)
{
    int failed = 0;

    failed |= rules_run("keeper life", rules, COUNT(rules), keeper_begin, keeper_end);
    failed |= rules_run("keeper and a hanging engine", rules_impatient, COUNT(rules_impatient),
                        begin_impatient, keeper_end);
    failed |= rules_run("keeper and service manager", rules_notified, COUNT(rules_notified),
                        begin_notified, keeper_end);
    failed |= rules_run("keeper without descriptors", rules_few, COUNT(rules_few),
                        begin_with_few_descriptors, keeper_end);
    failed |=
        rules_run("keeper program", rules_program, COUNT(rules_program), begin_nothing, keeper_end);
    return failed;
}
