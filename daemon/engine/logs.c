/* SPDX-License-Identifier: MIT */
#include "daemon/engine/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/engine/idmap.h"
#include "daemon/engine/report.h"

enum {
    BUFFER_SIZE = 64 * 1024,
    FILES_OPEN_MAX = 128, /* more logs than that are opened for each write */
    ROUND = 64,           /* pipes served before orders are looked at again */
    TELL_MS = 1000,       /* a growing loss is told that often */
};

enum order_kind { ORDER_ADD, ORDER_FORGET, ORDER_READ, ORDER_CLOSE, ORDER_LIMITS, ORDER_STOP };

struct order {
    struct order *next;
    enum order_kind kind;
    uint64_t task;
    int fd;
    bool wait;
    uint64_t request, offset, size_max; /* READ; LIMITS: offset per task, size_max total */
};

enum news_kind { NEWS_LOST, NEWS_CHUNK, NEWS_CHANGED };

struct news {
    struct news *next;
    enum news_kind kind;
    struct logs_chunk chunk; /* LOST: task, lost; CHANGED: task */
    char data[];
};

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

struct logs {
    struct ev_loop *loop;
    struct ev_async wake;
    struct logs_callbacks callbacks;
    pthread_t thread;
    int epoll_fd, event_fd;
    char directory[512];

    pthread_mutex_t lock;
    struct order *orders, **orders_tail; /* loop -> thread */
    struct news *news, **news_tail;      /* thread -> loop */

    /* the thread's own */
    struct idmap entries;
    uint64_t task_max, total_max, total;
    int files_open;
    bool untold, stopping;
    struct timespec told_at;
    char *buffer;

    _Atomic uint64_t lost_total;
};

/* ---- The thread: what the map holds --------------------------------------------- */

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

/* ---- The thread: telling ---------------------------------------------------- */

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

/* ---- The thread: files ---------------------------------------------------------- */

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
    e->file_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (e->file_fd < 0)
        return false;
    l->files_open++;
    return true;
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
            ssize_t n = write(e->file_fd, data + done, wanted - done);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                break;
            done += (size_t)n;
        }
    }
    int error = errno;
    e->size += done;
    l->total += done;
    if (done < wanted)
        count_lost(l, e, size - done, strerrordesc_np(error));
    else if (done < size)
        count_lost(l, e, size - done,
                   room < room_all ? "it passed logs.task-max" : "all logs passed logs.total-max");
    if (l->files_open > FILES_OPEN_MAX)
        close_file(l, e);
    if (done)
        tell_changed(l, e);
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

/* ---- The thread: orders ------------------------------------------------------------ */

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

