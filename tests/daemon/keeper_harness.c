/* SPDX-License-Identifier: MIT */
#include "daemon/keeper_harness.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* In the environment of every task, so that what is left of it is found. */
#define TEST_MARK "KEEPER_TEST="

struct fixture fx;

static uint64_t
now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *
in_dir(const char *format, ...)
{
    static char texts[4][256];
    static unsigned next;
    char *text = texts[next++ % 4];
    va_list args;
    int used = snprintf(text, sizeof texts[0], "%s/", fx.dir);

    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is not */
    (void)vsnprintf(text + used, sizeof texts[0] - (size_t)used, format, args);
    va_end(args);
    return text;
}

const char *
read_text(const char *path)
{
    static char text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    ck_assert_msg(got >= 0, "%s: %s", path, strerror(errno));
    text[got] = '\0';
    close(fd);
    return text;
}

/* ---- Beginning ----------------------------------------------------------------------- */

static void
listen_for_engine(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    fx.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/test.sock", fx.dir);
    ck_assert_int_eq(bind(fx.listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(chmod(address.sun_path, 0666), 0);
    ck_assert_int_eq(listen(fx.listen_fd, 4), 0);
}

void
keeper_launch(const char *const *options)
{
    const char *argv[32] = {fx.program, "--foreground",     "--runtime-dir",
                            fx.dir,     "--engine-timeout", "60"};
    int argc = 6;
    int pipe_fds[2];

    if (getenv("KEEPER_CONTAINMENT") != NULL) {
        argv[argc++] = "--containment";
        argv[argc++] = getenv("KEEPER_CONTAINMENT");
    }
    for (; *options != NULL; options++)
        argv[argc++] = *options;
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    fx.keeper = fork();
    ck_assert_int_ge(fx.keeper, 0);
    if (fx.keeper == 0) {
        (void)dup2(pipe_fds[1], STDERR_FILENO);
        (void)fcntl(STDERR_FILENO, F_SETFL, 0);
        (void)execv(fx.program, (char *const *)argv);
        _exit(127);
    }
    close(pipe_fds[1]);
    fx.stderr_fd = pipe_fds[0];
}

const char *
keeper_stderr(void)
{
    static char text[8192];
    ssize_t got = read(fx.stderr_fd, text, sizeof text - 1);

    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void
receive_fds(void)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &fx.engine, .iov_len = sizeof fx.engine};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = sizeof control.space};
    struct cmsghdr *cmsg;
    int fds[2] = {-1, -1};

    ck_assert_int_eq(recvmsg(fx.control_fd, &header, MSG_CMSG_CLOEXEC), sizeof fx.engine);
    cmsg = CMSG_FIRSTHDR(&header);
    ck_assert_ptr_nonnull(cmsg);
    memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
    fx.link_fd = fds[0];
    fx.kill_fd = fds[1];
}

void
keeper_meet(void)
{
    struct pollfd wait = {.fd = fx.listen_fd, .events = POLLIN};

    if (fx.control_fd >= 0)
        close(fx.control_fd);
    if (fx.link_fd >= 0)
        close(fx.link_fd);
    if (fx.kill_fd >= 0)
        close(fx.kill_fd);
    ck_assert_msg(poll(&wait, 1, WAIT_MS) == 1, "no engine came: %s", keeper_stderr());
    fx.control_fd = accept4(fx.listen_fd, NULL, NULL, SOCK_CLOEXEC);
    receive_fds();
    fx.hello_seen = false;
    fx.table_end_seen = false;
    fx.ack = true;
    memset(fx.rows, 0, sizeof fx.rows);
    memset(fx.row_count, 0, sizeof fx.row_count);
    memset(fx.row_order, 0, sizeof fx.row_order);
    memset(fx.region_parent, 0, sizeof fx.region_parent);
    fx.row_total = 0;
    fx.shutdown_count = 0;
    for (int i = 0; i < TASKS_MAX; i++) {
        if (fx.log_fd[i] >= 0)
            close(fx.log_fd[i]);
        fx.log_fd[i] = -1;
    }
    fx.hello = *await_kind(LINK_HELLO);
    (void)await_kind(LINK_TABLE_END);
    (void)snprintf(fx.tree, sizeof fx.tree, "%s", fx.hello.u.hello.cgroup);
    order(LINK_READY, 0);
}

