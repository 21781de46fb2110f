/* SPDX-License-Identifier: MIT */
#include "daemon/engine/logs_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/engine/report.h"

/* One task's output, once there is any or somebody waits for it; owned by the
 * thread. Before, and most tasks never come that far, the map holds nothing
 * but the pipe's descriptor, as an odd number that no pointer is. */
struct entry {
    uint64_t task;
    int pipe_fd;  /* -1: ended, or not begun */
    int file_fd;  /* -1: not open just now */
    bool known;   /* there is or was a pipe */
    bool watched; /* a reader waits */
    uint64_t size;
    uint64_t lost, lost_told;
};

/* ---- what the map holds --------------------------------------------- */

static uintptr_t
plain_pipe(int fd)
{
    return (uintptr_t)(unsigned)fd << 1 | 1;
}

/* The descriptor of a task without an entry; -1: it has one, or is unknown. */
static int
plain_fd(const struct logs *l, uint64_t task)
{
    uintptr_t number = idmap_number(&l->entries, task);

    return number & 1 ? (int)(number >> 1) : -1;
}

static struct entry *
entry_find(const struct logs *l, uint64_t task)
{
    return idmap_number(&l->entries, task) & 1 ? NULL : idmap_get(&l->entries, task);
}

/* The entry of a task, made when there is none. NULL: no memory. */
static struct entry *
entry_get(struct logs *l, uint64_t task)
{
    struct entry *e = entry_find(l, task);
    int fd = plain_fd(l, task);

    if (e)
        return e;
    e = malloc(sizeof *e);
    if (!e)
        return NULL;
    *e = (struct entry){.task = task, .pipe_fd = fd, .file_fd = -1, .known = fd >= 0};
    if (!idmap_put(&l->entries, task, e)) {
        free(e);
        return NULL;
    }
    return e;
}

/* ---- telling ---------------------------------------------------- */

static struct news *
news_new(enum news_kind kind, size_t data_size)
{
    struct news *n = malloc(sizeof *n + data_size);

    if (n)
        *n = (struct news){.kind = kind};
    return n;
}

static void
tell(struct logs *l, struct news *n)
{
    pthread_mutex_lock(&l->lock);
    *l->news_tail = n;
    l->news_tail = &n->next;
    pthread_mutex_unlock(&l->lock);
    ev_async_send(l->loop, &l->wake);
}

/* Without memory the loss stays untold and is tried again. */
static void
tell_lost(struct logs *l, struct entry *e)
{
    struct news *n = news_new(NEWS_LOST, 0);

    if (!n)
        return;
    n->chunk.task = e->task;
    n->chunk.lost = e->lost;
    e->lost_told = e->lost;
    tell(l, n);
}

static void
tell_changed(struct logs *l, struct entry *e)
{
    struct news *n = e->watched ? news_new(NEWS_CHANGED, 0) : NULL;

    if (!n)
        return;
    e->watched = false;
    n->chunk.task = e->task;
    tell(l, n);
}

static void
count_lost(struct logs *l, struct entry *e, uint64_t size, const char *why)
{
    bool first = e->lost == 0;

    e->lost += size;
    atomic_fetch_add(&l->lost_total, size);
    if (!first) {
        l->untold = true;
        return;
    }
    tell_lost(l, e);
    report_trouble("TaskLogLost", 0, e->task,
                   "output of t%" PRIu64 " is lost from here on: %s; the task goes on", e->task,
                   why);
}

/* At most once a second, however many pipes overflow. */
static void
tell_all_lost(struct logs *l, bool now)
{
    struct timespec at;
    size_t cursor = 0;
    uint64_t task;
    void *value;

    if (!l->untold)
        return;
    clock_gettime(CLOCK_MONOTONIC, &at);
    if (!now &&
        (at.tv_sec - l->told_at.tv_sec) * 1000 + (at.tv_nsec - l->told_at.tv_nsec) / 1000000 <
            TELL_MS)
        return;
    l->told_at = at;
    l->untold = false;
    while (idmap_next(&l->entries, &cursor, &task, &value)) {
        struct entry *e = entry_find(l, task);
        if (!e)
            continue;
        if (e->lost != e->lost_told)
            tell_lost(l, e);
        l->untold = l->untold || e->lost != e->lost_told;
    }
}

