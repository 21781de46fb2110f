/* SPDX-License-Identifier: MIT */
/*
 * The client's own thread: connects, and connects again; reads; and sees to
 * what is due. See internal.h for the states of the link.
 */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Connecting again begins at once and slows down to this. */
/* Buffers read at once before calls get their turn. */
#define READS_MAX 16
#define CONNECT_PAUSE_NS_MIN (10 * ASUP_NS_PER_MS)
#define CONNECT_PAUSE_NS_MAX (250 * ASUP_NS_PER_MS)

void
link_nudge(struct asup_client *c)
{
    uint64_t one = 1;

    if (!c->polling)
        return; /* it looks before it sleeps */
    c->polling = false;
    (void)!write(c->wake_fd, &one, sizeof one);
}

void
link_verify(struct asup_client *c)
{
    if (c->link != LINK_READY)
        return; /* the hello on its way will tell */
    link_set(c, LINK_GREETING);
    greeting_send(c);
}

/* ---- The connection ------------------------------------------------------------ */

static void
link_connect(struct asup_client *c, uint64_t now)
{
    c->refusal.code = 0;
    c->connect_pause_ns = clock_earlier(c->connect_pause_ns * 2, CONNECT_PAUSE_NS_MAX);
    c->connect_at = now + c->connect_pause_ns;
    if (sp_open(&c->conn, address_path(c->url)) != 0)
        return;
    c->hello_at = ASUP_NEVER;
    c->hello_until = clock_after(now, HELLO_SILENCE_MS);
    link_set(c, LINK_GREETING);
}

static void
link_broken(struct asup_client *c)
{
    bool was_ready = c->link == LINK_READY;

    sp_close(&c->conn);
    if (was_ready) { /* it may be back at once */
        c->connect_pause_ns = CONNECT_PAUSE_NS_MIN;
        c->connect_at = clock_now() + CONNECT_PAUSE_NS_MIN;
    }
    link_set(c, LINK_DOWN);
}

static bool
link_message(void *arg, uint32_t tag, uint8_t *message_take, size_t size)
{
    struct asup_client *c = arg;

    if (c->hello_tag == 0 || tag != c->hello_tag) {
        calls_answered(c, tag, message_take, size);
        return true;
    }
    c->hello_tag = 0;
    if (c->link == LINK_GREETING)
        greeting_answered(c, message_take, size);
    free(message_take);
    return true;
}

static void
link_read(struct asup_client *c)
{
    bool greeted = c->conn.greeted;

    if (!sp_read(&c->conn, READS_MAX, link_message, c)) {
        link_broken(c);
        return;
    }
    if (!greeted && c->conn.greeted)
        greeting_send(c);
}

/* ---- The thread ------------------------------------------------------------------ */

/* What is due now. */
static void
link_tick(struct asup_client *c, uint64_t now)
{
    if (c->link == LINK_DOWN && now >= c->connect_at)
        link_connect(c, now);
    if (c->link == LINK_GREETING && now >= c->hello_until)
        link_broken(c); /* a fresh connection may find it awake */
    if (c->link == LINK_GREETING && now >= c->hello_at)
        greeting_send(c);
    if (now >= c->calls_due_at)
        calls_tick(c, now);
}

static uint64_t
link_due_at(const struct asup_client *c)
{
    uint64_t at = c->calls_due_at;

    if (c->link == LINK_DOWN)
        at = clock_earlier(at, c->connect_at);
    if (c->link == LINK_GREETING)
        at = clock_earlier(at, clock_earlier(c->hello_at, c->hello_until));
    return at;
}

/* Sleep until there is something to do. Returns what came on the connection. */
static short
link_poll(struct asup_client *c)
{
    struct pollfd polled[2] = {
        {.fd = c->wake_fd, .events = POLLIN},
        {.fd = c->conn.fd, .events = POLLIN},
    };
    int timeout_ms = clock_left(clock_now(), link_due_at(c));
    uint64_t count;

    if (sp_wants_out(&c->conn))
        polled[1].events |= POLLOUT;
    if (c->conn.broken)
        timeout_ms = 0;
    c->polling = true;
    pthread_mutex_unlock(&c->mutex);
    if (poll(polled, 2, timeout_ms) < 0)
        polled[0].revents = polled[1].revents = 0;
    if (polled[0].revents != 0)
        (void)!read(c->wake_fd, &count, sizeof count);
    pthread_mutex_lock(&c->mutex);
    c->polling = false;
    return polled[1].revents;
}

static void *
link_run(void *arg)
{
    struct asup_client *c = arg;

    pthread_mutex_lock(&c->mutex);
    while (!c->closing) {
        short events;

        link_tick(c, clock_now());
        events = link_poll(c);
        if (c->conn.fd < 0 || c->closing)
            continue;
        if ((events & POLLOUT) != 0)
            sp_flush(&c->conn);
        if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 || c->conn.broken)
            link_read(c);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/* Signals are for the threads of the program. */
static int
thread_start(struct asup_client *c)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&c->thread, NULL, link_run, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->running = error == 0;
    return error;
}

int
link_start(struct asup_client *c, struct proto_error *err)
{
    int error;

    c->connect_at = 0;
    c->connect_pause_ns = CONNECT_PAUSE_NS_MIN;
    c->calls_due_at = ASUP_NEVER;
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake_fd < 0)
        return proto_error_set(err, -ASUP_ENOMEM, "no descriptor is left");
    error = thread_start(c);
    if (error != 0)
        return proto_error_set(err, -ASUP_ENOMEM, "no thread is to be had: %s", strerror(error));
    return 0;
}

void
link_stop(struct asup_client *c)
{
    pthread_mutex_lock(&c->mutex);
    c->closing = true;
    link_nudge(c);
    pthread_mutex_unlock(&c->mutex);
    if (c->running)
        pthread_join(c->thread, NULL);
    sp_close(&c->conn);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
}
