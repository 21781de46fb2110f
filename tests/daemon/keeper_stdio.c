/* SPDX-License-Identifier: MIT */
/* What a task finds when it begins: descriptors, environment, directory,
 * limits, signals; and that output never kills it. */
#include "daemon/keeper_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rules.h"

static const uint64_t region_2[] = {2, 0};

static void
run(uint64_t task, struct start start, const char *script)
{
    start.uid = getuid();
    order_start(task, region_2, &start,
                (const char *const[]){"/bin/sh", "-c", script, "sh", fx.dir, NULL});
}

/* Standard output and error go into one pipe; standard input is empty. */
START_TEST(output_goes_into_the_log_pipe)
{
    run(1, (struct start){0}, "cat; echo out; echo err >&2");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[1].exit_code, 0);
    ck_assert_str_eq(read_log(1), "out\nerr\n");
    finish_task(1);
}
END_TEST

/* A reader that is gone costs the task its output, not its life. */
START_TEST(dead_reader_gives_no_sigpipe)
{
    run(1, (struct start){0},
        "touch $1/up; while [ ! -e $1/go ]; do sleep 0.01; done; echo late; exit 6");
    await_file(in_dir("up"));
    (void)await_facts(1, ROW_STARTED);
    ck_assert_int_ge(fx.log_fd[1], 0);
    close(fx.log_fd[1]);
    fx.log_fd[1] = -1;
    close(creat(in_dir("go"), 0600));
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[1].exit_code, 6);
    finish_task(1);
}
END_TEST

/* A clean descriptor table: 0, 1, 2 and nothing else. */
START_TEST(descriptor_table_is_clean)
{
    run(1, (struct start){0}, "exec ls -l /proc/self/fd");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    /* ls itself has the directory open as 3. */
    ck_assert_ptr_nonnull(strstr(read_log(1), " 2 -> pipe:"));
    ck_assert_ptr_null(strstr(read_log(1), " 4 -> "));
    finish_task(1);
}
END_TEST

/* Output that is thrown away has no pipe. */
START_TEST(null_is_all_three_and_no_pipe)
{
    run(1, (struct start){.null = true},
        "for n in 0 1 2; do [ $(readlink /proc/$$/fd/$n) = /dev/null ] || exit 1; done; exit 7");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[1].exit_code, 7);
    ck_assert_int_lt(fx.log_fd[1], 0);
    finish_task(1);
}
END_TEST

/* Own session and group, default signals, empty mask, umask 022, niceness 0,
 * the limit of open files that the keeper was given. */