/* ---- files ---------------------------------------------------------- */

static void
entry_path(const struct logs *l, uint64_t task, char *path, size_t size)
{
    snprintf(path, size, "%s/t%" PRIu64 ".log", l->directory, task);
}

static void
close_file(struct logs *l, struct entry *e)
{
    if (e->file_fd < 0)
        return;
    close(e->file_fd);
    e->file_fd = -1;
    l->files_open--;
}

static bool
open_file(struct logs *l, struct entry *e)
{
    char path[600];

    if (e->file_fd >= 0)
        return true;
    entry_path(l, e->task, path, sizeof path);
    e->file_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (e->file_fd < 0)
        return false;
    l->files_open++;
    return true;
}

/* So many bytes more stand in its file. */
static void
kept(struct logs *l, struct entry *e, size_t size)
{
    e->size += size;
    l->total += size;
    if (l->files_open > FILES_OPEN_MAX)
        close_file(l, e);
    if (size)
        tell_changed(l, e);
}

static uint64_t
room_of(const struct logs *l, const struct entry *e)
{
    uint64_t room = l->task_max > e->size ? l->task_max - e->size : 0;
    uint64_t room_all = l->total_max > l->total ? l->total_max - l->total : 0;

    return room < room_all ? room : room_all;
}

static void
keep(struct logs *l, struct entry *e, const char *data, size_t size)
{
    uint64_t room = l->task_max > e->size ? l->task_max - e->size : 0;
    uint64_t room_all = l->total_max > l->total ? l->total_max - l->total : 0;
    size_t wanted = size;

    if (wanted > room)
        wanted = (size_t)room;
    if (wanted > room_all)
        wanted = (size_t)room_all;
    size_t done = 0;
    if (wanted && open_file(l, e)) {
        while (done < wanted) {
            ssize_t n = pwrite(e->file_fd, data + done, wanted - done, (off_t)(e->size + done));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                break;
            done += (size_t)n;
        }
    }
    int error = errno;
    if (done < wanted)
        count_lost(l, e, size - done, strerrordesc_np(error));
    else if (done < size)
        count_lost(l, e, size - done,
                   room < room_all ? "it passed logs.task-max" : "all logs passed logs.total-max");
    kept(l, e, done);
}

/* From the pipe into the file, without us. 1: done, there may be more; 0: the
 * pipe is empty or at its end; -1: it is to be read. */
static int
pass_on(struct logs *l, uint64_t task, int fd)
{
    struct entry *e = entry_find(l, task);
    int waiting = 0;

    if (l->no_splice || ioctl(fd, FIONREAD, &waiting) != 0 || waiting == 0)
        return -1;
    if (!e)
        e = entry_get(l, task);
    uint64_t room = e ? room_of(l, e) : 0;
    if (room == 0 || !open_file(l, e))
        return -1;
    off_t at = (off_t)e->size;
    ssize_t n = splice(fd, NULL, e->file_fd, &at, room < BUFFER_SIZE ? (size_t)room : BUFFER_SIZE,
                       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n < 0 && errno == EINVAL)
        l->no_splice = true;
    if (n <= 0)
        return -1;
    kept(l, e, (size_t)n);
    return 1;
}

/* The keeper holds the same reading end, so closing ours does not take it out
 * of the epoll set: its end would be told again and again. */
static void
close_pipe(struct logs *l, int fd)
{
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
}

static void
end_pipe(struct logs *l, struct entry *e)
{
    if (e->pipe_fd < 0)
        return;
    close_pipe(l, e->pipe_fd);
    e->pipe_fd = -1;
    close_file(l, e);
    if (e->lost != e->lost_told)
        tell_lost(l, e);
    tell_changed(l, e);
}