static void
obey(struct logs *l, const struct order *o)
{
    switch (o->kind) {
    case ORDER_ADD:
        do_add(l, o);
        return;
    case ORDER_FORGET:
        do_forget(l, o->task);
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

/* A daemon before this one kept no record of these. */
static void
remove_leftovers(const struct logs *l)
{
    DIR *d = opendir(l->directory);

    if (!d) {
        report(REPORT_WARNING, "cannot read %s: %s", l->directory, strerror(errno));
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        size_t size = strlen(entry->d_name);
        if (entry->d_name[0] == 't' && size > 4 && strcmp(entry->d_name + size - 4, ".log") == 0)
            unlinkat(dirfd(d), entry->d_name, 0);
    }
    closedir(d);
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

static void *
logs_thread(void *arg)
{
    struct logs *l = arg;

    remove_leftovers(l);
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

/* ---- The loop's side ------------------------------------------------------------------ */

static bool
send_order(struct logs *l, const struct order *order)
{
    struct order *o = malloc(sizeof *o);
    uint64_t one = 1;

    if (!o)
        return false;
    *o = *order;
    o->next = NULL;
    pthread_mutex_lock(&l->lock);
    *l->orders_tail = o;
    l->orders_tail = &o->next;
    pthread_mutex_unlock(&l->lock);
    /* Only a full counter can refuse, and then it is readable anyway. */
    ssize_t n = write(l->event_fd, &one, sizeof one);
    (void)n;
    return true;
}

void
logs_add(struct logs *l, uint64_t task, int fd_take)
{
    if (send_order(l, &(struct order){.kind = ORDER_ADD, .task = task, .fd = fd_take}))
        return;
    report_trouble("TaskLogLost", 0, task, "no memory to keep the output of t%" PRIu64, task);
    close(fd_take);
}

void
logs_forget(struct logs *l, uint64_t task)
{
    /* Without memory the file stays until the next start. */
    (void)send_order(l, &(struct order){.kind = ORDER_FORGET, .task = task});
}

void
logs_read(struct logs *l, uint64_t request, uint64_t task, uint64_t offset, size_t size_max,
          bool wait)
{
    /* Without memory the reader's own timeout answers. */
    (void)send_order(l, &(struct order){.kind = ORDER_READ,
                                        .task = task,
                                        .request = request,
                                        .offset = offset,
                                        .size_max = size_max,
                                        .wait = wait});
}

void
logs_close(struct logs *l, int fd_take)
{
    if (!send_order(l, &(struct order){.kind = ORDER_CLOSE, .fd = fd_take}))
        close(fd_take);
}

void
logs_configure(struct logs *l, uint64_t task_max, uint64_t total_max)
{
    (void)send_order(
        l, &(struct order){.kind = ORDER_LIMITS, .offset = task_max, .size_max = total_max});
}

uint64_t
logs_lost_total(struct logs *l)
{
    return atomic_load(&l->lost_total);
}

static void
on_wake(struct ev_loop *loop, struct ev_async *w, int revents)
{
    struct logs *l = w->data;

    (void)loop;
    (void)revents;
    pthread_mutex_lock(&l->lock);
    struct news *n = l->news;
    l->news = NULL;
    l->news_tail = &l->news;
    pthread_mutex_unlock(&l->lock);
    while (n) {
        struct news *next = n->next;
        switch (n->kind) {
        case NEWS_LOST:
            l->callbacks.lost(l->callbacks.ctx, n->chunk.task, n->chunk.lost);
            break;
        case NEWS_CHUNK:
            l->callbacks.chunk(l->callbacks.ctx, &n->chunk);
            break;
        case NEWS_CHANGED:
            l->callbacks.changed(l->callbacks.ctx, n->chunk.task);
            break;
        }
        free(n);
        n = next;
    }
}

struct logs *
logs_new(struct ev_loop *loop, const char *directory, uint64_t task_max, uint64_t total_max,
         const struct logs_callbacks *callbacks)
{
    struct logs *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->loop = loop;
    l->callbacks = *callbacks;
    l->task_max = task_max;
    l->total_max = total_max;
    l->orders_tail = &l->orders;
    l->news_tail = &l->news;
    snprintf(l->directory, sizeof l->directory, "%s", directory);
    pthread_mutex_init(&l->lock, NULL);
    l->buffer = malloc(BUFFER_SIZE);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    if (!l->buffer || l->epoll_fd < 0 || l->event_fd < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->event_fd, &event) != 0)
        goto fail;
    ev_async_init(&l->wake, on_wake);
    l->wake.data = l;
    ev_async_start(loop, &l->wake);
    if (pthread_create(&l->thread, NULL, logs_thread, l) != 0) {
        ev_async_stop(loop, &l->wake);
        goto fail;
    }
    return l;
fail:
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->event_fd >= 0)
        close(l->event_fd);
    free(l->buffer);
    free(l);
    return NULL;
}

void
logs_free(struct logs *l)
{
    if (!l)
        return;
    while (!send_order(l, &(struct order){.kind = ORDER_STOP}))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    pthread_join(l->thread, NULL);
    ev_async_stop(l->loop, &l->wake);
    while (l->news) {
        struct news *next = l->news->next;
        free(l->news);
        l->news = next;
    }
    while (l->orders) {
        struct order *next = l->orders->next;
        if (l->orders->kind == ORDER_ADD || l->orders->kind == ORDER_CLOSE)
            close(l->orders->fd);
        free(l->orders);
        l->orders = next;
    }
    close(l->epoll_fd);
    close(l->event_fd);
    pthread_mutex_destroy(&l->lock);
    free(l->buffer);
    free(l);
}
