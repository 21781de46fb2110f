/* SPDX-License-Identifier: MIT */
#include "daemon/engine/logs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/engine/logs_private.h"
#include "daemon/engine/report.h"

static void
send_take(struct logs *l, struct order *o_take)
{
    uint64_t one = 1;

    o_take->next = NULL;
    pthread_mutex_lock(&l->lock);
    bool first = l->orders == NULL;
    *l->orders_tail = o_take;
    l->orders_tail = &o_take->next;
    pthread_mutex_unlock(&l->lock);
    if (!first)
        return; /* it has been woken, and takes them together */
    /* Only a full counter can refuse, and then it is readable anyway. */
    ssize_t n = write(l->event_fd, &one, sizeof one);
    (void)n;
}

void
logs_turn(struct logs *l)
{
    struct order *o;

    if (l->forget_count == 0)
        return;
    o = malloc(sizeof *o + l->forget_count * sizeof o->tasks[0]);
    if (o) {
        *o = (struct order){.kind = ORDER_FORGET, .size_max = l->forget_count};
        memcpy(o->tasks, l->forgets, l->forget_count * sizeof o->tasks[0]);
        send_take(l, o);
    }
    /* Without memory the files stay until the next start. */
    l->forget_count = 0;
}

/* What was said before comes first. */
static bool
send_order(struct logs *l, const struct order *order)
{
    struct order *o = malloc(sizeof *o);

    if (!o)
        return false;
    *o = *order;
    logs_turn(l);
    send_take(l, o);
    return true;
}

void
logs_resume(struct logs *l, struct logs_known *known_take, size_t count)
{
    if (send_order(l,
                   &(struct order){.kind = ORDER_RESUME, .known = known_take, .size_max = count}))
        return;
    /* All that is there stays, and is written over by nobody: ids are new. */
    report(REPORT_WARNING, "no memory to look at the output of earlier tasks");
    free(known_take);
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
    l->forgets[l->forget_count++] = task;
    if (l->forget_count == FORGETS_MAX)
        logs_turn(l);
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
        free(l->orders->known);
        free(l->orders);
        l->orders = next;
    }
    close(l->epoll_fd);
    close(l->event_fd);
    pthread_mutex_destroy(&l->lock);
    free(l->buffer);
    free(l);
}