/* Returns false when the pipe has nothing more just now. */
static bool
drain(struct logs *l, uint64_t task)
{
    struct entry *e = entry_find(l, task);
    int fd = e ? e->pipe_fd : plain_fd(l, task);

    if (fd < 0)
        return false;
    if (pass_on(l, task, fd) > 0)
        return true;
    e = entry_find(l, task);
    ssize_t n = read(fd, l->buffer, BUFFER_SIZE);
    if (n > 0) {
        if (!e)
            e = entry_get(l, task);
        if (e)
            keep(l, e, l->buffer, (size_t)n);
        else
            atomic_fetch_add(&l->lost_total, (uint64_t)n); /* no memory even to say so */
        return true;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (e) {
        end_pipe(l, e);
    } else {
        /* It never wrote anything: nothing of it is kept. */
        close_pipe(l, fd);
        idmap_take(&l->entries, task);
    }
    return false;
}

/* ---- orders ------------------------------------------------------------ */

static void
do_add(struct logs *l, const struct order *o)
{
    struct entry *e = entry_find(l, o->task);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = o->task};

    if ((e && e->pipe_fd >= 0) || plain_fd(l, o->task) >= 0 ||
        fcntl(o->fd, F_SETFL, O_NONBLOCK) != 0 ||
        (!e && !idmap_put_number(&l->entries, o->task, plain_pipe(o->fd))))
        goto fail;
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, o->fd, &event) != 0) {
        if (!e)
            idmap_take(&l->entries, o->task);
        goto fail;
    }
    if (e) { /* somebody waits for it already */
        e->pipe_fd = o->fd;
        e->known = true;
    }
    return;
fail:
    /* The keeper holds the reading end too, so the task gets no SIGPIPE; but
     * nobody reads what it writes. */
    report_trouble("TaskLogLost", 0, o->task, "the output of t%" PRIu64 " cannot be read: %s",
                   o->task, strerror(errno));
    close(o->fd);
}

static void
do_forget(struct logs *l, uint64_t task)
{
    struct entry *e = entry_find(l, task);
    int fd = plain_fd(l, task);
    char path[600];

    idmap_take(&l->entries, task);
    if (fd >= 0)
        close_pipe(l, fd);
    if (!e)
        return;
    if (e->pipe_fd >= 0)
        close_pipe(l, e->pipe_fd);
    close_file(l, e);
    if (e->size) {
        entry_path(l, task, path, sizeof path);
        if (unlink(path) == 0 || errno == ENOENT)
            l->total -= e->size;
    }
    free(e);
}

static void
do_read(struct logs *l, const struct order *o)
{
    struct entry *e = entry_find(l, o->task);
    bool plain = plain_fd(l, o->task) >= 0;
    uint64_t size = e ? e->size : 0;
    uint64_t offset = o->offset < size ? o->offset : size;
    uint64_t wanted = size - offset < o->size_max ? size - offset : o->size_max;
    struct news *n = news_new(NEWS_CHUNK, (size_t)wanted);

    if (!n) {
        n = news_new(NEWS_CHUNK, 0);
        if (!n)
            return; /* the reader's own timeout answers */
        n->chunk.error = ENOMEM;
        wanted = 0;
    }
    n->chunk.request = o->request;
    n->chunk.task = o->task;
    n->chunk.offset = offset;
    if (wanted && e) {
        if (open_file(l, e)) {
            ssize_t got = pread(e->file_fd, n->data, (size_t)wanted, (off_t)offset);
            if (got < 0)
                n->chunk.error = errno;
            else
                n->chunk.size = (size_t)got;
            if (e->pipe_fd < 0 || l->files_open > FILES_OPEN_MAX)
                close_file(l, e);
        } else {
            n->chunk.error = errno;
        }
    }
    n->chunk.data = n->data;
    n->chunk.open = plain || (e && e->pipe_fd >= 0);
    n->chunk.known = plain || (e && e->known);
    n->chunk.lost = e ? e->lost : 0;
    if (o->wait && n->chunk.size == 0 && !n->chunk.error && (!n->chunk.known || n->chunk.open)) {
        /* Also for a task that has not started yet. */
        e = entry_get(l, o->task);
        if (e)
            e->watched = true;
    }
    tell(l, n);
}

/* ---- what an engine before this one left ----------------------------- */

static int
known_compare(const void *key, const void *item)
{
    uint64_t task = *(const uint64_t *)key;
    const struct logs_known *known = item;

    return (task > known->task) - (task < known->task);
}

/* The task a file is the log of; 0: it is none. */
static uint64_t
task_of_file(const char *name)
{
    char *end;
    uint64_t task;

    if (name[0] != 't' || name[1] < '1' || name[1] > '9')
        return 0;
    task = strtoull(name + 1, &end, 10);
    return strcmp(end, ".log") == 0 ? task : 0;
}

