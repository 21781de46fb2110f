/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/keeper/child.h"
#include "daemon/keeper/contain.h"
#include "daemon/keeper/engine.h"
#include "daemon/keeper/log.h"
#include "daemon/keeper/reap.h"
#include "daemon/keeper/rows.h"
#include "daemon/keeper/spawn.h"

/* Of these for one user: a child runs as its user, who may stop it or give it
 * work without end, and that must not be the others' loss. */
#define SWEEPS_PER_USER 8

/* A directory that an earlier daemon left: nobody waits for it. */
#define UID_UNKNOWN UINT32_MAX

#define SWEEP_PATIENCE_NS (10 * ASUP_NS_PER_S)
#define SWEEP_RETRY_NS (2 * ASUP_NS_PER_MS)

enum sweep_step {
    SWEEP_BELOW,     /* regions below it, and what still lives there */
    SWEEP_DIRECTORY, /* rmdir, or else a child first */
    SWEEP_WAITING,   /* for its turn to have a child */
    SWEEP_CHILD,     /* a child removes the content */
    SWEEP_GROUP,     /* the cgroup, which may be busy for a moment */
};

struct sweep {
    struct chain chain;
    struct table_node by_region;
    uint64_t region;
    uint32_t uid; /* whose the directory is */
    enum sweep_step step;
    bool asked;   /* by the engine, which wants an answer */
    bool emptied; /* a child has been through it */
    int error;
    pid_t pid;
    int pidfd;
    int progress_fd;
    uint64_t due_at; /* next retry, or the end of our patience */
    uint64_t give_up_at;
};

static struct sweep *
sweep_find(const struct keeper *k, uint64_t region)
{
    struct table_node *node = table_find(&k->sweep_table, region);

    return node != NULL ? TABLE_OWNER(node, struct sweep, by_region) : NULL;
}

static struct sweep *
sweep_new(struct keeper *k, uint64_t region, bool asked)
{
    const struct region *owner = region_find(k, region);
    struct sweep *sweep = calloc(1, sizeof *sweep);

    if (sweep == NULL)
        return NULL;
    sweep->region = region;
    sweep->uid = owner != NULL && owner->work_made ? owner->work_uid : UID_UNKNOWN;
    sweep->asked = asked;
    sweep->pidfd = -1;
    sweep->progress_fd = -1;
    sweep->give_up_at = k->now + SWEEP_PATIENCE_NS;
    sweep->due_at = k->now;
    chain_init(&sweep->chain);
    chain_append(&k->sweeps, &sweep->chain);
    table_add(&k->sweep_table, &sweep->by_region, region);
    return sweep;
}

static void
answer(struct keeper *k, uint64_t region, int error)
{
    struct link_message message = {.kind = LINK_SWEPT};
    int rc;

    message.u.swept.region = region;
    message.u.swept.error = error;
    /* Said once only: without it the region would stay for ever. */
    rc = engine_send(k, &message, -1);
    if (rc < 0 && rc != -EPIPE)
        engine_fault(k, rc == -ENOBUFS ? "it does not read its answers"
                                       : "no memory for what it must be told");
}

/* ---- Taking turns ---------------------------------------------------------------------- */

static bool
may_run(const struct keeper *k, uint32_t uid)
{
    uint32_t same = 0;

    for (uint32_t i = 0; i < k->sweeps_running; i++)
        same += k->sweep_uids[i] == uid;
    return k->sweeps_running < KEEPER_SWEEPS_MAX && same < SWEEPS_PER_USER;
}

static void
note_running(struct keeper *k, const struct sweep *sweep)
{
    k->sweep_uids[k->sweeps_running++] = sweep->uid;
}

/* The first in line who may run now has its turn. */
static void
note_ended(struct keeper *k, const struct sweep *ended)
{
    uint32_t at = 0;

    while (k->sweep_uids[at] != ended->uid)
        at++;
    k->sweep_uids[at] = k->sweep_uids[--k->sweeps_running];
    for (struct chain *link = k->sweeps.next; link != &k->sweeps; link = link->next) {
        struct sweep *next = CHAIN_OWNER(link, struct sweep, chain);

        if (next->step != SWEEP_WAITING || !may_run(k, next->uid))
            continue;
        next->step = SWEEP_DIRECTORY;
        next->due_at = k->now;
        return;
    }
}

/* Its child is no more. */
static void
sweep_close(struct keeper *k, struct sweep *sweep)
{
    if (sweep->pidfd >= 0)
        close(sweep->pidfd);
    if (sweep->progress_fd >= 0)
        close(sweep->progress_fd);
    if (sweep->pid != 0)
        note_ended(k, sweep);
    sweep->pidfd = -1;
    sweep->progress_fd = -1;
    sweep->pid = 0;
}

