/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/spawn_spec.h"

#define CHILD_PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Assignments that make_environment may add. */
#define ENV_ADDED_MAX (IDENTITY_ASSIGNMENTS + 1)

/* Arguments and assignments of a usual program. */
#define SLOTS_FEW 256

static_assert(sizeof(struct child_report) <= 4096, "one atomic write to a pipe");

static int child_status_fd;

static void __attribute__((noreturn)) fail(const char *stage, int error)
{
    struct child_report report = {.kind = REPORT_FAILED, .error = error};

    (void)snprintf(report.stage, sizeof report.stage, "%s", stage);
    while (write(child_status_fd, &report, CHILD_REPORT_FAILED_SIZE) < 0 && errno == EINTR)
        ;
    _exit(127);
}

void
child_close_others(int first, const int *kept, int kept_count)
{
    int from = first;

    for (;;) {
        int next = -1;

        for (int i = 0; i < kept_count; i++)
            if (kept[i] >= from && (next < 0 || kept[i] < next))
                next = kept[i];
        if (next < 0)
            break;
        if (next > from)
            (void)syscall(SYS_close_range, from, next - 1, 0);
        from = next + 1;
    }
    (void)syscall(SYS_close_range, from, ~0u, 0);
}

/* ---- Who ----------------------------------------------------------------------- */

/* From the cache, or by asking; then the keeper learns it too. That happens
 * before the change of user, so that no user can have a hand in it. */
static const struct identity *
who_am_i(const struct child_plan *plan)
{
    static struct child_report report;
    int rc;

    if (plan->identity != NULL)
        return plan->identity;
    rc = identity_look_up(plan->uid, &report.identity);
    if (rc < 0)
        fail("user", -rc);
    report.kind = REPORT_IDENTITY;
    (void)!write(child_status_fd, &report, sizeof report);
    return &report.identity;
}

/* After this the process is the user's: it can be stopped and killed by the
 * user, but not be traced until its exec. */
static void
become_user(const struct child_plan *plan, const struct identity *who)
{
    if (!plan->switch_user)
        return;
    if (!who->known)
        fail("user", ENOENT);
    /* Keys that the keeper was given are not the task's. */
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    if (who->group_count > IDENTITY_GROUPS_MAX ? initgroups(identity_name(who), who->gid) < 0
                                               : setgroups(who->group_count, who->groups) < 0)
        fail("groups", errno);
    if (setresgid(who->gid, who->gid, who->gid) < 0)
        fail("groups", errno);
    if (setresuid(who->uid, who->uid, who->uid) < 0)
        fail("user", errno);
}

/* ---- Limits -------------------------------------------------------------------- */

/* What the keeper changed for itself, back to what it found. */
static void
restore_limits(const struct child_plan *plan)
{
    struct rlimit files = {.rlim_cur = plan->nofile_soft, .rlim_max = plan->nofile_hard};
    int fd;

    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (plan->fix_nice)
        (void)setpriority(PRIO_PROCESS, 0, 0);
    if (plan->fix_oom && (fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)) >= 0) {
        (void)!write(fd, "0", 1);
        close(fd);
    }
}

/* What the spec asks for, by the user's own rights: only root raises. */
static void
set_limits(const struct spawn_header *spec)
{
    for (int i = 0; i < SPAWN_RLIMIT_MAX && i < RLIM_NLIMITS; i++) {
        struct rlimit limit;

        if (spec->rlimit_soft[i] == SPAWN_RLIMIT_UNSET &&
            spec->rlimit_hard[i] == SPAWN_RLIMIT_UNSET)
            continue;
        if (getrlimit((__rlimit_resource_t)i, &limit) < 0)
            fail("limits", errno);
        if (spec->rlimit_hard[i] != SPAWN_RLIMIT_UNSET)
            limit.rlim_max = spec->rlimit_hard[i];
        if (spec->rlimit_soft[i] != SPAWN_RLIMIT_UNSET)
            limit.rlim_cur = spec->rlimit_soft[i];
        else if (limit.rlim_cur > limit.rlim_max)
            limit.rlim_cur = limit.rlim_max;
        if (setrlimit((__rlimit_resource_t)i, &limit) < 0)
            fail("limits", errno);
    }
    if (spec->nice != INT32_MIN && spec->nice != 0 && setpriority(PRIO_PROCESS, 0, spec->nice) < 0)
        fail("limits", errno);
}

/* ---- Standard descriptors ------------------------------------------------------ */

static void
place(int fd, int number)
{
    if (fd == number) {
        if (fcntl(fd, F_SETFD, 0) < 0)
            fail("stdio", errno);
    } else if (dup2(fd, number) < 0) {
        fail("stdio", errno);
    }
}