static void
make_fixture(void)
{
    memset(&fx, 0, sizeof fx);
    (void)snprintf(fx.dir, sizeof fx.dir, "/tmp/k.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fx.dir));
    (void)snprintf(fx.program, sizeof fx.program, "%s", KEEPER_PROGRAM);
    fx.control_fd = fx.link_fd = fx.kill_fd = -1;
    for (int i = 0; i < TASKS_MAX; i++)
        fx.log_fd[i] = -1;
    listen_for_engine();
}

void
keeper_begin_with(const char *const *options)
{
    make_fixture();
    if (options[0] == NULL)
        return;
    keeper_launch(options);
    keeper_meet();
}

void
keeper_begin(void)
{
    keeper_begin_with((const char *const[]){"--user", NULL});
}

/* The engine's user may not reach the build directory (it may be in /root). */
static void
copy_program(void)
{
    char command[512];

    (void)snprintf(command, sizeof command,
                   "mkdir -m 755 '%s/bin' && cp '%s' \"$(dirname '%s')/asupersyncd-engine.so\" "
                   "'%s/bin'",
                   fx.dir, KEEPER_PROGRAM, KEEPER_PROGRAM, fx.dir);
    ck_assert_int_eq(system(command), 0); /* NOLINT: paths of our own */
    (void)snprintf(fx.program, sizeof fx.program, "%s/bin/asupersyncd", fx.dir);
}

void
keeper_begin_system(const char *run_as_rules)
{
    char rules[80];
    char state[80];
    int fd;

    make_fixture();
    copy_program();
    (void)snprintf(rules, sizeof rules, "%s/run-as.conf", fx.dir);
    (void)snprintf(state, sizeof state, "%s/state", fx.dir);
    fd = open(rules, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_int_eq(write(fd, run_as_rules, strlen(run_as_rules)), (int)strlen(run_as_rules));
    close(fd);
    keeper_launch((const char *const[]){"--state-dir", state, "--run-as", rules, "--engine-user",
                                        "nobody", NULL});
    keeper_meet();
}

/* ---- Packets ------------------------------------------------------------------------- */

bool
take_packet(int timeout_ms)
{
    struct pollfd wait = {.fd = fx.link_fd, .events = POLLIN};
    struct link_message message;
    int fd;
    int rc;

    if (poll(&wait, 1, timeout_ms) != 1)
        return false;
    rc = link_receive(fx.link_fd, &message, &fd);
    ck_assert_int_ne(rc, -EPROTO);
    if (rc != 1)
        return false;
    if (message.kind == LINK_ROW) {
        const struct link_row *row = &message.u.row;

        ck_assert_uint_lt(row->task, TASKS_MAX);
        ck_assert_uint_ge(row->version, fx.rows[row->task].version);
        /* Facts are never taken back. */
        ck_assert_uint_eq(row->facts & fx.rows[row->task].facts, fx.rows[row->task].facts);
        fx.rows[row->task] = *row;
        fx.row_count[row->task]++;
        fx.row_order[row->task] = ++fx.row_total;
        if (fd >= 0) {
            ck_assert_int_eq(fx.log_fd[row->task], -1);
            fx.log_fd[row->task] = fd;
        }
        if (fx.ack) {
            struct link_message ack = {.kind = LINK_ACK};

            ack.u.ack.task = row->task;
            ack.u.ack.version = row->version;
            (void)link_send_now(fx.link_fd, &ack, -1);
        }
    } else if (message.kind == LINK_REGION) {
        ck_assert_uint_lt(message.u.region.region, TASKS_MAX);
        fx.region_parent[message.u.region.region] = message.u.region.parent;
    } else {
        ck_assert_int_eq(fd, -1);
        if (message.kind == LINK_SHUTDOWN)
            fx.shutdown_count = message.u.shutdown.count;
        fx.last = message;
    }
    return true;
}

const struct link_row *
await_facts(uint64_t task, uint32_t facts)
{
    uint64_t end = now_ms() + WAIT_MS;

    while ((fx.rows[task].facts & facts) != facts) {
        if (!take_packet(100) && now_ms() > end)
            ck_abort_msg("t%d: facts %#x, wanted %#x (stage '%s', error %d, exit %d, signal %d)",
                         (int)task, fx.rows[task].facts, facts, fx.rows[task].stage,
                         fx.rows[task].error, fx.rows[task].exit_code, fx.rows[task].signal);
    }
    return &fx.rows[task];
}

const struct link_message *
await_kind(uint32_t kind)
{
    uint64_t end = now_ms() + WAIT_MS + 5000;

    fx.last.kind = 0;
    while (fx.last.kind != kind)
        if (!take_packet(100) && now_ms() > end)
            ck_abort_msg("no packet of kind %u came", kind);
    return &fx.last;
}

/* The keeper may be behind, and may be waiting for us to take what it says. */
static void
say(struct link_message *message, int fd)
{
    uint64_t end = now_ms() + WAIT_MS;
    int rc;

    while ((rc = link_send_now(fx.link_fd, message, fd)) == -EAGAIN && now_ms() < end)
        (void)take_packet(2);
    ck_assert_int_eq(rc, 0);
}

void
order_fd(uint32_t kind, uint64_t task, int fd)
{
    struct link_message message = {.kind = kind};

    message.u.task = task;
    say(&message, fd);
}

void
order(uint32_t kind, uint64_t task)
{
    order_fd(kind, task, -1);
}

void
order_signal(uint64_t task, int signal)
{
    struct link_message message = {.kind = LINK_SIGNAL};

    message.u.signal.task = task;
    message.u.signal.signal = signal;
    say(&message, -1);
}

static uint32_t
copy_path(uint64_t *out, const uint64_t *path)
{
    uint32_t count = 0;

    for (; path[count] != 0; count++)
        out[count] = path[count];
    return count;
}

void
order_sweep(const uint64_t *path)
{
    struct link_message message = {.kind = LINK_SWEEP};
    uint32_t count = copy_path(message.u.sweep.path, path);

    message.u.sweep.path_count = count;
    message.u.sweep.region = count > 0 ? path[count - 1] : ASUP_ROOT_ID;
    message.u.sweep.uid = getuid();
    say(&message, -1);
}

void
order_start(uint64_t task, const uint64_t *path, const struct start *start, const char *const *argv)
{
    char mark[96];
    char task_mark[48];
    const char *env[32] = {mark, task_mark};
    struct link_message message = {.kind = LINK_START};
    struct spawn_strings strings = {.cwd = start->cwd};
    struct spawn_header header = {.stdio = start->passed ? SPAWN_STDIO_PASSED
                                           : start->null ? SPAWN_STDIO_NULL
                                                         : SPAWN_STDIO_LOG,
                                  .clear_env = start->clear_env,
                                  .tty = start->tty,
                                  .path_append = start->append,
                                  .umask = start->umask != 0 ? start->umask : -1,
                                  .nice = start->nice != 0 ? start->nice : INT32_MIN,
                                  .memory_max = start->memory_max,
                                  .pids_max = start->pids_max};
    int fd;

    for (int i = 0; i < 3; i++)
        strings.path[i] = start->paths[i];
    for (int i = 0; i < SPAWN_RLIMIT_MAX; i++)
        header.rlimit_soft[i] = header.rlimit_hard[i] = SPAWN_RLIMIT_UNSET;
    if (start->rlimit > 0)
        header.rlimit_soft[start->rlimit - 1] = start->rlimit_value;
    while (argv[header.arg_count] != NULL)
        header.arg_count++;
    (void)snprintf(mark, sizeof mark, TEST_MARK "%s", fx.dir);
    (void)snprintf(task_mark, sizeof task_mark, "ASUPERSYNC_TASK=t%llu", (unsigned long long)task);
    for (header.env_count = 2; start->env != NULL && start->env[header.env_count - 2] != NULL;
         header.env_count++)
        env[header.env_count] = start->env[header.env_count - 2];
    strings.args = (char **)argv;
    strings.env = (char **)env;
    fd = spawn_spec_seal(&header, &strings);
    ck_assert_int_ge(fd, 0);
    message.u.start.task = task;
    message.u.start.uid = start->uid;
    message.u.start.path_count = copy_path(message.u.start.path, path);
    say(&message, fd);
    close(fd);
}

void
order_script(uint64_t task, const char *script)
{
    const struct start start = {.uid = getuid()};

    order_start(task, (const uint64_t[]){2, 0}, &start,
                (const char *const[]){"/bin/sh", "-c", script, "sh", fx.dir, NULL});
}

/* ---- Facts --------------------------------------------------------------------------- */

const char *
read_log(uint64_t task)
{
    static char text[65536];
    size_t used = 0;
    ssize_t got;

    ck_assert_int_ge(fx.log_fd[task], 0);
    (void)fcntl(fx.log_fd[task], F_SETFL, 0);
    while ((got = read(fx.log_fd[task], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    return text;
}

void
keeper_refuse_engines(bool refuse)
{
    const char *socket = in_dir("test.sock");
    const char *hidden = in_dir("hidden.sock");

    ck_assert_int_eq(refuse ? rename(socket, hidden) : rename(hidden, socket), 0);
}

void
wait_until_gone(pid_t pid)
{
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
    for (int i = 0; access(path, F_OK) == 0; i++) {
        ck_assert_msg(i < 5000, "process %d is left", (int)pid);
        (void)poll(NULL, 0, 2);
    }
}

void
await_file(const char *path)
{
    uint64_t end = now_ms() + WAIT_MS;

    while (access(path, F_OK) < 0) {
        ck_assert_msg(now_ms() < end, "%s did not appear", path);
        (void)take_packet(2);
    }
}

bool
have_cgroups(void)
{
    return fx.tree[0] != '\0';
}

int
process_count(uint64_t task, const uint64_t *path)
{
    char group[512];
    int used = snprintf(group, sizeof group, "%s", fx.tree);
    const char *text;
    int count = 0;

    for (; *path != 0; path++)
        used += snprintf(group + used, sizeof group - (size_t)used, "/r%d", (int)*path);
    (void)snprintf(group + used, sizeof group - (size_t)used, "/t%d/cgroup.procs", (int)task);
    if (access(group, F_OK) < 0)
        return -1;
    for (text = read_text(group); *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

void
finish_task(uint64_t task)
{
    (void)await_facts(task, ROW_EMPTY);
    order(LINK_FORGET, task);
    if (fx.log_fd[task] >= 0)
        close(fx.log_fd[task]);
    fx.log_fd[task] = -1;
}

uint32_t
idle_user(void)
{
    static const uint32_t users[] = {3, 5, 6, 7, 8, 9, 10, 13};

    return users[(uint32_t)getppid() % (sizeof users / sizeof users[0])];
}

/* ---- The end ------------------------------------------------------------------------- */

int
keeper_exit_status(void)
{
    uint64_t end = now_ms() + WAIT_MS + 20000;
    int status;

    while (waitpid(fx.keeper, &status, WNOHANG) == 0) {
        struct pollfd tick = {.fd = fx.link_fd, .events = 0};

        if (now_ms() > end) {
            (void)kill(fx.keeper, SIGKILL);
            (void)waitpid(fx.keeper, NULL, 0);
            ck_abort_msg("the keeper does not end");
        }
        (void)poll(&tick, 1, 2);
    }
    fx.keeper = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A process of this test carries the test's directory in its command line or
 * its environment. */
static bool
is_of_this_test(const char *pid)
{
    static char text[65536];
    const char *const files[] = {"cmdline", "environ"};

    for (int i = 0; i < 2; i++) {
        char path[64];
        ssize_t got = -1;
        int fd;

        (void)snprintf(path, sizeof path, "/proc/%.20s/%s", pid, files[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            got = read(fd, text, sizeof text);
            close(fd);
        }
        if (got > 0 && memmem(text, (size_t)got, fx.dir, strlen(fx.dir)) != NULL)
            return true;
    }
    return false;
}

void
nothing_is_left(void)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;

    while ((entry = readdir(proc)) != NULL)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            strtol(entry->d_name, NULL, 10) != (long)getpid())
            ck_assert_msg(!is_of_this_test(entry->d_name), "process %s is left", entry->d_name);
    closedir(proc);
    if (have_cgroups()) {
        char base[256];

        (void)snprintf(base, sizeof base, "%s", fx.tree);
        *strrchr(base, '/') = '\0';
        ck_assert_msg(access(base, F_OK) < 0, "cgroup %s is left", base);
    }
}

static void
remove_fixture(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", fx.dir);
    ck_assert_int_eq(system(command), 0); /* NOLINT: a path of our own */
}

void
keeper_end(void)
{
    if (fx.keeper != 0) {
        order(LINK_QUIESCENT, 0);
        ck_assert_int_eq(write(fx.control_fd, "", 1), 1);
        ck_assert_int_eq(keeper_exit_status(), 0);
    }
    nothing_is_left();
    remove_fixture();
}
