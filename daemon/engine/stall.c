/* SPDX-License-Identifier: MIT */
/*
 * Clients that leave their answers unread. Every unread answer holds an
 * exchange and memory that everybody shares, so:
 *
 *   - a connection on which no answer went out for `connections.stall` is
 *     closed;
 *   - while answers pile up, PRESSURE_COUNT of them or PRESSURE_BYTES, that
 *     time is PRESSURE_NS for the connections that hold many, so that one
 *     client cannot hold up the others;
 *   - a connection that holds BYTES_MAX, or many when all together hold
 *     BYTES_MAX_ALL, is closed at once.
 *
 * A client that reads, however slowly, makes progress and is left alone; one
 * that is cut off loses nothing: it connects and asks again.
 */
#include "asupersync/types.h"
#include "daemon/engine/report.h"
#include "daemon/engine/server_internal.h"

enum { PRESSURE_COUNT = 1024, CLOSED_AT_ONCE = 64 };

#define PRESSURE_BYTES ((size_t)16 << 20)
#define PRESSURE_NS (100 * ASUP_NS_PER_MS)
#define BYTES_MAX ((size_t)64 << 20)
#define BYTES_MAX_ALL ((size_t)256 << 20)
#define BYTES_MANY ((size_t)1 << 20)

/* How often is looked, in seconds. */
#define INTERVAL 1.0
#define INTERVAL_PRESSED 0.05

bool
stall_sending_locked(struct connection *c, size_t size)
{
    struct server *s = c->server;

    s->sending++;
    s->sending_bytes += size;
    c->sending++;
    c->sending_bytes += size;
    return c->sending_bytes > BYTES_MAX ||
           (s->sending_bytes > BYTES_MAX_ALL && c->sending_bytes > BYTES_MANY);
}

static bool
is_pressed_locked(const struct server *s)
{
    return s->sending > PRESSURE_COUNT || s->sending_bytes > PRESSURE_BYTES;
}

static uint64_t
patience(const struct server *s, const struct connection *c, bool pressed)
{
    bool holds_many = c->sending > PRESSURE_COUNT / 4 || c->sending_bytes > PRESSURE_BYTES / 4;

    return pressed && holds_many && s->options.stall_ns > PRESSURE_NS ? PRESSURE_NS
                                                                      : s->options.stall_ns;
}

/* Returns whether the connection has been stuck for too long. */
static bool
is_stuck_locked(const struct server *s, struct connection *c, bool pressed, uint64_t now)
{
    if (c->sending == 0) {
        c->stalled_since = 0;
        return false;
    }
    if (c->stalled_since == 0 || c->stalled_progress != c->progress) {
        c->stalled_since = now;
        c->stalled_progress = c->progress;
        return false;
    }
    return now - c->stalled_since >= patience(s, c, pressed);
}

static void
on_stall_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct server *s = w->data;
    nng_pipe stuck[CLOSED_AT_ONCE];
    uint64_t now = (uint64_t)(ev_now(loop) * 1e9);
    int count = 0;

    (void)revents;
    pthread_mutex_lock(&s->lock);
    bool pressed = is_pressed_locked(s);
    for (struct list *l = s->present.next; l != &s->present && count < CLOSED_AT_ONCE;
         l = l->next) {
        struct connection *c = list_entry(l, struct connection, node);
        if (!is_stuck_locked(s, c, pressed, now) || c->cut_off)
            continue;
        c->cut_off = true;
        stuck[count++] = (nng_pipe){.id = c->pipe};
        report(REPORT_WARNING,
               "a client of user %u (pid %u) leaves %u answers unread: its connection is closed",
               c->uid, c->pid, c->sending);
    }
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < count; i++)
        nng_pipe_close(stuck[i]);
    if (s->pressed && !pressed) {
        s->pressed = false;
        s->stall.repeat = INTERVAL;
        ev_timer_again(loop, &s->stall);
    }
}

void
stall_watch(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    bool pressed = is_pressed_locked(s);
    pthread_mutex_unlock(&s->lock);
    if (!pressed || s->pressed)
        return;
    s->pressed = true;
    s->stall.repeat = INTERVAL_PRESSED;
    ev_timer_again(s->loop, &s->stall);
}

void
stall_init(struct server *s)
{
    ev_timer_init(&s->stall, on_stall_timer, INTERVAL, INTERVAL);
    s->stall.data = s;
    ev_timer_start(s->loop, &s->stall);
}

void
stall_stop(struct server *s)
{
    ev_timer_stop(s->loop, &s->stall);
}