static void
sweep_done(struct keeper *k, struct sweep *sweep)
{
    struct region *region = region_find(k, sweep->region);

    if (sweep->error != 0)
        log_warning("work directory or cgroup of r%llu could not be removed: %s",
                    (unsigned long long)sweep->region, strerror(sweep->error));
    /* One that failed is tried again, so it must not pass for never used. */
    if (region != NULL && sweep->error == 0) {
        if (region->row_count == 0)
            region_free(k, region);
        else
            region->swept = true;
    }
    if (sweep->asked)
        answer(k, sweep->region, sweep->error);
    sweep_close(k, sweep);
    chain_remove(&sweep->chain);
    table_remove(&k->sweep_table, &sweep->by_region);
    free(sweep);
}

/* ---- The child ------------------------------------------------------------------------- */

/* In its own cgroup leaf below tree/, so that it never outlives the keeper. */
static int
start_child(struct keeper *k, struct sweep *sweep, const char *name)
{
    int pipe_fds[2];
    int group_fd = -1;
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    if (k->cgroup.present)
        group_fd = openat(k->cgroup.tree_fd, "sweep", O_PATH | O_DIRECTORY | O_CLOEXEC);
    pid = spawn_clone(group_fd, &sweep->pidfd);
    if (pid == 0) {
        const int kept[] = {k->work_fd, pipe_fds[1]};

        child_close_others(3, kept, 2);
        (void)setsid();
        sweep_child_run(k->work_fd, name, pipe_fds[1], keeper_switches_user(k));
    }
    close(pipe_fds[1]);
    if (group_fd >= 0)
        close(group_fd);
    if (pid < 0) {
        close(pipe_fds[0]);
        sweep->pidfd = -1;
        return pid;
    }
    sweep->pid = pid;
    sweep->progress_fd = pipe_fds[0];
    sweep->step = SWEEP_CHILD;
    sweep->due_at = k->now + SWEEP_PATIENCE_NS;
    note_running(k, sweep);
    return keeper_watch(k, sweep->pidfd, EPOLLIN | EPOLLONESHOT,
                        WATCH_TAG(WATCH_SWEEP, sweep->region));
}

static void
child_late(struct keeper *k, struct sweep *sweep)
{
    char bytes[256];

    if (read(sweep->progress_fd, bytes, sizeof bytes) > 0) {
        sweep->due_at = k->now + SWEEP_PATIENCE_NS;
        return;
    }
    (void)syscall(SYS_pidfd_send_signal, sweep->pidfd, SIGKILL, NULL, 0);
    sweep->error = ETIMEDOUT;
    /* Whatever becomes of it, it is reaped as an orphan. */
    sweep_close(k, sweep);
    sweep->step = SWEEP_GROUP;
    sweep->due_at = k->now;
    sweep->give_up_at = k->now + SWEEP_PATIENCE_NS;
}