static void
resume_entry(struct logs *l, const struct logs_known *known, uint64_t size)
{
    struct entry *e = entry_get(l, known->task);

    if (!e)
        return; /* it is as if nothing had been kept */
    e->known = true;
    e->size = size;
    e->lost = e->lost_told = known->lost;
    l->total += size;
}

static void
do_resume(struct logs *l, const struct order *o)
{
    DIR *d = opendir(l->directory);
    struct dirent *entry;
    struct stat status;

    for (uint64_t i = 0; i < o->size_max; i++) {
        atomic_fetch_add(&l->lost_total, o->known[i].lost);
        if (o->known[i].lost)
            resume_entry(l, &o->known[i], 0);
    }
    if (!d)
        report(REPORT_WARNING, "cannot read %s: %s", l->directory, strerror(errno));
    while (d && (entry = readdir(d)) != NULL) {
        uint64_t task = task_of_file(entry->d_name);
        const struct logs_known *known =
            task && o->size_max
                ? bsearch(&task, o->known, o->size_max, sizeof *o->known, known_compare)
                : NULL;

        if (known && fstatat(dirfd(d), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            resume_entry(l, known, (uint64_t)status.st_size);
        else if (task)
            unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d)
        closedir(d);
    free(o->known);
}

static void
obey(struct logs *l, const struct order *o)
{
    switch (o->kind) {
    case ORDER_RESUME:
        do_resume(l, o);
        return;
    case ORDER_ADD:
        do_add(l, o);
        return;
    case ORDER_FORGET:
        for (uint64_t i = 0; i < o->size_max; i++)
            do_forget(l, o->tasks[i]);
        return;
    case ORDER_READ:
        do_read(l, o);
        return;
    case ORDER_CLOSE:
        close(o->fd);
        return;
    case ORDER_LIMITS:
        l->task_max = o->offset;
        l->total_max = o->size_max;
        return;
    case ORDER_STOP:
        l->stopping = true;
        return;
    }
}

static void
take_orders(struct logs *l)
{
    uint64_t count;

    if (read(l->event_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        report(REPORT_ERROR, "the log thread's eventfd: %s", strerror(errno));
    pthread_mutex_lock(&l->lock);
    struct order *o = l->orders;
    l->orders = NULL;
    l->orders_tail = &l->orders;
    pthread_mutex_unlock(&l->lock);
    while (o) {
        struct order *next = o->next;
        obey(l, o);
        free(o);
        o = next;
    }
}

static int
fd_of(const struct logs *l, uint64_t task)
{
    const struct entry *e = entry_find(l, task);

    return e ? e->pipe_fd : plain_fd(l, task);
}

/* What the pipes hold already is kept. Draining changes the map, so the open
 * ones are listed first; without memory for the list it is lost. */
static void
drain_all(struct logs *l)
{
    uint64_t *open_ones = malloc((l->entries.count + 1) * sizeof *open_ones);
    size_t count = 0;
    size_t cursor = 0;
    uint64_t task;
    void *value;

    while (open_ones && idmap_next(&l->entries, &cursor, &task, &value)) {
        if (fd_of(l, task) >= 0)
            open_ones[count++] = task;
    }
    for (size_t i = 0; i < count; i++) {
        for (int round = 0; round < ROUND && drain(l, open_ones[i]); round++)
            ;
    }
    free(open_ones);
}

static void
finish(struct logs *l)
{
    size_t cursor = 0;
    uint64_t task;
    void *value;

    drain_all(l);
    while (idmap_next(&l->entries, &cursor, &task, &value)) {
        struct entry *e = entry_find(l, task);
        int fd = fd_of(l, task);
        if (fd >= 0)
            close(fd);
        if (e)
            close_file(l, e);
        free(e);
    }
    idmap_fini(&l->entries);
}

void *
logs_thread(void *arg)
{
    struct logs *l = arg;

    while (!l->stopping) {
        struct epoll_event events[ROUND];
        int n = epoll_wait(l->epoll_fd, events, ROUND, l->untold ? TELL_MS : -1);
        for (int i = 0; i < n; i++) {
            drain(l, events[i].data.u64);
        }
        take_orders(l);
        tell_all_lost(l, false);
    }
    finish(l);
    return NULL;
}