/* Three descriptors that the user's own program sent with one packet. */
static void
take_passed(int connection)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control;
    char token[64];
    struct iovec part = {.iov_base = token, .iov_len = sizeof token};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = sizeof control.space};
    struct cmsghdr *cmsg;
    int fds[3];

    if (connection < 0)
        fail("stdio", ENOTCONN);
    if (recvmsg(connection, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        fail("stdio", errno);
    cmsg = CMSG_FIRSTHDR(&header);
    if (cmsg == NULL || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
        cmsg->cmsg_len != CMSG_LEN(sizeof fds))
        fail("stdio", (header.msg_flags & MSG_CTRUNC) != 0 ? EMFILE : EPROTO);
    memcpy(fds, CMSG_DATA(cmsg), sizeof fds);
    for (int i = 0; i < 3; i++)
        place(fds[i], i);
}

static void
open_path(const struct spawn_header *spec, const char *path, int number)
{
    const int out_flags = O_WRONLY | O_CREAT | (spec->path_append != 0 ? O_APPEND : O_TRUNC);
    int fd = open(path, (number == 0 ? O_RDONLY : out_flags) | O_NOCTTY | O_CLOEXEC, 0666);

    if (fd < 0)
        fail(number == 0 ? "stdin" : number == 1 ? "stdout" : "stderr", errno);
    place(fd, number);
    if (fd > 2)
        close(fd);
}

static void
set_stdio(const struct child_plan *plan, const struct spawn_header *spec,
          const struct spawn_strings *strings)
{
    if (spec->stdio == SPAWN_STDIO_PASSED) {
        take_passed(plan->stdio_fd);
    } else {
        place(plan->null_fd, 0);
        place(plan->log_fd >= 0 ? plan->log_fd : plan->null_fd, 1);
        place(plan->log_fd >= 0 ? plan->log_fd : plan->null_fd, 2);
    }
    for (int i = 0; i < 3; i++) {
        if (strings->path[i] == NULL)
            continue;
        /* One file for both: one open, so that neither overwrites the other. */
        if (i == 2 && strings->path[1] != NULL && strcmp(strings->path[1], strings->path[2]) == 0)
            place(1, 2);
        else
            open_path(spec, strings->path[i], i);
    }
    if (spec->tty != 0 && ioctl(0, TIOCSCTTY, 0) < 0)
        fail("tty", errno);
}

/* ---- Environment, directory, program -------------------------------------------- */

static bool
env_has(char *const *env, const char *assignment)
{
    size_t size = strcspn(assignment, "=") + 1;

    for (; *env != NULL; env++)
        if (strncmp(*env, assignment, size) == 0)
            return true;
    return false;
}

/* The task's environment: HOME, USER, LOGNAME, SHELL and PATH, unless it has
 * its own or asked for a clear one; they go into the slots kept free before
 * its own assignments. */
static char **
make_environment(const struct spawn_header *spec, const struct spawn_strings *strings,
                 const struct identity *who)
{
    char **env = strings->env;

    if (spec->clear_env != 0)
        return env;
    if (!env_has(strings->env, CHILD_PATH_DEFAULT))
        *--env = (char *)CHILD_PATH_DEFAULT;
    for (int i = 0; i < IDENTITY_ASSIGNMENTS && who->known; i++) {
        const char *assignment = who->text + who->assignment[i];

        if (strchr(assignment, '=')[1] != '\0' && !env_has(strings->env, assignment))
            *--env = (char *)assignment;
    }
    return env;
}

static void
enter_directory(const struct spawn_strings *strings, const struct identity *who)
{
    const char *home = who->known ? identity_home(who) : "/";

    if (strings->cwd != NULL) {
        if (chdir(strings->cwd) < 0)
            fail("chdir", errno);
        return;
    }
    if ((home[0] != '/' || chdir(home) < 0) && chdir("/") < 0)
        fail("chdir", errno);
}

/* The spec: the keeper checked its seals and its header, the rest is read
 * here, and never changes any more. Usual ones need no memory of the heap:
 * every page that is not touched is one not copied for this child. */
static const struct spawn_header *
read_spec(int fd, struct spawn_strings *strings)
{
    struct stat status;
    static char *few_slots[SLOTS_FEW];
    const struct spawn_header *spec;
    char **slots = few_slots;
    size_t slot_count;

    if (fstat(fd, &status) < 0)
        fail("spec", errno);
    spec = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (spec == MAP_FAILED)
        fail("spec", errno);
    if (!spawn_spec_check(spec, (size_t)status.st_size))
        fail("spec", EBADMSG);
    slot_count = (size_t)spec->arg_count + spec->env_count + 2 + ENV_ADDED_MAX;
    if (slot_count > SLOTS_FEW)
        slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        fail("spec", ENOMEM);
    spawn_spec_strings(spec, slots, strings);
    /* Room before the environment, for make_environment. */
    memmove(strings->env + ENV_ADDED_MAX, strings->env,
            ((size_t)spec->env_count + 1) * sizeof *slots);
    strings->env += ENV_ADDED_MAX;
    return spec;
}

void
child_become_task(const struct child_plan *plan)
{
    const int kept[] = {plan->status_fd, plan->spec_fd, plan->log_fd, plan->stdio_fd,
                        plan->null_fd};
    const struct spawn_header *spec;
    const struct identity *who;
    struct spawn_strings strings;
    sigset_t none;
    char **env;

    /* First the lock and everything else of the keeper's, before anything can
     * make this process wait. Signals are at their defaults already, as the
     * keeper has no handlers, and blocked until the end. */
    child_status_fd = plan->status_fd;
    child_close_others(3, kept, sizeof kept / sizeof kept[0]);
    (void)setsid();
    restore_limits(plan);

    who = who_am_i(plan);
    spec = read_spec(plan->spec_fd, &strings);
    /* So that a program may open /dev/stdout again. */
    if (plan->log_fd >= 0 && plan->switch_user)
        (void)fchown(plan->log_fd, plan->uid, (gid_t)-1);
    become_user(plan, who);
    /* Only the main process, and only as far as it goes: that is what best
     * effort means. Cgroups are killed as a whole instead. */
    if (plan->die_along)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);

    (void)umask(spec->umask < 0 ? 022 : (mode_t)spec->umask & 0777);
    env = make_environment(spec, &strings, who);
    enter_directory(&strings, who);
    set_stdio(plan, spec, &strings);
    set_limits(spec);

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* execvpe looks the program up in the PATH of this process. */
    environ = env;
    (void)execvpe(strings.args[0], strings.args, env);
    fail("exec", errno);
}