void
sweep_child_ended(struct keeper *k, uint64_t region)
{
    struct sweep *sweep = sweep_find(k, region);
    siginfo_t info = {0};

    if (sweep == NULL || sweep->pidfd < 0 ||
        waitid(P_PIDFD, (id_t)sweep->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return;
    sweep->error = info.si_code == CLD_EXITED ? info.si_status : EINTR;
    sweep->emptied = true;
    sweep_close(k, sweep);
    sweep->step = SWEEP_DIRECTORY;
    sweep->due_at = k->now;
}

bool
sweep_is_child(const struct keeper *k, pid_t pid)
{
    if (k->sweeps_running == 0)
        return false;
    for (struct chain *at = k->sweeps.next; at != &k->sweeps; at = at->next)
        if (CHAIN_OWNER(at, struct sweep, chain)->pid == pid)
            return true;
    return false;
}

/* ---- Steps ----------------------------------------------------------------------------- */

/* Rows in a region whose main process or cgroup still lives are killed; true
 * when there are none. The engine sweeps a region it knows only once nothing
 * lives there: these are of one that it does not know. */
static bool
rows_are_empty(struct keeper *k, const struct region *region)
{
    bool empty = true;

    if (region->row_count == 0)
        return true;
    for (struct chain *at = k->changed.next; at != &k->changed; at = at->next) {
        struct row *row = CHAIN_OWNER(at, struct row, changed);

        if (row->region != region || (row->wire.facts & ROW_EMPTY) != 0)
            continue;
        empty = false;
        if (!row->killed)
            (void)reap_kill(k, row);
    }
    return empty;
}

/* A region below has nothing more to it than rows that are not forgotten. */
static bool
regions_are_swept(struct keeper *k, const struct region *region)
{
    bool swept = true;

    for (struct chain *at = region->children.next; at != &region->children; at = at->next) {
        const struct region *child = CHAIN_OWNER(at, struct region, sibling);

        if (child->swept)
            continue;
        swept = false;
        if (sweep_find(k, child->by_id.key) == NULL)
            (void)sweep_new(k, child->by_id.key, false); /* or with the next look */
    }
    return swept;
}

/* False: not done yet, or given up. */
static bool
step_below(struct keeper *k, struct sweep *sweep)
{
    const struct region *region = region_find(k, sweep->region);

    if (region != NULL && (!rows_are_empty(k, region) || !regions_are_swept(k, region))) {
        if (sweep->give_up_at > k->now) {
            sweep->due_at = k->now + SWEEP_RETRY_NS;
            return false;
        }
        sweep->error = EBUSY;
        sweep_done(k, sweep);
        return false;
    }
    sweep->step = SWEEP_DIRECTORY;
    sweep->give_up_at = k->now + SWEEP_PATIENCE_NS;
    return true;
}

static void
step_directory(struct keeper *k, struct sweep *sweep)
{
    char name[32];
    int rc;

    (void)snprintf(name, sizeof name, "r%llu", (unsigned long long)sweep->region);
    if (unlinkat(k->work_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        struct region *region = region_find(k, sweep->region);

        if (region != NULL)
            region->work_made = false;
        sweep->error = 0;
    } else if (!sweep->emptied && (errno == ENOTEMPTY || errno == EEXIST)) {
        if (!may_run(k, sweep->uid)) {
            sweep->step = SWEEP_WAITING;
            sweep->due_at = ASUP_NEVER;
            return;
        }
        rc = start_child(k, sweep, name);
        if (rc == 0)
            return;
        sweep->error = -rc;
    } else if (sweep->error == 0) {
        sweep->error = errno;
    }
    sweep->step = SWEEP_GROUP;
    sweep->due_at = k->now;
    sweep->give_up_at = k->now + SWEEP_PATIENCE_NS;
}

static void
step_group(struct keeper *k, struct sweep *sweep)
{
    struct region *region = region_find(k, sweep->region);
    int rc = region != NULL ? contain_remove_region(k, region) : 0;

    if (rc < 0 && sweep->give_up_at > k->now) {
        sweep->due_at = k->now + SWEEP_RETRY_NS;
        return;
    }
    if (rc < 0 && sweep->error == 0)
        sweep->error = -rc;
    sweep_done(k, sweep);
}

void
sweep_turn(struct keeper *k)
{
    struct chain *next;

    for (struct chain *at = k->sweeps.next; at != &k->sweeps; at = next) {
        struct sweep *sweep = CHAIN_OWNER(at, struct sweep, chain);

        next = at->next;
        if (sweep->due_at > k->now)
            continue;
        if (sweep->step == SWEEP_BELOW && !step_below(k, sweep))
            continue;
        if (sweep->step == SWEEP_CHILD)
            child_late(k, sweep);
        if (sweep->step == SWEEP_DIRECTORY)
            step_directory(k, sweep);
        if (sweep->step == SWEEP_GROUP)
            step_group(k, sweep);
    }
}

uint64_t
sweep_next_at(const struct keeper *k)
{
    uint64_t next_at = ASUP_NEVER;

    for (struct chain *at = k->sweeps.next; at != &k->sweeps; at = at->next) {
        const struct sweep *sweep = CHAIN_OWNER(at, struct sweep, chain);

        if (sweep->due_at < next_at)
            next_at = sweep->due_at;
    }
    return next_at;
}

void
sweep_order(struct keeper *k, uint64_t region_id)
{
    struct region *region = region_find(k, region_id);

    if (sweep_find(k, region_id) != NULL) {
        sweep_find(k, region_id)->asked = true;
        return;
    }
    /* Never used: nothing was made for it. */
    if (region == NULL) {
        answer(k, region_id, 0);
        return;
    }
    if (sweep_new(k, region_id, true) == NULL)
        answer(k, region_id, ENOMEM);
}

void
sweep_nobody_asks(struct keeper *k)
{
    for (struct chain *at = k->sweeps.next; at != &k->sweeps; at = at->next)
        CHAIN_OWNER(at, struct sweep, chain)->asked = false;
}

void
sweep_leftover_work(struct keeper *k)
{
    int fd = openat(k->work_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        char *end;
        uint64_t id;

        if (entry->d_name[0] != 'r')
            continue;
        id = strtoull(entry->d_name + 1, &end, 10);
        if (*end == '\0' && id > 0 && id <= KEEPER_ID_MAX && sweep_find(k, id) == NULL)
            (void)sweep_new(k, id, false);
    }
    (void)closedir(dir);
}

void
sweep_drop_all(struct keeper *k)
{
    while (!chain_empty(&k->sweeps)) {
        struct sweep *sweep = CHAIN_OWNER(k->sweeps.next, struct sweep, chain);

        /* Out of the line first: whoever ends looks for the next one in it. */
        chain_remove(&sweep->chain);
        table_remove(&k->sweep_table, &sweep->by_region);
        sweep_close(k, sweep);
        free(sweep);
    }
}