START_TEST(process_state_is_reset)
{
    struct rlimit files;
    char wanted[64];
    const char *log;

    run(1, (struct start){0},
        "echo umask $(umask); echo nice $(nice); echo files $(ulimit -Sn); "
        "read -r stat </proc/$$/stat; set -- $stat; echo session $(($6 - $1)) group $(($5 - $1)); "
        "grep -E '^Sig(Blk|Ign|Cgt)|^Cap(Inh|Amb)' /proc/self/status");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    log = read_log(1);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    (void)snprintf(wanted, sizeof wanted, "files %llu\n", (unsigned long long)files.rlim_cur);
    ck_assert_ptr_nonnull(strstr(log, "umask 0022\n"));
    ck_assert_ptr_nonnull(strstr(log, "nice 0\n"));
    ck_assert_msg(strstr(log, wanted) != NULL, "wanted %s in %s", wanted, log);
    ck_assert_ptr_nonnull(strstr(log, "session 0 group 0\n"));
    ck_assert_ptr_nonnull(strstr(log, "SigBlk:\t0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(log, "SigIgn:\t0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(log, "CapInh:\t0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(log, "CapAmb:\t0000000000000000\n"));
    finish_task(1);
}
END_TEST

/* What the spec asks for: umask, niceness, limits, directory, environment. */
START_TEST(spec_is_obeyed)
{
    const char *const env[] = {"A=1", "HOME=/elsewhere", NULL};
    const char *log;

    run(1,
        (struct start){.umask = 077,
                       .nice = 5,
                       .rlimit = RLIMIT_NOFILE + 1,
                       .rlimit_value = 77,
                       .cwd = "/usr",
                       .env = env},
        "umask; nice; ulimit -Sn; pwd; echo A=$A HOME=$HOME LOGNAME=$LOGNAME");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    log = read_log(1);
    ck_assert_msg(strncmp(log, "0077\n5\n77\n/usr\nA=1 HOME=/elsewhere LOGNAME=", 42) == 0, "%s",
                  log);
    run(2, (struct start){.clear_env = true, .env = env}, "exec env");
    (void)await_facts(2, ROW_EXITED | ROW_EMPTY);
    log = read_log(2);
    ck_assert_ptr_nonnull(strstr(log, "A=1\n"));
    ck_assert_ptr_nonnull(strstr(log, "HOME=/elsewhere\n"));
    ck_assert_ptr_null(strstr(log, "LOGNAME="));
    ck_assert_ptr_null(strstr(log, "SHELL="));
    finish_task(1);
    finish_task(2);
}
END_TEST

/* The program is looked up in the task's own PATH. */
START_TEST(program_is_found_in_the_tasks_path)
{
    char path[128];
    const char *env[] = {path, NULL};
    const struct start start = {.uid = getuid(), .env = env};
    int fd;

    (void)snprintf(path, sizeof path, "PATH=/nonexistent:%s/bin", fx.dir);
    ck_assert_int_eq(mkdir(in_dir("bin"), 0755), 0);
    fd = open(in_dir("bin/hello-task"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ck_assert_int_eq(write(fd, "#!/bin/sh\necho hello $1\n", 24), 24);
    close(fd);
    order_start(1, region_2, &start, (const char *const[]){"hello-task", "you", NULL});
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_str_eq(read_log(1), "hello you\n");
    finish_task(1);
}
END_TEST

/* Paths for standard descriptors; one file for both is opened once. */
START_TEST(paths_are_opened)
{
    char in[128];
    char out[128];
    int fd;

    (void)snprintf(in, sizeof in, "%s/in", fx.dir);
    (void)snprintf(out, sizeof out, "%s/out", fx.dir);
    fd = creat(in, 0600);
    ck_assert_int_eq(write(fd, "input\n", 6), 6);
    close(fd);
    run(1, (struct start){.paths = {in, out, out}}, "cat; echo err >&2; echo out");
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_str_eq(read_text(out), "input\nerr\nout\n");
    run(2, (struct start){.paths = {NULL, out}, .append = true}, "echo more");
    (void)await_facts(2, ROW_EXITED | ROW_EMPTY);
    ck_assert_str_eq(read_text(out), "input\nerr\nout\nmore\n");
    run(3, (struct start){.paths = {NULL, out}}, "echo anew");
    (void)await_facts(3, ROW_EXITED | ROW_EMPTY);
    ck_assert_str_eq(read_text(out), "anew\n");
    for (uint64_t task = 1; task <= 3; task++)
        finish_task(task);
}
END_TEST

/* Send three descriptors as `run` does: one packet on a connection that the
 * engine forwards unread. */
static int
send_stdio(int fd0, int fd1, int fd2, int pair[2])
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    char token[16] = "0123456789abcdef";
    struct iovec part = {.iov_base = token, .iov_len = sizeof token};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = sizeof control.space};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    const int fds[3] = {fd0, fd1, fd2};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(cmsg), fds, sizeof fds);
    return (int)sendmsg(pair[0], &header, MSG_NOSIGNAL);
}

/* Descriptors that were handed over become standard input, output and error. */
START_TEST(passed_descriptors_are_taken)
{
    const char *const env[] = {NULL};
    int in[2];
    int out[2];
    int err[2];
    int pair[2];
    char text[64];
    ssize_t got;

    ck_assert_int_eq(pipe(in) | pipe(out) | pipe(err), 0);
    ck_assert_int_eq(send_stdio(in[0], out[1], err[1], pair), 16);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    order_fd(LINK_STDIO, 1, pair[1]);
    close(pair[1]);
    run(1, (struct start){.passed = true, .env = env}, "cat; echo err >&2; exit 2");
    ck_assert_int_eq(write(in[1], "through\n", 8), 8);
    close(in[1]);
    got = read(out[0], text, sizeof text);
    ck_assert_int_eq(got, 8);
    ck_assert_int_eq(memcmp(text, "through\n", 8), 0);
    got = read(err[0], text, sizeof text);
    ck_assert_int_eq(got, 4);
    ck_assert_int_eq(read(out[0], text, 1), 0);
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[1].exit_code, 2);
    ck_assert_int_eq(fx.log_fd[1], -1);
    close(out[0]);
    close(err[0]);
    close(pair[0]);
    finish_task(1);
}
END_TEST

/* A terminal that was handed over becomes the controlling one. */
START_TEST(terminal_becomes_controlling)
{
    int master;
    int slave;
    int pair[2];
    char text[256];
    size_t used = 0;
    ssize_t got;

    ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    ck_assert_int_eq(send_stdio(slave, slave, slave, pair), 16);
    close(slave);
    order_fd(LINK_STDIO, 1, pair[1]);
    close(pair[1]);
    run(1, (struct start){.passed = true, .tty = true}, "tty; echo to-terminal >/dev/tty");
    while ((got = read(master, text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    ck_assert_msg(strstr(text, "/dev/pts/") != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "to-terminal"));
    (void)await_facts(1, ROW_EXITED | ROW_EMPTY);
    close(master);
    close(pair[0]);
    finish_task(1);
}
END_TEST

/* A connection without descriptors, or with a wrong number: stage "stdio". */
START_TEST(wrong_packet_of_descriptors_fails_the_start)
{
    int pair[2];
    const struct link_row *row;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    order_fd(LINK_STDIO, 1, pair[1]);
    close(pair[1]);
    run(1, (struct start){.passed = true}, "exit 0");
    row = await_facts(1, ROW_START_FAILED | ROW_EMPTY);
    ck_assert_str_eq(row->stage, "stdio");
    ck_assert_int_eq(row->error, EAGAIN);
    close(pair[0]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    ck_assert_int_eq(send(pair[0], "0123456789abcdef", 16, 0), 16);
    order_fd(LINK_STDIO, 2, pair[1]);
    close(pair[1]);
    run(2, (struct start){.passed = true}, "exit 0");
    row = await_facts(2, ROW_START_FAILED | ROW_EMPTY);
    ck_assert_str_eq(row->stage, "stdio");
    ck_assert_int_eq(row->error, EPROTO);
    close(pair[0]);
    finish_task(1);
    finish_task(2);
}
END_TEST

/* A spec that is not sealed, or no descriptor at all, starts nothing. */
START_TEST(unsealed_spec_is_refused)
{
    struct link_message message = {.kind = LINK_START};
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    message.u.start.task = 1;
    message.u.start.uid = getuid();
    ck_assert_int_eq(link_send_now(fx.link_fd, &message, fd), 0);
    (void)await_facts(1, ROW_START_FAILED | ROW_EMPTY);
    ck_assert_str_eq(fx.rows[1].stage, "spec");
    message.u.start.task = 2;
    ck_assert_int_eq(link_send_now(fx.link_fd, &message, -1), 0);
    (void)await_facts(2, ROW_START_FAILED | ROW_EMPTY);
    ck_assert_int_eq(fx.rows[2].error, EMFILE);
    close(fd);
    finish_task(1);
    finish_task(2);
}
END_TEST

static const struct rule rules[] = {
    RULE(output_goes_into_the_log_pipe),
    RULE(dead_reader_gives_no_sigpipe),
    RULE(descriptor_table_is_clean),
    RULE(process_state_is_reset),
    RULE(spec_is_obeyed),
    RULE(program_is_found_in_the_tasks_path),
    RULE(paths_are_opened),
    RULE(null_is_all_three_and_no_pipe),
    RULE(passed_descriptors_are_taken),
    RULE(terminal_becomes_controlling),
    RULE(wrong_packet_of_descriptors_fails_the_start),
    RULE(unsealed_spec_is_refused),
};

RULES_MAIN("keeper stdio", rules, keeper_begin, keeper_end)
