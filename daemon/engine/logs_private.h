/* SPDX-License-Identifier: MIT */
/* What the loop's side of the logs (logs.c) and their thread (logs_thread.c)
 * share. */
#ifndef ASUPERSYNC_DAEMON_ENGINE_LOGS_PRIVATE_H
#define ASUPERSYNC_DAEMON_ENGINE_LOGS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "daemon/engine/idmap.h"
#include "daemon/engine/logs.h"

enum {
    BUFFER_SIZE = 64 * 1024,
    FILES_OPEN_MAX = 128, /* more logs than that are opened for each write */
    ROUND = 64,           /* pipes served before orders are looked at again */
    TELL_MS = 1000,       /* a growing loss is told that often */
    FORGETS_MAX = 256,    /* more are told at once */
};

enum order_kind {
    ORDER_RESUME,
    ORDER_ADD,
    ORDER_FORGET,
    ORDER_READ,
    ORDER_CLOSE,
    ORDER_LIMITS,
    ORDER_STOP
};

struct order {
    struct order *next;
    enum order_kind kind;
    uint64_t task;
    int fd;
    bool wait;
    uint64_t request, offset, size_max; /* READ; LIMITS: offset per task, size_max total */
    struct logs_known *known;           /* RESUME: size_max of them */
    uint64_t tasks[];                   /* FORGET: size_max of them */
};

enum news_kind { NEWS_LOST, NEWS_CHUNK, NEWS_CHANGED };

struct news {
    struct news *next;
    enum news_kind kind;
    struct logs_chunk chunk; /* LOST: task, lost; CHANGED: task */
    char data[];
};

struct logs {
    struct ev_loop *loop;
    struct ev_async wake;
    struct logs_callbacks callbacks;
    pthread_t thread;
    int epoll_fd, event_fd;
    char directory[512];

    /* the loop's own */
    uint64_t forgets[FORGETS_MAX]; /* still to be told */
    size_t forget_count;

    pthread_mutex_t lock;
    struct order *orders, **orders_tail; /* loop -> thread */
    struct news *news, **news_tail;      /* thread -> loop */

    /* the thread's own */
    struct idmap entries;
    uint64_t task_max, total_max, total;
    int files_open;
    bool untold, stopping;
    bool no_splice; /* the file system does not do it */
    struct timespec told_at;
    char *buffer;

    _Atomic uint64_t lost_total;
};

void *logs_thread(void *arg);

#endif
