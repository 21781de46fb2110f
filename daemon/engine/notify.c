/* SPDX-License-Identifier: MIT */
#include "daemon/engine/notify.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/engine/report.h"
#include "daemon/engine/state.h"

/* Messages of one task taken in one turn: one that floods harms itself. */
enum { MESSAGES_PER_TURN = 16 };

struct notify {
    struct engine *engine;
    uint64_t task;
    uint32_t uid;
    struct ev_io readable;
    char status[NOTIFY_STATUS_SIZE];
};

static void
notify_path(const struct engine *e, uint64_t task, char *path, size_t size)
{
    snprintf(path, size, "%s/notify/t%" PRIu64, e->options.runtime_dir, task);
}

void
notify_prepare(struct engine *e)
{
    char path[128];

    snprintf(path, sizeof path, "%s/notify", e->options.runtime_dir);
    /* Tasks of other users must be able to pass through, not to look. */
    if (chmod(path, e->hello.system_mode ? 0711 : 0700) != 0)
        report(REPORT_WARNING, "cannot set the mode of %s: %s", path, strerror(errno));
    DIR *d = opendir(path);
    if (!d)
        return;
    struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == 't')
            unlinkat(dirfd(d), entry->d_name, 0);
    }
    closedir(d);
}

/* ---- Listening --------------------------------------------------------------------- */

static void
keep_status(struct notify *n, const struct notify_message *m)
{
    size_t size = m->status_size < sizeof n->status - 1 ? m->status_size : sizeof n->status - 1;

    for (size_t i = 0; i < size; i++)
        n->status[i] =
            (unsigned char)m->status[i] < 0x20 || m->status[i] == 0x7f ? ' ' : m->status[i];
    /* Not cut within a character. */
    if (size == sizeof n->status - 1) {
        while (size > 0 && ((unsigned char)n->status[size - 1] & 0xC0) == 0x80)
            size--;
        if (size > 0 && (unsigned char)n->status[size - 1] >= 0xC0)
            size--;
    }
    n->status[size] = '\0';
}

/* The order in which a task would mean them. */
static void
feed(struct engine *e, uint64_t task, const struct notify_message *m)
{
    if (m->ready)
        engine_feed(e, &(struct input){.kind = IN_TASK_READY, .task = task});
    if (m->watchdog)
        engine_feed(e, &(struct input){.kind = IN_TASK_WATCHDOG, .task = task});
    if (m->stopping)
        engine_feed(e, &(struct input){.kind = IN_TASK_STOPPING, .task = task});
    if (m->extend) {
        uint64_t extend_ns;
        if (__builtin_mul_overflow(m->extend_usec, 1000, &extend_ns))
            extend_ns = ASUP_NEVER - 1;
        engine_feed(e, &(struct input){
                           .kind = IN_TASK_EXTEND, .task = task, .u.extend.extend_ns = extend_ns});
    }
}

/* One datagram; false: none is left. The credentials come from the system,
 * not from the sender; descriptors that came along are closed. */
static bool
receive(struct notify *n)
{
    struct engine *e = n->engine;
    char data[NOTIFY_MESSAGE_MAX];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 32)];
    } control;
    struct iovec part = {.iov_base = data, .iov_len = sizeof data};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = sizeof control.space};
    struct notify_message m;
    bool known = false;

    ssize_t size = recvmsg(n->readable.fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0)
        return errno == EINTR;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
            struct ucred who;
            memcpy(&who, CMSG_DATA(c), sizeof who);
            known = who.uid == n->uid || who.uid == 0;
        } else if (c->cmsg_type == SCM_RIGHTS) {
            for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
                logs_close(e->logs, fd);
            }
        }
    }
    if (!known || header.msg_flags & MSG_TRUNC)
        return true;
    notify_parse(data, (size_t)size, &m);
    if (m.status)
        keep_status(n, &m);
    feed(e, n->task, &m);
    return true;
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct notify *n = w->data;
    struct engine *e = n->engine;
    uint64_t task = n->task;

    (void)loop;
    (void)revents;
    /* A fact may complete the task, which closes its socket. */
    for (int i = 0; i < MESSAGES_PER_TURN && idmap_get(&e->notifies, task) == n; i++) {
        if (!receive(n))
            break;
        engine_settle(e);
    }
}

void
notify_started(struct engine *e, uint64_t task)
{
    struct notify *n = idmap_get(&e->notifies, task);

    if (n)
        ev_io_start(e->loop, &n->readable);
}

/* ---- Lifecycle ------------------------------------------------------------------------- */

int
notify_open(struct engine *e, const struct task_view *task, char *path, size_t path_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int one = 1;

    notify_path(e, task->id, path, path_size);
    if (idmap_get(&e->notifies, task->id))
        return 0;
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    struct notify *n = calloc(1, sizeof *n);
    if (!n)
        return -ENOMEM;
    n->engine = e;
    n->task = task->id;
    n->uid = task->run_uid;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        goto fail;
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) != 0 ||
        (unlink(path) != 0 && errno != ENOENT) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        goto fail;
    if (chmod(path, e->hello.system_mode ? 0666 : 0600) != 0)
        goto fail;
    if (!idmap_put(&e->notifies, task->id, n)) {
        errno = ENOMEM;
        goto fail;
    }
    ev_io_init(&n->readable, on_readable, fd, EV_READ);
    n->readable.data = n;
    return 0;
fail:;
    int error = errno;
    if (fd >= 0)
        close(fd);
    free(n);
    return -error;
}

void
notify_close(struct engine *e, uint64_t task)
{
    struct notify *n = idmap_take(&e->notifies, task);
    char path[128];

    if (!n)
        return;
    ev_io_stop(e->loop, &n->readable);
    logs_close(e->logs, n->readable.fd); /* it may hold descriptors in flight */
    notify_path(e, task, path, sizeof path);
    unlink(path);
    free(n);
}

const char *
notify_status(struct engine *e, uint64_t task)
{
    struct notify *n = idmap_get(&e->notifies, task);

    return n && n->status[0] ? n->status : NULL;
}
