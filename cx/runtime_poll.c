/* SPDX-License-Identifier: MIT */
/* asup_cx_poll(): a fiber that waits for a descriptor. */
#include "cx/runtime_internal.h"

#include <poll.h>

struct polling {
    struct runtime_watch watch;
    struct runtime *runtime;
    struct shell_ticket ticket;
    int fd;
    short events, revents;
    bool watched;
    int code;
};

/* What a task polls is in memory of the task, not on its stack, since it may be given up while it
 * waits; the object that it is hung on ends the watch then. */
struct polling_object {
    struct shell_object object;
    struct polling polling;
};

_Static_assert(sizeof(struct polling_object) <= OBJECT_SIZE, "it is an object");

static void
unwatch(void *object)
{
    struct polling *p = &((struct polling_object *)object)->polling;

    if (p->watched)
        runtime_unwatch(p->runtime, &p->watch);
    p->watched = false;
}

static void
on_ready(struct runtime_watch *w, short revents)
{
    struct polling *p = (struct polling *)w;

    p->revents = revents;
    runtime_unwatch(p->runtime, w);
    p->watched = false;
    shell_wake(p->runtime->shell, p->ticket);
}

static void
watch(struct shell *s, void *ctx)
{
    struct polling *p = ctx;

    (void)s;
    p->code = runtime_watch(p->runtime, &p->watch, p->fd, p->events);
    p->watched = p->code == 0;
}

static asup_time
limit_of(struct shell *s, uint64_t timeout_ns)
{
    asup_time now = timeout_ns == ASUP_NEVER ? 0 : shell_time(s);

    return timeout_ns > ASUP_NEVER - now ? ASUP_NEVER : now + timeout_ns;
}

int
asup_cx_poll(struct asup_cx *cx, int fd, short events, uint64_t timeout_ns, short *revents)
{
    struct polling_object *o;
    int rc = cx_check(cx);

    if (rc != 0)
        return rc;
    if (runtime_of(cx) == NULL)
        return -ASUP_EUNSUPPORTED;
    rc = cx_may(cx, ASUP_RIGHT_IO);
    if (rc != 0)
        return rc;
    if (fd < 0 || fiber_current() == NULL)
        return -ASUP_EINVALID;
    o = shell_object_new(shell_of(cx), OBJECT_WORLD, unwatch);
    if (o == NULL)
        return -ASUP_ENOMEM;
    o->polling = (struct polling){.watch.ready = on_ready,
                                  .runtime = runtime_of(cx),
                                  .ticket = shell_ticket(shell_of(cx)),
                                  .fd = fd,
                                  .events = events};
    shell_call(shell_of(cx), watch, &o->polling);
    rc = o->polling.code;
    if (rc == 0)
        rc = shell_park(shell_of(cx), o->polling.ticket, limit_of(shell_of(cx), timeout_ns));
    if (revents != NULL)
        *revents = rc == 0 ? o->polling.revents : 0;
    shell_object_free(o);
    return rc;
}
